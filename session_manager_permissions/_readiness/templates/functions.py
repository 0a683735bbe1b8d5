"""The intrinsic functions of CloudFormation."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeGuard

from session_manager_permissions import _patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNKNOWN: Final = _patterns.UNKNOWN
"""In a text, stands for a part that is only known at deployment."""

NO_VALUE: Final = {"Ref": "AWS::NoValue"}

MACRO: Final = "Fn::Transform"
_INCLUDE: Final = "AWS::Include"
"""The macro that only adds entries."""


def text(value: object) -> str:
    """Return `value` as a text, with `UNKNOWN` for each part that is only known at deployment.

    Does not follow references; `Assembly.text` does.
    """
    if isinstance(value, str):
        return UNKNOWN.join(split_dynamic(value)[::2]) if "{{" in value else value
    match intrinsic(value):
        case "Fn::Join", [separator, [*parts]]:
            return text(text(separator).join(map(text, parts)))
        case "Fn::Sub", argument:
            return text({"Fn::Join": ["", parts_of_sub(argument)]})
    return UNKNOWN


def as_written(value: object) -> object:
    """Return `value` as the template has it, without asking the world."""
    return dict(dict.items(value)) if isinstance(value, dict) else value


def split_dynamic(value: str) -> list[str]:
    """Split a text at its dynamic references. Every second entry of the result is a reference."""
    return _patterns.split_at(value, "{{resolve:", "}}")


def parts_of_sub(argument: object) -> list[object] | None:
    """Return the parts of an `Fn::Sub`, as an `Fn::Join` has them; None if it is malformed."""
    pattern, given = [*_patterns.as_list(argument), {}, {}][:2]
    if not isinstance(pattern, str):
        return None
    parts: list[object] = []
    for place, part in enumerate(_patterns.split_at(pattern, "${", "}")):
        if place % 2 == 0:
            parts.append(part)
        elif part.startswith("!"):
            parts.append(f"${{{part[1:]}}}")
        else:
            name = part.strip()
            reference = {"Fn::GetAtt" if "." in name else "Ref": name}
            parts.append(mapping(given).get(name, reference))
    return parts


def quoted(value: object) -> str:
    """Return a text in quotation marks, with `…` for what is not known; any other value as JSON."""
    known = text(value)
    return json.dumps(value) if known == UNKNOWN else repr(known.replace(UNKNOWN, "…"))


def listed(value: object) -> list[Any]:
    """Return the entries of a list. A value that is not a list counts as a list with one entry."""
    if not isinstance(value, list):
        return [] if value is None or value == NO_VALUE else [value]
    return [one for entry in value for one in listed(entry)]


def shortest(value: object) -> int:
    """Return the least length of `value` as JSON at deployment, without white space."""
    return len(re.sub(r"\s", "", json.dumps(rewritten(value, _shortest), ensure_ascii=False)))


def _shortest(value: object) -> object:
    match intrinsic(value):
        case "Fn::If", [_, *branches]:
            known = [rewritten(one, _shortest) for one in branches]
            return NO_VALUE if NO_VALUE in known else min(known, key=shortest, default="")
    return text(value).replace(UNKNOWN, "")


def rewritten(value: object, read: Callable[[Any], object]) -> object:
    """Return `value` with what `read` returns in place of each intrinsic function and each text.

    Entries that are `AWS::NoValue` after that are left out, as CloudFormation removes them.
    """
    if isinstance(value, dict):
        if is_function(value):
            return value if value == NO_VALUE else read(value)
        entries = {name: rewritten(one, read) for name, one in value.items()}
        return {name: one for name, one in entries.items() if one != NO_VALUE}
    if isinstance(value, list):
        return [one for entry in value if (one := rewritten(entry, read)) != NO_VALUE]
    return read(value) if isinstance(value, str) else value


def intrinsic(value: object) -> tuple[str, Any]:
    """Return the name and the argument of an intrinsic function; else an empty name and None."""
    if isinstance(value, dict) and dict.__len__(value) == 1:
        ((function, argument),) = dict.items(value)
        if function == "Ref":
            return function, argument if isinstance(argument, str) else ""
        if function.startswith("Fn::"):
            return function, value.get(function)
    return "", None


def is_function(value: object) -> bool:
    """Tell whether `value` is an intrinsic function, or a mapping that one may add entries to."""
    if isinstance(value, dict):
        for name in dict.keys(value):
            if name == "Ref" or name.startswith("Fn::"):
                return True
    return False


def is_mapping(value: object) -> TypeGuard[dict[str, Any]]:
    """Tell whether `value` is a mapping of which no function makes an entry."""
    return isinstance(value, dict) and not is_function(value)


def entries(value: object) -> Iterator[dict[str, Any]]:
    """Yield each entry of a list; an empty mapping for an entry that can't be read."""
    return (one if is_mapping(one) else {} for one in listed(value))


def mapping(value: object) -> dict[str, Any]:
    """Return `value` if it is a mapping, else an empty mapping."""
    return value if isinstance(value, dict) else {}


def mappings_in(value: object) -> list[dict[str, Any]]:
    """Return each mapping in `value`, at any depth, the outer ones first."""
    return [one for one in _all_in(value) if isinstance(one, dict)]


def texts_in(value: object) -> list[str]:
    """Return each text in `value`, at any depth, with those of all branches of `Fn::If`."""
    return [one for one in _all_in(value) if isinstance(one, str)]


def _all_in(value: object) -> list[object]:
    values = [value]
    for one in values:  # the loop adds the content of each value to the list
        if type(one) is str:
            continue  # most values are texts
        if isinstance(one, dict):
            values += dict.values(one)
        elif isinstance(one, list):
            values += one
    return values


class Decided(Protocol):
    """Decides how a part of a template is deployed in the world that is judged."""

    holds: Callable[[object], bool]
    """Tells whether a condition holds."""
    entries: Callable[[object], list[Any] | None]
    """Returns an expression for each entry of a list that a function makes.

    Returns None for any other function, and if the number of entries is not known.
    """


class Deployed(dict[str, Any]):
    """A mapping of a template, as it is deployed in the world.

    It has no `Fn::If` and no `AWS::NoValue`, and a function that makes a list is replaced by the
    entries. The world is asked about the conditions of an entry when the entry is read.
    """

    def __init__(self, written: dict[str, Any], by: Decided) -> None:
        super().__init__(written)
        self.by = by
        self._maker = maker_in(written)

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        """Return an entry; the default if the world does not have it."""
        written = self.written(name)
        value = None if written is None else deployed(written, self.by, name)
        return default if value is None or value == NO_VALUE else value

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401
        return deployed(self.written(name), self.by, name)

    def __contains__(self, name: object) -> bool:
        return bool(self.get(str(name), NO_VALUE) != NO_VALUE)

    def __iter__(self) -> Iterator[str]:
        return (name for name in super().__iter__() if name in self)

    def items(self) -> Any:  # noqa: ANN401
        """Return the entries that the world has."""
        return [(name, self[name]) for name in self]

    def written(self, name: str) -> object:
        """Return an entry as the template has it, None if it has none.

        A macro or a loop in the mapping stands for each entry that it may make or change.
        """
        if not self._maker or name in self._maker:
            return super().get(name)
        may_change = MACRO in self._maker and self._maker[MACRO] != _INCLUDE
        return self._maker if may_change else super().get(name, self._maker)


def maker_in(written: dict[str, Any]) -> dict[str, Any]:
    """Return the macro or the loop among the entries of a mapping; an empty mapping without one."""
    for name in dict.keys(written):
        if name == MACRO:
            macro = dict.get(written, name)
            return {name: mapping(macro).get("Name", macro)}
        if name.startswith("Fn::ForEach::"):
            return {name: dict.get(written, name)}
    return {}


def deployed(value: Any, by: Decided, name: str = "") -> Any:  # noqa: ANN401
    """Return a value of a template, with this name in its mapping, as the world has it.

    A list that is the argument of a function stays as it is, as the function itself reads it.
    """
    value = chosen(value, by.holds)
    if type(value) is dict and value != NO_VALUE:
        several = None if name.startswith("Fn::") else by.entries(value)
        value = several or Deployed(value, by)
    if isinstance(value, list):
        return [one for entry in value if (one := deployed(entry, by, name)) != NO_VALUE]
    return value


def chosen(value: Any, holds: Callable[[object], bool]) -> Any:  # noqa: ANN401
    """Return what `Fn::If` chooses in the world; any other value as it is written."""
    while type(value) is dict and len(value) == 1:
        match value.get("Fn::If"):
            case [name, then, otherwise]:
                value = then if then == otherwise or holds(name) else otherwise
            case _:
                break
    return value


class Candidate(NamedTuple):
    """An entry of a list, which may or may not exist in the world."""

    value: Any
    guards: tuple[tuple[object, bool], ...] = ()
    """The conditions on which the entry depends, each with whether it has to hold."""
    holds: Callable[[object], bool] = bool

    @property
    def is_there(self) -> bool:
        """Whether the world has the entry."""
        return all(self.holds(name) is wanted for name, wanted in self.guards)


def values_of(owner: dict[str, Any], name: str) -> list[Any]:
    """Return each value that a list has in any world, without asking the world."""
    if isinstance(owner, Deployed):
        return [one.value for one in candidates(owner, name)]
    return listed(owner.get(name))


def candidates(owner: dict[str, Any], name: str) -> Iterator[Candidate]:
    """Yield the entries that a list has in any world, without asking which ones this world has.

    So a reader of the list can skip entries that do not matter before it asks the world.
    """
    if not isinstance(owner, Deployed):
        yield from map(Candidate, listed(owner.get(name)))
        return
    by = owner.by
    left: list[tuple[Any, tuple[tuple[object, bool], ...]]] = [(owner.written(name), ())]
    while left:
        value, guards = left.pop()
        match intrinsic(value):
            case "Fn::If", [condition, then, otherwise]:
                left.append((otherwise, (*guards, (condition, False))))
                left.append((then, (*guards, (condition, True))))
                continue
        several = value if isinstance(value, list) else by.entries(value)
        if several is not None:
            left += [(one, guards) for one in reversed(several)]
        elif value is not None and value != NO_VALUE:
            yield Candidate(deployed(value, by), guards, by.holds)
