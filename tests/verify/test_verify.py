"""`verify` against IAM's answers, as the documentation of SimulatePrincipalPolicy has them.

What a local AWS answers as IAM does is in tests/deploy/test_verify.py; what none does, a boundary,
an organization, a policy named, is here alone.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shlex
import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.stub import ANY, Stubber

from session_manager_permissions._constructs.statements import SessionManagerOptions
from session_manager_permissions._verify import command
from session_manager_permissions._verify.session import Boto

from .nodes import trusting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.awsrequest import AWSPreparedRequest
    from botocore.client import BaseClient

ROOT = Path(__file__).parents[2]
ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/team/web-server"
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{KEY_ID}"
ALIAS = f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/sessions"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
CHANNELS = (
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
REGISTER = "ssm:UpdateInstanceInformation"


def result(action: str, decision: str = "allowed", **parts: object) -> dict[str, Any]:
    """IAM's answer on one action."""
    return {"EvalActionName": action, "EvalDecision": decision, **parts}


def matched(policy: str) -> list[dict[str, Any]]:
    return [
        {
            "SourcePolicyId": policy,
            "SourcePolicyType": "IAM Policy",
            "StartPosition": {"Line": 3, "Column": 17},
            "EndPosition": {"Line": 8, "Column": 6},
        }
    ]


IN_GROUP = ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")


@dataclass
class Answer:
    """What IAM's simulator says of an action on a resource."""

    found: dict[str, Any]
    resource: object
    context: object
    role: str
    is_used: bool = False

    def is_about(self, action: str, resource: str, asked: dict[str, Any]) -> bool:
        """Whether it is the answer to a part of what is asked."""
        return (
            self.found["EvalActionName"] == action
            and self.resource == resource
            and self.role == asked["PolicySourceArn"]
            and self.context == asked["ContextEntries"]
        )

    def of_resource(self, resource: str) -> dict[str, Any]:
        """The answer as IAM gives it where it is asked about several resources."""
        parts = (
            "MatchedStatements",
            "MissingContextValues",
            "EvalDecisionDetails",
            "PermissionsBoundaryDecisionDetail",
        )
        told = {name: value for name, value in self.found.items() if name in parts}
        decision = {"EvalResourceDecision": self.found["EvalDecision"]}
        return {"EvalResourceName": resource, **decision, **told}


@dataclass
class Account:
    """An account whose answers a test gives: those of the simulator in any order.

    It says nothing of an action on a resource that the test gives no answer to.
    """

    iam: Stubber
    kms: Stubber
    kms_regions: list[str] = field(default_factory=list)
    asked: list[tuple[list[str], list[str]]] = field(default_factory=list)
    """The actions and the resources of each request to the simulator."""
    trusts: str = "ec2.amazonaws.com"
    """The service that may assume the roles."""
    refusal: str | None = None
    """The code of the error that the simulator answers with."""
    by_page: bool = False
    """Whether the simulator's first result is on a page of its own, before an empty page."""
    simulator: list[Answer] = field(default_factory=list)

    def has_profile(self, *roles: str, name: str = "web-server") -> None:
        date = "2026-01-01T00:00:00Z"
        found = {
            "Path": "/",
            "InstanceProfileName": name,
            "InstanceProfileId": "AIPA0123456789ABCDEF",
            "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}",
            "CreateDate": date,
            "Roles": [self._role(arn) for arn in roles],
        }
        self.iam.add_response(
            "get_instance_profile", {"InstanceProfile": found}, {"InstanceProfileName": name}
        )

    def has_role(self, arn: str = ROLE, boundary: str | None = None) -> None:
        role = self._role(arn)
        if boundary is not None:
            role["PermissionsBoundary"] = {
                "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
                "PermissionsBoundaryArn": boundary,
            }
        self.iam.add_response("get_role", {"Role": role}, {"RoleName": arn.rpartition("/")[2]})

    def _role(self, arn: str) -> dict[str, Any]:
        return {
            "Path": "/",
            "RoleName": arn.rpartition("/")[2],
            "RoleId": "AROA0123456789ABCDEF",
            "Arn": arn,
            "CreateDate": "2026-01-01T00:00:00Z",
            "AssumeRolePolicyDocument": json.dumps({"Statement": [trusting(self.trusts)]}),
        }

    def answers(
        self,
        *results: dict[str, Any],
        resource: object = "*",
        context: object = ANY,
        role: str = ROLE,
    ) -> None:
        """Answer about the results' actions on this resource, as the last that is told of them."""
        self.simulator[:0] = [Answer(one, resource, context, role) for one in results]

    def simulate(self, params: dict[str, Any], **_: object) -> None:
        """Have the stub answer what the simulator is asked now."""
        if "Marker" in params:  # there are answers for all pages
            return
        self.asked.append((params["ActionNames"], params["ResourceArns"]))
        if self.refusal:
            self.iam.add_client_error("simulate_principal_policy", self.refusal)
            return
        results = [*self._results(params)]
        pages = [results[:1], [], results[1:]] if self.by_page else [results]
        for number, page in enumerate(pages):
            more = number + 1 < len(pages)
            end = {"IsTruncated": more} | ({"Marker": str(number + 1)} if more else {})
            of_page = params | ({"Marker": str(number)} if number else {})
            self.iam.add_response(
                "simulate_principal_policy", {"EvaluationResults": page} | end, of_page
            )

    def _results(self, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for action in asked["ActionNames"]:
            told = {one: self._told(action, one, asked) for one in asked["ResourceArns"]}
            known = {resource: answer for resource, answer in told.items() if answer}
            if known and not asked["ResourceArns"][1:]:
                yield next(iter(known.values())).found
            elif known:
                specific = [answer.of_resource(resource) for resource, answer in known.items()]
                of_action = {
                    name: value
                    for answer in known.values()
                    for name, value in answer.found.items()
                    if name == "OrganizationsDecisionDetail"
                }
                yield result(action, "implicitDeny", ResourceSpecificResults=specific, **of_action)

    def _told(self, action: str, resource: str, asked: dict[str, Any]) -> Answer | None:
        told = [one for one in self.simulator if one.is_about(action, resource, asked)]
        for one in told:
            one.is_used = True
        return told[0] if told else None

    def allows(
        self, *actions: str, resource: object = "*", context: object = ANY, role: str = ROLE
    ) -> None:
        allowed = (result(action) for action in actions)
        self.answers(*allowed, resource=resource, context=context, role=role)

    def is_reachable(
        self, *, context: object = ANY, role: str = ROLE, region: str | None = None
    ) -> None:
        """The answers on what is always asked, on an instance too if there is a region."""
        self.allows(*CHANNELS, context=context, role=role)
        self.allows(REGISTER, context=context, role=role)
        if region:
            instance = sample_instance(region, role)
            self.allows(REGISTER, resource=instance, context=context, role=role)


def sample_instance(region: str, role: str = ROLE) -> str:
    _, partition, _, _, account, _ = role.split(":", 5)
    return f"arn:{partition}:ec2:{region}:{account}:instance/i-0123456789abcdef0"


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches one, whatever the machine is signed in to."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("COLUMNS", "100")


def client(service: str) -> BaseClient:
    return boto3.client(
        service,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 # nobody's
    )


@contextmanager
def stubbed_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    iam, kms = client("iam"), client("kms")
    with Stubber(iam) as iam_stub, Stubber(kms) as kms_stub:
        account = Account(iam_stub, kms_stub)
        iam.meta.events.register(
            "provide-client-params.iam.SimulatePrincipalPolicy", account.simulate
        )
        made = Boto.client

        def stubbed(calls: Boto, service: str, region: str | None) -> BaseClient:
            if service == "kms":
                account.kms_regions.append(str(region))
                return kms
            return iam if service == "iam" else made(calls, service, region)

        monkeypatch.setattr(Boto, "client", stubbed)
        yield account
        iam_stub.assert_no_pending_responses()
        kms_stub.assert_no_pending_responses()
        assert [one for one in account.simulator if not one.is_used] == []


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with stubbed_account(monkeypatch) as stubbed:
        yield stubbed


@dataclass
class Run:
    """What a run of the command came to."""

    status: object
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    def capability(self, name: str) -> dict[str, Any]:
        (found,) = (one for one in self.json["capabilities"] if one["capability"] == name)
        capability: dict[str, Any] = found
        return capability

    @property
    def words(self) -> str:
        """The table's text, without its lines and how they were broken."""
        return " ".join(re.sub(r"[^\w\s\"'.,:;/=()*-]", " ", self.out).split())


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    def run(*arguments: str) -> Run:
        status: object
        try:
            status = command.main(["verify", *arguments])
        except SystemExit as ended:  # argparse's way
            status = ended.code
        captured = capsys.readouterr()
        return Run(status, captured.out, captured.err)

    return run


def test_ready_by_profile(account: Account, verify: Callable[..., Run]) -> None:
    account.has_profile(ROLE)
    account.has_role()
    account.is_reachable()

    run = verify("--instance-profile", "web-server", "--output", "json")

    assert (run.status, run.err) == (0, "")
    assert run.json["ready"] is True
    assert run.json["instance_profile"] == "web-server"
    assert run.json["role"] == ROLE
    assert [one["capability"] for one in run.json["capabilities"]] == ["reach", "register"]
    assert all(
        (one["allowed"], one["why"], one["fix"], one["notes"]) == (True, [], [], [])
        for one in run.json["capabilities"]
    )


@pytest.mark.parametrize("given", ["web-server", ROLE])
def test_ready_by_role(account: Account, verify: Callable[..., Run], given: str) -> None:
    account.has_role()
    account.is_reachable()

    run = verify("--role", given, "--output", "json")

    assert run.status == 0
    assert run.json["instance_profile"] is None


def test_role_whose_name_is_given_in_another_case(
    account: Account, verify: Callable[..., Run]
) -> None:
    """IAM finds it, as its names are unique regardless of case."""
    name = ROLE.rpartition("/")[2].upper()
    account.iam.add_response("get_role", {"Role": account._role(ROLE)}, {"RoleName": name})  # noqa: SLF001
    account.is_reachable()

    run = verify("--role", f"arn:aws:iam::{ACCOUNT}:role/team/{name}", "--output", "json")

    assert (run.status, run.json["role"]) == (0, ROLE)


def test_all_that_is_used_is_asked_in_a_request_for_each_context(
    account: Account, verify: Callable[..., Run]
) -> None:
    logs = f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:"
    group = f"{logs}/ssm/sessions"
    account.has_role()
    account.is_reachable(region="eu-central-1")
    account.allows("kms:Decrypt", resource=KEY)
    account.allows("s3:GetEncryptionConfiguration", resource="arn:aws:s3:::session-logs")
    sample = "arn:aws:s3:::session-logs/web/a/session-0123456789abcdef0.log"
    account.allows("s3:PutObject", resource=sample)
    account.allows("kms:Decrypt", "kms:GenerateDataKey", resource=f"{KEY[:-1]}c")
    account.allows("logs:DescribeLogGroups", resource=f"{logs}*")
    stream = f"{group}:log-stream:session-0123456789abcdef0"
    account.allows(*IN_GROUP, resource=stream)

    run = verify(
        *("--role", "web-server", "--region", "eu-central-1", "--output", "json"),
        *("--key", KEY, "--log-bucket", "session-logs", "--log-prefix", "/web//a/"),
        *("--log-bucket-key", f"{KEY[:-1]}c", "--log-group", "/ssm/sessions"),
    )

    assert run.status == 0
    bucket = "arn:aws:s3:::session-logs"
    of_region = [*CHANNELS, REGISTER, "s3:GetEncryptionConfiguration", "logs:DescribeLogGroups"]
    instance = sample_instance("eu-central-1")
    assert account.asked == [
        ([*of_region, *IN_GROUP], ["*", instance, bucket, f"{logs}*", stream]),
        (["kms:Decrypt", "kms:GenerateDataKey"], [KEY, f"{KEY[:-1]}c"]),
        (["s3:PutObject"], [sample]),
    ]
    assert [(one["capability"], one["subject"]) for one in run.json["capabilities"]] == [
        ("reach", None),
        ("register", None),
        ("encrypt", KEY),
        ("log-to-s3", "arn:aws:s3:::session-logs/web/a"),
        ("log-to-cloudwatch", group),
    ]
    streams = run.capability("log-to-cloudwatch")["answers"][1]["resource"]
    assert streams.startswith(group)
    assert "*" not in streams


def test_logs_at_the_top_of_a_bucket(account: Account, verify: Callable[..., Run]) -> None:
    account.has_role()
    account.is_reachable()
    account.allows("s3:GetEncryptionConfiguration", resource="arn:aws:s3:::session-logs")
    sample = "arn:aws:s3:::session-logs/session-0123456789abcdef0.log"
    account.answers(result("s3:PutObject", "implicitDeny"), resource=sample)

    run = verify("--role", "web-server", "--log-bucket", "session-logs", "--output", "json")

    assert run.status == 1
    assert run.capability("log-to-s3")["subject"] == "arn:aws:s3:::session-logs"
    assert "log_prefix" not in run.capability("log-to-s3")["fix"][0]


def test_keys_of_several_regions(account: Account, verify: Callable[..., Run]) -> None:
    elsewhere = KEY.replace("eu-west-1", "us-west-2")
    account.has_role()
    account.is_reachable()
    account.allows("kms:Decrypt", resource=KEY)
    account.answers(result("kms:Decrypt", "implicitDeny"), resource=elsewhere)

    run = verify("--role", "web-server", "--key", KEY, "--key", elsewhere, "--output", "json")

    assert run.status == 1
    keys = [one for one in run.json["capabilities"] if one["capability"] == "encrypt"]
    assert [(one["subject"], one["allowed"]) for one in keys] == [(KEY, True), (elsewhere, False)]


def test_iam_is_told_what_a_session_has(account: Account, verify: Callable[..., Run]) -> None:
    def entry(key: str, value: str, kind: str = "string") -> dict[str, Any]:
        return {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": kind}

    tls = entry("aws:SecureTransport", "true", "boolean")
    here = entry("aws:RequestedRegion", "us-west-2")
    session = entry("kms:EncryptionContext:aws:ssm:SessionId", "session-0123456789abcdef0")
    target = entry("kms:EncryptionContext:aws:ssm:TargetId", "i-0123456789abcdef0")
    account.has_role()
    account.is_reachable(context=[tls, here], region="us-west-2")
    account.allows(
        "kms:Decrypt",
        resource=KEY,
        context=[tls, entry("aws:RequestedRegion", "eu-west-1"), session, target],
    )

    assert verify("--role", "web-server", "--region", "us-west-2", "--key", KEY).status == 0


def test_no_region_is_made_up(account: Account, verify: Callable[..., Run]) -> None:
    tls = {
        "ContextKeyName": "aws:SecureTransport",
        "ContextKeyValues": ["true"],
        "ContextKeyType": "boolean",
    }
    account.has_role()
    account.is_reachable(context=[tls])

    assert verify("--role", "web-server").status == 0


def test_alias_is_asked_as_the_key_it_stands_for(
    account: Account, verify: Callable[..., Run]
) -> None:
    account.kms.add_response(
        "describe_key", {"KeyMetadata": {"KeyId": KEY_ID, "Arn": KEY}}, {"KeyId": ALIAS}
    )
    account.has_role()
    account.is_reachable()
    context: list[Any] = []
    account.answers(
        result("kms:Decrypt"),
        resource=KEY,
        context=Anything(context),
    )

    run = verify("--role", "web-server", "--key", ALIAS, "--output", "json")

    assert run.status == 0
    assert account.kms_regions == ["eu-west-1"]
    assert run.capability("encrypt")["subject"] == ALIAS
    assert run.capability("encrypt")["answers"][0]["resource"] == KEY
    (aliases,) = (one for one in context if one["ContextKeyName"] == "kms:ResourceAliases")
    assert aliases["ContextKeyValues"] == ["alias/sessions"]
    assert aliases["ContextKeyType"] == "stringList"


class Anything:
    """Equal to all; keeps what it was compared to."""

    def __init__(self, seen: list[Any]) -> None:
        self._seen = seen

    def __eq__(self, other: object) -> bool:
        self._seen[:] = other if isinstance(other, list) else [other]
        return True

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "AccessDeniedException",
            f"they need kms:DescribeKey on the key behind {ALIAS}, unless you give the key's own",
        ),
        ("NotFoundException", f"there is no {ALIAS}"),
    ],
)
def test_alias_that_kms_does_not_tell(
    account: Account, verify: Callable[..., Run], code: str, says: str
) -> None:
    account.has_role()
    account.kms.add_client_error("describe_key", code)

    run = verify("--role", "web-server", "--key", ALIAS)

    assert (run.status, run.out) == (2, "")
    assert says in run.err


def test_partition_is_the_role_s(account: Account, verify: Callable[..., Run]) -> None:
    role = ROLE.replace("arn:aws:", "arn:aws-cn:")
    account.has_role(role)
    account.is_reachable(role=role, region="cn-north-1")
    bucket = "arn:aws-cn:s3:::session-logs"
    account.allows("s3:GetEncryptionConfiguration", resource=bucket, role=role)
    account.answers(result("s3:PutObject"), resource=ANY, role=role)
    for actions in (
        ("logs:DescribeLogGroups",),
        IN_GROUP,
    ):
        account.allows(*actions, resource=ANY, role=role)

    run = verify(
        *("--role", role, "--region", "cn-north-1", "--output", "json"),
        *("--log-bucket", "session-logs", "--log-group", "sessions"),
    )

    resources = [
        answer["resource"] for one in run.json["capabilities"] for answer in one["answers"]
    ]
    assert run.status == 0
    assert {resource.split(":")[1] for resource in resources if resource != "*"} == {"aws-cn"}


def test_bare_role(account: Account, verify: Callable[..., Run]) -> None:
    account.has_role()
    account.answers(*(result(action, "implicitDeny") for action in CHANNELS))
    account.answers(result(REGISTER, "implicitDeny"))

    run = verify("--role", "web-server", "--output", "json")

    assert run.status == 1
    assert run.json["ready"] is False
    assert run.capability("reach")["why"] == [
        f"{', '.join(CHANNELS)}: implicit deny: no policy of the role allows it"
    ]
    command, fix = run.capability("register")["fix"]
    assert command == (
        'npx aws-cdk deploy --app "python -m session_manager_permissions" -c role=web-server '
        "-c allow-registration=true"
    )
    assert "allow_registration=True" in fix
    assert "Default Host Management" in fix


@pytest.mark.parametrize(
    ("on_all", "on_instance", "is_allowed"),
    [
        ("allowed", "allowed", True),
        ("allowed", "implicitDeny", True),
        ("implicitDeny", "allowed", True),  # AWSEC2SqlHaInstancePolicy
        ("explicitDeny", "allowed", True),  # a Deny whose NotResource is the instances
        ("implicitDeny", "implicitDeny", False),
        ("explicitDeny", "explicitDeny", False),
        ("allowed", "explicitDeny", False),  # a Deny on the instances
    ],
)
def test_registration_is_allowed_on_everything_or_on_the_instance(
    account: Account,
    verify: Callable[..., Run],
    on_all: str,
    on_instance: str,
    *,
    is_allowed: bool,
) -> None:
    instance = sample_instance("eu-west-1")
    account.has_role()
    account.allows(*CHANNELS)
    account.answers(result(REGISTER, on_all))
    account.answers(result(REGISTER, on_instance), resource=instance)

    run = verify("--role", "web-server", "--region", "eu-west-1", "--output", "json")

    register = run.capability("register")
    assert (run.status, register["allowed"]) == ((0, True) if is_allowed else (1, False))
    assert [
        (answer["action"], answer["resource"], answer["decision"]) for answer in register["answers"]
    ] == [(REGISTER, "*", on_all), (REGISTER, instance, on_instance)]
    assert (register["why"] == register["fix"] == []) is is_allowed
    assert len(register["why"]) <= 1  # once, though it is denied twice
    assert register["notes"] == []


def test_registration_on_an_instance_takes_a_region(
    account: Account, verify: Callable[..., Run]
) -> None:
    account.has_role()
    account.allows(*CHANNELS)
    account.answers(result(REGISTER, "implicitDeny"))

    run = verify("--role", "web-server", "--output", "json")

    assert run.status == 1
    (note,) = run.capability("register")["notes"]
    assert note.endswith("not judged, as no region is known; give --region")


def test_denied_look_at_the_bucket_says_what_it_leads_to(
    account: Account, verify: Callable[..., Run]
) -> None:
    account.has_role()
    account.is_reachable()
    account.answers(result("s3:GetEncryptionConfiguration", "implicitDeny"), resource=ANY)
    account.allows("s3:PutObject", resource=ANY)

    run = verify("--role", "web-server", "--log-bucket", "Session_Logs", "--output", "json")

    assert run.status == 1
    assert run.capability("log-to-s3")["subject"] == "arn:aws:s3:::Session_Logs"
    (note,) = run.capability("log-to-s3")["notes"]
    assert note.endswith("refuses each session if the session preferences enforce encrypted logs")


def test_explicit_deny_names_its_policy(account: Account, verify: Callable[..., Run]) -> None:
    policy = "role_web-server_no-channels"
    account.has_role()
    account.answers(
        *(result(action) for action in CHANNELS[:3]),
        result(CHANNELS[3], "explicitDeny", MatchedStatements=matched(policy)),
    )
    account.allows(REGISTER)

    run = verify("--role", "web-server", "--output", "json")

    assert run.status == 1
    reach = run.capability("reach")
    assert reach["why"] == [f"ssmmessages:OpenDataChannel: explicit deny in {policy}"]
    assert reach["fix"] == [f"remove the action from the Deny in {policy}"]
    assert reach["answers"][3]["decision"] == "explicitDeny"
    assert reach["answers"][3]["matched_statements"] == [
        {"policy": policy, "type": "IAM Policy", "line": 3}
    ]


def test_explicit_deny_without_a_name(account: Account, verify: Callable[..., Run]) -> None:
    account.has_role()
    account.allows(*CHANNELS)
    account.answers(result(REGISTER, "explicitDeny"))

    register = verify("--role", "web-server", "--output", "json").capability("register")

    assert register["why"] == [f"{REGISTER}: explicit deny in a policy that IAM does not name"]
    assert "Deny" in register["fix"][0]


def test_statement_that_iam_hardly_describes(account: Account, verify: Callable[..., Run]) -> None:
    account.has_role()
    account.allows(*CHANNELS)
    account.answers(result(REGISTER, "explicitDeny", MatchedStatements=[{}]))

    register = verify("--role", "web-server", "--output", "json").capability("register")

    assert register["answers"][0]["matched_statements"] == [
        {"policy": "a policy without a name", "type": None, "line": None}
    ]


@pytest.mark.parametrize("on_the_resource", [True, False])
def test_boundary_denies(
    account: Account, verify: Callable[..., Run], *, on_the_resource: bool
) -> None:
    denied = {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}}
    if on_the_resource:
        found = of_resource(KEY, "implicitDeny", **denied)
    else:
        found = result("kms:Decrypt", "implicitDeny", **denied)
    account.has_role(boundary=BOUNDARY)
    account.is_reachable()
    account.answers(found, resource=KEY)

    run = verify("--role", "web-server", "--key", KEY, "--output", "json")

    assert run.status == 1
    assert run.json["permissions_boundary"] == BOUNDARY
    encrypt = run.capability("encrypt")
    boundary = f"the permissions boundary {BOUNDARY}"
    assert encrypt["why"] == [f"kms:Decrypt: implicit deny by {boundary}"]
    assert encrypt["fix"] == [f"allow the action in {boundary}"]
    assert encrypt["answers"][0]["allowed_by_permissions_boundary"] is False


def of_resource(resource: str, decision: str, **parts: object) -> dict[str, Any]:
    """IAM's answer where it says of the one resource more than of the action."""
    return result(
        "kms:Decrypt",
        decision,
        EvalResourceName="arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}",
        ResourceSpecificResults=[
            {"EvalResourceName": resource, "EvalResourceDecision": decision, **parts}
        ],
    )


def test_organization_denies(account: Account, verify: Callable[..., Run]) -> None:
    denied = {"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}
    account.has_role()
    account.answers(*(result(action, "explicitDeny", **denied) for action in CHANNELS))
    account.allows(REGISTER)

    run = verify("--role", "web-server", "--output", "json")

    assert run.status == 1
    reach = run.capability("reach")
    assert reach["why"] == [
        f"{', '.join(CHANNELS)}: explicit deny by the organization's service control policies"
    ]
    assert reach["fix"] == ["allow the action in the organization's service control policies"]
    assert reach["answers"][0]["allowed_by_organizations"] is False
    assert run.capability("register")["answers"][0]["allowed_by_organizations"] is None


def test_organization_denies_on_one_of_several_resources(
    account: Account, verify: Callable[..., Run]
) -> None:
    """IAM says it of the action as a whole, so each resource is asked about by itself."""
    instance = sample_instance("eu-west-1")
    account.has_role()
    account.allows(*CHANNELS)
    allowed = {"OrganizationsDecisionDetail": {"AllowedByOrganizations": True}}
    account.answers(result(REGISTER, "allowed", **allowed))
    denied = {"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}
    account.answers(result(REGISTER, "explicitDeny", **denied), resource=instance)

    run = verify("--role", "web-server", "--region", "eu-west-1", "--output", "json")

    assert run.status == 1
    answers = run.capability("register")["answers"]
    assert [answer["allowed_by_organizations"] for answer in answers] == [True, False]
    assert account.asked[1:] == [([REGISTER], ["*"]), ([REGISTER], [instance])]


def test_every_cause_is_named(account: Account, verify: Callable[..., Run]) -> None:
    account.has_role(boundary=BOUNDARY)
    account.allows(*CHANNELS)
    account.answers(
        result(
            REGISTER,
            "explicitDeny",
            MatchedStatements=matched("deny-all"),
            OrganizationsDecisionDetail={"AllowedByOrganizations": False},
            PermissionsBoundaryDecisionDetail={"AllowedByPermissionsBoundary": False},
        )
    )

    register = verify("--role", "web-server", "--output", "json").capability("register")

    (why,) = register["why"]
    assert re.search(r"in deny-all and .*service control policies and .*/boundary$", why)
    assert len(register["fix"]) == 3


def test_resource_s_answer_counts(account: Account, verify: Callable[..., Run]) -> None:
    found = of_resource(
        KEY,
        "explicitDeny",
        MatchedStatements=matched("deny-key"),
        MissingContextValues=["aws:SourceVpc"],
        PermissionsBoundaryDecisionDetail={"AllowedByPermissionsBoundary": True},
        EvalDecisionDetails={},
    )
    found |= {"EvalDecision": "allowed", "MissingContextValues": ["aws:SourceIp"]}
    account.has_role()
    account.is_reachable()
    account.answers(found, resource=KEY)

    run = verify("--role", "web-server", "--key", KEY, "--output", "json")

    assert run.status == 1
    (answer,) = run.capability("encrypt")["answers"]
    assert answer == {
        "action": "kms:Decrypt",
        "resource": KEY,
        "decision": "explicitDeny",
        "matched_statements": [{"policy": "deny-key", "type": "IAM Policy", "line": 3}],
        "allowed_by_permissions_boundary": True,
        "allowed_by_organizations": None,
        "decision_details": {},
        "missing_context_values": ["aws:SourceIp", "aws:SourceVpc"],
    }
    (note,) = run.capability("encrypt")["notes"]
    assert note == (
        "the role's policies have conditions on aws:SourceIp, aws:SourceVpc: not judged, as their "
        "values are not known"
    )


@pytest.mark.parametrize(
    ("details", "decision", "status"),
    [
        ({"IAM Policy": "allowed", "Resource Policy": "implicitDeny"}, "implicitDeny", 0),
        ({"IAM Policy": "implicitDeny", "Resource Policy": "implicitDeny"}, "implicitDeny", 1),
        ({"IAM Policy": "explicitDeny"}, "explicitDeny", 1),
        ({}, "implicitDeny", 1),
    ],
)
def test_key_of_another_account(
    account: Account,
    verify: Callable[..., Run],
    details: dict[str, str],
    decision: str,
    status: int,
) -> None:
    key = KEY.replace(ACCOUNT, OTHER_ACCOUNT)
    account.has_role()
    account.is_reachable()
    account.answers(of_resource(key, decision, EvalDecisionDetails=details), resource=key)

    run = verify("--role", "web-server", "--key", key, "--output", "json")

    assert run.status == status
    encrypt = run.capability("encrypt")
    assert encrypt["answers"][0]["decision_details"] == details
    assert encrypt["allowed"] is (status == 0)
    assert ("whose own policy must allow the action too" in "".join(encrypt["notes"])) is (
        status == 0
    )


def test_every_page_is_read(account: Account, verify: Callable[..., Run]) -> None:
    account.by_page = True
    account.has_role()
    account.answers(
        result(CHANNELS[0]), *(result(action, "implicitDeny") for action in CHANNELS[1:])
    )
    account.allows(REGISTER)

    run = verify("--role", "web-server", "--output", "json")

    assert run.status == 1
    assert [answer["decision"] for answer in run.capability("reach")["answers"]] == [
        "allowed",
        *["implicitDeny"] * 3,
    ]


def test_action_without_an_answer_is_not_taken_for_allowed(
    account: Account, verify: Callable[..., Run]
) -> None:
    account.has_role()
    account.allows(*CHANNELS[:3], REGISTER)

    run = verify("--role", "web-server")

    assert (run.status, run.out) == (2, "")
    assert "IAM gave no answer about ssmmessages:OpenDataChannel" in run.err


def test_throttling_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, verify: Callable[..., Run]
) -> None:
    pauses: list[float] = []
    sent: list[str] = []

    def answer(body: str) -> tuple[int, str]:
        sent.append(operation(body))
        return (400, THROTTLED) if len(sent) in {1, 2, 4} else answered(body)

    monkeypatch.setattr("botocore.endpoint.time.sleep", pauses.append)
    serve(monkeypatch, answer)

    run = verify("--role", "web-server", "--output", "json")

    assert run.status == 0
    assert sent == ["GetRole"] * 3 + ["SimulatePrincipalPolicy"] * 2
    assert len(pauses) == 3


def test_throttling_without_end_is_said(
    monkeypatch: pytest.MonkeyPatch, verify: Callable[..., Run]
) -> None:
    sent: list[str] = []

    def answer(body: str) -> tuple[int, str]:
        sent.append(operation(body))
        return 400, THROTTLED

    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    serve(monkeypatch, answer)

    run = verify("--role", "web-server")

    assert sent == ["GetRole"] * 5
    assert run.status == 2
    assert "iam:GetRole failed: Throttling: Rate exceeded" in run.err
    assert run.err.count("\n") == 1


def serve(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], tuple[int, str]]) -> None:
    """Answer each request to IAM by its body, in place of AWS and below botocore's retries."""
    made = Boto.client

    def send(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        status, text = answer(request.body)
        return AWSResponse(request.url, status, {}, Raw(text.encode()))

    def served(calls: Boto, service: str, region: str | None) -> BaseClient:
        client: Any = made(calls, service, region)
        client.meta.events.register("before-send.iam", send, unique_id="served")
        return client

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(Boto, "client", served)


def answered(body: str, denied: str | None = None) -> tuple[int, str]:
    """What IAM answers of a role that may do all but one thing."""
    if operation(body) == "GetRole":
        return 200, GET_ROLE
    actions = re.findall(r"ActionNames\.member\.\d+=([^&]+)", body.replace("%3A", ":"))
    members = "".join(
        f"<member><EvalActionName>{action}</EvalActionName><EvalDecision>"
        f"{'implicitDeny' if action == denied else 'allowed'}</EvalDecision></member>"
        for action in actions
    )
    text = (
        "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult>"
        f"<EvaluationResults>{members}</EvaluationResults><IsTruncated>false</IsTruncated>"
        "</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )
    return 200, text


def operation(body: str) -> str:
    found = re.search(r"Action=(\w+)", body)
    assert found
    return found[1]


GET_ROLE = (
    f"<GetRoleResponse><GetRoleResult><Role><Path>/</Path><Arn>{ROLE}</Arn>"
    "</Role></GetRoleResult></GetRoleResponse>"
)
THROTTLED = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code>"
    "<Message>Rate exceeded</Message></Error></ErrorResponse>"
)


class Raw:
    """A body as urllib3 gives it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._content


@pytest.mark.parametrize(
    ("operation", "needs"),
    [
        ("get_instance_profile", "iam:GetInstanceProfile on the instance profile web-server"),
        ("get_role", "iam:GetRole on the role web-server"),
        ("simulate_principal_policy", f"iam:SimulatePrincipalPolicy on {ROLE}"),
    ],
)
def test_permission_that_is_missing_is_named(
    account: Account, verify: Callable[..., Run], operation: str, needs: str
) -> None:
    if operation != "get_instance_profile":
        account.has_profile(ROLE)
    if operation == "simulate_principal_policy":
        account.has_role()
        account.refusal = "AccessDenied"
    else:
        account.iam.add_client_error(operation, "AccessDenied")

    run = verify("--instance-profile", "web-server")

    assert (run.status, run.out) == (2, "")
    assert run.err == (
        f"session-manager-permissions: the credentials may not ask: they need {needs}\n"
    )


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchEntity"])
def test_a_role_that_can_not_be_asked_about_takes_one_request(
    account: Account, verify: Callable[..., Run], code: str
) -> None:
    account.has_role()
    account.refusal = code

    run = verify(
        *("--role", "web-server", "--region", "us-west-2"),
        *("--key", KEY, "--log-bucket", "session-logs", "--log-bucket-key", KEY),
    )

    assert (run.status, run.out) == (2, "")
    assert len(account.asked) == 1


def test_no_such_profile_in_the_configuration(verify: Callable[..., Run]) -> None:
    run = verify("--role", "web-server", "--profile", "of-no-one")

    assert run.status == 2
    assert "of-no-one" in run.err
    assert run.err.count("\n") == 1


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_clients_are_where_the_key_is(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "us-west-2")

    calls = Boto(None, None)

    assert calls.region == "us-west-2"
    assert calls.client("kms", "eu-west-1").meta.region_name == "eu-west-1"
    assert Boto(None, "eu-west-3").region == "eu-west-3"


@pytest.mark.parametrize(
    ("module", "output", "status"),
    [("boto3", "table", 2), ("boto3", "json", 2), ("rich", "table", 2), ("rich", "json", 0)],
)
def test_extra_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
    verify: Callable[..., Run],
    module: str,
    output: str,
    status: int,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    if status == 0:
        serve(monkeypatch, answered)

    run = verify("--role", "web-server", "--output", output)

    assert run.status == status
    said = f"{module} is not installed: pip install 'session-manager-permissions[verify]'"
    assert (said in run.err) is (status == 2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            [],
            "one of the arguments --instance-profile --role --instance-id --print-permissions is",
        ),
        (["--role", "a", "--instance-profile", "b"], "not allowed with"),
        (["--role", "a/b"], "is not the name of a role or its ARN"),
        (
            ["--role", f"arn:aws:sts::{ACCOUNT}:assumed-role/a/b"],
            "is not the name of a role or its ARN",
        ),
        (
            ["--instance-profile", f"arn:aws:iam::{ACCOUNT}:instance-profile/a"],
            "not the name of an instance profile",
        ),
        (["--role", "a", "--key", KEY_ID], "not the ARN of a KMS key"),
        (["--role", "a", "--key", "alias/sessions"], "not the ARN of a KMS key"),
        (["--role", "a", "--key", f"{KEY[:-36]}*"], "not the ARN of a KMS key"),
        (
            ["--role", "a", "--log-bucket", "arn:aws:s3:::logs"],
            "not the name of an S3 bucket: 3 to 255",
        ),
        (
            ["--role", "a", "--log-bucket", "logs", "--log-prefix", "a*"],
            "a wildcard or a policy variable (* ? ${)",
        ),
        (
            ["--role", "a", "--log-bucket", "logs", "--log-prefix", "${aws:userid}"],
            "a wildcard or a policy variable (* ? ${)",
        ),
        (
            ["--role", "a", "--log-bucket", "logs", "--log-prefix", "秘密"],
            "without characters above U+00FF",
        ),
        (
            ["--role", "a", "--log-bucket", "logs", "--log-prefix", "a\x1b[31m"],
            "without control characters",
        ),
        (
            ["--role", "a", "--log-bucket", "logs", "--log-prefix", "a\x9b31m"],
            "without control characters",
        ),
        (["--role", "a", "--log-group", "logs:*"], "not the name of a log group"),
        (["--role", "a", "--log-prefix", "web"], "--log-prefix web has no bucket"),
        (["--role", "a", "--log-bucket-key", KEY], f"--log-bucket-key {KEY} has no bucket"),
        (["--role", "a", "--output", "yaml"], "invalid choice"),
    ],
)
def test_wrong_command_line(verify: Callable[..., Run], arguments: list[str], says: str) -> None:
    run = verify(*arguments)

    assert (run.status, run.out) == (2, "")
    assert says in run.err


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "verify"]])
def test_version_is_that_of_the_package(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)

    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.*)"$', project, re.MULTILINE)
    assert version
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"session-manager-permissions {version[1]}\n"


def test_command_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main([])

    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_help_has_examples_statuses_and_permissions(verify: Callable[..., Run]) -> None:
    run = verify("--help")

    assert run.status == 0
    for said in (
        "verify --instance-profile web-server",
        "verify --instance-id i-0123456789abcdef0 --operator caller",
        "0  ready",
        "1  not ready",
        "2  AWS could not be asked",
        "iam:SimulatePrincipalPolicy",
        "kms:DescribeKey",
    ):
        assert said in run.out
    assert max(len(line) for line in run.out.splitlines()) <= 100


def test_table(account: Account, verify: Callable[..., Run]) -> None:
    account.has_profile(ROLE)
    account.has_role()
    account.answers(
        *(result(action) for action in CHANNELS[:3]),
        result(CHANNELS[3], "explicitDeny", MatchedStatements=matched("role_web-server_deny")),
    )
    account.answers(result(REGISTER, "implicitDeny", MissingContextValues=["aws:SourceVpc"]))
    account.allows("kms:Decrypt", resource=KEY)

    run = verify("--instance-profile", "web-server", "--key", KEY)

    assert run.status == 1
    lines = run.out.splitlines()
    assert lines[0] == f"web-server: {ROLE}"
    fixes = [line for line in lines if line.startswith("- ")]
    assert fixes[0] == (
        "- reach Session Manager: remove the action from the Deny in role_web-server_deny"
    )
    assert all(line.isascii() for line in fixes)  # for consoles that can't show more
    assert max(len(line) for line in lines if line not in fixes) <= 100
    assert sum(line.startswith("├") for line in lines) == 2  # between three capabilities
    assert "\x1b" not in run.out
    for said in (
        "reach Session Manager",
        "register the instance",
        "encrypt sessions",
        "explicit deny in role_web-server_deny",
        "implicit deny: no policy of the role allows it",
        "allow_registration=True",
        "conditions on aws:SourceVpc: not judged, as their values",
        "not ready",
        "Not asked: log to S3, log to CloudWatch.",
        "Not judged:",
    ):
        assert said in run.words


def test_standard_output_may_be_a_text_in_memory(account: Account) -> None:
    account.has_role()
    account.is_reachable()

    with redirect_stdout(io.StringIO()) as out:
        status = command.main(["verify", "--role", "web-server"])

    assert status == 0
    assert "\nready\n" in out.getvalue()


def test_table_has_names_as_they_are_and_no_fix_is_broken(
    monkeypatch: pytest.MonkeyPatch, verify: Callable[..., Run]
) -> None:
    serve(monkeypatch, lambda body: answered(body, "s3:PutObject"))
    prefix = "[bold]:key:[/bold]" * 9

    run = verify("--role", "web-server", "--log-bucket", "logs", "--log-prefix", prefix)

    command, fix = (one for one in run.out.splitlines() if one.startswith("- log to S3"))
    assert f"log-prefix={prefix}" in shlex.split(command)
    assert fix.endswith(f'log_prefix="{prefix}"')


def test_table_of_a_role_that_is_ready_with_all(
    account: Account, verify: Callable[..., Run]
) -> None:
    account.has_role()
    account.is_reachable(region="eu-west-1")
    account.allows("kms:Decrypt", resource=KEY)
    for actions in (
        ("s3:GetEncryptionConfiguration",),
        ("s3:PutObject",),
        ("logs:DescribeLogGroups",),
        IN_GROUP,
    ):
        account.allows(*actions, resource=ANY)

    run = verify(
        *("--role", "web-server", "--region", "eu-west-1", "--key", KEY),
        *("--log-bucket", "session-logs", "--log-group", "/ssm/sessions"),
    )

    assert run.status == 0
    assert run.out.splitlines()[0] == ROLE
    assert "denied" not in run.out
    assert "Not asked" not in run.out
    assert "\nready\n" in run.out


@pytest.mark.parametrize(
    ("arguments", "denied"),
    [
        ([], REGISTER),
        (["--key", KEY], "kms:Decrypt"),
        (["--log-bucket", "session-logs", "--log-prefix", "web"], "s3:PutObject"),
        (["--log-bucket", "session-logs", "--log-bucket-key", KEY], "kms:GenerateDataKey"),
        (["--log-group", "sessions"], "logs:PutLogEvents"),
    ],
)
def test_fix_is_an_option_of_the_construct(
    monkeypatch: pytest.MonkeyPatch, verify: Callable[..., Run], arguments: list[str], denied: str
) -> None:
    serve(monkeypatch, lambda body: answered(body, denied))

    run = verify("--role", "web-server", "--region", "eu-west-1", "--output", "json", *arguments)

    assert run.status == 1
    fixes = [one["fix"] for one in run.json["capabilities"] if one["fix"]]
    assert fixes
    for without_code, fix in fixes:
        assert without_code.startswith("npx aws-cdk deploy ")
        options = re.findall(r"(?:^give SessionManagerPermissions |\), )(\w+)=", fix)
        assert options
        assert set(options) <= SessionManagerOptions.__optional_keys__
        arguments_given = fix.partition("SessionManagerPermissions ")[2].partition("; ")[0]
        assert ast.parse(f"call({arguments_given})")


@pytest.mark.parametrize("prefix", ["web", 'a"b', "a'b", "a\\n", "a\\", "é", "\xa0"])
def test_fix_has_the_prefix_as_python_reads_it(
    monkeypatch: pytest.MonkeyPatch, verify: Callable[..., Run], prefix: str
) -> None:
    serve(monkeypatch, lambda body: answered(body, "s3:PutObject"))

    run = verify(
        *("--role", "web-server", "--log-bucket", "logs", "--log-prefix", prefix),
        *("--output", "json"),
    )

    command, fix = run.capability("log-to-s3")["fix"]
    assert f"log-prefix={prefix}" in shlex.split(command)
    options = fix.partition("SessionManagerPermissions ")[2]
    call = ast.parse(f"call({options})", mode="eval").body
    assert isinstance(call, ast.Call)
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    assert ast.literal_eval(given["log_prefix"]) == prefix


def fields(value: object, path: str = "") -> set[str]:
    """The paths of all fields, as docs/verify.md writes them."""
    if isinstance(value, dict) and not path.endswith("decision_details"):
        found = {
            name
            for key, inner in value.items()
            for name in fields(inner, f"{path}.{key}" if path else key)
        }
        return found | ({path} if path else set())
    if isinstance(value, list):
        return {f"{path}[]"}.union(*(fields(one, f"{path}[]") for one in value))
    return {path}


def documented(*, of_node: bool = False) -> dict[str, list[str]]:
    """The fields of each answer, or those that the answer about a node has besides."""
    text = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
    tables = re.findall(r"^\| field \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert len(tables) == 2
    rows = tables[of_node].splitlines()
    table = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    return {name.strip("`"): kind.split(" or ") for name, kind, _ in table}


def test_json_has_the_documented_shape(account: Account, verify: Callable[..., Run]) -> None:
    account.has_role(boundary=BOUNDARY)
    account.answers(
        *(
            result(
                action,
                "explicitDeny",
                MatchedStatements=matched("deny"),
                MissingContextValues=["aws:SourceVpc"],
                EvalDecisionDetails={"IAM Policy": "explicitDeny"},
            )
            for action in CHANNELS
        )
    )
    account.allows(REGISTER)

    run = verify("--role", "web-server", "--output", "json")

    assert run.out == f"{json.dumps(run.json, indent=2)}\n"
    assert fields(run.json) == documented().keys()
    assert run.json["version"] == 1
    for path, kinds in documented().items():
        for value in values(run.json, path):
            assert KINDS[type(value)] in kinds, path


def values(value: dict[str, Any], path: str) -> list[Any]:
    """What is at a path; of a list, its items."""
    found: list[Any] = [value]
    for part in path.split("."):
        name = part.removesuffix("[]")
        found = [one[name] for one in found]
        if part != name:
            found = [item for items in found for item in items]
    return found


KINDS: dict[type, str] = {
    bool: "boolean",
    dict: "object",
    int: "number",
    str: "string",
    type(None): "null",
}


def test_documented_actions_are_those_that_are_asked(
    account: Account, verify: Callable[..., Run]
) -> None:
    text = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `([\w-]+)` \| (?:always|for|with)[^|]*\| ([^|]+) \|", text, re.MULTILINE
    )
    account.has_role()
    account.is_reachable(region="eu-west-1")
    account.allows("kms:Decrypt", resource=KEY)
    account.allows("s3:GetEncryptionConfiguration", resource=ANY)
    account.allows("s3:PutObject", resource=ANY)
    account.allows("kms:Decrypt", "kms:GenerateDataKey", resource=KEY)
    account.allows("logs:DescribeLogGroups", resource=ANY)
    account.allows(*IN_GROUP, resource=ANY)

    run = verify(
        *("--role", "web-server", "--region", "eu-west-1", "--output", "json", "--key", KEY),
        *("--log-bucket", "logs", "--log-bucket-key", KEY, "--log-group", "sessions"),
    )

    assert [
        (one["capability"], [*dict.fromkeys(answer["action"] for answer in one["answers"])])
        for one in run.json["capabilities"]
    ] == [(name, re.findall(r"`(\w+:\w+)`", actions)) for name, actions in rows]


@pytest.mark.parametrize(
    ("trusts", "asked", "status"),
    [
        ("ec2.amazonaws.com", ("--role", "web-server"), 0),
        ("ssm.amazonaws.com", ("--role", "web-server"), 0),
        ("lambda.amazonaws.com", ("--role", "web-server"), 1),
        ("ssm.amazonaws.com", ("--instance-profile", "web-server"), 1),
    ],
)
def test_a_role_has_to_be_one_that_instances_can_have(
    trusts: str,
    asked: tuple[str, ...],
    status: int,
    account: Account,
    verify: Callable[..., Run],
) -> None:
    account.trusts = trusts
    if "--instance-profile" in asked:
        account.has_profile(ROLE)
    account.has_role()
    account.allows(*CHANNELS, REGISTER)

    run = verify(*asked, "--output", "json")

    assert (run.status, run.json["ready"]) == (status, status == 0)
    assert (run.json["trust"]["verdict"] == "allowed") is (status == 0)
    assert bool(run.json["trust"]["fix"]) is (status == 1)


def test_a_role_that_no_instance_can_have_is_in_the_table(
    account: Account, verify: Callable[..., Run]
) -> None:
    account.trusts = "lambda.amazonaws.com"
    account.has_role()
    account.allows(*CHANNELS, REGISTER)

    run = verify("--role", "web-server")

    assert run.status == 1
    assert "be assumed denied" in run.words
    assert "\nnot ready\n- be assumed: " in run.out


def test_a_condition_that_the_agent_may_meet_is_no_denial(
    account: Account, verify: Callable[..., Run]
) -> None:
    account.has_role()
    account.answers(
        *(
            result(action, "implicitDeny", MissingContextValues=["aws:SourceVpc"])
            for action in CHANNELS
        )
    )
    account.allows(REGISTER)

    run = verify("--role", "web-server")

    assert run.status == 1
    assert "it can't be known whether it is ready" in run.out
    assert "denied" not in run.out
