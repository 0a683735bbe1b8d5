"""The verdict by templates is that of an independent walk over what the EC2 API says of them.

Each template is deployed on moto, and read back by the API's describe calls. The walk follows
"Reachability Analyzer" in the Amazon VPC user guide for a TCP connection to port 443, and shares no
code with the judge. What it can't see the end of, it calls unknown.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from moto import mock_aws

from session_manager_permissions._network.verdicts import State
from tests.conftest import REGION

from .judging import att, ref, resource, verdicts, write
from .test_network import (
    ANY,
    BLOCK,
    LET_OUT,
    SELF,
    admitting,
    group,
    ingress,
    made,
    route,
    templated,
    with_endpoints,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.untraced

OPEN: Final[str] = State.OPEN.value
CLOSED: Final[str] = State.CLOSED.value
UNKNOWN: Final[str] = State.UNKNOWN.value


class Account:
    """An account on moto."""

    def __init__(self) -> None:
        self._cloudformation = boto3.client("cloudformation", REGION)
        self.ec2 = boto3.client("ec2", REGION)
        self._numbers = itertools.count()

    def deploy(self, body: dict[str, Any]) -> str:
        """Deploy a template, and give the id of its instance.

        What moto's CloudFormation leaves out is done by the API, as CloudFormation's reference has
        it: the associations of route tables, what subnets and the VPC are given, the rules of
        security groups, and the instance.
        """
        parts = {
            name: {**part, "Properties": written(part)}
            for name, part in json.loads(json.dumps(body))["Resources"].items()
        }
        for part in of_type(parts, "SecurityGroup").values():
            part["Properties"]["GroupDescription"] = "of a test"
        by_api = {"Instance", "SecurityGroupEgress", "SecurityGroupIngress"}
        made_ = {
            name: part
            for name, part in parts.items()
            if part["Type"].rpartition("::")[2] not in by_api
        }
        name = f"Stack{next(self._numbers)}"
        template = json.dumps({"Resources": made_})
        self._cloudformation.create_stack(StackName=name, TemplateBody=template)
        found = self._cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        ids = {one["LogicalResourceId"]: str(one["PhysicalResourceId"]) for one in found}
        self._associate(parts, ids)
        self._give_rules(parts, ids)
        given = parts["Instance"]["Properties"]
        instances = self.ec2.run_instances(
            ImageId="ami-12c6146b",
            MinCount=1,
            MaxCount=1,
            SubnetId=ids[given["SubnetId"]["Ref"]],
            SecurityGroupIds=[ids["Group"]],
        )["Instances"]
        return str(instances[0]["InstanceId"])

    def _associate(self, parts: dict[str, Any], ids: dict[str, str]) -> None:
        for part in of_type(parts, "SubnetRouteTableAssociation").values():
            table, subnet = (
                ids[part["Properties"][name]["Ref"]] for name in ("RouteTableId", "SubnetId")
            )
            self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        for name, part in of_type(parts, "Subnet").items():
            gives = {"Value": part["Properties"].get("MapPublicIpOnLaunch", False)}
            self.ec2.modify_subnet_attribute(SubnetId=ids[name], MapPublicIpOnLaunch=gives)
        for attribute, default in (("EnableDnsSupport", True), ("EnableDnsHostnames", False)):
            value = str(parts["Vpc"]["Properties"].get(attribute, default)).lower() == "true"
            self.ec2.modify_vpc_attribute(VpcId=ids["Vpc"], **{attribute: {"Value": value}})

    def _give_rules(self, parts: dict[str, Any], ids: dict[str, str]) -> None:
        for name, part in of_type(parts, "SecurityGroup").items():
            rules = part["Properties"].get("SecurityGroupEgress")
            if rules:
                default = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
                self.ec2.revoke_security_group_egress(GroupId=ids[name], IpPermissions=default)
                self._let_out(ids[name], rules)
        for part in of_type(parts, "SecurityGroupEgress").values():
            self._let_out(ids[referred(part["Properties"]["GroupId"])], [part["Properties"]])
        for part in of_type(parts, "SecurityGroupIngress").values():
            self.ec2.authorize_security_group_ingress(
                GroupId=ids[referred(part["Properties"]["GroupId"])],
                IpPermissions=[permission(part["Properties"])],
            )

    def _let_out(self, id_: str, rules: list[dict[str, Any]]) -> None:
        permissions = [permission(rule) for rule in rules]
        self.ec2.authorize_security_group_egress(GroupId=id_, IpPermissions=permissions)


def of_type(parts: dict[str, Any], kind: str) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part["Type"] == f"AWS::EC2::{kind}"}


def referred(value: dict[str, Any]) -> str:
    return str(value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0])


def written(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part["Properties"].items() if value is not None}


def permission(rule: dict[str, Any]) -> dict[str, Any]:
    ports: dict[str, Any] = {name: rule[name] for name in ("FromPort", "ToPort") if name in rule}
    return {"IpProtocol": rule["IpProtocol"], "IpRanges": [{"CidrIp": rule["CidrIp"]}], **ports}


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        yield Account()


class Walk:
    """Follows a packet from an instance by what the API says."""

    def __init__(self, account: Account, instance_id: str) -> None:
        self._ec2: Any = account.ec2
        self._seen: set[str] = set()
        reservations = self._ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        self._instance = reservations[0]["Instances"][0]
        self._vpc = self._instance["VpcId"]
        self._groups = [one["GroupId"] for one in self._instance["SecurityGroups"]]

    def to(self, service: str) -> str:
        endpoint = self._endpoint(service)
        if endpoint is not None:
            addresses = [self._range(subnet) for subnet in endpoint["SubnetIds"]]
            theirs = [one["GroupId"] for one in endpoint["Groups"]]
            goes = all(
                self._lets(self._groups, "IpPermissionsEgress", address, theirs)
                for address in addresses
            )
            own = self._range(self._instance["SubnetId"])
            comes = self._lets(theirs, "IpPermissions", own, self._groups)
            return OPEN if goes and comes else CLOSED
        if not self._lets(self._groups, "IpPermissionsEgress", "52.94.0.0/22", []):
            return CLOSED
        has_address = "PublicIpAddress" in self._instance
        return self._routed(self._instance["SubnetId"], service, has_address=has_address)

    def _endpoint(self, service: str) -> dict[str, Any] | None:
        for attribute in ("enableDnsSupport", "enableDnsHostnames"):
            answer = self._ec2.describe_vpc_attribute(VpcId=self._vpc, Attribute=attribute)
            if not answer[attribute[0].upper() + attribute[1:]]["Value"]:
                return None
        for one in self._ec2.describe_vpc_endpoints()["VpcEndpoints"]:
            if (
                one["VpcId"] == self._vpc
                and one["VpcEndpointType"] == "Interface"
                and one["ServiceName"] == f"com.amazonaws.{REGION}.{service}"
                and one.get("PrivateDnsEnabled")
            ):
                return dict(one)
        return None

    def _range(self, subnet: str) -> str:
        return str(self._ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["CidrBlock"])

    def _lets(self, groups: list[str], side: str, address: str, peers: list[str]) -> bool:
        wanted = ipaddress.ip_network(address)
        for found in self._ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"]:
            for rule in found[side]:
                if rule["IpProtocol"] not in {"-1", "tcp"}:
                    continue
                if not rule.get("FromPort", 0) <= 443 <= rule.get("ToPort", 65535):
                    continue
                if any(pair["GroupId"] in peers for pair in rule["UserIdGroupPairs"]):
                    return True
                ranges = [ipaddress.ip_network(one["CidrIp"]) for one in rule["IpRanges"]]
                if any(wanted.subnet_of(one) for one in ranges):  # type: ignore[arg-type]
                    return True
        return False

    def _routed(self, subnet: str, service: str, *, has_address: bool) -> str:
        tables = self._ec2.describe_route_tables(
            Filters=[{"Name": "vpc-id", "Values": [self._vpc]}]
        )["RouteTables"]
        own = [
            table
            for table in tables
            if any(one.get("SubnetId") == subnet for one in table["Associations"])
        ]
        main = [table for table in tables if any(one.get("Main") for one in table["Associations"])]
        routes = (own or main)[0]["Routes"]
        if service == "s3" and any(str(one.get("GatewayId")).startswith("vpce-") for one in routes):
            return OPEN
        default = [one for one in routes if one.get("DestinationCidrBlock") == "0.0.0.0/0"]
        elsewhere = [one for one in routes if one.get("GatewayId") != "local"]
        if not default:
            return UNKNOWN if elsewhere and service != "s3" else CLOSED
        return self._behind(default[0], service, has_address=has_address)

    def _behind(self, route_: dict[str, Any], service: str, *, has_address: bool) -> str:
        if route_["State"] == "blackhole":
            return CLOSED
        if str(route_.get("GatewayId")).startswith("igw-"):
            gateways = self._ec2.describe_internet_gateways(
                InternetGatewayIds=[route_["GatewayId"]]
            )["InternetGateways"]
            attached = [one["VpcId"] for one in gateways[0]["Attachments"]]
            return OPEN if has_address and self._vpc in attached else CLOSED
        if "NatGatewayId" in route_:
            id_ = route_["NatGatewayId"]
            if id_ in self._seen:
                return CLOSED
            self._seen.add(id_)
            gateways = self._ec2.describe_nat_gateways(NatGatewayIds=[id_])["NatGateways"]
            if not gateways or gateways[0]["State"] != "available":
                return CLOSED
            public = gateways[0]["ConnectivityType"] == "public"
            return self._routed(gateways[0]["SubnetId"], service, has_address=public)
        return UNKNOWN


IP: Final = {"Eip": resource("AWS::EC2::EIP", Domain="vpc")}


def nat(subnet: str = "Public", **more: object) -> dict[str, Any]:
    given: dict[str, object] = {
        "SubnetId": ref(subnet), "AllocationId": att("Eip", "AllocationId"), **more
    }  # fmt: skip
    return resource("AWS::EC2::NatGateway", **given)


def behind_nat(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return templated(**{**IP, "Nat": nat(), **changes})


def by_endpoints(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return with_endpoints(**{**IP, "Nat": nat(), **changes})


def public(**more: object) -> dict[str, Any]:
    """An instance in the public subnet, which may give addresses."""
    subnet = resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.2.0/24", **more)
    instance = resource(
        "AWS::EC2::Instance", SubnetId=ref("Public"), SecurityGroupIds=[att("Group", "GroupId")]
    )
    return behind_nat(Public=subnet, Instance=instance)


HALF_OPEN = [ANY | {"CidrIp": BLOCK}]
PEERING = {
    "Peer": resource("AWS::EC2::VPC", CidrBlock="10.8.0.0/16"),
    "Peering": resource("AWS::EC2::VPCPeeringConnection", VpcId=ref("Vpc"), PeerVpcId=ref("Peer")),
}
TO_PEER = route(
    "PrivateTable", DestinationCidrBlock="10.8.0.0/16", VpcPeeringConnectionId=ref("Peering")
)
GATEWAY = made(
    "s3",
    VpcEndpointType="Gateway",
    RouteTableIds=[ref("PrivateTable")],
    SubnetIds=None,
    SecurityGroupIds=None,
    PrivateDnsEnabled=None,
)

ROWS: Final[list[tuple[str, dict[str, Any], str, str]]] = [
    ("NAT", behind_nat(), "ssm", OPEN),
    ("no route", behind_nat(PrivateRoute=None), "ssm", CLOSED),
    ("no association", behind_nat(PrivateAssociation=None), "ssm", CLOSED),
    ("NAT in the private subnet", behind_nat(Nat=nat("Private")), "ssm", CLOSED),
    ("NAT without an internet gateway's route", behind_nat(PublicRoute=None), "ssm", CLOSED),
    ("public", public(MapPublicIpOnLaunch=True), "ssm", OPEN),
    ("no address", public(MapPublicIpOnLaunch=False), "ssm", CLOSED),
    ("peering", behind_nat(**PEERING, PrivateRoute=TO_PEER), "ssm", UNKNOWN),
    ("nothing let out", behind_nat(Group=group(HALF_OPEN)), "ssm", CLOSED),
    ("let out by a rule of its own", behind_nat(Group=group(HALF_OPEN), Rule=LET_OUT), "ssm", OPEN),
    ("another port let out",
     behind_nat(Group=group([ANY | {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}])), "ssm",
     CLOSED),
    ("endpoints", by_endpoints(), "ssm", OPEN),
    ("endpoints", by_endpoints(), "ssmmessages", OPEN),
    ("one endpoint", by_endpoints(Messages=None), "ssm", OPEN),
    ("one endpoint", by_endpoints(Messages=None), "ssmmessages", CLOSED),
    ("private DNS off", by_endpoints(Ssm=made("ssm", PrivateDnsEnabled=False)), "ssm", CLOSED),
    ("no DNS host names",
     by_endpoints(Vpc=resource("AWS::EC2::VPC", CidrBlock=BLOCK, EnableDnsSupport=True)), "ssm",
     CLOSED),
    ("admitting another range", by_endpoints(Admits=admitting(CidrIp="10.1.0.0/16")), "ssm",
     CLOSED),
    ("admitting another port", by_endpoints(Admits=admitting(ToPort=80, FromPort=80)), "ssm",
     CLOSED),
    ("admitting the subnet", by_endpoints(Admits=admitting(CidrIp="10.0.1.0/24")), "ssm", OPEN),
    ("admitting the group",
     by_endpoints(Admits=admitting(CidrIp=None, SourceSecurityGroupId=att("Group", "GroupId"))),
     "ssm", OPEN),
    ("admitting nothing", by_endpoints(**SELF), "ssm", CLOSED),
    ("admitting by a rule of its own", by_endpoints(**SELF, Rule=ingress(
        GroupId=att("Admits", "GroupId"))), "ssm", OPEN),
    ("shut, before the NAT",
     by_endpoints(**SELF, PrivateRoute=route("PrivateTable", NatGatewayId=ref("Nat"))), "ssm",
     CLOSED),
    ("letting out to the VPC alone", by_endpoints(Group=group(HALF_OPEN)), "ssm", OPEN),
    ("letting out to another range alone",
     by_endpoints(Group=group([ANY | {"CidrIp": "10.1.0.0/16"}])), "ssm", CLOSED),
    ("gateway of S3", by_endpoints(S3=GATEWAY), "s3", OPEN),
    ("no gateway of S3", by_endpoints(), "s3", CLOSED),
    ("gateway of S3 is of S3", by_endpoints(S3=GATEWAY, Ssm=None), "s3", OPEN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "service", "expected"),
    [pytest.param(*row[1:], id=f"{row[0]}, {row[2]}") for row in ROWS],
)
def test_both_sides_agree(
    tmp_path: Path, account: Account, body: dict[str, Any], service: str, expected: str
) -> None:
    (found,) = verdicts(write(tmp_path, Stack=body), (service,)).values()
    walked = Walk(account, account.deploy(body)).to(service)
    assert (found.state.value, walked) == (expected, expected)
