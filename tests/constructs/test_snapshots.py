"""Whole templates of typical uses: Sids, names and logical ids are contract."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from syrupy.extensions.json import JSONSnapshotExtension

from session_manager_permissions import SessionManagerPermissions
from session_manager_permissions import _app as real_app
from tests.cfn_lint import lint
from tests.conftest import MakeApp, owned_role, template
from tests.scenarios import all_owned

if TYPE_CHECKING:
    from collections.abc import Callable

    from syrupy.assertion import SnapshotAssertion

pytestmark = pytest.mark.untraced


def default(app: cdk.App) -> cdk.Stack:
    stack = cdk.Stack(app, "Stack")
    profile = iam.InstanceProfile(stack, "Profile", role=owned_role(stack))
    SessionManagerPermissions(stack, "Permissions", instance_profile=profile)
    return stack


def every_option_owned(app: cdk.App) -> cdk.Stack:
    stack = cdk.Stack(app, "Stack")
    role = owned_role(stack)
    SessionManagerPermissions(stack, "Permissions", role=role, **all_owned(stack))
    return stack


def example(app: cdk.App) -> cdk.Stack:
    real_app.show_example(app)
    (stack,) = (child for child in app.node.children if isinstance(child, cdk.Stack))
    return stack


@pytest.mark.parametrize(
    "build", [default, every_option_owned, example], ids=lambda build: str(build.__name__)
)
def test_the_template_is_as_it_was(
    make_app: MakeApp, build: Callable[[cdk.App], cdk.Stack], snapshot: SnapshotAssertion
) -> None:
    plain, minimized = (
        template(build(make_app(**{"@aws-cdk/aws-iam:minimizePolicies": minimize})))
        for minimize in (False, True)
    )
    assert plain == snapshot.use_extension(JSONSnapshotExtension)
    # Each statement has a Sid, and its actions are in order: there is nothing to minimize.
    assert minimized == plain
    assert lint(json.dumps(plain)) == []
