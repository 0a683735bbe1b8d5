"""The rules for cfn-lint, and that `check`, cfn-lint and the plug-in find the same."""

import json
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import aws_cdk as cdk
import pytest
import yaml
from aws_cdk.cloudformation_include import CfnInclude
from cfnlint.config import ConfigMixIn
from cfnlint.decode import decode_str
from cfnlint.formatters import JUnitFormatter, SARIFFormatter
from cfnlint.match import Match
from cfnlint.runner import Runner
from cfnlint.runner.template import run_template_by_file_path

from session_manager_permissions._command import main
from session_manager_permissions._readiness.rules import RULES
from session_manager_permissions.cfn_lint import IDS

from .conftest import ROOT, run, run_app
from .readiness.reports import Report, check_app
from .readiness.test_check import NESTED, NOT_READY, SAM, STACK, synthesize, write

MODULE: Final = "session_manager_permissions.cfn_lint"
NAMES: Final = {id_: name for name, id_ in IDS.items()}
CHECKS: Final = ROOT / "examples/check"
APPS: Final = ["app.py", *(f"examples/{one}/app.py" for one in ("audit", "operators", "pipeline"))]


@cache
def runner() -> Runner:
    of_others = ["--ignore-checks", "E", "W1", "W2", "W3", "W4", "W6", "W7", "W8"]
    return Runner(ConfigMixIn(["-a", MODULE, "-c", "I", *of_others]))


def by_cfn_lint(files: Iterable[Path]) -> list[Match]:
    config, rules = runner().config, runner().rules
    return [
        match
        for file in files
        for match in run_template_by_file_path(str(file), config, rules, False)  # noqa: FBT003
        if match.rule.id in NAMES
    ]


def told(matches: Iterable[Any]) -> set[tuple[str, str, str]]:
    """The rule, the file, and the resource that each match is about."""
    return {(NAMES[one.rule.id], Path(one.filename).name, one.path[1]) for one in matches}


def by_check(capsys: pytest.CaptureFixture[str], path: Path) -> set[tuple[str, str, str]]:
    assert main(["check", "--output", "json", str(path)]) in {0, 1}
    return {
        (one["rule"], Path(where["template"]).name, where["logical_id"])
        for one in json.loads(capsys.readouterr().out)["findings"]
        for where in one["resources"]
    }


def by_plugin(paths: Iterable[Path]) -> set[tuple[str, str, str]]:
    found = Report([*map(str, paths)], strict=False).findings
    return {(one.rule, one.file, one.logical_id) for one in found}


def stacks(folder: Path) -> list[Path]:
    """The templates of the stacks of an app, and of its stages."""
    found = sorted(folder.rglob("*.template.json"))
    return [path for path in found if not path.name.endswith(".nested.template.json")]


@pytest.mark.parametrize("app", APPS)
def test_an_app_in_python(
    app: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = json.loads((ROOT / app).with_name("cdk.json").read_text()).get("context", {})
    run_app(monkeypatch, tmp_path, context, {}, app)

    found = by_plugin(stacks(tmp_path))
    assert by_check(capsys, tmp_path) == found
    assert told(by_cfn_lint(sorted(tmp_path.rglob("*.template.json")))) == found


@pytest.mark.deploy
def test_the_app_in_typescript(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = shutil.copytree(CHECKS / "typescript", tmp_path / "app")
    (example / "node_modules").symlink_to(ROOT / "node_modules")
    assert run("npx", "cdk", "synth", "--quiet", "--no-notices", cwd=example).returncode == 0
    capsys.readouterr()

    # The app acknowledges what its network lacks. The plug-in leaves that to CDK.
    found = by_plugin(stacks(example / "cdk.out"))
    acknowledged = {one for one in found if one[0] == "endpoint-missing"}
    assert {rule for rule, _, _ in found - acknowledged} == {"channel-missing"}
    assert acknowledged
    assert by_check(capsys, example / "cdk.out") == found - acknowledged
    files = sorted((example / "cdk.out").rglob("*.template.json"))
    assert told(by_cfn_lint(files)) == found - acknowledged


@pytest.mark.parametrize("file", [SAM, NESTED])
def test_a_template(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack = cdk.Stack(cdk.App(outdir=str(tmp_path)), "Stack")
    nested = {"Network": {"templateFile": str(file.with_name("network.yaml"))}}
    more: Any = {"load_nested_stacks": nested} if file is NESTED else {}
    CfnInclude(stack, "Included", template_file=str(file), **more)
    found = {(one.rule, one.logical_id) for one in check_app(stack).findings}

    assert found
    assert {(rule, name) for rule, _, name in by_check(capsys, file)} == found
    assert {(rule, name) for rule, _, name in told(by_cfn_lint([file]))} == found


def test_what_a_nested_template_lacks_is_told_where_it_is_deployed(tmp_path: Path) -> None:
    nested = tmp_path / "nested.json"
    nested.write_text(json.dumps(NOT_READY))
    stack = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": nested.name}}
    file = tmp_path / "template.yaml"
    file.write_text(yaml.safe_dump({"Resources": {"Nested": stack}}))

    (match,) = by_cfn_lint([file])
    assert match.message.startswith("nested.json, Profile: Session Manager can't reach")
    assert (match.linenumber, match.rule.id) == (2, "W9501")


def test_a_template_beside_an_app_is_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    artifact = {**STACK, "properties": {"templateFile": "a.json"}}
    write("manifest.json", {"artifacts": {"A": artifact}})
    for file in ("a.json", "b.json"):
        write(file, NOT_READY)

    assert told(by_cfn_lint([Path("b.json")])) == {("channel-missing", "b.json", "Profile")}
    write("manifest.json", {})
    assert by_cfn_lint([Path("a.json")]) == []


def test_what_is_acknowledged_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    synthesize("Web")
    files = sorted(Path("cdk.out").rglob("*.template.json"))

    found = {file.name: told(by_cfn_lint([file])) for file in files}

    assert found.pop("Web.template.json") == set()
    assert found
    for name, matches in found.items():
        assert {file for _, file, _ in matches} <= {name}
    assert any(found.values())


def test_sarif_has_the_rule_and_the_line() -> None:
    written = SARIFFormatter().print_matches(by_cfn_lint([SAM]), runner().rules, runner().config)

    (run,) = json.loads(written)["runs"]
    (result,) = run["results"]
    assert result["ruleId"] == "W9509"
    line = result["locations"][0]["physicalLocation"]["region"]["startLine"]
    assert "HttpEndpoint: disabled" in SAM.read_text(encoding="utf-8").splitlines()[line - 1]
    (rule,) = (one for one in run["tool"]["driver"]["rules"] if one["id"] == "W9509")
    assert "helpUri" not in rule  # which has to be absolute
    assert rule["shortDescription"]["text"] == "Session Manager: metadata-off"


def test_junit_has_a_failure_of_the_rule() -> None:
    written = JUnitFormatter().print_matches(by_cfn_lint([SAM]), runner().rules, runner().config)

    cases = ET.fromstring(written).iter("testcase")  # noqa: S314 # cfn-lint's own
    (failed,) = [one for one in cases if one.find("failure") is not None]
    assert str(failed.get("name")).startswith("W9509")


def test_standard_input_is_read() -> None:
    decoded, _ = decode_str(json.dumps(NOT_READY))

    assert "W9501" in {one.rule.id for one in runner().validate_template(decoded)}


def test_each_rule_has_an_id_that_never_changes() -> None:
    page = (ROOT / "docs/check.md").read_text(encoding="utf-8")

    assert IDS.keys() == RULES.keys() - {"ready"}
    for name, id_ in IDS.items():
        assert f"| `{id_}` | [`{name}`](causes/{name}.md) |" in page
