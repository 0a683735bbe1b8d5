"""Deploys that go wrong, by the real CLI: each ends in the right state, or says what is wrong.

What was there before, and a change that CloudFormation alone decides, take no CLI.
A proxy before the local AWS has it happen at a call; a wait condition, half-way through a stack.
Where MiniStack is not CloudFormation:
- It writes a policy in one step, and hides whoever asks a gap that closes at once: of such a gap is
  held that the policy keeps its name, and that its resource is neither replaced nor taken away.
- It leaves an update that failed as it is, where CloudFormation may send it back: for a role that
  is gone that can end in UPDATE_ROLLBACK_FAILED.
- It lets two stacks manage one policy.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shlex
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from botocore.exceptions import ClientError
from local_aws import REGION, ROOT, create_key, existing_profile

from session_manager_permissions import SessionManagerPermissions
from session_manager_permissions._needs import CHANNELS

from .test_deploy import added_policies, assert_bare, assert_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    from local_aws import CliRun, ExistingProfile, LocalAws

    Fault: TypeAlias = Callable[[Callable[[], "Answer"]], "Answer | None"]

pytestmark = pytest.mark.deploy

APP: Final = shlex.join([sys.executable, str(ROOT / "app.py")])


class Answer(NamedTuple):
    """What a service answers to a call."""

    status: int
    content_type: str
    body: bytes


class Proxy(ThreadingHTTPServer):
    """Between the CLI and the local AWS. `fault` answers `call` in place of AWS, or not at all."""

    def __init__(self, aws: LocalAws, call: str, fault: Fault) -> None:
        super().__init__(("127.0.0.1", 0), PassOn)
        self.aws, self.call, self.fault = aws, call, fault


class PassOn(BaseHTTPRequestHandler):
    """One connection of the CLI."""

    server: Proxy
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        # the JSON protocol names the call in a header, the query protocol in the body
        target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        call = target or parse_qs(body.decode())["Action"][0]
        answer = (
            self.server.fault(lambda: self.passed_on(body))
            if call == self.server.call
            else self.passed_on(body)
        )
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def passed_on(self, body: bytes) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.aws.port, timeout=60)
        connection.request("POST", self.path, body, dict(self.headers))
        response = connection.getresponse()
        answer = Answer(response.status, response.headers["Content-Type"], response.read())
        connection.close()
        return answer

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def faulty(aws: LocalAws, call: str, fault: Fault) -> Iterator[LocalAws]:
    """The same AWS with a fault at one call."""
    with Proxy(aws, call, fault) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield replace(aws, port=proxy.server_port)
        finally:
            proxy.shutdown()
            thread.join()


def denied(_: object) -> Answer:
    """The Cloud Control API's answer to who may not ask."""
    body = {
        "__type": "com.amazon.cloudcontrol#AccessDeniedException",
        "message": "User: someone is not authorized to perform: cloudformation:GetResource",
    }
    return Answer(400, "application/x-amz-json-1.0", json.dumps(body).encode())


class Group:
    """The processes of a run of the CLI, to be killed as one."""

    def __init__(self) -> None:
        self._ids: list[int] = []

    def started(self, group: int) -> None:
        self._ids.append(group)

    def kill(self) -> None:
        os.killpg(self._ids[0], signal.SIGKILL)


def kill_at(aws: LocalAws, call: str, *arguments: str, arrives: bool = False) -> None:
    """Run the CLI, and kill it when it makes this call: after AWS has it if it `arrives`."""
    group = Group()

    def fault(pass_on: Callable[[], Answer]) -> None:
        if arrives:
            pass_on()
        group.kill()

    with faulty(aws, call, fault) as through:
        run = through.cdk(*arguments, started=group.started)
    assert run.exit_code == -signal.SIGKILL, run.output


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stack_status(aws: LocalAws, name: str) -> str | None:
    stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
    return next((stack["StackStatus"] for stack in stacks if stack["StackName"] == name), None)


@dataclass(frozen=True)
class Target:
    """A role with policies of its own team, and a stack that gives it ours."""

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
        waits: Iterable[str] = (),
    ) -> str:
        """What `--app` takes: the stack, synthesized, and with these wait conditions.

        One whose name starts with `Before` is met before the policy, any other after it.
        """
        number = len(list(self.folder.iterdir()))
        app = cdk.App(
            outdir=str(self.folder / str(number)),
            default_stack_synthesizer=cdk.LegacyStackSynthesizer(),
            analytics_reporting=False,
        )
        account = self.profile.role_arn.split(":")[4]
        env = cdk.Environment(account=account, region=REGION)
        stack = cdk.Stack(app, stack_name or self.stack, env=env)
        permissions = SessionManagerPermissions(
            stack,
            "Permissions",
            role=iam.Role.from_role_name(stack, "Role", self.profile.role_name),
            encryption_key=kms.Key.from_key_arn(stack, "Key", key) if key else None,
            policy_name=policy_name,
        )
        for name in waits:
            condition = cdk.CfnWaitCondition(stack, name)
            condition.cfn_options.creation_policy = cdk.CfnCreationPolicy(
                resource_signal=cdk.CfnResourceSignal(count=1, timeout="PT2M")
            )
            if name.startswith("Before"):
                permissions.node.add_dependency(condition)
            else:
                condition.node.add_dependency(permissions)
        return app.synth().directory

    def run(self, *arguments: str) -> CliRun:
        return self.profile.aws.cdk(*arguments)

    def start(self, app: str) -> str:
        """Have CloudFormation begin to make the stack, or update it; return its name."""
        cloudformation = self.profile.aws.client("cloudformation")
        (template,) = Path(app).glob("*.template.json")
        name = template.name.partition(".")[0]
        is_there = stack_status(self.profile.aws, name) is not None
        begin = cloudformation.update_stack if is_there else cloudformation.create_stack
        begin(
            StackName=name,
            TemplateBody=template.read_text(encoding="utf-8"),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        return name

    def put(self, app: str) -> None:
        """Have CloudFormation make the stack, or update it, to the end."""
        name = self.start(app)
        done = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
        until(lambda: stack_status(self.profile.aws, name) in done)

    def deploy(self, app: str, method: str = "direct") -> str:
        """Deploy it without a change set, which takes the CLI longer and comes to the same."""
        return self._succeed("deploy", "--app", app, "--method", method)

    def destroy(self, app: str) -> str:
        return self._succeed("destroy", "--force", "--app", app)

    def _succeed(self, *arguments: str) -> str:
        run = self.run(*arguments)
        assert run.exit_code == 0, run.output
        return run.output

    def status(self) -> str | None:
        return stack_status(self.profile.aws, self.stack)

    def wait_for(self, condition: str) -> None:
        """Wait until the deployment of the stack has come to this wait condition."""
        cloudformation = self.profile.aws.client("cloudformation")

        def is_met() -> bool:
            if self.status() is None:
                return False
            events = cloudformation.describe_stack_events(StackName=self.stack)["StackEvents"]
            return condition in {event["LogicalResourceId"] for event in events}

        until(is_met)

    def signal(self, condition: str, status: str) -> None:
        cloudformation = self.profile.aws.client("cloudformation")

        def is_taken() -> bool:
            try:
                cloudformation.signal_resource(
                    StackName=self.stack, LogicalResourceId=condition, UniqueId="1", Status=status
                )
            except ClientError:
                return False
            return True

        self.wait_for(condition)
        until(is_taken)

    def policy_events(self) -> list[str]:
        """What became of our policy, from its first deploy on."""
        cloudformation = self.profile.aws.client("cloudformation")
        return [
            event["ResourceStatus"]
            for event in reversed(
                cloudformation.describe_stack_events(StackName=self.stack)["StackEvents"]
            )
            if event["ResourceType"] == "AWS::IAM::Policy"
        ]

    def theirs(self) -> dict[str, Any]:
        """All that IAM tells of profile and role, but for the policy that we add."""
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


def test_a_deploy_killed_while_it_synthesizes_can_be_run_again(target: Target) -> None:
    profile, aws, theirs = target.profile, target.profile.aws, target.theirs()
    options = ("-c", f"instance-profile={profile.name}")
    group = Group()

    def kill(line: str) -> None:
        if line == "written":
            group.kill()

    app = f"{APP} && echo written && sleep 600"
    run = aws.cdk("deploy", *options, "--app", app, show=kill, started=group.started)
    assert run.exit_code == -signal.SIGKILL, run.output
    kill_at(aws, "GetResource", "deploy", *options)
    assert stack_status(aws, f"SessionManager-InstanceProfile-{profile.name}") is None
    assert target.profile.description() == theirs

    run = aws.cdk("deploy", *options)
    assert run.exit_code == 0, run.output
    assert_ready(profile)
    assert target.theirs() == theirs


@pytest.mark.parametrize(
    ("call", "arrives", "status_of_new", "is_done"),
    [
        ("CreateChangeSet", True, "REVIEW_IN_PROGRESS", False),
        ("ExecuteChangeSet", False, "REVIEW_IN_PROGRESS", False),
        ("ExecuteChangeSet", True, "CREATE_COMPLETE", True),
    ],
)
def test_a_deploy_killed_at_its_change_set_can_be_run_again(
    target: Target, call: str, *, arrives: bool, status_of_new: str, is_done: bool
) -> None:
    profile, theirs, key = target.profile, target.theirs(), create_key(target.profile.aws)
    app, app_with_key = target.app(), target.app(key=key)

    kill_at(profile.aws, call, "deploy", "--app", app, arrives=arrives)
    until(lambda: target.status() == status_of_new)
    assert bool(added_policies(profile)) == is_done
    assert ("no changes" in target.deploy(app, "change-set")) == is_done
    assert_ready(profile)

    kill_at(profile.aws, call, "deploy", "--app", app_with_key, arrives=arrives)
    assert_ready(profile)
    until(lambda: profile.can_decrypt(key) == is_done)
    assert ("no changes" in target.deploy(app_with_key, "change-set")) == is_done
    assert_ready(profile)
    assert profile.can_decrypt(key)
    assert target.status() == "UPDATE_COMPLETE"
    assert target.theirs() == theirs


@pytest.mark.parametrize(
    ("outcome", "status"), [("SUCCESS", "CREATE_COMPLETE"), ("FAILURE", "ROLLBACK_COMPLETE")]
)
def test_a_deploy_killed_half_way_is_ended_by_cloudformation(
    target: Target, outcome: str, status: str
) -> None:
    profile, theirs, group = target.profile, target.theirs(), Group()
    app = target.app(waits=["AfterPolicy"])
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(profile.aws.cdk, "deploy", "--app", app, started=group.started)
        target.wait_for("AfterPolicy")
        group.kill()
        assert run.result().exit_code == -signal.SIGKILL
    assert_ready(profile)

    # The CLI compares templates, and the stack has this one: it does not see that it is not done.
    assert "no changes" in target.deploy(app)
    assert target.status() == "CREATE_IN_PROGRESS"

    target.signal("AfterPolicy", outcome)
    until(lambda: target.status() == status)
    assert len(added_policies(profile)) == (outcome == "SUCCESS")
    assert target.theirs() == theirs

    target.deploy(target.app())
    assert_ready(profile)
    assert target.theirs() == theirs


@pytest.mark.parametrize("is_killed", [False, True], ids=["told by the CLI", "killed half-way"])
def test_an_update_that_rolls_back_leaves_the_policy_as_it_was(
    target: Target, *, is_killed: bool
) -> None:
    profile, theirs, key = target.profile, target.theirs(), create_key(target.profile.aws)
    target.put(target.app())
    document, update = target.own_document(), target.app(key=key, waits=["AfterPolicy"])
    group = Group()

    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(profile.aws.cdk, "deploy", "--app", update, started=group.started)
        target.wait_for("AfterPolicy")
        assert profile.can_decrypt(key)
        if is_killed:
            group.kill()
            assert run.result().exit_code == -signal.SIGKILL
        target.signal("AfterPolicy", "FAILURE")
        if not is_killed:
            assert run.result().exit_code == 1
            assert "AfterPolicy" in run.result().output.partition("Failed resources:")[2]
    until(lambda: target.status() == "UPDATE_ROLLBACK_COMPLETE")
    assert target.own_document() == document
    assert not profile.can_decrypt(key)
    assert target.theirs() == theirs

    target.deploy(target.app(key=key))
    assert profile.can_decrypt(key)
    assert target.theirs() == theirs


def delete_role(profile: ExistingProfile) -> dict[str, Any]:
    """Delete the role as someone would by hand, and tell what it was."""
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


def test_a_role_deleted_between_two_deploys(target: Target) -> None:
    profile, key = target.profile, create_key(target.profile.aws)
    app, app_with_key = target.app(), target.app(key=key)
    theirs = target.theirs()
    target.put(app)

    made = delete_role(profile)
    assert "no changes" in target.deploy(app)

    run = target.run("deploy", "--app", app_with_key)
    assert run.exit_code == 1
    assert f"The role with name {profile.role_name} cannot be found" in run.output
    assert target.status() == "UPDATE_ROLLBACK_COMPLETE"

    make_role_again(profile, made)
    assert "no changes" in target.deploy(app)
    assert_bare(profile)
    target.put(app_with_key)
    assert_ready(profile)
    assert profile.can_decrypt(key)

    now = target.theirs()
    assert (now["inline"], now["attached"]) == (theirs["inline"], theirs["attached"])

    delete_role(profile)
    target.destroy(app_with_key)
    assert target.status() is None


def test_a_role_that_does_not_exist_is_named_and_the_deploy_can_be_run_again(
    target: Target,
) -> None:
    profile, app = target.profile, target.app()
    made = delete_role(profile)

    run = target.run("deploy", "--app", app)
    assert run.exit_code == 1
    assert f"The role with name {profile.role_name} cannot be found" in run.output
    assert target.status() == "ROLLBACK_COMPLETE"

    make_role_again(profile, made)
    target.deploy(app)
    assert_ready(profile)


def put_by_hand(profile: ExistingProfile, name: str, action: str) -> None:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    profile.aws.client("iam").put_role_policy(
        RoleName=profile.role_name,
        PolicyName=name,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )


def test_a_policy_edited_by_hand_is_seen_by_no_one_and_restored_by_the_next_change(
    target: Target,
) -> None:
    profile, theirs, key = target.profile, target.theirs(), create_key(target.profile.aws)
    app, app_with_key = target.app(), target.app(key=key)
    target.put(app)
    (name,) = added_policies(profile)
    put_by_hand(profile, name, "kms:Encrypt")
    edited = target.own_document()

    assert "There were no differences" in target.run("diff", "--app", app).output
    # CloudFormation documents that AWS::IAM::Policy does not support drift detection.
    assert "No drift detected" in (drift := target.run("drift", "--app", app).output)
    assert "(1 unchecked)" in drift
    assert "no changes" in target.deploy(app)
    assert target.own_document() == edited
    assert_bare(profile)

    target.put(app_with_key)
    assert_ready(profile)
    assert profile.can_decrypt(key)
    assert added_policies(profile) == [name]
    assert target.theirs() == theirs


def test_a_policy_of_the_same_name_that_was_there_is_overwritten_and_gone_after(
    target: Target,
) -> None:
    profile, theirs = target.profile, target.theirs()
    put_by_hand(profile, "SessionManager", "kms:Encrypt")
    app = target.app(policy_name="SessionManager")

    target.put(app)
    assert_ready(profile)
    assert added_policies(profile) == ["SessionManager"]
    assert target.theirs() == theirs

    target.destroy(app)
    assert_bare(profile)
    assert profile.description() == theirs


def test_a_policy_of_the_same_name_is_gone_after_a_deploy_that_failed(target: Target) -> None:
    profile, theirs = target.profile, target.theirs()
    put_by_hand(profile, "SessionManager", "kms:Encrypt")
    app = target.app(policy_name="SessionManager", waits=["AfterPolicy"])

    target.start(app)
    target.signal("AfterPolicy", "FAILURE")
    until(lambda: target.status() == "ROLLBACK_COMPLETE")
    assert profile.description() == theirs


@pytest.mark.xfail(reason="MiniStack lets two stacks manage one policy, CloudFormation does not")
def test_a_policy_that_another_stack_manages_is_refused(target: Target) -> None:
    target.put(target.app(policy_name="SessionManager"))
    another = target.app(policy_name="SessionManager", stack_name=f"{target.stack}-another")

    assert target.run("deploy", "--app", another).exit_code == 1


def test_a_look_up_that_is_denied_is_said_and_not_kept(target: Target) -> None:
    profile, theirs = target.profile, target.theirs()
    with faulty(profile.aws, "GetResource", denied) as through:
        run = through.cdk("deploy", "-c", f"instance-profile={profile.name}")

    assert run.exit_code == 1
    assert f"while getting AWS::IAM::InstanceProfile resource {profile.name}" in run.output
    assert "not authorized to perform: cloudformation:GetResource" in run.output
    assert "Traceback" not in run.output
    assert stack_status(profile.aws, f"SessionManager-InstanceProfile-{profile.name}") is None
    kept = profile.aws.folder / "project" / "cdk.context.json"
    assert profile.name not in kept.read_text(encoding="utf-8")
    assert profile.description() == theirs


def test_a_stack_is_destroyed_when_its_profile_is_gone_and_no_look_up_is_kept(
    target: Target,
) -> None:
    profile = target.profile
    aws, theirs = profile.aws, target.theirs()
    stack = f"SessionManager-InstanceProfile-{profile.name}"
    target.put(target.app(stack_name=stack))
    assert_ready(profile)
    aws.client("cloudcontrol").delete_resource(
        TypeName="AWS::IAM::InstanceProfile", Identifier=profile.name
    )

    run = aws.cdk("destroy", "--force", "-c", f"instance-profile={profile.name}")

    assert run.exit_code == 0, run.output
    assert stack_status(aws, stack) is None
    assert profile.description() == theirs


@contextmanager
def watched(profile: ExistingProfile) -> Iterator[list[bool]]:
    """Whether the role may use Session Manager, asked of IAM over and over meanwhile."""
    client, answers, is_over = profile.aws.client("iam"), [], threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            results = client.simulate_principal_policy(
                PolicySourceArn=profile.role_arn, ActionNames=list(CHANNELS.actions)
            )["EvaluationResults"]
            answers.append(all(result["EvalDecision"] == "allowed" for result in results))
            is_over.wait(0.01)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield answers
        finally:
            is_over.set()
        asking.result()


def hear(answers: list[bool]) -> None:
    """Wait until there are more answers, so that some are to questions asked from now on."""
    enough = len(answers) + 20
    until(lambda: len(answers) > enough)


def test_an_update_at_no_moment_takes_the_permission_away(target: Target) -> None:
    profile, theirs, key = target.profile, target.theirs(), create_key(target.profile.aws)
    update = target.app(key=key, waits=["BeforePolicy", "AfterPolicy"])
    target.put(target.app())
    name = added_policies(profile)

    with watched(profile) as answers:
        target.start(update)
        target.wait_for("BeforePolicy")
        assert not profile.can_decrypt(key)
        hear(answers)
        target.signal("BeforePolicy", "SUCCESS")
        target.wait_for("AfterPolicy")
        assert profile.can_decrypt(key)
        hear(answers)
        target.signal("AfterPolicy", "SUCCESS")
        until(lambda: target.status() == "UPDATE_COMPLETE")
        hear(answers)
    assert all(answers)
    assert target.policy_events() == [
        "CREATE_IN_PROGRESS",
        "CREATE_COMPLETE",
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE",
    ]
    assert added_policies(profile) == name
    assert target.theirs() == theirs

    with watched(profile) as answers:  # it would see a gap that lasts: here is one
        hear(answers)
        profile.aws.client("iam").delete_role_policy(RoleName=profile.role_name, PolicyName=name[0])
        hear(answers)
    assert answers[0]
    assert not answers[-1]
