"""Reads the network around a live instance from the EC2 API, for the judge of network paths.

A call that is denied leaves a part of the network unknown, and so what depends on it.
"""

from __future__ import annotations

import json
from functools import cached_property
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._network.ec2 import ELSEWHERE, admits_https, service_of
from session_manager_permissions._network.facts import Fact, Unknown
from session_manager_permissions._network.judge import Judge
from session_manager_permissions._network.model import (
    AclEntry,
    Endpoint,
    GroupPeer,
    NatGateway,
    Network,
    NetworkAcl,
    Placement,
    PrefixList,
    Route,
    RouteTable,
    Rule,
    SecurityGroup,
    Subnet,
    Vpc,
)

from .asking import CannotAsk, asking, tried
from .checks import Evidence

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from session_manager_permissions._network.model import Leads, Peer

_Described = dict[str, Any]

_ALL_PROTOCOLS: Final = "-1"
_TCP: Final = "6"

_AMAZON_DNS: Final = frozenset({"AmazonProvidedDNS", "169.254.169.253"})
"""How DHCP options name Amazon's DNS resolver, other than by its address in the VPC."""


class LiveNetwork:
    """The VPC of an instance, of which each part is read once, and only if it is needed."""

    def __init__(
        self,
        ec2: Any,  # noqa: ANN401 # as boto3's
        instance: _Described,
        account: str,
        services: tuple[str, ...],
        bucket_region: str | CannotAsk | None,
    ) -> None:
        """Prepare to read; nothing is asked yet.

        Args:
            ec2: a boto3 client.
            instance: the instance, as `DescribeInstances` has it.
            account: its account.
            services: the services that are judged, of which the endpoints are read.
            bucket_region: the region of the log bucket, or why it is not known; None without one.
        """
        self._ec2 = ec2
        self._account = account
        self._instance = instance
        self.groups = _groups_of(instance)
        """The ids of the security groups of the instance's first network interface."""
        self.bucket_region = bucket_region if isinstance(bucket_region, str) else None
        self._bucket_error = bucket_region if isinstance(bucket_region, CannotAsk) else None
        self.services = services
        self.vpc: str = instance["VpcId"]
        self.denied: list[CannotAsk] = []
        """Why a part of the network could not be read."""

    def denied_for(self, service: str) -> list[CannotAsk]:
        """List why a part of what the path to a service depends on could not be read."""
        of_bucket = [self._bucket_error] if service == "s3" and self._bucket_error else []
        return [*self.denied, *of_bucket]

    @cached_property
    def placement(self) -> Placement:
        """Say where the instance is."""
        instance, own = self._instance, self._instance["SubnetId"]
        only_ipv6 = any("CidrBlock" not in one for one in self._subnets if one["SubnetId"] == own)
        return Placement(
            Unknown("whether the agent uses IPv6, as the subnet has no IPv4") if only_ipv6 else own,
            self.groups,
            _public_address(instance),
            other_interfaces=len(instance.get("NetworkInterfaces", [])) > 1,
        )

    @cached_property
    def judge(self) -> Judge:
        """Make the judge of paths through the VPC."""
        return Judge(self.network)

    @cached_property
    def network(self) -> Network:
        """Read what is around the instance."""
        tables = {table["RouteTableId"]: self._table(table) for table in self._tables}
        network = Network(
            vpcs={self.vpc: self._as_vpc()},
            subnets={
                one["SubnetId"]: self._as_subnet(one) for one in self._subnets if "CidrBlock" in one
            },
            tables={**tables},
        )
        if any(route.leads == "nat-gateway" for table in tables.values() for route in table.routes):
            network.nat_gateways = {one["NatGatewayId"]: _nat(one) for one in self._nat_gateways()}
        groups: set[Hashable] = {*self.groups}
        for endpoint in network.vpcs[self.vpc].endpoints:
            groups |= {*endpoint.groups}
        network.groups = {
            one["GroupId"]: self._group(one) for one in self._groups(sorted(map(str, groups)))
        }
        return network

    def _described(self, operation: str, result: str, **asked: object) -> list[_Described] | None:
        """Return all that a call of EC2 describes; None if it can't be asked."""

        def ask() -> list[_Described]:
            with asking("ec2", "*", f"the VPC {self.vpc} has none"):
                pages = self._ec2.get_paginator(operation).paginate(**asked)
                return [one for page in pages for one in page[result]]

        found = tried(ask)
        if isinstance(found, CannotAsk):
            self.denied.append(found)
            return None
        return found

    def _of_vpc(self, operation: str, result: str) -> list[_Described] | None:
        return self._described(
            operation, result, Filters=[{"Name": "vpc-id", "Values": [self.vpc]}]
        )

    @cached_property
    def _subnets(self) -> list[_Described]:
        return self._of_vpc("describe_subnets", "Subnets") or []

    @cached_property
    def _tables(self) -> list[_Described]:
        return self._of_vpc("describe_route_tables", "RouteTables") or []

    def _nat_gateways(self) -> list[_Described]:
        filters = [{"Name": "vpc-id", "Values": [self.vpc]}]
        return self._described("describe_nat_gateways", "NatGateways", Filter=filters) or []

    def _groups(self, ids: list[str]) -> list[_Described]:
        filters = [{"Name": "group-id", "Values": ids}]
        return self._described("describe_security_groups", "SecurityGroups", Filters=filters) or []

    @cached_property
    def _acls(self) -> list[_Described] | None:
        return self._of_vpc("describe_network_acls", "NetworkAcls")

    @cached_property
    def _endpoints(self) -> list[_Described] | None:
        return self._of_vpc("describe_vpc_endpoints", "VpcEndpoints")

    def _attribute(self, name: str) -> Fact:
        def ask() -> bool:
            with asking("ec2", "*", f"there is no VPC {self.vpc}"):
                found = self._ec2.describe_vpc_attribute(VpcId=self.vpc, Attribute=name)
                return bool(found[f"{name[0].upper()}{name[1:]}"]["Value"])

        answer = tried(ask)
        if isinstance(answer, CannotAsk):
            if str(answer) not in map(str, self.denied):
                self.denied.append(answer)
            return Unknown(f"the attribute {name} of the VPC {self.vpc!r}")
        return answer

    def _as_vpc(self) -> Vpc:
        owner = next((one["OwnerId"] for one in self._tables if "OwnerId" in one), self._account)
        endpoints = tuple(self._as_endpoint(one) for one in self._used_endpoints)
        named = any(not one.gateway and one.private_dns is not False for one in endpoints)
        resolver = self._resolver(owner) if named else True
        routes = [route for table in self._tables for route in table["Routes"]]
        mains = (
            table["RouteTableId"]
            for table in self._tables
            if any(one.get("Main") for one in table.get("Associations", []))
        )
        complete: Fact = True
        if self._endpoints is None:
            complete = Unknown(f"the endpoints of the VPC {self.vpc!r}")
        elif owner != self._account:  # a shared VPC, whose endpoints only its owner can see
            complete = Unknown(f"the endpoints of the VPC {self.vpc!r}, which {owner} shares")
        return Vpc(
            self.vpc,
            tuple(
                IPv4Network(cidr)
                for cidr in dict.fromkeys(
                    route["DestinationCidrBlock"]
                    for route in routes
                    if route.get("GatewayId") == "local" and "DestinationCidrBlock" in route
                )
            ),
            dns_support=self._attribute("enableDnsSupport"),
            dns_hostnames=self._attribute("enableDnsHostnames")
            if named and resolver is True
            else True,
            resolver=resolver,
            endpoints=endpoints,
            complete=complete,
            # a route to a gateway that is not attached is a blackhole
            internet_gateways=tuple(
                (gateway, True)
                for gateway in dict.fromkeys(route.get("GatewayId", "") for route in routes)
                if gateway.startswith("igw-")
            ),
            main_table=next(mains, Unknown(f"the main route table of the VPC {self.vpc!r}")),
        )

    def _resolver(self, owner: str) -> Fact:
        """Tell whether the VPC's instances ask Amazon's DNS resolver, by its DHCP options.

        The options of the VPC are looked up only if the account has some with other servers.
        https://docs.aws.amazon.com/vpc/latest/userguide/VPC_DHCP_Options.html
        """
        own_servers = Unknown(f"the DNS servers in the DHCP options of the VPC {self.vpc!r}")
        options = self._described("describe_dhcp_options", "DhcpOptions")
        if options is None or owner != self._account:
            return own_servers
        by_amazon = {one["DhcpOptionsId"] for one in options if _resolves_by_amazon(one)}
        if options and len(by_amazon) == len(options):
            return True
        vpcs = self._described("describe_vpcs", "Vpcs", VpcIds=[self.vpc]) or []
        return True if any(one["DhcpOptionsId"] in by_amazon for one in vpcs) else own_servers

    @property
    def _used_endpoints(self) -> Iterator[_Described]:
        for endpoint in self._endpoints or ():
            # that of a resource or of a service network has no service
            service, is_fips = service_of(endpoint.get("ServiceName", ""))
            called = (service == "s3" and self.bucket_region) or self._region
            of_region = endpoint.get("ServiceRegion", self._region) == called
            kind = endpoint.get("VpcEndpointType", "Interface")
            is_one = kind in ("Interface", "Gateway") and service in self.services
            if is_one and of_region and not is_fips:
                yield endpoint

    @property
    def _region(self) -> str:
        return str(self._ec2.meta.region_name)

    def _as_endpoint(self, found: _Described) -> Endpoint:
        service, _ = service_of(found["ServiceName"])
        state = found.get("State", "").lower()
        gateway = found.get("VpcEndpointType") == "Gateway"
        exists: Fact = state == "available"
        if state in ("pending", "partial"):
            exists = Unknown(f"the endpoint {found['VpcEndpointId']!r}, which is {state}")
        elif exists and service == "s3" and self.bucket_region is None:
            exists = Unknown("which region the log bucket is in, as an endpoint serves one alone")
        return Endpoint(
            found["VpcEndpointId"],
            found["VpcEndpointId"],
            service,
            exists=exists,
            gateway=gateway,
            private_dns=False if gateway else _private_dns(found, service),
            subnets=tuple(found.get("SubnetIds", ())),
            groups=tuple(group["GroupId"] for group in found.get("Groups", ())),
            tables=tuple(found.get("RouteTableIds", ())),
            policy=_policy(found),
            own_account=(self._account,),
        )

    def _as_subnet(self, found: _Described) -> Subnet:
        tables = tuple(
            (table["RouteTableId"], True)
            for table in self._tables
            if any(
                one.get("SubnetId") == found["SubnetId"] for one in table.get("Associations", [])
            )
        )
        return Subnet(
            found["SubnetId"],
            self.vpc,
            IPv4Network(found["CidrBlock"]),
            public_addresses=bool(found.get("MapPublicIpOnLaunch")),
            ipv6=bool(found.get("Ipv6CidrBlockAssociationSet")),
            tables=tables,
            acl=self._acl(found["SubnetId"]),
        )

    def _acl(self, subnet: str) -> NetworkAcl | Unknown:
        for acl in self._acls or ():
            if any(one.get("SubnetId") == subnet for one in acl["Associations"]):
                return NetworkAcl(acl["NetworkAclId"], tuple(_entries(acl)))
        return Unknown(f"the network ACL of the subnet {subnet!r}")

    def _table(self, found: _Described) -> RouteTable:
        routes = tuple(self._route(route) for route in found["Routes"])
        return RouteTable(found["RouteTableId"], routes)

    def _route(self, route: _Described) -> Route:
        leads, target, name = self._target(route)
        if route.get("State") == "blackhole":
            leads = "nowhere"
        if "DestinationCidrBlock" in route:
            return Route(IPv4Network(route["DestinationCidrBlock"]), leads, target, name)
        if prefix_list := route.get("DestinationPrefixListId"):
            return Route(self._prefix_list(prefix_list), leads, target, name)
        return Route("ipv6", leads, target, name)

    def _prefix_list(self, prefix_list: str) -> PrefixList:
        service = self._services_of_lists.get(prefix_list, "")
        return PrefixList(f"the prefix list {prefix_list!r}", service)

    @cached_property
    def _services_of_lists(self) -> dict[str, str]:
        """Name the service behind each prefix list that a gateway endpoint has put into a table."""
        services = {
            one["VpcEndpointId"]: service_of(one.get("ServiceName", ""))[0]
            for one in self._endpoints or ()
        }
        if self.bucket_region not in (None, self._region):  # this region's S3 is not the one called
            elsewhere = f"s3 in {self._region}"
            services = {
                one: elsewhere if service == "s3" else service for one, service in services.items()
            }
        return {
            route["DestinationPrefixListId"]: services.get(route.get("GatewayId", ""), "")
            for table in self._tables
            for route in table["Routes"]
            if "DestinationPrefixListId" in route
        }

    def _group(self, found: _Described) -> SecurityGroup:
        return SecurityGroup(
            found["GroupId"],
            tuple(self._rules(found.get("IpPermissions", ()))),
            tuple(self._rules(found.get("IpPermissionsEgress", ()))),
        )

    def _rules(self, permissions: Iterable[_Described]) -> Iterator[Rule]:
        by_ipv6: Peer = "ipv6"
        for one in permissions:
            if admits_https(one["IpProtocol"], one.get("FromPort"), one.get("ToPort")):
                peers: list[Peer] = [
                    *(
                        IPv4Network(cidr["CidrIp"], strict=False)
                        for cidr in one.get("IpRanges", ())
                    ),
                    *(by_ipv6 for _ in one.get("Ipv6Ranges", ())),
                    *(GroupPeer(pair["GroupId"]) for pair in one.get("UserIdGroupPairs", ())),
                    *(
                        self._prefix_list(listed["PrefixListId"])
                        if self.bucket_region
                        else PrefixList(f"the prefix list {listed['PrefixListId']!r}")
                        for listed in one.get("PrefixListIds", ())
                    ),
                ]
                yield from map(Rule, peers)

    def evidence(self, service: str) -> tuple[Evidence, ...]:
        """List what the judge's answer about a service rests on."""
        vpc, subnet_id = self.network.vpcs[self.vpc], self._instance["SubnetId"]
        subnet = self.network.subnets.get(subnet_id)
        endpoints: list[str | None] = [
            str(one.id) for one in vpc.endpoints if one.service == service
        ]
        if not endpoints and vpc.complete is True:
            endpoints = [None]
        tables = subnet.tables if subnet and subnet.tables else ((vpc.main_table, True),)
        return (
            Evidence("ec2:DescribeInstances", "SubnetId", subnet_id),
            *(Evidence("ec2:DescribeVpcEndpoints", "VpcEndpointId", one) for one in endpoints),
            *(
                Evidence("ec2:DescribeRouteTables", "RouteTableId", table)
                for table, _ in tables
                if isinstance(table, str)
            ),
        )

    def _target(self, route: _Described) -> tuple[Leads, str, str]:
        gateway = route.get("GatewayId", "")
        if gateway == "local":
            return "local", gateway, ""
        if gateway.startswith("igw-"):
            if self._blocks_public_access:
                return "elsewhere", gateway, "VPC Block Public Access"
            return "internet-gateway", gateway, f"the internet gateway {gateway!r}"
        if nat := route.get("NatGatewayId"):
            return "nat-gateway", nat, f"the NAT gateway {nat!r}"
        for field, what in ELSEWHERE.items():
            if route.get(field):
                return "elsewhere", route[field], f"the {what} {route[field]!r}"
        what = "the virtual private gateway" if gateway.startswith("vgw-") else "the appliance"
        return "elsewhere", gateway, f"{what} {gateway!r}"

    @cached_property
    def _blocks_public_access(self) -> bool:
        modes = (
            subnet.get("BlockPublicAccessStates", {}).get("InternetGatewayBlockMode", "off")
            for subnet in self._subnets
        )
        return any(mode != "off" for mode in modes)


def _groups_of(instance: _Described) -> tuple[str, ...]:
    groups = _primary(instance).get("Groups") or instance.get("SecurityGroups", [])
    return tuple(group["GroupId"] for group in groups)


def _primary(instance: _Described) -> _Described:
    interfaces = instance.get("NetworkInterfaces", [])
    return next(
        (one for one in interfaces if one.get("Attachment", {}).get("DeviceIndex") == 0), {}
    )


def _public_address(instance: _Described) -> Fact:
    """Tell whether the instance has a public IPv4 address, or gets one when it is started.

    The attribute `MapPublicIpOnLaunch` of the subnet counts at the launch alone.
    """
    association = _primary(instance).get("Association", {})
    if instance.get("PublicIpAddress") or association.get("PublicIp"):
        return True
    if instance["State"]["Name"] == "running":
        return False
    return Unknown("whether the start of the instance gives it a public IPv4 address")


def _resolves_by_amazon(options: _Described) -> bool:
    servers = [
        one["Value"]
        for listed in options["DhcpConfigurations"]
        if listed["Key"] == "domain-name-servers"
        for one in listed["Values"]
    ]
    return bool(servers) and {*servers} <= _AMAZON_DNS


def _private_dns(found: _Described, service: str) -> Fact:
    """Tell whether the service's public name leads to the endpoint from within the VPC."""
    if not found.get("PrivateDnsEnabled"):
        return False
    if service != "s3":
        return True
    inbound = found.get("DnsOptions", {}).get("PrivateDnsOnlyForInboundResolverEndpoint")
    if inbound is None:
        return Unknown(f"whether the name of S3 leads to the endpoint {found['VpcEndpointId']!r}")
    return not inbound


def _policy(found: _Described) -> object:
    text = found.get("PolicyDocument")
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _entries(acl: _Described) -> Iterator[AclEntry]:
    for entry in acl["Entries"]:
        protocol = entry["Protocol"]
        if "CidrBlock" not in entry or protocol not in (_ALL_PROTOCOLS, _TCP):
            continue
        ports = entry.get("PortRange")
        yield AclEntry(
            entry["RuleNumber"],
            entry["Egress"],
            entry["RuleAction"] == "allow",
            IPv4Network(entry["CidrBlock"], strict=False),
            (ports["From"], ports["To"]) if ports and protocol == _TCP else (0, 65535),
        )


def _nat(found: _Described) -> NatGateway:
    name = found["NatGatewayId"]
    state = found["State"]
    pending = Unknown(f"the NAT gateway {name!r}, which is pending")
    return NatGateway(
        name,
        found["VpcId"],
        None if found.get("AvailabilityMode") == "regional" else found["SubnetId"],
        public=found.get("ConnectivityType", "public") == "public",
        available=pending if state == "pending" else state == "available",
    )
