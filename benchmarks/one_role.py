"""Benchmark 1: one role."""

from __future__ import annotations

import argparse

from measure import Arm, Sample, interleaved, output, over, spread, table


def measure(rounds: int, rfdk: str | None) -> str:
    """The table; `rfdk` is a Python that has aws-rfdk."""
    floor, by_hand = Arm("no policy: the floor", "floor"), Arm("`iam.Policy`", "hand_written")
    again = Arm("the floor again", "floor")
    ours = Arm("`SessionManagerPermissions`", "construct")
    managed = Arm("`role.add_managed_policy`", "managed_policy")
    bases = {again: floor, by_hand: floor, ours: floor, managed: floor}
    if rfdk:
        their_floor = Arm("aws-rfdk's CDK: its floor", "floor", python=rfdk)
        bases[Arm("aws-rfdk's CDK: `iam.Policy`", "hand_written", python=rfdk)] = their_floor
        bases[Arm("aws-rfdk `SessionManagerHelper`", "rfdk", python=rfdk)] = their_floor
    arms = list(dict.fromkeys(arm for pair in bases.items() for arm in reversed(pair)))
    samples = interleaved(arms, rounds)
    rows = []
    for arm in arms:
        runs, made = samples[arm], output(arm)
        base = samples[bases[arm]] if arm in bases else None
        rows.append(
            (
                arm.name,
                spread(run.wall for run in runs),
                spread(over(runs, base, _wall), "+.1f") if base else "",
                spread(run.cpu for run in runs),
                spread(over(runs, base, _cpu), "+.1f") if base else "",
                spread((run.peak for run in runs), ".0f"),
                made.round_trips,
                f"{made.size:,}",
                made.resources,
            )
        )
    header = ("arm", "wall, s", "over its floor, %", "CPU, s", "over its floor, %", "peak, MiB")
    wall, cpu = (spread(over(samples[ours], samples[by_hand], of), "+.1f") for of in (_wall, _cpu))
    return (
        table((*header, "round trips", "bytes", "resources"), rows)
        + f"\n`SessionManagerPermissions` over a hand-written `iam.Policy`: {wall} % of wall time, "
        f"{cpu} % of CPU; the aim is at most 1 % of wall time.\n"
        + ("" if rfdk else "\naws-rfdk was not installed.\n")
    )


def _wall(sample: Sample) -> float:
    return sample.wall


def _cpu(sample: Sample) -> float:
    return sample.cpu


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rfdk", help="a Python that has aws-rfdk")
    given = parser.parse_args()
    print(measure(given.rounds, given.rfdk))
