"""All that version 0.3.0 could do, with a stack for each: by the version that is on the path."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk.cloudformation_include import CfnInclude
from constructs import Construct

from session_manager_permissions import (
    SessionManagerEndpoints,
    SessionManagerFleet,
    SessionManagerOptions,
    SessionManagerPermissions,
    SessionManagerReadiness,
    SessionPreferences,
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


def bucket(stack: cdk.Stack, key: kms.IKey | None = None, account: str = ACCOUNT) -> s3.IBucket:
    return s3.Bucket.from_bucket_attributes(
        stack, "Bucket", bucket_name="session-logs", encryption_key=key, account=account
    )


def l1_bucket(stack: cdk.Stack) -> s3.CfnBucket:
    of = s3.CfnBucket
    default = of.ServerSideEncryptionByDefaultProperty(
        sse_algorithm="aws:kms", kms_master_key_id=parameter(stack).value_as_string
    )
    rule = of.ServerSideEncryptionRuleProperty(server_side_encryption_by_default=default)
    encryption = of.BucketEncryptionProperty(server_side_encryption_configuration=[rule])
    return of(stack, "Bucket", bucket_encryption=encryption)


OPTIONS: dict[str, Callable[[cdk.Stack], SessionManagerOptions]] = {
    "Registration": lambda _: {"allow_registration": True},
    "Bucket": lambda s: {"log_bucket": s3.Bucket(s, "Bucket"), "log_prefix": "web"},
    "BucketWithItsKey": lambda s: {
        "log_bucket": s3.Bucket(s, "Bucket", encryption=s3.BucketEncryption.KMS)
    },
    "BucketByName": lambda s: {"log_bucket": bucket(s)},
    "BucketByNameWithKey": lambda s: {"log_bucket": bucket(s, key_by_arn(s))},
    "BucketElsewhere": lambda s: {"log_bucket": bucket(s, account=OTHER_ACCOUNT)},
    "L1Bucket": lambda s: {"log_bucket": l1_bucket(s)},
    "LogGroup": lambda s: {"log_group": logs.LogGroup(s, "LogGroup")},
    "L1LogGroup": lambda s: {"log_group": logs.CfnLogGroup(s, "LogGroup")},
    "LogGroupByName": lambda s: {
        "log_group": logs.LogGroup.from_log_group_name(s, "LogGroup", "/session/logs")
    },
    "NoLogEncryptionCheck": lambda _: {"check_log_encryption": False},
    "SessionsOnly": lambda s: {"encryption_key": key_by_arn(s), "decrypt_sessions_only": True},
    "AllOptions": lambda s: {
        "encryption_key": key_by_arn(s, resource="alias/sessions"),
        "allow_registration": True,
        "log_bucket": bucket(s, key_by_arn(s)),
        "log_prefix": "/web/",
        "log_group": logs.LogGroup(s, "LogGroup"),
        "check_log_encryption": True,
        "decrypt_sessions_only": True,
    },
}


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
    "PreferencesWithBucket": lambda s: SessionPreferences(s, "Preferences", log_bucket=bucket(s)),
    "PreferencesUnenforced": lambda s: SessionPreferences(
        s, "Preferences", log_bucket=bucket(s), enforce_s3_encryption=False
    ),
    "PreferencesWithAll": all_preferences,
    "PreferencesByTag": lambda s: SessionPreferences(s, "Preferences", run_as_enabled=True),
    "PreferencesThatExist": lambda s: SessionPreferences.from_document_name(s, "Preferences"),
    "PreferencesToldOfAll": lambda s: SessionPreferences.from_document_name(
        s,
        "Preferences",
        "Sessions",
        encryption_key=key_by_arn(s),
        log_bucket=bucket(s),
        log_prefix="web",
        log_group=logs.LogGroup(s, "LogGroup"),
    ),
}


def prefer(stack: cdk.Stack, kind: str) -> None:
    preferences = PREFERENCES[kind](stack)
    SessionManagerPermissions(stack, "Permissions", role=owned(stack), preferences=preferences)
    statements = session_manager_statements(preferences=preferences)
    iam.ManagedPolicy(stack, "Managed", statements=statements)
    cdk.CfnOutput(stack, "DocumentName", value=preferences.document_name)
    cdk.CfnOutput(stack, "DocumentArn", value=preferences.document_arn)
    says = {
        "encryption_key": preferences.encryption_key is not None,
        "log_bucket": preferences.log_bucket is not None,
        "log_prefix": preferences.log_prefix,
        "log_group": preferences.log_group is not None,
    }
    cdk.CfnOutput(stack, "Says", value=json.dumps(says))


def operate(stack: cdk.Stack, grantee: iam.IGrantable, **access: Any) -> None:  # noqa: ANN401
    preferences = SessionPreferences(stack, "Preferences", encryption_key=key_by_arn(stack))
    preferences.grant_start_session(grantee, **access)


def operate_user(stack: cdk.Stack, **access: Any) -> None:  # noqa: ANN401
    operate(stack, iam.User(stack, "User"), all_instances=True, **access)


def operators_of_two(stack: cdk.Stack) -> None:
    role = iam.Role(stack, "Operators", assumed_by=iam.AccountRootPrincipal())
    for name in ("One", "Two"):
        preferences = SessionPreferences(stack, name)
        preferences.grant_start_session(role, instance_tags={"team": name})


INSTANCE_ARN = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0123456789abcdef0"
OPERATORS: dict[str, Callable[[cdk.Stack], None]] = {
    "Operators": operate_user,
    "OperatorsByTag": lambda s: operate(
        s, iam.Group(s, "Group"), instance_tags={"team": ["web", "shop"], "stage": "test"}
    ),
    "OperatorsByArn": lambda s: operate(s, existing(s), instance_arns=[INSTANCE_ARN]),
    "OperatorsBySsh": lambda s: operate_user(s, allow_ssh=True, allow_port_forwarding=True),
    "OperatorsByConsole": lambda s: operate_user(s, allow_console=True),
    "OperatorsByCommand": lambda s: operate_user(s, allow_interactive_commands=True),
    "OperatorsByDesktop": lambda s: operate_user(s, allow_remote_desktop=True),
    "OperatorsOfTwo": operators_of_two,
}


def fleet(stack: cdk.Stack) -> None:
    alone = Construct(stack, "Alone")
    iam.InstanceProfile(alone, "Profile")
    SessionManagerFleet(
        stack,
        "Fleet",
        exclude=[alone],
        strict=True,
        encryption_key=key_by_arn(stack),
        allow_registration=True,
    )
    iam.InstanceProfile(stack, "Profile", role=owned(stack))
    l1_profile(cdk.NestedStack(stack, "Nested"), ["Existing"])
    group = Construct(stack, "Group")
    SessionManagerFleet(group, "Fleet")
    iam.InstanceProfile(group, "Profile")


def fleet_on_condition(stack: cdk.Stack) -> None:
    condition = cdk.CfnCondition(stack, "Condition", expression=cdk.Fn.condition_equals(1, 1))
    profile = l1_profile(stack, [(role := l1(stack)).ref])
    role.cfn_options.condition = profile.cfn_options.condition = condition
    iam.CfnInstanceProfile(stack, "Always", roles=["Existing"])
    SessionManagerFleet(stack, "Fleet")


def vpc(stack: cdk.Stack) -> ec2.IVpc:
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-12345678",
        availability_zones=[REGION + "a"],
        public_subnet_ids=["subnet-12345678"],
    )


def instance(stack: cdk.Stack, role: iam.IRole | None = None) -> ec2.Instance:
    image = ec2.MachineImage.generic_linux({REGION: "ami-12345678"})
    size = ec2.InstanceType("t3.micro")
    return ec2.Instance(
        stack, "Instance", vpc=vpc(stack), role=role, instance_type=size, machine_image=image
    )


def fleet_of_instances(stack: cdk.Stack) -> None:
    instance(stack)
    SessionManagerFleet(stack, "Fleet")


def fixed(stack: cdk.Stack) -> iam.IRole:
    arn = f"arn:aws:iam::{ACCOUNT}:role/Fixed"
    return iam.Role.from_role_arn(stack, "Fixed", arn, mutable=False)


def fleet_not_attached(stack: cdk.Stack) -> None:
    iam.InstanceProfile(stack, "Profile", role=fixed(stack))
    SessionManagerFleet(stack, "Fleet")


def fleet_of_fixed_role(stack: cdk.Stack) -> None:
    instance(stack, fixed(stack))
    SessionManagerFleet(stack, "Fleet")


def fleet_of_two_stacks(stack: cdk.Stack) -> None:
    env = ENVIRONMENTS["Anywhere" if cdk.Token.is_unresolved(stack.account) else "Here"]
    role = owned(stack)
    for name in ("One", "Two"):
        iam.InstanceProfile(cdk.Stack(stack, name, env=env), "Profile", role=role)
    SessionManagerFleet(stack, "Fleet")


FLEETS: dict[str, Callable[[cdk.Stack], None]] = {
    "Fleet": fleet,
    "FleetOnCondition": fleet_on_condition,
    "FleetOfInstances": fleet_of_instances,
    "FleetNotAttached": fleet_not_attached,
    "FleetOfFixedRole": fleet_of_fixed_role,
    "FleetOfTwoStacks": fleet_of_two_stacks,
}


def endpoints(stack: cdk.Stack) -> None:
    network = ec2.Vpc(stack, "Vpc", nat_gateways=0, max_azs=2)
    made = SessionManagerEndpoints(
        stack,
        "Endpoints",
        vpc=network,
        subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
        security_groups=[ec2.SecurityGroup(stack, "Group", vpc=network)],
        endpoint_policy="account",
        encryption_key=key_by_arn(stack),
        log_bucket=bucket(stack),
        log_group=logs.LogGroup(stack, "LogGroup"),
    )
    made.connections.allow_default_port_from(ec2.Peer.ipv4("192.0.2.0/24"))


OTHERS: dict[str, Callable[[cdk.Stack], object]] = {
    "Endpoints": endpoints,
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
        for name, options in OPTIONS.items():
            stack = cdk.Stack(app, name + place, env=env)
            SessionManagerPermissions(stack, "Permissions", role=owned(stack), **options(stack))
        for kind in PREFERENCES:
            prefer(cdk.Stack(app, kind + place, env=env), kind)
        for name, build in {**OPERATORS, **FLEETS, **OTHERS}.items():
            build(cdk.Stack(app, name + place, env=env))
    stage = cdk.Stage(app, "Stage", env=ENVIRONMENTS["Here"])
    stack = cdk.Stack(stage, "Stack")
    profile = lookup_instance_profile(stack, "Profile", instance_profile_name="Existing")
    SessionManagerPermissions(stack, "Permissions", instance_profile=profile)
    cdk.Validations.of(app).add_plugins(SessionManagerReadiness(strict=False, network=True))
    app.synth()


if __name__ == "__main__":
    main()
