"""The rules of the check, a file for each family: the rule, what detects it, and its fix.

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

CANNOT_BE_KNOWN: Final = "cannot-be-known"
READY: Final = "ready"

_FAMILIES: Final = (
    permissions,
    quotas,
    credentials,
    agent,
    network,
    sessions,
    containers,
    tags,
    advice,
    boot_order,
)
_OF_NO_FAMILY: Final = (
    info(
        CANNOT_BE_KNOWN,
        "that what decides is known only after the deployment",
        "the profile, node group or compute",
    ),
    info(
        READY,
        "that every profile is ready: it is not printed, and keeps the counts in CDK's report",
        "nothing",
    ),
)
RULES: Final[dict[str, ReadinessRule]] = {
    rule.id: rule for rules in (*(one.RULES for one in _FAMILIES), _OF_NO_FAMILY) for rule in rules
}
"""The rules by their ids, in the order of the tables."""

__all__ = ["CANNOT_BE_KNOWN", "READY", "RULES", "Finding", "ReadinessRule", "Told"]
