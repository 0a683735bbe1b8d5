"""Compares the verdicts on drawn templates with the outcome in each world.

`python -m tests.readiness.verdicts 50000` draws that many of each kind and prints the figures.
"""

import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from session_manager_permissions._readiness.check import check
from session_manager_permissions._readiness.templates import Assembly, files
from session_manager_permissions._readiness.templates.loading import parsed

from . import drawn, drawn_networks, packets, worlds
from .deployments import ACCOUNT, REGION

READY, NOT_READY, UNKNOWN = "ready", "not ready", "can't be known"
VERDICTS: Final = {True: READY, False: NOT_READY, None: UNKNOWN}

Template = dict[str, Any]


class Kind(NamedTuple):
    """A function that draws templates, and one that judges the worlds of a template."""

    template: Callable[[random.Random], Template]
    outcomes: Callable[[Template], Iterable[bool | None]]
    """For each world, whether sessions open; None if the template does not decide it."""


KINDS: Final = {
    "policies": Kind(drawn.template, worlds.outcomes),
    "networks": Kind(partial(drawn_networks.template, conditions=False), packets.outcomes),
    "networks with conditions": Kind(
        partial(drawn_networks.template, conditions=True), packets.outcomes
    ),
}


class Figures(NamedTuple):
    """The results of some draws."""

    verdicts: Counter[str]
    needless: list[int]
    """The draws for which the check says "can't be known", though all worlds agree."""
    wrong: list[str]
    """The wrong definite verdicts, with the number of the draw."""


class Checked:
    """Returns the check's verdict on the only profile of a template.

    The template is not in a file, as to write and read a file takes longer than to judge it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "a.template.json"
        artifact = {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://{ACCOUNT}/{REGION}",
            "properties": {"templateFile": self._path.name},
        }
        (folder / "manifest.json").write_text(json.dumps({"artifacts": {"a": artifact}}))

    def __call__(self, template: Template) -> str:
        written = json.dumps(template).encode()
        with patch.object(files, "load", lambda _: (parsed(written), written)):
            (verdict,) = check(Assembly([str(self._path)]), network=True)[1]
        return verdict


def judged(outcomes: Iterable[bool | None]) -> str | None:
    """The verdict that holds in all worlds; None where there is no world."""
    found: set[bool | None] = set()
    for outcome in outcomes:
        found.add(outcome)
        if None in found or len(found) > 1:
            return UNKNOWN
    return VERDICTS[found.pop()] if found else None


def compare(kind: Kind, draws: range) -> Figures:
    """Draw templates by these numbers and compare."""
    figures = Figures(Counter(), [], [])
    with tempfile.TemporaryDirectory() as folder:
        checked = Checked(Path(folder))
        for draw in draws:
            template = kind.template(random.Random(draw))  # noqa: S311
            expected = judged(kind.outcomes(template))
            if expected is None:
                continue
            verdict = checked(template)
            figures.verdicts[verdict] += 1
            if verdict == UNKNOWN != expected:
                figures.needless.append(draw)
            elif verdict != expected:
                figures.wrong.append(
                    f"draw {draw}: the check says {verdict!r}, and {expected!r} holds"
                )
    return figures


def main(draws: str) -> int:
    """Print the figures of that many draws of each kind; 1 where a verdict is wrong."""
    wrong = 0
    for name, kind in KINDS.items():
        figures = compare(kind, range(int(draws)))
        needless, unknown = len(figures.needless), figures.verdicts[UNKNOWN]
        share = needless / figures.verdicts.total()
        lines = [
            f"{draws} draws of {name}: {len(figures.wrong)} wrong definite verdicts",
            *(f"  {verdict}: {count}" for verdict, count in figures.verdicts.items()),
            f"  needless {UNKNOWN}: {needless} of {unknown}, {share:.1%} of all draws",
            *(f"  {line}" for line in figures.wrong[:20]),
        ]
        sys.stdout.write("\n".join(lines) + "\n")
        wrong += len(figures.wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
