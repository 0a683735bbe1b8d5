"""Tell whether the trust policy of a role lets an AWS service assume it. Knows nothing of CDK.

The readiness check asks about the documents of templates, and the command about those of the live
account.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from ._conditions import NO_CONTEXT, holds
from ._patterns import UNKNOWN, all_hold, any_matches, as_list, covers_action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._conditions import RequestContext

EC2: Final = "ec2.amazonaws.com"
"""The service that assumes the role of an instance profile."""
SYSTEMS_MANAGER: Final = "ssm.amazonaws.com"
"""The service that assumes the role of a hybrid node, and of Default Host Management."""

_ASSUME: Final = "sts:assumerole"
_SUFFIXES: Final = ("amazonaws.com", "amazonaws.com.cn", "${AWS::URLSuffix}")


class Trust(NamedTuple):
    """Whether a service may assume a role, and why."""

    answer: Literal["allowed", "denied", "unknown"]
    why: str
    """A clause, without a full stop."""
    by_deny: bool = False
    """Whether a Deny says no, which no Allow overrides."""


def trust(document: object, service: str, context: RequestContext = NO_CONTEXT) -> Trust:
    """Tell whether a trust policy lets a service assume its role.

    A statement with a condition, and a part that can't be read, leave the answer unknown unless
    another statement decides. A matching `Deny` overrides every `Allow`.

    Args:
        document: the policy, `AssumeRolePolicyDocument`. A text in it may have a NUL character in
            place of what only the deployment knows.
        service: `EC2` or `SYSTEMS_MANAGER`. The name with the suffix of another partition, or with
            `${AWS::URLSuffix}`, is the same service.
        context: what is known of the condition keys of its call. Default: - nothing
    """
    written = document.get("Statement") if isinstance(document, dict) else None
    if written is None:
        return Trust("unknown", "the trust policy can't be read")
    by_service = context.knowing({"aws:PrincipalIsAWSService": "true"})
    judged = [_applies(entry, service, by_service) for entry in as_list(written)]
    allows = [applies for effect, applies in judged if effect != "Deny"]
    denies = [applies for effect, applies in judged if effect != "Allow"]
    if True in denies:
        why = f"a Deny of the trust policy keeps {service} from assuming the role"
        return Trust("denied", why, by_deny=True)
    if True not in allows and None not in allows:
        return Trust("denied", f"no statement of the trust policy lets {service} assume the role")
    if True in allows and None not in denies:
        return Trust("allowed", f"the trust policy lets {service} assume the role")
    return Trust(
        "unknown",
        f"a condition, or a part of the trust policy that can't be read, decides whether {service} "
        "may assume the role",
    )


def _applies(
    entry: object, service: str, context: RequestContext
) -> tuple[str | None, bool | None]:
    """Tell the effect of a statement, and whether it applies to the service; None if unknown."""
    if not isinstance(entry, dict) or entry.get("Effect") not in ("Allow", "Deny"):
        return None, None
    applies = all_hold(
        covers_action(entry, _ASSUME),
        _on_principal(entry, service),
        holds(entry.get("Condition"), context),
    )
    return entry["Effect"], applies


def _on_principal(entry: Mapping[str, Any], service: str) -> bool | None:
    if "NotPrincipal" in entry:
        excluded = _is_named(entry["NotPrincipal"], service)
        return False if excluded else None
    named = _is_named(entry.get("Principal"), service)
    if named is None and entry.get("Principal") == "*" and entry.get("Effect") == "Deny":
        return True
    return named


def _is_named(principal: object, service: str) -> bool | None:
    """Tell whether a `Principal` names the service; None for `*`, which may include it."""
    if principal == "*" or not isinstance(principal, dict):
        return None
    if not {*principal} <= {"AWS", "CanonicalUser", "Federated", "Service"}:
        return None  # an intrinsic function
    of_services = (_is_service(name, service) for name in as_list(principal.get("Service", [])))
    everybody = (None for name in as_list(principal.get("AWS", [])) if name == "*")
    return any_matches((*of_services, *everybody))


def _is_service(name: object, service: str) -> bool | None:
    if not isinstance(name, str) or name == "*":
        return None
    prefix = service.partition(".")[0] + "."
    if name in {f"{prefix}{suffix}" for suffix in _SUFFIXES}:
        return True
    known = name.partition(UNKNOWN)[0]
    if known != name:
        return None if prefix.startswith(known) or known.startswith(prefix) else False
    return None if name.startswith(prefix) and name.count(".") > 1 else False
