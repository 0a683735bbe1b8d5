"""The result of an audit as JSON. docs/audit.md describes each field."""

from __future__ import annotations

from typing import Literal, TypedDict

NodeVerdict = Literal["reachable", "unreachable", "stopped", "unknown"]


class RegionResult(TypedDict):
    """A region, and how many instances and managed nodes it has."""

    account: str
    region: str
    instances: int
    error: str | None
    """What could not be asked of the region, in one line."""


class Summary(TypedDict):
    """How many nodes have each verdict, and how many each cause."""

    instances: int
    reachable: int
    unreachable: int
    stopped: int
    unknown: int
    causes: dict[str, int]


class NodeResult(TypedDict):
    """An instance or a hybrid node, and why it can't be reached."""

    id: str
    account: str
    region: str
    name: str | None
    state: str | None
    profile: str | None
    role: str | None
    ping: str | None
    connection: str | None
    verdict: NodeVerdict
    causes: list[str]
    why: list[str]
    fix: list[str]


class RoleResult(TypedDict):
    """A role in use, and the checks of its permissions that fail."""

    role: str
    profiles: list[str]
    instances: int
    lacks: list[str]


class AuditResult(TypedDict):
    """The whole answer."""

    version: int
    account: str
    regions: list[RegionResult]
    summary: Summary
    instances: list[NodeResult]
    roles: list[RoleResult]
    profiles: list[str]
