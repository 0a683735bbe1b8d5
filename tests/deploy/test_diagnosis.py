"""The command end to end, on the causes that moto and MiniStack know.

moto judges what the command asks of EC2, and how it reads the answers; MiniStack's IAM what the
policies allow, which is what `session-manager-permissions policy` prints. What those do not know is
in tests/verify, against documented answers, and so is what `audit` says of each.
"""

from typing import Final

import pytest

from session_manager_permissions._verify.checks import CHECKS, policy_for_credentials
from tests.verify.causes import CAUSES, Cause
from tests.verify.networks import NETWORKS

from .diagnoser import Diagnoser

BY_NAME: Final = {said.name: said for said in (*CAUSES, *NETWORKS)}
READY, NOT_READY, CANNOT_ASK = 0, 1, 2
DEPLOYED: Final = """
connected, with everything used / stopped / no profile / no trust / metadata off / may not register
no channels / the account's role in place of one that may not register / a disabled key
may not decrypt / a bucket by dsse / may not log / no such group / hybrid, by EC2
an operator without ssm:StartSession / connected, and the endpoint of the key shut
by a NAT gateway / by an internet gateway / no default route / a NAT gateway that failed
egress closed / an ACL that denies / endpoints / a group that lets nobody in
a policy that denies / own DNS / the VPC without enableDnsSupport
"""
"""A cause for each check that the services support, and for each part of a network path."""
NAMES: Final = [name for line in DEPLOYED.strip().splitlines() for name in line.split(" / ")]


@pytest.mark.parametrize("said", [BY_NAME[name] for name in NAMES], ids=lambda said: said.name)
def test_the_command_finds_it_there_too(said: Cause, diagnoser: Diagnoser) -> None:
    run = diagnoser.run(said)

    assert run.status == (NOT_READY if said.fails else READY), run.err
    assert run.checks("fail") == said.fails
    # The instances of moto and the roles of MiniStack are new, which shows if all else passes.
    causes = [name for name in said.fails if CHECKS[name].connects]
    is_told = "connected" in said.fails and not causes
    assert run.checks("unknown") | {"agent"} == said.unknown | {"agent"}
    assert not is_told or "agent" in run.checks("unknown")


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
