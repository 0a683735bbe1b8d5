"""The result of an audit as an HTML page that needs nothing else and can be attached to a ticket.

Names and tags come from the account: the template escapes them, and `shown` makes control
characters visible. The Content Security Policy allows the page's own style and script alone. The
page is ASCII, so that the encoding of a file or a terminal can't break it.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions._quoting import shown
from session_manager_permissions._verify.checks import CHECKS, STAGES
from session_manager_permissions._verify.text import shown_time

from .causes import ANY_NODE, Group, grouped
from .listing import DEFAULT_LIST, ONE_ACCOUNT, deployment, needed, new_list
from .result import VERDICTS, AuditResult

if TYPE_CHECKING:
    from collections.abc import Sequence


_HERE: Final = Path(__file__).parent
NOT_KNOWN: Final = "The cause is not known"
_GROUPS: Final = 5
"""The number of groups of a cause that are shown open."""


class Stage(NamedTuple):
    """A stage of the path from an instance to an operator, and the link that leads to it."""

    name: str
    checks: list[str]
    """The checks that fail and are about the stage itself."""
    link: list[str]
    """The checks that fail and are about the link to it."""


class Picture(NamedTuple):
    """A picture of the path, and where it is broken."""

    stages: list[Stage]
    text: str
    """What the picture shows, for readers who can't see it."""
    lines: int
    """The largest number of checks that stand below one another."""


class Cause(NamedTuple):
    """Checks that fail together, the number of nodes, and the groups of these nodes."""

    checks: tuple[str, ...]
    size: int
    groups: list[Group]
    picture: Picture


def html(result: AuditResult, *, list_path: str | None = None, profile: str | None = None) -> str:
    """Return the page.

    Args:
        result: the result.
        list_path: the list of `--profiles-file`, if it is given.
        profile: the profile of the AWS configuration, if it is given.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 # of an extra
    from markupsafe import Markup  # noqa: PLC0415 # of an extra

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = _asset("page.css"), _asset("page.js")
    unknown = [node for node in result["instances"] if node["verdict"] == "unknown"]
    causes = _causes(result)
    numbers = {cause.checks: number for number, cause in enumerate(causes, 1)}
    page = environment.get_template("page.html.jinja").render(
        result=result,
        accounts=result["accounts"],
        times=_times(result),
        verdicts=VERDICTS,
        unasked=[region for region in result["regions"] if region["error"]],
        causes=causes,
        title_of=title_of,
        number_of=lambda checks: numbers.get(tuple(checks)),
        unknown=grouped(unknown),
        lacking=[role for role in result["roles"] if role["lacks"] or role.get("unknown")],
        listed=new_list(result),
        to_write=needed(result)[1],
        deployment=deployment(list_path or DEFAULT_LIST, profile),
        list_name=list_path or DEFAULT_LIST,
        one_account=ONE_ACCOUNT,
        shown_time=shown_time,
        any_node=ANY_NODE,
        groups_shown=_GROUPS,
        # Safe: they are files of this package.
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        hash_of_style=_hash(style),
        hash_of_script=_hash(script),
    )
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _shown(value: object) -> object:
    """Escape control characters in text; leave `Markup`, which is a kind of string, as it is."""
    return shown(value) if type(value) is str else value


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="ascii")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _times(result: AuditResult) -> list[str]:
    """Return when the regions were asked: at one time, or from one to another."""
    times = sorted({one["asked_at"] or "" for one in result["regions"]})
    return [shown_time(time) for time in dict.fromkeys((*times[:1], *times[-1:])) if time]


def _causes(result: AuditResult) -> list[Cause]:
    """List the causes of the nodes that can't be reached, the most frequent first."""
    groups = grouped(node for node in result["instances"] if node["verdict"] == "unreachable")
    together: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        together.setdefault(group.causes, []).append(group)
    found = [
        Cause(checks, sum(len(group.nodes) for group in of_cause), of_cause, picture(checks))
        for checks, of_cause in together.items()
    ]
    return sorted(found, key=lambda cause: (-cause.size, cause.checks))


def title_of(causes: Sequence[str]) -> str:
    """Say in words what the failed checks have found."""
    first, *others = [CHECKS[one].title if one in CHECKS else one for one in causes] or [NOT_KNOWN]
    return "; ".join([first, *(f"{one[:1].lower()}{one[1:]}" for one in others)])


def _stage(name: str, causes: Sequence[str]) -> Stage:
    of_it = [CHECKS[one] for one in causes if one in CHECKS and CHECKS[one].stage == name]
    link = [one.name for one in of_it if one.is_symptom or one.group == "its network"]
    return Stage(name, [one.name for one in of_it if one.name not in link], link)


def picture(causes: Sequence[str]) -> Picture:
    """Draw the path from an instance to an operator, and what breaks it."""
    stages = [_stage(name, causes) for name in STAGES]
    broken = []
    for stage, before in zip(stages, (stages[0], *stages), strict=False):
        if stage.link:
            broken.append(f"from {before.name} to {stage.name} by {', '.join(stage.link)}")
        if stage.checks:
            broken.append(f"at {stage.name} by {', '.join(stage.checks)}")
    path = ", ".join(stage.name for stage in stages)
    where = f"It is broken {'; '.join(broken)}" if broken else "Where it is broken is not known"
    return Picture(
        stages,
        f"The path {path}. {where}.",
        max(len(checks) for stage in stages for checks in (stage.checks, stage.link)),
    )
