"""Checks whether sessions can be logged in the bucket and the log group of the preferences."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _limits, _needs
from session_manager_permissions._quoting import fitting, in_shell

from .asking import CannotAsk, NotPermitted, NotThere, answered, read_in, tried
from .checks import BUCKET, BUCKET_NOT_READ, LOG_GROUP, NO_MESSAGE, Evidence, Outcome
from .document import LiveDocument, key_arn
from .keys import DESCRIBE_KEY, LiveKey, describe_key
from .lines import aws, in_json, region_word
from .questions import Bucket
from .session_key import key_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .node import Node

_BUCKET: Final = "s3:GetBucketEncryption"
NOT_IN_S3: Final = "sessions are not logged in S3"
_NO_BUCKET: Final = "no such bucket"
_OF_ANOTHER_KIND: Final = (
    "names a directory bucket, a table bucket or an access point, and it is not known whether the "
    "agent can log there: set s3BucketName of the document to a general purpose bucket"
)
_WITHOUT_CONSTRAINT: Final = "us-east-1"
"""The default region of new buckets, which S3 accepts as no location constraint."""
_GROUP: Final = "logs:DescribeLogGroups"
NOT_IN_CLOUDWATCH: Final = "sessions are not logged in CloudWatch"
_KEY_OF_LOGS: Final = "KEY is the ARN of a key whose policy lets CloudWatch Logs use it"


def read_bucket(node: Node, bucket: str | None) -> Bucket:
    """Read the default encryption of the bucket, and its key.

    If the owner of the bucket is not the expected one, S3 denies the call without a reason.
    """
    if bucket is None:
        return Bucket()
    if bucket.endswith(_limits.OTHER_BUCKETS):
        error = CannotAsk(f"{bucket!r} {_OF_ANOTHER_KIND}")
        return Bucket(key=error, error=error)

    def read(found: Mapping[str, Any]) -> Bucket:
        rule = found["ServerSideEncryptionConfiguration"]["Rules"][0]
        default = rule["ApplyServerSideEncryptionByDefault"]
        region = found.get("BucketRegion", node.region)  # S3 names any other region
        return Bucket(default["SSEAlgorithm"], region, rule, default.get("KMSMasterKeyID"))

    asked = {"on": f"arn:{node.partition}:s3:::{bucket}", "Bucket": bucket}
    found = node.session.tried(_BUCKET, read, **asked, ExpectedBucketOwner=node.account)
    if isinstance(found, NotPermitted):
        of_anyone = node.session.tried(_BUCKET, read, **asked)
        found = of_anyone._replace(is_foreign=True) if isinstance(of_anyone, Bucket) else found
    if isinstance(found, NotThere):
        absent = _NO_BUCKET if found.code == "NoSuchBucket" else "nothing"
        return Bucket(absent, found.bucket_region or node.region)
    if isinstance(found, CannotAsk):
        return Bucket(region=found.bucket_region, key=found, error=found)
    return found._replace(key=_bucket_key(node, bucket, found))


def bucket_outcome(node: Node, document: LiveDocument, bucket: Bucket) -> Outcome:
    """Check whether the bucket accepts logs, and is encrypted if the document asks for that."""
    name = document.log_bucket
    if name is None:
        return BUCKET.skipped(NOT_IN_S3)
    if bucket.error:
        return BUCKET.of(name).unasked(bucket.error)
    outcome = _encrypted(node, name, bucket, enforces=document.enforces_s3_encryption)
    outcome = _with_key(node, outcome, bucket)
    return unless_foreign(outcome, node) if bucket.is_foreign else outcome


def unless_foreign(outcome: Outcome, node: Node) -> Outcome:
    """Make a pass unknown, as the bucket belongs to another account."""
    if outcome.verdict != "pass":
        return outcome
    why = (
        f"the bucket {outcome.subject} is not in the node's account, {node.account}: its bucket "
        "policy must allow the role too, and the role needs s3:PutObjectAcl on its objects"
    )
    fix = "set s3BucketName of the document to a bucket of the account, or ask the bucket's owner"
    return replace(outcome, verdict="unknown", why=(why, *outcome.why), fix=(fix,))


def _bucket_key_fault(key: str) -> str | None:
    """Say why a text is neither the id nor the ARN of a key, nor an alias."""
    name = key.removeprefix("alias/")
    return _limits.key_fault(key) if key.startswith("arn:") else _limits.ALIAS.fault(name)


def _encrypted(node: Node, bucket: str, found: Bucket, *, enforces: bool | None) -> Outcome:
    """Check whether the bucket exists, and is encrypted as the document enforces."""
    algorithm, region = found.algorithm, str(found.region)
    encrypted = BUCKET.of(bucket, Evidence(_BUCKET, "SSEAlgorithm", algorithm))
    if algorithm == _NO_BUCKET:
        why, fix = f"there is no bucket {bucket!r}", _to_create(node, bucket, region)
        return encrypted.failed(why, fix=fix, is_seen=bool(enforces), users_see=BUCKET_NOT_READ)
    text = f"the bucket encrypts with {algorithm}"
    if algorithm in _needs.ENCRYPTIONS:
        return encrypted.passed(text)
    text += ", so the agent does not count it as encrypted"
    if enforces is False:
        return encrypted.passed(f"{text}, but nothing enforces encryption")
    text += " and refuses each session"
    default = {"SSEAlgorithm": "aws:kms" if "kms" in algorithm else "AES256"}
    if found.named_key is not None:
        default["KMSMasterKeyID"] = fitting(found.named_key, _bucket_key_fault, "KEY")
    rules = [{**found.rule, "ApplyServerSideEncryptionByDefault": default}]
    more = f"--server-side-encryption-configuration {in_json({'Rules': rules})}"
    named = in_shell(bucket, _limits.BUCKET.fault, "BUCKET")
    encrypt = aws(f"s3api put-bucket-encryption --bucket {named}", region, more)
    if found.is_foreign:
        encrypt = "have the owner of the bucket encrypt it with AES256 or aws:kms"
    fix = (encrypt, "or set s3EncryptionEnabled of the document to false")
    return encrypted.failed_if(text, fix, enforced=enforces)


def _to_create(node: Node, bucket: str, region: str) -> tuple[str, ...]:
    """Say what to do about a bucket that does not exist.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html
    """
    existing = "set s3BucketName of the document to a bucket that exists"
    name = bucket.removesuffix(f"-{node.account}-{region}-an")
    if not _limits.NEW_BUCKET.fullmatch(name):
        return (existing,)
    namespace = "" if name == bucket else " --bucket-namespace account-regional"
    of_place = f"--create-bucket-configuration LocationConstraint={region_word(region)}"
    more = "" if region == _WITHOUT_CONSTRAINT else of_place
    create = aws(f"s3api create-bucket --bucket {bucket}{namespace}", region, more)
    return (create, f"or {existing}")


def _bucket_key(node: Node, bucket: str, found: Bucket) -> LiveKey | CannotAsk | None:
    """Find the key of the bucket; None without one, or for the key `aws/s3`, which needs no grant.

    S3 accepts any text as the key of a bucket's default encryption.
    """
    key = found.named_key
    if key is None:
        return None
    arn = key_arn(node.partition, found.region, node.account, key)
    if _limits.key_fault(arn):
        return CannotAsk(
            f"the default encryption of the bucket {bucket!r} names the key {key!r}, which is "
            "neither the id nor the ARN of a KMS key, nor an alias: correct the encryption of the "
            "bucket"
        )
    if _needs.is_aws_managed(arn):
        return None
    itself = LiveKey(arn, arn)
    described = tried(lambda: describe_key(node.session, arn))
    if isinstance(described, NotThere) and not itself.alias_name:
        return itself
    if isinstance(described, CannotAsk):
        return described
    return None if described["KeyManager"] == "AWS" else LiveKey(arn, described["Arn"])


def _with_key(node: Node, outcome: Outcome, bucket: Bucket) -> Outcome:
    """Check also the key of the bucket. If it can't be used, S3 stores no object."""
    key = bucket.key
    if outcome.verdict != "pass" or key is None:
        return outcome
    found = tried(lambda: describe_key(node.session, answered(key).given))
    fault = found if isinstance(found, CannotAsk) else key_fault(node, found)
    if isinstance(fault, CannotAsk) and not isinstance(fault, NotThere):
        why = "it is not known whether the key of the bucket can be used"
        return outcome.unknown(why, errors=[fault])
    why, fix = (str(fault), ()) if isinstance(fault, CannotAsk) else fault
    if not why:
        return outcome
    state = None if isinstance(found, CannotAsk) else found["KeyState"]
    evidence = Evidence(DESCRIBE_KEY, "KeyMetadata.KeyState", state)
    return BUCKET.of(outcome.subject, *outcome.evidence, evidence).failed(
        f"the bucket can't store logs, as it encrypts with the key {bucket.named_key}: {why}",
        fix=fix or ("name a symmetric key in the default encryption of the bucket",),
        is_seen=False,
    )


def log_group_outcome(node: Node, document: LiveDocument) -> Outcome:
    """Check the log group, and whether the agent can read the document's streaming flag."""
    group = document.log_group
    if document.streams is not None and not isinstance(document.streams, bool):
        return _streamed(group or document.name, document.streams)
    if group is None:
        return LOG_GROUP.skipped(NOT_IN_CLOUDWATCH)
    # Of the log groups that begin with this name, the one with exactly this name comes first.
    of_name: dict[str, Any] = {"logGroupNamePrefix": group, "PaginationConfig": {"MaxItems": 1}}
    listed = partial(node.session.listed, _GROUP, "logGroups", **of_name)
    found = read_in("logs", lambda: [one for one in listed() if one["logGroupName"] == group])
    if isinstance(found, CannotAsk):
        return LOG_GROUP.of(group).unasked(found)
    enforces = document.enforces_log_group_encryption
    of_group = f"--log-group-name {in_shell(group, _limits.LOG_GROUP.fault, 'GROUP')}"
    if not found:
        why = f"there is no log group {group!r} in {node.region}, and the agent creates none"
        create = f"logs create-log-group {of_group}"
        with_key = node.aws(create, "--kms-key-id KEY"), _KEY_OF_LOGS
        fix: tuple[str, ...] = with_key if enforces else (node.aws(create),)
        absent = LOG_GROUP.of(group, Evidence(_GROUP, "logGroupName", None))
        return absent.failed(why, fix=fix, is_seen=bool(enforces))
    key = found[0].get("kmsKeyId")
    logs = LOG_GROUP.of(group, Evidence(_GROUP, "kmsKeyId", key))
    if key or enforces is False:
        why = "the log group is encrypted with a key"
        return logs.passed(why if key else "the document does not enforce encryption")
    why = "the log group has no KMS key, so the agent refuses each session"
    fix = (
        node.aws(f"logs associate-kms-key {of_group}", "--kms-key-id KEY"),
        _KEY_OF_LOGS,
        "or set cloudWatchEncryptionEnabled of the document to false",
    )
    return logs.failed_if(why, fix, enforced=enforces)


def _streamed(subject: str | None, flag: object) -> Outcome:
    """Judge a document whose streaming flag is not a boolean, so that the agent can't parse it.

    By its source, the agent parses the flag before it replaces parameters.
    """
    evidence = Evidence("ssm:GetDocument", "inputs.cloudWatchStreamingEnabled", str(flag))
    fix = "set cloudWatchStreamingEnabled of the document to true or false, without quotation marks"
    why = f"the document has {flag!r} for cloudWatchStreamingEnabled, which is not a boolean, so "
    why += "the agent drops each session"
    return LOG_GROUP.of(subject, evidence).failed(why, fix=fix, users_see=NO_MESSAGE)
