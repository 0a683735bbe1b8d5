"""Benchmark 3: fleets of 10 to 5,000 profiles."""

from __future__ import annotations

import math
import statistics
from typing import NamedTuple

from measure import Arm, Output, interleaved, output, over, spread, table

SIZES = (10, 100, 1000, 5000)
AIMED = 1000
PROFILES_A_STACK = 150  # a role, a profile and a policy for each leave room in 500 resources
FLEET, LIMIT = "`SessionManagerFleet`", "the limit: what CDK's API asks of any fleet"
POLICIES = {
    "no policy: the floor": "nothing",
    "the floor again": "nothing",
    LIMIT: "limit",
    FLEET: "fleet",
    "a Python Aspect": "aspect",
    "a construct for each role": "construct",
}


class Point(NamedTuple):
    """An arm at a size."""

    runs: list[float]
    made: Output


Results = dict[str, dict[int, Point]]


def measure(rounds: int, sizes: tuple[int, ...] = SIZES) -> Results:
    """Each arm at each size."""
    results: Results = {name: {} for name in POLICIES}
    for size in sizes:
        numbers = size, math.ceil(size / PROFILES_A_STACK)
        arms = [Arm(name, policy, numbers) for name, policy in POLICIES.items()]
        for arm, runs in interleaved(arms, rounds).items():
            results[arm.name][size] = Point(runs, output(arm))
    return results


def slopes(points: dict[int, Point], floor: dict[int, Point]) -> list[float]:
    """What a profile more costs beyond the floor: ms of wall, round trips, bytes, resources."""
    beyond = []
    for size, point in points.items():
        base = floor[size]
        wall = (1000 * (ours - its) for ours, its in zip(point.runs, base.runs, strict=True))
        made = (ours - its for ours, its in zip(point.made, base.made, strict=True))
        beyond.append([statistics.median(wall), *made])
    columns = zip(*beyond, strict=True)
    return [statistics.linear_regression([*points], column).slope for column in columns]


def tables(results: Results) -> str:
    """In Markdown."""
    floor = next(iter(results.values()))
    rows = [
        (
            f"{size:,}",
            name,
            spread(points[size].runs),
            spread(over(points[size].runs, floor[size].runs), "+.1f") if points != floor else "",
            *(f"{number:,}" for number in points[size].made),
        )
        for size in floor
        for name, points in results.items()
    ]
    made = ("round trips", "bytes", "resources")
    over_limit = over(results[FLEET][AIMED].runs, results[LIMIT][AIMED].runs)
    fits = [
        (name, f"{wall:+.3f}", f"{trips:+.2f}", f"{size:+,.0f}", f"{resources:+.3f}")
        for name, points in results.items()
        if points != floor
        for wall, trips, size, resources in [slopes(points, floor)]
    ]
    return (
        table(("profiles", "arm", "wall, s", "over the floor, %", *made), rows)
        + f"\n{FLEET} over the limit with {AIMED:,} profiles: {spread(over_limit, '+.1f')} % of "
        "wall time; the aim is at most 5 %.\n"
        + "\nWhat one profile more costs beyond the floor, by a fit over the sizes:\n\n"
        + table(("arm", "wall, ms", *made), fits)
    )
