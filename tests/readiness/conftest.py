from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .reports import Check

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Run the check on templates that are written in the test."""
    return Check(tmp_path)
