"""The result of an audit as JSON. docs/audit.md describes each field.

Each object has the fields of its first version, and in a class of its own what was added since: a
file of an older version does not have them.
"""

from __future__ import annotations

from typing import Final, Literal, TypedDict, get_args

NodeVerdict = Literal["reachable", "unreachable", "stopped", "unknown"]
VERDICTS: Final[tuple[NodeVerdict, ...]] = get_args(NodeVerdict)


class _Region(TypedDict):
    region: str
    instances: int
    error: str | None
    """Why the region could not be asked, in one line."""


class RegionResult(_Region, total=False):
    """A region, and how many instances and managed nodes it has."""

    account: str
    asked_at: str | None


class Summary(TypedDict):
    """How many nodes have each verdict, and how many each cause."""

    instances: int
    reachable: int
    unreachable: int
    stopped: int
    unknown: int
    causes: dict[str, int]


class _Node(TypedDict):
    id: str
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


class NodeResult(_Node, total=False):
    """An instance or a hybrid node, and why it can't be reached."""

    account: str


class _Role(TypedDict):
    role: str
    profiles: list[str]
    instances: int
    lacks: list[str]


class RoleResult(_Role, total=False):
    """A role in use, and the checks of its permissions that fail."""

    unknown: list[str]
    """The checks that IAM did not answer."""


class NodeState(TypedDict):
    """The verdict of a node in one of two audits."""

    verdict: NodeVerdict
    causes: list[str]


class NodeChange(TypedDict):
    """A node that is new, is gone, or has another verdict or other causes than before."""

    account: str
    region: str
    id: str
    name: str | None
    was: NodeState | None
    """None if the node is new."""
    now: NodeState | None
    """None if the node is gone."""


class RoleChange(TypedDict):
    """A role whose permissions are others than before."""

    role: str
    lost: list[str]
    gained: list[str]


class CauseChange(TypedDict):
    """A cause that more or fewer nodes have than before."""

    check: str
    was: int
    now: int


class NotCompared(TypedDict):
    """A region of which one of the two audits does not tell all."""

    account: str
    region: str
    why: str


class Changes(TypedDict):
    """What is different from an earlier audit."""

    since: str | None
    instances: list[NodeChange]
    causes: list[CauseChange]
    roles: list[RoleChange]
    not_compared: list[NotCompared]


class Replaced(TypedDict):
    """An audit of a region that a merge left out, as another of the same region is newer."""

    account: str
    region: str
    asked_at: str | None
    file: str


class _Audit(TypedDict):
    version: int
    account: str | None
    """None if the nodes are in several accounts."""
    regions: list[RegionResult]
    summary: Summary
    instances: list[NodeResult]
    roles: list[RoleResult]
    profiles: list[str]


class AuditResult(_Audit, total=False):
    """The whole answer."""

    accounts: list[str]
    asked_at: str | None
    """When the audit began, such as `2026-11-26T07:20:00Z`."""
    tags: list[str]
    """Each `--tag`, sorted."""
    document: str | None
    replaced: list[Replaced]
    changes: Changes
