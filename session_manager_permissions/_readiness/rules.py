"""The rules of the check as data: what each finds, what it is reported on, and its severity.

A test holds the tables in `SessionManagerReadiness` and docs/readiness.md equal to this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions._network import verdicts

if TYPE_CHECKING:
    from .templates import Resource

CHANNEL_MISSING: Final = "channel-missing"
REGISTRATION_MISSING: Final = "registration-missing"
EXPLICIT_DENY: Final = "explicit-deny"
POLICIES_TOO_LONG: Final = "inline-policies-too-long"
MANAGED_POLICY_TOO_LONG: Final = "managed-policy-too-long"
TOO_MANY_MANAGED_POLICIES: Final = "too-many-managed-policies"
REFUSED_POLICY: Final = "refused-policy"
KEY_NOT_BY_ARN: Final = "key-not-by-arn"
DECRYPT_ON_ALL_KEYS: Final = "decrypt-on-all-keys"
DEPRECATED_POLICY: Final = "deprecated-policy"
NO_INSTANCE_PROFILE: Final = "no-instance-profile"
ROLE_NOT_ASSUMABLE: Final = "role-not-assumable"
METADATA_OFF: Final = "metadata-off"
BOOT_ORDER: Final = "boot-order"
CANNOT_BE_KNOWN: Final = "cannot-be-known"
READY: Final = "ready"


_NOT_READY: Final = "warning; error if strict"


class ReadinessRule(NamedTuple):
    """A rule of the check."""

    id: str
    finds: str
    reported_on: str = "the profile"
    severity: str = _NOT_READY
    """`warning`, `info`, or a warning that is an error with `strict`."""

    @property
    def not_ready(self) -> bool:
        """Whether a profile with such a finding is not ready."""
        return self.severity == _NOT_READY


class Finding(NamedTuple):
    """One cause, on all the resources that it is a cause for."""

    rule: str
    resources: tuple[Resource, ...]
    location: str
    description: str
    fix: str


RULES: Final = {
    rule.id: rule
    for rule in (
        ReadinessRule(
            CHANNEL_MISSING,
            "a `ssmmessages` channel action that no policy allows, or the permissions boundary "
            "does not",
        ),
        ReadinessRule(
            REGISTRATION_MISSING,
            "the same of `ssm:UpdateInstanceInformation`, which Default Host Management "
            "Configuration can stand in for",
        ),
        ReadinessRule(EXPLICIT_DENY, "a `Deny` of one of these actions"),
        ReadinessRule(
            POLICIES_TOO_LONG,
            "inline policies of its role with more than 10,240 characters, which IAM refuses",
        ),
        ReadinessRule(
            MANAGED_POLICY_TOO_LONG,
            "a managed policy of the role with more than 6,144 characters, which IAM refuses",
            "the policy",
        ),
        ReadinessRule(
            TOO_MANY_MANAGED_POLICIES,
            "more than 25 managed policies on its role, the most that the quota can be raised to",
        ),
        ReadinessRule(
            REFUSED_POLICY,
            "a policy of its role that breaks the grammar of IAM policies, so that the deployment "
            "fails",
        ),
        ReadinessRule(
            NO_INSTANCE_PROFILE,
            "compute without an instance profile: the agent has no credentials, unless Default "
            "Host Management Configuration gives it some",
            "the instance, launch template or launch configuration",
        ),
        ReadinessRule(
            ROLE_NOT_ASSUMABLE,
            "a trust policy that does not let EC2 assume the role",
            "the role",
        ),
        ReadinessRule(
            METADATA_OFF,
            "`HttpEndpoint: disabled`: the agent gets no credentials",
            "the instance, launch template or launch configuration",
        ),
        ReadinessRule(
            verdicts.NO_NETWORK_PATH,
            "no way out of its subnet, and no VPC endpoint of `ssm` and `ssmmessages`",
            "the instance, group, fleet or node group",
        ),
        ReadinessRule(
            verdicts.ENDPOINT_MISSING,
            "VPC endpoints as the only way out, of which one that is needed is missing",
            "the instance, group, fleet or node group",
        ),
        ReadinessRule(
            verdicts.ENDPOINT_UNREACHABLE,
            "private DNS that is off, security groups that do not admit TCP 443 from the compute, "
            "or a policy that does not allow the agent's calls",
            "the VPC endpoint",
        ),
        ReadinessRule(
            verdicts.EGRESS_CLOSED,
            "security groups that do not let TCP 443 out",
            "the instance or launch template",
        ),
        ReadinessRule(
            KEY_NOT_BY_ARN,
            "`kms:Decrypt` on an alias or a bare key id, which grants nothing",
            "the policy",
            "warning",
        ),
        ReadinessRule(
            DECRYPT_ON_ALL_KEYS,
            "`kms:Decrypt` on every key, unconditionally",
            "the policy",
            "warning",
        ),
        ReadinessRule(DEPRECATED_POLICY, "`AmazonEC2RoleforSSM`", "the role", "warning"),
        ReadinessRule(
            BOOT_ORDER,
            "compute that may boot before the policy of its role that allows what the agent needs",
            "the instance, Auto Scaling group or fleet",
            "warning",
        ),
        ReadinessRule(
            CANNOT_BE_KNOWN,
            "what decides is known after the deployment only",
            "the profile or the compute",
            "info",
        ),
        ReadinessRule(
            READY,
            "that every profile is ready: it is not printed, and keeps the counts in CDK's report",
            "nothing",
            "info",
        ),
    )
}
"""The rules by their ids, in the order of the tables."""
