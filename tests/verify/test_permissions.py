"""The permissions of `verify --instance-id` are all that read, and all that the page lists."""

from __future__ import annotations

import re

from session_manager_permissions._verify.checks import ORDER
from session_manager_permissions._verify.permissions import PERMISSIONS, policy_for_credentials
from tests.conftest import ROOT


def test_each_action_reads() -> None:
    (statement,) = policy_for_credentials()["Statement"]

    assert statement["Action"] == sorted(PERMISSIONS)
    for action in statement["Action"]:
        assert re.fullmatch(r"\w+:(Describe|Get|List|Simulate)\w+", action)


def test_each_check_is_one_that_exists() -> None:
    assert {check for checks in PERMISSIONS.values() for check in checks.split(", ")} <= {*ORDER}


def test_the_page_lists_them() -> None:
    page = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
    (table,) = re.findall(
        r"^\| action \| without it .*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE
    )
    cells = [re.findall(r"`([^`]+)`", row) for row in table.splitlines()]

    assert {action: ", ".join(checks) for action, *checks in cells} == PERMISSIONS
