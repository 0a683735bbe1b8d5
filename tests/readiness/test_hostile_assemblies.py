"""Nothing that a template, a manifest or an assets file can hold raises, or brings a wrong verdict.

What is too deep or too odd to read can't be known.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from session_manager_permissions._readiness.check import check as run
from session_manager_permissions._readiness.templates import Assembly, files
from tests.conftest import BY_CHANCE

from .launches import scaling, template
from .networks import IDENTITY, STACK, endpoint, with_endpoints
from .parts import nested, resource, rows
from .reports import NAMED, Body, Check, Report, inline, machine, policy, profile_and_role
from .statements import ALL, AWS, DENIED, NEITHER, READY, UNKNOWN, Found, allow, deny
from .test_what_findings_say import session

SHELLS: Final = {
    "Fn::Join": ('{"Fn::Join":["",[', "]]}"), "Fn::Sub": ('{"Fn::Sub":["${X}",{"X":', "}]}"),
    "Fn::Select": ('{"Fn::Select":[0,[', "]]}"), "Fn::If": ('{"Fn::If":["C",', ',"x"]}'),
    "list": ("[", "]"), "Fn::Base64": ('{"Fn::Base64":', "}"), "mapping": ('{"a":', "}"),
}  # fmt: skip
HASH: Final = "0" * 64
BY_HASH: Final = resource(STACK, TemplateURL=f"https://example.com/{HASH}.json")


def deep(depth: int, wrap: str, core: object) -> str:
    """JSON of `core` within functions, made without a recursion of its own."""
    before, after = SHELLS[wrap]
    return before * depth + json.dumps(core) + after * depth


def raw(folder: Path, body: Body, deep: str = "") -> Report:
    """The check of a template in which `"DEEP"` stands for what is deep."""
    path = folder / "a.template.json"
    path.write_text(json.dumps(body).replace('"DEEP"', deep))
    return Report([str(path)], strict=False)


EVERYWHERE: Final = profile_and_role(
    {"ManagedPolicyArns": ["DEEP"], "PermissionsBoundary": "DEEP", "Path": "DEEP"},
    Machine=machine(IamInstanceProfile="DEEP", UserData="DEEP"),
    Nested=resource(STACK, TemplateURL="DEEP"),
    Policy=policy(allow("s3:*"), roles=[{"Fn::GetAtt": ["Role", "Arn"]}]),
) | {"Outputs": {"Out": {"Value": "DEEP", "Export": {"Name": "DEEP"}}}, "Transform": "DEEP"}
WITH_DENY: Final = profile_and_role(inline(ALL), Policy=policy(deny("*"), roles=["DEEP"]))
DEEP: Final[list[tuple[str, Body, object, Found, bool]]] = [
    # where something is deep, what is deep, what may be found, and whether too deep is unknown
    ("role of a policy", WITH_DENY, {"Ref": "Role"}, UNKNOWN | DENIED, True),
    *((place, profile_and_role(inline(ALL | {place: "DEEP"})), "*", UNKNOWN, place != "Sid")
      for place in ("Action", "Resource", "Sid", "Condition")),
    ("statement", profile_and_role(inline(cast("Any", "DEEP"), ALL)), "*", UNKNOWN, True),
    ("role's name", profile_and_role(inline(ALL) | {"RoleName": "DEEP"}), "*", UNKNOWN, False),
    ("everywhere", EVERYWHERE, {"Ref": "Profile"}, UNKNOWN, True),
]  # fmt: skip


@pytest.mark.parametrize("wrap", SHELLS)
@pytest.mark.parametrize(("body", "core", "may_be", "is_unknown"), rows(DEEP))
def test_what_is_deep(
    tmp_path: Path, wrap: str, body: Body, core: object, may_be: Found, *, is_unknown: bool
) -> None:
    """The last depth is more than CDK synthesizes."""
    for depth in (60, 150, 300):
        found = raw(tmp_path, body, deep(depth, wrap, core)).rules
        assert found <= may_be
        assert depth < 150 or not is_unknown or found == UNKNOWN


def in_a_line(
    folder: Path, length: int, given: Callable[[int], object], last: Body, *, twice: bool = False
) -> str:
    """A stack and those nested in it, each in the one before; the path of the first."""
    for number in range(length):
        stack = resource(STACK, Parameters={"Of": given(number)})
        stack |= {"Metadata": {"aws:asset:path": f"{number + 1}.json"}}
        body = profile_and_role(NAMED | inline(ALL)) if number == 0 else {"Resources": {}}
        body["Resources"] |= {"Nested": stack, **({"Second": stack} if twice else {})}
        (folder / f"{number}.json").write_text(json.dumps(body))
    (folder / f"{length}.json").write_text(json.dumps({"Resources": last}))
    return str(folder / "0.json")


OF: Final = {"Ref": "Of"}
DENIES: Final = {"Policy": policy(deny("*"), roles=[OF])}


@pytest.mark.parametrize(("length", "found"), [(1, DENIED), (40, DENIED), (1_000, UNKNOWN)])
def test_stacks_that_are_nested_in_a_line(tmp_path: Path, length: int, found: Found) -> None:
    path = in_a_line(tmp_path, length, lambda number: OF if number else {"Ref": "Role"}, DENIES)

    assert Report([path], strict=False).rules == found


@pytest.mark.parametrize(("of_a", "of_b"), [("a", "a"), ("b", "a"), ("b", "../{}/b")])
def test_stacks_that_are_nested_in_themselves(tmp_path: Path, of_a: str, of_b: str) -> None:
    body = {"Resources": {"Nested": nested(of_b.format(tmp_path.name))}}
    (tmp_path / "b.template.json").write_text(json.dumps(body))

    report = raw(tmp_path, profile_and_role(NAMED | inline(ALL), Nested=nested(of_a)))

    assert report.rules == UNKNOWN


def test_stacks_nested_twice_over_and_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty levels would be a billion templates."""
    monkeypatch.setattr(files, "_MOST_TEMPLATES", 100)

    assembly = Assembly([in_a_line(tmp_path, 30, lambda _: "x", {}, twice=True)])

    assert len(assembly.templates) <= 200
    assert run(assembly, network=True)[1] == {"can't be known": 1}


def test_values_that_double_from_stack_to_stack_are_not_followed_twice(tmp_path: Path) -> None:
    """If each of fifty levels passes its parameter on twice, the text would have 2^50 parts."""

    def twice(number: int) -> object:
        return {"Fn::Join": ["", [OF, OF] if number else ["x", "y"]]}

    assert Report([in_a_line(tmp_path, 50, twice, DENIES)], strict=False).rules == UNKNOWN


def test_a_name_of_very_many_parts_is_compared_as_a_whole(check: Check) -> None:
    one = {"Fn::Join": ["-", [{"Ref": f"P{number}"} for number in range(200)]]}
    body = profile_and_role({"RoleName": one} | inline(ALL), Policy=policy(deny("*"), roles=[one]))

    assert check(body).rules == DENIED


ODD: list[Any] = [None, True, 3, -1.5, "text", [], {}, [None], {"a": 1}, [[]], {"Fn::If": []}, ""]


def places(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path to each part of a template."""
    found = [at]
    if isinstance(value, dict):
        found += [way for name, part in value.items() for way in places(part, (*at, name))]
    elif isinstance(value, list):
        found += [way for place, part in enumerate(value) for way in places(part, (*at, place))]
    return found


MANIFEST: Final = {
    "artifacts": {
        "a": {"type": "aws:cloudformation:stack", "environment": "aws://111122223333/eu-west-1",
            "properties": {"templateFile": "a.template.json", "stackName": "Stack"}}},
}  # fmt: skip
ASSETS: Final = {"files": {HASH: {"source": {"path": "nested.json"}}}}


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("at", places(MANIFEST))
def test_manifests(tmp_path: Path, at: tuple[str | int, ...], odd: object) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(mutated(MANIFEST, at, odd)))

    assert raw(tmp_path, profile_and_role(inline(ALL))).rules == READY
    assert raw(tmp_path, profile_and_role()).rules == NEITHER


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("at", places(ASSETS))
def test_assets_files(tmp_path: Path, at: tuple[str | int, ...], odd: object) -> None:
    (tmp_path / "a.assets.json").write_text(json.dumps(mutated(ASSETS, at, odd)))

    assert raw(tmp_path, profile_and_role(NAMED | inline(ALL), Nested=BY_HASH)).rules == UNKNOWN


DIGITS: Final = b"1" * 10_000
NO_TEMPLATES: Final = (
    *(b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"a":' * 100_000, DIGITS, b"\0"),
    *(b'{"a": ' + DIGITS + b"}", b"a: " + DIGITS),
    b"[]",
    b'{"Resources": [], "Outputs": null}',
    b'{"Resources": {"A": {"Type": 1, "Properties": []}}, "Outputs": {"O": {"Export": 2}}}',
    b'{"Resources": {"A": {"Type": "AWS::CloudFormation::Stack", "Metadata": []}}}',
    b'{"Resources": {"A": {"Type": {"Ref": "A"}, "Properties": {"Roles": ["A"]}}}}',
)


@pytest.mark.parametrize("content", NO_TEMPLATES)
@pytest.mark.parametrize("file", ["a.template.json", "manifest.json", "a.assets.json"])
def test_files_that_are_no_json_or_no_template(tmp_path: Path, file: str, content: bytes) -> None:
    (tmp_path / "a.template.json").write_text(json.dumps(profile_and_role(NAMED, Nested=BY_HASH)))
    (tmp_path / file).write_bytes(content)

    assert Report([str(tmp_path / "a.template.json")], strict=True).rules <= UNKNOWN


@pytest.mark.parametrize("file", ["manifest.json", "a.assets.json", "nested.template.json"])
def test_folders_for_files(tmp_path: Path, file: str) -> None:
    (tmp_path / file).mkdir()
    assert raw(tmp_path, profile_and_role(NAMED, Nested=nested("nested"))).rules == UNKNOWN


def test_template_that_is_a_folder_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    paths = [str(tmp_path / name) for name in ("a", "missing.json", "x" * 5_000, "\0")]

    assert Report(paths, strict=True).success


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_condition_that_is_no_name(check: Check, odd: object) -> None:
    parts = profile_and_role()["Resources"]

    found = check({"Resources": {name: one | {"Condition": odd} for name, one in parts.items()}})

    assert found.rules in (NEITHER, UNKNOWN)


# Mutations of a template that has a bit of everything

WHOLE: Body = profile_and_role(
    inline(ALL) | {"ManagedPolicyArns": [{"Fn::Sub": f"{AWS}ReadOnlyAccess"}], "Path": "/a/"},
    **with_endpoints({"S3": endpoint("s3"), **dict.fromkeys(IDENTITY)})["Resources"],
    Document=session(s3BucketName="logs", kmsKeyId="key"),
    Policy=policy(allow("s3:*"), roles=[{"Fn::GetAtt": ["Role", "Arn"]}], Condition="C"),
    Managed=policy(allow("kms:Decrypt")) | {"Type": "AWS::IAM::ManagedPolicy"},
    Nested=nested("nested", Parameters={"A": {"Ref": "Role"}}),
    Fleet=scaling(LaunchTemplate={"LaunchTemplateId": {"Ref": "Launch"}}),
    Launch=template(IamInstanceProfile={"Arn": {"Fn::GetAtt": ["Profile", "Arn"]}}),
) | {
    "Outputs": {"Out": {"Value": {"Ref": "Role"}, "Export": {"Name": {"Fn::Sub": "x-${Name}"}}}},
    "Mappings": {"M": {"a": {"b": "c"}}},
    "Transform": ["AWS::LanguageExtensions"],
}


FUNCTIONS: Final[list[Any]] = [
    *({"Ref": "Role"}, {"Ref": "AWS::NoValue"}, {"Ref": []}),
    *({"Fn::GetAtt": []}, {"Fn::GetAtt": ["Nested", "Outputs.X"]}, {"Fn::GetAtt": "Role.Arn"}),
    *({"Fn::Sub": "${"}, {"Fn::Sub": "${Role.Arn}${!x}${}"}, {"Fn::Sub": []}),
    *({"Fn::Sub": ["${a}", []]}, {"Fn::Join": ["", ["a", {"Ref": "Role"}]]}),
    *({"Fn::Join": [3, None]}, {"Fn::Select": ["-1", ["a"]]}, {"Fn::Select": [9**99, ["a"]]}),
    {"Fn::Select": [0, {"Fn::Split": ["", "a"]}]},
    {"Fn::Select": [1, {"Fn::Split": ["/", {"Fn::GetAtt": ["Role", "Arn"]}]}]},
    *({"Fn::FindInMap": ["M", "a", "b"]}, {"Fn::FindInMap": [[], {}, None]}),
    {"Fn::FindInMap": ["M", "z", "b", {"DefaultValue": []}]},
    {"Fn::Select": [0, {"Fn::Cidr": ["10.0.0.0/8", 9**99, "-1"]}]},
    *({"Fn::ImportValue": {"Fn::Sub": "x-${Name}"}}, {"Fn::ImportValue": []}),
    {"Fn::GetStackOutput": {"StackName": [], "OutputName": {}}},
    *({"Fn::If": ["C", {"Ref": "Role"}]}, {"Fn::If": []}),
    *({"Fn::ForEach::Loop": [1]}, {"Fn::Transform": None}),
    *("{{resolve:ssm:x}}", "\0", "\ud800", "*" * 500),
]
PLACES = places(WHOLE)
OF_MANAGED = ("Resources", "Managed", "Properties", "PolicyDocument", "Statement", 0)


def mutated(body: Any, way: tuple[str | int, ...], value: object) -> Any:  # noqa: ANN401
    """A copy with another value in one place, if that is still there."""
    if not way:
        return value
    first, *rest = way
    if isinstance(body, dict) and first in body:
        return body | {first: mutated(body[first], tuple(rest), value)}
    if isinstance(body, list) and isinstance(first, int) and first < len(body):
        return [*body[:first], mutated(body[first], tuple(rest), value), *body[first + 1 :]]
    return body


CHANGES: Final = st.tuples(st.sampled_from(PLACES), st.sampled_from([*FUNCTIONS, *ODD]))


@settings(BY_CHANCE, max_examples=200)
@given(changes=st.lists(CHANGES, min_size=1, max_size=3))
@example(changes=[((*OF_MANAGED, "Resource"), {"Fn::ForEach::Loop": [1]})])
@example(changes=[(("Resources", "Public", "Type"), "\ud800")])
def test_odd_templates(tmp_path: Path, changes: list[tuple[tuple[str | int, ...], object]]) -> None:
    body: Any = WHOLE
    for way, value in changes:
        body = mutated(body, way, value)
    nested_body = {"Resources": {"P": policy(ALL, roles=[{"Ref": "A"}])}}
    (tmp_path / "nested.template.json").write_text(json.dumps(nested_body))
    (tmp_path / "a.template.json").write_text(json.dumps(body))

    verdicts = run(Assembly([str(tmp_path / "a.template.json")]), network=True)[1]

    assert sum(verdicts.values()) <= 2
