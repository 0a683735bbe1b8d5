"""Compares the verdicts on drawn templates with what comes of them in each world.

`python -m tests.readiness.verdicts 50000` draws that many and prints the figures.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from session_manager_permissions._readiness.findings import check
from session_manager_permissions._readiness.rules import REFUSED_POLICY
from session_manager_permissions._readiness.templates import Assembly

from .drawn import template
from .worlds import outcomes

READY, NOT_READY, UNKNOWN = "ready", "not ready", "can't be known"


class Figures(NamedTuple):
    """What came of some draws."""

    verdicts: Counter[str]
    refused: int
    """How many were not ready as IAM refuses a policy."""
    needless: list[int]
    """The draws that can't be known by the check, though all worlds agree."""
    wrong: list[str]
    """The wrong definite verdicts, with the number of the draw."""


def compare(draws: range) -> Figures:
    """Draw templates by these numbers and compare."""
    figures = Figures(Counter(), 0, [], [])
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.template.json"
        for draw in draws:
            drawn = template(random.Random(draw))  # noqa: S311
            path.write_text(json.dumps(drawn))
            findings, verdicts = check(Assembly([str(path)]), network=True)
            (verdict,) = verdicts
            refused += any(finding.rule == REFUSED_POLICY for finding in findings)
            figures.verdicts[verdict] += 1
            if verdict == UNKNOWN:
                if len(_first_two(drawn)) == 1:
                    figures.needless.append(draw)
            elif any(outcome is not (verdict == READY) for outcome in outcomes(drawn)):
                figures.wrong.append(f"draw {draw}: {verdict}")
    return figures._replace(refused=refused)


def _first_two(drawn: dict[str, object]) -> set[bool]:
    """The outcomes that there are, no further than to two that differ."""
    found: set[bool] = set()
    for outcome in outcomes(drawn):
        found.add(outcome)
        if len(found) > 1:
            break
    return found


def main(draws: str) -> int:
    """Print the figures of that many draws; 1 where a verdict is wrong."""
    figures = compare(range(int(draws)))
    needless, unknown = len(figures.needless), figures.verdicts[UNKNOWN]
    share = f"{needless} of {unknown}, {needless / max(1, unknown):.1%}"
    lines = [
        f"{draws} draws, {len(figures.wrong)} wrong definite verdicts",
        *(f"{verdict}: {count}" for verdict, count in figures.verdicts.items()),
        f"not ready, as IAM refuses a policy: {figures.refused}",
        f"can't be known, though all worlds agree: {share}",
        *figures.wrong[:20],
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
