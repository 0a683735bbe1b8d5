"""Mutation testing of the package: which changes of a line does no test notice?

`make mutants MODULES="_constructs/keys _constructs/roles"`. The tests run once, and coverage tells
which of them reach each line. Each mutant is then left to those tests, in a fork of a process that
has imported what takes long to import, but for CDK. All modules take hours; `SAMPLE=50` draws that
many of each. `tests/mutants.md` lists the mutants that survive, and why no test can notice each.
"""

from __future__ import annotations

import argparse
import ast
import gc
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import coverage
import pytest
from cosmic_ray.commands import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cosmic_ray.work_item import MutationSpec

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = "session_manager_permissions"
OPTIONS: Final = (
    *("-q", "-p", "no:cacheprovider", "-m", "not deploy and not packaging and not site"),
    "--ignore=tests/test_linters.py",  # which are not installed beside the lowest CDK
    # The lowest CDK does not include tags that a condition chooses.
    "--deselect",
    "tests/readiness/test_fixes.py::test_what_is_said_in_words",
    "-Wignore::pytest.PytestAssertRewriteWarning",  # of plug-ins that are imported already
)
FIRST, MOST = 30, 500
"""Run this many tests first, as they notice most mutants, and at most this many in all."""
UNTRACED: Final = (
    "tests/constructs/test_gates.py",
    "tests/test_app.py",
    "tests/test_imports.py",
    "tests/constructs/test_options.py::test_each_option_is_a_keyword_of_its_type",
    "tests/verify/test_command.py",
)
"""Tests that start another process or read signatures: coverage does not record what they reach."""
SECONDS: Final = 600
"""Tests that take longer are ended, and count as having noticed a mutant that never ends."""
LEFT_OUT: Final = re.compile(
    r"core/ReplaceBinaryOperator_(?!Add_Sub|Sub_Add|BitAnd_BitOr)"
    r"|core/ReplaceComparisonOperator_(?!Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is|Gt_GtE|Lt_LtE|LtE_Lt)"
)
"""`|` is that of annotations, `*` and `**` those of arguments; one comparison for each will do."""
TAKE_LONG: Final = ("boto3", "cfnlint.api", "hypothesis", "jsonschema", "rich.console", "syrupy")


def run_all(folder: Path) -> coverage.CoverageData:
    """Run the tests, and return which of them reach each line."""
    traced = ("-n", "2", "--cov", "--cov-context=test", "--cov-report=", "--cov-fail-under=0")
    subprocess.run([sys.executable, "-m", "pytest", *OPTIONS, *traced], cwd=folder, check=True)
    data = coverage.CoverageData(str(folder / ".coverage"))
    data.read()
    return data


def mutations(path: Path, sample: int) -> list[MutationSpec]:
    """List mutants of a module, at most so many: the same sample for the same code."""
    with use_db(path.with_suffix(".sqlite"), WorkDB.Mode.create) as database:
        init([path], database, {})
        specs = [one for item in database.work_items for one in item.mutations]
    found = [one for one in specs if not LEFT_OUT.match(one.operator_name)]
    found = random.Random(0).sample(found, min(sample, len(found)))  # noqa: S311
    lines = path.read_text(encoding="utf-8").splitlines()
    # Names for annotations alone, which nothing evaluates.
    found = [one for one in found if lines[one.start_pos[0] - 1] != "if TYPE_CHECKING:"]
    return sorted(found, key=lambda one: one.start_pos)


def reaching(path: Path, line: int, by_line: Mapping[int, list[str]]) -> list[str]:
    """List the tests that reach the statement of a line.

    Those in the module's own test file come first. Within each part, one case of every test
    function comes before the second case of any. A statement of a module or a class runs when the
    module is imported: the tests are all those of the module. `by_line` is of coverage.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    *outer, inner = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and _first_line(node) <= line <= (node.end_lineno or 0)
    )
    inside = range(1, max(by_line, default=0) + 1)
    if any(isinstance(node, ast.FunctionDef) for node in outer):
        inside = range(inner.lineno, (inner.end_lineno or 0) + 1)
    tests = {context.rpartition("|")[0] for one in inside for context in by_line.get(one, ())}
    seen: Counter[str] = Counter()
    turns = []
    for test in sorted(tests - {""}):
        function = test.partition("[")[0]
        seen[function] += 1
        turns.append((f"/test_{path.stem.lstrip('_')}.py" not in test, seen[function], test))
    return [test for *_, test in sorted(turns)]


def _first_line(node: ast.stmt) -> int:
    """Return the first line of a statement, which is that of its first decorator, if it has any."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


def passes(tests: Iterable[str]) -> bool:
    """Run tests in a fork, in this order, and tell whether all pass."""
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nothing, stream)
            signal.alarm(SECONDS)
            status = int(pytest.main(["-x", *OPTIONS, *tests]))
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == pytest.ExitCode.OK


def survivor(spec: MutationSpec, by_line: Mapping[int, list[str]]) -> str | None:
    """Return what a mutant changes; None if a test notices it."""
    path, line = Path(spec.module_path), spec.start_pos[0]
    tests = reaching(path, line, by_line)
    operator = get_operator(spec.operator_name)()
    with use_mutation(path, operator, spec.occurrence) as (before, after):
        for some in (tests[:FIRST], tests[FIRST:MOST], UNTRACED):
            if some and not passes(some):
                return None
    was, now = (text.splitlines()[line - 1].strip() for text in (before, after))
    return f"{line} {spec.operator_name.removeprefix('core/')}: {was} -> {now}"


def main() -> None:
    """Print for each module how many mutants there are, and those that no test notices."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*")
    parser.add_argument(
        "--sample", type=int, default=sys.maxsize, help="how many mutants of each; default: all"
    )
    given = parser.parse_args()
    paths = (path.relative_to(ROOT / PACKAGE) for path in sorted((ROOT / PACKAGE).rglob("*.py")))
    modules = given.modules or [str(path.with_suffix("")) for path in paths]
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        others = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", "node_modules")
        shutil.copytree(ROOT, folder, ignore=others, dirs_exist_ok=True)
        (folder / "node_modules").symlink_to(ROOT / "node_modules")  # a test reads the CLI
        data = run_all(folder)
        os.chdir(folder)
        sys.dont_write_bytecode = True
        os.environ |= {"PYTHONPATH": name, "PYTHONDONTWRITEBYTECODE": "1", "CI": "true"}
        for slow in TAKE_LONG:
            import_module(slow)
        gc.freeze()
        traced = {context.rpartition("|")[0] for context in data.measured_contexts()} - {""}
        if not (passes(["--collect-only", *traced]) and passes(UNTRACED)):
            sys.exit("a test fails in a fork or is not found, though nothing is changed")
        for module in modules:
            path = folder / PACKAGE / f"{module}.py"
            shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
            specs = mutations(path, given.sample)
            by_line = data.contexts_by_lineno(str(path))
            survivors = [one for spec in specs if (one := survivor(spec, by_line))]
            summary = f"{module}: {len(specs)} mutants, {len(survivors)} survive"
            print(summary, *survivors, sep=f"\n{module}:", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
