"""What `check` says to change, done to the template, makes the finding go, and raises no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest

from session_manager_permissions._readiness.apps import apps
from session_manager_permissions._readiness.check import check as judge
from session_manager_permissions._readiness.rules import CANNOT_BE_KNOWN, READY
from session_manager_permissions._readiness.templates import Assembly

from .test_fixes import FAULTS, INCLUDED, TEMPLATES
from .test_what_findings_say import EXAMPLES, Text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from session_manager_permissions._readiness.rules import Finding
    from session_manager_permissions._readiness.rules.changes import Step

    from .reports import Check


def findings(path: Path) -> list[Finding]:
    return [
        finding
        for app in apps([str(path)])
        for finding in judge(app.assembly, network=True)[0]
        if finding.rule not in {CANNOT_BE_KNOWN, READY}  # nothing in a template tells these
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


@pytest.mark.parametrize(
    ("build", "rule"), [pytest.param(*row, id=row[0].__name__) for row in FAULTS]
)
def test_the_steps_mend_what_an_app_makes(
    build: Callable[[cdk.Stack], object], rule: str, tmp_path: Path
) -> None:
    app = cdk.App(outdir=str(tmp_path))
    build(cdk.Stack(app, "Stack"))
    app.synth()

    assert rule in assert_the_steps_mend(tmp_path)


@pytest.mark.parametrize("name", INCLUDED)
def test_the_steps_mend_a_template(name: str, tmp_path: Path) -> None:
    rule, body = INCLUDED[name]
    file = tmp_path / "template.json"
    file.write_text(json.dumps(body))

    assert rule in assert_the_steps_mend(file)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_the_steps_mend_a_template_of_others(path: Path, tmp_path: Path) -> None:
    file = tmp_path / path.name
    file.write_text(path.read_text(encoding="utf-8"))

    assert_the_steps_mend(file)


def test_what_the_steps_say(check: Check, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    page = []
    for cause, bodies in EXAMPLES.items():
        check(*bodies, a="1", b="1")
        names = [f"{name}.template.json" for name, _ in zip("ab", bodies, strict=False)]
        files = [str(tmp_path / name) for name in names]
        page += [
            f"{cause}: {one.rule}\n  {step.text}\n"
            for one in judge(Assembly(files), network=True)[0]
            for step in one.steps
        ]

    assert "\n".join(page) == snapshot(extension_class=Text)
