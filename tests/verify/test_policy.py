"""`policy` prints what the construct synthesizes."""

import json
from argparse import ArgumentParser, Namespace
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from session_manager_permissions import SessionManagerPermissions
from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.command import main
from session_manager_permissions._verify.policy import add_arguments, inline_policy
from tests.places import ACCOUNT, KEY_ID

KMS = f"arn:aws:kms:eu-west-1:{ACCOUNT}:"
HERE = {"region": "eu-west-1", "account": ACCOUNT, "partition": "aws"}
PARTITIONS = {"aws": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}


def options_of(**given: Any) -> Namespace:  # noqa: ANN401
    """The parsed command line with these options, and the defaults of all others."""
    add_arguments(parser := ArgumentParser())
    return Namespace(**vars(parser.parse_args([])) | given)


def key_arns(partition: str) -> SearchStrategy[str]:
    """Draw ARNs from a few, so that two are often the same, or of one account and region."""
    resource = st.sampled_from([f"key/{KEY_ID}", "key/mrk-1", "alias/sessions", "alias/team/web"])
    region = st.sampled_from([PARTITIONS[partition], "us-east-1"])
    account = st.sampled_from([ACCOUNT, "444455556666"])
    parts = st.tuples(region, account, resource)
    return parts.map(lambda found: f"arn:{partition}:kms:{found[0]}:{found[1]}:{found[2]}")


@st.composite
def options(draw: st.DrawFn) -> Namespace:
    partition = draw(st.sampled_from([*PARTITIONS]))
    flags = ("allow_registration", "check_log_encryption", "decrypt_sessions_only")
    drawn: dict[str, object] = {flag: draw(st.booleans()) for flag in flags}
    if draw(st.booleans()):
        of_s3 = st.just(f"arn:{partition}:kms:us-east-1:{ACCOUNT}:alias/aws/s3")
        drawn["log_bucket"] = "session-logs"
        drawn["log_prefix"] = draw(st.sampled_from([None, "web", "/team//web/"]))
        drawn["log_bucket_key"] = draw(st.none() | of_s3 | key_arns(partition))
    group = draw(st.sampled_from([None, "/ssm/sessions", "team#web.logs"]))
    arn = f"arn:{partition}:logs:{PARTITIONS[partition]}:{ACCOUNT}:log-group:{group}"
    drawn["log_group"] = draw(st.sampled_from([group, arn, f"{arn}:*"])) if group else None
    drawn["key"] = tuple(draw(st.lists(key_arns(partition), max_size=4)))
    place = {"region": PARTITIONS[partition], "account": ACCOUNT, "partition": partition}
    return options_of(**drawn, **place)


def synthesized(said: Namespace) -> dict[str, Any]:
    """The policy that the construct synthesizes from the same options."""
    app = cdk.App(analytics_reporting=False)
    env = cdk.Environment(account=ACCOUNT, region=said.region)
    stack = cdk.Stack(app, "Stack", env=env)
    keys = [kms.Key.from_key_arn(stack, f"Key{number}", arn) for number, arn in enumerate(said.key)]
    bucket = group = None
    if said.log_bucket is not None:
        key = said.log_bucket_key
        bucket = s3.Bucket.from_bucket_attributes(
            stack,
            "Bucket",
            bucket_arn=f"arn:{said.partition}:s3:::{said.log_bucket}",
            encryption_key=None if key is None else kms.Key.from_key_arn(stack, "BucketKey", key),
        )
    if said.log_group is not None:
        name = said.log_group.partition(":log-group:")[2].removesuffix(":*") or said.log_group
        arn = f"arn:{said.partition}:logs:{said.region}:{ACCOUNT}:log-group:{name}"
        group = logs.LogGroup.from_log_group_arn(stack, "Group", arn)
    permissions = SessionManagerPermissions(
        stack,
        "Permissions",
        role=iam.Role.from_role_name(stack, "Role", "web-server"),
        encryption_key=keys[0] if keys else None,
        allow_registration=said.allow_registration,
        log_bucket=bucket,
        log_prefix=said.log_prefix,
        log_group=group,
        check_log_encryption=said.check_log_encryption,
        decrypt_sessions_only=said.decrypt_sessions_only,
    )
    for other in keys[1:]:
        permissions.add_encryption_key(other)
    document: dict[str, Any] = stack.resolve(permissions.policy.document)
    return document


@settings(max_examples=30, deadline=None)
@given(options())
@example(options_of(log_bucket="session-logs", log_bucket_key=f"{KMS}alias/aws/s3", **HERE))
@example(options_of(log_bucket="logs", log_bucket_key=f"{KMS}alias/a:alias/aws/s3", **HERE))
def test_it_is_what_the_construct_synthesizes(said: Namespace) -> None:
    assert inline_policy(said) == synthesized(said)


def test_by_default_it_is_the_procedures() -> None:
    statements = inline_policy(options_of())["Statement"]

    sids = ["SessionManagerChannels", "SessionManagerLogEncryption"]
    assert [one["Sid"] for one in statements] == sids


def test_a_log_group_by_its_name_is_one_of_the_region_and_the_account() -> None:
    group = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/ssm/sessions:*"
    assert group in json.dumps(inline_policy(options_of(log_group="/ssm/sessions", **HERE)))


@pytest.mark.parametrize(("region", "given", "partition"), [
    ("us-gov-west-1", None, "aws-us-gov"), ("cn-north-1", None, "aws-cn"),
    ("us-west-2", None, "aws"), ("nowhere", None, "aws"), (None, None, "aws"),
    ("xx-new-1", "aws-xx", "aws-xx"),  # a partition that is not known yet
])  # fmt: skip
def test_the_region_says_the_partition_if_nothing_else_does(
    region: str | None, given: str | None, partition: str
) -> None:
    said = options_of(log_bucket="session-logs", region=region, partition=given)
    assert f'"arn:{partition}:s3:::session-logs"' in json.dumps(inline_policy(said))


@pytest.mark.parametrize(("said", "message"), [
    (options_of(key=(f"{KMS}alias/web",), region="cn-north-1"), "several partitions, aws, aws-cn"),
    (options_of(region="us-gov-east-1", partition="aws"), "several partitions, aws, aws-us-gov"),
    (options_of(region="us-east-1", partition="aws-cn"), "several partitions, aws, aws-cn"),
    (options_of(log_bucket_key="arn:…:key/1"), "--log-bucket-key arn:…:key/1 has no bucket"),
    (options_of(log_group="/ssm", account=ACCOUNT), "give its ARN, or --region and"),
])  # fmt: skip
def test_what_makes_no_policy_is_said(said: Namespace, message: str) -> None:
    with pytest.raises(CannotAsk, match=message):
        inline_policy(said)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    arn = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/ssm/sessions"
    keys = [f"{KMS}{found}" for found in ("key/mrk-1", "alias/web")]
    options = options_of(
        key=keys, log_bucket="session-logs", log_prefix="web", log_bucket_key=keys[1],
        log_group=f"{arn}:*", allow_registration=True, check_log_encryption=False,
        decrypt_sessions_only=True,
    )  # fmt: skip
    named = ["--log-bucket", "session-logs", "--log-prefix", "web", "--log-bucket-key", keys[1]]
    flags = ["--allow-registration", "--no-check-log-encryption", "--decrypt-sessions-only"]
    given = [part for key in keys for part in ("--key", key)]

    assert main(["policy", *given, *named, "--log-group", f"{arn}:*", *flags]) == 0
    assert json.loads(capsys.readouterr().out) == inline_policy(options)
