"""The example of operators: one object decides what document, instances and operators hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from syrupy.extensions.json import JSONSnapshotExtension

from tests.cfn_lint import lint

from .builders import as_list, deployed
from .conftest import ROOT, run_python

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

EXAMPLE: Final = ROOT / "examples" / "operators"
MINIMIZE: Final = "@aws-cdk/aws-iam:minimizePolicies"
ROLE: Final = "web-server"


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, dict[str, Any]]:
    """The template, as the CLI has the example make it, by whether policies are minimized.

    The example has with it what the account said of the profile.
    """
    context: dict[str, object] = json.loads((EXAMPLE / "cdk.json").read_text())["context"]
    context |= json.loads((EXAMPLE / "cdk.context.json").read_text())
    made = {}
    for minimize in (False, True):
        folder = tmp_path_factory.mktemp("operators")
        given = json.dumps(context | {MINIMIZE: minimize})
        environment = {"CDK_OUTDIR": str(folder), "CDK_CONTEXT_JSON": given}
        done = run_python("app.py", cwd=EXAMPLE, env=environment)
        assert done.returncode == 0, done.stderr
        assert "missing" not in json.loads((folder / "manifest.json").read_text())
        made[minimize] = json.loads((folder / "WebServerSessions.template.json").read_text())
    return made


@pytest.fixture
def resources(templates: dict[bool, dict[str, Any]]) -> list[dict[str, Any]]:
    return [*templates[False]["Resources"].values()]


@pytest.mark.parametrize("minimize", [False, True], ids=["plain", "minimized"])
def test_the_template_is_as_it_was(
    templates: dict[bool, dict[str, Any]], snapshot: SnapshotAssertion, *, minimize: bool
) -> None:
    found = templates[minimize]

    assert found == snapshot.use_extension(JSONSnapshotExtension)
    assert lint(json.dumps(found)) == []


def test_both_ends_have_what_the_document_says(resources: list[dict[str, Any]]) -> None:
    (document,) = (r["Properties"] for r in resources if r["Type"] == "AWS::SSM::Document")
    policies = [r["Properties"] for r in resources if r["Type"] == "AWS::IAM::Policy"]
    (agent,) = (found for found in policies if found.get("Roles") == [ROLE])
    (operator,) = (found for found in policies if found.get("Groups") == ["web-operators"])

    inputs = document["Content"]["inputs"]
    resources_of = {
        action: statement["Resource"]
        for policy in (agent, operator)
        for statement in policy["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
        if statement.get("Sid") != "SessionManagerLogBucketKey"
    }
    assert resources_of["kms:Decrypt"] == inputs["kmsKeyId"]
    assert resources_of["kms:GenerateDataKey"] == inputs["kmsKeyId"]
    assert inputs["s3BucketName"] == {
        "Ref": resources_of["s3:GetEncryptionConfiguration"]["Fn::GetAtt"][0]
    }
    assert inputs["s3KeyPrefix"] == "web-server"
    assert resources_of["s3:PutObject"]["Fn::Join"][1][-1] == "/web-server/*"
    assert inputs["cloudWatchLogGroupName"] in resources_of["logs:PutLogEvents"]["Fn::Join"][1]


def test_cloudwatch_may_use_the_key_for_the_log_group_alone(
    resources: list[dict[str, Any]],
) -> None:
    (key,) = (r["Properties"] for r in resources if r["Type"] == "AWS::KMS::Key")
    (group,) = (r["Properties"] for r in resources if r["Type"] == "AWS::Logs::LogGroup")
    (service,) = (
        statement
        for statement in key["KeyPolicy"]["Statement"]
        if "logs." in str(statement["Principal"])
    )

    arn = f"arn:aws:logs:us-west-2:111122223333:log-group:{group['LogGroupName']}"
    assert deployed(service["Condition"]) == {
        "ArnEquals": {"kms:EncryptionContext:aws:logs:arn": arn}
    }
