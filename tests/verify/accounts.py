"""An account with many nodes, all of it in memory; a test says what is wrong with each."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._verify.session import Session as _Session

from .nodes import (
    ACCOUNT,
    KEY,
    REGION,
    acl,
    allowing,
    default_route,
    dhcp_options,
    endpoint,
    group,
    key,
    policy,
    refusal,
    status,
    table,
    trusting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OTHER_REGION: Final = "us-west-2"
REGIONS: Final = ("eu-west-1", "eu-west-2", "us-east-1", "us-west-2")
REGISTER: Final = "ssm:UpdateInstanceInformation"
CHANNELS: Final = (
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
DOCUMENT: Final = "SSM-SessionManagerRunShell"
TARGET: Final = "kms:EncryptionContext:aws:ssm:TargetId"


@dataclass
class Role:
    """A role; by default it may do all, and EC2 may assume it."""

    trusts: str = "ec2.amazonaws.com"
    lacks: tuple[str, ...] = ()
    """Actions that no policy allows."""
    only_on: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The resources on which an action is allowed, by action."""
    denied_on: tuple[str, ...] = ()
    """Resources on which a policy denies everything."""
    if_target: tuple[str, ...] = ()
    """Nodes for whose sessions alone the policies allow `kms:Decrypt`, by a condition."""
    if_told: tuple[str, ...] = ()
    """Condition keys that the policies allow everything on, and no request has."""
    organization_denies: tuple[str, ...] = ()
    path: str = "/"


@dataclass
class Machine:
    """An instance or a hybrid node; by default one that is connected."""

    id: str
    region: str = REGION
    profile: str | None = "web"
    tags: dict[str, str] = field(default_factory=dict)
    state: str = "running"
    ping: str | None = "Online"
    """None: Systems Manager has no record of it."""
    connection: str = "connected"
    metadata: str = "enabled"
    subnet: str = "subnet-private"
    agent: str = "3.3.3270.0"
    impaired: bool = False
    role: str | None = None
    """The role of a hybrid node."""

    @property
    def is_hybrid(self) -> bool:
        return self.id.startswith("mi-")


class Session(_Session):
    """Asks an account in memory."""

    def __init__(self, account: Account, region: str | None = REGION) -> None:
        super().__init__(account, region)


class Account:
    """What AWS answers about it, in all regions; and what it was asked."""

    def __init__(self, *machines: Machine) -> None:
        self.dns_suffix = "amazonaws.com"
        self.partition = "aws"
        self.machines = [*machines]
        self.roles: dict[str, Role] = {"web": Role()}
        self.profiles: dict[str, str | None] = {"web": "web"}
        """The name of the role of each instance profile."""
        self.host_management: dict[str, str] = {}
        """The role of Default Host Management, by region."""
        self.documents: dict[tuple[str, str], dict[str, Any]] = {}
        """The inputs of each Session document, by region and name."""
        self.shut: set[str] = set()
        """Regions whose private subnets have no way out."""
        self.refused: dict[str, str] = {}
        """The code of the error of each `service:Operation`, or `REGION service:Operation`."""
        self.size = 1000
        """How many entries a page has at most."""
        self.calls: Counter[str] = Counter()
        self.before: Callable[[str, str, dict[str, Any]], object] = lambda *_: None
        """Is told of each call before it is answered: the region, the call, and what was asked."""
        self._lock = Lock()

    def uses(self, region: str = REGION, name: str = DOCUMENT, **inputs: object) -> None:
        """Have a Session document with these inputs."""
        self.documents[region, name] = inputs

    def pages(
        self, service: str, region: str | None, operation: str, asked: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        asked = {**asked}
        size = asked.pop("PaginationConfig", {}).get("PageSize")
        asked |= {"MaxResults": size} if size else {}
        while True:
            page = self.answer(service, str(region), operation, asked)
            yield page
            if "NextToken" not in page:
                return
            asked["NextToken"] = page["NextToken"]

    def answer(self, service: str, region: str, operation: str, asked: dict[str, Any]) -> Any:  # noqa: ANN401
        call = f"{service}:{operation}"
        with self._lock:
            self.calls[call] += 1
        self.before(region, call, asked)
        code = self.refused.get(call) or self.refused.get(f"{region} {call}")
        if code:
            raise refusal(operation, code)
        return getattr(self, f"_{operation}")(region, asked)

    def arn(self, resource: str) -> str:
        return f"arn:{self.partition}:iam::{ACCOUNT}:{resource}"

    def role_arn(self, name: str) -> str:
        return self.arn(f"role{self.roles[name].path}{name}")

    def _GetCallerIdentity(self, _: str, __: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Account": ACCOUNT, "Arn": self.arn("user/alice"), "UserId": "AIDA"}

    def _DescribeRegions(self, _: str, __: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Regions": [{"RegionName": name} for name in (OTHER_REGION, REGION)]}

    # Instances

    def _DescribeInstances(self, region: str, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        wanted = {one["Name"]: one["Values"] for one in asked.get("Filters", ())}
        found = [
            one
            for one in self.machines
            if one.region == region and not one.is_hybrid and _has_tags(one, wanted)
        ]
        page, more = self._page(found, asked)
        entries = [{"OwnerId": ACCOUNT, "Instances": [self._instance(one)]} for one in page]
        return {"Reservations": entries, **more}

    def _instance(self, machine: Machine) -> dict[str, Any]:
        profile = {"Arn": self.arn(f"instance-profile/{machine.profile}")}
        groups = [{"GroupId": "sg-web", "GroupName": "web"}]
        return {
            "InstanceId": machine.id,
            "State": {"Code": 16, "Name": machine.state},
            **({"IamInstanceProfile": profile} if machine.profile else {}),
            "MetadataOptions": {"HttpEndpoint": machine.metadata},
            "VpcId": f"vpc-{machine.region}",
            "SubnetId": machine.subnet,
            "SecurityGroups": groups,
            "NetworkInterfaces": [
                {
                    "Attachment": {"DeviceIndex": 0},
                    "Groups": groups,
                    "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.0.10", "Primary": True}],
                }
            ],
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeId": "vol-1"}}],
            "Tags": [{"Key": name, "Value": value} for name, value in machine.tags.items()],
        }

    def _DescribeInstanceStatus(self, region: str, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = [
            one
            for one in self.machines
            if one.region == region and one.state == "running" and not one.is_hybrid
        ]
        page, more = self._page(found, asked)
        statuses = [
            status(instance="impaired" if one.impaired else "ok") | {"InstanceId": one.id}
            for one in page
        ]
        return {"InstanceStatuses": statuses, **more}

    def _DescribeInstanceInformation(self, region: str, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        wanted = {one["Key"]: one["Values"] for one in asked.get("Filters", ())}
        found = [
            one
            for one in self.machines
            if one.region == region and one.ping and _has_tags(one, wanted)
        ]
        page, more = self._page(found, asked)
        return {"InstanceInformationList": [self._record(one) for one in page], **more}

    def _record(self, machine: Machine) -> dict[str, Any]:
        found = {
            "InstanceId": machine.id,
            "PingStatus": machine.ping,
            "LastPingDateTime": datetime(2026, 1, 1, tzinfo=timezone.utc),
            "AgentVersion": machine.agent,
            "PlatformType": "Linux",
        }
        return found | ({"IamRole": machine.role, "Name": "rack"} if machine.is_hybrid else {})

    def _GetConnectionStatus(self, _: str, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        machine = self._by_id[asked["Target"]]
        return {"Target": machine.id, "Status": machine.connection}

    @cached_property
    def _by_id(self) -> dict[str, Machine]:
        return {one.id: one for one in self.machines}

    def _page(
        self, found: list[Machine], asked: dict[str, Any]
    ) -> tuple[list[Machine], dict[str, str]]:
        start = int(asked.get("NextToken") or 0)
        end = start + min(self.size, asked.get("MaxResults", self.size))
        return found[start:end], {"NextToken": str(end)} if end < len(found) else {}

    # Systems Manager's own

    def _GetServiceSetting(self, region: str, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"ServiceSetting": {"SettingValue": self.host_management.get(region, "$None")}}

    def _GetDocument(self, region: str, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        inputs = self.documents.get((region, asked["Name"]))
        if inputs is None:
            raise refusal("GetDocument", "InvalidDocument")
        content = {"sessionType": "Standard_Stream", "inputs": inputs}
        return {"Content": json.dumps({"schemaVersion": "1.0"} | content)}

    # IAM

    def _GetInstanceProfile(self, _: str, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = asked["InstanceProfileName"]
        if name not in self.profiles:
            raise refusal("GetInstanceProfile", "NoSuchEntity")
        role = self.profiles[name]
        return {"InstanceProfile": {"Roles": [self._role(role)] if role else []}}

    def _GetRole(self, _: str, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if asked["RoleName"] not in self.roles:
            raise refusal("GetRole", "NoSuchEntity")
        return {"Role": self._role(asked["RoleName"])}

    def _role(self, name: str) -> dict[str, Any]:
        trust = {"Statement": [trusting(self.roles[name].trusts)]}
        return {"Arn": self.role_arn(name), "RoleName": name, "AssumeRolePolicyDocument": trust}

    def _SimulatePrincipalPolicy(self, _: str, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = asked["PolicySourceArn"].rpartition("/")[2]
        if name not in self.roles:
            raise refusal("SimulatePrincipalPolicy", "NoSuchEntity")
        told = {one["ContextKeyName"]: one["ContextKeyValues"] for one in asked["ContextEntries"]}
        results = [
            _simulated(self.roles[name], action, asked["ResourceArns"], told)
            for action in asked["ActionNames"]
        ]
        return {"EvaluationResults": results, "IsTruncated": False}

    # What the preferences name

    def _DescribeKey(self, _: str, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"KeyMetadata": key(Arn=asked["KeyId"], KeyId="1234abcd")}

    def _GetKeyPolicy(self, _: str, __: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return policy(allowing(self.arn("root"), "kms:*"))

    # The network

    def _ListHostedZonesByVPC(self, _: str, __: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"HostedZoneSummaries": []}

    def _ListFirewallRuleGroupAssociations(self, _: str, __: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"FirewallRuleGroupAssociations": []}

    def _DescribeDhcpOptions(self, _: str, __: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"DhcpOptions": [dhcp_options("dopt-1", "AmazonProvidedDNS")]}

    def _DescribeSubnets(self, _: str, __: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        subnets = sorted({one.subnet for one in self.machines} | {"subnet-private"})
        private = [
            {"SubnetId": name, "CidrBlock": f"10.0.{number}.0/24"}
            for number, name in enumerate(subnets, 2)
        ]
        public = {"SubnetId": "subnet-public", "CidrBlock": "10.0.1.0/24"}
        return {"Subnets": [*private, public | {"MapPublicIpOnLaunch": True}]}

    def _DescribeRouteTables(self, region: str, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        routes = [] if region in self.shut else [default_route(NatGatewayId="nat-1")]
        public = default_route(GatewayId="igw-1")
        return {
            "RouteTables": [
                table("rtb-main", *routes, Associations=[{"Main": True}]),
                table("rtb-public", public, Associations=[{"SubnetId": "subnet-public"}]),
            ]
        }

    def _DescribeNatGateways(self, region: str, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        place = {"VpcId": f"vpc-{region}", "SubnetId": "subnet-public"}
        return {"NatGateways": [{"NatGatewayId": "nat-1", "State": "available", **place}]}

    def _DescribeVpcEndpoints(self, region: str, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        off = endpoint("kms", ServiceName=f"com.amazonaws.{region}.kms", PrivateDnsEnabled=False)
        return {"VpcEndpoints": [off]}

    def _DescribeSecurityGroups(self, _: str, __: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"SecurityGroups": [group("sg-web"), group("sg-endpoints")]}

    def _DescribeNetworkAcls(self, _: str, __: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        subnets = {one.subnet for one in self.machines} | {"subnet-private", "subnet-public"}
        associations = [{"SubnetId": name} for name in sorted(subnets)]
        return {"NetworkAcls": [acl("acl-1") | {"Associations": associations}]}

    def _DescribeVpcAttribute(self, _: str, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = asked["Attribute"]
        return {f"{name[0].upper()}{name[1:]}": {"Value": True}}


def _has_tags(machine: Machine, wanted: dict[str, list[str]]) -> bool:
    """Whether it has the tags of the filters, in which EC2 takes `*` for a wildcard."""
    return all(
        machine.tags.get(name.removeprefix("tag:"))
        in [value.replace("\\", "") if "\\" in value else value for value in values]
        for name, values in wanted.items()
    )


def _simulated(
    role: Role, action: str, resources: list[str], told: dict[str, list[str]]
) -> dict[str, Any]:
    decisions = {one: _decision(role, action, one, told) for one in resources}
    missing = [*role.if_told]
    if role.if_target and action == "kms:Decrypt" and TARGET not in told:
        missing.append(TARGET)
    organization = action not in role.organization_denies
    found: dict[str, Any] = {
        "EvalActionName": action,
        "EvalDecision": next(iter(decisions.values())),
        "OrganizationsDecisionDetail": {"AllowedByOrganizations": organization},
        "MissingContextValues": missing,
    }
    if resources != ["*"]:
        found["ResourceSpecificResults"] = [
            {"EvalResourceName": one, "EvalResourceDecision": decision}
            for one, decision in decisions.items()
        ]
    return found


def _decision(role: Role, action: str, resource: str, told: dict[str, list[str]]) -> str:
    if resource in role.denied_on:
        return "explicitDeny"
    by_target = action == "kms:Decrypt" and role.if_target
    if by_target and told.get(TARGET, [""])[0] not in role.if_target:
        return "implicitDeny"
    lacks = action in role.lacks or action in role.organization_denies or bool(role.if_told)
    allowed = resource in role.only_on.get(action, (resource,))
    return "allowed" if allowed and not lacks else "implicitDeny"


def fleet(instances: int) -> Account:
    """An account in which each region has ten subnets, and each role fifty instances.

    One instance in ten has never registered, one in seventeen is stopped, and one role in ten lacks
    a permission. Sessions use a key.
    """
    account, roles = Account(), max(2, instances // 50)
    for number in range(instances):
        in_region, region = divmod(number, len(REGIONS))
        state: dict[str, Any] = {}
        if number % 10 == 0:
            state = {"ping": None, "connection": "notconnected"}
        if number % 17 == 0:
            state = {"ping": "ConnectionLost", "connection": "notconnected", "state": "stopped"}
        profile, subnet = f"role-{in_region % roles}", f"subnet-{in_region % 10}"
        tags = {"Name": f"web-{number}", "team": "web", "env": "prod"}
        account.machines.append(
            Machine(f"i-{number:017x}", REGIONS[region], profile, tags, subnet=subnet, **state)
        )
    for number in range(roles):
        name = f"role-{number}"
        account.profiles[name] = name
        account.roles[name] = Role(lacks=(REGISTER,) if number % 10 == 3 else ())
    for name in REGIONS:
        account.uses(name, kmsKeyId=KEY.replace(REGION, name))
    return account
