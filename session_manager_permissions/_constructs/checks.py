"""Is an argument of the type that it says, a text for a template, a scope in a stack, a free id?

For what would else be taken for something it is not, or end in an error of JavaScript.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import aws_cdk as cdk
from constructs import Construct

from .tokens import TOKEN, no_token, written

if TYPE_CHECKING:
    from collections.abc import Generator


def described(value: object) -> str:
    """`value` as a message has it: a construct by its path, all else by its type and itself."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    path = getattr(getattr(value, "node", None), "path", None)
    return f"{type(value).__name__} {value!r}" if path is None else f"the construct {path!r}"


def refuse_wrong_type(argument: str, value: object, expected: type) -> None:
    """Refuse a value of another type.

    Raises:
        TypeError: `value` is no `expected`.
    """
    if not isinstance(value, expected):
        raise TypeError(f"{argument} must be a {expected.__name__}, got {described(value)}")


def refuse_class(argument: str, value: object) -> None:
    """Refuse a class where one of its kind belongs: it has the same names, and nothing in them.

    Raises:
        TypeError: `value` is a class.
    """
    if isinstance(value, type):
        raise TypeError(f"{argument} must be a construct, got {described(value)}: make one of it")


def refuse_no_sequence(argument: str, values: object, what: str) -> None:
    """Refuse what is no sequence: one string is many, and a generator is empty once it was read.

    Raises:
        TypeError: `values` is no sequence, or a string.
    """
    if not isinstance(values, Sequence) or isinstance(values, (str, bytes)):
        raise TypeError(f"{argument} must be {what}, got {described(values)}: give a list")


def refuse_wrong_text(argument: str, text: str) -> None:
    """Refuse what is no string, or one that no template can have.

    Raises:
        TypeError: `text` is no string.
        ValueError: it has half a character, or what looks like a token and is none.
    """
    refuse_wrong_type(argument, text, str)
    if re.search(r"[\ud800-\udfff]", text):
        raise ValueError(
            f"{argument} {text!r} has half of a surrogate pair, which is no character: give the "
            "whole character"
        )
    if "#{Token[" in text:
        raise ValueError(
            f"{argument} {text!r} is from a list that only the deployment knows: give "
            "cdk.Fn.select(index, list)"
        )
    if TOKEN.search(text):
        try:
            cdk.Tokenization.reverse_string(text)
        except RuntimeError:
            raise no_token(argument, text) from None


def stack_of(scope: Construct) -> cdk.Stack:
    """The stack that `scope` is in, or is.

    Raises:
        TypeError: `scope` is no construct.
        ValueError: it is in no stack.
    """
    refuse_wrong_type("scope", scope, Construct)
    try:
        return cdk.Stack.of(scope)
    except RuntimeError:
        raise ValueError(
            f"scope {scope.node.path!r} is in no stack: give a stack, or a construct in one"
        ) from None


@contextmanager
def taking_id(scope: Construct, construct_id: str) -> Generator[None, None, None]:
    """Make a construct within; what CDK has against its id is said in the user's terms.

    Raises:
        TypeError: `scope` is no construct, or `construct_id` no string.
        ValueError: it has a token, or CDK refuses it, as where another construct has it; `scope` is
            locked.
    """
    refuse_wrong_type("scope", scope, Construct)
    refuse_wrong_text("construct_id", construct_id)
    if written(construct_id) != construct_id:
        raise ValueError(f"construct_id {construct_id!r} has a token, which no id may: give a name")
    try:
        yield
    except RuntimeError as error:
        if scope.node.locked:
            raise ValueError(
                f"scope {scope.node.path!r} is locked, as CDK does while it synthesizes: make what "
                "is in it before"
            ) from None
        raise ValueError(
            f"construct_id {construct_id!r} can't be had in {scope.node.path!r}: {error}; give "
            "each construct an id of its own"
        ) from None
