"""Finds what the sessions of a node use, and checks whether it can be used."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _limits, _needs
from session_manager_permissions._quoting import in_shell

from .asking import CannotAsk, NotPermitted, NotThere, asked_once, asking, well_formed
from .checks import (
    BUCKET_NOT_ENCRYPTED,
    BUCKET_NOT_READ,
    GROUP_NOT_ENCRYPTED,
    KEY_DENIED,
    MAY_USE,
    NO_DATA_KEY,
    NO_ROLE,
    USABLE,
    Check,
    Evidence,
    by_simulator,
    failed,
    passed,
    skipped,
    unasked,
    unknown,
    ways_out,
)
from .document import PORT, key_arn, read_document
from .identity import unless_replaced
from .simulator import LiveKey, Uses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .document import Home, LiveDocument
    from .identity import Identity
    from .node import Node
    from .session import AwsSession

_KEY: Final = "kms:DescribeKey"
_BUCKET: Final = "s3:GetBucketEncryption"
_GROUP: Final = "logs:DescribeLogGroups"
_USABLE: Final = ("Enabled", "Updating")
"""The states in which KMS decrypts.

https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
"""
_TAKEN: Final = ("AES256", "aws:kms")
"""What the agent takes for an encrypted bucket: agent/s3util/s3util.go of amazon-ssm-agent."""


@dataclass(frozen=True)
class Preferences:
    """What the sessions use, and the checks of it."""

    name: str
    """The document's name."""
    checks: list[Check]
    """Whether the key, the bucket and the log group can be used at all."""
    error: CannotAsk | None = None
    """Why it is not known what the sessions use."""
    uses: Uses = field(default_factory=Uses)
    """What IAM is asked about; without a key that can't be used, and with no document if the
    account has no default one, or it can't be read."""
    bucket_key: LiveKey | CannotAsk | None = None
    """The key that the role needs for the log bucket, or why it is not known; None without one."""
    bucket_region: str | CannotAsk | None = None
    """The region of the log bucket, or why it is not known; None without a bucket."""

    @property
    def document(self) -> LiveDocument:
        """What the document says that the sessions use."""
        return self.uses.document

    @property
    def key(self) -> LiveKey | None:
        """The key of the sessions, if it is known."""
        return next(iter(self.uses.keys), None)

    @property
    def services(self) -> tuple[str, ...]:
        """List the services that the agent calls for a session, besides those of every session."""
        found = self.document
        used = (("kms", found.key), ("logs", found.log_group), ("s3", found.log_bucket))
        return tuple(service for service, value in used if value)


class _Key(NamedTuple):
    """A key, as far as it is known, and its check."""

    check: Check
    key: LiveKey | None
    """None if it does not exist, or if it is not known which key an alias points to."""


def find_preferences(session: AwsSession, node: Node, given: str | None) -> Preferences:
    """Read the document, and check whether what it names can be used.

    Args:
        session: makes the clients.
        node: the node.
        given: the document's name. Default: - `SSM-SessionManagerRunShell`, if it exists

    Raises:
        CannotAsk: there is no document of the given name, or it is not one of sessions.
    """
    name = given or _needs.DEFAULT_DOCUMENT
    found = read_document(session, name, node.home())
    if isinstance(found, NotThere) and given is None:
        return Preferences(name, [skipped(check, _no_document(name)) for check in USABLE])
    if isinstance(found, CannotAsk) and given and not isinstance(found, NotPermitted):
        raise found
    if isinstance(found, CannotAsk):
        return Preferences(name, [unasked(check, name, found) for check in USABLE], error=found)
    key = None if found.key is None else _key(session, node, found.key)
    bucket = _bucket(session, node, found)
    uses = Uses(
        found,
        keys=(key.key,) if key and key.key else (),
        log_bucket_key=bucket.key if isinstance(bucket.key, LiveKey) else None,
    )
    checks = [
        skipped("key-usable", "sessions use no key") if key is None else key.check,
        bucket.check,
        _group(session, node, found),
    ]
    return Preferences(name, checks, uses=uses, bucket_key=bucket.key, bucket_region=bucket.region)


def _no_document(name: str) -> str:
    return f"the account has no document {name}, so sessions use no key and are not logged"


def permission_checks(preferences: Preferences, identity: Identity) -> list[Check]:
    """Check whether the role that does the work may use what the document names."""
    name, document, error = preferences.name, preferences.document, preferences.error
    if error:
        return [unasked(check, name, error) for check in MAY_USE]
    if document.name is None:
        return [skipped(check, _no_document(name)) for check in MAY_USE]
    unread = BUCKET_NOT_READ if document.enforces_s3_encryption else None
    hidden = GROUP_NOT_ENCRYPTED if document.enforces_log_group_encryption else None
    no_key = "sessions use no key"
    if document.session_type == PORT:
        no_key = f"the agent neither encrypts nor logs a session of the type {PORT}"
    checks = []
    for check, subject, users_see, unused in (
        ("encrypt", document.key, KEY_DENIED, no_key),
        ("log-to-s3", document.log_bucket, unread, "sessions are not logged in S3"),
        ("log-to-cloudwatch", document.log_group, hidden, "sessions are not logged in CloudWatch"),
    ):
        if subject is None:
            checks.append(skipped(check, unused))
        elif check in identity.permissions:
            checks.append(by_simulator(check, subject, identity.permissions[check], users_see))
            if check == "log-to-s3" and isinstance(preferences.bucket_key, CannotAsk):
                checks[-1] = _without_bucket_key(checks[-1], preferences.bucket_key)
        elif identity.role is None:
            checks.append(skipped(check, NO_ROLE, subject))
        else:
            checks.append(_without_key(subject, preferences.checks[0]))
    return [unless_replaced(one) for one in checks] if identity.in_doubt else checks


def _without_bucket_key(check: Check, error: CannotAsk) -> Check:
    """Leave the permission open, as IAM could not be asked about the bucket's key."""
    if check.verdict != "pass":
        return check
    why = (f"whether the role may use the key of the bucket is not known: {error}",)
    return replace(check, verdict="unknown", why=why, fix=ways_out([error]))


def _without_key(subject: str, key_usable: Check) -> Check:
    """Check the permission on a key that is not known."""
    if key_usable.verdict == "unknown":
        return replace(key_usable, name="encrypt", subject=subject)
    return skipped("encrypt", "the key can't be used, whatever the role may do", subject)


def _key(session: AwsSession, node: Node, given: str) -> _Key:
    name = "key-usable"
    region = given.split(":")[3]
    if region != node.region:
        why = f"the key is in {region}, and the node in {node.region}, where the agent calls KMS"
        fix = f"set kmsKeyId of the document to a key of {node.region}"
        evidence = [Evidence("ssm:GetDocument", "inputs.kmsKeyId", given)]
        return _Key(failed(name, given, why, fix, evidence, users_see=NO_DATA_KEY), None)
    found = _describe_key(session, given)
    if isinstance(found, NotThere):
        fix = "set kmsKeyId of the document to a key that exists"
        evidence = [Evidence(_KEY, "KeyMetadata", None)]
        return _Key(failed(name, given, str(found), fix, evidence, users_see=NO_DATA_KEY), None)
    if isinstance(found, CannotAsk):
        itself = LiveKey(given, given)
        return _Key(unasked(name, given, found), None if itself.alias_name else itself)
    return _Key(_usable(node, given, found), LiveKey(given, found["Arn"]))


@asked_once
def _describe_key(session: AwsSession, given: str) -> Mapping[str, Any]:
    with asking("kms", given, f"there is no {given}"):
        kms = session.client("kms", given.split(":")[3])
        found = kms.describe_key(KeyId=given)["KeyMetadata"]
        return {**found, "Arn": well_formed(found["Arn"], _limits.key_fault)}


def _usable(node: Node, given: str, found: Mapping[str, Any]) -> Check:
    name = "key-usable"
    spec = found.get("KeySpec") or found.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT"
    state = found.get("KeyState", "Enabled")
    evidence = [
        Evidence(_KEY, "KeyMetadata.KeyState", state),
        Evidence(_KEY, "KeyMetadata.KeySpec", spec),
        Evidence(_KEY, "KeyMetadata.KeyUsage", found.get("KeyUsage")),
        Evidence(_KEY, "KeyMetadata.KeyManager", found.get("KeyManager")),
    ]
    of_key = (
        f"--key-id {in_shell(found['Arn'], _limits.key_fault, 'KEY')} --region {node.region_word}"
    )
    why, fix = "", "set kmsKeyId of the document to a symmetric customer managed key"
    if state == "Disabled":
        why, fix = "the key is disabled", f"aws kms enable-key {of_key}"
    elif state == "PendingDeletion":
        why = "the key is scheduled for deletion"
        fix = f"aws kms cancel-key-deletion {of_key}, and aws kms enable-key {of_key}"
    elif state not in _USABLE:
        why = f"the key is in the state {state}, in which it decrypts nothing"
    elif spec != "SYMMETRIC_DEFAULT" or found.get("KeyUsage") != "ENCRYPT_DECRYPT":
        why = (
            f"the key is for {found.get('KeyUsage')} with the spec {spec}, and encrypts no session"
        )
    elif found.get("KeyManager") == "AWS":
        why = "the key is an AWS managed one, which only its own service may use"
    if why:
        return failed(name, given, why, fix, evidence, users_see=NO_DATA_KEY)
    return passed(name, given, "the key encrypts and decrypts", evidence)


class _Bucket(NamedTuple):
    """The log bucket."""

    check: Check
    region: str | CannotAsk | None = None
    """Its region, or why it is not known; None without a bucket."""
    key: LiveKey | CannotAsk | None = None
    """The key that the role needs; None if it needs none."""


def _bucket(session: AwsSession, node: Node, document: LiveDocument) -> _Bucket:
    name, bucket = "bucket-encryption", document.log_bucket
    if bucket is None:
        return _Bucket(skipped(name, "sessions are not logged in S3"))
    found = _bucket_encryption(session, bucket, node.partition)
    if isinstance(found, CannotAsk):
        return _Bucket(unasked(name, bucket, found), session.bucket_region or found)
    algorithm, key = found
    region = session.bucket_region or node.region  # S3 would have named another one
    live_key = None if key is None else _bucket_key(session, bucket, key, node.home(region))
    enforces = document.enforces_s3_encryption
    return _Bucket(_bucket_check(bucket, algorithm, enforces=enforces), region, live_key)


def _bucket_check(bucket: str, algorithm: str, *, enforces: bool | None) -> Check:
    name = "bucket-encryption"
    evidence = [Evidence(_BUCKET, "SSEAlgorithm", algorithm)]
    named = in_shell(bucket, _limits.BUCKET.fault, "BUCKET")
    if algorithm == "no such bucket":
        fix = f"aws s3 mb s3://{named}, or set s3BucketName of the document to one that exists"
        why = f"there is no bucket {bucket!r}"
        users_see = BUCKET_NOT_READ if enforces else None
        return failed(name, bucket, why, fix, evidence, users_see=users_see)
    if algorithm in _TAKEN or enforces is False:
        why = f"the bucket encrypts with {algorithm}"
        if algorithm not in _TAKEN:
            why += ", which the agent does not count as encrypted, but nothing enforces encryption"
        return passed(name, bucket, why, evidence)
    why = (
        f"the bucket encrypts with {algorithm}, which the agent does not count as encrypted, so "
        "that it refuses each session"
    )
    fix = (
        f"aws s3api put-bucket-encryption --bucket {named}, with aws:kms or AES256, or set "
        "s3EncryptionEnabled of the document to false"
    )
    if enforces is None:
        why += " if the document's parameter enforces encryption"
        return unknown(name, bucket, why, fix, evidence)
    return failed(name, bucket, why, fix, evidence, users_see=BUCKET_NOT_ENCRYPTED)


@asked_once
def _bucket_encryption(session: AwsSession, bucket: str, partition: str) -> tuple[str, str | None]:
    """Read how the bucket encrypts, and with which key, if that is named."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 # of an extra

    with asking("s3", f"arn:{partition}:s3:::{bucket}", f"there is no bucket {bucket!r}"):
        try:
            found = session.client("s3").get_bucket_encryption(Bucket=bucket)
        except ClientError as error:
            absent = {
                "NoSuchBucket": "no such bucket",
                "ServerSideEncryptionConfigurationNotFoundError": "nothing",
            }.get(error.response["Error"]["Code"])
            if absent is None:
                raise
            return absent, None
        rule = found["ServerSideEncryptionConfiguration"]["Rules"][0]
        default = rule["ApplyServerSideEncryptionByDefault"]
        return default["SSEAlgorithm"], default.get("KMSMasterKeyID")


def _bucket_key(
    session: AwsSession, bucket: str, key: str, home: Home
) -> LiveKey | CannotAsk | None:
    """Find the key of the bucket; None for S3's AWS managed key, which needs no grant.

    S3 takes any text for the key of a bucket's default encryption.
    """
    arn = key_arn(key, home)
    if _limits.key_fault(arn):
        return CannotAsk(
            f"the default encryption of the bucket {bucket!r} names the key {key!r}, which is "
            "neither the id nor the ARN of a KMS key, nor an alias: correct the encryption of the "
            "bucket"
        )
    found = _describe_key(session, arn)
    if isinstance(found, CannotAsk):
        itself = LiveKey(arn, arn)
        return found if itself.alias_name else itself
    return None if found.get("KeyManager") == "AWS" else LiveKey(arn, found["Arn"])


def _group(session: AwsSession, node: Node, document: LiveDocument) -> Check:
    name, group = "log-group-encryption", document.log_group
    if group is None:
        return skipped(name, "sessions are not logged in CloudWatch")
    found = _find_group(session, group)
    if isinstance(found, CannotAsk):
        return unasked(name, group, found)
    enforces = document.enforces_log_group_encryption
    users_see = GROUP_NOT_ENCRYPTED if enforces else None
    named = in_shell(group, _limits.LOG_GROUP.fault, "GROUP")
    of_group = f"--log-group-name {named} --region {node.region_word}"
    if found is None:
        evidence = [Evidence(_GROUP, "logGroupName", None)]
        why = f"there is no log group {group!r} in {node.region}, and the agent makes none"
        fix = f"aws logs create-log-group {of_group}" + (" --kms-key-id KEY" if enforces else "")
        return failed(name, group, why, fix, evidence, users_see=users_see)
    key = found.get("kmsKeyId")
    evidence = [Evidence(_GROUP, "kmsKeyId", key)]
    if key or enforces is False:
        why = "the log group is encrypted with a key" if key else "nothing enforces encryption"
        return passed(name, group, why, evidence)
    why = "the log group has no KMS key, so that the agent refuses each session"
    fix = (
        f"aws logs associate-kms-key {of_group} --kms-key-id KEY, or set "
        "cloudWatchEncryptionEnabled of the document to false"
    )
    if enforces is None:
        why += " if the document's parameter enforces encryption"
        return unknown(name, group, why, fix, evidence)
    return failed(name, group, why, fix, evidence, users_see=users_see)


@asked_once
def _find_group(session: AwsSession, group: str) -> Mapping[str, Any] | None:
    """Find the log group of just this name, which is the first of those that begin with it."""
    with asking("logs", "*", f"there is no log group {group!r}"):
        pages = session.client("logs").get_paginator("describe_log_groups")
        for page in pages.paginate(logGroupNamePrefix=group):
            for first in page["logGroups"]:
                return first if first["logGroupName"] == group else None
    return None
