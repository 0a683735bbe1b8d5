"""Who may assume a role, by its trust policy: half of the rows are what must not be said."""

from __future__ import annotations

from typing import Any, Final

import pytest

from session_manager_permissions._trust import EC2, SYSTEMS_MANAGER, Trust, trust

UNKNOWN: Final = "\0"


def statement(service: object = EC2, **parts: object) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        **parts,
    }


def without(name: str, **parts: object) -> dict[str, Any]:
    found = statement(**parts)
    del found[name]
    return found


DENY: Final = statement(Effect="Deny")
CONDITION: Final = {"StringEquals": {"aws:SourceAccount": "111122223333"}}
LAMBDA: Final = statement("lambda.amazonaws.com")


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param([statement()], id="plain"),
        pytest.param(statement(), id="one that is not in a list"),
        pytest.param([statement(["lambda.amazonaws.com", EC2])], id="one of several services"),
        pytest.param([statement("ec2.amazonaws.com.cn")], id="China"),
        pytest.param([statement("ec2.${AWS::URLSuffix}")], id="the suffix of the template"),
        pytest.param([statement(Action=["sts:TagSession", "sts:assumerole"])], id="other case"),
        pytest.param([statement(Action="sts:*")], id="sts:*"),
        pytest.param([statement(Action="sts:Assume*")], id="a pattern"),
        pytest.param([without("Action", NotAction="sts:TagSession")], id="NotAction"),
        pytest.param([LAMBDA, statement()], id="a second statement"),
        pytest.param([statement(Condition=CONDITION), statement()], id="a condition beside it"),
        pytest.param(
            [statement(), statement("lambda.amazonaws.com", Effect="Deny")],
            id="another service denied",
        ),
        pytest.param(
            [statement(), without("Principal", Effect="Deny", NotPrincipal={"Service": EC2})],
            id="all others denied",
        ),
        pytest.param([statement(), statement(Effect="Deny", Action="sts:TagSession")], id="a tag"),
        pytest.param(
            [statement(Principal={"AWS": "arn:aws:iam::1:root", "Service": EC2})], id="accounts too"
        ),
    ],
)
def test_allowed(statements: object) -> None:
    assert trust({"Statement": statements}, EC2).answer == "allowed"


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param([], id="nothing"),
        pytest.param([LAMBDA], id="another service"),
        pytest.param([statement("ec2fleet.amazonaws.com")], id="a name that begins so"),
        pytest.param([statement("ec2.amazonaws")], id="a suffix of one part"),
        pytest.param([statement(SYSTEMS_MANAGER)], id="of a hybrid node"),
        pytest.param([statement(Principal={"AWS": "arn:aws:iam::1:root"})], id="an account"),
        pytest.param([statement(Action="sts:TagSession")], id="another action"),
        pytest.param([without("Action", NotAction="sts:*")], id="NotAction"),
        pytest.param([statement(), DENY], id="a Deny"),
        pytest.param([DENY, statement()], id="a Deny before it"),
        pytest.param([statement(), statement(Effect="Deny", Principal="*")], id="all denied"),
        pytest.param(
            [LAMBDA, statement(Effect="Deny", Condition=CONDITION)],
            id="a Deny on a condition, and nothing allowed",
        ),
        pytest.param([statement(f"lambda.{UNKNOWN}")], id="another service of some suffix"),
        pytest.param([statement(Action=f"s3:{UNKNOWN}")], id="an action of another service"),
    ],
)
def test_denied(statements: object) -> None:
    assert trust({"Statement": statements}, EC2).answer == "denied"


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(None, id="none"),
        pytest.param("{}", id="a text"),
        pytest.param({}, id="no statements"),
        *(
            pytest.param({"Statement": statements}, id=name)
            for name, statements in {
                "a condition": [statement(Condition=CONDITION)],
                "a Deny on a condition": [
                    statement(),
                    statement(Effect="Deny", Condition=CONDITION),
                ],
                "a statement of the deployment": [statement(), {"Fn::If": ["A", DENY, DENY]}],
                "no text for a statement": ["Allow"],
                "everybody": [statement(Principal="*")],
                "every account": [statement(Principal={"AWS": "*"})],
                "every service": [statement("*")],
                "every account denied": [
                    statement(),
                    statement(Effect="Deny", Principal={"AWS": "*"}),
                ],
                "all but some allowed": [
                    without("Principal", NotPrincipal={"Service": "lambda.amazonaws.com"})
                ],
                "all but some denied": [
                    statement(),
                    without(
                        "Principal", Effect="Deny", NotPrincipal={"AWS": "arn:aws:iam::1:root"}
                    ),
                ],
                "no principal": [without("Principal")],
                "an intrinsic principal": [statement(Principal={"Fn::If": ["A", "*", "*"]})],
                "a service of the deployment": [statement({"Ref": "Service"})],
                "an unknown service": [statement(UNKNOWN)],
                "an unknown suffix": [statement(f"ec2.{UNKNOWN}")],
                "the suffix of another partition": [statement("ec2.c2s.ic.gov")],
                "a suffix of two parts that is not known": [statement("ec2.example.com")],
                "an unknown action": [statement(Action=f"sts:{UNKNOWN}")],
                "an action of the deployment": [statement(Action={"Ref": "Action"})],
                "no action": [without("Action")],
                "an effect of the deployment": [statement(Effect={"Ref": "Effect"})],
            }.items()
        ),
    ],
)
def test_unknown(document: object) -> None:
    assert trust(document, EC2).answer == "unknown"


def test_the_service_of_a_hybrid_node() -> None:
    document = {"Statement": [statement(SYSTEMS_MANAGER)]}

    assert trust(document, SYSTEMS_MANAGER) == Trust(
        "allowed", "the trust policy lets ssm.amazonaws.com assume the role"
    )
    assert trust({"Statement": [statement()]}, SYSTEMS_MANAGER).answer == "denied"
