"""A list of names in a file, with the options of its deployment. Independent of CDK.

The app deploys to the roles or profiles in a list, and `audit --profiles-file` adds to a list. A
line has the name or the ARN of a role or an instance profile, or an option of the app:
`allow-registration = true`. A `#` begins a comment. Within an option, it does so only at the
beginning of a word, as the name of a log group may contain a `#`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from . import _limits

if TYPE_CHECKING:
    from collections.abc import Callable

    Fault = Callable[[str], str | None]


def _flag_fault(text: str) -> str | None:
    return None if text in ("true", "false") else "is neither true nor false"


OPTIONS: Final[dict[str, Fault]] = {
    "key": _limits.key_fault,
    "policy-name": _limits.POLICY.fault,
    "allow-registration": _flag_fault,
    "log-bucket": _limits.BUCKET.fault,
    "log-bucket-key": _limits.key_fault,
    "log-prefix": _limits.prefix_fault,
    "log-group": _limits.log_group_fault,
    "check-log-encryption": _flag_fault,
    "decrypt-sessions-only": _flag_fault,
}
"""The options that a list can have, each with a function that finds a fault in a value."""
REPEATED: Final = "key"
"""The only option that a list may have several times: a key for each region."""

_OPTION: Final = re.compile(r"([A-Za-z][\w-]*)\s*=\s*(.*)", re.ASCII | re.DOTALL)
_COMMENT: Final = re.compile(r"(?:^|\s)#")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")


class Line(NamedTuple):
    """A name or an ARN in a list, or the value of an option."""

    path: str
    number: int
    text: str

    @property
    def where(self) -> str:
        """The file and the number of the line, such as `profiles.txt:3`."""
        return f"{self.path}:{self.number}"

    @property
    def name(self) -> str:
        """The name, without the rest of the ARN."""
        return self.text.rpartition("/")[2]


class NameList(NamedTuple):
    """The content of a list."""

    names: list[Line]
    options: dict[str, list[Line]]
    """The values of each option. Only `REPEATED` may have several."""
    left_out: list[str]
    """The text of each line that is a comment."""
    faults: dict[int, str]
    """What is wrong, by the number of the line."""

    @property
    def left_out_names(self) -> set[str]:
        """The names that are commented out, as `same` writes them."""
        found = (text.partition("#")[0].split() for text in self.left_out)
        return {same(words[0]) for words in found if len(words) == 1}

    @property
    def left_out_options(self) -> set[tuple[str, str]]:
        """The options that are commented out, each with its value."""
        found = (_OPTION.fullmatch(_without_comment(text)) for text in self.left_out)
        return {(one[1], one[2]) for one in found if one}


def same(name_or_arn: str) -> str:
    """Return the name as IAM compares names: without the path, regardless of case."""
    return name_or_arn.strip().rpartition("/")[2].lower()


def name_fault(text: str, fault: Fault) -> str | None:
    """Tell why a line can't have this as a name: it is not valid, or looks like an option."""
    found = _OPTION.fullmatch(text)
    if found and found[1] in OPTIONS and not fault(text):
        return (
            f"can be a name or an option: for the option, write {found[1]} = {found[2]}; for the "
            "name, give the ARN"
        )
    return fault(text)


def parse(text: str, path: str, fault: Fault) -> NameList:
    """Read a list.

    Args:
        text: the content of the file.
        path: the file, for the errors.
        fault: says what is wrong with a name or an ARN, or None.
    """
    found = NameList([], {}, [], {})
    seen: dict[str, Line] = {}
    for number, line in enumerate(_LINE_END.split(text), start=1):
        option = _OPTION.fullmatch(_without_comment(line))
        name = line.partition("#")[0].strip()
        if option and fault(name):
            _add_option(found, option[1], Line(path, number, option[2]))
        elif name:
            one = Line(path, number, name)
            found.names.append(one)
            if wrong := name_fault(name, fault):
                found.faults[number] = f"{one.where}: {name!r} {wrong}"
            elif first := seen.get(same(name)):
                found.faults[number] = f"{one.where}: {one.name!r} is already at {first.where}"
            seen.setdefault(same(name), one)
        elif line.strip():
            found.left_out.append(line.strip("# \t"))
    return found


def _without_comment(line: str) -> str:
    return _COMMENT.split(line, maxsplit=1)[0].strip()


def _add_option(found: NameList, name: str, line: Line) -> None:
    if name not in OPTIONS:
        found.faults[line.number] = (
            f"{line.where}: a list has no option {name}; its options are {', '.join(OPTIONS)}"
        )
        return
    others = found.options.setdefault(name, [])
    for other in others:
        if name != REPEATED or other.text == line.text:
            found.faults[line.number] = f"{line.where}: {name} is already at {other.where}"
            return
    others.append(line)
    if wrong := OPTIONS[name](line.text) if line.text else "has no value":
        found.faults[line.number] = f"{line.where}: {name} {line.text!r} {wrong}"


def as_line(name: str, value: str) -> str | None:
    """Write an option as a line of a list; None if no line can have this value."""
    line = f"{name} = {value}"
    read = parse(line, "", _limits.instance_profile_fault)
    values = [one.text for one in read.options.get(name, ())]
    return None if read.faults or values != [value] else line
