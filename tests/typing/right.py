"""Each way to call the API that must type-check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from typing_extensions import assert_type

from session_manager_permissions import (
    SessionManagerAccess,
    SessionManagerEndpoints,
    SessionManagerOptions,
    SessionManagerPermissions,
    SessionPreferences,
    lookup_instance_profile,
    session_manager_statements,
)

if TYPE_CHECKING:
    from constructs import Construct


def roles(stack: cdk.Stack, owned: iam.Role, lazy: iam.LazyRole) -> SessionManagerPermissions:
    by_name = iam.Role.from_role_name(stack, "ByName", "Existing")
    by_arn = iam.Role.from_role_arn(stack, "ByArn", "arn:aws:iam::111122223333:role/Existing")
    looked_up = iam.Role.from_lookup(stack, "LookedUp", role_name="Existing")
    l1 = iam.CfnRole(stack, "L1", assume_role_policy_document={})

    SessionManagerPermissions(stack, "A", role=by_name)
    SessionManagerPermissions(stack, "B", role=by_arn, policy_name="Sessions")
    SessionManagerPermissions(stack, "C", role=looked_up, policy_name=None)
    SessionManagerPermissions(stack, "D", role=lazy, instance_profile=None)
    SessionManagerPermissions(stack, "E", role=l1, encryption_key=None)
    permissions = SessionManagerPermissions(scope=stack, construct_id="F", role=owned)
    permissions.attach_to_role(l1)
    return permissions


def profiles(stack: cdk.Stack, role: iam.IRole) -> SessionManagerPermissions:
    owned = iam.InstanceProfile(stack, "Owned")
    imported = iam.InstanceProfile.from_instance_profile_attributes(
        stack,
        "Imported",
        instance_profile_arn="arn:aws:iam::111122223333:instance-profile/Existing",
        role=role,
    )
    looked_up = lookup_instance_profile(stack, "LookedUp", instance_profile_name="Existing")
    assert_type(looked_up, iam.IInstanceProfile)
    l1 = iam.CfnInstanceProfile(stack, "L1", roles=["Existing"])

    SessionManagerPermissions(stack, "A", instance_profile=imported)
    SessionManagerPermissions(stack, "B", instance_profile=looked_up, policy_name="Sessions")
    SessionManagerPermissions(stack, "C", instance_profile=l1, role=None)
    permissions = SessionManagerPermissions(stack, "D", instance_profile=owned)
    permissions.attach_to_instance_profile(looked_up)
    permissions.attach_to_instance_profile(l1)
    return permissions


def mixin(
    app: cdk.App, looked_up: iam.IInstanceProfile, nodes: eks.Nodegroup, key: kms.Key
) -> SessionManagerAccess:
    access = SessionManagerAccess(encryption_key=key, allow_registration=True)
    profile = iam.InstanceProfile(app, "Profile")
    profile.with_(access)
    iam.CfnInstanceProfile(app, "L1", roles=["Existing"]).with_(access, SessionManagerAccess())
    looked_up.with_(access)
    nodes.with_(access)
    l1_nodes = eks.CfnNodegroup(app, "Nodes", cluster_name="c", node_role="arn", subnets=["a"])
    l1_nodes.with_(access)
    cdk.Mixins.of(app).apply(access)
    profiles = cdk.ConstructSelector.resources_of_type("AWS::IAM::InstanceProfile")
    cdk.Mixins.of(app, profiles).require_any().apply(access)
    assert_type(access.supports(profile), bool)
    return access


def keys(stack: cdk.Stack, role: iam.Role) -> list[iam.PolicyStatement]:
    owned = kms.Key(stack, "Owned")
    imported = kms.Key.from_key_arn(stack, "Imported", "arn:aws:kms:eu-west-1:111122223333:key/1")
    looked_up = kms.Key.from_lookup(stack, "LookedUp", alias_name="alias/sessions")
    l1 = kms.CfnKey(stack, "L1")
    owned_alias = kms.Alias(stack, "OwnedAlias", alias_name="sessions", target_key=imported)
    imported_alias = kms.Alias.from_alias_name(stack, "ImportedAlias", "alias/sessions")
    l1_alias = kms.CfnAlias(stack, "L1Alias", alias_name="alias/a", target_key_id=l1.ref)

    SessionManagerPermissions(stack, "A", role=role, encryption_key=imported)
    SessionManagerPermissions(stack, "B", role=role, encryption_key=looked_up)
    SessionManagerPermissions(stack, "C", role=role, encryption_key=l1)
    SessionManagerPermissions(stack, "D", role=role, encryption_key=owned_alias)
    SessionManagerPermissions(stack, "E", role=role, encryption_key=imported_alias)
    SessionManagerPermissions(stack, "F", role=role, encryption_key=l1_alias)
    permissions = SessionManagerPermissions(stack, "G", role=role, encryption_key=owned)
    permissions.add_encryption_key(looked_up)
    permissions.add_encryption_key(l1_alias)
    session_manager_statements(encryption_key=owned)
    session_manager_statements(encryption_key=imported_alias)
    return session_manager_statements()


def session_logs(stack: cdk.Stack, role: iam.Role, imported_key: kms.IKey) -> None:
    owned = s3.Bucket(stack, "Owned")
    by_name = s3.Bucket.from_bucket_name(stack, "ByName", "session-logs")
    by_attributes = s3.Bucket.from_bucket_attributes(
        stack, "ByAttributes", bucket_name="session-logs", encryption_key=imported_key
    )
    l1 = s3.CfnBucket(stack, "L1")
    l1_by_name = s3.CfnBucket.from_bucket_name(stack, "L1ByName", "session-logs")
    SessionManagerPermissions(stack, "A", role=role, log_bucket=owned)
    SessionManagerPermissions(stack, "B", role=role, log_bucket=by_name, log_prefix="web")
    SessionManagerPermissions(stack, "C", role=role, log_bucket=by_attributes, log_prefix=None)
    SessionManagerPermissions(stack, "D", role=role, log_bucket=l1)
    SessionManagerPermissions(stack, "E", role=role, log_bucket=l1_by_name)
    session_manager_statements(log_bucket=None, log_group=None, check_log_encryption=None)

    group = logs.LogGroup(stack, "Group")
    group_by_name = logs.LogGroup.from_log_group_name(stack, "GroupByName", "/session/logs")
    l1_group = logs.CfnLogGroup(stack, "L1Group")
    SessionManagerPermissions(stack, "F", role=role, log_group=group)
    SessionManagerPermissions(stack, "G", role=role, log_group=group_by_name)
    SessionManagerPermissions(stack, "H", role=role, log_group=l1_group)


def flags(stack: cdk.Stack, role: iam.Role) -> list[iam.PolicyStatement]:
    options: SessionManagerOptions = {
        "allow_registration": True,
        "check_log_encryption": False,
        "decrypt_sessions_only": True,
    }
    SessionManagerPermissions(stack, "A", role=role, **options)
    return session_manager_statements(**options)


def preferences(stack: cdk.Stack, role: iam.Role, key: kms.Key) -> None:
    made = SessionPreferences(
        stack,
        "Made",
        document_name="Sessions",
        encryption_key=key,
        log_bucket=s3.Bucket(stack, "Bucket"),
        log_prefix="web",
        log_group=logs.CfnLogGroup(stack, "Group"),
        stream_logs=False,
        enforce_s3_encryption=True,
        enforce_cloudwatch_encryption=False,
        idle_timeout=cdk.Duration.minutes(15),
        max_duration=cdk.Duration.hours(8),
        run_as_enabled=True,
        run_as_user="operator",
        linux_shell_profile="pwd",
        windows_shell_profile=None,
    )
    existing = SessionPreferences.from_document_name(stack, "Existing", encryption_key=key)
    named = SessionPreferences.from_document_name(stack, "Named", "Sessions", log_bucket=None)
    for found in (made, existing, named):
        assert_type(found, SessionPreferences)
    assert_type(made.document_name, str)
    assert_type(made.log_prefix, str | None)
    SessionManagerPermissions(stack, "A", role=role, preferences=made)
    SessionManagerPermissions(stack, "B", role=role, preferences=None)
    session_manager_statements(preferences=existing, check_log_encryption=False)


def operators(
    stack: cdk.Stack, preferences: SessionPreferences, role: iam.Role, lazy: iam.LazyRole
) -> iam.Grant:
    user, group = iam.User(stack, "User"), iam.Group(stack, "Group")
    preferences.grant_start_session(user, all_instances=True)
    preferences.grant_start_session(group, instance_tags={"team": "web"})
    preferences.grant_start_session(role, instance_tags={"team": ["web", "shop"], "stage": "test"})
    preferences.grant_start_session(lazy, instance_arns=["arn"], allow_ssh=True)
    preferences.grant_start_session(iam.ManagedPolicy(stack, "Managed"), instance_arns=("arn",))
    existing_user = iam.User.from_user_name(stack, "ExistingUser", "operator")
    existing_group = iam.Group.from_group_name(stack, "ExistingGroup", "operators")
    existing_role = iam.Role.from_role_name(stack, "ExistingRole", "operator")
    preferences.grant_start_session(existing_user, all_instances=True, allow_console=True)
    preferences.grant_start_session(existing_group, all_instances=True, allow_port_forwarding=True)
    preferences.grant_start_session(
        existing_group,
        all_instances=True,
        allow_remote_port_forwarding=True,
        decrypt_sessions_only=True,
    )
    preferences.grant_start_session(
        user, all_instances=True, allow_interactive_commands=True, allow_remote_desktop=True
    )
    granted = preferences.grant_start_session(existing_role, all_instances=True)
    assert_type(granted, iam.Grant)
    return granted


def endpoints(
    stack: cdk.Stack,
    *,
    owned: ec2.Vpc,
    group: ec2.SecurityGroup,
    key: kms.Key,
    instance: ec2.Instance,
    options: SessionManagerOptions,
) -> None:
    looked_up = ec2.Vpc.from_lookup(stack, "LookedUp", vpc_id="vpc-1")
    by_attributes = ec2.Vpc.from_vpc_attributes(
        stack, "ByAttributes", vpc_id="vpc-1", availability_zones=["eu-west-1a"]
    )
    by_id = ec2.SecurityGroup.from_security_group_id(stack, "ById", "sg-1")
    isolated = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)

    SessionManagerEndpoints(stack, "A", vpc=looked_up, subnets=isolated)
    SessionManagerEndpoints(stack, "B", vpc=by_attributes, security_groups=[by_id])
    SessionManagerEndpoints(stack, "C", vpc=owned, endpoint_policy="account", encryption_key=key)
    SessionManagerEndpoints(stack, "D", vpc=owned, **options)
    made = SessionManagerEndpoints(stack, "E", vpc=owned, security_groups=[group, by_id])
    assert_type(made.connections, ec2.Connections)
    made.connections.allow_default_port_from(group)
    instance.connections.allow_to_default_port(made)
    instance.instance.node.add_dependency(made)


def results(scope: Construct, permissions: SessionManagerPermissions) -> None:
    assert_type(permissions.policy, iam.Policy)
    assert_type(permissions.roles, list[iam.IRole])
    iam.ManagedPolicy(scope, "Managed", statements=session_manager_statements())
    scope.node.add_dependency(permissions)
