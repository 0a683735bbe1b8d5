"""What `verify --print-permissions` prints is enough and needed, where IAM is enforced.

MiniStack enforces it on IAM, KMS, CloudWatch Logs and S3, and says what EC2 and Systems Manager may
be asked. The latter two are refused as they document.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from session_manager_permissions._verify.checks import AGENT
from session_manager_permissions._verify.permissions import PERMISSIONS, policy_for_credentials

from .account import BEHIND_NAT, Machine, Network, Preferences, Role
from .diagnoser import COMMAND, ROOT
from .diagnosis_table import CANNOT_ASK, READY, Operator, never, row

if TYPE_CHECKING:
    from .diagnoser import Diagnoser

pytestmark = pytest.mark.deploy

EVERYTHING: Final = row("everything used", operator=Operator())
PATHS: Final = never("the network is read")
NAT: Final = never("the network has a NAT gateway", network=BEHIND_NAT)
HYBRID: Final = row(
    "a hybrid node", machine=None, role=Role(trusts="ssm.amazonaws.com"), operator=Operator()
)
RUN_AS: Final = Preferences(run_as_enabled=True, run_as="web")
WHERE_CALLED: Final = {
    **dict.fromkeys(
        (action for action in PERMISSIONS if action.startswith(("ec2:", "route53"))), PATHS
    ),
    "ec2:DescribeNatGateways": NAT,
    # to an endpoint in the instance's own subnet leads no route, and no network ACL is in between
    "ec2:DescribeNetworkAcls": NAT,
    "ec2:DescribeRouteTables": NAT,
    "iam:GetRole": HYBRID,
    "iam:ListRoleTags": row("a role", preferences=RUN_AS, operator=Operator(is_role=True)),
    "iam:ListUserTags": row("a user", preferences=RUN_AS, operator=Operator()),
    # of what IAM denies, the policies of keys and buckets are read
    "kms:GetKeyPolicy": row(
        "a key that IAM denies",
        role=Role(lacks=("kms:Decrypt",)),
        operator=Operator(lacks=("kms:GenerateDataKey",)),
    ),
    "s3:GetBucketPolicy": row("a bucket that IAM denies", role=Role(lacks=("s3:PutObject",))),
    "ssm:GetServiceSetting": row(
        "a role that EC2 may assume, perhaps", role=Role(trusts="ec2.eu-west-1.amazonaws.com")
    ),
    "ssm:ListTagsForResource": HYBRID,
}
"""A node of which each action is asked; `EVERYTHING` for the others."""


SHOWS_A_CAUSE: Final = {*AGENT.asks} - {"ssm:DescribeInstanceInformation"}
"""What is asked only to show why an agent is not connected, which tests/verify holds."""


def without(diagnoser: Diagnoser, *actions: str) -> str:
    """A user whose policy is the one printed, less these actions."""
    (statement,) = policy_for_credentials()["Statement"]
    kept = [action for action in statement["Action"] if action not in actions]
    name = f"without-{'-'.join(actions).replace(':', '-')}"
    diagnoser.account.user(name, {**statement, "Action": kept})
    return name


def test_with_them_everything_is_answered(diagnoser: Diagnoser) -> None:
    run = diagnoser.run(EVERYTHING, user=without(diagnoser))

    assert run.status == READY, run.err + run.out
    assert run.checks("unknown") == set()


@pytest.mark.parametrize(
    "action", sorted(PERMISSIONS.keys() - {"ec2:DescribeInstances"} - SHOWS_A_CAUSE)
)
def test_without_one_its_checks_are_unknown_and_no_other(action: str, diagnoser: Diagnoser) -> None:
    diagnoser.account.network(Network(dns_servers=("10.0.0.53",)))  # another VPC of the account
    said = WHERE_CALLED.get(action, EVERYTHING)
    before = diagnoser.run(said)

    run = diagnoser.run(said, user=without(diagnoser, action))

    assert run.status != CANNOT_ASK, run.err
    unknown = run.checks("unknown") - before.checks("unknown")
    assert unknown == {*PERMISSIONS[action]} - run.checks("skipped")
    for name in unknown:
        assert action in json.dumps(run.check(name)), run.check(name)


def test_without_the_instance_nothing_is_asked(diagnoser: Diagnoser) -> None:
    action = "ec2:DescribeInstances"

    run = diagnoser.run(EVERYTHING, user=without(diagnoser, action))

    assert (run.status, run.out) == (CANNOT_ASK, "")
    assert action in run.err
    assert {call.action for call in run.calls} == {action}


def test_the_command_prints_them() -> None:
    run = subprocess.run(  # noqa: S603
        [COMMAND, "verify", "--print-permissions"],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(run.stdout) == policy_for_credentials()


def test_no_profile_needs_no_more(diagnoser: Diagnoser) -> None:
    said = never("no profile", "instance-profile", machine=Machine(has_profile=False))

    run = diagnoser.run(said, user=without(diagnoser))

    assert run.checks("fail") == said.fails
    assert run.checks("unknown") == set()
