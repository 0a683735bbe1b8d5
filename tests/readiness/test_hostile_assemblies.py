"""Nothing that a template, a manifest or an assets file can hold raises, or brings a wrong verdict.

What is too deep or too odd to read can't be known.
"""

from __future__ import annotations

import copy
import json
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from session_manager_permissions._readiness import policies, roles
from session_manager_permissions._readiness.check import check as run
from session_manager_permissions._readiness.templates import Assembly, files
from session_manager_permissions._readiness.templates.model import Template

from .policy_table import ALL, AWS, DENIED, NEITHER, READY, UNKNOWN, allow, deny
from .reports import NAMED, Check, Report, inline, machine, policy, profile_and_role

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def nested(depth: int, wrap: str, core: object) -> str:
    """JSON of `core` within functions, made without a recursion of its own."""
    shells = {
        "Fn::Join": ('{"Fn::Join":["",[', "]]}"),
        "Fn::Sub": ('{"Fn::Sub":["${X}",{"X":', "}]}"),
        "Fn::Select": ('{"Fn::Select":[0,[', "]]}"),
        "Fn::If": ('{"Fn::If":["C",', ',"x"]}'),
        "list": ("[", "]"),
        "mapping": ('{"a":', "}"),
    }
    before, after = shells[wrap]
    return before * depth + json.dumps(core) + after * depth


WRAPS = ["Fn::Join", "Fn::Sub", "Fn::Select", "Fn::If", "list", "mapping"]
DEPTHS = [60, 150, 300]
"""The last is more than CDK synthesizes."""


def raw(folder: Path, body: dict[str, Any], deep: str) -> Report:
    """The check of a template in which `"DEEP"` stands for what is deep."""
    path = folder / "a.template.json"
    path.write_text(json.dumps(body).replace('"DEEP"', deep))
    return Report([str(path)], strict=False)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("wrap", WRAPS)
def test_role_of_a_policy_that_is_deep(tmp_path: Path, wrap: str, depth: int) -> None:
    deep = nested(depth, wrap, {"Ref": "Role"})
    body = profile_and_role(inline(ALL), Policy=policy(deny("*"), roles=["DEEP"]))

    found = raw(tmp_path, body, deep).rules

    assert found <= UNKNOWN | DENIED
    assert depth < 150 or found == UNKNOWN


@pytest.mark.parametrize("malformed", [{"Fn::Join": "Role"}, {"Ref": 7}])
def test_role_of_a_policy_that_is_malformed(check: Check, malformed: object) -> None:
    found = check(profile_and_role(inline(ALL), Policy=policy(deny("*"), roles=[malformed])))

    assert found.rules == UNKNOWN


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("place", ["Action", "Resource", "Sid", "Condition", "statement", "role"])
def test_policy_that_is_deep(tmp_path: Path, wrap: str, depth: int, place: str) -> None:
    deep = nested(depth, wrap, "*")
    statements: list[Any] = [ALL | {place: "DEEP"}]
    if place in {"statement", "role"}:
        statements = ["DEEP", ALL] if place == "statement" else [ALL]
    role = inline(*statements) | ({"RoleName": "DEEP"} if place == "role" else {})
    body = profile_and_role(role)

    found = raw(tmp_path, body, deep).rules

    assert depth < 150 or place in {"Sid", "role"} or found == UNKNOWN
    assert found <= UNKNOWN


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("wrap", WRAPS)
def test_anything_else_that_is_deep(tmp_path: Path, wrap: str, depth: int) -> None:
    deep = nested(depth, wrap, {"Ref": "Profile"})
    body = profile_and_role(
        {"ManagedPolicyArns": ["DEEP"], "PermissionsBoundary": "DEEP", "Path": "DEEP"},
        Machine=machine(IamInstanceProfile="DEEP", UserData="DEEP"),
        Nested={"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "DEEP"}},
        Policy=policy(allow("s3:*"), roles=[{"Fn::GetAtt": ["Role", "Arn"]}]),
    )
    body["Outputs"] = {"Out": {"Value": "DEEP", "Export": {"Name": "DEEP"}}}
    body["Transform"] = "DEEP"

    assert raw(tmp_path, body, deep).rules == UNKNOWN


def in_a_line(folder: Path, length: int, core: dict[str, Any]) -> str:
    """A stack and those nested in it, each in the one before; the path of the first."""
    for number in range(length):
        entry = {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {"Parameters": {"Of": {"Ref": "Of" if number else "Role"}}},
            "Metadata": {"aws:asset:path": f"{number + 1}.json"},
        }
        body = profile_and_role(inline(ALL)) if number == 0 else {"Resources": {}}
        body["Resources"]["Nested"] = entry
        (folder / f"{number}.json").write_text(json.dumps(body))
    (folder / f"{length}.json").write_text(json.dumps({"Resources": core}))
    return str(folder / "0.json")


@pytest.mark.parametrize(("length", "found"), [(1, DENIED), (40, DENIED), (1_000, UNKNOWN)])
def test_stacks_that_are_nested_in_a_line(
    tmp_path: Path, length: int, found: frozenset[str]
) -> None:
    denies = policy(deny("*"), roles=[{"Ref": "Of"}])

    path = in_a_line(tmp_path, length, {"Policy": denies})

    assert Report([path], strict=False).rules == found


def test_stacks_that_are_nested_twice_over_and_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty levels would be a billion templates."""
    monkeypatch.setattr(files, "_MOST_TEMPLATES", 100)
    for level in range(30):
        entry = {
            "Type": "AWS::CloudFormation::Stack",
            "Metadata": {"aws:asset:path": f"{level + 1}.json"},
        }
        body = profile_and_role(NAMED | inline(ALL)) if level == 0 else {"Resources": {}}
        body["Resources"] |= {"First": entry, "Second": entry}
        (tmp_path / f"{level}.json").write_text(json.dumps(body))
    (tmp_path / "30.json").write_text("{}")

    assembly = Assembly([str(tmp_path / "0.json")])

    assert len(assembly.templates) <= 200
    assert run(assembly, network=True)[1] == {"can't be known": 1}


def test_values_that_double_from_stack_to_stack_are_not_followed_twice(tmp_path: Path) -> None:
    """Forty levels of a parameter that is given twice its own would be a text of 2^40."""
    for level in range(40):
        twice = [{"Ref": "Of"}] * 2 if level else ["x", "y"]
        entry = {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {"Parameters": {"Of": {"Fn::Join": ["", twice]}}},
            "Metadata": {"aws:asset:path": f"{level + 1}.json"},
        }
        body = profile_and_role(inline(ALL)) if level == 0 else {"Resources": {}}
        body["Resources"]["Nested"] = entry
        (tmp_path / f"{level}.json").write_text(json.dumps(body))
    last = {"Resources": {"Policy": policy(deny("*"), roles=[{"Ref": "Of"}])}}
    (tmp_path / "40.json").write_text(json.dumps(last))

    assert Report([str(tmp_path / "0.json")], strict=False).rules == UNKNOWN


def test_a_name_of_very_many_parts_is_compared_as_a_whole(check: Check) -> None:
    many = {"Fn::Join": ["-", [{"Ref": f"P{number}"} for number in range(200)]]}
    body = profile_and_role(
        {"RoleName": many} | inline(ALL), Policy=policy(deny("*"), roles=[many])
    )

    assert check(body).rules == DENIED


@pytest.mark.parametrize(
    "circle",
    [
        {"O": {"Value": {"Fn::ImportValue": "o"}, "Export": {"Name": "o"}}},
        {"O": {"Value": {"Fn::GetStackOutput": {"StackName": "a", "OutputName": "O"}}}},
    ],
)
def test_outputs_in_a_circle(check: Check, circle: dict[str, Any]) -> None:
    body = profile_and_role(inline(ALL), Policy=policy(deny("*"), roles=[circle["O"]["Value"]]))

    assert check(body | {"Outputs": circle}).rules == UNKNOWN


ODD: list[Any] = [None, True, 3, -1.5, "text", [], {}, [None], {"a": 1}, [[]], {"Fn::If": []}, ""]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize(
    "at",
    [
        (),
        ("artifacts",),
        ("artifacts", "a"),
        ("artifacts", "a", "type"),
        ("artifacts", "a", "environment"),
        ("artifacts", "a", "properties"),
        ("artifacts", "a", "properties", "templateFile"),
        ("artifacts", "a", "properties", "stackName"),
    ],
)
def test_manifests(tmp_path: Path, at: tuple[str, ...], odd: object) -> None:
    artifact = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://111122223333/eu-west-1",
        "properties": {"templateFile": "a.template.json", "stackName": "Stack"},
    }
    write_with(tmp_path / "manifest.json", {"artifacts": {"a": artifact}}, at, odd)

    assert raw(tmp_path, profile_and_role(inline(ALL)), "").rules == READY
    assert raw(tmp_path, profile_and_role(), "").rules == NEITHER


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize(
    "at",
    [
        (),
        ("files",),
        ("files", "0" * 64),
        ("files", "0" * 64, "source"),
        ("files", "0" * 64, "source", "path"),
    ],
)
def test_assets_files(tmp_path: Path, at: tuple[str, ...], odd: object) -> None:
    assets = {"files": {"0" * 64: {"source": {"path": "nested.json"}}}}
    write_with(tmp_path / "a.assets.json", assets, at, odd)
    url = f"https://example.com/{'0' * 64}.json"
    stack = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}

    body = profile_and_role(NAMED | inline(ALL), Nested=stack)

    assert raw(tmp_path, body, "").rules == UNKNOWN


def write_with(path: Path, body: Any, at: tuple[str, ...], odd: object) -> None:  # noqa: ANN401
    """Write `body` with something odd in one place."""
    *outer, last = ("whole", *at)
    holder = {"whole": copy.deepcopy(body)}
    inner = holder
    for name in outer:
        inner = inner[name]
    inner[last] = odd
    path.write_text(json.dumps(holder["whole"]))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 10_000,
        b"\0",
        b'{"a": ' + b"1" * 10_000 + b"}",
        b"a: " + b"1" * 10_000,
    ],
)
@pytest.mark.parametrize("file", ["a.template.json", "manifest.json", "a.assets.json"])
def test_files_that_are_no_json(tmp_path: Path, file: str, content: bytes) -> None:
    url = f"https://example.com/{'0' * 64}.json"
    stack = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}
    (tmp_path / "a.template.json").write_text(json.dumps(profile_and_role(NAMED, Nested=stack)))
    (tmp_path / file).write_bytes(content)

    assert Report([str(tmp_path / "a.template.json")], strict=True).rules <= UNKNOWN


@pytest.mark.parametrize("file", ["manifest.json", "a.assets.json", "nested.json"])
def test_folders_for_files(tmp_path: Path, file: str) -> None:
    (tmp_path / file).mkdir()
    stack = {
        "Type": "AWS::CloudFormation::Stack",
        "Metadata": {"aws:asset:path": "nested.json"},
    }

    assert raw(tmp_path, profile_and_role(NAMED, Nested=stack), "").rules == UNKNOWN


def test_template_that_is_a_folder_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    paths = [str(tmp_path / name) for name in ("a", "missing.json", "x" * 5_000, "\0")]

    assert Report(paths, strict=True).success


# Mutations of a template that has a bit of everything

WHOLE: dict[str, Any] = profile_and_role(
    inline(ALL) | {"ManagedPolicyArns": [{"Fn::Sub": f"{AWS}ReadOnlyAccess"}], "Path": "/a/"},
    Machine=machine(IamInstanceProfile={"Ref": "Profile"}),
    Policy=policy(allow("s3:*"), roles=[{"Fn::GetAtt": ["Role", "Arn"]}], Condition="C"),
    Managed=policy(allow("kms:Decrypt")) | {"Type": "AWS::IAM::ManagedPolicy"},
    Nested={
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {"Parameters": {"A": {"Ref": "Role"}}},
        "Metadata": {"aws:asset:path": "nested.json"},
    },
    Group={
        "Type": "AWS::AutoScaling::AutoScalingGroup",
        "Properties": {"LaunchTemplate": {"LaunchTemplateId": {"Ref": "Launch"}}, "MinSize": "1"},
    },
    Launch={
        "Type": "AWS::EC2::LaunchTemplate",
        "Properties": {
            "LaunchTemplateData": {
                "IamInstanceProfile": {"Arn": {"Fn::GetAtt": ["Profile", "Arn"]}}
            }
        },
    },
) | {
    "Outputs": {"Out": {"Value": {"Ref": "Role"}, "Export": {"Name": {"Fn::Sub": "x-${Name}"}}}},
    "Mappings": {"M": {"a": {"b": "c"}}},
    "Transform": ["AWS::LanguageExtensions"],
}


def places(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to each part of a template."""
    found = [at]
    if isinstance(value, dict):
        found += [way for name, part in value.items() for way in places(part, (*at, name))]
    elif isinstance(value, list):
        found += [way for place, part in enumerate(value) for way in places(part, (*at, place))]
    return found


FUNCTIONS = [
    {"Ref": "Role"},
    {"Ref": "AWS::NoValue"},
    {"Ref": []},
    {"Fn::GetAtt": []},
    {"Fn::GetAtt": ["Nested", "Outputs.X"]},
    {"Fn::GetAtt": "Role.Arn"},
    {"Fn::Sub": "${"},
    {"Fn::Sub": "${Role.Arn}${!x}${}"},
    {"Fn::Sub": []},
    {"Fn::Sub": ["${a}", []]},
    {"Fn::Join": ["", ["a", {"Ref": "Role"}]]},
    {"Fn::Join": [3, None]},
    {"Fn::Select": ["-1", ["a"]]},
    {"Fn::Select": [0, {"Fn::Split": ["", "a"]}]},
    {"Fn::Select": [1, {"Fn::Split": ["/", {"Fn::GetAtt": ["Role", "Arn"]}]}]},
    {"Fn::Select": [9**99, ["a"]]},
    {"Fn::FindInMap": ["M", "a", "b"]},
    {"Fn::FindInMap": [[], {}, None]},
    {"Fn::FindInMap": ["M", "z", "b", {"DefaultValue": []}]},
    {"Fn::Select": [0, {"Fn::Cidr": ["10.0.0.0/8", 9**99, "-1"]}]},
    {"Fn::ImportValue": {"Fn::Sub": "x-${Name}"}},
    {"Fn::ImportValue": []},
    {"Fn::GetStackOutput": {"StackName": [], "OutputName": {}}},
    {"Fn::If": ["C", {"Ref": "Role"}]},
    {"Fn::If": []},
    {"Fn::ForEach::Loop": [1]},
    {"Fn::Transform": None},
    "{{resolve:ssm:x}}",
    "\0",
    "\ud800",
    "*" * 500,
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


@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(
        st.tuples(st.sampled_from(PLACES), st.sampled_from([*FUNCTIONS, *ODD])),
        min_size=1,
        max_size=3,
    )
)
@example(changes=[((*OF_MANAGED, "Resource"), {"Fn::ForEach::Loop": [1]})])
def test_mutated_templates(
    tmp_path: Path, changes: list[tuple[tuple[str | int, ...], object]]
) -> None:
    body: Any = WHOLE
    for way, value in changes:
        body = mutated(body, way, value)
    nested_body = {"Resources": {"P": policy(ALL, roles=[{"Ref": "A"}])}}
    (tmp_path / "nested.json").write_text(json.dumps(nested_body))
    (tmp_path / "a.template.json").write_text(json.dumps(body))

    verdicts = run(Assembly([str(tmp_path / "a.template.json")]), network=True)[1]

    assert sum(verdicts.values()) <= 2


# Cost, counted


class Counted:
    """How often some functions were called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self._monkeypatch = monkeypatch

    def of(self, owner: object, name: str) -> Counted:
        """Count the calls of a function as well."""
        original = getattr(owner, name)

        def counting(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
            self.calls += 1
            return original(*arguments, **named)

        self._monkeypatch.setattr(owner, name, counting)
        return self


def test_cost_of_instances_that_wait_for_each_other(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch).of(Template, "mentioned_in")
    visits = []
    for length in (100, 400):
        counted.calls = 0
        machines = {
            f"Machine{number}": machine(IamInstanceProfile={"Ref": "Profile"})
            | ({"DependsOn": f"Machine{number - 1}"} if number else {})
            for number in range(length)
        }
        late = {
            f"Late{number}": policy(ALL | {"Sid": "SessionManagerChannels"}) for number in range(3)
        }
        check(profile_and_role(**machines, **late))
        visits.append(counted.calls)

    assert visits[1] - visits[0] == 300  # each instance more is visited once


def test_cost_of_profiles_on_one_role(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch).of(roles, "decide")
    asked = []
    for profiles in (1, 1_000):
        counted.calls = 0
        body = profile_and_role()
        for number in range(profiles):
            body["Resources"][f"Profile{number}"] = body["Resources"]["Profile"]
        check(body)
        asked.append(counted.calls)

    assert asked[0] == asked[1] == 5


def test_cost_of_roles_and_of_policies(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times as many roles and policies take ten times as long, even if no role is known."""
    counted = Counted(monkeypatch).of(policies.Statement, "applies").of(roles, "may_be_named")
    counts = []
    for some in (100, 1_000):
        counted.calls = 0
        more: dict[str, Any] = {}
        for number in range(some):
            role = profile_and_role()["Resources"]
            more[f"Role{number}"] = role["Role"]
            profile = {"Roles": [{"Ref": f"Role{number}"}]}
            more[f"Profile{number}"] = role["Profile"] | {"Properties": profile}
            more[f"Own{number}"] = policy(ALL, roles=[{"Ref": f"Role{number}"}])
            more[f"Loose{number}"] = policy(allow("s3:*"), roles=[{"Ref": f"Name{number}"}])
            more[f"Shared{number}"] = policy(allow("ssm:*"), roles=[{"Ref": "Role"}])
        check(profile_and_role(**more))
        counts.append(counted.calls)

    assert counts[1] < 11 * counts[0]


def test_each_resource_is_read_once(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch).of(Assembly, "value")
    counts = []
    for some in (10, 100):
        counted.calls = 0
        names = [{"Fn::GetAtt": ["Role", "Arn"]}, {"Ref": "Role"}, {"Ref": "Name"}]
        more = {f"Policy{number}": policy(ALL, roles=names) for number in range(some)}
        check(profile_and_role(**more))
        counts.append(counted.calls)

    assert counts[1] < 11 * counts[0]


OPENED: Final[dict[str, Callable[[int], dict[str, Any]]]] = {
    "Fn::Sub": lambda times: policy(ALL, roles=[{"Fn::Sub": "${" * times}]),
    "Fn::Sub that closes": lambda times: policy(ALL, roles=[{"Fn::Sub": "${a}-" * times}]),
    "dynamic reference": lambda times: policy(ALL, roles=["{{resolve:" * times]),
    "dynamic reference that closes": lambda times: policy(ALL, roles=["{{resolve:a}}" * times]),
    "action": lambda times: policy(allow("${" * times)),
    "action that closes": lambda times: policy(allow("${a}" * times)),
    "resource": lambda times: policy(allow("ssm:*", on="${" * times)),
}


@pytest.mark.untraced
@pytest.mark.parametrize("kind", OPENED)
def test_cost_of_a_text_that_opens_over_and_over(check: Check, kind: str) -> None:
    """Ten times as long a text takes about ten times as long, and not a hundred times."""
    took = []
    for times in (10_000, 100_000):
        body = profile_and_role(NAMED | inline(ALL), Policy=OPENED[kind](times))
        runs = []
        for _ in range(3):
            start = time.process_time()
            check(body)
            runs.append(time.process_time() - start)
        took.append(min(runs))

    assert took[1] < 40 * took[0]
