"""May the operator start the session, as which user does it run, and is the plug-in new enough?"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import pytest

from .nodes import (
    ACCOUNT,
    ALIAS,
    HYBRID,
    KEY,
    NODE,
    OTHER_ACCOUNT,
    REGION,
    ROLE,
    USER,
    Question,
    World,
    allowing,
    diagnosed,
    of_verdict,
    one,
    policy,
)
from .running import run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

INSTANCE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{NODE}"
START = "ssm:StartSession"


def asked_of(world: World, action: str) -> list[tuple[str, dict[str, list[str]]]]:
    """The resources that the simulator was asked about one by one, each with its context."""
    return [
        (
            asked["ResourceArns"][0],
            {
                entry["ContextKeyName"]: entry["ContextKeyValues"]
                for entry in asked["ContextEntries"]
            },
        )
        for asked in world.asked
        if asked.get("ActionNames") == [action] and not asked["ResourceArns"][1:]
    ]


def test_an_operator_who_may() -> None:
    world = World()
    world.uses()
    world.one_by_one = True

    check = one(diagnosed(world, operator=USER), "operator")

    assert (check.verdict, check.subject) == ("pass", USER)
    (instance, tags), (document, none) = asked_of(world, START)
    assert instance == INSTANCE
    assert tags["ssm:resourceTag/team"] == tags["aws:ResourceTag/team"] == ["web"]
    assert document == f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/SSM-SessionManagerRunShell"
    assert not any("Tag" in name for name in none)
    sessions = f"arn:aws:ssm:{REGION}:{ACCOUNT}:session/"
    (of_name, of_id) = asked_of(world, "ssmmessages:OpenDataChannel")
    assert of_name[0] == f"{sessions}alice-0123456789abcdef0"
    assert of_id[0] == f"{sessions}{of_id[1]['aws:userid'][0]}-0123456789abcdef0"
    ((found, context),) = asked_of(world, "kms:GenerateDataKey")
    assert found == KEY
    assert context["kms:EncryptionContext:aws:ssm:TargetId"] == [NODE]


def test_an_alias_and_no_key() -> None:
    world = World()
    world.uses(kmsKeyId=ALIAS)
    world.one_by_one = True
    diagnosed(world, operator=USER)
    ((_, context),) = asked_of(world, "kms:GenerateDataKey")
    assert context["kms:ResourceAliases"] == ["alias/sessions"]

    world = World()
    diagnosed(world, operator=USER)
    assert asked_of(world, "kms:GenerateDataKey") == []


def test_a_document_of_aws_is_in_no_account() -> None:
    world = World()
    world.document = {"sessionType": "Port"}
    world.one_by_one = True
    diagnosed(world, document="AWS-StartPortForwardingSession", operator=USER)

    documents = [arn for arn, _ in asked_of(world, START) if ":document/" in arn]

    assert documents == [f"arn:aws:ssm:{REGION}::document/AWS-StartPortForwardingSession"]


def test_a_document_that_another_account_shares_is_in_that_account() -> None:
    world = World()
    world.uses()
    world.one_by_one = True
    shared = f"arn:aws:ssm:{REGION}:{OTHER_ACCOUNT}:document/Shared"
    diagnosed(world, document=shared, operator=USER)

    assert [arn for arn, _ in asked_of(world, START)] == [INSTANCE, shared]


def test_the_tags_of_a_hybrid_node() -> None:
    world = World()
    world.is_hybrid()
    world.one_by_one = True
    diagnosed(world, HYBRID, operator=USER)
    _, tags = asked_of(world, START)[0]
    assert tags["ssm:resourceTag/team"] == ["web"]

    world.refuses("ssm:ListTagsForResource")
    check = one(diagnosed(world, HYBRID, operator=USER), "operator")
    assert check.verdict == "unknown"
    assert "ssm:ListTagsForResource" in check.why[0]


def test_tags_that_can_not_be_read_end_their_own_check_alone() -> None:
    world = World()
    world.instance["Tags"] = [{"Value": "web"}]

    found = diagnosed(world, operator=USER)

    assert of_verdict(found, "unknown") == {"operator"}
    assert "what answered for ec2 is not AWS" in one(found, "operator").why[0]


@pytest.mark.parametrize(
    ("action", "sees"),
    [
        (START, "AccessDeniedException ... StartSession"),
        ("ssmmessages:OpenDataChannel", "Starting session with SessionId: ..., and nothing after"),
        ("kms:GenerateDataKey", "KMSEncryption failed on client"),
    ],
)
def test_an_operator_who_may_not(action: str, sees: str) -> None:
    world = World()
    world.uses()
    world.denies.add(f"{USER} {action}")

    check = one(diagnosed(world, operator=USER), "operator")

    assert check.verdict == "fail"
    assert check.why[0].startswith(f"{USER} is denied {action} on arn:")
    assert sees in check.why[1]
    assert check.fix[0].startswith("aws iam put-user-policy --user-name alice ")
    assert "grant_start_session" in check.fix[1]


@pytest.mark.parametrize(
    ("names", "verdict"), [((USER, "kms:GenerateDataKey"), "pass"), ((ROLE, "kms:*"), "fail")]
)
def test_the_policy_of_the_key_may_name_the_operator(names: tuple[str, str], verdict: str) -> None:
    world = World()
    world.uses()
    world.denies.add(f"{USER} kms:GenerateDataKey")
    root = allowing(f"arn:aws:iam::{ACCOUNT}:root", "kms:*")
    world.has("kms:get_key_policy", policy(root, allowing(*names)))

    assert one(diagnosed(world, operator=USER), "operator").verdict == verdict


@pytest.mark.parametrize("form", ["name", "id"])
def test_the_channel_by_the_name_or_by_the_id_of_the_user_is_enough(form: str) -> None:
    world = World()

    def decides(asked: Question) -> dict[str, Any] | None:
        of_name = asked.resource.partition(":session/")[2].startswith("alice-")
        denied = asked.action == "ssmmessages:OpenDataChannel" and of_name is (form == "id")
        return {"EvalDecision": "implicitDeny"} if denied else None

    world.decides = decides

    assert one(diagnosed(world, operator=USER), "operator").verdict == "pass"


OWN_SESSIONS: Final = "arn:aws:ssm:*:*:session/${aws:userid}-*"
QUICK_START: Final = {
    START: (INSTANCE, f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/SSM-SessionManagerRunShell"),
    "ssmmessages:OpenDataChannel": (OWN_SESSIONS,),
    "ssm:TerminateSession": (OWN_SESSIONS,),
    "ssm:ResumeSession": (OWN_SESSIONS,),
    "kms:GenerateDataKey": (KEY,),
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
    ("changes", "denied"),
    [
        pytest.param({}, None, id="as it is"),
        pytest.param(
            {"ssmmessages:OpenDataChannel": ("arn:aws:ssm:*:*:session/*",)}, None, id="any session"
        ),
        pytest.param(
            {"ssm:TerminateSession": (), "ssm:ResumeSession": ()}, None, id="only starts them"
        ),
        pytest.param(
            {START: (INSTANCE.replace(NODE, "i-9"), *QUICK_START[START][1:])},
            START,
            id="another instance",
        ),
        pytest.param({START: QUICK_START[START][:1]}, START, id="no document"),
        pytest.param(
            {"ssmmessages:OpenDataChannel": ()}, "ssmmessages:OpenDataChannel", id="no channel"
        ),
        pytest.param(
            {"ssmmessages:OpenDataChannel": ("arn:aws:ssm:*:*:session/bob-*",)},
            "ssmmessages:OpenDataChannel",
            id="the channels of another",
        ),
        pytest.param({"kms:GenerateDataKey": ()}, "kms:GenerateDataKey", id="no key"),
    ],
)
@pytest.mark.parametrize("operator", [USER, f"arn:aws:iam::{ACCOUNT}:role/operators"])
def test_an_operator_with_the_quick_start_of_aws(
    changes: dict[str, tuple[str, ...]], denied: str | None, operator: str
) -> None:
    world = World()
    world.uses()
    allows_operator(world, {**QUICK_START, **changes}, operator)

    check = one(diagnosed(world, operator=operator), "operator")

    assert check.verdict == ("fail" if denied else "pass")
    assert denied is None or f"is denied {denied} on " in check.why[0]


@pytest.mark.parametrize(
    ("key", "verdict"),
    [("ssm:resourceTag/owner", "fail"), ("aws:PrincipalTag/team", "unknown")],
)
def test_a_condition_on_a_tag_that_the_node_lacks_is_not_met(key: str, verdict: str) -> None:
    world = World()

    def decides(asked: Question) -> dict[str, Any] | None:
        denied = ":instance/" in asked.resource and asked.action == START
        return {"EvalDecision": "implicitDeny", "MissingContextValues": [key]} if denied else None

    world.decides = decides

    assert one(diagnosed(world, operator=USER), "operator").verdict == verdict


@pytest.mark.parametrize(("denied", "verdict"), [(True, "unknown"), (False, "pass")])
def test_condition_keys_without_a_value_are_listed(
    denied: bool,  # noqa: FBT001 # a parameter of the table
    verdict: str,
) -> None:
    world = World()
    world.missing = ["aws:MultiFactorAuthPresent"]
    if denied:
        world.denies.add(f"{USER} {START}")

    check = one(diagnosed(world, operator=USER), "operator")

    assert check.verdict == verdict
    assert "no value of the condition keys aws:MultiFactorAuthPresent" in check.why[1]


def test_what_is_denied_whatever_a_condition_key_says_is_a_failure() -> None:
    world = World()

    def decides(asked: Question) -> dict[str, Any] | None:
        of_instance = ":instance/" in asked.resource
        missing = ["aws:MultiFactorAuthPresent"] if of_instance else []
        denied = of_instance or ":document/" in asked.resource
        return {"EvalDecision": "implicitDeny", "MissingContextValues": missing} if denied else None

    world.decides = decides

    assert one(diagnosed(world, operator=USER), "operator").verdict == "fail"


@pytest.mark.parametrize("kind", ["iam::{}:role/web", "sts::{}:assumed-role/web-server/x"])
def test_an_operator_of_another_account_is_not_taken_for_a_namesake(kind: str) -> None:
    world = World()
    world.uses(runAsEnabled=True)
    world.has("iam:list_role_tags", tag("root"))
    arn = f"arn:aws:{kind.format(OTHER_ACCOUNT)}"

    found = diagnosed(world, operator=arn)

    assert one(found, "operator").verdict == "unknown"
    assert "another account than the node" in one(found, "operator").why[0]
    assert one(found, "run-as").verdict == "unknown"


def test_a_simulator_that_may_not_be_asked() -> None:
    world = World()
    world.refuses("iam:SimulatePrincipalPolicy", "AccessDenied")

    assert one(diagnosed(world, operator=USER), "operator").verdict == "unknown"


def caller(arn: str) -> Callable[[World], object]:
    return lambda w: w.has("sts:get_caller_identity", {"Account": ACCOUNT, "Arn": arn})


@pytest.mark.parametrize(
    ("arn", "subject", "says"),
    [
        pytest.param(USER, USER, "allows", id="a user"),
        pytest.param(f"arn:aws:sts::{ACCOUNT}:assumed-role/web-server/x", ROLE, "", id="a role"),
        pytest.param(f"arn:aws:iam::{ACCOUNT}:root", None, "users and roles", id="root"),
    ],
)
def test_the_caller(arn: str, subject: str | None, says: str) -> None:
    world = World()
    caller(arn)(world)

    check = one(diagnosed(world, operator="caller"), "operator")

    assert check.subject == subject
    assert check.verdict == ("pass" if subject else "unknown")
    assert says in check.why[0]


def test_a_role_behind_a_session_that_may_not_be_read() -> None:
    world = World()
    world.uses(runAsEnabled=True, runAsDefaultUser="web")
    world.refuses("iam:GetRole", "AccessDenied")
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/web-server/x"

    found = diagnosed(world, operator=arn)

    assert one(found, "operator").verdict == "unknown"
    assert "iam:GetRole" in one(found, "operator").why[0]
    assert one(found, "run-as").verdict == "unknown"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("caller", True),
        (USER, True),
        (ROLE, True),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/web-server/alice", True),
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
        ("web", USER, tag("root"), "fail", "invalid uid and gid"),
        ("web", USER, tag("ssm-user"), "unknown", "the agent does not make"),
        ("web", USER, tag(""), "pass", "the document names web"),
        ("", USER, {"Tags": []}, "fail", "nor does the operator's tag"),
        ("", USER, {"Tags": []}, "fail", "please set the RunAs default user"),
        ("", ROLE, {"Tags": []}, "unknown", "of the operator's session decides"),
        ("root", ROLE, tag("web"), "pass", "names web"),
    ],
)
def test_the_operator_s_tag_wins(
    in_document: str, operator: str, breaks: dict[str, Any], verdict: str, says: str
) -> None:
    world = World()
    world.uses(runAsEnabled=True, runAsDefaultUser=in_document)
    world.has("iam:list_user_tags" if operator == USER else "iam:list_role_tags", breaks)

    check = one(diagnosed(world, operator=operator), "run-as")

    assert check.verdict == verdict
    assert says in "\n".join(check.why)


def test_the_tags_of_a_caller_come_with_the_role() -> None:
    world = World()
    world.uses(runAsEnabled=True)
    world.has("iam:get_role", {"Role": {"Arn": ROLE} | tag("root")})

    found = diagnosed(world, operator=f"arn:aws:sts::{ACCOUNT}:assumed-role/web-server/x")

    assert one(found, "run-as").subject == "root"
    assert "iam:list_role_tags" not in world.calls


def test_tags_that_may_not_be_listed() -> None:
    world = World()
    world.uses(runAsEnabled=True, runAsDefaultUser="web")
    world.refuses("iam:ListUserTags", "AccessDenied")

    found = diagnosed(world, operator=USER)

    assert one(found, "run-as").verdict == "unknown"
    assert "iam:ListUserTags" in one(found, "run-as").why[0]
    assert one(found, "operator").verdict == "pass"


@pytest.mark.parametrize(
    ("script", "verdict", "says"),
    [
        (None, "fail", "session-manager-plugin is not on PATH"),
        ("echo 1.2.764.0", "pass", "1.2.764.0"),
        ("echo 1.10.0.0", "pass", "1.10.0.0"),
        ("echo 1.2.707.0", "fail", "1.2.764.0 is the oldest"),
        ("echo The plug-in was installed", "unknown", "does not say its version"),
        ("exit 1", "unknown", "does not say its version"),
    ],
)
def test_the_plug_in(
    script: str | None, verdict: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "session-manager-plugin"
    if script:
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    check = one(diagnosed(World(), operator=USER), "plugin")

    assert check.verdict == verdict
    assert says in check.why[0]


def test_a_plug_in_that_can_not_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "session-manager-plugin"
    path.write_text("#!/nonexistent/shell\n", encoding="ascii")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/nowhere")

    check = one(diagnosed(World(), operator=USER), "plugin")

    assert check.verdict == "unknown"
    assert "No such file" in str(check.evidence[1].value)


@pytest.mark.parametrize(
    ("denied", "says"),
    [
        ([], "IAM allows the operator to resume and end sessions of their own"),
        (["ssm:ResumeSession"], "denies the operator ssm:ResumeSession on a session of their own"),
        (["ssm:TerminateSession"], "a session opens, and they can't end it"),
        (
            ["ssm:ResumeSession", "ssm:TerminateSession"],
            "a session opens, and they can neither resume nor end it",
        ),
    ],
)
def test_what_the_operator_may_do_with_a_session_fails_nothing(
    denied: list[str], says: str
) -> None:
    world = World()
    world.denies |= {f"{USER} {action}" for action in denied}

    check = one(diagnosed(world, operator=USER), "operator")

    assert check.verdict == "pass"
    assert says in check.why[-1]


def test_a_policy_by_the_tag_of_the_session_lets_the_operator_end_it() -> None:
    world = World()
    tag_ = "ssm:resourceTag/aws:ssmmessages:session-id"

    def decides(asked: Question) -> dict[str, Any] | None:
        of_session = asked.action in {"ssm:ResumeSession", "ssm:TerminateSession"}
        if of_session and asked.told.get(tag_) != asked.told.get("aws:userid"):
            return {"EvalDecision": "implicitDeny", "MissingContextValues": [tag_]}
        return None

    world.decides = decides

    check = one(diagnosed(world, operator=USER), "operator")

    assert (check.verdict, check.why[-1][:10]) == ("pass", "IAM allows")


def test_what_the_operator_may_do_with_a_session_is_not_known() -> None:
    world = World()
    world.missing = ["aws:MultiFactorAuthPresent"]
    world.denies.add(f"{USER} ssm:ResumeSession")

    said = one(diagnosed(world, operator=USER), "operator").why[-1]

    assert "unless aws:MultiFactorAuthPresent has a value that allows it" in said


def test_of_a_session_nothing_is_said_if_iam_gives_no_answer() -> None:
    world = World()

    world.decides = lambda asked: {} if asked.action == "ssm:ResumeSession" else None

    check = one(diagnosed(world, operator=USER), "operator")

    assert (check.verdict, len(check.why)) == ("pass", 1)


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
    world = World()
    world.uses(runAsEnabled=True, runAsDefaultUser=user)
    assert world.record
    world.record["PlatformName"] = platform

    check = one(diagnosed(world), "run-as")

    assert check.verdict == verdict
    assert says in "\n".join([*check.why, *check.fix])
