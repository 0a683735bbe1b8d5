"""Which instances and groups may boot before their role has the policy, and what fixes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from tests.builders import public_vpc
from tests.conftest import owned_role

from .policy_table import ALL, AWS, CHANNELS_ONLY, DENIED, READY, allow, deny
from .reports import Check, check_app, inline, machine, policy, profile_and_role

if TYPE_CHECKING:
    from tests.conftest import MakeApp

MACHINE: dict[str, Any] = {
    "instance_type": ec2.InstanceType("t3.micro"),
    "machine_image": ec2.MachineImage.generic_linux({"eu-west-1": "ami-12345678"}),
}
FIRES = frozenset({BOOT_ORDER})
OURS = CHANNELS_ONLY | {"Sid": needs.CHANNELS.sid}


# Apps of CDK: the line that the finding shows fixes what it finds


@pytest.fixture
def stack(make_app: MakeApp) -> cdk.Stack:
    """A stack whose template has the paths of the constructs, as the CLI makes it."""
    return cdk.Stack(make_app(**{"aws:cdk:enable-path-metadata": True}), "Stack")


def test_instance_with_a_policy_of_its_own(stack: cdk.Stack) -> None:
    instance = ec2.Instance(stack, "Instance", vpc=public_vpc(stack), **MACHINE)
    SessionManagerPermissions(stack, "Permissions", role=instance.role, allow_registration=True)

    (finding,) = check_app(stack).findings

    assert finding.rule == BOOT_ORDER
    assert finding.logical_id == stack.get_logical_id(instance.instance)
    assert finding.description == (
        "this instance may boot before the role has the policy 'PermissionsPolicy"
        f"{finding.description.partition('PermissionsPolicy')[2][:8]}', without which the agent "
        "is denied until it tries again, which can take 30 minutes"
    )
    exec(finding.fix, {"self": stack})  # noqa: S102 # as it is shown

    assert check_app(stack).rules == READY


def test_group_with_a_policy_of_its_own(stack: cdk.Stack) -> None:
    group = autoscaling.AutoScalingGroup(stack, "Group", vpc=public_vpc(stack), **MACHINE)
    SessionManagerPermissions(stack, "Permissions", role=group.role, allow_registration=True)

    (finding,) = check_app(stack).findings

    assert finding.rule == BOOT_ORDER
    exec(finding.fix, {"self": stack})  # noqa: S102 # as it is shown

    assert check_app(stack).rules == READY


def test_instance_of_a_fleet(stack: cdk.Stack) -> None:
    ec2.Instance(stack, "Instance", vpc=public_vpc(stack), **MACHINE)
    SessionManagerFleet(stack, "Fleet", allow_registration=True)

    fix = check_app(stack).only(BOOT_ORDER).fix
    exec(fix, {"self": stack})  # noqa: S102 # as it is shown

    assert "SessionManagerPermissions(" in fix
    assert check_app(stack).rules == READY


def test_group_of_a_fleet(stack: cdk.Stack) -> None:
    autoscaling.AutoScalingGroup(stack, "Group", vpc=public_vpc(stack), **MACHINE)
    SessionManagerFleet(stack, "Fleet", allow_registration=True)

    exec(check_app(stack).only(BOOT_ORDER).fix, {"self": stack})  # noqa: S102 # as it is shown

    assert check_app(stack).rules == READY


def test_instance_that_a_fleet_excludes_may_wait_for_a_policy_of_its_own(stack: cdk.Stack) -> None:
    instance = ec2.Instance(stack, "Instance", vpc=public_vpc(stack), **MACHINE)
    permissions = SessionManagerPermissions(
        stack, "SessionManagerPermissions", role=instance.role, allow_registration=True
    )
    instance.instance.node.add_dependency(permissions)
    SessionManagerFleet(stack, "Fleet", exclude=[instance], allow_registration=True)

    assert check_app(stack).rules == READY


def test_fleet_over_instances_that_are_reached_from_the_first_boot(stack: cdk.Stack) -> None:
    net = public_vpc(stack)
    ec2.Instance(stack, "Instance", vpc=net, ssm_session_permissions=True, **MACHINE)
    group = autoscaling.AutoScalingGroup(stack, "Group", vpc=net, **MACHINE)
    core = iam.ManagedPolicy.from_aws_managed_policy_name("AmazonSSMManagedInstanceCore")
    group.role.add_managed_policy(core)
    SessionManagerFleet(stack, "Fleet")

    assert check_app(stack).rules == READY


def test_profile_that_waits_for_the_policy_is_enough(stack: cdk.Stack) -> None:
    role = owned_role(stack)
    profile = iam.InstanceProfile(stack, "Profile", role=role)
    ec2.Instance(stack, "Instance", vpc=public_vpc(stack), instance_profile=profile, **MACHINE)
    permissions = SessionManagerPermissions(
        stack, "Permissions", role=role, allow_registration=True
    )
    profile.node.add_dependency(permissions)

    assert check_app(stack).rules == READY


def test_l1_instance(stack: cdk.Stack) -> None:
    role = owned_role(stack)
    profile = iam.InstanceProfile(stack, "Profile", role=role)
    ec2.CfnInstance(stack, "Machine", iam_instance_profile=profile.instance_profile_name)
    SessionManagerPermissions(stack, "Permissions", role=role, allow_registration=True)

    fix = check_app(stack).only(BOOT_ORDER).fix
    assert fix.splitlines()[-1] == "machine.node.add_dependency(permissions)"


def test_policy_that_is_written_by_hand(stack: cdk.Stack) -> None:
    role = owned_role(stack)
    profile = iam.InstanceProfile(stack, "Profile", role=role)
    ec2.Instance(stack, "Instance", vpc=public_vpc(stack), instance_profile=profile, **MACHINE)
    statements = session_manager_statements(allow_registration=True)
    iam.ManagedPolicy(stack, "ByHand", statements=statements, roles=[role])

    fix = check_app(stack).only(BOOT_ORDER).fix

    assert fix.splitlines()[-1] == "cfn_instance.node.add_dependency(cfn_by_hand)"


# Templates


PROFILE = {"IamInstanceProfile": {"Ref": "Profile"}}


@pytest.mark.parametrize(
    ("machine", "policy_", "found"),
    [
        (machine(**PROFILE), policy(ALL, OURS), FIRES),
        (machine(**PROFILE), policy(ALL), READY),
        (machine(IamInstanceProfile={"Ref": "Role"}), policy(ALL, OURS), READY),
        (machine(IamInstanceProfile="Elsewhere"), policy(ALL, OURS), READY),
        (machine(IamInstanceProfile="by-name"), policy(ALL, OURS), FIRES),
        (machine(IamInstanceProfile={"Ref": "AWS::NoValue"}), policy(ALL, OURS), READY),
        (machine(), policy(ALL, OURS), READY),
        (machine(**PROFILE) | {"DependsOn": ["Policy"]}, policy(ALL, OURS), READY),
        (machine(**PROFILE), policy(OURS, deny("*")), DENIED),
    ],
)
def test_instances(
    check: Check, machine: dict[str, Any], policy_: dict[str, Any], found: frozenset[str]
) -> None:
    body = profile_and_role(Machine=machine, Policy=policy_)
    body["Resources"]["Profile"]["Properties"]["InstanceProfileName"] = "by-name"

    assert check(body, network=False).rules == found


REGISTERS = allow(*needs.REGISTRATION.actions)
CORE = {"ManagedPolicyArns": [f"{AWS}AmazonSSMManagedInstanceCore"]}


@pytest.mark.parametrize(
    ("role", "others", "found"),
    [
        (CORE, {}, READY),
        (inline(ALL), {}, READY),
        (inline(CHANNELS_ONLY, REGISTERS), {}, READY),
        (inline(REGISTERS), {}, FIRES),
        (inline(allow("s3:*")), {}, FIRES),
        (inline(allow("*", Condition={"Null": {"aws:SourceVpc": "true"}})), {}, FIRES),
        ({}, {"Early": policy(ALL)}, FIRES),  # which is as late, for all that is known
        ({}, {"Early": policy(ALL), "Wait": {"Type": "Test", "DependsOn": "Early"}}, READY),
    ],
)
def test_other_policies_of_the_role(
    check: Check, role: dict[str, Any], others: dict[str, Any], found: frozenset[str]
) -> None:
    waits = {"DependsOn": ["Wait"]} if "Wait" in others else {}
    body = profile_and_role(
        role, Machine=machine(**PROFILE) | waits, Policy=policy(ALL, OURS), **others
    )

    assert check(body, network=False).rules == found


def test_registration_by_default_host_management(check: Check) -> None:
    body = profile_and_role(Machine=machine(**PROFILE), Policy=policy(OURS))

    assert BOOT_ORDER in check(body, network=False).rules

    body["Resources"]["Role"]["Properties"] |= inline(CHANNELS_ONLY)

    assert BOOT_ORDER not in check(body, network=False).rules


def test_role_of_another_app_may_allow_it_all(check: Check) -> None:
    body = profile_and_role(
        roles=["other"], Machine=machine(**PROFILE), Policy=policy(ALL, OURS, roles=["other"])
    )

    assert BOOT_ORDER not in check(body, network=False).rules


def group(**properties: object) -> dict[str, Any]:
    return {"Type": "AWS::AutoScaling::AutoScalingGroup", "Properties": properties}


def launch_template(**profile: object) -> dict[str, Any]:
    data = {"IamInstanceProfile": profile}
    properties = {"LaunchTemplateData": data, "LaunchTemplateName": "template"}
    return {"Type": "AWS::EC2::LaunchTemplate", "Properties": properties}


def configuration(profile: object) -> dict[str, Any]:
    properties = {"IamInstanceProfile": profile, "LaunchConfigurationName": "configuration"}
    return {"Type": "AWS::AutoScaling::LaunchConfiguration", "Properties": properties}


BY_ID = {"LaunchTemplateId": {"Ref": "Launch"}, "Version": "1"}
BY_NAME = {"LaunchTemplateName": "template", "Version": "1"}
MIXED = {"LaunchTemplate": {"LaunchTemplateSpecification": BY_ID}}
OVERRIDDEN = {
    "LaunchTemplate": {
        "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1"},
        "Overrides": [{"InstanceType": "m5.large"}, {"LaunchTemplateSpecification": BY_ID}],
    }
}
ARN = {"Fn::GetAtt": ["Profile", "Arn"]}
LITERAL_ARN = "arn:aws:iam::111122223333:instance-profile/path/by-name"
JOINED_ARN = {"Fn::Sub": "arn:${AWS::Partition}:iam::1:instance-profile/by-name"}


@pytest.mark.parametrize(
    ("machine", "launch", "found"),
    [
        (group(LaunchTemplate=BY_ID), launch_template(Arn=ARN), FIRES),
        (group(LaunchTemplate=BY_ID), launch_template(Name={"Ref": "Profile"}), FIRES),
        (group(LaunchTemplate=BY_ID), launch_template(Name="by-name"), FIRES),
        (group(LaunchTemplate=BY_ID), launch_template(Arn=LITERAL_ARN), FIRES),
        (group(LaunchTemplate=BY_ID), launch_template(Arn=JOINED_ARN), FIRES),
        (group(LaunchTemplate=BY_NAME), launch_template(Arn=ARN), FIRES),
        (group(MixedInstancesPolicy=MIXED), launch_template(Arn=ARN), FIRES),
        (group(MixedInstancesPolicy=OVERRIDDEN), launch_template(Arn=ARN), FIRES),
        (machine(LaunchTemplate=BY_ID), launch_template(Arn=ARN), FIRES),
        (
            group(LaunchConfigurationName={"Ref": "Launch"}),
            configuration({"Ref": "Profile"}),
            FIRES,
        ),
        (group(LaunchConfigurationName="configuration"), configuration("by-name"), FIRES),
        (group(LaunchTemplate=BY_ID, MinSize="0"), launch_template(Arn=ARN), READY),
        (group(LaunchTemplate=BY_ID, MinSize="0", DesiredCapacity="1"), launch_template(Arn=ARN),
         FIRES),
        (group(LaunchTemplate=BY_ID, MinSize="1"), launch_template(Arn=ARN), FIRES),
        (group(LaunchTemplate={"LaunchTemplateId": "lt-1"}), launch_template(Arn=ARN), READY),
        (group(LaunchTemplate=BY_ID), launch_template(), READY),
        (group(LaunchTemplate=BY_ID), launch_template(Arn=ARN) | {"DependsOn": "Policy"}, READY),
        (group(LaunchTemplate=BY_ID) | {"DependsOn": "Policy"}, launch_template(Arn=ARN), READY),
        (group(), launch_template(Arn=ARN), READY),  # nothing boots of it
        (group(LaunchTemplate="malformed", MixedInstancesPolicy=[]), launch_template(), READY),
    ],
)  # fmt: skip
def test_launch_templates_and_configurations(
    check: Check, machine: dict[str, Any], launch: dict[str, Any], found: frozenset[str]
) -> None:
    body = profile_and_role(Machine=machine, Launch=launch, Policy=policy(ALL, OURS))
    body["Resources"]["Profile"]["Properties"]["InstanceProfileName"] = "by-name"

    report = check(body, network=False)

    assert report.rules == found
    if found:
        assert report.only(BOOT_ORDER).logical_id == "Machine"


def fleet(capacity: int = 1) -> dict[str, Any]:
    configs = [{"LaunchTemplateSpecification": BY_ID | {"Version": "$Latest"}}]
    target = {"TotalTargetCapacity": capacity}
    properties = {"LaunchTemplateConfigs": configs, "TargetCapacitySpecification": target}
    return {"Type": "AWS::EC2::EC2Fleet", "Properties": properties}


def spot_fleet(capacity: int = 1) -> dict[str, Any]:
    specification = {"IamInstanceProfile": {"Arn": ARN}}
    data = {"TargetCapacity": capacity, "LaunchSpecifications": [specification]}
    properties = {"SpotFleetRequestConfigData": data}
    return {"Type": "AWS::EC2::SpotFleet", "Properties": properties}


@pytest.mark.parametrize(
    ("machine", "found"),
    [
        (fleet(), FIRES),
        (fleet(0), READY),
        (fleet() | {"DependsOn": "Policy"}, READY),
        (spot_fleet(), FIRES),
        (spot_fleet(0), READY),
    ],
)
def test_fleets(check: Check, machine: dict[str, Any], found: frozenset[str]) -> None:
    body = profile_and_role(
        Machine=machine, Launch=launch_template(Arn=ARN), Policy=policy(ALL, OURS)
    )

    report = check(body, network=False)

    assert report.rules == found
    if found:
        finding = report.only(BOOT_ORDER)
        assert finding.description.startswith("instances of this fleet may boot before")
        assert finding.fix.splitlines()[-1] == "machine.node.add_dependency(policy)"


def test_one_finding_for_all_instances_of_a_role(check: Check) -> None:
    machines = {f"Machine{number}": machine(**PROFILE) for number in range(3)}

    report = check(profile_and_role(Policy=policy(ALL, OURS), **machines), network=False)

    assert report.violations == [BOOT_ORDER]
    assert [finding.logical_id for finding in report.findings] == [*machines]


def test_policy_of_the_role_itself_is_there_at_boot(check: Check) -> None:
    body = profile_and_role(inline(ALL, OURS), Machine=machine(**PROFILE))

    assert check(body, network=False).rules == READY


def test_policy_of_another_template_is_not_in_the_order(check: Check) -> None:
    role = profile_and_role({"RoleName": "role"}, Machine=machine(**PROFILE))
    elsewhere = {"Resources": {"Policy": policy(ALL, OURS, roles=["role"])}}

    assert check(role, elsewhere, network=False).rules == READY


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, FIRES),
        ({"DependsOn": "Policy"}, READY),
        ({"ScalingConfig": {"DesiredSize": 0}}, READY),
        ({"NodeRole": "arn:aws:iam::111122223333:role/other"}, READY),
    ],
)
def test_node_groups(check: Check, changes: dict[str, Any], found: frozenset[str]) -> None:
    properties = {"NodeRole": {"Fn::GetAtt": ["Role", "Arn"]}, "Subnets": ["subnet-1"]}
    entry: dict[str, Any] = {"Type": "AWS::EKS::Nodegroup", "Properties": properties}
    (entry if "DependsOn" in changes else properties).update(changes)

    report = check(profile_and_role(Machine=entry, Policy=policy(ALL, OURS)), network=False)

    assert {one.rule for one in report.findings if one.rule == BOOT_ORDER} == found


def test_a_late_policy_in_one_of_too_many_worlds(check: Check) -> None:
    """What was found in the worlds that are judged is told."""
    several = {f"P{one}": policy(allow("s3:Get*"), Condition=f"C{one}") for one in range(8)}
    several["Machine"] = machine(IamInstanceProfile={"Ref": "Profile"}, SubnetId={"Ref": "P"})
    several["Late"] = policy(OURS, allow(needs.REGISTRATION.actions[0]))
    tags = [{"Fn::If": [f"C{one}", "sg-1", "sg-2"]} for one in range(8)]
    several["Machine"]["Properties"]["SecurityGroupIds"] = tags
    conditions = {f"C{one}": {"Fn::Equals": [{"Ref": f"Q{one}"}, "y"]} for one in range(8)}
    parameters = {name: {"Type": "String"} for name in ("P", *(f"Q{one}" for one in range(8)))}

    found = check(
        profile_and_role(**several) | {"Conditions": conditions, "Parameters": parameters}
    )

    assert BOOT_ORDER in found.rules
