"""Text of the account, such as the names of instances, for a terminal or a page."""

from __future__ import annotations

import re
from typing import Final

_UNSEEN: Final = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of text around, and halves of characters."""


def shown(text: str) -> str:
    """Write as an escape what a terminal or a browser would obey instead of showing it."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shown_time(time: str) -> str:
    """Shorten a time such as `2026-11-26T07:20:00Z` to what a reader needs."""
    return f"{time[:16].replace('T', ' ')} UTC"
