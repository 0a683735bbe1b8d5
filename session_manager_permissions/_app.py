"""A CDK app that gives the policy to roles and instance profiles that already exist.

`app.py` in a checkout and `python -m session_manager_permissions` run it. Its options are context
values: `cdk deploy -c instance-profile=NAME`.
"""

from __future__ import annotations

import json
import math
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from session_manager_permissions import SessionManagerPermissions, lookup_instance_profile

from . import _limits, _lists, _needs
from ._constructs.lookup import look_up
from ._quoting import shown

if TYPE_CHECKING:
    from collections.abc import Generator

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_logs as logs
    from aws_cdk import aws_s3 as s3

    from ._lists import Line, NameList

TARGETS: Final = {
    "instance-profile": "NAME",
    "instance-profiles": "FILE",
    "role": "NAME_OR_ARN",
    "roles": "FILE",
}
"""The options of which exactly one is given, each with its kind of value."""
CONTEXT: Final = {
    **TARGETS,
    "key": "ARN",
    "policy-name": "NAME",
    "allow-registration": "true or false",
    "log-bucket": "NAME",
    "log-bucket-key": "ARN",
    "log-prefix": "PREFIX",
    "log-group": "NAME_OR_ARN",
    "check-log-encryption": "true or false",
    "decrypt-sessions-only": "true or false",
}
"""All options, each with its kind of value."""
FLAGS: Final = {
    "allow-registration": "false",
    "check-log-encryption": "true",
    "decrypt-sessions-only": "false",
}
"""The options that are true or false, each with its default."""
CLI_CONTEXT: Final = ("acknowledged-issue-numbers", "cli-telemetry")
"""What the CLI itself keeps in cdk.context.json."""
MOST_NAMES: Final = 500
"""The most names in a file.

In an account without a CDK bootstrap the CLI deploys templates of at most 51,200 bytes. With names
of 64 characters, 500 roles and a policy as long as IAM accepts stay below that.
"""
CONSTRUCT_ID: Final = "SessionManagerPermissions"


class WrongLinesError(ValueError):
    """Errors in a file, an argument for each wrong line."""


def context(app: cdk.App) -> dict[str, str]:
    """Return the options given by `-c`.

    The keys of CDK itself and of its look-ups have a `:` or a `/`.
    """
    given = app.node.get_all_context()
    for name, value in given.items():
        if name not in (*CONTEXT, *CLI_CONTEXT) and not re.search("[:/]", name):
            raise ValueError(
                f"-c {name}={value}, or {name} in the context of a cdk.json: there is no such "
                f"option; the options are {', '.join(CONTEXT)}"
            )
        if name in FLAGS and not isinstance(value, str):
            given[name] = json.dumps(value)  # what `-c` gives for a boolean of cdk.json
        elif name in CONTEXT and not (isinstance(value, str) and value):
            raise ValueError(f"-c {name}={value}: give a value")
        if name in _lists.OPTIONS and (fault := _lists.OPTIONS[name](given[name])):
            raise ValueError(f"-c {name}: {given[name]!r} {fault}")
    return {name: given[name] for name in CONTEXT if name in given}


def stack_name(kind: str, name: str) -> str:
    """Name the stack after its target, so that no other target's deployment updates it."""
    readable = re.sub(r"[^A-Za-z0-9-]", "-", name)[:64]
    if readable != name:
        readable = f"{readable}-{_needs.digest(name)}"
    return f"SessionManager-{kind}-{readable}"


def deploy_to_existing(app: cdk.App, options: dict[str, str]) -> None:
    """Attach the policy to the roles or the instance profiles that the options name."""
    given = [target for target in TARGETS if target in options]
    if len(given) != 1:
        each = ", ".join(f"-c {name}={value}" for name, value in TARGETS.items())
        raise ValueError(f"give exactly one of {each}")
    (target,) = given
    if TARGETS[target] == "FILE":
        deploy_to_file(app, target, options)
    elif target == "role":
        role = options["role"]
        if fault := _limits.role_fault(role):
            raise ValueError(f"-c role: {role!r} {fault}")
        # The name and the ARN of a role lead to the same stack.
        stack = make_stack(app, "Role", role.rpartition("/")[2])
        add_permissions(stack, options, role=import_role(stack, role))
    else:
        name = options["instance-profile"]
        stack = make_stack(app, "InstanceProfile", name)
        profile = lookup_instance_profile(stack, "InstanceProfile", instance_profile_name=name)
        add_permissions(stack, options, instance_profile=profile)


def deploy_to_file(app: cdk.App, option: str, options: dict[str, str]) -> None:
    """Attach one policy to everything that the file names.

    Raises:
        ValueError: the file, one of its lines or an option is wrong.
    """
    path = options[option]
    # The path decides, in whichever form it is given, so that a new line updates the same stack.
    name = Path(os.path.relpath(path)).as_posix()
    stack = make_stack(app, "Roles" if option == "roles" else "InstanceProfiles", name)
    listed = read_list(option, path, stack)
    options = with_options_of(listed, options)
    permissions = None
    for line, role in look_up_roles(option, listed.names, stack):
        with naming(line, stack):
            if permissions is None:
                permissions = add_permissions(stack, options, role=role)
            else:
                permissions.attach_to_role(role)
    if permissions is not None:  # else each name has an error
        for line in listed.options.get(_lists.REPEATED, [])[1:]:
            key = cdk.aws_kms.Key.from_key_arn(stack, f"Key-{line.text}", line.text)
            with naming(line, stack):
                permissions.add_encryption_key(key)
    for name, value in options.items():
        if name not in {*listed.options, *TARGETS} and value != FLAGS.get(name):
            warn_of_option(stack, name, value, path)


def with_options_of(listed: NameList, options: dict[str, str]) -> dict[str, str]:
    """Return the options of the command line and of the list; of several keys the first.

    Raises:
        WrongLinesError: the two contradict each other.
    """
    errors = [
        f"-c {name}={options[name]} contradicts {line.where}: {name} = {line.text}: leave out "
        f"-c {name}, or change the line"
        for name, lines in listed.options.items()
        for line in lines
        if options.get(name, line.text) != line.text
    ]
    if errors:
        raise WrongLinesError(*errors)
    return options | {name: lines[0].text for name, lines in listed.options.items()}


def warn_of_option(stack: cdk.Stack, name: str, value: str, path: str) -> None:
    """Warn of an option that the next deployment of the list may forget."""
    line = _lists.as_line(name, value)
    way_out = (
        f"write the line {line} into it"
        if line
        else "repeat the option with each deployment, as no line can have this value"
    )
    cdk.Annotations.of(stack).add_warning_v2(
        "session-manager-permissions:option-not-in-list",
        f"-c {name}={value} is not in {path}: {way_out}, because a later deployment without "
        f"-c {name} changes the policy of every role",
    )


class ByContext(SessionManagerPermissions):
    """The construct for those who write no code."""

    _WAY_TO_THE_KEY = "give the key of that region: -c key=ARN, or another line key = ARN in a list"


@contextmanager
def naming(line: Line, stack: cdk.Stack) -> Generator[None, None, None]:
    """Name the line in the error of its role or key, unless an option of all roles is wrong."""
    try:
        yield
    except ValueError as error:
        # The construct checks the options before it is in the stack, and the role after that.
        if stack.node.try_find_child(CONSTRUCT_ID) is None:
            raise
        raise ValueError(f"{line.where}: {error}") from None


def make_stack(app: cdk.App, kind: str, name: str) -> cdk.Stack:
    """Make the stack for the roles of this name."""
    account = os.environ.get("CDK_DEFAULT_ACCOUNT")
    region = os.environ.get("CDK_DEFAULT_REGION")
    if not account or not region:
        raise ValueError(
            "the CDK CLI could not tell the account and region: sign in with the AWS CLI, or give "
            "--profile; set AWS_REGION if the profile has no region"
        )
    return cdk.Stack(
        app,
        stack_name(kind, name),
        env=cdk.Environment(account=account, region=region),
        description="Session Manager permissions for a role that is managed elsewhere",
    )


def add_permissions(
    stack: cdk.Stack,
    options: dict[str, str],
    *,
    role: iam.IRole | None = None,
    instance_profile: iam.IInstanceProfile | None = None,
) -> SessionManagerPermissions:
    """Attach the policy to the role, or to the role of the profile."""
    return ByContext(
        stack,
        CONSTRUCT_ID,
        role=role,
        instance_profile=instance_profile,
        policy_name=options.get("policy-name"),
        encryption_key=import_key(stack, "Key", options.get("key")),
        allow_registration=is_on("allow-registration", options),
        log_bucket=import_bucket(stack, options),
        log_prefix=options.get("log-prefix"),
        log_group=import_log_group(stack, options),
        check_log_encryption=is_on("check-log-encryption", options),
        decrypt_sessions_only=is_on("decrypt-sessions-only", options),
    )


def is_on(flag: str, options: dict[str, str]) -> bool:
    """Tell whether an option is true, be it given or by default."""
    return options.get(flag, FLAGS[flag]) == "true"


def read_list(option: str, path: str, stack: cdk.Stack) -> NameList:
    """Read the names and the options of the file.

    Raises:
        WrongLinesError: a line is wrong without asking the account.
        ValueError: the file as a whole is wrong.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"-c {option}={path}: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"-c {option}={path}: give a text file in UTF-8") from None
    fault_of = _limits.role_fault if option == "roles" else _limits.instance_profile_fault
    listed = _lists.parse(text, path, fault_of)
    names, faults = listed.names, listed.faults
    if not names and not faults:
        raise ValueError(
            f"-c {option}={path}: the file has no names; to take the policy from all roles that "
            f"have it, run aws cloudformation delete-stack --stack-name {stack.stack_name}"
        )
    if len(names) > MOST_NAMES:
        parts = math.ceil(len(names) / MOST_NAMES)
        raise ValueError(
            f"-c {option}={path}: the file has {len(names)} names, and a stack can have at most "
            f"{MOST_NAMES}: split it into {parts} files, and deploy each as a stack of its own"
        )
    for line in names:
        if "/" in line.text and line.number not in faults:
            account = line.text.split(":")[4]
            if account != stack.account:
                faults[line.number] = (
                    f"{line.where}: {line.text} belongs to account {account}, and the stack to "
                    f"account {stack.account}: deploy this name with credentials of account "
                    f"{account}"
                )
    if faults:
        raise WrongLinesError(*(faults[number] for number in sorted(faults)))
    return listed


def look_up_roles(option: str, lines: list[Line], stack: cdk.Stack) -> list[tuple[Line, iam.IRole]]:
    """Find the role of each line in the account.

    CDK notes what the CLI has to look up, and on its next pass the error of a look-up that failed.
    A line without a role has an error in the tree, as such a look-up has: the CLI shows it with the
    path, which names the line, and refuses to deploy. It destroys the stack all the same.
    """
    found = []
    for line in lines:
        scope = Construct(stack, f"{Path(line.path).name}:{line.number}")
        try:
            role = look_up_role(option, scope, line.name)
        except ValueError as error:
            cdk.Annotations.of(scope).add_error(shown(str(error)))
        else:
            found.append((line, role))
    return found


def look_up_role(option: str, scope: Construct, name: str) -> iam.IRole:
    """Find the role of this name in the account, or that of the instance profile of this name.

    Until the CLI has looked it up, `iam.Role.from_lookup` gives a role of another account, and the
    stack would have no policy.
    """
    if option != "roles":
        profile = lookup_instance_profile(scope, "InstanceProfile", instance_profile_name=name)
        return cast("iam.IRole", profile.role)
    arn = f"arn:aws:iam::{cdk.Stack.of(scope).account}:role/{name}"
    return iam.Role.from_role_arn(scope, "Role", look_up(scope, "Role", name, {"Arn": arn})["Arn"])


def import_role(stack: cdk.Stack, role: str) -> iam.IRole:
    """Import the role by its name or its ARN."""
    by = iam.Role.from_role_arn if role.startswith("arn:") else iam.Role.from_role_name
    return by(stack, "Role", role)


def import_key(stack: cdk.Stack, construct_id: str, arn: str | None) -> kms.IKey | None:
    """Import the key whose ARN an option has."""
    return None if arn is None else cdk.aws_kms.Key.from_key_arn(stack, construct_id, arn)


def import_bucket(stack: cdk.Stack, options: dict[str, str]) -> s3.IBucket | None:
    """Import the bucket for session logs, with its key if that is given."""
    name = options.get("log-bucket")
    key = import_key(stack, "LogBucketKey", options.get("log-bucket-key"))
    if name is None:
        for option in ("log-bucket-key", "log-prefix"):
            if option in options:
                raise ValueError(f"{option} {options[option]!r} has no bucket: give log-bucket too")
        return None
    return cdk.aws_s3.Bucket.from_bucket_attributes(
        stack, "LogBucket", bucket_name=name, encryption_key=key
    )


def import_log_group(stack: cdk.Stack, options: dict[str, str]) -> logs.ILogGroup | None:
    """Import the log group for session logs."""
    given, group = options.get("log-group", ""), cdk.aws_logs.LogGroup
    by = group.from_log_group_arn if given.startswith("arn:") else group.from_log_group_name
    return by(stack, "LogGroup", given) if given else None


def show_example(app: cdk.App) -> None:
    """Make what `cdk synth` shows without options: a profile, its role, a key and the policy."""
    stack = cdk.Stack(app, "SessionManager-Example", description="Session Manager permissions")
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    SessionManagerPermissions(
        stack,
        CONSTRUCT_ID,
        instance_profile=iam.InstanceProfile(stack, "InstanceProfile", role=role),
        encryption_key=cdk.aws_kms.Key(stack, "Key", enable_key_rotation=True),
    )


def main(program: str) -> None:
    """Build the app; on invalid options, exit with one line for each fault.

    Args:
        program: the name that begins each line.
    """
    app = cdk.App(
        # There are no assets, so an account needs no bootstrap for this.
        default_stack_synthesizer=cdk.LegacyStackSynthesizer(),
        # The template is the same without the cdk.json of a checkout.
        analytics_reporting=False,
        post_cli_context={"@aws-cdk/aws-iam:minimizePolicies": True},
    )
    try:
        if options := context(app):
            deploy_to_existing(app, options)
        else:
            show_example(app)
        app.synth()
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: CDK's own checks
        errors = error.args if isinstance(error, WrongLinesError) else [error]
        lines = (shown(" ".join(str(said).split())) for said in errors)
        raise SystemExit("\n".join(f"{program}: {line}" for line in lines)) from None
