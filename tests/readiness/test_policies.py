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
from session_manager_permissions._readiness.rules import CANNOT_BE_KNOWN, CHANNEL_MISSING
from session_manager_permissions._readiness.templates import Assembly

from .policy_table import (
    CHANNELS_ONLY,
    KEY,
    NO_REGISTRATION,
    READY,
    RESOURCE_ROWS,
    UNKNOWN,
    ResourceRow,
    allow,
    deny,
    document,
    not_actions,
)
from .reports import Check, inline, profile_and_role

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
    condition: dict[str, Any] = {"Bool": {"aws:ViaAWSService": "false"}}
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


HERE = "arn:aws:ec2:eu-west-1:111122223333:instance/*"
OF_STACK = "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/"
REGISTRATION: list[tuple[str, dict[str, Any], frozenset[str]]] = [
    ("each instance", allow(ACTION, on="arn:aws:ec2:*:*:instance/*"), READY),
    ("each instance, by its id", allow(ACTION, on="arn:*:ec2:*:*:instance/i-*"), READY),
    ("whatever is of EC2", allow(ACTION, on="arn:aws:ec2:*"), READY),
    ("those of the stack", allow(ACTION, on={"Fn::Sub": f"{OF_STACK}*"}), READY),
    ("those of a list", allow(ACTION, on=["arn:aws:s3:::b", {"Fn::Sub": f"{OF_STACK}*"}]), READY),
    ("those of the account and region", allow(ACTION, on=HERE), READY),
    ("those of another region", allow(ACTION, on=HERE.replace("-1:", "-2:")), UNKNOWN),
    ("those of another account", allow(ACTION, on=HERE.replace("111122", "999922")), UNKNOWN),
    ("those of another partition", allow(ACTION, on="arn:aws-cn:ec2:*:*:instance/*"), UNKNOWN),
    ("some", allow(ACTION, on="arn:aws:ec2:*:*:instance/i-0*"), UNKNOWN),
    ("those with short ids", allow(ACTION, on=f"arn:aws:ec2:*:*:instance/i-{'?' * 8}"), UNKNOWN),
    ("one of a parameter", allow(ACTION, on={"Fn::Sub": f"{OF_STACK}${{Id}}"}), UNKNOWN),
    (
        "the principal's",
        allow(ACTION, on="arn:aws:ec2:*:*:instance/${aws:PrincipalTag/i}"),
        UNKNOWN,
    ),
    ("hybrid nodes", allow(ACTION, on="arn:aws:ssm:*:*:managed-instance/*"), UNKNOWN),
    ("each, on a condition", allow(ACTION, on=HERE, Condition={"Bool": {"a:b": "c"}}), UNKNOWN),
    ("all but each", {"Effect": "Allow", "Action": ACTION, "NotResource": HERE}, UNKNOWN),
    ("other actions", allow("ssm:GetParameter", on=HERE), NO_REGISTRATION),
]


@pytest.mark.parametrize(
    ("statement", "expected"), [pytest.param(*row[1:], id=row[0]) for row in REGISTRATION]
)
def test_registration_of_instances(
    check: Check, statement: dict[str, Any], expected: frozenset[str]
) -> None:
    found = check(profile_and_role(inline(CHANNELS_ONLY, statement)), a="111122223333")

    assert found.rules == expected


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("arn:aws:ec2:*:*:instance/*", READY),
        ("arn:aws-cn:ec2:*:*:instance/*", READY),
        ({"Fn::Sub": f"{OF_STACK}*"}, READY),
        ({"Fn::Sub": f"{OF_STACK.replace('${AWS::Partition}', 'aws')}*"}, READY),
        ("arn:aws:ec2:*:*:instance/i-0*", UNKNOWN),
        ("arn:aws:ec2:eu-west-1:*:instance/*", UNKNOWN),
        ("arn:aws:*", READY),
        ("arn:*:ec2:*:*:instance/*", READY),
        ("arn:???:ec2:*:*:instance/*", UNKNOWN),
        ("arn:", NO_REGISTRATION),
    ],
)
def test_registration_of_instances_in_any_region(
    check: Check, on: object, expected: frozenset[str]
) -> None:
    body = profile_and_role(inline(CHANNELS_ONLY, allow(ACTION, on=on)))

    assert check(body, region="unknown-region").rules == expected


def test_registration_of_instances_where_the_app_has_another_region(check: Check) -> None:
    """A profile is of no region, and an instance of another stack may have it."""
    body = profile_and_role(inline(CHANNELS_ONLY, allow(ACTION, on=HERE)))

    assert check(body, {"Resources": {}}, a="111122223333", b="444455556666").rules == UNKNOWN


def test_each_instance_is_no_resource_of_the_channels(check: Check) -> None:
    body = profile_and_role(inline(allow("*", on="arn:aws:ec2:*:*:instance/*")))

    assert check(body).rules == {CHANNEL_MISSING}


def test_finding_says_that_the_resource_decides(check: Check) -> None:
    body = profile_and_role(
        inline(CHANNELS_ONLY, allow(ACTION, on="arn:aws:ec2:*:*:instance/i-0*"))
    )
    found = check(body).only(CANNOT_BE_KNOWN)

    assert found.description.endswith(
        "an inline policy of 'Role', whose Resource may not be the instance"
    )
