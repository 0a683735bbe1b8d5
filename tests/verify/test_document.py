"""`verify --document`: what the live Session document says is what the role is asked about."""

from __future__ import annotations

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Final

import aws_cdk as cdk
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from session_manager_permissions import SessionManagerPermissions, SessionPreferences
from session_manager_permissions._evaluation import Answer
from session_manager_permissions._readiness.policies import decide, read
from tests.places import HERE
from tests.preference_options import Given, given_preferences
from tests.roles import existing_role
from tests.templates import as_list, deployed

from .causes import having, setting
from .nodes import ACCOUNT, DOCUMENT, EVERYTHING, KEY, Question, World
from .running import Run, run

ASKED = ("verify", "--role", "web-server", "--document", DOCUMENT, "--output")


def account(inputs: dict[str, Any], session_type: object = "Standard_Stream") -> World:
    """An account whose document says this."""
    return World(setting(document={"sessionType": session_type, "inputs": inputs}))


def asked_about(found: Run) -> dict[str, list[tuple[str, str]]]:
    return {
        one["capability"]: [(answer["action"], answer["resource"]) for answer in one["answers"]]
        for one in found.json["capabilities"][2:]
    }


@pytest.mark.parametrize(
    "session_type", ["Standard_Stream", "InteractiveCommands", "NonInteractiveCommands"]
)
def test_what_the_document_says_is_asked(session_type: str) -> None:
    found = run(account(EVERYTHING | {"s3KeyPrefix": "/web/"}, session_type), *ASKED, "json")

    assert (found.status, found.err) == (0, "")
    logs = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:"
    stream = f"{logs}/ssm/sessions:log-stream:session-0123456789abcdef0"
    objects = "arn:aws:s3:::session-logs/web/session-0123456789abcdef0.log"
    assert asked_about(found) == {
        "encrypt": [("kms:Decrypt", KEY)],
        "log-to-s3": [
            ("s3:GetEncryptionConfiguration", "arn:aws:s3:::session-logs"),
            ("s3:PutObject", objects),
        ],
        "log-to-cloudwatch": [
            ("logs:DescribeLogGroups", f"{logs}*"),
            *(
                (f"logs:{action}", stream)
                for action in ("CreateLogStream", "DescribeLogStreams", "PutLogEvents")
            ),
        ],
    }
    assert (found.json["document"], found.json["session_type"]) == (DOCUMENT, session_type)


def test_a_port_session_is_neither_encrypted_nor_logged() -> None:
    world = account(EVERYTHING, "Port")

    found, table = (run(world, *ASKED, output) for output in ("json", "table"))

    assert (found.status, asked_about(found), found.json["session_type"]) == (0, {}, "Port")
    assert "Not asked: encrypt sessions, log to S3, log to CloudWatch." in table.words
    assert "the agent neither encrypts them with a key nor logs them" in table.words


# As Go's `strconv.ParseBool` parses the strings.
TRUE: Final = (True, "true", "True", "TRUE", "t", "T", "1")
FALSE: Final = (False, None, "", "false", "False", "FALSE", "f", "F", "0")


def enforcing(value: object) -> dict[str, object]:
    return {"s3EncryptionEnabled": value}


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        *((enforcing(value), "so it refuses each session") for value in TRUE),
        *((enforcing(value), "which a bucket policy may refuse") for value in FALSE),
        ({}, "which a bucket policy may refuse"),
        (
            enforcing("{{ enforced }}"),
            "each session if the session preferences enforce encrypted logs",
        ),
    ],
)
def test_a_boolean_is_read_as_the_agent_reads_it(said: dict[str, object], ends: str) -> None:
    world = account({"s3BucketName": "session-logs", **said})
    world.denies.add("s3:GetEncryptionConfiguration")

    found = run(world, *ASKED, "json")

    assert found.status == 1
    (note,) = found.capability("log-to-s3")["notes"]
    assert note.endswith(ends)


@pytest.mark.parametrize("inputs", [{}, dict.fromkeys(EVERYTHING, ""), {"s3KeyPrefix": "a/../b"}])
def test_what_the_document_leaves_empty_is_not_asked(inputs: dict[str, Any]) -> None:
    found = run(account(inputs), *ASKED, "json")

    assert (found.status, asked_about(found)) == (0, {})


@pytest.mark.parametrize("given", [KEY.rpartition("/")[2], "alias/sessions"])
def test_a_key_by_its_id_or_its_alias_is_one_of_the_role_s_account(given: str) -> None:
    found = run(account({"kmsKeyId": given}), *ASKED, "json")

    assert found.status == 0
    assert asked_about(found) == {"encrypt": [("kms:Decrypt", KEY)]}


def is_of_this_app(chosen: Given) -> bool:
    kinds = (chosen.key, chosen.bucket, chosen.group)
    return any(kind is not None and ("owned" in kind or "L1" in kind) for kind in kinds)


@settings(suppress_health_check=[HealthCheck.filter_too_much], deadline=None, max_examples=40)
@given(chosen=given_preferences(), narrowed=st.booleans())
def test_the_role_of_any_preferences_lacks_nothing_that_their_document_needs(
    chosen: Given, *, narrowed: bool
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
    world = World(
        having("ssm:get_document", {"Content": json.dumps(deployed(content))}),
        setting(decides=granting(deployed(stack.resolve(permissions.policy.document)))),
    )

    assert run(world, *ASKED, "json").status == 0


def holds(statement: dict[str, Any], told: dict[str, list[str]]) -> bool:
    """Whether its conditions hold: keys that are to be there, or that are like a pattern."""
    return all(
        any(fnmatchcase(value, one) for value in told.get(key, ()) for one in as_list(patterns))
        for operator, wanted in statement.get("Condition", {}).items()
        for key, patterns in (dict.fromkeys(wanted, "*") if operator == "Null" else wanted).items()
    )


def granting(policy: dict[str, Any]) -> Callable[[Question], dict[str, str]]:
    """What IAM answers a role with this policy."""

    def decides(asked: Question) -> dict[str, str]:
        holding = [one | {"Condition": {}} for one in policy["Statement"] if holds(one, asked.told)]
        found = decide(read({"Statement": holding}, "policy"), asked.action, asked.resource)
        return {"EvalDecision": "allowed" if found.answer is Answer.ALLOWED else "implicitDeny"}

    return decides
