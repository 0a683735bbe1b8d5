"""Answer the command `audit`: ask the account or read results, and show what there is."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.files import write
from session_manager_permissions._verify.session import AwsSession, Waiting
from session_manager_permissions._verify.text import rendered, say

from .arguments import tags_of
from .auditing import audit, enabled_regions
from .listing import add_to_list
from .merge import read
from .progress import Progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from session_manager_permissions._verify.session import Session

    from .result import AuditResult

ALL_REACHABLE, NOT_ALL, NOTHING_ASKED = 0, 1, 2
"""The exit statuses of `audit`."""

_ATTEMPTS: Final = 10
"""How often a call is made while AWS throttles it, unless AWS_MAX_ATTEMPTS says otherwise."""


def answer(arguments: argparse.Namespace) -> AuditResult:
    """Ask the account, or read the results of `--from`.

    Raises:
        CannotAsk: nothing could be asked, or a file can't be read.
    """
    tags = tags_of(arguments)
    return read(arguments.results) if arguments.results else _of_account(arguments, tags)


def _of_account(arguments: argparse.Namespace, tags: Mapping[str, str]) -> AuditResult:
    # In this mode botocore also slows down when AWS throttles.
    retries: dict[str, object] = {"mode": "adaptive"}
    if "AWS_MAX_ATTEMPTS" not in os.environ:
        retries["total_max_attempts"] = _ATTEMPTS
    regions = arguments.region
    with (waiting := Waiting()).said(say):
        first = next(iter(regions), None)
        session = AwsSession(arguments.profile, first, waiting, retries=retries)
        return _asked(session, arguments, regions, tags)


def _asked(
    session: Session, arguments: argparse.Namespace, regions: Sequence[str], tags: Mapping[str, str]
) -> AuditResult:
    if arguments.all_regions:
        regions = enabled_regions(session)
    elif not regions:
        if session.region is None:
            raise CannotAsk(
                "instances are in a region, and no region is known: give --region or --all-regions"
            )
        regions = [session.region]
    result = audit(session, regions, tags, arguments.document, Progress(sys.stderr))
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


def as_text(arguments: argparse.Namespace, result: AuditResult) -> str:
    """Show the result as `--output` says."""
    if arguments.output == "json":
        return f"{json.dumps(result, indent=2)}\n"
    of = {"list_path": arguments.profiles_file, "profile": arguments.profile}
    if arguments.output == "html":
        from .page import html  # noqa: PLC0415 # the largest part, of one form alone

        return html(result, **of)
    from .table import print_audit  # noqa: PLC0415

    return rendered(partial(print_audit, result, **of))


def write_files(arguments: argparse.Namespace, result: AuditResult) -> None:
    """Write the answer to `--file`, and add the names of the profiles to `--profiles-file`.

    Raises:
        CannotAsk: a file can't be written, or is no list of names, or the profiles are those of
            several accounts.
    """
    if arguments.file is not None:
        write(arguments.file, "--file", as_text(arguments, result))
    if arguments.profiles_file is not None:
        if result["account"] is None:  # a stack is in one, whose profiles may have the same names
            raise CannotAsk(
                "--profiles-file takes the profiles of one account, and these results are of "
                "several: give --from the results of one"
            )
        add_to_list(arguments.profiles_file, result)
