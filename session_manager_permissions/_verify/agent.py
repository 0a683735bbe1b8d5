"""Adds the agent's own diagnostics to the checks: `ssm-cli get-diagnostics --output json`.

Its shape, and the names of its rows, are those of agent/cli/diagnostics of amazon-ssm-agent.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict

from .asking import CannotAsk
from .checks import Evidence, Outcome
from .options import read_json
from .remedies import START

if TYPE_CHECKING:
    from .checks import CheckVerdict
    from .node import Node

_API: Final = "ssm-cli get-diagnostics"
_CREDENTIALS: Final = "AWS Credentials"
_METADATA: Final = "EC2 IMDS"
_PROXY: Final = "Proxy configuration"
_SERVICE: Final = "Agent service"
_ON_THE_NODE: Final = (
    "on the node: look at its firewall, its DNS resolver, its routes and its proxy, as nothing in "
    "the account stops it"
)
_GIVE: Final = "give the output of: sudo ssm-cli get-diagnostics --output json"


class _FileRow(TypedDict):
    Check: str
    Status: str
    Note: str


class _DiagnosticsFile(TypedDict):
    DiagnosticsOutput: list[_FileRow]


class _Row(NamedTuple):
    """A row of the diagnostics."""

    name: str
    status: str
    """`Success`, `Skipped` or `Failed`."""
    note: str

    @property
    def evidence(self) -> Evidence:
        return Evidence(_API, self.name, f"{self.status}: {self.note}")


Diagnostics = dict[str, _Row]
"""The rows, by their names."""


def read_diagnostics(path: str, node_id: str) -> Diagnostics:
    """Read the file.

    Raises:
        CannotAsk: there is no such file, it is none of diagnostics, or it is of another node.
    """
    option = f"--agent-diagnostics {path}"
    written = read_json(path, "--agent-diagnostics", _GIVE)(_DiagnosticsFile)
    rows = []
    for entry in written["DiagnosticsOutput"]:
        said = (entry["Check"], entry["Status"], entry["Note"])
        rows.append(_Row(*(" ".join(one.split()) for one in said)))
    for row in rows:
        of = re.search(r"instance id (m?i-\w+)", row.note)
        if of and of[1] != node_id:
            raise CannotAsk(f"{option} is of {of[1]}: give the diagnostics of {node_id}")
    return {row.name: row for row in rows}


def merged(check: Outcome, rows: Diagnostics, node: Node) -> Outcome:
    """Return a check, with what only the node knows.

    What is proven stays so, as the file may be older.
    """
    if check.verdict == "proven" or (check.verdict == "skipped" and not check.fix):
        return check  # a path of a hybrid node is skipped as well, with what to run on it
    if check.name.startswith("path-"):
        service = check.name.removeprefix("path-")
        return _path(check, rows.get(f"Connectivity to {service} endpoint"), rows.get(_PROXY))
    if check.name == "metadata":
        return _seen(check, rows.get(_METADATA))
    if check.name in ("role-assumable", "default-host-management"):
        return _noted(check, rows.get(_CREDENTIALS))
    if check.name == "registered" and not node.online:
        return _service(check, rows.get(_SERVICE), node)
    return check


def _path(check: Outcome, row: _Row | None, proxy: _Row | None) -> Outcome:
    found = _seen(check, row)
    if found is check and check.verdict == "fail" and proxy and proxy.status == "Success":
        why = (
            "the agent uses a proxy, so the path of the proxy counts and not that of the node",
            *check.why[:1],
        )
        evidence = (*check.evidence, proxy.evidence)
        return replace(check, verdict="unknown", why=why, evidence=evidence)
    return found


def _seen(check: Outcome, row: _Row | None) -> Outcome:
    """Return the check, with what the node has tried."""
    if row is None or row.status not in ("Success", "Failed"):
        return check
    evidence = (*check.evidence, row.evidence)
    if row.status == "Failed":
        why = (f"on the node it fails: {row.note}", *check.why)
        fix = check.fix or (_ON_THE_NODE,)
        return replace(check, verdict="fail", why=why, fix=fix, evidence=evidence)
    # The agent reached the service although this check failed, or the file is out of date.
    verdict: CheckVerdict = "unknown" if check.verdict == "fail" else "pass"
    why = (f"on the node it works: {row.note}", *check.why)
    fix = check.fix if verdict == "unknown" else ()
    return replace(check, verdict=verdict, why=why, fix=fix, evidence=evidence)


def _noted(check: Outcome, row: _Row | None) -> Outcome:
    if row is None:
        return check
    why = (*check.why, f"on the node: {row.note}")
    return replace(check, why=why, evidence=(*check.evidence, row.evidence))


def _service(check: Outcome, row: _Row | None, node: Node) -> Outcome:
    noted = _noted(check, row)
    if row is None or row.status != "Failed":
        return noted
    start = "Start-Service AmazonSSMAgent" if node.platform == "Windows" else START
    return replace(noted, fix=(f"on the node: {start}", *check.fix))
