"""The check at synthesis, and IAM's simulator on the local AWS: one answer for each policy."""

from __future__ import annotations

import json
import uuid

import pytest
from local_aws import LocalAws

from session_manager_permissions._evaluation import Answer
from session_manager_permissions._needs import CHANNELS, REGISTRATION
from session_manager_permissions._readiness.policies import decide, read
from session_manager_permissions._readiness.rules import permissions
from tests.readiness import policy_table
from tests.readiness.policy_table import ACTIONS, ROWS, ResourceRow, Row, document
from tests.roles import TRUST

SIMULATED = {
    Answer.ALLOWED: "allowed",
    Answer.IMPLICIT_DENY: "implicitDeny",
    Answer.EXPLICIT_DENY: "explicitDeny",
}


class DeployedRole:
    """A role on the local AWS with the policies of a row."""

    def __init__(self, aws: LocalAws, row: Row) -> None:
        self._iam = aws.client("iam")
        self._name = f"agrees-{uuid.uuid4().hex}"
        role = self._iam.create_role(
            RoleName=self._name, AssumeRolePolicyDocument=json.dumps(TRUST)
        )["Role"]
        self._arn: str = role["Arn"]
        for number, inline in enumerate(row.inline):
            self._iam.put_role_policy(
                RoleName=self._name,
                PolicyName=f"Inline{number}",
                PolicyDocument=json.dumps(document(inline)),
            )
        for number, managed in enumerate(row.managed):
            arn = self._managed(f"Managed{number}", managed)
            self._iam.attach_role_policy(RoleName=self._name, PolicyArn=arn)
        if row.boundary is not None:
            arn = self._managed("Boundary", row.boundary)
            self._iam.put_role_permissions_boundary(RoleName=self._name, PermissionsBoundary=arn)

    def _managed(self, suffix: str, policy: list[policy_table.Statement] | str) -> str:
        if isinstance(policy, str):
            return policy
        made = self._iam.create_policy(
            PolicyName=f"{self._name}-{suffix}", PolicyDocument=json.dumps(document(policy))
        )
        arn: str = made["Policy"]["Arn"]
        return arn

    def simulate(self, action: str, resource: str = "*") -> str:
        (result,) = self._iam.simulate_principal_policy(
            PolicySourceArn=self._arn, ActionNames=[action], ResourceArns=[resource]
        )["EvaluationResults"]
        decision: str = result["EvalDecision"]
        return decision


def rules_of(answers: dict[str, str]) -> frozenset[str]:
    """What the simulator's answers come to, by the rules of the check."""
    implicit = {action for action, answer in answers.items() if answer == "implicitDeny"}
    channels = implicit & {*CHANNELS.actions}  # it says that the registration is missing as well
    return frozenset(
        rule
        for rule, fires in (
            (permissions.CHANNEL_MISSING, channels),
            (permissions.REGISTRATION_MISSING, not channels and implicit & {*REGISTRATION.actions}),
            (permissions.EXPLICIT_DENY, "explicitDeny" in answers.values()),
        )
        if fires
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_simulator_agrees_or_the_row_says_why_not(aws: LocalAws, row: Row) -> None:
    role = DeployedRole(aws, row)

    simulated = rules_of({action: role.simulate(action) for action in ACTIONS})

    assert simulated == (row.found if row.simulated is None else row.simulated)


@pytest.mark.parametrize("row", policy_table.RESOURCE_ROWS, ids=lambda row: row.name)
def test_simulator_agrees_on_a_resource(aws: LocalAws, row: ResourceRow) -> None:
    role = DeployedRole(aws, Row(row.name, frozenset(), (row.statements,)))

    decision = decide(read(document(row.statements), row.name), row.action, row.resource)

    assert decision.answer is row.answer
    if row.answer is not Answer.UNKNOWN:
        assert role.simulate(row.action, row.resource) == SIMULATED[row.answer]
