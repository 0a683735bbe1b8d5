"""Which network paths the judge calls open, closed or unknown.

Each table is about one rule. Draws make networks of which each part is known, and judge them by
packets: `readiness/test_verdicts.py`. Templates make those of which something is unknown:
`readiness/test_network.py`. The rows here are about what neither has.
"""

from ipaddress import IPv4Network
from typing import Any, Final

import pytest
from syrupy.assertion import SnapshotAssertion

from session_manager_permissions import _needs
from session_manager_permissions._network.ec2 import admits_https
from session_manager_permissions._network.facts import Fact, Unknown
from session_manager_permissions._network.judge import Judge
from session_manager_permissions._network.model import (
    OTHER_INTERFACE,
    Endpoint,
    GroupPeer,
    NatGateway,
    Network,
    Peer,
    Placement,
    PrefixList,
    Route,
    RouteTable,
    Rule,
    SecurityGroup,
    Subnet,
    Vpc,
    Zone,
    by_service,
)
from session_manager_permissions._network.verdicts import (
    ALWAYS_NEEDED,
    EGRESS_CLOSED,
    ENDPOINT_MISSING,
    ENDPOINT_UNREACHABLE,
    NO_NETWORK_PATH,
    PathVerdict,
)

from .readiness.judging import rows
from .readiness.test_what_findings_say import Text

OPEN, UNKNOWN = "open", "unknown"
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
TO_CENTER, TO_PEERS = (
    TO_TRANSIT._replace(destination=cidr(one)) for one in ("10.8.0.0/16", "10.0.0.0/8")
)
LOCAL = Route(INSIDE, "local")
BLACKHOLE = Route(ALL, "nowhere")


def endpoint(service: str, **changes: Any) -> Endpoint:  # noqa: ANN401
    given = {"private_dns": True, "subnets": ("there",), "groups": ("admits",), **changes}
    return Endpoint(service, service, service, **given)


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

    The routes are those of `here`, outbound rules those of the compute's group `own`, and inbound
    rules those of the endpoints' group `admits`. The rest is what differs in the VPC, in `here`, in
    the NAT gateway, in the route table of `here`, and the routes of `exit`.
    """
    return Network(
        vpcs={
            "vpc": Vpc(
                "vpc",
                (INSIDE,),
                endpoints=by_service(endpoints),
                internet_gateways=(("igw", True),),
                default_group="default",
            )._replace(**(vpc or {}))
        },
        subnets={
            "here": Subnet("here", "here", "vpc", HERE, table="private")._replace(**(subnet or {})),
            "there": Subnet("there", "there", "vpc", THERE),
            "exit": Subnet("exit", "exit", "vpc", cidr("10.0.3.0/24"), table="public"),
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
    net: Network, *places: Placement, services: tuple[str, ...] = ALWAYS_NEEDED
) -> PathVerdict:
    return Judge(net).judge(places or (PLACE,), services)


def state_of(found: PathVerdict) -> str:
    return "closed" if found.closed else UNKNOWN if found.decides else OPEN


def said(net: Network, *places: Placement, services: tuple[str, ...] = ALWAYS_NEEDED) -> str:
    """The state, or each cause once where it is closed."""
    found = verdict(net, *places, services=services)
    return " ".join(dict.fromkeys(one.cause for one in found.problems)) or state_of(found)


def by_nat(**changes: Any) -> Network:  # noqa: ANN401
    return network(routes=(TO_NAT,), **changes)


def by_endpoints(changes: dict[str, Any], **more: Any) -> Network:  # noqa: ANN401
    """Both endpoints with changes."""
    return network(endpoints=both(**changes), **more)


def by_address(**changes: Any) -> Network:  # noqa: ANN401
    given = {"routes": (TO_INTERNET,), "subnet": {"public_addresses": True}, **changes}
    return network(**given)


TO_DYNAMODB: Final = TO_TRANSIT._replace(destination=PrefixList("pl-1", "dynamodb"))
BEYOND: Final[list[tuple[str, Peer, str]]] = [
    ("all", ALL, UNKNOWN),
    ("the range of the VPC", INSIDE, NO_NETWORK_PATH),
    ("a range of others", ABROAD, NO_NETWORK_PATH),
    ("a group by id", GroupPeer("sg-1"), UNKNOWN),
    ("the own group", GroupPeer("own"), NO_NETWORK_PATH),
    ("a prefix list", PrefixList("pl-1"), UNKNOWN),
    ("IPv6", "ipv6", EGRESS_CLOSED),
]
BY_IPV6, WITHIN_BY_IPV6 = (one._replace(destination="ipv6") for one in (TO_INTERNET, LOCAL))
PROPAGATED: Final = Route(MAYBE, "elsewhere", name="vgw")
SOME_DROPPED, ABROAD_DROPPED = (
    BLACKHOLE._replace(destination=one) for one in (cidr("52.0.0.0/8"), ABROAD)
)


PATHS: Final[list[tuple[str, Network, str]]] = [
    ("NAT", by_nat(), OPEN),
    ("nothing", network(), NO_NETWORK_PATH),
    ("IPv6 within the VPC alone", network(routes=(WITHIN_BY_IPV6,), subnet={"ipv6": True}),
     NO_NETWORK_PATH),
    ("IPv6 beside NAT", network(routes=(TO_NAT, BY_IPV6), subnet={"ipv6": True}), OPEN),
    ("a blackhole", network(routes=(BLACKHOLE,)), NO_NETWORK_PATH),
    ("a blackhole for some addresses", network(routes=(TO_NAT, SOME_DROPPED)), UNKNOWN),
    ("a blackhole for private addresses", network(routes=(TO_NAT, ABROAD_DROPPED)), OPEN),
    *((f"a peered VPC, and {what} let out to",
       network(routes=(TO_CENTER,), outbound=rules(peer)), expected)
      for what, peer, expected in BEYOND),
    ("peered VPCs, and this one let out to", network(routes=(TO_PEERS,), outbound=rules(INSIDE)),
     NO_NETWORK_PATH),
    ("the prefix list of another service", network(routes=(TO_NAT, TO_DYNAMODB)), OPEN),
    ("the prefix list of another service alone", network(routes=(TO_DYNAMODB,)), NO_NETWORK_PATH),
    ("propagated routes beside NAT", network(routes=(TO_NAT, PROPAGATED)), UNKNOWN),
    ("main table", network(vpc={"main_table": "main"}, subnet={"table": None}), OPEN),
    ("main table without routes", network(subnet={"table": None}), NO_NETWORK_PATH),
    ("main table not seen", network(vpc={"main_table": MAYBE}, subnet={"table": None}), UNKNOWN),
    ("a table over the main one", network(vpc={"main_table": "main"}), NO_NETWORK_PATH),

    ("address by parameter", by_address(subnet={"public_addresses": MAYBE}), UNKNOWN),
    ("another gateway attached", by_address(routes=(TO_INTERNET._replace(target="igw-2"),)),
     NO_NETWORK_PATH),

    ("a route to a gateway by parameter", by_address(routes=(TO_INTERNET._replace(target=MAYBE),)),
     UNKNOWN),
    ("NAT that leads to itself", by_nat(exit_routes=(TO_NAT,)), NO_NETWORK_PATH),
    ("NAT that failed", by_nat(nat={"available": False}), NO_NETWORK_PATH),
    ("private NAT, to a transit gateway", by_nat(nat={"public": False}, exit_routes=(TO_TRANSIT,)),
     UNKNOWN),
    ("regional NAT of another VPC", by_nat(nat={"subnet": None, "vpc": MAYBE}), UNKNOWN),
    ("NAT in a subnet by parameter", by_nat(nat={"subnet": MAYBE}), UNKNOWN),

    ("another service's", network(endpoints=(endpoint("kms"),)), NO_NETWORK_PATH),
    ("private DNS by parameter, beside NAT",
     by_endpoints({"private_dns": MAYBE}, routes=(TO_NAT,)), OPEN),
    ("not available", by_endpoints({"exists": False}), NO_NETWORK_PATH),
    ("endpoints beside others that are not seen", by_endpoints({}, vpc={"complete": MAYBE}), OPEN),
    ("behind an appliance", by_endpoints({}, routes=(Route(THERE, "elsewhere"),)), UNKNOWN),
    ("behind an appliance by the main table alone",
     by_endpoints({}, vpc={"main_table": "inspected"}), OPEN),
    ("beside an appliance", by_endpoints({}, routes=(Route(cidr("10.0.9.0/24"), "elsewhere"),)),
     OPEN),
]  # fmt: skip


@pytest.mark.parametrize(("net", "expected"), rows(PATHS))
def test_routes_and_endpoints(net: Network, expected: str) -> None:
    assert said(net) == expected


@pytest.mark.parametrize(("inbound", "expected"), [
    (rules(cidr("10.0.1.0/25"), cidr("10.0.1.128/25")), OPEN),
    (rules(ABROAD, exists=MAYBE), ENDPOINT_UNREACHABLE),
    (rules(GroupPeer("own"), exists=MAYBE), UNKNOWN),
    ((*rules(ABROAD), *rules(GroupPeer("own"))), OPEN),
])  # fmt: skip
def test_what_the_groups_of_an_endpoint_admit(inbound: tuple[Rule, ...], expected: str) -> None:
    assert said(by_endpoints({}, inbound=inbound), services=("ssm",)) == expected


@pytest.mark.parametrize(("outbound", "to_nat", "to_endpoints"), [
    (rules(cidr("10.0.0.0/8"), cidr("100.64.0.0/10")), EGRESS_CLOSED, OPEN),
    (rules(GroupPeer("own")), EGRESS_CLOSED, EGRESS_CLOSED),
    (rules(GroupPeer(MAYBE)), EGRESS_CLOSED, UNKNOWN),
    (rules(PrefixList("pl-1")), UNKNOWN, UNKNOWN),
    (rules(PrefixList("pl-1", "s3")), EGRESS_CLOSED, EGRESS_CLOSED),
    (rules(MAYBE), UNKNOWN, UNKNOWN),
    (rules(ALL, exists=MAYBE), UNKNOWN, UNKNOWN),
    (rules(ALL, exists=False), EGRESS_CLOSED, EGRESS_CLOSED),
    (rules(cidr("0.0.0.0/1")) + rules(cidr("128.0.0.0/1"), exists=MAYBE), UNKNOWN, OPEN),
    (rules(cidr("0.0.0.0/1"), cidr("128.0.0.0/1")), OPEN, OPEN),
])  # fmt: skip
def test_what_the_groups_of_the_compute_let_out(
    outbound: tuple[Rule, ...], to_nat: str, to_endpoints: str
) -> None:
    assert said(by_nat(outbound=outbound)) == to_nat
    assert said(by_endpoints({}, outbound=outbound)) == to_endpoints


WITHOUT_ADDRESS: Final = by_address(subnet={"public_addresses": False})


@pytest.mark.parametrize(("net", "changes", "expected"), [
    (by_nat(), {"groups": ("empty", "own")}, OPEN),
    (by_nat(), {"groups": ("empty",)}, EGRESS_CLOSED),
    (by_nat(), {"groups": ("empty", "sg-1")}, UNKNOWN),
    (network(routes=(TO_CENTER,)), {"groups": ("sg-1",)}, UNKNOWN),
    (by_nat(), {"groups": ("own", MAYBE)}, OPEN),
    (by_nat(), {"groups": ()}, OPEN),  # the default one, which admits its own members alone
    (by_endpoints({"groups": ()}), {"groups": ()}, OPEN),
    (by_endpoints({"groups": ()}), {}, ENDPOINT_UNREACHABLE),
    (by_nat(), {"changed_by": OTHER_INTERFACE}, OPEN),
    (network(), {"changed_by": OTHER_INTERFACE}, UNKNOWN),
    (network(outbound=()), {"subnet": MAYBE}, EGRESS_CLOSED),
    # The compute decides about its address before the subnet.
    (WITHOUT_ADDRESS, {"public_address": True}, OPEN),
    (WITHOUT_ADDRESS, {"public_address": MAYBE}, UNKNOWN),
    (WITHOUT_ADDRESS, {}, NO_NETWORK_PATH),
])  # fmt: skip
def test_place(net: Network, changes: dict[str, Any], expected: str) -> None:
    assert said(net, PLACE._replace(**changes)) == expected


def with_part(net: Network, kind: str, id_: str, **changes: Any) -> Network:  # noqa: ANN401
    """A network in which one part differs."""
    parts = getattr(net, kind)
    parts[id_] = parts[id_]._replace(**changes)
    return net


DENY: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
ALLOW = DENY | {"Effect": "Allow"}
OWN = {"StringEquals": {"aws:PrincipalAccount": "111122223333"}}
OTHER = {"StringEquals": {"aws:PrincipalAccount": "444455556666"}}


@pytest.mark.parametrize(("statements", "expected"), [
    ([ALLOW | {"Principal": {"AWS": "*"}, "Resource": ["*"]}], OPEN),
    ([ALLOW | {"Action": [*_needs.REGISTRATION.actions]}], OPEN),
    ([ALLOW | {"Action": "ssm:Get*"}, ALLOW | {"Condition": "unreadable"}], UNKNOWN),
    ([ALLOW, DENY | {"Condition": {"Bool": {"aws:SecureTransport": True}}}], ENDPOINT_UNREACHABLE),
    ([ALLOW | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}], ENDPOINT_UNREACHABLE),
    ([ALLOW, DENY | {"Condition": OTHER}], OPEN),
    ([ALLOW, DENY | {"Condition": OWN}], ENDPOINT_UNREACHABLE),
    ([ALLOW | {"Condition": OTHER}], ENDPOINT_UNREACHABLE),
    ([ALLOW, DENY | {"Principal": {"AWS": "444455556666"}}], UNKNOWN),
    ([ALLOW, DENY | {"Resource": "arn:aws:ec2:eu-west-1:111122223333:instance/i-1"}], UNKNOWN),
    ({"Fn::If": ["Production", ALLOW, DENY]}, UNKNOWN),
    ("unreadable", UNKNOWN),
])  # fmt: skip
def test_policy_of_an_endpoint(statements: object, expected: str) -> None:
    policy = {"Statement": statements}
    closed = endpoint("ssm", policy=policy, own_account="111122223333")
    assert said(network(endpoints=(closed,)), services=("ssm",)) == expected


GATEWAY = Endpoint("gw", "gw", "s3", gateway=True, tables=("private",))


def by_gateway(
    *more: Endpoint,
    of_network: dict[str, Any] | None = None,
    **changes: Any,  # noqa: ANN401
) -> Network:
    """A gateway endpoint with changes."""
    return network(endpoints=(GATEWAY._replace(**changes), *more), **(of_network or {}))


def in_table(table: str | Unknown | None) -> dict[str, Any]:
    return {"subnet": {"table": table}, "vpc": {"main_table": "main"}}


@pytest.mark.parametrize(("net", "expected"), [
    (by_gateway(tables=(), of_network={"routes": (TO_NAT,)}), OPEN),
    (by_gateway(exists=ON), UNKNOWN),
    (by_gateway(exists=False), ENDPOINT_MISSING),
    (by_gateway(of_network={"subnet": {"table": None}}), ENDPOINT_MISSING),
    (by_gateway(of_network=in_table("public")), ENDPOINT_MISSING),
    (by_gateway(tables=("main",), of_network=in_table(None)), OPEN),
    (by_gateway(of_network=in_table(MAYBE)), UNKNOWN),
    (by_gateway(of_network={"outbound": rules(PrefixList("pl-1", "s3"))}), OPEN),
    (by_gateway(of_network={"outbound": rules(INSIDE)}), EGRESS_CLOSED),
    (by_gateway(policy={"Statement": [DENY]}), ENDPOINT_UNREACHABLE),
    (by_gateway(policy={"Statement": [DENY]}, of_network={"routes": (TO_NAT,)}),
     ENDPOINT_UNREACHABLE),
    (by_gateway(of_network={"vpc": {"dns_support": False}}), UNKNOWN),
    (by_gateway(endpoint("s3", groups=("empty",))), ENDPOINT_UNREACHABLE),
    (by_gateway(endpoint("s3", private_dns=False)), OPEN),
    (network(endpoints=(endpoint("s3"),)), OPEN),
])  # fmt: skip
def test_gateway_of_s3(net: Network, expected: str) -> None:
    assert said(net, services=("s3",)) == expected


def test_the_worst_place_is_the_verdict() -> None:
    net = by_nat()
    private, isolated, elsewhere = PLACE, Placement("there", ("own",)), Placement(MAYBE, ("own",))
    assert said(net, private, elsewhere) == UNKNOWN
    assert said(net, private, elsewhere, isolated) == NO_NETWORK_PATH
    judge = Judge(net)
    assert judge.judge([private]) is not judge.judge([isolated])
    assert judge.judge([private]) == judge.judge([private, private])
    found = verdict(net, private, isolated)
    assert {*found.closed} == {*ALWAYS_NEEDED}
    assert "subnet 'there'" in found.problems[0].why


SERVICES = ("ssm", "ssmmessages", "kms", "logs", "s3")


Asked = tuple[Network, tuple[Placement, ...], tuple[str, ...]]


def asked(net: Network, *places: Placement, services: tuple[str, ...] = ALWAYS_NEEDED) -> Asked:
    return net, places or (PLACE,), services


def of_five(*endpoints: Endpoint) -> Asked:
    """Of five services, with these endpoints alone."""
    return asked(network(endpoints=endpoints), services=SERVICES)


# What the command says of the others is in the snapshot of `verify/test_what_checks_say.py`.
SAID: Final[dict[str, Asked]] = {
    "no endpoint of five services": of_five(),
    "an endpoint of a service that is not always needed": of_five(endpoint("kms")),
    "the endpoints of those that are always needed": of_five(*both()),
    "one of these": of_five(endpoint("ssm")),
    "a shut endpoint, and one that is missing": of_five(
        endpoint("ssm", groups=("empty",)), endpoint("kms"), endpoint("logs"), GATEWAY),
    "endpoints with private DNS by parameter": of_five(*both(private_dns=MAYBE), endpoint("kms")),
    "what lets out to the VPC, to NAT": asked(by_nat(outbound=rules(INSIDE))),
    "what lets out to the own subnet, to endpoints": asked(by_endpoints({}, outbound=rules(HERE))),
    "two groups that let nothing out": asked(
        network(outbound=()), PLACE._replace(groups=("own", "empty"))),
    "a group by parameter, and an endpoint that admits nothing": asked(
        network(endpoints=both(groups=("empty",))[:1]), PLACE._replace(groups=(MAYBE,))),
    "no place": (by_nat(), (), ALWAYS_NEEDED),
    "a subnet by parameter": asked(network(), PLACE._replace(subnet=MAYBE)),
    "a subnet by id": asked(network(), Placement("subnet-1")),
    "a subnet that has no name": asked(network(), Placement(7, ("own",))),
    "a VPC by id": asked(by_nat(subnet={"vpc": "vpc-1"})),
    "groups whose rules are not all seen": asked(
        with_part(by_nat(), "groups", "own", outbound=(), complete=MAYBE)),
    "NAT in a VPC by parameter": asked(with_part(by_nat(), "subnets", "exit", vpc=MAYBE)),
    "a hosted zone that leads nobody knows where": asked(
        by_nat(vpc={"zones": by_service((Zone("z", "ssm", MAYBE),))})),
    "a policy that can't be read": asked(
        network(endpoints=(endpoint("ssm", policy="unreadable"), endpoint("ssmmessages")))),
    "regional NAT without a gateway": asked(
        by_nat(nat={"subnet": None}, vpc={"internet_gateways": ()})),
}  # fmt: skip


def test_what_is_said_of_a_path(snapshot: SnapshotAssertion) -> None:
    page = []
    for name, (net, places, services) in SAID.items():
        found = Judge(net).judge(places, services)
        closed = (f"{one.cause} of {', '.join(one.services)}: {one.why}" for one in found.problems)
        open_ = (f"depends on {one}" for one in found.decides)
        page.append("\n  ".join([f"{name}: {state_of(found)}", *closed, *open_]))

    assert "\n\n".join([*page, ""]) == snapshot(extension_class=Text)


@pytest.mark.parametrize(("protocol", "low", "high", "expected"), [
    ("-1", None, None, True),
    (-1, None, None, True),
    (6, 0, 65535, True),
    ("tcp", 444, {"Ref": "High"}, False),
    ("tcp", {"Ref": "Low"}, 80, False),
    ("tcp", 443, {"Ref": "High"}, None),
    ("tcp", None, None, None),
    ("tcp", "4" * 5_000, 443, None),  # more digits than Python turns into a number
    ("tcp", "0673", "0673", None),  # which is 443 in octal
    ("06", 443, 443, None),
    ("17", 443, 443, False),
    ("udp", 443, 443, False),
    ("icmp", -1, -1, False),
    ({"Ref": "Protocol"}, 443, 443, None),
])  # fmt: skip
def test_rules_that_let_https_pass(
    protocol: object, low: object, high: object, expected: object
) -> None:
    assert admits_https(protocol, low, high) is expected
