"""What is loaded when: public names when they are used, and of CDK what they need and no more."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import session_manager_permissions

from .conftest import ROOT, run_python

if TYPE_CHECKING:
    from pathlib import Path

NO_PROCESS = """
import sys

def refuse(event, _):
    if event in {"os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen"}:
        raise AssertionError(event)

sys.addaudithook(refuse)
"""
VERIFY = "from session_manager_permissions._verify.command import main"


def loaded_after(script: str) -> set[str]:
    """The top-level modules that a fresh process has after `script`, which may start no process."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", f"{NO_PROCESS}{script}\nprint(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return {module.partition(".")[0] for module in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize(
    "script",
    [
        "import session_manager_permissions",
        "import session_manager_permissions._verify.command",
        f"{VERIFY}\ntry: main(['verify', '--help'])\nexcept SystemExit: pass",
        f"{VERIFY}\nassert main(['verify', '--role', 'a', '--profile', 'of-no-one']) == 2",
    ],
)
def test_command_needs_neither_cdk_nor_node(script: str) -> None:
    loaded = loaded_after(script)

    assert "session_manager_permissions" in loaded
    assert loaded.isdisjoint({"aws_cdk", "jsii", "constructs"})


def test_help_waits_for_nothing_of_the_extra() -> None:
    loaded = loaded_after("import session_manager_permissions._verify.command")

    assert loaded.isdisjoint({"boto3", "botocore", "rich"})


@pytest.mark.parametrize("name", session_manager_permissions.__all__)
def test_public_name_loads_when_it_is_used(name: str) -> None:
    value = getattr(session_manager_permissions, name)

    assert value.__name__ == name
    assert value.__module__.startswith("session_manager_permissions.")
    assert getattr(session_manager_permissions, name) is value
    assert name in vars(session_manager_permissions)


def test_star_gives_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from session_manager_permissions import *", names)  # noqa: S102 # for what it does

    assert sorted(names.keys() - {"__builtins__"}) == sorted(session_manager_permissions.__all__)
    assert names.keys() - {"__builtins__"} <= {*dir(session_manager_permissions)}


def test_public_names_are_listed_before_they_are_loaded() -> None:
    script = "import session_manager_permissions as s; assert {*s.__all__} <= {*dir(s)}"
    assert loaded_after(script)


def loaded(statement: str, cwd: Path) -> set[str]:
    """The modules of CDK that a fresh process has after the statement."""
    script = f"import sys\n{statement}\nprint(*(m for m in sys.modules if m.startswith('aws_cdk')))"
    done = run_python("-c", script, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_import_loads_no_module_of_cdk_but_iam_and_what_that_loads(tmp_path: Path) -> None:
    by_iam = loaded("import aws_cdk.aws_iam", tmp_path)
    assert "aws_cdk.aws_iam" in by_iam
    assert loaded("from session_manager_permissions import *", tmp_path) == by_iam
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
