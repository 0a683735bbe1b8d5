"""Judge a node by the checks of `verify --instance-id`, and say what comes of it in the result."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from session_manager_permissions._verify.asking import CannotAsk, tried
from session_manager_permissions._verify.checks import SYMPTOMS
from session_manager_permissions._verify.diagnosis import diagnose_found
from session_manager_permissions._verify.node import ask_connection, ask_status_checks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from session_manager_permissions._verify.checks import Check
    from session_manager_permissions._verify.node import Node
    from session_manager_permissions._verify.session import AwsSession

    from .inventory import Listed
    from .result import NodeResult, NodeVerdict
    from .sharing import SharingSession

PERMISSIONS: Final = (
    "role-assumable",
    "register",
    "reach",
    "encrypt",
    "log-to-s3",
    "log-to-cloudwatch",
)
"""The checks of what a role may do."""


class Judged(NamedTuple):
    """A node in the result, and what is known of its role."""

    result: NodeResult
    of_profile: bool = False
    """Whether the role is that of the node's instance profile."""
    lacks: tuple[str, ...] = ()
    """The checks of the role's permissions that fail."""
    unknown: tuple[str, ...] = ()
    """The checks of the role's permissions that are unknown."""


def judge(session: SharingSession, listed: Listed, document: str | None) -> Judged:
    """Ask whether the node is connected, and check all that stands between it and a session.

    A node that Systems Manager has no record of has never been connected, so its connection is not
    asked.

    Args:
        session: makes the clients, in the node's region.
        listed: the node.
        document: the name of the Session document. Default: - `SSM-SessionManagerRunShell`, if it
            exists
    """
    stand_in = cast("AwsSession", session)
    is_asked = listed.runs and listed.record is not None
    connection: str | CannotAsk = "notconnected"
    if is_asked:
        connection = tried(lambda: ask_connection(stand_in, listed.id))
    node = listed.as_node(session.partition, connection)
    if node.state == "running" and not node.connected and not node.online:
        status_checks = tried(lambda: ask_status_checks(stand_in, listed.id))
        node = replace(node, status_checks=status_checks)
    try:
        diagnosis = diagnose_found(stand_in, node, document)
    except CannotAsk as error:  # the document
        session.unanswered[str(error)] = error
        return Judged(unjudged(listed, str(error)))
    checks = [one for one in diagnosis.checks if is_asked or one.name != "connected"]
    verdict, because = _verdict(node, checks)
    result: NodeResult = {
        "id": listed.id,
        "account": listed.account,
        "region": listed.region,
        "name": listed.name,
        "state": node.state,
        "profile": diagnosis.identity.profile,
        "role": diagnosis.identity.role and diagnosis.identity.role.arn,
        "ping": node.ping,
        "connection": connection if is_asked and isinstance(connection, str) else None,
        "verdict": verdict,
        "causes": [check.name for check in because] if verdict == "unreachable" else [],
        "why": _each(line for check in because for line in check.why),
        "fix": _each(line for check in because for line in check.fix),
    }
    replaced = diagnosis.identity.replaced
    # who may assume a role is then asked of the profile's, which does not do the work
    of_role = [one for one in checks if one.name in PERMISSIONS[replaced:]]
    lacks, unknown = (
        tuple(one.name for one in of_role if one.verdict == verdict)
        for verdict in ("fail", "unknown")
    )
    return Judged(result, not replaced and not node.is_hybrid, lacks, unknown)


def _verdict(node: Node, checks: Sequence[Check]) -> tuple[NodeVerdict, list[Check]]:
    """Return the verdict, and the checks that it follows from."""
    failing = [check for check in checks if check.verdict == "fail"]
    causes = [check for check in failing if check.name not in SYMPTOMS]
    if node.state not in (None, "running"):
        return "stopped", [check for check in failing if check.name == "instance-running"]
    if node.connected and not failing:
        return "reachable", []
    if isinstance(node.connection, CannotAsk) and not causes:
        return "unknown", [check for check in checks if check.name == "connected"]
    return "unreachable", causes or failing


def unjudged(listed: Listed, why: str) -> NodeResult:
    """Return the result of a node that could not be judged."""
    return {
        "id": listed.id,
        "account": listed.account,
        "region": listed.region,
        "name": listed.name,
        "state": listed.state,
        "profile": listed.profile,
        "role": None,
        "ping": listed.ping,
        "connection": None,
        "verdict": "unknown" if listed.runs else "stopped",
        "causes": [],
        "why": [why],
        "fix": [],
    }


def _each(lines: Iterable[str]) -> list[str]:
    """Return each line once."""
    return list(dict.fromkeys(lines))
