"""The page about each cause.

A rule at synthesis and a check on the live account share a page if they find the same.
"""

from __future__ import annotations

from typing import Final

PAGE: Final = "docs/causes/{}.md"
"""Where the page of a cause is in the repository, until the site has a public address."""

MORE: Final = "More: {} in the repository of session-manager-permissions"
"""Tells where the page is to those who have installed the package, which does not contain it."""


def page(cause: str) -> str:
    """Return the page about a cause."""
    return PAGE.format(cause)


def more(cause: str) -> str:
    """Return the line that points to the page about a cause."""
    return MORE.format(page(cause))
