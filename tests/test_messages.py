"""Every message that a user may read, whole: what it names, and the way out."""

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
from botocore.exceptions import ClientError

import session_manager_permissions
from session_manager_permissions import (
    SessionManagerEndpoints,
    SessionManagerFleet,
    SessionManagerPermissions,
    SessionManagerReadiness,
    SessionPreferences,
    lookup_instance_profile,
    session_manager_statements,
)
from session_manager_permissions._verify.command import _parser, _verify, main
from session_manager_permissions._verify.simulator import CannotAsk

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
    synth,
    warnings,
)
from .verify.test_document import has_document, stubbed_ssm
from .verify.test_verify import CHANNELS, Account, no_account, result, stubbed_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    from botocore.stub import Stubber
    from constructs import Construct, IConstruct

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
SOURCES: Final = (ROOT / "app.py", *sorted((ROOT / "session_manager_permissions").rglob("*.py")))
REAL_APP: Final = cdk.App


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
    def account(self) -> Account:
        return self._exits.enter_context(stubbed_account(self.patch))

    def open(self, descriptor: int) -> TextIO:
        return self._exits.enter_context(os.fdopen(descriptor, "w"))

    @functools.cached_property
    def ssm(self) -> Stubber:
        return self._exits.enter_context(stubbed_ssm(self.patch))


class Row(NamedTuple):
    """A message, and what the user did."""

    does: Callable[[World], object]
    kind: type[BaseException] | str
    """The exception, or where else it is read."""
    says: str


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


def bucket(stack: cdk.Stack) -> s3.IBucket:
    return s3.Bucket.from_bucket_name(stack, "Logs", "session-logs")


def bucket_with_key(stack: cdk.Stack, key_id: str) -> s3.CfnBucket:
    rule = s3.CfnBucket.ServerSideEncryptionRuleProperty(
        server_side_encryption_by_default=s3.CfnBucket.ServerSideEncryptionByDefaultProperty(
            sse_algorithm="aws:kms", kms_master_key_id=key_id
        )
    )
    encryption = s3.CfnBucket.BucketEncryptionProperty(server_side_encryption_configuration=[rule])
    return s3.CfnBucket(stack, "Logs", bucket_encryption=encryption)


def group(stack: cdk.Stack, name: str = "/session/logs") -> logs.ILogGroup:
    return logs.LogGroup.from_log_group_name(stack, "LogGroup", name)


def l1_profile(*roles: str) -> Callable[[cdk.Stack], iam.CfnInstanceProfile]:
    return lambda s: iam.CfnInstanceProfile(s, "Profile", roles=[*roles])


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


def with_its_policy(role_of: Callable[[Construct, list[Any]], Any]) -> Callable[[World], object]:
    def does(w: World) -> object:
        document = iam.PolicyDocument()
        return SessionManagerPermissions(
            w.stack, "Permissions", role=role_of(w.stack, [document]), policy_name="Sessions"
        )

    return does


def l2_with_a_policy(scope: Construct, documents: list[Any]) -> iam.IRole:
    role = iam.Role.from_role_name(scope, "Role", "web")
    policy = iam.Policy(scope, "Theirs", policy_name="Sessions")
    role.attach_inline_policy(policy)
    assert documents
    return role


def l1_with_a_policy(scope: Construct, documents: list[Any]) -> iam.CfnRole:
    (document,) = documents
    policy = iam.CfnRole.PolicyProperty(policy_document=document, policy_name="Sessions")
    return iam.CfnRole(scope, "Role", assume_role_policy_document={}, policies=[policy])


def too_many_keys(w: World) -> None:
    made_once = SessionManagerPermissions(w.stack, "Permissions", role=existing_role(w.stack))
    for number in range(300):
        made_once.add_encryption_key(
            existing_key(w.stack, f"Key{number}", resource=f"key/{number}")
        )


def in_an_app(w: World) -> object:
    return lookup_instance_profile(w.app, "Profile", instance_profile_name="web")


def in_an_unknown_account(w: World) -> object:
    stack = cdk.Stack(w.make_app(), "Stack")
    return lookup_instance_profile(stack, "Profile", instance_profile_name="web")


def with_the_id_of_another(w: World) -> object:
    cdk.CfnParameter(w.stack, "Permissions")
    return SessionManagerPermissions(w.stack, "Permissions", role=existing_role(w.stack))


def in_a_locked_stack(w: World) -> None:
    role = existing_role(w.stack)
    w.stack.node.lock()
    SessionManagerPermissions(w.stack, "Permissions", role=role)


def on_a_condition(w: World) -> None:
    role = l1_role(w.stack)
    role.cfn_options.condition = cdk.CfnCondition(w.stack, "HasWorkers")
    SessionManagerPermissions(w.stack, "Permissions", role=role)


def over_a_stage(w: World) -> None:
    cdk.Stage(w.app, "Production")
    SessionManagerFleet(w.app, "Fleet")


def over_a_role_with_a_policy(w: World) -> None:
    role = owned_role(w.stack)
    iam.InstanceProfile(w.stack, "Profile", role=role)
    SessionManagerPermissions(w.stack, "Permissions", role=role, policy_name="Sessions")
    SessionManagerFleet(w.stack, "Fleet", policy_name="Sessions")


@jsii.implements(cdk.IAspect)
class MakeProfile:
    def visit(self, node: IConstruct) -> None:
        if node.node.path == "Stack/Existing":
            iam.CfnInstanceProfile(cdk.Stack.of(node), "Late", roles=["web"])


def before_an_aspect(w: World) -> None:
    SessionManagerFleet(w.stack, "Fleet")
    existing_role(w.stack)
    cdk.Aspects.of(w.stack).add(MakeProfile())


def over_two_stacks_with_one_role(w: World) -> None:
    role = owned_role(w.stack)
    for name in ("Web", "Batch"):
        iam.InstanceProfile(cdk.Stack(w.app, name, env=HERE), "Profile", role=role)
    SessionManagerFleet(w.app, "Fleet", policy_name="Sessions")


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
        _ = w.account, w.ssm
        answers(w)
        _verify(_parser().parse_args(["verify", *arguments]))

    return does


def has_role(w: World) -> None:
    w.account.has_role()


def says_no(operation: str, code: str) -> Callable[[World], object]:
    return lambda w: w.account.iam.add_client_error(operation, code, "Rate exceeded")


def may_not_assume(w: World) -> None:
    denied = {"Error": {"Code": "AccessDenied", "Message": "not you"}}
    fails_by(ClientError(denied, "AssumeRole"))(w)


def fails_by(error: Exception) -> Callable[[World], object]:
    """What boto3 comes to, before there is an answer of AWS."""
    return lambda w: w.patch.setattr(w.account.iam.client, "get_role", Mock(side_effect=error))


def has_all(w: World) -> None:
    w.account.has_role()
    w.account.is_reachable()


def is_not_read(w: World) -> None:
    has_all(w)
    reader, writer = os.pipe()
    os.close(reader)
    w.patch.setattr(sys, "stdout", w.open(writer))


def has_no_standard_output(w: World) -> None:
    has_all(w)
    w.patch.setattr(sys, "stdout", None)


def has_the_document(text: str) -> Callable[[World], object]:
    def answers(w: World) -> None:
        w.account.has_role()
        has_document(w.ssm, text)

    return answers


def has_no_document(w: World) -> None:
    w.account.has_role()
    w.ssm.add_client_error("get_document", "InvalidDocument")


def has_no_alias(w: World) -> None:
    w.account.has_role()
    w.account.kms.add_client_error("describe_key", "NotFoundException")


def loses_its_role(w: World) -> None:
    w.account.has_role()
    w.account.iam.add_client_error("simulate_principal_policy", "NoSuchEntity")


def leaves_an_answer_out(w: World) -> None:
    w.account.has_role()
    w.account.answers_by_page(CHANNELS, [result(action) for action in CHANNELS[:-1]])


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


def app(**context: Any) -> Callable[[World], object]:  # noqa: ANN401
    """The app of the repository with these `-c`, each name with `_` for `-`."""

    def does(w: World) -> None:
        given = {name.replace("_", "-"): value for name, value in context.items()}
        environment = given.pop("environment", {"ACCOUNT": ACCOUNT, "REGION": REGION})
        for name in ("ACCOUNT", "REGION"):
            w.patch.setenv(f"CDK_DEFAULT_{name}", environment.get(name, ""))
        made_app = functools.partial(REAL_APP, outdir=str(w.folder / "app"), context=given)
        w.patch.setattr(cdk, "App", made_app)
        runpy.run_path(str(ROOT / "app.py"), run_name="__main__")

    return does


ROWS: Final = {
    "neither role nor profile": Row(
        permissions(), ValueError, "give exactly one of role and instance_profile, got neither"
    ),
    "both role and profile": Row(
        permissions(role=existing_role, instance_profile=l1_profile("web")),
        ValueError,
        "give exactly one of role and instance_profile, got both",
    ),
    "a class for a role": Row(
        attached(lambda _: iam.Role),
        TypeError,
        "role must be a construct, got the class Role: make one of it",
    ),
    "a string for a role": Row(
        permissions(role="web"),
        TypeError,
        (
            "role must be an IAM role, got str 'web': give a construct, "
            "iam.Role.from_role_name(scope, id, name)"
        ),
    ),
    "a profile for a role": Row(
        permissions(role=l1_profile("web")),
        TypeError,
        (
            "role must be an IAM role, got the construct 'Stack/Profile': give it as "
            "instance_profile"
        ),
    ),
    "a string for a profile": Row(
        permissions(instance_profile="web"),
        TypeError,
        (
            "instance_profile must be an IAM instance profile, got str 'web': give a "
            "construct, lookup_instance_profile(scope, id, instance_profile_name=name) or "
            "iam.InstanceProfile.from_instance_profile_attributes(scope, id, "
            "instance_profile_arn=arn, role=role)"
        ),
    ),
    "a role for a profile": Row(
        permissions(instance_profile=existing_role),
        TypeError,
        (
            "instance_profile must be an IAM instance profile, got the construct "
            "'Stack/Existing': give it as role"
        ),
    ),
    "a role of another account": Row(
        attached(lambda s: iam.Role.from_role_arn(s, "Role", role_arn("web", OTHER_ACCOUNT))),
        ValueError,
        (
            "role 'arn:aws:iam::444455556666:role/web' belongs to account 444455556666, and "
            "this stack deploys to 111122223333, from where it can't be changed: make this "
            "construct in a stack with the account 444455556666"
        ),
    ),
    "a role owned in another account": Row(
        attached(owned_elsewhere),
        ValueError,
        (
            "role 'Other/Owned' belongs to account 444455556666, and this stack deploys to "
            "111122223333, from where it can't be changed: make this construct in a stack "
            "with the account 444455556666"
        ),
    ),
    "an immutable role": Row(
        attached(lambda s: iam.Role.from_role_arn(s, "Role", role_arn("web"), mutable=False)),
        ValueError,
        (
            "role 'Stack/Role' takes no policies: it was imported with mutable=False, or "
            "comes from without_policy_updates(); give the role itself, or put "
            "session_manager_statements() where its policies are managed"
        ),
    ),
    "an ARN that is no role's": Row(
        attached(lambda s: iam.Role.from_role_arn(s, "Role", f"arn:aws:iam::{ACCOUNT}:user/web")),
        ValueError,
        (
            "role 'arn:aws:iam::111122223333:user/web' is not the ARN of a role: "
            "arn:…:iam::ACCOUNT:role/NAME"
        ),
    ),
    "an ARN for a role's name": Row(
        attached(lambda s: iam.Role.from_role_name(s, "Role", role_arn("web"))),
        ValueError,
        (
            "role was imported by the name 'arn:aws:iam::111122223333:role/web', which is an "
            "ARN: use iam.Role.from_role_arn(scope, id, arn)"
        ),
    ),
    "a service-linked role": Row(
        attached(
            lambda s: iam.Role.from_role_arn(
                s, "Role", role_arn("aws-service-role/ssm.amazonaws.com/Ssm")
            )
        ),
        ValueError,
        (
            "role 'arn:aws:iam::111122223333:role/aws-service-role/ssm.amazonaws.com/Ssm' is "
            "a service-linked role, whose policies can't be changed: give a role of your own"
        ),
    ),
    "a reserved role": Row(
        attached(
            lambda s: iam.Role.from_role_arn(
                s, "Role", role_arn("aws-reserved/sso.amazonaws.com/Admin")
            )
        ),
        ValueError,
        (
            "role 'arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/Admin' is "
            "reserved by AWS, which alone can change it: change the permission set in IAM "
            "Identity Center"
        ),
    ),
    "a name that no role can have": Row(
        attached(lambda s: iam.Role.from_role_name(s, "Role", "web server")),
        ValueError,
        (
            "role 'arn:TOKEN:iam::111122223333:role/web server' has the name 'web server', "
            "which no role can have: 1 to 64 characters of A-Z a-z 0-9 _ + = , . @ -"
        ),
    ),
    "a profile imported without its role": Row(
        of_profile(lambda s: iam.InstanceProfile.from_instance_profile_name(s, "Profile", "web")),
        ValueError,
        (
            "instance_profile 'Stack/Profile' was imported without its role, which alone has "
            "policies: give the role, lookup_instance_profile(scope, id, "
            "instance_profile_name=name) or "
            "iam.InstanceProfile.from_instance_profile_attributes(scope, id, "
            "instance_profile_arn=arn, role=role), or as role=iam.Role.from_role_name(scope, "
            "id, name)"
        ),
    ),
    "an L1 profile without a role": Row(
        of_profile(l1_profile()),
        ValueError,
        "instance_profile 'Stack/Profile' has 0 roles, []: give it one",
    ),
    "an L1 profile with its role's ARN": Row(
        of_profile(l1_profile(role_arn("web"))),
        ValueError,
        (
            "instance_profile 'Stack/Profile' gives its role by the ARN "
            "'arn:aws:iam::111122223333:role/web', where CloudFormation takes the name: 'web'"
        ),
    ),
    "an L1 profile with its role's Arn attribute": Row(
        of_profile(by_its_arn_attribute),
        ValueError,
        (
            "instance_profile 'Stack/Profile' gives its role by Arn, where CloudFormation "
            "takes the name: use the role's ref"
        ),
    ),
    "an invalid policy_name": Row(
        permissions(role=existing_role, policy_name="a b"),
        ValueError,
        (
            "policy_name 'a b' is not a name that IAM takes: 1 to 128 characters of A-Z a-z "
            "0-9 _ + = , . @ -"
        ),
    ),
    "a policy_name that is no string": Row(
        permissions(role=existing_role, policy_name=7),
        TypeError,
        "policy_name must be a str, got int 7",
    ),
    "a policy_name that another construct has": Row(
        twice_on_one_role,
        ValueError,
        (
            "policy_name 'Sessions' is that of 'Stack/One' on the same role, which would lose"
            " its statements: give each a name of its own, or attach one construct to both"
        ),
    ),
    "a policy_name that the role is made with": Row(
        with_its_policy(l1_with_a_policy),
        ValueError,
        (
            "policy_name 'Sessions' is that of a policy which the role "
            "'Stack/Permissions/Role1' is made with, and which would be lost: give each "
            "policy of a role a name of its own"
        ),
    ),
    "a policy_name that another policy has": Row(
        with_its_policy(l2_with_a_policy),
        ValueError,
        (
            "policy_name 'Sessions' is another policy's on role 'Stack/Role': give each "
            "policy of a role a name of its own"
        ),
    ),
    "half a character": Row(
        statements(log_bucket=bucket, log_prefix="\ud800"),
        ValueError,
        (
            "log_prefix '\\ud800' has half of a surrogate pair, which is no character: give "
            "the whole character"
        ),
    ),
    "the element of a list of the deployment": Row(
        statements(log_bucket=bucket, log_prefix=lambda s: listed(s)[0]),
        ValueError,
        (
            "log_prefix 'TOKEN' is from a list that only the deployment knows: give "
            "cdk.Fn.select(index, list)"
        ),
    ),
    "a token that is none": Row(
        statements(log_bucket=bucket, log_prefix="${Token[TOKEN.none]}"),
        ValueError,
        (
            "log_prefix 'TOKEN' looks like a token, and CDK has made none such: give the "
            "token itself, or another text"
        ),
    ),
    "a role by a token that is none": Row(
        attached(lambda s: iam.Role.from_role_name(s, "Role", "${Token[TOKEN.none]}")),
        ValueError,
        (
            "role 'TOKEN' looks like a token, and CDK has made none such: give the token itself, "
            "or another text"
        ),
    ),
    "a prefix that CloudFormation would resolve": Row(
        statements(log_bucket=bucket, log_prefix="{{resolve:ssm:/web}}"),
        ValueError,
        (
            "log_prefix '{{resolve:ssm:/web}}' has a {{, with which a Session document names a "
            "parameter and CloudFormation a dynamic reference: give the prefix itself"
        ),
    ),
    "a character that no policy has": Row(
        statements(log_bucket=bucket, log_prefix="秘密/web"),
        ValueError,
        (
            "log_prefix '秘密/web' has '秘': give it without control characters and without "
            "characters above U+00FF, which IAM takes in no policy"
        ),
    ),
    "a pattern for an instance": Row(
        start_session(instance_arns=["arn:aws:ec2:eu-west-1:111122223333:instance/*"]),
        ValueError,
        (
            "instance_arns 'arn:aws:ec2:eu-west-1:111122223333:instance/*' has a wildcard or a "
            "policy variable (* ? ${): name one, in full"
        ),
    ),
    "a pattern": Row(
        statements(log_bucket=bucket, log_prefix="web/*"),
        ValueError,
        ("log_prefix 'web/*' has a wildcard or a policy variable (* ? ${): name one, in full"),
    ),
    "an id that another construct has": Row(
        with_the_id_of_another,
        ValueError,
        (
            "construct_id 'Permissions' can't be had in 'Stack': There is already a Construct"
            " with name 'Permissions' in Stack2 [Stack]; give each construct an id of its own"
        ),
    ),
    "an id with a token": Row(
        lambda w: SessionManagerFleet(w.stack, parameter(w.stack)),
        ValueError,
        "construct_id 'TOKEN' has a token, which no id may: give a name",
    ),
    "a scope in no stack": Row(
        in_an_app, ValueError, "scope '' is in no stack: give a stack, or a construct in one"
    ),
    "a scope that is no construct": Row(
        called(SessionManagerFleet, "Stack", "Fleet"),
        TypeError,
        "scope must be a Construct, got str 'Stack'",
    ),
    "a name that the package does not have": Row(
        called(getattr, session_manager_permissions, "SessionManager"),
        AttributeError,
        "module 'session_manager_permissions' has no attribute 'SessionManager'",
    ),
    "a string for a key": Row(
        statements(encryption_key="alias/sessions"),
        TypeError,
        (
            "encryption_key must be a KMS key or alias, got str 'alias/sessions': give the "
            "key by its ARN, kms.Key.from_key_arn(scope, id, 'arn:…:key/ID')"
        ),
    ),
    "an AWS managed key": Row(
        statements(encryption_key=lambda s: kms.Alias.from_alias_name(s, "Key", "alias/aws/ssm")),
        ValueError,
        (
            "encryption_key is the AWS managed key 'alias/aws/ssm', which only its own "
            "service may use: give a customer managed key"
        ),
    ),
    "an alias that no key can have": Row(
        statements(encryption_key=lambda s: kms.Alias.from_alias_name(s, "Key", "sessions")),
        ValueError,
        (
            "encryption_key has the alias name 'sessions', which no key can have: give it as "
            "'alias/NAME', with a name of 1 to 250 characters of A-Z a-z 0-9 _ : / -"
        ),
    ),
    "an ARN of another service for a key": Row(
        statements(encryption_key=key(f"arn:aws:s3:{REGION}:{ACCOUNT}:key/{KEY_ID}")),
        ValueError,
        (
            "encryption_key has the ARN "
            "'arn:aws:s3:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab', "
            "which is not one key's: give the key by its ARN, kms.Key.from_key_arn(scope, id,"
            " 'arn:…:key/ID')"
        ),
    ),
    "an ARN that is no one key's": Row(
        statements(encryption_key=key(key_arn(resource="key/a/b"))),
        ValueError,
        (
            "encryption_key has the ARN 'arn:aws:kms:eu-west-1:111122223333:key/a/b', which "
            "is not one key's: give the key by its ARN, kms.Key.from_key_arn(scope, id, "
            "'arn:…:key/ID')"
        ),
    ),
    "a key's ARN without a region": Row(
        statements(encryption_key=key(key_arn(region=""))),
        ValueError,
        (
            "encryption_key has the ARN "
            "'arn:aws:kms::111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab', which is not "
            "one key's: give the key by its ARN, kms.Key.from_key_arn(scope, id, 'arn:…:key/ID')"
        ),
    ),
    "an id for a bucket's key's ARN": Row(
        statements(log_bucket=lambda s: bucket_with_key(s, "arn:1234")),
        ValueError,
        (
            "log_bucket's encryption key has no ARN but 'arn:1234': give the key by its ARN, "
            "kms.Key.from_key_arn(scope, id, 'arn:…:key/ID')"
        ),
    ),
    "a key for signing": Row(
        statements(encryption_key=lambda s: kms.Key(s, "Key", key_spec=kms.KeySpec.RSA_2048)),
        ValueError,
        (
            "encryption_key 'Stack/Key' has the key_spec RSA_2048, and Session Manager can decrypt "
            "with a symmetric encryption key only: give a key of key_spec SYMMETRIC_DEFAULT"
        ),
    ),
    "more keys than a policy has room for": Row(
        too_many_keys,
        ValueError,
        (
            "encryption_key makes the policy 10275 characters long, and all inline policies "
            "of a role take 10240: give fewer keys, or grant them in a managed policy with "
            "session_manager_statements()"
        ),
    ),
    "a key of another account": Row(
        permissions(
            role=existing_role, encryption_key=lambda s: existing_key(s, account=OTHER_ACCOUNT)
        ),
        "warning",
        (
            "encryption_key "
            "arn:aws:kms:eu-west-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab "
            "belongs to account 444455556666: the role can use it only if the key policy "
            "there allows it to as well [ack: "
            "session-manager-permissions:key-of-another-account]"
        ),
    ),
    "no key of the region": Row(
        permissions(
            role=existing_role, encryption_key=lambda s: existing_key(s, region=OTHER_REGION)
        ),
        "warning",
        (
            "no encryption key is in eu-west-1, the region of this stack: sessions of "
            "instances there can't be decrypted; add the key of that region with "
            "add_encryption_key() [ack: session-manager-permissions:no-key-in-region]"
        ),
    ),
    "a bucket whose key only the deployment knows": Row(
        statements(log_bucket=lambda s: bucket_with_key(s, parameter(s))),
        "warning",
        (
            "log_bucket 'Stack/Logs' names a KMS key that only the deployment knows, on which "
            "nothing is granted, so that no log can be put where nothing else grants it: give the "
            "bucket as s3.Bucket.from_bucket_attributes(scope, id, bucket_arn=bucket.attr_arn, "
            "encryption_key=key) [ack: session-manager-permissions:log-bucket-key-not-known]"
        ),
    ),
    "a bucket that encrypts twice": Row(
        statements(log_bucket=encrypted_twice),
        "warning",
        (
            "log_bucket 'Stack/Logs' encrypts with aws:kms:dsse, which the agent does not take for "
            "encrypted: it refuses every session whose preferences enforce encrypted logs in S3; "
            "encrypt the bucket with aws:kms or AES256, or let the preferences not enforce it "
            "[ack: session-manager-permissions:log-bucket-dsse]"
        ),
    ),
    "a string for a bucket": Row(
        statements(log_bucket="session-logs"),
        TypeError,
        (
            "log_bucket must be an S3 bucket, got str 'session-logs': give a construct, for "
            "one that exists s3.Bucket.from_bucket_name(scope, id, name)"
        ),
    ),
    "an ARN that is no bucket's": Row(
        statements(
            log_bucket=lambda s: s3.Bucket.from_bucket_arn(
                s, "Logs", "arn:aws:s3:::session-logs/web"
            )
        ),
        ValueError,
        (
            "log_bucket has the ARN 'arn:aws:s3:::session-logs/web', which is no bucket's: "
            "arn:…:s3:::NAME, with a name of 3 to 255 characters of A-Z a-z 0-9 _ . -"
        ),
    ),
    "a string for a log group": Row(
        statements(log_group="/session/logs"),
        TypeError,
        (
            "log_group must be a CloudWatch log group, got str '/session/logs': give a "
            "construct, for one that exists logs.LogGroup.from_log_group_name(scope, id, "
            "name)"
        ),
    ),
    "an ARN that is no log group's": Row(
        statements(log_group=lambda s: group(s, "a b")),
        ValueError,
        (
            "log_group has the ARN 'arn:TOKEN:logs:eu-west-1:111122223333:log-group:a b:*', "
            "which is no log group's: arn:…:logs:REGION:ACCOUNT:log-group:NAME, with a name "
            "of 1 to 512 characters of A-Z a-z 0-9 _ . / # -"
        ),
    ),
    "a prefix without a bucket": Row(
        statements(log_prefix="web"),
        ValueError,
        "log_prefix 'web' has no bucket: give log_bucket too",
    ),
    "a prefix that is too long": Row(
        statements(log_bucket=bucket, log_prefix="é" * 513),
        ValueError,
        (
            "log_prefix 'éééééééééééééééééééé…' is 1026 bytes long, and an object's key has "
            "1024 at most: give a shorter one"
        ),
    ),
    "a prefix with ..": Row(
        statements(log_bucket=bucket, log_prefix="../web"),
        ValueError,
        "log_prefix '../web' has '.' or '..' as a part: give the path itself",
    ),
    "a flag that is no bool": Row(
        statements(allow_registration="true"),
        TypeError,
        "allow_registration must be a bool, got str 'true'",
    ),
    "a string for preferences": Row(
        statements(preferences="SSM-SessionManagerRunShell"),
        TypeError,
        (
            "preferences must be SessionPreferences, got str 'SSM-SessionManagerRunShell': "
            "for a document that exists use SessionPreferences.from_document_name(scope, id, "
            "name)"
        ),
    ),
    "an option that the preferences decide": Row(
        statements(
            log_prefix="web",
            preferences=lambda s: SessionPreferences.from_document_name(s, "Preferences"),
        ),
        ValueError,
        (
            "log_prefix is given twice, by itself and in preferences 'Stack/Preferences': "
            "give it to the preferences alone"
        ),
    ),
    "strict that is no bool": Row(
        called(SessionManagerReadiness, strict="yes"),
        TypeError,
        "strict must be a bool, got str 'yes'",
    ),
    "network that is no bool": Row(
        called(SessionManagerReadiness, network="no"),
        TypeError,
        "network must be a bool, got str 'no'",
    ),
    "a profile's ARN for its name": Row(
        lambda w: lookup_instance_profile(
            w.stack, "Profile", instance_profile_name=f"arn:aws:iam::{ACCOUNT}:instance-profile/web"
        ),
        ValueError,
        (
            "instance_profile_name 'arn:aws:iam::111122223333:instance-profile/web' can't be "
            "looked up: give the name alone, 1 to 128 characters of A-Z a-z 0-9 _ + = , . @ "
            "-, not an ARN or a token"
        ),
    ),
    "a look-up in an unknown account": Row(
        in_an_unknown_account,
        ValueError,
        (
            "instance_profile_name 'web' can't be looked up in the stack 'Stack', whose "
            "account and region are not known: give the stack env=cdk.Environment(account=…, "
            "region=…)"
        ),
    ),
    "a look-up of a profile without a role": Row(
        looked_up([{"Roles": [], "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/web"}]),
        ValueError,
        (
            "instance_profile_name 'web' is a profile without a role, and the role alone has "
            "policies: add a role to the profile"
        ),
    ),
    "a look-up whose kept answer is no profile": Row(
        looked_up([]),
        ValueError,
        (
            "instance_profile_name 'web' has [] for an answer in cdk.context.json, which is "
            "not one profile: drop it by `cdk context --reset NUMBER`, and the CLI asks again"
        ),
    ),
    "one construct for exclude": Row(
        fleet(exclude=existing_role),
        TypeError,
        (
            "exclude must be a sequence of constructs, got the construct 'Stack/Existing': "
            "give a list"
        ),
    ),
    "a string in exclude": Row(
        fleet(exclude=["Web"]),
        TypeError,
        ("exclude must be a sequence of constructs, got str 'Web' in it: give the construct"),
    ),
    "a role in exclude": Row(
        fleet(exclude=lambda s: [existing_role(s)]),
        TypeError,
        (
            "exclude has the role 'Stack/Existing', and a fleet goes by instance profiles: "
            "give those of the role, or what they are in"
        ),
    ),
    "an L1 role on a condition": Row(
        on_a_condition,
        "warning",
        (
            "role 'Stack/L1' is deployed on the condition 'Stack/HasWorkers', and where that "
            "is false the policy that refers to it can't be deployed: give the roles of a "
            "condition a construct of their own in their stack, and set its "
            "policy.node.default_child.cfn_options.condition "
            "[ack: session-manager-permissions:role-on-a-condition]"
        ),
    ),
    "a locked scope": Row(
        in_a_locked_stack,
        ValueError,
        ("scope 'Stack' is locked, as CDK does while it synthesizes: make what is in it before"),
    ),
    "a stage without a fleet": Row(
        over_a_stage,
        "synthesis",
        (
            "stage 'Production' has no SessionManagerFleet of its own, and this one can't "
            "reach into it, as CDK synthesizes stages first: make one in the stage, or give "
            "it in exclude"
        ),
    ),
    "a VPC by its id": Row(
        endpoints(vpc="vpc-1"),
        TypeError,
        (
            "vpc must be a VPC, got str 'vpc-1': give a construct, for one that exists "
            "ec2.Vpc.from_lookup(scope, id, vpc_id=…), for an L1 "
            "ec2.Vpc.from_vpc_attributes(scope, id, vpc_id=cfn_vpc.ref, …)"
        ),
    ),
    "a VPC without DNS hostnames": Row(
        endpoints(vpc=functools.partial(network, enable_dns_hostnames=False)),
        ValueError,
        (
            "vpc 'Stack/Vpc' has enable_dns_hostnames off, and private DNS of an endpoint needs "
            "it: give the VPC enable_dns_hostnames=True"
        ),
    ),
    "a security group of endpoints by its id": Row(
        endpoints(security_groups=["sg-1"]),
        TypeError,
        (
            "security_groups must be a sequence of security groups, got str 'sg-1' in it: give "
            "constructs, for one that exists "
            "ec2.SecurityGroup.from_security_group_id(scope, id, …)"
        ),
    ),
    "no security group of endpoints": Row(
        endpoints(security_groups=[]),
        ValueError,
        (
            "security_groups has none, and an endpoint would be in the VPC's default group: give "
            "one, or leave security_groups out for a new one"
        ),
    ),
    "another endpoint_policy": Row(
        endpoints(endpoint_policy="organization"),
        ValueError,
        (
            "endpoint_policy is str 'organization': give 'account' to admit only principals of "
            "the stack's account, or None; an endpoint with a policy of your own is one that you "
            "make before, with vpc.add_interface_endpoint()"
        ),
    ),
    "an endpoint that comes after": Row(
        before_an_endpoint,
        "synthesis",
        (
            "the endpoint 'Stack/Vpc/Late/Resource' of ssm came after this "
            "SessionManagerEndpoints made one, and the VPC takes only one with private DNS, or "
            "one gateway in a route table: make SessionManagerEndpoints after it, and it uses "
            "that one"
        ),
    ),
    "an endpoint on a condition": Row(
        beside_an_endpoint_on_a_condition,
        "warning",
        (
            "the endpoint 'Stack/There' of ssm is there, or has private DNS, only where a "
            "condition or a value of the deployment says so, and no second one is made beside "
            "it: where it does not, Session Manager can't be reached by it; make it without the "
            "condition and with private DNS "
            "[ack: session-manager-permissions:endpoint-not-certain]"
        ),
    ),
    "a profile that an Aspect makes after a fleet's turn": Row(
        before_an_aspect,
        "synthesis",
        (
            "'Stack/Late' came after this SessionManagerFleet had its turn, by an Aspect or "
            "between two syntheses: make the fleet after what the Aspect visits, or the profiles "
            "before the first"
        ),
    ),
    "a policy_name of a fleet that another policy of a role has": Row(
        over_a_role_with_a_policy,
        "synthesis",
        (
            "policy_name 'Sessions' is that of 'Stack/Permissions/Policy/Resource' on the same "
            "role, which would lose its statements: give each policy of a role a name of its own"
        ),
    ),
    "a profile that a fleet can't attach to": Row(
        of_a_bare_resource(strict=False),
        "warning",
        (
            "SessionManagerFleet can't attach to all: Stack/Profile: it is a bare "
            "CfnResource, whose role CDK does not know: make it by iam.CfnInstanceProfile or "
            "eks.CfnNodegroup [ack: session-manager-permissions:fleet-not-attached]"
        ),
    ),
    "a profile that a strict fleet can't attach to": Row(
        of_a_bare_resource(strict=True),
        "synthesis",
        (
            "SessionManagerFleet can't attach to all: Stack/Profile: it is a bare "
            "CfnResource, whose role CDK does not know: make it by iam.CfnInstanceProfile or "
            "eks.CfnNodegroup"
        ),
    ),
    "a node group whose role is no ARN": Row(
        over_a_node_group("worker"),
        "synthesis",
        (
            "SessionManagerFleet can't attach to all: Stack/Nodes: node_role 'worker' is not the "
            "ARN of a role: arn:…:iam::ACCOUNT:role/NAME"
        ),
    ),
    "one policy_name of a fleet for two stacks with one role": Row(
        over_two_stacks_with_one_role,
        "synthesis",
        (
            "policy_name 'Sessions' is that of two policies on one role, which the stacks 'Web' "
            "and 'Batch' use: leave policy_name out, as to destroy one of them would take the "
            "other's policy away"
        ),
    ),
    "a fleet that covers nothing": Row(
        lambda w: SessionManagerFleet(w.stack, "Fleet"),
        "warning",
        (
            "SessionManagerFleet 'Stack/Fleet' covers nothing: there is no instance profile and no "
            "node group of EKS below 'Stack'; make the fleet around what is to be covered, and "
            "give what is imported to SessionManagerPermissions "
            "[ack: session-manager-permissions:fleet-covers-nothing]"
        ),
    ),
    "a strict fleet that covers nothing": Row(
        lambda w: SessionManagerFleet(w.app, "Fleet", strict=True),
        "synthesis",
        (
            "SessionManagerFleet 'Fleet' covers nothing: there is no instance profile and no "
            "node group of EKS below the app; make the fleet around what is to be covered, and "
            "give what is imported to SessionManagerPermissions"
        ),
    ),
    "an invalid document_name": Row(
        preferences(document_name="a b"),
        ValueError,
        (
            "document_name 'a b' is not a name that Systems Manager takes: 3 to 128 "
            "characters of A-Z a-z 0-9 _ . -"
        ),
    ),
    "the account's default document_name": Row(
        preferences(document_name="SSM-SessionManagerRunShell"),
        ValueError,
        (
            "document_name 'SSM-SessionManagerRunShell' is the account's default document, "
            "which nearly always exists and then can't be made: give another name, or use "
            "SessionPreferences.from_document_name() for the one that exists"
        ),
    ),
    "a reserved document_name": Row(
        preferences(document_name="AWSSupport-Sessions"),
        ValueError,
        (
            "document_name 'AWSSupport-Sessions' begins as AWS's own documents do, which it "
            "refuses (aws, amazon, amzn, AWSEC2, AWSConfigRemediation, AWSSupport): give "
            "another name"
        ),
    ),
    "an invalid run_as_user": Row(
        preferences(run_as_user="1a"),
        ValueError,
        (
            "run_as_user '1a' is not the name of a Unix user: 1 to 32 characters of A-Z a-z "
            "0-9 _ . -, the first a letter or _; of a domain's user, NAME@DOMAIN"
        ),
    ),
    "root for run_as_user": Row(
        preferences(run_as_user="root"),
        ValueError,
        "run_as_user 'root' is refused by Session Manager: give a user who may use sudo",
    ),
    "run_as_user beside run_as_enabled=False": Row(
        preferences(run_as_enabled=False, run_as_user="operator"),
        ValueError,
        ("run_as_enabled=False leaves run_as_user 'operator' without effect: give one of the two"),
    ),
    "ssm-user for run_as_user": Row(
        preferences(run_as_user="ssm-user"),
        "warning",
        (
            "run_as_user 'ssm-user' turns Run As on, and then the agent does not make that user: "
            "no session starts on an instance that does not have it; make the user there by other "
            "means, or leave run_as_user out, and the agent makes it [ack: "
            "session-manager-permissions:run-as-ssm-user]"
        ),
    ),
    "enforce_s3_encryption of a bucket that encrypts twice": Row(
        preferences(log_bucket=encrypted_twice),
        ValueError,
        (
            "enforce_s3_encryption ends each session: log_bucket 'Stack/Logs' encrypts with "
            "aws:kms:dsse, which the agent does not take for encrypted; encrypt it with aws:kms or "
            "AES256, or give enforce_s3_encryption=False"
        ),
    ),
    "minutes for idle_timeout": Row(
        preferences(idle_timeout=20), TypeError, "idle_timeout must be a Duration, got int 20"
    ),
    "an idle_timeout out of bounds": Row(
        preferences(idle_timeout=cdk.Duration.hours(2)),
        ValueError,
        "idle_timeout is 2 hours: give whole minutes from 1 to 60",
    ),
    "a duration of a token that is not in minutes": Row(
        preferences(
            max_duration=lambda s: cdk.Duration.hours(
                cdk.CfnParameter(s, "Hours", type="Number").value_as_number
            )
        ),
        ValueError,
        (
            "max_duration is known at deployment only, and not in minutes: give "
            "cdk.Duration.minutes()"
        ),
    ),
    "encryption enforced on no log group": Row(
        preferences(enforce_cloudwatch_encryption=True),
        ValueError,
        "enforce_cloudwatch_encryption has no log group to hold for: give log_group too",
    ),
    "encryption enforced on a log group without a key": Row(
        preferences(
            enforce_cloudwatch_encryption=True, log_group=lambda s: logs.LogGroup(s, "LogGroup")
        ),
        ValueError,
        (
            "enforce_cloudwatch_encryption ends each session: log_group 'Stack/LogGroup' has "
            "no KMS key; give the log group an encryption_key"
        ),
    ),
    "a shell profile with a {{": Row(
        preferences(linux_shell_profile="docker ps --format '{{.Names}}'"),
        ValueError,
        (
            "linux_shell_profile has '{{.Names}}', which CloudFormation would resolve, or "
            "Systems Manager take for a parameter: have it call a script on the instance, or give "
            "cdk.CfnDynamicReference(service, key).to_string() where it is to be resolved"
        ),
    ),
    "a shell profile that is too long": Row(
        preferences(linux_shell_profile="#" * 65_536),
        ValueError,
        (
            "linux_shell_profile and windows_shell_profile make a document of 65906 bytes, "
            "and it may have 65536: have them call a script on the instance"
        ),
    ),
    "no instances": Row(
        start_session(),
        ValueError,
        (
            "give instance_arns or instance_tags to choose the instances, or "
            "all_instances=True for every one, got none of them"
        ),
    ),
    "all instances and some": Row(
        start_session(all_instances=True, instance_tags={"team": "web"}),
        ValueError,
        (
            "give instance_arns or instance_tags to choose the instances, or "
            "all_instances=True for every one, got both"
        ),
    ),
    "a string for instance_arns": Row(
        start_session(instance_arns="i-0123456789abcdef0"),
        TypeError,
        ("instance_arns must be a sequence of ARNs, got str 'i-0123456789abcdef0': give a list"),
    ),
    "an ARN that is no instance's": Row(
        start_session(instance_arns=["i-0123456789abcdef0"]),
        ValueError,
        (
            "instance_arns has 'i-0123456789abcdef0', which is no instance's ARN: "
            "arn:…:ec2:REGION:ACCOUNT:instance/ID"
        ),
    ),
    "an instance's ARN without a region": Row(
        start_session(instance_arns=[f"arn:aws:ec2::{ACCOUNT}:instance/i-1"]),
        ValueError,
        (
            "instance_arns has 'arn:aws:ec2::111122223333:instance/i-1', which is no instance's "
            "ARN: arn:…:ec2:REGION:ACCOUNT:instance/ID"
        ),
    ),
    "a list of the deployment and more": Row(
        start_session(instance_arns=lambda s: [*listed(s), "i-0123456789abcdef0"]),
        ValueError,
        (
            "instance_arns has 'TOKEN', of a list that only the deployment knows, and CDK "
            "can't add to such a list: give the list alone, or cdk.Fn.select(index, list) of "
            "it"
        ),
    ),
    "a list for instance_tags": Row(
        start_session(instance_tags=["team"]),
        TypeError,
        "instance_tags must be a Mapping, got list ['team']",
    ),
    "a tag with an empty key": Row(
        start_session(instance_tags={"": "web"}),
        ValueError,
        "instance_tags has an empty key, which no tag has: give the key",
    ),
    "a tag with a token for a key": Row(
        start_session(instance_tags=lambda s: {parameter(s): "web"}),
        ValueError,
        (
            "instance_tags has the key 'TOKEN', which only the deployment knows, and a "
            "condition of a policy can't: give the key itself; its values may be tokens"
        ),
    ),
    "a tag with a value that no policy has": Row(
        start_session(instance_tags={"team": "チーム"}),
        ValueError,
        (
            "instance_tags['team'] 'チーム' has 'チ', and IAM takes no such character in a policy: "
            "choose the instances by another tag, or by instance_arns"
        ),
    ),
    "a tag without a value": Row(
        start_session(instance_tags={"team": []}),
        ValueError,
        (
            "instance_tags['team'] has no value, so that no instance can have it: give one or"
            " several"
        ),
    ),
    "a tag's value that is no string": Row(
        start_session(instance_tags={"team": 7}),
        TypeError,
        ("instance_tags['team'] must be a str or a sequence of them, got int 7: give a list"),
    ),
    "a string for a grantee": Row(
        start_session(grantee="operators", all_instances=True),
        TypeError,
        (
            "grantee must be a user, a group, a role or what else CDK grants to, got str "
            "'operators': for a role that exists give iam.Role.from_role_name(scope, id, "
            "name)"
        ),
    ),
    "a grantee that takes no grant": Row(
        start_session(
            grantee=lambda s: iam.Role.from_role_arn(s, "Role", role_arn("ops"), mutable=False),
            all_instances=True,
        ),
        ValueError,
        (
            "grantee 'Stack/Role' can't be granted anything from here, as its policies are "
            "managed elsewhere or in another account: give a user, a group or a role of this "
            "account that is not immutable"
        ),
    ),
    "a grantee by a name that none can have": Row(
        start_session(
            grantee=lambda s: iam.Group.from_group_name(
                s, "Group", f"arn:aws:iam::{ACCOUNT}:group/web"
            ),
            all_instances=True,
        ),
        ValueError,
        (
            "grantee 'arn:TOKEN:iam::111122223333:group/arn:aws:iam::111122223333:group/web' has "
            "the name 'arn:aws:iam::111122223333:group/web', which no group can have: give "
            "iam.Group.from_group_name(scope, id, name), with a name of 1 to 128 characters of "
            "A-Z a-z 0-9 _ + = , . @ -"
        ),
    ),
    "a grantee of another account's stack": Row(
        start_session(grantee=owned_elsewhere, all_instances=True),
        ValueError,
        (
            "grantee 'Other/Owned' can't be granted anything from here, as its policies are "
            "managed elsewhere or in another account: give a user, a group or a role of this "
            "account that is not immutable"
        ),
    ),
    "what the command ends with": Row(
        at_the_commands_end,
        "stderr",
        ("session-manager-permissions: --log-prefix a has no bucket: give --log-bucket too"),
    ),
    "what nobody thought of": Row(
        surprised,
        "stderr",
        (
            "session-manager-permissions: an error of the program, RuntimeError: on two lines: "
            "report it"
        ),
    ),
    "a path for --role": Row(
        command("--role", "team/web"),
        SystemExit,
        (
            "session-manager-permissions verify: error: argument --role: 'team/web' is not "
            "the name of a role or its ARN: arn:PARTITION:iam::ACCOUNT:role/NAME"
        ),
    ),
    "an ARN for --instance-profile": Row(
        command("--instance-profile", f"arn:aws:iam::{ACCOUNT}:instance-profile/web"),
        SystemExit,
        (
            "session-manager-permissions verify: error: argument --instance-profile: "
            "'arn:aws:iam::111122223333:instance-profile/web' is not the name of an "
            "instance profile: 1 to 128 characters of A-Z a-z 0-9 _ + = , . @ -"
        ),
    ),
    "an id for --key": Row(
        command("--role", "web", "--key", KEY_ID),
        SystemExit,
        (
            "session-manager-permissions verify: error: argument --key: "
            "'1234abcd-12ab-34cd-56ef-1234567890ab' is not the ARN of a KMS key or an alias: "
            "arn:PARTITION:kms:REGION:ACCOUNT:key/ID"
        ),
    ),
    "a blank in --document": Row(
        command("--role", "web", "--document", "a b"),
        SystemExit,
        (
            "session-manager-permissions verify: error: argument --document: 'a b' is not the "
            "name of an SSM document: 3 to 128 characters of A-Z a-z 0-9 _ . -"
        ),
    ),
    "an ARN for --log-bucket": Row(
        command("--role", "web", "--log-bucket", "arn:aws:s3:::logs"),
        SystemExit,
        (
            "session-manager-permissions verify: error: argument --log-bucket: "
            "'arn:aws:s3:::logs' is not the name of an S3 bucket: 3 to 255 characters of A-Z a-z "
            "0-9 _ . -"
        ),
    ),
    "a pattern for --log-prefix": Row(
        command("--role", "web", "--log-bucket", "logs", "--log-prefix", "web/*"),
        SystemExit,
        (
            "session-manager-permissions verify: error: argument --log-prefix: 'web/*' has a "
            "wildcard or a policy variable (* ? ${): name one, in full"
        ),
    ),
    "a pattern for --log-group": Row(
        command("--role", "web", "--log-group", "*"),
        SystemExit,
        (
            "session-manager-permissions verify: error: argument --log-group: '*' is not the "
            "name of a log group: 1 to 512 characters of A-Z a-z 0-9 _ . / # -"
        ),
    ),
    "--log-prefix without --log-bucket": Row(
        command("--role", "web", "--log-prefix", "web"),
        CannotAsk,
        "--log-prefix web has no bucket: give --log-bucket too",
    ),
    "--document and --key": Row(
        command(
            "--role", "web-server", "--document", "Sessions", "--key", key_arn(), answers=has_role
        ),
        CannotAsk,
        "--key is given twice, as the document of --document names it too: leave out --key",
    ),
    "--document without a region": Row(
        command("--role", "web-server", "--document", "Sessions", answers=has_role),
        CannotAsk,
        "a document is in a region, and no region is known: give --region",
    ),
    "--log-group without a region": Row(
        command("--role", "web-server", "--log-group", "sessions", answers=has_role),
        CannotAsk,
        "a log group is in a region, and no region is known: give --region",
    ),
    "a --document that is not there": Row(
        command(*ASKED, answers=has_no_document),
        CannotAsk,
        (
            "there is no document 'SSM-SessionManagerRunShell' in eu-west-1: give another "
            "name, or --region"
        ),
    ),
    "a --document of another type": Row(
        command(*ASKED, answers=has_the_document('{"sessionType": "Shell"}')),
        CannotAsk,
        (
            "the document SSM-SessionManagerRunShell is not a Session document: its sessionType is "
            "none of InteractiveCommands, NonInteractiveCommands, Standard_Stream and Port; give "
            "the document that sessions are started with"
        ),
    ),
    "a --document with a parameter": Row(
        command(
            *ASKED,
            answers=has_the_document(
                json.dumps({"sessionType": "Standard_Stream", "inputs": {"kmsKeyId": "{{ key }}"}})
            ),
        ),
        CannotAsk,
        (
            "the document SSM-SessionManagerRunShell has '{{ key }}' for kmsKeyId, which is known "
            "only when a session starts: give the value by --key, --log-bucket, --log-prefix and "
            "--log-group instead of --document"
        ),
    ),
    "a --document that names nonsense": Row(
        command(
            *ASKED,
            answers=has_the_document(
                json.dumps({"sessionType": "Standard_Stream", "inputs": {"s3BucketName": "*"}})
            ),
        ),
        CannotAsk,
        (
            "the document SSM-SessionManagerRunShell can't be asked about: '*' is not the name of "
            "an S3 bucket: 3 to 255 characters of A-Z a-z 0-9 _ . -; correct the document"
        ),
    ),
    "a --document with a boolean that is none": Row(
        command(
            *ASKED,
            answers=has_the_document(
                json.dumps({"sessionType": "Port", "inputs": {"runAsEnabled": "yes"}})
            ),
        ),
        CannotAsk,
        (
            "the document SSM-SessionManagerRunShell has 'yes' for runAsEnabled, which the agent "
            "can't read as true or false, so that it refuses each session: correct the document"
        ),
    ),
    "no boto3": Row(
        command("--role", "web", answers=lacks_boto3),
        CannotAsk,
        "boto3 is not installed: pip install 'session-manager-permissions[verify]'",
    ),
    "no credentials": Row(
        without_an_answer("--role", "web"),
        CannotAsk,
        "no credentials: sign in with the AWS CLI, or give --profile or AWS_PROFILE",
    ),
    "a --profile that is not there": Row(
        without_an_answer("--role", "web", "--profile", "nobody"),
        CannotAsk,
        "The config profile (nobody) could not be found",
    ),
    "a --profile whose role may not be assumed": Row(
        command("--role", "web", answers=may_not_assume),
        CannotAsk,
        "no credentials: AssumeRole failed: AccessDenied: not you",
    ),
    "a variable that botocore can't read": Row(
        with_variable("AWS_MAX_ATTEMPTS", "often", "--role", "web"),
        CannotAsk,
        (
            "a variable or a setting of AWS can't be used: invalid literal for int() with base "
            "10: 'often': correct it"
        ),
    ),
    "a program for credentials that is not there": Row(
        command(
            "--role", "web", answers=fails_by(FileNotFoundError(2, "No such file", "/nonexistent"))
        ),
        CannotAsk,
        (
            "a variable or a setting of AWS can't be used: [Errno 2] No such file: "
            "'/nonexistent': correct it"
        ),
    ),
    "an MFA code that nobody types in": Row(
        command("--role", "web", answers=fails_by(EOFError())),
        CannotAsk,
        (
            "no credentials: the profile asks for an MFA code, and there is no terminal to enter "
            "it: sign in with the AWS CLI first, or run this in a terminal"
        ),
    ),
    "AWS_ENDPOINT_URL without a region": Row(
        with_variable("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "--role", "web"),
        CannotAsk,
        "a request needs a region, and no region is known: give --region or AWS_REGION",
    ),
    "an answer that is not AWS's": Row(
        command("--role", "web", answers=fails_by(KeyError("GetRoleResult"))),
        CannotAsk,
        (
            "what answered for iam is not AWS: look for a proxy, check AWS_ENDPOINT_URL, or try "
            "again"
        ),
    ),
    "standard output that is closed": Row(
        command("--role", "web-server", answers=has_no_standard_output),
        CannotAsk,
        "standard output is closed: open it, or redirect it to /dev/null",
    ),
    "standard output that nobody reads": Row(
        command("--role", "web-server", answers=is_not_read),
        CannotAsk,
        (
            "the answer can't be written: [Errno 32] Broken pipe: make room for standard output, "
            "and keep its reader open"
        ),
    ),
    "no right to ask": Row(
        command("--role", "web", answers=says_no("get_role", "AccessDenied")),
        CannotAsk,
        "the credentials may not ask: they need iam:GetRole on the role web",
    ),
    "a --role that is not there": Row(
        command("--role", "web", answers=says_no("get_role", "NoSuchEntity")),
        CannotAsk,
        (
            "there is no role 'web' in the account of the credentials: give one that exists "
            "there, or use other credentials"
        ),
    ),
    "an --instance-profile that is not there": Row(
        command(
            "--instance-profile", "web", answers=says_no("get_instance_profile", "NoSuchEntity")
        ),
        CannotAsk,
        (
            "there is no instance profile 'web' in the account of the credentials: give one "
            "that exists there, or use other credentials"
        ),
    ),
    "an answer of AWS's own": Row(
        command("--role", "web", answers=says_no("get_role", "Throttling")),
        CannotAsk,
        "iam:GetRole failed: Throttling: Rate exceeded",
    ),
    "an --instance-profile without a role": Row(
        command("--instance-profile", "web-server", answers=lambda w: w.account.has_profile()),
        CannotAsk,
        (
            "the instance profile 'web-server' has no role, and only a role has permissions: "
            "add a role to it"
        ),
    ),
    "a --role of another account": Row(
        command("--role", role_arn("team/web-server", OTHER_ACCOUNT), answers=has_role),
        CannotAsk,
        (
            "there is no role arn:aws:iam::444455556666:role/team/web-server in the account "
            "of the credentials, which has arn:aws:iam::111122223333:role/team/web-server: "
            "give that one, or use credentials of the other account"
        ),
    ),
    "a --key by an alias that is not there": Row(
        command(
            "--role",
            "web-server",
            "--key",
            key_arn(resource="alias/sessions"),
            answers=has_no_alias,
        ),
        CannotAsk,
        ("there is no arn:aws:kms:eu-west-1:111122223333:alias/sessions: give the key's own ARN"),
    ),
    "a role that is deleted meanwhile": Row(
        command("--role", "web-server", answers=loses_its_role),
        CannotAsk,
        ("there is no role arn:aws:iam::111122223333:role/team/web-server any more: give another"),
    ),
    "an answer that IAM leaves out": Row(
        command("--role", "web-server", answers=leaves_an_answer_out),
        CannotAsk,
        "IAM gave no answer about ssmmessages:OpenDataChannel: try again",
    ),
    "-c with a mistyped name": Row(
        app(rolle="web"),
        SystemExit,
        (
            "app.py: -c rolle=web: there is no rolle, but instance-profile, role, key, "
            "policy-name, allow-registration, log-bucket, log-bucket-key, log-prefix, "
            "log-group, check-log-encryption, decrypt-sessions-only"
        ),
    ),
    "-c with no value": Row(app(role=""), SystemExit, "app.py: -c role=: give a value"),
    "-c with a flag of another value": Row(
        app(role="web", allow_registration="yes"),
        SystemExit,
        "app.py: -c allow-registration=yes: give true or false",
    ),
    "-c with neither role nor profile": Row(
        app(key=key_arn()),
        SystemExit,
        "app.py: give one of -c instance-profile=NAME and -c role=NAME_OR_ARN",
    ),
    "-c without an account": Row(
        app(role="web", environment={}),
        SystemExit,
        "app.py: the CLI found no account and region: give it credentials and a region",
    ),
    "-c key=ALIAS": Row(
        app(role="web", key="alias/sessions"),
        SystemExit,
        "app.py: -c key=alias/sessions: give the key's ARN",
    ),
    "-c log-prefix without log-bucket": Row(
        app(role="web", log_prefix="web"),
        SystemExit,
        "app.py: -c log-prefix=web: give -c log-bucket=NAME too",
    ),
    "-c log-bucket that CDK refuses": Row(
        app(role="web", log_bucket="Logs!"),
        SystemExit,
        (
            "app.py: -c log-bucket=Logs!: InvalidBucketNameValue: Invalid S3 bucket name "
            "(value: Logs!) Bucket name must only contain uppercase or lowercase characters "
            "and the symbols, period (.), underscore (_), and dash (-) Bucket name must end "
            "with an uppercase, lowercase character or number"
        ),
    ),
}


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
        elif row.kind == "synthesis":
            with pytest.raises(RuntimeError) as failure:
                synth(w.stack)
            text = str(failure.value).partition("] ")[2]
    finally:
        sys.setprofile(None)
    if row.kind == "stderr" or text == "2":  # the exit status of a wrong command line
        text = capsys.readouterr().err.splitlines()[-1]
    return re.sub(r"\$\{Token\[[^\]]*\]\}|#\{Token\[[^\]]*\]\}", "TOKEN", text)


@pytest.mark.parametrize("did", ROWS)
def test_a_message_says_what_is_wrong_and_the_way_out(
    make_app: MakeApp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    did: str,
) -> None:
    row = ROWS[did]

    with ExitStack() as exits:
        assert said(row, World(make_app, tmp_path, monkeypatch, exits), capsys) == row.says


def test_no_message_is_left_out(
    make_app: MakeApp, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for row in ROWS.values():
        with pytest.MonkeyPatch.context() as patch, ExitStack() as exits:
            said(row, World(make_app, tmp_path, patch, exits), capsys)

    assert len(SITES) > 100
    assert {*SITES.values()} - reached == set()


def fragments() -> Iterator[str]:
    """The messages in the tables of the page, shortened."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    for line in page.splitlines():
        cells = line.strip("| ").split(" | ")
        if len(cells) == 3 and cells[1].startswith("`"):
            yield cells[1].strip("`")


def test_the_page_has_each_message_and_no_other() -> None:
    texts = {row.says for row in ROWS.values()}
    patterns = sorted((re.escape(text).replace("…", ".*") for text in fragments()), key=len)

    told = {text: [one for one in patterns if re.match(one, text)] for text in texts}

    assert [text for text, by in told.items() if not by] == []
    assert {*patterns} == {by[-1] for by in told.values()}  # each tells of what no longer one does
