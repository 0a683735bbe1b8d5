"""What the metadata of a build gets from the project's address: its links, absolute in the README.

PyPI shows the README without the repository, so a relative link leads nowhere there.
"""

from __future__ import annotations

import runpy
from pathlib import Path

from hatch_fancy_pypi_readme import hooks
from hatchling.metadata.plugin.interface import MetadataHookInterface


class ProjectMetadataHook(MetadataHookInterface):
    """Fills `urls` and `readme`, which `pyproject.toml` declares as dynamic."""

    def update(self, metadata: dict[str, object]) -> None:
        """Add both to the metadata of a build."""
        root = Path(self.root)
        address = runpy.run_path(str(root / "session_manager_permissions/_address.py"))
        repository, site = address["REPOSITORY"], address["SITE"]
        substitutions: list[dict[str, str]] = []
        metadata["urls"] = {}
        if repository:
            at_release = f"v{metadata['version']}"
            metadata["urls"] = {
                "Documentation": site,
                "Repository": repository,
                "Issues": f"{repository}/issues",
                "Changelog": f"{repository}/blob/{at_release}/CHANGELOG.md",
            }
            relative = r"(?!https?:|#)([^)\s]+)"
            substitutions = [
                {
                    "pattern": rf"(!\[[^\]]*\]\(){relative}",
                    "replacement": rf"\1{repository}/raw/{at_release}/\2",
                },
                {
                    "pattern": rf"(\]\(){relative}",
                    "replacement": rf"\1{repository}/blob/{at_release}/\2",
                },
            ]
        config = {
            "content-type": "text/markdown",
            "fragments": [{"path": str(root / "README.md")}],
            "substitutions": substitutions,
        }
        hooks.FancyReadmeMetadataHook(self.root, config).update(metadata)
