"""Facts that are yes, no or unknown."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Unknown:
    """A fact that is not known. Two that are equal are one fact: both are yes, or both are no."""

    decides: str
    """What decides it, as a noun of a message: "the parameter 'VpcId'"."""
    conditions: frozenset[Hashable] = frozenset()
    """If not empty, the conditions that alone decide: the fact is yes where all of them hold."""


Fact = bool | Unknown


def doubts(facts: Iterable[Fact]) -> list[Unknown]:
    """The facts that are unknown."""
    return [fact for fact in facts if isinstance(fact, Unknown)]


def any_of(facts: Iterable[Fact]) -> Fact:
    """Yes if one of the facts is yes; no if all are no."""
    known = [*facts]
    if any(fact is True for fact in known):
        return True
    unknown = doubts(known)
    if unknown[1:]:
        return Unknown(unknown[0].decides)
    return unknown[0] if unknown else False


def all_of(facts: Iterable[Fact]) -> Fact:
    """Yes if all of the facts are yes; no if one is no."""
    known = [*facts]
    if any(fact is False for fact in known):
        return False
    unknown = doubts(known)
    if unknown[1:]:
        on_conditions = all(fact.conditions for fact in unknown)
        conditions = frozenset[Hashable]().union(*(fact.conditions for fact in unknown))
        return Unknown(unknown[0].decides, conditions if on_conditions else frozenset())
    return unknown[0] if unknown else True
