"""The app, called as the CDK CLI calls it: in a process of its own where that matters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import ACCOUNT, REGION, ROOT, key_arn, role_arn, run_app, run_python

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

HERE = {"ACCOUNT": ACCOUNT, "REGION": REGION}
KNOWN = {f"CDK_DEFAULT_{name}": value for name, value in HERE.items()}
CDK_JSON = json.loads((ROOT / "cdk.json").read_text())


OF_A_SESSION = {"kms:EncryptionContext:aws:ssm:SessionId": "false"}


def in_partition(rest: str) -> dict[str, Any]:
    return {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, rest]]}


def call(
    folder: Path, context: Mapping[str, object], env: Mapping[str, str] = KNOWN
) -> subprocess.CompletedProcess[str]:
    """What `cdk synth -c …` runs; `context` is what is given by `-c` or kept of look-ups."""
    return run_python(
        str(ROOT / "app.py"),
        cwd=folder,
        env={
            "CDK_OUTDIR": str(folder / "cdk.out"),
            "CDK_CONTEXT_JSON": json.dumps({**CDK_JSON["context"], **context}),
            **env,
        },
    )


def build_as_the_cli_does(
    folder: Path, context: Mapping[str, object], env: Mapping[str, str] = KNOWN
) -> tuple[str, dict[str, Any]]:
    """The name and the template of the one stack."""
    done = call(folder, context, env)
    assert (done.returncode, done.stderr) == (0, "")
    return built(folder)


def build(folder: Path, context: Mapping[str, object]) -> tuple[str, dict[str, Any]]:
    """The same in this process, which takes a tenth of the time."""
    run_here(folder, context)
    return built(folder)


def run_here(
    folder: Path, context: Mapping[str, object], environment: Mapping[str, str] = HERE
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        run_app(patch, folder / "cdk.out", {**CDK_JSON["context"], **context}, environment)


def built(folder: Path) -> tuple[str, dict[str, Any]]:
    (path,) = (folder / "cdk.out").glob("*.template.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return path.name.removesuffix(".template.json"), found


def policy(found: dict[str, Any]) -> dict[str, Any]:
    (body,) = found["Resources"].values()
    assert body["Type"] == "AWS::IAM::Policy"
    properties: dict[str, Any] = body["Properties"]
    return properties


def test_without_context_it_shows_a_profile_its_role_a_key_and_the_policy(tmp_path: Path) -> None:
    name, found = build_as_the_cli_does(tmp_path, {}, env={})
    assert name == "SessionManager-Example"
    assert sorted(body["Type"] for body in found["Resources"].values()) == [
        "AWS::IAM::InstanceProfile",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::KMS::Key",
    ]


def test_it_needs_no_bootstrap(tmp_path: Path) -> None:
    assert "Parameters" not in build(tmp_path, {"role": "Existing"})[1]
    manifest = json.loads((tmp_path / "cdk.out" / "manifest.json").read_text())
    (stack,) = (
        artifact
        for artifact in manifest["artifacts"].values()
        if artifact["type"] == "aws:cloudformation:stack"
    )
    assert stack["environment"] == f"aws://{ACCOUNT}/{REGION}"
    needs = {"assumeRoleArn", "requiresBootstrapStackVersion", "stackTemplateAssetObjectUrl"}
    assert not needs & stack["properties"].keys()


def test_a_role_by_its_name_gets_the_policy(tmp_path: Path) -> None:
    name, found = build(tmp_path, {"role": "Existing"})
    assert name == "SessionManager-Role-Existing"
    assert policy(found)["Roles"] == ["Existing"]
    assert len(policy(found)["PolicyDocument"]["Statement"]) == 2


def test_a_role_by_its_arn_gets_the_policy_in_the_same_stack(tmp_path: Path) -> None:
    name, found = build(tmp_path, {"role": role_arn("some/path/Existing")})
    assert name == "SessionManager-Role-Existing"
    assert policy(found)["Roles"] == ["Existing"]


def test_the_key_and_the_policys_name_can_be_given(tmp_path: Path) -> None:
    context = {"role": "Existing", "key": key_arn(), "policy-name": "Sessions"}
    found = policy(build(tmp_path, context)[1])
    assert found["PolicyName"] == "Sessions"
    assert found["PolicyDocument"]["Statement"][-1]["Resource"] == key_arn()


BUCKET_ARN = in_partition(":s3:::session-logs")
OBJECTS = in_partition(":s3:::session-logs/instances/*")
GROUP_ARN = in_partition(f":logs:{REGION}:{ACCOUNT}:log-group:/session/logs")
STREAMS = in_partition(f":logs:{REGION}:{ACCOUNT}:log-group:/session/logs:*")
BUCKET_KEY = key_arn(resource="key/5678abcd-12ab-34cd-56ef-1234567890ab")


@pytest.mark.parametrize(
    ("context", "granted"),
    [
        pytest.param(
            {"allow-registration": "true"},
            {"SessionManagerRegistration": "*", "SessionManagerLogEncryption": "*"},
            id="allow-registration",
        ),
        pytest.param(
            {"log-bucket": "session-logs", "log-prefix": "/instances/"},
            {"SessionManagerLogObjects": OBJECTS, "SessionManagerLogEncryption": BUCKET_ARN},
            id="log-bucket",
        ),
        pytest.param(
            {
                "log-bucket": "session-logs",
                "log-bucket-key": BUCKET_KEY,
                "log-prefix": "instances",
                "check-log-encryption": "false",
            },
            {"SessionManagerLogObjects": OBJECTS, "SessionManagerLogBucketKey": BUCKET_KEY},
            id="log-bucket-key",
        ),
        pytest.param(
            {"log-group": "/session/logs"},
            {
                "SessionManagerLogGroups": "*",
                "SessionManagerLogStreams": GROUP_ARN,
                "SessionManagerLogEvents": STREAMS,
                "SessionManagerLogEncryption": "*",
            },
            id="log-group",
        ),
        pytest.param({"check-log-encryption": "false"}, {}, id="check-log-encryption"),
        pytest.param(
            {"key": key_arn(), "decrypt-sessions-only": "true", "check-log-encryption": "false"},
            {"SessionManagerDecrypt": key_arn()},
            id="decrypt-sessions-only",
        ),
    ],
)
def test_each_option_can_be_given(
    tmp_path: Path, context: Mapping[str, object], granted: Mapping[str, object]
) -> None:
    found = policy(build(tmp_path, {"role": "Existing", **context})[1])
    statements = {each["Sid"]: each for each in found["PolicyDocument"]["Statement"]}
    assert statements.pop("SessionManagerChannels")["Resource"] == "*"
    assert {sid: each["Resource"] for sid, each in statements.items()} == granted
    only = statements.get("SessionManagerDecrypt", {}).get("Condition")
    assert only == ({"Null": OF_A_SESSION} if "decrypt-sessions-only" in context else None)


@pytest.mark.parametrize("value", ["true", True, "false", False])
def test_a_flag_is_given_by_c_or_in_cdk_json(tmp_path: Path, value: object) -> None:
    given = dict.fromkeys(
        ("allow-registration", "check-log-encryption", "decrypt-sessions-only"), value
    )
    found = policy(build(tmp_path, {"role": "Existing", "key": key_arn(), **given})[1])
    text = json.dumps(found)
    is_true = value in {"true", True}
    assert ("ssm:UpdateInstanceInformation" in text) == is_true
    assert ("s3:GetEncryptionConfiguration" in text) == is_true
    assert ("kms:EncryptionContext" in text) == is_true


def test_the_policys_own_name_tells_the_target_and_the_region(tmp_path: Path) -> None:
    name = policy(build(tmp_path, {"role": "Existing"})[1])["PolicyName"]
    assert name.startswith("SessionManager-Role-Existing-")
    assert name.endswith(f"-{REGION}")


def test_a_profile_by_its_name_is_looked_up_and_its_role_gets_the_policy(tmp_path: Path) -> None:
    build_as_the_cli_does(tmp_path, {"instance-profile": "Existing"})
    (asked,) = json.loads((tmp_path / "cdk.out" / "manifest.json").read_text())["missing"]
    arn = f"arn:aws:iam::{ACCOUNT}:instance-profile/Existing"
    answer = {asked["key"]: [{"Roles": ["ItsRole"], "Arn": arn, "Identifier": "Existing"}]}
    name, found = build_as_the_cli_does(tmp_path, {"instance-profile": "Existing", **answer})
    assert name == "SessionManager-InstanceProfile-Existing"
    assert policy(found)["Roles"] == ["ItsRole"]


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ({"role": "a.b"}, {"role": "a_b"}),
        ({"role": "n" * 64}, {"role": "n" * 63}),
        ({"instance-profile": "n" * 127 + "1"}, {"instance-profile": "n" * 127 + "2"}),
    ],
)
def test_each_target_has_a_stack_of_its_own(
    tmp_path: Path, one: Mapping[str, object], another: Mapping[str, object]
) -> None:
    names = set()
    for number, context in enumerate((one, another)):
        (folder := tmp_path / str(number)).mkdir()
        names.add(build(folder, context)[0])
    assert len(names) == 2


def test_what_the_cli_keeps_for_itself_is_none_of_its_context(tmp_path: Path) -> None:
    kept = {"cli-telemetry": False, "acknowledged-issue-numbers": [34892]}

    assert build(tmp_path, {"role": "Existing", **kept}) == build(tmp_path, {"role": "Existing"})


def test_it_gives_the_same_template_in_every_process(tmp_path: Path) -> None:
    context = {"role": "Existing", "key": key_arn(resource="alias/sessions")}
    found = [
        build_as_the_cli_does(tmp_path, context, {**KNOWN, "PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("context", "message"),
    [
        pytest.param(
            {"role": "Existing", "instance-profile": "Existing"}, "give one of", id="both"
        ),
        pytest.param({"key": key_arn()}, "give one of -c instance-profile=", id="neither"),
        pytest.param({"instance_profile": "Existing"}, "instance-profile", id="underscore"),
        pytest.param({"rolle": "Existing"}, "rolle=Existing: there is no", id="mistyped"),
        pytest.param(
            {"role": "Existing", "policyname": "Sessions"}, "policy-name", id="mistyped option"
        ),
        pytest.param({"role": ""}, "-c role=: give a value", id="empty"),
        pytest.param({"role": "Existing", "key": ""}, "-c key=: give a value", id="empty option"),
        pytest.param({"role": "Existing", "key": "alias/sessions"}, "the key's ARN", id="key"),
        pytest.param(
            {"role": "Existing", "key": f"arn:aws:s3:::{ACCOUNT}"}, "ARN", id="no key's ARN"
        ),
        pytest.param({"role": "arn:aws:iam"}, "ARN", id="no ARN"),
        pytest.param({"role": role_arn("a b")}, "no role can have", id="no role's ARN"),
        pytest.param({"role": role_arn(account="444455556666")}, "444455556666", id="account"),
        pytest.param({"role": "Existing", "policy-name": "a b"}, "policy_name 'a b'", id="name"),
        pytest.param({"log-bucket": "session-logs"}, "give one of", id="option alone"),
        *(
            pytest.param(
                {"role": "Existing", flag: value},
                f"-c {flag}={value}: give true or false",
                id=f"{flag} {value!r}",
            )
            for flag, value in [
                ("allow-registration", "yes"),
                ("check-log-encryption", "False"),
                ("decrypt-sessions-only", ""),
                ("decrypt-sessions-only", 1),
            ]
        ),
        pytest.param(
            {"role": "Existing", "log-prefix": "a"},
            "-c log-prefix=a: give -c log-bucket=NAME",
            id="prefix without a bucket",
        ),
        pytest.param(
            {"role": "Existing", "log-bucket-key": key_arn()},
            "give -c log-bucket=NAME too",
            id="key without a bucket",
        ),
        pytest.param(
            {"role": "Existing", "log-bucket": "session-logs", "log-bucket-key": "alias/logs"},
            "-c log-bucket-key=alias/logs: give the key's ARN",
            id="bucket's key",
        ),
        pytest.param(
            {"role": "Existing", "log-bucket": "arn:aws:s3:::session-logs"},
            "bucket name",
            id="bucket's ARN",
        ),
        pytest.param(
            {"role": "Existing", "log-bucket": "session-logs", "log-prefix": "a/*"},
            "log_prefix 'a/*' has a wildcard",
            id="prefix with a wildcard",
        ),
        pytest.param({"role": "Existing", "log-group": "/session/*"}, "has a wildcard", id="group"),
        pytest.param({"role": "Existing", "log-bucket": True}, "-c log-bucket=True", id="bool"),
        pytest.param(
            {"instance-profile": "path/Existing"}, "can't be looked up", id="profile's path"
        ),
        pytest.param(
            {"instance-profile": f"arn:aws:iam::{ACCOUNT}:instance-profile/Existing"},
            "not an ARN",
            id="profile's ARN",
        ),
    ],
)
def test_a_wrong_value_gives_one_clear_line(
    tmp_path: Path, context: Mapping[str, object], message: str
) -> None:
    with pytest.raises(SystemExit) as error:
        run_here(tmp_path, context)
    (line,) = str(error.value).splitlines()
    assert line.startswith("app.py: ")
    assert message in line


def test_the_line_is_all_that_the_cli_shows(tmp_path: Path) -> None:
    done = call(tmp_path, {"role": ""})
    assert (done.returncode, done.stderr) == (1, "app.py: -c role=: give a value\n")


@pytest.mark.parametrize("missing", HERE)
def test_no_account_or_no_region_gives_one_clear_line(tmp_path: Path, missing: str) -> None:
    with pytest.raises(SystemExit, match=r"^app\.py: .*account and region.*credentials.*$"):
        run_here(tmp_path, {"role": "Existing"}, {**HERE, missing: ""})
