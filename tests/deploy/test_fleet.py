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

APP, SHARED = (Path(__file__).with_name(f"{name}_app.py") for name in ("fleet", "shared_role"))

SYNTHESIZED = "--app=cdk.out"
"""What the first deployment of a test has synthesized."""


def options(aws: LocalAws, app: Path) -> tuple[str, ...]:
    return (
        f"--app={shlex.join([sys.executable, str(app)])}",
        f"--context=account={aws.client('sts').get_caller_identity()['Account']}",
        f"--context=region={REGION}",
    )


def policies_of(aws: LocalAws, role_name: str) -> list[str]:
    names: list[str] = aws.client("iam").list_role_policies(RoleName=role_name)["PolicyNames"]
    return names


def test_each_role_has_a_policy_of_each_stack_from_deploy_to_destroy(aws: LocalAws) -> None:
    covered = [existing_profile(aws, name) for name in ("imported", "named")]
    left_alone = existing_profile(aws, "left-alone")

    run = aws.cdk("deploy", "--all", *options(aws, APP))
    assert run.exit_code == 0, run.output
    for profile in covered:
        assert_ready(profile)
    # each of two stacks that use the role `named-role` has a policy of its own on it
    assert [len(added_policies(profile)) for profile in covered] == [1, 2]
    assert_bare(left_alone)
    assert len(policies_of(aws, "owned-role")) == 1

    run = aws.cdk("destroy", "--force", "--all", SYNTHESIZED)
    assert run.exit_code == 0, run.output
    for profile in covered:
        assert_bare(profile)
        assert added_policies(profile) == []


def test_neither_of_two_stacks_takes_the_policy_of_a_shared_role_from_the_other(
    aws: LocalAws,
) -> None:
    # with the stack of the role alone
    run = aws.cdk("deploy", "SharedBatch", *options(aws, SHARED))
    assert run.exit_code == 0, run.output
    (of_batch,) = policies_of(aws, "shared-role")

    run = aws.cdk("deploy", "SharedWeb", SYNTHESIZED)
    assert run.exit_code == 0, run.output
    (of_web,) = set(policies_of(aws, "shared-role")) - {of_batch}

    run = aws.cdk("destroy", "--force", "SharedBatch", SYNTHESIZED)
    assert run.exit_code == 0, run.output
    assert policies_of(aws, "shared-role") == [of_web]

    run = aws.cdk("destroy", "--force", "--all", SYNTHESIZED)
    assert run.exit_code == 0, run.output
