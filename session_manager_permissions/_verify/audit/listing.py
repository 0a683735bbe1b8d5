"""Adds to the list of `--profiles-file` the profiles that lack permissions, and their options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from session_manager_permissions import _limits, _lists
from session_manager_permissions._quoting import fitting
from session_manager_permissions._verify import checks
from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.files import is_stream, locked, write
from session_manager_permissions._verify.lines import deployment as deployment_of
from session_manager_permissions._verify.lines import hidden, profile_option
from session_manager_permissions._verify.text import say

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .result import AuditResult

_FLAG: Final = "--profiles-file"
DEFAULT_LIST: Final = "profiles.txt"
"""The file name of the list in the output, if `--profiles-file` gives none."""
ONE_ACCOUNT: Final = (
    "a list is for one account: give --profiles-file with --from the results of one account"
)
"""What to do about the profiles of several accounts."""
_GROUP: Final = "log-group"
_GRANTS: Final[dict[str, dict[str, str]]] = {
    checks.REGISTER.name: {"allow-registration": "true"},
    checks.ENCRYPT.name: {"key": "KEY_ARN"},
    checks.LOG_TO_S3.name: {"log-bucket": "NAME", "log-prefix": "", "log-bucket-key": ""},
    checks.LOG_TO_CLOUDWATCH.name: {_GROUP: "GROUP_ARN"},
}
"""The options of the app that grant what a check asks for, each with a placeholder for its value.

`reach` needs none. Where the placeholder is empty, not every deployment needs the option.
"""

Options = dict[str, list[str]]
"""The values of options of the app; only `key` has several."""


def agreed(parts: Sequence[tuple[Collection[str], Options]]) -> Options:
    """Return the options that grant all that is lacking, if the nodes or roles agree on a value.

    Args:
        parts: for each node or role, the checks that fail and the options whose values are known.
    """
    options: Options = {}
    for check, grants in _GRANTS.items():
        found = [
            {name: known[name] for name in grants if name in known}
            for lacks, known in parts
            if check in lacks
        ]
        if found and check == checks.REGISTER.name:  # its option has the same value everywhere
            options |= {name: [value] for name, value in grants.items()}
        elif _lists.REPEATED in grants:
            keys = {key for one in found for key in one.get(_lists.REPEATED, ())}
            options |= {_lists.REPEATED: sorted(keys)} if keys else {}
        elif found and all(one == found[0] for one in found):
            options |= found[0]
        elif _GROUP in grants:  # a name means the group in each region where the list is deployed
            names = {arn.rpartition(":")[2] for one in found for arn in one.get(_GROUP, [""])}
            options |= {_GROUP: [*names]} if len(names) == 1 else {}
    return options


def needed(result: AuditResult) -> tuple[list[tuple[str, str]], list[str]]:
    """Return what a list of the profiles needs besides the names.

    Returns:
        The options whose values are known and fit on a line, and for each other option a line with
        a placeholder.
    """
    roles = [role for role in result["roles"] if role["profiles"]]
    options = agreed([(role["lacks"], role.get("options", {})) for role in roles])
    known: list[tuple[str, str]] = []
    unknown: list[str] = []
    for check, grants in _GRANTS.items():
        if not any(check in role["lacks"] for role in roles):
            continue
        of_check = [(name, value) for name in grants for value in options.get(name, ())]
        if of_check and all(_lists.as_line(*one) for one in of_check):
            known += of_check
        else:
            unknown += [f"{name} = {value}" for name, value in grants.items() if value]
    return known, unknown


def deployment(path: str, profile: str | None) -> str:
    """Return the command that gives the profiles of a list the permissions.

    Args:
        path: the list.
        profile: the profile of the AWS configuration. Default: - that of the environment
    """
    listed = fitting(f"instance-profiles={path}", hidden, "instance-profiles=FILE")
    return deployment_of(listed, first="" if profile is None else profile_option(profile))


def new_list(result: AuditResult) -> list[str]:
    """Return the lines of a new list, with the names and the options that the result needs."""
    added, _ = _lacking(_lists.parse("", "", _limits.instance_profile_fault), result)
    return added


def add_to_list(path: str, result: AuditResult) -> None:
    """Add the names and the options that the list lacks, except those that are commented out.

    A stack that is deployed from the file would remove the policy from a profile that the file no
    longer names. So the lines of the file stay as they are, and two runs that add to it take turns.

    Raises:
        CannotAsk: the file can't be read or written, or it is no list.
    """
    with locked(path, _FLAG):
        text = _read(path)
        listed = _lists.parse(text or "", path, _limits.instance_profile_fault)
        if listed.faults:
            raise CannotAsk(
                f"{_FLAG} {path} is not a list that the app accepts, and was not changed: "
                f"{'; '.join(listed.faults.values())}: correct it first"
            )
        added, left_out = _lacking(listed, result)
        if added or text is None:
            write(path, _FLAG, _with_lines(text or "", added))
    for said in left_out:
        say(f"{_FLAG} {path} {said}")


def _read(path: str) -> str | None:
    """Return the content of the file with its original line ends; None if there is no file."""
    if is_stream(path):
        raise CannotAsk(f"{_FLAG} {path} is a device or a pipe, and can't hold a list: give a file")
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = f"can't be read before names are added: {error}: give another path"
        raise CannotAsk(f"{_FLAG} {path} {why}") from None


def _with_lines(text: str, added: list[str]) -> str:
    """Add lines at the end, with the line ends that the text has."""
    end = "\r\n" if "\r\n" in text else "\n"
    if text and not text.endswith(("\n", "\r")):
        text += end
    return text + "".join(f"{line}{end}" for line in added)


def _lacking(listed: _lists.NameList, result: AuditResult) -> tuple[list[str], list[str]]:
    """Return the lines to add, options before names, and what to say of those not added."""
    added: list[str] = []
    said: list[str] = []
    for name, value in needed(result)[0]:
        has = [line.text for line in listed.options.get(name, ())]
        line = f"{name} = {value}"
        if value in has:
            continue
        if (name, value) in listed.left_out_options:
            said.append(f"has `{line}` commented out, so it was not added")
        elif has and name != _lists.REPEATED:
            said.append(f"has `{name} = {has[0]}`, so `{line}` was not added")
        else:
            added.append(line)
    has_names = {_lists.same(line.text) for line in listed.names}
    left_out: list[str] = []
    for name in result["profiles"]:
        # A name with a slash would be read as an ARN, and as that of another profile.
        fault = _limits.INSTANCE_PROFILE.fault(name) or _lists.name_fault(
            name, _limits.instance_profile_fault
        )
        if fault:
            said.append(f"lacks {name!r}, which {fault}")
        elif _lists.same(name) not in has_names:
            (left_out if _lists.same(name) in listed.left_out_names else added).append(name)
    if left_out:
        said.append(
            f"has {', '.join(left_out)} commented out, which was not changed: to give a profile "
            "the permissions, remove its `#`"
        )
    return added, said
