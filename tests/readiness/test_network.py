"""Which network paths of an app are open, closed or unknown, by its templates alone.

What draws make of all parts of a network is in `drawn_networks`. The rows here are about what draws
don't have: what only the deployment knows, other stacks and accounts, and what CDK writes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from aws_cdk.cloudformation_include import CfnInclude
from hypothesis import strategies as st

from session_manager_permissions._network.verdicts import (
    EGRESS_CLOSED,
    ENDPOINT_MISSING,
    ENDPOINT_UNREACHABLE,
    NO_NETWORK_PATH,
    State,
)
from session_manager_permissions._readiness.network.vpcs import _KNOWN
from session_manager_permissions._readiness.rules import NO_INSTANCE_PROFILE
from tests.conftest import DATA, synth

from .judging import (
    att,
    deployed_to,
    nested,
    on,
    ref,
    resource,
    said,
    said_of,
    verdict_of,
    verdicts,
    write,
)
from .reports import Report

if TYPE_CHECKING:
    from collections.abc import Callable

OPEN, UNKNOWN = State.OPEN.value, State.UNKNOWN.value
KINDS = ec2.SubnetType
PUBLIC = ec2.SubnetSelection(subnet_type=KINDS.PUBLIC)
EGRESS = ec2.SubnetSelection(subnet_type=KINDS.PRIVATE_WITH_EGRESS)
ISOLATED = ec2.SubnetSelection(subnet_type=KINDS.PRIVATE_ISOLATED)
MACHINE: dict[str, Any] = {
    "instance_type": ec2.InstanceType("t3.micro"),
    "machine_image": ec2.MachineImage.generic_linux({"eu-west-1": "ami-12345678"}),
}
SSM = ec2.InterfaceVpcEndpointAwsService.SSM
MESSAGES = ec2.InterfaceVpcEndpointAwsService.SSM_MESSAGES

# What CDK writes


def vpc(stack: cdk.Stack, *kinds: ec2.SubnetType, **more: Any) -> ec2.Vpc:  # noqa: ANN401
    """A VPC with a subnet of each kind; of CDK's own default kinds where none is given."""
    subnets = [ec2.SubnetConfiguration(name=one.name.title(), subnet_type=one) for one in kinds]
    given: dict[str, Any] = {"subnet_configuration": subnets} if kinds else {}
    return ec2.Vpc(stack, "Vpc", max_azs=1, **given, **more)


def isolated(stack: cdk.Stack, **more: Any) -> ec2.Vpc:  # noqa: ANN401
    return vpc(stack, KINDS.PRIVATE_ISOLATED, **more)


def instance(stack: cdk.Stack, network: ec2.IVpc, **more: Any) -> ec2.Instance:  # noqa: ANN401
    return ec2.Instance(stack, "Instance", vpc=network, **MACHINE, **more)


def endpoints(network: ec2.Vpc, **more: Any) -> list[ec2.InterfaceVpcEndpoint]:  # noqa: ANN401
    return [
        network.add_interface_endpoint("Ssm", service=SSM, **more),
        network.add_interface_endpoint("Messages", service=MESSAGES, **more),
    ]


def in_public(stack: cdk.Stack, **more: Any) -> ec2.Instance:  # noqa: ANN401
    return instance(stack, vpc(stack), vpc_subnets=PUBLIC, **more)


def in_isolated(stack: cdk.Stack, **of_vpc: Any) -> ec2.Vpc:  # noqa: ANN401
    """The VPC of an instance in an isolated subnet."""
    network = isolated(stack, **of_vpc)
    instance(stack, network, vpc_subnets=ISOLATED)
    return network


def in_public_without_addresses(stack: cdk.Stack) -> None:
    kind = ec2.SubnetConfiguration(
        name="Public", subnet_type=KINDS.PUBLIC, map_public_ip_on_launch=False
    )
    instance(stack, vpc(stack, subnet_configuration=[kind]), vpc_subnets=PUBLIC)


def with_an_elastic_address(stack: cdk.Stack) -> None:
    machine = in_public(stack, associate_public_ip_address=False)
    ec2.CfnEIP(stack, "Address", instance_id=machine.instance_id)


def by_zones_of_ones_own(stack: cdk.Stack) -> None:
    network = in_isolated(stack)
    for endpoint in endpoints(network, private_dns_enabled=False):
        name = "ssm" if endpoint.node.id == "Ssm" else "ssmmessages"
        zone = route53.PrivateHostedZone(
            endpoint, "Zone", zone_name=f"{name}.eu-west-1.amazonaws.com", vpc=network
        )
        target = targets.InterfaceVpcEndpointTarget(endpoint)
        alias = route53.RecordTarget.from_alias(target)
        route53.ARecord(endpoint, "Record", zone=zone, target=alias)


def by_endpoints_that_admit_the_instance(stack: cdk.Stack) -> None:
    network = isolated(stack)
    machine = instance(stack, network, vpc_subnets=ISOLATED)
    for endpoint in endpoints(network, open=False):
        endpoint.connections.allow_default_port_from(machine)


def by_endpoints_in_an_imported_group(stack: cdk.Stack) -> None:
    group = ec2.SecurityGroup.from_security_group_id(stack, "Given", "sg-1")
    endpoints(in_isolated(stack), security_groups=[group], open=False)


def by_endpoints_for_the_own_account(stack: cdk.Stack) -> None:
    of_account = {"StringEquals": {"aws:PrincipalAccount": stack.account}}
    given: dict[str, Any] = {"actions": ["*"], "resources": ["*"], "conditions": of_account}
    for endpoint in endpoints(in_isolated(stack)):
        endpoint.add_to_policy(iam.PolicyStatement(principals=[iam.AnyPrincipal()], **given))


def in_addresses_of_ipam(stack: cdk.Stack) -> None:
    addresses = ec2.IpAddresses.aws_ipam_allocation(
        ipv4_ipam_pool_id="ipam-pool-1",
        ipv4_netmask_length=16,
        default_subnet_ipv4_netmask_length=24,
    )
    endpoints(in_isolated(stack, ip_addresses=addresses))


def let_out_to_a_group(stack: cdk.Stack) -> None:
    """CDK writes the rule as a resource of its own, and AWS's default may stay beside it."""
    network = vpc(stack)
    machine = instance(stack, network, allow_all_outbound=False)
    database = ec2.SecurityGroup(stack, "Database", vpc=network)
    machine.connections.allow_to(database, ec2.Port.tcp(5432))


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
    answers = ec2.AclTraffic.tcp_port_range(1024, 65535)
    a_shut_network_acl(stack, ec2.AclTraffic.tcp_port(443), answers)


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


# Others are in `test_networks_of_public_apps`; those that are closed are in `faults`.
SHAPES: Final[list[tuple[str, Callable[[cdk.Stack], object], str]]] = [
    ("in a public subnet without addresses", in_public_without_addresses, NO_NETWORK_PATH),
    ("with an Elastic IP address", with_an_elastic_address, OPEN),
    ("behind no NAT", lambda s: instance(
        s, vpc(s, KINDS.PUBLIC, KINDS.PRIVATE_WITH_EGRESS, nat_gateways=0), vpc_subnets=EGRESS),
     NO_NETWORK_PATH),
    ("with routes that a VPN gateway propagates",
     lambda s: in_isolated(s, vpn_gateway=True, vpn_route_propagation=[ISOLATED]), UNKNOWN),
    ("by zones of one's own", by_zones_of_ones_own, OPEN),
    ("by endpoints that admit the instance", by_endpoints_that_admit_the_instance, OPEN),
    ("by endpoints in an imported group", by_endpoints_in_an_imported_group, UNKNOWN),
    ("by endpoints for the own account", by_endpoints_for_the_own_account, OPEN),
    ("in addresses of IPAM", in_addresses_of_ipam, OPEN),
    ("let out to a group", let_out_to_a_group, UNKNOWN),
    ("dual-stack", lambda s: instance(
        s, vpc(s, ip_protocol=ec2.IpProtocol.DUAL_STACK), vpc_subnets=PUBLIC), UNKNOWN),
    ("an open network ACL", an_open_network_acl, OPEN),
    ("capacity of ECS", capacity_of_ecs, OPEN),
    ("nodes of EKS", nodes_of_eks, OPEN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "expected"), [pytest.param(*row[1:], id=row[0]) for row in SHAPES]
)
def test_shapes_of_cdk(
    stack_here: cdk.Stack, build: Callable[[cdk.Stack], object], expected: str
) -> None:
    build(stack_here)
    (found,) = verdicts([str(synth(stack_here) / stack_here.template_file)]).values()
    assert said(found) == expected


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
    found = verdicts([str(DATA / "apps" / f"{name}.json")])
    assert {by.logical_id: said(one) for by, one in found.items()} == expected


def test_nat_instance_is_open_itself_and_what_is_behind_it_is_not_known(
    stack_here: cdk.Stack,
) -> None:
    nat = ec2.NatProvider.instance_v2(instance_type=ec2.InstanceType("t3.micro"))
    instance(stack_here, vpc(stack_here, nat_gateway_provider=nat))
    found = verdicts([str(synth(stack_here) / stack_here.template_file)])
    of_instance, of_nat = sorted(found, key=lambda one: one.logical_id)
    assert said(found[of_nat]) == OPEN
    assert found[of_instance].decides[0].startswith("the instance 'VpcPublicSubnet1NatInstance")


# Templates that are written here

BLOCK, ANYWHERE = "10.0.0.0/16", "0.0.0.0/0"
VPC_ID: Final = {"VpcId": ref("Vpc")}
ON = "Production"
PARAMETER = ref("Given")
CUSTOM = "Custom::Routes"
TO_NAT: Final = {"NatGatewayId": ref("Nat")}
LOOP = {"Fn::ForEach::Endpoints": ["Service", ["ssm", "ssmmessages"], {}]}


def part(kind: str, condition: str = "", /, **properties: object) -> dict[str, Any]:
    """A resource of EC2; a property that is None is not written."""
    given = {name: value for name, value in properties.items() if value is not None}
    return on(resource(f"AWS::EC2::{kind}", **given), condition)


def custom(**given: object) -> dict[str, Any]:
    return resource(CUSTOM, **given)


def either(*branches: object) -> dict[str, Any]:
    return {"Fn::If": [ON, *branches]}


def subnet(block: object = "10.0.1.0/24", **more: object) -> dict[str, Any]:
    return part("Subnet", **{**VPC_ID, "CidrBlock": block, **more})


def association(subnet_: object, table: object) -> dict[str, Any]:
    return part("SubnetRouteTableAssociation", SubnetId=subnet_, RouteTableId=table)


def route(
    table: object = ref("PrivateTable"), condition: str = "", /, **to: object
) -> dict[str, Any]:
    given = {"RouteTableId": table, "DestinationCidrBlock": ANYWHERE, **to}
    return part("Route", condition, **given)


def attachment(**changes: object) -> dict[str, Any]:
    return part(
        "VPCGatewayAttachment", **{**VPC_ID, "InternetGatewayId": ref("Gateway"), **changes}
    )


def nat(**changes: object) -> dict[str, Any]:
    given = {"SubnetId": ref("Public"), "AllocationId": "eipalloc-1", **changes}
    return part("NatGateway", **given)


def regional_nat() -> dict[str, Any]:
    return part("NatGateway", AvailabilityMode="regional", **VPC_ID)


def group(egress: object = None, **more: object) -> dict[str, Any]:
    given = {"GroupDescription": "-", **VPC_ID, **more}
    return part("SecurityGroup", SecurityGroupEgress=egress, **given)


def compute(**changes: object) -> dict[str, Any]:
    groups = [att("Group", "GroupId")]
    return part("Instance", **{"SubnetId": ref("Private"), "SecurityGroupIds": groups, **changes})


def instance_on() -> dict[str, Any]:
    """The instance, on a condition."""
    return on(compute(), ON)


def templated(**changes: dict[str, Any] | None) -> dict[str, Any]:
    """A template with an instance behind NAT, and what differs in it; None is left out."""
    parts: dict[str, dict[str, Any] | None] = {
        "Vpc": part("VPC", CidrBlock=BLOCK, EnableDnsSupport=True, EnableDnsHostnames="true"),
        "Gateway": part("InternetGateway"),
        "Attachment": attachment(),
        "Private": subnet(),
        "Public": subnet("10.0.3.0/24"),
        "PrivateTable": part("RouteTable", **VPC_ID),
        "PublicTable": part("RouteTable", **VPC_ID),
        "PrivateAssociation": association(ref("Private"), ref("PrivateTable")),
        "PublicAssociation": association(ref("Public"), ref("PublicTable")),
        "PrivateRoute": route(**TO_NAT),
        "PublicRoute": route(ref("PublicTable"), GatewayId=ref("Gateway")),
        "Nat": nat(),
        "Group": group(),
        "Instance": compute(),
        **changes,
    }
    return {"Resources": {name: part for name, part in parts.items() if part is not None}}


def made(service: str, condition: str = "", /, **changes: object) -> dict[str, Any]:
    """An interface endpoint of a service."""
    given: dict[str, object] = {
        **VPC_ID,
        "VpcEndpointType": "Interface",
        "ServiceName": {"Fn::Sub": f"com.amazonaws.${{AWS::Region}}.{service}"},
        "PrivateDnsEnabled": True,
        "SubnetIds": [ref("Private")],
        "SecurityGroupIds": [ref("Admits")],
        **changes,
    }
    return part("VPCEndpoint", condition, **given)


def https(**peer: object) -> dict[str, Any]:
    """A rule of a security group."""
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **peer}
    return {name: value for name, value in rule.items() if value is not None}


def admitting(**changes: object) -> dict[str, Any]:
    """The group of the endpoints, which admits HTTPS from the VPC."""
    return group(SecurityGroupIngress=[https(**{"CidrIp": BLOCK, **changes})])


def with_endpoints(**changes: dict[str, Any] | None) -> dict[str, Any]:
    """A template with an instance whose only way out is by endpoints."""
    by = {"Ssm": made("ssm"), "Messages": made("ssmmessages"), "Admits": admitting()}
    return templated(**{"PrivateRoute": None, **by, **changes})


Row = tuple[str, dict[str, Any], str]


def behind_nat(name: str, expected: str, /, **changes: dict[str, Any] | None) -> Row:
    return name, templated(**changes), expected


def by_endpoints(name: str, expected: str, /, **changes: dict[str, Any] | None) -> Row:
    return name, with_endpoints(**changes), expected


def each_row(*rows: Row) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("body", "expected"), [pytest.param(*row[1:], id=row[0]) for row in rows]
    )


def without_route(name: str, expected: str, /, **changes: dict[str, Any] | None) -> Row:
    return name, templated(**{"PrivateRoute": None, **changes}), expected


def routed(name: str, expected: str, /, **to: object) -> Row:
    """The private subnet has another default route."""
    return name, templated(PrivateRoute=route(**to)), expected


def nothing_but(kind: str, name: str, expected: str, /, **properties: object) -> Row:
    """The app has a resource in place of the route."""
    return name, templated(PrivateRoute=resource(kind, **properties)), expected


def blocking(mode: object) -> dict[str, Any]:
    return part("VPCBlockPublicAccessOptions", InternetGatewayBlockMode=mode)


def edge(gateway: object, *, table: object = ref("EdgeTable"), **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """A route table of a gateway, which sends what comes in to an appliance."""
    inspects = route(ref("EdgeTable"), DestinationCidrBlock="10.0.3.0/24", VpcEndpointId="vpce-1")
    uses = part("GatewayRouteTableAssociation", GatewayId=gateway, RouteTableId=table)
    return {"EdgeTable": part("RouteTable", **VPC_ID), "Inspects": inspects, "Edge": uses, **more}


def listing(*entries: object) -> dict[str, Any]:
    """A prefix list of the app, which is all that the group lets out to."""
    rule = {"IpProtocol": "-1", "DestinationPrefixListId": att("List", "PrefixListId")}
    return {"List": part("PrefixList", Entries=[*entries]), "Group": group([rule])}


def acl(of_subnet: object = ref("Private"), **entries: dict[str, Any] | None) -> dict[str, Any]:
    """A network ACL of a subnet with these entries."""
    uses = {"SubnetId": of_subnet, "NetworkAclId": ref("Acl")}
    shut = {
        "Acl": part("NetworkAcl", **VPC_ID),
        "Uses": part("SubnetNetworkAclAssociation", **uses),
    }
    return {**shut, **entries}


def entry(number: object = 100, *, egress: object = True, **changes: object) -> dict[str, Any]:
    of_acl = {"NetworkAclId": ref("Acl"), "RuleNumber": number, "Egress": egress}
    given = {"Protocol": -1, "RuleAction": "allow", "CidrBlock": ANYWHERE, **of_acl, **changes}
    return part("NetworkAclEntry", **given)


def interface(**of_instance: object) -> dict[str, Any]:
    return part(
        "NetworkInterfaceAttachment", NetworkInterfaceId=PARAMETER, DeviceIndex="1", **of_instance
    )


IPV6: Final = part("SubnetCidrBlock", SubnetId=ref("Private"), Ipv6CidrBlock="2001:db8::/64")
TO_IPV6: Final = route(DestinationCidrBlock=None, DestinationIpv6CidrBlock="::/0",
                       EgressOnlyInternetGatewayId="eigw-1")  # fmt: skip
PROXY: Final = {"Fn::Base64": {"Fn::Join": ["", ["HTTPS_PROXY=http://", ref("Proxy"), ":3128"]]}}
STACK: Final = "AWS::CloudFormation::Stack"
INCLUDE: Final = {"Name": "AWS::Include", "Parameters": {"Location": "s3://bucket/key"}}


def transformed(name: str, transform: object, expected: str) -> Row:
    return name, templated(PrivateRoute=None) | {"Transform": transform}, expected


ROUTE_ROWS: Final[list[Row]] = [
    behind_nat("connectivity by parameter", UNKNOWN, Nat=nat(ConnectivityType=PARAMETER)),
    routed("NAT gateway by parameter", UNKNOWN, NatGatewayId=PARAMETER),
    routed("NAT gateway by id", UNKNOWN, NatGatewayId="nat-1"),
    behind_nat("attachment to a VPC by parameter", UNKNOWN, Attachment=attachment(VpcId=PARAMETER)),
    behind_nat("attachment of a gateway by parameter", UNKNOWN,
               Attachment=attachment(InternetGatewayId=PARAMETER)),
    behind_nat("attachment of a VPN gateway", NO_NETWORK_PATH,
               Attachment=attachment(InternetGatewayId=None, VpnGatewayId="vgw-1")),
    routed("gateway by id", UNKNOWN, GatewayId="igw-1"),
    routed("gateway by parameter", UNKNOWN, GatewayId=PARAMETER),
    routed("local gateway", NO_NETWORK_PATH, GatewayId="local"),
    behind_nat("VPN gateway", UNKNOWN, Vpn=part("VPNGateway"),
               PrivateRoute=route(GatewayId=ref("Vpn"))),
    routed("transit gateway by import", UNKNOWN, TransitGatewayId={"Fn::ImportValue": "Tgw"}),
    routed("two targets", UNKNOWN, **TO_NAT, InstanceId="i-1"),
    routed("destination by parameter", UNKNOWN, **TO_NAT, DestinationCidrBlock=PARAMETER),
    routed("destination by prefix list", UNKNOWN, **TO_NAT, DestinationCidrBlock=None,
           DestinationPrefixListId="pl-1"),
    behind_nat("IPv6 in a subnet with IPv6", UNKNOWN, Block=IPV6, PrivateRoute=TO_IPV6),
    behind_nat("IPv6 in a subnet without it", NO_NETWORK_PATH, PrivateRoute=TO_IPV6),
    behind_nat("no association", NO_NETWORK_PATH, PrivateAssociation=None),
    behind_nat("an IPv6-only subnet", UNKNOWN, Private=subnet(None, Ipv6Native=True)),
    routed("route into a table by parameter", UNKNOWN, **TO_NAT, RouteTableId=PARAMETER),
    routed("route into a table by id", UNKNOWN, **TO_NAT, RouteTableId="rtb-1"),
    behind_nat("association of a subnet by parameter", UNKNOWN,
               PrivateAssociation=association(PARAMETER, ref("PrivateTable"))),
    behind_nat("association with another app's table", UNKNOWN,
               PrivateAssociation=association(ref("Private"), "rtb-1")),
    nothing_but("AWS::EC2::VPNGatewayRoutePropagation", "propagated by a VPN gateway", UNKNOWN,
                RouteTableIds=[ref("PrivateTable")]),
    nothing_but("AWS::EC2::RouteServerPropagation", "propagated by a route server", UNKNOWN,
                RouteTableId=ref("PrivateTable")),
    nothing_but("AWS::EC2::RouteServerPropagation", "propagated into another table",
                NO_NETWORK_PATH, RouteTableId=ref("PublicTable")),
    *(nothing_but(CUSTOM, f"custom resource with the {name}", UNKNOWN, Of=ref(name))
      for name in ("PrivateTable", "Vpc", "Private", "Instance")),
    nothing_but(CUSTOM, "custom resource with another", NO_NETWORK_PATH, Of=ref("PublicTable")),
    *(behind_nat(f"custom resource with the {name}, beside NAT", OPEN, Custom=custom(Of=ref(name)))
      for name in ("Vpc", "Private", "Instance")),
    behind_nat("custom resource with the VPC, and no table of the subnet", UNKNOWN,
               PrivateAssociation=None, Custom=custom(Vpc=ref("Vpc"))),
    behind_nat("route into a table by attribute, and no table of the subnet", UNKNOWN,
               PrivateAssociation=None, Custom=custom(),
               Main=route(att("Custom", "Main"), **TO_NAT)),
    nothing_but("AWS::CloudFormation::CustomResource", "custom resource of CloudFormation", UNKNOWN,
                Table=ref("PrivateTable")),
    nothing_but("Own::Network::Route", "type of one's own", UNKNOWN, Table=ref("PrivateTable")),
    nothing_but("Custom::AWSCDK-EKS-Cluster", "custom resource of CDK's EKS", NO_NETWORK_PATH,
                Table=ref("PrivateTable")),
    nothing_but("Custom::CrossRegionExportWriter", "CDK's writer of exports", NO_NETWORK_PATH,
                Writer={"exports": {"/cdk/exports/Table": ref("PrivateTable")}}),
    nothing_but(STACK, "stack that is not here with the table", UNKNOWN,
                Parameters={"Table": ref("PrivateTable")}),
    nothing_but(STACK, "stack that is not here with something else", NO_NETWORK_PATH,
                Parameters={"Gateway": ref("Gateway")}),
    behind_nat("stack that is not here with the VPC, beside NAT", UNKNOWN,
               Other=resource(STACK, Parameters={"Vpc": ref("Vpc")})),
    nothing_but("Own::Network::Part::MODULE", "module", UNKNOWN),
    transformed("included parts", INCLUDE, UNKNOWN),
    transformed("a macro", ["AWS::Serverless-2016-10-31", "Own"], UNKNOWN),
    transformed("a macro that makes no network", "AWS::CodeDeployBlueGreen", NO_NETWORK_PATH),
    transformed("a macro of AWS", "AWS::Serverless-2016-10-31", NO_NETWORK_PATH),
    ("a loop beside NAT", {"Resources": templated()["Resources"] | LOOP}, UNKNOWN),
    ("a loop alone", {"Resources": templated(PrivateRoute=None)["Resources"] | LOOP}, UNKNOWN),
    without_route("user data that sets a proxy", UNKNOWN, Instance=compute(UserData=PROXY)),
    behind_nat("user data that sets a proxy, beside NAT", OPEN, Instance=compute(UserData=PROXY)),
    without_route("another interface", UNKNOWN, More=interface(InstanceId=ref("Instance"))),
    without_route("another interface of an instance by parameter", UNKNOWN,
                  More=interface(InstanceId=PARAMETER)),
    behind_nat("VPC by parameter", UNKNOWN, Private=subnet(VpcId=PARAMETER)),
    behind_nat("VPC of a custom resource", UNKNOWN, Private=subnet(VpcId=att("Custom", "VpcId")),
               Custom=custom()),
    *(behind_nat(f"subnet {name}", UNKNOWN, Instance=compute(SubnetId=id_))
      for name, id_ in (("by parameter", PARAMETER), ("by id", "subnet-1"), ("of nobody", None))),
    behind_nat("public access not blocked", OPEN, Blocks=blocking("off")),
    behind_nat("public access blocked both ways", UNKNOWN, Blocks=blocking("block-bidirectional")),
    behind_nat("public access blocked both ways, and a regional NAT gateway", UNKNOWN,
               Blocks=blocking("block-bidirectional"), Nat=regional_nat()),
    behind_nat("public access blocked by parameter", UNKNOWN, Blocks=blocking(PARAMETER)),
    behind_nat("route table of the internet gateway", UNKNOWN, **edge(ref("Gateway"))),
    behind_nat("route table of the internet gateway without routes", OPEN,
               **edge(ref("Gateway"), Inspects=None)),
    behind_nat("route table of the internet gateway by id", UNKNOWN,
               **edge(ref("Gateway"), table="rtb-1")),
    behind_nat("route table of a gateway by parameter", UNKNOWN, **edge(PARAMETER)),
    behind_nat("route table of a VPN gateway", OPEN, Vpn=part("VPNGateway"), **edge(ref("Vpn"))),
    behind_nat("an entry of the default network ACL", UNKNOWN,
               No=entry(99, NetworkAclId=att("Vpc", "DefaultNetworkAcl"), RuleAction="deny")),
    behind_nat("network ACL of a subnet by parameter", UNKNOWN, **acl(PARAMETER)),
    behind_nat("network ACL of another subnet", OPEN, Third=subnet("10.0.4.0/24"),
               **acl(ref("Third"))),
    behind_nat("network ACL of a subnet by attribute", UNKNOWN, Custom=custom(),
               **acl(att("Custom", "Subnet"))),
    behind_nat("prefix list that a custom resource changes", UNKNOWN, **listing({"Cidr": ANYWHERE}),
               Custom=custom(List=ref("List"))),
    behind_nat("prefix list with an entry by parameter", UNKNOWN, **listing(PARAMETER)),
    behind_nat("prefix list with a range by parameter", UNKNOWN, **listing({"Cidr": PARAMETER})),
    behind_nat("prefix list whose entries suffice together", OPEN,
               **listing({"Cidr": "0.0.0.0/1"}, {"Cidr": "128.0.0.0/1"})),
    behind_nat("prefix list without entries", EGRESS_CLOSED, **listing()),
    behind_nat("a type that is not known, with the VPC", UNKNOWN, New=part("VPCFilter", **VPC_ID)),
    without_route("a type that is not known, with a subnet", UNKNOWN,
                  New=part("Way", Subnets=[ref("Private")])),
    behind_nat("a type that is not known, on a condition", UNKNOWN,
               New=on(resource("AWS::Route53Resolver::Blocker", Of=ref("Vpc")), ON)),
    behind_nat("a type that is not known, with another VPC", OPEN,
               New=part("VPCFilter", VpcId=ref("Other")), Other=part("VPC", CidrBlock=BLOCK)),
    behind_nat("a type of another service, with the VPC", OPEN,
               New=resource("AWS::Database::Cluster", **VPC_ID)),
    behind_nat("a type that changes no path, with the VPC", OPEN,
               New=part("FlowLog", ResourceId=ref("Vpc"))),
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
    modules = ("ec2", "route53*")
    files = [one for name in modules for one in library.glob(f"aws_{name}/__init__.py")]
    types = {
        type_
        for one in files
        for type_ in re.findall(r"(?<=:cloudformationResource: )[\w:]+", one.read_text("utf-8"))
        if not type_.startswith("AWS::Route53Rec") and not type_.startswith("AWS::Route53Global")
    }
    assert len(types) >= 100
    assert {one for one in types if not _KNOWN.fullmatch(one)} <= STRANGE


SELF: Final = {"Admits": group()}


def ingress(**changes: object) -> dict[str, Any]:
    rule = {"GroupId": ref("Admits"), "IpProtocol": "-1", "CidrIp": BLOCK}
    return part("SecurityGroupIngress", **{**rule, **changes})


def of_ssm(name: str, expected: str, /, **changes: object) -> Row:
    """The endpoint of `ssm` differs."""
    return name, with_endpoints(Ssm=made("ssm", **changes)), expected


def admits(name: str, expected: str, /, **changes: object) -> Row:
    """The one rule of the endpoints' group differs."""
    return name, with_endpoints(Admits=admitting(**changes)), expected


def by_rule(name: str, expected: str, /, *, condition: str = "", **changes: object) -> Row:
    """The endpoints' group admits by a rule of its own alone."""
    return name, with_endpoints(**SELF, Rule=on(ingress(**changes), condition)), expected


ONE_OF_MANY: Final = {
    "Fn::Join": ["-", ["sg", *({"Fn::If": [f"{ON}{bit}", "0", "1"]} for bit in range(7))]]
}
"""A group in twice as many worlds as are judged."""

FOREIGN: Final = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
"""What an endpoint is in, by ids."""

ALLOWS_ALL: Final = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
ROOT: Final = {"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}}
POLICIES_OF_ALL: Final[dict[str, object]] = {
    "as JSON": json.dumps({"Statement": [ALLOWS_ALL]}),
    "as JSON that a function makes": {"Fn::ToJsonString": {"Statement": [ALLOWS_ALL]}},
    "with an action that is joined": {
        "Statement": ALLOWS_ALL | {"Action": {"Fn::Join": [":", ["ssm", "*"]]}}
    },
    "for the account": {"Statement": ALLOWS_ALL | {"Principal": {"AWS": ref("AWS::AccountId")}}},
    "for the root of the account": {"Statement": ALLOWS_ALL | {"Principal": ROOT}},
}


def allowing_by_reference(effect: str) -> dict[str, Any]:
    by_reference = {"Effect": effect, "Action": "{{resolve:ssm:/action}}"}
    return {"Statement": [ALLOWS_ALL, ALLOWS_ALL | by_reference]}


def ranged(
    name: str, expected: str, *, subnet_of: object, admitted: object, vpc: object = BLOCK
) -> Row:
    """Endpoints that admit a range, and the ranges of the subnet and of the VPC."""
    return by_endpoints(
        name,
        expected,
        Vpc=part("VPC", CidrBlock=vpc, EnableDnsHostnames=True),
        Private=part("Subnet", CidrBlock=subnet_of, **VPC_ID),
        Admits=admitting(CidrIp=admitted),
    )


def nth(place: int, of: object) -> dict[str, Any]:
    return {"Fn::Select": [place, of]}


LIST: Final = {"Fn::Split": [";", PARAMETER]}
BLOCKS: Final = {"Fn::Cidr": [att("Vpc", "CidrBlock"), "4", 8]}
"""Subnets of 256 addresses."""
MANY_BLOCKS: Final = {"Fn::Cidr": [BLOCK, 4, 28]}
OTHER_GROUP: Final = {"Other": part("VPC", CidrBlock=BLOCK), "Apart": group(VpcId=ref("Other"))}
NAMED_VPC: Final = part("VPC", CidrBlock=PARAMETER, EnableDnsHostnames=True)

ENDPOINT_ROWS: Final[list[Row]] = [
    of_ssm("gateway type", ENDPOINT_MISSING, VpcEndpointType="Gateway"),
    of_ssm("another type", ENDPOINT_MISSING, VpcEndpointType="GatewayLoadBalancer"),
    of_ssm("type by parameter", UNKNOWN, VpcEndpointType=PARAMETER),
    by_endpoints("of FIPS", UNKNOWN, Ssm=made("ssm-fips"), Messages=made("ssmmessages-fips")),
    of_ssm("private DNS not written", ENDPOINT_UNREACHABLE, PrivateDnsEnabled=None),
    of_ssm("private DNS by parameter", UNKNOWN, PrivateDnsEnabled=PARAMETER),
    of_ssm("service by parameter", UNKNOWN, ServiceName=PARAMETER),
    of_ssm("named as in China", OPEN, ServiceName="cn.com.amazonaws.eu-west-1.ssm"),
    of_ssm("of another region", ENDPOINT_MISSING, ServiceName="com.amazonaws.eu-west-2.ssm"),
    of_ssm("in a VPC by parameter", UNKNOWN, VpcId=PARAMETER, **FOREIGN),
    of_ssm("in a VPC by parameter, in a subnet of the VPC", OPEN, VpcId=PARAMETER),
    of_ssm("in the VPC or in one by parameter, in a subnet of the VPC", OPEN,
           VpcId=either(ref("Vpc"), PARAMETER)),
    of_ssm("in a VPC by id", UNKNOWN, VpcId="vpc-1", **FOREIGN),
    of_ssm("in a VPC by id, in a group of the VPC", OPEN, VpcId="vpc-1", SubnetIds=["subnet-1"]),
    by_endpoints("in a VPC by id, in a group of another VPC", ENDPOINT_MISSING, **OTHER_GROUP,
                 Ssm=made("ssm", VpcId="vpc-1", SubnetIds=["subnet-1"],
                          SecurityGroupIds=[ref("Apart")])),
    of_ssm("in no subnet", UNKNOWN, SubnetIds=[]),
    of_ssm("in subnets that are not written", UNKNOWN, SubnetIds=None),
    of_ssm("in subnets by parameter", OPEN, SubnetIds=PARAMETER),
    of_ssm("no groups", ENDPOINT_UNREACHABLE, SecurityGroupIds=None),
    of_ssm("groups by parameter", UNKNOWN, SecurityGroupIds=PARAMETER),
    by_endpoints("no groups, and a rule of the default one", OPEN,
                 Ssm=made("ssm", SecurityGroupIds=None),
                 Rule=ingress(GroupId=att("Vpc", "DefaultSecurityGroup"))),
    by_endpoints("custom resource with the endpoint that admits nothing", UNKNOWN,
                 Admits=admitting(CidrIp="127.0.0.1/32"),
                 Custom=custom(Endpoints=[ref("Ssm"), ref("Messages")])),
    by_endpoints("custom resource with the endpoint whose policy allows nothing", UNKNOWN,
                 Ssm=made("ssm", PolicyDocument={"Statement": []}), Custom=custom(Of=ref("Ssm"))),
    by_endpoints("custom resource with the endpoint that admits all", OPEN,
                 Custom=custom(Endpoint=ref("Ssm"))),
    by_endpoints("custom resource with the default group, which admits itself alone", UNKNOWN,
                 Ssm=made("ssm", SecurityGroupIds=None),
                 Custom=custom(Group=att("Vpc", "DefaultSecurityGroup"))),
    by_endpoints("custom resource with the endpoint without private DNS", UNKNOWN,
                 Ssm=made("ssm", PrivateDnsEnabled=None), Custom=custom(Endpoint=ref("Ssm"))),
    of_ssm("policy by parameter", UNKNOWN, PolicyDocument=PARAMETER),
    *(of_ssm(f"policy that allows all, {name}", OPEN, PolicyDocument=policy)
      for name, policy in POLICIES_OF_ALL.items()),
    of_ssm("policy as JSON that allows nothing", ENDPOINT_UNREACHABLE,
           PolicyDocument='{"Statement": []}'),
    of_ssm("policy as JSON that can't be read", UNKNOWN, PolicyDocument="{"),
    of_ssm("policy as JSON with a part by parameter", UNKNOWN,
           PolicyDocument={"Fn::Sub": '{"Statement": {"Action": "${Given}"}}'}),
    of_ssm("policy by a dynamic reference", UNKNOWN, PolicyDocument="{{resolve:ssm:/policy}}"),
    of_ssm("policy that allows an action by a dynamic reference as well", OPEN,
           PolicyDocument=allowing_by_reference("Allow")),
    of_ssm("policy that denies an action by a dynamic reference", UNKNOWN,
           PolicyDocument=allowing_by_reference("Deny")),
    of_ssm("policy that is not there", OPEN, PolicyDocument=ref("AWS::NoValue")),
    admits("another port", ENDPOINT_UNREACHABLE, FromPort=80, ToPort=80),
    admits("ports by parameter", UNKNOWN, FromPort=PARAMETER),
    admits("ports by functions", OPEN, FromPort={"Fn::Sub": "443"}, IpProtocol={"Fn::Sub": "tcp"},
           ToPort={"Fn::Join": ["", ["44", "3"]]}),
    admits("other ports by functions", ENDPOINT_UNREACHABLE, FromPort={"Fn::Sub": "80"},
           ToPort={"Fn::Sub": "80"}),
    admits("a range of ports, one of them a text", OPEN, FromPort=0, ToPort="65535"),
    admits("a range by parameter", UNKNOWN, CidrIp=PARAMETER),
    by_endpoints("a range by attribute", UNKNOWN, Custom=custom(),
                 Admits=admitting(CidrIp=att("Custom", "Block"))),
    admits("IPv6", ENDPOINT_UNREACHABLE, CidrIp=None, CidrIpv6="::/0"),
    by_endpoints("IPv6 in a subnet with IPv6", UNKNOWN, Block=IPV6,
                 Admits=admitting(CidrIp=None, CidrIpv6="::/0")),
    admits("nobody knows whom", UNKNOWN, CidrIp=None),
    admits("a group by id", UNKNOWN, CidrIp=None, SourceSecurityGroupId="sg-1"),
    admits("a group by parameter", UNKNOWN, CidrIp=None, SourceSecurityGroupId=PARAMETER),
    admits("a prefix list", UNKNOWN, CidrIp=None, SourcePrefixListId="pl-1"),
    by_endpoints("admitting by parameter", UNKNOWN, Admits=group(SecurityGroupIngress=PARAMETER)),
    by_endpoints("admitting by parameter on a condition", UNKNOWN,
                 Admits=group(SecurityGroupIngress=[either(PARAMETER, ref("AWS::NoValue"))])),
    by_endpoints("admitting an address, which the instance has by parameter", UNKNOWN,
                 Instance=compute(PrivateIpAddress=PARAMETER),
                 Admits=admitting(CidrIp="10.0.1.7/32")),
    by_rule("rule of another group", ENDPOINT_UNREACHABLE, GroupId=ref("Group")),
    by_rule("rule of a group by parameter", UNKNOWN, GroupId=PARAMETER),
    by_rule("the same on a condition", UNKNOWN, GroupId=PARAMETER, condition=ON),
    by_rule("rule of the group or another", UNKNOWN, GroupId=either(ref("Admits"), PARAMETER)),
    by_rule("rule of one of too many groups, of another protocol", ENDPOINT_UNREACHABLE,
            GroupId=ONE_OF_MANY, IpProtocol="udp"),
    by_rule("rule of a group by id", UNKNOWN, GroupId="sg-1"),
    by_endpoints("admitting by a custom resource", UNKNOWN, **SELF, Rule=custom(Of=ref("Admits"))),
    by_endpoints("admitting by a custom resource on a condition", UNKNOWN, **SELF,
                 Rule=on(custom(Of=ref("Admits")), ON)),
    by_endpoints("a VPC with two ranges", OPEN,
                 More=part("VPCCidrBlock", CidrBlock="10.9.0.0/16", **VPC_ID)),
    by_endpoints("a VPC with ranges of IPv6", OPEN,
                 More=part("VPCCidrBlock", AmazonProvidedIpv6CidrBlock=True, **VPC_ID)),
    by_endpoints("ranges of a VPC by parameter", OPEN,
                 More=part("VPCCidrBlock", VpcId=PARAMETER, CidrBlock="10.9.0.0/16")),
    by_endpoints("a VPC whose range a custom resource gives", OPEN, Custom=custom(),
                 Vpc=part("VPC", CidrBlock=att("Custom", "Block"), EnableDnsHostnames=True),
                 Admits=admitting(CidrIp=att("Vpc", "CidrBlock"))),
    by_endpoints("ranges by the same parameter", OPEN, Vpc=NAMED_VPC, Private=subnet(ref("Other")),
                 Admits=admitting(CidrIp=PARAMETER)),
    ranged("ranges by one entry of a list", OPEN, subnet_of=nth(0, LIST), admitted=nth(0, LIST)),
    ranged("two entries of a list", UNKNOWN, subnet_of=nth(0, LIST), admitted=nth(1, LIST)),
    ranged("texts that differ in a parameter", UNKNOWN, subnet_of={"Fn::Sub": "${Given}.0/24"},
           admitted={"Fn::Sub": "${Other}.0/24"}),
    ranged("one block of several", OPEN, subnet_of=nth(1, BLOCKS), admitted="10.0.1.0/24"),
    ranged("two blocks of several", ENDPOINT_UNREACHABLE, subnet_of=nth(1, BLOCKS),
           admitted=nth(2, BLOCKS)),
    ranged("the same block of a parameter", OPEN, subnet_of=nth(1, BLOCKS),
           admitted=nth(1, BLOCKS), vpc=PARAMETER),
    ranged("two blocks of a parameter", UNKNOWN, subnet_of=nth(1, BLOCKS),
           admitted=nth(2, BLOCKS), vpc=PARAMETER),
    ranged("a range that is none", UNKNOWN, subnet_of="10.0.1.0/24", admitted="none"),
    ranged("more blocks than the range has", UNKNOWN, subnet_of=nth(0, MANY_BLOCKS),
           admitted="10.0.1.0/24"),
    ranged("more than the VPC", OPEN, subnet_of=PARAMETER, admitted="10.0.0.0/8"),
    ranged("another range than the VPC's", ENDPOINT_UNREACHABLE, subnet_of=PARAMETER,
           admitted="10.9.0.0/16"),
    by_endpoints("ranges by another parameter", UNKNOWN, Vpc=NAMED_VPC,
                 Admits=admitting(CidrIp=ref("Other"))),
    *(by_endpoints(f"in two subnets, {name} let out to", expected,
                   Ssm=made("ssm", SubnetIds=[ref("Private"), ref("Public")]),
                   Group=group([{"IpProtocol": "-1", "CidrIp": block}]))
      for name, block, expected in (("one of which is", "10.0.1.0/24", UNKNOWN),
                                    ("neither of which is", "10.0.9.0/24", EGRESS_CLOSED))),
]  # fmt: skip


ANY: Final = {"IpProtocol": "-1", "CidrIp": ANYWHERE}
NOWHERE: Final = ANY | {"CidrIp": "127.0.0.1/32"}
LET_OUT: Final = part("SecurityGroupEgress", GroupId=ref("Group"), **ANY)
LET_OUT_UDP: Final = part(
    "SecurityGroupEgress", GroupId=ref("Group"), **ANY | {"IpProtocol": "udp"}
)


def lets_out(name: str, expected: str, egress: object, **more: dict[str, Any] | None) -> Row:
    return name, templated(Group=group(egress), **more), expected


EGRESS_ROWS: Final[list[Row]] = [
    lets_out("rules that are not there", OPEN, ref("AWS::NoValue")),
    lets_out("an empty list of rules", UNKNOWN, []),
    lets_out("a rule on a condition", UNKNOWN, [either(ANY, ref("AWS::NoValue"))]),
    lets_out("UDP", EGRESS_CLOSED, [ANY | {"IpProtocol": "udp"}]),
    lets_out("IPv6", EGRESS_CLOSED, [https(CidrIpv6="::/0")]),
    lets_out("a protocol by a name that is none", UNKNOWN, [ANY | {"IpProtocol": "all"}]),
    lets_out("a rule of its own beside one inline", OPEN, [NOWHERE], Rule=LET_OUT),
    lets_out("a rule of its own on a condition", UNKNOWN, [NOWHERE], Rule=on(LET_OUT, ON)),
    lets_out("a rule of its own of another protocol", UNKNOWN, None, Rule=LET_OUT_UDP),
    lets_out("a prefix list by id", UNKNOWN, [https(DestinationPrefixListId="pl-1")]),
    behind_nat("a group that is not there", UNKNOWN, Group=None),
    lets_out("IPv6 in a subnet with IPv6", UNKNOWN, [https(CidrIpv6="::/0")], Block=IPV6),
]
LETS_IN, LETS_OUT = entry(egress=False), entry(egress="true")


def entries(name: str, expected: str, /, **more: dict[str, Any] | None) -> Row:
    """A network ACL that lets all in and out has these entries as well."""
    return name, templated(**acl(In=LETS_IN, **{"Out": LETS_OUT, **more})), expected


ACL_ROWS: Final[list[Row]] = [
    entries("all", OPEN),
    entries("HTTPS by the number of TCP", OPEN,
            Out=entry(Protocol=6, PortRange={"From": 443, "To": 443})),
    entries("of which one is of IPv6", OPEN,
            No=entry(99, RuleAction="deny", CidrBlock=None, Ipv6CidrBlock="::/0")),
    entries("an action by parameter", UNKNOWN, No=entry(99, RuleAction=PARAMETER)),
    entries("a direction by parameter", UNKNOWN, No=entry(99, egress=PARAMETER)),
    entries("a number by parameter", UNKNOWN, No=entry(PARAMETER)),
    entries("a protocol by parameter", UNKNOWN, No=entry(99, Protocol=PARAMETER)),
    entries("a range by parameter that is allowed", OPEN, No=entry(99, CidrBlock=PARAMETER)),
    entries("a range by parameter that is denied", UNKNOWN,
            No=entry(99, CidrBlock=PARAMETER, RuleAction="deny")),
    entries("ports by parameter", UNKNOWN, Out=entry(Protocol=6, PortRange=PARAMETER)),
    entries("of a network ACL by parameter", UNKNOWN, Out=entry(1, NetworkAclId=PARAMETER)),
    entries("of a network ACL that is not there", UNKNOWN, Acl=None),
    entries("that a custom resource may change", UNKNOWN, Custom=custom(Acl=ref("Acl"))),
]  # fmt: skip


@each_row(*ROUTE_ROWS, *ENDPOINT_ROWS, *EGRESS_ROWS, *ACL_ROWS)
def test_template(tmp_path: Path, body: dict[str, Any], expected: str) -> None:
    assert said_of(tmp_path, Stack=body) == expected


def to_s3(name: str, expected: str, /, **changes: object) -> Row:
    return name, with_endpoints(S3=made("s3", **changes)), expected


GATEWAY: Final = {"VpcEndpointType": "Gateway", "SubnetIds": None, "SecurityGroupIds": None}
ONLY_INBOUND: Final = "PrivateDnsOnlyForInboundResolverEndpoint"


@each_row(
    by_endpoints("none", ENDPOINT_MISSING),
    to_s3("gateway", OPEN, **GATEWAY, RouteTableIds=[ref("PrivateTable")]),
    to_s3("gateway of a table that is no list", OPEN, **GATEWAY, RouteTableIds=ref("PrivateTable")),
    to_s3("gateway of another table", ENDPOINT_MISSING, **GATEWAY,
          RouteTableIds=[ref("PublicTable")]),
    to_s3("gateway of tables by parameter", UNKNOWN, **GATEWAY, RouteTableIds=PARAMETER),
    to_s3("interface", UNKNOWN),
    to_s3("interface for the VPC", OPEN, DnsOptions={ONLY_INBOUND: "AllResolvers"}),
    to_s3("interface for others", ENDPOINT_UNREACHABLE,
          DnsOptions={ONLY_INBOUND: "OnlyInboundResolver"}),
    to_s3("interface without private DNS", ENDPOINT_UNREACHABLE, PrivateDnsEnabled=False),
    to_s3("interface with options by parameter", UNKNOWN, DnsOptions=PARAMETER),
)  # fmt: skip
def test_way_to_s3(tmp_path: Path, body: dict[str, Any], expected: str) -> None:
    assert said_of(tmp_path, ("ssm", "ssmmessages", "s3"), Stack=body) == expected


def test_entries_that_a_loop_makes_are_not_known(tmp_path: Path) -> None:
    in_public = {"SubnetIds": [ref("Public")]}
    by = {"Ssm": made("ssm", **in_public), "Messages": made("ssmmessages", **in_public)}
    body = with_endpoints(**acl(), **by)
    assert said_of(tmp_path, Stack=body) == NO_NETWORK_PATH
    loop = ["Egress", ["true", "false"], {"Entry${Egress}": entry(1, egress=ref("Egress"))}]
    body["Resources"]["Fn::ForEach::Entries"] = loop
    assert said_of(tmp_path, Stack=body) == UNKNOWN


@pytest.mark.parametrize("name", POLICIES_OF_ALL)
def test_policy_of_an_endpoint_in_an_account_that_is_not_known(tmp_path: Path, name: str) -> None:
    policy = made("ssm", PolicyDocument=POLICIES_OF_ALL[name])
    paths = write(tmp_path, Stack=with_endpoints(Ssm=policy))
    deployed_to(tmp_path, "Stack", "unknown-account/eu-west-1")

    assert {said(one) for one in verdicts(paths).values()} == {OPEN}


# A second stack that refers to things by their ids, as `Vpc.from_lookup` gives them


def both(**changes: object) -> dict[str, Any]:
    """Both endpoints in a VPC by id."""
    given = {"VpcId": "vpc-1", **FOREIGN, **changes}
    return {"Ssm": made("ssm", **given), "Messages": made("ssmmessages", **given)}


def both_admitting(block: str) -> dict[str, Any]:
    rules = [{"IpProtocol": "-1", "CidrIp": block}]
    admits_ = group(VpcId="vpc-1", SecurityGroupIngress=rules)
    return both(SecurityGroupIds=[ref("Admits")]) | {"Admits": admits_}


ALONE: Final = templated(PrivateRoute=None)
SHUT: Final = with_endpoints(**SELF)
OFF_BOTH: Final = with_endpoints(
    Ssm=made("ssm", PrivateDnsEnabled=False), Messages=made("ssmmessages", PrivateDnsEnabled=False)
)
NOTHING_OUT: Final = templated(Group=group([NOWHERE]))
UNASSOCIATED: Final = templated(PrivateAssociation=None)
SHUT_BY_ACL: Final = templated(**acl())


def of_group(kind: str, **more: object) -> dict[str, Any]:
    rule = {"GroupId": "sg-1", **https(CidrIp=ANYWHERE), **more}
    return {"Rule": part(f"SecurityGroup{kind}", **rule)}


def by_id(**more: object) -> dict[str, Any]:
    return {"Route": route("rtb-1", **{"TransitGatewayId": "tgw-1", **more})}


TABLE: Final = {"Uses": association("subnet-1", "rtb-1")}
ACL: Final = {
    "Uses": part("SubnetNetworkAclAssociation", SubnetId="subnet-1", NetworkAclId="acl-1")
}
SERVERS: Final = part("VPCDHCPOptionsAssociation", VpcId="vpc-1", DhcpOptionsId="dopt-1")
INSTANCE: Final = {"Other": part("Instance", SubnetId="subnet-1")}

BY_ID_ROWS: Final[list[tuple[str, dict[str, Any], dict[str, Any], str]]] = [
    ("endpoints", ALONE, both(), UNKNOWN),
    ("endpoints beside NAT", templated(), both(), OPEN),
    ("endpoints, one of them", ALONE, {"Ssm": both()["Ssm"]}, ENDPOINT_MISSING),
    ("endpoints without private DNS", ALONE, both(PrivateDnsEnabled=False), NO_NETWORK_PATH),
    ("endpoints of other services", ALONE, {"Ec2": made("ec2messages", VpcId="vpc-1", **FOREIGN)},
     NO_NETWORK_PATH),
    ("endpoints beside shut ones, of which a VPC takes no second", SHUT, both(),
     ENDPOINT_UNREACHABLE),
    ("endpoints beside ones without private DNS", OFF_BOTH, both(), UNKNOWN),
    ("endpoints for a VPC without DNS host names",
     templated(PrivateRoute=None, Vpc=part("VPC", CidrBlock=BLOCK)), both(), NO_NETWORK_PATH),
    ("endpoints whose group admits another range", ALONE, both_admitting("10.9.0.0/16"),
     NO_NETWORK_PATH),
    ("endpoints whose group admits the range", ALONE, both_admitting(BLOCK), UNKNOWN),
    ("endpoints, and nothing let out", NOTHING_OUT, both(), EGRESS_CLOSED),
    ("compute alone", ALONE, INSTANCE, NO_NETWORK_PATH),
    ("route to a NAT gateway", ALONE, by_id(NatGatewayId="nat-1", TransitGatewayId=None), UNKNOWN),
    ("route to a transit gateway", ALONE, by_id(DestinationCidrBlock="10.8.0.0/16"), UNKNOWN),
    ("route back to the VPC itself", ALONE, by_id(DestinationCidrBlock=BLOCK), NO_NETWORK_PATH),
    ("route into a part of the VPC", ALONE, by_id(DestinationCidrBlock="10.0.1.0/24"),
     NO_NETWORK_PATH),
    ("route beside NAT", templated(), by_id(), OPEN),
    ("route, and nothing let out", NOTHING_OUT, by_id(), EGRESS_CLOSED),
    ("propagated routes", ALONE, {"Vpn": part("VPNGatewayRoutePropagation",
                                              RouteTableIds=["rtb-1"])}, UNKNOWN),
    ("association", UNASSOCIATED, TABLE, UNKNOWN),
    ("association, of which a subnet takes no second", ALONE, TABLE, NO_NETWORK_PATH),
    ("rule that admits HTTPS", SHUT, of_group("Ingress"), UNKNOWN),
    ("rule that admits another port", SHUT, of_group("Ingress", FromPort=5432, ToPort=5432),
     ENDPOINT_UNREACHABLE),
    ("rule that admits, beside NAT", templated(), of_group("Ingress"), OPEN),
    ("rule that admits, and nothing let out", NOTHING_OUT, of_group("Ingress"), EGRESS_CLOSED),
    ("rule that lets HTTPS out", NOTHING_OUT, of_group("Egress"), UNKNOWN),
    ("rule that lets another port out", NOTHING_OUT, of_group("Egress", FromPort=80, ToPort=80),
     EGRESS_CLOSED),
    ("rule that lets HTTPS out, and no rule that admits", SHUT, of_group("Egress"),
     ENDPOINT_UNREACHABLE),
    ("attachment", templated(Attachment=None),
     {"Attachment": attachment(VpcId="vpc-1", InternetGatewayId="igw-1")}, UNKNOWN),
    ("entry of a network ACL", SHUT_BY_ACL, {"Entry": entry(1, NetworkAclId="acl-1")}, UNKNOWN),
    ("network ACL of a subnet", SHUT_BY_ACL, ACL, UNKNOWN),
    ("network ACL of a subnet that has the default one", templated(), ACL, OPEN),
    ("DNS servers", OFF_BOTH, {"Servers": SERVERS}, UNKNOWN),
    ("rules of a DNS resolver", with_endpoints(),
     {"Rules": resource("AWS::Route53Resolver::ResolverRuleAssociation", VPCId="vpc-1")}, OPEN),
    ("custom resource", ALONE, {"Custom": custom(Table="rtb-0a1b2c3d")}, UNKNOWN),
    ("custom resource with something else", ALONE, {"Custom": custom(Name="subnet")},
     NO_NETWORK_PATH),
    ("custom resource with something else, beside an id", ALONE,
     {"Custom": custom(Name="subnet"), **INSTANCE}, NO_NETWORK_PATH),
    ("stack that is not here", ALONE,
     {"Stack": resource(STACK, Parameters={"Vpc": "vpc-0a1b2c3d"})}, UNKNOWN),
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
def test_what_another_account_or_region_adds_is_of_something_else(
    tmp_path: Path, here: str, there: str, expected: str
) -> None:
    """Endpoints in a VPC by id, in one by parameter, and those that a loop makes."""
    for parts, decides in (
        (both(), "whether this app makes the VPC 'vpc-1'"),
        (both(VpcId=PARAMETER), "the parameter 'Given'"),
        (LOOP, "what 'Fn::ForEach::Endpoints' makes"),
    ):
        paths = write(tmp_path, Here=ALONE, There={"Resources": parts})
        deployed_to(tmp_path, "Here", here)
        deployed_to(tmp_path, "There", there)
        (found,) = verdicts(paths).values()
        assert said(found) == expected
        assert found.decides[:1] == ((decides,) if expected == UNKNOWN else ())


# Several templates


def split(body: dict[str, Any], **given: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """A template without its instance, which a nested one has; it is given the subnet and group."""
    parts = body["Resources"]
    parameters = {"Private": ref("Private"), "Group": att("Group", "GroupId")}
    here = {name: one for name, one in parts.items() if name != "Instance"}
    here["Nested"] = on(nested("nested", Parameters=parameters), str(given.get("condition", "")))
    instance_ = on(compute(SecurityGroupIds=[ref("Group")]), str(given.get("of_instance", "")))
    return {"Resources": here}, {"Resources": {"Instance": instance_}}


NAT_ON: Final = templated(PrivateRoute=route(ref("PrivateTable"), ON, **TO_NAT))


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        (split(templated()), OPEN),
        (split(templated(Nat=None)), UNKNOWN),
        (split(templated(PrivateRoute=None)), NO_NETWORK_PATH),
        (split(NAT_ON), UNKNOWN),
        (split(NAT_ON, condition=ON), OPEN),
        (split(NAT_ON, of_instance=ON), UNKNOWN),  # the conditions of two templates are two
    ],
)
def test_instance_in_a_nested_stack(
    tmp_path: Path, bodies: tuple[dict[str, Any], dict[str, Any]], expected: str
) -> None:
    here, there = bodies
    assert said_of(tmp_path, Stack=here, nested=there) == expected


def test_instance_of_another_stack(tmp_path: Path) -> None:
    exports = {
        name: {"Value": ref(name), "Export": {"Name": name}} for name in ("Private", "Group")
    }
    imported = {name: {"Fn::ImportValue": name} for name in exports}
    given = {"SubnetId": imported["Private"], "SecurityGroupIds": [imported["Group"]]}
    here = templated(Instance=None) | {"Outputs": exports}
    there = {"Resources": {"Instance": part("Instance", **given)}}
    assert said_of(tmp_path, Here=here, There=there) == OPEN
    del exports["Private"]
    assert verdict_of(tmp_path, Here=here, There=there).decides == ("the import 'Private'",)


def test_macro_of_another_stack_may_add_a_route(tmp_path: Path) -> None:
    here, macro = templated(PrivateRoute=None), {"Resources": {}, "Transform": "Own"}

    assert said_of(tmp_path, Stack=here, Other=macro) == UNKNOWN


def test_custom_resource_of_another_stack_may_add_a_route(tmp_path: Path) -> None:
    exported = {"Table": {"Value": ref("PrivateTable"), "Export": {"Name": "Table"}}}
    given = {"Table": [{"Fn::Join": ["", [{"Fn::ImportValue": "Table"}]]}]}
    there = {"Resources": {"Custom": custom(**given)}}
    found = verdict_of(tmp_path, Here=ALONE | {"Outputs": exported}, There=there)
    assert found.decides == ("the custom resource 'Custom'",)


@pytest.mark.parametrize(
    "body", [templated(), templated(Group=group([NOWHERE])), with_endpoints(Messages=None)]
)
def test_included_template_gets_the_same_findings(
    tmp_path: Path, stack_here: cdk.Stack, body: dict[str, Any]
) -> None:
    paths = write(tmp_path, Stack=body)
    CfnInclude(stack_here, "Included", template_file=paths[0])
    included = str(synth(stack_here) / stack_here.template_file)

    found, as_written = (
        [(one.rule, one.logical_id, one.description, one.fix) for one in report.findings]
        for report in (Report([included], strict=False), Report(paths, strict=False))
    )

    assert found == as_written
    assert NO_INSTANCE_PROFILE in {rule for rule, *_ in found}


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


def big(number: int) -> dict[str, Any]:
    """A template with five resources for each instance: a fifth of them subnets."""
    parts: dict[str, Any] = {**with_endpoints()["Resources"]}
    for index in range(number):
        named = {"SubnetId": ref(f"Subnet{index}"), "SecurityGroupIds": [ref(f"Group{index}")]}
        parts[f"Subnet{index}"] = subnet(f"10.0.{index % 256}.0/24")
        parts[f"Table{index}"] = part("RouteTable", **VPC_ID)
        parts[f"Association{index}"] = association(ref(f"Subnet{index}"), ref(f"Table{index}"))
        parts[f"Group{index}"] = group()
        parts[f"Instance{index}"] = compute(**named)
    return {"Resources": parts}
