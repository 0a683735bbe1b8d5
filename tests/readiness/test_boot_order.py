"""Which instances and groups may boot before their role has the policy, and what fixes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam

from session_manager_permissions import (
    SessionManagerFleet,
    SessionManagerPermissions,
    session_manager_statements,
)
from session_manager_permissions import _needs as needs
from session_manager_permissions._readiness.rules import BOOT_ORDER
from tests.builders import SIZE, public_vpc
from tests.conftest import owned_role

from .judging import att, ref, resource
from .policy_table import ALL, AWS, CHANNELS_ONLY, DENIED, READY, allow, deny
from .reports import Check, check_app, inline, machine, policy, profile_and_role

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import MakeApp

Found = frozenset[str]

FIRES: Final = frozenset({BOOT_ORDER})
OURS: Final = CHANNELS_ONLY | {"Sid": needs.CHANNELS.sid}
LATE: Final = policy(ALL, OURS)
MACHINE: Final[dict[str, Any]] = {
    "instance_type": SIZE,
    "machine_image": ec2.MachineImage.generic_linux({"eu-west-1": "ami-12345678"}),
}


# Apps of CDK: what the finding shows fixes what it finds -----------------------------------------


@pytest.fixture
def stack(make_app: MakeApp) -> cdk.Stack:
    """A stack whose template has the paths of the constructs, as the CLI makes it."""
    return cdk.Stack(make_app(**{"aws:cdk:enable-path-metadata": True}), "Stack")


def an_instance(stack: cdk.Stack, **given: Any) -> ec2.Instance:  # noqa: ANN401
    return ec2.Instance(stack, "Instance", vpc=public_vpc(stack), **given, **MACHINE)


def a_group(stack: cdk.Stack, **given: Any) -> autoscaling.AutoScalingGroup:  # noqa: ANN401
    return autoscaling.AutoScalingGroup(
        stack, "Group", vpc=public_vpc(stack), **given, **MACHINE
    )  # fmt: skip


def permits(stack: cdk.Stack, role: iam.IRole) -> SessionManagerPermissions:
    return SessionManagerPermissions(
        stack, "SessionManagerPermissions", role=role, allow_registration=True
    )


def under_a_profile(stack: cdk.Stack) -> iam.InstanceProfile:
    """An instance under a profile that stands by itself, and its role."""
    profile = iam.InstanceProfile(stack, "Profile", role=owned_role(stack))
    an_instance(stack, instance_profile=profile)
    return profile


@pytest.mark.parametrize("by_fleet", [False, True])
@pytest.mark.parametrize("make", [an_instance, a_group])
def test_the_fix_mends_it(stack: cdk.Stack, make: Callable[..., Any], *, by_fleet: bool) -> None:
    role = make(stack).role
    if by_fleet:
        SessionManagerFleet(stack, "Fleet", allow_registration=True)
    else:
        permits(stack, role)

    finding = check_app(stack).only(BOOT_ORDER)
    exec(finding.fix, {"self": stack})  # noqa: S102 # as it is shown

    assert ("SessionManagerPermissions(" in finding.fix) is by_fleet
    assert check_app(stack).rules == READY


def excluded_from_a_fleet(stack: cdk.Stack) -> None:
    instance = an_instance(stack)
    instance.instance.node.add_dependency(permits(stack, instance.role))
    SessionManagerFleet(stack, "Fleet", exclude=[instance], allow_registration=True)


def fleet_over_what_is_reached_from_the_first_boot(stack: cdk.Stack) -> None:
    role = an_instance(stack, ssm_session_permissions=True).role
    core = iam.ManagedPolicy.from_aws_managed_policy_name("AmazonSSMManagedInstanceCore")
    role.add_managed_policy(core)
    SessionManagerFleet(stack, "Fleet")


def profile_that_waits_for_the_policy(stack: cdk.Stack) -> None:
    profile = under_a_profile(stack)
    assert profile.role
    profile.node.add_dependency(permits(stack, profile.role))


@pytest.mark.parametrize(
    "build",
    [
        excluded_from_a_fleet,
        fleet_over_what_is_reached_from_the_first_boot,
        profile_that_waits_for_the_policy,
    ],
)
def test_nothing_is_found_of_what_waits_or_needs_not(
    stack: cdk.Stack, build: Callable[[cdk.Stack], None]
) -> None:
    build(stack)

    assert check_app(stack).rules == READY


def l1_instance(stack: cdk.Stack) -> None:
    profile = iam.InstanceProfile(stack, "Profile", role=owned_role(stack))
    ec2.CfnInstance(stack, "Machine", iam_instance_profile=profile.instance_profile_name)
    assert profile.role
    permits(stack, profile.role)


def policy_that_is_written_by_hand(stack: cdk.Stack) -> None:
    role = under_a_profile(stack).role
    assert role
    statements = session_manager_statements(allow_registration=True)
    iam.ManagedPolicy(stack, "ByHand", statements=statements, roles=[role])


@pytest.mark.parametrize(
    ("build", "line"),
    [
        (l1_instance, "machine.node.add_dependency(session_manager_permissions)"),
        (policy_that_is_written_by_hand, "cfn_instance.node.add_dependency(cfn_by_hand)"),
    ],
)
def test_the_fix_waits_for_what_makes_the_policy(
    stack: cdk.Stack, build: Callable[[cdk.Stack], None], line: str
) -> None:
    build(stack)

    assert check_app(stack).only(BOOT_ORDER).fix.splitlines()[-1] == line


# Templates ---------------------------------------------------------------------------------------


def with_name(role: dict[str, Any] | None = None, **parts: dict[str, Any]) -> dict[str, Any]:
    """A role with a late policy, and a profile that has a name."""
    body = profile_and_role(role, **{"Policy": LATE, **parts})
    body["Resources"]["Profile"]["Properties"]["InstanceProfileName"] = "by-name"
    return body


def template(**profile: object) -> dict[str, Any]:
    data = {"IamInstanceProfile": profile}
    named = {"LaunchTemplateName": "template"}
    return resource("AWS::EC2::LaunchTemplate", LaunchTemplateData=data, **named)


def configuration(profile: object) -> dict[str, Any]:
    named = {"LaunchConfigurationName": "configuration"}
    return resource("AWS::AutoScaling::LaunchConfiguration", IamInstanceProfile=profile, **named)


def group(**properties: object) -> dict[str, Any]:
    return resource("AWS::AutoScaling::AutoScalingGroup", **properties)


def fleet(capacity: int = 1) -> dict[str, Any]:
    configs = [{"LaunchTemplateSpecification": BY_ID | {"Version": "$Latest"}}]
    target = {"TotalTargetCapacity": capacity}
    given = {"LaunchTemplateConfigs": configs, "TargetCapacitySpecification": target}
    return resource("AWS::EC2::EC2Fleet", **given)


def spot_fleet(capacity: int = 1) -> dict[str, Any]:
    specification = {"IamInstanceProfile": {"Arn": ARN}}
    data = {"TargetCapacity": capacity, "LaunchSpecifications": [specification]}
    return resource("AWS::EC2::SpotFleet", SpotFleetRequestConfigData=data)


def nodes(**changes: object) -> dict[str, Any]:
    given = {"NodeRole": att("Role", "Arn"), "Subnets": ["subnet-1"], **changes}
    return resource("AWS::EKS::Nodegroup", **given)


PROFILE: Final = {"IamInstanceProfile": ref("Profile")}
ARN: Final = att("Profile", "Arn")
LITERAL_ARN: Final = "arn:aws:iam::111122223333:instance-profile/path/by-name"
JOINED_ARN: Final = {"Fn::Sub": "arn:${AWS::Partition}:iam::1:instance-profile/by-name"}
BY_ID: Final = {"LaunchTemplateId": ref("Launch"), "Version": "1"}
BY_NAME: Final = {"LaunchTemplateName": "template", "Version": "1"}
MIXED: Final = {"LaunchTemplate": {"LaunchTemplateSpecification": BY_ID}}
OVERRIDES: Final = [{"InstanceType": "m5.large"}, {"LaunchTemplateSpecification": BY_ID}]
OTHERS: Final = {"LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1"}}
OVERRIDDEN: Final = {"LaunchTemplate": OTHERS | {"Overrides": OVERRIDES}}
WAITS: Final = {"DependsOn": ["Policy"]}
FROM_ID: Final = group(LaunchTemplate=BY_ID)
NO_VALUE: Final = {"Ref": "AWS::NoValue"}
OTHER_ROLE: Final = "arn:aws:iam::111122223333:role/other"


@pytest.mark.parametrize(
    ("machine", "launch", "found"),
    [
        (machine(**PROFILE), {}, FIRES),
        (machine(IamInstanceProfile=ref("Role")), {}, READY),
        (machine(IamInstanceProfile="Elsewhere"), {}, READY),
        (machine(IamInstanceProfile="by-name"), {}, FIRES),
        (machine(IamInstanceProfile=NO_VALUE), {}, READY),
        (machine(), {}, READY),
        (machine(**PROFILE) | WAITS, {}, READY),
        (machine(LaunchTemplate=BY_ID), template(Arn=ARN), FIRES),
        (FROM_ID, template(Arn=ARN), FIRES),
        (FROM_ID, template(Name=ref("Profile")), FIRES),
        (FROM_ID, template(Name="by-name"), FIRES),
        (FROM_ID, template(Arn=LITERAL_ARN), FIRES),
        (FROM_ID, template(Arn=JOINED_ARN), FIRES),
        (FROM_ID, template(), READY),
        (FROM_ID, template(Arn=ARN) | WAITS, READY),
        (FROM_ID | WAITS, template(Arn=ARN), READY),
        (group(LaunchTemplate=BY_NAME), template(Arn=ARN), FIRES),
        (group(LaunchTemplate={"LaunchTemplateId": "lt-1"}), template(Arn=ARN), READY),
        (group(LaunchTemplate="malformed", MixedInstancesPolicy=[]), template(), READY),
        (group(MixedInstancesPolicy=MIXED), template(Arn=ARN), FIRES),
        (group(MixedInstancesPolicy=OVERRIDDEN), template(Arn=ARN), FIRES),
        (group(LaunchConfigurationName=ref("Launch")), configuration(ref("Profile")), FIRES),
        (group(LaunchConfigurationName="configuration"), configuration("by-name"), FIRES),
        (group(LaunchTemplate=BY_ID, MinSize="1"), template(Arn=ARN), FIRES),
        (group(LaunchTemplate=BY_ID, MinSize="0"), template(Arn=ARN), READY),
        (group(LaunchTemplate=BY_ID, MinSize="0", DesiredCapacity="1"), template(Arn=ARN), FIRES),
        (group(), template(Arn=ARN), READY),  # nothing boots of it
        (fleet(), template(Arn=ARN), FIRES),
        (fleet(0), template(Arn=ARN), READY),
        (fleet() | WAITS, template(Arn=ARN), READY),
        (spot_fleet(), {}, FIRES),
        (spot_fleet(0), {}, READY),
        (nodes(), {}, FIRES),
        (nodes() | WAITS, {}, READY),
        (nodes(ScalingConfig={"DesiredSize": 0}), {}, READY),
        (nodes(NodeRole=OTHER_ROLE), {}, READY),
    ],
)
def test_what_may_boot_early(
    check: Check, machine: dict[str, Any], launch: dict[str, Any], found: Found
) -> None:
    launches = {"Launch": launch} if launch else {}
    report = check(with_name(Machine=machine, **launches), network=False)

    assert {one.rule for one in report.findings if one.rule == BOOT_ORDER} == found
    assert {one.logical_id for one in report.findings if one.rule == BOOT_ORDER} <= {"Machine"}


@pytest.mark.parametrize(
    ("machine", "called"),
    [
        (FROM_ID, "instances of this group"),
        (fleet(), "instances of this fleet"),
        (spot_fleet(), "instances of this fleet"),
        (nodes(), "nodes of this group"),
    ],
)
def test_what_boots_early_is_called_by_its_kind(
    check: Check, machine: dict[str, Any], called: str
) -> None:
    body = with_name(Machine=machine, Launch=template(Arn=ARN))
    finding = check(body, network=False).only(BOOT_ORDER)

    assert finding.description.startswith(f"{called} may boot before")
    assert finding.fix.splitlines()[-1] == "machine.node.add_dependency(policy)"


REGISTERS: Final = allow(*needs.REGISTRATION.actions)
CORE: Final = {"ManagedPolicyArns": [f"{AWS}AmazonSSMManagedInstanceCore"]}
IN_VPC: Final = {"StringEquals": {"aws:SourceVpc": "vpc-1"}}
EARLY: Final = {"Early": policy(ALL)}
AFTER_EARLY: Final = EARLY | {"Wait": {"Type": "Test", "DependsOn": "Early"}}


@pytest.mark.parametrize(
    ("role", "parts", "found"),
    [
        (CORE, {}, READY),
        (inline(ALL), {}, READY),
        (inline(ALL, OURS), {"Policy": {"Type": "Test"}}, READY),
        (inline(CHANNELS_ONLY, REGISTERS), {}, READY),
        (inline(REGISTERS), {}, FIRES),
        (inline(allow("s3:*")), {}, FIRES),
        (inline(allow("*", Condition=IN_VPC)), {}, FIRES),
        ({}, EARLY, FIRES),  # which is as late, for all that is known
        ({}, AFTER_EARLY, READY),
        ({}, {"Policy": policy(ALL)}, READY),  # which has no statement of ours
        ({}, {"Policy": policy(OURS, deny("*"))}, DENIED),
    ],
)
def test_other_policies_of_the_role(
    check: Check, role: dict[str, Any], parts: dict[str, Any], found: Found
) -> None:
    server = machine(**PROFILE) | ({"DependsOn": ["Wait"]} if "Wait" in parts else {})

    assert check(with_name(role, Machine=server, **parts), network=False).rules == found


def test_registration_by_default_host_management(check: Check) -> None:
    body = profile_and_role(Machine=machine(**PROFILE), Policy=policy(OURS))

    assert BOOT_ORDER in check(body, network=False).rules

    body["Resources"]["Role"]["Properties"] |= inline(CHANNELS_ONLY)

    assert BOOT_ORDER not in check(body, network=False).rules


def test_role_of_another_app_may_allow_it_all(check: Check) -> None:
    late = policy(ALL, OURS, roles=["other"])
    body = profile_and_role(roles=["other"], Machine=machine(**PROFILE), Policy=late)

    assert BOOT_ORDER not in check(body, network=False).rules


def test_one_finding_for_all_instances_of_a_role(check: Check) -> None:
    machines = {f"Machine{number}": machine(**PROFILE) for number in range(3)}

    report = check(profile_and_role(Policy=LATE, **machines), network=False)

    assert report.violations == [BOOT_ORDER]
    assert [finding.logical_id for finding in report.findings] == [*machines]


def test_policy_of_another_template_is_not_in_the_order(check: Check) -> None:
    role = profile_and_role({"RoleName": "role"}, Machine=machine(**PROFILE))
    elsewhere = {"Resources": {"Policy": policy(ALL, OURS, roles=["role"])}}

    assert check(role, elsewhere, network=False).rules == READY


def test_a_late_policy_in_one_of_too_many_worlds(check: Check) -> None:
    """What was found in the worlds that are judged is told."""
    several = {f"P{one}": policy(allow("s3:Get*"), Condition=f"C{one}") for one in range(8)}
    several["Machine"] = machine(IamInstanceProfile=ref("Profile"), SubnetId=ref("P"))
    several["Late"] = policy(OURS, allow(needs.REGISTRATION.actions[0]))
    tags = [{"Fn::If": [f"C{one}", "sg-1", "sg-2"]} for one in range(8)]
    several["Machine"]["Properties"]["SecurityGroupIds"] = tags
    conditions = {f"C{one}": {"Fn::Equals": [ref(f"Q{one}"), "y"]} for one in range(8)}
    parameters = {name: {"Type": "String"} for name in ("P", *(f"Q{one}" for one in range(8)))}

    found = check(
        profile_and_role(**several) | {"Conditions": conditions, "Parameters": parameters}
    )

    assert BOOT_ORDER in found.rules
