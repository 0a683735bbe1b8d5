"""The account in memory, with many nodes in several regions."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, Final

from botocore import xform_name

from . import nodes
from .nodes import ACCOUNT, DOCUMENT, REGION, Decides, World, key, refusal, status, without_a_route

OTHER_REGION: Final = "us-west-2"
NEVER: Final[dict[str, Any]] = {"ping": None, "connection": "notconnected"}
"""A machine that never registered."""
REGIONS: Final = ("eu-west-1", "eu-west-2", "us-east-1", "us-west-2")


@dataclass
class Role:
    """A role. By default, it is allowed everything, and EC2 may assume it."""

    trusts: str = "ec2.amazonaws.com"
    lacks: tuple[str, ...] = ()
    """Actions that no policy allows."""
    decides: Decides = lambda _: None
    """IAM's answer instead of the usual one; None for the usual answer."""


@dataclass
class Machine:
    """An instance or a hybrid node. By default, it is connected."""

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
    role: str | None = None
    """The role of a hybrid node."""

    @property
    def is_hybrid(self) -> bool:
        return self.id.startswith("mi-")


class Account(World):
    """The answers of AWS about many nodes, in all regions."""

    def __init__(
        self,
        *machines: Machine,
        roles: Mapping[str, Role] | None = None,
        **parts: Any,  # noqa: ANN401 # its attributes
    ) -> None:
        super().__init__()
        self.machines = [*machines]
        self.roles: dict[str, Role] = {"web": Role(), **(roles or {})}
        self.profiles: dict[str, str] = {name: name for name in self.roles}
        """The name of the role of each instance profile."""
        self.host_management: dict[str, str] = {}
        """The role of Default Host Management, by region."""
        self.documents: dict[tuple[str, str], dict[str, Any]] = {}
        """The inputs of each Session document, by region and name."""
        self.shut: set[str] = set()
        """The regions whose private subnets have no route out of the VPC."""
        self.refused: dict[str, str] = {}
        """The code of the error of each `service:Operation`, or `REGION service:Operation`."""
        self.made: list[str] = []
        """The calls, as `service:Operation`."""
        self.size = 1000
        """The largest number of entries in a page."""
        self.before: Callable[[str, str, dict[str, Any]], object] = lambda *_: None
        """Called before each call is answered, with the region, the call and its parameters."""
        regions = {"Regions": [{"RegionName": name} for name in (OTHER_REGION, REGION)]}
        self.answers |= {
            "ec2:describe_regions": regions, "ec2:describe_instance_status": self._statuses,
            "ec2:describe_subnets": self._subnets, "ec2:describe_route_tables": self._route_tables,
            "ec2:describe_network_acls": self._acls, "iam:get_role": self._role,
            "kms:describe_key": lambda asked, _: {"KeyMetadata": key(Arn=asked["KeyId"])},
            "ssm:get_connection_status": self._connection, "ssm:get_service_setting": self._setting,
        }  # fmt: skip
        vars(self).update(parts)

    def has_document(self, region: str = REGION, **inputs: object) -> None:
        """Add a default Session document with these inputs."""
        self.documents[region, DOCUMENT] = inputs

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
            asked = asked | {"NextToken": page["NextToken"]}

    def answer(self, service: str, region: str, operation: str, asked: dict[str, Any]) -> Any:  # noqa: ANN401
        call = f"{service}:{operation}"
        self.made.append(call)
        self.before(region, call, asked)
        code = self.refused.get(call) or self.refused.get(f"{region} {call}")
        if code:
            raise refusal(operation, code)
        return self.call(service, xform_name(operation), asked, region)

    def arn(self, resource: str) -> str:
        return f"arn:{self.partition}:iam::{ACCOUNT}:{resource}"

    # Instances

    def _instances(self, asked: dict[str, Any], region: str) -> dict[str, Any]:
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
        found = self.instance | {
            "InstanceId": machine.id, "State": {"Code": 16, "Name": machine.state},
            "MetadataOptions": {"HttpEndpoint": machine.metadata}, "VpcId": f"vpc-{machine.region}",
            "SubnetId": machine.subnet,
            "Tags": [{"Key": name, "Value": value} for name, value in machine.tags.items()],
        }  # fmt: skip
        del found["IamInstanceProfile"]
        return found | ({"IamInstanceProfile": profile} if machine.profile else {})

    def _statuses(self, asked: dict[str, Any], region: str) -> dict[str, Any]:
        found = [
            one
            for one in self.machines
            if one.region == region and one.state == "running" and not one.is_hybrid
        ]
        page, more = self._page(found, asked)
        return {"InstanceStatuses": [status() | {"InstanceId": one.id} for one in page], **more}

    def _records(self, asked: dict[str, Any], region: str) -> dict[str, Any]:
        wanted = {one["Key"]: one["Values"] for one in asked.get("Filters", ())}
        found = [x for x in self.machines if x.region == region and x.ping and _has_tags(x, wanted)]
        page, more = self._page(found, asked)
        return {"InstanceInformationList": [self._of_machine(one) for one in page], **more}

    def _of_machine(self, machine: Machine) -> dict[str, Any]:
        found = nodes.RECORD | {
            "InstanceId": machine.id,
            "PingStatus": machine.ping,
            "LastPingDateTime": datetime(2026, 1, 1, tzinfo=timezone.utc),
        }
        return found | ({"IamRole": machine.role, "Name": "rack"} if machine.is_hybrid else {})

    def _connection(self, asked: dict[str, Any], _: str) -> dict[str, Any]:
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

    # Systems Manager's own, and IAM

    def _setting(self, _: dict[str, Any], region: str) -> dict[str, Any]:
        return {"ServiceSetting": {"SettingValue": self.host_management.get(region, "$None")}}

    def _document(self, asked: dict[str, Any], region: str) -> dict[str, Any]:
        inputs = self.documents.get((region, asked["Name"]))
        if inputs is None:
            raise refusal("GetDocument", "InvalidDocument")
        content = {"sessionType": "Standard_Stream", "inputs": inputs}
        return {"Content": json.dumps({"schemaVersion": "1.0"} | content)}

    def _profile(self, asked: dict[str, Any], region: str) -> dict[str, Any]:  # noqa: ARG002
        name = asked["InstanceProfileName"]
        if name not in self.profiles:
            raise refusal("GetInstanceProfile", "NoSuchEntity")
        return {"InstanceProfile": {"Roles": [self._described(self.profiles[name])]}}

    def _role(self, asked: dict[str, Any], _: str) -> dict[str, Any]:
        if asked["RoleName"] not in self.roles:
            raise refusal("GetRole", "NoSuchEntity")
        return {"Role": self._described(asked["RoleName"])}

    def _described(self, name: str) -> dict[str, Any]:
        trust = {"Statement": [nodes.trusting(self.roles[name].trusts)]}
        named = {"Arn": self.arn(f"role/{name}"), "RoleName": name, "RoleId": nodes.ROLE_ID}
        return named | {"AssumeRolePolicyDocument": trust}

    def _decided(self, asked: nodes.Question) -> dict[str, Any]:
        name = asked.who.rpartition("/")[2]
        if name not in self.roles:
            raise refusal("SimulatePrincipalPolicy", "NoSuchEntity")
        role = self.roles[name]
        decision = "implicitDeny" if asked.action in role.lacks else "allowed"
        return role.decides(asked) or {"EvalDecision": decision}

    # The network

    def _subnets(self, *_: object) -> dict[str, Any]:
        private, public = nodes.NETWORK["ec2:describe_subnets"]["Subnets"]
        names = sorted({one.subnet for one in self.machines} | {"subnet-private"})
        of_machines = [
            private | {"SubnetId": name, "CidrBlock": f"10.0.{number}.0/24"}
            for number, name in enumerate(names, 2)
        ]
        return {"Subnets": [*of_machines, public]}

    def _route_tables(self, _: dict[str, Any], region: str) -> dict[str, Any]:
        world = World()
        if region in self.shut:
            without_a_route(world)
        found: dict[str, Any] = world.answers["ec2:describe_route_tables"]
        return found

    def _acls(self, *_: object) -> dict[str, Any]:
        subnets = self._subnets()["Subnets"]
        return {"NetworkAcls": [nodes.acl("acl-1") | {"Associations": subnets}]}


def _has_tags(machine: Machine, wanted: dict[str, list[str]]) -> bool:
    """Whether a machine has the tags of the filters, in which EC2 reads `*` as a wildcard."""
    return all(
        machine.tags.get(name.removeprefix("tag:"))
        in [value.replace("\\", "") if "\\" in value else value for value in values]
        for name, values in wanted.items()
    )


def fleet(instances: int) -> Account:
    """An account in which each region has ten subnets, and each role fifty instances.

    One instance in ten has never registered, one in seventeen is stopped, and one role in ten lacks
    a permission. Sessions use a key.
    """
    roles = max(2, instances // 50)
    lacks = {f"role-{n}": (nodes.REGISTER,) if n % 10 == 3 else () for n in range(roles)}
    account = Account(roles={name: Role(lacks=of) for name, of in lacks.items()})
    for number in range(instances):
        in_region, region = divmod(number, len(REGIONS))
        state: dict[str, Any] = {}
        if number % 10 == 0:
            state = NEVER
        if number % 17 == 0:
            state = {"ping": "ConnectionLost", "connection": "notconnected", "state": "stopped"}
        profile, subnet = f"role-{in_region % roles}", f"subnet-{in_region % 10}"
        tags = {"Name": f"web-{number}", "team": "web", "env": "prod"}
        account.machines.append(
            Machine(f"i-{number:017x}", REGIONS[region], profile, tags, subnet=subnet, **state)
        )
    for name in REGIONS:
        account.has_document(name, kmsKeyId=nodes.KEY.replace(REGION, name))
    return account
