"""The endpoints: what is made, which of the app are used, and which clash with them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from session_manager_permissions import SessionManagerEndpoints, SessionManagerPermissions
from tests.cfn_lint import lint
from tests.conftest import MakeApp
from tests.keys import existing_key
from tests.places import HERE, OTHER_REGION, REGION
from tests.reading import app_of, lookups, only, resources, synth, template, warnings
from tests.roles import existing_role
from tests.scenarios import SCENARIOS, bucket, group
from tests.templates import include, names_of_a_parameter, parameter, resource

Place = Callable[[cdk.Stack, ec2.Vpc], object]

SERVICES: Final = ec2.InterfaceVpcEndpointAwsService
ISOLATED: Final = ec2.SubnetType.PRIVATE_ISOLATED
ALWAYS: Final = ["ssm", "ssmmessages"]


def vpc_of(stack: cdk.Stack, *kinds: ec2.SubnetType, **options: Any) -> ec2.Vpc:  # noqa: ANN401
    """A VPC in two zones, with one subnet of each kind in each zone."""
    subnets = [ec2.SubnetConfiguration(name=kind.name, subnet_type=kind) for kind in kinds]
    return ec2.Vpc(stack, "Vpc", max_azs=2, subnet_configuration=subnets, **options)


def isolated(stack: cdk.Stack, **options: Any) -> ec2.Vpc:  # noqa: ANN401
    return vpc_of(stack, ISOLATED, **options)


def existing_vpc(stack: cdk.Stack, name: str = "Vpc", **attributes: Any) -> ec2.IVpc:  # noqa: ANN401
    """A VPC in one zone, which the app does not make."""
    given: dict[str, Any] = {
        "vpc_id": "vpc-1",
        "vpc_cidr_block": "10.0.0.0/16",
        "availability_zones": ["eu-west-1a"],
        "isolated_subnet_ids": ["subnet-1"],
    }
    return ec2.Vpc.from_vpc_attributes(stack, name, **(given | attributes))


def made(stack: cdk.Stack, vpc: ec2.IVpc | None = None, **options: Any) -> SessionManagerEndpoints:  # noqa: ANN401
    """The endpoints of a VPC. By default, the VPC has only isolated subnets."""
    given: Any = vpc or isolated(stack)
    return SessionManagerEndpoints(stack, "Endpoints", vpc=given, **options)


def endpoints(stack: cdk.Stack) -> dict[str, dict[str, Any]]:
    """The properties of the stack's endpoints, by their logical id."""
    found = resources(stack, "AWS::EC2::VPCEndpoint")
    return {name: body["Properties"] for name, body in found.items()}


def service_of(endpoint: dict[str, Any]) -> str:
    return json.dumps(endpoint.get("ServiceName")).rstrip('"]}').rpartition(".")[2]


def services(stack: cdk.Stack) -> list[str]:
    """The services of the stack's endpoints, one for each endpoint."""
    return sorted(service_of(found) for found in endpoints(stack).values())


def endpoint(stack: cdk.Stack, service: str) -> dict[str, Any]:
    (found,) = (one for one in endpoints(stack).values() if service_of(one) == service)
    return found


def ingress(stack: cdk.Stack) -> list[dict[str, Any]]:
    """The rules of the security group that the construct makes for the endpoints."""
    found = resources(stack, "AWS::EC2::SecurityGroup").items()
    ((body),) = [body for name, body in found if name.startswith("Endpoints")]
    rules: list[dict[str, Any]] = body["Properties"]["SecurityGroupIngress"]
    return rules


# What is made


def needed(scenario: str) -> list[str]:
    """The services that the options of a scenario need. For a bucket's key, S3 itself calls KMS."""
    services = {"encryption_key": "kms", "decrypt": "kms", "log_bucket": "s3", "log_group": "logs"}
    every = scenario == "all"
    return [*{name for option, name in services.items() if every or scenario.startswith(option)}]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_options_need_these_endpoints_and_no_other(stack_here: cdk.Stack, scenario: str) -> None:
    options = SCENARIOS[scenario](stack_here)

    made(stack_here, **options)
    SessionManagerPermissions(stack_here, "P", role=existing_role(stack_here), **options)

    assert services(stack_here) == sorted(ALWAYS + needed(scenario))


# Where


@pytest.mark.parametrize(("kinds", "expected"), [
    ((ec2.SubnetType.PUBLIC, ec2.SubnetType.PRIVATE_WITH_EGRESS, ISOLATED), "PRIVATEWITHEGRESS"),
    ((ec2.SubnetType.PUBLIC, ISOLATED), "PRIVATEISOLATED"),
    ((ec2.SubnetType.PUBLIC,), "PUBLIC"),
])  # fmt: skip
def test_default_subnets_are_the_most_private_with_the_fewest_needs(
    stack_here: cdk.Stack, kinds: tuple[ec2.SubnetType, ...], expected: str
) -> None:
    made(stack_here, vpc_of(stack_here, *kinds))

    chosen = endpoint(stack_here, "ssm")["SubnetIds"]
    assert [subnet["Ref"].startswith(f"Vpc{expected}Subnet") for subnet in chosen] == [True, True]


# Security groups and connections


def test_group_refers_to_a_range_that_the_deployment_knows(stack_here: cdk.Stack) -> None:
    addresses = ec2.IpAddresses.aws_ipam_allocation(
        ipv4_ipam_pool_id="p", ipv4_netmask_length=16, default_subnet_ipv4_netmask_length=24
    )

    made(stack_here, isolated(stack_here, ip_addresses=addresses))

    assert ingress(stack_here)[0]["CidrIp"]["Fn::GetAtt"][1] == "CidrBlock"


def test_group_admits_each_range_that_the_app_has_given_the_vpc(make_app: MakeApp) -> None:
    app = make_app()
    stack, elsewhere = (cdk.Stack(app, name, env=HERE) for name in ("Stack", "Elsewhere"))
    vpc = isolated(stack)
    other = ec2.CfnVPC(stack, "Other", cidr_block="10.0.0.0/16")
    ranges: list[tuple[cdk.Stack, str, str, dict[str, Any]]] = [
        (stack, "Second", vpc.vpc_id, {"cidr_block": "100.64.0.0/16"}),
        (elsewhere, "Third", vpc.vpc_id, {"cidr_block": "100.65.0.0/16"}),
        (stack, "Again", vpc.vpc_id, {"cidr_block": "100.64.0.0/16"}),
        (stack, "Six", vpc.vpc_id, {"amazon_provided_ipv6_cidr_block": True}),
        (stack, "OfAnother", other.ref, {"cidr_block": "100.66.0.0/16"}),
    ]
    for scope, name, vpc_id, block in ranges:
        ec2.CfnVPCCidrBlock(scope, name, vpc_id=vpc_id, **block)

    made(stack, vpc)

    rules = ingress(stack)
    assert [rule["CidrIp"] for rule in rules] == ["10.0.0.0/16", "100.64.0.0/16", "100.65.0.0/16"]
    assert {(rule["FromPort"], rule["ToPort"]) for rule in rules} == {(443, 443)}


def test_groups_of_the_user_are_used_as_they_are(stack_here: cdk.Stack) -> None:
    vpc = isolated(stack_here)
    owned = ec2.SecurityGroup(stack_here, "Owned", vpc=vpc)
    imported = ec2.SecurityGroup.from_security_group_id(stack_here, "Imported", "sg-1")

    made(stack_here, vpc, security_groups=[owned, imported])

    ((name, body),) = resources(stack_here, "AWS::EC2::SecurityGroup").items()
    assert "SecurityGroupIngress" not in body["Properties"]
    ids = endpoint(stack_here, "ssm")["SecurityGroupIds"]
    assert ids == [{"Fn::GetAtt": [name, "GroupId"]}, "sg-1"]


def test_connections_open_https_between_instances_and_endpoints(stack_here: cdk.Stack) -> None:
    vpc = isolated(stack_here)
    closed = ec2.SecurityGroup(stack_here, "Closed", vpc=vpc, allow_all_outbound=False)

    closed.connections.allow_to_default_port(made(stack_here, vpc))

    ingress = only(stack_here, "AWS::EC2::SecurityGroupIngress")
    for rule in (ingress, only(stack_here, "AWS::EC2::SecurityGroupEgress")):
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 443, 443)
    assert [ingress["GroupId"]] == endpoint(stack_here, "ssm")["SecurityGroupIds"]


def test_connections_reach_endpoints_that_were_there(stack_here: cdk.Stack) -> None:
    vpc = isolated(stack_here)
    vpc.add_interface_endpoint("Ssm", service=SERVICES.SSM, open=False)

    made(stack_here, vpc).connections.allow_default_port_from(ec2.Peer.ipv4("100.64.0.0/16"))

    found = resources(stack_here, "AWS::EC2::SecurityGroup").values()
    assert sum("100.64.0.0/16" in json.dumps(body) for body in found) == 2


# What is there already


def l1(
    stack: cdk.Stack,
    vpc: ec2.IVpc,
    service: str = "ssm",
    construct_id: str = "There",
    **options: Any,  # noqa: ANN401
) -> ec2.CfnVPCEndpoint:
    said: dict[str, Any] = {
        "vpc_id": vpc.vpc_id,
        "service_name": cdk.Fn.sub(f"com.amazonaws.${{AWS::Region}}.{service}"),
        "vpc_endpoint_type": "Interface",
        "private_dns_enabled": True,
    }
    return ec2.CfnVPCEndpoint(stack, construct_id, **said | options)


def logical_id(vpc: ec2.Vpc) -> str:
    found: str = vpc.stack.resolve(vpc.vpc_id)["Ref"]
    return found


def in_another_stack(stack: cdk.Stack, vpc: ec2.Vpc) -> None:
    other = cdk.Stack(app_of(stack), "Other", env=HERE)
    ec2.InterfaceVpcEndpoint(other, "There", vpc=vpc, service=SERVICES.SSM)


THERE: Final[dict[str, Place]] = {
    "L2": lambda _, vpc: vpc.add_interface_endpoint("There", service=SERVICES.SSM),
    "L2 in one zone": lambda _, vpc: vpc.add_interface_endpoint("There", service=SERVICES.SSM,
        subnets=ec2.SubnetSelection(availability_zones=vpc.availability_zones[:1])),
    "L1 by Fn::Sub": l1,
    "L1 by its name": lambda s, vpc: l1(s, vpc, service_name=f"com.amazonaws.{REGION}.ssm"),
    "L1 by Fn::Join": lambda s, vpc: l1(
        s, vpc, service_name=cdk.Fn.join(".", ["com.amazonaws", cdk.Aws.REGION, "ssm"])),
    "L1 by Ref": lambda s, vpc: l1(s, vpc, vpc_id=cdk.Fn.ref(logical_id(vpc))),
    "L1 by Fn::GetAtt": lambda s, vpc: l1(
        s, vpc, vpc_id=cdk.Fn.get_att(logical_id(vpc), "VpcId").to_string()),
    "in another stack": in_another_stack,
    "two of others": lambda s, vpc: [l1(s, vpc, construct_id=f"There{n}") for n in range(2)],
}  # fmt: skip


def elsewhere(stack: cdk.Stack, _: ec2.Vpc) -> None:
    ec2.Vpc(stack, "Elsewhere", max_azs=1).add_interface_endpoint("There", service=SERVICES.SSM)


NO_HELP: Final[dict[str, Place]] = {
    "private DNS off": lambda _, vpc: vpc.add_interface_endpoint(
        "There", service=SERVICES.SSM, private_dns_enabled=False
    ),
    "private DNS not said": lambda s, vpc: l1(s, vpc, private_dns_enabled=None),
    "another VPC": elsewhere,
    "another service": lambda _, vpc: vpc.add_interface_endpoint("There", service=SERVICES.EC2),
    "a service that only ends alike": lambda s, vpc: l1(s, vpc, "notssm"),
    "a service of the deployment": lambda s, vpc: l1(s, vpc, service_name=parameter(s)),
    "no service": lambda s, vpc: l1(s, vpc, service_name=None),
    "another region": lambda s, vpc: l1(s, vpc, service_region="us-east-1"),
    "a VPC of the deployment": lambda s, vpc: l1(s, vpc, vpc_id=cdk.Fn.import_value("SharedVpc")),
}


def condition(stack: cdk.Stack) -> cdk.CfnCondition:
    text = parameter(stack, "WithEndpoints")
    return cdk.CfnCondition(stack, "Has", expression=cdk.Fn.condition_equals(text, "yes"))


def on_or_off(stack: cdk.Stack) -> cdk.ICfnConditionExpression:
    return cdk.Fn.condition_if(condition(stack).logical_id, True, False)  # noqa: FBT003


def conditional(stack: cdk.Stack, vpc: ec2.Vpc) -> None:
    l1(stack, vpc).cfn_options.condition = condition(stack)


MAYBE: Final[dict[str, Place]] = {
    "a condition": conditional,
    "private DNS by a condition": lambda s, vpc: l1(s, vpc, private_dns_enabled=on_or_off(s)),
}
BOTH: Final = ["Ssm", "SsmMessages"]
BEFORE: Final = [
    *(pytest.param(there, BOTH[1:], 0, id=f"there: {kind}") for kind, there in THERE.items()),
    *(pytest.param(there, BOTH, 0, id=f"no help: {kind}") for kind, there in NO_HELP.items()),
    *(pytest.param(there, BOTH[1:], 1, id=f"not certain: {kind}") for kind, there in MAYBE.items()),
]


@pytest.mark.parametrize(("there", "ids", "warned"), BEFORE)
def test_what_is_there_is_not_made_twice_and_stays_as_it_is(
    stack_here: cdk.Stack, there: Place, ids: list[str], warned: int
) -> None:
    vpc = isolated(stack_here)
    there(stack_here, vpc)

    found = made(stack_here, vpc, endpoint_policy="account")

    assert [one.node.id for one in found.interface_endpoints] == ids
    names = [name for name, one in endpoints(stack_here).items() if "PolicyDocument" in one]
    assert [name.startswith("Endpoints") for name in names] == [True] * len(ids)
    assert ["'Stack/There'" in text for text in warnings(stack_here)] == [True] * warned


S3: Final = ec2.GatewayVpcEndpointAwsService.S3
AFTER: Final = [
    *(pytest.param(there, True, id=kind) for kind, there in THERE.items() if "stack" not in kind),
    pytest.param(lambda _, vpc: vpc.add_gateway_endpoint("There", service=S3), True, id="gateway"),
    *(pytest.param(there, False, id=kind) for kind, there in (NO_HELP | MAYBE).items()),
    pytest.param(lambda s, vpc: l1(s, vpc, "s3"), False, id="interface of S3"),
]


@pytest.mark.parametrize(("there", "clashes"), AFTER)
def test_what_clashes_is_an_error(stack_here: cdk.Stack, there: Place, *, clashes: bool) -> None:
    vpc = isolated(stack_here)
    made(stack_here, vpc, log_bucket=bucket(stack_here))
    there(stack_here, vpc)

    if clashes:
        with pytest.raises(RuntimeError, match=r"There.*' of (ssm|s3) is defined after this"):
            synth(stack_here)
    else:
        assert len([name for name in endpoints(stack_here) if name.startswith("Endpoints")]) == 3
        assert warnings(stack_here) == []


def test_nothing_is_made_where_all_is_there(stack_here: cdk.Stack) -> None:
    vpc = isolated(stack_here)
    for service in (SERVICES.SSM, SERVICES.SSM_MESSAGES):
        vpc.add_interface_endpoint(service.short_name, service=service)
    before = resources(stack_here, "AWS::EC2::SecurityGroup")

    found = made(stack_here, vpc, endpoint_policy="account")

    assert services(stack_here) == ALWAYS
    assert resources(stack_here, "AWS::EC2::SecurityGroup") == before
    assert len(found.connections.security_groups) == 2


def test_several_of_one_vpc_are_a_union(stack_here: cdk.Stack) -> None:
    vpc, logged = isolated(stack_here), bucket(stack_here)
    key, log_group = existing_key(stack_here), group(stack_here)

    first = SessionManagerEndpoints(stack_here, "A", vpc=vpc, log_bucket=logged)
    SessionManagerEndpoints(stack_here, "B", vpc=vpc, encryption_key=key)
    third = SessionManagerEndpoints(
        stack_here, "C", vpc=vpc, log_bucket=logged, log_group=log_group, encryption_key=key
    )

    assert services(stack_here) == ["kms", "logs", "s3", "ssm", "ssmmessages"]
    assert len(first.connections.security_groups) == 1
    assert len(third.connections.security_groups) == 3


@pytest.mark.parametrize("by_name", [True, False])
def test_looked_up_vpc_is_one_however_often(stack_here: cdk.Stack, *, by_name: bool) -> None:
    vpc_id = "vpc-1" if by_name else cdk.Fn.import_value("Vpc")
    for name in ("A", "B"):
        vpc = existing_vpc(stack_here, f"Vpc{name}", vpc_id=vpc_id)
        SessionManagerEndpoints(stack_here, name, vpc=vpc)

    assert services(stack_here) == ALWAYS


@pytest.mark.parametrize("by_export", [True, False])
def test_a_vpc_of_the_deployment_differs_by_region(make_app: MakeApp, *, by_export: bool) -> None:
    app = make_app()
    regions = (REGION, OTHER_REGION)
    stacks = [cdk.Stack(app, one, env=cdk.Environment(region=one)) for one in regions]
    vpc_id = cdk.Fn.import_value("Vpc") if by_export else "{{resolve:ssm:/vpc}}"
    for stack in stacks:
        made(stack, existing_vpc(stack, vpc_id=vpc_id))

    assert [services(stack) for stack in stacks] == [ALWAYS, ALWAYS]


# Gateways that are there already


def gateway(stack: cdk.Stack, vpc: ec2.Vpc, tables: list[str], service: str = "s3") -> None:
    l1(stack, vpc, service, vpc_endpoint_type="Gateway", route_table_ids=tables)


PUBLIC: Final = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
OF_ISOLATED, OF_ALL = {"PRIVATEISOLATED"}, {"PRIVATEISOLATED", "PUBLIC"}
GATEWAYS: Final[dict[str, tuple[Place, set[str], int]]] = {
    "none": (lambda *_: None, OF_ALL, 0),
    "in all": (lambda _, vpc: vpc.add_gateway_endpoint("There", service=S3), set(), 0),
    "in the public ones": (lambda _, vpc: vpc.add_gateway_endpoint(
        "There", service=S3, subnets=[PUBLIC]), OF_ISOLATED, 0),
    "in those of a parameter": (lambda s, vpc: gateway(s, vpc, names_of_a_parameter(s)), set(), 1),
    "in none": (lambda s, vpc: gateway(s, vpc, []), OF_ALL, 0),
    "an interface": (lambda s, vpc: l1(s, vpc, "s3", private_dns_enabled=False), OF_ALL, 0),
    "of DynamoDB": (lambda s, vpc: gateway(s, vpc, [
        one.route_table.route_table_id for one in vpc.isolated_subnets], "dynamodb"), OF_ALL, 0),
}  # fmt: skip
"""The existing gateway, the subnets in whose tables it ends up, and the number of warnings."""


@pytest.mark.parametrize(("there", "kinds", "warned"), GATEWAYS.values(), ids=GATEWAYS)
def test_the_gateway_is_in_each_route_table_that_has_none(
    stack_here: cdk.Stack, there: Place, kinds: set[str], warned: int
) -> None:
    vpc = vpc_of(stack_here, ISOLATED, ec2.SubnetType.PUBLIC)
    there(stack_here, vpc)
    subnets = ec2.SubnetSelection(subnet_type=ISOLATED)

    found = made(stack_here, vpc, subnets=subnets, log_bucket=bucket(stack_here))

    ours = [one for name, one in endpoints(stack_here).items() if name.startswith("Endpoints")]
    tables = {table["Ref"] for one in ours for table in one.get("RouteTableIds", ())}
    assert {kind for kind in OF_ALL if any(kind in table for table in tables)} == kinds
    assert len(tables) == 2 * len(kinds)
    assert [one.node.path for one in (found.gateway_endpoint,) if one] == (
        ["Stack/Endpoints/S3"] if kinds else []
    )
    assert ["'Stack/There' of s3" in text for text in warnings(stack_here)] == [True] * warned


def test_route_table_that_an_import_does_not_say_is_left_out(stack_here: cdk.Stack) -> None:
    tables = {"private_subnet_route_table_ids": ["rtb-1"]}
    vpc = existing_vpc(stack_here, "Vpc", private_subnet_ids=["subnet-2"], **tables)
    l1(stack_here, vpc, "s3", vpc_endpoint_type="Gateway", route_table_ids=["rtb-2"])

    made(stack_here, vpc, log_bucket=bucket(stack_here))

    found = endpoints(stack_here).items()
    ours = [body.get("RouteTableIds") for name, body in found if name.startswith("Endpoints")]
    assert [tables for tables in ours if tables] == [["rtb-1"]]


@pytest.mark.parametrize("tables", [[{"Ref": "Table"}], {"Ref": "Tables"}], ids=str)
def test_those_of_a_template_count(stack_here: cdk.Stack, tmp_path: Path, tables: object) -> None:
    def endpoint_of(service: str, vpc_id: object, **properties: object) -> dict[str, Any]:
        name = {"Fn::Sub": f"com.amazonaws.${{AWS::Region}}.{service}"}
        return resource("AWS::EC2::VPCEndpoint", VpcId=vpc_id, ServiceName=name, **properties)

    by_attribute, by_reference = {"Fn::GetAtt": ["Network", "VpcId"]}, {"Ref": "Network"}
    named = {"VpcEndpointType": "Interface", "PrivateDnsEnabled": True}
    body = {
        "Network": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
        "Table": resource("AWS::EC2::RouteTable", VpcId=by_reference),
        "Ssm": endpoint_of("ssm", by_attribute, **named),
        "S3": endpoint_of("s3", by_reference, RouteTableIds=tables),
    }
    parameters = {"Tables": {"Type": "CommaDelimitedList"}}
    included = include(stack_here, tmp_path, Parameters=parameters, Resources=body)
    vpc = existing_vpc(
        stack_here,
        vpc_id=included.get_resource("Network").ref,
        isolated_subnet_route_table_ids=[included.get_resource("Table").ref],
    )

    made(stack_here, vpc, log_bucket=bucket(stack_here))

    assert services(stack_here) == ["s3", *ALWAYS]
    assert len(warnings(stack_here)) == (tables == {"Ref": "Tables"})


# VPCs that are not of the app


def test_look_up_is_not_disturbed_on_the_first_pass(stack_here: cdk.Stack) -> None:
    for name in ("A", "B"):  # which have one dummy, until the CLI has asked
        vpc = ec2.Vpc.from_lookup(stack_here, f"Vpc{name}", vpc_id=f"vpc-{name.lower()}")
        SessionManagerEndpoints(
            stack_here,
            name,
            vpc=vpc,
            subnets=ec2.SubnetSelection(subnet_group_name="App"),
            log_bucket=s3.Bucket.from_bucket_name(stack_here, f"Bucket{name}", "session-logs"),
        )
        vpc.add_interface_endpoint("Late", service=SERVICES.SSM)

    assert len(lookups(stack_here)) == 2


def test_vpc_of_another_stack_is_referred_to(stack_here: cdk.Stack) -> None:
    other = cdk.Stack(app_of(stack_here), "Other", env=HERE)

    SessionManagerEndpoints(other, "Endpoints", vpc=isolated(stack_here), log_bucket=bucket(other))

    assert services(other) == ["s3", *ALWAYS]


# The whole


def test_the_template_is_as_it_was(make_app: MakeApp, snapshot: SnapshotAssertion) -> None:
    stack = cdk.Stack(make_app(), "Stack")
    key = kms.Key(stack, "Key", enable_key_rotation=True)

    SessionManagerEndpoints(
        stack,
        "Endpoints",
        vpc=isolated(stack),
        endpoint_policy="account",
        encryption_key=key,
        log_bucket=s3.Bucket(stack, "Bucket", encryption_key=key),
        log_group=logs.LogGroup(stack, "Group"),
    )

    found = template(stack)
    assert found == snapshot.use_extension(JSONSnapshotExtension)
    assert lint(json.dumps(found)) == []
