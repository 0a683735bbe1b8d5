"""What the options let a role do, and not, by the rules of IAM.

What nobody answers here: whether AWS judges `logs:DescribeLogStreams` by `log-group:NAME`, as the
service authorization reference has it, or by `log-group:NAME:log-stream:`; what the policy of
another account's bucket or key allows; and which identity an agent takes, the role's or that of
Default Host Management. What conditions decide of the session's key is in
`tests/test_agent_calls.py`.
"""

from collections.abc import Callable
from typing import Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from session_manager_permissions import SessionManagerPermissions
from session_manager_permissions._needs import CHANNELS
from tests.evaluated import Request, evaluated
from tests.keys import existing_key
from tests.places import OTHER_ACCOUNT, key_arn
from tests.reading import policy
from tests.roles import existing_role
from tests.scenarios import BUCKET_ARN, BUCKET_KEY, GROUP_ARN, bucket, group
from tests.templates import deployed

ROLES: Final[dict[str, Callable[[cdk.Stack], dict[str, Any]]]] = {
    "nothing": lambda _: {},
    "no-check": lambda _: {"check_log_encryption": False},
    "theirs": lambda s: {"log_bucket": bucket(s, account=OTHER_ACCOUNT)},
    "all": lambda s: {"encryption_key": existing_key(s), "allow_registration": True,
        "log_bucket": bucket(s, BUCKET_KEY), "log_prefix": "/instances/", "log_group": group(s)},
    "owned": lambda s: {"log_bucket": s3.Bucket(s, "Bucket", encryption_key=kms.Key(s, "Key")),
        "log_prefix": "instances", "log_group": logs.LogGroup(s, "Group")},
}  # fmt: skip
OTHER_KEY, OWNED_KEY = key_arn(resource="key/other"), key_arn(resource="key/owned")
OTHER_BUCKET, OWNED_BUCKET = "arn:aws:s3:::others-logs", "arn:aws:s3:::owned-logs"
OTHER_GROUP, OWNED_GROUP = (GROUP_ARN.replace("/session", one) for one in ("/others", "/owned"))
NAMES: Final = {
    "Bucket83908E77": OWNED_BUCKET,
    "Key961B73FD": OWNED_KEY,
    "GroupC77FDACD": "/owned/logs",
}
"""What CloudFormation makes of references to what the stack owns."""
SESSION: Final = {"kms:EncryptionContext:aws:ssm:SessionId": "admin-0123456789abcdef0"}
STREAMS: Final[dict[str, Request]] = {
    f"{action} in {group}": (action, f"{group}:log-stream:admin-0123456789abcdef0", {})
    for action in ("logs:CreateLogStream", "logs:PutLogEvents")
    for group in (GROUP_ARN, OTHER_GROUP, f"{GROUP_ARN}-of-others", OWNED_GROUP)
}
OTHERS: Final = ("ssmmessages:Anything", "ec2messages:GetMessages", "ssm:GetParameter")
CALLS: Final[dict[str, Request]] = {
    "register": ("ssm:UpdateInstanceInformation", "*", {}),
    "put a log at the top": ("s3:PutObject", f"{BUCKET_ARN}/a.log", {}),
    "put a log below the prefix": ("s3:PutObject", f"{BUCKET_ARN}/instances/a.log", {}),
    "put a log below another prefix": ("s3:PutObject", f"{BUCKET_ARN}/instances-of-others/a", {}),
    "put a log into another bucket": ("s3:PutObject", f"{OTHER_BUCKET}/instances/a.log", {}),
    "delete a log": ("s3:DeleteObject", f"{BUCKET_ARN}/instances/a.log", {}),
    "read a log": ("s3:GetObject", f"{BUCKET_ARN}/instances/a.log", {}),
    "list the logs": ("s3:ListBucket", BUCKET_ARN, {}),
    "set a log's ACL": ("s3:PutObjectAcl", f"{BUCKET_ARN}/instances/a.log", {}),
    "see the bucket's encryption": ("s3:GetEncryptionConfiguration", BUCKET_ARN, {}),
    "see another bucket's encryption": ("s3:GetEncryptionConfiguration", OTHER_BUCKET, {}),
    "change the bucket's encryption": ("s3:PutEncryptionConfiguration", BUCKET_ARN, {}),
    "see the log groups": ("logs:DescribeLogGroups", "*", {}),
    "see the group's streams": ("logs:DescribeLogStreams", GROUP_ARN, {}),
    "see another group's streams": ("logs:DescribeLogStreams", OTHER_GROUP, {}),
    "make a log group": ("logs:CreateLogGroup", GROUP_ARN, {}),
    "delete the log group": ("logs:DeleteLogGroup", GROUP_ARN, {}),
    "read the group's events": ("logs:GetLogEvents", f"{GROUP_ARN}:log-stream:before", {}),
    "decrypt a session": ("kms:Decrypt", key_arn(), SESSION),
    "decrypt what is no session": ("kms:Decrypt", key_arn(), {}),
    "decrypt by another key": ("kms:Decrypt", OTHER_KEY, SESSION),
    "make a data key of the session's key": ("kms:GenerateDataKey", key_arn(), {}),
    "encrypt by the session's key": ("kms:Encrypt", key_arn(), {}),
    "make a data key of the bucket's key": ("kms:GenerateDataKey", BUCKET_KEY, {}),
    "decrypt by the bucket's key": ("kms:Decrypt", BUCKET_KEY, {}),
    "encrypt by the bucket's key": ("kms:Encrypt", BUCKET_KEY, {}),
    # what the stack owns
    "put a log into the owned bucket": ("s3:PutObject", f"{OWNED_BUCKET}/instances/a.log", {}),
    "put a log at the top of the owned bucket": ("s3:PutObject", f"{OWNED_BUCKET}/a.log", {}),
    "see the owned bucket's encryption": ("s3:GetEncryptionConfiguration", OWNED_BUCKET, {}),
    "see the owned group's streams": ("logs:DescribeLogStreams", OWNED_GROUP, {}),
    "make a data key of the owned key": ("kms:GenerateDataKey", OWNED_KEY, {}),
    "decrypt by the owned key": ("kms:Decrypt", OWNED_KEY, {}),
    **STREAMS,
    **{action: (action, "*", {}) for action in (*CHANNELS.actions, *OTHERS)},
}
ALLOWED: Final[dict[str, set[str]]] = {
    "nothing": {*("see the bucket's encryption", "see another bucket's encryption"),
        "see the owned bucket's encryption"},
    "no-check": set(),
    "theirs": {*("see the bucket's encryption", "set a log's ACL"),
        *(f"put a log {where}" for where in ("at the top", "below the prefix")),
        "put a log below another prefix"},
    "all": {*("register", "see the bucket's encryption", "see the log groups"),
        *("put a log below the prefix", "see the group's streams"),
        *("make a data key of the bucket's key", "decrypt by the bucket's key"),
        *("decrypt a session", "decrypt what is no session"),
        *(stream for stream in STREAMS if stream.endswith(GROUP_ARN))},
    "owned": {*("put a log into the owned bucket", "see the owned bucket's encryption"),
        *("see the log groups", "see the owned group's streams"),
        *("make a data key of the owned key", "decrypt by the owned key"),
        *(stream for stream in STREAMS if stream.endswith(OWNED_GROUP))},
}  # fmt: skip


@pytest.mark.parametrize("role", ALLOWED)
def test_role_may_make_the_agent_s_calls_and_no_others(stack_here: cdk.Stack, role: str) -> None:
    options = ROLES[role](stack_here)
    SessionManagerPermissions(stack_here, "It", role=existing_role(stack_here), **options)
    may = evaluated(deployed(policy(stack_here)["PolicyDocument"]["Statement"], **NAMES))

    allowed = {name for name, request in CALLS.items() if may(*request)}
    assert allowed == ALLOWED[role] | {*CHANNELS.actions}
