"""Reads security groups and their rules."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from session_manager_permissions._network.ec2 import admits_https
from session_manager_permissions._network.facts import Fact, Unknown, all_of, doubts
from session_manager_permissions._network.model import (
    GroupPeer,
    Peer,
    PrefixList,
    Rule,
    SecurityGroup,
)
from session_manager_permissions._network.place import PUBLIC
from session_manager_permissions._readiness.templates import Resource, listed, present, shown
from session_manager_permissions._readiness.values import (
    CLUSTERS,
    GROUP,
    RESTRICTED,
    decider,
    mappings,
)

from .reading import INBOUND, OUTBOUND

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .reading import Reading


def read_groups(reading: Reading) -> None:
    """Read the security groups, with those that AWS makes for each VPC and each cluster of EKS."""
    values = reading.values
    inbound = _separate(reading, "AWS::EC2::SecurityGroupIngress", "Source", INBOUND)
    outbound = _separate(reading, "AWS::EC2::SecurityGroupEgress", "Destination", OUTBOUND)

    def add(group: Resource, name: str, into: list[Rule], out: list[Rule]) -> None:
        reading.network.groups[group] = SecurityGroup(
            name,
            (*into, *inbound[group], *_unseen(reading, INBOUND, group)),
            (*out, *outbound[group], *_unseen(reading, OUTBOUND, group)),
            values.customised.get(group, True),
        )

    for resource in values.by_type["AWS::EC2::SecurityGroup"]:
        egress = present(resource.properties, "SecurityGroupEgress")
        out = _inline(reading, resource, egress, "Destination")
        out += _default_egress(resource, egress, separate=resource in outbound)
        ingress = resource.properties.get("SecurityGroupIngress")
        add(resource, resource.logical_id, _inline(reading, resource, ingress, "Source"), out)
    restricted = {
        values.behind(resource.template, resource.properties.get("DefaultSecurityGroupId"))
        for resource in values.by_type[RESTRICTED]
    }
    owners = [*reading.network.vpcs, *(one for type_ in CLUSTERS for one in values.by_type[type_])]
    for owner in owners:
        assert isinstance(owner, Resource)  # noqa: S101 # as all ids of this network
        into, out = [Rule(GroupPeer(owner))], [Rule(PUBLIC)]
        if owner in restricted:
            into, out = [], []
        add(owner, f"default of {owner.logical_id}", into, out)


def _separate(
    reading: Reading, type_: str, side: str, kind: str
) -> defaultdict[Hashable, list[Rule]]:
    """The rules that are resources of their own, by group."""
    rules: defaultdict[Hashable, list[Rule]] = defaultdict(list)
    gathered = reading.gathered(type_, "GroupId", GROUP, kind, detail=_may_admit)
    for group, resources in gathered.items():
        for resource in resources:
            exists = reading.values.exists(resource)
            rules[group] += _rule(reading, resource, resource.properties, side, exists)
    return rules


def _may_admit(resource: Resource) -> bool:
    return _admits(resource.properties) is not False


def _admits(entry: dict[str, Any]) -> bool | None:
    return admits_https(entry.get("IpProtocol"), entry.get("FromPort"), entry.get("ToPort"))


def _unseen(reading: Reading, kind: str, group: Resource) -> list[Rule]:
    """Return a rule that stands for those that may be defined where they can't be seen."""
    return [Rule(doubt, doubt) for doubt in doubts([reading.complete(kind, group)])]


def _inline(reading: Reading, resource: Resource, value: object, side: str) -> list[Rule]:
    rules: list[Rule] = []
    for entry, written, certain in mappings(value):
        doubt = Unknown(decider(written if certain else value, "rule"))
        if entry is None:
            rules.append(Rule(doubt))
        else:
            rules += _rule(reading, resource, entry, side, certain or doubt)
    return rules


def _rule(
    reading: Reading, resource: Resource, entry: dict[str, Any], side: str, exists: Fact
) -> list[Rule]:
    """A rule, where it is about TCP 443."""
    admits = _admits(entry)
    peer = _peer(reading, resource, entry, side)
    if admits is False:
        return []
    ports = admits or Unknown(f"the ports of a rule of {resource.logical_id!r}")
    return [Rule(peer, all_of((ports, exists)))]


def _peer(reading: Reading, resource: Resource, entry: dict[str, Any], side: str) -> Peer:
    """The peer of a rule."""
    block, block6 = present(entry, "CidrIp"), present(entry, "CidrIpv6")
    if block is not None:
        return reading.range(resource, block)
    group = present(entry, f"{side}SecurityGroupId")
    if group is not None:
        return GroupPeer(reading.values.reference(resource.template, group, GROUP))
    list_ = present(entry, f"{side}PrefixListId")
    if list_ is not None:
        return PrefixList(f"the prefix list {shown(list_)}")
    return Unknown(f"the peer of a rule of {resource.logical_id!r}") if block6 is None else "ipv6"


def _default_egress(resource: Resource, written: object, *, separate: bool) -> list[Rule]:
    """The rule that lets everything out, which a group has by default.

    With inline rules it is gone. If the rules are separate resources, the CloudFormation
    reference says that it stays, and an issue of CDK says that it goes: it can't be known.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-securitygroup.html
    """
    if any(certain for _, certain in listed(written)):
        return []
    name = resource.logical_id
    if written is not None:
        return [Rule(PUBLIC, Unknown(f"whether the default egress of {name!r} stays"))]
    if separate:
        return [
            Rule(PUBLIC, Unknown(f"whether the default egress of {name!r} stays beside its rules"))
        ]
    return [Rule(PUBLIC)]
