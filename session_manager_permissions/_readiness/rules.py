"""The rules of the check as data: what each finds, what it is reported on, and its severity.

A test holds the tables in `SessionManagerReadiness` and docs/readiness.md equal to this one.
"""

from __future__ import annotations

from typing import Final, NamedTuple

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
            "the same of `ssm:UpdateInstanceInformation`, which Default Host Management "
            "Configuration can stand in for",
        ),
        Rule(EXPLICIT_DENY, _NOT_READY, "the profile", "a `Deny` of one of these actions"),
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
            "the instance or the Auto Scaling group",
            "compute that may boot before the policy of its role that allows what the agent needs",
        ),
        Rule(
            CANNOT_BE_KNOWN,
            "info",
            "the profile",
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
