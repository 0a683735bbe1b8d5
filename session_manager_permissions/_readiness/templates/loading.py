"""Read a file that is a template: JSON, or YAML with the short forms of CloudFormation's functions.

YAML is read as a graph of nodes, and not as Python values: a date stays a text, and each value has
its line. If a key is there twice, the last one counts, in YAML and in JSON, as in CloudFormation.
"""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from .functions import intrinsic

if TYPE_CHECKING:
    from pathlib import Path

_MOST_DEEP: Final = 100  # levels of a template; those below are read as one unknown value
_MOST_VALUES: Final = 1_000_000  # of a template once its aliases are resolved
_MOST_BYTES: Final = 64 * 2**20  # CloudFormation takes 1 MB
_TOO_DEEP: Final = {"Fn::Transform": "too deep to read"}
_INT: Final = re.compile("[-+]?(0|[1-9][0-9]{0,999})")  # Python refuses 4,301 digits
_FLOAT: Final = re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+]?[0-9]+)?")
_CORE: Final = "tag:yaml.org,2002:"


class CannotRead(Exception):  # noqa: N818 # it speaks to the user, as `CannotAsk` does
    """A file is not a template. The message says why, and what to do."""


def load(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the mapping in a file, without what is nested too deep, and the bytes of the file.

    Raises:
        CannotRead: there is no such file, or it is neither JSON nor YAML.
    """
    try:
        written = _bytes(path) if path.is_file() else _bytes_once(path)
    except (OSError, ValueError) as error:
        raise CannotRead(getattr(error, "strerror", None) or str(error)) from None
    if len(written) > _MOST_BYTES:
        raise CannotRead(f"it has more than {_MOST_BYTES // 2**20} MiB")
    found = parsed(written)
    if found is None:
        found = _from_yaml(written)
    return found, written


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES + 1)


_bytes_once: Final = cache(_bytes)
"""Reads a pipe, such as standard input, once: a second reading would find nothing."""


def parsed(written: str | bytes) -> dict[str, Any] | None:
    """Return the mapping in a JSON text, without what is nested too deep; None if it has none."""
    try:
        found = json.loads(written if isinstance(written, str) else written.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return _without_deep_parts(found) if isinstance(found, dict) else None


def as_document(written: Any) -> Any:  # noqa: ANN401 # whatever a template has
    """Return a document of a template, which may be JSON or YAML text, also made by a function."""
    if isinstance(written, str):
        return _document_in(written)
    match intrinsic(written):
        case "Fn::ToJsonString", document:
            return document
        case "Fn::Sub", (str() | [str(), _]) as argument:
            return _substituted(argument) or written
        case "Fn::Join", [str(separator), [*parts]]:
            given = {f"Part{place}": part for place, part in enumerate(parts)}
            texts = (
                part.replace("${", "${!") if isinstance(part, str) else f"${{{name}}}"
                for name, part in given.items()
            )
            return _substituted([separator.join(texts), given]) or written
    return written


def _document_in(written: str) -> dict[str, Any] | None:
    """Return the mapping in a text: in JSON, or in YAML, which Systems Manager accepts too."""
    try:
        return parsed(written) or _from_yaml(written.encode(errors="replace"))
    except CannotRead:
        return None


def _substituted(argument: Any) -> Any:  # noqa: ANN401
    """Return the document that `Fn::Sub` makes: each text in it with a `${` becomes a function.

    In YAML, a text without quotation marks can become a boolean, if the parameters are `true`.
    """
    pattern, *names = argument if isinstance(argument, list) else [argument]
    document = _document_in(pattern)
    if_true = _document_in(re.sub(r"(\$\{[^!}]+\})+", "true", pattern)) or document

    def read(entry: Any, then: Any) -> Any:  # noqa: ANN401
        match entry, then:
            case dict(), dict():
                return {name: read(one, then.get(name, one)) for name, one in entry.items()}
            case list(), list():
                return [read(*both) for both in zip(entry, then, strict=False)]
            case str(), _ if "${" in entry:
                made = {"Fn::Sub": [entry, *names] if names else entry}
                return {"Fn::Select": ["0", [made]]} if then is True else made
        return entry

    return read(document, if_true)


def _without_deep_parts(found: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [found]
    for _ in range(_MOST_DEEP):
        level = [
            one
            for several in level
            for one in (several.values() if type(several) is dict else several)
            if type(one) is dict or type(one) is list
        ]
    for one in level:
        if isinstance(one, list):
            one[:] = [_TOO_DEEP for _ in one]
        else:
            one.clear()
            one.update(_TOO_DEEP)
    return found


def _from_yaml(written: bytes) -> dict[str, Any]:
    try:
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CannotRead("it is not text in UTF-8: convert it") from None
    if not text.strip():
        raise CannotRead("it is empty")
    try:
        if text.lstrip().startswith(("{", "//", "/*")):
            json.loads(text)
        root = _composed(text)
        found = None if root is None else _Values().of(root)[0]
    except json.JSONDecodeError as error:
        raise CannotRead(f"line {error.lineno}: {error.msg}") from None
    except ValueError:
        raise CannotRead("it has a number of too many digits") from None
    except RecursionError:
        raise CannotRead("it is nested too deep") from None
    if not isinstance(found, dict):
        raise CannotRead("it is not a mapping of keys to values")
    return _without_deep_parts(found)


def _composed(text: str) -> Any:  # noqa: ANN401 # PyYAML has no types
    """Return the root node of a YAML text."""
    try:
        import yaml  # noqa: PLC0415 # of an extra
    except ImportError:
        install = "pip install 'session-manager-permissions[check]'"
        raise CannotRead(f"YAML needs PyYAML: {install}") from None
    try:
        return yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise CannotRead(f"line {mark.line + 1}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise CannotRead(" ".join(str(error).split())) from None


class _Values:
    """Turns nodes into values, each once, however many aliases it has."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, int] | None] = {}

    def of(self, node: Any) -> tuple[Any, int]:  # noqa: ANN401 # PyYAML has no types
        """Return the value of a node, and how many values are in it."""
        key = id(node)
        if key not in self._done:
            self._done[key] = None
            self._done[key] = self._value(node)
        done = self._done[key]
        line = node.start_mark.line + 1
        if done is None:
            raise CannotRead(f"line {line}: an alias is within the value that it stands for")
        if done[1] > _MOST_VALUES:
            raise CannotRead(f"line {line}: its aliases make more than {_MOST_VALUES:,} values")
        return done

    def _value(self, node: Any) -> tuple[Any, int]:  # noqa: ANN401
        if node.id == "scalar":
            found, size = _scalar(node), 1
        elif node.id == "sequence":
            several = [self.of(one) for one in node.value]
            found, size = [one for one, _ in several], 1 + sum(number for _, number in several)
        else:
            found, size = self._mapping(node)
        return _function(node.tag, found), size

    def _mapping(self, node: Any) -> tuple[dict[str, Any], int]:  # noqa: ANN401
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        total = 1
        for key, entry in node.value:
            value, size = self.of(entry)
            total += size
            if key.tag == f"{_CORE}merge":
                for one in reversed(value if isinstance(value, list) else [value]):
                    merged.update(one if isinstance(one, dict) else {})
            elif key.id != "scalar":
                raise CannotRead(f"line {key.start_mark.line + 1}: a key is not a string")
            else:
                found[key.value] = value
        return {**merged, **found}, total


def _scalar(node: Any) -> Any:  # noqa: ANN401
    """Return a text, or the value that the text certainly has in CloudFormation's YAML."""
    text = node.value
    match node.tag.removeprefix(_CORE):
        case "null":
            return None
        case "bool":
            return text.lower() in {"on", "true", "yes"}
        case "int" if _INT.fullmatch(text):
            return int(text)
        case "float" if _FLOAT.fullmatch(text):
            return float(text)
    return str(text)


def _function(tag: str, argument: Any) -> Any:  # noqa: ANN401
    """Return the full form of a function that has a short form as its tag, such as `!Sub`."""
    if not tag.startswith("!") or tag == "!":
        return argument
    name = tag[1:]
    if name == "GetAtt" and isinstance(argument, str):
        argument = argument.split(".", 1)
    return {name if name in {"Condition", "Ref"} else f"Fn::{name}": argument}


@lru_cache(maxsize=64)  # several findings are in one template
def _nodes(written: bytes) -> Any:  # noqa: ANN401
    """Return the nodes of a template; None if they can't be known.

    JSON is read as YAML, of which it is a subset.
    """
    try:
        return _composed(written.decode("utf-8-sig"))
    except (CannotRead, RecursionError, UnicodeDecodeError):
        return None


def line_of(written: bytes, path: list[str]) -> int | None:
    """Return the line of a template where a value, or its nearest known parent, begins."""
    node, line = _nodes(written), None
    for name in path:
        if node is None or node.id != "mapping":
            break
        entries = {key.value: (key, value) for key, value in node.value if key.id == "scalar"}
        if name not in entries:
            break
        key, node = entries[name]
        line = key.start_mark.line + 1
    return line
