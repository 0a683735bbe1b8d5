"""What `verify --print-permissions` prints is enough where IAM is enforced, and services refuse.

MiniStack enforces it on IAM, KMS, CloudWatch Logs and S3, and says what EC2 and Systems Manager may
be asked. The latter two are refused as they document. That each action is needed is in
tests/verify/test_permissions.py.
"""

from __future__ import annotations

import json

import pytest

from session_manager_permissions._verify.permissions import PERMISSIONS, policy_for_credentials
from tests.verify.test_permissions import EVERYTHING, WHERE_ASKED

from .diagnoser import Diagnoser
from .test_diagnosis import CANNOT_ASK


def without(diagnoser: Diagnoser, *actions: str) -> str:
    """A user whose policy is the one printed, less these actions."""
    (statement,) = policy_for_credentials()["Statement"]
    kept = [action for action in statement["Action"] if action not in actions]
    name = f"without-{'-'.join(actions).replace(':', '-')}"
    diagnoser.account.user(name, {**statement, "Action": kept})
    return name


def test_with_them_everything_is_answered(diagnoser: Diagnoser) -> None:
    run = diagnoser.run(EVERYTHING, user=without(diagnoser))

    assert run.checks("fail") == {"plugin"}, run.err + run.out
    assert run.checks("unknown") == set()


@pytest.mark.parametrize("action", [
    *("ec2:DescribeSubnets", "iam:GetInstanceProfile", "iam:SimulatePrincipalPolicy"),
    *("iam:GetRole", "kms:DescribeKey", "logs:DescribeLogGroups"),
    *("route53:ListHostedZonesByVPC", "s3:GetBucketPolicy", "ssm:GetDocument"),
])  # fmt: skip
def test_without_one_its_checks_are_unknown_and_no_other(action: str, diagnoser: Diagnoser) -> None:
    said = WHERE_ASKED.get(action, EVERYTHING)
    run = diagnoser.run(said, user=without(diagnoser, action))

    assert run.status != CANNOT_ASK, run.err
    unknown = run.checks("unknown") - {"agent"}  # whose instance is new
    assert unknown == {*PERMISSIONS[action]} - run.checks("skipped")
    for name in unknown:
        assert action in json.dumps(run.check(name)), run.check(name)


def test_without_the_instance_nothing_is_asked(diagnoser: Diagnoser) -> None:
    action = "ec2:DescribeInstances"

    run = diagnoser.run(EVERYTHING, user=without(diagnoser, action))

    assert (run.status, run.out) == (CANNOT_ASK, "")
    assert action in run.err
    assert {call.action for call in diagnoser.calls} == {action}
