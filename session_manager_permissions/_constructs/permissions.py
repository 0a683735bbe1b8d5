"""`SessionManagerPermissions`: the construct that gives an existing role the policy."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from session_manager_permissions import _limits

from .at_synthesis import AtSynthesis
from .checks import refuse_wrong_text
from .keys import KeyResource, SessionKey, is_in_region, session_key, warn_of_no_key_in_region
from .names import default_policy_name, refuse_invalid_name
from .roles import (
    Target,
    attach_or_refuse,
    condition_path,
    inline_policy_names,
    is_lookup_dummy,
    profile_target,
    refuse_arn_of_other_account,
    reports_only,
    role_target,
    roles_named,
)
from .statements import SessionManagerOptions, allow_decrypt, read_options, statements_by_sid
from .tokens import Environment

if TYPE_CHECKING:
    from aws_cdk.interfaces.aws_iam import IInstanceProfileRef, IRoleRef
    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from aws_cdk.interfaces.aws_logs import ILogGroupRef
    from aws_cdk.interfaces.aws_s3 import IBucketRef

    from .preferences import SessionPreferences


class SessionManagerPermissions(Construct):
    """Session Manager on a role or an instance profile that exists: one inline policy.

    Without options, the policy has exactly the statements of the AWS page "Adding Session Manager
    permissions to an existing instance profile"; see `session_manager_statements`. As that page
    warns, this policy alone is not enough. The agent must also register
    (`ssm:UpdateInstanceInformation`): by `allow_registration`, by another policy of the role, or
    through Default Host Management. It must also reach the endpoints `ssm` and `ssmmessages` of its
    region.

    Other constructs can depend on this one: `instance.instance.node.add_dependency(permissions)`
    keeps an `ec2.Instance` from booting before its role has the policy.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-add-permissions-to-existing-profile.html
    """

    _WAY_TO_THE_KEY = "add the key of that region with add_encryption_key()"

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        role: IRoleRef | None = None,
        instance_profile: IInstanceProfileRef | None = None,
        policy_name: str | None = None,
        encryption_key: IKeyRef | IAliasRef | None = None,
        allow_registration: bool = False,
        log_bucket: IBucketRef | None = None,
        log_prefix: str | None = None,
        log_group: ILogGroupRef | None = None,
        check_log_encryption: bool | None = None,
        preferences: SessionPreferences | None = None,
        decrypt_sessions_only: bool = False,
    ) -> None:
        """Attach the policy to `role`, or to the role of `instance_profile`.

        Args:
            scope: the construct that this one is defined in; its stack gets the policy.
            construct_id: the construct's id, unique in `scope`.
            role: the existing role: owned, imported or L1. Default: - none; give
                `instance_profile`.
            instance_profile: the existing instance profile: owned, imported with its role, looked
                up, or L1. Default: - none; give `role`.
            policy_name: the inline policy's name, 1 to 128 characters of `A-Z a-z 0-9 _+=,.@-`.
                Default: - a name unique to the stack, its region where known, and the construct;
                the same on every synthesis.
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
            ValueError: neither or both of `role` and `instance_profile`; an invalid `policy_name`;
                a role that can't be changed from this stack, or that is not known; options that
                `session_manager_statements` refuses.
            RuntimeError: CDK's, if an `iam.Policy` of the name `policy_name` is attached to the
                role.
        """
        if (role is None) == (instance_profile is None):
            raise ValueError(
                "give exactly one of role and instance_profile, got "
                + ("neither" if role is None else "both")
            )
        if policy_name is not None:
            refuse_invalid_name("policy_name", policy_name, _limits.POLICY, "IAM")
        options, key = read_options(
            encryption_key=encryption_key,
            allow_registration=allow_registration,
            log_bucket=log_bucket,
            log_prefix=log_prefix,
            log_group=log_group,
            check_log_encryption=check_log_encryption,
            preferences=preferences,
            decrypt_sessions_only=decrypt_sessions_only,
        )
        self._make(scope, construct_id, policy_name, options, key)
        if role is not None:
            self.attach_to_role(role)
        if instance_profile is not None:
            self.attach_to_instance_profile(instance_profile)

    def _make(
        self,
        scope: Construct,
        construct_id: str,
        policy_name: str | None,
        options: SessionManagerOptions,
        key: SessionKey | None,
    ) -> None:
        """Make the construct with a policy that is attached to no role yet.

        Args:
            scope: as in `__init__`.
            construct_id: as in `__init__`.
            policy_name: as in `__init__`.
            options: the options that `read_options` gives.
            key: the key that it gives.
        """
        refuse_wrong_text("construct_id", construct_id)
        self._options = options
        self._stack = cdk.Stack.of(scope)
        self._statements = statements_by_sid(options, key, self._stack)
        super().__init__(scope, construct_id)
        self._environment = Environment.of(self._stack)
        self._given_name = policy_name
        self._policy = iam.Policy(
            self,
            "Policy",
            policy_name=policy_name or default_policy_name(self, self._environment),
            statements=list(self._statements.values()),
        )
        self._targets: dict[object, Target] = {}
        self._role_ids = (f"Role{number}" for number in itertools.count(1))
        self._keys: dict[KeyResource, bool] = {}  # with whether each is in the region
        self.node.add_validation(AtSynthesis(self._finish))
        if key is not None:
            self._check_reach(key)

    @property
    def policy(self) -> iam.Policy:
        """The inline policy. There is one, whatever the number of roles."""
        return self._policy

    @property
    def roles(self) -> list[iam.IRole]:
        """The roles that the policy is attached to, each once. An L1 role is here as an import."""
        return [target.role for target in self._targets.values()]

    def attach_to_role(self, role: IRoleRef) -> None:
        """Attach the policy to one more role. Nothing changes for a role that already has it.

        Args:
            role: the existing role: owned, imported or L1.

        Raises:
            TypeError: `role` is not a role.
            ValueError: the role's policies can't be changed from this stack, or the role has
                another policy with this name.
            RuntimeError: CDK's, if an `iam.Policy` with this name is attached to the role.
        """
        self._attach(role_target(self, next(self._role_ids), role, self._stack))

    def attach_to_instance_profile(self, instance_profile: IInstanceProfileRef) -> None:
        """Attach the policy to the role of one more instance profile.

        Args:
            instance_profile: the existing profile: owned, imported with its role, looked up, or L1.

        Raises:
            TypeError: `instance_profile` is not an instance profile.
            ValueError: its role is not known, can't be changed from this stack, or has another
                policy with this name.
            RuntimeError: CDK's, if an `iam.Policy` with this name is attached to its role.
        """
        self._attach(profile_target(self, next(self._role_ids), instance_profile, self._stack))

    def add_encryption_key(self, encryption_key: IKeyRef | IAliasRef) -> None:
        """Grant `kms:Decrypt` on one more key, such as the key of another region.

        All keys share one statement. An alias gets another statement, which it shares with the
        same alias of other regions.

        Args:
            encryption_key: a key or an alias: owned, imported or L1.

        Raises:
            TypeError: `encryption_key` is not a KMS key or alias.
            ValueError: it is known that the key can't decrypt session data.
        """
        key = session_key(encryption_key)
        if key.reached in self._keys:
            return
        before = len(self._statements)
        statement = allow_decrypt(self._statements, self._options, key)
        if len(self._statements) > before:
            self._policy.add_statements(statement)
        for target in self._targets.values():
            if reports_only(target.role):  # the report has what the policy held when attached
                target.role.add_to_principal_policy(allow_decrypt({}, self._options, key))
        self._check_reach(key)

    def _attach(self, target: Target) -> None:
        if target.key in self._targets:
            # A role of this name in another account is another role.
            refuse_arn_of_other_account(target.role, self._stack)
            return
        if self._given_name is not None and not is_lookup_dummy(target.role):
            self._refuse_overwriting(target)
        attach_or_refuse(self._policy, target, self._stack)
        self._targets[target.key] = target

    def _finish(self) -> None:
        """Add the warnings that need the whole app, and dependencies on roles with literal names.

        CDK calls this at synthesis, so that the roles of a large stack are read only once, and not
        each time that a role is attached.
        """
        if self._keys and not any(self._keys.values()):
            warn_of_no_key_in_region(self, self._environment.region, self._WAY_TO_THE_KEY)
        cfn_policy = cast("iam.CfnPolicy", self._policy.node.default_child)
        # A role of the app that is given by a literal name has no reference in the policy.
        names = [target.name for target in self._targets.values() if target.cfn_role is None]
        for cfn_role in roles_named(names, self._stack):
            cfn_policy.add_resource_dependency(cfn_role)
        for cfn_role in filter(None, (target.cfn_role for target in self._targets.values())):
            condition = condition_path(cfn_role)
            if condition and not condition_path(cfn_policy):  # a user who set one knows the role's
                cdk.Annotations.of(self).add_warning_v2(
                    "session-manager-permissions:role-on-a-condition",
                    f"role {cfn_role.node.path!r} has the condition {condition!r}, and where the "
                    "condition is false, the policy can't be deployed, as it refers to the role: "
                    "give roles with a condition their own construct in their stack, and set the "
                    "condition as its policy.node.default_child.cfn_options.condition",
                )

    def _refuse_overwriting(self, target: Target) -> None:
        """Refuse a second policy with the same name on a role, as IAM keeps only the last one."""
        if target.cfn_role and self._given_name in inline_policy_names(target.cfn_role):
            raise ValueError(
                f"policy_name {self._given_name!r} is the name of another policy of the role "
                f"{target.cfn_role.node.path!r}, and the new policy would replace that policy: "
                "give each policy of a role a name of its own"
            )
        for other in self.node.root.node.find_all():
            if (
                isinstance(other, SessionManagerPermissions)
                and other is not self
                and other._given_name == self._given_name
                and target.key in other._targets
                and other._environment.account == self._environment.account
                and (
                    other._environment.region == self._environment.region
                    or _certainly_clash(str(self._given_name), target, other._targets[target.key])
                )
            ):
                raise ValueError(
                    f"policy_name {self._given_name!r} is also that of {other.node.path!r} on the "
                    "same role, and a role has only one inline policy of each name: give each "
                    "construct its own policy_name, or use one construct for the role"
                )

    def _check_reach(self, key: SessionKey) -> None:
        """Note whether a key is in the stack's region, and warn of a key of another account."""
        self._keys[key.reached] = is_in_region(self, key, self._environment)


def _certainly_clash(name: str, role: Target, other: Target) -> bool:
    """Tell whether two policies in two regions certainly have one name and are on one role.

    The roles have the same key already. The value of a token, such as an export, may differ from
    region to region.
    """
    is_one_of_app = (
        role.cfn_role is not None
        and other.cfn_role is not None
        and role.cfn_role.node.path == other.cfn_role.node.path
    )
    return "{" not in name and (is_one_of_app or "{" not in str(role.key))
