"""Reads network ACLs."""

from __future__ import annotations

from typing import Final

from session_manager_permissions._network.ec2 import ALL_PORTS, number
from session_manager_permissions._network.facts import Fact, Unknown, all_of
from session_manager_permissions._network.model import AclEntry, NetworkAcl
from session_manager_permissions._network.place import PUBLIC
from session_manager_permissions._readiness.parts import SUBNET, VPC, PartKind, decider
from session_manager_permissions._readiness.templates.functions import mapping
from session_manager_permissions._readiness.templates.model import Resource

from .reading import PartOf, Reading

_ACL: Final = PartKind("network ACL", ("AWS::EC2::NetworkAcl", *VPC.types))
"""A VPC stands for its default network ACL."""

_ACL_IN_VPC: Final = PartOf("AWS::EC2::NetworkAcl", "VpcId", VPC)
_ASSOCIATION: Final = PartOf("AWS::EC2::SubnetNetworkAclAssociation", "SubnetId", SUBNET)
_ENTRY: Final = PartOf("AWS::EC2::NetworkAclEntry", "NetworkAclId", _ACL)
_TCP: Final = {"6", "-1"}
_ALL: Final = {"From": ALL_PORTS[0], "To": ALL_PORTS[1]}

_DEFAULTS: Final = [AclEntry(100, egress, allows=True, range=PUBLIC) for egress in (True, False)]
"""The entries that AWS makes in the default network ACL of a VPC.

https://docs.aws.amazon.com/vpc/latest/userguide/default-network-acl.html
"""


def acl_of(reading: Reading, subnet: Resource, vpc: object) -> NetworkAcl | Unknown | None:
    """The network ACL of a subnet; None if it is the default one of its VPC, unchanged."""
    unseen = reading.unseen(subnet, _ASSOCIATION)
    if unseen is not None:
        return unseen
    for association in reading.of(subnet, _ASSOCIATION):
        value = association.properties.get("NetworkAclId")
        acl = reading.parts.behind(association, value)
        if not isinstance(acl, Resource) or acl.type not in _ACL.types:
            return Unknown(decider(value, _ACL.noun))
        if acl.type not in VPC.types:
            return _acl(reading, acl)
        vpc = acl
    return _default(reading, vpc)


def acls_of(reading: Reading, vpc: Resource) -> list[NetworkAcl | Unknown]:
    """The network ACLs that a subnet of a VPC may have, besides the unchanged default one."""
    several: list[NetworkAcl | Unknown | None]
    several = [_acl(reading, one) for one in reading.of(vpc, _ACL_IN_VPC)]
    several += reading.unseen(vpc, _ACL_IN_VPC), _default(reading, vpc)
    return [one for one in several if one is not None]


def _default(reading: Reading, vpc: object) -> NetworkAcl | Unknown | None:
    """The default network ACL of a VPC, if the app adds entries to it."""
    return _acl(reading, vpc) if isinstance(vpc, Resource) and reading.of(vpc, _ENTRY) else None


def _acl(reading: Reading, acl: Resource) -> NetworkAcl | Unknown:
    read = [_entry(reading, entry) for entry in reading.of(acl, _ENTRY)]
    facts: list[Fact] = [reading.complete(acl, _ENTRY), reading.parts.changed(acl) or True]
    doubt = all_of([*facts, *(entry for entry in read if isinstance(entry, Unknown))])
    if isinstance(doubt, Unknown):
        return doubt
    entries = [one for one in read if isinstance(one, AclEntry)]
    if acl.type in VPC.types:
        return NetworkAcl(f"default of {acl.logical_id}", (*_DEFAULTS, *entries))
    return NetworkAcl(acl.logical_id, (*entries,))


def _entry(reading: Reading, resource: Resource) -> AclEntry | Unknown | None:
    """An entry; None if it is not about TCP over IPv4."""
    properties, parts = resource.properties, reading.parts
    protocol = parts.text(resource, properties.get("Protocol"))
    doubt = Unknown(f"the network ACL entry {resource.logical_id!r}")
    if "CidrBlock" not in properties or (number(protocol) is not None and protocol not in _TCP):
        return None
    ports = _ALL if protocol == "-1" else mapping(properties.get("PortRange", _ALL))
    written = properties.get("RuleNumber"), ports.get("From"), ports.get("To")
    egress = parts.fact(resource, properties.get("Egress"), "direction", default=False)
    allows = {"allow": True, "deny": False}.get(parts.text(resource, properties.get("RuleAction")))
    if protocol not in _TCP or allows is None or isinstance(egress, Unknown):
        return doubt
    match [number(parts.text(resource, one)) for one in written]:
        case [int(rule), int(low), int(high)]:
            range_ = reading.range(resource, properties["CidrBlock"])
            return AclEntry(rule, egress, allows, range_, (low, high))
    return doubt
