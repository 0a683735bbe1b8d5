#!/usr/bin/env python3
"""Every account of an organizational unit gives its role `web-server` the policy, by a stack set.

The role exists in each account and is in no CDK app: the template names it, and holds nothing that
differs from account to account but by a pseudo parameter.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from cdk_stacksets import (
    Capability,
    DeploymentType,
    OperationPreferences,
    StackSet,
    StackSetStack,
    StackSetTarget,
    StackSetTemplate,
)

from session_manager_permissions import SessionManagerPermissions

DELEGATED_ADMINISTRATOR = cdk.Environment(account="111122223333", region="eu-west-1")
ORGANIZATIONAL_UNITS = ["ou-ab12-11111111"]
ROLE = "web-server"
ALIAS = "alias/sessions"
"""Of the key of sessions, which each account has in each region where it has instances."""
INSTANCE_REGIONS = ["eu-west-1", "eu-central-1", "us-east-1"]


class MemberStack(StackSetStack):
    """What each account gets, in one region only: a role and its policies are global."""

    def __init__(self, scope: cdk.Stack, construct_id: str) -> None:
        """Attach to the role of this name in whatever account the stack is made in."""
        super().__init__(scope, construct_id)
        permissions = SessionManagerPermissions(
            self,
            "Permissions",
            role=iam.Role.from_role_name(self, "Role", ROLE),
            policy_name="SessionManager",
        )
        for region in INSTANCE_REGIONS:  # keys are regional, so the role needs one for each
            arn = self.format_arn(service="kms", region=region, resource=ALIAS)
            permissions.add_encryption_key(kms.Key.from_key_arn(self, f"Key-{region}", arn))


def main() -> None:
    """The app: one stack in the account that the organization lets administer stack sets."""
    app = cdk.App()
    stack = cdk.Stack(app, "SessionManagerForTheOrganization", env=DELEGATED_ADMINISTRATOR)
    member = MemberStack(stack, "Member")
    stack_set = StackSet(
        stack,
        "StackSet",
        stack_set_name="session-manager-permissions",
        template=StackSetTemplate.from_stack_set_stack(member),
        capabilities=[Capability.NAMED_IAM],
        deployment_type=DeploymentType.service_managed(
            delegated_admin=True,
            auto_deploy_enabled=True,
            auto_deploy_retain_stacks=False,
        ),
        target=StackSetTarget.from_organizational_units(
            organizational_units=ORGANIZATIONAL_UNITS,
            regions=[DELEGATED_ADMINISTRATOR.region or ""],
        ),
        operation_preferences=OperationPreferences(
            failure_tolerance_percentage=2,
            max_concurrent_percentage=10,
        ),
        managed_execution=True,
    )
    # By default at most one account more than may fail is worked on: some 2 % in place of 10 %.
    resource = stack_set.node.default_child
    assert isinstance(resource, cdk.CfnResource)  # noqa: S101 - tells its type
    resource.add_property_override("OperationPreferences.ConcurrencyMode", "SOFT_FAILURE_TOLERANCE")
    app.synth()


if __name__ == "__main__":
    main()
