"""Judge in all worlds: find what holds in each world, and what decides if they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .rules.rule import together
from .worlds import WorldResult, Worlds, deciders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .rules import Finding, Told


class Judgement(NamedTuple):
    """The result of judging a profile or compute in all of its worlds."""

    found: list[Finding]
    """The findings that are certain."""
    decides: list[str]
    """The facts that decide, if it can't be known whether something is wrong."""

    @property
    def verdict(self) -> str:
        if self.found:
            return "not ready"
        return "can't be known" if self.decides else "ready"


def in_its_worlds(worlds: Worlds, find: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return the findings that hold in every world that has their resource.

    The fixes of a finding may differ between these worlds.
    """
    found = together(worlds.in_any(find), _without_fixes)

    def not_found() -> list[Finding]:
        there = {*map(_without_fixes, find())}
        others = (one for one in found if _without_fixes(one) not in there)
        return [one for one in others if one.resources[0].exists]

    results, too_many = worlds.each(not_found) if found else ([], [])
    if too_many or not results:
        return []
    return [one for one in found if all(one not in world.judged for world in results)]


def _without_fixes(finding: Finding) -> Finding:
    return finding._replace(fixes=())


def judged(worlds: Worlds, judge: Callable[[], list[Told]]) -> Judgement:
    """Judge in each world by `judge`.

    Findings that take long to make are made only if something is wrong in every world.
    """
    results, too_many = worlds.each(judge)
    told = [world.judged for world in results]
    if too_many:
        # The deciders of all judged worlds say more than the differences between the worlds.
        in_each = [one for one in told[0] if all(one in each for each in told)] if told else []
        decides = [one for one in in_each if isinstance(one, str)]
        return Judgement([], [*dict.fromkeys((*decides, *too_many))])
    if all(map(_findings_in, told)) and any(callable(one) for each in told for one in each):
        # Each world has something wrong, also one that is not looked at again.
        results, _ = worlds.each(lambda: _with_slow_findings(judge()))
    return _judgement(results)


def _with_slow_findings(told: list[Told]) -> list[Told]:
    """Make the findings that take long to make."""
    return [one for each in told for one in (each() if callable(each) else (each,))]


def _findings_in(told: list[Told]) -> list[Any]:
    return [one for one in told if not isinstance(one, str)]


def _judgement(worlds: list[WorldResult[list[Told]]]) -> Judgement:
    """Combine the results of all worlds. A verdict must hold in all of them.

    If each world has a finding, return the findings of the rules that all worlds have in common, or
    all findings if there is no such rule.
    """
    judgements = [
        Judgement(_findings_in(world.judged), [one for one in world.judged if isinstance(one, str)])
        for world in worlds
    ]
    if all(one.found for one in judgements):
        rules_of = [{finding.rule for finding in one.found} for one in judgements]
        common = set.intersection(*rules_of) if rules_of else set()
        found = [one for each in judgements for one in each.found]
        found = [one for one in found if one.rule in common] or found
        return Judgement(together(found, lambda one: one.place), [])
    decides = [reason for one in judgements if not one.found for reason in one.decides]
    decides += deciders(worlds, [one.verdict for one in judgements])
    return Judgement([], [*dict.fromkeys(decides)])
