"""Whether security groups and network ACLs allow TCP 443."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Network
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from . import verdicts
from .ec2 import ANSWERS, ANSWERS_BY_DEFAULT, LAST_ENTRY, REQUESTS
from .facts import Fact, Unknown, all_of, any_of, doubts
from .model import AclEntry, GroupPeer, PrefixList
from .place import PUBLIC, Place, is_one_address, is_one_of, is_within, missing, without
from .verdicts import OF_SERVICES, OPEN, AclFault, AclWay, Path, Problem, through, unknown, unless

_Side: TypeAlias = Literal["inbound", "outbound"]
_Ports: TypeAlias = tuple[int, int]
_Rules: TypeAlias = "tuple[list[Rule], list[Unknown]]"

if TYPE_CHECKING:
    from collections.abc import Callable

    from .model import Endpoint, NetworkAcl, Peer, Range, Reference, Rule, Subnet

WHICH_SUBNET: Final = "the subnet in which the agent reaches the endpoint"
"""What decides if only some of an endpoint's subnets can be reached.

DNS returns the addresses in all subnets, and the agent tries each address.
"""

_NEGLIGIBLE: Final = 0.01
"""A smaller share of denied ports does not matter, as the agent tries again from another port."""


class End(NamedTuple):
    """The other end of a connection."""

    ranges: tuple[Range, ...]
    """The ranges of its addresses."""
    groups: tuple[Reference, ...] = ()
    """Its security groups."""
    service: str = ""
    """The service whose public addresses are the ranges; empty if they are not a service's."""


def leaves(place: Place) -> Path:
    """Whether the security groups of the compute allow outbound TCP 443 to any destination."""
    return place.once("leaves", place.groups, _uses_ipv6(place), judge=_leaves)


def _leaves(place: Place) -> Path:
    rules, unseen = _rules_of(place, place.groups, "outbound")
    six = _uses_ipv6(place)
    facts = [all_of((one, six if peer == "ipv6" else not _stays(peer))) for peer, one in rules]
    if any_of([*facts, *unseen]) is not False:
        return OPEN
    why = f"no outbound rule of {place.named(place.groups)} allows TCP 443"
    return Path((Problem(verdicts.EGRESS_CLOSED, why),))


def let_out(place: Place, to: str, end: End) -> Path:
    """Whether the security groups of the compute allow outbound TCP 443 to a destination.

    Args:
        place: where the compute is.
        to: the destination as a message names it, such as "public addresses".
        end: the destination.
    """

    def problem() -> Problem:
        groups = place.named(place.groups)
        why = f"no outbound rule of {groups} allows TCP 443 to the {to} of {OF_SERVICES}"
        return Problem(verdicts.EGRESS_CLOSED, why)

    return unless(_passes(place, place.groups, "outbound", end), problem)


def lets_out_of_vpc(place: Place, destination: IPv4Network) -> bool:
    """Whether the security groups may allow TCP 443 to addresses of a range outside the VPC."""
    rules, unseen = _rules_of(place, place.groups, "outbound")
    return bool(unseen) or any(_is_beyond(place, one.peer, destination) for one in rules)


def _is_beyond(place: Place, peer: Peer, destination: IPv4Network) -> bool:
    if isinstance(peer, GroupPeer):
        return peer.group not in place.groups  # another group may be in a peered VPC
    if not isinstance(peer, IPv4Network):
        return peer != "ipv6"
    return peer.overlaps(destination) and not (_stays(peer) or is_within(peer, place.vpc.ranges))


def _stays(peer: Peer) -> bool:
    """Whether a rule allows traffic only to the compute itself, such as to 127.0.0.1/32.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-securitygroup.html
    """
    return isinstance(peer, IPv4Network) and peer.is_loopback


def let_in(place: Place, endpoint: Endpoint) -> Path:
    """Whether the security groups of an endpoint allow inbound TCP 443 from the compute."""
    subnet = place.subnet
    groups = place.groups_or_default(endpoint.groups)

    def problem() -> Problem:
        why = (
            f"no inbound rule of {place.named(groups)} of the endpoint {endpoint.name!r} allows "
            f"TCP 443 from {place.named(place.groups)} or the subnet {subnet.name!r}"
        )
        return Problem(verdicts.ENDPOINT_UNREACHABLE, why, endpoint.id, fault=verdicts.GROUPS)

    end = End((place.address_in(subnet),), place.groups)
    return unless(_passes(place, groups, "inbound", end), problem)


def _passes(place: Place, groups: tuple[Reference, ...], side: _Side, end: End) -> Fact:
    """Whether security groups allow TCP 443 to or from every address of the other end.

    The rules of all groups count together. A rule that names a group covers the addresses of all of
    its members.
    """
    return place.once(
        *(groups, side, end, place.subnet.vpc, _uses_ipv6(place)),
        judge=lambda there: _all_pass(there, groups, side, end),
    )


def _all_pass(place: Place, groups: tuple[Reference, ...], side: _Side, end: End) -> Fact:
    rules = _rules_of(place, groups, side)
    facts = [_admitted(place, rules, one, end) for one in end.ranges]
    if False in facts and facts.count(False) < len(facts):
        return Unknown(WHICH_SUBNET)
    return all_of(facts)


def _rules_of(place: Place, groups: tuple[Reference, ...], side: _Side) -> _Rules:
    """Return the rules of all security groups, and what decides whether there are more rules."""
    rules: list[Rule] = []
    unseen: list[Unknown] = []
    for reference in groups:
        group = place.network.groups.get(reference)
        if group is None:
            unseen.append(Unknown(missing(reference, "security group")))
        else:
            rules += group.inbound if side == "inbound" else group.outbound
            unseen += doubts([group.complete])
    return rules, unseen


def _admitted(place: Place, found: _Rules, range_: Range, end: End) -> Fact:
    """Whether rules allow every address of a range. Several rules may cover it together."""
    rules, unseen = found
    facts = [*(all_of((exists, _admits(place, peer, range_, end))) for peer, exists in rules)]
    fact = any_of([*facts, *unseen])
    sure = [peer for peer, exists in rules if isinstance(peer, IPv4Network) and exists is True]
    if fact is True or not sure[1:]:
        return fact
    left = place.blocks(range_)
    for peer in sure:
        left = without(left, peer)
    return fact if left else True


def _admits(place: Place, peer: Peer, range_: Range, end: End) -> Fact:
    if isinstance(peer, (IPv4Network, Unknown)):
        return place.covers(peer, range_)
    if isinstance(peer, GroupPeer):
        return is_one_of(peer.group, end.groups)
    if isinstance(peer, PrefixList):
        return peer.service == end.service if peer.service else Unknown(peer.name)
    return _uses_ipv6(place)


def _uses_ipv6(place: Place) -> Fact:
    """Whether the agent uses IPv6, so that an IPv6 rule matters. By default, it uses IPv4."""
    return place.subnet.ipv6 is not False and Unknown("whether the agent uses IPv6")


def acl_to(place: Place, subnet: Subnet, to: Range = PUBLIC, *, of_nat: bool = False) -> Path:
    """Whether the network ACL of a subnet allows TCP 443 to a range, and the return traffic.

    Args:
        place: where the compute is.
        subnet: the subnet.
        to: the range. Default: - public addresses.
        of_nat: whether a NAT gateway makes the connection, and not an instance.
    """
    return _acl(place, subnet, to, REQUESTS, ANSWERS, of_nat=of_nat)


def acls_between(place: Place, subnet: Subnet, other: Subnet) -> Path:
    """Whether the network ACLs of two subnets allow TCP 443 from one to the other."""
    if subnet is other:
        return OPEN
    near, far = acl_to(place, subnet, other.range), acl_from(place, other, subnet)
    return verdicts.as_first(through(near, far))


def acl_from(place: Place, subnet: Subnet, other: Subnet, *, of_nat: bool = False) -> Path:
    """Whether the network ACL of a subnet allows TCP 443 from another subnet, and the responses."""
    return _acl(place, subnet, place.address_in(other), ANSWERS, REQUESTS, of_nat=of_nat)


def _acl(
    place: Place, subnet: Subnet, peer: Range, out: _Ports, back: _Ports, *, of_nat: bool
) -> Path:
    acl = subnet.acl
    if acl is None:
        return OPEN
    if isinstance(acl, Unknown):
        return unknown(acl.decides)
    passes = partial(_acl_passes, place, peer, of_nat=of_nat)
    ways = verdicts.AclWay(egress=True, ports=out), verdicts.AclWay(egress=False, ports=back)
    facts = {way: passes(acl, way) for way in ways}

    def problem() -> Problem:
        why = f"the network ACL {acl.name!r} of the subnet {subnet.name!r} does not allow TCP 443 "
        why += "or the return traffic"
        shut = tuple(_opened(acl, way, passes) for way, fact in facts.items() if fact is not True)
        return Problem(verdicts.NO_NETWORK_PATH, why, acls=(AclFault(subnet.id, peer, shut),))

    return unless(all_of(facts.values()), problem)


def _opened(acl: NetworkAcl, way: AclWay, passes: Callable[[NetworkAcl, AclWay], Fact]) -> AclWay:
    """Return a closed direction with the numbers between which a new entry opens it."""

    def opens(number: int) -> bool:
        entry = AclEntry(number, way.egress, allows=True, range=PUBLIC, ports=way.ports)
        return passes(acl._replace(entries=(entry, *acl.entries)), way) is True

    denials = {one.number for one in acl.entries if one.egress is way.egress and not one.allows}
    numbers = [*sorted({*denials, LAST_ENTRY + 1}, reverse=True), 0]
    bounds = ((after, before) for before, after in pairwise(numbers) if opens(before))
    return way._replace(between=next(bounds))


def _acl_passes(place: Place, peer: Range, acl: NetworkAcl, way: AclWay, *, of_nat: bool) -> Fact:
    """Whether the entries of a network ACL allow a direction. The first match for a port decides.

    The answer is yes if all ports that are used by default are allowed, and no if none is.
    """
    first, last = way.ports
    used = first if of_nat or way.ports == REQUESTS else ANSWERS_BY_DEFAULT[0]
    of_side = [one for one in acl.entries if one.egress is way.egress]
    entries = sorted(of_side, key=lambda one: one.number)
    if peer == PUBLIC:
        entries = [one for one in entries if one.allows or not is_one_address(one.range)]
    bounds = {used, *(bound for one in entries for bound in (one.ports[0], one.ports[1] + 1))}
    starts = [first, *sorted(bound for bound in bounds if first < bound <= last), last + 1]
    found: set[bool] = set()
    denied = 0
    for low, after in pairwise(starts):
        of_port = [one for one in entries if one.ports[0] <= low <= one.ports[1]]
        said = _first_matches(place, of_port, peer)
        found |= said
        denied += after - low if False in said and low >= used else 0
    if found == {True} or denied < _NEGLIGIBLE * (last + 1 - used):
        return True
    return Unknown(f"the network ACL {acl.name!r}") if True in found else False


def _first_matches(place: Place, entries: list[AclEntry], peer: Range) -> set[bool]:
    """Return what the first matching entry decides, over all addresses of a range."""
    left, said = place.blocks(peer), set[bool]()
    for entry in entries:
        if place.covers(entry.range, peer) is True:
            return {*said, entry.allows}
        if isinstance(entry.range, Unknown):
            said.add(entry.allows)
            continue
        rest = without(left, entry.range)
        said |= {entry.allows} if rest != left else set()
        left = rest
    return {*said, False} if left else said
