"""Checks whether sessions can be logged in the log group that the preferences name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from session_manager_permissions import _limits
from session_manager_permissions._quoting import in_shell

from . import checks
from .asking import CannotAsk
from .checks import NO_MESSAGE, Evidence, Outcome

if TYPE_CHECKING:
    from .document import LiveDocument
    from .node import Node

_GROUP: Final = "logs:DescribeLogGroups"
NOT_IN_CLOUDWATCH: Final = "sessions are not logged in CloudWatch"
_KEY_OF_LOGS: Final = "KEY is the ARN of a key whose policy lets CloudWatch Logs use it"


def log_group_outcome(node: Node, document: LiveDocument) -> Outcome:
    """Check the log group, and whether the agent can read how sessions are streamed to it."""
    return _streaming_by_text(document) or _group(node, document)


def _streaming_by_text(document: LiveDocument) -> Outcome | None:
    """Judge a document that says by a text whether it streams, which the agent does not parse."""
    group, text = document.log_group, document.streams_by_text
    if group is None or text is None:
        return None
    evidence = Evidence("ssm:GetDocument", "inputs.cloudWatchStreamingEnabled", text)
    streamed = checks.LOG_GROUP.of(group, evidence)
    fix = (
        "write cloudWatchStreamingEnabled of the document as true or false, without quotation marks"
    )
    why = f"the document has the text {text!r} for cloudWatchStreamingEnabled"
    if "{{" in text:
        why += ", and what the agent gets for that parameter is not known"
        return streamed.unknown(why, fix=fix)
    why += ", so that the agent drops each session"
    return streamed.failed(why, fix=fix, users_see=NO_MESSAGE)


def _group(node: Node, document: LiveDocument) -> Outcome:
    group = document.log_group
    if group is None:
        return checks.LOG_GROUP.skipped(NOT_IN_CLOUDWATCH)
    # The log group of just this name is the first of those that begin with it.
    groups = node.session.tried(
        _GROUP,
        lambda found: [{**one, "logGroupName": one["logGroupName"]} for one in found["logGroups"]],
        missing=f"there is no log group {group!r}",
        logGroupNamePrefix=group,
        PaginationConfig={"MaxItems": 1},
    )
    if isinstance(groups, CannotAsk):
        return checks.LOG_GROUP.of(group).unasked(groups)
    found = next((one for one in groups if one["logGroupName"] == group), None)
    enforces = document.enforces_log_group_encryption
    of_group = f"--log-group-name {in_shell(group, _limits.LOG_GROUP.fault, 'GROUP')}"
    if found is None:
        why = f"there is no log group {group!r} in {node.region}, and the agent makes none"
        create = f"logs create-log-group {of_group}"
        fix: tuple[str, ...] = (node.aws(create),)
        if enforces:
            fix = (node.aws(create, "--kms-key-id KEY"), _KEY_OF_LOGS)
        absent = checks.LOG_GROUP.of(group, Evidence(_GROUP, "logGroupName", None))
        return absent.failed(why, fix=fix, is_seen=bool(enforces))
    key = found.get("kmsKeyId")
    logs = checks.LOG_GROUP.of(group, Evidence(_GROUP, "kmsKeyId", key))
    if key or enforces is False:
        why = "the log group is encrypted with a key" if key else "nothing enforces encryption"
        return logs.passed(why)
    why = "the log group has no KMS key, so that the agent refuses each session"
    fix = (
        node.aws(f"logs associate-kms-key {of_group}", "--kms-key-id KEY"),
        _KEY_OF_LOGS,
        "or set cloudWatchEncryptionEnabled of the document to false",
    )
    return logs.failed_if(why, fix, enforced=enforces)
