"""A fleet over two stacks with instance profiles for a role of a third."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from session_manager_permissions import SessionManagerFleet

app = cdk.App(default_stack_synthesizer=cdk.LegacyStackSynthesizer())
given = app.node.get_context
env = cdk.Environment(account=given("account"), region=given("region"))
roles, web, batch = (cdk.Stack(app, f"Shared{name}", env=env) for name in ("Roles", "Web", "Batch"))

ec2 = iam.ServicePrincipal("ec2.amazonaws.com")
role = iam.Role(roles, "Role", role_name="shared-role", assumed_by=ec2)
for stack in (web, batch):
    iam.InstanceProfile(stack, "Profile", role=role)

SessionManagerFleet(app, "Fleet")
app.synth()
