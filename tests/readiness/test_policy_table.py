"""The table of policies, and MiniStack's evaluator of them: one answer for each row."""

from dataclasses import replace

import pytest
from ministack.core.iam_evaluator import ParsedStatement, evaluate, parse_policy_document

from session_manager_permissions._evaluation import Answer
from session_manager_permissions._needs import CHANNELS, REGISTRATION
from session_manager_permissions._readiness.rules import permissions

from .policy_table import (
    ACTIONS,
    AWS,
    REGION,
    RESOURCE_ROWS,
    ROWS,
    ResourceRow,
    Row,
    Statement,
    document,
)
from .test_managed_policies import MINISTACK, moto
from .worlds import Request, asks


def parsed(policy: list[Statement] | str) -> list[ParsedStatement]:
    """The statements of a policy, or of one of AWS; none of one that moto does not have."""
    if isinstance(policy, str):
        return list(parse_policy_document(moto().get(policy.removeprefix(AWS), document([]))))
    return list(parse_policy_document(document(policy)))


Policies = list[list[ParsedStatement]]


def answer(action: str, resource: str, identity: Policies, *limits: Policies) -> Answer:
    asked = replace(asks(action, resource, Request("192.0.2.1", {})), region=REGION)
    return MINISTACK[evaluate(asked, identity, *limits).decision]


def rules_of(answers: dict[str, Answer]) -> frozenset[str]:
    """What the evaluator's answers come to, by the rules of the check."""
    implicit = {action for action, answer in answers.items() if answer is Answer.IMPLICIT_DENY}
    channels = implicit & {*CHANNELS.actions}  # it says that the registration is missing as well
    return frozenset(
        rule.id
        for rule, fires in (
            (permissions.CHANNEL_MISSING, channels),
            (permissions.REGISTRATION_MISSING, not channels and implicit & {*REGISTRATION.actions}),
            (permissions.EXPLICIT_DENY, Answer.EXPLICIT_DENY in answers.values()),
        )
        if fires
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_evaluator_agrees_or_the_row_says_why_not(row: Row) -> None:
    identity = [parsed(policy) for policy in (*row.inline, *row.managed)]
    limits = [] if row.boundary is None else [[parsed(row.boundary)]]

    found = rules_of({action: answer(action, "*", identity, *limits) for action in ACTIONS})

    assert found == (row.found if row.simulated is None else row.simulated)


@pytest.mark.parametrize("row", RESOURCE_ROWS, ids=lambda row: row.name)
def test_the_evaluator_agrees_on_a_resource(row: ResourceRow) -> None:
    found = answer(row.action, row.resource, [parsed(row.statements)])

    assert row.answer in {found, Answer.UNKNOWN}
