"""Deployments by CloudFormation itself, for tests to which the CLI adds nothing."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from botocore.exceptions import ClientError
from local_aws import LocalAws


def legacy_app(folder: Path) -> cdk.App:
    """An app whose stacks need no bootstrap, and whose cloud assembly is in this folder."""
    by = cdk.LegacyStackSynthesizer()
    return cdk.App(outdir=str(folder), analytics_reporting=False, default_stack_synthesizer=by)


def until(is_so: Callable[[], bool], *, seconds: int = 60) -> None:
    """Wait until a condition is true, for so many seconds at most."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def status(aws: LocalAws, name: str) -> str | None:
    """The status of the stack; None if there is none of this name."""
    stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
    return next((stack["StackStatus"] for stack in stacks if stack["StackName"] == name), None)


def start(aws: LocalAws, template: Path) -> str:
    """Have CloudFormation begin to make the stack, or to update it, and return the stack's name.

    Args:
        aws: where.
        template: the file, which CDK names after the stack.
    """
    client, name = aws.client("cloudformation"), template.name.partition(".")[0]
    begin = client.create_stack if status(aws, name) is None else client.update_stack
    text = template.read_text(encoding="utf-8")
    begin(StackName=name, TemplateBody=text, Capabilities=["CAPABILITY_NAMED_IAM"])
    return name


def put(aws: LocalAws, folder: Path, *names: str) -> None:
    """Make, or update, the stacks of these names in the cloud assembly, one after the other.

    Args:
        aws: where.
        folder: the cloud assembly.
        names: those of the stacks. Default: all, by their names.
    """
    for name in names or sorted(path.name[:-14] for path in folder.glob("*.template.json")):
        start(aws, folder / f"{name}.template.json")
        until(lambda name=name: not str(status(aws, name)).endswith("_IN_PROGRESS"))  # type: ignore[misc]
        assert status(aws, name) in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, events(aws, name)


def delete(aws: LocalAws, name: str) -> None:
    """Delete the stack."""
    aws.client("cloudformation").delete_stack(StackName=name)
    until(lambda: status(aws, name) is None)


def events(aws: LocalAws, name: str) -> list[dict[str, Any]]:
    """The events of the stack's resources, from the first deployment on."""
    try:
        found = aws.client("cloudformation").describe_stack_events(StackName=name)
    except ClientError:
        return []
    return [*reversed(found["StackEvents"])]


def made_user(aws: LocalAws, name: str, document: str) -> dict[str, str]:
    """Make a user with this policy, and return an access key."""
    iam = aws.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=document)
    return iam.create_access_key(UserName=name)["AccessKey"]  # type: ignore[no-any-return]
