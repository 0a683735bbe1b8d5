"""The apps that are measured: `python benchmarks/arms.py ARM [PROFILES STACKS]`.

Each arm is an app as its author would write it. All arms of a benchmark make the same roles and
profiles, and all but three give each role the same four actions and the one of the logs: the floor
gives none, `managed_policy` names AWS's policy by its ARN, and aws-rfdk grants the four and the
registration.
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


def managed_policy(profiles: int, stacks: int) -> None:
    """`role.add_managed_policy` with AmazonSSMManagedInstanceCore."""
    from aws_cdk import aws_iam as iam

    app, made = app_with(profiles, stacks)
    for profile in made:
        role = profile.role
        assert role
        name = "AmazonSSMManagedInstanceCore"
        role.add_managed_policy(iam.ManagedPolicy.from_aws_managed_policy_name(name))
    app.synth()


def rfdk(profiles: int, stacks: int) -> None:
    """`SessionManagerHelper.grant_permissions_to` of aws-rfdk."""
    from aws_rfdk import SessionManagerHelper

    app, made = app_with(profiles, stacks)
    for profile in made:
        SessionManagerHelper.grant_permissions_to(profile.role)
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


def import_iam(_profiles: int, _stacks: int) -> None:
    """What every app with a role imports."""
    from aws_cdk import aws_iam as iam

    del iam


def import_ours(_profiles: int, _stacks: int) -> None:
    """The library, and all that it exports."""
    import session_manager_permissions as ours

    for name in ours.__all__:
        getattr(ours, name)


ARMS = {
    arm.__name__: arm
    for arm in (
        floor,
        hand_written,
        managed_policy,
        rfdk,
        construct,
        fleet,
        aspect,
        import_iam,
        import_ours,
    )
}


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
    modules = [name for name in sys.modules if name.startswith("aws_cdk.")]
    print(json.dumps({"peak_kib": peak_kib(), "modules": len(modules)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
