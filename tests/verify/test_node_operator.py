"""May the operator start the session, as which user does it run, and is the plug-in new enough?"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import pytest

from session_manager_permissions._verify.checks import Outcome

from . import causes, nodes
from .causes import START, Change, setting, using
from .nodes import ACCOUNT, ALIAS, KEY, NODE, OTHER_ACCOUNT, REGION, USER, World, diagnosed, one

INSTANCE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{NODE}"
AWS_SSM = f"arn:aws:ssm:{REGION}"
SHARED = f"{AWS_SSM}:{OTHER_ACCOUNT}:document/Shared"
DOCUMENT_ARN = f"{AWS_SSM}:{ACCOUNT}:document/SSM-SessionManagerRunShell"
CHANNEL = "ssmmessages:OpenDataChannel"
DATA_KEY = "kms:GenerateDataKey"


def world_of(*does: Change, **inputs: object) -> World:
    """An account whose sessions use every feature, with these inputs of the document changed."""
    return World(using(**inputs), *does)


def operator_of(world: World, name: str = "operator", operator: str = USER) -> Outcome:
    return one(diagnosed(world, operator=operator), name)


def asked_of(world: World, action: str) -> list[tuple[str, dict[str, list[str]]]]:
    """The resources that IAM was asked about for the operator's action, each with its context."""
    of_operator = (one for one in world.questions if (one.who, one.action) == (USER, action))
    return [(one.resource, one.told) for one in of_operator]


def test_what_an_operator_is_asked_about() -> None:
    world = world_of(setting(one_by_one=True), kmsKeyId=ALIAS)

    check = operator_of(world)

    assert (check.verdict, check.subject) == ("pass", USER)
    (instance, tags), (document, none) = asked_of(world, START)
    assert instance == INSTANCE
    assert tags["ssm:resourceTag/team"] == tags["aws:ResourceTag/team"] == ["web"]
    assert document == DOCUMENT_ARN
    assert not any("Tag" in name for name in none)
    sessions = f"arn:aws:ssm:{REGION}:{ACCOUNT}:session/"
    (of_name, of_id) = asked_of(world, CHANNEL)
    assert of_name[0] == f"{sessions}alice-0123456789abcdef0"
    assert of_id[0] == f"{sessions}{of_id[1]['aws:userid'][0]}-0123456789abcdef0"
    ((found, context),) = asked_of(world, DATA_KEY)
    assert found == KEY
    assert context["kms:EncryptionContext:aws:ssm:TargetId"] == [NODE]
    assert context["kms:ResourceAliases"] == ["alias/sessions"]

    world = World()
    operator_of(world)
    assert asked_of(world, DATA_KEY) == []


@pytest.mark.parametrize(("document", "arn"), [
    *((of_aws, f"{AWS_SSM}::document/{of_aws}")
      for of_aws in ("AWS-StartPortForwardingSession", "AWSFleetManager-GetUsers")),
    ("AWSSessions", f"{AWS_SSM}:{ACCOUNT}:document/AWSSessions"),
    (SHARED, SHARED),
])  # fmt: skip
def test_a_document_of_aws_has_no_account_and_a_shared_one_another(document: str, arn: str) -> None:
    world = world_of(setting(one_by_one=True))

    diagnosed(world, document=document, operator=USER)

    assert [of for of, _ in asked_of(world, START)] == [INSTANCE, arn]


def test_the_tags_of_a_hybrid_node() -> None:
    world = World(World.is_hybrid, setting(one_by_one=True))
    diagnosed(world, nodes.HYBRID, operator=USER)
    _, tags = asked_of(world, START)[0]
    assert tags["ssm:resourceTag/team"] == ["web"]


OWN_SESSIONS: Final = "arn:aws:ssm:*:*:session/${aws:userid}-*"
QUICK_START: Final = {
    START: (INSTANCE, DOCUMENT_ARN),
    CHANNEL: (OWN_SESSIONS,),
    "ssm:TerminateSession": (OWN_SESSIONS,),
    "ssm:ResumeSession": (OWN_SESSIONS,),
    DATA_KEY: (KEY,),
}
"""What AWS's quick start allows an operator.

https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-quickstart.html
"""


def allows_operator(world: World, allowed: Mapping[str, tuple[str, ...]], operator: str) -> None:
    """Let IAM allow the operator these actions on these resources, and nothing else."""

    def decides(asked: nodes.Question) -> dict[str, Any] | None:
        if asked.who != operator:
            return None
        patterns = [
            one.replace("${aws:userid}", asked.told.get("aws:userid", [""])[0])
            for one in allowed.get(asked.action, ())
        ]
        is_one = any(fnmatchcase(asked.resource, one) for one in patterns)
        return {"EvalDecision": "allowed" if is_one else "implicitDeny"}

    world.decides = decides


@pytest.mark.parametrize(("action", "resources", "verdict"), [
    pytest.param("", (), "pass", id="as it is"),
    pytest.param(CHANNEL, ("arn:aws:ssm:*:*:session/*",), "pass", id="any session"),
    pytest.param("ssm:TerminateSession", (), "pass", id="can't end them"),
    pytest.param(START, (INSTANCE.replace(NODE, "i-9"), DOCUMENT_ARN), "fail", id="another node"),
    pytest.param(START, (INSTANCE,), "unknown", id="no document"),
    pytest.param(CHANNEL, (), "fail", id="no channel"),
    pytest.param(CHANNEL, ("arn:aws:ssm:*:*:session/bob-*",), "fail", id="another's channels"),
    pytest.param(DATA_KEY, (), "fail", id="no key"),
])  # fmt: skip
@pytest.mark.parametrize("operator", [USER, nodes.OPERATORS])
def test_an_operator_with_the_quick_start_of_aws(
    action: str, resources: tuple[str, ...], verdict: str, operator: str
) -> None:
    world = world_of()
    allows_operator(world, QUICK_START | {action: resources}, operator)

    check = operator_of(world, operator=operator)

    assert check.verdict == verdict
    assert verdict == "pass" or f"is denied {action} on " in check.why[0]


def test_a_remedy_replaces_no_policy_that_another_has_written() -> None:
    denied = (causes.denying(f"{USER} {action}") for action in (START, DATA_KEY))
    puts = [operator_of(world_of(does)).fix[0].split() for does in denied]
    names = {put[put.index("--policy-name") + 1] for put in puts}

    assert len(names) == len(puts)


def test_a_session_that_names_its_document_needs_it() -> None:
    world = World(using(), setting(denies=set()), causes.decides(if_=causes.of_document))

    assert one(diagnosed(world, document="Mine", operator=USER), "operator").verdict == "fail"


@pytest.mark.parametrize(("script", "verdict", "says"), [
    ("", "fail", "session-manager-plugin is not on PATH"),
    ("#!/bin/sh\necho 1.2.764.0", "pass", "1.2.764.0"),
    ("#!/bin/sh\necho 1.10.0.0", "pass", "1.10.0.0"),
    ("#!/bin/sh\necho 1.2.707.0", "fail", "AWS supports 1.2.764.0"),
    ("#!/bin/sh\necho The plug-in was installed", "unknown", "does not say its version"),
    ("#!/bin/sh\nexit 1", "unknown", "does not say its version"),
    ("#!/nonexistent/shell\n", "unknown", "does not say its version"),
])  # fmt: skip
def test_the_plug_in(
    script: str, verdict: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "session-manager-plugin"
    if script:
        path.write_text(script, encoding="ascii")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    check = operator_of(World(), "plugin")

    assert check.verdict == verdict
    assert says in check.why[0]
    assert "nonexistent" not in script or "No such file" in str(check.evidence[1].value)
