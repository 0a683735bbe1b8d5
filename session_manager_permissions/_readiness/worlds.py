"""Enumerate the worlds of an assembly: the deployments that may lead to different verdicts.

There is no list of the conditions that matter. The code that judges reads templates, and asks the
world questions, such as whether a condition holds. A question that the world has not decided yet
splits it into two worlds, and each is judged. So only questions that matter are asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

MAX_WORLDS: Final = 64
"""The most worlds that are judged. If there are more, the answer can't be known."""

_Judged = TypeVar("_Judged")
_YES: Final = frozenset({"yes"})
_YES_OR_NO: Final = frozenset({"yes", "no"})


class NoSuchDeployment(Exception):  # noqa: N818 # no error: it ends a world
    """CloudFormation would refuse the deployment of this world, or there is nothing to judge."""


def only_if(holds: object) -> None:
    """End the world that is judged unless something holds in it.

    CloudFormation refuses to deploy a reference to a resource that is not deployed, for example.
    """
    if not holds:
        raise NoSuchDeployment


@dataclass(frozen=True, eq=False)
class WorldQuestion:
    """The question whether a variable, such as a parameter, has one of some values."""

    variable: Hashable
    values: frozenset[str]
    allowed: frozenset[str] | None
    """All values that the variable can have; None if it can have any value."""
    decider: str
    """What decides, as a noun of a message: "the condition 'IsProduction'"."""


@dataclass(slots=True)  # which Python 3.10 lets be generic, unlike a NamedTuple
class WorldResult(Generic[_Judged]):
    """What was judged in one world, and the answers that define the world."""

    answers: Sequence[tuple[WorldQuestion, bool]]
    """The questions that the world decides, in the order in which they were asked."""
    judged: _Judged


class _World:
    """The world that is judged."""

    __slots__ = ("_values", "_wanted", "answers", "others")

    def __init__(self, wanted: tuple[bool, ...] | None = None) -> None:
        self._wanted = wanted
        """The answers to the first open questions; None outside of all worlds."""
        self.answers: list[tuple[WorldQuestion, bool]] = []
        self.others: list[tuple[bool, ...]] = []
        """The first answers of each other world: those of this world up to a question, then no."""
        self._values: dict[Hashable, tuple[frozenset[str] | None, frozenset[str]]] = {}
        """The values that each variable may still have, None for any, and the excluded values."""

    def answer(self, question: WorldQuestion) -> bool:
        may_be, is_not = self._values.get(question.variable, (question.allowed, frozenset()))
        within = question.values - is_not if may_be is None else question.values & may_be
        if not within or within == may_be:
            return bool(within)
        assert self._wanted is not None, question.decider  # noqa: S101 # only a world is asked
        wanted = self._wanted[len(self.answers) :]
        if not wanted:
            self.others.append((*[one for _, one in self.answers], False))
        answer = wanted[0] if wanted else True
        self.answers.append((question, answer))
        if answer:
            may_be = within
        elif may_be is None:
            is_not |= within
        else:
            may_be -= within
        self._values[question.variable] = may_be, is_not
        return answer


class Worlds:
    """Judges in each world. A part that several worlds or judgements share is judged once."""

    def __init__(self) -> None:
        self._current = _World()
        self._trees: dict[Hashable, Any] = {}
        """The results of `once`, each as a tree by the answers of the world."""
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

    def each(self, judge: Callable[[], _Judged]) -> tuple[list[WorldResult[_Judged]], list[str]]:
        """Judge in each world. `judge` is called once for each, and asks the questions.

        Returns:
            The result of each world. If there are more than `MAX_WORLDS`, only some are judged, and
            the second value names what distinguishes the worlds, as nouns of a message.
        """
        outer = self._current
        found: list[WorldResult[_Judged]] = []
        left: list[tuple[bool, ...]] = [()]
        several: list[_World] = []
        try:
            while left:
                world = self._current = _World(left.pop())
                try:
                    judged = judge()
                except NoSuchDeployment:
                    pass
                else:
                    found.append(WorldResult(world.answers, judged))
                if not world.answers:
                    break  # there is only one world
                several.append(world)
                left += world.others
                if world.others and len(several) + len(left) > MAX_WORLDS:
                    asked = [one.decider for each in several for one, _ in each.answers]
                    return found, [*dict.fromkeys(asked)]
        finally:
            self._current = outer
        return found, []

    def in_any(self, find: Callable[[], Iterable[_Judged]]) -> list[_Judged]:
        """Return what `find` finds in at least one world.

        If there are too many worlds, only some of them are looked at.
        """
        results, _ = self.each(lambda: [*find()])
        return [*dict.fromkeys(one for world in results for one in world.judged)]

    def in_all(self, find: Callable[[], Iterable[_Judged]]) -> list[_Judged]:
        """Return what `find` finds in every world.

        If there are too many worlds, only some of them are looked at.
        """
        results, _ = self.each(lambda: [*find()])
        found = results[0].judged if results else []
        return [one for one in found if all(one in world.judged for world in results)]

    def once(self, key: Hashable, judge: Callable[[], _Judged]) -> _Judged:
        """Return the result of `judge`, which is called for all worlds at the first use of the key.

        The world is asked only the questions whose answers change the result. If `judge` uses a
        value that was read in one world, the key has to contain that value.
        """
        if key in self._trees:
            tree = self._trees[key]
        else:
            worlds, too_many = self.each(judge)
            tree = self._trees[key] = _TOO_MANY if too_many else _tree(worlds)
        if tree is _TOO_MANY:
            return judge()
        while type(tree) is _Choice:
            tree = tree.yes if self._current.answer(tree.question) else tree.no
        if tree is _NO_WORLD:
            raise NoSuchDeployment
        return tree[0]  # type: ignore[no-any-return]


class _Choice(NamedTuple):
    """A question whose answer changes the result, and what was judged after each answer."""

    question: WorldQuestion
    yes: Any
    no: Any


_NO_WORLD: Final = ("no such deployment",)
_TOO_MANY: Final = ("too many worlds to judge at once",)


def _tree(worlds: list[WorldResult[Any]], depth: int = 0) -> Any:  # noqa: ANN401
    """Return a tree of the results of worlds, by the questions whose answers change the result."""
    if not worlds:
        return _NO_WORLD
    first = worlds[0]
    if not first.answers[depth:]:
        return (first.judged,)
    yes = _tree([one for one in worlds if one.answers[depth][1]], depth + 1)
    no = _tree([one for one in worlds if not one.answers[depth][1]], depth + 1)
    return yes if yes == no else _Choice(first.answers[depth][0], yes, no)


def deciders(worlds: list[WorldResult[Any]], verdicts: Sequence[Hashable]) -> Iterator[str]:
    """Yield the deciders of the questions that separate worlds with different verdicts."""
    by_start: dict[tuple[bool, ...], tuple[str, set[Hashable], set[Hashable]]] = {}
    for world, verdict in zip(worlds, verdicts, strict=True):
        start: tuple[bool, ...] = ()
        for question, answer in world.answers:
            _, *sides = by_start.setdefault(start, (question.decider, set(), set()))
            sides[answer].add(verdict)
            start = (*start, answer)
    yield from (one for one, no, yes in by_start.values() if no and yes and no != yes)
