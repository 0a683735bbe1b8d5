"""Answer the command `audit`: ask the account or read results, and show what there is."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.session import AwsSession

from .auditing import audit, enabled_regions
from .merge import read, read_file
from .progress import Progress

if TYPE_CHECKING:
    from .arguments import AuditRequest
    from .result import AuditResult

ALL_REACHABLE, NOT_ALL, NOTHING_ASKED = 0, 1, 2
"""The exit statuses."""

_ATTEMPTS: Final = 10
"""How often a call is made while AWS throttles it, unless AWS_MAX_ATTEMPTS says otherwise."""


def answer(request: AuditRequest) -> AuditResult:
    """Ask the account or read the results, and compare them with an earlier one.

    Raises:
        CannotAsk: nothing could be asked, or a file can't be read.
    """
    if request.compare is None:
        return _asked_or_read(request)
    from .compare import compared  # noqa: PLC0415 # of one option

    old = read_file(request.compare, "--compare")  # rather now than after the account was asked
    return compared(_asked_or_read(request), old, request.compare)


def _asked_or_read(request: AuditRequest) -> AuditResult:
    return read(request.results) if request.results else _of_account(request)


def _of_account(request: AuditRequest) -> AuditResult:
    # In this mode botocore also slows down when AWS throttles.
    retries: dict[str, object] = {"mode": "adaptive"}
    if "AWS_MAX_ATTEMPTS" not in os.environ:
        retries["total_max_attempts"] = _ATTEMPTS
    tags = request.tags
    first = request.region[0] if request.region else None
    session = AwsSession(request.profile, first, retries=retries)
    regions = request.region
    if request.all_regions:
        regions = enabled_regions(session)
    elif not regions:
        if session.region is None:
            raise CannotAsk(
                "instances are in a region, and no region is known: give --region or --all-regions"
            )
        regions = [session.region]
    result = audit(session, regions, tags, request.document, Progress(sys.stderr))
    if exit_status(result) == NOTHING_ASKED:
        failed = "; ".join(f"{one['region']}: {one['error']}" for one in result["regions"])
        raise CannotAsk(f"nothing could be asked: {failed}")
    return result


def exit_status(result: AuditResult) -> int:
    """Return the exit status that a result stands for."""
    failed = [region for region in result["regions"] if region["error"]]
    summary = result["summary"]
    if failed == result["regions"] and not summary["instances"]:
        return NOTHING_ASKED
    if failed or summary["unreachable"] or summary["unknown"]:
        return NOT_ALL
    return ALL_REACHABLE


def as_text(request: AuditRequest, result: AuditResult) -> str:
    """Show the result as `--output` says."""
    if request.output == "json":
        return f"{json.dumps(result, indent=2)}\n"
    if request.output == "html":
        from .page import html  # noqa: PLC0415 # the largest part, of one form alone

        return html(result)
    from rich.console import Console  # noqa: PLC0415 # of an extra

    from .table import print_audit  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    with console.capture() as shown:
        print_audit(console, result)
    return shown.get()


def write_files(request: AuditRequest, result: AuditResult) -> None:
    """Write the answer to `--file`, and add the names of the profiles to `--profiles-file`.

    Raises:
        CannotAsk: a file can't be written, or is no list of names, or the profiles are those of
            several accounts.
    """
    if request.file is not None:
        _write(request.file, "--file", as_text(request, result))
    if request.profiles_file is not None:
        if result["account"] is None:  # a stack is in one, whose profiles may have the same names
            raise CannotAsk(
                "--profiles-file takes the profiles of one account, and these results are of "
                "several: give --from the results of one"
            )
        _add_names(request.profiles_file, result["profiles"])


def _add_names(path: str, names: list[str]) -> None:
    """Add the names that the file lacks.

    A stack may follow the file, and would take the policy from a profile that it no longer names.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig") if file.exists() else ""
    except (OSError, ValueError) as error:
        raise CannotAsk(
            f"--profiles-file {path} can't be read, and names are added to what it has: {error}: "
            "give another path"
        ) from None
    if text and not text.endswith("\n"):
        text += "\n"
    lines = text.split("\n")  # as the app does
    listed = {line.partition("#")[0].strip().rpartition("/")[2] for line in lines}
    added = "".join(f"{name}\n" for name in names if name not in listed)
    _write(path, "--profiles-file", text + added)


def _write(path: str, option: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotAsk(
            f"{option} {path} can't be written: {error.strerror}: give another path"
        ) from None
