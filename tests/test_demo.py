"""What the demo shows; that it runs is in tests/deploy/test_demo.py."""

from __future__ import annotations

import re

import demo
from rich.console import Console

from .verify.nodes import CHANNELS, World
from .verify.running import run


def test_comparison_has_a_column_for_each_time() -> None:
    times, world = {}, World()
    for time, denied in (("before", {*CHANNELS}), ("after", set())):
        world.denies = denied
        found = run(world, "verify", "--role", "web-server", "--output", "json")
        times[time] = found.json["capabilities"]
    console = Console(width=80)

    with console.capture() as shown:
        console.print(demo.comparison_table(**times))

    assert re.search(r"capability .* before .* after", shown.get())
    assert re.search(r"reach Session Manager .* denied .* allowed", shown.get())
    assert re.search(r"register the instance .* allowed .* allowed", shown.get())
