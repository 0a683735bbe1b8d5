"""What AWS lets a name be: the constructs, the command line and a live document agree on each."""

import json
from collections.abc import Callable
from typing import Final, NamedTuple
from unittest.mock import Mock

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk.interfaces.aws_s3 import IBucketRef
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from session_manager_permissions import (
    SessionManagerPermissions,
    SessionPreferences,
    lookup_instance_profile,
    session_manager_statements,
)
from session_manager_permissions._verify import command
from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.document import read_document

from .conftest import BY_CHANCE
from .places import ACCOUNT, HERE, REGION

ROLES: Final = f"arn:aws:iam::{ACCOUNT}:role/"
KMS: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:"


def bucket(stack: cdk.Stack, name: str = "session-logs") -> IBucketRef:
    """An L1 import, as CDK holds the name of an L2 to the limits of a new bucket."""
    return s3.CfnBucket.from_bucket_arn(stack, "Bucket", f"arn:aws:s3:::{name}")


def key(stack: cdk.Stack, arn: str) -> object:
    if arn.startswith(f"{KMS}alias/"):
        found: kms.IKey = kms.Alias.from_alias_name(stack, "Key", arn.removeprefix(KMS))
    else:
        found = kms.Key.from_key_arn(stack, "Key", arn)
    return session_manager_statements(encryption_key=found)


def group(stack: cdk.Stack, name: str) -> object:
    found = logs.LogGroup.from_log_group_name(stack, "Group", name)
    return session_manager_statements(log_group=found)


def role(stack: cdk.Stack, name_or_arn: str) -> object:
    given = iam.Role.from_role_arn if name_or_arn.startswith("arn:") else iam.Role.from_role_name
    return SessionManagerPermissions(stack, "Permissions", role=given(stack, "Role", name_or_arn))


def document(stack: cdk.Stack, name: str) -> object:
    SessionPreferences.from_document_name(stack, "Existing", name)
    return SessionPreferences(stack, "Made", document_name=name)


class Kind(NamedTuple):
    """A kind of name: the construct that has it, and names that AWS takes or refuses."""

    construct: Callable[[cdk.Stack, str], object]
    takes: tuple[str, ...]
    refuses: tuple[str, ...]
    input: str | None = None
    """The input of a Session document that has the same name."""
    before: str = ""
    """What stands before a name that is drawn."""


KINDS: Final = {
    "--role": Kind(role, (
        *("a", "x" * 64, "Web_1+=,.@-", f"{ROLES}web", f"{ROLES}team/a!b~/web"),
        f"{ROLES}{'p' * 510}/web",
    ), (
        *("x" * 65, "a b", "a:b", "ä", "web\n", f"{ROLES}", f"{ROLES}a b/web", f"{ROLES}/web"),
        *(f"{ROLES}{'p' * 511}/web", ROLES.replace(":iam:", ":sts:") + "web"),
        *(f"arn:aws:iam::{ACCOUNT}:user/web", f"{ROLES}team/", f"{ROLES}té/web", f"{ROLES}*"),
        *(f"arn:aws:iam::{ACCOUNT}:instance-profile/web", f"{ROLES}a b", f"{ROLES}{'x' * 65}"),
        *(f"arn:aws:iam::{account}:role/web" for account in ("", "1" * 65, "*")),
    )),
    "--instance-profile": Kind(
        lambda stack, name: lookup_instance_profile(stack, "Profile", instance_profile_name=name),
        ("a", "x" * 128, "Web_1+=,.@-"), ("", "x" * 129, "a/b", "a b", "a:b", "ä", "web\n")),
    "--document": Kind(document, ("abc", "x" * 128, "SSM-Session_1.2", "My-aws-sessions", "..."),
        ("", "ab", "x" * 129, "a b c", "a/bc", "äbc", "abc\n")),
    "--key": Kind(key, (
        *(f"{KMS}key/1234abcd-12ab-34cd-56ef-1234567890ab", f"{KMS}key/mrk-1234"),
        *(f"{KMS}alias/a", f"{KMS}alias/a/b_c-d", f"{KMS}alias/team:web"),
        f"{KMS}alias/{'x' * 250}",
    ), (
        *("", "1234abcd-12ab-34cd-56ef-1234567890ab", "alias/a", KMS, f"{KMS}key/"),
        *(f"{KMS}alias/", f"{KMS}alias/{'x' * 251}", f"{KMS}alias/a.b", f"{KMS}key/a:b"),
        *(f"{KMS}key/*", f"{KMS}key/a\n", f"{KMS}key/a/b", f"{KMS}alias/ä"),
        KMS.replace("kms", "ssm") + "key/a",
    ), "kmsKeyId", before=f"{KMS}alias/"),
    "--log-bucket": Kind(
        lambda stack, name: session_manager_statements(log_bucket=bucket(stack, name)),
        ("abc", "session-logs", "session.logs.1", "Session_Logs", "S" * 255),
        ("", "--", "ab", "x" * 256, "a/bc", "a bc", "ab*", "äbc", "arn:aws:s3:::logs", "abc\n"),
        "s3BucketName"),
    "--log-prefix": Kind(
        lambda s, prefix: session_manager_statements(log_bucket=bucket(s), log_prefix=prefix), (
        *("web", "--", "/web//a/", "a b", "a..b/.c", "é", "\xa0", "~!@#$%^&()=+[]{};:'\",.<>|\\`"),
        *("x" * 1024, "é" * 512),
    ), (
        *("a/../b", "..", ".", "./a", "a/..", "*", "a?", "${aws:userid}", "{{web}}", "秘密"),
        *("\ud800", "a\0", "a\x1b[31m", "a\x9b31m", "web\n", "a\tb", "\x7f"),
        *("x" * 1025, "é" * 513),
    ), "s3KeyPrefix"),
    "--log-group": Kind(group, ("a", "x" * 512, "/ssm/sessions", "A_1-./#"), ("", "x" * 513, "a:b",
        "a b", "*", "ä", "logs\n", "arn:aws:logs:a:b:log-group:c"), "cloudWatchLogGroupName"),
}  # fmt: skip
ALL: Final = [
    pytest.param(option, text, takes, id=f"{option} {text[:30]!a} {len(text)} {takes}")
    for option, kind in KINDS.items()
    for texts, takes in ((kind.takes, True), (kind.refuses, False))
    for text in texts
]


def construct_takes(option: str, text: str) -> bool:
    try:
        KINDS[option].construct(cdk.Stack(env=HERE), text)
    except (ValueError, RuntimeError):  # the latter is CDK's
        return False
    return True


def command_takes(option: str, text: str) -> bool:
    whom = [] if option in {"--role", "--instance-profile"} else ["--role", "web"]
    try:
        command._parser().parse_args(["verify", *whom, f"{option}={text}"])  # noqa: SLF001
    except SystemExit:
        return False
    return True


def document_takes(name: str, text: str) -> bool:
    """Whether `verify` accepts a live document in which this field has this text."""
    inputs = {"s3BucketName": "session-logs", name: text}
    content = json.dumps({"sessionType": "Standard_Stream", "inputs": inputs})
    session = Mock(ask=Mock(return_value=content), partition="aws", region=REGION)
    try:
        read_document(session, "Sessions", ACCOUNT)
    except CannotAsk:
        return False
    return True


@pytest.mark.parametrize(("option", "text", "takes"), ALL)
def test_constructs_command_and_document_agree(option: str, text: str, *, takes: bool) -> None:
    name = KINDS[option].input

    assert construct_takes(option, text) is takes
    assert command_takes(option, text) is takes
    # An empty input names nothing, and a key without an `arn:` is the id or the alias of a key.
    if name and text and not (name == "kmsKeyId" and not text.startswith("arn:")):
        assert document_takes(name, text) is takes


@pytest.mark.parametrize("option", KINDS)
@settings(BY_CHANCE, max_examples=40)
@given(text=st.text(st.sampled_from("aZ09_-.+=,@:/# *?${}é\n\x9b"), max_size=8))
def test_constructs_and_command_agree_on_any_name(option: str, text: str) -> None:
    text = KINDS[option].before + text
    # CDK takes a role's path for a part of its name, and leaves the end of a log group's ARN out.
    assume(option != "--role" or (text and "/" not in text))
    assume(not text.endswith(":*"))

    assert construct_takes(option, text) is command_takes(option, text)
