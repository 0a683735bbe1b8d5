"""`verify --instance-id` end to end: the command, as a process, on accounts with known causes.

What the local services do not know is in tests/verify, against documented answers: condition keys
and permissions boundaries in IAM's simulator, organizations, and pages of the simulator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from .diagnoser import Diagnoser, diagnosing
from .diagnosis_table import READY, SCENARIOS, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_aws import LocalAws

pytestmark = pytest.mark.deploy

CALLS: Final = 30
"""At most, for one node with everything used."""


@pytest.fixture(scope="module")
def diagnoser(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Diagnoser]:
    with diagnosing(aws, tmp_path_factory.mktemp("diagnosis")) as running:
        yield running


@pytest.mark.parametrize("said", SCENARIOS, ids=lambda said: said.name.replace(" ", "-"))
def test_each_failing_check_is_the_right_one(said: Scenario, diagnoser: Diagnoser) -> None:
    run = diagnoser.run(said)

    assert run.status == said.status, run.err + str(run.checks("fail"))
    if said.message:
        assert said.message in run.err
        assert run.out == ""
        return
    assert run.checks("fail") == said.fails
    if said.unknown is not None:
        assert run.checks("unknown") == said.unknown
    found = run.found
    assert found["ready"] is (run.status == READY)
    for one in found["checks"]:
        if one["verdict"] == "fail":
            assert one["why"], one
            assert one["fix"], one
            assert one["evidence"], one
    if not said.throttles:
        assert len(run.calls) <= CALLS


EVERYTHING: Final = next(one for one in SCENARIOS if one.name == "an operator who may")


def test_it_asks_little(diagnoser: Diagnoser) -> None:
    assert len(diagnoser.run(EVERYTHING).calls) <= CALLS
