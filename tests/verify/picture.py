"""The picture of what `verify --instance-id` prints: of a node in a VPC that lacks an endpoint."""

import re
from io import StringIO

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from session_manager_permissions._verify.report import print_diagnosis

from .networks import endpoints, groups
from .nodes import NODE, World, diagnosed, endpoint, group, without_a_route


def drawn() -> str:
    """Return the picture."""
    anywhere = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    opened = groups(group("sg-web"), group("sg-endpoints", IpPermissions=anywhere))
    world = World(World.is_online_only, without_a_route, endpoints(endpoint("ssm")), opened)
    console = Console(file=StringIO(), record=True, width=118, highlight=False, force_terminal=True)
    command = f"session-manager-permissions verify --instance-id {NODE}"
    console.print(f"$ {command}", style="dim")
    print_diagnosis(diagnosed(world), console)
    # without the fonts of a foreign server
    form = re.sub(r"@font-face {{.*?}}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    svg = console.export_svg(title="verify", code_format=form, unique_id="verify")
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE).rstrip() + "\n"
