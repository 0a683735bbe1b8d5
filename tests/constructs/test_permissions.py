"""The construct: its statements, its one policy, the name, and what CDK lets others do to it."""

import json
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from session_manager_permissions import SessionManagerPermissions, session_manager_statements
from session_manager_permissions import _app as real_app
from tests.builders import MINIMIZE, instance, l1_profile
from tests.cfn_lint import lint
from tests.conftest import DATA, MakeApp
from tests.keys import existing_key
from tests.places import key_arn
from tests.reading import policy, resources, synth, template
from tests.roles import EC2, existing_role, l1_role, owned_role
from tests.scenarios import all_owned
from tests.templates import as_list

# the statements: the default is the AWS procedure to the letter


def as_json(**options: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [statement.to_statement_json() for statement in session_manager_statements(**options)]


def test_they_are_the_procedures_word_for_word(stack: cdk.Stack) -> None:
    file = DATA / "procedure.json"
    procedure = json.loads(file.read_text(encoding="utf-8"))["Policy"]["Statement"]
    (placeholder,) = (one for one in procedure if one["Action"] == ["kms:Decrypt"])
    placeholder["Resource"] = key_arn()

    found = as_json(encryption_key=existing_key(stack))

    assert as_json() == as_json(encryption_key=None) == found[:2]
    for statement in found:
        del statement["Sid"]
        statement["Action"] = as_list(statement["Action"])
    assert found == procedure


def test_each_call_makes_its_own(stack: cdk.Stack) -> None:
    before = as_json()
    session_manager_statements()[0].add_resources("arn:aws:iam::111122223333:role/Unrelated")
    assert as_json() == before
    SessionManagerPermissions(stack, "Permissions", role=existing_role(stack))
    assert policy(stack)["PolicyDocument"]["Statement"] == before


# the name


@pytest.mark.parametrize(
    "name", ["", "n" * 129, "Sessions\n", "path/Sessions", "Séances", "${Stack}-Sessions", "a b"]
)
def test_a_policy_name_that_iam_does_not_take_is_refused(stack: cdk.Stack, name: str) -> None:
    with pytest.raises(ValueError, match=r"^policy_name "):
        SessionManagerPermissions(stack, "Permissions", role=existing_role(stack), policy_name=name)
    assert stack.node.try_find_child("Permissions") is None


@pytest.mark.parametrize("name", ["a", "n" * 128, "+=,.@-_0"])
def test_a_policy_name_that_iam_takes_is_the_policys(stack: cdk.Stack, name: str) -> None:
    SessionManagerPermissions(stack, "It", role=existing_role(stack), policy_name=name)
    assert policy(stack)["PolicyName"] == name


# one policy


def test_there_is_one_inline_policy_whatever_the_number_of_roles(stack: cdk.Stack) -> None:
    permissions = SessionManagerPermissions(stack, "Permissions", role=existing_role(stack))
    permissions.attach_to_role(owned_role(stack))
    permissions.attach_to_role(existing_role(stack, "Second", "Second"))
    permissions.attach_to_role(l1_role(stack))
    permissions.attach_to_instance_profile(l1_profile(stack, "Third"))
    permissions.attach_to_role(iam.LazyRole(stack, "Lazy", assumed_by=EC2))
    owned, _, lazy = resources(stack, "AWS::IAM::Role")
    listed = ["Existing", {"Ref": owned}, "Second", {"Ref": "L1"}, "Third", {"Ref": lazy}]
    assert policy(stack)["Roles"] == listed
    assert len(permissions.roles) == 6
    permissions.add_encryption_key(existing_key(stack))
    assert len(policy(stack)["PolicyDocument"]["Statement"]) == 3
    assert not resources(stack, "AWS::IAM::ManagedPolicy")


def test_the_policy_and_its_roles_can_be_had(stack: cdk.Stack) -> None:
    role = owned_role(stack)
    permissions = SessionManagerPermissions(stack, "Permissions", role=role)
    assert isinstance(permissions.policy, iam.Policy)
    permissions.roles.clear()
    assert permissions.roles == [role]

    permissions.policy.add_statements(
        iam.PolicyStatement(sid="Mine", actions=["s3:ListAllMyBuckets"], resources=["*"])
    )
    assert policy(stack)["PolicyDocument"]["Statement"][-1]["Sid"] == "Mine"


# what others do to it


@pytest.mark.parametrize("own_role", [True, False], ids=["the instance's own role", "a role"])
def test_an_instance_can_wait_for_the_policy(stack: cdk.Stack, *, own_role: bool) -> None:
    waiting = instance(stack, role=None if own_role else owned_role(stack))
    permissions = SessionManagerPermissions(stack, "Permissions", role=waiting.role)
    waiting.instance.node.add_dependency(permissions)
    (body,) = resources(stack, "AWS::EC2::Instance").values()
    (awaited,) = resources(stack, "AWS::IAM::Policy")
    assert awaited in body["DependsOn"]


def test_what_waits_for_a_policy_that_others_create_is_no_error(stack: cdk.Stack) -> None:
    iam.Role.customize_roles(stack)
    permissions = SessionManagerPermissions(stack, "Permissions", role=existing_role(stack))
    waiting = cdk.CfnResource(stack, "Waiting", type="AWS::CloudFormation::WaitConditionHandle")
    waiting.node.add_dependency(permissions)
    assert synth(stack)
    assert "DependsOn" not in template(stack)["Resources"]["Waiting"]


# whole templates of typical uses: Sids, names and logical ids are contract


def default(app: cdk.App) -> cdk.Stack:
    stack = cdk.Stack(app, "Stack")
    profile = iam.InstanceProfile(stack, "Profile", role=owned_role(stack))
    SessionManagerPermissions(stack, "Permissions", instance_profile=profile)
    return stack


def every_option_owned(app: cdk.App) -> cdk.Stack:
    stack = cdk.Stack(app, "Stack")
    SessionManagerPermissions(stack, "Permissions", role=owned_role(stack), **all_owned(stack))
    return stack


def example(app: cdk.App) -> cdk.Stack:
    real_app.show_example(app)
    (stack,) = (child for child in app.node.children if isinstance(child, cdk.Stack))
    return stack


@pytest.mark.untraced
@pytest.mark.parametrize(
    "build", [default, every_option_owned, example], ids=lambda build: str(build.__name__)
)
def test_the_template_is_as_it_was(
    make_app: MakeApp, build: Callable[[cdk.App], cdk.Stack], snapshot: SnapshotAssertion
) -> None:
    plain, minimized = (template(build(make_app(**{MINIMIZE: one}))) for one in (False, True))
    assert plain == snapshot.use_extension(JSONSnapshotExtension)
    # Each statement has a Sid, and its actions are in order: there is nothing to minimize.
    assert minimized == plain
    assert lint(json.dumps(plain)) == []
