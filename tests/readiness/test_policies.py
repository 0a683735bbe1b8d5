"""What policies answer; the shapes that a simulator can be asked about are in `policy_table`."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

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

from .judging import att, ref, resource, rows
from .policy_table import (
    ALL,
    AWS,
    CHANNELS_ONLY,
    DENIED,
    NEITHER,
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
from .reports import Check, inline, managed_policy, profile_and_role

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


BUCKET_ARN = att("Bucket", "Arn")


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (BUCKET_ARN, Answer.IMPLICIT_DENY),
        ({"Fn::Join": ["", [BUCKET_ARN, "/*"]]}, Answer.IMPLICIT_DENY),
        (att("Key", "Arn"), Answer.IMPLICIT_DENY),
        (["arn:aws:s3:::a", BUCKET_ARN], Answer.IMPLICIT_DENY),
        ([BUCKET_ARN, MAYBE_ALL], Answer.UNKNOWN),
        (att("Custom", "Arn"), Answer.UNKNOWN),
        (att("Machine", "Arn"), Answer.UNKNOWN),
        (att("Bucket", "DomainName"), Answer.UNKNOWN),
        (att("Missing", "Arn"), Answer.UNKNOWN),
        ({"Fn::GetAtt": ["Bucket", MAYBE_ALL]}, Answer.UNKNOWN),
        ({"Fn::Sub": "arn:${AWS::Partition}:s3:::${Name}"}, Answer.IMPLICIT_DENY),
        ({"Fn::Sub": "arn:${AWS::Partition}:sqs:${AWS::Region}:*:a"}, Answer.IMPLICIT_DENY),
        ({"Fn::Sub": "arn:aws:ec2:*:*:${Kind}/*"}, Answer.UNKNOWN),
    ],
)
def test_answer_on_a_resource_of_the_template(tmp_path: Path, on: object, expected: Answer) -> None:
    kinds = {"Bucket": "AWS::S3::Bucket", "Key": "AWS::KMS::Key", "Custom": "Custom::Bucket"}
    kinds |= {"Machine": "AWS::EC2::Instance"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"Resources": {name: resource(of) for name, of in kinds.items()}}))
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


HERE = "arn:aws:ec2:eu-west-1:111122223333:instance/*"
OF_STACK = "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/"
REGISTRATION: list[tuple[str, object, frozenset[str]]] = [
    ("each instance", "arn:aws:ec2:*:*:instance/*", READY),
    ("each instance, by its id", "arn:*:ec2:*:*:instance/i-*", READY),
    ("those of the stack", {"Fn::Sub": f"{OF_STACK}*"}, READY),
    ("those of a list", ["arn:aws:s3:::b", {"Fn::Sub": f"{OF_STACK}*"}], READY),
    ("those of the account and region", HERE, READY),
    ("those of another region", HERE.replace("-1:", "-2:"), UNKNOWN),
    ("those of another account", HERE.replace("111122", "999922"), UNKNOWN),
    ("those of another partition", "arn:aws-cn:ec2:*:*:instance/*", UNKNOWN),
    ("those with short ids", f"arn:aws:ec2:*:*:instance/i-{'?' * 8}", UNKNOWN),
    ("one of a parameter", {"Fn::Sub": f"{OF_STACK}${{Id}}"}, UNKNOWN),
    ("the principal's", "arn:aws:ec2:*:*:instance/${aws:PrincipalTag/i}", UNKNOWN),
    ("hybrid nodes", "arn:aws:ssm:*:*:managed-instance/*", UNKNOWN),
]


@pytest.mark.parametrize(("on", "expected"), rows(REGISTRATION))
def test_registration_of_instances(check: Check, on: object, expected: frozenset[str]) -> None:
    body = profile_and_role(inline(CHANNELS_ONLY, allow(ACTION, on=on)))

    assert check(body, a="111122223333").rules == expected


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

    found = check(body, {"Resources": {}}, a="111122223333", b="444455556666")

    assert found.only("cannot-be-known").description.endswith(
        "an inline policy of 'Role', whose Resource may not be the instance"
    )


def test_each_instance_is_no_resource_of_the_channels(check: Check) -> None:
    body = profile_and_role(inline(allow("*", on="arn:aws:ec2:*:*:instance/*")))

    assert check(body).rules == {"channel-missing"}


# How a role names its policies -------------------------------------------------------------------


def managed(*arns: object) -> dict[str, Any]:
    return {"ManagedPolicyArns": list(arns)}


def bounded(arn: object) -> dict[str, Any]:
    return inline(ALL) | {"PermissionsBoundary": arn}


def maybe(value: object) -> dict[str, Any]:
    return {"Fn::If": ["Condition", value, {"Ref": "AWS::NoValue"}]}


def sub(text: str, **names: object) -> dict[str, Any]:
    return {"Fn::Sub": [text, names] if names else text}


CORE: Final = f"{AWS}AmazonSSMManagedInstanceCore"
OF_AWS: Final = "arn:${AWS::Partition}:iam::aws:policy/"
OURS: Final = "arn:aws:iam::${AWS::AccountId}:policy/"
OF_ACCOUNT: Final = "arn:aws:iam::111122223333:policy/"
NAMED: Final = {
    "Policy": ("core", CHANNELS_ONLY),
    "ByParameter": (sub("${Owner}-core"), ALL),
    "Sometimes": (maybe("maybe"), ALL),
}


@pytest.mark.parametrize(
    ("role", "found"),
    [
        (managed(CORE), READY),
        (managed(sub(f"{OF_AWS}PowerUserAccess")), READY),
        (managed(sub(f"{AWS}${{P}}", P="AmazonSSMManagedInstanceCore")), READY),
        (managed(f"{AWS}job-function/ViewOnlyAccess"), NEITHER),
        (managed(f"{AWS}AdministratorAccess", f"{AWS}AWSDenyAll"), DENIED),
        (managed(f"{AWS}AdministratorAccess", "arn:aws:iam::1:policy/x"), UNKNOWN),
        (managed(CORE.replace("aws:iam", "aws-cn:iam")), UNKNOWN),
        (managed(f"{OF_ACCOUNT}AmazonSSMManagedInstanceCore"), UNKNOWN),
        (managed(sub("arn:aws:iam::${Account}:policy/AmazonSSMManagedInstanceCore")), UNKNOWN),
        (managed(f"{AWS}core"), UNKNOWN),
        # what a function leaves open may deny
        (managed(sub(f"{AWS}${{Name}}")) | inline(ALL), UNKNOWN),
        (managed(sub(f"{AWS}${{Name}}Core")) | inline(ALL), UNKNOWN),
        (managed(sub(f"{AWS}${{Name}}/ViewOnlyAccess")) | inline(ALL), UNKNOWN),
        (managed(sub(f"{OF_AWS}${{Name}}")) | inline(ALL), UNKNOWN),
        (managed(sub(f"{AWS}${{P}}", P=ref("Name"))) | inline(ALL), UNKNOWN),
        (managed({"Fn::Join": ["", [AWS, ref("Name")]]}) | inline(ALL), UNKNOWN),
        (managed(AWS + "{{resolve:ssm:/policy}}") | inline(ALL), UNKNOWN),
        (managed({"Fn::GetAtt": ["Other", "Arn"]}), UNKNOWN),
        (managed(maybe(f"{AWS}AdministratorAccess")), UNKNOWN),
        ({"ManagedPolicyArns": ref("Arns")}, UNKNOWN),
        # those of the app
        (managed(ref("Policy")), NO_REGISTRATION),
        (managed(maybe(ref("Policy"))), NO_REGISTRATION),
        (managed(sub(f"{OURS}core")), NO_REGISTRATION),
        (managed(sub(f"{OURS}path/core")), NO_REGISTRATION),
        (managed(sub(f"{OURS}${{Owner}}-core")), READY),
        (managed(sub(f"{OURS}maybe")), UNKNOWN),
        (managed(sub(f"{OURS}score")), UNKNOWN),
        (bounded(f"{OF_ACCOUNT}core"), NO_REGISTRATION),
        (bounded(ref("Policy")), NO_REGISTRATION),
        (bounded(ref("Parameter")), UNKNOWN),
        (bounded({"Ref": "AWS::NoValue"}), READY),
        (bounded(maybe(ref("Policy"))), UNKNOWN),
        # those in the role
        ({"Policies": [maybe(inline(ALL)["Policies"][0])]}, UNKNOWN),
        ({"Policies": ["malformed"]}, UNKNOWN),
        (inline(CHANNELS_ONLY, allow("{{resolve:ssm:/actions}}")), UNKNOWN),
        (inline(CHANNELS_ONLY, allow("ssm:{{resolve:ssm:/action}}")), UNKNOWN),
    ],
)
def test_policies_of_a_role(check: Check, role: dict[str, Any], found: frozenset[str]) -> None:
    more = {key: managed_policy(one, roles=[]) for key, (_, one) in NAMED.items()}
    for key, (name, _) in NAMED.items():
        more[key]["Properties"]["ManagedPolicyName"] = name

    assert check(profile_and_role(role, **more, Other={"Type": "Other"})).rules == found


def test_policy_of_another_account_is_another_policy(check: Check) -> None:
    named = managed_policy(allow("s3:*"), roles=[])
    named["Properties"]["ManagedPolicyName"] = "core"
    body = profile_and_role(managed(f"{OF_ACCOUNT}core"), Policy=named)

    assert check(body, a="111122223333").rules == NEITHER
    assert check(body, a="444455556666").rules == UNKNOWN


@pytest.mark.parametrize(
    ("arn", "region", "found"),
    [
        ("arn:aws-cn:iam::aws:policy/AmazonSSMManagedInstanceCore", "cn-north-1", READY),
        ("arn:aws-us-gov:iam::aws:policy/PowerUserAccess", "us-gov-west-1", READY),
        ("arn:aws:iam::aws:policy/PowerUserAccess", "us-gov-west-1", UNKNOWN),
        ("arn:aws-cn:iam::aws:policy/PowerUserAccess", "unknown-region", READY),
    ],
)
def test_policy_of_aws_is_known_in_the_partition_of_its_arn(
    check: Check, arn: str, region: str, found: frozenset[str]
) -> None:
    assert check(profile_and_role(managed(arn)), region=region).rules == found


REGION = {"Ref": "AWS::Region"}
CONDITIONS: list[tuple[dict[str, Any], frozenset[str], frozenset[str]]] = [
    # where the region is known as eu-west-1, and where it is not
    ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, READY, UNKNOWN),
    ({"StringEquals": {"aws:requestedregion": ["eu-west-2", "eu-west-1"]}}, READY, UNKNOWN),
    ({"StringEquals": {"aws:RequestedRegion": REGION}}, READY, READY),
    ({"StringLike": {"aws:RequestedRegion": "eu-*"}}, READY, UNKNOWN),
    ({"StringEquals": {"aws:RequestedRegion": "eu-*"}}, NEITHER, UNKNOWN),
    ({"StringEqualsIgnoreCase": {"aws:RequestedRegion": "EU-West-1"}}, READY, UNKNOWN),
    ({"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1"]}}, NEITHER, UNKNOWN),
    ({"StringNotLikeIfExists": {"aws:RequestedRegion": "us-*"}}, READY, UNKNOWN),
    ({"StringNotEquals": {"aws:RequestedRegion": REGION}}, NEITHER, NEITHER),
    ({"StringEquals": {"aws:RequestedRegion": {"Ref": "Given"}}}, UNKNOWN, UNKNOWN),
    ({"StringEquals": {"aws:RequestedRegion": "${aws:PrincipalTag/region}"}}, UNKNOWN, UNKNOWN),
    ({"StringEquals": {"aws:RequestedRegion": []}}, UNKNOWN, UNKNOWN),
    ({"ForAnyValue:StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, UNKNOWN, UNKNOWN),
    ({"Null": {"aws:RequestedRegion": "false"}}, READY, READY),
    ({"Null": {"aws:SecureTransport": True}}, NEITHER, NEITHER),
    ({"Bool": {"aws:SecureTransport": True}}, READY, READY),
    ({"BoolIfExists": {"aws:SecureTransport": "False"}}, NEITHER, NEITHER),
    ({"Bool": {"aws:ViaAWSService": "false"}}, UNKNOWN, UNKNOWN),
    ({"Bool": {"aws:SecureTransport": "true", "aws:ViaAWSService": "false"}}, UNKNOWN, UNKNOWN),
    ({"Bool": {"aws:SecureTransport": "false", "aws:ViaAWSService": "false"}}, NEITHER, NEITHER),
    ({"Fn::Transform": {"Name": "Macro"}}, UNKNOWN, UNKNOWN),
    ({"Bool": {"Fn::Transform": {"Name": "Macro"}}}, UNKNOWN, UNKNOWN),
]


@pytest.mark.parametrize(("condition", "known", "unknown"), CONDITIONS)
def test_condition_on_what_is_known_of_the_calls(
    check: Check, condition: dict[str, Any], known: frozenset[str], unknown: frozenset[str]
) -> None:
    body = profile_and_role(inline(allow("*", Condition=condition)))

    assert check(body).rules == known
    assert check(body, region="unknown-region").rules == unknown


def test_region_of_the_calls_is_not_known_where_the_app_has_several(check: Check) -> None:
    condition = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
    body = profile_and_role(inline(allow("*", Condition=condition)))

    assert check(body, {"Resources": {}}, a="111122223333", b="444455556666").rules == UNKNOWN
