"""Runs the command in this process, on an account in memory."""

import ast
import functools
import json
import os
import re
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import pytest

# Loaded by the first audit that prints a table, which may be in a test that is not traced.
import session_manager_permissions._verify.audit.table  # noqa: F401
from session_manager_permissions._verify import command
from session_manager_permissions._verify.audit import answering
from session_manager_permissions._verify.session import Session, Waiting

from .nodes import REGION, World, session_in


class Run(NamedTuple):
    """The result of a run of the command."""

    status: object
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.out)

    @property
    def words(self) -> str:
        """The text of the table, without borders and line breaks."""
        return " ".join(re.sub(r"[^\w\s\"'.,:;/=()*-]", " ", self.out).split())

    def checks(self, verdict: str) -> set[str]:
        """The checks of a node with this verdict."""
        return {one["check"] for one in self.json["checks"] if one["verdict"] == verdict}

    def check(self, name: str) -> dict[str, Any]:
        """The entry of a check."""
        (found,) = (one for one in self.json["checks"] if one["check"] == name)
        return found  # type: ignore[no-any-return]

    @property
    def nodes(self) -> dict[str, tuple[str, ...]]:
        """The verdict and the causes of each node of an audit, by its id."""
        return {one["id"]: (one["verdict"], *one["causes"]) for one in self.json["instances"]}

    def one(self, node: str) -> dict[str, Any]:
        """The entry of a node in the result of an audit."""
        (found,) = (one for one in self.json["instances"] if one["id"] == node)
        return found  # type: ignore[no-any-return]

    def error(self, region: str = REGION) -> str:
        """What an audit could not ask in a region."""
        (found,) = (one for one in self.json["regions"] if one["region"] == region)
        return found["error"] or ""

    def capability(self, name: str) -> dict[str, Any]:
        """What a role may do."""
        (found,) = (one for one in self.json["capabilities"] if one["capability"] == name)
        return found  # type: ignore[no-any-return]


_parser: Final = functools.cache(command._parser)  # noqa: SLF001 # a fifth of the time of a run


def run(world: World, *arguments: str, region: str | None = REGION) -> Run:
    """Run the command. The region is that of the environment."""

    def session(profile: str | None, given: str | None, waiting: Waiting, **_: object) -> Session:
        return session_in(world, profile, given or region, waiting)

    with pytest.MonkeyPatch.context() as here:
        here.setattr(command, "_parser", _parser)
        here.setattr(command, "aws_session", session)
        here.setattr(answering, "aws_session", session)
        return over_http({}, *arguments)


def over_http(environment: Mapping[str, str], *arguments: str) -> Run:
    """Run the command against the endpoints that the environment names."""
    out, err = StringIO(), StringIO()
    with patch.dict(os.environ, environment), redirect_stdout(out), redirect_stderr(err):
        try:
            status: object = command.main(arguments)
        except SystemExit as ended:  # argparse's way
            status = ended.code
    return Run(status, out.getvalue(), err.getvalue())


def python_call(arguments: str) -> ast.Call:
    """Parse the arguments of a call in a fix."""
    found = ast.parse(f"call({arguments})", mode="eval").body
    assert isinstance(found, ast.Call)
    return found
