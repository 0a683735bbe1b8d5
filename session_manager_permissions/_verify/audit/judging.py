"""Judge a node by the checks of `verify --instance-id`, and make its entry in the result."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions._verify.asking import CannotAsk, NotThere
from session_manager_permissions._verify.checks import ASSUMABLE, CONNECTED, PATHS, RUNNING, Outcome
from session_manager_permissions._verify.diagnosis import Diagnosis, diagnose
from session_manager_permissions._verify.lines import with_profile
from session_manager_permissions._verify.node import Node, ask_connection, with_status_checks

from .inventory import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from session_manager_permissions._verify.path_remedies import PathRemedies

    from .result import NodeResult, NodeVerdict, RoleResult

_ALL_INSTANCES: Final[dict[str, Any]] = {"PaginationConfig": {"PageSize": 1000}}
"""The arguments of a call for the status of all instances, in the largest pages."""


class Judged(NamedTuple):
    """A node in the result, and what is known of its role."""

    result: NodeResult
    role: RoleResult | None = None
    """What is known of the role that the agent works with; None if there is none."""
    errors: tuple[CannotAsk, ...] = ()
    """Why the node could not be judged, or not by all checks."""
    again: Node | None = None
    """The node, if it is to be judged again because an error of AWS may be temporary."""
    fixes: Mapping[str, tuple[str, ...]] = {}
    """The remedies, by the names of the checks that the verdict follows from."""
    cut_off: PathRemedies | None = None
    """Finds the remedies of closed paths again, as other nodes may need the same changes."""


def judge(node: Node, document: str | None) -> Judged:
    """Ask whether the node is connected, and check all that stands between it and a session.

    Args:
        node: the node, as it is listed.
        document: the name of the Session document. Default: - `SSM-SessionManagerRunShell`, if it
            exists

    Raises:
        CannotAsk: the document can't be read.
    """
    if node.runs:
        node = replace(node, connection=ask_connection(node.session, node.id, kept=False))
    node = with_status_checks(node, **_ALL_INSTANCES)
    diagnosis = diagnose(node, document, explains=False, command="audit")
    # A node that never registered can't be connected, so that symptom adds nothing.
    is_told = node.runs and (node.record is not None or node.connection != "notconnected")
    checks = [one for one in diagnosis.checks if is_told or one.check is not CONNECTED]
    verdict, because = _verdict(node, checks)
    connection = node.connection if node.runs and isinstance(node.connection, str) else None
    fixes = {one.name: one.fix for one in because}
    result: NodeResult = {
        **unjudged(node, ""),
        "profile": diagnosis.identity.profile,
        "role": diagnosis.identity.role and diagnosis.identity.role.arn,
        "connection": connection,
        "verdict": verdict,
        "causes": [check.name for check in because] if verdict == "unreachable" else [],
        "why": [*dict.fromkeys(line for check in because for line in check.why)],
        "fix": _each_once(fixes),
    }
    errors = [error for one in diagnosis.checks for error in one.errors]
    unasked = tuple(one for one in errors if not isinstance(one, NotThere))
    is_cut_off = any(one.check.group == "its network" for one in because)
    role, cut_off = _role(diagnosis, checks), diagnosis.path_remedies if is_cut_off else None
    return Judged(result, role, unasked, fixes=fixes, cut_off=cut_off)


def mended(judged: Judged, remedies: PathRemedies) -> Judged:
    """Return the result of a node with the remedies that `remedies` finds for its closed paths."""
    found, profile = remedies.found(), remedies.node.session.profile
    of_paths = {PATHS[one].name: with_profile(lines, profile) for one, lines in found.items()}
    fixes = {name: of_paths.get(name, lines) for name, lines in judged.fixes.items()}
    return judged._replace(result={**judged.result, "fix": _each_once(fixes)})


def _each_once(fixes: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the lines of all fixes in order, each once."""
    return [*dict.fromkeys(chain.from_iterable(fixes.values()))]


def _role(diagnosis: Diagnosis, checks: Sequence[Outcome]) -> RoleResult | None:
    """Return what is known of the role that the agent works with; None if there is none."""
    identity = diagnosis.identity
    if identity.role is None:
        return None
    of_profile = [ASSUMABLE] if identity.replaced else []  # it is about the profile's unused role
    of_role = [one for one in checks if one.check.of_role and one.check not in of_profile]
    profiles = [identity.profile] if identity.profile and not identity.replaced else []
    options = chain.from_iterable(one.question.options for one in identity.verdicts)
    return {
        "role": identity.role.arn,
        "profiles": profiles,
        "instances": 1,
        "lacks": [one.name for one in of_role if one.verdict == "fail"],
        "unknown": [one.name for one in of_role if one.verdict == "unknown"],
        "options": {name: [value] for name, value in options},
    }


def _verdict(node: Node, checks: Sequence[Outcome]) -> tuple[NodeVerdict, list[Outcome]]:
    """Return the verdict, and the checks that it follows from."""
    failing = [check for check in checks if check.verdict == "fail"]
    others = [one for one in failing if not one.check.is_symptom]
    if not node.runs:
        return "stopped", [one for one in failing if one.check is RUNNING]
    if node.connected and not failing:
        return "reachable", []
    if isinstance(node.connection, CannotAsk) and not others:
        return "unknown", [one for one in checks if one.check is CONNECTED]
    return "unreachable", others or failing


def unjudged(node: Node, why: str) -> NodeResult:
    """Return the result of a node that could not be judged."""
    return {
        "id": node.id,
        "account": node.account,
        "region": node.region,
        "name": name_of(node),
        "state": node.state,
        "profile": node.profile_arn and node.profile_arn.rpartition("/")[2],
        "role": None,
        "ping": node.ping,
        "connection": None,
        "verdict": "unknown" if node.runs else "stopped",
        "causes": [],
        "why": [why],
        "fix": [],
    }
