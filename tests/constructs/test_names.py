"""Names: roles are global, so a policy's must differ wherever two could meet, and never move."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from constructs import Construct
from hypothesis import example, given, settings
from hypothesis import strategies as st

from session_manager_permissions import SessionManagerPermissions
from tests.builders import grown
from tests.conftest import BY_CHANCE, MakeApp
from tests.keys import existing_key
from tests.places import HERE, OTHER_REGION, REGION
from tests.reading import policy, resources
from tests.roles import existing_role
from tests.scenarios import SCENARIOS


def name_of(stack: cdk.Stack) -> str:
    SessionManagerPermissions(stack, "Permissions", role=existing_role(stack))
    name: str = policy(stack)["PolicyName"]
    assert re.fullmatch(r"[\w+=,.@-]{1,128}", name, re.ASCII)
    return name


@pytest.mark.parametrize(("one", "another"), [
    ("StackA", "StackB"),
    ("StageA/Stack", "StageB/Stack"),
    ("Stack/NestedA", "Stack/NestedB"),
    ("StackA/Nested", "StackB/Nested"),
    ("Stack", "Stack/Nested"),
    ("StackA/NestedB-NestedC", "StackA-NestedB/NestedC"),  # which read the same
])  # fmt: skip
def test_two_stacks_get_two_names(make_app: MakeApp, one: str, another: str) -> None:
    app = make_app()
    assert name_of(grown(app, one)) != name_of(grown(app, another))


def test_a_name_tells_its_stack_construct_and_region(make_app: MakeApp) -> None:
    assert re.fullmatch(r"Stack-Permissions-[0-9A-F]{8}", name_of(cdk.Stack(make_app(), "Stack")))
    for region in (REGION, OTHER_REGION):
        env = cdk.Environment(region=region)
        named = cdk.Stack(make_app(), "Stack", stack_name="Named", env=env)
        assert re.fullmatch(rf"Named-Permissions-[0-9A-F]{{8}}-{region}", name_of(named))
    assert len(name_of(cdk.Stack(make_app(), "S" * 128))) == 128  # all that IAM takes


# CDK keeps children in an object of JavaScript, which has a `__proto__` already.
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200).filter(
    lambda name: name != "__proto__"
)


@settings(BY_CHANCE, max_examples=40)
@given(
    stack_name=st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,127}", fullmatch=True),
    ids=st.lists(IDS, max_size=5),
    region=st.sampled_from([None, REGION, "us-isob-east-1", "ap-southeast-2"]),
)
@example(stack_name="S" * 128, ids=["i" * 200] * 5, region="ap-southeast-2")
@example(stack_name="S", ids=["Default", "Resource", "Permissions"], region=None)
@example(stack_name="S", ids=["é", "/", "秘密", " "], region=REGION)
def test_a_name_is_one_that_iam_takes_however_long_the_path(
    tmp_path: Path, stack_name: str, ids: list[str], region: str | None
) -> None:
    def build(last: str) -> str:
        app = cdk.App(outdir=str(tmp_path))
        scope: Construct = cdk.Stack(app, stack_name, env=cdk.Environment(region=region))
        for construct_id in ids:
            scope = Construct(scope, construct_id)
        permissions = SessionManagerPermissions(scope, last, role=existing_role(scope))
        name: Any = cdk.Stack.of(scope).resolve(permissions.policy.policy_name)
        assert re.fullmatch(r"[\w+=,.@-]{1,128}", name, re.ASCII)
        return str(name)

    assert build("Permissions") == build("Permissions") != build("Others")


def test_no_option_key_or_role_moves_the_logical_id_or_the_name(make_app: MakeApp) -> None:
    def build(
        options: Callable[[cdk.Stack], Mapping[str, Any]] = lambda _: {},
        change: Callable[[cdk.Stack, SessionManagerPermissions], object] = lambda _, __: None,
    ) -> tuple[str, str]:
        stack = cdk.Stack(make_app(), "Stack", env=HERE)
        role = existing_role(stack)
        made = SessionManagerPermissions(stack, "Permissions", role=role, **options(stack))
        change(stack, made)
        ((logical_id, body),) = resources(stack, "AWS::IAM::Policy").items()
        return logical_id, body["Properties"]["PolicyName"]

    before = build()
    assert before[0] == "PermissionsPolicyB6C46DEA"
    assert {build(options) for options in SCENARIOS.values()} == {before}
    assert build(change=lambda s, p: p.add_encryption_key(existing_key(s))) == before
    assert build(change=lambda s, p: p.attach_to_role(existing_role(s, "B", "B"))) == before
    assert build(lambda _: {"policy_name": "Sessions"}) == (before[0], "Sessions")
