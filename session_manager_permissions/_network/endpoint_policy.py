"""Does the policy of a VPC endpoint let the agent's calls pass?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _needs
from session_manager_permissions._conditions import EACH_CALL, open_keys
from session_manager_permissions._patterns import as_list, covers_action

from .facts import Fact, Unknown, all_of, any_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import Endpoint

ACTIONS: Final = {
    "ssm": _needs.REGISTRATION.actions,
    "ssmmessages": _needs.CHANNELS.actions,
    "kms": _needs.decrypt("*", sessions_only=False).actions,
    "logs": _needs.log_group("*")[-1].actions,
    "s3": _needs.log_objects("*", "", other_account=False).actions,
}
"""What the policy of an endpoint has to allow, by its service."""


def called(service: str, more: Iterable[str] = ()) -> tuple[str, ...]:
    """What the agent asks a service for: what it always does, and its part of `more`."""
    return (*ACTIONS[service], *(one for one in more if one.startswith(f"{service}:")))


def policy_allows(endpoint: Endpoint, actions: Iterable[str]) -> Fact:
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
        _statements_allow(statements, action.lower(), endpoint, unknown) for action in actions
    )


def _statements_allow(
    statements: list[dict[str, Any]], action: str, endpoint: Endpoint, unknown: Unknown
) -> Fact:
    facts: dict[str, list[Fact]] = {"Allow": [], "Deny": []}
    for entry in statements:
        covers, undecided = covers_action(entry, action), _undecided(entry, endpoint)
        if covers is not False and undecided is not None:
            is_certain = covers and not undecided and _is_plain(entry, endpoint)
            facts[entry["Effect"]].append(True if is_certain else unknown)
    allowed, denied = any_of(facts["Allow"]), any_of(facts["Deny"])
    return False if denied is True else all_of((allowed, unknown if denied else True))


def _is_plain(statement: dict[str, Any], endpoint: Endpoint) -> bool:
    """Whether a statement covers every resource, and every principal or those of the account."""
    is_of_all = _is_of_all(statement.get("Principal"), endpoint)
    return is_of_all and statement.get("Resource") in ("*", ["*"])


def _undecided(statement: dict[str, Any], endpoint: Endpoint) -> list[str] | None:
    """The keys that may meet the condition of a statement or not; None if one does not meet it."""
    account = endpoint.own_account
    context = EACH_CALL.knowing("aws:PrincipalAccount", account) if account else EACH_CALL
    return open_keys(statement.get("Condition"), context)


def _is_of_all(principal: object, endpoint: Endpoint) -> bool:
    """Whether a principal is everybody, or the account.

    To a gateway endpoint, the account stands for its root user alone.
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-s3.html
    """
    if principal == "*":
        return True
    named = as_list(principal.get("AWS")) if isinstance(principal, dict) else []
    if "*" in named:
        return True
    account = endpoint.own_account
    is_own = (one == account or str(one).endswith(f"::{account}:root") for one in named)
    return bool(account) and not endpoint.gateway and any(is_own)
