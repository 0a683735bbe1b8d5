"""Where do the session logs go: what can IAM grant on for this bucket, prefix, log group?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aws_cdk as cdk

from ._arns import Environment, differ, is_token, parse_arn, refuse_wildcards
from ._keys import KeyResource, any_key, key_resource

if TYPE_CHECKING:
    from aws_cdk.aws_kms import IKey
    from aws_cdk.aws_s3 import CfnBucket
    from aws_cdk.interfaces.aws_logs import ILogGroupRef
    from aws_cdk.interfaces.aws_s3 import IBucketRef


_MAX_OBJECT_KEY: Final = 1024


def bucket_arn(bucket: IBucketRef) -> str:
    """The bucket's ARN.

    Raises:
        TypeError: `bucket` is no S3 bucket.
        ValueError: its ARN is a pattern.
    """
    arn: str | None = getattr(bucket, "bucket_arn", None)
    if arn is None:
        if not hasattr(bucket, "bucket_ref"):
            raise TypeError(
                f"log_bucket must be an S3 bucket, got {type(bucket).__name__} {bucket!r}: give a "
                "construct, for one that exists s3.Bucket.from_bucket_name(scope, id, name)"
            )
        arn = bucket.bucket_ref.bucket_arn
    parts = parse_arn(arn)
    if parts is not None:
        refuse_wildcards("log_bucket", parts.resource)
    return arn


def bucket_key(bucket: IBucketRef) -> KeyResource | None:
    """The KMS key that the bucket encrypts with, as far as CDK knows it.

    None too where it is S3's own key, which everyone who may use the bucket may use.
    """
    # No cost: whoever holds a bucket has loaded this module.
    from aws_cdk import aws_s3 as s3  # noqa: PLC0415

    argument = "log_bucket's encryption key"
    key: IKey | None
    if isinstance(bucket, s3.CfnBucket):
        key = s3.Bucket.from_cfn_bucket(bucket).encryption_key
        key_arn = None if key else _written_key_arn(bucket)
    else:
        key, key_arn = getattr(bucket, "encryption_key", None), None
    if key is not None:
        found = any_key(argument, key)
    elif key_arn is not None:
        found = key_resource(argument, key_arn)
    else:
        return None
    return None if found.is_aws_managed else found


def _written_key_arn(bucket: CfnBucket) -> str | None:
    """The ARN of the key that an L1 bucket names by its ARN, its id or an alias."""
    stack = cdk.Stack.of(bucket)
    encryption = stack.resolve(bucket.bucket_encryption) or {}
    for rule in encryption.get("serverSideEncryptionConfiguration", ()):
        key = rule.get("serverSideEncryptionByDefault", {}).get("kmsMasterKeyId")
        if isinstance(key, str):
            if key.startswith("arn:"):
                return key
            resource = key if key.startswith("alias/") else f"key/{key}"
            return stack.format_arn(service="kms", resource=resource)
    return None


def is_of_other_account(bucket: IBucketRef, stack: cdk.Stack | None) -> bool:
    """Whether the bucket is known to be in another account than `stack`, or than its own stack."""
    here = Environment.of(stack or cdk.Stack.of(bucket)).account
    there = bucket.env.account
    return differ(here, None if is_token(there) else there)


def group_arn(group: ILogGroupRef) -> str:
    """The log group's ARN, without a `:*` at its end.

    Raises:
        TypeError: `group` is no log group.
        ValueError: its ARN is no log group's, or a pattern.
    """
    # No cost: whoever holds a log group has loaded this module.
    from aws_cdk import aws_logs as logs  # noqa: PLC0415

    if isinstance(group, (logs.LogGroup, logs.CfnLogGroup)):  # their ARN is a token with the `:*`
        name = group.ref if isinstance(group, logs.CfnLogGroup) else group.log_group_name
        return cdk.Stack.of(group).format_arn(
            service="logs",
            resource="log-group",
            resource_name=name,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
    arn: str | None = getattr(group, "log_group_arn", None)
    if arn is None:
        if not hasattr(group, "log_group_ref"):
            raise TypeError(
                f"log_group must be a CloudWatch log group, got {type(group).__name__} {group!r}: "
                "give a construct, for one that exists "
                "logs.LogGroup.from_log_group_name(scope, id, name)"
            )
        arn = group.log_group_ref.log_group_arn
    parts = parse_arn(arn)
    if parts is None:  # a token, maybe followed by `:*`
        fields = cdk.Fn.split(":", arn)
        return ":".join(cdk.Fn.select(index, fields) for index in range(7))
    name = parts.resource.removesuffix(":*")
    if not name.startswith("log-group:"):
        raise ValueError(f"log_group has the ARN {arn!r}, which is no log group's")
    refuse_wildcards("log_group", name)
    return str(parts._replace(resource=name))


def normal_prefix(log_prefix: str | None, bucket: object) -> str:
    """The prefix as the agent joins it: one slash between its parts, none at its ends.

    `path.Join` in `BuildS3Path`, amazon-ssm-agent/agent/fileutil.

    Raises:
        TypeError: it is no string.
        ValueError: it would not be a prefix in a policy, or there is no bucket.
    """
    if log_prefix is None:
        return ""
    if not isinstance(log_prefix, str):
        raise TypeError(f"log_prefix must be a str, got {type(log_prefix).__name__}")
    if bucket is None:
        raise ValueError(f"log_prefix {log_prefix!r} has no bucket: give log_bucket too")
    parts = [part for part in log_prefix.split("/") if part]
    if is_token(log_prefix):
        return "/".join(parts)
    refuse_wildcards("log_prefix", log_prefix)
    if len(log_prefix.encode()) > _MAX_OBJECT_KEY:
        raise ValueError(
            f"log_prefix {log_prefix!r} is longer than an object's key may be, "
            f"{_MAX_OBJECT_KEY} bytes: give a shorter one"
        )
    if "." in parts or ".." in parts:
        raise ValueError(
            f"log_prefix {log_prefix!r} has '.' or '..' as a part: give the path itself"
        )
    return "/".join(parts)
