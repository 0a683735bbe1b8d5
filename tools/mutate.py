"""Mutation testing of the package: which changes of a line does no test notice?

`make mutants MODULES="_constructs/keys _constructs/roles"`: each mutant is a run of the tests of
its module, and all of them take hours; `SAMPLE=50` draws that many for each module. What survives
is in `tests/mutants.md`, with the reason why none can tell it.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "session_manager_permissions"
# The tests that are to notice, those that do so soonest first.
TESTS = {
    "__init__": "imports",
    "_limits": "limits logs keys names verify document",
    "_patterns": "patterns policies trust",
    "_needs": "statements policies one_source snapshots document verify logs readiness policy",
    "_app": "app messages",
    "_constructs/at_synthesis": "fleet permissions",
    "_constructs/checks": "messages options preferences hostile",
    "_constructs/endpoints": "endpoints messages",
    "_constructs/fleet": "fleet messages gates",
    "_constructs/fleet_probe": "fleet gates messages",
    "_constructs/fleet_roles": "fleet gates messages",
    "_constructs/fleet_tree": "fleet gates",
    "_constructs/keys": "keys messages logs preferences",
    "_constructs/logs": "logs messages preferences options",
    "_constructs/lookup": "lookup messages",
    "_constructs/names": "names messages options composition",
    "_constructs/operators": "operators messages hostile",
    "_constructs/permissions": "permissions messages keys roles names composition round_trips",
    "_constructs/preferences": "preferences messages operators",
    "_constructs/roles": "roles messages permissions fleet lookup composition",
    "_constructs/statements": "statements messages options keys logs snapshots typing",
    "_constructs/tokens": "logs keys messages roles composition names operators",
    "_readiness/findings": "readiness boot_order",
    "_readiness/grammar": "grammar readiness",
    "_readiness/managed_policies": "managed_policies",
    "_readiness/plugin": "readiness",
    "_readiness/policies": "policies readiness verdicts",
    "_readiness/roles": "roles readiness templates boot_order",
    "_readiness/rules": "readiness boot_order",
    "_readiness/templates": "templates readiness hostile_assemblies roles",
    "_trust": "trust",
    "_verify/command": "command verify document messages",
    "_verify/document": "document verify node",
    "_verify/simulator": "verify document command audit",
}
CONFIG = """\
[cosmic-ray]
module-path = "{package}/{module}.py"
timeout = 300.0
excluded-modules = []
test-command = {command!r}
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
# `|` is that of annotations, `*` and `**` those of arguments; one comparison for each will do
exclude-operators = [
  "core/ReplaceBinaryOperator_(?!Add_Sub|Sub_Add|BitAnd_BitOr).*",
  "core/ReplaceComparisonOperator_(?!Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is|Gt_GtE|Lt_LtE|LtE_Lt).*",
]
"""
MAKE = (
    "cosmic-ray init cosmic-ray.toml session.sqlite",
    "cr-filter-operators session.sqlite cosmic-ray.toml",
)
RUN = (
    "cosmic-ray baseline cosmic-ray.toml",
    "cosmic-ray exec cosmic-ray.toml session.sqlite",
)
MADE = "select job_id from work_items where job_id not in (select job_id from work_results)"
SURVIVORS = """\
select operator_name, start_pos_row, diff from mutation_specs
join work_results using (job_id) where test_outcome = 'SURVIVED' order by start_pos_row
"""
COUNT = "select count(*) from work_results where test_outcome is not null"


def survivors(module: str, sample: int | None) -> tuple[int, list[str]]:
    """How many mutants there were, and the changed lines that no test noticed."""
    with TemporaryDirectory() as name:
        folder = Path(name, "copy")
        ignored = shutil.ignore_patterns(".*", "node_modules", "cdk.out", "__pycache__")
        shutil.copytree(ROOT, folder, ignore=ignored)
        tests = [
            next(
                found
                for found in (folder / "tests").rglob(f"test_{test}.py")
                if found.parent.name != "deploy"
            )
            for test in TESTS[module].split()
        ]
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
        command = shlex.join([sys.executable, "-m", "pytest", *options, *map(str, tests)])
        config = CONFIG.format(package=PACKAGE, module=module, command=command)
        (folder / "cosmic-ray.toml").write_text(config, encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        scripts = Path(sys.executable).parent

        def run(steps: tuple[str, ...]) -> None:
            for step in steps:
                program, *words = step.split()
                subprocess.run([scripts / program, *words], cwd=folder, env=environment, check=True)

        run(MAKE)
        if sample is not None:
            with sqlite3.connect(folder / "session.sqlite") as session:
                draw(session, sample)
        run(RUN)
        with sqlite3.connect(folder / "session.sqlite") as session:
            (count,) = session.execute(COUNT).fetchone()
            rows = session.execute(SURVIVORS).fetchall()
    return count, [shown(module, *row) for row in rows]


def draw(session: sqlite3.Connection, sample: int) -> None:
    """Keep that many of the mutants, the same ones for the same code."""
    made = session.execute(MADE).fetchall()
    dropped = random.Random(0).sample(made, max(len(made) - sample, 0))  # noqa: S311
    for table in ("mutation_specs", "work_items"):
        session.executemany(f"delete from {table} where job_id = ?", dropped)  # noqa: S608


def shown(module: str, operator: str, line: int, diff: str) -> str:
    """A mutant on one line."""
    before, after = (
        next(
            iter(
                re.findall(rf"^{re.escape(sign)}(?!{re.escape(sign)}) *(.*)$", diff, re.MULTILINE)
            ),
            "",
        )
        for sign in "-+"
    )
    return f"{module}:{line} {operator.removeprefix('core/')}: {before} -> {after}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(TESTS))
    parser.add_argument("--sample", type=int, help="how many mutants of each module; default: all")
    given = parser.parse_args()
    for module in given.modules:
        count, found = survivors(module, given.sample)
        print(  # noqa: T201
            f"{module}: {count} mutants, {len(found)} survive", *found, sep="\n", flush=True
        )
