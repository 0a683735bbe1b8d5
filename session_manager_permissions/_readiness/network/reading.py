"""What the readers of all parts of a network share."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from session_manager_permissions._network.facts import Fact, Unknown, UnknownValue, doubts
from session_manager_permissions._network.model import Destination, PrefixList, Range, Reference
from session_manager_permissions._readiness.parts import (
    VPC,
    PartKind,
    Parts,
    decider,
    may_be_one_region,
)
from session_manager_permissions._readiness.templates import functions
from session_manager_permissions._readiness.templates.model import Resource, Stack, Value
from session_manager_permissions._readiness.worlds import NoSuchDeployment

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from session_manager_permissions._readiness.parts import Matters

INTERNET_GATEWAY: Final = PartKind("internet gateway", ("AWS::EC2::InternetGateway",))
TABLE: Final = PartKind("route table", ("AWS::EC2::RouteTable",))

_ID: Final = re.compile(r"\b(?:rtb|sg|subnet|vpc|vpce)-[0-9a-z]")

_LEAVES_NETWORKS: Final = re.compile(
    '"Type": "(WAF|WAFV2|SHIELD_ADVANCED)"|"RemediationEnabled": "?false', re.IGNORECASE
)
"""Matches the policies of AWS Firewall Manager, which act in any account, that change no network.

The others change security groups, network ACLs, routes, or the DNS firewalls of VPCs.
https://docs.aws.amazon.com/waf/latest/developerguide/working-with-policies.html
"""

_Part = TypeVar("_Part")


class Lazily(dict["Hashable", _Part]):
    """Parts of a network, each of which is read at its first use.

    It is kept for all worlds in which it is the same.
    """

    def __init__(self, parts: Parts, read: Callable[[Resource], _Part]) -> None:
        self._once = parts.worlds.once
        self._read = read

    def get(self, id_: Hashable, default: object = None, /) -> Any:  # noqa: ANN401
        """Return a part; the default if it is not one of the app."""
        if not isinstance(id_, Resource):
            return default
        return self._once((self._read, id_), lambda: self._read(id_))


class Several(Generic[_Part]):
    """Parts of another part, such as the rules of a group, which are read at their first use.

    They are kept for all worlds in which they are the same.
    """

    def __init__(
        self, parts: Parts, read: Callable[[Resource], Iterable[_Part]], of: Resource
    ) -> None:
        self._once = parts.worlds.once
        self._read = read
        self._of = of

    def __iter__(self) -> Iterator[_Part]:
        return iter(self._once((self._read, self._of), lambda: self._read(self._of)))


@dataclass(frozen=True, eq=False)
class PartOf:
    """A kind of resources that are parts of a parent, such as the routes of a route table."""

    type: str
    by: str
    """The property that refers to the parent."""
    to: PartKind
    """The kind of the parent."""


ROUTE: Final = PartOf("AWS::EC2::Route", "RouteTableId", TABLE)
_BLOCK: Final = PartOf("AWS::EC2::VPCCidrBlock", "VpcId", VPC)
_LIST: Final = PartKind("prefix list", ("AWS::EC2::PrefixList",))
_FILLED: Final = PartOf("AWS::EC2::IPAMPrefixListResolverTarget", "PrefixListId", _LIST)
"""What replaces the entries of a prefix list."""


class _Index(NamedTuple):
    by_parent: dict[Hashable, list[tuple[Resource, bool]]]
    """The resources that may be parts of each parent, each with whether they certainly are."""
    unknown: list[Resource]
    """The resources that may be parts of any parent."""


class Reading:
    """Finds the parts of a network, and says which of them the templates do not show."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._indexes: dict[PartOf, _Index] = {}

    def of(self, parent: Hashable, kind: PartOf, matters: Matters = bool) -> list[Resource]:
        """Return the resources that are parts of a parent. Those that don't matter are left out."""
        found = (self._indexes.get(kind) or self._index(kind)).by_parent.get(parent)
        if not found:  # as most parents have none
            return []
        return [
            one
            for one, certain in found
            if _may_matter(one, matters)
            and one.exists
            and (certain or parent in self._parents(one, kind))
        ]

    def unseen(
        self, parent: Resource, kind: PartOf, matters: Matters = bool, key: Hashable = None
    ) -> Unknown | None:
        """Say what decides whether a parent has more parts of a kind than those that are found.

        Args:
            parent: the parent.
            kind: the kind.
            matters: whether a resource matters, if it is a part of the parent.
            key: stands for `matters` where what matters depends on the parent.
        """
        unknown = (self._indexes.get(kind) or self._index(kind)).unknown
        if not unknown:
            return None
        stack = parent.template.stack._replace(name="")

        def found() -> Unknown | None:
            for one in unknown:
                beside = may_be_one_region(one.template.stack, stack)
                if beside and _may_matter(one, matters) and one.exists:
                    for reference in self._parents(one, kind):
                        if isinstance(reference, Unknown):
                            return reference
            return None

        return self.parts.worlds.once((self.parts, kind, stack, key), found)

    def _parents(self, resource: Resource, kind: PartOf) -> tuple[Reference, ...]:
        return self.parts.references(resource, resource.properties.get(kind.by), kind.to)

    def _index(self, kind: PartOf) -> _Index:
        found = self._indexes[kind] = _Index(defaultdict(list), [])
        for resource in self.parts.by_type[kind.type]:
            for parent, certain in self.parts.possible(resource, kind.by, kind.to).items():
                if isinstance(parent, Unknown):
                    found.unknown.append(resource)
                else:
                    found.by_parent[parent].append((resource, certain))
        return found

    def made_unseen(self, resource: Resource) -> Unknown | None:
        """Say what may make parts that templates do not show: a loop, a macro, a custom resource.

        It may do so in its account and region.
        """
        for stack, decides in self._makers:
            if may_be_one_region(stack, resource.template.stack):
                return Unknown(decides)
        return None

    @cached_property
    def _makers(self) -> list[tuple[Stack, str]]:
        parts, found = self.parts, list[tuple[Stack, str]]()
        for template in parts.assembly.templates:
            made = (f"what {name!r} makes" for name in template.makers)
            added = (f"the macro {functions.quoted(macro)}" for macro in template.transforms)
            found += ((template.stack, by) for by in (*made, *added))
        modules = parts.of_types([one for one in parts.by_type if one.endswith("::MODULE")])
        found += [(one.template.stack, f"what {one.logical_id!r} makes") for one in modules]
        for one in parts.by_type["AWS::FMS::Policy"]:
            if not _LEAVES_NETWORKS.search(functions.quoted(one.written)):
                by = f"the policy {one.logical_id!r} of AWS Firewall Manager"
                found.append((one.template.stack._replace(account=None), by))
        for one in (*parts.custom, *parts.unread_stacks) if parts.doubts_ids else ():
            if _ID.search(functions.quoted(one.written)):
                by = f"what {one.logical_id!r} does by the ids that it is given"
                found.append((one.template.stack, by))
        return found

    def complete(
        self, parent: Resource, kind: PartOf, matters: Matters = bool, key: Hashable = None
    ) -> Fact:
        """Whether a parent has no other parts of a kind than those that are found."""
        return self.made_unseen(parent) or self.unseen(parent, kind, matters, key) or True

    def range(self, resource: Resource, value: object) -> Range:
        """The CIDR block in a value, which may refer to that of a VPC or a subnet."""
        found = self.parts.cidr(resource, value)
        return self.block(found) if isinstance(found, Resource) else found

    def in_prefix_list(self, resource: Resource, value: object) -> list[Destination]:
        """The entries of a prefix list, if a template of the app has them; else the list itself.

        A prefix list resolver of IPAM replaces the entries of its targets.
        """
        found = self.parts.assembly.resource(_LIST.types[0], resource.template, value)
        if found is None or "Entries" not in found.properties or self.of(found, _FILLED):
            return [PrefixList(decider(value, _LIST.noun, resource.template))]
        if self.parts.text(found, found.properties.get("AddressFamily")) == "IPv6":
            return ["ipv6"]
        doubt = self.parts.changed(found)
        return [
            doubt or self.range(found, functions.mapping(entry).get("Cidr"))
            for entry in functions.listed(found.properties.get("Entries"))
        ]

    def block(self, resource: Resource) -> Range:
        """The CIDR block that a VPC or a subnet is given when it is made."""
        written = resource.properties.get("CidrBlock")
        block = resource if written is None else self.parts.cidr(resource, written)
        if isinstance(block, Resource):
            return UnknownValue(f"the CIDR block of {block.logical_id!r}", block)
        return block

    def ranges(self, vpc: Resource) -> tuple[Range, ...]:
        """The ranges of a VPC's addresses, as far as they are known."""
        return self.parts.worlds.once((self, "ranges", vpc), lambda: self._ranges(vpc))

    def _ranges(self, vpc: Resource) -> tuple[Range, ...]:
        found = [self.block(vpc)]
        for more in self.of(vpc, _BLOCK):
            if not any("pv6" in name for name in dict.keys(more.properties)):
                found += [self.range(more, more.properties.get("CidrBlock"))]
        return (*found, *doubts([self.unseen(vpc, _BLOCK) or True]))

    def zones(self, resource: Resource, data: dict[str, Any]) -> tuple[Value, ...]:
        """The name and the id of an Availability Zone, as far as a resource has them."""
        names = ("AvailabilityZone", "AvailabilityZoneId")
        return tuple(resource.template.value(data[one]) for one in names if one in data)


class Reader:
    """Reads the parts of a network of one kind."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._parts = reading.parts


def _may_matter(resource: Resource, matters: Matters) -> bool:
    """Tell whether a resource may matter, as one does that refers to a resource the world lacks.

    A world that lacks the first resource may lack the second one as well.
    """
    try:
        return bool(matters(resource))
    except NoSuchDeployment:
        return True
