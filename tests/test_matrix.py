"""The matrix has what is declared; to run it is for `make matrix`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import matrix

from .conftest import ROOT
from .test_readme import table

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_each_python_that_is_declared_is_in_the_matrix() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    declared = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)

    assert declared
    assert {*declared} <= {cell.python for cell in matrix.CELLS}


def test_the_workflow_and_the_readme_have_its_versions() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    rows = table("`make matrix`")
    pythons, nodes = (
        {*column} for column in zip(*((p, n) for p, n, _ in matrix.CELLS), strict=True)
    )

    assert {*re.findall(r'"(3\.\d+)"', workflow)} == pythons
    assert {*re.findall(r'"(2\d)"', workflow)} == nodes
    assert {
        (python, node, dependencies)
        for dependencies, pythons_there, nodes_there, *_ in rows
        for python in pythons_there.split(", ")
        for node in nodes_there.split(", ")
    } == {*matrix.CELLS}


def test_a_python_that_is_not_here_is_said_to_be_so_and_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    outcome = matrix.run(matrix.Cell("3.10", "22", "newest"), tmp_path)
    assert outcome == (("3.10", "22", "newest", "", ""), "not here", False)


def test_a_command_that_stands_for_a_python_that_is_not_here_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python3.10").write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    (tmp_path / "python3.10").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert matrix.run(matrix.Cell("3.10", "22", "newest"), tmp_path).tests == "not here"
