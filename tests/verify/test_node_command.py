"""`verify --instance-id` as a command: what it prints, its exit status, and what it refuses."""

import json
import re
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from session_manager_permissions import _causes
from session_manager_permissions._verify.checks import policy_for_credentials

from . import running
from .causes import NEVER, NO_SETTING, denying, log_groups, refusing, run_as, setting
from .networks import NO_ROUTE
from .nodes import NODE, REGION, REGISTER, ROLE, USER, Terminal, World
from .running import Run, run


@pytest.fixture(autouse=True)
def no_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")


def verify(world: World, *arguments: str) -> Run:
    return run(world, "verify", "--instance-id", NODE, *arguments)


def verify_json(world: World) -> Run:
    return verify(world, "--output", "json")


def test_json_of_a_node(snapshot: SnapshotAssertion) -> None:
    """The output has all fields, and one check that has all fields of a check."""
    found = verify_json(World(World.uses, denying("kms:Decrypt")))

    assert (found.status, found.err) == (1, "")
    checks = found.json.pop("checks")
    shown = {**found.json, "checks": [one for one in checks if one["check"] == "encrypt"]}
    del shown["capabilities"]  # which a role has as well
    assert json.dumps(shown, indent=1) == snapshot


def test_what_a_role_may_do_is_there_too() -> None:
    found = verify_json(World(World.uses))

    capabilities = [one["capability"] for one in found.json["capabilities"]]
    assert (found.status, found.err, found.json["ready"]) == (0, "", True)
    assert capabilities == ["reach", "register", "encrypt", "log-to-s3", "log-to-cloudwatch"]


def texts(found: object) -> Iterator[str]:
    """All texts of an answer."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict | list):
        for one in found.values() if isinstance(found, dict) else found:
            yield from texts(one)


@pytest.mark.parametrize(("asked", "profile", "shown"), [
    (("--instance-id", NODE, "--operator", "caller"), "prod account", "'prod account'"),
    (("--instance-id", NODE, "--wait", "1"), "prod", "prod"),
    (("--role", ROLE), "prod account", "'prod account'"),
    (("--instance-profile", "web-server"), "-x", "PROFILE"),
])  # fmt: skip
def test_each_command_has_a_profile_once(asked: tuple[str, ...], profile: str, shown: str) -> None:
    world = World(
        *(NEVER, World.uses, NO_ROUTE, NO_SETTING, log_groups(), setting(trust={"Statement": []})),
        denying(REGISTER, f"{USER} ssm:StartSession"),
    )
    for form in ("json", "table"):
        found = run(world, "verify", *asked, f"--profile={profile}", "--output", form)
        lines = texts(found.json) if form == "json" else found.out.splitlines()
        # the table has before each line where it belongs
        told = [line for line in lines if re.search(r"(^|: |  )(aws|npx) [\w-]+ [\w-]+ -", line)]

        assert len(told) > 1
        assert {line.count(f"--profile {shown}") for line in told} == {1}


def test_a_page_is_named_to_who_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(denying(REGISTER))
    page = "More: docs/causes/registration-missing.md in the repository of "
    assert page in verify(world).out

    monkeypatch.setattr(_causes, "_CHECKOUT", tmp_path)

    out = verify(world).out
    assert "Cause: register: " in out
    assert "More:" not in out
    assert not any(line and not line.strip() for line in out.splitlines())


def test_a_node_that_nothing_is_known_of() -> None:
    terminated = {"InstanceId": NODE, "State": {"Name": "terminated"}}
    world = World(NEVER, refusing("ssm:GetConnectionStatus"), setting(instance=terminated))

    found = verify_json(world)

    assert found.status == 1
    assert set(found.json["instance"].values()) == {NODE, REGION, "terminated", None}
    assert found.json["document"] is None


def test_the_tree_reads_from_the_node_outwards() -> None:
    found = verify(World(run_as("root"), denying("kms:Decrypt")), "--operator", USER)

    assert (found.status, found.err) == (1, "")
    lines = found.out.splitlines()
    assert lines[0] == f"{NODE} in {REGION}: not ready"
    assert lines[1] == "Cause: encrypt: kms:Decrypt: implicit deny: no policy of the role allows it"
    assert lines[2].startswith('  Users see: "Fetching data key failed: ')
    assert lines[3].startswith("  npx aws-cdk deploy ")
    assert lines[4].startswith("  in a CDK app, give SessionManagerPermissions encryption_key=")
    groups = ("the node", "its identity", "its network", "the session preferences", "the operator")
    places = [found.out.index(f"─ {group}") for group in groups]
    assert places == sorted(places)
    assert "\x1b" not in found.out
    fixes = [*lines[1:5], *(line for line in lines if line.startswith("- "))]
    assert all(line.isascii() for line in fixes)  # for consoles that can't show more
    assert found.out.count("in a CDK app, give SessionManagerPermissions encryption_key=") == 1
    assert "- run-as: name another user of the node" in found.out
    assert "- plugin: install it: https://docs.aws.amazon.com/" in found.out


def test_the_tree_of_a_node_that_is_ready() -> None:
    found = verify(World())

    assert found.status == 0
    assert found.out.startswith(f"{NODE} in {REGION}: ready\n{NODE}\n")
    assert "the operator" not in found.out
    assert "Not asked: tier, path-kms, path-logs, path-s3, encrypt," in found.out
    assert found.out.endswith('Standard_Stream not found": the disk may be full.\n')


def test_a_terminal_is_told_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(running, "StringIO", Terminal)

    found = verify(world)

    assert found.status == 0
    told = found.err
    assert told.startswith("\r\x1b[Kwaiting for ec2:DescribeInstances\r\x1b[Kwaiting for ssm:")
    assert told.endswith("\r\x1b[K")
    assert told.count("waiting for") == len(world.calls)


def test_no_standard_error_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "redirect_stderr", lambda _: redirect_stderr(None))

    assert verify(World()).status == 0


def test_permissions_are_printed() -> None:
    found = run(World(), "verify", "--print-permissions")

    assert found.status == 0
    assert found.json == policy_for_credentials()
