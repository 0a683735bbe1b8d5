"""What the name of a role may be, where a template gives it, or where CloudFormation makes it."""

from __future__ import annotations

import re
from typing import Final

from .templates.conditions import certainly_differ, without_the_same
from .templates.model import Resource, ReturnValue, Value


def role_in(name: Value) -> Resource | None:
    """Return the role of the app that a value refers to."""
    match name:
        case (ReturnValue(resource, ""),) if resource.type == "AWS::IAM::Role":
            return resource
    return None


def may_be_named(role: Resource, name: Value | None, other: Value) -> bool:
    """Tell whether `other` may be the name of a role. If `name` is None, its name is generated.

    IAM does not allow two names that differ only in case.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    if any(isinstance(part, ReturnValue) and part.resource is role for part in other):
        return True
    if name is None:
        return _may_be_generated(role, other)
    pair = (tuple(folded(part) or part for part in value) for value in (name, other))
    return not certainly_differ(*without_the_same(*pair))


def _may_be_generated(role: Resource, other: Value) -> bool:
    """Tell whether `other` may be a name that CloudFormation generates: `STACK-LOGICALID-RANDOM`.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
    """
    if not other:
        return False
    head, tail = folded(other[0]), folded(other[-1])
    stack = role.template.stack.name.casefold()[: min(len(head), _SURELY_KEPT)]
    is_whole = len(other) == 1 and tail != ""
    if (is_whole or "-" in tail) and not re.search("-[a-z0-9]{8,}$", tail):
        return False
    return head.startswith(stack)


_SURELY_KEPT: Final = 8  # characters of a stack's name, which CloudFormation may shorten


def folded(part: object) -> str:
    return part.casefold() if isinstance(part, str) else ""
