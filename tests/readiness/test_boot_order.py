"""Which instances and groups may boot before their role has the policy."""

from typing import Final

import pytest

from .deployments import NO_VALUE
from .launches import batch, by_id, ec2_fleet, nodes, scaling, spot, template
from .parts import att, each, ref, resource
from .reports import Body, Check, inline, machine, policy, profile_and_role
from .statements import ALL, CHANNELS_ONLY, CORE, DENIED, READY, REGISTER_ONLY, Found, allow, deny

BOOT_ORDER: Final = "boot-order"
FIRES: Final = frozenset({BOOT_ORDER})


# Templates ---------------------------------------------------------------------------------------


def with_name(role: Body | None = None, **parts: Body) -> Body:
    """A role with a late policy, and a profile that has a name."""
    body = profile_and_role(role, **{"Policy": policy(ALL), **parts})
    body["Resources"]["Profile"]["Properties"]["InstanceProfileName"] = "by-name"
    return body


def of_profile(**profile: object) -> Body:
    return template(IamInstanceProfile=profile)


def fleet(capacity: int = 1) -> Body:
    config = {"LaunchTemplateSpecification": by_id("$Latest", "Launch")}
    return ec2_fleet(config, TargetCapacitySpecification={"TotalTargetCapacity": capacity})


def spot_fleet(capacity: int = 1) -> Body:
    specification = {"IamInstanceProfile": {"Arn": ARN}}
    return spot(TargetCapacity=capacity, LaunchSpecifications=[specification])


PROFILE: Final = {"IamInstanceProfile": ref("Profile")}
PLACED: Final[dict[str, object]] = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
IN_BATCH: Final = {"InstanceRole": ref("Profile"), **PLACED}
ARN: Final = att("Profile", "Arn")
LITERAL_ARN: Final = "arn:aws:iam::111122223333:instance-profile/path/by-name"
JOINED_ARN: Final = {"Fn::Sub": "arn:${AWS::Partition}:iam::1:instance-profile/by-name"}
BY_ID: Final = by_id("1", "Launch")
WAITS: Final = {"DependsOn": ["Policy"]}
FROM_ID: Final = scaling(LaunchTemplate=BY_ID)


def waiting(on: object = None, /, **properties: object) -> Body:
    """An instance that depends on a resource, or refers to it."""
    return machine(**PROFILE, **properties) | ({} if on is None else {"DependsOn": on})


MAY_BOOT: Final = {
    FIRES: (
        (machine(**PROFILE), None), (machine(IamInstanceProfile="by-name"), None),
        (machine(LaunchTemplate=BY_ID), of_profile(Arn=ARN)), (FROM_ID, of_profile(Arn=ARN)),
        (FROM_ID, of_profile(Name=ref("Profile"))), (FROM_ID, of_profile(Name="by-name")),
        (FROM_ID, of_profile(Arn=LITERAL_ARN)), (FROM_ID, of_profile(Arn=JOINED_ARN)),
        (scaling(LaunchTemplate=BY_ID, MinSize=NO_VALUE), of_profile(Arn=ARN)),
        (scaling(LaunchTemplate=BY_ID, MinSize="0", DesiredCapacity="1"), of_profile(Arn=ARN)),
        (fleet(), of_profile(Arn=ARN)), (spot_fleet(), None), (nodes(), None),
        (batch(**IN_BATCH), None), (batch(**IN_BATCH, MinvCpus=0, DesiredvCpus=2), None),
        # what it refers to or waits for is not the policy
        (waiting("Machine"), None), (waiting(["Else", 1]), None), (waiting(Is="Policy"), None),
        (waiting(Is={"Fn::Sub": "${!Policy}"}), None),
    ),
    READY: (
        (machine(IamInstanceProfile=ref("Role")), None), (machine(), None),
        (machine(IamInstanceProfile="Elsewhere"), None), (waiting("Policy"), None),
        (machine(IamInstanceProfile=NO_VALUE), None), (FROM_ID, of_profile()),
        (FROM_ID, of_profile(Arn=ARN) | WAITS), (FROM_ID | WAITS, of_profile(Arn=ARN)),
        (scaling(LaunchTemplate={"LaunchTemplateId": "lt-1"}), of_profile(Arn=ARN)),
        (scaling(LaunchTemplate="malformed", MixedInstancesPolicy=[]), of_profile()),
        (scaling(LaunchTemplate=BY_ID, MinSize={"Fn::Sub": "0"}), of_profile(Arn=ARN)),
        (scaling(), of_profile(Arn=ARN)),  # nothing boots of it
        (fleet(0), of_profile(Arn=ARN)), (fleet() | WAITS, of_profile(Arn=ARN)),
        *((one, None) for one in (spot_fleet(0), nodes() | WAITS, batch(**IN_BATCH, MinvCpus=0))),
        (nodes(ScalingConfig={"DesiredSize": 0}), None),
        (nodes(NodeRole="arn:aws:iam::111122223333:role/other"), None),
        (waiting(["Role", "Policy"]), None), (waiting("Between"), None),
        # CloudFormation refuses a circular dependency, and says so
        (waiting(["Machine", "Between"]), None),
        (waiting(Is=[{"Of": ref("Policy")}]), None), (waiting(Is=att("Policy", "Arn")), None),
        (waiting(Is={"Fn::GetAtt": "Policy.Arn"}), None),
        (waiting(Is={"Fn::Sub": "${Policy}"}), None),
        (waiting(Is={"Fn::Sub": ["${X}-${Policy.Arn}", {"X": "y"}]}), None),
        (waiting(Is={"Fn::Sub": ["${X}", {"X": ref("Between")}]}), None),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("launched", "found"), each(MAY_BOOT))
def test_what_boots_early(check: Check, launched: tuple[Body, Body | None], found: Found) -> None:
    machine, launch = launched
    parts = {"Between": {"Type": "Test", "DependsOn": "Policy"}}
    parts |= {"Launch": launch} if launch else {}

    report = check(with_name(Machine=machine, **parts), network=False)

    late = [one.logical_id for one in report.findings if one.rule == BOOT_ORDER]
    assert late == (["Machine"] if found else [])


@pytest.mark.parametrize(("machine", "called"), [
    (FROM_ID, "instances of this group"),
    (fleet(), "instances of this fleet"),
    (spot_fleet(), "instances of this fleet"),
    (nodes(), "nodes of this group"),
])  # fmt: skip
def test_what_boots_early_is_called_by_its_kind(check: Check, machine: Body, called: str) -> None:
    body = with_name(Machine=machine, Launch=of_profile(Arn=ARN))
    finding = check(body, network=False).only(BOOT_ORDER)

    assert finding.description.startswith(f"{called} may boot before")
    assert "machine.node.add_dependency(policy)" in finding.fix


EARLY: Final = {"Early": policy(ALL)}
NAMED: Final = resource(
    "AWS::IAM::ManagedPolicy", ManagedPolicyName="core", PolicyDocument={"Statement": [ALL]}
)
AFTER_EARLY: Final = EARLY | {"Wait": {"Type": "Test", "DependsOn": "Early"}}


@pytest.mark.parametrize(("role", "parts", "found"), [
    ({"ManagedPolicyArns": [CORE]}, {}, READY),
    (inline(ALL), {}, READY),
    (inline(CHANNELS_ONLY, REGISTER_ONLY), {}, READY),
    ({"ManagedPolicyArns": ["arn:aws:iam::1:policy/core"]}, {"Policy": NAMED}, READY),
    (inline(REGISTER_ONLY), {}, FIRES),
    (inline(allow("s3:*")), {}, FIRES),
    (inline(allow("*", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}})), {}, FIRES),
    ({}, EARLY, FIRES),  # which is as late, for all that is known
    ({}, AFTER_EARLY, READY),
    ({}, AFTER_EARLY | {"Policy": policy(deny("s3:*"))}, READY),
    ({}, {"Policy": policy(CHANNELS_ONLY, deny("*"))}, DENIED),
])  # fmt: skip
def test_other_policies_of_the_role(check: Check, role: Body, parts: Body, found: Found) -> None:
    server = machine(**PROFILE) | ({"DependsOn": ["Wait"]} if "Wait" in parts else {})

    assert check(with_name(role, Machine=server, **parts), network=False).rules == found


def test_registration_by_default_host_management(check: Check) -> None:
    body = profile_and_role(Machine=machine(**PROFILE), Policy=policy(CHANNELS_ONLY))

    assert BOOT_ORDER in check(body, network=False).rules

    body["Resources"]["Role"]["Properties"] |= inline(CHANNELS_ONLY)

    assert BOOT_ORDER not in check(body, network=False).rules


def test_a_late_policy_that_allows_nothing_more_is_not_waited_for(check: Check) -> None:
    late = {"Policy": policy(CHANNELS_ONLY), "Other": policy(REGISTER_ONLY)}
    body = profile_and_role(inline(REGISTER_ONLY), Machine=machine(**PROFILE), **late)

    assert "has the policy 'Policy':" in check(body, network=False).only(BOOT_ORDER).description


def test_role_of_another_app_may_allow_it_all(check: Check) -> None:
    late = policy(ALL, roles=["other"])
    body = profile_and_role(roles=["other"], Machine=machine(**PROFILE), Policy=late)

    assert BOOT_ORDER not in check(body, network=False).rules


def test_policy_of_another_template_is_not_in_the_order(check: Check) -> None:
    role = profile_and_role({"RoleName": "role"}, Machine=machine(**PROFILE))
    elsewhere = {"Resources": {"Policy": policy(ALL, roles=["role"])}}

    assert check(role, elsewhere, network=False).rules == READY
