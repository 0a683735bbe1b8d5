"""The Session document: each argument in it as AWS documents it, or refused; and what it grants."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from hypothesis import example, given, settings
from hypothesis import strategies as st

from session_manager_permissions import (
    SessionManagerPermissions,
    SessionPreferences,
    session_manager_statements,
)
from tests.builders import made
from tests.conftest import BY_CHANCE, MakeApp
from tests.keys import existing_key, l1_alias, l1_bucket, l2_bucket
from tests.places import ACCOUNT, HERE, REGION, key_arn
from tests.preference_options import (
    BUCKETS,
    GROUP,
    GROUPS,
    KEYS,
    UNENCRYPTED_GROUPS,
    Given,
    given_preferences,
)
from tests.reading import only, policy, resources, template, warned, warnings
from tests.roles import existing_role
from tests.scenarios import ALIAS_ARN, BUCKET
from tests.templates import deployed, in_partition, parameter

ACCOUNT_DEFAULT: Final = "SSM-SessionManagerRunShell"


def preferences(stack: cdk.Stack, **arguments: Any) -> SessionPreferences:  # noqa: ANN401
    return SessionPreferences(stack, "Preferences", **arguments)


def document(stack: cdk.Stack) -> dict[str, Any]:
    """The properties of the one document in the stack's template."""
    return only(stack, "AWS::SSM::Document")


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

NOTHING: Final = {
    "s3BucketName": "", "s3KeyPrefix": "", "s3EncryptionEnabled": False,
    "cloudWatchLogGroupName": "", "cloudWatchEncryptionEnabled": False,
    "cloudWatchStreamingEnabled": False, "kmsKeyId": "", "runAsEnabled": False,
    "runAsDefaultUser": "", "shellProfile": {"linux": "", "windows": ""},
}  # fmt: skip


def test_with_no_argument_nothing_is_turned_on(stack: cdk.Stack) -> None:
    preferences(stack, document_name="Acme-Sessions")

    assert len(template(stack)["Resources"]) == 1
    assert document(stack) == {
        "DocumentType": "Session", "Name": "Acme-Sessions", "UpdateMethod": "NewVersion",
        "Content": {"schemaVersion": "1.0", "description": "Session Manager preferences",
            "sessionType": "Standard_Stream", "inputs": NOTHING},
    }  # fmt: skip


def minutes_of_a_parameter(stack: cdk.Stack) -> cdk.Duration:
    return cdk.Duration.minutes(cdk.CfnParameter(stack, "Minutes", type="Number").value_as_number)


IMPORTED: Final = BUCKETS["imported bucket"]
NAMED: Final = GROUPS["group by its name"]
IN_S3: Final = {"s3BucketName": BUCKET, "s3EncryptionEnabled": True}
IN_LOGS: Final = {"cloudWatchLogGroupName": GROUP, "cloudWatchStreamingEnabled": True}
BUCKET_NAMES: Final[dict[str, object]] = {
    **dict.fromkeys(BUCKETS, BUCKET),
    "owned bucket": {"Ref": "Bucket83908E77"},
    "L1 bucket": {"Ref": "Bucket"},
}
GROUP_NAMES: Final[dict[str, object]] = {
    **dict.fromkeys(GROUPS, GROUP),
    "owned group": {"Ref": "GroupC77FDACD"},
    "owned group with a key": {"Ref": "GroupC77FDACD"},
    "L1 group": {"Ref": "Group"},
    "L1 group with a key": {"Ref": "Group"},
}
# KMS would look for the bare name of an alias in the account of the caller.
KEY_IDS: Final[dict[str, object]] = {
    "imported key": key_arn(), "key by reference": key_arn(),
    "owned key": {"Fn::GetAtt": ["Key961B73FD", "Arn"]},
    "owned alias": {"Fn::GetAtt": ["Key961B73FD", "Arn"]}, "L1 key": {"Fn::GetAtt": ["Key", "Arn"]},
    "L1 alias": {"Fn::GetAtt": ["Key", "Arn"]}, "alias by its ARN": ALIAS_ARN,
    "imported alias": in_partition(f":kms:{REGION}:{ACCOUNT}:alias/sessions"),
}  # fmt: skip
TIMES: Final = {"idle_timeout": "idleSessionTimeout", "max_duration": "maxSessionDuration"}
SAID: Final[list[tuple[dict[str, Any], dict[str, Any]]]] = [
    # what is enforced and turned on
    ({"log_bucket": IMPORTED, "enforce_s3_encryption": True}, IN_S3),
    ({"log_bucket": IMPORTED, "enforce_s3_encryption": False}, {"s3BucketName": BUCKET}),
    ({"enforce_s3_encryption": True}, {}),
    ({"log_group": NAMED, "stream_logs": False}, {"cloudWatchLogGroupName": GROUP}),
    ({"stream_logs": True}, {}),
    *(({"log_bucket": IMPORTED, "log_prefix": prefix}, {**IN_S3, "s3KeyPrefix": said})
      for prefix, said in (("/sessions/", "sessions"), ("a//b/", "a/b"), ("/", ""), ("", ""))),
    # names and ARNs
    *(({"log_bucket": BUCKETS[kind]}, {**IN_S3, "s3BucketName": name})
      for kind, name in BUCKET_NAMES.items()),
    *(({"log_group": GROUPS[kind]}, {**IN_LOGS, "cloudWatchLogGroupName": name})
      for kind, name in GROUP_NAMES.items()),
    *(({"log_group": GROUPS[kind], "enforce_cloudwatch_encryption": True},
       {**IN_LOGS, "cloudWatchLogGroupName": name, "cloudWatchEncryptionEnabled": True})
      for kind, name in GROUP_NAMES.items() if kind not in UNENCRYPTED_GROUPS),
    *(({"encryption_key": KEYS[kind]}, {"kmsKeyId": said}) for kind, said in KEY_IDS.items()),
    ({"encryption_key": lambda s: l1_alias(s, parameter(s))},
     {"kmsKeyId": KEY_IDS["imported alias"]}),
    # times, in any unit
    ({"idle_timeout": cdk.Duration.hours(1)}, {"idleSessionTimeout": "60"}),
    ({"idle_timeout": cdk.Duration.millis(60_000)}, {"idleSessionTimeout": "1"}),
    ({"idle_timeout": cdk.Duration.minutes(15)}, {"idleSessionTimeout": "15"}),
    ({"max_duration": cdk.Duration.hours(8)}, {"maxSessionDuration": "480"}),
    ({"max_duration": cdk.Duration.days(1)}, {"maxSessionDuration": "1440"}),
    *(({name: minutes_of_a_parameter}, {said: {"Ref": "Minutes"}}) for name, said in TIMES.items()),
    # who runs it
    ({"run_as_enabled": None}, {}),
    ({"run_as_enabled": False}, {}),
    ({"run_as_enabled": True}, {"runAsEnabled": True}),  # the operator's tag names the user
    ({"run_as_enabled": True, "run_as_user": "a"}, {"runAsEnabled": True, "runAsDefaultUser": "a"}),
    *(({"run_as_user": user}, {"runAsEnabled": True, "runAsDefaultUser": user})
      for user in (
          *("ssm-user", "_", "first.last", "U" * 32, "jane@corp.example.com"),
          *("jane.doe-x_1@CORP", "1234567@corp.example.com", "u" * 64 + "@c.net"),
          "root@corp.example.com",
      )),
    # shell profiles
    *(({"linux_shell_profile": linux, "windows_shell_profile": windows},
       {"shellProfile": {"linux": linux, "windows": windows}})
      for linux, windows in (
          ("export PS1='\\u@\\h $ '\ncd \"$HOME\"\n", 'Write-Host "`t$env:USER"'),
          ("{ ssm } ${AWS::Region} *", "\u2028\x00\N{PILE OF POO}"),
          ("f(){{ :; }; }", ""),
      )),
    ({"linux_shell_profile": lambda _: cdk.CfnDynamicReference(
        cdk.CfnDynamicReferenceService.SSM, "/profile").to_string()},
     {"shellProfile": {"linux": "{{resolve:ssm:/profile}}", "windows": ""}}),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), SAID)
def test_what_is_given_is_in_its_inputs(
    stack_here: cdk.Stack, arguments: dict[str, Any], said: dict[str, Any]
) -> None:
    preferences(stack_here, **made(stack_here, arguments))
    assert inputs(stack_here) == {**NOTHING, **said}
    is_ssm_user = arguments.get("run_as_user") == "ssm-user"
    assert warned(stack_here) == ["run-as-ssm-user"] * is_ssm_user


# its name


def test_the_default_name_is_unique_to_stack_and_construct(make_app: MakeApp) -> None:
    app, names = make_app(), []
    for stack in (cdk.Stack(app, "One"), cdk.Stack(app, "Two")):
        for name in ("First", "Second"):
            SessionPreferences(stack, name)
        found = resources(stack, "AWS::SSM::Document").values()
        names += [one["Properties"]["Name"] for one in found]

    assert names[:2] == ["One-First-DBE8B80D", "One-Second-61FEBA6C"]
    assert names[2:] == ["Two-First-CA9D3B20", "Two-Second-D36B27E7"]


@pytest.mark.parametrize(("name", "least"), [("P" * 300, 128), ("Préférences: all", 3), ("a/b", 3)])
def test_the_default_name_is_one_that_ssm_takes(stack: cdk.Stack, name: str, least: int) -> None:
    SessionPreferences(stack, name)

    assert re.fullmatch(rf"[A-Za-z0-9_.-]{{{least},128}}", document(stack)["Name"])


def test_a_default_name_that_aws_keeps_for_itself_is_refused(make_app: MakeApp) -> None:
    stack = cdk.Stack(make_app(), "aws-operations")

    with pytest.raises(ValueError, match=r"^document_name 'aws-operations-Preferences-.*another"):
        preferences(stack)

    preferences(cdk.Stack(make_app(), "aws-operations"), document_name="Operations")


# enforced encryption


TWICE: Final = "aws:kms:dsse"


ENCRYPTED_TWICE: Final[dict[str, Callable[[cdk.Stack], Any]]] = {
    "DSSE": l2_bucket(s3.BucketEncryption.DSSE),
    "DSSE_MANAGED": l2_bucket(s3.BucketEncryption.DSSE_MANAGED),
    "L1": lambda s: l1_bucket(s, algorithm=TWICE),
    "L2 of an L1": lambda s: s3.Bucket.from_cfn_bucket(l1_bucket(s, algorithm=TWICE)),
}
ENCRYPTED_OR_NOT_KNOWN: Final[dict[str, Callable[[cdk.Stack], Any]]] = {
    **BUCKETS,
    "KMS": l2_bucket(s3.BucketEncryption.KMS),
    "KMS_MANAGED": l2_bucket(s3.BucketEncryption.KMS_MANAGED),
    "S3_MANAGED": l2_bucket(s3.BucketEncryption.S3_MANAGED),
    "L1 with KMS": l1_bucket,
    "L1 with AES256": lambda s: l1_bucket(s, algorithm="AES256"),
    "L1 of a parameter": lambda s: l1_bucket(s, algorithm=parameter(s)),
    "L1 of no rule": lambda s: s3.CfnBucket(s, "Bucket",
        bucket_encryption=s3.CfnBucket.BucketEncryptionProperty(
            server_side_encryption_configuration=[])),
    "L1 known later": lambda s: s3.CfnBucket(s, "Bucket", bucket_encryption=cdk.Lazy.any(Later())),
}  # fmt: skip


@jsii.implements(cdk.IStableAnyProducer)
class Later:
    """A value that CDK asks for only at synthesis."""

    def produce(self) -> object:
        return None


@pytest.mark.parametrize("kind", ENCRYPTED_TWICE)
def test_a_bucket_encrypted_twice_is_refused_if_enforced(stack: cdk.Stack, kind: str) -> None:
    bucket = ENCRYPTED_TWICE[kind](stack)
    with pytest.raises(ValueError, match=f"^enforce_s3_encryption .* '{bucket.node.path}'"):
        preferences(stack, log_bucket=bucket)

    permitted(stack, preferences=preferences(stack, log_bucket=bucket, enforce_s3_encryption=False))

    assert inputs(stack)["s3EncryptionEnabled"] is False
    assert warnings(stack) == []


def permitted(stack: cdk.Stack, **options: Any) -> None:  # noqa: ANN401
    """Give the options to the construct and to the function."""
    SessionManagerPermissions(stack, "Permissions", role=existing_role(stack), **options)
    session_manager_statements(**options)


@pytest.mark.parametrize("way", ["log_bucket", "a document that exists", "both"])
def test_it_is_warned_of_once_where_that_may_be_enforced(stack: cdk.Stack, way: str) -> None:
    bucket = ENCRYPTED_TWICE["L1"](stack)

    if way == "log_bucket":
        permitted(stack, log_bucket=bucket)
    else:
        found = SessionPreferences.from_document_name(stack, "Preferences", log_bucket=bucket)
        if way == "both":
            permitted(stack, preferences=found)

    assert warned(stack) == ["log-bucket-dsse"]


@pytest.mark.parametrize("kind", ENCRYPTED_OR_NOT_KNOWN)
def test_any_other_bucket_is_taken_without_a_word(stack: cdk.Stack, kind: str) -> None:
    bucket = ENCRYPTED_OR_NOT_KNOWN[kind](stack)

    preferences(stack, log_bucket=bucket)
    SessionPreferences.from_document_name(stack, "Theirs", log_bucket=bucket)
    permitted(stack, log_bucket=bucket)

    assert inputs(stack)["s3EncryptionEnabled"] is True
    assert warnings(stack) == []


@pytest.mark.parametrize("kind", [None, *UNENCRYPTED_GROUPS])
def test_encryption_without_a_key_is_not_enforced(stack: cdk.Stack, kind: str | None) -> None:
    group = GROUPS[kind](stack) if kind else None
    refused(stack, ValueError, enforce_cloudwatch_encryption=True, log_group=group)


# wrong arguments

WRONG_VALUES: Final[dict[str, Sequence[object]]] = {
    "document_name": (
        *("aws-sessions", "amazonSessions", "amzn.sessions", "AWSEC2-Sessions", "AWSSupport-S"),
        ACCOUNT_DEFAULT),
    "idle_timeout": [cdk.Duration.minutes(0), cdk.Duration.minutes(61)],
    "max_duration": [cdk.Duration.minutes(0), cdk.Duration.minutes(1441)],
    "run_as_user": (
        *("root", "", "1user", "-user", "u" * 33, "some user", "user\n", "user;id", "DOMAIN\\user"),
        *("é", "@corp.example.com", "user@", "user@corp@example.com", "user@corp_example"),
        *("user@corp.example.com;id", "some user@corp.example.com", "-user@corp.example.com"),
        "u" * 65 + "@corp.example.com",
    ),
    # what others would take for theirs
    **dict.fromkeys(("linux_shell_profile", "windows_shell_profile"),
        ("docker ps -f '{{.Names}}'", "{{resolve:secretsmanager:x}}", "echo {{ x }}", "\ud800")),
}  # fmt: skip
WRONG_TYPES: Final[dict[str, Sequence[object]]] = {
    **dict.fromkeys(("stream_logs", "enforce_s3_encryption"), ("yes", 1, None)),
    "enforce_cloudwatch_encryption": ["false"],
    **dict.fromkeys(("idle_timeout", "max_duration"), (20, "1h")),
    "run_as_enabled": ["true"],
}
WRONG: Final = [
    (argument, value, error)
    for error, wrong in ((ValueError, WRONG_VALUES), (TypeError, WRONG_TYPES))
    for argument, values in wrong.items()
    for value in values
]


@pytest.mark.parametrize(("argument", "value", "error"), WRONG)
def test_a_wrong_argument_is_refused(
    stack: cdk.Stack, argument: str, value: object, error: type[Exception]
) -> None:
    refused(stack, error, **{argument: value})


# what it says


def test_what_it_says_can_be_had_and_is_none_where_it_says_nothing(stack_here: cdk.Stack) -> None:
    given_as: dict[str, Any] = {
        "encryption_key": existing_key(stack_here),
        "log_bucket": BUCKETS["imported bucket"](stack_here),
        "log_prefix": "/sessions/",
        "log_group": GROUPS["group by its name"](stack_here),
    }
    new = preferences(stack_here, **given_as)
    existing = SessionPreferences.from_document_name(stack_here, "Existing", **given_as)

    given_as["log_prefix"] = "sessions"
    for found in (new, existing):
        assert [getattr(found, name) for name in given_as] == [*given_as.values()]
    exists = SessionPreferences.from_document_name(stack_here, "ThatExists")
    for found in (SessionPreferences(stack_here, "Without"), exists):
        assert {getattr(found, name) for name in given_as} == {None}


def test_its_name_and_arn_are_those_of_the_document(stack_here: cdk.Stack) -> None:
    existing = SessionPreferences.from_document_name(stack_here, "Existing")
    assert isinstance(existing, SessionPreferences)
    assert existing.node.path == "Stack/Existing"
    assert resources(stack_here, "AWS::SSM::Document") == {}
    new = preferences(stack_here, document_name="Acme-Sessions")
    (logical_id,) = resources(stack_here, "AWS::SSM::Document")
    assert stack_here.resolve(new.document_name) == {"Ref": logical_id}
    assert existing.document_name == ACCOUNT_DEFAULT

    for found, name in ((existing, ACCOUNT_DEFAULT), (new, "Acme-Sessions")):
        arn = deployed(stack_here.resolve(found.document_arn), **{logical_id: "Acme-Sessions"})
        assert arn == f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/{name}"
    of_aws = SessionPreferences.from_document_name(stack_here, "OfAws", "AWS-StartSSHSession")
    arn = deployed(stack_here.resolve(of_aws.document_arn))
    assert arn == f"arn:aws:ssm:{REGION}::document/AWS-StartSSHSession"


# what it says is what the instance's role gets, as if each option were given by hand


def of_kind(stack: cdk.Stack, kind: str, **arguments: Any) -> SessionPreferences:  # noqa: ANN401
    if kind == "made":
        return preferences(stack, **arguments)
    return SessionPreferences.from_document_name(stack, "Preferences", **arguments)


def granted(stack: cdk.Stack, name: str, **options: Any) -> list[object]:  # noqa: ANN401
    """The statements of the construct, and those of the function."""
    role = existing_role(stack, f"{name}Role")
    permissions = SessionManagerPermissions(stack, name, role=role, **options)
    alone = iam.PolicyDocument(statements=session_manager_statements(**options))
    return [stack.resolve(one) for one in (permissions.policy.document, alone)]


IN_A_DOCUMENT: Final = ("encryption_key", "log_bucket", "log_prefix", "log_group")
NONE: Final = Given(None, None, None, None, {})
FULL: Final = Given("imported alias", "bucket with a key", "sessions", "group by its name", {})
FLAGS: Final = st.fixed_dictionaries(
    {},
    optional={
        "allow_registration": st.booleans(),
        "check_log_encryption": st.booleans(),
        "decrypt_sessions_only": st.booleans(),
    },
)


@settings(BY_CHANCE, max_examples=60)
@given(chosen=given_preferences(), kind=st.sampled_from(["made", "exists"]), flags=FLAGS)
@example(chosen=NONE, kind="made", flags={"check_log_encryption": True})
@example(chosen=NONE, kind="exists", flags={})
@example(chosen=FULL, kind="made", flags={"check_log_encryption": False})
@example(chosen=FULL, kind="exists", flags={"decrypt_sessions_only": True})
@example(chosen=FULL._replace(others={"enforce_s3_encryption": False}), kind="made", flags={})
def test_any_preferences_grant_what_the_same_options_by_hand_grant(
    make_app: MakeApp, chosen: Given, kind: str, flags: dict[str, bool]
) -> None:
    stack = cdk.Stack(make_app(), "Stack", env=HERE)
    sources = chosen.sources(stack)
    others = chosen.others if kind == "made" else {}
    given_once = of_kind(stack, kind, **sources, **others)
    by_hand = {"check_log_encryption": chosen.bucket is not None, **sources, **flags}

    from_one_source = granted(stack, "FromOneSource", preferences=given_once, **flags)

    assert from_one_source == granted(stack, "ByHand", **by_hand)


@pytest.mark.parametrize("twice", IN_A_DOCUMENT)
def test_an_option_given_twice_is_refused(stack: cdk.Stack, twice: str) -> None:
    options = Given("imported key", "imported bucket", "", "group by its name", {}).sources(stack)

    with pytest.raises(ValueError, match=f"^{twice} is given twice"):
        session_manager_statements(preferences=of_kind(stack, "made"), **{twice: options[twice]})


def test_an_option_that_is_none_is_not_given(stack: cdk.Stack) -> None:
    sources = Given("imported key", "imported bucket", "", None, {}).sources(stack)
    found = of_kind(stack, "made", **sources)
    nothing: dict[str, Any] = dict.fromkeys(IN_A_DOCUMENT)

    made = session_manager_statements(preferences=found, check_log_encryption=False, **nothing)

    assert "SessionManagerDecrypt" in [statement.sid for statement in made]
    assert "s3:GetEncryptionConfiguration" not in str([one.actions for one in made])


def test_preferences_of_another_stack_make_an_import_of_what_it_owns(make_app: MakeApp) -> None:
    app = make_app()
    theirs, ours = cdk.Stack(app, "Theirs"), cdk.Stack(app, "Ours")
    found = of_kind(theirs, "made", encryption_key=KEYS["owned key"](theirs))

    SessionManagerPermissions(ours, "Permissions", role=existing_role(ours), preferences=found)

    assert policy(ours)["PolicyDocument"]["Statement"][-1]["Resource"] == {
        "Fn::ImportValue": "Theirs:ExportsOutputFnGetAttKey961B73FDArn5A860C43"
    }
