#!/usr/bin/env python3
"""Preferences, the instances' policy and the operators' policy, from one source.

The instance profile `web-server` and the group `web-operators` exist. Put your account and region
in place of those below, and deploy with `cdk deploy` in this folder; then an operator connects to
an instance tagged `team: web` as the output says. `cdk.context.json` is the answer of the account
below to the look-up of the profile; the CLI adds that of yours.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from session_manager_permissions import (
    SessionManagerPermissions,
    SessionPreferences,
    lookup_instance_profile,
)

# There are no assets, so an account needs no bootstrap for this.
app = cdk.App(default_stack_synthesizer=cdk.LegacyStackSynthesizer())
stack = cdk.Stack(
    app,
    "WebServerSessions",
    env=cdk.Environment(account="111122223333", region="us-west-2"),
    description="Session Manager on the web servers, and who may use it",
)

LOG_GROUP = "/session-manager/web-server"
log_group_arn = stack.format_arn(
    service="logs",
    resource="log-group",
    resource_name=LOG_GROUP,
    arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
)
key = kms.Key(stack, "Key", description="Sessions and their logs", enable_key_rotation=True)
key.grant(  # CloudWatch encrypts the log group by itself, and may use the key for no other
    iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com").with_conditions(
        {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": log_group_arn}}
    ),
    "kms:Encrypt*",
    "kms:Decrypt*",
    "kms:ReEncrypt*",
    "kms:GenerateDataKey*",
    "kms:Describe*",
)

preferences = SessionPreferences(
    stack,
    "Preferences",
    document_name="WebServer-Sessions",
    encryption_key=key,
    log_bucket=s3.Bucket(
        stack,
        "LogBucket",
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption_key=key,
        enforce_ssl=True,
    ),
    log_prefix="web-server",
    log_group=logs.LogGroup(
        stack,
        "LogGroup",
        log_group_name=LOG_GROUP,
        encryption_key=key,
        retention=logs.RetentionDays.ONE_YEAR,
    ),
    enforce_cloudwatch_encryption=True,
    idle_timeout=cdk.Duration.minutes(15),
    max_duration=cdk.Duration.hours(8),
)

SessionManagerPermissions(
    stack,
    "Permissions",
    instance_profile=lookup_instance_profile(stack, "Profile", instance_profile_name="web-server"),
    preferences=preferences,
)

preferences.grant_start_session(
    iam.Group.from_group_name(stack, "Operators", "web-operators"),
    instance_tags={"team": "web"},
    allow_console=True,
)

cdk.CfnOutput(
    stack,
    "Connect",
    value=f"aws ssm start-session --target INSTANCE-ID --document-name {preferences.document_name}",
)
app.synth()
