"""Every error and warning that a user may read: what causes it, and its text in a snapshot."""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import runpy
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TextIO
from unittest.mock import Mock

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from botocore import xform_name
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    InvalidRegionError,
    LoginRefreshRequired,
)
from constructs import Construct
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

import session_manager_permissions
from session_manager_permissions import (
    SessionManagerAccess,
    SessionManagerEndpoints,
    SessionManagerFleet,
    SessionManagerPermissions,
    SessionManagerReadiness,
    SessionPreferences,
    lookup_instance_profile,
    session_manager_statements,
)
from session_manager_permissions._app import warn_of_option
from session_manager_permissions._command import _check
from session_manager_permissions._command import parser as command_line
from session_manager_permissions._readiness.templates import loading
from session_manager_permissions._verify import command as command_module
from session_manager_permissions._verify import options as options_module
from session_manager_permissions._verify.asking import (
    CannotAsk,
    NoNode,
    NotPermitted,
    NotThere,
    answered,
)
from session_manager_permissions._verify.audit import answering
from session_manager_permissions._verify.audit.compare import compared
from session_manager_permissions._verify.audit.merge import read, read_file
from session_manager_permissions._verify.command import _audit, _parser, _policy, _verify, main
from session_manager_permissions._verify.files import write
from session_manager_permissions._verify.operators import _principal
from session_manager_permissions._verify.resource_policy import key_policy

from .builders import existing_bucket, l1_bucket, l1_profile
from .conftest import (
    ACCOUNT,
    HERE,
    KEY_ID,
    OTHER_ACCOUNT,
    OTHER_REGION,
    REGION,
    ROOT,
    existing_key,
    existing_role,
    key_arn,
    l1_role,
    lookups,
    owned_role,
    role_arn,
    run_app,
    synth,
    warnings,
)
from .verify import accounts, audits, nodes
from .verify.test_verify import no_account

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from constructs import IConstruct
    from syrupy.assertion import SnapshotAssertion

    from .conftest import MakeApp

__all__ = ["no_account"]  # a fixture

ASKED: Final = (
    "--role",
    "web-server",
    "--region",
    REGION,
    "--document",
    "SSM-SessionManagerRunShell",
)
IN_REGION: Final = ("--role", "web", "--region", "eu-wst-1")
SOURCES: Final = (ROOT / "app.py", *sorted((ROOT / "session_manager_permissions").rglob("*.py")))


class World:
    """What a row has to do with: a stack, and an account where it is asked for."""

    def __init__(
        self, make_app: MakeApp, folder: Path, patch: pytest.MonkeyPatch, exits: ExitStack
    ) -> None:
        self.make_app = make_app
        self.folder = folder
        self.patch = patch
        self.app = make_app()
        self.stack = cdk.Stack(self.app, "Stack", env=HERE)
        self._exits = exits

    @functools.cached_property
    def account(self) -> nodes.World:
        account = nodes.World()
        self.patch.setattr(command_module, "AwsSession", functools.partial(nodes.Session, account))
        return account

    def open(self, descriptor: int) -> TextIO:
        return self._exits.enter_context(os.fdopen(descriptor, "w"))


class Row(NamedTuple):
    """What the user did, and where the message is read."""

    does: Callable[[World], object]
    kind: type[BaseException] | str
    """The exception, or where else it is read."""


def permissions(**options: Any) -> Callable[[World], object]:  # noqa: ANN401
    """A construct with these options; what is callable makes one in the stack."""
    return lambda w: SessionManagerPermissions(w.stack, "Permissions", **made(w.stack, options))


def statements(**options: Any) -> Callable[[World], object]:  # noqa: ANN401
    return lambda w: session_manager_statements(**made(w.stack, options))


def preferences(**options: Any) -> Callable[[World], object]:  # noqa: ANN401
    return lambda w: SessionPreferences(w.stack, "Preferences", **made(w.stack, options))


def fleet(**options: Any) -> Callable[[World], object]:  # noqa: ANN401
    return lambda w: SessionManagerFleet(w.stack, "Fleet", **made(w.stack, options))


def endpoints(**options: Any) -> Callable[[World], object]:  # noqa: ANN401
    return lambda w: SessionManagerEndpoints(
        w.stack, "Endpoints", **made(w.stack, {"vpc": network} | options)
    )


def network(stack: cdk.Stack, **options: Any) -> ec2.Vpc:  # noqa: ANN401
    kind = ec2.SubnetType.PRIVATE_ISOLATED
    private = ec2.SubnetConfiguration(name="Private", subnet_type=kind)
    return ec2.Vpc(stack, "Vpc", max_azs=1, subnet_configuration=[private], **options)


def before_an_endpoint(w: World) -> object:
    vpc = network(w.stack)
    SessionManagerEndpoints(w.stack, "Endpoints", vpc=vpc)
    return vpc.add_interface_endpoint("Late", service=ec2.InterfaceVpcEndpointAwsService.SSM)


def beside_an_endpoint_on_a_condition(w: World) -> object:
    vpc = network(w.stack)
    there = ec2.CfnVPCEndpoint(
        w.stack,
        "There",
        vpc_id=vpc.vpc_id,
        service_name="com.amazonaws.eu-west-1.ssm",
        vpc_endpoint_type="Interface",
        private_dns_enabled=True,
    )
    there.cfn_options.condition = cdk.CfnCondition(w.stack, "Wanted")
    return SessionManagerEndpoints(w.stack, "Endpoints", vpc=vpc)


def start_session(**access: Any) -> Callable[[World], object]:  # noqa: ANN401
    def does(w: World) -> object:
        given = made(w.stack, access)
        grantee = given.pop("grantee", None) or iam.Group(w.stack, "Operators")
        existing = SessionPreferences.from_document_name(w.stack, "Preferences")
        return existing.grant_start_session(grantee, **given)

    return does


def made(stack: cdk.Stack, options: dict[str, Any]) -> dict[str, Any]:
    return {name: value(stack) if callable(value) else value for name, value in options.items()}


def called(callee: Any, *arguments: Any, **options: Any) -> Callable[[World], object]:  # noqa: ANN401
    return lambda _: callee(*arguments, **options)


def attached(role: Callable[[cdk.Stack], Any]) -> Callable[[World], object]:
    return permissions(role=role)


def of_profile(profile: Callable[[cdk.Stack], Any]) -> Callable[[World], object]:
    return permissions(instance_profile=profile)


def key(arn: str) -> Callable[[cdk.Stack], kms.IKey]:
    return lambda s: kms.Key.from_key_arn(s, "Key", arn)


def group(stack: cdk.Stack, name: str = "/session/logs") -> logs.ILogGroup:
    return logs.LogGroup.from_log_group_name(stack, "LogGroup", name)


def profile(*roles: str) -> Callable[[cdk.Stack], iam.CfnInstanceProfile]:
    return lambda s: l1_profile(s, *roles)


def parameter(stack: cdk.Stack) -> str:
    return cdk.CfnParameter(stack, "Parameter").value_as_string


def listed(stack: cdk.Stack) -> list[str]:
    return cdk.CfnParameter(stack, "List", type="CommaDelimitedList").value_as_list


def in_other_account(stack: cdk.Stack) -> cdk.Stack:
    env = cdk.Environment(account=OTHER_ACCOUNT, region=REGION)
    return cdk.Stack(cdk.App.of(stack), "Other", env=env)


def looked_up(answer: object) -> Callable[[World], object]:
    def does(w: World) -> object:
        lookup_instance_profile(w.stack, "Profile", instance_profile_name="web")
        (asked,) = lookups(w.stack)
        stack = cdk.Stack(w.make_app(**{asked["key"]: answer}), "Stack", env=HERE)
        return lookup_instance_profile(stack, "Profile", instance_profile_name="web")

    return does


def twice_on_one_role(w: World) -> None:
    for name in ("One", "Two"):
        role = existing_role(w.stack, f"Role{name}", "web")
        SessionManagerPermissions(w.stack, name, role=role, policy_name="Sessions")


def with_its_policy(w: World) -> object:
    policy = iam.CfnRole.PolicyProperty(
        policy_document=iam.PolicyDocument(), policy_name="Sessions"
    )
    role = iam.CfnRole(w.stack, "Role", assume_role_policy_document={}, policies=[policy])
    return SessionManagerPermissions(w.stack, "Permissions", role=role, policy_name="Sessions")


def on_a_condition(w: World) -> None:
    role = l1_role(w.stack)
    role.cfn_options.condition = cdk.CfnCondition(w.stack, "HasWorkers")
    SessionManagerPermissions(w.stack, "Permissions", role=role)


def over_a_stage(w: World) -> None:
    cdk.Stage(w.app, "Production")
    SessionManagerFleet(w.app, "Fleet")


def over_an_idle_exclusion(w: World) -> None:
    iam.InstanceProfile(w.stack, "Profile")
    SessionManagerFleet(w.stack, "Fleet", exclude=[Construct(w.stack, "Group")])


@jsii.implements(cdk.IAspect)
class MakeProfile:
    def visit(self, node: IConstruct) -> None:
        if node.node.path == "Stack/Existing":
            iam.CfnInstanceProfile(cdk.Stack.of(node), "Late", roles=["web"])


def before_an_aspect(w: World) -> None:
    SessionManagerFleet(w.stack, "Fleet")
    existing_role(w.stack)
    cdk.Aspects.of(w.stack).add(MakeProfile())


def over_a_node_group(node_role: str) -> Callable[[World], object]:
    def does(w: World) -> object:
        eks.CfnNodegroup(
            w.stack, "Nodes", cluster_name="shop", node_role=node_role, subnets=["subnet-1"]
        )
        return SessionManagerFleet(w.stack, "Fleet", strict=True)

    return does


def of_a_bare_resource(*, strict: bool) -> Callable[[World], object]:
    def does(w: World) -> object:
        kind = "AWS::IAM::InstanceProfile"
        cdk.CfnResource(w.stack, "Profile", type=kind, properties={"Roles": ["web"]})
        return SessionManagerFleet(w.stack, "Fleet", strict=strict)

    return does


def owned_elsewhere(stack: cdk.Stack) -> iam.Role:
    return owned_role(in_other_account(stack))


def by_its_arn_attribute(stack: cdk.Stack) -> iam.CfnInstanceProfile:
    return iam.CfnInstanceProfile(stack, "Profile", roles=[l1_role(stack).attr_arn])


def at_the_commands_end(_: World) -> None:
    main(["verify", "--role", "web", "--log-prefix", "a"])


def surprised(w: World) -> None:
    fails_by(RuntimeError("on\ntwo lines"))(w)
    main(["verify", "--role", "web"])


def command(
    *arguments: str, answers: Callable[[World], object] = lambda _: None
) -> Callable[[World], object]:
    """The command, on an account that answers so."""

    def does(w: World) -> None:
        assert w.account
        answers(w)
        _verify(_parser().parse_args(["verify", *arguments]))

    return does


def checked(
    *arguments: str, without_yaml: bool = False, **files: str | bytes
) -> Callable[[World], object]:
    """The command `check`, in a folder of these files, each name with `_` for `.`."""

    def does(w: World) -> None:
        w.patch.chdir(w.folder)
        for name, content in files.items():
            file = w.folder / name.replace("_", ".").replace("..", "/")
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        if without_yaml:
            w.patch.setitem(sys.modules, "yaml", None)
        w.patch.setattr(loading, "_MOST_BYTES", 2**20)
        _check(command_line().parse_args(["check", *arguments]))

    return does


def policy_command(*arguments: str) -> Callable[[World], object]:
    """The command that asks no account."""
    return lambda _: _policy(_policy_arguments(["policy", *arguments]))


def _policy_arguments(argv: list[str]) -> argparse.Namespace:
    arguments = _parser().parse_args(argv)
    del arguments.run
    return arguments


def of_node(
    *arguments: str, breaks: Callable[[nodes.World], object] = lambda _: None
) -> Callable[[World], object]:
    """The command on a node, in an account that answers so."""

    def does(w: World) -> None:
        account = nodes.World()
        breaks(account)
        w.patch.setattr(command_module, "AwsSession", lambda *_: nodes.Session(account))
        _verify(_parser().parse_args(["verify", "--instance-id", *arguments]))

    return does


def with_diagnostics(text: str) -> Callable[[World], object]:
    """The command on a node, with a file of this text."""

    def does(w: World) -> None:
        w.patch.chdir(w.folder)
        (w.folder / "agent.json").write_text(text, encoding="utf-8")
        of_node(nodes.NODE, "--agent-diagnostics", "agent.json")(w)

    return does


def from_file(text: str | None) -> Callable[[World], object]:
    """`audit --from`, with a file of this text, or without one."""

    def does(w: World) -> object:
        w.patch.chdir(w.folder)
        if text is not None:
            (w.folder / "audit.json").write_text(text, encoding="utf-8")
        return read(["audit.json" if text else "none.json"])

    return does


def compared_to(**fields: object) -> Callable[[World], object]:
    """`audit --compare`, with an earlier result that has these fields."""

    def does(w: World) -> object:
        w.patch.chdir(w.folder)
        audits.written(w.folder, "audit.json", audits.result([], **fields))
        old = read_file("audit.json", "--compare")
        return compared(audits.result([]), old, "audit.json")

    return does


def audit(
    *arguments: str, region: str | None = REGION, denied: bool = False
) -> Callable[[World], object]:
    """`audit` in an account without instances, which may answer nothing."""

    def does(w: World) -> int:
        account = accounts.Account()
        if denied:
            account.refused["ec2:DescribeInstances"] = "UnauthorizedOperation"
        session = nodes.Session(account, region=region)
        w.patch.setattr(answering, "AwsSession", lambda *_, **__: session)
        parsed = _parser().parse_args(["audit", "--output", "json", *arguments])
        del parsed.run
        return _audit(parsed)

    return does


def on_a_link(w: World) -> object:
    w.patch.chdir(w.folder)
    (w.folder / "linked.txt").symlink_to("profiles.txt")
    return audit("--profiles-file", "linked.txt")(w)


def on_a_read_only_file(w: World) -> None:
    w.patch.chdir(w.folder)
    (w.folder / "kept.txt").write_text("web", encoding="utf-8")
    w.patch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    write("kept.txt", "--profiles-file", "web\n")


def on_no_list(w: World) -> object:
    w.patch.chdir(w.folder)
    (w.folder / "wrong.txt").write_text("web\na b\n", encoding="utf-8")
    return audit("--profiles-file", "wrong.txt")(w)


def of_a_large_file(w: World) -> object:
    w.patch.setattr(options_module, "MOST_BYTES", 2**20)
    return from_file(f'"{"a" * 2**20}"')(w)


def of_an_option_that_is_not_in_the_file(w: World) -> None:
    warn_of_option(w.stack, "allow-registration", "true", "names.txt")


def of_two_accounts(w: World) -> object:
    """`audit --from` two accounts, with one `--profiles-file`."""
    paths = [
        audits.written(w.folder, f"{account}.json", audits.result([audits.node(account=account)]))
        for account in (ACCOUNT, OTHER_ACCOUNT)
    ]
    w.patch.chdir(w.folder)
    return audit("--from", *paths, "--profiles-file", "profiles.txt")(w)


def interrupted(w: World) -> None:
    w.patch.setattr(command_module, "_audit", Mock(side_effect=KeyboardInterrupt))
    main(["audit"])


def by_root(_: World) -> None:
    account = nodes.World()
    root = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root"}
    account.has("sts:get_caller_identity", root)
    _principal(nodes.Session(account), Mock(account=ACCOUNT), "caller")


def of_another_account(_: World) -> None:
    operator = role_arn("operator", OTHER_ACCOUNT)
    _principal(nodes.Session(nodes.World()), Mock(account=ACCOUNT), operator)


def with_a_key_policy_of_no_json(_: World) -> None:
    account = nodes.World()
    account.has("kms:get_key_policy", {"Policy": "<html>"})
    answered(key_policy(nodes.Session(account), nodes.KEY).error)


OTHER_NODE: Final = {
    "Check": "EC2 IMDS",
    "Status": "Success",
    "Note": "IMDS is accessible and has instance id i-0fedcba9876543210 in region eu-west-1",
}


def has_answer(name: str, answer: object) -> Callable[[World], object]:
    return lambda w: w.account.has(name, answer)


def has_role(w: World) -> None:
    assert w.account


def says_no(operation: str, code: str) -> Callable[[World], object]:
    error = ClientError({"Error": {"Code": code, "Message": "Rate exceeded"}}, operation)
    return has_answer(f"iam:{xform_name(operation)}", error)


def may_not_assume(w: World) -> None:
    denied = {"Error": {"Code": "AccessDenied", "Message": "not you"}}
    fails_by(ClientError(denied, "AssumeRole"))(w)


def fails_by(error: Exception) -> Callable[[World], object]:
    """What boto3 comes to, before there is an answer of AWS."""
    return has_answer("iam:get_role", error)


def is_not_read(w: World) -> None:
    has_role(w)
    reader, writer = os.pipe()
    os.close(reader)
    w.patch.setattr(sys, "stdout", w.open(writer))


def has_no_standard_output(w: World) -> None:
    has_role(w)
    w.patch.setattr(sys, "stdout", None)


def has_the_document(text: str) -> Callable[[World], object]:
    return has_answer("ssm:get_document", {"Content": text})


def has_no_alias(w: World) -> None:
    w.account.refuses("kms:DescribeKey", "NotFoundException")


def loses_its_role(w: World) -> None:
    w.account.refuses("iam:SimulatePrincipalPolicy", "NoSuchEntity")


def leaves_an_answer_out(w: World) -> None:
    w.account.decides = lambda asked: {} if asked.action == nodes.CHANNELS[-1] else None


def encrypted_twice(stack: cdk.Stack) -> s3.Bucket:
    return s3.Bucket(stack, "Logs", encryption=s3.BucketEncryption.DSSE_MANAGED)


def lacks_boto3(w: World) -> None:
    w.patch.setitem(sys.modules, "boto3", None)


def without_an_answer(*arguments: str) -> Callable[[World], object]:
    """The command, with no account behind it."""
    return lambda _: _verify(_parser().parse_args(["verify", *arguments]))


def with_variable(name: str, value: str, *arguments: str) -> Callable[[World], object]:
    """The command, in an environment that has this too."""

    def does(w: World) -> None:
        w.patch.setenv(name, value)
        without_an_answer(*arguments)(w)

    return does


def with_profile(text: str) -> Callable[[World], object]:
    """The command with a profile of this text in the AWS configuration."""

    def does(w: World) -> None:
        (w.folder / "config").write_text(f"[profile prod]\n{text}", encoding="utf-8")
        w.patch.setenv("AWS_CONFIG_FILE", str(w.folder / "config"))
        without_an_answer("--role", "web", "--profile", "prod")(w)

    return does


def app(
    *,
    file: bytes = b"",
    answer: object = None,
    **context: Any,  # noqa: ANN401
) -> Callable[[World], object]:
    """The app of the repository with these `-c`, each name with `_` for `-`.

    Args:
        file: what the file `names.txt` has in it.
        answer: what the account says of what the app looks up.
        context: the options.
    """

    def does(w: World) -> None:
        given = {name.replace("_", "-"): value for name, value in context.items()}
        environment = given.pop("environment", {"ACCOUNT": ACCOUNT, "REGION": REGION})
        if file:
            w.patch.chdir(w.folder)
            (w.folder / "names.txt").write_bytes(file)
        if answer:
            run_app(w.patch, w.folder / "app", given, environment)
            manifest = json.loads((w.folder / "app" / "manifest.json").read_text())
            given |= {asked["key"]: answer for asked in manifest["missing"]}
        run_app(w.patch, w.folder / "app", given, environment)

    return does


def without_the_cli(w: World) -> None:
    w.patch.delenv("CDK_OUTDIR", raising=False)
    runpy.run_module("session_manager_permissions", run_name="__main__")


ROLES: Final = {
    "neither `role` nor `instance_profile`": Row(permissions(), ValueError),
    "both `role` and `instance_profile`": Row(
        permissions(role=existing_role, instance_profile=profile("web")), ValueError
    ),
    "a string for a role": Row(permissions(role="web"), TypeError),
    "a profile for a role": Row(permissions(role=profile("web")), TypeError),
    "a string for a profile": Row(permissions(instance_profile="web"), TypeError),
    "a role for a profile": Row(permissions(instance_profile=existing_role), TypeError),
    "a role of another account": Row(
        attached(lambda s: iam.Role.from_role_arn(s, "Role", role_arn("web", OTHER_ACCOUNT))),
        ValueError,
    ),
    "a role that a stack of another account makes": Row(attached(owned_elsewhere), ValueError),
    "a role with `mutable=False` or `without_policy_updates()`": Row(
        attached(lambda s: iam.Role.from_role_arn(s, "Role", role_arn("web"), mutable=False)),
        ValueError,
    ),
    "an ARN that is not a role's": Row(
        attached(lambda s: iam.Role.from_role_arn(s, "Role", f"arn:aws:iam::{ACCOUNT}:user/web")),
        ValueError,
    ),
    "an ARN given to `from_role_name`": Row(
        attached(lambda s: iam.Role.from_role_name(s, "Role", role_arn("web"))), ValueError
    ),
    "a name that no role can have": Row(
        attached(lambda s: iam.Role.from_role_name(s, "Role", "web server")), ValueError
    ),
    "a service-linked role": Row(
        attached(
            lambda s: iam.Role.from_role_arn(
                s, "Role", role_arn("aws-service-role/ssm.amazonaws.com/Ssm")
            )
        ),
        ValueError,
    ),
    "a role under `/aws-reserved/`": Row(
        attached(
            lambda s: iam.Role.from_role_arn(
                s, "Role", role_arn("aws-reserved/sso.amazonaws.com/Admin")
            )
        ),
        ValueError,
    ),
    "a profile imported without its role": Row(
        of_profile(lambda s: iam.InstanceProfile.from_instance_profile_name(s, "Profile", "web")),
        ValueError,
    ),
    "an L1 profile without a role": Row(of_profile(profile()), ValueError),
    "an L1 profile that has its role's ARN": Row(of_profile(profile(role_arn("web"))), ValueError),
}
NAMES: Final = {
    "an invalid `policy_name`": Row(permissions(role=existing_role, policy_name="a b"), ValueError),
    "a `policy_name` that is not a string": Row(
        permissions(role=existing_role, policy_name=7), TypeError
    ),
    "the `policy_name` of another construct on the role": Row(twice_on_one_role, ValueError),
    "the `policy_name` of a policy that the role is made with": Row(with_its_policy, ValueError),
    "a text with half a character, as bad decoding makes it": Row(
        statements(log_bucket=existing_bucket, log_prefix="\ud800"), ValueError
    ),
    "a `log_prefix` with a character that IAM takes in no policy": Row(
        statements(log_bucket=existing_bucket, log_prefix="秘密/web"), ValueError
    ),
    "a wildcard in `log_prefix`": Row(
        statements(log_bucket=existing_bucket, log_prefix="web/*"), ValueError
    ),
    "a wildcard in the name of a log group": Row(
        statements(log_group=lambda s: logs.LogGroup.from_log_group_name(s, "Group", "/web/*")),
        ValueError,
    ),
    "a name that the package does not have": Row(
        called(getattr, session_manager_permissions, "SessionManager"), AttributeError
    ),
}
KEYS: Final = {
    "a string for a key": Row(statements(encryption_key="alias/sessions"), TypeError),
    "a key for signing": Row(
        statements(encryption_key=lambda s: kms.Key(s, "Key", key_spec=kms.KeySpec.RSA_2048)),
        ValueError,
    ),
    "an AWS managed key": Row(
        statements(encryption_key=lambda s: kms.Alias.from_alias_name(s, "Key", "alias/aws/ssm")),
        ValueError,
    ),
    "an ARN of another service for a key": Row(
        statements(encryption_key=key(f"arn:aws:s3:{REGION}:{ACCOUNT}:key/{KEY_ID}")), ValueError
    ),
    "an ARN that is not one key's": Row(
        statements(encryption_key=key(key_arn(resource="key/a/b"))), ValueError
    ),
    "a key's ARN without a region": Row(
        statements(encryption_key=key(key_arn(region=""))), ValueError
    ),
    "an L1 bucket that names its key by something other than an ARN": Row(
        statements(log_bucket=lambda s: l1_bucket(s, "arn:1234")), ValueError
    ),
    "an alias that no key can have": Row(
        statements(encryption_key=lambda s: kms.Alias.from_alias_name(s, "Key", "sessions")),
        ValueError,
    ),
}
LOGS: Final = {
    "a string for a bucket": Row(statements(log_bucket="session-logs"), TypeError),
    "an ARN that is not a bucket's": Row(
        statements(
            log_bucket=lambda s: s3.Bucket.from_bucket_arn(
                s, "Logs", "arn:aws:s3:::session-logs/web"
            )
        ),
        ValueError,
    ),
    "a string for a log group": Row(statements(log_group="/session/logs"), TypeError),
    "a name that no log group can have": Row(
        statements(log_group=lambda s: group(s, "a b")), ValueError
    ),
    "`log_prefix` without `log_bucket`": Row(statements(log_prefix="web"), ValueError),
    "a `log_prefix` that is too long": Row(
        statements(log_bucket=existing_bucket, log_prefix="é" * 513), ValueError
    ),
    "a `log_prefix` that CloudFormation would resolve": Row(
        statements(log_bucket=existing_bucket, log_prefix="{{resolve:ssm:/web}}"), ValueError
    ),
    "a `log_prefix` with `.` or `..` between its slashes": Row(
        statements(log_bucket=existing_bucket, log_prefix="../web"), ValueError
    ),
    "a string for `True` or `False`": Row(statements(allow_registration="true"), TypeError),
    "a string for `strict`": Row(called(SessionManagerReadiness, strict="yes"), TypeError),
    "a string for `network`": Row(called(SessionManagerReadiness, network="no"), TypeError),
    "a string for `preferences`": Row(
        statements(preferences="SSM-SessionManagerRunShell"), TypeError
    ),
    "an option that the preferences decide": Row(
        statements(
            log_prefix="web",
            preferences=lambda s: SessionPreferences.from_document_name(s, "Preferences"),
        ),
        ValueError,
    ),
}
FLEETS: Final = {
    "an ARN for the name of a profile to look up": Row(
        lambda w: lookup_instance_profile(
            w.stack, "Profile", instance_profile_name=f"arn:aws:iam::{ACCOUNT}:instance-profile/web"
        ),
        ValueError,
    ),
    "a look-up of a profile without a role": Row(
        looked_up([{"Roles": [], "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/web"}]),
        ValueError,
    ),
    "a string in `exclude`": Row(fleet(exclude=["Web"]), TypeError),
    "a role in `exclude`": Row(fleet(exclude=lambda s: [existing_role(s)]), TypeError),
    "what is no compute for `SessionManagerAccess.apply_to`": Row(
        lambda w: SessionManagerAccess().apply_to(owned_role(w.stack)), TypeError
    ),
    "an imported node group for `SessionManagerAccess.apply_to`": Row(
        lambda w: SessionManagerAccess().apply_to(
            eks.Nodegroup.from_nodegroup_name(w.stack, "Nodes", "workers")
        ),
        ValueError,
    ),
    "a stage below a fleet that has no fleet of its own": Row(over_a_stage, "synthesis"),
    "a profile that an Aspect makes after a fleet's turn": Row(before_an_aspect, "synthesis"),
    "a profile that a fleet with `strict=True` can't attach to": Row(
        of_a_bare_resource(strict=True), "synthesis"
    ),
    "a node group whose role is not given by its ARN, and a fleet with `strict=True`": Row(
        over_a_node_group("worker"), "synthesis"
    ),
    "a fleet with `strict=True` that covers nothing": Row(
        lambda w: SessionManagerFleet(w.app, "Fleet", strict=True), "synthesis"
    ),
}
PREFERENCES: Final = {
    "an invalid `document_name`": Row(preferences(document_name="a b"), ValueError),
    "the account's default document for a new one": Row(
        preferences(document_name="SSM-SessionManagerRunShell"), ValueError
    ),
    "a `document_name` that begins as AWS's own documents do": Row(
        preferences(document_name="AWSSupport-Sessions"), ValueError
    ),
    "an invalid `run_as_user`": Row(preferences(run_as_user="1a"), ValueError),
    "`root` for `run_as_user`": Row(preferences(run_as_user="root"), ValueError),
    "`run_as_user` beside `run_as_enabled=False`": Row(
        preferences(run_as_enabled=False, run_as_user="operator"), ValueError
    ),
    "a number for `idle_timeout`": Row(preferences(idle_timeout=20), TypeError),
    "an `idle_timeout` out of bounds": Row(
        preferences(idle_timeout=cdk.Duration.hours(2)), ValueError
    ),
    "`enforce_cloudwatch_encryption` without a log group": Row(
        preferences(enforce_cloudwatch_encryption=True), ValueError
    ),
    "`enforce_cloudwatch_encryption` and a log group without a key": Row(
        preferences(
            enforce_cloudwatch_encryption=True, log_group=lambda s: logs.LogGroup(s, "LogGroup")
        ),
        ValueError,
    ),
    "`enforce_s3_encryption`, which is the default, and a bucket that encrypts twice": Row(
        preferences(log_bucket=encrypted_twice), ValueError
    ),
    "a shell profile with a `{{`": Row(
        preferences(linux_shell_profile="docker ps --format '{{.Names}}'"), ValueError
    ),
}
ENDPOINTS: Final = {
    "the id of a VPC for `vpc`": Row(endpoints(vpc="vpc-1"), TypeError),
    "another `endpoint_policy`": Row(endpoints(endpoint_policy="organization"), ValueError),
    "an endpoint of the same service that is defined later": Row(before_an_endpoint, "synthesis"),
}
OPERATORS: Final = {
    "no instances": Row(start_session(), ValueError),
    "all instances and some": Row(
        start_session(all_instances=True, instance_tags={"team": "web"}), ValueError
    ),
    "a string for `instance_arns`": Row(
        start_session(instance_arns="i-0123456789abcdef0"), TypeError
    ),
    "an ARN that is not an instance's": Row(
        start_session(instance_arns=["i-0123456789abcdef0"]), ValueError
    ),
    "an instance's ARN without a region": Row(
        start_session(instance_arns=[f"arn:aws:ec2::{ACCOUNT}:instance/i-1"]), ValueError
    ),
    "a list for `instance_tags`": Row(start_session(instance_tags=["team"]), TypeError),
    "a tag without a value": Row(start_session(instance_tags={"team": []}), ValueError),
    "a tag whose value is not a string": Row(start_session(instance_tags={"team": 7}), TypeError),
    "a string for `grantee`": Row(
        start_session(grantee="operators", all_instances=True), TypeError
    ),
    "a grantee whose policies can't be changed": Row(
        start_session(
            grantee=lambda s: iam.Role.from_role_arn(s, "Role", role_arn("ops"), mutable=False),
            all_instances=True,
        ),
        ValueError,
    ),
    "a grantee of another account": Row(
        start_session(grantee=owned_elsewhere, all_instances=True), ValueError
    ),
}
WARNINGS: Final = {
    "a key of another account": Row(
        permissions(
            role=existing_role, encryption_key=lambda s: existing_key(s, account=OTHER_ACCOUNT)
        ),
        "warning",
    ),
    "an option of the app that its list does not have": Row(
        of_an_option_that_is_not_in_the_file, "warning"
    ),
    "keys, and none of the region of the stack": Row(
        permissions(
            role=existing_role, encryption_key=lambda s: existing_key(s, region=OTHER_REGION)
        ),
        "warning",
    ),
    "an L1 bucket whose key only the deployment knows": Row(
        statements(log_bucket=lambda s: l1_bucket(s, parameter(s))), "warning"
    ),
    "a bucket that encrypts twice": Row(statements(log_bucket=encrypted_twice), "warning"),
    "an L1 role that has a condition": Row(on_a_condition, "warning"),
    "an L1 endpoint that has a condition": Row(beside_an_endpoint_on_a_condition, "warning"),
    "a profile that a fleet can't attach to": Row(of_a_bare_resource(strict=False), "warning"),
    "a fleet that covers nothing": Row(lambda w: SessionManagerFleet(w.stack, "Fleet"), "warning"),
    "in `exclude` of a fleet what has no compute": Row(over_an_idle_exclusion, "warning"),
    "`ssm-user` for `run_as_user`": Row(preferences(run_as_user="ssm-user"), "warning"),
}
REFUSED: Final[Any] = {"Error": {"Code": "UnauthorizedException", "Message": "No access"}}
VERIFY: Final = {
    "`--log-prefix` without `--log-bucket`, as the command prints it": Row(
        at_the_commands_end, "stderr"
    ),
    "a name with its path for `--role`": Row(command("--role", "team/web"), SystemExit),
    "an ARN for `--instance-profile`": Row(
        command("--instance-profile", f"arn:aws:iam::{ACCOUNT}:instance-profile/web"), SystemExit
    ),
    "an id for `--key`": Row(command("--role", "web", "--key", KEY_ID), SystemExit),
    "a blank in `--document`": Row(command("--role", "web", "--document", "a b"), SystemExit),
    "an ARN for `--log-bucket`": Row(
        command("--role", "web", "--log-bucket", "arn:aws:s3:::logs"), SystemExit
    ),
    "a wildcard in `--log-prefix`": Row(
        command("--role", "web", "--log-bucket", "logs", "--log-prefix", "web/*"), SystemExit
    ),
    "a wildcard in `--log-group`": Row(command("--role", "web", "--log-group", "*"), SystemExit),
    "`--log-prefix` without `--log-bucket`": Row(
        command("--role", "web", "--log-prefix", "web"), CannotAsk
    ),
    "`--document` and `--key`": Row(
        command("--role", "web-server", "--document", "Sessions", "--key", key_arn()),
        CannotAsk,
    ),
    "`--document` without a region": Row(
        command("--role", "web-server", "--document", "Sessions", answers=has_role), CannotAsk
    ),
    "`--log-group` without a region": Row(
        command("--role", "web-server", "--log-group", "sessions", answers=has_role), CannotAsk
    ),
    "a `--document` that does not exist": Row(command(*ASKED, answers=has_role), NotThere),
    "a `--document` of another type": Row(
        command(*ASKED, answers=has_the_document('{"sessionType": "Shell"}')), CannotAsk
    ),
    "a `--document` with a parameter": Row(
        command(
            *ASKED,
            answers=has_the_document(
                json.dumps({"sessionType": "Standard_Stream", "inputs": {"kmsKeyId": "{{ key }}"}})
            ),
        ),
        CannotAsk,
    ),
    "a `--document` with a name that AWS does not take": Row(
        command(
            *ASKED,
            answers=has_the_document(
                json.dumps({"sessionType": "Standard_Stream", "inputs": {"s3BucketName": "*"}})
            ),
        ),
        CannotAsk,
    ),
    "a `--document` with something else for a boolean": Row(
        command(
            *ASKED,
            answers=has_the_document(
                json.dumps({"sessionType": "Port", "inputs": {"runAsEnabled": "yes"}})
            ),
        ),
        CannotAsk,
    ),
    "`--operator` without `--instance-id`": Row(
        command("--role", "web", "--operator", "caller"), CannotAsk
    ),
    "`--log-group` with `--instance-id`": Row(
        command("--instance-id", nodes.NODE, "--log-group", "sessions"), CannotAsk
    ),
    "`--instance-id` without a region": Row(command("--instance-id", nodes.NODE), CannotAsk),
    "an `--instance-id` that does not exist": Row(
        of_node(
            nodes.NODE,
            breaks=lambda w: w.refuses("ec2:DescribeInstances", "InvalidInstanceID.NotFound"),
        ),
        NoNode,
    ),
    "an `--instance-id` that EC2 does not know any more": Row(
        of_node(nodes.NODE, breaks=lambda w: w.has("ec2:describe_instances", {"Reservations": []})),
        NoNode,
    ),
    "an `--instance-id` of a hybrid node that does not exist": Row(
        of_node(nodes.HYBRID, breaks=lambda w: setattr(w, "record", None)), NoNode
    ),
    "`--instance-id` and a `--document` that does not exist": Row(
        of_node(nodes.NODE, "--document", "Mine"), NotThere
    ),
    "`--operator caller` as the root user": Row(by_root, CannotAsk),
    "an `--operator` of another account": Row(of_another_account, CannotAsk),
    "an `--agent-diagnostics` file that does not exist": Row(
        of_node(nodes.NODE, "--agent-diagnostics", "/nonexistent"), CannotAsk
    ),
    "the table of the diagnostics, and not the JSON": Row(with_diagnostics("┌────"), CannotAsk),
    "`--agent-diagnostics` with other JSON": Row(with_diagnostics("{}"), CannotAsk),
    "`--agent-diagnostics` of another node": Row(
        with_diagnostics(json.dumps({"DiagnosticsOutput": [OTHER_NODE]})), CannotAsk
    ),
    "the package without its extra": Row(command("--role", "web", answers=lacks_boto3), CannotAsk),
    "no credentials": Row(without_an_answer("--role", "web"), CannotAsk),
    "credentials that may not call IAM": Row(
        command("--role", "web", answers=says_no("GetRole", "AccessDenied")), NotPermitted
    ),
    "credentials that may not read a hybrid node": Row(
        of_node(nodes.HYBRID, breaks=lambda w: w.refuses("ssm:DescribeInstanceInformation")),
        NotPermitted,
    ),
    "a `--profile` that does not exist": Row(
        without_an_answer("--role", "web", "--profile", "nobody"), CannotAsk
    ),
    "a `--profile` whose role may not be assumed": Row(
        command("--role", "web", answers=may_not_assume), CannotAsk
    ),
    "a profile that asks for an MFA code, without a terminal": Row(
        command("--role", "web", answers=fails_by(EOFError())), CannotAsk
    ),
    "`AWS_MAX_ATTEMPTS=often`": Row(
        with_variable("AWS_MAX_ATTEMPTS", "often", "--role", "web"), CannotAsk
    ),
    "a `credential_process` that does not exist": Row(
        command(
            "--role", "web", answers=fails_by(FileNotFoundError(2, "No such file", "/nonexistent"))
        ),
        CannotAsk,
    ),
    "a `credential_process` that is empty": Row(with_profile("credential_process ="), CannotAsk),
    "a `credential_process` that prints nothing": Row(
        with_profile("credential_process = true"), CannotAsk
    ),
    "a `credential_process` that fails": Row(with_profile("credential_process = false"), CannotAsk),
    "a profile of IAM Identity Center, not signed in": Row(
        with_profile(
            "sso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\n"
            f"sso_account_id = {ACCOUNT}\nsso_role_name = operator\n"
        ),
        CannotAsk,
    ),
    "a sign-in of the AWS CLI that has expired": Row(
        command("--role", "web", answers=fails_by(LoginRefreshRequired())), CannotAsk
    ),
    "credentials that can't be refreshed": Row(
        command(
            "--role",
            "web",
            answers=fails_by(CredentialRetrievalError(provider="sso", error_msg="too late")),
        ),
        CannotAsk,
    ),
    "`AWS_ENDPOINT_URL` without a region": Row(
        with_variable("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "--role", "web"), CannotAsk
    ),
    "a region that no host name can have": Row(
        command("--role", "web", answers=fails_by(InvalidRegionError(region_name="a_b"))),
        CannotAsk,
    ),
    "a proxy that answers in place of AWS": Row(
        command("--role", "web", answers=fails_by(KeyError("GetRoleResult"))), CannotAsk
    ),
    "a role whose ARN is none": Row(
        command(
            "--role",
            "web",
            answers=has_answer("iam:get_role", {"Role": {"Arn": "no ARN of a role/web"}}),
        ),
        CannotAsk,
    ),
    "a key policy that is not JSON": Row(with_a_key_policy_of_no_json, CannotAsk),
    "a region that is misspelt, of whose endpoint there is no address": Row(
        command(*IN_REGION, answers=fails_by(EndpointConnectionError(endpoint_url="https://iam"))),
        CannotAsk,
    ),
    "no network, and no region": Row(
        command(
            *("--role", "web"),
            answers=fails_by(EndpointConnectionError(endpoint_url="https://iam")),
        ),
        CannotAsk,
    ),
    "a sign-in of IAM Identity Center that AWS refuses": Row(
        command("--role", "web", answers=fails_by(ClientError(REFUSED, "GetRoleCredentials"))),
        CannotAsk,
    ),
    "a connection that ends": Row(
        command(
            "--role", "web", answers=fails_by(ConnectionClosedError(endpoint_url="https://iam"))
        ),
        CannotAsk,
    ),
    "a service that does not answer": Row(
        of_node(
            nodes.NODE,
            "--document",
            "Mine",
            breaks=lambda w: w.has(
                "ssm:describe_instance_information",
                ConnectTimeoutError(endpoint_url="https://ssm"),
            ),
        ),
        CannotAsk,
    ),
    "credentials that have expired": Row(
        command("--role", "web", answers=says_no("GetRole", "ExpiredToken")), CannotAsk
    ),
    "a region that is not enabled": Row(
        command(*IN_REGION, answers=says_no("GetRole", "UnrecognizedClientException")),
        CannotAsk,
    ),
    "a call that AWS refuses": Row(
        command("--role", "web", answers=says_no("GetRole", "Throttling")), CannotAsk
    ),
    "an action that IAM does not answer": Row(
        command("--role", "web-server", answers=leaves_an_answer_out), CannotAsk
    ),
    "a `--role` that does not exist": Row(
        command("--role", "web", answers=says_no("GetRole", "NoSuchEntity")), NotThere
    ),
    "a `--role` of another account": Row(
        command("--role", role_arn("team/web-server", OTHER_ACCOUNT), answers=has_role), CannotAsk
    ),
    "an `--instance-profile` that does not exist": Row(
        command("--instance-profile", "web", answers=says_no("GetInstanceProfile", "NoSuchEntity")),
        NotThere,
    ),
    "an `--instance-profile` without a role": Row(
        command(
            "--instance-profile",
            "web-server",
            answers=lambda w: setattr(w.account, "of_profile", {"Roles": []}),
        ),
        CannotAsk,
    ),
    "a `--key` by an alias that does not exist": Row(
        command(
            "--role",
            "web-server",
            "--key",
            key_arn(resource="alias/sessions"),
            answers=has_no_alias,
        ),
        NotThere,
    ),
    "a role that is deleted while IAM is asked": Row(
        command("--role", "web-server", answers=loses_its_role), NotThere
    ),
    "standard output that is closed": Row(
        command("--role", "web-server", answers=has_no_standard_output), CannotAsk
    ),
    "standard output that nobody reads": Row(
        command("--role", "web-server", answers=is_not_read), CannotAsk
    ),
    "an error of the program": Row(surprised, "stderr"),
}
AUDIT: Final = {
    "`--tag` without a value": Row(audit("--tag", "env"), SystemExit),
    "`--tag` twice with the same key": Row(
        audit("--tag", "env=prod", "--tag", "env=test"), CannotAsk
    ),
    "no region": Row(audit(region=None), CannotAsk),
    "credentials that may read no region": Row(audit(denied=True), CannotAsk),
    "a `--file` in a folder that does not exist": Row(
        audit("--file", "/nowhere/audit.json"), CannotAsk
    ),
    "a `--file` that is a folder": Row(audit("--file", "/tmp"), CannotAsk),  # noqa: S108
    "a `--profiles-file` that is a folder": Row(audit("--profiles-file", "/tmp"), CannotAsk),  # noqa: S108
    "one path for `--file` and `--profiles-file`": Row(
        audit("--file", "a.txt", "--profiles-file", "./a.txt"), CannotAsk
    ),
    "a `--profiles-file` that is a symbolic link": Row(on_a_link, CannotAsk),
    "a `--profiles-file` that is a device": Row(audit("--profiles-file", os.devnull), CannotAsk),
    "a `--profiles-file` that is read-only": Row(on_a_read_only_file, CannotAsk),
    "a `--profiles-file` that is no list": Row(on_no_list, CannotAsk),
    "`--profiles-file` for the results of two accounts": Row(of_two_accounts, CannotAsk),
    "Ctrl-C before there is an answer": Row(interrupted, "stderr"),
    "`--from` with `--tag`": Row(audit("--from", "audit.json", "--tag", "env=prod"), CannotAsk),
    "a `--from` file that does not exist": Row(from_file(None), CannotAsk),
    "a `--from` file that is not JSON": Row(from_file("┌────"), CannotAsk),
    "a `--from` file that is nested too deep": Row(from_file("[" * 51 + "]" * 51), CannotAsk),
    "a `--from` file that is too large": Row(of_a_large_file, CannotAsk),
    "`--from` with the JSON of `verify`": Row(
        from_file('{"version": 1, "ready": true}'), CannotAsk
    ),
    "`--from` with the result of a newer version": Row(from_file('{"version": 2}'), CannotAsk),
    "`--compare` with a result of another `--tag`": Row(compared_to(tags=["env=prod"]), CannotAsk),
    "`--compare` with a result of other regions": Row(compared_to(regions=[]), CannotAsk),
}
POLICY: Final = {
    "`--log-prefix` and no `--log-bucket`": Row(policy_command("--log-prefix", "web"), CannotAsk),
    "the name of a log group alone": Row(
        policy_command("--log-group", "/ssm/sessions", "--region", REGION), CannotAsk
    ),
    "another ARN for `--log-group`": Row(policy_command("--log-group", key_arn()), SystemExit),
    "a `--key` of an AWS service": Row(
        policy_command("--key", key_arn(resource="alias/aws/ssm")), CannotAsk
    ),
    "ARNs of two partitions": Row(
        policy_command("--key", key_arn(), "--partition", "aws-cn"), CannotAsk
    ),
}
APP: Final = {
    "the module without the CDK CLI": Row(without_the_cli, SystemExit),
    "a misspelt option": Row(app(rolle="web"), SystemExit),
    "an option without a value": Row(app(role=""), SystemExit),
    "an option that takes `true` or `false`, with something else": Row(
        app(role="web", allow_registration="yes"), SystemExit
    ),
    "neither a role nor a profile": Row(app(key=key_arn()), SystemExit),
    "no credentials, or no region": Row(app(role="web", environment={}), SystemExit),
    "an alias without its ARN for `key`": Row(app(role="web", key="alias/sessions"), SystemExit),
    "the ARN of a bucket for `log-bucket`": Row(
        app(role="web", log_bucket="arn:aws:s3:::logs"), SystemExit
    ),
    "an answer in `cdk.context.json` that the CLI has not written": Row(
        app(roles="names.txt", file=b"web", answer=[{"Arn": "web"}]), "error"
    ),
    "an option of a file that is not known": Row(
        app(roles="names.txt", file=b"allow_registration = true\nweb"), SystemExit
    ),
    "an option of a file without a space, which can be a name": Row(
        app(roles="names.txt", file=b"allow-registration=true\nweb"), SystemExit
    ),
    "an option that contradicts the file": Row(
        app(roles="names.txt", file=b"allow-registration = true\nweb", allow_registration="false"),
        SystemExit,
    ),
    "a second key of a file that an AWS service has": Row(
        app(
            roles="names.txt",
            file=f"key = {key_arn()}\nkey = {key_arn(resource='alias/aws/ssm')}\nweb".encode(),
        ),
        SystemExit,
    ),
    "`log-prefix` without `log-bucket`": Row(app(role="web", log_prefix="web"), SystemExit),
    "the ARN of something else for `role`": Row(app(role="arn:aws:s3:::logs"), SystemExit),
    "a file that does not exist": Row(app(roles="nowhere.txt"), SystemExit),
    "a file in UTF-16": Row(app(roles="names.txt", file="web".encode("utf-16")), SystemExit),
    "a file without a name": Row(app(roles="names.txt", file=b"# none"), SystemExit),
    "a file with too many names": Row(app(roles="names.txt", file=b"web\n" * 501), SystemExit),
    "a line that is not a name": Row(app(roles="names.txt", file=b"web\na b"), SystemExit),
    "a name that is in the file twice": Row(
        app(roles="names.txt", file=f"web\n{role_arn('web')}".encode()), SystemExit
    ),
    "an ARN of another account": Row(
        app(roles="names.txt", file=role_arn("web", OTHER_ACCOUNT).encode()), SystemExit
    ),
    "a service-linked role in a file": Row(
        app(
            roles="names.txt",
            file=b"web",
            answer=[{"Arn": role_arn("aws-service-role/ec2.amazonaws.com/web")}],
        ),
        SystemExit,
    ),
    "the ARN of a role in a file of profiles": Row(
        app(instance_profiles="names.txt", file=role_arn("web").encode()), SystemExit
    ),
    "a name that does not exist": Row(
        app(
            instance_profiles="names.txt",
            file=b"web",
            answer={
                "$providerError": "No resource of type AWS::IAM::InstanceProfile with "
                "identifier: web"
            },
        ),
        "error",
    ),
    "a profile without a role": Row(
        app(
            instance_profiles="names.txt",
            file=b"web",
            answer=[{"Roles": [], "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/web"}],
        ),
        "error",
    ),
}
OF_APP: Final[dict[str, Any]] = {"cdk__manifest_json": "{}"}
STACK: Final = {
    "type": "aws:cloudformation:stack",
    "properties": {"templateFile": "Web.template.json"},
    "additionalMetadataFile": "Web.metadata.json",
}
BOMB: Final = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
)
CHECK: Final = {
    "a `--skip` of a rule that does not exist": Row(
        checked("--skip", "channel-mising", "a.json"), SystemExit
    ),
    "no `cdk.out`": Row(checked(), CannotAsk),
    "a file that does not exist": Row(checked("a.json"), CannotAsk),
    "a folder that CDK has not written": Row(checked("cdk", cdk__a_json="{}"), CannotAsk),
    "the output of an app without a stack": Row(checked("cdk", **OF_APP), CannotAsk),
    "a `manifest.json` that is cut off": Row(checked("cdk", cdk__manifest_json="{"), CannotAsk),
    "an app of which a file is missing": Row(
        checked("cdk", cdk__manifest_json=json.dumps({"artifacts": {"Web": STACK}})), CannotAsk
    ),
    "a file that can't be read": Row(checked("/proc/self/mem"), CannotAsk),
    "a file without end": Row(checked("/dev/zero"), CannotAsk),
    "a template without resources": Row(checked("a.json", a_json="{}"), CannotAsk),
    "a file that is empty": Row(checked("a.yaml", a_yaml=""), CannotAsk),
    "a file that is not text in UTF-8": Row(checked("a.yaml", a_yaml=b"a: \xe4"), CannotAsk),
    "JSON with an error": Row(checked("a.json", a_json="{,}"), CannotAsk),
    "JSON with a number of too many digits": Row(
        checked("a.json", a_json='{"a": ' + "1" * 5_000 + "}"), CannotAsk
    ),
    "JSON that is nested too deep": Row(checked("a.json", a_json='{"a":' * 100_000), CannotAsk),
    "YAML with an error": Row(checked("a.yaml", a_yaml="A: [\n"), CannotAsk),
    "YAML with a control character": Row(checked("a.yaml", a_yaml="A: \x07\n"), CannotAsk),
    "YAML that is nested too deep": Row(checked("a.yaml", a_yaml="[" * 450 + "]" * 450), CannotAsk),
    "YAML that is a list": Row(checked("a.yaml", a_yaml="[]"), CannotAsk),
    "YAML with a key twice": Row(checked("a.yaml", a_yaml="A: 1\nA: 2\n"), CannotAsk),
    "YAML with a list for a key": Row(checked("a.yaml", a_yaml="? [a]\n: b\n"), CannotAsk),
    "YAML with an alias in its own value": Row(
        checked("a.yaml", a_yaml="A: &a\n  B: *a\n"), CannotAsk
    ),
    "YAML with aliases that multiply": Row(checked("a.yaml", a_yaml=BOMB), CannotAsk),
    "YAML without the extra": Row(checked("a.yaml", a_yaml="A: 1", without_yaml=True), CannotAsk),
}
SECTIONS: Final = {
    "Roles and profiles": ROLES,
    "Names and texts": NAMES,
    "Keys": KEYS,
    "Logs and other options": LOGS,
    "Look-ups and fleets": FLEETS,
    "Preferences": PREFERENCES,
    "Endpoints": ENDPOINTS,
    "Operators": OPERATORS,
    "Warnings": WARNINGS,
    "`session-manager-permissions verify`": VERIFY,
    "`session-manager-permissions audit`": AUDIT,
    "`session-manager-permissions policy`": POLICY,
    "`session-manager-permissions check`": CHECK,
    "`app.py`": APP,
}
"""The rows by the headings of docs/errors.md, whose tables are made from the snapshot."""


ENDS_A_WORLD: Final = r"NoSuchDeployment|TooManyWorlds|^raise RuntimeError\(message\)$"
"""What the check at synthesis raises within itself, and no user reads."""
SAYING: Final = r"\.add_warning_v2$|\.add_error$|_errors\.append$|stderr\.write$"


def sites() -> dict[tuple[str, int], tuple[str, int]]:
    """Each line of a statement that says something to the user, and the first line of it."""
    found = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                is_said = re.search(SAYING, ast.unparse(node.func)) is not None
            else:
                is_said = isinstance(node, ast.Raise) and node.exc is not None
                is_said = is_said and not re.search(ENDS_A_WORLD, ast.unparse(node))
            if isinstance(node, (ast.Call, ast.Raise)) and is_said:
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                found.update({(str(path), line): (str(path), node.lineno) for line in lines})
    return found


SITES: Final = sites()
reached: set[tuple[str, int]] = set()
"""Of `SITES`, those that a row came to."""


def note(frame: FrameType, event: str, _: object) -> None:
    """Note the line that a function ends on, by an error too, or calls another from."""
    if event == "call":
        caller = frame.f_back
        assert caller
        frame = caller
    if event in {"call", "c_call", "return"}:
        at = SITES.get((frame.f_code.co_filename, frame.f_lineno))
        if at:
            reached.add(at)


def said(row: Row, w: World, capsys: pytest.CaptureFixture[str]) -> str:
    """What the user reads."""
    text = ""
    sys.setprofile(note)
    try:
        if not isinstance(row.kind, str):
            with pytest.raises(row.kind) as error:
                row.does(w)
            assert error.type is row.kind
            text = str(error.value)
        else:
            row.does(w)
        if row.kind == "warning":
            (text,) = warnings(w.stack)
        elif row.kind == "error":
            (text,) = errors_of_the_cli(w.folder / "app")
        elif row.kind == "synthesis":
            with pytest.raises(RuntimeError) as failure:
                synth(w.stack)
            text = str(failure.value).partition("] ")[2]
    finally:
        sys.setprofile(None)
    if row.kind == "stderr" or text == "2":  # the exit status of a wrong command line
        text = capsys.readouterr().err.splitlines()[-1]
    return re.sub(r"\$\{Token\[[^\]]*\]\}|#\{Token\[[^\]]*\]\}", "TOKEN", text)


def errors_of_the_cli(folder: Path) -> list[str]:
    """What the CLI shows as errors of an app that has been synthesized."""
    return [
        entry["data"]
        for file in folder.glob("*.metadata.json")
        for entries in json.loads(file.read_text(encoding="utf-8")).values()
        for entry in entries
        if entry["type"] == "aws:cdk:error"
    ]


class Text(SingleFileSnapshotExtension):
    """One file, to read line by line."""

    file_extension = "txt"
    _write_mode = WriteMode.TEXT


def test_the_messages(
    make_app: MakeApp,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    subtests: pytest.Subtests,
    snapshot: SnapshotAssertion,
) -> None:
    """Each is as it was, and none is left out.

    To reword one: change it, run this with `--snapshot-update`, read the difference, and run
    `make tables`, which writes docs/errors.md.
    """
    page = []
    for heading, rows in SECTIONS.items():
        page.append(f"# {heading}\n")
        for did, row in rows.items():
            with subtests.test(did), pytest.MonkeyPatch.context() as patch, ExitStack() as exits:
                text = said(row, World(make_app, tmp_path, patch, exits), capsys)
                kind = row.kind if isinstance(row.kind, str) else row.kind.__name__
                page.append(f"{did}\n  {kind}: {text}\n")

    assert "\n".join(page) == snapshot(extension_class=Text)
    assert len(SITES) > 100
    assert {*SITES.values()} - reached == set()
