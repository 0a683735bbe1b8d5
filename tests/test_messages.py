"""Every error and warning that a user may read: what causes it, and its text in a snapshot."""

import ast
import functools
import json
import os
import re
import runpy
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeAlias
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
from botocore import exceptions as errors
from botocore import xform_name
from constructs import Construct, IConstruct
from syrupy.assertion import SnapshotAssertion
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
from session_manager_permissions._command import main
from session_manager_permissions._readiness.templates import loading
from session_manager_permissions._verify import asking
from session_manager_permissions._verify import command as command_module
from session_manager_permissions._verify import options as options_module
from session_manager_permissions._verify.audit import answering
from session_manager_permissions._verify.files import write
from session_manager_permissions._verify.operators import find_operator
from session_manager_permissions._verify.resource_policy import key_policy
from session_manager_permissions._verify.text import PROGRAM

from .builders import answered, bare_profile, imported_profile, l1_nodes, l1_profile, made
from .conftest import ROOT, MakeApp, run_app
from .constructs.test_endpoints import isolated, l1
from .keys import existing_bucket, existing_key, imported_alias, l1_bucket, l2_bucket
from .places import ACCOUNT, ELSEWHERE, HERE, KEY_ID, OTHER_ACCOUNT, REGION, key_arn, role_arn
from .reading import app_of, asked_for, errors_of_the_cli, warnings
from .roles import existing_role, l1_role, owned_role, role_by_arn
from .templates import parameter
from .test_readme import code, prose
from .verify import accounts, audits, nodes
from .verify.conftest import no_account

__all__ = ["no_account"]  # a fixture

DOCUMENT: Final = "SSM-SessionManagerRunShell"
SERVER: Final = f"--role web-server --region {REGION}"
HERE_ON: Final = f"--region {REGION} --instance-id"
NODE: Final = f"{HERE_ON} {nodes.NODE}"
GROUP_ARN: Final = f"arn:aws:iam::{ACCOUNT}:group/team/web"
PROFILE_ARN: Final = f"arn:aws:iam::{ACCOUNT}:instance-profile/web"
NO_ROLE: Final = [{"Roles": [], "Arn": PROFILE_ARN}]
SOURCES: Final = (ROOT / "app.py", *sorted((ROOT / "session_manager_permissions").rglob("*.py")))


class World:
    """The fixtures of a row: a stack, and an account if the row asks for one."""

    def __init__(
        self, make_app: MakeApp, folder: Path, patch: pytest.MonkeyPatch, exits: ExitStack
    ) -> None:
        self.make_app = make_app
        self.folder = folder
        self.patch = patch
        patch.chdir(folder)
        self.app = make_app()
        self.stack = cdk.Stack(self.app, "Stack", env=HERE)
        self.exits = exits

    @functools.cached_property
    def account(self) -> nodes.World:
        account = nodes.World()
        session = functools.partial(nodes.session_in, account)
        self.patch.setattr(command_module, "aws_session", session)
        return account


Cause: TypeAlias = "Callable[[World], object]"
"""What the user did."""


def permissions(**options: Any) -> Cause:  # noqa: ANN401
    """Make a construct with these options; a callable option is called with the stack."""
    return lambda w: SessionManagerPermissions(w.stack, "Permissions", **made(w.stack, options))


def statements(**options: Any) -> Cause:  # noqa: ANN401
    return lambda w: session_manager_statements(**made(w.stack, options))


def preferences(**options: Any) -> Cause:  # noqa: ANN401
    return lambda w: SessionPreferences(w.stack, "Preferences", **made(w.stack, options))


def fleet(**options: Any) -> Cause:  # noqa: ANN401
    return lambda w: SessionManagerFleet(w.stack, "Fleet", **made(w.stack, options))


def endpoints(**options: Any) -> Cause:  # noqa: ANN401
    return lambda w: SessionManagerEndpoints(
        w.stack, "Endpoints", **made(w.stack, {"vpc": isolated} | options)
    )


def before_an_endpoint(w: World) -> object:
    vpc = isolated(w.stack)
    SessionManagerEndpoints(w.stack, "Endpoints", vpc=vpc)
    return vpc.add_interface_endpoint("Late", service=ec2.InterfaceVpcEndpointAwsService.SSM)


def beside_an_endpoint_on_a_condition(w: World) -> object:
    vpc = isolated(w.stack)
    l1(w.stack, vpc).cfn_options.condition = cdk.CfnCondition(w.stack, "Wanted")
    return SessionManagerEndpoints(w.stack, "Endpoints", vpc=vpc)


def start_session(**access: Any) -> Cause:  # noqa: ANN401
    def does(w: World) -> object:
        given = made(w.stack, access)
        grantee = given.pop("grantee", None) or iam.Group(w.stack, "Operators")
        existing = SessionPreferences.from_document_name(w.stack, "Preferences")
        return existing.grant_start_session(grantee, **given)

    return does


def called(callee: Any, *arguments: Any, **options: Any) -> Cause:  # noqa: ANN401
    return lambda _: callee(*arguments, **options)


def by_arn(arn: str, *, mutable: bool = True) -> Cause:
    return permissions(role=lambda s: role_by_arn(s, arn, mutable=mutable))


def by_token(stack: cdk.Stack) -> iam.IRole:
    role = iam.CfnRole(stack, "Owned", assume_role_policy_document={}, path="/team/")
    return role_by_arn(stack, role.attr_arn)


def by_name(name: str) -> Cause:
    return permissions(role=lambda s: existing_role(s, "Role", name))


def prefixed(prefix: str) -> Cause:
    return statements(log_bucket=existing_bucket, log_prefix=prefix)


def with_key(arn: str) -> Cause:
    return statements(encryption_key=lambda s: kms.Key.from_key_arn(s, "Key", arn))


def group(stack: cdk.Stack, name: str = "/session/logs") -> logs.ILogGroup:
    return logs.LogGroup.from_log_group_name(stack, "LogGroup", name)


def profile(*roles: str) -> Callable[[cdk.Stack], iam.CfnInstanceProfile]:
    return lambda s: l1_profile(s, *roles)


def look_up(stack: cdk.Stack) -> iam.IInstanceProfile:
    return lookup_instance_profile(stack, "Profile", instance_profile_name="web")


def twice_on_one_role(w: World) -> None:
    for name in ("One", "Two"):
        role = existing_role(w.stack, f"Role{name}", "web")
        SessionManagerPermissions(w.stack, name, role=role, policy_name="Sessions")


def with_its_policy(w: World) -> object:
    document = iam.PolicyDocument()
    policy = iam.CfnRole.PolicyProperty(policy_document=document, policy_name="Sessions")
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


def over(make: Callable[[cdk.Stack], object], *, strict: bool) -> Cause:
    """Make a fleet of a stack with this in it."""

    def does(w: World) -> object:
        make(w.stack)
        return SessionManagerFleet(w.stack, "Fleet", strict=strict)

    return does


def owned_elsewhere(stack: cdk.Stack) -> iam.Role:
    return owned_role(cdk.Stack(app_of(stack), "Other", env=ELSEWHERE))


def run(line: str, *changes: Cause) -> Cause:
    """Run the command after these changes."""

    def does(w: World) -> None:
        for change in changes:
            change(w)
        assert main(shlex.split(line)) == command_module.CANNOT_ASK

    return does


def command(line: str = "--role web", *changes: Cause) -> Cause:
    """Run `verify` in an account with these changes."""
    return run(f"verify {line}", lambda w: w.account, *changes)


def file(name: str, content: str | bytes) -> Cause:
    """Write a file in the current folder."""

    def does(w: World) -> None:
        path = w.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return does


def has_no_large_files(w: World) -> None:
    for module, most in ((loading, "_MOST_BYTES"), (options_module, "MOST_BYTES")):
        w.patch.setattr(module, most, 2**20)


def checked(line: str, *changes: Cause) -> Cause:
    return run(f"check {line}", has_no_large_files, *changes)


def lacks(module: str) -> Cause:
    return lambda w: w.patch.setitem(sys.modules, module, None)


def yaml(text: str | bytes, *changes: Cause) -> Cause:
    return checked("a.yaml", file("a.yaml", text), *changes)


def json_file(text: str | bytes) -> Cause:
    return checked("a.json", file("a.json", text))


def manifest(text: str) -> Cause:
    return checked("cdk", file("cdk/manifest.json", text))


def template(text: str) -> Cause:
    """A file whose name does not say whether it is JSON or YAML."""
    return checked("a.template", file("a.template", text))


def with_diagnostics(text: str) -> Cause:
    """Run `verify` of a node, with a diagnostics file of this text."""
    return command(f"{NODE} --agent-diagnostics agent.json", file("agent.json", text))


def audit(line: str = "", *does: Cause, region: str | None = REGION, denied: bool = False) -> Cause:
    """Run `audit` in an account without instances, which may deny `ec2:DescribeInstances`."""

    def serve(w: World) -> None:
        account = accounts.Account()
        if denied:
            account.refused["ec2:DescribeInstances"] = "UnauthorizedOperation"
        session = nodes.session_in(account, region=region)
        w.patch.setattr(answering, "aws_session", lambda *_, **__: session)

    return run(f"audit --output json {line}", serve, *does)


def from_file(text: str) -> Cause:
    """Run `audit --from` with a file of this text."""
    return audit("--from audit.json", has_no_large_files, file("audit.json", text))


def is_read_only(w: World) -> None:
    w.patch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    write("kept.txt", "--profiles-file", "web\n")


def has_one_region_twice(w: World) -> None:
    for name in ("audit.json", "again.json"):
        audits.written(w.folder, name, audits.result([]))


def has_two_accounts(w: World) -> None:
    for account in (ACCOUNT, OTHER_ACCOUNT):
        audits.written(w.folder, f"{account}.json", audits.result([audits.node(account=account)]))


def operator(given: str) -> Cause:
    """What the check of an operator can't ask, where the root user asks."""

    def does(w: World) -> None:
        w.account.has("sts:get_caller_identity", ROOT_USER)
        node: Any = Mock(account=ACCOUNT, session=nodes.session_in(w.account))
        asking.answered(find_operator(node, given))

    return does


def with_a_key_policy_of_no_json(w: World) -> None:
    w.account.has("kms:get_key_policy", {"Policy": "<html>"})
    asking.answered(key_policy(nodes.session_in(w.account), nodes.KEY).error)


def after_all_calls(w: World) -> None:
    session = nodes.session_in(w.account).up_to(30)
    for number in range(30):
        session.ask("iam:GetRole", dict, RoleName=str(number))
    asking.answered(key_policy(session, nodes.KEY).error)


OF_SSO: Final = (
    "sso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\n"
    f"sso_account_id = {ACCOUNT}\nsso_role_name = operator\n"
)
EXPIRED: Final = dict.fromkeys(("AccessKeyId", "SecretAccessKey", "SessionToken"), "test") | {
    "Version": 1,
    "Expiration": "2020-01-01T00:00:00Z",
}
"""What a `credential_process` prints."""
OTHER_NODE: Final = {
    "Check": "EC2 IMDS",
    "Status": "Success",
    "Note": "IMDS is accessible and has instance id i-0fedcba9876543210 in region eu-west-1",
}


def has_answer(name: str, answer: object) -> Cause:
    return lambda w: w.account.has(name, answer)


def refuses(operation: str, code: str = "AccessDenied") -> Cause:
    return lambda w: w.account.refuses(operation, code)


SAID: Final = {
    "SignatureDoesNotMatch": "The request signature we calculated does not match the signature "
    "you provided. Check your AWS Secret Access Key and signing method.",
    "UnrecognizedClientException": "The security token included in the request is invalid.",
}
"""What AWS says with some error codes."""


def says_no(operation: str, code: str) -> Cause:
    error = nodes.refusal(operation, code, SAID.get(code, "Rate exceeded"))
    return has_answer(f"iam:{xform_name(operation)}", error)


def fails(error: Exception, line: str = "--role web") -> Cause:
    """Run `verify` of a role, where boto3 raises this error in place of an answer."""
    return command(line, has_answer("iam:get_role", error))


def refusing(code: str) -> Cause:
    """Run `verify` of a role, where IAM answers with this error code."""
    return command("--role web", says_no("GetRole", code))


def is_not_read(w: World) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    w.patch.setattr(sys, "stdout", w.exits.enter_context(os.fdopen(writer, "w")))


def of_document(kind: str, **inputs: object) -> Cause:
    """Run `verify` of a role with a Session document of this session type and these inputs."""
    content = {"sessionType": kind} | ({"inputs": inputs} if inputs else {})
    answer = has_answer("ssm:get_document", {"Content": json.dumps(content)})
    return command(f"{SERVER} --document {DOCUMENT}", answer)


def leaves_an_answer_out(w: World) -> None:
    w.account.decides = lambda asked: {} if asked.action == nodes.CHANNELS[-1] else None


def with_env(name: str, value: str) -> Cause:
    return lambda w: w.patch.setenv(name, value)


def with_profile(text: str) -> Cause:
    """Run `verify` with a profile of this text in the AWS configuration."""
    config = file("config", f"[profile prod]\n{text}")
    return run("verify --role web --profile prod", config, with_env("AWS_CONFIG_FILE", "config"))


def app(*, file: bytes = b"", answer: object = None, **context: Any) -> Cause:  # noqa: ANN401
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
            (w.folder / "names.txt").write_bytes(file)
        if answer:
            run_app(w.patch, w.folder / "app", given, environment)
            given |= {asked["key"]: answer for asked in asked_for(w.folder / "app")}
        run_app(w.patch, w.folder / "app", given, environment)

    return does


def listed(text: str | bytes = b"web", answer: object = None, **context: Any) -> Cause:  # noqa: ANN401
    """Run the app with a file that lists roles or profiles."""
    kind = {} if "instance_profiles" in context else {"roles": "names.txt"}
    file = text.encode() if isinstance(text, str) else text
    return app(file=file, answer=answer, **kind, **context)


def profiles_listed(text: str = "web", answer: object = None) -> Cause:
    return listed(text, answer, instance_profiles="names.txt")


def without_the_cli(w: World) -> None:
    w.patch.delenv("CDK_OUTDIR", raising=False)
    runpy.run_module("session_manager_permissions", run_name="__main__")


def without_cdk(w: World) -> None:
    w.patch.setenv("CDK_OUTDIR", "set by the CLI")
    w.patch.delitem(sys.modules, "session_manager_permissions._app", raising=False)
    w.patch.setitem(sys.modules, "aws_cdk", None)
    runpy.run_module("session_manager_permissions", run_name="__main__")


ENCRYPTS_TWICE: Final = l2_bucket(s3.BucketEncryption.DSSE_MANAGED)
ROLES: Final = {
    "neither `role` nor `instance_profile`": permissions(),
    "both `role` and `instance_profile`": permissions(
        role=existing_role, instance_profile=profile("web")),
    "a string for a role": permissions(role="web"),
    "a class for a role": permissions(role=lambda _: iam.Role),
    "a profile for a role": permissions(role=profile("web")),
    "a string for a profile": permissions(instance_profile="web"),
    "a role for a profile": permissions(instance_profile=existing_role),
    "a role of another account": by_arn(role_arn("web", OTHER_ACCOUNT)),
    "a role that a stack of another account makes": permissions(role=owned_elsewhere),
    "a role with `mutable=False` or `without_policy_updates()`": by_arn(
        role_arn("web"), mutable=False),
    "a role of this account, imported in a stack of another": permissions(
        role=lambda s: role_by_arn(cdk.Stack(app_of(s), "Other", env=ELSEWHERE), role_arn("web"))),
    "an ARN that is not a role's": by_arn(f"arn:aws:iam::{ACCOUNT}:user/web"),
    "an ARN given to `from_role_name`": by_name(role_arn("web")),
    "a name that no role can have": by_name("web server"),
    "a name that CloudFormation would resolve": by_name("{{resolve:ssm:/web/role}}"),
    "a service-linked role": by_arn(role_arn("aws-service-role/ssm.amazonaws.com/Ssm")),
    "a role under `/aws-reserved/`": by_arn(role_arn("aws-reserved/sso.amazonaws.com/Admin")),
    "a role of the app with a path, imported by its ARN": permissions(role=by_token),
    "a profile imported without its role": permissions(instance_profile=imported_profile),
    "an L1 profile without a role": permissions(instance_profile=profile()),
    "an L1 profile that has its role's ARN": permissions(instance_profile=profile(role_arn("web"))),
}  # fmt: skip
NAMES: Final = {
    "an invalid `policy_name`": permissions(role=existing_role, policy_name="a b"),
    "a `policy_name` that is not a string": permissions(role=existing_role, policy_name=7),
    "the `policy_name` of another construct on the role": twice_on_one_role,
    "the `policy_name` of a policy that the role is made with": with_its_policy,
    "a text with half a character, as bad decoding makes it": prefixed("\ud800"),
    "a `log_prefix` with a character that IAM accepts in no policy": prefixed("秘密/web"),
    "a wildcard in `log_prefix`": prefixed("web/*"),
    "a wildcard in the name of a log group": statements(log_group=lambda s: group(s, "/web/*")),
    "a name that the package does not have": called(
        getattr, session_manager_permissions, "SessionManager"
    ),
}
KEYS: Final = {
    "a string for a key": statements(encryption_key="alias/sessions"),
    "a key for signing": statements(
        encryption_key=lambda s: kms.Key(s, "Key", key_spec=kms.KeySpec.RSA_2048)),
    "an AWS managed key": statements(encryption_key=lambda s: imported_alias(s, "alias/aws/ssm")),
    "an ARN of another service for a key": with_key(key_arn().replace(":kms:", ":s3:")),
    "an ARN that is not one key's": with_key(key_arn(resource="key/a/b")),
    "a key's ARN without a region": with_key(key_arn(region="")),
    "an L1 bucket that names its key by something other than an ARN": statements(
        log_bucket=lambda s: l1_bucket(s, "arn:1234")),
    "an alias that no key can have": statements(
        encryption_key=lambda s: imported_alias(s, "sessions")),
}  # fmt: skip
LOGS: Final = {
    "a string for a bucket": statements(log_bucket="session-logs"),
    "an ARN that is not a bucket's": statements(
        log_bucket=lambda s: s3.Bucket.from_bucket_arn(s, "Logs", "arn:aws:s3:::session-logs/web")),
    "a string for a log group": statements(log_group="/session/logs"),
    "a name that no log group can have": statements(log_group=lambda s: group(s, "a b")),
    "`log_prefix` without `log_bucket`": statements(log_prefix="web"),
    "a `log_prefix` that is too long": prefixed("é" * 513),
    "a `log_prefix` that CloudFormation would resolve": prefixed("{{resolve:ssm:/web}}"),
    "a `log_prefix` with `.` or `..` between its slashes": prefixed("../web"),
    "a string for `True` or `False`": statements(allow_registration="true"),
    "a string for `strict`": called(SessionManagerReadiness, strict="yes"),
    "a string for `network`": called(SessionManagerReadiness, network="no"),
    "a string for `preferences`": statements(preferences=DOCUMENT),
    "an option that the preferences decide": statements(log_prefix="web",
        preferences=lambda s: SessionPreferences.from_document_name(s, "Preferences")),
}  # fmt: skip
FLEETS: Final = {
    "an ARN for the name of a profile to look up": lambda w: lookup_instance_profile(
        w.stack, "Profile", instance_profile_name=PROFILE_ARN),
    "a look-up of a profile without a role": lambda w: answered(w.make_app, look_up, NO_ROLE),
    "a string in `exclude`": fleet(exclude=["Web"]),
    "a role in `exclude`": fleet(exclude=lambda s: [existing_role(s)]),
    "a construct that is no compute, for `SessionManagerAccess.apply_to`": lambda w: (
        SessionManagerAccess().apply_to(owned_role(w.stack))),
    "an imported node group for `SessionManagerAccess.apply_to`": lambda w: (
        SessionManagerAccess().apply_to(
            eks.Nodegroup.from_nodegroup_name(w.stack, "Nodes", "workers"))),
    "a stage below a fleet that has no fleet of its own": over_a_stage,
    "a profile that an Aspect makes after CDK has visited the fleet": before_an_aspect,
    "a profile that a fleet with `strict=True` can't attach to": over(bare_profile, strict=True),
    "a node group whose role is not given by its ARN, and a strict fleet": over(
        lambda s: l1_nodes(s, "worker"), strict=True),
    "a fleet with `strict=True` that covers nothing": lambda w: SessionManagerFleet(
        w.app, "Fleet", strict=True),
}  # fmt: skip
PREFERENCES: Final = {
    "an invalid `document_name`": preferences(document_name="a b"),
    "the account's default document for a new one": preferences(document_name=DOCUMENT),
    "a `document_name` that begins as AWS's own documents do": preferences(
        document_name="AWSSupport-Sessions"),
    "an invalid `run_as_user`": preferences(run_as_user="1a"),
    "`root` for `run_as_user`": preferences(run_as_user="root"),
    "`run_as_user` beside `run_as_enabled=False`": preferences(
        run_as_enabled=False, run_as_user="operator"),
    "a number for `idle_timeout`": preferences(idle_timeout=20),
    "an `idle_timeout` out of bounds": preferences(idle_timeout=cdk.Duration.hours(2)),
    "`enforce_cloudwatch_encryption` without a log group": preferences(
        enforce_cloudwatch_encryption=True),
    "`enforce_cloudwatch_encryption` and a log group without a key": preferences(
        enforce_cloudwatch_encryption=True, log_group=lambda s: logs.LogGroup(s, "LogGroup")),
    "`enforce_s3_encryption`, which is the default, and a bucket that encrypts twice": preferences(
        log_bucket=ENCRYPTS_TWICE),
    "a shell profile with a `{{`": preferences(
        linux_shell_profile="docker ps --format '{{.Names}}'"),
}  # fmt: skip
ENDPOINTS: Final = {
    "the id of a VPC for `vpc`": endpoints(vpc="vpc-1"),
    "a string for `security_groups`": endpoints(security_groups="sg-1"),
    "an L1 in `security_groups`": endpoints(
        security_groups=lambda s: [ec2.CfnSecurityGroup(s, "Group", group_description="HTTPS")]),
    "an unknown `endpoint_policy`": endpoints(endpoint_policy="organization"),
    "an endpoint of the same service that is defined later": before_an_endpoint,
}  # fmt: skip
OPERATORS: Final = {
    "no instances": start_session(),
    "all instances and some": start_session(all_instances=True, instance_tags={"team": "web"}),
    "a string for `instance_arns`": start_session(instance_arns="i-0123456789abcdef0"),
    "an ARN that is not an instance's": start_session(instance_arns=["i-0123456789abcdef0"]),
    "an instance's ARN without a region": start_session(
        instance_arns=[f"arn:aws:ec2::{ACCOUNT}:instance/i-1"]),
    "a list for `instance_tags`": start_session(instance_tags=["team"]),
    "a tag without a value": start_session(instance_tags={"team": []}),
    "a tag whose value is not a string": start_session(instance_tags={"team": 7}),
    "a tag that IAM accepts in no policy": start_session(instance_tags={"team": "秘密"}),
    "a string for `grantee`": start_session(grantee="operators", all_instances=True),
    "a grantee whose policies can't be changed": start_session(
        grantee=lambda s: iam.Role.from_role_arn(s, "Role", role_arn("ops"), mutable=False),
        all_instances=True),
    "a group by an ARN with a path": start_session(
        grantee=lambda s: iam.Group.from_group_arn(s, "Group", GROUP_ARN), all_instances=True),
    "a grantee of another account": start_session(grantee=owned_elsewhere, all_instances=True),
    "a grantee with conditions": start_session(
        grantee=lambda s: iam.PrincipalWithConditions(
            existing_role(s), {"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        all_instances=True),
}  # fmt: skip
WARNINGS: Final = {
    "a key of another account": permissions(
        role=existing_role,
        encryption_key=lambda s: kms.Key(cdk.Stack(app_of(s), "Other", env=ELSEWHERE), "Key")),
    "an option of the app that its list does not have": lambda w: warn_of_option(
        w.stack, "allow-registration", "true", "names.txt"),
    "keys, and none of the region of the stack": permissions(
        role=existing_role, encryption_key=lambda s: existing_key(s, region="eu-west-2")),
    "an L1 bucket whose key is known only at deployment": statements(
        log_bucket=lambda s: l1_bucket(s, parameter(s))),
    "a bucket that encrypts twice": statements(log_bucket=ENCRYPTS_TWICE),
    "a log group of another account": permissions(
        role=existing_role, log_group=lambda s: logs.LogGroup.from_log_group_arn(
            s, "LogGroup", f"arn:aws:logs:{REGION}:{OTHER_ACCOUNT}:log-group:/session/logs")),
    "an L1 role that has a condition": on_a_condition,
    "an L1 endpoint that has a condition": beside_an_endpoint_on_a_condition,
    "a profile that a fleet can't attach to": over(bare_profile, strict=False),
    "a fleet that covers nothing": lambda w: SessionManagerFleet(w.stack, "Fleet"),
    "a construct without compute in `exclude` of a fleet": over_an_idle_exclusion,
    "`ssm-user` for `run_as_user`": preferences(run_as_user="ssm-user"),
}  # fmt: skip
BY_SCP: Final = "x with an explicit deny in a service control policy: arn:aws:organizations::1:p"
AWS_MANAGED: Final = key_arn(resource="alias/aws/ssm")
ROOT_USER: Final = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root"}
VERIFY: Final = {
    "a name with its path for `--role`": command("--role team/web"),
    "an ARN for `--instance-profile`": command(f"--instance-profile {PROFILE_ARN}"),
    "an id for `--key`": command(f"--role web --key {KEY_ID}"),
    "a blank in `--document`": command("--role web --document 'a b'"),
    "an ARN for `--log-bucket`": command("--role web --log-bucket arn:aws:s3:::logs"),
    "a wildcard in `--log-prefix`": command("--role web --log-bucket logs --log-prefix web/*"),
    "a wildcard in `--log-group`": command("--role web --log-group *"),
    "`--log-prefix` without `--log-bucket`": command("--role web --log-prefix web"),
    "`--document` and `--key`": command(f"--role web-server --document Sessions --key {key_arn()}"),
    "`--document` without a region": command("--role web-server --document Sessions"),
    "`--log-group` without a region": command("--role web-server --log-group sessions"),
    "a `--document` that does not exist": command(f"{SERVER} --document {DOCUMENT}"),
    "a `--document` of another type": of_document("Shell"),
    "a `--document` with a parameter": of_document("Standard_Stream", kmsKeyId="{{ key }}"),
    "a `--document` with a name that AWS does not accept": of_document(
        "Standard_Stream", s3BucketName="*"),
    "a `--document` with something else for a boolean": of_document("Port", runAsEnabled="yes"),
    "`--operator` without `--instance-id`": command("--role web --operator caller"),
    "`--log-group` with `--instance-id`": command(f"{NODE} --log-group sessions"),
    "`--instance-id` without a region": command(f"--instance-id {nodes.NODE}"),
    "an `--instance-id` that does not exist": command(
        NODE, refuses("ec2:DescribeInstances", "InvalidInstanceID.NotFound")),
    "an `--instance-id` that EC2 does not know any more": command(
        NODE, has_answer("ec2:describe_instances", {"Reservations": []})),
    "an `--instance-id` of a hybrid node that does not exist": command(
        f"{HERE_ON} {nodes.HYBRID}", lambda w: setattr(w.account, "record", None)),
    "`--instance-id` and a `--document` that does not exist": command(f"{NODE} --document Mine"),
    "`--operator caller` as the root user": operator("caller"),
    "an `--operator` of another account": operator(role_arn("operator", OTHER_ACCOUNT)),
    "an `--agent-diagnostics` file that does not exist": command(
        f"{NODE} --agent-diagnostics /nonexistent"),
    "the table of the diagnostics, and not the JSON": with_diagnostics("┌────"),
    "`--agent-diagnostics` with other JSON": with_diagnostics("{}"),
    "`--agent-diagnostics` of another node": with_diagnostics(
        json.dumps({"DiagnosticsOutput": [OTHER_NODE]})),
    "the package without its extra": command("--role web", lacks("boto3")),
    "no credentials": run("verify --role web"),
    "credentials that may not call IAM": refusing("AccessDenied"),
    "credentials that may not read a hybrid node": command(
        f"{HERE_ON} {nodes.HYBRID}", refuses("ssm:DescribeInstanceInformation")),
    "a `--profile` that does not exist": run("verify --role web --profile nobody"),
    "a `--profile` whose role may not be assumed": fails(
        nodes.refusal("AssumeRole", "AccessDenied", "not you")),
    "a profile that asks for an MFA code, without a terminal": fails(EOFError()),
    "`AWS_MAX_ATTEMPTS=often`": run("verify --role web", with_env("AWS_MAX_ATTEMPTS", "often")),
    "a `credential_process` that does not exist": fails(
        FileNotFoundError(2, "No such file", "/nonexistent")),
    "a `credential_process` that is empty": with_profile("credential_process ="),
    "a `credential_process` that prints nothing": with_profile("credential_process = true"),
    "a `credential_process` that fails": with_profile("credential_process = false"),
    "a `credential_process` whose credentials have expired": with_profile(
        f"credential_process = echo '{json.dumps(EXPIRED)}'"),
    "`AWS_CONTAINER_CREDENTIALS_FULL_URI` of another host": run("verify --role web",
        with_env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/credentials")),
    "`AWS_METADATA_SERVICE_NUM_ATTEMPTS=many`": run(
        "verify --role web", with_env("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "many")),
    "`AWS_ACCESS_KEY_ID` without its secret": run(
        "verify --role web", with_env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")),
    "a profile with a `role_arn` alone": with_profile(f"role_arn = {role_arn('web')}"),
    "`AWS_MAX_ATTEMPTS=0`": fails(
        errors.InvalidMaxRetryAttemptsError(provided_max_attempts=0, min_value=1)),
    "a profile whose `source_profile` does not exist": with_profile(
        f"role_arn = {role_arn('web')}\nsource_profile = base"),
    "a configuration of AWS that can't be read": with_profile("role_arn = web\n[prod"),
    "a profile of IAM Identity Center, not signed in": with_profile(OF_SSO),
    "a profile whose `source_profile` is one of IAM Identity Center, not signed in": with_profile(
        f"role_arn = {role_arn('web')}\nsource_profile = base\n[profile base]\n{OF_SSO}"),
    "profiles that are each the `source_profile` of the other": with_profile(
        f"role_arn = {role_arn('web')}\nsource_profile = base\n"
        f"[profile base]\nrole_arn = {role_arn('web')}\nsource_profile = prod"),
    "a sign-in of the AWS CLI that has expired": fails(errors.LoginRefreshRequired()),
    "credentials that can't be refreshed": fails(
        errors.CredentialRetrievalError(provider="sso", error_msg="too late")),
    "a profile whose region is empty": run(
        f"verify --instance-id {nodes.NODE}", with_env("AWS_DEFAULT_REGION", "")),
    "`AWS_ENDPOINT_URL` without a region": run(
        "verify --role web", with_env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")),
    "a region of no partition": fails(
        errors.UnknownRegionError(region_name="eu-west-1a", error_msg="No partition found.")),
    "a region that no host name can have": fails(errors.InvalidRegionError(region_name="a_b")),
    "a proxy that answers in place of AWS": fails(KeyError("GetRoleResult")),
    "a role with an ARN that is not valid": command(
        "--role web", has_answer("iam:get_role", {"Role": {"Arn": "no ARN of a role/web"}})),
    "a key policy that is not JSON": with_a_key_policy_of_no_json,
    "a key policy, after all the calls that a diagnosis makes": after_all_calls,
    "a misspelt region, whose endpoint has no address": fails(
        errors.EndpointConnectionError(endpoint_url="https://iam"), "--role web --region eu-wst-1"),
    "no network, and no region": fails(errors.EndpointConnectionError(endpoint_url="https://iam")),
    "a sign-in of IAM Identity Center that AWS refuses": fails(
        nodes.refusal("GetRoleCredentials", "UnauthorizedException", "No access")),
    "a connection that ends": fails(errors.ConnectionClosedError(endpoint_url="https://iam")),
    "a certificate that is not of AWS": fails(
        errors.SSLError(endpoint_url="https://iam", error="certificate verify failed")),
    "`AWS_SESSION_TOKEN` with a line break": fails(
        errors.HTTPClientError(error=ValueError(r"Invalid header value b'Pa55w0rd\n'"))),
    "a service that does not answer": command(f"{NODE} --document Mine",
        has_answer("ssm:describe_instance_information",
            errors.ConnectTimeoutError(endpoint_url="https://ssm"))),
    "credentials that have expired": refusing("ExpiredToken"),
    "credentials that have expired, or a clock that is wrong": refusing("RequestExpired"),
    "a wrong secret key, or a clock that is wrong": refusing("SignatureDoesNotMatch"),
    "a call that a policy of the organization denies": fails(
        nodes.refusal("GetRole", "AccessDenied", BY_SCP)),
    "a region that is not enabled": command(
        "--role web --region me-south-1", says_no("GetRole", "UnrecognizedClientException")),
    "a region in capital letters, in which AWS knows no credentials": command(
        "--role web --region EU-WEST-1", says_no("GetRole", "UnrecognizedClientException")),
    "a call that AWS refuses": refusing("Throttling"),
    "an action that IAM does not answer": command("--role web-server", leaves_an_answer_out),
    "a `--role` that does not exist": refusing("NoSuchEntity"),
    "a `--role` of another account": command(
        f"--role {role_arn('team/web-server', OTHER_ACCOUNT)}"),
    "a `--role` that is service-linked": command("--role Ssm", lambda w: setattr(
        w.account, "of_role", {"Arn": role_arn("aws-service-role/ssm.amazonaws.com/Ssm")})),
    "an `--instance-profile` that does not exist": command(
        "--instance-profile web", says_no("GetInstanceProfile", "NoSuchEntity")),
    "an `--instance-profile` without a role": command(
        "--instance-profile web-server", lambda w: setattr(w.account, "of_profile", {"Roles": []})),
    "a `--key` by an alias that does not exist": command(
        f"--role web-server --key {key_arn(resource='alias/sessions')}",
        refuses("kms:DescribeKey", "NotFoundException")),
    "an AWS managed key as `--key`, for a role": command(f"--role web-server --key {AWS_MANAGED}"),
    "a role that is deleted while IAM is asked": command(
        "--role web-server", refuses("iam:SimulatePrincipalPolicy", "NoSuchEntity")),
    "a decision of IAM that is not known": command("--role web-server", lambda w: setattr(
        w.account, "decides", lambda _: {"EvalDecision": "perhaps"})),
    "standard output that is closed": command(
        "--role web-server", lambda w: w.patch.setattr(sys, "stdout", None)),
    "standard output that nobody reads": command("--role web-server", is_not_read),
    "an internal error": fails(RuntimeError("on\ntwo lines")),
}  # fmt: skip
AUDIT: Final = {
    "`--tag` without a value": audit("--tag env"),
    "`--tag` twice with the same key": audit("--tag env=prod --tag env=test"),
    "no region": audit(region=None),
    "credentials that may read no region": audit(denied=True),
    "a `--file` in a folder that does not exist": audit("--file /nowhere/audit.json"),
    "a `--file` that is a folder": audit("--file /tmp"),
    "a `--profiles-file` that is a folder": audit("--profiles-file /tmp"),
    "one path for `--file` and `--profiles-file`": audit("--file a.txt --profiles-file ./a.txt"),
    "a `--profiles-file` that is a symbolic link": audit("--profiles-file linked.txt",
        lambda w: (w.folder / "linked.txt").symlink_to("profiles.txt")),
    "a `--profiles-file` that is a device": audit(f"--profiles-file {os.devnull}"),
    "a `--profiles-file` that is read-only": audit(
        "--profiles-file kept.txt", file("kept.txt", "web"), is_read_only),
    "a `--profiles-file` that is no list": audit(
        "--profiles-file wrong.txt", file("wrong.txt", "web\na b\n")),
    "`--profiles-file` for the results of two accounts": audit(
        f"--from {ACCOUNT}.json {OTHER_ACCOUNT}.json --profiles-file profiles.txt", has_two_accounts
    ),
    "Ctrl-C before there is an answer": run("audit", lambda w: w.patch.setattr(
        command_module, "_audit", Mock(side_effect=KeyboardInterrupt))),
    "`--from` with `--tag`": audit("--from audit.json --tag env=prod"),
    "a `--from` file that does not exist": audit("--from none.json"),
    "a `--from` file that is not JSON": from_file("┌────"),
    "a `--from` file whose regions lack that of a node": from_file(
        json.dumps(audits.sample() | {"regions": []})),
    "a `--from` file that is too large": from_file(f'"{"a" * 2**20}"'),
    "`--from` with the JSON of `verify`": from_file('{"version": 1, "ready": true}'),
    "`--from` with the result of a newer version": from_file('{"version": 2}'),
    "two `--from` files with one region of an account": audit(
        "--from audit.json again.json", has_one_region_twice),
}  # fmt: skip
POLICY: Final = {
    "`--log-prefix` and no `--log-bucket`": run("policy --log-prefix web"),
    "the name of a log group alone": run(f"policy --log-group /ssm/sessions --region {REGION}"),
    "an ARN that is not a log group's, for `--log-group`": run(f"policy --log-group {key_arn()}"),
    "a `--key` of an AWS service": run(f"policy --key {AWS_MANAGED}"),
    "ARNs of two partitions": run(f"policy --key {key_arn()} --partition aws-cn"),
}
NO_PROFILE: Final = "No resource of type AWS::IAM::InstanceProfile with identifier: web"
APP: Final = {
    "the module without the CDK CLI": without_the_cli,
    "the module without CDK": without_cdk,
    "a misspelt option": app(rolle="web"),
    "an option without a value": app(role=""),
    "an option that takes `true` or `false`, with something else": app(
        role="web", allow_registration="yes"),
    "neither a role nor a profile": app(key=key_arn()),
    "no credentials, or no region": app(role="web", environment={}),
    "an alias without its ARN for `key`": app(role="web", key="alias/sessions"),
    "the ARN of a bucket for `log-bucket`": app(role="web", log_bucket="arn:aws:s3:::logs"),
    "an answer in `cdk.context.json` that the CLI has not written": listed(answer=[{"Arn": "web"}]),
    "an option that a list does not have": listed("allow_registration = true\nweb"),
    "an option without spaces, which can be a name": listed("allow-registration=true\nweb"),
    "an option that contradicts the file": listed(
        "allow-registration = true\nweb", allow_registration="false"),
    "an AWS managed key as the second key of a list": listed(
        f"key = {key_arn()}\nkey = {AWS_MANAGED}\nweb"),
    "`log-prefix` without `log-bucket`": app(role="web", log_prefix="web"),
    "the ARN of something else for `role`": app(role="arn:aws:s3:::logs"),
    "a file that does not exist": app(roles="nowhere.txt"),
    "a file in UTF-16": listed("web".encode("utf-16")),
    "a file without a name": listed("# none"),
    "a file with too many names": listed("web\n" * 501),
    "a line that is not a name": listed("web\na b"),
    "a name that is in the file twice": listed(f"web\n{role_arn('web')}"),
    "an ARN of another account": listed(role_arn("web", OTHER_ACCOUNT)),
    "a service-linked role in a file": listed(
        answer=[{"Arn": role_arn("aws-service-role/ec2.amazonaws.com/web")}]),
    "the ARN of a role in a file of profiles": profiles_listed(role_arn("web")),
    "a name that does not exist": profiles_listed(answer={"$providerError": NO_PROFILE}),
    "a profile without a role": profiles_listed(answer=NO_ROLE),
}  # fmt: skip
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
    "a `--skip` of a rule that does not exist": checked("--skip channel-mising a.json"),
    "no `cdk.out`": checked(""),
    "a file that does not exist": checked("a.json"),
    "a folder that CDK has not written": checked("cdk", file("cdk/a.json", "{}")),
    "the output of an app without a stack": manifest("{}"),
    "a `manifest.json` that is a list": manifest("[]"),
    "a `manifest.json` that is cut off": manifest("{"),
    "an app with a missing file": manifest(json.dumps({"artifacts": {"Web": STACK}})),
    "a file that can't be read": checked("/proc/self/mem"),
    "an endless file": checked("/dev/zero"),
    "a template without resources": json_file("{}"),
    "a template with no value for its resources": template("Resources:\n"),
    "a file that is empty": yaml(""),
    "a file that has only a comment": template("# of 2019\n"),
    "a file that is not text in UTF-8": yaml(b"a: \xe4"),
    "JSON in UTF-16": json_file("{}".encode("utf-16")),
    "JSON with an error": template('{\n  "Resources": {,}\n}'),
    "JSON with a comment": template("// of 2019\n{}"),
    "JSON with a number of too many digits": json_file('{"a": ' + "1" * 5_000 + "}"),
    "JSON that is nested too deep": json_file('{"a":' * 100_000),
    "YAML with an error": yaml("A: [\n"),
    "YAML with a control character": yaml("A: \x07\n"),
    "YAML that is nested too deep": yaml("[" * 450 + "]" * 450),
    "YAML that is a list": yaml("[]"),
    "YAML with a list for a key": yaml("? [a]\n: b\n"),
    "YAML with an alias of nothing": yaml("A: *a\n"),
    "YAML with two documents": yaml("A: 1\n---\nB: 2\n"),
    "YAML with an alias in its own value": yaml("A: &a\n  B: *a\n"),
    "YAML with aliases that multiply": yaml(BOMB),
    "YAML without the extra": yaml("A: 1", lacks("yaml")),
}
SECTIONS: Final = {
    "Roles and profiles": ROLES, "Names and texts": NAMES, "Keys": KEYS,
    "Logs and other options": LOGS, "Look-ups and fleets": FLEETS, "Preferences": PREFERENCES,
    "Endpoints": ENDPOINTS, "Operators": OPERATORS, "Warnings": WARNINGS,
    "`session-manager-permissions verify`": VERIFY, "`session-manager-permissions audit`": AUDIT,
    "`session-manager-permissions policy`": POLICY, "`session-manager-permissions check`": CHECK,
    "`app.py`": APP,
}  # fmt: skip
"""The rows by the headings of docs/errors.md, whose tables are made from the snapshot."""


ENDS_A_WORLD: Final = r"NoSuchDeployment|^raise KeyError\(name\)$|^raise RuntimeError\(message\)$"
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


def said(does: Cause, w: World, capsys: pytest.CaptureFixture[str]) -> str:
    """The channel and the text of what the user reads: an exception, or else `warning` etc."""
    capsys.readouterr()
    sys.setprofile(note)
    try:
        does(w)
        where, text = read_elsewhere(w, capsys)
    except (Exception, SystemExit) as error:  # noqa: BLE001 # which one is in the snapshot
        where, text = type(error).__name__, str(error)
    finally:
        sys.setprofile(None)
    if text == "2":  # the exit status of a wrong command line
        text = capsys.readouterr().err.splitlines()[-1]
    return f"{where}: " + re.sub(r"[$#]\{Token\[[^\]]*\]\}", "TOKEN", text)


def read_elsewhere(w: World, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What the user reads of the CLI or on standard error, if there was no exception."""
    lines = capsys.readouterr().err.splitlines()
    if lines and lines[-1].startswith(f"{PROGRAM}: "):
        return "stderr", lines[-1].removeprefix(f"{PROGRAM}: ")
    shown = errors_of_the_cli(w.folder / "app")
    if shown:
        (text,) = shown.values()
        return "error", text
    try:
        found = warnings(w.stack)
    except RuntimeError as failure:
        return "synthesis", str(failure).partition("] ")[2]
    (text,) = found
    return "warning", text


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
    """Each message is as the snapshot has it, and no message is left out.

    To reword one: change it, run this with `--snapshot-update`, read the difference, and run
    `make tables`, which writes docs/errors.md.
    """
    page = []
    for heading, rows in SECTIONS.items():
        page.append(f"# {heading}\n")
        for did, does in rows.items():
            folder = tmp_path / str(len(page))
            folder.mkdir()
            with subtests.test(did), pytest.MonkeyPatch.context() as patch, ExitStack() as exits:
                text = said(does, World(make_app, folder, patch, exits), capsys)
                page.append(f"{did}\n  {text}\n")

    assert "\n".join(page) == snapshot(extension_class=Text)
    assert len(SITES) > 100
    assert {*SITES.values()} - reached == set()


@pytest.mark.parametrize("about", WARNINGS)
def test_the_way_of_the_page_acknowledges_each_warning(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, about: str
) -> None:
    (way,) = {found for found in code(prose("docs/errors.md")) if "acknowledge" in found}
    w = World(make_app, tmp_path, monkeypatch, ExitStack())
    WARNINGS[about](w)
    (text,) = warnings(w.stack)
    (warning,) = re.findall(r"\[ack: (.*)\]$", text)

    exec(way, {"cdk": cdk, "stack": w.stack, "id": warning})  # noqa: S102 - it is the page's

    assert warnings(w.stack) == []
