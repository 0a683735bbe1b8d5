"""Is an argument of the type that it says? For what would else be taken for something it is not."""

from __future__ import annotations


def refuse_wrong_type(argument: str, value: object, expected: type) -> None:
    """Refuse a value of another type.

    Raises:
        TypeError: `value` is no `expected`.
    """
    if not isinstance(value, expected):
        raise TypeError(
            f"{argument} must be a {expected.__name__}, got {type(value).__name__} {value!r}"
        )
