"""The command `check`: what it reads, what it answers, and with which status."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import pytest
import yaml
from aws_cdk import aws_iam as iam
from syrupy.assertion import SnapshotAssertion

from session_manager_permissions import _causes
from session_manager_permissions._command import main
from session_manager_permissions._readiness.rules import RULES
from session_manager_permissions._readiness.templates import loading
from tests.conftest import PROJECT, ROOT, run
from tests.test_imports import loaded_after

from .reports import inline, machine, profile_and_role
from .statements import ALL, CHANNELS_ONLY, deny
from .test_what_findings_say import Text

Capture = pytest.CaptureFixture[str]

SAM: Final = ROOT / "examples/check/sam/template.yaml"
NESTED: Final = ROOT / "examples/check/templates/servers.yaml"
NOT_READY: Final = profile_and_role()
READY: Final = profile_and_role(inline(ALL))
UNKNOWN: Final = profile_and_role(roles=["web"])
STACK: Final = {"type": "aws:cloudformation:stack"}
UNREAD: Final = {
    "Type": "AWS::CloudFormation::Stack",
    "Properties": {"TemplateURL": "https://example.com/servers.json"},
}
OPEN: Final = profile_and_role(inline(ALL), Server=machine(IamInstanceProfile={"Ref": "Profile"}))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)


def write(name: str, body: object) -> str:
    """Write a template, as JSON unless it is a text."""
    text = body if isinstance(body, str) else json.dumps(body)
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")
    return name


def answer(capsys: Capture, *arguments: str) -> dict[str, Any]:
    status = main(["check", "--output", "json", *arguments])
    out, err = capsys.readouterr()
    assert err == ""
    found: dict[str, Any] = json.loads(out)
    assert found["version"] == 1
    assert status == int(found["not_ready"])
    return found


def rules(capsys: Capture, *arguments: str) -> list[str]:
    return [one["rule"] for one in answer(capsys, *arguments)["findings"]]


def refused(capsys: Capture, *arguments: str) -> str:
    """The error of the command for an input that it can't read."""
    assert main(["check", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line.removeprefix("session-manager-permissions: ")


# Answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "status", "ready", "word"), [
    (READY, 0, True, "ready"),
    (NOT_READY, 1, False, "not ready"),
    ({"Resources": {"It": {"Type": "AWS::EC2::Instance"}}}, 1, False, "not ready"),
    (UNKNOWN, 0, False, "nothing is known to be not ready"),
    (OPEN, 0, False, "nothing is known to be not ready"),
    ({"Resources": {}}, 0, False, "nothing to check"),
    ({"Resources": {"It": UNREAD}}, 0, False, "nothing is known to be not ready"),
    (profile_and_role(inline(ALL), It=UNREAD), 0, False, "nothing is known to be not ready"),
])  # fmt: skip
def test_the_status_and_the_last_word(
    body: object, status: int, word: str, capsys: Capture, *, ready: bool
) -> None:
    file = write("template.json", body)

    assert main(["check", file]) == status
    out, found = capsys.readouterr().out, answer(capsys, file)
    assert word in out.splitlines()
    assert ("Instance profiles and node groups: " in out) is any(found["profiles"].values())
    assert found["ready"] is ready


def test_json_names_cause_place_and_change(capsys: Capture, snapshot: SnapshotAssertion) -> None:
    file = write("stacks/template.yaml", yaml.safe_dump(NOT_READY, sort_keys=False))

    found = json.dumps(answer(capsys, file), indent=2)
    assert f"{found}\n" == snapshot(extension_class=Text)


def test_templates_that_are_not_here_are_named(capsys: Capture) -> None:
    file = write("template.json", profile_and_role(inline(ALL), It=UNREAD))

    assert answer(capsys, file)["not_read"] == [{"template": file, "logical_id": "It"}]
    with pytest.MonkeyPatch.context() as here:
        here.setenv("COLUMNS", "0")  # as some terminals have it
        assert main(["check", file]) == 0
    assert "Not read: the templates of It." in capsys.readouterr().out.splitlines()


def test_strict_makes_errors_and_changes_no_status(capsys: Capture) -> None:
    for body in (NOT_READY, UNKNOWN):
        file = write("template.json", body)
        for strict in ([], ["--strict"]):
            (finding,) = answer(capsys, *strict, file)["findings"]
            of_strict = "error" if strict else "warning"
            assert finding["severity"] == (of_strict if finding["not_ready"] else "info")


def test_no_network_looks_at_roles_alone(capsys: Capture) -> None:
    file = write("template.json", OPEN)

    assert rules(capsys, file) == ["cannot-be-known"]
    assert rules(capsys, "--no-network", file) == []


def test_what_is_not_ready_and_left_out_is_said_to_be(capsys: Capture) -> None:
    assert main(["check", "--skip", "channel-missing", write("template.json", NOT_READY)]) == 0
    assert "what is not ready is acknowledged or left out" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("name", "near"), [
    *(("chanel-missing", "is it channel-missing, "), ("ready", "is it ")),
    ("x", "is it channel-missing, registration-missing, "),
])  # fmt: skip
def test_a_rule_that_does_not_exist_is_refused(name: str, near: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["check", "--skip", name, "template.json"])
    said = " ".join(capsys.readouterr().err.split())
    assert f"there is no rule {name!r}: {near}" in said


def test_the_table_has_what_the_json_has(capsys: Capture) -> None:
    body = profile_and_role(inline(ALL, deny("ssm:*")))
    body["Resources"]["Profile"]["Metadata"] = {"aws:cdk:path": "Web/\x1b[31mProfile/Resource"}

    assert main(["check", write("a.json", body)]) == 1
    out = capsys.readouterr().out
    for one in ("explicit-deny", "Properties.Roles", "a.json", "\\u001b", "docs/causes/explicit-"):
        assert one in out
    assert "\x1b" not in out


@pytest.mark.parametrize("form", ["table", "github"])
def test_a_page_is_named_to_those_who_have_it(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    file = write("template.json", NOT_READY)
    main(["check", "--output", form, file])
    assert "More: docs/causes/channel-missing.md in the repository" in capsys.readouterr().out

    monkeypatch.setattr(_causes, "_CHECKOUT", tmp_path)
    main(["check", "--output", form, file])

    out = capsys.readouterr().out
    assert "channel-missing" in out
    assert "More:" not in out
    assert not out.endswith(("\n\n", "%0A\n"))


def test_a_fix_names_its_template_unless_all_findings_are_there(capsys: Capture) -> None:
    a, b = (write(name, {"Resources": {"It": machine()}}) for name in ("a.json", "b.json"))
    other = str(NESTED.with_name("network.yaml"))
    for given, rule, at in ([NESTED], "no-network-path", other), ([a, b], "no-instance-profile", b):
        assert main(["check", *map(str, given)]) == 1
        assert f"- {rule}: in {at}: add" in capsys.readouterr().out
    main(["check", a, write("c.json", UNKNOWN), write("d.json", UNKNOWN)])
    assert capsys.readouterr().out.count("- cannot-be-known: ") == 1


# GitHub ------------------------------------------------------------------------------------------


def test_annotations_have_file_line_and_title(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    """What can't be known is a notice. A path is that in the workspace."""
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    file = write("infra/a, 100%.yaml", yaml.safe_dump(NOT_READY, sort_keys=False))
    monkeypatch.chdir(tmp_path / "infra")

    for strict in ([], ["--strict"]):
        given = [Path(file).name, write("b.json", UNKNOWN)]
        assert main(["check", "--output", "github", *strict, *given]) == 1
    assert capsys.readouterr().out == snapshot(extension_class=Text)


# Files -------------------------------------------------------------------------------------------

SHORT_FORMS: Final = """\
AWSTemplateFormatVersion: 2010-09-09
Parameters:
  Account: {Type: String, Default: 012345678901}
Conditions:
  Here: !And [!Condition There, !Not [!Equals [!Ref Account, "1"]]]
  There: !Equals [!Ref AWS::Region, eu-west-1]
Shared: &trust
  Version: 2012-10-17
  Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: sts:AssumeRole}]
Resources:
  Profile:
    Type: AWS::IAM::InstanceProfile
    Properties:
      Roles:
        - !If [Here, !Ref Role, !Ref Role]
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {<<: *trust, Id: no, Id: yes}
      MaxSessionDuration: 3_600
      Tags: [{Key: on, Value: ~}, {Key: 1.5, Value: 1_0.5}, {Key: a, Value: !!binary aGk=}]
      ManagedPolicyArns:
        - !Sub "arn:${AWS::Partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
Outputs:
  Arn: {Value: !GetAtt Role.Arn}
  Zone: {Value: !Select [0, !GetAZs ""]}
"""


def test_yaml_is_read_as_by_cloudformation(capsys: Capture, snapshot: SnapshotAssertion) -> None:
    file = write("template.yaml", f"\ufeff{SHORT_FORMS}")
    assert answer(capsys, file)["ready"]

    body, _ = loading.load(Path(file))
    assert f"{json.dumps(body, indent=2)}\n" == snapshot(extension_class=Text)


def test_a_pipe_is_read_once(capsys: Capture) -> None:
    reader, writer = os.pipe()
    os.write(writer, json.dumps(NOT_READY).encode())
    os.close(writer)

    assert rules(capsys, f"/dev/fd/{reader}") == ["channel-missing"]


def test_the_extra_is_for_yaml_alone(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("yaml", "rich"):
        monkeypatch.setitem(sys.modules, module, None)
    file = write("a.json", NOT_READY | {"Description": "whose lines nothing has read"})

    assert rules(capsys, file) == ["channel-missing"]
    assert main(["check", "--output", "github", file]) == 1
    assert capsys.readouterr().out.startswith("::warning file=a.json,title=channel-missing")
    install = "pip install 'session-manager-permissions[check]'"
    assert refused(capsys, file) == f"rich is not installed: {install}"
    said = refused(capsys, "--output", "json", write("a.yaml", "Resources: {}"))
    assert said == f"a.yaml: YAML needs PyYAML: {install}"


def test_lines_end_where_the_template_does_and_a_loop_has_no_type(capsys: Capture) -> None:
    server = machine(ImageId="ami-1")
    loop = ["Zone", ["A"], {"Server${Zone}": server}]
    made = {"Server": server, "Fn::ForEach::Servers": loop}
    alone, of_loop = answer(capsys, write("a.json", {"Resources": made}))["findings"]

    (resource,) = alone["resources"]
    assert (resource["property"], resource["line"]) == ("Properties.IamInstanceProfile", 1)
    assert of_loop["resources"][0]["type"] is None


# Several -----------------------------------------------------------------------------------------


def test_files_that_are_given_together_are_one_app(capsys: Capture) -> None:
    exports = {"Name": {"Value": {"Ref": "Role"}, "Export": {"Name": "Role"}}}
    role = profile_and_role(inline(ALL))["Resources"]["Role"]
    one = write("one.json", {"Resources": {"Role": role}, "Outputs": exports})
    imports = profile_and_role(roles=[{"Fn::ImportValue": "Role"}])
    del imports["Resources"]["Role"]
    other = write("other.json", imports)

    assert rules(capsys, other) == ["cannot-be-known"]
    assert answer(capsys, one, other, other)["ready"]


def test_a_template_that_another_nests_is_a_part_of_it(capsys: Capture) -> None:
    alone = answer(capsys, str(NESTED))

    assert [one["rule"] for one in alone["findings"]] == ["no-network-path"]
    assert answer(capsys, str(NESTED.with_name("network.yaml")), str(NESTED)) == alone


def test_sam_leaves_what_it_does_not_make_as_it_is(capsys: Capture) -> None:
    assert rules(capsys, str(SAM)) == ["metadata-off"]

    text = SAM.read_text(encoding="utf-8").replace("AWS::Serverless-2016-10-31", "Ours")
    assert rules(capsys, write("macro.yaml", text)) == ["cannot-be-known", "cannot-be-known"]


def test_an_application_of_sam_is_a_nested_stack(capsys: Capture) -> None:
    nested = write("nested.json", READY)
    application = {"Type": "AWS::Serverless::Application", "Properties": {"Location": nested}}
    file = write("app.json", {"Resources": {"App": application}})
    assert answer(capsys, file)["profiles"]["ready"] == 1

    for location in ({"ApplicationId": "arn:of:another"}, write("broken.json", "{")):
        application["Properties"] = {"Location": location}
        body = profile_and_role({"RoleName": "web"} | inline(ALL), App=application)
        assert rules(capsys, write("app.json", body)) == ["cannot-be-known"]


# What CDK writes ---------------------------------------------------------------------------------


def synthesize(*acknowledged_on: str, path_metadata: bool = True) -> None:
    """Synthesize a stack, one of a stage and one that is nested, each with a profile."""
    context = {"aws:cdk:enable-path-metadata": path_metadata}
    app = cdk.App(outdir=str(Path("cdk.out").resolve()), context=context)
    stage = cdk.Stage(app, "Prod")
    for scope, name in ((app, "Profile"), (stage, "Other")):
        stack = cdk.Stack(scope, "Web")
        for place, its in ((stack, name), (cdk.NestedStack(stack, "Nested"), "Profile")):
            role = iam.Role(place, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
            iam.InstanceProfile(place, its, role=role)
    for path in acknowledged_on:
        scope_named: Any = app
        for name in path.split("/"):
            scope_named = scope_named.node.find_child(name)
        id_ = "SessionManagerReadiness::channel-missing"
        acknowledgment = cdk.Acknowledgment(id=id_, reason="they have none")
        cdk.Validations.of(scope_named).acknowledge(acknowledgment)
    app.synth()


def places(found: dict[str, Any]) -> int:
    return sum(len(one["resources"]) for one in found["findings"])


@pytest.mark.parametrize(("path_metadata", "where", "left"), [
    (True, [], 4),
    (True, ["Web/Profile"], 3),
    (True, ["Web"], 2),
    (True, ["Web/Nested/Profile"], 3),
    (True, ["Prod/Web", "Web/Nested"], 1),
    (False, ["Prod/Web/Other"], 3),
    (False, ["Web/Profile"], 4),  # or that of the nested stack, of the same logical id
])  # fmt: skip
def test_what_the_app_acknowledges_is_left_out(
    where: list[str], left: int, capsys: Capture, *, path_metadata: bool
) -> None:
    synthesize(*where, path_metadata=path_metadata)

    found = answer(capsys)

    assert places(found) == left
    assert {one["reason"] for one in found["acknowledged"]} <= {"they have none"}
    assert all(one["line"] for one in found["acknowledged"])
    assert places(found) + len(found["acknowledged"]) == 4
    assert found["profiles"]["not ready"] == 4
    main(["check"])
    said = f"Findings that the app acknowledges: {len(found['acknowledged'])}."
    assert (said in capsys.readouterr().out) is bool(where and found["acknowledged"])


def test_the_metadata_of_older_cdk_is_in_the_manifest(capsys: Capture) -> None:
    synthesize("Web")
    manifest = Path("cdk.out/manifest.json")
    body = json.loads(manifest.read_text())
    artifact = body["artifacts"]["Web"]
    metadata = Path("cdk.out", artifact.pop("additionalMetadataFile"))
    artifact["metadata"] = json.loads(metadata.read_text()) | {"/odd": None}
    manifest.write_text(json.dumps(body))

    assert places(answer(capsys)) == 2


def test_apps_are_judged_by_themselves(capsys: Capture) -> None:
    for folder, role in (("one", {}), ("other", inline(ALL))):
        artifact = {**STACK, "properties": {"templateFile": "a.json"}}
        write(f"{folder}/manifest.json", {"artifacts": {"A": artifact}})
        write(f"{folder}/a.json", profile_and_role({"RoleName": "web"} | role))

    (finding,) = answer(capsys, "one", "other")["findings"]
    assert [one["template"] for one in finding["resources"]] == ["one/a.json"]


def test_a_stack_without_a_template_is_refused(capsys: Capture) -> None:
    write("cdk.out/manifest.json", {"artifacts": {"S": STACK}})
    assert refused(capsys) == "cdk.out/None: No such file or directory"


# The process -------------------------------------------------------------------------------------


def test_it_loads_no_cdk_no_node_and_no_boto3() -> None:
    script = f"""
from session_manager_permissions._command import main
assert main(["check", "--output", "json", {str(SAM)!r}]) == 1
"""
    loaded = loaded_after(script)

    assert "yaml" in loaded
    assert loaded.isdisjoint({"aws_cdk", "jsii", "constructs", "boto3", "botocore", "rich"})


def test_the_hooks_and_the_workflow_run_the_command(capsys: Capture) -> None:
    examples = ROOT / "examples/check"
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    (repository,) = yaml.safe_load((examples / "pre-commit-config.yaml").read_text())["repos"]
    workflow = yaml.safe_load((examples / "github-workflow.yml").read_text(encoding="utf-8"))
    runs = [one["run"] for one in workflow["jobs"]["check"]["steps"] if "run" in one]
    templates = [str(one) for one in (examples / "templates").glob("*.yaml")]
    for entry in (hooks[0]["entry"], repository["hooks"][0]["entry"], runs[-1]):
        program, *arguments = entry.removesuffix("templates/*.yaml").split()
        assert program == "session-manager-permissions"
        assert main([*arguments, *templates]) == 1
        assert "no-network-path" in capsys.readouterr().out
    assert all(one["require_serial"] for one in (hooks[0], repository["hooks"][0]))
    (package,) = repository["hooks"][0]["additional_dependencies"]
    assert f'\nversion = "{package.partition("[check]==")[2]}"\n' in PROJECT
    for file, matches in (("a/template.yaml", True), ("A.template.json", True), ("x.json", False)):
        assert bool(re.search(hooks[0]["files"], file)) is matches


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    file = write("a.json", NOT_READY)
    command = Path(sys.executable).with_name("session-manager-permissions")
    done = run("sh", "-c", f"{command} check --output json {file} | true", cwd=Path.cwd())
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_each_rule_but_ready_can_be_left_out(capsys: Capture) -> None:
    file = write("template.json", profile_and_role(inline(CHANNELS_ONLY)))
    assert rules(capsys, file) == ["registration-missing"]

    skip = [word for name in RULES if name != "ready" for word in ("--skip", name)]
    assert rules(capsys, *skip, file) == []
