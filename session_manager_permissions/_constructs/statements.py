"""Make the policy statements for the role from the statements in `_needs.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from session_manager_permissions import _needs

from .checks import described, refuse_wrong_type
from .keys import SessionKey, session_key
from .logs import bucket_arn, bucket_key, group_arn, normal_prefix, warn_if_encrypted_twice
from .preferences import SessionPreferences
from .tokens import Environment, differ, is_token

if TYPE_CHECKING:
    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from aws_cdk.interfaces.aws_logs import ILogGroupRef
    from aws_cdk.interfaces.aws_s3 import IBucketRef
    from typing_extensions import Unpack


class SessionManagerOptions(TypedDict, total=False):
    """The options that decide the statements, by what Session Manager is used for."""

    encryption_key: IKeyRef | IAliasRef | None
    """The KMS key that encrypts session data, or an alias of it: owned, imported or L1.

    Grants `kms:Decrypt` only on that key, or on the key that has the alias. The key must be in the
    instance's region. The key policy of a key in another account must also allow the role. The
    operator who starts a session needs `kms:GenerateDataKey` on the key.
    Default: - session data is not encrypted with a KMS key.
    """

    allow_registration: bool
    """Whether the role may register its instance: `ssm:UpdateInstanceInformation` on `*`.

    If no policy of the role allows this, the agent uses the role of Default Host Management
    Configuration, and this policy has no effect. If that configuration is off, no session opens. If
    the role may register, the agent uses this role in place of the role of Default Host Management
    Configuration.
    Default: - False: another policy of the role allows it.
    """

    log_bucket: IBucketRef | None
    """The S3 bucket for session logs: owned, imported or L1.

    Grants `s3:PutObject` on the objects below `log_prefix` (also `s3:PutObjectAcl` if the bucket is
    known to be another account's), `s3:GetEncryptionConfiguration` on this bucket alone, and
    `kms:GenerateDataKey` and `kms:Decrypt` on the KMS key that the bucket encrypts with, if CDK
    knows it. CDK does not know the key of a bucket that is imported by name: import it with
    `s3.Bucket.from_bucket_attributes(…, encryption_key=key)`. An L1 bucket whose key only the
    deployment knows gets the warning `session-manager-permissions:log-bucket-key-not-known`. A
    bucket that encrypts with `aws:kms:dsse` gets the warning
    `session-manager-permissions:log-bucket-dsse`, unless `preferences` are given.
    Default: - session logs do not go to S3.
    """

    log_prefix: str | None
    """The key prefix of the session logs in `log_bucket`, with or without slashes at its ends.

    Default: - the logs are at the top of the bucket.
    """

    log_group: ILogGroupRef | None
    """The CloudWatch log group for session logs: owned, imported or L1.

    Grants `logs:DescribeLogGroups` on `*`, `logs:DescribeLogStreams` on the group and its streams,
    and `logs:CreateLogStream` and `logs:PutLogEvents` on its streams. The agent never creates the
    group, and writes only to groups of its own account: a group of another account gets the warning
    `session-manager-permissions:log-group-of-another-account`.
    Default: - session logs do not go to CloudWatch Logs.
    """

    check_log_encryption: bool | None
    """Whether the role may read how the log bucket is encrypted: `s3:GetEncryptionConfiguration`.

    The agent reads it at every upload, to send the encryption header that the bucket policy may
    require. It also reads it before each session whose preferences enforce encrypted logs in S3.
    Default: - True, on `log_bucket`, or on `*` without one; with `preferences`, True only if they
    have a log bucket.
    """

    preferences: SessionPreferences | None
    """The Session document that sessions are started with.

    It decides the key, the bucket, the prefix and the log group. Giving one of these as well is an
    error.
    Default: - none: each option is given separately.
    """

    decrypt_sessions_only: bool
    """Whether the role may use the session key for session data only.

    Adds the condition that the KMS encryption context has `aws:ssm:SessionId`.
    Default: - False: the role may decrypt everything that the key has encrypted.
    """


def session_manager_statements(
    *,
    encryption_key: IKeyRef | IAliasRef | None = None,
    allow_registration: bool = False,
    log_bucket: IBucketRef | None = None,
    log_prefix: str | None = None,
    log_group: ILogGroupRef | None = None,
    check_log_encryption: bool | None = None,
    preferences: SessionPreferences | None = None,
    decrypt_sessions_only: bool = False,
) -> list[iam.PolicyStatement]:
    """Return the policy statements that let the agent on an instance use Session Manager.

    Use them for a managed policy, or for a role that you define yourself. For an existing role, use
    `SessionManagerPermissions`, which has the same options.

    The page about the permissions has a table of the statements: the Sid of each, its actions and
    resources, and the option that adds it.

    Args:
        encryption_key: the KMS key that encrypts session data, or an alias of it: owned, imported
            or L1.
            Default: - none: session data is not encrypted with a KMS key.
        allow_registration: whether the role may register its instance with Systems Manager.
            Default: - False: another policy allows it, or Default Host Management is used.
        log_bucket: the S3 bucket for session logs: owned, imported or L1.
            Default: - none: no logs in S3.
        log_prefix: the key prefix of the session logs in `log_bucket`.
            Default: - the top of the bucket.
        log_group: the CloudWatch log group for session logs: owned, imported or L1.
            Default: - none: no logs in CloudWatch Logs.
        check_log_encryption: whether the role may read how the log bucket is encrypted.
            Default: - True; with `preferences`, True only if they have a log bucket.
        preferences: the Session document that sessions are started with, which decides the key, the
            bucket, the prefix and the log group.
            Default: - none: each option is given separately.
        decrypt_sessions_only: whether the role may use the key for session data only.
            Default: - False: the role may decrypt everything that the key has encrypted.

    Raises:
        TypeError: an option of the wrong type.
        ValueError: a key that can't decrypt session data; a bucket or a log group with the ARN of
            something else; a prefix without a bucket; a wildcard or a policy variable in a prefix
            or a name.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-add-permissions-to-existing-profile.html
    """
    options, key = read_options(
        encryption_key=encryption_key,
        allow_registration=allow_registration,
        log_bucket=log_bucket,
        log_prefix=log_prefix,
        log_group=log_group,
        check_log_encryption=check_log_encryption,
        preferences=preferences,
        decrypt_sessions_only=decrypt_sessions_only,
    )
    return [*statements_by_sid(options, key, None).values()]


def read_options(
    **options: Unpack[SessionManagerOptions],
) -> tuple[SessionManagerOptions, SessionKey | None]:
    """Return the options, with the options of `preferences` filled in, and their key.

    Every option must be given.

    Raises:
        TypeError: an option of the wrong type.
        ValueError: an option that the preferences decide, or a key that can't be used.
    """
    refuse_wrong_type("allow_registration", options["allow_registration"], bool)
    refuse_wrong_type("decrypt_sessions_only", options["decrypt_sessions_only"], bool)
    check = options["check_log_encryption"]
    if check is not None:
        refuse_wrong_type("check_log_encryption", check, bool)
    preferences = options["preferences"]
    if preferences is not None:
        _fill_in(options, preferences)
    key = options["encryption_key"]
    return options, None if key is None else session_key(key)


def _fill_in(options: SessionManagerOptions, preferences: SessionPreferences) -> None:
    """Fill in the options that the preferences decide, and refuse them beside the preferences."""
    if not isinstance(preferences, SessionPreferences):
        raise TypeError(
            f"preferences must be SessionPreferences, got {described(preferences)}: for a "
            "document that exists use SessionPreferences.from_document_name(scope, id, name)"
        )
    for name in ("encryption_key", "log_bucket", "log_prefix", "log_group"):
        if options.get(name) is not None:
            raise ValueError(
                f"{name} is given twice, as an argument and by preferences "
                f"{preferences.node.path!r}: give it to the preferences alone"
            )
    if options["check_log_encryption"] is None:
        options["check_log_encryption"] = preferences.log_bucket is not None
    options["encryption_key"] = preferences.encryption_key
    options["log_bucket"] = preferences.log_bucket
    options["log_prefix"] = preferences.log_prefix
    options["log_group"] = preferences.log_group


def statements_by_sid(
    options: SessionManagerOptions, key: SessionKey | None, stack: cdk.Stack | None
) -> dict[str, iam.PolicyStatement]:
    """Return the statements for these options by Sid.

    Args:
        options: the options that `read_options` gives.
        key: the key that it gives.
        stack: the stack of the role, if it is known.

    Raises:
        TypeError: a bucket or a log group of the wrong type.
        ValueError: a prefix without a bucket, or a wildcard in a prefix, a bucket or a log group.
    """
    bucket, group = options["log_bucket"], options["log_group"]
    prefix = normal_prefix(options["log_prefix"], bucket)
    arn = None if bucket is None else bucket_arn(bucket)
    if bucket is not None and options["preferences"] is None:
        warn_if_encrypted_twice(bucket)  # preferences know whether encryption is enforced
    needs = _needs.needed(
        bucket_arn=arn,
        bucket_key=None if bucket is None else bucket_key(bucket),
        prefix=prefix,
        group_arn=None if group is None else group_arn(group),
        allow_registration=options["allow_registration"],
        check_log_encryption=options["check_log_encryption"] is not False,
        bucket_of_other_account=bucket is not None and _is_of_other_account(bucket, stack),
    )
    if group is not None and stack is not None and _is_of_other_account(group, stack):
        # The agent sends only the name of the group, which means a group of its own account.
        cdk.Annotations.of(stack).add_warning_v2(
            "session-manager-permissions:log-group-of-another-account",
            f"log_group {group.node.path!r} belongs to another account than this stack, and the "
            "agent writes only to log groups of its own account: give one of this account",
        )
    statements = {need.sid: _statement(need) for need in needs}
    if key is not None:
        allow_decrypt(statements, options, key)
    return statements


def _is_of_other_account(logs: IBucketRef | ILogGroupRef, stack: cdk.Stack | None) -> bool:
    """Tell whether a bucket or a log group is known to be in another account than a stack.

    Args:
        logs: the bucket or the log group.
        stack: the stack; None for the stack of `logs`.
    """
    here = Environment.of(stack or cdk.Stack.of(logs)).account
    there = logs.env.account  # empty for a bucket of s3.CfnBucket.from_bucket_arn
    return differ(here, None if not there or is_token(there) else there)


def allow_decrypt(
    statements: dict[str, iam.PolicyStatement], options: SessionManagerOptions, key: SessionKey
) -> iam.PolicyStatement:
    """Allow one more key to decrypt, in a new statement or one of `statements`, and return it."""
    arn, alias_name = key.reached
    in_sid = key.given.node.path if alias_name and is_token(alias_name) else ""
    sessions_only = options["decrypt_sessions_only"]
    need = _needs.decrypt(arn, alias_name, in_sid, sessions_only=sessions_only)
    if need.sid in statements:
        statements[need.sid].add_resources(need.resource)
    else:
        statements[need.sid] = _statement(need)
    return statements[need.sid]


def _statement(need: _needs.NeededStatement) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=need.sid, actions=[*need.actions], resources=[need.resource], conditions=need.conditions
    )
