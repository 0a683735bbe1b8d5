"""`audit`: the verdict on each node of an account, its cause, and the exit status."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from session_manager_permissions._verify import command
from session_manager_permissions._verify.audit import answering, auditing, sharing
from session_manager_permissions._verify.audit.progress import Progress
from session_manager_permissions._verify.permissions import PERMISSIONS, policy_for_audit

from .accounts import CHANNELS, OTHER_REGION, REGISTER, Account, Machine, Role, Session
from .nodes import ACCOUNT, KEY, REGION
from .test_verify import no_account

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["no_account"]  # a fixture

A, B, C = (f"i-{name * 17}" for name in "abc")
HYBRID: Final = "mi-0123456789abcdef0"
R, U, S, Q = "reachable", "unreachable", "stopped", "unknown"


class Run:
    """What a run came to."""

    def __init__(self, status: object, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.out)

    @property
    def found(self) -> dict[str, tuple[str, ...]]:
        """The verdict and the causes of each node, by its id."""
        return {one["id"]: (one["verdict"], *one["causes"]) for one in self.json["instances"]}

    def one(self, node: str) -> dict[str, Any]:
        (found,) = (one for one in self.json["instances"] if one["id"] == node)
        return found  # type: ignore[no-any-return]

    def error(self, region: str = REGION) -> str:
        (found,) = (one for one in self.json["regions"] if one["region"] == region)
        return found["error"] or ""


@pytest.fixture
def audit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Run]:
    def run(account: Account, *arguments: str) -> Run:
        monkeypatch.setattr(
            answering, "AwsSession", lambda _, region, **__: Session(account, region or REGION)
        )
        try:
            status: object = command.main(["audit", "--output", "json", *arguments])
        except SystemExit as error:
            status = error.code
        captured = capsys.readouterr()
        return Run(status, captured.out, captured.err)

    return run


class Row(NamedTuple):
    """An account, and what must be found."""

    name: str
    account: Account
    found: dict[str, tuple[str, ...]]
    arguments: tuple[str, ...] = ()
    says: str = ""
    """A part of why the first node can't be reached, or of the error of the region."""
    status: int = 1


def row(
    name: str,
    account: Account,
    found: dict[str, tuple[str, ...]],
    *arguments: str,
    says: str = "",
    status: int | None = None,
    **parts: object,
) -> Row:
    for part, value in parts.items():
        setattr(account, part, value)
    ready = all(verdict in (R, S) for verdict, *_ in found.values())
    return Row(
        name, account, found, arguments, says, (0 if ready else 1) if status is None else status
    )


def alone(name: str, *found: str, says: str = "", role: Role | None = None, **parts: Any) -> Row:  # noqa: ANN401
    """One instance, with something about it or its role."""
    account = Account(Machine(A, **parts))
    account.roles["web"] = role or Role()
    return row(name, account, {A: found}, says=says)


NEVER: Final[dict[str, Any]] = {"ping": None, "connection": "notconnected"}
LOST: Final[dict[str, Any]] = {"ping": "ConnectionLost", "connection": "notconnected"}
DENIED: Final = "the credentials may not ask: they need"


def uses_key(account: Account, *regions: str) -> Account:
    for region in regions or (REGION,):
        account.uses(region, kmsKeyId=KEY.replace(REGION, region))
    return account


def in_partition(partition: str, region: str) -> Account:
    account = Account(Machine(A, region, **NEVER))
    account.partition = partition
    account.roles["web"] = Role(only_on={REGISTER: ()})
    return account


def with_roles(account: Account, **roles: Role | None) -> Account:
    for name, role in roles.items():
        account.profiles[name] = name if role else None
        if role:
            account.roles[name] = role
    return account


def lacking_page(account: Account) -> Account:
    """The second page of the instances can't be read."""

    def before(_: str, call: str, asked: dict[str, Any]) -> None:
        if call == "ec2:DescribeInstances" and "NextToken" in asked:
            account.refused[call] = "RequestLimitExceeded"

    account.size, account.before = 1, before
    return account


def ending(account: Account) -> Account:
    """An instance is terminated between two pages, which then begin with other instances."""

    def before(_: str, call: str, asked: dict[str, Any]) -> None:
        if call == "ec2:DescribeInstances" and "NextToken" in asked:
            account.machines[0].state = "terminated"

    account.size, account.before = 1, before
    return account


def losing_role(account: Account) -> Account:
    """The role is deleted once its profile is read."""

    def before(_: str, call: str, __: dict[str, Any]) -> None:
        if call == "iam:SimulatePrincipalPolicy":
            account.roles.pop("db", None)

    account.before = before
    return account


ARN: Final = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/"
ROWS: Final = [
    alone("all is well", R),
    alone("stopped", S, state="stopped", ping="ConnectionLost", connection="notconnected"),
    alone("stopping", S, state="stopping"),
    alone("starting", S, state="pending", **NEVER),
    alone("shutting down", S, state="shutting-down", **NEVER),
    alone("no profile", U, "instance-profile", profile=None, says="no instance profile", **NEVER),
    alone("a profile that is deleted", U, "instance-profile", profile="gone", **NEVER),
    alone("may not register", U, "register", role=Role(lacks=(REGISTER,)), **NEVER),
    alone(
        "may not open channels", U, "reach", role=Role(lacks=CHANNELS), connection="notconnected"
    ),
    alone("denied, and connected still", U, "reach", role=Role(lacks=CHANNELS[:1])),
    alone("denied both", U, "register", "reach", role=Role(lacks=(REGISTER, *CHANNELS)), **NEVER),
    alone(
        "EC2 may not assume the role",
        U,
        "role-assumable",
        role=Role("lambda.amazonaws.com"),
        **NEVER,
    ),
    alone("no metadata", U, "metadata", metadata="disabled", **NEVER),
    alone("impaired", U, "instance-running", impaired=True, says="InstanceStatus", **NEVER),
    alone("never registered, and nothing else", U, "registered", says="no record", **NEVER),
    alone("lost, and nothing else", U, "connected", "registered", **LOST),
    alone("lost, and connected all the same", R, ping="ConnectionLost"),
    alone("inactive", U, "connected", "registered", ping="Inactive", connection="notconnected"),
    alone("online without a connection", U, "connected", connection="notconnected"),
    alone("a condition decides", R, role=Role(if_told=("aws:ResourceTag/team",))),
    alone("registers on this instance alone", R, role=Role(only_on={REGISTER: (ARN + A,)})),
    alone("a deny on this instance alone", U, "register", role=Role(denied_on=(ARN + A,))),
    alone(
        "the organization denies",
        U,
        "register",
        role=Role(organization_denies=(REGISTER,)),
        says="service control",
        **NEVER,
    ),
    row(
        "two with one profile",
        Account(Machine(A), Machine(B)),
        {A: (R,), B: (R,)},
    ),
    row(
        "one of two registers",
        with_roles(
            Account(Machine(A, profile="db"), Machine(B, profile="db")),
            db=Role(only_on={REGISTER: (ARN + A,)}),
        ),
        {A: (R,), B: (U, "register")},
    ),
    row(
        "one of two is denied",
        with_roles(
            Account(Machine(A, profile="db"), Machine(B, profile="db")),
            db=Role(denied_on=(ARN + B,)),
        ),
        {A: (R,), B: (U, "register")},
    ),
    row(
        "an organization denies two",
        with_roles(
            Account(Machine(A, profile="db"), Machine(B, profile="db")),
            db=Role(organization_denies=(REGISTER,)),
        ),
        {A: (U, "register"), B: (U, "register")},
    ),
    row(
        "no role in the profile",
        with_roles(Account(Machine(A, profile="db", **NEVER)), db=None),
        {A: (U, "instance-profile")},
        says="has no role",
    ),
    row(
        "a role is deleted half-way",
        losing_role(with_roles(Account(Machine(A, profile="db"), Machine(B)), db=Role())),
        {A: (R,), B: (R,)},
    ),
    row("no instance", Account(), {}),
    row("only terminated ones", Account(Machine(A, state="terminated")), {}),
    row(
        "one of three is terminated",
        Account(Machine(A), Machine(B, state="terminated"), Machine(C)),
        {A: (R,), C: (R,)},
    ),
    row(
        "many pages",
        Account(Machine(A), Machine(B), Machine(C)),
        {A: (R,), B: (R,), C: (R,)},
        size=1,
    ),
    row("one ends between two pages", ending(Account(Machine(A), Machine(B))), {A: (R,), B: (R,)}),
    row(
        "a page can't be read",
        lacking_page(Account(Machine(A), Machine(B))),
        {A: (R,)},
        says="RequestLimitExceeded",
        status=1,
    ),
    row(
        "names of every kind",
        Account(
            Machine(A, tags={"Name": "数据库"}),
            Machine(B, tags={"Name": "<script>alert(1)</script>"}),
            Machine(C, tags={"Name": "\x1b[31m\u202e"}),
        ),
        {A: (R,), B: (R,), C: (R,)},
    ),
    row(
        "the account's role does the work",
        Account(Machine(A, profile=None), Machine(B, profile=None)),
        {A: (R,), B: (R,)},
        host_management={REGION: "web"},
    ),
    row(
        "the account's role, and an agent that is too old",
        Account(Machine(A, profile=None, agent="3.1.0.0", connection="notconnected")),
        {A: (U, "instance-profile")},
        host_management={REGION: "web"},
    ),
    row(
        "the account's role replaces another",
        with_roles(Account(Machine(A, profile="db")), db=Role(lacks=(REGISTER,))),
        {A: (R,)},
        host_management={REGION: "web"},
    ),
    row(
        "a hybrid node",
        with_roles(Account(Machine(HYBRID, role="nodes")), nodes=Role("ssm.amazonaws.com")),
        {HYBRID: (R,)},
    ),
    row(
        "a hybrid node whose role may not be assumed",
        Account(Machine(HYBRID, role="web", **LOST)),
        {HYBRID: (U, "role-assumable")},
    ),
    row(
        "a hybrid node whose role is gone",
        Account(Machine(HYBRID, role="gone", **LOST)),
        {HYBRID: (U, "role-assumable")},
        says="does not exist any more",
    ),
    row(
        "two regions",
        Account(Machine(A), Machine(B, OTHER_REGION, **NEVER), Machine(C, "eu-west-2")),
        {A: (R,), B: (U, "path-ssm", "path-ssmmessages")},
        *("--region", OTHER_REGION, "--region", REGION),
        shut={OTHER_REGION},
    ),
    row(
        "all regions",
        Account(Machine(A), Machine(B, OTHER_REGION)),
        {A: (R,), B: (R,)},
        "--all-regions",
    ),
    row(
        "in China",
        in_partition("aws-cn", "cn-north-1"),
        {A: (U, "register")},
        "--region",
        "cn-north-1",
    ),
    row(
        "in GovCloud",
        in_partition("aws-us-gov", "us-gov-west-1"),
        {A: (U, "register")},
        "--region",
        "us-gov-west-1",
    ),
    row(
        "no way out of two subnets",
        Account(Machine(A, **NEVER), Machine(B, subnet="subnet-other", **NEVER)),
        {A: (U, "path-ssm", "path-ssmmessages"), B: (U, "path-ssm", "path-ssmmessages")},
        shut={REGION},
    ),
    row(
        "the region is denied",
        Account(Machine(A), Machine(B, OTHER_REGION)),
        {A: (R,)},
        "--all-regions",
        refused={f"{OTHER_REGION} ec2:DescribeInstances": "UnauthorizedOperation"},
        status=1,
    ),
    row(
        "the records are denied",
        Account(Machine(A), Machine(B, connection="notconnected")),
        {A: (R,), B: (U, "connected")},
        refused={"ssm:DescribeInstanceInformation": "AccessDeniedException"},
        says=f"{DENIED} ssm:DescribeInstanceInformation",
    ),
    row(
        "the connections are denied",
        with_roles(Account(Machine(A), Machine(B, profile="db")), db=Role(lacks=(REGISTER,))),
        {A: (Q,), B: (U, "register")},
        refused={"ssm:GetConnectionStatus": "AccessDeniedException"},
        says=f"{DENIED} ssm:GetConnectionStatus",
    ),
    row(
        "throttled for good",
        Account(Machine(A)),
        {A: (Q,)},
        refused={"ssm:GetConnectionStatus": "ThrottlingException"},
        says="ThrottlingException",
    ),
    row(
        "IAM is denied",
        Account(Machine(A), Machine(B, **NEVER)),
        {A: (R,), B: (U, "registered")},
        refused={
            "iam:SimulatePrincipalPolicy": "AccessDenied",
            "iam:GetInstanceProfile": "AccessDenied",
        },
        says=f"{DENIED} iam:GetInstanceProfile",
        status=1,
    ),
    row(
        "the simulator is denied",
        Account(Machine(A), Machine(B)),
        {A: (R,), B: (R,)},
        refused={"iam:SimulatePrincipalPolicy": "AccessDenied"},
        says=f"{DENIED} iam:SimulatePrincipalPolicy",
        status=1,
    ),
    row(
        "status checks are denied",
        Account(Machine(A, **NEVER), Machine(B, **NEVER)),
        {A: (U, "registered"), B: (U, "registered")},
        refused={"ec2:DescribeInstanceStatus": "UnauthorizedOperation"},
        says=f"{DENIED} ec2:DescribeInstanceStatus",
    ),
    row(
        "a key that a role may not use",
        uses_key(
            with_roles(
                Account(Machine(A), Machine(B, profile="db")), db=Role(lacks=("kms:Decrypt",))
            )
        ),
        {A: (R,), B: (U, "encrypt")},
    ),
    row(
        "a condition on the node of a session",
        uses_key(
            with_roles(
                Account(Machine(A, profile="db"), Machine(B, profile="db")), db=Role(if_target=(A,))
            )
        ),
        {A: (R,), B: (U, "encrypt")},
    ),
    row(
        "a document of one region",
        uses_key(Account(Machine(A), Machine(B, OTHER_REGION))),
        {A: (R,), B: (Q,)},
        *("--all-regions", "--document", "SSM-SessionManagerRunShell"),
        status=1,
    ),
    row(
        "a tag",
        Account(Machine(A, tags={"env": "prod"}), Machine(B), Machine(HYBRID, role="nodes")),
        {A: (R,)},
        *("--tag", "env=prod"),
    ),
    row(
        "two tags, and a hybrid node",
        with_roles(
            Account(
                Machine(A, tags={"env": "prod"}),
                Machine(B, tags={"env": "prod", "team": "a*b=c"}),
                Machine(HYBRID, role="nodes", tags={"env": "prod", "team": "a*b=c"}),
            ),
            nodes=Role("ssm.amazonaws.com"),
        ),
        {B: (R,), HYBRID: (R,)},
        *("--tag", "env=prod", "--tag", "team=a*b=c"),
    ),
]


@pytest.mark.parametrize("said", ROWS, ids=lambda said: said.name.replace(" ", "-"))
def test_each_node_has_the_right_verdict(said: Row, audit: Callable[..., Run]) -> None:
    run = audit(said.account, *said.arguments)

    assert run.found == said.found, run.err
    assert run.status == said.status
    assert run.err == ""
    summary = run.json["summary"]
    for verdict in (R, U, S, Q):
        assert summary[verdict] == [*said.found.values()].count((verdict,)) + sum(
            1 for one, *causes in said.found.values() if one == verdict and causes
        )
    assert (
        summary["instances"]
        == len(said.found)
        == sum(one["instances"] for one in run.json["regions"])
    )
    failing = [one for one in run.json["instances"] if one["verdict"] != R]
    assert all(one["why"] for one in failing)
    if said.says:
        assert said.says in run.out
