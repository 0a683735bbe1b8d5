"""What `cdk synth` shows of the check, and what it exits with."""

import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from local_aws import CLI, ROOT, CliRun

from tests.conftest import FOR_PROCESSES, run

BROKEN = """
import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2, aws_iam as iam

from session_manager_permissions import SessionManagerPermissions, SessionManagerReadiness

app = cdk.App()
cdk.Validations.of(app).add_plugins(SessionManagerReadiness())
stack = cdk.Stack(app, "Reports")
isolated = ec2.SubnetConfiguration(name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
vpc = ec2.Vpc(stack, "Vpc", nat_gateways=0, subnet_configuration=[isolated])
vpc.add_interface_endpoint("Ssm", service=ec2.InterfaceVpcEndpointAwsService.SSM)
role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("rds.amazonaws.com"))
permissions = SessionManagerPermissions(stack, "Permissions", role=role, allow_registration=True)
server = ec2.Instance(
    stack,
    "Server",
    vpc=vpc,
    vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
    instance_type=ec2.InstanceType("t3.micro"),
    machine_image=ec2.MachineImage.latest_amazon_linux2023(),
    role=role,
)
server.instance.node.add_dependency(permissions)
app.synth()
"""

STRICT = BROKEN.replace("Readiness()", "Readiness(strict=True)")
NESTED = """
nested = cdk.NestedStack(stack, "Nested")
iam.InstanceProfile(nested, "Inner", role=iam.Role.from_role_name(nested, "Other", "existing"))
"""
ACKNOWLEDGED = """
for rule in ("role-not-assumable", "endpoint-missing"):
    said = cdk.Acknowledgment(id=f"SessionManagerReadiness::{rule}", reason="until next week")
    cdk.Validations.of(stack).acknowledge(said)
"""

UNREACHED = "ERROR Session Manager can't reach this instance: "
UNKNOWN = "INFO it can't be known at synthesis whether Session Manager reaches instances of this "


def synth(folder: Path, text: str, *stacks: str) -> CliRun:
    app = folder / "app.py"
    app.write_text(text)
    run_by = shlex.join([sys.executable, str(app)])
    left_out = ("AWS_", "CDK_", "PYTEST_")
    inherited = {name: one for name, one in os.environ.items() if not name.startswith(left_out)}
    own = {"CDK_HOME": str(folder / "cdk-home"), "CDK_DISABLE_CLI_TELEMETRY": "true"}
    arguments = ("synth", *stacks, "--quiet", "--no-notices", f"--app={run_by}")
    done = run(CLI, *arguments, cwd=folder, env=inherited | FOR_PROCESSES | own | {"NO_COLOR": "1"})
    return CliRun(done.returncode, done.stdout + done.stderr)


def test_output_in_the_readme_is_real_and_its_fixes_mend_the_app(tmp_path: Path) -> None:
    """The lines that the output shows are put into the app, as a reader would."""
    (block,) = re.findall(
        r"^```text\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )

    shown = synth(tmp_path, BROKEN)

    assert block in shown.output
    assert shown.exit_code == 0
    of_fix = r"^   Suggested fix: (.*?)^   Acknowledge"
    found = re.findall(of_fix, shown.output, re.DOTALL | re.MULTILINE)
    fixes = [one.replace("\n   ", "\n") for one in found]
    assert len(fixes) == 2
    fixed = BROKEN.replace("app.synth()", "\n".join(["self = stack", *fixes, "app.synth()"]))
    assert "SessionManagerReadiness" not in synth(tmp_path, fixed).output


@pytest.mark.parametrize("acknowledged", [False, True])
def test_a_strict_synth_fails_unless_acknowledged(tmp_path: Path, *, acknowledged: bool) -> None:
    more = f"{NESTED}{ACKNOWLEDGED if acknowledged else ''}app.synth()"

    run = synth(tmp_path, STRICT.replace("app.synth()", more))

    of_id = "   Acknowledge with 'SessionManagerReadiness::"
    assert (UNREACHED in run.output) == (not acknowledged)
    assert (f"{of_id}endpoint-missing'" in run.output) == (not acknowledged)
    assert UNKNOWN in run.output
    assert f"{of_id}cannot-be-known'" in run.output
    assert run.exit_code == (0 if acknowledged else 1)


@pytest.mark.parametrize(("stacks", "exit_code"), [((), 0), (("**",), 1)])
def test_the_cli_reports_what_is_in_a_stage_only_if_it_selects_its_stacks(
    tmp_path: Path, stacks: tuple[str, ...], exit_code: int
) -> None:
    """As documented."""
    in_a_stage = STRICT.replace('Stack(app, "', 'Stack(cdk.Stage(app, "Test"), "')

    run = synth(tmp_path, in_a_stage, *stacks)

    assert (UNREACHED in run.output) == (exit_code == 1)
    assert run.exit_code == exit_code
