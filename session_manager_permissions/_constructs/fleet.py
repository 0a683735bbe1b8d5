"""`SessionManagerFleet`: the construct that covers all compute below a scope.

`fleet_tree` finds the compute and the stack that each is in. The fleet makes a policy for each of
these stacks, and `fleet_roles` decides what roles it lists.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import aws_cdk as cdk
from constructs import Construct, IConstruct

from session_manager_permissions import _needs

from .at_synthesis import AtSynthesis
from .checks import described, refuse_no_sequence, refuse_wrong_text, refuse_wrong_type
from .fleet_roles import FleetPolicy, list_roles
from .fleet_tree import COMPUTE, Found, Tree, compute_below, is_below
from .keys import is_in_region, warn_of_no_key_in_region
from .statements import SessionManagerOptions, read_options, statements_by_sid
from .tokens import Environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from aws_cdk.interfaces.aws_logs import ILogGroupRef
    from aws_cdk.interfaces.aws_s3 import IBucketRef

    from .preferences import SessionPreferences


class SessionManagerFleet(Construct):
    """Session Manager for all compute below `scope`: one inline policy in each stack.

    It covers every instance profile, whoever made it, before or after the fleet: L2, L1,
    `CfnInclude`, and those that `ec2.Instance`, `AutoScalingGroup`, `LaunchTemplate`, ECS and EKS
    capacity make. It also covers the role of every managed node group of EKS. In an app, it covers
    the app's stacks; in a stage, those of the stage; in a stack, this stack and its nested stacks.
    If another fleet is below, only that fleet covers the compute in its own scope.

    A role that several profiles of a stack share is attached once. If the stack that makes the role
    has such a profile, that stack attaches it. If not, each stack that uses the role attaches it,
    so that each can be deployed and destroyed without the others.

    CDK synthesizes a stage before the app that holds it, so each stage needs a fleet of its own. A
    stage below `scope` that has none and is not excluded fails the synthesis.

    A role that must not change is never attached to: one that was imported with `mutable=False`,
    comes from `without_policy_updates()`, belongs to another account, is service-linked, or is
    reserved by AWS. The warning `session-manager-permissions:fleet-not-attached` on the stack names
    it, and everything else that the fleet can't attach to. The warning
    `session-manager-permissions:fleet-covers-nothing` says that a fleet finds nothing to cover, and
    `session-manager-permissions:fleet-excludes-nothing` that no compute is below a construct that
    is excluded.

    No instance waits for the policy before it boots. Exclude an instance that needs the policy at
    its first boot, and make it depend on a `SessionManagerPermissions` of its own.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        exclude: Sequence[IConstruct] = (),
        strict: bool = False,
        encryption_key: IKeyRef | IAliasRef | None = None,
        allow_registration: bool = False,
        log_bucket: IBucketRef | None = None,
        log_prefix: str | None = None,
        log_group: ILogGroupRef | None = None,
        check_log_encryption: bool | None = None,
        preferences: SessionPreferences | None = None,
        decrypt_sessions_only: bool = False,
    ) -> None:
        """Cover all compute that is below `scope` when the app is synthesized.

        Args:
            scope: an app, a stage, a stack or any construct.
            construct_id: the construct's id, unique in `scope`.
            exclude: constructs that are left alone, each with all that is below it; for a role,
                give its instance profiles or node groups. Default: - none.
            strict: whether the synthesis fails if the fleet can't attach to a role, covers nothing,
                or excludes something without effect.
                Default: - False: a warning on the stack says so.
            encryption_key: the KMS key that encrypts session data, or an alias of it: owned,
                imported or L1.
                Default: - none: session data is not encrypted with a KMS key.
            allow_registration: whether the role may register its instance with Systems Manager.
                Default: - False: it registers by another policy, or under Default Host Management.
            log_bucket: the S3 bucket for session logs: owned, imported or L1.
                Default: - none: no logs in S3.
            log_prefix: the key prefix of the session logs in `log_bucket`.
                Default: - the top of the bucket.
            log_group: the CloudWatch log group for session logs: owned, imported or L1.
                Default: - none: no logs in CloudWatch Logs.
            check_log_encryption: whether the role may read how the log bucket encrypts.
                Default: - True; with `preferences`, True only if they have a log bucket.
            preferences: the Session document that sessions are started with, which decides the key,
                the bucket, the prefix and the log group.
                Default: - none: each option is given separately.
            decrypt_sessions_only: whether the role may use the key for session data only.
                Default: - False: it may decrypt everything that the key has encrypted.

        Raises:
            TypeError: an argument of the wrong type.
            ValueError: options that `session_manager_statements` refuses.
        """
        refuse_wrong_type("strict", strict, bool)
        options: SessionManagerOptions = {
            "encryption_key": encryption_key,
            "allow_registration": allow_registration,
            "log_bucket": log_bucket,
            "log_prefix": log_prefix,
            "log_group": log_group,
            "check_log_encryption": check_log_encryption,
            "preferences": preferences,
            "decrypt_sessions_only": decrypt_sessions_only,
        }
        self._options, self._key = read_options(**options)
        # Raises what is wrong with the options now, and not at synthesis.
        statements_by_sid(self._options, self._key, None)
        refuse_no_sequence("exclude", exclude, "a sequence of constructs")
        self._excluded = list(exclude)
        _refuse_wrong_exclusions(self._excluded)
        self._excluded_paths = [construct.node.path for construct in self._excluded]
        given: dict[str, object] = {"exclude": self._excluded, "strict": strict, **options}
        self._arguments = {
            name: value
            for name, value in given.items()
            if value not in (None, False, []) or (name == "check_log_encryption" and value is False)
        }
        """What a fix that adds `allow_registration` has to repeat."""
        refuse_wrong_text("construct_id", construct_id)
        super().__init__(scope, construct_id)
        self._scope = scope
        self._strict = strict
        self._errors: list[str] = []
        self._compute: list[Found] = []
        self._left_alone: list[str] = []
        self._left_by_earlier: list[list[str]] = []
        self._is_done = False
        # An Aspect on the whole scope would be called for every construct, at a request each. This
        # one is on the fleet alone, and what the fleet makes below itself is made during its call.
        cdk.Aspects.of(self).add(AtSynthesis(self._cover))
        self.node.add_validation(AtSynthesis(self._find_errors))

    def _cover(self) -> None:
        """Make the policies. CDK calls this once the user's code has made everything."""
        if self._is_done:
            return
        self._is_done = True
        tree = Tree(self._scope)
        self._compute = tree.resources(*COMPUTE)
        self._leave_alone(tree.nodes)
        if self._compute:
            self._report_idle_exclusions(tree)
        else:
            self._report_no_compute(tree)
        covered = self._compute
        if self._left_alone or self._left_by_earlier:
            covered = [self._by_path[path] for path in self._own_paths(self._by_path)]
        policies = self._policies(covered, tree)
        list_roles(policies, tree)
        for policy in policies:
            if policy.condition is None:
                self._check_reach(policy)
                if policy.not_attached:
                    why = "; ".join(policy.not_attached)
                    text = f"SessionManagerFleet can't cover these: {why}"
                    self._report(
                        "session-manager-permissions:fleet-not-attached", text, policy.stack
                    )
            if policy.roles:
                policy.make()

    @cached_property
    def _by_path(self) -> dict[str, Found]:
        """The compute below the scope. It is read only if needed, as a path costs two requests."""
        return {found.resource.node.path: found for found in self._compute}

    @cached_property
    def _holder_id(self) -> str:
        """The id of the construct that holds the policy in any stack but the fleet's own."""
        own_path = self.node.path
        return f"{own_path.rpartition('/')[2]}{_needs.digest(own_path)}"

    def _policies(self, covered: list[Found], tree: Tree) -> list[FleetPolicy]:
        """Return a policy for each stack with compute, and then one for each condition of compute.

        The policy of the stack that the fleet is in is made in the fleet. In any other stack it is
        made in a construct whose id is the fleet's with a hash of the fleet's path.
        """
        plain: dict[cdk.Stack, FleetPolicy] = {}
        on_condition: dict[str, FleetPolicy] = {}
        for found in covered:
            stack = found.stack
            if stack not in plain:
                holder = self if stack is tree.home else Construct(stack, self._holder_id)
                plain[stack] = FleetPolicy(
                    stack=stack,
                    environment=Environment.of(stack),
                    holder=holder,
                    statements=list(statements_by_sid(self._options, self._key, stack).values()),
                )
            policy = plain[stack]
            condition = found.resource.cfn_options.condition if tree.has_conditions else None
            if condition is not None:
                path = condition.node.path
                if path not in on_condition:
                    on_condition[path] = policy.on(condition, path)
                policy = on_condition[path]
            policy.compute.append(found)
        return [*plain.values(), *on_condition.values()]

    def _leave_alone(self, nodes: list[IConstruct]) -> None:
        """Note what this fleet leaves alone: the excluded, scopes of other fleets, and stages.

        The fleet that is nearest to the compute covers it. Of two fleets with one scope, the first
        covers all that it does not exclude. CDK has already synthesized the stages below, so each
        must have a fleet of its own.
        """
        fleets = [node for node in nodes if isinstance(node, SessionManagerFleet)]
        scopes = {fleet: fleet._scope.node.path for fleet in fleets}
        here = scopes[self]
        before = fleets[: fleets.index(self)]
        self._left_alone += self._excluded_paths
        self._left_alone += [scope for scope in scopes.values() if scope != here]
        self._left_by_earlier += [one._excluded_paths for one in before if scopes[one] == here]
        stages = [node.node.path for node in nodes[1:] if isinstance(node, cdk.Stage)]
        for path in self._own_paths(stages):
            self._errors.append(
                f"stage {path!r} has no SessionManagerFleet of its own, and this fleet can't "
                "cover it, as CDK synthesizes stages first: make a fleet in the stage, or exclude "
                "the stage"
            )
        self._left_alone += stages

    def _own_paths(self, paths: Iterable[str]) -> list[str]:
        """Return the paths of the constructs that this fleet, and no other, is to cover."""
        return [
            path
            for path in paths
            if not is_below(path, self._left_alone)
            and all(is_below(path, left) for left in self._left_by_earlier)
        ]

    def _find_errors(self) -> list[str]:
        """Return the errors, once all Aspects have had their turns.

        Compute that was made after this fleet's turn is in no policy. One request tells the number
        of resources. Only if there are more than before, they are told apart by their paths.
        """
        now = compute_below(self._scope)
        if len(now) == len(self._compute):
            return self._errors
        paths = [resource.node.path for resource in now]
        late = self._own_paths(path for path in paths if path not in self._by_path)
        if late:
            self._errors.append(
                f"this SessionManagerFleet can't cover {', '.join(map(repr, late))}, added after "
                "CDK had visited the fleet, by an Aspect or between two syntheses: make the fleet "
                "after the constructs that the Aspect visits, or make the profiles before the "
                "first synthesis"
            )
        return self._errors

    def _check_reach(self, policy: FleetPolicy) -> None:
        """Warn of a key that the instances of the stack may not be able to use."""
        stack, here = policy.stack, policy.environment
        if self._key is not None and not is_in_region(stack, self._key, here):
            way_out = "give that stack a fleet of its own with the key of that region"
            warn_of_no_key_in_region(stack, here.region, way_out)

    def _report_no_compute(self, tree: Tree) -> None:
        """Warn on a stack that the CLI shows, as it shows no warning of an app or a stage.

        Without a stack there is nothing to deploy, and the CLI says so itself.
        """
        if tree.stacks and not self._own_paths(stack.node.path for stack in tree.stacks):
            return  # each stack is excluded, or in the scope of another fleet, on purpose
        path = self._scope.node.path
        text = (
            f"SessionManagerFleet {self.node.path!r} covers nothing: there is no instance profile "
            f"and no node group of EKS below {repr(path) if path else 'the app'}; make the fleet "
            "in the construct that has them, and give imported roles to SessionManagerPermissions"
        )
        near = self._stack_nearby(tree)
        self._report("session-manager-permissions:fleet-covers-nothing", text, near)

    def _report_idle_exclusions(self, tree: Tree) -> None:
        """Report what is excluded without effect, as the fleet covers what it was to leave alone.

        A stage is excluded for its own sake, as otherwise it needs a fleet.
        """
        for construct, excluded in zip(self._excluded, self._excluded_paths, strict=True):
            if isinstance(construct, cdk.Stage) or any(
                is_below(path, [excluded]) for path in self._by_path
            ):
                continue
            text = (
                f"SessionManagerFleet {self.node.path!r} excludes {excluded!r} without effect: no "
                "instance profile and no node group of EKS that the fleet would cover is below it; "
                "exclude the construct that has the profile, such as the LaunchTemplate of an "
                "AutoScalingGroup"
            )
            near = self._stack_nearby(tree)
            self._report("session-manager-permissions:fleet-excludes-nothing", text, near)

    def _stack_nearby(self, tree: Tree) -> cdk.Stack | None:
        """Return the stack nearest to the fleet of those that are synthesized with it."""
        stage = _stage_path(self)
        nearest_first = (tree.home, *tree.stacks, *tree.in_app)
        stacks = (node for node in nearest_first if isinstance(node, cdk.Stack))
        return next((stack for stack in stacks if _stage_path(stack) == stage), None)

    def _report(self, warning: str, text: str, stack: cdk.Stack | None) -> None:
        """Fail the synthesis where the fleet is strict; otherwise warn on the stack."""
        if self._strict:
            self._errors.append(text)
        elif stack is not None:
            cdk.Annotations.of(stack).add_warning_v2(warning, text)


def _stage_path(construct: IConstruct) -> str:
    """Return the path of the app or the stage that a construct is synthesized with."""
    stage = cdk.Stage.of(construct)
    return "" if stage is None else stage.node.path


def _refuse_wrong_exclusions(excluded: list[IConstruct]) -> None:
    """Refuse what would exclude nothing."""
    for construct in excluded:
        if not hasattr(construct, "node"):
            raise TypeError(
                f"exclude must be a sequence of constructs, got {described(construct)} in it: give "
                "the construct"
            )
        if hasattr(construct, "role_ref") and not compute_below(construct):
            raise TypeError(
                f"exclude has the role {construct.node.path!r}, but a fleet covers compute and "
                "not roles: give the instance profiles or node groups of the role"
            )
