"""The permissions that Session Manager needs from an instance's role. Independent of CDK.

Sources: in the AWS Systems Manager user guide "Adding Session Manager permissions to an existing
instance profile", "Create a custom IAM role for Session Manager" and "Enable AWS KMS key encryption
of session data"; the service authorization reference; the source of amazon-ssm-agent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class NeededStatement(NamedTuple):
    """One statement of the role's policy: the actions that it allows, and the resource."""

    sid: str
    actions: tuple[str, ...]
    resource: str
    conditions: dict[str, dict[str, str]] | None = None


CHANNELS: Final = NeededStatement(
    "SessionManagerChannels",
    (
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ),
    "*",  # the actions have no resource type
)
"""The agent's connection to Session Manager."""

REGISTRATION: Final = NeededStatement(
    "SessionManagerRegistration", ("ssm:UpdateInstanceInformation",), "*"
)
"""The agent's registration with Systems Manager, without which no session starts."""

REGISTRATION_RESOURCES: Final = ("arn:+:ec2:+:+:instance/+", "arn:+:ssm:+:+:managed-instance/+")
"""The ARNs on which a policy may allow registration, besides `*`, as forms for `may_match`."""

REQUEST_KEYS: Final = {
    "aws:SecureTransport": "true",
    "aws:PrincipalIsAWSService": "false",
    "aws:ViaAWSService": "false",
}
"""The condition keys that have the same value in each direct call of an agent.

The agent always uses TLS.
"""

SESSION_CONTEXT: Final = ("aws:ssm:SessionId", "aws:ssm:TargetId")
"""The key of the encryption context that each use of the session key has."""

SESSION_KEY, TARGET_KEY = (f"kms:EncryptionContext:{one}" for one in SESSION_CONTEXT)
"""The condition keys for the id of the session and the id of the instance."""

REGION_KEY: Final = "aws:RequestedRegion"
"""The condition key for the region of the call, which is the instance's region."""

ENCRYPTION_KEY: Final = "s3:x-amz-server-side-encryption"
"""The condition key for the encryption that an upload requests from Amazon S3 in a header."""

ENCRYPTED_WITH: Final = f"{ENCRYPTION_KEY}-aws-kms-key-id"
"""The condition key for the KMS key that an upload names in a header."""

ENCRYPTIONS: Final = ("AES256", "aws:kms")
"""The encryptions of a log bucket that the agent recognizes, and that its uploads request.

`getSSEAlgorithm`, amazon-ssm-agent/agent/s3util.
"""

HOST_MANAGEMENT_SETTING: Final = "/ssm/managed-instance/default-ec2-instance-management-role"
"""The service setting that names the role of Default Host Management Configuration."""

DEFAULT_DOCUMENT: Final = "SSM-SessionManagerRunShell"
"""The Session document that a session uses if it is started without a document name."""

DOCUMENTS_OF_AWS: Final = ("AWS-", "AWSFleetManager-", "AmazonECS-", "AmazonEKS-")
"""The prefix of the names of AWS's own Session documents, whose ARNs have no account."""

AWS_MANAGED_DEPRECATED: Final = {"service-role/AmazonEC2RoleforSSM": "AmazonSSMManagedInstanceCore"}
"""The policies that AWS has deprecated, as they allow too much, with AWS's replacements."""


def log_encryption(bucket_arn: str = "*") -> NeededStatement:
    """Return the statement that lets the agent read how a log bucket is encrypted.

    The agent reads it before each session whose preferences enforce encrypted logs. It also reads
    it at every upload, to send the header `x-amz-server-side-encryption` that a bucket policy may
    require:
    `IsBucketEncrypted` and `getSSEAlgorithm`, amazon-ssm-agent/agent/s3util.
    """
    return NeededStatement(
        "SessionManagerLogEncryption", ("s3:GetEncryptionConfiguration",), bucket_arn
    )


def joined(prefix: str) -> str:
    """Return the prefix as the agent joins it: one slash between its parts, none at its ends.

    `path.Join` in `BuildS3Path`, amazon-ssm-agent/agent/fileutil.
    """
    return "/".join(part for part in prefix.split("/") if part)


def log_objects(bucket_arn: str, prefix: str, *, other_account: bool) -> NeededStatement:
    """Return the statement that lets the agent upload session logs, `PREFIX/SESSION-ID.log`.

    The error of a failed session goes to `PREFIX/Standard_Stream/stderr`. The agent sends an ACL
    with each upload. If the bucket is in another account, the user guide says that the role needs a
    permission for it.
    """
    acl = ("s3:PutObjectAcl",) if other_account else ()
    path = f"{prefix}/*" if prefix else "*"
    return NeededStatement(
        "SessionManagerLogObjects", ("s3:PutObject", *acl), f"{bucket_arn}/{path}"
    )


def log_bucket_key(key_arn: str, alias_name: str | None = None) -> NeededStatement:
    """Return the statement for the log bucket's KMS key. Multipart uploads decrypt and encrypt."""
    return NeededStatement(
        "SessionManagerLogBucketKey",
        ("kms:Decrypt", "kms:GenerateDataKey"),
        key_arn,
        having_alias(alias_name) or None,
    )


WRITE_LOG: Final = ("logs:CreateLogStream", "logs:PutLogEvents")
"""The calls that the agent needs to write a log to CloudWatch Logs.

The agent also calls `logs:DescribeLogStreams`, but logs without it too.
"""


def log_group(group_arn: str) -> tuple[NeededStatement, ...]:
    """Return the statements for session logs in CloudWatch Logs. The agent creates no group.

    For `DescribeLogStreams`, the service authorization reference has the ARN of the group. The user
    guide of CloudWatch Logs ("Overview of managing access permissions") has the ARN of its streams.
    The policy allows the action on both, as with only the wrong ARN nothing would be logged.

    Args:
        group_arn: the group's ARN without a `:*` at its end.
    """
    return (
        NeededStatement("SessionManagerLogGroups", ("logs:DescribeLogGroups",), "*"),
        NeededStatement("SessionManagerLogStreams", ("logs:DescribeLogStreams",), group_arn),
        NeededStatement(
            "SessionManagerLogEvents",
            ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
            f"{group_arn}:*",
        ),
    )


def decrypt(
    key_arn: str, alias_name: str | None = None, in_sid: str = "", *, sessions_only: bool
) -> NeededStatement:
    """Return the statement that lets the agent decrypt the data key of a session.

    The agent calls KMS directly (no `kms:ViaService`). A key and an alias can't share a statement,
    as the key need not have the alias.

    Args:
        key_arn: the key's ARN; for an alias, a pattern for all keys of its account and region.
        alias_name: `alias/NAME`, if only the key with that alias is meant.
        in_sid: a text that distinguishes the alias in the Sid, by its digest. Default: - its name
        sessions_only: whether to allow it only with the encryption context of a session.
    """
    conditions = of_session_key(alias_name, sessions_only=sessions_only)
    of_alias = f"Alias{digest(in_sid or alias_name)}" if alias_name else ""
    sid = f"SessionManagerDecrypt{of_alias}"
    return NeededStatement(sid, ("kms:Decrypt",), key_arn, conditions or None)


def of_session_key(alias_name: str | None, *, sessions_only: bool) -> dict[str, dict[str, str]]:
    """Return the conditions of a grant on the key of sessions, which may be none.

    The agent and the service use the key with an encryption context that has the session's id. The
    id differs from session to session, so the condition only requires that there is one.

    Args:
        alias_name: `alias/NAME`, if only the key with that alias is meant.
        sessions_only: whether the grant is for session data and nothing else.
    """
    conditions = having_alias(alias_name)
    if sessions_only:
        conditions["Null"] = {SESSION_KEY: "false"}
    return conditions


def having_alias(alias_name: str | None) -> dict[str, dict[str, str]]:
    """Return the condition that only the key with this alias meets; empty without an alias."""
    if alias_name is None:
        return {}
    return {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias_name}}


ALIAS: Final = "alias/"
"""The prefix of the name of an alias, and of the resource in its ARN."""

AWS_MANAGED_ALIAS: Final = "alias/aws/"
"""The prefix of the alias of an AWS managed key, which only its own service may use."""


def is_aws_managed(arn: str) -> bool:
    """Tell whether the ARN of a key is that of the alias of an AWS managed key."""
    return arn.split(":", 5)[5].startswith(AWS_MANAGED_ALIAS)


def key_of_alias(arn: str) -> tuple[str, str | None]:
    """Return the resource with which a policy names a key, and the alias that the key must have.

    IAM identifies a key only by its ARN, so a statement on the ARN of an alias grants nothing. For
    an alias, the resource is all keys of its account and region, and a condition restricts it to
    the key with the alias.
    https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html

    Args:
        arn: the ARN of a key or an alias.
    """
    *place, resource = arn.split(":", 5)  # the name of an alias may have colons too
    return (":".join((*place, "key/*")), resource) if resource.startswith(ALIAS) else (arn, None)


def key_in_arn(key_id: str) -> str:
    """Return how an ARN names the key, or the alias, with this id or name."""
    return key_id if key_id.startswith(ALIAS) else f"key/{key_id}"


def digest(text: str) -> str:
    """Return eight hexadecimal digits that distinguish a text in a Sid or an id."""
    import hashlib  # noqa: PLC0415 - it loads OpenSSL, and most policies need none

    return hashlib.sha256(text.encode()).hexdigest()[:8]


def needed(
    *,
    bucket_arn: str | None,
    bucket_key: tuple[str, str | None] | None,
    prefix: str,
    group_arn: str | None,
    allow_registration: bool,
    check_log_encryption: bool,
    bucket_of_other_account: bool = False,
) -> Iterator[NeededStatement]:
    """Yield all statements except those for session keys, which `decrypt` makes.

    Args:
        bucket_arn: the bucket for session logs, if there is one.
        bucket_key: the ARN of the key that encrypts the bucket, and the name of its alias if the
            key is given by an alias.
        prefix: that of the logs in the bucket, as `joined` gives it.
        group_arn: the log group for session logs, without a `:*` at its end.
        allow_registration: whether the role may register its instance.
        check_log_encryption: whether the role may read how the bucket encrypts.
        bucket_of_other_account: whether the bucket is known to be in another account.
    """
    yield CHANNELS
    if allow_registration:
        yield REGISTRATION
    if check_log_encryption:
        yield log_encryption(bucket_arn or "*")
    if bucket_arn is not None:
        yield log_objects(bucket_arn, prefix, other_account=bucket_of_other_account)
        if bucket_key is not None:
            yield log_bucket_key(*bucket_key)
    if group_arn is not None:
        yield from log_group(group_arn)
