"""Says what to do about an agent that is not connected: restart it, or ask the node itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from .checks import REGISTERED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .node import Node

_NAME: Final = "amazon-ssm-agent"
START: Final = f"sudo systemctl enable --now {_NAME}"
"""Starts the agent where systemd runs it, now and at each boot."""


class _ServiceManager(NamedTuple):
    """What runs the agent as a service, and the commands with which root controls it.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-agent-status-and-restart.html
    """

    restart: str
    start: str
    """Starts it now and at each boot."""


_SYSTEMD: Final = _ServiceManager(f"systemctl restart {_NAME}", START.removeprefix("sudo "))
_SNAP: Final = _ServiceManager(f"snap restart {_NAME}", f"snap start --enable {_NAME}")
_UPSTART: Final = _ServiceManager(f"restart {_NAME}", f"start {_NAME}")
_LAUNCHD: Final = _ServiceManager(
    "launchctl kickstart -k system/com.amazon.aws.ssm",
    "launchctl load -w /Library/LaunchDaemons/com.amazon.aws.ssm.plist",
)
_WINDOWS: Final = _ServiceManager("Restart-Service AmazonSSMAgent", "Start-Service AmazonSSMAgent")


def _managers(node: Node) -> tuple[_ServiceManager, ...]:
    """Return what may run the agent on a node, the likeliest first; nothing if it is a container.

    On Ubuntu the agent is a snap, unless somebody has installed the package.
    """
    name = node.recorded("PlatformName")
    if node.platform in ("Windows", "MacOS"):
        return (_WINDOWS if node.platform == "Windows" else _LAUNCHD,)
    if name is None:
        return _SYSTEMD, _SNAP
    if name.startswith("Ubuntu"):
        return _SNAP, _SYSTEMD
    if name.startswith("Bottlerocket"):
        return ()
    return (_UPSTART if name == "Amazon Linux AMI" else _SYSTEMD,)


def _on_node(node: Node, commands: Iterable[str]) -> str:
    """Return a line that runs the first of some commands that works, for somebody on the node."""
    root = "" if node.platform == "Windows" else "sudo "
    return " || ".join(f"{root}{one}" for one in commands)


def restart_on_node(node: Node) -> str:
    """Return the line that restarts the agent, for somebody on the node; "" if there is none."""
    return _on_node(node, (one.restart for one in _managers(node)))


def start_on_node(node: Node) -> str:
    """Return the line that starts the agent, for somebody on the node; "" if there is none."""
    return _on_node(node, (one.start for one in _managers(node)))


def restart(node: Node) -> tuple[str, ...]:
    """Return the lines that restart the agent, of which one is enough; first from outside."""
    command = " || ".join(one.restart for one in _managers(node))
    if node.online and command:  # without a login
        document = "AWS-RunPowerShellScript" if node.platform == "Windows" else "AWS-RunShellScript"
        of_node = f"--instance-ids {node.id_word} --document-name {document}"
        return (node.aws(f'ssm send-command {of_node} --parameters "commands={command}"'),)
    here = restart_on_node(node)
    if node.instance is None:
        return (f"on the node: {here}" if here else "reboot the node",)
    reboot = node.aws(f"ec2 reboot-instances --instance-ids {node.id_word}")
    return (f"on the node: {here}, or from outside:", reboot) if here else (reboot,)


def ask_node(node: Node) -> tuple[str, ...]:
    """Say what only the node can tell, the most frequent cause first."""
    space, clock = "free -m; df -h", "timedatectl"
    own = "sudo ls /var/lib/amazon/ssm/registration, for an earlier registration"
    if node.platform == "Windows":
        space, clock = "Get-PSDrive; systeminfo", "w32tm /query /status"
        own = "route print 169.254.169.254, for a gateway of another subnet"
    if node.platform == "MacOS":
        space, clock = "vm_stat; df -h", "sudo systemsetup -getusingnetworktime"
        own = "sudo ls /opt/aws/ssm/data/registration, for an earlier registration"
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
    lines = (again, *restart(node)) if node.runs else ()  # its start also starts the agent
    if causes:
        return (f"first fix the checks that fail: {', '.join(causes)}", *lines)
    if open_:
        return (f"look at the checks that are unknown: {', '.join(open_)}", *lines)
    return (f"no check that the connection needs fails: {again}", *lines[1:], *ask_node(node))
