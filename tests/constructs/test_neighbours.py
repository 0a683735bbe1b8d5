"""`docs/statements.md` against what is synthesized, and against what the neighbours grant."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_managed_policies import policies

from session_manager_permissions import session_manager_statements
from tests.conftest import ROOT
from tests.keys import existing_key
from tests.places import HERE, REGION, key_arn
from tests.scenarios import BUCKET, BUCKET_KEY, GROUP_ARN, PREFIX, SCENARIOS
from tests.templates import as_list, deployed
from tests.test_readme import code, table

PAGE: Final = (ROOT / "docs/statements.md").read_text(encoding="utf-8")
RESOURCES: Final = {
    "*": "`*`", key_arn(): "the session's key", BUCKET_KEY: "the bucket's key",
    GROUP_ARN: "the group", f"{GROUP_ARN}:*": "the group's streams",
    f"arn:aws:s3:::{BUCKET}": "the bucket", f"arn:aws:s3:::{BUCKET}/*": "all objects of the bucket",
    f"arn:aws:s3:::{BUCKET}/{PREFIX}/*": "the objects below the prefix",
}  # fmt: skip
"""The page's name for each resource."""

CORE: Final = "AmazonSSMManagedInstanceCore"


def shown() -> dict[str, list[dict[str, Any]]]:
    """The statements under each heading."""
    found = re.findall(r"^## (.*)\n(?:.*\n)*?```json\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)
    return {heading.replace("`", "").lower(): json.loads(text) for heading, text in found}


def written(scenario: str) -> list[dict[str, Any]]:
    """The statements in a stack of a known account and region."""
    stack = cdk.Stack(cdk.App(), "Stack", env=HERE)
    statements = session_manager_statements(**SCENARIOS[scenario](stack))
    found = stack.resolve([each.to_statement_json() for each in statements])
    statements_json: list[dict[str, Any]] = deployed(found)
    return statements_json


def test_every_scenario_is_shown() -> None:
    assert list(shown()) == list(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_statements_shown_are_those_that_the_option_changes(scenario: str) -> None:
    default = [] if scenario in {"nothing", "all"} else written("nothing")

    assert shown()[scenario] == [each for each in written(scenario) if each not in default]


def granted(statements: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """The resources of each action, in the page's words."""
    found: dict[str, set[str]] = {}
    for statement in statements:
        for action in as_list(statement["Action"]):
            resources = {RESOURCES[deployed(one)] for one in as_list(statement["Resource"])}
            found.setdefault(action, set()).update(resources)
    return found


def ecs_exec(key_of: Callable[[cdk.Stack], kms.IKey] = existing_key) -> list[dict[str, Any]]:
    """The statements of CDK's ECS for `enable_execute_command`, with all options set."""
    stack = cdk.Stack(cdk.App(), "Stack", env=HERE)
    cluster = ecs.Cluster(
        stack,
        "Cluster",
        vpc=ec2.Vpc(stack, "Vpc", availability_zones=[f"{REGION}a"]),
        execute_command_configuration=ecs.ExecuteCommandConfiguration(
            kms_key=key_of(stack),
            logging=ecs.ExecuteCommandLogging.OVERRIDE,
            log_configuration=ecs.ExecuteCommandLogConfiguration(
                cloud_watch_log_group=logs.LogGroup.from_log_group_arn(stack, "Group", GROUP_ARN),
                cloud_watch_encryption_enabled=True,
                s3_bucket=s3.Bucket.from_bucket_arn(stack, "Bucket", f"arn:aws:s3:::{BUCKET}"),
                s3_encryption_enabled=True,
                s3_key_prefix=PREFIX,
            ),
        ),
    )
    task = ecs.FargateTaskDefinition(stack, "Task")
    task.add_container("Container", image=ecs.ContainerImage.from_registry("any"))
    given: Any = {"cluster": cluster, "task_definition": task, "enable_execute_command": True}
    ecs.FargateService(stack, "Service", **given)
    policy = cast("iam.Policy", task.task_role.node.find_child("DefaultPolicy"))
    found: list[dict[str, Any]] = stack.resolve(policy.document)["Statement"]
    return found


NEIGHBOURS: Final[dict[str, Callable[[], list[dict[str, Any]]]]] = {
    "this library": lambda: written("all"),
    CORE: lambda: policies()[CORE]["Statement"],
    "ECS Exec of CDK": ecs_exec,
}


@pytest.mark.parametrize(("column", "name"), [*enumerate(NEIGHBOURS, 1)])
def test_the_comparison_says_what_is_granted(column: int, name: str) -> None:
    said = {
        action: set(row[column].split(", "))
        for row in table("action", PAGE)
        for action in code(row[0])
        if row[column] != "no"
    }

    assert said == granted(NEIGHBOURS[name]())


def test_ecs_exec_grants_on_the_arn_of_an_alias() -> None:
    arns = json.dumps(ecs_exec(lambda stack: kms.Alias.from_alias_name(stack, "Key", "alias/a")))

    assert ":alias/a" in arns
    assert "key/*" not in arns
    assert "kms:ResourceAliases" not in arns
