"""What packets do in networks that are written here, and that the check says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from . import packets
from .deployments import REGION
from .drawn_networks import ANYWHERE, IDENTITY, SUBNETS, VPC, att, body, ref
from .verdicts import NOT_READY, READY, UNKNOWN, Checked, judged

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.untraced


def ec2(kind: str, condition: str = "", /, **properties: object) -> dict[str, Any]:
    made = {"Condition": condition} if condition else {}
    return {"Type": f"AWS::EC2::{kind}", "Properties": properties, **made}


def route(table: str, condition: str = "", /, **more: object) -> dict[str, Any]:
    given = {"RouteTableId": ref(f"{table}Table"), "DestinationCidrBlock": ANYWHERE, **more}
    return ec2("Route", condition, **given)


def acl(subnet: str, *, out: list[Any], back: list[Any]) -> dict[str, Any]:
    """A network ACL of a subnet. An entry: its action, its range, and TCP ports where not all."""
    parts = {
        "Acl": ec2("NetworkAcl", VpcId=ref("Vpc")),
        "AclAssociation": ec2(
            "SubnetNetworkAclAssociation", SubnetId=ref(subnet), NetworkAclId=ref("Acl")
        ),
    }
    for egress, entries in ((True, out), (False, back)):
        for number, (action, block, *ports) in enumerate(entries, 1):
            of: dict[str, Any] = {"Protocol": -1}
            for low, high in ports:
                of = {"Protocol": 6, "PortRange": {"From": low, "To": high}}
            parts[f"Entry{egress}{number}"] = ec2(
                "NetworkAclEntry", NetworkAclId=ref("Acl"), RuleNumber=number, Egress=egress,
                RuleAction=action, CidrBlock=block, **of,
            )  # fmt: skip
    return parts


def group(*egress: dict[str, Any], **more: object) -> dict[str, Any]:
    written = {"SecurityGroupEgress": [*egress]} if egress else {}
    return ec2("SecurityGroup", GroupDescription="-", VpcId=ref("Vpc"), **written, **more)


def endpoint(service: str, condition: str = "", /, **more: object) -> dict[str, Any]:
    given = {
        "VpcId": ref("Vpc"), "VpcEndpointType": "Interface", "PrivateDnsEnabled": True,
        "ServiceName": f"com.amazonaws.{REGION}.{service}", "SubnetIds": [ref("Private")],
        "SecurityGroupIds": [att("Admits", "GroupId")], **more,
    }  # fmt: skip
    return ec2("VPCEndpoint", condition, **given)


def admits(**peer: object) -> dict[str, Any]:
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **peer}
    return {"Admits": group(SecurityGroupIngress=[rule] if peer else [])}


def endpoints(**more: object) -> dict[str, Any]:
    """Both endpoints, and no other way out."""
    both = {"Ssm": endpoint("ssm", **more), "Messages": endpoint("ssmmessages", **more)}
    return {**admits(CidrIp=VPC), **both, "PrivateRoute": None}


def dns(**attributes: object) -> dict[str, Any]:
    given = {"EnableDnsSupport": True, "EnableDnsHostnames": True, **attributes}
    return {"Vpc": ec2("VPC", CidrBlock=VPC, **given)}


def network(changes: dict[str, Any]) -> dict[str, Any]:
    """An instance in a private subnet, which has a NAT gateway, with changes; None takes away."""
    base: dict[str, Any] = {**dns(), "Gateway": ec2("InternetGateway"), "Group": group()}
    for name, block in SUBNETS.items():
        of_table = {"SubnetId": ref(name), "RouteTableId": ref(f"{name}Table")}
        gives = name == "Public"
        base |= {
            name: ec2("Subnet", VpcId=ref("Vpc"), CidrBlock=block, MapPublicIpOnLaunch=gives),
            f"{name}Table": ec2("RouteTable", VpcId=ref("Vpc")),
            f"{name}Association": ec2("SubnetRouteTableAssociation", **of_table),
        }
    base |= {
        "Attachment": ec2(
            "VPCGatewayAttachment", VpcId=ref("Vpc"), InternetGatewayId=ref("Gateway")
        ),
        "PublicRoute": route("Public", GatewayId=ref("Gateway")),
        "Address": ec2("EIP", Domain="vpc"),
        "Nat": ec2(
            "NatGateway", SubnetId=ref("Public"), AllocationId=att("Address", "AllocationId")
        ),
        "PrivateRoute": route("Private", NatGatewayId=ref("Nat")),
        "Compute": compute("Private"),
    }  # fmt: skip
    kept = {name: one for name, one in (base | IDENTITY | changes).items() if one is not None}
    return body(kept)


def compute(subnet: str, **more: object) -> dict[str, Any]:
    given = {"SubnetId": ref(subnet), "SecurityGroupIds": [att("Group", "GroupId")], **more}
    return ec2("Instance", IamInstanceProfile=ref("Profile"), **given)


OPEN: Final = [("allow", ANYWHERE)]
OUT: Final = {"IpProtocol": "-1"}
DNS_SERVERS: Final = {
    "Options": ec2("DHCPOptions", DomainNameServers=["10.0.0.5"]),
    "Servers": ec2("VPCDHCPOptionsAssociation", VpcId=ref("Vpc"), DhcpOptionsId=ref("Options")),
}
ENTRY: Final = {"Fn::Split": [":", {"Fn::Select": [0, att("Ssm", "DnsEntries")]}]}
ZONE: Final = {
    **admits(),
    "Ssm": endpoint("ssm", PrivateDnsEnabled=False),
    "Zone": {
        "Type": "AWS::Route53::HostedZone",
        "Properties": {
            "Name": f"ssm.{REGION}.amazonaws.com",
            "VPCs": [{"VPCId": ref("Vpc"), "VPCRegion": REGION}],
        },
    },
    "Record": {
        "Type": "AWS::Route53::RecordSet",
        "Properties": {
            "Name": f"ssm.{REGION}.amazonaws.com",
            "Type": "A",
            "HostedZoneId": ref("Zone"),
            "AliasTarget": {
                "HostedZoneId": {"Fn::Select": [0, ENTRY]},
                "DNSName": {"Fn::Select": [1, ENTRY]},
            },
        },
    },
}
"""A hosted zone that leads to an endpoint that admits nothing."""

BLOCK: Final = {
    "Block": ec2("VPCBlockPublicAccessOptions", InternetGatewayBlockMode="block-ingress")
}


def own_list(block: str) -> dict[str, Any]:
    """The app's own prefix list, which is all that the group of the instance lets out to."""
    given = {"PrefixListName": "own", "AddressFamily": "IPv4", "MaxEntries": 1}
    rule = {**OUT, "DestinationPrefixListId": att("List", "PrefixListId")}
    return {
        "List": ec2("PrefixList", Entries=[{"Cidr": block}], **given),
        "Group": group(rule),
    }


def fleet(*subnets: str) -> dict[str, Any]:
    data = {"IamInstanceProfile": {"Arn": att("Profile", "Arn")}}
    by = {"LaunchTemplateId": ref("Launch"), "Version": att("Launch", "LatestVersionNumber")}
    given = {"VPCZoneIdentifier": [*map(ref, subnets)], "LaunchTemplate": by}
    return {
        "Launch": ec2("LaunchTemplate", LaunchTemplateData=data),
        "Compute": {
            "Type": "AWS::AutoScaling::AutoScalingGroup",
            "Properties": {"MinSize": "1", "MaxSize": "1", **given},
        },
    }


def either(condition: str, *branches: object) -> dict[str, Any]:
    return {"Fn::If": [condition, *branches]}


class Row(NamedTuple):
    name: str
    changes: dict[str, Any]
    expected: str


NO_NAT: Final = {"PrivateRoute": route("Private", "HasNat", NatGatewayId=ref("Nat"))}

ROWS: Final = [
    Row("NAT", {}, READY),
    Row("no route", {"PrivateRoute": None}, NOT_READY),
    Row("NAT in a subnet without a way out", {"PublicRoute": None}, NOT_READY),
    Row("private NAT",
        {"Nat": ec2("NatGateway", SubnetId=ref("Public"), ConnectivityType="private"),
         "Address": None}, NOT_READY),
    Row("regional NAT",
        {"Nat": ec2("NatGateway", AvailabilityMode="regional", VpcId=ref("Vpc")), "Address": None},
        READY),
    Row("public", {"Compute": compute("Public")}, READY),
    Row("public without an address",
        {"Compute": compute("Public"), "Public": ec2("Subnet", VpcId=ref("Vpc"), CidrBlock=VPC)},
        NOT_READY),
    Row("transit gateway", {"PrivateRoute": route("Private", TransitGatewayId="tgw-1")}, UNKNOWN),
    Row("a group of which one subnet is shut", fleet("Private", "Second"), NOT_READY),
    Row("a group whose subnets are open", fleet("Private", "Public"), READY),

    Row("ACL behind a NAT that denies the VPC",
        acl("Private", out=[("deny", VPC), *OPEN], back=[("deny", VPC), *OPEN]), READY),
    Row("ACL behind a NAT that allows the VPC alone",
        acl("Private", out=[("allow", VPC)], back=[("allow", VPC)]), NOT_READY),
    Row("ACL of the NAT that denies the instance",
        acl("Public", out=OPEN, back=[("deny", SUBNETS["Private"]), *OPEN]), NOT_READY),
    Row("ACL of the NAT that denies the answer to the instance",
        acl("Public", out=[("deny", SUBNETS["Private"]), *OPEN], back=OPEN), NOT_READY),
    Row("ACL of the NAT that denies its own subnet",
        acl("Public", out=[("deny", SUBNETS["Public"]), *OPEN], back=OPEN), READY),
    Row("ACL without a way for answers",
        acl("Private", out=OPEN, back=[
            ("allow", ANYWHERE, (443, 443))]), NOT_READY),
    Row("ACL whose entries suffice together",
        acl("Private", out=[("allow", "0.0.0.0/1"), ("allow", "128.0.0.0/1")], back=OPEN), READY),
    Row("ACL whose ports suffice together",
        acl("Private", out=OPEN, back=[
            ("allow", ANYWHERE, (1024, 32767)), ("allow", ANYWHERE, (32768, 65535))]), READY),
    Row("ACL that lets some answers in",
        acl("Private", out=OPEN, back=[
            ("allow", ANYWHERE, (32768, 65535))]), UNKNOWN),
    Row("ACL between an instance and endpoints in one subnet",
        {**endpoints(), **acl("Private", out=[], back=[])}, READY),
    Row("ACL between an instance and endpoints in another subnet",
        {**endpoints(SubnetIds=[ref("Second")]), **acl("Second", out=[], back=[])}, NOT_READY),

    Row("endpoints", endpoints(), READY),
    Row("endpoints without private DNS", endpoints(PrivateDnsEnabled=False), NOT_READY),
    Row("an endpoint without private DNS beside a NAT",
        {**admits(), "Ssm": endpoint("ssm", PrivateDnsEnabled=False)}, READY),
    Row("an endpoint that is shut beside a NAT", {**admits(), "Ssm": endpoint("ssm")}, NOT_READY),
    Row("endpoints that admit the group",
        {**endpoints(), **admits(SourceSecurityGroupId=att("Group", "GroupId"))}, READY),
    Row("endpoints that admit half the subnet", {**endpoints(), **admits(CidrIp="10.0.1.0/25")},
        UNKNOWN),
    Row("endpoints that admit the instance's fixed address",
        {**endpoints(), **admits(CidrIp="10.0.1.0/25"),
         "Compute": compute("Private", PrivateIpAddress="10.0.1.77")}, READY),
    Row("endpoints that do not admit the instance's fixed address",
        {**endpoints(), **admits(CidrIp="10.0.1.0/25"),
         "Compute": compute("Private", PrivateIpAddress="10.0.1.177")}, NOT_READY),
    Row("rules of their own", {
        "Leaves": ec2("SecurityGroupEgress", GroupId=att("Group", "GroupId"), CidrIp=VPC, **OUT)},
        UNKNOWN),

    Row("own DNS servers beside a NAT", DNS_SERVERS, UNKNOWN),
    Row("own DNS servers without a way", {**DNS_SERVERS, "PrivateRoute": None}, NOT_READY),
    Row("no DNS support beside a NAT", dns(EnableDnsSupport=False), UNKNOWN),
    Row("a hosted zone that leads to a shut endpoint", ZONE, NOT_READY),
    Row("a hosted zone without DNS host names", {**ZONE, **dns(EnableDnsHostnames=False)}, READY),
    Row("own prefix list of all", own_list(ANYWHERE), READY),
    Row("own prefix list of the VPC", own_list(VPC), NOT_READY),
    Row("block-ingress with a NAT", BLOCK, READY),
    Row("block-ingress with a public address", {**BLOCK, "Compute": compute("Public")}, UNKNOWN),

    Row("a route on a condition", NO_NAT, UNKNOWN),
    Row("endpoints where there is no route",
        {**endpoints(), **NO_NAT, "Ssm": endpoint("ssm", "HasNone"),
         "Messages": endpoint("ssmmessages", "HasNone")}, READY),
    Row("endpoints where there is a route",
        {**endpoints(), **NO_NAT, "Ssm": endpoint("ssm", "HasNat"),
         "Messages": endpoint("ssmmessages", "HasNat")}, UNKNOWN),
    Row("a route in the region", {
        "PrivateRoute": route("Private", "InRegion", NatGatewayId=ref("Nat"))}, READY),
    Row("a route in another region", {
        "PrivateRoute": route("Private", "InAnother", NatGatewayId=ref("Nat"))}, NOT_READY),
    Row("a subnet on a condition, both open", {
        "Compute": compute("Private", SubnetId=either("IsBig", ref("Private"), ref("Public")))},
        READY),
    Row("nested conditions that agree", {
        "Compute": compute("Private", SubnetId=either(
            "IsBig", either("IsProduction", ref("Private"), ref("Second")), ref("Public")))},
        READY),
    Row("a value by a map", {**endpoints(), **admits(CidrIp={
        "Fn::FindInMap": ["Stages", ref("Stage"), "Range"]})}, READY),
]  # fmt: skip


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_packets_arrive_or_do_not(row: Row) -> None:
    assert judged(packets.outcomes(network(row.changes))) == row.expected


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_the_check_says_the_same(tmp_path: Path, row: Row) -> None:
    assert Checked(tmp_path)(network(row.changes)) == row.expected
