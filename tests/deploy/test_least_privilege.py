"""What the options let a role do, and not: asked of a local AWS that enforces IAM.

Each role makes every call with its own credentials, and `verify --role` says the same of it. Where
MiniStack answers otherwise than AWS, its simulator is asked: it has no `ssmmessages` and no
registration, and judges a call on a log stream by `log-group:NAME`, AWS by the stream. Its KMS
tells IAM neither the encryption context nor the key's aliases: what these decide is in
`tests/test_agent_calls.py`.

What nobody answers here: whether AWS judges `logs:DescribeLogStreams` by `log-group:NAME`, as the
service authorization reference has it and MiniStack does, or by `log-group:NAME:log-stream:`; what
the policy of another account's bucket or key allows; and which identity an agent takes, the role's
or that of Default Host Management.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from local_aws import REGION, ExistingProfile, LocalAws, create_key, existing_profile

from session_manager_permissions import SessionManagerPermissions
from session_manager_permissions._needs import CHANNELS

from . import stacks

Call = Callable[["Instance"], bool]


BUCKET, OTHER_BUCKET = "session-logs", "others-logs"
GROUP, OTHER_GROUP = "/session/logs", "/others/logs"
SESSION: Final = {"aws:ssm:SessionId": "admin-0123456789abcdef0", "aws:ssm:TargetId": "i-0123"}
OWNER_CONTROLS: Final = "bucket-owner-full-control"


@dataclass(frozen=True)
class Keys:
    """The keys of the account, each with a text that it has encrypted."""

    session: str
    bucket: str
    other: str
    owned: str
    sessions: dict[str, bytes]
    data: dict[str, bytes]


class Instance:
    """What runs with a role's credentials."""

    def __init__(self, profile: ExistingProfile, keys: Keys) -> None:
        self.aws = profile.aws
        self.account = profile.role_arn.split(":")[4]
        self.keys = keys
        self.profile = profile
        self._credentials = profile.credentials()
        self._clients: dict[str, BaseClient] = {}

    def may(self, service: str, call: str, **arguments: object) -> bool:
        """Whether AWS lets the call through."""
        if service not in self._clients:
            self._clients[service] = self.aws.client(service, self._credentials)
        try:
            getattr(self._clients[service], call)(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"AccessDenied", "AccessDeniedException"}:
                raise
            return False
        return True


def synthesize(folder: Path, account: str, key_arn: str, bucket_key_arn: str) -> None:
    """An app with a construct for each role that exists, and one with all that it takes."""
    app = stacks.legacy_app(folder)
    env = cdk.Environment(account=account, region=REGION)
    stack, owner = (cdk.Stack(app, name, env=env) for name in ("LeastPrivilege", "Owned"))
    destroy = cdk.RemovalPolicy.DESTROY
    owned_key = kms.Key(owner, "Key", removal_policy=destroy)
    options_of: dict[str, dict[str, Any]] = {
        "nothing": {},
        "no-check": {"check_log_encryption": False},
        "theirs": {
            "log_bucket": s3.Bucket.from_bucket_attributes(
                stack, "TheirBucket", bucket_name=BUCKET, account="111122223333"
            )
        },
        "all": {
            "encryption_key": kms.Key.from_key_arn(stack, "Key", key_arn),
            "allow_registration": True,
            "log_bucket": s3.Bucket.from_bucket_attributes(
                stack,
                "Bucket",
                bucket_name=BUCKET,
                encryption_key=kms.Key.from_key_arn(stack, "BucketKey", bucket_key_arn),
            ),
            "log_prefix": "/instances/",
            "log_group": logs.LogGroup.from_log_group_name(stack, "Group", GROUP),
        },
        # What the stack owns is known at deployment only: the ARNs are CloudFormation's.
        "owned": {
            "log_bucket": s3.Bucket(
                owner,
                "Bucket",
                bucket_name="owned-logs",
                encryption_key=owned_key,
                removal_policy=destroy,
            ),
            "log_prefix": "instances",
            "log_group": logs.LogGroup(
                owner, "Group", log_group_name="/owned", removal_policy=destroy
            ),
        },
    }
    for name, options in options_of.items():
        scope = owner if name == "owned" else stack
        role = iam.Role.from_role_name(scope, f"Role-{name}", f"{name}-role")
        SessionManagerPermissions(scope, f"Permissions-{name}", role=role, **options)
    cdk.CfnOutput(owner, "KeyArn", value=owned_key.key_arn)
    app.synth()


@pytest.fixture(scope="module")
def instances(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Instance]:
    """Each role, after the deployment."""
    profiles = {name: existing_profile(aws, name) for name in ALLOWED}
    for name in (BUCKET, OTHER_BUCKET):
        aws.client("s3").create_bucket(Bucket=name, ObjectOwnership="BucketOwnerPreferred")
        aws.client("s3").put_object(Bucket=name, Key="instances/session.log", Body=b"before")
    for name in (GROUP, OTHER_GROUP):
        aws.client("logs").create_log_group(logGroupName=name)
        aws.client("logs").create_log_stream(logGroupName=name, logStreamName="before")
    key, bucket_key, other_key = create_key(aws), create_key(aws), create_key(aws)
    folder = tmp_path_factory.mktemp("least-privilege")
    account = aws.client("sts").get_caller_identity()["Account"]
    synthesize(folder, account, key, bucket_key)
    stacks.put(aws, folder)
    owned_key = stacks.outputs(aws, "Owned")["KeyArn"]

    def encrypted(context: dict[str, str]) -> dict[str, bytes]:
        given: dict[str, Any] = {"Plaintext": b"data", "EncryptionContext": context}
        every, client = (key, bucket_key, other_key, owned_key), aws.client("kms")
        return {arn: client.encrypt(KeyId=arn, **given)["CiphertextBlob"] for arn in every}

    keys = Keys(key, bucket_key, other_key, owned_key, encrypted(SESSION), encrypted({}))
    return {name: Instance(profile, keys) for name, profile in profiles.items()}


def on_bucket(call: str, **arguments: object) -> Call:
    return lambda i: i.may("s3", call, **({"Bucket": BUCKET} | arguments))


def puts(key: str, bucket: str = BUCKET) -> Call:
    return on_bucket("put_object", Key=key, Bucket=bucket)


def on_logs(call: str, **arguments: object) -> Call:
    return lambda i: i.may("logs", call, **arguments)


def writes(group: str) -> Call:
    event = {"timestamp": int(time.time() * 1000), "message": "said in the session"}
    return on_logs("put_log_events", logGroupName=group, logStreamName="before", logEvents=[event])


def decrypts_session(key: str) -> Call:
    return lambda i: i.may(
        "kms",
        "decrypt",
        CiphertextBlob=i.keys.sessions[getattr(i.keys, key)],
        EncryptionContext=SESSION,
    )


def decrypts(key: str) -> Call:
    return lambda i: i.may("kms", "decrypt", CiphertextBlob=i.keys.data[getattr(i.keys, key)])


def makes_data_key(key: str) -> Call:
    return lambda i: i.may(
        "kms", "generate_data_key", KeyId=getattr(i.keys, key), KeySpec="AES_256"
    )


def encrypts(key: str) -> Call:
    return lambda i: i.may("kms", "encrypt", KeyId=getattr(i.keys, key), Plaintext=b"data")


LOG: Final = "instances/session.log"
CALLS: Final[dict[str, Call]] = {
    "register": lambda i: i.profile.simulate("ssm:UpdateInstanceInformation"),
    "put a log at the top": puts("a.log"),
    "put a log below the prefix": puts("instances/a.log"),
    "put a log in parts": on_bucket("create_multipart_upload", Key="instances/a.log"),
    "put a log below another prefix": puts("instances-of-others/a.log"),
    "put a log into another bucket": puts("instances/a.log", OTHER_BUCKET),
    "delete a log": on_bucket("delete_object", Key=LOG),
    "read a log": on_bucket("get_object", Key=LOG),
    "list the logs": on_bucket("list_objects_v2"),
    "set a log's ACL": on_bucket("put_object_acl", Key=LOG, ACL=OWNER_CONTROLS),
    "see the bucket's encryption": on_bucket("get_bucket_encryption"),
    "see another bucket's encryption": on_bucket("get_bucket_encryption", Bucket=OTHER_BUCKET),
    "change the bucket's encryption": on_bucket("delete_bucket_encryption"),
    "see the log groups": on_logs("describe_log_groups"),
    "see the group's streams": on_logs("describe_log_streams", logGroupName=GROUP),
    "see another group's streams": on_logs("describe_log_streams", logGroupName=OTHER_GROUP),
    "write to another group's stream": writes(OTHER_GROUP),
    "make a log group": on_logs("create_log_group", logGroupName="/made"),
    "delete the log group": on_logs("delete_log_group", logGroupName=GROUP),
    "read the group's events": on_logs(
        "get_log_events", logGroupName=GROUP, logStreamName="before"
    ),
    "decrypt a session": decrypts_session("session"),
    "decrypt what is no session": decrypts("session"),
    "decrypt by another key": decrypts_session("other"),
    "make a data key of the session's key": makes_data_key("session"),
    "encrypt by the session's key": encrypts("session"),
    "make a data key of the bucket's key": makes_data_key("bucket"),
    "decrypt by the bucket's key": decrypts("bucket"),
    "encrypt by the bucket's key": encrypts("bucket"),
    # what the stack owns
    "put a log into the owned bucket": puts("instances/a.log", "owned-logs"),
    "put a log at the top of the owned bucket": puts("a.log", "owned-logs"),
    "see the owned bucket's encryption": on_bucket("get_bucket_encryption", Bucket="owned-logs"),
    "see the owned group's streams": on_logs("describe_log_streams", logGroupName="/owned"),
    "make a data key of the owned key": makes_data_key("owned"),
    "decrypt by the owned key": decrypts("owned"),
}
EVERY_BUCKET: Final = {
    *("see the bucket's encryption", "see another bucket's encryption"),
    "see the owned bucket's encryption",
}
ALLOWED: Final[dict[str, set[str]]] = {
    "nothing": EVERY_BUCKET,
    "no-check": set(),
    "theirs": {
        *("see the bucket's encryption", "set a log's ACL", "put a log in parts"),
        *(f"put a log {where}" for where in ("at the top", "below the prefix")),
        "put a log below another prefix",
    },
    "all": {
        *("register", "see the bucket's encryption", "see the log groups"),
        *("put a log below the prefix", "put a log in parts", "see the group's streams"),
        *("make a data key of the bucket's key", "decrypt by the bucket's key"),
        *("decrypt a session", "decrypt what is no session"),
    },
    "owned": {
        *("put a log into the owned bucket", "see the owned bucket's encryption"),
        *("see the log groups", "see the owned group's streams"),
        *("make a data key of the owned key", "decrypt by the owned key"),
    },
}


@pytest.mark.parametrize("role", ALLOWED)
def test_role_may_make_the_agent_s_calls_and_no_others(
    instances: dict[str, Instance], role: str
) -> None:
    assert {name for name, call in CALLS.items() if call(instances[role])} == ALLOWED[role]


@pytest.mark.parametrize("role", ["nothing", "all", "owned"])
def test_simulator_allows_the_channels_and_the_streams_of_the_group_alone(
    instances: dict[str, Instance], role: str
) -> None:
    found, own = instances[role], {"all": GROUP, "owned": "/owned"}.get(role)

    assert all(found.profile.simulate(channel) for channel in CHANNELS.actions)
    for action in ("ssmmessages:Anything", "ec2messages:GetMessages", "ssm:GetParameter"):
        assert not found.profile.simulate(action)
    for group in (GROUP, OTHER_GROUP, f"{GROUP}-of-others", "/owned"):
        arn = f"arn:aws:logs:{REGION}:{found.account}:log-group:{group}"
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            stream = f"{arn}:log-stream:admin-0123456789abcdef0"
            assert found.profile.simulate(action, resource=stream) == (group == own)


@pytest.mark.parametrize("role", ["nothing", "all"])
def test_the_command_says_of_a_role_what_its_calls_show(
    instances: dict[str, Instance], role: str
) -> None:
    found, has_all = instances[role], role == "all"
    alias = f"{found.keys.session.partition(':key/')[0]}:alias/{role}"
    group = f"arn:aws:logs:{REGION}:{found.account}:log-group:{GROUP}"
    found.aws.client("kms").create_alias(AliasName=f"alias/{role}", TargetKeyId=found.keys.session)
    logs_to = ("--log-bucket", BUCKET, "--log-prefix", "instances", "--log-group", GROUP)
    keys = ("--key", alias, "--key", found.keys.other)

    run = found.aws.verify("--role", f"{role}-role", *logs_to, *keys, "--output", "json")

    assert (run.returncode, run.stderr) == (1, "")
    answers = json.loads(run.stdout)["capabilities"]
    assert {(one["capability"], one["subject"]): one["allowed"] for one in answers} == {
        ("reach", None): True,
        ("register", None): has_all,
        ("encrypt", alias): has_all,
        ("encrypt", found.keys.other): False,
        ("log-to-s3", f"arn:aws:s3:::{BUCKET}/instances"): has_all,
        ("log-to-cloudwatch", group): has_all,
    }
