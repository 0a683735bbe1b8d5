"""Does the policy of a VPC endpoint let the agent's calls pass?"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _needs

from .facts import Fact, Unknown, all_of, any_of

if TYPE_CHECKING:
    from .model import Endpoint

ACTIONS: Final = {
    "ssm": _needs.REGISTRATION.actions,
    "ssmmessages": _needs.CHANNELS.actions,
    "kms": _needs.decrypt("*", sessions_only=False).actions,
    "logs": _needs.log_group("*")[-1].actions,
    "s3": _needs.log_objects("*", "", other_account=False).actions,
}
"""What the policy of an endpoint has to allow, by its service."""


def policy_allows(endpoint: Endpoint) -> Fact:
    """Whether the policy of an endpoint allows what the agent asks its service for.

    Only what is said of every principal and every resource, without a condition, is certain.
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
    """
    if endpoint.policy is None:
        return True
    unknown = Unknown(f"the policy of the endpoint {endpoint.name!r}")
    if not isinstance(endpoint.policy, dict):
        return unknown
    written = endpoint.policy.get("Statement")
    statements = written if isinstance(written, list) else [written]
    read = [entry for entry in statements if isinstance(entry, dict)]
    if len(read) < len(statements) or not all(
        entry.get("Effect") in ("Allow", "Deny") for entry in read
    ):
        return unknown
    return all_of(
        _statements_allow(read, action.lower(), endpoint, unknown)
        for action in ACTIONS[endpoint.service]
    )


def _statements_allow(
    statements: list[dict[str, Any]], action: str, endpoint: Endpoint, unknown: Unknown
) -> Fact:
    allowed: Fact = False
    denied: Fact = False
    for entry in statements:
        matches = _matches(entry, action)
        if matches is False:
            continue
        fact = True if matches and _is_plain(entry, endpoint) else unknown
        if entry["Effect"] == "Deny":
            denied = any_of((denied, fact))
        else:
            allowed = any_of((allowed, fact))
    return False if denied is True else all_of((allowed, unknown if denied else True))


def _matches(statement: dict[str, Any], action: str) -> bool | None:
    """Whether a statement is about an action; None where it can't be read."""
    negated = "NotAction" in statement
    written = statement.get("NotAction" if negated else "Action")
    patterns = written if isinstance(written, list) else [written]
    found = False
    for pattern in patterns:
        if not isinstance(pattern, str):
            return None
        found = found or fnmatchcase(action, pattern.lower())
    return found is not negated


def _is_plain(statement: dict[str, Any], endpoint: Endpoint) -> bool:
    """Whether a statement covers every resource, and every principal or those of the account."""
    for_account = [
        {"StringEquals": {"aws:PrincipalAccount": account}} for account in endpoint.own_account
    ]
    return (
        statement.get("Principal") in ("*", {"AWS": "*"})
        and statement.get("Resource") in ("*", ["*"])
        and statement.get("Condition") in (None, *for_account)
    )
