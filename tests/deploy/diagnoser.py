"""Sets an account up as a scenario says, and runs `verify --instance-id` on it."""

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

from .account import Account
from .gateway import Call, Gateway, served
from .systems_manager import OFF, Node, SystemsManager

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from local_aws import LocalAws

    from .diagnosis_table import Operator, Scenario

ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = Path(sys.executable).with_name("session-manager-permissions")
DOCUMENT: Final = "SSM-SessionManagerRunShell"
FORWARDING: Final = "AWS-StartPortForwardingSession"
HYBRID: Final = "mi-0123456789abcdef0"
READS: Final = re.compile(r"Describe|Get|List|Simulate")


class Run(NamedTuple):
    """What the command wrote, and its exit status."""

    status: int
    out: str
    err: str


def _run_here(arguments: list[str], environment: dict[str, str]) -> Run:
    """Run the command in this process, which saves the start of a process for each scenario."""
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
    """Sets scenarios up, and runs the command on them."""

    account: Account
    moto: int
    folder: Path

    def run(
        self,
        said: Scenario,
        *,
        user: str = "",
        as_process: bool = False,
        **changes: Any,  # noqa: ANN401
    ) -> Diagnosis:
        """Run the command.

        Args:
            said: what is set up.
            user: one whose credentials it runs with, made before; default: the administrator's.
            as_process: whether the installed command runs.
            changes: attributes of the gateway.

        Every call is one that reads, and one that `--print-permissions` allows.
        """
        node, name = self._node(said)
        credentials: dict[str, str] = {}
        if user:
            credentials = self.account.made[("user", user)]
            allowed = self.account.allowed(credentials["ARN"], [*PERMISSIONS])
            changes["may_call"] = allowed.__contains__
        gateway = Gateway(
            systems_manager=self._systems_manager(said, node, name),
            ministack=self.account.aws.port,
            moto=self.moto,
            throttles=said.throttles,
            pages=said.pages,
            partition=said.partition,
            bucket_region=said.bucket_region,
        )
        arguments = ["--instance-id", node, "--region", said.network.region, *said.arguments]
        if said.operator:
            operator = self._operator(said.operator)
            arguments += ["--operator", operator]
        with served(replace(gateway, **changes)) as address:
            run = (_run_process if as_process else _run_here)(
                ["verify", "--output", "json", *arguments],  # the last option counts
                self._environment(said) | {"AWS_ENDPOINT_URL": address} | credentials,
            )
        for call in gateway.calls:  # whatever it comes to, it only reads
            assert READS.match(call.operation), call
            assert call.action in {*PERMISSIONS, "sts:GetCallerIdentity"}  # which needs none
        return Diagnosis(*run, gateway.calls, gateway.questions)

    def audit(self, scenarios: Sequence[Scenario]) -> tuple[Diagnosis, dict[str, Scenario]]:
        """Run `audit` on an account with the nodes of these scenarios, which share the rest.

        Returns:
            What it came to, and the scenario of each node by its id.
        """
        first = scenarios[0]
        named: dict[str, Scenario] = {}
        nodes: dict[str, Node] = {}
        for number, said in enumerate(scenarios):
            node, role = self._node(said)
            node = f"mi-{number:017x}" if said.machine is None else node
            named[node] = said
            if said.node:
                nodes[node] = replace(said.node, role=role)
        gateway = Gateway(
            systems_manager=replace(self._systems_manager(first, "", None), nodes=nodes),
            ministack=self.account.aws.port,
            moto=self.moto,
            pages=True,
            partition=first.partition,
        )
        region = ["--region", first.network.region]
        with served(gateway) as address:
            run = subprocess.run(  # noqa: S603
                [COMMAND, "audit", "--output", "json", *region],
                env=self._environment(first) | {"AWS_ENDPOINT_URL": address},
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
        for call in gateway.calls:
            assert READS.match(call.operation), call
        said_ = run.returncode, run.stdout, run.stderr
        return Diagnosis(*said_, gateway.calls, gateway.questions), named

    def _node(self, said: Scenario) -> tuple[str, str | None]:
        """The id of the node, and the name of its role if that is known without EC2."""
        if said.machine is None:
            return HYBRID, self.account.role(said.role, said.preferences)
        profile = None
        if said.machine.has_profile:
            role = said.role if said.machine.profile_has_role else None
            profile = self.account.profile(role, said.preferences, said.network.region)
        return self.account.instance(said.machine, said.network, profile), None

    def _systems_manager(self, said: Scenario, node: str, role: str | None) -> SystemsManager:
        setting = OFF
        if said.host_management:
            name = self.account.role(said.host_management, said.preferences)
            setting = f"{said.host_management.path}{name}".lstrip("/")
        own = {DOCUMENT: self.account.document(said.preferences)} if said.preferences else {}
        return SystemsManager(
            nodes={node: replace(said.node, role=role)} if said.node else {},
            host_management=setting,
            tier=said.tier,
            documents={FORWARDING: {"sessionType": "Port"}} | own,
            refuses_unknown_nodes=said.refuses_unknown_nodes,
        )

    def _operator(self, said: Operator) -> str:
        """The ARN of the operator."""
        actions = {
            "ssm:StartSession": [
                f"arn:aws:ssm:*:*:{said.documents}",
                "arn:aws:ec2:*:*:instance/*",
                "arn:aws:ssm:*:*:managed-instance/*",
            ],
            "ssmmessages:OpenDataChannel": "*",
            "ssm:TerminateSession": "*",
            "ssm:ResumeSession": "*",
            "kms:GenerateDataKey": "*",
        }
        statements = [
            {"Effect": "Allow", "Action": action, "Resource": resource}
            for action, resource in actions.items()
            if action not in said.lacks
        ]
        tags = {"SSMSessionRunAs": said.tag} if said.tag else {}
        kind = self.account.role_of if said.is_role else self.account.user
        return str(kind(f"operator-{abs(hash(said))}", *statements, **tags)["ARN"])

    def _environment(self, said: Scenario) -> dict[str, str]:
        """Nothing of who runs the tests; the plug-in is all there is on PATH."""
        plugin = said.operator.plugin if said.operator else None
        folder = self.folder / f"plugin-{plugin}"
        folder.mkdir(exist_ok=True)
        if plugin:
            program = folder / "session-manager-plugin"
            program.write_text(f"#!/bin/sh\necho {plugin}\n", encoding="ascii")
            program.chmod(0o755)
        return {
            "PYTHONPATH": str(ROOT),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "AWS_MAX_ATTEMPTS": "3" if said.throttles else "1",
            "PATH": str(folder),
        }


@contextmanager
def diagnosing(aws: LocalAws, folder: Path) -> Iterator[Diagnoser]:
    """All servers, as long as the block lasts."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto's server, which tells each call
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    _, port = moto.get_host_and_port()
    try:
        with served(Gateway(SystemsManager(), aws.port, port)) as address:
            yield Diagnoser(Account(aws, address), port, folder)
    finally:
        moto.stop()
