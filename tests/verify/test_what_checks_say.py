"""The texts of the checks of a node, held in a snapshot.

Each text is under the first cause that has it. `test_causes.py` holds the verdicts.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from session_manager_permissions._verify.checks import ORDER
from session_manager_permissions._verify.diagnosis import Diagnosis
from tests.readiness.test_what_findings_say import Text

from .causes import CAUSES, NEVER
from .networks import NETWORKS, NO_ROUTE
from .nodes import World, diagnosed, nothing
from .test_node_agent import IMDS, PROXY, SERVICE, SSM, written

pytestmark = pytest.mark.untraced


def diagnoses(folder: Path) -> Iterator[tuple[str, Diagnosis]]:
    """Each cause, by its name; and what the agent's diagnostics add."""
    for said in (*CAUSES, *NETWORKS):
        yield said.name, diagnosed(said.world(), said.node, operator=said.operator)
    for status in ("Success", "Failed"):
        rows = [(name, status, "a note") for name in (IMDS, PROXY, SERVICE, SSM)]
        for closed in (nothing, NO_ROUTE):
            found = diagnosed(World(NEVER, closed), diagnostics=written(folder, *rows))
            yield f"diagnostics: {status}", found


def test_what_each_check_says(
    snapshot: SnapshotAssertion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")  # where no plug-in is
    said: dict[tuple[str, str], dict[str, str]] = {}
    runs: dict[str, str] = {}
    causes: list[str] = []
    for name, found in diagnoses(tmp_path):
        if found.cause:
            causes.append(f"  {name}: {found.cause.name}")
        runs.setdefault("\n".join(f"  {line}" for line in found.to_run), name)
        for check in found.checks:
            lines = [*(f"  {why}" for why in check.why), *(f"    Fix: {fix}" for fix in check.fix)]
            said.setdefault((check.name, check.verdict), {}).setdefault("\n".join(lines), name)

    assert {name for name, verdict in said if verdict != "pass"} == {*ORDER}
    page = ["\n".join(["# what is shown for the cause", *causes])]
    page += ["# what is run next", *sorted(f"[{of}]\n{text}" for text, of in runs.items())]
    page += [
        f"# {name}: {verdict}\n\n"
        + "\n\n".join(sorted(f"[{of}]\n{text}" for text, of in said[name, verdict].items()))
        for name, verdict in sorted(said, key=lambda one: (ORDER.index(one[0]), one[1]))
    ]
    assert "\n\n".join(page) == snapshot(extension_class=Text)
