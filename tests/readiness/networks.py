"""Templates of an instance in a network, with changes."""

from copy import deepcopy
from typing import Any, Final

from .deployments import NO_VALUE
from .parts import att, on, ref, resource
from .reports import Report, inline, profile_and_role
from .statements import ALL

Parts = dict[str, Any]
"""Parts of a template by their names, or changes of properties such as `Nat.SubnetId`."""

Row = tuple[str, Parts, str]
"""A name, the changes of the template, and the findings, as `said` returns them."""
OPEN, UNKNOWN, NO_WAY = "ready", "cannot-be-known", "no-network-path"
MISSING, UNREACHABLE, CLOSED = "endpoint-missing", "endpoint-unreachable", "egress-closed"
BLOCK, ANYWHERE = "10.0.0.0/16", "0.0.0.0/0"
VPC_ID: Final = {"VpcId": ref("Vpc")}
ON: Final = "Production"
GIVEN: Final = ref("Given")
TO_NAT: Final = {"NatGatewayId": ref("Nat")}
STACK: Final = "AWS::CloudFormation::Stack"


def part(kind: str, condition: str = "", /, **properties: object) -> Parts:
    """A resource of EC2; a property that is None is not written."""
    given = {name: value for name, value in properties.items() if value is not None}
    return on(resource(f"AWS::EC2::{kind}", **given), condition)


def custom(**given: object) -> Parts:
    return resource("Custom::Routes", **given)


def either(one: object, other: object = NO_VALUE, condition: str = ON) -> Parts:
    return {"Fn::If": [condition, one, other]}


def subnet(block: object, **more: object) -> Parts:
    return part("Subnet", **VPC_ID, CidrBlock=block, **more)


def association(subnet_: object, table: object) -> Parts:
    return part("SubnetRouteTableAssociation", SubnetId=subnet_, RouteTableId=table)


def route(table: object = ref("PrivateTable"), condition: str = "", /, **to: object) -> Parts:
    given = {"RouteTableId": table, "DestinationCidrBlock": ANYWHERE, **to}
    return part("Route", condition, **given)


def attachment(**changes: object) -> Parts:
    given = {**VPC_ID, "InternetGatewayId": ref("Gateway"), **changes}
    return part("VPCGatewayAttachment", **given)


def https(**peer: object) -> Parts:
    """A rule of a security group."""
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **peer}
    return {name: value for name, value in rule.items() if value is not None}


def group(*admits: object, egress: object = None, **more: object) -> Parts:
    """A security group with inbound rules; without `egress`, it allows all outbound traffic."""
    given = {"GroupDescription": "-", **VPC_ID, "SecurityGroupEgress": egress, **more}
    return part("SecurityGroup", SecurityGroupIngress=[*admits] or None, **given)


def compute(**changes: object) -> Parts:
    groups = [att("Group", "GroupId")]
    given = {"SubnetId": ref("Private"), "IamInstanceProfile": ref("Profile"), **changes}
    return part("Instance", **{"SecurityGroupIds": groups, **given})


def endpoint(service: str, condition: str = "", /, **changes: object) -> Parts:
    """An interface endpoint of a service."""
    given = {
        **VPC_ID, "VpcEndpointType": "Interface",
        "ServiceName": {"Fn::Sub": f"com.amazonaws.${{AWS::Region}}.{service}"},
        "PrivateDnsEnabled": True, "SubnetIds": [ref("Private")],
        "SecurityGroupIds": [ref("Admits")], **changes,
    }  # fmt: skip
    return part("VPCEndpoint", condition, **given)


def acl(of_subnet: object = ref("Private"), **entries: Parts | None) -> Parts:
    """A network ACL of a subnet with these entries."""
    uses = {"SubnetId": of_subnet, "NetworkAclId": ref("Acl")}
    its = {"Acl": part("NetworkAcl", **VPC_ID), "Uses": part("SubnetNetworkAclAssociation", **uses)}
    return {**its, **entries}


def entry(number: object = 100, *, egress: object = True, **changes: object) -> Parts:
    of_acl = {"NetworkAclId": ref("Acl"), "RuleNumber": number, "Egress": egress}
    given = {"Protocol": -1, "RuleAction": "allow", "CidrBlock": ANYWHERE, **of_acl, **changes}
    return part("NetworkAclEntry", **given)


def denying(number: object = 99, **changes: object) -> Parts:
    return entry(number, RuleAction="deny", **changes)


IDENTITY: Final = profile_and_role(inline(ALL))["Resources"]
"""A profile whose role has all permissions, so that the network alone decides."""
NETWORK: Final = {
    "Vpc": part("VPC", CidrBlock=BLOCK, EnableDnsSupport=True, EnableDnsHostnames="true"),
    "Gateway": part("InternetGateway"),
    "Attachment": attachment(),
    "Private": subnet("10.0.1.0/24"),
    "Public": subnet("10.0.3.0/24"),
    "PrivateTable": part("RouteTable", **VPC_ID),
    "PublicTable": part("RouteTable", **VPC_ID),
    "PrivateAssociation": association(ref("Private"), ref("PrivateTable")),
    "PublicAssociation": association(ref("Public"), ref("PublicTable")),
    "PrivateRoute": route(**TO_NAT),
    "PublicRoute": route(ref("PublicTable"), GatewayId=ref("Gateway")),
    "Nat": part("NatGateway", SubnetId=ref("Public"), AllocationId="eipalloc-1"),
    "Group": group(),
    "Instance": compute(),
    **IDENTITY,
}
"""An instance behind a NAT gateway, whose role has all permissions."""
ENDPOINTS: Final = {
    "PrivateRoute": None, "Ssm": endpoint("ssm"), "Messages": endpoint("ssmmessages"),
    "Admits": group(https(CidrIp=BLOCK)),
}  # fmt: skip
"""Endpoints in place of the route to the NAT gateway."""


def changed(parts: Parts, changes: Parts) -> Parts:
    """A template of these parts with changes, each of a part or of a property; None takes away."""
    resources = deepcopy(parts)
    for path, value in changes.items():
        name, _, property_ = path.partition(".")
        place, key = (resources[name]["Properties"], property_) if property_ else (resources, name)
        if value is None:
            place.pop(key, None)
        else:
            place[key] = deepcopy(value)
    return {"Resources": resources}


def templated(changes: Parts | None = None, /, **more: Parts | None) -> Parts:
    """A template of an instance behind a NAT gateway, with changes."""
    return changed(NETWORK, {**(changes or {}), **more})


def with_endpoints(changes: Parts | None = None, /, **more: Parts | None) -> Parts:
    """A template of an instance that reaches the services only through endpoints, with changes."""
    return changed(NETWORK, {**ENDPOINTS, **(changes or {}), **more})


def of_ssm(**changes: object) -> Parts:
    """Changes of the endpoint of `ssm`."""
    return {"Ssm": endpoint("ssm", **changes)}


def said(report: Report, of: str = "") -> str:
    """The rules that find something in templates of this name, but what leaves a profile open."""
    found = (one for one in report.findings if one.file.startswith(of))
    rules = {one.rule for one in found if (one.rule, one.logical_id) != (UNKNOWN, "Profile")}
    return " ".join(sorted(rules)) or OPEN
