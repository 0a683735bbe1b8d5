"""Keys, aliases and log buckets."""

from collections.abc import Callable

from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from .places import ACCOUNT, ALIAS, KEY_ID, REGION, key_arn


def existing_key(
    scope: Construct,
    construct_id: str = "Key",
    *,
    region: str = REGION,
    account: str = ACCOUNT,
    resource: str = f"key/{KEY_ID}",
) -> kms.IKey:
    return kms.Key.from_key_arn(scope, construct_id, key_arn(region, account, resource))


def imported_alias(scope: Construct, name: str = ALIAS) -> kms.IAlias:
    return kms.Alias.from_alias_name(scope, "Alias", name)


def owned_alias(scope: Construct, key: kms.IKey | None = None) -> kms.Alias:
    key = key or kms.Key(scope, "Key")
    return kms.Alias(scope, "Alias", alias_name=ALIAS, target_key=key)


def l1_alias(scope: Construct, target: str | None = None) -> kms.CfnAlias:
    target = target or kms.CfnKey(scope, "Key").ref
    return kms.CfnAlias(scope, "Alias", alias_name=ALIAS, target_key_id=target)


def existing_bucket(scope: Construct) -> s3.IBucket:
    return s3.Bucket.from_bucket_name(scope, "Logs", "session-logs")


def l2_bucket(encryption: s3.BucketEncryption) -> Callable[[Construct], s3.IBucket]:
    return lambda scope: s3.Bucket(scope, "Logs", encryption=encryption)


def l1_bucket(
    scope: Construct, key_id: str | None = None, algorithm: str = "aws:kms"
) -> s3.CfnBucket:
    default = s3.CfnBucket.ServerSideEncryptionByDefaultProperty(
        sse_algorithm=algorithm, kms_master_key_id=key_id
    )
    rule = s3.CfnBucket.ServerSideEncryptionRuleProperty(server_side_encryption_by_default=default)
    encryption = s3.CfnBucket.BucketEncryptionProperty(server_side_encryption_configuration=[rule])
    return s3.CfnBucket(scope, "Logs", bucket_encryption=encryption)
