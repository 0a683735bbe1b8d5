"""What policies answer; the shapes that a simulator can be asked about are in `policy_table`."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from session_manager_permissions._needs import REGISTRATION_RESOURCES
from session_manager_permissions._readiness import policies
from session_manager_permissions._readiness.policies import (
    Answer,
    Decision,
    Statement,
    anything,
    decide,
    within,
)
from session_manager_permissions._readiness.templates import Assembly

from .policy_table import KEY, RESOURCE_ROWS, ResourceRow, allow, deny, document, not_actions

if TYPE_CHECKING:
    from pathlib import Path

ACTION = "ssm:UpdateInstanceInformation"
MAYBE_ALL = {"Ref": "Parameter"}


def read(*written: object) -> list[Statement]:
    return policies.read({"Statement": list(written)}, "test")


def answer(*written: object, resource: str | tuple[str, ...] = "*") -> Answer:
    return decide(read(*written), ACTION, resource).answer


@pytest.mark.parametrize("row", RESOURCE_ROWS, ids=lambda row: row.name)
def test_answer_on_a_resource(row: ResourceRow) -> None:
    found = policies.read(document(row.statements), row.name)

    assert decide(found, row.action, row.resource).answer is row.answer


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (allow(ACTION, on=MAYBE_ALL), Answer.UNKNOWN),
        (allow(ACTION, on=[MAYBE_ALL, "*"]), Answer.ALLOWED),
        (allow(ACTION, on={"Fn::Sub": "arn:${AWS::Partition}:s3:::b"}), Answer.IMPLICIT_DENY),
        (allow(ACTION, on=[]), Answer.UNKNOWN),
        (allow(MAYBE_ALL), Answer.UNKNOWN),
        (allow({"Fn::Sub": "s3:${A}"}), Answer.IMPLICIT_DENY),
        (allow({"Fn::Sub": "ssm:${A}"}), Answer.UNKNOWN),
        (allow("ssm:*${"), Answer.IMPLICIT_DENY),
        (not_actions("Allow", MAYBE_ALL), Answer.UNKNOWN),
        (not_actions("Allow", "ssm:*", MAYBE_ALL), Answer.IMPLICIT_DENY),
        ({"Effect": "Allow", "Action": "*", "NotResource": MAYBE_ALL}, Answer.UNKNOWN),
        # what IAM refuses makes the deployment fail, and IAM says so
        ({"Effect": "Allow", "Resource": "*"}, Answer.UNKNOWN),
        ({"Effect": "Allow", "Action": "*"}, Answer.UNKNOWN),
        ({"Effect": "allow", "Action": "*", "Resource": "*"}, Answer.UNKNOWN),
        ("malformed", Answer.IMPLICIT_DENY),
        (["malformed"], Answer.IMPLICIT_DENY),
        # of other functions nothing is known
        ({"Effect": MAYBE_ALL, "Action": "*", "Resource": "*"}, Answer.UNKNOWN),
        ({"Effect": MAYBE_ALL, "Action": "s3:*", "Resource": "*"}, Answer.IMPLICIT_DENY),
        (allow("*") | {"Effect": {"Fn::Join": ["", ["Al", "low"]]}}, Answer.ALLOWED),
        (allow("*", Condition=MAYBE_ALL), Answer.UNKNOWN),
        (allow("*", Action=MAYBE_ALL), Answer.UNKNOWN),
        (allow("*", Resource={"Fn::Split": [",", MAYBE_ALL]}), Answer.UNKNOWN),
        (allow("*", Resource={"Fn::If": ["C", "*"]}), Answer.UNKNOWN),
        (MAYBE_ALL, Answer.UNKNOWN),
    ],
)
def test_answer_where_a_template_has_functions(written: object, expected: Answer) -> None:
    assert answer(written) is expected


BUCKETS = {
    "Bucket": {"Type": "AWS::S3::Bucket"},
    "Key": {"Type": "AWS::KMS::Key"},
    "Custom": {"Type": "Custom::Bucket"},
    "Machine": {"Type": "AWS::EC2::Instance"},
}


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, Answer.IMPLICIT_DENY),
        ({"Fn::Join": ["", [{"Fn::GetAtt": ["Bucket", "Arn"]}, "/*"]]}, Answer.IMPLICIT_DENY),
        ({"Fn::GetAtt": ["Key", "Arn"]}, Answer.IMPLICIT_DENY),
        (["arn:aws:s3:::a", {"Fn::GetAtt": ["Bucket", "Arn"]}], Answer.IMPLICIT_DENY),
        ([{"Fn::GetAtt": ["Bucket", "Arn"]}, MAYBE_ALL], Answer.UNKNOWN),
        ({"Fn::GetAtt": ["Custom", "Arn"]}, Answer.UNKNOWN),
        ({"Fn::GetAtt": ["Machine", "Arn"]}, Answer.UNKNOWN),
        ({"Fn::GetAtt": ["Bucket", "DomainName"]}, Answer.UNKNOWN),
        ({"Fn::GetAtt": ["Missing", "Arn"]}, Answer.UNKNOWN),
        ({"Fn::GetAtt": ["Bucket", MAYBE_ALL]}, Answer.UNKNOWN),
        ({"Fn::Sub": "arn:${AWS::Partition}:s3:::${Name}"}, Answer.IMPLICIT_DENY),
        ({"Fn::Sub": "arn:${AWS::Partition}:sqs:${AWS::Region}:*:a"}, Answer.IMPLICIT_DENY),
        ({"Fn::Sub": "arn:aws:ec2:*:*:${Kind}/*"}, Answer.UNKNOWN),
    ],
)
def test_answer_on_a_resource_of_the_template(tmp_path: Path, on: object, expected: Answer) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"Resources": BUCKETS}))
    assembly = Assembly([str(path)])
    known = partial(assembly.text, *assembly.templates)
    found = policies.read({"Statement": allow("*", on=on)}, "test", known)

    assert decide(found, ACTION, REGISTRATION_RESOURCES).answer is expected


def test_a_statement_that_cannot_be_read_does_not_hide_the_next() -> None:
    assert answer({"Fn::Transform": {"Name": "Macro"}}, deny(ACTION)) is Answer.EXPLICIT_DENY


@pytest.mark.parametrize("written", [None, "text", {"Ref": "Policy"}, []])
def test_document_that_cannot_be_read_may_say_anything(written: object) -> None:
    found = policies.read(written, "the policy")

    assert found == anything("the policy")
    assert decide(found, ACTION, "*") == Decision(Answer.UNKNOWN, tuple(found))
    assert decide([*read(allow("*")), *found], ACTION, "*").by == (found[1],)


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("*", Answer.ALLOWED),
        ("arn:aws:ec2:*:*:instance/*", Answer.UNKNOWN),
        ("arn:aws:ssm:eu-west-1:111122223333:managed-instance/mi-1", Answer.UNKNOWN),
        ("arn:aws:ssm:*", Answer.UNKNOWN),
        ("arn:aws:ec2:eu-west-1:*", Answer.UNKNOWN),
        ("arn:aws:ssm:*:*:parameter/*", Answer.IMPLICIT_DENY),
        ("arn:aws:ec2:*:*:volume/*", Answer.IMPLICIT_DENY),
        ("arn:aws:ec2:*:*:managed-instance/*", Answer.IMPLICIT_DENY),
        ("arn:aws:ssm:*:*:instance/*", Answer.IMPLICIT_DENY),
        ("arn:aws:ec2:*:*:instance", Answer.IMPLICIT_DENY),
        ("arn:aws:ec2:*:*:inst?nce/i-0", Answer.UNKNOWN),
        ("arn:aws:ec2:*:*:inst?ance/i-0", Answer.IMPLICIT_DENY),
        ("arn:aws:ec2:*:*:instance*/i-*", Answer.UNKNOWN),
        ("arn:aws:ec2:*:*:*/i-????????", Answer.UNKNOWN),
        ("arn:aws:ec2:*:*:instance/i-1/x", Answer.IMPLICIT_DENY),
        ("arn:aws:*:*:*:*", Answer.UNKNOWN),
        ({"Fn::Sub": "arn:${AWS::Partition}:ec2:*:*:instance/*"}, Answer.UNKNOWN),
        (MAYBE_ALL, Answer.UNKNOWN),
        ("arn:aws:s3:::bucket/*", Answer.IMPLICIT_DENY),
        ("arn:aws:ec?:*:*:instance/*", Answer.UNKNOWN),
    ],
)
def test_answer_on_a_resource_that_is_not_known(resource: object, expected: Answer) -> None:
    assert answer(allow(ACTION, on=resource), resource=REGISTRATION_RESOURCES) is expected


def test_decision_names_the_statements_that_deny() -> None:
    found = read(allow("*"), deny("ssm:*", Sid="First"), deny("*", Sid="Second"), deny("s3:*"))

    decision = decide(found, ACTION, "*")

    assert [statement.sid for statement in decision.by] == ["First", "Second"]


def test_decision_names_the_statements_that_leave_it_open() -> None:
    condition: dict[str, Any] = {"Bool": {"aws:SecureTransport": "false"}}
    found = read(
        allow("*", Sid="Open", Condition=condition), deny("*", Sid="Denies", Condition=condition)
    )

    assert [one.sid for one in decide(found, ACTION, "*").by] == ["Open", "Denies"]
    assert [one.sid for one in decide([*found, *read(allow("*"))], ACTION, "*").by] == ["Denies"]


ANSWERS = [Answer.ALLOWED, Answer.UNKNOWN, Answer.IMPLICIT_DENY, Answer.EXPLICIT_DENY]


@pytest.mark.parametrize("identity", ANSWERS)
@pytest.mark.parametrize("boundary", ANSWERS)
def test_boundary_takes_away_and_never_gives(identity: Answer, boundary: Answer) -> None:
    by = tuple(read(allow("*")))

    found = within(Decision(identity), Decision(boundary, by))

    stricter = max(ANSWERS.index(identity), ANSWERS.index(boundary))
    assert found.answer is ANSWERS[stricter]
    assert found.by == (by if found.answer is boundary else ())


def test_sid_with_a_function_is_read_as_far_as_known() -> None:
    (found,) = read(allow("*", Sid={"Fn::Sub": "For${Name}"}))

    assert found.sid == "For"


def test_case_of_a_resource_counts() -> None:
    assert answer(allow(ACTION, on=KEY.replace("b", "B")), resource=KEY) is Answer.IMPLICIT_DENY
    assert answer(allow(ACTION.upper(), on=KEY), resource=KEY) is Answer.ALLOWED
