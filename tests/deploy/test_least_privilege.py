"""What each option lets a role do, and not: asked of a local AWS that enforces IAM.

Each role has one option, deployed, and makes every call with its own credentials. What
MiniStack answers otherwise than AWS has a test that is expected to fail, so that the version which
answers as AWS does is noticed:

- A call on a log stream it judges by `log-group:NAME`, AWS by the stream: here its simulator is
  asked, about the stream.
- Its KMS tells IAM neither the encryption context nor the key's aliases, and its simulator drops
  `ContextEntries`: here the evaluator behind both is asked, with these values.
- An upload that sets the ACL needs no `s3:PutObjectAcl`: here the ACL is set by a call of its own.
- It has no `ssmmessages`: here its simulator is asked.

What nobody answers here: whether AWS judges `logs:DescribeLogStreams` by `log-group:NAME`, as the
service authorization reference has it and MiniStack does, or by `log-group:NAME:log-stream:`; what
the policy of another account's bucket or key allows; and which identity an agent takes, the role's
or that of Default Host Management.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import botocore.awsrequest
import botocore.httpsession
import pytest
from botocore.auth import SigV4Auth
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from local_aws import REGION, ExistingProfile, LocalAws, create_key, existing_profile
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from . import stacks
from .least_privilege_app import synthesize

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.client import BaseClient

pytestmark = pytest.mark.deploy

BUCKET, OTHER_BUCKET = "session-logs", "others-logs"
GROUP, OTHER_GROUP = "/session/logs", "/others/logs"
ALIAS: Final = "alias/least-privilege"
SESSION: Final = {"aws:ssm:SessionId": "admin-0123456789abcdef0", "aws:ssm:TargetId": "i-0123"}
SESSION_KEY: Final = "kms:EncryptionContext:aws:ssm:SessionId"
ROLES: Final = (
    "nothing",
    "registration",
    "bucket",
    "prefix",
    "bucket-key",
    "group",
    "no-check",
    "no-check-bucket",
    "key",
    "alias",
    "sessions-only",
    "sessions-only-alias",
    "theirs",
    "all",
    "owned",
)
OWNER_CONTROLS: Final = "bucket-owner-full-control"
DENIED: Final = {"AccessDenied", "AccessDeniedException"}


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
            if error.response["Error"]["Code"] not in DENIED:
                raise
            return False
        return True

    def may_decrypt_session(self, key: str) -> bool:
        blob = self.keys.sessions[key]
        return self.may("kms", "decrypt", CiphertextBlob=blob, EncryptionContext=SESSION)

    def may_decrypt(self, key: str) -> bool:
        return self.may("kms", "decrypt", CiphertextBlob=self.keys.data[key])

    def may_make_data_key(self, key: str) -> bool:
        return self.may("kms", "generate_data_key", KeyId=key, KeySpec="AES_256")

    def may_encrypt(self, key: str) -> bool:
        return self.may("kms", "encrypt", KeyId=key, Plaintext=b"data")

    def may_register(self) -> bool:
        """The agent's own API, which no SDK has: MiniStack knows no such call, but judges it."""
        request = botocore.awsrequest.AWSRequest(
            method="POST",
            url=self.aws.endpoint,
            data=json.dumps({"InstanceId": "i-0123456789abcdef0", "AgentVersion": "3.3.0.0"}),
            headers={
                "X-Amz-Target": "AmazonSSM.UpdateInstanceInformation",
                "Content-Type": "application/x-amz-json-1.1",
            },
        )
        own = self._credentials
        credentials = Credentials(own["AccessKeyId"], own["SecretAccessKey"], own["SessionToken"])
        SigV4Auth(credentials, "ssm", REGION).add_auth(request)
        answer = botocore.httpsession.URLLib3Session().send(request.prepare())
        code: str = json.loads(answer.content)["__type"].rpartition("#")[2]
        assert code in {"AccessDeniedException", "InvalidAction", "UnknownOperationException"}
        return code != "AccessDeniedException"

    def group_arn(self, name: str) -> str:
        return f"arn:aws:logs:{REGION}:{self.account}:log-group:{name}"

    def policy(self) -> str:
        """The document that was deployed."""
        (name,) = set(self.profile.inline_policies()) - {"list-bucket"}
        found = self.aws.client("iam").get_role_policy(
            RoleName=self.profile.role_name, PolicyName=name
        )
        return json.dumps(found["PolicyDocument"])

    def judged(self, action: str, resource: str, **context: object) -> bool:
        """What the evaluator of MiniStack's IAM and simulator says, given the context."""
        request = EvalContext(
            principal_arn=self.profile.role_arn,
            principal_type="AssumedRole",
            principal_account=self.account,
            action=action,
            resource_arn=resource,
            region=REGION,
            service_context={name.lower(): value for name, value in context.items()},
        )
        decision: str = evaluate(request, [parse_policy_document(self.policy())]).decision
        return decision == "Allow"


@pytest.fixture(scope="session")
def instances(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Instance]:
    """Each role, after the deployment."""
    profiles = {name: existing_profile(aws, name) for name in ROLES}
    for name in (BUCKET, OTHER_BUCKET):
        aws.client("s3").create_bucket(Bucket=name, ObjectOwnership="BucketOwnerPreferred")
        aws.client("s3").put_object(Bucket=name, Key="instances/session.log", Body=b"before")
    for name in (GROUP, OTHER_GROUP):
        aws.client("logs").create_log_group(logGroupName=name)
        aws.client("logs").create_log_stream(logGroupName=name, logStreamName="before")
    key, bucket_key, other_key = create_key(aws), create_key(aws), create_key(aws)
    kms = aws.client("kms")
    kms.create_alias(AliasName=ALIAS, TargetKeyId=key)
    folder = tmp_path_factory.mktemp("least-privilege")
    synthesize(
        folder,
        account=aws.client("sts").get_caller_identity()["Account"],
        region=REGION,
        key_arn=key,
        alias_name=ALIAS,
        bucket_name=BUCKET,
        bucket_key_arn=bucket_key,
        group_name=GROUP,
    )
    stacks.put(aws, folder)
    owned_key = stacks.outputs(aws, "Owned")["KeyArn"]

    def encrypted(context: dict[str, str]) -> dict[str, bytes]:
        return {
            arn: kms.encrypt(KeyId=arn, Plaintext=b"data", EncryptionContext=context)[
                "CiphertextBlob"
            ]
            for arn in (key, bucket_key, other_key, owned_key)
        }

    keys = Keys(key, bucket_key, other_key, owned_key, encrypted(SESSION), encrypted({}))
    return {name: Instance(profile, keys) for name, profile in profiles.items()}


def now() -> list[dict[str, Any]]:
    return [{"timestamp": int(time.time() * 1000), "message": "said in the session"}]


CALLS: Final[dict[str, Callable[[Instance], bool]]] = {
    "register": Instance.may_register,
    "put a log at the top": lambda i: i.may("s3", "put_object", Bucket=BUCKET, Key="a.log"),
    "put a log below the prefix": lambda i: i.may(
        "s3", "put_object", Bucket=BUCKET, Key="instances/a.log"
    ),
    "put a log in parts": lambda i: i.may(
        "s3", "create_multipart_upload", Bucket=BUCKET, Key="instances/a.log"
    ),
    "put a log below another prefix": lambda i: i.may(
        "s3", "put_object", Bucket=BUCKET, Key="instances-of-others/a.log"
    ),
    "put a log into another bucket": lambda i: i.may(
        "s3", "put_object", Bucket=OTHER_BUCKET, Key="instances/a.log"
    ),
    "delete a log": lambda i: i.may(
        "s3", "delete_object", Bucket=BUCKET, Key="instances/session.log"
    ),
    "read a log": lambda i: i.may("s3", "get_object", Bucket=BUCKET, Key="instances/session.log"),
    "list the logs": lambda i: i.may("s3", "list_objects_v2", Bucket=BUCKET),
    "set a log's ACL": lambda i: i.may(
        "s3", "put_object_acl", Bucket=BUCKET, Key="instances/session.log", ACL=OWNER_CONTROLS
    ),
    "see the bucket's encryption": lambda i: i.may("s3", "get_bucket_encryption", Bucket=BUCKET),
    "see another bucket's encryption": lambda i: i.may(
        "s3", "get_bucket_encryption", Bucket=OTHER_BUCKET
    ),
    "change the bucket's encryption": lambda i: i.may(
        "s3", "delete_bucket_encryption", Bucket=BUCKET
    ),
    "see the log groups": lambda i: i.may("logs", "describe_log_groups"),
    "see the group's streams": lambda i: i.may("logs", "describe_log_streams", logGroupName=GROUP),
    "see another group's streams": lambda i: i.may(
        "logs", "describe_log_streams", logGroupName=OTHER_GROUP
    ),
    "write to another group's stream": lambda i: i.may(
        "logs",
        "put_log_events",
        logGroupName=OTHER_GROUP,
        logStreamName="before",
        logEvents=now(),
    ),
    "make a log group": lambda i: i.may("logs", "create_log_group", logGroupName="/made"),
    "delete the log group": lambda i: i.may("logs", "delete_log_group", logGroupName=GROUP),
    "read the group's events": lambda i: i.may(
        "logs", "get_log_events", logGroupName=GROUP, logStreamName="before"
    ),
    "decrypt a session": lambda i: i.may_decrypt_session(i.keys.session),
    "decrypt what is no session": lambda i: i.may_decrypt(i.keys.session),
    "decrypt by another key": lambda i: i.may_decrypt_session(i.keys.other),
    "make a data key of the session's key": lambda i: i.may_make_data_key(i.keys.session),
    "encrypt by the session's key": lambda i: i.may_encrypt(i.keys.session),
    "make a data key of the bucket's key": lambda i: i.may_make_data_key(i.keys.bucket),
    "decrypt by the bucket's key": lambda i: i.may_decrypt(i.keys.bucket),
    "encrypt by the bucket's key": lambda i: i.may_encrypt(i.keys.bucket),
}

EVERY_BUCKET: Final = {"see the bucket's encryption", "see another bucket's encryption"}
BELOW_PREFIX: Final = {"put a log below the prefix", "put a log in parts"}
TOP: Final = {*BELOW_PREFIX, "put a log at the top", "put a log below another prefix"}
BUCKET_KEY: Final = {"make a data key of the bucket's key", "decrypt by the bucket's key"}
SEES: Final = {"see the bucket's encryption"}
GROUPS: Final = {"see the log groups", "see the group's streams"}
ALLOWED: Final[dict[str, set[str]]] = {
    "nothing": EVERY_BUCKET,
    "registration": EVERY_BUCKET | {"register"},
    "bucket": SEES | TOP,
    "prefix": SEES | BELOW_PREFIX,
    "bucket-key": SEES | BELOW_PREFIX | BUCKET_KEY,
    "group": EVERY_BUCKET | GROUPS,
    "no-check": set(),
    "no-check-bucket": TOP,
    "key": EVERY_BUCKET | {"decrypt a session", "decrypt what is no session"},
    # less "decrypt a session", for which MiniStack's KMS tells IAM too little: see below
    "sessions-only": EVERY_BUCKET,
    "alias": EVERY_BUCKET,
    "sessions-only-alias": EVERY_BUCKET,
    "theirs": SEES | BELOW_PREFIX | {"set a log's ACL"},
    "all": SEES | BELOW_PREFIX | BUCKET_KEY | GROUPS | {"register"},
    "owned": {"see the log groups"},
}


@pytest.mark.parametrize("role", ROLES)
def test_role_may_make_the_agent_s_calls_and_no_others(
    instances: dict[str, Instance], role: str
) -> None:
    found = {name for name, call in CALLS.items() if call(instances[role])}

    assert found == ALLOWED[role]


@pytest.mark.xfail(reason="MiniStack asks for no s3:PutObjectAcl where an upload sets the ACL")
def test_upload_that_sets_the_acl(instances: dict[str, Instance]) -> None:
    upload = {"Bucket": BUCKET, "Key": "instances/a.log", "ACL": OWNER_CONTROLS}

    assert instances["theirs"].may("s3", "put_object", **upload)
    assert not instances["prefix"].may("s3", "put_object", **upload)


# What the stack owns


def test_owned_bucket_and_key_and_group(instances: dict[str, Instance]) -> None:
    owned = instances["owned"]

    assert owned.may("s3", "put_object", Bucket="owned-logs", Key="instances/a.log")
    assert not owned.may("s3", "put_object", Bucket="owned-logs", Key="a.log")
    assert owned.may("s3", "get_bucket_encryption", Bucket="owned-logs")
    assert owned.may("logs", "describe_log_streams", logGroupName="/owned")
    assert owned.may_make_data_key(owned.keys.owned)
    assert owned.may_decrypt(owned.keys.owned)


# By the simulator

CHANNELS: Final = (
    "CreateControlChannel",
    "CreateDataChannel",
    "OpenControlChannel",
    "OpenDataChannel",
)


@pytest.mark.parametrize("role", ["nothing", "registration", "all"])
def test_simulator_allows_the_channels_to_all_and_no_more(
    instances: dict[str, Instance], role: str
) -> None:
    profile = instances[role].profile

    assert all(profile.simulate(f"ssmmessages:{channel}") for channel in CHANNELS)
    for action in ("ssmmessages:Anything", "ec2messages:GetMessages", "ssm:GetParameter"):
        assert not profile.simulate(action)
    assert profile.simulate("ssm:UpdateInstanceInformation") == ("register" in ALLOWED[role])


@pytest.mark.parametrize("role", ["nothing", "group", "all", "owned"])
@pytest.mark.parametrize("action", ["logs:CreateLogStream", "logs:PutLogEvents"])
def test_simulator_allows_the_streams_of_the_group_alone(
    instances: dict[str, Instance], role: str, action: str
) -> None:
    found = instances[role]
    own = "/owned" if role == "owned" else GROUP

    for group in (GROUP, OTHER_GROUP, f"{GROUP}-of-others", "/owned"):
        stream = f"{found.group_arn(group)}:log-stream:admin-0123456789abcdef0"
        logs_to_group = role in {"group", "all", "owned"}
        assert found.profile.simulate(action, stream) == (logs_to_group and group == own)


@pytest.mark.xfail(reason="MiniStack asks IAM about the group, AWS about the stream")
def test_call_that_writes_to_the_group_s_stream(instances: dict[str, Instance]) -> None:
    assert instances["group"].may(
        "logs", "put_log_events", logGroupName=GROUP, logStreamName="before", logEvents=now()
    )


# By the evaluator, with what KMS tells IAM


@pytest.mark.parametrize("role", ["sessions-only", "all"])
def test_session_s_encryption_context_decides(instances: dict[str, Instance], role: str) -> None:
    found = instances[role]
    key, other_key = found.keys.session, found.keys.other
    session = {SESSION_KEY: SESSION["aws:ssm:SessionId"]}

    assert found.judged("kms:Decrypt", key, **session)
    assert found.judged(
        "kms:Decrypt", key, **session, **{"kms:EncryptionContext:RandomChallenge": "a"}
    )
    assert not found.judged("kms:Decrypt", key)
    other_context = {"kms:EncryptionContext:aws:ssm:TargetId": "i-0123"}
    assert not found.judged("kms:Decrypt", key, **other_context)
    assert not found.judged("kms:Decrypt", other_key, **session)


def test_session_s_encryption_context_is_not_asked_for_by_the_bucket_s_key(
    instances: dict[str, Instance],
) -> None:
    found = instances["all"]

    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert found.judged(action, found.keys.bucket)


def test_alias_decides(instances: dict[str, Instance]) -> None:
    found = instances["alias"]

    for aliases, allowed in (
        ([ALIAS], True),
        (["alias/another", ALIAS], True),
        (["alias/another"], False),
        ([], False),
    ):
        context = {"kms:ResourceAliases": aliases}
        assert found.judged("kms:Decrypt", found.keys.session, **context) == allowed


def test_alias_and_encryption_context_decide_together(
    instances: dict[str, Instance],
) -> None:
    found = instances["sessions-only-alias"]
    session = {SESSION_KEY: SESSION["aws:ssm:SessionId"]}
    alias = {"kms:ResourceAliases": ["alias/another", ALIAS]}
    other = {"kms:ResourceAliases": ["alias/another"]}

    assert found.judged("kms:Decrypt", found.keys.session, **session, **alias)
    assert not found.judged("kms:Decrypt", found.keys.session, **alias)
    assert not found.judged("kms:Decrypt", found.keys.session, **session)
    assert not found.judged("kms:Decrypt", found.keys.session, **session, **other)
    elsewhere = found.keys.session.replace(REGION, "eu-west-1")
    assert not found.judged("kms:Decrypt", elsewhere, **session, **alias)


@pytest.mark.xfail(reason="MiniStack's KMS tells IAM nothing of the encryption context")
def test_call_that_decrypts_a_session(instances: dict[str, Instance]) -> None:
    found = instances["sessions-only"]

    assert found.may_decrypt_session(found.keys.session)


@pytest.mark.xfail(reason="MiniStack's KMS tells IAM nothing of the key's aliases")
def test_call_that_decrypts_by_an_alias(instances: dict[str, Instance]) -> None:
    found = instances["alias"]

    assert found.may_decrypt(found.keys.session)
