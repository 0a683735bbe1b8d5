"""Where the route tables send traffic from a subnet."""

from __future__ import annotations

from ipaddress import IPv4Network, collapse_addresses
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from . import verdicts
from .facts import Fact, Unknown, all_of, any_of, doubts
from .filters import acl_from, acl_to, lets_out_of_vpc
from .model import PrefixList, Route, RouteTable
from .place import PUBLIC, Place, is_one_address, is_one_of, is_within, may_be_public, missing
from .verdicts import NO_NETWORK_PATH, OPEN, Path, Problem, State, through, unknown, unless

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from .model import Destination, Endpoint, NatGateway, Range, Reference, Subnet

_Passed: TypeAlias = "frozenset[Hashable]"
"""The NAT gateways that a path has passed."""


class _Start(NamedTuple):
    """Where a path out starts: at the compute, or at a NAT gateway on the path."""

    subnet: Subnet
    address: Fact
    """Whether the compute or the NAT gateway there has a public IPv4 address."""
    seen: _Passed


def out_of(place: Place, subnet: Reference, address: Fact, seen: _Passed = frozenset()) -> Path:
    """The path from a subnet to public addresses.

    Args:
        place: where the compute is.
        subnet: the subnet of the compute, or of a NAT gateway on the path.
        address: whether the compute or the NAT gateway there has a public IPv4 address.
        seen: the NAT gateways that the path has passed.
    """
    return place.once(
        *("out of", subnet, address, seen, place.subnet.vpc, place.placement.address),
        judge=lambda there: _out_of(there, subnet, address, seen),
    )


def _out_of(place: Place, reference: Reference, address: Fact, seen: _Passed) -> Path:
    subnet = place.network.subnets.get(reference)
    if subnet is None:
        return unknown(missing(reference, "subnet"))
    if subnet.vpc != place.subnet.vpc:
        return unknown(missing(subnet.vpc, "VPC"))
    table = _table(place, subnet)
    if isinstance(table, Unknown):
        return unknown(table.decides)
    path = _by_table(place, table, _Start(subnet, address, seen))
    return verdicts.as_first(through(path, acl_to(place, subnet, of_nat=bool(seen))))


def _table(place: Place, subnet: Subnet) -> RouteTable | Unknown:
    """Return the route table of a subnet."""
    return place.network.tables.get(subnet.table) or Unknown(missing(subnet.table, "route table"))


def in_table(place: Place, endpoint: Endpoint) -> Fact:
    """Whether a gateway endpoint is in the route table of the compute's subnet."""
    return all_of((endpoint.exists, is_one_of(place.subnet.table, endpoint.tables)))


def bypassed(place: Place, subnet: Subnet, destination: Range) -> Path:
    """Judge a path within the VPC. A route for a part of the VPC's range may divert it.

    https://docs.aws.amazon.com/vpc/latest/userguide/route-table-options.html#route-tables-appliance-routing
    """
    table = _table(place, subnet)
    for route in () if isinstance(table, Unknown) else table.routes:
        to = route.destination
        if route.leads == "local":
            continue
        diverts = to == destination
        if isinstance(to, IPv4Network) and is_within(to, place.vpc.ranges):
            diverts = place.covers(to, destination) is not False
        if diverts:
            return unknown(route.name)
    return OPEN


def elsewhere(place: Place, subnet: Subnet, seen: _Passed = frozenset()) -> Iterator[str]:
    """Yield the targets that may lead from a subnet to other networks.

    Another network may have endpoints for this VPC. A route to a NAT gateway is followed through
    the subnet of the NAT gateway.
    https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-scenarios.html

    Args:
        place: where the compute is.
        subnet: the subnet of the compute, or of a NAT gateway on the path.
        seen: the NAT gateways that the path has passed.
    """
    table = _table(place, subnet)
    routes, seen_all = ((), table) if isinstance(table, Unknown) else (table.routes, table.complete)
    unseen = (Route(one, "elsewhere", name=one.decides) for one in doubts([seen_all]))
    for route in (*routes, *unseen):
        names = [*_led_elsewhere(place, route, seen)]
        if names and _may_carry_to_others(place, route.destination, is_first=not seen):
            yield from names


def _led_elsewhere(place: Place, route: Route, seen: _Passed) -> Iterator[str]:
    if route.leads == "elsewhere":
        yield route.name
    if route.leads == "nat-gateway" and route.target not in seen:
        nat = place.network.nat_gateways.get(route.target)
        if nat is None:
            yield missing(route.target, "NAT gateway")
        elif nat.available is not False and nat.subnet is not None:
            behind = place.network.subnets.get(nat.subnet)
            if behind is None:
                yield missing(nat.subnet, "subnet")
            else:
                yield from elsewhere(place, behind, seen | {route.target})


def _may_carry_to_others(place: Place, to: Destination, *, is_first: bool) -> bool:
    """Tell whether a route may carry traffic of the compute to addresses of other networks.

    The first route may lead to an appliance in the subnet of the compute, and no network ACL
    applies within a subnet. The ACL of that subnet applies to the traffic to a NAT gateway.
    """
    block = to if isinstance(to, IPv4Network) else PUBLIC
    is_of_service = isinstance(to, PrefixList) and bool(to.service)
    if to == "ipv6" or is_of_service or is_within(block, place.vpc.ranges):
        return False
    is_shut = not is_first and block != PUBLIC and acl_to(place, place.subnet, block).problems
    return not is_shut and lets_out_of_vpc(place, block)


def by_ipv6(place: Place) -> bool:
    """Whether an agent that is set to use IPv6, by its own names, may have another path."""
    if place.lacks or place.subnet.ipv6 is False:
        return False
    table = _table(place, place.subnet)
    return not isinstance(table, RouteTable) or any(
        route.destination == "ipv6" and route.leads not in ("local", "nowhere")
        for route in table.routes
    )


def _by_table(place: Place, table: RouteTable, start: _Start) -> Path:
    """Judge the path by all routes of a table, as the addresses of the service are not known."""
    named = f"the route table {table.name!r}" if table.name else "the main route table of the VPC"
    where = f"{named} of the subnet {start.subnet.name!r}"
    ways: list[tuple[IPv4Network, Path]] = []
    unseen: list[Path] = []
    for route in table.routes:
        if route.leads == "local":
            continue
        to = route.destination
        if isinstance(to, IPv4Network) and may_be_public(to):
            ways.append((to, _by_target(place, route, where, start)))
        elif isinstance(to, Unknown):
            unseen.append(unknown(to.decides))
        elif isinstance(to, PrefixList) and not to.service:
            unseen.append(unknown(to.name))
    ways.sort(key=lambda way: way[0].prefixlen)
    # The default route takes only what no other route covers.
    others = [way for way in ways if way[0] != PUBLIC]
    are_halves = [*collapse_addresses(network for network, _ in others)] == [PUBLIC]
    whole = are_halves or others != ways
    ways = others if are_halves else ways
    paths = [path for to, path in ways if not (whole and is_one_address(to))] + unseen
    if not whole:
        paths.insert(0, _closed(f"{where} has no default route"))
    states = {path.state for path in paths}
    if isinstance(table.complete, Unknown) and State.OPEN not in states:
        paths.append(unknown(table.complete.decides))
    elif states in ({State.OPEN}, {State.CLOSED}):
        return paths[0]
    deciders = [name for path in paths for name in path.decides]
    return unknown(*(deciders or [f"which route of {where} applies to the service's addresses"]))


def _is_blocked(start: _Start) -> bool:
    """Whether VPC Block Public Access may keep a subnet from an internet gateway.

    https://docs.aws.amazon.com/vpc/latest/userguide/security-vpc-bpa.html
    """
    return start.subnet.blocked not in ({"off", "block-ingress"} if start.seen else {"off"})


def _by_target(place: Place, route: Route, where: str, start: _Start) -> Path:
    if route.leads == "nowhere":
        return _closed(f"a route of {where} is a blackhole")
    if route.leads == "internet-gateway":
        attached = any_of(
            all_of((is_one_of(route.target, (gateway,)), fact))
            for gateway, fact in place.vpc.internet_gateways
        )
        detached = f"{route.name} of {where} is not attached"
        without = f"{where} leads to an internet gateway, which needs a public IPv4 address"
        return through(
            unknown("VPC Block Public Access") if _is_blocked(start) else OPEN,
            _return_path(place, route, start),
            unless(attached, lambda: Problem(NO_NETWORK_PATH, detached)),
            unless(start.address, lambda: Problem(NO_NETWORK_PATH, without)),
        )
    if route.leads == "nat-gateway":
        nat = place.network.nat_gateways.get(route.target)
        if nat is None:
            return unknown(missing(route.target, "NAT gateway"))
        if route.target in start.seen:
            return _closed(f"{where} leads back to it")
        return _by_nat(place, nat, where, start._replace(seen=start.seen | {route.target}))
    return unknown(route.name)


def _return_path(place: Place, out: Route, start: _Start) -> Path:
    """Judge the return path. The route table of an internet gateway may divert it to an appliance.

    https://docs.aws.amazon.com/vpc/latest/userguide/gateway-route-tables.html
    """
    diverting = [
        route.name
        for gateway, route in place.vpc.edge_routes
        if gateway == out.target
        and isinstance(route.destination, IPv4Network)
        and place.covers(route.destination, start.subnet.range) is not False
    ]
    return unknown(*diverting)


def _by_nat(place: Place, nat: NatGateway, where: str, start: _Start) -> Path:
    name = f"the NAT gateway {nat.name!r}, to which {where} leads,"
    available = unless(nat.available, lambda: Problem(NO_NETWORK_PATH, f"{name} is not available"))
    if nat.subnet is None:
        vpc = place.network.vpcs.get(nat.vpc)
        gateways = vpc.internet_gateways if vpc else ()
        attached = any(fact is True for _, fact in gateways) and not _is_blocked(start)
        serves = nat.zones is None or not {*nat.zones}.isdisjoint(start.subnet.zones)
        leads_out = OPEN if attached and serves else unknown(f"whether {name} has internet access")
        return through(available, leads_out)
    out = out_of(place, nat.subnet, nat.public, start.seen)
    for closed in out.problems:
        out = Path((closed._replace(why=f"{name} has no internet access: {closed.why}"),))
    subnet = place.network.subnets.get(nat.subnet)
    if subnet is None:
        return through(available, out)
    let_in = acl_from(place, subnet, start.subnet, of_nat=len(start.seen) > 1)
    return through(available, out, let_in, bypassed(place, subnet, start.subnet.range))


def _closed(why: str) -> Path:
    return Path((Problem(NO_NETWORK_PATH, why),))
