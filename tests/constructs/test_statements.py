"""The statements as data: the default is the AWS procedure to the letter."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from session_manager_permissions import SessionManagerPermissions, session_manager_statements
from tests.conftest import DATA, existing_key, existing_role, key_arn, policy, resources, statements

PROCEDURE = DATA / "procedure.json"
CHANNELS = {
    "Sid": "SessionManagerChannels",
    "Effect": "Allow",
    "Action": [
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ],
    "Resource": "*",
}
LOG_ENCRYPTION = {
    "Sid": "SessionManagerLogEncryption",
    "Effect": "Allow",
    "Action": "s3:GetEncryptionConfiguration",
    "Resource": "*",
}
DECRYPT = {
    "Sid": "SessionManagerDecrypt",
    "Effect": "Allow",
    "Action": "kms:Decrypt",
    "Resource": key_arn(),
}


def as_json(statements: list[iam.PolicyStatement]) -> list[dict[str, Any]]:
    return [statement.to_statement_json() for statement in statements]


def test_with_no_option_they_are_the_procedures_without_a_key() -> None:
    assert as_json(session_manager_statements()) == [CHANNELS, LOG_ENCRYPTION]
    assert as_json(session_manager_statements(encryption_key=None)) == [CHANNELS, LOG_ENCRYPTION]


def test_they_are_the_procedures_word_for_word(stack: cdk.Stack) -> None:
    procedure = json.loads(PROCEDURE.read_text(encoding="utf-8"))["Policy"]["Statement"]
    (placeholder,) = (s for s in procedure if s["Action"] == ["kms:Decrypt"])
    placeholder["Resource"] = key_arn()

    def comparable(statement: dict[str, Any]) -> dict[str, Any]:
        action = statement["Action"]
        return {
            **{name: value for name, value in statement.items() if name != "Sid"},
            "Action": action if isinstance(action, list) else [action],
        }

    found = as_json(session_manager_statements(encryption_key=existing_key(stack)))
    assert [comparable(s) for s in found] == procedure


def test_they_make_a_managed_policy(stack: cdk.Stack) -> None:
    iam.ManagedPolicy(
        stack, "Managed", statements=session_manager_statements(encryption_key=existing_key(stack))
    )
    (managed,) = resources(stack, "AWS::IAM::ManagedPolicy").values()
    assert managed["Properties"]["PolicyDocument"]["Statement"] == [
        CHANNELS,
        LOG_ENCRYPTION,
        DECRYPT,
    ]


def test_each_call_makes_its_own(stack: cdk.Stack) -> None:
    changed = session_manager_statements()
    changed[0].add_resources("arn:aws:iam::111122223333:role/Unrelated")
    assert as_json(session_manager_statements()) == [CHANNELS, LOG_ENCRYPTION]
    SessionManagerPermissions(stack, "Permissions", role=existing_role(stack))
    assert policy(stack)["PolicyDocument"]["Statement"] == [CHANNELS, LOG_ENCRYPTION]


# the options


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
