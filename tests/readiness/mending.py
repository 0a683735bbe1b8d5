"""Does what fixes and steps say, and tells what the check says of the result."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
from aws_cdk.cloudformation_include import CfnInclude

from session_manager_permissions import SessionManagerFleet
from session_manager_permissions._readiness.apps import apps
from session_manager_permissions._readiness.check import check
from session_manager_permissions._readiness.rules import READY
from tests.conftest import HERE, ROOT

from .reports import Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from session_manager_permissions._readiness.rules import Finding
    from session_manager_permissions._readiness.rules.steps import Step

    from . import reports
    from .faults import Build

TEMPLATES = sorted(
    path
    for path in (ROOT / "tests/data").glob("*/*.json")
    # What is left of these is no template that CDK includes.
    if path.stem not in {"build_runners", "code_server", "containers_in_public_subnets"}
)


# Apps, and the code of fixes ---------------------------------------------------------------------


class Judged:
    """An app that is synthesized, with what the check says of it."""

    def __init__(self, app: cdk.App) -> None:
        assembly = app.synth(force=True)
        self.folder = Path(assembly.directory)
        paths = [one.template_full_path for one in assembly.stacks_recursively]
        report = Report(paths, strict=False, app=app)
        self.findings = [one for one in report.findings if one.severity != "info"]
        self.wrong = {(one.rule, one.file, one.logical_id) for one in self.findings}
        self.verdicts = report.verdicts

    @property
    def rules(self) -> set[str]:
        return {one.rule for one in self.findings}


def is_code(fix: str) -> bool:
    """Tell whether a fix has code; all of it is Python in any case."""
    return bool(ast.parse(fix).body)


def use(app: cdk.App, finding: reports.Finding) -> None:
    """Run a fix in the stack that its finding is in, where no name is defined but `self`."""
    stacks = (one for one in app.node.find_all() if isinstance(one, cdk.Stack))
    (here,) = (one for one in stacks if one.template_file == finding.file)
    exec(finding.fix, {"self": here})  # noqa: S102 # as it is shown


def assert_each_fix_mends(build: Callable[[], cdk.App]) -> Judged:
    """Use each fix on its own, in an app of its own."""
    before = Judged(build())
    for finding in before.findings:
        if is_code(finding.fix):
            app = build()
            use(app, finding)
            after = Judged(app).wrong
            assert (finding.rule, finding.file, finding.logical_id) not in after, finding
            assert not after - before.wrong, finding
    return before


def mended(build: Callable[[], cdk.App], passes: int = 2) -> Judged:
    """Use all fixes, and all of what is found then."""
    used: dict[str, reports.Finding] = {}
    judged = Judged(build())
    for _ in range(passes):
        used |= {one.fix: one for one in judged.findings if is_code(one.fix)}
        app = build()
        for finding in used.values():
            use(app, finding)
        judged = Judged(app)
    return judged


def in_app(build: Build, *, fleet: bool = False) -> cdk.App:
    """An app with one stack; with a fleet, in a stage that it covers, and with path metadata."""
    app = cdk.App(context={"aws:cdk:enable-path-metadata": fleet})
    scope = cdk.Stage(app, "Prod") if fleet else app
    stack = cdk.Stack(scope, "Web", env=HERE)
    build(stack)
    if fleet:
        SessionManagerFleet(scope, "Fleet")
    return app


def including(stack: cdk.Stack, folder: Path, body: object) -> None:
    file = folder / "template.json"
    file.write_text(json.dumps(body))
    CfnInclude(stack, "Included", template_file=str(file))


def of_constructs(stack: cdk.Stack, body: dict[str, Any]) -> None:
    """Make the resources of a template as L1 constructs."""
    for name, one in body["Resources"].items():
        cdk.CfnResource(stack, name, type=one["Type"], properties=one["Properties"])


# Templates, and the steps ----------------------------------------------------------------------


def findings(*paths: Path) -> list[Finding]:
    return [
        finding
        for app in apps([*map(str, paths)])
        for finding in check(app.assembly, network=True)[0]
        if finding.rule not in {"cannot-be-known", READY}  # nothing in a template tells these
    ]


def do(step: Step) -> None:
    """Do to the file of a template what a step says."""
    assert step.template is not None, step.text
    file = step.template.path
    body = json.loads(file.read_text())
    resources = body["Resources"]
    if not step.path:
        assert step.logical_id not in resources
        resources[step.logical_id] = step.value
    else:
        *above, last = step.path.split(".")
        place: Any = resources[step.logical_id]
        for name in above:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        if step.adds:
            place.setdefault(last, []).append(step.value)
        elif isinstance(place, list):
            place[int(last)] = step.value
        else:
            place[last] = step.value
    file.write_text(json.dumps(body))


def assert_the_steps_mend(path: Path) -> set[str]:
    """Do the steps of all findings, twice for what shows behind another, and return the rules."""
    found = findings(path)
    told = {one.rule for one in found}
    for _ in range(3):  # a lost log shows once sessions are allowed, and these once the way is open
        steps = [step for one in findings(path) for step in one.steps]
        for step in {step.text: step for step in steps}.values():
            do(step)
    assert findings(path) == []
    return told


def said(rule: str, *paths: Path) -> list[str]:
    """The steps of a rule's findings, none of which changes a template."""
    found = [one for one in findings(*paths) if one.rule == rule]
    steps = [step for one in found for step in one.steps]
    assert found
    assert all(step.template is None for step in steps)
    return [step.text for step in steps]
