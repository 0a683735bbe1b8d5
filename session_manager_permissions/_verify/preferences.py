"""Reads the session preferences of a node, and checks whether its role may use their resources."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from session_manager_permissions import _needs

from . import checks, logs
from .asking import CannotAsk, NotPermitted, NotThere, tried
from .checks import Check, Evidence, Outcome
from .document import PORT, LiveDocument, Refused, read_document
from .lines import is_command
from .questions import Uses
from .session_key import find_session_key, judged_by_its_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .identity import Identity
    from .keys import LiveKey
    from .node import Node

_BY_FLAG: Final = {
    "s3EncryptionEnabled": checks.BUCKET,
    "cloudWatchEncryptionEnabled": checks.LOG_GROUP,
    "runAsEnabled": checks.RUN_AS,
}
"""The check that fails for each flag of the document that the agent can't read."""


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """The session preferences, and their checks."""

    name: str
    """The document's name."""
    outcomes: dict[Check, Outcome]
    """Whether the key, the bucket and the log group can be used at all. If no document
    exists or can be read, also whether the role may use them."""
    error: CannotAsk | None = None
    """Why the document could not be read."""
    uses: Uses = field(default_factory=Uses)
    """What IAM is asked about. A key that can't be used is left out. So is a document that can't be
    read, and a default document that does not exist."""

    @property
    def document(self) -> LiveDocument:
        """The settings of the document."""
        return self.uses.document

    @property
    def key(self) -> LiveKey | None:
        """The key of the sessions, if it is known."""
        return next(iter(self.uses.keys), None)

    @property
    def services(self) -> tuple[str, ...]:
        """List the services that the agent calls because of the preferences."""
        found = self.document
        used = (("kms", found.key), ("logs", found.log_group), ("s3", found.log_bucket))
        return tuple(service for service, value in used if value)


def find_preferences(node: Node, given: str | None) -> Preferences:
    """Read the document, and check whether its key, bucket and log group can be used.

    Args:
        node: the node.
        given: the document's name. Default: - `SSM-SessionManagerRunShell`, if it exists

    Raises:
        CannotAsk: there is no document of the given name, or it is not a Session document.
    """
    name = given or _needs.DEFAULT_DOCUMENT
    found = tried(lambda: read_document(node.session, name, node.account))
    if isinstance(found, NotThere) and given is None:
        why = f"the account has no document {name}, so sessions use no key and are not logged"
        skipped = {check: check.skipped(why) for check in checks.OF_DOCUMENT}
        return Preferences(name=name, outcomes=skipped)
    if isinstance(found, CannotAsk) and given and not isinstance(found, (NotPermitted, Refused)):
        raise found
    if isinstance(found, CannotAsk):
        outcomes = {check: of_unread(check, name, found) for check in checks.OF_DOCUMENT}
        return Preferences(name=name, outcomes=outcomes, error=found)
    key_usable, key = find_session_key(node, found.key)
    bucket = logs.read_bucket(node, found.log_bucket)
    uses = Uses(document=found, keys=(key,) if key else (), bucket=bucket)
    of_bucket = logs.bucket_outcome(node, found, bucket)
    each = (key_usable, of_bucket, logs.log_group_outcome(node, found))
    return Preferences(name=name, outcomes={one.check: one for one in each}, uses=uses)


def of_unread(check: Check, name: str, error: CannotAsk) -> Outcome:
    """Return the outcome of a check whose subject a document names that can't be read."""
    if not isinstance(error, Refused) or _BY_FLAG[error.flag] is not check:
        return check.of(name).unasked(error)
    document = check.of(name, Evidence("ssm:GetDocument", f"inputs.{error.flag}", error.value))
    fix = f"set {error.flag} of the document to true or false"
    return document.failed(str(error), fix=fix, is_seen=False)


def uses_outcomes(node: Node, preferences: Preferences, identity: Identity) -> list[Outcome]:
    """Check whether the agent's role may use what the document names."""
    outcomes = {**preferences.outcomes}
    if preferences.document.name is not None:
        outcomes |= {one.check: one for one in _permission_outcomes(node, preferences, identity)}
    key_usable = outcomes[checks.KEY_USABLE]
    is_mended = any(map(is_command, key_usable.fix))
    if preferences.key and (is_mended or key_usable.verdict == "pass"):
        judged = judged_by_its_policy(node, key_usable, preferences.key, identity)
        outcomes[checks.KEY_USABLE] = _together(key_usable, judged) if is_mended else judged
    return [*outcomes.values()]


def _together(failed: Outcome, judged: Outcome) -> Outcome:
    """Add what the policy of a key lacks to another reason why the key can't be used."""
    if judged.verdict != "fail":
        return failed
    return replace(judged, why=(failed.why[0], *judged.why), fix=(*failed.fix, *judged.fix))


def _permission_outcomes(
    node: Node, preferences: Preferences, identity: Identity
) -> Iterator[Outcome]:
    """Check whether the role may use the key, the bucket and the log group."""
    document = preferences.document
    no_key = "sessions use no key"
    if document.session_type == PORT:
        no_key = f"the agent neither encrypts nor logs a session of the type {PORT}"
    group, of_group = document.log_group, document.enforces_log_group_encryption
    for check, subject, enforced, unused in (
        (checks.ENCRYPT, document.key, True, no_key),
        (checks.LOG_TO_S3, document.log_bucket, document.enforces_s3_encryption, logs.NOT_IN_S3),
        (checks.LOG_TO_CLOUDWATCH, group, of_group, logs.NOT_IN_CLOUDWATCH),
    ):
        if subject is None:
            yield check.skipped(unused)
        elif check.name in identity.permissions:
            found = identity.permissions[check.name]()
            outcome = check.of(subject).simulated(found, is_seen=bool(enforced))
            of_s3 = check is checks.LOG_TO_S3
            yield _unless_bucket_open(outcome, node, preferences) if of_s3 else outcome
        elif identity.role is None:
            yield check.of(subject).without_role(identity.error)
        elif (key_usable := preferences.outcomes[checks.KEY_USABLE]).verdict == "unknown":
            yield replace(key_usable, check=check)
        else:
            yield check.of(subject).skipped("the key can't be used, whatever the role may do")


def _unless_bucket_open(outcome: Outcome, node: Node, preferences: Preferences) -> Outcome:
    """Make the permission unknown if IAM could not be asked about all that the bucket needs."""
    error = preferences.uses.bucket.key
    if outcome.verdict in ("pass", "unknown") and isinstance(error, CannotAsk):
        why = f"it is not known whether the role may use the key of the bucket: {error}"
        return outcome.unknown(why, *outcome.why, fix=outcome.fix, errors=[*outcome.errors, error])
    return logs.unless_foreign(outcome, node) if preferences.uses.bucket.is_foreign else outcome
