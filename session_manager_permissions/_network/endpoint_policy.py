"""Does the policy of a VPC endpoint let the agent's calls pass?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._conditions import EACH_CALL
from session_manager_permissions._evaluation import Answer, Request, evaluate, names_role
from session_manager_permissions._needs import REGION_KEY
from session_manager_permissions._patterns import UNKNOWN, as_list

from .facts import Fact, Unknown
from .model import CalledOn, Endpoint, Placement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from session_manager_permissions._conditions import RequestContext

    from .ec2 import Service

NOBODY: Final = Placement(None)
"""The caller of whom nothing is known."""


def of_service(service: Service, calls: Iterable[str]) -> tuple[str, ...]:
    """Return the calls that are of a service."""
    return tuple(one for one in calls if one.startswith(f"{service.name}:"))


def policy_allows(endpoint: Endpoint, calls: Iterable[str], caller: Placement = NOBODY) -> Fact:
    """Whether the policy of an endpoint allows what the agent asks its service for.

    Args:
        endpoint: the endpoint.
        calls: what the agent calls, of this service and of others.
        caller: who asks, and for what. Default: - that is not known, and only what is said of
            every principal and every resource is certain
    """
    if endpoint.policy is None:
        return True
    answers = answers_of(endpoint, of_service(endpoint.service, calls), caller)
    strictest = max(answers.values(), default=Answer.ALLOWED)
    if strictest is Answer.UNKNOWN:
        return Unknown(f"the policy of the endpoint {endpoint.name!r}")
    return strictest is Answer.ALLOWED


def answers_of(endpoint: Endpoint, calls: Iterable[str], caller: Placement) -> dict[str, Answer]:
    """Return what the policy of an endpoint says to each call of its service.

    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
    """
    policy = endpoint.policy if isinstance(endpoint.policy, dict) else {}
    own = {"aws:PrincipalAccount": endpoint.own_account, REGION_KEY: endpoint.region}
    by = caller.principal
    context = (endpoint.context.made_by(by) if by else EACH_CALL).knowing(own)
    is_about = partial(_is_about, endpoint, by)
    known = {one.action: one for one in caller.resources}
    called = (known.get(one, CalledOn(one, UNKNOWN)) for one in calls)
    requests = (Request(one.action, is_about, _of_owner(context, one), one.arn) for one in called)
    statements = as_list(policy.get("Statement"))
    return {one.action: evaluate(statements, one).answer for one in requests}


def _of_owner(context: RequestContext, called: CalledOn) -> RequestContext:
    """Add to the context of a call who owns the resource that it is on, if that is known."""
    if called.account is None:
        return context
    known = {"aws:ResourceAccount": called.account}
    if called.action.startswith("s3:"):
        known["s3:ResourceAccount"] = called.account
    organization = context.values.get("aws:principalorgid")
    if organization and called.account == context.values["aws:principalaccount"]:
        known["aws:ResourceOrgID"] = organization
    return context.knowing(known)


def _is_about(endpoint: Endpoint, role: str, statement: Mapping[str, Any]) -> bool | None:
    """Whether a statement is about everybody, the account, or the role.

    To a gateway endpoint, the account stands for its root user alone.
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-s3.html
    """
    principal = statement.get("Principal")
    if endpoint.gateway:
        return names_role(principal, "")
    return names_role(principal, role, endpoint.own_account)
