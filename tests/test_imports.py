"""What an import costs: each submodule of CDK takes a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .conftest import run_python

if TYPE_CHECKING:
    from pathlib import Path


def loaded(statement: str, cwd: Path) -> set[str]:
    """The modules of CDK that a fresh process has after the statement."""
    script = f"import sys\n{statement}\nprint(*(m for m in sys.modules if m.startswith('aws_cdk')))"
    done = run_python("-c", script, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_import_loads_no_module_of_cdk_but_iam_and_what_that_loads(tmp_path: Path) -> None:
    by_iam = loaded("import aws_cdk.aws_iam", tmp_path)
    assert "aws_cdk.aws_iam" in by_iam
    assert loaded("import session_manager_permissions", tmp_path) == by_iam
    assert "aws_cdk.aws_kms" not in by_iam


def test_a_construct_without_a_key_loads_no_more(tmp_path: Path) -> None:
    script = """
import aws_cdk.aws_iam as iam
from session_manager_permissions import SessionManagerPermissions
stack = aws_cdk.Stack(aws_cdk.App(outdir="cdk.out"), "Stack")
SessionManagerPermissions(stack, "P", role=iam.Role.from_role_name(stack, "Role", "Existing"))
"""
    used = loaded(f"import aws_cdk{script}", tmp_path)
    assert used == loaded("import aws_cdk.aws_iam", tmp_path)
