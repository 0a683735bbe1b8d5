"""Does the policy of a VPC endpoint let the agent's calls pass?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _needs
from session_manager_permissions._patterns import as_list, covers_action

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
    policy = endpoint.policy if isinstance(endpoint.policy, dict) else {}
    statements = as_list(policy.get("Statement"))
    if not all(
        isinstance(entry, dict) and entry.get("Effect") in ("Allow", "Deny") for entry in statements
    ):
        return unknown
    return all_of(
        _statements_allow(statements, action.lower(), endpoint, unknown)
        for action in ACTIONS[endpoint.service]
    )


def _statements_allow(
    statements: list[dict[str, Any]], action: str, endpoint: Endpoint, unknown: Unknown
) -> Fact:
    facts: dict[str, list[Fact]] = {"Allow": [], "Deny": []}
    for entry in statements:
        covers = covers_action(entry, action)
        if covers is not False:
            is_certain = covers and _is_plain(entry, endpoint)
            facts[entry["Effect"]].append(True if is_certain else unknown)
    allowed, denied = any_of(facts["Allow"]), any_of(facts["Deny"])
    return False if denied is True else all_of((allowed, unknown if denied else True))


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
