"""The conditions of templates, in the world that is judged."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from .functions import intrinsic
from .model import ReturnValue, Template, Unresolved, Value, merged

if TYPE_CHECKING:
    from collections.abc import Callable

    from session_manager_permissions._readiness.worlds import Worlds


class Conditions:
    """Evaluates the conditions of templates in the world that is judged."""

    def __init__(self, worlds: Worlds, value: Callable[[Template, object], Value]) -> None:
        self._worlds = worlds
        self._value = value

    def holds(self, template: Template, name: object) -> bool:
        """Tell whether a condition of a template holds; ask the world if that is open."""
        called = str(name)
        written = name if isinstance(name, dict) else template.conditions.get(called)
        try:
            key = "condition", template, called
            return self._worlds.once(key, lambda: self._of(template, written, called))
        except RecursionError:  # CloudFormation refuses a condition that refers to itself
            return False

    def _of(self, template: Template, written: object, name: str) -> bool:
        match intrinsic(written):
            case "Fn::And", [*several]:
                return all(self._of(template, one, name) for one in several)
            case "Fn::Or", [*several]:
                return any(self._of(template, one, name) for one in several)
            case "Fn::Not", [one]:
                return not self._of(template, one, name)
            case "Fn::Equals", [one, other]:
                values = self._value(template, one), self._value(template, other)
                return self._equal(*values, f"the condition {name!r}")
        match written:
            case {"Condition": str(other)}:
                return self.holds(template, other)
        return self._worlds.is_true(("condition", template, name), f"the condition {name!r}")

    def _equal(self, one: Value, other: Value, decider: str) -> bool:
        one, other = without_the_same(one, other)
        if not one and not other:
            return True
        if certainly_differ(one, other):
            return False
        for unknown, known in ((one, other), (other, one)):
            match unknown, known:
                case (Unresolved() as part,), () | (str(),):
                    text = frozenset({"".join(map(str, known))})
                    return self._worlds.is_one_of(part, text, decider, part.allowed)
        return self._worlds.is_true(("equal", frozenset({one, other})), decider)


def certainly_differ(one: Value, other: Value) -> bool:
    """Tell whether two texts that begin and end differently have different values."""
    match one, other:
        case ((str(), *_), (str(), *_)) | ((*_, str()), (*_, str())):
            return True
        case ((), (*parts,)) | ((*parts,), ()):
            # the text of a resource's reference is never empty
            return not all(isinstance(part, Unresolved) for part in parts)
    return False


def without_the_same(one: Value, other: Value) -> tuple[Value, Value]:
    """Return two texts without what they begin and end with alike."""
    pair = [_characters(one), _characters(other)]
    for _ in range(2):  # the second time from the end
        same = takewhile(lambda both: both[0] == both[1], zip(*pair, strict=False))
        number = len([*same])
        pair = [several[number:][::-1] for several in pair]
    return merged(pair[0]), merged(pair[1])


def _characters(value: Value) -> list[str | ReturnValue | Unresolved]:
    """Return the characters of a value, and the parts of it that are not known."""
    return [one for part in value for one in (part if isinstance(part, str) else (part,))]
