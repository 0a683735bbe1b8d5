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
from tests.verify.causes import cause, denying, hybrid, never, run_as, trusts, used, without_profile
from tests.verify.networks import BOTH_ENDPOINTS, OF_TWO, S3_GATEWAY, closed, dns
from tests.verify.nodes import REGION, USER, both, endpoint, nothing

from .diagnoser import COMMAND, ROOT
from .test_diagnosis import CANNOT_ASK

if TYPE_CHECKING:
    from .diagnoser import Diagnoser

pytestmark = pytest.mark.deploy

EVERYTHING: Final = used("everything used", nothing)._replace(operator=USER)
PATHS: Final = never("the network is read", nothing)
NAMES: Final = never("the names are read", both(closed(*BOTH_ENDPOINTS), dns(*OF_TWO)))
HYBRID: Final = hybrid("a hybrid node", nothing)
WHERE_CALLED: Final = {
    **dict.fromkeys(
        (action for action in PERMISSIONS if action.startswith(("ec2:", "route53"))), PATHS
    ),
    "ec2:DescribeDhcpOptions": NAMES,
    "ec2:DescribeVpcs": NAMES,
    "iam:GetRole": HYBRID,
    "iam:ListUserTags": cause("a user", run_as("web"), operator=USER),
    # of what IAM denies, the policies of keys and buckets are read
    "kms:GetKeyPolicy": used(
        "a key that IAM denies", denying("kms:Decrypt", "kms:GenerateDataKey")
    )._replace(operator=USER),
    "s3:GetBucketPolicy": used("a bucket that IAM denies", denying("s3:PutObject")),
    "s3:GetEncryptionConfiguration": used(
        "a bucket that may be in another region",
        closed(*BOTH_ENDPOINTS, endpoint("kms"), endpoint("logs"), S3_GATEWAY),
    ),
    "ssm:GetServiceSetting": cause("perhaps trusted", trusts(f"ec2.{REGION}.amazonaws.com")),
    "ssm:ListTagsForResource": hybrid("an operator", nothing)._replace(operator=USER),
}
"""A node of which each action is asked; `EVERYTHING` for the others."""


HELD_IN_MEMORY: Final = {*AGENT.asks, "iam:ListRoleTags"} - {"ssm:DescribeInstanceInformation"}
"""What is asked to show why an agent is not connected, and of an operator that is a role."""


UNKNOWN_WITH_ALL: Final[dict[str, set[str]]] = {}
"""What is unknown of each node to who may ask everything; asked once for all tests."""


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


@pytest.mark.parametrize(
    "action", sorted(PERMISSIONS.keys() - {"ec2:DescribeInstances"} - HELD_IN_MEMORY)
)
def test_without_one_its_checks_are_unknown_and_no_other(action: str, diagnoser: Diagnoser) -> None:
    said = WHERE_CALLED.get(action, EVERYTHING)
    run = diagnoser.run(said, user=without(diagnoser, action))

    assert run.status != CANNOT_ASK, run.err
    if said.name not in UNKNOWN_WITH_ALL:
        UNKNOWN_WITH_ALL[said.name] = diagnoser.run(said).checks("unknown")
    unknown = run.checks("unknown") - UNKNOWN_WITH_ALL[said.name]
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
    said = never("no profile", without_profile, "instance-profile")

    run = diagnoser.run(said, user=without(diagnoser))

    assert run.checks("fail") == said.fails
    assert run.checks("unknown") == set()
