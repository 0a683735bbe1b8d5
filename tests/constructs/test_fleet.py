"""The fleet: which profiles it covers, by how many policies, and what it says of the rest."""

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from aws_cdk.cloudformation_include import CfnInclude
from constructs import Construct, IConstruct

from session_manager_permissions import SessionManagerFleet, SessionManagerPermissions
from session_manager_permissions._constructs.fleet_tree import Tree
from tests.builders import (
    SIZE,
    bare_profile,
    cluster,
    grown,
    instance,
    l1_nodes,
    l1_profile,
    linux,
    machine,
    network,
)
from tests.cfn_lint import lint
from tests.conftest import ON_LOWEST_CDK, TEMPLATES, MakeApp
from tests.keys import existing_key
from tests.places import ACCOUNT, ELSEWHERE, HERE, OTHER_ACCOUNT, THERE, role_arn
from tests.reading import lookups, policy, reported, resources, synth, template, warned, warnings
from tests.roles import (
    EC2,
    FIXED_ROLES,
    customized,
    existing_role,
    immutable_role,
    l1_role,
    owned_role,
    role_by_arn,
)
from tests.templates import as_list, include, include_nested, parameter, resource

Hold = Callable[[cdk.Stack, iam.IRole], object]
Make = Callable[[cdk.Stack], IConstruct]

THEIR_ARN: Final = role_arn(account=OTHER_ACCOUNT)
NOT_ATTACHED: Final = "session-manager-permissions:fleet-not-attached"


def covered(app: cdk.App, *names: str, env: cdk.Environment | None = HERE) -> list[cdk.Stack]:
    """Make a fleet for the app, and then stacks with these names."""
    SessionManagerFleet(app, "Fleet")
    return [cdk.Stack(app, name, env=env) for name in names]


def profiles(stack: cdk.Stack, *roles: iam.IRole | str) -> str:
    """Make a profile for each role, an L1 for a name, and return the first role's name."""
    for number, role in enumerate(roles):
        if isinstance(role, str):
            l1_profile(stack, role, construct_id=f"Profile{number}")
        else:
            iam.InstanceProfile(stack, f"Profile{number}", role=role)
    first = roles[0]
    return first if isinstance(first, str) else first.role_name


def roles(stack: cdk.Stack) -> list[object]:
    """The roles that the stack's only policy lists; roles of the stack by their logical ids."""
    found: list[object] = policy(stack)["Roles"]
    return [role["Ref"] if isinstance(role, dict) and "Ref" in role else role for role in found]


def all_roles(*stacks: cdk.Stack) -> list[object]:
    """The roles that all policies of the stacks list."""
    return [
        role
        for stack in stacks
        for found in resources(stack, "AWS::IAM::Policy").values()
        for role in found["Properties"]["Roles"]
    ]


def role_ids(stack: cdk.Stack) -> list[str]:
    """The logical ids of the roles that an instance could have."""
    found = resources(stack, "AWS::IAM::Role").items()
    return [name for name, role in found if "ec2.amazonaws.com" in json.dumps(role)]


def lists_its_own(stack: cdk.Stack, number: int = 1) -> bool:
    """Whether the stack's only policy lists its own roles, `number` of them, and no others."""
    return roles(stack) == role_ids(stack) and len(role_ids(stack)) == number


def fleet_roles(stack: cdk.Stack) -> list[list[object]]:
    """The roles that each policy of the stack's fleet lists, without the stack's other policies."""
    found = resources(stack, "AWS::IAM::Policy").items()
    return [body["Properties"]["Roles"] for name, body in found if name.startswith("Fleet")]


def failure(construct: Construct) -> str:
    """The error with which the synthesis of the app fails."""
    app = construct.node.root
    assert isinstance(app, cdk.App)
    with pytest.raises(RuntimeError) as caught:
        app.synth()
    return str(caught.value)


# whoever made the compute: each holder with a role that it is given


class Standard(iam.CfnInstanceProfile):
    """A class of the user's own."""


def in_ecs_capacity(stack: cdk.Stack, role: iam.IRole) -> None:
    given = machine(stack)
    group = autoscaling.AutoScalingGroup(stack, "It", role=role, **given)
    # What the cluster itself needs, an immutable role has already.
    provider = ecs.AsgCapacityProvider(stack, "Provider", auto_scaling_group=group)
    ecs.Cluster(stack, "Cluster", vpc=given["vpc"]).add_asg_capacity_provider(provider)


HOLDERS: Final[dict[str, Hold]] = {
    "profile": lambda s, role: iam.InstanceProfile(s, "It", role=role),
    "L1 profile": lambda s, role: l1_profile(s, role.role_name, construct_id="It"),
    "class of L1": lambda s, role: Standard(s, "It", roles=[role.role_name]),
    "instance": lambda s, role: instance(s, "It", role),
    "group": lambda s, role: autoscaling.AutoScalingGroup(s, "It", role=role, **machine(s)),
    "template": lambda s, role: ec2.LaunchTemplate(s, "It", machine_image=linux(), role=role),
    "ECS capacity": in_ecs_capacity,
    "Batch": lambda s, role: batch.ManagedEc2EcsComputeEnvironment(
        s, "It", vpc=network(s), instance_role=role
    ),
    "node group": lambda s, role: eks.Nodegroup(s, "It", cluster=cluster(s), node_role=role),
    "L1 node group": lambda s, role: l1_nodes(s, role.role_arn, "It"),
}


MAKERS: Final[dict[str, Callable[[cdk.Stack], object]]] = {
    "bastion": lambda s: ec2.BastionHostLinux(s, "It", vpc=network(s)),
    "EKS capacity": lambda s: cluster(s).add_auto_scaling_group_capacity("It", instance_type=SIZE),
    "node group": lambda s: cluster(s).add_nodegroup_capacity("Nodes"),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_the_role_that_compute_makes_gets_the_policy(stack_here: cdk.Stack, maker: str) -> None:
    SessionManagerFleet(stack_here, "Fleet", strict=True)
    MAKERS[maker](stack_here)
    (role,) = role_ids(stack_here)
    assert fleet_roles(stack_here) == [[{"Ref": role}]]


@pytest.mark.parametrize("holder", HOLDERS)
def test_the_role_that_compute_is_given_gets_the_policy(make_app: MakeApp, holder: str) -> None:
    app = make_app()
    owning, importing = (cdk.Stack(app, name, env=HERE) for name in ("Owning", "Importing"))
    HOLDERS[holder](owning, owned_role(owning))
    HOLDERS[holder](importing, existing_role(importing))
    for stack in (owning, importing):
        SessionManagerFleet(stack, "Fleet", strict=True)
    (role,) = role_ids(owning)
    assert [fleet_roles(owning), fleet_roles(importing)] == [[[{"Ref": role}]], [["Existing"]]]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_changes_only_by_the_policy_of_its_roles(stack: cdk.Stack, path: Path) -> None:
    expected: dict[str | None, dict[str, Any]] = {}
    for body in json.loads(path.read_text(encoding="utf-8"))["Resources"].values():
        if body["Type"] == "AWS::IAM::InstanceProfile":
            on_condition = expected.setdefault(body.get("Condition"), {})
            on_condition |= {json.dumps(role): role for role in body["Properties"]["Roles"]}
    CfnInclude(stack, "Included", template_file=str(path))
    before = template(stack)
    SessionManagerFleet(stack, "Fleet")
    after = template(stack)
    added = after["Resources"].keys() - before["Resources"].keys()
    ours = [after["Resources"].pop(name) for name in added]
    assert after == before
    assert {body.get("Condition"): body["Properties"]["Roles"] for body in ours} == {
        condition: [*listed.values()] for condition, listed in expected.items()
    }
    assert len(ours) == len(expected)


@jsii.implements(cdk.IAspect)
class ProfileOfEachRole:
    def visit(self, node: IConstruct) -> None:
        if isinstance(node, iam.Role) and node.node.try_find_child("Late") is None:
            iam.InstanceProfile(node, "Late", role=node)


@pytest.mark.parametrize("is_first", [True, False], ids=["fleet first", "fleet last"])
@pytest.mark.parametrize(("is_stable", "priority"), [(True, 100), (False, 900)])
def test_a_profile_that_an_aspect_makes_after_the_fleet_s_turn_is_an_error_that_names_it(
    make_app: MakeApp, priority: int, *, is_stable: bool, is_first: bool
) -> None:
    app = make_app(**{"@aws-cdk/core:aspectStabilization": is_stable})
    if is_first:
        SessionManagerFleet(app, "Fleet")
    stack = cdk.Stack(app, "Stack")
    for name in ("Owned", "Second"):
        owned_role(stack, name)
    if not is_first:
        SessionManagerFleet(app, "Fleet")
    cdk.Aspects.of(app).add(ProfileOfEachRole(), priority=priority)
    if is_first:
        late = "'Stack/Owned/Late/Resource', 'Stack/Second/Late/Resource', added after"
        assert late in failure(stack)
    else:
        assert lists_its_own(stack, 2)


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
    cfn_profile = iam.InstanceProfile(stack, "Profile", role=make_role(stack)).node.default_child
    assert isinstance(cfn_profile, iam.CfnInstanceProfile)
    cfn_profile.roles = changed
    SessionManagerFleet(stack, "Fleet")
    assert all_roles(stack) == changed
    assert len(warnings(stack)) == (0 if changed else 1)


# profiles on a condition


def include_on(scope: Construct, folder: Path, body: dict[str, Any]) -> None:
    """Include resources beside the conditions `Prod` and `Test` and the role `Always`."""
    texts = {name: {"Type": "String"} for name in ("Account", "Kind")}
    is_prod, is_test = {"Fn::Equals": [{"Ref": "Kind"}, 1]}, {"Fn::Equals": [1, 2]}
    include(
        scope,
        folder,
        Parameters=texts | {"Names": {"Type": "CommaDelimitedList"}},
        Conditions={"Prod": is_prod, "Test": is_test},
        Resources={"Always": included_role(Path="/team/"), **body},
    )


def on(condition: str | None, kind: str, **properties: object) -> dict[str, Any]:
    """A resource of IAM, on the condition."""
    body = resource(f"AWS::IAM::{kind}", **properties)
    return body | ({"Condition": condition} if condition else {})


def included_role(condition: str | None = None, **name: str) -> dict[str, Any]:
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}]}
    return on(condition, "Role", AssumeRolePolicyDocument=trust, **name)


def on_conditions(stack: cdk.Stack) -> dict[str | None, list[object]]:
    """The roles that each of the stack's policies lists, by the policy's condition."""
    assert not [match for match in lint(json.dumps(template(stack))) if match.rule.id == "W1001"]
    found = resources(stack, "AWS::IAM::Policy").values()
    by_condition = {body.get("Condition"): body["Properties"]["Roles"] for body in found}
    assert len(by_condition) == len(found)
    assert len({body["Properties"]["PolicyName"] for body in found}) == len(found)
    return by_condition


ALWAYS, PROD, TEST = {"Ref": "Always"}, {"Ref": "ProdRole"}, {"Ref": "TestRole"}
LIST, FIRST = {"Ref": "Names"}, {"Fn::Select": [0, {"Ref": "Names"}]}
BY_TEXT, OF_KIND = {"Fn::Sub": "${Always}"}, {"Fn::Sub": "${Kind}-x"}
ROLES_ON: Final = {f"{kind}Role": included_role(kind) for kind in ("Prod", "Test")}
NAMED: Final = {f"{kind}Role": included_role(kind, RoleName="Named") for kind in ("Prod", "Test")}
NAMED_PROD: Final = {"ProdRole": NAMED["ProdRole"]}
Listed = dict[str | None, list[object]]
ON_CONDITIONS: Final[dict[str, tuple[dict[str, Any], list[tuple[object, str | None]], Listed]]] = {
    "each its role": (
        ROLES_ON, [(PROD, "Prod"), (TEST, "Test"), (ALWAYS, None), ("Existing", "Prod")],
        {None: [ALWAYS], "Prod": [PROD, "Existing"], "Test": [TEST]}),
    "role on two": ({}, [(ALWAYS, "Prod"), (ALWAYS, "Test")], {"Prod": [ALWAYS], "Test": [ALWAYS]}),
    "a role on none too": ({}, [(ALWAYS, "Prod"), (ALWAYS, None)], {None: [ALWAYS]}),
    "a name on none too": ({}, [("Existing", "Prod"), ("Existing", None)], {None: ["Existing"]}),
    "the names of roles on conditions": (
        NAMED, [("Named", "Prod"), ("Named", "Test")], {"Prod": [PROD], "Test": [TEST]}),
    "a list on two": ({}, [(LIST, "Prod"), (LIST, "Test")], {"Prod": [FIRST], "Test": [FIRST]}),
    "the name of a role on another": (NAMED_PROD, [("Named", None)], {None: ["Named"]}),
    "the name of a role that is listed": ({"ProdRole": included_role(RoleName="Named")},
        [("Named", "Prod"), (PROD, None)], {None: [PROD]}),
    "the name of a role on a condition beside another name on none": (
        NAMED_PROD, [("Named", "Prod"), ("Existing", None)], {None: ["Existing"], "Prod": [PROD]}),
    "a role by a reference in a text": (
        {}, [(ALWAYS, None), (BY_TEXT, None), (OF_KIND, None)], {None: [ALWAYS, OF_KIND]}),
}  # fmt: skip


@pytest.mark.parametrize("row", ON_CONDITIONS)
def test_a_policy_has_the_condition_of_profiles(stack: cdk.Stack, tmp_path: Path, row: str) -> None:
    own_roles, given, listed = ON_CONDITIONS[row]
    made = {
        f"Profile{number}": on(condition, "InstanceProfile", Roles=role if role is LIST else [role])
        for number, (role, condition) in enumerate(given)
    }
    include_on(stack, tmp_path, own_roles | made)
    SessionManagerFleet(stack, "Fleet")
    assert on_conditions(stack) == listed


def test_a_reference_in_a_nested_template_is_listed_once(stack: cdk.Stack, tmp_path: Path) -> None:
    inner = tmp_path / "inner.json"
    by_text, by_reference = (
        on(None, "InstanceProfile", Roles=[role])
        for role in ({"Fn::Sub": "${Role}"}, {"Ref": "Role"})
    )
    body = {"Role": included_role(), "One": by_text, "Two": by_reference}
    inner.write_text(json.dumps({"Resources": body}))
    include_nested(stack, inner)
    SessionManagerFleet(stack, "Fleet")

    (text,) = (path.read_text() for path in synth(stack).glob("*.nested.template.json"))
    found = json.loads(text)["Resources"].values()
    (listed,) = (one["Properties"]["Roles"] for one in found if one["Type"] == "AWS::IAM::Policy")
    assert listed == [{"Fn::Sub": "${Role}"}]


def test_a_condition_outside_of_the_scope_counts(stack: cdk.Stack) -> None:
    group = Construct(stack, "Group")
    l1_profile(group, l1_role(group).ref).cfn_options.condition = cdk.CfnCondition(stack, "Prod")
    SessionManagerFleet(group, "Fleet")
    assert list(on_conditions(stack)) == ["Prod"]


def test_conditions_of_one_id_or_one_stack_are_each_their_own(make_app: MakeApp) -> None:
    stacks = covered(make_app(), "One", "Another")
    for stack, name in itertools.product(stacks, ("Left", "Right")):
        group = Construct(stack, name)
        made = l1_profile(group, owned_role(group).role_name)
        made.cfn_options.condition = cdk.CfnCondition(group, "Prod")
    for stack in stacks:
        assert len(on_conditions(stack)) == 2
        assert None not in on_conditions(stack)


def test_what_can_t_be_attached_to_is_in_each_stack_s_one_warning(make_app: MakeApp) -> None:
    stacks = covered(make_app(), "One", "Another")
    for stack in stacks:
        l1_profile(stack, role_arn(), construct_id="ByArn")
        for name in ("Prod", "Test"):
            made = l1_profile(stack, construct_id=name)
            made.cfn_options.condition = cdk.CfnCondition(stack, f"Is{name}")
    for stack in stacks:
        (warning,) = warnings(stack)
        assert all(f"{stack.node.id}/{name}: " in warning for name in ("ByArn", "Prod", "Test"))
        assert not all_roles(stack)


# a role that several profiles share


def l1_of(role: iam.Role) -> iam.CfnRole:
    return cast("iam.CfnRole", role.node.default_child)


def owned_by_two_and_an_l1(stack: cdk.Stack) -> str:
    role = owned_role(stack)
    return profiles(stack, role, role, l1_of(role).ref)


def owned_by_a_profile_and_node_groups(stack: cdk.Stack) -> str:
    role = owned_role(stack)
    for name in ("One", "Another"):
        l1_nodes(stack, role.role_arn, name)
    return profiles(stack, role)


def behind_a_view_that_another_construct_has(stack: cdk.Stack) -> str:
    """Only that construct must not change the role: the profile was given the role itself."""
    role = owned_role(stack)
    role.without_policy_updates()
    return profiles(stack, role)


def beside_users_and_groups(stack: cdk.Stack) -> str:
    iam.User(stack, "User", groups=[iam.Group(stack, "Group")])
    iam.User.from_user_name(stack, "Imported", "operator")
    return owned_by_two_and_an_l1(stack)


def in_a_group_whose_launch_template_has_no_role(stack: cdk.Stack) -> str:
    template = ec2.LaunchTemplate(stack, "Template", machine_image=linux(), instance_type=SIZE)
    vpc = network(stack)
    group = autoscaling.AutoScalingGroup(stack, "Group", vpc=vpc, launch_template=template)
    l1_profile(group, "Existing")
    return "Existing"


ROLES: Final[dict[str, Callable[[cdk.Stack], str | list[str]]]] = {
    "owned by two, and an L1": owned_by_two_and_an_l1,
    "imports, and an L1": lambda s: profiles(s, existing_role(s), role_by_arn(s), "Existing"),
    "a parameter of two": lambda s: profiles(s, parameter(s), cdk.Fn.ref("Given")),
    "of a profile and node groups": owned_by_a_profile_and_node_groups,
    "owned, and by its name": lambda s: profiles(s, owned_role(s, name="Named"), "Named"),
    "L2 by its name": lambda s: profiles(s, "Named") and owned_role(s, name="Named").role_name,
    "L1 by its name": lambda s: profiles(s, "Named") and l1_role(s, name="Named").ref,
    "parameter": lambda s: profiles(s, parameter(s)) and l1_role(s, name=cdk.Fn.ref("Given")).ref,
    "behind a view": behind_a_view_that_another_construct_has,
    "lazy": lambda s: profiles(s, iam.LazyRole(s, "Lazy", assumed_by=EC2)),
    "beside users and groups": beside_users_and_groups,
    "beside another's": lambda s: (role_by_arn(s, THEIR_ARN), profiles(s, existing_role(s)))[1],
    "an L1 names one of two imports": lambda s: [
        profiles(s, "Existing", existing_role(s), existing_role(s, "Other", "Other")), "Other"],
    "in a group whose template has none": in_a_group_whose_launch_template_has_no_role,
    "by the ARN of a parameter": lambda s: profiles(s, role_by_arn(s, parameter(s))),
}  # fmt: skip


@pytest.mark.parametrize("env", [HERE, None])
@pytest.mark.parametrize("kind", ROLES)
def test_one_role_is_listed_once(make_app: MakeApp, kind: str, env: cdk.Environment | None) -> None:
    stack = cdk.Stack(make_app(), "Stack", env=env)
    expected = as_list(ROLES[kind](stack))
    SessionManagerFleet(stack, "Fleet", strict=True)
    assert policy(stack)["Roles"] == stack.resolve(expected)


@pytest.mark.parametrize("names", [("Owner", "User"), ("User", "Owner")])
@pytest.mark.parametrize("by_name", ["Owner", "User", None])
def test_a_role_that_its_own_stack_uses_too_is_attached_by_that_stack(
    make_app: MakeApp, names: tuple[str, str], by_name: str | None
) -> None:
    stacks = dict(zip(names, covered(make_app(), *names), strict=True))
    role = owned_role(stacks["Owner"], name="Named" if by_name else None)
    for name, stack in stacks.items():
        l1_profile(stack, "Named" if name == by_name else role.role_name)
    assert lists_its_own(stacks["Owner"])
    assert not all_roles(stacks["User"])


def by_a_node_group_and_a_profile(scope: cdk.Stack, role: iam.IRole) -> None:
    l1_nodes(scope, role.role_arn)
    iam.InstanceProfile(scope, "Profile", role=role)


USES: Final[dict[str, Hold]] = {
    "by its token": lambda s, role: iam.InstanceProfile(s, "Profile", role=role),
    "behind an instance": lambda s, role: instance(s, "It", role),
    "by its name": lambda s, _: l1_profile(s, "Named"),
    "by a node group and a profile": by_a_node_group_and_a_profile,
    "by its token and by its name": lambda s, role: (l1_nodes(s, role_arn("Named")),
        iam.InstanceProfile(s, "Profile", role=role)),
}  # fmt: skip


@pytest.mark.parametrize("use", USES)
def test_a_role_of_compute_in_two_other_stacks_is_attached_by_each(
    make_app: MakeApp, use: str, references: dict[str, object]
) -> None:
    owner, first, second = covered(make_app(**references), "Owner", "First", "Second")
    role = owned_role(owner, name="Named" if use.endswith("by its name") else None)
    for stack in (first, second):
        USES[use](stack, role)
    for stack in (first, second):
        (held,) = resources(stack, "AWS::IAM::InstanceProfile").values()
        assert policy(stack)["Roles"] == held["Properties"]["Roles"]
    assert policy(first)["PolicyName"] != policy(second)["PolicyName"]
    assert not all_roles(owner)


@pytest.mark.parametrize("owner_uses_it", [True, False])
def test_a_role_with_a_name_for_other_regions(make_app: MakeApp, *, owner_uses_it: bool) -> None:
    (owner,) = covered(app := make_app(), "Owner")
    role = owned_role(owner, name=cdk.PhysicalName.GENERATE_IF_NEEDED)
    users = [cdk.Stack(app, name, env=THERE) for name in ("First", "Second")]
    owned_role(users[0], "Other", parameter(users[0]))
    for stack in (*users, *([owner] if owner_uses_it else [])):
        iam.InstanceProfile(stack, "Profile", role=role)
    name = next(iter(resources(owner, "AWS::IAM::Role").values()))["Properties"]["RoleName"]
    assert all_roles(*users) == ([] if owner_uses_it else [name, name])
    assert len(all_roles(owner)) == owner_uses_it


def test_a_role_on_a_condition_and_without_one_is_listed_once(make_app: MakeApp) -> None:
    owner, user = covered(make_app(), "Owner", "User")
    role = owned_role(owner)
    iam.InstanceProfile(user, "Always", role=role)
    on_condition = l1_profile(user, role.role_name, construct_id="Maybe")
    on_condition.cfn_options.condition = cdk.CfnCondition(user, "Prod")
    assert list(on_conditions(user)) == [None]


IMPORTS: Final[list[tuple[Make, cdk.Environment | None, str]]] = [
    *((lambda s: iam.InstanceProfile(s, "Profile", role=existing_role(s)), env, "Existing")
      for env in (HERE, None)),
    (lambda s: l1_nodes(s, role_arn()), HERE, "Existing"),
    (lambda s: l1_profile(s, "Existing"), None, "Existing"),
    (lambda s: l1_profile(s, parameter(s)), HERE, "Given"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "env", "name"), IMPORTS)
def test_a_role_that_exists_is_attached_by_each_stack_that_uses_it(
    make_app: MakeApp, make: Make, env: cdk.Environment | None, name: str
) -> None:
    """If one of the stacks is destroyed, the instances of the other keep their permissions."""
    stacks = covered(make_app(), "One", "Another", env=env)
    for stack in stacks:
        make(stack)
    assert [roles(stack) for stack in stacks] == [[name], [name]]
    assert len({policy(stack)["PolicyName"] for stack in stacks}) == 2
    assert not any(warnings(stack) for stack in stacks)


def test_roles_of_one_name_in_two_accounts_are_two(make_app: MakeApp) -> None:
    (one,) = covered(app := make_app(), "One")
    another = cdk.Stack(app, "Another", env=ELSEWHERE)
    owned_role(one, name="Existing")
    for stack in (one, another):
        l1_profile(stack, "Existing")
    assert [roles(one), roles(another)] == [role_ids(one), ["Existing"]]


def test_roles_that_read_the_same_in_two_stacks_are_both_attached(make_app: MakeApp) -> None:
    one, another = covered(make_app(), "One", "Another")
    theirs, ours = owned_role(one), owned_role(another)
    profiles(another, ours, theirs)
    assert one.resolve(theirs.role_name) == another.resolve(ours.role_name)
    attached = policy(another)["Roles"]
    assert attached[0] == {"Ref": role_ids(another)[0]}
    assert "Fn::ImportValue" in attached[1]


def test_a_role_whose_stack_is_outside_the_scope_is_attached_once(make_app: MakeApp) -> None:
    app = make_app()
    owner, user = (cdk.Stack(app, name, env=HERE) for name in ("Owner", "User"))
    role = owned_role(owner)
    profiles(user, role, l1_of(role).ref)
    SessionManagerFleet(user, "Fleet")
    (attached,) = roles(user)
    assert "Fn::ImportValue" in json.dumps(attached)


# what can't be attached to


def owned_in_another_account(stack: cdk.Stack) -> IConstruct:
    there = cdk.Stack(cdk.Stage.of(stack), "There", env=ELSEWHERE)
    return iam.InstanceProfile(stack, "Profile", role=owned_role(there, name="Theirs"))


THEIR_ACCOUNT = f"belongs to account {OTHER_ACCOUNT}"
NOT_AN_ARN = "is not the ARN of a role"
LOST: Final[dict[str, tuple[Make, str]]] = {
    "role owned in another account": (owned_in_another_account, THEIR_ACCOUNT),
    "no role": (l1_profile, "has 0 roles: give it one role"),
    "two roles": (lambda s: l1_profile(s, "One", "Another"), "has 2 roles: give it one"),
    "ARN of a role": (lambda s: l1_profile(s, role_arn()), "which is an ARN: give the name"),
    "bare resource": (bare_profile, "is a cdk.CfnResource"),
    "nodes of a name": (lambda s: l1_nodes(s, "worker"), NOT_AN_ARN),
    "nodes of a user": (lambda s: l1_nodes(s, f"arn:aws:iam::{ACCOUNT}:user/worker"), NOT_AN_ARN),
    "nodes of another account": (lambda s: l1_nodes(s, THEIR_ARN), THEIR_ACCOUNT),
}


@pytest.mark.parametrize("kind", LOST)
def test_what_can_t_be_attached_to_is_named_in_a_warning(stack_here: cdk.Stack, kind: str) -> None:
    make, why = LOST[kind]
    lost = make(stack_here)
    iam.InstanceProfile(stack_here, "Good")
    SessionManagerFleet(stack_here, "Fleet")
    (warning,) = warnings(stack_here)
    assert lost.node.path in warning
    assert why in warning
    assert warning.endswith(f"[ack: {NOT_ATTACHED}]")
    assert len(all_roles(stack_here)) == 1
    cdk.Annotations.of(stack_here).acknowledge_warning(NOT_ATTACHED)
    assert not warnings(stack_here)


FIXED: Final[dict[str, tuple[Callable[[cdk.Stack], iam.IRole], str]]] = {
    **FIXED_ROLES,
    "immutable in another stack": (
        lambda s: immutable_role(cdk.Stack(cdk.Stage.of(s), "Shared", env=HERE)), "mutable=False"),
    "immutable by mutable": (lambda s: (existing_role(s), immutable_role(s))[1], "mutable=False"),
    "mutable by immutable": (lambda s: (immutable_role(s), existing_role(s))[1], "mutable=False"),
}  # fmt: skip


@pytest.mark.parametrize(("holder", "kind"), [
    # An L1 profile has the name alone, which tells no account.
    *(("L1 profile", kind) for kind in FIXED if kind != "another account's"),
    *zip(itertools.cycle(one for one in HOLDERS if one != "L1 profile"), FIXED, strict=False),
])  # fmt: skip
def test_a_fixed_role_is_never_attached_to(stack_here: cdk.Stack, holder: str, kind: str) -> None:
    make_role, why = FIXED[kind]
    HOLDERS[holder](stack_here, make_role(stack_here))
    SessionManagerFleet(stack_here, "Fleet")
    (lost,) = [text for text in warnings(stack_here) if NOT_ATTACHED in text]
    assert "Stack/It" in lost
    assert why in lost
    assert not fleet_roles(stack_here)


def test_a_role_that_must_not_change_keeps_the_policy_from_no_other(stack: cdk.Stack) -> None:
    profiles(stack, existing_role(stack), immutable_role(stack, "Fixed"))
    SessionManagerFleet(stack, "Fleet")
    assert roles(stack) == ["Existing"]
    (warning,) = warnings(stack)
    assert "'Stack/Role' was imported with mutable=False" in warning


def test_a_role_that_only_javascript_code_has_imported_is_asked_too(stack_here: cdk.Stack) -> None:
    """Python then sees no role in the tree. Constructs of other libraries may do this."""
    instance(stack_here, "It", immutable_role(stack_here))
    hidden = Tree(stack_here)
    hidden.in_app = [node for node in hidden.in_app if not hasattr(node, "grant_pass_role")]
    assert hidden.imported_roles(with_owned=False) == {}
    assert [name for name, _ in hidden.roles_given()] == ["Existing"]


def test_a_lazy_role_that_nothing_uses_is_not_made(stack: cdk.Stack) -> None:
    lazy = iam.LazyRole(stack, "Lazy", assumed_by=EC2)
    Construct(stack, "Holder").role = lazy  # type: ignore[attr-defined]
    iam.InstanceProfile(stack, "Profile")
    l1_profile(stack, "Existing", construct_id="L1")
    SessionManagerFleet(stack, "Fleet")
    assert len(resources(stack, "AWS::IAM::Role")) == 1


# node groups of EKS

RESOURCE: Final = {"Fn::Select": [5, {"Fn::Split": [":", {"Ref": "Kind"}]}]}
OF_ALWAYS: Final = ["${Of}", {"Of": {"Fn::GetAtt": ["Always", "Arn"]}}]
OF_ACCOUNT: Final = ["arn:aws:iam::${A}:role/team/Existing", {"A": {"Ref": "Account"}}]
JOINED: Final = ["arn:aws:iam:", {"Ref": "AWS::AccountId"}, "role/team/Existing"]
IN_TEMPLATES: Final[list[tuple[object, str | None, object]]] = [
    ({"Fn::GetAtt": ["Always", "Arn"]}, "Prod", ALWAYS),
    ({"Ref": "Kind"}, None, {"Fn::Select": [1, {"Fn::Split": ["/", RESOURCE]}]}),
    (role_arn("team/Existing"), None, "Existing"),
    *(({"Fn::Sub": text}, None, ALWAYS) for text in ("${Always.Arn}", OF_ALWAYS)),
    ({"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:role/team/Existing"}, None, "Existing"),
    ({"Fn::Sub": "arn:aws:iam::${Account}:role/team/${Kind}"}, None, {"Ref": "Kind"}),
    ({"Fn::Join": [":", JOINED]}, None, "Existing"),
    ({"Fn::Sub": OF_ACCOUNT}, None, "Existing"),
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
    nodes = on(condition, "", ClusterName="shop", NodeRole=node_role, Subnets=["subnet-1"])
    include_on(stack_here, tmp_path, {"Nodes": nodes | {"Type": "AWS::EKS::Nodegroup"}})
    SessionManagerFleet(stack_here, "Fleet")
    assert on_conditions(stack_here) == ({condition: [attached]} if attached else {})
    assert [NOT_ATTACHED in text for text in warnings(stack_here)] == [True] * (not attached)


# which fleet covers what


def grow(app: cdk.App, row: str, *, strict: bool = False) -> dict[str, str]:
    """Make the constructs of a row in their order, and return what the row says of each path.

    `Stack/Fleet - Stack/Group` is a fleet that excludes a group. `Stack/Profile: Fleet` says of a
    profile that the fleet covers it.
    """
    said: dict[str, str] = {}
    for part in row.split(", "):
        construct, _, says = part.partition(": ")
        path, *excluded = construct.split(" - ")
        above, _, last = path.rpartition("/")
        if last.startswith("Fleet"):
            left_out = [grown(app, other) for other in excluded]
            SessionManagerFleet(grown(app, above), last, exclude=left_out, strict=strict)
        else:
            grown(app, path)
        said |= {path: says} if says else {}
    return said


def stacks_of(app: cdk.App) -> list[cdk.Stack]:
    return [node for node in app.node.find_all() if isinstance(node, cdk.Stack)]


def covering(app: cdk.App) -> dict[str, str]:
    """The id of the fleet that covers each profile, by the profile's path."""
    covered: dict[str, str] = {}
    for stack in stacks_of(app):
        profiles = [one for one in stack.node.find_all() if isinstance(one, iam.InstanceProfile)]
        by_role = {
            stack.resolve(one.role.role_name)["Ref"]: one.node.path
            for one in profiles
            if one.role and one.stack is stack
        }
        for body in resources(stack, "AWS::IAM::Policy").values():
            (fleet,) = re.findall("-(Fleet[A-Z]?)", body["Properties"]["PolicyName"])
            covered |= {by_role[role["Ref"]]: fleet for role in body["Properties"]["Roles"]}
    return covered


OF_NESTED: Final = (
    "Stack/ProfileA: Fleet, Stack/Nested/ProfileA: Fleet, Stack/Nested/NestedB/Profile: Fleet, "
    "Stack/Nested/ProfileB: Fleet, Stack/ProfileB: Fleet"
)
COVERED: Final = (
    "Fleet, StackA/ProfileA: Fleet, StackA/ProfileB: Fleet, StackB/Profile: Fleet, StackC",
    f"Fleet, {OF_NESTED}",
    f"Stack/Fleet, {OF_NESTED}",
    "Stack/Nested/Fleet, Stack/Profile, Stack/Nested/Profile: Fleet",
    "Stack/ProfileA: Fleet, Stack/ProfileA/Fleet, Stack/ProfileB",
    "Stack/Group/Fleet, Stack/Profile, Stack/Group/Profile: Fleet",
    "Group/Fleet, Stack/Profile, Group/Stack/Profile: Fleet",
    ("Stack/Group/Fleet, Stack/Group/Profile: Fleet, Stack/Group/StackA/Profile: Fleet, "
     "Stack/Group/StackB/Profile: Fleet, Stack/Group/StackC"),
    ("StageA/FleetA, StageB/FleetB, StageA/Stack/Profile: FleetA, StageB/Stack/Profile: FleetB, "
     "Stack/Profile: Fleet, Fleet"),
    # of two, the nearer
    ("StackA/Profile: FleetB, StackA/Group/Profile: FleetC, StackB/Profile: FleetA, "
     "FleetA, StackA/FleetB, StackA/Group/FleetC"),
    # of two with one scope, the first
    "Stack/Group/Profile: FleetA, FleetA, FleetB",
    "Stack/Group/Profile: FleetA, Stack/FleetA, Stack/FleetB",
    "Stack/Group/Profile: FleetA, Stack/Group/FleetA, Stack/Group/FleetB",
    ("StackA/Profile: FleetA, StackB/Profile: FleetB, StackB/Group/Profile: FleetB, "
     "FleetA - StackB, FleetB - StackA, FleetC"),
    # both have one list of what is excluded
    ("StageA/Stack/ProfileA, StageA/Stack/ProfileB: FleetA, StageB/Stack/ProfileA, "
     "StageB/Stack/ProfileB: FleetB, "
     "StageA/FleetA - StageA/Stack/ProfileA - StageB/Stack/ProfileA, "
     "StageB/FleetB - StageA/Stack/ProfileA - StageB/Stack/ProfileA"),
    "StackA/Profile, StackB/Profile: Fleet, Fleet - StackA",
    "Stack/Profile, Fleet - ",
)  # fmt: skip


@pytest.mark.parametrize("row", COVERED)
def test_compute_is_covered_by_the_nearest_fleet_and_no_other(make_app: MakeApp, row: str) -> None:
    expected = grow(app := make_app(), row)
    assert covering(app) == expected


@pytest.mark.parametrize("row", [
    "Fleet, StageA/FleetA, StageB: Fleet",
    "Stack/Fleet, Stack/StageA/FleetA, Stack/StageB: Stack/Fleet",
    "Fleet, Stage: Fleet, Stage/Stack/FleetA",
    "Fleet, Stage/StageB: Stage/FleetA, Stage/FleetA",
    "Stage: FleetA, FleetA, FleetB",
    "Stage: FleetB, FleetA - Stage, FleetB",
])  # fmt: skip
def test_a_stage_without_a_fleet_is_an_error_of_the_one_above(make_app: MakeApp, row: str) -> None:
    expected = grow(app := make_app(), row)
    said = re.findall(r"\[(.*?)\] stage '(.*?)' has no SessionManagerFleet of", failure(app))
    assert {stage: fleet for fleet, stage in said} == expected
    assert len(said) == 1


# a fleet that covers nothing


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("row", [
    "Group/Stack: the app, Stack, Fleet",
    "Group/Stack: 'Group', Group/Fleet, Stack",
    "StackB, Stack: 'Stack', Stack/Fleet",
    "Stack: 'Stack/Group', Stack/Group/Fleet",
    "Stack: 'Stack/Nested', Stack/Nested/Fleet",
    "Group/Fleet, Stage/Stack, Stack: 'Group', Stack/Profile",
    "Stack/Profile, Fleet, Stage/Stack: 'Stage', Stage/FleetA",
    "StackA, Stage/Stack, StackB: 'StackB', StackB/FleetB, Fleet - StackA - Stage",
    # on purpose
    "Stack/Profile, Stack/Group/Profile, Stack/Group/Fleet, FleetA - Stack/Profile, FleetB",
])  # fmt: skip
def test_a_fleet_that_covers_nothing_says_so(make_app: MakeApp, row: str, *, strict: bool) -> None:
    expected = grow(app := make_app(), row, strict=strict)
    if strict and expected:
        said = [(path, failure(app)) for path in expected]
    else:
        stacks = [one for one in stacks_of(app) if one.nested_stack_parent is None]
        said = [(one.node.path, text) for one in stacks for text in warnings(one)]
    below = r"covers nothing: there is no instance profile .* below (.*?);"
    assert {path: re.findall(below, text) for path, text in said} == {
        path: [where] for path, where in expected.items()
    }


def test_a_fleet_without_any_stack_says_so_where_strict(make_app: MakeApp) -> None:
    SessionManagerFleet(quiet := make_app(), "Fleet")
    quiet.synth()
    SessionManagerFleet(strict := make_app(), "Fleet", strict=True)
    assert "below the app" in failure(strict)


# the first pass of a look-up, and roles that others create


def test_a_role_that_is_to_be_looked_up_does_not_fail_the_first_pass(stack_here: cdk.Stack) -> None:
    role = iam.Role.from_lookup(stack_here, "Role", role_name="web-server")
    iam.InstanceProfile(stack_here, "Profile", role=role)
    SessionManagerFleet(stack_here, "Fleet", strict=True)
    assert lookups(stack_here)
    assert not warnings(stack_here)


WAYS: Final = itertools.cycle([("app", True, owned_role), ("stack", True, existing_role)])
CUSTOMIZED: Final = [
    *((holder, *way) for holder, way in zip(HOLDERS, WAYS, strict=False)),
    # CDK gives an owned role that it synthesizes an ARN without a name, which is no node group's.
    ("profile", "app", False, owned_role),
    ("instance", "app", False, existing_role),
]


@pytest.mark.parametrize(("holder", "level", "prevent_synthesis", "make_role"), CUSTOMIZED)
def test_roles_that_others_create_are_reported_once_behind_every_construct(
    make_app: MakeApp,
    holder: str,
    level: str,
    make_role: Callable[[cdk.Stack], iam.IRole],
    *,
    prevent_synthesis: bool,
) -> None:
    stack = customized(make_app(), level, prevent_synthesis=prevent_synthesis)
    role = make_role(stack)
    HOLDERS[holder](stack, role)
    profiles(stack, role.role_name, "Third")
    SessionManagerFleet(stack, "Fleet", strict=True)
    sids = [one.get("Sid") for one in reported(stack)[role.node.path]]
    assert sids.count("SessionManagerChannels") == 1
    assert fleet_roles(stack) == [["Third"]]


# exclude


def with_a_profile_below(outer: Construct) -> IConstruct:
    iam.InstanceProfile(Construct(outer, "Inner"), "Profile")
    return outer


def role_above_its_profile(stack: cdk.Stack) -> IConstruct:
    role = owned_role(stack)
    iam.InstanceProfile(role, "Profile", role=role)
    return role


EXCLUDED: Final[dict[str, Make]] = {
    "profile": lambda s: iam.InstanceProfile(s, "Excluded"),
    "L1 profile": lambda s: l1_profile(s, owned_role(s).role_name),
    "instance": instance,
    "profile in an instance": lambda s: instance(s).node.find_child("InstanceProfile"),
    "tree": lambda s: with_a_profile_below(Construct(s, "Excluded")),
    "nested stack": lambda s: with_a_profile_below(cdk.NestedStack(s, "Excluded")),
    "node group": lambda s: l1_nodes(s, role_arn("Alone")),
    "role above its profile": role_above_its_profile,
    "bare resource": bare_profile,
}


@pytest.mark.parametrize("kind", EXCLUDED)
def test_what_is_excluded_is_left_alone_with_all_below(stack: cdk.Stack, kind: str) -> None:
    excluded = EXCLUDED[kind](stack)
    iam.InstanceProfile(stack, "ExcludedNot", role=owned_role(stack, "Covered"))
    SessionManagerFleet(stack, "Fleet", exclude=[excluded])
    (covered,) = roles(stack)
    assert str(covered).startswith("Covered")
    assert not warnings(stack)


@pytest.mark.parametrize("strict", [False, True])
def test_an_exclusion_without_effect_is_said(make_app: MakeApp, *, strict: bool) -> None:
    app = make_app()
    stack, outside, empty = (cdk.Stack(app, name) for name in ("Stack", "Outside", "Empty"))
    found, elsewhere = (iam.InstanceProfile(one, "Profile") for one in (stack, outside))
    group = Construct(stack, "Group")
    excluded = [group, elsewhere, empty, found, cdk.Stage(stack, "Stage")]
    SessionManagerFleet(stack, "Fleet", exclude=excluded, strict=strict)
    said = [failure(app)] if strict else warnings(stack)
    for path in ("Stack/Group", "Outside/Profile", "Empty"):
        assert any(f"excludes '{path}' without effect" in text for text in said)
    assert not any("'Stack/Profile'" in text for text in said)
    assert len(said) == (1 if strict else 3)


@pytest.mark.parametrize("parent_uses_it", [True, False])
def test_a_parent_role_is_attached_by_its_users(stack: cdk.Stack, *, parent_uses_it: bool) -> None:
    SessionManagerFleet(stack, "Fleet")
    role = owned_role(stack)
    nested = [cdk.NestedStack(stack, name) for name in ("One", "Another")]
    for user in (*nested, *([stack] if parent_uses_it else [])):
        iam.InstanceProfile(user, "Profile", role=role)
    for inner in nested:
        (held,) = resources(inner, "AWS::IAM::InstanceProfile").values()
        assert all_roles(inner) == ([] if parent_uses_it else held["Properties"]["Roles"])
    if parent_uses_it:
        assert lists_its_own(stack)
    else:
        assert not all_roles(stack)


# keys out of reach


@pytest.mark.parametrize(("env", "warning"), [
    (HERE, []),
    (THERE, ["no-key-in-region"]),
    (ELSEWHERE, ["key-of-another-account"]),
    (None, []),
])  # fmt: skip
def test_a_key_of_another_account_or_region_is_a_warning_on_each_stack_with_compute(
    make_app: MakeApp, env: cdk.Environment | None, warning: list[str]
) -> None:
    app = make_app()
    keys = cdk.Stack(app, "Keys", env=HERE)
    stack, empty = (cdk.Stack(app, name, env=env) for name in ("It", "Empty"))
    SessionManagerFleet(app, "Fleet", encryption_key=existing_key(keys))
    iam.InstanceProfile(stack, "Profile")
    assert [warned(stack), warned(empty)] == [warning, []]


# names


@pytest.mark.parametrize(
    ("scope", "logical_id"),
    [("stack", "FleetPolicy18712D8A"), ("app", "Fleet2bb4f92cPolicy5445CCF7")],
)
def test_the_logical_id_is_a_contract(make_app: MakeApp, scope: str, logical_id: str) -> None:
    stack = cdk.Stack(app := make_app(), "Stack")
    SessionManagerFleet(app if scope == "app" else stack, "Fleet")
    iam.InstanceProfile(stack, "Profile")
    assert list(resources(stack, "AWS::IAM::Policy")) == [logical_id]


# aspects of others


@jsii.implements(cdk.IAspect)
class NamePolicies:
    """Names every policy of an app by the rules of a company."""

    def visit(self, node: IConstruct) -> None:
        if isinstance(node, iam.CfnPolicy) and not node.policy_name.startswith("acme-"):
            node.policy_name = f"acme-{node.policy_name}"


@pytest.mark.parametrize("is_stable", [True, False], ids=["stabilized", "not stabilized"])
@pytest.mark.parametrize("is_first", [True, False], ids=["stacks after it", "stacks before it"])
def test_aspects_of_others_work_too(make_app: MakeApp, *, is_stable: bool, is_first: bool) -> None:
    app = make_app(**{"@aws-cdk/core:aspectStabilization": is_stable})
    cdk.Tags.of(app).add("team", "web")
    cdk.Aspects.of(app).add(NamePolicies())
    if is_first:
        SessionManagerFleet(app, "Fleet")
    stack = cdk.Stack(app, "Stack")
    iam.InstanceProfile(stack, "Profile")
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


@pytest.mark.skipif(ON_LOWEST_CDK, reason="cfn-lint is asked about what the newest CDK makes")
@pytest.mark.parametrize("for_the_fleet", [False, True])
def test_an_instance_waits_for_its_own_policy(stack: cdk.Stack, *, for_the_fleet: bool) -> None:
    """The fleet's policy may list a role that refers to the instance, and would wait for it."""
    waiting = instance(stack)
    other = owned_role(stack)
    iam.InstanceProfile(stack, "Other", role=other)
    cdk.Tags.of(other).add("serves", waiting.instance_id)
    own = SessionManagerPermissions(stack, "Permissions", role=waiting.role)
    waiting.instance.node.add_dependency(own)
    fleet = SessionManagerFleet(stack, "Fleet", exclude=[waiting])
    assert len(all_roles(stack)) == 2
    if for_the_fleet:
        (made,) = (one for one in fleet.node.find_all() if isinstance(one, iam.CfnPolicy))
        waiting.instance.add_dependency(made)
    circles = [one for one in lint(json.dumps(template(stack))) if one.rule.id == "E3004"]
    assert bool(circles) == for_the_fleet
