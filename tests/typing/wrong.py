"""Each call that a type checker must reject, on the line that says so, and on no other."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs

from session_manager_permissions import (
    SessionManagerAccess,
    SessionManagerEndpoints,
    SessionManagerFleet,
    SessionManagerPermissions,
    SessionPreferences,
    lookup_instance_profile,
    session_manager_statements,
)


def roles(stack: cdk.Stack, role: iam.Role, profile: iam.InstanceProfile) -> None:
    SessionManagerPermissions(stack, "A", role="Existing")  # wrong
    SessionManagerPermissions(stack, "B", role=profile)  # wrong
    SessionManagerPermissions(stack, "D", role)  # wrong
    SessionManagerPermissions(stack, "E", instance_profile="Existing")  # wrong
    SessionManagerPermissions(stack, "F", instance_profile=role)  # wrong
    SessionManagerPermissions("Stack", "G", role=role)  # wrong


def options(stack: cdk.Stack, role: iam.IRole, group: logs.ILogGroup) -> None:
    SessionManagerPermissions(stack, "A", role=role, policy_name=7)  # wrong
    SessionManagerPermissions(stack, "B", role=role, encryption_key="alias/sessions")  # wrong
    SessionManagerPermissions(stack, "D", role=role, encryption_keys=None)  # wrong
    SessionManagerPermissions(stack, "E", role=role, log_bucket="session-logs")  # wrong
    SessionManagerPermissions(stack, "F", role=role, log_bucket=group)  # wrong
    SessionManagerPermissions(stack, "G", role=role, log_prefix=7)  # wrong
    SessionManagerPermissions(stack, "H", role=role, log_group="/session/logs")  # wrong
    SessionManagerPermissions(stack, "I", role=role, log_group=role)  # wrong
    SessionManagerPermissions(stack, "J", role=role, allow_registration="true")  # wrong
    SessionManagerPermissions(stack, "K", role=role, check_log_encryption="false")  # wrong
    SessionManagerPermissions(stack, "L", role=role, decrypt_sessions_only="true")  # wrong


def methods(
    permissions: SessionManagerPermissions, role: iam.IRole, profile: iam.IInstanceProfile
) -> None:
    permissions.attach_to_role("Existing")  # wrong
    permissions.attach_to_role(profile)  # wrong
    permissions.attach_to_instance_profile(role)  # wrong
    permissions.add_encryption_key(role)  # wrong
    permissions.roles = []  # wrong


def preferences(stack: cdk.Stack, role: iam.IRole) -> None:
    SessionPreferences(stack, "A", "Sessions")  # wrong
    SessionPreferences(stack, "B", document_name=7)  # wrong
    SessionPreferences(stack, "F", stream_logs="yes")  # wrong
    SessionPreferences(stack, "G", idle_timeout=15)  # wrong
    SessionPreferences(stack, "H", run_as_user=True)  # wrong
    SessionPreferences(stack, "N", run_as_enabled="true")  # wrong
    SessionPreferences(stack, "I", linux_shell_profile=["pwd"])  # wrong
    SessionPreferences(stack, "J", shell_profile="pwd")  # wrong
    SessionPreferences.from_document_name(stack, "K", idle_timeout=None)  # wrong
    SessionPreferences.from_document_name(stack, "L", 7)  # wrong
    SessionManagerPermissions(stack, "M", role=role, preferences="Sessions")  # wrong
    session_manager_statements(preferences=role)  # wrong


def operators(preferences: SessionPreferences, user: iam.IUser, l1: iam.CfnRole) -> None:
    preferences.grant_start_session("operator", all_instances=True)  # wrong
    preferences.grant_start_session(l1, all_instances=True)  # wrong
    preferences.grant_start_session(user, ["arn"])  # wrong
    preferences.grant_start_session(user, instance_tags=["team"])  # wrong
    preferences.grant_start_session(user, instance_tags={"team": 7})  # wrong
    preferences.grant_start_session(user, all_instances="yes")  # wrong
    preferences.grant_start_session(user, allow_scp=True)  # wrong
    preferences.grant_start_session(user, allow_remote_desktop="yes")  # wrong
    preferences.document_name = "Sessions"  # wrong


def fleet(stack: cdk.Stack) -> None:
    SessionManagerFleet(stack, "A", allow_registraton=True)  # wrong


def mixin(role: iam.Role) -> None:
    SessionManagerAccess(role)  # wrong
    SessionManagerAccess(allow_registraton=True)  # wrong
    SessionManagerAccess(policy_name="Sessions")  # wrong
    SessionManagerAccess().supports("Role")  # wrong


def endpoints(stack: cdk.Stack, vpc: ec2.IVpc) -> None:
    SessionManagerEndpoints(stack, "A")  # wrong
    SessionManagerEndpoints(stack, "B", vpc="vpc-1")  # wrong
    SessionManagerEndpoints(stack, "C", vpc=vpc, subnets=["subnet-1"])  # wrong
    SessionManagerEndpoints(stack, "D", vpc=vpc, security_groups=["sg-1"])  # wrong
    SessionManagerEndpoints(stack, "E", vpc=vpc, endpoint_policy="organization")  # wrong
    SessionManagerEndpoints(stack, "G", vpc=vpc, encryption_keys=None)  # wrong


def functions(stack: cdk.Stack, role: iam.IRole) -> None:
    session_manager_statements(role=role)  # wrong
    session_manager_statements(allow_registraton=True)  # wrong
    session_manager_statements("alias/sessions")  # wrong
    lookup_instance_profile(stack, "A")  # wrong
    lookup_instance_profile(stack, "B", "Existing")  # wrong
    lookup_instance_profile(stack, "C", instance_profile_name=7)  # wrong
