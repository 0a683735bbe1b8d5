"""A fleet over two stacks: profiles for roles that exist already, and one for a role of its own."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from session_manager_permissions import SessionManagerFleet

app = cdk.App(default_stack_synthesizer=cdk.LegacyStackSynthesizer())
given = app.node.get_context
env = cdk.Environment(account=given("account"), region=given("region"))
web, batch = (cdk.Stack(app, name, env=env) for name in ("FleetWeb", "FleetBatch"))

imported = iam.Role.from_role_name(web, "Role", "imported-role")
iam.InstanceProfile(web, "Imported", role=imported)
iam.InstanceProfile(web, "ImportedAgain", role=imported)
iam.CfnInstanceProfile(web, "Named", roles=["named-role"])
left_alone = iam.CfnInstanceProfile(web, "LeftAlone", roles=["left-alone-role"])

iam.CfnInstanceProfile(batch, "Shared", roles=["named-role"])
ec2 = iam.ServicePrincipal("ec2.amazonaws.com")
owned = iam.Role(batch, "Owned", role_name="owned-role", assumed_by=ec2)
iam.InstanceProfile(batch, "WithItsOwn", role=owned)

SessionManagerFleet(app, "Fleet", exclude=[left_alone])
app.synth()
