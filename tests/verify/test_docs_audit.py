"""`docs/audit.md` against the command: its lines, its output, its fields and its permissions."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._verify.audit.arguments import add_arguments
from tests.conftest import ROOT

from .accounts import OTHER_REGION, Account, Machine, Role
from .nodes import REGISTER
from .running import run

if TYPE_CHECKING:
    import pytest

PAGE: Final = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
NEVER: Final[dict[str, Any]] = {"ping": None, "connection": "notconnected"}


def shown_account() -> Account:
    """The account of the page."""
    many = [Machine(f"i-{number:017x}") for number in range(350)]
    lacking = [Machine(f"i-0a{number:015x}", profile="web-server", **NEVER) for number in range(23)]
    stopped = [
        Machine(f"i-0b{number:015x}", OTHER_REGION, state="stopped", **NEVER) for number in range(5)
    ]
    without = [Machine(f"i-0c{number:015x}", profile=None, **NEVER) for number in range(2)]
    cut_off = [Machine("i-0d00000000000001e", OTHER_REGION, **NEVER)]
    account = Account(*many, *lacking, *stopped, *without, *cut_off)
    account.roles["web-server"] = Role(lacks=(REGISTER,))
    account.profiles["web-server"] = "web-server"
    account.shut = {OTHER_REGION}
    return account


def lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if "audit" in line]


def test_each_line_runs_and_the_first_prints_what_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    account = shown_account()
    monkeypatch.chdir(tmp_path)
    found = lines()
    for line in found:
        program, *arguments = shlex.split(line)
        assert program == "session-manager-permissions"
        for name in ("444455556666.json", "last.json"):  # of another account, and of last night
            if name in arguments and not Path(name).exists():
                Path(name).write_bytes(Path("111122223333.json").read_bytes())
        ended = run(account, *arguments)
        assert ended.status == (0 if "--print-permissions" in line else 1), ended.err
        if line == found[0]:
            (shown,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
            assert ended.out == shown
    assert {path.name for path in tmp_path.iterdir()} == {
        "111122223333.json",
        "444455556666.json",
        "audit.html",
        "last.json",
        "new.json",
        "organization.html",
        "profiles.txt",
    }


def test_each_option_is_described() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    known = {option for action in parser._actions for option in action.option_strings}  # noqa: SLF001

    rows = re.findall(r"^\| `(--[\w-]+)", PAGE, re.MULTILINE)

    assert {*rows} == known - {"-h", "--help"}
