"""Finds clues why an agent is not connected, and says what to do about them.

Clues are looked for only if no check that the connection needs fails.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions._trust import SYSTEMS_MANAGER, trust

from .asking import CannotAsk, NotThere, answered
from .checks import AGENT, ASSUMABLE, CONNECTED, PROFILE, REGISTER, REGISTERED, Evidence, Outcome
from .identity import Identity, let_assume
from .lines import USER_GUIDE, region_word
from .live_roles import LiveRole, find_role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .agent import Diagnostics
    from .node import Node
    from .session import Session

_BOOT: Final = timedelta(minutes=1)
"""The shortest time from the launch of an instance to the first try of its agent."""
_TIME_TO_REGISTER: Final = timedelta(minutes=5)
"""The time in which an agent registers, if nothing prevents it."""
_RETRIES: Final = timedelta(hours=1)
"""The longest time after which an agent tries again, whatever was denied."""
_MOST_HYBRID_NODES: Final = 100
"""How many hybrid nodes are compared by their addresses."""
_OUTSIDE_OF_EC2: Final = ("AWS::IoT::Thing", "Microsoft.Compute/virtualMachines")
"""The source types of hybrid nodes that are certainly no instances of EC2."""
_LONGEST: Final = 300
"""How many characters of a line of the console output are shown."""
_WITHOUT_AGENT: Final = (
    ("amazon", r"(al2023|amzn2?)-ami-minimal-", "a minimal image of Amazon Linux"),
    ("amazon", r"amzn-ami-[\w.]+-amazon-ecs-optimized", "an image of Amazon Linux 1 for ECS"),
    # The first with the agent is v20210621: the change log of amazon-eks-ami.
    (
        "amazon",
        r"amazon-eks-[\w-]*node-[\d.]+-v(201|2020|20210[1-5]|202106[01]|20210620)",
        "an image for EKS from before June 2021",
    ),
    ("amazon", "bottlerocket-", "an image of Bottlerocket"),
    ("309956199498", r"RHEL-", "an image of Red Hat Enterprise Linux"),
    ("219670896067", r"RHEL-", "an image of Red Hat Enterprise Linux"),
    ("136693071363", r"debian-", "an image of Debian"),
)
"""The images that come without the agent: their owner (`amazon` or an account), a pattern of their
names, and a description.

https://docs.aws.amazon.com/systems-manager/latest/userguide/ami-preinstalled-agent.html
"""
_INSTALL: Final = f"{USER_GUIDE}manually-install-ssm-agent-linux.html"
_CLOCK: Final = re.compile(
    r"Signature (?:expired|not yet current): (\d{8}T\d{6}Z) is (?:now earlier|still later) than "
    r"\d{8}T\d{6}Z \((\d{8}T\d{6}Z) [-+] "
)
"""Matches AWS's error about the time of a request, with the time of the request and AWS's."""
_NO_ROLE: Final = "EC2RoleRequestError"
"""The error that the agent logs if the instance metadata service gives it no role credentials."""
_AGENT_PROCESS: Final = re.compile(r"\b(amazon-ssm-agent|ssm-agent-worker|AmazonSSMAgent)\b")
"""The names of the agent's processes, with which its lines in the console output begin."""


class Clue(NamedTuple):
    """A clue why the agent is not connected."""

    why: str
    fix: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    is_old: bool = False
    """Whether the agent has tried again since, so that the clue explains less."""


def explained(
    node: Node, identity: Identity, outcomes: Sequence[Outcome], rows: Diagnostics
) -> list[Outcome]:
    """Find a clue why an agent is not connected, although no other check fails.

    Args:
        node: the node.
        identity: the role that the agent uses.
        outcomes: the outcomes of all checks.
        rows: the agent's diagnostics.
    """
    needed = [one for one in outcomes if one.check.connects]
    is_silent = any(one.check is CONNECTED and one.verdict == "fail" for one in outcomes)
    if not is_silent or any(one.verdict == "fail" for one in needed):
        return [*outcomes]
    all_pass = not any(one.verdict == "unknown" for one in needed)
    errors: list[CannotAsk] = []
    found: list[Clue] = []
    for clues in (_in_diagnostics(node, rows), *_sources(node, identity, all_pass=all_pass)):
        try:
            found += clues
        except NotThere:
            continue
        except CannotAsk as error:
            errors.append(error)
        if not all(one.is_old for one in found):
            break
    clue = min(found, key=lambda one: one.is_old, default=None)
    if clue is None and not all_pass:
        return [*outcomes]  # the checks that are unknown come first
    return [_with_clue(one, clue, node, errors) if one.check is AGENT else one for one in outcomes]


def _with_clue(outcome: Outcome, clue: Clue | None, node: Node, errors: list[CannotAsk]) -> Outcome:
    """Return the check of the agent with the best clue, or with none."""
    if clue is not None:
        return AGENT.of(node.id, *clue.evidence).unknown(clue.why, fix=clue.fix)
    if outcome.verdict != "skipped":
        return outcome
    why = "nothing in the account shows whether the agent is installed and runs"
    return AGENT.of(node.id).unknown(why, fix=_ask_node(node), errors=errors)


def _sources(node: Node, identity: Identity, *, all_pass: bool) -> Iterator[Iterator[Clue]]:
    """Yield the sources of clues, the best first. A source asks AWS when it is read."""
    now, launched = datetime.now(timezone.utc), _time(node.instance, "LaunchTime")
    instance, role = node.instance, identity.role
    if role is not None and identity.replaced:
        yield _not_assumable(node, role)
    if role is not None:
        call = "iam:GetRole" if node.is_hybrid else "iam:GetInstanceProfile"
        yield _changed(node, f"the role {role.arn} was made", role.created, call, "CreateDate")
    if node.profile_arn and not identity.replaced:
        yield _associations(node)
    if launched is not None and now - launched < _TIME_TO_REGISTER:
        yield iter([_just_started(node, launched)])
    if instance is not None and node.record is None:
        yield _image_clue(node.spare, instance)
    if instance is not None and all_pass:
        yield _in_console(node)
    if instance is not None and node.record is None:
        yield _hybrid(node, instance)
    if role is not None:  # last, as these take two calls
        yield _policies(node, role.arn)


def _in_diagnostics(node: Node, rows: Diagnostics) -> Iterator[Clue]:
    """Yield the failures of the agent's service and credentials in the agent's diagnostics."""
    start, again = _start_on_node(node), _restart(node)
    starts = (f"on the node: {start}",) if start else again
    # The row of the credentials also fails without a path to AWS STS, which no session needs.
    for name, note, fix in ((REGISTERED.row, "", starts), (ASSUMABLE.row, _NO_ROLE, again)):
        if (row := rows.get(name)) and row.Status == "Failed" and row.Note.startswith(note):
            yield Clue(f"on the node: {name}: {row.Note}", fix, (row.evidence,))


def _changed(node: Node, what: str, when: datetime | None, call: str, field: str) -> Iterator[Clue]:
    """Yield a clue if a change came after the agent's last known try to connect.

    Args:
        node: the node.
        what: what has changed.
        when: the date of the change, if it is known.
        call: the call whose answer has the date.
        field: the field with the date.
    """
    if when is not None and when > _last_try(node):
        why = f"{what} at {when:%Y-%m-%d %H:%M:%S} UTC, after the agent's last known try"
        is_old = datetime.now(timezone.utc) - when >= _RETRIES
        yield Clue(why, _restart(node), (Evidence(call, field, str(when)),), is_old)


def _time(found: object, name: str) -> datetime | None:
    value = found.get(name) if isinstance(found, dict) else None
    return value.astimezone(timezone.utc) if isinstance(value, datetime) else None


def _last_try(node: Node) -> datetime:
    """Return the last time at which the agent certainly tried; `datetime.max` if not known."""
    launched = _time(node.instance, "LaunchTime")
    pinged = _time(node.record, "LastPingDateTime")
    known = [one for one in (launched and launched + _BOOT, pinged) if one]
    return max(known, default=datetime.max.replace(tzinfo=timezone.utc))


def _not_assumable(node: Node, role: LiveRole) -> Iterator[Clue]:
    """Yield why Systems Manager can't assume the role of Default Host Management Configuration."""
    found = find_role(node.spare, role.arn)
    trusted = trust(found.trust_policy, SYSTEMS_MANAGER)
    if trusted.answer == "denied":
        why = f"Default Host Management Configuration names {role.arn}, and {trusted.why}"
        fix = let_assume(found, trusted, SYSTEMS_MANAGER, node.region)
        yield Clue(why, fix, (Evidence("iam:GetRole", "AssumeRolePolicyDocument", trusted.answer),))


def _associations(node: Node) -> Iterator[Clue]:
    """Yield a clue if the instance got its profile after the agent's last known try."""
    call = "ec2:DescribeIamInstanceProfileAssociations"
    of_node = [{"Name": "instance-id", "Values": [node.id]}]
    for one in node.spare.listed(call, "IamInstanceProfileAssociations", Filters=of_node):
        if one.get("State") in ("associating", "associated"):
            what, when = "the instance got its instance profile", _time(one, "Timestamp")
            yield from _changed(node, what, when, call, "Timestamp")


def _policies(node: Node, role: str) -> Iterator[Clue]:
    """Yield the customer managed policies of the role that were changed after the last try.

    One call returns the dates of all policies, so the number of policies does not matter. IAM has
    no date for an inline policy, and none for the attachment of a policy.
    """
    call, name, of = "iam:ListPolicies", role.rpartition("/")[2], f"::{role.split(':')[4]}:"
    attached = node.spare.listed(
        "iam:ListAttachedRolePolicies", "AttachedPolicies", on=role, RoleName=name
    )
    own = {one["PolicyArn"] for one in attached if of in str(one.get("PolicyArn"))}
    if not own:
        return
    asked = {"Scope": "Local", "OnlyAttached": True, "PaginationConfig": {"PageSize": 1000}}
    for one in node.spare.listed(call, "Policies", **asked):
        if one.get("Arn") in own:
            what = f"the policy {one['Arn']} of the role was changed"
            yield from _changed(node, what, _time(one, "UpdateDate"), call, "UpdateDate")


def _just_started(node: Node, launched: datetime) -> Clue:
    """Say that the agent has not had enough time to register."""
    why = f"the instance started at {launched:%H:%M:%S} UTC, less than five minutes ago: wait"
    wait = f"session-manager-permissions verify --instance-id {node.id_word} --wait"
    evidence = Evidence("ec2:DescribeInstances", "LaunchTime", str(launched))
    return Clue(why, (f"{wait} --region {region_word(node.region)}",), (evidence,))


def _image_clue(session: Session, instance: Mapping[str, Any]) -> Iterator[Clue]:
    """Yield a clue if the image is known to come without the agent."""
    image = instance.get("ImageId")
    call = "ec2:DescribeImages"
    for one in session.listed(call, "Images", ImageIds=[image]) if image else ():
        name, owner, alias = (str(one.get(of)) for of in ("Name", "OwnerId", "ImageOwnerAlias"))
        for of, pattern, what in _WITHOUT_AGENT:
            if of in (alias, owner) and re.match(pattern, name):
                evidence = Evidence(call, "Name", name), Evidence(call, "OwnerId", owner)
                why = f"the image {image} is {what}, {name}, which has no SSM Agent"
                yield Clue(why, _to_install(name), evidence)


def _to_install(name: str) -> tuple[str, ...]:
    """Say how to install the agent on an instance whose image comes without it."""
    if name.startswith("bottlerocket-"):
        pulls = "pull the control container, which runs the agent, from Amazon ECR"
        return (f"make sure that the role and the network allow the instance to {pulls}",)
    packages = "dnf" if name.startswith("al2023") else "yum"
    install = f"sudo {packages} install -y amazon-ssm-agent && sudo {_ENABLE}"
    if not name.startswith(("al2023-", "amzn2-", "amazon-eks-")):
        return (f"install the agent on the node, or in the user data: {_INSTALL}",)
    standard = "or launch it from the standard image, which has the agent"
    return (f"on the node, or in the user data: {install}", standard)


def _hybrid(node: Node, instance: Mapping[str, Any]) -> Iterator[Clue]:
    """Yield a hybrid node with the address of the instance: the agent may be registered as it."""
    own = {instance.get("PrivateIpAddress"), instance.get("PublicIpAddress")} - {None}
    call = "ssm:DescribeInstanceInformation"
    found = node.spare.listed(
        call,
        "InstanceInformationList",
        Filters=[{"Key": "ResourceType", "Values": ["ManagedInstance"]}],
        PaginationConfig={"MaxItems": _MOST_HYBRID_NODES, "PageSize": 50},
    )
    for one in found:
        name, address = str(one.get("InstanceId")), one.get("IPAddress")
        as_hybrid = replace(node, record=one)
        is_its = (as_hybrid.platform == "Windows") == (node.platform == "Windows")
        again = _restart_on_node(as_hybrid)  # empty if the agent is in a container
        if one.get("SourceType") in _OUTSIDE_OF_EC2:
            continue
        if again and is_its and name.startswith("mi-") and address in own:
            why = (
                f"the hybrid node {name} has the address {address} of the instance: the agent uses "
                "an earlier registration, perhaps that of another machine"
            )
            clear = f"{as_hybrid.program('amazon-ssm-agent')} -register -clear"
            fix = f"on the node: {clear}, then {again}"
            yield Clue(why, (fix,), (Evidence(call, f"{name}: IPAddress", address),))


def _output(found: Mapping[str, Any]) -> str:
    return str(found.get("Output") or "")


def _in_console(node: Node) -> Iterator[Clue]:
    """Yield problems of the clock, the memory and the disk in the console output.

    Only an instance on the Nitro System offers its latest output; others, that of their last start.
    """
    call = "ec2:GetConsoleOutput"
    asked = {"on": node.arn, "InstanceId": node.id}
    output = node.spare.tried(call, _output, **asked, Latest=True)
    if isinstance(output, CannotAsk) and output.code == "UnsupportedOperation":
        output = node.spare.tried(call, _output, **asked)
    lines = [line.strip()[:_LONGEST] for line in answered(output).splitlines()]
    for line in reversed(lines):
        if (found := _CLOCK.search(line)) and _AGENT_PROCESS.search(line[: found.start()]):
            why = f"the clock of the instance showed {found[1]} when AWS's clock showed {found[2]}"
            sync = "w32tm /resync /force" if node.platform == "Windows" else "sudo chronyc makestep"
            fix = f"on the node: {sync}, with 169.254.169.123 as its server"
            yield Clue(why, (fix, *_restart(node)), (Evidence(call, "Output", line),))
    for text, what, fix in (
        ("Out of memory", "has run out of memory", "use an instance type with more memory"),
        ("No space left on device", "has a full disk", "free disk space, or enlarge the volume"),
    ):
        if line := next((one for one in reversed(lines) if text in one), ""):
            why = f"the instance {what}, as its console output says: {line}"
            yield Clue(why, (fix, *_restart(node)), (Evidence(call, "Output", line),))


_NAME: Final = "amazon-ssm-agent"
_ENABLE: Final = f"systemctl enable --now {_NAME}"
"""Starts the agent where systemd runs it, now and at each boot."""


class _ServiceManager(NamedTuple):
    """The service manager that runs the agent, and the commands with which root controls it.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-agent-status-and-restart.html
    """

    restart: str
    start: str
    """Starts it now and at each boot."""


_SYSTEMD: Final = _ServiceManager(f"systemctl restart {_NAME}", _ENABLE)
_SNAP: Final = _ServiceManager(f"snap restart {_NAME}", f"snap start --enable {_NAME}")
_UPSTART: Final = _ServiceManager(f"restart {_NAME}", f"start {_NAME}")
_LAUNCHD: Final = _ServiceManager(
    "launchctl kickstart -k system/com.amazon.aws.ssm",
    "launchctl load -w /Library/LaunchDaemons/com.amazon.aws.ssm.plist",
)
_WINDOWS: Final = _ServiceManager("Restart-Service AmazonSSMAgent", "Start-Service AmazonSSMAgent")


def _managers(node: Node) -> tuple[_ServiceManager, ...]:
    """Return the possible service managers of the agent, the likeliest first; none in a container.

    On Ubuntu, the agent is a snap, unless somebody has installed the package.
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
    """Return a line that tries commands until one works, for somebody on the node."""
    root = "" if node.platform == "Windows" else "sudo "
    return " || ".join(f"{root}{one}" for one in commands)


def _restart_on_node(node: Node) -> str:
    """Return the line that restarts the agent, for somebody on the node; "" if there is none."""
    return _on_node(node, (one.restart for one in _managers(node)))


def _start_on_node(node: Node) -> str:
    """Return the line that starts the agent, for somebody on the node; "" if there is none."""
    return _on_node(node, (one.start for one in _managers(node)))


def _restart(node: Node) -> tuple[str, ...]:
    """Return lines that restart the agent. One is enough; those from outside come first."""
    command = " || ".join(one.restart for one in _managers(node))
    if node.online and command:  # Run Command works without a login
        document = "AWS-RunPowerShellScript" if node.platform == "Windows" else "AWS-RunShellScript"
        of_node = f"--instance-ids {node.id_word} --document-name {document}"
        return (node.aws(f'ssm send-command {of_node} --parameters "commands={command}"'),)
    here = _restart_on_node(node)
    if node.instance is None or node.manager:
        return (f"on the node: {here}" if here else "reboot the node",)
    reboot = node.aws(f"ec2 reboot-instances --instance-ids {node.id_word}")
    return (f"on the node: {here}, or from outside:", reboot) if here else (reboot,)


def _ask_node(node: Node) -> tuple[str, ...]:
    """Say what to check on the node, the most frequent cause first."""
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


_WAITS_HALF_AN_HOUR: Final = frozenset({PROFILE.name, ASSUMABLE.name, REGISTER.name})
"""The causes after which the agent waits for 25 to 30 minutes. After other causes it tries again
sooner at first, and later after at most an hour: core/…/credentialrefresher_deps.go."""


def remedies(node: Node, causes: Sequence[str], unknown: Sequence[str]) -> tuple[str, ...]:
    """Say what to do about a symptom.

    Args:
        node: the node.
        causes: the checks that fail and can be its cause.
        unknown: the checks that are unknown and can be its cause.
    """
    within = "30 minutes" if causes and _WAITS_HALF_AN_HOUR.issuperset(causes) else "an hour"
    again = f"restart the agent, or wait until it tries again by itself, within {within}"
    # The start of a node starts its agent, and no restart opens sessions on a closed node.
    restarts = node.runs and not node.is_closed
    lines = (again, *_restart(node)) if restarts else ()
    if causes:
        return (f"first fix the checks that fail: {', '.join(causes)}", *lines)
    if unknown:
        return (f"resolve the checks that are unknown: {', '.join(unknown)}", *lines)
    none_fails = "none of the checks that the connection needs fails"
    return (f"{none_fails}: {again}", *lines[1:], *_ask_node(node))
