"""Which conditions hold for each call of the agent, which always uses TLS."""

from __future__ import annotations

import pytest

from session_manager_permissions._conditions import open_keys

SECURE = {"aws:SecureTransport": "true"}
INSECURE = {"aws:SecureTransport": False}
VIA, VPC = "aws:ViaAWSService", {"aws:SourceVpc": "true"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (None, []),
        ({}, []),
        ({"Bool": SECURE}, []),
        ({"BoolIfExists": {"AWS:securetransport": [True, "false"]}}, []),
        ({"Bool": INSECURE}, None),
        ({"Bool": INSECURE, "Null": VPC}, None),
        ({"Bool": SECURE, "Null": VPC}, ["aws:SourceVpc"]),
        ({"Bool": SECURE | {VIA: "true"}}, [VIA]),
        ({"StringNotEquals": SECURE}, None),
        ({"NumericEquals": SECURE}, ["aws:SecureTransport"]),
        ({"Bool": {"aws:SecureTransport": []}}, ["aws:SecureTransport"]),
        ({"Bool": {}}, [""]),
        ({"Bool": "true"}, [""]),
        ("aws:SecureTransport", [""]),
    ],
)
def test_keys_that_are_open(condition: object, expected: list[str] | None) -> None:
    assert open_keys(condition) == expected
