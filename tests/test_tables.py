"""What is made from one source is as that source has it; and the source is what the code does."""

import inspect
import re
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import pytest
import tables
from aws_cdk import aws_iam as iam

from session_manager_permissions import (
    SessionManagerAccess,
    SessionManagerFleet,
    SessionManagerOptions,
    SessionManagerPermissions,
    SessionPreferences,
    session_manager_statements,
)
from session_manager_permissions._app import CONTEXT
from session_manager_permissions._constructs.endpoints import _IDS
from session_manager_permissions._limits import MAX_INLINE_POLICIES, MAX_MANAGED_POLICY
from session_manager_permissions._readiness.rules import READY, RULES
from session_manager_permissions._verify.checks import CHECKS, ORDER, PERMISSIONS
from session_manager_permissions._verify.document import LiveDocument
from session_manager_permissions._verify.identity import _FIRST_WITH_ACCOUNT_ROLE
from session_manager_permissions._verify.keys import LiveKey
from session_manager_permissions._verify.live_roles import LiveRole
from session_manager_permissions._verify.operators import _SIGNS_CHANNEL
from session_manager_permissions._verify.questions import Agent, Bucket, Uses

from .conftest import ROOT
from .keys import existing_key
from .places import HERE, key_arn, role_arn
from .templates import as_list
from .test_readme import code, table
from .verify.nodes import World, session_in

REGIONS: Final = [
    pytest.param(path, match["name"], match["text"], id=f"{path.stem}: {match['name']}")
    for path in tables.pages()
    for match in tables.REGION.finditer(path.read_text("utf-8"))
]
SESSIONS: Final = inspect.signature(SessionPreferences.grant_start_session).parameters
CAUSES_FOUND: Final = {tables.cause_of(name) for name in (*RULES, *ORDER)} - {READY.id}


@pytest.mark.parametrize(("path", "name", "text"), REGIONS)
def test_each_region_is_what_its_source_makes(path: Path, name: str, text: str) -> None:

    assert text == tables.made(name, path.relative_to(ROOT).as_posix()), "run `make tables`"


@pytest.mark.parametrize("path", tables.PICTURES, ids=lambda path: path.name)
def test_each_picture_is_what_the_command_prints(path: Path) -> None:
    assert path.read_text("utf-8") == tables.PICTURES[path](), "run `make tables`"


def test_every_table_that_can_be_made_is_somewhere() -> None:

    assert {str(each.values[1]) for each in REGIONS} == {
        *tables.MAKERS,
        *(f"arguments {name}" for name in tables.CALLABLES),
        *(f"fields {name}" for name in tables.ANSWERS),
        *(f"measured {name}" for name in tables.MEASURED),
        *(f"messages {heading}" for heading in {*tables.said()} - {"Warnings"}),
        *(f"options {name}" for name in tables.commands()),
        *(
            f"statuses {name}"
            for name, parser in tables.commands().items()
            if "exit status" in str(parser.epilog)
        ),
    }


def test_each_begin_has_its_end() -> None:
    for path in tables.pages():
        text = path.read_text("utf-8")
        regions = len(tables.REGION.findall(text))
        assert text.count("<!-- made by:") == text.count("<!-- end -->") == regions, path


@pytest.mark.parametrize("name", tables.CALLABLES)
def test_each_argument_is_documented_with_its_default(name: str) -> None:
    parameters = inspect.signature(tables.CALLABLES[name]).parameters
    documented = tables.documented(tables.CALLABLES[name])

    assert [*documented] == [one for one in parameters if one != "self"]
    for argument, text in documented.items():
        default = parameters[argument].default
        assert ("Default: - " in text) == (default is not inspect.Parameter.empty)
        said = tables.meaning_and_default(text)[1]
        if isinstance(default, bool | str):
            assert said.startswith(f"`{default}`")
        else:
            assert not said.startswith("`False`")


def test_each_option_is_documented_alike_wherever_it_means_the_same() -> None:
    first, *others = (
        {
            argument: text
            for argument, text in tables.documented(function).items()
            if argument in SessionManagerOptions.__annotations__
        }
        for function in (
            session_manager_statements,
            SessionManagerPermissions.__init__,
            SessionManagerFleet.__init__,
            SessionManagerAccess.__init__,
        )
    )

    assert others == [first, first, first]


@pytest.mark.parametrize(("looks_like", "number"), [
    (r"\b1\.2\.\d+\.\d+\b", _SIGNS_CHANNEL),
    (r"\b3\.2\.\d+\.\d+\b", _FIRST_WITH_ACCOUNT_ROLE),
    (r"\b10,2\d\d\b", f"{MAX_INLINE_POLICIES:,}"),
    (r"\b6,1\d\d\b", f"{MAX_MANAGED_POLICY:,}"),
], ids=["the plug-in", "the agent", "inline policies", "a managed policy"])  # fmt: skip
def test_a_number_that_pages_repeat_is_that_of_the_code(looks_like: str, number: str) -> None:
    written = "".join(path.read_text("utf-8") for path in tables.pages())
    for measured in tables.MEASURED["versions"]:  # those of a measurement stay
        written = written.replace(measured["version"], "")

    assert {*re.findall(looks_like, written)} == {number}


def test_the_endpoints_are_those_of_the_construct() -> None:

    assert re.findall(r"^\| `(\w+)`", tables.endpoints(""), re.MULTILINE) == [*_IDS, "s3"]


def granted(*, has_key: bool = True, **options: Any) -> list[tuple[str, list[str], object]]:  # noqa: ANN401
    """The statements that an operator is granted: the Sid, the actions and the resources."""
    stack = cdk.Stack(env=HERE)
    existing = SessionPreferences.from_document_name(
        stack, "Preferences", encryption_key=existing_key(stack) if has_key else None
    )
    operators = iam.ManagedPolicy(stack, "Operators")
    existing.grant_start_session(operators, instance_tags={"team": "web"}, **options)
    return [
        (one.get("Sid", "none")[:-8] or "none", as_list(one["Action"]), one["Resource"])
        for one in stack.resolve(operators.document)["Statement"]
    ]


def test_the_statements_of_an_operator_are_those_granted() -> None:
    rows = table("Sid", (ROOT / "docs/preferences.md").read_text("utf-8"))
    kinds = [name for name in SESSIONS if name.startswith("allow_")]
    least = granted(has_key=False)

    assert [(row[0].strip("`…"), code(row[1])) for row in rows] == [
        (sid.removesuffix("none") or "none", actions)
        for sid, actions, _ in granted(**dict.fromkeys(kinds, True))
    ]
    for kind in kinds:
        found = granted(has_key=False, **{kind: True})
        documents = re.findall("AWS-[A-Za-z]+", str(found[1][2]))
        said = re.findall(rf"with `{kind}` ((?:`AWS-\w+`(?:, )?)+)", rows[1][2])
        assert [name for names in said for name in code(names)] == documents
        added = [actions for _, actions, _ in found[len(least) :]]
        assert [code(row[1]) for row in rows if code(row[3]) == [kind]] == added


def test_an_operator_is_granted_each_call_of_the_client() -> None:
    actions = {action for _, actions, _ in granted() for action in actions}

    assert {call["action"] for call in tables.MEASURED["operator"]} == actions


def test_the_capabilities_are_asked_about_as_the_page_says() -> None:
    key = LiveKey(key_arn(), key_arn())
    document, bucket = LiveDocument(log_bucket="logs", log_group="logs"), Bucket(key=key)
    uses = Uses(document, keys=(key,), bucket=bucket)
    agent = Agent(session=session_in(World()), role=LiveRole(role_arn()), uses=uses)
    asked = {q.capability: {one.action for one in (*q.calls, *q.apart)} for q in agent.questions()}
    rows = table("capability", (ROOT / "docs/verify.md").read_text("utf-8"))

    said = {row[0].strip("`"): {name for name in code(row[2]) if ":" in name} for row in rows}

    assert said == asked


def test_the_credentials_for_a_role_are_those_of_the_help() -> None:
    rows = table("permission", (ROOT / "docs/verify.md").read_text("utf-8"))
    listed = {row[0].strip("`") for row in rows}

    assert listed == {*re.findall(r"\b[a-z]+:[A-Z]\w+", str(tables.commands()["verify"].epilog))}
    assert listed <= {*PERMISSIONS}


def test_the_options_of_the_app_are_those_that_it_takes() -> None:
    parameters = inspect.signature(SessionManagerPermissions.__init__).parameters
    rows = table("context", (ROOT / "docs/existing-profiles.md").read_text("utf-8"))

    assert {row[0].strip("`"): " or ".join(code(row[1])) for row in rows} == CONTEXT
    for name, _, _, default in rows:
        parameter = parameters.get(name.strip("`").replace("-", "_"))
        if parameter and isinstance(parameter.default, bool):
            assert code(default) == [str(parameter.default).lower()]


def test_each_cause_has_a_page_and_no_other_has() -> None:

    assert {path.stem for path in (ROOT / "docs/causes").glob("*.md")} == CAUSES_FOUND | {"index"}
    assert {one.cause for one in CHECKS.values() if one.cause} <= {*RULES}


@pytest.mark.parametrize("name", sorted(CAUSES_FOUND))
def test_a_page_shows_the_cause_wherever_it_is_found(name: str) -> None:
    text = (ROOT / f"docs/causes/{name}.md").read_text("utf-8")
    shown = {region["name"] for region in tables.REGION.finditer(text)}
    checks = [check for check in ORDER if tables.cause_of(check) == name]

    assert text.startswith(f"# {name}\n")
    assert "cause" in shown
    assert ("synthesis" in shown) == (name in RULES)
    assert ("live" in shown) == (bool(checks) or name in tables.SHOWN)
