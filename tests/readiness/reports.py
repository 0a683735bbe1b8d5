"""Templates written here, and what the check says of them."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import aws_cdk as cdk
from constructs import Construct

from session_manager_permissions import SessionManagerReadiness
from tests.conftest import ROOT

from .policy_table import EC2_TRUST, document

Body = dict[str, Any]
"""A template, or a part of one."""
UNSET = "unknown-account"
NAMED = {"RoleName": "web"}
"""A role that whatever is in its account can name."""

TRUST: Body = {"AssumeRolePolicyDocument": EC2_TRUST}


class Finding(NamedTuple):
    rule: str
    logical_id: str
    severity: str
    description: str
    fix: str
    location: str
    file: str


class Report:
    """What the check says of some templates."""

    def __init__(
        self, paths: list[str], *, strict: bool, network: bool = True, app: Construct | None = None
    ) -> None:
        given = SimpleNamespace(template_paths=paths, app_construct=app)
        context = cast("cdk.IPolicyValidationContext", given)
        by_default = SessionManagerReadiness(strict=strict)
        without = SessionManagerReadiness(strict=strict, network=False)
        report = (by_default if network else without).validate(context)
        self.success = report.success
        self.metadata = dict(report.metadata or {})
        self.violations = [violation.rule_name for violation in report.violations]
        self.verdicts = {k: int(v) for k, v in (report.metadata or {}).items() if v != "0"}
        self.findings = [
            Finding(
                violation.rule_name,
                str(resource.resource_logical_id),
                str(violation.severity),
                violation.description,
                fix_alone(violation),
                ", ".join(resource.locations),
                Path(str(resource.template_path)).name,
            )
            for violation in report.violations
            for resource in violation.violating_resources
        ]

    @property
    def rules(self) -> frozenset[str]:
        return frozenset(finding.rule for finding in self.findings)

    def only(self, rule: str) -> Finding:
        (finding,) = (one for one in self.findings if one.rule == rule)
        return finding


def fix_alone(violation: cdk.PolicyViolation) -> str:
    """The remedy, less the link that each finding of a cause ends with."""
    fix = str(violation.fix)
    if violation.rule_name == "ready":
        return fix
    page = f"docs/causes/{violation.rule_name}.md"
    link = f"# More: {page} in the repository of session-manager-permissions"
    assert fix.endswith(link)
    assert violation.rule_metadata == {"page": page}
    assert (ROOT / page).is_file()
    return fix.removesuffix(link).removesuffix("\n")


class Check:
    """Runs the check on templates that are written here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, file: str, body: object) -> None:
        """Write a file of the assembly."""
        (self._folder / file).write_text(json.dumps(body))

    def __call__(
        self,
        *bodies: object,
        strict: bool = False,
        network: bool = True,
        a: str = UNSET,
        b: str = UNSET,
        name: str = "a",
        region: str = "eu-west-1",
    ) -> Report:
        """Check a template for each body, in the accounts `a` and `b`; `name` is the first's."""
        accounts = {"a": a, "b": b}
        files = {key: f"{key}.template.json" for key, _ in zip(accounts, bodies, strict=False)}
        for file, body in zip(files.values(), bodies, strict=True):
            self.write(file, body)
        artifacts = {
            key: {
                "type": "aws:cloudformation:stack",
                "environment": f"aws://{accounts[key]}/{region}",
                "properties": {"templateFile": file, "stackName": name if key == "a" else "b"},
            }
            for key, file in files.items()
        }
        (self._folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
        paths = [str(self._folder / file) for file in files.values()]
        return Report(paths, strict=strict, network=network)


def check_app(construct: Construct, *, strict: bool = False, network: bool = True) -> Report:
    app = cast("cdk.App", construct.node.root)
    stacks = app.synth(force=True).stacks_recursively
    paths = [stack.template_full_path for stack in stacks]
    return Report(paths, strict=strict, network=network, app=app)


def profile_and_role(role: Body | None = None, roles: object = None, **more: Body) -> Body:
    """A template with a profile and its role; `more` are further resources."""
    return {
        "Resources": {
            "Profile": {
                "Type": "AWS::IAM::InstanceProfile",
                "Properties": {"Roles": [{"Ref": "Role"}] if roles is None else roles},
            },
            "Role": {"Type": "AWS::IAM::Role", "Properties": TRUST | (role or {})},
            **more,
        }
    }


def policy(*statements: Body, roles: object = None, **more: object) -> Body:
    roles = [{"Ref": "Role"}] if roles is None else roles
    properties = {"PolicyDocument": document(list(statements)), "Roles": roles}
    return {"Type": "AWS::IAM::Policy", "Properties": properties, **more}


def inline(*statements: Body) -> Body:
    return {"Policies": [{"PolicyName": "Inline", "PolicyDocument": document(list(statements))}]}


def machine(**properties: object) -> Body:
    return {"Type": "AWS::EC2::Instance", "Properties": properties}


def managed_policy(*statements: Body, **more: object) -> Body:
    return policy(*statements, **more) | {"Type": "AWS::IAM::ManagedPolicy"}
