"""Find the role of each instance profile of an assembly, and the policies of that role."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._conditions import EACH_CALL, MARKS, NO_CONTEXT
from session_manager_permissions._patterns import any_matches, matches

from .managed_policies import aws_managed
from .parts import NEVER_READ, STACKS, decider, types_deployed
from .policies import (
    NEEDED,
    Answer,
    Decision,
    Statement,
    anything,
    decide,
    is_of_each_instance,
    may_be_about,
    read,
    within,
)
from .role_names import folded, may_be_named, name_in, role_in
from .templates.functions import (
    UNKNOWN,
    Candidate,
    candidates,
    listed,
    mapping,
    shortest,
    text,
)
from .templates.model import Resource, ReturnValue, Unresolved, may_be_equal
from .templates.values import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from session_manager_permissions._conditions import RequestContext

    from .templates import Assembly
    from .templates.model import Template, Value

ATTACHED_BY: Final = {
    "AWS::IAM::Policy": "Roles",
    "AWS::IAM::RolePolicy": "RoleName",
    "AWS::IAM::ManagedPolicy": "Roles",
}
"""The policies that are resources, and the property that names their roles."""

_NODES: Final = "AWS::EKS::Nodegroup"
ROLE_IN: Final = {"AWS::IAM::InstanceProfile": "Roles", _NODES: "NodeRole"}
"""What holds a role for instances, and the property that names the role."""

DECRYPT: Final = "kms:Decrypt"
_NEEDED: Final = tuple(NEEDED)
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

    @cached_property
    def matters(self) -> bool:
        """Whether it may have a statement about what an instance needs, in any world."""
        documents = [one.value for one in candidates(self.owner, "PolicyDocument")]
        return not documents or any(may_be_about(one, _NEEDED) for one in documents)

    @cached_property
    def may_decrypt(self) -> bool:
        """Whether it may have a statement about the decryption by a key, in any world."""
        documents = (one.value for one in candidates(self.owner, "PolicyDocument"))
        return any(may_be_about(one, (DECRYPT,)) for one in documents)

    @cached_property
    def length(self) -> int:
        """The least number of characters that IAM counts."""
        return shortest(dict.get(self.owner, "PolicyDocument"))

    @cached_property
    def longest(self) -> int:
        """A number of characters that it has at most."""
        return len(json.dumps(dict.get(self.owner, "PolicyDocument")))

    @cached_property
    def sids(self) -> list[str]:
        """The Sids of its statements, in any world."""
        return [
            text(dict.get(mapping(statement.value), "Sid", ""))
            for document in candidates(self.owner, "PolicyDocument")
            for statement in candidates(mapping(document.value), "Statement")
        ]


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
    others: list[Candidate] = field(default_factory=list)
    """The ARNs of the other managed policies."""


class Asked(NamedTuple):
    """The resource of an action."""

    value: Value
    service: str
    """The service in its ARN."""

    def is_covered_by(self, pattern: Value) -> bool | None:
        """Tell whether the resource of a statement covers it; None if that is not known."""
        text = as_text(pattern)
        written, asked = _identified(pattern), _identified(self.value)
        if text == "*" or matches(written, asked):
            return True
        is_known = asked.startswith("arn:") and "<" not in written + asked
        if is_known and not asked.endswith("/log"):  # which stands for the log of any session
            return matches(written, asked)
        theirs = {part.resource for part in pattern if isinstance(part, ReturnValue)}
        ours = {part.resource for part in self.value if isinstance(part, ReturnValue)}
        if theirs and ours and not theirs & ours:
            return False
        service = re.match("arn:[^:]*:([a-z0-9-]+):", text)
        is_alias = ":alias/" in text  # by which no policy names a key
        return False if is_alias or (service and service[1] != self.service) else None


def _identified(value: Value) -> str:
    """Return a value as a text in which each part that is only known at deployment has a name.

    An ARN is without its partition, as there is none of another partition.
    """
    return re.sub("^arn:[^:]*:", "arn::", "".join(map(_named, value)))


def _named(part: str | ReturnValue | Unresolved) -> str:
    if isinstance(part, ReturnValue) and part.resource.type in _ARNS:
        resource, attribute = part
        if attribute == "Arn":
            stack = resource.template.stack
            region, account = (
                known or _named(Unresolved(stack.environment, name))
                for known, name in zip(stack.environment[::-1], _OF_STACK[1:], strict=True)
            )
            name = _named(ReturnValue(resource))
            return _ARNS[resource.type].format(region=region, account=account, name=name)
        written = dict.get(resource.properties, "BucketName")
        if not attribute and isinstance(written, str):
            return written
    return part if isinstance(part, str) else f"<{hash(part)}>"


_ARNS: Final = {
    "AWS::KMS::Key": "arn::kms:{region}:{account}:key/{name}",
    "AWS::S3::Bucket": "arn::s3:::{name}",
}
"""The ARNs of these types, by the name that `Ref` returns."""


_OF_SESSIONS: Final = _needs.of_session_key(None, sessions_only=True)
"""The condition that each use of a key by a session meets."""

_WITHOUT_DATA: Final = (
    "AmazonSSMManagedInstanceCore",
    "AmazonSSMPatchAssociation",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
)
"""Policies of AWS that allow nothing of KMS, S3 and CloudWatch Logs, and deny nothing."""


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
        self._named: defaultdict[tuple[str, str | None, Value], list[Resource]] = defaultdict(list)
        """Roles and profiles, by their type, their account and the names that they are given."""
        self._managed: dict[Resource, Policy] = {}
        self._by_role_name: defaultdict[Value, list[Attachment]] = defaultdict(list)
        """What is attached to roles, by the reference to a role or the name of one."""
        self._roles: dict[object, Role] = {}
        for kind, naming in _NAMED_BY.items():
            for resource in assembly.by_type[kind]:
                for name in self._possible_names(resource, naming):
                    self._named[kind, resource.template.stack.account, name].append(resource)
        for kind, naming in ATTACHED_BY.items():
            for resource in assembly.by_type[kind]:
                self._index_attachments(resource, naming)
        self._perhaps_of_others = self._perhaps_not_of_app()
        self._needed_perhaps_of_others = [
            one for one in self._perhaps_of_others if one[1].policy.matters
        ]
        self._unread = [*_unread(assembly)]

    def _possible_names(self, resource: Resource, naming: str) -> list[Value]:
        """Return the names that a resource may be given, other than one that is generated."""
        names = (
            name
            for candidate in candidates(resource.properties, naming)
            for name in self._assembly.possible(resource.template, candidate.value)
        )
        return [*dict.fromkeys(names)]

    def _index_attachments(self, resource: Resource, naming: str) -> None:
        policy = Policy(resource, "Properties.PolicyDocument", resource.properties)
        if resource.type == _MANAGED:
            self._managed[resource] = policy
        is_list = isinstance(mapping(resource.body.get("Properties")).get(naming), list)
        for entry in candidates(resource.properties, naming):
            names = self._assembly.possible(resource.template, entry.value)
            for name in names:
                attached = Attachment(policy, entry, name if names[1:] else None)
                is_several = not is_list and any("," in folded(part) for part in name)
                self._by_role_name[(Unresolved(resource),) if is_several else name].append(attached)

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
        return self._named.get(("AWS::IAM::Role", by.template.stack.account, name), [])

    # The role of a profile

    def of_holder(self, holder: Resource) -> Role:
        """Return the role of a profile, or of a node group, which EKS makes a profile for."""
        return self._once(("role of", holder), lambda: self._of_holder(holder))

    def _of_holder(self, holder: Resource) -> Role:
        account = holder.template.stack.account
        name: Value = (Unresolved(holder),)
        match [*listed(holder.properties.get(ROLE_IN[holder.type]))]:
            case [written] if holder.type == _NODES:
                name = self._name_behind(holder.template, written)
            case [written]:
                name = self._assembly.value(holder.template, written)
        resource = role_in(name)
        if resource is not None:
            if may_be_equal(account, resource.template.stack.account):
                return self.of_resource(resource)
            name = (Unresolved(holder),)  # the role of that name in its own account
        named = self._with_name("AWS::IAM::Role", holder.template, name)
        if named is not None:
            return self.of_resource(named)
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
        names = self._possible_names(resource, "RoleName")
        guarded = any(one.guards for one in candidates(resource.properties, "RoleName"))
        for name in names:
            self._attach(role, name, is_certain=not (guarded or names[1:]))
        for entry in candidates(resource.properties, "ManagedPolicyArns"):
            match self._assembly.possible(resource.template, entry.value):
                case [(ReturnValue(found, _),)] if found in self._managed:
                    role.managed.append(Attachment(self._managed[found], entry))
                case _:
                    role.others.append(entry)
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
        mine = (ReturnValue(role.resource),), self._name(role.resource)
        return name == attached.named and (not role.in_app or name in mine)

    def _name(self, resource: Resource) -> Value | None:
        """Return the name that a resource is given; None if CloudFormation generates one."""
        name = resource.properties.get(_NAMED_BY[resource.type])
        return None if name is None else self._assembly.value(resource.template, name)

    def needed_statements(self, policy: Policy) -> list[Statement]:
        """Return the statements of a policy about what every session needs."""

        def reads() -> list[Statement]:
            template = policy.resource.template
            found = self._read(policy, _NEEDED, self._context(template))
            return [self._on_each(template, one) for one in found if _actions_of(one)]

        return self._once((policy, "needed"), reads)

    def statements(self, policy: Policy, about: tuple[str, ...]) -> list[Statement]:
        """Return the statements of a policy about some actions that not every session needs."""
        return self._once((policy, about), lambda: self._read(policy, about, NO_CONTEXT))

    def _read(
        self, policy: Policy, about: tuple[str, ...], context: RequestContext
    ) -> list[Statement]:
        known = partial(self._assembly.text, policy.resource.template)
        return read(policy.owner.get("PolicyDocument"), policy.source, known, about, context)

    def _context(self, template: Template) -> RequestContext:
        """Return what is known of the calls of instances that get a policy of a template."""
        value = partial(self._assembly.value, template)
        context = EACH_CALL._replace(read=lambda written: _marked(value(written)))
        if self._is_one_environment:
            region = _marked(value({"Ref": "AWS::Region"}))
            return context.knowing({_needs.REGION_KEY: region})
        return context

    @cached_property
    def _is_one_environment(self) -> bool:
        """Whether all instances of the app are certainly of one account and region."""
        return len({one.stack.environment for one in self._assembly.templates}) == 1

    def _on_each(self, template: Template, statement: Statement) -> Statement:
        """Return a statement that allows something on each instance as one on those of EC2.

        The instances are those of the template's account and region.
        """
        if not statement.allows or statement.not_resources or statement.resources == ("*",):
            return statement
        if not self._is_one_environment:
            return statement
        value = partial(self._assembly.value, template)
        partition, *place = (_marked(value({"Ref": one})) for one in _OF_STACK)
        for written in listed(statement.written_resource):
            pattern = _marked(value(written))
            # IAM refuses an ARN of another partition, so the one that is written is the stack's.
            named = None if template.stack.partition else _PARTITION_NAMED.match(pattern)
            if is_of_each_instance(pattern, named[1] if named else partition, *place):
                instances = _needs.REGISTRATION_RESOURCES[0]
                return statement._replace(resources=(*statement.resources, instances))
        return statement

    def has_statement(self, role: Role, begin: str) -> bool:
        """Tell whether a policy of the role has a statement whose Sid begins so."""
        found = self.policies(role, lambda one: any(sid.startswith(begin) for sid in one.sids))
        return any(True for _ in found)

    def deprecated(self, role: Role) -> list[str]:
        """Return the policies of a role that AWS advises against, by their paths and names."""
        names = _needs.AWS_MANAGED_DEPRECATED
        entries = [one for one in role.others if any(name in text(one.value) for name in names)]
        found = [self.managed_behind(role.resource, one.value) for one in entries if one.is_there]
        return [one for one in found if isinstance(one, str) and one in names]

    @staticmethod
    def is_in_its_account(role: Role, policy: Policy) -> bool:
        """Tell whether a policy of the app is certain to be in the account of a role."""
        stack = policy.resource.template.stack
        return stack.account == role.resource.template.stack.account

    def relevant_policies(self, role: Role) -> list[Policy]:
        """Return the policies of the app that a role has, of those about what an instance needs."""
        return self._once(
            (role, "policies"), lambda: [*self.policies(role, lambda one: one.matters)]
        )

    def policies(self, role: Role, matters: Callable[[Policy], bool]) -> Iterator[Policy]:
        """Yield the policies of the app that a role has, of those that matter."""
        for attached in (*role.inline, *role.managed):
            if matters(attached.policy) and self.has(role, attached):
                yield attached.policy
        for entry in role.others:
            if _OF_AWS in text(entry.value) or not entry.is_there:
                continue
            found = self.managed_behind(role.resource, entry.value)
            if isinstance(found, Policy) and matters(found):
                yield found

    def abilities(self, role: Role, without: frozenset[Policy] = frozenset()) -> dict[str, Ability]:
        """Decide about each action that an instance needs, leaving out the policies `without`."""
        return self._once((role, without), lambda: self._decided(role, without))

    def _decided(self, role: Role, without: frozenset[Policy]) -> dict[str, Ability]:
        statements = [*self._of_others(role)]
        overwritten = self._overwritten(role)
        for policy in self.relevant_policies(role):
            if policy not in without:
                needed = self.needed_statements(policy)
                if policy in overwritten:
                    needed = _uncertain(needed, ", as another policy of the role has its name")
                is_its = self.is_in_its_account(role, policy)
                statements += needed if is_its else _uncertain(needed)
        boundary = self._boundary(role)
        found = {}
        for action, resource in NEEDED.items():
            identity = decide(statements, action, resource)
            limit = Decision(Answer.ALLOWED)
            if boundary is not None:
                limit = decide(boundary, action, resource)
            found[action] = Ability(identity, limit, within(identity, limit))
        return found

    def _overwritten(self, role: Role) -> set[Policy]:
        """Return the inline policies of one name, of which a role keeps the last that is put."""
        by_name = defaultdict[object, list[Attachment]](list)
        for one in role.inline:
            name = dict.get(one.policy.owner, "PolicyName")
            by_name[name if isinstance(name, str) else one.policy].append(one)
        return {
            one.policy
            for several in by_name.values()
            if several[1:] and len({other.policy for other in several if self.has(role, other)}) > 1
            for one in several
        }

    def answer(self, role: Role, action: str, asked: Asked) -> Answer:
        """Decide about an action that some sessions need, by the role's own policies."""
        return self._once((role, action, asked), lambda: self._answered(role, action, asked))

    def _answered(self, role: Role, action: str, asked: Asked) -> Answer:
        found = [*self._of_others(role, needed=False)]
        for policy in self.policies(role, lambda one: self._may_grant(one, action)):
            found += self._about(policy, action, asked)
        name = self._name(role.resource)
        for other, attached in self._perhaps_of_others:
            if self._may_grant(attached.policy, action) and may_be_named(
                role.resource, name, other
            ):
                found += anything(attached.policy.source)
        decided = decide(found, action, "*").answer
        return max(decided, self.boundary_answer(role, action, asked))  # IAM asks for both

    def boundary_answer(self, role: Role, action: str, asked: Asked) -> Answer:
        """Decide about an action that some sessions need, by the permissions boundary alone."""
        arn = role.resource.properties.get("PermissionsBoundary") if role.in_app else None
        if arn is None:
            return Answer.ALLOWED
        match self.managed_behind(role.resource, arn):
            case Policy() as policy:
                return decide(self._about(policy, action, asked), action, "*").answer
        return Answer.UNKNOWN

    def _may_grant(self, policy: Policy, action: str) -> bool:
        documents = (one.value for one in candidates(policy.owner, "PolicyDocument"))
        return any(may_be_about(one, (action,)) for one in documents)

    def _about(self, policy: Policy, action: str, asked: Asked) -> Iterator[Statement]:
        """Yield the statements about an action, each on `*` if it is on what is asked about."""
        template = policy.resource.template
        for one in self.statements(policy, (action,)):
            covered: bool | None = None
            if not one.not_resources:
                values = [self._assembly.value(template, on) for on in listed(one.written_resource)]
                covered = any_matches(
                    [asked.is_covered_by(value) for value in values], negated=False
                )
            if covered is not False:
                certain = one.certain or one.condition == _OF_SESSIONS
                on = ("*",) if covered else (UNKNOWN,)
                yield one._replace(resources=on, not_resources=False, certain=certain)

    def _of_others(self, role: Role, *, needed: bool = True) -> Iterator[Statement]:
        """Yield the statements of policies that are not in the app, or may be the role's.

        Args:
            role: the role.
            needed: whether the statements are about what every session needs, and not about what
                some sessions use.
        """
        if not role.in_app:
            known = f"the role {role.name!r}, which is not in this app"
            named = next(listed(role.resource.properties.get("Roles")), None)
            yield from anything(known if role.name else decider(named, "role of the profile"))
            return
        for entry in role.others:
            found = self.managed_behind(role.resource, entry.value) if entry.is_there else None
            if isinstance(found, str):
                yield from self._of_other(found, entry.value, needed=needed)
        yield from self._of_unknown_roles(role)

    def _boundary(self, role: Role) -> list[Statement] | None:
        """Return the statements of a role's permissions boundary, None without one."""
        arn = role.resource.properties.get("PermissionsBoundary") if role.in_app else None
        found = None if arn is None else self.managed_behind(role.resource, arn)
        match found:
            case Policy() as policy:
                return self.needed_statements(policy)
            case str(name):
                return self._of_other(name, arn)
        return None

    @staticmethod
    def _of_other(found: str, arn: object, *, needed: bool = True) -> list[Statement]:
        """Return the statements of a managed policy that is not in the app."""
        if found in _WITHOUT_DATA and not needed:
            return []
        if found and needed:
            return aws_managed(found)
        return anything(f"{decider(arn, 'managed policy')}, which is not in this app")

    def _of_unknown_roles(self, role: Role) -> Iterator[Statement]:
        """Yield statements for the policies that may be attached to the role.

        Such policies are in what can't be read, or their name of a role may mean this one. A role
        without a `RoleName` has a generated name, which another template knows only if the
        template of the role discloses it.
        """
        there, name = role.resource.template, self._name(role.resource)
        for template, source, sees_all in self._unread:
            disclosed = name is not None or role.resource in there.disclosed
            sees_it = disclosed or (sees_all and template is there)
            if sees_it and may_be_equal(there.stack.account, template.stack.account):
                yield from anything(source)
        account = there.stack.account
        if len(self._needed_perhaps_of_others) <= _MOST_COMPARED:
            may_be_its = [
                (other, attached)
                for other, attached in self._needed_perhaps_of_others
                if other != name and may_be_named(role.resource, name, other)
            ]
            yield from self._merged(account, may_be_its)
        else:
            yield from self._once(
                ("unmatched", account),
                lambda: self._merged(account, self._needed_perhaps_of_others),
            )

    def _merged(
        self, account: str | None, several: list[tuple[Value, Attachment]]
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
            for statement in self.needed_statements(policy):
                for action in _actions_of(statement):
                    shared = statement._replace(source=source, certain=False)
                    found.setdefault((action, statement.allows), shared)
        return [*found.values()]

    def managed_behind(self, resource: Resource, arn: object) -> Policy | str:
        """Return the managed policy with this ARN; the path and name of one that AWS manages.

        An empty text stands for one that is neither of the app nor of AWS.
        """
        found = self._assembly.settled(resource.template, arn)
        match found:
            case (ReturnValue(policy, _),):
                return self._managed.get(policy, "")
        known = "".join(part if isinstance(part, str) else UNKNOWN for part in found)
        of_aws = re.fullmatch(rf"arn:([^:]*):iam::aws:policy/([^,{UNKNOWN}]+)", known)
        partition = resource.template.stack.partition
        if of_aws and of_aws[1] in {UNKNOWN, partition.name if partition else of_aws[1]}:
            return of_aws[2]
        account = re.match("arn:[^:]*:iam::([0-9]+):", known)
        if account and not may_be_equal(account[1], resource.template.stack.account):
            return ""
        named = self._with_name(_MANAGED, resource.template, name_in(found))
        return "" if named is None else self._managed[named]

    # Profiles and roles by a reference, a name or an ARN

    def profile_of(self, template: Template, name: object) -> Resource | None:
        """Return the profile of the app that is referred to, or named, or named in an ARN."""
        return self._of_kind("AWS::IAM::InstanceProfile", template, name)

    def role_of(self, template: Template, name: object) -> Role | None:
        """Return the role of the app that is referred to, or named, or named in an ARN."""
        resource = self._of_kind("AWS::IAM::Role", template, name)
        return None if resource is None else self.of_resource(resource)

    def _name_behind(self, template: Template, arn: object) -> Value:
        """Return the name of the role with this ARN, or what refers to the role."""
        role = self._of_kind("AWS::IAM::Role", template, arn)
        if role is not None:
            return (ReturnValue(role),)
        return name_in(self._assembly.value(template, arn))

    def _of_kind(self, kind: str, template: Template, name: object) -> Resource | None:
        """Return the resource of this type that is referred to, or named, or named in an ARN."""
        value = self._assembly.value(template, name)
        match value:
            case (ReturnValue(resource, _),):
                return resource if resource.type == kind else None
            case (str(first), *_, ReturnValue(resource, "")) if first.startswith("arn:"):
                return resource if resource.type == kind else None
        return self._with_name(kind, template, name_in(value))

    def _with_name(self, kind: str, template: Template, name: Value) -> Resource | None:
        """Return the resource of this type, in the account of a template, that has a name."""
        found = [
            one
            for one in self._named.get((kind, template.stack.account, name), ())
            if one.exists and self._name(one) == name
        ]
        return found[0] if len(found) == 1 else None


_OF_STACK: Final = ("AWS::Partition", "AWS::Region", "AWS::AccountId")
_PARTITION_NAMED: Final = re.compile("arn:(aws[a-z-]*):")


def _marked(value: Value) -> str:
    """Return a value as a text in which each pseudo parameter of a stack has a mark of its own."""
    return "".join(
        chr(MARKS + _OF_STACK.index(part.expression))
        if isinstance(part, Unresolved) and part.expression in _OF_STACK
        else as_text((part,))
        for part in value
    )


_NAMED_BY: Final = {
    _MANAGED: "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
}
"""The property that names a resource of these types."""


def _actions_of(statement: Statement) -> list[str]:
    """Return the needed actions that a statement may match."""
    return [one for one, on in NEEDED.items() if statement.applies(one, on) is not False]


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
    for stack in (one for type_ in NEVER_READ for one in assembly.by_type[type_]):
        if types_deployed(stack) & _MAY_ATTACH:
            source = f"the template that {stack.logical_id!r} deploys, which is not read"
            yield _Unread(stack.template, source, sees_all=False)
    for template in assembly.templates:
        of = f"of the template {template.path.name!r}"
        for name in template.transforms:
            yield _Unread(template, f"the transform {name!r} {of}", sees_all=True)
        for name, types in template.types_made.items():
            if types & _MAY_ATTACH:
                yield _Unread(template, f"{name!r} {of}", sees_all=True)


_MAY_ATTACH: Final = frozenset({*ATTACHED_BY, *STACKS, UNKNOWN})


def _uncertain(found: list[Statement], doubt: str = "") -> list[Statement]:
    return [one._replace(certain=False, doubt=doubt or one.doubt) for one in found]
