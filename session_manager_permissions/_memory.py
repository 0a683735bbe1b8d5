"""What keeps results, so that each is made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_Made = TypeVar("_Made")


class Memory(Protocol):
    """Keeps what was judged in a network that may be read differently in each world."""

    def once(self, key: Hashable, judge: Callable[[], _Made], /) -> _Made:
        """Return what `judge` returns, judged once in each world in which it may differ."""


class Once:
    """Keeps each result for good, as what is asked about never changes."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """Return what `make` returns, made once for a key."""
        if key not in self._kept:
            self._kept[key] = make()
        kept: _Made = self._kept[key]
        return kept
