"""What `check` says to change, done to the template, makes the finding go, and raises no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from session_manager_permissions._readiness.check import check as judge
from session_manager_permissions._readiness.templates import Assembly

from .faults import IN_WORDS, INCLUDED, OF_CONSTRUCTS, WITH_BUCKET, in_either
from .mending import TEMPLATES, assert_the_steps_mend, said
from .policy_table import ALL
from .reports import inline, machine, profile_and_role
from .test_what_findings_say import EXAMPLES, GRANT, Text, endpoint, isolated, session
from .test_what_findings_say import MACHINE as PROFILE

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from .reports import Check


@pytest.mark.parametrize("name", [*INCLUDED, *OF_CONSTRUCTS])
def test_the_steps_mend_a_template(name: str, tmp_path: Path) -> None:
    rule, body = (INCLUDED | OF_CONSTRUCTS)[name]
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
    "the VPC": ("no-network-path", isolated(), "Vpc",
                "make VPC endpoints of ssm and ssmmessages where the subnets are defined"),
    "the VPC of route tables": (
        "endpoint-missing", isolated(**BY_ENDPOINTS, **WITH_BUCKET), "Vpc",
        "make VPC endpoints of s3 where the VPC is defined"),
    "the VPC of a security group": (
        "endpoint-unreachable",
        isolated(**BY_ENDPOINTS | {"Ssm": endpoint("ssm", SecurityGroupIds=[{"Ref": "Group"}])}),
        "Vpc", "admit TCP 443 from the VPC to one of them, where it is defined"),
    "the bucket of a document": (
        "log-lost",
        profile_and_role(inline(ALL), Bucket={"Type": "AWS::S3::Bucket"},
                         Document=session(s3BucketName={"Ref": "Bucket"})),
        "Bucket", "allow the role 'Role' to use 'Bucket', of another template"),
}  # fmt: skip
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

    assert said("tags-match-nothing", file) == ["give Machine the tag 'Team' with 'web'"]


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
