"""Options and keys compose: in every combination and any order, to the statements documented."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from hypothesis import given, settings
from hypothesis import strategies as st

from session_manager_permissions import SessionManagerPermissions
from session_manager_permissions._limits import MAX_INLINE_POLICIES
from tests.builders import as_list
from tests.conftest import (
    ACCOUNT,
    HERE,
    OTHER_ACCOUNT,
    OTHER_REGION,
    REGION,
    existing_key,
    existing_role,
    key_arn,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef

pytestmark = pytest.mark.untraced
MINIMIZE: Final = "@aws-cdk/aws-iam:minimizePolicies"
BUCKET: Final = "arn:aws:s3:::session-logs"
GROUP: Final = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/session/logs"


# What Session Manager needs of an instance's role, action by action: AWS's documentation, restated
# here apart from the package. A statement of an alias has `…` for the digits of its name.
TABLE: Final = {
    "SessionManagerChannels": {
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    },
    "SessionManagerRegistration": {"ssm:UpdateInstanceInformation"},
    "SessionManagerLogEncryption": {"s3:GetEncryptionConfiguration"},
    "SessionManagerLogObjects": {"s3:PutObject"},
    "SessionManagerLogBucketKey": {"kms:GenerateDataKey", "kms:Decrypt"},
    "SessionManagerLogGroups": {"logs:DescribeLogGroups"},
    "SessionManagerLogStreams": {"logs:DescribeLogStreams"},
    "SessionManagerLogEvents": {
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
    },
    "SessionManagerDecrypt": {"kms:Decrypt"},
    "SessionManagerDecryptAlias…": {"kms:Decrypt"},
}
ANYTHING: Final = {  # the only statements whose actions take no narrower resource
    "SessionManagerChannels",
    "SessionManagerRegistration",
    "SessionManagerLogGroups",
}
OF_A_SESSION: Final = {"kms:EncryptionContext:aws:ssm:SessionId": "false"}
BUCKETS: Final = ("none", "bare", "with-key", "with-alias", "theirs")


class Choice(NamedTuple):
    """A combination of options, without what they stand for in a stack."""

    bucket: str
    prefix: bool
    group: bool
    allow_registration: bool
    check_log_encryption: bool
    decrypt_sessions_only: bool

    def sids(self, keys: Sequence[str]) -> set[str]:
        """Which statements there are to be."""
        logged = self.bucket != "none"
        wanted = {
            "SessionManagerChannels": True,
            "SessionManagerRegistration": self.allow_registration,
            "SessionManagerLogEncryption": self.check_log_encryption,
            "SessionManagerLogObjects": logged,
            "SessionManagerLogBucketKey": self.bucket in {"with-key", "with-alias"},
            "SessionManagerLogGroups": self.group,
            "SessionManagerLogStreams": self.group,
            "SessionManagerLogEvents": self.group,
            "SessionManagerDecrypt": bool({"key", "far-key"} & {*keys}),
            "SessionManagerDecryptAlias…": any(key.endswith("alias") for key in keys),
        }
        return {sid for sid, is_wanted in wanted.items() if is_wanted}

    def options(self, stack: cdk.Stack) -> dict[str, Any]:
        """The options as they are given."""
        return {
            "log_bucket": log_bucket(stack, self.bucket),
            "log_prefix": "sessions" if self.prefix else None,
            "log_group": logs.LogGroup.from_log_group_arn(stack, "Group", GROUP)
            if self.group
            else None,
            "allow_registration": self.allow_registration,
            "check_log_encryption": self.check_log_encryption,
            "decrypt_sessions_only": self.decrypt_sessions_only,
        }


ALL_CHOICES: Final = [
    Choice(bucket, prefix, group, *flags)
    for bucket, prefix, group in itertools.product(BUCKETS, (False, True), (False, True))
    for flags in itertools.product((False, True), repeat=3)
    if bucket != "none" or not prefix  # a prefix takes a bucket
]


def log_bucket(stack: cdk.Stack, kind: str) -> s3.IBucket | None:
    if kind == "none":
        return None
    key: kms.IKey | None = None
    if kind == "with-key":
        key = existing_key(stack, "BucketKey")  # the same as the sessions'
    elif kind == "with-alias":
        key = kms.Alias.from_alias_name(stack, "BucketKey", "alias/sessions")
    account = OTHER_ACCOUNT if kind == "theirs" else None
    return s3.Bucket.from_bucket_attributes(
        stack, "Bucket", bucket_arn=BUCKET, account=account, encryption_key=key
    )


SESSION_KEYS: Final = {
    "key": key_arn(),
    "far-key": key_arn(OTHER_REGION),
    "alias": key_arn(resource="alias/sessions"),
    "far-alias": key_arn(OTHER_REGION, resource="alias/sessions"),
    "other-alias": key_arn(resource="alias/others"),
}
KEYS: Final = tuple(SESSION_KEYS)


def new_stack(*, minimize: bool) -> cdk.Stack:
    return cdk.Stack(cdk.App(context={MINIMIZE: minimize}), "Stack", env=HERE)


def by_sid(found: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The statements by Sid, without the order in which a policy lists actions and resources."""
    sids = [statement["Sid"] for statement in found]
    assert len(sids) == len(set(sids))
    return {
        statement["Sid"]: {
            name: {json.dumps(one) for one in as_list(value)}
            if name in {"Action", "Resource"}
            else value
            for name, value in statement.items()
        }
        for statement in found
    }


def documented(sid: str) -> str:
    """The Sid, as the table documents it."""
    head, alias, digits = sid.partition("SessionManagerDecryptAlias")
    if alias:
        assert head == ""
        assert len(digits) == 8
        return f"{alias}…"
    return sid


def synthesized(stack: cdk.Stack, permissions: SessionManagerPermissions) -> list[dict[str, Any]]:
    """The policy's statements as the template gets them."""
    found: list[dict[str, Any]] = stack.resolve(permissions.policy.document)["Statement"]
    return found


def composed(
    choice: Choice,
    keys: Sequence[str],
    order: Sequence[str],
    *,
    key_as_option: bool,
    minimize: bool,
) -> list[dict[str, Any]]:
    """The statements where the options are given, and the keys added, in that order."""
    stack = new_stack(minimize=minimize)
    options = choice.options(stack)
    added: list[IKeyRef | IAliasRef] = [
        kms.Key.from_key_arn(stack, f"Session{number}", SESSION_KEYS[kind])
        for number, kind in enumerate(keys)
    ]
    if key_as_option and added:
        options["encryption_key"] = added.pop(0)
    permissions = SessionManagerPermissions(
        stack,
        "Permissions",
        role=existing_role(stack),
        **{name: options[name] for name in order if name in options},
    )
    for key in added:
        permissions.add_encryption_key(key)
    return synthesized(stack, permissions)


OPTIONS: Final = (*Choice._fields[3:], "log_bucket", "log_prefix", "log_group", "encryption_key")


@settings(max_examples=50, deadline=None)
@given(
    choice=st.sampled_from(ALL_CHOICES),
    keys=st.lists(st.sampled_from(KEYS), unique=True),
    data=st.data(),
)
def test_any_options_in_any_order_grant_what_is_documented_and_no_more(
    choice: Choice, keys: list[str], data: st.DataObject
) -> None:
    plain = composed(choice, keys, OPTIONS, key_as_option=True, minimize=False)

    other = composed(
        choice,
        data.draw(st.permutations(keys)),
        data.draw(st.permutations(OPTIONS)),
        key_as_option=data.draw(st.booleans()),
        minimize=data.draw(st.booleans()),
    )

    assert by_sid(other) == by_sid(plain)
    assert {documented(sid) for sid in by_sid(plain)} == choice.sids(keys)
    for statement in plain:
        is_documented(statement, choice)


def is_documented(statement: dict[str, Any], choice: Choice) -> None:
    """Hold that a statement has the actions of the table, on as little as they can take."""
    sid = documented(statement["Sid"])
    actions = set(TABLE[sid])
    if sid == "SessionManagerLogObjects" and choice.bucket == "theirs":
        actions.add("s3:PutObjectAcl")
    takes_all = sid in ANYTHING or (
        sid == "SessionManagerLogEncryption" and choice.bucket == "none"
    )
    assert ("*" in as_list(statement["Resource"])) == takes_all
    assert statement["Effect"] == "Allow"
    assert set(as_list(statement["Action"])) == actions
    narrowed = choice.decrypt_sessions_only and sid.startswith("SessionManagerDecrypt")
    assert (statement.get("Condition", {}).get("Null") == OF_A_SESSION) == narrowed


# The limit of IAM


def test_longest_options_fit() -> None:
    """The longest names that AWS takes, and the longest prefix, take half of what there is."""
    stack = new_stack(minimize=True)
    key = kms.Alias.from_alias_name(stack, "Key", f"alias/{'a' * 250}")
    permissions = SessionManagerPermissions(
        stack,
        "Permissions",
        role=existing_role(stack),
        allow_registration=True,
        log_bucket=s3.Bucket.from_bucket_attributes(
            stack, "Bucket", bucket_name="b" * 63, account=OTHER_ACCOUNT, encryption_key=key
        ),
        log_prefix="p" * 1024,
        log_group=logs.LogGroup.from_log_group_name(stack, "Group", "g" * 512),
        encryption_key=key,
        decrypt_sessions_only=True,
    )

    permissions.add_encryption_key(existing_key(stack, "Second"))

    document = {"Version": "2012-10-17", "Statement": synthesized(stack, permissions)}
    # IAM counts no white space.
    size = len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    assert size < MAX_INLINE_POLICIES / 2
