"""The result of an audit as JSON. docs/audit.md has each field as it is described here.

A class whose name ends in `Fields` has the fields that `--from` needs. Fields that a file may lack
are in the class that is derived from it.
"""

from __future__ import annotations

from typing import Final, Literal, TypedDict, get_args

from session_manager_permissions._verify.answers import NodeFacts

NodeVerdict = Literal["reachable", "unreachable", "stopped", "unknown"]
VERDICTS: Final[tuple[NodeVerdict, ...]] = get_args(NodeVerdict)


class RegionResult(TypedDict):
    """A region, and how many instances and managed nodes it has."""

    region: str
    """The region."""
    instances: int
    """How many nodes of it are listed."""
    error: str | None
    """What could not be asked, in one line."""

    account: str
    """The account's id."""
    asked_at: str | None
    """When the audit of it began."""


class Summary(TypedDict):
    """How many nodes have each verdict, and how many each cause."""

    instances: int
    """How many nodes are listed."""
    reachable: int
    """How many of them have the verdict `reachable`."""
    unreachable: int
    """How many have the verdict `unreachable`."""
    stopped: int
    """How many have the verdict `stopped`."""
    unknown: int
    """How many have the verdict `unknown`."""
    causes: dict[str, int]
    """The number of nodes with each cause, by the name of the check."""


class NodeResult(NodeFacts):
    """An instance or a hybrid node, and why it can't be reached."""

    name: str | None
    """The tag `Name`; of a hybrid node, the name that its activation gave it."""
    verdict: NodeVerdict
    """`reachable`, `unreachable`, `stopped` or `unknown`."""
    causes: list[str]
    """The checks that fail, by their names in `verify`; `connected` and `registered` if no other
    does; empty unless it is unreachable."""
    why: list[str]
    """Why, in English."""
    fix: list[str]
    """What to do, a line each: one that begins with `aws` or `npx` is a whole command."""

    account: str
    """The account's id."""


class _RoleFields(TypedDict):
    role: str
    """Its ARN."""
    profiles: list[str]
    """The names of the profiles in use that have it."""
    instances: int
    """The number of nodes that use it."""
    lacks: list[str]
    """Which of `role-assumable`, `register`, `reach`, `encrypt`, `log-to-s3` and
    `log-to-cloudwatch` fail for one of its nodes; the last three if there is a Session document."""

    unknown: list[str]
    """Which of them are unknown."""


class RoleResult(_RoleFields, total=False):
    """A role in use, and the checks of its permissions that fail."""

    options: dict[str, list[str]]
    """The options of the app that grant what it lacks, with their values, as far as the Session
    document has them."""


class Versioned(TypedDict):
    """What every version of the answer has."""

    version: int
    """The version of this shape: 1."""


class _AuditFields(Versioned):
    account: str | None
    """The account's id; null if the nodes are in several."""
    regions: list[RegionResult]
    """Each region that was asked, sorted."""
    summary: Summary
    """The figures."""
    instances: list[NodeResult]
    """The nodes, sorted by region and id."""
    roles: list[RoleResult]
    """The roles in use, sorted by ARN."""
    profiles: list[str]
    """The profiles in use whose role lacks a permission (`role-assumable` does not count),
    sorted."""

    accounts: list[str]
    """The ids of all accounts."""
    asked_at: str | None
    """When the audit began, such as `2026-11-26T07:20:00Z`."""


class AuditResult(_AuditFields, total=False):
    """The whole answer."""

    tags: list[str]
    """Each `--tag`, sorted."""
    document: str | None
    """The name in `--document`."""
