"""Does the policy of a VPC endpoint let the agent's calls pass?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _needs
from session_manager_permissions._conditions import EACH_CALL, of_principal
from session_manager_permissions._evaluation import Answer, Request, evaluate, names_role
from session_manager_permissions._patterns import UNKNOWN, as_list

from .facts import Fact, Unknown
from .model import Endpoint, Placement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOBODY: Final = Placement(None)
"""The caller of whom nothing is known."""

ACTIONS: Final = {
    "ssm": _needs.REGISTRATION.actions,
    "ssmmessages": _needs.CHANNELS.actions,
    "kms": _needs.decrypt("*", sessions_only=False).actions,
    "logs": _needs.WRITE_LOG,
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
    policy = endpoint.policy if isinstance(endpoint.policy, dict) else {}
    context = of_principal(caller.principal) if caller.principal else EACH_CALL
    if endpoint.own_account:
        context = context.knowing({"aws:PrincipalAccount": endpoint.own_account})
    resources = dict(caller.resources)
    requests = [
        Request(
            action,
            partial(_is_about, endpoint, caller.principal),
            context,
            resources.get(action, UNKNOWN),
        )
        for action in actions
    ]
    statements = as_list(policy.get("Statement"))
    strictest = max(evaluate(statements, request).answer for request in requests)
    if strictest is Answer.UNKNOWN:
        return Unknown(f"the policy of the endpoint {endpoint.name!r}")
    return strictest is Answer.ALLOWED


def _is_about(endpoint: Endpoint, role: str, statement: Mapping[str, Any]) -> bool | None:
    """Whether a statement is about everybody, the account, or the role.

    To a gateway endpoint, the account stands for its root user alone.
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-s3.html
    """
    principal = statement.get("Principal")
    if endpoint.gateway:
        return names_role(principal, "")
    return names_role(principal, role, endpoint.own_account)
