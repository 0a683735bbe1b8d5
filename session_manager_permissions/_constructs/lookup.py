"""`lookup_instance_profile`: find an existing instance profile, and its role, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from session_manager_permissions import _limits, _needs

from .checks import refuse_wrong_text
from .tokens import is_name, is_token

if TYPE_CHECKING:
    from constructs import Construct


def lookup_instance_profile(
    scope: Construct, construct_id: str, *, instance_profile_name: str
) -> iam.IInstanceProfile:
    """Return the instance profile with this name in the stack's account, with its role.

    No CloudFormation function returns the role of a profile. The CDK CLI asks the account at
    synthesis, through the Cloud Control API. It needs the permissions `cloudformation:GetResource`
    and `iam:GetInstanceProfile`. It keeps the answer in `cdk.context.json`: commit that file, and
    run `cdk context --reset KEY` to make the CLI ask again. Until the CLI has asked, for example in
    a unit test, the role has the name `DUMMY_…`.

    Args:
        scope: the construct that the import is defined in; its stack needs an account and a region.
        construct_id: the id of the import, unique in `scope`. The role has this id with `Role`
            added.
        instance_profile_name: the profile's name, not its ARN and not a token.

    Raises:
        TypeError: the name or the id is not a string.
        ValueError: the name is a token or can't be a profile's name, or the profile has no role.
    """
    refuse_wrong_text("instance_profile_name", instance_profile_name)
    is_profile = is_name(instance_profile_name, _limits.INSTANCE_PROFILE)
    if is_token(instance_profile_name) or not is_profile:
        raise ValueError(
            f"instance_profile_name {instance_profile_name!r} can't be looked up: give the name "
            f"alone, {_limits.INSTANCE_PROFILE.rule}, not an ARN or a token"
        )
    refuse_wrong_text("construct_id", construct_id)
    until_then = {
        "Roles": [f"DUMMY_{_needs.digest(instance_profile_name)}"],  # one for each profile
        # By `+`, as an f-string has the name of a member of a `str` enum and not its text.
        "Arn": "arn:aws:iam::123456789012:instance-profile/" + instance_profile_name,
    }
    profile = look_up(scope, "InstanceProfile", instance_profile_name, until_then)
    if not profile["Roles"]:
        raise ValueError(
            f"instance_profile_name {instance_profile_name!r} is a profile without a role, but "
            "only a role can have policies: add a role to the profile"
        )
    return iam.InstanceProfile.from_instance_profile_attributes(
        scope,
        construct_id,
        instance_profile_arn=profile["Arn"],
        role=iam.Role.from_role_name(scope, construct_id + "Role", profile["Roles"][0]),
    )


def look_up(scope: Construct, kind: str, name: str, until_then: dict[str, Any]) -> dict[str, Any]:
    """Have the CDK CLI ask the account for properties of an IAM resource, by the Cloud Control API.

    Args:
        scope: a construct in a stack with a known account and region.
        kind: the kind of resource, such as `Role`.
        name: its name.
        until_then: the properties to ask for, with the values that they have until the CLI has
            asked: CDK synthesizes once before.

    Raises:
        ValueError: `cdk.context.json` has an answer that the CLI can't have written.
    """
    answer = cdk.ContextProvider.get_value(
        scope,
        provider="cc-api-provider",
        props={
            "typeName": f"AWS::IAM::{kind}",
            "exactIdentifier": name,
            "propertiesToReturn": [*until_then],
        },
        dummy_value=[until_then],
    )
    found = answer.value[0] if isinstance(answer.value, list) and answer.value else None
    if not _is_answer(found, kind, until_then):
        raise ValueError(
            f"the name {name!r} has the answer {answer.value!r} in cdk.context.json, which does "
            f"not describe an AWS::IAM::{kind}: find its key with `cdk context`, and run `cdk "
            "context --reset KEY`, so that the CLI asks the account again"
        )
    return found


def _is_answer(found: object, kind: str, asked: dict[str, Any]) -> TypeGuard[dict[str, Any]]:
    """Tell whether an answer has the ARN, and the names of the roles if these were asked for."""
    if not isinstance(found, dict) or not isinstance(arn := found.get("Arn"), str):
        return False
    roles = found.get("Roles") if "Roles" in asked else []
    fault_of = _limits.role_fault if kind == "Role" else _limits.instance_profile_fault
    return (
        arn.startswith("arn:")
        and fault_of(arn) is None
        and isinstance(roles, list)
        and all(isinstance(role, str) and _limits.ROLE.fits(role) for role in roles)
    )
