"""How the command ends after a Ctrl-C: soon, and with one line, whatever it waits for."""

import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from unittest.mock import Mock, patch

import pytest

from session_manager_permissions import _command
from session_manager_permissions._verify.text import INTERRUPTED
from tests.conftest import ROOT, run_python

from .conftest import SIGNED_IN

COMMAND: Final = Path(sys.executable).with_name("session-manager-permissions")
SAID: Final = "session-manager-permissions: interrupted before there was an answer\n"


class Ended(Exception):  # noqa: N818 # it is not an error
    """Raised in place of ending the process with this status."""


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is written to standard error before the process ends, which it does not."""

    def end(status: int) -> None:
        raise Ended(status)

    written: list[bytes] = []
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(os, "write", lambda _, text: written.append(text))
    return written


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Load the module: it runs this command, and takes Ctrl-C or ignores it."""
    before = signal.getsignal(signal.SIGINT)

    def load(
        main: Callable[[], int] = lambda: 0, handler: object = signal.default_int_handler
    ) -> Any:  # noqa: ANN401 # a module
        signal.signal(signal.SIGINT, handler)  # type: ignore[arg-type]
        monkeypatch.setattr(_command, "main", main)
        return importlib.reload(importlib.import_module("session_manager_permissions._entry"))

    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield load
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, before)
    INTERRUPTED.clear()


def interrupt() -> object:
    """Call the handler of Ctrl-C."""
    handler: Any = signal.getsignal(signal.SIGINT)
    return handler(signal.SIGINT, None)


def test_while_modules_load_it_ends_at_once(load: Callable[..., Any], said: list[bytes]) -> None:
    load()

    with pytest.raises(Ended, match="2"):
        interrupt()

    assert said == [SAID.encode()]
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # a second one says nothing more


def test_the_first_interrupts_and_the_second_ends_it(
    load: Callable[..., Any], said: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def main() -> int:
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        with pytest.raises(Ended, match="2"):
            interrupt()
        return 7

    entry = load(main)
    monkeypatch.setattr(sys, "stdout", None)  # as `>&-` has it
    with pytest.raises(Ended, match="7"):
        entry.main()
    with pytest.raises(Ended, match="7"):  # the answer is there
        interrupt()

    assert said == []


FULL: Final = Mock(flush=Mock(side_effect=OSError(28, "No space left on device")))


@pytest.mark.parametrize(("main", "stdout", "status"), [
    pytest.param(Mock(side_effect=SystemExit(0)), None, 0, id="--help"),
    pytest.param(Mock(side_effect=SystemExit(2)), None, 2, id="a wrong command line"),
    pytest.param(Mock(side_effect=KeyboardInterrupt()), None, 2, id="a Ctrl-C while it says so"),
    pytest.param(lambda: 0, FULL, 2, id="it can't be written"),
])  # fmt: skip
def test_how_it_ends(
    main: Callable[[], int],
    stdout: Mock | None,
    status: int,
    load: Callable[..., Any],
    said: list[bytes],
) -> None:
    with patch.object(sys, "stdout", stdout), pytest.raises(Ended, match=str(status)):
        load(main).main()

    assert said == []


def test_who_ignores_ctrl_c_keeps_ignoring_it(load: Callable[..., Any], said: list[bytes]) -> None:
    with pytest.raises(Ended, match="0"):
        load(handler=signal.SIG_IGN).main()

    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    assert said == []


def test_what_hangs_is_ended_late(
    load: Callable[..., Any], said: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, pressed = load(), threading.Event()
    monkeypatch.setattr(entry, "_GRACE", 0)
    pressed.set()

    with pytest.raises(Ended, match="2"):
        entry._end_late(pressed)  # noqa: SLF001 # what its thread runs
    INTERRUPTED.set()
    entry._end_late(pressed)  # noqa: SLF001

    assert said == [SAID.encode()]


def test_a_second_ctrl_c_ends_what_hangs(load: Callable[..., Any], said: list[bytes]) -> None:
    entry, pressed = load(), threading.Event()
    told, tells = os.pipe()
    with open(tells, "wb") as presses:  # noqa: PTH123 # it is open already
        presses.write(bytes([signal.SIGINT] * 2))

    with pytest.raises(Ended, match="2"):
        entry._end_at_the_second(told, pressed)  # noqa: SLF001 # what its thread runs

    assert pressed.is_set()
    assert said == []


AT_IMPORT: Final = """
import os, signal, sys

class Presses:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.modules.pop({name!r}, None)
sys.meta_path.insert(0, Presses())
from session_manager_permissions._entry import main
main()
"""


@pytest.mark.parametrize("name", ["typing", "threading", "argparse", "botocore"])
def test_ctrl_c_while_a_module_is_imported_is_said_in_a_line(name: str) -> None:
    """`typing` takes most of the time before the command's own modules load."""
    asked = ("verify", "--role", "web")
    run = run_python("-c", AT_IMPORT.format(name=name), *asked, cwd=ROOT)

    assert (run.returncode, run.stdout, run.stderr) == (2, "", SAID)


@pytest.mark.parametrize(("asked", "presses"), [(("verify", "--role", "web"), 2), (("audit",), 1)])
@pytest.mark.usefixtures("load")  # a process of a test in the background would ignore Ctrl-C
def test_ctrl_c_ends_the_command_while_aws_is_silent(asked: tuple[str, ...], presses: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        environment = {"AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": "eu-west-1"}
        with subprocess.Popen(  # noqa: S603 # the installed command
            [COMMAND, *asked],
            env=SIGNED_IN | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            silent, _ = server.accept()
            with silent:
                for _ in range(presses):
                    process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=60)

    assert process.returncode == 2
    assert out == ""
    assert err in ({SAID} if presses == 1 else {SAID, ""})
