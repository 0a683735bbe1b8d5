"""What the checks of a node say, and how they say it: the texts are in a snapshot.

The nodes are those of the tables of `test_node` and `test_node_network`, which hold the verdicts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from session_manager_permissions._verify.checks import ORDER
from tests.readiness.test_what_findings_say import Text

from . import test_node, test_node_network
from .nodes import NODE, USER, World, both, diagnosed, nothing
from .test_node_agent import IMDS, PROXY, SERVICE, SSM, written
from .test_node_operator import START, tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from session_manager_permissions._verify.diagnosis import Diagnosis

pytestmark = pytest.mark.untraced

NO_PLUGIN: Final = "/nonexistent"


def runs_as(in_document: str, in_tag: str = "") -> Callable[[World], object]:
    def breaks(world: World) -> None:
        world.uses(runAsEnabled=True, runAsDefaultUser=in_document)
        world.has("iam:list_user_tags", tag(in_tag))

    return breaks


def denies(world: World) -> None:
    world.uses()
    world.denies.add(f"{USER} {START}")


def diagnoses(folder: Path) -> Iterator[Diagnosis]:
    for row in test_node.ROWS:
        yield broken(row.breaks, row.node)
    for path in test_node_network.ROWS:
        yield broken(both(World.never_registered, path.breaks))
    for breaks in (
        nothing,
        denies,
        runs_as(""),
        runs_as("root"),
        runs_as("web", "ssm-user"),
        runs_as("$(id)"),
    ):
        yield broken(breaks, operator=USER)
    for status in ("Success", "Failed"):
        rows = [(name, status, "a note") for name in (IMDS, PROXY, SERVICE, SSM)]
        for closed in (nothing, test_node_network.NO_ROUTE):
            breaks = both(World.never_registered, closed)
            yield broken(breaks, diagnostics=written(folder, *rows))


def broken(breaks: Callable[[World], object], node: str = NODE, **more: Any) -> Diagnosis:  # noqa: ANN401
    world = World()
    breaks(world)
    return diagnosed(world, node, **more)


def test_what_each_check_says(
    snapshot: SnapshotAssertion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", NO_PLUGIN)
    said: dict[tuple[str, str], dict[str, None]] = {}
    for found in diagnoses(tmp_path):
        for check in found.checks:
            lines = [*(f"  {why}" for why in check.why), *(f"    Fix: {fix}" for fix in check.fix)]
            said.setdefault((check.name, check.verdict), {})["\n".join(lines)] = None

    assert {name for name, verdict in said if verdict != "pass"} == {*ORDER}
    page = [
        f"# {name}: {verdict}\n\n" + "\n\n".join(sorted(said[name, verdict]))
        for name, verdict in sorted(said, key=lambda one: (ORDER.index(one[0]), one[1]))
    ]
    assert "\n\n".join(page) == snapshot(extension_class=Text)
