"""`docs/audit.md` against the command: its lines, its output, its fields and its permissions."""

import argparse
import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from session_manager_permissions._verify.audit.answering import add_arguments
from session_manager_permissions._verify.audit.result import NodeResult
from tests.conftest import ROOT, run_python

from .accounts import NEVER, OTHER_REGION, Account, Machine, Role
from .audits import node, result, role, written
from .nodes import ACCOUNT, OTHER_ACCOUNT, REGISTER
from .running import run

PAGE: Final = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
ROLES: Final = {"web-server": Role(lacks=(REGISTER,))}


def shown_account() -> Account:
    """The account that the page shows."""
    many = [Machine(f"i-{number:017x}") for number in range(350)]
    lacking = [Machine(f"i-0a{number:015x}", profile="web-server", **NEVER) for number in range(23)]
    stopped = [Machine(f"i-0b{n:015x}", OTHER_REGION, state="stopped", **NEVER) for n in range(5)]
    without = [Machine(f"i-0c{number:015x}", profile=None, **NEVER) for number in range(2)]
    cut_off = [Machine("i-0d00000000000001e", OTHER_REGION, **NEVER)]
    machines = (*many, *lacking, *stopped, *without, *cut_off)
    return Account(*machines, roles=ROLES, shut={OTHER_REGION})


def lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if "audit" in line]


def compared(script: str, *files: str) -> tuple[int, str]:
    """The exit status and the output of the example that compares two results."""
    ended = run_python(str(ROOT / script), *files, cwd=Path.cwd())
    return ended.returncode, ended.stdout + ended.stderr


WEB: Final = node("i-1")
CUT_OFF: Final = node("i-1", causes=["path-ssm"])
NEW: Final = node("i-3")
LACKING: Final = CUT_OFF | {"causes": ["reach"]}
NOT_COMPARED: Final = f"not compared: {ACCOUNT} {OTHER_REGION}"
ELSEWHERE: Final = node("i-2", region=OTHER_REGION, causes=["reach"])


@pytest.mark.parametrize(("old", "new", "status", "said"), [
    pytest.param([WEB], [CUT_OFF], 1, "i-1: reachable -> unreachable, path-ssm", id="worse"),
    pytest.param([CUT_OFF], [WEB], 0, "i-1: unreachable, path-ssm -> reachable", id="better"),
    pytest.param(
        [CUT_OFF], [LACKING], 0, "i-1: unreachable, path-ssm -> unreachable, reach", id="else"),
    pytest.param([WEB], [WEB, NEW], 0, "i-3: absent -> reachable", id="new"),
    pytest.param([WEB, NEW], [WEB], 0, "i-3: reachable -> absent", id="gone"),
    pytest.param([CUT_OFF], [CUT_OFF | {"why": ["so"]}], 0, "", id="in other words"),
    pytest.param([WEB], [WEB, ELSEWHERE], 0, NOT_COMPARED, id="elsewhere"),
])  # fmt: skip
def test_changes_of_nodes(
    tmp_path: Path, old: list[NodeResult], new: list[NodeResult], status: int, said: str
) -> None:
    files = (written(tmp_path, name, result(one)) for name, one in (("a", old), ("b", new)))

    assert compared("examples/audit/changes.py", *files) == (status, said and f"{said}\n")


def test_changes_of_roles(tmp_path: Path) -> None:
    old = [role("kept", lacks=["reach"]), role("open", unknown=["encrypt"]), role("worse")]
    new = [role(name, lacks=["encrypt", "reach"]) for name in ("kept", "open", "worse", "new")]
    files = (written(tmp_path, n, result([WEB], roles=of)) for n, of in (("a", old), ("b", new)))

    assert compared("examples/audit/changes.py", *files) == (
        1,
        "kept lost encrypt\nopen lost reach\nworse lost encrypt, reach\n",
    )


def test_lines_run_and_print_what_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    found = lines()
    shown_by_first = shown_account()
    small = Account(Machine("i-1", profile="web-server", **NEVER), roles=ROLES)
    for line in found:
        program, *arguments = shlex.split(line)
        if "444455556666.json" in arguments:
            of_one = Path("111122223333.json").read_text(encoding="utf-8")
            of_other = of_one.replace(ACCOUNT, OTHER_ACCOUNT)
            Path("444455556666.json").write_text(of_other, encoding="utf-8")
        if program == "python":
            script, old, new = arguments
            assert compared(script, old, new)[0] == 2  # there is no audit of yesterday yet
            Path(old).write_bytes(Path(new).read_bytes())
            assert compared(script, old, new) == (0, "")
            continue
        assert program == "session-manager-permissions"
        ended = run(shown_by_first if line == found[0] else small, *arguments)
        assert ended.status == (0 if "--print-permissions" in line else 1), ended.err
        if line == found[0]:
            (shown,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
            assert ended.out == shown
    assert {path.name for path in tmp_path.iterdir()} == {
        *("111122223333.json", "444455556666.json", "audit.html", "organization.html"),
        *("profiles.txt", "today.json", "yesterday.json"),
    }


def test_each_option_is_described() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    known = {option for action in parser._actions for option in action.option_strings}  # noqa: SLF001

    rows = re.findall(r"^\| `(--[\w-]+)", PAGE, re.MULTILINE)

    assert {*rows} == known - {"-h", "--help"}
