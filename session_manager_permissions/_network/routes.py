"""Where the route tables lead from a subnet."""

from __future__ import annotations

from ipaddress import IPv4Network, collapse_addresses
from typing import TYPE_CHECKING, Final, NamedTuple

from .facts import Fact, Unknown, all_of, any_of
from .filters import acls_between, acls_to_public
from .model import RouteTable
from .place import PUBLIC, Place, decider, found, is_one_of, may_be_public
from .verdicts import (
    NO_NETWORK_PATH,
    OPEN,
    Path,
    Problem,
    State,
    either,
    through,
    unknown,
    unless,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .model import Endpoint, NatGateway, Range, Route, Subnet, Vpc

_NEVER: Final = "has no way out itself"


class Start(NamedTuple):
    """Where a path out starts: at the compute, or at a NAT gateway on the path."""

    subnet: Subnet
    vpc: Vpc
    address: Fact
    """Whether what starts there has a public IPv4 address."""
    seen: frozenset[Hashable] = frozenset()
    """The NAT gateways that the way has come through."""


def out_of(place: Place, start: Start) -> Path:
    """The way from a subnet to public addresses."""
    path = OPEN
    for table, of_subnet in _tables(place, start.subnet, start.vpc):
        by_table = (
            unknown(table.decides) if isinstance(table, Unknown) else _by_table(place, table, start)
        )
        path = either(of_subnet, by_table, path)
    return path if path.problems else through(path, acls_to_public(place, start.subnet))


def _tables(place: Place, subnet: Subnet, vpc: Vpc) -> list[tuple[RouteTable | Unknown, Fact]]:
    """Return the route tables that the subnet may use, each with whether it is in use.

    A table that is in use takes the place of those before it. One of the others is in use only if
    no later one is.
    """
    main = RouteTable(f"main route table of {vpc.name}")
    tables: list[tuple[RouteTable | Unknown, Fact]] = []
    table: RouteTable | Unknown
    for reference, exists in ((vpc.main_table, True), *subnet.tables):
        of_subnet = place.holds(exists)
        if of_subnet is True:
            tables.clear()
        if reference is None:
            table = main
        else:
            seen = found(place.network.tables, reference)
            table = seen or Unknown(decider(reference, "route table"))
        tables.append((table, of_subnet))
    return tables


def in_table(place: Place, endpoint: Endpoint, subnet: Subnet, vpc: Vpc) -> Fact:
    """Whether a gateway endpoint is in the route table of the subnet."""
    answer: Fact = False
    for reference, exists in ((vpc.main_table, True), *subnet.tables):
        there = is_one_of(reference, endpoint.tables) if reference is not None else False
        of_subnet = place.holds(exists)
        if of_subnet is True:
            answer = there
        elif there is not answer:
            answer = of_subnet
    return all_of((place.holds(endpoint.exists), answer))


def bypassed(place: Place, subnet: Subnet, vpc: Vpc, destination: Range) -> Path:
    """Judge the path within the VPC: a route for a part of the VPC's range may lead out of it.

    https://docs.aws.amazon.com/vpc/latest/userguide/route-table-options.html#route-tables-appliance-routing
    """
    tables = [table for table, _ in _tables(place, subnet, vpc) if isinstance(table, RouteTable)]
    for route in (route for table in tables for route in table.routes):
        to = route.destination
        if not isinstance(to, IPv4Network) or route.leads == "local":
            continue
        within = any(isinstance(one, IPv4Network) and to.subnet_of(one) for one in vpc.ranges)
        if within and place.covers(to, destination) is not False:
            return unknown(route.name)
    return OPEN


def _by_table(place: Place, table: RouteTable, start: Start) -> Path:
    """Judge the path by all routes of a table, as it is not known which addresses a service has."""
    where = f"the route table {table.name!r} of the subnet {start.subnet.name!r}"
    ways: list[tuple[IPv4Network, Path]] = []
    opens = [table.complete.decides] if isinstance(table.complete, Unknown) else []
    diverts: list[str] = []
    for route in table.routes:
        exists = place.holds(route.exists)
        if exists is False or route.leads == "local":
            continue
        to = route.destination
        if to == "ipv6":
            opens += [] if start.subnet.ipv6 is False else ["whether the agent uses IPv6"]
        elif isinstance(to, IPv4Network) and may_be_public(to) and exists is True:
            ways.append((to, _by_target(place, route, where, start)))
        else:
            opens_, diverts_ = _in_doubt(route, exists)
            opens += opens_
            diverts += diverts_
    return _agreed(ways, opens, diverts, where)


def _in_doubt(route: Route, exists: Fact) -> tuple[list[str], list[str]]:
    """Say why a route may matter: it may not exist, or it may not cover public addresses.

    Returns:
        What may open a path if the other routes offer none, and what may change any path.
    """
    to = route.destination
    if isinstance(to, IPv4Network) and may_be_public(to):
        return [], [exists.decides] if isinstance(exists, Unknown) else []
    if isinstance(to, IPv4Network):  # central endpoints may be there
        return [route.name] if route.leads == "elsewhere" else [], []
    if isinstance(to, Unknown):
        return [], [to.decides]
    return [], [] if isinstance(to, str) or to.service else [to.name]


def _agreed(
    ways: list[tuple[IPv4Network, Path]], opens: list[str], diverts: list[str], where: str
) -> Path:
    whole = [*collapse_addresses(network for network, _ in ways)] == [PUBLIC]
    paths = [path for network, path in sorted(ways, key=lambda way: way[0].prefixlen)]
    states = {path.state for path in paths} | (set() if whole else {State.CLOSED})
    if states == {State.OPEN} and not diverts:
        return OPEN
    if states == {State.CLOSED} and not opens and not diverts:
        lacking = Problem(NO_NETWORK_PATH, f"{where} has no default route")
        return paths[0] if whole else Path((lacking,))
    deciders = [name for path in paths for name in path.decides] + diverts
    if State.OPEN not in states:
        deciders += opens
    return unknown(*(deciders or [f"which route of {where} the service's addresses take"]))


def _by_target(place: Place, route: Route, where: str, start: Start) -> Path:
    if route.leads == "nowhere":
        return _closed(f"the default route of {where} is a blackhole")
    if route.leads == "internet-gateway":
        attached = any_of(
            all_of((is_one_of(route.target, (gateway,)), place.holds(fact)))
            for gateway, fact in start.vpc.internet_gateways
        )
        if isinstance(route.target, Unknown):
            attached = route.target
        without = f"{where} leads to an internet gateway, which needs a public IPv4 address"
        return through(
            unless(attached, Problem(NO_NETWORK_PATH, f"{route.name} of {where} is not attached")),
            unless(place.holds(start.address), Problem(NO_NETWORK_PATH, without)),
        )
    if route.leads == "nat-gateway":
        nat = found(place.network.nat_gateways, route.target)
        if nat is None:
            return unknown(decider(route.target, "NAT gateway"))
        if route.target in start.seen:
            return _closed(_NEVER)
        return _by_nat(place, nat, where, start._replace(seen=start.seen | {route.target}))
    return unknown(route.name)


def _by_nat(place: Place, nat: NatGateway, where: str, start: Start) -> Path:
    name = f"the NAT gateway {nat.name!r}, to which {where} leads,"
    available = unless(
        place.holds(nat.available), Problem(NO_NETWORK_PATH, f"{name} is not available")
    )
    if nat.subnet is None:
        vpc = found(place.network.vpcs, nat.vpc)
        gateways = vpc.internet_gateways if vpc else ()
        attached = any(place.holds(fact) is True for _, fact in gateways)
        return through(available, OPEN if attached else unknown(f"whether {name} has a way out"))
    subnet = found(place.network.subnets, nat.subnet)
    if subnet is None:
        return through(available, unknown(decider(nat.subnet, "subnet")))
    vpc = found(place.network.vpcs, subnet.vpc)
    if vpc is None:
        return through(available, unknown(decider(subnet.vpc, "VPC")))
    out = out_of(place, Start(subnet, vpc, nat.public, start.seen))
    if out.problems:
        out = _closed(f"{name} {_NEVER}: {out.problems[0].why}")
    return through(available, out, acls_between(place, start.subnet, subnet))


def _closed(why: str) -> Path:
    return Path((Problem(NO_NETWORK_PATH, why),))
