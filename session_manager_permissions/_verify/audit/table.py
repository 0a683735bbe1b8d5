"""Print an audit as text: figures by region, then the causes, each with its nodes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from session_manager_permissions._quoting import plainly
from session_manager_permissions._verify.checks import CHECKS, PROFILE
from session_manager_permissions._verify.text import all_shown

from .causes import Group, grouped
from .listing import DEFAULT_LIST, ONE_ACCOUNT, deployment, needed
from .result import VERDICTS, AuditResult, NodeResult

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


_STYLES: Final = {"reachable": "green", "unreachable": "bold red", "unknown": "yellow"}
_BY_ROLE: Final = frozenset(
    {PROFILE.name, *(name for name, check in CHECKS.items() if check.of_role)}
)
"""The causes that are about the role. Their nodes are listed by role, and other nodes by region."""
_IDS: Final = 3
"""How many ids of nodes a line shows."""
_WIDEST: Final = 1000
"""The largest width of a table of figures, in characters."""
_LINES: Final = 10
"""How many roles or regions are shown for each cause, and how many profiles."""


def print_audit(
    result: AuditResult, console: Console, *, list_path: str | None, profile: str | None
) -> None:
    """Print the figures, the groups, what is not known and what to deploy.

    Args:
        result: the result.
        console: what to print to.
        list_path: the list of `--profiles-file`, if it is given.
        profile: the profile of the AWS configuration, if it is given.
    """
    unknown = needed(result)[1]
    result = all_shown(result)
    accounts = dict.fromkeys(region["account"] for region in result["regions"])
    several = len(accounts) > 1
    console.print(f"Account {', '.join(accounts)}", style="bold")
    _print_figures(console, result, several=several)
    for verdict in ("unreachable", "unknown"):
        for group in grouped(one for one in result["instances"] if one["verdict"] == verdict):
            console.print()
            _print_group(console, group, verdict, several=several)
    if incomplete := [region for region in result["regions"] if region["error"]]:
        console.print()
        console.print("This answer is not complete:", style="bold red")
        for region in incomplete:
            place = f"{region['account']}, {region['region']}" if several else region["region"]
            console.print(f"  {place}: {region['error']}")
    if profiles := result["profiles"]:
        console.print()
        more = f" and {len(profiles) - _LINES} more" if profiles[_LINES:] else ""
        console.print(f"{_counted(len(profiles), 'instance profile')} without the permissions:")
        console.print(f"  {', '.join(profiles[:_LINES])}{more}")
        if several:
            console.print(f"  - {ONE_ACCOUNT}")
            return
        if list_path is None:
            console.print(f"  - add --profiles-file {DEFAULT_LIST} to the audit")
        if unknown:
            console.print(f"  - write into the list, if it is not there: {', '.join(unknown)}")
        first = "once the list has them" if list_path is None else "to give them the permissions"
        console.print(f"  - {first}, run:")
        console.print(f"  {deployment(list_path or DEFAULT_LIST, profile)}")


def _print_figures(console: Console, result: AuditResult, *, several: bool) -> None:
    """Print the figures as a table, or in lines if the terminal is too narrow for it."""
    from rich.table import Table  # noqa: PLC0415 # of an extra

    nodes: dict[tuple[str, str], list[NodeResult]] = {}
    for node in result["instances"]:
        nodes.setdefault((node["account"], node["region"]), []).append(node)
    places = [(region["account"], region["region"]) for region in result["regions"]]
    first = 0 if several else 1  # one account needs no column
    figures = Table(*("account", "region")[first:], "nodes", *VERDICTS)
    for column in figures.columns[2 - first :]:
        column.justify = "right"
    for place in places:
        figures.add_row(*map(plainly, place[first:]), *_counts(nodes.get(place, [])))
    if places[1:]:
        figures.add_section()
        figures.add_row(*("", "all")[first:], *_counts(result["instances"]))
    at_any_width = console.options.update(max_width=_WIDEST)
    if console.measure(figures, options=at_any_width).maximum <= console.width:
        console.print(figures, soft_wrap=False)
        return
    for place in places:
        found = Counter(node["verdict"] for node in nodes.get(place, []))
        console.print(f"{', '.join(place[first:])}: {_counted(found.total(), 'node')}")
        for verdict in filter(found.get, VERDICTS):
            console.print(f"  {found[verdict]} {verdict}")


def _counts(nodes: list[NodeResult]) -> list[Text]:
    """Return the cells of a row: the number of nodes, and of those with each verdict."""
    found = Counter(node["verdict"] for node in nodes)
    counts = [
        plainly(str(found[one]), _STYLES.get(one, "") if found[one] else "") for one in VERDICTS
    ]
    return [plainly(str(len(nodes))), *counts]


def _print_group(console: Console, group: Group, verdict: str, *, several: bool) -> None:
    """Print the causes, the remedy, and the nodes: by role if that is the cause, else by region."""
    causes = ", ".join(group.causes) or verdict
    console.print(f"{_counted(len(group.nodes), 'node')}: {causes}", style=_STYLES[verdict])
    for line in group.why:
        console.print(f"  {line}")
    for line in group.fix:
        console.print(f"  - {line}")
    of_role = bool(_BY_ROLE & {*group.causes})
    places: dict[str, list[str]] = {}
    for node in group.nodes:
        places.setdefault(_place(node, of_role=of_role, several=several), []).append(node["id"])
    for place, ids in sorted(places.items(), key=lambda one: -len(one[1]))[:_LINES]:
        more = f" and {len(ids) - _IDS} more" if ids[_IDS:] else ""
        console.print(f"  {place}: {', '.join(ids[:_IDS])}{more}")
    if len(places) > _LINES:
        console.print(f"  and {len(places) - _LINES} more {'roles' if of_role else 'regions'}")


def _place(node: NodeResult, *, of_role: bool, several: bool) -> str:
    """Name the place that nodes of a group share: the role and the profile, or the region."""
    role, profile = (node["role"] or "").rpartition("/")[2], node["profile"]
    parts = [node["account"]] if several else []
    if not of_role:
        parts.append(node["region"])
    elif role or profile:
        parts += [f"{kind} {name}" for kind, name in (("role", role), ("profile", profile)) if name]
    else:
        parts.append("no instance profile")
    return ", ".join(parts)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
