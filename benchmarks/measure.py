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
from typing import TYPE_CHECKING, NamedTuple

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
    policy: str
    numbers: tuple[int, ...] = ()
    """Those of the profiles and of the stacks; none for the app as people write them."""


Samples = dict[Arm, list[float]]
"""The seconds of each run."""


class Output(NamedTuple):
    """What an arm makes, the same at each run."""

    round_trips: int
    size: int
    """Bytes of all templates, as CDK writes them."""
    resources: int


def _run(arm: Arm, folder: Path, **environment: str) -> str:
    """Run the arm, and return what it and jsii say."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CDK_", "PYTHONDONTWRITEBYTECODE"))
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "arms.py"), arm.policy, *map(str, arm.numbers)],
        env=inherited | ENVIRONMENT | {"CDK_OUTDIR": str(folder / "cdk.out")} | environment,
        capture_output=True,
        check=False,
        cwd=folder,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        raise RuntimeError(f"{arm.name}: {done.stderr[-2000:]}")
    return done.stderr


def output(arm: Arm) -> Output:
    """What the arm makes, by one more run, in which jsii tells each request."""
    with tempfile.TemporaryDirectory() as folder:
        said = _run(arm, Path(folder), JSII_DEBUG="1").splitlines()
        templates = [path.read_text() for path in Path(folder).glob("cdk.out/*.template.json")]
    return Output(
        round_trips=sum(
            line.startswith("> {") and not line.startswith('> {"exit"') for line in said
        ),
        size=sum(len(template.encode()) for template in templates),
        resources=sum(len(json.loads(template).get("Resources", {})) for template in templates),
    )


def interleaved(arms: Sequence[Arm], rounds: int) -> Samples:
    """The samples of each arm; every round runs all, and begins with another."""
    samples: Samples = {arm: [] for arm in arms}
    for number in range(-1, rounds):  # the first warms the disk, and does not count
        start = number % len(arms)
        for arm in [*arms[start:], *arms[:start]]:
            print(f"round {number + 1} of {rounds}: {arm.name}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                _run(arm, Path(folder))
                if number >= 0:
                    samples[arm].append(time.perf_counter() - started)
    return samples


def spread(values: Iterable[float], form: str = ".2f") -> str:
    """The median, and the middle half of the values."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{median:{form}} ({low:{form}} to {high:{form}})"


def over(samples: Sequence[float], base: Sequence[float]) -> list[float]:
    """Per cent over `base`, round by round: what slows a whole round down cancels out."""
    return [100 * (mine / theirs - 1) for mine, theirs in zip(samples, base, strict=True)]


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """In Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"
