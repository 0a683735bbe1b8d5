"""Read what templates say of the network and of compute, as facts: yes, no or unknown."""

from __future__ import annotations

from copy import copy
from functools import cached_property, lru_cache
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from session_manager_permissions._network.facts import Fact, Unknown

from .templates import (
    NO_VALUE,
    UNKNOWN,
    Resource,
    ReturnValue,
    intrinsic,
    is_function,
    listed,
    mappings_in,
    may_be_equal,
    shown,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from session_manager_permissions._network.model import Range, Reference

    from .templates import Assembly, Stack, Template


class PartKind(NamedTuple):
    """A kind of part of a network, to which a property refers."""

    noun: str
    """What a message calls such a part."""
    types: tuple[str, ...]
    """The types of resource that may be such a part."""


SUBNET: Final = PartKind("subnet", ("AWS::EC2::Subnet",))
VPC: Final = PartKind("VPC", ("AWS::EC2::VPC",))
CLUSTERS: Final = ("AWS::EKS::Cluster", "Custom::AWSCDK-EKS-Cluster")
GROUP: Final = PartKind("security group", ("AWS::EC2::SecurityGroup", *VPC.types, *CLUSTERS))
"""A VPC stands for its default group, and a cluster of EKS for the group that EKS makes for it."""

RESTRICTED: Final = "Custom::VpcRestrictDefaultSG"
"""What CDK makes for `restrict_default_security_group`: it empties a VPC's default group."""

_KNOWN: Final = ("AWS::", "Custom::AWSCDK-EKS", RESTRICTED)
"""How the names of those types begin that change no other resource in a way that matters here."""

_STACKS: Final = (
    "AWS::CloudFormation::Stack",
    "AWS::CloudFormation::StackSet",
    "AWS::ServiceCatalog::CloudFormationProvisionedProduct",
)


_Default = TypeVar("_Default", bool, None)


class Values:
    """Reads values of the templates of an assembly."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self.ids: set[str] = set()
        """The literal ids that were read so far, in place of references to the app's own parts."""
        self.doubts_ids = False
        """Whether a literal id, such as `vpc-1a2b3c4d`, may be that of any resource of the app."""
        self.by_type = assembly.by_type

    def with_ids_in_doubt(self) -> Values:
        """The same values, where a literal id may be that of any resource of the app.

        An app may look up in one stack what it makes in another.
        """
        doubting = copy(self)
        doubting.doubts_ids = True
        return doubting

    def custom(self) -> list[Resource]:
        """The resources that may do anything: custom resources, and types that are not of AWS."""
        return [
            resource
            for type_, resources in self.by_type.items()
            if not type_.startswith(_KNOWN) or type_ == "AWS::CloudFormation::CustomResource"
            for resource in resources
        ]

    @cached_property
    def customised(self) -> dict[Hashable, Unknown]:
        """The resources that a custom resource, or a stack whose template is not here, may change.

        The value says which one refers to the resource.
        """
        return self.given_away | self._mentioned(self.custom(), "the custom resource")

    @cached_property
    def given_away(self) -> dict[Hashable, Unknown]:
        """The resources that a stack refers to whose template is not here."""
        return self._mentioned(self.unread_stacks(), "the template of")

    def unread_stacks(self) -> list[Resource]:
        """The resources that deploy a stack whose template is not here."""
        return [
            one
            for type_ in _STACKS
            for one in self.by_type[type_]
            if one.logical_id not in one.template.nested
        ]

    def _mentioned(self, resources: list[Resource], what: str) -> dict[Hashable, Unknown]:
        """Map each resource that others refer to, to the one that refers to it."""
        return {
            mentioned: Unknown(f"{what} {resource.logical_id!r}")
            for resource in resources
            for mentioned in self._mentioned_by(resource)
        }

    def _mentioned_by(self, resource: Resource) -> Iterator[Resource]:
        """The resources that another refers to, those of other stacks as well."""
        yield from resource.mentions
        for value in mappings_in(resource.properties):
            found = self.behind(resource.template, value) if intrinsic(value)[0] else None
            if isinstance(found, Resource):
                yield found

    def exists(self, resource: Resource) -> Fact:
        """Whether a resource is deployed."""
        conditions = resource.conditions
        if not conditions:
            return True
        return Unknown(f"the condition {min(one.name for one in conditions)!r}", conditions)

    def reference(self, template: Template, value: object, to: PartKind) -> Reference:
        """The resource or the id that a value in a template refers to."""
        found = self.behind(template, value)
        if isinstance(found, Resource):
            is_one = found.type in to.types
            return found if is_one else Unknown(f"the {to.noun} {found.logical_id!r}")
        if found is None:
            return Unknown(decider(value, to.noun))
        self.ids.add(found)
        if self.doubts_ids:
            return Unknown(f"whether this app makes the {to.noun} {found!r}")
        return found

    def references(self, template: Template, value: object, to: PartKind) -> tuple[Reference, ...]:
        """What each entry of a list refers to."""
        return tuple(
            self.reference(template, entry, to) if certain else Unknown(decider(value, to.noun))
            for entry, certain in listed(value)
        )

    def behind(self, template: Template, value: object) -> Resource | str | None:
        """The resource or the text behind a value, None where it is not known."""
        match self.assembly.value(template, value):
            case (ReturnValue(resource, _),):
                return resource
            case (str(known),):
                return known
        return None

    def vpc_of(self, part: Reference) -> Resource | str | None:
        """The VPC that a subnet or another part of it names, None where it is not known."""
        if isinstance(part, Resource):
            return self.behind(part.template, part.properties.get("VpcId"))
        return None

    def range(self, template: Template, value: object) -> Range | Resource:
        """The CIDR block that a value is, or the resource whose block it is."""
        found = self.behind(template, value)
        if isinstance(found, Resource):
            return found
        try:
            return _block(found or "")
        except ValueError:
            # The file's name keeps apart what two templates call the same.
            return Unknown(f"{decider(value, 'CIDR block')} of {template.path.name!r}")


@lru_cache(maxsize=4096)  # the rules of most groups have the same few blocks
def _block(written: str) -> IPv4Network:
    return IPv4Network(written, strict=False)


def may_be_one_region(stack: Stack, other: Stack) -> bool:
    """Whether two stacks may be deployed to the same account and region."""
    of_one_account = may_be_equal(stack.account, other.account)
    return of_one_account and may_be_equal(stack.region, other.region)


def fact(value: object, noun: str, *, default: _Default) -> bool | Unknown | _Default:
    """A value that is true or false; the default if the property is absent."""
    if value is None or value == NO_VALUE:
        return default
    known = str(value).lower()
    return known == "true" if known in {"true", "false"} else Unknown(decider(value, noun))


def decider(value: object, noun: str) -> str:
    """What decides on a value that is in no template, as a message names it."""
    match value:
        case {"Ref": str(name)}:
            return f"the parameter {name!r}"
        case {"Fn::If": [str(name), *_]}:
            return f"the condition {name!r}"
        case {"Fn::ImportValue": name} if UNKNOWN not in text(name):
            return f"the import {text(name)!r}"
    return f"the {noun} {shown(value)}"


def mappings(value: object) -> Iterator[tuple[dict[str, Any] | None, object, bool]]:
    """Each entry of a list: as a mapping, or None; as written; and whether it is certain."""
    for entry, certain in listed(value):
        is_read = isinstance(entry, dict) and not is_function(entry)
        yield (entry if is_read else None), entry, certain
