"""Which role does the profile of this name have? Asked of the account, as CDK's look-ups are."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from session_manager_permissions import _limits

from .checks import refuse_wrong_type, stack_of, taking_id
from .roles import is_role_name
from .tokens import parse_arn

if TYPE_CHECKING:
    from constructs import Construct


def lookup_instance_profile(
    scope: Construct, construct_id: str, *, instance_profile_name: str
) -> iam.IInstanceProfile:
    """The instance profile of this name in the stack's account, with its role.

    CloudFormation can't tell a profile's role, so the CLI asks the account at synthesis (the Cloud
    Control API, `cloudformation:GetResource` and `iam:GetInstanceProfile`) and keeps the answer in
    `cdk.context.json`, which belongs into version control; `cdk context --reset KEY` has it ask
    again. Until it has asked, as in a unit test, the role is one named `DUMMY_…`.

    Args:
        scope: where in the tree the import is made, in a stack with a known account and region.
        construct_id: the import's id, unique in `scope`; the role's is the same with `Role` added.
        instance_profile_name: the profile's name: not its ARN, not a token.

    Raises:
        TypeError: the name is no string.
        ValueError: the name is a token or no profile's, the stack has no known account and region,
            the answer that is kept is not one profile, or the profile has no role.
    """
    refuse_wrong_type("instance_profile_name", instance_profile_name, str)
    if not _limits.INSTANCE_PROFILE.fits(instance_profile_name):
        raise ValueError(
            f"instance_profile_name {instance_profile_name!r} can't be looked up: give the name "
            f"alone, {_limits.INSTANCE_PROFILE.rule}, not an ARN or a token"
        )
    stack = stack_of(scope)
    if cdk.Token.is_unresolved(stack.account) or cdk.Token.is_unresolved(stack.region):
        raise ValueError(
            f"instance_profile_name {instance_profile_name!r} can't be looked up in the stack "
            f"{stack.node.path!r}, whose account and region are not known: give the stack "
            "env=cdk.Environment(account=…, region=…)"
        )
    digest = hashlib.sha256(instance_profile_name.encode()).hexdigest()[:8]
    answer = cdk.ContextProvider.get_value(
        scope,
        provider="cc-api-provider",
        props={
            "typeName": "AWS::IAM::InstanceProfile",
            "exactIdentifier": instance_profile_name,
            "propertiesToReturn": ["Roles", "Arn"],
        },
        # what the CLI's first pass works on, before it has asked
        dummy_value=[
            {
                "Roles": [f"DUMMY_{digest}"],  # one for each profile
                "Arn": "arn:aws:iam::123456789012:instance-profile/" + instance_profile_name,
            }
        ],
    )
    match answer.value:
        case [{"Arn": str(arn), "Roles": [*roles]}] if parse_arn(arn) and all(
            isinstance(role, str) and is_role_name(role) for role in roles
        ):
            pass
        case value:
            raise ValueError(
                f"instance_profile_name {instance_profile_name!r} has {value!r} for an answer in "
                "cdk.context.json, which is not one profile: drop it by `cdk context --reset "
                "NUMBER`, and the CLI asks again"
            )
    if not roles:
        raise ValueError(
            f"instance_profile_name {instance_profile_name!r} is a profile without a role, and the "
            "role alone has policies: add a role to the profile"
        )
    with taking_id(scope, construct_id):
        return iam.InstanceProfile.from_instance_profile_attributes(
            scope,
            construct_id,
            instance_profile_arn=arn,
            role=iam.Role.from_role_name(scope, construct_id + "Role", roles[0]),
        )
