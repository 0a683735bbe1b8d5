#!/usr/bin/env python3
"""The role `web-server` of a few accounts gets the policy by CDK Pipelines, wave by wave.

The role exists in each account and is in no CDK app. Before each deployment IAM is asked whether
the role is there, and after it whether the role may do what Session Manager needs.
"""

from __future__ import annotations

from typing import NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import pipelines

from session_manager_permissions import SessionManagerPermissions, SessionPreferences

PIPELINE = cdk.Environment(account="111122223333", region="eu-west-1")
REPOSITORY, BRANCH = "example/session-manager", "main"
CONNECTION = "arn:aws:codeconnections:eu-west-1:111122223333:connection/1234abcd"
ROLE = "web-server"
PACKAGE = "session-manager-permissions[verify]==0.4.0"
CLI = "2.1148.1"
"""The version of the CDK CLI. Both are pinned, as what is installed can deploy to all accounts."""


class Account(NamedTuple):
    """One account, and the regions where it has instances."""

    account: str
    regions: tuple[str, ...]


WAVES = {
    "Test": [Account("222233334444", ("eu-west-1",))],
    "Production": [
        Account("333344445555", ("eu-west-1", "us-east-1")),
        Account("444455556666", ("eu-west-1",)),
    ],
}


class AccountStage(cdk.Stage):
    """One account: the policy once, as IAM is global; what is regional in each region."""

    def __init__(self, scope: cdk.Stack, construct_id: str, account: Account) -> None:
        """Make the stacks of `account`."""
        super().__init__(scope, construct_id)
        for number, region in enumerate(account.regions):
            env = cdk.Environment(account=account.account, region=region)
            stack = cdk.Stack(self, f"SessionManager-{region}", env=env)
            SessionPreferences(
                stack,
                "Preferences",
                document_name="session-preferences",
                idle_timeout=cdk.Duration.minutes(15),
            )
            if number == 0:
                role = iam.Role.from_role_name(stack, "Role", ROLE)
                SessionManagerPermissions(stack, "Permissions", role=role)


def verify(name: str, account: Account, unless: str = "") -> pipelines.CodeBuildStep:
    """Ask IAM in the account, by the read-only role that its CDK bootstrap made."""
    region = account.regions[0]
    role = f"cdk-hnb659fds-lookup-role-{account.account}-{region}"
    arn = f"arn:aws:iam::{account.account}:role/{role}"
    ask = "session-manager-permissions verify"
    return pipelines.CodeBuildStep(
        name,
        commands=[
            f"pip install '{PACKAGE}'",
            f"aws configure set profile.account.role_arn {arn}",
            "aws configure set profile.account.credential_source EcsContainer",
            f"{ask} --profile account --region {region} --role {ROLE}{unless}",
        ],
        role_policy_statements=[iam.PolicyStatement(actions=["sts:AssumeRole"], resources=[arn])],
    )


def main() -> None:
    """The app: a pipeline, and a stage for each account."""
    app = cdk.App()
    stack = cdk.Stack(app, "SessionManagerPipeline", env=PIPELINE)
    pipeline = pipelines.CodePipeline(
        stack,
        "Pipeline",
        cross_account_keys=True,
        synth=pipelines.ShellStep(
            "Synth",
            input=pipelines.CodePipelineSource.connection(
                REPOSITORY, BRANCH, connection_arn=CONNECTION
            ),
            commands=["pip install -r requirements.txt", f"npx --yes aws-cdk@{CLI} synth"],
        ),
        cli_version=CLI,
    )
    for name, accounts in WAVES.items():
        wave = pipeline.add_wave(name)
        for account in accounts:
            number = account.account
            wave.add_stage(
                AccountStage(stack, f"{name}-{number}", account),
                # Status 1 is "not ready", which the deployment is to change; 2 is no such role.
                pre=[verify(f"RoleExists-{number}", account, unless=" || test $? -eq 1")],
                post=[verify(f"IsReady-{number}", account)],
            )
    app.synth()


if __name__ == "__main__":
    main()
