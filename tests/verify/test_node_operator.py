"""May the operator start the session, as which user does it run, and is the plug-in new enough?"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import pytest

from .causes import denying, having, instance, key_policy, record, refusing, run_as, setting, using
from .nodes import (
    ACCOUNT,
    ALIAS,
    HYBRID,
    KEY,
    NODE,
    OTHER_ACCOUNT,
    REGION,
    ROLE,
    ROOT,
    USER,
    Question,
    World,
    allowing,
    both,
    diagnosed,
    nothing,
    of_verdict,
    one,
)
from .running import run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from session_manager_permissions._verify.checks import Outcome

    from .causes import Change

INSTANCE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{NODE}"
SESSION_OF_ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/web-server/x"
AWS_SSM = f"arn:aws:ssm:{REGION}"
FORWARDING = "AWS-StartPortForwardingSession"
SHARED = f"{AWS_SSM}:{OTHER_ACCOUNT}:document/Shared"
DOCUMENT_ARN = f"{AWS_SSM}:{ACCOUNT}:document/SSM-SessionManagerRunShell"
START = "ssm:StartSession"
CHANNEL = "ssmmessages:OpenDataChannel"
DATA_KEY = "kms:GenerateDataKey"


def world_of(*does: Change, **inputs: object) -> World:
    """An account whose sessions use everything, but for these inputs."""
    return World(using(**inputs), *does)


def operator_of(world: World, name: str = "operator", operator: str = USER) -> Outcome:
    return one(diagnosed(world, operator=operator), name)


def asked_of(world: World, action: str) -> list[tuple[str, dict[str, list[str]]]]:
    """The resources that the simulator was asked about one by one, each with its context."""
    of_action = [one for one in world.asked if one.get("ActionNames") == [action]]
    return [
        (
            arn,
            {entry["ContextKeyName"]: entry["ContextKeyValues"] for entry in one["ContextEntries"]},
        )
        for one in of_action
        for arn, *others in [one["ResourceArns"]]
        if not others
    ]


def test_what_an_operator_is_asked_about() -> None:
    world = world_of(setting(one_by_one=True))

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


def test_an_alias_and_no_key() -> None:
    world = world_of(setting(one_by_one=True), kmsKeyId=ALIAS)
    operator_of(world)
    ((_, context),) = asked_of(world, DATA_KEY)
    assert context["kms:ResourceAliases"] == ["alias/sessions"]

    world = World()
    operator_of(world)
    assert asked_of(world, DATA_KEY) == []


@pytest.mark.parametrize(
    ("document", "arn"), [(FORWARDING, f"{AWS_SSM}::document/{FORWARDING}"), (SHARED, SHARED)]
)
def test_a_document_of_aws_is_in_no_account_and_a_shared_one_in_another(
    document: str, arn: str
) -> None:
    world = world_of(setting(one_by_one=True))

    diagnosed(world, document=document, operator=USER)

    assert [of for of, _ in asked_of(world, START)] == [INSTANCE, arn]


def test_the_tags_of_a_hybrid_node() -> None:
    world = World(World.is_hybrid, setting(one_by_one=True))
    diagnosed(world, HYBRID, operator=USER)
    _, tags = asked_of(world, START)[0]
    assert tags["ssm:resourceTag/team"] == ["web"]

    world.refuses("ssm:ListTagsForResource")
    check = one(diagnosed(world, HYBRID, operator=USER), "operator")
    assert check.verdict == "unknown"
    assert "ssm:ListTagsForResource" in check.why[0]


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
    """Have IAM allow an operator some actions, each on some resources, and nothing else."""

    def decides(asked: Question) -> dict[str, Any] | None:
        if asked.who != operator:
            return None
        patterns = [
            one.replace("${aws:userid}", asked.told["aws:userid"][0])
            for one in allowed.get(asked.action, ())
        ]
        is_one = any(fnmatchcase(asked.resource, one) for one in patterns)
        return {"EvalDecision": "allowed" if is_one else "implicitDeny"}

    world.decides = decides


@pytest.mark.parametrize(
    ("action", "resources", "denied"),
    [
        pytest.param("", (), False, id="as it is"),
        pytest.param(CHANNEL, ("arn:aws:ssm:*:*:session/*",), False, id="any session"),
        pytest.param("ssm:TerminateSession", (), False, id="can't end them"),
        pytest.param(START, (INSTANCE.replace(NODE, "i-9"), DOCUMENT_ARN), True, id="another node"),
        pytest.param(START, (INSTANCE,), True, id="no document"),
        pytest.param(CHANNEL, (), True, id="no channel"),
        pytest.param(CHANNEL, ("arn:aws:ssm:*:*:session/bob-*",), True, id="another's channels"),
        pytest.param(DATA_KEY, (), True, id="no key"),
    ],
)
@pytest.mark.parametrize("operator", [USER, f"arn:aws:iam::{ACCOUNT}:role/operators"])
def test_an_operator_with_the_quick_start_of_aws(
    action: str, resources: tuple[str, ...], operator: str, *, denied: bool
) -> None:
    world = world_of()
    allows_operator(world, QUICK_START | {action: resources}, operator)

    check = operator_of(world, operator=operator)

    assert check.verdict == ("fail" if denied else "pass")
    assert not denied or f"is denied {action} on " in check.why[0]


def decides(*missing: str, if_: Callable[[Question], bool]) -> Change:
    """Have IAM deny some calls, and say which condition keys it was told no value of."""
    found = {"EvalDecision": "implicitDeny", "MissingContextValues": [*missing]}
    return setting(decides=lambda asked: found if if_(asked) else None)


def of_instance(asked: Question) -> bool:
    return ":instance/" in asked.resource and asked.action == START


def certainly_no_document(asked: Question) -> dict[str, Any] | None:
    missing = [MFA] if of_instance(asked) else []
    denied = of_instance(asked) or ":document/" in asked.resource
    return {"EvalDecision": "implicitDeny", "MissingContextValues": missing} if denied else None


def of_channel(*, by_name: bool) -> Callable[[Question], bool]:
    def is_one(asked: Question) -> bool:
        of_name = asked.resource.partition(":session/")[2].startswith("alice-")
        return asked.action == CHANNEL and of_name is by_name

    return is_one


def by_session_tag(asked: Question) -> bool:
    of_session = asked.action in {"ssm:ResumeSession", "ssm:TerminateSession"}
    return of_session and asked.told.get(SESSION_TAG) != asked.told.get("aws:userid")


def of_key(who: str, action: str) -> Change:
    """Have the key leave it to IAM, and name somebody."""
    return key_policy(allowing(ROOT, "kms:*"), allowing(who, action))


MFA: Final = "aws:MultiFactorAuthPresent"
SESSION_TAG: Final = "ssm:resourceTag/aws:ssmmessages:session-id"
WITHOUT_MFA: Final = setting(missing=[MFA])
NO_DATA_KEY: Final = denying(f"{USER} {DATA_KEY}")
RESUME, END = (f"{USER} ssm:{verb}Session" for verb in ("Resume", "Terminate"))
NO_ANSWER: Final = setting(
    decides=lambda asked: {} if asked.action == "ssm:ResumeSession" else None
)
NO_SIMULATOR: Final = refusing("iam:SimulatePrincipalPolicy")
OPERATORS: Final[dict[str, tuple[Change, str]]] = {
    "tags that can't be read": (instance(Tags=[{"Value": "web"}]), "unknown"),
    "no simulator": (NO_SIMULATOR, "unknown"),
    "the key names the operator": (both(NO_DATA_KEY, of_key(USER, DATA_KEY)), "pass"),
    "the key names the role": (both(NO_DATA_KEY, of_key(ROLE, "kms:*")), "fail"),
    "the channel by the name is enough": (decides(if_=of_channel(by_name=False)), "pass"),
    "the channel by the id is enough": (decides(if_=of_channel(by_name=True)), "pass"),
    "a tag that the node lacks": (decides("ssm:resourceTag/owner", if_=of_instance), "fail"),
    "a tag of the operator": (decides("aws:PrincipalTag/team", if_=of_instance), "unknown"),
    "a condition": (WITHOUT_MFA, "pass"),
    "a condition that denies": (both(WITHOUT_MFA, denying(f"{USER} {START}")), "unknown"),
    "a document that no condition allows": (setting(decides=certainly_no_document), "fail"),
    "may resume and end": (nothing, "pass"),
    "may not resume": (denying(RESUME), "pass"),
    "may not end": (denying(END), "pass"),
    "may do neither": (denying(RESUME, END), "pass"),
    "may end by the tag of the session": (decides(SESSION_TAG, if_=by_session_tag), "pass"),
    "may perhaps resume": (both(WITHOUT_MFA, denying(RESUME)), "pass"),
    "no answer about sessions of their own": (NO_ANSWER, "pass"),
}


def test_what_is_said_of_an_operator(snapshot: SnapshotAssertion) -> None:
    said = []
    for name, (does, verdict) in OPERATORS.items():
        found = diagnosed(world_of(does), operator=USER)
        check = one(found, "operator")
        assert check.verdict == verdict, name
        assert of_verdict(found, "unknown") <= {"operator"} or does is NO_SIMULATOR
        said.append("\n  ".join([f"# {name}: {verdict}", *check.why]))
    assert "\n".join(said) == snapshot


@pytest.mark.parametrize("kind", ["iam::{}:role/web", "sts::{}:assumed-role/web-server/x"])
def test_an_operator_of_another_account_is_not_taken_for_a_namesake(kind: str) -> None:
    world = world_of(having("iam:list_role_tags", tag("root")), runAsEnabled=True)

    found = diagnosed(world, operator=f"arn:aws:{kind.format(OTHER_ACCOUNT)}")

    assert one(found, "operator").verdict == "unknown"
    assert "another account than the node" in one(found, "operator").why[0]
    assert one(found, "run-as").verdict == "unknown"


@pytest.mark.parametrize(
    ("arn", "subject", "says"),
    [
        pytest.param(USER, USER, "allows", id="a user"),
        pytest.param(SESSION_OF_ROLE, ROLE, "", id="a role"),
        pytest.param(f"arn:aws:iam::{ACCOUNT}:root", None, "users and roles", id="root"),
    ],
)
def test_the_caller(arn: str, subject: str | None, says: str) -> None:
    caller = having("sts:get_caller_identity", {"Account": ACCOUNT, "Arn": arn})

    check = operator_of(world_of(caller), operator="caller")

    assert check.subject == subject
    assert check.verdict == ("pass" if subject else "unknown")
    assert says in check.why[0]


def test_a_role_behind_a_session_that_may_not_be_read() -> None:
    world = world_of(run_as("web"), refusing("iam:GetRole"))

    found = diagnosed(world, operator=SESSION_OF_ROLE)

    assert one(found, "operator").verdict == "unknown"
    assert "iam:GetRole" in one(found, "operator").why[0]
    assert one(found, "run-as").verdict == "unknown"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("caller", True),
        (USER, True),
        (ROLE, True),
        (SESSION_OF_ROLE, True),
        (f"arn:aws:iam::{ACCOUNT}:root", False),
        (f"arn:aws:iam::{ACCOUNT}:group/web", False),
        ("alice", False),
    ],
)
def test_what_names_an_operator(text: str, is_one: bool) -> None:  # noqa: FBT001 # of the table
    found = run(World(), "verify", "--instance-id", NODE, "--operator", text)

    assert (found.status != 2) is is_one
    assert is_one or "argument --operator: " in found.err


def tag(value: str) -> dict[str, Any]:
    return {"Tags": [{"Key": "SSMSessionRunAs", "Value": value}]}


@pytest.mark.parametrize(
    ("in_document", "operator", "breaks", "verdict", "says"),
    [
        ("root", USER, tag("web"), "pass", "the tag SSMSessionRunAs of the operator names web"),
        ("web", USER, tag("root"), "fail", "names root"),
        ("web", USER, tag("ssm-user"), "unknown", "the agent does not make"),
        ("web", USER, tag(""), "pass", "the document names web"),
        ("", USER, {"Tags": []}, "fail", "nor does the operator's tag"),
        ("", ROLE, {"Tags": []}, "unknown", "of the operator's session decides"),
        ("root", ROLE, tag("web"), "pass", "names web"),
    ],
)
def test_the_operator_s_tag_wins(
    in_document: str, operator: str, breaks: dict[str, Any], verdict: str, says: str
) -> None:
    kind = "user" if operator == USER else "role"
    world = world_of(run_as(in_document), having(f"iam:list_{kind}_tags", breaks))

    check = operator_of(world, "run-as", operator)

    assert check.verdict == verdict
    assert says in "\n".join(check.why)


def test_the_tags_of_a_caller_come_with_the_role() -> None:
    role = {"Arn": ROLE} | tag("root")
    world = world_of(having("iam:get_role", {"Role": role}), runAsEnabled=True)

    assert operator_of(world, "run-as", SESSION_OF_ROLE).subject == "root"
    assert "iam:list_role_tags" not in world.calls


def test_tags_that_may_not_be_listed() -> None:
    world = world_of(run_as("web"), refusing("iam:ListUserTags"))

    found = diagnosed(world, operator=USER)

    assert one(found, "run-as").verdict == "unknown"
    assert "iam:ListUserTags" in one(found, "run-as").why[0]
    assert one(found, "operator").verdict == "pass"


@pytest.mark.parametrize(
    ("script", "verdict", "says"),
    [
        ("", "fail", "session-manager-plugin is not on PATH"),
        ("#!/bin/sh\necho 1.2.764.0", "pass", "1.2.764.0"),
        ("#!/bin/sh\necho 1.10.0.0", "pass", "1.10.0.0"),
        ("#!/bin/sh\necho 1.2.707.0", "fail", "1.2.764.0 is the oldest"),
        ("#!/bin/sh\necho The plug-in was installed", "unknown", "does not say its version"),
        ("#!/bin/sh\nexit 1", "unknown", "does not say its version"),
        ("#!/nonexistent/shell\n", "unknown", "does not say its version"),
    ],
)
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


@pytest.mark.parametrize(
    ("user", "platform", "verdict", "says"),
    [
        ("ubuntu", "Amazon Linux", "unknown", "images of Ubuntu come with the user ubuntu"),
        ("ubuntu", "Ubuntu", "pass", "names ubuntu"),
        ("ubuntu", None, "pass", "names ubuntu"),
        ("ec2-user", "Ubuntu", "unknown", "the node runs Ubuntu"),
        ("ec2-user", "Amazon Linux AMI", "pass", "names ec2-user"),
        ("admin", "Debian GNU/Linux", "pass", "names admin"),
        ("centos", "Red Hat Enterprise Linux Server", "unknown", "on the node"),
        ("web", "Amazon Linux", "pass", "names web"),
        ("ssm-user", "Amazon Linux", "unknown", "does not make"),
    ],
)
def test_a_user_that_comes_with_images_of_another_platform(
    user: str, platform: str | None, verdict: str, says: str
) -> None:
    check = one(diagnosed(world_of(run_as(user), record(PlatformName=platform))), "run-as")

    assert check.verdict == verdict
    assert says in "\n".join([*check.why, *check.fix])
