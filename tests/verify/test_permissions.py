"""The permissions of `verify --instance-id` are those of checks, and none writes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from session_manager_permissions._verify.checks import AGENT, ORDER, REGISTERED
from session_manager_permissions._verify.permissions import PERMISSIONS, policy_for_credentials

from .nodes import (
    ACCOUNT,
    HYBRID,
    NODE,
    REGION,
    USER,
    World,
    dhcp_options,
    diagnosed,
    endpoint,
    group,
    of_verdict,
    table,
    trusting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATOR_ROLE = f"arn:aws:iam::{ACCOUNT}:role/alice"
OF_SEVERAL = {
    "ec2:DescribeInstances",
    "iam:GetInstanceProfile",
    "iam:SimulatePrincipalPolicy",
    "ssm:DescribeInstanceInformation",
    "ssm:GetDocument",
}
"""Without the first there is no answer, and several checks rest on each of the others."""
OF_CLUES = {*AGENT.asks} - {*REGISTERED.asks}
"""What may show why an agent is not connected: tests/verify/test_node_not_connected.py."""


def one_path(world: World) -> None:
    """A connected node with a key: only the path to KMS is judged."""
    world.uses(s3BucketName="", cloudWatchLogGroupName="")


def by_endpoints(world: World) -> None:
    one_path(world)
    found = [endpoint(service) for service in ("ssm", "ssmmessages", "kms")]
    world.has("ec2:describe_vpc_endpoints", {"VpcEndpoints": found})
    tables = [table("rtb-main", Associations=[{"Main": True}])]
    world.has("ec2:describe_route_tables", {"RouteTables": tables})
    opened = group("sg-endpoints", IpPermissions=group("")["IpPermissionsEgress"])
    world.has("ec2:describe_security_groups", {"SecurityGroups": [group("sg-web"), opened]})
    options = [dhcp_options("dopt-1", "AmazonProvidedDNS"), dhcp_options("dopt-2", "10.0.0.53")]
    world.has("ec2:describe_dhcp_options", {"DhcpOptions": options})


def run_as(world: World) -> None:
    world.uses(runAsEnabled=True, runAsDefaultUser="web")


def may_not_put(world: World) -> None:
    world.uses()
    world.denies.add("s3:PutObject")


def trusting_perhaps(world: World) -> None:
    world.trust = {"Statement": [trusting(f"ec2.{REGION}.amazonaws.com")]}


WHERE_ASKED: dict[str, tuple[Callable[[World], object], str, str | None]] = {
    **{
        action: (one_path, NODE, None)
        for action in PERMISSIONS
        if action.startswith(("ec2:", "route53"))
    },
    "ec2:DescribeDhcpOptions": (by_endpoints, NODE, None),
    "ec2:DescribeInstanceStatus": (World.never_registered, NODE, None),
    "ec2:DescribeVpcs": (by_endpoints, NODE, None),
    "iam:GetRole": (World.is_hybrid, HYBRID, None),
    "iam:ListRoleTags": (run_as, NODE, OPERATOR_ROLE),
    "iam:ListUserTags": (run_as, NODE, USER),
    "s3:GetBucketPolicy": (may_not_put, NODE, None),
    "ssm:GetServiceSetting": (trusting_perhaps, NODE, None),
    "ssm:ListTagsForResource": (World.is_hybrid, HYBRID, USER),
}
"""A node of which each action is asked; one that uses everything for the others."""


def test_each_action_reads() -> None:
    (statement,) = policy_for_credentials()["Statement"]

    assert statement["Action"] == sorted(PERMISSIONS)
    for action in statement["Action"]:
        assert re.fullmatch(r"\w+:(Describe|Get|List|Simulate)\w+", action)


def test_each_check_is_one_that_exists() -> None:
    assert {check for checks in PERMISSIONS.values() for check in checks} <= {*ORDER}


@pytest.mark.parametrize("action", sorted(PERMISSIONS.keys() - OF_SEVERAL - OF_CLUES))
def test_without_one_exactly_one_check_is_unknown(action: str) -> None:
    prepare, node, operator = WHERE_ASKED.get(action, (World.uses, NODE, None))
    world = World()
    prepare(world)
    with_it = of_verdict(diagnosed(world, node, operator=operator), "unknown")
    call = {"s3:GetEncryptionConfiguration": "s3:GetBucketEncryption"}.get(action, action)
    code = "UnauthorizedOperation" if action.startswith("ec2:") else "AccessDeniedException"
    world.refuses(call, code)

    found = diagnosed(world, node, operator=operator)

    (unknown,) = of_verdict(found, "unknown") - with_it
    assert unknown in PERMISSIONS[action]
    (check,) = (one for one in found.checks if one.name == unknown)
    assert action in " ".join([*check.why, *check.fix])
