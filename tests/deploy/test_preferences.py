"""One document from its first deployment to its deletion, on moto.

moto covers `AWS::SSM::Document` where MiniStack does not; what its CloudFormation does otherwise
than AWS's is set right in `moto_server.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from session_manager_permissions import SessionPreferences

from . import stacks
from .conftest import Moto

NAME: Final = "Acme-Sessions"
STACK: Final = "Preferences"
SHELL: Final = "cd \"$HOME\"\nexport PS1='\\u@\\h é $ '\n"


def put(moto: Moto, folder: Path, idle: int) -> None:
    """Deploy preferences with a key, a bucket and a log group of the stack's own."""
    app = stacks.legacy_app(folder / str(idle))
    stack = cdk.Stack(app, STACK)
    key = kms.Key(stack, "Key")
    group = logs.LogGroup(stack, "Group", log_group_name="/acme/sessions", encryption_key=key)
    preferences = SessionPreferences(
        stack,
        "Preferences",
        document_name=NAME,
        encryption_key=key,
        log_bucket=s3.Bucket(stack, "Bucket", bucket_name="acme-sessions"),
        log_group=group,
        enforce_cloudwatch_encryption=True,
        idle_timeout=cdk.Duration.minutes(idle),
        linux_shell_profile=SHELL,
    )
    cdk.CfnOutput(stack, "KeyArn", value=key.key_arn)
    cdk.CfnOutput(stack, "DocumentName", value=preferences.document_name)
    app.synth()
    stacks.put(moto, folder / str(idle))


def held(moto: Moto, idle: int) -> dict[str, Any]:
    """What the inputs of the document hold of what only the deployment knows, and of texts."""
    return {
        "s3BucketName": "acme-sessions",
        "cloudWatchLogGroupName": "/acme/sessions",
        "kmsKeyId": stacks.outputs(moto, STACK)["KeyArn"],
        "idleSessionTimeout": str(idle),
        "shellProfile": {"linux": SHELL, "windows": ""},
    }


def test_a_document_is_made_and_then_changed_in_place(moto: Moto, tmp_path: Path) -> None:
    ssm = moto.client("ssm")
    put(moto, tmp_path, idle=15)

    made = ssm.get_document(Name=NAME)
    assert stacks.outputs(moto, STACK)["DocumentName"] == NAME
    assert (made["Name"], made["DocumentType"], made["DocumentVersion"]) == (NAME, "Session", "1")
    content = json.loads(made["Content"])
    assert content["inputs"].items() >= held(moto, idle=15).items()

    put(moto, tmp_path, idle=60)

    changed = ssm.get_document(Name=NAME)
    assert (changed["Name"], changed["DocumentVersion"]) == (NAME, "2")
    assert json.loads(changed["Content"])["inputs"].items() >= held(moto, idle=60).items()
    assert ssm.get_document(Name=NAME, DocumentVersion="1")["Content"] == made["Content"]

    stacks.delete(moto, STACK)

    with pytest.raises(ssm.exceptions.InvalidDocument):
        ssm.get_document(Name=NAME)
