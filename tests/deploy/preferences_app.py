"""An app of one document: preferences with a key, a bucket and a log group of the stack's own."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from session_manager_permissions import SessionPreferences

app = cdk.App(default_stack_synthesizer=cdk.BootstraplessSynthesizer())
stack = cdk.Stack(app, "Preferences")
key = kms.Key(stack, "Key")
bucket = s3.Bucket(stack, "Bucket")
preferences = SessionPreferences(
    stack,
    "Preferences",
    document_name="Acme-Sessions",
    encryption_key=key,
    log_bucket=bucket,
    log_prefix="/sessions/",
    log_group=logs.LogGroup(stack, "Group", log_group_name="/acme/sessions", encryption_key=key),
    enforce_cloudwatch_encryption=True,
    idle_timeout=cdk.Duration.minutes(int(app.node.get_context("idle"))),
    max_duration=cdk.Duration.hours(24),
    run_as_user="operator",
    linux_shell_profile="cd \"$HOME\"\nexport PS1='\\u@\\h é $ '\n",
    windows_shell_profile='Write-Host "`t$env:USERNAME"',
)
cdk.CfnOutput(stack, "KeyArn", value=key.key_arn)
cdk.CfnOutput(stack, "BucketName", value=bucket.bucket_name)
cdk.CfnOutput(stack, "DocumentName", value=preferences.document_name)
cdk.CfnOutput(stack, "DocumentArn", value=preferences.document_arn)
app.synth()
