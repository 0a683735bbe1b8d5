"""The result of an audit as JSON. docs/audit.md has each field as it is described here.

A class whose name ends in `Fields` has the fields that an object has had from the beginning. Later
fields are in a class derived from it, because older files do not have them.
"""

from __future__ import annotations

from typing import Final, Literal, TypedDict, get_args

NodeVerdict = Literal["reachable", "unreachable", "stopped", "unknown"]
VERDICTS: Final[tuple[NodeVerdict, ...]] = get_args(NodeVerdict)


class _RegionFields(TypedDict):
    region: str
    """The region."""
    instances: int
    """How many nodes of it are listed."""
    error: str | None
    """What could not be asked, in one line."""


class RegionResult(_RegionFields, total=False):
    """A region, and how many instances and managed nodes it has."""

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


class _NodeFields(TypedDict):
    id: str
    """`i-…` or `mi-…`."""
    region: str
    """Its region."""
    name: str | None
    """The tag `Name`; of a hybrid node, the name that its activation gave it."""
    state: str | None
    """EC2's state, such as `running`; null for a hybrid node."""
    profile: str | None
    """The name of the instance profile."""
    role: str | None
    """The ARN of the role that does the work; null if it is not known, or there is none."""
    ping: str | None
    """The PingStatus; null without a record."""
    connection: str | None
    """`connected` or `notconnected`; null if it was not asked, or not answered."""
    verdict: NodeVerdict
    """`reachable`, `unreachable`, `stopped` or `unknown`."""
    causes: list[str]
    """The checks that fail, by their names in `verify`; `connected` and `registered` if no other
    does; empty unless it is unreachable."""
    why: list[str]
    """Why, in English."""
    fix: list[str]
    """What to do, a line each: one that begins with `aws` or `npx` is a whole command."""


class NodeResult(_NodeFields, total=False):
    """An instance or a hybrid node, and why it can't be reached."""

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


class RoleResult(_RoleFields, total=False):
    """A role in use, and the checks of its permissions that fail."""

    unknown: list[str]
    """Which of them are unknown."""
    options: dict[str, list[str]]
    """The options of the app that grant what it lacks, with their values, as far as the Session
    document has them."""


class NodeState(TypedDict):
    """The verdict of a node in one of two audits."""

    verdict: NodeVerdict
    """The verdict of the node, as in `instances[]`."""
    causes: list[str]
    """Its causes, as in `instances[]`."""


class NodeChange(TypedDict):
    """A node that is new, is gone, or has another verdict or other causes than before."""

    account: str
    """The account's id."""
    region: str
    """Its region."""
    id: str
    """Its id."""
    name: str | None
    """Its name now, or its last one."""
    was: NodeState | None
    """What it was; null if it is new."""
    now: NodeState | None
    """What it is; null if it is gone."""


class RoleChange(TypedDict):
    """A role whose permissions have changed."""

    role: str
    """Its ARN."""
    lost: list[str]
    """The checks that fail now, and did not."""
    gained: list[str]
    """The checks that failed, and pass now."""


class CauseChange(TypedDict):
    """A cause whose number of nodes has changed."""

    check: str
    """Its name."""
    was: int
    """How many nodes had it."""
    now: int
    """How many have it."""


class NotCompared(TypedDict):
    """A region about which one of the two audits is not complete."""

    account: str
    """The account's id."""
    region: str
    """The region."""
    why: str
    """Which of the two it is, and why, in English."""


class Changes(TypedDict):
    """What is different from an earlier audit."""

    since: str | None
    """When the earlier one was asked."""
    instances: list[NodeChange]
    """Each node that is new, is gone, or has another verdict or other causes."""
    causes: list[CauseChange]
    """The causes whose number of nodes changed, in the regions that both results have whole."""
    roles: list[RoleChange]
    """The roles whose permissions changed, of those that both results have."""
    not_compared: list[NotCompared]
    """The regions that one of the results did not read completely."""


class Replaced(TypedDict):
    """An audit of a region that a merge left out, as another of the same region is newer."""

    account: str
    """The account's id."""
    region: str
    """The region."""
    asked_at: str | None
    """When it was asked."""
    file: str
    """The file that has it."""


class _AuditFields(TypedDict):
    version: int
    """The version of this shape: 1."""
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


class AuditResult(_AuditFields, total=False):
    """The whole answer."""

    accounts: list[str]
    """The ids of all accounts."""
    asked_at: str | None
    """When the audit began, such as `2026-11-26T07:20:00Z`."""
    tags: list[str]
    """Each `--tag`, sorted."""
    document: str | None
    """The name in `--document`."""
    replaced: list[Replaced]
    """With `--from`: what was left out, as another file has a later answer."""
    changes: Changes
    """With `--compare`: what is different from the earlier result."""
