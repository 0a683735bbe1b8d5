"""Reads VPCs, their internet gateways and their subnets."""

from __future__ import annotations

import re
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final, TypeVar

from session_manager_permissions._network.facts import Fact, Unknown, doubts
from session_manager_permissions._network.model import Endpoint, Subnet, Vpc, Zone
from session_manager_permissions._readiness.parts import SUBNET, VPC, PartKind, may_be_one_region
from session_manager_permissions._readiness.templates.functions import mapping
from session_manager_permissions._readiness.templates.model import Resource

from .acls import acl_of, acls_of
from .endpoints import EndpointReader
from .names import NameReader
from .reading import INTERNET_GATEWAY, ROUTE, TABLE, PartOf, Reader, Reading, Several

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from session_manager_permissions._network.ec2 import Service
    from session_manager_permissions._network.model import OfService, Reference

_GATEWAY: Final = PartOf("AWS::EC2::VPCGatewayAttachment", "VpcId", VPC)
_EDGE: Final = PartOf(
    "AWS::EC2::GatewayRouteTableAssociation",
    "GatewayId",
    PartKind("gateway", (*INTERNET_GATEWAY.types, "AWS::EC2::VPNGateway")),
)
_TABLE_OF: Final = PartOf("AWS::EC2::SubnetRouteTableAssociation", "SubnetId", SUBNET)
_BLOCK_OF: Final = PartOf("AWS::EC2::SubnetCidrBlock", "SubnetId", SUBNET)

_EXCLUDED: Final = "AWS::EC2::VPCBlockPublicAccessExclusion"
_EXCLUSIONS: Final = (PartOf(_EXCLUDED, "SubnetId", SUBNET), PartOf(_EXCLUDED, "VpcId", VPC))
_ALLOWED: Final = "InternetGatewayExclusionMode"

_NETWORK: Final = re.compile("AWS::(EC2|Route53[A-Za-z]*)::.*")
"""The services whose types may change a network. A type that is not known makes it unknown."""
_KNOWN: Final = re.compile(
    "AWS::Route53(Profiles|Resolver)?::(CidrCollection|DNSSEC|DelegationSet|Firewall(DomainList|"
    "Rule(Group(Association)?)?)|HealthCheck|HostedZone|KeySigningKey|OutpostResolver|Profile|"
    "Profile(Resource)?Association|QueryLoggingConfig|RecordSet(Group)?|Resolver(Config|"
    "DNSSECConfig|Endpoint|QueryLoggingConfig(Association)?|Rule(Association)?)|TrafficPolicy"
    "(Instance)?)|"
    "AWS::EC2::(ApplicationStatusCheck|Capacity.*|CarrierGateway|ClientVpn.*|CustomerGateway|"
    "DHCPOptions|EC2Fleet|EIP(Association)?|EgressOnlyInternetGateway|FlowLog|Host|I(PAM|pam).*|"
    "GatewayRouteTableAssociation|Instance(ConnectEndpoint|EventWindow)?|InternetGateway|KeyPair|"
    "LaunchTemplate|LocalGateway.*|NatGateway|Network(Acl(Entry)?|Insights.*)|"
    "NetworkInterface(Attachment|Permission)?|PlacementGroup|PrefixList|Route(Server.*|Table)?|"
    "SecurityGroup(Egress|Ingress|VpcAssociation)?|SpotFleet|Subnet(CidrBlock|CidrReservation|"
    "NetworkAclAssociation|RouteTableAssociation)?|TrafficMirror.*|TransitGateway.*|V(PN|olume).*|"
    "VPC(BlockPublicAccess.*|CidrBlock|DHCPOptionsAssociation|Endpoint.*|GatewayAttachment|"
    "PeeringConnection)?|VerifiedAccess.*)"
)
"""The types of these services that are read, or that change no path by themselves."""
_MONITORING: Final = ("AWS::EC2::VPCEncryptionControl", "monitor")
"""The type and the mode of an encryption control that only reports, and drops no traffic."""

_OfService = TypeVar("_OfService", bound=Endpoint | Zone)


class VpcReader(Reader):
    """Reads VPCs, with the internet gateways that are attached to them."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self._endpoints = EndpointReader(reading)
        self._names = NameReader(reading)

    def read(self, vpc: Resource) -> Vpc:
        """Read a VPC."""
        parts, properties = self._parts, vpc.properties
        support, host_names = map(properties.get, ("EnableDnsSupport", "EnableDnsHostnames"))
        return Vpc(
            vpc.logical_id,
            self._reading.ranges(vpc),
            dns_support=parts.fact(vpc, support, "DNS support", default=True),
            dns_hostnames=parts.fact(vpc, host_names, "DNS host names", default=False),
            resolver=self._names.resolver(vpc),
            names_pass=self._names.names_pass(vpc),
            endpoints=self._by_service(self._endpoints.endpoints, vpc),
            zones=self._by_service(self._names.zones, vpc),
            complete=parts.named_by_unread_stack(vpc)
            or self._reading.made_unseen(vpc)
            or self._changed_by(vpc)
            or True,
            acls=Several(parts, partial(acls_of, self._reading), vpc),
            internet_gateways=Several(parts, self._gateways, vpc),
            default_group=vpc,
        )

    def _by_service(
        self, read: Callable[[Resource, Service], Iterable[_OfService]], vpc: Resource
    ) -> OfService[_OfService]:
        """Return a function that reads what a VPC has for a service, once for each service."""
        once = self._parts.worlds.once
        return lambda service: once((read, vpc, service), lambda: [*read(vpc, service)])

    def _changed_by(self, vpc: Resource) -> Unknown | None:
        """What may drop traffic in a VPC: its encryption control, or a resource of unknown type."""
        _, monitors = _MONITORING
        control = vpc.properties.get("VpcEncryptionControl", {"Mode": monitors})
        if mapping(control).get("Mode") != monitors:
            return Unknown(f"the encryption control of {vpc.logical_id!r}")
        for part, several in self._unknown_types.items():
            if part is vpc or self._parts.vpc_of(part) is vpc:
                for one in several:
                    if one.exists and (one.type, one.properties.get("Mode")) != _MONITORING:
                        return Unknown(f"what the {one.type} {one.logical_id!r} does")
        return None

    @cached_property
    def _unknown_types(self) -> dict[Resource, list[Resource]]:
        types = filter(_NETWORK.fullmatch, self._parts.by_type)
        strange = [one for one in types if not _KNOWN.fullmatch(one)]
        return self._parts.by_mentioned(self._parts.of_types(strange))

    def _gateways(self, vpc: Resource) -> tuple[tuple[Reference, Fact], ...]:
        """The internet gateways, each with whether it is attached and open."""
        found: list[tuple[Reference, Fact]] = []
        for one in self._reading.of(vpc, _GATEWAY):
            value = one.properties.get("InternetGatewayId")
            if value is not None:
                gateway = self._parts.reference(one, value, INTERNET_GATEWAY)
                found.append((gateway, self._routed(gateway)))
        unseen = self._reading.unseen(vpc, _GATEWAY)
        return (*found, *((one, True) for one in doubts([unseen or True])))

    def _routed(self, gateway: Reference) -> Fact:
        """Whether inbound traffic from an internet gateway goes directly to its destination.

        A route table of the gateway may divert it to an appliance.
        https://docs.aws.amazon.com/vpc/latest/userguide/gateway-route-tables.html
        """
        if not isinstance(gateway, Resource):
            return True
        for one in self._reading.of(gateway, _EDGE):
            table = self._parts.reference(one, one.properties.get("RouteTableId"), TABLE)
            if not isinstance(table, Resource) or self._reading.of(table, ROUTE):
                return Unknown(f"the route table of the internet gateway {gateway.logical_id!r}")
        return self._reading.unseen(gateway, _EDGE) or True


class SubnetReader(Reader):
    """Reads subnets, with their route tables and network ACLs."""

    def read(self, subnet: Resource) -> Subnet:
        """Read a subnet."""
        properties, parts = subnet.properties, self._parts
        vpc = parts.reference(subnet, properties.get("VpcId"), VPC)
        native = parts.fact(subnet, properties.get("Ipv6Native"), "IPv6", default=False)
        gives = properties.get("MapPublicIpOnLaunch")
        return Subnet(
            subnet,
            subnet.logical_id,
            vpc if native is False else Unknown("whether the agent uses IPv6"),
            self._reading.block(subnet),
            public_addresses=parts.fact(subnet, gives, "public address", default=False),
            ipv6=any(name in properties for name in ("Ipv6CidrBlock", "Ipv6IpamPoolId"))
            or bool(self._reading.of(subnet, _BLOCK_OF)),
            table=self._table(subnet, vpc),
            acl=acl_of(self._reading, subnet, vpc),
            blocked=self._blocked(subnet, vpc),
            zones=self._reading.zones(subnet, properties),
        )

    def _blocked(self, subnet: Resource, vpc: Reference) -> str:
        """The mode of VPC Block Public Access that the app sets for a subnet."""
        for one in self._parts.by_type["AWS::EC2::VPCBlockPublicAccessOptions"]:
            if may_be_one_region(one.template.stack, subnet.template.stack) and one.exists:
                mode = self._parts.text(one, one.properties.get("InternetGatewayBlockMode"))
                if mode != "off":
                    return self._but_for_exclusions(mode, subnet, vpc)
        return "off"

    def _but_for_exclusions(self, mode: str, *of: Reference) -> str:
        """The mode that remains for a subnet, if the subnet or its VPC has an exclusion.

        https://docs.aws.amazon.com/vpc/latest/userguide/security-vpc-bpa-basics.html
        """
        several = zip(of, _EXCLUSIONS, strict=True)
        found = [one for part, kind in several for one in self._reading.of(part, kind)]
        allowed = {self._parts.text(one, one.properties.get(_ALLOWED)) for one in found}
        if "allow-bidirectional" in allowed:
            return "off"
        return "block-ingress" if "allow-egress" in allowed else mode

    def _table(self, subnet: Resource, vpc: Reference) -> Reference:
        """The route table that a subnet is associated with, or else the main one of its VPC."""
        for one in self._reading.of(subnet, _TABLE_OF):
            return self._parts.reference(one, one.properties.get("RouteTableId"), TABLE)
        return self._reading.unseen(subnet, _TABLE_OF) or vpc
