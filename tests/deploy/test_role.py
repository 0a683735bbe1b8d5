"""The command on a role that exists: it says what a local AWS lets the role do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from local_aws import REGION, LocalAws, create_key, existing_profile

from session_manager_permissions import SessionManagerPermissions
from tests.keys import existing_bucket
from tests.roles import existing_role

from . import stacks

GROUP = "/session/logs"


@pytest.mark.parametrize("has_all", [False, True])
def test_the_command_says_of_a_role_what_iam_allows(
    aws: LocalAws, tmp_path: Path, *, has_all: bool
) -> None:
    profile = existing_profile(aws, "all" if has_all else "nothing")
    key, other_key, account = create_key(aws), create_key(aws), profile.role_arn.split(":")[4]
    alias = f"{key.partition(':key/')[0]}:alias/{profile.name}"
    aws.client("kms").create_alias(AliasName=f"alias/{profile.name}", TargetKeyId=key)
    env = cdk.Environment(account=account, region=REGION)
    stack = cdk.Stack(app := stacks.legacy_app(tmp_path), f"Role-{profile.name}", env=env)
    every_option: dict[str, Any] = {
        "encryption_key": kms.Key.from_key_arn(stack, "Key", key),
        "allow_registration": True,
        "log_bucket": existing_bucket(stack),
        "log_prefix": "instances",
        "log_group": logs.LogGroup.from_log_group_name(stack, "Group", GROUP),
    }
    role = existing_role(stack, name=profile.role_name)
    options = every_option if has_all else {}
    SessionManagerPermissions(stack, "Permissions", role=role, **options)
    app.synth()
    stacks.put(aws, tmp_path)

    logs_to = ("--log-bucket", "session-logs", "--log-prefix", "instances", "--log-group", GROUP)
    keys = ("--key", alias, "--key", other_key)
    run = aws.verify("--role", profile.role_name, *logs_to, *keys, "--output", "json")

    assert (run.returncode, run.stderr) == (1, "")
    answers = json.loads(run.stdout)["capabilities"]
    assert {(one["capability"], one["subject"]): one["allowed"] for one in answers} == {
        ("reach", None): True,
        ("register", None): has_all,
        ("encrypt", alias): has_all,
        ("encrypt", other_key): False,
        ("log-to-s3", "arn:aws:s3:::session-logs/instances"): has_all,
        ("log-to-cloudwatch", f"arn:aws:logs:{REGION}:{account}:log-group:{GROUP}"): has_all,
    }
