"""`audit`: the verdict on each node of an account, its cause, and the exit status."""

import os
import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import Mock

import pytest
from botocore.exceptions import CredentialRetrievalError, EndpointConnectionError
from syrupy.assertion import SnapshotAssertion

from session_manager_permissions._needs import TARGET_KEY
from session_manager_permissions._verify import command
from session_manager_permissions._verify.audit import answering, judging
from session_manager_permissions._verify.audit.auditing import MAX_CALLS
from session_manager_permissions._verify.audit.progress import Progress
from session_manager_permissions._verify.audit.result import VERDICTS
from session_manager_permissions._verify.checks import PERMISSIONS, policy_for_audit
from session_manager_permissions._verify.lines import is_deployment
from session_manager_permissions._verify.text import INTERRUPTED

from . import audits, nodes
from .accounts import NEVER, OTHER_REGION, Account, Machine, Role
from .causes import BY_ORGANIZATION, instance
from .nodes import ACCOUNT, CHANNELS, KEY, REGION, REGISTER, Question, Terminal, refusal, session_in
from .running import Run, run
from .test_audit_page import of_all

A, B, C = (f"i-{name * 17}" for name in "abc")
R, U, S, Q = "reachable", "unreachable", "stopped", "unknown"


def audit(account: Account, *arguments: str) -> Run:
    return run(account, "audit", "--output", "json", *arguments)


class Row(NamedTuple):
    """An account, and what `audit` must find in it."""

    account: Account
    nodes: dict[str, tuple[str, ...]]
    arguments: tuple[str, ...]
    says: str
    """A part of why the first node can't be reached, or of the error of the region."""
    status: int


def row(
    account: Account,
    nodes: dict[str, tuple[str, ...]],
    *arguments: str,
    says: str = "",
    is_whole: bool = True,
    **parts: object,
) -> Row:
    for part, value in parts.items():
        setattr(account, part, value)
    ready = is_whole and all(verdict in (R, S) for verdict, *_ in nodes.values())
    return Row(account, nodes, arguments, says, 0 if ready else 1)


LOST: Final[dict[str, Any]] = {"ping": "ConnectionLost", "connection": "notconnected"}
DENIED: Final = "the credentials lack"
OF_IAM: Final = ("iam:SimulatePrincipalPolicy", "iam:GetInstanceProfile")


def uses_key(account: Account, *regions: str) -> Account:
    for region in regions or (REGION,):
        account.has_document(region, kmsKeyId=KEY.replace(REGION, region))
    return account


def denied(if_: Callable[[Question], bool], **says: object) -> Role:
    """A role that IAM denies some calls; `says` adds to IAM's evaluation result for them."""
    said = {"EvalDecision": "implicitDeny", **says}
    return Role(decides=lambda asked: said if if_(asked) else None)


def by_condition_on_node(asked: Question) -> dict[str, Any] | None:
    """IAM's decision for a role that may decrypt only for sessions of the first node."""
    if asked.action != "kms:Decrypt" or asked.told.get(TARGET_KEY) == [A]:
        return None
    missing = [] if TARGET_KEY in asked.told else [TARGET_KEY]
    return {"EvalDecision": "implicitDeny", "MissingContextValues": missing}


def of_db(*nodes: str, role: Role, **parts: Any) -> Account:  # noqa: ANN401
    """An account whose nodes share the instance profile `db`, which has this role."""
    return Account(*(Machine(node, profile="db") for node in nodes), roles={"db": role}, **parts)


def on_later_page(account: Account, call: str, does: Callable[[], object]) -> Account:
    """Return one entry a page, and call `does` before each page but the first."""

    def before(_: str, called: str, asked: dict[str, Any]) -> None:
        if called == call and "NextToken" in asked and "Filters" not in asked:
            does()

    account.size, account.before = 1, before
    return account


def lacking_page(account: Account, call: str, code: str) -> Account:
    """The second page of a list can't be read, unless the list is filtered by a tag."""
    operation = call.partition(":")[2]
    return on_later_page(account, call, Mock(side_effect=refusal(operation, code)))


def ending(account: Account) -> Account:
    """The first instance is terminated between two pages, so the next page begins elsewhere."""
    (first, *_) = account.machines
    return on_later_page(
        account, "ec2:DescribeInstances", lambda: setattr(first, "state", "terminated")
    )


def on_call(account: Account, call: str, does: Callable[[], object]) -> Account:
    """Call `does` before each call of this name."""
    account.before = lambda _, called, __: does() if called == call else None
    return account


def losing_role(account: Account) -> Account:
    """The role is deleted after its instance profile is read."""
    call = "iam:SimulatePrincipalPolicy"
    return on_call(account, call, lambda: account.roles.pop("db", None))


BY_VPC: Final = denied(lambda _: True, MissingContextValues=["aws:SourceVpc"])
NODES: Final = {"nodes": Role("ssm.amazonaws.com")}
PROD: Final[dict[str, Any]] = {"tags": {"env": "prod"}}
PROD_OF_TEAM: Final[dict[str, Any]] = {"tags": {"env": "prod", "team": "a*b=c"}}
OTHER_HYBRID: Final = f"mi-{17 * '1'}"
EXPIRED: Final = CredentialRetrievalError(provider="sso", error_msg="the token has expired")
UNREACHED: Final = EndpointConnectionError(endpoint_url=f"https://ssm.{REGION}.amazonaws.com")
ROWS: Final = {
    "one of two registers": row(of_db(
        A, B, role=denied(lambda asked: asked.action == REGISTER and A not in asked.resource)),
        {A: (R,), B: (U, "register")}),
    "one of two is denied": row(
        of_db(A, B, role=denied(lambda asked: B in asked.resource, EvalDecision="explicitDeny")),
        {A: (R,), B: (U, "register")}),
    "an organization denies two": row(
        of_db(A, B, role=denied(lambda asked: asked.action == REGISTER, **BY_ORGANIZATION)),
        {A: (U, "register"), B: (U, "register")}),
    "a role is deleted half-way": row(losing_role(
        Account(Machine(A, profile="db"), Machine(B), roles={"db": Role()})), {A: (R,), B: (R,)}),
    "no instance": row(Account(), {}),
    "one of three is terminated": row(
        Account(Machine(A), Machine(B, state="terminated"), Machine(C)), {A: (R,), C: (R,)}),
    "many pages": row(Account(Machine(A), Machine(B)), {A: (R,), B: (R,)}, size=1),
    "one ends between two pages": row(ending(Account(Machine(A), Machine(B))), {A: (R,), B: (R,)}),
    "a page can't be read": row(
        lacking_page(Account(Machine(A), Machine(B)), "ec2:DescribeInstances",
            "RequestLimitExceeded"), {A: (R,)}, says="RequestLimitExceeded", is_whole=False),
    **{f"{call} is not reached once": row(on_call(Account(Machine(A), Machine(B), Machine(C)),
        f"ssm:{call}", Mock(side_effect=[UNREACHED, *[None] * 9])), dict.fromkeys((A, B, C), (R,)))
       for call in ("GetConnectionStatus", "DescribeInstanceInformation")},
    "two regions": row(Account(Machine(A), Machine(B, OTHER_REGION, **NEVER),
        Machine(C, "eu-west-2")), {A: (R,), B: (U, "path-ssm", "path-ssmmessages")},
        *("--region", OTHER_REGION, "--region", REGION), shut={OTHER_REGION}),
    "in China": row(
        Account(Machine(A, "cn-north-1", **NEVER), roles={"web": Role(lacks=(REGISTER,))}),
        {A: (U, "register")}, *("--region", "cn-north-1"), partition="aws-cn"),
    "the region is denied": row(
        Account(Machine(A), Machine(B, OTHER_REGION)), {A: (R,)}, "--all-regions",
        refused={f"{OTHER_REGION} ec2:DescribeInstances": "UnauthorizedOperation"}, is_whole=False),
    "the records are denied": row(
        Account(Machine(A), Machine(B, connection="notconnected")), {A: (R,), B: (U, "connected")},
        refused={"ssm:DescribeInstanceInformation": "AccessDeniedException"},
        says=f"{DENIED} ssm:DescribeInstanceInformation"),
    "the connections are denied": row(
        Account(Machine(A), Machine(B, profile="db"), roles={"db": Role(lacks=(REGISTER,))}),
        {A: (Q,), B: (U, "register")}, refused={"ssm:GetConnectionStatus": "AccessDeniedException"},
        says=f"{DENIED} ssm:GetConnectionStatus"),
    "IAM is denied": row(
        Account(Machine(A), Machine(B, **NEVER)), {A: (R,), B: (U, "registered")}, is_whole=False,
        refused=dict.fromkeys(OF_IAM, "AccessDenied"), says=f"{DENIED} iam:GetInstanceProfile"),
    "the credentials end half-way": row(
        on_call(Account(Machine(A), Machine(B, **NEVER)), "ssm:GetConnectionStatus",
                Mock(side_effect=EXPIRED)),
        {A: (Q,), B: (Q,)},
        says="no credentials: Error when retrieving credentials from sso: the token has expired",
        is_whole=False),
    "two calls are refused as the credentials have expired": row(
        Account(Machine(A)), {A: (R,)}, is_whole=False,
        refused=dict.fromkeys((OF_IAM[1], "ssm:GetServiceSetting"), "ExpiredToken"),
        says='"error": "the credentials have expired: ExpiredToken: sign in with the AWS CLI, such '
             'as by aws sso login or aws login"'),
    "IAM refuses each question": row(Account(Machine(A)), {A: (R,)}, refused={
        "iam:SimulatePrincipalPolicy": "InvalidInput"}, says="InvalidInput", is_whole=False),
    "a condition on the node of a session": row(uses_key(
        of_db(A, B, role=Role(decides=by_condition_on_node))), {A: (R,), B: (U, "encrypt")}),
    "a document of one region": row(
        uses_key(Account(Machine(A), Machine(B, OTHER_REGION))), {A: (R,), B: (Q,)},
        *("--all-regions", "--document", "SSM-SessionManagerRunShell"), is_whole=False),
    "two tags, and a hybrid node": row(Account(Machine(A, **PROD), Machine(B, **PROD_OF_TEAM),
        Machine(nodes.HYBRID, role="nodes", **PROD_OF_TEAM), roles=NODES),
        {B: (R,), nodes.HYBRID: (R,)}, *("--tag", "env=prod", "--tag", "team=a*b=c")),
    "a tag, and a page of the records can't be read": row(
        lacking_page(Account(Machine(nodes.HYBRID, role="nodes"),
                             Machine(OTHER_HYBRID, role="nodes", **PROD), roles=NODES),
                     "ssm:DescribeInstanceInformation", "ThrottlingException"),
        {OTHER_HYBRID: (R,)}, *("--tag", "env=prod"), says="ThrottlingException", is_whole=False),
}  # fmt: skip
"""What more than one node shows; `test_causes.py` has an audit find each cause on one."""


@pytest.mark.parametrize("name", ROWS)
def test_each_node_has_the_right_verdict(name: str) -> None:
    said = ROWS[name]
    found = audit(said.account, *said.arguments)

    assert found.nodes == said.nodes, found.err
    assert (found.status, found.err) == (said.status, "")
    summary = found.json["summary"]
    verdicts = [verdict for verdict, *_ in said.nodes.values()]
    assert [summary[verdict] for verdict in VERDICTS] == [*map(verdicts.count, VERDICTS)]
    in_regions = sum(one["instances"] for one in found.json["regions"])
    assert summary["instances"] == len(said.nodes) == in_regions
    failing = [one for one in found.json["instances"] if one["verdict"] != R]
    assert all(one["why"] for one in failing)
    assert said.says in found.out
    assert "verify --print-permissions" not in found.out
    (statement,) = policy_for_audit()["Statement"]
    assert {*said.account.made} <= {*statement["Action"], "sts:GetCallerIdentity"}


def test_the_whole_in_json(snapshot: SnapshotAssertion) -> None:
    account = Account(
        Machine(C, OTHER_REGION, profile="db"),
        Machine(B, profile="db", tags={"Name": "数据库"}, **LOST),
        Machine(A, state="stopped", **NEVER),
        roles={"db": Role(lacks=(REGISTER, *CHANNELS))},
    )

    found = audit(account, "--all-regions")

    assert account.made.count("ssm:GetConnectionStatus") == 2  # of those that run
    asked_at = found.json["asked_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", asked_at)
    assert found.out.replace(asked_at, audits.ASKED_AT) == snapshot


REPLACED: Final = {REGION: "web"}
"""The account's role does the work."""
ONE_FOR_TWO: Final = Account(
    Machine(A, profile="one"),
    Machine(B, profile="two"),
    roles={"one": Role(lacks=(REGISTER,))},
    profiles={"one": "one", "two": "one"},
)


class OfRoles(NamedTuple):
    """An account, the findings for its roles, and the profiles whose role lacks a permission."""

    account: Account
    lacks: dict[str, tuple[str, ...]]
    profiles: tuple[str, ...]


OF_ROLES: Final = {
    "two profiles with one role": OfRoles(ONE_FOR_TWO, {"one": ("register",)}, ("one", "two")),
    "a role that may not be assumed lacks no permission": OfRoles(
        of_db(A, role=Role("ecs.amazonaws.com")), {"db": ("role-assumable",)}, ()),
    "a key of the session preferences": OfRoles(
        uses_key(of_db(A, role=Role(lacks=("kms:Decrypt",)))), {"db": ("encrypt",)}, ("db",)),
    "the profile goes unused where the account's role does the work": OfRoles(
        of_db(A, role=Role(lacks=(REGISTER,)), host_management=REPLACED), {"web": ()}, ()),
    "who may assume a profile's role says nothing of the account's": OfRoles(
        of_db(A, role=Role("lambda.amazonaws.com"), host_management=REPLACED), {"web": ()}, ()),
    "a condition decides": OfRoles(of_db(A, role=BY_VPC), {"db": ()}, ()),
    "a hybrid node has no profile": OfRoles(Account(Machine(nodes.HYBRID, role="nodes"),
        roles={"nodes": Role("ssm.amazonaws.com", lacks=CHANNELS)}), {"nodes": ("reach",)}, ()),
    "no role": OfRoles(Account(Machine(A, profile=None, **NEVER)), {}, ()),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_ROLES)
def test_what_a_role_lacks(name: str, tmp_path: Path) -> None:
    account, lacks, profiles = OF_ROLES[name]
    file = tmp_path / "profiles.txt"

    found = audit(account, "--profiles-file", str(file))

    roles = found.json["roles"]
    assert {one["role"].rpartition("/")[2]: tuple(one["lacks"]) for one in roles} == lacks
    unknown = ["register", "reach"] if name == "a condition decides" else []
    assert [one["unknown"] for one in roles] == [unknown] * len(roles)
    assert tuple(found.json["profiles"]) == profiles
    listed = file.read_text(encoding="utf-8").splitlines()
    assert tuple(line for line in listed if " = " not in line) == profiles
    lacking = {name for one in roles if one["profiles"] for name in one["lacks"]}
    assert ("allow-registration = true" in listed) == ("register" in lacking)
    assert any(line.startswith("key = arn:") for line in listed) == ("encrypt" in lacking)


def test_no_text_of_a_file_moves_the_cursor(tmp_path: Path) -> None:
    file = audits.written(tmp_path, "a.json", of_all("text\x1b[2J"))

    found = audit(Account(), "--from", file, "--output", "table")

    assert (found.status, found.err) == (1, "")
    assert "\x1b" not in found.out
    assert found.out.count(r"text\u001b[2J") == found.out.count("text") > 5

    nowhere = audits.result([audits.node(A + "\x1b[2J")], regions=[])
    found = audit(Account(), "--from", audits.written(tmp_path, "b.json", nowhere))

    assert found.status == 2
    assert rf"{A}\u001b[2J is in {REGION}, which is not among the regions" in found.err


def test_its_last_line_deploys_to_the_list(tmp_path: Path) -> None:
    file = tmp_path / "my list; $(x).txt"
    account = Account(Machine(A), roles={"web": Role(lacks=(REGISTER,))})

    more = ("--profiles-file", str(file), "--profile", "a b")
    *_, before, last = audit(account, "--output", "table", *more).out.splitlines()

    assert before == "  - to give them the permissions, run:"
    app = "python -m session_manager_permissions"
    said = ["npx", "aws-cdk", "deploy", "--app", app, "--profile", "a b", "-c"]
    assert shlex.split(last) == [*said, f"instance-profiles={file}"]
    assert file.read_text(encoding="utf-8") == "allow-registration = true\nweb\n"


@pytest.mark.parametrize("hostile", ["\x1b]0;x\x07", "a\nb", "\u202e"])
def test_its_last_line_is_for_a_terminal(hostile: str, tmp_path: Path) -> None:
    account = Account(Machine(A), roles={"web": Role(lacks=CHANNELS)})
    more = ("--profiles-file", str(tmp_path / hostile), "--profile", hostile)

    out = audit(account, "--output", "table", *more).out

    assert hostile not in out
    assert out.endswith(" --profile PROFILE -c instance-profiles=FILE\n")


def test_what_the_list_needs_and_the_audit_does_not_know_is_said(tmp_path: Path) -> None:
    role = audits.role(lacks=["encrypt", "log-to-s3"], profiles=["web"])
    known = audits.result([audits.node(A)], roles=[role], profiles=["web"])
    file = audits.written(tmp_path, "a.json", known)

    found = audit(Account(), "--from", file, "--output", "table")

    assert "write into the list, if it is not there: key = KEY_ARN, log-bucket = NAME" in found.out


def test_links_that_lead_to_each_other_are_refused(tmp_path: Path) -> None:
    link = tmp_path / "loop"
    link.symlink_to(link)

    found = audit(Account(), "--file", str(link), "--profiles-file", str(tmp_path / "list.txt"))

    assert found.status == 2
    assert f"--file {link} is a symbolic link to {link}" in found.err


def test_an_answer_is_shown_if_its_file_cant_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # nobody but root may write into /dev

    found = audit(Account(Machine(A)), "--file", "/dev/full")

    assert (found.status, found.nodes) == (2, {A: (R,)})
    assert "--file /dev/full can't be written: No space left on device" in found.err


def test_a_file_has_no_colors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as if standard output were a terminal
    file = tmp_path / "audit.txt"

    assert "\x1b" in audit(Account(), "--output", "table").out
    audit(Account(), "--output", "table", "--file", str(file))

    assert "\x1b" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("region", ["mars-north-1", REGION])
def test_a_region_that_is_not_there(region: str) -> None:
    account = Account(Machine(A, OTHER_REGION))
    unreached = EndpointConnectionError(endpoint_url=f"https://ec2.{region}.amazonaws.com")
    account.before = lambda asked, *_: Mock(side_effect=unreached)() if asked == region else None

    for regions in ((OTHER_REGION, region), (region, OTHER_REGION)):
        found = audit(account, *(word for name in regions for word in ("--region", name)))

        assert found.status == 1
        assert found.nodes == {A: (R,)}
        assert f"whether there is a region {region}" in found.error(region)
        assert found.error(OTHER_REGION) == ""


def test_a_service_that_is_not_reached_is_not_called_for_each_node() -> None:
    account = Account(*(Machine(f"i-{number:017x}") for number in range(50)))

    found = audit(on_call(account, "ssm:GetConnectionStatus", Mock(side_effect=UNREACHED)))

    assert {*found.nodes.values()} == {(Q,)}
    assert account.made.count("ssm:GetConnectionStatus") <= MAX_CALLS


def test_what_is_judged_already_is_not_judged_again_with_the_rest_of_its_region() -> None:
    throttled = Mock(side_effect=[refusal("DescribeInstances", "RequestLimitExceeded"), None])
    account = Account(Machine(A), Machine(B))

    found = audit(on_later_page(account, "ec2:DescribeInstances", throttled))

    assert (found.status, found.nodes) == (0, {A: (R,), B: (R,)})
    assert account.made.count("ssm:GetConnectionStatus") == len(found.nodes)


def test_no_region_says_which_account_it_is() -> None:
    account = Account(Machine(A), refused={"sts:GetCallerIdentity": "AccessDenied"})

    found = audit(account, "--region", REGION, "--region", OTHER_REGION)

    assert (found.status, found.out) == (2, "")
    assert found.err.endswith(f"{DENIED} sts:GetCallerIdentity on *\n")
    assert account.made == ["sts:GetCallerIdentity"] * 2


def test_an_error_of_the_program_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "diagnose", Mock(side_effect=RuntimeError("surprise")))

    found = audit(Account(Machine(A), Machine(B, state="stopped")))

    assert (found.status, found.nodes) == (1, {A: (Q,), B: (S,)})
    assert "RuntimeError: surprise: report it" in found.error()
    assert "report it" in found.one(A)["why"][0]
    assert found.one(A)["profile"] == "web"


def test_no_command_takes_back_what_another_grants() -> None:
    roles = {"web": Role(lacks=("kms:Decrypt",))}
    account = Account(Machine(A), Machine(B, OTHER_REGION), roles=roles)

    found = audit(uses_key(account, REGION, OTHER_REGION), "--all-regions")

    for node in (A, B):
        first, *others = found.one(node)["fix"]
        assert "no single command deploys them all" in first
        assert not any(map(is_deployment, others))


def test_what_is_shared_is_asked_once() -> None:
    nodes = [
        Machine(
            f"i-{number:017x}",
            (REGION, OTHER_REGION)[number % 2],
            f"role-{number // 2 % 5}",
            **(NEVER if number < 20 else {}),
        )
        for number in range(400)
    ]
    roles = {f"role-{number}": Role() for number in range(5)}
    account = uses_key(Account(*nodes, roles=roles), REGION, OTHER_REGION)

    found = audit(account, "--all-regions")

    assert found.status == 1
    once_in_a_region = {
        *("ec2:DescribeDhcpOptions", "ec2:DescribeInstances", "ec2:DescribeNatGateways"),
        *("ec2:DescribeNetworkAcls", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups"),
        *("ec2:DescribeSubnets", "ec2:DescribeVpcEndpoints", "ec2:DescribeVpcs"),
        *("kms:DescribeKey", "kms:GetKeyPolicy", "route53:ListHostedZonesByVPC", "ssm:GetDocument"),
        *("ec2:DescribeInstanceStatus", "route53resolver:ListFirewallRuleGroupAssociations"),
        "route53resolver:ListResolverRuleAssociations",
    }
    assert Counter(account.made) == dict.fromkeys(once_in_a_region, 2) | {
        "sts:GetCallerIdentity": 1,
        "ec2:DescribeRegions": 1,
        "ec2:DescribeVpcAttribute": 2,
        "iam:GetInstanceProfile": 5,
        "iam:SimulatePrincipalPolicy": 5 * 2,  # of each role, in each region
        "ssm:DescribeInstanceInformation": 2 * 200 // 50,
        "ssm:GetConnectionStatus": 400,
    }


@pytest.mark.parametrize("code", ["InvalidInput", "Throttling"])
def test_a_request_about_several_nodes_may_be_refused(code: str) -> None:
    account = Account(*(Machine(f"i-{number:017x}") for number in range(3)))
    refused = Mock(side_effect=refusal("SimulatePrincipalPolicy", code))
    account.before = lambda _, __, asked: refused() if asked.get("ResourceArns", "*")[1:] else None

    found = audit(account)

    assert {*found.nodes.values()} == {(R,)}
    assert found.status == 0  # all is known
    # about the three, about all else, and then about each of the three
    assert account.made.count("iam:SimulatePrincipalPolicy") == 1 + 1 + 3


def interrupted(_: Progress, done: int, __: int) -> None:
    if done == 1:
        raise KeyboardInterrupt


def test_ctrl_c_leaves_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Progress, "judged", interrupted)
    as_text, ended_by_itself = answering.as_text, []

    def shows(*shown: Any) -> str:  # noqa: ANN401
        ended_by_itself.append(INTERRUPTED.is_set())  # so that nothing ends it meanwhile
        return as_text(*shown)

    monkeypatch.setattr(answering, "as_text", shows)

    found = audit(Account(Machine(A), Machine(B, OTHER_REGION), Machine(C)), "--all-regions")

    assert (ended_by_itself, INTERRUPTED.is_set()) == ([True], False)
    assert found.status == 1
    assert len(found.nodes) == 1
    errors = [one["error"] for one in found.json["regions"] if one["error"]]
    assert errors
    assert all("the audit was interrupted: this is" in error for error in errors)


def test_ctrl_c_before_anything_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Progress, "listed", interrupted)

    found = audit(Account(Machine(A)))

    assert (found.status, found.out) == (2, "")
    assert f"{REGION}: the audit was interrupted: this is 0 of 1" in found.err


def test_progress_says_how_long_it_takes() -> None:
    stream = Terminal()
    now = iter([0.0, 10.0, 10.1, 200.0])
    progress = Progress(stream, lambda: next(now))

    progress.listed(1, 4)
    progress.judged(1, 5000)
    progress.judged(100, 5000)
    progress.judged(101, 5000)
    progress.judged(5000, 5000)
    progress.end()

    assert stream.getvalue().split("\r\x1b[K")[1:] == [
        "listed the instances of 1 of 4 regions",
        "checked 100 of 5,000 nodes, about 8 min left",
        "checked 5,000 of 5,000 nodes, about 0 s left",
        "",
    ]


@pytest.mark.parametrize(("term", "columns", "shown"), [
    ("xterm", 30, "\r\x1b[Kchecked 5,000 of 5,000 nodes,"),
    ("xterm", 0, "\r\x1b[Kchecked 5,000 of 5,000 nodes, about 0 s left"),
    ("dumb", 80, ""),
])  # fmt: skip
def test_progress_fits_the_terminal(
    term: str, columns: int, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(stream, "fileno", lambda: 2)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((columns, 24)))

    Progress(stream).judged(5000, 5000)

    assert stream.getvalue() == shown


def test_progress_is_for_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for stream in (sys.stderr, None):
        Progress(stream).judged(1, 1)

    assert capsys.readouterr().err == ""


def test_the_permissions_are_all_that_an_audit_calls() -> None:
    (statement,) = policy_for_audit()["Statement"]
    allowed = {*statement["Action"], "sts:GetCallerIdentity"}

    assert audit(Account(), "--print-permissions").json == policy_for_audit()
    assert {*PERMISSIONS} - allowed == {
        *("ec2:DescribeIamInstanceProfileAssociations", "ec2:DescribeImages"),
        *("ec2:GetConsoleOutput", "iam:ListPolicies", "iam:ListAttachedRolePolicies"),
        *("iam:GetUser", "ssm:ListTagsForResource"),
    }


def test_results_of_files(tmp_path: Path) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    account = of_db(A, role=Role())
    audit(account, "--file", str(before))
    account.roles["db"].lacks = (REGISTER,)

    written = audit(account, "--file", str(after))
    merged = audit(Account(), "--from", str(after))
    page = audit(Account(), "--from", str(before), "--output", "html")

    assert (written.status, written.out) == (1, "")
    assert (merged.status, merged.nodes) == (1, {A: (U, "register")})
    assert (page.status, page.out[:15]) == (0, "<!doctype html>")


@pytest.mark.parametrize(
    ("variable", "retries"),
    [(None, {"mode": "adaptive", "total_max_attempts": 10}), ("4", {"mode": "adaptive"})],
)
def test_the_rate_adapts_to_throttling(
    variable: str | None, retries: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, object] = {}

    def session(*_: object, **said: object) -> object:
        asked.update(said)
        return session_in(Account())

    monkeypatch.setattr(answering, "aws_session", session)
    monkeypatch.delenv("AWS_MAX_ATTEMPTS", raising=False)
    if variable:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", variable)

    assert command.main(["audit", "--output", "json"]) == 0
    assert asked == {"retries": retries}


@pytest.mark.parametrize(("columns", "is_table"), [("0", True), ("40", False), ("80", True)])
def test_no_head_is_cut(columns: str, *, is_table: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    account = Account(Machine(A), Machine(B, state="stopped"), Machine(C, OTHER_REGION))

    out = audit(account, "--output", "table", "--all-regions").out

    assert "\u2026" not in out
    if is_table:
        assert all(head in out for head in ("region", "nodes", *VERDICTS))
    else:
        assert f"\n{REGION}: 2 nodes\n  1 reachable\n  1 stopped\n" in out
        assert f"\n{OTHER_REGION}: 1 node\n  1 reachable\n" in out


def test_the_table(snapshot: SnapshotAssertion) -> None:
    machines = [Machine(f"i-{number:017x}", profile="db", **NEVER) for number in range(7)]
    account = Account(
        *machines,
        Machine(A),
        Machine(B, OTHER_REGION, **NEVER),
        Machine(C, state="stopped"),
        Machine("i-0123456789abcdef0", profile="app"),
        Machine("i-0123456789abcdef1", profile=None, **NEVER),
        roles={"db": Role(lacks=(REGISTER,)), "app": Role(lacks=(REGISTER,))},
        shut={OTHER_REGION},
        refused={f"{OTHER_REGION} ssm:DescribeInstanceInformation": "AccessDeniedException"},
    )

    found = audit(account, "--output", "table", "--all-regions")

    assert found.status == 1
    assert found.out == snapshot


def test_the_table_of_two_accounts(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    roles = {f"role-{number:02}": Role(lacks=CHANNELS) for number in range(12)}
    machines = [
        Machine(f"i-{number:017x}", profile=role, connection="notconnected")
        for number, role in enumerate(roles)
    ]
    account = Account(*machines, Machine(A), Machine(B, metadata="disabled"), roles=roles)
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    audit(account, "--file", str(one))
    text = one.read_text(encoding="utf-8").replace(ACCOUNT, nodes.OTHER_ACCOUNT)
    other.write_text(text, encoding="utf-8")

    found = audit(Account(), "--from", str(one), str(other), "--output", "table")

    assert found.status == 1
    assert found.out == snapshot


def test_a_tag_without_a_key_is_no_name() -> None:
    tags = [{"Value": "odd"}, {"Key": "Name", "Value": "web-1"}]

    found = run(nodes.World(instance(Tags=tags)), "audit", "--output", "json")

    assert found.one(nodes.NODE)["name"] == "web-1"
