"""Which network paths of an app are open, closed or unknown, by its templates alone.

What draws make of all parts of a network is in `drawn_networks`. The rows here are about what draws
don't have: what only the deployment knows, other stacks and accounts, and what CDK writes.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aws_cdk as cdk
import pytest
from syrupy.assertion import SnapshotAssertion

from session_manager_permissions._needs import REGISTRATION
from session_manager_permissions._readiness.network.vpcs import _KNOWN
from tests.conftest import DATA

from .deployments import NO_VALUE
from .networks import (
    ANYWHERE,
    BLOCK,
    CLOSED,
    ENDPOINTS,
    GIVEN,
    MISSING,
    NETWORK,
    NO_WAY,
    ON,
    OPEN,
    STACK,
    TO_NAT,
    UNKNOWN,
    UNREACHABLE,
    VPC_ID,
    Parts,
    Row,
    acl,
    association,
    attachment,
    changed,
    compute,
    custom,
    denying,
    either,
    endpoint,
    entry,
    group,
    https,
    of_ssm,
    part,
    route,
    said,
    subnet,
    templated,
    with_endpoints,
)
from .parts import att, nested, on, ref, resource, rows
from .reports import Check, inline, policy
from .statements import ALL, allow
from .test_names import SSM, zoned
from .test_what_findings_say import Text, session

# Apps. Those that CDK writes are in `test_readiness` and `faults` ---------------------------------


@pytest.mark.parametrize(("name", "verdicts", "expected"), [
    ("build_runners", {"ready": 10, "can't be known": 4}, UNKNOWN),  # by EC2 Image Builder
    *((name, {"ready": 1}, OPEN) for name in ("code_server",
        "containers_in_public_subnets", "editor_behind_a_distribution", "instance_connect")),
    ("endpoint_for_signals", {"ready": 1, "not ready": 1}, NO_WAY),
])  # fmt: skip
def test_networks_of_apps(check: Check, name: str, verdicts: dict[str, int], expected: str) -> None:
    """Their roles have all permissions here."""
    body = json.loads((DATA / "apps" / f"{name}.json").read_text())
    for one in body["Resources"].values():
        if one["Type"] == "AWS::IAM::Role":
            one["Properties"] |= inline(ALL)

    report = check(body)

    assert report.verdicts == verdicts
    assert said(report) == expected


# Behind a NAT gateway ----------------------------------------------------------------------------

WITH_VPC, OTHER = {"Of": ref("Vpc")}, part("VPC", CidrBlock=BLOCK)
IPV6: Final = part("SubnetCidrBlock", SubnetId=ref("Private"), Ipv6CidrBlock="2001:db8::/64")
TO_IPV6: Final = route(DestinationCidrBlock=None, DestinationIpv6CidrBlock="::/0",
                       EgressOnlyInternetGatewayId="eigw-1")  # fmt: skip
REGIONAL: Final = part("NatGateway", AvailabilityMode="regional", **VPC_ID)
PROXY: Final = {"Fn::Base64": {"Fn::Join": ["", ["HTTPS_PROXY=http://", ref("Proxy"), ":3128"]]}}
LOOP: Final = {"Fn::ForEach::Endpoints": ["Of", ["ssm", "ssmmessages"], {"": endpoint("")}]}
OF_TABLE, INTO_TABLE = {"Table": ref("PrivateTable")}, {"RouteTableId": ref("PrivateTable")}
TRANSIT: Final = {"TransitGatewayId": "tgw-1"}
SERVER: Final = "AWS::EC2::RouteServerPropagation"


def routed(**to: object) -> Parts:
    """A template whose private subnet has another default route."""
    return {"PrivateRoute": route(**to)}


LOCAL: Final = routed(DestinationCidrBlock=BLOCK, GatewayId="local")


def further(block: str = "10.8.0.0/13", /, **to: object) -> Parts:
    """A route of the NAT gateway's subnet to other networks."""
    return route(ref("PublicTable"), DestinationCidrBlock=block, **to)


def instead(kind: str, **properties: object) -> Parts:
    """A template with a resource instead of the route."""
    return {"PrivateRoute": resource(kind, **properties)}


def blocking(mode: object, but: object = None, **of: object) -> Parts:
    """VPC Block Public Access in this mode, and an exclusion in the mode `but`."""
    blocks = part("VPCBlockPublicAccessOptions", InternetGatewayBlockMode=mode)
    excludes = part("VPCBlockPublicAccessExclusion", InternetGatewayExclusionMode=but, **of)
    return {"Blocks": blocks, "Excludes": excludes}


def of_zone(name: str) -> Parts:
    """A regional NAT gateway that serves one zone, and a subnet in the zone `a`."""
    served = {"Nat.AvailabilityZoneAddresses": [{"AvailabilityZone": name}]}
    return {"Private.AvailabilityZone": "a", "Nat": REGIONAL, **served}


def edge(gateway: object, table: object = ref("EdgeTable")) -> Parts:
    """A route table of a gateway, which diverts inbound traffic to an appliance."""
    inspects = route(ref("EdgeTable"), DestinationCidrBlock="10.0.3.0/24", VpcEndpointId="vpce-1")
    uses = part("GatewayRouteTableAssociation", GatewayId=gateway, RouteTableId=table)
    return {"EdgeTable": part("RouteTable", **VPC_ID), "Inspects": inspects, "Edge": uses}


def listing(*entries: object) -> Parts:
    """A prefix list of the app, to which alone the group allows outbound traffic."""
    rule = {"IpProtocol": "-1", "DestinationPrefixListId": att("List", "PrefixListId")}
    return {"List": part("PrefixList", Entries=[*entries]), "Group": group(egress=[rule])}


def interface(of_instance: object) -> Parts:
    given = {"NetworkInterfaceId": GIVEN, "DeviceIndex": "1", "InstanceId": of_instance}
    return {"More": part("NetworkInterfaceAttachment", **given)}


ANY: Final = {"IpProtocol": "-1", "CidrIp": ANYWHERE}
NOWHERE: Final = ANY | {"CidrIp": "127.0.0.1/32"}
UDP: Final = ANY | {"IpProtocol": "udp"}
SIX: Final = https(CidrIpv6="::/0")
LET_OUT, OUT_UDP = (part("SecurityGroupEgress", GroupId=ref("Group"), **one) for one in (ANY, UDP))


def lets_out(egress: object, **more: Parts | None) -> Parts:
    return {"Group": group(egress=egress), **more}


ADDRESSED: Final = {
    "SubnetId": None,
    "SecurityGroupIds": None,
    "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": ref("Public"), "GroupSet": [ref("Group")],
                           "AssociatePublicIpAddress": GIVEN}],
}  # fmt: skip
"""An instance in the public subnet, which has an address by parameter."""
ROUTES: Final[list[Row]] = [
    ("attachment of a VPN gateway",
     {"Attachment": attachment(InternetGatewayId=None, VpnGatewayId="vgw-1")}, NO_WAY),
    *((f"gateway {by}", routed(GatewayId=by), UNKNOWN) for by in ("igw-1", GIVEN)),
    ("local gateway", routed(GatewayId="local"), NO_WAY),
    ("local route before others", {**LOCAL, "Way": route(**TO_NAT)}, OPEN),
    ("VPN gateway", {"Vpn": part("VPNGateway"), **routed(GatewayId=ref("Vpn"))}, UNKNOWN),
    ("transit gateway by import", routed(TransitGatewayId={"Fn::ImportValue": "Tgw"}), UNKNOWN),
    *((f"private range to a NAT gateway {name}",
       {"PrivateRoute.DestinationCidrBlock": "10.0.0.0/8", **changes}, expected)
      for name, changes, expected in (
          ("that leads to others", {"PublicRoute": further(**TRANSIT)}, UNKNOWN),
          ("that leads to the internet", {}, NO_WAY),
          ("that leads to itself", {"PublicRoute": further(**TO_NAT)}, NO_WAY),
          ("of all zones", {"Nat": REGIONAL}, NO_WAY),
          ("in a subnet by parameter", {"Nat.SubnetId": GIVEN}, UNKNOWN),
          ("by parameter", {"PrivateRoute.NatGatewayId": GIVEN}, UNKNOWN))),
    ("NAT gateway whose answers take another way",
     {"Back": further("10.0.1.0/24", VpcEndpointId="vpce-1")}, UNKNOWN),
    ("private NAT gateway that leads to others", {"Nat.ConnectivityType": "private",
        "PublicRoute": route(ref("PublicTable"), **TRANSIT)}, UNKNOWN),
    ("regional NAT gateway, no internet gateway", {"Nat": REGIONAL, "Attachment": None}, UNKNOWN),
    ("another gateway attached", {"Second": part("InternetGateway"),
     "Attachment": attachment(InternetGatewayId=ref("Second"))}, NO_WAY),
    ("public address of the instance by parameter",
     {"Instance": compute(**ADDRESSED), "Public.MapPublicIpOnLaunch": True}, UNKNOWN),
    *((f"no public address in {subnet}, and {kind} with {call}", {"PrivateRoute": None,
        "Instance.SubnetId": ref(subnet), "Calls": resource(f"AWS::{kind}", Given=call)}, found)
      for subnet, kind, call, found in (
        ("Public", "Lambda::Function", "client.associate_address()", UNKNOWN),
        ("Public", "IAM::Group", "ec2:AssociateAddress", UNKNOWN),
        ("Public", "SSM::Document", "Register-EC2Address", UNKNOWN),
        ("Public", "SSM::Document", "Unregister-EC2Address", NO_WAY),
        ("Public", "SSM::Document", "aws ec2 disassociate-address", NO_WAY),
        ("Private", "SSM::Document", "aws ec2 associate-address", NO_WAY))),
    *((f"a private range to others, and {what} let out to",
       {**routed(DestinationCidrBlock="10.8.0.0/16", **TRANSIT), **lets_out([https(**peer)])},
       expected)
      for what, peer, expected in (
          ("all", {"CidrIp": ANYWHERE}, UNKNOWN), ("the VPC", {"CidrIp": BLOCK}, NO_WAY),
          ("another range", {"CidrIp": "10.1.0.0/16"}, NO_WAY),
          ("a group by id", {"DestinationSecurityGroupId": "sg-1"}, UNKNOWN),
          ("a prefix list", {"DestinationPrefixListId": "pl-1"}, UNKNOWN),
          ("IPv6", {"CidrIpv6": "::/0"}, CLOSED))),
    ("nothing, and nothing is let out",
     {"PrivateRoute": None, **lets_out([NOWHERE])}, f"{CLOSED} {NO_WAY}"),
    ("a private range to others, and the own group let out to",
     {**routed(DestinationCidrBlock="10.8.0.0/16", **TRANSIT), **lets_out([NOWHERE], Rule=part(
         "SecurityGroupEgress", GroupId=ref("Group"), **ANY | {
             "CidrIp": NO_VALUE, "DestinationSecurityGroupId": ref("Group")}))}, NO_WAY),
    ("a private range that has the VPC's, which is let out to", {**routed(
        DestinationCidrBlock="10.0.0.0/8", **TRANSIT), **lets_out([https(CidrIp=BLOCK)])}, NO_WAY),
    ("a private range to others, of groups by id", {"Instance.SecurityGroupIds": ["sg-1"],
        **routed(DestinationCidrBlock="10.8.0.0/16", **TRANSIT)}, UNKNOWN),
    ("an appliance within the VPC alone",
     routed(DestinationCidrBlock="10.0.3.0/24", NetworkInterfaceId="eni-1"), NO_WAY),
    ("two targets", routed(**TO_NAT, InstanceId="i-1"), UNKNOWN),
    ("destination by prefix list",
     routed(**TO_NAT, DestinationCidrBlock=None, DestinationPrefixListId="pl-1"), UNKNOWN),
    ("IPv6 in a subnet with IPv6", {"Block": IPV6, "PrivateRoute": TO_IPV6}, UNKNOWN),
    ("IPv6 beside NAT", {"Block": IPV6, "Six": TO_IPV6}, OPEN),
    ("IPv6 in a subnet without it", {"PrivateRoute": TO_IPV6}, NO_WAY),
    ("an IPv6-only subnet", {"Private.CidrBlock": None, "Private.Ipv6Native": True}, UNKNOWN),
    ("propagated by a VPN gateway",
     instead("AWS::EC2::VPNGatewayRoutePropagation", RouteTableIds=[ref("PrivateTable")]), UNKNOWN),
    ("propagated by a VPN gateway, beside NAT", {"Vpn": part(
        "VPNGatewayRoutePropagation", RouteTableIds=[ref("PrivateTable")])}, UNKNOWN),
    ("propagated by a route server", instead(SERVER, **INTO_TABLE), UNKNOWN),
    ("propagated into another table", instead(SERVER, RouteTableId=ref("PublicTable")), NO_WAY),
    ("custom resource with the VPC, and no table of the subnet",
     {"PrivateAssociation": None, "Custom": custom(**WITH_VPC)}, UNKNOWN),
    ("route into a table by attribute, and no table of the subnet", {"PrivateAssociation": None,
        "Custom": custom(), "Main": route(att("Custom", "Main"), **TO_NAT)}, UNKNOWN),
    ("custom resource of CloudFormation",
     instead("AWS::CloudFormation::CustomResource", **OF_TABLE), UNKNOWN),
    ("type of one's own", instead("Own::Network::Route", **OF_TABLE), UNKNOWN),
    ("custom resource of CDK's EKS", instead("Custom::AWSCDK-EKS-Cluster", **OF_TABLE), NO_WAY),
    ("unread stack with the table", instead(STACK, Parameters=OF_TABLE), UNKNOWN),
    *((f"a script with the table: {does}", {"PrivateRoute": None, "Starts": resource(
        "AWS::AutoScaling::LaunchConfiguration", UserData=[does, ref("PrivateTable")])}, found)
      for does, found in (("create-route", UNKNOWN), ("Set-EC2Route", UNKNOWN),
                          ("replace-route-table-association", NO_WAY))),
    *((f"code that has the {table} and calls {call}", {"PrivateRoute": None, "Code": resource(
        "AWS::Lambda::Function", Environment={"Variables": {"T": ref(table)}}),
        "Calls": policy(allow(f"ec2:{call}"))}, found)
      for table, call, found in (
        ("PrivateTable", "ReplaceRoute", UNKNOWN), ("PublicTable", "ReplaceRoute", NO_WAY),
        ("PrivateTable", "CreateRouteTable", NO_WAY))),
    *((f"a {kind} that has the table, and code that makes routes", {"PrivateRoute": None,
        "Calls": policy(allow("ec2:CreateRoute")), "Has": resource(
            kind, RouteTableId=ref("PrivateTable"), DestinationIpv6CidrBlock="::/0")}, found)
      for kind, found in (
        ("AWS::EC2::SpotFleet", UNKNOWN), ("AWS::SSM::Parameter", UNKNOWN),
        ("AWS::IAM::ManagedPolicy", UNKNOWN), ("AWS::EC2::VPCEndpoint", NO_WAY),
        ("AWS::EC2::Route", NO_WAY))),
    ("unread stack with a gateway", instead(STACK, Parameters={"Gateway": ref("Gateway")}), NO_WAY),
    ("unread stack with VPC, beside NAT", {"Other": resource(STACK, Parameters=WITH_VPC)}, UNKNOWN),
    ("module", instead("Own::Network::Part::MODULE"), UNKNOWN),
    *((f"policy of Firewall Manager for {kind}, remediation {is_on}", {"Policy": resource(
        "AWS::FMS::Policy", RemediationEnabled=is_on, SecurityServicePolicyData={"Type": kind})},
       expected) for kind, is_on, expected in (
          ("NETWORK_ACL_COMMON", True, UNKNOWN), (GIVEN, True, UNKNOWN), ("WAFV2", True, OPEN),
          ("DNS_FIREWALL", "false", OPEN))),
    ("a loop beside NAT", LOOP, UNKNOWN),
    ("a loop alone", {"PrivateRoute": None, **LOOP}, UNKNOWN),
    ("user data that sets a proxy", {"PrivateRoute": None, "Instance.UserData": PROXY}, UNKNOWN),
    ("user data that sets a proxy, beside NAT", {"Instance.UserData": PROXY}, OPEN),
    ("another interface", {"PrivateRoute": None, **interface(ref("Instance"))}, UNKNOWN),
    ("another interface, beside NAT", interface(ref("Instance")), OPEN),
    ("another interface of some instance", {"PrivateRoute": None, **interface(GIVEN)}, UNKNOWN),
    ("VPC without DNS", {"Vpc.EnableDnsSupport": False}, UNKNOWN),
    ("VPC of a security group", {"Private.VpcId": att("Group", "VpcId")}, OPEN),
    ("VPC by attribute", {"Private.VpcId": att("Custom", "VpcId"), "Custom": custom()}, UNKNOWN),
    *((f"subnet by parameter, and a group that lets out to {to}",
       {"Instance.SubnetId": GIVEN, **lets_out([NOWHERE, *rules])}, found) for to, rules, found in (
          ("nothing", (), CLOSED), ("itself", (https(CidrIp="127.0.0.0/8"),), CLOSED),
          ("its VPC", (https(CidrIp=BLOCK),), UNKNOWN))),
    ("public access blocked both ways", blocking("block-bidirectional"), UNKNOWN),
    *((f"public access blocked both ways, but {but} for {of}",
       blocking("block-bidirectional", but, **of), path) for but, of, path in (
          ("allow-bidirectional", VPC_ID, OPEN),
          ("allow-bidirectional", {"SubnetId": ref("Public")}, OPEN),
          ("allow-egress", {"SubnetId": ref("Public")}, OPEN),
          ("allow-egress", {"SubnetId": ref("Private")}, UNKNOWN), (GIVEN, VPC_ID, UNKNOWN))),
    ("public access blocked both ways, and a regional NAT gateway",
     {**blocking("block-bidirectional"), "Nat": REGIONAL}, UNKNOWN),
    ("a regional NAT gateway of the subnet's zone", of_zone("a"), OPEN),
    ("a regional NAT gateway of another zone", of_zone("b"), UNKNOWN),
    ("route table of a VPN gateway", {"Vpn": part("VPNGateway"), **edge(ref("Vpn"))}, OPEN),
    *((f"a Deny of {what} before the default network ACL's own entries",
       {"No": denying(NetworkAclId=att("Vpc", "DefaultNetworkAcl"), **of)},
       expected) for what, of, expected in (("all", {}, NO_WAY), ("UDP", {"Protocol": 17}, OPEN))),
    ("default network ACL", {**acl(), "Uses.NetworkAclId": att("Vpc", "DefaultNetworkAcl")}, OPEN),
    ("network ACL of a custom resource",
     {**acl(), "Uses.NetworkAclId": att("Custom", "Acl"), "Custom": custom()}, UNKNOWN),
    ("network ACL of a subnet by parameter", acl(GIVEN), UNKNOWN),
    ("network ACL of another subnet", {"Third": subnet("10.0.4.0/24"), **acl(ref("Third"))}, OPEN),
    *((f"prefix list that {what} changes", {**listing({"Cidr": ANYWHERE}), "By": by}, UNKNOWN)
      for what, by in (("a custom resource", custom(List=ref("List"))), ("IPAM", part(
          "IPAMPrefixListResolverTarget", PrefixListId=ref("List"))))),
    ("prefix list with an entry by parameter", listing(GIVEN), UNKNOWN),
    ("prefix list with a range by parameter", listing({"Cidr": GIVEN}), UNKNOWN),
    ("prefix list in two halves", listing({"Cidr": "0.0.0.0/1"}, {"Cidr": "128.0.0.0/1"}), OPEN),
    ("prefix list without entries", listing(), CLOSED),
    ("prefix list whose entries something else makes", listing() | {"List.Entries": None}, UNKNOWN),
    ("prefix list of IPv6", {**listing({"Cidr": "::/0"}), "List.AddressFamily": "IPv6"}, CLOSED),
    ("a type that is not known, with the VPC", {"New": part("VPCFilter", **VPC_ID)}, UNKNOWN),
    *((f"encryption control that is to {mode}", parts, found)
      for mode, found in (("monitor", OPEN), ("enforce", UNKNOWN), (GIVEN, UNKNOWN))
      for parts in ({"New": part("VPCEncryptionControl", **VPC_ID, Mode=mode)},
                    {"Vpc.VpcEncryptionControl": {"Mode": mode}})),
    ("a type that is not known, with a subnet",
     {"PrivateRoute": None, "New": part("Way", Subnets=[ref("Private")])}, UNKNOWN),
    ("a type that is not known, on a condition",
     {"New": on(resource("AWS::Route53Resolver::Blocker", **WITH_VPC), ON)}, UNKNOWN),
    ("a type that is not known, with another VPC",
     {"New": part("VPCFilter", VpcId=ref("Other")), "Other": OTHER}, OPEN),
    ("a type of another service", {"New": resource("AWS::Database::Cluster", **VPC_ID)}, OPEN),
]  # fmt: skip


def by_groups(*groups: object) -> Parts:
    """An instance with these groups; `Shut` allows no outbound traffic."""
    return {"Shut": group(egress=[NOWHERE]), "Instance.SecurityGroupIds": [*groups]}


HALF: Final = https(CidrIp="0.0.0.0/1")
OTHER_HALF: Final = https(CidrIp="128.0.0.0/1")
HALVES: Final = [https(CidrIp=f"10.0.1.{start}/25") for start in (0, 128)]
PRIVATE: Final = "10.0.0.0/8", "100.64.0.0/10"
EGRESS: Final[list[tuple[str, Parts, str, str]]] = [
    # what of the groups differs, to the NAT gateway and to the endpoints
    ("rules that are not there", lets_out(NO_VALUE), OPEN, OPEN),
    ("an empty list of rules", lets_out([]), UNKNOWN, UNKNOWN),
    ("a rule on a condition", lets_out([either(ANY)]), UNKNOWN, UNKNOWN),
    ("a rule by parameter, and one for all", lets_out([GIVEN, ANY]), OPEN, OPEN),
    ("UDP", lets_out([UDP]), CLOSED, CLOSED),
    ("IPv6", lets_out([SIX]), CLOSED, CLOSED),
    ("IPv6 in a subnet with IPv6", lets_out([SIX], Block=IPV6), UNKNOWN, UNKNOWN),
    ("IPv6 that is off", lets_out([SIX]) | {"Private.Ipv6Native": False}, CLOSED, CLOSED),
    ("a protocol of no such name", lets_out([ANY | {"IpProtocol": "all"}]), UNKNOWN, UNKNOWN),
    ("a rule of its own beside one inline", lets_out([NOWHERE], Rule=LET_OUT), OPEN, OPEN),
    ("a rule of its own, perhaps", lets_out([NOWHERE], Rule=on(LET_OUT, ON)), UNKNOWN, UNKNOWN),
    ("a rule of its own of another protocol", lets_out(None, Rule=OUT_UDP), UNKNOWN, UNKNOWN),
    ("a prefix list by id", lets_out([https(DestinationPrefixListId="pl-1")]), UNKNOWN, UNKNOWN),
    ("a range by parameter", lets_out([https(CidrIp=GIVEN)]), UNKNOWN, UNKNOWN),
    ("a group by parameter", lets_out([https(DestinationSecurityGroupId=GIVEN)]), CLOSED, UNKNOWN),
    ("private ranges", lets_out([https(CidrIp=one) for one in PRIVATE]), CLOSED, OPEN),
    ("the own subnet", lets_out(HALVES), CLOSED, OPEN),
    ("half of all", lets_out([HALF]), UNKNOWN, OPEN),
    ("both halves", lets_out([HALF, OTHER_HALF]), OPEN, OPEN),
    ("both halves, one on a condition", lets_out([HALF, either(OTHER_HALF)]), UNKNOWN, OPEN),
    ("two groups", by_groups(ref("Shut"), ref("Group")), OPEN, OPEN),
    ("two groups, one by id", by_groups(ref("Shut"), "sg-1"), UNKNOWN, UNKNOWN),
    ("two groups, one by parameter", by_groups(ref("Group"), GIVEN), OPEN, OPEN),
]  # fmt: skip


def entries(**more: Parts | None) -> Parts:
    """A network ACL that allows all traffic, with these entries added."""
    return acl(In=entry(egress=False), **{"Out": entry(egress="true"), **more})


ACLS: Final[list[Row]] = [
    *((f"answers to ports from {first} alone, of the {of} subnet",
       acl(ref(of), Out=entry(), In=entry(egress=False), Low=entry(99, egress=False,
           Protocol=6, RuleAction="deny", PortRange={"From": 1024, "To": first - 1})), expected)
      for of, first, expected in (("Private", 32768, OPEN), ("Private", 49152, UNKNOWN),
                                  ("Public", 32768, UNKNOWN))),
    ("all, with ports of ICMP", entries(Out=entry(PortRange={"From": -1, "To": -1})), OPEN),
    ("of which one is of IPv6", entries(No=denying(CidrBlock=None, Ipv6CidrBlock="::/0")), OPEN),
    ("a range by parameter that is allowed", entries(No=entry(99, CidrBlock=GIVEN)), OPEN),
    ("a range by parameter that is denied", entries(No=denying(CidrBlock=GIVEN)), UNKNOWN),
    ("a range that is denied", entries(No=denying(CidrBlock="52.0.0.0/8")), UNKNOWN),
    ("ranges that suffice together",
     entries(Out=entry(1, CidrBlock="0.0.0.0/1"), More=entry(2, CidrBlock="128.0.0.0/1")), OPEN),
    *((f"nothing, and {what} is let out", {**acl(), **lets_out([rule])}, f"{CLOSED} {NO_WAY}")
      for what, rule in (("nothing", NOWHERE), ("HTTPS to the VPC alone", https(CidrIp=BLOCK)))),
    ("nothing, and all is let out", {**acl(), **lets_out([ANY])}, NO_WAY),
    ("nothing, before NAT that leads to others", {**acl(), "Way": further(**TRANSIT)}, NO_WAY),
    ("nothing, and a route of some table", {**acl(), "Way": route(GIVEN, **TRANSIT)}, UNKNOWN),
    ("nothing, and a route of some table in the VPC",
     {**acl(), "Way": route(GIVEN, DestinationCidrBlock="10.0.1.0/24", **TRANSIT)}, NO_WAY),
    ("private ranges alone, and a route to a prefix list",
     acl(In=entry(egress=False, CidrBlock=BLOCK), Out=entry(CidrBlock=BLOCK),
         Way=route(DestinationCidrBlock=None, DestinationPrefixListId="pl-1", **TRANSIT)), UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "to_nat", "to_endpoints"), rows(EGRESS))
def test_what_groups_let_out(check: Check, changes: Parts, to_nat: str, to_endpoints: str) -> None:
    assert said(check(Stack=templated(changes))) == to_nat
    assert said(check(Stack=with_endpoints(changes))) == to_endpoints


@pytest.mark.parametrize(("changes", "expected"), rows([*ROUTES, *ACLS]))
def test_behind_a_nat_gateway(check: Check, changes: Parts, expected: str) -> None:
    assert said(check(Stack=templated(changes))) == expected


@pytest.mark.parametrize(("transform", "expected"), [
    ({"Transform": {"Name": "AWS::Include", "Parameters": {}}}, UNKNOWN),
    ({"Fn::Transform": {"Name": "AWS::Include", "Parameters": {}}}, UNKNOWN),
    ({"Transform": ["AWS::Serverless-2016-10-31", "Own"]}, UNKNOWN),
    ({"Transform": "AWS::CodeDeployBlueGreen"}, NO_WAY),
    ({"Transform": "AWS::Serverless-2016-10-31"}, NO_WAY),
])  # fmt: skip
def test_what_a_macro_may_add(check: Check, transform: Parts, expected: str) -> None:
    """The instance is in another template: a macro may change those of its own."""
    here, there = split(templated(PrivateRoute=None))
    assert said(check(Stack=here | transform, nested=there)) == expected


STRANGE: Final = {
    "AWS::EC2::EnclaveCertificateIamRoleAssociation", "AWS::EC2::FpgaImage", "AWS::EC2::IPv4Pool",
    "AWS::EC2::IpPoolRouteTableAssociation", "AWS::EC2::NetworkPerformanceMetricSubscription",
    "AWS::EC2::SecondaryNetwork", "AWS::EC2::SnapshotBlockPublicAccess",
    "AWS::EC2::SqlHaStandbyDetectedInstance", "AWS::EC2::VPCEncryptionControl",
}  # fmt: skip
"""Types of CDK that may change a network, and types that name no part of one."""


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


# By endpoints ------------------------------------------------------------------------------------

SELF: Final = {"Admits": group()}
FOREIGN: Final = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
"""The subnets and the groups of an endpoint, by ids."""
ONE_OF_MANY: Final = {"Fn::Join": ["-", ["sg", *(either("0", "1", f"{ON}{n}") for n in range(7))]]}
"""A group in twice as many worlds as are judged."""
ALLOWS_ALL: Final = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
DENIES_ALL: Final = ALLOWS_ALL | {"Effect": "Deny"}
TLS: Final = {"Bool": {"aws:SecureTransport": True}}
OF_ACCOUNT, OF_OTHER = (
    {"StringEquals": {"aws:PrincipalAccount": one}} for one in ("111122223333", "444455556666")
)
OURS: Final = "arn:aws:iam::${AWS::AccountId}"
ROOT: Final = {"AWS": {"Fn::Sub": f"{OURS}:root"}}
ITS_ARN: Final = {"aws:PrincipalArn": att("Role", "Arn")}
OF_ROLE: Final = {"AWS": att("Role", "Arn")}
POLICIES_OF_ALL: Final[dict[str, object]] = {
    "as JSON": json.dumps({"Statement": [ALLOWS_ALL]}),
    "as JSON that a function makes": {"Fn::ToJsonString": {"Statement": [ALLOWS_ALL]}},
    "with an action that is joined": {
        "Statement": ALLOWS_ALL | {"Action": {"Fn::Join": [":", ["ssm", "*"]]}}
    },
    "for the account": {"Statement": ALLOWS_ALL | {"Principal": {"AWS": ref("AWS::AccountId")}}},
    "for the root of the account": {"Statement": ALLOWS_ALL | {"Principal": ROOT}},
}
BY_REFERENCE: Final = ALLOWS_ALL | {"Action": "{{resolve:ssm:/action}}"}


def admits(**changes: object) -> Parts:
    """Changes of the only rule of the endpoints' group."""
    return {"Admits": group(https(**{"CidrIp": BLOCK, **changes}))}


def ingress(condition: str = "", **changes: object) -> Parts:
    """A rule of the endpoints' group, as a resource of its own."""
    rule = {"GroupId": ref("Admits"), "IpProtocol": "-1", "CidrIp": BLOCK, **changes}
    return {"Rule": part("SecurityGroupIngress", condition, **rule)}


def by_rule(condition: str = "", **changes: object) -> Parts:
    """The endpoints' group allows inbound traffic only by a rule that is a resource of its own."""
    return {**SELF, **ingress(condition, **changes)}


def policy_of_ssm(*statements: object) -> Parts:
    return of_ssm(PolicyDocument={"Statement": [*statements]})


ENDPOINT: Final[list[Row]] = [
    ("gateway type", of_ssm(VpcEndpointType="Gateway"), MISSING),
    ("another type", of_ssm(VpcEndpointType="GatewayLoadBalancer"), MISSING),
    ("of FIPS", {"Ssm": endpoint("ssm-fips"), "Messages": endpoint("ssmmessages-fips")}, UNKNOWN),
    ("named as in China", of_ssm(ServiceName="cn.com.amazonaws.eu-west-1.ssm"), OPEN),
    ("of another region", of_ssm(ServiceName="com.amazonaws.eu-west-2.ssm"), MISSING),
    ("region by parameter", of_ssm(ServiceName={"Fn::Sub": "com.amazonaws.${Given}.ssm"}), OPEN),
    ("of another service in one world", of_ssm(ServiceName=either(
        "com.amazonaws.eu-west-1.ssm", "com.amazonaws.eu-west-1.ec2")), UNKNOWN),
    ("in the VPC or another, in a subnet of the VPC",
     of_ssm(VpcId=either(ref("Vpc"), GIVEN)), OPEN),
    ("in a VPC by id, in a group of the VPC", of_ssm(VpcId="vpc-1", SubnetIds=["subnet-1"]), OPEN),
    ("in a VPC by id, in a group of another VPC",
     {"Other": OTHER, "Apart": group(VpcId=ref("Other")),
      **of_ssm(VpcId="vpc-1", SubnetIds=["subnet-1"], SecurityGroupIds=[ref("Apart")])}, MISSING),
    ("in a VPC by id, in a group that is associated with it", {"Also": part(
        "SecurityGroupVpcAssociation", GroupId=ref("Admits"), VpcId="vpc-1"),
      **of_ssm(VpcId="vpc-1", SubnetIds=["subnet-1"])}, UNKNOWN),
    ("in no subnet", of_ssm(SubnetIds=[]), UNKNOWN),
    ("behind a local route, and one to an appliance",
     {**LOCAL, "Way": route(DestinationCidrBlock="10.0.1.0/24", VpcEndpointId="vpce-1")}, UNKNOWN),
    *((f"in subnets by parameter, beside a network ACL that {does}",
       {**of_ssm(SubnetIds=GIVEN), **entries(**more)}, expected)
      for does, more, expected in (
          ("lets all pass", {}, OPEN),
          ("lets nothing pass", {"Out": None}, UNKNOWN),
          ("lets nothing out to one of them",
           {"No": denying(1, CidrBlock="10.0.3.0/24")}, UNKNOWN))),
    *((f"in subnets {which}, in a VPC with a network ACL that lets nothing in",
       {**of_ssm(SubnetIds=by), **acl(ref("Third"), Out=entry()), "Third": subnet("10.0.4.0/24")},
       expected)
      for which, by, expected in (("by parameter", GIVEN, UNKNOWN),
                                  ("of the app", [ref("Private")], OPEN))),
    ("in subnets by parameter, in a VPC with an entry of its default network ACL",
     {**of_ssm(SubnetIds=GIVEN), **entries(),
      "No": denying(NetworkAclId=att("Vpc", "DefaultNetworkAcl"))}, UNKNOWN),
    ("no groups, and a rule of the default one", {**of_ssm(SecurityGroupIds=None),
        **ingress(GroupId=att("Vpc", "DefaultSecurityGroup"))}, OPEN),
    ("custom resource with the endpoint that admits nothing",
     {"Admits": group(NOWHERE), "Custom": custom(Of=[ref("Ssm"), ref("Messages")])}, UNKNOWN),
    ("custom resource with the endpoint whose policy allows nothing",
     {**policy_of_ssm(), "Custom": custom(Of=ref("Ssm"))}, UNKNOWN),
    ("custom resource with the default group, which admits itself alone", {**of_ssm(
        SecurityGroupIds=None), "Custom": custom(Of=att("Vpc", "DefaultSecurityGroup"))}, UNKNOWN),
    ("custom resource with the endpoint without private DNS",
     {**of_ssm(PrivateDnsEnabled=None), "Custom": custom(Of=ref("Ssm"))}, UNKNOWN),
    *((f"policy that allows all, {name}", of_ssm(PolicyDocument=policy), OPEN)
      for name, policy in POLICIES_OF_ALL.items()),
    ("policy as JSON that allows nothing", of_ssm(PolicyDocument='{"Statement": []}'), UNREACHABLE),
    ("policy as JSON that can't be read", of_ssm(PolicyDocument="{"), UNKNOWN),
    ("policy as JSON with a part by parameter",
     of_ssm(PolicyDocument={"Fn::Sub": '{"Statement": {"Action": "${Given}"}}'}), UNKNOWN),
    ("policy by a dynamic reference", of_ssm(PolicyDocument="{{resolve:ssm:/policy}}"), UNKNOWN),
    ("policy that also allows a dynamic reference", policy_of_ssm(ALLOWS_ALL, BY_REFERENCE), OPEN),
    ("policy that denies an action by a dynamic reference",
     policy_of_ssm(ALLOWS_ALL, BY_REFERENCE | {"Effect": "Deny"}), UNKNOWN),
    ("policy that is not there", of_ssm(PolicyDocument=NO_VALUE), OPEN),
    *((f"policy with {name}", policy_of_ssm(*statements), expected)
      for name, expected, *statements in (
          ("what is needed", OPEN, ALLOWS_ALL | {"Action": [*REGISTRATION.actions]}),
          ("something else, and what can't be read", UNKNOWN,
           ALLOWS_ALL | {"Action": "ssm:Get*"}, ALLOWS_ALL | {"Condition": "unreadable"}),
          ("a Deny of TLS", UNREACHABLE, ALLOWS_ALL, DENIES_ALL | {"Condition": TLS}),
          ("a Deny for another account", OPEN, ALLOWS_ALL, DENIES_ALL | {"Condition": OF_OTHER}),
          ("a Deny for the account", UNREACHABLE, ALLOWS_ALL,
           DENIES_ALL | {"Condition": OF_ACCOUNT}),
          ("another account", UNREACHABLE, ALLOWS_ALL | {"Condition": OF_OTHER}),
          ("the role", OPEN, ALLOWS_ALL | {"Principal": OF_ROLE}),
          ("the ARN of the role", OPEN, ALLOWS_ALL | {"Condition": {"ArnEquals": ITS_ARN}}),
          ("a Deny for the role", UNREACHABLE, ALLOWS_ALL, DENIES_ALL | {"Principal": OF_ROLE}),
          ("a Deny for all others than the role", OPEN, ALLOWS_ALL,
           DENIES_ALL | {"Condition": {"ArnNotEquals": ITS_ARN}}),
          ("the VPC", OPEN, ALLOWS_ALL | {"Condition": {
              "StringEquals": {"aws:SourceVpc": ref("Vpc")}}}),
          ("a Deny of other VPCs", OPEN, ALLOWS_ALL, DENIES_ALL | {"Condition": {
              "StringNotEquals": {"aws:SourceVpc": ref("Vpc")}}}),
          ("another VPC by its id, which a new VPC may get", UNKNOWN, ALLOWS_ALL | {"Condition": {
              "StringEquals": {"aws:SourceVpc": "vpc-1"}}}),
          ("a Deny of other regions", OPEN, ALLOWS_ALL, DENIES_ALL | {"Condition": {
              "StringNotEquals": {"aws:RequestedRegion": ref("AWS::Region")}}}),
          ("a role by a name that may be generated", UNKNOWN,
           ALLOWS_ALL | {"Principal": {"AWS": "arn:aws:iam::111122223333:role/Stack-Role-1A2B"}}),
          ("a Deny of an instance", UNKNOWN, ALLOWS_ALL,
           DENIES_ALL | {"Resource": "arn:aws:ec2:eu-west-1:111122223333:instance/i-1"}),
          ("either", UNKNOWN, either(ALLOWS_ALL, DENIES_ALL)), ("no statement", UNKNOWN, "a"))),
    *((f"policy for roles by the pattern {name}", policy_of_ssm(ALLOWS_ALL | {"Condition": {
        "ArnLike": {"aws:PrincipalArn": {"Fn::Sub": f"{OURS}:role/{name}"}}}}), path)
      for name, path in (("*", OPEN), ("?*", UNKNOWN), ("app-*", UNKNOWN))),
    ("policy that denies the role, whose agent turns to Default Host Management",
     {**policy_of_ssm(ALLOWS_ALL, DENIES_ALL | {"Principal": OF_ROLE}),
      "Hosts": resource("AWS::SSM::DefaultHostManagementConfiguration")}, UNKNOWN),
    ("beside what a loop makes", LOOP, OPEN),
]  # fmt: skip
ADMITS: Final[list[Row]] = [
    ("another port", admits(FromPort=80, ToPort=80), UNREACHABLE),
    ("ports by parameter", admits(FromPort=GIVEN), UNKNOWN),
    ("ports by functions", admits(FromPort={"Fn::Sub": "443"},
        IpProtocol={"Fn::Sub": "tcp"}, ToPort={"Fn::Join": ["", ["44", "3"]]}), OPEN),
    ("ports above", admits(FromPort=444, ToPort=GIVEN), UNREACHABLE),
    ("ports below", admits(FromPort=GIVEN, ToPort=80), UNREACHABLE),
    ("no ports", admits(FromPort=None, ToPort=None), UNKNOWN),
    ("a port with more digits than Python takes", admits(FromPort="4" * 5_000), UNKNOWN),
    ("a port, perhaps in octal", admits(FromPort="0673", ToPort="0673"), UNKNOWN),
    ("a protocol with a zero before it", admits(IpProtocol="06"), UNKNOWN),
    ("the number of UDP", admits(IpProtocol="17"), UNREACHABLE),
    ("ICMP", admits(IpProtocol="icmp", FromPort=-1, ToPort=-1), UNREACHABLE),
    ("every protocol", admits(IpProtocol=-1, FromPort=None, ToPort=None), OPEN),
    ("a range of ports, one of them a text", admits(FromPort=0, ToPort="65535"), OPEN),
    ("range by attribute", {"Custom": custom(), **admits(CidrIp=att("Custom", "Block"))}, UNKNOWN),
    ("two halves of the subnet", {"Admits": group(*HALVES)}, OPEN),
    ("another range on a condition", by_rule(ON, CidrIp="10.1.0.0/16"), UNREACHABLE),
    ("the instance's group on a condition",
     by_rule(ON, CidrIp=None, SourceSecurityGroupId=ref("Group")), UNKNOWN),
    ("IPv6", {"Admits": group(SIX)}, UNREACHABLE),
    ("IPv6 in a subnet with IPv6", {"Block": IPV6, "Admits": group(SIX)}, UNKNOWN),
    ("a group by id", admits(CidrIp=None, SourceSecurityGroupId="sg-1"), UNKNOWN),
    ("a group by parameter", admits(CidrIp=None, SourceSecurityGroupId=GIVEN), UNKNOWN),
    ("a prefix list", admits(CidrIp=None, SourcePrefixListId="pl-1"), UNKNOWN),
    ("rules by parameter on a condition", {"Admits": group(either(GIVEN))}, UNKNOWN),
    ("an address, which the instance has by parameter",
     {"Instance.PrivateIpAddress": GIVEN, **admits(CidrIp="10.0.1.7/32")}, UNKNOWN),
    ("half the subnet, in which the instance's address is",
     {"Instance.PrivateIpAddress": "10.0.1.77", **admits(CidrIp="10.0.1.0/25")}, OPEN),
    ("half the subnet, in which the instance's address is not",
     {"Instance.PrivateIpAddress": "10.0.1.177", **admits(CidrIp="10.0.1.0/25")}, UNREACHABLE),
    ("rule of another group", by_rule(GroupId=ref("Group")), UNREACHABLE),
    ("rule of the group or another", by_rule(GroupId=either(ref("Admits"), GIVEN)), UNKNOWN),
    ("rule of one of too many groups, of another protocol",
     by_rule(GroupId=ONE_OF_MANY, IpProtocol="udp"), UNREACHABLE),
    ("by a custom resource", {**SELF, "Rule": custom(Of=ref("Admits"))}, UNKNOWN),
    ("perhaps by a custom resource", {**SELF, "Rule": on(custom(Of=ref("Admits")), ON)}, UNKNOWN),
]  # fmt: skip


def ranged(subnet_of: object, admitted: object, vpc: object = BLOCK) -> Parts:
    """The ranges of the subnet and of the VPC, and the one that the endpoints admit."""
    return {"Vpc.CidrBlock": vpc, "Private.CidrBlock": subnet_of, **admits(CidrIp=admitted)}


def of_two_ranges(**given: object) -> Parts:
    return {"More": part("VPCCidrBlock", **{**VPC_ID, "CidrBlock": "10.9.0.0/16", **given})}


def nth(place: int, of: object) -> Parts:
    return {"Fn::Select": [place, of]}


def in_two_subnets(let_out_to: str) -> Parts:
    rule = {"IpProtocol": "-1", "CidrIp": let_out_to}
    two = [ref("Private"), ref("Public")]
    return {**of_ssm(SubnetIds=two), "Group": group(egress=[rule])}


LIST: Final = {"Fn::Split": [";", GIVEN]}
BLOCKS: Final = {"Fn::Cidr": [att("Vpc", "CidrBlock"), "4", 8]}
"""Subnets of 256 addresses."""
RANGES: Final[list[Row]] = [
    ("a VPC with two ranges", of_two_ranges(), OPEN),
    ("a VPC with IPv6", of_two_ranges(CidrBlock=None, AmazonProvidedIpv6CidrBlock=True), OPEN),
    ("ranges of a VPC by parameter", of_two_ranges(VpcId=GIVEN), OPEN),
    ("a VPC whose range a custom resource gives", {"Custom": custom(),
        "Vpc.CidrBlock": att("Custom", "Block"), **admits(CidrIp=att("Vpc", "CidrBlock"))}, OPEN),
    ("ranges by the same parameter", ranged(ref("Other"), GIVEN, GIVEN), OPEN),
    ("ranges by another parameter", ranged("10.0.1.0/24", ref("Other"), GIVEN), UNKNOWN),
    ("ranges by one entry of a list", ranged(nth(0, LIST), nth(0, LIST)), OPEN),
    ("two entries of a list", ranged(nth(0, LIST), nth(1, LIST)), UNKNOWN),
    ("texts that differ in a parameter",
     ranged({"Fn::Sub": "${Given}.0/24"}, {"Fn::Sub": "${Other}.0/24"}), UNKNOWN),
    ("one block of several", ranged(nth(1, BLOCKS), "10.0.1.0/24"), OPEN),
    ("two blocks of several", ranged(nth(1, BLOCKS), nth(2, BLOCKS)), UNREACHABLE),
    ("the same block of a parameter", ranged(nth(1, BLOCKS), nth(1, BLOCKS), GIVEN), OPEN),
    ("two blocks of a parameter", ranged(nth(1, BLOCKS), nth(2, BLOCKS), GIVEN), UNKNOWN),
    ("a range that is none", ranged("10.0.1.0/24", "none"), UNKNOWN),
    ("too many blocks", ranged(nth(0, {"Fn::Cidr": [BLOCK, 4, 28]}), "10.0.1.0/24"), UNKNOWN),
    ("more than the VPC", ranged(GIVEN, "10.0.0.0/8"), OPEN),
    ("a range beside a VPC by parameter", ranged(ref("Other"), "10.0.0.0/8", GIVEN), UNKNOWN),
    ("another range than the VPC's", ranged(GIVEN, "10.9.0.0/16"), UNREACHABLE),
    *((f"in another subnet, beside a route {name}",
       {**of_ssm(SubnetIds=[ref("Public")]), "Public.CidrBlock": GIVEN, "Way": way}, expected)
      for name, way, expected in (
          ("to it", route(DestinationCidrBlock=att("Public", "CidrBlock"), **TO_NAT), UNKNOWN),
          ("back", further("10.0.1.0/25", VpcEndpointId="vpce-1"), UNKNOWN),
          ("to a third", further("10.0.4.0/24", **TO_NAT), OPEN))),
    ("in another subnet, beside a route to it, in a VPC by parameter",
     {**of_ssm(SubnetIds=[ref("Public")]), "Vpc.CidrBlock": GIVEN,
      "Way": route(DestinationCidrBlock="10.0.3.0/24", **TO_NAT)}, UNKNOWN),
    ("in two subnets, one of which is let out to", in_two_subnets("10.0.1.0/24"), UNKNOWN),
    ("in two subnets, neither of which is let out to", in_two_subnets("10.0.9.0/24"), CLOSED),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), rows([*ENDPOINT, *ADMITS, *RANGES]))
def test_by_endpoints(check: Check, changes: Parts, expected: str) -> None:
    assert said(check(Stack=with_endpoints(changes))) == expected


def to_s3(**changes: object) -> Parts:
    return {"S3": endpoint("s3", **changes)}


def by_gateway(tables: object) -> Parts:
    by = {"VpcEndpointType": "Gateway", "SubnetIds": None, "SecurityGroupIds": None}
    return to_s3(**by, RouteTableIds=tables)


def for_owners(**asked: object) -> Parts:
    """The policy of the gateway endpoint denies calls on the buckets of other owners."""
    denies = DENIES_ALL | {"Condition": {"StringNotEquals": asked}}
    return {"S3.PolicyDocument": {"Statement": [ALLOWS_ALL, denies]}}


ONLY_INBOUND: Final = "PrivateDnsOnlyForInboundResolverEndpoint"
FOR_ALL: Final = {"DnsOptions": {ONLY_INBOUND: "AllResolvers"}}


IN_VIRGINIA: Final = {"ServiceName": "com.amazonaws.us-east-1.s3", "ServiceRegion": "us-east-1"}
BY_NAT, BY_GATEWAY = {"PrivateRoute": route(**TO_NAT)}, by_gateway([ref("PrivateTable")])
CLOSED_GATEWAY: Final = BY_GATEWAY | {"S3.PolicyDocument": {"Statement": [DENIES_ALL]}}


@pytest.mark.parametrize(("there", "changes", "expected"), [(there, *row) for there, several in {
    "eu-west-1": [
        ({}, MISSING),
        (BY_GATEWAY, OPEN),
        (by_gateway([ref("PublicTable")]), MISSING),
        (by_gateway(GIVEN), UNKNOWN),
        (to_s3(), UNKNOWN),
        (to_s3(**FOR_ALL), OPEN),
        (to_s3(DnsOptions={ONLY_INBOUND: "OnlyInboundResolver"}), UNREACHABLE),
        (to_s3(DnsOptions=GIVEN), UNKNOWN),
        (BY_NAT | by_gateway([ref("PublicTable")]), OPEN),
        ({"S3": on(BY_GATEWAY["S3"], ON)}, UNKNOWN),
        ({"PrivateAssociation": None, **BY_GATEWAY}, MISSING),
        (BY_GATEWAY | lets_out([https(CidrIp=BLOCK)]), CLOSED),
        (BY_NAT | CLOSED_GATEWAY, UNREACHABLE),
        *((BY_GATEWAY | for_owners(**of) | others, found) for of, others, found in (
            ({"aws:ResourceAccount": ref("AWS::AccountId")}, {}, OPEN),
            ({"s3:ResourceAccount": "1"}, {}, OPEN),
            ({"aws:ResourceAccount": "2"}, {}, UNREACHABLE),
            ({"aws:ResourceAccount": "1"}, {"Another": session(
                s3BucketName="not-of-the-app", s3EncryptionEnabled=True)}, UNKNOWN))),
        (BY_GATEWAY | {"Other": endpoint("s3", PrivateDnsEnabled=False)}, OPEN),
        (BY_GATEWAY | {"Other": endpoint("s3", SecurityGroupIds=[ref("Group")], **FOR_ALL)},
         UNREACHABLE),
    ],
    "unknown-region": [(BY_GATEWAY, OPEN)],
    "us-east-1": [
        (BY_GATEWAY, MISSING),
        (to_s3(**FOR_ALL), MISSING),
        (to_s3(**IN_VIRGINIA), UNKNOWN),
        (to_s3(**IN_VIRGINIA, **FOR_ALL), OPEN),
        *((to_s3(**IN_VIRGINIA, **FOR_ALL, PolicyDocument={"Statement": [ALLOWS_ALL | {
            "Condition": {"StringEquals": {"aws:RequestedRegion": region}}}]}), found)
          for region, found in (("us-east-1", OPEN), ("eu-west-1", UNREACHABLE))),
        *((BY_NAT | {"Zone": resource("AWS::Route53::HostedZone",
            Name=f"{name}.amazonaws.com", VPCs=[VPC_ID])}, found) for name, found in (
                ("s3.us-east-1", UNKNOWN), ("logs.s3.us-east-1", UNKNOWN), ("s3.eu-west-1", OPEN))),
        (BY_NAT | CLOSED_GATEWAY, OPEN),
        (BY_GATEWAY | {"Own": resource("AWS::S3::Bucket"), "Another": session(
            s3BucketName=ref("Own"), s3EncryptionEnabled=True)}, UNKNOWN),
    ],
    "us-west-2": [(to_s3(**IN_VIRGINIA, **FOR_ALL), MISSING)],
}.items() for row in several])  # fmt: skip
def test_way_to_a_bucket(check: Check, there: str, changes: Parts, expected: str) -> None:
    log = session(s3BucketName="logs", s3EncryptionEnabled=True)
    here = with_endpoints(changes | {"Document": log, "Grants": policy(allow("s3:*"))})
    bucket = {"Resources": {"Bucket": resource("AWS::S3::Bucket", BucketName="logs")}}
    at = {"Here": "1/eu-west-1", "There": f"1/{there}"}

    report = check(Here=here, There=bucket, at=at)

    assert said(report) == expected
    advice = f"a bucket of the region of 'Vpc', or give the subnet a route to s3 in {there}, such"
    is_advised = any(advice in one.description for one in report.findings)
    assert is_advised is (expected == MISSING and there.startswith("us-"))


# Each part by itself -----------------------------------------------------------------------------

NETWORKS: Final[dict[str, Parts]] = {
    "behind a NAT gateway": templated(),
    "behind a public NAT gateway, where public access is not blocked": templated(
        {"Nat.ConnectivityType": "public", **blocking("off")}),
    "behind a regional NAT gateway": templated(Nat=REGIONAL),
    "without a way out": templated(PrivateRoute=None),
    "in a public subnet": templated(
        {"Instance.SubnetId": ref("Public"), "Public.MapPublicIpOnLaunch": True}),
    "behind a gateway with a route table": templated(edge(ref("Gateway"))),
    "behind a network ACL": templated(
        entries(Out=entry(Protocol=6, PortRange={"From": 443, "To": 443}))),
    "with endpoints": with_endpoints(),
    "with an endpoint in subnets by ids": with_endpoints(of_ssm(**FOREIGN)),
    "with all options of an endpoint, and a rule of its own": with_endpoints(by_rule(), **of_ssm(
        PolicyDocument={"Statement": [ALLOWS_ALL]}, ServiceRegion="eu-west-1",
        IpAddressType="dualstack", DnsOptions={"DnsRecordIpType": "ipv4"})),
    "with a hosted zone": with_endpoints(zoned(SSM)),
}  # fmt: skip


IDS: Final = {
    "VpcId": "vpc-1", "SubnetId": "subnet-1", "GroupId": "sg-1", "NetworkAclId": "acl-1",
    "RouteTableId": "rtb-1", "NatGatewayId": "nat-1", "GatewayId": "igw-1",
}  # fmt: skip
"""Ids of other apps, by the properties that may have them."""


def variants(name: str, one: Parts) -> Iterator[tuple[str, Parts]]:
    """Each change of one part of a network, and of one of its properties, with its name."""
    yield f"no {name}", {name: None}
    yield f"{name} on a condition", {name: on(one, ON)}
    yield f"{name} in a custom resource", {"Custom": custom(Of=ref(name))}
    for property_ in one["Properties"]:
        path = f"{name}.{property_}"
        yield f"no {path}", {path: None}
        yield f"{path} by parameter", {path: GIVEN}
        if property_ in IDS:
            yield f"{path} by id", {path: IDS[property_]}


def test_each_part_of_a_network(check: Check, snapshot: SnapshotAssertion) -> None:
    """One part is absent or not known. Parts that most networks have change in the plain ones."""
    page = []
    for network, body in NETWORKS.items():
        parts = body["Resources"]
        page.append(f"{network}: {said(check(Stack=body))}\n")
        for name in [one for one in parts if parts[one] != (ENDPOINTS | NETWORK).get(one)] or parts:
            for what, changes in variants(name, parts[name]):
                page.append(f"  {what}: {said(check(Stack=changed(parts, changes)))}\n")

    assert "".join(page) == snapshot(extension_class=Text)


def test_entries_that_a_loop_makes_are_not_known(check: Check) -> None:
    in_public = {"Ssm.SubnetIds": [ref("Public")], "Messages.SubnetIds": [ref("Public")]}
    body = with_endpoints(acl() | in_public)
    assert said(check(Stack=body)) == NO_WAY
    loop = ["Egress", ["true", "false"], {"Entry${Egress}": entry(1, egress=ref("Egress"))}]
    body["Resources"]["Fn::ForEach::Entries"] = loop
    assert said(check(Stack=body)) == UNKNOWN


@pytest.mark.parametrize("name", POLICIES_OF_ALL)
def test_policy_of_an_endpoint_in_an_account_that_is_not_known(check: Check, name: str) -> None:
    assert said(check(with_endpoints(of_ssm(PolicyDocument=POLICIES_OF_ALL[name])))) == OPEN


# A second stack that refers to things by their ids, as `Vpc.from_lookup` gives them


def both(**changes: object) -> Parts:
    """Both endpoints in a VPC by id."""
    given = {"VpcId": "vpc-1", **FOREIGN, **changes}
    return {"Ssm": endpoint("ssm", **given), "Messages": endpoint("ssmmessages", **given)}


def both_admitting(block: str) -> Parts:
    admits_ = group({"IpProtocol": "-1", "CidrIp": block}, VpcId="vpc-1")
    return both(SecurityGroupIds=[ref("Admits")]) | {"Admits": admits_}


ALONE: Final = templated(PrivateRoute=None)
SHUT: Final = with_endpoints(SELF)
OFF_BOTH: Final = with_endpoints({f"{of}.PrivateDnsEnabled": False for of in ("Ssm", "Messages")})
NOTHING_OUT: Final = templated(Group=group(egress=[NOWHERE]))
SHUT_BY_ACL: Final = templated(acl())


def of_group(kind: str, **more: object) -> Parts:
    rule = {"GroupId": "sg-1", **https(CidrIp=ANYWHERE), **more}
    return {"Rule": part(f"SecurityGroup{kind}", **rule)}


def by_id(**more: object) -> Parts:
    return {"Route": route("rtb-1", **{"TransitGatewayId": "tgw-1", **more})}


TABLE: Final = {"Uses": association("subnet-1", "rtb-1")}
OF_SUBNET: Final = part("SubnetNetworkAclAssociation", SubnetId="subnet-1", NetworkAclId="acl-1")
ACL: Final = {"Uses": OF_SUBNET}
SERVERS: Final = part("VPCDHCPOptionsAssociation", VpcId="vpc-1", DhcpOptionsId="dopt-1")
INSTANCE: Final = {"Other": compute(SubnetId="subnet-1")}

BY_ID: Final[list[tuple[str, Parts, Parts, str]]] = [
    ("endpoints", ALONE, both(), UNKNOWN),
    ("endpoints beside NAT", templated(), both(), OPEN),
    ("endpoints, one of them", ALONE, {"Ssm": both()["Ssm"]}, MISSING),
    ("endpoints without private DNS", ALONE, both(PrivateDnsEnabled=False), NO_WAY),
    ("other endpoints", ALONE, {"Ec2": endpoint("ec2messages", VpcId="vpc-1", **FOREIGN)}, NO_WAY),
    ("endpoints beside shut ones, of which a VPC takes no second", SHUT, both(), UNREACHABLE),
    ("endpoints beside ones without private DNS", OFF_BOTH, both(), UNKNOWN),
    ("endpoints without DNS host names", templated(PrivateRoute=None, Vpc=OTHER), both(), NO_WAY),
    ("endpoints whose group admits another range", ALONE, both_admitting("10.9.0.0/16"), NO_WAY),
    ("endpoints whose group admits the range", ALONE, both_admitting(BLOCK), UNKNOWN),
    ("endpoints, and nothing let out", NOTHING_OUT, both(), CLOSED),
    ("compute alone", ALONE, INSTANCE, NO_WAY),
    ("route to a NAT gateway", ALONE, by_id(NatGatewayId="nat-1", TransitGatewayId=None), UNKNOWN),
    ("route to a transit gateway", ALONE, by_id(DestinationCidrBlock="10.8.0.0/16"), UNKNOWN),
    ("route back to the VPC itself", ALONE, by_id(DestinationCidrBlock=BLOCK), NO_WAY),
    ("route into a part of the VPC", ALONE, by_id(DestinationCidrBlock="10.0.1.0/24"), NO_WAY),
    ("route, and nothing let out", NOTHING_OUT, by_id(), CLOSED),
    ("propagated routes", ALONE, {"Vpn": part("VPNGatewayRoutePropagation",
                                              RouteTableIds=["rtb-1"])}, UNKNOWN),
    ("association", templated(PrivateAssociation=None), TABLE, UNKNOWN),
    ("association, of which a subnet takes no second", ALONE, TABLE, NO_WAY),
    ("rule that admits HTTPS", SHUT, of_group("Ingress"), UNKNOWN),
    ("rule for another port", SHUT, of_group("Ingress", FromPort=5432, ToPort=5432), UNREACHABLE),
    ("rule that admits, beside NAT", templated(), of_group("Ingress"), OPEN),
    ("rule that admits, and nothing let out", NOTHING_OUT, of_group("Ingress"), CLOSED),
    ("rule that lets HTTPS out", NOTHING_OUT, of_group("Egress"), UNKNOWN),
    ("rule that lets HTTP out", NOTHING_OUT, of_group("Egress", FromPort=80, ToPort=80), CLOSED),
    ("rule that lets HTTPS out, and no rule that admits", SHUT, of_group("Egress"), UNREACHABLE),
    ("attachment", templated(Attachment=None),
     {"Attachment": attachment(VpcId="vpc-1", InternetGatewayId="igw-1")}, UNKNOWN),
    ("entry of a network ACL", SHUT_BY_ACL, {"Entry": entry(1, NetworkAclId="acl-1")}, UNKNOWN),
    ("network ACL of a subnet", SHUT_BY_ACL, ACL, UNKNOWN),
    ("network ACL of a subnet that has the default one", templated(), ACL, OPEN),
    ("DNS servers", OFF_BOTH, {"Servers": SERVERS}, UNKNOWN),
    ("rules of a DNS resolver", with_endpoints(),
     {"Rules": resource("AWS::Route53Resolver::ResolverRuleAssociation", VPCId="vpc-1")}, OPEN),
    ("custom resource", ALONE, {"Custom": custom(Table="rtb-0a1b2c3d")}, UNKNOWN),
    ("custom resource with something else", ALONE, {"Custom": custom(Name="subnet")}, NO_WAY),
    ("custom resource beside an id", ALONE, {"Custom": custom(Name="subnet"), **INSTANCE}, NO_WAY),
    ("unread stack", ALONE, {"Stack": resource(STACK, Parameters={"Of": "vpc-0a1b2c3d"})}, UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("body", "other", "expected"), rows(BY_ID))
def test_ids_that_another_stack_has(check: Check, body: Parts, other: Parts, expected: str) -> None:
    """The other stack may refer to the network of the first, or to that of another app."""
    assert said(check(Here=body, There={"Resources": other}), "Here") == expected


@pytest.mark.parametrize(("here", "there", "expected"), [
    ("111122223333/eu-west-1", "111122223333/eu-west-1", UNKNOWN),
    ("111122223333/eu-west-1", "111122223333/us-east-1", NO_WAY),
    ("111122223333/eu-west-1", "444455556666/eu-west-1", NO_WAY),
    ("111122223333/eu-west-1", "unknown-account/unknown-region", UNKNOWN),
    ("unknown-account/unknown-region", "111122223333/eu-west-1", UNKNOWN),
    ("111122223333/unknown-region", "unknown-account/us-east-1", UNKNOWN),
    ("111122223333/unknown-region", "444455556666/us-east-1", NO_WAY),
])  # fmt: skip
def test_what_is_added_from_elsewhere(check: Check, here: str, there: str, expected: str) -> None:
    """Endpoints in a VPC by id, in one by parameter, and those that a loop makes."""
    for parts, decides in (
        (both(), "whether this app makes the VPC 'vpc-1'"),
        (both(VpcId=GIVEN), "the parameter 'Given'"),
        (LOOP, "what 'Fn::ForEach::Endpoints' makes"),
    ):
        where = {"Here": here, "There": there}
        report = check(Here=ALONE, There={"Resources": parts}, at=where)
        assert said(report, "Here") == expected
        assert (f"depends on {decides}" in str(report.findings)) is (expected == UNKNOWN)


# Several templates


def split(body: Parts, **given: object) -> tuple[Parts, Parts]:
    """A template without its instance, which a nested one has; it is given what it may refer to."""
    parts = body["Resources"]
    its: Parts = {name: ref(name) for name in ("Private", "PrivateTable", "Profile")}
    its["Group"] = att("Group", "GroupId")
    here = {name: one for name, one in parts.items() if name != "Instance"}
    its |= {"Address": att("Eip", "AllocationId")} if "Eip" in parts else {}
    here["Nested"] = on(nested("nested", Parameters=its), str(given.get("condition", "")))
    instance_ = on(compute(SecurityGroupIds=[ref("Group")]), str(given.get("of_instance", "")))
    nat = part("NatGateway", AllocationId=given.get("address", "eipalloc-1"))
    return {"Resources": here}, {"Resources": {"Instance": instance_, "Other": nat}}


FREE: Final = templated(PrivateRoute=route(GatewayId=ref("Gateway")), Eip=part("EIP"))
NAT_ON: Final = templated(PrivateRoute=route(ref("PrivateTable"), ON, **TO_NAT))


@pytest.mark.parametrize(("bodies", "expected"), [
    (split(templated()), OPEN),
    (split(templated(Nat=None)), UNKNOWN),
    (split(templated(PrivateRoute=None, Calls=policy(allow("ec2:CreateRoute")))), NO_WAY),
    (split(FREE), UNKNOWN),
    (split(FREE, address=ref("Address")), NO_WAY),
    (split(NAT_ON), UNKNOWN),
    (split(NAT_ON, condition=ON), OPEN),
    (split(NAT_ON, of_instance=ON), UNKNOWN),  # the conditions of two templates are two
])  # fmt: skip
def test_instance_of_nested_stack(check: Check, bodies: tuple[Parts, Parts], expected: str) -> None:
    here, there = bodies
    assert said(check(Stack=here, nested=there)) == expected


def test_instance_of_another_stack(check: Check) -> None:
    names = ("Private", "Group", "Profile")
    exports = {name: {"Value": ref(name), "Export": {"Name": name}} for name in names}
    imported = {name: {"Fn::ImportValue": name} for name in exports}
    given = {"SubnetId": imported["Private"], "SecurityGroupIds": [imported["Group"]]}
    given["IamInstanceProfile"] = imported["Profile"]
    here = templated(Instance=None) | {"Outputs": exports}
    there = {"Resources": {"Instance": part("Instance", **given)}}
    assert said(check(Here=here, There=there)) == OPEN
    del exports["Private"]
    (finding,) = check(Here=here, There=there).findings
    assert finding.description.endswith("depends on the import 'Private'")


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1"])
@pytest.mark.parametrize(("here", "there", "elsewhere"), [
    (templated(PrivateRoute=None), {"Resources": {}, "Transform": "Own"}, NO_WAY),
    (templated(PrivateRoute=route(GatewayId=ref("Gateway"))), {"Resources": {"Eip": part("EIP")}},
     NO_WAY),
    (templated(PrivateRoute=None, Code=resource("AWS::Lambda::Function", Of=ref("PrivateTable"))),
     {"Resources": {"Calls": policy(allow("ec2:CreateRoute"))}}, UNKNOWN),  # IAM has no regions
])  # fmt: skip
def test_what_another_stack_may_add(
    check: Check, here: Parts, there: Parts, elsewhere: str, region: str
) -> None:
    at = {"Stack": "1/eu-west-1", "Other": f"1/{region}"}

    report = check(Stack=here, Other=there, at=at)

    assert said(report) == (UNKNOWN if region == "eu-west-1" else elsewhere)


TABLES: Final = {"Fn::Join": [",", [ref("PublicTable"), ref("PrivateTable")]]}


@pytest.mark.parametrize(("value", "expected"), [
    (ref("PrivateTable"), "the custom resource 'Custom'"),
    (TABLES, "the custom resource 'Custom'"),
    (ref("PublicTable"), NO_WAY),
])  # fmt: skip
def test_another_stack_may_add_a_route(check: Check, value: object, expected: str) -> None:
    exported = {"Table": {"Value": value, "Export": {"Name": "Table"}}}
    given = {"Table": [{"Fn::Join": ["", [{"Fn::ImportValue": "Table"}]]}]}
    there = {"Resources": {"Custom": custom(**given)}}
    (finding,) = check(Here=ALONE | {"Outputs": exported}, There=there).findings
    assert expected in (finding.rule, finding.description.partition(" depends on ")[2])
