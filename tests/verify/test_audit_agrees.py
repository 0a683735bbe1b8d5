"""`audit` and `verify --instance-id` judge a node alike, whatever is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.audit.auditing import audit
from session_manager_permissions._verify.audit.progress import Progress
from session_manager_permissions._verify.checks import CHECKS

from .nodes import REGION, Session, World, diagnosed
from .test_node import ROWS

if TYPE_CHECKING:
    from session_manager_permissions._verify.diagnosis import Diagnosis

    from .test_node import Row

OF_ONE_NODE: Final = {
    "no managed node by an error",  # which only a request for one node gives
}


def expected(diagnosis: Diagnosis) -> tuple[str, list[str]]:
    node = diagnosis.node
    failing = [one.name for one in diagnosis.checks if one.verdict == "fail"]
    if node.record is None:  # that it is not connected says nothing more
        failing = [one for one in failing if one != "connected"]
    causes = [one for one in failing if not CHECKS[one].is_symptom]
    if node.state not in (None, "running"):
        return "stopped", []
    if diagnosis.ready:
        return "reachable", []
    if isinstance(node.connection, CannotAsk) and not causes:
        return "unknown", []
    return "unreachable", causes or failing


@pytest.mark.parametrize(
    "said", [one for one in ROWS if one.name not in OF_ONE_NODE], ids=lambda said: said.name
)
def test_the_verdict_follows_from_the_checks(said: Row) -> None:
    world = World()
    said.breaks(world)
    diagnosis = diagnosed(world, said.node)
    session = Session(world)

    result = audit(session, [REGION], {}, None, Progress(None))

    found = [one for one in result["instances"] if one["id"] == said.node]
    if diagnosis.node.state == "terminated":
        assert found == []
        return
    (one,) = found
    assert (one["verdict"], one["causes"]) == expected(diagnosis)
    role = diagnosis.identity.role
    assert (one["profile"], one["role"]) == (diagnosis.identity.profile, role and role.arn)
