"""The command as a process: a status of 1 is "not ready" and nothing else, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import pytest
from serving import serving

from tests.conftest import ROOT

from .nodes import REGISTER, ROLE
from .test_verify import GET_ROLE, answered, operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAIN = "import sys; from session_manager_permissions._verify.command import main; sys.exit(main())"
TEXT, HTML, XML = "text/plain", "text/html", "text/xml"
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


class Reply(NamedTuple):
    """What stands between here and AWS answers."""

    body: str
    kind: str = XML
    status: int = 200


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
            body, kind, status = reply(asked)
            self.send_response(status)
            self.send_header("Content-Type", kind)
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
    of_nobody = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "COLUMNS": "100",
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "0",
    }
    run = subprocess.run(  # noqa: S603
        [*prefix, sys.executable, "-c", MAIN, "verify", *arguments],
        env=inherited | of_nobody | env,
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
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
    }


def ready(body: str) -> Reply:
    status, text = answered(body)
    return Reply(text, status=status)


def not_ready(body: str) -> Reply:
    status, text = answered(body, REGISTER)
    return Reply(text, status=status)


def without(element: str) -> Callable[[str], Reply]:
    """A role, and a simulation that lacks a part."""

    def reply(body: str) -> Reply:
        text = answered(body)[1]
        return Reply(text if operation(body) == "GetRole" else text.replace(element, "Other"))

    return reply


@pytest.mark.parametrize(
    ("reply", "status"),
    [(ready, 0), (not_ready, 1)],
    ids=["ready", "not ready"],
)
@pytest.mark.parametrize("output", ["table", "json"])
def test_the_status_says_whether_it_is_ready(
    reply: Callable[[str], Reply], status: int, output: str
) -> None:
    with served(reply) as endpoint:
        run = verify("--role", "web-server", "--output", output, env=account(endpoint))

    assert (run.status, run.err) == (status, "")
    assert run.out


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(lambda _: Reply("bad gateway", TEXT, 502), id="a proxy's refusal"),
        pytest.param(lambda _: Reply("<html>Sign in</html>", HTML), id="a page"),
        pytest.param(lambda _: Reply(""), id="nothing"),
        pytest.param(lambda _: Reply(WITHOUT_ARN), id="a role without an ARN"),
        pytest.param(without("EvaluationResults"), id="no results"),
        pytest.param(without("EvalDecision"), id="a result without a decision"),
    ],
)
def test_an_answer_that_is_none_of_aws_is_said(reply: Callable[[str], Reply]) -> None:
    with served(reply) as endpoint:
        run = verify("--role", "web-server", env=account(endpoint))

    assert (run.status, run.out) == (2, b"")
    assert run.err == (
        "session-manager-permissions: what answered for iam is not AWS: look for a proxy, check "
        "AWS_ENDPOINT_URL, or try again\n"
    )


@pytest.mark.parametrize(
    "whom",
    [
        ("--instance-profile", "web-server"),
        ("--role", "web-server", "--document", "Sessions"),
        ("--role", "web-server", "--key", "arn:aws:kms:eu-west-1:111122223333:alias/sessions"),
    ],
    ids=["profile", "document", "alias"],
)
def test_a_page_in_place_of_any_answer_is_said(whom: tuple[str, ...]) -> None:
    def reply(body: str) -> Reply:
        return ready(body) if "Action=GetRole" in body else Reply("<html>Sign in</html>", HTML)

    with served(reply) as endpoint:
        run = verify(*whom, env=account(endpoint))

    assert (run.status, run.out) == (2, b"")
    assert run.err.count("\n") == 1
    assert "is not AWS: look for a proxy" in run.err


@pytest.mark.parametrize("parts", ["", "<Roles><member><Path>/</Path></member></Roles>"])
def test_a_profile_that_lacks_a_part_is_none_of_aws(parts: str) -> None:
    text = (
        "<GetInstanceProfileResponse><GetInstanceProfileResult><InstanceProfile><Path>/</Path>"
        f"{parts}</InstanceProfile></GetInstanceProfileResult></GetInstanceProfileResponse>"
    )
    with served(lambda _: Reply(text)) as endpoint:
        run = verify("--instance-profile", "web-server", env=account(endpoint))

    assert (run.status, run.out) == (2, b"")
    assert "what answered for iam is not AWS" in run.err


def test_a_program_for_credentials_that_is_not_there_is_said(tmp_path: Path) -> None:
    configuration = tmp_path / "config"
    configuration.write_text(CONFIGURATION, encoding="utf-8")

    run = verify(
        *("--role", "web", "--region", "eu-west-1", "--profile", "no-such-file"),
        env={"AWS_CONFIG_FILE": str(configuration)},
    )

    assert (run.status, run.out) == (2, b"")
    assert run.err == (
        "session-manager-permissions: a variable or a setting of AWS can't be used: [Errno 2] No "
        "such file or directory: '/nonexistent': correct it\n"
    )


@pytest.mark.parametrize("stdin", ["</dev/null", "<&-"])
def test_a_code_that_nobody_can_be_asked_for_is_said(tmp_path: Path, stdin: str) -> None:
    configuration = tmp_path / "config"
    configuration.write_text(CONFIGURATION, encoding="utf-8")

    run = verify(
        *("--role", "web", "--region", "eu-west-1", "--profile", "asks-for-a-code"),
        prefix=("sh", "-c", f'exec "$@" {stdin}', "sh"),
        env={"AWS_CONFIG_FILE": str(configuration)},
    )

    assert (run.status, run.out) == (2, b"")
    assert run.err.endswith(  # on the line of the prompt
        "session-manager-permissions: no credentials: the profile asks for an MFA code, and there "
        "is no terminal to enter it: sign in with the AWS CLI first, or run this in a terminal\n"
    )
    assert "Traceback" not in run.err


@pytest.mark.parametrize("region", [{}, {"AWS_REGION": ""}], ids=["unset", "empty"])
def test_a_region_that_is_not_known_is_said(region: dict[str, str]) -> None:
    with served(ready) as endpoint:
        environment = account(endpoint)
        del environment["AWS_REGION"]
        run = verify("--role", "web", env=environment | region)

    assert (run.status, run.out) == (2, b"")
    assert run.err == (
        "session-manager-permissions: a request needs a region, and no region is known: give "
        "--region or AWS_REGION\n"
    )


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", b"\\xe9"), ("cp1252", b"\xe9"), ("utf-8", b"\xc3\xa9")]
)
def test_what_a_stream_can_not_show_is_escaped(encoding: str, shown: bytes) -> None:
    logs = ("--log-bucket", "logs", "--log-prefix", "é")
    with served(lambda body: Reply(answered(body, "s3:PutObject")[1])) as endpoint:
        run = verify(
            "--role", "web-server", *logs, env=account(endpoint) | {"PYTHONIOENCODING": encoding}
        )

    assert (run.status, run.err) == (1, "")
    assert b'log_prefix="' + shown + b'"' in run.out
    assert b"arn:aws:s3:::logs/" + shown in run.out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is full")
@pytest.mark.parametrize("buffer", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffer", "none"])
@pytest.mark.parametrize("output", ["table", "json"])
def test_an_answer_that_can_not_be_written_is_said(output: str, buffer: dict[str, str]) -> None:
    with served(ready) as endpoint, Path("/dev/full").open("wb") as full:
        run = verify(
            "--role",
            "web-server",
            "--output",
            output,
            stdout=full,
            env=account(endpoint) | buffer,
        )

    assert run.status == 2
    assert run.err == (
        "session-manager-permissions: the answer can't be written: [Errno 28] No space left on "
        "device: make room for standard output, and keep its reader open\n"
    )


@pytest.mark.parametrize("output", ["table", "json"])
def test_an_answer_that_nobody_reads_is_said(output: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with served(not_ready) as endpoint, os.fdopen(writer, "wb") as unread:
        run = verify(
            "--role", "web-server", "--output", output, stdout=unread, env=account(endpoint)
        )

    assert run.status == 2
    assert run.err.count("\n") == 1
    assert "can't be written: [Errno 32] Broken pipe" in run.err


@pytest.mark.parametrize("stream", [">&-", "2>&-"])
def test_a_stream_that_is_closed_is_no_answer(stream: str) -> None:
    shell = ("sh", "-c", f'exec "$@" {stream}', "sh")
    with served(ready if stream == ">&-" else lambda _: Reply("", status=500)) as endpoint:
        run = verify("--role", "web-server", prefix=shell, env=account(endpoint))

    assert run.status == 2
    assert run.err.count("\n") == (stream == ">&-")
