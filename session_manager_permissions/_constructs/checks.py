"""Refuse wrong arguments that Python, CDK and CloudFormation would silently accept."""

from __future__ import annotations

import re
from collections.abc import Sequence


def described(value: object) -> str:
    """Return `value` for a message: a construct by its path, all else by type and `repr`."""
    path = getattr(getattr(value, "node", None), "path", None)
    return f"{type(value).__name__} {value!r}" if path is None else f"the construct {path!r}"


def refuse_wrong_type(argument: str, value: object, expected: type) -> None:
    """Refuse a value of another type.

    Raises:
        TypeError: `value` has another type.
    """
    if not isinstance(value, expected):
        raise TypeError(f"{argument} must be a {expected.__name__}, got {described(value)}")


def refuse_no_sequence(argument: str, values: object, what: str) -> None:
    """Refuse a value that is not a sequence, such as a generator, and also refuse a string.

    Raises:
        TypeError: `values` is not a sequence, or is a string.
    """
    if not isinstance(values, Sequence) or isinstance(values, (str, bytes)):
        raise TypeError(f"{argument} must be {what}, got {described(values)}: give a list")


def refuse_wrong_text(argument: str, text: str) -> None:
    """Refuse half of a surrogate pair, which CDK puts into a template as another character.

    Raises:
        TypeError: `text` is not a string.
        ValueError: `text` has half of a surrogate pair.
    """
    refuse_wrong_type(argument, text, str)
    if re.search(r"[\ud800-\udfff]", text):
        raise ValueError(
            f"{argument} {text!r} has half of a surrogate pair, which is not a character: give the "
            "whole character"
        )
