"""Writes files atomically: after any failure, a file is either unchanged or complete."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from session_manager_permissions import _needs

from .asking import CannotAsk

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _wait_for(lock: int) -> None:
        msvcrt.locking(lock, msvcrt.LK_LOCK, 1)
else:
    import fcntl

    def _wait_for(lock: int) -> None:
        fcntl.flock(lock, fcntl.LOCK_EX)


_PREFIX: Final = ".session-manager-permissions-"
"""The prefix of the names of temporary files beside the user's file."""


def is_stream(path: str) -> bool:
    """Tell whether a path is a device or a pipe, which has no content that could be lost."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 # a path without Windows' rules for names
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def refuse_link(path: str, option: str) -> None:
    """Refuse to write to a symbolic link, as its owner decides which file is written.

    A link to a device or a pipe, such as `/dev/stdout`, is accepted.

    Args:
        path: the file.
        option: the option that names it, for the error.

    Raises:
        CannotAsk: it is a link.
    """
    with _errors_in_a_line(path, option):
        if Path(path).is_symlink() and not is_stream(path):
            raise CannotAsk(
                f"{option} {path} is a symbolic link to {os.readlink(path)}, and no file is "  # noqa: PTH115
                "written through a link: give the file itself"
            )


def write(path: str, option: str, text: str) -> None:
    """Write a temporary file, which replaces the file once it is complete.

    A new file has the mode 0600, as it contains data of the account. An existing file keeps its
    mode and its owner.

    Args:
        path: the file.
        option: the option that names it, for the errors.
        text: the content. Half of a surrogate pair is written as an escape.

    Raises:
        CannotAsk: the file can't be written. It is unchanged.
    """
    content = text.encode("utf-8", "backslashreplace")
    refuse_link(path, option)
    with _errors_in_a_line(path, option):
        if is_stream(path):
            Path(path).write_bytes(content)
        else:
            _replace(Path(path), content)


def _replace(path: Path, content: bytes) -> None:
    """Write a temporary file beside the file, and replace the file by it."""
    exists = path.exists()
    if exists and not os.access(path, os.W_OK):  # a rename would ignore the mode of the file
        raise PermissionError(0, "it is read-only")
    handle, temporary = tempfile.mkstemp(prefix=_PREFIX, dir=path.parent)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 # it is open already
            file.write(content)
            file.flush()
            os.fsync(handle)
        if exists:
            _give_owner_and_mode(path.stat(), temporary)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    with suppress(OSError):  # Windows opens no folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _give_owner_and_mode(status: os.stat_result, temporary: str) -> None:
    """Give a temporary file the owner and the mode of the file that it replaces."""
    mode = stat.S_IMODE(status.st_mode)
    if sys.platform != "win32":  # pragma: no branch
        with suppress(OSError):  # only root may give files away
            os.chown(temporary, status.st_uid, -1)
        try:
            os.chown(temporary, -1, status.st_gid)
        except OSError:
            mode &= ~stat.S_IRWXG  # the user's group must not get the rights of the file's group
    Path(temporary).chmod(mode)


@contextmanager
def locked(path: str, option: str) -> Iterator[None]:
    """Keep other runs of the command from changing a file while the block runs.

    The lock is on another file, as the file itself is replaced. The lock ends with the process.

    Args:
        path: the file.
        option: the option that names it, for the errors.

    Raises:
        CannotAsk: there can't be a lock.
    """
    file = Path(path)
    with _errors_in_a_line(path, option):
        lock = file.with_name(f"{_PREFIX}{_needs.digest(ascii(file.name))}.lock")
        handle = _acquire(lock)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no file that another run has open
            lock.unlink()
        os.close(handle)


def _acquire(lock: Path) -> int:
    """Wait for the lock, and return the open file that holds it."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            _wait_for(handle)
            # The previous holder has removed the lock file, and the next run makes a new one.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), lock.stat()):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


@contextmanager
def _errors_in_a_line(path: str, option: str) -> Iterator[None]:
    """Say in a line why a file can't be written."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: no file can have this name
        reason = getattr(error, "strerror", None) or error
        raise CannotAsk(f"{option} {path} can't be written: {reason}: give another path") from None
