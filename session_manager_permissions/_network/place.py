"""The place of compute in a network, where each path starts."""

from __future__ import annotations

from functools import lru_cache, reduce
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final, TypeVar

from .facts import Fact, Unknown, any_of
from .model import Network, Placement, Range, Reference, SecurityGroup, Subnet, Vpc
from .verdicts import in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from session_manager_permissions._memory import Memory

PUBLIC: Final = IPv4Network("0.0.0.0/0")
"""As a destination, the public addresses of a service; as a range of a rule, every address."""

_NOT_PUBLIC: Final = (
    *map(IPv4Network, ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8")),
    *map(IPv4Network, ("169.254.0.0/16", "172.16.0.0/12", "192.0.2.0/24", "192.168.0.0/16")),
    *map(IPv4Network, ("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3")),
)
"""Ranges in which no service has public addresses (RFC 6890)."""

_SOMEWHERE: Final = Unknown("where the compute is")
SOME_SUBNET: Final = Subnet("", "", _SOMEWHERE, _SOMEWHERE, ipv6=_SOMEWHERE)
_SOME_VPC: Final = Vpc("", (), default_group=Unknown("the VPC's default security group"))

_Judged = TypeVar("_Judged")


def missing(reference: Reference, kind: str) -> str:
    """Name a part of the network that is referred to and not known, for a message."""
    if isinstance(reference, Unknown):
        return reference.decides
    return f"the {kind} {reference!r}" if isinstance(reference, str) else f"the {kind}"


@lru_cache(maxsize=4096)  # the routes of most subnets have the same few destinations
def may_be_public(network: IPv4Network) -> bool:
    """Whether a range may hold public addresses."""
    return not any(network.subnet_of(private) for private in _NOT_PUBLIC)


def is_one_address(block: Range) -> bool:
    """Whether it is a single address. A service has several, and DNS returns them in turn."""
    return isinstance(block, IPv4Network) and block.num_addresses == 1


def without(blocks: Iterable[IPv4Network], taken: IPv4Network) -> list[IPv4Network]:
    """Return the parts of CIDR blocks that another block does not cover."""
    left: list[IPv4Network] = []
    for block in blocks:
        if block != taken and taken.subnet_of(block):
            left += block.address_exclude(taken)
        elif not block.subnet_of(taken):
            left.append(block)
    return left


_PUBLIC_BLOCKS: Final = reduce(without, _NOT_PUBLIC, [PUBLIC])
"""The CIDR blocks that may hold addresses of a service."""


class Place:
    """A placement in a network."""

    def __init__(self, network: Network, placement: Placement, memory: Memory) -> None:
        self.network = network
        self.placement = placement
        self._memory = memory
        subnet = network.subnets.get(placement.subnet)
        vpc = network.vpcs.get(subnet.vpc) if subnet else None
        self.lacks = ""
        """Names its subnet or its VPC, if the network does not have it; else empty."""
        if subnet is None:
            self.lacks = missing(placement.subnet, "subnet")
        elif vpc is None:
            self.lacks = missing(subnet.vpc, "VPC")
        self.subnet: Subnet = subnet or SOME_SUBNET
        self.vpc: Vpc = vpc or _SOME_VPC
        self.groups = self.groups_or_default(placement.groups)

    def once(self, *key: Hashable, judge: Callable[[Place], _Judged]) -> _Judged:
        """Judge a part of the path once for all places with an equal key.

        Args:
            key: what the part depends on, besides the network.
            judge: judges the part. It gets a new `Place`, because the network may differ in
                another world.
        """
        return self._memory.once(
            (self.network, *key), lambda: judge(Place(self.network, self.placement, self._memory))
        )

    def groups_or_default(self, groups: tuple[Reference, ...]) -> tuple[Reference, ...]:
        """The security groups, or the VPC's default security group if there are none."""
        return groups or (self.vpc.default_group,)

    def named(self, groups: tuple[Reference, ...]) -> str:
        """Name security groups, for a message."""
        known: list[SecurityGroup | None] = [self.network.groups.get(one) for one in groups]
        names = [repr(group.name) for group in known if group]
        if not names:
            return "the compute's security groups"
        return f"the security group{'s' if names[1:] else ''} {in_words(names)}"

    @property
    def let_out(self) -> Place:
        """The same place, with one more security group, which may allow all outbound traffic."""
        placement = self.placement._replace(groups=(*self.groups, "a group that is not seen"))
        return Place(self.network, placement, self._memory)

    @property
    def public_address(self) -> Fact:
        """Whether the compute has a public IPv4 address."""
        given = self.placement.public_address
        if given is None:
            given = self.subnet.public_addresses
        return any_of((given, self.placement.elastic_address))

    def address_in(self, subnet: Subnet) -> Range:
        """The range of the source address, of the compute or of a NAT gateway, in a subnet."""
        return (subnet is self.subnet and self.placement.address) or subnet.range

    def blocks(self, range_: Range) -> list[IPv4Network]:
        """The CIDR blocks that contain all addresses of a range."""
        if range_ == PUBLIC:
            return _PUBLIC_BLOCKS
        of_range = self.vpc.ranges if isinstance(range_, Unknown) else (range_,)
        known = [one for one in of_range if isinstance(one, IPv4Network)]
        return known if known and len(known) == len(of_range) else [PUBLIC]

    def covers(self, outer: Range, inner: Range) -> Fact:
        """Whether one range holds another."""
        if outer in (PUBLIC, inner):
            return True
        if self.vpc.ranges == (outer,) and inner != PUBLIC:
            return True  # the VPC has one range, which holds all of its addresses
        if isinstance(outer, Unknown):
            return outer
        if inner == PUBLIC:
            in_it = Unknown(f"whether the service's public addresses are in {outer}")
            return in_it if may_be_public(outer) else False
        if isinstance(inner, Unknown):
            blocks = self.blocks(inner)
            overlap = any(one.overlaps(outer) for one in blocks)
            return all(one.subnet_of(outer) for one in blocks) or (overlap and inner)
        partly = Unknown(f"which address of {inner} is used")
        return inner.subnet_of(outer) or (partly if inner.overlaps(outer) else False)


def is_within(block: IPv4Network, ranges: Iterable[Range]) -> bool:
    """Whether one of several ranges certainly contains a block other than 0.0.0.0/0."""
    known = (one for one in ranges if isinstance(one, IPv4Network))
    return block != PUBLIC and any(map(block.subnet_of, known))


def is_one_of(reference: Reference, references: tuple[Reference, ...]) -> Fact:
    """Whether a reference means the same part as one of several others."""
    if isinstance(reference, Unknown):
        return reference if references else False
    return any_of(one if isinstance(one, Unknown) else one == reference for one in references)
