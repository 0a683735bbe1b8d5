"""What a fleet costs, counted and not timed: round trips, callbacks, bytes and resources."""

import json
import re
from typing import Any, NamedTuple

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from session_manager_permissions import SessionManagerFleet
from tests.conftest import ON_LOWEST_CDK, MakeApp, run_python
from tests.reading import template
from tests.roles import owned_role

SCRIPT = """
import sys
import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from session_manager_permissions import SessionManagerFleet

def phase(name):
    cdk.Token.is_unresolved(f"phase {name}")

def measured(folder, kind, profiles, stacks):
    ec2 = iam.ServicePrincipal("ec2.amazonaws.com")
    app = cdk.App(outdir=folder, analytics_reporting=False)
    env = cdk.Environment(account="111122223333", region="eu-west-1")
    for place in range(stacks):
        stack = cdk.Stack(app, f"Stack{place}", env=env)
        for number in range(profiles // stacks):
            if kind == "L1":
                iam.CfnInstanceProfile(stack, f"Profile{number}", roles=[f"Existing{number}"])
            else:
                role = (
                    iam.Role(stack, f"Role{number}", assumed_by=ec2)
                    if kind == "L2"
                    else iam.Role.from_role_name(stack, f"Role{number}", f"Existing{number}")
                )
                iam.InstanceProfile(stack, f"Profile{number}", role=role)
    phase("fleet")
    fleet = SessionManagerFleet(app, "Fleet")
    phase("synthesis")
    app.synth()
    phase("end")

for number, row in enumerate(sys.argv[1:]):
    kind, profiles, stacks = row.split()
    measured(f"cdk.out.{number}", kind, int(profiles), int(stacks))
"""


class Cost(NamedTuple):
    """What a fleet costs, from its creation to the end of the synthesis."""

    round_trips: int
    callbacks: int


FLEET, STACK, SEVERAL = {"L2": 21, "L1": 22}, {"L2": 11, "L1": 12}, {"L2": 1, "L1": 2}
"""Round trips of a fleet, whatever the tree; of each stack that has profiles; and of several stacks
once, to see whether one is below another."""
ROUND_TRIPS = {
    f"{kind} {profiles} {stacks}": FLEET[kind]
    + STACK[kind] * stacks
    + (SEVERAL[kind] if stacks > 1 else 0)
    + profiles
    for kind in FLEET
    for profiles, stacks in ((1, 1), (10, 1), (60, 4))
} | {f"imported {profiles} 1": 41 + 4 * profiles for profiles in (1, 10)}
"""Of each kind of profile, how many of them and of stacks: one for each, and four of an import."""


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Cost]:
    """What each fleet costs, all in one process."""
    folder = tmp_path_factory.mktemp("costs")
    done = run_python("-c", SCRIPT, *ROUND_TRIPS, cwd=folder, env={"JSII_DEBUG": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    # What Node.js tells may be in the same line as a request.
    _, *measured = re.split(r'\["phase (?:fleet|end)"\]', done.stderr)
    markers_and_synth = 3
    return {
        row: Cost(text.count('> {"') - markers_and_synth, text.count('< {"callback"'))
        for row, text in zip(ROUND_TRIPS, measured[::2], strict=True)
    }


@pytest.mark.parametrize("row", ROUND_TRIPS)
def test_a_profile_costs_its_round_trips_and_no_callback(costs: dict[str, Cost], row: str) -> None:
    # the one visit, and the question for errors
    found, expected = costs[row], Cost(ROUND_TRIPS[row], callbacks=2)
    if ON_LOWEST_CDK:
        assert found == expected
    else:
        assert found.round_trips <= 1.25 * expected.round_trips
        assert found.callbacks <= 4


def size(stack: cdk.Stack) -> int:
    return len(json.dumps(template(stack), separators=(",", ":")))


@pytest.mark.parametrize("number", [1, 10, 100])
def test_a_fleet_adds_one_resource_and_few_bytes_a_role(make_app: MakeApp, number: int) -> None:
    def build(*, has_fleet: bool) -> cdk.Stack:
        stack = cdk.Stack(make_app(), "Stack")
        for place in range(number):
            iam.InstanceProfile(stack, f"Profile{place}", role=owned_role(stack, f"Role{place}"))
        if has_fleet:
            SessionManagerFleet(stack, "Fleet")
        return stack

    floor, fleet = build(has_fleet=False), build(has_fleet=True)
    without, with_it = template(floor)["Resources"], template(fleet)["Resources"]
    (added,) = with_it.keys() - without.keys()
    assert with_it == {**without, added: with_it[added]}
    listed: list[Any] = with_it[added]["Properties"].pop("Roles")
    assert len(listed) == number
    policy_alone = len(json.dumps({added: with_it[added]}, separators=(",", ":")))
    assert (size(fleet) - size(floor) - policy_alone) / number < 50
