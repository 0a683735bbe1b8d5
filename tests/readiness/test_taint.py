"""Each text of a template made hostile: what a finding says and suggests stays what it is."""

import ast
import io
import re
import shlex
import tokenize
import unicodedata
from itertools import product
from random import Random
from typing import Any, Final

import pytest

from tests.verify.test_taint import CASES, HOSTILE, OBEYED, Taint, run

from .reports import Check
from .test_what_findings_say import EXAMPLES

pytestmark = pytest.mark.untraced

TIMES: Final = 3
"""How often each text is made hostile."""
VERIFY: Final = re.compile(r"(session-manager-permissions verify --role )(.*)")


def masked(line: str, tainted: set[str]) -> str:
    """A line of a fix, with `NAME` for the name of a role, and for a literal that is one text."""
    line = VERIFY.sub(r"\1NAME", line)
    for token in tokenize.generate_tokens(io.StringIO(line).readline):
        if token.type == tokenize.STRING and ast.literal_eval(token.string) in tainted:
            line = line.replace(token.string, "NAME")
    return line


def lines(check: Check, *bodies: Any, tainted: set[str]) -> set[str]:  # noqa: ANN401 # of any shape
    """The lines of all fixes, masked."""
    return {
        masked(line, tainted)
        for one in check(*bodies, a="1", b="1").findings
        for line in one.fix.split("\n")
    }


@pytest.fixture(scope="module")
def untainted(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    check = Check(tmp_path_factory.mktemp("untainted"))
    return frozenset(one for of in EXAMPLES.values() for one in lines(check, *of, tainted=set()))


@pytest.mark.parametrize("name", EXAMPLES)
def test_texts_of_a_template_stay_texts(name: str, check: Check, untainted: frozenset[str]) -> None:
    bodies, draw, plain = EXAMPLES[name], Random(name), Taint()  # noqa: S311 # the same each time
    plain([*bodies])
    for path, hostile in product(plain.texts, draw.sample(HOSTILE, TIMES)):
        taint = Taint(path, end=hostile)
        found = check(*taint([*bodies]), a="1", b="1")
        for one in found.findings:
            text = f"{one.description}{one.fix}".replace("\n", "")
            assert "\n" not in one.description
            assert not [char for char in text if unicodedata.category(char) in OBEYED]
            for line in one.fix.split("\n"):
                if role := VERIFY.search(line):
                    (word,) = shlex.split(role[2], comments=True)
                    assert word in {"NAME", "web", *taint.tainted}
                line = masked(line, taint.tainted)  # noqa: PLW2901
                if line not in untainted:
                    harmless = Taint(path, end="x")
                    given = harmless([*bodies])
                    assert line in lines(check, *given, tainted=harmless.tainted)


def test_there_are_enough_cases() -> None:
    found = 0
    for bodies in EXAMPLES.values():
        plain = Taint()
        plain([*bodies])
        found += len(plain.texts) * TIMES
    for of in CASES.values():
        plain = Taint()
        run(of, plain)
        found += len(plain.texts)
    assert found >= 2000
