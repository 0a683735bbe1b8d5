"""Which templates and values there are; what they come to is in `test_roles` and `test_worlds`."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from session_manager_permissions._readiness.templates import Assembly
from session_manager_permissions._readiness.templates.functions import shortest
from session_manager_permissions._readiness.templates.model import ReturnValue, Template

from .deployments import NO_VALUE
from .judging import ref, resource
from .networks import STACK
from .reports import write as assembly_of

HASH = "0123456789abcdef" * 4


def write(path: Path, body: object) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(body))
    return str(path)


def nested_in(file: str, parameters: object = None) -> dict[str, Any]:
    return resource(STACK, Parameters=parameters) | {"Metadata": {"aws:asset:path": file}}


def exported(value: object, name: object) -> dict[str, Any]:
    return {"Value": value, "Export": {"Name": name}}


def read(path: Path, **body: object) -> Assembly:
    """The assembly of one template."""
    return Assembly([write(path, body)])


@pytest.mark.parametrize(("value", "length"), [
    ({"Statement": []}, len('{"Statement":[]}')),
    ({"Sid": "with  space\n"}, len('{"Sid":"withspace\\n"}')),
    ({"Resource": {"Ref": "Bucket"}}, len('{"Resource":""}')),
    ({"Resource": {"Fn::Sub": "${Bucket}/*"}}, len('{"Resource":"/*"}')),
    ([{"Fn::If": ["C", {"Sid": "a"}, NO_VALUE]}, 1], len("[1]")),
    ([{"Fn::If": ["C", {"Sid": "a"}, {"Fn::If": ["D", "b", ["c"]]}]}], len('["b"]')),
    ([{"Fn::If": []}], len('[""]')),
    ("é", len('"é"')),
])  # fmt: skip
def test_shortest(value: object, length: int) -> None:
    assert shortest(value) == length


def behind(assembly: Assembly, template: Template, written: object) -> str | None:
    """The resource or the text that something comes to, None if it is not known."""
    match assembly.possible(template, written):
        case [()]:
            return ""
        case [(str(known),)]:
            return known
        case [(ReturnValue(resource, _),)]:
            return resource.logical_id
    return None


def test_exports_are_those_of_the_account_and_region(tmp_path: Path) -> None:
    exporting = {"Outputs": {"O": exported("name", "shared")}}
    where = {"a": "1/eu-west-1", "b": "1/eu-west-2", "c": "1/eu-west-1"}
    paths = assembly_of(tmp_path, {"a": exporting, "b": exporting, "c": {}}, where)

    assembly = Assembly(paths)

    template = assembly.templates[2]
    assert template.stack.account == "1"
    assert behind(assembly, template, {"Fn::ImportValue": "shared"}) == "name"


@pytest.mark.parametrize(
    ("of_a", "of_b"), [("a.json", None), ("b.json", "a.json"), ("b.json", "../folder/b.json")]
)
def test_templates_that_are_nested_in_themselves_are_read_to_a_depth(
    tmp_path: Path, of_a: str, of_b: str | None
) -> None:
    folder = tmp_path / "folder"
    write(folder / "b.json", {"Resources": {"Nested": nested_in(of_b)} if of_b else {}})

    assembly = read(folder / "a.json", Resources={"Nested": nested_in(of_a)})

    assert len(assembly.templates) == 51
    assert len(assembly.unread) == 1


NAME_OF_A: Final = {"StackName": "a", "OutputName": "Name"}
NAME_OF_B: Final = {"StackName": "b", "OutputName": "Name"}


@pytest.mark.parametrize(("asked", "found"), [
    (NAME_OF_A, "of_a"),
    (NAME_OF_A | {"Region": ref("AWS::Region")}, "of_a"),
    (NAME_OF_A | {"Region": "eu-west-1"}, "of_a"),
    (NAME_OF_A | {"Region": "eu-west-2"}, "of_the_other_region"),
    (NAME_OF_A | {"Region": "us-east-1"}, None),
    (NAME_OF_A | {"Region": ref("Where")}, None),
    (NAME_OF_A | {"OutputName": "Nothing"}, None),
    (NAME_OF_A | {"StackName": ref("Name")}, None),
    (NAME_OF_B, None),
    (NAME_OF_B | {"RoleArn": "arn:"}, "of_the_other_account"),
    ({"StackName": "twice", "OutputName": "Name"}, None),
    ({"OutputName": "Name"}, None),
    ([], None),
])  # fmt: skip
def test_outputs_of_a_stack_by_its_name(tmp_path: Path, asked: object, found: str | None) -> None:
    stacks = {
        "here": ("here", "1/eu-west-1"),
        "of_a": ("a", "1/eu-west-1"),
        "of_the_other_region": ("a", "1/eu-west-2"),
        "of_the_other_account": ("b", "2/eu-west-1"),
        "twice": ("twice", "1/eu-west-1"),
        "twice_again": ("twice", "1/eu-west-1"),
    }
    bodies = {key: {"Outputs": {"Name": {"Value": key}}} for key in stacks}
    where = {key: environment for key, (_, environment) in stacks.items()}
    names = {key: name for key, (name, _) in stacks.items()}
    paths = assembly_of(tmp_path, bodies, where, **names)

    assembly = Assembly(paths)

    assert behind(assembly, assembly.templates[0], {"Fn::GetStackOutput": asked}) == found


@pytest.mark.parametrize(("exports", "known"), [(50, "x"), (2_000, None)])
def test_exports_in_a_line(tmp_path: Path, exports: int, known: str | None) -> None:
    outputs = {
        f"O{number}": exported({"Fn::ImportValue": f"o{number + 1}"}, f"o{number}")
        for number in range(exports)
    }
    last = {"Last": exported("x", f"o{exports}")}
    assembly = read(tmp_path / "a.json", Outputs=outputs | last)

    assert behind(assembly, assembly.templates[0], {"Fn::ImportValue": "o0"}) == known
