"""Which statements does the role get? Each is made here, of what `_needs` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from aws_cdk import aws_iam as iam

from session_manager_permissions import _needs

from .checks import described, refuse_wrong_type
from .keys import KeyResource, session_key
from .logs import bucket_arn, bucket_key, group_arn, is_of_other_account, normal_prefix
from .tokens import is_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    import aws_cdk as cdk
    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from aws_cdk.interfaces.aws_logs import ILogGroupRef
    from aws_cdk.interfaces.aws_s3 import IBucketRef

    from .preferences import SessionPreferences


class SessionManagerOptions(TypedDict, total=False):
    """What Session Manager is used for: the options that decide the statements."""

    encryption_key: IKeyRef | IAliasRef | None
    """The KMS key that encrypts session data: a key or an alias, owned, imported or L1.

    Grants `kms:Decrypt` on that key alone; on an alias, on the key that has it at the time. The key
    is in the instance's region; one of another account must be granted there too; who starts a
    session needs `kms:GenerateDataKey` on it.
    Default: - session data is not encrypted with a KMS key, no KMS statement.
    """

    allow_registration: bool
    """Whether the role may register its instance: `ssm:UpdateInstanceInformation` on `*`.

    Without it, and where the role has it from no other policy, the agent works under Default Host
    Management Configuration if the account has that, and then this policy goes unused, or it is
    not reachable at all. With it, the instance leaves Default Host Management for this role.
    Default: - False: the role registers by other policies that it has.
    """

    log_bucket: IBucketRef | None
    """The S3 bucket for session logs: owned, imported or L1.

    Grants `s3:PutObject` on the objects below `log_prefix` (`s3:PutObjectAcl` too where the bucket
    is known to be another account's), `s3:GetEncryptionConfiguration` on this bucket alone, and,
    where the bucket encrypts with a KMS key that CDK knows, `kms:GenerateDataKey` and `kms:Decrypt`
    on that key. Of a bucket imported by its name CDK does not know the key: import it with
    `s3.Bucket.from_bucket_attributes(…, encryption_key=key)`. An L1 bucket whose key only the
    deployment knows has a warning, `session-manager-permissions:log-bucket-key-not-known`.
    Default: - session logs do not go to S3.
    """

    log_prefix: str | None
    """The key prefix of the session logs in `log_bucket`, with or without slashes at its ends.

    Default: - the logs are at the top of the bucket.
    """

    log_group: ILogGroupRef | None
    """The CloudWatch log group for session logs: owned, imported or L1; the agent never makes it.

    Grants `logs:DescribeLogGroups` on `*`, `logs:DescribeLogStreams` on the group and its streams,
    and `logs:CreateLogStream` and `logs:PutLogEvents` on its streams.
    Default: - session logs do not go to CloudWatch Logs.
    """

    check_log_encryption: bool | None
    """Whether the role may read how the log bucket encrypts: `s3:GetEncryptionConfiguration`.

    The agent asks only where the session preferences enforce encrypted logs in S3.
    Default: - True: on `log_bucket`, on `*` where none is given.
    """

    preferences: SessionPreferences | None
    """The Session document that sessions are started with.

    The key, the bucket, the prefix and the log group are taken from it, and giving one of them
    here as well is an error; `check_log_encryption` is by default what it enforces.
    Default: - each option by itself.
    """

    decrypt_sessions_only: bool
    """Whether the session key decrypts session data and nothing else for this role.

    Adds the condition that the KMS encryption context has `aws:ssm:SessionId`.
    Default: - False: the key decrypts whatever it has encrypted.
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
    """The statements that let the agent on an instance use Session Manager, as data.

    For a managed policy, a permission set or a role of one's own; on a role that exists already,
    use `SessionManagerPermissions`, which has the same options.

    | Sid | actions | resources | when |
    |---|---|---|---|
    | `SessionManagerChannels` | the four `ssmmessages` channel actions | `*` | always |
    | `SessionManagerRegistration` | `ssm:UpdateInstanceInformation` | `*` | `allow_registration` |
    | `SessionManagerLogEncryption` | `s3:GetEncryptionConfiguration` | the bucket, else `*` | \
unless `check_log_encryption=False` |
    | `SessionManagerLogObjects` | `s3:PutObject` | the objects below the prefix | `log_bucket` |
    | `SessionManagerLogBucketKey` | `kms:GenerateDataKey`, `kms:Decrypt` | the bucket's key | \
`log_bucket` with a key |
    | `SessionManagerLogGroups` | `logs:DescribeLogGroups` | `*` | `log_group` |
    | `SessionManagerLogStreams` | `logs:DescribeLogStreams` | the group | `log_group` |
    | `SessionManagerLogEvents` | `logs:CreateLogStream`, `logs:DescribeLogStreams`, \
`logs:PutLogEvents` | the group's streams | `log_group` |
    | `SessionManagerDecrypt` | `kms:Decrypt` | the key | `encryption_key`, a key |
    | `SessionManagerDecryptAlias…` | `kms:Decrypt` | the keys of its account and region, if they \
have that alias | `encryption_key`, an alias |

    Args:
        encryption_key: the KMS key that encrypts session data, or an alias of it: owned, imported
            or L1.
            Default: - none: session data is not encrypted with a KMS key.
        allow_registration: whether the role may register its instance with Systems Manager.
            Default: - False: it registers by another policy, or under Default Host Management.
        log_bucket: the S3 bucket for session logs: owned, imported or L1.
            Default: - none: no logs in S3.
        log_prefix: the key prefix of the session logs in `log_bucket`.
            Default: - the top of the bucket.
        log_group: the CloudWatch log group for session logs: owned, imported or L1.
            Default: - none: no logs in CloudWatch Logs.
        check_log_encryption: whether the role may read how the log bucket encrypts.
            Default: - True; with `preferences`, what they enforce.
        preferences: the Session document that sessions are started with, which decides the key, the
            bucket, the prefix and the log group.
            Default: - none: each option by itself.
        decrypt_sessions_only: whether the key decrypts session data and nothing else for this role.
            Default: - False: it decrypts whatever it has encrypted.

    Raises:
        TypeError: an option that does not exist, or one of the wrong type.
        ValueError: a key that can't decrypt session data; a bucket or a log group by an ARN that is
            none's; a prefix without a bucket; a wildcard or a policy variable in one of them.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-add-permissions-to-existing-profile.html
    """
    options: SessionManagerOptions = {
        "encryption_key": encryption_key,
        "allow_registration": allow_registration,
        "log_bucket": log_bucket,
        "log_prefix": log_prefix,
        "log_group": log_group,
        "check_log_encryption": check_log_encryption,
        "preferences": preferences,
        "decrypt_sessions_only": decrypt_sessions_only,
    }
    options = with_preferences(options)
    statements = statements_by_sid(options, None)
    key = options.get("encryption_key")
    if key is not None:
        allow_decrypt(statements, options, key, session_key(key))
    return list(statements.values())


def with_preferences(options: SessionManagerOptions) -> SessionManagerOptions:
    """`options` with what their `preferences` say written out.

    Raises:
        TypeError: an option that does not exist, or one of the wrong type.
        ValueError: an option that the preferences decide.
    """
    _refuse_wrong_types(options)
    preferences = options.get("preferences")
    if preferences is None:
        return options
    for name in ("encryption_key", "log_bucket", "log_prefix", "log_group"):
        if options.get(name) is not None:
            raise ValueError(
                f"{name} is given twice, by itself and in preferences {preferences.node.path!r}: "
                "give it to the preferences alone"
            )
    check = options.get("check_log_encryption")
    return {
        **options,
        "check_log_encryption": preferences.enforce_s3_encryption if check is None else check,
        "encryption_key": preferences.encryption_key,
        "log_bucket": preferences.log_bucket,
        "log_prefix": preferences.log_prefix,
        "log_group": preferences.log_group,
    }


def statements_by_sid(
    options: SessionManagerOptions, stack: cdk.Stack | None
) -> dict[str, iam.PolicyStatement]:
    """The statements that `options` ask for, all but `allow_decrypt`'s, by Sid.

    Args:
        options: from `with_preferences`.
        stack: that of the role, where it is known.

    Raises:
        TypeError: a bucket or a log group of the wrong type.
        ValueError: a prefix without a bucket, or a wildcard in a prefix, a bucket or a log group.
    """
    return {need.sid: _statement(need) for need in _asked_for(options, stack)}


def _refuse_wrong_types(options: SessionManagerOptions) -> None:
    for name in options:
        if name not in SessionManagerOptions.__optional_keys__:
            known = ", ".join(sorted(SessionManagerOptions.__optional_keys__))
            raise TypeError(f"got an unexpected keyword argument {name!r}: there is {known}")
    for name, value in options.items():
        if name in _FLAGS or (name == "check_log_encryption" and value is not None):
            refuse_wrong_type(name, value, bool)
    preferences = options.get("preferences")
    if preferences is None:
        return
    # No cost: whoever holds preferences has loaded this module.
    from .preferences import SessionPreferences  # noqa: PLC0415

    if not isinstance(preferences, SessionPreferences):
        raise TypeError(
            f"preferences must be SessionPreferences, got {described(preferences)}: for a "
            "document that exists use SessionPreferences.from_document_name(scope, id, name)"
        )


_FLAGS = ("allow_registration", "decrypt_sessions_only")


def _asked_for(options: SessionManagerOptions, stack: cdk.Stack | None) -> Iterator[_needs.Need]:
    bucket, group = options.get("log_bucket"), options.get("log_group")
    prefix = normal_prefix(options.get("log_prefix"), bucket)
    return _needs.needed(
        bucket_arn=None if bucket is None else bucket_arn(bucket),
        bucket_key=None if bucket is None else bucket_key(bucket),
        prefix=prefix,
        group_arn=None if group is None else group_arn(group),
        allow_registration=options.get("allow_registration", False),
        check_log_encryption=options.get("check_log_encryption") is not False,
        bucket_of_other_account=bucket is not None and is_of_other_account(bucket, stack),
    )


def allow_decrypt(
    statements: dict[str, iam.PolicyStatement],
    options: SessionManagerOptions,
    key: IKeyRef | IAliasRef,
    found: KeyResource,
) -> iam.PolicyStatement:
    """Grant decryption by one more key, in the statement it returns: a new one or one there."""
    alias_name = found.alias_name
    alias_id = ""
    if alias_name is not None:
        alias_id = _needs.alias_id(key.node.path if is_token(alias_name) else alias_name)
    need = _needs.decrypt(
        found.resource,
        alias_name,
        alias_id,
        sessions_only=options.get("decrypt_sessions_only", False),
    )
    if need.sid in statements:
        statements[need.sid].add_resources(need.resource)
    else:
        statements[need.sid] = _statement(need)
    return statements[need.sid]


def _statement(need: _needs.Need) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=need.sid,
        actions=[*need.actions],
        resources=[need.resource],
        conditions=need.conditions,
    )
