"""What others chose, written for a terminal, a shell and Python."""

import ast
import shlex
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from session_manager_permissions import _limits
from session_manager_permissions._quoting import in_python, in_shell, shown


@pytest.mark.parametrize(("text", "written"), [
    ("web server, \u540d\u524d \U0001f680 \u3000", "web server, \u540d\u524d \U0001f680 \u3000"),
    ("\x1b]0;a\x07", r"\u001b]0;a\u0007"),
    ("a\nCause: b\r\x85\u2028\u2029", r"a\u000aCause: b\u000d\u0085\u2028\u2029"),
    ("\u200b\u200e\u200f\u061c", r"\u200b\u200e\u200f\u061c"),
    ("\u202a\u202e\u2066\u2069\ufeff", r"\u202a\u202e\u2066\u2069\ufeff"),
    ("\ud800\U000e0041", r"\ud800\U000e0041"),
])  # fmt: skip
def test_a_terminal_obeys_nothing_of_a_text(text: str, written: str) -> None:
    assert shown(text) == written


@given(st.text(st.characters()))
def test_a_text_is_shown_in_one_line_and_once(text: str) -> None:
    found = shown(text)

    assert {unicodedata.category(one) for one in found}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
    assert shown(found) == found


@given(st.text(st.characters()))
@example("web$(touch P);'")
@example("--role")
@example("#1")
@example("a=b,c@d+e")
def test_a_value_is_one_word_of_a_command(text: str) -> None:
    for limit in (_limits.ROLE, _limits.LOG_GROUP, _limits.BUCKET):
        (word,) = shlex.split(f"{in_shell(text, limit.fault, 'NAME')} # a", comments=True)
        fits = limit.fits(text) and not text.startswith("-")
        assert word == (text if fits else "NAME")


@given(st.text(st.characters()))
@example('"')
@example("'")
@example("\\\"'")
@example('"), x("')
def test_a_value_is_one_literal_of_python(text: str) -> None:
    assert ast.literal_eval(in_python(text)) == text


def test_a_literal_is_written_as_code_is() -> None:
    assert in_python("session-logs") == '"session-logs"'
