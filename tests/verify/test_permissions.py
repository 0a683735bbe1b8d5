"""The permissions of `verify --instance-id` are those of checks, and none writes.

That they are enough where services enforce them is in `tests/deploy/test_credentials.py`.
"""

import re
from typing import Any, Final

import pytest

from session_manager_permissions._network.ec2 import SERVICES
from session_manager_permissions._verify.checks import (
    AGENT,
    PERMISSIONS,
    REGISTERED,
    policy_for_credentials,
)

from . import causes
from .causes import Cause, bucket, cause, denying, hybrid, never, run_as, trusts, used, using
from .networks import BOTH_ENDPOINTS, OF_TWO, PLAIN_DNS, S3_GATEWAY, closed, dns, dns_rules, policy
from .nodes import KEY, OPERATORS, REGION, USER, diagnosed, endpoint, of_verdict, one

OF_CLUES: Final = {*AGENT.asks} - {*REGISTERED.asks}
"""What may show why an agent is not connected: tests/verify/test_node_not_connected.py."""
BY_ORGANIZATION: Final = {"Condition": {"StringEquals": {causes.ORG: "o-own"}}}
OF_ORGANIZATION: Final = {"PolicyDocument": policy(**BY_ORGANIZATION), "DnsOptions": PLAIN_DNS}
EVERYTHING: Final = used("")._replace(operator=USER)
NO_KEY: Final = denying("kms:Decrypt", "kms:GenerateDataKey")
PATHS: Final = never("")
NAMES: Final = never("", closed(*BOTH_ENDPOINTS), dns(*OF_TWO))
WHERE_ASKED: Final = {
    **{action: PATHS for action in PERMISSIONS if action.startswith(("ec2:", "route53"))},
    "ec2:DescribeDhcpOptions": NAMES,
    "ec2:DescribeVpcs": NAMES,
    "iam:GetRole": hybrid("", run_as("web"))._replace(operator=OPERATORS),
    "iam:GetUser": cause("", run_as("web"), operator=USER),
    # of what IAM denies, the policies of keys and buckets are read
    "kms:DescribeKey": used(
        "", using(kmsKeyId="alias/sessions"), bucket("aws:kms", "alias/logs")
    )._replace(operator=USER),
    "kms:GetKeyPolicy": used("", NO_KEY, bucket("aws:kms", KEY))._replace(operator=USER),
    "organizations:DescribeOrganization": used(
        *("", causes.NEVER, NO_KEY, bucket("aws:kms", KEY)),
        causes.key_policy(causes.PUBLIC | BY_ORGANIZATION),
        closed(*(endpoint(one, **OF_ORGANIZATION) for one in SERVICES)),
    )._replace(operator=USER),
    "route53resolver:ListResolverRules": never("", dns_rules(("SYSTEM", "."))),
    "s3:GetBucketPolicy": used("", denying("s3:PutObject")),
    "s3:GetEncryptionConfiguration": used(  # of a bucket that may be in another region
        "", closed(*BOTH_ENDPOINTS, endpoint("kms"), endpoint("logs"), S3_GATEWAY)
    ),
    "ssm:GetConnectionStatus": PATHS,
    "ssm:GetServiceSetting": cause("", trusts(f"ec2.{REGION}.amazonaws.com")),
    "ssm:ListTagsForResource": hybrid("")._replace(operator=USER),
}
"""A node of which each action is asked; `EVERYTHING` for the others."""


def test_each_action_reads() -> None:
    (statement,) = policy_for_credentials()["Statement"]

    assert statement["Action"] == sorted(PERMISSIONS)
    for action in statement["Action"]:
        assert re.fullmatch(r"\w+:(Describe|Get|List|Simulate)\w+", action)


# A denial stands if the grants of a key can't be read, and says so: tests/verify/causes.py.
@pytest.mark.parametrize(
    "action", sorted(PERMISSIONS.keys() - {"ec2:DescribeInstances", "kms:ListGrants"} - OF_CLUES)
)
def test_without_one_its_checks_are_unknown_and_no_other(action: str) -> None:
    said: Cause = WHERE_ASKED.get(action, EVERYTHING)
    asked: dict[str, Any] = {"node": said.node, "operator": said.operator}
    with_it = of_verdict(diagnosed(said.world(), **asked), "unknown")
    call = {"s3:GetEncryptionConfiguration": "s3:GetBucketEncryption"}.get(action, action)
    code = "UnauthorizedOperation" if action.startswith("ec2:") else "AccessDeniedException"
    world = said.world()
    world.refuses(call, code)

    found = diagnosed(world, **asked)

    unknown = of_verdict(found, "unknown") - with_it
    assert unknown == {*PERMISSIONS[action]} - of_verdict(found, "skipped")
    for name in unknown:
        assert action in " ".join([*one(found, name).why, *one(found, name).fix])
