"""A fleet, deployed by the real CLI: IAM has one policy on each role, and none when it is gone."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from local_aws import REGION, existing_profile

from .test_deploy import added_policies, assert_bare, assert_ready

if TYPE_CHECKING:
    from local_aws import LocalAws

pytestmark = pytest.mark.deploy

APP = Path(__file__).with_name("fleet_app.py")


def test_each_role_has_one_policy_from_deploy_to_destroy(aws: LocalAws) -> None:
    covered = [existing_profile(aws, name) for name in ("imported", "named")]
    left_alone = existing_profile(aws, "left-alone")
    options = (
        "--all",
        f"--app={shlex.join([sys.executable, str(APP)])}",
        f"--context=account={aws.client('sts').get_caller_identity()['Account']}",
        f"--context=region={REGION}",
    )

    run = aws.cdk("deploy", *options)
    assert run.exit_code == 0, run.output
    for profile in covered:
        assert_ready(profile)
        assert len(added_policies(profile)) == 1
    assert_bare(left_alone)
    assert len(aws.client("iam").list_role_policies(RoleName="owned-role")["PolicyNames"]) == 1

    run = aws.cdk("destroy", "--force", *options)
    assert run.exit_code == 0, run.output
    for profile in covered:
        assert_bare(profile)
        assert added_policies(profile) == []
