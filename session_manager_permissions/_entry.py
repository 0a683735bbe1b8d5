"""Starts the command, so that Ctrl-C ends it within two seconds, whatever it waits for."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket
    from types import FrameType

_STATUS: Final = 2
_GRACE: Final = 1.5
"""How many seconds the program has to end by itself, as it may wait in a call of the system."""
_SAID: Final = b"session-manager-permissions: interrupted before there was an answer\n"


def _end(*_: object) -> None:
    os.write(2, _SAID)
    os._exit(_STATUS)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, lambda *_: os._exit(_STATUS))  # a second one ends it at once
    signal.default_int_handler(number, frame)


_IS_IGNORED: Final = signal.getsignal(signal.SIGINT) is not signal.default_int_handler
if not _IS_IGNORED:
    signal.signal(signal.SIGINT, _end)  # while the modules load


def main() -> None:
    """Run the command, and end the process with its exit status."""
    from . import _command  # noqa: PLC0415 # it takes a while, in which there may be a Ctrl-C

    if not _IS_IGNORED:
        _watch()
    status = _command.main()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(status)  # without waiting for threads that wait for AWS


def _watch() -> None:
    import socket  # noqa: PLC0415 # as above
    from threading import Thread  # noqa: PLC0415

    told, tells = socket.socketpair()
    tells.settimeout(0)
    signal.set_wakeup_fd(tells.fileno())
    signal.signal(signal.SIGINT, _interrupt)
    Thread(target=_end_late, args=(told, tells), daemon=True).start()


def _end_late(told: socket.socket, _: socket.socket) -> None:
    """End the process some time after a Ctrl-C, or at once after a second one."""
    from ._verify import command  # noqa: PLC0415 # as above

    told.recv(1)
    told.settimeout(_GRACE)
    try:
        told.recv(1)
    except TimeoutError:
        if not command.INTERRUPTED.is_set():
            _end()
        told.settimeout(None)
        told.recv(1)
    os._exit(_STATUS)
