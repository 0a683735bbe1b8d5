"""The matrix has what is declared; to run it is for `make matrix`."""

from __future__ import annotations

import itertools
import re

import matrix
import yaml

from .conftest import ROOT
from .test_readme import table


def test_the_pythons_declared_are_those_of_the_matrix() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    declared = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)

    assert {*declared} == {cell.python for cell in matrix.CELLS}


def test_the_workflow_has_its_pythons_and_nodes_and_the_history() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["test"]
    axes = job["strategy"]["matrix"]
    (checkout,) = (step for step in job["steps"] if "actions/checkout@" in step.get("uses", ""))

    assert [
        *itertools.product(axes["python"], axes["node"]),
        *((pair["python"], pair["node"]) for pair in axes["include"]),
    ] == [(python, node) for python, node, dependencies in matrix.CELLS if dependencies == "newest"]
    assert checkout["with"]["fetch-depth"] == 0  # without it the upgrade tests skip


def test_the_page_has_its_cells_and_what_came_of_them() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    rows = table("`make matrix`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    (lowest,) = {library for dependencies, _, _, library, _ in rows if dependencies == "lowest"}

    assert {
        (python, node, dependencies)
        for dependencies, pythons, nodes, *_ in rows
        for python in pythons.split(", ")
        for node in nodes.split(", ")
    } == {*matrix.CELLS}
    assert f"aws-cdk-lib=={lowest}" in matrix.lowest()
    assert f'"aws-cdk-lib>={lowest},' in project
    for *_, tests in rows:
        assert tests == "all pass" or tests.startswith("not run"), tests
