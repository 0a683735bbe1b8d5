"""What the agent's own diagnostics add. The rows are as amazon-ssm-agent writes them."""

import json
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from session_manager_permissions._quoting import rendered
from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.report import print_diagnosis

from .causes import LOST, NEVER, NOT_TRUSTED, UNDER_ACCOUNT, Change, behind, instance, record
from .networks import NO_ROUTE, behind_policy, policy, routes
from .nodes import HYBRID, NODE, World, both, default_route, diagnosed, nothing, one

CREDENTIALS: Final = "AWS Credentials"
IMDS: Final = "EC2 IMDS"
NO_ROLE: Final = "EC2RoleRequestError"
PROXY: Final = "Proxy configuration"
SERVICE: Final = "Agent service"
SSM: Final = "Connectivity to ssm endpoint"


def written(folder: Path, *rows: tuple[str, ...]) -> str:
    names = ("Check", "Status", "Note")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    path = folder / "diagnostics.json"
    path.write_text(json.dumps({"DiagnosticsOutput": found}), encoding="utf-8")
    return str(path)


BY_GATEWAY: Final = routes(default_route(TransitGatewayId="tgw-1"))


def never(*does: Change) -> Change:
    return both(NEVER, *does)


NO_CALLER: Final = behind_policy(policy(Principal=None))
KMS: Final = "Connectivity to kms endpoint"
OF_HYBRID: Final = both(World.is_hybrid, World.uses, LOST)
NO_METADATA: Final = never(instance(MetadataOptions={}))
ON_WINDOWS: Final = both(LOST, record(PlatformType="Windows"))
STOPPED: Final = "on the node: a note\non the node: "


@pytest.mark.parametrize(("does", "row", "told", "says"), [
    (never(BY_GATEWAY), (SSM, "Success"), "path-ssm pass", "the agent reports success: a note"),
    (never(BY_GATEWAY), (SSM, "Failed"), "path-ssm fail", "the agent reports a failure: a note"),
    (never(), (SSM, "Failed"), "path-ssm fail", "the agent reports a failure: a note"),
    (never(NO_ROUTE), (SSM, "Success"), "path-ssm unknown", "the agent reports success: a note"),
    (never(NO_ROUTE), (SSM, "Skipped"), "path-ssm fail", "no default"),
    (never(NO_ROUTE), (PROXY, "Success"), "path-ssm unknown", "a proxy"),
    (never(NO_ROUTE), (PROXY, "Skipped"), "path-ssm fail", "no default"),
    (never(behind("ssm", "ssm:PutInventory")), (SSM, "Success"), "path-ssm fail", "not allow ssm:"),
    (never(NO_CALLER), (SSM, "Failed"), "path-ssm fail", "the agent reports a failure: a note"),
    (never(NO_CALLER), (SSM, "Success"), "path-ssm unknown", 'for "VPC endpoint policy" in'),
    (nothing, (SSM, "Failed"), "path-ssm proven", ""),
    (OF_HYBRID, (SSM, "Success"), "path-ssm pass", "the agent reports success: a note"),
    (OF_HYBRID, (KMS, "Failed"), "path-kms fail", "the agent reports a failure: a note"),
    (OF_HYBRID, (KMS, "Failed"), "path-logs skipped", ""),
    (OF_HYBRID, (IMDS, "Failed"), "metadata skipped", ""),
    (NO_METADATA, (IMDS, "Success"), "metadata pass", ""),
    (NO_METADATA, (IMDS, "Failed"), "metadata fail", ""),
    (NO_METADATA, (IMDS, "Skipped"), "metadata unknown", ""),
    (both(NOT_TRUSTED, UNDER_ACCOUNT), (CREDENTIALS, "Success"),
     "default-host-management unknown", "\non the node: a note"),
    (LOST, (SERVICE, "Failed"), "registered fail", f"{STOPPED}sudo systemctl enable --now"),
    (both(LOST, record(PlatformName="Ubuntu")), (SERVICE, "Failed"), "registered fail",
     f"{STOPPED}sudo snap start --enable amazon-ssm-agent || sudo systemctl enable --now amazon-"),
    (both(LOST, record(PlatformName="Bottlerocket")), (SERVICE, "Failed"), "registered fail",
     "on the node: a note\naws ec2 reboot-instances"),
    (LOST, (CREDENTIALS, "Failed", f"{NO_ROLE}: none"), "agent unknown", f"{NO_ROLE}: none\non"),
    (LOST, (CREDENTIALS, "Failed", "STS call timed out"), "agent pass", ""),
    (ON_WINDOWS, (SERVICE, "Failed"), "registered fail", f"{STOPPED}Start-Service AmazonSSMAgent"),
    (LOST, (SERVICE, "Success"), "registered fail", "a note\nnone of the checks that"),
])  # fmt: skip
def test_what_a_row_adds(
    does: Change, row: tuple[str, ...], told: str, says: str, tmp_path: Path
) -> None:
    node = HYBRID if does is OF_HYBRID else NODE

    found = diagnosed(World(does), node, diagnostics=written(tmp_path, (*row, "a note")[:3]))

    name, verdict = told.split()
    check = one(found, name)
    assert check.verdict == verdict
    assert says in "\n".join((*check.why, *check.fix))
    assert found.ready or verdict != "proven"
    if "path-" in name:
        assert bool(check.fix) == (verdict in ("fail", "unknown", "skipped"))
        assert (found.cause == check) == (verdict == "fail" and node == NODE)


def test_nothing_is_added_by_rows_that_are_not_there(tmp_path: Path) -> None:
    world = World(NEVER)

    assert diagnosed(world, diagnostics=written(tmp_path)).checks == diagnosed(world).checks


@pytest.mark.parametrize(
    "text", ["[]", '{"DiagnosticsOutput": {}}', '{"DiagnosticsOutput": ["row"]}']
)
def test_a_file_of_something_else(text: str, tmp_path: Path) -> None:
    path = tmp_path / "diagnostics.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(CannotAsk, match=r"is not the expected JSON: .*: .*ssm-cli get-diagnostics"):
        diagnosed(World(), diagnostics=str(path))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_that_powershell_writes_is_read(encoding: str, tmp_path: Path) -> None:
    path = Path(written(tmp_path))
    path.write_text(path.read_text(encoding="utf-8"), encoding=encoding)

    assert diagnosed(World(), diagnostics=str(path)).ready


def test_what_a_node_says_moves_no_cursor_and_is_whole_in_json(tmp_path: Path) -> None:
    rows = written(tmp_path, (SSM, "Failed", "no\nanswer\x1b[2J"))

    found = diagnosed(World(NEVER), diagnostics=rows)

    assert "the agent reports a failure: no answer\x1b[2J" in one(found, "path-ssm").why
    out = rendered(partial(print_diagnosis, found))
    assert "the agent reports a failure: no answer\\u001b[2J" in out
    assert "\x1b" not in out
