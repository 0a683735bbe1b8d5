"""A fleet, deployed: IAM has one policy on each role, and none when it is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from local_aws import REGION, existing_profile

from session_manager_permissions import SessionManagerFleet
from tests.conftest import owned_role

from . import stacks
from .stacks import legacy_app
from .test_deploy import added_policies, assert_bare, assert_ready

if TYPE_CHECKING:
    from pathlib import Path

    from local_aws import LocalAws

pytestmark = pytest.mark.deploy


def policies_of(aws: LocalAws, role_name: str) -> list[str]:
    names: list[str] = aws.client("iam").list_role_policies(RoleName=role_name)["PolicyNames"]
    return names


def test_each_role_has_a_policy_of_each_stack_until_the_stacks_are_deleted(
    aws: LocalAws, tmp_path: Path
) -> None:
    app = legacy_app(tmp_path)
    covered = [existing_profile(aws, name) for name in ("imported", "named")]
    left_alone = existing_profile(aws, "left-alone")
    env = cdk.Environment(account=left_alone.role_arn.split(":")[4], region=REGION)
    web, batch = (cdk.Stack(app, name, env=env) for name in ("FleetWeb", "FleetBatch"))
    imported = iam.Role.from_role_name(web, "Role", "imported-role")
    iam.InstanceProfile(web, "Imported", role=imported)
    iam.InstanceProfile(web, "ImportedAgain", role=imported)
    iam.CfnInstanceProfile(web, "Named", roles=["named-role"])
    alone = iam.CfnInstanceProfile(web, "LeftAlone", roles=["left-alone-role"])
    iam.CfnInstanceProfile(batch, "Shared", roles=["named-role"])
    iam.InstanceProfile(batch, "WithItsOwn", role=owned_role(batch, name="owned-role"))
    SessionManagerFleet(app, "Fleet", exclude=[alone])
    app.synth()

    stacks.put(aws, tmp_path)

    for profile in covered:
        assert_ready(profile)
    # each of two stacks that use the role `named-role` has a policy of its own on it
    assert [len(added_policies(profile)) for profile in covered] == [1, 2]
    assert_bare(left_alone)
    assert len(policies_of(aws, "owned-role")) == 1

    for stack in (web, batch):
        stacks.delete(aws, stack.stack_name)
    for profile in covered:
        assert_bare(profile)
        assert added_policies(profile) == []


def test_neither_of_two_stacks_takes_the_policy_of_a_shared_role_from_the_other(
    aws: LocalAws, tmp_path: Path
) -> None:
    app = legacy_app(tmp_path)
    roles, web, batch = (cdk.Stack(app, f"Shared{name}") for name in ("Roles", "Web", "Batch"))
    role = owned_role(roles, name="shared-role")
    for stack in (web, batch):
        iam.InstanceProfile(stack, "Profile", role=role)
    SessionManagerFleet(app, "Fleet")
    app.synth()

    stacks.put(aws, tmp_path, "SharedRoles", "SharedBatch")
    (of_batch,) = policies_of(aws, "shared-role")
    stacks.put(aws, tmp_path, "SharedWeb")
    (of_web,) = set(policies_of(aws, "shared-role")) - {of_batch}

    stacks.delete(aws, "SharedBatch")
    assert policies_of(aws, "shared-role") == [of_web]
    stacks.delete(aws, "SharedWeb")
    assert policies_of(aws, "shared-role") == []
