"""The least policy to deploy with, of docs/security.md: the real CLI runs with it, IAM enforced."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import pytest
from local_aws import ROOT, existing_profile

from tests.builders import as_list

if TYPE_CHECKING:
    from local_aws import LocalAws

pytestmark = pytest.mark.deploy

PAGE: Final = (ROOT / "docs/security.md").read_text(encoding="utf-8")
SERVICES: Final = {"CloudFormation": "cloudformation", "CloudControl": "cloudformation"}
NEEDS_NO_PERMISSION: Final = {"STS.GetCallerIdentity"}


def of_the_page(account: str, without: str = "") -> str:
    (text,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    policy = json.loads(text.replace("111122223333", account))
    for statement in policy["Statement"]:
        statement["Action"] = [one for one in as_list(statement["Action"]) if one != without]
    policy["Statement"] = [found for found in policy["Statement"] if found["Action"]]
    return json.dumps(policy)


def deployer(aws: LocalAws, name: str, without: str = "") -> dict[str, str]:
    """The access key of a user with the policy, less an action."""
    iam = aws.client("iam")
    account = aws.client("sts").get_caller_identity()["Account"]
    iam.create_user(UserName=name)
    document = of_the_page(account, without)
    iam.put_user_policy(UserName=name, PolicyName="deploy", PolicyDocument=document)
    key: dict[str, str] = iam.create_access_key(UserName=name)["AccessKey"]
    return key


def test_deploy_diff_and_destroy_call_what_the_policy_allows_and_all_of_it(aws: LocalAws) -> None:
    profile = existing_profile(aws, "least-to-deploy")
    credentials = deployer(aws, "deployer")
    target = ("-c", "instance-profile=least-to-deploy")
    called = set()

    for command in (
        ("deploy", *target),
        ("deploy", *target, "-c", "allow-registration=true"),
        ("diff", *target),
        ("destroy", "--force", *target),
    ):
        run = aws.cdk(*command, "-vvv", credentials=credentials)  # which tells each call
        assert run.exit_code == 0, run.output
        assert "not authorized" not in run.output
        called |= {*re.findall(r"\[SDK \w+\] (\w+)\.(\w+)\(", run.output)}
        has_policy = profile.simulate("ssmmessages:OpenDataChannel")
        assert has_policy == (command[0] != "destroy")

    names = {f"{service}.{call}" for service, call in called} - NEEDS_NO_PERMISSION
    actions = {
        action
        for statement in json.loads(of_the_page("000000000000"))["Statement"]
        for action in statement["Action"]
        if action.startswith("cloudformation:")
    }
    assert {re.sub(r"^\w+\.", f"{SERVICES[n.partition('.')[0]]}:", n) for n in names} == actions


def test_it_reaches_no_other_stack_and_no_other_account() -> None:
    statements = json.loads(of_the_page("111122223333"))["Statement"]

    resources = {statement["Sid"]: statement["Resource"] for statement in statements}
    assert {sid for sid, resource in resources.items() if resource == "*"} == {"LookUp"}
    assert all(":111122223333:" in found for found in resources.values() if found != "*")


def test_a_deployer_without_the_change_set_is_refused(aws: LocalAws) -> None:
    existing_profile(aws, "not-deployed")
    credentials = deployer(aws, "no-deployer", without="cloudformation:CreateChangeSet")

    run = aws.cdk("deploy", "-c", "instance-profile=not-deployed", credentials=credentials)

    assert run.exit_code != 0
    assert "cloudformation:CreateChangeSet" in run.output
