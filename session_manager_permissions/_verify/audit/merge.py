"""Combine what is known of nodes and roles into one result, and read results from files."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.checks import ASSUMABLE, ORDER
from session_manager_permissions._verify.lines import is_deployment
from session_manager_permissions._verify.options import read_json

from .causes import without_profile_and_role
from .listing import agreed
from .result import AuditResult, NodeResult, RegionResult, RoleResult, Summary, Versioned

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_GIVE: Final = "give what session-manager-permissions audit --output json printed"
_RANKS: Final = {name: rank for rank, name in enumerate(ORDER)}
_BY_LIST: Final = (
    "other nodes need other permissions of the role, and no single command deploys them all: "
    "deploy a list with the options of all of them, by -c instance-profiles=FILE or -c roles=FILE, "
    "in each region of a log group that the list names without its region"
)


def combined(
    regions: Iterable[RegionResult], nodes: Iterable[NodeResult], roles: Iterable[RoleResult]
) -> AuditResult:
    """Combine regions, nodes and roles into one result.

    Args:
        regions: the regions, each once.
        nodes: the nodes in them.
        roles: the roles of the nodes; several entries about one role are merged.
    """
    by_place = sorted(regions, key=lambda one: (one["region"], one["account"]))
    by_id = sorted(_with_list_as_fixes(nodes), key=lambda one: (one["region"], one["id"]))
    accounts = sorted({region["account"] for region in by_place})
    times = [region["asked_at"] for region in by_place]
    in_use = _merged_roles(roles)
    return {
        "version": 1,
        "account": accounts[0] if len(accounts) == 1 else None,
        "regions": by_place,
        "summary": summary(by_id),
        "instances": by_id,
        "roles": in_use,
        "profiles": lacking(in_use),
        "accounts": accounts,
        "asked_at": None if None in times else min(map(str, times), default=None),
    }


def _with_list_as_fixes(nodes: Iterable[NodeResult]) -> list[NodeResult]:
    """Replace commands that deploy different permissions to one role by the advice to use a list.

    The commands deploy the same stack, so each would remove what the others have granted.
    """
    found = [*nodes]
    commands: dict[str | None, set[str]] = {}
    for node in found:
        lines = without_profile_and_role(node, node["fix"])
        commands.setdefault(node["role"], set()).update(filter(is_deployment, lines))
    return [_with_list_as_fix(one) if len(commands[one["role"]]) > 1 else one for one in found]


def _with_list_as_fix(node: NodeResult) -> NodeResult:
    return {**node, "fix": [_BY_LIST if is_deployment(line) else line for line in node["fix"]]}


def summary(nodes: Sequence[NodeResult]) -> Summary:
    """Count the nodes by their verdicts, and by their causes."""
    verdicts = Counter(node["verdict"] for node in nodes)
    causes = Counter(cause for node in nodes for cause in node["causes"])
    return {
        "instances": len(nodes),
        "reachable": verdicts["reachable"],
        "unreachable": verdicts["unreachable"],
        "stopped": verdicts["stopped"],
        "unknown": verdicts["unknown"],
        "causes": dict(causes.most_common()),
    }


def lacking(roles: Iterable[RoleResult]) -> list[str]:
    """Name the profiles whose role lacks a permission: `role-assumable` is about no permission."""
    found = (role for role in roles if {*role["lacks"]} - {ASSUMABLE.name})
    return sorted({name for role in found for name in role["profiles"]})


def _merged_roles(parts: Iterable[RoleResult]) -> list[RoleResult]:
    """Merge the entries about each role."""
    by_role: dict[str, list[RoleResult]] = {}
    for part in parts:  # IAM's names are unique regardless of case
        by_role.setdefault(part["role"].lower(), []).append(part)
    return sorted(map(_merged_role, by_role.values()), key=lambda role: role["role"])


def _merged_role(parts: list[RoleResult]) -> RoleResult:
    """Merge the entries about one role."""
    lacks = {name for part in parts for name in part["lacks"]}
    unknown = {name for part in parts for name in part["unknown"]} - lacks
    return {
        "role": parts[0]["role"],
        "profiles": sorted({name for part in parts for name in part["profiles"]}),
        "instances": sum(part["instances"] for part in parts),
        "lacks": _in_order(lacks),
        "unknown": _in_order(unknown),
        "options": agreed([(part["lacks"], part.get("options", {})) for part in parts]),
    }


def _in_order(checks: Iterable[str]) -> list[str]:
    """Sort the names of checks as `verify` does. Names of another version come last."""
    return sorted(checks, key=lambda name: (_RANKS.get(name, len(_RANKS)), name))


def read(paths: Sequence[str]) -> AuditResult:
    """Read the results of `--from`, and combine them into one.

    Raises:
        CannotAsk: a file can't be read, it has no result of an audit, or two of them have the same
            region of an account.
    """
    results = [_read_file(path) for path in paths]
    files: dict[tuple[str, str], str] = {}
    for path, result in zip(paths, results, strict=True):
        for region in result["regions"]:
            place = region["account"], region["region"]
            if place in files:
                raise CannotAsk(
                    f"--from {files[place]} and {path} both have {place[1]} of the account "
                    f"{place[0]}: give one of the two"
                )
            files[place] = path
    merged = combined(
        [region for result in results for region in result["regions"]],
        [node for result in results for node in result["instances"]],
        [role for result in results for role in result["roles"]],
    )
    if all("tags" in one and one["tags"] == results[0].get("tags") for one in results):
        merged["tags"] = results[0]["tags"]
    if all("document" in one and one["document"] == results[0]["document"] for one in results):
        merged["document"] = results[0]["document"]
    return merged


def _read_file(path: str) -> AuditResult:
    """Read a result from a file, and refuse any other content."""
    typed = read_json(path, "--from", _GIVE)
    version = typed(Versioned)["version"]
    if version != 1:
        raise CannotAsk(
            f"--from {path} has the version {version}, and this program reads version 1: use a "
            "newer session-manager-permissions"
        )
    result = typed(AuditResult)
    if found := _misplaced(result):
        raise CannotAsk(f"--from {path} is not the result of an audit: {found}: {_GIVE}")
    return result


def _misplaced(result: AuditResult) -> str | None:
    """Say which node is in none of the result's regions, as the types can't rule that out."""
    places = {(region["account"], region["region"]) for region in result["regions"]}
    for node in result["instances"]:
        if (node["account"], node["region"]) not in places:
            return f"{node['id']} is in {node['region']}, which is not among the regions"
    return None
