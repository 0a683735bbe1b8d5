"""The options that the commands share, the checks of their values, and the extras they need."""

from __future__ import annotations

import argparse
import json
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from session_manager_permissions import _limits

from .asking import CannotAsk
from .text import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_Shape = TypeVar("_Shape")


def checked(fault: Callable[[str], str | None]) -> Callable[[str], str]:
    """Make an argparse type that refuses a text for which `fault` returns a reason."""

    def check(text: str) -> str:
        if found := fault(text):
            raise argparse.ArgumentTypeError(f"{text!r} {found}")
        return text

    return check


def add_option(
    to: argparse._ActionsContainer,
    flag: str,
    metavar: str,
    help_text: str,
    fault: Callable[[str], str | None] = lambda _: None,
    **more: Any,  # noqa: ANN401 # as argparse takes it
) -> None:
    """Add an option with a value.

    Args:
        to: the group that it is listed in.
        flag: the option, such as `--key`.
        metavar: the name of its value in the help.
        help_text: the description in the help.
        fault: says what is wrong with a value, or None. Default: - every value is valid
        more: other arguments of argparse's `add_argument`.
    """
    to.add_argument(flag, metavar=metavar, help=help_text, type=checked(fault), **more)


def add_flag(to: argparse._ActionsContainer, flag: str, help_text: str) -> None:
    """Add an option without a value."""
    to.add_argument(flag, action="store_true", help=help_text)


def document_fault(name_or_arn: str) -> str | None:
    """Say why a text is neither the name of a document nor the ARN of a shared document."""
    arn = re.fullmatch(r"arn:[\w-]+:ssm:[\w-]+:\d{12}:document/(.*)", name_or_arn, re.ASCII)
    return _limits.DOCUMENT.fault(arn[1] if arn else name_or_arn)


MOST_BYTES: Final = 256 * 2**20
"""The largest file that is read. The audit of 100,000 nodes has about a third of this size."""
EXTRAS: Final = {"table": ("rich",), "json": (), "html": ("jinja2",)}
"""The modules that each form of the answer needs."""


def add_output(to: argparse._ActionsContainer, forms: Iterable[str]) -> None:
    """Add the option for the form of the answer, of which a table is the default."""
    form_help = "the form of the answer (default: %(default)s)"
    to.add_argument("--output", choices=[*forms], default="table", help=form_help)


def add_key_and_bucket(to: argparse._ArgumentGroup) -> None:
    """Add the options that `verify` and `policy` share: the keys and the log bucket."""
    key_help = (
        "the KMS key, or alias, that encrypts sessions; repeat the option for the key of each "
        "region"
    )
    add_option(to, "--key", "ARN", key_help, _limits.key_fault, action="append", default=[])
    add_option(to, "--log-bucket", "BUCKET", "the S3 bucket for session logs", _limits.BUCKET.fault)
    prefix_help = "the key prefix of the logs in the bucket"
    add_option(to, "--log-prefix", "PREFIX", prefix_help, _limits.prefix_fault)
    bucket_key_help = "the KMS key, or alias, that encrypts the bucket"
    add_option(to, "--log-bucket-key", "ARN", bucket_key_help, _limits.key_fault)


def import_extras(modules: Iterable[str], extra: str = "verify") -> None:
    """Import modules of an extra, or say how to install it."""
    try:
        for module in modules:
            import_module(module)
    except ImportError as error:
        install = f"pip install '{PROGRAM}[{extra}]'"
        raise CannotAsk(f"{error.name} is not installed: {install}") from None


def read_json(path: str, option: str, give: str) -> Callable[[type[_Shape]], _Shape]:
    """Read a JSON file, and return a function that converts its content to a type.

    Args:
        path: the file.
        option: the option that names it, for the errors.
        give: what to give instead, for the errors.

    Returns:
        A function that takes a `TypedDict`. It leaves out fields that the type does not have, as a
        newer version may have added them. It raises `CannotAsk` if the file lacks a field.

    Raises:
        CannotAsk: the file can't be read, it is too large, or it is not JSON.
    """
    import_extras(["msgspec"])
    import msgspec  # noqa: PLC0415 # of an extra

    where = f"{option} {path}"
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise CannotAsk(f"{where} has more than {MOST_BYTES // 2**20} MiB: {give}")
        written = json.loads(content)
    except OSError as error:
        raise CannotAsk(f"{where} can't be read: {error.strerror}: {give}") from None
    except (RecursionError, ValueError):
        raise CannotAsk(f"{where} is not JSON: {give}") from None

    def typed(shape: type[_Shape]) -> _Shape:
        try:
            return msgspec.convert(written, shape)
        except msgspec.ValidationError as error:
            raise CannotAsk(f"{where} is not the expected JSON: {error}: {give}") from None

    return typed


def refuse(arguments: object, options: Iterable[str], why: str) -> None:
    """Refuse options that are given but not used.

    Args:
        arguments: what the command line says.
        options: the options, each named as its attribute.
        why: the reason and the way out. `{flag}` stands for the option, `{value}` for its value.

    Raises:
        CannotAsk: one of the options is given.
    """
    for option in options:
        if value := getattr(arguments, option):
            flag = f"--{option.replace('_', '-')}"
            raise CannotAsk(f"{flag} {why.format(flag=flag, value=value)}")


def refuse_without_bucket(log_bucket: str | None, arguments: object) -> None:
    """Refuse options about a log bucket, if no bucket is given.

    Raises:
        CannotAsk: a prefix or a key is given, and no bucket.
    """
    if not log_bucket:
        why = "{value} has no bucket: give --log-bucket too"
        refuse(arguments, ("log_prefix", "log_bucket_key"), why)
