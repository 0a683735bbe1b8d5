"""Facts that are yes, no or unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable


@dataclass(frozen=True)
class Unknown:
    """A fact that the reader can't tell; two that are equal are the same value."""

    decides: str
    """What decides it, as a noun of a message: "the parameter 'VpcId'"."""
    conditions: frozenset[Hashable] = frozenset()
    """The conditions that it depends on and nothing else: where all of them hold, it is yes."""


Fact = bool | Unknown


def any_of(facts: Iterable[Fact]) -> Fact:
    """Yes if one of the facts is yes; no if all are no."""
    answer: Fact = False
    for fact in facts:
        if fact is True:
            return True
        if isinstance(fact, Unknown) and answer is False:
            answer = fact
    return answer


def all_of(facts: Iterable[Fact]) -> Fact:
    """Yes if all of the facts are yes; no if one is no."""
    answer: Fact = True
    for fact in facts:
        if fact is False:
            return False
        if isinstance(fact, Unknown) and answer is True:
            answer = fact
    return answer
