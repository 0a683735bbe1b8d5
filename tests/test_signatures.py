"""Each option stands in the signatures, with its type and its default: editors show it."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final

import jedi
import pytest

from session_manager_permissions import (
    SessionManagerAccess,
    SessionManagerEndpoints,
    SessionManagerFleet,
    SessionManagerOptions,
    SessionManagerPermissions,
    session_manager_statements,
)

from .conftest import ROOT
from .language_server import shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CALLEES: Final[dict[str, Callable[..., Any]]] = {
    "session_manager_statements": session_manager_statements,
    "SessionManagerPermissions": SessionManagerPermissions.__init__,
    "SessionManagerFleet": SessionManagerFleet.__init__,
    "SessionManagerEndpoints": SessionManagerEndpoints.__init__,
    "SessionManagerAccess": SessionManagerAccess.__init__,
}


def options(name: str) -> dict[str, inspect.Parameter]:
    """The parameters of an option's name."""
    parameters = inspect.signature(CALLEES[name]).parameters
    return {key: one for key, one in parameters.items() if key in TYPES}


TYPES: Final = {
    key: one.__forward_arg__ for key, one in SessionManagerOptions.__annotations__.items()
}


@pytest.mark.parametrize("name", CALLEES)
def test_each_option_is_a_keyword_of_the_type_that_the_typed_dict_has(name: str) -> None:
    assert {key: one.annotation for key, one in options(name).items()} == TYPES
    assert {one.kind for one in options(name).values()} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", CALLEES)
def test_the_defaults_are_the_same_everywhere(name: str) -> None:
    flags = {"allow_registration": False, "decrypt_sessions_only": False}
    found = {key: one.default for key, one in options(name).items()}
    assert found == {**dict.fromkeys(TYPES), **flags}


@pytest.mark.parametrize("name", CALLEES)
def test_no_other_keyword_is_taken(name: str) -> None:
    parameters = inspect.signature(CALLEES[name]).parameters.values()
    assert [one for one in parameters if one.kind is one.VAR_KEYWORD] == []


@pytest.mark.parametrize("name", CALLEES)
def test_the_docstring_has_the_default_of_each(name: str) -> None:
    text = inspect.getdoc(CALLEES[name]) or ""
    documented = re.findall(r"^    (\w+): (?:.+\n)(?:     .*\n)*?.*Default: - ", text, re.MULTILINE)
    assert {*TYPES} <= {*documented}


def test_a_default_given_is_the_same_as_none_given() -> None:
    defaults: dict[str, Any] = {
        key: one.default for key, one in options("session_manager_statements").items()
    }
    given, not_given = session_manager_statements(**defaults), session_manager_statements()
    assert [one.to_json() for one in given] == [one.to_json() for one in not_given]


@pytest.mark.parametrize("name", CALLEES)
def test_jedi_shows_each_option_with_its_default(name: str) -> None:
    code = f"from session_manager_permissions import {name}\n{name}("
    here = jedi.InterpreterEnvironment()  # asks no process of its own
    script = jedi.Script(code, project=jedi.Project(ROOT), environment=here)

    (signature,) = script.get_signatures()
    shown = [parameter.description.removeprefix("param ") for parameter in signature.params]
    assert {f"{key}: {TYPES[key]}={one.default}" for key, one in options(name).items()} <= {*shown}
    completed = [one.name for one in script.complete()]
    assert {f"{key}=" for key in TYPES} <= {*completed}


def test_the_language_server_of_pyright_shows_each_option_with_its_default(tmp_path: Path) -> None:
    """One server for all: most of its time, it reads CDK."""
    alone = ("session_manager_statements", "SessionManagerAccess")
    calls = [name + ("(" if name in alone else '(stack, "Id", ') for name in CALLEES]
    code = "\n".join(
        [
            f"from session_manager_permissions import {', '.join(CALLEES)}",
            *(f"{call})" for call in calls),
            *(f"{call}allow_registration=)" for call in calls),
        ]
    )

    found = shown(tmp_path, code)

    assert len(found) == 2 * len(CALLEES)
    for name, nothing, one in zip(CALLEES, found, found[len(CALLEES) :], strict=False):
        expected = {
            f"{key}: {TYPES[key]} = {option.default}" for key, option in options(name).items()
        }
        assert expected <= {*nothing.parameters}
        assert {f"{key}=" for key in TYPES} <= {*nothing.completions}
        assert nothing.explanation == ""
        assert one.explanation.startswith("allow_registration: ")
