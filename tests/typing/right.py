"""Each way to call the API that must type-check; `test_options.py` has options be alike."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct
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


def roles(
    stack: cdk.Stack, owned: iam.Role, imported: iam.IRole, lazy: iam.LazyRole, l1: iam.CfnRole
) -> None:
    SessionManagerPermissions(stack, "A", role=imported, policy_name="Sessions")
    SessionManagerPermissions(stack, "B", role=lazy, instance_profile=None, policy_name=None)
    SessionManagerPermissions(stack, "C", role=l1, encryption_key=None)
    permissions = SessionManagerPermissions(scope=stack, construct_id="D", role=owned)
    permissions.attach_to_role(l1)
    assert_type(permissions.policy, iam.Policy)
    assert_type(permissions.roles, list[iam.IRole])
    stack.node.add_dependency(permissions)


def profiles(
    app: cdk.App, owned: iam.InstanceProfile, l1: iam.CfnInstanceProfile, nodes: eks.Nodegroup
) -> None:
    looked_up = lookup_instance_profile(app, "LookedUp", instance_profile_name="Existing")
    assert_type(looked_up, iam.IInstanceProfile)
    SessionManagerPermissions(app, "A", instance_profile=looked_up, role=None)
    SessionManagerPermissions(app, "B", instance_profile=l1)
    permissions = SessionManagerPermissions(app, "C", instance_profile=owned)
    permissions.attach_to_instance_profile(looked_up)
    access = SessionManagerAccess(allow_registration=True)
    owned.with_(access)
    l1.with_(access, SessionManagerAccess())
    looked_up.with_(access)
    nodes.with_(access)
    eks.CfnNodegroup(app, "L1", cluster_name="c", node_role="arn", subnets=["a"]).with_(access)
    cdk.Mixins.of(app).apply(access)
    assert_type(access.supports(owned), bool)


def keys(permissions: SessionManagerPermissions, owned: kms.Key, imported: kms.IKey) -> None:
    l1 = kms.CfnKey(permissions, "L1")
    session_manager_statements(encryption_key=owned)
    session_manager_statements(encryption_key=imported)
    session_manager_statements(encryption_key=l1)
    alias = kms.Alias(permissions, "Alias", alias_name="sessions", target_key=imported)
    permissions.add_encryption_key(alias)
    permissions.add_encryption_key(kms.Alias.from_alias_name(alias, "Imported", "alias/sessions"))
    l1_alias = kms.CfnAlias(permissions, "L1Alias", alias_name="alias/a", target_key_id=l1.ref)
    permissions.add_encryption_key(l1_alias)


def session_logs(
    stack: cdk.Stack, owned: s3.Bucket, imported: s3.IBucket, l1: s3.CfnBucket
) -> list[iam.PolicyStatement]:
    l1_by_name = s3.CfnBucket.from_bucket_name(stack, "L1ByName", "session-logs")
    session_manager_statements(log_bucket=owned, log_group=logs.LogGroup(stack, "Group"))
    session_manager_statements(log_bucket=imported, log_prefix="web", check_log_encryption=None)
    session_manager_statements(log_bucket=l1, log_prefix=None)
    session_manager_statements(log_bucket=l1_by_name, log_group=logs.CfnLogGroup(stack, "L1Group"))
    by_name = logs.LogGroup.from_log_group_name(stack, "GroupByName", "/session/logs")
    session_manager_statements(log_bucket=None, log_group=by_name)
    options: SessionManagerOptions = {"allow_registration": True, "check_log_encryption": False}
    return session_manager_statements(**options)


def preferences(stack: cdk.Stack, key: kms.Key) -> None:
    bucket, group = s3.Bucket(stack, "Bucket"), logs.CfnLogGroup(stack, "Group")
    SessionPreferences(stack, "A", encryption_key=key, log_bucket=bucket, log_prefix="web")
    SessionPreferences(stack, "B", log_group=group, stream_logs=False, enforce_s3_encryption=True)
    SessionPreferences(stack, "C", enforce_cloudwatch_encryption=False, run_as_enabled=True)
    SessionPreferences(stack, "D", idle_timeout=cdk.Duration.minutes(15), run_as_user="operator")
    SessionPreferences(stack, "E", max_duration=cdk.Duration.hours(8), linux_shell_profile="pwd")
    made = SessionPreferences(stack, "F", document_name="Sessions", windows_shell_profile=None)
    existing = SessionPreferences.from_document_name(stack, "Existing", encryption_key=key)
    assert_type(existing, SessionPreferences)
    SessionPreferences.from_document_name(stack, "Named", "Sessions", log_bucket=None)
    assert_type(made.document_name, str)
    assert_type(made.log_prefix, str | None)
    session_manager_statements(preferences=existing, check_log_encryption=False)


def operators(
    stack: cdk.Stack, preferences: SessionPreferences, role: iam.Role, lazy: iam.LazyRole
) -> iam.Grant:
    user, group = iam.User(stack, "User"), iam.Group(stack, "Group")
    preferences.grant_start_session(user, all_instances=True, allow_console=True)
    preferences.grant_start_session(group, instance_tags={"team": "web"})
    preferences.grant_start_session(role, instance_tags={"team": ["web", "shop"], "stage": "test"})
    preferences.grant_start_session(lazy, instance_arns=["arn"], allow_ssh=True)
    preferences.grant_start_session(iam.ManagedPolicy(stack, "Managed"), instance_arns=("arn",))
    existing_user = iam.User.from_user_name(stack, "ExistingUser", "operator")
    existing_group = iam.Group.from_group_name(stack, "ExistingGroup", "operators")
    existing_role = iam.Role.from_role_name(stack, "ExistingRole", "operator")
    preferences.grant_start_session(existing_user, all_instances=True)
    preferences.grant_start_session(existing_group, all_instances=True, decrypt_sessions_only=True)
    granted = preferences.grant_start_session(existing_role, all_instances=True)
    assert_type(granted, iam.Grant)
    return granted


def endpoints(
    stack: Construct,
    owned: ec2.Vpc,
    group: ec2.SecurityGroup,
    instance: ec2.Instance,
    options: SessionManagerOptions,
) -> None:
    looked_up = ec2.Vpc.from_lookup(stack, "LookedUp", vpc_id="vpc-1")
    by_id = ec2.SecurityGroup.from_security_group_id(stack, "ById", "sg-1")
    isolated = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
    SessionManagerEndpoints(stack, "A", vpc=looked_up, subnets=isolated, security_groups=[by_id])
    SessionManagerEndpoints(stack, "B", vpc=owned, endpoint_policy="account", **options)
    made = SessionManagerEndpoints(stack, "C", vpc=owned, security_groups=[group, by_id])
    assert_type(made.connections, ec2.Connections)
    made.connections.allow_default_port_from(group)
    instance.connections.allow_to_default_port(made)
    instance.instance.node.add_dependency(made)
