"""What the demo shows; that it runs is in tests/deploy/test_demo.py."""

from __future__ import annotations

import re

import demo
from rich.console import Console

from session_manager_permissions._verify import simulator

from .verify.test_verify import CHANNELS, REGISTER, ROLE, Account, account, no_account, result

__all__ = ["account", "no_account"]  # fixtures


def test_comparison_has_a_column_for_each_time(account: Account) -> None:
    iam = account.iam.client
    role = simulator.LiveRole(ROLE, None)
    asked = simulator.questions(role, simulator.Uses(), None)
    account.answers(*(result(action, "implicitDeny") for action in CHANNELS))
    account.allows(REGISTER)
    account.is_reachable()
    before = simulator.ask(iam, role, asked, None)
    after = simulator.ask(iam, role, asked, None)
    console = Console(width=80)

    with console.capture() as shown:
        console.print(demo.comparison_table(before=before, after=after))

    assert re.search(r"capability .* before .* after", shown.get())
    assert re.search(r"reach Session Manager .* denied .* allowed", shown.get())
    assert re.search(r"register the instance .* allowed .* allowed", shown.get())
