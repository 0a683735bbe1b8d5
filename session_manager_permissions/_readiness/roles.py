"""Find the role of each instance profile of an assembly, and the policies of that role."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _needs

from .managed_policies import aws_managed
from .policies import actions_of, may_match_any
from .templates import functions
from .templates.loading import as_document
from .templates.model import (
    Resource,
    ReturnValue,
    Template,
    Unresolved,
    Value,
    may_be_equal,
    name_in,
    reference_to,
)
from .templates.texts import certainly_differ, without_the_same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .templates import Assembly

ATTACHED_BY: Final = {
    "AWS::IAM::Policy": "Roles",
    "AWS::IAM::RolePolicy": "RoleName",
    "AWS::IAM::ManagedPolicy": "Roles",
}
"""The policies that are resources, and the property that names their roles."""

ROLE_IN: Final = {"AWS::IAM::InstanceProfile": "Roles", "AWS::EKS::Nodegroup": "NodeRole"}
"""The types that hold a role for instances, and the property that names the role."""

_MANAGED: Final = "AWS::IAM::ManagedPolicy"
_BY_AWS: Final = ":iam::aws:policy/"
"""A part of the ARN of every AWS managed policy."""


@dataclass(eq=False)
class Policy:
    """A policy document, and the resource that contains it."""

    resource: Resource
    location: str
    owner: dict[str, Any]
    """The mapping that has the document as its `PolicyDocument`."""

    @property
    def source(self) -> str:
        """Its name in a message."""
        called = "the policy" if self.resource.type in ATTACHED_BY else "an inline policy of"
        return f"{called} {self.resource.logical_id!r}"

    def may_be_about(self, actions: tuple[str, ...]) -> bool:
        """Tell whether it may have a statement about one of these actions, in any world."""
        return may_match_any(self.actions, actions)

    @cached_property
    def actions(self) -> tuple[str, ...]:
        """The patterns of the actions that it may be about, in any world."""
        return actions_of(self.owner)

    @cached_property
    def length(self) -> int:
        """The minimum number of characters that IAM counts."""
        return min(_lengths(dict.get(self.owner, "PolicyDocument")), default=0)

    @cached_property
    def longest(self) -> int:
        """An upper bound of its number of characters."""
        return len(json.dumps(dict.get(self.owner, "PolicyDocument")))

    @cached_property
    def sids(self) -> list[str]:
        """The Sids of its statements, in any world."""
        return [
            functions.text(dict.get(functions.mapping(statement), "Sid", ""))
            for document in functions.values_of(self.owner, "PolicyDocument")
            for statement in functions.values_of(functions.mapping(document), "Statement")
        ]


def _lengths(written: object) -> Iterator[int]:
    """Yield the minimum length of each document that `Fn::If` may choose."""
    match functions.intrinsic(written):
        case "Fn::If", [_, *branches]:
            for one in branches:
                yield from _lengths(one)
        case _:
            yield functions.shortest(as_document(written))


class Attachment(NamedTuple):
    """A policy that a role may have."""

    policy: Policy
    entry: functions.Candidate
    """The entry of a list that attaches the policy."""
    named: Value = ()
    """The role that the entry has to name; empty if the entry is in the role itself."""


@dataclass(eq=False)
class Role:
    """The role of one or more instance profiles, with all policies that it has in a world."""

    name: str
    resource: Resource
    """The role, or one of its profiles if the role is not in the app."""
    in_app: bool
    inline: list[Attachment] = field(default_factory=list)
    managed: list[Attachment] = field(default_factory=list)
    """The managed policies that are in the app."""
    others: list[tuple[functions.Candidate, str]] = field(default_factory=list)
    """The ARNs of the other managed policies, each as it is written and as a text."""

    @property
    def arn(self) -> Value:
        """Its ARN; empty if it is not in the app."""
        written = {"Fn::GetAtt": [self.resource.logical_id, "Arn"]}
        return self.resource.template.value(written) if self.in_app else ()


class Roles:
    """The roles of an assembly and the policies that are attached to them, found in one pass.

    The pass finds what exists in any world. The methods answer for the world that is judged.
    """

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self._once = assembly.worlds.once
        self.policies: list[Policy] = []
        """The policies that are resources."""
        self._managed: dict[Resource, Policy] = {}
        self._by_role_name: defaultdict[Value, list[Attachment]] = defaultdict(list)
        """The attachments of policies, by the reference to the role or its name."""
        self._roles: dict[object, Role] = {}
        for kind, naming in ATTACHED_BY.items():
            for resource in assembly.by_type[kind]:
                self._index_attachments(resource, naming)
        self.by_name: list[Attachment] = [
            one
            for name, several in self._by_role_name.items()
            if reference_to(name, "AWS::IAM::Role") is None
            for one in several
            if not self._is_of_app(one)
        ]
        """The attachments to the name of no known resource, and so to any role with that name."""

    def _index_attachments(self, resource: Resource, naming: str) -> None:
        policy = Policy(resource, "Properties.PolicyDocument", resource.properties)
        self.policies.append(policy)
        if resource.type == _MANAGED:
            self._managed[resource] = policy
        for entry in functions.candidates(resource.properties, naming):
            for name in self.assembly.possible(resource.template, entry.value):
                self._by_role_name[name].append(Attachment(policy, entry, name))

    def _is_of_app(self, attached: Attachment) -> bool:
        """Tell whether each world has a role of the app with the name of an attachment."""
        template, name = attached.policy.resource.template, attached.named
        made = self.assembly.with_name("AWS::IAM::Role", template, name)
        certain = (one for one in made if not (one.condition or one.template.nested_as))
        return any(one.written.get("RoleName") in name for one in certain)

    # The role of a profile

    def of_holder(self, holder: Resource) -> Role:
        """Return the role of a profile, or of a node group, which EKS makes a profile for."""
        return self._once(("role of", holder), lambda: self._find_role(holder))

    def _find_role(self, holder: Resource) -> Role:
        account = holder.template.stack.account
        name: Value = (Unresolved(holder),)
        match [*functions.listed(holder.properties.get(ROLE_IN[holder.type]))]:
            case [written]:
                resource = self.assembly.resource("AWS::IAM::Role", holder.template, written)
                if resource is None:
                    name = name_in(holder.template.value(written))
                elif may_be_equal(account, resource.template.stack.account):
                    return self.of_resource(resource)
        key = name, account
        if key not in self._roles:
            role = Role("", holder, in_app=False)
            match name:
                case (str(known),):
                    role.name = known
            self._attach(role, name)
            self._roles[key] = role
        return self._roles[key]

    def of_resource(self, resource: Resource) -> Role:
        """Return a role of the app."""
        if resource not in self._roles:
            self._roles[resource] = self._read_role(resource)
        return self._roles[resource]

    def _read_role(self, resource: Resource) -> Role:
        role = Role(resource.logical_id, resource, in_app=True)
        for entry in functions.candidates(resource.properties, "Policies"):
            policy = Policy(resource, "Properties.Policies", functions.mapping(entry.value))
            role.inline.append(Attachment(policy, entry))
        names = self.assembly.names(resource.template, resource.properties, "RoleName")
        for name in ((ReturnValue(resource),), *names):
            self._attach(role, name)
        for entry in functions.candidates(resource.properties, "ManagedPolicyArns"):
            arn = functions.text(functions.as_written(entry.value))
            template = resource.template
            values = [] if _BY_AWS in arn else self.assembly.possible(template, entry.value)
            match values:
                case [(ReturnValue(found, _),)] if found in self._managed:
                    role.managed.append(Attachment(self._managed[found], entry))
                case _:
                    role.others.append((entry, arn))
        return role

    # Its policies

    def _attach(self, role: Role, name: Value) -> None:
        """Attach the policies that refer to the role, or name it, in its account."""
        account = role.resource.template.stack.account
        for one in self._by_role_name.get(name, ()):
            policy = one.policy.resource
            if may_be_equal(account, policy.template.stack.account):
                (role.managed if policy in self._managed else role.inline).append(one)

    def has(self, role: Role, attached: Attachment) -> bool:
        """Tell whether a role has a policy in the world that is judged."""
        name = attached.named
        if not self.is_there(attached):
            return False
        is_found_by_it = not role.in_app or name in {(), (ReturnValue(role.resource),)}
        return is_found_by_it or self._is_meant(attached.policy.resource, role.resource, name)

    def is_there(self, attached: Attachment) -> bool:
        """Tell whether an attachment exists in the world, and names the expected role there."""
        policy, entry, name = attached
        if not policy.resource.exists or not entry.is_there:
            return False
        return not name or policy.resource.template.value(entry.value) == name

    def _is_meant(self, policy: Resource, role: Resource, name: Value) -> bool:
        """Tell whether a policy means a role by a name that roles of other accounts may have."""
        if name != self.assembly.name_of(role):
            return False
        if len(self.assembly.with_name(role.type, role.template, name)) == 1:
            return True
        meant = self.assembly.named(role.type, policy.template, name)
        if meant is not None:
            return meant is role
        decider = f"the account of the policy {policy.logical_id!r}"
        return self.assembly.worlds.is_true(("names", policy.template, role), decider)

    def sids(self, role: Role, begin: tuple[str, ...]) -> list[str]:
        """Return the Sids in a role's policies that begin with one of these texts."""
        found = self._policies_of(role, lambda one: any(sid.startswith(begin) for sid in one.sids))
        return [sid for policy in found for sid in policy.sids if sid.startswith(begin)]

    def deprecated(self, role: Role) -> Iterator[tuple[str, Role]]:
        """Yield the deprecated AWS managed policies of a role, by their paths and names.

        Each comes with the role as it would be without the policy.
        """
        names = _needs.AWS_MANAGED_DEPRECATED
        for place, (one, arn) in enumerate(role.others):
            may_be_one = arn.endswith(functions.UNKNOWN) or any(name in arn for name in names)
            if may_be_one and one.is_there:
                found = self.managed_behind(role.resource, one.value)
                if isinstance(found, str) and found in names:
                    others = role.others[:place] + role.others[place + 1 :]
                    yield found, replace(role, others=others)

    @staticmethod
    def is_in_its_account(role: Role, policy: Policy) -> bool:
        """Tell whether a policy of the app is certain to be in the account of a role."""
        return policy.resource.template.stack.account == role.resource.template.stack.account

    def relevant_policies(self, role: Role, about: tuple[str, ...]) -> list[Policy]:
        """Return the policies of the app that a role has, of those about some actions."""
        key = role, "policies", about
        return self._once(key, lambda: self._policies_of(role, lambda one: one.may_be_about(about)))

    def _policies_of(self, role: Role, matters: Callable[[Policy], bool]) -> list[Policy]:
        """Return the policies of the app that a role has, of those that matter."""
        found = [
            one.policy
            for one in (*role.inline, *role.managed)
            if matters(one.policy) and self.has(role, one)
        ]
        by_arn = (one for one, arn in role.others if _BY_AWS not in arn and one.is_there)
        named = (self.managed_behind(role.resource, one.value) for one in by_arn)
        return [*found, *(one for one in named if isinstance(one, Policy) and matters(one))]

    def not_of_app(self, role: Role, about: tuple[str, ...]) -> list[tuple[str, object]]:
        """Return the managed policies of a role that are not of the app: path and name, and ARN.

        A policy that is not of AWS either has an empty path and name. A policy of AWS that is not
        about the actions makes no difference, so the world is not asked whether it is there.
        """

        def found() -> list[tuple[str, object]]:
            named = (
                (self.managed_behind(role.resource, one.value), one.value)
                for one, arn in role.others
                if not (one.guards and _is_unrelated_of_aws(arn, about)) and one.is_there
            )
            return [(name, arn) for name, arn in named if isinstance(name, str)]

        return self._once((role, "not of app", about), found)

    def known_arn(self, resource: Resource, arn: object) -> str:
        """Return an ARN as it is known in the judged world, with `UNKNOWN` for other parts."""
        return _known(self.assembly.settled(resource.template.value(arn)))

    def managed_behind(self, resource: Resource, arn: object) -> Policy | str:
        """Return the managed policy with this ARN; the path and name of an AWS managed policy.

        An empty text means that the policy is neither in the app nor managed by AWS.
        """
        found = self.assembly.settled(resource.template.value(arn))
        match found:
            case (ReturnValue(policy, _),):
                return self._managed.get(policy, "")
        of_aws = re.fullmatch(rf"arn:([^:]*){_BY_AWS}([^,{functions.UNKNOWN}]+)", _known(found))
        partition = resource.template.stack.partition
        if of_aws and of_aws[1] in {functions.UNKNOWN, partition.name if partition else of_aws[1]}:
            return of_aws[2]
        named = self.assembly.named(_MANAGED, resource.template, found)
        return "" if named is None else self._managed[named]

    # Profiles and roles by a reference, a name or an ARN

    def profile_of(self, template: Template, name: object) -> Resource | None:
        """Return the profile of the app that is referred to, or named, or named in an ARN."""
        return self.assembly.resource("AWS::IAM::InstanceProfile", template, name)

    def role_of(self, template: Template, name: object) -> Role | None:
        """Return the role of the app that is referred to, or named, or named in an ARN."""
        resource = self.assembly.resource("AWS::IAM::Role", template, name)
        return None if resource is None else self.of_resource(resource)

    def may_be(self, role: Role, template: Template, arn: object) -> bool:
        """Tell whether an ARN may be that of a role, by the name that the role may have."""
        if not role.in_app:
            return True
        name = self.assembly.name_of(role.resource)
        return may_be_named(role.resource, name, name_in(template.value(arn)))


def _known(value: Value) -> str:
    return "".join(part if isinstance(part, str) else functions.UNKNOWN for part in value)


def _is_unrelated_of_aws(arn: str, about: tuple[str, ...]) -> bool:
    """Tell whether an ARN is that of a policy of AWS that is certainly not about some actions."""
    _, of_aws, name = arn.partition(_BY_AWS)
    return bool(of_aws) and not aws_managed(name, about)


def may_be_named(role: Resource, name: Value | None, other: Value) -> bool:
    """Tell whether `other` may be the name of a role. If `name` is None, its name is generated.

    IAM does not allow two names that differ only in case.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    if any(isinstance(part, ReturnValue) and part.resource is role for part in other):
        return True
    if name is None:
        return _may_be_generated(role, other)
    pair = (tuple(folded(part) or part for part in value) for value in (name, other))
    return not certainly_differ(*without_the_same(*pair))


def _may_be_generated(role: Resource, other: Value) -> bool:
    """Tell whether `other` may be a name that CloudFormation generates: `STACK-LOGICALID-RANDOM`.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
    """
    if not other:
        return False
    head, tail = folded(other[0]), folded(other[-1])
    stack = role.template.stack.name.casefold()[: min(len(head), _SURELY_KEPT)]
    is_whole = len(other) == 1 and tail != ""
    if (is_whole or "-" in tail) and not re.search("-[a-z0-9]{8,}$", tail):
        return False
    return head.startswith(stack)


_SURELY_KEPT: Final = 8  # characters of a stack's name, which CloudFormation may shorten


def folded(part: object) -> str:
    return part.casefold() if isinstance(part, str) else ""
