"""The page about each cause.

A rule at synthesis and a check on the live account share a page if they find the same.
"""

from __future__ import annotations

from typing import Final

PAGE: Final = "docs/causes/{}.md"
"""Where the page of a cause is in the repository, until the site has a public address."""

MORE: Final = "More: {} in the repository of session-manager-permissions"
"""Tells where the page is to those who have installed the package, which does not contain it."""

RULES_OF_CHECKS: Final = {
    "instance-profile": "no-instance-profile",
    "role-assumable": "role-not-assumable",
    "metadata": "metadata-off",
    "register": "registration-missing",
    "reach": "channel-missing",
    "path-ssm": "no-network-path",
    "path-ssmmessages": "no-network-path",
    "path-kms": "endpoint-missing",
    "path-logs": "endpoint-missing",
    "path-s3": "endpoint-missing",
}
"""The checks on the live account that find the cause of a rule, each with that rule."""


def cause(name: str) -> str:
    """Return the name of the cause that a rule or a check finds."""
    return RULES_OF_CHECKS.get(name, name)


def page(name: str) -> str:
    """Return the page about what a rule or a check finds."""
    return PAGE.format(cause(name))


def more(name: str) -> str:
    """Return the line that points to the page about what a rule or a check finds."""
    return MORE.format(page(name))
