"""Options of session preferences: every kind of key, bucket and log group, and all others."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
from aws_cdk.interfaces.aws_logs import ILogGroupRef
from aws_cdk.interfaces.aws_s3 import IBucketRef
from hypothesis import strategies as st

from .keys import existing_key, imported_alias, l1_alias, owned_alias
from .places import ALIAS, OTHER_ACCOUNT, key_arn
from .scenarios import BUCKET, GROUP_ARN

GROUP: Final = "/session/logs"


KEYS: Final[Mapping[str, Callable[[cdk.Stack], IKeyRef | IAliasRef]]] = {
    "imported key": existing_key,
    "owned key": lambda s: kms.Key(s, "Key"),
    "L1 key": lambda s: kms.CfnKey(s, "Key"),
    "key by reference": lambda s: kms.CfnKey.from_key_arn(s, "Key", key_arn()),
    "imported alias": imported_alias,
    "alias by its ARN": lambda s: existing_key(s, resource=ALIAS),
    "owned alias": owned_alias,
    "L1 alias": l1_alias,
}
BUCKETS: Final[Mapping[str, Callable[[cdk.Stack], IBucketRef]]] = {
    "imported bucket": lambda s: s3.Bucket.from_bucket_name(s, "Bucket", BUCKET),
    "bucket with a key": lambda s: s3.Bucket.from_bucket_attributes(s, "Bucket", bucket_name=BUCKET,
        encryption_key=existing_key(s, "BucketKey", resource="key/5678")),
    "bucket of another account": lambda s: s3.Bucket.from_bucket_attributes(
        s, "Bucket", bucket_name=BUCKET, account=OTHER_ACCOUNT),
    "bucket by reference": lambda s: s3.CfnBucket.from_bucket_name(s, "Bucket", BUCKET),
    "owned bucket": lambda s: s3.Bucket(s, "Bucket"),
    "L1 bucket": lambda s: s3.CfnBucket(s, "Bucket"),
}  # fmt: skip
UNENCRYPTED_GROUPS: Final[Mapping[str, Callable[[cdk.Stack], ILogGroupRef]]] = {
    "owned group": lambda s: logs.LogGroup(s, "Group"),
    "L1 group": lambda s: logs.CfnLogGroup(s, "Group"),
}
GROUPS: Final[Mapping[str, Callable[[cdk.Stack], ILogGroupRef]]] = {
    "group by its name": lambda s: logs.LogGroup.from_log_group_name(s, "Group", GROUP),
    "group by its ARN": lambda s: logs.LogGroup.from_log_group_arn(s, "Group", GROUP_ARN),
    "group by reference": lambda s: logs.CfnLogGroup.from_log_group_arn(s, "Group", GROUP_ARN),
    "owned group with a key": lambda s: logs.LogGroup(
        s, "Group", encryption_key=existing_key(s, "GroupKey", resource="key/9abc")
    ),
    "L1 group with a key": lambda s: logs.CfnLogGroup(s, "Group", kms_key_id=key_arn()),
    **UNENCRYPTED_GROUPS,
}


class Given(NamedTuple):
    """The arguments of some preferences. A resource in a stack is given by its name above."""

    key: str | None
    bucket: str | None
    prefix: str | None
    group: str | None
    others: dict[str, Any]

    def sources(self, stack: cdk.Stack) -> dict[str, Any]:
        """The arguments that permissions follow from, made in the stack; each call makes all."""
        return {
            "encryption_key": KEYS[self.key](stack) if self.key else None,
            "log_bucket": BUCKETS[self.bucket](stack) if self.bucket else None,
            "log_prefix": self.prefix,
            "log_group": GROUPS[self.group](stack) if self.group else None,
        }


def minutes(most: int) -> st.SearchStrategy[cdk.Duration]:
    return st.integers(1, most).map(cdk.Duration.minutes)


PARTS: Final = st.lists(st.from_regex(r"[a-z0-9_-]{1,9}", fullmatch=True), max_size=3)
PREFIXES: Final = PARTS.map("/".join)
USERS: Final = st.from_regex(r"[a-z_][a-z0-9_-]{0,31}", fullmatch=True).filter("root".__ne__)
OTHERS: Final[dict[str, st.SearchStrategy[Any]]] = {
    **dict.fromkeys(("stream_logs", "enforce_s3_encryption"), st.booleans()),
    **dict.fromkeys(("linux_shell_profile", "windows_shell_profile"), st.text()),
    "idle_timeout": minutes(60), "max_duration": minutes(1440),
    "run_as_enabled": st.sampled_from([None, True]), "run_as_user": USERS,
}  # fmt: skip


@st.composite
def given_preferences(draw: st.DrawFn) -> Given:
    """Any valid combination of arguments."""
    key, bucket, group = (draw(st.sampled_from([None, *of])) for of in (KEYS, BUCKETS, GROUPS))
    prefix = draw(st.none() | PREFIXES) if bucket else None
    others = draw(st.fixed_dictionaries({}, optional=OTHERS))
    if group and group not in UNENCRYPTED_GROUPS:
        others["enforce_cloudwatch_encryption"] = draw(st.booleans())
    return Given(key, bucket, prefix, group, others)
