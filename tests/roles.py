"""Roles, in each way in which an app may have one."""

from collections.abc import Callable
from typing import Any, Final

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk.interfaces import aws_iam as iam_interfaces
from constructs import Construct

from .builders import imported_profile, l1_profile
from .places import HERE, OTHER_ACCOUNT, THERE, role_arn
from .templates import parameter

EC2 = iam.ServicePrincipal("ec2.amazonaws.com")
OF_EC2 = {"Service": "ec2.amazonaws.com"}
ALLOW_EC2 = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": OF_EC2}
TRUST = {"Version": "2012-10-17", "Statement": [ALLOW_EC2]}
"""The trust policy that lets EC2 assume a role."""


def owned_role(scope: Construct, construct_id: str = "Owned", name: str | None = None) -> iam.Role:
    return iam.Role(scope, construct_id, assumed_by=EC2, role_name=name)


def l1_role(scope: Construct, construct_id: str = "L1", name: str | None = None) -> iam.CfnRole:
    return iam.CfnRole(scope, construct_id, assume_role_policy_document=TRUST, role_name=name)


def existing_role(
    scope: Construct, construct_id: str = "Existing", name: str = "Existing"
) -> iam.IRole:
    return iam.Role.from_role_name(scope, construct_id, name)


def role_by_arn(scope: Construct, arn: str = role_arn(), *, mutable: bool = True) -> iam.IRole:
    """A role that is imported by its ARN."""
    return iam.Role.from_role_arn(scope, "Role", arn, mutable=mutable)


def immutable_role(scope: Construct, name: str = "Existing") -> iam.IRole:
    return iam.Role.from_role_name(scope, "Role", name, mutable=False)


def role_by_its_path(scope: Construct) -> iam.IRole:
    """A role of the app with a path, imported by its ARN in an `Fn::Sub`."""
    l1_role(scope).path = "/team/"
    return role_by_arn(scope, cdk.Fn.sub("${L1.Arn}"))


def role_by_its_export(scope: Construct) -> iam.IRole:
    """A role of the app with a path, which is imported by the export of its ARN."""
    for path, env in (("/other/", THERE), ("/team/", HERE)):
        owner = cdk.Stack(cdk.Stage.of(scope), f"Of{env.region}", env=env)
        role = iam.CfnRole(owner, "Role", assume_role_policy_document=TRUST, path=path)
        output = cdk.CfnOutput(owner, "Arn", value="", export_name="Web")
        output.value = role.get_att("Arn")  # as `CfnInclude` has it
    return role_by_arn(scope, cdk.Fn.import_value("Web"))


FIXED_ROLES: Final[dict[str, tuple[Callable[[cdk.Stack], iam.IRole], str]]] = {
    "immutable by name": (immutable_role, "mutable=False"),
    "immutable by ARN": (lambda s: role_by_arn(s, mutable=False), "mutable=False"),
    "immutable by a parameter": (lambda s: immutable_role(s, parameter(s)), "mutable=False"),
    "a parameter's ARN": (lambda s: role_by_arn(s, parameter(s), mutable=False), "mutable=False"),
    "an export's ARN": (
        lambda s: role_by_arn(s, cdk.Fn.import_value("Theirs"), mutable=False), "mutable=False"),
    "a view": (lambda s: owned_role(s).without_policy_updates(), "without_policy_updates()"),
    "another account's": (lambda s: role_by_arn(s, role_arn(account=OTHER_ACCOUNT)),
        f"belongs to account {OTHER_ACCOUNT}"),
    "reserved": (lambda s: role_by_arn(s, role_arn("aws-reserved/sso.amazonaws.com/Admins")),
        "reserved by AWS"),
    "service-linked": (lambda s: role_by_arn(s, role_arn("aws-service-role/x.amazonaws.com/X")),
        "is a service-linked role"),
    "by a part of its path": (role_by_its_path, "CDK takes a part of its path '/team/'"),
    "exported": (role_by_its_export, "CDK takes a part of its path '/team/'"),
}  # fmt: skip
"""Roles that can't be changed, each with the reason in the error."""
# A role that others create, who says so, and whether CDK is kept from making it.
ROLES_OF_OTHERS: Final = [
    pytest.param(lambda s: owned_role(s, "Role"), "app", True, id="owned"),
    pytest.param(lambda s: owned_role(s, "Role"), "stack", False, id="owned, synthesized"),
    pytest.param(lambda s: existing_role(s, "Role"), "stack", True, id="by name"),
    pytest.param(role_by_arn, "app", False, id="by ARN"),
]


@jsii.implements(iam_interfaces.IRoleRef)
class RoleOfOnesOwn(cdk.Resource):
    @property
    def role_ref(self) -> iam_interfaces.RoleReference:
        return iam_interfaces.RoleReference(role_arn=role_arn(), role_name="Existing")


IN_TOKENS: Final = f"arn:{cdk.Aws.PARTITION}:iam::{cdk.Aws.ACCOUNT_ID}:role/Existing"
EXISTING_ROLES: Final[dict[str, Callable[[cdk.Stack], Any]]] = {
    "by name": existing_role,
    "by ARN": role_by_arn,
    "by ARN with a path": lambda s: role_by_arn(s, role_arn("some/path/Existing")),
    "by ARN with tokens": lambda s: role_by_arn(s, IN_TOKENS),
    "a class of one's own": lambda s: RoleOfOnesOwn(s, "Role"),
    "profile": lambda s: imported_profile(s, existing_role(s)),
    "L2 profile": lambda s: iam.InstanceProfile(s, "Profile", role=existing_role(s)),
    "L1 profile": lambda s: l1_profile(s, "Existing"),
}
"""Roles that exist, and profiles of them."""
OWNED_ROLES: Final[dict[str, Callable[[cdk.Stack], Any]]] = {
    "L2": owned_role,
    "L2 with a name": lambda s: owned_role(s, name="Named"),
    "L1 of an L2": lambda s: owned_role(s).node.default_child,
    "L1": l1_role,
    "L1 with a name": lambda s: l1_role(s, name="Named"),
    "LazyRole": lambda s: iam.LazyRole(s, "Lazy", assumed_by=EC2),
    "imported profile of an L2": lambda s: imported_profile(s, owned_role(s)),
    "L2 profile of an L2": lambda s: iam.InstanceProfile(s, "Profile", role=owned_role(s)),
    "L1 of an L2 profile": lambda s: iam.InstanceProfile(s, "Profile").node.default_child,
    "L1 profile of an L1": lambda s: l1_profile(s, l1_role(s).ref),
    "L1 profile of an L2": lambda s: l1_profile(s, owned_role(s).role_name),
}


def customized(app: cdk.App, where: str = "app", *, prevent_synthesis: bool = True) -> cdk.Stack:
    """A stack whose roles others create, as the app or the stack alone says."""
    paths = ("Stack/Role", "Stack/Owned", "Stack/Cluster/Role")
    scope = app if where == "app" else cdk.Stack(app, "Stack", env=HERE)
    iam.Role.customize_roles(
        scope,
        prevent_synthesis=prevent_synthesis,
        use_precreated_roles=dict.fromkeys(paths, "Existing"),
    )
    return scope if isinstance(scope, cdk.Stack) else cdk.Stack(app, "Stack", env=HERE)
