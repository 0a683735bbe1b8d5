#!/usr/bin/env python3
"""One page each night: which instances of an organization can Session Manager reach?

A stack set gives each account of an organizational unit a role that may only read. A CodeBuild
project assumes it in a few accounts at once, and runs `session-manager-permissions audit` in each.
The results and a page of all of them go to a bucket.
"""

from __future__ import annotations

import json
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from cdk_stacksets import (
    Capability,
    DeploymentType,
    StackSet,
    StackSetStack,
    StackSetTarget,
    StackSetTemplate,
)

DELEGATED_ADMINISTRATOR = cdk.Environment(account="111122223333", region="eu-west-1")
ORGANIZATIONAL_UNITS = ["ou-ab12-11111111"]
STACK_SET = "session-manager-audit"
AUDITED_ROLE = "session-manager-audit"
"""The role in each account."""
AUDITING_ROLE = "session-manager-auditor"
"""The role of the project, which alone may assume those in the accounts."""
PROJECT = "session-manager-audit"
PACKAGE = "session-manager-permissions[verify]==0.4.0"
"""Pinned, as what is installed can read all accounts."""
ACCOUNTS_AT_ONCE = 8
PERMISSIONS = Path(__file__).with_name("permissions.json")
"""Written by `session-manager-permissions audit --print-permissions`."""


class MemberStack(StackSetStack):
    """The role in each account, in one region only: a role is global."""

    def __init__(self, scope: cdk.Stack, construct_id: str) -> None:
        """Make the role."""
        super().__init__(scope, construct_id)
        account = DELEGATED_ADMINISTRATOR.account or ""
        auditor = f"arn:{cdk.Aws.PARTITION}:iam::{account}:role/{AUDITING_ROLE}"
        permissions = json.loads(PERMISSIONS.read_text(encoding="utf-8"))
        iam.Role(
            self,
            "Role",
            role_name=AUDITED_ROLE,
            # The condition names the role, as a principal would have to exist already.
            assumed_by=iam.AccountPrincipal(account).with_conditions(
                {"ArnEquals": {"aws:PrincipalArn": auditor}}
            ),
            inline_policies={"audit": iam.PolicyDocument.from_json(permissions)},
        )


def commands(bucket: s3.IBucket) -> list[str]:
    """Return the commands of the build."""
    audit = "session-manager-permissions audit"
    accounts = (
        f"aws cloudformation list-stack-instances --stack-set-name {STACK_SET}"
        " --call-as DELEGATED_ADMIN --query 'Summaries[].[Account]' --output text"
    )
    profile = (
        rf"[profile %s]\nrole_arn = arn:aws:iam::%s:role/{AUDITED_ROLE}\n"
        r"credential_source = EcsContainer\n"
    )
    # Status 1 is an answer: not every instance is reachable.
    one = (
        f"{audit} --profile {{}} --all-regions --output json --file results/{{}}.json"
        " || test $? -eq 1 || echo {} >> failed"
    )
    return [
        f"pip install '{PACKAGE}'",
        "mkdir results",
        f"{accounts} > accounts",
        f"while read account; do printf '{profile}' $account $account; done < accounts > config",
        "export AWS_CONFIG_FILE=$PWD/config",
        f"xargs -P {ACCOUNTS_AT_ONCE} -I {{}} sh -c '{one}' < accounts",
        f"{audit} --from results/*.json --output html --file results/index.html || test $? -eq 1",
        f"aws s3 cp --recursive results s3://{bucket.bucket_name}/$(date -u +%F)",
        # An account without an answer fails the build, after the others have theirs.
        "if [ -e failed ]; then echo No answer of:; cat failed; exit 1; fi",
    ]


def main() -> None:
    """Make the stack of the account that may administer stack sets."""
    app = cdk.App()
    stack = cdk.Stack(app, "SessionManagerAudit", env=DELEGATED_ADMINISTRATOR)
    StackSet(
        stack,
        "StackSet",
        stack_set_name=STACK_SET,
        template=StackSetTemplate.from_stack_set_stack(MemberStack(stack, "Member")),
        capabilities=[Capability.NAMED_IAM],
        deployment_type=DeploymentType.service_managed(
            delegated_admin=True, auto_deploy_enabled=True, auto_deploy_retain_stacks=False
        ),
        target=StackSetTarget.from_organizational_units(
            organizational_units=ORGANIZATIONAL_UNITS,
            regions=[DELEGATED_ADMINISTRATOR.region or ""],
        ),
    )
    bucket = s3.Bucket(
        stack,
        "Results",
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        enforce_ssl=True,
        lifecycle_rules=[s3.LifecycleRule(expiration=cdk.Duration.days(90))],
    )
    project_arn = stack.format_arn(service="codebuild", resource="project", resource_name=PROJECT)
    auditor = iam.Role(
        stack,
        "Auditor",
        role_name=AUDITING_ROLE,
        # CodeBuild runs projects of all accounts; it may assume the role for this one only.
        assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com").with_conditions(
            {"ArnEquals": {"aws:SourceArn": project_arn}}
        ),
    )
    auditor.add_to_policy(
        iam.PolicyStatement(
            actions=["sts:AssumeRole"],
            resources=[f"arn:{cdk.Aws.PARTITION}:iam::*:role/{AUDITED_ROLE}"],
            # No role of that name outside of the organization.
            conditions={"StringEquals": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}},
        )
    )
    auditor.add_to_policy(
        iam.PolicyStatement(actions=["cloudformation:ListStackInstances"], resources=["*"])
    )
    bucket.grant_put(auditor)
    project = codebuild.Project(
        stack,
        "Project",
        project_name=PROJECT,
        role=auditor,
        build_spec=codebuild.BuildSpec.from_object(
            {"version": "0.2", "phases": {"build": {"commands": commands(bucket)}}}
        ),
        environment=codebuild.BuildEnvironment(
            build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
        ),
        grant_report_group_permissions=False,
        timeout=cdk.Duration.hours(8),
    )
    events.Rule(
        stack,
        "EachNight",
        schedule=events.Schedule.cron(hour="2", minute="0"),
        targets=[targets.CodeBuildProject(project)],
    )
    app.synth()


if __name__ == "__main__":
    main()
