"""What `verify --instance-id` prints about each cause: of a node in memory that has only this."""

from __future__ import annotations

import os
import re
from io import StringIO
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from session_manager_permissions._verify.report import print_diagnosis
from tests.verify.nodes import (
    HYBRID,
    NODE,
    USER,
    World,
    diagnosed,
    encrypted,
    endpoint,
    group,
    key,
    trusting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[World], object]

CHANNELS: Final = tuple(
    f"ssmmessages:{verb}{kind}Channel"
    for verb in ("Create", "Open")
    for kind in ("Control", "Data")
)


def never(**instance: object) -> Change:
    """Have an instance that never registered, with these fields."""

    def change(world: World) -> None:
        world.never_registered()
        world.instance.update(instance)

    return change


def all_of(*changes: Change) -> Change:
    """Make several changes."""
    return lambda world: [change(world) for change in changes]


def denied(*actions: str) -> Change:
    """Have IAM deny these actions to everyone."""
    return lambda world: world.denies.update(actions)


def using(**inputs: object) -> Change:
    """Have a Session document with a key, a bucket and a log group."""
    return lambda world: world.uses(**inputs)


def answered(call: str, answer: object) -> Change:
    """Have a call answered like this."""
    return lambda world: world.has(call, answer)


def without_profile(world: World) -> None:
    """Take the instance profile away."""
    del world.instance["IamInstanceProfile"]


def not_trusted(world: World) -> None:
    """Have a role that only another service may assume."""
    world.trust = {"Statement": [trusting("lambda.amazonaws.com")]}


def on_standard_tier(world: World) -> None:
    """Have a region without sessions on hybrid nodes."""
    world.tier = "standard"


def isolated(world: World) -> None:
    """Take the default routes away."""
    for table in world.answers["ec2:describe_route_tables"]["RouteTables"]:
        table["Routes"] = table["Routes"][:1]


def endpoints(*services: str, shut: bool = False) -> Change:
    """Have endpoints of these services, which admit everyone unless they are shut."""
    anywhere = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    admitted = [] if shut else anywhere
    return all_of(
        answered(
            "ec2:describe_vpc_endpoints",
            {"VpcEndpoints": [endpoint(service) for service in services]},
        ),
        answered(
            "ec2:describe_security_groups",
            {"SecurityGroups": [group("sg-web"), group("sg-endpoints", IpPermissions=admitted)]},
        ),
    )


CAUSES: Final[dict[str, tuple[str, Change]]] = {
    "instance-running": ("instance-running", never(State={"Name": "stopped"})),
    "connected": ("connected", World.is_online_only),
    "registered": ("registered", never()),
    "no-instance-profile": ("instance-profile", all_of(never(), without_profile)),
    "role-not-assumable": ("role-assumable", all_of(never(), not_trusted)),
    "metadata-off": ("metadata", never(MetadataOptions={"HttpEndpoint": "disabled"})),
    "registration-missing": (
        "register",
        all_of(never(), denied("ssm:UpdateInstanceInformation")),
    ),
    "channel-missing": ("reach", all_of(World.is_online_only, denied(*CHANNELS))),
    "agent": (
        "agent",
        all_of(
            never(ImageId="ami-0123456789abcdef0"),
            answered(
                "ec2:describe_images",
                {
                    "Images": [
                        {
                            "Name": "al2023-ami-minimal-2023.8.20250707.0-kernel-6.1-x86_64",
                            "OwnerId": "137112412989",
                            "ImageOwnerAlias": "amazon",
                        }
                    ]
                },
            ),
        ),
    ),
    "tier": ("tier", all_of(World.is_hybrid, on_standard_tier)),
    "default-host-management": (
        "default-host-management",
        all_of(World.has_host_management, without_profile),
    ),
    "no-network-path": ("path-ssm", all_of(never(), isolated)),
    "endpoint-missing": (
        "path-kms",
        all_of(isolated, endpoints("ssm", "ssmmessages"), using()),
    ),
    "endpoint-unreachable": (
        "path-ssm",
        all_of(never(), isolated, endpoints("ssm", "ssmmessages", shut=True)),
    ),
    "egress-closed": (
        "path-ssm",
        all_of(
            never(),
            answered(
                "ec2:describe_security_groups",
                {"SecurityGroups": [group("sg-web", IpPermissionsEgress=[])]},
            ),
        ),
    ),
    "encrypt": ("encrypt", all_of(using(), denied("kms:Decrypt"))),
    "log-to-s3": ("log-to-s3", all_of(using(), denied("s3:PutObject"))),
    "log-to-cloudwatch": ("log-to-cloudwatch", all_of(using(), denied("logs:PutLogEvents"))),
    "key-usable": (
        "key-usable",
        all_of(using(), answered("kms:describe_key", {"KeyMetadata": key(KeyState="Disabled")})),
    ),
    "bucket-encryption": (
        "bucket-encryption",
        all_of(using(), answered("s3:get_bucket_encryption", encrypted("aws:kms:dsse"))),
    ),
    "log-group-encryption": (
        "log-group-encryption",
        all_of(
            using(),
            answered(
                "logs:describe_log_groups", {"logGroups": [{"logGroupName": "/ssm/sessions"}]}
            ),
        ),
    ),
    "run-as": ("run-as", using(runAsEnabled=True, runAsDefaultUser="root")),
    "operator": ("operator", all_of(using(), denied("ssm:StartSession"))),
    "plugin": ("plugin", using()),
}
"""The pages of the causes, each with the check that finds it and what makes it so."""


COMMAND: Final = f"session-manager-permissions verify --instance-id {NODE}"


def picture() -> str:
    """Return a picture of what the command prints: of a node in a VPC that lacks an endpoint."""
    world = World()
    only_ssm = answered("ec2:describe_vpc_endpoints", {"VpcEndpoints": [endpoint("ssm")]})
    all_of(World.is_online_only, isolated, endpoints(), only_ssm)(world)
    console = Console(file=StringIO(), record=True, width=118, highlight=False, force_terminal=True)
    console.print(f"$ {COMMAND}", style="dim")
    print_diagnosis(diagnosed(world), console)
    # without the fonts of a foreign server
    form = re.sub(r"@font-face {{.*?}}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    svg = console.export_svg(title="verify", code_format=form, unique_id="verify")
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE).rstrip() + "\n"


def printed(page: str) -> str:
    """Return what the command prints about a cause: as the cause, or as a line of the tree."""
    check, change = CAUSES[page]
    world = World()
    change(world)
    given: dict[str, Any] = {"operator": USER} if check in {"operator", "plugin"} else {}
    node = HYBRID if check == "tier" else NODE
    with patch.dict(os.environ, {"PATH": ""}):  # which has no plug-in
        diagnosis = diagnosed(world, node, **given)
    out = StringIO()
    print_diagnosis(diagnosis, Console(file=out, width=10_000, highlight=False))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    if lines[1].startswith(f"Cause: {check}: "):
        return "\n".join(line for line in lines[1 : lines.index(node)] if "  More: " not in line)
    (line,) = (line for line in lines if line[:1] in "│ " and f" {check} " in line)
    return line.lstrip("│├└─ ")
