"""`docs/statements.md` against what is synthesized."""

from __future__ import annotations

import json
import re
from typing import Any

import aws_cdk as cdk
import pytest

from session_manager_permissions import session_manager_statements

from .builders import deployed
from .conftest import HERE, ROOT
from .scenarios import SCENARIOS

PAGE = (ROOT / "docs/statements.md").read_text(encoding="utf-8")


def shown() -> dict[str, list[dict[str, Any]]]:
    """The statements under each heading."""
    found = re.findall(r"^## (.*)\n(?:.*\n)*?```json\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)
    return {heading.replace("`", "").lower(): json.loads(text) for heading, text in found}


def written(scenario: str) -> list[dict[str, Any]]:
    """The statements in a stack of a known account and region."""
    stack = cdk.Stack(cdk.App(), "Stack", env=HERE)
    statements = session_manager_statements(**SCENARIOS[scenario](stack))
    found = stack.resolve([each.to_statement_json() for each in statements])
    statements_json: list[dict[str, Any]] = deployed(found)
    return statements_json


def test_every_scenario_is_shown() -> None:
    assert list(shown()) == list(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_statements_shown_are_those_that_the_option_changes(scenario: str) -> None:
    default = [] if scenario in {"nothing", "all"} else written("nothing")

    assert shown()[scenario] == [each for each in written(scenario) if each not in default]
