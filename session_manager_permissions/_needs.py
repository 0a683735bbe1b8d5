"""What does Session Manager need of an instance's role? Facts, written once; nothing of CDK.

Sources: in the AWS Systems Manager user guide "Adding Session Manager permissions to an existing
instance profile", "Create a custom IAM role for Session Manager" and "Enable AWS KMS key encryption
of session data"; the service authorization reference; the source of amazon-ssm-agent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Need(NamedTuple):
    """One statement: what must be allowed, on what."""

    sid: str
    actions: tuple[str, ...]
    resource: str
    conditions: dict[str, dict[str, str]] | None = None


CHANNELS: Final = Need(
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

REGISTRATION: Final = Need("SessionManagerRegistration", ("ssm:UpdateInstanceInformation",), "*")
"""The agent's registration with Systems Manager, without which no session starts."""

REGISTRATION_SERVICES: Final = ("ec2", "ssm")
"""Whose resources, instances and managed instances, a policy may also allow registration on."""


MAX_INLINE_POLICIES: Final = 10_240
"""Characters, white space aside, of all inline policies of a role."""


AWS_MANAGED_DEPRECATED: Final = {"service-role/AmazonEC2RoleforSSM": "AmazonSSMManagedInstanceCore"}
"""What AWS advises against, as it allows far more than the agent needs, and advises instead."""


def log_encryption(bucket_arn: str = "*") -> Need:
    """The agent's look at how a log bucket encrypts, where the preferences enforce it."""
    return Need("SessionManagerLogEncryption", ("s3:GetEncryptionConfiguration",), bucket_arn)


def joined(prefix: str) -> str:
    """The prefix as the agent joins it: one slash between its parts, none at its ends.

    `path.Join` in `BuildS3Path`, amazon-ssm-agent/agent/fileutil.
    """
    return "/".join(part for part in prefix.split("/") if part)


def log_objects(bucket_arn: str, prefix: str, *, other_account: bool) -> Need:
    """The session logs in S3, `PREFIX/SESSION-ID.log`; another account's bucket takes an ACL."""
    acl = ("s3:PutObjectAcl",) if other_account else ()
    path = f"{prefix}/*" if prefix else "*"
    return Need("SessionManagerLogObjects", ("s3:PutObject", *acl), f"{bucket_arn}/{path}")


def log_bucket_key(key_arn: str, alias_name: str | None = None) -> Need:
    """The key that the log bucket encrypts with; an upload in parts decrypts as well."""
    return Need(
        "SessionManagerLogBucketKey",
        ("kms:Decrypt", "kms:GenerateDataKey"),
        key_arn,
        having_alias(alias_name) or None,
    )


def log_group(group_arn: str) -> tuple[Need, ...]:
    """The session logs in CloudWatch Logs; the agent never creates the group.

    The service authorization reference has the group's ARN for `DescribeLogStreams`, and the user
    guide of CloudWatch Logs ("Overview of managing access permissions") the streams': the policy
    has both, as a role that has the wrong one logs nothing.

    Args:
        group_arn: the group's ARN without a `:*` at its end.
    """
    return (
        Need("SessionManagerLogGroups", ("logs:DescribeLogGroups",), "*"),
        Need("SessionManagerLogStreams", ("logs:DescribeLogStreams",), group_arn),
        Need(
            "SessionManagerLogEvents",
            ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
            f"{group_arn}:*",
        ),
    )


def decrypt(
    key_arn: str, alias_name: str | None = None, alias_id: str = "", *, sessions_only: bool
) -> Need:
    """The agent's call to KMS for an encrypted session, made directly (no `kms:ViaService`).

    A key and an alias can't share a statement: the alias's condition would deny the key.

    Args:
        key_arn: the key's ARN; of an alias, the pattern of all keys of its account and region.
        alias_name: `alias/NAME` where just the key with that alias is meant.
        alias_id: what tells the alias's statement from that of another, letters and digits.
        sessions_only: only with the encryption context that a session has.
    """
    conditions = having_alias(alias_name)
    if sessions_only:
        conditions["Null"] = {"kms:EncryptionContext:aws:ssm:SessionId": "false"}
    sid = f"SessionManagerDecryptAlias{alias_id}" if alias_name else "SessionManagerDecrypt"
    return Need(sid, ("kms:Decrypt",), key_arn, conditions or None)


def having_alias(alias_name: str | None) -> dict[str, dict[str, str]]:
    """The condition that narrows a pattern of keys to the one with this alias; {} without one."""
    if alias_name is None:
        return {}
    return {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias_name}}


def alias_id(name: str) -> str:
    """What tells the statement of one alias from that of another: eight hexadecimal digits."""
    import hashlib  # noqa: PLC0415 - it loads OpenSSL, and most keys are no aliases

    return hashlib.sha256(name.encode()).hexdigest()[:8]


def needed(
    *,
    bucket_arn: str | None,
    bucket_key: tuple[str, str | None] | None,
    prefix: str,
    group_arn: str | None,
    allow_registration: bool,
    check_log_encryption: bool,
    bucket_of_other_account: bool = False,
) -> Iterator[Need]:
    """All that the role needs but the keys of the sessions, for which there is `decrypt`.

    Args:
        bucket_arn: the bucket for session logs, if there is one.
        bucket_key: what `log_bucket_key` takes for the key that the bucket encrypts with.
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
