"""Find the role of each instance profile of an assembly, and the policies of that role."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property, partial
from os.path import commonprefix
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._conditions import MARKS, NO_CONTEXT, RequestContext
from session_manager_permissions._evaluation import Answer
from session_manager_permissions._patterns import any_matches, matches

from .managed_policies import aws_managed
from .parts import NEVER_READ, STACKS, decider, types_deployed
from .policies import (
    NEEDED,
    Decision,
    Statement,
    actions_of,
    anything,
    decide,
    known_of,
    may_match,
    may_match_any,
    read,
    within,
)
from .role_names import may_be_named, role_in
from .templates.functions import (
    UNKNOWN,
    Candidate,
    candidates,
    intrinsic,
    listed,
    mapping,
    shortest,
    text,
    text_written,
    values_of,
)
from .templates.loading import as_document
from .templates.model import (
    Resource,
    ReturnValue,
    Template,
    Unresolved,
    Value,
    may_be_equal,
    name_in,
)
from .templates.values import as_text

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
"""What holds a role for instances, and the property that names the role."""

KEYS: Final = ("AWS::KMS::Key", "AWS::KMS::ReplicaKey")
"""The keys of KMS."""

_MANAGED: Final = "AWS::IAM::ManagedPolicy"
_OF_AWS: Final = ":iam::aws:policy/"
"""What is in the ARN of a policy that AWS manages."""
_MOST_COMPARED: Final = 64  # unknown names to compare with a role's; if more, all may be its


@dataclass(eq=False)
class Policy:
    """A policy document, and the resource that contains it."""

    resource: Resource
    location: str
    owner: dict[str, Any]
    """What has the document, as its `PolicyDocument`."""

    @property
    def source(self) -> str:
        """What a message calls it."""
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
        """The least number of characters that IAM counts."""
        return min(_lengths(dict.get(self.owner, "PolicyDocument")), default=0)

    @cached_property
    def longest(self) -> int:
        """A number of characters that it has at most."""
        return len(json.dumps(dict.get(self.owner, "PolicyDocument")))

    @cached_property
    def sids(self) -> list[str]:
        """The Sids of its statements, in any world."""
        return [
            text(dict.get(mapping(statement), "Sid", ""))
            for document in values_of(self.owner, "PolicyDocument")
            for statement in values_of(mapping(document), "Statement")
        ]


def _lengths(written: object) -> Iterator[int]:
    """Yield the least length of each document that `Fn::If` may choose."""
    match intrinsic(written):
        case "Fn::If", [_, *branches]:
            for one in branches:
                yield from _lengths(one)
        case _:
            yield shortest(as_document(written))


class Attachment(NamedTuple):
    """A policy that a role may have."""

    policy: Policy
    entry: Candidate
    """What attaches it, in a list."""
    named: Value | None = None
    """What the entry has to refer to; None where it can't refer to anything else."""


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
    others: list[tuple[Candidate, str]] = field(default_factory=list)
    """The ARNs of the other managed policies, each as it is written and as a text."""


class Asked(NamedTuple):
    """The actions that are asked about, all on the same resource."""

    actions: tuple[str, ...]
    on: Value | None = None
    """The resource; None if it is what `NEEDED` has for each action."""

    def is_on(self, pattern: Value) -> bool | None:
        """Tell whether the resource of a statement covers it; None if that is not known."""
        ours = self.on or ()
        written, asked = marked(pattern), marked(ours)
        if written == "*" or matches(written, asked):
            return True
        # Equal beginnings match, so what is not known in them decides nothing.
        alike = len(commonprefix((written, asked)))  # noqa: RUF071 # they are no paths
        rest = written[alike:], asked[alike:]
        is_known = not (has_marks("".join(rest)) or re.match("arn:[^:]+:", written))
        if asked.startswith("arn:") and is_known:
            return None if may_match(*rest) else False
        theirs, its = _resources_in(pattern), _resources_in(ours)
        if theirs and its and not theirs & its:
            return False
        text = as_text(pattern)
        service = re.match("arn:[^:]*:([a-z0-9-]+):", text)
        is_alias = ":alias/" in text  # by which no policy names a key
        is_other = service and service[1] != self.actions[0].partition(":")[0]
        return False if is_alias or is_other else None


def _resources_in(value: Value) -> set[Resource]:
    """Return the resources that a value refers to, of those whose values are of nothing else."""
    return {
        part.resource
        for part in value
        if isinstance(part, ReturnValue) and part.resource.type.startswith(_OF_THEMSELVES)
    }


def _target(alias: Resource) -> Value:
    return alias.template.value(alias.properties.get("TargetKeyId"))


def marked(value: Value) -> str:
    """Return a value as a text, with marks in place of each part that is known at deployment only.

    Equal parts have the same marks. The partition of an ARN is left out if it is written or covers
    every partition, as `*` and `aws*` do: a policy can't name resources of another partition.
    """
    return re.sub(r"^arn:(\*|aws\*|[^:*?]*):", "arn::", "".join(map(_marked_part, value)))


def _marked_part(part: str | ReturnValue | Unresolved) -> str:
    if isinstance(part, ReturnValue):
        resource, attribute = part
        known = resource.template.value
        if attribute == "Arn" and resource.type in _ARNS:
            its_name = {"Name": {"Ref": resource.logical_id}}
            return marked(known({"Fn::Sub": [_ARNS[resource.type], its_name]}))
        name = resource.properties.get(_REFERRED_BY.get(resource.type, ""))
        if not attribute and name is not None:
            return marked(known(name))
    return part if isinstance(part, str) else f"{hash(part):x}".translate(_DIGITS)


_OF_ANOTHER: Final = ", whose Resource is of another partition, which IAM refuses"


def _is_of_another(partition: str, arn: str) -> bool:
    named = re.match("arn:(aws[a-z-]*):", arn)
    return named is not None and named[1] != partition


def has_marks(text: str) -> bool:
    """Tell whether a part of a text is known at the deployment only."""
    return any(ord(one) >= MARKS for one in text)


_DIGITS: Final = {ord(digit): MARKS + number for number, digit in enumerate("-0123456789abcdef")}
_OF_THEMSELVES: Final = (
    "AWS::DynamoDB::",
    "AWS::IAM::",
    "AWS::KMS::",
    "AWS::Lambda::",
    "AWS::Logs::",
    "AWS::S3::",
    "AWS::SNS::",
    "AWS::SQS::",
    "AWS::SecretsManager::",
)
"""Services whose resources return no ARN and no name of another resource.

A custom resource, a nested stack or a parameter of Systems Manager may return any.
"""
_ARNS: Final = {
    "AWS::KMS::Alias": "arn::kms:${AWS::Region}:${AWS::AccountId}:${Name}",
    **dict.fromkeys(KEYS, "arn::kms:${AWS::Region}:${AWS::AccountId}:key/${Name}"),
    "AWS::Logs::LogGroup": "arn::logs:${AWS::Region}:${AWS::AccountId}:log-group:${Name}:*",
    "AWS::S3::Bucket": "arn::s3:::${Name}",
}
"""The ARNs of these types, by the name that `Ref` returns."""
_REFERRED_BY: Final = {
    "AWS::IAM::Role": "RoleName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
}
"""The property that sets the name that `Ref` returns, by the type of the resource."""


EACH_SESSION: Final = Asked(tuple(NEEDED))
"""What every session needs."""


class Ability(NamedTuple):
    """IAM's decision about one action of a role."""

    identity: Decision
    """By the role's policies alone."""
    boundary: Decision
    """By its permissions boundary alone."""
    decision: Decision
    """By both together."""


class Roles:
    """The roles of an assembly, with what names and attaches, found in one pass.

    What is found is what there is in any world. What is asked is answered for the world that is
    judged.
    """

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._once = assembly.worlds.once
        self.policies: list[Policy] = []
        """The policies that are resources."""
        self._managed: dict[Resource, Policy] = {}
        self._by_role_name: defaultdict[Value, list[Attachment]] = defaultdict(list)
        """What is attached to roles, by the reference to a role or the name of one."""
        self._roles: dict[object, Role] = {}
        for kind, naming in ATTACHED_BY.items():
            for resource in assembly.by_type[kind]:
                self._index_attachments(resource, naming)
        self._perhaps_of_others = self._perhaps_not_of_app()
        self._unread = [*_unread(assembly)]

    def _index_attachments(self, resource: Resource, naming: str) -> None:
        policy = Policy(resource, "Properties.PolicyDocument", resource.properties)
        self.policies.append(policy)
        if resource.type == _MANAGED:
            self._managed[resource] = policy
        for entry in candidates(resource.properties, naming):
            names = self._assembly.possible(resource.template, entry.value)
            for name in names:
                attached = Attachment(policy, entry, name if names[1:] else None)
                self._by_role_name[name].append(attached)

    def _perhaps_not_of_app(self) -> list[tuple[Value, Attachment]]:
        """Return what is attached to a role that is not certain to be one of the app."""
        return [
            (name, attached)
            for name, several in self._by_role_name.items()
            if role_in(name) is None
            for attached in several
            if not any(one.is_certain for one in self._roles_named(attached.policy.resource, name))
        ]

    def _roles_named(self, by: Resource, name: Value) -> list[Resource]:
        return self._assembly.with_name("AWS::IAM::Role", by.template, name)

    # The role of a profile

    def of_holder(self, holder: Resource) -> Role:
        """Return the role of a profile, or of a node group, which EKS makes a profile for."""
        return self._once(("role of", holder), lambda: self._of_holder(holder))

    def _of_holder(self, holder: Resource) -> Role:
        account = holder.template.stack.account
        name: Value = (Unresolved(holder),)
        match [*listed(holder.properties.get(ROLE_IN[holder.type]))]:
            case [written]:
                resource = self._assembly.resource("AWS::IAM::Role", holder.template, written)
                if resource is None:
                    name = name_in(self._assembly.value(holder.template, written))
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
        for entry in candidates(resource.properties, "Policies"):
            policy = Policy(resource, "Properties.Policies", mapping(entry.value))
            role.inline.append(Attachment(policy, entry))
        self._attach(role, (ReturnValue(resource),))
        names = self._assembly.names(resource.template, resource.properties, "RoleName")
        guarded = any(one.guards for one in candidates(resource.properties, "RoleName"))
        for name in names:
            self._attach(role, name, is_certain=not (guarded or names[1:]))
        for entry in candidates(resource.properties, "ManagedPolicyArns"):
            arn = text_written(entry.value)
            template = resource.template
            values = [] if _OF_AWS in arn else self._assembly.possible(template, entry.value)
            match values:
                case [(ReturnValue(found, _),)] if found in self._managed:
                    role.managed.append(Attachment(self._managed[found], entry))
                case _:
                    role.others.append((entry, arn))
        return role

    # Its policies

    def _attach(self, role: Role, name: Value, *, is_certain: bool = True) -> None:
        """Attach the policies that refer to the role, or name it, in its account."""
        account = role.resource.template.stack.account
        for attached in self._by_role_name.get(name, ()):
            policy = attached.policy.resource
            if may_be_equal(account, policy.template.stack.account):
                one = attached if is_certain else attached._replace(named=name)
                (role.managed if policy in self._managed else role.inline).append(one)

    def has(self, role: Role, attached: Attachment) -> bool:
        """Tell whether a role has a policy in the world that is judged."""
        resource = attached.policy.resource
        if not resource.exists or not attached.entry.is_there:
            return False
        if attached.named is None:
            return True
        name = self._assembly.value(resource.template, attached.entry.value)
        mine = (ReturnValue(role.resource),), self._assembly.name_of(role.resource)
        return name == attached.named and (not role.in_app or name in mine)

    def statements(self, policy: Policy, about: tuple[str, ...]) -> list[Statement]:
        """Return the statements of a policy about some actions, whoever calls them."""
        return self._once((policy, about), lambda: self._read(policy, about, NO_CONTEXT))

    def _read(
        self, policy: Policy, about: tuple[str, ...], context: RequestContext
    ) -> list[Statement]:
        template = policy.resource.template
        known, partition = partial(self._assembly.text, template), template.stack.partition
        found = read(policy.owner.get("PolicyDocument"), policy.source, known, about, context)
        return [
            one._replace(certain=False, doubt=_OF_ANOTHER)
            if partition and any(_is_of_another(partition.name, arn) for arn in one.resources)
            else one
            for one in found
        ]

    def asked_statements(self, policy: Policy, asked: Asked = EACH_SESSION) -> list[Statement]:
        """Return the statements of a policy about what an instance calls."""

        def reads() -> list[Statement]:
            template = policy.resource.template
            key = template, asked
            context = self._once(key, lambda: self.context(template, template, asked))
            return self.on(template, self._read(policy, asked.actions, context), asked)

        return self._once((policy, asked), reads)

    def context(self, template: Template, of_role: Template, asked: Asked) -> RequestContext:
        """Return what is known of the calls of instances.

        Args:
            template: the template of the policy that decides about the calls.
            of_role: the template of their role, or one that is deployed to the role's account.
            asked: what is called.
        """
        value = partial(self._assembly.value, template)
        account = marked(of_role.value({"Ref": "AWS::AccountId"}))
        known = known_of(asked.actions, account)
        among = tuple(("kms:resourcealiases", one) for one in self._aliases(asked.on))
        context = known._replace(read=lambda written: marked(value(written)), among=among)
        if self._is_one_environment(template):
            region = marked(value({"Ref": "AWS::Region"}))
            return context.knowing({_needs.REGION_KEY: region})
        return context

    def _aliases(self, key: Value | None) -> list[str]:
        """Return the aliases of the app that a key has in the world that is judged."""
        match key:
            case (ReturnValue(resource, _),):
                return [
                    marked((ReturnValue(one),))
                    for one in self._assembly.by_type["AWS::KMS::Alias"]
                    if one.exists and _resources_in(_target(one)) == {resource}
                ]
        return []

    def _is_one_environment(self, template: Template) -> bool:
        """Whether all instances in the account of a template are certainly of its region."""
        own = template.stack

        def judge() -> bool:
            stacks = [one.stack for one in self._assembly.templates]
            beside = [one for one in stacks if may_be_equal(one.account, own.account)]
            return all(one.environment == own.environment for one in beside)

        return self._once(("one environment", own.account), judge)

    def on(self, template: Template, found: list[Statement], asked: Asked) -> list[Statement]:
        """Return the statements that may be on what is asked about, as ones on `*` if they are."""
        if asked.on is None:
            return [self._on_instances(template, one) for one in found]
        on = []
        for one in found:
            covered: bool | None = None
            if one.written_resource is not None:
                values = [self._assembly.value(template, on) for on in listed(one.written_resource)]
                covered = any_matches(
                    [asked.is_on(value) for value in values], negated=one.not_resources
                )
            if covered is not False:
                resources = ("*",) if covered else (UNKNOWN,)
                on.append(one._replace(resources=resources, not_resources=False))
        return on

    def _on_instances(self, template: Template, statement: Statement) -> Statement:
        """Return a statement that allows something on each instance as one on those of EC2.

        The instances are those of the template's account and region.
        """
        is_on_some = statement.allows and statement.resources != ("*",)
        if is_on_some and not statement.not_resources and self._is_one_environment(template):
            value = partial(self._assembly.value, template)
            instance = Asked(_needs.REGISTRATION.actions, value({"Fn::Sub": _INSTANCE}))
            if any(instance.is_on(value(on)) for on in listed(statement.written_resource)):
                instances = _needs.REGISTRATION_RESOURCES[0]
                return statement._replace(resources=(*statement.resources, instances))
        return statement

    def sids(self, role: Role, begin: tuple[str, ...]) -> list[str]:
        """Return the Sids in a role's policies that begin with one of these texts."""
        found = self._of(role, lambda one: any(sid.startswith(begin) for sid in one.sids))
        return [sid for policy in found for sid in policy.sids if sid.startswith(begin)]

    def deprecated(self, role: Role) -> list[str]:
        """Return the policies of a role that AWS advises against, by their paths and names."""
        names = _needs.AWS_MANAGED_DEPRECATED
        entries = [
            one
            for one, arn in role.others
            if arn.endswith(UNKNOWN) or any(name in arn for name in names)
        ]
        found = [self.managed_behind(role.resource, one.value) for one in entries if one.is_there]
        return [one for one in found if isinstance(one, str) and one in names]

    @staticmethod
    def is_in_its_account(role: Role, policy: Policy) -> bool:
        """Tell whether a policy of the app is certain to be in the account of a role."""
        stack = policy.resource.template.stack
        return stack.account == role.resource.template.stack.account

    def relevant_policies(self, role: Role, asked: Asked = EACH_SESSION) -> list[Policy]:
        """Return the policies of the app that a role has, of those about what is asked."""
        return self._once(
            (role, "policies", asked.actions),
            lambda: self._of(role, lambda one: one.may_be_about(asked.actions)),
        )

    def _of(self, role: Role, matters: Callable[[Policy], bool]) -> list[Policy]:
        """Return the policies of the app that a role has, of those that matter."""
        found = [
            one.policy
            for one in (*role.inline, *role.managed)
            if matters(one.policy) and self.has(role, one)
        ]
        by_arn = (one for one, arn in role.others if _OF_AWS not in arn and one.is_there)
        named = (self.managed_behind(role.resource, one.value) for one in by_arn)
        return [*found, *(one for one in named if isinstance(one, Policy) and matters(one))]

    def abilities(self, role: Role, without: frozenset[Policy] = frozenset()) -> dict[str, Ability]:
        """Decide about each action that an instance needs, leaving out the policies `without`."""
        return self._once((role, without), lambda: self._decided(role, EACH_SESSION, without))

    def ability(self, role: Role, action: str, on: Value) -> Ability:
        """Decide about an action that only some sessions need."""
        asked = Asked((action,), on)
        return self._once((role, asked), lambda: self._decided(role, asked)[action])

    def may_deny(self, role: Role, asked: Asked) -> bool:
        """Tell whether a policy of a role may deny an action that something else allows."""
        (action,) = asked.actions
        allowed = Statement("", allows=True, certain=True)
        found = decide([allowed, *self._statements_of(role, asked)], action, "*")
        return found.answer is not Answer.ALLOWED

    def _statements_of(
        self, role: Role, asked: Asked, without: frozenset[Policy] = frozenset()
    ) -> list[Statement]:
        key = role, "others", asked
        others = self._once(key, lambda: [*self._of_others(role, asked)])
        return [*others, *self.readable(role, asked, without)]

    def _decided(
        self, role: Role, asked: Asked, without: frozenset[Policy] = frozenset()
    ) -> dict[str, Ability]:
        statements = self._statements_of(role, asked, without)
        boundary = self._boundary(role, asked)
        found = {}
        for action in asked.actions:
            on = NEEDED.get(action, "*")
            identity = decide(statements, action, on)
            limit = _UNLIMITED if boundary is None else decide(boundary, action, on)
            found[action] = Ability(identity, limit, within(identity, limit))
        return found

    def readable(
        self, role: Role, asked: Asked, without: frozenset[Policy] = frozenset()
    ) -> Iterator[Statement]:
        """Yield the statements of the policies of a role that are of AWS or of the app."""
        for name, _ in self._not_of_app(role, asked.actions):
            yield from self._of_aws(role, name, asked) if name else ()
        overwritten = self._overwritten(role)
        for policy in self.relevant_policies(role, asked):
            if policy not in without:
                found = self.asked_statements(policy, asked)
                if policy in overwritten:
                    found = _uncertain(found, ", as another policy of the role has its name")
                yield from found if self.is_in_its_account(role, policy) else _uncertain(found)

    def _overwritten(self, role: Role) -> set[Policy]:
        """Return the inline policies of one name, of which a role keeps the last that is put."""
        return {
            one.policy
            for several in self._once((role, "of one name"), lambda: self._of_one_name(role))
            if len({other.policy for other in several if self.has(role, other)}) > 1
            for one in several
        }

    def _of_one_name(self, role: Role) -> list[list[Attachment]]:
        """Return the inline policies that may have one name, for each name."""
        by_name = defaultdict[object, list[Attachment]](list)
        for one in role.inline:
            owner, template = one.policy.owner, one.policy.resource.template
            for name in self._assembly.names(template, owner, "PolicyName"):
                by_name[name].append(one)
        return [several for several in by_name.values() if several[1:]]

    def _of_others(self, role: Role, asked: Asked) -> Iterator[Statement]:
        """Yield statements for what can't be read: policies of others, and a role of others."""
        if not role.in_app:
            known = f"the role {role.name!r}, which is not in this app"
            named = next(iter(listed(role.resource.properties.get("Roles"))), None)
            there = role.resource.template
            unknown = decider(named, "role of the profile", there)
            yield from anything(known if role.name else unknown)
            return
        for name, arn in self._not_of_app(role, asked.actions):
            yield from () if name else _of_others_policy(arn)
        yield from self._of_unknown_roles(role, asked)

    def _not_of_app(self, role: Role, about: tuple[str, ...]) -> list[tuple[str, object]]:
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

    def _boundary(self, role: Role, asked: Asked) -> list[Statement] | None:
        """Return the statements of a role's permissions boundary; None without one."""
        arn = role.resource.properties.get("PermissionsBoundary") if role.in_app else None
        if arn is None:
            return None
        match self.managed_behind(role.resource, arn):
            case Policy() as policy:
                return self.asked_statements(policy, asked)
            case "":
                return _of_others_policy(arn)
            case name:
                return self._of_aws(role, name, asked)

    def _of_aws(self, role: Role, name: str, asked: Asked) -> list[Statement]:
        return self.on(role.resource.template, aws_managed(name, asked.actions), asked)

    def _of_unknown_roles(self, role: Role, asked: Asked) -> Iterator[Statement]:
        """Yield statements for the policies that may be attached to the role.

        Such policies are in what can't be read, or their name of a role may mean this one. A role
        without a `RoleName` has a generated name, which another template knows only if the
        template of the role discloses it.
        """
        there, name = role.resource.template, self._assembly.name_of(role.resource)
        for template, source, sees_all in self._unread:
            disclosed = name is not None or role.resource in there.disclosed
            sees_it = disclosed or (sees_all and template is there)
            if sees_it and may_be_equal(there.stack.account, template.stack.account):
                yield from anything(source)
        account = there.stack.account
        perhaps = self._once(
            ("perhaps", asked.actions),
            lambda: [
                one for one in self._perhaps_of_others if one[1].policy.may_be_about(asked.actions)
            ],
        )
        if len(perhaps) <= _MOST_COMPARED:
            its = [
                one
                for one in perhaps
                if one[0] != name and may_be_named(role.resource, name, one[0])
            ]
            yield from self._merged(account, its, asked)
        else:
            key = "unmatched", account, asked
            yield from self._once(key, lambda: self._merged(account, perhaps, asked))

    def _merged(
        self, account: str | None, several: list[tuple[Value, Attachment]], asked: Asked
    ) -> list[Statement]:
        """Uncertain statements for policies of an account, one for each action and effect."""
        found: dict[tuple[str, bool], Statement] = {}
        for name, (policy, entry, named) in several:
            resource = policy.resource
            if not may_be_equal(account, resource.template.stack.account):
                continue
            if any(one.exists for one in self._roles_named(resource, name)):
                continue
            is_its = named is None or self._assembly.value(resource.template, entry.value) == named
            if not resource.exists or not entry.is_there or not is_its:
                continue
            source = f"{policy.source}, which may be attached to this role"
            for statement in self.asked_statements(policy, asked):
                for action in asked.actions:
                    if statement.applies(action, NEEDED.get(action, "*")) is not False:
                        shared = statement._replace(source=source, certain=False)
                        found.setdefault((action, statement.allows), shared)
        return [*found.values()]

    def managed_behind(self, resource: Resource, arn: object) -> Policy | str:
        """Return the managed policy with this ARN; the path and name of one that AWS manages.

        An empty text stands for one that is neither of the app nor of AWS.
        """
        found = self._assembly.settled(self._assembly.value(resource.template, arn))
        match found:
            case (ReturnValue(policy, _),):
                return self._managed.get(policy, "")
        known = "".join(part if isinstance(part, str) else UNKNOWN for part in found)
        of_aws = re.fullmatch(rf"arn:([^:]*){_OF_AWS}([^,{UNKNOWN}]+)", known)
        partition = resource.template.stack.partition
        if of_aws and of_aws[1] in {UNKNOWN, partition.name if partition else of_aws[1]}:
            return of_aws[2]
        named = self._assembly.named(_MANAGED, resource.template, found)
        return "" if named is None else self._managed[named]

    # Profiles and roles by a reference, a name or an ARN

    def profile_of(self, template: Template, name: object) -> Resource | None:
        """Return the profile of the app that is referred to, or named, or named in an ARN."""
        return self._assembly.resource("AWS::IAM::InstanceProfile", template, name)

    def role_of(self, template: Template, name: object) -> Role | None:
        """Return the role of the app that is referred to, or named, or named in an ARN."""
        resource = self._assembly.resource("AWS::IAM::Role", template, name)
        return None if resource is None else self.of_resource(resource)

    def may_be(self, role: Role, template: Template, arn: object) -> bool:
        """Tell whether an ARN may be that of a role, by the name that the role may have."""
        if not role.in_app:
            return True
        name = self._assembly.name_of(role.resource)
        return may_be_named(role.resource, name, name_in(self._assembly.value(template, arn)))


_UNLIMITED: Final = Decision(Answer.ALLOWED)
"""What the permissions boundary decides for a role that has none."""
_INSTANCE: Final = "arn:aws:ec2:${AWS::Region}:${AWS::AccountId}:instance/i-+7f0c2a9b1d3e4f56"
"""An instance that no pattern is about alone."""


def _unread(assembly: Assembly) -> Iterator[tuple[Template, str, bool]]:
    """Yield the parts of an app that can't be read, and may attach policies to roles.

    Each is the template that it is in, what a message calls it, and whether it can refer to every
    resource of that template.
    """
    for template, source in assembly.unread:
        yield template, source, False
    for stack in (one for type_ in NEVER_READ for one in assembly.by_type[type_]):
        if types_deployed(stack) & _MAY_ATTACH:
            source = f"the template that {stack.logical_id!r} deploys, which is not read"
            yield stack.template, source, False
    for template in assembly.templates:
        of = f"of the template {template.path.name!r}"
        for name in template.transforms:
            yield template, f"the transform {name!r} {of}", True
        for name, types in template.types_made.items():
            if types & _MAY_ATTACH:
                yield template, f"{name!r} {of}", True


_MAY_ATTACH: Final = frozenset({*ATTACHED_BY, *STACKS, UNKNOWN})


def _is_unrelated_of_aws(arn: str, about: tuple[str, ...]) -> bool:
    """Tell whether an ARN is that of a policy of AWS that is certainly not about some actions."""
    _, of_aws, name = arn.partition(_OF_AWS)
    return bool(of_aws) and not aws_managed(name, about)


def _of_others_policy(arn: object) -> list[Statement]:
    return anything(f"{decider(arn, 'managed policy')}, which is not in this app")


def _uncertain(found: list[Statement], doubt: str = "") -> list[Statement]:
    return [one._replace(certain=False, doubt=doubt or one.doubt) for one in found]
