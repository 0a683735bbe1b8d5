"""Systems Manager as a diagnosis sees it: the state that it keeps of nodes, settings and documents.

It answers as the API reference documents, in AWS JSON 1.1:
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetConnectionStatus.html
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetServiceSetting.html
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetDocument.html
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ListTagsForResource.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TIER: Final = "/ssm/managed-instance/activation-tier"
DEFAULT_HOST_MANAGEMENT: Final = "/ssm/managed-instance/default-ec2-instance-management-role"
OFF: Final = "$None"
"""The value of the setting where Default Host Management is off."""


class Refused(Exception):  # noqa: N818 # it is an answer
    """An error that the API reference documents."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.body = {"__type": code, "message": message}


@dataclass(frozen=True)
class Node:
    """A managed node, as it has registered."""

    ping: str = "Online"
    connection: str = "connected"
    agent: str = "3.3.3270.0"
    platform: str = "Linux"
    role: str | None = None
    """The name of the role that a hybrid node was activated with."""


@dataclass(frozen=True)
class SystemsManager:
    """One region of one account."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    """By id; what is not here never registered, or is stopped."""
    host_management: str = OFF
    tier: str = "advanced"
    documents: Mapping[str, object] = field(default_factory=dict)
    """The content of each Session document, by name."""
    refuses_unknown_nodes: bool = False
    """Whether an id that is no managed node's is an error, as the reference has it, or a gap."""

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The answer to a call.

        Raises:
            Refused: the answer is an error.
        """
        match operation:
            case "DescribeInstanceInformation":
                return self._information(asked)
            case "GetConnectionStatus":
                target = asked["Target"]
                node = self.nodes.get(target, Node(connection="notconnected"))
                return {"Target": target, "Status": node.connection}
            case "ListTagsForResource":
                if asked["ResourceId"] not in self.nodes:
                    raise Refused("InvalidResourceId")
                return {"TagList": [{"Key": "team", "Value": "web"}]}
            case "GetServiceSetting":
                return self._setting(asked["SettingId"])
            case "GetDocument":
                return self._document(asked)
        raise Refused("UnknownOperationException")

    def _information(self, asked: dict[str, Any]) -> dict[str, Any]:
        if not 5 <= asked.get("MaxResults", 50) <= 50:
            raise Refused("ValidationException", "MaxResults: 5 to 50")
        filters = {one["Key"]: one["Values"] for one in asked.get("Filters", ())}
        filters |= {
            one["key"]: one["valueSet"] for one in asked.get("InstanceInformationFilterList", ())
        }
        if filters.keys() - {"InstanceIds", "PingStatus", "ResourceType"}:
            raise Refused("InvalidFilterKey")
        ids = filters.get("InstanceIds", [*self.nodes])
        if self.refuses_unknown_nodes and not self.nodes.keys() >= {*ids}:
            raise Refused("InvalidInstanceId")
        found = [
            record
            for name in ids
            if name in self.nodes
            for record in [self._record(name, self.nodes[name])]
            if record["PingStatus"] in filters.get("PingStatus", [record["PingStatus"]])
            and record["ResourceType"] in filters.get("ResourceType", [record["ResourceType"]])
        ]
        size, start = asked.get("MaxResults", 50), int(asked.get("NextToken") or 0)
        end = start + size
        more = {"NextToken": str(end)} if end < len(found) else {}
        return {"InstanceInformationList": found[start:end], **more}

    def _record(self, name: str, node: Node) -> dict[str, Any]:
        hybrid = name.startswith("mi-")
        record = {
            "InstanceId": name,
            "PingStatus": node.ping,
            "LastPingDateTime": 1764100000.0,
            "AgentVersion": node.agent,
            "IsLatestVersion": False,
            "PlatformType": node.platform,
            "PlatformName": "Amazon Linux",
            "PlatformVersion": "2023",
            "ResourceType": "ManagedInstance" if hybrid else "EC2Instance",
            "IPAddress": "10.0.1.10",
            "ComputerName": "web-server.internal",
            "SourceId": name,
            "SourceType": "AWS::SSM::ManagedInstance" if hybrid else "AWS::EC2::Instance",
        }
        if hybrid:
            record |= {
                "IamRole": node.role,
                "ActivationId": "1234abcd-12ab-34cd-56ef-1234567890ab",
                "RegistrationDate": 1764000000.0,
            }
        return record

    def _setting(self, asked: str) -> dict[str, Any]:
        setting = asked.partition(":servicesetting")[2] or asked  # the ARN is taken too
        values = {
            DEFAULT_HOST_MANAGEMENT: (self.host_management, OFF),
            TIER: (self.tier, "standard"),
        }
        if setting not in values:
            raise Refused("ServiceSettingNotFound")
        value, default = values[setting]
        status = "Default" if value == default else "Customized"
        return {
            "ServiceSetting": {
                "SettingId": setting,
                "SettingValue": value,
                "LastModifiedUser": "System",
                "Status": status,
            }
        }

    def _document(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["Name"] not in self.documents:
            raise Refused("InvalidDocument")
        content = self.documents[asked["Name"]]
        return {
            "Name": asked["Name"],
            "DocumentVersion": "1",
            "Status": "Active",
            "Content": content if isinstance(content, str) else json.dumps(content),
            "DocumentType": "Session",
            "DocumentFormat": asked.get("DocumentFormat", "JSON"),
        }
