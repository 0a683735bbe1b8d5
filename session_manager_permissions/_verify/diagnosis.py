"""Diagnoses one node: makes all checks, in their order, and finds the first cause."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .agent import Diagnostics, agent_version, merged
from .checks import AGENT, HOST_MANAGEMENT, ORDER, RUNNING, Outcome, ways_out
from .identity import Identity, find_identity, unless_replaced
from .lines import with_profile
from .node import Node, connected, registered, running, tier
from .not_connected import explained, remedies
from .operators import find_operator, may_start, plugin
from .paths import path_outcomes
from .preferences import Preferences, find_preferences, uses_outcomes
from .run_as import run_as

if TYPE_CHECKING:
    from .path_remedies import PathRemedies


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """A node, and the checks of everything that a session on it needs."""

    node: Node
    identity: Identity
    preferences: Preferences
    checks: list[Outcome]
    path_remedies: PathRemedies | None
    """Finds the remedies of closed paths again; None if no path was judged."""

    @property
    def ready(self) -> bool:
        """Tell whether the node is connected and no check fails."""
        return self.node.connected and not any(check.verdict == "fail" for check in self.checks)

    @property
    def cause(self) -> Outcome | None:
        """Find the first check that fails; for a symptom, the first check that can be its cause.

        If only symptoms fail, it is the check with a clue why the agent is not connected. A check
        that prevents sessions comes before a check that only loses their logs.
        """
        failing = [one for one in self.checks if one.verdict == "fail"]
        if any(one.check.is_symptom for one in failing):
            failing.sort(key=lambda one: not one.check.connects)
            if not failing[0].check.connects:
                shown = [one for one in self.checks if one.check is AGENT and one.is_shown]
                failing = [*shown, *failing]
        else:
            failing.sort(key=lambda one: not one.is_seen)
        return next(iter(failing), None)

    @property
    def to_run(self) -> list[str]:
        """List what to run on the node, if it runs, and how to log in without a session."""
        if not self.node.runs or self.node.is_closed:
            return []
        is_windows = self.node.platform == "Windows"
        if self.node.connected:
            disk = "Get-PSDrive" if is_windows else "df -h"
            seen = 'the screen is black or users see "Plugin with name Standard_Stream not found"'
            lines = [f"on the node: {disk}, if {seen}: the disk may be full"]
            user = "on the node: net user ssm-user, if the screen is black: the user may be missing"
            return [*lines, user] if is_windows else lines
        given = "give the output of --output json to --agent-diagnostics"
        ask_node = f"on the node: {self.node.diagnostics}; {given}"
        if self.node.instance is None:
            return [ask_node]
        get_in = "Remote Desktop" if is_windows else "EC2 Instance Connect"
        lines = [ask_node, f"to log in without a session: {get_in}, or the EC2 serial console"]
        if not is_windows:
            lines.append(self.node.aws_on_it("ec2-instance-connect ssh"))
        return [*with_profile(lines, self.node.session.profile)]


def diagnose(
    node: Node,
    document: str | None = None,
    operator: str | None = None,
    rows: Diagnostics | None = None,
    *,
    explains: bool = True,
    command: str = "verify",
) -> Diagnosis:
    """Check everything that a session on a node needs.

    Args:
        node: the node.
        document: the name of the Session document. Default: - `SSM-SessionManagerRunShell`, where
            it exists
        operator: the ARN of a user or a role, or `caller`. Default: - no operator is checked
        rows: the agent's diagnostics. Default: - there are none
        explains: whether to look for clues why the agent is not connected, if nothing else fails
        command: the command that makes the diagnosis, whose permissions the user can print

    Raises:
        CannotAsk: what an argument names can't be read.
    """
    preferences = find_preferences(node, document)
    identity = find_identity(node, preferences.uses)
    who = None if operator is None else find_operator(node, operator)
    of_paths, path_remedies = path_outcomes(node, preferences, identity)
    checks = [
        *(running(node), connected(node), registered(node)),
        *identity.outcomes,
        agent_version(node, preferences),
        tier(node),
        *of_paths,
        run_as(node, preferences, who),
    ]
    if who is not None:
        checks += [may_start(node, preferences, who), plugin()]
    checks += uses_outcomes(node, preferences, identity)
    if identity.replaced is None:
        (management,) = (one for one in identity.outcomes if one.check is HOST_MANAGEMENT)
        checks = [unless_replaced(check, management.errors) for check in checks]
    if rows is not None:
        checks = [merged(check, rows, node) for check in checks]
    if node.is_closed:
        checks = [_unless_managed(check) for check in checks]
    if explains:
        checks = explained(node, identity, checks, rows or {})
    checks.sort(key=lambda check: ORDER.index(check.name))
    checks = _with_remedies(checks, node, command)
    return Diagnosis(
        node=node,
        identity=identity,
        preferences=preferences,
        checks=checks,
        path_remedies=path_remedies,
    )


def _unless_managed(check: Outcome) -> Outcome:
    """Skip a check if the instance has a manager that allows no sessions, whatever it finds."""
    if check.check is RUNNING or check.check.is_symptom:
        return check
    return check.check.skipped("no session opens on the instance, whatever this check finds")


def _with_remedies(outcomes: list[Outcome], node: Node, command: str) -> list[Outcome]:
    """Return the outcomes with all remedies, and with the AWS profile in all commands.

    A remedy is added for each symptom, and for each call that the credentials may not make.
    """
    connecting = [one for one in outcomes if one.check.connects]
    causes = [one.name for one in connecting if one.verdict == "fail"]
    unknown = [
        one.name for one in connecting if one.verdict == "unknown" and one.check is not AGENT
    ]
    shown = next((one.fix for one in outcomes if one.check is AGENT and one.is_shown), None)
    fix = remedies(node, causes, unknown) if causes or shown is None else shown

    def with_fix(one: Outcome) -> Outcome:
        more = fix if one.check.is_symptom and one.verdict == "fail" else ()
        ways = ways_out(one.errors, command) if one.verdict in ("fail", "unknown") else ()
        lines = (*ways, *one.fix) if one.verdict == "unknown" else (*one.fix, *ways, *more)
        return replace(one, fix=with_profile(lines, node.session.profile))

    return [with_fix(one) for one in outcomes]
