"""Which network paths of an app are open, closed or unknown, by its templates alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from aws_cdk.cloudformation_include import CfnInclude
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from session_manager_permissions import SessionManagerEndpoints
from session_manager_permissions._network.verdicts import (
    EGRESS_CLOSED,
    ENDPOINT_MISSING,
    ENDPOINT_UNREACHABLE,
    NO_NETWORK_PATH,
    PathVerdict,
    State,
)
from session_manager_permissions._readiness.network.vpcs import _KNOWN
from session_manager_permissions._readiness.rules import NO_INSTANCE_PROFILE
from tests.conftest import DATA, HERE, MakeApp, MakeStack, synth

from .judging import att, deployed_to, nested, on, ref, resource, said, verdicts, write
from .reports import Report

if TYPE_CHECKING:
    from collections.abc import Callable

APPS = DATA / "apps"
OPEN, UNKNOWN = State.OPEN.value, State.UNKNOWN.value
PUBLIC = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
EGRESS = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
ISOLATED = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
MACHINE: dict[str, Any] = {
    "instance_type": ec2.InstanceType("t3.micro"),
    "machine_image": ec2.MachineImage.generic_linux({"eu-west-1": "ami-12345678"}),
}
SSM = ec2.InterfaceVpcEndpointAwsService.SSM
MESSAGES = ec2.InterfaceVpcEndpointAwsService.SSM_MESSAGES


def subnets(*kinds: ec2.SubnetType) -> list[ec2.SubnetConfiguration]:
    return [ec2.SubnetConfiguration(name=kind.name.title(), subnet_type=kind) for kind in kinds]


def vpc(stack: cdk.Stack, *kinds: ec2.SubnetType, **more: Any) -> ec2.Vpc:  # noqa: ANN401
    """A VPC with a subnet of each kind; of CDK's own default kinds where none is given."""
    given: dict[str, Any] = {"subnet_configuration": subnets(*kinds)} if kinds else {}
    return ec2.Vpc(stack, "Vpc", max_azs=1, **given, **more)


def isolated(stack: cdk.Stack, **more: Any) -> ec2.Vpc:  # noqa: ANN401
    return vpc(stack, ec2.SubnetType.PRIVATE_ISOLATED, **more)


def instance(stack: cdk.Stack, network: ec2.IVpc, **more: Any) -> ec2.Instance:  # noqa: ANN401
    return ec2.Instance(stack, "Instance", vpc=network, **MACHINE, **more)


def endpoints(network: ec2.Vpc, **more: Any) -> list[ec2.InterfaceVpcEndpoint]:  # noqa: ANN401
    return [
        network.add_interface_endpoint("Ssm", service=SSM, **more),
        network.add_interface_endpoint("Messages", service=MESSAGES, **more),
    ]


def in_public_subnet(stack: cdk.Stack) -> None:
    instance(stack, vpc(stack), vpc_subnets=PUBLIC)


def without_address(stack: cdk.Stack) -> None:
    instance(stack, vpc(stack), vpc_subnets=PUBLIC, associate_public_ip_address=False)


def without_address_of_subnet(stack: cdk.Stack) -> None:
    kind = ec2.SubnetConfiguration(
        name="Public", subnet_type=ec2.SubnetType.PUBLIC, map_public_ip_on_launch=False
    )
    network = ec2.Vpc(stack, "Vpc", max_azs=1, subnet_configuration=[kind])
    instance(stack, network, vpc_subnets=PUBLIC)


def with_elastic_address(stack: cdk.Stack) -> None:
    machine = instance(stack, vpc(stack), vpc_subnets=PUBLIC, associate_public_ip_address=False)
    ec2.CfnEIP(stack, "Address", instance_id=machine.instance_id)


def behind_nat(stack: cdk.Stack) -> None:
    instance(stack, vpc(stack))


def behind_no_nat(stack: cdk.Stack) -> None:
    network = vpc(stack, ec2.SubnetType.PUBLIC, ec2.SubnetType.PRIVATE_WITH_EGRESS, nat_gateways=0)
    instance(stack, network, vpc_subnets=EGRESS)


def behind_nat_instance(stack: cdk.Stack) -> None:
    nat = ec2.NatProvider.instance_v2(instance_type=ec2.InstanceType("t3.micro"))
    instance(stack, vpc(stack, nat_gateway_provider=nat))


def peered(stack: cdk.Stack) -> None:
    network = isolated(stack)
    instance(stack, network, vpc_subnets=ISOLATED)
    for subnet in network.isolated_subnets:
        assert isinstance(subnet, ec2.Subnet)
        subnet.add_route(
            "Peer",
            router_id="pcx-1",
            router_type=ec2.RouterType.VPC_PEERING_CONNECTION,
            destination_cidr_block="10.8.0.0/16",
        )


def propagated(stack: cdk.Stack) -> None:
    network = isolated(stack, vpn_gateway=True, vpn_route_propagation=[ISOLATED])
    instance(stack, network, vpc_subnets=ISOLATED)


def isolated_alone(stack: cdk.Stack) -> None:
    instance(stack, isolated(stack), vpc_subnets=ISOLATED)


def isolated_with_endpoints(stack: cdk.Stack) -> None:
    network = isolated(stack)
    instance(stack, network, vpc_subnets=ISOLATED)
    endpoints(network)


def isolated_with_fips_endpoints(stack: cdk.Stack) -> None:
    network = isolated(stack)
    instance(stack, network, vpc_subnets=ISOLATED)
    for name in ("ssm-fips", "ssmmessages-fips"):
        service = ec2.InterfaceVpcEndpointAwsService(name)
        network.add_interface_endpoint(name, service=service)


def private_dns_off(stack: cdk.Stack) -> None:
    network = isolated(stack)
    instance(stack, network, vpc_subnets=ISOLATED)
    endpoints(network, private_dns_enabled=False)


def zones_of_ones_own(stack: cdk.Stack) -> None:
    network = isolated(stack)
    instance(stack, network, vpc_subnets=ISOLATED)
    names = ("ssm", "ssmmessages")
    for name, endpoint in zip(names, endpoints(network, private_dns_enabled=False), strict=True):
        zone = route53.PrivateHostedZone(
            stack, f"{name}Zone", zone_name=f"{name}.eu-west-1.amazonaws.com", vpc=network
        )
        target = targets.InterfaceVpcEndpointTarget(endpoint)
        alias = route53.RecordTarget.from_alias(target)
        route53.ARecord(stack, f"{name}Record", zone=zone, target=alias)


def no_dns_host_names(stack: cdk.Stack) -> None:
    network = isolated(stack, enable_dns_hostnames=False)
    instance(stack, network, vpc_subnets=ISOLATED)
    endpoints(network)


def endpoints_that_are_shut(stack: cdk.Stack) -> None:
    network = isolated(stack)
    instance(stack, network, vpc_subnets=ISOLATED)
    endpoints(network, open=False)


def endpoints_that_admit_the_instance(stack: cdk.Stack) -> None:
    network = isolated(stack)
    machine = instance(stack, network, vpc_subnets=ISOLATED)
    for endpoint in endpoints(network, open=False):
        endpoint.connections.allow_default_port_from(machine)


def endpoints_in_an_imported_group(stack: cdk.Stack) -> None:
    network = isolated(stack)
    instance(stack, network, vpc_subnets=ISOLATED)
    group = ec2.SecurityGroup.from_security_group_id(stack, "Given", "sg-1")
    endpoints(network, security_groups=[group], open=False)


def endpoints_with_a_policy(stack: cdk.Stack, *statements: iam.PolicyStatement) -> None:
    network = isolated(stack)
    instance(stack, network, vpc_subnets=ISOLATED)
    for endpoint in endpoints(network):
        for statement in statements:
            endpoint.add_to_policy(statement)


def endpoints_for_the_own_account(stack: cdk.Stack) -> None:
    endpoints_with_a_policy(
        stack,
        iam.PolicyStatement(
            principals=[iam.AnyPrincipal()],
            actions=["*"],
            resources=["*"],
            conditions={"StringEquals": {"aws:PrincipalAccount": stack.account}},
        ),
    )


def addresses_of_ipam(stack: cdk.Stack) -> None:
    addresses = ec2.IpAddresses.aws_ipam_allocation(
        ipv4_ipam_pool_id="ipam-pool-1",
        ipv4_netmask_length=16,
        default_subnet_ipv4_netmask_length=24,
    )
    network = isolated(stack, ip_addresses=addresses)
    instance(stack, network, vpc_subnets=ISOLATED)
    endpoints(network)


def nothing_let_out(stack: cdk.Stack) -> None:
    instance(stack, vpc(stack), allow_all_outbound=False)


def https_let_out(stack: cdk.Stack) -> None:
    machine = instance(stack, vpc(stack), allow_all_outbound=False)
    machine.connections.allow_to_any_ipv4(ec2.Port.tcp(443))


def a_group_let_out_to(stack: cdk.Stack) -> None:
    """CDK writes the rule as a resource of its own, and AWS's default may stay beside it."""
    network = vpc(stack)
    machine = instance(stack, network, allow_all_outbound=False)
    database = ec2.SecurityGroup(stack, "Database", vpc=network)
    machine.connections.allow_to(database, ec2.Port.tcp(5432))


def in_an_imported_vpc(stack: cdk.Stack, **more: Any) -> None:  # noqa: ANN401
    network = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        availability_zones=["eu-west-1a"],
        private_subnet_ids=["subnet-1"],
        vpc_cidr_block="10.0.0.0/16",
    )
    instance(stack, network, **more)


def in_the_default_vpc(stack: cdk.Stack) -> None:
    ec2.CfnInstance(stack, "Instance", image_id="ami-1")


def dual_stack(stack: cdk.Stack) -> None:
    network = vpc(stack, ip_protocol=ec2.IpProtocol.DUAL_STACK)
    instance(stack, network, vpc_subnets=PUBLIC)


def in_the_default_group_that_cdk_empties(stack: cdk.Stack) -> None:
    network = vpc(stack, restrict_default_security_group=True)
    (subnet,) = network.private_subnets
    ec2.CfnInstance(stack, "Instance", image_id="ami-1", subnet_id=subnet.subnet_id)


def endpoints_in_the_default_group(stack: cdk.Stack, **more: Any) -> None:  # noqa: ANN401
    network = isolated(stack, **more)
    (subnet,) = network.isolated_subnets
    ec2.CfnInstance(stack, "Instance", image_id="ami-1", subnet_id=subnet.subnet_id)
    for name in ("ssm", "ssmmessages"):
        ec2.CfnVPCEndpoint(
            stack,
            name,
            vpc_id=network.vpc_id,
            service_name=f"com.amazonaws.eu-west-1.{name}",
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=[subnet.subnet_id],
        )


def endpoints_in_the_default_group_that_cdk_empties(stack: cdk.Stack) -> None:
    endpoints_in_the_default_group(stack, restrict_default_security_group=True)


def a_shut_network_acl(stack: cdk.Stack, *ports: ec2.AclTraffic) -> None:
    network = vpc(stack)
    instance(stack, network)
    acl = ec2.NetworkAcl(stack, "Acl", vpc=network, subnet_selection=EGRESS)
    for number, traffic in enumerate(ports):
        for direction in ec2.TrafficDirection:
            acl.add_entry(
                f"{direction.name}{number}",
                cidr=ec2.AclCidr.any_ipv4(),
                rule_number=100 + number,
                traffic=traffic,
                direction=direction,
            )


def an_open_network_acl(stack: cdk.Stack) -> None:
    a_shut_network_acl(
        stack, ec2.AclTraffic.tcp_port(443), ec2.AclTraffic.tcp_port_range(1024, 65535)
    )


def bastion(stack: cdk.Stack) -> None:
    ec2.BastionHostLinux(stack, "Bastion", vpc=vpc(stack))


def capacity_of_ecs(stack: cdk.Stack) -> None:
    cluster = ecs.Cluster(stack, "Cluster", vpc=vpc(stack))
    cluster.add_capacity("Capacity", instance_type=ec2.InstanceType("t3.micro"))


def nodes_of_eks(stack: cdk.Stack) -> None:
    cluster = eks.Cluster(
        stack,
        "Cluster",
        version=eks.KubernetesVersion.V1_32,
        vpc=vpc(stack),
        default_capacity_type=eks.DefaultCapacityType.NODEGROUP,
        default_capacity=0,
    )
    cluster.add_nodegroup_capacity("Nodes")


def group_in_two_kinds_of_subnet(stack: cdk.Stack) -> None:
    network = vpc(
        stack,
        ec2.SubnetType.PUBLIC,
        ec2.SubnetType.PRIVATE_WITH_EGRESS,
        ec2.SubnetType.PRIVATE_ISOLATED,
    )
    both = [*network.private_subnets, *network.isolated_subnets]
    autoscaling.AutoScalingGroup(
        stack, "Group", vpc=network, vpc_subnets=ec2.SubnetSelection(subnets=both), **MACHINE
    )


def group_with_a_launch_template(stack: cdk.Stack) -> None:
    network = vpc(stack)
    template = ec2.LaunchTemplate(
        stack,
        "Template",
        security_group=ec2.SecurityGroup(stack, "Given", vpc=network, allow_all_outbound=False),
        **MACHINE,
    )
    autoscaling.AutoScalingGroup(stack, "Group", vpc=network, launch_template=template)


SHAPES: Final[list[tuple[Callable[[cdk.Stack], None], str]]] = [
    (in_public_subnet, OPEN),
    (without_address, NO_NETWORK_PATH),
    (without_address_of_subnet, NO_NETWORK_PATH),
    (with_elastic_address, OPEN),
    (behind_nat, OPEN),
    (behind_no_nat, NO_NETWORK_PATH),
    (peered, UNKNOWN),
    (propagated, UNKNOWN),
    (isolated_alone, NO_NETWORK_PATH),
    (isolated_with_endpoints, OPEN),
    (isolated_with_fips_endpoints, UNKNOWN),
    (private_dns_off, ENDPOINT_UNREACHABLE),
    (zones_of_ones_own, OPEN),
    (no_dns_host_names, ENDPOINT_UNREACHABLE),
    (endpoints_that_are_shut, ENDPOINT_UNREACHABLE),
    (endpoints_that_admit_the_instance, OPEN),
    (endpoints_in_an_imported_group, UNKNOWN),
    (endpoints_for_the_own_account, OPEN),
    (addresses_of_ipam, OPEN),
    (nothing_let_out, EGRESS_CLOSED),
    (https_let_out, OPEN),
    (a_group_let_out_to, UNKNOWN),
    (in_an_imported_vpc, UNKNOWN),
    (in_the_default_vpc, UNKNOWN),
    (dual_stack, UNKNOWN),
    (in_the_default_group_that_cdk_empties, EGRESS_CLOSED),
    (endpoints_in_the_default_group, OPEN),
    (endpoints_in_the_default_group_that_cdk_empties, EGRESS_CLOSED),
    (a_shut_network_acl, NO_NETWORK_PATH),
    (an_open_network_acl, OPEN),
    (bastion, OPEN),
    (capacity_of_ecs, OPEN),
    (nodes_of_eks, OPEN),
    (group_in_two_kinds_of_subnet, NO_NETWORK_PATH),
    (group_with_a_launch_template, EGRESS_CLOSED),
]


def verdict(stack: cdk.Stack, logical_id: str = "") -> PathVerdict:
    """The verdict on the only compute of a stack, or the one whose id starts so."""
    found = verdicts([str(synth(stack) / stack.template_file)])
    (one,) = (one for by, one in found.items() if by.logical_id.startswith(logical_id))
    return one


@pytest.mark.parametrize(
    ("build", "expected"), [pytest.param(*row, id=row[0].__name__) for row in SHAPES]
)
def test_shapes_of_cdk(
    stack_here: cdk.Stack, build: Callable[[cdk.Stack], None], expected: str
) -> None:
    build(stack_here)
    assert said(verdict(stack_here)) == expected


APP_VERDICTS: Final[list[tuple[str, dict[str, str]]]] = [
    ("build_runners", {f"AutoScalingGroup{number}": OPEN for number in range(1, 6)}),
    ("code_server", {"Instance1": OPEN}),
    ("containers_in_public_subnets", {"AutoScalingGroup1": OPEN}),
    ("editor_behind_a_distribution", {"Instance1": OPEN}),
    ("endpoint_for_signals", {"Instance1": OPEN, "Instance2": NO_NETWORK_PATH}),
    ("instance_connect", {"Instance1": OPEN}),
]


@pytest.mark.parametrize(("name", "expected"), APP_VERDICTS)
def test_networks_of_public_apps(name: str, expected: dict[str, str]) -> None:
    found = verdicts([str(APPS / f"{name}.json")])
    assert {by.logical_id: said(one) for by, one in found.items()} == expected


def test_nat_instance_is_open_itself_and_what_is_behind_it_is_not_known(
    stack_here: cdk.Stack,
) -> None:
    behind_nat_instance(stack_here)
    found = verdict(stack_here, "Instance")
    assert found.state is State.UNKNOWN
    assert found.decides[0].startswith("the instance 'VpcPublicSubnet1NatInstance")
    assert said(verdict(stack_here, "Vpc")) == OPEN


BLOCK = "10.0.0.0/16"


def templated(**changes: dict[str, Any] | None) -> dict[str, Any]:
    """A template with an instance behind NAT, and what differs in it; None is left out."""
    parts: dict[str, dict[str, Any] | None] = {
        "Vpc": resource(
            "AWS::EC2::VPC", CidrBlock=BLOCK, EnableDnsSupport=True, EnableDnsHostnames="true"
        ),
        "Gateway": resource("AWS::EC2::InternetGateway"),
        "Attachment": resource(
            "AWS::EC2::VPCGatewayAttachment", VpcId=ref("Vpc"), InternetGatewayId=ref("Gateway")
        ),
        "Private": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.1.0/24"),
        "Public": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.2.0/24"),
        "PrivateTable": resource("AWS::EC2::RouteTable", VpcId=ref("Vpc")),
        "PublicTable": resource("AWS::EC2::RouteTable", VpcId=ref("Vpc")),
        "PrivateAssociation": association("Private", "PrivateTable"),
        "PublicAssociation": association("Public", "PublicTable"),
        "PrivateRoute": route("PrivateTable", NatGatewayId=ref("Nat")),
        "PublicRoute": route("PublicTable", GatewayId=ref("Gateway")),
        "Nat": resource("AWS::EC2::NatGateway", SubnetId=ref("Public"), AllocationId="eipalloc-1"),
        "Group": resource("AWS::EC2::SecurityGroup", VpcId=ref("Vpc")),
        "Instance": resource(
            "AWS::EC2::Instance",
            SubnetId=ref("Private"),
            SecurityGroupIds=[att("Group", "GroupId")],
        ),
        **changes,
    }
    return {"Resources": {name: part for name, part in parts.items() if part is not None}}


def association(subnet: str, table: str, condition: str = "") -> dict[str, Any]:
    kind = "AWS::EC2::SubnetRouteTableAssociation"
    return on(resource(kind, SubnetId=ref(subnet), RouteTableId=ref(table)), condition)


def route(table: str, condition: str = "", **target: object) -> dict[str, Any]:
    to = {"DestinationCidrBlock": "0.0.0.0/0"} | target
    return on(resource("AWS::EC2::Route", RouteTableId=ref(table), **to), condition)


def made(service: str, **changes: object) -> dict[str, Any]:
    given: dict[str, object] = {
        "VpcId": ref("Vpc"),
        "VpcEndpointType": "Interface",
        "ServiceName": {"Fn::Sub": f"com.amazonaws.${{AWS::Region}}.{service}"},
        "PrivateDnsEnabled": True,
        "SubnetIds": [ref("Private")],
        "SecurityGroupIds": [ref("Admits")],
        **changes,
    }
    condition = given.pop("Condition", "")
    return on(resource("AWS::EC2::VPCEndpoint", **given), str(condition))


def admitting(**changes: object) -> dict[str, Any]:
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": BLOCK} | changes
    given = {name: value for name, value in rule.items() if value is not None}
    return resource("AWS::EC2::SecurityGroup", VpcId=ref("Vpc"), SecurityGroupIngress=[given])


def entry(number: object, *, egress: object, **changes: object) -> dict[str, Any]:
    given: dict[str, object] = {
        "NetworkAclId": ref("Acl"),
        "RuleNumber": number,
        "Egress": egress,
        "Protocol": -1,
        "RuleAction": "allow",
        "CidrBlock": "0.0.0.0/0",
        **changes,
    }
    return resource("AWS::EC2::NetworkAclEntry", **given)


def with_endpoints(**changes: dict[str, Any] | None) -> dict[str, Any]:
    """A template with an instance whose only way out is by endpoints."""
    return templated(
        **{
            "PrivateRoute": None,
            "Ssm": made("ssm"),
            "Messages": made("ssmmessages"),
            "Admits": admitting(),
            **changes,
        }
    )


ON = "Production"
PARAMETER = ref("Given")
NO_VALUE = {"Ref": "AWS::NoValue"}
CUSTOM = "Custom::Routes"
LOOP = {"Fn::ForEach::Endpoints": ["Service", ["ssm", "ssmmessages"], {}]}


def instance_on(**more: object) -> dict[str, Any]:
    return on(
        resource(
            "AWS::EC2::Instance",
            SubnetId=ref("Private"),
            SecurityGroupIds=[ref("Group")],
            **more,
        )
    )


def instance_with_proxy() -> dict[str, Any]:
    """An instance without a condition whose user data names a proxy."""
    data = {"Fn::Base64": {"Fn::Join": ["", ["HTTPS_PROXY=http://", ref("Proxy"), ":3128"]]}}
    given = instance_on(UserData=data)
    del given["Condition"]
    return given


def blocking(mode: object) -> dict[str, Any]:
    return resource("AWS::EC2::VPCBlockPublicAccessOptions", InternetGatewayBlockMode=mode)


def edge(gateway: object) -> dict[str, Any]:
    """A route table of a gateway, which sends what comes in to an appliance."""
    kind = "AWS::EC2::GatewayRouteTableAssociation"
    return {
        "EdgeTable": resource("AWS::EC2::RouteTable", VpcId=ref("Vpc")),
        "Inspects": route("EdgeTable", DestinationCidrBlock="10.0.2.0/24", VpcEndpointId="vpce-1"),
        "Edge": resource(kind, GatewayId=gateway, RouteTableId=ref("EdgeTable")),
    }


def listing(*entries: object) -> dict[str, Any]:
    """A prefix list of the app, which is all that the group lets out to."""
    rule = {"IpProtocol": "-1", "DestinationPrefixListId": att("List", "PrefixListId")}
    return {
        "List": resource("AWS::EC2::PrefixList", Entries=[*entries]),
        "Group": resource("AWS::EC2::SecurityGroup", SecurityGroupEgress=[rule]),
    }


ROUTE_ROWS: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("as it is", templated(), OPEN),
    ("no association", templated(PrivateAssociation=None), NO_NETWORK_PATH),
    ("NAT gateway whose connectivity is a parameter",
     templated(Nat=resource("AWS::EC2::NatGateway", SubnetId=ref("Public"),
                            ConnectivityType=PARAMETER)), UNKNOWN),
    ("regional NAT gateway without an internet gateway",
     templated(Attachment=None,
               Nat=resource("AWS::EC2::NatGateway", VpcId=ref("Vpc"),
                            AvailabilityMode="regional")), UNKNOWN),
    ("NAT gateway by parameter", templated(PrivateRoute=route("PrivateTable",
                                                              NatGatewayId=PARAMETER)), UNKNOWN),
    ("NAT gateway by id", templated(PrivateRoute=route("PrivateTable", NatGatewayId="nat-1")),
     UNKNOWN),
    ("attachment to a VPC by parameter",
     templated(Attachment=resource("AWS::EC2::VPCGatewayAttachment", VpcId=PARAMETER,
                                   InternetGatewayId=ref("Gateway"))), UNKNOWN),
    ("attachment of a gateway by parameter",
     templated(Attachment=resource("AWS::EC2::VPCGatewayAttachment", VpcId=ref("Vpc"),
                                   InternetGatewayId=PARAMETER)), UNKNOWN),
    ("attachment of a VPN gateway",
     templated(Attachment=resource("AWS::EC2::VPCGatewayAttachment", VpcId=ref("Vpc"),
                                   VpnGatewayId="vgw-1")), NO_NETWORK_PATH),
    ("gateway by id", templated(PrivateRoute=route("PrivateTable", GatewayId="igw-1")), UNKNOWN),
    ("gateway by parameter", templated(PrivateRoute=route("PrivateTable", GatewayId=PARAMETER)),
     UNKNOWN),
    ("local gateway", templated(PrivateRoute=route("PrivateTable", GatewayId="local")),
     NO_NETWORK_PATH),
    ("VPN gateway",
     templated(Vpn=resource("AWS::EC2::VPNGateway"),
               PrivateRoute=route("PrivateTable", GatewayId=ref("Vpn"))), UNKNOWN),
    ("transit gateway by import",
     templated(PrivateRoute=route("PrivateTable", TransitGatewayId={"Fn::ImportValue": "Tgw"})),
     UNKNOWN),
    ("peering of the app",
     templated(Peering=resource("AWS::EC2::VPCPeeringConnection"),
               PrivateRoute=route("PrivateTable", DestinationCidrBlock="10.8.0.0/16",
                                  VpcPeeringConnectionId=ref("Peering"))), UNKNOWN),
    ("public access not blocked",
     templated(Blocks=resource("AWS::EC2::VPCBlockPublicAccessOptions",
                               InternetGatewayBlockMode="off")), OPEN),
    ("an IPv6-only subnet",
     templated(Private=resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), Ipv6Native=True)), UNKNOWN),
    ("an entry of the default network ACL",
     templated(No=entry(99, egress=True, NetworkAclId=att("Vpc", "DefaultNetworkAcl"),
                        RuleAction="deny")), UNKNOWN),
    ("two targets", templated(PrivateRoute=route("PrivateTable", NatGatewayId=ref("Nat"),
                                                 InstanceId="i-1")), UNKNOWN),
    ("destination by parameter",
     templated(PrivateRoute=route("PrivateTable", DestinationCidrBlock=PARAMETER,
                                  NatGatewayId=ref("Nat"))), UNKNOWN),
    ("destination by prefix list",
     templated(PrivateRoute=route("PrivateTable", DestinationCidrBlock={"Ref": "AWS::NoValue"},
                                  DestinationPrefixListId="pl-1", NatGatewayId=ref("Nat"))),
     UNKNOWN),
    ("IPv6 in a subnet without it",
     templated(PrivateRoute=route("PrivateTable", DestinationCidrBlock={"Ref": "AWS::NoValue"},
                                  DestinationIpv6CidrBlock="::/0",
                                  EgressOnlyInternetGatewayId="eigw-1")), NO_NETWORK_PATH),
    ("IPv6 in a subnet that a resource gives it",
     templated(Block=resource("AWS::EC2::SubnetCidrBlock", SubnetId=ref("Private"),
                              Ipv6CidrBlock="2001:db8::/64"),
               PrivateRoute=route("PrivateTable", DestinationCidrBlock={"Ref": "AWS::NoValue"},
                                  DestinationIpv6CidrBlock="::/0",
                                  EgressOnlyInternetGatewayId="eigw-1")), UNKNOWN),
    ("route into a table by parameter",
     templated(PrivateRoute=resource("AWS::EC2::Route", RouteTableId=PARAMETER,
                                     DestinationCidrBlock="0.0.0.0/0", NatGatewayId=ref("Nat"))),
     UNKNOWN),
    ("route into a table by id",
     templated(PrivateRoute=resource("AWS::EC2::Route", RouteTableId="rtb-1",
                                     DestinationCidrBlock="0.0.0.0/0", NatGatewayId=ref("Nat"))),
     UNKNOWN),
    ("association of a subnet by parameter",
     templated(PrivateAssociation=resource("AWS::EC2::SubnetRouteTableAssociation",
                                           SubnetId=PARAMETER, RouteTableId=ref("PrivateTable"))),
     UNKNOWN),
    ("association with another app's table",
     templated(PrivateAssociation=resource("AWS::EC2::SubnetRouteTableAssociation",
                                           SubnetId=ref("Private"), RouteTableId="rtb-1")),
     UNKNOWN),
    ("propagated by a VPN gateway",
     templated(PrivateRoute=resource("AWS::EC2::VPNGatewayRoutePropagation",
                                     RouteTableIds=[ref("PrivateTable")])), UNKNOWN),
    ("propagated by a route server",
     templated(PrivateRoute=resource("AWS::EC2::RouteServerPropagation",
                                     RouteTableId=ref("PrivateTable"))), UNKNOWN),
    ("propagated into another table",
     templated(PrivateRoute=resource("AWS::EC2::RouteServerPropagation",
                                     RouteTableId=ref("PublicTable"))), NO_NETWORK_PATH),
    ("custom resource with the table",
     templated(PrivateRoute=resource(CUSTOM, Table=ref("PrivateTable"))), UNKNOWN),
    ("custom resource with another table",
     templated(PrivateRoute=resource(CUSTOM, Table=ref("PublicTable"))), NO_NETWORK_PATH),
    ("custom resource with the VPC",
     templated(PrivateRoute=resource(CUSTOM, Vpc=ref("Vpc"))), UNKNOWN),
    ("custom resource with the VPC beside NAT", templated(Custom=resource(CUSTOM, Vpc=ref("Vpc"))),
     OPEN),
    ("custom resource with the VPC, and no table of the subnet",
     templated(PrivateAssociation=None, Custom=resource(CUSTOM, Vpc=ref("Vpc"))), UNKNOWN),
    ("route into a table by parameter, and no table of the subnet",
     templated(PrivateAssociation=None,
               Main=resource("AWS::EC2::Route", RouteTableId=att("Custom", "Main"),
                             DestinationCidrBlock="0.0.0.0/0", NatGatewayId=ref("Nat")),
               Custom=resource(CUSTOM)), UNKNOWN),
    ("custom resource with the subnet",
     templated(PrivateRoute=resource(CUSTOM, Subnet=ref("Private"))), UNKNOWN),
    ("custom resource with the subnet beside NAT",
     templated(Custom=resource(CUSTOM, Subnet=ref("Private"))), OPEN),
    ("custom resource with the instance",
     templated(PrivateRoute=resource(CUSTOM, Instance=ref("Instance"))), UNKNOWN),
    ("custom resource with the instance beside NAT",
     templated(Custom=resource(CUSTOM, Instance=ref("Instance"))), OPEN),
    ("user data that sets a proxy",
     templated(PrivateRoute=None, Instance=instance_with_proxy()), UNKNOWN),
    ("user data that sets a proxy beside NAT", templated(Instance=instance_with_proxy()), OPEN),
    ("another interface that is attached",
     templated(PrivateRoute=resource("AWS::EC2::NetworkInterfaceAttachment",
                                     InstanceId=ref("Instance"), NetworkInterfaceId=PARAMETER,
                                     DeviceIndex="1")), UNKNOWN),
    ("another interface that is attached to an instance by parameter",
     templated(PrivateRoute=resource("AWS::EC2::NetworkInterfaceAttachment", InstanceId=PARAMETER,
                                     NetworkInterfaceId=PARAMETER, DeviceIndex="1")), UNKNOWN),
    ("custom resource of CloudFormation",
     templated(PrivateRoute=resource("AWS::CloudFormation::CustomResource",
                                     Table=ref("PrivateTable"))), UNKNOWN),
    ("type of one's own",
     templated(PrivateRoute=resource("Own::Network::Route", Table=ref("PrivateTable"))), UNKNOWN),
    ("stack that is not here with the table",
     templated(PrivateRoute=resource("AWS::CloudFormation::Stack",
                                     Parameters={"Table": ref("PrivateTable")})), UNKNOWN),
    ("stack that is not here with the VPC, beside NAT",
     templated(Other=resource("AWS::CloudFormation::Stack", Parameters={"Vpc": ref("Vpc")})),
     UNKNOWN),
    ("stack that is not here with something else",
     templated(PrivateRoute=resource("AWS::CloudFormation::Stack",
                                     Parameters={"Gateway": ref("Gateway")})), NO_NETWORK_PATH),
    ("module", templated(PrivateRoute=resource("Own::Network::Part::MODULE")), UNKNOWN),
    ("included parts", templated(PrivateRoute=None) | {"Transform": {
        "Name": "AWS::Include", "Parameters": {"Location": "s3://bucket/key"}}}, UNKNOWN),
    ("custom resource of CDK's EKS with the table",
     templated(PrivateRoute=resource("Custom::AWSCDK-EKS-Cluster", Table=ref("PrivateTable"))),
     NO_NETWORK_PATH),
    ("VPC by parameter",
     templated(Private=resource("AWS::EC2::Subnet", VpcId=PARAMETER, CidrBlock="10.0.1.0/24")),
     UNKNOWN),
    ("VPC of a custom resource",
     templated(Private=resource("AWS::EC2::Subnet", VpcId=att("Custom", "VpcId")),
               Custom=resource(CUSTOM)), UNKNOWN),
    ("subnet by parameter",
     templated(Instance=resource("AWS::EC2::Instance", SubnetId=PARAMETER)), UNKNOWN),
    ("a loop beside NAT", {"Resources": templated()["Resources"] | LOOP}, UNKNOWN),
    ("a loop beside nothing",
     {"Resources": templated(PrivateRoute=None)["Resources"] | LOOP}, UNKNOWN),
    ("a macro", templated(PrivateRoute=None) | {"Transform": ["AWS::Serverless-2016-10-31", "Own"]},
     UNKNOWN),
    ("a macro that makes no network", templated(PrivateRoute=None) | {
        "Transform": "AWS::CodeDeployBlueGreen"}, NO_NETWORK_PATH),
    ("a macro of AWS", templated(PrivateRoute=None) | {"Transform": "AWS::Serverless-2016-10-31"},
     NO_NETWORK_PATH),
    ("public access blocked both ways",
     templated(Blocks=blocking("block-bidirectional")), UNKNOWN),
    ("public access blocked by parameter", templated(Blocks=blocking(PARAMETER)), UNKNOWN),
    ("public access blocked from outside", templated(Blocks=blocking("block-ingress")), OPEN),
    ("public access blocked both ways, and a regional NAT gateway",
     templated(Blocks=blocking("block-bidirectional"),
               Nat=resource("AWS::EC2::NatGateway", VpcId=ref("Vpc"),
                            AvailabilityMode="regional")), UNKNOWN),
    ("route table of the internet gateway", templated(**edge(ref("Gateway"))), UNKNOWN),
    ("route table of the internet gateway without routes",
     templated(**edge(ref("Gateway")) | {"Inspects": None}), OPEN),
    ("route table of the internet gateway by id",
     templated(**edge(ref("Gateway")) | {
         "Edge": resource("AWS::EC2::GatewayRouteTableAssociation", GatewayId=ref("Gateway"),
                          RouteTableId="rtb-1")}), UNKNOWN),
    ("route table of a gateway by parameter", templated(**edge(PARAMETER)), UNKNOWN),
    ("route table of a VPN gateway",
     templated(Vpn=resource("AWS::EC2::VPNGateway"), **edge(ref("Vpn"))), OPEN),
    ("CDK's writer to another region with the table",
     templated(PrivateRoute=resource("Custom::CrossRegionExportWriter", Writer={
         "exports": {"/cdk/exports/Table": ref("PrivateTable")}})), NO_NETWORK_PATH),
    ("network ACL of a subnet by parameter",
     templated(Acl=resource("AWS::EC2::NetworkAcl", VpcId=ref("Vpc")),
               Uses=resource("AWS::EC2::SubnetNetworkAclAssociation", SubnetId=PARAMETER,
                             NetworkAclId=ref("Acl"))), UNKNOWN),
    ("network ACL of a subnet by attribute",
     templated(Acl=resource("AWS::EC2::NetworkAcl", VpcId=ref("Vpc")), Custom=resource(CUSTOM),
               Uses=resource("AWS::EC2::SubnetNetworkAclAssociation",
                             SubnetId=att("Custom", "Subnet"), NetworkAclId=ref("Acl"))), UNKNOWN),
    ("network ACL of another subnet",
     templated(Acl=resource("AWS::EC2::NetworkAcl", VpcId=ref("Vpc")),
               Third=resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.3.0/24"),
               Uses=resource("AWS::EC2::SubnetNetworkAclAssociation", SubnetId=ref("Third"),
                             NetworkAclId=ref("Acl"))), OPEN),
    ("subnet by branches that agree",
     templated(Instance=resource("AWS::EC2::Instance", SecurityGroupIds=[ref("Group")], SubnetId={
         "Fn::If": [ON, ref("Private"), ref("Private")]})), OPEN),
    ("prefix list that a custom resource changes",
     templated(**listing({"Cidr": "0.0.0.0/0"}), Custom=resource(CUSTOM, List=ref("List"))),
     UNKNOWN),
    ("prefix list with an entry by parameter", templated(**listing(PARAMETER)), UNKNOWN),
    ("prefix list with a range by parameter", templated(**listing({"Cidr": PARAMETER})), UNKNOWN),
    ("prefix list whose entries suffice together",
     templated(**listing({"Cidr": "0.0.0.0/1"}, {"Cidr": "128.0.0.0/1"})), OPEN),
    ("prefix list without entries", templated(**listing()), EGRESS_CLOSED),
    ("a type that is not known, with the VPC",
     templated(New=resource("AWS::EC2::VPCFilter", VpcId=ref("Vpc"))), UNKNOWN),
    ("a type that is not known, with a subnet, where no route leads out",
     templated(PrivateRoute=None, New=resource("AWS::EC2::Way", Subnets=[ref("Private")])),
     UNKNOWN),
    ("a type that is not known, on a condition",
     templated(New=on(resource("AWS::Route53Resolver::Blocker", Of=ref("Vpc")))), UNKNOWN),
    ("a type that is not known, with another VPC",
     templated(New=resource("AWS::EC2::VPCFilter", VpcId=ref("Other")),
               Other=resource("AWS::EC2::VPC", CidrBlock=BLOCK)), OPEN),
    ("a type of another service, with the VPC",
     templated(New=resource("AWS::Database::Cluster", VpcId=ref("Vpc"))), OPEN),
    ("a type that changes no path, with the VPC",
     templated(New=resource("AWS::EC2::FlowLog", ResourceId=ref("Vpc"))), OPEN),
]  # fmt: skip

STRANGE: Final = {
    "AWS::EC2::ApplicationStatusCheck",
    "AWS::EC2::EnclaveCertificateIamRoleAssociation",
    "AWS::EC2::FpgaImage",
    "AWS::EC2::IPv4Pool",
    "AWS::EC2::IpPoolRouteTableAssociation",
    "AWS::EC2::NetworkPerformanceMetricSubscription",
    "AWS::EC2::SecondaryNetwork",
    "AWS::EC2::SnapshotBlockPublicAccess",
    "AWS::EC2::SqlHaStandbyDetectedInstance",
    "AWS::EC2::VPCEncryptionControl",
}
"""What CDK has that may change a network, or names no part of one."""


def test_what_is_known_of_the_types_of_cdk() -> None:
    library = Path(cdk.__file__).parent
    modules = ("ec2", "networkfirewall", "networkmanager", "ram", "route53*", "vpclattice")
    files = [one for name in modules for one in library.glob(f"aws_{name}/__init__.py")]
    types = {
        type_
        for one in files
        for type_ in re.findall(r"(?<=:cloudformationResource: )[\w:]+", one.read_text("utf-8"))
        if not type_.startswith("AWS::Route53Rec") and not type_.startswith("AWS::Route53Global")
    }
    assert len(types) >= 100
    assert {one for one in types if not _KNOWN.fullmatch(one)} <= STRANGE


@pytest.mark.parametrize(
    ("body", "expected"), [pytest.param(*row[1:], id=row[0]) for row in ROUTE_ROWS]
)
def test_routes(tmp_path: Path, body: dict[str, Any], expected: str) -> None:
    (found,) = verdicts(write(tmp_path, Stack=body)).values()
    assert said(found) == expected


IPV6 = resource("AWS::EC2::SubnetCidrBlock", SubnetId=ref("Private"), Ipv6CidrBlock="2001:db8::/64")
SELF = {"Admits": resource("AWS::EC2::SecurityGroup", VpcId=ref("Vpc"))}


def ingress(**changes: object) -> dict[str, Any]:
    rule: dict[str, object] = {"GroupId": ref("Admits"), "IpProtocol": "-1", "CidrIp": BLOCK}
    return resource("AWS::EC2::SecurityGroupIngress", **rule | changes)


def addressed(address: object) -> dict[str, Any]:
    return resource(
        "AWS::EC2::Instance",
        SubnetId=ref("Private"),
        SecurityGroupIds=[ref("Group")],
        PrivateIpAddress=address,
    )


ONE_OF_MANY: Final = {
    "Fn::Join": ["-", ["sg", *({"Fn::If": [f"{ON}{bit}", "0", "1"]} for bit in range(7))]]
}
"""A group in twice as many worlds as are judged."""

FOREIGN: Final = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
"""What an endpoint is in, by ids."""

ALLOWS_ALL: Final = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
POLICIES_OF_ALL: Final[dict[str, object]] = {
    "as JSON": json.dumps({"Statement": [ALLOWS_ALL]}),
    "as JSON that a function makes": {"Fn::ToJsonString": {"Statement": [ALLOWS_ALL]}},
    "with an action that is joined": {
        "Statement": ALLOWS_ALL | {"Action": {"Fn::Join": [":", ["ssm", "*"]]}}
    },
    "for the account": {"Statement": ALLOWS_ALL | {"Principal": {"AWS": ref("AWS::AccountId")}}},
    "for the root of the account": {
        "Statement": ALLOWS_ALL
        | {"Principal": {"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}}}
    },
}


def with_policy(policy: object) -> dict[str, Any]:
    return with_endpoints(Ssm=made("ssm", PolicyDocument=policy))


def ranged(subnet: object, admitted: object, vpc: object = BLOCK) -> dict[str, Any]:
    """Endpoints that admit a range, and the ranges of the subnet and of the VPC."""
    return with_endpoints(
        Vpc=resource("AWS::EC2::VPC", CidrBlock=vpc, EnableDnsHostnames=True),
        Private=resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock=subnet),
        Admits=admitting(CidrIp=admitted),
    )


def nth(place: int, of: object) -> dict[str, Any]:
    return {"Fn::Select": [place, of]}


LIST: Final = {"Fn::Split": [";", PARAMETER]}
BLOCKS: Final = {"Fn::Cidr": [att("Vpc", "CidrBlock"), "4", 8]}
"""Subnets of 256 addresses."""

ENDPOINT_ROWS: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("as it is", with_endpoints(), OPEN),
    ("gateway type", with_endpoints(Ssm=made("ssm", VpcEndpointType="Gateway")), ENDPOINT_MISSING),
    ("default type", with_endpoints(Ssm=made("ssm", VpcEndpointType="GatewayLoadBalancer")),
     ENDPOINT_MISSING),
    ("type by parameter", with_endpoints(Ssm=made("ssm", VpcEndpointType=PARAMETER)), UNKNOWN),
    ("private DNS not written", with_endpoints(Ssm=made("ssm", PrivateDnsEnabled=None)),
     ENDPOINT_UNREACHABLE),
    ("private DNS by parameter", with_endpoints(Ssm=made("ssm", PrivateDnsEnabled=PARAMETER)),
     UNKNOWN),
    ("service by parameter", with_endpoints(Ssm=made("", ServiceName=PARAMETER)), UNKNOWN),
    ("of another region", with_endpoints(Ssm=made("", ServiceName="com.amazonaws.eu-west-2.ssm")),
     ENDPOINT_MISSING),
    ("of another region by its name",
     with_endpoints(Ssm=made("ssm", ServiceRegion="eu-west-2")), ENDPOINT_MISSING),
    ("in a VPC by parameter", with_endpoints(Ssm=made("ssm", VpcId=PARAMETER, **FOREIGN)),
     UNKNOWN),
    ("in a VPC by parameter, in a subnet of the VPC",
     with_endpoints(Ssm=made("ssm", VpcId=PARAMETER)), OPEN),
    ("in a VPC by id", with_endpoints(Ssm=made("ssm", VpcId="vpc-1", **FOREIGN)), UNKNOWN),
    ("in a VPC by id, in a group of the VPC",
     with_endpoints(Ssm=made("ssm", VpcId="vpc-1", SubnetIds=["subnet-1"])), OPEN),
    ("in a VPC by id, in a group of another VPC",
     with_endpoints(Ssm=made("ssm", VpcId="vpc-1", SubnetIds=["subnet-1"],
                             SecurityGroupIds=[ref("Apart")]),
                    Other=resource("AWS::EC2::VPC", CidrBlock=BLOCK),
                    Apart=resource("AWS::EC2::SecurityGroup", VpcId=ref("Other"))),
     ENDPOINT_MISSING),
    ("in no subnet", with_endpoints(Ssm=made("ssm", SubnetIds=[])), UNKNOWN),
    ("in subnets that are not written", with_endpoints(Ssm=made("ssm", SubnetIds=None)), UNKNOWN),
    ("custom resource with the endpoint that admits nothing",
     with_endpoints(Admits=admitting(CidrIp="127.0.0.1/32"),
                    Custom=resource(CUSTOM, Endpoints=[ref("Ssm"), ref("Messages")])), UNKNOWN),
    ("custom resource with the endpoint whose policy allows nothing",
     with_endpoints(Ssm=made("ssm", PolicyDocument={"Statement": []}),
                    Custom=resource(CUSTOM, Endpoint=ref("Ssm"))), UNKNOWN),
    ("custom resource with the endpoint that admits all",
     with_endpoints(Custom=resource(CUSTOM, Endpoint=ref("Ssm"))), OPEN),
    ("custom resource with the default group, which admits itself alone",
     with_endpoints(Ssm=made("ssm", SecurityGroupIds=None),
                    Custom=resource(CUSTOM, Group=att("Vpc", "DefaultSecurityGroup"))), UNKNOWN),
    ("in the VPC or in one by parameter, in a subnet of the VPC",
     with_endpoints(Ssm=made("ssm", VpcId={"Fn::If": [ON, ref("Vpc"), PARAMETER]})), OPEN),
    ("in subnets by parameter", with_endpoints(Ssm=made("ssm", SubnetIds=PARAMETER)), OPEN),
    ("groups by parameter", with_endpoints(Ssm=made("ssm", SecurityGroupIds=PARAMETER)), UNKNOWN),
    ("no groups", with_endpoints(Ssm=made("ssm", SecurityGroupIds=None)), ENDPOINT_UNREACHABLE),
    ("no groups, and a rule of the default one",
     with_endpoints(Ssm=made("ssm", SecurityGroupIds=None),
                    Rule=ingress(GroupId=att("Vpc", "DefaultSecurityGroup"))), OPEN),
    ("policy by parameter", with_endpoints(Ssm=made("ssm", PolicyDocument=PARAMETER)), UNKNOWN),
    *((f"policy that allows all, {name}", with_policy(policy), OPEN)
      for name, policy in POLICIES_OF_ALL.items()),
    ("policy as JSON that allows nothing", with_policy('{"Statement": []}'), ENDPOINT_UNREACHABLE),
    ("policy as JSON that can't be read", with_policy("{"), UNKNOWN),
    ("policy as JSON with a part by parameter",
     with_policy({"Fn::Sub": '{"Statement": {"Action": "${Given}"}}'}), UNKNOWN),
    ("policy by a dynamic reference", with_policy("{{resolve:ssm:/policy}}"), UNKNOWN),
    *((f"policy with an action by a dynamic reference, {effect}", with_policy({"Statement": [
        ALLOWS_ALL, ALLOWS_ALL | {"Effect": effect, "Action": "{{resolve:ssm:/action}}"}]}), says)
      for effect, says in {"Allow": OPEN, "Deny": UNKNOWN}.items()),
    ("policy that is not there",
     with_endpoints(Ssm=made("ssm", PolicyDocument={"Ref": "AWS::NoValue"})), OPEN),
    ("admitting another port", with_endpoints(Admits=admitting(FromPort=80, ToPort=80)),
     ENDPOINT_UNREACHABLE),
    ("admitting a range of ports", with_endpoints(Admits=admitting(FromPort=0, ToPort="65535")),
     OPEN),
    ("admitting ports by a function", with_endpoints(
        Admits=admitting(FromPort={"Fn::Sub": "443"}, ToPort={"Fn::Join": ["", ["44", "3"]]},
                         IpProtocol={"Fn::Sub": "tcp"})), OPEN),
    ("admitting another port by a function",
     with_endpoints(Admits=admitting(FromPort={"Fn::Sub": "80"}, ToPort={"Fn::Sub": "80"})),
     ENDPOINT_UNREACHABLE),
    ("admitting ports by parameter", with_endpoints(Admits=admitting(FromPort=PARAMETER)), UNKNOWN),
    ("admitting a range by parameter", with_endpoints(Admits=admitting(CidrIp=PARAMETER)), UNKNOWN),
    ("admitting what something else says",
     with_endpoints(Admits=admitting(CidrIp=att("Custom", "Block")), Custom=resource(CUSTOM)),
     UNKNOWN),
    ("admitting IPv6", with_endpoints(Admits=admitting(CidrIp=None, CidrIpv6="::/0")),
     ENDPOINT_UNREACHABLE),
    ("admitting nobody knows whom", with_endpoints(Admits=admitting(CidrIp=None)), UNKNOWN),
    ("admitting a group by id",
     with_endpoints(Admits=admitting(CidrIp=None, SourceSecurityGroupId="sg-1")), UNKNOWN),
    ("admitting a group by parameter",
     with_endpoints(Admits=admitting(CidrIp=None, SourceSecurityGroupId=PARAMETER)), UNKNOWN),
    ("admitting a prefix list",
     with_endpoints(Admits=admitting(CidrIp=None, SourcePrefixListId="pl-1")), UNKNOWN),
    ("admitting by parameter",
     with_endpoints(Admits=resource("AWS::EC2::SecurityGroup", SecurityGroupIngress=PARAMETER)),
     UNKNOWN),
    ("admitting by parameter on a condition",
     with_endpoints(Admits=resource("AWS::EC2::SecurityGroup", SecurityGroupIngress=[
         {"Fn::If": [ON, PARAMETER, NO_VALUE]}])), UNKNOWN),
    ("admitting the address of the instance",
     with_endpoints(Instance=addressed("10.0.1.7"), Admits=admitting(CidrIp="10.0.1.7/32")), OPEN),
    ("admitting another address of its subnet",
     with_endpoints(Instance=addressed("10.0.1.8"), Admits=admitting(CidrIp="10.0.1.7/32")),
     ENDPOINT_UNREACHABLE),
    ("admitting an address, which the instance has by parameter",
     with_endpoints(Instance=addressed(PARAMETER), Admits=admitting(CidrIp="10.0.1.7/32")),
     UNKNOWN),
    ("admitting by a rule of another group",
     with_endpoints(**SELF, Rule=ingress(GroupId=ref("Group"))), ENDPOINT_UNREACHABLE),
    ("admitting by a rule of a group by parameter",
     with_endpoints(**SELF, Rule=ingress(GroupId=PARAMETER)), UNKNOWN),
    ("admitting by a rule of a group by parameter, on a condition",
     with_endpoints(**SELF, Rule=on(ingress(GroupId=PARAMETER))), UNKNOWN),
    ("admitting by a rule of the group or of one by parameter",
     with_endpoints(**SELF, Rule=ingress(GroupId={"Fn::If": [ON, ref("Admits"), PARAMETER]})),
     UNKNOWN),
    ("not admitting by a rule of one of too many groups",
     with_endpoints(**SELF, Rule=ingress(GroupId=ONE_OF_MANY, IpProtocol="udp")),
     ENDPOINT_UNREACHABLE),
    ("admitting by a rule of a group by id",
     with_endpoints(**SELF, Rule=ingress(GroupId="sg-1")), UNKNOWN),
    ("admitting by a custom resource",
     with_endpoints(**SELF, Rule=resource(CUSTOM, Group=ref("Admits"))), UNKNOWN),
    ("admitting by a custom resource on a condition",
     with_endpoints(**SELF, Rule=on(resource(CUSTOM, Group=ref("Admits")))), UNKNOWN),
    ("admitting IPv6 in a subnet with IPv6",
     with_endpoints(Admits=admitting(CidrIp=None, CidrIpv6="::/0"), Block=IPV6), UNKNOWN),
    ("private DNS that a custom resource may turn on",
     with_endpoints(Ssm=made("ssm", PrivateDnsEnabled=None),
                    Custom=resource(CUSTOM, Endpoint=ref("Ssm"))), UNKNOWN),
    ("in two subnets, one of which is let out to",
     with_endpoints(Ssm=made("ssm", SubnetIds=[ref("Private"), ref("Public")]),
                    Group=resource("AWS::EC2::SecurityGroup", VpcId=ref("Vpc"),
                                   SecurityGroupEgress=[{"IpProtocol": "-1",
                                                         "CidrIp": "10.0.1.0/24"}])), UNKNOWN),
    ("in two subnets, neither of which is let out to",
     with_endpoints(Ssm=made("ssm", SubnetIds=[ref("Private"), ref("Public")]),
                    Group=resource("AWS::EC2::SecurityGroup", VpcId=ref("Vpc"),
                                   SecurityGroupEgress=[{"IpProtocol": "-1",
                                                         "CidrIp": "10.0.9.0/24"}])),
     "egress-closed"),
    ("a VPC with two ranges",
     with_endpoints(More=resource("AWS::EC2::VPCCidrBlock", VpcId=ref("Vpc"),
                                  CidrBlock="10.9.0.0/16")), OPEN),
    ("a VPC with ranges of IPv6",
     with_endpoints(More=resource("AWS::EC2::VPCCidrBlock", VpcId=ref("Vpc"),
                                  AmazonProvidedIpv6CidrBlock=True)), OPEN),
    ("ranges of a VPC by parameter",
     with_endpoints(More=resource("AWS::EC2::VPCCidrBlock", VpcId=PARAMETER,
                                  CidrBlock="10.9.0.0/16")), OPEN),
    ("a VPC whose range is one of the app",
     with_endpoints(Vpc=resource("AWS::EC2::VPC", CidrBlock=att("Custom", "Block"),
                                 EnableDnsHostnames=True),
                    Custom=resource(CUSTOM), Admits=admitting(CidrIp=att("Vpc", "CidrBlock"))),
     OPEN),
    ("ranges by the same parameter",
     with_endpoints(Vpc=resource("AWS::EC2::VPC", CidrBlock=PARAMETER, EnableDnsHostnames=True),
                    Private=resource("AWS::EC2::Subnet", VpcId=ref("Vpc"),
                                     CidrBlock=ref("Other")),
                    Admits=admitting(CidrIp=PARAMETER)), OPEN),
    ("ranges by one entry of a list", ranged(nth(0, LIST), nth(0, LIST)), OPEN),
    ("ranges by two entries of a list", ranged(nth(0, LIST), nth(1, LIST)), UNKNOWN),
    ("ranges by texts that differ in a parameter",
     ranged({"Fn::Sub": "${Given}.0/24"}, {"Fn::Sub": "${Other}.0/24"}), UNKNOWN),
    ("ranges by one block of several", ranged(nth(1, BLOCKS), "10.0.1.0/24"), OPEN),
    ("ranges by two blocks of several", ranged(nth(1, BLOCKS), nth(2, BLOCKS)),
     ENDPOINT_UNREACHABLE),
    ("ranges by the same block of a parameter", ranged(nth(1, BLOCKS), nth(1, BLOCKS), PARAMETER),
     OPEN),
    ("ranges by two blocks of a parameter", ranged(nth(1, BLOCKS), nth(2, BLOCKS), PARAMETER),
     UNKNOWN),
    ("a range that is none", ranged("10.0.1.0/24", "none"), UNKNOWN),
    ("more blocks than the range has", ranged(nth(0, {"Fn::Cidr": [BLOCK, 4, 28]}), "10.0.1.0/24"),
     UNKNOWN),
    ("a subnet by parameter, and more than the VPC", ranged(PARAMETER, "10.0.0.0/8"), OPEN),
    ("a subnet by parameter, and another range", ranged(PARAMETER, "10.9.0.0/16"),
     ENDPOINT_UNREACHABLE),
    ("ranges by another parameter",
     with_endpoints(Vpc=resource("AWS::EC2::VPC", CidrBlock=PARAMETER, EnableDnsHostnames=True),
                    Admits=admitting(CidrIp=ref("Other"))), UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize("name", POLICIES_OF_ALL)
def test_policy_of_an_endpoint_in_an_account_that_is_not_known(tmp_path: Path, name: str) -> None:
    paths = write(tmp_path, Stack=with_policy(POLICIES_OF_ALL[name]))
    deployed_to(tmp_path, "Stack", "unknown-account/eu-west-1")

    assert {said(one) for one in verdicts(paths).values()} == {OPEN}


@pytest.mark.parametrize(
    ("body", "expected"), [pytest.param(*row[1:], id=row[0]) for row in ENDPOINT_ROWS]
)
def test_endpoints(tmp_path: Path, body: dict[str, Any], expected: str) -> None:
    (found,) = verdicts(write(tmp_path, Stack=body)).values()
    assert said(found) == expected


# A second stack that refers to things by their ids, as `Vpc.from_lookup` gives them

BOTH_BY_ID: Final = {
    "Ssm": made("ssm", VpcId="vpc-1", **FOREIGN),
    "Messages": made("ssmmessages", VpcId="vpc-1", **FOREIGN),
}
LIKE_THE_OTHER: Final = {
    name: made(service, VpcId="vpc-1", SubnetIds=["subnet-1"], SecurityGroupIds=[ref("Admits")])
    for name, service in (("Ssm", "ssm"), ("Messages", "ssmmessages"))
}
ALONE: Final = templated(PrivateRoute=None)
SHUT: Final = with_endpoints(**SELF)
OFF_BOTH: Final = with_endpoints(
    Ssm=made("ssm", PrivateDnsEnabled=False), Messages=made("ssmmessages", PrivateDnsEnabled=False)
)
NOTHING_OUT: Final = templated(
    Group=resource(
        "AWS::EC2::SecurityGroup",
        VpcId=ref("Vpc"),
        SecurityGroupEgress=[{"IpProtocol": "-1", "CidrIp": "127.0.0.1/32"}],
    )
)
UNASSOCIATED: Final = templated(PrivateAssociation=None)


def of_group(kind: str, **more: object) -> dict[str, Any]:
    rule: dict[str, object] = {"GroupId": "sg-1", "IpProtocol": "tcp", "CidrIp": "0.0.0.0/0"}
    ports = {"FromPort": 443, "ToPort": 443}
    return resource(f"AWS::EC2::SecurityGroup{kind}", **rule | ports | more)


def by_id(**more: object) -> dict[str, Any]:
    given: dict[str, object] = {"RouteTableId": "rtb-1", "DestinationCidrBlock": "0.0.0.0/0"}
    return resource("AWS::EC2::Route", **given | {"TransitGatewayId": "tgw-1"} | more)


def shut_acl(body: dict[str, Any]) -> dict[str, Any]:
    """The same template, in which a network ACL without entries shuts the subnet."""
    parts = {
        "Acl": resource("AWS::EC2::NetworkAcl", VpcId=ref("Vpc")),
        "Uses": resource(
            "AWS::EC2::SubnetNetworkAclAssociation",
            SubnetId=ref("Private"),
            NetworkAclId=ref("Acl"),
        ),
    }
    return {"Resources": body["Resources"] | parts}


BY_ID_ROWS: Final[list[tuple[str, dict[str, Any], dict[str, Any], str]]] = [
    ("endpoints", ALONE, BOTH_BY_ID, UNKNOWN),
    ("endpoints beside NAT", templated(), BOTH_BY_ID, OPEN),
    ("endpoints, one of them", ALONE, {"Ssm": BOTH_BY_ID["Ssm"]}, ENDPOINT_MISSING),
    ("endpoints without private DNS", ALONE,
     {name: made(name.lower(), VpcId="vpc-1", PrivateDnsEnabled=False, **FOREIGN)
      for name in ("Ssm", "SsmMessages")}, NO_NETWORK_PATH),
    ("endpoints of other services", ALONE, {"Ec2": made("ec2messages", VpcId="vpc-1", **FOREIGN)},
     NO_NETWORK_PATH),
    ("endpoints beside shut ones, of which a VPC takes no second", SHUT, BOTH_BY_ID,
     ENDPOINT_UNREACHABLE),
    ("endpoints beside ones without private DNS", OFF_BOTH, BOTH_BY_ID, UNKNOWN),
    ("endpoints for a VPC without DNS host names",
     templated(PrivateRoute=None, Vpc=resource("AWS::EC2::VPC", CidrBlock=BLOCK)), BOTH_BY_ID,
     NO_NETWORK_PATH),
    ("endpoints whose group admits another range", ALONE,
     LIKE_THE_OTHER | {"Admits": resource(
         "AWS::EC2::SecurityGroup", VpcId="vpc-1", SecurityGroupIngress=[
             {"IpProtocol": "-1", "CidrIp": "10.9.0.0/16"}])}, NO_NETWORK_PATH),
    ("endpoints whose group admits the range", ALONE,
     LIKE_THE_OTHER | {"Admits": resource(
         "AWS::EC2::SecurityGroup", VpcId="vpc-1", SecurityGroupIngress=[
             {"IpProtocol": "-1", "CidrIp": BLOCK}])}, UNKNOWN),
    ("endpoints, and nothing let out", NOTHING_OUT, BOTH_BY_ID, EGRESS_CLOSED),
    ("compute alone", ALONE, {"Other": resource("AWS::EC2::Instance", SubnetId="subnet-1")},
     NO_NETWORK_PATH),
    ("route to a NAT gateway", ALONE, {"Route": by_id(NatGatewayId="nat-1",
                                                      TransitGatewayId=NO_VALUE)}, UNKNOWN),
    ("route to a transit gateway", ALONE,
     {"Route": by_id(DestinationCidrBlock="10.8.0.0/16")}, UNKNOWN),
    ("route back to the VPC itself", ALONE, {"Route": by_id(DestinationCidrBlock=BLOCK)},
     NO_NETWORK_PATH),
    ("route into a part of the VPC", ALONE,
     {"Route": by_id(DestinationCidrBlock="10.0.1.0/24")}, NO_NETWORK_PATH),
    ("route beside NAT", templated(), {"Route": by_id()}, OPEN),
    ("route, and nothing let out", NOTHING_OUT, {"Route": by_id()}, EGRESS_CLOSED),
    ("propagated routes", ALONE, {"Vpn": resource("AWS::EC2::VPNGatewayRoutePropagation",
                                                  RouteTableIds=["rtb-1"])}, UNKNOWN),
    ("association", UNASSOCIATED,
     {"Uses": resource("AWS::EC2::SubnetRouteTableAssociation", SubnetId="subnet-1",
                       RouteTableId="rtb-1")}, UNKNOWN),
    ("association, of which a subnet takes no second", ALONE,
     {"Uses": resource("AWS::EC2::SubnetRouteTableAssociation", SubnetId="subnet-1",
                       RouteTableId="rtb-1")}, NO_NETWORK_PATH),
    ("rule that admits HTTPS", SHUT, {"Rule": of_group("Ingress")}, UNKNOWN),
    ("rule that admits another port", SHUT, {"Rule": of_group("Ingress", FromPort=5432,
                                                              ToPort=5432)}, ENDPOINT_UNREACHABLE),
    ("rule that admits, beside NAT", templated(), {"Rule": of_group("Ingress")}, OPEN),
    ("rule that admits, and nothing let out", NOTHING_OUT, {"Rule": of_group("Ingress")},
     EGRESS_CLOSED),
    ("rule that lets HTTPS out", NOTHING_OUT, {"Rule": of_group("Egress")}, UNKNOWN),
    ("rule that lets another port out", NOTHING_OUT,
     {"Rule": of_group("Egress", FromPort=80, ToPort=80)}, EGRESS_CLOSED),
    ("rule that lets HTTPS out, and no rule that admits", SHUT, {"Rule": of_group("Egress")},
     ENDPOINT_UNREACHABLE),
    ("attachment", templated(Attachment=None),
     {"Attachment": resource("AWS::EC2::VPCGatewayAttachment", VpcId="vpc-1",
                             InternetGatewayId="igw-1")}, UNKNOWN),
    ("entry of a network ACL", shut_acl(templated()),
     {"Entry": entry(1, egress=True, NetworkAclId="acl-1")}, UNKNOWN),
    ("network ACL of a subnet", shut_acl(templated()),
     {"Uses": resource("AWS::EC2::SubnetNetworkAclAssociation", SubnetId="subnet-1",
                       NetworkAclId="acl-1")}, UNKNOWN),
    ("network ACL of a subnet that has the default one", templated(),
     {"Uses": resource("AWS::EC2::SubnetNetworkAclAssociation", SubnetId="subnet-1",
                       NetworkAclId="acl-1")}, OPEN),
    ("DNS servers", OFF_BOTH, {"Servers": resource("AWS::EC2::VPCDHCPOptionsAssociation",
                                                   VpcId="vpc-1", DhcpOptionsId="dopt-1")},
     UNKNOWN),
    ("rules of a DNS resolver", with_endpoints(),
     {"Rules": resource("AWS::Route53Resolver::ResolverRuleAssociation", VPCId="vpc-1")}, OPEN),
    ("custom resource", ALONE, {"Custom": resource(CUSTOM, Table="rtb-0a1b2c3d")}, UNKNOWN),
    ("custom resource with something else", ALONE, {"Custom": resource(CUSTOM, Name="subnet")},
     NO_NETWORK_PATH),
    ("custom resource with something else, beside an id", ALONE,
     {"Custom": resource(CUSTOM, Name="subnet"),
      "Other": resource("AWS::EC2::Instance", SubnetId="subnet-1")}, NO_NETWORK_PATH),
    ("stack that is not here", ALONE,
     {"Stack": resource("AWS::CloudFormation::Stack", Parameters={"Vpc": "vpc-0a1b2c3d"})},
     UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "other", "expected"), [pytest.param(*row[1:], id=row[0]) for row in BY_ID_ROWS]
)
def test_ids_that_another_stack_may_have_looked_up(
    tmp_path: Path, body: dict[str, Any], other: dict[str, Any], expected: str
) -> None:
    """The other stack may refer to the network of the first, or to that of another app."""
    found = verdicts(write(tmp_path, Here=body, There={"Resources": other}))
    (of_first,) = (one for by, one in found.items() if by.template.path.name.startswith("Here"))
    assert said(of_first) == expected


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ("111122223333/eu-west-1", "111122223333/eu-west-1", UNKNOWN),
        ("111122223333/eu-west-1", "111122223333/us-east-1", NO_NETWORK_PATH),
        ("111122223333/eu-west-1", "444455556666/eu-west-1", NO_NETWORK_PATH),
        ("111122223333/eu-west-1", "unknown-account/unknown-region", UNKNOWN),
        ("unknown-account/unknown-region", "111122223333/eu-west-1", UNKNOWN),
        ("111122223333/unknown-region", "unknown-account/us-east-1", UNKNOWN),
        ("111122223333/unknown-region", "444455556666/us-east-1", NO_NETWORK_PATH),
    ],
)
@pytest.mark.parametrize(
    "parts",
    [
        *(
            {"Ssm": made("ssm", VpcId=vpc_, **FOREIGN),
             "Messages": made("ssmmessages", VpcId=vpc_, **FOREIGN)}
            for vpc_ in ("vpc-1", PARAMETER)
        ),
        LOOP,
    ],
    ids=["by id", "by parameter", "by a loop"],
)  # fmt: skip
def test_what_another_account_or_region_adds_is_of_something_else(
    tmp_path: Path, parts: dict[str, Any], here: str, there: str, expected: str
) -> None:
    paths = write(tmp_path, Here=ALONE, There={"Resources": parts})
    deployed_to(tmp_path, "Here", here)
    deployed_to(tmp_path, "There", there)
    (found,) = verdicts(paths).values()
    assert said(found) == expected


def test_vpc_that_the_app_looks_up_itself(make_app: MakeApp, make_stack: MakeStack) -> None:
    """The second stack adds what the VPC of the first lacks; in another region it adds nothing."""
    app = make_app()
    first = make_stack("Made", scope=app, env=HERE)
    isolated_alone(first)
    for name, region in (("Same", HERE.region), ("Other", "us-east-1")):
        env = cdk.Environment(account=HERE.account, region=region)
        stack = make_stack(name, scope=app, env=env)
        looked_up = ec2.Vpc.from_vpc_attributes(
            stack,
            "Vpc",
            vpc_id="vpc-1",
            availability_zones=["a"],
            isolated_subnet_ids=["subnet-1"],
            vpc_cidr_block="10.0.0.0/16",
        )
        SessionManagerEndpoints(stack, "Endpoints", vpc=looked_up)
    folder = synth(first)
    paths = {name: str(folder / f"{name}.template.json") for name in ("Made", "Same", "Other")}

    def said_with(*names: str) -> str:
        (found,) = verdicts([paths[name] for name in ("Made", *names)]).values()
        return said(found)

    assert said_with() == NO_NETWORK_PATH
    assert said_with("Same") == UNKNOWN
    (in_doubt,) = verdicts([paths["Made"], paths["Same"]]).values()
    assert in_doubt.decides == ("whether this app makes the VPC 'vpc-1'",)
    assert said_with("Other") == NO_NETWORK_PATH


def group(egress: object) -> dict[str, Any]:
    given = {} if egress is None else {"SecurityGroupEgress": egress}
    return resource("AWS::EC2::SecurityGroup", VpcId=ref("Vpc"), **given)


ANY = {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}
LET_OUT = resource("AWS::EC2::SecurityGroupEgress", GroupId=ref("Group"), **ANY)
NOT_THIS = resource(
    "AWS::EC2::SecurityGroupEgress", GroupId=ref("Group"), IpProtocol="udp", CidrIp="0.0.0.0/0"
)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"Group": group(None)}, OPEN),
        ({"Group": group([ANY])}, OPEN),
        ({"Group": group(NO_VALUE)}, OPEN),
        ({"Group": group([])}, UNKNOWN),
        ({"Group": group([{"Fn::If": [ON, ANY, NO_VALUE]}])}, UNKNOWN),
        ({"Group": group([ANY | {"IpProtocol": "udp"}])}, EGRESS_CLOSED),
        ({"Group": group([ANY | {"IpProtocol": "icmpv6"}])}, EGRESS_CLOSED),
        ({"Group": group([ANY | {"IpProtocol": "all"}])}, UNKNOWN),
        ({"Group": group([ANY | {"CidrIp": "127.0.0.1/32"}])}, EGRESS_CLOSED),
        ({"Group": group([ANY | {"CidrIp": "127.0.0.1/32"}]), "Rule": LET_OUT}, OPEN),
        ({"Group": group([ANY | {"CidrIp": "127.0.0.1/32"}]), "Rule": on(LET_OUT)}, UNKNOWN),
        ({"Group": group(None), "Rule": LET_OUT}, OPEN),
        ({"Group": group(None), "Rule": NOT_THIS}, UNKNOWN),
        ({"Group": group([{"IpProtocol": "-1", "DestinationPrefixListId": "pl-1"}])}, UNKNOWN),
        ({"Group": None}, UNKNOWN),
        ({"Group": group([{"IpProtocol": "-1", "CidrIpv6": "::/0"}])}, EGRESS_CLOSED),
        ({"Group": group([{"IpProtocol": "-1", "CidrIpv6": "::/0"}]), "Block": IPV6}, UNKNOWN),
    ],
)
def test_egress(tmp_path: Path, parts: dict[str, Any], expected: str) -> None:
    (found,) = verdicts(write(tmp_path, Stack=templated(**parts))).values()
    assert said(found) == expected


S3_ROWS: Final[list[tuple[str, dict[str, Any] | None, str]]] = [
    ("none", None, ENDPOINT_MISSING),
    ("gateway", made("s3", VpcEndpointType="Gateway", RouteTableIds=[ref("PrivateTable")]), OPEN),
    ("gateway by default type",
     made("s3", VpcEndpointType="Gateway", RouteTableIds=ref("PrivateTable")), OPEN),
    ("gateway of another table",
     made("s3", VpcEndpointType="Gateway", RouteTableIds=[ref("PublicTable")]), ENDPOINT_MISSING),
    ("gateway of tables by parameter",
     made("s3", VpcEndpointType="Gateway", RouteTableIds=PARAMETER), UNKNOWN),
    ("interface", made("s3"), UNKNOWN),
    ("interface for the VPC",
     made("s3", DnsOptions={"PrivateDnsOnlyForInboundResolverEndpoint": "AllResolvers"}), OPEN),
    ("interface for others",
     made("s3", DnsOptions={"PrivateDnsOnlyForInboundResolverEndpoint": "OnlyInboundResolver"}),
     ENDPOINT_UNREACHABLE),
    ("interface without private DNS", made("s3", PrivateDnsEnabled=False), ENDPOINT_UNREACHABLE),
    ("interface with other options", made("s3", DnsOptions=PARAMETER), UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("endpoint", "expected"), [pytest.param(*row[1:], id=row[0]) for row in S3_ROWS]
)
def test_s3(tmp_path: Path, endpoint: dict[str, Any] | None, expected: str) -> None:
    paths = write(tmp_path, Stack=with_endpoints(S3=endpoint))
    (found,) = verdicts(paths, ("ssm", "ssmmessages", "s3")).values()
    assert said(found) == expected


LETS_IN, LETS_OUT = entry(100, egress=False), entry(100, egress="true")
HTTPS = {"Protocol": 6, "PortRange": {"From": 443, "To": 443}}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"In": LETS_IN, "Out": LETS_OUT}, OPEN),
        ({"In": LETS_IN, "Out": entry(100, egress=True, **HTTPS)}, OPEN),
        ({"In": LETS_IN, "Out": LETS_OUT, "No": entry(99, egress=True, RuleAction=PARAMETER)},
         UNKNOWN),
        ({"In": LETS_IN, "Out": LETS_OUT, "No": entry(99, egress=PARAMETER)}, UNKNOWN),
        ({"In": LETS_IN, "Out": LETS_OUT, "No": entry(PARAMETER, egress=True)}, UNKNOWN),
        ({"In": LETS_IN, "Out": LETS_OUT, "No": entry(99, egress=True, Protocol=PARAMETER)},
         UNKNOWN),
        ({"In": LETS_IN, "Out": LETS_OUT, "No": entry(99, egress=True, Protocol=17,
                                                      RuleAction="deny")}, OPEN),
        ({"In": LETS_IN, "Out": LETS_OUT, "No": entry(99, egress=True, CidrBlock=PARAMETER)}, OPEN),
        ({"In": LETS_IN, "Out": LETS_OUT, "No": entry(99, egress=True, CidrBlock=PARAMETER,
                                                      RuleAction="deny")}, UNKNOWN),
        ({"In": LETS_IN, "Out": entry(100, egress=True, Protocol=6, PortRange=PARAMETER)},
         UNKNOWN),
        ({"In": LETS_IN, "Out": entry(1, egress=True, NetworkAclId=PARAMETER)}, UNKNOWN),
        ({"In": LETS_IN, "Out": LETS_OUT, "Acl": None}, UNKNOWN),
        ({"In": LETS_IN, "Custom": resource(CUSTOM, Acl=ref("Acl"))}, UNKNOWN),
    ],
)  # fmt: skip
def test_network_acl(tmp_path: Path, parts: dict[str, Any], expected: str) -> None:
    acl = {
        "Acl": resource("AWS::EC2::NetworkAcl", VpcId=ref("Vpc")),
        "Uses": resource(
            "AWS::EC2::SubnetNetworkAclAssociation",
            SubnetId=ref("Private"),
            NetworkAclId=ref("Acl"),
        ),
    }
    (found,) = verdicts(write(tmp_path, Stack=templated(**acl | parts))).values()
    assert said(found) == expected


def test_entries_that_a_loop_makes_are_not_known(tmp_path: Path) -> None:
    parts = {
        "Acl": resource("AWS::EC2::NetworkAcl", VpcId=ref("Vpc")),
        "Uses": resource(
            "AWS::EC2::SubnetNetworkAclAssociation",
            SubnetId=ref("Private"),
            NetworkAclId=ref("Acl"),
        ),
    }
    in_public = {name: made(name, SubnetIds=[ref("Public")]) for name in ("ssm", "ssmmessages")}
    body = with_endpoints(**parts, Ssm=in_public["ssm"], Messages=in_public["ssmmessages"])
    (found,) = verdicts(write(tmp_path, Stack=body)).values()
    assert said(found) == NO_NETWORK_PATH
    loop = ["Egress", ["true", "false"], {"Entry${Egress}": entry(1, egress=ref("Egress"))}]
    body["Resources"]["Fn::ForEach::Entries"] = loop
    (found,) = verdicts(write(tmp_path, Stack=body)).values()
    assert said(found) == UNKNOWN


def test_entry_of_ipv6_is_none_of_ipv4(tmp_path: Path) -> None:
    six = entry(99, egress=True, RuleAction="deny", Ipv6CidrBlock="::/0")
    del six["Properties"]["CidrBlock"]
    parts = {
        "Acl": resource("AWS::EC2::NetworkAcl", VpcId=ref("Vpc")),
        "Uses": resource(
            "AWS::EC2::SubnetNetworkAclAssociation",
            SubnetId=ref("Private"),
            NetworkAclId=ref("Acl"),
        ),
        "In": LETS_IN,
        "Out": LETS_OUT,
        "Six": six,
    }
    (found,) = verdicts(write(tmp_path, Stack=templated(**parts))).values()
    assert said(found) == OPEN


def split(body: dict[str, Any], *away: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parts of a template in one, and those of these names in another."""
    parts = body["Resources"]
    there = {name: part for name, part in parts.items() if name in away}
    here = {name: part for name, part in parts.items() if name not in away}
    return {"Resources": here}, {"Resources": there}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (templated(), OPEN),
        (templated(Nat=None), UNKNOWN),
        (templated(PrivateRoute=None), NO_NETWORK_PATH),
    ],
)
def test_instance_in_a_nested_stack(
    tmp_path: Path, body: dict[str, Any], expected: str
) -> None:  # fmt: skip
    here, there = split(body, "Instance")
    parameters = {"Private": ref("Private"), "Group": att("Group", "GroupId")}
    here["Resources"]["Nested"] = nested("nested", Parameters=parameters)
    there["Resources"]["Instance"]["Properties"]["SecurityGroupIds"] = [ref("Group")]
    (found,) = verdicts(write(tmp_path, Stack=here, nested=there)).values()
    assert said(found) == expected


def test_condition_of_a_nested_stack_holds_in_it(tmp_path: Path) -> None:
    route_ = route("PrivateTable", ON, NatGatewayId=ref("Nat"))
    here, there = split(templated(PrivateRoute=route_), "Instance")
    parameters = {"Private": ref("Private"), "Group": att("Group", "GroupId")}
    nested_stack = nested("nested", Parameters=parameters)
    here["Resources"]["Nested"] = nested_stack
    there["Resources"]["Instance"]["Properties"]["SecurityGroupIds"] = [ref("Group")]
    (found,) = verdicts(write(tmp_path, Stack=here, nested=there)).values()
    assert found.decides == (f"the condition {ON!r}",)
    here["Resources"]["Nested"] = on(nested_stack)
    (found,) = verdicts(write(tmp_path, Stack=here, nested=there)).values()
    assert said(found) == OPEN


def test_conditions_of_one_name_in_two_templates_are_two(tmp_path: Path) -> None:
    route_ = route("PrivateTable", ON, NatGatewayId=ref("Nat"))
    here, there = split(templated(PrivateRoute=route_), "Instance")
    parameters = {"Private": ref("Private"), "Group": att("Group", "GroupId")}
    here["Resources"]["Nested"] = nested("nested", Parameters=parameters)
    there["Resources"]["Instance"] = instance_on()
    (found,) = verdicts(write(tmp_path, Stack=here, nested=there)).values()
    assert said(found) == UNKNOWN


def test_instance_of_another_stack(tmp_path: Path) -> None:
    here, there = split(templated(), "Instance")
    here["Outputs"] = {
        name: {"Value": ref(name), "Export": {"Name": name}} for name in ("Private", "Group")
    }
    there["Resources"]["Instance"] = resource(
        "AWS::EC2::Instance",
        SubnetId={"Fn::ImportValue": "Private"},
        SecurityGroupIds=[{"Fn::ImportValue": "Group"}],
    )
    (found,) = verdicts(write(tmp_path, Here=here, There=there)).values()
    assert said(found) == OPEN
    del here["Outputs"]["Private"]
    (found,) = verdicts(write(tmp_path, Here=here, There=there)).values()
    assert found.decides == ("the import 'Private'",)


def test_custom_resource_of_another_stack_may_add_a_route(tmp_path: Path) -> None:
    body = templated(PrivateRoute=None)
    exported = {"Table": {"Value": ref("PrivateTable"), "Export": {"Name": "Table"}}}
    given = {"Table": [{"Fn::Join": ["", [{"Fn::ImportValue": "Table"}]]}]}
    there = {"Resources": {"Custom": resource(CUSTOM, **given)}}
    (found,) = verdicts(write(tmp_path, Here=body | {"Outputs": exported}, There=there)).values()
    assert found.decides == ("the custom resource 'Custom'",)


INCLUDED: Final = (
    templated(),
    templated(PrivateRoute=None),
    templated(Group=resource("AWS::EC2::SecurityGroup", GroupDescription="-", SecurityGroupEgress=[
        {"IpProtocol": "-1", "CidrIp": "127.0.0.1/32"}])),
    with_endpoints(),
    with_endpoints(Messages=None),
    with_endpoints(Admits=admitting(FromPort=80, ToPort=80)),
)  # fmt: skip


@pytest.mark.parametrize("body", INCLUDED)
def test_included_template_gets_the_same_findings(
    tmp_path: Path, stack_here: cdk.Stack, body: dict[str, Any]
) -> None:
    given = json.loads(json.dumps(body))
    for part in given["Resources"].values():
        if part["Type"] == "AWS::EC2::SecurityGroup":
            part["Properties"]["GroupDescription"] = "-"
    (tmp_path / "included.json").write_text(json.dumps(given))
    CfnInclude(stack_here, "Included", template_file=str(tmp_path / "included.json"))

    found = Report([str(synth(stack_here) / stack_here.template_file)], strict=False)

    as_written = Report(write(tmp_path, Stack=given), strict=False)
    said_of = [(one.rule, one.logical_id, one.description, one.fix) for one in as_written.findings]
    assert [
        (one.rule, one.logical_id, one.description, one.fix) for one in found.findings
    ] == said_of
    assert NO_INSTANCE_PROFILE in found.rules


def test_stacks_of_cdk(make_app: MakeApp, make_stack: MakeStack) -> None:
    app = make_app()
    network = vpc(make_stack("Network", scope=app, env=HERE))
    inner = cdk.NestedStack(make_stack("Compute", scope=app, env=HERE), "Nested")
    instance(inner, network)
    isolated_ = isolated(make_stack("Isolated", scope=app, env=HERE))
    instance(make_stack("Other", scope=app, env=HERE), isolated_, vpc_subnets=ISOLATED)
    folder = synth(inner)
    names = ("Network", "Compute", "Isolated", "Other")
    found = verdicts([str(folder / f"{name}.template.json") for name in names])
    assert [said(one) for one in found.values()] == [OPEN, NO_NETWORK_PATH]


def test_what_decides_is_named_once(tmp_path: Path) -> None:
    body = templated(Private=resource("AWS::EC2::Subnet", VpcId=PARAMETER, CidrBlock="10.0.1.0/24"))
    (found,) = verdicts(write(tmp_path, Stack=body)).values()
    assert found.decides == ("the parameter 'Given'",)


def test_endpoint_at_fault_is_the_resource(tmp_path: Path) -> None:
    paths = write(tmp_path, Stack=with_endpoints(Ssm=made("ssm", PrivateDnsEnabled=False)))
    (found,) = verdicts(paths).values()
    (problem,) = found.problems
    assert getattr(problem.subject, "logical_id", None) == "Ssm"


def mutated(body: dict[str, Any], path: list[int], value: object) -> dict[str, Any]:
    """A copy of a template in which something, somewhere, is another value."""
    copy: dict[str, Any] = json.loads(json.dumps(body))
    here: Any = copy["Resources"]
    for step in path:
        keys = [*here] if isinstance(here, dict) else [*range(len(here))]
        if not keys:
            break
        key = keys[step % len(keys)]
        if not isinstance(here[key], (dict, list)) or step == path[-1]:
            here[key] = value
            break
        here = here[key]
    return copy


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["Ref", "Fn::If", "Fn::GetAtt", "Value"]), inner)
    ),
    max_leaves=4,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture],
          deadline=None)  # fmt: skip
@given(
    body=st.sampled_from([templated(), with_endpoints(S3=made("s3"))]),
    path=st.lists(st.integers(0, 20), min_size=2, max_size=6),
    value=ANYTHING,
)
def test_whatever_a_template_says_there_is_a_verdict(
    tmp_path: Path, body: dict[str, Any], path: list[int], value: object
) -> None:
    verdicts(write(tmp_path, Stack=mutated(body, path, value)), ("ssm", "ssmmessages", "s3"))


def big(number: int) -> dict[str, Any]:
    """A template with five resources for each instance: a fifth of them subnets."""
    parts: dict[str, Any] = {**with_endpoints()["Resources"]}
    for index in range(number):
        parts[f"Subnet{index}"] = resource(
            "AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock=f"10.0.{index % 256}.0/24"
        )
        parts[f"Table{index}"] = resource("AWS::EC2::RouteTable", VpcId=ref("Vpc"))
        parts[f"Association{index}"] = association(f"Subnet{index}", f"Table{index}")
        parts[f"Group{index}"] = resource("AWS::EC2::SecurityGroup", VpcId=ref("Vpc"))
        parts[f"Instance{index}"] = resource(
            "AWS::EC2::Instance",
            SubnetId=ref(f"Subnet{index}"),
            SecurityGroupIds=[ref(f"Group{index}")],
        )
    return {"Resources": parts}
