"""Does a value that was read from JSON have the type that `result.py` declares?"""

from __future__ import annotations

import json
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES: Final = {str: "a string", int: "a whole number", list: "a list", dict: "an object"}


def fault(value: object, declared: Any, at: str = "") -> str | None:  # noqa: ANN401
    """Say where the value differs from the type, or return None.

    Fields that the type does not have are let through: a newer version may have added them.

    Args:
        value: the value.
        declared: a `TypedDict`, a `list`, a `dict`, a `Literal`, `str` or `int`, or one of them or
            None.
        at: the name of the value, for the message.
    """
    kind, arguments = get_origin(declared) or declared, get_args(declared)
    name = at or "it"
    if kind is UnionType:
        return None if value is None else fault(value, arguments[0], at)
    if kind is Literal:
        choices = ", ".join(arguments)
        return None if value in arguments else f"{name} is {_excerpt(value)}, not one of {choices}"
    expected = kind if kind in _NAMES else dict
    if not isinstance(value, expected) or isinstance(value, bool):  # which is a kind of int
        return f"{name} is {_excerpt(value)}, not {_NAMES[expected]}"
    return next(filter(None, _faults_within(value, kind, arguments, at)), None)


def _faults_within(value: Any, kind: Any, arguments: Any, at: str) -> Iterator[str | None]:  # noqa: ANN401
    if kind is list:
        for number, one in enumerate(value):
            yield fault(one, arguments[0], f"{at}[{number}]")
    elif kind is dict:
        for name, one in value.items():
            yield fault(one, arguments[1], f"{at}.{name}")
    elif kind not in _NAMES:
        missing = sorted(kind.__required_keys__ - value.keys())
        if missing:
            yield f"{at or 'it'} has no field {', '.join(missing)}"
        for name, declared in _fields(kind).items():
            if name in value:
                yield fault(value[name], declared, f"{at}.{name}".lstrip("."))


@cache
def _fields(kind: Any) -> dict[str, Any]:  # noqa: ANN401
    return get_type_hints(kind)


def _excerpt(value: object) -> str:
    return json.dumps(value)[:40]
