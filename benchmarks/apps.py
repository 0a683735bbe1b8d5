"""Benchmarks 1 and 2: one role, and an app as people write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from measure import Arm, Sample, interleaved, output, over, spread, table

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER = ("arm", "wall, s", "over the first, %", "peak, MiB", "round trips", "resources")


def one_role(rounds: int) -> str:
    """The table, and what the construct costs beside what its users would write by hand."""
    by_hand = Arm("`iam.Policy`", "hand_written")
    ours = Arm("`SessionManagerPermissions`", "construct")
    floor, again = Arm("no policy: the floor", "floor"), Arm("the floor again", "floor")
    samples = interleaved([floor, again, by_hand, ours], rounds)
    wall = spread(over(samples[ours], samples[by_hand]), "+.1f")
    return (
        table(HEADER, _rows(samples))
        + f"\n`SessionManagerPermissions` over a hand-written `iam.Policy`: {wall} % of wall time; "
        "the aim is at most 1 %.\n"
    )


def web_app(rounds: int) -> str:
    """The table."""
    arms = [
        Arm("the app alone", "web"),
        Arm("the app alone again", "web"),
        Arm("with `SessionManagerPermissions`, aim 2 %", "web_construct"),
        Arm("with `SessionManagerFleet`, aim 4 %", "web_fleet"),
        Arm("with `SessionManagerReadiness`, aim 4 %", "web_readiness"),
    ]
    return table(HEADER, _rows(interleaved(arms, rounds)))


def _rows(samples: dict[Arm, list[Sample]]) -> list[Sequence[object]]:
    """A row for each arm; the first is what the others are compared with."""
    base = next(iter(samples))
    rows: list[Sequence[object]] = []
    for arm, runs in samples.items():
        made = output(arm)
        more = "" if arm is base else spread(over(runs, samples[base]), "+.1f")
        wall, peak = spread(run.wall for run in runs), spread((run.peak for run in runs), ".0f")
        rows.append((arm.name, wall, more, peak, made.round_trips, made.resources))
    return rows
