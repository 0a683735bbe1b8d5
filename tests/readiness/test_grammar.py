"""Which policy documents IAM refuses, by what AWS documents and by moto's validator."""

from __future__ import annotations

import json
import random
from typing import Any, NamedTuple

import pytest

from session_manager_permissions._readiness.grammar import refusal
from session_manager_permissions._readiness.rules import REFUSED_POLICY

from .drawn import template
from .policy_table import READY, allow, document
from .reports import Check, inline, profile_and_role
from .worlds import documents, is_refused

ALLOW = allow("*")


class Row(NamedTuple):
    """A document, and a part of the reason for which IAM refuses it."""

    reason: str
    document: dict[str, Any]


def statement(reason: str, *without: str, **elements: object) -> Row:
    """A document of one statement that allows everything, with other elements."""
    left = {name: value for name, value in ALLOW.items() if name not in without}
    return Row(f"its statement 1 {reason}", document([{**left, **elements}]))


def action(written: object, reason: str) -> Row:
    return statement(f"has {written!r} in its Action: {reason}", Action=["s3:*", written])


def resource(written: str) -> Row:
    reason = f"has {written!r} in its Resource: a resource is an ARN or '*'"
    return statement(reason, Resource=["*", written])


REFUSED = [
    Row("it has no Statement", {"Version": "2012-10-17"}),
    Row("it has no Statement", document([])),
    Row("it has no Statement", {"Statement": None}),
    Row("it has the element 'Name'", {**document([ALLOW]), "Name": "a"}),
    Row(
        "it has the Version '2012-10-18', which is neither '2012-10-17' nor '2008-10-17'",
        {**document([ALLOW]), "Version": "2012-10-18"},
    ),
    Row("its statement 2 is not a mapping", {"Statement": [ALLOW, "Allow"]}),
    Row(
        "2 of its statements have the Sid 'Same', which must be unique",
        document([{**ALLOW, "Sid": "Same"}, {**ALLOW, "Sid": "Same"}]),
    ),
    Row("its statement 'Named' has no Effect", document([{"Sid": "Named", "Action": "*"}])),
    statement("has the Effect 'allow', which is neither 'Allow' nor 'Deny'", Effect="allow"),
    statement("has the Effect", Effect={"Fn::Join": ["", ["Per", "mit"]]}),
    statement("has no Effect", "Effect"),
    statement("has the element 'Actions'", Actions="*"),
    statement("has both Action and NotAction", NotAction="s3:*"),
    statement("has neither Action nor NotAction", "Action"),
    statement("has an empty Action", Action=[]),
    statement("has an empty NotAction", "Action", NotAction=[]),
    statement("has a mapping in its Action", Action=[{"Service": "ssm"}]),
    action("ssm", "an action is 'service:Name' or '*'"),
    action("", "an action is 'service:Name' or '*'"),
    action("**", "an action is 'service:Name' or '*'"),
    action("s3:Get:Object", "an action has one colon"),
    statement("has 'ssm*:Get' in its Action, and no service has such a name", Action="ssm*:Get"),
    statement("has 's_3:Get' in its NotAction", "Action", NotAction="s_3:Get"),
    statement("has both Resource and NotResource", NotResource="arn:aws:s3:::logs"),
    statement("has neither Resource nor NotResource", "Resource"),
    statement("has an empty Resource", Resource=[]),
    statement("has an empty NotResource", "Resource", NotResource=[]),
    resource("logs"),
    resource("**"),
    resource("?"),
    resource("alias/sessions"),
    resource("arn:aws"),
    resource("arn:*"),
    resource("arn:aws:s3::logs"),
    resource("arn:s3:::logs"),
    resource("arn:amazon:s3:::logs"),
    resource("ARN:AWS:S3:::logs"),
    statement("has a Condition that is not a mapping", Condition="aws:SecureTransport"),
    statement("has a Condition whose 'Bool' is not a mapping", Condition={"Bool": "true"}),
    statement(
        "has 'StringIs' in its Condition, which is not a condition operator",
        Condition={"StringIs": {"aws:userid": "a"}},
    ),
    statement("has 'IfExistsBool'", Condition={"IfExistsBool": {"aws:SecureTransport": "true"}}),
]
SID = "Session Manager"
NOT_BY_MOTO = [
    statement("has the element 'Principal'", Principal="*"),
    statement("has the element 'NotPrincipal'", NotPrincipal={"AWS": "*"}),
    Row(
        f"its statement {SID!r} has the Sid {SID!r}, and a Sid has letters and digits only",
        document([{**ALLOW, "Sid": SID}]),
    ),
]
"""moto's validator takes these, and AWS documents that IAM does not."""


@pytest.mark.parametrize("row", [*REFUSED, *NOT_BY_MOTO], ids=lambda row: row.reason)
def test_reason_for_which_iam_refuses_a_document(row: Row) -> None:
    found = refusal(row.document)

    assert found is not None
    assert found.certain
    assert found.reason.startswith(row.reason)


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.reason)
def test_an_independent_validator_refuses_it_too(row: Row) -> None:
    assert is_refused(json.dumps(row.document).replace('{"Fn::Join": ["", ["Per", "mit"]]}', '"P"'))


FUNCTION = {"Ref": "Parameter"}


@pytest.mark.parametrize(
    "taken",
    [
        document([ALLOW]),
        {"Statement": ALLOW},
        {"Version": "2008-10-17", "Id": "Any", "Statement": [ALLOW]},
        {"Version": FUNCTION, "Statement": FUNCTION},
        {"Fn::Transform": {"Name": "Macro"}},
        document([FUNCTION]),
        document([{"Fn::Transform": {"Name": "Macro"}, "Action": "*"}]),
        document([{"Effect": FUNCTION, "Sid": FUNCTION, "Action": FUNCTION, "Resource": FUNCTION}]),
        document([{**ALLOW, "Condition": FUNCTION}]),
        document([{**ALLOW, "Sid": ""}, {**ALLOW, "Sid": ""}, {**ALLOW, "Sid": "Az09"}]),
        document([{**ALLOW, "Condition": {}}, {**ALLOW, "Condition": {"Any": {}}}]),
        document([{**ALLOW, "Condition": {"ForAllValues:StringLikeIfExists": {"a:b": "c"}}}]),
        document([allow("*:*", "a-1.b:c", "ssm:**", {"Fn::Sub": "${A}"})]),
        document([allow("*", on=["arn:*:s3:::*", "arn:aws-cn:sqs:*", "arn:aws:ssm:eu-west-1:*"])]),
        document([allow("*", on={"Fn::Sub": "${Name}/x"})]),
    ],
)
def test_document_that_iam_takes(taken: dict[str, Any]) -> None:
    assert refusal(taken) is None


@pytest.mark.parametrize(
    "may_be_refused",
    [
        {"Version": 2012, "Statement": [ALLOW]},
        {"version": "2012-10-17", "Statement": [ALLOW]},
        document([{**ALLOW, "resource": "*"}]),
        {"Statement": [ALLOW, None]},
        {"Statement": [[ALLOW]]},
        document([{**ALLOW, "Sid": 1}]),
        document([{**ALLOW, "Effect": True}]),
        document([{**ALLOW, "Action": [["*"]]}]),
        document([{**ALLOW, "Action": [None, "*"]}]),
        document([{**ALLOW, "Action": "ssm:"}]),
        document([{**ALLOW, "Action": ":Get"}]),
        document([{**ALLOW, "Condition": {"stringequals": {"aws:userid": "a"}}}]),
        document([allow("*", on="arn:aws-new:s3:::logs")]),
        document([allow("*", on="arn:aws*:s3:::logs")]),
        document([allow("*", on="arn:${aws:userid}:s3:::logs")]),
        document([allow("*", on="arn:aws:*:eu-west-1:111122223333:*")]),
        document([allow("*", on="arn:aws:s?:::logs")]),
        document([allow("*", on="arn:aws:sqs:queue")]),
        document([allow("*", on="arn:aws::eu-west-1:111122223333:a")]),
        document([allow("*", on="aws:aws:s3:::logs")]),
        document([allow("*", on=["*", ""])]),
    ],
)
def test_document_of_which_it_is_not_known_whether_iam_takes_it(
    may_be_refused: dict[str, Any],
) -> None:
    found = refusal(may_be_refused)

    assert found is not None
    assert not found.certain


OF_ANOTHER_PARTITION = (
    "has 'arn:{}' in its Resource, and its stack is deployed to the partition '{}'"
)
JOINED = {"Fn::Join": ["", ["arn:aws:s3:::", {"Ref": "Bucket"}]]}


@pytest.mark.parametrize(
    ("region", "on", "deployed_to", "arn"),
    [
        ("us-gov-west-1", "arn:aws:s3:::logs", "aws-us-gov", "aws:s3:::logs"),
        ("us-gov-west-1", JOINED, "aws-us-gov", "aws:s3:::…"),
        ("cn-north-1", ["*", "arn:aws:s3:::logs"], "aws-cn", "aws:s3:::logs"),
        ("us-iso-east-1", "arn:aws:sqs:*", "aws-iso", "aws:sqs:*"),
        ("us-isob-east-1", "arn:aws-iso:sqs:*", "aws-iso-b", "aws-iso:sqs:*"),
        ("eu-isoe-west-1", "arn:aws-iso:sqs:*", "aws-iso-e", "aws-iso:sqs:*"),
        ("us-isof-south-1", "arn:aws-iso:sqs:*", "aws-iso-f", "aws-iso:sqs:*"),
        ("eusc-de-east-1", "arn:aws:sqs:*", "aws-eusc", "aws:sqs:*"),
        ("eu-west-1", "arn:aws-us-gov:s3:::logs", "aws", "aws-us-gov:s3:::logs"),
    ],
)
def test_iam_refuses_the_arn_of_another_partition(
    check: Check, region: str, on: object, deployed_to: str, arn: str
) -> None:
    """`Partition "aws" is not valid for resource "arn:aws:…"`, IAM says in China and GovCloud."""
    body = profile_and_role(inline(allow("*", on="*"), allow("s3:*", on=on)))

    (finding,) = check(body, region=region).findings

    assert finding.rule == REFUSED_POLICY
    assert OF_ANOTHER_PARTITION.format(arn, deployed_to) in finding.description


@pytest.mark.parametrize(
    ("region", "on"),
    [
        ("us-gov-west-1", "arn:aws-us-gov:s3:::logs"),
        ("us-gov-west-1", "arn:*:s3:::logs"),
        ("us-gov-west-1", {"Fn::Sub": "arn:${AWS::Partition}:s3:::logs"}),
        ("cn-north-1", {"Fn::Join": ["", ["arn:", {"Ref": "P"}, ":s3:::logs"]]}),
        ("ap-southeast-7", "arn:aws:s3:::logs"),
        ("unknown-region", "arn:aws-cn:s3:::logs"),
        ("a-region", "arn:aws-cn:s3:::logs"),
    ],
)
def test_arn_that_may_be_of_the_partition(check: Check, region: str, on: object) -> None:
    body = profile_and_role(inline(allow("*", on="*"), allow("s3:*", on=on)))

    assert check(body, region=region).rules == READY


def test_what_iam_may_refuse_is_named(check: Check) -> None:
    body = profile_and_role(inline(allow("*", on=["*", "arn:aws:*:*:*:*"])))

    assert (
        "depends on an inline policy of 'Role', which IAM may refuse: its statement 1 has "
        "'arn:aws:*:*:*:*' in its Resource"
    ) in check(body).only("cannot-be-known").description


def test_what_is_certain_comes_first() -> None:
    found = refusal(document([{**ALLOW, "Action": ":Get", "Resource": "logs"}]))

    assert found is not None
    assert "'logs'" in found.reason


def test_drawn_documents_are_refused_as_an_independent_validator_refuses_them() -> None:
    refused = 0
    for draw in range(600):
        for written in documents(template(random.Random(draw))):  # noqa: S311
            found = refusal(json.loads(written))
            by_moto = is_refused(written)

            assert (found is not None) >= by_moto, written
            assert by_moto >= (found is not None and found.certain), written
            refused += by_moto
    assert refused > 100
