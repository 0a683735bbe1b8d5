"""All that version 0.1.0 could do, with a stack for each: by the version that is on the path."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk.cloudformation_include import CfnInclude

from session_manager_permissions import (
    SessionManagerPermissions,
    lookup_instance_profile,
    session_manager_statements,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
REGION, OTHER_REGION = "eu-west-1", "eu-west-2"
ENVIRONMENTS = {"Here": cdk.Environment(account=ACCOUNT, region=REGION), "Anywhere": None}
EC2 = iam.ServicePrincipal("ec2.amazonaws.com")
TRUST = {"Version": "2012-10-17", "Statement": []}
TEMPLATE = {
    "Resources": {
        "Profile": {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": ["Existing"]}}
    }
}


def parameter(stack: cdk.Stack, kind: str = "String") -> cdk.CfnParameter:
    return cdk.CfnParameter(stack, "Parameter", type=kind)


def existing(stack: cdk.Stack) -> iam.IRole:
    return iam.Role.from_role_name(stack, "Existing", "Existing")


def owned(stack: cdk.Stack, name: str | None = None) -> iam.Role:
    return iam.Role(stack, "Owned", assumed_by=EC2, role_name=name)


def l1(stack: cdk.Stack, name: str | None = None) -> iam.CfnRole:
    return iam.CfnRole(stack, "L1", assume_role_policy_document=TRUST, role_name=name)


def l1_profile(stack: cdk.Stack, roles: list[str]) -> iam.CfnInstanceProfile:
    return iam.CfnInstanceProfile(stack, "Profile", roles=roles)


def imported_profile(stack: cdk.Stack) -> iam.IInstanceProfile:
    arn = f"arn:aws:iam::{ACCOUNT}:instance-profile/path/Existing"
    return iam.InstanceProfile.from_instance_profile_attributes(
        stack, "Profile", instance_profile_arn=arn, role=existing(stack)
    )


def included_profile(stack: cdk.Stack) -> iam.CfnInstanceProfile:
    path = Path("template.json")
    path.write_text(json.dumps(TEMPLATE), encoding="utf-8")
    included = CfnInclude(stack, "Included", template_file=str(path))
    return cast("iam.CfnInstanceProfile", included.get_resource("Profile"))


ROLES: dict[str, Callable[[cdk.Stack], Any]] = {
    "Named": existing,
    "ByArn": lambda s: iam.Role.from_role_arn(s, "Role", f"arn:aws:iam::{ACCOUNT}:role/path/Its"),
    "ByParameter": lambda s: iam.Role.from_role_name(s, "Role", parameter(s).value_as_string),
    "Owned": owned,
    "OwnedNamed": lambda s: owned(s, "Owned"),
    "L1": l1,
    "L1Named": lambda s: l1(s, "Owned"),
}
PROFILES: dict[str, Callable[[cdk.Stack], Any]] = {
    "Profile": lambda s: iam.InstanceProfile(s, "Profile", role=owned(s)),
    "ProfileOfItsOwn": lambda s: iam.InstanceProfile(s, "Profile"),
    "ImportedProfile": imported_profile,
    "L1Profile": lambda s: l1_profile(s, ["Existing"]),
    "L1ProfileOfL1": lambda s: l1_profile(s, [l1(s).ref]),
    "L1ProfileOfParameter": lambda s: l1_profile(
        s, parameter(s, "CommaDelimitedList").value_as_list
    ),
    "IncludedProfile": included_profile,
}


def key_by_arn(
    stack: cdk.Stack, region: str = REGION, account: str = ACCOUNT, resource: str = "key/1234abcd"
) -> kms.IKey:
    arn = f"arn:aws:kms:{region}:{account}:{resource}"
    return kms.Key.from_key_arn(stack, f"{region}{account}{resource}".replace("/", ""), arn)


def l1_alias(stack: cdk.Stack) -> kms.CfnAlias:
    target = kms.CfnKey(stack, "KeyOfAlias").ref
    return kms.CfnAlias(stack, "Alias", alias_name="alias/owned", target_key_id=target)


KEYS: dict[str, Callable[[cdk.Stack], list[Any]]] = {
    "NoKey": lambda _: [],
    "Key": lambda s: [kms.Key(s, "Key")],
    "L1Key": lambda s: [kms.CfnKey(s, "Key")],
    "KeyByArn": lambda s: [key_by_arn(s)],
    "KeyByParameter": lambda s: [
        kms.Key.from_key_arn(s, "Key", cdk.CfnParameter(s, "Arn").value_as_string)
    ],
    "KeyElsewhere": lambda s: [key_by_arn(s, OTHER_REGION, OTHER_ACCOUNT)],
    "KeysOfTwoRegions": lambda s: [key_by_arn(s, OTHER_REGION), key_by_arn(s)],
    "Alias": lambda s: [kms.Key(s, "Key").add_alias("owned")],
    "L1Alias": lambda s: [l1_alias(s)],
    "AliasByName": lambda s: [kms.Alias.from_alias_name(s, "Alias", "alias/sessions")],
    "AliasByArn": lambda s: [key_by_arn(s, resource="alias/sessions")],
    "AliasByParameter": lambda s: [
        kms.Alias.from_alias_name(s, "Alias", cdk.CfnParameter(s, "Name").value_as_string)
    ],
    "KeysAndAliases": lambda s: [
        key_by_arn(s, resource="alias/sessions"),
        key_by_arn(s),
        key_by_arn(s, OTHER_REGION, resource="alias/sessions"),
        key_by_arn(s, resource="alias/other"),
        key_by_arn(s, OTHER_REGION),
    ],
}


def permit(
    stack: cdk.Stack, target: str, keys: str = "NoKey", policy_name: str | None = None
) -> SessionManagerPermissions:
    first, *more = KEYS[keys](stack) or [None]
    permissions = SessionManagerPermissions(
        stack,
        "Permissions",
        role=ROLES[target](stack) if target in ROLES else None,
        instance_profile=PROFILES[target](stack) if target in PROFILES else None,
        encryption_key=first,
        policy_name=policy_name,
    )
    for key in more:
        permissions.add_encryption_key(key)
    return permissions


def several(stack: cdk.Stack) -> None:
    permissions = permit(stack, "Owned", "KeyByArn")
    permissions.attach_to_role(existing(stack))
    permissions.attach_to_role(iam.Role.from_role_name(stack, "ExistingAgain", "Existing"))
    permissions.attach_to_instance_profile(l1_profile(stack, [l1(stack).ref]))
    permissions.attach_to_instance_profile(iam.InstanceProfile(stack, "ItsOwn"))
    permissions.add_encryption_key(key_by_arn(stack, OTHER_REGION))
    cdk.CfnOutput(stack, "Policy", value=permissions.policy.policy_name)
    cdk.CfnOutput(stack, "Roles", value=",".join(role.role_name for role in permissions.roles))


def statements(stack: cdk.Stack) -> None:
    iam.ManagedPolicy(stack, "Plain", statements=session_manager_statements())
    key = key_by_arn(stack)
    iam.ManagedPolicy(stack, "Key", statements=session_manager_statements(encryption_key=key))


def across(stack: cdk.Stack) -> None:
    other = cdk.Stack(stack, "Other", env=ENVIRONMENTS[stack.node.id.removeprefix("Across")])
    SessionManagerPermissions(
        stack, "Permissions", role=owned(other), encryption_key=kms.Key(other, "Key")
    )


def reported(stack: cdk.Stack) -> None:
    iam.Role.customize_roles(stack)
    permit(stack, "Owned", "KeyByArn").add_encryption_key(key_by_arn(stack, OTHER_REGION))


OTHERS: dict[str, Callable[[cdk.Stack], object]] = {
    "NamedPolicy": lambda s: permit(s, "Named", policy_name="SessionManager"),
    "Several": several,
    "Statements": statements,
    "Across": across,
    "Nested": lambda s: permit(cdk.NestedStack(s, "Nested"), "Named", "Key"),
    "Reported": reported,
    "AVeryLongName" + "x" * 100: lambda s: permit(s, "Named"),
}


def main() -> None:
    app = cdk.App(outdir=sys.argv[1])
    for place, env in ENVIRONMENTS.items():
        for target in (*ROLES, *PROFILES):
            permit(cdk.Stack(app, target + place, env=env), target)
        for keys in KEYS:
            permit(cdk.Stack(app, keys + place, env=env), "Owned", keys)
        for name, build in OTHERS.items():
            build(cdk.Stack(app, name + place, env=env))
    stage = cdk.Stage(app, "Stage", env=ENVIRONMENTS["Here"])
    stack = cdk.Stack(stage, "Stack")
    profile = lookup_instance_profile(stack, "Profile", instance_profile_name="Existing")
    SessionManagerPermissions(stack, "Permissions", instance_profile=profile)
    app.synth()


if __name__ == "__main__":
    main()
