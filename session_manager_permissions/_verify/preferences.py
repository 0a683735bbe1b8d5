"""Finds what the sessions of a node use, and checks whether it can be used."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _limits, _needs
from session_manager_permissions._quoting import fitting, in_shell, word

from . import checks
from .asking import CannotAsk, NotPermitted, NotThere, tried
from .checks import NO_MESSAGE, NO_ROLE, Evidence, Outcome
from .document import PORT, Refused, key_arn, read_document
from .identity import unless_replaced
from .keys import LiveKey, describe_key
from .lines import hidden, region_word
from .questions import TAKEN, Bucket, Uses
from .resource_policy import key_policy
from .simulator import SESSION_ID, TARGET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .checks import Check
    from .document import Home, LiveDocument
    from .identity import Identity
    from .node import Node
    from .session import Session

_KEY: Final = "kms:DescribeKey"
_BUCKET: Final = "s3:GetBucketEncryption"
_GROUP: Final = "logs:DescribeLogGroups"
_USABLE: Final = ("Enabled", "Updating")
"""The states in which KMS decrypts.

https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
"""
_OF_AWS: Final = "the key is an AWS managed one, which only its own service may use"
_ANOTHER_KEY: Final = "set kmsKeyId of the document to a symmetric customer managed key"
_BY_FLAG: Final = {
    "s3EncryptionEnabled": checks.BUCKET,
    "cloudWatchEncryptionEnabled": checks.LOG_GROUP,
    "runAsEnabled": checks.RUN_AS,
}
"""The check that fails if the agent can't read a flag of the document."""
_NOT_IN_S3: Final = "sessions are not logged in S3"
_NOT_IN_CLOUDWATCH: Final = "sessions are not logged in CloudWatch"


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """What the sessions use, and the checks of it."""

    name: str
    """The document's name."""
    outcomes: list[Outcome]
    """Whether the key, the bucket and the log group can be used at all."""
    error: CannotAsk | None = None
    """Why it is not known what the sessions use."""
    uses: Uses = field(default_factory=Uses)
    """What IAM is asked about; without a key that can't be used, and with no document if the
    account has no default one, or it can't be read."""

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


def find_preferences(node: Node, given: str | None) -> Preferences:
    """Read the document, and check whether what it names can be used.

    Args:
        node: the node.
        given: the document's name. Default: - `SSM-SessionManagerRunShell`, if it exists

    Raises:
        CannotAsk: there is no document of the given name, or it is not one of sessions.
    """
    name = given or _needs.DEFAULT_DOCUMENT
    found = tried(lambda: read_document(node.session, name, node.home()))
    if isinstance(found, NotThere) and given is None:
        why = _no_document(name)
        return Preferences(name=name, outcomes=[check.skipped(why) for check in checks.USABLE])
    if isinstance(found, CannotAsk) and given and not isinstance(found, (NotPermitted, Refused)):
        raise found
    if isinstance(found, CannotAsk):
        outcomes = [of_unread(check, name, found) for check in checks.USABLE]
        return Preferences(name=name, outcomes=outcomes, error=found)
    key_usable, key = _key(node, found.key)
    bucket = _bucket(node, found.log_bucket)
    uses = Uses(
        document=found,
        keys=(key,) if key else (),
        bucket=bucket,
    )
    outcomes = [
        key_usable,
        _bucket_outcome(node, found, bucket),
        _streaming_by_text(found) or _group(node, found),
    ]
    return Preferences(name=name, outcomes=outcomes, uses=uses)


def of_unread(check: Check, name: str, error: CannotAsk) -> Outcome:
    """Return the outcome of a check of what a document names that can't be read."""
    if not isinstance(error, Refused) or _BY_FLAG[error.flag] is not check:
        return check.of(name).unasked(error)
    document = check.of(name, Evidence("ssm:GetDocument", f"inputs.{error.flag}", error.value))
    fix = f"set {error.flag} of the document to true or false"
    return document.failed(str(error), fix=fix, is_seen=False)


def _no_document(name: str) -> str:
    return f"the account has no document {name}, so sessions use no key and are not logged"


def uses_outcomes(node: Node, preferences: Preferences, identity: Identity) -> list[Outcome]:
    """Check whether the role that does the work may use what the document names."""
    outcomes = [*_permissions(node, preferences, identity)]
    if identity.in_doubt:
        outcomes = [unless_replaced(one) for one in outcomes]
    key_usable, *others = preferences.outcomes
    if key_usable.verdict == "pass" and preferences.key:
        key_usable = _by_policy(node, key_usable, preferences.key, identity)
    return [*outcomes, key_usable, *others]


def _permissions(node: Node, preferences: Preferences, identity: Identity) -> Iterator[Outcome]:
    name, document, error = preferences.name, preferences.document, preferences.error
    if error or document.name is None:
        for check in checks.MAY_USE:
            yield check.of(name).unasked(error) if error else check.skipped(_no_document(name))
        return
    no_key = "sessions use no key"
    if document.session_type == PORT:
        no_key = f"the agent neither encrypts nor logs a session of the type {PORT}"
    group, of_group = document.log_group, document.enforces_log_group_encryption
    for check, subject, enforced, unused in (
        (checks.ENCRYPT, document.key, True, no_key),
        (checks.LOG_TO_S3, document.log_bucket, document.enforces_s3_encryption, _NOT_IN_S3),
        (checks.LOG_TO_CLOUDWATCH, group, of_group, _NOT_IN_CLOUDWATCH),
    ):
        if subject is None:
            yield check.skipped(unused)
        elif check.name in identity.permissions:
            found = identity.permissions[check.name]()
            outcome = check.of(subject).simulated(found, is_seen=bool(enforced))
            yield _of_bucket(outcome, node, preferences) if check is checks.LOG_TO_S3 else outcome
        elif identity.role is None and identity.error:
            yield check.of(subject).unasked(identity.error)
        elif identity.role is None:
            yield check.of(subject).skipped(NO_ROLE)
        else:
            yield _without_key(subject, preferences.outcomes[0])


def _of_bucket(outcome: Outcome, node: Node, preferences: Preferences) -> Outcome:
    """Leave the permission open if IAM could not be asked about all that the bucket takes."""
    error = preferences.uses.bucket.key
    if outcome.verdict == "pass" and isinstance(error, CannotAsk):
        why = f"whether the role may use the key of the bucket is not known: {error}"
        return outcome.anew.unknown(why, errors=[error])
    return _unless_theirs(outcome, node) if preferences.uses.bucket.is_foreign else outcome


def _without_key(subject: str, key_usable: Outcome) -> Outcome:
    """Check the permission on a key that is not known."""
    if key_usable.verdict == "unknown":
        return replace(key_usable, check=checks.ENCRYPT, subject=subject)
    return checks.ENCRYPT.of(subject).skipped("the key can't be used, whatever the role may do")


def _key(node: Node, given: str | None) -> tuple[Outcome, LiveKey | None]:
    """Check the key, and find it; None if it does not exist, or an alias points to none known."""
    if given is None:
        return checks.KEY_USABLE.skipped("sessions use no key"), None
    region = given.split(":")[3]
    if region != node.region:
        why = f"the key is in {region}, and the node in {node.region}, where the agent calls KMS"
        key = checks.KEY_USABLE.of(given, Evidence("ssm:GetDocument", "inputs.kmsKeyId", given))
        fix = f"set kmsKeyId of the document to a key of {node.region}"
        return key.failed(why, fix=fix), None
    if LiveKey(given, given).is_of_aws:
        key = checks.KEY_USABLE.of(given, Evidence("ssm:GetDocument", "inputs.kmsKeyId", given))
        return key.failed(_OF_AWS, fix=_ANOTHER_KEY), None
    found = tried(lambda: describe_key(node.session, given))
    if isinstance(found, NotThere):
        key = checks.KEY_USABLE.of(given, Evidence(_KEY, "KeyMetadata", None))
        fix = "set kmsKeyId of the document to a key that exists"
        return key.failed(str(found), fix=fix), None
    if isinstance(found, CannotAsk):
        itself, outcome = LiveKey(given, given), checks.KEY_USABLE.of(given).unasked(found)
        return outcome, None if itself.alias_name else itself
    return _usable(node, given, found), LiveKey(given, found["Arn"])


def _usable(node: Node, given: str, found: Mapping[str, Any]) -> Outcome:
    names = ("KeyState", "KeySpec", "KeyUsage", "KeyManager")
    evidence = (Evidence(_KEY, f"KeyMetadata.{name}", found.get(name)) for name in names)
    key = checks.KEY_USABLE.of(given, *evidence)
    why, fix = _fault(node, found)
    if not why and found.get("KeyManager") == "AWS":
        why = _OF_AWS
    if why:
        failed = key.failed(why, fix=fix or (_ANOTHER_KEY,))
        return replace(failed, is_passing=found["KeyState"] == "Creating")
    return key.passed("the key encrypts and decrypts")


def _fault(node: Node, found: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Say why a key encrypts nothing, and what to run, if that helps; "" if it does."""
    state, spec, usage = found["KeyState"], found["KeySpec"], found["KeyUsage"]
    if state == "Disabled":
        return "the key is disabled", _by_owner(node, found["Arn"], "enable-key")
    if state == "PendingDeletion":
        fix = _by_owner(node, found["Arn"], "cancel-key-deletion", "enable-key")
        return "the key is scheduled for deletion", fix
    if state not in _USABLE:
        return f"the key is in the state {state}, in which it decrypts nothing", ()
    if spec != "SYMMETRIC_DEFAULT" or usage != "ENCRYPT_DECRYPT":
        return f"the key is for {usage} with the spec {spec}, and makes no data keys", ()
    return "", ()


def _by_owner(node: Node, arn: str, *commands: str) -> tuple[str, ...]:
    """Return commands about a key, which KMS takes in its region and from its account alone."""
    region, owner = arn.split(":")[3:5]
    if owner != node.account:
        return (f"have the account {owner}, which owns the key, run {' and '.join(commands)}",)
    of_key = f"--key-id {in_shell(arn, _limits.key_fault, 'KEY')} --region {region_word(region)}"
    return tuple(f"aws kms {command} {of_key}" for command in commands)


def _by_policy(node: Node, usable: Outcome, key: LiveKey, identity: Identity) -> Outcome:
    """Judge the key by its own policy, without which no policy of the role counts."""
    partition, account = (key.arn.split(":")[part] for part in (1, 4))
    policy = key_policy(node.spare, key.arn)
    if policy.error:
        why = f"whether the key's own policy lets the role use it is not known: {policy.error}"
        return usable.anew.unknown(why, errors=[policy.error])
    role = identity.role.arn if identity.role else f"arn:{partition}:iam::{account}:role/ROLE"
    told = {SESSION_ID: None, TARGET: node.id, _needs.REGION_KEY: node.region}
    told |= identity.role.user_id_on(node.id) if identity.role else {}
    # What IAM says of the role is a check of its own.
    admission = policy.admits(role, "kms:Decrypt", key.arn, told, by_iam=True)
    evidence = Evidence("kms:GetKeyPolicy", "Policy", admission.answer)
    judged = checks.KEY_USABLE.of(usable.subject, *usable.evidence, evidence)
    if identity.error and any(one["Effect"] == "Deny" for one in policy.statements):
        why = f"the key's own policy has a Deny, and the role is not known: {identity.error}"
        return judged.unknown(why, errors=[identity.error])
    if admission.answer in ("named", "account"):
        return judged.passed(*usable.why, admission.why)
    if admission.answer == "unknown" or identity.role is None:
        return judged.unknown(admission.why, fix=admission.fix)
    return judged.failed(admission.why, fix=admission.fix)


def _bucket(node: Node, bucket: str | None) -> Bucket:
    """Read how the bucket encrypts, and with which key, if that is named.

    S3 denies a call that expects another owner of the bucket, as it denies one that is not allowed.
    """
    if bucket is None:
        return Bucket()

    def read(found: Mapping[str, Any]) -> Bucket:
        rule = found["ServerSideEncryptionConfiguration"]["Rules"][0]
        default = rule["ApplyServerSideEncryptionByDefault"]
        region = found.get("BucketRegion", node.region)  # S3 would have named another one
        return Bucket(default["SSEAlgorithm"], region, default.get("KMSMasterKeyID"))

    asked = {
        "on": f"arn:{node.partition}:s3:::{bucket}",
        "missing": f"there is no bucket {bucket!r}",
        "Bucket": bucket,
    }
    found = node.session.tried(_BUCKET, read, **asked, ExpectedBucketOwner=node.account)
    if isinstance(found, NotPermitted):
        of_anyone = node.session.tried(_BUCKET, read, **asked)
        found = of_anyone._replace(is_foreign=True) if isinstance(of_anyone, Bucket) else found
    if isinstance(found, NotThere):
        absent = _NO_BUCKET if found.code == "NoSuchBucket" else "nothing"
        return Bucket(absent, found.bucket_region or node.region)
    if isinstance(found, CannotAsk):
        return Bucket(region=found.bucket_region, key=found, error=found)
    if found.named_key is None:
        return found
    home = node.home(str(found.region))
    return found._replace(key=_bucket_key(node.session, bucket, found.named_key, home))


def _bucket_outcome(node: Node, document: LiveDocument, bucket: Bucket) -> Outcome:
    name = document.log_bucket
    if name is None:
        return checks.BUCKET.skipped(_NOT_IN_S3)
    if bucket.error:
        return checks.BUCKET.of(name).unasked(bucket.error)
    outcome = _encrypted(name, bucket, enforces=document.enforces_s3_encryption)
    outcome = _with_key(node, outcome, bucket.key)
    return _unless_theirs(outcome, node) if bucket.is_foreign else outcome


def _unless_theirs(outcome: Outcome, node: Node) -> Outcome:
    """Leave open what passes and rests on a bucket of another account."""
    if outcome.verdict != "pass":
        return outcome
    why = (
        f"the bucket {outcome.subject} is not of the account {node.account} of the node, so that "
        "its own policy decides as well, and the role needs s3:PutObjectAcl on its objects"
    )
    fix = "set s3BucketName of the document to a bucket of the account, or ask the bucket's owner"
    return replace(outcome, verdict="unknown", why=(why, *outcome.why), fix=(fix,))


_NO_BUCKET: Final = "no such bucket"
_WITHOUT_CONSTRAINT: Final = "us-east-1"
"""The region that S3 refuses as the location of a new bucket, as it is the one by default."""


def _bucket_key_fault(key: str) -> str | None:
    """Say why a text is neither the id nor the ARN of a key, nor an alias."""
    name = key.removeprefix("alias/")
    return _limits.key_fault(key) if key.startswith("arn:") else _limits.ALIAS.fault(name)


def _encrypted(bucket: str, found: Bucket, *, enforces: bool | None) -> Outcome:
    algorithm, region = found.algorithm, str(found.region)
    encrypted = checks.BUCKET.of(bucket, Evidence(_BUCKET, "SSEAlgorithm", algorithm))
    named = in_shell(bucket, _limits.BUCKET.fault, "BUCKET")
    if algorithm == _NO_BUCKET:
        place = region_word(region)
        of_place = f" --create-bucket-configuration LocationConstraint={place}"
        create = f"aws s3api create-bucket --bucket {named} --region {place}"
        create += "" if region == _WITHOUT_CONSTRAINT else of_place
        return encrypted.failed(
            f"there is no bucket {bucket!r}",
            fix=(create, "or set s3BucketName of the document to one that exists"),
            is_seen=bool(enforces),
            users_see=checks.BUCKET_NOT_READ,
        )
    if algorithm in TAKEN or enforces is False:
        text = f"the bucket encrypts with {algorithm}"
        if algorithm not in TAKEN:
            text += ", which the agent does not count as encrypted, but nothing enforces encryption"
        return encrypted.passed(text)
    text = (
        f"the bucket encrypts with {algorithm}, which the agent does not count as encrypted, so "
        "that it refuses each session"
    )
    default = "SSEAlgorithm=AES256"
    if found.named_key is not None:
        key = fitting(found.named_key, lambda key: hidden(key) or _bucket_key_fault(key), "KEY")
        default = f"SSEAlgorithm=aws:kms,KMSMasterKeyID={key}"
    rules = word(f"Rules=[{{ApplyServerSideEncryptionByDefault={{{default}}}}}]")
    put = f"aws s3api put-bucket-encryption --bucket {named} --region {region_word(region)}"
    encrypt = f"{put} --server-side-encryption-configuration {rules}"
    if found.is_foreign:
        encrypt = "have the owner of the bucket encrypt it with AES256 or aws:kms"
    fix = (encrypt, "or set s3EncryptionEnabled of the document to false")
    return encrypted.failed_if(text, fix, enforced=enforces)


def _bucket_key(session: Session, bucket: str, key: str, home: Home) -> LiveKey | CannotAsk | None:
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
    itself = LiveKey(arn, arn)
    if itself.is_of_aws:
        return None
    found = tried(lambda: describe_key(session, arn))
    if isinstance(found, CannotAsk):
        return found if itself.alias_name else itself
    return None if found.get("KeyManager") == "AWS" else LiveKey(arn, found["Arn"])


def _with_key(node: Node, outcome: Outcome, key: LiveKey | CannotAsk | None) -> Outcome:
    """Judge a bucket by its key as well, without which S3 takes no object."""
    if outcome.verdict != "pass" or not isinstance(key, LiveKey):
        return outcome
    found = tried(lambda: describe_key(node.session, key.given))
    fix: tuple[str, ...] = ()
    why, state = "", None
    if isinstance(found, NotThere):
        why = str(found)
    elif isinstance(found, CannotAsk):
        return replace(outcome, errors=(found,))
    else:
        (why, fix), state = _fault(node, found), found["KeyState"]
    if not why:
        return outcome
    evidence = Evidence(_KEY, "KeyMetadata.KeyState", state)
    return checks.BUCKET.of(outcome.subject, *outcome.evidence, evidence).failed(
        f"the bucket encrypts with the key {key.given}, so that it takes no log: {why}",
        fix=fix or ("name a symmetric key in the default encryption of the bucket",),
        is_seen=False,
    )


_KEY_OF_LOGS: Final = "KEY is the ARN of a key whose policy lets CloudWatch Logs use it"


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
        return checks.LOG_GROUP.skipped(_NOT_IN_CLOUDWATCH)
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
