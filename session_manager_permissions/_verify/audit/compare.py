"""Compare an audit with an earlier one: nodes, causes, and the permissions of roles.

A region is compared only if both audits asked about it and were answered in full. Any other region
is listed as not compared.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.text import shown_time

from .merge import place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from .merge import AccountRegion
    from .result import (
        AuditResult,
        CauseChange,
        Changes,
        NodeChange,
        NodeResult,
        NodeState,
        NotCompared,
        RegionResult,
        RoleChange,
    )

HEADINGS: Final = {
    "unreachable": "became unreachable",
    "unknown": "can't be judged any more",
    "causes": "unreachable for other causes",
    "reachable": "became reachable",
    "stopped": "stopped",
    "new": "new",
    "gone": "gone",
}
"""The kinds of changes of nodes, in the order in which they are shown."""
_SHOWN: Final = 20


def refuse_another_question(old: AuditResult, asked: Mapping[str, object], path: str) -> None:
    """Refuse an earlier result of other tags or of another document.

    Args:
        old: the earlier result.
        asked: what is asked about: `tags` and `document`, if they are known.
        path: the file that the earlier result was read from, for the errors.

    Raises:
        CannotAsk: it is about something else.
    """
    for field, flag in (("tags", "--tag"), ("document", "--document")):
        if field in old and field in asked and old.get(field) != asked[field]:
            raise CannotAsk(
                f"--compare {path} was asked with another {flag}: give the result of an audit with "
                f"the same {flag}"
            )


def compared(result: AuditResult, old: AuditResult, path: str) -> AuditResult:
    """Add to the result what is different from the earlier one.

    Args:
        result: the result.
        old: the earlier result.
        path: the file that the earlier result was read from, for the errors.

    Raises:
        CannotAsk: the earlier result is about other nodes.
    """
    refuse_another_question(old, result, path)
    if not {place(one) for one in old["regions"]} & {place(one) for one in result["regions"]}:
        raise CannotAsk(
            f"--compare {path} has no region of this audit: give the result of an audit of the "
            "same account and regions"
        )
    return result | {"changes": changes(old, result)}


def changes(old: AuditResult, new: AuditResult) -> Changes:
    """Compare two results."""
    before, after = _regions(old), _regions(new)
    both = before.keys() & after.keys()
    was = {node["id"]: node for node in old["instances"] if place(node) in both}
    now = {node["id"]: node for node in new["instances"] if place(node) in both}
    nodes = [
        _as_change(was.get(node_id), now.get(node_id), node)
        for node_id, node in (was | now).items()
        # Where a region was not read to its end, what is missing may be there.
        if (node_id in was or not before[place(node)]["error"])
        and (node_id in now or not after[place(node)]["error"])
    ]
    complete = {where for where in both if not before[where]["error"] and not after[where]["error"]}
    return {
        "since": old.get("asked_at"),
        "instances": sorted(
            (one for one in nodes if one["was"] != one["now"]),
            key=lambda one: (one["region"], one["id"]),
        ),
        "causes": _cause_changes(_causes(was, complete), _causes(now, complete)),
        "roles": list(_role_changes(old, new)),
        "not_compared": list(_not_compared(before, after)),
    }


def _regions(result: AuditResult) -> dict[AccountRegion, RegionResult]:
    return {place(region): region for region in result["regions"]}


def _as_change(old: NodeResult | None, new: NodeResult | None, node: NodeResult) -> NodeChange:
    account, region = place(node)
    return {
        "account": account,
        "region": region,
        "id": node["id"],
        "name": node["name"],
        "was": _state(old),
        "now": _state(new),
    }


def _state(node: NodeResult | None) -> NodeState | None:
    return node and {"verdict": node["verdict"], "causes": sorted(node["causes"])}


def _causes(nodes: dict[str, NodeResult], places: set[AccountRegion]) -> Counter[str]:
    return Counter(
        cause for node in nodes.values() if place(node) in places for cause in node["causes"]
    )


def _cause_changes(was: Counter[str], now: Counter[str]) -> list[CauseChange]:
    return [
        {"check": check, "was": was[check], "now": now[check]}
        for check in sorted(was.keys() | now.keys())
        if was[check] != now[check]
    ]


def _role_changes(old: AuditResult, new: AuditResult) -> Iterator[RoleChange]:
    """Find the roles whose permissions have changed, without what IAM did not answer.

    A role may lack a permission for only one of its nodes. So a loss is certain only if the earlier
    audit knew all nodes that the role has now, and a gain only in the reverse case.
    """
    before = {role["role"]: role for role in old["roles"]}
    more_now, more_then = _of_unseen_nodes(new, old), _of_unseen_nodes(old, new)
    for role in new["roles"]:
        arn = role["role"]
        earlier = before.get(arn)
        if earlier is None:
            continue
        lost = {*role["lacks"]} - {*earlier["lacks"], *earlier.get("unknown", ())}
        gained = {*earlier["lacks"]} - {*role["lacks"], *role.get("unknown", ())}
        lost = set() if arn in more_now else lost
        gained = set() if arn in more_then else gained
        if lost or gained:
            yield {"role": arn, "lost": sorted(lost), "gained": sorted(gained)}


def _of_unseen_nodes(result: AuditResult, other: AuditResult) -> set[str | None]:
    """Find the roles of nodes in regions that the other audit did not read completely."""
    seen = {(node["id"], node["role"]) for node in other["instances"]}
    whole = {where for where, region in _regions(other).items() if not region["error"]}
    return {
        node["role"]
        for node in result["instances"]
        if (node["id"], node["role"]) not in seen and place(node) not in whole
    }


def _not_compared(
    before: dict[AccountRegion, RegionResult], after: dict[AccountRegion, RegionResult]
) -> Iterator[NotCompared]:
    for account, region in sorted(before.keys() | after.keys()):
        old, new = before.get((account, region)), after.get((account, region))
        if old is None:
            why = "the earlier audit did not ask about it"
        elif new is None:
            why = "this audit did not ask about it"
        elif old["error"]:
            why = f"the earlier audit is not complete: {old['error']}"
        elif new["error"]:
            why = f"this audit is not complete: {new['error']}"
        else:
            continue
        yield {"account": account, "region": region, "why": why}


def by_kind(found: Changes) -> dict[str, list[NodeChange]]:
    """Group the changes of nodes: the keys are those of `HEADINGS`, in that order."""
    groups: dict[str, list[NodeChange]] = {kind: [] for kind in HEADINGS}
    for change in found["instances"]:
        groups[_kind(change)].append(change)
    return {kind: nodes for kind, nodes in groups.items() if nodes}


def _kind(change: NodeChange) -> str:
    was, now = change["was"], change["now"]
    if was is None or now is None:
        return "new" if was is None else "gone"
    return "causes" if was["verdict"] == now["verdict"] else now["verdict"]


def print_changes(console: Console, found: Changes) -> None:
    """Print what changed, the worst first."""
    since = found["since"]
    console.print(f"Changes since {shown_time(since)}" if since else "Changes", style="bold")
    for kind, nodes in by_kind(found).items():
        console.print(f"  {len(nodes)} {HEADINGS[kind]}")
        for node in nodes[:_SHOWN]:
            console.print(f"    {_line(node)}")
        if len(nodes) > _SHOWN:
            console.print(f"    and {len(nodes) - _SHOWN} more: --output json lists them all")
    for role in found["roles"]:
        for verb in ("lost", "gained"):
            if role[verb]:
                console.print(f"  {role['role']} {verb} {', '.join(role[verb])}")
    new = [one["check"] for one in found["causes"] if not one["was"]]
    if new:
        console.print(f"  causes that no instance had: {', '.join(new)}")
    if not (found["instances"] or found["roles"] or found["causes"]):
        console.print("  none")
    for left in found["not_compared"]:
        console.print(f"  not compared: {left['region']} of {left['account']}: {left['why']}")


def _line(node: NodeChange) -> str:
    causes = node["now"]["causes"] if node["now"] else []
    parts = [node["id"], node["region"], node["name"], ", ".join(causes)]
    return "  ".join(filter(None, parts))
