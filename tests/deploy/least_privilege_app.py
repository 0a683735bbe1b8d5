"""An app with a construct for each option, each on a role of its own that exists already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from session_manager_permissions import SessionManagerPermissions

from .stacks import legacy_app

if TYPE_CHECKING:
    from pathlib import Path

    from session_manager_permissions._constructs.statements import SessionManagerOptions


def synthesize(
    folder: Path,
    *,
    account: str,
    region: str,
    key_arn: str,
    alias_name: str,
    bucket_name: str,
    bucket_key_arn: str,
    group_name: str,
) -> None:
    app = legacy_app(folder)
    env = cdk.Environment(account=account, region=region)
    stack = cdk.Stack(app, "LeastPrivilege", env=env)

    key = kms.Key.from_key_arn(stack, "Key", key_arn)
    alias = kms.Alias.from_alias_name(stack, "Alias", alias_name)
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", bucket_name)
    encrypted_bucket = s3.Bucket.from_bucket_attributes(
        stack,
        "EncryptedBucket",
        bucket_name=bucket_name,
        encryption_key=kms.Key.from_key_arn(stack, "BucketKey", bucket_key_arn),
    )
    their_bucket = s3.Bucket.from_bucket_attributes(
        stack, "TheirBucket", bucket_name=bucket_name, account="111122223333"
    )
    group = logs.LogGroup.from_log_group_name(stack, "Group", group_name)

    options_of: dict[str, SessionManagerOptions] = {
        "nothing": {},
        "registration": {"allow_registration": True},
        "bucket": {"log_bucket": bucket},
        "prefix": {"log_bucket": bucket, "log_prefix": "/instances/"},
        "bucket-key": {"log_bucket": encrypted_bucket, "log_prefix": "instances"},
        "group": {"log_group": group},
        "no-check": {"check_log_encryption": False},
        "no-check-bucket": {"log_bucket": bucket, "check_log_encryption": False},
        "key": {"encryption_key": key},
        "alias": {"encryption_key": alias},
        "sessions-only": {"encryption_key": key, "decrypt_sessions_only": True},
        "sessions-only-alias": {"encryption_key": alias, "decrypt_sessions_only": True},
        "theirs": {"log_bucket": their_bucket, "log_prefix": "instances"},
        "all": {
            "encryption_key": key,
            "allow_registration": True,
            "log_bucket": encrypted_bucket,
            "log_prefix": "instances",
            "log_group": group,
            "decrypt_sessions_only": True,
        },
    }

    for name, options in options_of.items():
        SessionManagerPermissions(
            stack,
            f"Permissions-{name}",
            role=iam.Role.from_role_name(stack, f"Role-{name}", f"{name}-role"),
            **options,
        )

    # What the stack owns is known at deployment only: the ARNs in the policy are CloudFormation's.
    owner = cdk.Stack(app, "Owned", env=env)
    owned_key = kms.Key(owner, "Key", removal_policy=cdk.RemovalPolicy.DESTROY)
    SessionManagerPermissions(
        owner,
        "Permissions",
        role=iam.Role.from_role_name(owner, "Role", "owned-role"),
        log_bucket=s3.Bucket(
            owner,
            "Bucket",
            bucket_name="owned-logs",
            encryption_key=owned_key,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        ),
        log_prefix="instances",
        log_group=logs.LogGroup(
            owner, "Group", log_group_name="/owned", removal_policy=cdk.RemovalPolicy.DESTROY
        ),
    )
    cdk.CfnOutput(owner, "KeyArn", value=owned_key.key_arn)
    app.synth()
