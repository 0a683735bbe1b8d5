"""An app of one private VPC with the endpoints of every option."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from session_manager_permissions import SessionManagerEndpoints

app = cdk.App(default_stack_synthesizer=cdk.BootstraplessSynthesizer())
stack = cdk.Stack(app, "Endpoints")
private = ec2.SubnetConfiguration(
    name="Private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24
)
vpc = ec2.Vpc(stack, "Vpc", max_azs=2, subnet_configuration=[private])
vpc.add_interface_endpoint("Logs", service=ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS)
SessionManagerEndpoints(
    stack,
    "Endpoints",
    vpc=vpc,
    endpoint_policy="account",
    encryption_key=kms.Key.from_key_arn(
        stack, "Key", "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    ),
    log_bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "session-logs"),
    log_group=logs.LogGroup.from_log_group_name(stack, "Group", "/session/logs"),
)
app.synth()
