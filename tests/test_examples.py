"""The examples: each is an app, and what it synthesizes is what it was."""

import configparser
import functools
import json
import os
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from session_manager_permissions import session_manager_statements
from session_manager_permissions._verify.command import main
from tests.cfn_lint import lint

from .conftest import PROJECT, ROOT, run, run_python
from .keys import existing_key
from .templates import deployed

Template: TypeAlias = dict[str, Any]
Synthesized: TypeAlias = Callable[[str], dict[str, Template]]

EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/app.py"))


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """What `cdk synth` makes of an example, by the file's name: each once."""

    @functools.cache
    def templates(name: str) -> dict[str, Template]:
        example, folder = ROOT / "examples" / name, tmp_path_factory.mktemp(name)
        context = json.loads((example / "cdk.json").read_text())["context"]
        looked_up = example / "cdk.context.json"
        context |= json.loads(looked_up.read_text()) if looked_up.exists() else {}
        done = run_python(
            str(example / "app.py"),
            cwd=folder,
            env={"CDK_OUTDIR": str(folder / "cdk.out"), "CDK_CONTEXT_JSON": json.dumps(context)},
        )
        assert done.returncode == 0, done.stderr
        made = sorted((folder / "cdk.out").rglob("*.template.json"))
        return {path.name: json.loads(path.read_text()) for path in made}

    return templates


def with_member(found: dict[str, Template]) -> tuple[Template, Template]:
    """The template of the administrator's account, and the one of the member accounts."""
    (member,) = (name for name in found if name.endswith(".stackset.template.json"))
    (admin,) = found.keys() - {member}
    return found[admin], found[member]


def of_type(template: Template, kind: str) -> list[dict[str, Any]]:
    return [body["Properties"] for body in template["Resources"].values() if body["Type"] == kind]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_each_example_is_an_app_that_installs_what_it_is_tested_with(example: Path) -> None:
    """Packages that a build installs have the build's credentials, which reach every account."""
    assert json.loads((example / "cdk.json").read_text())["app"] == "python3 app.py"
    app = (example / "app.py").read_text(encoding="utf-8")
    imports = re.findall(r"^(?:import|from) (\w+)", app, re.MULTILINE)
    packages = {name.replace("_", "-") for name in {*imports} - sys.stdlib_module_names}
    required = (example / "requirements.txt").read_text(encoding="utf-8")
    assert {*re.findall(r"^[\w-]+", required, re.MULTILINE)} == {
        "session-manager-permissions",
        *("aws-cdk-lib" if package == "aws-cdk" else package for package in packages),
    }
    (version,) = re.findall(r'^version = "(.*)"$', PROJECT, re.MULTILINE)
    versions = {
        **dict(re.findall(r'"(cdk-stacksets)==(.*)"', PROJECT)),
        "session-manager-permissions": version,
        **json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"],
    }
    for line in required.split():
        name, found = re.sub(r"\[\w+\]", "", line).split("==")
        assert found == versions.get(name, found), name
    assert {*re.findall(r'^PACKAGE = ".*==(.*)"$', app, re.MULTILINE)} <= {version}
    assert {*re.findall(r'^CLI = "(.*)"$', app, re.MULTILINE)} <= {versions["aws-cdk"]}


def test_no_build_of_an_example_installs_what_is_not_pinned(synthesized: Synthesized) -> None:
    projects = [
        json.dumps(project)
        for template in (*synthesized("audit").values(), *synthesized("pipeline").values())
        for project in of_type(template, "AWS::CodeBuild::Project")
    ]
    installed = {
        command
        for project in projects
        for command in re.findall(r"(?:pip install|npx|npm install)[^\\]*", project)
    }

    assert installed
    pip = r"pip install ('[\w\[\]-]+==[\d.]+'|-r requirements.txt)"
    npm = r"(npx --yes|npm install -g) [\w-]+@\d+\.\d+\.\d+( .*)?"
    assert [one for one in installed if not re.fullmatch(f"{pip}|{npm}", one)] == []


@pytest.mark.parametrize("example", ["organization", "audit"])
def test_the_administrator_rolls_out_what_every_account_gets(
    synthesized: Synthesized, snapshot: SnapshotAssertion, example: str
) -> None:
    administrator, member = with_member(synthesized(example))
    assert lint(json.dumps(administrator)) == lint(json.dumps(member)) == []
    (stack_set,) = of_type(administrator, "AWS::CloudFormation::StackSet")
    assert stack_set.pop("TemplateURL")  # the hash of the member's
    assert [administrator, member] == snapshot(extension_class=JSONSnapshotExtension)


def test_what_the_pipeline_deploys(synthesized: Synthesized, snapshot: SnapshotAssertion) -> None:
    resources = {
        name: template["Resources"]
        for name, template in synthesized("pipeline").items()
        if of_type(template, "AWS::SSM::Document")
    }
    assert resources == snapshot(extension_class=JSONSnapshotExtension)


def test_when_the_pipeline_asks(synthesized: Synthesized, snapshot: SnapshotAssertion) -> None:
    template = synthesized("pipeline")["SessionManagerPipeline.template.json"]
    (found,) = of_type(template, "AWS::CodePipeline::Pipeline")
    stages = {
        stage["Name"]: {action["Name"]: action["RunOrder"] for action in stage["Actions"]}
        for stage in found["Stages"]
    }
    specs = [
        json.loads(project["Source"]["BuildSpec"])
        for project in of_type(template, "AWS::CodeBuild::Project")
        if "session-manager-permissions verify" in json.dumps(project)
    ]
    roles = {
        statement["Resource"]
        for policy in of_type(template, "AWS::IAM::Policy")
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == "sts:AssumeRole" and "-lookup-role-" in str(statement["Resource"])
    }
    asked = sorted(spec["phases"]["build"]["commands"][-1] for spec in specs)
    said = {"stages": stages, "asked": asked, "by the roles": sorted(roles)}
    assert said == snapshot(extension_class=JSONSnapshotExtension)


def characters(document: dict[str, Any]) -> int:
    """The number of characters that IAM counts in a policy."""
    return len(json.dumps(deployed(document), separators=(",", ":")))


def test_the_sizes_in_the_docs_are_synthesized(stack: cdk.Stack, synthesized: Synthesized) -> None:
    key, alias = existing_key(stack), existing_key(stack, "Alias", resource="alias/sessions")
    bucket = s3.Bucket.from_bucket_attributes(
        stack,
        "Bucket",
        bucket_arn="arn:aws:s3:::session-logs-of-the-organization",
        encryption_key=existing_key(stack, "BucketKey"),
    )
    every = session_manager_statements(
        encryption_key=alias,
        allow_registration=True,
        decrypt_sessions_only=True,
        log_bucket=bucket,
        log_prefix="sessions",
        log_group=logs.LogGroup.from_log_group_name(stack, "Group", "/session-manager/logs"),
    )
    (of_example,) = of_type(with_member(synthesized("organization"))[1], "AWS::IAM::Policy")

    def size(statements: list[iam.PolicyStatement]) -> int:
        return characters(stack.resolve(iam.PolicyDocument(statements=statements)))

    page = (ROOT / "docs" / "organizations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:default|that of|every)[^|]*) \| ([\d,]+) \|$", page, re.MULTILINE)
    assert {name: int(number.replace(",", "")) for name, number in rows} == {
        "default": size(session_manager_statements()),
        "default with a key": size(session_manager_statements(encryption_key=key)),
        "that of the example: an alias in three regions": characters(of_example["PolicyDocument"]),
        "every option, each once": size(every),
    }


def test_cdk_nag_finds_what_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls that read have no resource; a log of accesses and a key are each user's choice."""
    cdk_nag = pytest.importorskip("cdk_nag")  # which the lowest CDK is not tested with
    app = cdk.App(outdir=str(tmp_path))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    monkeypatch.setattr(cdk, "App", lambda: app)
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        runpy.run_path(str(ROOT / "examples" / "audit" / "app.py"), run_name="__main__")
    report = json.loads((tmp_path / "validation-report.json").read_text(encoding="utf-8"))
    (plugin,) = report["pluginReports"]
    assert {violation["ruleName"].partition("[")[0] for violation in plugin["violations"]} == {
        "AwsSolutions-CB4",
        "AwsSolutions-IAM5",
        "AwsSolutions-S1",
    }


def test_the_role_may_audit(synthesized: Synthesized, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--print-permissions"]) == 0
    printed = json.loads(capsys.readouterr().out)
    file = ROOT / "examples" / "audit" / "permissions.json"
    assert json.loads(file.read_text(encoding="utf-8")) == printed
    (role,) = of_type(with_member(synthesized("audit"))[1], "AWS::IAM::Role")
    (policy,) = role["Policies"]
    assert policy["PolicyDocument"] == printed


STUBS = {
    "pip": "",
    "aws": """
case "$2" in
list-stack-instances) printf '222233334444\\n333344445555\\n444455556666\\n' ;;
cp) cp results/* "$UPLOADED" && echo "$5" > "$UPLOADED/to" ;;
esac
""",
    # The account 333344445555 has instances that can't be reached, and 444455556666 no role.
    "session-manager-permissions": """
account=$3
while [ $# -gt 1 ]; do [ "$1" = --file ] && file=$2; shift; done
case "$account" in
333344445555) echo audited > "$file"; exit 1 ;;
444455556666) exit 2 ;;
*) echo audited > "$file" ;;
esac
""",
}


def test_a_build_fails_for_one_without_an_answer(synthesized: Synthesized, tmp_path: Path) -> None:
    administrator, _ = with_member(synthesized("audit"))
    (project,) = of_type(administrator, "AWS::CodeBuild::Project")
    made = administrator["Resources"].items()
    (bucket,) = (name for name, body in made if body["Type"] == "AWS::S3::Bucket")
    spec = json.loads(deployed(project["Source"]["BuildSpec"], **{bucket: "results"}))
    (programs := tmp_path / "bin").mkdir()
    (uploaded := tmp_path / "uploaded").mkdir()
    (folder := tmp_path / "build").mkdir()
    for name, script in STUBS.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
        (programs / name).chmod(0o755)

    env = {"PATH": f"{programs}:{os.environ['PATH']}", "UPLOADED": str(uploaded)}
    commands = "\n".join(spec["phases"]["build"]["commands"])
    done = run("sh", "-e", cwd=folder, env=env, stdin=commands)

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == ["No answer of:", "444455556666"]
    answers = {"222233334444.json", "333344445555.json"}
    assert {path.name for path in uploaded.iterdir()} == {*answers, "index.html", "to"}
    assert re.fullmatch(r"s3://results/\d{4}-\d\d-\d\d\n", (uploaded / "to").read_text())
    config = configparser.ConfigParser()
    config.read(folder / "config")
    assert dict(config["profile 222233334444"]) == {
        "role_arn": "arn:aws:iam::222233334444:role/session-manager-audit",
        "credential_source": "EcsContainer",
    }
    assert len(config.sections()) == 3


def test_operators_get_what_they_had(synthesized: Synthesized, snapshot: SnapshotAssertion) -> None:
    (operators,) = synthesized("operators").values()
    assert operators == snapshot(extension_class=JSONSnapshotExtension)
    assert lint(json.dumps(operators)) == []
