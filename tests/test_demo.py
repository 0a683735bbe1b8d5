"""What the demo shows; that it runs is in tests/deploy/test_demo.py."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import demo
from rich.console import Console

from .verify.test_verify import (
    CHANNELS,
    REGISTER,
    Account,
    Run,
    account,
    no_account,
    result,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["account", "no_account", "verify"]  # fixtures


def test_comparison_has_a_column_for_each_time(
    account: Account, verify: Callable[..., Run]
) -> None:
    times = {}
    for time, decision in (("before", "implicitDeny"), ("after", "allowed")):
        account.has_role()
        account.answers(*(result(action, decision) for action in CHANNELS))
        account.allows(REGISTER)
        times[time] = verify("--role", "web-server", "--output", "json").json["capabilities"]
    console = Console(width=80)

    with console.capture() as shown:
        console.print(demo.comparison_table(**times))

    assert re.search(r"capability .* before .* after", shown.get())
    assert re.search(r"reach Session Manager .* denied .* allowed", shown.get())
    assert re.search(r"register the instance .* allowed .* allowed", shown.get())
