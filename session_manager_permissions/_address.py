"""The address of the project on the web, which is defined only here.

The metadata of a build, its links in the README, the site and all messages use this address.
"""

from __future__ import annotations

from typing import Final

REPOSITORY: Final[str] = ""
"""The repository, such as `https://github.com/OWNER/NAME`; empty until it is public."""


def of_pages(repository: str) -> str:
    """Return where GitHub Pages serves the site of a repository.

    https://docs.github.com/en/pages/getting-started-with-github-pages/what-is-github-pages
    """
    owner, name = repository.split("/")[-2:]
    return f"https://{owner.lower()}.github.io/{name}/"


SITE: Final = REPOSITORY and of_pages(REPOSITORY)
"""The documentation site, with a slash at the end; empty while `REPOSITORY` is empty."""
