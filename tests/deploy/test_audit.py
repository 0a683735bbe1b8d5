"""`audit` end to end: many scenarios in one account, each node with the verdict of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from session_manager_permissions._verify.checks import CHECKS

from .account import Preferences
from .diagnosis_table import SCENARIOS, Scenario

if TYPE_CHECKING:
    from .diagnoser import Diagnoser

pytestmark = pytest.mark.deploy

OF_OPERATORS: Final = frozenset({"operator", "plugin"})
DEFAULT: Final = next(one for one in SCENARIOS if one.name == "never registered, and all is well")


def alike(said: Scenario) -> bool:
    """Whether it differs from the others in its nodes alone."""
    return (
        said.preferences == Preferences()
        and said.partition == DEFAULT.partition
        and said.network.region == DEFAULT.network.region
        and said.host_management is None
        and said.tier == DEFAULT.tier
        and not (said.arguments or said.operator or said.message or said.bucket_region)
    )


def expected(said: Scenario) -> tuple[str, set[str]]:
    """The verdict and the causes of the node of a scenario."""
    if said.machine and said.machine.state != "running":
        return "stopped", set()
    failing = said.fails - ({"connected"} if said.node is None else set())
    if not failing:
        return "reachable", set()
    return "unreachable", {one for one in failing if not CHECKS[one].is_symptom} or {*failing}


def test_each_node_of_one_account(diagnoser: Diagnoser, subtests: pytest.Subtests) -> None:
    scenarios = [one for one in SCENARIOS if alike(one)]
    assert len(scenarios) > 40

    run, named = diagnoser.audit(scenarios)

    assert (run.status, run.err) == (1, "")
    found = {one["id"]: one for one in run.found["instances"]}
    for node, said in named.items():
        with subtests.test(said.name):
            if said.machine and said.machine.state == "terminated":
                assert node not in found
            else:
                one = found[node]
                assert (one["verdict"], {*one["causes"]}) == expected(said)
    assert [one["error"] for one in run.found["regions"]] == [None]
