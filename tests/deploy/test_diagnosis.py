"""`verify --instance-id` end to end: the command on accounts with known causes.

What the local services do not know is in tests/verify, against documented answers: condition keys
and permissions boundaries in IAM's simulator, organizations, and pages of the simulator.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from session_manager_permissions._verify.checks import CHECKS
from session_manager_permissions._verify.permissions import policy_for_credentials

from .diagnosis_table import CANNOT_ASK, NOT_READY, READY, SCENARIOS, Scenario

if TYPE_CHECKING:
    from pathlib import Path

    from .diagnoser import Diagnoser

pytestmark = pytest.mark.deploy

CALLS: Final = 30
"""At most, for one node with everything used."""
INSTANCE: Final = re.compile(r"i-[0-9a-f]{17}|\d\d:\d\d:\d\d")
"""What differs from run to run: the id of the instance, and when it started."""


AS_PROCESSES: Final = [said.name for said in SCENARIOS if not said.throttles][::2]
"""A process of its own takes a second, so the others run in that of the test. Botocore waits before
it tries again, so none that is throttled is among these."""


@pytest.mark.parametrize("said", SCENARIOS, ids=lambda said: said.name.replace(" ", "-"))
def test_each_failing_check_is_the_right_one(said: Scenario, diagnoser: Diagnoser) -> None:
    run = diagnoser.run(said, as_process=said.name in AS_PROCESSES)

    assert run.status == said.status, run.err + str(run.checks("fail"))
    if said.message:
        assert said.message in run.err
        assert run.out == ""
        return
    assert run.checks("fail") == said.fails
    if said.unknown is not None:
        # the instances of moto and the roles of MiniStack are new, which shows if all else passes
        causes = [name for name in said.fails if CHECKS[name].connects]
        is_told = "connected" in said.fails and not causes
        assert run.checks("unknown") == said.unknown | ({"agent"} if is_told else set())
    found = run.found
    assert found["ready"] is (run.status == READY)
    for one in found["checks"]:
        if one["verdict"] == "fail":
            assert one["why"], one
            assert one["fix"], one
            assert one["evidence"], one
    assert len({*run.questions}) == len(run.questions) <= CALLS
    if not said.throttles and not said.pages:  # each page is a call
        assert len(run.calls) <= CALLS


def test_enough_scenarios_run_the_installed_command() -> None:
    assert len(AS_PROCESSES) >= 60


EVERYTHING: Final = next(one for one in SCENARIOS if one.name == "an operator who may")


@pytest.mark.parametrize(
    "said",
    [
        EVERYTHING,
        *(
            next(one for one in SCENARIOS if one.status == status)
            for status in (NOT_READY, CANNOT_ASK)
        ),
    ],
    ids=lambda said: said.name.replace(" ", "-"),
)
def test_the_installed_command_is_what_the_scenarios_run(
    said: Scenario, diagnoser: Diagnoser
) -> None:
    run = diagnoser.run(said, as_process=True)

    assert run.status == said.status
    here = diagnoser.run(said)
    assert (run.status, run.err, run.calls) == (here.status, here.err, here.calls)
    # each run has an instance of its own
    assert INSTANCE.sub("", run.out) == INSTANCE.sub("", here.out)


def test_it_asks_little(diagnoser: Diagnoser) -> None:
    assert len(diagnoser.run(EVERYTHING).calls) <= CALLS


@pytest.mark.parametrize(
    ("action", "code", "check"),
    [
        ("ssm:GetConnectionStatus", "ThrottlingException", "connected"),
        ("ssm:DescribeInstanceInformation", "InternalServerError", "registered"),
        ("iam:GetInstanceProfile", "ServiceFailure", "instance-profile"),
        ("kms:DescribeKey", "KMSInternalException", "key-usable"),
        ("logs:DescribeLogGroups", "ServiceUnavailableException", "log-group-encryption"),
        ("s3:GetEncryptionConfiguration", "SlowDown", "bucket-encryption"),
    ],
)
def test_a_call_that_is_not_answered_is_no_verdict(
    action: str, code: str, check: str, diagnoser: Diagnoser
) -> None:
    run = diagnoser.run(EVERYTHING, errors={action: code})

    assert run.checks("fail") == set()
    assert check in run.checks("unknown")
    assert code in str(run.check(check))


def test_the_caller_is_an_operator_too(diagnoser: Diagnoser) -> None:
    (statement,) = policy_for_credentials()["Statement"]
    diagnoser.account.user("reads", statement)
    said = replace(EVERYTHING, operator=None, arguments=("--operator", "caller"))

    run = diagnoser.run(said, user="reads")

    assert run.checks("fail") == {"operator", "plugin"}
    assert run.check("operator")["subject"].endswith(":user/reads")


def test_a_person_reads_the_cause_first(diagnoser: Diagnoser) -> None:
    cause = next(one for one in SCENARIOS if one.name == "no endpoint of ssm")

    run = diagnoser.run(replace(cause, arguments=("--output", "table")))

    assert run.status == NOT_READY
    assert run.out.index("path-ssm") >= 0
    assert "create-vpc-endpoint" in run.out
    assert "\x1b" not in run.out
    assert run.err == ""


def test_what_only_the_node_knows_is_merged(diagnoser: Diagnoser, tmp_path: Path) -> None:
    file = tmp_path / "diagnostics.json"
    entries = [
        {"Check": "EC2 IMDS", "Status": "Success", "Note": "IMDS is accessible"},
        {
            "Check": "Connectivity to ssm endpoint",
            "Status": "Failed",
            "Note": "Failed to connect: dial tcp: lookup: no such host",
        },
    ]
    file.write_text(json.dumps({"DiagnosticsOutput": entries}), encoding="utf-8")
    said = next(one for one in SCENARIOS if one.name == "never registered, and all is well")

    run = diagnoser.run(replace(said, arguments=("--agent-diagnostics", str(file))))

    assert run.status == NOT_READY
    assert "no such host" in run.out
