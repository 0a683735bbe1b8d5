"""A node that is not connected although nothing fails: what shows why, and what to do about it."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import pytest
from botocore import xform_name
from syrupy.assertion import SnapshotAssertion

from . import nodes
from .causes import Change, denying, having, instance, record, refusing, setting, without_profile
from .nodes import ACCOUNT, HYBRID, NODE, REGISTER, World, both, diagnosed, nothing, of_verdict, one

NEVER, LOST, ONLINE = World.never_registered, World.is_lost, World.is_online_only
OWN: Final = f"arn:aws:iam::{ACCOUNT}:policy/sessions"
CLOCK: Final = (
    "[   31.0] amazon-ssm-agent[611]: InvalidSignatureException: Signature expired: "
    "20260101T000000Z is now earlier than 20260101T005500Z (20260101T010000Z - 5 min.)"
)
MEMORY: Final = "[ 8123.4] Out of memory: Killed process 611 (amazon-ssm-agen) total-vm:1263284kB"
DISK: Final = "amazon-ssm-agent[611]: write /var/lib/amazon/ssm: No space left on device"


def ago(**units: float) -> datetime:
    return datetime.now(timezone.utc) - timedelta(**units)


def when(does: Callable[[datetime], Change], **units: float) -> Change:
    """A change with a time, which is this long ago when the change is applied."""

    def change(world: World) -> None:
        does(ago(**units))(world)

    return change


def started(**units: float) -> Change:
    return when(lambda time: instance(LaunchTime=time), **units)


def pinged(**units: float) -> Change:
    return when(lambda time: record(LastPingDateTime=time), **units)


def associated(state: str = "associated", **units: float) -> Change:
    def does(time: datetime) -> Change:
        found = [{"Timestamp": time, "State": state}, {"State": "associated"}]
        answer = {"IamInstanceProfileAssociations": found}
        return having("ec2:describe_iam_instance_profile_associations", answer)

    return when(does, **units)


def role_made(**units: float) -> Change:
    return when(lambda time: setting(of_role={"CreateDate": time}), **units)


def changed(arn: str, time: datetime) -> dict[str, Any]:
    of_others = {"Arn": f"{arn}-2", "UpdateDate": time}
    return {"Policies": [of_others, {"Arn": arn, "UpdateDate": time}]}


def policy_changed(arn: str = OWN, **units: float) -> Change:
    attached = {"AttachedPolicies": [{"PolicyArn": arn}]}
    return both(
        having("iam:list_attached_role_policies", attached),
        when(lambda time: having("iam:list_policies", changed(arn, time)), **units),
    )


def image(name: str, owner: str = ACCOUNT, alias: str | None = None) -> Change:
    found = {"Name": name, "OwnerId": owner} | ({"ImageOwnerAlias": alias} if alias else {})
    return both(instance(ImageId="ami-1"), having("ec2:describe_images", {"Images": [found]}))


def amazon(name: str) -> Change:
    return image(name, "137112412989", "amazon")


def hybrid_node(address: str | None, name: str = HYBRID, **more: str) -> Change:
    found = [{"InstanceId": name, "IPAddress": address, **more}]
    return both(instance(PrivateIpAddress="10.0.0.7"), setting(hybrid_nodes=found))


def printed(*lines: str) -> Change:
    return having("ec2:get_console_output", {"Output": "\r\n".join(lines)})


def never(*does: Change) -> Change:
    """A node that never registered."""
    return both(NEVER, *does)


def by_account_role(service: str, **parts: object) -> Change:
    """Let Default Host Management do the work, with a role that this service may assume."""
    role = {
        "Arn": nodes.ACCOUNT_ROLE,
        "RoleId": nodes.ROLE_ID,
        "AssumeRolePolicyDocument": {"Statement": [nodes.trusting(service) | parts]},
    }
    read = having("iam:get_role", {"Role": role})
    return never(without_profile, World.has_host_management, read)


MINIMAL: Final = amazon("al2023-ami-minimal-2023.6.20241010.0-kernel-6.1-x86_64")
GONE: Final = refusing("ec2:DescribeImages", "InvalidAMIID.NotFound")
OF_AWS: Final = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
SHOWN: Final = {
    # dates
    "the profile came later": never(started(hours=5), associated(minutes=10)),
    "a profile since the ping": both(LOST, started(hours=5), associated(hours=2), pinged(hours=3)),
    "the role came later": never(started(hours=5), role_made(minutes=50)),
    "a policy came later, and it is online": both(
        ONLINE, started(hours=5), policy_changed(minutes=20), pinged(minutes=30)),
    "it has just started": never(started(minutes=3)),
    "the role of a hybrid node changed after the last ping": both(
        World.is_hybrid, LOST, policy_changed(minutes=20), pinged(minutes=30)),
    "Systems Manager can't assume the account's role": by_account_role("ec2.amazonaws.com"),
    # images
    **{f"the image {name}": never(amazon(name))
       for name in ("al2023-ami-minimal-2023.6.20241010.0-kernel-6.1-x86_64",
                    "amzn2-ami-minimal-hvm-2.0.2022-x86_64-ebs",
                    "amzn-ami-minimal-hvm-2018.03.0-x86_64-ebs",
                    *("amzn-ami-2018.03.g-amazon-ecs-optimized", "amazon-eks-node-1.19-v20210526"),
                    "amazon-eks-gpu-node-1.19-v20210620", "bottlerocket-aws-ecs-2-x86_64-v1.20.0")},
    "an image of Red Hat": never(image("RHEL-9.4.0_HVM-2024-GP3", "309956199498", "amazon")),
    "an image of Debian": never(image("debian-12-amd64-20240901-1857", "136693071363")),
    "a minimal image, and a late profile": never(started(hours=5), associated(minutes=9), MINIMAL),
    "a minimal image, and an old profile": never(started(days=5), associated(days=4), MINIMAL),
    # an earlier registration
    "a hybrid node with its address": never(
        hybrid_node("10.0.0.7", SourceType="AWS::SSM::ManagedInstance")),
    "such a node, on Windows": never(hybrid_node("10.0.0.7"), instance(Platform="windows")),
    "such a node, on Ubuntu": never(
        hybrid_node("10.0.0.7", PlatformName="Ubuntu", PlatformType="Linux")),
    # the console
    "the clock": never(printed("booting", CLOCK, "done")),
    "the clock of Windows": never(printed(CLOCK), instance(Platform="windows")),
    "the memory": both(LOST, printed(MEMORY.ljust(301, "."), "")),
    "the disk": both(ONLINE, printed("", DISK)),
    "the disk, where the image is gone": never(MINIMAL, GONE, printed(DISK)),
    "the disk, in the output of the start of one that has no latest": never(printed(DISK), refusing(
        "ec2:GetConsoleOutput", "UnsupportedOperation", if_=lambda asked: "Latest" in asked)),
}  # fmt: skip
"""What shows why the agent is not connected."""
SILENT: Final = {
    "nothing is known": NEVER,
    "the role is not known": never(refusing("iam:GetInstanceProfile")),
    "the profile came with it": never(started(hours=5), associated(hours=5)),
    "the profile came within the boot": never(started(hours=5), associated(hours=4, minutes=59.5)),
    "a profile that is taken away": never(
        started(hours=5), associated("disassociating", minutes=9)),
    "no launch is known": never(associated(minutes=10)),
    "the agent has tried since": both(LOST, started(hours=5), associated(hours=4), pinged(hours=3)),
    "a policy came before": never(started(hours=5), policy_changed(hours=6)),
    "a policy of AWS changed, which is as it was attached": never(
        started(hours=5), policy_changed(OF_AWS, minutes=1)),
    "it started a while ago": never(started(minutes=6)),
    "under Default Host Management the profile does not count": never(*(World.has_host_management,
        denying(f"{nodes.ROLE} {REGISTER}")), *(started(hours=5), associated(minutes=10))),
    "Systems Manager may assume the account's role": by_account_role("ssm.amazonaws.com"),
    "Systems Manager may assume the account's role by a condition": by_account_role(
        "ssm.amazonaws.com", Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
    **{f"the image {name}, which has it": never(amazon(name))
       for name in ("al2023-ami-2023.6.20241010.0-kernel-6.1-x86_64",
                    "al2023-ami-ecs-hvm-2023.0.20241010-kernel-6.1-x86_64",
                    *("amazon-eks-node-1.20-v20210621", "amazon-eks-arm64-node-1.30-v20240901"),
                    *("Windows_Server-2022-English-Full-Base-2024.09.11", "RHEL-9.4.0_HVM"))},
    "a minimal image that is gone": never(MINIMAL, GONE),
    "a minimal image of one's own": never(image("al2023-ami-minimal-2023.6")),
    "an image without the agent, which it got": both(LOST, MINIMAL),
    **{f"a hybrid node with {its} address": never(hybrid_node(address))
       for its, address in (("another", "10.0.0.8"), ("no", None))},
    "a hybrid node on Windows": never(hybrid_node("10.0.0.7", PlatformType="Windows")),
    "a hybrid node on Linux": never(
        hybrid_node("10.0.0.7", PlatformType="Linux"), instance(Platform="windows")),
    "an instance with its address": never(hybrid_node("10.0.0.7", NODE)),
    "a hybrid node in Azure": never(
        hybrid_node("10.0.0.7", SourceType="Microsoft.Compute/virtualMachines")),
    "a hybrid node in a container": never(hybrid_node("10.0.0.7", PlatformName="Bottlerocket")),
    "the clock, as another program says": never(
        printed(CLOCK.replace("amazon-ssm-agent[611]", "cloud-init[702]"))),
    "a cgroup's memory": never(printed("Memory cgroup out of memory: Killed process")),
    "nothing in the console": never(printed("Amazon SSM Agent v3.3.1 is running")),
    "the console of one whose status is not known": never(
        printed(MEMORY), refusing("ec2:DescribeInstanceStatus")),
}  # fmt: skip
"""What shows nothing."""


def test_what_shows_why(snapshot: SnapshotAssertion) -> None:
    said = []
    for name, does in {**SHOWN, **SILENT}.items():
        found = diagnosed(World(does), HYBRID if "a hybrid node changed" in name else NODE)
        agent = one(found, "agent")
        assert found.cause
        assert not found.ready
        assert of_verdict(found, "fail") <= {"connected", "registered"}
        assert (found.cause.name == "agent") == (name in SHOWN), name
        assert len(agent.why) == 1, name
        if name in SHOWN:
            assert agent.verdict == "unknown"
            assert agent.fix == one(found, "connected").fix
            said.append("\n  ".join([f"# {name}", *agent.why, *agent.fix]))
    assert re.sub(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d", "TIME", "\n".join(said)) == snapshot


@pytest.mark.parametrize(("call", "does"), [
    ("ec2:DescribeIamInstanceProfileAssociations", nothing),
    ("ec2:DescribeImages", MINIMAL),
    ("ec2:GetConsoleOutput", printed(MEMORY)),
    ("iam:ListAttachedRolePolicies", nothing),
    ("iam:ListPolicies", policy_changed(hours=9)),
])  # fmt: skip
def test_a_denial_fails_nothing_and_names_the_permission(call: str, does: Change) -> None:
    code = "UnauthorizedOperation" if call[:3] == "ec2" else "AccessDenied"

    world = World(NEVER, does, refusing(call, code))

    found = diagnosed(world)

    service, _, name = call.partition(":")
    assert world.calls.count(f"{service}:{xform_name(name)}") == 1
    assert of_verdict(found, "fail") == {"connected", "registered"}
    assert of_verdict(found, "unknown") == {"agent"}
    assert call in str(one(found, "agent").why)
    assert f"grant the credentials {call}" in str(one(found, "agent").fix)


@pytest.mark.parametrize("breaks", [
    pytest.param(nothing, id="connected"),
    pytest.param(never(denying(REGISTER)), id="may not register"),
    pytest.param(never(instance(State={"Name": "stopped"})), id="stopped"),
    pytest.param(refusing("ssm:GetConnectionStatus"), id="not known"),
])  # fmt: skip
def test_it_is_asked_only_where_it_decides(breaks: Change) -> None:
    world = World(MINIMAL, printed(MEMORY), breaks)

    diagnosed(world)

    assert not {"ec2:describe_images", "ec2:get_console_output"} & {*world.calls}


@pytest.mark.parametrize("hours", [-8, 0, 9])
def test_times_are_told_in_utc_whatever_their_zone(hours: int) -> None:
    time = ago(minutes=3)
    there = time.astimezone(timezone(timedelta(hours=hours)))

    check = one(diagnosed(World(NEVER, instance(LaunchTime=there))), "agent")

    assert f"started at {time:%H:%M:%S} UTC" in check.why[0]
