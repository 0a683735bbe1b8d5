"""The released versions, taken from the commits of their releases."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from .conftest import ROOT

RELEASES: Final = {
    "0.1.0": "c0b1578302c9ac2daae645dbbe9e5dff76a98a4f",
    "0.2.0": "bd6740ad5570ae9ad0506cfef0fc070858e5be07",
    "0.3.0": "d29bd51ca69e00cd3218081405a470cd9d7d5dfd",
}
LAST: Final = [*RELEASES][-1]


def unpacked(version: str, folder: Path) -> Path:
    """The repository at that release. Skips the test if the checkout has no history."""
    shallow = git("rev-parse", "--is-shallow-repository") if (ROOT / ".git").exists() else "true"
    archive = folder / "release.zip"
    try:
        git("archive", f"--output={archive}", RELEASES[version])
    except subprocess.CalledProcessError:
        if shallow == "false":
            raise
        pytest.skip(f"the history up to {version} is not in this checkout")
    shutil.unpack_archive(archive, folder / "release")
    return folder / "release"


def git(*arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=ROOT, text=True).strip()  # noqa: S603, S607
