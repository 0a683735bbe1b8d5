"""Makes the account of a cause on moto and MiniStack, and runs the command on it."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unittest.mock import patch

import botocore.session
from botocore.retries.standard import ExponentialBackoff
from moto.server import ThreadedMotoServer

from session_manager_permissions._verify.command import main
from session_manager_permissions._verify.permissions import PERMISSIONS
from tests.verify.nodes import REGION

from .account import Account
from .gateway import Call, Gateway, served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_aws import LocalAws

    from tests.verify.causes import Cause

ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = Path(sys.executable).with_name("session-manager-permissions")
READS: Final = re.compile(r"Describe|Get|List|Simulate")


class Run(NamedTuple):
    """What the command wrote, and its exit status."""

    status: int
    out: str
    err: str


def _run_here(arguments: list[str], environment: dict[str, str]) -> Run:
    """Run the command in this process, which saves the start of a process for each cause."""
    out, err = StringIO(), StringIO()
    with (
        patch.dict(os.environ, environment, clear=True),
        patch.object(botocore.session, "create_loader", _shared_loader),
        patch.object(ExponentialBackoff, "delay_amount", lambda *_: 0),  # it waits for no account
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        status = main(arguments)
    return Run(status, out.getvalue(), err.getvalue())


def _run_process(arguments: list[str], environment: dict[str, str]) -> Run:
    """Run the installed command."""
    run = subprocess.run(  # noqa: S603
        [COMMAND, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Run(run.returncode, run.stdout, run.stderr)


_shared_loader: Final = cache(botocore.session.create_loader)
"""Each session reads the models of the services anew, which takes longer than all of its calls."""


@dataclass(frozen=True)
class Diagnosis:
    """What a run of the command came to."""

    status: int
    out: str
    err: str
    calls: list[Call]
    questions: list[tuple[Call, str, bytes]]

    @property
    def found(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.out)
        return answer

    def checks(self, verdict: str) -> set[str]:
        """The checks with this verdict."""
        return {one["check"] for one in self.found["checks"] if one["verdict"] == verdict}

    def check(self, name: str) -> dict[str, Any]:
        (found,) = (one for one in self.found["checks"] if one["check"] == name)
        return found  # type: ignore[no-any-return]


@dataclass
class Diagnoser:
    """Makes what causes describe, and runs the command on it."""

    account: Account
    moto: int
    folder: Path

    def run(
        self,
        said: Cause,
        *arguments: str,
        user: str = "",
        as_process: bool = False,
        **changes: Any,  # noqa: ANN401
    ) -> Diagnosis:
        """Run `verify`, and other arguments than the node if they are given.

        Args:
            said: what is made.
            arguments: more arguments; `audit` alone is that command.
            user: one whose credentials it runs with, made before; default: the administrator's.
            as_process: whether the installed command runs.
            changes: attributes of the gateway.

        Every call is one that reads, and one that `--print-permissions` allows.
        """
        made = self.account.make(said.world())
        credentials: dict[str, str] = {}
        if user:
            credentials = self.account.user(user)
            allowed = self.account.allowed(credentials["ARN"], [*PERMISSIONS])
            changes["may_call"] = allowed.__contains__
        gateway = Gateway(made, ministack=self.account.aws.port, moto=self.moto)
        gateway = replace(gateway, **changes)
        whole = ["audit"]
        if arguments != ("audit",):
            operator = ["--operator", made.renamed(said.operator)] if said.operator else []
            node = made.names.get(said.node, said.node)
            whole = ["verify", "--instance-id", node, *operator, *arguments]
        with served(gateway) as address:
            run = (_run_process if as_process else _run_here)(
                # the last option counts
                [whole[0], "--output", "json", "--region", REGION, *whole[1:]],
                self._environment() | {"AWS_ENDPOINT_URL": address} | credentials,
            )
        for call in gateway.calls:  # whatever it comes to, it only reads
            assert READS.match(call.operation), call
            assert call.action in {*PERMISSIONS, "sts:GetCallerIdentity"}  # which needs none
        return Diagnosis(*run, gateway.calls, gateway.questions)

    def _environment(self) -> dict[str, str]:
        """Nothing of who runs the tests; there is no plug-in on PATH."""
        return {
            "PYTHONPATH": str(ROOT),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "AWS_MAX_ATTEMPTS": "3",
            "PATH": str(self.folder),
        }


@contextmanager
def diagnosing(aws: LocalAws, folder: Path) -> Iterator[Diagnoser]:
    """All servers, as long as the block lasts."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto's server, which tells each call
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    _, port = moto.get_host_and_port()
    try:
        with served(Gateway(None, aws.port, port)) as address:
            yield Diagnoser(Account(aws, address), port, folder)
    finally:
        moto.stop()
