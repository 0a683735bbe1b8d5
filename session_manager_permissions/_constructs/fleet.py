"""`SessionManagerFleet`: the construct that covers all compute below a scope.

`fleet_tree` finds the compute and its stacks. The fleet makes a policy for each of these stacks,
and `fleet_roles` decides which roles the policy lists.
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

    The fleet covers every instance profile, made before or after the fleet: L2, L1, `CfnInclude`,
    and the profiles that `ec2.Instance`, `AutoScalingGroup`, `LaunchTemplate`, ECS and EKS capacity
    make. It also covers the role of every managed node group of EKS. In an app, it covers the app's
    stacks; in a stage, the stacks of the stage; in a stack, this stack and its nested stacks. If
    there is another fleet below `scope`, only that fleet covers the compute in its own scope.

    A policy lists a role once, even if several profiles of the stack share it. If the stack that
    makes the role has such a profile, only the policy of that stack lists the role. If not, the
    policy of each stack that uses the role lists it, so that each stack can be deployed and
    destroyed without the others.

    CDK synthesizes a stage before the app that contains it, so each stage needs its own fleet. The
    synthesis fails if a stage below `scope` has no fleet and is not excluded.

    The fleet never attaches the policy to a role that must not change. Such a role was imported
    with `mutable=False`, comes from `without_policy_updates()`, belongs to another account, is
    service-linked, or is reserved by AWS. The warning
    `session-manager-permissions:fleet-not-attached` on the stack names each role and each resource
    that the fleet can't cover. The warning `session-manager-permissions:fleet-covers-nothing` says
    that the fleet finds no compute. The warning
    `session-manager-permissions:fleet-excludes-nothing` says that no compute is below a construct
    that is excluded.

    Instances do not wait for the policy of a fleet before they boot. If an instance needs the
    policy at its first boot, exclude it, and make it depend on its own `SessionManagerPermissions`.
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
            exclude: constructs that the fleet does not cover, each with everything below it; for a
                role, give its instance profiles or node groups. Default: - none.
            strict: whether the synthesis fails if the fleet can't attach to a role, covers nothing,
                or excludes a construct without effect.
                Default: - False: a warning on the stack says so.
            encryption_key: the KMS key that encrypts session data, or an alias of it: owned,
                imported or L1.
                Default: - none: session data is not encrypted with a KMS key.
            allow_registration: whether the role may register its instance with Systems Manager.
                Default: - False: another policy allows it, or Default Host Management is used.
            log_bucket: the S3 bucket for session logs: owned, imported or L1.
                Default: - none: no logs in S3.
            log_prefix: the key prefix of the session logs in `log_bucket`.
                Default: - the top of the bucket.
            log_group: the CloudWatch log group for session logs: owned, imported or L1.
                Default: - none: no logs in CloudWatch Logs.
            check_log_encryption: whether the role may read how the log bucket is encrypted.
                Default: - True; with `preferences`, True only if they have a log bucket.
            preferences: the Session document that sessions are started with, which decides the key,
                the bucket, the prefix and the log group.
                Default: - none: each option is given separately.
            decrypt_sessions_only: whether the role may use the key for session data only.
                Default: - False: the role may decrypt everything that the key has encrypted.

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
        # Raises the errors of the options now, and not at synthesis.
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
        """The arguments that a fix with `allow_registration` must repeat."""
        refuse_wrong_text("construct_id", construct_id)
        super().__init__(scope, construct_id)
        self._scope = scope
        self._strict = strict
        self._errors: list[str] = []
        self._compute: list[Found] = []
        self._left_alone: list[str] = []
        self._left_by_earlier: list[list[str]] = []
        self._is_done = False
        # CDK would call an Aspect on the whole scope for every construct, at one request each. This
        # Aspect is only on the fleet, which makes its policies during the call.
        cdk.Aspects.of(self).add(AtSynthesis(self._cover))
        self.node.add_validation(AtSynthesis(self._find_errors))

    def _cover(self) -> None:
        """Make the policies. CDK calls this after the user's code has made everything."""
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
        """The compute below the scope, read only if needed, as each path costs two requests."""
        return {found.resource.node.path: found for found in self._compute}

    @cached_property
    def _holder_id(self) -> str:
        """The id of the construct that holds the policy in stacks other than the fleet's own."""
        own_path = self.node.path
        return f"{own_path.rpartition('/')[2]}{_needs.digest(own_path)}"

    def _policies(self, covered: list[Found], tree: Tree) -> list[FleetPolicy]:
        """Return a policy for each stack with compute, and then one for each condition of compute.

        In its own stack, the fleet makes the policy below itself. In another stack, it makes the
        policy in a construct whose id is the fleet's id with a hash of the fleet's path.
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
        """Note what this fleet does not cover: exclusions, the scopes of other fleets, and stages.

        The fleet that is nearest to the compute covers it. Of two fleets with one scope, the first
        covers everything that it does not exclude. CDK has already synthesized the stages below, so
        each stage must have its own fleet.
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
        """Return the paths of the constructs that this fleet covers, and no other fleet."""
        return [
            path
            for path in paths
            if not is_below(path, self._left_alone)
            and all(is_below(path, left) for left in self._left_by_earlier)
        ]

    def _find_errors(self) -> list[str]:
        """Return the errors, after all Aspects have run.

        Compute that was made after this fleet's Aspect ran is in no policy. One request returns the
        number of resources. Their paths are read only if there are more resources than before.
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
        """Warn if the instances of the stack may not be able to use the key."""
        stack, here = policy.stack, policy.environment
        if self._key is not None and not is_in_region(stack, self._key, here):
            way_out = "give that stack a fleet of its own with the key of that region"
            warn_of_no_key_in_region(stack, here.region, way_out)

    def _report_no_compute(self, tree: Tree) -> None:
        """Warn on a stack, as the CLI does not show the warnings of an app or a stage.

        Without a stack there is nothing to deploy, and the CLI says so itself.
        """
        if tree.stacks and not self._own_paths(stack.node.path for stack in tree.stacks):
            return  # each stack is deliberately excluded, or in the scope of another fleet
        path = self._scope.node.path
        text = (
            f"SessionManagerFleet {self.node.path!r} covers nothing: there is no instance profile "
            f"and no node group of EKS below {repr(path) if path else 'the app'}; make the fleet "
            "in the construct that has them, and give imported roles to SessionManagerPermissions"
        )
        near = self._stack_nearby(tree)
        self._report("session-manager-permissions:fleet-covers-nothing", text, near)

    def _report_idle_exclusions(self, tree: Tree) -> None:
        """Report exclusions without effect, as the fleet may then cover compute by mistake.

        An excluded stage is not reported, as a stage that is not excluded needs its own fleet.
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
        """Return the stack nearest to the fleet, of the stacks that CDK synthesizes with it."""
        stage = _stage_path(self)
        nearest_first = (tree.home, *tree.stacks, *tree.in_app)
        stacks = (node for node in nearest_first if isinstance(node, cdk.Stack))
        return next((stack for stack in stacks if _stage_path(stack) == stage), None)

    def _report(self, warning: str, text: str, stack: cdk.Stack | None) -> None:
        """Fail the synthesis if the fleet is strict; otherwise warn on the stack."""
        if self._strict:
            self._errors.append(text)
        elif stack is not None:
            cdk.Annotations.of(stack).add_warning_v2(warning, text)


def _stage_path(construct: IConstruct) -> str:
    """Return the path of the app or the stage that a construct is synthesized with."""
    stage = cdk.Stage.of(construct)
    return "" if stage is None else stage.node.path


def _refuse_wrong_exclusions(excluded: list[IConstruct]) -> None:
    """Refuse values that would exclude nothing."""
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
