"""What operators may do, asked of IAM: each kind of grant is deployed on a local AWS.

MiniStack's simulator drops `ContextEntries` and takes `${aws:userid}` for text, and its Systems
Manager knows no sessions; a test here expects each, so that a version that does better is noticed.
So what may be asked is asked of the evaluator behind its simulator, with the policies that were
deployed and those values; the simulator itself is asked where no value decides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from botocore.exceptions import ClientError
from local_aws import REGION, LocalAws, create_key
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from . import stacks
from .operators_app import synthesize

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.deploy

ALIAS: Final = "alias/operators"
ACCOUNT: Final = "000000000000"
TEAMS: Final = (
    "tagged",
    "two-tags",
    "arn",
    "arn-and-tag",
    "all",
    "ssh",
    "ports",
    "remote-ports",
    "commands",
    "desktop",
    "console",
    "key",
    "alias",
    "sessions-only",
    "two-documents",
)
OPERATORS: Final = (*TEAMS, "user", "role")
TRUST: Final = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}


def arn(service: str, resource: str, *, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:aws:{service}:{region}:{account}:{resource}"


INSTANCE: Final = arn("ec2", "instance/i-0123456789abcdef0")
OTHER_INSTANCE: Final = arn("ec2", "instance/i-0fedcba9876543210")
DOCUMENT: Final = arn("ssm", "document/SSM-SessionManagerRunShell")
OTHER_DOCUMENT: Final = arn("ssm", "document/Others-Sessions")
SSH: Final = arn("ssm", "document/AWS-StartSSHSession", account="")
PORT: Final = arn("ssm", "document/AWS-StartPortForwardingSession", account="")
REMOTE_PORT: Final = arn("ssm", "document/AWS-StartPortForwardingSessionToRemoteHost", account="")
COMMAND: Final = arn("ssm", "document/AWS-StartInteractiveCommand", account="")
SILENT_COMMAND: Final = arn("ssm", "document/AWS-StartNonInteractiveCommand", account="")
CHECKS_DOCUMENT: Final = "ssm:SessionDocumentAccessCheck"
WEB: Final = {"ssm:resourceTag/team": "web"}
SHOP: Final = {"ssm:resourceTag/team": "shop"}
TEST: Final = {"ssm:resourceTag/stage": "test"}


@dataclass(frozen=True)
class Operator:
    """A person or a machine, with the policies that were deployed."""

    aws: LocalAws
    arn: str
    user_id: str
    policies: tuple[str, ...]

    def may(self, action: str, resource: str, context: Mapping[str, object] | None = None) -> bool:
        """What the evaluator says, given the context."""
        request = EvalContext(
            principal_arn=self.arn,
            principal_type="User",
            principal_account=ACCOUNT,
            action=action,
            resource_arn=resource,
            region=REGION,
            service_context={name.lower(): value for name, value in (context or {}).items()},
        )
        known = [text.replace("${aws:userid}", self.user_id) for text in self.policies]
        decision = evaluate(request, [parse_policy_document(text) for text in known]).decision
        return bool(decision == "Allow")

    def simulate(self, action: str, resource: str, **context: str) -> bool:
        """What the simulator says."""
        (result,) = self.aws.client("iam").simulate_principal_policy(
            PolicySourceArn=self.arn,
            ActionNames=[action],
            ResourceArns=[resource],
            ContextEntries=[
                {"ContextKeyName": name, "ContextKeyValues": [value], "ContextKeyType": "string"}
                for name, value in context.items()
            ],
        )["EvaluationResults"]
        return bool(result["EvalDecision"] == "allowed")

    @property
    def session(self) -> str:
        """The ARN of a session of the operator, which has the name of the user or role session."""
        _, _, session_name = self.user_id.partition(":")
        return arn("ssm", f"session/{session_name or self.arn.partition('/')[2]}-0a1b2c3d4e5f67890")


class Keys(NamedTuple):
    session: str
    other: str


@pytest.fixture(scope="session")
def keys(aws: LocalAws) -> Keys:
    found = Keys(create_key(aws), create_key(aws))
    aws.client("kms").create_alias(AliasName=ALIAS, TargetKeyId=found.session)
    return found


@pytest.fixture(scope="session")
def operators(
    aws: LocalAws, keys: Keys, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Operator]:
    """Each group's one user, the user and the role, after the deployment."""
    iam = aws.client("iam")
    for name in TEAMS:
        iam.create_group(GroupName=f"team-{name}")
        iam.create_user(UserName=f"user-of-{name}")
        iam.add_user_to_group(GroupName=f"team-{name}", UserName=f"user-of-{name}")
    iam.create_user(UserName="user-itself")
    trust = json.dumps({"Statement": [TRUST | {"Action": "sts:AssumeRole"}]})
    iam.create_role(RoleName="role-itself", AssumeRolePolicyDocument=trust)
    folder = tmp_path_factory.mktemp("operators")
    synthesize(
        folder, account=ACCOUNT, region=REGION, instance=INSTANCE, key=keys.session, alias=ALIAS
    )
    stacks.put(aws, folder)

    def policies(kind: str, name: str) -> tuple[str, ...]:
        named: dict[str, Any] = {f"{kind.title()}Name": name}
        return tuple(
            json.dumps(
                getattr(iam, f"get_{kind}_policy")(PolicyName=policy, **named)["PolicyDocument"]
            )
            for policy in getattr(iam, f"list_{kind}_policies")(**named)["PolicyNames"]
        )

    def user(name: str, found: tuple[str, ...]) -> Operator:
        made = iam.get_user(UserName=name)["User"]
        return Operator(aws, made["Arn"], made["UserId"], found)

    role = iam.get_role(RoleName="role-itself")["Role"]
    return {
        **{name: user(f"user-of-{name}", policies("group", f"team-{name}")) for name in TEAMS},
        "user": user("user-itself", policies("user", "user-itself")),
        "role": Operator(
            aws, role["Arn"], f"{role['RoleId']}:bot", policies("role", "role-itself")
        ),
    }


def test_each_grant_is_one_inline_policy(operators: dict[str, Operator]) -> None:
    assert {name: len(found.policies) for name, found in operators.items()} == dict.fromkeys(
        OPERATORS, 1
    )


# which instances and documents: a table of requests, and who may make each

Request = tuple[str, str, dict[str, str]]
START: Final = "ssm:StartSession"
REQUESTS: Final[dict[str, Request]] = {
    "the instance, of web": (START, INSTANCE, WEB),
    "the instance, of web and test": (START, INSTANCE, WEB | TEST),
    "the instance, of shop": (START, INSTANCE, SHOP),
    "the instance, untagged": (START, INSTANCE, {}),
    "another instance, of web": (START, OTHER_INSTANCE, WEB),
    "another instance, of shop and test": (START, OTHER_INSTANCE, SHOP | TEST),
    "another instance, untagged": (START, OTHER_INSTANCE, {}),
    "an instance of another region": (
        START,
        arn("ec2", "instance/i-0123456789abcdef0", region="eu-west-3"),
        WEB | TEST,
    ),
    "an instance of another account": (
        START,
        arn("ec2", "instance/i-0123456789abcdef0", account="444455556666"),
        WEB | TEST,
    ),
    "an instance on premises": (START, arn("ssm", "managed-instance/mi-0123"), WEB | TEST),
    "the document": (START, DOCUMENT, {}),
    "another document": (START, OTHER_DOCUMENT, {}),
    "the document, by tag": (START, DOCUMENT, WEB | TEST),
    "SSH": (START, SSH, {}),
    "SSH by a document of one's own": (START, arn("ssm", "document/AWS-StartSSHSession"), {}),
    "a port": (START, PORT, {}),
    "a port of another host": (START, REMOTE_PORT, {}),
    "a command": (START, COMMAND, {}),
    "a command without a terminal": (START, SILENT_COMMAND, {}),
    "a desktop": ("ssm-guiconnect:StartConnection", "*", {}),
    "the desktop's picture": ("ssm-guiconnect:GetConnection", "*", {}),
    "the desktop's end": ("ssm-guiconnect:CancelConnection", "*", {}),
    "the recorded desktops": ("ssm-guiconnect:ListConnections", "*", {}),
    "the list of managed nodes": ("ssm:DescribeInstanceInformation", "*", {}),
    "the list of sessions": ("ssm:DescribeSessions", "*", {}),
    "the instances' connections": ("ssm:GetConnectionStatus", "*", {}),
    "the instances' properties": ("ssm:DescribeInstanceProperties", "*", {}),
    "the list of instances": ("ec2:DescribeInstances", "*", {}),
    "a command without a session": ("ssm:SendCommand", INSTANCE, WEB),
    "the document's content": ("ssm:GetDocument", DOCUMENT, {}),
    "a change of the document": ("ssm:UpdateDocument", DOCUMENT, {}),
    "a stop of the instance": ("ec2:StopInstances", INSTANCE, WEB),
}
OWN_DOCUMENT: Final = {"the document", "the document, by tag"}
OF_WEB: Final = {
    "the instance, of web",
    "the instance, of web and test",
    "another instance, of web",
    *OWN_DOCUMENT,
}
ANY_INSTANCE: Final = {
    *OF_WEB,
    "the instance, of shop",
    "the instance, untagged",
    "another instance, of shop and test",
    "another instance, untagged",
}
LISTS: Final = {
    "the list of sessions",
    "the instances' connections",
    "the instances' properties",
    "the list of managed nodes",
    "the list of instances",
}
ALLOWED: Final[dict[str, set[str]]] = {
    "tagged": OF_WEB,
    "two-tags": {
        "the instance, of web and test",
        "another instance, of shop and test",
        *OWN_DOCUMENT,
    },
    "arn": {
        "the instance, of web",
        "the instance, of web and test",
        "the instance, of shop",
        "the instance, untagged",
        *OWN_DOCUMENT,
    },
    "arn-and-tag": {"the instance, of web", "the instance, of web and test", *OWN_DOCUMENT},
    "all": ANY_INSTANCE,
    "ssh": OF_WEB | {"SSH"},
    "ports": OF_WEB | {"a port"},
    "remote-ports": OF_WEB | {"a port of another host"},
    "commands": OF_WEB | {"a command", "a command without a terminal"},
    "desktop": OF_WEB | {"a port", "a desktop", "the desktop's picture", "the desktop's end"},
    "console": OF_WEB | LISTS,
    "key": OF_WEB,
    "alias": OF_WEB,
    "sessions-only": OF_WEB,
    "two-documents": OF_WEB
    | {"another document", "the instance, of shop", "another instance, of shop and test"},
    "user": OF_WEB,
    "role": OF_WEB,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_may_do_what_was_granted_and_nothing_else_by_the_evaluator_with_tags(
    operators: dict[str, Operator], name: str
) -> None:
    found = {what for what, request in REQUESTS.items() if operators[name].may(*request)}

    assert found == ALLOWED[name]


@pytest.mark.parametrize("name", ["desktop", "console", "role"])
def test_the_simulator_agrees_where_no_tag_decides(
    operators: dict[str, Operator], name: str
) -> None:
    asked = {what: request[:2] for what, request in REQUESTS.items() if not request[2]}

    found = {what for what, request in asked.items() if operators[name].simulate(*request)}

    assert found == ALLOWED[name] & asked.keys()


@pytest.mark.parametrize("name", OPERATORS)
def test_a_client_that_skips_the_check_of_the_document_is_denied_by_the_evaluator(
    operators: dict[str, Operator], name: str
) -> None:
    for resource in (INSTANCE, DOCUMENT):
        for checks, allowed in (("true", True), ("false", False)):
            context = WEB | TEST | {CHECKS_DOCUMENT: checks}
            assert operators[name].may(START, resource, context) == allowed


# one's own sessions

ON_OWN_SESSIONS: Final = ("ssm:TerminateSession", "ssm:ResumeSession")
CHANNEL: Final = "ssmmessages:OpenDataChannel"


def started_by(user_id: str) -> list[dict[str, str]]:
    """The session's tag as AWS documents it, the id alone or with the session's own behind it."""
    key = "ssm:resourceTag/aws:ssmmessages:session-id"
    return [{key: user_id}, {key: f"{user_id}-0a1b2c3d4e5f67890"}]


@pytest.mark.parametrize("action", ON_OWN_SESSIONS)
@pytest.mark.parametrize("name", OPERATORS)
def test_ones_own_session_is_ones_own_and_anothers_is_not_by_the_evaluator_with_its_tag(
    operators: dict[str, Operator], name: str, action: str
) -> None:
    operator = operators[name]

    for other in operators.values():
        for tag in started_by(other.user_id):
            assert operator.may(action, other.session, tag) == (other is operator)
            # The tag alone decides, as a session has no more of its starter in its ARN than a name.
            assert operator.may(action, operator.session, tag) == (other is operator)
    for user_id in (f"X{operator.user_id}", operator.user_id.swapcase(), operator.user_id[:-1], ""):
        for tag in started_by(user_id):
            assert not operator.may(action, operator.session, tag)
    assert not operator.may(action, operator.session)
    assert not operator.may(action, "*", started_by(operator.user_id)[0])
    assert not operator.may(action, INSTANCE, started_by(operator.user_id)[0])


@pytest.mark.parametrize("action", ON_OWN_SESSIONS)
def test_a_session_name_reaches_of_one_role_no_other_name_but_itself_with_a_hyphen_behind_it(
    operators: dict[str, Operator], action: str
) -> None:
    """The hyphen as documented."""
    bot = operators["role"]
    role_id, _, name = bot.user_id.partition(":")
    others = {f"{name}-any": True, f"{name}any": False, name[:-1]: False, f"x{name}": False}

    for other, allowed in others.items():
        for tag in started_by(f"{role_id}:{other}"):
            assert bot.may(action, bot.session, tag) == allowed
    for tag in started_by(f"AROAOTHER:{name}"):
        assert not bot.may(action, bot.session, tag)


@pytest.mark.parametrize("name", OPERATORS)
def test_a_channel_is_opened_whatever_the_sessions_tag(
    operators: dict[str, Operator], name: str
) -> None:
    """The request has no tags, so the simulator can judge it too."""
    operator = operators[name]

    assert operator.may(CHANNEL, operator.session)
    assert operator.simulate(CHANNEL, operator.session)
    for action in (CHANNEL, "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel"):
        assert not operator.simulate(action, INSTANCE)
    assert not operator.simulate("ssmmessages:CreateDataChannel", operator.session)


# the key


def may_make_data_key(aws: LocalAws, user_name: str, key: str) -> bool:
    """What KMS answers the user, with credentials of the user's own."""
    made = aws.client("iam").create_access_key(UserName=user_name)["AccessKey"]
    try:
        aws.client("kms", made).generate_data_key(KeyId=key, KeySpec="AES_256")
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return False
    return True


@pytest.mark.parametrize("name", ["key", "tagged", "all"])
def test_a_data_key_of_the_sessions_key_is_enforced(
    operators: dict[str, Operator], aws: LocalAws, keys: Keys, name: str
) -> None:
    assert operators[name]
    assert may_make_data_key(aws, f"user-of-{name}", keys.session) == (name == "key")
    assert not may_make_data_key(aws, f"user-of-{name}", keys.other)


def test_a_data_key_of_the_key_behind_the_alias_by_the_evaluator_with_its_aliases(
    operators: dict[str, Operator], keys: Keys
) -> None:
    """MiniStack's KMS does not tell IAM of aliases."""
    operator = operators["alias"]

    for aliases, allowed in (([ALIAS], True), (["alias/old", ALIAS], True), (["alias/old"], False)):
        context = {"kms:ResourceAliases": aliases}
        assert operator.may("kms:GenerateDataKey", keys.other, context) == allowed
        assert not operator.may("kms:Decrypt", keys.other, context)
    assert not operator.may("kms:GenerateDataKey", keys.session)


def test_a_data_key_for_session_data_only_by_the_evaluator_with_its_encryption_context(
    operators: dict[str, Operator], keys: Keys
) -> None:
    """MiniStack's KMS does not tell IAM of the encryption context."""
    operator = operators["sessions-only"]
    session = {"kms:EncryptionContext:aws:ssm:SessionId": "user-of-key-0a1b2c3d4e5f67890"}
    target = {"kms:EncryptionContext:aws:ssm:TargetId": "i-0123456789abcdef0"}

    for context, allowed in (
        (session | target, True),
        (session, True),
        (target, False),
        ({}, False),
    ):
        assert operator.may("kms:GenerateDataKey", keys.session, context) == allowed
        assert not operator.may("kms:GenerateDataKey", keys.other, context)


# what the local AWS does not do


def test_simulator_drops_the_context_and_takes_a_policy_variable_for_text(
    operators: dict[str, Operator],
) -> None:
    operator = operators["tagged"]

    assert not operator.simulate(START, INSTANCE, **WEB)
    (tag, _) = started_by(operator.user_id)
    assert not operator.simulate("ssm:TerminateSession", operator.session, **tag)


def test_systems_manager_here_knows_no_sessions(
    operators: dict[str, Operator], aws: LocalAws
) -> None:
    assert operators
    with pytest.raises(ClientError) as raised:
        aws.client("ssm").start_session(Target="i-0123456789abcdef0")
    assert raised.value.response["Error"]["Code"] == "InvalidAction"


def test_alias_is_not_told_to_iam(
    operators: dict[str, Operator], aws: LocalAws, keys: Keys
) -> None:
    assert operators
    assert not may_make_data_key(aws, "user-of-alias", keys.session)
