"""Text for a terminal or a page. Some of it comes from the account, such as names of instances."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, Any, Final, TextIO

from session_manager_permissions._quoting import COLUMNS, shown

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM: Final = "session-manager-permissions"
INTERRUPTED: Final = Event()
"""Set once a Ctrl-C has ended a wait of the command."""


def all_shown(value: Any) -> Any:  # noqa: ANN401 # of any shape
    """Return a value of JSON in which each text is written as `shown` does."""
    if isinstance(value, list):
        return [all_shown(one) for one in value]
    if isinstance(value, dict):
        return {name: all_shown(one) for name, one in value.items()}
    return shown(value) if isinstance(value, str) else value


def shown_time(time: str) -> str:
    """Shorten a time such as `2026-11-26T07:20:00Z` to what a reader needs."""
    return f"{time[:16].replace('T', ' ')} UTC"


def say(text: str) -> None:
    """Write a line to standard error. If that is closed, only the exit status tells the result."""
    with suppress(AttributeError, OSError):
        sys.stderr.write(f"{PROGRAM}: {shown(' '.join(text.splitlines()))}\n")


def line_of(stream: TextIO | None) -> Callable[[str], None]:
    """Return a function that overwrites the last line of a stream, if it is a suitable terminal."""

    def tell(text: str) -> None:
        if stream and stream.isatty() and os.environ.get("TERM") != "dumb":
            line = shown(text)[: _columns(stream) - 1]  # the rest would stay in a second line
            stream.write(f"\r\x1b[K{line}")
            stream.flush()

    return tell


def _columns(terminal: TextIO) -> int:
    with suppress(OSError):
        return os.get_terminal_size(terminal.fileno()).columns or COLUMNS
    return COLUMNS
