"""What policies answer; the shapes that a simulator can be asked about are in `policy_table`."""

from __future__ import annotations

from typing import Any

import pytest

from session_manager_permissions._needs import REGISTRATION_RESOURCES
from session_manager_permissions._readiness.policies import (
    Answer,
    Decision,
    Statement,
    anything,
    decide,
    statements,
    within,
)

from .policy_table import KEY, RESOURCE_ROWS, ResourceRow, allow, deny, document, not_actions

ACTION = "ssm:UpdateInstanceInformation"
MAYBE_ALL = {"Ref": "Parameter"}


def read(*written: object) -> list[Statement]:
    return statements({"Statement": list(written)}, "test")


def answer(*written: object, resource: str | tuple[str, ...] = "*") -> Answer:
    return decide(read(*written), ACTION, resource).answer


@pytest.mark.parametrize("row", RESOURCE_ROWS, ids=lambda row: row.name)
def test_answer_on_a_resource(row: ResourceRow) -> None:
    found = statements(document(row.statements), row.name)

    assert decide(found, row.action, row.resource).answer is row.answer


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (allow(ACTION, on=MAYBE_ALL), Answer.UNKNOWN),
        (allow(ACTION, on=[MAYBE_ALL, "*"]), Answer.ALLOWED),
        (allow(ACTION, on={"Fn::Sub": "arn:${AWS::Partition}:s3:::b"}), Answer.IMPLICIT_DENY),
        (allow(ACTION, on={"Fn::If": ["C", "*", "arn:aws:s3:::b"]}), Answer.UNKNOWN),
        (allow(ACTION, on=[]), Answer.EXPLICIT_DENY),
        (allow(MAYBE_ALL), Answer.UNKNOWN),
        (allow({"Fn::Sub": "s3:${A}"}), Answer.IMPLICIT_DENY),
        (allow({"Fn::Sub": "ssm:${A}"}), Answer.UNKNOWN),
        (allow({"Fn::If": ["C", ACTION, "s3:*"]}), Answer.UNKNOWN),
        (not_actions("Allow", MAYBE_ALL), Answer.UNKNOWN),
        (not_actions("Allow", "ssm:*", MAYBE_ALL), Answer.IMPLICIT_DENY),
        ({"Effect": "Allow", "Action": "*", "NotResource": MAYBE_ALL}, Answer.UNKNOWN),
        ({"Effect": "Allow", "Resource": "*"}, Answer.EXPLICIT_DENY),
        ({"Effect": "Allow", "Action": "*"}, Answer.EXPLICIT_DENY),
        ({"Effect": MAYBE_ALL, "Action": "*", "Resource": "*"}, Answer.UNKNOWN),
        ({"Fn::If": ["C", allow("*"), {"Ref": "AWS::NoValue"}]}, Answer.UNKNOWN),
        ({"Fn::If": ["C", allow("s3:*"), deny("iam:*")]}, Answer.IMPLICIT_DENY),
        ("malformed", Answer.EXPLICIT_DENY),
        (["malformed"], Answer.UNKNOWN),
    ],
)
def test_answer_where_a_template_has_functions(written: object, expected: Answer) -> None:
    assert answer(written) is expected


def test_a_statement_that_cannot_be_read_does_not_hide_the_next() -> None:
    assert answer({"Fn::Transform": {"Name": "Macro"}}, deny(ACTION)) is Answer.EXPLICIT_DENY


@pytest.mark.parametrize("written", [None, "{}", {"Ref": "Policy"}, []])
def test_document_that_cannot_be_read_may_say_anything(written: object) -> None:
    found = statements(written, "the policy")

    assert found == anything("the policy")
    assert decide(found, ACTION, "*") == Decision(Answer.UNKNOWN, tuple(found))
    assert decide([*read(allow("*")), *found], ACTION, "*").by == (found[1],)


def test_policy_that_denies_nothing_leaves_what_others_allow() -> None:
    found = [*read(allow("*")), *anything("AWS's", may_deny=False)]

    assert decide(found, ACTION, "*") == Decision(Answer.ALLOWED)


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
