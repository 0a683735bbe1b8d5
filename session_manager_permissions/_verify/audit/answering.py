"""The command `audit`: its command line, how it gets its result, and how it prints or writes it."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _limits
from session_manager_permissions._quoting import rendered
from session_manager_permissions._verify import options
from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.files import is_stream, refuse_link, write
from session_manager_permissions._verify.options import add_flag, add_option
from session_manager_permissions._verify.session import Waiting, aws_session
from session_manager_permissions._verify.text import PROGRAM, say

from .auditing import audit, enabled_regions
from .listing import add_to_list
from .merge import read
from .progress import Progress

if TYPE_CHECKING:
    import argparse

    from .result import AuditResult

ALL_REACHABLE, NOT_ALL, NOTHING_ASKED = 0, 1, 2
"""The exit statuses of `audit`."""

_ATTEMPTS: Final = 10
"""The most attempts of a call that AWS throttles, unless AWS_MAX_ATTEMPTS is set."""

DESCRIPTION: Final = """\
Find the instances and hybrid nodes of the account that Session Manager can't reach, and the causes.
The command makes the checks of verify --instance-id on each node, and groups the nodes by cause. It
asks AWS only once about what they share. It changes nothing.
"""
EPILOG: Final = f"""\
examples:
  {PROGRAM} audit
  {PROGRAM} audit --all-regions --output html --file audit.html
  {PROGRAM} audit --region eu-west-1 --region eu-west-2 --tag env=prod
  {PROGRAM} audit --profiles-file lacking.txt
  {PROGRAM} audit --from one.json two.json --output html --file both.html

exit status:
  0  every instance that runs, and every hybrid node, is reachable
  1  at least one is not reachable, or AWS did not answer a call: the output says which
  2  nothing could be asked, or the answer could not be written: see standard error
"""


def tags_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the values of `--tag`, by key.

    Raises:
        CannotAsk: a key is given twice.
    """
    tags: dict[str, str] = {}
    for given in arguments.tag:
        key, _, value = given.partition("=")
        if key in tags:
            raise CannotAsk(f"--tag {key} is given twice: a tag of a node has only one value")
        tags[key] = value
    return tags


def refuse_unusable(arguments: argparse.Namespace) -> None:
    """Refuse options that have no effect with `--from`, and files that can't be written.

    Raises:
        CannotAsk: such an option or such a file is given.
    """
    if arguments.results:
        unused = ("region", "all_regions", "tag", "document", "profile")
        why = "can't be used with --from, which asks nothing: leave it out"
        options.refuse(arguments, unused, why)
    file, listed = arguments.file, arguments.profiles_file
    # `Path.resolve` fails for a loop of links
    if None not in (file, listed) and os.path.realpath(file) == os.path.realpath(listed):
        raise CannotAsk(f"--file and --profiles-file are both {file}: give each a file of its own")
    for flag, path in (("--file", file), ("--profiles-file", listed)):
        if path is None:
            continue
        if not is_stream(path) and not os.access(Path(path).parent, os.W_OK):
            raise CannotAsk(
                f"{flag} {path} can't be written: its folder does not exist, or you may not write "
                "to it: give another path"
            )
        refuse_link(path, flag)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    several: dict[str, Any] = {"action": "append", "default": []}
    which = parser.add_argument_group("which instances")
    regions = which.add_mutually_exclusive_group()
    region_help = (
        "a region; repeat the option for several (default: the profile's or the environment's)"
    )
    add_option(regions, "--region", "REGION", region_help, _limits.REGION.fault, **several)
    add_flag(regions, "--all-regions", "all regions that are enabled for the account")
    tag_help = "only nodes with this tag; repeat the option to require several tags"
    add_option(which, "--tag", "KEY=VALUE", tag_help, _tag_fault, **several)
    document_help = (
        "the Session document that sessions are started with (default: "
        "SSM-SessionManagerRunShell, where it exists)"
    )
    add_option(which, "--document", "NAME", document_help, options.document_fault)
    add_option(which, "--profile", "PROFILE", "a profile of the AWS configuration")
    results = parser.add_argument_group("results in files")
    from_help = (
        "do not call AWS: show results of --output json, merged if they are of several accounts or "
        "regions"
    )
    add_option(results, "--from", "FILE", from_help, dest="results", nargs="+", default=[])
    shown = parser.add_argument_group("the answer")
    options.add_output(shown, options.EXTRAS)
    add_option(shown, "--file", "FILE", "write the answer to this file", _path_fault)
    list_help = (
        "also add to this list the names of the instance profiles that lack a permission, one per "
        "line, and the options that they need; the app reads it by -c instance-profiles=FILE"
    )
    add_option(shown, "--profiles-file", "FILE", list_help, _path_fault)
    add_flag(shown, "--print-permissions", "print the policy that the credentials need, and exit")


def _path_fault(text: str) -> str | None:
    return None if text else "is not a path"  # refused before AWS is asked, which takes long


def _tag_fault(text: str) -> str | None:
    key, _, value = text.partition("=")
    return None if key and value else "is not KEY=VALUE"  # nodes have no filter for an empty value


def answer(arguments: argparse.Namespace) -> AuditResult:
    """Ask the account, or read the results of `--from`.

    Raises:
        CannotAsk: nothing could be asked, or a file can't be read.
    """
    tags = tags_of(arguments)
    if arguments.results:
        return read(arguments.results)
    # In this mode, botocore also makes fewer calls when AWS throttles.
    retries: dict[str, object] = {"mode": "adaptive"}
    if "AWS_MAX_ATTEMPTS" not in os.environ:
        retries["total_max_attempts"] = _ATTEMPTS
    first = next(iter(arguments.region), None)
    with (waiting := Waiting()).said(say):
        session = aws_session(arguments.profile, first, waiting, retries=retries)
        regions = enabled_regions(session) if arguments.all_regions else arguments.region
        if not regions and session.region is None:
            give = "give --region or --all-regions"
            raise CannotAsk(f"an audit needs a region, and no region is known: {give}")
        asked = regions or [session.region]
        result = audit(session, asked, tags, arguments.document, Progress(sys.stderr))
    if exit_status(result) == NOTHING_ASKED:
        failed = "; ".join(f"{one['region']}: {one['error']}" for one in result["regions"])
        raise CannotAsk(f"nothing could be asked: {failed}")
    return result


def exit_status(result: AuditResult) -> int:
    """Return the exit status for a result."""
    failed = [region for region in result["regions"] if region["error"]]
    summary = result["summary"]
    if failed == result["regions"] and not summary["instances"]:
        return NOTHING_ASKED
    return NOT_ALL if failed or summary["unreachable"] or summary["unknown"] else ALL_REACHABLE


def as_text(arguments: argparse.Namespace, result: AuditResult) -> str:
    """Write the result in the form of `--output`."""
    if arguments.output == "json":
        return f"{json.dumps(result, indent=2)}\n"
    of = {"list_path": arguments.profiles_file, "profile": arguments.profile}
    if arguments.output == "html":
        from .page import html  # noqa: PLC0415 # the largest module, for one form alone

        return html(result, **of)
    from .table import print_audit  # noqa: PLC0415

    styled = None if arguments.file is None else False  # a file is no terminal
    return rendered(partial(print_audit, result, **of), styled=styled)


def write_files(arguments: argparse.Namespace, result: AuditResult) -> None:
    """Write the answer to `--file`, and add the names of the profiles to `--profiles-file`.

    Raises:
        CannotAsk: a file can't be written, or is not a list of names, or the profiles are in
            several accounts.
    """
    if arguments.file is not None:
        write(arguments.file, "--file", as_text(arguments, result))
    if arguments.profiles_file is not None:
        if result["account"] is None:  # profiles of two accounts may have the same name
            raise CannotAsk(
                "--profiles-file lists the profiles of one account, and these results are from "
                "several: give --from the results of one account"
            )
        add_to_list(arguments.profiles_file, result)
