"""The command end to end, on the causes that moto and MiniStack know.

moto judges what the command asks of EC2, and how it reads the answers; MiniStack's IAM what the
policies allow, which is what `session-manager-permissions policy` prints. What those do not know is
in tests/verify, against documented answers.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from session_manager_permissions._verify.checks import CHECKS
from session_manager_permissions._verify.permissions import policy_for_credentials
from tests.verify.causes import CAUSES, Cause
from tests.verify.networks import NETWORKS
from tests.verify.nodes import HYBRID

if TYPE_CHECKING:
    from pathlib import Path

    from .diagnoser import Diagnoser

pytestmark = pytest.mark.deploy

BY_NAME: Final = {said.name: said for said in (*CAUSES, *NETWORKS)}
READY, NOT_READY, CANNOT_ASK = 0, 1, 2
CALLS: Final = 30
"""At most, for one node with everything used."""
OF_THE_RUN: Final = re.compile(r"[a-z]+-[0-9a-f]{17}|\d\d:\d\d:\d\d")
"""What differs from run to run: ids of EC2, and when the instance started."""
DEPLOYED: Final = """
connected / connected, with everything used / never registered / lost / stopped / terminated
instance impaired / no profile / an empty profile / no trust / metadata off / may not register
no channels / the account's role in place of one that may not register / a disabled key
a key to be deleted / an asymmetric key / may not decrypt / a bucket by dsse
may not see how it encrypts / may not log / no such group / a longer name of a group
a group without a key / Run As / an operator who may / an operator without ssm:StartSession
an operator without kms:GenerateDataKey / hybrid, standard tier / hybrid, by EC2
by a NAT gateway / by an internet gateway / no public address / no default route / a blackhole
a NAT gateway that failed / by tgw-1 / by pcx-1 / egress closed / an ACL that denies / endpoints
one of two endpoints / a group that lets nobody in / an endpoint that failed
a policy that denies / private DNS off / own DNS / the VPC without enableDnsSupport
"""
"""The names of the causes that the services know."""
NAMES: Final = [name for line in DEPLOYED.strip().splitlines() for name in line.split(" / ")]
AS_PROCESSES: Final = {*NAMES[::24]}
"""A process of its own takes a second, so the others run in that of the test."""
AUDITED: Final = {*NAMES[1::3]}
"""Those on which `audit` runs as well; `tests/verify/test_causes.py` has it agree on each."""


@pytest.mark.parametrize("said", [BY_NAME[name] for name in NAMES], ids=lambda said: said.name)
def test_each_command_finds_it_there_too(said: Cause, diagnoser: Diagnoser) -> None:
    run = diagnoser.run(said, as_process=said.name in AS_PROCESSES)

    assert run.status == (NOT_READY if said.fails else READY), run.err
    assert run.checks("fail") == said.fails
    # The instances of moto and the roles of MiniStack are new, which shows if all else passes.
    causes = [name for name in said.fails if CHECKS[name].connects]
    is_told = "connected" in said.fails and not causes
    assert run.checks("unknown") | {"agent"} == said.unknown | {"agent"}
    assert not is_told or "agent" in run.checks("unknown")
    assert len({*run.questions}) == len(run.questions) <= CALLS
    is_plain = said.node != HYBRID and "instance-running" not in said.fails and not said.operator
    if is_plain and said.name in AUDITED:
        (one,) = diagnoser.run(said, "audit").found["instances"]
        assert {*one["causes"]} <= said.fails
        assert one["verdict"] == ("unreachable" if said.fails else "reachable")


EVERYTHING: Final = BY_NAME["an operator who may"]


@pytest.mark.parametrize("name", ["an operator who may", "connected, with everything used"])
def test_the_installed_command_is_what_runs_here(name: str, diagnoser: Diagnoser) -> None:
    run = diagnoser.run(BY_NAME[name], as_process=True)

    here = diagnoser.run(BY_NAME[name])
    assert (run.status, run.err, run.calls) == (here.status, here.err, here.calls)
    assert OF_THE_RUN.sub("", run.out) == OF_THE_RUN.sub("", here.out)


@pytest.mark.parametrize("changes", [{"throttles": 1}, {"pages": True}], ids=str)
@pytest.mark.parametrize("name", ["connected, with everything used", "one of two endpoints"])
def test_each_call_may_be_throttled_and_each_first_page_empty(
    name: str, changes: dict[str, Any], diagnoser: Diagnoser
) -> None:
    run = diagnoser.run(BY_NAME[name], **changes)

    assert run.checks("fail") == BY_NAME[name].fails
    assert len({*run.questions}) == len(run.questions)


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

    assert run.checks("fail") == {"plugin"}
    assert check in run.checks("unknown")
    assert code in str(run.check(check))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--instance-id", "i-0123456789abcdef0"), "i-0123456789abcdef0"),
        (("--region", "us-west-2"), "us-west-2"),
    ],
)
def test_what_is_not_there(arguments: tuple[str, str], says: str, diagnoser: Diagnoser) -> None:
    run = diagnoser.run(EVERYTHING, *arguments)

    assert (run.status, run.out) == (CANNOT_ASK, "")
    assert says in run.err


def test_the_caller_is_an_operator_too(diagnoser: Diagnoser) -> None:
    (statement,) = policy_for_credentials()["Statement"]
    diagnoser.account.user("reads", statement)

    run = diagnoser.run(BY_NAME["connected"], "--operator", "caller", user="reads")

    assert run.checks("fail") == {"operator", "plugin"}
    assert run.check("operator")["subject"].endswith(":user/reads")


def test_a_person_reads_the_cause_first(diagnoser: Diagnoser) -> None:
    run = diagnoser.run(BY_NAME["private DNS off"], "--output", "table")

    assert run.status == NOT_READY
    assert run.out.splitlines()[1].startswith("Cause: path-ssm: ")
    assert "modify-vpc-endpoint" in run.out
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

    run = diagnoser.run(BY_NAME["never registered"], "--agent-diagnostics", str(file))

    assert run.status == NOT_READY
    assert "no such host" in run.out
