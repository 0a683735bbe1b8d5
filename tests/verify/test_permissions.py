"""The permissions of `verify --instance-id` are those of checks, and none writes."""

from __future__ import annotations

import re

from session_manager_permissions._verify.checks import ORDER
from session_manager_permissions._verify.permissions import PERMISSIONS, policy_for_credentials


def test_each_action_reads() -> None:
    (statement,) = policy_for_credentials()["Statement"]

    assert statement["Action"] == sorted(PERMISSIONS)
    for action in statement["Action"]:
        assert re.fullmatch(r"\w+:(Describe|Get|List|Simulate)\w+", action)


def test_each_check_is_one_that_exists() -> None:
    assert {check for checks in PERMISSIONS.values() for check in checks.split(", ")} <= {*ORDER}
