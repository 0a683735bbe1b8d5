"""Which network paths the judge calls open, closed or unknown.

Each table is about one rule. Half of its rows are the cases in which the rule would be wrong if it
were simpler: what must not be called closed, or open, and for which reason.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any, Final

import pytest

from session_manager_permissions import _needs
from session_manager_permissions._network.ec2 import admits_https, service_of
from session_manager_permissions._network.facts import Fact, Unknown, all_of, any_of
from session_manager_permissions._network.judge import Judge
from session_manager_permissions._network.model import (
    AclEntry,
    ByService,
    Endpoint,
    GroupPeer,
    NatGateway,
    Network,
    NetworkAcl,
    Peer,
    Placement,
    PrefixList,
    Range,
    Route,
    RouteTable,
    Rule,
    SecurityGroup,
    Subnet,
    Vpc,
    Zone,
)
from session_manager_permissions._network.verdicts import (
    EGRESS_CLOSED,
    ENDPOINT_MISSING,
    ENDPOINT_UNREACHABLE,
    NO_NETWORK_PATH,
    PathVerdict,
    State,
)

OPEN, UNKNOWN = State.OPEN.value, State.UNKNOWN.value
MAYBE: Final = Unknown("the parameter 'Maybe'")
ON: Final = Unknown("whether it is there")


def cidr(written: str) -> IPv4Network:
    return IPv4Network(written)


ALL = cidr("0.0.0.0/0")
INSIDE = cidr("10.0.0.0/16")
HERE, THERE, ABROAD = cidr("10.0.1.0/24"), cidr("10.0.2.0/24"), cidr("10.1.0.0/16")

TO_INTERNET = Route(ALL, "internet-gateway", "igw", "the internet gateway 'igw'")
TO_NAT = Route(ALL, "nat-gateway", "nat", "the NAT gateway 'nat'")
TO_TRANSIT = Route(ALL, "elsewhere", name="the transit gateway 'tgw'")
TO_CENTER = TO_TRANSIT._replace(destination=cidr("10.8.0.0/16"))
LOCAL = Route(INSIDE, "local")
BLACKHOLE = Route(ALL, "nowhere")
HALVES = (
    TO_NAT._replace(destination=cidr("0.0.0.0/1")),
    TO_NAT._replace(destination=cidr("128.0.0.0/1")),
)


def endpoint(service: str, **changes: Any) -> Endpoint:  # noqa: ANN401
    return (
        Endpoint(
            service, service, service, private_dns=True, subnets=("there",), groups=("admits",)
        )
        if not changes
        else endpoint(service)._replace(**changes)
    )


def both(**changes: Any) -> tuple[Endpoint, ...]:  # noqa: ANN401
    return endpoint("ssm", **changes), endpoint("ssmmessages", **changes)


def rules(*peers: Peer, exists: Fact = True) -> tuple[Rule, ...]:
    return tuple(Rule(peer, exists) for peer in peers)


def group(name: str, *, inbound: tuple[Rule, ...] = (), outbound: tuple[Rule, ...] = ()) -> Any:  # noqa: ANN401
    return SecurityGroup(name, inbound, outbound)


def network(
    *,
    routes: tuple[Route, ...] = (),
    endpoints: tuple[Endpoint, ...] = (),
    outbound: tuple[Rule, ...] = rules(ALL),
    inbound: tuple[Rule, ...] = rules(INSIDE),
    vpc: dict[str, Any] | None = None,
    subnet: dict[str, Any] | None = None,
    nat: dict[str, Any] | None = None,
    table: dict[str, Any] | None = None,
    exit_routes: tuple[Route, ...] = (TO_INTERNET,),
) -> Network:
    """A VPC with the compute's subnet `here`, the endpoints' `there`, and the NAT gateway's `exit`.

    Args:
        routes: of `here`.
        endpoints: of the VPC.
        outbound: the rules of the compute's group `own`.
        inbound: the rules of the endpoints' group `admits`.
        vpc: what differs in the VPC.
        subnet: what differs in `here`.
        nat: what differs in the NAT gateway `nat`.
        table: what differs in the route table of `here`.
        exit_routes: of `exit`.
    """
    return Network(
        vpcs={
            "vpc": Vpc(
                "vpc",
                (INSIDE,),
                endpoints=ByService(endpoints),
                internet_gateways=(("igw", True),),
                default_group="default",
            )._replace(**(vpc or {}))
        },
        subnets={
            "here": Subnet("here", "vpc", HERE, table="private")._replace(**(subnet or {})),
            "there": Subnet("there", "vpc", THERE),
            "exit": Subnet("exit", "vpc", cidr("10.0.3.0/24"), table="public"),
        },
        tables={
            "private": RouteTable("private", (LOCAL, *routes))._replace(**(table or {})),
            "public": RouteTable("public", (LOCAL, *exit_routes)),
            "main": RouteTable("main", (TO_NAT,)),
            "inspected": RouteTable("inspected", (Route(THERE, "elsewhere"),)),
        },
        nat_gateways={"nat": NatGateway("nat", "vpc", "exit")._replace(**(nat or {}))},
        groups={
            "own": group("own", outbound=outbound),
            "admits": group("admits", inbound=inbound),
            "default": group("default", inbound=rules(GroupPeer("default")), outbound=rules(ALL)),
            "empty": group("empty"),
        },
    )


PLACE = Placement("here", ("own",))


def verdict(
    net: Network, *places: Placement, services: tuple[str, ...] = ("ssm", "ssmmessages")
) -> PathVerdict:
    return Judge(net).judge(places or (PLACE,), services)


def said(
    net: Network, *places: Placement, services: tuple[str, ...] = ("ssm", "ssmmessages")
) -> str:
    """The state, or the causes where it is closed."""
    found = verdict(net, *places, services=services)
    return " ".join(problem.cause for problem in found.problems) or found.state.value


Row = tuple[str, Network, str]


def table(*rows: Row) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("net", "expected"),
        [pytest.param(net, expected, id=name) for name, net, expected in rows],
    )


@table(
    ("NAT", network(routes=(TO_NAT,)), OPEN),
    ("nothing", network(), NO_NETWORK_PATH),
    ("NAT by two halves", network(routes=HALVES), OPEN),
    ("one half alone", network(routes=HALVES[:1]), UNKNOWN),
    ("a blackhole", network(routes=(BLACKHOLE,)), NO_NETWORK_PATH),
    (
        "a blackhole for some addresses",
        network(routes=(TO_NAT, BLACKHOLE._replace(destination=cidr("52.0.0.0/8")))),
        UNKNOWN,
    ),
    (
        "a blackhole for private addresses",
        network(routes=(TO_NAT, BLACKHOLE._replace(destination=ABROAD))),
        OPEN,
    ),
    ("a transit gateway", network(routes=(TO_TRANSIT,)), UNKNOWN),
    ("a peered VPC, which may have central endpoints", network(routes=(TO_CENTER,)), UNKNOWN),
    ("a peered VPC beside the NAT", network(routes=(TO_NAT, TO_CENTER)), OPEN),
    *[
        (f"a peered VPC, and {what} let out to",
         network(routes=(TO_CENTER,), outbound=outbound), expected)
        for what, outbound, expected in (
            ("its group", rules(GroupPeer("sg-1")), UNKNOWN),
            ("another group of the app", rules(GroupPeer("admits")), UNKNOWN),
            ("the own group", rules(GroupPeer("own")), NO_NETWORK_PATH),
            ("a prefix list", rules(PrefixList("pl-1")), UNKNOWN),
            ("IPv6", rules("ipv6"), EGRESS_CLOSED),
        )
    ],
    ("routes that are not seen", network(table={"complete": MAYBE}), UNKNOWN),
    ("routes that are not seen beside NAT", network(routes=(TO_NAT,), table={"complete": MAYBE,
        "routes": (TO_NAT,)}), OPEN),
    (
        "a prefix list of one's own",
        network(routes=(TO_NAT, TO_TRANSIT._replace(destination=PrefixList("pl-1")))),
        UNKNOWN,
    ),
    (
        "the prefix list of another service",
        network(routes=(TO_NAT, TO_TRANSIT._replace(destination=PrefixList("pl-1", "dynamodb")))),
        OPEN,
    ),
    (
        "the prefix list of another service alone",
        network(routes=(TO_TRANSIT._replace(destination=PrefixList("pl-1", "dynamodb")),)),
        NO_NETWORK_PATH,
    ),
    ("propagated routes", network(routes=(Route(MAYBE, "elsewhere", name="vgw"),)), UNKNOWN),
    (
        "propagated routes beside NAT",
        network(routes=(TO_NAT, Route(MAYBE, "elsewhere", name="vgw"))),
        UNKNOWN,
    ),
    ("IPv6 alone", network(routes=(TO_INTERNET._replace(destination="ipv6"),)), NO_NETWORK_PATH),
    (
        "IPv6 in a subnet that has it",
        network(routes=(TO_INTERNET._replace(destination="ipv6"),), subnet={"ipv6": True}),
        UNKNOWN,
    ),
    (
        "IPv6 beside NAT",
        network(routes=(TO_NAT, TO_INTERNET._replace(destination="ipv6")), subnet={"ipv6": True}),
        OPEN,
    ),
    ("main table", network(vpc={"main_table": "main"}, subnet={"table": None}), OPEN),
    ("main table without routes", network(subnet={"table": None}), NO_NETWORK_PATH),
    ("main table not seen", network(vpc={"main_table": MAYBE}, subnet={"table": None}), UNKNOWN),
    ("a table over the main one", network(vpc={"main_table": "main"}), NO_NETWORK_PATH),
    ("a table that is not seen", network(subnet={"table": "rtb-1"}), UNKNOWN),
    ("a table by parameter", network(subnet={"table": MAYBE}), UNKNOWN),
    ("no DNS beside NAT", network(routes=(TO_NAT,), vpc={"dns_support": False}), UNKNOWN),
    ("no DNS and no way", network(vpc={"dns_support": False}), NO_NETWORK_PATH),
    ("own DNS servers beside NAT", network(routes=(TO_NAT,), vpc={"resolver": MAYBE}), UNKNOWN),
)  # fmt: skip
def test_routes(net: Network, expected: str) -> None:
    assert said(net) == expected


@table(
    ("address", network(routes=(TO_INTERNET,), subnet={"public_addresses": True}), OPEN),
    ("no address", network(routes=(TO_INTERNET,)), NO_NETWORK_PATH),
    (
        "address by parameter",
        network(routes=(TO_INTERNET,), subnet={"public_addresses": MAYBE}),
        UNKNOWN,
    ),
    (
        "not attached",
        network(
            routes=(TO_INTERNET,), subnet={"public_addresses": True}, vpc={"internet_gateways": ()}
        ),
        NO_NETWORK_PATH,
    ),
    (
        "another one is attached",
        network(routes=(TO_INTERNET._replace(target="igw-2"),), subnet={"public_addresses": True}),
        NO_NETWORK_PATH,
    ),
    (
        "attached on a condition",
        network(
            routes=(TO_INTERNET,),
            subnet={"public_addresses": True},
            vpc={"internet_gateways": (("igw", ON),)},
        ),
        UNKNOWN,
    ),
    (
        "one by parameter is attached",
        network(
            routes=(TO_INTERNET,),
            subnet={"public_addresses": True},
            vpc={"internet_gateways": ((MAYBE, True),)},
        ),
        UNKNOWN,
    ),
    (
        "a route to one by parameter",
        network(routes=(TO_INTERNET._replace(target=MAYBE),), subnet={"public_addresses": True}),
        UNKNOWN,
    ),
    (
        "an address that leads nowhere",
        network(routes=(TO_TRANSIT,), subnet={"public_addresses": True}),
        UNKNOWN,
    ),
)
def test_internet_gateway(net: Network, expected: str) -> None:
    assert said(net) == expected


@pytest.mark.parametrize(
    ("subnet", "given", "expected"),
    [
        (True, None, OPEN),
        (True, False, NO_NETWORK_PATH),
        (False, True, OPEN),
        (False, None, NO_NETWORK_PATH),
        (False, MAYBE, UNKNOWN),
    ],
)
def test_the_compute_decides_about_its_address_before_the_subnet(
    subnet: Fact, given: Fact | None, expected: str
) -> None:
    net = network(routes=(TO_INTERNET,), subnet={"public_addresses": subnet})
    assert said(net, PLACE._replace(public_address=given)) == expected


@table(
    ("in a subnet without a way", network(routes=(TO_NAT,), exit_routes=()), NO_NETWORK_PATH),
    ("which leads to itself", network(routes=(TO_NAT,), exit_routes=(TO_NAT,)), NO_NETWORK_PATH),
    ("failed", network(routes=(TO_NAT,), nat={"available": False}), NO_NETWORK_PATH),
    ("on a condition", network(routes=(TO_NAT,), nat={"available": ON}), UNKNOWN),
    ("private", network(routes=(TO_NAT,), nat={"public": False}), NO_NETWORK_PATH),
    (
        "private, to a transit gateway",
        network(routes=(TO_NAT,), nat={"public": False}, exit_routes=(TO_TRANSIT,)),
        UNKNOWN,
    ),
    ("regional", network(routes=(TO_NAT,), nat={"subnet": None}), OPEN),
    (
        "regional, without an internet gateway",
        network(routes=(TO_NAT,), nat={"subnet": None}, vpc={"internet_gateways": ()}),
        UNKNOWN,
    ),
    (
        "regional, of another VPC",
        network(routes=(TO_NAT,), nat={"subnet": None, "vpc": MAYBE}),
        UNKNOWN,
    ),
    ("in a subnet by parameter", network(routes=(TO_NAT,), nat={"subnet": MAYBE}), UNKNOWN),
    ("by parameter", network(routes=(TO_NAT._replace(target=MAYBE),)), UNKNOWN),
    ("by id", network(routes=(TO_NAT._replace(target="nat-1"),)), UNKNOWN),
)  # fmt: skip
def test_nat_gateway(net: Network, expected: str) -> None:
    assert said(net) == expected


def test_what_decides_of_a_regional_nat_gateway_can_follow_depends_on() -> None:
    net = network(routes=(TO_NAT,), nat={"subnet": None}, vpc={"internet_gateways": ()})
    (decides,) = verdict(net).decides
    assert decides == (
        "whether the NAT gateway 'nat', to which the route table 'private' of the subnet 'here' "
        "leads, has a way out"
    )


def test_nat_gateway_in_a_vpc_that_is_not_seen() -> None:
    net = network(routes=(TO_NAT,))
    net.subnets["exit"] = net.subnets["exit"]._replace(vpc=MAYBE)
    assert verdict(net).decides == ("the parameter 'Maybe'",)


@table(
    ("both", network(endpoints=both()), OPEN),
    ("ssm alone", network(endpoints=both()[:1]), ENDPOINT_MISSING),
    ("ssmmessages alone", network(endpoints=both()[1:]), ENDPOINT_MISSING),
    ("ssm alone beside NAT", network(routes=(TO_NAT,), endpoints=both()[:1]), OPEN),
    ("ssm alone beside a transit gateway", network(routes=(TO_TRANSIT,), endpoints=both()[:1]),
     UNKNOWN),
    ("another service's", network(endpoints=(endpoint("kms"),)), NO_NETWORK_PATH),
    ("private DNS off", network(endpoints=both(private_dns=False)),
     f"{ENDPOINT_UNREACHABLE} {ENDPOINT_UNREACHABLE}"),
    ("private DNS off beside NAT", network(routes=(TO_NAT,), endpoints=both(private_dns=False)),
     OPEN),
    ("private DNS by parameter", network(endpoints=both(private_dns=MAYBE)), UNKNOWN),
    ("private DNS by parameter, beside NAT",
     network(routes=(TO_NAT,), endpoints=both(private_dns=MAYBE)), OPEN),
    ("no DNS host names", network(endpoints=both(), vpc={"dns_hostnames": False}),
     f"{ENDPOINT_UNREACHABLE} {ENDPOINT_UNREACHABLE}"),
    ("no DNS support", network(endpoints=both(), vpc={"dns_support": False}),
     f"{ENDPOINT_UNREACHABLE} {ENDPOINT_UNREACHABLE}"),
    ("own DNS servers", network(endpoints=both(), vpc={"resolver": MAYBE}), UNKNOWN),
    ("own DNS servers, and private DNS off",
     network(endpoints=both(private_dns=False), vpc={"resolver": MAYBE}), UNKNOWN),
    ("own DNS servers, and no endpoint", network(vpc={"resolver": MAYBE}), NO_NETWORK_PATH),
    ("own DNS servers, and both are open",
     network(routes=(TO_NAT,), endpoints=both(), vpc={"resolver": MAYBE}), UNKNOWN),
    ("on a condition", network(endpoints=both(exists=ON)), UNKNOWN),
    ("not available", network(endpoints=both(exists=False)), NO_NETWORK_PATH),
    ("a VPC whose endpoints are not seen", network(vpc={"complete": MAYBE}), UNKNOWN),
    ("a VPC whose endpoints are not seen, beside NAT",
     network(routes=(TO_NAT,), vpc={"complete": MAYBE}), UNKNOWN),
    ("endpoints beside others that are not seen",
     network(endpoints=both(), vpc={"complete": MAYBE}), OPEN),
    ("shut, before the NAT", network(routes=(TO_NAT,), endpoints=both(), inbound=()),
     f"{ENDPOINT_UNREACHABLE} {ENDPOINT_UNREACHABLE}"),
    ("shut, on a condition, beside NAT",
     network(routes=(TO_NAT,), endpoints=both(exists=ON), inbound=()), UNKNOWN),
    ("shut, on a condition, and no other way",
     network(endpoints=both(exists=ON), inbound=()), NO_NETWORK_PATH),
    ("in subnets by parameter", network(endpoints=both(subnets=(MAYBE,))), OPEN),
    ("in no subnet", network(endpoints=both(subnets=()), outbound=rules(THERE)), UNKNOWN),
    ("behind an appliance",
     network(endpoints=both(), routes=(Route(THERE, "elsewhere", name="the appliance"),)),
     UNKNOWN),
    ("behind an appliance by the main table alone",
     network(endpoints=both(), vpc={"main_table": "inspected"}), OPEN),
    ("beside an appliance",
     network(endpoints=both(),
             routes=(Route(cidr("10.0.9.0/24"), "elsewhere", name="the appliance"),)),
     OPEN),
)  # fmt: skip
def test_endpoints(net: Network, expected: str) -> None:
    assert said(net) == expected


ADMITTED_BY_SECOND = Unknown("whether the rule is there")


@pytest.mark.parametrize(
    ("inbound", "expected"),
    [
        (rules(ALL), OPEN),
        (rules(INSIDE), OPEN),
        (rules(HERE), OPEN),
        (rules(cidr("10.0.1.0/25"), cidr("10.0.1.128/25")), OPEN),
        (rules(cidr("10.0.1.0/25")), UNKNOWN),
        (rules(THERE), ENDPOINT_UNREACHABLE),
        (rules(ABROAD), ENDPOINT_UNREACHABLE),
        (rules(GroupPeer("own")), OPEN),
        (rules(GroupPeer("admits")), ENDPOINT_UNREACHABLE),
        (rules(GroupPeer(MAYBE)), UNKNOWN),
        (rules(PrefixList("pl-1")), UNKNOWN),
        (rules(PrefixList("pl-1", "s3")), ENDPOINT_UNREACHABLE),
        (rules(MAYBE), UNKNOWN),
        (rules(INSIDE, exists=MAYBE), UNKNOWN),
        (rules(ABROAD, exists=MAYBE), ENDPOINT_UNREACHABLE),
        (rules(GroupPeer("own"), exists=MAYBE), UNKNOWN),
        ((), ENDPOINT_UNREACHABLE),
        ((*rules(ABROAD), *rules(GroupPeer("own"))), OPEN),
    ],
)
def test_what_the_groups_of_an_endpoint_admit(inbound: tuple[Rule, ...], expected: str) -> None:
    net = network(endpoints=both(), inbound=inbound)
    assert said(net, services=("ssm",)) == expected


@pytest.mark.parametrize(
    ("subnet_range", "vpc_ranges", "inbound", "expected"),
    [
        (MAYBE, (INSIDE,), INSIDE, OPEN),
        (MAYBE, (INSIDE, ABROAD), INSIDE, UNKNOWN),
        (MAYBE, (INSIDE,), ABROAD, ENDPOINT_UNREACHABLE),
        (MAYBE, (Unknown("the VPC's range"),), ABROAD, UNKNOWN),
        (MAYBE, (MAYBE,), MAYBE, OPEN),
        (MAYBE, (), HERE, UNKNOWN),
        (HERE, (Unknown("the VPC's range"),), Unknown("the VPC's range"), OPEN),
        (HERE, (Unknown("the VPC's range"), ABROAD), Unknown("the VPC's range"), UNKNOWN),
        (HERE, (Unknown("the VPC's range"),), Unknown("another range"), UNKNOWN),
    ],
)
def test_ranges_that_the_deployment_decides(
    subnet_range: Range, vpc_ranges: tuple[Range, ...], inbound: Range, expected: str
) -> None:
    net = network(
        endpoints=both(),
        inbound=rules(inbound),
        vpc={"ranges": vpc_ranges},
        subnet={"range": subnet_range},
    )
    assert said(net, services=("ssm",)) == expected


@pytest.mark.parametrize(
    ("outbound", "by_nat", "by_endpoint"),
    [
        (rules(ALL), OPEN, OPEN),
        (rules(cidr("0.0.0.0/1"), cidr("128.0.0.0/1")), OPEN, OPEN),
        (rules(cidr("0.0.0.0/1")), UNKNOWN, OPEN),
        (rules(cidr("52.0.0.0/8")), UNKNOWN, EGRESS_CLOSED),
        (rules(INSIDE), EGRESS_CLOSED, OPEN),
        (rules(cidr("10.0.0.0/8"), cidr("100.64.0.0/10")), EGRESS_CLOSED, OPEN),
        (rules(HERE), EGRESS_CLOSED, EGRESS_CLOSED),
        (rules(GroupPeer("admits")), EGRESS_CLOSED, OPEN),
        (rules(GroupPeer("own")), EGRESS_CLOSED, EGRESS_CLOSED),
        (rules(GroupPeer(MAYBE)), EGRESS_CLOSED, UNKNOWN),
        (rules(PrefixList("pl-1")), UNKNOWN, UNKNOWN),
        (rules(PrefixList("pl-1", "s3")), EGRESS_CLOSED, EGRESS_CLOSED),
        (rules(MAYBE), UNKNOWN, UNKNOWN),
        (rules(ALL, exists=MAYBE), UNKNOWN, UNKNOWN),
        (rules(ALL, exists=False), EGRESS_CLOSED, EGRESS_CLOSED),
        ((), EGRESS_CLOSED, EGRESS_CLOSED),
    ],
)
def test_what_the_groups_of_the_compute_let_out(
    outbound: tuple[Rule, ...], by_nat: str, by_endpoint: str
) -> None:
    nat = network(routes=(TO_NAT,), outbound=outbound)
    endpoints = network(endpoints=both(), outbound=outbound)
    assert [said(nat), said(endpoints)] == [by_nat, by_endpoint]


def test_rules_of_several_groups_add_up() -> None:
    net = network(routes=(TO_NAT,), outbound=rules(ALL))
    assert said(net, PLACE._replace(groups=("empty", "own"))) == OPEN
    assert said(net, PLACE._replace(groups=("empty",))) == EGRESS_CLOSED
    assert said(net, PLACE._replace(groups=("empty", "sg-1"))) == UNKNOWN
    assert said(net, PLACE._replace(groups=("own", MAYBE))) == OPEN


def test_a_group_whose_rules_are_not_all_seen() -> None:
    net = network(routes=(TO_NAT,))
    net.groups["own"] = SecurityGroup("own", complete=MAYBE)
    assert verdict(net).decides == ("the parameter 'Maybe'",)


def test_the_default_group_stands_where_none_is_given() -> None:
    apart = network(endpoints=both(groups=()))
    assert said(apart, PLACE._replace(groups=())) == OPEN  # a member of the same group
    assert said(apart).startswith(ENDPOINT_UNREACHABLE)
    assert said(network(routes=(TO_NAT,)), PLACE._replace(groups=())) == OPEN


def test_closed_groups_are_certain_wherever_the_subnet_is() -> None:
    net = network(outbound=())
    assert said(net, PLACE._replace(subnet=MAYBE)) == EGRESS_CLOSED
    assert verdict(network(), PLACE._replace(subnet=MAYBE)).decides == ("the parameter 'Maybe'",)
    assert verdict(network(), Placement("subnet-1")).decides == ("the subnet 'subnet-1'",)
    assert verdict(network(), Placement(7, ("own",))).decides == ("the subnet",)
    in_other = network(routes=(TO_NAT,), subnet={"vpc": "vpc-1"})
    assert verdict(in_other).decides == ("the VPC 'vpc-1'",)


DENY: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
ALLOW = DENY | {"Effect": "Allow"}
OWN = {"StringEquals": {"aws:PrincipalAccount": "111122223333"}}
OTHER = {"StringEquals": {"aws:PrincipalAccount": "444455556666"}}


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (ALLOW, OPEN),
        ([ALLOW | {"Principal": {"AWS": "*"}, "Resource": ["*"]}], OPEN),
        ([ALLOW | {"Action": "ssm:*"}], OPEN),
        ([ALLOW | {"Action": [*_needs.REGISTRATION.actions]}], OPEN),
        ([ALLOW | {"Action": "ssm:Get*"}], ENDPOINT_UNREACHABLE),
        ([ALLOW | {"Action": "ssm:Get*"}, ALLOW | {"Condition": "unreadable"}], UNKNOWN),
        ([ALLOW | {"Condition": {}}], OPEN),
        ([ALLOW | {"Condition": {"Bool": {"aws:SecureTransport": "true"}}}], OPEN),
        ([ALLOW, DENY | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}], OPEN),
        ([ALLOW, DENY | {"Condition": {"Bool": {"aws:SecureTransport": True}}}],
         ENDPOINT_UNREACHABLE),
        ([ALLOW | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}],
         ENDPOINT_UNREACHABLE),
        ([ALLOW | {"Condition": {"Bool": {}}}], UNKNOWN),
        ([], ENDPOINT_UNREACHABLE),
        ([ALLOW, DENY], ENDPOINT_UNREACHABLE),
        ([ALLOW, DENY | {"Action": "s3:*"}], OPEN),
        ([ALLOW, DENY | {"Condition": OTHER}], UNKNOWN),
        ([ALLOW, DENY | {"Principal": {"AWS": "444455556666"}}], UNKNOWN),
        ([ALLOW, DENY | {"Resource": "arn:aws:ec2:eu-west-1:111122223333:instance/i-1"}], UNKNOWN),
        ([ALLOW | {"Condition": OWN}], OPEN),
        ([ALLOW | {"Condition": OTHER}], UNKNOWN),
        ([ALLOW, {"Effect": "Deny", "Principal": "*", "NotAction": "ssm:*", "Resource": "*"}],
         OPEN),
        ([{"Effect": "Allow", "Principal": "*", "NotAction": "s3:*", "Resource": "*"}], OPEN),
        ([ALLOW | {"Action": {"Ref": "Action"}}], UNKNOWN),
        ([{"Fn::If": ["Production", ALLOW, DENY]}], UNKNOWN),
        ({"Fn::If": ["Production", ALLOW, DENY]}, UNKNOWN),
        ("unreadable", UNKNOWN),
        ([ALLOW | {"Effect": {"Ref": "Effect"}}], UNKNOWN),
    ],
)  # fmt: skip
def test_policy_of_an_endpoint(statements: object, expected: str) -> None:
    policy = {"Statement": statements}
    closed = endpoint("ssm", policy=policy, own_account=("111122223333",))
    assert said(network(endpoints=(closed,)), services=("ssm",)) == expected


def test_policy_that_can_not_be_read() -> None:
    by_parameter = endpoint("ssm", policy="unreadable")
    net = network(endpoints=(by_parameter,))
    assert verdict(net, services=("ssm",)).decides == ("the policy of the endpoint 'ssm'",)


GATEWAY = Endpoint("gw", "gw", "s3", gateway=True, tables=("private",))


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (network(endpoints=(GATEWAY,)), OPEN),
        (network(endpoints=(GATEWAY._replace(tables=("other",)),)), ENDPOINT_MISSING),
        (network(endpoints=(GATEWAY._replace(tables=("other", MAYBE)),)), UNKNOWN),
        (network(endpoints=(GATEWAY._replace(tables=()),), routes=(TO_NAT,)), OPEN),
        (network(endpoints=(GATEWAY._replace(exists=ON),)), UNKNOWN),
        (network(endpoints=(GATEWAY._replace(exists=False),)), ENDPOINT_MISSING),
        (network(endpoints=(GATEWAY,), subnet={"table": None}), ENDPOINT_MISSING),
        (network(endpoints=(GATEWAY,), subnet={"table": "public"}), ENDPOINT_MISSING),
        (
            network(endpoints=(GATEWAY._replace(tables=("main",)),), subnet={"table": None},
                    vpc={"main_table": "main"}),
            OPEN,
        ),
        (network(endpoints=(GATEWAY,), subnet={"table": MAYBE}), UNKNOWN),
        (network(endpoints=(GATEWAY,), outbound=rules(PrefixList("pl-1", "s3"))), OPEN),
        (network(endpoints=(GATEWAY,), outbound=rules(INSIDE)), EGRESS_CLOSED),
        (network(endpoints=(GATEWAY._replace(policy={"Statement": [DENY]}),)),
         ENDPOINT_UNREACHABLE),
        (network(endpoints=(GATEWAY._replace(policy={"Statement": [DENY]}),), routes=(TO_NAT,)),
         ENDPOINT_UNREACHABLE),
        (network(endpoints=(GATEWAY,), vpc={"dns_support": False}), UNKNOWN),
        (network(endpoints=(GATEWAY, endpoint("s3", groups=("empty",)))), ENDPOINT_UNREACHABLE),
        (network(endpoints=(GATEWAY, endpoint("s3", private_dns=False))), OPEN),
        (network(endpoints=(endpoint("s3"),)), OPEN),
        (network(), ENDPOINT_MISSING),
    ],
)  # fmt: skip
def test_gateway_of_s3(net: Network, expected: str) -> None:
    assert said(net, services=("s3",)) == expected


def test_gateway_of_s3_is_no_way_to_anything_else() -> None:
    assert said(network(endpoints=(GATEWAY,))) == NO_NETWORK_PATH


@pytest.mark.parametrize(
    ("zone", "endpoints", "expected"),
    [
        (Zone("z", "ssm", "ssm"), (endpoint("ssm", private_dns=False),), OPEN),
        (Zone("z", "ssm", "ssm"), (endpoint("ssm", private_dns=False, groups=("empty",)),),
         ENDPOINT_UNREACHABLE),
        (Zone("z", "ssm", "ssm", ON), (endpoint("ssm", private_dns=False),), UNKNOWN),
        (Zone("z", "kms", "ssm"), (endpoint("ssm", private_dns=False),), ENDPOINT_UNREACHABLE),
        (Zone("z", "ssm", MAYBE), (endpoint("ssm", private_dns=False),), UNKNOWN),
        (Zone("z", "ssm", "vpce-1"), (), UNKNOWN),
    ],
)  # fmt: skip
def test_hosted_zone_of_ones_own_stands_in_for_private_dns(
    zone: Zone, endpoints: tuple[Endpoint, ...], expected: str
) -> None:
    net = network(endpoints=endpoints, vpc={"zones": ByService((zone,))})
    assert said(net, services=("ssm",)) == expected


def test_hosted_zone_decides_before_the_nat() -> None:
    net = network(routes=(TO_NAT,), vpc={"zones": ByService((Zone("z", "ssm", MAYBE),))})
    assert verdict(net).decides == ("where the hosted zone 'z' leads",)


OUT = AclEntry(100, egress=True, allows=True, range=ALL, ports=(443, 443))
BACK = AclEntry(100, egress=False, allows=True, range=ALL, ports=(1024, 65535))
IN = OUT._replace(egress=False)
ANSWER = BACK._replace(egress=True)


@pytest.mark.parametrize(
    ("entries", "by_nat", "by_endpoint"),
    [
        ((OUT, BACK), OPEN, OPEN),
        ((OUT,), NO_NETWORK_PATH, NO_NETWORK_PATH),
        ((BACK,), NO_NETWORK_PATH, NO_NETWORK_PATH),
        ((), NO_NETWORK_PATH, NO_NETWORK_PATH),
        ((OUT._replace(range=INSIDE), BACK._replace(range=INSIDE)), NO_NETWORK_PATH, OPEN),
        ((OUT, BACK._replace(ports=(32768, 65535))), UNKNOWN, UNKNOWN),
        ((OUT, BACK, OUT._replace(number=99, allows=False)), NO_NETWORK_PATH, NO_NETWORK_PATH),
        ((OUT, BACK, OUT._replace(number=101, allows=False)), OPEN, OPEN),
        ((OUT, BACK, OUT._replace(number=99, allows=False, range=ABROAD)), OPEN, OPEN),
        ((OUT, BACK, OUT._replace(number=99, allows=False, range=cidr("52.0.0.0/8"))),
         UNKNOWN, OPEN),
        ((OUT, BACK, OUT._replace(number=99, allows=False, range=MAYBE)), UNKNOWN, UNKNOWN),
        ((OUT, BACK, OUT._replace(number=99, allows=False, ports=(22, 22))), OPEN, OPEN),
    ],
)  # fmt: skip
def test_network_acl(entries: tuple[AclEntry, ...], by_nat: str, by_endpoint: str) -> None:
    own = {"acl": NetworkAcl("acl", entries)}
    nat = network(routes=(TO_NAT,), subnet=own)
    endpoints = network(endpoints=(endpoint("ssm"),), subnet=own)
    assert [said(nat), said(endpoints, services=("ssm",)).replace(ENDPOINT_MISSING,
            NO_NETWORK_PATH)] == [by_nat, by_endpoint]  # fmt: skip


@pytest.mark.parametrize(
    ("acl", "expected"),
    [
        (NetworkAcl("acl", (IN, ANSWER)), OPEN),
        (NetworkAcl("acl", (IN,)), NO_NETWORK_PATH),
        (NetworkAcl("acl", (OUT, BACK)), NO_NETWORK_PATH),
        (MAYBE, UNKNOWN),
    ],
)
def test_network_acl_of_the_endpoints_subnet(acl: NetworkAcl | Unknown, expected: str) -> None:
    net = network(endpoints=both())
    net.subnets["there"] = net.subnets["there"]._replace(acl=acl)
    assert said(net) == expected


def test_network_acl_is_not_between_an_endpoint_and_an_instance_of_one_subnet() -> None:
    shut = {"acl": NetworkAcl("acl", ())}
    assert said(network(endpoints=both(subnets=("here",)), subnet=shut)) == OPEN
    assert said(network(endpoints=both(subnets=("here", "there")), subnet=shut)) == UNKNOWN
    assert said(network(endpoints=both(subnets=("there",)), subnet=shut)) == NO_NETWORK_PATH


def test_network_acl_of_the_nat_gateways_subnet() -> None:
    net = network(routes=(TO_NAT,))
    for entries, expected in (
        ((OUT, BACK, IN, ANSWER._replace(number=101)), OPEN),
        ((OUT, BACK), NO_NETWORK_PATH),
        ((IN, ANSWER), NO_NETWORK_PATH),
    ):
        acl = NetworkAcl("acl", entries)
        net.subnets["exit"] = net.subnets["exit"]._replace(acl=acl)
        assert said(net) == expected


def test_another_interface_may_offer_another_way() -> None:
    assert said(network(), PLACE._replace(other_interfaces=True)) == UNKNOWN
    assert said(network(routes=(TO_NAT,)), PLACE._replace(other_interfaces=True)) == OPEN


def test_nothing_is_known_of_compute_without_a_place() -> None:
    assert Judge(network(routes=(TO_NAT,))).judge([]).decides == ("where the compute is",)


def test_the_worst_place_is_the_verdict() -> None:
    net = network(routes=(TO_NAT,))
    private, isolated, elsewhere = PLACE, Placement("there", ("own",)), Placement(MAYBE, ("own",))
    assert said(net, private, elsewhere) == UNKNOWN
    assert said(net, private, elsewhere, isolated) == NO_NETWORK_PATH
    judge = Judge(net)
    assert judge.judge([private]) is not judge.judge([isolated])
    assert judge.judge([private]) == judge.judge([private, private])
    found = verdict(net, private, isolated)
    assert found.state is State.CLOSED
    assert {path.state for path in found.paths.values()} == {State.CLOSED}
    assert "subnet 'there'" in found.problems[0].why


SERVICES = ("ssm", "ssmmessages", "kms", "logs", "s3")


@pytest.mark.parametrize(
    ("endpoints", "problems"),
    [
        ((), [(NO_NETWORK_PATH, SERVICES)]),
        ((endpoint("kms"),), [(NO_NETWORK_PATH, ("ssm", "ssmmessages", "logs", "s3"))]),
        (both(), [(ENDPOINT_MISSING, ("kms", "logs", "s3"))]),
        (both()[:1], [(ENDPOINT_MISSING, ("ssmmessages", "kms", "logs", "s3"))]),
        (
            (endpoint("ssm", groups=("empty",)), endpoint("kms"), endpoint("logs"), GATEWAY),
            [(ENDPOINT_UNREACHABLE, ("ssm",)), (ENDPOINT_MISSING, ("ssmmessages",))],
        ),
        (
            (*both(private_dns=MAYBE), endpoint("kms")),
            [(ENDPOINT_MISSING, ("logs", "s3"))],
        ),
    ],
)
def test_one_cause_is_one_problem(
    endpoints: tuple[Endpoint, ...], problems: list[tuple[str, tuple[str, ...]]]
) -> None:
    found = verdict(network(endpoints=endpoints), services=SERVICES).problems
    assert [(problem.cause, problem.services) for problem in found] == problems


ISOLATED = "the route table 'private' of the subnet 'here'"


@pytest.mark.parametrize(
    ("net", "subject", "why"),
    [
        (
            network(),
            None,
            (
                f"{ISOLATED} has no default route, and no VPC endpoint of `ssm` and `ssmmessages` "
                "serves it"
            ),
        ),
        (
            network(endpoints=both()[:1]),
            None,
            f"{ISOLATED} has no default route, and no VPC endpoint of `ssmmessages` serves it",
        ),
        (
            network(routes=(TO_INTERNET,)),
            None,
            (
                f"{ISOLATED} leads to an internet gateway, which needs a public IPv4 address, and "
                "no VPC endpoint of `ssm` and `ssmmessages` serves it"
            ),
        ),
        (
            network(routes=(BLACKHOLE,)),
            None,
            (
                f"the default route of {ISOLATED} is a blackhole, and no VPC endpoint of `ssm` and "
                "`ssmmessages` serves it"
            ),
        ),
        (
            network(routes=(TO_NAT,), exit_routes=()),
            None,
            (
                f"the NAT gateway 'nat', to which {ISOLATED} leads, has no way out itself: the "
                "route table 'public' of the subnet 'exit' has no default route, and no "
                "VPC endpoint of `ssm` and `ssmmessages` serves it"
            ),
        ),
        (
            network(routes=(TO_NAT,), outbound=()),
            None,
            "no rule of the security group 'own' lets TCP 443 out",
        ),
        (
            network(routes=(TO_NAT,), outbound=rules(INSIDE)),
            None,
            (
                "no rule of the security group 'own' lets TCP 443 out to the public addresses "
                "of `ssm` and `ssmmessages`"
            ),
        ),
        (
            network(endpoints=both(), outbound=rules(HERE)),
            None,
            (
                "no rule of the security group 'own' lets TCP 443 out to the VPC endpoint of "
                "`ssm` and `ssmmessages`"
            ),
        ),
        (
            network(endpoints=(endpoint("ssm"), endpoint("ssmmessages", groups=("empty",)))),
            "ssmmessages",
            (
                "no rule of the security group 'empty' of the endpoint 'ssmmessages' admits "
                "TCP 443 from the security group 'own' or the subnet 'here'"
            ),
        ),
        (
            network(endpoints=(endpoint("ssm"), endpoint("ssmmessages", private_dns=False))),
            "ssmmessages",
            (
                f"the endpoint 'ssmmessages' has its private DNS off, and {ISOLATED} has "
                "no default route"
            ),
        ),
        (
            network(
                endpoints=(endpoint("ssm", private_dns=False), endpoint("ssmmessages")),
                vpc={"dns_hostnames": False, "zones": ByService((Zone("z", "ssm", "ssm"),))},
            ),
            "ssmmessages",
            (
                "the VPC 'vpc' lacks the DNS support or the DNS host names that the endpoint "
                f"'ssmmessages' needs, and {ISOLATED} has no default route"
            ),
        ),
        (
            network(
                endpoints=(endpoint("ssm"), endpoint("ssmmessages", policy={"Statement": [DENY]}))
            ),
            "ssmmessages",
            (
                "the policy of the endpoint 'ssmmessages' does not allow "
                "ssmmessages:CreateControlChannel, ssmmessages:CreateDataChannel, "
                "ssmmessages:OpenControlChannel and ssmmessages:OpenDataChannel"
            ),
        ),
    ],
)
def test_why(net: Network, subject: str | None, why: str) -> None:
    (problem,) = verdict(net).problems
    assert problem.why == why
    assert problem.subject == subject


def test_groups_that_are_not_seen_have_no_names() -> None:
    net = network(endpoints=both(), inbound=rules(ABROAD))
    found = verdict(net, PLACE._replace(groups=(MAYBE,)), services=("ssm",))
    assert "from the compute's security groups or the subnet 'here'" in found.problems[0].why


def test_several_groups_are_named_in_the_plural() -> None:
    (problem,) = verdict(network(), PLACE._replace(groups=("own", "empty"))).problems[:1]
    assert problem.cause == NO_NETWORK_PATH
    (problem,) = verdict(network(outbound=()), PLACE._replace(groups=("own", "empty"))).problems
    assert problem.why == "no rule of the security groups 'own' and 'empty' lets TCP 443 out"


@pytest.mark.parametrize(
    ("protocol", "low", "high", "expected"),
    [
        ("-1", None, None, True),
        (-1, None, None, True),
        ("tcp", 443, 443, True),
        ("TCP", "443", "443", True),
        (6, 0, 65535, True),
        ("tcp", 80, 442, False),
        ("tcp", 444, {"Ref": "High"}, False),
        ("tcp", {"Ref": "Low"}, 80, False),
        ("tcp", {"Ref": "Low"}, 443, None),
        ("tcp", 443, {"Ref": "High"}, None),
        ("tcp", None, None, None),
        ("tcp", "4" * 5_000, 443, None),  # more digits than Python turns into a number
        ("udp", 443, 443, False),
        ("icmp", -1, -1, False),
        ({"Ref": "Protocol"}, 443, 443, None),
    ],
)
def test_rules_that_let_https_pass(
    protocol: object, low: object, high: object, expected: object
) -> None:
    assert admits_https(protocol, low, high) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("com.amazonaws.eu-west-1.ssm", ("ssm", False)),
        ("com.amazonaws.us-east-1.ssm-fips", ("ssm", True)),
        ("cn.com.amazonaws.cn-north-1.ssmmessages", ("ssmmessages", False)),
    ],
)
def test_service_of_an_endpoint(name: str, expected: tuple[str, bool]) -> None:
    assert service_of(name) == expected


def test_facts() -> None:
    assert any_of([False, MAYBE, ON]) == MAYBE
    assert any_of([False, ON]) is ON
    assert any_of([MAYBE, True]) is True
    assert any_of([]) is False
    assert all_of([True, MAYBE, ON]) == MAYBE
    assert all_of([True, ON]) is ON
    assert all_of([MAYBE, False]) is False
    assert all_of([]) is True
