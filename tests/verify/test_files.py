"""The files that the command writes: each is as it was, or whole and new, whatever fails."""

import errno
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import Mock

import pytest

from session_manager_permissions._verify import files
from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.audit.listing import add_to_list
from session_manager_permissions._verify.audit.result import AuditResult
from tests.conftest import ROOT

from . import audits

LONG: Final = "x" * 129
WEB: Final = "arn:aws:iam::111122223333:instance-profile/team/web"
OLD: Final = b"# mine\r\nold-name\r\n"
WAYS: Final = [
    pytest.param(lambda path: files.write(path, "--file", "new\n"), id="--file"),
    pytest.param(lambda path: add_to_list(path, lacking("new")), id="--profiles-file"),
]


def lacking(*names: str, lacks: tuple[str, ...] = ("reach",), **options: list[str]) -> AuditResult:
    """A result in which the roles of these profiles lack permissions."""
    known = {name.replace("_", "-"): values for name, values in options.items()}
    role: Any = audits.role(lacks=[*lacks], profiles=[*names]) | {"options": known}
    return audits.result([], roles=[role], profiles=[*names])


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "list.txt"
    path.write_bytes(OLD)
    yield path
    assert {one.name for one in tmp_path.iterdir()} <= {"list.txt", "linked.txt"}


FULL: Final = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def limited() -> Iterator[None]:
    """Let the process write no file of more than two bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("does", WAYS)
@pytest.mark.parametrize(("fails_at", "error"), [
    pytest.param((tempfile, "mkstemp"), FULL, id="open"),
    pytest.param(None, FULL, id="write"),
    pytest.param((os, "fsync"), FULL, id="sync"),
    pytest.param((Path, "chmod"), FULL, id="mode"),
    pytest.param((Path, "replace"), FULL, id="rename"),
    pytest.param((os, "access"), [False], id="read-only"),  # root may write everywhere
    pytest.param((os, "fsync"), KeyboardInterrupt(), id="an interrupt"),
])  # fmt: skip
def test_a_fault_of_the_disk_and_an_interrupt_leave_the_file_as_it_was(
    fails_at: tuple[Any, str] | None,
    error: object,
    does: Callable[[str], None],
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch, nullcontext() if fails_at else limited():
        if fails_at:
            patch.setattr(*fails_at, Mock(side_effect=error))
        with pytest.raises((CannotAsk, KeyboardInterrupt)) as raised:
            does(str(file))

    told = f" {file} can't be written: " in str(raised.value)
    assert told != isinstance(error, KeyboardInterrupt)
    assert file.read_bytes() == OLD


@pytest.mark.parametrize("does", WAYS)
@pytest.mark.parametrize("target", ["list.txt", "nowhere.txt"])
def test_no_link_is_written_through(target: str, does: Callable[[str], None], file: Path) -> None:
    link = file.with_name("linked.txt")
    link.symlink_to(target)

    with pytest.raises(CannotAsk, match=rf"linked\.txt is a symbolic link to {target}"):
        does(str(link))

    assert file.read_bytes() == OLD
    assert link.is_symlink()


@pytest.mark.parametrize("does", WAYS)
@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300])
def test_a_name_of_no_file_is_said(name: str, does: Callable[[str], None], tmp_path: Path) -> None:
    with pytest.raises(CannotAsk, match="can't be"):
        does(f"{tmp_path}/{name}")

    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("does", WAYS)
def test_a_new_file_is_private_an_old_one_stays(does: Callable[[str], None], file: Path) -> None:
    before = os.umask(0)
    try:
        file.chmod(0o664)
        does(str(file))
        assert stat.S_IMODE(file.stat().st_mode) == 0o664
        file.unlink()
        does(str(file))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_rights_of_a_group_are_for_no_other(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "chown", Mock(side_effect=PermissionError(errno.EPERM, "not yours")))
    file.chmod(0o664)

    files.write(str(file), "--file", "new\n")

    assert stat.S_IMODE(file.stat().st_mode) == 0o604


def test_text_that_utf_8_lacks_is_escaped(file: Path) -> None:
    files.write(str(file), "--file", "a\ud800é\n")

    assert file.read_bytes() == b"a\\ud800\xc3\xa9\n"


def test_a_pipe_is_written_to_and_keeps_no_list(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    files.write(str(pipe), "--file", "new\n")
    reader.join()
    assert read == [b"new\n"]

    with pytest.raises(CannotAsk, match="is a device or a pipe, and can't hold a list"):
        add_to_list(str(pipe), lacking("new"))


def test_a_list_keeps_what_it_has_and_its_line_ends(file: Path) -> None:
    add_to_list(str(file), lacking("new", lacks=("register",)))
    assert file.read_bytes() == OLD + b"allow-registration = true\r\nnew\r\n"
    number = file.stat().st_ino

    add_to_list(str(file), lacking("new", lacks=("register",)))
    assert file.stat().st_ino == number  # nothing to add, nothing written


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize(("has", "added"), [
    pytest.param(f"{WEB} # fixed\u2028last\x0cweek\nbatch", "\nthree\ntwo\n", id="an ARN"),
    pytest.param("# web is ours, see three\n#\tb/web\n# two\ntwo\n", "three\n", id="comments"),
    pytest.param("WEB\nthree", "\ntwo\n", id="another case"),
])  # fmt: skip
def test_the_names_that_a_list_lacks_are_added(
    has: str, added: str, encoding: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(has, encoding=encoding)

    add_to_list(str(file), lacking("Web", "three", "two"))

    assert file.read_text(encoding="utf-8") == f"{has}{added}"
    said = f"--profiles-file {file} has Web commented out, which was not changed: to give"
    assert (said in capsys.readouterr().err) == has.startswith("#")


KEY, ALIAS = (f"arn:aws:kms:eu-west-1:111122223333:{of}" for of in ("key/1", "alias/a"))


class Adds(NamedTuple):
    """The lines of a list, the audit's options and findings, the lines added, and the message."""

    has: str
    added: str = ""
    options: Mapping[str, list[str]] = {}
    lacks: tuple[str, ...] = ("encrypt",)
    says: str = ""


ONE_KEY: Final = {"key": [KEY]}
LOGS: Final = {"log_bucket": ["logs"], "log_prefix": ["a"], "log_group": ["/g"]}
IN_LIST: Final = "log-bucket = logs\nlog-prefix = a\nlog-group = /g\n"
NO_LINE: Final = {"log_bucket": ["logs"], "log_prefix": ["a #b"]}
NOT_REGISTERED: Final = "allow-registration = false"
ADDS: Final = {
    "a key": Adds("", f"key = {KEY}\n", ONE_KEY),
    "has it": Adds(f"key = {KEY}\n", "", ONE_KEY),
    "two keys": Adds(f"key = {KEY}\n", f"key = {ALIAS}\n", {"key": [ALIAS, KEY]}),
    "a key that is commented out": Adds(
        f"#key = {KEY} # not ours\n", "", ONE_KEY, says=f"has `key = {KEY}` commented out, so"),
    "another value": Adds(f"{NOT_REGISTERED}\n", lacks=("register",),
                          says=f"has `{NOT_REGISTERED}`, so `allow-registration = true` was"),
    "no ARN of a key": Adds("", "", {"key": ["alias/x"]}),
    "a key that is not known": Adds(""),
    "a key that is not lacking": Adds("", "", ONE_KEY, ()),
    "logs": Adds("", IN_LIST, LOGS, ("log-to-s3", "log-to-cloudwatch")),
    "a prefix that no line can have": Adds("", "", NO_LINE, ("log-to-s3",)),
}  # fmt: skip


@pytest.mark.parametrize("name", ADDS)
def test_the_options_that_are_known_to_be_needed_are_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    has, added, options, lacks, says = ADDS[name]
    path = tmp_path / "list.txt"
    path.write_text(f"web\n{has}", encoding="utf-8")

    add_to_list(str(path), lacking("web", lacks=lacks, **options))

    assert path.read_text(encoding="utf-8") == f"web\n{has}{added}"
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["ok\nadmin", "a b", "key = x", "allow-registration=true", "../x", "#web", "", "\ud800", LONG],
)
def test_no_name_adds_no_line(name: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_to_list(str(file), lacking(name, "fine"))

    assert file.read_bytes() == OLD + b"fine\r\n"
    assert f"--profiles-file {file} lacks " in capsys.readouterr().err


@pytest.mark.parametrize("text", [b"a b\n", b"foo = bar\n", b"web\nweb\n", b"key =\n", b"\xff"])
def test_what_the_app_would_refuse_is_no_list(text: bytes, file: Path) -> None:
    file.write_bytes(text)

    with pytest.raises(CannotAsk, match=r"was not changed|can't be read before names are added"):
        add_to_list(str(file), lacking("new"))

    assert file.read_bytes() == text


RUN: Final = """
import json, sys
from session_manager_permissions._verify.audit.listing import add_to_list
for result in sys.argv[2:]:
    add_to_list(sys.argv[1], json.loads(result))
"""


def test_runs_at_once_lose_nothing(file: Path) -> None:
    names = [[f"run-{run}-{number}" for number in range(25)] for run in range(4)]
    runs = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", RUN, file, *(json.dumps(lacking(name)) for name in some)],
            cwd=ROOT,
        )
        for some in names
    ]
    assert [run.wait() for run in runs] == [0] * 4

    found = file.read_text(encoding="utf-8").split()
    assert sorted(found[3:]) == sorted(name for some in names for name in some)


def test_a_lock_that_is_removed_is_taken_anew(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (wait, waits) = (files._wait_for, iter([True, False]))  # noqa: SLF001

    def removed_meanwhile(lock: int) -> None:
        if next(waits):
            (path,) = file.parent.glob(".*.lock")
            path.unlink()
        wait(lock)

    monkeypatch.setattr(files, "_wait_for", removed_meanwhile)
    add_to_list(str(file), lacking("new"))

    assert [*waits] == []
    assert file.read_bytes() == OLD + b"new\r\n"


def test_no_lock_no_write(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = OSError(errno.ENOLCK, "No locks available")
    monkeypatch.setattr(files, "_wait_for", Mock(side_effect=error))

    with pytest.raises(CannotAsk, match="No locks available"):
        add_to_list(str(file), lacking("new"))

    assert file.read_bytes() == OLD
    for lock in file.parent.glob(".*.lock"):
        lock.unlink()
