"""The permissions that Session Manager needs from an instance's role. Knows nothing of CDK.

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
"""The ARNs on which a policy may allow registration instead of on `*`, as forms for `may_match`."""

REQUEST_KEYS: Final = {
    "aws:SecureTransport": "true",
    "aws:PrincipalIsAWSService": "false",
    "aws:ViaAWSService": "false",
}
"""The condition keys that have the same value in each call that an agent makes itself.

It always uses TLS.
"""

SESSION_CONTEXT: Final = ("aws:ssm:SessionId", "aws:ssm:TargetId")
"""What each use of the key of a session names in its encryption context."""

SESSION_KEY, TARGET_KEY = (f"kms:EncryptionContext:{one}" for one in SESSION_CONTEXT)
"""The condition keys that have the id of the session and that of the instance."""

REGION_KEY: Final = "aws:RequestedRegion"
"""The condition key that has the region that is called, which is the instance's own."""

ENCRYPTION_KEY: Final = "s3:x-amz-server-side-encryption"
"""The condition key that has the encryption which an upload asks Amazon S3 for by a header."""

ENCRYPTED_WITH: Final = f"{ENCRYPTION_KEY}-aws-kms-key-id"
"""The condition key that has the KMS key which the header of an upload names."""

ENCRYPTIONS: Final = ("AES256", "aws:kms")
"""The encryptions of a log bucket that the agent recognizes, and asks for at an upload.

`getSSEAlgorithm`, amazon-ssm-agent/agent/s3util.
"""

HOST_MANAGEMENT_SETTING: Final = "/ssm/managed-instance/default-ec2-instance-management-role"
"""The service setting that names the role of Default Host Management Configuration."""

DEFAULT_DOCUMENT: Final = "SSM-SessionManagerRunShell"
"""The Session document of the sessions that are started without naming one."""

DOCUMENTS_OF_AWS: Final = ("AWS-", "AWSFleetManager-", "AmazonECS-", "AmazonEKS-")
"""How the names of AWS's own Session documents begin. The ARNs of these have no account."""

AWS_MANAGED_DEPRECATED: Final = {"service-role/AmazonEC2RoleforSSM": "AmazonSSMManagedInstanceCore"}
"""Policies that AWS advises against, as they allow too much, and what it advises instead."""


def log_encryption(bucket_arn: str = "*") -> NeededStatement:
    """Return the statement that lets the agent read how a log bucket encrypts.

    The agent reads it before each session whose preferences enforce encrypted logs, and at every
    upload, to send the header `x-amz-server-side-encryption`, which a bucket's policy may demand:
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

    What a session failed with goes to `PREFIX/Standard_Stream/stderr`. The agent sends an ACL with
    each upload; the user guide asks for a permission for it if the bucket is of another account.
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
"""The calls without which a log does not arrive in CloudWatch Logs.

The agent calls `logs:DescribeLogStreams` as well, and logs without it.
"""


def log_group(group_arn: str) -> tuple[NeededStatement, ...]:
    """Return the statements for session logs in CloudWatch Logs. The agent creates no group.

    For `DescribeLogStreams` the service authorization reference has the ARN of the group, and the
    user guide of CloudWatch Logs ("Overview of managing access permissions") that of its streams.
    The policy allows it on both, as a role that has the wrong one logs nothing.

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
        key_arn: the key's ARN; of an alias, the pattern of all keys of its account and region.
        alias_name: `alias/NAME`, if only the key with that alias is meant.
        in_sid: what tells the alias from others in the Sid, by its digest. Default: - its name
        sessions_only: whether to allow it only with the encryption context of a session.
    """
    conditions = of_session_key(alias_name, sessions_only=sessions_only)
    of_alias = f"Alias{digest(in_sid or alias_name)}" if alias_name else ""
    sid = f"SessionManagerDecrypt{of_alias}"
    return NeededStatement(sid, ("kms:Decrypt",), key_arn, conditions or None)


def of_session_key(alias_name: str | None, *, sessions_only: bool) -> dict[str, dict[str, str]]:
    """Return the conditions of a grant on the key of sessions, which may be none.

    Agent and service give KMS an encryption context with the session's id whenever they use the
    key. The value differs from session to session, so the condition asks only that there is one.

    Args:
        alias_name: `alias/NAME`, if only the key with that alias is meant.
        sessions_only: whether the grant is for session data and nothing else.
    """
    conditions = having_alias(alias_name)
    if sessions_only:
        conditions["Null"] = {SESSION_KEY: "false"}
    return conditions


def having_alias(alias_name: str | None) -> dict[str, dict[str, str]]:
    """Return the condition that only the key with this alias meets; none without an alias."""
    if alias_name is None:
        return {}
    return {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias_name}}


ALIAS: Final = "alias/"
"""How the name of an alias begins, and the resource in its ARN."""

AWS_MANAGED_ALIAS: Final = "alias/aws/"
"""How the alias of an AWS managed key begins, which only its own service may use."""


def is_aws_managed(arn: str) -> bool:
    """Tell whether the ARN of a key is that of the alias of an AWS managed key."""
    return arn.split(":", 5)[5].startswith(AWS_MANAGED_ALIAS)


def key_of_alias(arn: str) -> tuple[str, str | None]:
    """Return the resource by which a policy reaches a key, and the alias that the key must have.

    IAM knows a key by its ARN alone, and a statement on an alias's ARN grants nothing. For an alias
    the resource is all keys of its account and region, and a condition narrows them to the key that
    has the alias.
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
    """Return the eight hexadecimal digits that tell one text from another in a Sid or an id."""
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
    """Yield every statement but those for the keys of the sessions, which `decrypt` makes.

    Args:
        bucket_arn: the bucket for session logs, if there is one.
        bucket_key: the ARN of the key that the bucket encrypts with, and the name of its alias
            if it is given by one.
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
