"""Benchmark 5: an app as people write them."""

from __future__ import annotations

import argparse

from measure import Arm, interleaved, output, over, spread, table

AIMS = {"web_construct": 2, "web_fleet": 4, "web_readiness": 4}
"""At most this many per cent of the whole process."""


def measure(rounds: int) -> str:
    """The table."""
    base = Arm("the app alone", "web")
    arms = [
        base,
        Arm("the app alone again", "web"),
        Arm("with `SessionManagerPermissions`", "web_construct"),
        Arm("with `SessionManagerFleet`", "web_fleet"),
        Arm("with `SessionManagerReadiness`", "web_readiness"),
    ]
    samples = interleaved(arms, rounds)
    rows = []
    for arm in arms:
        runs, made = samples[arm], output(arm)
        wall, cpu = (over(runs, samples[base], of) for of in (lambda s: s.wall, lambda s: s.cpu))
        rows.append(
            (
                arm.name,
                spread(run.wall for run in runs),
                spread(wall, "+.1f") if arm is not base else "",
                f"{AIMS[arm.app]} %" if arm.app in AIMS else "",
                spread(run.cpu for run in runs),
                spread(cpu, "+.1f") if arm is not base else "",
                spread((run.peak for run in runs), ".0f"),
                made.round_trips,
                made.resources,
            )
        )
    header = ("arm", "wall, s", "over the app, %", "aim", "CPU, s", "over the app, %", "peak, MiB")
    return table((*header, "round trips", "resources"), rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    print(measure(parser.parse_args().rounds))
