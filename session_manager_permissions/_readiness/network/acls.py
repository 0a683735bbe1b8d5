"""Reads network ACLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from session_manager_permissions._network.facts import Unknown, all_of
from session_manager_permissions._network.model import AclEntry, NetworkAcl
from session_manager_permissions._readiness.templates import Resource, text
from session_manager_permissions._readiness.values import SUBNET, VPC, PartKind, decider, fact

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .reading import Reading


ACL: Final = PartKind("network ACL", ("AWS::EC2::NetworkAcl", *VPC.types))
"""A VPC stands for its default network ACL."""

_TCP: Final = {"6", "-1"}


def acls_of(
    reading: Reading, entries: dict[Hashable, list[Resource]]
) -> dict[Hashable, NetworkAcl | Unknown]:
    """The network ACL of each subnet that is given one, of the entries of each."""
    values = reading.values
    found: dict[Hashable, NetworkAcl | Unknown] = {}
    for resource in values.by_type["AWS::EC2::SubnetNetworkAclAssociation"]:
        template, properties = resource.template, resource.properties
        subnet = values.reference(template, properties.get("SubnetId"), SUBNET)
        if isinstance(subnet, Unknown):
            reading.leave_open("acls", template, subnet.decides)
            continue
        acl = values.behind(template, properties.get("NetworkAclId"))
        if not isinstance(acl, Resource):
            found[subnet] = Unknown(decider(properties.get("NetworkAclId"), ACL.noun))
            continue
        own = entries.get(acl, [])
        read = [_entry(reading, entry) for entry in own]
        known = [entry for entry in read if isinstance(entry, AclEntry)]
        facts = [values.exists(one) for one in (resource, *own)]
        facts += [reading.complete("entries", acl), values.customised.get(acl, True)]
        facts += [entry for entry in read if isinstance(entry, Unknown)]
        doubt = all_of(facts)
        found[subnet] = (
            doubt if isinstance(doubt, Unknown) else NetworkAcl(acl.logical_id, tuple(known))
        )
    return found


def _entry(reading: Reading, resource: Resource) -> AclEntry | Unknown | None:
    """An entry; None where it is not of TCP over IPv4."""
    properties = resource.properties
    protocol = str(properties.get("Protocol"))
    doubt = Unknown(f"the network ACL entry {resource.logical_id!r}")
    if "CidrBlock" not in properties or (protocol.isdecimal() and protocol not in _TCP):
        return None
    ports = properties.get("PortRange", {"From": 0, "To": 65535})
    egress = fact(properties.get("Egress"), "direction", default=False)
    try:
        number = int(str(properties.get("RuleNumber")))
        low, high = int(str(ports["From"])), int(str(ports["To"]))
    except (KeyError, TypeError, ValueError):
        return doubt
    allows = {"allow": True, "deny": False}.get(text(properties.get("RuleAction")))
    if protocol not in _TCP or allows is None or isinstance(egress, Unknown):
        return doubt
    ports = (0, 65535) if protocol == "-1" else (low, high)
    return AclEntry(number, egress, allows, reading.range(resource, properties["CidrBlock"]), ports)
