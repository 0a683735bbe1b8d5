"""All benchmarks, into RESULTS.md beside this file."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import fleets
from measure import Arm, interleaved, output, over, spread, table

if TYPE_CHECKING:
    from collections.abc import Sequence

ONE_ROLE = [
    Arm("`iam.Policy`", "hand_written", (1, 1)),
    Arm("`SessionManagerPermissions`, aim 1 %", "construct", (1, 1)),
]
WEB_APP = [
    Arm("the app alone", "nothing"),
    Arm("the app alone again", "nothing"),
    Arm("with `SessionManagerPermissions`, aim 2 %", "attached"),
    Arm("with `SessionManagerFleet`, aim 4 %", "fleet"),
    Arm("with `SessionManagerReadiness`, aim 4 %", "readiness"),
]
TEXT = """\
# What it costs

`make bench` writes this page. Every run is a process of its own. The arms of a benchmark are
interleaved, in an order that shifts from round to round, and a first round does not count. A figure
is the median and, in brackets, the middle half of the runs. Per cents are taken round by round.
What has "again" in its name is compared with itself: what differs no more than that is noise. A
round trip is a request from Python to Node.js. `CDK_VALIDATION` is `false` in all arms. An aim is
the most that an arm may add to the wall time of the first one.

{machine}

## One role

The construct beside the policy that its users would write by hand, which grants the same actions.

{one_role}
## An app as people write them

A VPC of two zones, two instances, and an Auto Scaling group behind a load balancer. The construct
is attached to all three roles, the fleet covers them, and the check judges the network too.

{web_app}
## Fleets

{fleets}"""


def machine() -> str:
    """What the figures were taken on."""
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)  # noqa: S607
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("aws-cdk-lib", "constructs", "jsii")
    )
    return (
        f"{platform.system()} on {platform.machine()}, {os.cpu_count()} CPUs, "
        f"Python {platform.python_version()}, Node.js {node.stdout.strip()[1:]}, {versions}."
    )


def compared(arms: Sequence[Arm], rounds: int) -> str:
    """The table of the arms, of which the first is what the others are compared with."""
    samples, base = interleaved(arms, rounds), arms[0]
    rows = []
    for arm, runs in samples.items():
        made = output(arm)
        more = "" if arm is base else spread(over(runs, samples[base]), "+.1f")
        rows.append((arm.name, spread(runs), more, made.round_trips, made.resources))
    return table(("arm", "wall, s", "over the first, %", "round trips", "resources"), rows)


def main(rounds: int = 15, fleet_rounds: int = 7) -> None:
    """Measure, and write the page: so many rounds of one role and of the app, so many of fleets."""
    text = TEXT.format(
        machine=machine(),
        one_role=compared(ONE_ROLE, rounds),
        web_app=compared(WEB_APP, rounds),
        fleets=fleets.tables(fleets.measure(fleet_rounds)),
    )
    (Path(__file__).parent / "RESULTS.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
