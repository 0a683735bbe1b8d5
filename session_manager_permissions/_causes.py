"""The page about each cause.

A rule at synthesis and a check on the live account share a page if they find the same.
"""

from __future__ import annotations

from typing import Final

PAGES: Final = "docs/causes"
"""Where the pages are: a folder of the repository, until the site has a public address."""

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


def page(name: str) -> str:
    """Return the page about what a rule or a check finds."""
    return f"{PAGES}/{RULES_OF_CHECKS.get(name, name)}.md"
