"""The conditions of templates, in the world that is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .functions import intrinsic
from .model import Unresolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from session_manager_permissions._readiness.worlds import Worlds

    from .model import Template, Value


class Conditions:
    """Evaluates the conditions of templates in the world that is judged."""

    def __init__(self, worlds: Worlds, value: Callable[[Template, object], Value]) -> None:
        self._worlds = worlds
        self._value = value
        self._evaluating: set[tuple[Template, str]] = set()

    def holds(self, template: Template, name: object) -> bool:
        """Tell whether a condition of a template holds; ask the world if that is open."""
        key = template, str(name)
        # CloudFormation refuses a condition that refers to itself.
        if key in self._evaluating:
            return False
        return self._worlds.once(("condition", *key), lambda: self._of_name(*key))

    def _of_name(self, template: Template, name: str) -> bool:
        key = template, name
        self._evaluating.add(key)
        try:
            return self._of(template, template.conditions.get(name), name)
        finally:
            self._evaluating.remove(key)

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
    pairs = [[*one], [*other]]
    for end in (0, -1):
        while all(pairs):
            first, second = (parts[end] for parts in pairs)
            if first != second:
                if isinstance(first, str) and isinstance(second, str):
                    _cut(pairs, first, second, end)
                break
            for parts in pairs:
                del parts[end]
    return tuple(pairs[0]), tuple(pairs[1])


def _cut(pairs: list[list[Any]], first: str, second: str, end: int) -> None:
    """Take the shorter of two texts from both ends that are alike."""
    short = min(first, second, key=len)
    alike = str.startswith if end == 0 else str.endswith
    if not (alike(first, short) and alike(second, short)):
        return
    for parts, whole in zip(pairs, (first, second), strict=True):
        rest = whole[len(short) :] if end == 0 else whole[: len(whole) - len(short)]
        parts[end] = rest
        if not rest:
            del parts[end]
