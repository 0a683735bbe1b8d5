"""Tell whether the trust policy of a role lets an AWS service assume it. Independent of CDK.

The readiness check uses it for trust policies in templates, and the command for trust policies of
the live account.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from ._conditions import NO_CONTEXT, RequestContext
from ._evaluation import Answer, Request, evaluate, principals
from ._patterns import UNKNOWN, any_matches, as_list

if TYPE_CHECKING:
    from collections.abc import Mapping

EC2: Final = "ec2.amazonaws.com"
"""The service that assumes the role of an instance profile."""
SYSTEMS_MANAGER: Final = "ssm.amazonaws.com"
"""The service that assumes the role of a hybrid node, or of Default Host Management."""

_SUFFIXES: Final = (
    *("amazonaws.com", "amazonaws.com.cn", "c2s.ic.gov", "sc2s.sgov.gov"),
    "${AWS::URLSuffix}",
)
"""The suffixes that the name of a service may have.

https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/region-info/lib/default.ts
"""


class Trust(NamedTuple):
    """Whether a service may assume a role, and why."""

    answer: Literal["allowed", "denied", "unknown"]
    why: str
    """A clause, without a full stop."""
    by_deny: bool = False
    """Whether a Deny is the reason, which no Allow overrides."""


def ec2_in(partition: str) -> str:
    """Return the name of EC2 in the trust policies of a partition.

    https://docs.amazonaws.cn/en_us/aws/latest/userguide/iam.html
    """
    return f"{EC2}.cn" if partition == "aws-cn" else EC2


def trust(document: object, service: str, context: RequestContext = NO_CONTEXT) -> Trust:
    """Tell whether a trust policy lets a service assume its role.

    If a statement has a condition, or a part can't be read, the answer is unknown, unless another
    statement decides. A matching `Deny` overrides every `Allow`.

    Args:
        document: the policy, `AssumeRolePolicyDocument`. In its texts, a NUL character stands for a
            part that only the deployment knows.
        service: `EC2` or `SYSTEMS_MANAGER`. The name with the suffix of another partition, or with
            `${AWS::URLSuffix}`, is the same service.
        context: what is known of the condition keys of its call. Default: - nothing
    """
    written = document.get("Statement") if isinstance(document, dict) else None
    if written is None:
        return Trust("unknown", "the trust policy can't be read")
    by_service = context.knowing({"aws:PrincipalIsAWSService": "true"})
    if service != SYSTEMS_MANAGER:  # EC2 sends no external id
        by_service = by_service._replace(lacks=frozenset({"sts:externalid"}))
    request = Request("sts:assumerole", partial(_is_about, service), by_service)
    match evaluate(as_list(written), request).answer:
        case Answer.EXPLICIT_DENY:
            why = f"a Deny of the trust policy keeps {service} from assuming the role"
            return Trust("denied", why, by_deny=True)
        case Answer.IMPLICIT_DENY:
            why = f"no statement of the trust policy lets {service} assume the role"
            return Trust("denied", why)
        case Answer.ALLOWED:
            return Trust("allowed", f"the trust policy lets {service} assume the role")
    return Trust(
        "unknown",
        f"a condition, or a part of the trust policy that can't be read, decides whether {service} "
        "may assume the role",
    )


def _is_about(service: str, statement: Mapping[str, Any]) -> bool | None:
    if "NotPrincipal" in statement:
        return False if _is_named(statement["NotPrincipal"], service) else None
    principal = statement.get("Principal")
    if principal == "*" and statement.get("Effect") == "Deny":
        return True
    return _is_named(principal, service)


def _is_named(principal: object, service: str) -> bool | None:
    """Tell whether a `Principal` names the service; None for `*`, which may include services."""
    of_services = (_is_service(name, service) for name in principals(principal, "Service"))
    everybody = (None for name in principals(principal, "AWS") if name == "*")
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
