"""The fleet: which profiles it covers, by how many policies, and what it says of the rest."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any, Protocol

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_eks as eks_l1
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk.cloudformation_include import CfnInclude
from constructs import Construct

from session_manager_permissions import SessionManagerFleet, SessionManagerPermissions
from session_manager_permissions._constructs.fleet_tree import Tree
from tests.builders import (
    ROLES_OF_AN_INCLUDED_PROFILE,
    SIZE,
    include_profile,
    instance,
    l1_profile,
    linux,
    network,
)
from tests.cfn_lint import lint
from tests.conftest import (
    ACCOUNT,
    EC2,
    HERE,
    OTHER_ACCOUNT,
    OTHER_REGION,
    REGION,
    TEMPLATES,
    MakeApp,
    customized,
    existing_key,
    existing_role,
    included_nested,
    l1_role,
    lookups,
    owned_role,
    policy,
    reported,
    resources,
    role_arn,
    run_python,
    synth,
    template,
    template_text,
    warnings,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeAlias

    from constructs import IConstruct

ELSEWHERE = cdk.Environment(account=OTHER_ACCOUNT, region=REGION)
THERE = cdk.Environment(account=ACCOUNT, region=OTHER_REGION)
NOT_ATTACHED = "session-manager-permissions:fleet-not-attached"
COVERS_NOTHING = "session-manager-permissions:fleet-covers-nothing"


class Covered(Protocol):
    def __call__(
        self,
        *names: str,
        env: cdk.Environment | None = HERE,
        context: dict[str, object] | None = None,
    ) -> list[cdk.Stack]: ...


@pytest.fixture
def covered(make_app: MakeApp) -> Covered:
    """Make an app with a fleet, and then these stacks in it."""

    def make(
        *names: str, env: cdk.Environment | None = HERE, context: dict[str, object] | None = None
    ) -> list[cdk.Stack]:
        app = make_app(**(context or {}))
        SessionManagerFleet(app, "Fleet")
        return [cdk.Stack(app, name, env=env) for name in names]

    return make


def profile(
    scope: Construct, construct_id: str = "Profile", role: iam.IRole | None = None
) -> iam.InstanceProfile:
    return iam.InstanceProfile(scope, construct_id, role=role)


def roles(stack: cdk.Stack) -> list[object]:
    """What the stack's one policy lists, by the logical ids of its own roles."""
    found: list[object] = policy(stack)["Roles"]
    return [role["Ref"] if isinstance(role, dict) and "Ref" in role else role for role in found]


def all_roles(*stacks: cdk.Stack) -> list[object]:
    """What all policies of the stacks list."""
    return [
        role
        for stack in stacks
        for found in resources(stack, "AWS::IAM::Policy").values()
        for role in found["Properties"]["Roles"]
    ]


def role_ids(stack: cdk.Stack) -> list[str]:
    """The logical ids of the roles that an instance could have."""
    return [
        name
        for name, role in resources(stack, "AWS::IAM::Role").items()
        if "ec2.amazonaws.com" in json.dumps(role)
    ]


def fleet_roles(stack: cdk.Stack) -> list[list[object]]:
    """What each policy of the stack's fleet lists, beside policies of others."""
    found = resources(stack, "AWS::IAM::Policy").items()
    return [body["Properties"]["Roles"] for name, body in found if name.startswith("Fleet")]


def failure(construct: Construct) -> str:
    """What the synthesis of the app fails with."""
    app = construct.node.root
    assert isinstance(app, cdk.App)
    with pytest.raises(RuntimeError) as caught:
        app.synth()
    return str(caught.value)


# whoever made the compute: each holder with a role that it is given

Hold: TypeAlias = "Callable[[cdk.Stack, iam.IRole], None]"


def in_a_profile(stack: cdk.Stack, role: iam.IRole) -> None:
    profile(stack, "It", role)


def in_an_l1_profile(stack: cdk.Stack, role: iam.IRole) -> None:
    l1_profile(stack, role.role_name, construct_id="It")


def in_an_instance(stack: cdk.Stack, role: iam.IRole) -> None:
    instance(stack, "It", role)


def in_a_bastion_s_instance(stack: cdk.Stack, role: iam.IRole) -> None:
    class Bastion(ec2.Instance):
        pass

    Bastion(stack, "It", vpc=network(stack), instance_type=SIZE, machine_image=linux(), role=role)


def in_an_auto_scaling_group(stack: cdk.Stack, role: iam.IRole) -> None:
    autoscaling.AutoScalingGroup(
        stack, "It", vpc=network(stack), instance_type=SIZE, machine_image=linux(), role=role
    )


def in_a_launch_template(stack: cdk.Stack, role: iam.IRole) -> None:
    ec2.LaunchTemplate(stack, "It", machine_image=linux(), role=role)


def in_ecs_capacity(stack: cdk.Stack, role: iam.IRole) -> None:
    vpc = network(stack)
    group = autoscaling.AutoScalingGroup(
        stack, "It", vpc=vpc, instance_type=SIZE, machine_image=linux(), role=role
    )
    # What the cluster itself needs, an immutable role has already.
    provider = ecs.AsgCapacityProvider(stack, "Provider", auto_scaling_group=group)
    ecs.Cluster(stack, "Cluster", vpc=vpc).add_asg_capacity_provider(provider)


def in_batch(stack: cdk.Stack, role: iam.IRole) -> None:
    batch.ManagedEc2EcsComputeEnvironment(stack, "It", vpc=network(stack), instance_role=role)


def in_a_node_group(stack: cdk.Stack, role: iam.IRole) -> None:
    eks.Nodegroup(stack, "It", cluster=cluster(stack), node_role=role)


def in_an_l1_node_group(stack: cdk.Stack, role: iam.IRole) -> None:
    l1_node_group(stack, role.role_arn)


HOLDERS = [
    in_a_profile,
    in_an_l1_profile,
    in_an_instance,
    in_a_bastion_s_instance,
    in_an_auto_scaling_group,
    in_a_launch_template,
    in_ecs_capacity,
    in_batch,
    in_a_node_group,
    in_an_l1_node_group,
]


def cluster(scope: Construct) -> Any:  # noqa: ANN401 - the stub of ICluster lacks a member
    return eks.Cluster(
        scope,
        "Cluster",
        vpc=network(scope),
        version=eks.KubernetesVersion.V1_32,
        default_capacity_type=eks.DefaultCapacityType.NODEGROUP,
        default_capacity=0,
    )


def l1_node_group(
    scope: Construct, node_role: str, construct_id: str = "It"
) -> eks_l1.CfnNodegroup:
    return eks_l1.CfnNodegroup(
        scope, construct_id, cluster_name="shop", node_role=node_role, subnets=["subnet-1"]
    )


# those that make the role themselves


def of_a_bastion(stack: cdk.Stack) -> None:
    ec2.BastionHostLinux(stack, "It", vpc=network(stack))


def of_a_launch_template_s_profile(stack: cdk.Stack) -> None:
    ec2.LaunchTemplate(stack, "It", instance_profile=profile(stack))


def of_ecs_capacity(stack: cdk.Stack) -> None:
    ecs.Cluster(stack, "It", vpc=network(stack)).add_capacity("Capacity", instance_type=SIZE)


def of_eks_capacity(stack: cdk.Stack) -> None:
    cluster = eks.Cluster(
        stack,
        "It",
        vpc=network(stack),
        version=eks.KubernetesVersion.V1_32,
        default_capacity_type=eks.DefaultCapacityType.NODEGROUP,
        default_capacity=0,
    )
    cluster.add_auto_scaling_group_capacity("Capacity", instance_type=SIZE)


def of_a_node_group(stack: cdk.Stack) -> None:
    cluster(stack).add_nodegroup_capacity("Nodes")


def of_an_l2_profile(stack: cdk.Stack) -> None:
    profile(stack)


MAKERS = [
    of_a_bastion,
    of_a_launch_template_s_profile,
    of_ecs_capacity,
    of_eks_capacity,
    of_a_node_group,
    of_an_l2_profile,
]
each_holder = pytest.mark.parametrize("hold", HOLDERS, ids=lambda hold: hold.__name__)


@pytest.mark.parametrize("make", [*MAKERS, *HOLDERS], ids=lambda make: make.__name__)
def test_the_role_gets_the_policy(stack_here: cdk.Stack, make: Callable[..., None]) -> None:
    SessionManagerFleet(stack_here, "Fleet", strict=True)
    make(stack_here, *([] if make in MAKERS else [owned_role(stack_here)]))
    assert fleet_roles(stack_here) == [[{"Ref": role} for role in role_ids(stack_here)]]
    assert len(role_ids(stack_here)) == 1


@each_holder
def test_an_imported_role_gets_the_policy(stack_here: cdk.Stack, hold: Hold) -> None:
    hold(stack_here, existing_role(stack_here))
    SessionManagerFleet(stack_here, "Fleet", strict=True)
    assert fleet_roles(stack_here) == [["Existing"]]


@pytest.mark.parametrize(("given", "attached"), ROLES_OF_AN_INCLUDED_PROFILE)
def test_the_role_of_an_included_profile_gets_the_policy(
    stack: cdk.Stack, tmp_path: Path, given: object, attached: object
) -> None:
    include_profile(stack, tmp_path, given)
    SessionManagerFleet(stack, "Fleet")
    assert policy(stack)["Roles"] == [attached]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_each_role_of_a_template_as_people_write_it_gets_the_policy(
    stack: cdk.Stack, path: Path
) -> None:
    body = json.loads(path.read_text(encoding="utf-8"))
    expected: dict[str | None, list[Any]] = {}
    for resource in body["Resources"].values():
        if resource["Type"] == "AWS::IAM::InstanceProfile":
            on_condition = expected.setdefault(resource.get("Condition"), [])
            for role in resource["Properties"]["Roles"]:
                if role not in on_condition:
                    on_condition.append(role)
    CfnInclude(stack, "Included", template_file=str(path))
    SessionManagerFleet(stack, "Fleet")
    found = resources(stack, "AWS::IAM::Policy")
    ours = [body for key, body in found.items() if key.startswith("Fleet")]
    assert {body.get("Condition"): body["Properties"]["Roles"] for body in ours} == expected
    assert len(ours) == len(expected)


@jsii.implements(cdk.IAspect)
class ProfileOfEachRole:
    def visit(self, node: IConstruct) -> None:
        if isinstance(node, iam.Role) and node.node.try_find_child("Late") is None:
            profile(node, "Late", node)


aspects = pytest.mark.parametrize(
    ("is_stable", "priority"), [(True, 100), (False, 900)], ids=["stabilized", "not stabilized"]
)


@aspects
def test_a_profile_that_an_aspect_makes_after_the_fleet_s_turn_is_an_error_that_names_it(
    make_app: MakeApp, priority: int, *, is_stable: bool
) -> None:
    app = make_app(**{"@aws-cdk/core:aspectStabilization": is_stable})
    SessionManagerFleet(app, "Fleet")
    stack = cdk.Stack(app, "Stack")
    profile(stack, role=owned_role(stack))
    owned_role(stack, "Second")
    cdk.Aspects.of(app).add(ProfileOfEachRole(), priority=priority)
    said = failure(stack)
    assert "'Stack/Owned/Late/Resource', 'Stack/Second/Late/Resource' came after" in said


@aspects
def test_a_fleet_that_is_made_after_what_an_aspect_visits_covers_what_it_makes(
    make_app: MakeApp, priority: int, *, is_stable: bool
) -> None:
    app = make_app(**{"@aws-cdk/core:aspectStabilization": is_stable})
    stack = cdk.Stack(app, "Stack")
    owned_role(stack)
    SessionManagerFleet(app, "Fleet")
    cdk.Aspects.of(app).add(ProfileOfEachRole(), priority=priority)
    assert roles(stack) == role_ids(stack)


def test_what_an_aspect_makes_late_below_what_is_excluded_is_no_error(stack: cdk.Stack) -> None:
    SessionManagerFleet(stack, "Fleet", exclude=[group := Construct(stack, "Group")])
    owned_role(group)
    inner = Construct(stack, "Inner")
    owned_role(inner)
    SessionManagerFleet(inner, "Fleet")
    cdk.Aspects.of(stack).add(ProfileOfEachRole())
    assert len(all_roles(stack)) == 1


@pytest.mark.parametrize("make_role", [owned_role, existing_role])
@pytest.mark.parametrize("changed", [["Other"], []])
def test_the_role_that_the_template_names_counts_where_a_profile_was_changed(
    stack: cdk.Stack, make_role: Callable[[cdk.Stack], iam.IRole], changed: list[str]
) -> None:
    cfn_profile = profile(stack, role=make_role(stack)).node.default_child
    assert isinstance(cfn_profile, iam.CfnInstanceProfile)
    cfn_profile.roles = changed
    SessionManagerFleet(stack, "Fleet")
    assert all_roles(stack) == changed
    assert len(warnings(stack)) == (0 if changed else 1)


def test_a_profile_of_a_class_of_one_s_own_counts(stack: cdk.Stack) -> None:
    class Standard(iam.CfnInstanceProfile):
        pass

    Standard(stack, "Profile", roles=[owned_role(stack).role_name])
    SessionManagerFleet(stack, "Fleet")
    assert roles(stack) == role_ids(stack)


def test_a_fleet_in_a_profile_covers_that_profile(stack: cdk.Stack) -> None:
    SessionManagerFleet(profile(stack), "Fleet")
    SessionManagerFleet(l1_profile(stack, "Existing", construct_id="Other"), "Fleet")
    profile(stack, "Third")
    assert len(all_roles(stack)) == 2
    assert "Existing" in all_roles(stack)


# profiles on a condition


def include(scope: Construct, folder: Path, body: dict[str, Any]) -> None:
    """Include resources beside the conditions `Prod` and `Test` and the role `Always`."""
    path = folder / f"{scope.node.id}.json"
    conditions = {"Prod": {"Fn::Equals": [{"Ref": "Kind"}, "prod"]}, "Test": {"Fn::Equals": [1, 2]}}
    shared = {
        "Parameters": {
            "Account": {"Type": "String"},
            "Kind": {"Type": "String"},
            "Names": {"Type": "CommaDelimitedList"},
        },
        "Conditions": conditions,
        "Resources": {"Always": included_role(), **body},
    }
    path.write_text(json.dumps(shared))
    CfnInclude(scope, "Included", template_file=str(path))


def included_role(condition: str | None = None, name: str | None = None) -> dict[str, Any]:
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}]}
    properties = {"AssumeRolePolicyDocument": trust, **({"RoleName": name} if name else {})}
    body = {"Type": "AWS::IAM::Role", "Properties": properties}
    return body | ({"Condition": condition} if condition else {})


def included_profile(role: object, condition: str | None = None) -> dict[str, Any]:
    body = {
        "Type": "AWS::IAM::InstanceProfile",
        "Properties": {"Roles": role if role is LIST else [role]},
    }
    return body | ({"Condition": condition} if condition else {})


def on_conditions(stack: cdk.Stack) -> dict[str | None, list[object]]:
    """What each of the stack's policies lists, by its condition."""
    assert not [match for match in lint(template_text(stack)) if match.rule.id == "W1001"]
    found = resources(stack, "AWS::IAM::Policy").values()
    by_condition = {body.get("Condition"): body["Properties"]["Roles"] for body in found}
    assert len(by_condition) == len(found)
    assert len({body["Properties"]["PolicyName"] for body in found}) == len(found)
    return by_condition


ALWAYS, PROD, TEST = {"Ref": "Always"}, {"Ref": "ProdRole"}, {"Ref": "TestRole"}
LIST, FIRST = {"Ref": "Names"}, {"Fn::Select": [0, {"Ref": "Names"}]}


class Conditional(dict[str, Any]):
    """Resources of a template: its roles, and a profile for each role with its condition."""

    def __init__(self, *profiles: tuple[object, str | None], **own: dict[str, Any]) -> None:
        made = (included_profile(role, condition) for role, condition in profiles)
        super().__init__(own | {f"Profile{number}": one for number, one in enumerate(made)})


@pytest.mark.parametrize(
    ("body", "listed"),
    [
        pytest.param(
            Conditional(
                (PROD, "Prod"),
                (TEST, "Test"),
                (ALWAYS, None),
                ("Existing", "Prod"),
                ProdRole=included_role("Prod"),
                TestRole=included_role("Test"),
            ),
            {None: [ALWAYS], "Prod": [PROD, "Existing"], "Test": [TEST]},
            id="each its role",
        ),
        pytest.param(
            Conditional((ALWAYS, "Prod"), (ALWAYS, "Test")),
            {"Prod": [ALWAYS], "Test": [ALWAYS]},
            id="a role on two",
        ),
        pytest.param(
            Conditional((ALWAYS, "Prod"), (ALWAYS, None)), {None: [ALWAYS]}, id="a role on none too"
        ),
        pytest.param(
            Conditional(("Existing", "Prod"), ("Existing", None)),
            {None: ["Existing"]},
            id="a name on none too",
        ),
        pytest.param(
            Conditional(
                ("Named", "Prod"),
                ("Named", "Test"),
                ProdRole=included_role("Prod", "Named"),
                TestRole=included_role("Test", "Named"),
            ),
            {"Prod": [PROD], "Test": [TEST]},
            id="the names of roles on conditions",
        ),
        pytest.param(
            Conditional((LIST, "Prod"), (LIST, "Test")),
            {"Prod": [FIRST], "Test": [FIRST]},
            id="a list on two",
        ),
        pytest.param(
            Conditional(("Named", None), ProdRole=included_role("Prod", "Named")),
            {None: ["Named"]},
            id="the name of a role on another",
        ),
        pytest.param(
            Conditional(("Named", "Prod"), (PROD, None), ProdRole=included_role(name="Named")),
            {None: [PROD]},
            id="the name of a role that is listed",
        ),
        pytest.param(
            Conditional(
                ("Named", "Prod"), ("Existing", None), ProdRole=included_role("Prod", "Named")
            ),
            {None: ["Existing"], "Prod": [PROD]},
            id="the name of a role on a condition beside another name on none",
        ),
        pytest.param(
            Conditional(
                (ALWAYS, None), ({"Fn::Sub": "${Always}"}, None), ({"Fn::Sub": "${Kind}-x"}, None)
            ),
            {None: [ALWAYS, {"Fn::Sub": "${Kind}-x"}]},
            id="a role by a reference in a text",
        ),
    ],
)
def test_profiles_on_a_condition_have_a_policy_on_it(
    stack: cdk.Stack, tmp_path: Path, body: dict[str, Any], listed: dict[str | None, list[object]]
) -> None:
    include(stack, tmp_path, body)
    SessionManagerFleet(stack, "Fleet")
    assert on_conditions(stack) == listed


def test_a_role_by_a_reference_in_a_text_is_listed_once_in_a_nested_stack_of_a_template_too(
    stack: cdk.Stack, tmp_path: Path
) -> None:
    inner = tmp_path / "inner.json"
    resources_of_inner = {
        "Role": included_role(),
        "One": included_profile({"Fn::Sub": "${Role}"}),
        "Two": included_profile({"Ref": "Role"}),
    }
    inner.write_text(json.dumps({"Resources": resources_of_inner}))
    included_nested(stack, inner)
    SessionManagerFleet(stack, "Fleet")

    (text,) = (path.read_text() for path in synth(stack).glob("*.nested.template.json"))
    (found,) = (
        body["Properties"]
        for body in json.loads(text)["Resources"].values()
        if body["Type"] == "AWS::IAM::Policy"
    )
    assert found["Roles"] == [{"Fn::Sub": "${Role}"}]


def test_a_condition_outside_of_the_scope_counts(stack: cdk.Stack) -> None:
    group = Construct(stack, "Group")
    condition = cdk.CfnCondition(stack, "Prod")
    l1_profile(group, l1_role(group).ref).cfn_options.condition = condition
    SessionManagerFleet(group, "Fleet")
    assert list(on_conditions(stack)) == ["Prod"]


def test_conditions_of_one_id_or_one_stack_beside_another_are_each_their_own(
    covered: Covered,
) -> None:
    stacks = covered("One", "Another")
    for stack, name in itertools.product(stacks, ("Left", "Right")):
        group = Construct(stack, name)
        made = l1_profile(group, owned_role(group).role_name)
        made.cfn_options.condition = cdk.CfnCondition(group, "Prod")
    for stack in stacks:
        assert len(on_conditions(stack)) == 2
        assert None not in on_conditions(stack)


def test_what_can_t_be_attached_to_is_in_each_stack_s_one_warning(covered: Covered) -> None:
    stacks = covered("One", "Another")
    for stack in stacks:
        l1_profile(stack, role_arn(), construct_id="ByArn")
        for name in ("Prod", "Test"):
            made = l1_profile(stack, construct_id=name)
            made.cfn_options.condition = cdk.CfnCondition(stack, f"Is{name}")
    for stack in stacks:
        (warning,) = warnings(stack)
        assert all(f"{stack.node.id}/{name}: " in warning for name in ("ByArn", "Prod", "Test"))
        assert not all_roles(stack)


# one policy


def test_each_stack_has_its_own_policy_with_its_own_roles(covered: Covered) -> None:
    *stacks, empty = covered("One", "Another", "WithoutAny", env=None)
    for stack in stacks:
        profile(stack)
        profile(stack, "Second")
    for stack in stacks:
        assert roles(stack) == role_ids(stack)
        assert len(role_ids(stack)) == 2
    assert "Resources" not in template(empty)


def test_a_second_synthesis_adds_nothing(stack: cdk.Stack) -> None:
    profile(stack)
    SessionManagerFleet(stack, "Fleet")
    assert template(stack) == template(stack)


# a role that several profiles share


def owned_by_two_and_an_l1(stack: cdk.Stack) -> object:
    role = owned_role(stack)
    profile(stack, "One", role)
    profile(stack, "Another", role)
    cfn_role = role.node.default_child
    assert isinstance(cfn_role, iam.CfnRole)
    l1_profile(stack, cfn_role.ref, construct_id="Third")
    return cfn_role.ref


def imported_by_name_and_arn_and_an_l1(stack: cdk.Stack) -> object:
    profile(stack, "One", existing_role(stack))
    profile(stack, "Another", iam.Role.from_role_arn(stack, "ByArn", role_arn("Existing")))
    l1_profile(stack, "Existing", construct_id="Third")
    return "Existing"


def a_parameter_of_two(stack: cdk.Stack) -> object:
    name = cdk.CfnParameter(stack, "Name").value_as_string
    l1_profile(stack, name, construct_id="One")
    l1_profile(stack, cdk.Fn.ref("Name"), construct_id="Another")
    return name


def owned_by_a_profile_and_node_groups(stack: cdk.Stack) -> object:
    role = owned_role(stack)
    l1_node_group(stack, role.role_arn, "One")
    profile(stack, role=role)
    l1_node_group(stack, role.role_arn, "Another")
    return role.role_name


def owned_and_by_its_literal_name(stack: cdk.Stack) -> object:
    role = owned_role(stack, name="Named")
    profile(stack, "One", role)
    l1_profile(stack, "Named", construct_id="Another")
    return role.role_name


def l2_by_its_literal_name(stack: cdk.Stack) -> object:
    l1_profile(stack, "Named")
    return owned_role(stack, name="Named").role_name


def l1_by_its_literal_name(stack: cdk.Stack) -> object:
    l1_profile(stack, "Named")
    return l1_role(stack, name="Named").ref


def behind_a_view_that_another_construct_has(stack: cdk.Stack) -> object:
    """Only that construct must not change the role. The profile was given the role itself."""
    role = owned_role(stack)
    role.without_policy_updates()
    profile(stack, role=role)
    return role.role_name


def lazy(stack: cdk.Stack) -> object:
    role = iam.LazyRole(stack, "Lazy", assumed_by=EC2)
    profile(stack, role=role)
    return role.role_name


def beside_users_and_groups(stack: cdk.Stack) -> object:
    iam.User(stack, "User", groups=[iam.Group(stack, "Group")])
    iam.User.from_user_name(stack, "Imported", "operator")
    return owned_by_two_and_an_l1(stack)


@pytest.mark.parametrize(
    "make",
    [
        owned_by_two_and_an_l1,
        imported_by_name_and_arn_and_an_l1,
        a_parameter_of_two,
        owned_by_a_profile_and_node_groups,
        owned_and_by_its_literal_name,
        l2_by_its_literal_name,
        l1_by_its_literal_name,
        behind_a_view_that_another_construct_has,
        lazy,
        beside_users_and_groups,
    ],
    ids=lambda make: make.__name__,
)
@pytest.mark.parametrize("env", [HERE, None], ids=["a known account", "any account"])
def test_one_role_is_listed_once(
    make_app: MakeApp, make: Callable[[cdk.Stack], object], env: cdk.Environment | None
) -> None:
    stack = cdk.Stack(make_app(), "Stack", env=env)
    role = make(stack)
    SessionManagerFleet(stack, "Fleet", strict=True)
    assert policy(stack)["Roles"] == [stack.resolve(role)]


def test_a_role_by_an_arn_that_only_the_deployment_knows_is_attached(stack: cdk.Stack) -> None:
    arn = cdk.CfnParameter(stack, "Arn").value_as_string
    profile(stack, role=iam.Role.from_role_arn(stack, "Role", arn))
    SessionManagerFleet(stack, "Fleet")
    (attached,) = roles(stack)
    assert '{"Ref": "Arn"}' in json.dumps(attached)
    assert not warnings(stack)


@pytest.mark.parametrize("names", [("Owner", "User"), ("User", "Owner")])
@pytest.mark.parametrize("by_name", [True, False])
def test_a_role_that_its_own_stack_uses_too_is_attached_by_that_stack(
    covered: Covered, names: tuple[str, str], *, by_name: bool
) -> None:
    stacks = dict(zip(names, covered(*names), strict=True))
    role = owned_role(stacks["Owner"], name="Named" if by_name else None)
    profile(stacks["Owner"], role=role)
    l1_profile(stacks["User"], "Named" if by_name else role.role_name)
    assert roles(stacks["Owner"]) == role_ids(stacks["Owner"])
    assert not all_roles(stacks["User"])


def by_its_token(scope: Construct, role: iam.Role) -> None:
    profile(scope, role=role)


def behind_an_instance(scope: Construct, role: iam.Role) -> None:
    instance(scope, "It", role)


def by_its_literal_name(scope: Construct, role: iam.Role) -> None:  # noqa: ARG001
    l1_profile(scope, "Named")


def by_a_node_group_and_a_profile(scope: Construct, role: iam.Role) -> None:
    l1_node_group(scope, role.role_arn)
    profile(scope, role=role)


@pytest.mark.parametrize(
    "use", [by_its_token, behind_an_instance, by_its_literal_name, by_a_node_group_and_a_profile]
)
def test_a_role_of_compute_in_two_other_stacks_is_attached_by_each(
    covered: Covered, use: Callable[[Construct, iam.Role], None], references: dict[str, object]
) -> None:
    owner, first, second = covered("Owner", "First", "Second", context=references)
    role = owned_role(owner, name="Named" if use is by_its_literal_name else None)
    for stack in (first, second):
        use(stack, role)
    for stack in (first, second):
        (held,) = resources(stack, "AWS::IAM::InstanceProfile").values()
        assert policy(stack)["Roles"] == held["Properties"]["Roles"]
    assert policy(first)["PolicyName"] != policy(second)["PolicyName"]
    assert not all_roles(owner)


@pytest.mark.parametrize("owner_uses_it", [True, False])
def test_a_role_that_has_a_name_for_other_regions_is_attached_by_its_own_stack_or_each_other(
    make_app: MakeApp, *, owner_uses_it: bool
) -> None:
    app = make_app()
    SessionManagerFleet(app, "Fleet")
    owner = cdk.Stack(app, "Owner", env=HERE)
    role = owned_role(owner, name=cdk.PhysicalName.GENERATE_IF_NEEDED)
    users = [cdk.Stack(app, name, env=THERE) for name in ("First", "Second")]
    owned_role(users[0], "Other", cdk.CfnParameter(users[0], "Name").value_as_string)
    for stack in (*users, *([owner] if owner_uses_it else [])):
        profile(stack, role=role)
    name = next(iter(resources(owner, "AWS::IAM::Role").values()))["Properties"]["RoleName"]
    assert all_roles(*users) == ([] if owner_uses_it else [name, name])
    assert len(all_roles(owner)) == owner_uses_it


def test_a_role_s_own_stack_attaches_it_for_two_others(
    covered: Covered, references: dict[str, object]
) -> None:
    first, owner, second = covered("First", "Owner", "Second", context=references)
    role = owned_role(owner)
    for stack in (first, owner, second):
        profile(stack, role=role)
    assert roles(owner) == role_ids(owner)
    assert not all_roles(first, second)


def test_a_role_of_the_parent_is_attached_by_each_nested_stack_that_uses_it(
    stack: cdk.Stack,
) -> None:
    SessionManagerFleet(stack, "Fleet")
    role = owned_role(stack)
    nested = [cdk.NestedStack(stack, name) for name in ("One", "Another")]
    for inner in nested:
        profile(inner, role=role)
    assert [len(policy(inner)["Roles"]) for inner in nested] == [1, 1]
    assert not resources(stack, "AWS::IAM::Policy")


def test_a_role_on_a_condition_and_without_one_is_listed_once_in_another_stack(
    covered: Covered,
) -> None:
    owner, user = covered("Owner", "User")
    role = owned_role(owner)
    profile(user, "Always", role)
    on_condition = l1_profile(user, role.role_name, construct_id="Maybe")
    on_condition.cfn_options.condition = cdk.CfnCondition(user, "Prod")
    assert list(on_conditions(user)) == [None]


def by_an_import(scope: Construct) -> None:
    profile(scope, role=existing_role(scope))


def by_a_node_group(scope: Construct) -> None:
    l1_node_group(scope, role_arn())


def by_its_name(scope: Construct) -> None:
    l1_profile(scope, "Existing")


@pytest.mark.parametrize("env", [HERE, None], ids=["a known account", "any account"])
@pytest.mark.parametrize("use", [by_an_import, by_a_node_group, by_its_name])
def test_a_role_that_exists_is_attached_by_each_stack_that_uses_it(
    covered: Covered, use: Callable[[Construct], None], env: cdk.Environment | None
) -> None:
    """Destroying one of the stacks takes nothing from the instances of the other."""
    stacks = covered("One", "Another", env=env)
    for stack in stacks:
        use(stack)
    assert [roles(stack) for stack in stacks] == [["Existing"], ["Existing"]]
    assert len({policy(stack)["PolicyName"] for stack in stacks}) == 2
    assert not any(warnings(stack) for stack in stacks)


def test_an_import_of_a_role_that_an_l1_names_keeps_no_other_from_the_policy(
    stack: cdk.Stack,
) -> None:
    SessionManagerFleet(stack, "Fleet")
    l1_profile(stack, "Existing", construct_id="L1")
    for name in ("Existing", "Other"):
        profile(stack, f"Of{name}", existing_role(stack, name, name))
    assert roles(stack) == ["Existing", "Other"]


def test_roles_of_one_name_in_two_accounts_are_two(make_app: MakeApp) -> None:
    app = make_app()
    SessionManagerFleet(app, "Fleet")
    stacks = [cdk.Stack(app, "One", env=HERE), cdk.Stack(app, "Another", env=ELSEWHERE)]
    owned_role(stacks[0], name="Existing")
    for stack in stacks:
        l1_profile(stack, "Existing")
    assert [roles(stack) for stack in stacks] == [role_ids(stacks[0]), ["Existing"]]


def test_roles_that_read_the_same_in_two_stacks_are_both_attached(covered: Covered) -> None:
    one, another = covered("One", "Another")
    theirs, ours = owned_role(one), owned_role(another)
    profile(another, "Ours", ours)
    profile(another, "Theirs", theirs)
    assert one.resolve(theirs.role_name) == another.resolve(ours.role_name)
    attached = policy(another)["Roles"]
    assert attached[0] == {"Ref": role_ids(another)[0]}
    assert "Fn::ImportValue" in attached[1]


def test_the_same_token_of_two_stacks_that_refers_to_no_role_is_each_its_own(
    covered: Covered,
) -> None:
    stacks = covered("One", "Another")
    name = cdk.Fn.ref("Name")
    for stack in stacks:
        cdk.CfnParameter(stack, "Name")
        l1_profile(stack, name)
    assert [roles(stack) for stack in stacks] == [["Name"], ["Name"]]


def test_a_role_whose_stack_is_outside_the_scope_is_attached_once(make_app: MakeApp) -> None:
    app = make_app()
    owner, user = (cdk.Stack(app, name, env=HERE) for name in ("Owner", "User"))
    role = owned_role(owner)
    cfn_role = role.node.default_child
    assert isinstance(cfn_role, iam.CfnRole)
    profile(user, role=role)
    l1_profile(user, cfn_role.ref, construct_id="Another")
    SessionManagerFleet(user, "Fleet")
    (attached,) = roles(user)
    assert "Fn::ImportValue" in json.dumps(attached)


# what can't be attached to


def test_a_role_that_must_not_change_keeps_the_policy_from_no_other(stack: cdk.Stack) -> None:
    fixed = iam.Role.from_role_name(stack, "Fixed", "Fixed", mutable=False)
    profile(stack, "Other", existing_role(stack))
    profile(stack, "Its", fixed)

    SessionManagerFleet(stack, "Fleet")

    assert roles(stack) == ["Existing"]
    (warning,) = warnings(stack)
    assert "'Stack/Fixed' was imported with mutable=False" in warning


def owned_in_another_account(stack: cdk.Stack) -> IConstruct:
    there = cdk.Stack(cdk.Stage.of(stack), "There", env=ELSEWHERE)
    return profile(stack, role=owned_role(there, name="Theirs"))


def made_as_a_bare_resource(stack: cdk.Stack) -> IConstruct:
    return cdk.CfnResource(
        stack, "Profile", type="AWS::IAM::InstanceProfile", properties={"Roles": ["Existing"]}
    )


THEIR_ACCOUNT = f"belongs to account {OTHER_ACCOUNT}"
NOT_AN_ARN = "is not the ARN of a role"
LOST: dict[str, tuple[Callable[[cdk.Stack], IConstruct], str]] = {
    "role owned in another account": (owned_in_another_account, THEIR_ACCOUNT),
    "no role": (l1_profile, "has 0 roles, "),
    "two roles": (lambda s: l1_profile(s, "One", "Another"), "has 2 roles, "),
    "ARN of a role": (lambda s: l1_profile(s, role_arn()), "which is an ARN: give the name"),
    "bare resource": (made_as_a_bare_resource, "is a cdk.CfnResource"),
    "node group of a name": (lambda s: l1_node_group(s, "worker"), NOT_AN_ARN),
    "node group of a user": (
        lambda s: l1_node_group(s, f"arn:aws:iam::{ACCOUNT}:user/worker"),
        NOT_AN_ARN,
    ),
    "node group of another account": (
        lambda s: l1_node_group(s, role_arn(account=OTHER_ACCOUNT)),
        THEIR_ACCOUNT,
    ),
}


@pytest.mark.parametrize("kind", LOST)
def test_what_can_t_be_attached_to_is_named_in_a_warning(stack_here: cdk.Stack, kind: str) -> None:
    make, why = LOST[kind]
    lost = make(stack_here)
    profile(stack_here, "Good")
    SessionManagerFleet(stack_here, "Fleet")
    (warning,) = warnings(stack_here)
    assert lost.node.path in warning
    assert why in warning
    assert warning.endswith(f"[ack: {NOT_ATTACHED}]")
    assert len(all_roles(stack_here)) == 1
    cdk.Annotations.of(stack_here).acknowledge_warning(NOT_ATTACHED)
    assert not warnings(stack_here)


def immutable(scope: Construct) -> iam.IRole:
    return iam.Role.from_role_name(scope, "Role", "Existing", mutable=False)


def by_arn(stack: cdk.Stack, arn: str, *, mutable: bool = True) -> iam.IRole:
    return iam.Role.from_role_arn(stack, "Role", arn, mutable=mutable)


def parameter(stack: cdk.Stack) -> str:
    return cdk.CfnParameter(stack, "Given").value_as_string


RoleOf: TypeAlias = "Callable[[cdk.Stack], iam.IRole]"
NOT_MUTABLE = "mutable=False"
FIXED: dict[str, tuple[RoleOf, str]] = {
    "immutable by name": (immutable, NOT_MUTABLE),
    "immutable by ARN": (lambda s: by_arn(s, role_arn(), mutable=False), NOT_MUTABLE),
    "immutable by a parameter": (
        lambda s: iam.Role.from_role_name(s, "Role", parameter(s), mutable=False),
        NOT_MUTABLE,
    ),
    "immutable by a parameter's ARN": (
        lambda s: by_arn(s, parameter(s), mutable=False),
        NOT_MUTABLE,
    ),
    "immutable in another stack": (
        lambda s: immutable(cdk.Stack(cdk.Stage.of(s), "Shared", env=HERE)),
        NOT_MUTABLE,
    ),
    "immutable beside a mutable": (lambda s: (existing_role(s), immutable(s))[1], NOT_MUTABLE),
    "mutable beside an immutable": (lambda s: (immutable(s), existing_role(s))[1], NOT_MUTABLE),
    "view of an owned": (
        lambda s: owned_role(s).without_policy_updates(),
        "without_policy_updates()",
    ),
    "another account's": (lambda s: by_arn(s, role_arn(account=OTHER_ACCOUNT)), THEIR_ACCOUNT),
    "reserved": (
        lambda s: by_arn(s, role_arn("aws-reserved/sso.amazonaws.com/Admins")),
        "reserved by AWS",
    ),
    "service-linked": (
        lambda s: by_arn(s, role_arn("aws-service-role/x.amazonaws.com/X")),
        "is a service-linked role",
    ),
}


def rotated(*holders: Hold, but: str = "") -> list[Any]:
    """Each role that must not change, with one holder after the other in turn."""
    pairs = zip(itertools.cycle(holders), (kind for kind in FIXED if kind != but), strict=False)
    return [pytest.param(hold, kind, id=f"{kind} {hold.__name__}") for hold, kind in pairs]


@pytest.mark.parametrize(
    ("hold", "kind"),
    [
        *rotated(in_a_profile),
        *rotated(in_an_l1_profile, but="another account's"),  # which tells no account
        *rotated(*HOLDERS[2:]),
    ],
)
def test_a_role_that_must_not_change_is_never_attached_to(
    stack_here: cdk.Stack, hold: Hold, kind: str
) -> None:
    make_role, why = FIXED[kind]
    hold(stack_here, make_role(stack_here))
    SessionManagerFleet(stack_here, "Fleet")
    (lost,) = [text for text in warnings(stack_here) if NOT_ATTACHED in text]
    assert "Stack/It" in lost
    assert why in lost
    assert not fleet_roles(stack_here)


@each_holder
def test_a_role_that_must_not_change_is_an_error_where_strict(
    stack_here: cdk.Stack, hold: Hold
) -> None:
    hold(stack_here, immutable(stack_here))
    SessionManagerFleet(stack_here, "Fleet", strict=True)
    assert "mutable=False" in failure(stack_here)


def test_another_account_s_role_of_the_same_name_is_another_role(stack_here: cdk.Stack) -> None:
    by_arn(stack_here, role_arn(account=OTHER_ACCOUNT))
    in_an_instance(stack_here, existing_role(stack_here))
    SessionManagerFleet(stack_here, "Fleet", strict=True)
    assert roles(stack_here) == ["Existing"]


def test_a_role_that_only_javascript_code_has_imported_is_asked_too(stack_here: cdk.Stack) -> None:
    """Python then sees no role in the tree. Constructs of other libraries may do this."""
    role = immutable(stack_here)
    in_an_instance(stack_here, role)
    hidden = Tree(stack_here)
    hidden.in_app = [node for node in hidden.in_app if not hasattr(node, "grant_pass_role")]
    assert hidden.imported_roles(with_owned=False) == {}
    assert [name for name, _ in hidden.roles_given()] == ["Existing"]


def test_a_lazy_role_that_nothing_uses_is_not_made(stack: cdk.Stack) -> None:
    lazy = iam.LazyRole(stack, "Lazy", assumed_by=EC2)
    Construct(stack, "Holder").role = lazy  # type: ignore[attr-defined]
    profile(stack)
    l1_profile(stack, "Existing", construct_id="L1")
    SessionManagerFleet(stack, "Fleet")
    assert len(resources(stack, "AWS::IAM::Role")) == 1


def test_a_group_whose_launch_template_has_no_role_has_none_to_ask(stack_here: cdk.Stack) -> None:
    group = autoscaling.AutoScalingGroup(
        stack_here,
        "Group",
        vpc=network(stack_here),
        launch_template=ec2.LaunchTemplate(
            stack_here, "Template", machine_image=linux(), instance_type=SIZE
        ),
    )
    l1_profile(group, "Existing")
    SessionManagerFleet(stack_here, "Fleet")
    assert roles(stack_here) == ["Existing"]


@pytest.mark.parametrize(
    ("hold", "kind"),
    rotated(  # The construct goes by what it is given, and not by what the rest of the app imports.
        *(in_an_instance, in_an_auto_scaling_group, in_a_launch_template, in_batch),
        but="mutable beside an immutable",
    ),
)
def test_the_construct_refuses_the_l1_profile_of_such_a_role_too(
    stack_here: cdk.Stack, hold: Hold, kind: str
) -> None:
    make_role, why = FIXED[kind]
    hold(stack_here, make_role(stack_here))
    made = next(
        node for node in stack_here.node.find_all() if isinstance(node, iam.CfnInstanceProfile)
    )
    with pytest.raises(ValueError, match=re.escape(why)):
        SessionManagerPermissions(stack_here, "Permissions", instance_profile=made)


# node groups of EKS


def with_an_attribute(stack: cdk.Stack) -> tuple[str, object]:
    role = l1_role(stack)
    return role.attr_arn, {"Ref": "L1"}


def with_a_parameter(stack: cdk.Stack) -> tuple[str, object]:
    resource = {"Fn::Select": [5, {"Fn::Split": [":", {"Ref": "Arn"}]}]}
    name = {"Fn::Select": [1, {"Fn::Split": ["/", resource]}]}
    return cdk.CfnParameter(stack, "Arn").value_as_string, name


def with_a_path(_: cdk.Stack) -> tuple[str, object]:
    return role_arn("team/Existing"), "Existing"


@pytest.mark.parametrize("make", [with_an_attribute, with_a_parameter, with_a_path])
def test_the_role_of_an_l1_node_group_gets_the_policy(
    stack_here: cdk.Stack, make: Callable[[cdk.Stack], tuple[str, object]]
) -> None:
    node_role, expected = make(stack_here)
    l1_node_group(stack_here, node_role)
    SessionManagerFleet(stack_here, "Fleet", strict=True)
    assert policy(stack_here)["Roles"] == [expected]


IN_TEMPLATES: list[tuple[object, str | None, object]] = [
    ({"Fn::GetAtt": ["Always", "Arn"]}, "Prod", ALWAYS),
    ({"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:role/team/Existing"}, None, "Existing"),
    ({"Fn::Sub": "arn:aws:iam::${Account}:role/team/${Kind}"}, None, {"Ref": "Kind"}),
    (
        {"Fn::Join": [":", ["arn:aws:iam:", {"Ref": "AWS::AccountId"}, "role/team/Existing"]]},
        None,
        "Existing",
    ),
    ({"Fn::Sub": f"arn:${{AWS::Partition}}:iam::{OTHER_ACCOUNT}:role/Existing"}, None, None),
]


@pytest.mark.parametrize(("node_role", "condition", "attached"), IN_TEMPLATES)
def test_the_role_of_an_included_node_group_gets_the_policy(
    stack_here: cdk.Stack,
    tmp_path: Path,
    node_role: object,
    condition: str | None,
    attached: object,
) -> None:
    properties = {"ClusterName": "shop", "NodeRole": node_role, "Subnets": ["subnet-1"]}
    node_group = {"Type": "AWS::EKS::Nodegroup", "Properties": properties}
    node_group |= {"Condition": condition} if condition else {}
    include(stack_here, tmp_path, {"Nodes": node_group})
    SessionManagerFleet(stack_here, "Fleet")
    assert on_conditions(stack_here) == ({condition: [attached]} if attached else {})
    assert [NOT_ATTACHED in text for text in warnings(stack_here)] == [True] * (not attached)


# a fleet that covers nothing


@pytest.mark.parametrize("scope", ["app", "group of stacks", "stack", "construct", "nested stack"])
@pytest.mark.parametrize("strict", [False, True])
def test_a_fleet_that_covers_nothing_says_so(
    make_app: MakeApp, scope: str, *, strict: bool
) -> None:
    app = make_app()
    group = Construct(app, "Group")
    stack = cdk.Stack(group, "Stack")
    cdk.Stack(app, "Second")
    of = {
        "app": app,
        "group of stacks": group,
        "stack": stack,
        "construct": Construct(stack, "Inner"),
        "nested stack": cdk.NestedStack(stack, "Nested"),
    }[scope]
    SessionManagerFleet(of, "Fleet", strict=strict)
    if strict:
        assert "covers nothing: there is no instance profile" in failure(app)
    else:
        (warning,) = warnings(stack)
        assert "covers nothing: there is no instance profile" in warning
        assert f"[ack: {COVERS_NOTHING}]" in warning


def test_a_fleet_around_no_stack_says_so_on_a_stack_of_the_app(make_app: MakeApp) -> None:
    app = make_app()
    SessionManagerFleet(Construct(app, "Group"), "Fleet")
    in_a_stage = cdk.Stack(cdk.Stage(app, "Stage"), "Stack")
    stack = cdk.Stack(app, "Stack")
    profile(stack)
    (warning,) = warnings(stack)
    assert "below 'Group'" in warning
    assert not warnings(in_a_stage)


def test_a_fleet_of_a_stage_that_covers_nothing_says_so_in_the_stage(make_app: MakeApp) -> None:
    app = make_app()
    profile(cdk.Stack(app, "Stack"))
    SessionManagerFleet(app, "Fleet")
    stage = cdk.Stage(app, "Stage")
    stack = cdk.Stack(stage, "Stack")
    SessionManagerFleet(stage, "Fleet")
    (warning,) = warnings(stack)
    assert "below 'Stage'" in warning


@pytest.mark.parametrize("strict", [False, True])
def test_a_fleet_without_any_stack_says_so_where_strict(make_app: MakeApp, *, strict: bool) -> None:
    app = make_app()
    SessionManagerFleet(app, "Fleet", strict=strict)
    if strict:
        assert "below the app" in failure(app)
    else:
        app.synth()


def test_a_fleet_that_covers_nothing_on_purpose_says_nothing(make_app: MakeApp) -> None:
    app = make_app()
    stack = cdk.Stack(app, "Stack")
    excluded = profile(stack)
    inner = Construct(stack, "Inner")
    profile(inner)
    SessionManagerFleet(inner, "Fleet", strict=True)
    SessionManagerFleet(app, "Fleet", exclude=[excluded], strict=True)
    SessionManagerFleet(app, "Second", strict=True)
    assert not warnings(stack)


def test_a_fleet_whose_stacks_are_all_left_alone_says_nothing(make_app: MakeApp) -> None:
    app = make_app()
    excluded, stage = cdk.Stack(app, "Excluded"), cdk.Stage(app, "Stage")
    cdk.Stack(stage, "Inner")
    alone = cdk.Stack(app, "Alone")
    owned_role(alone)
    inner = SessionManagerFleet(alone, "Fleet")
    SessionManagerFleet(app, "Fleet", exclude=[excluded, stage], strict=True)
    (warning,) = warnings(alone)
    assert repr(inner.node.path) in warning
    assert not warnings(excluded)


# the first pass of a look-up, and roles that others create


def test_a_role_that_is_to_be_looked_up_does_not_fail_the_first_pass(stack_here: cdk.Stack) -> None:
    profile(stack_here, role=iam.Role.from_lookup(stack_here, "Role", role_name="web-server"))
    SessionManagerFleet(stack_here, "Fleet", strict=True)
    assert synth(stack_here)
    assert lookups(stack_here)
    assert not warnings(stack_here)


WAYS = itertools.cycle([("app", True, owned_role), ("stack", True, existing_role)])
CUSTOMIZED = [
    *((hold, *way) for hold, way in zip(HOLDERS, WAYS, strict=False)),
    # CDK gives an owned role that it synthesizes an ARN without a name, which is no node group's.
    (in_a_profile, "app", False, owned_role),
    (in_an_instance, "app", False, existing_role),
]


@pytest.mark.parametrize(("hold", "level", "prevent_synthesis", "make_role"), CUSTOMIZED)
def test_roles_that_others_create_are_reported_once_behind_every_construct(
    make_app: MakeApp,
    hold: Hold,
    level: str,
    make_role: Callable[[cdk.Stack], iam.IRole],
    *,
    prevent_synthesis: bool,
) -> None:
    stack = customized(make_app(), level, prevent_synthesis=prevent_synthesis)
    role = make_role(stack)
    hold(stack, role)
    l1_profile(stack, role.role_name, construct_id="Second")
    l1_profile(stack, "Third", construct_id="Third")
    SessionManagerFleet(stack, "Fleet", strict=True)
    sids = [one.get("Sid") for one in reported(stack)[role.node.path]]
    assert sids.count("SessionManagerChannels") == 1
    assert fleet_roles(stack) == [["Third"]]


# exclude


def with_a_profile_below(outer: Construct) -> IConstruct:
    profile(Construct(outer, "Inner"))
    return outer


def role_above_its_profile(stack: cdk.Stack) -> IConstruct:
    role = owned_role(stack)
    iam.InstanceProfile(role, "Profile", role=role)
    return role


EXCLUDED: dict[str, Callable[[cdk.Stack], IConstruct]] = {
    "profile": lambda s: profile(s, "Excluded"),
    "L1 profile": lambda s: l1_profile(s, owned_role(s).role_name),
    "instance": instance,
    "profile in an instance": lambda s: instance(s).node.find_child("InstanceProfile"),
    "tree": lambda s: with_a_profile_below(Construct(s, "Excluded")),
    "nested stack": lambda s: with_a_profile_below(cdk.NestedStack(s, "Excluded")),
    "node group": lambda s: l1_node_group(s, role_arn("Alone")),
    "role above its profile": role_above_its_profile,
    "bare resource": made_as_a_bare_resource,
}


@pytest.mark.parametrize("kind", EXCLUDED)
def test_what_is_excluded_is_left_alone_with_all_below(stack: cdk.Stack, kind: str) -> None:
    excluded = EXCLUDED[kind](stack)
    profile(stack, "ExcludedNot", owned_role(stack, "Covered"))
    SessionManagerFleet(stack, "Fleet", exclude=[excluded])
    (covered,) = roles(stack)
    assert str(covered).startswith("Covered")
    assert not warnings(stack)


@pytest.mark.parametrize("strict", [False, True])
def test_an_exclusion_without_effect_is_said(make_app: MakeApp, *, strict: bool) -> None:
    app = make_app()
    stack, outside, empty = (cdk.Stack(app, name) for name in ("Stack", "Outside", "Empty"))
    found, elsewhere = profile(stack), profile(outside)
    group = Construct(stack, "Group")
    stage = cdk.Stage(stack, "Stage")  # excluded for its own sake, as it would need a fleet
    excluded = [group, elsewhere, empty, found, stage]
    SessionManagerFleet(stack, "Fleet", exclude=excluded, strict=strict)
    said = [failure(app)] if strict else warnings(stack)
    for path in ("Stack/Group", "Outside/Profile", "Empty"):
        assert any(f"excludes '{path}' without effect" in text for text in said)
    assert not any("'Stack/Profile'" in text for text in said)
    assert len(said) == (1 if strict else 3)


def test_several_fleets_may_have_one_list_of_what_is_excluded(make_app: MakeApp) -> None:
    app = make_app()
    stages = [cdk.Stage(app, name) for name in ("Beta", "Prod")]
    stacks = [cdk.Stack(stage, "Stack") for stage in stages]
    left_alone = [profile(stack, "Alone") for stack in stacks]
    for stage, stack in zip(stages, stacks, strict=True):
        profile(stack)
        SessionManagerFleet(stage, "Fleet", exclude=left_alone)
    for stack in stacks:
        (covered,) = roles(stack)
        assert str(covered).startswith("Profile")


@pytest.mark.parametrize("scope", ["stack", "scope"])
def test_an_excluded_stack_is_left_alone(make_app: MakeApp, scope: str) -> None:
    app = make_app()
    one, another = (cdk.Stack(app, name) for name in ("One", "Another"))
    for stack in (one, another):
        profile(stack)
    SessionManagerFleet(app, "Fleet", exclude=[one if scope == "stack" else app])
    assert not all_roles(one)
    assert all_roles(another) == ([] if scope == "scope" else policy(another)["Roles"])


# nested stacks


@pytest.mark.parametrize("scope", ["app", "stack"])
def test_a_nested_stack_has_its_own_policy(make_app: MakeApp, scope: str) -> None:
    app = make_app()
    parent = cdk.Stack(app, "Parent")
    SessionManagerFleet(app if scope == "app" else parent, "Fleet")
    profile(parent, "First")
    nested = cdk.NestedStack(parent, "Nested")
    profile(nested, "Profile")
    innermost = cdk.NestedStack(nested, "Innermost")
    profile(innermost, "Profile")
    profile(nested, "Last")
    profile(parent, "Last")
    for stack, number in ((parent, 2), (nested, 2), (innermost, 1)):
        assert roles(stack) == role_ids(stack)
        assert len(role_ids(stack)) == number


@pytest.mark.parametrize("parent_uses_it", [True, False])
def test_a_role_of_the_parent_is_attached_once_for_a_nested_profile(
    stack: cdk.Stack, *, parent_uses_it: bool
) -> None:
    SessionManagerFleet(stack, "Fleet")
    nested = cdk.NestedStack(stack, "Nested")
    role = owned_role(stack)
    profile(nested, role=role)
    if parent_uses_it:
        profile(stack, role=role)
    (held,) = resources(nested, "AWS::IAM::InstanceProfile").values()
    inner, outer = all_roles(nested), all_roles(stack)
    expected = ([], role_ids(stack)) if parent_uses_it else (held["Properties"]["Roles"], [])
    assert (inner, [one["Ref"] for one in outer]) == expected  # type: ignore[index]


def test_a_fleet_in_a_nested_stack_leaves_its_parent_alone(stack: cdk.Stack) -> None:
    nested = cdk.NestedStack(stack, "Nested")
    SessionManagerFleet(nested, "Fleet")
    profile(stack)
    profile(nested)
    assert roles(nested) == role_ids(nested)
    assert not resources(stack, "AWS::IAM::Policy")


# scopes and stages


@pytest.mark.parametrize("is_in_stack", [True, False])
def test_a_fleet_in_a_construct_covers_what_is_in_the_construct(
    make_app: MakeApp, *, is_in_stack: bool
) -> None:
    app = make_app()
    if is_in_stack:
        outer = cdk.Stack(app, "Outer")
        group = Construct(outer, "Group")
        covered = outer
    else:
        group = Construct(app, "Group")
        outer = cdk.Stack(app, "Outer")
        covered = cdk.Stack(group, "Covered")
    SessionManagerFleet(group, "Fleet")
    profile(outer, "Outside")
    profile(group if is_in_stack else covered, "Inside")
    (attached,) = all_roles(outer, covered) if not is_in_stack else all_roles(outer)
    assert "Inside" in json.dumps(attached)


def test_a_stack_below_a_construct_or_a_stack_counts(make_app: MakeApp) -> None:
    outer = cdk.Stack(make_app(), "Outer")
    group = Construct(outer, "Group")
    inner, another = cdk.Stack(group, "Inner"), cdk.Stack(group, "Another")
    SessionManagerFleet(group, "Fleet")
    for stack in (group, inner, another):
        profile(stack)
    for stack in (outer, inner, another):
        assert roles(stack) == role_ids(stack)
        assert len(role_ids(stack)) == 1


def test_a_stack_without_anything_at_the_end_of_a_construct_changes_nothing(
    stack: cdk.Stack,
) -> None:
    group = Construct(stack, "Group")
    SessionManagerFleet(group, "Fleet")
    profile(group)
    cdk.Stack(group, "Empty")
    assert roles(stack) == role_ids(stack)
    assert len(role_ids(stack)) == 1


def test_a_fleet_in_each_stage_covers_its_own(make_app: MakeApp) -> None:
    app = make_app()
    stacks = []
    for name in ("Test", "Prod"):
        stage = cdk.Stage(app, name)
        SessionManagerFleet(stage, "Fleet")
        stacks.append(cdk.Stack(stage, "Stack"))
        profile(stacks[-1])
    beside = cdk.Stack(app, "Beside")
    profile(beside)
    SessionManagerFleet(app, "Fleet", strict=True)
    for stack in (*stacks, beside):
        assert roles(stack) == role_ids(stack)
        assert len(role_ids(stack)) == 1


@pytest.mark.parametrize("is_in_stack", [False, True], ids=["in the app", "in a stack"])
def test_a_stage_without_a_fleet_below_one_is_an_error_that_names_it(
    make_app: MakeApp, *, is_in_stack: bool
) -> None:
    app = make_app()
    scope = cdk.Stack(app, "Pipeline") if is_in_stack else app
    SessionManagerFleet(scope, "Fleet")
    with_fleet = cdk.Stage(scope, "Test")
    SessionManagerFleet(with_fleet, "Fleet")
    cdk.Stage(scope, "Prod")
    said = failure(app)
    assert "Prod' has no SessionManagerFleet of its own" in said
    assert "make one in the stage, or give it in exclude" in said
    assert "Test" not in said


def test_a_stage_whose_fleet_covers_a_part_of_it_is_an_error(make_app: MakeApp) -> None:
    app = make_app()
    SessionManagerFleet(app, "Fleet")
    stack = cdk.Stack(cdk.Stage(app, "Prod"), "Stack")
    SessionManagerFleet(stack, "Fleet")
    assert "stage 'Prod' has no SessionManagerFleet of its own" in failure(app)


def test_a_stage_in_a_stage_is_the_inner_fleet_s_to_report(make_app: MakeApp) -> None:
    app = make_app()
    SessionManagerFleet(app, "Fleet")
    stage = cdk.Stage(app, "Prod")
    cdk.Stage(stage, "Cell")
    SessionManagerFleet(stage, "Fleet")
    said = failure(app)
    assert said.count("has no SessionManagerFleet of its own") == 1
    assert "stage 'Prod/Cell' has no" in said


# two fleets


def test_of_two_fleets_the_one_that_is_nearer_covers(make_app: MakeApp) -> None:
    app = make_app()
    one, another = (cdk.Stack(app, name) for name in ("One", "Another"))
    group = Construct(one, "Group")
    for scope in (one, group, another):
        profile(scope)
    SessionManagerFleet(app, "Fleet")
    SessionManagerFleet(one, "Fleet", allow_registration=True)
    SessionManagerFleet(group, "Fleet")
    found = resources(one, "AWS::IAM::Policy").values()
    sizes = [len(body["Properties"]["PolicyDocument"]["Statement"]) for body in found]
    assert sorted(sizes) == [2, 3]
    assert [len(all_roles(stack)) for stack in (one, another)] == [2, 1]


@pytest.mark.parametrize("scope", ["app", "stack", "construct"])
def test_of_two_fleets_with_one_scope_the_first_covers(make_app: MakeApp, scope: str) -> None:
    app = make_app()
    stack = cdk.Stack(app, "Stack")
    group = Construct(stack, "Group")
    profile(group)
    of = {"app": app, "stack": stack, "construct": group}[scope]
    SessionManagerFleet(of, "First")
    SessionManagerFleet(of, "Second")
    assert "-First" in policy(stack)["PolicyName"]
    assert roles(stack) == role_ids(stack)


def test_of_two_fleets_with_one_scope_the_second_covers_what_the_first_excludes(
    make_app: MakeApp,
) -> None:
    app = make_app()
    one, another = (cdk.Stack(app, name) for name in ("One", "Another"))
    group = Construct(another, "Group")
    for scope in (one, another, group):
        profile(scope)
    SessionManagerFleet(app, "First", exclude=[another])
    SessionManagerFleet(app, "Second", exclude=[one])
    SessionManagerFleet(app, "Third")
    assert "-First" in policy(one)["PolicyName"]
    assert "-Second" in policy(another)["PolicyName"]
    assert [len(roles(stack)) for stack in (one, another)] == [1, 2]


@pytest.mark.parametrize(("is_excluded", "who"), [(False, "First"), (True, "Second")])
def test_of_two_fleets_with_one_scope_the_one_that_would_cover_a_stage_reports_it(
    make_app: MakeApp, who: str, *, is_excluded: bool
) -> None:
    app = make_app()
    stage = cdk.Stage(app, "Prod")
    SessionManagerFleet(app, "First", exclude=[stage] if is_excluded else [])
    SessionManagerFleet(app, "Second")
    said = failure(app)
    assert said.count("has no SessionManagerFleet of its own") == 1
    assert f"[{who}] stage 'Prod'" in said


# the options


def test_all_options_do_what_they_do_on_the_construct(make_app: MakeApp) -> None:
    documents = []
    for is_fleet in (True, False):
        stack = cdk.Stack(make_app(), "Stack", env=HERE)
        made = profile(stack)
        options: Any = {
            "allow_registration": True,
            "check_log_encryption": False,
            "decrypt_sessions_only": True,
            "encryption_key": kms.Key(stack, "Key"),
            "log_bucket": s3.Bucket(stack, "Bucket", encryption=s3.BucketEncryption.KMS),
            "log_prefix": "sessions/",
            "log_group": logs.LogGroup(stack, "Group"),
        }
        if is_fleet:
            SessionManagerFleet(stack, "Fleet", **options)
        else:
            SessionManagerPermissions(stack, "Fleet", instance_profile=made, **options)
        documents.append(policy(stack)["PolicyDocument"])
    assert documents[0] == documents[1]
    assert len(documents[0]["Statement"]) == 8


WRONG: Any = "wrong"


@pytest.mark.parametrize(
    "option",
    ["policy_name", "allow_registration", "strict", "exclude", "encryption_key", "preferences"],
)
def test_a_wrong_option_is_a_type_error_at_once(stack: cdk.Stack, option: str) -> None:
    for wrong in (WRONG, [WRONG]):
        options: Any = {option: wrong}
        with pytest.raises(TypeError, match=option):
            SessionManagerFleet(stack, "Fleet", **options)
    assert stack.node.try_find_child("Fleet") is None


# keys out of reach


@pytest.mark.parametrize(
    ("env", "warning"),
    [
        (HERE, []),
        (THERE, ["no-key-in-region]"]),
        (ELSEWHERE, ["key-of-another-account]"]),
        (None, []),
    ],
)
def test_a_key_of_another_account_or_region_is_a_warning_on_each_stack_with_compute(
    make_app: MakeApp, env: cdk.Environment | None, warning: list[str]
) -> None:
    app = make_app()
    keys, stack, empty = (
        cdk.Stack(app, name, env=at) for name, at in (("Keys", HERE), ("It", env), ("Empty", env))
    )
    SessionManagerFleet(app, "Fleet", encryption_key=existing_key(keys))
    profile(stack)
    said = [text.rpartition("[ack: session-manager-permissions:")[2] for text in warnings(stack)]
    assert said == warning
    assert not warnings(empty)


# names


def test_a_name_differs_from_stack_to_stack_and_region_to_region(make_app: MakeApp) -> None:
    app = make_app()
    SessionManagerFleet(app, "Fleet")
    environments = [HERE, cdk.Environment(account=ACCOUNT, region=OTHER_REGION), None]
    stacks = [cdk.Stack(app, f"Stack{at}", env=env) for at, env in enumerate(environments)]
    for stack in stacks:
        profile(stack)
    names = [policy(stack)["PolicyName"] for stack in stacks]
    assert len(set(names)) == 3
    assert names[0].endswith(f"-{REGION}")
    assert names[1].endswith(f"-{OTHER_REGION}")


@pytest.mark.parametrize(
    ("scope", "logical_id"),
    [("stack", "FleetPolicy18712D8A"), ("app", "Fleet2bb4f92cPolicy5445CCF7")],
)
def test_the_logical_id_is_a_contract(make_app: MakeApp, scope: str, logical_id: str) -> None:
    app = make_app()
    stack = cdk.Stack(app, "Stack")
    SessionManagerFleet(app if scope == "app" else stack, "Fleet")
    profile(stack)
    assert list(resources(stack, "AWS::IAM::Policy")) == [logical_id]


# aspects of others, and the flags


@jsii.implements(cdk.IAspect)
class NamePolicies:
    """Names every policy of an app by the rules of a company."""

    def visit(self, node: IConstruct) -> None:
        if isinstance(node, iam.CfnPolicy) and not node.policy_name.startswith("acme-"):
            node.policy_name = f"acme-{node.policy_name}"


@pytest.mark.parametrize("is_stable", [True, False], ids=["stabilized", "not stabilized"])
@pytest.mark.parametrize("is_first", [True, False], ids=["stacks after it", "stacks before it"])
def test_aspects_of_others_work_beside_the_fleet(
    make_app: MakeApp, *, is_stable: bool, is_first: bool
) -> None:
    app = make_app(**{"@aws-cdk/core:aspectStabilization": is_stable})
    cdk.Tags.of(app).add("team", "web")
    cdk.Aspects.of(app).add(NamePolicies())
    if is_first:
        SessionManagerFleet(app, "Fleet")
    stack = cdk.Stack(app, "Stack")
    profile(stack)
    if not is_first:
        SessionManagerFleet(app, "Fleet")
    found = template(stack)["Resources"].values()  # once: a second synthesis visits what is new
    (role,) = (body["Properties"] for body in found if body["Type"] == "AWS::IAM::Role")
    (made,) = (body["Properties"] for body in found if body["Type"] == "AWS::IAM::Policy")
    assert len(made["Roles"]) == 1
    assert role["Tags"] == [{"Key": "team", "Value": "web"}]
    # Without the flag, CDK visits what an aspect adds only where it has not been yet.
    assert made["PolicyName"].startswith("acme-") == (is_stable or is_first)


# the order against boots


@pytest.mark.parametrize("waits_for_the_fleet", [False, True])
def test_an_instance_waits_for_a_policy_of_its_own_and_not_for_the_fleet_s(
    stack: cdk.Stack, *, waits_for_the_fleet: bool
) -> None:
    """The fleet's policy may list a role that refers to the instance, and would wait for it."""
    waiting = instance(stack)
    other = owned_role(stack)
    profile(stack, "Other", other)
    cdk.Tags.of(other).add("serves", waiting.instance_id)
    own = SessionManagerPermissions(stack, "Permissions", role=waiting.role)
    waiting.instance.node.add_dependency(own)
    fleet = SessionManagerFleet(stack, "Fleet", exclude=[waiting])
    assert len(all_roles(stack)) == 2
    if waits_for_the_fleet:
        (made,) = (one for one in fleet.node.find_all() if isinstance(one, iam.CfnPolicy))
        waiting.instance.add_dependency(made)
    circles = [one for one in lint(template_text(stack)) if one.rule.id == "E3004"]
    assert bool(circles) == waits_for_the_fleet


CLI = """
import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from session_manager_permissions import SessionManagerFleet
app = cdk.App()
stack = cdk.Stack(app, "Stack")
role = iam.Role.from_role_name(stack, "Role", "web", mutable=False)
iam.InstanceProfile(stack, "Profile", role=role)
SessionManagerFleet(stack, "Fleet")
app.synth()
"""


def test_what_the_fleet_tries_is_not_synthesized_where_the_cli_reads(tmp_path: Path) -> None:
    """CDK synthesizes an app as the process ends if the CLI has set `CDK_OUTDIR`."""
    done = run_python("-c", CLI, cwd=tmp_path, env={"CDK_OUTDIR": str(tmp_path / "cdk.out")})
    assert done.returncode == 0, done.stderr
    made = {path.name for path in (tmp_path / "cdk.out").glob("*.template.json")}
    assert made == {"Stack.template.json"}
    assert "Probe" not in (tmp_path / "cdk.out" / "manifest.json").read_text()
