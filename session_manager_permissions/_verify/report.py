"""Shows the diagnosis of a node: as a tree from the instance outwards, or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from session_manager_permissions._causes import more, page
from session_manager_permissions._quoting import plainly

from .checks import CHECKS, GROUPS, ORDER, Outcome
from .lines import is_command
from .text import all_shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from .answers import CheckAnswer, NodeAnswer
    from .diagnosis import Diagnosis

_STYLES: Final = {"pass": "green", "proven": "green", "fail": "bold red", "unknown": "yellow"}
_WIDEST: Final = max(map(len, ORDER))


def node_as_json(diagnosis: Diagnosis) -> NodeAnswer:
    """Return the fields of `--output json` that describe a node."""
    node, role = diagnosis.node, diagnosis.identity.role
    return {
        "instance": {
            "id": node.id,
            "region": node.region,
            "state": node.state,
            "profile": diagnosis.identity.profile,
            "role": None if role is None else role.arn,
            "ping": node.ping,
            "connection": node.connection if isinstance(node.connection, str) else None,
            "agent_version": node.recorded("AgentVersion"),
            "platform": node.platform,
        },
        "checks": [_as_json(check) for check in diagnosis.checks],
        "on_the_node": diagnosis.to_run,
    }


def _as_json(check: Outcome) -> CheckAnswer:
    """Return a check as `--output json` shows it."""
    return {
        "check": check.name,
        "subject": check.subject,
        "verdict": check.verdict,
        "why": list(check.why),
        "fix": list(check.fix),
        "page": page(check.check.page),
        "evidence": [
            {"api": api, "field": of, "value": value} for api, of, value in check.evidence
        ],
    }


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Print the cause, the tree of all checks, and the remedies."""
    found: NodeAnswer = all_shown(node_as_json(diagnosis))
    node, checks = found["instance"], found["checks"]
    answer = "ready" if diagnosis.ready else "not ready"
    console.print(f"{node['id']} in {node['region']}: {answer}", style="bold")
    told: set[str] = set()
    if diagnosis.cause is not None:
        cause: CheckAnswer = all_shown(_as_json(diagnosis.cause))
        told.update(cause["fix"])
        console.print(f"Cause: {cause['check']}: {cause['why'][0]}", style="bold red")
        more_about = more(diagnosis.cause.check.page)
        for line in filter(None, (*cause["why"][1:], *cause["fix"], more_about)):
            console.print(f"  {line}")
    _print_tree(console, node["id"], checks)
    for check in checks:  # below the tree, whose lines wrap and can't be copied
        for fix in check["fix"]:
            if fix not in told:
                told.add(fix)
                console.print(f"- {check['check']}: {fix}")
    left_out = [check["check"] for check in checks if check["verdict"] == "skipped"]
    console.print(f"Not asked: {', '.join(left_out)}.")
    for line in found["on_the_node"]:
        console.print(line if is_command(line) else f"{line[0].upper()}{line[1:]}.")


def _print_tree(console: Console, node_id: str, checks: Sequence[CheckAnswer]) -> None:
    """Print the checks that were asked about, by their groups."""
    from rich.tree import Tree  # noqa: PLC0415 # of an extra

    tree = Tree(plainly(node_id, "bold"))
    asked = [check for check in checks if check["verdict"] != "skipped"]
    for group in GROUPS:
        shown = [check for check in asked if CHECKS[check["check"]].group == group]
        branch = tree.add(plainly(group)) if shown else tree
        for check in shown:
            verdict, why = check["verdict"], "".join(check["why"][:1])
            line = plainly(f"{verdict:<8}", _STYLES[verdict])
            line.append(f"{check['check']:<{_WIDEST}}  {why}", "not bold default")
            branch.add(line)
    console.print(tree, soft_wrap=False)
