"""The distributions: what they hold, and that the wheel is all that a user needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "session_manager_permissions"

pytestmark = pytest.mark.packaging


def run(*command: str | Path, cwd: Path) -> None:
    finished = subprocess.run(  # noqa: S603
        command,
        cwd=cwd,
        env=os.environ | {"CDK_OUTDIR": str(cwd / "cdk.out")},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, and the wheel built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


def modules() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_wheel_holds_the_package_and_the_licence(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    (dist_info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    metadata = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")

    assert f"{PACKAGE}/py.typed" in names
    assert names == modules() | {f"{dist_info}/{name}" for name in metadata}


def test_sdist_holds_what_the_wheel_is_built_of(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    files = {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "PKG-INFO", ".gitignore"}

    assert names == modules() | files


def test_readme_starts_on_the_wheel_alone(distributions: Path, tmp_path: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.search(r"^```python\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    assert first, "README.md has no Python snippet"
    (tmp_path / "app.py").write_text(first[1], encoding="utf-8")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"

    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    run(python, "app.py", cwd=tmp_path)

    (template,) = (tmp_path / "cdk.out").glob("*.template.json")
    assert "ssmmessages:OpenDataChannel" in template.read_text(encoding="utf-8")
