"""The address of the page about each cause.

A rule at synthesis and a check on the live account share a page if they find the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ._address import SITE

_CHECKOUT: Final = Path(__file__).parents[1]
"""The checkout that contains the package, if it is not installed by itself."""


def page(cause: str) -> str:
    """Return the page about a cause: on the site, or its path in a repository without one."""
    return f"{SITE}causes/{cause}/" if SITE else f"docs/causes/{cause}.md"


def more(cause: str) -> str:
    """Return the line that points to the page about a cause; "" if the reader does not have it.

    Without a site, only a checkout has the pages. An installed package does not have them.
    """
    if not (SITE or (_CHECKOUT / page(cause)).is_file()):
        return ""
    where = "" if SITE else " in the repository of session-manager-permissions"
    return f"More: {page(cause)}{where}"
