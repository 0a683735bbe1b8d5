"""Reads network ACLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from session_manager_permissions._network.facts import Fact, Unknown, all_of
from session_manager_permissions._network.model import AclEntry, NetworkAcl
from session_manager_permissions._readiness.parts import SUBNET, VPC, PartKind, decider
from session_manager_permissions._readiness.templates.functions import mapping
from session_manager_permissions._readiness.templates.model import Resource

from .reading import PartOf

if TYPE_CHECKING:
    from .reading import Reading


_ACL: Final = PartKind("network ACL", ("AWS::EC2::NetworkAcl", *VPC.types))
"""A VPC stands for its default network ACL."""

_ASSOCIATION: Final = PartOf("AWS::EC2::SubnetNetworkAclAssociation", "SubnetId", SUBNET)
_ENTRY: Final = PartOf("AWS::EC2::NetworkAclEntry", "NetworkAclId", _ACL)
_TCP: Final = {"6", "-1"}


def acl_of(reading: Reading, subnet: Resource, vpc: object) -> NetworkAcl | Unknown | None:
    """The network ACL of a subnet; None where that is the default one of its VPC, as it is made."""
    unseen = reading.unseen(subnet, _ASSOCIATION)
    if unseen is not None:
        return unseen
    for association in reading.of(subnet, _ASSOCIATION):
        value = association.properties.get("NetworkAclId")
        acl = reading.parts.behind(association.template, value)
        if isinstance(acl, Resource):
            return _acl(reading, acl)
        return Unknown(decider(value, _ACL.noun))
    if reading.of(vpc, _ENTRY) and isinstance(vpc, Resource):
        return Unknown(f"the default network ACL of {vpc.logical_id!r}")
    return None


def _acl(reading: Reading, acl: Resource) -> NetworkAcl | Unknown:
    read = [_entry(reading, entry) for entry in reading.of(acl, _ENTRY)]
    facts: list[Fact] = [reading.complete(acl, _ENTRY), reading.parts.changed(acl) or True]
    doubt = all_of([*facts, *(entry for entry in read if isinstance(entry, Unknown))])
    if isinstance(doubt, Unknown):
        return doubt
    return NetworkAcl(acl.logical_id, tuple(one for one in read if isinstance(one, AclEntry)))


def _entry(reading: Reading, resource: Resource) -> AclEntry | Unknown | None:
    """An entry; None where it is not of TCP over IPv4."""
    properties, parts = resource.properties, reading.parts
    protocol = parts.text(resource, properties.get("Protocol"))
    doubt = Unknown(f"the network ACL entry {resource.logical_id!r}")
    if "CidrBlock" not in properties or (protocol.isdecimal() and protocol not in _TCP):
        return None
    ports = mapping(properties.get("PortRange", {"From": 0, "To": 65535}))
    egress = parts.fact(resource, properties.get("Egress"), "direction", default=False)
    try:
        number = int(parts.text(resource, properties.get("RuleNumber")))
        low, high = (int(parts.text(resource, ports.get(name))) for name in ("From", "To"))
    except ValueError:
        return doubt
    action = parts.text(resource, properties.get("RuleAction"))
    allows = {"allow": True, "deny": False}.get(action)
    if protocol not in _TCP or allows is None or isinstance(egress, Unknown):
        return doubt
    range_ = reading.range(resource, properties["CidrBlock"])
    return AclEntry(number, egress, allows, range_, (0, 65535) if protocol == "-1" else (low, high))
