"""A node that is not connected although nothing fails: what shows why, and what to do about it."""

from __future__ import annotations

import shlex
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from session_manager_permissions._verify.diagnosis import diagnose
from session_manager_permissions._verify.node import find_node
from tests.test_readme import refuse_unknown_options

from .nodes import (
    ACCOUNT,
    HYBRID,
    NODE,
    ROLE,
    Session,
    World,
    both,
    diagnosed,
    nothing,
    of_verdict,
    one,
    refusal,
)

if TYPE_CHECKING:
    from collections.abc import Callable

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


def started(**units: float) -> Callable[[World], object]:
    return lambda w: w.instance.update(LaunchTime=ago(**units))


def pinged(**units: float) -> Callable[[World], object]:
    return lambda w: (w.record or {}).update(LastPingDateTime=ago(**units))


def associated(state: str = "associated", **units: float) -> Callable[[World], object]:
    found = [{"Timestamp": ago(**units), "State": state}, {"State": "associated"}]
    answer = {"IamInstanceProfileAssociations": found}
    return lambda w: w.has("ec2:describe_iam_instance_profile_associations", answer)


def role_made(**units: float) -> Callable[[World], object]:
    def change(world: World) -> None:
        world.of_role = {"CreateDate": ago(**units)}

    return change


def policy_changed(arn: str = OWN, **units: float) -> Callable[[World], object]:
    return both(
        lambda w: w.has(
            "iam:list_attached_role_policies", {"AttachedPolicies": [{"PolicyArn": arn}]}
        ),
        lambda w: w.has("iam:get_policy", {"Policy": {"UpdateDate": ago(**units)}}),
    )


def image(name: str, owner: str = ACCOUNT, alias: str | None = None) -> Callable[[World], object]:
    found = {"Name": name, "OwnerId": owner} | ({"ImageOwnerAlias": alias} if alias else {})
    return both(
        lambda w: w.instance.update(ImageId="ami-1"),
        lambda w: w.has("ec2:describe_images", {"Images": [found]}),
    )


def amazon(name: str) -> Callable[[World], object]:
    return image(name, "137112412989", "amazon")


def hybrid_node(address: str, name: str = HYBRID) -> Callable[[World], object]:
    found = [{"InstanceId": name, "IPAddress": address}]
    return both(
        lambda w: w.instance.update(PrivateIpAddress="10.0.0.7"),
        lambda w: setattr(w, "hybrid_nodes", found),
    )


def printed(*lines: str) -> Callable[[World], object]:
    return lambda w: w.has("ec2:get_console_output", {"Output": "\r\n".join(lines)})


class Row(NamedTuple):
    """What shows why the agent is not connected; nothing does if it says nothing."""

    name: str
    does: Callable[[World], object]
    says: str = ""
    fix: str = ""
    node: str = NODE


ROWS: Final = [
    Row("nothing is known", NEVER),
    Row(
        "the role is not known",
        both(NEVER, lambda w: w.refuses("iam:GetInstanceProfile", "AccessDenied")),
    ),
    # dates
    Row(
        "the profile came later",
        both(NEVER, started(hours=5), associated(minutes=10)),
        "the instance got its instance profile at",
        f"aws ec2 reboot-instances --instance-ids {NODE} --region eu-west-1",
    ),
    Row("the profile came with it", both(NEVER, started(hours=5), associated(hours=5))),
    Row(
        "the profile came within the boot",
        both(NEVER, started(hours=5), associated(hours=4, minutes=59.5)),
    ),
    Row(
        "a profile that is taken away",
        both(NEVER, started(hours=5), associated("disassociating", minutes=9)),
    ),
    Row("no launch is known", both(NEVER, associated(minutes=10))),
    Row(
        "the profile came later, and the agent has tried since",
        both(LOST, started(hours=5), associated(hours=4), pinged(hours=3)),
    ),
    Row(
        "the profile came after the last ping",
        both(LOST, started(hours=5), associated(hours=2), pinged(hours=3)),
        "the instance got its instance profile at",
    ),
    Row(
        "the role came later",
        both(NEVER, started(hours=5), role_made(minutes=50)),
        f"the role {ROLE} was made at",
    ),
    Row(
        "a policy came later, and it is online",
        both(ONLINE, started(hours=5), policy_changed(minutes=20), pinged(minutes=30)),
        f"the policy {OWN} of the role was changed at",
        f"aws ssm send-command --instance-ids {NODE} --document-name AWS-RunShellScript "
        '--parameters "commands=systemctl restart amazon-ssm-agent" --region eu-west-1',
    ),
    Row("a policy came before", both(NEVER, started(hours=5), policy_changed(hours=6))),
    Row(
        "a policy of AWS changed, which is as it was attached",
        both(
            NEVER,
            started(hours=5),
            policy_changed("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore", minutes=1),
        ),
    ),
    Row(
        "it has just started",
        both(NEVER, started(minutes=3)),
        "less than five minutes ago: wait",
        f"session-manager-permissions verify --instance-id {NODE} --wait --region eu-west-1",
    ),
    Row("it started a while ago", both(NEVER, started(minutes=6))),
    Row(
        "the role of a hybrid node changed after the last ping",
        both(World.is_hybrid, LOST, policy_changed(minutes=20), pinged(minutes=30)),
        f"the policy {OWN} of the role was changed at",
        node=HYBRID,
    ),
    Row(
        "under Default Host Management the profile does not count",
        both(
            NEVER,
            World.has_host_management,
            lambda w: w.denies.add(f"{ROLE} ssm:UpdateInstanceInformation"),
            started(hours=5),
            associated(minutes=10),
        ),
    ),
    # images
    *(
        Row(f"the image {name}", both(NEVER, amazon(name)), f"the image ami-1 is {what}", fix)
        for name, what, fix in [
            (
                "al2023-ami-minimal-2023.6.20241010.0-kernel-6.1-x86_64",
                "a minimal image of Amazon Linux",
                "sudo dnf install -y amazon-ssm-agent",
            ),
            ("amzn2-ami-minimal-hvm-2.0.2022-x86_64-ebs", "a minimal image", "sudo yum install"),
            ("amzn-ami-minimal-hvm-2018.03.0-x86_64-ebs", "a minimal image", "install the agent"),
            ("amzn-ami-2018.03.g-amazon-ecs-optimized", "an image of Amazon Linux 1", "install"),
            ("amazon-eks-node-1.19-v20210526", "an image for EKS from before", "sudo yum"),
            ("amazon-eks-gpu-node-1.19-v20210620", "an image for EKS from before", "sudo yum"),
        ]
    ),
    *(
        Row(f"the image {name}, which has it", both(NEVER, amazon(name)))
        for name in (
            "al2023-ami-2023.6.20241010.0-kernel-6.1-x86_64",
            "al2023-ami-ecs-hvm-2023.0.20241010-kernel-6.1-x86_64",
            "amazon-eks-node-1.20-v20210621",
            "amazon-eks-arm64-node-1.30-v20240901",
            "Windows_Server-2022-English-Full-Base-2024.09.11",
            "RHEL-9.4.0_HVM",
        )
    ),
    Row(
        "an image of Red Hat",
        both(NEVER, image("RHEL-9.4.0_HVM-2024-x86_64-0-Hourly2-GP3", "309956199498", "amazon")),
        "an image of Red Hat Enterprise Linux",
        "manually-install-ssm-agent-linux.html",
    ),
    Row(
        "an image of Debian",
        both(NEVER, image("debian-12-amd64-20240901-1857", "136693071363")),
        "an image of Debian",
    ),
    Row("a minimal image of one's own", both(NEVER, image("al2023-ami-minimal-2023.6"))),
    Row("an image without the agent, which it got", both(LOST, amazon("al2023-ami-minimal-2023"))),
    Row(
        "an image without the agent, and a profile that came late",
        both(NEVER, started(hours=5), associated(minutes=9), amazon("al2023-ami-minimal-2023")),
        "the instance got its instance profile",
    ),
    Row(
        "an image without the agent, and a profile that came long ago",
        both(NEVER, started(days=5), associated(days=4), amazon("al2023-ami-minimal-2023")),
        "a minimal image of Amazon Linux",
    ),
    # an earlier registration
    Row(
        "a hybrid node with its address",
        both(NEVER, hybrid_node("10.0.0.7")),
        f"the hybrid node {HYBRID} with the address 10.0.0.7",
        "sudo amazon-ssm-agent -register -clear",
    ),
    Row("a hybrid node with another address", both(NEVER, hybrid_node("10.0.0.8"))),
    Row("an instance with its address", both(NEVER, hybrid_node("10.0.0.7", NODE))),
    # the console
    Row(
        "the clock",
        both(NEVER, printed("booting", CLOCK, "done")),
        "said 20260101T000000Z when that of AWS said 20260101T010000Z",
        "sudo chronyc makestep",
    ),
    Row(
        "the clock of Windows",
        both(NEVER, printed(CLOCK), lambda w: w.instance.update(Platform="windows")),
        "the clock of the instance",
        "w32tm /resync",
    ),
    Row(
        "the clock, as another program says",
        both(NEVER, printed(CLOCK.replace("amazon-ssm-agent[611]", "cloud-init[702]"))),
    ),
    Row("the memory", both(LOST, printed(MEMORY, "")), "has run out of memory", "more memory"),
    Row("the disk", both(ONLINE, printed("", DISK)), "has a full disk", "make room"),
    Row("a cgroup's memory", both(NEVER, printed("Memory cgroup out of memory: Killed process"))),
    Row("nothing in the console", both(NEVER, printed("Amazon SSM Agent v3.3.1 is running"))),
    Row(
        "the console of one whose status is not known",
        both(
            NEVER,
            printed(MEMORY),
            lambda w: w.refuses("ec2:DescribeInstanceStatus", "UnauthorizedOperation"),
        ),
    ),
]


@pytest.mark.parametrize("said", ROWS, ids=lambda said: said.name)
def test_what_shows_why(said: Row) -> None:
    world = World()
    said.does(world)

    found = diagnosed(world, said.node)

    check = one(found, "agent")
    assert found.cause
    assert of_verdict(found, "fail") <= {"connected", "registered"}
    assert not found.ready
    assert (found.cause.name == "agent") == bool(said.says)
    if said.says:
        assert check.verdict == "unknown"
        assert said.says in check.why[0]
        assert said.fix in "\n".join(check.fix)
        assert check.fix == one(found, "connected").fix
    for name in ("connected", "registered"):
        assert "may be newer than the agent's last try" not in "\n".join(one(found, name).fix)


def test_without_a_clue_the_node_is_asked_the_most_frequent_first() -> None:
    for platform, first in (("Linux", "sudo ssm-cli"), ("Windows", "ssm-cli.exe")):
        world = World()
        ONLINE(world)
        assert world.record
        world.record["PlatformType"] = platform

        _, restart, *lines = one(diagnosed(world), "connected").fix

        assert restart.startswith("aws ssm send-command ")
        assert first in lines[0]
        assert len(lines) == 4
        assert one(diagnosed(world), "agent").verdict == "pass"


@pytest.mark.parametrize(
    ("call", "does"),
    [
        ("ec2:DescribeIamInstanceProfileAssociations", nothing),
        ("ec2:DescribeImages", amazon("al2023-ami-minimal-2023")),
        ("ec2:GetConsoleOutput", printed(MEMORY)),
        ("iam:ListAttachedRolePolicies", nothing),
        ("iam:GetPolicy", policy_changed(hours=9)),
    ],
)
def test_a_denial_fails_nothing_and_names_the_permission(
    call: str, does: Callable[[World], object]
) -> None:
    world = World()
    both(NEVER, does)(world)
    world.refuses(call, "UnauthorizedOperation" if call[:3] == "ec2" else "AccessDenied")

    found = diagnosed(world)

    assert of_verdict(found, "fail") == {"connected", "registered"}
    assert of_verdict(found, "unknown") == {"agent"}
    assert call in str(one(found, "agent").why)
    assert f"allow the credentials {call}" in str(one(found, "agent").fix)


def test_an_instance_that_has_no_latest_output_gives_that_of_its_start() -> None:
    world = World()
    both(NEVER, printed(DISK))(world)
    answer = world.answers["ec2:get_console_output"]

    def refuse_latest(asked: dict[str, Any], _: str) -> dict[str, Any]:
        if asked.get("Latest"):
            raise refusal("GetConsoleOutput", "UnsupportedOperation")
        return answer  # type: ignore[no-any-return]

    world.has("ec2:get_console_output", refuse_latest)

    assert "full disk" in one(diagnosed(world), "agent").why[0]


def test_an_image_that_is_gone_is_no_reason() -> None:
    world = World()
    both(NEVER, amazon("al2023-ami-minimal-2023"))(world)
    world.refuses("ec2:DescribeImages", "InvalidAMIID.NotFound")

    assert len(one(diagnosed(world), "agent").why) == 1


@pytest.mark.parametrize(
    "breaks",
    [
        nothing,
        both(NEVER, lambda w: w.denies.add("ssm:UpdateInstanceInformation")),
        both(NEVER, lambda w: w.instance.update(State={"Name": "stopped"})),
        lambda w: w.refuses("ssm:GetConnectionStatus"),
    ],
    ids=["connected", "may not register", "stopped", "not known"],
)
def test_it_is_asked_only_where_it_decides(breaks: Callable[[World], object]) -> None:
    world = World()
    both(amazon("al2023-ami-minimal-2023"), printed(MEMORY), breaks)(world)

    diagnosed(world)

    assert not {"ec2:describe_images", "ec2:get_console_output"} & {*world.calls}


def test_an_audit_does_not_ask_why() -> None:
    world = World()
    both(NEVER, amazon("al2023-ami-minimal-2023"))(world)
    session = Session(world)

    found = diagnose(session, find_node(session, NODE), explains=False)

    assert one(found, "agent").verdict == "skipped"
    assert "ec2:describe_images" not in world.calls


@pytest.mark.parametrize(
    ("platform", "name", "document", "command"),
    [
        ("Linux", "Amazon Linux", "AWS-RunShellScript", "systemctl restart amazon-ssm-agent"),
        ("Linux", "Amazon Linux AMI", "AWS-RunShellScript", "restart amazon-ssm-agent"),
        (
            "Linux",
            "Ubuntu",
            "AWS-RunShellScript",
            "snap restart amazon-ssm-agent || systemctl restart amazon-ssm-agent",
        ),
        (
            "MacOS",
            "macOS",
            "AWS-RunShellScript",
            "launchctl kickstart -k system/com.amazon.aws.ssm",
        ),
        (
            "Windows",
            "Microsoft Windows Server 2022",
            "AWS-RunPowerShellScript",
            "Restart-Service AmazonSSMAgent",
        ),
    ],
)
@pytest.mark.parametrize("profile", [None, "my team"])
def test_a_node_that_is_online_is_restarted_without_a_login(
    platform: str, name: str, document: str, command: str, profile: str | None
) -> None:
    world = World()
    ONLINE(world)
    assert world.record
    world.record |= {"PlatformType": platform, "PlatformName": name}
    session = Session(world)
    session.profile = profile

    fixes = one(diagnose(session, find_node(session, NODE)), "connected").fix

    (line,) = (fix for fix in fixes if fix.startswith("aws ssm send-command "))
    words = shlex.split(line)
    refuse_unknown_options(words[: words.index("--region")])  # the rest is for any command
    assert words[words.index("--document-name") + 1] == document
    assert words[words.index("--parameters") + 1] == f"commands={command}"
    assert words[words.index("--region") + 1] == "eu-west-1"
    assert ("--profile" in words) == bool(profile)
    assert not profile or words[words.index("--profile") + 1] == profile


@pytest.mark.parametrize(
    ("name", "node", "line"),
    [
        ("Ubuntu", NODE, "sudo snap restart amazon-ssm-agent || sudo systemctl restart"),
        ("SLES", NODE, "on the node: sudo systemctl restart amazon-ssm-agent"),
        ("Bottlerocket", NODE, "aws ec2 reboot-instances"),
        ("Bottlerocket", HYBRID, "reboot the node"),
    ],
)
def test_one_that_is_lost_is_restarted_on_it(name: str, node: str, line: str) -> None:
    world = World()
    LOST(world)
    if node == HYBRID:
        world.is_hybrid()
    assert world.record
    world.record["PlatformName"] = name

    assert line in one(diagnosed(world, node), "connected").fix[1]
