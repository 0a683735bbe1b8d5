"""docs/security.md and SECURITY.md: each action, option and switch in them exists."""

import ast
import re
import socket
from typing import Final

import pytest

from session_manager_permissions._verify.command import main

from .conftest import ROOT
from .test_readme import code, table

PAGE: Final = (ROOT / "docs/security.md").read_text(encoding="utf-8")
POLICY: Final = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_each_action_that_widens_a_grant_is_one_of_iam() -> None:
    known = {
        f"{service['prefix']}:{privilege['privilege']}"
        for service in pytest.importorskip("parliament").iam_definition
        for privilege in service["privileges"]
    }

    rows = table("the grant depends on", PAGE)
    named = [[one for one in code(row[1]) if re.fullmatch(r"[a-z0-9]+:\w+", one)] for row in rows]

    assert len(rows) == 6
    assert all(named)
    assert {action for row in named for action in row} <= known


def test_each_switch_of_the_cli_is_one_that_it_knows() -> None:
    cli = (ROOT / "node_modules/aws-cdk/lib/index.js").read_text(encoding="utf-8")
    rows = table("what", PAGE)

    switches = [code(row[2]) for row in rows]

    assert len(rows) == 5
    assert all(switches)
    for switch in (one for found in switches for one in found):
        name = re.sub(r"^cdk |^--(no-)?|=true$|: false$| --disable$", "", switch).strip('"')
        assert name == "cdk.json" or name in cli, switch


def test_the_package_brings_no_client_of_its_own_for_the_network() -> None:
    clients = {"aiohttp", "ftplib", "http", "httpx", "requests", "smtplib", "socket", "urllib"}
    for path in (ROOT / "session_manager_permissions").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in getattr(node, "names", [])]
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else modules
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imported = {name.partition(".")[0] for name in modules if name != "urllib.parse"}
                assert imported.isdisjoint(clients), path


@pytest.mark.parametrize(
    "arguments",
    [["policy"], ["verify", "--print-permissions"], ["audit", "--print-permissions"]],
    ids=" ".join,
)
def test_what_calls_nothing_opens_no_connection(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it connects"))

    assert main(arguments) == 0
    assert '"Version": "2012-10-17"' in capsys.readouterr().out


def test_each_command_of_the_page_is_said_to_call_something() -> None:
    called = {code(row[0])[0]: row[1:] for row in table("what you run", PAGE)}

    assert called["session-manager-permissions policy"] == ["none", "nothing"]
    for command in ("verify", "audit"):
        calls, changes = called[f"session-manager-permissions {command}"]
        assert f"`{command} --print-permissions`" in calls
        assert changes.startswith("nothing")
        assert f"`{command} --print-permissions`" in POLICY
