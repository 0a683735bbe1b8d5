"""Reads security groups and their rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._network.ec2 import admits_https
from session_manager_permissions._network.facts import Fact, Unknown, doubts
from session_manager_permissions._network.model import GroupPeer, Peer, Rule, SecurityGroup
from session_manager_permissions._network.place import PUBLIC
from session_manager_permissions._readiness.parts import CLUSTERS, GROUP, RESTRICTED, VPC, decider
from session_manager_permissions._readiness.templates.functions import candidates, is_mapping

from .reading import PartOf, Reader, Several

if TYPE_CHECKING:
    from collections.abc import Sequence

    from session_manager_permissions._readiness.templates.model import Resource

_EGRESS: Final = PartOf("AWS::EC2::SecurityGroupEgress", "GroupId", GROUP)
_INGRESS: Final = PartOf("AWS::EC2::SecurityGroupIngress", "GroupId", GROUP)
_RESTRICTED: Final = PartOf(RESTRICTED, "DefaultSecurityGroupId", GROUP)


class GroupReader(Reader):
    """Reads security groups, with those that AWS makes for each VPC and each EKS cluster."""

    def read(self, resource: Resource) -> SecurityGroup:
        """Read a group."""
        made = resource.type in (*VPC.types, *CLUSTERS)
        return SecurityGroup(
            f"default of {resource.logical_id}" if made else resource.logical_id,
            Several(self._parts, self._inbound, resource),
            Several(self._parts, self._outbound, resource),
            self._parts.changed(resource) or True,
        )

    def _inbound(self, group: Resource) -> list[Rule]:
        rules = self._inline(group, "SecurityGroupIngress", "Source")
        if self._is_default(group):
            rules.append(Rule(GroupPeer(group)))
        return [*rules, *self._separate(group, _INGRESS, "Source")]

    def _outbound(self, group: Resource) -> list[Rule]:
        rules = self._inline(group, "SecurityGroupEgress", "Destination")
        if group.type in _WRITTEN:
            rules += self._default_egress(group)
        elif self._is_default(group):
            rules.append(Rule(PUBLIC))
        return [*rules, *self._separate(group, _EGRESS, "Destination")]

    def _is_default(self, group: Resource) -> bool:
        """Whether AWS makes a group, and CDK does not remove its default rules."""
        return group.type not in _WRITTEN and not self._reading.of(group, _RESTRICTED)

    def _separate(self, group: Resource, kind: PartOf, side: str) -> list[Rule]:
        """The rules that are resources of their own, and an unknown one if there may be more."""
        rules = [
            Rule(peer, self._ports(one, one.properties))
            for one in self._reading.of(group, kind, self._may_admit)
            for peer in self._peers(one, one.properties, side)
        ]
        doubt = self._reading.complete(group, kind, self._may_admit)
        return [*rules, *(Rule(one, one) for one in doubts([doubt]))]

    def _inline(self, group: Resource, name: str, side: str) -> list[Rule]:
        rules: list[Rule] = []
        for entry in candidates(group.properties, name):
            if not is_mapping(entry.value):
                if entry.is_there:
                    rules.append(Rule(Unknown(decider(entry.value, "rule"))))
                continue
            ports = self._ports(group, entry.value)
            if ports is not False and entry.is_there:
                rules += [Rule(peer, ports) for peer in self._peers(group, entry.value, side)]
        return rules

    def _may_admit(self, resource: Resource) -> bool:
        return self._ports(resource, resource.properties) is not False

    def _ports(self, resource: Resource, entry: dict[str, Any]) -> Fact:
        """Whether a rule is about TCP 443."""
        written = (entry.get(name) for name in ("IpProtocol", "FromPort", "ToPort"))
        admits = admits_https(
            *(self._parts.text(resource, one) if isinstance(one, dict) else one for one in written)
        )
        if admits is None:
            return Unknown(f"the protocol or the ports of a rule of {resource.logical_id!r}")
        return admits

    def _peers(self, resource: Resource, entry: dict[str, Any], side: str) -> Sequence[Peer]:
        """The peers of a rule: one, or each entry of a prefix list of the app."""
        block, block6 = entry.get("CidrIp"), entry.get("CidrIpv6")
        if block is not None:
            return [self._reading.range(resource, block)]
        group = entry.get(f"{side}SecurityGroupId")
        if group is not None:
            return [GroupPeer(self._parts.reference(resource, group, GROUP))]
        list_ = entry.get(f"{side}PrefixListId")
        if list_ is not None:
            return self._reading.in_prefix_list(resource, list_)
        if block6 is None:
            return [Unknown(f"the source or the destination of a rule of {resource.logical_id!r}")]
        return ["ipv6"]

    def _default_egress(self, group: Resource) -> list[Rule]:
        """The rule that allows all outbound traffic, which a group has by default.

        Inline rules replace it. If the rules are separate resources, the CloudFormation reference
        says that it stays, and an issue of CDK says that it is removed: it can't be known.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-securitygroup.html
        """
        if any(one.is_there for one in candidates(group.properties, "SecurityGroupEgress")):
            return []
        stays = f"whether the default egress rule of {group.logical_id!r} stays"
        if group.properties.get("SecurityGroupEgress") is not None:
            return [Rule(PUBLIC, Unknown(stays))]
        if self._reading.of(group, _EGRESS):
            return [Rule(PUBLIC, Unknown(f"{stays} beside the others"))]
        return [Rule(PUBLIC)]


_WRITTEN: Final = ("AWS::EC2::SecurityGroup",)
