"""What operators may do, deployed: one inline policy each, which IAM and KMS judge.

MiniStack's simulator drops `ContextEntries`, its KMS tells IAM of no alias and no encryption
context, and its Systems Manager knows no sessions. What tags and keys of a condition decide is
asked of its evaluator in `tests/constructs/test_operators.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from botocore.exceptions import ClientError
from local_aws import REGION, LocalAws, create_key

from session_manager_permissions import SessionPreferences
from tests.constructs.test_operators import CONSOLE, DESKTOP
from tests.roles import TRUST

from . import stacks

ACCOUNT: Final = "000000000000"
OTHERS: Final = {"ssm:ListDocuments", "ssm-guiconnect:ListConnections", "ssm:SendCommand"}
GRANTS: Final[dict[str, tuple[dict[str, Any], set[str]]]] = {
    "group": ({"allow_console": True}, CONSOLE),
    "user": ({}, set()),
    "role": ({"allow_remote_desktop": True}, DESKTOP),
}


def simulated(aws: LocalAws, arn: str, action: str, resource: str) -> bool:
    (result,) = aws.client("iam").simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=[action], ResourceArns=[resource]
    )["EvaluationResults"]
    return bool(result["EvalDecision"] == "allowed")


def makes_data_key(aws: LocalAws, user_name: str, key: str) -> bool:
    """What KMS answers the user, with credentials of the user's own."""
    made = aws.client("iam").create_access_key(UserName=user_name)["AccessKey"]
    try:
        aws.client("kms", made).generate_data_key(KeyId=key, KeySpec="AES_256")
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return False
    return True


def test_a_group_a_user_and_a_role_each_have_one_policy_with_what_was_granted(
    aws: LocalAws, tmp_path: Path
) -> None:
    client, key, other_key = aws.client("iam"), create_key(aws), create_key(aws)
    for name in ("user-of-group", "user"):
        client.create_user(UserName=name)
    client.create_group(GroupName="group")
    client.add_user_to_group(GroupName="group", UserName="user-of-group")
    client.create_role(RoleName="role", AssumeRolePolicyDocument=json.dumps(TRUST))
    app = stacks.legacy_app(tmp_path)
    stack = cdk.Stack(app, "Operators", env=cdk.Environment(account=ACCOUNT, region=REGION))
    found = SessionPreferences.from_document_name(
        stack, "Preferences", encryption_key=kms.Key.from_key_arn(stack, "Key", key)
    )
    existing: dict[str, Any] = {
        "group": iam.Group.from_group_name(stack, "Group", "group"),
        "user": iam.User.from_user_name(stack, "User", "user"),
        "role": iam.Role.from_role_name(stack, "Role", "role"),
    }
    for kind, (access, _) in GRANTS.items():
        found.grant_start_session(existing[kind], all_instances=True, **access)
    app.synth()

    stacks.put(aws, tmp_path)

    assert len(client.list_group_policies(GroupName="group")["PolicyNames"]) == 1
    assert len(client.list_user_policies(UserName="user")["PolicyNames"]) == 1
    assert len(client.list_role_policies(RoleName="role")["PolicyNames"]) == 1
    for kind, (_, allowed) in GRANTS.items():
        of_kind = "user/user-of-group" if kind == "group" else f"{kind}/{kind}"
        arn = f"arn:aws:iam::{ACCOUNT}:{of_kind}"
        every = DESKTOP | CONSOLE | OTHERS
        assert {one for one in every if simulated(aws, arn, one, "*")} == allowed
        session = f"arn:aws:ssm:{REGION}:{ACCOUNT}:session/ana-0a1b2c3d4e5f67890"
        assert simulated(aws, arn, "ssmmessages:OpenDataChannel", session)
        assert not simulated(aws, arn, "ssmmessages:CreateDataChannel", session)
    assert makes_data_key(aws, "user", key)
    assert not makes_data_key(aws, "user", other_key)
