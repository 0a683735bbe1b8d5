#!/usr/bin/env python3
"""Session Manager on a profile or a role that exists: `cdk deploy -c instance-profile=NAME`."""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from session_manager_permissions import SessionManagerPermissions, lookup_instance_profile

if TYPE_CHECKING:
    from collections.abc import Generator

CONTEXT = (
    "instance-profile",
    "role",
    "key",
    "policy-name",
    "allow-registration",
    "log-bucket",
    "log-bucket-key",
    "log-prefix",
    "log-group",
    "check-log-encryption",
    "decrypt-sessions-only",
)
OF_THE_CLI = ("acknowledged-issue-numbers", "cli-telemetry")  # it keeps them in cdk.context.json
FLAGS = ("allow-registration", "check-log-encryption", "decrypt-sessions-only")


def context(app: cdk.App) -> dict[str, str]:
    """The values given by `-c`; CDK's own keys, and those of its look-ups, have a `:` or a `/`."""
    given = app.node.get_all_context()
    for name, value in given.items():
        if name not in (*CONTEXT, *OF_THE_CLI) and not re.search("[:/]", name):
            raise ValueError(f"-c {name}={value}: there is no {name}, but {', '.join(CONTEXT)}")
        if name in FLAGS:
            # cdk.json may have as a boolean what `-c` gives as a string.
            given[name] = json.dumps(value) if isinstance(value, bool) else value
            if given[name] not in ("true", "false"):
                raise ValueError(f"-c {name}={value}: give true or false")
        elif name in CONTEXT and not (isinstance(value, str) and value):
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
    log_group = options.get("log-group")
    SessionManagerPermissions(
        stack,
        "SessionManagerPermissions",
        role=import_role(stack, role) if role else None,
        instance_profile=(
            lookup_instance_profile(stack, "InstanceProfile", instance_profile_name=profile)
            if profile
            else None
        ),
        policy_name=options.get("policy-name"),
        encryption_key=import_key(stack, "Key", "key", options),
        allow_registration=options.get("allow-registration") == "true",
        log_bucket=import_bucket(stack, options),
        log_prefix=options.get("log-prefix"),
        log_group=(
            logs.LogGroup.from_log_group_name(stack, "LogGroup", log_group) if log_group else None
        ),
        check_log_encryption=options.get("check-log-encryption") != "false",
        decrypt_sessions_only=options.get("decrypt-sessions-only") == "true",
    )


@contextmanager
def refusing(option: str, value: str) -> Generator[None, None, None]:
    """Say of which option it is that CDK takes no such value."""
    try:
        yield
    except RuntimeError as error:
        raise ValueError(f"-c {option}={value}: {error}") from None


def import_role(stack: cdk.Stack, role: str) -> iam.IRole:
    """The role by its name or its ARN."""
    with refusing("role", role):
        if role.startswith("arn:"):
            return iam.Role.from_role_arn(stack, "Role", role)
        return iam.Role.from_role_name(stack, "Role", role)


def import_key(
    stack: cdk.Stack, construct_id: str, option: str, options: dict[str, str]
) -> kms.IKey | None:
    """The key whose ARN the option is."""
    arn = options.get(option)
    if arn is None:
        return None
    if not arn.startswith("arn:"):
        raise ValueError(f"-c {option}={arn}: give the key's ARN")
    with refusing(option, arn):
        return kms.Key.from_key_arn(stack, construct_id, arn)


def import_bucket(stack: cdk.Stack, options: dict[str, str]) -> s3.IBucket | None:
    """The bucket for session logs, with its key where that is given."""
    name = options.get("log-bucket")
    key = import_key(stack, "LogBucketKey", "log-bucket-key", options)
    if name is None:
        for option in ("log-bucket-key", "log-prefix"):
            if option in options:
                raise ValueError(f"-c {option}={options[option]}: give -c log-bucket=NAME too")
        return None
    with refusing("log-bucket", name):
        return s3.Bucket.from_bucket_attributes(
            stack, "LogBucket", bucket_name=name, encryption_key=key
        )


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
        app.synth()
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: CDK's own checks
        raise SystemExit(f"app.py: {' '.join(str(error).split())}") from None


if __name__ == "__main__":
    main()
