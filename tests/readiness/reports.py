"""Writes templates, and runs the check on them."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import aws_cdk as cdk
from constructs import Construct

from session_manager_permissions import SessionManagerReadiness
from tests.conftest import ROOT

from .parts import ref, resource
from .statements import EC2_TRUST, document

Body = dict[str, Any]
"""A template, or a part of one."""
UNSET = "unknown-account"
NAMED = {"RoleName": "web"}
"""The properties of a role with a name, which any template in its account can use."""

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
    """The report of the check on some templates."""

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
    """The fix of a finding, without the link to the page at its end."""
    fix = str(violation.fix)
    if violation.rule_name == "ready":
        return fix
    page = f"docs/causes/{violation.rule_name}.md"
    link = f"# More: {page} in the repository of session-manager-permissions"
    assert fix.endswith(link)
    assert violation.rule_metadata == {"page": page}
    assert (ROOT / page).is_file()
    return fix.removesuffix(link).removesuffix("\n")


def write(folder: Path, bodies: Body, at: Body | None = None) -> list[str]:
    """Write an assembly, with a stack of each template `at` its `ACCOUNT/REGION/NAME`.

    A template whose name begins with `nested` is a file of a nested stack. The paths are of stacks.
    """
    artifacts = {}
    for key, body in bodies.items():
        file = f"{key}.template.json"
        (folder / file).write_text(json.dumps(body))
        if not key.startswith("nested"):
            where = (at or {}).get(key, "111122223333/eu-west-1")
            account, region, name = f"{where}/{key}".split("/")[:3]
            artifacts[key] = {
                "type": "aws:cloudformation:stack",
                "environment": f"aws://{account}/{region}",
                "properties": {"templateFile": file, "stackName": name},
            }
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return [str(folder / f"{key}.template.json") for key in artifacts]


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
        at: Body | None = None,
        **named: object,
    ) -> Report:
        """Check a template for each body: `a` and `b` in the accounts, others where they are `at`.

        The stack `a` is called `name`.
        """
        stacks = {"a": f"{a}/{region}/{name}", "b": f"{b}/{region}"}
        given = dict(zip(stacks, bodies, strict=False)) | named
        paths = write(self._folder, given, stacks | (at or {}))
        return Report(paths, strict=strict, network=network)


def check_app(construct: Construct, *, strict: bool = False) -> Report:
    app = cast("cdk.App", construct.node.root)
    stacks = app.synth(force=True).stacks_recursively
    paths = [stack.template_full_path for stack in stacks]
    return Report(paths, strict=strict, app=app)


def profile_and_role(role: Body | None = None, roles: object = None, **more: Body) -> Body:
    """A template with a profile and its role; `more` are further resources."""
    named = [ref("Role")] if roles is None else roles
    profile = resource("AWS::IAM::InstanceProfile", Roles=named)
    made = resource("AWS::IAM::Role", **TRUST | (role or {}))
    return {"Resources": {"Profile": profile, "Role": made, **more}}


def policy(*statements: Body, roles: object = None, **more: object) -> Body:
    named = [ref("Role")] if roles is None else roles
    written = document(list(statements))
    return resource("AWS::IAM::Policy", PolicyDocument=written, Roles=named) | more


def inline(*statements: Body) -> Body:
    return {"Policies": [{"PolicyName": "Inline", "PolicyDocument": document(list(statements))}]}


def machine(**properties: object) -> Body:
    return resource("AWS::EC2::Instance", **properties)


def managed_policy(*statements: Body, **more: object) -> Body:
    return policy(*statements, **more) | {"Type": "AWS::IAM::ManagedPolicy"}
