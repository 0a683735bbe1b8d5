"""Each option stands in the signatures, with its type and its default, so that editors show it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

import pytest

from session_manager_permissions import (
    SessionManagerAccess,
    SessionManagerEndpoints,
    SessionManagerFleet,
    SessionManagerOptions,
    SessionManagerPermissions,
    session_manager_statements,
)

if TYPE_CHECKING:
    from collections.abc import Callable

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
    flags = {"allow_registration": False, "decrypt_sessions_only": False}
    found = options(name)
    assert {key: one.annotation for key, one in found.items()} == TYPES
    assert {one.kind for one in found.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert {key: one.default for key, one in found.items()} == {**dict.fromkeys(TYPES), **flags}
    others = inspect.signature(CALLEES[name]).parameters.values()
    assert [one for one in others if one.kind is one.VAR_KEYWORD] == []
