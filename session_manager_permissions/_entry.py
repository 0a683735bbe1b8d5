"""Starts the command so that Ctrl-C ends it within two seconds, whatever it is waiting for."""

from __future__ import annotations

import os
import signal
import sys

_STATUS = 2
_MESSAGE = b"session-manager-permissions: interrupted before there was an answer\n"


def _end() -> None:
    os.write(2, _MESSAGE)
    os._exit(_STATUS)


def _end_loading(*_: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one says nothing more
    _end()


_IS_IGNORED = signal.getsignal(signal.SIGINT) is not signal.default_int_handler
if not _IS_IGNORED:
    signal.signal(signal.SIGINT, _end_loading)  # while the modules load

# A Ctrl-C while these load is answered already.
import time  # noqa: E402
from threading import Event, Thread  # noqa: E402
from typing import TYPE_CHECKING, Final  # noqa: E402

if TYPE_CHECKING:
    from types import FrameType

_GRACE: Final = 1.5
"""The seconds after which the program is ended, as it may be blocked in a system call."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, lambda *_: os._exit(_STATUS))  # a second one ends it at once
    signal.default_int_handler(number, frame)


def main() -> None:
    """Run the command, and end the process with its exit status."""
    from . import _command  # noqa: PLC0415 # it takes a while, in which there may be a Ctrl-C
    from ._verify.text import INTERRUPTED  # noqa: PLC0415

    if not _IS_IGNORED:
        _watch()
    try:
        status = _command.main()
    except SystemExit as ended:  # of argparse
        status = int(ended.code or 0)
    except KeyboardInterrupt:  # while it writes that it was interrupted
        status = _STATUS
    if not _IS_IGNORED:
        signal.signal(signal.SIGINT, lambda *_: os._exit(status))
    INTERRUPTED.set()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except OSError:  # what argparse has printed can't be written
                status = _STATUS
    os._exit(status)  # without waiting for threads that wait for AWS


def _watch() -> None:
    told, tells = os.pipe()
    if sys.platform != "win32":  # pragma: no branch # Windows asks for no such pipe
        os.set_blocking(tells, False)
    signal.set_wakeup_fd(tells)
    signal.signal(signal.SIGINT, _interrupt)
    pressed = Event()
    Thread(target=_end_at_the_second, args=(told, pressed), daemon=True).start()
    Thread(target=_end_late, args=(pressed,), daemon=True).start()


def _end_at_the_second(told: int, pressed: Event) -> None:
    """End the process at a second Ctrl-C. Each one writes a byte to the pipe."""
    os.read(told, 1)
    pressed.set()
    os.read(told, 1)
    os._exit(_STATUS)


def _end_late(pressed: Event) -> None:
    """End the process after some time, if a Ctrl-C has not ended it."""
    from ._verify.text import INTERRUPTED  # noqa: PLC0415 # as above

    pressed.wait()
    time.sleep(_GRACE)
    if not INTERRUPTED.is_set():
        _end()
