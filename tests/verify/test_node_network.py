"""The network around a node, as EC2 describes it, and what the checks of its paths say of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from .nodes import (
    ACCOUNT,
    OTHER_ACCOUNT,
    REGION,
    World,
    acl,
    both,
    default_route,
    dhcp_options,
    diagnosed,
    endpoint,
    group,
    of_verdict,
    one,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CHANNELS: Final = frozenset({"path-ssm", "path-ssmmessages"})
MAIN: Final = [{"Main": True}]
PUBLIC: Final = table(
    "rtb-public", default_route(GatewayId="igw-1"), Associations=[{"SubnetId": "subnet-public"}]
)


class Row(NamedTuple):
    """A network, and the paths of it that fail and that are unknown."""

    name: str
    breaks: Callable[[World], object]
    fails: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    says: str = ""
    """A part of what the first of these says."""


def routes(*found: dict[str, Any], **parts: object) -> Callable[[World], object]:
    """Have the main table with these routes."""
    main = table("rtb-main", *found, Associations=MAIN, **parts)
    return lambda w: w.has("ec2:describe_route_tables", {"RouteTables": [main, PUBLIC]})


def endpoints(*found: dict[str, Any]) -> Callable[[World], object]:
    return lambda w: w.has("ec2:describe_vpc_endpoints", {"VpcEndpoints": list(found)})


def groups(*found: dict[str, Any]) -> Callable[[World], object]:
    return lambda w: w.has("ec2:describe_security_groups", {"SecurityGroups": list(found)})


def acls(*entries: dict[str, Any]) -> Callable[[World], object]:
    """Have the private subnet in a network ACL with these entries before the others."""
    found = {"NetworkAcls": [acl("acl-1", *entries), acl("acl-public")]}
    found["NetworkAcls"][0]["Associations"].pop()
    return lambda w: w.has("ec2:describe_network_acls", found)


def nat(**parts: object) -> Callable[[World], object]:
    def change(world: World) -> None:
        world.answers["ec2:describe_nat_gateways"]["NatGateways"][0].update(parts)

    return change


def subnets(**parts: object) -> Callable[[World], object]:
    """Change the subnet of the instance."""

    def change(world: World) -> None:
        world.answers["ec2:describe_subnets"]["Subnets"][0].update(parts)

    return change


def attribute(name: str) -> Callable[[World], object]:
    """Have an attribute of the VPC off."""

    def change(world: World) -> None:
        (value,) = world.answers["ec2:describe_vpc_attribute"][name].values()
        value["Value"] = False

    return change


def dns(*servers: list[str]) -> Callable[[World], object]:
    """Have DHCP options with these DNS servers; the VPC has the first."""
    options = [dhcp_options(f"dopt-{number}", *of) for number, of in enumerate(servers, 1)]
    return lambda w: w.has("ec2:describe_dhcp_options", {"DhcpOptions": options})


def blocked(mode: str) -> Callable[[World], object]:
    """Have VPC Block Public Access on for the subnet of the NAT gateway."""
    states = {"BlockPublicAccessStates": {"InternetGatewayBlockMode": mode}}
    return lambda w: w.answers["ec2:describe_subnets"]["Subnets"][1].update(states)


def instance(**parts: object) -> Callable[[World], object]:
    return lambda w: w.instance.update(parts)


def refusing(operation: str) -> Callable[[World], object]:
    return lambda w: w.refuses(operation, "UnauthorizedOperation")


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


FROM_WEB: Final = {"UserIdGroupPairs": [{"GroupId": "sg-web"}]}
OPEN: Final = admitting(FROM_WEB)
BOTH_ENDPOINTS: Final = (endpoint("ssm"), endpoint("ssmmessages"))
NO_ROUTE: Final = routes()
ENDPOINTS_ALONE: Final = both(NO_ROUTE, endpoints(*BOTH_ENDPOINTS), groups(group("sg-web"), OPEN))
BLOCKED: Final = {"InternetGatewayBlockMode": "block-bidirectional"}
ALLOW: Final = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


def policy(**parts: object) -> str:
    return json.dumps({"Statement": [ALLOW | parts]})


SSM_ZONE: Final = f"ssm.{REGION}.amazonaws.com."
OWN_ACCOUNT: Final[dict[str, dict[str, object]]] = {
    "by the id": {"Principal": {"AWS": ACCOUNT}},
    "by the root": {"Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]}},
    "by a condition": {"Condition": {"StringEquals": {"aws:PrincipalAccount": [ACCOUNT]}}},
}


def zones(*found: dict[str, Any]) -> Callable[[World], object]:
    """Have private hosted zones."""
    return lambda w: w.has("route53:list_hosted_zones_by_vpc", {"HostedZoneSummaries": [*found]})


ROWS: Final = [
    Row("by a NAT gateway", lambda _: None),
    Row(
        "by an internet gateway",
        both(routes(default_route(GatewayId="igw-1")), instance(PublicIpAddress="192.0.2.1")),
    ),
    Row(
        "by an internet gateway, as the interface has it",
        both(
            routes(default_route(GatewayId="igw-1")),
            instance(
                NetworkInterfaces=[
                    {
                        "Attachment": {"DeviceIndex": 0},
                        "Association": {"PublicIp": "192.0.2.1"},
                    }
                ]
            ),
        ),
    ),
    Row(
        "no public address",
        routes(default_route(GatewayId="igw-1")),
        CHANNELS,
        says="needs a public IPv4 address",
    ),
    Row("no default route", NO_ROUTE, CHANNELS, says="SessionManagerEndpoints(scope, id, vpc=...)"),
    Row(
        "a blackhole",
        routes(default_route(NatGatewayId="nat-1") | {"State": "blackhole"}),
        CHANNELS,
        says="blackhole",
    ),
    Row("a NAT gateway that failed", nat(State="failed"), CHANNELS, says="is not available"),
    Row("a NAT gateway that starts", nat(State="pending"), unknown=CHANNELS),
    Row("a private NAT gateway", nat(ConnectivityType="private"), CHANNELS),
    Row("a regional NAT gateway", nat(AvailabilityMode="regional")),
    *(
        Row(
            f"by {field}",
            routes(default_route(**{field: target})),
            unknown=CHANNELS,
            says=target,
        )
        for field, target in [
            ("TransitGatewayId", "tgw-1"),
            ("VpcPeeringConnectionId", "pcx-1"),
            ("NetworkInterfaceId", "eni-1"),
            ("OdbNetworkArn", "arn:aws:odb:us-east-1:111122223333:odb-network/odbnet-1"),
            ("GatewayId", "vgw-1"),
            ("GatewayId", "vpce-firewall"),
        ]
    ),
    Row(
        "public access blocked in another subnet",
        lambda w: w.answers["ec2:describe_subnets"]["Subnets"].append(
            {
                "SubnetId": "subnet-other",
                "CidrBlock": "10.0.2.0/24",
                "BlockPublicAccessStates": BLOCKED,
            }
        ),
    ),
    *(
        Row(
            f"public access blocked for what comes in, behind a NAT gateway: {mode}",
            blocked(mode),
            unknown=unknown,
        )
        for mode, unknown in (
            ("block-ingress", frozenset[str]()),
            ("block-bidirectional", CHANNELS),
        )
    ),
    Row(
        "public access blocked",
        both(
            routes(default_route(GatewayId="igw-1")),
            instance(PublicIpAddress="192.0.2.1"),
            subnets(BlockPublicAccessStates=BLOCKED),
        ),
        unknown=CHANNELS,
        says="VPC Block Public Access",
    ),
    Row(
        "IPv6 alone",
        both(
            routes({"DestinationIpv6CidrBlock": "::/0", "EgressOnlyInternetGatewayId": "eigw-1"}),
            subnets(Ipv6CidrBlockAssociationSet=[{}]),
        ),
        unknown=CHANNELS,
        says="IPv6",
    ),
    Row(
        "a subnet without IPv4",
        lambda w: w.answers["ec2:describe_subnets"]["Subnets"][0].pop("CidrBlock"),
        unknown=CHANNELS,
        says="IPv6",
    ),
    Row("endpoints", ENDPOINTS_ALONE),
    Row(
        "one of two endpoints",
        both(NO_ROUTE, endpoints(endpoint("ssm")), groups(group("sg-web"), OPEN)),
        frozenset({"path-ssmmessages"}),
        says=f"--service-name com.amazonaws.{REGION}.ssmmessages",
    ),
    Row(
        "an endpoint in shut groups, beside a NAT gateway",
        both(endpoints(endpoint("ssm")), groups(group("sg-web"), group("sg-endpoints"))),
        frozenset({"path-ssm"}),
        says="authorize-security-group-ingress --group-id sg-endpoints",
    ),
    *(
        Row(
            f"an endpoint that admits {name}",
            both(endpoints(endpoint("ssm")), groups(group("sg-web"), found)),
            fails,
        )
        for name, found, fails in [
            ("the VPC", admitting({"IpRanges": [{"CidrIp": "10.0.0.0/16"}]}), frozenset[str]()),
            (
                "another network",
                admitting({"IpRanges": [{"CidrIp": "10.1.0.0/16"}]}),
                frozenset({"path-ssm"}),
            ),
            ("HTTP", admitting(FROM_WEB, FromPort=80, ToPort=80), frozenset({"path-ssm"})),
            ("IPv6", admitting({"Ipv6Ranges": [{"CidrIpv6": "::/0"}]}), frozenset({"path-ssm"})),
        ]
    ),
    *(
        Row(
            f"an endpoint that admits {peer} alone",
            both(
                endpoints(endpoint("ssm")),
                groups(group("sg-web"), admitting({"IpRanges": [{"CidrIp": peer}]})),
                instance(PrivateIpAddress="10.0.0.5"),
            ),
            fails,
        )
        for peer, fails in (
            ("10.0.0.5/32", frozenset[str]()),
            ("10.0.0.6/32", frozenset({"path-ssm"})),
        )
    ),
    *(
        Row(
            f"an endpoint with addresses of IPv6 alone, by {sorted(field)}",
            both(endpoints(endpoint("ssm", **field)), groups(group("sg-web"), OPEN)),
            unknown=frozenset({"path-ssm"}),
            says="whether the agent uses IPv6",
        )
        for field in (
            {"IpAddressType": "ipv6"},
            {"DnsOptions": {"DnsRecordIpType": "ipv6"}},
        )
    ),
    *(
        Row(f"beside a NAT gateway, a hosted zone {zone}", zones(found), unknown=unknown)
        for zone, found, unknown in (
            ("of a service", {"Name": SSM_ZONE}, frozenset({"path-ssm"})),
            ("of all", {"Name": "amazonaws.com."}, CHANNELS),
            ("of something else", {"Name": "example.com."}, frozenset[str]()),
            (
                "that an endpoint has made",
                {"Name": SSM_ZONE, "Owner": {"OwningService": "vpce.amazonaws.com"}},
                frozenset[str](),
            ),
        )
    ),
    Row(
        "beside a NAT gateway, a DNS firewall",
        lambda w: w.has(
            "route53resolver:list_firewall_rule_group_associations",
            {"FirewallRuleGroupAssociations": [{"Id": "rslvr-frgassoc-1"}]},
        ),
        unknown=CHANNELS,
        says="the DNS firewall of the VPC 'vpc-1'",
    ),
    Row(
        "an endpoint that admits a prefix list",
        both(
            endpoints(endpoint("ssm")),
            groups(group("sg-web"), admitting({"PrefixListIds": [{"PrefixListId": "pl-of-ours"}]})),
        ),
        unknown=frozenset({"path-ssm"}),
        says="pl-of-ours",
    ),
    Row(
        "private DNS off",
        both(
            NO_ROUTE,
            endpoints(endpoint("ssm", PrivateDnsEnabled=False), endpoint("ssmmessages")),
            groups(group("sg-web"), OPEN),
        ),
        frozenset({"path-ssm"}),
        says="modify-vpc-endpoint --vpc-endpoint-id vpce-ssm --region eu-west-1 "
        "--private-dns-enabled",
    ),
    Row(
        "private DNS off, and hosted zones that may not be listed",
        both(
            NO_ROUTE,
            endpoints(endpoint("ssm", PrivateDnsEnabled=False), endpoint("ssmmessages")),
            groups(group("sg-web"), OPEN),
            lambda w: w.refuses("route53:ListHostedZonesByVPC", "AccessDenied"),
        ),
        unknown=CHANNELS,
        says="route53:ListHostedZonesByVPC",
    ),
    *(
        Row(
            f"endpoints, and {name}",
            both(
                NO_ROUTE, endpoints(*BOTH_ENDPOINTS), groups(group("sg-web"), OPEN), dns(*servers)
            ),
            unknown=unknown,
            says="the DNS servers in the DHCP options of the VPC 'vpc-1'" if unknown else "",
        )
        for name, servers, unknown in (
            ("DNS servers of one's own", (["10.0.0.53"],), CHANNELS),
            ("no DNS servers", ([],), CHANNELS),
            ("Amazon's DNS and one's own", (["AmazonProvidedDNS", "10.0.0.53"],), CHANNELS),
            ("Amazon's DNS by its address", (["169.254.169.253"],), frozenset()),
            ("Amazon's DNS by its address in the VPC", (["10.0.0.2"],), frozenset()),
            ("DNS servers at another address of the VPC", (["10.0.0.3"],), CHANNELS),
            ("DNS servers of another VPC", (["AmazonProvidedDNS"], ["10.0.0.53"]), frozenset()),
        )
    ),
    Row(
        "an endpoint that is shut beside a NAT gateway, and DNS servers of one's own",
        both(
            endpoints(*BOTH_ENDPOINTS),
            groups(group("sg-web"), group("sg-endpoints")),
            dns(["10.0.0.53"]),
        ),
        unknown=CHANNELS,
        says="the DNS servers in the DHCP options",
    ),
    Row("a NAT gateway, and DNS servers of one's own", dns(["10.0.0.53"]), unknown=CHANNELS),
    Row(
        "private DNS off beside a NAT gateway", endpoints(endpoint("ssm", PrivateDnsEnabled=False))
    ),
    Row(
        "an instance whose groups are not described",
        both(
            NO_ROUTE,
            instance(SecurityGroups=[], NetworkInterfaces=[]),
            endpoints(endpoint("ssm", PrivateDnsEnabled=False)),
        ),
        CHANNELS,
        says="modify-vpc-endpoint --vpc-endpoint-id vpce-ssm",
    ),
    *(
        Row(
            f"the VPC without {name}",
            both(
                NO_ROUTE,
                attribute(name),
                endpoints(*BOTH_ENDPOINTS),
                groups(group("sg-web"), OPEN),
            ),
            CHANNELS,
            says=f"aws ec2 modify-vpc-attribute --vpc-id vpc-1 --region eu-west-1 {option}",
        )
        for name, option in [
            ("enableDnsSupport", "--enable-dns-support"),
            ("enableDnsHostnames", "--enable-dns-hostnames"),
        ]
    ),
    *(
        Row(
            f"an endpoint that is {state}",
            both(
                NO_ROUTE,
                endpoints(endpoint("ssm", State=state), endpoint("ssmmessages")),
                groups(group("sg-web"), OPEN),
            ),
            fails=frozenset() if state == "pending" else frozenset({"path-ssm"}),
            unknown=frozenset({"path-ssm"}) if state == "pending" else frozenset(),
        )
        for state in ("pending", "Failed")
    ),
    *(
        Row(
            f"an endpoint's policy: {name}",
            both(endpoints(endpoint("ssm", PolicyDocument=text)), groups(group("sg-web"), OPEN)),
            fails,
            unknown,
            says,
        )
        for name, text, fails, unknown, says in [
            ("all", policy(), frozenset[str](), frozenset[str](), ""),
            *(
                (f"{of} the own account", policy(**parts), frozenset[str](), frozenset[str](), "")
                for of, parts in OWN_ACCOUNT.items()
            ),
            (
                "on another account",
                policy(Principal={"AWS": OTHER_ACCOUNT}),
                frozenset[str](),
                frozenset({"path-ssm"}),
                "the policy of the endpoint",
            ),
            (
                "nothing of it",
                policy(Action="s3:*"),
                frozenset({"path-ssm"}),
                frozenset[str](),
                "allow the action in the policy of the endpoint vpce-ssm",
            ),
            (
                "a condition",
                policy(Condition={"Bool": {}}),
                frozenset[str](),
                frozenset({"path-ssm"}),
                "the policy of the endpoint",
            ),
            ("no JSON", "{", frozenset[str](), frozenset({"path-ssm"}), "the policy"),
        ]
    ),
    Row(
        "endpoints of others",
        endpoints(
            endpoint("ssm-fips"),
            endpoint("ssm", ServiceRegion="us-east-1"),
            endpoint("ssm", VpcEndpointType="GatewayLoadBalancer"),
            endpoint("ec2messages"),
        ),
    ),
    Row(
        "egress closed",
        groups(group("sg-web", IpPermissionsEgress=[])),
        CHANNELS,
        says="authorize-security-group-egress --group-id sg-web",
    ),
    Row("egress of IPv6 alone", groups(ONLY_IPV6), CHANNELS),
    Row(
        "egress of IPv6 alone, in a subnet with IPv6",
        both(subnets(Ipv6CidrBlockAssociationSet=[{}]), groups(ONLY_IPV6)),
        unknown=CHANNELS,
        says="whether the agent uses IPv6",
    ),
    Row(
        "a network ACL that denies Remote Desktop alone",
        acls(entry(1, egress=False, PortRange={"From": 3389, "To": 3389})),
    ),
    Row(
        "a network ACL that denies the subnet of the NAT gateway, through which no packet is sent",
        acls(
            entry(1, egress=True, CidrBlock="10.0.1.0/24"),
            entry(2, egress=False, CidrBlock="10.0.1.0/24"),
        ),
    ),
    Row(
        "a network ACL that denies",
        acls(entry(1, egress=True)),
        CHANNELS,
        says="aws ec2 create-network-acl-entry",
    ),
    Row(
        "a network ACL that denies something else",
        acls(
            entry(1, egress=True, PortRange={"From": 22, "To": 22}),
            entry(2, egress=True, Protocol="17"),
            {"RuleNumber": 3, "Egress": True, "RuleAction": "deny", "Protocol": "-1"},
        ),
    ),
    Row(
        "another interface",
        both(NO_ROUTE, instance(NetworkInterfaces=[{"Attachment": {"DeviceIndex": 0}}, {}])),
        unknown=CHANNELS,
        says="another network interface",
    ),
    Row(
        "a shared VPC",
        both(
            lambda w: w.has(
                "ec2:describe_route_tables",
                {"RouteTables": [table("rtb-main", Associations=MAIN, OwnerId=OTHER_ACCOUNT)]},
            ),
        ),
        unknown=CHANNELS,
        says=OTHER_ACCOUNT,
    ),
    *(
        Row(
            f"without {operation}",
            refusing(f"ec2:{operation}"),
            unknown=CHANNELS,
            says=f"they need ec2:{operation} on *",
        )
        for operation in (
            "DescribeSubnets",
            "DescribeRouteTables",
            "DescribeNatGateways",
            "DescribeVpcEndpoints",
            "DescribeSecurityGroups",
            "DescribeNetworkAcls",
            "DescribeVpcAttribute",
        )
    ),
    *(
        Row(
            f"endpoints, without {call}",
            both(
                ENDPOINTS_ALONE,
                dns(["AmazonProvidedDNS"], ["10.0.0.53"]),
                refusing(f"ec2:{call}"),
            ),
            unknown=CHANNELS,
            says=f"they need ec2:{call} on *",
        )
        for call in ("DescribeDhcpOptions", "DescribeVpcs")
    ),
]


def test_a_call_that_is_denied_twice_is_said_once() -> None:
    world = World()
    world.never_registered()
    endpoints(*BOTH_ENDPOINTS)(world)
    refusing("ec2:DescribeVpcAttribute")(world)

    why = " ".join(one(diagnosed(world), "path-ssm").why)

    assert why.count("they need ec2:DescribeVpcAttribute") == 1


@pytest.mark.parametrize("said", ROWS, ids=lambda said: said.name)
def test_each_path_is_what_the_network_makes_it(said: Row) -> None:
    world = World()
    world.never_registered()
    said.breaks(world)

    found = diagnosed(world)

    paths = {check.name for check in found.checks if check.name.startswith("path-")}
    assert of_verdict(found, "fail") & paths == said.fails
    assert of_verdict(found, "unknown") & paths == said.unknown
    told = next((c for c in found.checks if c.name in said.fails | said.unknown), None)
    if told:
        assert said.says in " ".join([*told.why, *told.fix])
        assert told.evidence[0] == ("ec2:DescribeInstances", "SubnetId", "subnet-private")


@pytest.mark.parametrize("subnet", ["subnet-public", "subnet-private"])
def test_a_stopped_instance_may_get_an_address_with_the_start(subnet: str) -> None:
    world = World()
    world.never_registered()
    world.instance.update(State={"Name": "stopped"}, SubnetId=subnet)
    routes(default_route(GatewayId="igw-1"))(world)

    check = one(diagnosed(world), "path-ssm")

    assert check.verdict == "unknown"
    assert "the start of the instance" in check.why[0]


def test_a_stopped_instance_in_a_subnet_that_is_not_described() -> None:
    world = World()
    world.never_registered()
    world.instance.update(State={"Name": "stopped"})
    refusing("ec2:DescribeSubnets")(world)

    assert one(diagnosed(world), "path-ssm").verdict == "unknown"


def test_a_terminated_instance_has_no_network() -> None:
    world = World()
    world.never_registered()
    world.instance.update(State={"Name": "terminated"})
    del world.instance["VpcId"], world.instance["SubnetId"]

    found = one(diagnosed(world), "path-ssm")

    assert (found.verdict, found.why) == (
        "skipped",
        ("the instance is in no VPC: it is terminated",),
    )


S3_LIST: Final = {"DestinationPrefixListId": "pl-s3", "GatewayId": "vpce-s3", "State": "active"}
PLAIN_DNS: Final = {"PrivateDnsOnlyForInboundResolverEndpoint": False}
S3_GATEWAY: Final = endpoint(
    "s3", VpcEndpointType="Gateway", RouteTableIds=["rtb-main"], PrivateDnsEnabled=False, Groups=[]
)
TO_S3: Final = group(
    "sg-web",
    IpPermissionsEgress=[
        {
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "PrefixListIds": [{"PrefixListId": "pl-s3"}],
        },
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/16"}]},
    ],
)


@pytest.mark.parametrize(
    ("breaks", "verdict"),
    [
        pytest.param(endpoints(S3_GATEWAY), "pass", id="by a gateway"),
        pytest.param(routes(), "fail", id="no gateway"),
        pytest.param(lambda _: None, "unknown", id="a list of a gateway that is not seen"),
        pytest.param(
            both(endpoints(S3_GATEWAY), groups(TO_S3, OPEN)), "pass", id="by its prefix list"
        ),
        pytest.param(
            endpoints(S3_GATEWAY | {"RouteTableIds": ["rtb-public"]}), "fail", id="another table"
        ),
        *(
            pytest.param(
                endpoints(endpoint("s3", DnsOptions=options)), verdict, id=f"interface {options}"
            )
            for options, verdict in [
                ({"PrivateDnsOnlyForInboundResolverEndpoint": False}, "pass"),
                ({"PrivateDnsOnlyForInboundResolverEndpoint": True}, "fail"),
                ({}, "unknown"),
            ]
        ),
    ],
)
def test_the_path_to_s3(breaks: Callable[[World], object], verdict: str) -> None:
    """The node is connected through endpoints, and the judge finds the same."""
    world = World()
    world.uses(kmsKeyId="", cloudWatchLogGroupName="")
    routes(S3_LIST)(world)
    groups(group("sg-web"), OPEN)(world)
    breaks(world)
    found = world.answers["ec2:describe_vpc_endpoints"]["VpcEndpoints"]
    endpoints(*BOTH_ENDPOINTS, *found)(world)

    assert one(diagnosed(world), "path-s3").verdict == verdict


ELSEWHERE: Final = "us-west-2"
TO_NAT: Final = routes(S3_LIST, default_route(NatGatewayId="nat-1"))


@pytest.mark.parametrize(
    ("region", "breaks", "verdict", "says"),
    [
        pytest.param(ELSEWHERE, (), "fail", f"is in {ELSEWHERE}", id="elsewhere, by a gateway"),
        pytest.param(ELSEWHERE, (TO_NAT,), "pass", "", id="elsewhere, by NAT"),
        pytest.param(
            ELSEWHERE, (TO_NAT, groups(TO_S3, OPEN)), "fail", "egress", id="elsewhere, by its list"
        ),
        pytest.param(None, (), "unknown", "which region", id="not known, by a gateway"),
        pytest.param(None, (TO_NAT,), "pass", "", id="not known, by a gateway or NAT"),
        pytest.param(
            None, (TO_NAT, groups(TO_S3, OPEN)), "unknown", "pl-s3", id="not known, by its list"
        ),
        pytest.param(
            ELSEWHERE,
            (endpoints(endpoint("s3", ServiceRegion=ELSEWHERE, DnsOptions=PLAIN_DNS)),),
            "pass",
            "",
            id="elsewhere, by an endpoint of that region",
        ),
    ],
)
def test_a_log_bucket_may_be_in_another_region(
    region: str | None, breaks: tuple[Callable[[World], object], ...], verdict: str, says: str
) -> None:
    world = World()
    world.uses(kmsKeyId="", cloudWatchLogGroupName="")
    world.bucket_region = region
    if region is None:
        world.refuses("s3:GetBucketEncryption", "AccessDenied")
    both(routes(S3_LIST), endpoints(S3_GATEWAY), groups(group("sg-web"), OPEN), *breaks)(world)
    found = world.answers["ec2:describe_vpc_endpoints"]["VpcEndpoints"]
    endpoints(*BOTH_ENDPOINTS, *found)(world)

    check = one(diagnosed(world), "path-s3")

    assert check.verdict == verdict
    assert says in " ".join([*check.why, *check.fix])


def test_a_connected_node_contradicts_what_the_network_looks_like() -> None:
    world = World()
    world.uses()
    NO_ROUTE(world)

    found = diagnosed(world)

    assert found.ready
    assert of_verdict(found, "proven") >= CHANNELS
    assert of_verdict(found, "unknown") == {"path-kms", "path-logs", "path-s3"}
    assert "the network has a way that EC2 does not show" in one(found, "path-kms").why[0]


def test_the_key_s_endpoint_shut_to_a_connected_node() -> None:
    world = World()
    world.uses()
    endpoints(endpoint("kms"))(world)
    groups(group("sg-web"), group("sg-endpoints"))(world)

    found = diagnosed(world)

    assert of_verdict(found, "fail") == {"path-kms"}
    assert "Handshake timed out" in one(found, "path-kms").why[1]


@pytest.mark.parametrize(
    ("enforced", "service", "says"),
    [
        (True, "s3", "unable to validate encryption on Amazon S3 bucket"),
        (True, "logs", "encryption is not set up on the selected CloudWatch Logs log group"),
        (False, "s3", None),
        (False, "logs", "a prompt after two minutes"),
    ],
)
def test_what_users_see_of_a_closed_path_follows_from_what_is_enforced(
    enforced: bool,  # noqa: FBT001 # a parameter of the table
    service: str,
    says: str | None,
) -> None:
    world = World()
    world.uses(s3EncryptionEnabled=enforced, cloudWatchEncryptionEnabled=enforced)
    options = {"DnsOptions": {"PrivateDnsOnlyForInboundResolverEndpoint": False}}
    endpoints(endpoint(service, **options))(world)
    groups(group("sg-web"), group("sg-endpoints"))(world)

    why = one(diagnosed(world), f"path-{service}").why

    assert len(why) == (1 if says is None else 2)
    assert says is None or says in why[1]


def test_registered_and_not_connected_leaves_the_path_of_the_channels() -> None:
    world = World()
    world.is_online_only()
    endpoints(endpoint("ssmmessages"))(world)
    groups(group("sg-web"), group("sg-endpoints"))(world)

    found = diagnosed(world)

    assert one(found, "path-ssm").verdict == "proven"
    assert of_verdict(found, "fail") == {"connected", "path-ssmmessages"}


def test_rules_of_ipv6_alone_may_be_enough() -> None:
    world = World()
    world.never_registered()
    opened = {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    groups(group("sg-web", IpPermissionsEgress=[opened]))(world)

    assert of_verdict(diagnosed(world), "fail") >= CHANNELS

    subnets(Ipv6CidrBlockAssociationSet=[{}])(world)

    assert of_verdict(diagnosed(world), "unknown") == CHANNELS


@pytest.mark.parametrize("state", ["pending", "stopping"])
def test_an_instance_that_does_not_run_may_get_an_address(state: str) -> None:
    world = World()
    world.never_registered()
    routes(default_route(GatewayId="igw-1"))(world)
    instance(State={"Name": state})(world)

    assert of_verdict(diagnosed(world), "unknown") == CHANNELS


def test_an_endpoint_of_a_resource_or_a_service_network_has_no_service() -> None:
    world = World()
    world.never_registered()
    lattice = {"VpcEndpointId": "vpce-r", "VpcEndpointType": "Resource", "State": "Available"}
    endpoints(lattice)(world)
    to_list = {"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-r", "State": "active"}
    routes(to_list, default_route(NatGatewayId="nat-1"))(world)

    assert of_verdict(diagnosed(world), "fail") == {"connected", "registered"}


def test_an_endpoint_without_groups_is_in_the_default_one() -> None:
    world = World()
    world.never_registered()
    endpoints(endpoint("ssm", Groups=[]))(world)

    assert one(diagnosed(world), "path-ssm").verdict == "unknown"


def test_evidence_names_the_table_and_the_endpoints() -> None:
    world = World()
    world.never_registered()
    endpoints(endpoint("ssm"))(world)
    groups(group("sg-web"), OPEN)(world)
    found = diagnosed(world)

    assert one(found, "path-ssm").evidence[1:] == (
        ("ec2:DescribeVpcEndpoints", "VpcEndpointId", "vpce-ssm"),
        ("ec2:DescribeRouteTables", "RouteTableId", "rtb-main"),
    )
    assert one(found, "path-ssmmessages").evidence[1].value is None
    assert ACCOUNT not in str(one(found, "path-ssm").evidence)
