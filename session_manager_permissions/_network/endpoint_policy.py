"""Does the policy of a VPC endpoint let the agent's calls pass?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._conditions import EACH_CALL, holds, of_principal
from session_manager_permissions._patterns import (
    all_hold,
    any_matches,
    as_list,
    covers_action,
    matches,
)

from .facts import Fact, Unknown, all_of, any_of
from .model import Placement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import Endpoint

NOBODY: Final = Placement(None)
"""The caller of whom nothing is known."""

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


def policy_allows(endpoint: Endpoint, actions: Iterable[str], caller: Placement = NOBODY) -> Fact:
    """Whether the policy of an endpoint allows what the agent asks its service for.

    Args:
        endpoint: the endpoint.
        actions: what the agent asks for.
        caller: who asks, and for what. Default: - that is not known, and only what is said of
            every principal and every resource is certain

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
    resources = dict(caller.resources)
    calls = [_Request(action, caller.principal, resources.get(action, "")) for action in actions]
    return all_of(_statements_allow(statements, call, endpoint, unknown) for call in calls)


class _Request(NamedTuple):
    action: str
    principal: str
    """The ARN of the role, if it is known and signs the call."""
    resource: str
    """The ARN of the resource, if it is known."""


def _statements_allow(
    statements: list[dict[str, Any]], call: _Request, endpoint: Endpoint, unknown: Unknown
) -> Fact:
    facts: dict[str, list[Fact]] = {"Allow": [], "Deny": []}
    for entry in statements:
        applies = _applies(entry, call, endpoint)
        if applies is not False:
            facts[entry["Effect"]].append(applies or unknown)
    allowed, denied = any_of(facts["Allow"]), any_of(facts["Deny"])
    return False if denied is True else all_of((allowed, unknown if denied else True))


def _applies(statement: dict[str, Any], call: _Request, endpoint: Endpoint) -> bool | None:
    return all_hold(
        covers_action(statement, call.action.lower()),
        _covers_principal(statement.get("Principal"), call, endpoint),
        _covers_resource(statement.get("Resource"), call),
        _is_met(statement.get("Condition"), call, endpoint),
    )


def _covers_principal(principal: object, call: _Request, endpoint: Endpoint) -> bool | None:
    """Whether a principal is everybody, the account, or the role.

    To a gateway endpoint, the account stands for its root user alone.
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-s3.html
    """
    if principal == "*":
        return True
    named = as_list(principal.get("AWS", [])) if isinstance(principal, dict) else [None]
    if "*" in named:
        return True
    account = "" if endpoint.gateway else endpoint.own_account
    if account and any(one == account or str(one).endswith(f"::{account}:root") for one in named):
        return True
    if not call.principal or endpoint.gateway:
        return None
    if call.principal in named:
        return True
    is_open = any(not isinstance(one, str) or ":assumed-role/" in one for one in named)
    return None if is_open else False


def _covers_resource(resource: object, call: _Request) -> bool | None:
    patterns = as_list(resource)
    if "*" in patterns:
        return True
    if not call.resource or resource is None:
        return None
    return any_matches([matches(str(one), call.resource) for one in patterns])


def _is_met(condition: object, call: _Request, endpoint: Endpoint) -> bool | None:
    """Whether a condition holds for the role, or for each principal of the account."""
    context = of_principal(call.principal) if call.principal else EACH_CALL
    if endpoint.own_account:
        context = context.knowing({"aws:PrincipalAccount": endpoint.own_account})
    return holds(condition, context)
