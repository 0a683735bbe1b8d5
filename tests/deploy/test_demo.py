"""The demo: what it shows, and that it leaves nothing behind however it ends."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from local_aws import ROOT

from .stacks import until


@contextmanager
def demo(tmp_path: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603
        [sys.executable, str(ROOT / "tools" / "demo.py")],
        env=os.environ | {"TMPDIR": str(tmp_path), "COLUMNS": "100"} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """The lines up to the one with `pattern`, to the end if there is none."""
    read = ""
    for line in process.stdout or ():
        read += line
        if re.search(pattern, line):
            break
    return read


def server_pid(output: str) -> int:
    found = re.search(r"MiniStack on http://127\.0\.0\.1:\d+, process (\d+)", output)
    assert found, output
    return int(found[1])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def answers(rows: list[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    return [(label, re.findall(r"\w+", words)) for label, words in rows]


def assert_shows_before_and_after(output: str) -> None:
    """Judge what the demo shows, which test_first_half_hour.py runs from a clone."""
    assert re.search(r"capability .* before .* after", output)
    tables = output.split("capability")[1:]
    before, after, destroyed = (
        re.findall(r"│ ([a-zA-Z ]+?) +│((?: (?:allowed|denied) +│)+)", table) for table in tables
    )
    assert answers(before) == [
        ("reach Session Manager", ["denied"]),
        ("register the instance", ["allowed"]),
        ("encrypt sessions", ["denied"]),
        ("encrypt sessions", ["denied"]),
    ]
    assert answers(after) == [
        ("reach Session Manager", ["denied", "allowed"]),
        ("register the instance", ["allowed", "allowed"]),
        ("encrypt sessions", ["denied", "allowed"]),
        ("encrypt sessions", ["denied", "denied"]),
    ]
    assert answers(destroyed) == [
        (label, [*words, was])
        for (label, words), (_, [was]) in zip(answers(after), answers(before), strict=True)
    ]
    assert re.findall(r"let through: (.*)", output) == [
        "s3:ListBucket, its team's",
        "kms:Decrypt, the key, s3:GetEncryptionConfiguration, s3:ListBucket, its team's",
        "s3:ListBucket, its team's",
    ]
    assert "cdk deploy -c instance-profile=web-server -c key=arn:aws:kms:" in output
    audited = re.findall(r"us-east-1 +│ +(\d+) │ +(\d+) │ +(\d+) │", output)
    assert audited == [("4", "1", "3"), ("4", "4", "0")]
    first, second = re.split(r"\$ cdk deploy -c instance-profiles=profiles\.txt", output)
    assert "profiles.txt:\napi\nbatch\ndatabase\n" in first
    assert not re.search(r"\b(api|batch|database)\b", second)
    assert output.rstrip().endswith("README.md.")
    assert not is_alive(server_pid(output))


@pytest.mark.parametrize(
    ("number", "shown"), [(signal.SIGINT, r"\$ cdk deploy"), (signal.SIGTERM, "MiniStack on")]
)
def test_ended_demo_leaves_nothing(tmp_path: Path, number: signal.Signals, shown: str) -> None:
    with demo(tmp_path) as process:
        output = read_until(process, shown)
        os.killpg(process.pid, number)  # as a terminal does
        rest, _ = process.communicate(timeout=600)

    assert process.returncode == 128 + number, output + rest
    assert not is_alive(server_pid(output))
    assert list(tmp_path.iterdir()) == []


def test_failed_demo_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    with demo(tmp_path, PATH="/nowhere") as process:  # the CLI finds no Node.js
        output, _ = process.communicate(timeout=600)

    assert process.returncode == 1, output
    assert "cdk deploy failed" in output
    assert "Traceback" not in output
    assert not is_alive(server_pid(output))
    assert list(tmp_path.iterdir()) == []


def test_killed_demo_leaves_no_process(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        pid = server_pid(read_until(process, "MiniStack on"))
        process.kill()

    until(lambda: not is_alive(pid), seconds=20)
