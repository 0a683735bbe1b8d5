"""Reads the network of an app out of its synthesized templates."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._network.facts import Fact, Unknown, all_of
from session_manager_permissions._network.model import (
    AclEntry,
    Endpoint,
    GroupPeer,
    Leads,
    NatGateway,
    Network,
    NetworkAcl,
    Peer,
    PrefixList,
    Route,
    RouteTable,
    Rule,
    SecurityGroup,
    Subnet,
    Vpc,
    Zone,
)
from session_manager_permissions._network.place import PUBLIC
from session_manager_permissions._network.reading import SERVICES, admits_https, service_of

from .templates import UNKNOWN, Resource, listed, shown, text
from .values import CLUSTERS, GROUP, SUBNET, VPC, Values, decider, fact, mappings, present

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from session_manager_permissions._network.model import Range, Reference

    from .templates import Template

_TABLE: Final = frozenset({"AWS::EC2::RouteTable"})
_NAT: Final = frozenset({"AWS::EC2::NatGateway"})
_ACL: Final = frozenset({"AWS::EC2::NetworkAcl"}) | VPC
"""A VPC stands for its default network ACL."""
_INTERNET_GATEWAY: Final = frozenset({"AWS::EC2::InternetGateway"})

_ELSEWHERE: Final = {
    "CarrierGatewayId": "carrier gateway",
    "CoreNetworkArn": "core network",
    "InstanceId": "instance",
    "LocalGatewayId": "local gateway",
    "NetworkInterfaceId": "network interface",
    "OdbNetworkArn": "ODB network",
    "TransitGatewayId": "transit gateway",
    "VpcEndpointId": "VPC endpoint",
    "VpcPeeringConnectionId": "VPC peering connection",
}
"""The targets of a route behind which the templates do not show what is."""

_PROPAGATIONS: Final = {
    "AWS::EC2::RouteServerPropagation": "RouteTableId",
    "AWS::EC2::VPNGatewayRoutePropagation": "RouteTableIds",
}
"""The resources that put routes into tables by themselves, and the property that names these."""

_RESOLVERS: Final = {
    "AWS::Route53Profiles::ProfileAssociation": "ResourceId",
    "AWS::Route53Resolver::ResolverRuleAssociation": "VPCId",
}
"""The resources that may have the names of a VPC resolved in another way."""

_RESTRICTED: Final = "Custom::VpcRestrictDefaultSG"
"""What CDK makes for `restrict_default_security_group`: it empties a VPC's default group."""

_TCP: Final = {"6", "-1"}

_ONLY_INBOUND: Final = "PrivateDnsOnlyForInboundResolverEndpoint"
"""Whom the private DNS of an interface endpoint of S3 serves: the VPC too, or only who asks from
outside by a resolver endpoint.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html#private-dns-s3
"""


def network_of(values: Values) -> Network:
    """The network that the templates of an app describe.

    What else is in the VPCs of the app, by hand or by another app, is not in it. What the templates
    leave open, and what a custom resource or a loop may add, is unknown in it.
    """
    return _Reader(values).network


class _Reader:
    """Reads each resource once."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self.network = Network()
        self._open: dict[tuple[str, str], str] = {}
        self._note_what_is_hidden()
        self._note_what_blocks_public_access()
        self._read_vpcs()
        self._read_subnets()
        self._read_tables()
        self._read_nat_gateways()
        self._read_groups()
        self._read_endpoints()
        self._read_zones()

    # What can't be seen --------------------------------------------------------------------------

    def _note_what_is_hidden(self) -> None:
        for template in self._values.templates:
            if template.generates:
                for kind in ("endpoints", "routes", "rules"):
                    self._leave_open(kind, template, template.generates)

    def _leave_open(self, kind: str, template: Template, decides: str) -> None:
        """Note that more of a kind may be anywhere in the environment of a template."""
        self._open.setdefault((kind, template.environment), decides)

    def _complete(self, kind: str, resource: Resource) -> Fact:
        decides = self._open.get((kind, resource.template.environment))
        return True if decides is None else Unknown(decides)

    def _customised(self, types: frozenset[str]) -> dict[Hashable, Unknown]:
        """The resources of these types that a custom resource may change."""
        found: dict[Hashable, Unknown] = {}
        for type_, resources in self._values.by_type.items():
            if not type_.startswith(("Custom::", "AWS::CloudFormation::CustomResource")):
                continue
            if type_ == _RESTRICTED or type_.startswith("Custom::AWSCDK-EKS"):
                continue
            for resource in resources:
                for name in resource.mentions:
                    mentioned = resource.template.resources.get(name)
                    if mentioned is not None and mentioned.type in types:
                        by = Unknown(f"the custom resource {resource.logical_id!r}")
                        found.setdefault(mentioned, by)
        return found

    def _gathered(
        self, type_: str, by: str, types: frozenset[str], kind: str, noun: str
    ) -> defaultdict[Hashable, list[Resource]]:
        """The resources of a type by what one of their properties refers to.

        One that may belong to anything leaves the kind open.
        """
        gathered: defaultdict[Hashable, list[Resource]] = defaultdict(list)
        for resource in self._values.by_type[type_]:
            value = resource.properties.get(by)
            for reference in self._values.references(resource.template, value, types, noun):
                if isinstance(reference, Unknown):
                    self._leave_open(kind, resource.template, reference.decides)
                else:
                    gathered[reference].append(resource)
        return gathered

    # VPCs and subnets ----------------------------------------------------------------------------

    def _read_vpcs(self) -> None:
        values = self._values
        ranges = self._gathered("AWS::EC2::VPCCidrBlock", "VpcId", VPC, "ranges", "VPC")
        attachments = self._gathered(
            "AWS::EC2::VPCGatewayAttachment", "VpcId", VPC, "attachments", "VPC"
        )
        resolvers = self._resolvers()
        for resource in values.by_type["AWS::EC2::VPC"]:
            properties = resource.properties
            own = values.range(resource.template, properties.get("CidrBlock"))
            name = resource.logical_id
            self.network.vpcs[resource] = Vpc(
                name,
                (
                    own if not isinstance(own, Resource) else Unknown(f"the CIDR of {name!r}"),
                    *(
                        self._range(more, more.properties.get("CidrBlock"))
                        for more in ranges[resource]
                        if not any("pv6" in name for name in more.properties)
                    ),
                    *_if_unknown(self._complete("ranges", resource)),
                ),
                dns_support=fact(properties.get("EnableDnsSupport"), "DNS support", default=True),
                dns_hostnames=fact(
                    properties.get("EnableDnsHostnames"), "DNS host names", default=False
                ),
                resolver=resolvers.get(resource, True),
                complete=self._complete("endpoints", resource),
                internet_gateways=(
                    *(
                        self._attached(attachment)
                        for attachment in attachments[resource]
                        if "InternetGatewayId" in attachment.properties
                    ),
                    *((one, True) for one in _if_unknown(self._complete("attachments", resource))),
                ),
                default_group=resource,
            )

    def _attached(self, attachment: Resource) -> tuple[Reference, Fact]:
        """The internet gateway of an attachment, and whether that is deployed."""
        value, noun = attachment.properties["InternetGatewayId"], "internet gateway"
        reference = self._values.reference(attachment.template, value, _INTERNET_GATEWAY, noun)
        blocks = self._complete("public access", attachment)
        return reference, all_of((self._values.exists(attachment), blocks))

    def _note_what_blocks_public_access(self) -> None:
        """Note what may shut the internet gateways of an account and region.

        https://docs.aws.amazon.com/vpc/latest/userguide/security-vpc-bpa.html
        """
        for resource in self._values.by_type["AWS::EC2::VPCBlockPublicAccessOptions"]:
            if text(resource.properties.get("InternetGatewayBlockMode")) != "off":
                by = f"the VPC Block Public Access of {resource.logical_id!r}"
                self._leave_open("public access", resource.template, by)

    def _resolvers(self) -> dict[Hashable, Unknown]:
        """The VPCs whose instances may not ask Amazon's DNS resolver alone."""
        values = self._values
        found: dict[Hashable, Unknown] = {}
        for resource in values.by_type["AWS::EC2::VPCDHCPOptionsAssociation"]:
            properties = resource.properties
            options = values.behind(resource.template, properties.get("DhcpOptionsId"))
            if isinstance(options, Resource):
                servers = options.properties.get("DomainNameServers", ["AmazonProvidedDNS"])
                if servers == ["AmazonProvidedDNS"]:
                    continue
            vpc = values.behind(resource.template, properties.get("VpcId"))
            found[vpc] = Unknown(f"the DNS servers of {resource.logical_id!r}")
        for type_, by in _RESOLVERS.items():
            for resource in values.by_type[type_]:
                vpc = values.behind(resource.template, resource.properties.get(by))
                found[vpc] = Unknown(f"the DNS rules of {resource.logical_id!r}")
        return found

    def _read_subnets(self) -> None:
        values = self._values
        associations = self._gathered(
            "AWS::EC2::SubnetRouteTableAssociation", "SubnetId", SUBNET, "associations", "subnet"
        )
        blocks = self._gathered("AWS::EC2::SubnetCidrBlock", "SubnetId", SUBNET, "ipv6", "subnet")
        entries = self._gathered(
            "AWS::EC2::NetworkAclEntry", "NetworkAclId", _ACL, "entries", "network ACL"
        )
        acls = self._acls(entries)
        for resource in values.by_type["AWS::EC2::Subnet"]:
            properties = resource.properties
            tables = [
                (
                    values.reference(
                        association.template,
                        association.properties.get("RouteTableId"),
                        _TABLE,
                        "route table",
                    ),
                    values.exists(association),
                )
                for association in associations[resource]
            ]
            somewhere = self._complete("associations", resource)
            if isinstance(somewhere, Unknown):
                tables.append((somewhere, somewhere))
            vpc = values.reference(resource.template, properties.get("VpcId"), VPC, "VPC")
            acl = acls.get(resource)
            if acl is None and vpc in entries:  # which a VPC stands for
                acl = Unknown(f"the default network ACL of {resource.logical_id!r}")
            if fact(properties.get("Ipv6Native"), "IPv6", default=False) is not False:
                vpc = Unknown("whether the agent uses IPv6")
            self.network.subnets[resource] = Subnet(
                resource.logical_id,
                vpc,
                self._range(resource, properties.get("CidrBlock")),
                public_addresses=fact(
                    properties.get("MapPublicIpOnLaunch"), "public address", default=False
                ),
                ipv6=bool(blocks[resource]) or any("Ipv6" in name for name in properties),
                tables=tuple(tables),
                acl=acl,
            )

    def _acls(
        self, entries: dict[Hashable, list[Resource]]
    ) -> dict[Hashable, NetworkAcl | Unknown]:
        """The network ACL of each subnet that is given one, of the entries of each."""
        values = self._values
        found: dict[Hashable, NetworkAcl | Unknown] = {}
        for resource in values.by_type["AWS::EC2::SubnetNetworkAclAssociation"]:
            template, properties = resource.template, resource.properties
            subnet = values.behind(template, properties.get("SubnetId"))
            acl = values.behind(template, properties.get("NetworkAclId"))
            if not isinstance(acl, Resource):
                found[subnet] = Unknown(decider(properties.get("NetworkAclId"), "network ACL"))
                continue
            own = entries.get(acl, [])
            read = [self._acl_entry(entry) for entry in own]
            known = [entry for entry in read if isinstance(entry, AclEntry)]
            facts = [values.exists(one) for one in (resource, *own)]
            facts += [self._complete("entries", acl)]
            facts += [entry for entry in read if isinstance(entry, Unknown)]
            doubt = all_of(facts)
            found[subnet] = (
                doubt if isinstance(doubt, Unknown) else NetworkAcl(acl.logical_id, tuple(known))
            )
        return found

    def _acl_entry(self, resource: Resource) -> AclEntry | Unknown | None:
        """An entry; None where it is not of TCP over IPv4."""
        properties = resource.properties
        protocol = str(properties.get("Protocol"))
        doubt = Unknown(f"the network ACL entry {resource.logical_id!r}")
        if "CidrBlock" not in properties or (protocol.isdecimal() and protocol not in _TCP):
            return None
        ports = properties.get("PortRange", {"From": 0, "To": 65535})
        egress = fact(properties.get("Egress"), "direction", default=False)
        number = str(properties.get("RuleNumber"))
        try:
            low, high = int(str(ports["From"])), int(str(ports["To"]))
        except (KeyError, TypeError, ValueError):
            return doubt
        allows = {"allow": True, "deny": False}.get(text(properties.get("RuleAction")))
        if protocol not in _TCP or not number.isdecimal() or allows is None:
            return doubt
        if isinstance(egress, Unknown):
            return doubt
        ports = (0, 65535) if protocol == "-1" else (low, high)
        range_ = self._range(resource, properties["CidrBlock"])
        return AclEntry(int(number), egress, allows, range_, ports)

    def _range(self, resource: Resource, value: object) -> Range:
        """A CIDR block, also where a value refers to a VPC or a subnet for it."""
        found = self._values.range(resource.template, value)
        if not isinstance(found, Resource):
            return found
        if found in self.network.vpcs:
            return self.network.vpcs[found].ranges[0]
        if found in self.network.subnets:
            return self.network.subnets[found].range
        return Unknown(f"the CIDR block of {found.logical_id!r}")

    # Routes --------------------------------------------------------------------------------------

    def _read_tables(self) -> None:
        values = self._values
        routes = self._gathered("AWS::EC2::Route", "RouteTableId", _TABLE, "routes", "route table")
        propagations = [
            self._gathered(type_, by, _TABLE, "routes", "route table")
            for type_, by in _PROPAGATIONS.items()
        ]
        customised = self._customised(_TABLE)
        for resource in values.by_type["AWS::EC2::RouteTable"]:
            read = [self._route(route) for route in routes[resource]]
            for by_table in propagations:
                read += [self._propagated(propagation) for propagation in by_table[resource]]
            complete = customised.get(resource, self._complete("routes", resource))
            self.network.tables[resource] = RouteTable(resource.logical_id, tuple(read), complete)

    def _propagated(self, resource: Resource) -> Route:
        name = f"the propagated routes of {resource.logical_id!r}"
        exists = self._values.exists(resource)
        return Route(Unknown(name), "elsewhere", name=name, exists=exists)

    def _route(self, resource: Resource) -> Route:
        properties = resource.properties
        leads, target, name = self._target(resource)
        exists = self._values.exists(resource)
        block = present(properties, "DestinationCidrBlock")
        if block is not None:
            return Route(self._range(resource, block), leads, target, name, exists)
        if present(properties, "DestinationIpv6CidrBlock") is not None:
            return Route("ipv6", leads, target, name, exists)
        list_ = PrefixList(f"the prefix list {shown(properties.get('DestinationPrefixListId'))}")
        return Route(list_, leads, target, name, exists)

    def _target(self, resource: Resource) -> tuple[Leads, Reference, str]:
        """Where a route leads, its target, and what a message calls that."""
        template, properties = resource.template, resource.properties
        written = {
            name: value
            for name in ("GatewayId", "NatGatewayId", "EgressOnlyInternetGatewayId", *_ELSEWHERE)
            if (value := present(properties, name)) is not None
        }
        if len(written) != 1:
            return "elsewhere", None, f"the target of the route {resource.logical_id!r}"
        ((name, value),) = written.items()
        if name == "NatGatewayId":
            nat = self._values.reference(template, value, _NAT, "NAT gateway")
            return "nat-gateway", nat, "the NAT gateway"
        if name != "GatewayId":
            noun = _ELSEWHERE.get(name, "egress-only internet gateway")
            return "elsewhere", None, self._named(template, value, noun)
        gateway = self._values.behind(template, value)
        if isinstance(gateway, Resource) and gateway.type in _INTERNET_GATEWAY:
            return "internet-gateway", gateway, f"the internet gateway {gateway.logical_id!r}"
        if gateway == "local":
            return "local", None, ""
        return "elsewhere", None, self._named(template, value, "gateway")

    def _named(self, template: Template, value: object, noun: str) -> str:
        found = self._values.behind(template, value)
        if isinstance(found, Resource):
            return f"the {noun} {found.logical_id!r}"
        return decider(value, noun)

    def _read_nat_gateways(self) -> None:
        values = self._values
        for resource in values.by_type["AWS::EC2::NatGateway"]:
            template, properties = resource.template, resource.properties
            regional = text(properties.get("AvailabilityMode")) == "regional"
            kind = properties.get("ConnectivityType", "public")
            public = {"public": True, "private": False}.get(text(kind))
            self.network.nat_gateways[resource] = NatGateway(
                resource.logical_id,
                values.reference(template, properties.get("VpcId"), VPC, "VPC"),
                None
                if regional
                else values.reference(template, properties.get("SubnetId"), SUBNET, "subnet"),
                public=Unknown(decider(kind, "connectivity")) if public is None else public,
                available=values.exists(resource),
            )

    # Security groups -----------------------------------------------------------------------------

    def _read_groups(self) -> None:
        values = self._values
        inbound = self._separate("AWS::EC2::SecurityGroupIngress", "Source")
        outbound = self._separate("AWS::EC2::SecurityGroupEgress", "Destination")
        customised = self._customised(frozenset({"AWS::EC2::SecurityGroup"}))
        for resource in values.by_type["AWS::EC2::SecurityGroup"]:
            egress = present(resource.properties, "SecurityGroupEgress")
            own = self._inline(resource, egress, "Destination")
            self.network.groups[resource] = SecurityGroup(
                resource.logical_id,
                (
                    *self._inline(
                        resource, resource.properties.get("SecurityGroupIngress"), "Source"
                    ),
                    *inbound.get(resource, ()),
                ),
                (
                    *own,
                    *outbound.get(resource, ()),
                    *_default_egress(resource, egress, separate=resource in outbound),
                ),
                customised.get(resource, self._complete("rules", resource)),
            )
        restricted = {
            values.behind(resource.template, resource.properties.get("DefaultSecurityGroupId"))
            for resource in values.by_type[_RESTRICTED]
        }
        owners = [*self.network.vpcs, *(one for type_ in CLUSTERS for one in values.by_type[type_])]
        for owner in owners:
            assert isinstance(owner, Resource)  # noqa: S101 # as all ids of this network
            kept = owner not in restricted
            self.network.groups[owner] = SecurityGroup(
                f"default of {owner.logical_id}",
                ((Rule(GroupPeer(owner)),) if kept else ()) + tuple(inbound.get(owner, ())),
                ((Rule(PUBLIC),) if kept else ()) + tuple(outbound.get(owner, ())),
                self._complete("rules", owner),
            )

    def _separate(self, type_: str, side: str) -> defaultdict[Hashable, list[Rule]]:
        """The rules that are resources of their own, by group."""
        rules: defaultdict[Hashable, list[Rule]] = defaultdict(list)
        for group, resources in self._gathered(
            type_, "GroupId", GROUP, "rules", "security group"
        ).items():
            for resource in resources:
                exists = self._values.exists(resource)
                rules[group] += self._rule(resource, resource.properties, side, exists)
        return rules

    def _inline(self, resource: Resource, value: object, side: str) -> list[Rule]:
        rules: list[Rule] = []
        for entry, written, certain in mappings(value):
            doubt = Unknown(decider(written if certain else value, "rule"))
            if entry is None:
                rules.append(Rule(doubt))
            else:
                rules += self._rule(resource, entry, side, certain or doubt)
        return rules

    def _rule(
        self, resource: Resource, entry: dict[str, Any], side: str, exists: Fact
    ) -> list[Rule]:
        """A rule, where it is about TCP 443 over IPv4."""
        admits = admits_https(entry.get("IpProtocol"), entry.get("FromPort"), entry.get("ToPort"))
        peer = self._peer(resource, entry, side)
        if admits is False or peer is None:
            return []
        ports = admits or Unknown(f"the ports of a rule of {resource.logical_id!r}")
        return [Rule(peer, all_of((ports, exists)))]

    def _peer(self, resource: Resource, entry: dict[str, Any], side: str) -> Peer | None:
        """The peer of a rule; None where it is one of IPv6."""
        block, block6 = present(entry, "CidrIp"), present(entry, "CidrIpv6")
        if block is not None:
            return self._range(resource, block)
        group = present(entry, f"{side}SecurityGroupId")
        if group is not None:
            noun = "security group"
            return GroupPeer(self._values.reference(resource.template, group, GROUP, noun))
        list_ = present(entry, f"{side}PrefixListId")
        if list_ is not None:
            return PrefixList(f"the prefix list {shown(list_)}")
        return Unknown(f"the peer of a rule of {resource.logical_id!r}") if block6 is None else None

    # Endpoints and hosted zones ------------------------------------------------------------------

    def _read_endpoints(self) -> None:
        for resource in self._values.by_type["AWS::EC2::VPCEndpoint"]:
            value = resource.properties.get("VpcId")
            vpc = self._values.reference(resource.template, value, VPC, "VPC")
            for endpoint in self._endpoint(resource):
                for id_, meant in self._meant(vpc, resource):
                    found = self.network.vpcs[id_]
                    one = replace(endpoint, exists=all_of((endpoint.exists, meant)))
                    self.network.vpcs[id_] = replace(found, endpoints=(*found.endpoints, one))

    def _meant(self, vpc: Reference, resource: Resource) -> list[tuple[Hashable, Fact]]:
        """The VPC that a resource refers to, or each that may be meant."""
        if not isinstance(vpc, Unknown):
            return [(vpc, True)] if vpc in self.network.vpcs else []
        environment = resource.template.environment
        return [
            (found, vpc)
            for found in self.network.vpcs
            if isinstance(found, Resource) and found.template.environment == environment
        ]

    def _endpoint(self, resource: Resource) -> Iterable[Endpoint]:
        """The endpoint, once for each service that it may be of."""
        values, template, properties = self._values, resource.template, resource.properties
        kind = text(properties.get("VpcEndpointType", "Gateway"))
        name = text(properties.get("ServiceName"))
        service, fips = service_of(name)
        if kind not in {"Interface", "Gateway", UNKNOWN} or not _in_region(resource, name):
            return
        endpoint = Endpoint(
            resource,
            resource.logical_id,
            service,
            values.exists(resource),
            gateway=kind == "Gateway",
            private_dns=_private_dns(properties, service, fips=fips),
            subnets=values.references(template, properties.get("SubnetIds"), SUBNET, "subnet"),
            groups=values.references(
                template, properties.get("SecurityGroupIds"), GROUP, "security group"
            ),
            tables=values.references(
                template, properties.get("RouteTableIds"), _TABLE, "route table"
            ),
            policy=present(properties, "PolicyDocument"),
            own_account=({"Ref": "AWS::AccountId"}, template.account),
        )
        if kind == UNKNOWN:
            doubt = Unknown(f"the type of the endpoint {resource.logical_id!r}")
            endpoint = replace(endpoint, exists=doubt)
        if UNKNOWN not in service:
            yield endpoint
            return
        doubt = Unknown(f"the service of the endpoint {resource.logical_id!r}")
        for one in SERVICES:
            yield replace(endpoint, service=one, exists=doubt)

    def _read_zones(self) -> None:
        values = self._values
        records: defaultdict[Hashable, list[Resource]] = defaultdict(list)
        for type_ in ("AWS::Route53::RecordSet", "AWS::Route53::RecordSetGroup"):
            for record in values.by_type[type_]:
                of = values.behind(record.template, record.properties.get("HostedZoneId"))
                records[of].append(record)
        for resource in values.by_type["AWS::Route53::HostedZone"]:
            for service in _zone_services(text(resource.properties.get("Name"))):
                endpoint = self._led_to(records[resource], service)
                exists = values.exists(resource)
                zone = Zone(resource.logical_id, service, endpoint, exists)
                vpcs = resource.properties.get("VPCs")
                for entry, written, certain in mappings(vpcs):
                    doubt = certain or Unknown(decider(vpcs, "VPC"))
                    value = entry.get("VPCId") if entry else written
                    vpc = values.reference(resource.template, value, VPC, "VPC")
                    for id_, meant in self._meant(vpc, resource):
                        found = self.network.vpcs[id_]
                        one = replace(zone, exists=all_of((exists, meant, doubt)))
                        self.network.vpcs[id_] = replace(found, zones=(*found.zones, one))

    def _led_to(self, records: list[Resource], service: str) -> Reference:
        """The endpoint that the records of a hosted zone lead to."""
        found = {
            endpoint
            for record in records
            for name in record.mentions
            if (endpoint := record.template.resources.get(name)) is not None
            and endpoint.type == "AWS::EC2::VPCEndpoint"
            and service_of(text(endpoint.properties.get("ServiceName"))) == (service, False)
        }
        certain = all(self._values.exists(record) is True for record in records)
        return found.pop() if len(found) == 1 and certain else Unknown("the hosted zone's records")


def _if_unknown(fact: Fact) -> list[Unknown]:
    return [fact] if isinstance(fact, Unknown) else []


def _default_egress(resource: Resource, written: object, *, separate: bool) -> list[Rule]:
    """The rule that lets everything out, which a group has by default.

    With inline rules it is gone. With rules that are resources of their own it stays by
    CloudFormation's reference, and goes by what CDK's authors saw: nobody can tell.
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


def _private_dns(properties: dict[str, Any], service: str, *, fips: bool) -> Fact:
    """Whether the public name of the service leads to an endpoint, DNS attributes aside."""
    enabled = fact(properties.get("PrivateDnsEnabled"), "private DNS", default=False)
    if enabled is not False and fips:
        return Unknown("whether the agent uses the FIPS endpoint")
    if enabled is not False and text(properties.get("IpAddressType", "ipv4")) == "ipv6":
        return Unknown("whether the agent uses IPv6")
    if service != "s3":
        return enabled
    options = properties.get("DnsOptions")
    inbound = options.get(_ONLY_INBOUND) if isinstance(options, dict) else None
    for_vpc = {"AllResolvers": True, "OnlyInboundResolver": False}.get(str(inbound))
    doubt = Unknown("whether the private DNS of the S3 endpoint is for the VPC")
    return all_of((enabled, doubt if for_vpc is None else for_vpc))


def _in_region(resource: Resource, name: str) -> bool:
    """Whether an endpoint is of a service in the region of its VPC, as far as that is known."""
    own = resource.template.environment.rpartition("/")[2]
    regions = {text(resource.properties.get("ServiceRegion", own)), *name.split(".")[-2:-1]}
    return own in {"", "unknown-region"} or all(
        UNKNOWN in region or region == own for region in regions
    )


def _zone_services(name: str) -> list[str]:
    """The services whose public name is in a hosted zone of this name."""
    pattern = rf"(?:({'|'.join(SERVICES)})\.)?[a-z0-9{UNKNOWN}-]+\.amazonaws\.com(?:\.cn)?\.?"
    found = re.fullmatch(pattern, name)
    if not found:
        return []
    return [found[1]] if found[1] else [*SERVICES]
