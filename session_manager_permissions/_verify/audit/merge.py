"""Read results of audits from files, and make one result of those of several accounts and runs."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.options import read_json

from .listing import agreed
from .result import AuditResult
from .shape import fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .listing import Options
    from .result import NodeResult, RegionResult, RoleResult, Summary

AccountRegion = tuple[str, str]
"""An account, and a region of it."""

_GIVE: Final = "give what session-manager-permissions audit --output json printed"
_GRANTED: Final = "role-assumable"
"""The check of a role that no policy fixes."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class _RegionInFile(NamedTuple):
    """What one file says of a region of an account. A merge takes all of it or nothing."""

    path: str
    result: AuditResult
    region: RegionResult


def read(paths: Sequence[str]) -> AuditResult:
    """Read the results of `--from`, and merge them if there are several.

    Raises:
        CannotAsk: a file can't be read, or it has no result of an audit.
    """
    results = {path: read_file(path, "--from") for path in paths}
    return results[paths[0]] if len(results) == 1 else _merged(results)


def read_file(path: str, option: str) -> AuditResult:
    """Read the result in a file, fill in the account and the time of each part, and count anew.

    Args:
        path: the file.
        option: the option that names it, for the errors.

    Raises:
        CannotAsk: the file can't be read, or it has no result of an audit.
    """
    where = f"{option} {path}"
    written = read_json(path, option, _GIVE)
    if isinstance(written, dict) and written.get("version", 1) != 1:
        raise CannotAsk(
            f"{where} has the version {written['version']!r}, and this program reads version 1: "
            "use a newer session-manager-permissions"
        )
    found = fault(written, AuditResult) or _contradiction(written)
    if found:
        raise CannotAsk(f"{where} is no result of an audit: {found}: {_GIVE}")
    result = cast("AuditResult", written)
    _fill_in(result)
    return result


def _contradiction(result: AuditResult) -> str | None:
    """Find a contradiction that the types can't express."""
    parts = (*result["regions"], *result["instances"])
    if result["account"] is None and not all("account" in part for part in parts):
        return "account is null, and not every region and instance has an account"
    for time in (result.get("asked_at"), *(one.get("asked_at") for one in result["regions"])):
        if time is not None and not _TIME.fullmatch(time):
            return f"asked_at is {time!r}, which is not like 2026-11-26T07:20:00Z"
    places = Counter(map(place, result["regions"]))
    for (_, region), times in places.items():
        if times > 1:
            return f"{region} is twice among the regions"
    for node in result["instances"]:
        if place(node) not in places:
            return f"{node['id']} is in {node['region']}, which is not among the regions"
    return None


def _fill_in(result: AuditResult) -> None:
    account, asked_at = result["account"], result.get("asked_at")
    for region in result["regions"]:
        region.setdefault("account", str(account))
        region.setdefault("asked_at", asked_at)
    for node in result["instances"]:
        node.setdefault("account", str(account))
    accounts = {region["account"] for region in result["regions"]} or {str(account)}
    result.setdefault("accounts", sorted(accounts))
    result["summary"] = summary(result["instances"])


def place(part: RegionResult | NodeResult) -> AccountRegion:
    """Return the account and the region of a part of a result."""
    return part.get("account", ""), part["region"]


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


def _merged(results: dict[str, AuditResult]) -> AuditResult:
    answers: dict[AccountRegion, list[_RegionInFile]] = {}
    for path, result in results.items():
        for region in result["regions"]:
            answers.setdefault(place(region), []).append(_RegionInFile(path, result, region))
    newest = {where: _newest(found) for where, found in answers.items()}
    used = [one for one in results.values() if any(one is kept.result for kept in newest.values())]
    nodes = [
        node
        for result in used
        for node in result["instances"]
        if newest[place(node)].result is result
    ]
    nodes.sort(key=lambda node: (node["region"], node["id"]))
    regions = sorted((kept.region for kept in newest.values()), key=lambda one: place(one)[::-1])
    accounts = sorted({account for account, _ in newest})
    times = [region.get("asked_at") for region in regions]
    roles = _roles(used, nodes)
    merged: AuditResult = {
        "version": 1,
        "account": accounts[0] if len(accounts) == 1 else None,
        "regions": regions,
        "summary": summary(nodes),
        "instances": nodes,
        "roles": roles,
        "profiles": lacking(roles),
        "accounts": accounts,
        "asked_at": None if None in times else min(map(str, times)),
        "replaced": [
            {
                "account": account,
                "region": region,
                "asked_at": answer.region.get("asked_at"),
                "file": answer.path,
            }
            for (account, region), found in answers.items()
            for answer in found
            if answer is not newest[account, region]
        ],
    }
    _keep_what_all_have(used, merged)
    return merged


def _newest(answers: Iterable[_RegionInFile]) -> _RegionInFile:
    """Return the answer of the latest time; where one has no time, the one that is named last."""
    first, *others = answers
    newest = first
    for answer in others:
        before, after = newest.region.get("asked_at"), answer.region.get("asked_at")
        if before is None or after is None or before <= after:
            newest = answer
    return newest


def lacking(roles: Iterable[RoleResult]) -> list[str]:
    """Name the profiles whose role lacks a permission."""
    return sorted(
        {name for role in roles if {*role["lacks"]} - {_GRANTED} for name in role["profiles"]}
    )


def _roles(used: Sequence[AuditResult], nodes: Sequence[NodeResult]) -> list[RoleResult]:
    """Return the roles of these nodes, each as the latest result has it.

    What an earlier result says that a role lacks counts as long as one of the nodes has that cause:
    a role may lack a permission in one region alone.
    """
    latest: dict[str, RoleResult] = {}
    profiles: dict[str, set[str]] = {}
    lacks: dict[str, dict[str, None]] = {}
    options: dict[str, list[tuple[list[str], Options]]] = {}
    for result in sorted(used, key=lambda one: one.get("asked_at") or ""):
        for role in result["roles"]:
            arn = role["role"]
            latest[arn] = role
            profiles.setdefault(arn, set()).update(role["profiles"])
            lacks.setdefault(arn, {}).update(dict.fromkeys(role["lacks"]))
            options.setdefault(arn, []).append((role["lacks"], role.get("options", {})))
    using = Counter(node["role"] for node in nodes)
    in_use = {node["profile"] for node in nodes}
    fails = {(node["role"], cause) for node in nodes for cause in node["causes"]}
    found: list[RoleResult] = []
    for arn, role in sorted(latest.items()):
        if using[arn]:
            of_role = [one for one in lacks[arn] if one in role["lacks"] or (arn, one) in fails]
            merged: RoleResult = {
                **role,
                "instances": using[arn],
                "profiles": sorted(profiles[arn] & in_use),
                "lacks": of_role,
            }
            if "unknown" in role:
                merged["unknown"] = [one for one in role["unknown"] if one not in of_role]
            if "options" in role:
                known = [([one for one in was if one in of_role], of) for was, of in options[arn]]
                merged["options"] = agreed(known)
            found.append(merged)
    return found


def _keep_what_all_have(used: Sequence[AuditResult], merged: AuditResult) -> None:
    """Take over what was asked about, if all results were asked the same."""
    first, *others = used
    if "tags" in first and all(one.get("tags") == first["tags"] for one in others):
        merged["tags"] = first["tags"]
    if "document" in first and all(one.get("document", "") == first["document"] for one in others):
        merged["document"] = first["document"]
