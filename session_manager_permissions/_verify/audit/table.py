"""Print an audit for a person: figures by region, then the causes, each with its nodes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from session_manager_permissions._verify.checks import OF_ROLE
from session_manager_permissions._verify.text import all_shown, plainly

from .causes import grouped
from .result import VERDICTS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from .causes import Group
    from .result import AuditResult, NodeResult

_STYLES: Final = {"reachable": "green", "unreachable": "bold red", "unknown": "yellow"}
_BY_ROLE: Final = frozenset({"instance-profile", *OF_ROLE})
"""The causes that lie in the role: their nodes are listed by role, and the others by region."""
_GRANTS: Final = {
    "register": "allow-registration=true",
    "encrypt": "key=KEY_ARN",
    "log-to-s3": "log-bucket=NAME",
    "log-to-cloudwatch": "log-group=NAME",
}
"""The option of the app that gives what a role lacks; `reach` needs none."""
_IDS: Final = 3
"""How many ids are shown of each line."""
_DEPLOY: Final = (
    'npx aws-cdk deploy --app "python -m session_manager_permissions" -c instance-profiles=FILE'
)
_LINES: Final = 10
"""How many roles or regions are shown of each cause, and how many profiles."""


def print_audit(result: AuditResult, console: Console) -> None:
    """Print the figures, the groups and what is not known."""
    result = all_shown(result)
    accounts = dict.fromkeys(region["account"] for region in result["regions"])
    several = len(accounts) > 1
    console.print(f"Account {', '.join(accounts)}", style="bold")
    console.print(_figures(result, several=several), soft_wrap=False)
    for verdict in ("unreachable", "unknown"):
        for group in grouped(one for one in result["instances"] if one["verdict"] == verdict):
            console.print()
            _print_group(console, group, verdict, several=several)
    if "changes" in result:
        from .compare import print_changes  # noqa: PLC0415 # of one option

        console.print()
        print_changes(console, result["changes"])
    profiles = result["profiles"]
    if profiles:
        console.print()
        names = ", ".join(profiles[:_LINES])
        more = f" and {len(profiles) - _LINES} more" if profiles[_LINES:] else ""
        console.print(f"{_counted(len(profiles), 'instance profile')} without the permissions:")
        console.print(f"  {names}{more}")
        lacks = {name for role in result["roles"] if role["profiles"] for name in role["lacks"]}
        options = "".join(f" -c {option}" for name, option in _GRANTS.items() if name in lacks)
        console.print(f"  - --profiles-file FILE, then {_DEPLOY}{options}")
    incomplete = [region for region in result["regions"] if region["error"]]
    if incomplete:
        console.print()
        console.print("This is not all:", style="bold red")
        for region in incomplete:
            place = f"{region['account']}, {region['region']}" if several else region["region"]
            console.print(f"  {place}: {region['error']}")


def _figures(result: AuditResult, *, several: bool) -> Table:
    from rich.table import Table  # noqa: PLC0415 # of an extra

    table = Table(*(["account"] if several else []), "region", "nodes", *VERDICTS)
    for column in table.columns[2 if several else 1 :]:
        column.justify = "right"
    nodes: dict[tuple[str, str], list[NodeResult]] = {}
    for node in result["instances"]:
        nodes.setdefault((node["account"], node["region"]), []).append(node)
    for region in result["regions"]:
        account, name = region["account"], region["region"]
        place = [account, name] if several else [name]
        table.add_row(*map(plainly, place), *_counts(nodes.get((account, name), [])))
    if result["regions"][1:]:
        table.add_section()
        table.add_row(*([""] if several else []), "all", *_counts(result["instances"]))
    return table


def _counts(nodes: list[NodeResult]) -> list[Text]:
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
    """Name what some nodes of a group have in common: the role and the profile, or the region."""
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
