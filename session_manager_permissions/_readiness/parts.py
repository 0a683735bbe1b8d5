"""What the properties of compute and of networks refer to, in the world that is judged."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeGuard, TypeVar

from session_manager_permissions._network.facts import Unknown, UnknownValue

from .templates import functions
from .templates.model import Resource, ReturnValue, Stack, Template, Value, may_be_equal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from session_manager_permissions._network.model import Range, Reference

    from .templates import Assembly


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

_KNOWN: Final = re.compile(
    rf"AWS::(?!CloudFormation::CustomResource$)|{functions.UNKNOWN}|{RESTRICTED}|Custom::(AWSCDK-EKS|"
    "CDKBucketDeployment|CrossRegionExport|S3AutoDeleteObjects|S3BucketNotifications)"
)
"""The beginnings of types that change no other resource in a way that matters here."""

_READS: Final = re.compile(
    '((?!"action").)*"action":"(describe|get|list)((?!"action").)*', re.IGNORECASE | re.DOTALL
)
_CALLS: Final = ("Create", "Update", "Delete")
"""The calls of an `AwsCustomResource` of CDK, and the form of one that only reads."""

_CALLS_NOTHING: Final = re.compile(
    r"(?!AWS::)|AWS::(CloudFormation|CloudTrail|CloudWatch|Config::ConfigRule|DynamoDB|EC2::"
    r"(SecurityGroup|VPC)|IAM|KMS|Logs|Organizations|S3::|SNS|SSM::Parameter|SSO|SecurityHub|"
    r"Serverless::Application|ServiceCatalog)"
)
"""Matches types that call no API: policies and alarms only name the calls of other principals.

Custom resources and stacks, which may call any API, are found by `custom` and `unread_stacks`.
"""

NEVER_READ: Final = (
    "AWS::CloudFormation::StackSet",
    "AWS::ServiceCatalog::CloudFormationProvisionedProduct",
)
"""The types that deploy a template that the check does not read."""
STACKS: Final = ("AWS::CloudFormation::Stack", "AWS::Serverless::Application", *NEVER_READ)
"""The types that deploy a template, which the assembly may lack."""


Matters: TypeAlias = "Callable[[Resource], object]"
"""Tells whether a resource matters to the question; `bool` lets every resource matter."""

_UNREAD: Final = "the template of"

_Default = TypeVar("_Default", bool, None)


class Parts:
    """Reads what values of the templates of an assembly refer to."""

    def __init__(self, assembly: Assembly, *, doubts_ids: bool = False) -> None:
        """Prepare to read.

        Args:
            assembly: the templates.
            doubts_ids: whether a literal id, such as `vpc-1a2b3c4d`, may be that of any resource of
                the app: an app may look up in one stack what it makes in another.
        """
        self.assembly = assembly
        self.doubts_ids = doubts_ids
        self.by_type = assembly.by_type
        self.worlds = assembly.worlds

    def of_types(self, types: Iterable[str]) -> list[Resource]:
        """Return the resources of several types."""
        return [one for type_ in types for one in self.by_type[type_]]

    @cached_property
    def custom(self) -> list[Resource]:
        """The resources that may do anything: custom resources, and types that are not of AWS."""
        several = self.of_types([one for one in self.by_type if not _KNOWN.match(one)])
        return [one for one in several if not (one.type == "Custom::AWS" and _only_reads(one))]

    @cached_property
    def unread_stacks(self) -> list[Resource]:
        """The resources that deploy a stack whose template is not here."""
        return [one for one in self.of_types(STACKS) if one.logical_id not in one.template.nested]

    def mention(self, name: re.Pattern[bytes]) -> bool:
        """Whether any template has a name in it, such as that of a call.

        The pattern is in lower case, as one that ignores the case takes several times as long.
        """
        return any(name.search(one.content.lower()) for one in self.assembly.templates)

    def naming(self, name: re.Pattern[bytes]) -> list[Resource]:
        """Return the resources that are called by a name, or have it, and may call AWS.

        The pattern is in lower case, as that of `mention`.
        """
        types = [one for one in self.by_type if not _CALLS_NOTHING.match(one)]
        code = self.of_types(types) if self.mention(name) else []
        several = (*self.custom, *self.unread_stacks, *code)
        texts = (in_bytes(f"{one.type} {one.logical_id} {one.acting}") for one in several)
        return [one for one, text in zip(several, texts, strict=True) if name.search(text)]

    def changed(self, resource: Resource) -> Unknown | None:
        """What may change a resource, if anything may.

        That is a macro of its template, or a custom resource or a stack that refers to it, if the
        template of the stack is not here.
        """
        for macro in resource.template.transforms:
            return Unknown(f"the macro {functions.quoted(macro)}")
        return self._changed_by(resource, *self._given)

    def named_by_unread_stack(self, resource: Resource) -> Unknown | None:
        """The stack that refers to a resource, and whose template is not here."""
        return self._changed_by(resource, _UNREAD)

    def _changed_by(self, resource: Resource, *kinds: str) -> Unknown | None:
        for kind in kinds:
            for one in self._given[kind].get(resource, ()):
                if one.exists:
                    return Unknown(f"{kind} {one.logical_id!r}")
        return None

    @cached_property
    def _given(self) -> dict[str, dict[Resource, list[Resource]]]:
        """Map each kind to the resources that one of that kind refers to, and so may change."""
        kinds = {_UNREAD: self.unread_stacks, "the custom resource": self.custom}
        return {kind: self.by_mentioned(several) for kind, several in kinds.items()}

    @cached_property
    def given(self) -> list[Resource]:
        """The resources that a custom resource refers to, or a stack whose template is not here."""
        return [*dict.fromkeys(one for given in self._given.values() for one in given)]

    def by_mentioned(self, resources: list[Resource]) -> dict[Resource, list[Resource]]:
        """Map each resource to those of `resources` that refer to it, the last one first."""
        found: dict[Resource, list[Resource]] = {}
        for resource in reversed(resources):
            # In a world, it may refer to resources of other stacks as well.
            others = self.refers_to(resource, resource.written)
            for mentioned in dict.fromkeys((*resource.mentions, *others)):
                found.setdefault(mentioned, []).append(resource)
        return found

    def refers_to(self, resource: Resource, written: object) -> Iterator[Resource]:
        """Yield the resources that a part of a resource refers to in a world."""
        own = resource.template.resources
        for value in functions.mappings_in(written):
            function, argument = functions.intrinsic(value)
            if function == "Ref" and argument in own:
                yield own[argument]
            elif function:
                for found in self.assembly.possible(resource.template, value):
                    yield from (one.resource for one in found if isinstance(one, ReturnValue))

    def reference(self, resource: Resource, value: object, to: PartKind) -> Reference:
        """The part or the id that a value of a resource refers to."""
        found = self.behind(resource, value)
        if found is None:
            return Unknown(decider(value, to.noun, resource.template))
        if isinstance(found, Resource):
            is_one = found.type in to.types
            return found if is_one else Unknown(f"the {to.noun} {found.logical_id!r}")
        if self.doubts_ids:
            return Unknown(f"whether this app makes the {to.noun} {found!r}")
        return found

    def split(self, resource: Resource, written: object, to: PartKind) -> tuple[Reference, ...]:
        """The parts that the entries of a list refer to, which is written as a text with commas."""
        several = functions.listed(
            functions.deployed({"Fn::Split": [",", written]}, resource.template)
        )
        return self.references(resource, [*filter(resource.template.value, several)], to)

    def references(self, resource: Resource, value: object, to: PartKind) -> tuple[Reference, ...]:
        """The part that each entry of a list refers to."""
        return tuple(self.reference(resource, entry, to) for entry in functions.listed(value))

    def possible(self, resource: Resource, by: str, to: PartKind) -> dict[Reference, bool]:
        """The parts that a property refers to in any world, and whether it does so in every one."""

        def refers() -> tuple[Reference, ...]:
            return self.references(resource, resource.properties.get(by), to)

        worlds, too_many = self.worlds.each(refers)
        if too_many:
            return {Unknown(too_many[0]): False}
        several = [world.judged for world in worlds]
        return {one: all(one in others for others in several) for those in several for one in those}

    def behind(self, resource: Resource, value: object) -> Resource | str | None:
        """The resource or the text behind a value of a resource; None where it is not known."""
        return _resource_or_text(resource.template.value(value))

    def in_each_world(self, resource: Resource, written: object) -> Iterator[Resource | str]:
        """Yield what the entries of a list refer to, if it is known and the same in every world.

        Unlike other methods, this one may be called outside of a world.
        """
        several = (resource.template.entries(one) or one for one in functions.listed(written))
        for entry in functions.listed([*several]):
            match [*map(_resource_or_text, self.assembly.possible(resource.template, entry))]:
                case [Resource() | str() as known]:
                    yield known

    def text(self, resource: Resource, value: object) -> str:
        """The value of a resource as a text, with `UNKNOWN` for what is not known."""
        return self.assembly.text(resource.template, value)

    def fact(
        self,
        resource: Resource,
        value: object,
        noun: str,
        *,
        default: _Default,
        words: tuple[str, str] = ("true", "false"),
    ) -> bool | Unknown | _Default:
        """A value that is true or false, or one of two other words; the default if it is absent."""
        if value is None:
            return default
        known = self.text(resource, value).lower()
        return known == words[0] if known in words else Unknown(decider(value, noun))

    def vpc_of(self, part: Reference) -> Resource | None:
        """The VPC of the app that a subnet or another part of it names; None if it names none.

        A part that the world lacks is not read: it may refer to others that the world lacks.
        """
        if not isinstance(part, Resource) or not part.exists:
            return None
        found = self.behind(part, part.properties.get("VpcId"))
        return found if is_vpc(found) else None

    def cidr(self, resource: Resource, value: object) -> Range | Resource:
        """The CIDR block that a value of a resource is, or the resource whose block it is."""
        known = resource.template.value(value)
        match known:
            case (ReturnValue(whose, "CidrBlock"),):
                return whose
            case (str(written),):
                try:
                    return _block(written.strip())
                except ValueError:
                    pass
        return UnknownValue(decider(value, "CIDR block"), known)


def in_bytes(text: str) -> bytes:
    """Return a text in lower case and in bytes, as patterns of names are.

    JSON can have half of a surrogate pair, which UTF-8 can't.
    """
    return text.lower().encode(errors="replace")


def _only_reads(resource: Resource) -> bool:
    """Whether all calls of an `AwsCustomResource` of CDK only read."""
    calls = [functions.text(one) for name, one in resource.written.items() if name in _CALLS]
    return calls != [] and all(map(_READS.fullmatch, calls))


def is_vpc(part: object) -> TypeGuard[Resource]:
    """Whether a part is a VPC of the app."""
    return isinstance(part, Resource) and part.type in VPC.types


def _resource_or_text(value: Value) -> Resource | str | None:
    match [one for one in value if not (isinstance(one, str) and one.isspace())]:
        case [ReturnValue(resource, _)]:
            return resource
        case [str(known)]:
            return known.strip()
    return None


@lru_cache(maxsize=4096)  # the rules of most groups have the same few blocks
def _block(written: str) -> IPv4Network:
    return IPv4Network(written, strict=False)


def may_be_one_region(stack: Stack, other: Stack) -> bool:
    """Whether two stacks may be deployed to the same account and region."""
    return may_be_equal(stack.account, other.account) and may_be_equal(stack.region, other.region)


def types_deployed(stack: Resource) -> frozenset[str]:
    """Return the types of resource in a template that is not read, with `UNKNOWN` for any type.

    A stack set may have its template as a text.
    """
    written = functions.text(stack.written.get("TemplateBody"))
    if re.search(f"{functions.UNKNOWN}|Transform|Fn::ForEach", written):
        return frozenset({functions.UNKNOWN})
    return frozenset(re.findall(r"\b[A-Z]\w*::\w+::[\w:]+", written))


def decider(value: object, noun: str, template: Template | None = None) -> str:
    """What decides on a value that is in no template, as a message names it.

    Args:
        value: the value.
        noun: what a message calls it.
        template: where it is. Default: - a `Ref` is taken for that of a parameter
    """
    match value:
        case {"Ref": str(name)}:
            is_resource = template is not None and name in template.resources
            return f"the {noun if is_resource else 'parameter'} {name!r}"
        case {"Fn::ImportValue": name} if functions.UNKNOWN not in functions.text(name):
            return f"the import {functions.text(name)!r}"
        case {"Fn::Transform": macro}:
            return f"the macro {functions.quoted(functions.mapping(macro).get('Name', macro))}"
        case {"Fn::Select": [_, {**source} | [{**source}]]}:
            return decider(source, noun, template)
        case {"Fn::Split": [_, whole]}:
            return decider(whole, noun, template)
    written = "" if value is None else f" {functions.quoted(value)}"
    return re.sub("(.{200}).+", r"\1…", f"the {noun}{written}")  # as a script may be long


def inner(properties: dict[str, Any], *names: str) -> dict[str, Any] | None:
    """The mapping under these names, None where there is none."""
    current: Any = properties
    for name in names:
        current = functions.mapping(current).get(name)
    return current if isinstance(current, dict) else None
