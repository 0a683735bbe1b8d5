"""What `cdk synth` shows of the check, and what it exits with."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
from local_aws import CLI, ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.deploy

APP = """
import sys

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from session_manager_permissions import SessionManagerPermissions, SessionManagerReadiness

app = cdk.App()
cdk.Validations.of(app).add_plugins(SessionManagerReadiness(strict="strict" in sys.argv))
stack = cdk.Stack(app, "Stack")
role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
profile = iam.InstanceProfile(stack, "Profile", role=role)
nested = cdk.NestedStack(stack, "Nested")
SessionManagerPermissions(nested, "Permissions", role=role)
iam.InstanceProfile(nested, "Inner", role=iam.Role.from_role_name(nested, "Other", "existing"))
if "acknowledged" in sys.argv:
    cdk.Validations.of(profile).acknowledge(
        cdk.Acknowledgment(
            id="SessionManagerReadiness::registration-missing",
            reason="Default Host Management Configuration registers it",
        )
    )
app.synth()
"""

REGISTRATION = """\
 instances of this profile can't register with Systems Manager: its role 'Role1ABCC5F0' is not \
allowed ssm:UpdateInstanceInformation, and so they depend on the account's Default Host \
Management Configuration (SessionManagerReadiness)
   Stack/Profile/Resource (Profile6F32097C) aws-cdk-lib.aws_iam.CfnInstanceProfile
   Suggested fix: SessionManagerPermissions(self, "SessionManagerPermissions", role=role, \
allow_registration=True)
   Acknowledge with 'SessionManagerReadiness::registration-missing'
"""
UNKNOWN = """\
INFO it can't be known at synthesis whether Session Manager reaches instances of this profile: \
that depends on the role 'existing', which is not in this app (SessionManagerReadiness)
   Stack/Nested/Inner/Resource (Inner09E1DD49) aws-cdk-lib.aws_iam.CfnInstanceProfile
   Suggested fix: ask IAM after the deployment: session-manager-permissions verify --role existing
   Acknowledge with 'SessionManagerReadiness::cannot-be-known'
"""


class Synth(NamedTuple):
    exit_code: int
    output: str


def synth(folder: Path, *arguments: str) -> Synth:
    app = folder / "app.py"
    app.write_text(APP)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "CDK_", "PYTEST_"))
    }
    run = subprocess.run(  # noqa: S603
        [
            str(CLI),
            "synth",
            "--quiet",
            "--no-notices",
            f"--app={shlex.join([sys.executable, str(app), *arguments])}",
        ],
        cwd=folder,
        env=inherited
        | {
            "CDK_HOME": str(folder / "cdk-home"),
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_VALIDATION": "false",
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
            "NO_COLOR": "1",
            "PYTHONPATH": str(ROOT),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    return Synth(run.returncode, run.stdout)


def test_synth_reports_and_does_not_fail(tmp_path: Path) -> None:
    run = synth(tmp_path)

    assert f"WARNING{REGISTRATION}" in run.output
    assert UNKNOWN in run.output
    assert run.exit_code == 0


def test_strict_synth_fails(tmp_path: Path) -> None:
    run = synth(tmp_path, "strict")

    assert f"ERROR{REGISTRATION}" in run.output
    assert UNKNOWN in run.output
    assert run.exit_code == 1


def test_strict_synth_with_what_is_not_ready_acknowledged(tmp_path: Path) -> None:
    run = synth(tmp_path, "strict", "acknowledged")

    assert "registration-missing" not in run.output
    assert UNKNOWN in run.output
    assert run.exit_code == 0
