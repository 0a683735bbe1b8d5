"""The options one by one, and all at once, with resources that exist: for linters and snapshots."""

from collections.abc import Callable
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from session_manager_permissions._constructs.statements import SessionManagerOptions

from .keys import existing_key
from .places import ACCOUNT, OTHER_ACCOUNT, REGION, key_arn

BUCKET: Final = "session-logs"
BUCKET_ARN: Final = f"arn:aws:s3:::{BUCKET}"
PREFIX: Final = "instances"
GROUP_ARN: Final = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/session/logs"
ALIAS_ARN: Final = key_arn(resource="alias/sessions")
BUCKET_KEY: Final = key_arn(resource="key/5678abcd-12ab-34cd-56ef-1234567890ab")


def bucket(stack: cdk.Stack, key: str | None = None, account: str | None = None) -> s3.IBucket:
    """The bucket for session logs, with the key that it encrypts with."""
    its = kms.Key.from_key_arn(stack, "BucketKey", key) if key else None
    return s3.Bucket.from_bucket_attributes(
        stack, "Bucket", bucket_arn=BUCKET_ARN, account=account, encryption_key=its
    )


def group(stack: cdk.Stack) -> logs.ILogGroup:
    """The log group for session logs."""
    return logs.LogGroup.from_log_group_arn(stack, "Group", GROUP_ARN)


def alias(stack: cdk.Stack) -> kms.IKey:
    """The key of the sessions, by its alias."""
    return kms.Key.from_key_arn(stack, "Alias", ALIAS_ARN)


SCENARIOS: Final[dict[str, Callable[[cdk.Stack], SessionManagerOptions]]] = {
    "nothing": lambda _: {},
    "encryption_key": lambda s: {"encryption_key": existing_key(s)},
    "encryption_key, an alias": lambda s: {"encryption_key": alias(s)},
    "allow_registration": lambda _: {"allow_registration": True},
    "log_bucket": lambda s: {"log_bucket": bucket(s)},
    "log_bucket and log_prefix": lambda s: {"log_bucket": bucket(s), "log_prefix": PREFIX},
    "log_bucket with a key": lambda s: {"log_bucket": bucket(s, BUCKET_KEY)},
    "log_bucket with an alias": lambda s: {"log_bucket": bucket(s, ALIAS_ARN)},
    "log_bucket of another account": lambda s: {"log_bucket": bucket(s, account=OTHER_ACCOUNT)},
    "log_group": lambda s: {"log_group": group(s)},
    "check_log_encryption off": lambda _: {"check_log_encryption": False},
    "decrypt_sessions_only": lambda s: {
        "encryption_key": existing_key(s), "decrypt_sessions_only": True},
    "decrypt_sessions_only, an alias": lambda s: {
        "encryption_key": alias(s), "decrypt_sessions_only": True},
    "all": lambda s: {"encryption_key": existing_key(s), "allow_registration": True,
        "log_bucket": bucket(s, BUCKET_KEY, OTHER_ACCOUNT), "log_prefix": PREFIX,
        "log_group": group(s), "check_log_encryption": True, "decrypt_sessions_only": True},
}  # fmt: skip


def all_owned(stack: cdk.Stack) -> SessionManagerOptions:
    """All options, with resources that the stack makes, so that each is a reference."""
    session_key = kms.Key(stack, "SessionKey", enable_key_rotation=True)
    bucket_key = kms.Key(stack, "BucketKey", enable_key_rotation=True)
    return {
        "encryption_key": session_key, "allow_registration": True,
        "log_bucket": s3.Bucket(stack, "Bucket", encryption_key=bucket_key), "log_prefix": PREFIX,
        "log_group": logs.LogGroup(stack, "Group"), "decrypt_sessions_only": True,
    }  # fmt: skip
