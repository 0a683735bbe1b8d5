"""What the tests of several topics build: trees of constructs, networks, instances, profiles."""

import enum
from collections.abc import Callable
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from constructs import Construct

from session_manager_permissions import SessionManagerPermissions

from .conftest import MakeApp
from .places import ACCOUNT, REGION, role_arn
from .reading import lookups, warnings

MINIMIZE: Final = "@aws-cdk/aws-iam:minimizePolicies"
PROFILE_ARN: Final = f"arn:aws:iam::{ACCOUNT}:instance-profile/Profile"


class Text(str, enum.Enum):
    """A text that is a member of an enum, as some apps have it."""

    TEAM = "team"


KINDS: Final[dict[str, Callable[[Construct, str], Construct]]] = {
    "Stack": cdk.Stack,
    "Nested": cdk.NestedStack,
    "Stage": cdk.Stage,
    "Group": Construct,
    "Profile": iam.InstanceProfile,
}


def grown(app: cdk.App, path: str) -> Any:  # noqa: ANN401
    """The construct at the path; it is made if there is none. Its id begins with its kind.

    The empty path is that of the app.
    """
    scope: Any = app
    for one in filter(None, path.split("/")):
        kind = next(kind for kind in KINDS if one.startswith(kind))
        scope = scope.node.try_find_child(one) or KINDS[kind](scope, one)
    return scope


# every argument of grant_start_session that allows more
EVERY_GRANT: Final[dict[str, Any]] = {
    "allow_ssh": True, "allow_port_forwarding": True, "allow_remote_port_forwarding": True,
    "allow_interactive_commands": True, "allow_remote_desktop": True, "allow_console": True,
    "decrypt_sessions_only": True,
}  # fmt: skip


def made(stack: cdk.Stack, options: dict[str, Any]) -> dict[str, Any]:
    """The options; what is callable makes one in the stack."""
    return {name: value(stack) if callable(value) else value for name, value in options.items()}


def public_vpc(scope: Construct) -> ec2.Vpc:
    public = ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC)
    return ec2.Vpc(scope, "Vpc", max_azs=1, nat_gateways=0, subnet_configuration=[public])


SIZE: Final = ec2.InstanceType("t3.micro")


def network(scope: Construct) -> ec2.Vpc:
    return ec2.Vpc(scope, "Vpc", max_azs=1)


def linux() -> ec2.IMachineImage:
    return ec2.MachineImage.latest_amazon_linux2023()


def machine(scope: Construct) -> dict[str, Any]:
    """What an instance and a group need."""
    return {"vpc": network(scope), "instance_type": SIZE, "machine_image": linux()}


def instance(
    scope: Construct, construct_id: str = "Instance", role: iam.IRole | None = None
) -> ec2.Instance:
    return ec2.Instance(scope, construct_id, role=role, **machine(scope))


def l1_profile(
    scope: Construct, *roles: str, construct_id: str = "Profile"
) -> iam.CfnInstanceProfile:
    return iam.CfnInstanceProfile(scope, construct_id, roles=[*roles])


def bare_profile(scope: Construct) -> cdk.CfnResource:
    """A profile whose role CDK does not know."""
    kind = "AWS::IAM::InstanceProfile"
    return cdk.CfnResource(scope, "Profile", type=kind, properties={"Roles": ["web"]})


def cluster(scope: Construct, vpc: ec2.IVpc | None = None) -> Any:  # noqa: ANN401 - the stub of ICluster lacks a member
    """A cluster of EKS, without capacity."""
    eks = cdk.aws_eks_v2
    return eks.Cluster(
        scope,
        "Cluster",
        vpc=vpc or network(scope),
        version=eks.KubernetesVersion.V1_32,
        default_capacity_type=eks.DefaultCapacityType.NODEGROUP,
        default_capacity=0,
    )


def l1_nodes(
    scope: Construct, node_role: str = role_arn(), construct_id: str = "Nodes"
) -> eks.CfnNodegroup:
    return eks.CfnNodegroup(
        scope, construct_id, cluster_name="shop", node_role=node_role, subnets=["subnet-1"]
    )


def imported_profile(scope: cdk.Stack, role: iam.IRole | None = None) -> iam.IInstanceProfile:
    return iam.InstanceProfile.from_instance_profile_attributes(
        scope, "Profile", instance_profile_arn=PROFILE_ARN, role=role
    )


def permit(scope: Construct, target: object, **options: Any) -> SessionManagerPermissions:  # noqa: ANN401
    """Give the construct a role or a profile."""
    role_or_profile = "instance_profile" if hasattr(target, "instance_profile_ref") else "role"
    given: dict[str, Any] = {role_or_profile: target, **options}
    return SessionManagerPermissions(scope, "Permissions", **given)


def answered(
    make_app: MakeApp, use: Callable[[cdk.Stack], object], answer: object, account: str = ACCOUNT
) -> cdk.Stack:
    """A stack that uses what is looked up, once the CLI has asked for the answer."""

    def build(**context: object) -> cdk.Stack:
        env = cdk.Environment(account=account, region=REGION)
        stack = cdk.Stack(make_app(**context), "Stack", env=env)
        use(stack)
        return stack

    asking = build()
    (asked,) = lookups(asking)
    assert warnings(asking) == []
    found = build(**{asked["key"]: answer})
    assert lookups(found) == []
    return found
