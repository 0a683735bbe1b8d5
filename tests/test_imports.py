"""What is loaded when: public names when they are used, and of CDK what they need and no more."""

from pathlib import Path

import pytest

import session_manager_permissions

from .conftest import ROOT, run_python

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
    done = run_python("-c", f"{NO_PROCESS}{script}\nprint(*sys.modules)", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return {module.partition(".")[0] for module in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize("script", [
    "import session_manager_permissions",
    "import session_manager_permissions._verify.command",
    f"{VERIFY}\ntry: main(['verify', '--help'])\nexcept SystemExit: pass",
    f"{VERIFY}\nassert main(['verify', '--role', 'a', '--profile', 'of-no-one']) == 2",
])  # fmt: skip
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
    assert loaded_after("import session_manager_permissions as s; assert {*s.__all__} <= {*dir(s)}")


LOADED = """
import sys
import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2, aws_iam as iam, cx_api  # the last: what any synthesis gives

def stage(name):
    print(name, *(one for one in sys.modules if one.startswith("aws_cdk.aws_")))

stage("CDK")
from session_manager_permissions import *
stage("names")
stack = cdk.Stack(cdk.App(outdir="cdk.out"), "Stack")
role = iam.Role.from_role_name(stack, "Role", "Existing")
SessionManagerPermissions(stack, "Permissions", role=role)
stage("construct")
SessionPreferences.from_document_name(stack, "Preferences")
stage("preferences that exist")
vpc, size = ec2.Vpc(stack, "Vpc"), ec2.InstanceType("t3.micro")
image = ec2.MachineImage.latest_amazon_linux2023()
instance = ec2.Instance(stack, "It", vpc=vpc, instance_type=size, machine_image=image)
iam.InstanceProfile(stack, "Profile", role=role)
stage("instance")
SessionManagerFleet(stack, "Fleet")
cdk.Stage.of(stack).synth()
stage("fleet")
SessionPreferences(stack, "Made")
stage("preferences")
"""


def test_of_cdk_only_what_is_used_is_loaded_besides_iam(tmp_path: Path) -> None:
    done = run_python("-c", LOADED, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before: set[str] = set()
    added: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        name, _, modules = line.partition(" aws_cdk.")
        loaded = {*f"aws_cdk.{modules}".split()}
        added[name], before = loaded - before, loaded

    assert {"aws_cdk.aws_ec2", "aws_cdk.aws_iam"} <= added.pop("CDK")
    assert "aws_cdk.aws_ssm" in added.pop("preferences")
    assert len(added) == 5
    assert set.union(*added.values()) == set()


def test_the_import_loads_no_module_of_cdk_but_iam_and_what_that_loads(tmp_path: Path) -> None:
    script = """
import sys
import aws_cdk.aws_iam
before = {*sys.modules}
from session_manager_permissions import *
print(*(one for one in {*sys.modules} - before if one.startswith("aws_cdk")))
"""
    done = run_python("-c", script, cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
