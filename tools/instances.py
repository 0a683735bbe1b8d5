"""The instances of the demo's account, whose agents register as their roles permit.

MiniStack runs no instance. So Systems Manager is answered here: an agent is online if IAM lets its
role register, and connected if IAM also lets it open its channels. The API reference has the form
of each answer, such as
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from serving import serving

from session_manager_permissions._needs import CHANNELS, REGISTRATION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from local_aws import ExistingProfile


def lead_to_the_internet(profile: ExistingProfile) -> None:
    """Give the subnet of the instances a default route, as that of a new account has one."""
    ec2 = profile.aws.client("ec2")
    (table,) = ec2.describe_route_tables()["RouteTables"]
    (gateway,) = ec2.describe_internet_gateways()["InternetGateways"]
    ec2.create_route(
        RouteTableId=table["RouteTableId"],
        DestinationCidrBlock="0.0.0.0/0",
        GatewayId=gateway["InternetGatewayId"],
    )


def launch(profile: ExistingProfile) -> str:
    """Launch an instance with the profile, and return its id."""
    tags = {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": profile.name}]}
    reservation = profile.aws.client("ec2").run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[tags],
        IamInstanceProfile={"Name": profile.name},
    )
    return str(reservation["Instances"][0]["InstanceId"])


def _answer(
    operation: str, asked: Mapping[str, Any], instances: Mapping[str, ExistingProfile]
) -> tuple[int, object]:
    """Answer a call of Systems Manager: the HTTP status and the body."""
    match operation:
        case "DescribeInstanceInformation":
            online = [
                {
                    "InstanceId": name,
                    "PingStatus": "Online",
                    "PlatformType": "Linux",
                    "ResourceType": "EC2Instance",
                    "AgentVersion": "3.3.3270.0",
                }
                for name, profile in instances.items()
                if profile.simulate(*REGISTRATION.actions)
            ]
            return 200, {"InstanceInformationList": online}
        case "GetConnectionStatus":
            target = asked["Target"]
            connected = instances[target].simulate(*REGISTRATION.actions, *CHANNELS.actions)
            return 200, {"Target": target, "Status": f"{'' if connected else 'not'}connected"}
        case "GetServiceSetting":
            return 200, {"ServiceSetting": {"SettingValue": "$None"}}
    return 400, {"__type": "InvalidDocument"}  # the account has no preferences


def systems_manager(instances: Mapping[str, ExistingProfile]) -> AbstractContextManager[str]:
    """Serve Systems Manager on 127.0.0.1 as long as the block lasts, and give the address.

    Args:
        instances: the profile of each instance, by its id.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            status, body = _answer(operation, asked, instances)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    return serving(Handler)
