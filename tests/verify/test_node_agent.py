"""What the agent's own diagnostics add; the rows are as amazon-ssm-agent writes them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.report import print_diagnosis
from session_manager_permissions._verify.text import rendered

from .causes import LOST, NEVER, NOT_TRUSTED, UNDER_ACCOUNT, Change, instance, record
from .networks import NO_ROUTE, routes
from .nodes import HYBRID, World, default_route, diagnosed, nothing, one

CREDENTIALS: Final = "AWS Credentials"
IMDS: Final = "EC2 IMDS"
PROXY: Final = "Proxy configuration"
SERVICE: Final = "Agent service"
SSM: Final = "Connectivity to ssm endpoint"
ROLE_SESSION: Final = (
    "Credentials are for arn:aws:sts::111122223333:assumed-role/DefaultNodes/i-0123456789abcdef0 "
    "and will expire at 2026-01-01 13:24:42 +0000 UTC"
)


def written(folder: Path, *rows: tuple[str, str, str]) -> str:
    names = ("Check", "Status", "Note")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    path = folder / "diagnostics.json"
    path.write_text(json.dumps({"DiagnosticsOutput": found}), encoding="utf-8")
    return str(path)


BY_GATEWAY: Final = routes(default_route(TransitGatewayId="tgw-1"))
WORKS: Final = "on the node it works: it is reachable"


@pytest.mark.parametrize(
    ("breaks", "row", "verdict", "says"),
    [
        pytest.param(BY_GATEWAY, (SSM, "Success"), "pass", WORKS, id="unknown, and it works"),
        pytest.param(BY_GATEWAY, (SSM, "Failed"), "fail", "fails", id="unknown, and it fails"),
        pytest.param(nothing, (SSM, "Failed"), "fail", "fails", id="open, and it fails"),
        pytest.param(NO_ROUTE, (SSM, "Success"), "unknown", WORKS, id="closed, and it works"),
        pytest.param(NO_ROUTE, (SSM, "Skipped"), "fail", "no default", id="closed, not tried"),
        pytest.param(NO_ROUTE, (PROXY, "Success"), "unknown", "a proxy", id="closed, and a proxy"),
        pytest.param(NO_ROUTE, (PROXY, "Skipped"), "fail", "no default", id="closed, no proxy"),
    ],
)
def test_a_path(
    breaks: Change, row: tuple[str, str], verdict: str, says: str, tmp_path: Path
) -> None:
    rows = written(tmp_path, (*row, "it is reachable"))

    found = diagnosed(World(NEVER, breaks), diagnostics=rows)

    check = one(found, "path-ssm")
    assert check.verdict == verdict
    assert says in check.why[0]
    assert bool(check.fix) == (verdict != "pass")
    assert found.cause
    assert (found.cause == check) == (verdict == "fail")


def test_what_is_proven_stays_so(tmp_path: Path) -> None:
    found = diagnosed(World(), diagnostics=written(tmp_path, (SSM, "Failed", "timeout")))

    assert one(found, "path-ssm").verdict == "proven"
    assert found.ready


def test_the_path_of_a_hybrid_node(tmp_path: Path) -> None:
    kms = ("Connectivity to kms endpoint", "Failed", "timeout")
    rows = written(tmp_path, (SSM, "Success", "reachable"), kms)

    found = diagnosed(World(World.is_hybrid, World.uses, LOST), HYBRID, diagnostics=rows)

    assert one(found, "path-ssm").verdict == "pass"
    assert one(found, "path-kms").verdict == "fail"
    assert one(found, "path-logs").verdict == "skipped"


@pytest.mark.parametrize(
    ("status", "verdict"), [("Success", "pass"), ("Failed", "fail"), ("Skipped", "unknown")]
)
def test_the_metadata(status: str, verdict: str, tmp_path: Path) -> None:
    rows = written(tmp_path, (IMDS, status, "IMDS …"))

    found = diagnosed(World(NEVER, instance(MetadataOptions={})), diagnostics=rows)

    assert one(found, "metadata").verdict == verdict


def test_the_credentials_are_noted(tmp_path: Path) -> None:
    rows = written(tmp_path, (CREDENTIALS, "Success", ROLE_SESSION))

    found = diagnosed(World(NOT_TRUSTED, UNDER_ACCOUNT), diagnostics=rows)

    check = one(found, "default-host-management")
    assert check.verdict == "unknown"
    assert check.why[-1] == f"on the node: {ROLE_SESSION}"


@pytest.mark.parametrize(
    ("status", "platform", "fix"),
    [
        ("Failed", "Linux", "on the node: sudo systemctl enable --now amazon-ssm-agent"),
        ("Failed", "Windows", "on the node: Start-Service AmazonSSMAgent"),
        ("Success", "Linux", "nothing that the connection needs fails"),
    ],
)
def test_the_service(status: str, platform: str, fix: str, tmp_path: Path) -> None:
    rows = written(tmp_path, (SERVICE, status, "it is not running"))

    found = diagnosed(World(LOST, record(PlatformType=platform)), diagnostics=rows)

    check = one(found, "registered")
    assert check.why[-1] == "on the node: it is not running"
    assert check.fix[0].startswith(fix)


def test_nothing_is_added_by_rows_that_are_not_there(tmp_path: Path) -> None:
    world = World(NEVER)

    assert diagnosed(world, diagnostics=written(tmp_path)).checks == diagnosed(world).checks


@pytest.mark.parametrize(
    "text", ["[]", '{"DiagnosticsOutput": {}}', '{"DiagnosticsOutput": ["row"]}']
)
def test_a_file_of_something_else(text: str, tmp_path: Path) -> None:
    path = tmp_path / "diagnostics.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(
        CannotAsk, match=r"has no list DiagnosticsOutput: .*ssm-cli get-diagnostics"
    ):
        diagnosed(World(), diagnostics=str(path))


def test_a_file_with_the_mark_of_windows_is_read(tmp_path: Path) -> None:
    path = Path(written(tmp_path))
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")

    assert diagnosed(World(), diagnostics=str(path)).ready


def test_what_a_node_says_moves_no_cursor_and_is_whole_in_json(tmp_path: Path) -> None:
    rows = written(tmp_path, (SSM, "Failed", "no\nanswer\x1b[2J"))

    found = diagnosed(World(NEVER), diagnostics=rows)

    assert "on the node it fails: no answer\x1b[2J" in one(found, "path-ssm").why
    out = rendered(partial(print_diagnosis, found))
    assert "on the node it fails: no answer\\u001b[2J" in out
    assert "\x1b" not in out
