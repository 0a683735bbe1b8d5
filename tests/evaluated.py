"""What statements allow by the rules of IAM, as MiniStack's evaluator applies them."""

from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.iam_evaluator import evaluate, parse_policy_document

from .readiness import worlds

Request = tuple[str, str, Mapping[str, object]]
"""An action, a resource, and the condition keys of the call."""
May = Callable[[str, str, Mapping[str, object]], bool]


def evaluated(statements: list[dict[str, Any]]) -> May:
    """What the statements allow. They contain no functions and no variables any more."""
    policy = parse_policy_document({"Version": "2012-10-17", "Statement": statements})

    def may(action: str, resource: str, context: Mapping[str, object]) -> bool:
        known = {name.lower(): value for name, value in context.items()}
        asked = worlds.asks(action, resource, worlds.Request("192.0.2.1", known))
        return bool(evaluate(asked, [policy]).decision == "Allow")

    return may
