"""The apps that are measured: `python benchmarks/arms.py POLICY [PROFILES STACKS]`.

Without numbers it is an app as people write them. Each policy is what an author would write. All of
a benchmark are on the same roles and profiles, and all but `nothing` and `readiness` give each role
the same four actions and the one of the logs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from collections.abc import Iterable

    from constructs import IConstruct

STATEMENTS = {
    "Channels": [
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ],
    "LogEncryption": ["s3:GetEncryptionConfiguration"],
}
ENV = cdk.Environment(account="111122223333", region="eu-west-1")


def of_profiles(app: cdk.App, profiles: int, stacks: int) -> Iterable[iam.IRole]:
    """This many profiles over this many stacks, and their roles, which cost a request each."""
    ec2 = iam.ServicePrincipal("ec2.amazonaws.com")
    made = []
    for place in range(stacks):
        stack = cdk.Stack(app, f"Stack{place}", env=ENV)
        for number in range(place, profiles, stacks):
            owned = iam.Role(stack, f"Role{number}", assumed_by=ec2)
            made.append(iam.InstanceProfile(stack, f"Profile{number}", role=owned))
    return (role for profile in made if (role := profile.role))


def of_web(app: cdk.App) -> Iterable[iam.IRole]:
    """A VPC, two instances, and an Auto Scaling group behind a load balancer; and their roles."""
    from aws_cdk import aws_autoscaling as autoscaling
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_elasticloadbalancingv2 as elb

    stack = cdk.Stack(app, "Web", env=ENV)
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    image = ec2.MachineImage.latest_amazon_linux2023()
    size = ec2.InstanceType("t3.micro")
    instances = [
        ec2.Instance(stack, name, vpc=vpc, instance_type=size, machine_image=image)
        for name in ("Database", "Jobs")
    ]
    group = autoscaling.AutoScalingGroup(
        stack, "Servers", vpc=vpc, instance_type=size, machine_image=image, max_capacity=4
    )
    balancer = elb.ApplicationLoadBalancer(stack, "Balancer", vpc=vpc, internet_facing=True)
    balancer.add_listener("Http", port=80).add_targets("Servers", port=80, targets=[group])
    return [*(instance.role for instance in instances), group.role]


def statements() -> list[iam.PolicyStatement]:
    """The procedure's, written by hand."""
    return [
        iam.PolicyStatement(actions=actions, resources=["*"], sid=sid)
        for sid, actions in STATEMENTS.items()
    ]


def nothing(_app: cdk.App, _roles: Iterable[iam.IRole]) -> None:
    """The app alone: the floor."""


def hand_written(_app: cdk.App, roles: Iterable[iam.IRole]) -> None:
    """An `iam.Policy` for each role, which checks nothing."""
    for number, role in enumerate(roles):
        scope = cdk.Stack.of(role)
        iam.Policy(scope, f"Policy{number}", roles=[role], statements=statements())


def construct(_app: cdk.App, roles: Iterable[iam.IRole]) -> None:
    """A `SessionManagerPermissions` for each role."""
    from session_manager_permissions import SessionManagerPermissions

    for number, role in enumerate(roles):
        SessionManagerPermissions(cdk.Stack.of(role), f"Permissions{number}", role=role)


def attached(_app: cdk.App, roles: Iterable[iam.IRole]) -> None:
    """A `SessionManagerPermissions` that is attached to each role."""
    from session_manager_permissions import SessionManagerPermissions

    first, *others = roles
    permissions = SessionManagerPermissions(cdk.Stack.of(first), "Permissions", role=first)
    for role in others:
        permissions.attach_to_role(role)


def fleet(app: cdk.App, _roles: Iterable[iam.IRole]) -> None:
    """A `SessionManagerFleet` on the app."""
    from session_manager_permissions import SessionManagerFleet

    SessionManagerFleet(app, "Fleet")


def readiness(app: cdk.App, _roles: Iterable[iam.IRole]) -> None:
    """The check at synthesis, with its network rules."""
    from session_manager_permissions import SessionManagerReadiness

    cdk.Validations.of(app).add_plugins(SessionManagerReadiness())


def aspect(app: cdk.App, _roles: Iterable[iam.IRole]) -> None:
    """A Python Aspect that visits each node and keeps a policy for each stack."""
    import jsii

    @jsii.implements(cdk.IAspect)
    class Attach:
        def __init__(self) -> None:
            self.policies: dict[cdk.Stack, iam.Policy] = {}

        def visit(self, node: IConstruct) -> None:
            if not isinstance(node, iam.InstanceProfile):
                return
            role, stack = node.role, cdk.Stack.of(node)
            assert role
            if stack in self.policies:
                self.policies[stack].attach_to_role(role)
            else:
                self.policies[stack] = iam.Policy(
                    stack, "SessionManager", roles=[role], statements=statements()
                )

    cdk.Aspects.of(app).add(Attach())


def limit(app: cdk.App, _roles: Iterable[iam.IRole]) -> None:
    """The least that CDK's API allows: one listing, each profile's role, a policy a stack."""
    roles: dict[cdk.Stack, list[str]] = {}
    stack = None
    for node in app.node.find_all():  # a stack comes before what is in it
        if isinstance(node, cdk.Stack):
            stack = node
        elif isinstance(node, iam.CfnInstanceProfile):
            assert stack
            roles.setdefault(stack, []).extend(node.roles)
    document = iam.PolicyDocument(statements=statements())
    name = "SessionManager"
    for of_stack, names in roles.items():
        iam.CfnPolicy(of_stack, name, policy_document=document, policy_name=name, roles=names)


POLICIES = {
    policy.__name__: policy
    for policy in (nothing, hand_written, construct, attached, fleet, readiness, aspect, limit)
}


def main(policy: str, *numbers: str) -> None:
    """Make the app, give it the policy, and synthesize it."""
    app = cdk.App(analytics_reporting=False)
    roles = of_profiles(app, *map(int, numbers)) if numbers else of_web(app)
    POLICIES[policy](app, roles)
    app.synth()


if __name__ == "__main__":
    main(*sys.argv[1:])
