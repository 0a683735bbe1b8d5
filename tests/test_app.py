"""The app, called as the CDK CLI calls it: in a process of its own where that matters."""

import functools
import json
import runpy
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from session_manager_permissions import session_manager_statements
from session_manager_permissions._app import MOST_NAMES

from .conftest import ROOT, run_app, run_python
from .places import ACCOUNT, REGION, key_arn, role_arn
from .reading import asked_for, errors_of_the_cli
from .scenarios import BUCKET, BUCKET_KEY, GROUP_ARN, PREFIX, SCENARIOS
from .templates import deployed

HERE = {"ACCOUNT": ACCOUNT, "REGION": REGION}
KNOWN = {f"CDK_DEFAULT_{name}": value for name, value in HERE.items()}
Answers = Callable[[dict[str, Any]], dict[str, object]]
CDK_JSON = json.loads((ROOT / "cdk.json").read_text())


def call(
    folder: Path, context: Mapping[str, object], env: Mapping[str, str] = KNOWN
) -> subprocess.CompletedProcess[str]:
    """What `cdk synth -c …` runs; `context` is what is given by `-c` or kept of look-ups."""
    given = json.dumps({**CDK_JSON["context"], **context})
    own = {"CDK_OUTDIR": str(folder / "cdk.out"), "CDK_CONTEXT_JSON": given, **env}
    return run_python(str(ROOT / "app.py"), cwd=folder, env=own)


def build(folder: Path, context: Mapping[str, object]) -> tuple[str, dict[str, Any]]:
    """The name and the template of the one stack, in this process."""
    run_here(folder, context)
    return built(folder)


def run_here(folder: Path, context: Mapping[str, object], env: Mapping[str, str] = HERE) -> None:
    with pytest.MonkeyPatch.context() as patch:
        run_app(patch, folder / "cdk.out", {**CDK_JSON["context"], **context}, env)


def built(folder: Path) -> tuple[str, dict[str, Any]]:
    (path,) = (folder / "cdk.out").glob("*.template.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return path.name.removesuffix(".template.json"), found


def policy(found: dict[str, Any]) -> dict[str, Any]:
    (body,) = found["Resources"].values()
    assert body["Type"] == "AWS::IAM::Policy"
    properties: dict[str, Any] = body["Properties"]
    return properties


def test_without_context_it_shows_the_example(tmp_path: Path) -> None:
    run_here(tmp_path, {}, env={})
    assert built(tmp_path)[0] == "SessionManager-Example"  # which a snapshot has


def test_it_needs_no_bootstrap(tmp_path: Path) -> None:
    assert "Parameters" not in build(tmp_path, {"role": "Existing"})[1]
    artifacts = json.loads((tmp_path / "cdk.out" / "manifest.json").read_text())["artifacts"]
    (stack,) = (one for one in artifacts.values() if one["type"] == "aws:cloudformation:stack")
    assert stack["environment"] == f"aws://{ACCOUNT}/{REGION}"
    needs = {"assumeRoleArn", "requiresBootstrapStackVersion", "stackTemplateAssetObjectUrl"}
    assert not needs & stack["properties"].keys()


@pytest.mark.parametrize("role", ["Existing", role_arn("some/path/Existing")])
def test_a_role_by_its_name_or_its_arn_gets_the_policy(tmp_path: Path, role: str) -> None:
    name, found = build(tmp_path, {"role": role, "policy-name": "Sessions"})
    assert name == "SessionManager-Role-Existing"
    assert policy(found)["Roles"] == ["Existing"]
    assert policy(found)["PolicyName"] == "Sessions"
    assert len(policy(found)["PolicyDocument"]["Statement"]) == 2


@pytest.mark.parametrize(("scenario", "options"), [
    ("allow_registration", {"allow-registration": "true"}),
    ("log_bucket and log_prefix", {"log-bucket": BUCKET, "log-prefix": f"/{PREFIX}/"}),
    ("log_bucket with a key", {"log-bucket": BUCKET, "log-bucket-key": BUCKET_KEY}),
    ("log_group", {"log-group": "/session/logs"}),
    ("log_group", {"log-group": GROUP_ARN}),
    ("check_log_encryption off", {"check-log-encryption": "false"}),
    ("decrypt_sessions_only", {"key": key_arn(), "decrypt-sessions-only": "true"}),
])  # fmt: skip
def test_an_option_grants_as_in_code(
    tmp_path: Path, stack_here: cdk.Stack, scenario: str, options: dict[str, str]
) -> None:
    found = policy(build(tmp_path, {"role": "Existing", **options})[1])
    by_hand = session_manager_statements(**SCENARIOS[scenario](stack_here))
    expected = stack_here.resolve([one.to_statement_json() for one in by_hand])
    assert deployed(found["PolicyDocument"]["Statement"]) == deployed(expected)


@pytest.mark.parametrize("value", ["true", True, "false", False])
def test_a_flag_is_given_by_c_or_in_cdk_json(tmp_path: Path, value: object) -> None:
    flags = ("allow-registration", "check-log-encryption", "decrypt-sessions-only")
    given = dict.fromkeys(flags, value)
    text = json.dumps(policy(build(tmp_path, {"role": "Existing", "key": key_arn(), **given})[1]))
    is_true = value in {"true", True}
    assert ("ssm:UpdateInstanceInformation" in text) == is_true
    assert ("s3:GetEncryptionConfiguration" in text) == is_true
    assert ("kms:EncryptionContext" in text) == is_true


def answer(asked: Mapping[str, Any], **changes: object) -> dict[str, object]:
    """The CLI's answer to what the app asks: each profile has a role named after it."""
    name = asked["props"]["exactIdentifier"]
    arn, roles = role_arn(f"team/{name}"), {}
    if asked["props"]["typeName"] == "AWS::IAM::InstanceProfile":
        arn, roles = f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}", {"Roles": [f"{name}-role"]}
    return {asked["key"]: [{"Identifier": name, "Arn": arn, **roles, **changes}]}


def ask(folder: Path, option: str, text: str, **options: object) -> list[dict[str, Any]]:
    """What the app asks for on its first pass, about the names of a file."""
    (folder / "names.txt").write_text(text, encoding="utf-8")
    build(folder, {option: "names.txt", **options})
    return asked_for(folder / "cdk.out")


def build_from_file(
    folder: Path, option: str, text: str, answers: Answers = answer, /, **options: str
) -> tuple[str, dict[str, Any]]:
    """The stack, once the CLI has answered what the app asked for on its first pass."""
    given: dict[str, object] = {option: "names.txt", **options}
    for one in ask(folder, option, text, **options):
        given |= answers(one)
    return build(folder, given)


def refusal(folder: Path, context: Mapping[str, object], text: str = "web") -> str:
    """The message that the app ends with, where `names.txt` has this text."""
    (folder / "names.txt").write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as error:
        run_here(folder, context)
    return str(error.value)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_profiles_of_a_file_are_looked_up_at_once_and_get_one_policy(here: Path) -> None:
    text = f"""
# those that `audit` found
web  # the front end
  db-1

arn:aws:iam::{ACCOUNT}:instance-profile/team/batch
"""
    _, found = build_from_file(here, "instance-profiles", text, key=key_arn())

    assert policy(found)["Roles"] == ["web-role", "db-1-role", "batch-role"]
    assert policy(found)["PolicyDocument"]["Statement"][-1]["Resource"] == key_arn()
    assert asked_for(here / "cdk.out") == []


@pytest.mark.parametrize("option", ["roles", "instance-profiles"])
@pytest.mark.parametrize("given", [{}, {"allow-registration": "true", "key": key_arn()}])
def test_options_of_a_file_are_the_same(here: Path, option: str, given: Mapping[str, str]) -> None:
    told = {"key": key_arn(), "allow-registration": "true", "log-bucket": "session-logs"}
    by_options = build_from_file(here, option, "web\n", **told)
    lines = "\r\n".join(f"{name} = {value}" for name, value in told.items())

    assert build_from_file(here, option, f"\ufeff{lines} # all\r\nweb", **given) == by_options


def test_the_roles_of_a_file_get_one_policy_with_the_key_of_each_region(here: Path) -> None:
    keys = [key_arn(region="us-east-1"), key_arn()]
    text = "".join(f"key = {key}\r\n" for key in keys)
    _, found = build_from_file(here, "roles", f"{text}web\r\n{role_arn('team/db')}")

    assert policy(found)["Roles"] == ["web", "db"]
    assert {*policy(found)["PolicyDocument"]["Statement"][-1]["Resource"]} == {*keys}


def test_an_option_that_contradicts_the_file_is_said_with_its_line(here: Path) -> None:
    text = f"key = {key_arn()}\nallow-registration = true\nweb\n"
    other = key_arn(region="us-east-1")
    context = {"roles": "names.txt", "allow-registration": False, "key": other}
    first, second = refusal(here, context, text).splitlines()
    assert first.startswith(f"app.py: -c key={other} contradicts names.txt:1: key = {key_arn()}")
    assert second.startswith("app.py: -c allow-registration=false contradicts names.txt:2: ")


def test_an_option_that_the_file_lacks_is_a_warning(here: Path) -> None:
    build_from_file(here, "roles", f"key = {key_arn()}\nweb\n", key=key_arn())
    assert "option-not-in-list" not in synthesized(here)
    build_from_file(here, "roles", "web\n", key=(far := key_arn(region="us-east-1")))
    assert f"write the line key = {far} into it" in synthesized(here)
    assert "give the key of that region: -c key=ARN, or another line" in synthesized(here)
    build_from_file(here, "roles", "web\n", **{"log-bucket": "logs", "log-prefix": "a #b"})
    assert "repeat the option with each deployment, as no line can" in synthesized(here)
    defaults = {"allow-registration": "false", "check-log-encryption": "true"}
    build_from_file(here, "roles", "web\n", **defaults, **{"decrypt-sessions-only": "false"})
    assert "option-not-in-list" not in synthesized(here)


def synthesized(folder: Path) -> str:
    """All files that the CLI reads, except for the construct tree."""
    files = (folder / "cdk.out").glob("*.json")
    return "".join(path.read_text() for path in files if path.name != "tree.json")


@pytest.mark.parametrize("value", ["\x1b[2J", "\u202e"])
@pytest.mark.parametrize("option", ["x{}", "roles", "role", "log-prefix", "log-group", "key"])
def test_an_error_shows_what_a_terminal_would_obey(here: Path, option: str, value: str) -> None:
    assert value not in refusal(here, {option.format(value): value, "log-bucket": "logs"})


def test_two_profiles_of_one_role_are_no_error(here: Path) -> None:
    shared = functools.partial(answer, Roles=["shared"])
    _, found = build_from_file(here, "instance-profiles", "web\ndb\n", shared)
    assert policy(found)["Roles"] == ["shared"]


def test_250_profiles_are_one_policy_and_500_roles_fit_without_a_bootstrap(here: Path) -> None:
    names = [f"{number:03}-{'n' * 55}" for number in range(250)]
    (asked,) = ask(here, "instance-profiles", names[0])
    answers: dict[str, object] = {}
    for name in names:
        key = asked["key"].replace(names[0], name)
        answers |= answer({"key": key, "props": {**asked["props"], "exactIdentifier": name}})

    (here / "names.txt").write_text("\n".join(names), encoding="utf-8")
    _, found = build(here, {"instance-profiles": "names.txt", **answers})

    assert asked_for(here / "cdk.out") == []
    assert policy(found)["Roles"] == [f"{name}-role" for name in names]
    assert {len(role) for role in policy(found)["Roles"]} == {64}
    (template,) = (path.read_text() for path in (here / "cdk.out").glob("*.template.json"))
    line = '     "",\n'
    longest_policy = 10_240
    most = len(template) + (MOST_NAMES - len(names)) * (64 + len(line)) + longest_policy
    assert most < 51_200


def test_a_new_line_leads_to_the_same_stack_and_policy(here: Path) -> None:
    one_name, one = build_from_file(here, "roles", "web\n")
    another_name, another = build_from_file(here, "roles", "db\nweb\n")

    assert one_name == another_name
    assert one_name.startswith("SessionManager-Roles-names-txt-")
    assert one["Resources"].keys() == another["Resources"].keys()
    assert policy(one)["PolicyName"] == policy(another)["PolicyName"]


def names_of_stacks(folder: Path, *contexts: Mapping[str, object]) -> set[str]:
    names = set()
    for context in contexts:
        names.add(build(folder, context)[0])
        for old in (folder / "cdk.out").iterdir():
            old.unlink()
    return names


def test_a_file_has_one_stack_in_whichever_form_its_path_is_given(here: Path) -> None:
    (here / "lists").mkdir()
    (here / "names.txt").write_text("web\n", encoding="utf-8")
    forms = ("names.txt", "./names.txt", "lists/../names.txt", f"{here}/names.txt")

    assert len(names_of_stacks(here, *({"roles": form} for form in forms))) == 1


def test_each_target_has_a_stack_of_its_own(here: Path) -> None:
    paths = ("a.txt", "a_txt", "lists/a.txt", "other/a.txt", f"{'a' * 99}.1", f"{'a' * 99}.2")
    for path in paths:
        (here / path).parent.mkdir(exist_ok=True)
        (here / path).write_text("web\n", encoding="utf-8")
    targets = [{option: one} for option in ("roles", "instance-profiles") for one in paths]
    targets += [{"role": one} for one in ("a.b", "a_b", "n" * 64, "n" * 63)]
    targets += [{"instance-profile": f"{'n' * 127}{one}"} for one in "12"]

    assert len(names_of_stacks(here, *targets)) == len(targets)


@pytest.mark.parametrize(("option", "wrong", "right"), [
    ("roles", ["web db", "r\u00f6le", "arn:aws:iam::1:role/web", "log_group = /a"], "web"),
    ("instance-profiles", [role_arn("web"), "team/web"], "web"),
])  # fmt: skip
def test_each_wrong_line_of_a_file(here: Path, option: str, wrong: list[str], right: str) -> None:
    lines = [right, "# wrong", *wrong, right.upper()]
    found = refusal(here, {option: "names.txt"}, "\n".join(lines)).splitlines()
    said = [line.partition(": ")[2].partition(": ")[0] for line in found]
    assert said == [f"names.txt:{number}" for number in range(3, len(lines) + 1)]


@pytest.mark.parametrize("option", ["instance-profiles", "roles"])
def test_each_name_that_does_not_exist_is_said_with_its_line(here: Path, option: str) -> None:
    def answers(asked: dict[str, Any]) -> dict[str, object]:
        name = asked["props"]["exactIdentifier"]
        missing = {"$providerError": f"No resource: {name}", "$dontSaveContext": True}
        return answer(asked) if name == "web" else {asked["key"]: missing}

    build_from_file(here, option, "# three\nweb\nnowhere\nneither\n", answers)
    assert errors_of_the_cli(here / "cdk.out") == {
        "names.txt:3": "No resource: nowhere",
        "names.txt:4": "No resource: neither",
    }


@pytest.mark.parametrize("without", [["web", "batch"], ["web", "db", "batch"]])
def test_each_profile_without_a_role_is_said_with_its_line(here: Path, without: list[str]) -> None:
    def answers(asked: dict[str, Any]) -> dict[str, object]:
        name = asked["props"]["exactIdentifier"]
        return answer(asked, **({"Roles": []} if name in without else {}))

    keys = f"key = {key_arn()}\nkey = {key_arn(region='eu-central-1')}"
    build_from_file(here, "instance-profiles", f"web\ndb\nbatch\n{keys}", answers)
    said = errors_of_the_cli(here / "cdk.out")
    numbers = {"web": 1, "db": 2, "batch": 3}
    assert [*said] == [f"names.txt:{numbers[name]}" for name in without]
    for name, text in zip(without, said.values(), strict=True):
        assert text.startswith(f"instance_profile_name '{name}' is a profile without a role")


@pytest.mark.parametrize("number", [1, 2])
def test_a_role_that_cant_be_changed_is_said_with_its_line(here: Path, number: int) -> None:
    def answers(asked: dict[str, Any]) -> dict[str, object]:
        name = asked["props"]["exactIdentifier"]
        path = "aws-service-role/ec2.amazonaws.com/" if name == str(number) else ""
        return answer(asked, Arn=role_arn(f"{path}{name}"))

    with pytest.raises(SystemExit, match=rf"^app\.py: names\.txt:{number}: .*service-linked role"):
        build_from_file(here, "roles", "1\n2", answers)


def test_the_module_is_the_same_app(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDK_OUTDIR", "set by the CLI")
    for name, value in KNOWN.items():
        monkeypatch.setenv(name, value)
    expected = build(here, {"role": "Existing", "key": key_arn()})
    app = functools.partial(cdk.App, outdir=str(here / "cdk.out"))
    context = {"role": "Existing", "key": key_arn()}  # an empty folder has no cdk.json
    with monkeypatch.context() as patch:
        patch.setattr(cdk, "App", functools.partial(app, context=context))
        runpy.run_module("session_manager_permissions", run_name="__main__")
    assert built(here) == expected
    with monkeypatch.context() as patch:
        patch.setattr(cdk, "App", functools.partial(app, context={"role": ""}))
        with pytest.raises(SystemExit, match=r"^session_manager_permissions: -c role=: give a"):
            runpy.run_module("session_manager_permissions", run_name="__main__")


def test_the_module_is_of_no_use_but_to_be_run() -> None:
    assert "main" not in runpy.run_module("session_manager_permissions.__main__")


def test_a_profile_by_its_name_is_looked_up_and_its_role_gets_the_policy(tmp_path: Path) -> None:
    build(tmp_path, {"instance-profile": "Existing"})
    (asked,) = asked_for(tmp_path / "cdk.out")
    name, found = build(tmp_path, {"instance-profile": "Existing", **answer(asked)})
    assert name == "SessionManager-InstanceProfile-Existing"
    assert policy(found)["Roles"] == ["Existing-role"]


def test_what_the_cli_keeps_for_itself_is_none_of_its_context(tmp_path: Path) -> None:
    kept = {"cli-telemetry": False, "acknowledged-issue-numbers": [34892]}

    assert build(tmp_path, {"role": "Existing", **kept}) == build(tmp_path, {"role": "Existing"})


def test_it_gives_the_same_template_in_every_process(tmp_path: Path) -> None:
    context = {"role": "Existing", "key": key_arn(resource="alias/sessions")}
    found = build(tmp_path, context)  # by hashes that are random
    done = call(tmp_path, context, {**KNOWN, "PYTHONHASHSEED": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    assert built(tmp_path) == found


@pytest.mark.parametrize(("context", "says"), [
    ({"role": "Existing", "instance-profile": "Existing"}, "give exactly one of"),
    ({"roles": "a.txt", "role": "Existing"}, "give exactly one of"),
    ({"roles": "a.txt", "instance-profiles": "b.txt"}, "give exactly one of"),
    ({"role": "Existing", "decrypt-sessions-only": 1}, "'1' is neither true nor false"),
    ({"role": "Existing", "log-bucket-key": key_arn()}, "has no bucket: give log-bucket too"),
    ({"role": "Existing", "log-bucket": True}, "-c log-bucket=True"),
    ({"role": "Existing", "log-group": f"{GROUP_ARN}:a"}, ":a' is not the ARN of a log group"),
    ({"instance-profile": "path/Existing"}, "can't be looked up"),
    ({"role": "Existing", "policy-name": "a b"}, "app.py: -c policy-name: 'a b'"),
    ({"roles": "names.txt", "key": key_arn(resource="alias/aws/ssm")}, "app.py: encryption_key is"),
])  # fmt: skip
def test_a_wrong_value_is_one_line(here: Path, context: dict[str, object], says: str) -> None:
    (line,) = refusal(here, context).splitlines()
    assert line.startswith("app.py: ")
    assert says in line


def test_the_line_is_all_that_the_cli_shows(tmp_path: Path) -> None:
    done = call(tmp_path, {"role": ""})
    assert (done.returncode, done.stderr) == (1, "app.py: -c role=: give a value\n")
