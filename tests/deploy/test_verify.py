"""`verify` end to end: the command asks the local AWS about roles that are there.

What IAM answers besides, such as on condition keys and permissions boundaries, is in
tests/verify/test_verify.py, against its documented answers.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from session_manager_permissions import SessionManagerPermissions
from session_manager_permissions._verify import command
from session_manager_permissions._verify.session import Boto
from tests.conftest import TRUST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local_aws import LocalAws

pytestmark = pytest.mark.deploy

REGION = "us-east-1"
BUCKET, PREFIX, GROUP = "session-logs", "web", "/ssm/sessions"


class Verified(NamedTuple):
    """What a run of the command came to."""

    status: int
    out: str
    err: str

    @property
    def allowed(self) -> dict[str, bool]:
        """By capability, or by key where it is the use of one."""
        return {
            one["subject"] if one["capability"] == "encrypt" else one["capability"]: one["allowed"]
            for one in json.loads(self.out)["capabilities"]
        }


@pytest.fixture
def verify(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Verified]:
    """Run the command with the credentials of an administrator, as JSON."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Verified:
        status = command.main(["verify", "--output", "json", *arguments])
        return Verified(status, *capsys.readouterr())

    return run


def make_role(aws: LocalAws, name: str, **more: str) -> str:
    found = aws.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), **more
    )
    arn: str = found["Role"]["Arn"]
    return arn


def make_profile(aws: LocalAws, name: str, role: str | None = None) -> None:
    client = aws.client("iam")
    client.create_instance_profile(InstanceProfileName=name)
    if role is not None:
        client.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)


def put_policy(aws: LocalAws, role: str, name: str, *statements: dict[str, Any]) -> None:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    aws.client("iam").put_role_policy(
        RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document)
    )


def make_key(aws: LocalAws) -> str:
    arn: str = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


def deploy(aws: LocalAws, folder: Path, role: str, key: str, *, registration: bool = True) -> None:
    """Put the policy that the construct synthesizes, as CloudFormation would."""
    account = key.split(":")[4]
    app = cdk.App(outdir=str(folder), analytics_reporting=False)
    stack = cdk.Stack(app, "Stack", env=cdk.Environment(account=account, region=REGION))
    group_arn = f"arn:aws:logs:{REGION}:{account}:log-group:{GROUP}"
    SessionManagerPermissions(
        stack,
        "SessionManagerPermissions",
        role=iam.Role.from_role_name(stack, "Role", role),
        encryption_key=kms.Key.from_key_arn(stack, "Key", key),
        allow_registration=registration,
        log_bucket=s3.Bucket.from_bucket_arn(stack, "Logs", f"arn:aws:s3:::{BUCKET}"),
        log_prefix=PREFIX,
        log_group=logs.LogGroup.from_log_group_arn(stack, "Group", group_arn),
    )
    resources = app.synth().get_stack_artifact(stack.artifact_id).template["Resources"]
    (policy,) = (
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::IAM::Policy"
    )
    put_policy(aws, role, policy["PolicyName"], *policy["PolicyDocument"]["Statement"])


ALL_LOGS = ("--log-bucket", BUCKET, "--log-prefix", PREFIX, "--log-group", GROUP)


def test_before_and_after_the_deploy(
    aws: LocalAws, verify: Callable[..., Verified], tmp_path: Path
) -> None:
    make_role(aws, "verified")
    make_profile(aws, "verified-profile", "verified")
    key, other_key = make_key(aws), make_key(aws)
    asked = ("--instance-profile", "verified-profile", *ALL_LOGS)
    capabilities = ["reach", "register", key, "log-to-s3", "log-to-cloudwatch"]

    before = verify(*asked, "--key", key)
    deploy(aws, tmp_path, "verified", key)
    after = verify(*asked, "--key", key)

    assert (before.status, before.err) == (1, "")
    assert before.allowed == dict.fromkeys(capabilities, False)
    assert (after.status, after.err) == (0, "")
    assert after.allowed == dict.fromkeys(capabilities, True)

    wrong_key = verify(*asked, "--key", key, "--key", other_key)
    assert wrong_key.status == 1
    assert wrong_key.allowed == after.allowed | {other_key: False}

    wrong_prefix = verify("--role", "verified", "--log-bucket", BUCKET, "--log-prefix", "db")
    assert wrong_prefix.status == 1
    assert not wrong_prefix.allowed["log-to-s3"]


def test_default_policy_leaves_registration_to_others(
    aws: LocalAws, verify: Callable[..., Verified], tmp_path: Path
) -> None:
    arn = make_role(aws, "unregistered")
    deploy(aws, tmp_path, "unregistered", make_key(aws), registration=False)

    run = verify("--role", arn)

    assert run.status == 1
    assert run.allowed == {"reach": True, "register": False}
    assert "allow_registration=True" in run.out

    aws.client("iam").attach_role_policy(
        RoleName="unregistered", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    )
    assert verify("--role", arn).status == 0


def test_registration_on_instances_alone(aws: LocalAws, verify: Callable[..., Verified]) -> None:
    arn = make_role(aws, "on-instances")
    instances = f"arn:aws:ec2:{REGION}:{arn.split(':')[4]}:instance/*"
    register = {"Action": "ssm:UpdateInstanceInformation", "Resource": instances}
    put_policy(aws, "on-instances", "register", {"Effect": "Allow", **register})
    assert verify("--role", arn).allowed == {"reach": False, "register": True}
    assert not verify("--role", arn, "--region", "eu-west-1").allowed["register"]

    put_policy(
        aws,
        "on-instances",
        "deny",
        {"Effect": "Allow", "Action": "ssm:*", "Resource": "*"},
        {"Effect": "Deny", **register},
    )
    assert not verify("--role", arn).allowed["register"]


@pytest.mark.parametrize("region", [REGION, "eu-west-1"])
def test_alias_is_the_key_it_stands_for(
    aws: LocalAws, verify: Callable[..., Verified], monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    role = f"aliased-{region}"
    client = Boto(None, None).client("kms", region)
    key = client.create_key()["KeyMetadata"]["Arn"]
    client.create_alias(AliasName="alias/verified", TargetKeyId=key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    make_role(aws, role)
    put_policy(aws, role, "key", {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key})
    alias = f"{key.partition(':key/')[0]}:alias/verified"
    other = f"{key.partition(':key/')[0]}:alias/of-no-key"

    assert verify("--role", role, "--key", alias).allowed[alias]
    assert verify("--role", role, "--key", other)[::2] == (
        2,
        f"session-manager-permissions: there is no {other}: give the key's own ARN\n",
    )


def test_permissions_of_who_asks(
    aws: LocalAws, verify: Callable[..., Verified], monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = make_role(aws, "asked-about")
    client = aws.client("iam")
    client.create_user(UserName="who-asks")
    created = client.create_access_key(UserName="who-asks")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", created["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", created["SecretAccessKey"])

    run = verify("--role", "asked-about")
    assert run.status == 2
    assert run.err.endswith("they need iam:GetRole on the role asked-about\n")

    allow(aws, "iam:GetRole", arn)
    run = verify("--role", "asked-about")
    assert run.status == 2
    assert run.err.endswith(f"they need iam:SimulatePrincipalPolicy on {arn}\n")

    allow(aws, "iam:SimulatePrincipalPolicy", "*")  # IAM takes the role here; MiniStack does not
    assert verify("--role", "asked-about").status == 1


def allow(aws: LocalAws, action: str, resource: str) -> None:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    aws.client("iam").put_user_policy(
        UserName="who-asks",
        PolicyName=action.replace(":", "-"),
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
