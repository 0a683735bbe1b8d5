"""Find the resources with which a policy names the log bucket, its key and the log group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import aws_cdk as cdk

from session_manager_permissions import _limits, _needs

from . import tokens
from .checks import described, refuse_wrong_text
from .keys import KeyResource, any_key, key_resource

if TYPE_CHECKING:
    from aws_cdk.aws_kms import CfnKey, IKey
    from aws_cdk.interfaces.aws_logs import ILogGroupRef
    from aws_cdk.interfaces.aws_s3 import IBucketRef


def bucket_arn(bucket: IBucketRef) -> str:
    """Return the bucket's ARN.

    Raises:
        TypeError: `bucket` is not an S3 bucket.
        ValueError: its ARN is not a bucket's, or has a wildcard.
    """
    arn: str | None = getattr(bucket, "bucket_arn", None)
    if arn is None:
        if not hasattr(bucket, "bucket_ref"):
            raise TypeError(
                f"log_bucket must be an S3 bucket, got {described(bucket)}: give a construct "
                "(for a bucket that exists, s3.Bucket.from_bucket_name(scope, id, name))"
            )
        arn = bucket.bucket_ref.bucket_arn
    parts = tokens.parse_arn(arn)
    if parts:
        tokens.refuse_wildcards("log_bucket", parts.resource)
    tokens.refuse_wildcards("log_bucket", arn)
    # Refuses an object, and an ARN that was given as a name.
    if parts and not (
        (parts.service, parts.region, parts.account) == ("s3", "", "")
        and tokens.is_name(parts.resource, _limits.BUCKET)
    ):
        raise ValueError(
            f"log_bucket has the ARN {arn!r}, which is not a bucket's: arn:…:s3:::NAME, with a "
            f"name of {_limits.BUCKET.rule}"
        )
    return arn


def bucket_name(bucket: IBucketRef) -> str:
    """Return the bucket's name."""
    bucket_arn(bucket)
    name: str | None = getattr(bucket, "bucket_name", None)
    return bucket.bucket_ref.bucket_name if name is None else name


def bucket_key(bucket: IBucketRef) -> KeyResource | None:
    """Return the KMS key that encrypts the bucket, if CDK knows it.

    Return None also for the AWS managed key of S3, which all users of the bucket may use. If CDK
    knows only that there is a key, add a warning to the bucket.
    """
    key: IKey | None = getattr(bucket, "encryption_key", None)
    found = _l1_bucket_key(bucket) if key is None else any_key(_BUCKET_KEY, key)
    return None if found is None or found.is_aws_managed else found


_BUCKET_KEY: Final = "log_bucket's encryption key"


def _l1_bucket_key(bucket: IBucketRef) -> KeyResource | None:
    """Return the key that the bucket's L1 names by a reference, an ARN, an id or an alias."""
    default = _default_encryption(bucket)
    key_id: str | None = getattr(default, "kms_master_key_id", None)
    if key_id is None or getattr(default, "sse_algorithm", None) == "AES256":
        return None
    stack = cdk.Stack.of(bucket)
    if tokens.is_token(key_id):
        l1_types = cdk.aws_kms.CfnKey, cdk.aws_kms.CfnReplicaKey, cdk.aws_kms.CfnAlias
        key = cast("CfnKey | None", tokens.resource_by_arn(key_id, bucket, *l1_types))
        if key is not None:
            return any_key(_BUCKET_KEY, key)
        key_id = tokens.resolved(key_id, stack)
    if key_id.startswith("arn:"):
        return key_resource(_BUCKET_KEY, key_id)
    # Only the deployment knows whether it is an id or an ARN.
    if tokens.TOKEN.match(key_id) or key_id.startswith(tokens.DYNAMIC_REFERENCE):
        cdk.Annotations.of(bucket).add_warning_v2(
            "session-manager-permissions:log-bucket-key-not-known",
            f"log_bucket {bucket.node.path!r} names a KMS key that is known only at deployment, "
            "so nothing is granted on the key, and the agent can't upload logs unless another "
            "policy allows it: give the bucket as s3.Bucket.from_bucket_attributes(scope, id, "
            "bucket_arn=bucket.attr_arn, encryption_key=key)",
        )
        return None
    arn = stack.format_arn(service="kms", resource=_needs.key_in_arn(key_id))
    return key_resource(_BUCKET_KEY, arn)


def _default_encryption(bucket: IBucketRef) -> object:
    """Return the `ServerSideEncryptionByDefault` of the bucket's L1, as far as CDK knows it."""
    cfn_bucket = bucket if isinstance(bucket, cdk.aws_s3.CfnBucket) else bucket.node.default_child
    encryption = tokens.known_property(cfn_bucket, "bucket_encryption")
    # A token has no such attributes. A bucket has one rule.
    rules = getattr(encryption, "server_side_encryption_configuration", None)
    rule = rules[0] if isinstance(rules, list) and rules else None
    return getattr(rule, "server_side_encryption_by_default", None)


def is_encrypted_twice(bucket: IBucketRef) -> bool:
    """Tell whether the bucket is known to encrypt in two layers, with `aws:kms:dsse`.

    The agent recognizes a bucket as encrypted only if its first rule has `aws:kms` or `AES256`:
    `IsBucketEncrypted`, amazon-ssm-agent/agent/s3util.
    """
    return getattr(_default_encryption(bucket), "sse_algorithm", None) == "aws:kms:dsse"


def warn_if_encrypted_twice(bucket: IBucketRef) -> None:
    """Warn that the agent does not recognize the bucket as encrypted."""
    if is_encrypted_twice(bucket):
        cdk.Annotations.of(bucket).add_warning_v2(
            "session-manager-permissions:log-bucket-dsse",
            f"log_bucket {bucket.node.path!r} encrypts with aws:kms:dsse, which the agent does not "
            "recognize: it refuses every session whose preferences enforce encrypted logs in S3; "
            "encrypt the bucket with aws:kms or AES256, or do not enforce encrypted logs",
        )


def group_arn(group: ILogGroupRef) -> str:
    """Return the log group's ARN, without a `:*` at its end.

    Raises:
        TypeError: `group` is not a log group.
        ValueError: its ARN is not a log group's, or has a wildcard.
    """
    # The ARN of these is a token with the `:*`.
    if isinstance(group, (cdk.aws_logs.LogGroup, cdk.aws_logs.CfnLogGroup)):
        name = group.ref if isinstance(group, cdk.aws_logs.CfnLogGroup) else group.log_group_name
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
                f"log_group must be a CloudWatch log group, got {described(group)}: give a "
                "construct (for a log group that exists, "
                "logs.LogGroup.from_log_group_name(scope, id, name))"
            )
        arn = group.log_group_ref.log_group_arn
    parts = tokens.parse_arn(arn)
    if parts is None:  # a token, and maybe `:*` after it
        fields = cdk.Fn.split(":", arn)
        return ":".join(cdk.Fn.select(index, fields) for index in range(7))
    resource = parts.resource.removesuffix(":*")
    kind, _, name = resource.partition(":")
    tokens.refuse_wildcards("log_group", name)
    # Refuses a log stream, and an ARN that was given as a name.
    is_group = parts.is_placed and (parts.service, kind) == ("logs", "log-group")
    if not (is_group and tokens.is_name(name, _limits.LOG_GROUP)):
        raise ValueError(
            f"log_group has the ARN {arn!r}, which is not a log group's: "
            f"arn:…:logs:REGION:ACCOUNT:log-group:NAME, with a name of {_limits.LOG_GROUP.rule}"
        )
    return str(parts._replace(resource=resource))


def group_name(group: ILogGroupRef) -> str:
    """Return the log group's name."""
    group_arn(group)
    if isinstance(group, cdk.aws_logs.CfnLogGroup):
        return group.ref
    name: str | None = getattr(group, "log_group_name", None)
    return group.log_group_ref.log_group_name if name is None else name


def normal_prefix(log_prefix: str | None, bucket: object) -> str:
    """Return the prefix as the agent joins it; empty if none is given.

    Raises:
        TypeError: the prefix is not a string.
        ValueError: no log can have the prefix, a policy can't name it, or there is no bucket.
    """
    if log_prefix is None:
        return ""
    refuse_wrong_text("log_prefix", log_prefix)
    if bucket is None:
        raise ValueError(f"log_prefix {log_prefix!r} has no bucket: give log_bucket too")
    fault = _limits.prefix_fault(tokens.TOKEN.sub("x", log_prefix))  # a token may be any text
    if fault:
        raise ValueError(f"log_prefix {log_prefix[:100]!r} {fault}")
    return _needs.joined(log_prefix)
