"""What the patterns of IAM policies match, as far as they are known."""

from __future__ import annotations

from typing import Any

import pytest

from session_manager_permissions._patterns import (
    UNKNOWN,
    any_matches,
    covers_action,
    holds,
    matches,
)

ACTION = "ssm:updateinstanceinformation"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (ACTION, True),
        ("*", True),
        ("ssm:*", True),
        ("ssm:update?nstance*", True),
        ("ssm:update", False),
        ("ssm:?", False),
        # IAM has no sets of characters
        ("[s]sm:*", False),
        (UNKNOWN, None),
        (f"ssm:{UNKNOWN}", None),
        (f"s3:{UNKNOWN}", False),
        ("ssm:${aws:userid}*", None),
        ("s3:${aws:userid}*", False),
        ("ssm:${aws:PrincipalTag/team, 'a{b'}*", None),
        # a variable that does not end is none
        ("ssm:${", False),
        ("*${", False),
        (f"{UNKNOWN}${{", False),
    ],
)
def test_matches(pattern: str, expected: bool | None) -> None:  # noqa: FBT001
    assert matches(pattern, ACTION) is expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"Action": "SSM:UpdateInstanceInformation"}, True),
        ({"Action": ["s3:*", "ssm:*"]}, True),
        ({"Action": ["s3:*"]}, False),
        ({"Action": ["s3:*", {"Ref": "Action"}]}, None),
        ({"Action": ["ssm:*", {"Ref": "Action"}]}, True),
        ({"NotAction": "ssm:*"}, False),
        ({"NotAction": ["s3:*"]}, True),
        ({"NotAction": ["s3:*", 3]}, None),
        ({"NotAction": []}, True),
        ({"Action": []}, False),
        ({}, None),
    ],
)
def test_covers_action(statement: dict[str, Any], expected: bool | None) -> None:  # noqa: FBT001
    assert covers_action(statement, ACTION) is expected


@pytest.mark.parametrize(
    ("answers", "of_any", "of_none"),
    [
        ([], False, True),
        ([False], False, True),
        ([False, None], None, None),
        ([None, True], True, False),
    ],
)
def test_any_matches(
    answers: list[bool | None],
    of_any: bool | None,  # noqa: FBT001
    of_none: bool | None,  # noqa: FBT001
) -> None:
    assert any_matches(answers) is of_any
    assert any_matches(answers, negated=True) is of_none


SECURE = {"aws:SecureTransport": "true"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (None, True),
        ({}, True),
        ({"Bool": SECURE}, True),
        ({"boolifexists": {"AWS:securetransport": [True, "false"]}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"Bool": SECURE, "Null": {"aws:SourceVpc": "true"}}, None),
        ({"Bool": {"aws:SecureTransport": False}, "Null": {"aws:SourceVpc": "true"}}, False),
        ({"Bool": SECURE | {"aws:ViaAWSService": "true"}}, None),
        ({"Bool": {"aws:SecureTransport": {"Ref": "Secure"}}}, None),
        ({"StringEquals": SECURE}, None),
        ({"Bool": {}}, None),
        ({"Bool": "true"}, None),
        ("aws:SecureTransport", None),
    ],
)
def test_condition_holds(condition: object, expected: bool | None) -> None:  # noqa: FBT001
    assert holds(condition) is expected
