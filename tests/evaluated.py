"""What statements allow by the rules of IAM, as MiniStack's evaluator has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from .places import ACCOUNT, REGION

Request = tuple[str, str, Mapping[str, object]]
"""An action, a resource, and the condition keys of the call."""
May = Callable[[str, str, Mapping[str, object]], bool]


def evaluated(statements: list[dict[str, Any]], principal: str, user_id: str = "") -> May:
    """What the statements, which have no more functions, let the principal do."""
    document = json.dumps({"Statement": statements, "Version": "2012-10-17"})
    policies = [parse_policy_document(document.replace("${aws:userid}", user_id))]

    def may(action: str, resource: str, context: Mapping[str, object]) -> bool:
        request = EvalContext(
            principal_arn=principal,
            principal_type="User",
            principal_account=ACCOUNT,
            action=action,
            resource_arn=resource,
            region=REGION,
            service_context={name.lower(): value for name, value in context.items()},
        )
        return bool(evaluate(request, policies).decision == "Allow")

    return may
