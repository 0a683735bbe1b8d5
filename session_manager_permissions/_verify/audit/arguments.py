"""The command line of `audit`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._verify import options
from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.files import refuse_link
from session_manager_permissions._verify.options import add_flag, add_option
from session_manager_permissions._verify.text import PROGRAM

if TYPE_CHECKING:
    import argparse

DESCRIPTION: Final = """\
Which instances and hybrid nodes of the account can't be reached by Session Manager, and why? The
command judges each by the checks of verify --instance-id, and groups them by cause. It asks once
what many have in common. It changes nothing.
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
  1  not every one is, or a region or a call was not answered: the output says which
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
            raise CannotAsk(f"--tag {key} is given twice: a node has one value of a tag")
        tags[key] = value
    return tags


def refuse_unusable(arguments: argparse.Namespace) -> None:
    """Refuse what `--from` does not use, and files that can't be written.

    Raises:
        CannotAsk: there is such an option.
    """
    if arguments.results:
        unused = ("region", "all_regions", "tag", "document", "profile")
        options.refuse(arguments, unused, "is not for --from, which asks nothing: leave it out")
    file, listed = arguments.file, arguments.profiles_file
    if file is not None and listed is not None and _is_same(file, listed):
        raise CannotAsk(f"--file and --profiles-file are both {file}: give each a file of its own")
    for flag, path in (("--file", file), ("--profiles-file", listed)):
        if path is not None and not os.access(Path(path).parent, os.W_OK):
            raise CannotAsk(
                f"{flag} {path} can't be written: its folder does not exist, or you may not write "
                "to it: give another path"
            )
        if path is not None:
            refuse_link(path, flag)


def _is_same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)  # pathlib's fails for a loop of links


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    several: dict[str, Any] = {"action": "append", "default": []}
    which = parser.add_argument_group("which instances")
    regions = which.add_mutually_exclusive_group()
    region_help = (
        "a region; repeat the option for several (default: the profile's or the environment's)"
    )
    add_option(regions, "--region", "REGION", region_help, **several)
    add_flag(regions, "--all-regions", "all regions that are enabled for the account")
    tag_help = (
        "only those with this tag; repeat the option for several tags that they must all have"
    )
    add_option(which, "--tag", "KEY=VALUE", tag_help, _tag_fault, **several)
    document_help = (
        "the Session document that sessions are started with (default: "
        "SSM-SessionManagerRunShell, where it exists)"
    )
    add_option(which, "--document", "NAME", document_help, options.document_fault)
    add_option(which, "--profile", "PROFILE", "a profile of the AWS configuration")
    results = parser.add_argument_group("results in files")
    from_help = (
        "ask nothing: show what --output json wrote, and merge the results of several accounts or "
        "regions"
    )
    add_option(results, "--from", "FILE", from_help, dest="results", nargs="+", default=[])
    shown = parser.add_argument_group("the answer")
    options.add_output(shown, options.EXTRAS)
    add_option(shown, "--file", "FILE", "write the answer there")
    list_help = (
        "also add the names of the instance profiles that lack a permission there, one a line, "
        "and the options that they need, as the app takes them by -c instance-profiles=FILE"
    )
    add_option(shown, "--profiles-file", "FILE", list_help)
    print_help = "print a policy with what the credentials need, and exit"
    add_flag(shown, "--print-permissions", print_help)


def _tag_fault(text: str) -> str | None:
    key, _, value = text.partition("=")
    return None if key and value else "is not KEY=VALUE"  # nodes have no filter for an empty value
