"""An account that the last release's app was deployed to: this one's finds nothing to do there."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import pytest
from local_aws import LocalAws, create_key, existing_profile

from tests.releases import LAST, unpacked

from .test_deploy import added_policies

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.deploy


LOGS = {
    "log-bucket": "session-logs",
    "log-prefix": "web",
    "log-group": "/session/logs",
    "check-log-encryption": "false",
    "decrypt-sessions-only": "true",
}


@pytest.mark.parametrize(
    ("by", "has_key", "more"),
    [
        ("instance-profile", False, {}),
        ("instance-profile", True, LOGS),
        ("role", False, {"policy-name": "Sessions"}),
    ],
    ids=["by default", "with a key and logs", "by the role"],
)
def test_nothing_differs_until_an_option_is_added_and_then_the_same_policy_is_updated(
    aws: LocalAws, tmp_path: Path, by: str, more: dict[str, str], *, has_key: bool
) -> None:
    release = shlex.join([sys.executable, str(unpacked(LAST, tmp_path) / "app.py")])
    profile = existing_profile(aws, f"upgrade-{by}-{has_key}".lower())
    name = profile.name if by == "instance-profile" else profile.role_name
    given = {by: name, **({"key": create_key(aws)} if has_key else {}), **more}
    options = [part for key, value in given.items() for part in ("-c", f"{key}={value}")]

    def cdk(*arguments: str) -> str:
        run = aws.cdk(*arguments, *options)
        assert run.exit_code == 0, run.output
        return run.output

    cdk("deploy", "--method=direct", f"--app={release}")
    deployed = profile.description()
    (policy_name,) = added_policies(profile)

    assert "Number of stacks with differences: 0" in cdk("diff", "--fail")
    assert "no changes" in cdk("deploy", "--app=cdk.out")  # what `diff` has synthesized
    assert profile.description() == deployed

    cdk("deploy", "--method=direct", "-c", "allow-registration=true")
    assert profile.simulate("ssm:UpdateInstanceInformation")
    assert added_policies(profile) == [policy_name]
