"""Diagnoses a node again and again, until it is ready or waiting can't help."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from .asking import CannotAsk, NoNode, NotNow, NotPermitted, NotReached
from .node import CONNECTION

if TYPE_CHECKING:
    from collections.abc import Callable

    from .diagnosis import Diagnosis

_PAUSE: Final = 5
"""How many seconds pass between an answer and the next question."""


def wait_until_ready(
    diagnosed: Callable[[bool], Diagnosis], seconds: int, say: Callable[[str], None]
) -> Diagnosis:
    """Return the last diagnosis of a node: it is ready, waiting can't help, or the time is over.

    Args:
        diagnosed: diagnoses the node again. Its argument says whether this is the last time.
        seconds: how long to wait.
        say: reports the progress.

    Raises:
        NoNode: AWS does not know the node, even at the end of the time. A new instance is known to
            EC2 after some seconds.
        CannotAsk: AWS could not be asked, and waiting can't help, or the time is over.
    """
    began = time.monotonic()
    passing: tuple[type[CannotAsk], ...] = (NoNode, NotNow)
    while True:
        is_last = time.monotonic() - began >= seconds
        try:
            found = diagnosed(is_last)
        except passing as error:
            if is_last:
                raise
            say(f"after {round(time.monotonic() - began)} of {seconds} s, {error}")
        else:
            # a region that was reached once is not misspelt, so a lost connection may come back
            passing = (NoNode, NotNow, NotReached)
            node, spent = found.node.id, round(time.monotonic() - began)
            if found.ready:
                say(f"{node} is ready after {spent} s")
                return found
            if lasting := _not_fixed_by_waiting(found):
                say(f"{node} is not ready, and waiting does not change that: {', '.join(lasting)}")
                return found
            missing = ", ".join(one.name for one in found.checks if one.verdict == "fail")
            missing = missing or "it is not known whether it is connected"
            if is_last:
                say(f"{node} is not ready after {spent} s: {missing}")
                return found
            say(f"{node} is not ready after {spent} of {seconds} s: {missing}")
        time.sleep(max(0, min(_PAUSE, seconds - (time.monotonic() - began))))


def _not_fixed_by_waiting(found: Diagnosis) -> list[str]:
    """Name the checks that waiting can't fix."""
    failing = [one for one in found.checks if one.verdict == "fail"]
    # a symptom passes once its cause does
    names = [one.name for one in failing if not (one.is_passing or one.check.is_symptom)]
    denied = isinstance(found.node.connection, NotPermitted)
    return [*names, f"the credentials do not allow {CONNECTION}"] if denied else names
