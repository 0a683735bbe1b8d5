"""Makes the account of a cause on moto and MiniStack, and runs the command on it."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final
from unittest.mock import patch

import botocore.session
from local_aws import LocalAws
from moto.server import ThreadedMotoServer

from session_manager_permissions._verify.checks import PERMISSIONS
from tests.verify.causes import Cause
from tests.verify.conftest import SIGNED_IN
from tests.verify.nodes import REGION
from tests.verify.running import Run, over_http

from .account import Account
from .gateway import Call, Gateway, served

READS: Final = re.compile(r"Describe|Get|List|Simulate")


_shared_loader: Final = cache(botocore.session.create_loader)
"""One loader for all sessions. To load the models in each takes longer than all of its calls."""


@dataclass
class Diagnoser:
    """Makes the accounts that causes describe, and runs the command on them."""

    account: Account
    moto: int
    folder: Path
    calls: list[Call] = field(default_factory=list)
    """The calls of the last run."""

    def run(self, said: Cause, *arguments: str, user: str = "") -> Run:
        """Run `verify` of the node.

        Args:
            said: the cause, of which an account is made.
            arguments: more arguments.
            user: the user with whose credentials the command runs, made before. Default: - the
                administrator

        Asserts that every call only reads, and is allowed by `--print-permissions`.
        """
        made = self.account.make(said.world())
        gateway = Gateway(made, ministack=self.account.aws.port, moto=self.moto)
        credentials: dict[str, str] = {}
        if user:
            credentials = self.account.user(user)
            allowed = self.account.allowed(credentials["ARN"], [*PERMISSIONS])
            gateway.may_call = allowed.__contains__
        operator = ["--operator", made.renamed(said.operator)] if said.operator else []
        node = ["--instance-id", made.names.get(said.node, said.node), "--region", REGION]
        with served(gateway) as address:
            run = self._run(
                # the last option counts
                ["verify", "--output", "json", *node, *operator, *arguments],
                {"AWS_ENDPOINT_URL": address} | credentials,
            )
        self.calls = gateway.calls
        for call in self.calls:  # whatever it comes to, it only reads
            assert READS.match(call.operation), call
            assert call.action in {*PERMISSIONS, "sts:GetCallerIdentity"}  # which needs none
        return run

    def _run(self, arguments: list[str], environment: dict[str, str]) -> Run:
        """Run the command in this process, which saves the start of a process for each cause."""
        nothing_else = {"NO_PROXY": "127.0.0.1", "PATH": str(self.folder)}  # which has no plug-in
        with (
            patch.dict(os.environ, SIGNED_IN | nothing_else | environment, clear=True),
            patch.object(botocore.session, "create_loader", _shared_loader),
        ):
            return over_http({}, *arguments)


@contextmanager
def diagnosing(aws: LocalAws, folder: Path) -> Iterator[Diagnoser]:
    """All servers, as long as the block lasts."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto's server, which tells each call
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    _, port = moto.get_host_and_port()
    try:
        with served(Gateway(None, aws.port, port)) as address:
            ec2 = replace(aws, port=int(address.rpartition(":")[2]))
            yield Diagnoser(Account(aws, ec2), port, folder)
    finally:
        moto.stop()
