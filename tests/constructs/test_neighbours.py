"""The comparison with the neighbours, against what each of them really grants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import pytest
from aws_managed_policies import policies

from session_manager_permissions import session_manager_statements
from tests.builders import as_list, deployed
from tests.conftest import HERE, ROOT, key_arn
from tests.scenarios import BUCKET, BUCKET_KEY, GROUP_ARN, PREFIX, SCENARIOS
from tests.test_readme import code, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PAGE: Final = (ROOT / "docs/statements.md").read_text(encoding="utf-8")
RESOURCES: Final = {
    "*": "`*`",
    key_arn(): "the session's key",
    BUCKET_KEY: "the bucket's key",
    GROUP_ARN: "the group",
    f"{GROUP_ARN}:*": "the group's streams",
    f"arn:aws:s3:::{BUCKET}": "the bucket",
    f"arn:aws:s3:::{BUCKET}/*": "all objects of the bucket",
    f"arn:aws:s3:::{BUCKET}/{PREFIX}/*": "the objects below the prefix",
}
"""What the page calls each resource."""

MANAGED_INSTANCE_CORE: Final[list[dict[str, Any]]] = policies()["AmazonSSMManagedInstanceCore"][
    "Statement"
]


def granted(statements: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """The resources of each action, in the page's words."""
    found: dict[str, set[str]] = {}
    for statement in statements:
        for action in as_list(statement["Action"]):
            resources = {
                RESOURCES[deployed(resource)] for resource in as_list(statement["Resource"])
            }
            found.setdefault(action, set()).update(resources)
    return found


def this_library() -> list[dict[str, Any]]:
    stack = cdk.Stack(cdk.App(), "Stack", env=HERE)
    statements = session_manager_statements(**SCENARIOS["all"](stack))
    return [statement.to_statement_json() for statement in statements]


NEIGHBOURS: Final[dict[str, Callable[[], list[dict[str, Any]]]]] = {
    "this library": this_library,
    "AmazonSSMManagedInstanceCore": lambda: MANAGED_INSTANCE_CORE,
}


@pytest.mark.parametrize(("column", "name"), [*enumerate(NEIGHBOURS, 1)])
def test_the_comparison_says_what_is_granted(column: int, name: str) -> None:
    said = {
        action: set(row[column].split(", "))
        for row in table("action", PAGE)
        for action in code(row[0])
        if row[column] != "no"
    }

    assert said == granted(NEIGHBOURS[name]())
