"""What the tests of several topics build, and what CloudFormation makes of a template."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk.cloudformation_include import CfnInclude, CfnIncludeProps, IncludedNestedStack
from aws_cdk.interfaces import aws_iam as iam_interfaces
from constructs import Construct

from .conftest import (
    ACCOUNT,
    ALIAS,
    EC2,
    HERE,
    OTHER_ACCOUNT,
    REGION,
    existing_role,
    l1_role,
    owned_role,
    role_arn,
)
from .reading import lookups, warnings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import MakeApp


PROFILE_ARN: Final = f"arn:aws:iam::{ACCOUNT}:instance-profile/Profile"
PSEUDO: Final = {"AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "AWS::Region": REGION}


def role_by_arn(scope: Construct, arn: str = role_arn(), *, mutable: bool = True) -> iam.IRole:
    """A role that is imported by its ARN."""
    return iam.Role.from_role_arn(scope, "Role", arn, mutable=mutable)


def immutable_role(scope: Construct, name: str = "Existing") -> iam.IRole:
    return iam.Role.from_role_name(scope, "Role", name, mutable=False)


def parameter(scope: Construct, name: str = "Given") -> str:
    return cdk.CfnParameter(scope, name).value_as_string


FIXED_ROLES: Final[dict[str, tuple[Callable[[cdk.Stack], iam.IRole], str]]] = {
    "immutable by name": (immutable_role, "mutable=False"),
    "immutable by ARN": (lambda s: role_by_arn(s, mutable=False), "mutable=False"),
    "immutable by a parameter": (lambda s: immutable_role(s, parameter(s)), "mutable=False"),
    "a parameter's ARN": (lambda s: role_by_arn(s, parameter(s), mutable=False), "mutable=False"),
    "a view": (lambda s: owned_role(s).without_policy_updates(), "without_policy_updates()"),
    "another account's": (
        lambda s: role_by_arn(s, role_arn(account=OTHER_ACCOUNT)),
        f"belongs to account {OTHER_ACCOUNT}",
    ),
    "reserved": (
        lambda s: role_by_arn(s, role_arn("aws-reserved/sso.amazonaws.com/Admins")),
        "reserved by AWS",
    ),
    "service-linked": (
        lambda s: role_by_arn(s, role_arn("aws-service-role/x.amazonaws.com/X")),
        "is a service-linked role",
    ),
}
"""Roles that can't be changed, and what is said of each."""
# A role that others create, who says so, and whether CDK is kept from making it.
ROLES_OF_OTHERS: Final = [
    pytest.param(lambda s: owned_role(s, "Role"), "app", True, id="owned"),
    pytest.param(lambda s: owned_role(s, "Role"), "stack", False, id="owned, synthesized"),
    pytest.param(lambda s: existing_role(s, "Role"), "stack", True, id="by name"),
    pytest.param(role_by_arn, "app", False, id="by ARN"),
]


def in_partition(*rest: object) -> dict[str, Any]:
    """An ARN in the partition of the deployment."""
    return {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, *rest]]}


ALL_KEYS_HERE: Final = in_partition(
    ":kms:", {"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}, ":key/*"
)


KINDS: Final[dict[str, Callable[[Construct, str], Construct]]] = {
    "Stack": cdk.Stack,
    "Nested": cdk.NestedStack,
    "Stage": cdk.Stage,
    "Group": Construct,
    "Profile": iam.InstanceProfile,
}


def grown(app: cdk.App, path: str) -> Any:  # noqa: ANN401
    """The construct of the path, which is made where it is not there; its id begins with its kind.

    The empty path is that of the app.
    """
    scope: Any = app
    for one in filter(None, path.split("/")):
        kind = next(kind for kind in KINDS if one.startswith(kind))
        scope = scope.node.try_find_child(one) or KINDS[kind](scope, one)
    return scope


# every argument of grant_start_session that allows more
EVERY_GRANT: Final[dict[str, Any]] = {
    "allow_ssh": True,
    "allow_port_forwarding": True,
    "allow_remote_port_forwarding": True,
    "allow_interactive_commands": True,
    "allow_remote_desktop": True,
    "allow_console": True,
    "decrypt_sessions_only": True,
}


def made(stack: cdk.Stack, options: dict[str, Any]) -> dict[str, Any]:
    """The options; what is callable makes one in the stack."""
    return {name: value(stack) if callable(value) else value for name, value in options.items()}


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def public_vpc(scope: Construct) -> ec2.Vpc:
    public = ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC)
    return ec2.Vpc(scope, "Vpc", max_azs=1, nat_gateways=0, subnet_configuration=[public])


SIZE: Final = ec2.InstanceType("t3.micro")


def network(scope: Construct) -> ec2.Vpc:
    return ec2.Vpc(scope, "Vpc", max_azs=1)


def linux() -> ec2.IMachineImage:
    return ec2.MachineImage.latest_amazon_linux2023()


def instance(
    scope: Construct,
    construct_id: str = "Instance",
    role: iam.IRole | None = None,
    vpc: ec2.Vpc | None = None,
) -> ec2.Instance:
    return ec2.Instance(
        scope,
        construct_id,
        vpc=vpc or network(scope),
        instance_type=SIZE,
        machine_image=linux(),
        role=role,
    )


def l1_profile(
    scope: Construct, *roles: str, construct_id: str = "Profile"
) -> iam.CfnInstanceProfile:
    return iam.CfnInstanceProfile(scope, construct_id, roles=[*roles])


def bare_profile(scope: Construct) -> cdk.CfnResource:
    """A profile whose role CDK does not know."""
    kind = "AWS::IAM::InstanceProfile"
    return cdk.CfnResource(scope, "Profile", type=kind, properties={"Roles": ["web"]})


def l1_nodes(
    scope: Construct, node_role: str = role_arn(), construct_id: str = "Nodes"
) -> eks.CfnNodegroup:
    return eks.CfnNodegroup(
        scope, construct_id, cluster_name="shop", node_role=node_role, subnets=["subnet-1"]
    )


def resource(kind: str, **properties: object) -> dict[str, Any]:
    """A resource as a template has it."""
    return {"Type": kind, "Properties": properties}


def include(scope: Construct, folder: Path, **sections: object) -> CfnInclude:
    """Include a template of these sections, which is written into the folder."""
    path = folder / "template.json"
    path.write_text(json.dumps(sections), encoding="utf-8")
    return CfnInclude(scope, "Included", template_file=str(path))


def include_profile(scope: Construct, folder: Path, roles: object) -> CfnInclude:
    """A template that others wrote: a role, and two profiles that give their roles as `roles`."""
    profile = resource("AWS::IAM::InstanceProfile", Roles=roles)
    return include(
        scope,
        folder,
        Parameters={"Name": {"Type": "String"}, "Names": {"Type": "CommaDelimitedList"}},
        Resources={
            "Role": resource("AWS::IAM::Role", AssumeRolePolicyDocument={}),
            "Profile": profile,
            "Twin": profile,
        },
    )


def imported_profile(scope: cdk.Stack, role: iam.IRole | None = None) -> iam.IInstanceProfile:
    return iam.InstanceProfile.from_instance_profile_attributes(
        scope, "Profile", instance_profile_arn=PROFILE_ARN, role=role
    )


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


def imported_alias(scope: Construct, name: str = ALIAS) -> kms.IAlias:
    return kms.Alias.from_alias_name(scope, "Alias", name)


def owned_alias(scope: Construct, key: kms.IKey | None = None) -> kms.Alias:
    key = key or kms.Key(scope, "Key")
    return kms.Alias(scope, "Alias", alias_name=ALIAS, target_key=key)


def l1_alias(scope: Construct, target: str | None = None) -> kms.CfnAlias:
    target = target or kms.CfnKey(scope, "Key").ref
    return kms.CfnAlias(scope, "Alias", alias_name=ALIAS, target_key_id=target)


def existing_bucket(scope: Construct) -> s3.IBucket:
    return s3.Bucket.from_bucket_name(scope, "Logs", "session-logs")


def l2_bucket(encryption: s3.BucketEncryption) -> Callable[[Construct], s3.IBucket]:
    return lambda scope: s3.Bucket(scope, "Logs", encryption=encryption)


def l1_bucket(
    scope: Construct, key_id: str | None = None, algorithm: str = "aws:kms"
) -> s3.CfnBucket:
    default = s3.CfnBucket.ServerSideEncryptionByDefaultProperty(
        sse_algorithm=algorithm, kms_master_key_id=key_id
    )
    rule = s3.CfnBucket.ServerSideEncryptionRuleProperty(server_side_encryption_by_default=default)
    encryption = s3.CfnBucket.BucketEncryptionProperty(server_side_encryption_configuration=[rule])
    return s3.CfnBucket(scope, "Logs", bucket_encryption=encryption)


def deployed(value: Any, **parameters: str) -> Any:  # noqa: ANN401
    """What CloudFormation makes of the functions in `value`, with these values of parameters."""
    known = PSEUDO | parameters
    match value:
        case {"Ref": name} if name in known:
            value = known[name]
        case {"Fn::Join": [separator, parts]}:
            value = separator.join(deployed(part, **parameters) for part in parts)
        case {"Fn::Split": [separator, text]}:
            value = deployed(text, **parameters).split(separator)
        case {"Fn::Select": [index, parts]}:
            value = deployed(parts, **parameters)[int(index)]
        case dict():
            value = {name: deployed(part, **parameters) for name, part in value.items()}
        case list():
            value = [deployed(part, **parameters) for part in value]
    return value


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


def included_nested(stack: cdk.Stack, inner: Path) -> IncludedNestedStack:
    """Include a template that has this one for a nested stack."""
    body = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "inner"}}
    outer = inner.with_name("outer.json")
    outer.write_text(json.dumps({"Resources": {"Nested": body}}), encoding="utf-8")
    loaded = {"Nested": CfnIncludeProps(template_file=str(inner))}
    included = CfnInclude(stack, "Outer", template_file=str(outer), load_nested_stacks=loaded)
    return included.get_nested_stack("Nested")
