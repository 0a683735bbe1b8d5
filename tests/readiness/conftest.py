from pathlib import Path

import pytest

from session_manager_permissions._readiness.managed_policies import aws_managed

from .reports import Check

aws_managed("")  # else the first who reads the file may be a test that is not traced


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Run the check on templates that are written in the test."""
    return Check(tmp_path)
