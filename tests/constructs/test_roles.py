"""Which role the policy is attached to, and which roles are refused."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk.interfaces import aws_iam as iam_interfaces
from aws_cdk.interfaces.aws_iam import IInstanceProfileRef, IRoleRef
from constructs import Construct

from session_manager_permissions import (
    SessionManagerAccess,
    SessionManagerFleet,
    SessionManagerPermissions,
)
from tests.builders import PROFILE_ARN, imported_profile, instance, l1_profile, permit
from tests.conftest import MakeApp
from tests.keys import existing_key
from tests.places import ELSEWHERE, HERE, OTHER_ACCOUNT, REGION, THERE, key_arn, role_arn
from tests.reading import app_of, policy, reported, resources, template, warnings
from tests.roles import (
    EC2,
    EXISTING_ROLES,
    FIXED_ROLES,
    OWNED_ROLES,
    ROLES_OF_OTHERS,
    customized,
    existing_role,
    immutable_role,
    l1_role,
    owned_role,
    role_by_arn,
)
from tests.templates import include_profile, names_of_a_parameter, parameter

RoleOf = Callable[[cdk.Stack], IRoleRef]
ProfileOf = Callable[[cdk.Stack], IInstanceProfileRef]


# what it attaches to


@jsii.implements(iam_interfaces.IInstanceProfileRef)
class ProfileOfOnesOwn(cdk.Resource):
    @property
    def instance_profile_ref(self) -> iam_interfaces.InstanceProfileReference:
        return iam_interfaces.InstanceProfileReference(
            instance_profile_arn=PROFILE_ARN, instance_profile_name="Profile"
        )


@pytest.mark.parametrize("kind", [*EXISTING_ROLES, *OWNED_ROLES])
def test_a_role_or_the_role_of_a_profile_gets_the_policy(stack: cdk.Stack, kind: str) -> None:
    permit(stack, (EXISTING_ROLES | OWNED_ROLES)[kind](stack))
    owned: list[object] = [{"Ref": name} for name in resources(stack, "AWS::IAM::Role")]
    assert bool(owned) == (kind in OWNED_ROLES)
    assert policy(stack)["Roles"] == (owned or ["Existing"])


def test_the_l1_of_an_l2_role_stands_for_the_l2(stack: cdk.Stack) -> None:
    role = owned_role(stack)
    assert permit(stack, l1_profile(stack, role.role_name)).roles == [role]


def test_an_l1_role_made_inside_an_l2_role_is_one_of_its_own(stack: cdk.Stack) -> None:
    role = l1_role(owned_role(stack), "Another")
    permit(stack, role)
    assert policy(stack)["Roles"] == [{"Ref": stack.get_logical_id(role)}]


# How people write the role of an instance profile, and how a policy has to list it.
ROLES_OF_INCLUDED_PROFILES: Final[list[tuple[object, object]]] = [
    ([{"Ref": "Role"}], {"Ref": "Role"}),
    ([{"Ref": "Name"}], {"Ref": "Name"}),
    (["Existing"], "Existing"),
    ({"Ref": "Names"}, {"Fn::Select": [0, {"Ref": "Names"}]}),
    ([{"Fn::Sub": "${Name}-x"}], {"Fn::Sub": "${Name}-x"}),
    ([{"Fn::ImportValue": "shared-role"}], {"Fn::ImportValue": "shared-role"}),
]
WAYS: Final[dict[str, Callable[[cdk.Stack, Any], object]]] = {
    "construct": permit,
    "construct with a name": lambda stack, profile: permit(stack, profile, policy_name="Sessions"),
    "fleet": lambda stack, _: SessionManagerFleet(stack, "Fleet"),
    "mixin": lambda stack, _: stack.with_(SessionManagerAccess()),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("given", "attached"), ROLES_OF_INCLUDED_PROFILES)
def test_the_role_of_an_included_profile_gets_the_policy(
    stack: cdk.Stack, tmp_path: Path, way: str, given: object, attached: object
) -> None:
    WAYS[way](stack, include_profile(stack, tmp_path, given).get_resource("Profile"))
    assert policy(stack)["Roles"] == [attached]


def conditional(stack: cdk.Stack, name: str) -> iam.CfnRole:
    """An L1 role on a condition of its own."""
    role = l1_role(stack, name)
    role.cfn_options.condition = cdk.CfnCondition(stack, f"Has{name}")
    return role


def test_each_role_on_a_condition_is_warned_of(stack: cdk.Stack) -> None:
    owned: Any = owned_role(stack)
    permissions = SessionManagerPermissions(stack, "Permissions", role=owned)
    permissions.attach_to_role(l1_role(stack))
    assert warnings(stack) == []

    owned.node.default_child.cfn_options.condition = cdk.CfnCondition(stack, "Has")
    permissions.attach_to_role(conditional(stack, "One"))
    permissions.attach_to_role(role_by_arn(stack, conditional(stack, "Two").attr_arn))
    assert [warning.partition(", and")[0] for warning in warnings(stack)] == [
        f"role 'Stack/{role}' has the condition 'Stack/{condition}'"
        for role, condition in (("Owned/Resource", "Has"), ("One", "HasOne"), ("Two", "HasTwo"))
    ]


def test_a_policy_on_a_condition_of_its_own_is_not_warned_of(stack: cdk.Stack) -> None:
    permissions = SessionManagerPermissions(stack, "Permissions", role=conditional(stack, "One"))
    cfn_policy = cast("iam.CfnPolicy", permissions.policy.node.default_child)
    cfn_policy.cfn_options.condition = cdk.CfnCondition(stack, "HasOneAndMore")
    assert warnings(stack) == []


def test_a_policy_waits_for_the_roles_that_the_stack_makes_by_their_names(stack: cdk.Stack) -> None:
    names = ["Named", parameter(stack, "Name"), cdk.Fn.sub("${Name}-x"), "Wanted", "Existing"]
    conditional(stack, "Conditional").role_name = "Wanted"
    permissions = permit(stack, owned_role(stack, name="Owned"))
    for number, name in enumerate(names):
        permissions.attach_to_instance_profile(l1_profile(stack, name, construct_id=f"P{number}"))
    # those that are made later count, as do those before
    made = [l1_role(stack, f"Role{number}", name) for number, name in enumerate(names[:3])]
    (body,) = resources(stack, "AWS::IAM::Policy").values()
    assert body["DependsOn"] == [stack.get_logical_id(role) for role in made]


@pytest.mark.parametrize("make_role", [owned_role, l1_role])
def test_a_role_of_another_stack_gets_the_policy_by_an_output(
    make_app: MakeApp, references: dict[str, object], make_role: RoleOf
) -> None:
    app = make_app(**references)
    owner, here = cdk.Stack(app, "Owner", env=HERE), cdk.Stack(app, "Here", env=HERE)
    permit(here, make_role(owner))
    (role,) = policy(here)["Roles"]
    outputs = template(owner)["Outputs"]
    if references:
        got = role["Fn::GetStackOutput"]
        assert got["StackName"] == "Owner"
        output = outputs[got["OutputName"]]
    else:
        (output,) = outputs.values()
        assert role == {"Fn::ImportValue": output["Export"]["Name"]}
    assert output["Value"] == {"Ref": next(iter(resources(owner, "AWS::IAM::Role")))}


def test_a_role_of_the_parent_stack_gets_it_from_a_nested_stack(make_app: MakeApp) -> None:
    parent = cdk.Stack(make_app(), "Stack")
    nested = cdk.NestedStack(parent, "Nested")
    role = owned_role(parent)
    permissions = SessionManagerPermissions(nested, "Permissions", role=role)
    permissions.attach_to_instance_profile(l1_profile(parent, role.role_name))
    (name,) = policy(nested)["Roles"]
    assert re.fullmatch(r"referencetoStackOwned\w+Ref", name["Ref"])


def test_an_environment_agnostic_stack_counts_every_account_as_its_own(stack: cdk.Stack) -> None:
    permissions = permit(stack, role_by_arn(stack, role_arn(account=OTHER_ACCOUNT)))
    assert policy(stack)["Roles"] == ["Existing"]
    theirs = role_by_arn(cdk.Stack(app_of(stack), "Here", env=HERE), role_arn("It", OTHER_ACCOUNT))
    with pytest.raises(ValueError, match=f"no policy to it: .* a stack of account {OTHER_ACCOUNT}"):
        permissions.attach_to_role(theirs)


@pytest.mark.parametrize(("owner_env", "env"), [(None, HERE), (HERE, None)])
def test_an_owned_role_counts_as_the_same_accounts_where_one_is_unknown(
    make_app: MakeApp, owner_env: cdk.Environment | None, env: cdk.Environment | None
) -> None:
    owner = cdk.Stack(make_app(), "Owner", env=owner_env)
    stack = cdk.Stack(app_of(owner), "Stack", env=env)
    permit(stack, owned_role(owner, name="Named"))
    assert policy(stack)["Roles"] == ["Named"]


# what CDK would leave without the policy, in silence


@pytest.mark.parametrize("kind", FIXED_ROLES)
def test_a_fixed_role_is_refused_also_beside_another(stack_here: cdk.Stack, kind: str) -> None:
    make, why = FIXED_ROLES[kind]
    fixed = make(stack_here)
    with pytest.raises(ValueError, match=re.escape(why)):
        SessionManagerPermissions(stack_here, "Alone", role=fixed)
    made = iam.InstanceProfile(stack_here, "Profile", role=fixed).node.default_child
    with pytest.raises(ValueError, match=re.escape(why)):
        SessionManagerPermissions(stack_here, "OfProfile", instance_profile=cast("Any", made))
    role = existing_role(stack_here, "Other", "Other")
    permissions = SessionManagerPermissions(stack_here, "Permissions", role=role)
    with pytest.raises(ValueError, match=re.escape(why)):
        permissions.attach_to_role(fixed)
    assert permissions.roles == [role]


THEIR_ARN: Final = role_arn(account=OTHER_ACCOUNT)
OF_ANOTHER_ACCOUNT: Final[dict[str, Callable[[cdk.Stack, cdk.Stack], object]]] = {
    "ARN with a region": lambda h, _: role_by_arn(h, THEIR_ARN.replace("::", f":{REGION}:")),
    "role by name in their stack": lambda _, there: existing_role(there),
    "L2 role": lambda _, there: owned_role(there, name="Named"),
    "L1 role": lambda _, there: l1_role(there, name="Named"),
    "lazy role": lambda _, there: iam.LazyRole(there, "It", assumed_by=EC2, role_name="Named"),
    "L2 role by its ARN": lambda h, there: role_by_arn(h, owned_role(there, name="N").role_arn),
    "L2 role by its name": lambda h, t: existing_role(h, name=owned_role(t, name="N").role_name),
    "L1 profile of an L1": lambda _, there: l1_profile(there, l1_role(there, name="N").ref),
    "L1 profile of L2": lambda _, there: l1_profile(there, owned_role(there, name="N").role_name),
    "L2 profile": lambda _, there: iam.InstanceProfile(there, "Profile"),
    "L1 profile with a name": lambda _, there: l1_profile(there, "Existing"),
    "L1 profile with a list": lambda _, there: iam.CfnInstanceProfile(
        there, "Profile", roles=names_of_a_parameter(there)
    ),
    "imported profile": lambda here, there: imported_profile(there, role_by_arn(here, THEIR_ARN)),
}


@pytest.mark.parametrize("kind", OF_ANOTHER_ACCOUNT)
def test_a_role_of_another_account_is_refused(stack_here: cdk.Stack, kind: str) -> None:
    there = cdk.Stack(app_of(stack_here), "Other", env=ELSEWHERE)
    with pytest.raises(ValueError, match=f"belongs to account {OTHER_ACCOUNT}"):
        permit(stack_here, OF_ANOTHER_ACCOUNT[kind](stack_here, there))


def test_a_role_of_another_account_is_refused_beside_its_namesake(stack_here: cdk.Stack) -> None:
    permissions = permit(stack_here, existing_role(stack_here))
    with pytest.raises(ValueError, match=f"belongs to account {OTHER_ACCOUNT}"):
        permissions.attach_to_role(role_by_arn(stack_here, THEIR_ARN))


@pytest.mark.parametrize("name", ["Existing", "DUMMY_ARN"])
def test_a_role_really_of_the_dummys_account_is_refused(stack_here: cdk.Stack, name: str) -> None:
    with pytest.raises(ValueError, match="belongs to account 123456789012"):
        permit(stack_here, role_by_arn(stack_here, role_arn(name, "123456789012")))


# roles that others create (iam.Role.customize_roles)


@pytest.mark.parametrize(
    ("role_of", "where", "prevent_synthesis"),
    [*ROLES_OF_OTHERS, pytest.param(immutable_role, "app", True, id="mutable=False")],
)
def test_a_customized_role_is_no_error_and_the_report_lists_each_statement_once(
    make_app: MakeApp, role_of: RoleOf, where: str, *, prevent_synthesis: bool
) -> None:
    stack = customized(make_app(), where, prevent_synthesis=prevent_synthesis)
    role = role_of(stack)
    made = permit(stack, role, encryption_key=existing_key(stack), decrypt_sessions_only=True)
    later = existing_key(stack, "Later", region="eu-west-2")
    made.add_encryption_key(later)
    made.add_encryption_key(later)
    made.attach_to_role(role)

    statements = reported(stack)["Stack/Role"]
    assert [(s.get("Sid"), s["Resource"], "Condition" in s) for s in statements] == [
        ("SessionManagerChannels", "*", False),
        ("SessionManagerLogEncryption", "*", False),
        ("SessionManagerDecrypt", key_arn(), True),
        ("SessionManagerDecrypt", key_arn("eu-west-2"), True),
    ]
    assert not resources(stack, "AWS::IAM::Policy")


def test_a_customized_role_beside_another_leaves_the_other_its_policy(make_app: MakeApp) -> None:
    app = make_app()
    theirs = cdk.Stack(app, "Theirs")
    iam.Role.customize_roles(theirs)
    stack = cdk.Stack(app, "Stack")
    permissions = SessionManagerPermissions(stack, "Permissions", role=existing_role(stack))
    permissions.attach_to_role(existing_role(theirs, "Role", "Customized"))
    permissions.add_encryption_key(existing_key(stack))
    assert policy(stack)["Roles"] == ["Existing"]
    assert [s["Resource"] for s in reported(stack)["Theirs/Role"]] == ["*", "*", key_arn()]


@pytest.mark.parametrize("profile_of", [
    lambda s: l1_profile(s, "Existing"),
    lambda s: imported_profile(s, existing_role(s)),
    lambda s: imported_profile(s, iam.LazyRole(s, "Lazy", assumed_by=EC2)),
], ids=["L1", "imported", "lazy"])  # fmt: skip
def test_a_profile_s_customized_role_is_reported(make_app: MakeApp, profile_of: ProfileOf) -> None:
    stack = customized(make_app(), prevent_synthesis=False)
    permit(stack, profile_of(stack))
    (statements,) = reported(stack).values()
    assert [s["Resource"] for s in statements] == ["*", "*"]


def test_a_customized_role_that_cdk_itself_makes_is_listed_once(make_app: MakeApp) -> None:
    stack = customized(make_app())
    profile = iam.InstanceProfile(stack, "Profile")
    permissions = permit(stack, profile)
    permissions.attach_to_instance_profile(profile)
    assert len(permissions.roles) == 1


def test_an_immutable_role_is_refused_where_roles_are_customized(make_app: MakeApp) -> None:
    stack = customized(make_app())
    with pytest.raises(ValueError, match="was imported with mutable=False"):
        permit(stack, owned_role(stack).without_policy_updates())


# one role, one entry


def roads_of_an_owned_role(stack: cdk.Stack) -> list[object]:
    """The role, and everything through which an app can refer to it."""
    role = owned_role(stack)
    return [
        role,
        role.node.default_child,
        l1_profile(stack, role.role_name),
        iam.InstanceProfile(stack, "L2Profile", role=role),
        existing_role(stack, "ByName", role.role_name),
        role_by_arn(stack, role.role_arn),
    ]


def with_a_token_for_a_name(stack: cdk.Stack) -> list[object]:
    name = parameter(stack, "Name")
    return [owned_role(stack, name=name), existing_role(stack, name=name)]


def roads_of_an_l1_role(stack: cdk.Stack, path: str | None = None) -> list[object]:
    role = l1_role(stack)
    role.path = path
    return [role, role, l1_profile(stack, role.ref), role_by_arn(stack, role.attr_arn)]


ROADS: Final[dict[str, Callable[[cdk.Stack], list[object]]]] = {
    "owned": roads_of_an_owned_role,
    "L1": roads_of_an_l1_role,
    "L1 without a path": lambda s: roads_of_an_l1_role(s, "/"),
    "L1 with a path that the deployment knows": lambda s: roads_of_an_l1_role(s, parameter(s)),
    "token for a name": with_a_token_for_a_name,
    "tokens": lambda s: [iam.CfnInstanceProfile(s, "Profile", roles=names_of_a_parameter(s))] * 2,
    "lazy, with a path": lambda s: [iam.LazyRole(s, "Lazy", assumed_by=EC2, path="/team/")] * 2,
    "by ARN and by name": lambda s: [*[existing_role(s)] * 2,
        role_by_arn(s, role_arn("path/Existing")), *[l1_profile(s, "Existing")] * 2,
        l1_profile(s, "Existing", construct_id="Another"), owned_role(s, name="Existing"),
        l1_role(s, name="Existing"), iam.LazyRole(s, "Lazy", assumed_by=EC2, role_name="Existing")],
}  # fmt: skip


@pytest.mark.parametrize("backwards", [False, True], ids=["", "backwards"])
@pytest.mark.parametrize("kind", ROADS)
def test_one_role_is_attached_once(stack: cdk.Stack, kind: str, *, backwards: bool) -> None:
    roads: list[Any] = ROADS[kind](stack)
    first, *others = reversed(roads) if backwards else roads
    permissions = permit(stack, first)
    for road in others:
        if hasattr(road, "instance_profile_ref"):
            permissions.attach_to_instance_profile(road)
        else:
            permissions.attach_to_role(road)
    assert len(policy(stack)["Roles"]) == len(permissions.roles) == 1
    permissions.attach_to_role(l1_role(stack, "Next"))
    assert policy(stack)["Roles"][1:] == [{"Ref": "Next"}]


def test_another_role_can_be_attached_after_one_that_was_refused(stack: cdk.Stack) -> None:
    permissions = SessionManagerPermissions(stack, "Permissions", role=existing_role(stack))
    with pytest.raises(ValueError, match="which no role can have"):
        permissions.attach_to_instance_profile(l1_profile(stack, "no name"))
    permissions.attach_to_role(l1_role(stack))
    assert policy(stack)["Roles"] == ["Existing", {"Ref": "L1"}]


OF_NO_ROLE: Final[dict[str, ProfileOf]] = {
    "by attributes": imported_profile,
    "a class of one's own": lambda s: ProfileOfOnesOwn(s, "Profile"),
    "L1 of two roles": lambda s: l1_profile(s, "One", "Another"),
}


@pytest.mark.parametrize("kind", OF_NO_ROLE)
def test_a_profile_of_which_no_one_role_is_known_is_refused(stack: cdk.Stack, kind: str) -> None:
    with pytest.raises(ValueError, match=r"^instance_profile 'Stack/Profile' "):
        permit(stack, OF_NO_ROLE[kind](stack))


# what is no role, or no profile


WRONG: dict[str, tuple[str, Callable[[cdk.Stack], object]]] = {
    "user": ("role", lambda s: iam.User(s, "User")),
    "any L1": ("role", lambda s: cdk.CfnResource(s, "Wrong", type="AWS::EC2::Instance")),
    "what has a role's ARN": ("role", lambda _: SimpleNamespace(role_arn=role_arn())),
    "L1 profile": ("role", lambda s: l1_profile(s, "Existing")),
    "imported role": ("instance_profile", existing_role),
    "L1 role": ("instance_profile", l1_role),
    "what has a role": ("instance_profile", instance),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_role_or_no_profile_is_a_type_error(stack: cdk.Stack, kind: str) -> None:
    argument, wrong_of = WRONG[kind]
    given: dict[str, Any] = {argument: wrong_of(stack)}
    with pytest.raises(TypeError, match=f"^{argument} must be an "):
        SessionManagerPermissions(stack, "Permissions", **given)


# two policies of one name: IAM keeps only the one put last


def by_its_export(scope: Construct) -> iam.IRole:
    return role_by_arn(scope, cdk.Fn.import_value("Web"))


SHARED: Final[dict[str, Callable[[cdk.Stack, cdk.Stack], list[Any]]]] = {
    "owned": lambda s, _: [owned_role(s)] * 2,
    "by ARN and by name": lambda s, _: [role_by_arn(s), existing_role(s)],
    "L1": lambda s, _: [l1_role(s)] * 2,
    "by an export": lambda s, _: [by_its_export(s), by_its_export(Construct(s, "Inner"))],
    "from two stacks": lambda s, other: [existing_role(s), existing_role(other)],
    "from two regions": lambda s, other: [existing_role(s), existing_role(other)],
    "from two regions, L1": lambda s, _: [l1_role(s)] * 2,
}


@pytest.mark.parametrize("later", [False, True], ids=["at once", "attached later"])
@pytest.mark.parametrize("kind", SHARED)
def test_a_name_twice_is_refused(make_app: MakeApp, kind: str, *, later: bool) -> None:
    here, there = (HERE, THERE) if kind.startswith("from two regions") else (None, None)
    stack = cdk.Stack(make_app(), "Stack", env=here)
    other = cdk.Stack(app_of(stack), "Other", env=there)
    scope = other if kind.startswith("from two") else stack
    first, second = SHARED[kind](stack, other)
    permit(stack, first, policy_name="Sessions")
    role = existing_role(scope, "Unshared", "Unshared") if later else second

    refusal = r"^policy_name 'Sessions' is also that of 'Stack/Permissions'"
    with pytest.raises(ValueError, match=refusal):
        SessionManagerPermissions(scope, "Other", role=role, policy_name="Sessions").attach_to_role(
            second
        )


MINE = iam.PolicyStatement(actions=["s3:ListAllMyBuckets"], resources=["*"])


def with_a_policy(stack: cdk.Stack, role: iam.IRole) -> iam.IRole:
    iam.Policy(stack, "Mine", policy_name="Sessions", statements=[MINE], roles=[role])
    return role


def with_an_inline_policy(stack: cdk.Stack) -> iam.Role:
    document = iam.PolicyDocument(statements=[MINE])
    return iam.Role(stack, "Owned", assumed_by=EC2, inline_policies={"Sessions": document})


def l1_with_an_inline_policy(stack: cdk.Stack) -> iam.CfnRole:
    role = l1_role(stack)
    document = iam.PolicyDocument(statements=[MINE])
    role.policies = [iam.CfnRole.PolicyProperty(policy_name="Sessions", policy_document=document)]
    return role


@pytest.mark.parametrize(("role_of", "error"), [
    (lambda s: with_a_policy(s, owned_role(s)), RuntimeError),  # CDK's
    (lambda s: with_a_policy(s, existing_role(s)), RuntimeError),
    (with_an_inline_policy, ValueError),
    (l1_with_an_inline_policy, ValueError),
    (lambda s: role_by_arn(s, l1_with_an_inline_policy(s).attr_arn), ValueError),
], ids=["L2", "imported", "made with it", "L1 made with it", "L1 by its ARN"])  # fmt: skip
def test_a_taken_name_is_refused(stack: cdk.Stack, role_of: RoleOf, error: type[Exception]) -> None:
    role = role_of(stack)
    with pytest.raises(error, match="Sessions"):
        permit(stack, role, policy_name="Sessions")


def test_policies_of_one_name_are_no_error_on_roles_that_differ(make_app: MakeApp) -> None:
    here = cdk.Stack(make_app(), "Here", env=HERE)
    elsewhere = cdk.Stack(app_of(here), "Elsewhere", env=ELSEWHERE)
    for stack in (here, elsewhere):
        permit(stack, existing_role(stack), policy_name="Sessions")
    another, again = existing_role(here, "Another", "Another"), existing_role(here, "Again")
    SessionManagerPermissions(here, "OnAnother", role=another, policy_name="Sessions")
    SessionManagerPermissions(here, "Named", role=again, policy_name="Sessions2")
    assert len(resources(here, "AWS::IAM::Policy")) == 3
    assert policy(elsewhere)["PolicyName"] == "Sessions"


def test_what_each_region_has_of_its_own_differs(make_app: MakeApp) -> None:
    app, by_region = make_app(), f"web-{cdk.Aws.REGION}"
    for stack in (cdk.Stack(app, f"In{env.region}", env=env) for env in (HERE, THERE)):
        permissions = permit(stack, owned_role(stack, name=by_region), policy_name="Sessions")
        permissions.attach_to_role(by_its_export(stack))
        SessionManagerPermissions(stack, "It", role=existing_role(stack), policy_name=by_region)
