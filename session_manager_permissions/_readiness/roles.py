"""Find the role of each instance profile of an assembly, and the policies of that role."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _needs

from .managed_policies import aws_managed
from .policies import PolicyReading, Statement, anything, read
from .templates import (
    UNKNOWN,
    Resource,
    ReturnValue,
    Unresolved,
    listed,
    mapping,
    may_be_equal,
    present,
    shortest,
    shown,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .templates import Assembly, Condition, Template, Value

ATTACHED_BY: Final = {
    "AWS::IAM::Policy": "Roles",
    "AWS::IAM::RolePolicy": "RoleName",
    "AWS::IAM::ManagedPolicy": "Roles",
}
"""The policies that are resources, and the property that names their roles."""

_MOST_COMPARED: Final = 64  # unknown names to compare with a role's; if more, all may be its


@dataclass(eq=False)
class Policy:
    """A policy document, and the resource that contains it."""

    resource: Resource
    location: str
    document: object

    @property
    def source(self) -> str:
        """What a message calls it."""
        called = "the policy" if self.resource.type in ATTACHED_BY else "an inline policy of"
        return f"{called} {self.resource.logical_id!r}"

    @cached_property
    def reading(self) -> PolicyReading:
        """What it says, read once, whatever the number of its roles."""
        return read(self.document, self.source, self.resource.template)

    @cached_property
    def needed(self) -> list[Statement]:
        """Its statements about the actions that an instance needs."""
        return [one for one in self.reading.statements if _actions_of(one)]

    @cached_property
    def length(self) -> int:
        """The least number of characters that IAM counts."""
        return shortest(self.document)


class Attached(NamedTuple):
    """A policy of a role."""

    policy: Policy
    certain: bool
    """Whether the deployment certainly attaches it."""


@dataclass(eq=False)
class Role:
    """The role of one or more instance profiles, with its policies as far as the app has them."""

    name: str
    resource: Resource
    """The role, or one of its profiles if the role is not in the app."""
    in_app: bool
    may_be_another: bool = False
    """Whether a profile names it, and so means another role if this one is not deployed."""
    profiles: list[Resource] = field(default_factory=list)
    inline: list[Attached] = field(default_factory=list)
    managed: list[Attached] = field(default_factory=list)
    """The managed policies that are in the app."""
    aws_managed: list[str] = field(default_factory=list)
    arns: set[str] = field(default_factory=set)
    """The ARNs of the other managed policies that it certainly has."""
    others: list[Statement] = field(default_factory=list)
    """The statements of AWS managed policies, and those for policies that can't be read."""
    boundary: list[Statement] | None = None
    """The statements of its permissions boundary."""
    boundaries: list[Attached] = field(default_factory=list)
    """The permissions boundary, if it is in the app."""

    @property
    def attached(self) -> list[Attached]:
        """The policies that are in the app, without the permissions boundary."""
        return [*self.inline, *self.managed]

    def statements(self, without: frozenset[Policy] = frozenset()) -> list[Statement]:
        """Return the statements of its policies about the actions that an instance needs."""
        found = [*self.others]
        for policy, certain in self.attached:
            if policy not in without:
                found += policy.needed if certain else _uncertain(policy.needed)
        return found

    @property
    def managed_policies(self) -> int:
        """The least number of managed policies that it has."""
        in_app = {policy for policy, certain in self.managed if certain}
        # a policy of the app may also be given by its ARN
        aws = {arn for arn in self.arns if ":aws:policy/" in arn}
        return len(aws) + max(len(in_app), len(self.arns - aws))


class Profiles:
    """The instance profiles of an assembly, and their roles, found in one pass."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._named: defaultdict[tuple[str, str | None, Value], list[Resource]] = defaultdict(list)
        """Roles and profiles, by their type, their account and the name that they are given."""
        self._managed: dict[Resource, Policy] = {}
        self._attached: defaultdict[Value, list[Attached]] = defaultdict(list)
        """The policies of each role, by the reference or the name with which they give the role."""
        self._read_once = cache(self._read_role)
        self._may_be_of_any = cache(self._of_unmatched)
        self._roles_elsewhere: dict[object, Role] = {}
        self.role_behind: dict[Resource, Role] = {}
        """The role of each profile."""
        for kind in _NAMED_BY:
            for resource in assembly.by_type[kind]:
                name = self._name(resource)
                if name is not None:
                    self._named[kind, resource.template.stack.account, name].append(resource)
        for kind, naming in ATTACHED_BY.items():
            for resource in assembly.by_type[kind]:
                self._index_attached(resource, resource.properties.get(naming))
        self._unmatched = self._without_a_role()
        self._unread = [*_unread(assembly)]
        for profile in assembly.by_type["AWS::IAM::InstanceProfile"]:
            self.role_behind[profile] = self._role(profile)
            self.role_behind[profile].profiles.append(profile)
        self.roles = [*dict.fromkeys(self.role_behind.values())]
        """The roles of the profiles, each once."""

    def _name(self, resource: Resource) -> Value | None:
        """Return the name that a resource is given; None if CloudFormation generates one."""
        name = present(resource.properties, _NAMED_BY[resource.type])
        return None if name is None else self._assembly.value(resource.template, name)

    def _index_attached(self, resource: Resource, roles: object) -> None:
        document = resource.properties.get("PolicyDocument")
        policy = Policy(resource, "Properties.PolicyDocument", document)
        if resource.type == "AWS::IAM::ManagedPolicy":
            self._managed[resource] = policy
        for value, certain in listed(roles):
            name = self._assembly.value(resource.template, value)
            if not isinstance(roles, list) and any("," in _folded(part) for part in name):
                name = (Unresolved(resource),)  # a list in a parameter: several roles
            self._attached[name].append(Attached(policy, certain))

    def _without_a_role(self) -> list[tuple[Value, Policy]]:
        """Return the policies whose role is not certain to be one of the app."""
        return [
            (name, policy)
            for name, several in self._attached.items()
            if _role_in(name) is None
            for policy, _ in several
            if all(
                role.conditions
                for role in self._named.get(
                    ("AWS::IAM::Role", policy.resource.template.stack.account, name), ()
                )
            )
        ]

    # The role of a profile

    def _role(self, profile: Resource) -> Role:
        account = profile.template.stack.account
        name: Value = (Unresolved(profile),)
        match [*listed(profile.properties.get("Roles"))]:
            case [(written, True)]:
                name = self._assembly.value(profile.template, written)
        resource = _role_in(name)
        if resource is not None:
            if may_be_equal(account, resource.template.stack.account):
                return self._in_app(resource, profile, by_name=False)
            name = (Unresolved(profile),)  # the role of that name in its own account
        named = self._named.get(("AWS::IAM::Role", account, name), ())
        if len(named) == 1:
            return self._in_app(named[0], profile, by_name=True)
        return self._elsewhere(profile, name)

    def _elsewhere(self, profile: Resource, name: Value) -> Role:
        key = name, profile.template.stack.account, profile.conditions
        if key not in self._roles_elsewhere:
            role = Role("", profile, in_app=False)
            source = "the role behind the profile"
            match name:
                case (str(known),):
                    role.name, source = known, f"the role {known!r}, which is not in this app"
            self._attach(role, name, profile.conditions)
            role.others = anything(source)
            self._roles_elsewhere[key] = role
        return self._roles_elsewhere[key]

    def _in_app(self, resource: Resource, profile: Resource, *, by_name: bool) -> Role:
        """Return the role of the app that a profile refers to or names.

        Args:
            resource: the role.
            profile: the profile. What has the conditions of both is deployed with them.
            by_name: whether the profile names the role. The name may mean another role if this one
                is not deployed.
        """
        conditions = resource.conditions | profile.conditions
        may_be_another = by_name and conditions != profile.conditions
        return self._read_once(resource, conditions, may_be_another=may_be_another)

    def _read_role(
        self, resource: Resource, conditions: frozenset[Condition], *, may_be_another: bool
    ) -> Role:
        properties = resource.properties
        role = Role(resource.logical_id, resource, in_app=True, may_be_another=may_be_another)
        for entry, certain in listed(properties.get("Policies")):
            policy = Policy(resource, "Properties.Policies", mapping(entry).get("PolicyDocument"))
            role.inline.append(Attached(policy, certain))
        self._attach(role, (ReturnValue(resource),), conditions)
        name = self._name(resource)
        if name is not None:
            self._attach(role, name, conditions)
        role.others += self._of_others(resource, name)
        for value, certain in listed(properties.get("ManagedPolicyArns")):
            self._take_managed(role, value, certain=certain)
        for arn, certain in listed(properties.get("PermissionsBoundary")):
            found = self._managed_behind(resource.template, arn)
            if not certain:
                role.boundary = anything("a permissions boundary that the role has on a condition")
            elif isinstance(found, Policy):
                role.boundary = found.reading.statements
                role.boundaries.append(Attached(found, certain))
            else:
                role.boundary = _not_in_app(found, arn)
        if may_be_another:
            role.others += anything("the condition on which the role is deployed")
        return role

    # Its policies

    def _attach(self, role: Role, name: Value, conditions: frozenset[Condition]) -> None:
        """Attach the policies that refer to the role, or name it, in its account."""
        account = role.resource.template.stack.account
        for policy, certain in self._attached.get(name, ()):
            there = policy.resource.template.stack.account
            if may_be_equal(account, there):
                policies = role.managed if policy.resource in self._managed else role.inline
                deployed = policy.resource.conditions <= conditions
                policies.append(Attached(policy, certain and deployed and account == there))

    def _of_others(self, resource: Resource, name: Value | None) -> Iterator[Statement]:
        """Yield statements for the policies that may be attached to the role.

        Such policies are in what can't be read, or their name of a role may mean this one. A role
        without a `RoleName` has a generated name, which another template knows only if the
        template of the role discloses it.
        """
        there = resource.template
        disclosed = name is not None or resource in there.disclosed
        for template, source, sees_all in self._unread:
            sees_it = disclosed or (sees_all and template is there)
            if sees_it and may_be_equal(there.stack.account, template.stack.account):
                yield from anything(source)
        if len(self._unmatched) <= _MOST_COMPARED:
            may_be_its = (
                policy
                for other, policy in self._unmatched
                if other != name and _may_be_named(resource, name, other)
            )
            yield from _merged(there.stack.account, may_be_its)
        else:
            yield from self._may_be_of_any(there.stack.account)

    def _of_unmatched(self, account: str | None) -> list[Statement]:
        """Return the statements of all policies in `_unmatched`, for the roles of an account."""
        return _merged(account, (policy for _, policy in self._unmatched))

    def _take_managed(self, role: Role, arn: object, *, certain: bool) -> None:
        found = self._managed_behind(role.resource.template, arn)
        if isinstance(found, Policy):
            role.managed.append(Attached(found, certain))
            return
        if isinstance(found, str):
            role.aws_managed.append(found)
        known = text(arn)
        if certain and known.startswith("arn:"):
            role.arns.add(known)
        others = _not_in_app(found, arn)
        role.others += others if certain else _uncertain(others)

    def _managed_behind(self, template: Template, arn: object) -> Policy | str | None:
        """Return the managed policy with this ARN; the path and name of one that AWS manages."""
        found = self._assembly.value(template, arn)
        match found:
            case (ReturnValue(resource, _),):
                return self._managed.get(resource)
        known = "".join(part if isinstance(part, str) else UNKNOWN for part in found)
        of_aws = re.fullmatch(rf"arn:([^:]*):iam::aws:policy/([^,{UNKNOWN}]+)", known)
        if of_aws and of_aws[1] in {UNKNOWN, template.stack.partition or of_aws[1]}:
            return of_aws[2]
        return None

    # What launches instances

    def profile_of(self, template: Template, name: object) -> Resource | None:
        """Return the profile of the app that is referred to, or named, or named in an ARN."""
        return self._of_kind("AWS::IAM::InstanceProfile", template, name)

    def role_of(self, template: Template, name: object) -> Role | None:
        """Return the role of the app that a service makes an instance profile for."""
        resource = self._of_kind("AWS::IAM::Role", template, name)
        if resource is None:
            return None
        return self._read_once(resource, resource.conditions, may_be_another=False)

    def _of_kind(self, kind: str, template: Template, name: object) -> Resource | None:
        """Return the resource of this type that is referred to, or named, or named in an ARN."""
        value = self._assembly.value(template, name)
        match value:
            case (ReturnValue(resource, _),) | ("arn:", *_, ReturnValue(resource, "")):
                return resource if resource.type == kind else None
            case [*_, str(last)] if ":instance-profile/" in last or ":role/" in last:
                value = (last.rpartition("/")[2],)
        named = self._named.get((kind, template.stack.account, value), ())
        return named[0] if len(named) == 1 else None


_NAMED_BY: Final = {
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
}
"""The property that names a resource of these types."""

NEEDED: Final[dict[str, str | tuple[str, ...]]] = {
    **dict.fromkeys(_needs.CHANNELS.actions, _needs.CHANNELS.resource),
    # A policy may allow it on some instances, and it is not known which will have the profile.
    **dict.fromkeys(_needs.REGISTRATION.actions, _needs.REGISTRATION_RESOURCES),
}
"""The actions that an instance needs, each with its resource."""


def _actions_of(statement: Statement) -> list[str]:
    """Return the needed actions that a statement may match."""
    return [one for one, on in NEEDED.items() if statement.applies(one, on) is not False]


def _merged(account: str | None, policies: Iterable[Policy]) -> list[Statement]:
    """Uncertain statements for policies of an account, one for each action and effect."""
    found: dict[tuple[str, bool], Statement] = {}
    for policy in policies:
        if may_be_equal(account, policy.resource.template.stack.account):
            source = f"{policy.source}, which may be attached to this role"
            for statement in policy.needed:
                for action in _actions_of(statement):
                    shared = statement._replace(source=source, certain=False)
                    found.setdefault((action, statement.allows), shared)
    return [*found.values()]


def _role_in(name: Value) -> Resource | None:
    """Return the role of the app that a value refers to."""
    match name:
        case (ReturnValue(resource, ""),) if resource.type == "AWS::IAM::Role":
            return resource
    return None


def _may_be_named(role: Resource, name: Value | None, other: Value) -> bool:
    """Tell whether `other` may be the name of a role. If `name` is None, its name is generated.

    IAM does not allow two names that differ only in case.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    if any(isinstance(part, ReturnValue) and part.resource is role for part in other):
        return True
    if name is None:
        return _may_be_generated(role, other)
    one, two = list(name), list(other)
    while one and two and one[0] == two[0]:
        del one[0], two[0]
    while one and two and one[-1] == two[-1]:
        del one[-1], two[-1]
    if not one or not two:
        return not any(isinstance(part, str) for part in (*one, *two))
    head, other_head = sorted((_folded(one[0]), _folded(two[0])), key=len)
    tail, other_tail = sorted((_folded(one[-1]), _folded(two[-1])), key=len)
    if len(one) == len(two) == 1 and head:
        return head == other_head
    return other_head.startswith(head) and other_tail.endswith(tail)


def _may_be_generated(role: Resource, other: Value) -> bool:
    """Tell whether `other` may be a name that CloudFormation generates: `STACK-LOGICALID-RANDOM`.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
    """
    if not other:
        return False
    head, tail = _folded(other[0]), _folded(other[-1])
    stack = role.template.stack.name.casefold()[: min(len(head), _SURELY_KEPT)]
    is_whole = len(other) == 1 and tail != ""
    if (is_whole or "-" in tail) and not re.search("-[a-z0-9]{8,}$", tail):
        return False
    return head.startswith(stack)


_SURELY_KEPT: Final = 8  # characters of a stack's name, which CloudFormation may shorten


def _folded(part: object) -> str:
    return part.casefold() if isinstance(part, str) else ""


class _Unread(NamedTuple):
    """A part of the app that can't be read, and may attach policies to roles of its account."""

    template: Template
    """The template that it is in."""
    source: str
    """What a message calls it."""
    sees_all: bool
    """Whether it can refer to every resource of its template."""


def _unread(assembly: Assembly) -> Iterator[_Unread]:
    for template, source in assembly.unread:
        yield _Unread(template, source, sees_all=False)
    for template in assembly.templates:
        of = f"of the template {template.path.name!r}"
        for name in template.transforms:
            yield _Unread(template, f"the transform {name!r} {of}", sees_all=True)
        for name, entry in template.made_later.items():
            if _may_make_policies(name, entry):
                yield _Unread(template, f"{name!r} {of}", sees_all=True)


def _may_make_policies(name: str, entry: object) -> bool:
    """Tell whether an entry, or a loop, may make policies or nested stacks with policies."""
    if not name.startswith("Fn::ForEach::"):
        kind = mapping(entry).get("Type")
        return not isinstance(kind, str) or "{" in kind or kind in _MAY_ATTACH
    fragments = entry[-1] if isinstance(entry, list) and entry else None
    return not isinstance(fragments, dict) or any(
        _may_make_policies(*fragment) for fragment in fragments.items()
    )


_MAY_ATTACH: Final = {*ATTACHED_BY, "AWS::CloudFormation::Stack"}


def _not_in_app(name: str | None, arn: object) -> list[Statement]:
    """Return the statements of an AWS managed policy, or those for one that can't be read."""
    return anything(f"the managed policy {shown(arn)}") if name is None else aws_managed(name)


def _uncertain(found: list[Statement]) -> list[Statement]:
    return [statement._replace(certain=False) for statement in found]
