"""`SessionManagerFleet`: every instance profile below a scope, by one policy for each stack."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import aws_cdk as cdk
import jsii
from aws_cdk import aws_iam as iam
from constructs import Construct, IValidation

from ._arns import Environment, differ
from ._keys import (
    KeyResource,
    session_key,
    warn_of_no_key_in_region,
    warn_of_other_account,
)
from ._names import default_policy_name, refuse_invalid_policy_name
from ._roles import attach, customizes_roles, profile_target, reports_only
from ._statements import allow_decrypt, statements_by_sid, with_preferences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from constructs import IConstruct
    from typing_extensions import Unpack

    from ._statements import SessionManagerOptions


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
            exclude: constructs below `scope` that are left alone, each with all that is below it.
                Default: - none.
            strict: whether a profile that can't be attached to fails the synthesis.
                Default: - False: it is named in a warning.
            policy_name: the name of each stack's policy, 1 to 128 characters of
                `A-Z a-z 0-9 _+=,.@-`. Default: - a name unique to the stack, its region where
                known, and the fleet.
            **options: those of `SessionManagerOptions`, each with its default there.

        Raises:
            TypeError: an argument of the wrong type, or an option that does not exist.
            ValueError: an invalid `policy_name`; a key that can't decrypt session data.
        """
        if policy_name is not None:
            refuse_invalid_policy_name(policy_name)
        super().__init__(scope, construct_id)
        self._scope = scope
        self._excluded = list(exclude)
        self._strict = strict
        self._policy_name = policy_name
        self._options = with_preferences(options)
        key = self._options.get("encryption_key")
        self._key = None if key is None else session_key(key)
        self._errors: list[str] = []
        self._is_done = False
        cdk.Aspects.of(self).add(_OnceAtSynthesis(self))
        self.node.add_validation(_Errors(self))

    def _cover(self) -> None:
        """Attach to all there is; asked once, when the user's code has made everything."""
        if self._is_done:
            return
        self._is_done = True
        nodes = self._scope.node.find_all()
        left_alone = [node.node.path for node in self._excluded]
        left_alone += self._scopes_of_other_fleets(nodes)
        left_alone += self._stages(nodes, left_alone)
        if isinstance(self._scope, cdk.Stage):
            stacks = [node for node in nodes if isinstance(node, cdk.Stack)]
        else:
            own = cdk.Stack.of(self._scope)
            stacks = [own, *(n for n in nodes if isinstance(n, cdk.Stack) and n is not own)]
        for stack in stacks:
            below = stack.node.find_all() if stack in nodes else nodes
            self._cover_stack(stack, below, left_alone)

    def _scopes_of_other_fleets(self, nodes: list[IConstruct]) -> list[str]:
        """The fleet that is nearest to a profile covers it; of two with one scope, the first."""
        fleets = [node for node in nodes if isinstance(node, SessionManagerFleet)]
        others = fleets[: fleets.index(self)] + [
            fleet for fleet in fleets if fleet._scope is not self._scope
        ]
        return [fleet._scope.node.path for fleet in others]

    def _stages(self, nodes: list[IConstruct], left_alone: list[str]) -> list[str]:
        """The stages below, which were synthesized before: each must have a fleet of its own."""
        paths = []
        fleets = [node.node.path for node in nodes if isinstance(node, SessionManagerFleet)]
        for stage in nodes:
            if isinstance(stage, cdk.Stage) and stage is not self._scope:
                path = stage.node.path
                paths.append(path)
                has_fleet = any(_is_below(fleet, [path]) for fleet in fleets)
                if not has_fleet and not _is_below(path, left_alone):
                    self._errors.append(
                        f"stage {path!r} has no SessionManagerFleet of its own, and this one can't "
                        "reach into it, as CDK synthesizes stages first: make one in the stage, or "
                        "give it in exclude"
                    )
        return paths

    def _cover_stack(
        self, stack: cdk.Stack, below: list[IConstruct], left_alone: list[str]
    ) -> None:
        profiles = list(self._profiles(stack, below, left_alone))
        if not profiles:
            return
        environment = Environment.of(stack)
        statements = statements_by_sid(self._options, stack)
        key = self._options.get("encryption_key")
        if key is not None and self._key is not None:
            allow_decrypt(statements, self._options, key, self._key)
            self._check_reach(stack, environment, key, self._key)
        names, lost = _roles_of(profiles, stack, below, list(statements.values()))
        if lost:
            self._report(stack, lost)
        if not names:
            return
        holder = self._holder(stack)
        iam.CfnPolicy(
            holder,
            "Policy",
            policy_document=iam.PolicyDocument(statements=list(statements.values())),
            policy_name=self._policy_name or default_policy_name(holder, environment),
            roles=names,
        )

    def _profiles(
        self, stack: cdk.Stack, below: list[IConstruct], left_alone: list[str]
    ) -> Iterator[iam.CfnInstanceProfile]:
        """The instance profiles of `stack`; a path is asked for only where it decides."""
        is_nested = any(isinstance(n, (cdk.Stack, cdk.Stage)) and n is not stack for n in below)
        stack_path = stack.node.path if is_nested else ""
        for node in below:
            if not isinstance(node, iam.CfnInstanceProfile):
                continue
            if is_nested and node.stack.node.path != stack_path:
                continue
            if left_alone and _is_below(node.node.path, left_alone):
                continue
            yield node

    @staticmethod
    def _check_reach(
        stack: cdk.Stack, here: Environment, key: IKeyRef | IAliasRef, found: KeyResource
    ) -> None:
        there = found.environment(key, stack) or here
        if differ(there.account, here.account):
            warn_of_other_account(stack, found, there.account)
        if differ(there.region, here.region):
            warn_of_no_key_in_region(stack, here.region)

    def _report(self, stack: cdk.Stack, lost: list[str]) -> None:
        text = "SessionManagerFleet can't attach to all: " + "; ".join(lost)
        if self._strict:
            self._errors.append(text)
        else:
            cdk.Annotations.of(stack).add_warning_v2(
                "session-manager-permissions:fleet-not-attached", text
            )

    def _holder(self, stack: cdk.Stack) -> Construct:
        """Where the policy of `stack` is made: here, if this is in it."""
        if not isinstance(self._scope, cdk.Stage) and stack is cdk.Stack.of(self):
            return self
        digest = hashlib.sha256(self.node.path.encode()).hexdigest()[:8]
        return Construct(stack, f"{self.node.id}{digest}")


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
        return self._fleet._errors


def _is_below(path: str, others: Iterable[str]) -> bool:
    return any(path == other or path.startswith(f"{other}/") for other in others)


def _roles_of(
    profiles: list[iam.CfnInstanceProfile],
    stack: cdk.Stack,
    below: list[IConstruct],
    statements: list[iam.PolicyStatement],
) -> tuple[list[str], list[str]]:
    """What a policy lists the profiles' roles by, each role once; and what can't be attached to.

    A role of this app is a reference and asks for nothing more; one that is named, thus imported,
    is asked whether it takes a policy, by one that is in no app.
    """
    by_key: dict[object, str] = {}
    references: dict[str, iam.CfnInstanceProfile] = {}
    named: list[iam.CfnInstanceProfile] = []
    is_customized = customizes_roles(stack)
    for profile in profiles:
        names = profile.roles
        if len(names) == 1 and "${" in names[0] and not is_customized:
            references.setdefault(names[0], profile)
        else:
            named.append(profile)
    values = stack.resolve([*references])
    for (name, profile), value in zip(references.items(), values, strict=True):
        if isinstance(value, dict) and "Fn::GetAtt" not in value:
            by_key.setdefault(json.dumps(value), name)
        else:
            named.append(profile)
    lost: list[str] = []
    if named:
        lost = _add_named(by_key, named, stack, statements)
        _forget_owned(by_key, stack, below)
    return list(by_key.values()), lost


def _add_named(
    by_key: dict[object, str],
    named: list[iam.CfnInstanceProfile],
    stack: cdk.Stack,
    statements: list[iam.PolicyStatement],
) -> list[str]:
    here = Environment.of(stack)
    probe = cdk.Stack(
        cdk.App(),
        "Probe",
        env=cdk.Environment(account=here.account, region=here.region),
    )
    policy = iam.Policy(probe, "Policy", policy_name="probe", statements=statements)
    lost = []
    for number, profile in enumerate(named):
        owner = profile.node.scope
        l2 = owner if isinstance(owner, iam.InstanceProfile) else profile
        try:
            target = profile_target(probe, f"Role{number}", l2, stack)
            attach(policy, target, probe)
        except (TypeError, ValueError) as error:
            lost.append(f"{profile.node.path}: {error}")
            continue
        if not reports_only(target.role):
            by_key.setdefault(target.key, target.name or target.role.role_name)
    return lost


def _forget_owned(by_key: dict[object, str], stack: cdk.Stack, below: list[IConstruct]) -> None:
    """Drop a role's name where the role itself is in the stack and listed by its reference."""
    for node in below:
        if isinstance(node, iam.CfnRole) and node.role_name in by_key:
            reference = json.dumps(stack.resolve(node.ref))
            if reference in by_key:
                del by_key[node.role_name]
