"""The rules of the check as data: what each finds, what it is reported on, and its severity.

A test holds the tables in `SessionManagerReadiness` and docs/readiness.md equal to this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions._network.verdicts import (
    EGRESS_CLOSED,
    ENDPOINT_MISSING,
    ENDPOINT_UNREACHABLE,
    NO_NETWORK_PATH,
)

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
    reported_on: str
    finds: str
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
            "the profile",
            "a `ssmmessages` channel action that no policy allows, or the permissions boundary "
            "does not",
        ),
        ReadinessRule(
            REGISTRATION_MISSING,
            "the profile",
            "the same of `ssm:UpdateInstanceInformation`, which Default Host Management "
            "Configuration can stand in for",
        ),
        ReadinessRule(EXPLICIT_DENY, "the profile", "a `Deny` of one of these actions"),
        ReadinessRule(
            POLICIES_TOO_LONG,
            "the profile",
            "inline policies of its role with more than 10,240 characters, which IAM refuses",
        ),
        ReadinessRule(
            MANAGED_POLICY_TOO_LONG,
            "the policy",
            "a managed policy of the role with more than 6,144 characters, which IAM refuses",
        ),
        ReadinessRule(
            TOO_MANY_MANAGED_POLICIES,
            "the profile",
            "more than 25 managed policies on its role, the most that the quota can be raised to",
        ),
        ReadinessRule(
            REFUSED_POLICY,
            "the profile",
            "a policy of its role that breaks the grammar of IAM policies, so that the deployment "
            "fails",
        ),
        ReadinessRule(
            NO_INSTANCE_PROFILE,
            "the instance, launch template or launch configuration",
            "compute without an instance profile: the agent has no credentials, unless Default "
            "Host Management Configuration gives it some",
        ),
        ReadinessRule(
            ROLE_NOT_ASSUMABLE,
            "the role",
            "a trust policy that does not let EC2 assume the role",
        ),
        ReadinessRule(
            METADATA_OFF,
            "the instance, launch template or launch configuration",
            "`HttpEndpoint: disabled`: the agent gets no credentials",
        ),
        ReadinessRule(
            NO_NETWORK_PATH,
            "the instance, group, fleet or node group",
            "no way out of its subnet, and no VPC endpoint of `ssm` and `ssmmessages`",
        ),
        ReadinessRule(
            ENDPOINT_MISSING,
            "the instance, group, fleet or node group",
            "VPC endpoints as the only way out, of which one that is needed is missing",
        ),
        ReadinessRule(
            ENDPOINT_UNREACHABLE,
            "the VPC endpoint",
            "private DNS that is off, security groups that do not admit TCP 443 from the compute, "
            "or a policy that does not allow the agent's calls",
        ),
        ReadinessRule(
            EGRESS_CLOSED,
            "the instance or launch template",
            "security groups that do not let TCP 443 out",
        ),
        ReadinessRule(
            KEY_NOT_BY_ARN,
            "the policy",
            "`kms:Decrypt` on an alias or a bare key id, which grants nothing",
            "warning",
        ),
        ReadinessRule(
            DECRYPT_ON_ALL_KEYS,
            "the policy",
            "`kms:Decrypt` on every key, unconditionally",
            "warning",
        ),
        ReadinessRule(DEPRECATED_POLICY, "the role", "`AmazonEC2RoleforSSM`", "warning"),
        ReadinessRule(
            BOOT_ORDER,
            "the instance, Auto Scaling group or fleet",
            "compute that may boot before the policy of its role that allows what the agent needs",
            "warning",
        ),
        ReadinessRule(
            CANNOT_BE_KNOWN,
            "the profile or the compute",
            "what decides is known after the deployment only",
            "info",
        ),
        ReadinessRule(
            READY,
            "nothing",
            "that every profile is ready: it is not printed, and keeps the counts in CDK's report",
            "info",
        ),
    )
}
"""The rules by their ids, in the order of the tables."""
