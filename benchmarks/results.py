"""All benchmarks, into RESULTS.md and RESULTS.svg beside this file."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
from importlib.metadata import version
from pathlib import Path

import apps
import fleets
import matplotlib as mpl
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
TEXT = """\
# What it costs

`make bench` writes this page. Every run is a process of its own. The arms of a benchmark are
interleaved, in an order that shifts from round to round, and a first round does not count. A figure
is the median and, in brackets, the middle half of the runs. Per cents are taken round by round.
"The floor again" is the floor against itself: what differs no more than that is noise. The peak is
the sum of the peaks of Python and Node.js. A round trip is a request from Python to Node.js.
`CDK_VALIDATION` is `false` in all arms. All arms but the floor grant the same actions.

{machine}

## One role

{one_role}
## An app as people write them

A VPC of two zones, two instances, and an Auto Scaling group behind a load balancer. The construct
is attached to all three roles, the fleet covers them, and the check judges the network too. An aim
is the most that it may add to the wall time of the app alone.

{web_app}
## Fleets

![Wall time and round trips over the number of profiles](RESULTS.svg)

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


def plot(results: fleets.Results) -> None:
    """Wall time and round trips of each arm over the number of profiles."""
    mpl.rcParams["svg.hashsalt"] = "the same file for the same figures"
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, points in results.items():
        sizes = list(points)
        label = name.replace("`", "")
        style = {"marker": "o", "linestyle": "--" if "floor" in name else "-", "label": label}
        walls = [[run.wall for run in point.runs] for point in points.values()]
        axes[0].plot(sizes, [statistics.median(runs) for runs in walls], **style)
        low, _, high = zip(*(statistics.quantiles(runs, n=4) for runs in walls), strict=True)
        axes[0].fill_between(sizes, low, high, alpha=0.2)
        axes[1].plot(sizes, [point.made.round_trips for point in points.values()], **style)
    for axis, title in zip(axes, ("wall time, s", "round trips"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel="profiles", title=title)
        axis.grid(visible=True, which="major", alpha=0.3)
    axes[0].legend()
    figure.savefig(HERE / "RESULTS.svg", metadata={"Date": None})


def main(rounds: int, fleet_rounds: int) -> None:
    """Measure, and write both files."""
    fleet_results = fleets.measure(fleet_rounds)
    text = TEXT.format(
        machine=machine(),
        one_role=apps.one_role(rounds),
        web_app=apps.web_app(rounds),
        fleets=fleets.tables(fleet_results),
    )
    (HERE / "RESULTS.md").write_text(text, encoding="utf-8")
    plot(fleet_results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="of one role and of the app")
    parser.add_argument("--fleet-rounds", type=int, default=7, help="of what takes longer")
    given = parser.parse_args()
    main(given.rounds, given.fleet_rounds)
