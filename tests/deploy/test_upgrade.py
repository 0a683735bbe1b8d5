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


@pytest.mark.parametrize(
    ("by", "has_key"),
    [("instance-profile", False), ("instance-profile", True), ("role", False)],
    ids=["by default", "with a key", "by the role"],
)
def test_nothing_differs_until_an_option_is_added_and_then_the_same_policy_is_updated(
    aws: LocalAws, tmp_path: Path, by: str, *, has_key: bool
) -> None:
    release = shlex.join([sys.executable, str(unpacked(LAST, tmp_path) / "app.py")])
    profile = existing_profile(aws, f"upgrade-{by}-{has_key}".lower())
    name = profile.name if by == "instance-profile" else profile.role_name
    options = ["-c", f"{by}={name}", *(["-c", f"key={create_key(aws)}"] if has_key else [])]

    def cdk(*arguments: str) -> str:
        run = aws.cdk(*arguments, *options)
        assert run.exit_code == 0, run.output
        return run.output

    cdk("deploy", f"--app={release}")
    deployed = profile.description()
    (policy_name,) = added_policies(profile)

    assert "Number of stacks with differences: 0" in cdk("diff", "--fail")
    assert "no changes" in cdk("deploy")
    assert profile.description() == deployed

    cdk("deploy", "-c", "allow-registration=true")
    assert profile.simulate("ssm:UpdateInstanceInformation")
    assert added_policies(profile) == [policy_name]
