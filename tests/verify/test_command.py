"""The command as a process: a status of 1 is "not ready" and nothing else, and no traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple

import pytest
from serving import serving

from session_manager_permissions._verify.command import main
from tests.conftest import ROOT

from .conftest import NOBODY, SIGNED_IN
from .nodes import REGISTER, ROLE
from .test_verify import GET_ROLE, answered, operation, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAIN = "import sys; from session_manager_permissions._verify.command import main; sys.exit(main())"
WITHOUT_ARN = GET_ROLE.replace(f"<Arn>{ROLE}</Arn>", "")
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


Reply = tuple[int, str]
"""The status and the body of what answers."""


class Process(NamedTuple):
    status: int
    out: bytes
    err: str


@contextmanager
def served(reply: Callable[[str], Reply]) -> Iterator[str]:
    """The address of what replies so to the body of each request."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server asks for
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, body = reply(asked)
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as address:
        yield address


def verify(
    *arguments: str,
    stdout: int | IO[bytes] = subprocess.PIPE,
    prefix: tuple[str, ...] = (),
    env: dict[str, str],
) -> Process:
    """Run the command, with nobody's account and nothing on standard input."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith(("AWS_", "PYTHON")) or name.upper().endswith("_PROXY"))
    }
    here = {"AWS_MAX_ATTEMPTS": "1", "COLUMNS": "100"}
    of_python = {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "0"}
    run = subprocess.run(  # noqa: S603
        [*prefix, sys.executable, "-c", MAIN, "verify", *arguments],
        env=inherited | NOBODY | here | of_python | env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        timeout=300,
        start_new_session=True,  # which has no terminal
    )
    return Process(run.returncode, run.stdout or b"", run.stderr.decode())


def account(endpoint: str) -> dict[str, str]:
    """What leads to an account that is served here."""
    return SIGNED_IN | {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-west-1"}


def not_ready(body: str) -> Reply:
    return answered(body, REGISTER)


@pytest.mark.parametrize(
    ("reply", "status", "output"),
    [(answered, 0, "json"), (not_ready, 1, "table")],
    ids=["ready", "not ready"],
)
def test_the_status_says_whether_it_is_ready(
    reply: Callable[[str], Reply], status: int, output: str
) -> None:
    with served(reply) as endpoint:
        run = verify("--role", "web-server", "--output", output, env=account(endpoint))

    assert (run.status, run.err) == (status, "")
    assert run.out


def without(element: str) -> Callable[[str], Reply]:
    """A role, and a simulation that lacks a part."""

    def reply(body: str) -> Reply:
        status, text = answered(body)
        is_role = operation(body) == "GetRole"
        return status, text if is_role else text.replace(element, "Other")

    return reply


def page_but_for_role(body: str) -> Reply:
    """A page in place of any answer but the role."""
    return answered(body) if "Action=GetRole" in body else (200, PAGE)


def profile_of(parts: str) -> Callable[[str], Reply]:
    text = (
        "<GetInstanceProfileResponse><GetInstanceProfileResult><InstanceProfile><Path>/</Path>"
        f"{parts}</InstanceProfile></GetInstanceProfileResult></GetInstanceProfileResponse>"
    )
    return lambda _: (200, text)


PAGE: Final = "<html>Sign in</html>"
OF_ROLE: Final = ("--role", "web-server")
OF_PROFILE: Final = ("--instance-profile", "web-server")
ALIAS: Final = "arn:aws:kms:eu-west-1:111122223333:alias/sessions"
NOT_OF_AWS: Final = {
    "a proxy's refusal": (lambda _: (502, "bad gateway"), OF_ROLE),
    "a page": (lambda _: (200, PAGE), OF_ROLE),
    "nothing": (lambda _: (200, ""), OF_ROLE),
    "a role without an ARN": (lambda _: (200, WITHOUT_ARN), OF_ROLE),
    "no results": (without("EvaluationResults"), OF_ROLE),
    "a result without a decision": (without("EvalDecision"), OF_ROLE),
    "a page for a profile": (page_but_for_role, OF_PROFILE),
    "a page for a document": (page_but_for_role, (*OF_ROLE, "--document", "Sessions")),
    "a page for an alias": (page_but_for_role, (*OF_ROLE, "--key", ALIAS)),
    "a profile without roles": (profile_of(""), OF_PROFILE),
    "a role of a profile without an ARN": (
        profile_of("<Roles><member><Path>/</Path></member></Roles>"),
        OF_PROFILE,
    ),
}


@pytest.mark.parametrize("name", NOT_OF_AWS)
def test_an_answer_that_is_none_of_aws_is_said(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, whom = NOT_OF_AWS[name]
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    serve(monkeypatch, answer)

    assert main(["verify", "--region", "eu-west-1", *whom]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(
        r"session-manager-permissions: what answered for (iam|kms|ssm) is not AWS: look for a "
        r"proxy, check AWS_ENDPOINT_URL, or try again\n",
        said.err,
    )


NO_PROGRAM: Final = (
    "session-manager-permissions: a variable or a setting of AWS can't be used: [Errno 2] No "
    "such file or directory: '/nonexistent': correct it\n"
)
NO_TERMINAL: Final = (  # on the line of the prompt
    "session-manager-permissions: no credentials: the profile asks for an MFA code, and there "
    "is no terminal to enter it: sign in with the AWS CLI first, or run this in a terminal\n"
)


@pytest.mark.parametrize(
    ("profile", "stdin", "says"),
    [
        ("no-such-file", "</dev/null", NO_PROGRAM),
        ("asks-for-a-code", "</dev/null", NO_TERMINAL),
        ("asks-for-a-code", "<&-", NO_TERMINAL),
    ],
)
def test_a_profile_that_gives_no_credentials_is_said(
    profile: str, stdin: str, says: str, tmp_path: Path
) -> None:
    configuration = tmp_path / "config"
    configuration.write_text(CONFIGURATION, encoding="utf-8")

    run = verify(
        *("--role", "web", "--region", "eu-west-1", "--profile", profile),
        prefix=("sh", "-c", f'exec "$@" {stdin}', "sh"),
        env={"AWS_CONFIG_FILE": str(configuration)},
    )

    assert (run.status, run.out) == (2, b"")
    assert run.err.endswith(says)
    assert "Traceback" not in run.err


@pytest.mark.parametrize("region", [{}, {"AWS_REGION": ""}], ids=["unset", "empty"])
def test_a_region_that_is_not_known_is_said(region: dict[str, str]) -> None:
    with served(answered) as endpoint:
        environment = account(endpoint)
        del environment["AWS_REGION"]
        run = verify("--role", "web", env=environment | region)

    assert (run.status, run.out) == (2, b"")
    assert run.err == (
        "session-manager-permissions: a request needs a region, and no region is known: give "
        "--region or AWS_REGION\n"
    )


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", b"\\xe9"), ("cp1252", b"\xe9")])
def test_what_a_stream_can_not_show_is_escaped(encoding: str, shown: bytes) -> None:
    logs = ("--log-bucket", "logs", "--log-prefix", "é")
    with served(lambda body: answered(body, "s3:PutObject")) as endpoint:
        run = verify(
            "--role", "web-server", *logs, env=account(endpoint) | {"PYTHONIOENCODING": encoding}
        )

    assert (run.status, run.err) == (1, "")
    assert b'log_prefix="' + shown + b'"' in run.out
    assert b"arn:aws:s3:::logs/" + shown in run.out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is full")
@pytest.mark.parametrize(("output", "buffer"), [("table", {"PYTHONUNBUFFERED": "1"}), ("json", {})])
def test_an_answer_that_can_not_be_written_is_said(output: str, buffer: dict[str, str]) -> None:
    with served(answered) as endpoint, Path("/dev/full").open("wb") as full:
        asked = ("--role", "web-server", "--output", output)
        run = verify(*asked, stdout=full, env=account(endpoint) | buffer)

    assert run.status == 2
    assert run.err == (
        "session-manager-permissions: the answer can't be written: [Errno 28] No space left on "
        "device: make room for standard output, and keep its reader open\n"
    )


def test_an_answer_that_nobody_reads_is_said() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with served(not_ready) as endpoint, os.fdopen(writer, "wb") as unread:
        run = verify("--role", "web-server", stdout=unread, env=account(endpoint))

    assert run.status == 2
    assert run.err.count("\n") == 1
    assert "can't be written: [Errno 32] Broken pipe" in run.err


@pytest.mark.parametrize("stream", [">&-", "2>&-"])
def test_a_stream_that_is_closed_is_no_answer(stream: str) -> None:
    shell = ("sh", "-c", f'exec "$@" {stream}', "sh")
    with served(answered if stream == ">&-" else lambda _: (500, "")) as endpoint:
        run = verify("--role", "web-server", prefix=shell, env=account(endpoint))

    assert run.status == 2
    assert run.err.count("\n") == (stream == ">&-")
