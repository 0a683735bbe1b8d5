import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from local_aws import LocalAws, free_port, local_aws, wait_until_ready

from .diagnoser import Diagnoser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder, before `-m` looks at the marks."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker("deploy")


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with local_aws() as running:
        yield running


@dataclass(frozen=True)
class Moto(LocalAws):
    """moto's server, which the CLI reaches only as `localhost`."""

    @property
    def endpoint(self) -> str:
        return f"http://localhost:{self.port}"


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """An account on moto, which supports resources that MiniStack does not."""
    folder, port = tmp_path_factory.mktemp("moto"), free_port()
    script = str(Path(__file__).with_name("moto_server.py"))
    with (
        (folder / "server.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603
            [sys.executable, script, "-H", "127.0.0.1", "-p", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as server,
    ):
        try:
            wait_until_ready(server, port, folder / "server.log")
            yield Moto(folder, port, server.pid)
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def diagnoser(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Diagnoser]:
    from .diagnoser import diagnosing  # noqa: PLC0415 # it loads moto, which few tests need

    with diagnosing(aws, tmp_path_factory.mktemp("diagnosis")) as running:
        yield running
