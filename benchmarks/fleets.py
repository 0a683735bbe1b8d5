"""Benchmark 3: fleets of 10 to 5,000 profiles."""

from __future__ import annotations

import math
import statistics
from typing import NamedTuple

import numpy as np
from measure import Arm, Output, Sample, interleaved, output, over, spread, table

SIZES = (10, 100, 1000, 5000)
AIMED = 1000
PROFILES_A_STACK = 150  # a role, a profile and a policy for each leave room in 500 resources
FLEET, LIMIT = "`SessionManagerFleet`", "the limit: what CDK's API asks of any fleet"
APPS = {
    "no policy: the floor": "floor",
    "the floor again": "floor",
    LIMIT: "limit",
    FLEET: "fleet",
    "a Python Aspect": "aspect",
    "a construct for each role": "construct",
}


class Point(NamedTuple):
    """An arm at a size."""

    runs: list[Sample]
    wall: list[float]
    """Per cent over the floor."""
    cpu: list[float]
    """Per cent over the floor."""
    made: Output


Results = dict[str, dict[int, Point]]


def measure(rounds: int, sizes: tuple[int, ...] = SIZES) -> Results:
    """Each arm at each size."""
    results: Results = {name: {} for name in APPS}
    for size in sizes:
        stacks = math.ceil(size / PROFILES_A_STACK)
        arms = [Arm(name, app, size, stacks) for name, app in APPS.items()]
        samples = interleaved(arms, rounds)
        for arm in arms:
            made = output(arm)
            if made.roles != (0 if arm.app == "floor" else size):
                raise RuntimeError(f"{arm.name} attached to {made.roles} roles of {size}")
            wall = over(samples[arm], samples[arms[0]], lambda sample: sample.wall)
            cpu = over(samples[arm], samples[arms[0]], lambda sample: sample.cpu)
            results[arm.name][size] = Point(samples[arm], wall, cpu, made)
    return results


def slopes(points: dict[int, Point], floor: dict[int, Point]) -> tuple[float, ...]:
    """What a profile more costs beyond the floor: ms of wall, round trips, bytes, resources."""

    def slope(*ordinates: float) -> float:
        return float(np.polyfit(list(points), ordinates, 1)[0])

    wall = [
        statistics.median(
            1000 * (run.wall - base.wall)
            for run, base in zip(point.runs, floor[size].runs, strict=True)
        )
        for size, point in points.items()
    ]
    made = [
        [ours - base for ours, base in zip(point.made, floor[size].made, strict=True)]
        for size, point in points.items()
    ]
    return slope(*wall), *(slope(*column) for column in list(zip(*made, strict=True))[:3])


def tables(results: Results) -> str:
    """In Markdown."""
    floor = next(iter(results.values()))
    rows = [
        (
            f"{size:,}",
            name,
            spread(run.wall for run in point.runs),
            spread(point.wall, "+.1f") if points is not floor else "",
            spread(run.cpu for run in point.runs),
            spread(point.cpu, "+.1f") if points is not floor else "",
            spread((run.peak for run in point.runs), ".0f"),
            f"{point.made.round_trips:,}",
            f"{point.made.size:,}",
            f"{point.made.resources:,}",
        )
        for size in floor
        for name, points in results.items()
        for point in [points[size]]
    ]
    over_floor = "over the floor, %"
    header = ("profiles", "arm", "wall, s", over_floor, "CPU, s", over_floor, "peak, MiB")
    ours, limit = (results[name] for name in (FLEET, LIMIT))
    over_limit = over(ours[AIMED].runs, limit[AIMED].runs, lambda sample: sample.wall)
    aimed = (
        f"\n{FLEET} over the limit with {AIMED:,} profiles: {spread(over_limit, '+.1f')} % of wall "
        "time; the aim is at most 5 %.\n"
    )
    fits = [
        (name, f"{wall:+.3f}", f"{trips:+.2f}", f"{size:+,.0f}", f"{resources:+.3f}")
        for name, points in results.items()
        if points is not floor
        for wall, trips, size, resources in [slopes(points, floor)]
    ]
    return (
        table((*header, "round trips", "bytes", "resources"), rows)
        + aimed
        + "\nWhat one profile more costs beyond the floor, by a fit over the sizes:\n\n"
        + table(("arm", "wall, ms", "round trips", "bytes", "resources"), fits)
    )
