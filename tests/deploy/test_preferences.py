"""One document from its first deploy to its destruction, by the real CLI on moto's server.

moto covers `AWS::SSM::Document` where MiniStack does not; what its CloudFormation does otherwise
than AWS's is set right in `moto_server.py`.
"""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from local_aws import LocalAws

from tests.constructs.test_preferences import violations

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.deploy

HERE: Final = Path(__file__).parent
APP: Final = shlex.join([sys.executable, str(HERE / "preferences_app.py")])
NAME: Final = "Acme-Sessions"
STACK: Final = "Preferences"


@dataclass(frozen=True)
class Moto(LocalAws):
    """moto's server, which the CLI reaches by `localhost` alone."""

    @property
    def endpoint(self) -> str:
        return f"http://localhost:{self.port}"

    def deploy(self, idle: int) -> str:
        run = self.cdk("deploy", "--method=direct", "--app", APP, "-c", f"idle={idle}")
        assert run.exit_code == 0, run.output
        return run.output

    def destroy(self) -> None:
        run = self.cdk("destroy", "--force", "--app", APP, "-c", "idle=1")
        assert run.exit_code == 0, run.output

    def document(self, **version: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client("ssm").get_document(Name=NAME, **version)
        return found

    def outputs(self) -> dict[str, str]:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_moto(folder: Path) -> Iterator[Moto]:
    port = free_port()
    with (
        (folder / "server.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603
            [sys.executable, str(HERE / "moto_server.py"), "-H", "127.0.0.1", "-p", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as server,
    ):
        try:
            wait_until_ready(server, port)
            yield Moto(folder, port, server.pid)
        finally:
            server.terminate()


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert server.poll() is None
        try:
            socket.create_connection(("localhost", port), timeout=5).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    with running_moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


def content(moto: Moto, idle: int) -> dict[str, Any]:
    """What the document must hold, by AWS's names of what was deployed."""
    outputs = moto.outputs()
    return {
        "schemaVersion": "1.0",
        "description": "Session Manager preferences",
        "sessionType": "Standard_Stream",
        "inputs": {
            "s3BucketName": outputs["BucketName"],
            "s3KeyPrefix": "sessions",
            "s3EncryptionEnabled": True,
            "cloudWatchLogGroupName": "/acme/sessions",
            "cloudWatchEncryptionEnabled": True,
            "cloudWatchStreamingEnabled": True,
            "kmsKeyId": outputs["KeyArn"],
            "runAsEnabled": True,
            "runAsDefaultUser": "operator",
            "idleSessionTimeout": str(idle),
            "maxSessionDuration": "1440",
            "shellProfile": {
                "linux": "cd \"$HOME\"\nexport PS1='\\u@\\h é $ '\n",
                "windows": 'Write-Host "`t$env:USERNAME"',
            },
        },
    }


def test_a_document_is_made_and_then_changed_in_place(moto: Moto) -> None:
    moto.deploy(idle=15)

    made = moto.document()
    assert (made["Name"], made["DocumentType"], made["DocumentVersion"]) == (NAME, "Session", "1")
    assert json.loads(made["Content"]) == content(moto, idle=15)
    assert violations(json.loads(made["Content"])) == []

    assert "no changes" in moto.deploy(idle=15)
    assert moto.document()["DocumentVersion"] == "1"

    moto.deploy(idle=60)

    changed = moto.document()
    assert (changed["Name"], changed["DocumentVersion"]) == (NAME, "2")
    assert json.loads(changed["Content"]) == content(moto, idle=60)
    assert moto.document(DocumentVersion="1")["Content"] == made["Content"]

    moto.destroy()

    ssm = moto.client("ssm")
    with pytest.raises(ssm.exceptions.InvalidDocument):
        ssm.get_document(Name=NAME)
