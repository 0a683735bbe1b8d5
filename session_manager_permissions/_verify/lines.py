"""Writes the commands of remedies, each complete and on its own line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _limits, _lists
from session_manager_permissions._patterns import as_list
from session_manager_permissions._quoting import fitting, in_shell, shown, word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

USER_GUIDE: Final = "https://docs.aws.amazon.com/systems-manager/latest/userguide/"
"""The beginning of the addresses of the AWS Systems Manager user guide."""
_DEPLOY: Final = 'npx aws-cdk deploy --app "python -m session_manager_permissions"'
"""The command that deploys the ready-made app."""
_UNIQUE_ID: Final = re.compile(r"A(ID|RO)A[A-Z0-9]+")
"""Matches the unique id of a user or a role."""
_COMMANDS: Final = ("aws ", "npx ", "session-manager-permissions ")
"""The beginnings of the lines that accept `--profile`."""


def deployment(target: str, options: Iterable[tuple[str, str]] = (), first: str = "") -> str:
    """Return the command that gives the permissions to a role, a profile or a list of them.

    Args:
        target: the context value that names the subject, such as `instance-profile=web-server`.
        options: the options of the app, by their names.
        first: more options of the CLI. Default: - none
    """
    context = [target]
    for name, value in options:
        fits = _refusing_hidden(_lists.OPTIONS[name])
        context.append(f"{name}={fitting(value, fits, name.upper().replace('-', '_'))}")
    return " ".join([_DEPLOY, *filter(None, [first]), *(f"-c {word(one)}" for one in context)])


def _refusing_hidden(fault: Callable[[str], str | None]) -> Callable[[str], str | None]:
    return lambda text: hidden(text) or fault(text)


def hidden(text: str) -> str | None:
    """Say so if a text has characters that a terminal interprets instead of showing them."""
    return None if shown(text) == text else "has a character that a terminal interprets"


def profile_option(profile: str) -> str:
    """Return the option `--profile` for a profile of the AWS configuration."""
    return f"--profile {in_shell(profile, hidden, 'PROFILE')}"


def region_word(region: str) -> str:
    """Return a region as a word of a command."""
    return in_shell(region, _limits.REGION.fault, "REGION")


def aws(command: str, region: str, more: str = "") -> str:
    """Return a command of the AWS CLI.

    Args:
        command: the command, such as `iam get-role`, and its first options.
        region: the region; "" for a command that needs none.
        more: the other options.
    """
    where = f"--region {region_word(region)}" if region else ""
    return " ".join(filter(None, (f"aws {command}", where, more)))


def with_profile(lines: Iterable[str], profile: str | None) -> tuple[str, ...]:
    """Add `--profile` to each command among the lines, if a profile is given."""
    return tuple(
        f"{line} {profile_option(profile)}" if profile and is_command(line) else line
        for line in lines
    )


def is_command(line: str) -> bool:
    """Tell whether a line is a command to run, and not a sentence."""
    return line.startswith(_COMMANDS)


def is_deployment(line: str) -> bool:
    """Tell whether a line is a command that deploys the app."""
    return line.startswith(_DEPLOY)


def with_statement(policy: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """Return a policy with more statements, and without deleted principals."""
    kept = map(_without_deleted, as_list(policy.get("Statement", [])))
    return policy | {"Statement": [*filter(None, kept), *more]}


def _without_deleted(statement: Any) -> Any:  # noqa: ANN401 # of any shape
    """Return a statement without deleted principals; None if it has no others.

    A policy shows a deleted user or role by its unique id, which AWS refuses in a new policy.
    https://repost.aws/knowledge-center/kms-policy-error-invalid-principals
    """
    principal = statement.get("Principal") if isinstance(statement, dict) else None
    if not isinstance(principal, dict):
        return statement
    named = as_list(principal.get("AWS", []))
    left = [one for one in named if not _UNIQUE_ID.fullmatch(str(one))]
    if left == named:
        return statement
    others = {kind: names for kind, names in principal.items() if kind != "AWS"}
    if left:
        others["AWS"] = left
    return {**statement, "Principal": others} if others else None


def in_json(policy: Any) -> str:  # noqa: ANN401 # of any shape
    """Write a policy as one word of a command."""
    return word(json.dumps(policy))
