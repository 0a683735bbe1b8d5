"""The page about each cause.

A rule at synthesis and a check on the live account share a page if they find the same.
"""

from __future__ import annotations

from ._address import SITE


def page(cause: str) -> str:
    """Return the page about a cause: on the site, or its path in a repository without one."""
    return f"{SITE}causes/{cause}/" if SITE else f"docs/causes/{cause}.md"


def more(cause: str) -> str:
    """Return the line that points to the page about a cause.

    Those who have installed the package do not have the page.
    """
    where = "" if SITE else " in the repository of session-manager-permissions"
    return f"More: {page(cause)}{where}"
