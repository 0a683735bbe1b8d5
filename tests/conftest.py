from __future__ import annotations

import functools
import gc
import itertools
import json
import os
import re
import runpy
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk.cloudformation_include import CfnInclude, CfnIncludeProps
from hypothesis import HealthCheck, is_hypothesis_test, settings

from .browser import browser  # noqa: F401 # a fixture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aws_cdk.cloudformation_include import IncludedNestedStack
    from constructs import Construct

# What a search by chance finds is for who searches, not for who waits for a build.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# Each draw makes all that it changes anew: it may share the fixtures of its test with the others.
BY_CHANCE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

# What jsii makes stays until the process ends: to look through all of it again and again takes a
# quarter of the time.
gc.set_threshold(100_000)


LONGEST = ("test_typing.py", "test_verdicts.py")
"""The files whose tests take longest, apart from those that build and install a release."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first. Coverage traces no test that deploys or searches by chance.

    A worker of xdist takes tests off the end of another's list: from the head none is taken, so
    what a module sets up is set up once.
    """
    items.sort(
        key=lambda item: (
            item.get_closest_marker("packaging") is None and item.path.name not in LONGEST
        )
    )
    for item in items:
        # The unit tests reach each branch, and a trace takes as long as what it traces.
        searches = is_hypothesis_test(getattr(item, "function", None))
        if searches or {"deploy", "packaging"} & {mark.name for mark in item.iter_markers()}:
            item.add_marker("untraced")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Trace neither an `untraced` test nor the threads that it starts.

    In a worker of xdist, pytest-cov starts two traces, and its own marker `no_cover` ends one. Who
    asks which tests reach a line, by `--cov-context`, asks about these too.
    """
    traces = sys.gettrace(), threading.gettrace()
    if item.get_closest_marker("untraced") and not item.config.getoption("cov_context", None):
        sys.settrace(None)
        threading.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(traces[0])
        threading.settrace(traces[1])


ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
DATA = ROOT / "tests" / "data"
TEMPLATES = sorted((DATA / "templates").glob("*.json"))
ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
REGION, OTHER_REGION = "eu-west-1", "eu-west-2"
HERE = cdk.Environment(account=ACCOUNT, region=REGION)
ELSEWHERE = cdk.Environment(account=OTHER_ACCOUNT, region=REGION)
THERE = cdk.Environment(account=ACCOUNT, region=OTHER_REGION)
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
ALIAS = "alias/sessions"
EC2 = iam.ServicePrincipal("ec2.amazonaws.com")
# Requests to CDK are counted exactly on the lowest version that is declared, as that one never
# changes. On a newer one a bound will do: a release of CDK is not to turn the build red.
ON_LOWEST_CDK = f'"aws-cdk-lib>={version("aws-cdk-lib")},' in PROJECT

FOR_PROCESSES = {
    "PYTHONPATH": str(ROOT),
    "CDK_VALIDATION": "false",
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
}


class MakeApp(Protocol):
    def __call__(self, **context: object) -> cdk.App: ...


@pytest.fixture
def make_app(tmp_path: Path) -> MakeApp:
    """Make an app; its keyword arguments are its context."""
    number = itertools.count()

    def make(**context: object) -> cdk.App:
        return cdk.App(
            outdir=str(tmp_path / f"cdk.out.{next(number)}"),
            context=context,
            analytics_reporting=False,
            default_stack_synthesizer=cdk.DefaultStackSynthesizer(
                generate_bootstrap_version_rule=False
            ),
        )

    return make


@pytest.fixture(params=[None, "weak", "both"])
def references(request: pytest.FixtureRequest) -> dict[str, object]:
    """The context of an app: what CDK makes of a reference from one stack to another.

    Exports and imports; outputs that are got by the stack's name, as a fresh `cdk init` has it; or
    both kinds.
    """
    if request.param is None:
        return {}
    return {"@aws-cdk/core:defaultCrossStackReferences": request.param}


def crosses(value: object) -> bool:
    """Whether a part of a template refers to another stack, in either kind."""
    written = json.dumps(value)
    return '"Fn::ImportValue"' in written or '"Fn::GetStackOutput"' in written


@pytest.fixture
def stack(make_app: MakeApp) -> cdk.Stack:
    """An environment-agnostic stack."""
    return cdk.Stack(make_app(), "Stack")


@pytest.fixture
def stack_here(make_app: MakeApp) -> cdk.Stack:
    """A stack of a known account and region."""
    return cdk.Stack(make_app(), "Stack", env=HERE)


def app_of(construct: Construct) -> cdk.Stage:
    """The app, or the stage, that the construct is in."""
    found = cdk.Stage.of(construct)
    assert found
    return found


def synth(construct: Construct) -> Path:
    """The folder that the construct's app, or stage, is synthesized to as it is now."""
    return Path(app_of(construct).synth(force=True).directory)


def template_text(stack: cdk.Stack) -> str:
    return (synth(stack) / stack.template_file).read_text()


def template(stack: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(template_text(stack))
    return found


def resources(stack: cdk.Stack, kind: str) -> dict[str, dict[str, Any]]:
    """The resources of one type, by logical id."""
    found = template(stack).get("Resources", {})
    return {name: body for name, body in found.items() if body["Type"] == kind}


def policy(stack: cdk.Stack) -> dict[str, Any]:
    """The properties of the one policy in the stack's template."""
    (found,) = resources(stack, "AWS::IAM::Policy").values()
    properties: dict[str, Any] = found["Properties"]
    return properties


def statements(stack: cdk.Stack) -> dict[str, dict[str, Any]]:
    """The statements of the stack's one policy, by Sid."""
    found = policy(stack)["PolicyDocument"]["Statement"]
    by_sid = {statement["Sid"]: statement for statement in found}
    assert len(by_sid) == len(found)
    return by_sid


def warnings(stack: cdk.Stack) -> list[str]:
    """The texts that the CLI shows as warnings of the stack, without CDK's own."""
    artifact = app_of(stack).synth(force=True).get_stack_artifact(stack.artifact_id)
    return [
        str(message.entry.data)
        for message in artifact.messages
        if message.level.value == "WARNING" and "[ack: @aws-cdk/" not in str(message.entry.data)
    ]


def warned(stack: cdk.Stack) -> list[str]:
    """The ids of the stack's warnings, without what all of them begin with."""
    return re.findall(r"\[ack: session-manager-permissions:(.*?)\]", "\n".join(warnings(stack)))


def included_nested(stack: cdk.Stack, inner: Path) -> IncludedNestedStack:
    """Include a template that has this one for a nested stack."""
    body = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "inner"}}
    outer = inner.with_name("outer.json")
    outer.write_text(json.dumps({"Resources": {"Nested": body}}), encoding="utf-8")
    loaded = {"Nested": CfnIncludeProps(template_file=str(inner))}
    included = CfnInclude(stack, "Outer", template_file=str(outer), load_nested_stacks=loaded)
    return included.get_nested_stack("Nested")


def asked_for(assembly: Path) -> list[dict[str, Any]]:
    """What the CLI would look up before it synthesizes again."""
    manifest = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = manifest.get("missing", [])
    return found


def lookups(construct: Construct) -> list[dict[str, Any]]:
    """What the CLI would look up for the construct's app."""
    return asked_for(synth(construct))


def errors_of_the_cli(assembly: Path) -> dict[str, str]:
    """What the CLI shows as errors of an app that has been synthesized, by the constructs' ids."""
    return {
        path.rpartition("/")[2]: entry["data"]
        for file in assembly.glob("*.metadata.json")
        for path, entries in json.loads(file.read_text(encoding="utf-8")).items()
        for entry in entries
        if entry["type"] == "aws:cdk:error"
    }


def answered(
    make_app: MakeApp, use: Callable[[cdk.Stack], object], answer: object, account: str = ACCOUNT
) -> cdk.Stack:
    """A stack that uses what is looked up, once the CLI has asked for the answer."""

    def build(**context: object) -> cdk.Stack:
        env = cdk.Environment(account=account, region=REGION)
        stack = cdk.Stack(make_app(**context), "Stack", env=env)
        use(stack)
        return stack

    asking = build()
    (asked,) = lookups(asking)
    assert warnings(asking) == []
    found = build(**{asked["key"]: answer})
    assert lookups(found) == []
    return found


def customized(app: cdk.App, where: str = "app", *, prevent_synthesis: bool = True) -> cdk.Stack:
    """A stack whose roles others create, as the app or the stack alone says."""
    paths = ("Stack/Role", "Stack/Owned", "Stack/Cluster/Role")
    scope = app if where == "app" else cdk.Stack(app, "Stack", env=HERE)
    iam.Role.customize_roles(
        scope,
        prevent_synthesis=prevent_synthesis,
        use_precreated_roles=dict.fromkeys(paths, "Existing"),
    )
    return scope if isinstance(scope, cdk.Stack) else cdk.Stack(app, "Stack", env=HERE)


def reported(stack: cdk.Stack) -> dict[str, list[dict[str, Any]]]:
    """The statements in the report for those who create the roles, by the role's path."""
    report = json.loads((synth(stack) / "iam-policy-report.json").read_text())
    return {role["roleConstructPath"]: role["identityPolicyStatements"] for role in report["roles"]}


def role_arn(name: str = "Existing", account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def key_arn(region: str = REGION, account: str = ACCOUNT, resource: str = f"key/{KEY_ID}") -> str:
    return f"arn:aws:kms:{region}:{account}:{resource}"


def owned_role(scope: Construct, construct_id: str = "Owned", name: str | None = None) -> iam.Role:
    return iam.Role(scope, construct_id, assumed_by=EC2, role_name=name)


TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "ec2.amazonaws.com"},
        }
    ],
}
"""That EC2 may assume a role."""


def l1_role(scope: Construct, construct_id: str = "L1", name: str | None = None) -> iam.CfnRole:
    return iam.CfnRole(scope, construct_id, assume_role_policy_document=TRUST, role_name=name)


def existing_role(
    scope: Construct, construct_id: str = "Existing", name: str = "Existing"
) -> iam.IRole:
    return iam.Role.from_role_name(scope, construct_id, name)


def existing_key(
    scope: Construct,
    construct_id: str = "Key",
    *,
    region: str = REGION,
    account: str = ACCOUNT,
    resource: str = f"key/{KEY_ID}",
) -> kms.IKey:
    return kms.Key.from_key_arn(scope, construct_id, key_arn(region, account, resource))


REAL_APP = cdk.App


def run_app(
    patch: pytest.MonkeyPatch,
    folder: Path,
    context: Mapping[str, object],
    environment: Mapping[str, str],
    app: str = "app.py",
) -> None:
    """Run an app of the repository with these `-c`, to this folder and in this process."""
    for name in ("ACCOUNT", "REGION"):
        patch.setenv(f"CDK_DEFAULT_{name}", environment.get(name, ""))
    patch.setattr(cdk, "App", functools.partial(REAL_APP, outdir=str(folder), context=context))
    runpy.run_path(str(ROOT / app), run_name="__main__")


def run(
    *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a process to its end, in the environment of this one if no other is given."""
    return subprocess.run(  # noqa: S603
        command,
        cwd=cwd,
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def run_python(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A Python process of its own that finds the project, whatever is installed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CDK_")}
    return run(sys.executable, *arguments, cwd=cwd, env=inherited | FOR_PROCESSES | dict(env or {}))
