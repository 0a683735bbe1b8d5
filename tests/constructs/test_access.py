"""The mixin: what it covers, that it may be applied twice, and what it refuses."""

import re
from collections.abc import Callable
from typing import Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import IConstruct

from session_manager_permissions import SessionManagerAccess, SessionManagerPermissions
from tests.builders import bare_profile, imported_profile, instance, l1_nodes, l1_profile, network
from tests.conftest import MakeApp
from tests.keys import existing_key
from tests.places import HERE, OTHER_REGION
from tests.reading import policy, resources, statements, template, warnings
from tests.roles import existing_role, immutable_role, l1_role, owned_role


def l2_nodes(stack: cdk.Stack) -> eks.Nodegroup:
    given: dict[str, Any] = {"cluster_name": "shop", "vpc": network(stack)}
    cluster = eks.Cluster.from_cluster_attributes(stack, "Cluster", **given)
    return eks.Nodegroup(stack, "L2Nodes", cluster=cluster, node_role=owned_role(stack))


COMPUTE: Final[dict[str, Callable[[cdk.Stack], IConstruct]]] = {
    "L2 profile": lambda s: iam.InstanceProfile(s, "Profile"),
    "L2 profile of an import": lambda s: iam.InstanceProfile(s, "Profile", role=existing_role(s)),
    "L1 profile": lambda s: l1_profile(s, "web"),
    "L1 of an L2 profile": lambda s: iam.InstanceProfile(s, "P").node.find_child("Resource"),
    "imported profile": lambda s: imported_profile(s, existing_role(s)),
    "profile of an instance": instance,
    "L1 node group": l1_nodes,
    "L2 node group": l2_nodes,
}


@pytest.mark.parametrize("kind", COMPUTE)
def test_the_role_of_compute_gets_the_policy(stack_here: cdk.Stack, kind: str) -> None:
    compute = COMPUTE[kind](stack_here)
    access = SessionManagerAccess(allow_registration=True)

    compute.with_(access)
    if kind != "profile of an instance":  # CDK applies it to the compute alone, too
        cdk.Mixins.of(compute, cdk.ConstructSelector.only_itself()).require_all().apply(access)

    assert "SessionManagerRegistration" in statements(stack_here)
    assert len(policy(stack_here)["Roles"]) == 1


def test_all_that_is_there_is_covered_in_one_policy_of_each_stack(make_app: MakeApp) -> None:
    app = make_app()
    one, staged = cdk.Stack(app, "One"), cdk.Stack(cdk.Stage(app, "Prod"), "Two")
    role = owned_role(one)
    for number, given in enumerate([None, None, role, role]):
        iam.InstanceProfile(one, f"Profile{number}", role=given)
    l1_profile(staged, "web")
    s3.Bucket(one, "Bucket")

    cdk.Mixins.of(app).apply(SessionManagerAccess())
    iam.InstanceProfile(one, "Later")

    assert len(policy(one)["Roles"]) == 3
    assert len(policy(staged)["Roles"]) == 1


def test_the_logical_id_and_the_name_are_a_contract(stack_here: cdk.Stack) -> None:
    l1_profile(stack_here, "web").with_(SessionManagerAccess())

    ((logical_id, made),) = resources(stack_here, "AWS::IAM::Policy").items()
    assert logical_id == "SessionManagerAccessPolicy3339F070"
    name = made["Properties"]["PolicyName"]
    assert re.fullmatch(r"Stack-SessionManagerAccess-\w{8}-eu-west-1", name)


def test_other_options_add_a_policy_and_the_same_options_do_not(stack: cdk.Stack) -> None:
    theirs = SessionManagerPermissions(stack, "SessionManagerAccess2", role=owned_role(stack))
    profile = iam.InstanceProfile(stack, "Profile")
    logs = s3.Bucket(stack, "Logs", encryption=s3.BucketEncryption.KMS)

    for _ in range(2):  # each time, jsii gives another object for the key that the bucket has made
        with_key = SessionManagerAccess(encryption_key=logs.encryption_key)
        profile.with_(SessionManagerAccess(), with_key)

    made = resources(stack, "AWS::IAM::Policy")
    assert [name[:-8] for name in made] == [
        "SessionManagerAccess2Policy",
        "SessionManagerAccessPolicy",
        "SessionManagerAccess3Policy",
    ]
    assert [len(one["Properties"]["Roles"]) for one in made.values()] == [1, 1, 1]
    assert len(theirs.roles) == 1


def test_compute_on_a_condition_has_a_policy_on_it(stack: cdk.Stack) -> None:
    condition = cdk.CfnCondition(stack, "Prod")
    role = l1_role(stack)
    conditional = iam.CfnInstanceProfile(stack, "Conditional", roles=[role.ref])
    role.cfn_options.condition = conditional.cfn_options.condition = condition
    l1_profile(stack, "web")

    cdk.Mixins.of(stack).apply(SessionManagerAccess())

    found = {
        made.get("Condition"): len(made["Properties"]["Roles"])
        for made in resources(stack, "AWS::IAM::Policy").values()
    }
    assert found == {"Prod": 1, None: 1}
    assert warnings(stack) == []


REFUSED: Final[dict[str, tuple[Callable[[cdk.Stack], IConstruct], str]]] = {
    "immutable": (lambda s: iam.InstanceProfile(s, "Profile", role=immutable_role(s)),
        "'Stack/Role' was imported with mutable=False"),
    "import without its role": (imported_profile, "'Stack/Profile' was imported without its role"),
    "bare resource": (bare_profile, "'Stack/Profile' is a cdk.CfnResource"),
    "imported node group": (lambda s: eks.Nodegroup.from_nodegroup_name(s, "Nodes", "workers"),
        "node group 'Stack/Nodes' was imported without its role"),
    "node group of no role": (lambda s: l1_nodes(s, "worker"), "'worker' is not the ARN of a role"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_construct_refuses_is_refused(stack_here: cdk.Stack, kind: str) -> None:
    make, says = REFUSED[kind]
    compute = make(stack_here)

    with pytest.raises((TypeError, ValueError), match=says):
        SessionManagerAccess().apply_to(compute)
    with pytest.raises(RuntimeError, match=says):
        compute.with_(SessionManagerAccess())


def test_what_is_no_compute_is_not_supported(stack: cdk.Stack) -> None:
    others = (stack, owned_role(stack), s3.Bucket(stack, "Bucket"), s3.CfnBucket(stack, "L1"))
    bare = cdk.CfnResource(stack, "Bare", type="AWS::S3::Bucket")
    before = template(stack)

    for other in (*others, bare):
        assert not SessionManagerAccess().supports(other)
        with pytest.raises(TypeError, match="can't be applied to the construct 'Stack"):
            SessionManagerAccess().apply_to(other)

    stack.with_(SessionManagerAccess())
    assert template(stack) == before


def test_a_key_of_another_region_is_warned_of_with_the_way_out(make_app: MakeApp) -> None:
    stack = cdk.Stack(make_app(), "Stack", env=HERE)
    key = existing_key(stack, region=OTHER_REGION)

    l1_profile(stack, "web").with_(SessionManagerAccess(encryption_key=key))

    (warning,) = warnings(stack)
    assert "apply one with the key of that region" in warning
