"""Confirm on a real account what docs/confirm-on-aws.md lists. Without MAY_CHANGE, change nothing.

`SESSION_MANAGER_NODE` is a connected node of the account, the credentials and the region are the
environment's. With `SESSION_MANAGER_MAY_CHANGE=yes` the tests also put an inline policy on the role
of the node, make a Session document and a log group, and take all of it away again.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from session_manager_permissions._verify.checks import policy_for_credentials
from tests.conftest import run

COMMAND: Final = Path(sys.executable).with_name("session-manager-permissions")
NODE: Final = os.environ["SESSION_MANAGER_NODE"]
NOBODY: Final = "i-0123456789abcdef0"
SETTING: Final = "/ssm/managed-instance/default-ec2-instance-management-role"
MAY_CHANGE: Final = pytest.mark.skipif(
    os.environ.get("SESSION_MANAGER_MAY_CHANGE") != "yes",
    reason="changes the account: set SESSION_MANAGER_MAY_CHANGE=yes",
)
PATIENCE: Final = 60
"""Seconds that a change of IAM may take to be seen."""


def diagnosed(*arguments: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the command finds of the node."""
    asked = ("verify", "--output", "json", "--instance-id", NODE, *arguments)
    ended = run(COMMAND, *asked, cwd=Path.cwd(), env={**os.environ, **(env or {})})
    assert ended.stdout, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def checks(found: dict[str, Any], verdict: str) -> set[str]:
    return {one["check"] for one in found["checks"] if one["verdict"] == verdict}


def test_a_connected_node_is_told_as_one() -> None:
    found = diagnosed()

    assert found["instance"]["connection"] == "connected"
    assert found["instance"]["ping"] == "Online"
    assert {"path-ssm", "path-ssmmessages"} <= checks(found, "proven")


def test_systems_manager_knows_nothing_of_a_node_that_never_registered() -> None:
    ssm = boto3.client("ssm")
    asked = [{"Key": "InstanceIds", "Values": [NOBODY]}]
    try:
        records = ssm.describe_instance_information(Filters=asked)["InstanceInformationList"]
    except ssm.exceptions.InvalidInstanceId:
        records = []

    assert records == []
    assert ssm.get_connection_status(Target=NOBODY)["Status"] == "notconnected"


def test_default_host_management_is_off_or_names_a_role() -> None:
    setting = boto3.client("ssm").get_service_setting(SettingId=SETTING)["ServiceSetting"]
    value = setting["SettingValue"]
    if value != "$None":
        boto3.client("iam").get_role(RoleName=value.rpartition("/")[2])


def test_the_permissions_are_enough() -> None:
    """As a federated user, who has only the permissions that the caller and this policy share."""
    try:
        federated = boto3.client("sts").get_federation_token(
            Name="verify", Policy=json.dumps(policy_for_credentials())
        )
    except ClientError as error:
        pytest.skip(f"needs the credentials of an IAM user: {error}")
    credentials = federated["Credentials"]
    env = {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }
    # A federated user may not call IAM at all, whatever the policy says.
    assert checks(diagnosed(env=env), "unknown") - checks(diagnosed(), "unknown") <= {
        *("role-assumable", "instance-profile", "default-host-management"),
        *("reach", "register", "encrypt", "log-to-s3", "log-to-cloudwatch"),
    }


@contextmanager
def denied(role: str, *actions: str) -> Iterator[None]:
    """An inline policy on the role that denies the actions, for as long as the block lasts."""
    iam, name = boto3.client("iam"), f"session-manager-permissions-{uuid4()}"
    statement = {"Effect": "Deny", "Action": [*actions], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName=name)


@MAY_CHANGE
def test_a_denial_is_found_while_the_connection_lives_on() -> None:
    role = diagnosed()["instance"]["role"].rpartition("/")[2]
    with denied(role, "ssmmessages:OpenControlChannel"):
        deadline = time.monotonic() + PATIENCE
        while "reach" not in checks(found := diagnosed(), "fail"):
            assert time.monotonic() < deadline, found
            time.sleep(5)

    assert found["instance"]["connection"] == "connected"
    assert checks(found, "fail") == {"reach"}


@MAY_CHANGE
def test_a_log_group_without_a_key_is_found() -> None:
    name, ssm, logs = f"Confirm-{uuid4()}", boto3.client("ssm"), boto3.client("logs")
    group = f"/session-manager-permissions/{name}"
    inputs = {
        "cloudWatchLogGroupName": group,
        "cloudWatchEncryptionEnabled": True,
        "cloudWatchStreamingEnabled": True,
    }
    content = {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs}
    ssm.create_document(Name=name, DocumentType="Session", Content=json.dumps(content))
    try:
        assert "log-group-encryption" in checks(diagnosed("--document", name), "fail")
        logs.create_log_group(logGroupName=group)
        try:
            assert "log-group-encryption" in checks(diagnosed("--document", name), "fail")
        finally:
            logs.delete_log_group(logGroupName=group)
    finally:
        ssm.delete_document(Name=name)
