"""What `check` says to change, done to the template, makes the finding go, and raises no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import pytest

from session_manager_permissions._network.verdicts import (
    ENDPOINT_MISSING,
    ENDPOINT_UNREACHABLE,
    NO_NETWORK_PATH,
)
from session_manager_permissions._readiness.apps import apps
from session_manager_permissions._readiness.check import check as judge
from session_manager_permissions._readiness.rules import (
    CANNOT_BE_KNOWN,
    LOG_LOST,
    READY,
    TAGS_MATCH_NOTHING,
)
from session_manager_permissions._readiness.templates import Assembly

from .policy_table import ALL
from .reports import inline, machine, profile_and_role
from .test_fixes import FAULTS, IN_WORDS, INCLUDED, TEMPLATES, WITH_BUCKET, in_either
from .test_what_findings_say import EXAMPLES, GRANT, Text, endpoint, isolated, session
from .test_what_findings_say import MACHINE as PROFILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from session_manager_permissions._readiness.rules import Finding
    from session_manager_permissions._readiness.rules.steps import Step

    from .reports import Check


def findings(*paths: Path) -> list[Finding]:
    return [
        finding
        for app in apps([*map(str, paths)])
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


def said(rule: str, *paths: Path) -> list[str]:
    """The steps of a rule's findings, none of which changes a template."""
    found = [one for one in findings(*paths) if one.rule == rule]
    steps = [step for one in found for step in one.steps]
    assert found
    assert all(step.template is None for step in steps)
    return [step.text for step in steps]


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


EITHER_TAG: Final = {"Fn::If": ["C", [{"Key": "A", "Value": "a"}], [{"Key": "B", "Value": "b"}]]}
BY_ENDPOINTS: Final = {"Ssm": endpoint("ssm"), "Messages": endpoint("ssmmessages")}
IN_OTHERS: Final[dict[str, tuple[str, dict[str, Any], str, str]]] = {
    "the VPC": (
        NO_NETWORK_PATH,
        isolated(),
        "Vpc",
        "make VPC endpoints of ssm and ssmmessages where the subnets are defined",
    ),
    "the VPC of route tables": (
        ENDPOINT_MISSING,
        isolated(**BY_ENDPOINTS, **WITH_BUCKET),
        "Vpc",
        "make VPC endpoints of s3 where the VPC is defined",
    ),
    "the VPC of a security group": (
        ENDPOINT_UNREACHABLE,
        isolated(**BY_ENDPOINTS | {"Ssm": endpoint("ssm", SecurityGroupIds=[{"Ref": "Group"}])}),
        "Vpc",
        "admit TCP 443 from the VPC to one of them, where it is defined",
    ),
    "the bucket of a document": (
        LOG_LOST,
        profile_and_role(
            inline(ALL),
            Bucket={"Type": "AWS::S3::Bucket"},
            Document=session(s3BucketName={"Ref": "Bucket"}),
        ),
        "Bucket",
        "allow the role 'Role' to use 'Bucket', of another template",
    ),
}
"""A template, what of it is in another one, and what the step says then."""


@pytest.mark.parametrize("name", IN_OTHERS)
def test_a_step_names_what_another_template_defines(name: str, tmp_path: Path) -> None:
    rule, body, apart, says = IN_OTHERS[name]
    resources = dict(body["Resources"])
    exported = {
        "Resources": {apart: resources.pop(apart)},
        "Outputs": {"Out": {"Value": {"Ref": apart}, "Export": {"Name": apart}}},
    }
    rest = json.dumps({"Resources": resources})
    (tmp_path / "a.json").write_text(json.dumps(exported))
    (tmp_path / "b.json").write_text(
        rest.replace(json.dumps({"Ref": apart}), json.dumps({"Fn::ImportValue": apart}))
    )

    assert said(rule, tmp_path / "a.json", tmp_path / "b.json") == [says]


@pytest.mark.parametrize("name", IN_WORDS)
def test_what_no_step_can_mend_is_said_in_words(name: str, tmp_path: Path) -> None:
    rule, body, says = IN_WORDS[name]
    file = tmp_path / "template.json"
    file.write_text(json.dumps(in_either(body)))

    assert all(says in one for one in said(rule, file))


def test_tags_that_a_condition_chooses_are_left_to_who_writes_them(tmp_path: Path) -> None:
    server = machine(**PROFILE, Tags=EITHER_TAG)
    file = tmp_path / "template.json"
    file.write_text(
        json.dumps(in_either(profile_and_role(inline(ALL), Machine=server, Grant=GRANT)))
    )

    assert said(TAGS_MATCH_NOTHING, file) == ["give Machine the tag 'Team' with 'web'"]


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
