"""The troubleshooting page has each message that a check names, and each check."""

from __future__ import annotations

import re
from typing import Final

import pytest

from session_manager_permissions._verify import checks
from session_manager_permissions._verify.checks import ORDER
from tests.conftest import ROOT

PAGE: Final = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SECTIONS: Final = dict(re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", PAGE, re.MULTILINE))
MESSAGES: Final = (
    checks.HANDSHAKE,
    *checks.KEY_DENIED.split(", or "),
    checks.NOT_CONNECTED,
    checks.BUCKET_NOT_READ,
    checks.BUCKET_NOT_ENCRYPTED,
    checks.GROUP_NOT_ENCRYPTED,
    *checks.PLUGIN_MISSING.split(", or "),
    checks.START_DENIED,
    checks.NO_RUN_AS_USER,
)


def named(section: str) -> set[str]:
    """The checks in the column of that name."""
    column = None
    found = set()
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            column = None
        elif "check" in cells:
            column = cells.index("check")
        elif column is not None:
            found |= {*re.findall(r"`([^`]+)`", cells[column])}
    return found


@pytest.mark.parametrize("message", MESSAGES)
def test_each_message_is_a_heading(message: str) -> None:
    words = [re.escape(part.strip(" .")) for part in re.split(r"…|\.{3}", message)]

    assert [heading for heading in SECTIONS if re.search(".*".join(words), heading)]


def test_each_cause_is_a_check_and_each_check_is_there() -> None:
    causes = {check for section in SECTIONS.values() for check in named(section)}

    assert causes == {*ORDER} - {"connected"}  # which is the heading's own
