"""Options and keys compose: each adds its own statements, in any order and beside any other."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, Final

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
from tests.conftest import HERE, OTHER_ACCOUNT, OTHER_REGION, existing_key, existing_role, key_arn
from tests.scenarios import BUCKET_KEY, PREFIX, bucket, group

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    Statements = dict[str, dict[str, Any]]

pytestmark = pytest.mark.untraced
MINIMIZE: Final = "@aws-cdk/aws-iam:minimizePolicies"
BUCKETS: Final = {
    "bucket": (None, None),
    "bucket with a key": (BUCKET_KEY, None),
    "bucket with an alias": (key_arn(resource="alias/sessions"), None),
    "their bucket": (None, OTHER_ACCOUNT),
}
KEYS: Final = {
    "key": key_arn(),
    "far key": key_arn(OTHER_REGION),
    "alias": key_arn(resource="alias/sessions"),
    "far alias": key_arn(OTHER_REGION, resource="alias/sessions"),
    "other alias": key_arn(resource="alias/others"),
}
OTHERS: Final = ("group", "allow_registration", "check_log_encryption")


def composed(parts: Sequence[str], *, first_later: bool = False, **flags: bool) -> Statements:
    """The statements where these are given in this order, without the order within a statement.

    Args:
        parts: options; of the keys, the first is an option and the others are added.
        first_later: whether the first key is added as well.
        flags: other options, and `minimize`.
    """
    context = {MINIMIZE: flags.pop("minimize", False)}
    stack = cdk.Stack(cdk.App(context=context), "Stack", env=HERE)
    options: dict[str, Any] = dict(flags)
    keys = []
    for part in parts:
        if part in BUCKETS:
            options |= {"log_bucket": bucket(stack, *BUCKETS[part]), "log_prefix": PREFIX}
        elif part in KEYS:
            keys.append(kms.Key.from_key_arn(stack, part, KEYS[part]))
        elif part == "group":
            options["log_group"] = group(stack)
        else:
            options[part] = part != "check_log_encryption"
    if keys and not first_later:
        options["encryption_key"] = keys.pop(0)
    role = existing_role(stack)
    permissions = SessionManagerPermissions(stack, "Permissions", role=role, **options)
    for key in keys:
        permissions.add_encryption_key(key)
    found = stack.resolve(permissions.policy.document)["Statement"]
    assert len({statement["Sid"] for statement in found}) == len(found)
    return {statement["Sid"]: without_order(statement) for statement in found}


@functools.cache
def alone(part: str, *, sessions_only: bool) -> Statements:
    return composed([part], decrypt_sessions_only=sessions_only)


def without_order(statement: dict[str, Any]) -> dict[str, Any]:
    lists = ("Action", "Resource")
    sets = {name: {json.dumps(one) for one in as_list(statement[name])} for name in lists}
    return statement | sets


def union(found: Collection[Statements]) -> Statements:
    """All statements, each with what it allows anywhere."""
    merged: Statements = {}
    for sid, statement in (one for statements in found for one in statements.items()):
        known = merged.setdefault(sid, statement)
        merged[sid] = known | {"Resource": known["Resource"] | statement["Resource"]}
    return merged


@settings(max_examples=50, deadline=None)
@given(
    of_bucket=st.none() | st.sampled_from([*BUCKETS]),
    others=st.lists(st.sampled_from(OTHERS), unique=True),
    keys=st.lists(st.sampled_from([*KEYS]), unique=True),
    sessions_only=st.booleans(),
    data=st.data(),
)
def test_any_options_in_any_order_add_what_each_adds_alone(
    of_bucket: str | None,
    others: list[str],
    keys: list[str],
    *,
    sessions_only: bool,
    data: st.DataObject,
) -> None:
    parts = [*([of_bucket] if of_bucket else []), *others, *keys]
    added = [alone(part, sessions_only=sessions_only) for part in (*others, *keys)]
    expected = union([composed([]), *added])
    if of_bucket:  # whose encryption is read, in place of that of any bucket
        expected |= alone(of_bucket, sessions_only=sessions_only)
    if "check_log_encryption" in others:
        del expected["SessionManagerLogEncryption"]

    found = composed(
        data.draw(st.permutations(parts)),
        first_later=data.draw(st.booleans()),
        minimize=data.draw(st.booleans()),
        decrypt_sessions_only=sessions_only,
    )

    assert found == expected


# The limit of IAM


def test_longest_options_fit() -> None:
    """The longest names that AWS takes, and the longest prefix, take half of what there is."""
    stack = cdk.Stack(cdk.App(context={MINIMIZE: True}), "Stack", env=HERE)
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

    document = stack.resolve(permissions.policy.document)
    # IAM counts no white space.
    size = len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    assert size < MAX_INLINE_POLICIES / 2
