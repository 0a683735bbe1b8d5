"""What the tests read of what is synthesized: templates, warnings, look-ups and reports."""

import json
import re
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from constructs import Construct


def app_of(construct: Construct) -> cdk.Stage:
    """The app, or the stage, that the construct is in."""
    found = cdk.Stage.of(construct)
    assert found
    return found


def crosses(value: object) -> bool:
    """Whether a part of a template refers to another stack, in either kind."""
    written = json.dumps(value)
    return '"Fn::ImportValue"' in written or '"Fn::GetStackOutput"' in written


def synth(construct: Construct) -> Path:
    """The folder that the construct's app, or stage, is synthesized to as it is now."""
    return Path(app_of(construct).synth(force=True).directory)


def template(stack: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((synth(stack) / stack.template_file).read_text())
    return found


def resources(stack: cdk.Stack, kind: str) -> dict[str, dict[str, Any]]:
    """The resources of one type, by logical id."""
    found = template(stack).get("Resources", {})
    return {name: body for name, body in found.items() if body["Type"] == kind}


def only(stack: cdk.Stack, kind: str) -> dict[str, Any]:
    """The properties of the one resource of the type in the stack's template."""
    (found,) = resources(stack, kind).values()
    properties: dict[str, Any] = found["Properties"]
    return properties


def policy(stack: cdk.Stack) -> dict[str, Any]:
    """The properties of the one policy in the stack's template."""
    return only(stack, "AWS::IAM::Policy")


def statements(stack: cdk.Stack) -> dict[str, dict[str, Any]]:
    """The statements of the stack's one policy, by Sid."""
    found = policy(stack)["PolicyDocument"]["Statement"]
    by_sid = {statement["Sid"]: statement for statement in found}
    assert len(by_sid) == len(found)
    return by_sid


def warnings(stack: cdk.Stack) -> list[str]:
    """The texts that the CLI shows as warnings of the stack, without CDK's own.

    jsii gives the messages of an artifact only if aws-cdk-lib was installed after
    aws-cdk.cloud-assembly-schema, which has a module of the same name.
    """
    folder = synth(stack)
    artifact = json.loads((folder / "manifest.json").read_text())["artifacts"][stack.artifact_id]
    metadata = artifact.get("metadata", {})
    if file := artifact.get("additionalMetadataFile"):
        metadata |= json.loads((folder / file).read_text())
    return [
        str(entry["data"])
        for entries in metadata.values()
        for entry in entries
        if entry["type"] == "aws:cdk:warning" and "[ack: @aws-cdk/" not in str(entry["data"])
    ]


def warned(stack: cdk.Stack) -> list[str]:
    """The ids of the stack's warnings, without their common prefix."""
    return re.findall(r"\[ack: session-manager-permissions:(.*?)\]", "\n".join(warnings(stack)))


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


def reported(stack: cdk.Stack) -> dict[str, list[dict[str, Any]]]:
    """The statements in the report for those who create the roles, by the role's path."""
    report = json.loads((synth(stack) / "iam-policy-report.json").read_text())
    return {role["roleConstructPath"]: role["identityPolicyStatements"] for role in report["roles"]}
