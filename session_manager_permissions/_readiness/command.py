"""The command `check`: the check of templates, without the app that generated them."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions._causes import more, page
from session_manager_permissions._network.verdicts import in_words
from session_manager_permissions._quoting import plainly, rendered, shown

from .apps import apps
from .check import VERDICTS, check, not_read, unread_stacks
from .rules import CANNOT_BE_KNOWN, READY, RULES, Finding
from .templates.functions import UNKNOWN
from .templates.loading import line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from .rules.steps import Step
    from .templates.model import Resource, Template

DESCRIPTION: Final = """\
Check whether Session Manager will reach the instances of templates. The command reads the output of
cdk synth, for apps in any language, or CloudFormation and SAM templates. It reports which compute
Session Manager can't reach, why, and what to change. It does not call AWS, and changes nothing.
"""
EPILOG: Final = """\
examples:
  npx cdk synth && session-manager-permissions check
  session-manager-permissions check --strict template.yaml
  session-manager-permissions check network.yaml servers.yaml --output json
  session-manager-permissions check --output github

exit status:
  0  no finding says that something is not ready
  1  something is not ready: the output says why, and what to change
  2  an input could not be read, or the answer could not be written: see standard error

The command checks all given files together, as if they were deployed to one account and region. It
checks each folder separately.
"""


def add_arguments(to: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    to.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        default=["cdk.out"],
        help="a folder that cdk synth has written, or a template (default: cdk.out)",
    )
    strict_help = "report findings that say not ready as errors instead of warnings"
    to.add_argument("--strict", action="store_true", help=strict_help)
    network_help = (
        "do not check the instance profile, the trust policy, the metadata service, the image and "
        "the network of compute"
    )
    to.add_argument("--no-network", dest="network", action="store_false", help=network_help)
    skip_help = "leave out the findings of this rule; repeat the option for several"
    to.add_argument(
        "--skip", metavar="RULE", action="append", default=[], type=_rule, help=skip_help
    )
    form_help = "the form of the answer (default: %(default)s)"
    to.add_argument("--output", choices=[*FORMS], default="table", help=form_help)


def _rule(name: str) -> str:
    """Return the name of a rule that can be left out."""
    names = [one for one in RULES if one != READY.id]
    if name not in names:
        near = in_words(get_close_matches(name, names) or names, "or")
        raise argparse.ArgumentTypeError(f"there is no rule {name!r}: is it {near}?")
    return name


def _relative(file: Path) -> str:
    base = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    return str(os.path.relpath(file, base) if base in file.resolve().parents else file)


class WhereFound(NamedTuple):
    """Where a finding is."""

    resource: Resource
    location: str
    """The property, such as `Properties.Roles`."""
    reason: str | None
    """The reason with which the app acknowledges the finding there."""

    @property
    def template(self) -> str:
        """The path of the file, relative to GitHub's workspace or the current folder if in it."""
        return _relative(self.resource.template.path)

    @property
    def line(self) -> int | None:
        """The line of the file, if it can be known."""
        path = ["Resources", self.resource.logical_id, *self.location.split(".")]
        return line_of(self.resource.template.content, path)


class Reported(NamedTuple):
    """A finding, and the places where the app does not acknowledge it."""

    finding: Finding
    severity: str
    places: list[WhereFound]

    def lines_of_fix(self, shown_with: Template | None) -> list[str]:
        """Return what to change, a step on each line. A step in another template names its file."""
        return [
            shown(
                step.text
                if step.template is None or step.template is shown_with
                else f"in {_relative(step.template.path)}: {step.text}"
            )
            for step in self.finding.steps
        ]


class Result(NamedTuple):
    """The answer of the command."""

    found: list[Reported]
    acknowledged: list[tuple[Finding, WhereFound]]
    verdicts: Counter[str]
    """How many profiles have each verdict, acknowledged or not."""
    unread: list[Resource]
    """The resources that deploy templates that are not here."""

    @property
    def not_ready(self) -> bool:
        """Whether a finding says that something is not ready."""
        return any(one.finding.rule.not_ready for one in self.found)

    @property
    def ready(self) -> bool:
        """Whether every profile is ready, and everything could be read and judged."""
        is_open = self.unread or any(one.finding.rule == CANNOT_BE_KNOWN for one in self.found)
        return not self.not_ready and not is_open and [*+self.verdicts] == [VERDICTS[0]]


def answer(arguments: argparse.Namespace) -> Result:
    """Check the files and folders of the command line.

    Raises:
        CannotRead: one of them can't be read.
    """
    result = Result([], [], Counter(), [])
    for app in apps(arguments.paths):
        findings, verdicts = check(app.assembly, network=arguments.network)
        result.verdicts.update(verdicts)
        result.unread.extend(unread_stacks(app.assembly))
        for finding in findings:
            rule = finding.rule
            if rule == READY or rule.id in arguments.skip:
                continue
            places = [
                WhereFound(one, finding.location, app.reason(one, rule.id))
                for one in finding.resources
            ]
            result.acknowledged.extend((finding, one) for one in places if one.reason is not None)
            if left := [one for one in places if one.reason is None]:
                severity = rule.severity_if(strict=arguments.strict)
                result.found.append(Reported(finding, severity, left))
    return result


def as_json(result: Result) -> str:
    """Return the answer as docs/check.md describes it."""

    def where(place: WhereFound) -> dict[str, object]:
        resource = place.resource
        return {
            "template": place.template,
            "line": place.line,
            "logical_id": resource.logical_id,
            "type": None if UNKNOWN in resource.type else resource.type,
            "property": place.location,
            "path": resource.path or None,
        }

    answered = {
        "version": 1,
        "ready": result.ready,
        "not_ready": result.not_ready,
        "profiles": {verdict: result.verdicts[verdict] for verdict in VERDICTS},
        "findings": [
            {
                "rule": one.finding.rule.id,
                "severity": one.severity,
                "not_ready": one.finding.rule.not_ready,
                "why": one.finding.description,
                "fix": [*map(_step, one.finding.steps)],
                "page": page(one.finding.rule.id),
                "resources": [*map(where, one.places)],
            }
            for one in result.found
        ],
        "acknowledged": [
            {"rule": finding.rule.id, "reason": place.reason} | where(place)
            for finding, place in result.acknowledged
        ],
        "not_read": [
            {"template": _relative(one.template.path), "logical_id": one.logical_id}
            for one in result.unread
        ],
    }
    return f"{json.dumps(answered, indent=2)}\n"


def _step(step: Step) -> dict[str, object]:
    if step.template is None:
        return {"action": "advice", "text": step.text}
    action = "add" if step.adds else "set"
    return {
        "action": action if step.path else "make",
        "text": step.text,
        "template": _relative(step.template.path),
        "logical_id": step.logical_id,
        "property": step.path,
        "value": step.value,
    }


_COMMANDS: Final = {"error": "error", "warning": "warning", "info": "notice"}
"""The workflow commands of GitHub, by severity."""


def as_github(result: Result) -> str:
    """Return an annotation of a pull request for each resource of a finding.

    https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
    """
    written = []
    for one in result.found:
        more_of_it = filter(None, [more(one.finding.rule.id)])
        fix = one.lines_of_fix(one.places[0].resource.template)
        message = [shown(one.finding.description), *fix, *more_of_it]
        for place in one.places:
            line = place.line
            properties = {
                "file": shown(place.template),
                **({} if line is None else {"line": str(line)}),
                "title": shown(f"{one.finding.rule.id}: {place.resource.logical_id}"),
            }
            given = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
            written.append(f"::{_COMMANDS[one.severity]} {given}::{_data(chr(10).join(message))}\n")
    return "".join(written)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def as_table(result: Result) -> str:
    """Return the answer for a terminal."""
    return rendered(partial(_show, result))


_STYLES: Final = {"error": "red", "warning": "yellow", "info": "cyan"}


def _show(result: Result, console: Console) -> None:
    from rich.table import Table  # noqa: PLC0415 # of an extra

    table = Table("finding", "resource", "why", show_lines=True)
    for one in result.found:
        kind = plainly(f"{one.severity}\n{one.finding.rule.id}", _STYLES[one.severity])
        where = "\n\n".join("\n".join(_named(place)) for place in one.places)
        table.add_row(kind, plainly(where), plainly(shown(one.finding.description)))
    if result.found:
        console.print(table, soft_wrap=False)
    console.print(_verdict_line(result), style="bold")
    verdicts = ", ".join(f"{result.verdicts[one]} {one}" for one in VERDICTS)
    if result.verdicts:
        console.print(f"Instance profiles and node groups: {verdicts}.")
    if result.acknowledged:
        console.print(f"Findings that the app acknowledges: {len(result.acknowledged)}.")
    if result.unread:
        console.print(shown(f"{not_read(result.unread)}."))
    templates = {place.resource.template for one in result.found for place in one.places}
    only = templates.pop() if len(templates) == 1 else None
    fixes = [
        f"- {one.finding.rule.id}: {line}"
        for one in result.found
        for line in one.lines_of_fix(only)
    ]
    pages = (more(one.finding.rule.id) for one in result.found)
    # Below the table, whose lines wrap and can't be copied.
    for line in filter(None, dict.fromkeys((*fixes, *pages))):
        console.print(line)


def _verdict_line(result: Result) -> str:
    if result.ready:
        return "ready"
    if result.not_ready:
        return "not ready"
    if result.verdicts["not ready"]:
        return "what is not ready is acknowledged or left out"
    is_something = result.verdicts or result.found or result.unread
    return "nothing is known to be not ready" if is_something else "nothing to check"


def _named(place: WhereFound) -> Iterator[str]:
    yield shown(f"{place.resource.logical_id}: {place.location}")
    if place.resource.path:
        yield shown(place.resource.path)
    yield shown(place.template)


FORMS: Final = {"table": as_table, "json": as_json, "github": as_github}
"""The function that writes the answer in each form."""
EXTRAS: Final = {"table": ("rich",), "json": (), "github": ()}
"""The modules that each form needs."""
