"""Runs arms in processes of their own, interleaved, and says what each took."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HERE = Path(__file__).parent
ENVIRONMENT = {
    "CDK_VALIDATION": "false",  # seconds of CDK's own template check, in all arms alike
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
    "PYTHONPATH": str(HERE.parent),
}


@dataclass(frozen=True)
class Arm:
    """One app to measure; `name` stands in the table."""

    name: str
    app: str
    profiles: int = 1
    stacks: int = 1


class Sample(NamedTuple):
    """One run of an arm."""

    wall: float
    """Seconds."""
    peak: float
    """MiB, the peak of Python and that of Node.js added."""


class Output(NamedTuple):
    """What an arm makes, the same at each run."""

    round_trips: int
    size: int
    """Bytes of all templates, as CDK writes them."""
    resources: int
    roles: int
    """Roles that the policies list."""


def _run(arm: Arm, folder: Path, **environment: str) -> Sample:
    command = [sys.executable, str(HERE / "arms.py"), arm.app, str(arm.profiles), str(arm.stacks)]
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CDK_", "PYTHONDONTWRITEBYTECODE"))
    }
    errors = folder / "stderr"
    with errors.open("w") as stderr:
        start = time.perf_counter()
        done = subprocess.run(
            command,
            env=inherited | ENVIRONMENT | {"CDK_OUTDIR": str(folder / "cdk.out")} | environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=folder,
            check=False,
        )
        wall = time.perf_counter() - start
    if done.returncode != 0:
        raise RuntimeError(f"{arm.name}: {errors.read_text()[-2000:]}")
    peak = (json.loads(done.stdout)["peak_kib"] or float("nan")) / 1024
    return Sample(wall=wall, peak=peak)


def output(arm: Arm) -> Output:
    """What the arm makes, by one more run, in which jsii tells each request."""
    with tempfile.TemporaryDirectory() as folder:
        _run(arm, Path(folder), JSII_DEBUG="1")
        with Path(folder, "stderr").open(errors="replace") as stderr:
            round_trips = sum(
                line.startswith("> {") and not line.startswith('> {"exit"') for line in stderr
            )
        templates = [path.read_text() for path in Path(folder).glob("cdk.out/*.template.json")]
    resources: list[dict[str, Any]] = [
        resource
        for template in templates
        for resource in json.loads(template).get("Resources", {}).values()
    ]
    return Output(
        round_trips=round_trips,
        size=sum(len(template.encode()) for template in templates),
        resources=len(resources),
        roles=sum(
            len(resource["Properties"]["Roles"])
            for resource in resources
            if resource["Type"] == "AWS::IAM::Policy"
        ),
    )


def interleaved(arms: Sequence[Arm], rounds: int) -> dict[Arm, list[Sample]]:
    """The samples of each arm; every round runs all, and begins with another."""
    samples: dict[Arm, list[Sample]] = {arm: [] for arm in arms}
    for number in range(-1, rounds):  # the first warms the disk, and does not count
        start = number % len(arms)
        for arm in [*arms[start:], *arms[:start]]:
            print(f"round {number + 1} of {rounds}: {arm.name}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                sample = _run(arm, Path(folder))
            if number >= 0:
                samples[arm].append(sample)
    return samples


def spread(values: Iterable[float], form: str = ".2f") -> str:
    """The median, and the middle half of the values."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{median:{form}} ({low:{form}} to {high:{form}})"


def over(samples: Sequence[Sample], base: Sequence[Sample]) -> list[float]:
    """Per cent of wall over `base`, round by round: what slows a whole round down cancels out."""
    pairs = zip(samples, base, strict=True)
    return [100 * (mine.wall / theirs.wall - 1) for mine, theirs in pairs]


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """In Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"
