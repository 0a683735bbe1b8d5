#!/usr/bin/env python3
"""What most apps join: private subnets, a fleet, a key, logs, two teams of operators, the check.

The instances have no way to the internet, and reach Session Manager by VPC endpoints. Each team
connects to its own instances, as the outputs say. `cdk deploy` in this folder deploys it, with no
account and no region to fill in; the instances and the endpoints cost money until `cdk destroy`,
which keeps the key, the bucket and the log group.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from session_manager_permissions import (
    SessionManagerEndpoints,
    SessionManagerFleet,
    SessionManagerReadiness,
    SessionPreferences,
)

TEAMS = ("web", "shop")
LOG_GROUP = "/session-manager/private-fleet"

# There are no assets, so an account needs no bootstrap for this.
app = cdk.App(default_stack_synthesizer=cdk.LegacyStackSynthesizer())
cdk.Validations.of(app).add_plugins(SessionManagerReadiness(strict=True))
stack = cdk.Stack(app, "PrivateFleet", description="Session Manager in private subnets")

# What sessions are encrypted with, and where their logs go.
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
    document_name="PrivateFleet-Sessions",
    encryption_key=key,
    log_bucket=s3.Bucket(
        stack,
        "LogBucket",
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption_key=key,
        enforce_ssl=True,
    ),
    log_group=logs.LogGroup(stack, "LogGroup", log_group_name=LOG_GROUP, encryption_key=key),
    idle_timeout=cdk.Duration.minutes(15),
)

# Subnets without a way to the internet, and the endpoints that the preferences need.
private = ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
vpc = ec2.Vpc(stack, "Vpc", max_azs=2, nat_gateways=0, subnet_configuration=[private])
endpoints = SessionManagerEndpoints(stack, "Endpoints", vpc=vpc, preferences=preferences)

# Instances of two teams. The fleet covers them, whoever adds to them.
for team in TEAMS:
    group = autoscaling.AutoScalingGroup(
        stack,
        team.title(),
        vpc=vpc,
        vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
        instance_type=ec2.InstanceType("t3.micro"),
        machine_image=ec2.MachineImage.latest_amazon_linux2023(),
        require_imdsv2=True,
    )
    cdk.Tags.of(group).add("team", team)
    group.node.add_dependency(endpoints)
    cdk.Validations.of(group).acknowledge(
        cdk.Acknowledgment(
            id="SessionManagerReadiness::boot-order",
            reason="the endpoints, which the group waits for, take longer than the policy",
        )
    )
SessionManagerFleet(stack, "Fleet", preferences=preferences, allow_registration=True, strict=True)

# Each team may start sessions on the instances with its tag, and with this document alone.
for team in TEAMS:
    operators = iam.Role(stack, f"{team.title()}Operators", assumed_by=iam.AccountRootPrincipal())
    preferences.grant_start_session(operators, instance_tags={"team": team})
cdk.CfnOutput(
    stack,
    "Connect",
    value=f"aws ssm start-session --target INSTANCE-ID --document-name {preferences.document_name}",
)
app.synth()
