"""`verify` of a role: what IAM answers, as the documentation of SimulatePrincipalPolicy has it.

That it agrees with the diagnosis of a node is in `test_causes.py`, what a local AWS answers in
`tests/deploy/test_deploy.py`.
"""

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from syrupy.assertion import SnapshotAssertion

from session_manager_permissions._verify.session import Boto
from session_manager_permissions._verify.simulator import NOW
from tests.readiness.test_what_findings_say import Text

from .causes import BY_BOUNDARY, BY_ORGANIZATION, NAMED, Change, denying, refusing, setting, trusts
from .nodes import ACCOUNT, ALIAS, CHANNELS, KEY, OTHER_ACCOUNT, REGISTER, ROLE, Question, World
from .running import Run, python_call, run

ROOT = Path(__file__).parents[2]
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
IN_GROUP = ("logs:CreateLogStream", "logs:PutLogEvents")
OF_BOUNDARY = setting(of_role={"PermissionsBoundary": {"PermissionsBoundaryArn": BOUNDARY}})
BY_VPC: Final = {"MissingContextValues": ["aws:SourceVpc"]}
ALL = (
    *("--region", "eu-central-1", "--key", KEY),
    *("--log-bucket", "session-logs", "--log-prefix", "/web//a/"),
    *("--log-bucket-key", f"{KEY[:-1]}c", "--log-group", "/ssm/sessions"),
)


def matched(policy: str) -> dict[str, Any]:
    statement = {"SourcePolicyId": policy, "SourcePolicyType": "IAM Policy"}
    place = {"StartPosition": {"Line": 3, "Column": 17}, "EndPosition": {"Line": 8, "Column": 6}}
    return {"MatchedStatements": [statement | place]}


def saying(action: str, decision: str, *does: Change, **parts: object) -> World:
    """An account in which IAM returns this decision for one action, and allows all others."""
    said = {"EvalDecision": decision, **parts}
    return World(setting(decides=lambda asked: said if asked.action == action else None), *does)


def verify(world: World, *arguments: str, region: str | None = None) -> Run:
    """Run the command on a role, with the answer in JSON."""
    whom = () if {"--role", "--instance-profile"} & {*arguments} else ("--role", "web-server")
    return run(world, "verify", *whom, "--output", "json", *arguments, region=region)


@pytest.mark.parametrize(("given", "profile"), [
    (("--instance-profile", "web-server"), "web-server"),
    (("--role", "web-server"), None),
    (("--role", ROLE), None),
    (("--role", f"arn:aws:iam::{ACCOUNT}:role/team/WEB-SERVER"), None),  # a name to IAM
])  # fmt: skip
def test_ready(given: tuple[str, ...], profile: str | None) -> None:
    found = verify(World(), *given)

    assert (found.status, found.err) == (0, "")
    assert found.out == f"{json.dumps(found.json, indent=2)}\n"
    assert (found.json["ready"], found.json["role"]) == (True, ROLE)
    assert found.json["instance_profile"] == profile
    assert [one["capability"] for one in found.json["capabilities"]] == ["reach", "register"]
    assert all(
        (one["allowed"], one["why"], one["fix"], one["notes"]) == (True, [], [], [])
        for one in found.json["capabilities"]
    )


def test_nothing_is_said_of_a_trust_policy_that_is_not_told() -> None:
    found = verify(World(setting(of_role={"AssumeRolePolicyDocument": None})))

    assert found.status == 0
    assert "trust" not in found.json


def test_all_that_is_used_is_asked_in_a_request_for_each_context() -> None:
    world = World()

    found = verify(world, *ALL)

    assert found.status == 0
    logs = f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:"
    stream = f"{logs}/ssm/sessions:log-stream:session-0123456789abcdef0"
    instance = f"arn:aws:ec2:eu-central-1:{ACCOUNT}:instance/i-0123456789abcdef0"
    of_region = [*CHANNELS, REGISTER, "s3:GetEncryptionConfiguration", "logs:DescribeLogGroups"]
    asked = [one for one in world.asked if "ActionNames" in one]
    assert [(one["ActionNames"], one["ResourceArns"]) for one in asked] == [
        (
            [*of_region, *IN_GROUP],
            ["*", instance, "arn:aws:s3:::session-logs", f"{logs}:log-stream:", stream],
        ),
        (["kms:Decrypt"], [KEY]),
        (["kms:Decrypt", "kms:GenerateDataKey"], [f"{KEY[:-1]}c"]),
        (["s3:PutObject"], ["arn:aws:s3:::session-logs/web/a/session-0123456789abcdef0.log"]),
    ]
    assert [(one["capability"], one["subject"]) for one in found.json["capabilities"]] == [
        ("reach", None),
        ("register", None),
        ("encrypt", KEY),
        ("log-to-s3", "arn:aws:s3:::session-logs/web/a"),
        ("log-to-cloudwatch", f"{logs}/ssm/sessions"),
    ]


def entry(key: str, value: str, kind: str = "string") -> dict[str, Any]:
    return {"ContextKeyName": key, "ContextKeyValues": value.split(","), "ContextKeyType": kind}


OF_EACH: Final = (
    entry("aws:SecureTransport", "true", "boolean"),
    entry("aws:PrincipalIsAWSService", "false", "boolean"),
    entry("aws:ViaAWSService", "false", "boolean"), entry("aws:CurrentTime", NOW, "date"),
    entry("aws:PrincipalAccount", ACCOUNT), entry("aws:PrincipalArn", ROLE),
)  # fmt: skip
OWNER: Final = entry("aws:ResourceAccount", ACCOUNT)
REGION_OF_KEY: Final = entry("aws:RequestedRegion", "eu-west-1")
BY_CALLER: Final = entry("kms:CallerAccount", ACCOUNT)
BY_ALIAS: Final = entry("kms:ResourceAliases", "alias/sessions", "stringList")
SESSION: Final = (
    entry("kms:EncryptionContext:aws:ssm:SessionId", "session-0123456789abcdef0"),
    entry("kms:EncryptionContext:aws:ssm:TargetId", "i-0123456789abcdef0"),
    entry("kms:EncryptionContextKeys", "aws:ssm:SessionId,aws:ssm:TargetId", "stringList"),
)


@pytest.mark.parametrize(("asked", "of_channels", "of_keys"), [
    ((), [OWNER], []),
    (("--region", "us-west-2"), [entry("aws:RequestedRegion", "us-west-2"), OWNER], []),
    (("--key", KEY), [OWNER], [REGION_OF_KEY, OWNER, BY_CALLER, *SESSION]),
    (("--key", ALIAS), [OWNER], [REGION_OF_KEY, OWNER, BY_CALLER, BY_ALIAS, *SESSION]),
])  # fmt: skip
def test_iam_is_told_what_a_session_has(
    asked: tuple[str, ...], of_channels: list[Any], of_keys: list[Any]
) -> None:
    world = World()

    assert verify(world, *asked).status == 0
    told = [one["ContextEntries"] for one in world.asked if "ActionNames" in one]
    requests = [of_channels, of_keys] if of_keys else [of_channels]
    assert told == [[*OF_EACH, *known] for known in requests]


def test_partition_is_the_role_s() -> None:
    logs = ("--region", "cn-north-1", "--log-bucket", "logs", "--log-group", "sessions")

    found = verify(World(setting(partition="aws-cn")), *logs)

    answers = [answer for one in found.json["capabilities"] for answer in one["answers"]]
    arns = [one["resource"] for one in answers if one["resource"] != "*"]
    assert found.status == 0
    assert {arn.split(":")[1] for arn in arns} == {"aws-cn"}


@pytest.mark.parametrize(
    ("allowed", "asked_again"), [((True, False), (0, 1)), ((False, True), (0,))]
)
@pytest.mark.parametrize("by", [{}, {"MatchedStatements": [NAMED]}], ids=["alone", "and a policy"])
def test_organization_denies_on_one_of_several_resources(
    allowed: tuple[bool, bool], asked_again: tuple[int, ...], by: dict[str, Any]
) -> None:
    """IAM says it of the action as a whole, here as of the last resource.

    So what it may deny is asked about by itself.
    """

    def decides(asked: Question) -> dict[str, Any] | None:
        is_allowed = allowed[asked.resource != "*"]
        said = {"EvalDecision": "allowed"} if is_allowed else {"EvalDecision": "explicitDeny", **by}
        of_organization = {"OrganizationsDecisionDetail": {"AllowedByOrganizations": is_allowed}}
        return said | of_organization if asked.action == REGISTER else None

    world = World(setting(decides=decides))

    found = verify(world, "--region", "eu-west-1")

    assert found.status == (0 if allowed[1] else 1)
    answers = found.capability("register")["answers"]
    assert [answer["allowed_by_organizations"] for answer in answers] == [*allowed]
    asked = [one for one in world.asked if "ActionNames" in one][1:]
    assert [(one["ActionNames"], one["ResourceArns"]) for one in asked] == [
        ([REGISTER], [answers[number]["resource"]]) for number in asked_again
    ]


@pytest.mark.parametrize(("given", "service", "status"), [
    ("--role", "ssm.amazonaws.com", 0),
    ("--role", "ec2.amazonaws.com", 1),
    ("--instance-profile", "ssm.amazonaws.com", 1),
])  # fmt: skip
def test_a_role_for_hybrid_nodes_may_register_these(given: str, service: str, status: int) -> None:
    def decides(asked: Question) -> dict[str, Any] | None:
        is_allowed = asked.action != REGISTER or ":managed-instance/mi-" in asked.resource
        return None if is_allowed else NO

    found = verify(World(setting(decides=decides), trusts(service)), given, "web-server", *ALL[:2])

    assert found.status == status
    assert found.capability("register")["allowed"] is (status == 0)


@pytest.mark.parametrize(("details", "decision", "status"), [
    ({"IAM Policy": "allowed", "Resource Policy": "implicitDeny"}, "implicitDeny", 0),
    ({"IAM Policy": "implicitDeny", "Resource Policy": "implicitDeny"}, "implicitDeny", 1),
    ({"IAM Policy": "explicitDeny"}, "explicitDeny", 1),
    ({}, "implicitDeny", 1),
])  # fmt: skip
def test_key_of_another_account(details: dict[str, str], decision: str, status: int) -> None:
    key = KEY.replace(ACCOUNT, OTHER_ACCOUNT)
    world = saying("kms:Decrypt", decision, EvalDecisionDetails=details)

    found = verify(world, "--key", key)

    assert found.status == status
    encrypt = found.capability("encrypt")
    assert encrypt["answers"][0]["decision_details"] == details
    assert encrypt["allowed"] is (status == 0)
    is_noted = "whose own policy must allow the action too" in "".join(encrypt["notes"])
    assert is_noted is (status == 0)


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchEntity"])
def test_a_role_that_can_not_be_asked_about_takes_one_request(code: str) -> None:
    world = World(refusing("iam:SimulatePrincipalPolicy", code))

    found = verify(world, *ALL)

    assert (found.status, found.out) == (2, "")
    assert world.calls.count("iam:simulate_principal_policy") == 1


@pytest.mark.parametrize(
    ("first", "second"), [("us-west-2", None), (None, "us-west-2"), ("", "us-west-2")]
)
def test_clients_are_where_the_key_is(
    first: str | None, second: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"AWS_REGION": first, "AWS_DEFAULT_REGION": second, "AWS_PROFILE": ""}
    for name, value in given.items():
        if value is not None:
            monkeypatch.setenv(name, value)

    calls = Boto(None, None)

    assert calls.region == "us-west-2"
    for service in ("kms", "ssm"):
        assert calls.client(service, "eu-west-1").meta.region_name == "eu-west-1"
    assert calls.client("kms", "eu-west-1") is calls.client("kms", "eu-west-1")
    assert calls.partition_of("cn-north-1") == "aws-cn"
    assert calls.dns_suffix_of("aws-cn") == "amazonaws.com.cn"


@pytest.mark.parametrize(("output", "status"), [("table", 2), ("json", 0)])
def test_tables_alone_need_rich(output: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)

    found = run(World(), "verify", "--role", "web-server", "--output", output)

    assert found.status == status
    said = "rich is not installed: pip install 'session-manager-permissions[verify]'"
    assert (said in found.err) is (status == 2)


def test_version_is_that_of_the_package() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.*)"$', project, re.MULTILINE)
    assert version
    said = f"session-manager-permissions {version[1]}\n"
    assert run(World(), "--version", "verify") == (0, said, "")


def test_help_has_examples_statuses_and_permissions() -> None:
    found = run(World(), "verify", "--help")

    assert found.status == 0
    for said in (
        "verify --instance-profile web-server",
        "verify --instance-id i-0123456789abcdef0 --operator caller",
        *("0  ready", "1  not ready", "2  AWS could not be asked"),
        *("iam:SimulatePrincipalPolicy", "kms:DescribeKey"),
    ):
        assert said in found.out
    assert max(len(line) for line in found.out.splitlines()) <= 100


@pytest.mark.parametrize(
    "prefix", ["[bold]:key:[/bold]" * 9, "web", 'a"b', "a'b", "a\\n", "a\\", "é", "\xa0"]
)
def test_table_has_names_as_they_are_and_no_fix_is_broken(prefix: str) -> None:
    asked = ("--role", "web-server", "--log-bucket", "logs", "--log-prefix", prefix)

    found = run(saying("s3:PutObject", "implicitDeny"), "verify", *asked)

    assert f"arn:aws:s3:::logs/{prefix[:6]}" in found.out
    deploys, fix = (one for one in found.out.splitlines() if one.startswith("- log to S3"))
    assert f"log-prefix={prefix}" in shlex.split(deploys)
    call = python_call(fix.partition("SessionManagerPermissions ")[2])
    assert {one.arg: one.value for one in call.keywords}["log_prefix"].value == prefix  # type: ignore[attr-defined]


def test_documented_actions_are_those_that_are_asked() -> None:
    text = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| `([\w-]+)` \| (?:always|for|with)[^|]*\| ([^|]+) \|", text)

    found = verify(World(), *ALL)

    assert [
        (one["capability"], [*dict.fromkeys(answer["action"] for answer in one["answers"])])
        for one in found.json["capabilities"]
    ] == [(name, re.findall(r"`(\w+:\w+)`", actions)) for name, actions in rows]


OF_KEY: Final = {
    "EvalResourceName": KEY, "EvalResourceDecision": "explicitDeny",
    "MissingContextValues": ["aws:SourceVpc"],
    "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": True},
    "EvalDecisionDetails": {}, **matched("deny-key"),
}  # fmt: skip
MORE_OF_KEY: Final = {
    "EvalResourceName": "arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}",
    "MissingContextValues": ["aws:SourceIp"],
    "ResourceSpecificResults": [OF_KEY],
}


NO: Final = {"EvalDecision": "implicitDeny"}


def said(world: World, *arguments: str) -> tuple[World, tuple[str, ...]]:
    return world, arguments


SAID: Final = {
    "ready with all": said(World(), *ALL),
    "a bare role": said(World(denying(*CHANNELS, REGISTER))),
    "logs at the top": said(
        World(denying("s3:PutObject")), "--log-bucket", "session-logs", "--log-bucket-key", KEY),
    "how it encrypts": said(
        World(denying("s3:GetEncryptionConfiguration")), "--log-bucket", "Session_Logs"),
    **{f"an explicit deny, {name}": said(saying(REGISTER, "explicitDeny", OF_BOUNDARY, **parts))
       for name, parts in (
           ("by a policy", matched("no-sessions")),
           ("and no name", {}),
           ("by a statement that IAM hardly describes", {"MatchedStatements": [{}]}),
           ("by a boundary", BY_BOUNDARY),
           ("by an organization", BY_ORGANIZATION),
           ("by all of it", matched("no-sessions") | BY_BOUNDARY | BY_ORGANIZATION),
       )},
    "a key by its alias": said(World(denying("kms:Decrypt")), "--key", ALIAS),
    "the key of S3 that AWS manages, which needs no grant": said(
        World(denying("kms:GenerateDataKey")),
        *("--log-bucket", "logs", "--log-bucket-key", ALIAS.replace("sessions", "aws/s3"))),
    "keys of two regions": said(
        World(denying("kms:Decrypt")), "--key", KEY, "--key", KEY.replace("eu-west", "us-west")),
    "one of two keys": said(
        World(setting(decides=lambda asked: NO if "us-west-2" in asked.resource else None)),
        *("--key", KEY, "--key", KEY.replace("eu-west-1", "us-west-2"))),
    "IAM says more of the key": said(saying("kms:Decrypt", "allowed", **MORE_OF_KEY), "--key", KEY),
    "a condition that the agent may meet": said(saying(CHANNELS[0], "implicitDeny", **BY_VPC)),
    "a role for hybrid nodes": said(World(trusts("ssm.amazonaws.com"))),
    "a role for something else": said(World(trusts("lambda.amazonaws.com"))),
    "a profile with a role for hybrid nodes": said(
        World(trusts("ssm.amazonaws.com")), "--instance-profile", "web-server"),
}  # fmt: skip


def test_what_is_said_of_a_role(snapshot: SnapshotAssertion) -> None:
    """The table of each, and what IAM said of what it does not allow."""
    pages = []
    for name, (world, arguments) in SAID.items():
        found = verify(world, *arguments)
        table = verify(world, *arguments, "--output", "table")
        assert found.status == table.status == (0 if found.json["ready"] else 1)
        lines = table.out.splitlines()
        fixes = [line for line in lines if line.startswith("- ")]
        assert all(line.isascii() for line in fixes)  # for consoles that can't show more
        assert max(len(line) for line in lines if line not in fixes) <= 100
        answers = [answer for one in found.json["capabilities"] for answer in one["answers"]]
        denied = [json.dumps(one) for one in answers if one["decision"] != "allowed"]
        pages.append("\n".join([f"# {name}", table.out, *denied]))
    assert "\n\n".join(pages) == snapshot(extension_class=Text)
