"""The statements as data: the default is the AWS procedure to the letter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from session_manager_permissions import SessionManagerPermissions, session_manager_statements
from tests.builders import as_list
from tests.conftest import DATA, existing_key, existing_role, key_arn, policy

if TYPE_CHECKING:
    import aws_cdk as cdk


def as_json(**options: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [statement.to_statement_json() for statement in session_manager_statements(**options)]


def test_they_are_the_procedures_word_for_word(stack: cdk.Stack) -> None:
    file = DATA / "procedure.json"
    procedure = json.loads(file.read_text(encoding="utf-8"))["Policy"]["Statement"]
    (placeholder,) = (one for one in procedure if one["Action"] == ["kms:Decrypt"])
    placeholder["Resource"] = key_arn()

    found = as_json(encryption_key=existing_key(stack))

    assert as_json() == as_json(encryption_key=None) == found[:2]
    for statement in found:
        del statement["Sid"]
        statement["Action"] = as_list(statement["Action"])
    assert found == procedure


def test_each_call_makes_its_own(stack: cdk.Stack) -> None:
    before = as_json()
    session_manager_statements()[0].add_resources("arn:aws:iam::111122223333:role/Unrelated")
    assert as_json() == before
    SessionManagerPermissions(stack, "Permissions", role=existing_role(stack))
    assert policy(stack)["PolicyDocument"]["Statement"] == before
