"""Caches, which compute each result only once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_Made = TypeVar("_Made")


class Memory(Protocol):
    """Keeps the results of judging a network, which may differ between worlds."""

    def once(self, key: Hashable, judge: Callable[[], _Made], /) -> _Made:
        """Return the result of `judge`, which is called once for each world that may differ."""


class Once:
    """Keeps each result permanently, as the subject never changes."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """Return the result of `make`, which is called once for a key."""
        if key not in self._kept:
            self._kept[key] = make()
        kept: _Made = self._kept[key]
        return kept
