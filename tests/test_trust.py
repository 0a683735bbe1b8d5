"""Who may assume a role, by its trust policy: half of the rows are what must not be said."""

from typing import Any, Final

import pytest

from session_manager_permissions._trust import EC2, SYSTEMS_MANAGER, Trust, trust

from .readiness.parts import rows

UNKNOWN: Final = "\0"


def statement(service: object = EC2, **parts: object) -> dict[str, Any]:
    allows = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {**allows, **parts}


def without(name: str, **parts: object) -> dict[str, Any]:
    found = statement(**parts)
    del found[name]
    return found


def not_principal(**parts: object) -> dict[str, Any]:
    return without("Principal", **parts)


DENY: Final = statement(Effect="Deny")
ON_CONDITION: Final = statement(Condition={"StringEquals": {"aws:SourceAccount": "111122223333"}})
TO_NO_SERVICE: Final = {
    "Principal": {"AWS": "*"},
    "Condition": {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}},
}
TO_A_SERVICE: Final = {"Condition": {"Bool": {"aws:PrincipalIsAWSService": "true"}}}
EXTERNAL_ID: Final = "sts:ExternalId"
LAMBDA: Final = statement("lambda.amazonaws.com")
ACCOUNT: Final = {"AWS": "arn:aws:iam::1:root"}
OF_EC2: Final = {"Service": EC2}
STATEMENTS: Final[dict[str, dict[str, object]]] = {
    "allowed": {
        "plain": [statement()],
        "one that is not in a list": statement(),
        "one of several services": [statement(["lambda.amazonaws.com", EC2])],
        "China": [statement("ec2.amazonaws.com.cn")],
        "an isolated partition": [statement("ec2.c2s.ic.gov")],
        "another isolated partition": [statement("ec2.sc2s.sgov.gov")],
        "the suffix of the template": [statement("ec2.${AWS::URLSuffix}")],
        "other case": [statement(Action=["sts:TagSession", "sts:assumerole"])],
        "sts:*": [statement(Action="sts:*")],
        "a pattern": [statement(Action="sts:Assume*")],
        "NotAction": [without("Action", NotAction="sts:TagSession")],
        "a second statement": [LAMBDA, statement()],
        "a condition beside it": [ON_CONDITION, statement()],
        "another service denied": [statement(), LAMBDA | {"Effect": "Deny"}],
        "all others denied": [statement(), not_principal(Effect="Deny", NotPrincipal=OF_EC2)],
        "another service by some effect": [statement(), LAMBDA | {"Effect": UNKNOWN}],
        "a tag": [statement(), statement(Effect="Deny", Action="sts:TagSession")],
        "all but services denied": [statement(), DENY | TO_NO_SERVICE],
        "a condition that each service meets": [statement(**TO_A_SERVICE)],
        "calls without an external id": [statement(Condition={"Null": {EXTERNAL_ID: "true"}})],
        "accounts too": [statement(Principal=ACCOUNT | OF_EC2)],
    },
    "denied": {
        "nothing": [],
        "another service": [LAMBDA],
        "a name that begins so": [statement("ec2fleet.amazonaws.com")],
        "a suffix of one part": [statement("ec2.amazonaws")],
        "of a hybrid node": [statement(SYSTEMS_MANAGER)],
        "an account": [statement(Principal=ACCOUNT)],
        "another action": [statement(Action="sts:TagSession")],
        "NotAction": [without("Action", NotAction="sts:*")],
        "calls with an external id": [statement(Condition={"StringEquals": {EXTERNAL_ID: "1"}})],
        "a Deny": [statement(), DENY],
        "a Deny before it": [DENY, statement()],
        "services denied": [statement(), DENY | TO_A_SERVICE],
        "all denied": [statement(), statement(Effect="Deny", Principal="*")],
        "a Deny on a condition, and nothing allowed": [LAMBDA, ON_CONDITION | {"Effect": "Deny"}],
        "another service of some suffix": [statement(f"lambda.{UNKNOWN}")],
        "an action of another service": [statement(Action=f"s3:{UNKNOWN}")],
    },
    "unknown": {
        "a condition": [ON_CONDITION],
        "a Deny on a condition": [statement(), ON_CONDITION | {"Effect": "Deny"}],
        "a statement of the deployment": [statement(), {"Fn::If": ["A", DENY, DENY]}],
        "no text for a statement": ["Allow"],
        "everybody": [statement(Principal="*")],
        "every account": [statement(Principal={"AWS": "*"})],
        "every service": [statement("*")],
        "every account denied": [statement(), statement(Effect="Deny", Principal={"AWS": "*"})],
        "all but some allowed": [not_principal(NotPrincipal={"Service": "lambda.amazonaws.com"})],
        "all but some denied": [statement(), not_principal(Effect="Deny", NotPrincipal=ACCOUNT)],
        "no principal": [not_principal()],
        "an intrinsic principal": [statement(Principal={"Fn::If": ["A", "*", "*"]})],
        "a service of the deployment": [statement({"Ref": "Service"})],
        "an unknown service": [statement(UNKNOWN)],
        "an unknown suffix": [statement(f"ec2.{UNKNOWN}")],
        "the suffix of a partition that is not known": [statement("ec2.amazonaws.eu")],
        "a suffix of two parts that is not known": [statement("ec2.example.com")],
        "an unknown action": [statement(Action=f"sts:{UNKNOWN}")],
        "an action of the deployment": [statement(Action={"Ref": "Action"})],
        "no action": [without("Action")],
        "an effect of the deployment": [statement(Effect={"Ref": "Effect"})],
    },
}


@pytest.mark.parametrize(("answer", "statements"), rows(
    (f"{answer}: {name}", answer, one) for answer, its in STATEMENTS.items()
    for name, one in its.items()
))  # fmt: skip
def test_who_may_assume_it(answer: str, statements: object) -> None:
    assert trust({"Statement": statements}, EC2).answer == answer


@pytest.mark.parametrize("document", [None, "{}", {}])
def test_what_is_no_document_is_unknown(document: object) -> None:
    assert trust(document, EC2).answer == "unknown"


def test_the_service_of_a_hybrid_node() -> None:
    assert trust({"Statement": [statement(SYSTEMS_MANAGER)]}, SYSTEMS_MANAGER) == Trust(
        "allowed", "the trust policy lets ssm.amazonaws.com assume the role"
    )
    assert trust({"Statement": [statement()]}, SYSTEMS_MANAGER).answer == "denied"
