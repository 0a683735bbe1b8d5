"""The flags among the options: what each adds or takes away, and what they refuse."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from session_manager_permissions import (
    SessionManagerPermissions,
    SessionPreferences,
    session_manager_statements,
)
from tests.conftest import (
    HERE,
    OTHER_REGION,
    MakeApp,
    MakeStack,
    existing_key,
    existing_role,
    key_arn,
    role_arn,
    statements,
    synth,
)

if TYPE_CHECKING:
    import aws_cdk as cdk

FLAGS: Final = ("allow_registration", "check_log_encryption", "decrypt_sessions_only")
OF_A_SESSION: Final = {"Null": {"kms:EncryptionContext:aws:ssm:SessionId": "false"}}


def for_alias(name: str) -> dict[str, Any]:
    return {"ForAnyValue:StringEquals": {"kms:ResourceAliases": name}}


def permissions(stack: cdk.Stack, **options: Any) -> SessionManagerPermissions:  # noqa: ANN401
    return SessionManagerPermissions(stack, "Permissions", role=existing_role(stack), **options)


def conditions(stack: cdk.Stack) -> dict[str, object]:
    """Those of the statements on KMS keys, by Sid."""
    return {
        sid: statement.get("Condition")
        for sid, statement in statements(stack).items()
        if "kms:" in json.dumps(statement["Action"])
    }


def test_registration_is_a_statement_of_its_own(stack: cdk.Stack) -> None:
    permissions(stack, allow_registration=True)

    found = statements(stack)

    assert found.pop("SessionManagerRegistration") == {
        "Sid": "SessionManagerRegistration",
        "Effect": "Allow",
        "Action": "ssm:UpdateInstanceInformation",
        "Resource": "*",
    }
    assert set(found) == {"SessionManagerChannels", "SessionManagerLogEncryption"}


@pytest.mark.parametrize("options", [{}, {"allow_registration": False}])
def test_registration_is_off_by_default(stack: cdk.Stack, options: dict[str, bool]) -> None:
    permissions(stack, **options)

    assert "ssm:" not in json.dumps(statements(stack))


def test_check_of_the_logs_encryption_can_be_taken_away(stack: cdk.Stack) -> None:
    permissions(stack, check_log_encryption=False)

    assert set(statements(stack)) == {"SessionManagerChannels"}


@pytest.mark.parametrize("options", [{}, {"check_log_encryption": True}])
def test_check_of_the_logs_encryption_is_on_by_default(
    stack: cdk.Stack, options: dict[str, bool]
) -> None:
    permissions(stack, **options)

    assert statements(stack)["SessionManagerLogEncryption"] == {
        "Sid": "SessionManagerLogEncryption",
        "Effect": "Allow",
        "Action": "s3:GetEncryptionConfiguration",
        "Resource": "*",
    }


@pytest.mark.parametrize(("has_bucket", "check"), [(False, True), (True, False)])
def test_check_of_the_logs_encryption_is_as_given_beside_preferences(
    stack: cdk.Stack, *, has_bucket: bool, check: bool
) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Logs", "session-logs") if has_bucket else None
    found = SessionPreferences.from_document_name(
        stack, "Document", document_name="Sessions", log_bucket=bucket
    )

    permissions(stack, preferences=found, check_log_encryption=check)

    assert ("SessionManagerLogEncryption" in statements(stack)) == check


def test_key_decrypts_whatever_by_default(stack_here: cdk.Stack) -> None:
    permissions(stack_here, encryption_key=existing_key(stack_here), decrypt_sessions_only=False)

    assert conditions(stack_here) == {"SessionManagerDecrypt": None}


def test_key_decrypts_sessions_only(stack_here: cdk.Stack) -> None:
    permissions(stack_here, encryption_key=existing_key(stack_here), decrypt_sessions_only=True)

    assert statements(stack_here)["SessionManagerDecrypt"] == {
        "Sid": "SessionManagerDecrypt",
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": key_arn(),
        "Condition": OF_A_SESSION,
    }


def test_sessions_only_leaves_the_context_s_other_keys_and_values_free(
    stack_here: cdk.Stack,
) -> None:
    """The agent adds a TargetId, and sometimes a RandomChallenge: pinning them would deny it."""
    permissions(stack_here, encryption_key=existing_key(stack_here), decrypt_sessions_only=True)

    text = json.dumps(statements(stack_here))
    for pinned in ("TargetId", "RandomChallenge", "EncryptionContextKeys", "kms:ViaService"):
        assert pinned not in text


def test_key_behind_an_alias_decrypts_sessions_only(stack_here: cdk.Stack) -> None:
    alias = kms.Alias.from_alias_name(stack_here, "Alias", "alias/sessions")

    permissions(stack_here, encryption_key=alias, decrypt_sessions_only=True)

    assert list(conditions(stack_here).values()) == [for_alias("alias/sessions") | OF_A_SESSION]


def test_keys_added_later_decrypt_sessions_only_too(stack_here: cdk.Stack) -> None:
    added = permissions(stack_here, decrypt_sessions_only=True)

    added.add_encryption_key(existing_key(stack_here))
    added.add_encryption_key(existing_key(stack_here, "Far", region=OTHER_REGION))
    added.add_encryption_key(kms.Alias.from_alias_name(stack_here, "Alias", "alias/sessions"))

    keys, alias = conditions(stack_here).values()
    assert statements(stack_here)["SessionManagerDecrypt"]["Resource"] == [
        key_arn(),
        key_arn(OTHER_REGION),
    ]
    assert keys == OF_A_SESSION
    assert alias == for_alias("alias/sessions") | OF_A_SESSION


def test_sessions_only_without_a_key_grants_nothing_on_keys(stack_here: cdk.Stack) -> None:
    permissions(stack_here, decrypt_sessions_only=True)

    assert conditions(stack_here) == {}


def test_report_of_precreated_roles_has_the_options(
    make_app: MakeApp, make_stack: MakeStack
) -> None:
    app = make_app()
    iam.Role.customize_roles(app, use_precreated_roles={"Stack/Owned": "precreated"})
    stack = make_stack(scope=app, env=HERE)
    role = iam.Role(stack, "Owned", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    made = SessionManagerPermissions(
        stack,
        "Permissions",
        role=role,
        allow_registration=True,
        decrypt_sessions_only=True,
        encryption_key=existing_key(stack),
    )

    made.add_encryption_key(existing_key(stack, "Far", region=OTHER_REGION))

    (reported,) = json.loads((synth(stack) / "iam-policy-report.json").read_text())["roles"]
    found = reported["identityPolicyStatements"]
    assert "ssm:UpdateInstanceInformation" in [statement["Action"] for statement in found]
    assert [
        (statement["Resource"], statement["Condition"])
        for statement in found
        if statement["Action"] == "kms:Decrypt"
    ] == [(key_arn(), OF_A_SESSION), (key_arn(OTHER_REGION), OF_A_SESSION)]


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *itertools.product(FLAGS, ["true", "false", 0, 1, [True]]),
        # None is the default of check_log_encryption, which preferences decide.
        ("allow_registration", None),
        ("decrypt_sessions_only", None),
    ],
)
def test_flag_that_is_no_bool_is_a_type_error(stack: cdk.Stack, flag: str, value: object) -> None:
    is_refused(stack, rf"^{flag} must be a bool, got {type(value).__name__} ", {flag: value})


@pytest.mark.parametrize(
    "option", ["allow_registrations", "logBucket", "bucket", "role_name", "encryptionKey"]
)
def test_option_that_does_not_exist_is_a_type_error(stack: cdk.Stack, option: str) -> None:
    is_refused(stack, rf"\(\) got an unexpected keyword argument '{option}'", {option: None})


def is_refused(stack: cdk.Stack, says: str, options: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match=says):
        session_manager_statements(**options)
    with pytest.raises(TypeError, match=says):
        permissions(stack, **options)


@pytest.mark.parametrize("target", ["role", "instance_profile", "policy_name"])
def test_statements_alone_take_no_target(target: str) -> None:
    options: Any = {target: role_arn()}

    with pytest.raises(TypeError, match=f"'{target}'"):
        session_manager_statements(**options)


def test_refused_option_leaves_the_tree_as_it_was(stack: cdk.Stack) -> None:
    role = existing_role(stack)
    before = [child.node.path for child in stack.node.find_all()]

    with pytest.raises(ValueError, match="has no bucket"):
        SessionManagerPermissions(stack, "Permissions", role=role, log_prefix="sessions")

    assert [child.node.path for child in stack.node.find_all()] == before
