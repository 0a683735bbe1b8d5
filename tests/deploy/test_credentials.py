"""What `verify --print-permissions` prints is enough where IAM is enforced, and services refuse.

MiniStack enforces it on IAM, KMS, CloudWatch Logs and S3, and says what EC2 and Systems Manager may
be asked. The latter two are refused as they document. That each action is needed, and which checks
are unknown without it, is in tests/verify/test_permissions.py.
"""

from session_manager_permissions._verify.checks import policy_for_credentials
from tests.verify.test_permissions import EVERYTHING

from .diagnoser import Diagnoser
from .test_diagnosis import CANNOT_ASK


def without(diagnoser: Diagnoser, action: str = "") -> str:
    """A user whose policy is the one printed, less this action."""
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
