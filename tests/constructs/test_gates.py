"""What a fleet costs, counted and not timed: round trips, callbacks, bytes, resources, modules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from session_manager_permissions import SessionManagerFleet
from tests.conftest import EC2, ON_LOWEST_CDK, MakeStack, run_python, template

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import sys
import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from session_manager_permissions import SessionManagerFleet

def phase(name):
    cdk.Token.is_unresolved(f"phase {name}")

folder, kind, profiles, stacks = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
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
"""


class Cost(NamedTuple):
    """What a fleet costs, from its creation to the end of the synthesis."""

    round_trips: int
    callbacks: int


def cost(folder: Path, kind: str, profiles: int, stacks: int) -> Cost:
    done = run_python(
        "-c",
        SCRIPT,
        str(folder / "cdk.out"),
        kind,
        str(profiles),
        str(stacks),
        cwd=folder,
        env={"JSII_DEBUG": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    requests = [
        line
        for line in done.stderr.splitlines()
        if line.startswith("> {") and not line.startswith('> {"exit"')
    ]
    (start,) = (at for at, line in enumerate(requests) if "phase fleet" in line)
    markers_and_synth = 3
    return Cost(len(requests) - start - markers_and_synth, done.stderr.count('\n< {"callback"'))


FLEET, STACK, SEVERAL = {"L2": 21, "L1": 22}, {"L2": 11, "L1": 12}, {"L2": 1, "L1": 2}
"""Round trips of a fleet, whatever the tree; of each stack that has profiles; and of several stacks
once, to see whether one is below another."""


@pytest.mark.parametrize("kind", ["L2", "L1"])
@pytest.mark.parametrize(("profiles", "stacks"), [(1, 1), (10, 1), (200, 10)])
def test_a_profile_costs_one_round_trip_and_no_callback(
    tmp_path: Path, kind: str, profiles: int, stacks: int
) -> None:
    several = SEVERAL[kind] if stacks > 1 else 0

    found = cost(tmp_path, kind, profiles, stacks)

    assert_costs(found, FLEET[kind] + STACK[kind] * stacks + several + profiles)


@pytest.mark.parametrize("profiles", [1, 10])
def test_a_profile_of_an_imported_role_costs_four(tmp_path: Path, profiles: int) -> None:
    assert_costs(cost(tmp_path, "imported", profiles, 1), 41 + 4 * profiles)


def assert_costs(found: Cost, round_trips: int) -> None:
    expected = Cost(round_trips, callbacks=2)  # the one visit, and the question for errors
    if ON_LOWEST_CDK:
        assert found == expected
    else:
        assert found.round_trips <= 1.25 * expected.round_trips
        assert found.callbacks <= 4


def size(stack: cdk.Stack) -> int:
    return len(json.dumps(template(stack), separators=(",", ":")))


@pytest.mark.parametrize("number", [1, 10, 100])
def test_a_fleet_adds_one_resource_and_less_than_fifty_bytes_a_role(
    make_stack: MakeStack, number: int
) -> None:
    def build(*, has_fleet: bool) -> cdk.Stack:
        stack = make_stack()
        for place in range(number):
            iam.InstanceProfile(
                stack, f"Profile{place}", role=iam.Role(stack, f"Role{place}", assumed_by=EC2)
            )
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
    each = (size(fleet) - size(floor) - policy_alone) / number
    assert each < 50


LOADED = """
import sys
import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2, aws_iam as iam, cx_api  # the last: what any synthesis gives
stack = cdk.Stack(cdk.App(outdir="cdk.out"), "Stack")
ec2.Instance(
    stack,
    "Instance",
    vpc=ec2.Vpc(stack, "Vpc"),
    instance_type=ec2.InstanceType("t3.micro"),
    machine_image=ec2.MachineImage.latest_amazon_linux2023(),
)
iam.InstanceProfile(stack, "Profile", role=iam.Role.from_role_name(stack, "Role", "Existing"))
before = set(sys.modules)
from session_manager_permissions import SessionManagerFleet
SessionManagerFleet(stack, "Fleet")
cdk.Stage.of(stack).synth()
print(*(name for name in set(sys.modules) - before if name.startswith("aws_cdk")))
"""


def test_a_fleet_loads_no_module_of_cdk(tmp_path: Path) -> None:
    done = run_python("-c", LOADED, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
