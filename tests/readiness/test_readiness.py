"""Which profiles the check calls ready, not ready, or not to be known, and what else it finds."""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import aws_cdk as cdk
import pytest
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from hypothesis import given, settings
from hypothesis import strategies as st

from session_manager_permissions import (
    SessionManagerPermissions,
    SessionManagerReadiness,
    _limits,
    _readiness,
    session_manager_statements,
)
from session_manager_permissions._readiness.rules import (
    CANNOT_BE_KNOWN,
    CHANNEL_MISSING,
    DECRYPT_ON_ALL_KEYS,
    DEPRECATED_POLICY,
    EXPLICIT_DENY,
    KEY_NOT_BY_ARN,
    MANAGED_POLICY_TOO_LONG,
    POLICIES_TOO_LONG,
    REGISTRATION_MISSING,
    TOO_MANY_MANAGED_POLICIES,
)
from tests.builders import public_vpc
from tests.conftest import (
    EC2,
    HERE,
    OTHER_ACCOUNT,
    ROOT,
    TEMPLATES,
    MakeApp,
    MakeStack,
    key_arn,
    owned_role,
    run_python,
)

from .policy_table import (
    ALL,
    AWS,
    CHANNELS_ONLY,
    DENIED,
    NEITHER,
    NO_REGISTRATION,
    READY,
    REGION,
    ROWS,
    UNKNOWN,
    Row,
    allow,
    deny,
    document,
    template,
)
from .reports import (
    TRUST,
    Check,
    Finding,
    Report,
    check_app,
    inline,
    machine,
    managed_policy,
    policy,
    profile_and_role,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MACHINE: dict[str, Any] = {
    "instance_type": ec2.InstanceType("t3.micro"),
    "machine_image": ec2.MachineImage.generic_linux({"eu-west-1": "ami-12345678"}),
}


# Verdicts


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_verdict_on_the_policies_of_the_table(check: Check, row: Row) -> None:
    assert check(template(row), region=REGION).rules == row.found


def test_rows_that_differ_from_the_simulator_say_why() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= 60
    assert [row.name for row in ROWS if (row.simulated is None) != (row.why == "")] == []
    assert [row.name for row in ROWS if row.simulated == row.found] == []


ON_TEMPLATES: dict[str, dict[str, frozenset[str]]] = {
    # nothing is said of the compute whose profile is not ready
    # elasticloadbalancing:DescribeInstanceHealth is all that the role has
    "autoscaling_rolling_update": {"Profile": NEITHER},
    # AmazonSSMManagedInstanceCore, and policies on conditions that are about s3, kms, secrets
    "directory_join": {},
    # of InstanceRole, whose one policy is about ecs, ecr and logs
    "ecs_on_ec2": {"Profile": NEITHER},
    # ec2:DescribeTags, s3:Get*, s3:List*, logs:*
    "efs_mounted_at_boot": {"Profile": NEITHER},
    # AmazonElasticMapReduceforEC2Role has no ssmmessages and no ssm
    "emr_cluster": {"Profile": NEITHER},
    "role_of_a_nested_stack": {"Profile": UNKNOWN, "Machine": UNKNOWN},
    "role_of_a_parameter": {"Profile": UNKNOWN, "Launch": UNKNOWN},
    # an AWS::IAM::RolePolicy with ssmmessages:* and ssm:UpdateInstanceInformation
    "role_policy": {"Server": UNKNOWN},
    # ec2:Describe*, ec2:CreateTags
    "tagged_root_volume": {"Profile": NEITHER},
    # two profiles of one role, which has cloudformation:*
    "wait_condition": {
        "BastionProfile": NEITHER,
        "PrivateProfile": NEITHER,
    },
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_verdict_on_templates_as_people_write_them(path: Path) -> None:
    report = Report([str(path)], strict=False)

    found: dict[str, frozenset[str]] = {}
    for finding in report.findings:
        found[finding.logical_id] = found.get(finding.logical_id, READY) | {finding.rule}
    assert found == ON_TEMPLATES[path.stem]


def test_templates_as_people_write_them_are_all_looked_at() -> None:
    verdicts = Counter[str]()
    for path in TEMPLATES:
        verdicts.update(Report([str(path)], strict=False).verdicts)

    assert verdicts == {"ready": 2, "not ready": 7, "can't be known": 3}


# Apps of CDK


def instance(stack: cdk.Stack, **options: Any) -> ec2.Instance:  # noqa: ANN401
    return ec2.Instance(stack, "Instance", vpc=public_vpc(stack), **MACHINE, **options)


def profile_of_an_owned_role(stack: cdk.Stack) -> iam.Role:
    role = owned_role(stack)
    iam.InstanceProfile(stack, "Profile", role=role)
    return role


def permits(stack: cdk.Stack, role: iam.IRole, **options: Any) -> SessionManagerPermissions:  # noqa: ANN401
    return SessionManagerPermissions(
        stack, "Permissions", role=role, allow_registration=True, **options
    )


def session_permissions_of_cdk(stack: cdk.Stack) -> None:
    instance(stack, ssm_session_permissions=True)


def bastion_host(stack: cdk.Stack) -> None:
    """Its role has ssmmessages:* and ssm:UpdateInstanceInformation on *."""
    ec2.BastionHostLinux(stack, "Bastion", vpc=public_vpc(stack))


def ecs_capacity(stack: cdk.Stack) -> None:
    """Its role has a policy about ecs, ecr and logs."""
    cluster = ecs.Cluster(stack, "Cluster", vpc=public_vpc(stack))
    cluster.add_capacity("Capacity", instance_type=MACHINE["instance_type"])


def our_construct(stack: cdk.Stack) -> None:
    machine = instance(stack)
    machine.instance.node.add_dependency(permits(stack, machine.role))


def our_construct_without_registration(stack: cdk.Stack) -> None:
    SessionManagerPermissions(stack, "Permissions", role=profile_of_an_owned_role(stack))


def our_statements_in_a_managed_policy(stack: cdk.Stack) -> None:
    role = profile_of_an_owned_role(stack)
    statements = session_manager_statements(allow_registration=True)
    iam.ManagedPolicy(stack, "Policy", roles=[role], statements=statements)


def our_construct_with_keys(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key")
    permissions = permits(stack, profile_of_an_owned_role(stack), encryption_key=key)
    permissions.add_encryption_key(kms.Alias(stack, "Alias", alias_name="alias/a", target_key=key))


def alias_of_cdk(stack: cdk.Stack) -> None:
    role = profile_of_an_owned_role(stack)
    permits(stack, role)
    alias = kms.Alias(stack, "Alias", alias_name="alias/a", target_key=kms.Key(stack, "Key"))
    iam.Grant.add_to_principal(grantee=role, actions=["kms:Decrypt"], resource_arns=[alias.key_arn])


@pytest.mark.parametrize(
    ("build", "found"),
    [
        (session_permissions_of_cdk, READY),
        (instance, NEITHER),
        (bastion_host, READY),
        (ecs_capacity, NEITHER),
        (our_construct, READY),
        (our_construct_without_registration, NO_REGISTRATION),
        (our_statements_in_a_managed_policy, READY),
        (our_construct_with_keys, READY),
        (alias_of_cdk, {KEY_NOT_BY_ARN}),
    ],
)
def test_apps(
    make_stack: MakeStack, build: Callable[[cdk.Stack], object], found: frozenset[str]
) -> None:
    stack = make_stack(env=HERE)
    build(stack)

    assert check_app(stack).rules == found


def test_eks_node_groups(stack: cdk.Stack) -> None:
    cluster = eks.Cluster(
        stack,
        "Cluster",
        version=eks.KubernetesVersion.V1_31,
        default_capacity_type=eks.DefaultCapacityType.NODEGROUP,
        default_capacity=0,
    )
    cluster.add_nodegroup_capacity("Managed")
    machine = MACHINE["instance_type"]
    cluster.add_auto_scaling_group_capacity("Bare", instance_type=machine)
    ready = cluster.add_auto_scaling_group_capacity("Ready", instance_type=machine)
    core = iam.ManagedPolicy.from_aws_managed_policy_name("AmazonSSMManagedInstanceCore")
    ready.role.add_managed_policy(core)

    report = check_app(stack)

    assert report.verdicts == {"ready": 1, "not ready": 2}
    assert {one.logical_id[:11] for one in report.findings} == {"ClusterBare", "ClusterNode"}
    assert report.rules == NEITHER  # policies about eks, ec2 and ecr


def group(stack: cdk.Stack, **options: Any) -> autoscaling.AutoScalingGroup:  # noqa: ANN401
    return autoscaling.AutoScalingGroup(stack, "Group", vpc=public_vpc(stack), **options)


def test_imported_profile_is_in_no_template(stack: cdk.Stack) -> None:
    profile = iam.InstanceProfile.from_instance_profile_name(stack, "Profile", "existing")
    launch = ec2.LaunchTemplate(stack, "Launch", instance_profile=profile, **MACHINE)
    group(stack, launch_template=launch)

    report = check_app(stack)

    assert report.rules == UNKNOWN
    assert report.only(CANNOT_BE_KNOWN).description.endswith(":instance-profile/existing'")
    assert report.verdicts == {}


def test_group_on_an_imported_role_cannot_be_known(stack: cdk.Stack) -> None:
    group(stack, role=iam.Role.from_role_name(stack, "Role", "existing"), **MACHINE)

    report = check_app(stack)

    assert report.verdicts == {"can't be known": 1}
    finding = report.only(CANNOT_BE_KNOWN)
    assert "the role 'existing', which is not in this app" in finding.description
    assert finding.fix.endswith("session-manager-permissions verify --role existing")


def test_role_of_another_stack(make_app: MakeApp, make_stack: MakeStack) -> None:
    app = make_app()
    roles, profiles = make_stack("Roles", scope=app), make_stack("Profiles", scope=app)
    role = owned_role(roles)
    iam.InstanceProfile(profiles, "Profile", role=role)
    permits(make_stack("Policies", scope=app), role)

    assert check_app(app).verdicts == {"ready": 1}


def test_stages_are_kept_apart(make_app: MakeApp) -> None:
    app = make_app()
    for name in ("Ready", "Bare"):
        stack = cdk.Stack(cdk.Stage(app, name), "Stack")
        role = owned_role(stack, name="shared-name")
        iam.InstanceProfile(stack, "Profile", role=role)
        if name == "Ready":
            permits(stack, role)

    report = check_app(app)

    assert report.verdicts == {"ready": 1, "not ready": 1}
    assert {finding.file[:4] for finding in report.findings} == {"Bare"}


def nested_app(app: cdk.App) -> cdk.Stack:
    """Profiles and roles on every side of nested stacks; the inner role is ready, the outer not."""
    stack = cdk.Stack(app, "Stack")
    outer = cdk.NestedStack(stack, "Outer")
    inner = cdk.NestedStack(outer, "Inner")
    top_role, inner_role = owned_role(stack), owned_role(inner)
    permits(inner, inner_role)
    iam.InstanceProfile(stack, "TopOnInner", role=inner_role)
    iam.InstanceProfile(outer, "OuterOnInner", role=inner_role)
    iam.InstanceProfile(outer, "OuterOnTop", role=top_role)
    iam.InstanceProfile(inner, "InnerOnTop", role=top_role)
    return stack


@pytest.mark.parametrize("asset_metadata", [True, False])  # with the CLI and without
def test_nested_stacks(make_app: MakeApp, asset_metadata: bool) -> None:  # noqa: FBT001
    context = {"aws:cdk:enable-asset-metadata": True} if asset_metadata else {}
    stack = nested_app(make_app(**context))

    report = check_app(stack)

    assert report.verdicts == {"ready": 2, "not ready": 2}
    assert {(finding.logical_id[:10], finding.file[:10]) for finding in report.findings} == {
        ("OuterOnTop", "StackOuter"),
        ("InnerOnTop", "StackOuter"),
    }


# The role behind a profile, and its policies


def maybe(value: object) -> dict[str, Any]:
    return {"Fn::If": ["Condition", value, {"Ref": "AWS::NoValue"}]}


def managed(*arns: object) -> dict[str, Any]:
    return {"ManagedPolicyArns": list(arns)}


def bounded(arn: object) -> dict[str, Any]:
    return inline(ALL) | {"PermissionsBoundary": arn}


def attached(of_role: str = "", **more: object) -> dict[str, Any]:
    """A role with a policy that is attached to it, on conditions."""
    body = profile_and_role(Policy=policy(ALL, **more))
    if of_role:
        body["Resources"]["Role"]["Condition"] = of_role
    return body


def naming_its_role(kind: str, **roles: object) -> dict[str, Any]:
    properties = {"PolicyDocument": document([ALL]), **roles}
    return profile_and_role(Policy={"Type": kind, "Properties": properties})


JOINED: dict[str, Any] = {"Fn::Join": ["-", ["my", "role"]]}
NAMED: dict[str, Any] = {"RoleName": "role"}
EC2_BY_SUFFIX = allow("sts:AssumeRole", Principal={"Service": {"Fn::Sub": "ec2.${AWS::URLSuffix}"}})


@pytest.mark.parametrize(
    ("body", "found"),
    [
        *(
            (profile_and_role(inline(ALL), roles, Custom={"Type": "Custom::Role"}), UNKNOWN)
            for roles in (
                [],
                [{"Ref": "Role"}, {"Ref": "Role"}],
                [{"Ref": "RoleName"}],
                {"Ref": "RoleNames"},
                [{"Fn::If": ["Condition", {"Ref": "Role"}, "other"]}],
                [maybe({"Ref": "Role"})],
                [{"Fn::ImportValue": "role"}],
                [{"Fn::GetAtt": ["Custom", "RoleName"]}],
                ["other"],
            )
        ),
        (profile_and_role(NAMED | inline(ALL), ["role"]), READY),
        (profile_and_role({"RoleName": JOINED} | inline(ALL), ["my-role"]), READY),
        (profile_and_role(roles=["other"], Policy=policy(deny("*"), roles=["other"])), DENIED),
        (attached(), READY),
        (attached(Condition="Linux"), UNKNOWN),
        (attached("Linux", Condition="Linux"), READY),
        (attached("Windows", Condition="Linux"), UNKNOWN),
        (attached("Linux"), READY),
        (naming_its_role("AWS::IAM::Policy", Roles=[{"Ref": "Role"}]), READY),
        (naming_its_role("AWS::IAM::ManagedPolicy", Roles=[{"Ref": "Role"}]), READY),
        (naming_its_role("AWS::IAM::RolePolicy", RoleName={"Ref": "Role"}), READY),
    ],
)
def test_the_role_behind_a_profile(
    check: Check, body: dict[str, Any], found: frozenset[str]
) -> None:
    assert check(body).rules == found


def test_role_by_its_name_is_that_of_the_account(check: Check) -> None:
    named, bare = profile_and_role(NAMED | inline(ALL), ["role"]), profile_and_role(NAMED, ["role"])

    assert check(named, bare, a="1", b="2").verdicts == {"ready": 1, "not ready": 1}
    assert check(named, bare, a="1", b="1").verdicts == {"can't be known": 2}


@pytest.mark.parametrize(
    ("accounts", "found"),
    [
        ({"a": "1", "b": "1"}, READY),
        ({}, READY),
        ({"a": "1"}, UNKNOWN),  # the other's is known at deployment only
        ({"a": "1", "b": "2"}, NEITHER),
    ],
)
def test_policy_on_a_role_by_name(
    check: Check, accounts: dict[str, Any], found: frozenset[str]
) -> None:
    elsewhere = {"Resources": {"Policy": policy(ALL, roles=["role"])}}

    assert check(profile_and_role(NAMED), elsewhere, **accounts).rules == found


def test_policy_of_another_account_does_not_hide_the_next(check: Check) -> None:
    by_name = policy(ALL, roles=["role"])
    role = profile_and_role(NAMED, Policy=by_name)

    assert check({"Resources": {"Policy": by_name}}, role, a="1", b="2").rules == READY


@pytest.mark.parametrize(
    ("role", "found"),
    [
        ({"Policies": [maybe(inline(ALL)["Policies"][0])]}, UNKNOWN),
        ({"Policies": ["malformed"]}, UNKNOWN),
        (managed(maybe(f"{AWS}AdministratorAccess")), UNKNOWN),
        (managed(maybe({"Ref": "Policy"})), NO_REGISTRATION),
        ({"ManagedPolicyArns": {"Ref": "Arns"}}, UNKNOWN),
        (managed({"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/PowerUserAccess"}), READY),
        (managed("arn:aws:iam::aws:policy/AmazonSSMFullAccess"), READY),
        (managed("arn:aws:iam::111122223333:policy/AdministratorAccess"), UNKNOWN),
        (managed(f"{AWS}AdministratorAccess", "arn:aws:iam::1:policy/x"), UNKNOWN),
        (managed(f"{AWS}AdministratorAccess", f"{AWS}AWSDenyAll"), DENIED),
        (managed({"Ref": "Policy"}), NO_REGISTRATION),
        (managed({"Fn::GetAtt": ["Other", "Arn"]}), UNKNOWN),
        *(
            (managed({"Fn::Sub": f"arn:aws:iam::${{AWS::AccountId}}:policy/{name}"}), found)
            for name, found in {
                "core": NO_REGISTRATION,
                "path/core": NO_REGISTRATION,
                "${Owner}-core": READY,
                "maybe": UNKNOWN,
                "score": UNKNOWN,
            }.items()
        ),
        (managed(f"{AWS}core"), UNKNOWN),
        (bounded("arn:aws:iam::111122223333:policy/core"), NO_REGISTRATION),
        (bounded({"Ref": "Policy"}), NO_REGISTRATION),
        (bounded({"Ref": "Parameter"}), UNKNOWN),
        (bounded({"Ref": "AWS::NoValue"}), READY),
        (bounded(maybe({"Ref": "Policy"})), UNKNOWN),
    ],
)
def test_policies_of_a_role(check: Check, role: dict[str, Any], found: frozenset[str]) -> None:
    named = {
        "Policy": ("core", CHANNELS_ONLY),
        "ByParameter": ({"Fn::Sub": "${Owner}-core"}, ALL),
        "Sometimes": (maybe("maybe"), ALL),
    }
    more = {key: managed_policy(one, roles=[]) for key, (_, one) in named.items()}
    for key, (name, _) in named.items():
        more[key]["Properties"]["ManagedPolicyName"] = name

    assert check(profile_and_role(role, **more, Other={"Type": "Other"})).rules == found


def test_trust_of_ec2_by_the_suffix_of_a_region_that_is_not_known(check: Check) -> None:
    role = inline(ALL) | {"AssumeRolePolicyDocument": {"Statement": [EC2_BY_SUFFIX]}}

    assert check(profile_and_role(role), region="unknown-region").rules == READY


def test_policy_of_another_account_is_another_policy(check: Check) -> None:
    named = managed_policy(allow("s3:*"), roles=[])
    named["Properties"]["ManagedPolicyName"] = "core"
    body = profile_and_role(managed("arn:aws:iam::111122223333:policy/core"), Policy=named)

    assert check(body, a="111122223333").rules == NEITHER
    assert check(body, a="444455556666").rules == UNKNOWN


# What a finding says


def test_finding_of_a_missing_channel(check: Check) -> None:
    (finding,) = check(profile_and_role(inline(allow("ssmmessages:Create*", "ssm:*")))).findings

    assert finding == Finding(
        CHANNEL_MISSING,
        "Profile",
        "warning",
        "Session Manager can't reach instances of this profile: its role 'Role' is not allowed "
        "to call ssmmessages:OpenControlChannel, ssmmessages:OpenDataChannel",
        "# In the stack:\n"
        "from session_manager_permissions import SessionManagerPermissions\n"
        'template_include = self.node.find_child("Template")\n'
        'role = template_include.get_resource("Role")\n'
        'permissions = SessionManagerPermissions(self, "RoleSessionManager", role=role)',
        "Properties.Roles",
        "a.template.json",
    )


def test_finding_of_a_missing_registration(check: Check) -> None:
    (finding,) = check(profile_and_role(inline(CHANNELS_ONLY))).findings

    assert finding.rule == REGISTRATION_MISSING
    assert finding.description == (
        "instances of this profile can't register with Systems Manager: its role 'Role' is not "
        "allowed to call ssm:UpdateInstanceInformation, so they depend on the account's Default "
        "Host Management Configuration"
    )
    assert finding.fix.endswith('"RoleSessionManager", role=role, allow_registration=True)')


def test_boundary_of_aws_takes_no_statements(check: Check) -> None:
    body = profile_and_role(inline(ALL) | {"PermissionsBoundary": f"{AWS}AmazonS3FullAccess"})

    findings = check(body).findings

    assert {finding.fix for finding in findings} == {""}
    assert all("in the permissions boundary" in finding.description for finding in findings)


def test_finding_of_an_explicit_deny_names_the_statement(check: Check) -> None:
    body = profile_and_role(
        inline(ALL),
        Guard=policy(deny("ssmmessages:Open*", Sid="NoSessions")),
        Rail=policy(deny("ssm:*")),
    )

    (finding,) = check(body).findings

    assert finding.rule == EXPLICIT_DENY
    assert finding.description == (
        "Session Manager can't reach instances of this profile: its role 'Role' is denied "
        "ssmmessages:OpenControlChannel, ssmmessages:OpenDataChannel, "
        "ssm:UpdateInstanceInformation by statement 'NoSessions' of the policy 'Guard' and the "
        "policy 'Rail', and a Deny overrides every Allow: leave these actions out of the Deny "
        "(of one with `NotAction`, add them to that)"
    )
    assert finding.fix == ""


def test_finding_of_what_cannot_be_known_names_what_decides(check: Check) -> None:
    condition = {"StringEquals": {"aws:SourceVpc": "vpc-1"}, "Bool": {"aws:SecureTransport": True}}
    body = profile_and_role(
        inline(allow("*", Sid="InVpc", Condition=condition))
        | {"ManagedPolicyArns": [{"Fn::Sub": "arn:${AWS::Partition}:iam::${Owner}:policy/x"}]}
    )

    (finding,) = check(body).findings

    assert finding.severity == "info"
    assert finding.description == (
        "it can't be known at synthesis whether Session Manager reaches instances of this "
        "profile: that depends on the managed policy 'arn:…:iam::…:policy/x', which is not in "
        "this app, and on statement 'InVpc' of an inline policy of 'Role', whose Condition on "
        "'aws:SourceVpc' may not hold for the agent's calls"
    )
    assert finding.fix.endswith("verify --role NAME")


# Rules other than the verdict


BUCKET = "arn:aws:s3:::"


def length(*statements: dict[str, Any]) -> int:
    return len(json.dumps(document(list(statements)), separators=(",", ":")))


def padding(characters: int) -> dict[str, Any]:
    """A statement with which alone a document has this many characters."""
    return deny("s3:*", on=f"{BUCKET}{'x' * (characters - length(deny('s3:*', on=BUCKET)))}")


@pytest.mark.parametrize(("extra", "found"), [(0, READY), (1, frozenset({POLICIES_TOO_LONG}))])
def test_inline_policies_that_are_too_long(check: Check, extra: int, found: frozenset[str]) -> None:
    half = padding(4_500)
    left = _limits.MAX_INLINE_POLICIES - length(half) - length(ALL, half)
    role_policy = {
        "Type": "AWS::IAM::RolePolicy",
        "Properties": {"RoleName": {"Ref": "Role"}, "PolicyDocument": document([half])},
    }
    body = profile_and_role(
        inline(ALL, half),
        RolePolicy=role_policy,
        Policy=policy(padding(left + extra)),
        Managed=policy(half) | {"Type": "AWS::IAM::ManagedPolicy"},
    )
    if extra:
        body["Resources"]["OnCondition"] = policy(half, Condition="Condition")

    report = check(body, strict=True)

    assert report.rules == found
    assert report.success is (not found)
    if found:
        assert report.verdicts == {"not ready": 1}
        assert "have at least 10241 characters" in report.only(POLICIES_TOO_LONG).description


def test_length_of_policies_leaves_white_space_out(check: Check) -> None:
    statements = [ALL, deny("s3:*", on=BUCKET + "x" + " " * _limits.MAX_INLINE_POLICIES)]

    assert check(profile_and_role(inline(*statements))).rules == READY


@pytest.mark.parametrize("extra", [0, 1])
def test_managed_policy_that_is_too_long(check: Check, extra: int) -> None:
    spaces = " " * _limits.MAX_INLINE_POLICIES
    long = padding(6_144 + extra)
    long["Resource"] += spaces
    roles = [{"Ref": "Role"}, {"Ref": "Other"}]
    other = {"Type": "AWS::IAM::Role", "Properties": TRUST | inline(ALL)}
    behind = {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [{"Ref": "Other"}]}}
    body = profile_and_role(
        inline(ALL), Other=other, Behind=behind, Long=managed_policy(long, roles=roles)
    )

    report = check(body, strict=True)

    assert report.success is (not extra)
    if extra:
        assert report.verdicts == {"not ready": 2}
        assert report.violations == [MANAGED_POLICY_TOO_LONG]
        assert report.only(MANAGED_POLICY_TOO_LONG).logical_id == "Long"
        assert "has at least 6145 characters" in report.findings[0].description
    else:
        assert report.verdicts == {"ready": 2}


def test_managed_policy_that_is_too_long_by_its_reference(check: Check) -> None:
    long = managed_policy(padding(6_145), roles=[])
    role = inline(ALL) | {"ManagedPolicyArns": [{"Ref": "Long"}]}

    assert check(profile_and_role(role, Long=long)).rules == {MANAGED_POLICY_TOO_LONG}


def test_managed_policy_on_a_condition_may_be_too_long(check: Check) -> None:
    long = managed_policy(padding(6_145), Condition="Condition")

    assert check(profile_and_role(inline(ALL), Long=long)).rules == UNKNOWN


@pytest.mark.parametrize(
    ("aws", "in_app", "by_arn", "found"),
    [
        (10, 0, 0, READY),
        (11, 0, 0, UNKNOWN),
        (5, 5, 0, READY),
        (5, 6, 0, UNKNOWN),
        (20, 5, 0, UNKNOWN),
        (20, 6, 0, {TOO_MANY_MANAGED_POLICIES}),
        (26, 0, 0, {TOO_MANY_MANAGED_POLICIES}),
        (5, 5, 5, UNKNOWN),  # by its ARN, a policy can deny
        (20, 5, 5, UNKNOWN),  # those by their ARNs may be those of the app
        (20, 5, 6, {TOO_MANY_MANAGED_POLICIES}),
    ],
)
def test_number_of_managed_policies(
    check: Check, aws: int, in_app: int, by_arn: int, found: frozenset[str]
) -> None:
    data = json.loads(files(_readiness).joinpath("aws_managed_policies.json").read_bytes())
    known = data["others"][:aws]
    arns = [{"Fn::Sub": f"arn:${{AWS::Partition}}:iam::aws:policy/{name}"} for name in known]
    customer = [f"arn:aws:iam::111122223333:policy/p{number}" for number in range(by_arn)]
    role = inline(ALL) | {"ManagedPolicyArns": [*arns, *arns, *customer]}
    more = {f"Policy{number}": managed_policy(allow("s3:*")) for number in range(in_app)}

    report = check(profile_and_role(role, **more))

    assert report.rules == found


def test_number_of_managed_policies_that_needs_a_raised_quota(check: Check) -> None:
    more = {f"Policy{number}": managed_policy(allow("s3:*")) for number in range(11)}

    finding = check(profile_and_role(inline(ALL), **more)).only(CANNOT_BE_KNOWN)

    assert finding.description.endswith(
        "that depends on the account's quota of managed policies on a role, which is 10 unless it "
        "was raised (its role 'Role' has 11)"
    )
    assert finding.fix == "# Look up the quota of the account in Service Quotas"


def test_what_else_decides_is_asked_of_iam_and_not_of_the_quotas(check: Check) -> None:
    more = {f"Policy{number}": managed_policy(allow("s3:*")) for number in range(10)}
    role = inline(ALL) | {"ManagedPolicyArns": ["arn:aws:iam::111122223333:policy/theirs"]}

    finding = check(profile_and_role(role, **more, More=managed_policy(allow("s3:*")))).only(
        CANNOT_BE_KNOWN
    )

    assert "the account's quota of managed policies" in finding.description
    assert finding.fix.startswith("# Ask IAM after the deployment")


@pytest.mark.parametrize(("number", "found"), [(10, READY), (26, UNKNOWN)])
def test_managed_policies_on_a_condition(check: Check, number: int, found: frozenset[str]) -> None:
    more = {
        f"Policy{one}": managed_policy(allow("s3:*"), Condition="Condition")
        for one in range(number)
    }

    assert check(profile_and_role(inline(ALL), **more)).rules == found


def test_a_key_in_both_branches_is_named_once(check: Check) -> None:
    on = {"Fn::If": ["Condition", [{"Ref": "Key"}, key_arn()], {"Ref": "Key"}]}
    body = profile_and_role(inline(ALL, allow("kms:Decrypt", on=on)), **KEYS)

    assert check(body).rules == {KEY_NOT_BY_ARN}
    assert len(check(body).findings) == 1


KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
KEYS = {
    "Key": {"Type": "AWS::KMS::Key"},
    "Alias": {"Type": "AWS::KMS::Alias"},
    "Secret": {"Type": "AWS::SecretsManager::Secret"},
}


BY_ARN: frozenset[str] = frozenset()
NOT_BY_ARN = {KEY_NOT_BY_ARN}
ON_ALL = {DECRYPT_ON_ALL_KEYS}


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        *(
            (allow("kms:Decrypt", on=on), NOT_BY_ARN)
            for on in (
                key_arn(resource="alias/sessions"),
                {"Fn::Sub": "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:alias/a"},
                "alias/sessions",
                KEY_ID,
                f"key/{KEY_ID}",
                "mrk-1234abcd12ab34cd56ef1234567890ab",
                {"Ref": "Key"},
                {"Ref": "Alias"},
                [key_arn(), "alias/sessions"],
            )
        ),
        (allow("kms:Decrypt", on=key_arn()), BY_ARN),
        (allow("kms:Decrypt", on={"Fn::GetAtt": ["Key", "Arn"]}), BY_ARN),
        (allow("kms:Decrypt", on={"Ref": "Parameter"}), BY_ARN),
        (allow("kms:Decrypt", on={"Ref": "Secret"}), BY_ARN),
        (allow("kms:Decrypt", on=key_arn(resource="key/*")), BY_ARN),
        (allow("kms:CreateAlias", on=key_arn(resource="alias/sessions")), BY_ARN),
        (deny("kms:Decrypt", on=key_arn(resource="alias/sessions")), BY_ARN),
        (allow("s3:GetObject", on="alias/sessions"), BY_ARN),
        (allow("kms:Encrypt", "s3:*"), BY_ARN),
        ({"Effect": "Allow", "NotAction": "kms:Encrypt", "Resource": "*"}, BY_ARN),
        (
            {"Effect": "Allow", "Action": "kms:Decrypt", "NotResource": key_arn(resource="key/a")},
            ON_ALL,
        ),
        (allow("kms:Decrypt"), ON_ALL),
        (allow("kms:*", on=[key_arn(), "*"]), ON_ALL),
        (allow("KMS:dec*", on="arn:aws:kms:*:*:key/*"), ON_ALL),
        (allow("s3:*", "kms:Decrypt", on="arn:aws:kms:*"), ON_ALL),
        (allow("kms:Decrypt", Condition={"Null": {"kms:EncryptionContext:a": "false"}}), BY_ARN),
        (allow("kms:Encrypt"), BY_ARN),
        (allow("*"), BY_ARN),
        (deny("kms:Decrypt"), BY_ARN),
    ],
)
def test_keys_in_statements(check: Check, statement: dict[str, Any], found: set[str]) -> None:
    report = check(profile_and_role(Policy=policy(ALL, statement), **KEYS))

    assert report.rules == found
    assert {(one.logical_id, one.severity) for one in report.findings} <= {("Policy", "warning")}


def test_policy_of_two_roles_is_reported_once(check: Check) -> None:
    body = profile_and_role(
        inline(ALL),
        Other={"Type": "AWS::IAM::Role", "Properties": TRUST | inline(ALL)},
        OtherProfile={
            "Type": "AWS::IAM::InstanceProfile",
            "Properties": {"Roles": [{"Ref": "Other"}]},
        },
        Policy=policy(allow("kms:Decrypt"), roles=[{"Ref": "Role"}, {"Ref": "Other"}]),
    )

    report = check(body)

    assert report.verdicts == {"ready": 2}
    assert Counter(finding.rule for finding in report.findings) == {DECRYPT_ON_ALL_KEYS: 1}


def test_policies_of_roles_without_a_profile_are_not_looked_at(check: Check) -> None:
    body = profile_and_role(inline(allow("kms:Decrypt")))
    del body["Resources"]["Profile"]

    assert check(body).findings == []


def test_deprecated_policy(check: Check) -> None:
    arn = {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonEC2RoleforSSM"}

    (finding,) = check(profile_and_role({"ManagedPolicyArns": [arn]})).findings

    assert finding.rule == DEPRECATED_POLICY
    assert finding.logical_id == "Role"
    assert finding.location == "Properties.ManagedPolicyArns"
    assert 'from_aws_managed_policy_name("AmazonSSMManagedInstanceCore")' in finding.fix


# The report


@pytest.mark.parametrize(
    ("role", "success", "severities"),
    [
        (inline(ALL), True, set()),
        ({}, False, {"error"}),
        (inline(CHANNELS_ONLY), False, {"error"}),
        (inline(deny("*")), False, {"error"}),
        ({"ManagedPolicyArns": ["arn:aws:iam::111122223333:policy/x"]}, True, {"info"}),
        (inline(ALL, allow("kms:Decrypt")), True, {"warning"}),
    ],
)
def test_strict_fails_on_what_is_not_ready(
    check: Check, role: dict[str, Any], success: bool, severities: set[str]  # noqa: FBT001
) -> None:  # fmt: skip
    report = check(profile_and_role(role), strict=True)

    assert report.success is success
    assert {finding.severity for finding in report.findings} == severities


@pytest.mark.parametrize("role", [{}, inline(deny("*")), inline(CHANNELS_ONLY)])
def test_not_strict_warns_of_what_is_not_ready(check: Check, role: dict[str, Any]) -> None:
    report = check(profile_and_role(role))

    assert report.success is True
    assert {finding.severity for finding in report.findings} == {"warning"}


def test_strict_is_a_bool() -> None:
    with pytest.raises(TypeError, match="strict must be a bool, got str 'yes'"):
        SessionManagerReadiness(strict=cast("bool", "yes"))


def test_rule_ids_are_what_can_be_acknowledged() -> None:
    assert SessionManagerReadiness().rule_ids == [
        "channel-missing",
        "registration-missing",
        "explicit-deny",
        "inline-policies-too-long",
        "managed-policy-too-long",
        "too-many-managed-policies",
        "no-instance-profile",
        "role-not-assumable",
        "metadata-off",
        "agent-missing",
        "no-network-path",
        "endpoint-missing",
        "endpoint-unreachable",
        "egress-closed",
        "session-denied",
        "log-lost",
        "exec-denied",
        "tags-match-nothing",
        "key-not-by-arn",
        "decrypt-on-all-keys",
        "deprecated-policy",
        "boot-order",
        "cannot-be-known",
        "ready",
    ]


def test_one_finding_for_all_profiles_of_a_role(check: Check) -> None:
    body = profile_and_role()
    for number in range(3):
        body["Resources"][f"Profile{number}"] = body["Resources"]["Profile"]
    for number in range(3):
        elsewhere = {"Roles": ["elsewhere"]}
        entry = {"Type": "AWS::IAM::InstanceProfile", "Properties": elsewhere}
        body["Resources"][f"Elsewhere{number}"] = entry

    report = check(body)

    assert report.verdicts == {"not ready": 4, "can't be known": 3}
    assert report.violations == [CHANNEL_MISSING, CANNOT_BE_KNOWN]
    assert Counter(finding.rule for finding in report.findings) == {
        CHANNEL_MISSING: 4,
        CANNOT_BE_KNOWN: 3,
    }


def test_counts_are_in_the_report_where_there_is_nothing_to_report(check: Check) -> None:
    report = check(profile_and_role(inline(ALL)))

    assert report.violations == ["ready"]  # CDK drops a report that has none
    assert report.findings == []
    assert report.metadata == {"ready": "1", "not ready": "0", "can't be known": "0"}
    assert check({"Resources": {}}).violations == []


@pytest.mark.parametrize("ready", [True, False])
def test_counts_are_in_the_file_that_cdk_writes(make_app: MakeApp, ready: bool) -> None:  # noqa: FBT001
    app = make_app()
    cdk.Validations.of(app).add_plugins(SessionManagerReadiness())
    stack = cdk.Stack(app, "Stack")
    role = owned_role(stack)
    iam.InstanceProfile(stack, "Profile", role=role)
    if ready:
        SessionManagerPermissions(stack, "Permissions", role=role, allow_registration=True)

    written = json.loads((Path(app.synth().directory) / "validation-report.json").read_text())

    ours = [one for one in written["pluginReports"] if "Readiness" in one["pluginName"]]
    assert [one["metadata"] for one in ours] == [
        {"ready": str(int(ready)), "not ready": str(int(not ready)), "can't be known": "0"}
    ]


def test_version_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: f"{name} 1.2.3")
    assert SessionManagerReadiness().version == "session-manager-permissions 1.2.3"

    def not_installed(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", not_installed)
    assert SessionManagerReadiness().version is None


ROUND_TRIPS = """
import sys
import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from session_manager_permissions import SessionManagerReadiness

app = cdk.App(outdir=sys.argv[1])
cdk.Validations.of(app).add_plugins(SessionManagerReadiness())
stack = cdk.Stack(app, "Stack")
for number in range(int(sys.argv[2])):
    role = iam.Role(stack, f"Role{number}", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    iam.InstanceProfile(stack, f"Profile{number}", role=role)
    if sys.argv[3]:
        core = iam.ManagedPolicy.from_aws_managed_policy_name("AmazonSSMManagedInstanceCore")
        role.add_managed_policy(core)
cdk.Token.is_unresolved("synthesis")
app.synth()
cdk.Token.is_unresolved("the end")  # what comes after may be lost, as the process ends
"""


@pytest.mark.parametrize(("is_ready", "for_each"), [(True, 0), (False, 36)])
def test_check_asks_cdk_only_about_what_a_fix_names(
    is_ready: bool,  # noqa: FBT001 # a row
    for_each: int,
    tmp_path: Path,
) -> None:
    counts = []
    for profiles in (1, 20):
        out = str(tmp_path / str(profiles))
        arguments = out, str(profiles), "ready" * is_ready
        done = run_python("-c", ROUND_TRIPS, *arguments, cwd=tmp_path, env={"JSII_DEBUG": "1"})
        assert done.returncode == 0, done.stderr
        synthesis, end, _ = done.stderr.rpartition('"synthesis"')[2].partition('"the end"')
        assert end
        counts.append(sum(line.startswith("> {") for line in synthesis.splitlines()))

    assert counts[0] < 20 + 2 * for_each
    assert counts[1] - counts[0] <= 19 * for_each


NAMES = st.sampled_from(
    ["Ref", "Fn::If", "Fn::Sub", "Fn::Join", "Fn::GetAtt", "Role", "Effect", "Action", "Resource"]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


PROPERTIES = ("Policies", "ManagedPolicyArns", "PermissionsBoundary", "RoleName")


@settings(deadline=None)  # a folder and two templates each
@given(
    role=st.fixed_dictionaries(dict.fromkeys(PROPERTIES, ANYTHING)),
    odd=st.fixed_dictionaries({"Roles": ANYTHING, "PolicyDocument": ANYTHING}),
    statement=ANYTHING,
)
def test_no_template_breaks_the_check(
    tmp_path_factory: pytest.TempPathFactory,
    role: dict[str, Any],
    odd: dict[str, Any],
    statement: object,
) -> None:
    check = Check(tmp_path_factory.mktemp("any"))
    more = {
        "Odd": {"Type": "AWS::IAM::Policy", "Properties": odd},
        "Policy": policy(cast("dict[str, Any]", statement)),
        "Machine": machine(IamInstanceProfile=odd["Roles"]),
    }

    for roles in (None, odd["Roles"]):
        assert sum(check(profile_and_role(role, roles, **more)).verdicts.values()) == 1


@pytest.mark.parametrize("kind", [{"a": 1}, [], None, {"Ref": "Role"}])
def test_a_resource_of_no_type_is_passed_over(check: Check, kind: object) -> None:
    odd = {"Type": kind, "Properties": {"Roles": ["Role"]}}

    assert check(profile_and_role(Odd=odd)).verdicts == {"not ready": 1}


def changed_type(stack: cdk.Stack) -> None:
    iam.CfnInstanceProfile(stack, "Odd", roles=["web"]).add_override("Type", {"a": 1})


def nested_in_itself(stack: cdk.Stack) -> None:
    nested = cdk.CfnStack(stack, "Nested", template_url="https://example.com")
    nested.add_metadata("aws:asset:path", stack.template_file)


@pytest.mark.parametrize("make", [changed_type, nested_in_itself])
def test_a_template_that_makes_no_sense_does_not_fail_the_synthesis(
    make_app: MakeApp, make: Callable[[cdk.Stack], None]
) -> None:
    app = make_app()
    cdk.Validations.of(app).add_plugins(SessionManagerReadiness())
    stack = cdk.Stack(app, "Stack")
    iam.CfnInstanceProfile(stack, "Profile", roles=["web"])
    make(stack)

    app.synth()


@pytest.mark.parametrize("not_ready", [True, False])
def test_app_with_the_check(make_app: MakeApp, not_ready: bool) -> None:  # noqa: FBT001
    app = make_app()
    cdk.Validations.of(app).add_plugins(SessionManagerReadiness(strict=True))
    stack = cdk.Stack(app, "Stack")
    role = owned_role(stack)
    iam.InstanceProfile(stack, "Profile", role=role)
    if not not_ready:
        SessionManagerPermissions(stack, "Permissions", role=role, allow_registration=True)
        app.synth()
        return

    with pytest.raises(RuntimeError, match="Stack/Profile/Resource") as failure:
        app.synth()

    assert "SessionManagerReadiness::channel-missing" in str(failure.value)


SHOWN = """
import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from session_manager_permissions import SessionManagerPermissions, SessionManagerReadiness

app = cdk.App()
cdk.Validations.of(app).add_plugins(SessionManagerReadiness())
stack = cdk.Stack(app, "Stack")
role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
iam.InstanceProfile(stack, "Profile", role=role)
SessionManagerPermissions(stack, "Permissions", role=role)
app.synth()
"""


def test_the_page_shows_what_synthesis_prints(tmp_path: Path) -> None:
    page = (ROOT / "docs/readiness.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    done = run_python("-c", SHOWN, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert shown in done.stderr


def test_stage_with_the_check(make_app: MakeApp) -> None:
    app = make_app()
    for name in ("Checked", "Unchecked"):
        stage = cdk.Stage(app, name)
        stack = cdk.Stack(stage, "Stack")
        iam.InstanceProfile(stack, "Profile", role=owned_role(stack))
        if name == "Checked":
            cdk.Validations.of(stage).add_plugins(SessionManagerReadiness(strict=True))

    with pytest.raises(RuntimeError, match="  Checked/Stack/Profile/Resource") as failure:
        app.synth()

    assert "Unchecked/" not in str(failure.value)


def test_finding_that_is_acknowledged_does_not_fail(make_app: MakeApp) -> None:
    app = make_app()
    cdk.Validations.of(app).add_plugins(SessionManagerReadiness(strict=True))
    stack = cdk.Stack(app, "Stack")
    profile = iam.InstanceProfile(stack, "Profile", role=owned_role(stack))
    with pytest.raises(RuntimeError, match=f"SessionManagerReadiness::{CHANNEL_MISSING}"):
        app.synth(force=True)
    cdk.Validations.of(profile).acknowledge(
        cdk.Acknowledgment(
            id=f"SessionManagerReadiness::{CHANNEL_MISSING}", reason="not for sessions"
        )
    )

    app.synth(force=True)

    assert {other.rule for other in check_app(app).findings} == NEITHER


def test_account_of_another_stack_does_not_matter_to_a_reference(make_app: MakeApp) -> None:
    app = make_app()
    stack = cdk.Stack(app, "Stack", env=cdk.Environment(account=OTHER_ACCOUNT))
    profile = iam.InstanceProfile(stack, "Profile", role=iam.Role(stack, "R", assumed_by=EC2))
    assert profile.role
    SessionManagerPermissions(stack, "P", role=profile.role, allow_registration=True)

    assert check_app(app).rules == READY
