"""Says what to do about an agent that is not connected: restart it, or ask the node itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .checks import REGISTERED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .node import Node

_SERVICE: Final = "amazon-ssm-agent"
START: Final = f"sudo systemctl enable --now {_SERVICE}"
"""Starts the agent on Linux, now and at each boot."""
INSTALL: Final = (
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/"
    "manually-install-ssm-agent-linux.html"
)
_SNAP: Final = f"snap restart {_SERVICE}"
_SYSTEMD: Final = f"systemctl restart {_SERVICE}"


def _command(node: Node) -> str | None:
    """Return what restarts the agent as root; None if no command of the system does.

    On Ubuntu the agent is a snap, unless somebody has installed the package.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-agent-status-and-restart.html
    """
    name = node.recorded("PlatformName") or ""
    if node.platform == "Windows":
        return "Restart-Service AmazonSSMAgent"
    if node.platform == "MacOS":
        return "launchctl kickstart -k system/com.amazon.aws.ssm"
    if name.startswith("Bottlerocket"):  # the agent is in a container of the host
        return None
    if name.startswith("Ubuntu"):
        return f"{_SNAP} || {_SYSTEMD}"
    return f"restart {_SERVICE}" if name == "Amazon Linux AMI" else _SYSTEMD


def restart_on_node(node: Node) -> str | None:
    """Return the line that restarts the agent, for somebody who is on the node."""
    command = _command(node)
    if command is None or node.platform == "Windows":
        return command
    if command == _SYSTEMD and node.recorded("PlatformName") is None:
        return f"sudo {_SYSTEMD}, or for a snap sudo {_SNAP}"
    return " || ".join(f"sudo {one}" for one in command.split(" || "))


def restart(node: Node) -> tuple[str, ...]:
    """Return the lines that restart the agent, of which one is enough; first from outside."""
    command = _command(node)
    if node.online and command:  # without a login
        document = "AWS-RunPowerShellScript" if node.platform == "Windows" else "AWS-RunShellScript"
        of_node = f"--instance-ids {node.id_word} --document-name {document}"
        return (node.aws(f'ssm send-command {of_node} --parameters "commands={command}"'),)
    here = restart_on_node(node)
    lines = [f"on the node: {here}"] if here else []
    if node.instance is not None:
        lines.append(node.aws(f"ec2 reboot-instances --instance-ids {node.id_word}"))
    return tuple(lines) or ("reboot the node",)


def ask_node(node: Node) -> tuple[str, ...]:
    """Say what only the node can tell, the most frequent cause first."""
    space, clock = "free -m; df -h", "timedatectl"
    own = "sudo ls /var/lib/amazon/ssm/registration, for an earlier registration"
    if node.platform == "Windows":
        space, clock = "Get-PSDrive; systeminfo", "w32tm /query /status"
        own = "route print 169.254.169.254, for a gateway of another subnet"
    if node.is_hybrid:
        own = "look for MachineFingerprintDoesNotMatch in the agent's log"
        own += ", and register the node again if it is there"
    return (
        node.look_for(REGISTERED),
        f"on the node: {space}, for too little memory or a full disk",
        f"on the node: {own}",
        f"on the node: {clock}, for a clock that is not synchronized",
    )


_WAITS_HALF_AN_HOUR: Final = ("instance-profile", "role-assumable", "register")
"""The causes after which the agent waits for 25 to 30 minutes. After any other it tries again
sooner at first, and within an hour at last: agent/…/credentialrefresher_deps.go."""


def remedies(node: Node, causes: Sequence[str], open_: Sequence[str]) -> tuple[str, ...]:
    """Say what to do about a symptom.

    Args:
        node: the node.
        causes: the checks that fail and can be its cause.
        open_: the checks that are unknown and can be its cause.
    """
    within = "30 minutes" if causes and {*causes} <= {*_WAITS_HALF_AN_HOUR} else "an hour"
    again = f"restart the agent, or wait until it tries again by itself, within {within}"
    lines = (again, *restart(node))
    if causes:
        return (f"first fix what fails: {', '.join(causes)}", *lines)
    if open_:
        return (f"look at what is unknown: {', '.join(open_)}", *lines)
    return (f"nothing that the connection needs fails: {again}", *lines[1:], *ask_node(node))
