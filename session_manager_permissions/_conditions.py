"""Judge the `Condition` of a statement by what is known of the agent's calls. Knows nothing of CDK.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from ._needs import REQUEST_KEYS
from ._patterns import UNKNOWN, any_matches, as_list, matches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MARKS: Final = 0xE000
"""The first of the characters that each stand for a value of the stack that is not known."""


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class RequestContext(NamedTuple):
    """What is known of the agent's calls."""

    values: Mapping[str, str]
    """The condition keys whose values are known, by their names in lower case."""
    read: Callable[[object], str] = _as_text
    """Reads a value of a condition as a text, with `UNKNOWN` for what is not known."""

    def knowing(self, key: str, value: str) -> RequestContext:
        """Return the context in which a key has this value as well."""
        return self._replace(values={**self.values, key.lower(): value})


EACH_CALL: Final = RequestContext({key.lower(): value for key, value in REQUEST_KEYS.items()})
"""What is known of each call of each agent."""

_OPERATORS: Final[dict[str, Callable[[str, str], bool | None]]] = {
    "Bool": lambda asked, has: asked.lower() == has.lower(),
    "StringEquals": lambda asked, has: asked == has,
    "StringEqualsIgnoreCase": lambda asked, has: asked.lower() == has.lower(),
    "StringLike": matches,
}
"""The operators that are judged, besides `Null`. Those of texts have a negated form as well."""


def open_keys(condition: object, context: RequestContext = EACH_CALL) -> list[str] | None:
    """Return the keys that may meet a condition or not; None if one certainly does not meet it.

    An empty text stands for a part of the condition that can't be read.
    """
    found: list[str] = []
    for operator, keys in _entries(condition) if condition else ():
        for key, asked in _entries(keys):
            holds = _holds(operator, key, [*map(context.read, as_list(asked))], context)
            if holds is False:
                return None
            if holds is None:
                found.append(key)
    return found


def _entries(written: object) -> list[tuple[str, object]]:
    if not isinstance(written, dict) or not written:
        return [("", {"": []})]
    if any(name.startswith("Fn::") for name in dict.keys(written)):
        return [("", {"": []})]
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
    if operator not in _OPERATORS:
        return None
    if asked == has:
        return True
    return None if _is_open(asked) or _is_open(has) else _OPERATORS[operator](asked, has)


def _is_open(text: str) -> bool:
    """Tell whether a part of a text is known at the deployment or in the request only."""
    return UNKNOWN in text or "${" in text or any(ord(one) >= MARKS for one in text)
