"""What must the credentials of `verify` and `audit` be allowed? Each action reads, none writes.

Sources: the service authorization reference, and the API reference of each call.
"""

from __future__ import annotations

from typing import Any, Final

from .checks import AGENT, CHECKS, REGISTERED

PERMISSIONS: Final[dict[str, list[str]]] = {
    action: [name for name, check in CHECKS.items() if action in check.asks]
    for action in sorted({action for check in CHECKS.values() for action in check.asks})
}
"""Each action, and the checks that are unknown without it."""
_OF_VERIFY: Final = frozenset(
    {"iam:GetUser", "ssm:ListTagsForResource"} | {*AGENT.asks} - {*REGISTERED.asks}
)
"""What only `verify` calls: about operators, and about a node that is not connected."""


def policy_for_credentials() -> dict[str, Any]:
    """Return the policy that `verify --print-permissions` prints: all that the command calls."""
    return _policy("SessionManagerVerify", {*PERMISSIONS})


def policy_for_audit() -> dict[str, Any]:
    """Return the policy that `audit --print-permissions` prints: all that the command calls."""
    return _policy("SessionManagerAudit", {*PERMISSIONS, "ec2:DescribeRegions"} - _OF_VERIFY)


def _policy(sid: str, actions: set[str]) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}
