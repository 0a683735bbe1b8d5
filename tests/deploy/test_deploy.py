"""The real CLI deploys app.py; what came of it is asked of IAM."""

from __future__ import annotations

import re
import shlex
import sys
from typing import NamedTuple

import pytest
from local_aws import ROOT, ExistingProfile, LocalAws, create_key, existing_profile

from session_manager_permissions._needs import CHANNELS

pytestmark = pytest.mark.deploy


class Stack(NamedTuple):
    """What `app.py` is deployed with."""

    aws: LocalAws
    options: tuple[str, ...]

    def deploy(self, *options: str, method: str = "direct") -> str:
        """Deploy it without a change set, which takes the CLI longer and comes to the same."""
        return self._run("deploy", "--method", method, *options, *self.options)

    def destroy(self, *options: str) -> str:
        return self._run("destroy", "--force", *options, *self.options)

    def destroy_what_was_deployed(self) -> None:
        """Destroy it by the assembly of the last deployment, which is not synthesized again."""
        self._run("destroy", "--force", "--app=cdk.out")

    def _run(self, *arguments: str) -> str:
        run = self.aws.cdk(*arguments)
        assert run.exit_code == 0, run.output
        return run.output


def policy_logical_ids(aws: LocalAws, stack_name: str) -> list[str]:
    resources = aws.client("cloudformation").describe_stack_resources(StackName=stack_name)
    return [
        resource["LogicalResourceId"]
        for resource in resources["StackResources"]
        if resource["ResourceType"] == "AWS::IAM::Policy"
    ]


def assert_ready(profile: ExistingProfile) -> None:
    assert [action for action in CHANNELS.actions if not profile.simulate(action)] == []
    assert profile.can_see_log_encryption()
    assert profile.can_list_bucket()  # its own team's
    assert not profile.simulate("ssmmessages:DeleteEverything")
    assert not profile.simulate("kms:Encrypt")


def assert_bare(profile: ExistingProfile) -> None:
    assert [action for action in CHANNELS.actions if profile.simulate(action)] == []
    assert not profile.can_see_log_encryption()


def added_policies(profile: ExistingProfile) -> list[str]:
    return [name for name in profile.inline_policies() if name != "list-bucket"]


def test_profile_from_first_deploy_to_destroy(aws: LocalAws) -> None:
    profile = existing_profile(aws, "lifecycle")
    made = profile.description()
    key, other_key = create_key(aws), create_key(aws)
    stack = Stack(aws, ("-c", "instance-profile=lifecycle"))
    assert_bare(profile)

    stack.deploy(method="change-set")
    assert_ready(profile)
    assert not profile.can_decrypt(key)
    (policy_name,) = added_policies(profile)
    logical_ids = policy_logical_ids(aws, "SessionManager-InstanceProfile-lifecycle")
    assert len(logical_ids) == 1

    assert "no changes" in stack.deploy(method="change-set")
    assert_ready(profile)

    stack.deploy("-c", f"key={key}", method="change-set")
    assert_ready(profile)
    assert profile.can_decrypt(key)
    assert not profile.can_decrypt(other_key)
    assert added_policies(profile) == [policy_name]
    assert policy_logical_ids(aws, "SessionManager-InstanceProfile-lifecycle") == logical_ids

    stack.destroy("-c", f"key={key}")
    assert_bare(profile)
    assert not profile.can_decrypt(key)
    assert profile.can_list_bucket()
    assert profile.description() == made


@pytest.mark.parametrize("given_by", ["role_name", "role_arn"])
def test_role(aws: LocalAws, given_by: str) -> None:
    profile = existing_profile(aws, given_by.replace("_", "-"))
    made = profile.description()
    key, other_key = create_key(aws), create_key(aws)
    stack = Stack(aws, ("-c", f"role={getattr(profile, given_by)}", "-c", f"key={key}"))

    stack.deploy("-c", "policy-name=SessionManager")
    assert_ready(profile)
    assert profile.can_decrypt(key)
    assert not profile.can_decrypt(other_key)
    assert added_policies(profile) == ["SessionManager"]

    stack.destroy_what_was_deployed()
    assert_bare(profile)
    assert profile.description() == made


def test_options_by_context_and_back(aws: LocalAws) -> None:
    profile = existing_profile(aws, "options")
    stack = Stack(aws, ("-c", "instance-profile=options"))
    logs = f"arn:aws:s3:::{profile.bucket}"

    stack.deploy(
        *("-c", "allow-registration=true"),
        *("-c", f"log-bucket={profile.bucket}"),
        *("-c", "log-prefix=web"),
        *("-c", "check-log-encryption=false"),
    )
    assert profile.simulate("ssm:UpdateInstanceInformation")
    assert profile.simulate("s3:PutObject", f"{logs}/web/a.log")
    assert not profile.simulate("s3:PutObject", f"{logs}/a.log")
    assert not profile.can_see_log_encryption()

    stack.deploy("-c", "allow-registration=false")
    assert_ready(profile)
    assert not profile.simulate("ssm:UpdateInstanceInformation")
    assert not profile.simulate("s3:PutObject", f"{logs}/web/a.log")


def test_two_profiles_keep_their_policies(aws: LocalAws) -> None:
    first, second = existing_profile(aws, "first"), existing_profile(aws, "second")

    Stack(aws, ("-c", "instance-profile=first")).deploy()
    Stack(aws, ("-c", "instance-profile=second")).deploy()
    assert_ready(first)
    assert_ready(second)

    Stack(aws, ("-c", "instance-profile=first")).destroy()
    assert_bare(first)
    assert_ready(second)


def test_profile_that_does_not_exist_is_named_in_a_line(aws: LocalAws) -> None:
    run = aws.cdk("deploy", "-c", "instance-profile=nowhere")

    assert run.exit_code != 0
    assert re.search("No resource of type AWS::IAM::InstanceProfile .*: nowhere", run.output)
    assert "Traceback" not in run.output


@pytest.mark.parametrize("option", ["instance-profiles", "roles"])
def test_file_of_names_is_one_stack_which_follows_it(aws: LocalAws, option: str) -> None:
    profiles = [existing_profile(aws, f"{option}-{number}") for number in range(3)]
    names = [
        profile.name if option == "instance-profiles" else profile.role_arn for profile in profiles
    ]
    file = aws.project / f"{option}.txt"
    passes = aws.project / f"{option}.passes"
    app = shlex.join([sys.executable, str(ROOT / "app.py")])
    given = ("-c", f"{option}={file.name}", "--app", f"{app} && echo pass >> {passes.name}")
    stack = Stack(aws, given)

    file.write_text("\n".join(names), encoding="utf-8")
    stack.deploy()
    for profile in profiles:
        assert_ready(profile)
    assert passes.read_text() == "pass\n" * 2  # all are looked up between the two

    file.write_text("\n".join(names[1:]), encoding="utf-8")
    stack.deploy()
    assert_bare(profiles[0])
    assert_ready(profiles[1])

    stack.destroy_what_was_deployed()
    for profile in profiles:
        assert_bare(profile)


def test_a_file_is_destroyed_that_names_a_profile_that_is_gone(aws: LocalAws) -> None:
    profiles = [existing_profile(aws, name) for name in ("stays", "goes")]
    (aws.project / "gone.txt").write_text("stays\ngoes", encoding="utf-8")
    stack = Stack(aws, ("-c", "instance-profiles=gone.txt"))
    stack.deploy()
    gone = {"InstanceProfileName": "goes"}
    iam = aws.client("iam")
    iam.remove_role_from_instance_profile(**gone, RoleName=profiles[1].role_name)
    iam.delete_instance_profile(**gone)
    kind = "AWS::IAM::InstanceProfile"
    aws.client("cloudcontrol").delete_resource(TypeName=kind, Identifier="goes")
    (aws.project / "cdk.context.json").unlink()

    stack.destroy()

    for profile in profiles:
        assert_bare(profile)


@pytest.mark.parametrize("option", ["instance-profiles", "roles"])
def test_each_name_of_a_file_that_does_not_exist_is_said_and_nothing_is_deployed(
    aws: LocalAws, option: str
) -> None:
    profile = existing_profile(aws, f"there-{option}")
    there = profile.name if option == "instance-profiles" else profile.role_name
    (aws.project / "names.txt").write_text(f"nowhere\n{there}\n\nneither", encoding="utf-8")

    run = aws.cdk("deploy", "-c", f"{option}=names.txt")

    assert run.exit_code != 0
    shown = r"^ERROR No resource .*: (\w+) \(Construct Annotations\)\n +\S+/(names\.txt:\d)$"
    said = re.findall(shown, run.output, re.MULTILINE)
    assert said == [("nowhere", "names.txt:1"), ("neither", "names.txt:4")]
    assert "Traceback" not in run.output
    assert_bare(profile)


@pytest.mark.parametrize("options", [[], ["-c", "role=a"]])
def test_templates_pass_the_validator_of_the_cli(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setenv("CDK_VALIDATION", "true")

    run = aws.cdk("synth", "--strict", "--ci", *options)

    assert run.exit_code == 0, run.output
    assert run.output.startswith("Description: Session Manager permissions")
    assert "warning" not in run.output.lower()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-c", "role="], "-c role="),
        (["-c", "role=arn:aws:iam::111122223333:role/theirs"], "belongs to account 111122223333"),
    ],
)
def test_wrong_context_is_said_in_a_line(aws: LocalAws, options: list[str], says: str) -> None:
    run = aws.cdk("synth", *options)

    assert run.exit_code != 0
    (line,) = (line for line in run.output.splitlines() if line.startswith("app.py: "))
    assert says in line
    assert "Traceback" not in run.output
