"""Deployments that go wrong: each ends in the right state, or says what is wrong.

The CLI runs where it has a part in that: a proxy before the local AWS has it fail at a call. All
else is up to CloudFormation; a wait condition has it stop, or fail, half-way through a stack.
Where MiniStack is not CloudFormation:
- It writes a policy in one step, so that nobody could see a gap: it is held that the policy keeps
  its name, and that its resource is neither replaced nor taken away.
- It leaves an update that failed as it is, where CloudFormation may send it back: for a role that
  is gone that can end in UPDATE_ROLLBACK_FAILED.
- It lets two stacks manage one policy, which CloudFormation refuses.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from botocore.exceptions import ClientError
from local_aws import REGION, ExistingProfile, LocalAws, create_key, existing_profile

from session_manager_permissions import SessionManagerPermissions
from session_manager_permissions._app import stack_name

from . import stacks
from .gateway import Answer, Call, error_of, passed_on, served
from .stacks import legacy_app, until
from .test_deploy import added_policies, assert_bare, assert_ready

AFTER_POLICY: Final = "AfterPolicy"
"""The wait condition of a stack that has one."""


@dataclass(frozen=True)
class Proxy:
    """A proxy between the CLI and the local AWS, which denies one call."""

    aws: LocalAws
    operation: str

    def answer(self, call: Call, path: str, body: bytes, request: BaseHTTPRequestHandler) -> Answer:
        if call.operation != self.operation:
            return passed_on(self.aws.port, path, body, request, {})
        return error_of(call, "AccessDeniedException", 403, 400)


@contextmanager
def faulty(proxy: Proxy) -> Iterator[LocalAws]:
    """The same local AWS, with an error for one call."""
    with served(proxy) as address:
        yield replace(proxy.aws, port=int(address.rpartition(":")[2]))


@dataclass(frozen=True)
class Target:
    """A role with policies of its own team, and a stack that attaches this library's policy."""

    profile: ExistingProfile
    folder: Path

    @property
    def stack(self) -> str:
        return f"Faults-{self.profile.name}"

    def app(
        self,
        *,
        key: str | None = None,
        policy_name: str | None = None,
        stack_name: str | None = None,
        waits: bool = False,
    ) -> Path:
        """The folder with the stack, synthesized; it may wait for a condition after the policy."""
        number = len(list(self.folder.iterdir()))
        app = legacy_app(self.folder / str(number))
        env = cdk.Environment(account=self.profile.role_arn.split(":")[4], region=REGION)
        stack = cdk.Stack(app, stack_name or self.stack, env=env)
        permissions = SessionManagerPermissions(
            stack,
            "Permissions",
            role=iam.Role.from_role_name(stack, "Role", self.profile.role_name),
            encryption_key=kms.Key.from_key_arn(stack, "Key", key) if key else None,
            policy_name=policy_name,
        )
        if waits:
            condition = cdk.CfnWaitCondition(stack, AFTER_POLICY)
            condition.cfn_options.creation_policy = cdk.CfnCreationPolicy(
                resource_signal=cdk.CfnResourceSignal(count=1, timeout="PT2M")
            )
            condition.node.add_dependency(permissions)
        return Path(app.synth().directory)

    def put(self, app: Path) -> None:
        """Make CloudFormation create or update the stack, and wait for the end."""
        stacks.put(self.profile.aws, app)

    def start(self, app: Path) -> None:
        """Make CloudFormation begin to create or update the stack."""
        (template,) = app.glob("*.template.json")
        stacks.start(self.profile.aws, template)

    def fails(self, app: Path, status: str) -> str:
        """The reason for which CloudFormation ends with this status."""
        before = len(self.events())
        self.start(app)
        until(lambda: self.status() == status)
        return "\n".join(one.get("ResourceStatusReason", "") for one in self.events()[before:])

    def delete(self) -> None:
        stacks.delete(self.profile.aws, self.stack)

    def status(self) -> str | None:
        return stacks.status(self.profile.aws, self.stack)

    def events(self) -> list[dict[str, Any]]:
        return stacks.events(self.profile.aws, self.stack)

    def wait(self) -> None:
        """Wait until the deployment of the stack has come to the wait condition."""
        until(lambda: AFTER_POLICY in {event["LogicalResourceId"] for event in self.events()})

    def end_wait(self) -> None:
        """Make the wait condition fail."""
        cloudformation = self.profile.aws.client("cloudformation")

        def is_taken() -> bool:
            try:
                cloudformation.signal_resource(
                    StackName=self.stack,
                    LogicalResourceId=AFTER_POLICY,
                    UniqueId="1",
                    Status="FAILURE",
                )
            except ClientError:
                return False
            return True

        until(is_taken)

    def theirs(self) -> dict[str, Any]:
        """All that IAM says about the profile and the role, except the policy of this library."""
        found: dict[str, Any] = self.profile.description()
        for name in added_policies(self.profile):
            del found["inline"][name]
        return found

    def own_document(self) -> object:
        (name,) = added_policies(self.profile)
        inline: Any = self.profile.description()["inline"]
        return inline[name]


@pytest.fixture
def target(aws: LocalAws, request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
    profile = existing_profile(aws, f"faults-{name}")
    attach_managed_policy(profile)
    return Target(profile, tmp_path)


def attach_managed_policy(profile: ExistingProfile) -> None:
    profile.aws.client("iam").attach_role_policy(
        RoleName=profile.role_name, PolicyArn="arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"
    )


# what the CLI has a part in


def test_a_look_up_that_is_denied_is_said_and_not_kept(target: Target) -> None:
    profile, theirs = target.profile, target.theirs()
    with faulty(Proxy(profile.aws, "GetResource")) as through:
        run = through.cdk("deploy", "-c", f"instance-profile={profile.name}")

    assert run.exit_code == 1
    assert f"while getting AWS::IAM::InstanceProfile resource {profile.name}" in run.output
    assert "AccessDeniedException: cloudcontrolapi:GetResource" in run.output  # as AWS says it
    assert "Traceback" not in run.output
    assert stacks.status(profile.aws, stack_name("InstanceProfile", profile.name)) is None
    kept = profile.aws.project / "cdk.context.json"
    assert not kept.exists() or profile.name not in kept.read_text(encoding="utf-8")
    assert profile.description() == theirs


@pytest.mark.parametrize(
    ("option", "kind"),
    [("instance-profile", "InstanceProfile"), ("instance-profiles", "InstanceProfiles")],
)
def test_a_stack_is_destroyed_when_its_profile_is_gone_and_no_look_up_is_kept(
    target: Target, option: str, kind: str
) -> None:
    profile = target.profile
    aws, theirs = profile.aws, target.theirs()
    given = profile.name if option == "instance-profile" else "gone.txt"
    (aws.project / "gone.txt").write_text(profile.name, encoding="utf-8")
    stack = stack_name(kind, given)
    target.put(target.app(stack_name=stack))
    assert_ready(profile)
    kind_of_profile = "AWS::IAM::InstanceProfile"
    aws.client("cloudcontrol").delete_resource(TypeName=kind_of_profile, Identifier=profile.name)

    run = aws.cdk("destroy", "--force", "-c", f"{option}={given}")

    assert run.exit_code == 0, run.output
    assert stacks.status(aws, stack) is None
    assert profile.description() == theirs


# what is up to CloudFormation


def test_a_first_deployment_that_fails_leaves_nothing(target: Target) -> None:
    profile, theirs = target.profile, target.theirs()
    target.start(target.app(waits=True))
    target.wait()
    assert_ready(profile)

    target.end_wait()

    until(lambda: target.status() == "ROLLBACK_COMPLETE")
    assert profile.description() == theirs


def test_an_update_that_rolls_back_leaves_the_policy_as_it_was(target: Target) -> None:
    profile, theirs, key = target.profile, target.theirs(), create_key(target.profile.aws)
    target.put(target.app())
    document = target.own_document()

    target.start(target.app(key=key, waits=True))
    target.wait()
    assert profile.can_decrypt(key)
    target.end_wait()

    until(lambda: target.status() == "UPDATE_ROLLBACK_COMPLETE")
    assert target.own_document() == document
    assert not profile.can_decrypt(key)
    target.put(target.app(key=key))
    assert profile.can_decrypt(key)
    assert target.theirs() == theirs


def delete_role(profile: ExistingProfile) -> dict[str, Any]:
    """Delete the role as somebody would by hand, and return its description."""
    made: dict[str, Any] = profile.description()
    client, role = profile.aws.client("iam"), {"RoleName": profile.role_name}
    client.remove_role_from_instance_profile(**role, InstanceProfileName=profile.name)
    for policy in made["attached"]:
        client.detach_role_policy(**role, PolicyArn=policy["PolicyArn"])
    for name in made["inline"]:
        client.delete_role_policy(**role, PolicyName=name)
    client.delete_role(**role)
    return made


def make_role_again(profile: ExistingProfile, made: dict[str, Any]) -> None:
    """As its team made it: with their policies."""
    client, role = profile.aws.client("iam"), {"RoleName": profile.role_name}
    trust = json.dumps(made["role"]["AssumeRolePolicyDocument"])
    client.create_role(**role, AssumeRolePolicyDocument=trust)
    document = json.dumps(made["inline"]["list-bucket"])
    client.put_role_policy(**role, PolicyName="list-bucket", PolicyDocument=document)
    client.add_role_to_instance_profile(**role, InstanceProfileName=profile.name)
    attach_managed_policy(profile)


def test_a_role_deleted_between_two_deployments(target: Target) -> None:
    profile, key = target.profile, create_key(target.profile.aws)
    with_key, theirs = target.app(key=key), target.theirs()
    target.put(target.app())

    made = delete_role(profile)
    reason = target.fails(with_key, "UPDATE_ROLLBACK_COMPLETE")
    assert f"The role with name {profile.role_name} cannot be found" in reason

    make_role_again(profile, made)
    target.put(with_key)
    assert_ready(profile)
    assert profile.can_decrypt(key)
    now = target.theirs()
    assert (now["inline"], now["attached"]) == (theirs["inline"], theirs["attached"])

    delete_role(profile)
    target.delete()


def put_by_hand(profile: ExistingProfile, name: str, action: str) -> None:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    profile.aws.client("iam").put_role_policy(
        RoleName=profile.role_name,
        PolicyName=name,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )


def test_a_policy_edited_by_hand_is_restored_in_place_by_the_next_change(target: Target) -> None:
    profile, theirs, key = target.profile, target.theirs(), create_key(target.profile.aws)
    target.put(target.app())
    (name,) = added_policies(profile)
    put_by_hand(profile, name, "kms:Encrypt")
    assert_bare(profile)

    target.put(target.app(key=key))
    assert_ready(profile)
    assert profile.can_decrypt(key)
    assert added_policies(profile) == [name]
    of_policy = [one for one in target.events() if one["ResourceType"] == "AWS::IAM::Policy"]
    assert [one["ResourceStatus"] for one in of_policy] == [
        *("CREATE_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")
    ]
    assert target.theirs() == theirs


def test_a_policy_of_the_same_name_is_overwritten_and_gone_after(target: Target) -> None:
    profile, theirs = target.profile, target.theirs()
    put_by_hand(profile, "SessionManager", "kms:Encrypt")

    target.put(target.app(policy_name="SessionManager"))
    assert_ready(profile)
    assert added_policies(profile) == ["SessionManager"]
    assert target.theirs() == theirs

    target.delete()
    assert_bare(profile)
    assert profile.description() == theirs
