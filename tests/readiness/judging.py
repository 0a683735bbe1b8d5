"""What the check at synthesis judges of the network: a verdict on each compute of templates."""

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from _pytest.mark import ParameterSet

from session_manager_permissions._network.verdicts import (
    ALWAYS_NEEDED,
    EGRESS_CLOSED,
    ENDPOINT_MISSING,
    ENDPOINT_UNREACHABLE,
    NO_NETWORK_PATH,
    PathVerdict,
)
from session_manager_permissions._readiness.compute import Compute, Launchers
from session_manager_permissions._readiness.network import judge_of
from session_manager_permissions._readiness.parts import Parts
from session_manager_permissions._readiness.templates import Assembly
from session_manager_permissions._readiness.templates.model import Resource
from session_manager_permissions._readiness.worlds import WorldResult, deciders

from .reports import Report

REGION = "eu-west-1"


def rows(table: Iterable[tuple[Any, ...]]) -> list[ParameterSet]:
    """The rows of a table for pytest; the first entry of each is its id."""
    return [pytest.param(*row, id=name) for name, *row in table]


def each(table: Mapping[Any, Iterable[Any]]) -> list[tuple[Any, Any]]:
    """Each value of a table with what is expected of it, by which the table is ordered."""
    return [(value, expected) for expected, values in table.items() for value in values]


def resource(kind: str = "Test", **properties: object) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties}


def on(part: dict[str, Any], condition: str = "Production") -> dict[str, Any]:
    """A resource on a condition; on none where its name is empty."""
    return part | ({"Condition": condition} if condition else {})


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def att(name: str, attribute: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, attribute]}


def write(folder: Path, **bodies: dict[str, Any]) -> list[str]:
    """Write an assembly with a stack for each template; a file for each that is nested.

    A nested stack's template is named in its parent's metadata: `nested("Name")`.
    """
    stacks = {name for name in bodies if not name.startswith("nested")}
    for name, body in bodies.items():
        (folder / f"{name}.template.json").write_text(json.dumps(body))
    artifacts = {
        name: {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://111122223333/{REGION}",
            "properties": {"templateFile": f"{name}.template.json"},
        }
        for name in stacks
    }
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return [str(folder / f"{name}.template.json") for name in bodies if name in stacks]


def deployed_to(folder: Path, name: str, environment: str, **properties: object) -> None:
    """Deploy a stack of an assembly to `ACCOUNT/REGION`, with more properties."""
    manifest = folder / "manifest.json"
    body = json.loads(manifest.read_text())
    stack = body["artifacts"][name]
    stack["environment"] = f"aws://{environment}"
    stack["properties"] |= properties
    manifest.write_text(json.dumps(body))


def nested(name: str, **more: object) -> dict[str, Any]:
    stack = resource("AWS::CloudFormation::Stack", **more)
    return stack | {"Metadata": {"aws:asset:path": f"{name}.template.json"}}


def computes(paths: list[str]) -> list[Compute]:
    """What launches instances, where there is one world."""
    assembly = Assembly(paths)
    launchers = Launchers(Parts(assembly))
    found: list[Compute] = []
    for resource in (*launchers.resources, *launchers.templates):
        if not any(resource in one.launch.uses for one in found):
            ((world,), _) = assembly.worlds.each(partial(launchers.of, resource))
            found += world.judged
    return found


def verdicts(
    paths: list[str], services: tuple[str, ...] = ALWAYS_NEEDED
) -> dict[Resource, PathVerdict]:
    """The verdict on each compute that has a place, by what launches it.

    What the check reports is the same.
    """
    assembly = Assembly(paths)
    judge, launchers = judge_of(assembly), Launchers(Parts(assembly))

    def judged(resource: Resource) -> list[PathVerdict]:
        placed = (one.placements for one in launchers.of(resource) if one.placements)
        return [judge.judge(placements, services) for placements in placed]

    found = {}
    for resource in launchers.resources:
        worlds, _ = assembly.worlds.each(partial(judged, resource))
        several = [WorldResult(one.answers, verdict) for one in worlds for verdict in one.judged]
        if several:
            found[resource] = in_all(several)
    if services == ALWAYS_NEEDED:
        problems = {problem.cause for one in found.values() for problem in one.problems}
        assert Report(paths, strict=False).rules & NETWORK == problems
    return found


def verdict_of(
    folder: Path, services: tuple[str, ...] = ALWAYS_NEEDED, /, **bodies: dict[str, Any]
) -> PathVerdict:
    """The verdict on the only compute of stacks with these templates."""
    (found,) = verdicts(write(folder, **bodies), services).values()
    return found


def said_of(
    folder: Path, services: tuple[str, ...] = ALWAYS_NEEDED, /, **bodies: dict[str, Any]
) -> str:
    """What is said of it."""
    return said(verdict_of(folder, services, **bodies))


def in_all(worlds: list[WorldResult[PathVerdict]]) -> PathVerdict:
    """The verdict that holds in all worlds."""
    first, states = worlds[0].judged, [one.judged.state for one in worlds]
    if len({*states}) == 1:
        return first
    decides = [name for one in worlds for name in one.judged.decides]
    return PathVerdict(first.paths, {}, (*dict.fromkeys([*decides, *deciders(worlds, states)]),))


NETWORK: Final = {NO_NETWORK_PATH, ENDPOINT_MISSING, ENDPOINT_UNREACHABLE, EGRESS_CLOSED}


def said(verdict: PathVerdict) -> str:
    """The state, or the causes where it is closed."""
    causes = dict.fromkeys(problem.cause for problem in verdict.problems)
    return " ".join(causes) or verdict.state.value
