#!/usr/bin/env python3
"""What has changed from one audit to the next: `python changes.py yesterday.json today.json`.

Exits with 1 if a node became unreachable, or a role lost a permission, and with 2 if a file can't
be read. Only regions that both audits read to their end count, as in any other one a node may be
missing that is still there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def whole(result: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the regions that were read to their end, each with its account."""
    return {(one["account"], one["region"]) for one in result["regions"] if not one["error"]}


def all_of(result: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the regions that were asked, each with its account."""
    return {(one["account"], one["region"]) for one in result["regions"]}


def states(result: dict[str, Any], of: set[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return the verdict and the causes of each node in these regions, by its id."""
    nodes = [one for one in result["instances"] if (one["account"], one["region"]) in of]
    return {node["id"]: (node["verdict"], *sorted(node["causes"])) for node in nodes}


def lost(old: dict[str, Any], new: dict[str, Any]) -> dict[str, list[str]]:
    """Return what each role lacks now, and did not lack before."""
    before = {role["role"]: {*role["lacks"], *role["unknown"]} for role in old["roles"]}
    lacks = {role["role"]: {*role["lacks"]} for role in new["roles"] if role["role"] in before}
    return {arn: sorted(now - before[arn]) for arn, now in lacks.items() if now - before[arn]}


def main(old: dict[str, Any], new: dict[str, Any]) -> int:
    """Write what has changed, and return the exit status."""
    both = whole(old) & whole(new)
    was, now = states(old, both), states(new, both)
    changed = [name for name in sorted(was | now) if was.get(name) != now.get(name)]
    roles = lost(old, new)
    lines = [
        *(f"{one}: {shown(was.get(one))} -> {shown(now.get(one))}" for one in changed),
        *(f"{arn} lost {', '.join(lacks)}" for arn, lacks in roles.items()),
        *(f"not compared: {' '.join(one)}" for one in sorted((all_of(old) | all_of(new)) - both)),
    ]
    worse = [one for one in changed if is_unreachable(now.get(one)) > is_unreachable(was.get(one))]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return int(bool(roles or worse))


def is_unreachable(state: tuple[str, ...] | None) -> bool:
    """Tell whether a node is there and can't be reached."""
    return state is not None and state[0] == "unreachable"


def shown(state: tuple[str, ...] | None) -> str:
    """Write the state of a node, which is in one of the two results alone if there is none."""
    return ", ".join(state) if state else "absent"


if __name__ == "__main__":
    try:
        before, after = (json.loads(Path(path).read_text("utf-8")) for path in sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.stderr.write(f"changes.py: {error}: give two files that audit --output json wrote\n")
        sys.exit(2)
    sys.exit(main(before, after))
