"""The apps that are measured: `python benchmarks/arms.py ARM [PROFILES STACKS]`.

Each arm is an app as its author would write it. All arms of a benchmark make the same roles and
profiles, and all but the floor give each role the same four actions and the one of the logs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aws_cdk as cdk
    from aws_cdk import aws_iam as iam
    from constructs import IConstruct

CHANNELS = [
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
]
LOGS = ["s3:GetEncryptionConfiguration"]


def app_with(profiles: int, stacks: int) -> tuple[cdk.App, list[iam.InstanceProfile]]:
    """An app with this many profiles and their roles, over this many stacks."""
    import aws_cdk as cdk
    from aws_cdk import aws_iam as iam

    app = cdk.App(analytics_reporting=False)
    ec2 = iam.ServicePrincipal("ec2.amazonaws.com")
    env = cdk.Environment(account="111122223333", region="eu-west-1")
    made = []
    for place in range(stacks):
        stack = cdk.Stack(app, f"Stack{place}", env=env)
        for number in range(place, profiles, stacks):
            role = iam.Role(stack, f"Role{number}", assumed_by=ec2)
            made.append(iam.InstanceProfile(stack, f"Profile{number}", role=role))
    return app, made


def statements() -> list[iam.PolicyStatement]:
    """The procedure's, written by hand."""
    from aws_cdk import aws_iam as iam

    return [
        iam.PolicyStatement(actions=actions, resources=["*"], sid=sid)
        for sid, actions in (("Channels", CHANNELS), ("LogEncryption", LOGS))
    ]


def floor(profiles: int, stacks: int) -> None:
    """The app without a policy."""
    app, _ = app_with(profiles, stacks)
    app.synth()


def hand_written(profiles: int, stacks: int) -> None:
    """An `iam.Policy` for each role, which checks nothing."""
    import aws_cdk as cdk
    from aws_cdk import aws_iam as iam

    app, made = app_with(profiles, stacks)
    for number, profile in enumerate(made):
        role = profile.role
        assert role
        scope = cdk.Stack.of(profile)
        iam.Policy(scope, f"Policy{number}", roles=[role], statements=statements())
    app.synth()


def construct(profiles: int, stacks: int) -> None:
    """A `SessionManagerPermissions` for each role."""
    import aws_cdk as cdk

    from session_manager_permissions import SessionManagerPermissions

    app, made = app_with(profiles, stacks)
    for number, profile in enumerate(made):
        scope = cdk.Stack.of(profile)
        SessionManagerPermissions(scope, f"Permissions{number}", role=profile.role)
    app.synth()


def fleet(profiles: int, stacks: int) -> None:
    """A `SessionManagerFleet` on the app."""
    from session_manager_permissions import SessionManagerFleet

    app, _ = app_with(profiles, stacks)
    SessionManagerFleet(app, "Fleet")
    app.synth()


def aspect(profiles: int, stacks: int) -> None:
    """A Python Aspect that visits each node and keeps a policy for each stack."""
    import aws_cdk as cdk
    import jsii
    from aws_cdk import aws_iam as iam

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

    app, _ = app_with(profiles, stacks)
    cdk.Aspects.of(app).add(Attach())
    app.synth()


def limit(profiles: int, stacks: int) -> None:
    """The least that CDK's API allows: one listing, each profile's role, a policy a stack."""
    import aws_cdk as cdk
    from aws_cdk import aws_iam as iam

    app, _ = app_with(profiles, stacks)
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
    app.synth()


def web_app() -> tuple[cdk.App, list[iam.IRole]]:
    """A VPC, two instances, and an Auto Scaling group behind a load balancer; and their roles."""
    import aws_cdk as cdk
    from aws_cdk import aws_autoscaling as autoscaling
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_elasticloadbalancingv2 as elb

    app = cdk.App(analytics_reporting=False)
    env = cdk.Environment(account="111122223333", region="eu-west-1")
    stack = cdk.Stack(app, "Web", env=env)
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
    return app, [*(instance.role for instance in instances), group.role]


def web(_profiles: int, _stacks: int) -> None:
    """That app, and nothing of ours."""
    app, _ = web_app()
    app.synth()


def web_construct(_profiles: int, _stacks: int) -> None:
    """That app, with a `SessionManagerPermissions` that is attached to each role."""
    import aws_cdk as cdk

    from session_manager_permissions import SessionManagerPermissions

    app, (first, *others) = web_app()
    web_stack = cdk.Stack.of(first)
    permissions = SessionManagerPermissions(web_stack, "SessionManagerPermissions", role=first)
    for role in others:
        permissions.attach_to_role(role)
    app.synth()


def web_fleet(_profiles: int, _stacks: int) -> None:
    """That app, with a `SessionManagerFleet`."""
    from session_manager_permissions import SessionManagerFleet

    app, _ = web_app()
    SessionManagerFleet(app, "Fleet")
    app.synth()


def web_readiness(_profiles: int, _stacks: int) -> None:
    """That app, with the check at synthesis and its network rules."""
    import aws_cdk as cdk

    from session_manager_permissions import SessionManagerReadiness

    app, _ = web_app()
    cdk.Validations.of(app).add_plugins(SessionManagerReadiness())
    app.synth()


BY_NUMBER = (floor, hand_written, construct, fleet, aspect, limit)
OF_WEB = (web, web_construct, web_fleet, web_readiness)
ARMS = {arm.__name__: arm for arm in (*BY_NUMBER, *OF_WEB)}


def peak_kib() -> int | None:
    """The peaks of this process and of its children, Node.js with them; on Linux alone."""
    children = Path("/proc/self/task")
    if not children.exists():
        return None
    listed = [path.read_text().split() for path in children.glob("*/children")]
    peak = 0
    for process in ["self", *(child for each in listed for child in each)]:
        status = Path("/proc", process, "status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        peak += int(line.split()[1])
    return peak


def main(arm: str, profiles: str = "1", stacks: str = "1") -> None:
    """Run the arm, and say what the process came to."""
    ARMS[arm](int(profiles), int(stacks))
    print(json.dumps({"peak_kib": peak_kib()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
