"""docs/preferences.md against reality: its snippets run, its tables are complete."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Final

import pytest

from session_manager_permissions import SessionPreferences

from .conftest import ROOT
from .test_readme import Synthesis, code

if TYPE_CHECKING:
    from pathlib import Path

PAGE: Final = ROOT / "docs" / "preferences.md"
TEXT: Final = PAGE.read_text(encoding="utf-8")


def snippets() -> list[tuple[int, str]]:
    """The line and the text of each block of Python, also of those within a list."""
    fences = re.finditer(r"^( *)```python\n(.*?)^\1```$", TEXT, re.MULTILINE | re.DOTALL)
    return [(TEXT.count("\n", 0, fence.start()) + 1, textwrap.dedent(fence[2])) for fence in fences]


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
    documents = synthesis.resources("AWS::SSM::Document")
    assert len(documents) == snippet.count("SessionPreferences(")
    assert synthesis.warnings() == set()


def test_there_is_a_snippet_of_each_way() -> None:
    text = "".join(snippet for _, snippet in snippets())

    assert len(snippets()) == 3
    for way in ("SessionPreferences(", "from_document_name(", "preferences=", "PrincipalTag"):
        assert way in text


def test_the_public_members_are_named() -> None:
    prose = re.sub(r"^ *```.*?^ *```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    members = {name for name in vars(SessionPreferences) if not name.startswith("_")}

    assert {"from_document_name", "grant_start_session", "document_arn"} <= members
    assert members <= set(code(prose))
