"""Checks whether the version of the agent can do what sessions on the node ask of it.

The versions are those of the release notes of amazon-ssm-agent and of the user guide:
https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-prerequisites.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .asking import CannotAsk
from .checks import AGENT, Evidence, Outcome
from .document import PORT
from .node import RECORD, at_least
from .remedies import INSTALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .node import Node
    from .preferences import Preferences

_SESSIONS: Final = "2.3.68.0"
_KEY: Final = "2.3.539.0"
_RUN_AS: Final = "2.3.672.0"
_PORTS: Final = "2.3.672.0"
_PORTS_OF_OTHERS: Final = "3.1.1374.0"
_UPDATE: Final = "AWS-UpdateSSMAgent"
"""The document of AWS that updates the agent."""


def agent_version(node: Node, preferences: Preferences) -> Outcome:
    """Check whether the agent, as it is on record, can do what the document asks."""
    if isinstance(node.record, CannotAsk):
        return AGENT.of(node.id).unasked(node.record)
    version = node.recorded("AgentVersion")
    if version is None:
        why = "Systems Manager has no version of the agent on record"
        return AGENT.of(node.id).skipped(why)
    agent = AGENT.of(node.id, Evidence(RECORD, "AgentVersion", version))
    for what, least in _asked(node, preferences):
        is_new = at_least(version, least)
        if is_new is None:
            why = f"the version of the agent, {version!r}, can't be read"
            return AGENT.of(node.id).unknown(why, fix=_update(node))
        if not is_new:
            why = f"the agent has version {version}, and {what} takes {least} or a newer one"
            is_port = preferences.document.session_type == PORT
            return agent.failed(why, fix=_update(node), is_seen=is_port)
    error = preferences.error
    if error and not at_least(version, _PORTS_OF_OTHERS):  # which can do all that documents ask
        return AGENT.of(node.id).unasked(error)
    return agent.passed(f"the agent has version {version}, which can do what the document asks")


def _asked(node: Node, preferences: Preferences) -> Iterator[tuple[str, str]]:
    """Yield what sessions ask of the agent, and the first version that can do it."""
    document = preferences.document
    if not node.connected:  # else it has shown that it can
        yield "Session Manager", _SESSIONS
    if document.to_other_hosts:
        yield "forwarding the port of another host", _PORTS_OF_OTHERS
    if document.session_type == PORT:
        yield "forwarding a port", _PORTS
    if document.key:
        yield "the key of the document", _KEY
    if document.run_as_enabled:
        yield "Run As", _RUN_AS


def _update(node: Node) -> str:
    if node.online:
        of_node = f"--instance-ids {node.id_word} --document-name {_UPDATE}"
        return node.aws(f"ssm send-command {of_node}")
    return f"install the newest agent on the node: {INSTALL}"
