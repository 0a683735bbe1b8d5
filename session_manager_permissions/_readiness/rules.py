"""The rules of the check as data: what each finds, what it is reported on, and its severity.

`make tables` writes them into `SessionManagerReadiness` and the pages.
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


class Rule(NamedTuple):
    """A rule of the check."""

    id: str
    severity: str
    """`warning`, `info`, or a warning that is an error with `strict`."""
    reported_on: str
    finds: str

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


_NOT_READY: Final = "warning; error if strict"


RULES: Final = {
    rule.id: rule
    for rule in (
        Rule(
            CHANNEL_MISSING,
            _NOT_READY,
            "the profile",
            "a `ssmmessages` channel action that no policy allows, or the permissions boundary "
            "does not",
        ),
        Rule(
            REGISTRATION_MISSING,
            _NOT_READY,
            "the profile",
            "`ssm:UpdateInstanceInformation`, if no policy allows it, or the permissions boundary "
            "does not; Default Host Management Configuration can stand in for it",
        ),
        Rule(
            EXPLICIT_DENY,
            _NOT_READY,
            "the profile",
            "a `Deny` of a channel action or of `ssm:UpdateInstanceInformation`",
        ),
        Rule(
            POLICIES_TOO_LONG,
            _NOT_READY,
            "the profile",
            "inline policies of its role with more than 10,240 characters, which IAM refuses",
        ),
        Rule(
            MANAGED_POLICY_TOO_LONG,
            _NOT_READY,
            "the policy",
            "a managed policy of the role with more than 6,144 characters, which IAM refuses",
        ),
        Rule(
            TOO_MANY_MANAGED_POLICIES,
            _NOT_READY,
            "the profile",
            "more than 25 managed policies on its role, the most that the quota can be raised to",
        ),
        Rule(
            REFUSED_POLICY,
            _NOT_READY,
            "the profile",
            "a policy of its role that breaks the grammar of IAM policies, so that the deployment "
            "fails",
        ),
        Rule(
            NO_INSTANCE_PROFILE,
            _NOT_READY,
            "the instance, launch template or launch configuration",
            "compute without an instance profile: the agent has no credentials, unless Default "
            "Host Management Configuration gives it some",
        ),
        Rule(
            ROLE_NOT_ASSUMABLE,
            _NOT_READY,
            "the role",
            "a trust policy that does not let EC2 assume the role",
        ),
        Rule(
            METADATA_OFF,
            _NOT_READY,
            "the instance, launch template or launch configuration",
            "`HttpEndpoint: disabled`: the agent gets no credentials",
        ),
        Rule(
            NO_NETWORK_PATH,
            _NOT_READY,
            "the instance, group, fleet or node group",
            "no way out of its subnet, and no VPC endpoint of `ssm` and `ssmmessages`",
        ),
        Rule(
            ENDPOINT_MISSING,
            _NOT_READY,
            "the instance, group, fleet or node group",
            "VPC endpoints as the only way out, of which one that is needed is missing",
        ),
        Rule(
            ENDPOINT_UNREACHABLE,
            _NOT_READY,
            "the VPC endpoint",
            "private DNS that is off, security groups that do not admit TCP 443 from the compute, "
            "or a policy that does not allow the agent's calls",
        ),
        Rule(
            EGRESS_CLOSED,
            _NOT_READY,
            "the instance or launch template",
            "security groups that do not let TCP 443 out",
        ),
        Rule(
            KEY_NOT_BY_ARN,
            "warning",
            "the policy",
            "`kms:Decrypt` on an alias or a bare key id, which grants nothing",
        ),
        Rule(
            DECRYPT_ON_ALL_KEYS,
            "warning",
            "the policy",
            "`kms:Decrypt` on every key, unconditionally",
        ),
        Rule(DEPRECATED_POLICY, "warning", "the role", "`AmazonEC2RoleforSSM`"),
        Rule(
            BOOT_ORDER,
            "warning",
            "the instance, Auto Scaling group or fleet",
            "compute that may boot before the policy of its role that allows what the agent needs",
        ),
        Rule(
            CANNOT_BE_KNOWN,
            "info",
            "the profile or the compute",
            "what decides is known after the deployment only",
        ),
        Rule(
            READY,
            "info",
            "nothing",
            "that every profile is ready: it is not printed, and keeps the counts in CDK's report",
        ),
    )
}
"""The rules by their ids, in the order of the tables."""
