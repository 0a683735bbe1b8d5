"""The policy of `verify --print-permissions` is enough where IAM is enforced.

MiniStack enforces it for IAM, KMS, CloudWatch Logs and S3, and decides which calls of EC2 and of
Systems Manager the gateway refuses, as the two services document. That each action is needed, and
which checks are unknown without it, is in tests/verify/test_permissions.py.
"""

from session_manager_permissions._verify.checks import policy_for_credentials
from tests.verify.test_permissions import EVERYTHING

from .diagnoser import Diagnoser
from .test_diagnosis import CANNOT_ASK


def without(diagnoser: Diagnoser, action: str = "") -> str:
    """A user with the printed policy, without one action."""
    (statement,) = policy_for_credentials()["Statement"]
    kept = [one for one in statement["Action"] if one != action]
    name = f"without-{action.replace(':', '-')}"
    diagnoser.account.user(name, {**statement, "Action": kept})
    return name


def test_with_them_everything_is_answered(diagnoser: Diagnoser) -> None:
    run = diagnoser.run(EVERYTHING, user=without(diagnoser))

    assert run.checks("fail") == {"plugin"}, run.err + run.out
    assert run.checks("unknown") == set()


def test_without_the_instance_nothing_is_asked(diagnoser: Diagnoser) -> None:
    action = "ec2:DescribeInstances"

    run = diagnoser.run(EVERYTHING, user=without(diagnoser, action))

    assert (run.status, run.out) == (CANNOT_ASK, "")
    assert action in run.err
    assert {call.action for call in diagnoser.calls} == {action}
