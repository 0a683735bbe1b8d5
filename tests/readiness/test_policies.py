"""What policies answer; the shapes that a simulator can be asked about are in `policy_table`."""

from __future__ import annotations

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
from session_manager_permissions._readiness.templates import Stack, Template

from .policy_table import KEY, RESOURCE_ROWS, ResourceRow, allow, deny, document, not_actions

if TYPE_CHECKING:
    from pathlib import Path

ACTION = "ssm:UpdateInstanceInformation"
MAYBE_ALL = {"Ref": "Parameter"}


def read(*written: object) -> list[Statement]:
    return policies.read({"Statement": list(written)}, "test").statements


def answer(*written: object, resource: str | tuple[str, ...] = "*") -> Answer:
    return decide(read(*written), ACTION, resource).answer


@pytest.mark.parametrize("row", RESOURCE_ROWS, ids=lambda row: row.name)
def test_answer_on_a_resource(row: ResourceRow) -> None:
    found = policies.read(document(row.statements), row.name).statements

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
        (allow("ssm:*${"), Answer.IMPLICIT_DENY),
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


NO_VALUE = {"Ref": "AWS::NoValue"}


def either(one: object, other: object = NO_VALUE, condition: str = "C") -> dict[str, Any]:
    return {"Fn::If": [condition, one, other]}


def without(written: dict[str, Any], *names: str, **more: object) -> dict[str, Any]:
    return {**{name: value for name, value in written.items() if name not in names}, **more}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        # elements that are there in no deployment, and in some
        (allow("*", NotAction=NO_VALUE), Answer.ALLOWED),
        (allow("*", NotResource=NO_VALUE), Answer.ALLOWED),
        (allow("*", Condition=NO_VALUE), Answer.ALLOWED),
        (allow("*", Condition=either({})), Answer.ALLOWED),
        (allow("*", Condition=either({"Bool": {"aws:SecureTransport": "true"}})), Answer.UNKNOWN),
        (allow("s3:*", NotAction=NO_VALUE), Answer.IMPLICIT_DENY),
        (allow(NO_VALUE, ACTION), Answer.ALLOWED),
        (without(allow(), "Action", NotAction=either("s3:*")), Answer.UNKNOWN),
        (without(allow(), "Action", NotAction=either("s3:*", "iam:*")), Answer.ALLOWED),
        (without(allow(), "Action", NotAction=either("*", "ssm:*")), Answer.IMPLICIT_DENY),
        (without(allow("*"), "Resource", NotResource=either(KEY, [KEY])), Answer.ALLOWED),
        (without(allow("*"), "Resource", NotResource=either("*", "*")), Answer.IMPLICIT_DENY),
        (
            allow(Action=either("*"), NotAction=either(NO_VALUE, "s3:*")),
            Answer.ALLOWED,
        ),
        (
            allow(Action=either("*"), NotAction=either(NO_VALUE, "ssm:*")),
            Answer.UNKNOWN,
        ),
        # the same in both branches
        (either(allow("*"), allow("ssm:*")), Answer.ALLOWED),
        (either(allow("*"), deny("*")), Answer.UNKNOWN),
        (either(deny("*"), deny("ssm:*")), Answer.EXPLICIT_DENY),
        (either(deny("*"), allow("s3:*")), Answer.IMPLICIT_DENY),
        (either(either(allow("*"), deny("s3:*")), allow("*")), Answer.ALLOWED),
        (either(either(allow("*"), allow("*"), "D"), deny("*")), Answer.UNKNOWN),
        (allow(Action=either("ssm:*", ["ssm:Update*", "s3:*"])), Answer.ALLOWED),
        (allow(either("ssm:*", ["ssm:Update*"])), Answer.UNKNOWN),  # a list in a list
        (allow(ACTION, on=either("*", ["*"])), Answer.ALLOWED),
        (allow({"Fn::Sub": ["${A}:*", {"A": either("ssm", "s3")}]}), Answer.UNKNOWN),
        # of other functions nothing is known
        (without(allow("*"), Effect=MAYBE_ALL), Answer.UNKNOWN),
        (without(allow("s3:*"), Effect=MAYBE_ALL), Answer.IMPLICIT_DENY),
        (without(allow("*"), Effect=either("Allow", "Allow")), Answer.ALLOWED),
        (without(allow("*"), Effect={"Fn::Join": ["", ["Al", "low"]]}), Answer.ALLOWED),
        (allow("*", Condition=MAYBE_ALL), Answer.UNKNOWN),
        (allow("*", Action=MAYBE_ALL), Answer.UNKNOWN),
        (allow("*", Resource={"Fn::Split": [",", MAYBE_ALL]}), Answer.UNKNOWN),
        (allow("*", Resource={"Fn::If": ["C", "*"]}), Answer.UNKNOWN),
        (MAYBE_ALL, Answer.UNKNOWN),
        # a deployment that fails gives nobody anything
        (either(allow(Action="ssm"), allow("s3:*")), Answer.IMPLICIT_DENY),
        (either(allow(Action="ssm"), allow("*")), Answer.UNKNOWN),
        (allow("*", NotAction=either("s3:*")), Answer.UNKNOWN),
        (allow("*", NotAction=either("s3:*", "iam:*")), Answer.EXPLICIT_DENY),
    ],
)
def test_answer_where_conditions_of_the_template_decide(
    written: dict[str, Any], expected: Answer
) -> None:
    assert answer(written) is expected


def test_answer_where_statements_depend_on_one_condition() -> None:
    both = either(allow("*")), either(NO_VALUE, allow("ssm:*"))

    assert answer(*both) is Answer.ALLOWED
    assert answer(*both, either(deny("*"), NO_VALUE, "D")) is Answer.UNKNOWN
    assert answer(both[0], either(NO_VALUE, allow("*"), "D")) is Answer.UNKNOWN


def test_answer_where_documents_depend_on_one_condition(tmp_path: Path) -> None:
    one, other = (Template(tmp_path / name, {}, Stack()) for name in ("a.json", "b.json"))
    first = {"Statement": [either(allow("*"), allow("s3:*"))]}
    second = {"Statement": [either(allow("s3:*"), allow("*"))]}

    def answer_in(*templates: Template) -> Answer:
        found = [
            statement
            for written, template in zip((first, second), templates, strict=True)
            for statement in policies.read(written, "test", template).statements
        ]
        return decide(found, ACTION, "*").answer

    assert answer_in(one, one) is Answer.ALLOWED
    # conditions of one name in two templates are two conditions
    assert answer_in(one, other) is Answer.UNKNOWN


def test_answer_on_a_whole_document_that_is_a_function() -> None:
    document_of = either({"Statement": allow("*")}, {"Statement": [allow("ssm:*")]})

    assert (
        decide(policies.read(document_of, "test").statements, ACTION, "*").answer is Answer.ALLOWED
    )


def test_decision_names_what_a_condition_of_the_template_decides() -> None:
    found = read(either(allow("*", Sid="Some")), allow("s3:*", Sid="Other"))

    assert [one.sid for one in decide(found, ACTION, "*").by] == ["Some"]


def test_decision_names_no_condition_that_changes_nothing() -> None:
    found = read(deny("*", Sid="All"), either(allow("*", Sid="Some"), NO_VALUE))

    assert decide(found, ACTION, "*") == Decision(Answer.EXPLICIT_DENY, (found[0],))


@pytest.mark.parametrize(("number", "expected"), [(6, Answer.ALLOWED), (7, Answer.UNKNOWN)])
def test_many_conditions_in_a_document_are_not_known(number: int, expected: Answer) -> None:
    chosen = [either(allow("*"), allow("ssm:*"), f"C{index}") for index in range(number)]

    assert answer(*chosen) is expected


@pytest.mark.parametrize(("number", "expected"), [(6, Answer.ALLOWED), (7, Answer.UNKNOWN)])
def test_many_conditions_in_documents_are_not_known(number: int, expected: Answer) -> None:
    found = [
        statement
        for index in range(number)
        for statement in read(either(allow("ssm:*"), allow("ssm:Update*"), f"C{index}"))
    ]

    assert decide(found, ACTION, "*").answer is expected
    assert decide([*found, *read(allow("*"))], ACTION, "*").answer is Answer.ALLOWED


def test_condition_that_makes_no_difference_is_left_out() -> None:
    found = read(either(allow("*"), allow("s3:*")), either(allow("*"), allow("*"), "D"))

    assert [len(one.when) for one in found] == [1, 1]
    assert [len(next(iter(one.when))) for one in found] == [0, 1]


def test_document_is_read_to_any_depth() -> None:
    deep: object = allow("*")
    for _ in range(100):
        deep = either(deep, allow("*"))

    assert answer(deep) is Answer.ALLOWED


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
    template = Template(tmp_path / "a.json", {"Resources": BUCKETS}, Stack())
    found = policies.read({"Statement": allow("*", on=on)}, "test", template).statements

    assert decide(found, ACTION, REGISTRATION_RESOURCES).answer is expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (document([allow(Action="ssm")]), True),
        (document([allow("*")]), False),
        (either(document([allow(Action="ssm")]), document([])), True),
        (either(document([allow(Action="ssm")]), document([allow("*")])), False),
        (document([allow("*"), either(allow(Action="ssm"), allow(Action="s3"))]), True),
        (document([allow("*"), either(allow(Action="ssm"))]), False),
        (document([allow(Action=":Get")]), False),
        ("{}", False),
        (None, False),
        ({"Ref": "Document"}, False),
    ],
)
def test_document_is_refused_where_every_deployment_has_it_refused(
    written: object, *, expected: bool
) -> None:
    assert (policies.read(written, "test").refused is not None) is expected


def test_a_statement_that_cannot_be_read_does_not_hide_the_next() -> None:
    assert answer({"Fn::Transform": {"Name": "Macro"}}, deny(ACTION)) is Answer.EXPLICIT_DENY


@pytest.mark.parametrize("written", [None, "{}", {"Ref": "Policy"}, []])
def test_document_that_cannot_be_read_may_say_anything(written: object) -> None:
    found = policies.read(written, "the policy").statements

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
