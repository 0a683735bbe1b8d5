"""What type checkers make of the API: `right.py` passes, and no marked line of `wrong.py` does."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import ROOT, run_python

FOLDER = Path(__file__).parent / "typing"
FILES = ("right.py", "wrong.py")


def mypy(folder: Path) -> set[tuple[str, int]]:
    # CDK's modules take long to read: `make lint` has read them, where it is of this environment.
    cache = ROOT / ".mypy_cache" / ("" if Path(sys.prefix).name == ".venv" else "lowest")
    arguments = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(cache), *FILES]
    done = run_python("-m", "mypy", *arguments, cwd=folder, env={"MYPYPATH": str(ROOT)})
    assert done.returncode == 1, done.stderr
    found = re.findall(r"^(\w+\.py):(\d+): error: ", done.stdout, re.MULTILINE)
    return {(name, int(line)) for name, line in found}


def pyright(folder: Path) -> set[tuple[str, int]]:
    (folder / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    done = run_python("-m", "pyright", "--outputjson", "--pythonpath", sys.executable, cwd=folder)
    assert done.returncode == 1, done.stderr
    return {
        (Path(found["file"]).name, found["range"]["start"]["line"] + 1)
        for found in json.loads(done.stdout)["generalDiagnostics"]
        if found["severity"] == "error"
    }


def ty(folder: Path) -> set[tuple[str, int]]:
    arguments = ["--output-format", "concise", "--extra-search-path", str(ROOT)]
    done = run_python("-m", "ty", "check", *arguments, "--python", sys.prefix, cwd=folder)
    assert done.returncode == 1, done.stderr
    found = re.findall(r"^(\w+\.py):(\d+):\d+: error", done.stdout, re.MULTILINE)
    return {(name, int(line)) for name, line in found}


@pytest.mark.parametrize("check", [mypy, pyright, ty])
def test_right_calls_pass_and_each_wrong_one_is_rejected(
    tmp_path: Path, check: Callable[[Path], set[tuple[str, int]]]
) -> None:
    for name in FILES:
        shutil.copy(FOLDER / name, tmp_path)
    wrong = {
        (name, number)
        for name in FILES
        for number, line in enumerate((FOLDER / name).read_text().splitlines(), 1)
        if line.endswith("# wrong")
    }
    assert len(wrong) > 20
    assert check(tmp_path) == wrong
