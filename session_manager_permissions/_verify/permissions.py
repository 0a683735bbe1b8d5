"""What must the credentials of `verify` and `audit` be allowed? Each action reads, none writes.

Sources: the service authorization reference, and the API reference of each call.
"""

from __future__ import annotations

from typing import Any, Final

PERMISSIONS: Final[dict[str, str]] = {
    "ec2:DescribeDhcpOptions": "path-ssm, path-ssmmessages, path-kms, path-logs",
    "ec2:DescribeInstances": "instance-running, instance-profile, metadata",
    "ec2:DescribeInstanceStatus": "instance-running",
    "ec2:DescribeNatGateways": "path-ssm, path-ssmmessages, path-kms, path-logs, path-s3",
    "ec2:DescribeNetworkAcls": "path-ssm, path-ssmmessages, path-kms, path-logs, path-s3",
    "ec2:DescribeRouteTables": "path-ssm, path-ssmmessages, path-kms, path-logs, path-s3",
    "ec2:DescribeSecurityGroups": "path-ssm, path-ssmmessages, path-kms, path-logs, path-s3",
    "ec2:DescribeSubnets": "path-ssm, path-ssmmessages, path-kms, path-logs, path-s3",
    "ec2:DescribeVpcAttribute": "path-ssm, path-ssmmessages, path-kms, path-logs, path-s3",
    "ec2:DescribeVpcEndpoints": "path-ssm, path-ssmmessages, path-kms, path-logs, path-s3",
    "ec2:DescribeVpcs": "path-ssm, path-ssmmessages, path-kms, path-logs",
    "iam:GetInstanceProfile": "instance-profile",
    "iam:GetRole": "role-assumable",
    "iam:ListRoleTags": "run-as",
    "iam:ListUserTags": "run-as",
    "iam:SimulatePrincipalPolicy": "reach, register, encrypt, log-to-s3, log-to-cloudwatch, "
    "operator",
    "kms:DescribeKey": "key-usable",
    "logs:DescribeLogGroups": "log-group-encryption",
    "s3:GetEncryptionConfiguration": "bucket-encryption, path-s3",
    "ssm:DescribeInstanceInformation": "registered",
    "ssm:GetConnectionStatus": "connected",
    "ssm:GetDocument": "encrypt, key-usable, log-to-s3, bucket-encryption, log-to-cloudwatch, "
    "log-group-encryption, run-as",
    "ssm:GetServiceSetting": "default-host-management",
    "ssm:ListTagsForResource": "operator",
}
"""Each action, and the checks that are unknown without it."""


_OF_OPERATORS: Final = frozenset(
    {"iam:ListRoleTags", "iam:ListUserTags", "ssm:ListTagsForResource"}
)
"""What only `verify --operator` calls."""


def policy_for_credentials() -> dict[str, Any]:
    """Return the policy that `verify --print-permissions` prints: all that the command calls."""
    return _policy("SessionManagerVerify", {*PERMISSIONS})


def policy_for_audit() -> dict[str, Any]:
    """Return the policy that `audit --print-permissions` prints: all that the command calls."""
    return _policy("SessionManagerAudit", {*PERMISSIONS, "ec2:DescribeRegions"} - _OF_OPERATORS)


def _policy(sid: str, actions: set[str]) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}
