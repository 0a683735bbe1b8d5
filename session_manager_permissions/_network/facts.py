"""Facts that are yes, no or unknown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable


@dataclass(frozen=True)
class Unknown:
    """A fact that is not known. Equal instances are the same fact: both are yes, or both are no."""

    decides: str
    """What decides it, as a noun of a message: "the parameter 'VpcId'"."""


@dataclass(frozen=True)
class UnknownValue(Unknown):
    """A value that is not known. Equal instances are the same value, whatever their names."""

    decides: str = field(compare=False)
    value: Hashable


Fact = bool | Unknown


def doubts(facts: Iterable[Fact]) -> list[Unknown]:
    """The facts that are unknown."""
    return [fact for fact in facts if isinstance(fact, Unknown)]


def any_of(facts: Iterable[Fact]) -> Fact:
    """Yes if one of the facts is yes; no if all are no."""
    return _settled(facts, by=True)


def all_of(facts: Iterable[Fact]) -> Fact:
    """Yes if all of the facts are yes; no if one is no."""
    return _settled(facts, by=False)


def _settled(facts: Iterable[Fact], *, by: bool) -> Fact:
    """Combine facts: `by` if one of them is `by`, else the first unknown fact, else not `by`."""
    opposite: Fact = not by
    found = opposite
    for fact in facts:
        if fact is by:
            return by
        if found is opposite:
            found = fact
    return found
