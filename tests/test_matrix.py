"""The matrix has what is declared; to run it is for `make matrix`."""

import configparser
import itertools
import re
from typing import Final

import yaml

from .conftest import PROJECT, ROOT
from .test_readme import table

TOX: Final = configparser.ConfigParser(interpolation=None)
TOX.read(ROOT / "tox.ini", encoding="utf-8")
CELLS: Final = [
    (f"{python[:1]}.{python[1:]}", node, dependencies)
    for python, node, dependencies in re.findall(
        r"^py(\d+)-node(\d+)-(newest|lowest)$", TOX["tox"]["env_list"], re.MULTILINE
    )
]


def test_the_pythons_declared_are_those_of_the_matrix() -> None:
    declared = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PROJECT)

    assert {*declared} == {python for python, _, _ in CELLS}


def test_the_lowest_dependencies_are_those_declared() -> None:
    (declared,) = re.findall(r"^dependencies = (.*)$", PROJECT, re.MULTILINE)
    lowest = re.findall(r"^lowest: (\S+)==(\S+)$", TOX["testenv"]["deps"], re.MULTILINE)

    assert lowest == re.findall(r"([a-z-]+)>=([\d.]+)", declared)


def test_the_workflow_has_its_pythons_and_nodes_and_the_history() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["test"]
    axes = job["strategy"]["matrix"]
    (checkout,) = (step for step in job["steps"] if "actions/checkout@" in step.get("uses", ""))

    assert [
        *itertools.product(axes["python"], axes["node"]),
        *((pair["python"], pair["node"]) for pair in axes["include"]),
    ] == [(python, node) for python, node, dependencies in CELLS if dependencies == "newest"]
    assert checkout["with"]["fetch-depth"] == 0  # without it the upgrade tests skip


def test_the_page_has_its_cells_and_what_came_of_them() -> None:
    rows = table("`make matrix`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    (lowest,) = {library for dependencies, _, _, library, _ in rows if dependencies == "lowest"}

    assert {
        (python, node, dependencies)
        for dependencies, pythons, nodes, *_ in rows
        for python in pythons.split(", ")
        for node in nodes.split(", ")
    } == {*CELLS}
    assert f'"aws-cdk-lib>={lowest},' in PROJECT
    for *_, tests in rows:
        assert tests == "all pass" or tests.startswith("not run"), tests
