"""The options against what was measured of the agent: they grant what it needs, and no more."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

import aws_cdk as cdk
import pytest
from tables import MEASURED

from .constructs.test_neighbours import written
from .places import ALIAS, HERE, OTHER_ACCOUNT
from .scenarios import PREFIX, SCENARIOS
from .templates import as_list

NOT_GRANTED: Final = {
    "ssm:UpdateInstanceInformation": "without `allow_registration` another policy of the role "
    "allows it, or Default Host Management registers the node"
}
NOT_NEEDED: Final = {
    ("SessionManagerLogEncryption", "s3:GetEncryptionConfiguration"): "without a log bucket, as "
    "the AWS procedure has it: the live preferences may name a bucket",
    ("SessionManagerLogBucketKey", "kms:Decrypt"): "S3 uses the bucket's key for who uploads",
    ("SessionManagerLogBucketKey", "kms:GenerateDataKey"): "S3 uses the bucket's key for who "
    "uploads",
    ("SessionManagerLogStreams", "logs:DescribeLogStreams"): "the agent calls it, and logs without "
    "it too; AWS's user guide of Session Manager allows it",
    ("SessionManagerLogEvents", "logs:DescribeLogStreams"): "AWS documents it in two ways: on the "
    "group, and on its streams",
}
"""What is granted without a measurement that it is needed, by Sid and action, and why."""


def calls(scenario: str) -> Iterator[dict[str, Any]]:
    """The calls that the agent needs for the features that the options of a scenario enable."""
    options = SCENARIOS[scenario](cdk.Stack(env=HERE))
    uses = {"every session", *(name for name, value in options.items() if value)}
    bucket: Any = options.get("log_bucket")
    if bucket is not None and bucket.env.account == OTHER_ACCOUNT:
        uses.add("log_bucket of another account")
    prefix = f"{PREFIX}/" if "log_prefix" in uses else ""
    for call in MEASURED["role"]:
        if call.get("with") in uses:
            yield {**call, "on": call["on"].replace("PREFIX/", prefix)}


def allows(statement: dict[str, Any], call: dict[str, Any]) -> bool:
    """Whether the statement allows the call."""
    return (
        call["action"] in as_list(statement["Action"])
        and any(fnmatchcase(call["on"], one) for one in as_list(statement["Resource"]))
        and all(
            meets(call, operator, key, value)
            for operator, keys in statement.get("Condition", {}).items()
            for key, value in keys.items()
        )
    )


def meets(call: dict[str, Any], operator: str, key: str, value: str) -> bool:
    """Whether the call meets a condition; the KMS key of the call has the alias."""
    if operator == "Null":
        return (key not in call.get("context", ())) == (value == "true")
    assert operator == "ForAnyValue:StringEquals"
    return (key, value) == ("kms:ResourceAliases", ALIAS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_a_session_or_its_log_is_lost_without_is_granted(scenario: str) -> None:
    statements = written(scenario)

    denied = {it["action"] for it in calls(scenario) if not any(allows(x, it) for x in statements)}

    assert denied == ({*NOT_GRANTED} if scenario not in {"allow_registration", "all"} else set())


def unneeded(scenario: str) -> set[tuple[str, str]]:
    needed = [*calls(scenario)]
    return {
        (statement["Sid"], action)
        for statement in written(scenario)
        for action in as_list(statement["Action"])
        if not any(call["action"] == action and allows(statement, call) for call in needed)
    }


def test_nothing_else_is_granted_but_for_a_reason() -> None:
    assert {each for scenario in SCENARIOS for each in unneeded(scenario)} == {*NOT_NEEDED}


def test_a_log_bucket_leaves_no_grant_on_all_buckets() -> None:
    without = {name for name in SCENARIOS if "SessionManagerLogEncryption" in str(unneeded(name))}

    assert without
    assert not [name for name in without if "log_bucket" in SCENARIOS[name](cdk.Stack(env=HERE))]
