"""`audit` with botocore's own clients: on a server that throttles, and interrupted half-way."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT
from tests.deploy.gateway import served

from .accounts import OTHER_REGION, Account, Machine, fleet
from .conftest import SIGNED_IN
from .nodes import REGION
from .running import over_http
from .served import Served

ENVIRONMENT: Final = SIGNED_IN | {"NO_PROXY": "127.0.0.1", "PYTHONPATH": str(ROOT)}
COMMAND: Final = [str(Path(sys.executable).with_name("session-manager-permissions")), "audit"]


def test_over_http_and_throttled() -> None:
    account = fleet(80)
    account.size = 8
    throttled = ("iam:SimulatePrincipalPolicy",)
    server = Served(account, refused_first=throttled)
    with served(server) as address:
        environment = ENVIRONMENT | {"AWS_ENDPOINT_URL": address}
        found = over_http(environment, "audit", "--output", "json", "--region", REGION)

    assert (found.status, found.error()) == (1, "")
    assert server.throttled == dict.fromkeys(throttled, 1)
    listed = [one for one in account.machines if one.region == REGION]
    running = [one for one in listed if one.state == "running"]
    never = [one for one in running if one.ping is None]
    assert found.json["summary"] == {
        "instances": 20, "reachable": len(running) - len(never), "unreachable": len(never),
        "stopped": len(listed) - len(running), "unknown": 0, "causes": {"registered": len(never)},
    }  # fmt: skip


@pytest.fixture
def slow() -> Iterator[tuple[Served, str]]:
    """A server with 400 nodes, which waits a twentieth of a second before each answer."""
    machines = [Machine(f"i-{n:017x}", (REGION, OTHER_REGION)[n % 2]) for n in range(400)]
    server = Served(Account(*machines), latency=0.05)
    with served(server) as address:
        yield server, address


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let child processes receive Ctrl-C, which a shell's background job ignores by default."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_prints_what_is_known(slow: tuple[Served, str]) -> None:
    server, address = slow
    regions = ["--region", REGION, "--region", OTHER_REGION]
    with subprocess.Popen(  # noqa: S603
        [*COMMAND, "--output", "json", *regions],
        env=ENVIRONMENT | {"AWS_ENDPOINT_URL": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while server.calls["ssm:GetConnectionStatus"] < 40:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    # A slow machine may have been told before what the audit waits for.
    said = [line for line in err.splitlines() if "still waiting for" not in line]
    assert (process.returncode, said) == (1, [])
    found = json.loads(out)
    assert 0 < found["summary"]["instances"] < 400
    assert {one["verdict"] for one in found["instances"]} == {"reachable"}
    for region in found["regions"]:
        assert "the audit was interrupted: this is" in region["error"]
