"""What preferences say is what the instance's role gets, as if each option were given by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from session_manager_permissions import (
    SessionManagerPermissions,
    SessionPreferences,
    session_manager_statements,
)

from .conftest import BY_CHANCE, HERE, MakeApp, existing_key, existing_role, policy
from .preference_options import KEYS, Given, given_preferences

if TYPE_CHECKING:
    from aws_cdk import aws_iam as iam

pytestmark = pytest.mark.untraced
KINDS: Final = ("made", "exists")
BY_ITSELF: Final = ("encryption_key", "log_bucket", "log_prefix", "log_group")


def preferences(stack: cdk.Stack, kind: str, **arguments: Any) -> SessionPreferences:  # noqa: ANN401
    if kind == "made":
        return SessionPreferences(stack, "Preferences", **arguments)
    return SessionPreferences.from_document_name(stack, "Preferences", **arguments)


def resolved(stack: cdk.Stack, statements: list[iam.PolicyStatement]) -> object:
    return stack.resolve([statement.to_statement_json() for statement in statements])


def granted(stack: cdk.Stack, name: str, **options: Any) -> tuple[object, object]:  # noqa: ANN401
    """The statements of the construct, and those of the function."""
    permissions = SessionManagerPermissions(
        stack, name, role=existing_role(stack, f"{name}Role"), **options
    )
    return (
        stack.resolve(permissions.policy.document)["Statement"],
        resolved(stack, session_manager_statements(**options)),
    )


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
@given(chosen=given_preferences(), kind=st.sampled_from(KINDS), flags=FLAGS)
@example(chosen=Given(None, None, None, None, {}), kind="made", flags={})
@example(chosen=Given(None, None, None, None, {}), kind="exists", flags={})
@example(chosen=FULL, kind="made", flags={"check_log_encryption": False})
@example(chosen=FULL, kind="exists", flags={"decrypt_sessions_only": True})
@example(chosen=FULL._replace(others={"enforce_s3_encryption": False}), kind="made", flags={})
def test_any_preferences_grant_what_the_same_options_by_hand_grant(
    make_app: MakeApp, chosen: Given, kind: str, flags: dict[str, bool]
) -> None:
    stack = cdk.Stack(make_app(), "Stack", env=HERE)
    sources = chosen.sources(stack)
    others = chosen.others if kind == "made" else {}
    given_once = preferences(stack, kind, **sources, **others)
    by_hand = {"check_log_encryption": chosen.bucket is not None, **sources, **flags}

    from_one_source = granted(stack, "FromOneSource", preferences=given_once, **flags)

    assert from_one_source == granted(stack, "ByHand", **by_hand)


@pytest.mark.parametrize("twice", BY_ITSELF)
def test_an_option_given_twice_is_refused(stack: cdk.Stack, twice: str) -> None:
    options = Given("imported key", "imported bucket", "", "group by its name", {}).sources(stack)

    with pytest.raises(ValueError, match=f"^{twice} is given twice"):
        session_manager_statements(
            preferences=preferences(stack, "made"), **{twice: options[twice]}
        )


def test_an_option_that_is_none_is_not_given(stack: cdk.Stack) -> None:
    found = preferences(stack, "made", encryption_key=existing_key(stack))
    nothing: dict[str, Any] = dict.fromkeys(BY_ITSELF)

    statements = session_manager_statements(preferences=found, **nothing)

    assert "SessionManagerDecrypt" in [statement.sid for statement in statements]


def test_preferences_of_another_stack_make_an_import_of_what_it_owns(make_app: MakeApp) -> None:
    app = make_app()
    theirs, ours = cdk.Stack(app, "Theirs"), cdk.Stack(app, "Ours")
    found = preferences(theirs, "made", encryption_key=KEYS["owned key"](theirs))

    SessionManagerPermissions(ours, "Permissions", role=existing_role(ours), preferences=found)

    statements = policy(ours)["PolicyDocument"]["Statement"]
    assert statements[-1]["Resource"] == {
        "Fn::ImportValue": "Theirs:ExportsOutputFnGetAttKey961B73FDArn5A860C43"
    }
