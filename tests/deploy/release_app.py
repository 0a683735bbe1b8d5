"""An app with a stack for each feature of version 0.3.0, made by the version on the path."""

import functools
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from session_manager_permissions import (
    SessionManagerEndpoints,
    SessionManagerFleet,
    SessionManagerPermissions,
    SessionManagerReadiness,
    SessionPreferences,
    lookup_instance_profile,
    session_manager_statements,
)
from tests import builders, scenarios
from tests.builders import instance, l1_profile
from tests.keys import existing_key, l1_bucket
from tests.places import ACCOUNT, HERE, OTHER_ACCOUNT, OTHER_REGION, REGION, role_arn
from tests.preference_options import BUCKETS, GROUPS, KEYS
from tests.roles import EXISTING_ROLES, OWNED_ROLES, existing_role, l1_role, owned_role, role_by_arn
from tests.templates import names_of_a_parameter, parameter

Make = Callable[[cdk.Stack], Any]
Build = Callable[[cdk.Stack], object]

ENVIRONMENTS = {"Here": HERE, "Anywhere": None}


def permit(stack: cdk.Stack, make: Make, **options: Any) -> SessionManagerPermissions:  # noqa: ANN401
    return builders.permit(stack, make(stack), **options)


def permit_with(stack: cdk.Stack, option: str, make: Make) -> None:
    permit(stack, owned_role, **{option: make(stack)})


def permit_scenario(stack: cdk.Stack, name: str) -> None:
    permit(stack, owned_role, **scenarios.SCENARIOS[name](stack))


def several(stack: cdk.Stack) -> None:
    permissions = permit(stack, owned_role, encryption_key=existing_key(stack))
    permissions.attach_to_role(existing_role(stack))
    permissions.attach_to_role(existing_role(stack, "ExistingAgain"))
    permissions.attach_to_instance_profile(l1_profile(stack, l1_role(stack).ref))
    permissions.attach_to_instance_profile(iam.InstanceProfile(stack, "ItsOwn"))
    for number, (region, resource) in enumerate(
        [
            *((OTHER_REGION, "key/1234"), (REGION, "alias/sessions"), (REGION, "alias/other")),
            (OTHER_REGION, "alias/sessions"),
        ]
    ):
        key = existing_key(stack, f"Key{number}", region=region, resource=resource)
        permissions.add_encryption_key(key)
    cdk.CfnOutput(stack, "Policy", value=permissions.policy.policy_name)
    cdk.CfnOutput(stack, "Roles", value=",".join(role.role_name for role in permissions.roles))


def across(stack: cdk.Stack) -> None:
    other = cdk.Stack(stack, "Other", env=ENVIRONMENTS[stack.node.id.removeprefix("Across")])
    permit(stack, lambda _: owned_role(other), encryption_key=kms.Key(other, "Key"))


def reported(stack: cdk.Stack) -> None:
    iam.Role.customize_roles(stack)
    permissions = permit(stack, owned_role, encryption_key=existing_key(stack))
    permissions.add_encryption_key(existing_key(stack, "Later", region=OTHER_REGION))


OTHERS: dict[str, Build] = {
    "RoleByParameter": lambda s: permit(s, lambda s: existing_role(s, name=parameter(s))),
    "ProfileOfParameter": lambda s: permit(s, lambda s: l1_profile(s, *names_of_a_parameter(s))),
    "KeyByParameter": lambda s: permit_with(s, "encryption_key",
        lambda s: kms.Key.from_key_arn(s, "Key", parameter(s))),
    "AliasByParameter": lambda s: permit_with(s, "encryption_key",
        lambda s: kms.Alias.from_alias_name(s, "Alias", parameter(s))),
    "KeyElsewhere": lambda s: permit_with(
        s, "encryption_key", lambda s: existing_key(s, region=OTHER_REGION, account=OTHER_ACCOUNT)),
    "BucketOfParameter": lambda s: permit_with(
        s, "log_bucket", lambda s: l1_bucket(s, parameter(s))),
    "BucketWithItsKey": lambda s: permit_with(
        s, "log_bucket", lambda s: s3.Bucket(s, "Logs", encryption=s3.BucketEncryption.KMS)),
    "NamedPolicy": lambda s: permit(s, existing_role, policy_name="SessionManager"),
    "Several": several,
    "Statements": lambda s: iam.ManagedPolicy(s, "It", statements=session_manager_statements()),
    "Across": across,
    "Nested": lambda s: permit(cdk.NestedStack(s, "Nested"), existing_role),
    "Reported": reported,
    "AVeryLongName" + "x" * 100: lambda s: permit(s, existing_role),
}  # fmt: skip


def all_preferences(stack: cdk.Stack) -> SessionPreferences:
    key = kms.Key(stack, "Key")
    return SessionPreferences(
        stack,
        "Preferences",
        document_name="Sessions",
        encryption_key=key,
        log_bucket=s3.Bucket(stack, "Bucket", encryption_key=key),
        log_prefix="web",
        log_group=logs.LogGroup(stack, "LogGroup", encryption_key=key),
        stream_logs=False,
        enforce_s3_encryption=True,
        enforce_cloudwatch_encryption=True,
        idle_timeout=cdk.Duration.minutes(15),
        max_duration=cdk.Duration.hours(8),
        run_as_user="operator",
        linux_shell_profile="pwd",
        windows_shell_profile="date",
    )


PREFERENCES: dict[str, Callable[[cdk.Stack], SessionPreferences]] = {
    "Preferences": lambda s: SessionPreferences(s, "Preferences"),
    "PreferencesUnenforced": lambda s: SessionPreferences(s, "Preferences",
        log_bucket=scenarios.bucket(s), enforce_s3_encryption=False, run_as_enabled=True),
    "PreferencesWithAll": all_preferences,
    "PreferencesThatExist": lambda s: SessionPreferences.from_document_name(s, "Preferences"),
    "PreferencesToldOfAll": lambda s: SessionPreferences.from_document_name(
        s, "Preferences", "Sessions", encryption_key=existing_key(s),
        log_bucket=scenarios.bucket(s), log_prefix="web", log_group=logs.LogGroup(s, "LogGroup")),
}  # fmt: skip


def prefer(stack: cdk.Stack, kind: str) -> None:
    preferences = PREFERENCES[kind](stack)
    permit(stack, owned_role, preferences=preferences)
    cdk.CfnOutput(stack, "DocumentName", value=preferences.document_name)
    cdk.CfnOutput(stack, "DocumentArn", value=preferences.document_arn)


def operate(stack: cdk.Stack, grantee: iam.IGrantable, **access: Any) -> None:  # noqa: ANN401
    preferences = SessionPreferences(stack, "Preferences", encryption_key=existing_key(stack))
    preferences.grant_start_session(grantee, **access)


def operate_user(stack: cdk.Stack, **access: bool) -> None:
    operate(stack, iam.User(stack, "User"), all_instances=True, **access)


def operators_of_two(stack: cdk.Stack) -> None:
    role = iam.Role(stack, "Operators", assumed_by=iam.AccountRootPrincipal())
    for name in ("One", "Two"):
        SessionPreferences(stack, name).grant_start_session(role, instance_tags={"team": name})


INSTANCE_ARN = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0123456789abcdef0"
OPERATORS: dict[str, Build] = {
    "Operators": operate_user,
    "OperatorsByTag": lambda s: operate(
        s, iam.Group(s, "Group"), instance_tags={"team": ["web", "shop"], "stage": "test"}
    ),
    "OperatorsByArn": lambda s: operate(s, existing_role(s), instance_arns=[INSTANCE_ARN]),
    "OperatorsBySsh": lambda s: operate_user(s, allow_ssh=True, allow_port_forwarding=True),
    "OperatorsByConsole": lambda s: operate_user(s, allow_console=True),
    "OperatorsByCommand": lambda s: operate_user(s, allow_interactive_commands=True),
    "OperatorsByDesktop": lambda s: operate_user(s, allow_remote_desktop=True),
    "OperatorsOfTwo": operators_of_two,
}


def fleet(stack: cdk.Stack) -> None:
    alone = Construct(stack, "Alone")
    iam.InstanceProfile(alone, "Profile")
    SessionManagerFleet(stack, "Fleet", exclude=[alone], strict=True, allow_registration=True)
    iam.InstanceProfile(stack, "Profile", role=owned_role(stack))
    l1_profile(cdk.NestedStack(stack, "Nested"), "Existing")
    group = Construct(stack, "Group")
    SessionManagerFleet(group, "Fleet")
    iam.InstanceProfile(group, "Profile")


def fleet_on_condition(stack: cdk.Stack) -> None:
    condition = cdk.CfnCondition(stack, "Condition", expression=cdk.Fn.condition_equals(1, 1))
    profile = l1_profile(stack, (role := l1_role(stack)).ref)
    role.cfn_options.condition = profile.cfn_options.condition = condition
    l1_profile(stack, "Existing", construct_id="Always")
    SessionManagerFleet(stack, "Fleet")


def fleet_of_instance(stack: cdk.Stack, make_role: Make = lambda _: None) -> None:
    instance(stack, role=make_role(stack))
    SessionManagerFleet(stack, "Fleet")


def fleet_of_two_stacks(stack: cdk.Stack) -> None:
    env = ENVIRONMENTS["Anywhere" if cdk.Token.is_unresolved(stack.account) else "Here"]
    role = owned_role(stack)
    for name in ("One", "Two"):
        iam.InstanceProfile(cdk.Stack(stack, name, env=env), "Profile", role=role)
    SessionManagerFleet(stack, "Fleet")


FLEETS: dict[str, Build] = {
    "Fleet": fleet,
    "FleetOnCondition": fleet_on_condition,
    "FleetOfInstances": fleet_of_instance,
    "FleetOfFixedRole": lambda s: fleet_of_instance(
        s, lambda s: role_by_arn(s, role_arn("Fixed"), mutable=False)
    ),
    "FleetOfTwoStacks": fleet_of_two_stacks,
}


def endpoints(stack: cdk.Stack) -> None:
    network = ec2.Vpc(stack, "Vpc", nat_gateways=0, max_azs=2)
    made = SessionManagerEndpoints(
        stack,
        "Endpoints",
        vpc=network,
        subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
        security_groups=[ec2.SecurityGroup(stack, "SecurityGroup", vpc=network)],
        endpoint_policy="account",
        encryption_key=existing_key(stack),
        log_bucket=scenarios.bucket(stack),
        log_group=logs.LogGroup(stack, "LogGroup"),
    )
    made.connections.allow_default_port_from(ec2.Peer.ipv4("192.0.2.0/24"))


def each(
    prefix: str, build: Callable[..., object], makers: Mapping[str, object]
) -> dict[str, Build]:
    """What `build` makes of each maker, by names that ids of stacks can have."""
    return {
        prefix + re.sub(r"\W", "", kind.title()): functools.partial(build, make=make)
        for kind, make in makers.items()
    }


BUILDS: dict[str, Build] = {
    **each("", permit, EXISTING_ROLES),
    **each("Owned", permit, OWNED_ROLES),
    **each("", functools.partial(permit_with, option="encryption_key"), KEYS),
    **each("", functools.partial(permit_with, option="log_bucket"), BUCKETS),
    **each("", functools.partial(permit_with, option="log_group"), GROUPS),
    **{f"Scenario{n}": functools.partial(permit_scenario, name=name)
       for n, name in enumerate(scenarios.SCENARIOS)},
    **{kind: functools.partial(prefer, kind=kind) for kind in PREFERENCES},
    **OTHERS,
    **OPERATORS,
    **FLEETS,
    "Endpoints": endpoints,
}  # fmt: skip


def main() -> None:
    app = cdk.App(outdir=sys.argv[1])
    for place, env in ENVIRONMENTS.items():
        for name, build in BUILDS.items():
            build(cdk.Stack(app, name + place, env=env))
    stack = cdk.Stack(cdk.Stage(app, "Stage", env=HERE), "Stack")
    profile = lookup_instance_profile(stack, "Profile", instance_profile_name="Existing")
    SessionManagerPermissions(stack, "Permissions", instance_profile=profile)
    cdk.Validations.of(app).add_plugins(SessionManagerReadiness(strict=False, network=True))
    app.synth()


if __name__ == "__main__":
    main()
