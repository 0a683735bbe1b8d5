#!/usr/bin/env python3
"""Session Manager on a profile or a role that exists: `cdk deploy -c instance-profile=NAME`."""

from __future__ import annotations

import hashlib
import os
import re

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from session_manager_permissions import SessionManagerPermissions, lookup_instance_profile

CONTEXT = ("instance-profile", "role", "key", "policy-name")


def context(app: cdk.App) -> dict[str, str]:
    """The values given by `-c`; CDK's own keys, and those of its look-ups, have a `:` or a `/`."""
    given = app.node.get_all_context()
    for name, value in given.items():
        if name not in CONTEXT and not re.search("[:/]", name):
            raise ValueError(f"-c {name}={value}: there is no {name}, but {', '.join(CONTEXT)}")
        if name in CONTEXT and not (isinstance(value, str) and value):
            raise ValueError(f"-c {name}={value}: give a value")
    return {name: given[name] for name in CONTEXT if name in given}


def stack_name(kind: str, name: str) -> str:
    """One stack for each role or profile: deploying the next must not take the last its policy."""
    readable = re.sub(r"[^A-Za-z0-9-]", "-", name)[:64]
    if readable != name:
        readable = f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"SessionManager-{kind}-{readable}"


def deploy_to_existing(app: cdk.App, options: dict[str, str]) -> None:
    """The policy on the role, or the instance profile, that the account has already."""
    profile, role = options.get("instance-profile"), options.get("role")
    if (profile is None) == (role is None):
        raise ValueError("give one of -c instance-profile=NAME and -c role=NAME_OR_ARN")
    account, region = (os.environ.get(f"CDK_DEFAULT_{name}") for name in ("ACCOUNT", "REGION"))
    if not account or not region:
        raise ValueError("the CLI found no account and region: give it credentials and a region")
    stack = cdk.Stack(
        app,
        # a role's stack is the same by its name and by its ARN
        stack_name("Role", role.rpartition("/")[2])
        if role
        else stack_name("InstanceProfile", profile or ""),
        env=cdk.Environment(account=account, region=region),
        description="Session Manager permissions for a role that is managed elsewhere",
    )
    key = options.get("key")
    if key and not key.startswith("arn:"):
        raise ValueError(f"-c key={key}: give the key's ARN")
    SessionManagerPermissions(
        stack,
        "SessionManagerPermissions",
        role=import_role(stack, role) if role else None,
        instance_profile=(
            lookup_instance_profile(stack, "InstanceProfile", instance_profile_name=profile)
            if profile
            else None
        ),
        encryption_key=kms.Key.from_key_arn(stack, "Key", key) if key else None,
        policy_name=options.get("policy-name"),
    )


def import_role(stack: cdk.Stack, role: str) -> iam.IRole:
    """The role by its name or its ARN."""
    if role.startswith("arn:"):
        return iam.Role.from_role_arn(stack, "Role", role)
    return iam.Role.from_role_name(stack, "Role", role)


def show_example(app: cdk.App) -> None:
    """What `cdk synth` shows with no context: a profile, its role, a key and the policy."""
    stack = cdk.Stack(app, "SessionManager-Example", description="Session Manager permissions")
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    SessionManagerPermissions(
        stack,
        "SessionManagerPermissions",
        instance_profile=iam.InstanceProfile(stack, "InstanceProfile", role=role),
        encryption_key=kms.Key(stack, "Key", enable_key_rotation=True),
    )


def main() -> None:
    """Build the app; what is wrong with the context is said in a line."""
    # There are no assets, so an account needs no bootstrap for this.
    app = cdk.App(default_stack_synthesizer=cdk.LegacyStackSynthesizer())
    try:
        options = context(app)
        if options:
            deploy_to_existing(app, options)
        else:
            show_example(app)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: CDK's own checks
        raise SystemExit(f"app.py: {str(error).splitlines()[0]}") from None
    app.synth()


if __name__ == "__main__":
    main()
