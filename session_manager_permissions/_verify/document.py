"""Reads the settings of a live Session document."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _limits, _needs

from .asking import CannotAsk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .session import Session

PORT: Final = "Port"
"""The session type that the agent neither encrypts nor logs, whatever `inputs` says."""
_LOGGED: Final = ("InteractiveCommands", "NonInteractiveCommands", "Standard_Stream")
_FLAGS: Final = ("s3EncryptionEnabled", "cloudWatchEncryptionEnabled", "runAsEnabled")
_TRUE: Final = frozenset({"1", "t", "T", "true", "True", "TRUE"})
_FALSE: Final = frozenset({"", "0", "f", "F", "false", "False", "FALSE"})


class Refused(CannotAsk):
    """The agent can't read a flag of the document, and refuses each session."""

    def __init__(self, where: str, flag: str, value: object) -> None:
        super().__init__(
            f"{where} has {value!r} for {flag}, which the agent can't read as true or false, so "
            "it refuses each session: correct the document"
        )
        self.flag = flag
        self.value = str(value)


class LiveDocument(NamedTuple):
    """The settings of sessions, from a Session document or options; None for each unset one."""

    name: str | None = None
    """None without a document: then the command line says what sessions use, if anything."""
    session_type: str | None = None
    key: str | None = None
    """The ARN of the key, or of the alias."""
    log_bucket: str | None = None
    log_prefix: str | None = None
    log_group: str | None = None
    enforces_s3_encryption: bool | None = None
    """Whether the agent refuses a session whose log bucket is not encrypted; None: not known."""
    enforces_log_group_encryption: bool | None = None
    """Whether the agent refuses a session whose log group has no key; None: not known."""
    run_as_enabled: bool | None = False
    """Whether sessions run as a user that a tag or the document names; None: not known."""
    run_as_user: str | None = None
    to_other_hosts: bool = False
    """Whether it forwards ports of other hosts through the node."""
    has_texts: bool = False
    """Whether it has strings, `"true"` or `"false"`, in place of booleans."""
    streams: object = None
    """`cloudWatchStreamingEnabled`, for which the agent accepts only a boolean. None: not known."""


def read_document(session: Session, name: str, account: str) -> LiveDocument:
    """Read the document with this name; the ARN, if another account shares the document.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html

    Raises:
        CannotAsk: the region has no such document, it is not a Session document, the agent can't
            read it, a value in it is known only when a session starts, AWS accepts no resource with
            a name in it, or the credentials may not call Systems Manager.
    """
    where = f"the document {name}"
    text = session.ask(
        "ssm:GetDocument",
        lambda found: str(found["Content"]),
        on=where,
        missing=f"there is no document {name!r} in {session.region}: give another name, or "
        "--region",
        Name=name,
        DocumentFormat="JSON",
    )
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    content = content if isinstance(content, dict) else {}
    session_type, inputs = content.get("sessionType"), content.get("inputs") or {}
    if session_type not in (*_LOGGED, PORT) or not isinstance(inputs, dict):
        raise CannotAsk(
            f"{where} is not a Session document: its sessionType is not one of "
            f"{', '.join(_LOGGED)} and {PORT}; give the document that sessions are started with"
        )
    s3, log_group, run_as = (_flag(inputs, flag, where) for flag in _FLAGS)
    if session_type == PORT:
        properties = content.get("properties")
        to_others = isinstance(properties, dict) and "host" in properties
        return LiveDocument(name=name, session_type=PORT, to_other_hosts=to_others)
    arn_of = partial(key_arn, session.partition, session.region, account)
    key = _text(inputs, "kmsKeyId", where, lambda key: _limits.key_fault(arn_of(key)))
    bucket = _text(inputs, "s3BucketName", where, _limits.BUCKET.fault)
    user = inputs.get("runAsDefaultUser")
    return LiveDocument(
        name=name,
        session_type=session_type,
        key=key and arn_of(key),
        log_bucket=bucket,
        log_prefix=_text(inputs, "s3KeyPrefix", where, _limits.prefix_fault) if bucket else None,
        log_group=_text(inputs, "cloudWatchLogGroupName", where, _limits.LOG_GROUP.fault),
        enforces_s3_encryption=s3,
        enforces_log_group_encryption=log_group,
        has_texts=any(isinstance(inputs.get(flag), str) for flag in _FLAGS),
        run_as_enabled=run_as,
        run_as_user=user if isinstance(user, str) and user.strip() else None,
        streams=inputs.get("cloudWatchStreamingEnabled", False),
    )


def key_arn(partition: str, region: str | None, account: str, key: str) -> str:
    """Return the ARN of a key or an alias, which is given as an ARN, an id or an alias name."""
    if key.startswith("arn:"):
        return key
    return f"arn:{partition}:kms:{region}:{account}:{_needs.key_in_arn(key)}"


def _text(
    inputs: Mapping[str, object], name: str, where: str, fault: Callable[[str], str | None]
) -> str | None:
    """Read the name of a resource; refuse a name that no such resource can have."""
    value = inputs.get(name) or None
    if value is None:
        return None
    if not isinstance(value, str) or "{{" in value:
        raise CannotAsk(
            f"{where} has {value!r} for {name}, which is known only when a session starts: "
            "use --role or --instance-profile, and give the value with --key, --log-bucket, "
            "--log-prefix or --log-group instead of --document"
        )
    if found := fault(value):
        wrong = f"{where} has a wrong value for {name}: {value!r} {found}"
        raise CannotAsk(f"{wrong}; correct the document")
    return value


def _flag(inputs: Mapping[str, object], name: str, where: str) -> bool | None:
    """Read a boolean as the agent does; None if it is a parameter.

    A missing boolean is false, and a string is parsed. Sources:
    `ConvertToBool` in agent/framework/docparser/parameters of amazon-ssm-agent, and
    `strconv.ParseBool` of Go.
    """
    value = inputs.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str) and value in _TRUE | _FALSE:
        return value in _TRUE
    if isinstance(value, str) and "{{" in value:
        return None
    raise Refused(where, name, value)
