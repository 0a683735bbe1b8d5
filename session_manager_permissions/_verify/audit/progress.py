"""Show the progress of the audit and the remaining time on standard error, if it is a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TextIO

from session_manager_permissions._verify.text import line_of

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS_BETWEEN: Final = 0.2
"""Seconds between two updates of the line."""
_MINUTE: Final = 60


class Progress:
    """A line in the terminal, which each update overwrites."""

    def __init__(self, stream: TextIO | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the stream, which is written to if it is a terminal."""
        self._tell = line_of(stream)
        self._clock = clock
        self._started: float | None = None
        self._shown_at = 0.0

    def listed(self, done: int, total: int) -> None:
        """Tell in how many regions the nodes are listed."""
        self._tell(f"listed the instances of {done} of {total} regions")

    def judged(self, done: int, total: int) -> None:
        """Tell how many nodes are judged, and about how long the others take."""
        now = self._clock()
        if self._started is None:
            self._started = now
        if done == total or now - self._shown_at >= _SECONDS_BETWEEN:
            self._shown_at = now
            left = (now - self._started) / done * (total - done)
            self._tell(f"checked {done:,} of {total:,} nodes, {_in_words(left)} left")

    def end(self) -> None:
        """Remove the line."""
        self._tell("")


def _in_words(seconds: float) -> str:
    return f"about {seconds:.0f} s" if seconds < _MINUTE else f"about {seconds / _MINUTE:.0f} min"
