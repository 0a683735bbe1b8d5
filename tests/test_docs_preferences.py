"""docs/preferences.md against reality: its snippets run, its tables are complete."""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from session_manager_permissions import SessionPreferences

from .conftest import HERE, ROOT, existing_key
from .constructs.test_preferences import violations
from .test_readme import Synthesis

if TYPE_CHECKING:
    from pathlib import Path

PAGE: Final = ROOT / "docs" / "preferences.md"
TEXT: Final = PAGE.read_text(encoding="utf-8")


def snippets() -> list[tuple[int, str]]:
    """The line and the text of each block of Python, also of those within a list."""
    fences = re.finditer(r"^( *)```python\n(.*?)^\1```$", TEXT, re.MULTILINE | re.DOTALL)
    return [(TEXT.count("\n", 0, fence.start()) + 1, textwrap.dedent(fence[2])) for fence in fences]


def table(first_header: str) -> list[list[str]]:
    """The cells of the one table whose first column has this header."""
    (rows,) = re.findall(rf"^\| {first_header} \|.*\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    return [row.strip("| ").split(" | ") for row in rows.splitlines()]


def code(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def resources(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [
        resource["Properties"]
        for template in folder.glob("cdk.out/*.template.json")
        for resource in json.loads(template.read_text(encoding="utf-8"))["Resources"].values()
        if resource["Type"] == kind
    ]


@pytest.mark.parametrize(
    "snippet", [pytest.param(text, id=f"line-{line}") for line, text in snippets()]
)
def test_each_snippet_grants_sessions_and_makes_no_warning(
    snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "snippet.py"
    script.write_text(snippet, encoding="utf-8")
    synthesis = Synthesis(tmp_path, monkeypatch)

    synthesis.run(script)

    sids = [
        statement.get("Sid", "")
        for policy in synthesis.policies()
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    assert [sid for sid in sids if sid.startswith("StartSessionInstances")]
    assert ("SessionManagerChannels" in sids) == ("SessionManagerPermissions(" in snippet)
    documents = resources(tmp_path, "AWS::SSM::Document")
    assert len(documents) == snippet.count("SessionPreferences(")
    for document in documents:
        assert violations(document["Content"]) == []
    assert synthesis.warnings() == set()


def test_there_is_a_snippet_of_each_way() -> None:
    text = "".join(snippet for _, snippet in snippets())

    assert len(snippets()) == 3
    for way in ("SessionPreferences(", "from_document_name(", "preferences=", "PrincipalTag"):
        assert way in text


def test_what_an_operators_policy_is_said_to_hold_is_what_it_holds() -> None:
    stack = cdk.Stack(cdk.App(), "Stack", env=HERE)
    operators = iam.ManagedPolicy(stack, "Operators")
    preferences = SessionPreferences.from_document_name(
        stack, "Preferences", encryption_key=existing_key(stack)
    )
    preferences.grant_start_session(
        operators,
        instance_tags={"team": "web"},
        allow_ssh=True,
        allow_port_forwarding=True,
        allow_interactive_commands=True,
        allow_remote_desktop=True,
        allow_console=True,
    )

    found = stack.resolve(operators.document)["Statement"]

    listed = [(code(sid), code(actions)) for sid, actions, *_ in table("Sid")]
    assert listed == [
        (
            [re.sub("[0-9a-f]{8}$", "…", statement["Sid"])] if "Sid" in statement else [],
            as_list(statement["Action"]),
        )
        for statement in found
    ]
    documents = json.dumps(found[1]["Resource"])
    for name in code(table("Sid")[1][2]):
        assert f"::document/{name}" in documents


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_the_public_members_are_named() -> None:
    prose = re.sub(r"^ *```.*?^ *```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    members = {name for name in vars(SessionPreferences) if not name.startswith("_")}

    assert {"from_document_name", "grant_start_session", "document_arn"} <= members
    assert members <= set(code(prose))
