"""Finds a node, and asks EC2 and Systems Manager whether it runs, is registered and is connected.

Sessions on hybrid nodes also need a tier of the region.

https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-configure-instance-tiers.html
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetConnectionStatus.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _limits
from session_manager_permissions._quoting import in_shell

from .asking import CannotAsk, NoNode, NotThere, answered, one_of, tried, well_formed
from .checks import CONNECTED, REGISTERED, RUNNING, TIER, Check, Evidence, Outcome
from .lines import aws

if TYPE_CHECKING:
    from .session import Session

RECORD: Final = "ssm:DescribeInstanceInformation"
CONNECTION: Final = "ssm:GetConnectionStatus"
GROUP_TAG: Final = "aws:autoscaling:groupName"
"""The tag that Auto Scaling gives the instances of a group."""
_INSTANCES: Final = "ec2:DescribeInstances"
_STATUS: Final = "ec2:DescribeInstanceStatus"
_TIER: Final = "/ssm/managed-instance/activation-tier"
_ADVANCED, _STANDARD = "advanced", "standard"
_KINDS: Final = ("SystemStatus", "InstanceStatus")
_STATUSES: Final = ("impaired", "initializing", "insufficient-data", "not-applicable", "ok")
_NOT_ONLINE: Final = (None, "ConnectionLost", "Inactive")
"""The ping statuses of a node whose agent does not report in."""
_NOT_RUNNING: Final = ("pending", "shutting-down", "stopped", "stopping", "terminated")
"""The states of an instance in which no agent runs."""
_WITHOUT_SESSIONS: Final = {
    "ecs.amazonaws.com": ("Amazon ECS", "open a shell in a task with aws ecs execute-command"),
    "eks.amazonaws.com": ("EKS Auto Mode", "open a shell on the node with kubectl debug"),
}
"""The services that manage instances and allow no sessions on them, with what to do instead.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/security-shared-model-managed-instances.html
https://docs.aws.amazon.com/eks/latest/userguide/automode-learn-instances.html
"""
_EVEN_HIDDEN: Final = {"IncludeManagedResources": True}
"""Makes EC2 answer about instances that services manage, even if the account hides them.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyManagedResourceVisibility.html
"""
_MOST_CALLS: Final = 30
"""After this many calls, the diagnosis of one node makes only the calls that it must make."""
_PROGRAMS: Final = {
    "MacOS": "sudo /opt/aws/ssm/bin/{}",
    "Ubuntu": "sudo /snap/amazon-ssm-agent/current/{}",
    "Windows": r'& "$env:ProgramFiles\Amazon\SSM\{}.exe"',
}
"""How to run a program of the agent on a platform where it is not on the PATH.

The folders Tools/src and packaging of amazon-ssm-agent say where it is installed.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """An instance, or a hybrid node, as EC2 and Systems Manager have it."""

    id: str
    session: Session
    """Asks AWS in its region."""
    spare: Session
    """A session for optional calls: in the diagnosis of one node, it stops after `_MOST_CALLS`."""
    partition: str
    account: str
    instance: dict[str, Any] | None
    """The instance as `DescribeInstances` returns it; None for a hybrid node."""
    record: dict[str, Any] | CannotAsk | None
    """The record in `DescribeInstanceInformation`; None if Systems Manager has none."""
    connection: str | CannotAsk
    """`connected` or `notconnected`."""
    status_checks: dict[str, str] | CannotAsk | None = None
    """The EC2 status checks of a running instance that does not report in."""
    alike: tuple[str, ...] = ()
    """The ARNs of the nodes about which IAM is asked together, as they have the same role."""

    @property
    def region(self) -> str:
        """Its region."""
        return str(self.session.region)

    @property
    def is_hybrid(self) -> bool:
        """Tell whether it was registered by a hybrid activation, as machines outside of EC2 are."""
        return self.instance is None

    @property
    def arn(self) -> str:
        """The ARN by which a policy names it."""
        kind = "managed-instance" if self.is_hybrid else "instance"
        service = "ssm" if self.is_hybrid else "ec2"
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{kind}/{self.id}"

    @property
    def id_word(self) -> str:
        """The id as a word of a shell command."""
        return in_shell(self.id, _limits.INSTANCE_ID.fault, "ID")

    def aws(self, command: str, more: str = "") -> str:
        """Return a command of the AWS CLI in the node's region, with more options behind it."""
        return aws(command, self.region, more)

    def aws_on_it(self, command: str, more: str = "") -> str:
        """Return a command of the AWS CLI that is about the node alone, with more options."""
        return self.aws(f"{command} --instance-id {self.id_word}", more)

    @property
    def connected(self) -> bool:
        """Tell whether the agent holds a connection to Session Manager."""
        return self.connection == "connected"

    @property
    def may_be_connected(self) -> bool:
        """Tell whether the agent may hold a connection, as far as AWS answers."""
        if isinstance(self.connection, CannotAsk):
            return self.ping not in _NOT_ONLINE or isinstance(self.record, CannotAsk)
        return self.connected

    @property
    def state(self) -> str | None:
        """The instance's state in EC2."""
        return None if self.instance is None else str(self.instance["State"]["Name"])

    @property
    def runs(self) -> bool:
        """Tell whether an agent can run on it, as far as EC2 knows."""
        return self.state not in _NOT_RUNNING

    @property
    def manager(self) -> str | None:
        """The service that manages the instance, as its principal."""
        principal = (self.instance or {}).get("Operator", {}).get("Principal")
        return None if principal is None else str(principal)

    @property
    def is_closed(self) -> bool:
        """Tell whether the service that manages the instance allows no sessions on it."""
        return self.manager in _WITHOUT_SESSIONS and not self.may_be_connected

    def to_change(self, *commands: str) -> tuple[str, ...]:
        """Return commands that change the instance, or say which service has to change it.

        https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/amazon-ec2-managed-instances.html
        """
        if self.manager is None:
            return commands
        use = f"use {self.manager}, which manages the instance, to fix this"
        return (f"{use}: EC2 may refuse changes by others",)

    @property
    def profile_arn(self) -> str | None:
        """The ARN of its instance profile."""
        arn = (self.instance or {}).get("IamInstanceProfile", {}).get("Arn")
        return None if arn is None else str(arn)

    @property
    def ping(self) -> str | None:
        """The PingStatus: `Online`, `ConnectionLost` or `Inactive`."""
        return self.recorded("PingStatus")

    @property
    def online(self) -> bool:
        """Tell whether the agent has reported in recently."""
        return self.ping == "Online"

    @property
    def platform(self) -> str | None:
        """`Linux`, `Windows` or `MacOS`; None if neither service says."""
        instance, recorded = self.instance or {}, self.recorded("PlatformType")
        is_windows = instance.get("Platform", "").lower() == "windows"
        is_mac = instance.get("InstanceType", "").startswith("mac")
        return recorded or ("Windows" if is_windows else "MacOS" if is_mac else None)

    @property
    def diagnostics(self) -> str:
        """The command line that runs the agent's own diagnostics on the node."""
        return f"{self.program('ssm-cli')} get-diagnostics --output table"

    def program(self, name: str) -> str:
        """Return the beginning of a command line that runs a program of the agent on the node."""
        is_snap = (self.recorded("PlatformName") or "").startswith("Ubuntu")
        return _PROGRAMS.get("Ubuntu" if is_snap else self.platform or "", "sudo {}").format(name)

    def look_for(self, check: Check) -> str:
        """Say what to run on the node, if AWS can't tell whether a check passes."""
        return f"on the node: {self.diagnostics}, the row {check.row!r}"

    def recorded(self, field: str) -> str | None:
        """Return a field of Systems Manager's record; None if there is none."""
        value = self.record.get(field) if isinstance(self.record, dict) else None
        return None if value is None else str(value)


def find_node(session: Session, node_id: str) -> Node:
    """Find the node, and ask whether it is registered and connected.

    Raises:
        NoNode: there is no such node, or AWS does not know it yet.
        CannotAsk: the credentials may not read it.
    """
    hybrid = node_id.startswith("mi-")
    instance, account = (None, "") if hybrid else _instance(session, node_id)
    record = _record(session, node_id)
    if hybrid:
        if answered(record) is None:
            raise _absent(session, f"managed node {node_id}")
        account = caller_arn(session).split(":")[4]
    node = Node(
        id=node_id,
        session=session,
        spare=session.up_to(_MOST_CALLS),
        partition=session.partition,
        account=account,
        instance=instance,
        record=record,
        connection=ask_connection(session, node_id),
    )
    is_hidden = (instance or {}).get("Operator", {}).get("HiddenByDefault")
    more = _EVEN_HIDDEN if is_hidden else {}
    return with_status_checks(node, InstanceIds=[node_id], **more)


def _absent(session: Session, node: str) -> NoNode:
    """Say that there is no such node."""
    return NoNode(
        f"there is no {node} in {session.region} in the account of the credentials: give --region, "
        "or use credentials of its account"
    )


def _instance(session: Session, node_id: str) -> tuple[dict[str, Any], str]:
    """Ask EC2 for an instance, and return it with its account."""

    def read(found: Any) -> list[tuple[dict[str, Any], str]]:  # noqa: ANN401
        listed = ((one, of["OwnerId"]) for of in found["Reservations"] for one in of["Instances"])
        return [(one, owner) for one, owner in listed if one["State"]["Name"]]

    instances = session.tried(_INSTANCES, read, InstanceIds=[node_id])
    if not instances or isinstance(instances, NotThere):
        instances = session.tried(_INSTANCES, read, InstanceIds=[node_id], **_EVEN_HIDDEN)
        if not instances or isinstance(instances, CannotAsk):  # an old boto3 can't ask
            raise _absent(session, f"instance {node_id}")
    return answered(instances)[0]


def caller_arn(session: Session) -> str:
    """Return the ARN of the identity of the credentials.

    Raises:
        CannotAsk: AWS does not answer.
    """
    return session.ask(
        "sts:GetCallerIdentity", lambda found: well_formed(found["Arn"], _limits.arn_fault)
    )


def _record(session: Session, node_id: str) -> dict[str, Any] | CannotAsk | None:
    """Ask Systems Manager for its record of a node."""
    found = session.tried(
        RECORD,
        lambda found: next(map(dict, found["InstanceInformationList"]), None),
        Filters=[{"Key": "InstanceIds", "Values": [node_id]}],
    )
    return None if isinstance(found, NotThere) else found


def ask_connection(session: Session, node_id: str, *, kept: bool = True) -> str | CannotAsk:
    """Ask whether the agent holds a connection to Session Manager."""
    return session.tried(
        CONNECTION,
        lambda found: one_of(found["Status"], ("connected", "notconnected")),
        on=node_id,
        missing=f"Systems Manager has no target {node_id}",
        kept=kept,
        Target=node_id,
    )


def service_setting(session: Session, setting: str) -> str | CannotAsk | None:
    """Return the value of a setting of Systems Manager; None if the region has no such setting."""
    found = session.tried(
        "ssm:GetServiceSetting",
        lambda found: str(found["ServiceSetting"].get("SettingValue") or ""),
        on=f"the service setting {setting}",
        SettingId=setting,
    )
    return None if isinstance(found, NotThere) else found


def tier(node: Node) -> Outcome:
    """Check whether the region has the tier that sessions on hybrid nodes need."""
    if not node.is_hybrid:
        return TIER.of(node.region).skipped("the node is an EC2 instance, which needs no tier")
    found = service_setting(node.session, _TIER)
    if found is None:
        return TIER.of(node.region).skipped("the region has no instance tiers for hybrid nodes")
    if isinstance(found, CannotAsk):
        return TIER.of(node.region).unasked(found)
    of_region = TIER.of(node.region, Evidence("ssm:GetServiceSetting", _TIER, found))
    if found == _ADVANCED:
        return of_region.passed(f"{node.region} is on the advanced-instances tier")
    setting = f"--setting-id {_TIER} --setting-value {_ADVANCED}"
    fix = node.aws(f"ssm update-service-setting {setting}")
    if found != _STANDARD:
        why = f"the tier of {node.region} is {found!r}, which this version does not know"
        return of_region.unknown(why, fix=fix)
    why = (
        f"{node.region} is on the standard-instances tier, and sessions on hybrid nodes need the "
        "advanced-instances tier, for which AWS charges per node"
    )
    return of_region.failed(why, fix=fix)


def running(node: Node) -> Outcome:
    """Check whether the instance runs, and whether its EC2 status checks pass."""
    if node.state is None:
        return RUNNING.of(node.id).skipped("the node is not an EC2 instance")
    if node.is_closed:
        service, instead = _WITHOUT_SESSIONS[str(node.manager)]
        managed = RUNNING.of(node.id, Evidence(_INSTANCES, "Operator.Principal", node.manager))
        why = f"{service} manages the instance and allows no sessions on it"
        return managed.failed(why, fix=instead)
    state = Evidence(_INSTANCES, "State.Name", node.state)
    why = f"the instance is {node.state}"
    if not node.runs:
        failed = RUNNING.of(node.id, state).failed(why, fix=_to_run(node))
        return replace(failed, is_passing=node.state == "pending")
    if node.state != "running":
        return RUNNING.of(node.id, state).unknown(f"{why}, and an agent may run in this state")
    return _by_status_checks(node, state)


def _by_status_checks(node: Node, state: Evidence) -> Outcome:
    """Return the outcome for a running instance."""
    status = node.status_checks or {}
    if isinstance(status, CannotAsk):
        return RUNNING.of(node.id).unasked(status)
    impaired = [kind for kind in status if status[kind] == "impaired"]
    kinds = (Evidence(_STATUS, f"{kind}.Status", status[kind]) for kind in status)
    running = RUNNING.of(node.id, state, *kinds)
    if impaired:
        why = f"a status check of the instance fails: {', '.join(impaired)}"
        return running.failed(why, fix=node.to_change(*_to_repair(node, impaired)))
    return running.passed("the instance is running", proven=node.connected)


def _to_repair(node: Node, impaired: list[str]) -> tuple[str, ...]:
    """Say how to repair an instance whose status checks fail."""
    of_node = f"--instance-ids {node.id_word}"
    if impaired == ["InstanceStatus"]:
        return (node.aws(f"ec2 reboot-instances {of_node}"),)
    instance = node.instance or {}
    if any(tag.get("Key") == GROUP_TAG for tag in instance.get("Tags", ())):
        set_health = node.aws_on_it("autoscaling set-instance-health", "--health-status Unhealthy")
        return (set_health, "the command makes the Auto Scaling group replace the instance")
    of_spot = instance.get("InstanceLifecycle") == "spot"
    if of_spot or instance.get("RootDeviceType") == "instance-store":
        kinds = "an instance store root volume, or with a Spot request that is not persistent"
        return (f"launch another instance: EC2 can't stop an instance with {kinds}",)
    stop = node.aws(f"ec2 stop-instances {of_node}")
    erased = "stopping the instance erases the data on its instance store volumes"
    return (erased, stop, *_start(node))


def _to_run(node: Node) -> tuple[str, ...]:
    """Say how to start an instance that does not run.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/interruption-behavior.html
    """
    if node.state in ("terminated", "shutting-down"):
        return ("launch another instance: a terminated instance can't be started",)
    if node.state == "pending":
        return ("wait until it runs, and run the command again",)
    if (node.instance or {}).get("StateReason", {}).get("Code") == "Server.SpotInstanceShutdown":
        return ("wait until EC2 starts it, as nobody else can start an interrupted Spot Instance",)
    return _start(node)


def _start(node: Node) -> tuple[str, ...]:
    """Return the lines that start an instance. EC2 can start it only once it is stopped."""
    of_node = f"--instance-ids {node.id_word}"
    wait = () if node.state == "stopped" else (node.aws(f"ec2 wait instance-stopped {of_node}"),)
    return node.to_change(*wait, node.aws(f"ec2 start-instances {of_node}"))


def with_status_checks(node: Node, **asked: Any) -> Node:  # noqa: ANN401 # as boto3 takes it
    """Return the node with EC2's status checks, if it is a running instance that is not online.

    Args:
        node: the node.
        asked: the parameters that say which instances EC2 is asked about.
    """
    if node.state != "running" or node.connected or node.online:
        return node
    found: dict[str, dict[str, str]] | CannotAsk = node.session.tried(
        _STATUS,
        lambda found: {one["InstanceId"]: _kinds(one) for one in found["InstanceStatuses"]},
        missing=f"the instance {node.id} no longer exists",
        **asked,
    )
    if isinstance(found, CannotAsk):
        return replace(node, status_checks=found)
    kinds = found.get(node.id, {})
    known = tried(lambda: {kind: one_of(kinds[kind], _STATUSES) for kind in kinds})
    return replace(node, status_checks=known or dict.fromkeys(_KINDS, "not reported"))


def _kinds(status: dict[str, Any]) -> dict[str, str]:
    """Read the status checks. Only some instance types have the attached EBS status check."""
    kinds = {kind: status[kind]["Status"] for kind in _KINDS}
    volumes = status.get("AttachedEbsStatus")
    return kinds | ({"AttachedEbsStatus": volumes["Status"]} if volumes else {})


def connected(node: Node) -> Outcome:
    """Check whether the agent holds a connection to Session Manager."""
    if isinstance(node.connection, CannotAsk):
        return CONNECTED.of(node.id).unasked(node.connection)
    agent = CONNECTED.of(node.id, Evidence(CONNECTION, "Status", node.connection))
    if node.connected:
        return agent.passed("the agent is connected to Session Manager")
    return agent.failed("the agent is not connected to Session Manager", fix="")


def registered(node: Node) -> Outcome:
    """Check whether the agent is registered and reports in."""
    if isinstance(node.record, CannotAsk):
        return REGISTERED.of(node.id).unasked(node.record)
    if node.record is None:
        agent = REGISTERED.of(node.id, Evidence(RECORD, "InstanceInformationList", "empty"))
        if node.connected:
            why = "Systems Manager has no record of the node, although it is connected"
            return agent.unknown(why, fix="run the command again")
        why = "Systems Manager has no record of the instance: its agent never registered, or the "
        why += "instance is stopped"
        return _unless_connected(node, agent.failed(why, fix=""))
    names = ("PingStatus", "LastPingDateTime", "AgentVersion")
    told = [one for one in names if one == "PingStatus" or node.recorded(one) is not None]
    agent = REGISTERED.of(node.id, *(Evidence(RECORD, one, node.recorded(one)) for one in told))
    if node.online:
        return agent.passed("the agent reports in")
    last = node.recorded("LastPingDateTime")
    when = f"and last reported in at {last}" if last else "and is not known to have reported in"
    why = f"the agent was registered {when}: PingStatus is {node.ping or 'not set'}"
    if node.connected or node.ping not in _NOT_ONLINE:
        return agent.unknown(why, fix="check whether the node can reach the endpoint of ssm")
    return _unless_connected(node, agent.failed(why, fix=""))


def _unless_connected(node: Node, failed: Outcome) -> Outcome:
    """Make a failure unknown if it is not known whether the node is connected."""
    error = node.connection
    return failed.unknown(failed.why[0], errors=[error]) if isinstance(error, CannotAsk) else failed


def at_least(version: str, least: str) -> bool | None:
    """Tell whether a version is `least` or newer; None if it can't be read."""
    if not re.fullmatch(r"\d+(\.\d+)*", version):
        return None
    found, wanted = (tuple(map(int, one.split("."))) for one in (version, least))
    return found >= wanted
