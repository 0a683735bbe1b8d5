"""`verify --instance-id` end to end: the command, as a process, on accounts with known causes.

What the local services do not know is in tests/verify, against documented answers: condition keys
and permissions boundaries in IAM's simulator, organizations, and pages of the simulator.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from moto.server import ThreadedMotoServer

from session_manager_permissions._verify.permissions import PERMISSIONS
from tests.conftest import FOR_PROCESSES

from .account import Account
from .diagnosis_table import READY, SCENARIOS, Operator, Scenario
from .gateway import Call, Gateway, served
from .systems_manager import OFF, SystemsManager

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_aws import LocalAws

pytestmark = pytest.mark.deploy

COMMAND: Final = Path(sys.executable).with_name("session-manager-permissions")
DOCUMENT: Final = "SSM-SessionManagerRunShell"
HYBRID: Final = "mi-0123456789abcdef0"
READS: Final = re.compile(r"Describe|Get|List|Simulate")
CALLS: Final = 30
"""At most, for one node with everything used."""


@dataclass(frozen=True)
class Diagnosis:
    """What a run of the command came to."""

    status: int
    out: str
    err: str
    calls: list[Call]

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

    def run(self, said: Scenario, *, user: str = "", **changes: Any) -> Diagnosis:  # noqa: ANN401
        """Run the command.

        Args:
            said: what is set up.
            user: one whose credentials it runs with, made before; default: the administrator's.
            changes: attributes of the gateway.
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
        )
        arguments = ["--instance-id", node, "--region", said.network.region, *said.arguments]
        if said.operator:
            operator = self._operator(said.operator)
            arguments += ["--operator", operator]
        with served(replace(gateway, **changes)) as address:
            run = subprocess.run(  # noqa: S603
                [COMMAND, "verify", "--output", "json", *arguments],
                env=self._environment(said) | {"AWS_ENDPOINT_URL": address} | credentials,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
        for call in gateway.calls:  # whatever it comes to, it only reads
            assert READS.match(call.operation), call
            assert call.action in {*PERMISSIONS, "sts:GetCallerIdentity"}  # which needs none
        return Diagnosis(run.returncode, run.stdout, run.stderr, gateway.calls)

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
        preferences = said.preferences
        return SystemsManager(
            nodes={node: replace(said.node, role=role)} if said.node else {},
            host_management=setting,
            documents={DOCUMENT: self.account.document(preferences)} if preferences else {},
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
        name = f"operator-{abs(hash(said))}"
        tags = {"SSMSessionRunAs": said.tag} if said.tag else {}
        return str(self.account.user(name, *statements, **tags)["ARN"])

    def _environment(self, said: Scenario) -> dict[str, str]:
        """Nothing of who runs the tests; the plug-in is all there is on PATH."""
        plugin = said.operator.plugin if said.operator else None
        folder = self.folder / f"plugin-{plugin}"
        folder.mkdir(exist_ok=True)
        if plugin:
            program = folder / "session-manager-plugin"
            program.write_text(f"#!/bin/sh\necho {plugin}\n", encoding="ascii")
            program.chmod(0o755)
        return FOR_PROCESSES | {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "PATH": str(folder),
        }


@pytest.fixture(scope="module")
def diagnoser(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Diagnoser]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    _, port = moto.get_host_and_port()
    try:
        with served(Gateway(SystemsManager(), aws.port, port)) as address:
            yield Diagnoser(Account(aws, address), port, tmp_path_factory.mktemp("diagnosis"))
    finally:
        moto.stop()


@pytest.mark.parametrize("said", SCENARIOS, ids=lambda said: said.name.replace(" ", "-"))
def test_each_failing_check_is_the_right_one(said: Scenario, diagnoser: Diagnoser) -> None:
    run = diagnoser.run(said)

    assert run.status == said.status, run.err + run.out
    if said.message:
        assert said.message in run.err
        assert run.out == ""
        return
    assert run.checks("fail") == said.fails, run.out
    if said.unknown is not None:
        assert run.checks("unknown") == said.unknown, run.out
    found = run.found
    assert found["ready"] is (run.status == READY)
    for one in found["checks"]:
        if one["verdict"] == "fail":
            assert one["why"], one
            assert one["fix"], one
            assert one["evidence"], one
    if not said.throttles:
        assert len(run.calls) <= CALLS


EVERYTHING: Final = next(one for one in SCENARIOS if one.name == "an operator who may")


def test_it_asks_little(diagnoser: Diagnoser) -> None:
    assert len(diagnoser.run(EVERYTHING).calls) <= CALLS
