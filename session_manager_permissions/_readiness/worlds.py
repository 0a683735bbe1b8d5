"""Enumerate the worlds of an assembly: the deployments that differ in what is judged.

Nobody lists the conditions that matter. What is judged reads templates, and asks the world what it
needs to know of it, such as whether a condition holds. A question that the world does not decide
yet opens two worlds, and each is judged. So only the questions that reach what is judged are asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

MOST: Final = 64
"""The worlds that are judged; with more, what they decide can't be known."""

_Judged = TypeVar("_Judged")
_YES: Final = frozenset({"yes"})
_YES_OR_NO: Final = frozenset({"yes", "no"})


class NoSuchDeployment(Exception):  # noqa: N818 # no error: it ends a world
    """CloudFormation refuses what this world would deploy, so there is no such world."""


class TooManyWorlds(Exception):  # noqa: N818 # says that something can't be known
    """There are more worlds than are judged."""

    def __init__(self, deciders: list[str], judged: list[Any]) -> None:
        super().__init__()
        self.deciders = deciders
        """What tells the worlds apart, as nouns of a message."""
        self.judged = judged
        """What came of those that were judged."""


@dataclass(frozen=True, eq=False)
class WorldQuestion:
    """Whether a variable has one of these values, such as a parameter."""

    variable: Hashable
    values: frozenset[str]
    allowed: frozenset[str] | None
    """All values that the variable can have; None where it can have any."""
    decider: str
    """What decides, as a noun of a message: "the condition 'IsProduction'"."""


class World(NamedTuple, Generic[_Judged]):
    """What came of one world."""

    answers: tuple[tuple[WorldQuestion, bool], ...]
    """The questions that it decided, in the order in which they were asked."""
    judged: _Judged


class _Current:
    """The world that is judged."""

    def __init__(self, wanted: tuple[bool, ...] | None = None) -> None:
        self.wanted = wanted
        """How to answer the first questions that are open; None outside of all worlds."""
        self.answers: list[tuple[WorldQuestion, bool]] = []
        self._known: dict[WorldQuestion, bool] = {}
        self._values: dict[Hashable, tuple[frozenset[str] | None, frozenset[str]]] = {}
        """The values that each variable may still have, None for any, and those that it has not."""
        self.asked: list[dict[WorldQuestion, bool]] = [{}]
        """All questions, those that were decided before as well, of each part that is judged."""

    def answer(self, question: WorldQuestion) -> bool:
        answer = self._known.get(question)
        if answer is None:
            answer = self._known[question] = self._answer(question)
        self.asked[-1][question] = answer
        return answer

    def _answer(self, question: WorldQuestion) -> bool:
        may_be, is_not = self._values.get(question.variable, (question.allowed, frozenset()))
        within = question.values - is_not
        if may_be is not None:
            within &= may_be
        answer = bool(within)
        if within and within != may_be:
            answer = self._decided(question)
            if answer:
                may_be = within
            elif may_be is None:
                is_not |= within
            else:
                may_be -= within
            self._values[question.variable] = may_be, is_not
        return answer

    def _decided(self, question: WorldQuestion) -> bool:
        assert self.wanted is not None, question.decider  # noqa: S101 # only a world is asked
        number = len(self.answers)
        answer = self.wanted[number] if number < len(self.wanted) else True
        self.answers.append((question, answer))
        return answer


class Worlds:
    """Judges in each world, and what several worlds or judgements share only once."""

    def __init__(self) -> None:
        self._current = _Current()
        self._known: dict[Any, Any] = {}
        self._questions: dict[tuple[Hashable, frozenset[str]], WorldQuestion] = {}

    def is_one_of(
        self,
        variable: Hashable,
        values: frozenset[str],
        decider: str,
        allowed: frozenset[str] | None = None,
    ) -> bool:
        """Ask the world whether a variable has one of these values."""
        key = variable, values
        if key not in self._questions:
            self._questions[key] = WorldQuestion(variable, values, allowed, decider)
        return self._current.answer(self._questions[key])

    def is_true(self, variable: Hashable, decider: str) -> bool:
        """Ask the world about something that is either true or not."""
        return self.is_one_of(variable, _YES, decider, _YES_OR_NO)

    def each(self, judge: Callable[[], _Judged]) -> list[World[_Judged]]:
        """Judge in each world. `judge` is called once for each, and asks the questions.

        Raises:
            TooManyWorlds: there are more than `MOST`.
        """
        outer, found, runs = self._current, list[World[_Judged]](), 0
        left: list[tuple[bool, ...]] = [()]
        deciders: dict[str, None] = {}
        try:
            while left:
                wanted = left.pop()
                world = self._current = _Current(wanted)
                try:
                    judged = judge()
                except NoSuchDeployment:
                    pass
                else:
                    found.append(World(tuple(world.answers), judged))
                answers = tuple(answer for _, answer in world.answers)
                left += [
                    (*answers[:number], not answers[number])
                    for number in range(len(wanted), len(answers))
                ]
                deciders |= {question.decider: None for question, _ in world.answers}
                runs += 1
                if runs + len(left) > MOST:
                    raise TooManyWorlds([*deciders], [world.judged for world in found])
        finally:
            self._current = outer
        return found

    def once(self, key: Hashable, judge: Callable[[], _Judged]) -> _Judged:
        """Return what `judge` returns, judged once for all worlds that answer it the same.

        The answers of `judge` are a tree: at each fork is the question that it asks next.
        """
        place: dict[Any, Any] = self._known
        branch: Any = key
        while (known := place.get(branch)) is not None:
            if type(known) is not _Fork:
                return known[0]  # type: ignore[no-any-return]
            place, branch = known.branches, self._current.answer(known.question)
        asked = self._current.asked
        asked.append({})
        try:
            judged = judge()
        finally:
            answers = asked.pop()
            asked[-1].update(answers)
        place, branch = self._known, key
        for question, answer in answers.items():
            fork = place.setdefault(branch, _Fork(question))
            place, branch = fork.branches, answer
        place[branch] = (judged,)
        return judged


class _Fork:
    """A question, and what was judged after each answer."""

    __slots__ = ("branches", "question")

    def __init__(self, question: WorldQuestion) -> None:
        self.question = question
        self.branches: dict[bool, Any] = {}


def deciders(worlds: list[World[Any]], verdicts: Sequence[Hashable]) -> Iterator[str]:
    """Yield what decides between worlds of different verdicts: the questions that part them."""
    by_start: dict[tuple[bool, ...], tuple[str, set[Hashable], set[Hashable]]] = {}
    for world, verdict in zip(worlds, verdicts, strict=True):
        start: tuple[bool, ...] = ()
        for question, answer in world.answers:
            _, *sides = by_start.setdefault(start, (question.decider, set(), set()))
            sides[answer].add(verdict)
            start = (*start, answer)
    for decider, no, yes in by_start.values():
        if no and yes and no != yes:
            yield decider
