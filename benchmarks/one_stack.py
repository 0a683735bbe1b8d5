"""Benchmark 4: the largest fleet that fits one stack."""

from __future__ import annotations

import argparse

from measure import Arm, interleaved, output, spread, table

MOST = 500
"""Resources of a stack."""


def measure(rounds: int) -> str:
    """The table; each profile is two resources, as its role is in the stack as well."""
    fleet, each = (MOST - 1) // 2, MOST // 3
    arms = [
        Arm("no policy: the floor", "floor", fleet),
        Arm("`SessionManagerFleet`", "fleet", fleet),
        Arm("no policy: the floor ", "floor", each),
        Arm("a policy for each role", "hand_written", each),
    ]
    samples = interleaved(arms, rounds)
    rows = []
    for arm in arms:
        made = output(arm)
        if made.resources > MOST:
            raise RuntimeError(f"{arm.name}: {made.resources} resources")
        runs = samples[arm]
        wall, cpu = spread(run.wall for run in runs), spread(run.cpu for run in runs)
        size = f"{made.size:,}"
        rows.append((arm.profiles, arm.name, made.resources, size, made.round_trips, wall, cpu))
    header = ("profiles", "arm", "resources", "bytes", "round trips", "wall, s", "CPU, s")
    return table(header, rows) + (
        f"\nWhere the roles exist already, a profile is one resource: {MOST - 1} profiles fit with "
        f"a fleet, {MOST // 2} with a policy for each role.\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    print(measure(parser.parse_args().rounds))
