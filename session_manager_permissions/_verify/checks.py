"""The checks of a node: their names, the calls they make, what users see, and their outcomes.

Everything that lists checks uses these records: the tree and the JSON of `verify`, the page and the
table of `audit`, the policies that `--print-permissions` prints, and the tables of the docs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from .asking import CannotAsk, NotPermitted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .answers import SimulatorAnswer
    from .role_verdict import Verdict

CheckVerdict = Literal["pass", "fail", "unknown", "proven", "skipped"]
"""`proven`: the connection of the node shows that the check passes. `skipped`: the subject does not
exist, or is not used."""
Group = Literal[
    "the node", "its identity", "its network", "the session preferences", "the operator"
]
GROUPS: Final[tuple[Group, ...]] = get_args(Group)
Stage = Literal["Instance", "Profile, role", "Network", "Endpoint", "Session Manager", "Operator"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)

_NO_ROLE: Final = "the role is not known, or there is none"
_NOT_CONNECTED: Final = "TargetNotConnected: ... is not connected."
_HANDSHAKE: Final = (
    "Handshake timed out. Please ensure that you have the latest version of the session manager "
    "plugin."
)
"""What the plug-in prints when the agent gets no answer from AWS KMS, or is denied."""
BUCKET_NOT_READ: Final = (
    "Couldn't start the session because we are unable to validate encryption on Amazon S3 bucket."
)
_GROUP_NOT_ENCRYPTED: Final = (
    "We couldn't start the session because encryption is not set up on the selected CloudWatch "
    "Logs log group."
)
START_DENIED: Final = "AccessDeniedException ... StartSession"
NO_MESSAGE: Final = "Starting session with SessionId: ..., and nothing after it"
"""What operators see if the channel is denied to them, or if the agent drops the session: the
plug-in hangs and prints no message."""
NO_DATA_KEY: Final = "KMSEncryption failed on client ... Error calling KMS GenerateDataKey API"
"""What operators see if AWS KMS gives the plug-in no data key, because they may not use the key or
the key can't be used. The plug-in calls AWS KMS before the agent does."""
LATE_PROMPT: Final = "Starting session with SessionId: ..., and a prompt after two minutes"
"""What users see while the agent waits for CloudWatch Logs, if encrypted logs are not enforced."""
NO_DATA_CHANNEL: Final = "Setting up data channel with id ... failed"
"""What users see if the agent is connected but may not open the channel of a session."""
RUN_AS_ROOT: Final = "invalid uid and gid"
PORT_NOT_SUPPORTED: Final = "Plugin with name Port is not supported by this version of ssm agent"
RUN_AS_NOBODY: Final = "please set the RunAs default user"
"""The messages are those of agent/session/config, agent/session/shell and agent/session/datachannel
of amazon-ssm-agent, of the plug-in and of the CLI."""


class Evidence(NamedTuple):
    """A field of an answer of AWS on which a verdict is based."""

    api: str
    """`service:Operation`."""
    field: str
    value: str | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a check of a node. Each method returns a new outcome, with its verdict."""

    check: Check
    subject: str | None
    """What is checked: an ARN, an id or a name."""
    verdict: CheckVerdict = "unknown"
    why: tuple[str, ...] = ()
    """The reason in one sentence, then further explanations."""
    fix: tuple[str, ...] = ()
    """Lines to run or to write."""
    evidence: tuple[Evidence, ...] = ()
    errors: tuple[CannotAsk, ...] = ()
    """The errors of calls that the check needs."""
    by_policy: bool = False
    """Whether the policy of a VPC endpoint closes the path, or may close it."""
    is_passing: bool = False
    """Whether waiting helps, as AWS is creating what is missing."""
    is_seen: bool = False
    """Whether users see a message because the check fails. If not, sessions open, at least while
    the agent is connected."""

    @property
    def is_shown(self) -> bool:
        """Tell whether something shows the cause, although not for certain."""
        return self.verdict == "unknown" and bool(self.evidence)

    def seen_if(self, *, is_now: bool) -> Outcome:
        """Return the outcome. Users see it now only if `is_now`, else once the connection ends."""
        return replace(self, is_seen=self.is_seen and is_now)

    @property
    def name(self) -> str:
        """The name of the check."""
        return self.check.name

    def skipped(self, why: str, *, fix: str = "") -> Outcome:
        """Return the outcome of a check whose subject does not exist or is not used."""
        return replace(self, verdict="skipped", why=(why,), fix=_lines(fix))

    def passed(self, *why: str, proven: bool = False) -> Outcome:
        """Return a pass, which is `proven` if the connection proves it."""
        return replace(self, verdict="proven" if proven else "pass", why=why)

    def unknown(
        self, *why: str, fix: str | tuple[str, ...] = (), errors: Sequence[CannotAsk] = ()
    ) -> Outcome:
        """Return an unknown outcome, with what to do to find out.

        Args:
            why: the reasons.
            fix: what to do.
            errors: why AWS did not answer, which is a reason as well.
        """
        told, texts = " ".join(why), dict.fromkeys(map(str, errors))
        whys = (*why, *(text for text in texts if text not in told))
        return replace(self, verdict="unknown", why=whys, fix=_lines(fix), errors=(*errors,))

    def unasked(self, error: CannotAsk) -> Outcome:
        """Return the outcome if AWS did not answer."""
        return self.unknown(errors=[error])

    def without_role(self, error: CannotAsk | None) -> Outcome:
        """Return the outcome if there is no role, or if AWS did not say whether there is one."""
        return self.unasked(error) if error else self.skipped(_NO_ROLE)

    def failed(
        self,
        *why: str,
        fix: str | tuple[str, ...],
        is_seen: bool = True,
        users_see: str | None = None,
        errors: Sequence[CannotAsk] = (),
    ) -> Outcome:
        """Return a failure, with the message that users see because of it.

        Args:
            why: the reasons.
            fix: what to do; "" for a symptom, as the other checks say what to do.
            is_seen: whether users see a message.
            users_see: the message. Default: - that of the check
            errors: the errors of calls whose answers may be further reasons.
        """
        seen = (users_see or self.check.users_see) if is_seen else None
        return replace(
            self,
            verdict="fail",
            why=(*why, *_users_see_line(seen)),
            fix=_lines(fix),
            errors=(*errors,),
            is_seen=seen is not None,
        )

    def failed_if(self, why: str, fix: tuple[str, ...], *, enforced: bool | None) -> Outcome:
        """Return a failure; unknown if a parameter of the document decides whether it fails."""
        if enforced is None:
            return self.unknown(f"{why} if the document's parameter enforces encryption", fix=fix)
        return self.failed(why, fix=fix)

    def simulated(
        self, verdict: Verdict | CannotAsk, *, is_seen: bool = True, users_see: str | None = None
    ) -> Outcome:
        """Return the outcome that follows from what IAM's policy simulator has answered."""
        if isinstance(verdict, CannotAsk):
            return self.unasked(verdict)
        of = self.check.of(self.subject, *simulated(verdict.answers))
        if verdict.allowed:
            return of.passed(f"the policies of {verdict.role.arn} allow it", *verdict.notes)
        seen = is_seen and (not self.check.seen_of or self.check.seen_of in verdict.denied)
        whys = (*verdict.why, *verdict.notes)
        fix, errors = (*verdict.fix,), verdict.unread
        if verdict.is_open:
            told = _users_see_line((users_see or self.check.users_see) if seen else None)
            return of.unknown(*whys, *told, fix=fix, errors=errors)
        return of.failed(*whys, fix=fix, is_seen=seen, users_see=users_see, errors=errors)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check of a node, and the texts about it."""

    name: str
    title: str
    """What is wrong if the check fails, for readers who do not know the checks."""
    group: Group
    """The branch of the tree that shows the check."""
    stage: Stage
    """The stage of the path from the instance to the operator."""
    passes_if: str
    """When the check passes, as the docs say it."""
    asks: tuple[str, ...] = ()
    """The actions that the credentials need, so that the check is not unknown."""
    cause: str = ""
    """The name of its page, which it shares with a rule of `check`. Default: - its own name"""
    users_see: str | None = None
    """The messages that users see if the check fails."""
    connects: bool = False
    """Whether the node can't connect if the check fails. The other checks are about what sessions
    use once the node is connected."""
    is_symptom: bool = False
    """Whether the check fails because another check fails, and passes some time after it."""
    of_role: bool = False
    """Whether the check is about the policies of the role, including its trust policy."""
    seen_of: str = ""
    """The only action whose denial users see. Default: - users see each denial"""
    label: str = ""
    """What the role may do, as `verify --role` names it; only if the check asks IAM's simulator."""
    row: str = ""
    """The row of the agent's own diagnostics that corresponds to the check."""

    @property
    def page(self) -> str:
        """The name of the page about the cause."""
        return self.cause or self.name

    def of(self, subject: str | None, *evidence: Evidence) -> Outcome:
        """Return the outcome for a subject, with the evidence, and with no verdict yet."""
        return Outcome(check=self, subject=subject, evidence=evidence)

    def skipped(self, why: str) -> Outcome:
        """Return the outcome if there is no subject."""
        return self.of(None).skipped(why)


def _lines(fix: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the lines of a remedy. A remedy of one line may be given as a string."""
    return fix if isinstance(fix, tuple) else (fix,) if fix else ()


def _users_see_line(users_see: str | None) -> tuple[str, ...]:
    """Return the line with what users see."""
    return (f'Users see: "{users_see}"',) if users_see else ()


def ways_out(errors: Iterable[CannotAsk], command: str) -> tuple[str, ...]:
    """Say how to give the credentials of a command the permissions that they lack."""
    denied = [error for error in errors if isinstance(error, NotPermitted)]
    lines = []
    if needed := sorted({error.permission for error in denied if not error.by}):
        lines.append(
            f"grant the credentials {', '.join(needed)}: session-manager-permissions {command} "
            "--print-permissions prints a policy with all that the command needs"
        )
    if any(error.by for error in denied):
        lines.append("use credentials to which that policy does not apply, or change the policy")
    return tuple(lines)


def simulated(answers: Iterable[SimulatorAnswer]) -> tuple[Evidence, ...]:
    """Return the evidence that IAM's policy simulator gives."""
    return tuple(
        Evidence(_SIMULATES, f"{one['action']} on {one['resource']}", one["decision"])
        for one in answers
    )


_of_node: Final = partial(Check, group="the node", connects=True)
_symptom: Final = partial(
    Check, group="the node", stage="Session Manager", users_see=_NOT_CONNECTED, is_symptom=True
)
_of_identity: Final = partial(
    Check, group="its identity", stage="Profile, role", users_see=_NOT_CONNECTED, connects=True
)
_of_role: Final = partial(_of_identity, of_role=True)
_of_session: Final = partial(Check, group="the session preferences")
_may_use: Final = partial(_of_session, stage="Profile, role", of_role=True)
_usable: Final = partial(_of_session, stage="Session Manager")
_of_operator: Final = partial(Check, group="the operator", stage="Operator")
_SIMULATES: Final = "iam:SimulatePrincipalPolicy"
_OF_OPERATOR: Final = ("iam:GetRole", "iam:GetUser")
_CREDENTIALS: Final = "AWS Credentials"
_ORGANIZATION: Final = "organizations:DescribeOrganization"
_TO_JUDGE_KEY: Final = ("kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants", _ORGANIZATION)
_TO_JUDGE_PATHS: Final = (
    *("ec2:DescribeNatGateways", "ec2:DescribeNetworkAcls", "ec2:DescribeRouteTables"),
    *("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcAttribute"),
    *("ec2:DescribeVpcEndpoints", "ec2:DescribeDhcpOptions", "ec2:DescribeVpcs", _ORGANIZATION),
    *("route53:ListHostedZonesByVPC", "route53resolver:ListFirewallRuleGroupAssociations"),
    *("route53resolver:ListResolverRuleAssociations", "route53resolver:ListResolverRules"),
)

RUNNING: Final = _of_node(
    name="instance-running",
    title="The instance does not run, or AWS allows no sessions on it",
    stage="Instance",
    passes_if="the instance runs, none of its status checks is impaired, and no service manages it "
    "that allows no sessions",
    asks=("ec2:DescribeInstances", "ec2:DescribeInstanceStatus"),
    users_see=_NOT_CONNECTED,
)
CONNECTED: Final = _symptom(
    name="connected",
    title="The agent is not connected",
    passes_if="the agent is connected to Session Manager",
    asks=("ssm:GetConnectionStatus",),
)
REGISTERED: Final = _symptom(
    name="registered",
    title="The agent is not registered",
    passes_if="Systems Manager has a record of the node, with the ping status `Online`",
    asks=("ssm:DescribeInstanceInformation", "ssm:GetConnectionStatus"),
    row="Agent service",
)
PROFILE: Final = _of_identity(
    name="instance-profile",
    title="No instance profile with a role",
    passes_if="the instance has an instance profile, and the profile has a role",
    asks=("ec2:DescribeInstances", "iam:GetInstanceProfile"),
    cause="no-instance-profile",
)
ASSUMABLE: Final = _of_role(
    name="role-assumable",
    title="The role can't be assumed",
    passes_if="the trust policy lets EC2 assume the role; for a hybrid node, Systems Manager",
    asks=("iam:GetInstanceProfile", "iam:GetRole"),
    cause="role-not-assumable",
    row=_CREDENTIALS,
)
METADATA: Final = _of_identity(
    name="metadata",
    title="The instance metadata service is off",
    stage="Instance",
    passes_if="the instance metadata service is on",
    asks=("ec2:DescribeInstances",),
    cause="metadata-off",
    row="EC2 IMDS",
)
AGENT: Final = _of_node(
    name="agent",
    title="The agent is too old for the session document",
    stage="Instance",
    passes_if="the version of the agent supports the document. If the agent is not connected and "
    "no check that the connection needs fails, the check is unknown and says what shows the cause",
    asks=(
        *("ssm:DescribeInstanceInformation", "ec2:DescribeIamInstanceProfileAssociations"),
        *("ec2:DescribeImages", "ec2:GetConsoleOutput", "iam:ListPolicies"),
        "iam:ListAttachedRolePolicies",
    ),
    users_see=PORT_NOT_SUPPORTED,
)
TIER: Final = _of_node(
    name="tier",
    title="Hybrid nodes are on the standard-instances tier",
    stage="Session Manager",
    passes_if="the region is on the advanced-instances tier, if the node is a hybrid node",
    asks=("ssm:GetServiceSetting",),
    users_see="Enable advanced-instances tier to use Session Manager with your on-premises "
    "instances",
)
REGISTER: Final = _of_role(
    name="register",
    title="The role may not register the instance",
    passes_if="the role may register the node",
    asks=("iam:GetInstanceProfile", _SIMULATES),
    cause="registration-missing",
    label="register the instance",
)
REACH: Final = _of_role(
    name="reach",
    title="The role may not connect to Session Manager",
    passes_if="the role may open the channels",
    asks=("iam:GetInstanceProfile", _SIMULATES),
    cause="channel-missing",
    label="reach Session Manager",
)
HOST_MANAGEMENT: Final = _of_identity(
    name="default-host-management",
    title="The agent uses another role",
    passes_if="the agent uses the role of the instance profile, and not the role of Default Host "
    "Management Configuration",
    asks=("ssm:GetServiceSetting",),
    users_see=None,
    row=_CREDENTIALS,
)


PATHS: Final = {
    service: Check(
        name=f"path-{service}",
        title=f"No network path to {called}",
        group="its network",
        stage="Endpoint",
        passes_if=f"the network has a path to `{service}`"
        f"{used and f', if the document names {used}'}",
        asks=(*_TO_JUDGE_PATHS, *asks, *(("ssm:GetDocument",) if used else ())),
        cause="endpoint-missing" if used else "no-network-path",
        users_see=users_see,
        connects=not used,
        row=f"Connectivity to {service} endpoint",
    )
    for service, called, used, users_see, asks in (
        ("ssm", "Systems Manager", "", _NOT_CONNECTED, ()),
        ("ssmmessages", "Session Manager", "", _NOT_CONNECTED, ()),
        ("kms", "AWS KMS", "a key", _HANDSHAKE, ()),
        ("logs", "CloudWatch Logs", "a log group", _GROUP_NOT_ENCRYPTED, ()),
        ("s3", "Amazon S3", "a bucket", BUCKET_NOT_READ, ("s3:GetEncryptionConfiguration",)),
    )
}
"""The checks of the network paths, by the service that each leads to."""

ENCRYPT: Final = _may_use(
    name="encrypt",
    title="The role may not use the key of sessions",
    passes_if="the role may decrypt with the key that the document names",
    asks=("iam:GetInstanceProfile", "ssm:GetDocument", *_TO_JUDGE_KEY, _SIMULATES),
    users_see="Fetching data key failed: ... Error when decrypting data key "
    f"AccessDeniedException, or {_HANDSHAKE}",
    label="encrypt sessions",
)
LOG_TO_S3: Final = _may_use(
    name="log-to-s3",
    title="The role may not log to Amazon S3",
    passes_if="the role may put logs into the bucket that the document names",
    asks=(
        *("iam:GetInstanceProfile", "ssm:GetDocument", *_TO_JUDGE_KEY, _SIMULATES),
        *("s3:GetBucketPolicy", "s3:GetEncryptionConfiguration"),
    ),
    users_see=BUCKET_NOT_READ,
    seen_of="s3:GetEncryptionConfiguration",
    label="log to S3",
)
LOG_TO_CLOUDWATCH: Final = _may_use(
    name="log-to-cloudwatch",
    title="The role may not log to CloudWatch Logs",
    passes_if="the role may write to the log group that the document names",
    asks=("iam:GetInstanceProfile", "ssm:GetDocument", _SIMULATES),
    users_see=_GROUP_NOT_ENCRYPTED,
    seen_of="logs:DescribeLogGroups",
    label="log to CloudWatch",
)
KEY_USABLE: Final = _usable(
    name="key-usable",
    title="The key of sessions can't be used",
    passes_if="the key is enabled, symmetric, for encryption, customer managed and in the node's "
    "region, and its own policy or a grant lets the account or the role use it",
    asks=("ssm:GetDocument", *_TO_JUDGE_KEY),
    users_see=NO_DATA_KEY,
)
BUCKET: Final = _usable(
    name="bucket-encryption",
    title="The log bucket does not exist, or is not encrypted as enforced",
    passes_if="the bucket exists, is encrypted as the document enforces, and its key can be used",
    asks=("ssm:GetDocument", "s3:GetEncryptionConfiguration", "kms:DescribeKey"),
    users_see="We couldn't start the session because encryption is not set up on the selected "
    "Amazon S3 bucket.",
)
LOG_GROUP: Final = _usable(
    name="log-group-encryption",
    title="The log group does not exist or is not encrypted as enforced, or the streaming flag is "
    "not a boolean",
    passes_if="the log group exists, and has a KMS key if the document enforces encryption; "
    "`cloudWatchStreamingEnabled` of the document is a boolean",
    asks=("ssm:GetDocument", "logs:DescribeLogGroups"),
    users_see=_GROUP_NOT_ENCRYPTED,
)
RUN_AS: Final = _usable(
    name="run-as",
    title="The user that sessions run as can't exist",
    passes_if="the user that sessions run as can exist: `root` fails where no tag of the operator "
    "can override it, and `ssm-user` is unknown",
    asks=("ssm:GetDocument", "ssm:DescribeInstanceInformation", *_OF_OPERATOR),
    users_see=f"{RUN_AS_ROOT}, or {RUN_AS_NOBODY}",
)
OPERATOR: Final = _of_operator(
    name="operator",
    title="The operator may not start the session",
    passes_if="the operator may start the session on this node with this document, open its "
    "channel and use its key",
    asks=(*_TO_JUDGE_KEY, *_OF_OPERATOR, _SIMULATES, "ssm:GetDocument", "ssm:ListTagsForResource"),
    users_see=f"{START_DENIED}, or {NO_MESSAGE}, or {NO_DATA_KEY}",
)
PLUGIN: Final = _of_operator(
    name="plugin",
    title="The Session Manager plug-in is absent or too old",
    passes_if="the Session Manager plug-in on PATH has version 1.2.764.0 or newer",
    users_see="SessionManagerPlugin is not found, or AccessDeniedException ... TerminateSession",
)

CHECKS: Final[Mapping[str, Check]] = {
    check.name: check
    for check in (
        *(RUNNING, CONNECTED, REGISTERED),
        *(PROFILE, ASSUMABLE, METADATA, AGENT, TIER, REGISTER, REACH, HOST_MANAGEMENT),
        *PATHS.values(),
        *(ENCRYPT, LOG_TO_S3, LOG_TO_CLOUDWATCH, KEY_USABLE, BUCKET, LOG_GROUP, RUN_AS),
        *(OPERATOR, PLUGIN),
    )
}
"""All checks by their names, in the order from the instance to the operator."""
ORDER: Final = (*CHECKS,)
OF_DOCUMENT: Final = (KEY_USABLE, BUCKET, LOG_GROUP, ENCRYPT, LOG_TO_S3, LOG_TO_CLOUDWATCH)
"""The checks of the key, bucket and log group that the Session document names."""

PERMISSIONS: Final[dict[str, list[str]]] = {
    action: [name for name, check in CHECKS.items() if action in check.asks]
    for action in sorted({action for check in CHECKS.values() for action in check.asks})
}
"""Each action that the credentials need, with the checks that are unknown without it.

Without `kms:ListGrants`, a check that fails still fails, and says that a grant may allow the call.

All actions only read. Sources: the service authorization reference, and the API reference of each
call.
"""
_VERIFY_ALONE: Final = frozenset(
    {"iam:GetUser", "ssm:ListTagsForResource"} | {*AGENT.asks} - {*REGISTERED.asks}
)
"""The actions that only `verify` needs: for operators, and for nodes that are not connected."""


def policy_for_credentials() -> dict[str, Any]:
    """Return the policy that `verify --print-permissions` prints, with all that `verify` calls."""
    return _policy("SessionManagerVerify", {*PERMISSIONS})


def policy_for_audit() -> dict[str, Any]:
    """Return the policy that `audit --print-permissions` prints, with all that `audit` calls."""
    return _policy("SessionManagerAudit", {*PERMISSIONS, "ec2:DescribeRegions"} - _VERIFY_ALONE)


def _policy(sid: str, actions: set[str]) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}
