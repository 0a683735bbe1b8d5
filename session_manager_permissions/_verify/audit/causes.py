"""Group the nodes of an audit that have the same causes and the same remedy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions._quoting import word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .result import NodeResult

ANY_NODE: Final = "INSTANCE_ID"
"""Stands for the node id in texts about several nodes."""
ANY_PROFILE: Final = "INSTANCE_PROFILE"
"""Stands for the instance profile in commands for nodes with several profiles."""
ANY_ROLE: Final = "ROLE"
"""Stands for the role in commands for nodes with several roles."""
ANY_TIME: Final = "TIME"
"""Stands for the time at which each node last reported in."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")


class Group(NamedTuple):
    """Nodes with the same causes, the reasons, and what to do about them."""

    causes: tuple[str, ...]
    why: tuple[str, ...]
    fix: tuple[str, ...]
    nodes: list[NodeResult]

    @property
    def profiles(self) -> list[str]:
        """The names of the instance profiles."""
        return sorted({node["profile"] for node in self.nodes if node["profile"]})


def grouped(nodes: Iterable[NodeResult]) -> list[Group]:
    """Group the nodes, the largest group first."""
    groups: dict[tuple[tuple[str, ...], ...], list[NodeResult]] = {}
    for node in nodes:
        fix = without_profile_and_role(node, node["fix"])
        key = tuple(node["causes"]), _any_node(node, node["why"]), _any_node(node, fix)
        groups.setdefault(key, []).append(node)
    found = [_group(members) for members in groups.values()]
    return sorted(found, key=lambda group: (-len(group.nodes), group[:-1]))


def _group(nodes: list[NodeResult]) -> Group:
    """Make a group. Its texts name a node, a profile or a role only if all nodes share it."""
    first, *others = nodes
    why, fix = first["why"], first["fix"]
    if not others:
        return Group(tuple(first["causes"]), tuple(why), tuple(fix), nodes)
    if len({(node["profile"], node["role"]) for node in nodes}) > 1:
        fix = without_profile_and_role(first, fix)
    return Group(tuple(first["causes"]), _any_node(first, why), _any_node(first, fix), nodes)


def without_profile_and_role(node: NodeResult, lines: list[str]) -> list[str]:
    """Replace the profile and the role by placeholders in commands that deploy the permissions."""
    role = (node["role"] or "").rpartition("/")[2]
    context = {
        f"instance-profile={node['profile']}": f"instance-profile={ANY_PROFILE}",
        f"role={role}": f"role={ANY_ROLE}",
    }
    for one, other in context.items():
        lines = [f"{line} ".replace(f" -c {word(one)} ", f" -c {other} ")[:-1] for line in lines]
    return lines


def _any_node(node: NodeResult, lines: list[str]) -> tuple[str, ...]:
    return tuple(_TIME.sub(ANY_TIME, line.replace(node["id"], ANY_NODE)) for line in lines)
