"""The rules of the check. Each file has a family of rules, the functions that find them, and fixes.

`make tables` writes the rules into `SessionManagerReadiness` and the pages.
"""

from __future__ import annotations

from typing import Final

from . import (
    advice,
    agent,
    boot_order,
    containers,
    credentials,
    network,
    permissions,
    quotas,
    sessions,
    tags,
)
from .rule import Finding, ReadinessRule, Told, info

CANNOT_BE_KNOWN: Final = info(
    "cannot-be-known",
    "that the answer depends on something that is known only after the deployment",
    "the profile, node group or compute",
)
READY: Final = info(
    "ready",
    "that every profile is ready: it is not printed, and keeps the counts in CDK's report",
    "nothing",
)

_FAMILIES: Final = (
    *(permissions, quotas, credentials, agent, network),
    *(sessions, containers, tags, advice, boot_order),
)
_OF_FAMILIES: Final = [rule for family in _FAMILIES for rule in family.RULES]
RULES: Final = {rule.id: rule for rule in (*_OF_FAMILIES, CANNOT_BE_KNOWN, READY)}
"""The rules by their ids, in the order of the tables."""

__all__ = ["CANNOT_BE_KNOWN", "READY", "RULES", "Finding", "ReadinessRule", "Told"]
