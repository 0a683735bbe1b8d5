"""`verify --instance-id` as a command: what it prints, its exit status, and what it refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from session_manager_permissions import _causes
from session_manager_permissions._verify import command
from session_manager_permissions._verify.checks import ENCRYPT
from session_manager_permissions._verify.permissions import policy_for_credentials

from .nodes import (
    ACCOUNT,
    HYBRID,
    KEY,
    NODE,
    REGION,
    ROLE,
    USER,
    Session,
    Terminal,
    World,
    nothing,
    status,
    without_a_route,
)
from .running import Run
from .test_verify import documented, fields, has_the_documented_kinds, no_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Run", "no_account"]  # a fixture, and what the other gives

FULL_DISK: Final = (
    'on the node: df -h, if users see "Plugin with name Standard_Stream not found": a full disk'
)
DIAGNOSTICS: Final = "--agent-diagnostics"
FROM_DOCUMENT: Final = "which reads it from the document: give --document"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr(command, "AwsSession", lambda profile, _: Session(found, profile))
    monkeypatch.setenv("PATH", "/nowhere")
    return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    def verify(*arguments: str) -> Run:
        try:
            ended: object = command.main(["verify", *arguments])
        except SystemExit as error:
            ended = error.code
        captured = capsys.readouterr()
        return Run(ended, captured.out, captured.err)

    return verify


def test_ready(world: World, run: Callable[..., Run]) -> None:
    world.uses()

    found = run("--instance-id", NODE, "--output", "json")

    assert (found.status, found.err) == (0, "")
    assert found.json["instance"] == {
        "id": NODE,
        "region": REGION,
        "state": "running",
        "profile": "web-server",
        "role": ROLE,
        "ping": "Online",
        "connection": "connected",
        "agent_version": "3.3.3270.0",
        "platform": "Linux",
    }
    others = {name: found.json[name] for name in found.json if name not in {"instance", "checks"}}
    assert [one["capability"] for one in others.pop("capabilities")] == [
        "reach",
        "register",
        "encrypt",
        "log-to-s3",
        "log-to-cloudwatch",
    ]
    assert others == {
        "version": 1,
        "ready": True,
        "instance_profile": "web-server",
        "role": ROLE,
        "permissions_boundary": None,
        "document": "SSM-SessionManagerRunShell",
        "session_type": "Standard_Stream",
        "on_the_node": [FULL_DISK],
    }


def texts(found: object) -> Iterator[str]:
    """All texts of an answer."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict | list):
        for one in found.values() if isinstance(found, dict) else found:
            yield from texts(one)


@pytest.mark.parametrize(
    "asked",
    [
        ("--instance-id", NODE, "--operator", "caller"),
        ("--instance-id", NODE, "--wait", "1"),
        ("--role", ROLE),
        ("--instance-profile", "web-server"),
    ],
    ids=lambda asked: asked[-2],
)
def test_each_command_has_the_profile_once(
    asked: tuple[str, ...], world: World, run: Callable[..., Run]
) -> None:
    world.never_registered()
    world.uses()
    without_a_route(world)
    world.trust = {"Statement": []}
    world.denies |= {"ssm:UpdateInstanceInformation", f"{USER} ssm:StartSession"}
    world.refuses("ssm:GetServiceSetting")
    world.has("logs:describe_log_groups", {"logGroups": []})
    for form in ("json", "table"):
        found = run(*asked, "--profile", "prod", "--output", form)
        lines = texts(found.json) if form == "json" else found.out.splitlines()
        # the table has before each line where it belongs
        commands = [
            line for line in lines if re.search(r"(^|: |  )(aws|npx) [\w-]+ [\w-]+ -", line)
        ]

        assert len(commands) > 1
        assert {line.count("--profile prod") for line in commands} == {1}


def test_a_page_is_named_to_those_who_have_it(
    world: World, run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.denies.add("ssm:UpdateInstanceInformation")
    page = "More: docs/causes/registration-missing.md in the repository of "
    assert page in run("--instance-id", NODE).out

    monkeypatch.setattr(_causes, "_CHECKOUT", tmp_path)

    out = run("--instance-id", NODE).out
    assert "Cause: register: " in out
    assert "More:" not in out
    assert not any(line and not line.strip() for line in out.splitlines())


def test_a_check_in_json(world: World, run: Callable[..., Run]) -> None:
    world.uses()
    world.denies.add("kms:Decrypt")

    found = run("--instance-id", NODE, "--output", "json")

    assert found.status == 1
    assert found.json["ready"] is False
    check = found.check("encrypt")
    key = f'kms.Key.from_key_arn(scope, "Key", "{KEY}")'
    assert check == {
        "check": "encrypt",
        "subject": KEY,
        "verdict": "fail",
        "why": [
            "kms:Decrypt: implicit deny: no policy of the role allows it",
            f'Users see: "{ENCRYPT.users_see}"',
        ],
        "fix": [
            (
                'npx aws-cdk deploy --app "python -m session_manager_permissions" '
                f"-c instance-profile=web-server -c allow-registration=true -c key={KEY} "
                "-c log-bucket=session-logs -c log-prefix=web -c log-group=/ssm/sessions"
            ),
            f"give SessionManagerPermissions encryption_key={key}",
        ],
        "page": "docs/causes/encrypt.md",
        "evidence": [
            {
                "api": "iam:SimulatePrincipalPolicy",
                "field": f"kms:Decrypt on {KEY}",
                "value": "implicitDeny",
            }
        ],
    }


@pytest.mark.parametrize("breaks", [nothing, World.never_registered, without_a_route])
def test_json_has_the_documented_shape(
    breaks: Callable[[World], object], world: World, run: Callable[..., Run]
) -> None:
    world.uses()
    world.denies.add("kms:Decrypt")
    breaks(world)

    found = run("--instance-id", NODE, "--operator", USER, "--output", "json")

    of_any = {name: of for name, of in documented().items() if not name.startswith("trust")}
    both = of_any | documented(of_node=True)
    of_answers = {name for name in both if ".answers[]." in name}
    assert {*fields(found.json)} - of_answers == both.keys() - of_answers
    has_the_documented_kinds(found, both)


def test_a_node_that_nothing_is_known_of(world: World, run: Callable[..., Run]) -> None:
    world.never_registered()
    world.refuses("ssm:GetConnectionStatus")
    world.instance = {
        "InstanceId": NODE,
        "State": {"Name": "terminated"},
    }

    found = run("--instance-id", NODE, "--output", "json")

    assert found.status == 1
    assert set(found.json["instance"].values()) == {NODE, REGION, "terminated", None}
    assert found.json["document"] is None


def test_the_tree_reads_from_the_node_outwards(world: World, run: Callable[..., Run]) -> None:
    world.uses(runAsEnabled=True, runAsDefaultUser="root")
    world.denies.add("kms:Decrypt")

    found = run("--instance-id", NODE, "--operator", USER)

    assert (found.status, found.err) == (1, "")
    lines = found.out.splitlines()
    assert lines[0] == f"{NODE} in {REGION}: not ready"
    assert lines[1] == "Cause: encrypt: kms:Decrypt: implicit deny: no policy of the role allows it"
    assert lines[2].startswith('  Users see: "Fetching data key failed: ')
    assert lines[3].startswith("  npx aws-cdk deploy ")
    assert lines[4].startswith("  give SessionManagerPermissions encryption_key=")
    groups = (
        "the node",
        "its identity",
        "its network",
        "the session preferences",
        "the operator",
    )
    places = [found.out.index(f"─ {group}") for group in groups]
    assert places == sorted(places)
    assert "\x1b" not in found.out
    fixes = [*lines[1:5], *(line for line in lines if line.startswith("- "))]
    assert all(line.isascii() for line in fixes)  # for consoles that can't show more
    assert found.out.count("give SessionManagerPermissions encryption_key=") == 1
    assert "- run-as: name another user of the node" in found.out
    assert "- plugin: install it: https://docs.aws.amazon.com/" in found.out


@pytest.mark.usefixtures("world")
def test_the_tree_of_a_node_that_is_ready(run: Callable[..., Run]) -> None:
    found = run("--instance-id", NODE)

    assert found.status == 0
    assert found.out.startswith(f"{NODE} in {REGION}: ready\n{NODE}\n")
    assert "the operator" not in found.out
    assert "Not asked: tier, path-kms, path-logs, path-s3, encrypt," in found.out
    assert found.out.endswith("a full disk.\n")


def test_the_way_in_without_a_session(world: World, run: Callable[..., Run]) -> None:
    world.never_registered()
    assert "ec2-instance-connect ssh --instance-id" in run("--instance-id", NODE).out

    world.is_hybrid()
    world.is_lost()
    out = run("--instance-id", HYBRID).out
    assert "sudo ssm-cli get-diagnostics --output table" in out
    assert "ec2-instance-connect" not in out


def test_a_line_of_a_check_that_says_nothing_of_brackets(
    world: World, run: Callable[..., Run]
) -> None:
    world.never_registered()
    world.has("ec2:describe_instance_status", {"InstanceStatuses": [status("impaired", "[red]")]})

    assert "SystemStatus" in run("--instance-id", NODE).out


def test_a_terminal_is_told_what_is_asked(
    world: World, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)

    assert run("--instance-id", NODE).status == 0
    told = terminal.getvalue()
    assert told.startswith("\r\x1b[Kasking ec2:DescribeInstances\r\x1b[Kasking ssm:Describe")
    assert told.endswith("\r\x1b[K")
    assert told.count("asking") == len(world.calls)


def test_no_standard_error_is_no_terminal(
    world: World, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", None)

    assert run("--instance-id", NODE).status == 0
    assert world.calls


def test_permissions_are_printed(run: Callable[..., Run]) -> None:
    found = run("--print-permissions")

    assert found.status == 0
    assert found.json == policy_for_credentials()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--role", "web", "--operator", "caller"),
            "--operator needs --instance-id: give it too, or leave out --operator",
        ),
        (
            ("--role", "web", DIAGNOSTICS, "f"),
            f"{DIAGNOSTICS} needs --instance-id: give it too, or leave out {DIAGNOSTICS}",
        ),
        *(
            (
                ("--instance-id", NODE, option, value),
                f"{option} is not for --instance-id, {FROM_DOCUMENT}",
            )
            for option, value in [
                ("--key", KEY),
                ("--log-bucket", "logs"),
                ("--log-prefix", "web"),
                ("--log-bucket-key", KEY),
                ("--log-group", "logs"),
            ]
        ),
    ],
)
def test_options_that_are_of_something_else(
    arguments: tuple[str, ...], says: str, run: Callable[..., Run]
) -> None:
    found = run(*arguments)

    assert (found.status, found.out) == (2, "")
    assert found.err == f"session-manager-permissions: {says}\n"


def test_a_region_has_to_be_known(run: Callable[..., Run]) -> None:
    found = run("--instance-id", NODE)

    assert found.status == 2
    assert "a node is in a region, and no region is known: give --region" in found.err


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (NODE, True),
        ("i-12345678", True),
        ("i-1234567", False),
        ("I-12345678", False),
        ("web-server", False),
        (f"{NODE} ", False),
    ],
)
@pytest.mark.usefixtures("world")
def test_what_is_an_id(text: str, is_one: bool, run: Callable[..., Run]) -> None:  # noqa: FBT001
    found = run("--instance-id", text)

    assert (found.status != 2) is is_one
    assert is_one or "is not the id of an instance" in found.err


def test_no_answer_leads_to_an_account(world: World, run: Callable[..., Run]) -> None:
    """The credentials are denied the call, and the answer names what to allow."""
    world.refuses("ssm:GetConnectionStatus")

    found = run("--instance-id", NODE)

    assert found.status == 1
    said = re.sub(r"\s+", " ", found.out)
    assert "allow the credentials ssm:GetConnectionStatus: session-manager-permissions" in said
    assert ACCOUNT in said
