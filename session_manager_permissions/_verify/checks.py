"""The checks of a node: each has a verdict, the reasons, the remedy and the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from .asking import CannotAsk, NotPermitted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .answers import SimulatorAnswer
    from .simulator import Verdict

CheckVerdict = Literal["pass", "fail", "unknown", "proven", "skipped"]
"""`proven`: the connection of the node shows it. `skipped`: the subject does not exist, or is not
used."""

NODE: Final = ("instance-running", "connected", "registered")
MAY_CONNECT: Final = ("register", "reach")
"""The checks of what the role may do to connect."""
MAY_USE: Final = ("encrypt", "log-to-s3", "log-to-cloudwatch")
"""The checks of whether the role may use what the Session document names."""
OF_ROLE: Final = ("role-assumable", *MAY_CONNECT, *MAY_USE)
"""The checks of what the policies of the role allow, its trust policy among them."""
USABLE: Final = ("key-usable", "bucket-encryption", "log-group-encryption")
"""The checks of whether what the Session document names can be used at all."""

IDENTITY: Final = (
    "instance-profile",
    "role-assumable",
    "metadata",
    *MAY_CONNECT,
    "default-host-management",
)
PATHS: Final = ("path-ssm", "path-ssmmessages", "path-kms", "path-logs", "path-s3")
PREFERENCES: Final = (*MAY_USE, *USABLE, "run-as")
OPERATOR: Final = ("operator", "plugin")
ORDER: Final = (*NODE, *IDENTITY, *PATHS, *PREFERENCES, *OPERATOR)
"""All checks, from the instance outwards."""

SYMPTOMS: Final = ("connected", "registered")
"""The checks that fail because another one does."""

CONNECTING: Final = ("instance-running", *IDENTITY, "path-ssm", "path-ssmmessages")
"""The checks that can be the cause of a symptom, and so are none themselves. The others are about
sessions, which need a connection first."""

HANDSHAKE: Final = (
    "Handshake timed out. Please ensure that you have the latest version of the session manager "
    "plugin."
)
"""What the plug-in prints when the agent gets no answer from AWS KMS, or is denied."""
KEY_DENIED: Final = (
    "Fetching data key failed: ... Error when decrypting data key AccessDeniedException, or "
    f"{HANDSHAKE}"
)
NOT_CONNECTED: Final = "TargetNotConnected: ... is not connected."
BUCKET_NOT_READ: Final = (
    "Couldn't start the session because we are unable to validate encryption on Amazon S3 bucket."
)
BUCKET_NOT_ENCRYPTED: Final = (
    "We couldn't start the session because encryption is not set up on the selected Amazon S3 "
    "bucket."
)
GROUP_NOT_ENCRYPTED: Final = (
    "We couldn't start the session because encryption is not set up on the selected CloudWatch "
    "Logs log group."
)
PLUGIN_MISSING: Final = (
    "SessionManagerPlugin is not found, or AccessDeniedException ... TerminateSession"
)
START_DENIED: Final = "AccessDeniedException ... StartSession"
CHANNEL_DENIED: Final = "Starting session with SessionId: ..., and nothing after it"
"""What the operator sees whose channel is denied: the plug-in prints no message, and hangs."""
NO_DATA_KEY: Final = "KMSEncryption failed on client ... Error calling KMS GenerateDataKey API"
"""What the operator sees if AWS KMS gives the plug-in no data key, which comes before the agent's
own call: the operator may not use the key, or nobody can."""
LATE_PROMPT: Final = "Starting session with SessionId: ..., and a prompt after two minutes"
"""What users see while the agent waits for CloudWatch Logs, if the log need not be encrypted."""
RUN_AS_ROOT: Final = "invalid uid and gid"
RUN_AS_NOBODY: Final = "please set the RunAs default user"
"""The messages are those of agent/session/config, agent/session/shell and agent/session/datachannel
of amazon-ssm-agent, of the plug-in and of the CLI."""


NO_ROLE: Final = "the role is not known, or there is none"


class Evidence(NamedTuple):
    """A field of an answer that a verdict rests on."""

    api: str
    """`service:Operation`."""
    field: str
    value: str | None


@dataclass(frozen=True)
class Check:
    """One check of a node."""

    name: str
    """One of `ORDER`."""
    subject: str | None
    """What is checked: an ARN, an id or a name."""
    verdict: CheckVerdict
    why: tuple[str, ...] = ()
    """In one sentence, and what else there is to know."""
    fix: tuple[str, ...] = ()
    """Lines to run or to write."""
    evidence: tuple[Evidence, ...] = ()


def skipped(name: str, why: str, subject: str | None = None) -> Check:
    """Return a check that was skipped, as its subject does not exist or is not used."""
    return Check(name, subject, "skipped", (why,))


def passed(name: str, subject: str | None, why: str, evidence: Iterable[Evidence]) -> Check:
    """Return a check that passes."""
    return Check(name, subject, "pass", (why,), (), tuple(evidence))


def unknown(
    name: str, subject: str | None, why: str, fix: str, evidence: Iterable[Evidence]
) -> Check:
    """Return a check that is unknown, with what to do to find out."""
    return Check(name, subject, "unknown", (why,), (fix,), tuple(evidence))


def unasked(name: str, subject: str | None, error: CannotAsk) -> Check:
    """Return a check that is unknown, as AWS did not answer."""
    return Check(name, subject, "unknown", (str(error),), ways_out([error]))


def ways_out(errors: Iterable[CannotAsk]) -> tuple[str, ...]:
    """Say what to allow the credentials, if they may not make some of the calls."""
    needed = sorted({error.permission for error in errors if isinstance(error, NotPermitted)})
    if not needed:
        return ()
    way_out = (
        f"allow the credentials {', '.join(needed)}: session-manager-permissions verify "
        "--print-permissions prints a policy with all that the command needs"
    )
    return (way_out,)


def failed(
    name: str,
    subject: str | None,
    why: str,
    fix: str,
    evidence: Iterable[Evidence],
    *,
    users_see: str | None = None,
) -> Check:
    """Return a check that fails, with the message that users read because of it.

    The `fix` of a symptom is "", as it follows from the other checks.
    """
    message = (f'Users see: "{users_see}"',) if users_see else ()
    fixes = (fix,) if fix else ()
    return Check(name, subject, "fail", (why, *message), fixes, tuple(evidence))


def simulated(answers: Iterable[SimulatorAnswer]) -> tuple[Evidence, ...]:
    """Return the evidence that IAM's policy simulator gives."""
    return tuple(
        Evidence(
            "iam:SimulatePrincipalPolicy", f"{one['action']} on {one['resource']}", one["decision"]
        )
        for one in answers
    )


def by_simulator(
    name: str, subject: str | None, verdict: Verdict | CannotAsk, users_see: str | None
) -> Check:
    """Return a check that IAM's policy simulator has answered."""
    if isinstance(verdict, CannotAsk):
        return unasked(name, subject, verdict)
    evidence = simulated(verdict.answers)
    if verdict.allowed:
        why = (f"the policies of {verdict.role.arn} allow it", *verdict.notes)
        return Check(name, subject, "pass", why, (), evidence)
    message = (f'Users see: "{users_see}"',) if users_see else ()
    return Check(
        name,
        subject,
        "unknown" if verdict.is_open else "fail",
        (*verdict.why, *verdict.notes, *message),
        tuple(verdict.fix),
        evidence,
    )


def get_diagnostics(platform: str | None) -> str:
    """Return the line that runs the agent's own diagnostics on the node."""
    if platform == "Windows":
        return r'& "$env:ProgramFiles\Amazon\SSM\ssm-cli.exe" get-diagnostics --output table'
    return "sudo ssm-cli get-diagnostics --output table"


def on_node(row: str, platform: str | None) -> str:
    """Say what to run on the node, if the account can't tell."""
    return f"on the node: {get_diagnostics(platform)}, the row {row!r}"
