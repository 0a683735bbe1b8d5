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

UNKNOWN_CALLER: Final = Placement(None)
"""Stands for a caller about which nothing is known."""


def calls_of_service(service: Service, calls: Iterable[str]) -> tuple[str, ...]:
    """Return the calls that go to a service, of those given."""
    return tuple(one for one in calls if one.startswith(f"{service.name}:"))


def policy_allows(
    endpoint: Endpoint, calls: Iterable[str], caller: Placement = UNKNOWN_CALLER
) -> Fact:
    """Whether the policy of an endpoint allows the agent's calls to its service.

    Args:
        endpoint: the endpoint.
        calls: what the agent calls, of this service and of others.
        caller: who makes the calls, and on which resources. Default: - not known. Then only
            statements about every principal and every resource are certain
    """
    if endpoint.policy is None:
        return True
    answers = answers_of(endpoint, calls_of_service(endpoint.service, calls), caller)
    strictest = max(answers.values(), default=Answer.ALLOWED)
    if strictest is Answer.UNKNOWN:
        return Unknown(f"the policy of the endpoint {endpoint.name!r}")
    return strictest is Answer.ALLOWED


def answers_of(endpoint: Endpoint, calls: Iterable[str], caller: Placement) -> dict[str, Answer]:
    """Return whether the policy of an endpoint allows each of the calls to its service.

    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
    """
    policy = endpoint.policy if isinstance(endpoint.policy, dict) else {}
    own = {"aws:PrincipalAccount": endpoint.own_account, REGION_KEY: endpoint.region}
    by = caller.principal
    context = (endpoint.context.made_by(by) if by else EACH_CALL).knowing(own)
    is_about = partial(_is_about, endpoint, by)
    known = {one.action: one for one in caller.resources}
    called = (known.get(one, CalledOn(one, UNKNOWN)) for one in calls)
    requests = (Request(one.action, is_about, _with_owner(context, one), one.arn) for one in called)
    statements = as_list(policy.get("Statement"))
    return {one.action: evaluate(statements, one).answer for one in requests}


def _with_owner(context: RequestContext, called: CalledOn) -> RequestContext:
    """Add the owner of a call's resource to the context of the call, if it is known."""
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

    In the policy of a gateway endpoint, the account stands for its root user alone.
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-s3.html
    """
    principal = statement.get("Principal")
    if endpoint.gateway:
        return names_role(principal, "")
    return names_role(principal, role, endpoint.own_account)
