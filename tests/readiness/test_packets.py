"""What packets do in networks that are written here, and that the check says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from . import packets
from .deployments import REGION
from .drawn_networks import ANYWHERE, IDENTITY, SUBNETS, VPC, body
from .judging import att, ref, resource
from .test_network import (
    acl,
    compute,
    entry,
    group,
    https,
    made,
    nat,
    part,
    regional_nat,
    route,
    subnet,
    templated,
)
from .verdicts import NOT_READY, READY, UNKNOWN, Checked, judged

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.untraced

Template = dict[str, Any]
Parts = dict[str, Any]
Entry = tuple[Any, ...]
"""An entry of a network ACL: its action, its range, and TCP ports where not all."""

PUBLIC: Final = subnet(SUBNETS["Public"], MapPublicIpOnLaunch=True)
IN_PRIVATE: Final = [ref("Private")]
BASE: Final = {
    "Public": PUBLIC,
    "Second": subnet(SUBNETS["Second"]),
    "Address": part("EIP", Domain="vpc"),
    "Nat": nat(AllocationId=att("Address", "AllocationId")),
    **IDENTITY,
}


def network(name: str, expected: str, /, *parts: Parts, **changes: Parts | None) -> Any:  # noqa: ANN401
    """An instance in a private subnet, which has a NAT gateway, with changes; None takes away."""
    all_parts = {**BASE, "Instance": profiled()}
    for several in (*parts, changes):
        all_parts |= several
    return pytest.param(body(templated(**all_parts)["Resources"]), expected, id=name)


def profiled(**changes: object) -> Parts:
    return compute(IamInstanceProfile=ref("Profile"), **changes)


def in_public(**changes: object) -> Parts:
    return profiled(SubnetId=ref("Public"), **changes)


def filtered(of_subnet: str, *, out: list[Entry], back: list[Entry]) -> Parts:
    """A network ACL of a subnet."""
    entries = {}
    for egress, several in ((True, out), (False, back)):
        for number, (action, block, *ports) in enumerate(several, 1):
            of: dict[str, Any] = {"RuleAction": action, "CidrBlock": block}
            for low, high in ports:
                of |= {"Protocol": 6, "PortRange": {"From": low, "To": high}}
            entries[f"Entry{egress}{number}"] = entry(number, egress=egress, **of)
    return acl(ref(of_subnet), **entries)


def endpoint(service: str, condition: str = "", /, **more: object) -> Parts:
    given = {"SecurityGroupIds": [att("Admits", "GroupId")], **more}
    return made(service, condition, **given)


def admits(**peer: object) -> Parts:
    return {"Admits": group(SecurityGroupIngress=[https(**peer)] if peer else [])}


def endpoints(condition: str = "", /, **more: object) -> Parts:
    """Both endpoints, and no other way out."""
    both = {name: endpoint(name.lower(), condition, **more) for name in ("Ssm", "SsmMessages")}
    return {**admits(CidrIp=VPC), **both, "PrivateRoute": None}


def dns(*, support: bool = True, names: bool = True) -> Parts:
    given = {"EnableDnsSupport": support, "EnableDnsHostnames": names}
    return {"Vpc": part("VPC", CidrBlock=VPC, **given)}


def routed(condition: str = "", /, **to: object) -> Parts:
    return {"PrivateRoute": route(ref("PrivateTable"), condition, **to)}


OPEN: Final = [("allow", ANYWHERE)]
DNS_SERVERS: Final = {
    "Options": part("DHCPOptions", DomainNameServers=["10.0.0.5"]),
    "Servers": part("VPCDHCPOptionsAssociation", VpcId=ref("Vpc"), DhcpOptionsId=ref("Options")),
}
SSM: Final = {"Name": f"ssm.{REGION}.amazonaws.com"}
ENTRY: Final = {"Fn::Split": [":", {"Fn::Select": [0, att("Ssm", "DnsEntries")]}]}
LEADS: Final = {"HostedZoneId": {"Fn::Select": [0, ENTRY]}, "DNSName": {"Fn::Select": [1, ENTRY]}}
OF_ZONE: Final = {"Type": "A", "HostedZoneId": ref("Zone"), "AliasTarget": LEADS}
ZONE: Final = {
    **admits(),
    "Ssm": endpoint("ssm", PrivateDnsEnabled=False),
    "Zone": resource(
        "AWS::Route53::HostedZone", **SSM, VPCs=[{"VPCId": ref("Vpc"), "VPCRegion": REGION}]
    ),
    "Record": resource("AWS::Route53::RecordSet", **SSM, **OF_ZONE),
}
"""A hosted zone that leads to an endpoint that admits nothing."""

BLOCK: Final = {
    "Block": part("VPCBlockPublicAccessOptions", InternetGatewayBlockMode="block-ingress")
}
LEAVES: Final = part(
    "SecurityGroupEgress", GroupId=att("Group", "GroupId"), CidrIp=VPC, IpProtocol="-1"
)


def own_list(block: str) -> Parts:
    """The app's own prefix list, which is all that the group of the instance lets out to."""
    given = {"PrefixListName": "own", "AddressFamily": "IPv4", "MaxEntries": 1}
    rule = {"IpProtocol": "-1", "DestinationPrefixListId": att("List", "PrefixListId")}
    return {"List": part("PrefixList", Entries=[{"Cidr": block}], **given), "Group": group([rule])}


def fleet(*subnets: str) -> Parts:
    data = {"IamInstanceProfile": {"Arn": att("Profile", "Arn")}}
    by = {"LaunchTemplateId": ref("Launch"), "Version": att("Launch", "LatestVersionNumber")}
    given = {"VPCZoneIdentifier": [*map(ref, subnets)], "LaunchTemplate": by}
    of_group = resource("AWS::AutoScaling::AutoScalingGroup", MinSize="1", MaxSize="1", **given)
    return {"Launch": part("LaunchTemplate", LaunchTemplateData=data), "Instance": of_group}


def either(condition: str, *branches: object) -> Parts:
    return {"Fn::If": [condition, *branches]}


TO_NAT: Final = {"NatGatewayId": ref("Nat")}
HALF: Final = admits(CidrIp="10.0.1.0/25")

ROWS: Final = [
    network("NAT", READY),
    network("no route", NOT_READY, PrivateRoute=None),
    network("NAT in a subnet without a way out", NOT_READY, PublicRoute=None),
    network("private NAT", NOT_READY, Address=None,
            Nat=nat(ConnectivityType="private", AllocationId=None)),
    network("regional NAT", READY, Nat=regional_nat(), Address=None),
    network("public", READY, Instance=in_public()),
    network("public without an address", NOT_READY, Instance=in_public(), Public=subnet(VPC)),
    network("transit gateway", UNKNOWN, routed(TransitGatewayId="tgw-1")),
    network("a group of which one subnet is shut", NOT_READY, fleet("Private", "Second")),
    network("a group whose subnets are open", READY, fleet("Private", "Public")),

    network("ACL behind a NAT that denies the VPC", READY,
            filtered("Private", out=[("deny", VPC), *OPEN], back=[("deny", VPC), *OPEN])),
    network("ACL behind a NAT that allows the VPC alone", NOT_READY,
            filtered("Private", out=[("allow", VPC)], back=[("allow", VPC)])),
    network("ACL of the NAT that denies the instance", NOT_READY,
            filtered("Public", out=OPEN, back=[("deny", SUBNETS["Private"]), *OPEN])),
    network("ACL of the NAT that denies the answer to the instance", NOT_READY,
            filtered("Public", out=[("deny", SUBNETS["Private"]), *OPEN], back=OPEN)),
    network("ACL of the NAT that denies its own subnet", READY,
            filtered("Public", out=[("deny", SUBNETS["Public"]), *OPEN], back=OPEN)),
    network("ACL without a way for answers", NOT_READY,
            filtered("Private", out=OPEN, back=[("allow", ANYWHERE, (443, 443))])),
    network("ACL whose entries suffice together", READY, filtered(
        "Private", out=[("allow", "0.0.0.0/1"), ("allow", "128.0.0.0/1")], back=OPEN)),
    network("ACL whose ports suffice together", READY, filtered("Private", out=OPEN, back=[
        ("allow", ANYWHERE, (1024, 32767)), ("allow", ANYWHERE, (32768, 65535))])),
    network("ACL that lets some answers in", UNKNOWN,
            filtered("Private", out=OPEN, back=[("allow", ANYWHERE, (32768, 65535))])),
    network("ACL between an instance and endpoints in one subnet", READY, endpoints(),
            filtered("Private", out=[], back=[])),
    network("ACL between an instance and endpoints in another subnet", NOT_READY,
            endpoints(SubnetIds=[ref("Second")]), filtered("Second", out=[], back=[])),

    network("endpoints", READY, endpoints()),
    network("endpoints without private DNS", NOT_READY, endpoints(PrivateDnsEnabled=False)),
    network("an endpoint without private DNS beside a NAT", READY, admits(),
            Ssm=endpoint("ssm", PrivateDnsEnabled=False)),
    network("an endpoint that is shut beside a NAT", NOT_READY, admits(), Ssm=endpoint("ssm")),
    network("endpoints that admit the group", READY, endpoints(),
            admits(SourceSecurityGroupId=att("Group", "GroupId"))),
    network("endpoints that admit half the subnet", UNKNOWN, endpoints(), HALF),
    network("endpoints that admit the instance's fixed address", READY, endpoints(), HALF,
            Instance=profiled(PrivateIpAddress="10.0.1.77")),
    network("endpoints that do not admit the instance's fixed address", NOT_READY, endpoints(),
            HALF, Instance=profiled(PrivateIpAddress="10.0.1.177")),
    network("rules of their own", UNKNOWN, Leaves=LEAVES),

    network("own DNS servers beside a NAT", UNKNOWN, DNS_SERVERS),
    network("own DNS servers without a way", NOT_READY, DNS_SERVERS, PrivateRoute=None),
    network("no DNS support beside a NAT", UNKNOWN, dns(support=False)),
    network("a hosted zone that leads to a shut endpoint", NOT_READY, ZONE),
    network("a hosted zone without DNS host names", READY, ZONE, dns(names=False)),
    network("own prefix list of all", READY, own_list(ANYWHERE)),
    network("own prefix list of the VPC", NOT_READY, own_list(VPC)),
    network("block-ingress with a NAT", READY, BLOCK),
    network("block-ingress with a public address", UNKNOWN, BLOCK, Instance=in_public()),

    network("a route on a condition", UNKNOWN, routed("HasNat", **TO_NAT)),
    network("endpoints where there is no route", READY, endpoints("HasNone"),
            routed("HasNat", **TO_NAT)),
    network("endpoints where there is a route", UNKNOWN, endpoints("HasNat"),
            routed("HasNat", **TO_NAT)),
    network("a route in the region", READY, routed("InRegion", **TO_NAT)),
    network("a route in another region", NOT_READY, routed("InAnother", **TO_NAT)),
    network("a subnet on a condition, both open", READY,
            Instance=profiled(SubnetId=either("IsBig", ref("Private"), ref("Public")))),
    network("nested conditions that agree", READY, Instance=profiled(SubnetId=either(
        "IsBig", either("IsProduction", ref("Private"), ref("Second")), ref("Public")))),
    network("a value by a map", READY, endpoints(),
            admits(CidrIp={"Fn::FindInMap": ["Stages", ref("Stage"), "Range"]})),
]  # fmt: skip


@pytest.mark.parametrize(("template", "expected"), ROWS)
def test_packets_arrive_or_do_not_and_the_check_says_the_same(
    tmp_path: Path, template: Template, expected: str
) -> None:
    assert judged(packets.outcomes(template)) == expected
    assert Checked(tmp_path)(template) == expected
