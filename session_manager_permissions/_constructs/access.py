"""`SessionManagerAccess`: the mixin for instance profiles and node groups that already exist."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
import jsii
from constructs import IConstruct, IMixin

from .checks import described
from .fleet_tree import COMPUTE
from .permissions import SessionManagerPermissions
from .roles import compute_target
from .statements import SessionManagerOptions, read_options, statements_by_sid

if TYPE_CHECKING:
    from aws_cdk import aws_iam as iam
    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from aws_cdk.interfaces.aws_logs import ILogGroupRef
    from aws_cdk.interfaces.aws_s3 import IBucketRef

    from .keys import SessionKey
    from .preferences import SessionPreferences


@jsii.implements(IMixin)
class SessionManagerAccess:
    """Session Manager on the instance profiles and node groups that this mixin is applied to.

    `profile.with_(SessionManagerAccess())` covers a profile, and `instance.with_(…)` the profile of
    an `ec2.Instance`. `cdk.Mixins.of(app).apply(…)` covers all compute that is below `app` at that
    moment, also in stages; a `cdk.ConstructSelector` restricts it. For compute that is made later,
    use `SessionManagerFleet`.

    The mixin supports instance profiles and managed node groups of EKS: L1, those of `CfnInclude`,
    L2, and profiles that are looked up or imported with their role. Applied to a construct without
    one of these, it changes nothing; `cdk.Mixins.of(…).require_any()` makes that an error.

    The roles of each stack get one inline policy, with the statements that
    `SessionManagerPermissions` makes for the same options. The policy is in a construct
    `SessionManagerAccess` below the stack. Compute on a condition gets a policy on the same
    condition.

    Applying a mixin with the same options again changes nothing. A mixin with other options adds a
    policy: the role may then do what either policy allows.

    The mixin refuses a role that can't be changed, with the message of `SessionManagerPermissions`.
    CDK calls a mixin from JavaScript, so `with_` and `apply` raise each error as a `RuntimeError`.

    https://docs.aws.amazon.com/cdk/v2/guide/mixins.html
    """

    def __init__(
        self,
        *,
        encryption_key: IKeyRef | IAliasRef | None = None,
        allow_registration: bool = False,
        log_bucket: IBucketRef | None = None,
        log_prefix: str | None = None,
        log_group: ILogGroupRef | None = None,
        check_log_encryption: bool | None = None,
        preferences: SessionPreferences | None = None,
        decrypt_sessions_only: bool = False,
    ) -> None:
        """Make a mixin with these options. Nothing changes until it is applied.

        Args:
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
            TypeError: an option of the wrong type.
            ValueError: options that `session_manager_statements` refuses.
        """
        self._options, self._key = read_options(
            encryption_key=encryption_key,
            allow_registration=allow_registration,
            log_bucket=log_bucket,
            log_prefix=log_prefix,
            log_group=log_group,
            check_log_encryption=check_log_encryption,
            preferences=preferences,
            decrypt_sessions_only=decrypt_sessions_only,
        )
        # Raises the errors of the options now, and not when the mixin is applied.
        statements_by_sid(self._options, self._key, None)

    def supports(self, construct: IConstruct) -> bool:
        """Tell whether it is an instance profile or a managed node group of EKS.

        Args:
            construct: any construct.
        """
        if type(construct) is cdk.CfnResource:
            return construct.cfn_resource_type in COMPUTE
        return _has(construct, "instance_profile_ref") or _has(construct, "nodegroup_ref")

    def apply_to(self, construct: IConstruct) -> None:
        """Attach the policy of the construct's stack to the role of the construct.

        Args:
            construct: an instance profile or a managed node group of EKS.

        Raises:
            TypeError: `construct` is neither, or CDK does not know its role.
            ValueError: its role is not known, or can't be changed from its stack.
        """
        if not self.supports(construct):
            raise TypeError(
                f"SessionManagerAccess can't be applied to {described(construct)}: give an "
                "instance profile or a managed node group of EKS; for a role use "
                "SessionManagerPermissions"
            )
        compute = _resource(construct)
        condition = compute.cfn_options.condition if isinstance(compute, cdk.CfnResource) else None
        self._policy_for(cdk.Stack.of(compute), condition).attach_to_compute(compute)

    def _policy_for(self, stack: cdk.Stack, condition: cdk.CfnCondition | None) -> _StackAccess:
        """Return the policy of a stack for these options; make it on the first call."""
        construct_id = "SessionManagerAccess"
        if condition is not None:
            construct_id += f"If{stack.resolve(condition.logical_id)}"
        ids = itertools.chain([construct_id], (f"{construct_id}{n}" for n in itertools.count(2)))
        while True:
            one_id = next(ids)
            found = stack.node.try_find_child(one_id)
            if found is None:
                return _StackAccess(stack, one_id, self._options, self._key, condition)
            if isinstance(found, _StackAccess) and found.has(self._options):
                return found


class _StackAccess(SessionManagerPermissions):
    """The policy that mixins with the same options attach to roles in one stack."""

    _WAY_TO_THE_KEY = "in place of this mixin, apply one with the key of that region to this stack"

    def __init__(
        self,
        stack: cdk.Stack,
        construct_id: str,
        options: SessionManagerOptions,
        key: SessionKey | None,
        condition: cdk.CfnCondition | None,
    ) -> None:
        self._make(stack, construct_id, None, options, key)
        if condition is not None:
            cast("iam.CfnPolicy", self.policy.node.default_child).cfn_options.condition = condition

    def has(self, options: SessionManagerOptions) -> bool:
        """Tell whether the policy was made for these options.

        jsii gives a new object each time for a construct that CDK made, such as a bucket's key.
        """
        mine, theirs = self._options.values(), options.values()
        return [*map(described, mine)] == [*map(described, theirs)]

    def attach_to_compute(self, compute: IConstruct) -> None:
        """Attach the policy to the role of an instance profile or an L1 node group."""
        self._attach(compute_target(self, next(self._role_ids), compute, self._stack))


def _resource(construct: IConstruct) -> IConstruct:
    """Return the L1 of a profile or a node group; an imported profile has no L1, and is returned.

    Raises:
        ValueError: the node group was imported, so its role is not known.
    """
    if isinstance(construct, cdk.CfnResource):
        return construct
    resource = construct.node.default_child
    if resource is None and _has(construct, "nodegroup_ref"):
        raise ValueError(
            f"node group {construct.node.path!r} was imported without its role, and only a role "
            "can have policies: give the role to SessionManagerPermissions"
        )
    return resource or construct


def _has(construct: IConstruct, reference: str) -> bool:
    """Tell whether the construct has a reference, which an L1, an L2 and an import all have."""
    try:
        return hasattr(type(construct), reference) or hasattr(construct, reference)
    except RuntimeError:  # a node group that is imported has one that can't be read
        return True
