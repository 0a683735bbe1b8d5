"""`verify --document`: what the live Session document says is what the role is asked about."""

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
from .nodes import ALIAS, DOCUMENT, EVERYTHING, KEY, Question, World
from .running import Run, run

ASKED = ("verify", "--role", "web-server", "--document", DOCUMENT, "--output")


def account(inputs: dict[str, Any], session_type: object = "Standard_Stream") -> World:
    """An account whose Session document has these inputs and this session type."""
    return World(setting(document={"sessionType": session_type, "inputs": inputs}))


def asked_about(found: Run) -> dict[str, list[tuple[str, str]]]:
    return {
        one["capability"]: [(answer["action"], answer["resource"]) for answer in one["answers"]]
        for one in found.json["capabilities"][2:]
    }


LOGS: Final = "--log-bucket session-logs --log-prefix web --log-group /ssm/sessions"


@pytest.mark.parametrize(("inputs", "given"), [
    (EVERYTHING | {"s3KeyPrefix": "/web/"}, f"--key {KEY} {LOGS}"),
    ({"kmsKeyId": KEY.rpartition("/")[2]}, f"--key {KEY}"),  # of the role's account
    ({"kmsKeyId": "alias/sessions"}, f"--key {ALIAS}"),
    ({}, ""),
    (dict.fromkeys(EVERYTHING, ""), ""),
    ({"s3KeyPrefix": "a/../b"}, ""),
])  # fmt: skip
@pytest.mark.parametrize(
    "session_type", ["Standard_Stream", "InteractiveCommands", "NonInteractiveCommands"]
)
def test_its_inputs_count_as_given(inputs: dict[str, Any], given: str, session_type: str) -> None:
    found = run(account(inputs, session_type), *ASKED, "json")

    assert (found.status, found.err) == (0, "")
    alone = run(World(), *f"verify --role web-server --output json {given}".split())
    assert asked_about(found) == asked_about(alone)
    assert (found.json["document"], found.json["session_type"]) == (DOCUMENT, session_type)


def test_a_port_session_is_neither_encrypted_nor_logged() -> None:
    world = account(EVERYTHING, "Port")

    found, table = (run(world, *ASKED, output) for output in ("json", "table"))

    assert (found.status, asked_about(found), found.json["session_type"]) == (0, {}, "Port")
    assert "Not asked: encrypt sessions, log to S3, log to CloudWatch." in table.words
    assert "the agent neither encrypts them with a key nor logs them" in table.words


ENFORCED: Final = "s3EncryptionEnabled"
# As Go's `strconv.ParseBool` parses the strings.
TRUE: Final = (True, "true", "True", "TRUE", "t", "T", "1")
FALSE: Final = (False, None, "", "false", "False", "FALSE", "f", "F", "0")


@pytest.mark.parametrize(("said", "ends"), [
    *(({ENFORCED: value}, "so it refuses each session") for value in TRUE),
    *(({ENFORCED: value}, "which a bucket policy may refuse") for value in FALSE),
    ({}, "which a bucket policy may refuse"),
    ({ENFORCED: "{{ e }}"}, "each session if the session preferences enforce encrypted logs"),
])  # fmt: skip
def test_a_boolean_is_read_as_the_agent_reads_it(said: dict[str, object], ends: str) -> None:
    world = account({"s3BucketName": "session-logs", **said})
    world.denies.add("s3:GetEncryptionConfiguration")

    found = run(world, *ASKED, "json")

    assert found.status == (ends != "which a bucket policy may refuse")
    (note,) = found.capability("log-to-s3")["notes"]
    assert note.endswith(ends)


def is_of_this_app(chosen: Given) -> bool:
    kinds = (chosen.key, chosen.bucket, chosen.group)
    return any(kind is not None and ("owned" in kind or "L1" in kind) for kind in kinds)


@settings(suppress_health_check=[HealthCheck.filter_too_much], deadline=None, max_examples=40)
@given(chosen=given_preferences(), narrowed=st.booleans())
def test_the_role_lacks_nothing_that_the_document_needs(chosen: Given, *, narrowed: bool) -> None:
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
    """Whether the conditions of a statement hold: a key is present, or matches a pattern."""
    return all(
        any(fnmatchcase(value, one) for value in told.get(key, ()) for one in as_list(patterns))
        for operator, wanted in statement.get("Condition", {}).items()
        for key, patterns in (dict.fromkeys(wanted, "*") if operator == "Null" else wanted).items()
    )


def granting(policy: dict[str, Any]) -> Callable[[Question], dict[str, str]]:
    """IAM's decisions for a role that has this policy."""

    def decides(asked: Question) -> dict[str, str]:
        holding = [one | {"Condition": {}} for one in policy["Statement"] if holds(one, asked.told)]
        found = decide(read({"Statement": holding}, "policy"), asked.action, asked.resource)
        return {"EvalDecision": "allowed" if found.answer is Answer.ALLOWED else "implicitDeny"}

    return decides
