"""The answer of `verify` as JSON. docs/verify.md takes the description of each field from here."""

from __future__ import annotations

from typing import TypedDict


class StatementAnswer(TypedDict):
    """A policy statement that decided, as IAM names it."""

    policy: str
    """IAM's `SourcePolicyId`."""
    type: str | None
    """IAM's `SourcePolicyType`."""
    line: int | None
    """The line on which the statement begins."""


class SimulatorAnswer(TypedDict):
    """IAM's answer about one action on one resource."""

    action: str
    """Such as `kms:Decrypt`."""
    resource: str
    """The ARN that IAM was asked about, or `*`."""
    decision: str
    """IAM's decision: `allowed`, `explicitDeny` or `implicitDeny`."""
    matched_statements: list[StatementAnswer]
    """The statements that decided, as IAM names them."""
    allowed_by_permissions_boundary: bool | None
    """Whether the permissions boundary allows it; null if the role has none."""
    allowed_by_organizations: bool | None
    """Whether the organization allows it; null if the account is in none."""
    decision_details: dict[str, str]
    """For a resource of another account, IAM's decision by kind of policy."""
    missing_context_values: list[str]
    """The condition keys in policies for which the request had no value."""


class CapabilityAnswer(TypedDict):
    """Whether the role has the permissions for one of the agent's tasks."""

    capability: str
    """`reach`, `register`, `encrypt`, `log-to-s3`, `log-to-cloudwatch`."""
    subject: str | None
    """The key as you named it, the bucket and prefix, the log group."""
    allowed: bool
    """Whether every action is allowed; for `register`, whether it is allowed on one resource."""
    verdict: str
    """`allowed`, `denied`, or `unknown` if an unknown value may reverse a denial."""
    why: list[str]
    """Which actions are denied, and by which policies, in English; empty if allowed."""
    fix: list[str]
    """What would allow them, in English; empty if allowed."""
    notes: list[str]
    """What could not be judged, and the effects of a denial, in English."""
    answers: list[SimulatorAnswer]
    """IAM's answers, one for each action and resource."""


class TrustAnswer(TypedDict):
    """Whether the role may be assumed."""

    verdict: str
    """`allowed`, `denied` or `unknown`."""
    why: list[str]
    """Why, in English."""
    fix: list[str]
    """What would allow it, in English; empty if allowed."""


class _AnyFields(TypedDict):
    version: int
    """The version of this shape: 1."""
    ready: bool
    """Whether the exit status is 0."""
    instance_profile: str | None
    """The name in `--instance-profile`."""
    role: str | None
    """The role's ARN; null only with `--instance-id`, if it is not known, or there is none."""
    permissions_boundary: str | None
    """The ARN of the role's boundary."""
    document: str | None
    """The name in `--document`."""
    session_type: str | None
    """The document's `sessionType`."""
    capabilities: list[CapabilityAnswer]
    """What IAM was asked about the role, in the order of [the table](#what-is-asked)."""


class RoleAnswer(_AnyFields, total=False):
    """The fields that every answer has."""

    trust: TrustAnswer
    """Only about a role: whether its trust policy lets EC2 assume it or, with `--role`, Systems
    Manager."""


class NodeFacts(TypedDict):
    """The facts about a node in the answers of `verify` and `audit`."""

    id: str
    """`i-…` or `mi-…`."""
    region: str
    """Its region."""
    state: str | None
    """EC2's state, such as `running`; null for a hybrid node."""
    profile: str | None
    """The name of the instance profile."""
    role: str | None
    """The ARN of the role that the agent uses; null if it is not known, or there is none."""
    ping: str | None
    """The `PingStatus`; null without a record."""
    connection: str | None
    """`connected` or `notconnected`; null if AWS was not asked, or did not answer."""


class InstanceAnswer(NodeFacts):
    """The node that was asked about."""

    agent_version: str | None
    """The version of the agent, from the record."""
    platform: str | None
    """`Linux`, `Windows` or `MacOS`: from the record, or from EC2 if there is none."""


class EvidenceAnswer(TypedDict):
    """A field of an answer of AWS."""

    api: str
    """The call, such as `ec2:DescribeInstances`."""
    field: str
    """The field of its answer; of IAM's simulator, the action and the resource."""
    value: str | None
    """The field's value."""


class CheckAnswer(TypedDict):
    """One check of the node."""

    check: str
    """Its name."""
    subject: str | None
    """What is checked: an id, a name or an ARN."""
    verdict: str
    """`pass`, `fail`, `unknown`, `proven` or `skipped`."""
    why: list[str]
    """The reasons, in English; then the message that users see because of a failure."""
    fix: list[str]
    """What to do, a line each: one that begins with `aws` or `npx` is a whole command."""
    page: str
    """The page about the cause: its address, or its path in the repository without a site."""
    evidence: list[EvidenceAnswer]
    """The fields of AWS's answers on which the verdict is based."""


class NodeAnswer(TypedDict):
    """The additional fields of the answer with `--instance-id`."""

    instance: InstanceAnswer
    """The node."""
    checks: list[CheckAnswer]
    """The checks of [the table](#one-node), in its order; `operator` and `plugin` only with
    `--operator`."""
    on_the_node: list[str]
    """The commands to run on the node, as only the node has the answer."""
