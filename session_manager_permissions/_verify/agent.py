"""Checks the version of the agent, and adds the agent's own diagnostics to the checks.

The release notes of amazon-ssm-agent and the user guide say which version sessions need:
https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-prerequisites.html
The format of the output of `ssm-cli get-diagnostics --output json`, and the names of its rows, come
from the folder agent/cli/diagnostics of amazon-ssm-agent.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Final, TypedDict

from .asking import CannotAsk
from .checks import AGENT, METADATA, PATHS, REGISTERED, CheckVerdict, Evidence, Outcome
from .document import PORT
from .lines import USER_GUIDE
from .node import RECORD, Node, at_least
from .options import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .preferences import Preferences

_BY_SESSION_TYPE: Final = {
    "InteractiveCommands": ("a session of InteractiveCommands", "2.3.668.0"),
    "NonInteractiveCommands": ("a session of NonInteractiveCommands", "3.0.1124.0"),
    PORT: ("forwarding a port", "2.3.672.0"),
}
"""The session types that older agents can't run.

Each has its name in messages, and the first version of the agent that runs it.
"""
_REMOTE_PORTS: Final = "3.1.1374.0"
_UPDATE: Final = "AWS-UpdateSSMAgent"
"""The document of AWS that updates the agent."""
_INSTALL: Final = f"{USER_GUIDE}ssm-agent.html"
"""The page with the installation of the agent on each platform."""
_ON_THE_NODE: Final = (
    "on the node: check the firewall, the DNS resolver, the routes and the proxy, as nothing in "
    "the account blocks the path"
)
_GIVE: Final = "give the output of: sudo ssm-cli get-diagnostics --output json"


def agent_version(node: Node, preferences: Preferences) -> Outcome:
    """Check whether the recorded version of the agent supports what the document uses."""
    if isinstance(node.record, CannotAsk):
        return AGENT.of(node.id).unasked(node.record)
    version = node.recorded("AgentVersion")
    if version is None:
        return AGENT.of(node.id).skipped("Systems Manager's record has no version of the agent")
    agent = AGENT.of(node.id, Evidence(RECORD, "AgentVersion", version))
    to_connect = [*_needed_to_connect(node)]
    needed = to_connect if node.connection == "notconnected" else []  # else it is new enough
    for feature, least in (*needed, *_needed_features(preferences)):
        is_new = at_least(version, least)
        if is_new is None:
            why = f"the version of the agent, {version!r}, can't be read"
            return AGENT.of(node.id).unknown(why, fix=_update(node))
        if not is_new:
            why = f"the agent has version {version}, and {feature} needs {least} or newer"
            is_port = preferences.document.session_type == PORT
            return agent.failed(why, fix=_update(node), is_seen=is_port)
    # The version that supports all documents, and the versions that can connect.
    connects = ((node.connection, least) for _, least in to_connect)
    for error, least in ((preferences.error, _REMOTE_PORTS), *connects):
        if isinstance(error, CannotAsk) and not at_least(version, least):
            return AGENT.of(node.id).unasked(error)
    return agent.passed(f"the agent has version {version}, which supports the document")


def _needed_to_connect(node: Node) -> Iterator[tuple[str, str]]:
    """Yield each feature that the agent needs to connect, with the first version that has it."""
    yield "Session Manager", "2.3.68.0"
    if (node.instance or {}).get("MetadataOptions", {}).get("HttpTokens") == "required":
        yield "an instance that requires IMDSv2", "2.3.772.0"  # the first with an SDK for it


def _needed_features(preferences: Preferences) -> Iterator[tuple[str, str]]:
    """Yield each feature that sessions need from the agent, with the first version that has it."""
    document = preferences.document
    if document.to_other_hosts:
        yield "forwarding the port of another host", _REMOTE_PORTS
    if document.session_type in _BY_SESSION_TYPE:
        yield _BY_SESSION_TYPE[document.session_type]
    if document.key:
        yield "the key of the document", "2.3.539.0"
    if document.run_as_enabled:
        yield "Run As", "2.3.672.0"
    if document.has_texts:
        yield "a document with strings in place of booleans", "3.0.655.0"


def _update(node: Node) -> str:
    """Say how to update the agent: by Run Command if it reports in, else on the node."""
    if node.online:
        of_node = f"--instance-ids {node.id_word} --document-name {_UPDATE}"
        return node.aws(f"ssm send-command {of_node}")
    return f"install the newest agent on the node: {_INSTALL}"


@dataclass(frozen=True)
class _Row:
    """A row of the diagnostics, as the file has it."""

    Check: str
    """The name of the row."""
    Status: str
    """`Success`, `Skipped` or `Failed`."""
    Note: str

    @property
    def evidence(self) -> Evidence:
        return Evidence("ssm-cli get-diagnostics", self.Check, f"{self.Status}: {self.Note}")


class _DiagnosticsFile(TypedDict):
    DiagnosticsOutput: list[_Row]


Diagnostics = dict[str, _Row]
"""The rows, by their names."""


def read_diagnostics(path: str, node_id: str) -> Diagnostics:
    """Read the file.

    Raises:
        CannotAsk: the file does not exist, has no diagnostics, or is from another node.
    """
    option = "--agent-diagnostics"
    rows: Diagnostics = {}
    for entry in read_json(path, option, _GIVE)(_DiagnosticsFile)["DiagnosticsOutput"]:
        row = _Row(*(" ".join(text.split()) for text in astuple(entry)))
        of = re.search(r"instance id (m?i-\w+)", row.Note)
        if of and of[1] != node_id:
            give = f"give the diagnostics of {node_id}, or --instance-id {of[1]}"
            raise CannotAsk(f"{option} {path} is from {of[1]}: {give}")
        rows[row.Check] = row
    return rows


def merged(check: Outcome, rows: Diagnostics, node: Node) -> Outcome:
    """Add the result of the agent's own diagnostics to a check.

    A check that is proven stays proven, as the file may be older.
    """
    if check.verdict == "proven" or (check.verdict == "skipped" and not check.fix):
        return check  # but the path of a hybrid node is skipped with a command to run on the node
    row = rows.get(check.check.row) if check.check.row else None
    if check.check in PATHS.values():
        return _with_path_test(check, row, rows.get("Proxy configuration"))
    if check.check is METADATA:
        return _with_test(check, row)
    if row is None or (check.check is REGISTERED and node.online):
        return check
    why = (*check.why, f"on the node: {row.Note}")
    return replace(check, why=why, evidence=(*check.evidence, row.evidence))


def _with_path_test(check: Outcome, row: _Row | None, proxy: _Row | None) -> Outcome:
    """Add the agent's connection test to a path. With a proxy, the path of the proxy counts."""
    # `Success` means only that port 443 answers: the policy of an endpoint may still deny calls.
    is_blind = check.by_policy and row and row.Status == "Success"
    found = _with_test(check, None if is_blind else row)
    if found is check and check.verdict == "fail" and proxy and proxy.Status == "Success":
        why = "the agent uses a proxy, so the network path of the proxy counts"
        evidence = (*check.evidence, proxy.evidence)
        return replace(check, verdict="unknown", why=(why, *check.why[:1]), evidence=evidence)
    return found


def _with_test(check: Outcome, row: _Row | None) -> Outcome:
    """Add the connection test of the agent to a check."""
    if row is None or row.Status not in ("Success", "Failed"):
        return check
    found: tuple[str, CheckVerdict, tuple[str, ...]] = "success", "pass", ()
    if row.Status == "Failed":
        found = "a failure", "fail", check.fix or (_ON_THE_NODE,)
    elif check.verdict == "fail":  # the agent reached the service nevertheless, or the file is old
        found = "success", "unknown", check.fix
    reported, verdict, fix = found
    why = (f"the agent reports {reported}: {row.Note}", *check.why)
    evidence = (*check.evidence, row.evidence)
    return replace(check, verdict=verdict, why=why, fix=fix, evidence=evidence)
