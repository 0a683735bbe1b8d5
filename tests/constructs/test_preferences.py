"""The Session document: each argument in it as AWS documents it, or refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_s3 as s3

from session_manager_permissions import (
    SessionManagerPermissions,
    SessionPreferences,
    session_manager_statements,
)
from tests.builders import deployed, in_partition, l1_bucket, l2_bucket
from tests.conftest import (
    ACCOUNT,
    REGION,
    MakeApp,
    MakeStack,
    existing_key,
    existing_role,
    key_arn,
    resources,
    template,
    warnings,
)
from tests.preference_options import (
    ALIAS_ARN,
    BUCKET,
    BUCKETS,
    GROUP,
    GROUPS,
    KEYS,
    UNENCRYPTED_GROUPS,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNT_DEFAULT: Final = "SSM-SessionManagerRunShell"


def preferences(stack: cdk.Stack, **arguments: Any) -> SessionPreferences:  # noqa: ANN401
    return SessionPreferences(stack, "Preferences", **arguments)


def document(stack: cdk.Stack) -> dict[str, Any]:
    """The properties of the one document in the stack's template."""
    (found,) = resources(stack, "AWS::SSM::Document").values()
    properties: dict[str, Any] = found["Properties"]
    return properties


def inputs(stack: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = document(stack)["Content"]["inputs"]
    return found


def refused(stack: cdk.Stack, error: type[Exception], **arguments: object) -> None:
    """The error names the first argument, and is raised before anything is made."""
    with pytest.raises(error, match=f"^{next(iter(arguments))} ") as found:
        preferences(stack, **arguments)
    assert found.type is error
    assert stack.node.try_find_child("Preferences") is None


# the document


def test_with_no_argument_nothing_is_turned_on(stack: cdk.Stack) -> None:
    preferences(stack, document_name="Acme-Sessions")

    assert len(template(stack)["Resources"]) == 1
    assert document(stack) == {
        "DocumentType": "Session",
        "Name": "Acme-Sessions",
        "UpdateMethod": "NewVersion",
        "Content": {
            "schemaVersion": "1.0",
            "description": "Session Manager preferences",
            "sessionType": "Standard_Stream",
            "inputs": {
                "s3BucketName": "",
                "s3KeyPrefix": "",
                "s3EncryptionEnabled": False,
                "cloudWatchLogGroupName": "",
                "cloudWatchEncryptionEnabled": False,
                "cloudWatchStreamingEnabled": False,
                "kmsKeyId": "",
                "runAsEnabled": False,
                "runAsDefaultUser": "",
                "shellProfile": {"linux": "", "windows": ""},
            },
        },
    }


def test_each_argument_is_in_its_input(stack_here: cdk.Stack) -> None:
    preferences(
        stack_here,
        encryption_key=existing_key(stack_here),
        log_bucket=BUCKETS["imported bucket"](stack_here),
        log_prefix="sessions",
        log_group=GROUPS["group by its name"](stack_here),
        stream_logs=False,
        enforce_s3_encryption=True,
        enforce_cloudwatch_encryption=True,
        idle_timeout=cdk.Duration.minutes(15),
        max_duration=cdk.Duration.hours(8),
        run_as_user="operator",
        linux_shell_profile="cd /",
        windows_shell_profile="date",
    )

    assert inputs(stack_here) == {
        "s3BucketName": BUCKET,
        "s3KeyPrefix": "sessions",
        "s3EncryptionEnabled": True,
        "cloudWatchLogGroupName": GROUP,
        "cloudWatchEncryptionEnabled": True,
        "cloudWatchStreamingEnabled": False,
        "kmsKeyId": key_arn(),
        "runAsEnabled": True,
        "runAsDefaultUser": "operator",
        "idleSessionTimeout": "15",
        "maxSessionDuration": "480",
        "shellProfile": {"linux": "cd /", "windows": "date"},
    }


IMPORTED: Final = "imported bucket"
NAMED: Final = "group by its name"


ENFORCED: Final[list[tuple[dict[str, Any], dict[str, Any]]]] = [
    ({"log_bucket": IMPORTED}, {"s3EncryptionEnabled": True}),
    ({"log_bucket": IMPORTED, "enforce_s3_encryption": False}, {"s3EncryptionEnabled": False}),
    ({"enforce_s3_encryption": True}, {"s3EncryptionEnabled": False}),
    ({"log_group": NAMED}, {"cloudWatchStreamingEnabled": True}),
    ({"log_group": NAMED}, {"cloudWatchEncryptionEnabled": False}),
    ({"log_group": NAMED, "stream_logs": False}, {"cloudWatchStreamingEnabled": False}),
    ({"stream_logs": True}, {"cloudWatchStreamingEnabled": False}),
    *(
        ({"log_group": kind, "enforce_cloudwatch_encryption": True}, {})
        for kind in GROUPS
        if kind not in UNENCRYPTED_GROUPS
    ),
    *(
        ({"log_bucket": IMPORTED, "log_prefix": prefix}, {"s3KeyPrefix": said})
        for prefix, said in (("/sessions/", "sessions"), ("a//b/", "a/b"), ("/", ""), ("", ""))
    ),
    ({"run_as_enabled": None}, {"runAsEnabled": False}),
    # the operator's tag names the user
    ({"run_as_enabled": True}, {"runAsEnabled": True, "runAsDefaultUser": ""}),
    ({"run_as_user": "operator"}, {"runAsEnabled": True}),
    ({"run_as_enabled": True, "run_as_user": "a"}, {"runAsDefaultUser": "a"}),
]


@pytest.mark.parametrize(("arguments", "said"), ENFORCED)
def test_what_is_enforced_and_turned_on(
    stack: cdk.Stack, arguments: dict[str, Any], said: dict[str, Any]
) -> None:
    kinds: dict[str, Callable[[cdk.Stack], object]] = {**BUCKETS, **GROUPS}
    made = {
        name: kinds[value](stack) if name in {"log_bucket", "log_group"} else value
        for name, value in arguments.items()
    }
    preferences(stack, **made)
    assert inputs(stack).items() >= said.items()


NAMES: Final[dict[str, object]] = {
    "owned bucket": {"Ref": "Bucket83908E77"},
    "L1 bucket": {"Ref": "Bucket"},
    **dict.fromkeys(("bucket with a key", "bucket by reference"), BUCKET),
    "owned group": {"Ref": "GroupC77FDACD"},
    "L1 group": {"Ref": "Group"},
    **dict.fromkeys(("group by its ARN", "group by reference"), GROUP),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_bucket_or_a_log_group_is_in_it_by_its_name(stack_here: cdk.Stack, kind: str) -> None:
    if kind in BUCKETS:
        preferences(stack_here, log_bucket=BUCKETS[kind](stack_here))
        assert inputs(stack_here)["s3BucketName"] == NAMES[kind]
    else:
        preferences(stack_here, log_group=GROUPS[kind](stack_here))
        assert inputs(stack_here)["cloudWatchLogGroupName"] == NAMES[kind]


# its name


def test_a_default_name_that_would_be_too_long_has_all_that_ssm_takes(
    make_stack: MakeStack,
) -> None:
    stack = make_stack("S" * 128)
    preferences(stack)

    assert len(document(stack)["Name"]) == 128


def test_the_default_name_is_unique_to_stack_and_construct(make_app: MakeApp) -> None:
    app, names = make_app(), []
    for stack in (cdk.Stack(app, "One"), cdk.Stack(app, "Two")):
        for name in ("First", "Second"):
            SessionPreferences(stack, name)
        found = resources(stack, "AWS::SSM::Document").values()
        names += [one["Properties"]["Name"] for one in found]

    of_one, of_two = names[:2], names[2:]
    assert of_one == ["One-First-DBE8B80D", "One-Second-61FEBA6C"]
    assert of_two == ["Two-First-CA9D3B20", "Two-Second-D36B27E7"]


@pytest.mark.parametrize("construct_id", ["P" * 300, "Préférences: all", "a/b"])
def test_the_default_name_is_one_that_systems_manager_takes(
    stack: cdk.Stack, construct_id: str
) -> None:
    SessionPreferences(stack, construct_id)

    assert re.fullmatch(r"[A-Za-z0-9_.-]{3,128}", document(stack)["Name"])


@pytest.mark.parametrize(
    "name",
    [
        *("aws-sessions", "amazonSessions", "amzn.sessions", "AWSEC2-Sessions", "AWSSupport-S"),
        ACCOUNT_DEFAULT,
    ],
)
def test_a_name_that_aws_keeps_for_itself_is_refused(stack: cdk.Stack, name: str) -> None:
    refused(stack, ValueError, document_name=name)


def test_a_default_name_that_aws_keeps_for_itself_is_refused(make_stack: MakeStack) -> None:
    stack = make_stack("aws-operations")

    with pytest.raises(ValueError, match=r"^document_name 'aws-operations-Preferences-.*another"):
        preferences(stack)

    preferences(make_stack("aws-operations"), document_name="Operations")


# times


@pytest.mark.parametrize(
    ("time", "minutes"), [(cdk.Duration.hours(1), "60"), (cdk.Duration.millis(60_000), "1")]
)
def test_a_time_may_be_given_in_any_unit(
    stack: cdk.Stack, time: cdk.Duration, minutes: str
) -> None:
    preferences(stack, idle_timeout=time, max_duration=cdk.Duration.days(1))

    found = inputs(stack)
    assert (found["idleSessionTimeout"], found["maxSessionDuration"]) == (minutes, "1440")


@pytest.mark.parametrize(
    ("argument", "minutes"),
    [("idle_timeout", 0), ("idle_timeout", 61), ("max_duration", 0), ("max_duration", 1441)],
)
def test_a_time_out_of_bounds_is_refused(stack: cdk.Stack, argument: str, minutes: int) -> None:
    refused(stack, ValueError, **{argument: cdk.Duration.minutes(minutes)})


def test_a_time_that_only_the_deployment_knows_is_let_through(stack: cdk.Stack) -> None:
    number = cdk.CfnParameter(stack, "Minutes", type="Number").value_as_number

    time = cdk.Duration.minutes(number)
    preferences(stack, idle_timeout=time, max_duration=time)

    found = inputs(stack)
    assert found["idleSessionTimeout"] == found["maxSessionDuration"] == {"Ref": "Minutes"}


# enforced encryption


TWICE: Final = "aws:kms:dsse"


ENCRYPTED_TWICE: Final[dict[str, Callable[[cdk.Stack], Any]]] = {
    "DSSE": l2_bucket(s3.BucketEncryption.DSSE),
    "DSSE_MANAGED": l2_bucket(s3.BucketEncryption.DSSE_MANAGED),
    "L1": lambda stack: l1_bucket(stack, algorithm=TWICE),
    "L2 of an L1": lambda stack: s3.Bucket.from_cfn_bucket(l1_bucket(stack, algorithm=TWICE)),
}
ENCRYPTED_OR_NOT_KNOWN: Final[dict[str, Callable[[cdk.Stack], Any]]] = {
    **BUCKETS,
    "KMS": l2_bucket(s3.BucketEncryption.KMS),
    "KMS_MANAGED": l2_bucket(s3.BucketEncryption.KMS_MANAGED),
    "S3_MANAGED": l2_bucket(s3.BucketEncryption.S3_MANAGED),
    "L1 with KMS": l1_bucket,
    "L1 with AES256": lambda stack: l1_bucket(stack, algorithm="AES256"),
    "L1 of a parameter": lambda stack: l1_bucket(
        stack, algorithm=cdk.CfnParameter(stack, "Algorithm").value_as_string
    ),
    "L1 of no rule": lambda stack: s3.CfnBucket(
        stack,
        "Bucket",
        bucket_encryption=s3.CfnBucket.BucketEncryptionProperty(
            server_side_encryption_configuration=[]
        ),
    ),
    "L1 known later": lambda stack: s3.CfnBucket(
        stack, "Bucket", bucket_encryption=cdk.Lazy.any(Later())
    ),
}


@jsii.implements(cdk.IStableAnyProducer)
class Later:
    """A value that CDK asks for at synthesis only."""

    def produce(self) -> object:
        return None


@pytest.mark.parametrize("kind", ENCRYPTED_TWICE)
def test_a_bucket_that_the_agent_does_not_take_for_encrypted_is_refused_where_that_is_enforced(
    stack: cdk.Stack, kind: str
) -> None:
    bucket = ENCRYPTED_TWICE[kind](stack)
    with pytest.raises(ValueError, match=f"^enforce_s3_encryption .* '{bucket.node.path}'"):
        preferences(stack, log_bucket=bucket)

    made = preferences(stack, log_bucket=bucket, enforce_s3_encryption=False)
    permitted(stack, preferences=made)

    assert inputs(stack)["s3EncryptionEnabled"] is False
    assert warnings(stack) == []


def permitted(stack: cdk.Stack, **options: Any) -> None:  # noqa: ANN401
    """Give the options to the construct and to the function."""
    SessionManagerPermissions(stack, "Permissions", role=existing_role(stack), **options)
    session_manager_statements(**options)


@pytest.mark.parametrize("way", ["log_bucket", "a document that exists", "both"])
def test_it_is_warned_of_once_where_it_is_not_known_what_is_enforced(
    stack: cdk.Stack, way: str
) -> None:
    bucket = ENCRYPTED_TWICE["L1"](stack)

    if way == "log_bucket":
        permitted(stack, log_bucket=bucket)
    else:
        found = SessionPreferences.from_document_name(stack, "Preferences", log_bucket=bucket)
        if way == "both":
            permitted(stack, preferences=found)

    (warning,) = warnings(stack)
    assert "[ack: session-manager-permissions:log-bucket-dsse]" in warning


@pytest.mark.parametrize("kind", ENCRYPTED_OR_NOT_KNOWN)
def test_a_bucket_that_may_be_encrypted_as_the_agent_wants_it_is_taken_without_a_word(
    stack: cdk.Stack, kind: str
) -> None:
    bucket = ENCRYPTED_OR_NOT_KNOWN[kind](stack)

    preferences(stack, log_bucket=bucket)
    SessionPreferences.from_document_name(stack, "Theirs", log_bucket=bucket)
    permitted(stack, log_bucket=bucket)

    assert inputs(stack)["s3EncryptionEnabled"] is True
    assert warnings(stack) == []


@pytest.mark.parametrize("kind", [None, *UNENCRYPTED_GROUPS])
def test_encryption_of_a_log_group_known_to_have_no_key_is_not_enforced(
    stack: cdk.Stack, kind: str | None
) -> None:
    group = GROUPS[kind](stack) if kind else None
    refused(stack, ValueError, enforce_cloudwatch_encryption=True, log_group=group)


# the key


ALIAS_HERE: Final = in_partition(f":kms:{REGION}:{ACCOUNT}:alias/sessions")
KEY_IDS: Final[dict[str, object]] = {
    "imported key": key_arn(),
    "key by reference": key_arn(),
    "owned key": {"Fn::GetAtt": ["Key961B73FD", "Arn"]},
    "L1 key": {"Fn::GetAtt": ["Key", "Arn"]},
    "owned alias": {"Fn::GetAtt": ["Key961B73FD", "Arn"]},
    "L1 alias": {"Fn::GetAtt": ["Key", "Arn"]},
    "alias by its ARN": ALIAS_ARN,
    "imported alias": ALIAS_HERE,
}


@pytest.mark.parametrize("kind", KEY_IDS)
def test_a_key_or_an_alias_is_in_it_by_an_arn(stack_here: cdk.Stack, kind: str) -> None:
    """KMS would look for the bare name of an alias in the account of the caller."""
    preferences(stack_here, encryption_key=KEYS[kind](stack_here))
    assert inputs(stack_here)["kmsKeyId"] == KEY_IDS[kind]


# who runs it


@pytest.mark.parametrize(
    "user",
    [
        *("ssm-user", "_", "first.last", "U" * 32, "jane@corp.example.com", "jane.doe-x_1@CORP"),
        *("1234567@corp.example.com", "u" * 64 + "@c.net", "root@corp.example.com"),
    ],
)
def test_a_user_is_the_one_sessions_run_as(stack: cdk.Stack, user: str) -> None:
    preferences(stack, run_as_user=user)

    found = inputs(stack)
    assert (found["runAsEnabled"], found["runAsDefaultUser"]) == (True, user)
    assert ["run-as-ssm-user" in text for text in warnings(stack)] == [True] * (user == "ssm-user")


@pytest.mark.parametrize(
    "user",
    [
        *("root", "", "1user", "-user", "u" * 33, "some user", "user\n", "user;id", "DOMAIN\\user"),
        *("é", "@corp.example.com", "user@", "user@corp@example.com", "user@corp_example"),
        *("user@corp.example.com;id", "some user@corp.example.com", "-user@corp.example.com"),
        "u" * 65 + "@corp.example.com",
    ],
)
def test_what_is_no_unix_user_is_refused(stack: cdk.Stack, user: str) -> None:
    refused(stack, ValueError, run_as_user=user)


# shell profiles


@pytest.mark.parametrize(
    ("linux", "windows"),
    [
        ("export PS1='\\u@\\h $ '\ncd \"$HOME\"\n", 'Write-Host "`t$env:USER"'),
        ("{ ssm } ${AWS::Region} *", "\u2028\x00\N{PILE OF POO}"),
    ],
)
def test_shell_profiles_are_in_it_as_they_are(stack: cdk.Stack, linux: str, windows: str) -> None:
    preferences(stack, linux_shell_profile=linux, windows_shell_profile=windows)
    assert inputs(stack)["shellProfile"] == {"linux": linux, "windows": windows}


@pytest.mark.parametrize("argument", ["linux_shell_profile", "windows_shell_profile"])
@pytest.mark.parametrize(
    "profile",
    ["docker ps --format '{{.Names}}'", "{{resolve:secretsmanager:x}}", "echo {{ x }}", "\ud800"],
)
def test_what_others_take_for_theirs_in_a_shell_profile_is_refused(
    stack: cdk.Stack, argument: str, profile: str
) -> None:
    refused(stack, ValueError, **{argument: profile})


def test_other_braces_and_a_reference_that_is_meant_stay_in_a_shell_profile(
    stack: cdk.Stack,
) -> None:
    meant = cdk.CfnDynamicReference(cdk.CfnDynamicReferenceService.SSM, "/profile").to_string()
    preferences(stack, linux_shell_profile="f(){{ :; }; }", windows_shell_profile=meant)

    profile = {"linux": "f(){{ :; }; }", "windows": "{{resolve:ssm:/profile}}"}
    assert inputs(stack)["shellProfile"] == profile


# types


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        *((name, ["yes", 1, None]) for name in ("stream_logs", "enforce_s3_encryption")),
        ("enforce_cloudwatch_encryption", ["false"]),
        *((name, [20, "1h"]) for name in ("idle_timeout", "max_duration")),
        ("run_as_enabled", ["true"]),
    ],
)
def test_an_argument_of_the_wrong_type_is_a_type_error(
    stack: cdk.Stack, argument: str, values: list[object]
) -> None:
    for value in values:
        refused(stack, TypeError, **{argument: value})


# what it says


def test_what_it_says_can_be_had_and_is_none_where_it_says_nothing(stack_here: cdk.Stack) -> None:
    given_as: dict[str, Any] = {
        "encryption_key": existing_key(stack_here),
        "log_bucket": BUCKETS["imported bucket"](stack_here),
        "log_prefix": "/sessions/",
        "log_group": GROUPS["group by its name"](stack_here),
    }
    made = preferences(stack_here, **given_as)
    existing = SessionPreferences.from_document_name(stack_here, "Existing", **given_as)

    given_as["log_prefix"] = "sessions"
    for found in (made, existing):
        assert [getattr(found, name) for name in given_as] == [*given_as.values()]
    exists = SessionPreferences.from_document_name(stack_here, "ThatExists")
    for found in (SessionPreferences(stack_here, "Without"), exists):
        assert {getattr(found, name) for name in given_as} == {None}


def test_its_name_and_arn_are_those_of_the_document(stack_here: cdk.Stack) -> None:
    existing = SessionPreferences.from_document_name(stack_here, "Existing")
    assert isinstance(existing, SessionPreferences)
    assert existing.node.path == "Stack/Existing"
    assert resources(stack_here, "AWS::SSM::Document") == {}
    made = preferences(stack_here, document_name="Acme-Sessions")
    (logical_id,) = resources(stack_here, "AWS::SSM::Document")
    assert stack_here.resolve(made.document_name) == {"Ref": logical_id}
    assert existing.document_name == ACCOUNT_DEFAULT

    for found, name in ((existing, ACCOUNT_DEFAULT), (made, "Acme-Sessions")):
        arn = deployed(stack_here.resolve(found.document_arn), **{logical_id: "Acme-Sessions"})
        assert arn == f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/{name}"
