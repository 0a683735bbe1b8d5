"""An app that grants sessions to a group for each kind of access, all of which exist already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from session_manager_permissions import SessionPreferences

from .stacks import legacy_app

if TYPE_CHECKING:
    from pathlib import Path


def synthesize(
    folder: Path, *, account: str, region: str, instance: str, key: str, alias: str
) -> None:
    app = legacy_app(folder)
    stack = cdk.Stack(app, "Operators", env=cdk.Environment(account=account, region=region))

    preferences = SessionPreferences.from_document_name(stack, "Preferences")
    with_key = SessionPreferences.from_document_name(
        stack, "WithKey", encryption_key=kms.Key.from_key_arn(stack, "Key", key)
    )
    with_alias = SessionPreferences.from_document_name(
        stack, "WithAlias", encryption_key=kms.Alias.from_alias_name(stack, "Alias", alias)
    )
    others = SessionPreferences.from_document_name(stack, "Others", "Others-Sessions")
    web = {"team": "web"}

    def group(name: str) -> iam.IGroup:
        """The team of that name."""
        return iam.Group.from_group_name(stack, name, f"team-{name}")

    preferences.grant_start_session(group("tagged"), instance_tags=web)
    preferences.grant_start_session(
        group("two-tags"), instance_tags={"team": ["web", "shop"], "stage": "test"}
    )
    preferences.grant_start_session(group("arn"), instance_arns=[instance])
    preferences.grant_start_session(
        group("arn-and-tag"), instance_arns=[instance], instance_tags=web
    )
    preferences.grant_start_session(group("all"), all_instances=True)
    preferences.grant_start_session(group("ssh"), instance_tags=web, allow_ssh=True)
    preferences.grant_start_session(group("ports"), instance_tags=web, allow_port_forwarding=True)
    preferences.grant_start_session(
        group("remote-ports"), instance_tags=web, allow_remote_port_forwarding=True
    )
    preferences.grant_start_session(
        group("commands"), instance_tags=web, allow_interactive_commands=True
    )
    preferences.grant_start_session(group("desktop"), instance_tags=web, allow_remote_desktop=True)
    preferences.grant_start_session(group("console"), instance_tags=web, allow_console=True)
    with_key.grant_start_session(group("key"), instance_tags=web)
    with_alias.grant_start_session(group("alias"), instance_tags=web)
    with_key.grant_start_session(
        group("sessions-only"), instance_tags=web, decrypt_sessions_only=True
    )

    both = group("two-documents")
    preferences.grant_start_session(both, instance_tags=web)
    others.grant_start_session(both, instance_tags={"team": "shop"})

    preferences.grant_start_session(
        iam.User.from_user_name(stack, "user", "user-itself"), instance_tags=web
    )
    preferences.grant_start_session(
        iam.Role.from_role_name(stack, "role", "role-itself"), instance_tags=web
    )
    app.synth()
