import functools
import gc
import itertools
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import aws_cdk as cdk
import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from .browser import browser  # noqa: F401 # a fixture
from .places import HERE

# Random searches are for those who look for faults, and must not fail an unrelated build.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# Each example makes everything that it changes, so all examples of a test can share its fixtures.
BY_CHANCE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

# What jsii makes stays until the process ends: to look through all of it again and again takes a
# quarter of the time.
gc.set_threshold(100_000)


LONGEST = ("test_typing.py", "test_verdicts.py")
"""The files whose tests take longest, apart from those that build and install a release."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first. Coverage does not trace tests that deploy or search at random.

    An xdist worker takes tests from the end of another worker's list, and never from the beginning,
    so that the setup of a module there runs only once.
    """
    items.sort(
        key=lambda one: not (one.get_closest_marker("packaging") or one.path.name in LONGEST)
    )
    for item in items:
        # The unit tests reach each branch, and a trace takes as long as what it traces.
        searches = is_hypothesis_test(getattr(item, "function", None))
        if searches or {"deploy", "packaging"} & {mark.name for mark in item.iter_markers()}:
            item.add_marker("untraced")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Trace neither an `untraced` test nor the threads that it starts.

    In an xdist worker, pytest-cov starts two traces, and its own marker `no_cover` ends only one.
    With `--cov-context`, which records the tests that reach a line, these tests are traced as well.
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
    """The context that decides how CDK writes a reference from one stack to another.

    Exports and imports; outputs that are got by the stack's name, as a fresh `cdk init` has it; or
    both kinds.
    """
    if request.param is None:
        return {}
    return {"@aws-cdk/core:defaultCrossStackReferences": request.param}


@pytest.fixture
def stack(make_app: MakeApp) -> cdk.Stack:
    """An environment-agnostic stack."""
    return cdk.Stack(make_app(), "Stack")


@pytest.fixture
def stack_here(make_app: MakeApp) -> cdk.Stack:
    """A stack of a known account and region."""
    return cdk.Stack(make_app(), "Stack", env=HERE)


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
    piped: Any = {"capture_output": True, "text": True, "timeout": 600}
    return subprocess.run(command, cwd=cwd, env=env, input=stdin, check=False, **piped)  # noqa: S603


def run_python(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A Python process of its own that finds the project, whatever is installed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CDK_")}
    return run(sys.executable, *arguments, cwd=cwd, env=inherited | FOR_PROCESSES | dict(env or {}))
