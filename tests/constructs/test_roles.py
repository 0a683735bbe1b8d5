"""Which role the policy is attached to, and which roles are refused."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, cast

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk.interfaces import aws_iam as iam_interfaces

from session_manager_permissions import SessionManagerPermissions
from tests.builders import ROLES_OF_AN_INCLUDED_PROFILE, include_profile, l1_profile
from tests.conftest import (
    ACCOUNT,
    EC2,
    HERE,
    OTHER_ACCOUNT,
    REGION,
    MakeApp,
    MakeStack,
    app_of,
    existing_key,
    existing_role,
    key_arn,
    l1_role,
    lookups,
    owned_role,
    policy,
    resources,
    role_arn,
    synth,
    template,
    warnings,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aws_cdk.interfaces.aws_iam import IInstanceProfileRef, IRoleRef

    RoleOf = Callable[[cdk.Stack], IRoleRef]
    ProfileOf = Callable[[cdk.Stack], IInstanceProfileRef]

PROFILE_ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/Profile"
ELSEWHERE = cdk.Environment(account=OTHER_ACCOUNT, region=REGION)


def attach_to_role(stack: cdk.Stack, role: IRoleRef, name: str | None = None) -> None:
    SessionManagerPermissions(stack, "Permissions", role=role, policy_name=name)


def attach_to_profile(stack: cdk.Stack, profile: IInstanceProfileRef) -> SessionManagerPermissions:
    return SessionManagerPermissions(stack, "Permissions", instance_profile=profile)


def imported_profile(scope: cdk.Stack, role: iam.IRole) -> iam.IInstanceProfile:
    return iam.InstanceProfile.from_instance_profile_attributes(
        scope, "Profile", instance_profile_arn=PROFILE_ARN, role=role
    )


def instance(scope: cdk.Stack) -> ec2.Instance:
    return ec2.Instance(
        scope,
        "Instance",
        vpc=ec2.Vpc(scope, "Vpc", max_azs=1),
        instance_type=ec2.InstanceType("t3.micro"),
        machine_image=ec2.MachineImage.latest_amazon_linux2023(),
    )


# what it attaches to


@pytest.mark.parametrize(
    "role_of",
    [
        pytest.param(lambda s: existing_role(s, name="Existing"), id="by name"),
        pytest.param(
            lambda s: iam.Role.from_role_arn(s, "Role", role_arn("Existing")), id="by ARN"
        ),
        pytest.param(
            lambda s: iam.Role.from_role_arn(s, "Role", role_arn("some/path/Existing")),
            id="by ARN with a path",
        ),
        pytest.param(
            lambda s: iam.Role.from_role_arn(
                s, "Role", f"arn:{cdk.Aws.PARTITION}:iam::{cdk.Aws.ACCOUNT_ID}:role/Existing"
            ),
            id="by ARN with tokens",
        ),
        pytest.param(lambda s: RoleOfOnesOwn(s, "Role"), id="a class of one's own"),
    ],
)
def test_an_imported_role_gets_the_policy(stack: cdk.Stack, role_of: RoleOf) -> None:
    attach_to_role(stack, role_of(stack))
    assert policy(stack)["Roles"] == ["Existing"]
    assert not resources(stack, "AWS::IAM::Role")


@jsii.implements(iam_interfaces.IRoleRef)
class RoleOfOnesOwn(cdk.Resource):
    @property
    def role_ref(self) -> iam_interfaces.RoleReference:
        return iam_interfaces.RoleReference(role_arn=role_arn(), role_name="Existing")


@jsii.implements(iam_interfaces.IInstanceProfileRef)
class ProfileOfOnesOwn(cdk.Resource):
    @property
    def instance_profile_ref(self) -> iam_interfaces.InstanceProfileReference:
        return iam_interfaces.InstanceProfileReference(
            instance_profile_arn=PROFILE_ARN, instance_profile_name="Profile"
        )


@pytest.mark.parametrize(
    "role_of",
    [
        pytest.param(owned_role, id="L2"),
        pytest.param(lambda s: owned_role(s, name="Named"), id="L2 with a name"),
        pytest.param(lambda s: owned_role(s).node.default_child, id="L1 of an L2"),
        pytest.param(l1_role, id="L1"),
        pytest.param(lambda s: l1_role(s, name="Named"), id="L1 with a name"),
        pytest.param(lambda s: iam.LazyRole(s, "Lazy", assumed_by=EC2), id="LazyRole"),
    ],
)
def test_an_owned_role_gets_the_policy(stack: cdk.Stack, role_of: RoleOf) -> None:
    attach_to_role(stack, role_of(stack))
    (role,) = resources(stack, "AWS::IAM::Role")
    assert policy(stack)["Roles"] == [{"Ref": role}]


def test_the_l1_of_an_l2_role_stands_for_the_l2(stack: cdk.Stack) -> None:
    role = owned_role(stack)
    profile = l1_profile(stack, role.role_name)
    assert attach_to_profile(stack, profile).roles == [role]


def test_an_l1_role_made_inside_an_l2_role_is_one_of_its_own(stack: cdk.Stack) -> None:
    role = l1_role(owned_role(stack), "Another")
    attach_to_role(stack, role)
    assert policy(stack)["Roles"] == [{"Ref": stack.get_logical_id(role)}]


@pytest.mark.parametrize(
    "profile_of",
    [
        pytest.param(lambda s: imported_profile(s, existing_role(s)), id="imported"),
        pytest.param(lambda s: l1_profile(s, "Existing"), id="L1"),
        pytest.param(
            lambda s: iam.InstanceProfile(s, "Profile", role=existing_role(s)),
            id="L2 with an imported role",
        ),
    ],
)
def test_a_profile_gives_the_policy_to_the_role_it_names(
    stack: cdk.Stack, profile_of: ProfileOf
) -> None:
    attach_to_profile(stack, profile_of(stack))
    assert policy(stack)["Roles"] == ["Existing"]


@pytest.mark.parametrize(
    "profile_of",
    [
        pytest.param(lambda s: iam.InstanceProfile(s, "Profile", role=owned_role(s)), id="L2"),
        pytest.param(lambda s: iam.InstanceProfile(s, "Profile"), id="L2 with its own role"),
        pytest.param(
            lambda s: iam.InstanceProfile(s, "Profile").node.default_child, id="L1 of an L2"
        ),
        pytest.param(lambda s: l1_profile(s, l1_role(s).ref), id="L1 by the Ref of an L1"),
        pytest.param(lambda s: l1_profile(s, owned_role(s).role_name), id="L1 by the Ref of an L2"),
        pytest.param(lambda s: imported_profile(s, owned_role(s)), id="imported"),
    ],
)
def test_a_profile_gives_the_policy_to_its_owned_role(
    stack: cdk.Stack, profile_of: ProfileOf
) -> None:
    attach_to_profile(stack, profile_of(stack))
    (role,) = resources(stack, "AWS::IAM::Role")
    assert policy(stack)["Roles"] == [{"Ref": role}]


def test_names_that_only_the_deployment_knows_are_let_through(stack: cdk.Stack) -> None:
    name = cdk.CfnParameter(stack, "Name").value_as_string
    names = cdk.CfnParameter(stack, "Names", type="CommaDelimitedList").value_as_list
    permissions = attach_to_profile(stack, l1_profile(stack, name))
    permissions.attach_to_instance_profile(
        iam.CfnInstanceProfile(stack, "OfList", roles=names),
    )
    arn = cdk.CfnParameter(stack, "Arn").value_as_string
    permissions.attach_to_role(iam.Role.from_role_arn(stack, "ByArn", arn))
    by_parameter, by_list, by_arn = policy(stack)["Roles"]
    assert by_parameter == {"Ref": "Name"}
    assert by_list == {"Fn::Select": [0, {"Ref": "Names"}]}
    assert '{"Ref": "Arn"}' in json.dumps(by_arn)


@pytest.mark.parametrize(
    ("given", "attached"),
    ROLES_OF_AN_INCLUDED_PROFILE,
)
def test_a_profile_of_an_included_template_gives_the_policy_to_its_role(
    stack: cdk.Stack, tmp_path: Path, given: object, attached: object
) -> None:
    profile = include_profile(stack, tmp_path, given).get_resource("Profile")
    assert isinstance(profile, iam.CfnInstanceProfile)
    attach_to_profile(stack, profile)
    assert policy(stack)["Roles"] == [attached]


def test_a_role_of_an_included_template_gets_the_policy(stack: cdk.Stack, tmp_path: Path) -> None:
    role = include_profile(stack, tmp_path, ["Existing"]).get_resource("Role")
    assert isinstance(role, iam.CfnRole)
    attach_to_role(stack, role)
    assert policy(stack)["Roles"] == [{"Ref": "Role"}]


ON_A_CONDITION = "[ack: session-manager-permissions:role-on-a-condition]"


def conditional(stack: cdk.Stack, name: str) -> iam.CfnRole:
    """An L1 role on a condition of its own."""
    role = l1_role(stack, name)
    role.cfn_options.condition = cdk.CfnCondition(stack, f"Has{name}")
    return role


@pytest.mark.parametrize("kind", ["Role", "Profile"])
def test_an_included_role_on_a_condition_is_warned_of(
    stack: cdk.Stack, tmp_path: Path, kind: Literal["Role", "Profile"]
) -> None:
    template = include_profile(stack, tmp_path, [{"Ref": "Role"}])
    role = template.get_resource("Role")
    given: Any = template.get_resource(kind)
    (attach_to_role if kind == "Role" else attach_to_profile)(stack, given)
    assert warnings(stack) == []

    role.cfn_options.condition = cdk.CfnCondition(stack, "HasRole")

    (warning,) = warnings(stack)
    assert f"role {role.node.path!r} is deployed on the condition 'Stack/HasRole'" in warning
    assert warning.endswith(ON_A_CONDITION)


def test_each_role_on_a_condition_is_warned_of(stack: cdk.Stack) -> None:
    permissions = SessionManagerPermissions(stack, "Permissions", role=owned_role(stack))
    permissions.attach_to_role(l1_role(stack))
    assert warnings(stack) == []

    for name in ("One", "Two"):
        permissions.attach_to_role(conditional(stack, name))
    assert [ON_A_CONDITION in warning for warning in warnings(stack)] == [True, True]
    assert ["'Stack/One'" in warning for warning in warnings(stack)] == [True, False]


def test_a_policy_on_a_condition_of_its_own_is_not_warned_of(stack: cdk.Stack) -> None:
    permissions = SessionManagerPermissions(stack, "Permissions", role=conditional(stack, "One"))
    cfn_policy = cast("iam.CfnPolicy", permissions.policy.node.default_child)
    cfn_policy.cfn_options.condition = cdk.CfnCondition(stack, "HasOneAndMore")
    assert warnings(stack) == []


@pytest.mark.parametrize("make_role", [owned_role, l1_role])
def test_a_role_of_another_stack_gets_the_policy_by_an_output(
    make_app: MakeApp, references: dict[str, object], make_role: RoleOf
) -> None:
    app = make_app(**references)
    owner, here = cdk.Stack(app, "Owner", env=HERE), cdk.Stack(app, "Here", env=HERE)
    attach_to_role(here, make_role(owner))
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


def test_a_role_of_the_parent_stack_gets_the_policy_from_a_nested_stack(
    make_stack: MakeStack,
) -> None:
    parent = make_stack()
    nested = cdk.NestedStack(parent, "Nested")
    role = owned_role(parent)
    permissions = SessionManagerPermissions(nested, "Permissions", role=role)
    permissions.attach_to_instance_profile(
        l1_profile(parent, role.role_name),
    )
    (name,) = policy(nested)["Roles"]
    assert re.fullmatch(r"referencetoStackOwned\w+Ref", name["Ref"])


def test_a_role_that_an_instance_made_for_itself_gets_the_policy(stack: cdk.Stack) -> None:
    attach_to_role(stack, instance(stack).role)
    (role,) = resources(stack, "AWS::IAM::Role")
    assert policy(stack)["Roles"] == [{"Ref": role}]


@pytest.mark.parametrize("account", [ACCOUNT, OTHER_ACCOUNT])
def test_an_environment_agnostic_stack_counts_every_account_as_its_own(
    stack: cdk.Stack, account: str
) -> None:
    attach_to_role(stack, iam.Role.from_role_arn(stack, "Role", role_arn(account=account)))
    assert policy(stack)["Roles"] == ["Existing"]


@pytest.mark.parametrize(
    ("owner_env", "env"), [(None, HERE), (HERE, None)], ids=["owner agnostic", "owner known"]
)
def test_an_owned_role_counts_as_the_same_accounts_where_one_is_unknown(
    make_stack: MakeStack, owner_env: cdk.Environment | None, env: cdk.Environment | None
) -> None:
    owner = make_stack("Owner", env=owner_env)
    stack = make_stack("Stack", scope=app_of(owner), env=env)
    attach_to_role(stack, owned_role(owner, name="Named"))
    assert policy(stack)["Roles"] == ["Named"]


# what CDK would leave without the policy, in silence


@pytest.mark.parametrize(
    "role_of",
    [
        pytest.param(
            lambda s: iam.Role.from_role_arn(s, "Role", role_arn(), mutable=False),
            id="mutable=False by ARN",
        ),
        pytest.param(
            lambda s: iam.Role.from_role_name(s, "Role", "Existing", mutable=False),
            id="mutable=False by name",
        ),
        pytest.param(lambda s: owned_role(s).without_policy_updates(), id="without_policy_updates"),
    ],
)
def test_an_immutable_role_is_refused(stack: cdk.Stack, role_of: RoleOf) -> None:
    with pytest.raises(
        ValueError, match=r"^role 'Stack/.*' was imported with mutable=False"
    ) as error:
        attach_to_role(stack, role_of(stack))
    for part in ("mutable=False", "without_policy_updates()", "session_manager_statements()"):
        assert part in str(error.value)


def test_an_immutable_role_is_refused_where_another_one_took_the_policy(stack: cdk.Stack) -> None:
    permissions = SessionManagerPermissions(stack, "Permissions", role=existing_role(stack))
    immutable = iam.Role.from_role_name(stack, "Role", "Another", mutable=False)
    with pytest.raises(ValueError, match="role 'Stack/Role' was imported with mutable=False"):
        permissions.attach_to_role(immutable)
    assert [role.role_name for role in permissions.roles] == ["Existing"]


@pytest.mark.parametrize(
    "role_of",
    [
        pytest.param(
            lambda s: iam.Role.from_role_arn(s, "Role", role_arn(account=OTHER_ACCOUNT)),
            id="imported by ARN",
        ),
        pytest.param(
            lambda s: iam.Role.from_role_arn(
                s, "Role", f"arn:aws:iam:{REGION}:{OTHER_ACCOUNT}:role/Existing"
            ),
            id="imported by an ARN with a region",
        ),
        pytest.param(
            lambda s: existing_role(cdk.Stack(app_of(s), "Other", env=ELSEWHERE)),
            id="imported by name in another account's stack",
        ),
        pytest.param(
            lambda s: owned_role(cdk.Stack(app_of(s), "Other", env=ELSEWHERE), name="Named"),
            id="L2",
        ),
        pytest.param(
            lambda s: l1_role(cdk.Stack(app_of(s), "Other", env=ELSEWHERE), name="Named"),
            id="L1",
        ),
    ],
)
def test_a_role_of_another_account_is_refused(stack_here: cdk.Stack, role_of: RoleOf) -> None:
    with pytest.raises(
        ValueError,
        match=rf"^role '.+' belongs to account {OTHER_ACCOUNT}, and this stack deploys to "
        rf"{ACCOUNT}.*: make this construct in a stack with the account {OTHER_ACCOUNT}$",
    ):
        attach_to_role(stack_here, role_of(stack_here))


@pytest.mark.parametrize(
    "profile_of",
    [
        pytest.param(lambda s: l1_profile(s, l1_role(s, name="Named").ref), id="L1 of an L1"),
        pytest.param(lambda s: l1_profile(s, owned_role(s, name="Named").role_name), id="L1"),
        pytest.param(lambda s: iam.InstanceProfile(s, "Profile"), id="L2"),
        pytest.param(lambda s: l1_profile(s, "Existing"), id="L1 with a name"),
        pytest.param(
            lambda s: imported_profile(
                s, iam.Role.from_role_arn(s, "Role", role_arn(account=OTHER_ACCOUNT))
            ),
            id="imported",
        ),
    ],
)
def test_the_role_of_another_accounts_profile_is_refused(
    stack_here: cdk.Stack, profile_of: ProfileOf
) -> None:
    other = cdk.Stack(app_of(stack_here), "Other", env=ELSEWHERE)
    profile = profile_of(other)
    with pytest.raises(ValueError, match=f"belongs to account {OTHER_ACCOUNT}"):
        attach_to_profile(stack_here, profile)


@pytest.mark.parametrize("name", ["Existing", "DUMMY_ARN"])
def test_a_role_really_of_the_dummys_account_is_refused_as_any_other_accounts(
    stack_here: cdk.Stack, name: str
) -> None:
    role = iam.Role.from_role_arn(stack_here, "Role", role_arn(name, "123456789012"))
    with pytest.raises(ValueError, match="belongs to account 123456789012"):
        attach_to_role(stack_here, role)


# look-ups


@pytest.mark.parametrize("account", [ACCOUNT, "123456789012"])
def test_a_looked_up_role_is_no_error_before_the_cli_has_asked(
    make_app: MakeApp, account: str
) -> None:
    env = cdk.Environment(account=account, region=REGION)

    def build(**context: object) -> cdk.Stack:
        stack = cdk.Stack(make_app(**context), "Stack", env=env)
        attach_to_role(stack, iam.Role.from_lookup(stack, "Role", role_name="Existing"))
        return stack

    (asked,) = lookups(build())
    assert (asked["provider"], asked["props"]["exactIdentifier"]) == ("cc-api-provider", "Existing")
    answered = build(**{asked["key"]: [{"Arn": role_arn("path/Existing", account)}]})
    assert lookups(answered) == []
    assert policy(answered)["Roles"] == ["Existing"]


def test_a_looked_up_role_that_is_immutable_is_refused_once_it_is_known(make_app: MakeApp) -> None:
    def build(**context: object) -> cdk.Stack:
        stack = cdk.Stack(make_app(**context), "Stack", env=HERE)
        role = iam.Role.from_lookup(stack, "Role", role_name="Existing", mutable=False)
        attach_to_role(stack, role)
        return stack

    (asked,) = lookups(build())
    with pytest.raises(ValueError, match="mutable=False"):
        build(**{asked["key"]: [{"Arn": role_arn()}]})


def test_two_looked_up_roles_with_policies_of_one_name_are_no_error_before_the_cli_has_asked(
    stack_here: cdk.Stack,
) -> None:
    for name in ("One", "Another"):
        role = iam.Role.from_lookup(stack_here, name, role_name=name)
        SessionManagerPermissions(stack_here, f"On{name}", role=role, policy_name="Sessions")
    assert len(lookups(stack_here)) == 2


# roles that others create (iam.Role.customize_roles)


def reported(construct: cdk.Stack) -> dict[str, list[dict[str, Any]]]:
    """The statements in the report for those who create the roles, by the role's path."""
    folder = synth(construct)
    report = json.loads((folder / "iam-policy-report.json").read_text())
    for role in report["roles"]:
        assert f"({role['roleConstructPath']})" in (folder / "iam-policy-report.txt").read_text()
    return {role["roleConstructPath"]: role["identityPolicyStatements"] for role in report["roles"]}


@pytest.mark.parametrize("prevent_synthesis", [True, False])
@pytest.mark.parametrize("where", ["app", "stack"])
@pytest.mark.parametrize(
    "role_of",
    [
        pytest.param(lambda s: owned_role(s, "Role"), id="owned"),
        pytest.param(lambda s: existing_role(s, "Role"), id="imported by name"),
        pytest.param(lambda s: iam.Role.from_role_arn(s, "Role", role_arn()), id="imported by ARN"),
        pytest.param(
            lambda s: iam.Role.from_role_name(s, "Role", "Existing", mutable=False),
            id="imported with mutable=False",
        ),
    ],
)
def test_a_customized_role_is_no_error_and_the_report_lists_each_statement_once(
    make_app: MakeApp, role_of: RoleOf, where: str, *, prevent_synthesis: bool
) -> None:
    app = make_app()
    known = {"Stack/Role": "Existing"}
    if where == "app":
        iam.Role.customize_roles(
            app, prevent_synthesis=prevent_synthesis, use_precreated_roles=known
        )
    stack = cdk.Stack(app, "Stack")
    if where == "stack":
        iam.Role.customize_roles(
            stack, prevent_synthesis=prevent_synthesis, use_precreated_roles=known
        )
    role = role_of(stack)
    permissions = SessionManagerPermissions(
        stack, "Permissions", role=role, encryption_key=existing_key(stack)
    )
    other = key_arn("eu-west-2")
    later = existing_key(stack, "Later", region="eu-west-2")
    permissions.add_encryption_key(later)
    permissions.add_encryption_key(later)
    permissions.attach_to_role(role)

    statements = reported(stack)["Stack/Role"]
    assert [(s["Action"], s["Resource"]) for s in statements] == [
        (
            [
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            "*",
        ),
        ("s3:GetEncryptionConfiguration", "*"),
        ("kms:Decrypt", key_arn()),
        ("kms:Decrypt", other),
    ]
    assert not resources(stack, "AWS::IAM::Policy")


def test_the_report_lists_a_key_added_before_the_role_once(make_app: MakeApp) -> None:
    app = make_app()
    iam.Role.customize_roles(app)
    stack = cdk.Stack(app, "Stack")
    permissions = SessionManagerPermissions(stack, "Permissions", role=existing_role(stack, "One"))
    permissions.add_encryption_key(existing_key(stack))
    permissions.attach_to_role(existing_role(stack, "Another", "Another"))
    for statements in reported(stack).values():
        assert [s["Resource"] for s in statements] == ["*", "*", key_arn()]


def test_a_customized_role_beside_another_leaves_the_other_its_policy(make_app: MakeApp) -> None:
    app = make_app()
    customized = cdk.Stack(app, "Customized")
    iam.Role.customize_roles(customized)
    stack = cdk.Stack(app, "Stack")
    permissions = SessionManagerPermissions(stack, "Permissions", role=existing_role(stack))
    permissions.attach_to_role(existing_role(customized, "Role", "Customized"))
    permissions.add_encryption_key(existing_key(stack))
    assert policy(stack)["Roles"] == ["Existing"]
    assert [s["Resource"] for s in reported(stack)["Customized/Role"]] == ["*", "*", key_arn()]


@pytest.mark.parametrize(
    "profile_of",
    [
        pytest.param(lambda s: l1_profile(s, "Existing"), id="L1"),
        pytest.param(lambda s: imported_profile(s, existing_role(s)), id="imported"),
    ],
)
def test_the_customized_role_of_a_profile_is_reported(
    make_app: MakeApp, profile_of: ProfileOf
) -> None:
    app = make_app()
    iam.Role.customize_roles(app)
    stack = cdk.Stack(app, "Stack")
    attach_to_profile(stack, profile_of(stack))
    ((sids),) = [[s["Sid"] for s in found] for found in reported(stack).values()]
    assert sids == ["SessionManagerChannels", "SessionManagerLogEncryption"]


def test_an_immutable_role_is_refused_where_roles_are_customized(make_app: MakeApp) -> None:
    app = make_app()
    iam.Role.customize_roles(app, use_precreated_roles={"Stack/Owned": "Existing"})
    stack = cdk.Stack(app, "Stack")
    with pytest.raises(ValueError, match="was imported with mutable=False"):
        attach_to_role(stack, owned_role(stack).without_policy_updates())


def test_a_customized_lazy_role_is_no_error(make_app: MakeApp) -> None:
    app = make_app()
    iam.Role.customize_roles(app, prevent_synthesis=False)
    stack = cdk.Stack(app, "Stack")
    attach_to_role(stack, iam.LazyRole(stack, "Lazy", assumed_by=EC2))
    (statements,) = reported(stack).values()
    assert [s["Resource"] for s in statements] == ["*", "*"]


# one role, one entry

Road = tuple[Literal["role", "instance_profile"], Any]


def attach_by(stack: cdk.Stack, *roads: Road) -> SessionManagerPermissions:
    (kind, target), *others = roads
    given: dict[str, Any] = {kind: target}
    permissions = SessionManagerPermissions(stack, "Permissions", **given)
    for other_kind, other in others:
        if other_kind == "role":
            permissions.attach_to_role(other)
        else:
            permissions.attach_to_instance_profile(other)
    return permissions


def twice_the_owned_role(stack: cdk.Stack) -> list[Road]:
    return [("role", owned_role(stack))] * 2


def twice_the_imported_role(stack: cdk.Stack) -> list[Road]:
    return [("role", existing_role(stack))] * 2


def twice_the_l1_role(stack: cdk.Stack) -> list[Road]:
    return [("role", l1_role(stack))] * 2


def twice_the_l1_profile(stack: cdk.Stack) -> list[Road]:
    return [("instance_profile", l1_profile(stack, "Existing"))] * 2


def twice_the_l1_profile_of_a_token_list(stack: cdk.Stack) -> list[Road]:
    names = cdk.CfnParameter(stack, "Names", type="CommaDelimitedList").value_as_list
    return [("instance_profile", iam.CfnInstanceProfile(stack, "Profile", roles=names))] * 2


def by_arn_and_by_name(stack: cdk.Stack) -> list[Road]:
    by_arn = iam.Role.from_role_arn(stack, "ByArn", role_arn("path/Existing"))
    return [("role", by_arn), ("role", existing_role(stack))]


def owned_with_a_name_and_by_name(stack: cdk.Stack) -> list[Road]:
    return [("role", owned_role(stack, name="Existing")), ("role", existing_role(stack))]


def lazy_with_a_name_and_by_name(stack: cdk.Stack) -> list[Road]:
    lazy = iam.LazyRole(stack, "Lazy", assumed_by=EC2, role_name="Existing")
    return [("role", lazy), ("role", existing_role(stack))]


def owned_with_a_token_name_and_by_that(stack: cdk.Stack) -> list[Road]:
    name = cdk.CfnParameter(stack, "Name").value_as_string
    return [("role", owned_role(stack, name=name)), ("role", existing_role(stack, name=name))]


def l1_with_a_name_and_by_name(stack: cdk.Stack) -> list[Road]:
    return [("role", l1_role(stack, name="Existing")), ("role", existing_role(stack))]


def owned_and_by_its_l1_profile(stack: cdk.Stack) -> list[Road]:
    role = owned_role(stack)
    return [("role", role), ("instance_profile", l1_profile(stack, role.role_name))]


def owned_and_by_its_l2_profile(stack: cdk.Stack) -> list[Road]:
    role = owned_role(stack)
    profile = iam.InstanceProfile(stack, "Profile", role=role)
    return [("role", role), ("instance_profile", profile)]


def owned_and_by_its_l1(stack: cdk.Stack) -> list[Road]:
    role = owned_role(stack)
    return [("role", role), ("role", role.node.default_child)]


def l1_and_by_its_profile(stack: cdk.Stack) -> list[Road]:
    role = l1_role(stack)
    return [("role", role), ("instance_profile", l1_profile(stack, role.ref))]


def two_profiles_of_one_name(stack: cdk.Stack) -> list[Road]:
    return [
        ("instance_profile", l1_profile(stack, "Existing", construct_id=construct_id))
        for construct_id in ("One", "Another")
    ]


def owned_and_by_the_reference_to_its_name(stack: cdk.Stack) -> list[Road]:
    role = owned_role(stack)
    return [("role", role), ("role", existing_role(stack, name=role.role_name))]


def owned_and_by_the_reference_to_its_arn(stack: cdk.Stack) -> list[Road]:
    role = owned_role(stack)
    return [("role", role), ("role", iam.Role.from_role_arn(stack, "ByArn", role.role_arn))]


def l1_and_by_the_reference_to_its_arn(stack: cdk.Stack) -> list[Road]:
    role = l1_role(stack)
    return [("role", role), ("role", iam.Role.from_role_arn(stack, "ByArn", role.attr_arn))]


@pytest.mark.parametrize("backwards", [False, True], ids=["", "backwards"])
@pytest.mark.parametrize(
    "roads_of",
    [
        twice_the_owned_role,
        twice_the_imported_role,
        twice_the_l1_role,
        twice_the_l1_profile,
        twice_the_l1_profile_of_a_token_list,
        by_arn_and_by_name,
        owned_with_a_name_and_by_name,
        owned_with_a_token_name_and_by_that,
        lazy_with_a_name_and_by_name,
        l1_with_a_name_and_by_name,
        owned_and_by_its_l1_profile,
        owned_and_by_its_l2_profile,
        owned_and_by_its_l1,
        l1_and_by_its_profile,
        two_profiles_of_one_name,
        owned_and_by_the_reference_to_its_name,
        owned_and_by_the_reference_to_its_arn,
        l1_and_by_the_reference_to_its_arn,
    ],
)
def test_one_role_reached_by_two_roads_is_attached_once(
    stack: cdk.Stack, roads_of: Callable[[cdk.Stack], list[Road]], *, backwards: bool
) -> None:
    roads = roads_of(stack)
    permissions = attach_by(stack, *(reversed(roads) if backwards else roads))
    assert len(policy(stack)["Roles"]) == len(permissions.roles) == 1


@pytest.mark.parametrize("again", [twice_the_owned_role, twice_the_l1_role, twice_the_l1_profile])
def test_another_role_can_be_attached_after_one_that_was_attached_twice(
    stack: cdk.Stack, again: Callable[[cdk.Stack], list[Road]]
) -> None:
    permissions = attach_by(stack, *again(stack))
    permissions.attach_to_role(l1_role(stack, "Next"))
    assert policy(stack)["Roles"][1:] == [{"Ref": "Next"}]


def test_another_role_can_be_attached_after_one_that_was_refused(stack: cdk.Stack) -> None:
    permissions = SessionManagerPermissions(stack, "Permissions", role=existing_role(stack))
    with pytest.raises(ValueError, match="which no role can have"):
        permissions.attach_to_instance_profile(l1_profile(stack, "no name"))
    permissions.attach_to_role(l1_role(stack))
    assert policy(stack)["Roles"] == ["Existing", {"Ref": "L1"}]


# what CDK takes without a word


@pytest.mark.parametrize(
    ("arn", "message"),
    [
        (role_arn("aws-service-role/autoscaling.amazonaws.com/AWSServiceRole"), "service-linked"),
        (
            role_arn("aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abc"),
            "reserved by AWS.*permission set",
        ),
        (f"arn:aws:iam::{ACCOUNT}:user/Existing", "not the ARN of a role"),
        (f"arn:aws:iam::{ACCOUNT}:instance-profile/Existing", "not the ARN of a role"),
        (f"arn:aws:sts::{ACCOUNT}:role/Existing", "not the ARN of a role"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/Existing/session", "not the ARN of a role"),
        ("arn:aws:iam:::role/Existing", "not the ARN of a role"),
        (f"arn:aws:iam::{'1' * 65}:role/Existing", "not the ARN of a role"),
        ("arn:aws:iam::*:role/Existing", "not the ARN of a role"),
        (role_arn("no name"), "which no role can have"),
        (role_arn("*"), "which no role can have"),
        (role_arn("r" * 65), "which no role can have"),
    ],
)
def test_an_arn_of_no_role_that_can_be_changed_is_refused(
    stack: cdk.Stack, arn: str, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^role '{re.escape(arn)}' .*{message}"):
        attach_to_role(stack, iam.Role.from_role_arn(stack, "Role", arn))


@pytest.mark.parametrize("name", ["r", "r" * 64])
def test_a_role_s_name_is_as_long_as_iam_takes(stack: cdk.Stack, name: str) -> None:
    role = iam.Role.from_role_arn(stack, "Role", role_arn(name))
    SessionManagerPermissions(stack, "Permissions", role=role)

    assert policy(stack)["Roles"] == [name]


def test_an_arn_given_as_a_name_is_refused(stack: cdk.Stack) -> None:
    role = iam.Role.from_role_name(stack, "Role", role_arn("path/Existing"))
    with pytest.raises(
        ValueError, match=r"'arn:aws:.*/Existing', which is an ARN: .* use .*_arn\("
    ):
        attach_to_role(stack, role)


@pytest.mark.parametrize(
    "profile_of",
    [
        pytest.param(
            lambda s: iam.InstanceProfile.from_instance_profile_name(s, "Imported", "Profile"),
            id="by name",
        ),
        pytest.param(
            lambda s: iam.InstanceProfile.from_instance_profile_arn(s, "Imported", PROFILE_ARN),
            id="by ARN",
        ),
        pytest.param(
            lambda s: iam.InstanceProfile.from_instance_profile_attributes(
                s, "Imported", instance_profile_arn=PROFILE_ARN
            ),
            id="by attributes",
        ),
        pytest.param(lambda s: ProfileOfOnesOwn(s, "Imported"), id="a class of one's own"),
    ],
)
def test_a_profile_imported_without_its_role_is_refused_with_the_ways_to_give_it(
    stack: cdk.Stack, profile_of: ProfileOf
) -> None:
    with pytest.raises(ValueError, match=r"^instance_profile 'Stack/Imported' .*without") as error:
        attach_to_profile(stack, profile_of(stack))
    for way in ("lookup_instance_profile(", "from_instance_profile_attributes(", "role=iam.Role."):
        assert way in str(error.value)


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ([], r"has 0 roles, \[\]: give it one$"),
        (["One", "Another"], "has 2 roles, .*: give it one$"),
        ([role_arn("path/Existing")], "is given by the name 'arn:.*', which is an ARN"),
        ([""], "which no role can have"),
    ],
)
def test_an_l1_profile_that_names_no_role_is_refused(
    stack: cdk.Stack, roles: list[str], message: str
) -> None:
    profile = l1_profile(stack, *roles)
    with pytest.raises(ValueError, match=message):
        attach_to_profile(stack, profile)


# what is no role, or no profile


@pytest.mark.parametrize(
    ("wrong_of", "hint"),
    [
        pytest.param(lambda _: "Existing", r"got str 'Existing'.*from_role_name\(", id="name"),
        pytest.param(lambda s: iam.User(s, "User"), "got the construct 'Stack/User'", id="user"),
        pytest.param(
            lambda s: cdk.CfnResource(s, "Wrong", type="AWS::EC2::Instance"),
            "got the construct 'Stack/[A-Za-z]*'",
            id="any L1",
        ),
        pytest.param(
            lambda _: SimpleNamespace(role_arn=role_arn()),
            "got SimpleNamespace",
            id="what has a role's ARN",
        ),
        pytest.param(
            lambda s: iam.InstanceProfile(s, "Wrong"), "give it as instance_profile", id="profile"
        ),
        pytest.param(
            lambda s: l1_profile(s, "Existing"), "give it as instance_profile", id="L1 profile"
        ),
    ],
)
def test_what_is_no_role_is_a_type_error(
    stack: cdk.Stack, wrong_of: Callable[[cdk.Stack], Any], hint: str
) -> None:
    with pytest.raises(TypeError, match=f"^role must be an IAM role, .*{hint}"):
        attach_to_role(stack, wrong_of(stack))


@pytest.mark.parametrize(
    ("wrong_of", "hint"),
    [
        pytest.param(
            lambda _: "Profile", r"got str 'Profile'.*lookup_instance_profile\(", id="name"
        ),
        pytest.param(owned_role, "give it as role", id="role"),
        pytest.param(existing_role, "give it as role", id="imported role"),
        pytest.param(l1_role, "give it as role", id="L1 role"),
        pytest.param(instance, "got the construct 'Stack/[A-Za-z]*'", id="what has a role"),
    ],
)
def test_what_is_no_profile_is_a_type_error(
    stack: cdk.Stack, wrong_of: Callable[[cdk.Stack], Any], hint: str
) -> None:
    with pytest.raises(TypeError, match=f"^instance_profile must be .*{hint}"):
        attach_to_profile(stack, wrong_of(stack))


# two policies of one name: IAM keeps only the one put last


def on_one_owned_role(stack: cdk.Stack) -> tuple[IRoleRef, IRoleRef]:
    role = owned_role(stack)
    return role, role


def on_one_role_by_arn_and_by_name(stack: cdk.Stack) -> tuple[IRoleRef, IRoleRef]:
    return iam.Role.from_role_arn(stack, "ByArn", role_arn()), existing_role(stack)


def on_one_l1_role(stack: cdk.Stack) -> tuple[IRoleRef, IRoleRef]:
    role = l1_role(stack)
    return role, role


def on_one_role_from_two_stacks(stack: cdk.Stack) -> tuple[IRoleRef, IRoleRef]:
    return existing_role(stack), existing_role(cdk.Stack(app_of(stack), "Second"))


@pytest.mark.parametrize("later", [False, True], ids=["at once", "attached later"])
@pytest.mark.parametrize(
    "roles_of",
    [
        on_one_owned_role,
        on_one_role_by_arn_and_by_name,
        on_one_l1_role,
        on_one_role_from_two_stacks,
    ],
)
def test_two_policies_of_one_name_on_one_role_are_refused(
    stack: cdk.Stack,
    roles_of: Callable[[cdk.Stack], tuple[IRoleRef, IRoleRef]],
    *,
    later: bool,
) -> None:
    first, second = roles_of(stack)
    scope = stack.node.root.node.try_find_child("Second") or stack
    assert isinstance(scope, cdk.Stack)
    attach_to_role(stack, first, "Sessions")
    message = "^policy_name 'Sessions' is that of 'Stack/Permissions' on the same role"
    if later:
        other = SessionManagerPermissions(
            scope,
            "Other",
            role=existing_role(scope, "Unshared", "Unshared"),
            policy_name="Sessions",
        )
        with pytest.raises(ValueError, match=message):
            other.attach_to_role(second)
    else:
        with pytest.raises(ValueError, match=message):
            SessionManagerPermissions(scope, "Other", role=second, policy_name="Sessions")


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


@pytest.mark.parametrize(
    "role_of",
    [
        pytest.param(lambda s: with_a_policy(s, owned_role(s)), id="L2"),
        pytest.param(lambda s: with_a_policy(s, existing_role(s)), id="imported"),
    ],
)
def test_cdk_refuses_the_name_of_a_policy_that_it_has_attached(
    stack: cdk.Stack, role_of: RoleOf
) -> None:
    role = role_of(stack)
    with pytest.raises(RuntimeError, match=r'A policy named "Sessions" is already attached$'):
        attach_to_role(stack, role, "Sessions")


@pytest.mark.parametrize("role_of", [with_an_inline_policy, l1_with_an_inline_policy])
def test_the_name_of_a_policy_that_the_role_is_made_with_is_refused(
    stack: cdk.Stack, role_of: RoleOf
) -> None:
    role = role_of(stack)
    with pytest.raises(ValueError, match=r"^policy_name 'Sessions' .* role 'Stack/"):
        attach_to_role(stack, role, "Sessions")


def test_policies_of_one_name_are_no_error_on_roles_that_differ(make_stack: MakeStack) -> None:
    here = make_stack("Here", env=HERE)
    elsewhere = make_stack("Elsewhere", scope=app_of(here), env=ELSEWHERE)
    attach_to_role(here, existing_role(here), "Sessions")
    attach_to_role(elsewhere, existing_role(elsewhere), "Sessions")
    SessionManagerPermissions(
        here, "OnAnother", role=existing_role(here, "Another", "Another"), policy_name="Sessions"
    )
    SessionManagerPermissions(
        here, "Named", role=existing_role(here, "Again"), policy_name="Sessions2"
    )
    assert len(resources(here, "AWS::IAM::Policy")) == 3
    assert policy(elsewhere)["PolicyName"] == "Sessions"
