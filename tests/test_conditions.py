"""Which conditions hold for each call of the agent, and for the calls of a role."""

import pytest

from session_manager_permissions._conditions import EACH_CALL, holds, open_keys
from session_manager_permissions._patterns import MARKS, UNKNOWN

SECURE = {"aws:SecureTransport": "true"}
INSECURE = {"aws:SecureTransport": False}
VIA, VPC = "aws:ViaAWSService", {"aws:SourceVpc": "true"}
MFA, CALLED = "aws:MultiFactorAuthPresent", "aws:CalledVia"
ARN, IP, BY, TLS = "aws:PrincipalArn", "aws:SourceIp", "kms:ViaService", "s3:TlsVersion"
IN_PART = "iam:RoleArn"
OF_ROLE = EACH_CALL.made_by("arn:aws:iam::111122223333:role/web").knowing(
    {IP: None, IN_PART: f"arn:aws:iam::{chr(MARKS)}:role/web"})  # fmt: skip


@pytest.mark.parametrize(("condition", "expected"), [
    (None, []),
    ({}, []),
    ({"Bool": SECURE}, []),
    ({"BoolIfExists": {"AWS:securetransport": [True, "false"]}}, []),
    ({"Bool": INSECURE}, None),
    ({"Bool": INSECURE, "Null": VPC}, None),
    ({"Bool": SECURE, "Null": VPC}, ["aws:SourceVpc"]),
    ({"Bool": SECURE | {VIA: "true"}}, None),
    ({"Bool": SECURE | {VIA: "false"}, "Null": {BY: "true"}}, []),
    ({"Bool": {MFA: "true"}, "BoolIfExists": {MFA: "false"}}, None),
    ({"Bool": {MFA: "false"}}, [MFA]),
    ({"ForAnyValue:StringNotEquals": {CALLED: "a"}}, None),
    ({"ForAllValues:StringLike": {CALLED: "a"}, "ForAnyValue:BoolIfExists": {CALLED: "a"}}, []),
    ({"StringEquals": {"aws:SourceAccount": "111122223333"}}, None),
    ({"StringNotEquals": SECURE}, None),
    ({"NumericEquals": SECURE}, ["aws:SecureTransport"]),
    ({"Bool": {"aws:SecureTransport": []}}, ["aws:SecureTransport"]),
    ({"Bool": {}}, [""]),
    ({"Bool": "true"}, [""]),
    ("aws:SecureTransport", [""]),
])  # fmt: skip
def test_keys_that_are_open(condition: object, expected: list[str] | None) -> None:
    assert open_keys(condition) == expected


@pytest.mark.parametrize(("operator", "key", "asked", "expected"), [
    ("ArnLike", ARN, ["arn:aws:iam::*:user/*", "arn:aws:iam::*:role/*"], True),
    ("ArnEquals", ARN, "arn:aws:iam::*:role/db", False),
    ("ArnLike", ARN, "*:role/web", None),
    ("ArnNotLike", ARN, "*:role/web", None),
    ("ArnLike", ARN, "*:role/db", False),
    ("ArnLike", ARN, "arn:*:role/web", None),
    ("StringLike", ARN, "*:role/web", True),
    ("arnnotlike", "AWS:principalarn", "arn:aws:iam::*:role/*", False),
    ("StringLike", ARN, "arn:${aws:PrincipalTag/of}", None),
    ("StringLike", ARN, f"arn:{chr(MARKS)}:*", None),
    ("StringLike", ARN, f"{UNKNOWN}/db", False),
    ("StringEquals", ARN, UNKNOWN, None),
    ("StringEquals", ARN, "${aws:PrincipalTag/of}", None),
    ("StringEquals", IN_PART, "arn:aws:iam::111122223333:role/db", False),
    ("ArnLike", IN_PART, ["arn:aws:iam::*:user/*", f"arn:aws:iam::{chr(MARKS)}:role/d*"], False),
    ("ArnLike", IN_PART, "arn:aws:iam::111122223333:role/w*", None),
    ("StringLike", IN_PART, "*:role/db", None),
    ("StringEqualsIgnoreCase", IN_PART, "arn:aws:iam::111122223333:role/Web", None),
    ("StringEquals", "kms:CallerAccount", "111122223333", True),
    ("Bool", "aws:PrincipalIsAWSService", "False", True),
    ("StringEquals", BY, "s3", False),
    ("StringNotEquals", BY, "s3", True),
    ("StringEqualsIfExists", BY, "s3", True),
    ("Null", BY, "true", True),
    ("Null", BY, False, False),
    ("DateLessThan", BY, "2020-01-01", False),
    ("Null", IP, "true", False),
    ("StringLike", IP, "10.*", None),
    ("StringNotLike", IP, "10.*", None),
    ("NumericLessThan", TLS, ["1.1", 1.2], False),
    ("NumericLessThan", TLS, ["1.2", "1.3"], None),
    ("NumericLessThan", TLS, UNKNOWN, None),
    ("NumericLessThanIfExists", TLS, "1.2", None),
    ("StringEquals", "aws:PrincipalTag/of", "a", None),
    ("StringEquals", "aws:PrincipalType", ["User", "AssumedRole"], True),
    ("StringLike", "aws:username", "*", False),
    ("StringNotLike", "aws:PrincipalServiceName", "s3.*", True),
    ("StringEquals", "aws:userid", "a", None),
])  # fmt: skip
def test_calls_of_a_role(operator: str, key: str, asked: object, *, expected: bool | None) -> None:
    assert holds({operator: {key: asked}}, OF_ROLE) is expected
