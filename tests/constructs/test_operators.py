"""`grant_start_session`: what an operator's policy holds, who can be granted to, and who not."""

import itertools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

from session_manager_permissions import SessionPreferences
from tests.builders import EVERY_GRANT, MINIMIZE, Text
from tests.cfn_lint import lint
from tests.conftest import MakeApp
from tests.evaluated import May, Request, evaluated
from tests.keys import existing_key
from tests.places import ACCOUNT, ALIAS, ELSEWHERE, HERE, KEY_ID, OTHER_ACCOUNT, REGION, role_arn
from tests.preference_options import KEYS
from tests.reading import app_of, crosses, policy, reported, resources, template
from tests.roles import ROLES_OF_OTHERS, customized, existing_role, l1_role, owned_role, role_by_arn
from tests.templates import deployed, in_partition, parameter

GranteeOf = Callable[[cdk.Stack], iam.IGrantable]

DEFAULT: Final = "SSM-SessionManagerRunShell"
INSTANCE: Final = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0123456789abcdef0"
OTHER_INSTANCE: Final = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0fedcba9876543210"
MANAGED_INSTANCE: Final = f"arn:aws:ssm:{REGION}:{ACCOUNT}:managed-instance/mi-0123456789abcdef0"
OPERATORS: Final = iam.AccountPrincipal(ACCOUNT)
SESSION_KINDS: Final = ("_ssh", "_forwarding", "_commands", "_desktop")
"""The ends of the names of the options that allow another kind of session."""
CHECK_DOCUMENT: Final = {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}


def preferences(stack: cdk.Stack, name: str = "Preferences", **given: Any) -> SessionPreferences:  # noqa: ANN401
    return SessionPreferences.from_document_name(stack, name, **given)


def group(stack: cdk.Stack) -> iam.Group:
    return iam.Group(stack, "Operators")


def grant(stack: cdk.Stack, grantee: iam.IGrantable, **access: Any) -> iam.Grant:  # noqa: ANN401
    """A grant on the account's default document; by default, on every instance."""
    return preferences(stack).grant_start_session(grantee, **access or {"all_instances": True})


def statements(stack: cdk.Stack) -> list[dict[str, Any]]:
    """The statements of the only policy in the stack's template, inline or managed."""
    ((body),) = [
        body
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        for body in resources(stack, kind).values()
    ]
    found: list[dict[str, Any]] = body["Properties"]["PolicyDocument"]["Statement"]
    sids = [statement["Sid"] for statement in found if "Sid" in statement]
    assert len({*sids}) == len(sids)  # of which IAM takes no two alike
    return found


def sids(stack: cdk.Stack) -> set[str]:
    return {statement["Sid"] for statement in statements(stack) if "Sid" in statement}


def by_sid(stack: cdk.Stack) -> dict[str, dict[str, Any]]:
    """The statements with a Sid, without the digits at its end."""
    with_sid = [statement for statement in statements(stack) if "Sid" in statement]
    named = {re.sub("[0-9a-f]{8}$", "", found["Sid"]): found for found in with_sid}
    assert len(named) == len(with_sid)
    return named


def arn(service: str, resource: str, *, region: str = REGION, account: str = ACCOUNT) -> Any:  # noqa: ANN401
    """An ARN in the partition in which the stack is deployed."""
    return in_partition(f":{service}:{region}:{account}:{resource}")


ANY_SESSION: Final = arn("ssm", "session/*", region="*", account="*")


# what the policy holds


def test_the_least_is_a_session_and_a_hold_on_ones_own_sessions(stack_here: cdk.Stack) -> None:
    grant(stack_here, group(stack_here), instance_tags={"team": "web"})

    found = statements(stack_here)
    digits = found[0]["Sid"].removeprefix("StartSessionInstances")
    assert re.fullmatch("[0-9a-f]{8}", digits)
    user_ids = {"ssm:resourceTag/aws:ssmmessages:session-id": ["${aws:userid}", "${aws:userid}-*"]}
    assert found == [
        {"Sid": f"StartSessionInstances{digits}",
         "Effect": "Allow", "Action": "ssm:StartSession", "Resource": arn("ec2", "instance/*"),
         "Condition": {**CHECK_DOCUMENT, "StringEquals": WEB}},
        {"Sid": f"StartSessionDocument{digits}", "Effect": "Allow", "Action": "ssm:StartSession",
         "Resource": arn("ssm", f"document/{DEFAULT}"), "Condition": CHECK_DOCUMENT},
        {"Effect": "Allow", "Action": ["ssm:TerminateSession", "ssm:ResumeSession"],
         "Resource": ANY_SESSION, "Condition": {"StringLike": user_ids}},
        {"Effect": "Allow", "Action": "ssmmessages:OpenDataChannel", "Resource": ANY_SESSION},
    ]  # fmt: skip


def test_an_environment_agnostic_stack_grants_where_it_is_deployed(stack: cdk.Stack) -> None:
    grant(stack, group(stack))

    text = json.dumps(by_sid(stack))
    assert text.count('{"Ref": "AWS::Region"}') == 2
    assert text.count('{"Ref": "AWS::AccountId"}') == 2
    assert "arn:aws:" not in text


# the instances


WEB: Final = {"ssm:resourceTag/team": "web"}
TAGS: Final[list[tuple[Mapping[str, Any], dict[str, Any]]]] = [
    ({"team": ["web", "shop"], "stage": "test", "aws:autoscaling:groupName": ""},
     {"ssm:resourceTag/team": ["web", "shop"], "ssm:resourceTag/stage": "test",
      "ssm:resourceTag/aws:autoscaling:groupName": ""}),
    ({"team": "${aws:PrincipalTag/team}"},  # that of the operator
     {"ssm:resourceTag/team": "${aws:PrincipalTag/team}"}),
    ({f"te{cdk.Token.as_string('am')}": "web"}, WEB),
    ({Text.TEAM: "web"}, WEB),
    ({"équipe": "a\tb\r\n ~ÿ"}, {"ssm:resourceTag/équipe": "a\tb\r\n ~ÿ"}),
]  # fmt: skip


@pytest.mark.parametrize(("tags", "condition"), TAGS)
def test_an_instance_has_all_of_the_tags_each_with_one_of_its_values(
    stack_here: cdk.Stack, tags: Mapping[str, Any], condition: dict[str, Any]
) -> None:
    grant(stack_here, group(stack_here), instance_tags=tags, **EVERY_GRANT)

    instances = by_sid(stack_here)["StartSessionInstances"]
    assert instances["Condition"] == {**CHECK_DOCUMENT, "StringEquals": condition}
    assert [one for one in statements(stack_here) if "StringEquals" in str(one)] == [instances]


@pytest.mark.parametrize("access", [
    {"all_instances": False},
    {"instance_arns": [], "instance_tags": {}},
    {"allow_ssh": True, "allow_console": True},
    {"all_instances": True, "instance_arns": [INSTANCE]},
    {"all_instances": True, "instance_tags": {"team": "web"}},
    {"instance_tags": {"team": "web", "stage": []}},
])  # fmt: skip
def test_instances_are_chosen_in_one_way(stack: cdk.Stack, access: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="instance_"):
        preferences(stack).grant_start_session(group(stack), **access)
    assert resources(stack, "AWS::IAM::Policy") == {}


NO_INSTANCES: Final = (
    *("instance/i-1/i-2", "instance/{{resolve:ssm:x}}", f"instance/{'i' * 65}", "instance/é"),
    *("instance/", "instance/a ", "volume/vol-0123456789abcdef0", "instance/*"),
    "instance/${aws:PrincipalTag/instance}",
)
NO_PLACES: Final = (
    *(f":ec2:{REGION}:{ACCOUNT}", f"aws:ec2::{ACCOUNT}", f"aws:ec2:{REGION}:"),
    *(f"aws:ec2:{REGION}:my account", f"aws:ec2:*:{ACCOUNT}"),
)


@pytest.mark.parametrize("wrong", [
    *("", "i-0123456789abcdef0", f" {INSTANCE}", f"{INSTANCE}\n", "*", "${aws:userid}"),
    pytest.param(f"i-{cdk.Aws.REGION}", id="a text before a token"),
    *(f"arn:aws:ec2:{REGION}:{ACCOUNT}:{resource}" for resource in NO_INSTANCES),
    *(f"arn:{place}:instance/i-1" for place in NO_PLACES),
    f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/Sessions",
])  # fmt: skip
def test_what_is_no_instances_arn_is_refused(stack: cdk.Stack, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"^instance_arns has {re.escape(repr(wrong))}"):
        grant(stack, group(stack), instance_arns=[INSTANCE, parameter(stack, "Arn"), wrong])
    assert resources(stack, "AWS::IAM::Policy") == {}


def test_arns_that_only_the_deployment_knows_are_let_through(stack_here: cdk.Stack) -> None:
    several = cdk.CfnParameter(stack_here, "Arns", type="List<String>").value_as_list
    elsewhere = f"arn:{cdk.Aws.PARTITION}:ec2:{cdk.Aws.REGION}:{cdk.Aws.ACCOUNT_ID}:instance/i-1"
    operators = group(stack_here)

    grant(stack_here, operators, instance_arns=[parameter(stack_here, "Arn"), elsewhere])
    preferences(stack_here, "Others").grant_start_session(operators, instance_arns=several)

    found = statements(stack_here)
    by_arn, by_list = (one["Resource"] for one in found if "Instances" in one.get("Sid", ""))
    assert by_arn[0] == {"Ref": "Arn"}
    assert {"Ref": "AWS::AccountId"} in by_arn[1]["Fn::Join"][1]
    assert by_list == {"Ref": "Arns"}


# several grants to one


@pytest.mark.parametrize("minimize", [False, True])
def test_the_same_grant_twice_changes_nothing(make_app: MakeApp, *, minimize: bool) -> None:
    stack = cdk.Stack(make_app(**{MINIMIZE: minimize}), "Stack", env=HERE)
    found, operators = preferences(stack), group(stack)
    tags = {"team": ["web", "shop"], "stage": "test"}
    found.grant_start_session(operators, instance_tags=tags, allow_ssh=True)
    once = statements(stack)

    found.grant_start_session(operators, instance_tags=dict(reversed(tags.items())), allow_ssh=True)

    assert statements(stack) == once


def test_different_grants_on_a_document_have_different_sids(stack_here: cdk.Stack) -> None:
    found, operators = preferences(stack_here), group(stack_here)
    kinds = [{option: True} for option in EVERY_GRANT if option.endswith(SESSION_KINDS)]
    chosen: list[dict[str, Any]] = [
        {"instance_tags": {"team": "web"}},
        {"instance_tags": {"team": "shop"}},
        {"instance_arns": [INSTANCE]},
        {"instance_arns": [OTHER_INSTANCE]},
        *({"all_instances": True, **kind} for kind in ({}, *kinds)),
    ]

    for access in chosen:
        found.grant_start_session(operators, **access)

    assert len(sids(stack_here)) == 2 * len(chosen)
    assert len(kinds) == 5


@pytest.mark.parametrize(("access", "digits"), [
    ({"all_instances": True}, "ad872561"),
    ({"instance_tags": {"team": "web"}}, "c30a35f7"),
    ({"all_instances": True, "allow_ssh": True}, "ddc2ce06"),
    ({"all_instances": True, "allow_port_forwarding": True}, "c750bd14"),
])  # fmt: skip
def test_sids_are_as_in_0_2_0(make_app: MakeApp, access: dict[str, Any], digits: str) -> None:
    stack = cdk.Stack(make_app(), "Stack", env=HERE)
    grant(stack, iam.ManagedPolicy(stack, "Managed"), **access)

    assert sids(stack) == {f"StartSessionInstances{digits}", f"StartSessionDocument{digits}"}


def test_documents_of_two_stacks_with_one_logical_id_have_different_sids(make_app: MakeApp) -> None:
    app = make_app()
    theirs = cdk.Stack(app, "Theirs", env=HERE)
    operators = group(theirs)
    for name in ("Blue", "Green"):
        stack = cdk.Stack(app, name, env=HERE)
        SessionPreferences(stack, "Preferences").grant_start_session(operators, all_instances=True)

    found = statements(theirs)

    assert len(sids(theirs)) == 4
    assert "Blue:ExportsOutput" in json.dumps(found)
    assert "Green:ExportsOutput" in json.dumps(found)


def test_a_grant_with_everything_fits_into_a_users_inline_policies(make_app: MakeApp) -> None:
    """2,048 characters: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html."""
    stack = cdk.Stack(make_app(), "Stack", env=HERE)
    found = preferences(stack, encryption_key=existing_key(stack, resource="alias/session-manager"))

    found.grant_start_session(
        iam.User(stack, "Operator"), instance_tags={"team": "web-servers"}, **EVERY_GRANT
    )

    assert len(json.dumps(deployed(statements(stack)), separators=(",", ":"))) < 2048


# who can be granted to


@jsii.implements(iam.IPrincipal)
class PermissionSet(cdk.Resource):
    """A grantee of a library for IAM Identity Center, which keeps its statements itself."""

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

    def add_to_principal_policy(
        self, statement: iam.PolicyStatement
    ) -> iam.AddToPrincipalPolicyResult:
        if not self._takes:
            return iam.AddToPrincipalPolicyResult(statement_added=False)
        self.statements.append(statement)
        return iam.AddToPrincipalPolicyResult(statement_added=True, policy_dependable=self)


@jsii.implements(iam.IGrantable)
class Owner(cdk.Resource):
    """A construct whose `grant_principal` is another principal."""

    def __init__(self, scope: cdk.Stack, construct_id: str, principal: iam.IPrincipal) -> None:
        super().__init__(scope, construct_id)
        self._principal = principal

    @property
    def grant_principal(self) -> iam.IPrincipal:
        return self._principal


def user_of(account: str) -> GranteeOf:
    arn = f"arn:aws:iam::{account}:user/path/operator"
    return lambda s: iam.User.from_user_arn(s, "It", arn)


def group_by_arn(stack: cdk.Stack, arn: str = f"arn:aws:iam::{ACCOUNT}:group/team") -> iam.IGroup:
    return iam.Group.from_group_arn(stack, "It", arn)


MADE: Final = {"Ref": "It16E14BEE"}
GRANTEES: Final[Mapping[str, tuple[GranteeOf, str, object]]] = {
    "user": (lambda s: iam.User(s, "It"), "Users", MADE),
    "imported user": (lambda s: iam.User.from_user_name(s, "It", "operator"), "Users", "operator"),
    "user by its ARN": (user_of(ACCOUNT), "Users", "operator"),
    "group": (lambda s: iam.Group(s, "It"), "Groups", MADE),
    "imported group": (lambda s: iam.Group.from_group_name(s, "It", "team"), "Groups", "team"),
    "group by ARN": (group_by_arn, "Groups", "team"),
    "group of the app by ARN": (
        lambda s: group_by_arn(s, iam.CfnGroup(s, "Made", path="/").attr_arn),
        "Groups", {"Fn::Select": [1, {"Fn::Split": ["/", {"Fn::Select": [5, {"Fn::Split": [
            ":", {"Fn::GetAtt": ["Made", "Arn"]}]}]}]}]}),
    "role": (lambda s: owned_role(s, "It"), "Roles", MADE),
    "imported role": (existing_role, "Roles", "Existing"),
    "role by ARN": (lambda s: role_by_arn(s, role_arn("path/Existing")), "Roles", "Existing"),
    "what has a role": (lambda s: Owner(s, "Owner", existing_role(s)), "Roles", "Existing"),
    "role with session tags": (
        lambda s: Owner(s, "Owner", iam.SessionTagsPrincipal(existing_role(s))),
        "Roles", "Existing"),
}  # fmt: skip


@pytest.mark.parametrize("grantee", GRANTEES)
def test_users_groups_and_roles_get_an_inline_policy(stack_here: cdk.Stack, grantee: str) -> None:
    grantee_of, property_name, name = GRANTEES[grantee]
    grant(stack_here, grantee_of(stack_here)).assert_success()
    assert policy(stack_here)[property_name] == [name]
    assert len(statements(stack_here)) == 4


BY_A_PATH: Final[Mapping[str, GranteeOf]] = {
    "group by a name": lambda s: iam.Group.from_group_name(s, "It", "path/team"),
    "group": lambda s: group_by_arn(s, f"arn:aws:iam::{ACCOUNT}:group/path/team"),
    "group of the app": lambda s: group_by_arn(s, iam.CfnGroup(s, "Made", path="/a/").attr_arn),
    "user of the app": lambda s: iam.User.from_user_arn(
        s, "It", iam.CfnUser(s, "Made", path="/a/").attr_arn
    ),
}


@pytest.mark.parametrize("kind", BY_A_PATH)
def test_a_path_that_cdk_takes_for_the_name_is_refused(stack_here: cdk.Stack, kind: str) -> None:
    way_out = "give iam.User.from_user_name" if "user" in kind else "give iam.Group.from_group_name"
    with pytest.raises(ValueError, match=f"^grantee 'Stack/It' .* a path, .*: {way_out}"):
        grant(stack_here, BY_A_PATH[kind](stack_here))


def test_a_role_that_aws_alone_can_change_is_refused(stack_here: cdk.Stack) -> None:
    with pytest.raises(ValueError, match=r"^role .* is a service-linked role"):
        grant(stack_here, role_by_arn(stack_here, role_arn("aws-service-role/a.amazonaws.com/A")))


def test_what_cdk_can_not_grant_to_is_a_type_error(stack: cdk.Stack) -> None:
    theirs: Any = iam.ManagedPolicy.from_managed_policy_name(stack, "Managed", "theirs")
    for number, grantee in enumerate((theirs, l1_role(stack))):
        found = preferences(stack, f"Preferences{number}")
        with pytest.raises(TypeError, match=r"^grantee must be "):
            found.grant_start_session(grantee, all_instances=True)


def test_a_lazy_role_takes_the_statements_when_it_is_made(stack_here: cdk.Stack) -> None:
    lazy = iam.LazyRole(stack_here, "Lazy", assumed_by=OPERATORS)

    assert grant(stack_here, lazy).success
    assert resources(stack_here, "AWS::IAM::Role") == {}
    assert lazy.role_name
    assert len(statements(stack_here)) == 4


def test_a_permission_set_takes_the_statements(stack_here: cdk.Stack) -> None:
    permission_set = PermissionSet(cdk.Stack(app_of(stack_here), "There", env=ELSEWHERE), "Set")

    assert grant(stack_here, permission_set).success

    sids = [statement.to_statement_json().get("Sid", "") for statement in permission_set.statements]
    assert [sid[:-8] for sid in sids] == ["StartSessionInstances", "StartSessionDocument", "", ""]
    assert template(stack_here).get("Resources", {}) == {}


def test_what_waits_for_a_grant_waits_for_its_policy(stack_here: cdk.Stack) -> None:
    granted = grant(stack_here, group(stack_here))
    kind = "AWS::CloudFormation::WaitConditionHandle"

    granted.apply_before(cdk.CfnResource(stack_here, "Waiting", type=kind))

    (awaited,) = resources(stack_here, "AWS::IAM::Policy")
    assert template(stack_here)["Resources"]["Waiting"]["DependsOn"] == [awaited]


def test_a_grant_crosses_stacks(make_app: MakeApp, references: dict[str, object]) -> None:
    app = make_app(**references)
    documents, people = cdk.Stack(app, "Documents", env=HERE), cdk.Stack(app, "People", env=HERE)

    made = SessionPreferences(documents, "Preferences")
    made.grant_start_session(group(people), all_instances=True)

    assert crosses(by_sid(people)["StartSessionDocument"])
    assert resources(documents, "AWS::IAM::Policy") == {}


# grants that go nowhere


IMMUTABLE: Final[Mapping[str, GranteeOf]] = {
    "mutable=False": lambda s: role_by_arn(s, mutable=False),
    "without policy updates": lambda s: owned_role(s, "It").without_policy_updates(),
    "role of another account": lambda s: role_by_arn(s, role_arn(account=OTHER_ACCOUNT)),
    "role of another account's stack, by its ARN": lambda s: role_by_arn(
        s, owned_role(cdk.Stack(app_of(s), "Other", env=ELSEWHERE), name="Named").role_arn
    ),
    "user of another account": user_of(OTHER_ACCOUNT),
    "what has one": lambda s: Owner(s, "It", owned_role(s).without_policy_updates()),
    "function of no role": lambda s: lambda_.Function.from_function_name(s, "It", "operator"),
    "unknown principal": lambda s: iam.UnknownPrincipal(resource=owned_role(s)),
    "permission set that takes nothing": lambda s: PermissionSet(s, "It", takes=False),
    "service": lambda _: iam.ServicePrincipal("ec2.amazonaws.com"),
    "role's ARN": lambda _: iam.ArnPrincipal(role_arn()),
}


@pytest.mark.parametrize("kind", IMMUTABLE)
def test_a_grant_that_goes_nowhere_names_the_grantee(stack_here: cdk.Stack, kind: str) -> None:
    grantee = IMMUTABLE[kind](stack_here)
    path = getattr(getattr(grantee, "node", None), "path", None)
    name = repr(path) if path else f"of the type {type(grantee).__name__}"
    with pytest.raises(ValueError, match=f"^grantee {name} can't be granted anything from here"):
        grant(stack_here, grantee)


OF_OTHER_STACKS: Final[Mapping[str, GranteeOf]] = {
    "role": lambda s: owned_role(s, "It"),
    "lazy role": lambda s: iam.LazyRole(s, "It", assumed_by=OPERATORS),
    "imported role": lambda s: existing_role(s, "It"),
    "user": lambda s: iam.User(s, "It"),
    "group": lambda s: iam.Group(s, "It"),
    "imported group": lambda s: iam.Group.from_group_name(s, "It", "team"),
    "managed policy": lambda s: iam.ManagedPolicy(s, "It"),
    "policy": lambda s: iam.Policy(s, "It", roles=[existing_role(s)]),
    "what has a role": lambda s: Owner(s, "It", owned_role(s)),
}


@pytest.mark.parametrize("kind", OF_OTHER_STACKS)
def test_what_another_account_s_stack_has_is_left_as_it_is(make_app: MakeApp, kind: str) -> None:
    app = make_app()
    found = preferences(cdk.Stack(app, "Stack", env=HERE))
    agnostic = cdk.Stack(app, "Agnostic")
    assert found.grant_start_session(OF_OTHER_STACKS[kind](agnostic), all_instances=True).success
    other = cdk.Stack(app, "Other", env=ELSEWHERE)
    grantee = OF_OTHER_STACKS[kind](other)
    before = len(other.node.find_all())

    with pytest.raises(ValueError, match=r"^grantee 'Other/It' can't be granted anything from"):
        found.grant_start_session(grantee, all_instances=True)

    assert len(other.node.find_all()) == before


def test_an_immutable_role_is_refused_though_the_role_has_a_policy(stack_here: cdk.Stack) -> None:
    role = owned_role(stack_here, "It")
    grant(stack_here, role)
    found: Any = stack_here.node.find_child("Preferences")

    with pytest.raises(ValueError, match=r"^grantee 'Stack/ImmutableRoleIt' can't be granted"):
        found.grant_start_session(role.without_policy_updates(), all_instances=True)


def test_a_grantee_that_only_the_deployment_knows_is_let_through(stack: cdk.Stack) -> None:
    name = parameter(stack, "Name")
    whole = parameter(stack, "Arn")
    found = preferences(stack)

    for grantee in (
        iam.User.from_user_name(stack, "User", f"ops-{name}"),
        iam.User.from_user_arn(stack, "UserByArn", whole),
        iam.Group.from_group_name(stack, "Group", name),
        iam.Group.from_group_arn(stack, "GroupByArn", whole),
        existing_role(stack, "Role", name),
        iam.Role.from_role_arn(stack, "RoleByArn", whole),
        user_of(OTHER_ACCOUNT)(stack),  # as each account may be the stack's own
    ):
        assert found.grant_start_session(grantee, all_instances=True).success


@pytest.mark.parametrize(("region_in_id", "names"), [(False, 1), (True, 2)])
def test_a_groups_id_names_its_policy(make_app: MakeApp, names: int, *, region_in_id: bool) -> None:
    """As documented: a group is global, so two regions must not name its policies alike."""
    app, found = make_app(), set()
    for region in (REGION, "eu-west-3"):
        env = cdk.Environment(account=ACCOUNT, region=region)
        stack = cdk.Stack(app, f"Stack-{region}", env=env)
        construct_id = f"Operators-{stack.region}" if region_in_id else "Operators"
        grant(stack, iam.Group.from_group_name(stack, construct_id, "operators"))
        found.add(policy(stack)["PolicyName"])

    assert len(found) == names


@pytest.mark.parametrize(
    "wrap", [iam.SessionTagsPrincipal, lambda one: iam.PrincipalWithConditions(one, {})]
)
def test_what_wraps_an_immutable_role_hides_that_it_takes_nothing(
    stack_here: cdk.Stack, wrap: Callable[[iam.IPrincipal], iam.IPrincipal]
) -> None:
    """As documented: CDK reports success, and does not reveal the wrapped role."""
    assert grant(stack_here, wrap(role_by_arn(stack_here, mutable=False))).success
    assert resources(stack_here, "AWS::IAM::Policy") == {}


@pytest.mark.parametrize("wrap", [iam.SessionTagsPrincipal, lambda one: one])
def test_conditions_of_a_grantee_are_refused_as_no_grant_has_them(
    stack_here: cdk.Stack, wrap: Callable[[iam.IPrincipal], iam.IPrincipal]
) -> None:
    with_mfa = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}

    with pytest.raises(ValueError, match="grantee has the conditions"):
        grant(stack_here, wrap(iam.PrincipalWithConditions(existing_role(stack_here), with_mfa)))

    assert resources(stack_here, "AWS::IAM::Policy") == {}


# grants that CDK leaves out on purpose


@pytest.mark.parametrize(("role_of", "where", "prevent_synthesis"), ROLES_OF_OTHERS)
def test_a_role_that_others_create_is_no_error_and_the_report_lists_the_statements(
    make_app: MakeApp, role_of: GranteeOf, where: str, *, prevent_synthesis: bool
) -> None:
    stack = customized(make_app(), where, prevent_synthesis=prevent_synthesis)

    assert grant(stack, role_of(stack), instance_tags={"team": "web"}).success

    assert [statement["Action"] for statement in reported(stack)["Stack/Role"]] == [
        "ssm:StartSession", "ssm:StartSession", ["ssm:TerminateSession", "ssm:ResumeSession"],
        "ssmmessages:OpenDataChannel",
    ]  # fmt: skip


# types


@pytest.mark.parametrize(("argument", "value"), [
    ("instance_arns", INSTANCE),
    ("instance_tags", ["team"]),
    ("instance_tags", []),
    *((name, wrong) for name in ("all_instances", *EVERY_GRANT) for wrong in ("no", 1, None)),
])  # fmt: skip
def test_a_wrong_type_is_a_type_error(stack: cdk.Stack, argument: str, value: object) -> None:
    access: dict[str, Any] = {"instance_tags": {"team": "web"}, argument: value}
    with pytest.raises(TypeError, match=f"^{argument} must be "):
        grant(stack, group(stack), **access)


# by IAM's own rules

SESSION: Final = f"arn:aws:ssm:{REGION}:{ACCOUNT}:session/ana-0123456789abcdef0"
TAG: Final = "ssm:resourceTag/aws:ssmmessages:session-id"


def evaluator(stack: cdk.Stack, user_id: str = "AIDA1") -> May:
    """What the deployed statements allow an operator with this id."""
    text = json.dumps(deployed(statements(stack)))
    return evaluated(json.loads(text.replace("${aws:userid}", user_id)))


def on(service: str, resource: str, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def starts(resource: str, **context: object) -> Request:
    """A request for a session on a resource with these tags."""
    tags = {f"ssm:resourceTag/{name}": value for name, value in context.items()}
    return "ssm:StartSession", resource, tags


def starts_aws(document: str) -> Request:
    return starts(on("ssm", f"document/{document}", account=""))


def makes_data_key(key: str = KEY_ID, **context: object) -> Request:
    keys = {"session": "kms:EncryptionContext:aws:ssm:SessionId", "aliases": "kms:ResourceAliases"}
    known = {keys[name]: value for name, value in context.items()}
    return "kms:GenerateDataKey", on("kms", f"key/{key}"), known


THE_DOCUMENT: Final = on("ssm", f"document/{DEFAULT}")
THIS: Final[Any] = {"session": "ana-0123456789abcdef0"}
REQUESTS: Final[dict[str, Request]] = {
    "web": starts(INSTANCE, team="web"),
    "web and test": starts(INSTANCE, team="web", stage="test"),
    "shop": starts(INSTANCE, team="shop"),
    "untagged": starts(INSTANCE),
    "other, web": starts(OTHER_INSTANCE, team="web"),
    "other, shop and test": starts(OTHER_INSTANCE, team="shop", stage="test"),
    "other, untagged": starts(OTHER_INSTANCE),
    "another region": starts(on("ec2", "instance/i-1", "eu-west-3"), team="web", stage="test"),
    "another account": starts(
        on("ec2", "instance/i-1", account=OTHER_ACCOUNT), team="web", stage="test"),
    "on premises": starts(MANAGED_INSTANCE, team="web", stage="test"),
    "document": starts(THE_DOCUMENT),
    "document, by tag": starts(THE_DOCUMENT, team="web", stage="test"),
    "other document": starts(on("ssm", "document/Other")),
    "SSH": starts_aws("AWS-StartSSHSession"),
    "SSH by a document of one's own": starts(on("ssm", "document/AWS-StartSSHSession")),
    "port": starts_aws("AWS-StartPortForwardingSession"),
    "remote port": starts_aws("AWS-StartPortForwardingSessionToRemoteHost"),
    "command": starts_aws("AWS-StartInteractiveCommand"),
    "silent command": starts_aws("AWS-StartNonInteractiveCommand"),
    **{name: (name, "*", {})
       for name in (
           *("ssm-guiconnect:StartConnection", "ssm-guiconnect:GetConnection"),
           *("ssm-guiconnect:CancelConnection", "ssm-guiconnect:ListConnections"),
           *("ssm:DescribeInstanceInformation", "ssm:DescribeSessions"),
           *("ssm:GetConnectionStatus", "ssm:DescribeInstanceProperties"),
           *("ec2:DescribeInstances", "ssm:SendCommand", "ssm:GetDocument"),
       )},
    "a change of the document": ("ssm:UpdateDocument", THE_DOCUMENT, {}),
    "a stop": ("ec2:StopInstances", INSTANCE, WEB),
    "own session": ("ssm:TerminateSession", SESSION, {TAG: "AIDA1"}),
    "another's session": ("ssm:ResumeSession", SESSION, {TAG: "AIDA2"}),
    "session without a tag": ("ssm:TerminateSession", SESSION, {}),
    "channel": ("ssmmessages:OpenDataChannel", SESSION, {}),
    "channel of an agent": ("ssmmessages:CreateDataChannel", SESSION, {}),
    "key": makes_data_key(),
    "key, session": makes_data_key(**THIS),
    "key, alias": makes_data_key(aliases=[ALIAS]),
    "key, alias and session": makes_data_key(aliases=["alias/old", ALIAS], **THIS),
    "key, other alias and session": makes_data_key(aliases=["alias/other"], **THIS),
    "other key, alias and session": makes_data_key("2345", aliases=[ALIAS], **THIS),
    "decrypt": ("kms:Decrypt", on("kms", f"key/{KEY_ID}"), {}),
}  # fmt: skip
ALWAYS: Final = {"document", "document, by tag", "own session", "channel"}
OF_WEB: Final = ALWAYS | {"web", "web and test", "other, web"}
OF_THE_INSTANCE: Final = {"web", "web and test", "shop", "untagged"}
OF_SHOP: Final = {"shop", "other, shop and test"}
CONSOLE: Final = {
    *("ssm:DescribeSessions", "ssm:GetConnectionStatus", "ssm:DescribeInstanceProperties"),
    *("ssm:DescribeInstanceInformation", "ec2:DescribeInstances"),
}
COMMANDS: Final = {"command", "silent command"}
DESKTOP: Final = {f"ssm-guiconnect:{verb}Connection" for verb in ("Start", "Get", "Cancel")}
KEY: Final = {"key", "key, alias", "key, session"} | {
    f"key, {alias} and session" for alias in ("alias", "other alias")
}
ON_WEB: Final[dict[str, Any]] = {"instance_tags": {"team": "web"}}
TWO_TAGS: Final[dict[str, Any]] = {"instance_tags": {"team": ["web", "shop"], "stage": "test"}}
GRANTS: Final[dict[str, tuple[dict[str, Any], set[str]]]] = {
    "a tag": (ON_WEB, OF_WEB),
    "two tags": (TWO_TAGS, ALWAYS | {"web and test", "other, shop and test"}),
    "the operator's own tag": ({"instance_tags": {"team": "${aws:PrincipalTag/team}"}}, ALWAYS),
    "an ARN": ({"instance_arns": [INSTANCE]}, ALWAYS | OF_THE_INSTANCE),
    "an ARN and a tag": ({"instance_arns": (INSTANCE, MANAGED_INSTANCE), **ON_WEB},
        ALWAYS | {"web", "web and test", "on premises"}),
    "all": ({"all_instances": True}, OF_WEB | OF_THE_INSTANCE | OF_SHOP | {"other, untagged"}),
    "SSH": ({**ON_WEB, "allow_ssh": True}, OF_WEB | {"SSH"}),
    "ports": ({**ON_WEB, "allow_port_forwarding": True}, OF_WEB | {"port"}),
    "remote ports": ({**ON_WEB, "allow_remote_port_forwarding": True}, OF_WEB | {"remote port"}),
    "commands": ({**ON_WEB, "allow_interactive_commands": True}, OF_WEB | COMMANDS),
    "desktop": ({**ON_WEB, "allow_remote_desktop": True}, OF_WEB | DESKTOP | {"port"}),
    "console": ({**ON_WEB, "allow_console": True}, OF_WEB | CONSOLE),
    "every option": ({**ON_WEB, **EVERY_GRANT},
        OF_WEB | DESKTOP | CONSOLE | COMMANDS | {"SSH", "port", "remote port"}),
    "key": ({**ON_WEB, "key": "imported key"}, OF_WEB | KEY),
    "alias": ({**ON_WEB, "key": "imported alias"},
        OF_WEB | {"key, alias", "key, alias and session", "other key, alias and session"}),
    "key for sessions": ({**ON_WEB, "key": "imported key", "decrypt_sessions_only": True},
        OF_WEB | KEY - {"key", "key, alias"}),
    "alias for sessions": ({**ON_WEB, "key": "imported alias", "decrypt_sessions_only": True},
        OF_WEB | {"key, alias and session", "other key, alias and session"}),
    "two documents": ({**ON_WEB, "other": "shop"}, OF_WEB | OF_SHOP | {"other document"}),
}  # fmt: skip
OF_OTHERS: Final = (
    ("ssm:TerminateSession", on("ssm", "session/bob-1")),
    ("ssm:StartSession", on("ec2", "instance/i-1")),
    ("ssm:ListDocuments", "*"),
    ("kms:Decrypt", on("kms", "key/2")),
)


@pytest.mark.parametrize(("name", "minimize"), [*zip(GRANTS, itertools.cycle([False, True]))])
def test_a_grant_allows_this_and_no_more(make_app: MakeApp, name: str, *, minimize: bool) -> None:
    stack = cdk.Stack(make_app(**{MINIMIZE: minimize}), "Stack", env=HERE)
    operators = group(stack)
    for action, resource in OF_OTHERS:
        operators.add_to_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
    given, allowed = GRANTS[name]
    access = {option: value for option, value in given.items() if option not in {"key", "other"}}
    key = KEYS[given["key"]](stack) if "key" in given else None
    preferences(stack, encryption_key=key).grant_start_session(operators, **access)
    if "other" in given:
        other = preferences(stack, "Other", document_name="Other")
        other.grant_start_session(operators, instance_tags={"team": given["other"]})

    may = evaluator(stack)

    assert {what for what, request in REQUESTS.items() if may(*request)} == allowed
    assert lint(json.dumps(template(stack))) == []


def test_a_client_that_skips_the_check_of_the_document_is_denied(stack_here: cdk.Stack) -> None:
    grant(stack_here, group(stack_here), **ON_WEB)
    may = evaluator(stack_here)

    for resource in (INSTANCE, THE_DOCUMENT):
        for checks in ("true", "false"):
            context = WEB | {"ssm:SessionDocumentAccessCheck": checks}
            assert may("ssm:StartSession", resource, context) == (checks == "true")


def may_take_over(may: May, tag: str) -> set[bool]:
    return {may(f"ssm:{verb}Session", SESSION, {TAG: tag}) for verb in ("Terminate", "Resume")}


NEAR: Final = (
    *(("AIDA1", "AIDA12"), (f"{ACCOUNT}:ana", f"{ACCOUNT}:anabel")),  # users, federated users
    *(("AROA1:ana", other) for other in ("AROA1:anabel", "AROA1:ana*", "AROA1:*", "AROA1:Ana")),
    *(("AROA1:ana", "AROA2:ana"), ("AROA1:ana", "AROA1"), ("AROA1:a@b.com", "AROA1:a@b.com.au")),
)


def test_an_operator_has_a_hold_on_own_and_hyphenated_ids_alone(stack_here: cdk.Stack) -> None:
    grant(stack_here, group(stack_here))

    def holds(own: str, another: str) -> bool:
        may = evaluator(stack_here, own)
        for session in (own, f"{own}-0123456789abcdef0"):
            assert may_take_over(may, session) == {True}
        (found,) = may_take_over(may, another) | may_take_over(may, f"{another}-0123456789abcdef0")
        return found

    hyphenated = ("AROA1:ana", "AROA1:ana-b", "AROA1:ana-0123456789abcdef0-b")
    assert all(holds("AROA1:ana", another) for another in hyphenated)
    assert not any(holds(own, another) for own, another in NEAR)
