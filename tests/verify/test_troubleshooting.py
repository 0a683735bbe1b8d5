"""The troubleshooting page has each message that a check names, and each check."""

import re
import shlex
from collections.abc import Iterator
from typing import Final

import pytest

from session_manager_permissions._verify import checks
from session_manager_permissions._verify.checks import CHECKS, ORDER
from tests.conftest import ROOT
from tests.test_readme import refuse_unknown_options

PAGE: Final = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SECTIONS: Final = dict(re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", PAGE, re.MULTILINE))
MESSAGES: Final = sorted(
    {said for one in CHECKS.values() if one.users_see for said in one.users_see.split(", or ")}
    | {checks.LATE_PROMPT}
)
SEEN: Final = (  # what no check can tell apart, and other things than a message
    *("black or blank screen", "Permission denied (publickey)", "kex_exchange_identification"),
    *("Connection to destination port failed", "Plugin with name Port is not supported"),
    *("Plugin with name Standard_Stream not found", "unable to validate encryption"),
    *("failed to start pty since RunAs user", "Enable advanced-instances tier"),
    *("MachineFingerprintDoesNotMatch", "Signature expired"),
    *("x509: certificate signed by unknown authority", "Cannot perform start session: EOF"),
    *("Another client than the CLI", "Windows loses the metadata service", "Bottlerocket"),
    *("a NAT was replaced",),
)


def rows(section: str) -> Iterator[dict[str, str]]:
    """The rows of the tables that have a column of checks."""
    header: list[str] = []
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]
        if not line.startswith("|"):
            header = []
        elif "check" in cells:
            header = cells
        elif header and set(line) != {"|", "-"}:
            yield dict(zip(header, cells, strict=True))


def named(section: str) -> set[str]:
    """The checks that the tables of a section name in their column of checks."""
    return {check for row in rows(section) for check in re.findall(r"`([^`]+)`", row["check"])}


@pytest.mark.parametrize("message", MESSAGES)
def test_each_message_is_a_heading(message: str) -> None:
    words = [re.escape(part.strip(" .")) for part in re.split(r"…|\.{3}", message)]

    assert [heading for heading in SECTIONS if re.search(".*".join(words), heading)]


def test_each_cause_is_a_check_and_each_check_is_there() -> None:
    causes = {check for section in SECTIONS.values() for check in named(section)}

    assert causes == {*ORDER} - {"connected"}  # which is the heading's own


@pytest.mark.parametrize("seen", SEEN)
def test_what_users_see_is_a_heading(seen: str) -> None:
    assert [heading for heading in SECTIONS if seen in heading.replace("`", "")]


@pytest.mark.parametrize("heading", SECTIONS)
def test_each_cause_says_how_to_tell_that_it_is_this_one(heading: str) -> None:
    for row in rows(SECTIONS[heading]):
        symptom = row["check"] in {"", "`registered`"}
        assert row.get("how to tell") or row.get("what you see") or not symptom, row
        assert row["cause"]
        assert row["remedy"]


@pytest.mark.parametrize("command", sorted({*re.findall(r"`(aws [^`]+)`", PAGE)}))
def test_each_command_in_a_row_is_one_of_the_cli(command: str) -> None:
    refuse_unknown_options(shlex.split(command))
