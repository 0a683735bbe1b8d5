"""`SessionManagerFleet`: every instance profile below a scope, by one policy for each stack."""

from __future__ import annotations

import bisect
import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import aws_cdk as cdk
import jsii
from aws_cdk import aws_iam as iam
from constructs import Construct, IValidation

from .checks import described, refuse_class, refuse_no_sequence, refuse_wrong_type, taking_id
from .keys import session_key, warn_of_no_key_in_region, warn_of_other_account
from .names import default_policy_name, refuse_invalid_policy_name
from .roles import (
    Target,
    attach,
    condition_path,
    customizes_roles,
    inline_policy_names,
    is_role_name,
    profile_target,
    reports_only,
    role_names,
)
from .statements import allow_decrypt, statements_by_sid, with_preferences
from .tokens import Environment, differ, is_token

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from constructs import IConstruct
    from typing_extensions import Unpack

    from .statements import SessionManagerOptions

_PROFILE: Final = "AWS::IAM::InstanceProfile"
_ROLE: Final = "AWS::IAM::Role"


class SessionManagerFleet(Construct):
    """Session Manager on every instance profile below `scope`: one inline policy for each stack.

    Whoever made the profile, before or after the fleet: L2, L1, `CfnInclude`, and those that
    `ec2.Instance`, `AutoScalingGroup`, `LaunchTemplate`, ECS and EKS capacity hide. In an app it
    covers the app's stacks, in a stage the stage's, in a stack that stack with those nested in it.
    A role that several profiles share is attached once. Within the scope of another fleet, that
    fleet alone decides.

    A stage is synthesized before the app that holds it: a fleet belongs into each, and a stage
    below `scope` that has none and is not excluded fails the synthesis.

    What can't be attached to is named in a warning on its stack,
    `session-manager-permissions:fleet-not-attached`.

    Boots are not held back: an instance that has to find the policy at its first one is excluded,
    and depends on a `SessionManagerPermissions` of its own.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        exclude: Sequence[IConstruct] = (),
        strict: bool = False,
        policy_name: str | None = None,
        **options: Unpack[SessionManagerOptions],
    ) -> None:
        """Cover every instance profile that is below `scope` when the app is synthesized.

        Args:
            scope: an app, a stage, a stack or any construct.
            construct_id: the construct's id, unique in `scope`.
            exclude: constructs that are left alone, each with all that is below it; for a role,
                give its instance profiles. Default: - none.
            strict: whether a profile that can't be attached to fails the synthesis.
                Default: - False: it is named in a warning.
            policy_name: the name of each stack's policy, 1 to 128 characters of
                `A-Z a-z 0-9 _+=,.@-`. Default: - a name unique to the stack, its region where
                known, and the fleet.
            **options: those of `SessionManagerOptions`, each with its default there.

        Raises:
            TypeError: an argument of the wrong type, or an option that does not exist.
            ValueError: an invalid `policy_name`; a key that can't decrypt session data; what
                `session_manager_statements` refuses.
        """
        if policy_name is not None:
            refuse_invalid_policy_name(policy_name)
        refuse_wrong_type("strict", strict, bool)
        options = with_preferences(options)
        statements_by_sid(options, None)  # what is wrong with them is said now
        key = options.get("encryption_key")
        self._key = None if key is None else (key, session_key(key))
        _refuse_wrong_exclusions(exclude)
        with taking_id(scope, construct_id):
            super().__init__(scope, construct_id)
        self._scope = scope
        self._excluded = list(exclude)
        self._strict = strict
        self._policy_name = policy_name
        self._options = options
        self._errors: list[str] = []
        self._seen: list[_Found] = []
        self._others: list[IConstruct] = []
        self._firsts: list[SessionManagerFleet] = []
        self._is_done = False
        cdk.Aspects.of(self).add(_OnceAtSynthesis(self))
        self.node.add_validation(_Errors(self))

    def _cover(self) -> None:
        """Attach to all there is; asked once, when the user's code has made everything."""
        if self._is_done:
            return
        self._is_done = True
        tree = _Tree(self._scope)
        self._seen = tree.resources(iam.CfnInstanceProfile, _PROFILE)
        self._leave_alone(tree.nodes)
        alone = _refs(self._others)
        for first in self._firsts:
            alone |= {found.resource.ref for found in self._seen} - _refs(first._excluded)
        covered = [found for found in self._seen if not alone or found.resource.ref not in alone]
        parts = self._parts(covered, tree)
        _find_roles(parts, tree)
        for part in parts:
            if part.condition is None:
                self._check_reach(part)
                if part.lost:
                    self._report(part)
            if self._policy_name is not None:
                self._refuse_overwriting(part)
            if part.names:
                part.make_policy()

    def _parts(self, covered: list[_Found], tree: _Tree) -> list[_Part]:
        """One for each stack with profiles, and after these one for each condition of theirs."""
        path = self.node.path
        digest = hashlib.sha256(path.encode()).hexdigest()[:8]
        holder_id = f"{path.rpartition('/')[2]}{digest}"
        plain: dict[cdk.Stack, _Part] = {}
        on_condition: dict[str, _Part] = {}
        for found in covered:
            if found.stack not in plain:
                is_home = found.stack is tree.home
                plain[found.stack] = self._part(
                    found.stack, self if is_home else Construct(found.stack, holder_id)
                )
            part = plain[found.stack]
            condition = found.resource.cfn_options.condition if tree.has_conditions else None
            if condition is not None:
                path = condition.node.path
                if path not in on_condition:
                    on_condition[path] = self._part_on(condition, path, part)
                part = on_condition[path]
            part.profiles.append(found)
        return [*plain.values(), *on_condition.values()]

    def _leave_alone(self, nodes: list[IConstruct]) -> None:
        """Note what this fleet does not cover: the excluded, others' scopes, and stages below.

        The fleet that is nearest to a profile covers it; of two with one scope, the first that does
        not exclude it. A stage was synthesized before, so it must have a fleet of its own.
        """
        fleets = [node for node in nodes if isinstance(node, SessionManagerFleet)]
        paths = [fleet._scope.node.path for fleet in fleets]
        self_at = fleets.index(self)
        self._others += self._excluded
        for at, (fleet, path) in enumerate(zip(fleets, paths, strict=True)):
            if path != paths[self_at]:
                self._others.append(fleet._scope)
            elif at < self_at:
                self._firsts.append(fleet)
        stages = [node for node in nodes[1:] if isinstance(node, cdk.Stage)]
        if stages:
            for path in self._own(stage.node.path for stage in stages):
                self._errors.append(
                    f"stage {path!r} has no SessionManagerFleet of its own, and this one can't "
                    "reach into it, as CDK synthesizes stages first: make one in the stage, or "
                    "give it in exclude"
                )
            self._others += stages

    def _own(self, paths: Iterable[str]) -> list[str]:
        """Those that this fleet, and no other, is to cover."""
        others = [construct.node.path for construct in self._others]
        left = [[construct.node.path for construct in first._excluded] for first in self._firsts]
        return [
            path
            for path in paths
            if not _is_below(path, others) and all(_is_below(path, those) for those in left)
        ]

    def _refuse_late(self) -> None:
        """Refuse what came after this fleet's turn, and is in no policy; to count costs nothing."""
        now = _select(_PROFILE, self._scope)
        if len(now) == len(self._seen):
            return
        seen = {found.resource.node.path for found in self._seen}
        paths = [profile.node.path for profile in now]
        late = self._own(path for path in paths if path not in seen)
        if late:
            self._errors.append(
                f"{', '.join(map(repr, late))} came after this SessionManagerFleet had its turn, "
                "by an Aspect or between two syntheses: make the fleet after what the Aspect "
                "visits, or the profiles before the first"
            )

    def _part(self, stack: cdk.Stack, holder: Construct) -> _Part:
        """What the policy of `stack` is made of, all but the roles."""
        environment = Environment.of(stack)
        statements = statements_by_sid(self._options, stack)
        if self._key is not None:
            allow_decrypt(statements, self._options, *self._key)
        return _Part(
            stack,
            environment,
            holder,
            self._policy_name or default_policy_name(holder, environment),
            list(statements.values()),
        )

    def _part_on(self, condition: cdk.CfnCondition, path: str, plain: _Part) -> _Part:
        """The same for profiles on a condition, without which their roles may not be there."""
        holder = Construct(plain.holder, f"If{plain.stack.resolve(condition.logical_id)}")
        return _Part(
            plain.stack,
            plain.environment,
            holder,
            self._policy_name or default_policy_name(holder, plain.environment),
            plain.statements,
            condition,
            path,
            lost=plain.lost,
        )

    def _check_reach(self, part: _Part) -> None:
        if self._key is None:
            return
        key, found = self._key
        here = part.environment
        there = found.environment(key, part.stack) or here
        if differ(there.account, here.account):
            warn_of_other_account(part.stack, found, there.account)
        if differ(there.region, here.region):
            way_out = "give that stack a fleet of its own with the key of that region"
            warn_of_no_key_in_region(part.stack, here.region, way_out)

    def _refuse_overwriting(self, part: _Part) -> None:
        """Refuse a second policy of one name on a role: IAM keeps only the one put last."""
        listed = part.stack.resolve([*part.names.values()])
        for node in part.stack.node.find_all():
            if isinstance(node, iam.CfnPolicy) and node.policy_name == self._policy_name:
                holders = part.stack.resolve(node.roles) or []
                whose = f"{node.node.path!r} on the same role, which would lose its statements"
            elif isinstance(node, iam.CfnRole) and self._policy_name in inline_policy_names(node):
                holders = [part.stack.resolve(node.ref)]
                whose = (
                    f"a policy which the role {node.node.path!r} is made with, and which would be "
                    "lost"
                )
            else:
                continue
            is_here = node.stack.node.path == part.stack.node.path  # and in no stack nested in it
            if is_here and any(holder in listed for holder in holders):
                self._errors.append(
                    f"policy_name {self._policy_name!r} is that of {whose}: give each policy of a "
                    "role a name of its own"
                )

    def _report(self, part: _Part) -> None:
        text = "SessionManagerFleet can't attach to all: " + "; ".join(part.lost)
        if self._strict:
            self._errors.append(text)
        else:
            cdk.Annotations.of(part.stack).add_warning_v2(
                "session-manager-permissions:fleet-not-attached", text
            )


@jsii.implements(cdk.IAspect)
class _OnceAtSynthesis:
    """Calls back once: the fleet has nothing below it that an aspect would visit."""

    def __init__(self, fleet: SessionManagerFleet) -> None:
        self._fleet = fleet

    def visit(self, _node: IConstruct) -> None:
        self._fleet._cover()


@jsii.implements(IValidation)
class _Errors:
    def __init__(self, fleet: SessionManagerFleet) -> None:
        self._fleet = fleet

    def validate(self) -> list[str]:
        self._fleet._refuse_late()
        return self._fleet._errors


@dataclass(eq=False)
class _Part:
    """One stack's part, on one condition: its profiles, and the policy that lists their roles."""

    stack: cdk.Stack
    environment: Environment
    holder: Construct
    policy_name: str
    statements: list[iam.PolicyStatement]
    condition: cdk.CfnCondition | None = None
    only_if: str = ""
    """The path of the condition."""
    profiles: list[_Found] = field(default_factory=list)
    literal: list[tuple[_Key, str]] = field(default_factory=list)
    """The roles that an L1 names as they are, which any policy of the account can list."""
    asked: list[_Found] = field(default_factory=list)
    """The profiles whose role is to be asked whether it takes the policy."""
    names: dict[_Key, str] = field(default_factory=dict)
    """What the policy lists each role by."""
    lost: list[str] = field(default_factory=list)
    """What the stack's parts can't be attached to, and why."""

    def make_policy(self) -> None:
        made = iam.CfnPolicy(
            self.holder,
            "Policy",
            policy_document=iam.PolicyDocument(statements=self.statements),
            policy_name=self.policy_name,
            roles=list(self.names.values()),
        )
        if self.condition is not None:
            made.cfn_options.condition = self.condition

    def key(self, name: object) -> _Key:
        """That of a role by its name, or by what stands for the name in the template."""
        if isinstance(name, str):
            return _Key(self.environment.account or self.stack, name, self.only_if)
        return _Key(self.stack, json.dumps(name), self.only_if)


class _Key(NamedTuple):
    """Equal for the same role, on the same condition, by whatever road it comes."""

    owner: object
    """Of a reference the role's stack; of a name the account, or the stack where not known."""
    name: str
    only_if: str

    def is_in(self, listed: Container[_Key]) -> bool:
        """Whether the role is listed, on the same condition or on none."""
        return self in listed or self._replace(only_if="") in listed


class _Found(NamedTuple):
    """A resource in the tree."""

    resource: cdk.CfnResource
    before: IConstruct | None
    """What is listed before it: its L2, where that has made it first of all."""
    stack: cdk.Stack


class _Reference(NamedTuple):
    """A profile's role by a token, and what that reads in the template."""

    part: _Part
    token: str
    reads: str


class _Tree:
    """What is in a scope, as CDK lists it: without a visit to each."""

    def __init__(self, scope: Construct) -> None:
        self.nodes = scope.node.find_all()
        self.home = _stack_around(scope)
        self._within = None if isinstance(self.nodes[0], cdk.Stack) else self.home
        around = self.nodes if self._within is None else self._within.node.find_all()
        self.has_conditions = any(isinstance(node, cdk.CfnCondition) for node in around)

    def resources(self, kind: type[cdk.CfnResource], resource_type: str) -> list[_Found]:
        """The resources of one type, each with its stack.

        A construct that CDK made itself is another Python object in each of its answers. But what
        a stack holds follows it in the list of all, so how many there are tells which they are.
        """
        stacks: list[tuple[int, cdk.Stack, IConstruct]] = [
            (place, node, node)
            for place, node in enumerate(self.nodes)
            if isinstance(node, cdk.Stack)
        ]
        if self._within is not None:
            stacks.insert(0, (-1, self._within, self.nodes[0]))
        held = [_select(resource_type, below) for _, _, below in stacks]
        is_plain = all(isinstance(resource, kind) for found in held for resource in found)
        places = [
            place
            for place, node in enumerate(self.nodes)
            if isinstance(node, kind)
            or (
                not is_plain
                and isinstance(node, cdk.CfnResource)
                and node.cfn_resource_type == resource_type
            )
        ]
        stack_of: dict[int, cdk.Stack] = {}
        for (place, stack, _), found in zip(stacks, held, strict=True):
            first = bisect.bisect(places, place)
            stack_of.update(dict.fromkeys(places[first : first + len(found)], stack))
        listed = [self.nodes[0].node.scope, *self.nodes]
        return [
            _Found(cast("cdk.CfnResource", self.nodes[place]), listed[place], stack)
            for place, stack in stack_of.items()
        ]


def _select(resource_type: str, scope: IConstruct) -> list[cdk.CfnResource]:
    selector = cdk.ConstructSelector.resources_of_type(resource_type)
    return cast("list[cdk.CfnResource]", selector.select(scope))


def _refs(scopes: Iterable[IConstruct]) -> set[str]:
    return {profile.ref for scope in scopes for profile in _select(_PROFILE, scope)}


def _stack_around(scope: Construct) -> cdk.Stack | None:
    """The stack that `scope` is in, or is; None of an app, a stage and what groups stacks."""
    around = (n for n in reversed(scope.node.scopes) if isinstance(n, (cdk.Stack, cdk.Stage)))
    nearest = next(around, None)
    return nearest if isinstance(nearest, cdk.Stack) else None


def _is_below(path: str, others: Iterable[str]) -> bool:
    return any(other in ("", path) or path.startswith(f"{other}/") for other in others)


def _refuse_wrong_exclusions(exclude: Sequence[IConstruct]) -> None:
    """Refuse what would exclude nothing."""
    refuse_no_sequence("exclude", exclude, "a sequence of constructs")
    for construct in exclude:
        refuse_class("each of exclude", construct)
        if not hasattr(construct, "node"):
            raise TypeError(
                f"exclude must be a sequence of constructs, got {described(construct)} in it: give "
                "the construct"
            )
        if hasattr(construct, "role_ref") and not _select(_PROFILE, construct):
            raise TypeError(
                f"exclude has the role {construct.node.path!r}, and a fleet goes by instance "
                "profiles: give those of the role, or what they are in"
            )


def _find_roles(parts: list[_Part], tree: _Tree) -> None:
    """Fill in what each policy lists its roles by, each role in one of them and once.

    A role of this app is a reference, which takes a policy, as does the one that an L1 names. An
    imported one is asked, and so is one that the app has in another guise, maybe without updates.
    """
    guises = {
        cast("iam.IRole", node).role_name
        for node in tree.nodes
        if hasattr(node, "grant_pass_role") and not isinstance(node, iam.Role)
    }
    references: list[_Reference] = []
    for part in parts:
        references += _references(part, guises)
    _list_references(references)
    listed = {key for part in parts for key in part.names}
    by_name: dict[_Key, _Part] = {}
    for part in parts:
        for key, name in chain(part.literal, _attached(part, listed)):
            if not key.is_in(listed):
                listed.add(key)
                by_name[key] = part
                part.names[key] = name
    if by_name:
        _refer_to_owned(by_name, listed, tree)


def _references(part: _Part, guises: set[str]) -> Iterator[_Reference]:
    """The roles of this app; what else the profiles hold is left in the part."""
    by_token: dict[str, _Found] = {}
    is_customized = customizes_roles(part.stack)
    for found in part.profiles:
        profile = found.resource
        names = role_names(profile) if isinstance(profile, iam.CfnInstanceProfile) else []
        name = names[0] if len(names) == 1 else ""
        if is_role_name(name) and not isinstance(found.before, iam.InstanceProfile):
            part.literal.append((part.key(name), name))
        elif "${" in name and name not in guises and not is_customized:
            by_token.setdefault(name, found)
        else:
            part.asked.append(found)
    values = part.stack.resolve([*by_token])
    for (token, found), value in zip(by_token.items(), values, strict=True):
        if isinstance(value, dict) and "Fn::GetAtt" not in value:
            reads = re.sub(r'^{"Fn::Sub": "\${(\w+)}"}$', r'{"Ref": "\1"}', json.dumps(value))
            yield _Reference(part, token, reads)
        else:
            part.asked.append(found)


def _list_references(references: list[_Reference]) -> None:
    """List each referenced role in its own stack's policy, or else in the first that refers to it.

    In a template all references to a role read the same, and so may those to roles of two stacks:
    where they could be taken for each other, and only there, CDK is asked for the role.
    """
    places = Counter(token for _, token, _ in references)
    readings = Counter((part, reads) for part, _, reads in references)
    unclear = [
        token
        for part, token, reads in references
        if (places[token] > 1 or readings[part, reads] > 1) and reads.startswith('{"Ref"')
    ]
    owners: dict[str, object] = {}
    if unclear:
        stacks = {part.stack.node.path: part.stack for part, _, _ in references}
        tokens = cdk.Tokenization.reverse_string("".join(unclear)).tokens
        for token, found in zip(unclear, tokens, strict=True):
            if isinstance(found, cdk.Reference):
                path = cdk.Stack.of(found.target).node.path
                owners[token] = stacks.get(path, path)
    listed: dict[_Key, tuple[_Part, str]] = {}
    for part, token, reads in references:
        key = _Key(owners.get(token, part.stack), reads, part.only_if)
        is_own = key.owner is part.stack
        if key not in listed or (is_own and listed[key][0].stack is not part.stack):
            listed[key] = (part, token)
    for key, (part, token) in listed.items():
        if not key.only_if or key._replace(only_if="") not in listed:
            part.names[key] = token


def _attached(part: _Part, listed: set[_Key]) -> Iterator[tuple[_Key, str]]:
    """What to list the asked roles by that take the policy: one that is in no app is tried."""
    if not part.asked:
        return
    account, region = part.environment
    probe = cdk.Stack(cdk.App(), "Probe", env=cdk.Environment(account=account, region=region))
    policy = iam.Policy(probe, "Policy", policy_name=part.policy_name, statements=part.statements)
    for number, found in enumerate(part.asked):
        try:
            target = _target(probe, f"Role{number}", found)
            name = target.name or target.role.role_name
            key = part.key(part.stack.resolve(name) if is_token(name) else name)
            if key.is_in(listed):
                continue
            attach(policy, target, probe)
        except (TypeError, ValueError) as error:
            part.lost.append(f"{found.resource.node.path}: {error}")
            continue
        if not reports_only(target.role):
            yield key, name


def _target(scope: Construct, role_id: str, found: _Found) -> Target:
    profile, before, stack = found
    if not isinstance(profile, iam.CfnInstanceProfile):
        raise TypeError(
            "it is a bare CfnResource, whose role CDK does not know: make it by "
            "iam.CfnInstanceProfile"
        )
    if isinstance(before, iam.InstanceProfile):
        role = before.role
        if role is not None and role_names(profile) == [role.role_name]:
            return profile_target(scope, role_id, before, stack)
    return profile_target(scope, role_id, profile, stack)  # also where its roles were changed


def _refer_to_owned(by_name: dict[_Key, _Part], listed: set[_Key], tree: _Tree) -> None:
    """List a role that is in the tree not by its name, but by its reference, and once.

    The reference makes the policy wait for the role. Of another stack's role the name is left.
    """
    names = {key.name for key in by_name}
    conditions = {key.only_if for key in by_name}
    for role, _, stack in tree.resources(iam.CfnRole, _ROLE):
        given = role.role_name if isinstance(role, iam.CfnRole) else None
        name = stack.resolve(given) if given and is_token(given) else given
        if not isinstance(name, str) or name not in names:
            continue
        owner = Environment.of(stack).account or stack
        reference = json.dumps(stack.resolve(role.ref))
        for only_if in conditions:
            key = _Key(owner, name, only_if)
            if key not in by_name:
                continue
            if _Key(stack, reference, only_if).is_in(listed):
                del by_name.pop(key).names[key]
            elif by_name[key].stack is stack and condition_path(role) in ("", only_if):
                by_name.pop(key).names[key] = role.ref
