"""Fixtures and settings for all tests of the command."""

import math
import os
from typing import Final

import pytest

from session_manager_permissions._verify import session

NOBODY: Final = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Environment variables without credentials, whatever account the machine is signed in to."""
SIGNED_IN: Final = NOBODY | {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
"""Environment variables with credentials of an account that the tests serve."""


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep each test from real accounts, whatever account the machine is signed in to."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in (NOBODY | {"COLUMNS": "100", "TERM": "xterm"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(session, "_REPORT_AFTER", math.inf)  # no report on slow calls
