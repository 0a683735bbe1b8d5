"""Judge the `Condition` of a statement by what is known of the agent's calls.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions._needs import REQUEST_KEYS
from session_manager_permissions._patterns import UNKNOWN, any_matches, matches

from .templates.functions import is_function, listed, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class RequestContext(NamedTuple):
    """What is known of the agent's calls."""

    values: Mapping[str, str]
    """The condition keys whose values are known, by their names in lower case."""
    read: Callable[[object], str] = text
    """Reads a value of a condition as a text, with `UNKNOWN` for what is not known."""


REQUEST_CONTEXT: Final = RequestContext({key.lower(): value for key, value in REQUEST_KEYS.items()})
"""What is known of each call of each agent."""

MARKS: Final = 0xE000
"""The first of the characters that each stand for a value of the stack that is not known."""

_OPERATORS: Final[dict[str, Callable[[str, str], bool | None]]] = {
    "Bool": lambda asked, has: asked.lower() == has.lower(),
    "StringEquals": lambda asked, has: asked == has,
    "StringEqualsIgnoreCase": lambda asked, has: asked.lower() == has.lower(),
    "StringLike": matches,
}
"""The operators that are judged, besides `Null`. Those of texts have a negated form as well."""


def open_keys(condition: object, context: RequestContext) -> list[str] | None:
    """Return the keys that may meet a condition or not; None if one certainly does not meet it.

    An empty text stands for a part of the condition that can't be read.
    """
    found: list[str] = []
    for operator, keys in _entries(condition or {}):
        for key, asked in _entries(keys):
            holds = _holds(operator, key, [*map(context.read, listed(asked))], context)
            if holds is False:
                return None
            if holds is None:
                found.append(key)
    return found


def _entries(written: object) -> list[tuple[str, object]]:
    if not isinstance(written, dict) or is_function(written):
        return [("", {"": None})]
    return [*written.items()]


def _holds(operator: str, key: str, asked: list[str], context: RequestContext) -> bool | None:
    has = context.values.get(key.lower())
    if has is None or not asked:
        return None
    if operator == "Null":
        return any_matches([_compared("Bool", one, "false") for one in asked])
    name = operator.removesuffix("IfExists")
    compared = [_compared(name.replace("Not", "", 1), one, has) for one in asked]
    return any_matches(compared, negated="Not" in name)


def _compared(operator: str, asked: str, has: str) -> bool | None:
    """Tell whether the value that a key has is one that is asked for."""
    if operator not in _OPERATORS or UNKNOWN in asked or "${" in asked:
        return None
    if asked != has and any(ord(one) >= MARKS for one in asked + has):
        return None
    return _OPERATORS[operator](asked, has)
