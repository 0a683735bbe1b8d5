"""The rules of the check as data: what each finds, what it is reported on, and its severity.

`findings` looks for what concerns a role or a policy, `compute_findings` for what concerns compute,
and `_network` for what concerns its network. `make tables` writes the rules into
`SessionManagerReadiness` and the pages.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _limits
from session_manager_permissions._network import verdicts

if TYPE_CHECKING:
    from .templates import Resource

_NOT_READY: Final = "warning; error if strict"


class ReadinessRule(NamedTuple):
    """A rule of the check."""

    id: str
    finds: str
    reported_on: str
    severity: str
    """`warning`, `info`, or a warning that is an error with `strict`."""

    @property
    def not_ready(self) -> bool:
        """Whether a profile with such a finding is not ready."""
        return self.severity == _NOT_READY


class Finding(NamedTuple):
    """What a rule finds, on all the resources that it concerns."""

    rule: str
    resources: tuple[Resource, ...]
    location: str
    description: str
    fix: str


RULES: Final[dict[str, ReadinessRule]] = {}
"""The rules by their ids, in the order of the tables."""


def _rule(severity: str, rule_id: str, finds: str, reported_on: str = "the profile") -> str:
    """Add a rule, and return its id."""
    RULES[rule_id] = ReadinessRule(rule_id, finds, reported_on, severity)
    return rule_id


_not_ready = partial(_rule, _NOT_READY)
_warning = partial(_rule, "warning")
_info = partial(_rule, "info")


CHANNEL_MISSING: Final = _not_ready(
    "channel-missing",
    "a `ssmmessages` channel action that no policy allows, or the permissions boundary does not",
)
REGISTRATION_MISSING: Final = _not_ready(
    "registration-missing",
    "that no policy allows `ssm:UpdateInstanceInformation`, or the permissions boundary "
    "does not; Default Host Management Configuration can stand in for it",
)
EXPLICIT_DENY: Final = _not_ready(
    "explicit-deny", "a `Deny` of a channel action or of `ssm:UpdateInstanceInformation`"
)
POLICIES_TOO_LONG: Final = _not_ready(
    "inline-policies-too-long",
    f"inline policies of its role with more than {_limits.MAX_INLINE_POLICIES:,} characters, which "
    "IAM refuses",
)
MANAGED_POLICY_TOO_LONG: Final = _not_ready(
    "managed-policy-too-long",
    f"a managed policy of the role with more than {_limits.MAX_MANAGED_POLICY:,} characters, which "
    "IAM refuses",
    "the policy",
)
TOO_MANY_MANAGED_POLICIES: Final = _not_ready(
    "too-many-managed-policies",
    f"more than {_limits.MAX_MANAGED_POLICIES} managed policies on its role, the most that the "
    "quota can be raised to",
)
REFUSED_POLICY: Final = _not_ready(
    "refused-policy",
    "a policy of its role that breaks the grammar of IAM policies, so that the deployment fails",
)
NO_INSTANCE_PROFILE: Final = _not_ready(
    "no-instance-profile",
    "compute without an instance profile: the agent has no credentials, unless Default "
    "Host Management Configuration gives it some",
    "the instance, launch template or launch configuration",
)
ROLE_NOT_ASSUMABLE: Final = _not_ready(
    "role-not-assumable", "a trust policy that does not let EC2 assume the role", "the role"
)
METADATA_OFF: Final = _not_ready(
    "metadata-off",
    "`HttpEndpoint: disabled`: the agent gets no credentials",
    "the instance, launch template or launch configuration",
)
# `_network` names the rules of the network, as the command has them too.
_not_ready(
    verdicts.NO_NETWORK_PATH,
    "a subnet without a way out, and without VPC endpoints of `ssm` and `ssmmessages`",
    "the instance, group, fleet or node group",
)
_not_ready(
    verdicts.ENDPOINT_MISSING,
    "VPC endpoints as the only way out, of which one that is needed is missing",
    "the instance, group, fleet or node group",
)
_not_ready(
    verdicts.ENDPOINT_UNREACHABLE,
    "private DNS that is off, security groups that do not admit TCP 443 from the compute, "
    "or a policy that does not allow the agent's calls",
    "the VPC endpoint",
)
_not_ready(
    verdicts.EGRESS_CLOSED,
    "security groups that do not let TCP 443 out",
    "the instance or launch template",
)
KEY_NOT_BY_ARN: Final = _warning(
    "key-not-by-arn",
    "`kms:Decrypt` on an alias or a bare key id, which grants nothing",
    "the policy",
)
DECRYPT_ON_ALL_KEYS: Final = _warning(
    "decrypt-on-all-keys", "`kms:Decrypt` on every key, unconditionally", "the policy"
)
DEPRECATED_POLICY: Final = _warning("deprecated-policy", "`AmazonEC2RoleforSSM`", "the role")
BOOT_ORDER: Final = _warning(
    "boot-order",
    "compute that may boot before the policy of its role that allows what the agent needs",
    "the instance, Auto Scaling group or fleet",
)
CANNOT_BE_KNOWN: Final = _info(
    "cannot-be-known",
    "that what decides is known only after the deployment",
    "the profile or the compute",
)
READY: Final = _info(
    "ready",
    "that every profile is ready: it is not printed, and keeps the counts in CDK's report",
    "nothing",
)
