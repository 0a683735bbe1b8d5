"""`verify --document`: what the live Session document says is what the role is asked about."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import pytest
from botocore.stub import ANY, Stubber
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from session_manager_permissions import (
    SessionManagerPermissions,
    SessionPreferences,
    _needs,
)
from session_manager_permissions._readiness.policies import Answer, decide, read
from session_manager_permissions._verify.document import Home, read_document
from session_manager_permissions._verify.session import AwsSession, Boto
from session_manager_permissions._verify.simulator import LiveKey, LiveRole, Uses, questions
from tests.builders import deployed
from tests.conftest import HERE, REGION, existing_role
from tests.preference_options import Given, given_preferences

from .test_verify import (
    ACCOUNT,
    IN_GROUP,
    KEY,
    Account,
    Run,
    account,
    client,
    no_account,
    result,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.client import BaseClient

__all__ = ["account", "no_account", "verify"]  # fixtures

NAME = "SSM-SessionManagerRunShell"
HOME = Home("aws", ACCOUNT, REGION)
ASKED = ("--role", "web-server", "--region", "eu-west-1", "--document", NAME, "--output", "json")
OF_ALL = {
    "s3BucketName": "session-logs",
    "s3KeyPrefix": "/web/",
    "s3EncryptionEnabled": True,
    "cloudWatchLogGroupName": "/ssm/sessions",
    "kmsKeyId": KEY,
}


@contextmanager
def stubbed_ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    systems_manager = client("ssm")
    made = Boto.client

    def stubbed(calls: Boto, service: str, region: str | None) -> BaseClient:
        return systems_manager if service == "ssm" else made(calls, service, region)

    monkeypatch.setattr(Boto, "client", stubbed)
    with Stubber(systems_manager) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    with stubbed_ssm(monkeypatch) as stub:
        yield stub


def has_document(ssm: Stubber, text: str) -> None:
    asked = {"Name": NAME, "DocumentFormat": "JSON"}
    ssm.add_response("get_document", {"Name": NAME, "Content": text}, asked)


def has_preferences(ssm: Stubber, **inputs: object) -> None:
    content = {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs}
    has_document(ssm, json.dumps(content))


def asked_about(run: Run) -> dict[str, list[tuple[str, str]]]:
    return {
        one["capability"]: [(answer["action"], answer["resource"]) for answer in one["answers"]]
        for one in run.json["capabilities"][2:]
    }


def allow_all(account: Account) -> None:
    account.has_role()
    account.is_reachable(region="eu-west-1")
    account.allows("kms:Decrypt", resource=KEY)
    account.allows("s3:GetEncryptionConfiguration", resource="arn:aws:s3:::session-logs")
    sample = "session-0123456789abcdef0"
    account.allows("s3:PutObject", resource=f"arn:aws:s3:::session-logs/web/{sample}.log")
    logs = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:"
    account.allows("logs:DescribeLogGroups", resource=f"{logs}*")
    account.allows(*IN_GROUP, resource=f"{logs}/ssm/sessions:log-stream:{sample}")


@pytest.mark.parametrize("enforced", [True, False])
@pytest.mark.parametrize(
    "session_type", ["Standard_Stream", "InteractiveCommands", "NonInteractiveCommands"]
)
def test_what_the_document_says_is_asked(
    account: Account,
    ssm: Stubber,
    verify: Callable[..., Run],
    session_type: str,
    *,
    enforced: bool,
) -> None:
    inputs = OF_ALL | {"s3EncryptionEnabled": enforced}
    has_document(ssm, json.dumps({"sessionType": session_type, "inputs": inputs}))
    allow_all(account)

    run = verify(*ASKED)

    assert (run.status, run.err) == (0, "")
    assert {*asked_about(run)} == {"encrypt", "log-to-s3", "log-to-cloudwatch"}
    assert (run.json["document"], run.json["session_type"]) == (NAME, session_type)


@pytest.mark.parametrize("output", ["json", "table"])
def test_a_port_session_is_neither_encrypted_nor_logged(
    account: Account, ssm: Stubber, verify: Callable[..., Run], output: str
) -> None:
    has_document(ssm, json.dumps({"sessionType": "Port", "inputs": OF_ALL}))
    account.has_role()
    account.is_reachable(region="eu-west-1")

    run = verify(*ASKED[:-1], output)

    assert run.status == 0
    if output == "json":
        assert asked_about(run) == {}
        assert run.json["session_type"] == "Port"
    else:
        assert "Not asked: encrypt sessions, log to S3, log to CloudWatch." in run.words
        assert "the agent neither encrypts them with a key nor logs them" in run.words


# As Go's `strconv.ParseBool` parses the strings.
TRUE: Final = (True, "true", "True", "TRUE", "t", "T", "1")
FALSE: Final = (False, None, "", "false", "False", "FALSE", "f", "F", "0")
NEITHER: Final[tuple[object, ...]] = ("yes", "tRUE", " true", 0, 1, [], {})


@pytest.mark.parametrize(
    ("value", "enforced"),
    [
        *((value, True) for value in TRUE),
        *((value, False) for value in FALSE),
        ("{{ enforced }}", None),
    ],
)
def test_a_boolean_is_read_as_the_agent_reads_it(
    account: Account,
    ssm: Stubber,
    verify: Callable[..., Run],
    value: object,
    enforced: bool | None,  # noqa: FBT001 # of three values
) -> None:
    has_preferences(ssm, s3BucketName="session-logs", s3EncryptionEnabled=value)
    account.has_role()
    account.is_reachable(region="eu-west-1")
    account.answers(result("s3:GetEncryptionConfiguration", "implicitDeny"), resource=ANY)
    account.allows("s3:PutObject", resource=ANY)

    run = verify(*ASKED)

    assert run.status == 1
    (note,) = run.capability("log-to-s3")["notes"]
    ends = {
        True: "so it refuses each session",
        False: "which a bucket policy may refuse",
        None: "refuses each session if the session preferences enforce encrypted logs",
    }
    assert note.endswith(ends[enforced])


def test_a_missing_boolean_is_false(ssm: Stubber) -> None:
    has_preferences(ssm)

    document = read_document(AwsSession(None, REGION), NAME, HOME)

    assert document.enforces_s3_encryption is False


@pytest.mark.parametrize("session_type", ["Standard_Stream", "Port"])
@pytest.mark.parametrize(
    "name", ["s3EncryptionEnabled", "cloudWatchEncryptionEnabled", "runAsEnabled"]
)
@pytest.mark.parametrize("value", NEITHER, ids=str)
def test_a_boolean_that_the_agent_refuses_is_said(
    account: Account,
    ssm: Stubber,
    verify: Callable[..., Run],
    *,
    session_type: str,
    name: str,
    value: object,
) -> None:
    has_document(ssm, json.dumps({"sessionType": session_type, "inputs": {name: value}}))
    account.has_role()

    run = verify(*ASKED)

    assert run.status == 2
    assert f"has {value!r} for {name}" in run.err


@pytest.mark.parametrize("inputs", [{}, dict.fromkeys(OF_ALL, ""), {"s3KeyPrefix": "a/../b"}])
def test_what_the_document_leaves_empty_is_not_asked(
    account: Account, ssm: Stubber, verify: Callable[..., Run], inputs: dict[str, Any]
) -> None:
    has_preferences(ssm, **inputs)
    account.has_role()
    account.is_reachable(region="eu-west-1")

    run = verify(*ASKED)

    assert run.status == 0
    assert asked_about(run) == {}


def test_a_key_by_its_id_is_one_of_the_role_s_account(
    account: Account, ssm: Stubber, verify: Callable[..., Run]
) -> None:
    has_preferences(ssm, kmsKeyId=KEY.rpartition("/")[2])
    account.has_role()
    account.is_reachable(region="eu-west-1")
    account.allows("kms:Decrypt", resource=KEY)

    assert verify(*ASKED).status == 0


def test_a_key_by_an_alias_is_the_key_that_has_it(
    account: Account, ssm: Stubber, verify: Callable[..., Run]
) -> None:
    has_preferences(ssm, kmsKeyId="alias/sessions")
    account.has_role()
    alias = f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/sessions"
    key_id = KEY.rpartition("/")[2]
    account.kms.add_response("describe_key", {"KeyMetadata": {"KeyId": key_id}}, {"KeyId": alias})
    account.is_reachable(region="eu-west-1")
    account.allows("kms:Decrypt", resource=KEY)

    assert verify(*ASKED).status == 0


def test_a_role_that_lacks_what_the_document_needs_is_not_ready(
    account: Account, ssm: Stubber, verify: Callable[..., Run]
) -> None:
    has_preferences(ssm, kmsKeyId=KEY)
    account.has_role()
    account.is_reachable(region="eu-west-1")
    account.answers({"EvalActionName": "kms:Decrypt", "EvalDecision": "implicitDeny"}, resource=KEY)

    assert verify(*ASKED).status == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("schemaVersion: '1.0'", "is not a Session document"),
        ("[]", "is not a Session document"),
        ('{"sessionType": "Shell"}', "is not a Session document"),
        ('{"sessionType": ["Port"]}', "is not a Session document"),
        ('{"sessionType": "Port", "inputs": ["a"]}', "is not a Session document"),
        (
            '{"sessionType": "Standard_Stream", "inputs": {"kmsKeyId": "{{ key }}"}}',
            "has '{{ key }}' for kmsKeyId",
        ),
        (
            '{"sessionType": "Standard_Stream", "inputs": {"s3BucketName": 7}}',
            "has 7 for s3BucketName",
        ),
        (
            '{"sessionType": "Standard_Stream", "inputs": {"s3BucketName": "*"}}',
            "can't be asked about: '*' is not the name of an S3 bucket",
        ),
    ],
)
def test_a_document_that_can_not_be_asked_about_is_said(
    account: Account, ssm: Stubber, verify: Callable[..., Run], text: str, says: str
) -> None:
    account.has_role()
    has_document(ssm, text)

    run = verify(*ASKED)

    assert run.status == 2
    assert says in run.err
    assert NAME in run.err


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("InvalidDocument", f"there is no document '{NAME}' in eu-west-1"),
        ("AccessDeniedException", f"they need ssm:GetDocument on the document {NAME}"),
    ],
)
def test_a_document_that_is_not_given_is_said(
    account: Account, ssm: Stubber, verify: Callable[..., Run], code: str, says: str
) -> None:
    account.has_role()
    ssm.add_client_error("get_document", code)

    run = verify(*ASKED)

    assert run.status == 2
    assert says in run.err


@pytest.mark.parametrize(
    "given",
    [
        ("--key", KEY),
        ("--log-bucket", "session-logs"),
        ("--log-prefix", "web"),
        ("--log-group", "/ssm/sessions"),
    ],
)
def test_what_the_document_says_is_not_given_as_well(
    verify: Callable[..., Run], given: tuple[str, str]
) -> None:
    run = verify(*ASKED, *given)

    assert run.status == 2
    assert f"{given[0]} is given twice" in run.err


def test_the_key_of_a_bucket_that_the_document_does_not_have_is_said(
    account: Account, ssm: Stubber, verify: Callable[..., Run]
) -> None:
    account.has_role()
    has_preferences(ssm)

    run = verify(*ASKED, "--log-bucket-key", KEY)

    assert run.status == 2
    assert f"--log-bucket-key {KEY} has no bucket" in run.err


def test_systems_manager_is_asked_in_the_region() -> None:
    assert Boto(None, None).client("ssm", "eu-west-1").meta.region_name == "eu-west-1"


def is_of_this_app(chosen: Given) -> bool:
    kinds = (chosen.key, chosen.bucket, chosen.group)
    return any(kind is not None and ("owned" in kind or "L1" in kind) for kind in kinds)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
    deadline=None,
    max_examples=40,
)
@given(chosen=given_preferences(), narrowed=st.booleans())
def test_the_role_of_any_preferences_lacks_nothing_that_their_document_needs(
    ssm: Stubber, chosen: Given, *, narrowed: bool
) -> None:
    assume(not is_of_this_app(chosen))  # whose ARNs no template has
    stack = cdk.Stack(cdk.App(), "Stack", env=HERE)
    preferences = SessionPreferences(stack, "Preferences", **chosen.sources(stack), **chosen.others)
    permissions = SessionManagerPermissions(
        stack,
        "Permissions",
        role=existing_role(stack),
        preferences=preferences,
        allow_registration=True,
        decrypt_sessions_only=narrowed,
    )
    content = stack.resolve(preferences.node.default_child.content)  # type: ignore[union-attr]
    has_document(ssm, json.dumps(deployed(content)))
    granted = deployed(stack.resolve(permissions.policy.document))
    role = LiveRole(f"arn:aws:iam::{ACCOUNT}:role/web-server", None)

    said = read_document(AwsSession(None, REGION), NAME, HOME)

    key = said.key and LiveKey(said.key, said.key)
    if said.key and ":alias/" in said.key:
        prefix, _, _ = said.key.partition(":alias/")
        key = LiveKey(said.key, f"{prefix}:key/1234")
    uses = Uses(said, (key,) if key else ())
    for question in questions(role, uses, REGION):
        for need in question.needs:
            assert {answer(granted, need, action) for action in need.actions} == {Answer.ALLOWED}


def answer(granted: dict[str, Any], need: _needs.NeededStatement, action: str) -> Answer:
    """IAM's answer, which is allowed only if the request has the context of the need."""
    told = need.conditions or {}
    holding = [
        {part: value for part, value in statement.items() if part != "Condition"}
        for statement in granted["Statement"]
        if statement.get("Condition", {}).items() <= told.items()
    ]
    return decide(read({"Statement": holding}, "policy"), action, need.resource).answer
