"""Writes untrusted texts for a terminal, a shell and Python. Independent of CDK.

Tags, names, documents and templates may contain any text. Code that shows such a text, or puts it
into a line to paste, uses these functions.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.text import Text

COLUMNS: Final = 80
"""The width of a terminal that reports 0 columns, as some do, or none."""
_OBEYED: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""The Unicode categories whose characters a terminal interprets or hides: control and format
characters, including those that change the direction of text, surrogates, and the separators of
lines and paragraphs."""
_PLAIN: Final = re.compile(r"[\w./:=-]+", re.ASCII)
"""Matches a word that no shell changes."""
_QUOTED: Final = re.compile(r"[\w./:=,@+{}\[\]-]+", re.ASCII)
"""Matches a word that no shell changes in double quotes. Without quotes, a comma makes a list in
PowerShell, `@` begins a variable there, and brackets match files. cmd has no single quotes."""


def shown(text: str) -> str:
    """Write a text in one line. Escape characters that a terminal or a browser would interpret."""
    if text.isprintable():
        return text
    return "".join(_escaped(one) if unicodedata.category(one) in _OBEYED else one for one in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 # as Python does


def plainly(text: str, style: str = "") -> Text:
    """Make a text in which rich does not interpret brackets and colons, such as those of ARNs."""
    from rich.text import Text  # noqa: PLC0415 # of an extra

    return Text(text, style, overflow="fold")


def rendered(show: Callable[[Console], None], *, styled: bool | None = None) -> str:
    """Render an answer as rich does for standard output.

    Args:
        show: prints the answer.
        styled: whether it has colors. Default: - where standard output is a terminal
    """
    from rich.console import Console  # noqa: PLC0415 # of an extra

    console = Console(
        force_terminal=styled, highlight=False, markup=False, emoji=False, soft_wrap=True
    )
    console.width = console.width or COLUMNS
    with console.capture() as text:  # rich itself exits with 1 if it can't write
        show(console)
    return text.get()


def fitting(value: str, fault: Callable[[str], str | None], placeholder: str) -> str:
    """Return a value for a line to paste, or a placeholder in its place.

    Args:
        value: the value.
        fault: says why the value is not valid, as `_limits.ROLE.fault` does.
        placeholder: the word to write in place of a value that is not valid, or that the command
            would take for an option. The message around the command must show the value itself.
    """
    return placeholder if value.startswith("-") or fault(value) else value


def word(text: str) -> str:
    """Write a text as one word of a command. Without special characters, it suits any shell."""
    if _PLAIN.fullmatch(text):
        return text
    return f'"{text}"' if _QUOTED.fullmatch(text) else shlex.quote(text)


def in_shell(value: str, fault: Callable[[str], str | None], placeholder: str) -> str:
    """Write a value, or the placeholder that `fitting` returns, as one word of a command."""
    return word(fitting(value, fault, placeholder))


def in_python(value: str) -> str:
    """Write a value as a Python literal, in double quotes unless it contains quotes."""
    written = repr(value)
    return written if {"'", '"'} & {*value} else f'"{written[1:-1]}"'
