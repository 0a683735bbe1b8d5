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
from .advice import DECRYPT_ON_ALL_KEYS, DEPRECATED_POLICY, KEY_NOT_BY_ARN
from .agent import AGENT_MISSING
from .boot_order import BOOT_ORDER
from .containers import EXEC_DENIED
from .credentials import METADATA_OFF, NO_INSTANCE_PROFILE, ROLE_NOT_ASSUMABLE
from .permissions import CHANNEL_MISSING, EXPLICIT_DENY, REGISTRATION_MISSING
from .quotas import MANAGED_POLICY_TOO_LONG, POLICIES_TOO_LONG, TOO_MANY_MANAGED_POLICIES
from .rule import Finding, ReadinessRule, Told, info
from .sessions import LOG_LOST, SESSION_DENIED
from .tags import TAGS_MATCH_NOTHING

CANNOT_BE_KNOWN: Final = "cannot-be-known"
READY: Final = "ready"

RULES: Final[dict[str, ReadinessRule]] = {
    rule.id: rule
    for rule in (
        *permissions.RULES,
        *quotas.RULES,
        *credentials.RULES,
        *agent.RULES,
        *network.RULES,
        *sessions.RULES,
        *containers.RULES,
        *tags.RULES,
        *advice.RULES,
        *boot_order.RULES,
        info(
            CANNOT_BE_KNOWN,
            "that what decides is known only after the deployment",
            "the profile or the compute",
        ),
        info(
            READY,
            "that every profile is ready: it is not printed, and keeps the counts in CDK's report",
            "nothing",
        ),
    )
}
"""The rules by their ids, in the order of the tables."""

__all__ = [
    "AGENT_MISSING",
    "BOOT_ORDER",
    "CANNOT_BE_KNOWN",
    "CHANNEL_MISSING",
    "DECRYPT_ON_ALL_KEYS",
    "DEPRECATED_POLICY",
    "EXEC_DENIED",
    "EXPLICIT_DENY",
    "KEY_NOT_BY_ARN",
    "LOG_LOST",
    "MANAGED_POLICY_TOO_LONG",
    "METADATA_OFF",
    "NO_INSTANCE_PROFILE",
    "POLICIES_TOO_LONG",
    "READY",
    "REGISTRATION_MISSING",
    "ROLE_NOT_ASSUMABLE",
    "RULES",
    "SESSION_DENIED",
    "TAGS_MATCH_NOTHING",
    "TOO_MANY_MANAGED_POLICIES",
    "Finding",
    "ReadinessRule",
    "Told",
]
