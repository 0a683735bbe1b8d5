"""Helpers to write tables of tests, and the templates in them."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from _pytest.mark import ParameterSet


def rows(table: Iterable[tuple[Any, ...]]) -> list[ParameterSet]:
    """The rows of a table for pytest; the first entry of each is its id."""
    return [pytest.param(*row, id=name) for name, *row in table]


def each(table: Mapping[Any, Iterable[Any]]) -> list[tuple[Any, Any]]:
    """Each value of a table with what is expected of it, by which the table is ordered."""
    return [(value, expected) for expected, values in table.items() for value in values]


def resource(kind: str = "Test", **properties: object) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties}


def on(part: dict[str, Any], condition: str = "Production") -> dict[str, Any]:
    """A resource with a condition; without one if the name is empty."""
    return part | ({"Condition": condition} if condition else {})


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def att(name: str, attribute: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, attribute]}


def nested(name: str, **more: object) -> dict[str, Any]:
    """A nested stack of the template of this name in the assembly."""
    stack = resource("AWS::CloudFormation::Stack", **more)
    return stack | {"Metadata": {"aws:asset:path": f"{name}.template.json"}}
