"""The command over HTTP, and as a process: what is no answer ends it with a line and 2."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import pytest

from tests.conftest import ROOT
from tests.deploy.gateway import Answer, served

from .accounts import Account, Role
from .conftest import NOBODY, SIGNED_IN
from .nodes import ALIAS
from .running import over_http
from .served import Limit, Served
from .test_refusals import NOT_AWS

MAIN = "import sys; from session_manager_permissions._verify.command import main; sys.exit(main())"
CONFIGURATION = """
[profile no-such-file]
credential_process = /nonexistent
[profile asks-for-a-code]
mfa_serial = arn:aws:iam::111122223333:mfa/somebody
role_arn = arn:aws:iam::111122223333:role/operator
source_profile = base
[profile base]
aws_access_key_id = test
aws_secret_access_key = test
"""


READY: Final = Account(roles={"web-server": Role()})
ROLE_CALL, SIMULATION = "iam:GetRole", "iam:SimulatePrincipalPolicy"


class Process(NamedTuple):
    status: int
    out: bytes
    err: str


def verify(
    *arguments: str,
    stdout: int | IO[bytes] = subprocess.PIPE,
    prefix: tuple[str, ...] = (),
    env: dict[str, str],
) -> Process:
    """Run the command, without credentials and with nothing on standard input."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith(("AWS_", "PYTHON")) or name.upper().endswith("_PROXY"))
    }
    here = {"AWS_MAX_ATTEMPTS": "1", "COLUMNS": "100"}
    of_python = {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "0"}
    ended = subprocess.run(  # noqa: S603
        [*prefix, sys.executable, "-c", MAIN, "verify", *arguments],
        env=inherited | NOBODY | here | of_python | env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        timeout=300,
        start_new_session=True,  # which has no terminal
    )
    return Process(ended.returncode, ended.stdout or b"", ended.stderr.decode())


def account(endpoint: str) -> dict[str, str]:
    """The environment variables that send the command's calls to a local server."""
    return SIGNED_IN | {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-west-1"}


PAGE: Final = b"<html>Sign in</html>"
OF_ROLE: Final = ("--role", "web-server")
OF_PROFILE: Final = ("--instance-profile", "web-server")
OF_DOCUMENT: Final = (*OF_ROLE, "--document", "Sessions")
OF_ALIAS: Final = (*OF_ROLE, "--key", ALIAS)


class Proxy(NamedTuple):
    """A proxy that answers in place of AWS."""

    status: int
    body: bytes

    def answer(self, *_: object) -> Answer:
        return Answer(self.status, self.body, "text/html")


@pytest.mark.parametrize(("service", "reply", "asked"), [
    pytest.param("iam", Proxy(502, b"bad gateway"), OF_ROLE, id="a refusal"),
    pytest.param("iam", Proxy(200, b""), OF_ROLE, id="nothing"),
    pytest.param("iam", Proxy(200, PAGE), OF_ROLE, id="a page"),
    pytest.param("iam", Proxy(200, PAGE), OF_PROFILE, id="a page for a profile"),
    pytest.param("ssm", Proxy(200, PAGE), OF_DOCUMENT, id="a page for a document"),
    pytest.param("kms", Proxy(200, PAGE), OF_ALIAS, id="a page for an alias"),
])  # fmt: skip
def test_what_answers_for_aws_is_said(service: str, reply: Proxy, asked: tuple[str, ...]) -> None:
    with served(Served(READY)) as endpoint, served(reply) as proxy:
        of_service = {f"AWS_ENDPOINT_URL_{service.upper()}": proxy, "AWS_MAX_ATTEMPTS": "1"}
        found = over_http(account(endpoint) | of_service, "verify", *asked)

    assert found == (2, "", f"session-manager-permissions: {NOT_AWS.format(service)}")


@pytest.mark.parametrize(("limits", "status", "throttled"), [
    ({"refused_first": (ROLE_CALL, SIMULATION)}, 0, {ROLE_CALL: 1, SIMULATION: 1}),
    ({"limits": {"iam": Limit(0, 0)}}, 2, {ROLE_CALL: 3}),
], ids=["once", "for good"])  # fmt: skip
def test_what_is_throttled_is_asked_again(
    limits: dict[str, Any], status: int, throttled: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    server = Served(READY, **limits)
    with served(server) as endpoint:
        found = over_http(account(endpoint) | {"AWS_MAX_ATTEMPTS": "3"}, "verify", *OF_ROLE)

    assert (found.status, server.throttled) == (status, throttled)
    said = "session-manager-permissions: iam:GetRole failed: " if status else ""
    assert found.err.partition("Throttling")[0] == said


NO_PROGRAM: Final = (
    "session-manager-permissions: an environment variable, or a setting in the AWS config file, "
    "can't be used: [Errno 2] No such file or directory: '/nonexistent': correct it\n"
)
NO_TERMINAL: Final = (  # on the line of the prompt
    "session-manager-permissions: no credentials: the profile asks for an MFA code, and there "
    "is no terminal to enter it: sign in with the AWS CLI first, or run this in a terminal\n"
)


@pytest.mark.parametrize(("profile", "stdin", "says"), [
    ("no-such-file", "</dev/null", NO_PROGRAM),
    ("asks-for-a-code", "</dev/null", NO_TERMINAL),
    ("asks-for-a-code", "<&-", NO_TERMINAL),
])  # fmt: skip
def test_a_profile_of_no_credentials(profile: str, stdin: str, says: str, tmp_path: Path) -> None:
    configuration = tmp_path / "config"
    configuration.write_text(CONFIGURATION, encoding="utf-8")

    ended = verify(
        *("--role", "web", "--region", "eu-west-1", "--profile", profile),
        prefix=("sh", "-c", f'exec "$@" {stdin}', "sh"),
        env={"AWS_CONFIG_FILE": str(configuration)},
    )

    assert (ended.status, ended.out) == (2, b"")
    assert ended.err.endswith(says)
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", b"\\xe9"), ("cp1252", b"\xe9")])
def test_what_a_stream_can_not_show_is_escaped(encoding: str, shown: bytes) -> None:
    logs = ("--log-bucket", "logs", "--log-prefix", "é")
    lacking = Account(roles={"web-server": Role(lacks=("s3:PutObject",))})
    with served(Served(lacking)) as endpoint:
        encoded = account(endpoint) | {"PYTHONIOENCODING": encoding}
        ended = verify(*OF_ROLE, *logs, env=encoded)

    assert (ended.status, ended.err) == (1, "")
    assert b'log_prefix="' + shown + b'"' in ended.out
    assert b"arn:aws:s3:::logs/" + shown in ended.out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is full")
@pytest.mark.parametrize(("output", "buffer"), [("table", {"PYTHONUNBUFFERED": "1"}), ("json", {})])
def test_an_answer_that_can_not_be_written_is_said(output: str, buffer: dict[str, str]) -> None:
    with served(Served(READY)) as endpoint, Path("/dev/full").open("wb") as full:
        asked = (*OF_ROLE, "--output", output)
        ended = verify(*asked, stdout=full, env=account(endpoint) | buffer)

    assert ended.status == 2
    assert ended.err == (
        "session-manager-permissions: the answer can't be written: [Errno 28] No space left on "
        "device: make room for standard output, and keep its reader open\n"
    )


@pytest.mark.parametrize("stream", [">&-", "2>&-"])
def test_a_stream_that_is_closed_is_no_answer(stream: str) -> None:
    shell = ("sh", "-c", f'exec "$@" {stream}', "sh")
    with served(Served(READY) if stream == ">&-" else Proxy(500, b"")) as endpoint:
        ended = verify(*OF_ROLE, prefix=shell, env=account(endpoint))

    assert ended.status == 2
    assert ended.err.count("\n") == (stream == ">&-")
