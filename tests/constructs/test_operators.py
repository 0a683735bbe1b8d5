"""`grant_start_session`: what an operator's policy holds, who can be granted to, and who not."""

from __future__ import annotations

import enum
import json
import re
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from hypothesis import given, settings
from hypothesis import strategies as st
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from session_manager_permissions import SessionPreferences
from tests.builders import ROLES_OF_OTHERS, as_list, deployed
from tests.cfn_lint import lint
from tests.conftest import (
    ACCOUNT,
    HERE,
    OTHER_ACCOUNT,
    OTHER_REGION,
    REGION,
    MakeApp,
    MakeStack,
    answered,
    app_of,
    crosses,
    customized,
    existing_key,
    existing_role,
    l1_role,
    owned_role,
    policy,
    reported,
    resources,
    role_arn,
    template,
    template_text,
)
from tests.preference_options import ALIAS, KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    GranteeOf = Callable[[cdk.Stack], iam.IGrantable]

KINDS: Final = ("made", "exists")
DEFAULT: Final = "SSM-SessionManagerRunShell"
MINIMIZE: Final = "@aws-cdk/aws-iam:minimizePolicies"
INSTANCE: Final = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0123456789abcdef0"
OTHER_INSTANCE: Final = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0fedcba9876543210"
MANAGED_INSTANCE: Final = f"arn:aws:ssm:{REGION}:{ACCOUNT}:managed-instance/mi-0123456789abcdef0"
OPERATORS: Final = iam.AccountPrincipal(ACCOUNT)
SSH: Final = "AWS-StartSSHSession"
COMMANDS: Final = ["AWS-StartInteractiveCommand", "AWS-StartNonInteractiveCommand"]
PORT: Final = "AWS-StartPortForwardingSession"
REMOTE_PORT: Final = "AWS-StartPortForwardingSessionToRemoteHost"
EVERY_OPTION: Final[dict[str, Any]] = {
    "allow_ssh": True,
    "allow_port_forwarding": True,
    "allow_remote_port_forwarding": True,
    "allow_interactive_commands": True,
    "allow_remote_desktop": True,
    "allow_console": True,
    "decrypt_sessions_only": True,
}
SESSION_KINDS: Final = ("_ssh", "_forwarding", "_commands", "_desktop")
"""How the options end that allow another kind of session."""
CHECK_DOCUMENT: Final = {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}


def preferences(
    stack: cdk.Stack,
    kind: str = "exists",
    construct_id: str = "Preferences",
    **arguments: Any,  # noqa: ANN401
) -> SessionPreferences:
    if kind == "made":
        return SessionPreferences(stack, construct_id, **arguments)
    return SessionPreferences.from_document_name(stack, construct_id, **arguments)


def group(stack: cdk.Stack) -> iam.Group:
    return iam.Group(stack, "Operators")


def managed_policy(stack: cdk.Stack) -> iam.ManagedPolicy:
    return iam.ManagedPolicy(stack, "Managed")


def grant(stack: cdk.Stack, grantee: iam.IGrantable, **access: Any) -> iam.Grant:  # noqa: ANN401
    """A grant on the account's default document; on every instance where nothing else is said."""
    chosen = access or {"all_instances": True}
    return preferences(stack).grant_start_session(grantee, **chosen)


def statements(stack: cdk.Stack) -> list[dict[str, Any]]:
    """Those of the one policy in the stack's template, inline or managed."""
    ((body),) = [
        body
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        for body in resources(stack, kind).values()
    ]
    found: list[dict[str, Any]] = body["Properties"]["PolicyDocument"]["Statement"]
    return found


def allowing(found: list[dict[str, Any]], action: str) -> list[dict[str, Any]]:
    return [statement for statement in found if action in as_list(statement["Action"])]


def by_sid(stack: cdk.Stack) -> dict[str, dict[str, Any]]:
    """The statements with a Sid, without the digits at its end."""
    with_sid = [statement for statement in statements(stack) if "Sid" in statement]
    named = {re.sub("[0-9a-f]{8}$", "", found["Sid"]): found for found in with_sid}
    assert len(named) == len(with_sid)
    return named


def arn(service: str, resource: str, *, region: str = REGION, account: str = ACCOUNT) -> Any:  # noqa: ANN401
    """An ARN in whatever partition the stack is deployed to."""
    place = f":{service}:{region}:{account}:{resource}"
    return {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, place]]}


ANY_INSTANCE: Final = arn("ec2", "instance/*")
ANY_SESSION: Final = arn("ssm", "session/*", region="*", account="*")
DOCUMENT: Final = arn("ssm", f"document/{DEFAULT}")


def aws_document(name: str) -> Any:  # noqa: ANN401
    return arn("ssm", f"document/{name}", account="")


DESKTOP: Final = [
    "ssm-guiconnect:StartConnection",
    "ssm-guiconnect:GetConnection",
    "ssm-guiconnect:CancelConnection",
]
LISTS: Final = [
    "ssm:DescribeSessions",
    "ssm:GetConnectionStatus",
    "ssm:DescribeInstanceProperties",
    "ssm:DescribeInstanceInformation",
    "ec2:DescribeInstances",
]


# what the policy holds


def test_the_least_is_the_session_on_instances_and_document_and_ones_own_sessions(
    stack_here: cdk.Stack,
) -> None:
    grant(stack_here, group(stack_here), instance_tags={"team": "web"})

    instances, document, own_sessions, channel = statements(stack_here)
    digits = instances["Sid"].removeprefix("StartSessionInstances")
    assert re.fullmatch("[0-9a-f]{8}", digits)
    assert instances == {
        "Sid": f"StartSessionInstances{digits}",
        "Effect": "Allow",
        "Action": "ssm:StartSession",
        "Resource": ANY_INSTANCE,
        "Condition": {**CHECK_DOCUMENT, "StringEquals": {"ssm:resourceTag/team": "web"}},
    }
    assert document == {
        "Sid": f"StartSessionDocument{digits}",
        "Effect": "Allow",
        "Action": "ssm:StartSession",
        "Resource": DOCUMENT,
        "Condition": CHECK_DOCUMENT,
    }
    assert own_sessions == {
        "Effect": "Allow",
        "Action": ["ssm:TerminateSession", "ssm:ResumeSession"],
        "Resource": ANY_SESSION,
        "Condition": {
            "StringLike": {
                "ssm:resourceTag/aws:ssmmessages:session-id": ["${aws:userid}", "${aws:userid}-*"]
            }
        },
    }
    assert channel == {
        "Effect": "Allow",
        "Action": "ssmmessages:OpenDataChannel",
        "Resource": ANY_SESSION,
    }


def test_a_document_that_is_made_is_referred_to(stack_here: cdk.Stack) -> None:
    preferences(stack_here, "made").grant_start_session(group(stack_here), all_instances=True)

    (logical_id,) = resources(stack_here, "AWS::SSM::Document")
    resource = by_sid(stack_here)["StartSessionDocument"]["Resource"]
    assert resource["Fn::Join"][1][-1] == {"Ref": logical_id}


def test_an_environment_agnostic_stack_grants_where_it_is_deployed(stack: cdk.Stack) -> None:
    grant(stack, group(stack))

    text = json.dumps(by_sid(stack))
    assert text.count('{"Ref": "AWS::Region"}') == 2
    assert text.count('{"Ref": "AWS::AccountId"}') == 2
    assert "arn:aws:" not in text


# the instances


class Tag(str, enum.Enum):
    TEAM = "team"


WEB: Final = {"ssm:resourceTag/team": "web"}
TAGS: Final[list[tuple[Mapping[str, Any], dict[str, Any]]]] = [
    (
        {"team": ["web", "shop"], "stage": "test", "aws:autoscaling:groupName": ""},
        {
            "ssm:resourceTag/team": ["web", "shop"],
            "ssm:resourceTag/stage": "test",
            "ssm:resourceTag/aws:autoscaling:groupName": "",
        },
    ),
    (
        {"team": "${aws:PrincipalTag/team}"},  # that of the operator
        {"ssm:resourceTag/team": "${aws:PrincipalTag/team}"},
    ),
    ({f"te{cdk.Token.as_string('am')}": "web"}, WEB),
    ({Tag.TEAM: "web"}, WEB),
    ({"équipe": "a\tb\r\n ~ÿ"}, {"ssm:resourceTag/équipe": "a\tb\r\n ~ÿ"}),
]


@pytest.mark.parametrize(("tags", "condition"), TAGS)
def test_an_instance_has_all_of_the_tags_each_with_one_of_its_values(
    stack_here: cdk.Stack, tags: Mapping[str, Any], condition: dict[str, Any]
) -> None:
    grant(stack_here, group(stack_here), instance_tags=tags, **EVERY_OPTION)

    instances = by_sid(stack_here)["StartSessionInstances"]
    assert instances["Condition"] == {**CHECK_DOCUMENT, "StringEquals": condition}
    with_tags = [one for one in statements(stack_here) if "StringEquals" in str(one)]
    assert with_tags == [instances]


INSTANCES: Final[list[tuple[dict[str, Any], object, dict[str, Any]]]] = [
    ({"all_instances": True}, ANY_INSTANCE, {}),
    ({"instance_arns": (INSTANCE, MANAGED_INSTANCE)}, [INSTANCE, MANAGED_INSTANCE], {}),
    (
        {"instance_arns": [INSTANCE], "instance_tags": {"team": "web"}},
        INSTANCE,
        {"StringEquals": WEB},
    ),
]


@pytest.mark.parametrize(("access", "resource", "condition"), INSTANCES)
def test_the_instances_are_those_of_the_arns_or_all_with_the_tag(
    stack_here: cdk.Stack, access: dict[str, Any], resource: object, condition: dict[str, Any]
) -> None:
    grant(stack_here, group(stack_here), **access)

    instances = by_sid(stack_here)["StartSessionInstances"]
    assert instances["Resource"] == resource
    assert instances["Condition"] == CHECK_DOCUMENT | condition


@pytest.mark.parametrize(
    "access",
    [
        {"all_instances": False},
        {"instance_arns": [], "instance_tags": {}},
        {"allow_ssh": True, "allow_console": True},
        {"all_instances": True, "instance_arns": [INSTANCE]},
        {"all_instances": True, "instance_tags": {"team": "web"}},
        {"instance_tags": {"team": "web", "stage": []}},
    ],
)
def test_which_instances_is_said_once_and_all_of_them_by_name(
    stack: cdk.Stack, access: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="instance_"):
        preferences(stack).grant_start_session(group(stack), **access)
    assert resources(stack, "AWS::IAM::Policy") == {}


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "i-0123456789abcdef0",
        f" {INSTANCE}",
        f"{INSTANCE}\n",
        pytest.param(f"i-{cdk.Aws.REGION}", id="a text before a token"),
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1/i-2",
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{{{{resolve:ssm:x}}}}",
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{'i' * 65}",
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/é",
        f"arn::ec2:{REGION}:{ACCOUNT}:instance/i-1",
        f"arn:aws:ec2::{ACCOUNT}:instance/i-1",
        f"arn:aws:ec2:{REGION}::instance/i-1",
        f"arn:aws:ec2:{REGION}:my account:instance/i-1",
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/vol-0123456789abcdef0",
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/",
        f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/Sessions",
        "*",
        "${aws:userid}",
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/*",
        f"arn:aws:ec2:*:{ACCOUNT}:instance/i-0123456789abcdef0",
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/${{aws:PrincipalTag/instance}}",
    ],
)
def test_what_is_no_instances_arn_is_refused(stack: cdk.Stack, wrong: str) -> None:
    known_later = cdk.CfnParameter(stack, "Arn").value_as_string
    with pytest.raises(ValueError, match=f"^instance_arns has {re.escape(repr(wrong))}"):
        grant(stack, group(stack), instance_arns=[INSTANCE, known_later, wrong])
    assert resources(stack, "AWS::IAM::Policy") == {}


def test_arns_that_only_the_deployment_knows_are_let_through(stack_here: cdk.Stack) -> None:
    whole = cdk.CfnParameter(stack_here, "Arn").value_as_string
    several = cdk.CfnParameter(stack_here, "Arns", type="List<String>").value_as_list
    elsewhere = f"arn:{cdk.Aws.PARTITION}:ec2:{cdk.Aws.REGION}:{cdk.Aws.ACCOUNT_ID}:instance/i-1"
    operators = group(stack_here)

    grant(stack_here, operators, instance_arns=[whole, elsewhere])
    preferences(stack_here, construct_id="Others").grant_start_session(
        operators, instance_arns=several
    )

    found = allowing(statements(stack_here), "ssm:StartSession")
    by_arn, by_list = (one["Resource"] for one in found if "Instances" in one["Sid"])
    assert by_arn[0] == {"Ref": "Arn"}
    assert {"Ref": "AWS::AccountId"} in by_arn[1]["Fn::Join"][1]
    assert by_list == {"Ref": "Arns"}


# the documents


@pytest.mark.parametrize(
    ("access", "names"),
    [
        ({}, []),
        ({"allow_ssh": True}, [SSH]),
        ({"allow_port_forwarding": True}, [PORT]),
        ({"allow_remote_port_forwarding": True}, [REMOTE_PORT]),
        (
            {"allow_port_forwarding": True, "allow_remote_port_forwarding": True},
            [PORT, REMOTE_PORT],
        ),
        ({"allow_ssh": True, "allow_port_forwarding": True}, [SSH, PORT]),
        ({"allow_interactive_commands": True}, COMMANDS),
        ({"allow_remote_desktop": True}, [PORT]),
        ({"allow_port_forwarding": True, "allow_remote_desktop": True}, [PORT]),
        ({"allow_console": True}, []),
        (EVERY_OPTION, [SSH, PORT, REMOTE_PORT, *COMMANDS]),
    ],
)
def test_awss_own_documents_are_allowed_one_by_one_and_have_no_account(
    stack_here: cdk.Stack, access: dict[str, bool], names: list[str]
) -> None:
    grant(stack_here, group(stack_here), all_instances=True, **access)

    resource = by_sid(stack_here)["StartSessionDocument"]["Resource"]
    assert as_list(resource) == [DOCUMENT, *(aws_document(name) for name in names)]


@pytest.mark.parametrize(
    ("minimize", "grantee_of", "access"),
    [
        (False, group, {"all_instances": True}),
        (True, group, {"instance_tags": {"team": "web"}}),
        (True, managed_policy, {"all_instances": True}),
    ],
)
def test_instances_and_documents_are_in_separate_statements(
    make_app: MakeApp, grantee_of: GranteeOf, access: dict[str, Any], *, minimize: bool
) -> None:
    stack = cdk.Stack(make_app(**{MINIMIZE: minimize}), "Stack", env=HERE)
    found, operators = preferences(stack), grantee_of(stack)

    found.grant_start_session(operators, allow_ssh=True, **access)
    found.grant_start_session(operators, instance_arns=[INSTANCE], **EVERY_OPTION)

    starting = allowing(statements(stack), "ssm:StartSession")
    assert [ANY_INSTANCE in as_list(one["Resource"]) for one in starting].count(True) == 1
    assert len(starting) == 4
    assert all(one["Condition"].items() >= CHECK_DOCUMENT.items() for one in starting)
    # The channel has no condition that the operator's own sessions have.
    assert allowing(statements(stack), "ssmmessages:OpenDataChannel") == [
        {"Effect": "Allow", "Action": "ssmmessages:OpenDataChannel", "Resource": ANY_SESSION}
    ]
    (own_sessions,) = allowing(statements(stack), "ssm:TerminateSession")
    assert own_sessions["Condition"].keys() == {"StringLike"}


# console, key


@pytest.mark.parametrize(
    ("access", "actions"),
    [
        ({}, []),
        ({"allow_ssh": True, "allow_port_forwarding": True}, []),
        ({"allow_interactive_commands": True}, []),
        ({"allow_remote_desktop": True}, [DESKTOP]),
        ({"allow_console": True}, [LISTS]),
        (EVERY_OPTION, [DESKTOP, LISTS]),
    ],
)
def test_nothing_but_the_consoles_actions_is_on_every_resource(
    stack_here: cdk.Stack, access: dict[str, bool], actions: list[list[str]]
) -> None:
    grant(stack_here, group(stack_here), all_instances=True, **access)

    everywhere = [found for found in statements(stack_here) if found["Resource"] == "*"]
    assert everywhere == [
        {"Effect": "Allow", "Action": allowed, "Resource": "*"} for allowed in actions
    ]
    assert ("Describe" in json.dumps(statements(stack_here))) == (LISTS in actions)


ANY_KEY: Final = arn("kms", "key/*")
OF_THE_ALIAS: Final = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": ALIAS}}
OF_SESSIONS: Final = {"Null": {"kms:EncryptionContext:aws:ssm:SessionId": "false"}}


@pytest.mark.parametrize("sessions_only", [False, True])
@pytest.mark.parametrize(
    ("kind", "resource", "conditions"),
    [
        ("owned key", {"Fn::GetAtt": ["Key961B73FD", "Arn"]}, {}),
        ("imported alias", ANY_KEY, OF_THE_ALIAS),
    ],
)
def test_a_data_key_may_be_generated_by_the_key_or_the_one_behind_the_alias(
    stack_here: cdk.Stack, kind: str, resource: object, conditions: object, *, sessions_only: bool
) -> None:
    found = preferences(stack_here, encryption_key=KEYS[kind](stack_here))

    found.grant_start_session(
        group(stack_here), all_instances=True, decrypt_sessions_only=sessions_only
    )

    (statement,) = allowing(statements(stack_here), "kms:GenerateDataKey")
    assert statement["Action"] == "kms:GenerateDataKey"
    assert statement["Resource"] == resource
    only = OF_SESSIONS if sessions_only else {}
    assert statement.get("Condition", {}) == {**conditions, **only}  # type: ignore[dict-item]


# several grants to one


@pytest.mark.parametrize(("minimize", "grantee_of"), [(False, group), (True, managed_policy)])
def test_one_principal_may_be_granted_two_documents(
    make_app: MakeApp, grantee_of: GranteeOf, *, minimize: bool
) -> None:
    stack = cdk.Stack(make_app(**{MINIMIZE: minimize}), "Stack", env=HERE)
    operators = grantee_of(stack)
    web = preferences(stack, "made", "Web", encryption_key=existing_key(stack))
    shop = preferences(stack, "exists", "Shop", encryption_key=KEYS["imported alias"](stack))

    for found in (web, shop):
        found.grant_start_session(operators, instance_tags={"team": "web"})

    assert len(by_sid_and_digits(stack)) == 4
    assert len(allowing(statements(stack), "ssm:TerminateSession")) == 1  # the same for both
    assert len(allowing(statements(stack), "kms:GenerateDataKey")) == 2


def by_sid_and_digits(stack: cdk.Stack) -> dict[str, dict[str, Any]]:
    """The statements with a Sid, of which IAM takes no two alike in a policy."""
    with_sid = [statement for statement in statements(stack) if "Sid" in statement]
    named = {found["Sid"]: found for found in with_sid}
    assert len(named) == len(with_sid)
    return named


@pytest.mark.parametrize("minimize", [False, True])
def test_the_same_grant_twice_changes_nothing(make_app: MakeApp, *, minimize: bool) -> None:
    stack = cdk.Stack(make_app(**{MINIMIZE: minimize}), "Stack", env=HERE)
    found, operators = preferences(stack), group(stack)
    tags = {"team": ["web", "shop"], "stage": "test"}
    found.grant_start_session(operators, instance_tags=tags, allow_ssh=True)
    once = statements(stack)

    in_another_order = dict(reversed(tags.items()))
    found.grant_start_session(operators, instance_tags=in_another_order, allow_ssh=True)

    assert statements(stack) == once


def test_different_grants_on_a_document_have_different_sids(stack_here: cdk.Stack) -> None:
    found, operators = preferences(stack_here), group(stack_here)
    kinds = [{option: True} for option in EVERY_OPTION if option.endswith(SESSION_KINDS)]
    chosen: list[dict[str, Any]] = [
        {"instance_tags": {"team": "web"}},
        {"instance_tags": {"team": "shop"}},
        {"instance_arns": [INSTANCE]},
        {"instance_arns": [OTHER_INSTANCE]},
        *({"all_instances": True, **kind} for kind in ({}, *kinds)),
    ]

    for access in chosen:
        found.grant_start_session(operators, **access)

    assert len(by_sid_and_digits(stack_here)) == 2 * len(chosen)
    assert len(kinds) == 5


@pytest.mark.parametrize(
    ("access", "digits"),
    [
        ({"all_instances": True}, "ad872561"),
        ({"instance_tags": {"team": "web"}}, "c30a35f7"),
        ({"all_instances": True, "allow_ssh": True}, "ddc2ce06"),
        ({"all_instances": True, "allow_port_forwarding": True}, "c750bd14"),
    ],
)
def test_the_sids_of_what_could_be_granted_before_are_those_of_0_2_0(
    make_stack: MakeStack, access: dict[str, Any], digits: str
) -> None:
    stack = make_stack("Stack", env=HERE)
    grant(stack, managed_policy(stack), **access)

    assert by_sid_and_digits(stack).keys() == {
        f"StartSessionInstances{digits}",
        f"StartSessionDocument{digits}",
    }


def test_documents_of_two_stacks_with_one_logical_id_have_different_sids(make_app: MakeApp) -> None:
    app = make_app()
    theirs = cdk.Stack(app, "Theirs", env=HERE)
    operators = group(theirs)
    for name in ("Blue", "Green"):
        stack = cdk.Stack(app, name, env=HERE)
        preferences(stack, "made").grant_start_session(operators, all_instances=True)

    found = by_sid_and_digits(theirs)

    assert len(found) == 4
    assert "Blue:ExportsOutput" in json.dumps(found)
    assert "Green:ExportsOutput" in json.dumps(found)


def test_a_grant_with_everything_fits_into_a_users_inline_policies(make_stack: MakeStack) -> None:
    """2,048 characters: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html."""
    stack = make_stack(env=HERE)
    found = preferences(stack, encryption_key=existing_key(stack, resource="alias/session-manager"))

    found.grant_start_session(
        iam.User(stack, "Operator"), instance_tags={"team": "web-servers"}, **EVERY_OPTION
    )

    assert len(json.dumps(deployed(statements(stack)), separators=(",", ":"))) < 2048


# who can be granted to


@jsii.implements(iam.IPrincipal)
class PermissionSet(cdk.Resource):
    """What a construct library for IAM Identity Center has: statements that go somewhere else."""

    def __init__(self, scope: cdk.Stack, construct_id: str, *, takes: bool = True) -> None:
        super().__init__(scope, construct_id)
        self.statements: list[iam.PolicyStatement] = []
        self._takes = takes

    @property
    def grant_principal(self) -> iam.IPrincipal:
        return self

    @property
    def assume_role_action(self) -> str:
        return "sts:AssumeRole"

    @property
    def policy_fragment(self) -> iam.PrincipalPolicyFragment:
        return OPERATORS.policy_fragment

    @property
    def principal_account(self) -> str | None:
        return None

    def add_to_policy(self, statement: iam.PolicyStatement) -> bool:
        return bool(self.add_to_principal_policy(statement).statement_added)

    def add_to_principal_policy(
        self, statement: iam.PolicyStatement
    ) -> iam.AddToPrincipalPolicyResult:
        if not self._takes:
            return iam.AddToPrincipalPolicyResult(statement_added=False)
        self.statements.append(statement)
        return iam.AddToPrincipalPolicyResult(statement_added=True, policy_dependable=self)


@jsii.implements(iam.IGrantable)
class Owner(cdk.Resource):
    """A construct that is granted to by the principal that it has."""

    def __init__(self, scope: cdk.Stack, construct_id: str, principal: iam.IPrincipal) -> None:
        super().__init__(scope, construct_id)
        self._principal = principal

    @property
    def grant_principal(self) -> iam.IPrincipal:
        return self._principal


GRANTEES: Final[Mapping[str, tuple[GranteeOf, str, object]]] = {
    "user": (lambda s: iam.User(s, "It"), "Users", {"Ref": "It16E14BEE"}),
    "imported user": (lambda s: iam.User.from_user_name(s, "It", "operator"), "Users", "operator"),
    "user by its ARN": (
        lambda s: iam.User.from_user_arn(s, "It", f"arn:aws:iam::{ACCOUNT}:user/path/operator"),
        "Users",
        "operator",
    ),
    "group": (lambda s: iam.Group(s, "It"), "Groups", {"Ref": "It16E14BEE"}),
    "imported group": (lambda s: iam.Group.from_group_name(s, "It", "team"), "Groups", "team"),
    "group by its ARN": (
        lambda s: iam.Group.from_group_arn(s, "It", f"arn:aws:iam::{ACCOUNT}:group/team"),
        "Groups",
        "team",
    ),
    "role": (lambda s: owned_role(s, "It"), "Roles", {"Ref": "It16E14BEE"}),
    "imported role": (lambda s: existing_role(s, "It"), "Roles", "Existing"),
    "role by its ARN": (
        lambda s: iam.Role.from_role_arn(s, "It", role_arn("path/Existing")),
        "Roles",
        "Existing",
    ),
    "what has a role": (lambda s: Owner(s, "Owner", existing_role(s)), "Roles", "Existing"),
    "role with session tags": (
        lambda s: Owner(s, "Owner", iam.SessionTagsPrincipal(existing_role(s))),
        "Roles",
        "Existing",
    ),
}


@pytest.mark.parametrize("grantee", GRANTEES)
def test_users_groups_and_roles_get_an_inline_policy(stack_here: cdk.Stack, grantee: str) -> None:
    grantee_of, property_name, name = GRANTEES[grantee]

    granted = grant(stack_here, grantee_of(stack_here))

    granted.assert_success()
    found = policy(stack_here)
    assert found[property_name] == [name]
    assert len(found["PolicyDocument"]["Statement"]) == 4


def test_a_managed_policy_takes_the_statements(stack_here: cdk.Stack) -> None:
    granted = grant(stack_here, managed_policy(stack_here))

    assert granted.success
    assert len(statements(stack_here)) == 4
    assert resources(stack_here, "AWS::IAM::Policy") == {}


def test_a_lazy_role_takes_the_statements_when_it_is_made(stack_here: cdk.Stack) -> None:
    lazy = iam.LazyRole(stack_here, "Lazy", assumed_by=OPERATORS)

    granted = grant(stack_here, lazy)

    assert granted.success
    assert resources(stack_here, "AWS::IAM::Role") == {}
    assert lazy.role_name
    assert len(statements(stack_here)) == 4


def test_a_permission_set_takes_the_statements(stack_here: cdk.Stack) -> None:
    there = cdk.Environment(account=OTHER_ACCOUNT, region=REGION)
    permission_set = PermissionSet(cdk.Stack(app_of(stack_here), "There", env=there), "Set")

    granted = grant(stack_here, permission_set)

    assert granted.success
    found = [statement.to_statement_json() for statement in permission_set.statements]
    assert [statement.get("Sid", "")[:-8] for statement in found] == [
        "StartSessionInstances",
        "StartSessionDocument",
        "",
        "",
    ]
    assert template(stack_here).get("Resources", {}) == {}


def test_what_waits_for_a_grant_waits_for_its_policy(stack_here: cdk.Stack) -> None:
    granted = grant(stack_here, group(stack_here))
    waiting = cdk.CfnResource(
        stack_here, "Waiting", type="AWS::CloudFormation::WaitConditionHandle"
    )

    granted.apply_before(waiting)

    (awaited,) = resources(stack_here, "AWS::IAM::Policy")
    assert template(stack_here)["Resources"]["Waiting"]["DependsOn"] == [awaited]


def test_a_grant_to_another_stacks_group_refers_to_the_document(
    make_app: MakeApp, references: dict[str, object]
) -> None:
    app = make_app(**references)
    documents, people = cdk.Stack(app, "Documents", env=HERE), cdk.Stack(app, "People", env=HERE)

    preferences(documents, "made").grant_start_session(group(people), all_instances=True)

    assert crosses(by_sid(people)["StartSessionDocument"])
    assert resources(documents, "AWS::IAM::Policy") == {}


@pytest.mark.parametrize(("region_in_id", "names"), [(False, 1), (True, 2)])
def test_a_groups_policy_is_named_after_its_id_in_the_stack(
    make_app: MakeApp, names: int, *, region_in_id: bool
) -> None:
    """As documented: a group is global, so two regions must not name its policies alike."""
    app, found = make_app(), set()
    for region in (REGION, OTHER_REGION):
        env = cdk.Environment(account=ACCOUNT, region=region)
        stack = cdk.Stack(app, f"Stack-{region}", env=env)
        construct_id = f"Operators-{stack.region}" if region_in_id else "Operators"
        grant(stack, iam.Group.from_group_name(stack, construct_id, "operators"))
        found.add(policy(stack)["PolicyName"])

    assert len(found) == names


# grants that go nowhere


IMMUTABLE: Final[Mapping[str, tuple[GranteeOf, str]]] = {
    "mutable=False": (
        lambda s: iam.Role.from_role_name(s, "It", "Existing", mutable=False),
        "'Stack/It'",
    ),
    "without policy updates": (
        lambda s: owned_role(s, "It").without_policy_updates(),
        "'Stack/ImmutableRoleIt'",
    ),
    "role of another account": (
        lambda s: iam.Role.from_role_arn(s, "It", role_arn(account=OTHER_ACCOUNT)),
        "'Stack/It'",
    ),
    "user of another account": (
        lambda s: iam.User.from_user_arn(s, "It", f"arn:aws:iam::{OTHER_ACCOUNT}:user/operator"),
        "'Stack/It'",
    ),
    "what has an immutable role": (
        lambda s: Owner(s, "It", owned_role(s).without_policy_updates()),
        "'Stack/It'",
    ),
    "function whose role is not known": (
        lambda s: lambda_.Function.from_function_arn(
            s, "It", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:operator"
        ),
        "'Stack/It'",
    ),
    "unknown principal": (
        lambda s: iam.UnknownPrincipal(resource=owned_role(s)),
        "of the type UnknownPrincipal",
    ),
    "permission set that takes nothing": (
        lambda s: PermissionSet(s, "It", takes=False),
        "'Stack/It'",
    ),
    "service": (
        lambda _: iam.ServicePrincipal("ec2.amazonaws.com"),
        "of the type ServicePrincipal",
    ),
    "role's ARN": (lambda _: iam.ArnPrincipal(role_arn()), "of the type ArnPrincipal"),
}


@pytest.mark.parametrize("kind", IMMUTABLE)
def test_a_grant_that_goes_nowhere_is_refused_and_names_the_grantee(
    stack_here: cdk.Stack, kind: str
) -> None:
    grantee_of, name = IMMUTABLE[kind]
    with pytest.raises(ValueError, match=f"^grantee {name} can't be granted anything from here"):
        grant(stack_here, grantee_of(stack_here))


def lazy_role(stack: cdk.Stack) -> iam.LazyRole:
    return iam.LazyRole(stack, "It", assumed_by=OPERATORS)


ELSEWHERE: Final[Mapping[str, GranteeOf]] = {
    "role": lambda s: owned_role(s, "It"),
    "lazy role": lazy_role,
    "imported role": lambda s: existing_role(s, "It"),
    "user": lambda s: iam.User(s, "It"),
    "group": lambda s: iam.Group(s, "It"),
    "imported group": lambda s: iam.Group.from_group_name(s, "It", "team"),
    "managed policy": lambda s: iam.ManagedPolicy(s, "It"),
    "policy": lambda s: iam.Policy(s, "It", roles=[existing_role(s)]),
    "what has a role": lambda s: Owner(s, "It", owned_role(s)),
}


@pytest.mark.parametrize("kind", ELSEWHERE)
@pytest.mark.parametrize("known", [True, False])
def test_what_a_stack_of_another_account_has_is_refused_and_left_as_it_is(
    make_app: MakeApp, kind: str, *, known: bool
) -> None:
    app = make_app()
    there = cdk.Environment(account=OTHER_ACCOUNT, region=REGION)
    other = cdk.Stack(app, "Other", env=there if known else None)
    grantee = ELSEWHERE[kind](other)
    before = len(other.node.find_all())
    found = preferences(cdk.Stack(app, "Stack", env=HERE))
    if not known:
        assert found.grant_start_session(grantee, all_instances=True).success
        return

    with pytest.raises(ValueError, match=r"^grantee 'Other/It' can't be granted anything from"):
        found.grant_start_session(grantee, all_instances=True)

    assert len(other.node.find_all()) == before


def test_an_immutable_role_is_refused_though_the_role_itself_has_a_policy(
    stack_here: cdk.Stack,
) -> None:
    role = owned_role(stack_here, "It")
    grant(stack_here, role)
    found: Any = stack_here.node.find_child("Preferences")

    with pytest.raises(ValueError, match=r"^grantee 'Stack/ImmutableRoleIt' can't be granted"):
        found.grant_start_session(role.without_policy_updates(), all_instances=True)


def test_an_agnostic_stack_counts_every_account_as_its_own(stack: cdk.Stack) -> None:
    user = iam.User.from_user_arn(stack, "It", f"arn:aws:iam::{OTHER_ACCOUNT}:user/operator")

    assert grant(stack, user).success


@pytest.mark.parametrize(
    "role_of",
    [
        lambda s: iam.Role.from_role_arn(s, "It", role_arn("aws-reserved/sso.amazonaws.com/Admin")),
        lambda s: iam.Role.from_role_arn(s, "It", role_arn("aws-service-role/a.amazonaws.com/A")),
        lambda s: existing_role(s, name=role_arn()),
    ],
    ids=["reserved", "service-linked", "an ARN for a name"],
)
def test_a_role_that_aws_alone_can_change_or_that_is_none_is_refused(
    stack_here: cdk.Stack, role_of: GranteeOf
) -> None:
    with pytest.raises(ValueError, match=r"^role "):
        grant(stack_here, role_of(stack_here))


def test_a_grantee_that_only_the_deployment_knows_is_let_through(stack: cdk.Stack) -> None:
    name = cdk.CfnParameter(stack, "Name").value_as_string
    whole = cdk.CfnParameter(stack, "Arn").value_as_string
    found = preferences(stack)

    for grantee in (
        iam.User.from_user_name(stack, "User", f"ops-{name}"),
        iam.User.from_user_arn(stack, "UserByArn", whole),
        iam.Group.from_group_name(stack, "Group", name),
        iam.Group.from_group_arn(stack, "GroupByArn", whole),
        existing_role(stack, "Role", name),
        iam.Role.from_role_arn(stack, "RoleByArn", whole),
    ):
        assert found.grant_start_session(grantee, all_instances=True).success


def with_no_conditions(principal: iam.IPrincipal) -> iam.PrincipalWithConditions:
    return iam.PrincipalWithConditions(principal, {})


@pytest.mark.parametrize("wrap", [iam.SessionTagsPrincipal, with_no_conditions])
def test_what_wraps_an_immutable_role_hides_that_it_takes_nothing(
    stack_here: cdk.Stack, wrap: Callable[[iam.IPrincipal], iam.IPrincipal]
) -> None:
    """As documented: CDK reports success, and does not show the role that is wrapped."""
    role = iam.Role.from_role_name(stack_here, "It", "Existing", mutable=False)

    assert grant(stack_here, wrap(role)).success
    assert resources(stack_here, "AWS::IAM::Policy") == {}


# grants that CDK leaves out on purpose


@pytest.mark.parametrize(("role_of", "where", "prevent_synthesis"), ROLES_OF_OTHERS)
def test_a_role_that_others_create_is_no_error_and_the_report_lists_the_statements(
    make_app: MakeApp, role_of: GranteeOf, where: str, *, prevent_synthesis: bool
) -> None:
    stack = customized(make_app(), where, prevent_synthesis=prevent_synthesis)

    assert grant(stack, role_of(stack), instance_tags={"team": "web"}).success

    assert [statement["Action"] for statement in reported(stack)["Stack/Role"]] == [
        "ssm:StartSession",
        "ssm:StartSession",
        ["ssm:TerminateSession", "ssm:ResumeSession"],
        "ssmmessages:OpenDataChannel",
    ]


@pytest.mark.parametrize("account", [ACCOUNT, "123456789012"])
def test_a_looked_up_role_is_no_error_before_the_cli_has_asked(
    make_app: MakeApp, account: str
) -> None:
    def use(stack: cdk.Stack) -> None:
        assert grant(stack, iam.Role.from_lookup(stack, "Role", role_name="Existing")).success

    stack = answered(make_app, use, [{"Arn": role_arn("path/Existing", account)}], account)
    assert policy(stack)["Roles"] == ["Existing"]


def test_a_looked_up_role_that_is_immutable_is_refused_once_it_is_known(make_app: MakeApp) -> None:
    def use(stack: cdk.Stack) -> None:
        grant(stack, iam.Role.from_lookup(stack, "Role", role_name="Existing", mutable=False))

    with pytest.raises(ValueError, match=r"^grantee 'Stack/Role' can't be granted anything"):
        answered(make_app, use, [{"Arn": role_arn()}])


# types


@pytest.mark.parametrize(
    "grantee_of",
    [
        lambda _: "operators",
        lambda _: None,
        l1_role,
        lambda s: iam.ManagedPolicy.from_managed_policy_name(s, "Managed", "theirs"),
    ],
    ids=["name", "None", "L1 role", "imported managed policy"],
)
def test_what_cdk_can_not_grant_to_is_a_type_error(
    stack: cdk.Stack, grantee_of: Callable[[cdk.Stack], Any]
) -> None:
    with pytest.raises(TypeError, match=r"^grantee must be "):
        grant(stack, grantee_of(stack))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("instance_arns", INSTANCE),
        ("instance_tags", ["team"]),
        ("instance_tags", []),
        *((name, wrong) for name in ("all_instances", *EVERY_OPTION) for wrong in ("no", 1, None)),
    ],
)
def test_an_argument_of_the_wrong_type_is_a_type_error(
    stack: cdk.Stack, argument: str, value: object
) -> None:
    access: dict[str, Any] = {"instance_tags": {"team": "web"}, argument: value}
    with pytest.raises(TypeError, match=f"^{argument} must be "):
        grant(stack, group(stack), **access)


# what others make of it


@pytest.mark.parametrize("minimize", [False, True])
def test_cfn_lint_finds_nothing(make_app: MakeApp, *, minimize: bool) -> None:
    stack = cdk.Stack(make_app(**{MINIMIZE: minimize}), "Stack", env=HERE)
    found = preferences(stack, "made", encryption_key=KEYS["imported alias"](stack))
    operators = group(stack)

    for access in (
        {"instance_arns": [INSTANCE, OTHER_INSTANCE], "instance_tags": {"team": ["web", "shop"]}},
        {"instance_tags": {"team": "${aws:PrincipalTag/team}"}, "allow_console": True},
        {"all_instances": True, **EVERY_OPTION},
    ):
        arguments: dict[str, Any] = access
        found.grant_start_session(operators, **arguments)

    assert lint(template_text(stack)) == []


# by IAM's own rules


STS: Final = f"arn:aws:sts::{ACCOUNT}"
OPERATORS_BY_KIND: Final = {
    "user": (f"arn:aws:iam::{ACCOUNT}:user/ana", "AIDA1"),
    "role": (f"{STS}:assumed-role/operator/ana", "AROA1:ana"),
    "SSO session": (
        f"{STS}:assumed-role/AWSReservedSSO_Ops_0123456789abcdef/ana@example.com",
        "AROA2:ana@example.com",
    ),
    "federated user": (f"{STS}:federated-user/ana", f"{ACCOUNT}:ana"),
}
SESSION: Final = f"arn:aws:ssm:{REGION}:{ACCOUNT}:session/ana-0123456789abcdef0"
TAG: Final = "ssm:resourceTag/aws:ssmmessages:session-id"
AWS_DOCUMENT: Final = f"arn:aws:ssm:{REGION}::document/"


def evaluator(stack: cdk.Stack, principal: str, user_id: str) -> Callable[..., bool]:
    """What the deployed statements let the principal do: an action, a resource, condition keys."""
    document = deployed({"Statement": statements(stack), "Version": "2012-10-17"})
    text = json.dumps(document).replace("${aws:userid}", user_id)
    policies = [parse_policy_document(text)]

    def may(action: str, resource: str, **context: object) -> bool:
        request = EvalContext(
            principal_arn=principal,
            principal_type="User",
            principal_account=ACCOUNT,
            action=action,
            resource_arn=resource,
            region=REGION,
            service_context={name.lower(): value for name, value in context.items()},
        )
        return bool(evaluate(request, policies).decision == "Allow")

    return may


@pytest.mark.parametrize("minimize", [False, True])
@pytest.mark.parametrize("kind", OPERATORS_BY_KIND)
def test_an_operator_may_do_what_was_asked_for_and_no_more_beside_statements_of_others(
    make_app: MakeApp, kind: str, *, minimize: bool
) -> None:
    stack = cdk.Stack(make_app(context={MINIMIZE: minimize}), "Stack", env=HERE)
    operators = group(stack)
    for action, resource in (
        ("ssm:TerminateSession", f"arn:aws:ssm:{REGION}:{ACCOUNT}:session/bob-1"),
        ("ssm:StartSession", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"),
        ("ssm:ListDocuments", "*"),
        ("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/2"),
    ):
        operators.add_to_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
    found = preferences(stack, encryption_key=KEYS["imported alias"](stack))
    access: dict[str, Any] = {"instance_tags": {"team": "web"}, "allow_console": True}
    access |= {"allow_port_forwarding": True, "decrypt_sessions_only": True}
    found.grant_start_session(operators, **access, allow_interactive_commands=True)
    other = preferences(stack, construct_id="Other", document_name="Other")
    other.grant_start_session(operators, instance_arns=[OTHER_INSTANCE], allow_remote_desktop=True)
    principal, user_id = OPERATORS_BY_KIND[kind]
    may = evaluator(stack, principal, user_id)

    own, others = {TAG: user_id}, {TAG: "AIDA9:bob"}
    web, shop = {"ssm:resourceTag/team": "web"}, {"ssm:resourceTag/team": "shop"}
    key, alias = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1", "kms:ResourceAliases"
    session = {"kms:EncryptionContext:aws:ssm:SessionId": "ana-0123456789abcdef0"}
    allowed = [
        may("ssm:StartSession", INSTANCE, **web),
        may("ssm:StartSession", OTHER_INSTANCE),
        *(may("ssm:StartSession", f"{AWS_DOCUMENT}{name}") for name in (*COMMANDS, PORT)),
        may("ssm:StartSession", f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/Other"),
        *(may(f"ssm:{verb}Session", SESSION, **own) for verb in ("Terminate", "Resume")),
        may("ssmmessages:OpenDataChannel", SESSION),
        *(may(action, "*") for action in (*DESKTOP, *LISTS)),
        may("kms:GenerateDataKey", key, **session, **{alias: [ALIAS]}),
    ]
    denied = [
        may("ssm:StartSession", INSTANCE, **shop),
        may("ssm:StartSession", INSTANCE),
        may("ssm:StartSession", f"{AWS_DOCUMENT}{SSH}"),
        may("ssm:StartSession", f"{AWS_DOCUMENT}{REMOTE_PORT}"),
        may("ssm:StartSession", f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/Another"),
        *(may(f"ssm:{verb}Session", SESSION, **others) for verb in ("Terminate", "Resume")),
        *(may(f"ssm:{verb}Session", SESSION) for verb in ("Terminate", "Resume")),
        may("kms:GenerateDataKey", key),
        may("kms:GenerateDataKey", key, **session),
        may("kms:GenerateDataKey", key, **{alias: [ALIAS]}),
        may("kms:GenerateDataKey", key, **session, **{alias: ["alias/other"]}),
        may("kms:Decrypt", key, **session, **{alias: [ALIAS]}),
    ]
    assert (set(allowed), set(denied)) == ({True}, {False})


SESSION_NAMES: Final = st.from_regex(r"[A-Za-z0-9_+=,.@-]{2,64}", fullmatch=True)
"""What STS takes as the name of a role session: no wildcard of a policy."""


ROLE_ID: Final = "AROA0123456789ABCDEF0"


def may_take_over(may: Callable[..., bool], tag: str) -> set[bool]:
    return {may(f"ssm:{verb}Session", SESSION, **{TAG: tag}) for verb in ("Terminate", "Resume")}


@pytest.mark.parametrize("behind", ["", "-0123456789abcdef0"])
@pytest.mark.parametrize(
    ("own", "another"),
    [
        ("AIDA1", "AIDA12"),  # users
        ("AROA1:ana", "AROA1:anabel"),
        ("AROA1:ana", "AROA1:ana@example.com"),
        ("AROA1:ana", "AROA1:ana*"),  # which only a service could name so
        ("AROA1:ana", "AROA1:*"),
        ("AROA1:ana", "AROA1:Ana"),
        ("AROA1:ana", "AROA2:ana"),
        ("AROA1:ana", "AROA1"),
        (f"{ACCOUNT}:ana", f"{ACCOUNT}:anabel"),  # federated users
    ],
)
def test_an_operator_has_no_hold_on_the_sessions_of_one_whose_id_begins_like_theirs(
    stack_here: cdk.Stack, own: str, another: str, behind: str
) -> None:
    grant(stack_here, group(stack_here))
    may = evaluator(stack_here, f"{STS}:assumed-role/operator/ana", own)

    assert may_take_over(may, f"{own}{behind}") == {True}
    assert may_take_over(may, f"{another}{behind}") == {False}


def test_no_name_of_a_role_session_reaches_another_but_those_with_a_hyphen_behind_it(
    stack_here: cdk.Stack,
) -> None:
    grant(stack_here, group(stack_here))

    @settings(max_examples=50, deadline=None)
    @given(name=SESSION_NAMES, more=SESSION_NAMES, other=SESSION_NAMES)
    def reaches(name: str, more: str, other: str) -> None:
        own = f"{ROLE_ID}:{name}"
        may = evaluator(stack_here, f"{STS}:assumed-role/operator/{name}", own)
        for another in (other, f"{name}{more}"):
            hyphenated = another == name or another.startswith(f"{name}-")
            assert may_take_over(may, f"{ROLE_ID}:{another}") == {hyphenated}

    reaches()
