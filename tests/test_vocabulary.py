"""One vocabulary: a name of a type means one thing, whichever wing it is in."""

import ast
from collections import Counter

from .conftest import ROOT


def test_no_two_types_of_the_package_share_a_name() -> None:
    """A leading underscore tells nothing apart: a reader looks for the word."""
    names = Counter(
        node.name.lstrip("_")
        for path in (ROOT / "session_manager_permissions").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, times in names.items() if times > 1] == []
