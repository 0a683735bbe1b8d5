"""The networks around a node, as EC2 describes them: rows of the table of causes."""

import json
from typing import Any, Final

from . import causes, nodes
from .causes import Cause, Change, cause, having, instance, named, never, refusing, used, using
from .nodes import ACCOUNT, OTHER_ACCOUNT, World, acl, both, default_route, endpoint, group, table

MAIN: Final = [{"Main": True}]
PUBLIC: Final = table(
    "rtb-public", default_route(GatewayId="igw-1"), Associations=[{"SubnetId": "subnet-public"}]
)


def routes(*found: dict[str, Any], **parts: object) -> Change:
    """Give the main route table these routes."""
    main = table("rtb-main", *found, Associations=MAIN, **parts)
    return having("ec2:describe_route_tables", {"RouteTables": [main, PUBLIC]})


def replaced(*tables: int, block: str = "10.0.0.0/16") -> Change:
    """Replace the local routes of some route tables by routes to an appliance."""

    def change(world: World) -> None:
        for number in tables:
            found = world.answers["ec2:describe_route_tables"]["RouteTables"][number]
            found["Routes"][0] = APPLIANCE | {"DestinationCidrBlock": block}

    return change


def edge(*found: dict[str, Any], gateway: str = "igw-1") -> Change:
    """Give a gateway a route table with these routes."""
    return with_table(table("rtb-edge", *found, Associations=[{"GatewayId": gateway}]))


def with_table(made: dict[str, Any]) -> Change:
    """Add a route table."""
    return lambda w: w.answers["ec2:describe_route_tables"]["RouteTables"].append(made)


def endpoints(*found: dict[str, Any]) -> Change:
    return having("ec2:describe_vpc_endpoints", {"VpcEndpoints": [*found]})


def groups(*found: dict[str, Any]) -> Change:
    return having("ec2:describe_security_groups", {"SecurityGroups": [*found]})


def closed(*found: dict[str, Any]) -> Change:
    """Leave no path but these endpoints, whose group allows inbound traffic from the instance."""
    return both(NO_ROUTE, endpoints(*found), groups(group("sg-web"), OPEN))


def behind_policy(text: str) -> Change:
    """Add an endpoint of ssm with this policy."""
    made = endpoint("ssm", PolicyDocument=text)
    return both(endpoints(made), groups(group("sg-web"), OPEN))


def admitted_by(found: dict[str, Any]) -> Change:
    """Add an endpoint of ssm with this group. The instance's own group allows itself inbound."""
    own = group("sg-web", IpPermissions=[{"IpProtocol": "-1", **FROM_WEB, **ALL_IPV6}])
    return both(endpoints(endpoint("ssm")), groups(own, found))


def acls(*entries: dict[str, Any], of_nat: dict[str, Any] | None = None) -> Change:
    """Give the private subnet a network ACL with these entries before the default ones."""
    own, public = ({"Associations": [{"SubnetId": f"subnet-{x}"}]} for x in ("private", "public"))
    of_public = acl("acl-public", *filter(None, [of_nat]))
    found = [acl("acl-1", *entries) | own, of_public | public]
    return having("ec2:describe_network_acls", {"NetworkAcls": found})


def nat(**parts: object) -> Change:
    return lambda w: w.answers["ec2:describe_nat_gateways"]["NatGateways"][0].update(parts)


def subnets(**parts: object) -> Change:
    """Change the subnet of the instance."""
    return lambda w: w.answers["ec2:describe_subnets"]["Subnets"][0].update(parts)


def attribute(name: str) -> Change:
    """Turn off an attribute of the VPC."""

    def change(world: World) -> None:
        (value,) = world.answers["ec2:describe_vpc_attribute"][name].values()
        value["Value"] = False

    return change


def dns(*servers: list[str]) -> Change:
    """Add DHCP options with these DNS servers. The VPC uses the first options."""
    options = [nodes.dhcp_options(f"dopt-{number}", *of) for number, of in enumerate(servers, 1)]
    return having("ec2:describe_dhcp_options", {"DhcpOptions": options})


def vpc(**parts: object) -> Change:
    """Change the VPC."""
    return lambda w: w.answers["ec2:describe_vpcs"]["Vpcs"][0].update(parts)


def blocked(mode: str) -> Change:
    """Turn on VPC Block Public Access for the subnet of the NAT gateway."""
    states = {"BlockPublicAccessStates": {"InternetGatewayBlockMode": mode}}
    return lambda w: w.answers["ec2:describe_subnets"]["Subnets"][1].update(states)


def entry(number: int, *, egress: bool, **parts: object) -> dict[str, Any]:
    denied = {"RuleNumber": number, "Egress": egress, "RuleAction": "deny", "Protocol": "6"}
    return denied | {"CidrBlock": "0.0.0.0/0", "PortRange": {"From": 0, "To": 65535}} | parts


ALL_IPV6: Final = {"Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
ONLY_IPV6 = group("sg-web", IpPermissionsEgress=[{"IpProtocol": "-1", **ALL_IPV6}])


def admitting(peer: dict[str, Any], **ports: object) -> dict[str, Any]:
    """The group of the endpoints, with one rule."""
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443} | peer | ports
    return group("sg-endpoints", IpPermissions=[rule], IpPermissionsEgress=[])


def of_address(address: str) -> dict[str, Any]:
    """The group of the endpoints, which allows inbound traffic from this address."""
    return admitting({"IpRanges": [{"CidrIp": f"{address}/32"}]})


FROM_WEB: Final = {"UserIdGroupPairs": [{"GroupId": "sg-web"}]}
OPEN: Final = admitting(FROM_WEB)
MESSAGES: Final = endpoint("ssmmessages")
BOTH_ENDPOINTS: Final = (endpoint("ssm"), MESSAGES)
NO_ROUTE: Final = routes()
S3_GATEWAY: Final = endpoint(
    "s3", VpcEndpointType="Gateway", RouteTableIds=["rtb-main"], PrivateDnsEnabled=False, Groups=[]
)

BLOCKED: Final = {"InternetGatewayBlockMode": "block-bidirectional"}
ALLOW: Final = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


def in_region(region: str) -> dict[str, object]:
    return {"StringEquals": {"aws:RequestedRegion": region}}


def policy(**parts: object) -> str:
    return json.dumps({"Statement": [ALLOW | parts]})


def dns_rules(*found: tuple[str, str], listed: bool = True) -> Change:
    """Add rules of Route 53 Resolver with these types and domains, and one of another VPC."""
    ids = ["rslvr-autodefined-rr-internet-resolver", *(f"rslvr-{domain}" for _, domain in found)]
    rules = [{"Id": f"rslvr-{of}", "RuleType": kind, "DomainName": of} for kind, of in found]
    of_other = {"Id": "rslvr-other", "RuleType": "FORWARD", "DomainName": "."}
    used = [{"ResolverRuleId": one} for one in ids]
    return both(
        having(
            "route53resolver:list_resolver_rule_associations", {"ResolverRuleAssociations": used}
        ),
        having(RULES, {"ResolverRules": [of_other, *(rules if listed else [])]}),
    )


RULES: Final = "route53resolver:list_resolver_rules"
ROOT_DOMAIN: Final = ("FORWARD", ".")
SSM_ZONE: Final = f"ssm.{nodes.REGION}.amazonaws.com."


def zones(*found: dict[str, Any]) -> Change:
    """Add private hosted zones."""
    return having("route53:list_hosted_zones_by_vpc", {"HostedZoneSummaries": [*found]})


CHANNELS: Final = "path-ssm path-ssmmessages"
UNKNOWN: Final = causes.perhaps(CHANNELS)


def path(told: str, *does: Change) -> Cause:
    """A network around a node that never registered. `agent` is unknown if no check fails."""
    return never(told or "agent?", *does)


TO_INTERNET: Final = routes(default_route(GatewayId="igw-1"))
ADDRESS: Final = instance(PublicIpAddress="192.0.2.1")
FIRST: Final = {"Attachment": {"DeviceIndex": 0}}
CARD: Final = FIRST | {"Association": {"PublicIp": "192.0.2.1"}}
CARDS: Final = [
    {"Attachment": {"DeviceIndex": 0, "NetworkCardIndex": card}, "Groups": [{"GroupId": name}]}
    for card, name in ((1, "sg-cluster"), (0, "sg-web"))
]
IPV6_SUBNET: Final = subnets(Ipv6CidrBlockAssociationSet=[{}])
OF_VPC: Final = admitting({"IpRanges": [{"CidrIp": "10.0.0.0/16"}]})
HERE: Final = instance(PrivateIpAddress="10.0.0.5")
RANGES: Final = [
    {"CidrBlock": block, "CidrBlockState": {"State": state}}
    for block, state in (("100.64.0.0/16", "associated"), ("100.65.0.0/16", "disassociated"))
]
HALVES: Final = [
    {"DestinationCidrBlock": block, "GatewayId": "igw-1", "State": "active"}
    for block in ("0.0.0.0/1", "128.0.0.0/1")
]
OTHER_SUBNET: Final = {
    "SubnetId": "subnet-other",
    "CidrBlock": "10.0.2.0/24",
    "BlockPublicAccessStates": BLOCKED,
}
TO_IPV6: Final = {"DestinationIpv6CidrBlock": "::/0", "EgressOnlyInternetGatewayId": "eigw-1"}
APPLIANCE: Final = {"DestinationCidrBlock": "10.0.1.0/24", "NetworkInterfaceId": "eni-1"}
POD: Final = {"SubnetId": "subnet-private", "Groups": [{"GroupId": "sg-web"}]}
TWO: Final = [FIRST, {}]
OF_OTHERS: Final = table("rtb-main", Associations=MAIN, OwnerId=OTHER_ACCOUNT)
LATTICE: Final = {"VpcEndpointId": "vpce-r", "VpcEndpointType": "Resource", "State": "Available"}
BY_NAT: Final = default_route(NatGatewayId="nat-1")
TO_LATTICE: Final = {"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-r", "State": "active"}
OF_LATTICE: Final = TO_LATTICE | {"GatewayId": "VpcLattice"}
PROPAGATED: Final = {"GatewayId": "vgw-1", "Origin": "EnableVgwRoutePropagation"}
DROPPED: Final = {"State": "blackhole", "GatewayId": "igw-2"}
WITHIN_BY_IPV6: Final = {"DestinationIpv6CidrBlock": "2600:1f18::/56", "GatewayId": "local"}
TO_DYNAMODB: Final = {"DestinationPrefixListId": "pl-2", "GatewayId": "vpce-dynamodb"}
BY_DYNAMODB: Final = endpoints(
    endpoint("dynamodb", VpcEndpointType="Gateway", PrivateDnsEnabled=False, Groups=[])
)
NO_NAMES: Final = endpoint("ssm", PrivateDnsEnabled=False)
BY_ARN: Final = "aws:PrincipalArn"
NOT_OURS: Final = {"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}}
OUTSIDERS: Final = ALLOW | {"Effect": "Deny", "Condition": NOT_OURS}
OF_ENDPOINTS: Final = {"OwningService": "vpce.amazonaws.com"}
OWN_DNS: Final = dns(["10.0.0.53"])
BY_VPC: Final = groups(group("sg-web", IpPermissionsEgress=OF_VPC["IpPermissions"]), OPEN)
"""Allows outbound traffic of the instance only to the VPC."""
SHUT: Final = groups(group("sg-web"), group("sg-endpoints"))
"""Allows no inbound traffic to the endpoints."""
UNNAMED: Final = [one | {"PrivateDnsEnabled": False} for one in BOTH_ENDPOINTS]
OF_TWO: Final = (["AmazonProvidedDNS"], ["10.0.0.53"])

ROUTES: Final = {
    "by a NAT gateway": path(""),
    "by an internet gateway": path("", TO_INTERNET, ADDRESS),
    "by the address of the interface": path("", TO_INTERNET, instance(NetworkInterfaces=[CARD])),
    "no public address": path(CHANNELS, TO_INTERNET),
    "no default route": path(CHANNELS, NO_ROUTE),
    **{f"no default route in {name}": path(CHANNELS, NO_ROUTE, subnets(**parts))
       for name, parts in (
           ("an Availability Zone", {"AvailabilityZone": f"{nodes.REGION}c"}),
           ("a Local Zone", {"AvailabilityZone": f"{nodes.REGION}-ham-1a"}),
           ("an Outpost", {"AvailabilityZone": f"{nodes.REGION}a", "OutpostArn": "arn:x"}),
       )},
    "no default route in a VPC of Local Zones": path(
        CHANNELS, NO_ROUTE, lambda w: [one.update(AvailabilityZone=f"{nodes.REGION}-ham-1a")
            for one in w.answers["ec2:describe_subnets"]["Subnets"]]),
    "a blackhole": path(CHANNELS, routes(BY_NAT | {"State": "blackhole"})),
    "a blackhole beside two halves": path(
        "", routes(BY_NAT | {"State": "blackhole"}, *HALVES), ADDRESS),
    "a NAT gateway beside two halves that are blackholes": path(
        CHANNELS, routes(BY_NAT, *(one | {"State": "blackhole"} for one in HALVES))),
    **{f"a blackhole for {name}": path(told, routes(BY_NAT, DROPPED | {
           "DestinationCidrBlock": block}))
       for name, told, block in (
           ("some addresses", UNKNOWN, "52.0.0.0/8"), ("private addresses", "", "10.1.0.0/16"),
           ("one address", "", "52.94.7.1/32"), ("examples", "", "203.0.113.0/24"))},
    "one address alone": path(UNKNOWN, routes(BY_NAT | {"DestinationCidrBlock": "52.94.7.1/32"})),
    **{f"a propagated route for {name}": path(
           told, vpc(CidrBlockAssociationSet=RANGES), closed(*found),
           routes(*others, PROPAGATED | {"DestinationCidrBlock": block}))
       for name, told, block, others, found in (
           ("all, beside a NAT gateway", "", "0.0.0.0/0", [BY_NAT], []),
           ("some addresses, beside a NAT gateway", UNKNOWN, "52.0.0.0/8", [BY_NAT], []),
           ("a part of the VPC, beside endpoints", "", "10.0.0.0/24", [], BOTH_ENDPOINTS),
           ("an earlier range alone", UNKNOWN, "100.65.0.0/16", [], []),
       )},
    "the prefix list of another service": path("", BY_DYNAMODB, routes(BY_NAT, TO_DYNAMODB)),
    "the prefix list of another service alone": path(CHANNELS, BY_DYNAMODB, routes(TO_DYNAMODB)),
    "IPv6 within the VPC alone": path(CHANNELS, routes(WITHIN_BY_IPV6), IPV6_SUBNET),
    "a route in two halves": path("", routes(*HALVES), ADDRESS),
    "a NAT gateway that failed": path(CHANNELS, nat(State="failed")),
    "a NAT gateway that failed, before a transit gateway": path(
        CHANNELS, nat(State="failed"), lambda w: w.answers["ec2:describe_route_tables"][
            "RouteTables"][1].update(Routes=[default_route(TransitGatewayId="tgw-1")])),
    **{f"a NAT gateway that is {state}": path(UNKNOWN, nat(State=state))
       for state in ("pending", "moving")},
    "a private NAT gateway": path(CHANNELS, nat(ConnectivityType="private")),
    "a NAT gateway of a new kind": path(UNKNOWN, nat(ConnectivityType="new")),
    "a NAT gateway with appliances": path(UNKNOWN, nat(AttachedAppliances=[{}])),
    "a route that is filtered": path(UNKNOWN, routes(BY_NAT | {"State": "filtered"})),
    **{f"a regional NAT gateway whose table has {name}": path(
           told, nat(AvailabilityMode="regional", RouteTableId="rtb-edge"),
           edge(found, gateway="nat-1"))
       for name, told, found in (
           ("a way out", "", default_route(GatewayId="igw-1")),
           ("an appliance", UNKNOWN, default_route(NetworkInterfaceId="eni-1")),
       )},
    "a regional NAT gateway": path("", nat(AvailabilityMode="regional")),
    **{f"a regional NAT gateway in the zone {zone}": path(
           told, nat(AvailabilityMode="regional", AutoProvisionZones="disabled",
                     NatGatewayAddresses=[{"AvailabilityZoneId": zone}]),
           subnets(AvailabilityZone=f"{nodes.REGION}a", AvailabilityZoneId="euw1-az1"))
       for zone, told in (("euw1-az1", ""), ("euw1-az2", UNKNOWN))},
    "VPC Lattice beside a NAT gateway": path("", routes(BY_NAT, OF_LATTICE)),
    "VPC Lattice alone": path(CHANNELS, routes(OF_LATTICE)),
    "a NAT gateway without a way out": path(CHANNELS, nat(SubnetId="subnet-private")),
    **{f"by {target}": path(UNKNOWN, routes(default_route(**{field: target})))
       for target, field in {
           "tgw-1": "TransitGatewayId", "pcx-1": "VpcPeeringConnectionId",
           "eni-1": "NetworkInterfaceId", "vgw-1": "GatewayId", "vpce-firewall": "GatewayId",
           "arn:aws:odb:us-east-1:111122223333:odb-network/odbnet-1": "OdbNetworkArn"}.items()},
    **{f"an internet gateway whose table has {name}": path(told, edge(*found))
       for name, told, found in (
           ("local routes alone", "", []),
           ("an appliance before the subnet of the NAT gateway", UNKNOWN, [APPLIANCE]),
           ("one before another", "", [APPLIANCE | {"DestinationCidrBlock": "10.0.7.0/24"}]),
           ("one for IPv6", "", [TO_IPV6]),
       )},
    **{f"an appliance in place of the local routes of {name}": path(told, replaced(*tables))
       for name, told, tables in (
           ("both tables", UNKNOWN, (0, 1)),
           ("the instance, whose default route is to the NAT gateway itself", "", (0,)),
           ("the NAT gateway", UNKNOWN, (1,)),
       )},
    "an appliance in place of the local route of another range": path(
        UNKNOWN, subnets(CidrBlock="100.64.0.0/24"), vpc(CidrBlockAssociationSet=RANGES),
        replaced(1, block="100.64.0.0/16")),
    **{f"a firewall of the internet gateway {name}": path(
           UNKNOWN, vpc(NetworkFirewallAssociations=[{"FirewallMode": "enforce"}]), *does)
       for name, does in (("behind a NAT gateway", []), ("for no address", [TO_INTERNET]))},
    **{f"encryption control that is to {mode}, with an exclusion that is {state}": path(
           told, vpc(EncryptionControl={
               "Mode": mode, "ResourceExclusions": {"InternetGateway": {"State": state}}}))
       for mode, state, told in (("monitor", "disabled", ""), ("enforce", "enabled", ""),
           ("enforce", "enabling", UNKNOWN))},
    "public access blocked in another subnet": path(
        "", lambda w: w.answers["ec2:describe_subnets"]["Subnets"].append(OTHER_SUBNET)),
    "public access blocked for what comes in, behind a NAT": path("", blocked("block-ingress")),
    "public access blocked, behind a NAT": path(UNKNOWN, blocked("block-bidirectional")),
    "public access blocked": path(
        UNKNOWN, TO_INTERNET, ADDRESS, subnets(BlockPublicAccessStates=BLOCKED)),
    "IPv6 alone": path(UNKNOWN, routes(TO_IPV6), IPV6_SUBNET),
    "a subnet whose block is none": path(UNKNOWN, subnets(CidrBlock="10.0.0.0/x")),
    "a subnet without IPv4": path(
        UNKNOWN, lambda w: w.answers["ec2:describe_subnets"]["Subnets"][0].pop("CidrBlock")),
    "IPv6 alone, whose route is a blackhole": path(
        CHANNELS, routes(TO_IPV6 | {"State": "blackhole"}), IPV6_SUBNET),
    "another interface": path(UNKNOWN, NO_ROUTE, instance(NetworkInterfaces=TWO)),
    **{f"an interface in {name}": path(
           told, *does, instance(NetworkInterfaces=[POD | FIRST, other]))
       for name, told, other, does in (
           ("the same subnet and group", CHANNELS, POD, [NO_ROUTE]),
           ("another subnet", UNKNOWN, POD | {"SubnetId": "subnet-public"}, [NO_ROUTE]),
           ("another group", UNKNOWN, POD | {"Groups": [{"GroupId": "sg-pods"}]}, [NO_ROUTE]),
           ("no subnet", CHANNELS, {"InterfaceType": "efa-only"}, [NO_ROUTE]),
           ("the same, with a public address", UNKNOWN, POD | CARD, [TO_INTERNET]),
           ("the same, whose address an endpoint may let in", "path-ssm?", POD,
            [HERE, admitted_by(of_address("10.0.0.6"))]),
       )},
    "another network card": path("", instance(NetworkInterfaces=CARDS), groups(
        group("sg-web"), group("sg-cluster", IpPermissionsEgress=[]))),
    **{f"a route table whose association is {state}": path(told, with_table(table(
           "rtb-new",
           Associations=[{"SubnetId": "subnet-private", "AssociationState": {"State": state}}])))
       for state, told in (("associated", CHANNELS), ("failed", ""), ("disassociated", ""))},
    "a shared VPC": path(
        UNKNOWN, having("ec2:describe_route_tables", {"RouteTables": [OF_OTHERS]})),
    **{f"egress closed{name}": path(
           CHANNELS, endpoints(*found), groups(group("sg-web", IpPermissionsEgress=[]), OPEN))
       for name, found in (("", ()), (", and endpoints", BOTH_ENDPOINTS))},
    "egress of IPv6 alone": path(CHANNELS, groups(ONLY_IPV6)),
    "egress of IPv6 alone, in a subnet with IPv6": path(UNKNOWN, IPV6_SUBNET, groups(ONLY_IPV6)),
    "an ACL that denies": path(CHANNELS, acls(entry(1, egress=True))),
    "an ACL that denies all protocols, for which no ports count": path(CHANNELS, acls(
        entry(1, egress=True, Protocol="-1", PortRange={"From": 22, "To": 22}))),
    "an ACL that denies Remote Desktop alone": path(
        "", acls(entry(1, egress=False, PortRange={"From": 3389, "To": 3389}))),
    "an ACL that denies the subnet of the NAT gateway, to which no packet is addressed": path(
        "", acls(*(entry(1, egress=out, CidrBlock="10.0.1.0/24") for out in (True, False)))),
    "an ACL with an entry that neither allows nor denies": path(
        UNKNOWN, acls(entry(1, egress=True, RuleAction="new"))),
    "an ACL that denies something else": path(
        "",
        acls(entry(1, egress=True, PortRange={"From": 22, "To": 22}),
            entry(2, egress=True, Protocol="17"), entry(4, egress=True, CidrBlock="52.94.7.1/32"),
            {"RuleNumber": 3, "Egress": True, "RuleAction": "deny", "Protocol": "-1"})),
    **{f"the ACL of the NAT gateway denies {name}": path(
        told, HERE, acls(of_nat=entry(2, egress=False, CidrBlock=block))) for name, told, block in (
            ("the instance", CHANNELS, "10.0.0.5/32"), ("another", "", "10.0.0.6/32"))},
    "an ACL that denies one address, Remote Desktop, and all": path(
        CHANNELS, acls(entry(1, egress=True, CidrBlock="52.94.7.1/32"), entry(9, egress=True),
            entry(1, egress=False, PortRange={"From": 3389, "To": 3389}), entry(9, egress=False))),
    "an ACL that denies some": path(UNKNOWN, acls(entry(1, egress=True, CidrBlock="52.94.7.0/24"))),
    **{f"{state} in {subnet}, whose address comes with the start": path(
           f"instance-running {UNKNOWN}", TO_INTERNET,
           instance(State={"Name": state}, SubnetId=subnet))
       for state, subnet in (
           ("stopped", "subnet-public"),
           ("stopped", "subnet-private"),
           ("pending", "subnet-private"),
           ("stopping", "subnet-private"),
       )},
    "a route to an endpoint of a resource": path(
        UNKNOWN, endpoints(LATTICE), routes(TO_LATTICE, BY_NAT)),
}  # fmt: skip


def with_shared(shared: dict[str, Any], *of_vpc: dict[str, Any]) -> Change:
    """Add a group from outside of the VPC, which EC2 describes only if the call names it."""

    def described(asked: dict[str, Any], _: str) -> dict[str, Any]:
        by_id = asked["Filters"][0]["Name"] == "group-id"
        return {"SecurityGroups": [shared] if by_id else [*of_vpc]}

    return having("ec2:describe_security_groups", described)


ENDPOINTS: Final = {
    "endpoints": path("", closed(*BOTH_ENDPOINTS)),
    "one of two endpoints": path("path-ssmmessages", closed(endpoint("ssm"))),
    "a group that lets nobody in": path("path-ssm", admitted_by(group("sg-endpoints"))),
    "a group that lets the VPC in": path("", admitted_by(OF_VPC)),
    "a group that lets another network in": path(
        "path-ssm", HERE, admitted_by(admitting({"IpRanges": [{"CidrIp": "10.1.0.0/16"}]}))),
    "a group for HTTP": path("path-ssm", admitted_by(admitting(FROM_WEB, FromPort=80, ToPort=80))),
    "a group for IPv6": path("path-ssm", admitted_by(admitting(ALL_IPV6))),
    "a group that lets the instance in": path("", HERE, admitted_by(of_address("10.0.0.5"))),
    "a group that lets another in": path("path-ssm", HERE, admitted_by(of_address("10.0.0.6"))),
    "a group that lets one in, which is unknown": path(
        "path-ssm?", admitted_by(of_address("10.0.0.6"))),
    "a group for a prefix list": path(
        "path-ssm?", admitted_by(admitting({"PrefixListIds": [{"PrefixListId": "pl-of-ours"}]}))),
    "a group of another account": path("", with_shared(group("sg-web"))),
    **{f"a group of another VPC, of endpoints, that lets in {name}": path(
           told, closed(*BOTH_ENDPOINTS), with_shared(shared, group("sg-web")))
       for name, told, shared in (
           ("the instance", "", OPEN), ("one address", UNKNOWN, of_address("10.0.0.6")))},
    "no group": path("path-ssm?", endpoints(endpoint("ssm", Groups=[]))),
    "an instance whose groups are not described": path(
        CHANNELS, NO_ROUTE, instance(SecurityGroups=[], NetworkInterfaces=[]),
        endpoints(endpoint("ssm", PrivateDnsEnabled=False))),
    "an endpoint of IPv6": path("path-ssm?", endpoints(endpoint("ssm", IpAddressType="ipv6")),
                                groups(group("sg-web"), OPEN)),
    "an endpoint with names of IPv6": path("path-ssm?", endpoints(
        endpoint("ssm", DnsOptions={"DnsRecordIpType": "ipv6"})), groups(group("sg-web"), OPEN)),
    **{f"an endpoint that is {state}": path(told, closed(endpoint("ssm", State=state), MESSAGES))
       for state, told in (
           ("pending", "path-ssm?"), ("moving", "path-ssm?"), ("Failed", "path-ssm"))},
    "endpoints of others": path(
        "", endpoints(endpoint("ssm-fips"), endpoint("ssm", ServiceRegion="us-east-1"),
            endpoint("ssm", VpcEndpointType="GatewayLoadBalancer"), endpoint("ec2messages"))),
    "an endpoint of a new kind": path(UNKNOWN, endpoints(endpoint("ssm", VpcEndpointType="New"))),
    "an endpoint of a new kind and another service": path(
        "", endpoints(endpoint("ec2", VpcEndpointType="New"))),
    "a policy for all": path("", behind_policy(policy())),
    "a policy for the account": path("", behind_policy(policy(Principal={"AWS": ACCOUNT}))),
    **{f"a policy {name}": path(told, behind_policy(text))
       for name, told, text in (
           ("for the role", "", policy(Principal={"AWS": [nodes.ROLE]})),
           ("by the role", "", policy(Condition={"ArnLike": {BY_ARN: "arn:*:*::*:role/team/*"}})),
           ("for the region", "", policy(Condition=in_region(nodes.REGION))),
           *((f"for {key} {value}", told, policy(Condition={"StringEquals": {key: value}}))
             for key, value, told in (
               (causes.ORG, "o-own", ""), (causes.ORG, "o-other", "path-ssm"),
               (causes.VPC, "vpc-1", ""), (causes.VPC, "vpc-2", "path-ssm"),
               (f"{causes.VPC}e", "vpce-ssm", ""), (f"{causes.VPC}e", "vpce-2", "path-ssm"))),
           ("that denies outsiders", "", json.dumps({"Statement": [ALLOW, OUTSIDERS]})),
           ("for other resources", "path-ssm", policy(Resource="arn:aws:s3:::b")),
           ("for instances", "", policy(Resource=f"arn:aws:ec2:*:{ACCOUNT}:instance/*")),
       )},
    "a policy for the account's role": causes.under_account(
        "path-ssm? connected registered", causes.NEVER, causes.without_profile,
        behind_policy(policy(Principal={"AWS": nodes.ACCOUNT_ROLE}))),
    **{f"a policy for an organization, and the account is in {name}": path(
           told, behind_policy(policy(Condition={"StringEquals": {causes.ORG: "o-own"}})), does)
       for name, told, does in (
           ("none", "path-ssm", causes.NO_ORG), ("some", "path-ssm?", causes.NOT_TOLD))},
    "a policy for the organization, and the account's role, for which no role asks":
        causes.under_account("path-ssm? connected registered", causes.NEVER, causes.without_profile,
        behind_policy(policy(Condition={"StringEquals": {causes.ORG: "o-own"}}))),
    "a policy for S3": path("path-ssm", behind_policy(policy(Action="s3:*"))),
    "a policy that denies": path("path-ssm", behind_policy(policy(Effect="Deny"))),
    "a policy of no JSON": path(UNKNOWN, behind_policy("{")),
}  # fmt: skip

NAMES: Final = {
    "private DNS off": path("path-ssm", closed(NO_NAMES, MESSAGES)),
    "private DNS off, beside a NAT gateway": path("", endpoints(NO_NAMES)),
    "endpoints without names, and egress to the VPC": path(CHANNELS, endpoints(*UNNAMED), BY_VPC),
    "private DNS off, and zones that may not be listed": path(
        UNKNOWN, closed(NO_NAMES, MESSAGES), lambda w: w.refuses("route53:ListHostedZonesByVPC")),
    "a zone of a service": path("path-ssm?", zones({"Name": SSM_ZONE})),
    "a zone of all": path(UNKNOWN, zones({"Name": "amazonaws.com."})),
    "a zone of something else": path("", zones({"Name": "example.com."})),
    "a zone of an endpoint": path("", zones({"Name": SSM_ZONE, "Owner": OF_ENDPOINTS})),
    "a DNS firewall": path(UNKNOWN, having("route53resolver:list_firewall_rule_group_associations",
        {"FirewallRuleGroupAssociations": [{"Id": "rslvr-frgassoc-1"}]})),
    **{f"DNS rules {name}": path(told, dns_rules(*rules), *does)
       for name, told, rules, does in (
           ("of each VPC alone", "", [], []),
           ("for all", UNKNOWN, [ROOT_DOMAIN], []),
           ("for AWS", UNKNOWN, [("FORWARD", "amazonaws.com.")], []),
           ("for a service", "path-ssm?", [("FORWARD", SSM_ZONE)], []),
           ("for something else", "", [("FORWARD", "example.com.")], []),
           ("that delegate", "", [("DELEGATE", "")], []),
           ("for all but AWS", "", [ROOT_DOMAIN, ("SYSTEM", "amazonaws.com.")], []),
           ("for all, and endpoints", "", [ROOT_DOMAIN], [closed(*BOTH_ENDPOINTS)]),
           ("for a service that has an endpoint", "path-ssm?", [("FORWARD", SSM_ZONE)],
            [closed(*BOTH_ENDPOINTS)]),
           ("for a service whose endpoint has no name", "path-ssm?", [("FORWARD", SSM_ZONE)],
            [closed(NO_NAMES, MESSAGES)]),
           ("for all, and endpoints without host names", UNKNOWN, [ROOT_DOMAIN],
            [endpoints(*BOTH_ENDPOINTS), attribute("enableDnsHostnames")]),
           ("for all, and no route", CHANNELS, [ROOT_DOMAIN], [NO_ROUTE]),
       )},
    "DNS rules that are not listed": path(UNKNOWN, dns_rules(ROOT_DOMAIN, listed=False)),
    "DNS rules for all, and online": cause("connected", causes.ONLINE, dns_rules(ROOT_DOMAIN)),
    **{f"DNS rules, without {name}": path(
           UNKNOWN, dns_rules(("SYSTEM", ".")), refusing(f"route53resolver:{name}"))
       for name in ("ListResolverRuleAssociations", "ListResolverRules")},
    "own DNS beside a NAT gateway": path(UNKNOWN, dns(["10.0.0.53"])),
    "own DNS, and DNS rules that may not be listed": path(
        UNKNOWN, dns(["10.0.0.53"]), refusing("route53resolver:ListResolverRuleAssociations")),
    "own DNS": path(UNKNOWN, closed(*BOTH_ENDPOINTS), dns(["10.0.0.53"])),
    "Amazon's DNS in the VPC": path("", closed(*BOTH_ENDPOINTS), dns(["10.0.0.2"])),
    "own DNS of another VPC": path("", closed(*BOTH_ENDPOINTS), dns(*OF_TWO)),
    "no DHCP options": path(UNKNOWN, vpc(DhcpOptionsId="default")),
    "own DNS, and endpoints that let nobody in": path(
        UNKNOWN, endpoints(*BOTH_ENDPOINTS), SHUT, OWN_DNS),
    **{f"own DNS, no route, and {name}": path(CHANNELS, NO_ROUTE, OWN_DNS, *does)
       for name, does in (
           ("endpoints that let nobody in", [
               endpoints(*BOTH_ENDPOINTS), SHUT, zones({"Name": SSM_ZONE})]),
           ("endpoints without names that let nobody in", [endpoints(*UNNAMED), SHUT]),
           ("no endpoint", []),
       )},
    **{f"the VPC without {name}": path(CHANNELS, closed(*BOTH_ENDPOINTS), attribute(name))
       for name in ("enableDnsSupport", "enableDnsHostnames")},
}  # fmt: skip

DENIED: Final = {
    **{f"without Describe{name}": path(UNKNOWN, HERE, refusing(f"ec2:Describe{name}"))
       for name in (*("Subnets", "RouteTables", "NatGateways", "VpcEndpoints", "SecurityGroups"),
                    *("NetworkAcls", "VpcAttribute"))},
    **{f"endpoints, without {name}": path(UNKNOWN, closed(*BOTH_ENDPOINTS),
        dns(*OF_TWO), refusing(f"ec2:{name}")) for name in ("DescribeDhcpOptions", "DescribeVpcs")},
    **{f"no default route, without {' and '.join(calls)}": cause(
           told, causes.NEVER, NO_ROUTE, *map(refusing, calls))
       for told, *calls in (
           (f"connected? registered? agent? {UNKNOWN}", causes.RECORDS, causes.CONNECTIONS),
           (f"connected registered? agent? {CHANNELS}", causes.RECORDS),
           (f"connected? registered? {CHANNELS}", causes.CONNECTIONS))},
    "one endpoint, without GetConnectionStatus": cause("connected? path-ssmmessages?",
        causes.ONLINE, closed(endpoint("ssm")), refusing(causes.CONNECTIONS)),
    "no endpoint of what sessions use, without GetConnectionStatus": causes.used(
        "connected? path-kms path-logs path-s3", causes.ONLINE, closed(*BOTH_ENDPOINTS),
        refusing(causes.CONNECTIONS)),
    "no public address, without DescribeVpcs": path(
        UNKNOWN, TO_INTERNET, refusing("ec2:DescribeVpcs")),
    "stopped in a subnet that is not described": path(f"instance-running {UNKNOWN}",
        instance(State={"Name": "stopped"}), refusing("ec2:DescribeSubnets")),
}  # fmt: skip

S3_LIST: Final = {"DestinationPrefixListId": "pl-s3", "GatewayId": "vpce-s3", "State": "active"}
PLAIN_DNS: Final = {"PrivateDnsOnlyForInboundResolverEndpoint": False}
TO_S3: Final = [
    *admitting({"PrefixListIds": [{"PrefixListId": "pl-s3"}]})["IpPermissions"],
    {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/16"}]},
]
BY_LIST: Final = groups(group("sg-web", IpPermissionsEgress=TO_S3), OPEN)
BY_GATEWAY: Final = endpoints(S3_GATEWAY)
TO_NAT: Final = routes(S3_LIST, BY_NAT)
THERE: Final = "us-west-2"
OF_REGION: Final = endpoints(endpoint("s3", ServiceRegion=THERE, DnsOptions=PLAIN_DNS))


def interface(**options: bool) -> Change:
    return endpoints(endpoint("s3", DnsOptions=options))


def beside_others(world: World) -> None:
    found = world.answers["ec2:describe_vpc_endpoints"]["VpcEndpoints"]
    endpoints(*BOTH_ENDPOINTS, *found)(world)


def logged(told: str, *does: Change) -> Cause:
    """A node that is connected through endpoints, and logs in S3."""
    return cause(
        told,
        using(kmsKeyId="", cloudWatchLogGroupName=""),
        *(routes(S3_LIST), groups(group("sg-web"), OPEN), *does, beside_others),
    )


CONNECTED: Final = {
    "egress to S3 alone, which nothing needs": path(
        CHANNELS, TO_NAT, BY_GATEWAY, groups(group("sg-web", IpPermissionsEgress=TO_S3[:1]))),
    "connected, without a route": used("path-kms? path-logs? path-s3?", NO_ROUTE),
    "connected, and the endpoint of the key shut": used(
        "path-kms", endpoints(endpoint("kms")), SHUT),
    "online, and the endpoint of the channels shut": cause(
        "connected path-ssmmessages", World.is_online_only, endpoints(MESSAGES), SHUT),
    **{f"connected, and the endpoint of {service} shut, {enforced=}": cause(
           f"path-{service}",
           using(s3EncryptionEnabled=enforced, cloudWatchEncryptionEnabled=enforced),
           endpoints(endpoint(service, DnsOptions=PLAIN_DNS)), SHUT)
       for enforced in (True, False)
       for service in ("s3", "logs")},
    **{f"to S3 {name}": logged(told, *does)
       for name, told, does in (
           ("by a gateway", "", [BY_GATEWAY]),
           ("by none", "path-s3", [NO_ROUTE]),
           ("by a list of a gateway that is not seen", "path-s3?", []),
           ("by its prefix list", "", [BY_GATEWAY, BY_LIST]),
           ("by a gateway of another table", "path-s3",
            [endpoints(S3_GATEWAY | {"RouteTableIds": ["rtb-public"]})]),
           ("by an interface", "", [interface(**PLAIN_DNS)]),
           ("by an interface for resolvers", "path-s3",
            [interface(**dict.fromkeys(PLAIN_DNS, True))]),
           ("by an interface, perhaps", "path-s3?", [interface()]),
       )},
    **{f"to S3 of another region {name}": logged(
           told, causes.setting(bucket_region=THERE), BY_GATEWAY, *does)
       for name, told, does in (
           ("by a gateway", "path-s3", []),
           ("by NAT", "", [TO_NAT]),
           ("by its list", "path-s3", [TO_NAT, BY_LIST]),
           ("by an endpoint of that region", "", [OF_REGION]),
       )},
    **{f"to S3 of some region {name}": logged(
           f"{told} bucket-encryption? log-to-s3?",
           *(refusing("s3:GetBucketEncryption"), BY_GATEWAY, *does))
       for name, told, does in (
           ("by a gateway", "path-s3?", []),
           ("by a gateway or NAT", "", [TO_NAT]),
           ("by its list", "path-s3?", [TO_NAT, BY_LIST]),
           ("by an endpoint of another region", "path-s3?", [OF_REGION]),
       )},
}  # fmt: skip

NETWORKS: Final = named(ROUTES, ENDPOINTS, NAMES, DENIED, CONNECTED)
