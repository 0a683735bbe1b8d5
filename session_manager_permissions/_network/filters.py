"""What security groups and network ACLs let pass of TCP 443."""

from __future__ import annotations

from ipaddress import IPv4Network, collapse_addresses
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from .ec2 import HTTPS
from .facts import Fact, Unknown, all_of, any_of, doubts
from .model import GroupPeer, PrefixList
from .place import PUBLIC, Place, decider, found, is_one_of
from .verdicts import (
    EGRESS_CLOSED,
    NETWORK_ACL,
    NO_NETWORK_PATH,
    OF_SERVICES,
    OPEN,
    Path,
    Problem,
    unknown,
    unless,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import NetworkAcl, Peer, Range, Reference, Subnet

WHICH_SUBNET: Final = "which of its subnets an endpoint is reached in"
"""What decides where only some of the subnets can be reached.

The agent tries each address that DNS gives it, and DNS gives it those of all subnets.
"""

_REQUESTS: Final = (HTTPS, HTTPS)
_ANSWERS: Final = (1024, 65535)
"""The ports that answers come back to.

https://docs.aws.amazon.com/vpc/latest/userguide/custom-network-acl.html#nacl-ephemeral-ports
"""


class End(NamedTuple):
    """The other end of a connection."""

    ranges: Sequence[Range]
    """Where its addresses may be."""
    groups: tuple[Reference, ...] = ()
    """Its security groups."""
    service: str = ""
    """The service whose public addresses these are, if they are."""


def leaves(place: Place) -> Path:
    """Whether the security groups of the compute let TCP 443 out to anything at all."""
    facts: list[Fact] = []
    for reference in place.groups:
        group = found(place.network.groups, reference)
        if group is None:
            return OPEN
        facts += [
            all_of((place.holds(rule.exists), _by_ipv6(place) if rule.peer == "ipv6" else True))
            for rule in group.outbound
        ]
        facts += doubts([group.complete])
    if any_of(facts) is not False:
        return OPEN
    return Path(
        (Problem(EGRESS_CLOSED, f"no rule of {place.named(place.groups)} lets TCP 443 out"),)
    )


def let_out(place: Place, to: str, end: End) -> Path:
    """What the security groups of the compute let out.

    Args:
        place: where the compute is.
        to: the destination as a message names it, such as "public addresses".
        end: where it goes.
    """
    why = f"no rule of {place.named(place.groups)} lets TCP 443 out to the {to} of {OF_SERVICES}"
    passed = _passes(place, place.groups, "outbound", end)
    return unless(passed, Problem(EGRESS_CLOSED, why))


def let_in(place: Place, groups: tuple[Reference, ...], subnet: Subnet, problem: Problem) -> Path:
    """What security groups let in from the compute in its subnet."""
    end = End([subnet.range], place.groups)
    return unless(_passes(place, groups, "inbound", end), problem)


def _passes(
    place: Place,
    groups: tuple[Reference, ...],
    side: Literal["inbound", "outbound"],
    end: End,
) -> Fact:
    """Whether security groups let TCP 443 pass to or from every address of an end.

    The rules of all groups count together. A rule that names a group covers the addresses of all of
    its members.
    """
    rules: list[tuple[Peer, Fact]] = []
    unseen: list[Unknown] = []
    for reference in groups:
        group = found(place.network.groups, reference)
        if group is None:
            unseen.append(Unknown(decider(reference, "security group")))
            continue
        of_side = group.inbound if side == "inbound" else group.outbound
        rules += [(rule.peer, place.holds(rule.exists)) for rule in of_side]
        unseen += doubts([group.complete])
    sure = [peer for peer, exists in rules if exists is True and isinstance(peer, IPv4Network)]
    if sure[1:]:
        rules = [*((joined, True) for joined in collapse_addresses(sure)), *rules]
    facts = [
        any_of(
            [*(all_of((exists, _admits(place, peer, one, end))) for peer, exists in rules), *unseen]
        )
        for one in end.ranges
    ]
    if False in facts and facts.count(False) < len(facts):
        return Unknown(WHICH_SUBNET)
    return all_of(facts)


def _admits(place: Place, peer: Peer, range_: Range, end: End) -> Fact:
    if peer == "ipv6":
        return _by_ipv6(place)
    if isinstance(peer, GroupPeer):
        return is_one_of(peer.group, end.groups)
    if isinstance(peer, PrefixList):
        return peer.service == end.service if peer.service else Unknown(peer.name)
    return place.covers(peer, range_)


def _by_ipv6(place: Place) -> Fact:
    """Whether a rule of IPv6 lets the agent's connections pass, which uses IPv4 by default."""
    has_none = place.subnet is not None and place.subnet.ipv6 is False
    return False if has_none else Unknown("whether the agent uses IPv6")


def acls_to_public(place: Place, subnet: Subnet) -> Path:
    """What the network ACL of a subnet lets pass to public addresses and back."""
    return _acl(place, subnet, PUBLIC, _REQUESTS, _ANSWERS)


def acls_between(place: Place, subnet: Subnet, other: Subnet) -> Path:
    """What network ACLs let pass from a subnet to another, and back."""
    if subnet is other:
        return OPEN
    near = _acl(place, subnet, other.range, _REQUESTS, _ANSWERS)
    far = _acl(place, other, subnet.range, _ANSWERS, _REQUESTS)
    return near if near.problems else far if far.problems else unknown(*near.decides, *far.decides)


def _acl(
    place: Place, subnet: Subnet, peer: Range, out: tuple[int, int], back: tuple[int, int]
) -> Path:
    acl = subnet.acl
    if acl is None:
        return OPEN
    if isinstance(acl, Unknown):
        return unknown(acl.decides)
    passed = all_of(
        (
            _acl_passes(place, acl, peer, out, egress=True),
            _acl_passes(place, acl, peer, back, egress=False),
        )
    )
    why = (
        f"the network ACL {acl.name!r} of the subnet {subnet.name!r} does not let TCP 443 or the "
        "answers to it pass"
    )
    return unless(passed, Problem(NO_NETWORK_PATH, why, fault=NETWORK_ACL))


def _acl_passes(
    place: Place, acl: NetworkAcl, peer: Range, ports: tuple[int, int], *, egress: bool
) -> Fact:
    """What the first entry that matches says, in the order of their numbers."""
    first, last = ports
    for entry in sorted(acl.entries, key=lambda entry: entry.number):
        low, high = entry.ports
        if entry.egress is not egress or high < first or last < low:
            continue
        covers = place.covers(entry.range, peer)
        if covers is True and low <= first and last <= high:
            return entry.allows
        if covers is not False:
            return Unknown(f"the network ACL {acl.name!r}")
    return False
