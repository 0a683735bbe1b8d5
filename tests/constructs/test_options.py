"""The flags among the options, and what is no option: refused, with nothing made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from session_manager_permissions import SessionManagerPermissions, session_manager_statements
from tests.conftest import existing_key, existing_role, key_arn, statements

if TYPE_CHECKING:
    import aws_cdk as cdk


def test_keys_added_later_decrypt_sessions_only_too(stack: cdk.Stack) -> None:
    permissions = SessionManagerPermissions(
        stack, "Permissions", role=existing_role(stack), decrypt_sessions_only=True
    )
    assert "kms:" not in str(statements(stack))

    permissions.add_encryption_key(existing_key(stack))

    assert statements(stack)["SessionManagerDecrypt"] == {
        "Sid": "SessionManagerDecrypt",
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": key_arn(),
        "Condition": {"Null": {"kms:EncryptionContext:aws:ssm:SessionId": "false"}},
    }


def refused(stack: cdk.Stack, error: type[Exception], says: str, **options: object) -> None:
    """The function and the construct refuse the options, and the tree stays as it was."""
    given: dict[str, Any] = options
    with pytest.raises(error, match=says):
        session_manager_statements(**given)
    role = existing_role(stack)
    before = [child.node.path for child in stack.node.find_all()]
    with pytest.raises(error, match=says):
        SessionManagerPermissions(stack, "Permissions", **{"role": role, **given})
    assert [child.node.path for child in stack.node.find_all()] == before


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *(("allow_registration", value) for value in ("true", 1, None)),
        *(("decrypt_sessions_only", value) for value in ("false", 0, None)),
        # None is the default of check_log_encryption, which preferences decide.
        *(("check_log_encryption", value) for value in ("true", [True])),
    ],
)
def test_flag_that_is_no_bool_is_a_type_error(stack: cdk.Stack, flag: str, value: object) -> None:
    refused(stack, TypeError, rf"^{flag} must be a bool", **{flag: value})


@pytest.mark.parametrize("option", ["allow_registrations", "logBucket", "role_name"])
def test_option_that_does_not_exist_is_a_type_error(stack: cdk.Stack, option: str) -> None:
    refused(stack, TypeError, f"unexpected keyword argument '{option}'", **{option: None})


def test_prefix_without_a_bucket_leaves_the_tree_as_it_was(stack: cdk.Stack) -> None:
    refused(stack, ValueError, "has no bucket", log_prefix="sessions")


@pytest.mark.parametrize("target", ["role", "instance_profile", "policy_name"])
def test_statements_alone_take_no_target(target: str) -> None:
    options: Any = {target: None}
    with pytest.raises(TypeError, match=f"'{target}'"):
        session_manager_statements(**options)
