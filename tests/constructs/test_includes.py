"""Templates as people write them: their profiles get the policy, and nothing else changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk.cloudformation_include import CfnInclude

from session_manager_permissions import SessionManagerPermissions
from tests.conftest import TEMPLATES, existing_key, key_arn, template

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_each_profile_of_a_template_gets_the_policy_and_nothing_else_changes(
    stack: cdk.Stack, path: Path
) -> None:
    included = CfnInclude(stack, "Included", template_file=str(path))
    before = template(stack)
    profiles = {
        name: body["Properties"]["Roles"]
        for name, body in json.loads(path.read_text())["Resources"].items()
        if body["Type"] == "AWS::IAM::InstanceProfile"
    }
    assert profiles

    for name in profiles:
        profile = included.get_resource(name)
        assert isinstance(profile, iam.CfnInstanceProfile)
        SessionManagerPermissions(
            stack,
            f"{name}Permissions",
            instance_profile=profile,
            encryption_key=existing_key(stack, f"{name}Key"),
        )

    after = template(stack)
    added = {
        name: after["Resources"].pop(name)
        for name in after["Resources"].keys() - before["Resources"].keys()
    }
    assert after == before
    assert {body["Type"] for body in added.values()} == {"AWS::IAM::Policy"}
    by_name = sorted(added.items())
    assert [body["Properties"]["Roles"] for _, body in by_name] == [
        profiles[name] for name in sorted(profiles)
    ]
    for _, body in by_name:
        assert body["Properties"]["PolicyDocument"]["Statement"][-1]["Resource"] == key_arn()
