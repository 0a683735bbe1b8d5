"""The networks around a node, as EC2 describes them: rows of the table of causes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from .causes import having, instance, never, refusing
from .nodes import (
    ACCOUNT,
    OTHER_ACCOUNT,
    REGION,
    ROLE,
    ROOT,
    World,
    acl,
    both,
    default_route,
    dhcp_options,
    endpoint,
    group,
    table,
)

if TYPE_CHECKING:
    from .causes import Cause, Change

MAIN: Final = [{"Main": True}]
PUBLIC: Final = table(
    "rtb-public", default_route(GatewayId="igw-1"), Associations=[{"SubnetId": "subnet-public"}]
)


def routes(*found: dict[str, Any], **parts: object) -> Change:
    """Have the main table with these routes."""
    main = table("rtb-main", *found, Associations=MAIN, **parts)
    return having("ec2:describe_route_tables", {"RouteTables": [main, PUBLIC]})


def edge(*found: dict[str, Any]) -> Change:
    """Have a route table of the internet gateway with these routes."""
    made = table("rtb-edge", *found, Associations=[{"GatewayId": "igw-1"}])
    return lambda w: w.answers["ec2:describe_route_tables"]["RouteTables"].append(made)


def endpoints(*found: dict[str, Any]) -> Change:
    return having("ec2:describe_vpc_endpoints", {"VpcEndpoints": [*found]})


def groups(*found: dict[str, Any]) -> Change:
    return having("ec2:describe_security_groups", {"SecurityGroups": [*found]})


def closed(*found: dict[str, Any]) -> Change:
    """Have no way out but these endpoints, whose group lets the instance in."""
    return both(NO_ROUTE, endpoints(*found), groups(group("sg-web"), OPEN))


def behind_policy(text: str) -> Change:
    """Have an endpoint of ssm with this policy."""
    made = endpoint("ssm", PolicyDocument=text)
    return both(endpoints(made), groups(group("sg-web"), OPEN))


def admitted_by(found: dict[str, Any]) -> Change:
    """Have an endpoint of ssm in this group."""
    return both(endpoints(endpoint("ssm")), groups(group("sg-web"), found))


def acls(*entries: dict[str, Any]) -> Change:
    """Have the private subnet in a network ACL with these entries before the others."""
    found = {"NetworkAcls": [acl("acl-1", *entries), acl("acl-public")]}
    found["NetworkAcls"][0]["Associations"].pop()
    return having("ec2:describe_network_acls", found)


def nat(**parts: object) -> Change:
    def change(world: World) -> None:
        world.answers["ec2:describe_nat_gateways"]["NatGateways"][0].update(parts)

    return change


def subnets(**parts: object) -> Change:
    """Change the subnet of the instance."""

    def change(world: World) -> None:
        world.answers["ec2:describe_subnets"]["Subnets"][0].update(parts)

    return change


def attribute(name: str) -> Change:
    """Have an attribute of the VPC off."""

    def change(world: World) -> None:
        (value,) = world.answers["ec2:describe_vpc_attribute"][name].values()
        value["Value"] = False

    return change


def dns(*servers: list[str]) -> Change:
    """Have DHCP options with these DNS servers; the VPC has the first."""
    options = [dhcp_options(f"dopt-{number}", *of) for number, of in enumerate(servers, 1)]
    return having("ec2:describe_dhcp_options", {"DhcpOptions": options})


def blocked(mode: str) -> Change:
    """Have VPC Block Public Access on for the subnet of the NAT gateway."""
    states = {"BlockPublicAccessStates": {"InternetGatewayBlockMode": mode}}
    return lambda w: w.answers["ec2:describe_subnets"]["Subnets"][1].update(states)


def entry(number: int, *, egress: bool, **parts: object) -> dict[str, Any]:
    denied = {"RuleNumber": number, "Egress": egress, "RuleAction": "deny", "Protocol": "6"}
    return denied | {"CidrBlock": "0.0.0.0/0", "PortRange": {"From": 0, "To": 65535}} | parts


ONLY_IPV6 = group(
    "sg-web",
    IpPermissionsEgress=[{"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}],
)


def admitting(peer: dict[str, Any], **ports: object) -> dict[str, Any]:
    """The group of the endpoints, with one rule."""
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443} | peer | ports
    return group("sg-endpoints", IpPermissions=[rule], IpPermissionsEgress=[])


def of_address(address: str) -> dict[str, Any]:
    """The group of the endpoints, which lets this address in."""
    return admitting({"IpRanges": [{"CidrIp": f"{address}/32"}]})


FROM_WEB: Final = {"UserIdGroupPairs": [{"GroupId": "sg-web"}]}
OPEN: Final = admitting(FROM_WEB)
BOTH_ENDPOINTS: Final = (endpoint("ssm"), endpoint("ssmmessages"))
NO_ROUTE: Final = routes()
S3_GATEWAY: Final = endpoint(
    "s3", VpcEndpointType="Gateway", RouteTableIds=["rtb-main"], PrivateDnsEnabled=False, Groups=[]
)

BLOCKED: Final = {"InternetGatewayBlockMode": "block-bidirectional"}
ALLOW: Final = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


def policy(**parts: object) -> str:
    return json.dumps({"Statement": [ALLOW | parts]})


SSM_ZONE: Final = f"ssm.{REGION}.amazonaws.com."


def zones(*found: dict[str, Any]) -> Change:
    """Have private hosted zones."""
    return having("route53:list_hosted_zones_by_vpc", {"HostedZoneSummaries": [*found]})


CHANNELS: Final = "path-ssm path-ssmmessages"


def path(name: str, does: Change, fails: str = "", unknown: str = "") -> Cause:
    """A network around a node that never registered, whose agent is in doubt if nothing else is."""
    return never(name, does, fails, unknown if fails or unknown else "agent")


TO_INTERNET: Final = routes(default_route(GatewayId="igw-1"))
ADDRESS: Final = instance(PublicIpAddress="192.0.2.1")
CARD: Final = {"Attachment": {"DeviceIndex": 0}, "Association": {"PublicIp": "192.0.2.1"}}
IPV6_SUBNET: Final = subnets(Ipv6CidrBlockAssociationSet=[{}])
OF_VPC: Final = admitting({"IpRanges": [{"CidrIp": "10.0.0.0/16"}]})
HERE: Final = instance(PrivateIpAddress="10.0.0.5")
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
TWO: Final = [{"Attachment": {"DeviceIndex": 0}}, {}]
OF_OTHERS: Final = table("rtb-main", Associations=MAIN, OwnerId=OTHER_ACCOUNT)
LATTICE: Final = {"VpcEndpointId": "vpce-r", "VpcEndpointType": "Resource", "State": "Available"}
TO_LATTICE: Final = {
    "DestinationPrefixListId": "pl-1",
    "GatewayId": "vpce-r",
    "State": "active",
}
NO_NAMES: Final = endpoint("ssm", PrivateDnsEnabled=False)
BY_ACCOUNT: Final = {"StringEquals": {"aws:PrincipalAccount": [ACCOUNT]}}
BY_ARN: Final = "aws:PrincipalArn"
NOT_OURS: Final = {"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}}
OUTSIDERS: Final = ALLOW | {"Effect": "Deny", "Condition": NOT_OURS}
A_SESSION: Final = f"arn:aws:sts::{ACCOUNT}:assumed-role/web-server/i-1"
OF_ENDPOINTS: Final = {"OwningService": "vpce.amazonaws.com"}
OWN_DNS: Final = dns(["10.0.0.53"])
OF_TWO: Final = (["AmazonProvidedDNS"], ["10.0.0.53"])

ROUTES: Final = [
    path("by a NAT gateway", lambda _: None),
    path("by an internet gateway", both(TO_INTERNET, ADDRESS)),
    path("by the address of the interface", both(TO_INTERNET, instance(NetworkInterfaces=[CARD]))),
    path("no public address", TO_INTERNET, CHANNELS),
    path("no default route", NO_ROUTE, CHANNELS),
    path(
        "a blackhole",
        routes(default_route(NatGatewayId="nat-1") | {"State": "blackhole"}),
        CHANNELS,
    ),
    path("a route in two halves", both(routes(*HALVES), ADDRESS)),
    path("a NAT gateway that failed", nat(State="failed"), CHANNELS),
    path("a NAT gateway that starts", nat(State="pending"), unknown=CHANNELS),
    path("a private NAT gateway", nat(ConnectivityType="private"), CHANNELS),
    path("a regional NAT gateway", nat(AvailabilityMode="regional")),
    path("a NAT gateway without a way out", nat(SubnetId="subnet-private"), CHANNELS),
    *(
        path(f"by {target}", routes(default_route(**{field: target})), unknown=CHANNELS)
        for target, field in {
            "tgw-1": "TransitGatewayId",
            "pcx-1": "VpcPeeringConnectionId",
            "eni-1": "NetworkInterfaceId",
            "vgw-1": "GatewayId",
            "vpce-firewall": "GatewayId",
            "arn:aws:odb:us-east-1:111122223333:odb-network/odbnet-1": "OdbNetworkArn",
        }.items()
    ),
    *(
        path(f"an internet gateway whose table has {name}", edge(*found), unknown=unknown)
        for name, found, unknown in (
            ("local routes alone", [], ""),
            ("an appliance before the subnet of the NAT gateway", [APPLIANCE], CHANNELS),
            ("one before another", [APPLIANCE | {"DestinationCidrBlock": "10.0.7.0/24"}], ""),
            ("one for IPv6", [TO_IPV6], ""),
        )
    ),
    path(
        "public access blocked in another subnet",
        lambda w: w.answers["ec2:describe_subnets"]["Subnets"].append(OTHER_SUBNET),
    ),
    path("public access blocked for what comes in, behind a NAT", blocked("block-ingress")),
    path("public access blocked, behind a NAT", blocked("block-bidirectional"), unknown=CHANNELS),
    path(
        "public access blocked",
        both(TO_INTERNET, ADDRESS, subnets(BlockPublicAccessStates=BLOCKED)),
        unknown=CHANNELS,
    ),
    path("IPv6 alone", both(routes(TO_IPV6), IPV6_SUBNET), unknown=CHANNELS),
    path(
        "a subnet without IPv4",
        lambda w: w.answers["ec2:describe_subnets"]["Subnets"][0].pop("CidrBlock"),
        unknown=CHANNELS,
    ),
    path("another interface", both(NO_ROUTE, instance(NetworkInterfaces=TWO)), unknown=CHANNELS),
    path(
        "a shared VPC",
        having("ec2:describe_route_tables", {"RouteTables": [OF_OTHERS]}),
        unknown=CHANNELS,
    ),
    path("egress closed", groups(group("sg-web", IpPermissionsEgress=[])), CHANNELS),
    path("egress of IPv6 alone", groups(ONLY_IPV6), CHANNELS),
    path(
        "egress of IPv6 alone, in a subnet with IPv6",
        both(IPV6_SUBNET, groups(ONLY_IPV6)),
        unknown=CHANNELS,
    ),
    path("an ACL that denies", acls(entry(1, egress=True)), CHANNELS),
    path(
        "an ACL that denies Remote Desktop alone",
        acls(entry(1, egress=False, PortRange={"From": 3389, "To": 3389})),
    ),
    path(
        "an ACL that denies the subnet of the NAT gateway, to which no packet is addressed",
        acls(*(entry(1, egress=out, CidrBlock="10.0.1.0/24") for out in (True, False))),
    ),
    path(
        "an ACL that denies something else",
        acls(
            entry(1, egress=True, PortRange={"From": 22, "To": 22}),
            entry(2, egress=True, Protocol="17"),
            {"RuleNumber": 3, "Egress": True, "RuleAction": "deny", "Protocol": "-1"},
        ),
    ),
    *(
        path(
            f"{state} in a subnet whose address comes with the start",
            both(TO_INTERNET, instance(State={"Name": state}, SubnetId=subnet)),
            "instance-running",
            CHANNELS,
        )
        for state, subnet in (
            ("stopped", "subnet-public"),
            ("stopped", "subnet-private"),
            ("pending", "subnet-private"),
            ("stopping", "subnet-private"),
        )
    ),
    path(
        "a route to an endpoint of a resource",
        both(endpoints(LATTICE), routes(TO_LATTICE, default_route(NatGatewayId="nat-1"))),
        unknown=CHANNELS,
    ),
]

ENDPOINTS: Final = [
    path("endpoints", closed(*BOTH_ENDPOINTS)),
    path("one of two endpoints", closed(endpoint("ssm")), "path-ssmmessages"),
    path("a group that lets nobody in", admitted_by(group("sg-endpoints")), "path-ssm"),
    path("a group that lets the VPC in", admitted_by(OF_VPC)),
    path(
        "a group that lets another network in",
        admitted_by(admitting({"IpRanges": [{"CidrIp": "10.1.0.0/16"}]})),
        "path-ssm",
    ),
    path("a group for HTTP", admitted_by(admitting(FROM_WEB, FromPort=80, ToPort=80)), "path-ssm"),
    path(
        "a group for IPv6",
        admitted_by(admitting({"Ipv6Ranges": [{"CidrIpv6": "::/0"}]})),
        "path-ssm",
    ),
    path("a group that lets the instance in", both(HERE, admitted_by(of_address("10.0.0.5")))),
    path(
        "a group that lets another in", both(HERE, admitted_by(of_address("10.0.0.6"))), "path-ssm"
    ),
    path(
        "a group for a prefix list",
        admitted_by(admitting({"PrefixListIds": [{"PrefixListId": "pl-of-ours"}]})),
        unknown="path-ssm",
    ),
    path("no group", endpoints(endpoint("ssm", Groups=[])), unknown="path-ssm"),
    path(
        "an instance whose groups are not described",
        both(
            NO_ROUTE,
            instance(SecurityGroups=[], NetworkInterfaces=[]),
            endpoints(endpoint("ssm", PrivateDnsEnabled=False)),
        ),
        CHANNELS,
    ),
    path(
        "an endpoint of IPv6",
        both(endpoints(endpoint("ssm", IpAddressType="ipv6")), groups(group("sg-web"), OPEN)),
        unknown="path-ssm",
    ),
    path(
        "an endpoint with names of IPv6",
        both(
            endpoints(endpoint("ssm", DnsOptions={"DnsRecordIpType": "ipv6"})),
            groups(group("sg-web"), OPEN),
        ),
        unknown="path-ssm",
    ),
    path(
        "an endpoint that waits",
        closed(endpoint("ssm", State="pending"), endpoint("ssmmessages")),
        unknown="path-ssm",
    ),
    path(
        "an endpoint that failed",
        closed(endpoint("ssm", State="Failed"), endpoint("ssmmessages")),
        "path-ssm",
    ),
    path(
        "endpoints of others",
        endpoints(
            endpoint("ssm-fips"),
            endpoint("ssm", ServiceRegion="us-east-1"),
            endpoint("ssm", VpcEndpointType="GatewayLoadBalancer"),
            endpoint("ec2messages"),
        ),
    ),
    path("a policy for all", behind_policy(policy())),
    path("a policy for the account", behind_policy(policy(Principal={"AWS": ACCOUNT}))),
    path("a policy for its root", behind_policy(policy(Principal={"AWS": [ROOT]}))),
    path("a policy by the account", behind_policy(policy(Condition=BY_ACCOUNT))),
    path(
        "a policy for another account",
        behind_policy(policy(Principal={"AWS": OTHER_ACCOUNT})),
        "path-ssm",
    ),
    *(
        path(f"a policy {name}", behind_policy(text), fails, unknown)
        for name, text, fails, unknown in (
            ("for the role", policy(Principal={"AWS": [ROLE]}), "", ""),
            ("for one of its sessions", policy(Principal={"AWS": A_SESSION}), "", "path-ssm"),
            ("for a service", policy(Principal={"Service": "ssm.amazonaws.com"}), "path-ssm", ""),
            ("for no principal", policy(Principal=None), "", "path-ssm"),
            ("by the role", policy(Condition={"ArnLike": {BY_ARN: "*:role/team/*"}}), "", ""),
            ("by others", policy(Condition={"ArnLike": {BY_ARN: "*:role/db"}}), "path-ssm", ""),
            ("that denies outsiders", json.dumps({"Statement": [ALLOW, OUTSIDERS]}), "", ""),
            ("for all resources among others", policy(Resource=["arn:aws:s3:::b", "*"]), "", ""),
            ("for some resources", policy(Resource="arn:aws:s3:::b"), "", "path-ssm"),
            ("with a condition of no form", policy(Condition={"Bool": 1}), "", "path-ssm"),
        )
    ),
    path("a policy for S3", behind_policy(policy(Action="s3:*")), "path-ssm"),
    path("a policy that denies", behind_policy(policy(Effect="Deny")), "path-ssm"),
    path(
        "a policy with a condition",
        behind_policy(policy(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}})),
        unknown="path-ssm",
    ),
    path("a policy of no JSON", behind_policy("{"), unknown="path-ssm"),
]

NAMES: Final = [
    path("private DNS off", closed(NO_NAMES, endpoint("ssmmessages")), "path-ssm"),
    path("private DNS off, beside a NAT gateway", endpoints(NO_NAMES)),
    path(
        "private DNS off, and zones that may not be listed",
        both(
            closed(NO_NAMES, endpoint("ssmmessages")),
            lambda w: w.refuses("route53:ListHostedZonesByVPC", "AccessDenied"),
        ),
        unknown=CHANNELS,
    ),
    path("a zone of a service", zones({"Name": SSM_ZONE}), unknown="path-ssm"),
    path("a zone of all", zones({"Name": "amazonaws.com."}), unknown=CHANNELS),
    path("a zone of something else", zones({"Name": "example.com."})),
    path("a zone of an endpoint", zones({"Name": SSM_ZONE, "Owner": OF_ENDPOINTS})),
    path(
        "a DNS firewall",
        having(
            "route53resolver:list_firewall_rule_group_associations",
            {"FirewallRuleGroupAssociations": [{"Id": "rslvr-frgassoc-1"}]},
        ),
        unknown=CHANNELS,
    ),
    path("own DNS beside a NAT gateway", dns(["10.0.0.53"]), unknown=CHANNELS),
    path("own DNS", both(closed(*BOTH_ENDPOINTS), dns(["10.0.0.53"])), unknown=CHANNELS),
    path("no DNS", both(closed(*BOTH_ENDPOINTS), dns([])), unknown=CHANNELS),
    path(
        "own DNS and Amazon's",
        both(closed(*BOTH_ENDPOINTS), dns(["AmazonProvidedDNS", "10.0.0.53"])),
        unknown=CHANNELS,
    ),
    path("Amazon's DNS by address", both(closed(*BOTH_ENDPOINTS), dns(["169.254.169.253"]))),
    path("Amazon's DNS in the VPC", both(closed(*BOTH_ENDPOINTS), dns(["10.0.0.2"]))),
    path("DNS in the VPC", both(closed(*BOTH_ENDPOINTS), dns(["10.0.0.3"])), unknown=CHANNELS),
    path("own DNS of another VPC", both(closed(*BOTH_ENDPOINTS), dns(*OF_TWO))),
    path(
        "own DNS, and endpoints that let nobody in",
        both(endpoints(*BOTH_ENDPOINTS), groups(group("sg-web"), group("sg-endpoints")), OWN_DNS),
        unknown=CHANNELS,
    ),
    *(
        path(f"the VPC without {name}", both(closed(*BOTH_ENDPOINTS), attribute(name)), CHANNELS)
        for name in ("enableDnsSupport", "enableDnsHostnames")
    ),
]

DENIED: Final = [
    *(
        path(f"without {name}", refusing(f"ec2:{name}", "UnauthorizedOperation"), unknown=CHANNELS)
        for name in (
            *("DescribeSubnets", "DescribeRouteTables", "DescribeNatGateways"),
            *("DescribeVpcEndpoints", "DescribeSecurityGroups", "DescribeNetworkAcls"),
            "DescribeVpcAttribute",
        )
    ),
    *(
        path(
            f"endpoints, without {name}",
            both(
                closed(*BOTH_ENDPOINTS),
                dns(*OF_TWO),
                refusing(f"ec2:{name}", "UnauthorizedOperation"),
            ),
            unknown=CHANNELS,
        )
        for name in ("DescribeDhcpOptions", "DescribeVpcs")
    ),
    path(
        "stopped in a subnet that is not described",
        both(
            instance(State={"Name": "stopped"}),
            refusing("ec2:DescribeSubnets", "UnauthorizedOperation"),
        ),
        "instance-running",
        CHANNELS,
    ),
]

NETWORKS: Final = [*ROUTES, *ENDPOINTS, *NAMES, *DENIED]
