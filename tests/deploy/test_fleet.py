"""A fleet, deployed: IAM has one policy on each role, and none when it is gone."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from local_aws import REGION, LocalAws, existing_profile

from session_manager_permissions import SessionManagerFleet
from tests.roles import owned_role

from . import stacks
from .stacks import legacy_app
from .test_deploy import added_policies, assert_bare, assert_ready


def policies_of(aws: LocalAws, role_name: str) -> list[str]:
    names: list[str] = aws.client("iam").list_role_policies(RoleName=role_name)["PolicyNames"]
    return names


def test_each_role_has_a_policy_of_each_stack_that_is_there(aws: LocalAws, tmp_path: Path) -> None:
    app = legacy_app(tmp_path)
    imported, left_alone = existing_profile(aws, "imported"), existing_profile(aws, "left-alone")
    env = cdk.Environment(account=left_alone.role_arn.split(":")[4], region=REGION)
    names = ("FleetRoles", "FleetBatch", "FleetWeb")
    owner, batch, web = (cdk.Stack(app, name, env=env) for name in names)
    shared = owned_role(owner, name="shared-role")
    for stack in (batch, web):
        iam.InstanceProfile(stack, "Shared", role=shared)
    existing = iam.Role.from_role_name(web, "Role", "imported-role")
    for name in ("Imported", "ImportedAgain"):
        iam.InstanceProfile(web, name, role=existing)
    alone = iam.CfnInstanceProfile(web, "LeftAlone", roles=["left-alone-role"])
    iam.InstanceProfile(batch, "WithItsOwn", role=owned_role(batch, name="owned-role"))
    SessionManagerFleet(app, "Fleet", exclude=[alone])
    app.synth()

    stacks.put(aws, tmp_path, "FleetRoles", "FleetBatch")
    (of_batch,) = policies_of(aws, "shared-role")
    stacks.put(aws, tmp_path, "FleetWeb")

    assert_ready(imported)
    assert len(added_policies(imported)) == len(policies_of(aws, "owned-role")) == 1
    assert_bare(left_alone)
    (of_web,) = set(policies_of(aws, "shared-role")) - {of_batch}

    stacks.delete(aws, "FleetBatch")
    assert policies_of(aws, "shared-role") == [of_web]
    stacks.delete(aws, "FleetWeb")
    assert policies_of(aws, "shared-role") == []
    assert_bare(imported)
    assert added_policies(imported) == []
