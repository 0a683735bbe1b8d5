"""What is looked up by its name alone: a profile, and a role by CDK's own look-up."""

import functools
from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from session_manager_permissions import (
    SessionManagerPermissions,
    SessionPreferences,
    lookup_instance_profile,
)
from tests.builders import Text, answered, permit
from tests.conftest import MakeApp
from tests.places import ACCOUNT, HERE, REGION, role_arn
from tests.reading import app_of, lookups, policy

PROFILE_ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/path/Existing"


def permit_profile(stack: cdk.Stack) -> None:
    permit(stack, lookup_instance_profile(stack, "Profile", instance_profile_name="Existing"))


def test_the_cli_is_asked_for_the_profile_of_that_name(stack_here: cdk.Stack) -> None:
    permit_profile(stack_here)
    (asked,) = lookups(stack_here)
    assert asked["provider"] == "cc-api-provider"
    expected = {
        "account": ACCOUNT,
        "region": REGION,
        "typeName": "AWS::IAM::InstanceProfile",
        "exactIdentifier": "Existing",
        "propertiesToReturn": ["Roles", "Arn"],
    }
    assert {name: asked["props"][name] for name in expected} == expected


def test_the_answer_gives_the_profile_and_its_role(make_app: MakeApp) -> None:
    answer = [{"Roles": ["ItsRole"], "Arn": PROFILE_ARN, "Identifier": "Existing"}]
    stack = answered(make_app, permit_profile, answer)
    assert policy(stack)["Roles"] == ["ItsRole"]
    again = cdk.Stack(app_of(stack), "Again", env=HERE)
    profile = lookup_instance_profile(again, "Profile", instance_profile_name="Existing")
    assert profile.instance_profile_arn == PROFILE_ARN
    assert profile.role
    assert profile.role.role_name == "ItsRole"
    assert str(profile.role.node.path) == "Again/ProfileRole"


@pytest.mark.parametrize("answer", [
    *("text", 7, {}, [], [None], ["text"], [{}], [{"Arn": PROFILE_ARN}], [{"Roles": ["It"]}]),
    *([{"Roles": roles, "Arn": PROFILE_ARN}] for roles in ("It", [7], ["a b"])),
    *([{"Roles": ["It"], "Arn": arn}] for arn in (7, "arn:x", "Existing")),
])  # fmt: skip
def test_an_answer_of_another_form_is_refused(make_app: MakeApp, answer: object) -> None:
    with pytest.raises(ValueError, match=r"'Existing' has the answer .* `cdk context --reset KEY`"):
        answered(make_app, permit_profile, answer)


def test_id_and_name_may_be_of_an_enum_of_texts(stack_here: cdk.Stack) -> None:
    profile = lookup_instance_profile(stack_here, Text.TEAM, instance_profile_name=Text.TEAM)

    assert profile.role
    assert profile.role.node.path == "Stack/teamRole"
    assert profile.instance_profile_arn.endswith(":instance-profile/team")


def test_names_are_no_error_before_the_cli_has_looked_them_up(stack_here: cdk.Stack) -> None:
    unknown = cdk.aws_ssm.StringParameter.value_from_lookup(stack_here, "/web/name")
    for name in ("One", "Another", unknown):
        profile = lookup_instance_profile(stack_here, f"P{name}", instance_profile_name=name)
        permissions = SessionManagerPermissions(
            stack_here, f"On{name}", instance_profile=profile, policy_name=unknown
        )
        permissions.attach_to_instance_profile(profile)
        permissions.attach_to_role(iam.Role.from_lookup(stack_here, name, role_name=name))
    permissions.attach_to_role(iam.Role.from_lookup(stack_here, "Again", role_name="again"))
    permissions.add_encryption_key(cdk.aws_kms.Alias.from_alias_name(stack_here, "Key", unknown))
    assert len(lookups(stack_here)) == 8


# roles by CDK's own look-up


def grant(stack: cdk.Stack, role: iam.IRole) -> None:
    preferences = SessionPreferences.from_document_name(stack, "Preferences")
    assert preferences.grant_start_session(role, all_instances=True).success


@pytest.mark.parametrize(("take", "why"), [(permit, "mutable=False"), (grant, "^grantee 'Stack/R")])
def test_a_role_is_refused_only_once_it_is_known(
    make_app: MakeApp, take: Callable[[cdk.Stack, iam.IRole], object], why: str
) -> None:
    def use(stack: cdk.Stack, *, mutable: bool = True) -> None:
        take(stack, iam.Role.from_lookup(stack, "Role", role_name="Existing", mutable=mutable))

    for account in (ACCOUNT, "123456789012"):
        stack = answered(make_app, use, [{"Arn": role_arn("path/Existing", account)}], account)
        assert policy(stack)["Roles"] == ["Existing"]
    with pytest.raises(ValueError, match=why):
        answered(make_app, functools.partial(use, mutable=False), [{"Arn": role_arn()}])
