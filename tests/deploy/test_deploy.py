"""The real CLI deploys app.py; what came of it is asked of IAM.

The user who deploys has the least policy to deploy with, of docs/security.md.
"""

import json
import re
import shlex
import sys
from typing import Final

import pytest
from botocore.exceptions import ClientError
from local_aws import REGION, ROOT, ExistingProfile, LocalAws, create_key, existing_profile

from session_manager_permissions._needs import CHANNELS
from tests.templates import as_list

from .stacks import events, made_user

PAGE: Final = (ROOT / "docs/security.md").read_text(encoding="utf-8")
SERVICES: Final = {"CloudFormation": "cloudformation", "CloudControl": "cloudformation"}


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


def policy_of_the_page(account: str, without: str = "") -> dict[str, list[dict[str, object]]]:
    """The least policy to deploy with, without one action."""
    (text,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    policy: dict[str, list[dict[str, object]]] = json.loads(text.replace("111122223333", account))
    for statement in policy["Statement"]:
        statement["Action"] = [one for one in as_list(statement["Action"]) if one != without]
    policy["Statement"] = [found for found in policy["Statement"] if found["Action"]]
    return policy


def deployer(aws: LocalAws, name: str, without: str = "") -> dict[str, str]:
    """The access key of a user with that policy."""
    account = aws.client("sts").get_caller_identity()["Account"]
    return made_user(aws, name, json.dumps(policy_of_the_page(account, without)))


def test_a_profile_from_first_deploy_to_destroy_by_who_may_do_that_and_nothing_else(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = existing_profile(aws, "lifecycle")
    stack, target = "SessionManager-InstanceProfile-lifecycle", "instance-profile=lifecycle"
    made = profile.description()
    key, other_key = create_key(aws), create_key(aws)
    credentials, called = deployer(aws, "deployer"), set()

    def cdk(*arguments: str) -> str:
        run = aws.cdk(*arguments, "-vvv", credentials=credentials)  # which tells each call
        assert run.exit_code == 0, run.output
        assert "not authorized" not in run.output
        called.update(re.findall(r"\[SDK \w+\] (\w+)\.(\w+)\(", run.output))
        return run.output

    assert_bare(profile)
    cdk("deploy", "-c", target)
    assert_ready(profile)
    assert not profile.can_decrypt(key)
    (policy_name,) = added_policies(profile)

    assert "no changes" in cdk("deploy", "--app=cdk.out")
    assert_ready(profile)

    with monkeypatch.context() as patch:
        patch.setenv("CDK_VALIDATION", "true")  # the CLI's check of the template passes
        assert "warning" not in cdk("deploy", "--strict", "-c", target, "-c", f"key={key}").lower()
    assert_ready(profile)
    assert profile.can_decrypt(key)
    assert not profile.can_decrypt(other_key)
    assert added_policies(profile) == [policy_name]
    of_policies = [one for one in events(aws, stack) if one["ResourceType"] == "AWS::IAM::Policy"]
    assert len({one["LogicalResourceId"] for one in of_policies}) == 1

    cdk("diff", "--app=cdk.out")
    cdk("destroy", "--force", "--app=cdk.out")
    assert_bare(profile)
    assert profile.can_list_bucket()
    assert profile.description() == made

    # STS needs no permission to say who calls.
    names = {f"{service}.{call}" for service, call in called} - {"STS.GetCallerIdentity"}
    actions = {
        action
        for statement in policy_of_the_page("000000000000")["Statement"]
        for action in as_list(statement["Action"])
        if action.startswith("cloudformation:")
    }
    assert {re.sub(r"^\w+\.", f"{SERVICES[n.partition('.')[0]]}:", n) for n in names} == actions


def test_who_lacks_an_action_is_refused(aws: LocalAws) -> None:
    action = "CreateChangeSet"
    credentials = deployer(aws, "no-deployer", without=f"cloudformation:{action}")
    client = aws.client("cloudformation", credentials)
    change_set = {"StackName": "SessionManager-Role-Web", "ChangeSetName": "one"}

    with pytest.raises(ClientError, match=f"cloudformation:{action}"):
        client.create_change_set(**change_set, TemplateBody="{}")
    with pytest.raises(ClientError, match=r"not exist|not found"):
        client.describe_change_set(**change_set)


def test_the_least_policy_reaches_no_other_stack_and_no_other_account() -> None:
    statements = policy_of_the_page("111122223333")["Statement"]

    resources = {str(one["Sid"]): as_list(one["Resource"]) for one in statements}
    assert {sid for sid, resource in resources.items() if resource == ["*"]} == {"LookUp"}
    for sid, resource in resources.items():
        assert sid == "LookUp" or all(":111122223333:" in arn for arn in resource)


def test_the_names_of_a_file_are_looked_up_between_two_passes(aws: LocalAws) -> None:
    profiles = [existing_profile(aws, f"listed-{number}") for number in range(3)]
    passes = aws.project / "roles.passes"
    app = shlex.join([sys.executable, str(ROOT / "app.py")])
    names = "\n".join(profile.role_arn for profile in profiles)
    (aws.project / "roles.txt").write_text(names, encoding="utf-8")

    counting = f"{app} && echo pass >> {passes.name}"
    run = aws.cdk("deploy", "--method=direct", "-c", "roles=roles.txt", "--app", counting)

    assert run.exit_code == 0, run.output
    for profile in profiles:
        assert_ready(profile)
    assert passes.read_text() == "pass\n" * 2


def test_each_name_that_does_not_exist_is_said_and_nothing_is_deployed(aws: LocalAws) -> None:
    profile = existing_profile(aws, "there")
    (aws.project / "names.txt").write_text("nowhere\nthere\n\nneither", encoding="utf-8")

    run = aws.cdk("deploy", "-c", "instance-profiles=names.txt")

    assert run.exit_code != 0
    shown = r"^ERROR No resource .*: (\w+) \(Construct Annotations\)\n +\S+/(names\.txt:\d)$"
    said = re.findall(shown, run.output, re.MULTILINE)
    assert said == [("nowhere", "names.txt:1"), ("neither", "names.txt:4")]
    assert "Traceback" not in run.output
    assert_bare(profile)


@pytest.mark.parametrize("has_all", [False, True])
def test_the_command_says_of_a_role_what_iam_allows(aws: LocalAws, *, has_all: bool) -> None:
    profile = existing_profile(aws, "all" if has_all else "nothing")
    key, other_key, account = create_key(aws), create_key(aws), profile.role_arn.split(":")[4]
    alias = f"{key.partition(':key/')[0]}:alias/{profile.name}"
    aws.client("kms").create_alias(AliasName=f"alias/{profile.name}", TargetKeyId=key)
    logs_to = {"log-bucket": "session-logs", "log-prefix": "web", "log-group": "/session/logs"}
    given = {"key": key, "allow-registration": "true", **logs_to} if has_all else {}
    context = {"role": profile.role_name, **given}
    options = [word for name, value in context.items() for word in ("-c", f"{name}={value}")]
    done = aws.cdk("deploy", "--method=direct", *options)
    assert done.exit_code == 0, done.output

    asked = [f"--{name}={value}" for name, value in logs_to.items()]
    keys = ("--key", alias, "--key", other_key)
    run = aws.verify("--role", profile.role_name, *asked, *keys, "--output", "json")

    assert (run.returncode, run.stderr) == (1, "")
    answers = json.loads(run.stdout)["capabilities"]
    assert {(one["capability"], one["subject"]): one["allowed"] for one in answers} == {
        ("reach", None): True,
        ("register", None): has_all,
        ("encrypt", alias): has_all,
        ("encrypt", other_key): False,
        ("log-to-s3", "arn:aws:s3:::session-logs/web"): has_all,
        ("log-to-cloudwatch", f"arn:aws:logs:{REGION}:{account}:log-group:/session/logs"): has_all,
    }
