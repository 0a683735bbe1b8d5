"""Reads the network around a live instance from the EC2 API, for the judge of network paths.

If AWS denies a call, a part of the network is unknown, and so is each path that depends on it. The
network is read for a whole VPC, so that all instances in the VPC share the answers.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property, partial
from ipaddress import IPv4Network
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from session_manager_permissions._conditions import EACH_CALL
from session_manager_permissions._network import ec2, model
from session_manager_permissions._network.facts import Fact, Unknown
from session_manager_permissions._network.judge import Judge, resolves
from session_manager_permissions._network.place import is_within

from .asking import CannotAsk, one_of, tried
from .checks import Evidence
from .resource_policy import with_organization

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .session import Session

_Described = dict[str, Any]
_Found = TypeVar("_Found")

_TCP: Final = "6"

_SETTLED: Final = (
    *("available", "deleted", "deleting", "expired", "failed", "pendingacceptance", "rejected"),
)
"""The states of an endpoint or a NAT gateway, in lower case, in which waiting changes nothing."""
_NOT_ASSOCIATED: Final = ("disassociated", "failed")
_CONNECTIVITY: Final = ("private", "public")
_KINDS_OF_ENDPOINTS: Final = (
    *("Gateway", "GatewayLoadBalancer", "Interface", "Resource", "ServiceNetwork", "Tunnel"),
)
_DESTINATION: Final = "DestinationCidrBlock"
_LATTICE: Final = "VpcLattice"
"""The target of the routes to VPC Lattice, which lead to no other service."""
_DEFAULT_RESOLVER_RULE: Final = "rslvr-autodefined-rr-internet-resolver"
"""The default rule, by which Amazon's DNS resolver answers."""
_OWNER_OF_ENDPOINTS: Final = "vpce.amazonaws.com"
"""Owns the private hosted zones that endpoints with private DNS make."""


class Surroundings(NamedTuple):
    """The VPC to read, and what is read because of an instance; equal ones share one `LiveVpc`."""

    vpc: str
    """The id of the VPC."""
    account: str
    """The account of the instances."""
    services: tuple[str, ...]
    """The services whose paths are judged, and whose endpoints are read."""
    bucket_region: str | None
    """The region of the log bucket, if it is known."""
    more_groups: tuple[str, ...] = ()
    """The ids of security groups from outside of the VPC."""


class LiveVpc:
    """A VPC, as far as it could be read."""

    def __init__(self, session: Session, asked: Surroundings) -> None:
        """Read what is in the VPC."""
        self._session = session
        self.id, self._account, self._services, self.bucket_region, more_groups = asked
        self.errors: list[CannotAsk] = []
        """Why a part of it could not be read."""
        self._region = str(self._session.region)
        self._subnets = self._list_in_vpc("DescribeSubnets", "Subnets") or []
        holding = filter(self._can_hold_endpoint, self._subnets)
        self.endpoint_subnets = [one["SubnetId"] for one in holding]
        """The ids of the subnets with IPv4 in which an interface endpoint can be made."""
        self._tables = self._list_in_vpc("DescribeRouteTables", "RouteTables") or []
        self._table_of = _associated(self._tables, "SubnetId")
        main = _associated(self._tables, "Main").get(True, {}).get("RouteTableId")
        self._main_table = main or Unknown(f"the main route table of the VPC {self.id!r}")
        acls = self._list_in_vpc("DescribeNetworkAcls", "NetworkAcls") or []
        self.acls = _associated(acls, "SubnetId")
        """The network ACL of each subnet, as `DescribeNetworkAcls` has it."""
        self._endpoints = self._list_in_vpc("DescribeVpcEndpoints", "VpcEndpoints")
        self._used = [one for one in self._endpoints or () if self._is_used(one)]
        owners = (one["OwnerId"] for one in self._tables if "OwnerId" in one)
        self._owner = next(owners, self._account)
        self._vpcs = self._listed("ec2:DescribeVpcs", "Vpcs", VpcIds=[self.id]) or []
        self._ranges = tuple(dict.fromkeys(chain.from_iterable(map(_ranges, self._vpcs))))
        self._barrier = next(map(_barrier_of, self._vpcs), "firewall")
        """The feature that may drop traffic through the internet gateway. A firewall, which a VPC
        that can't be read may have, may also let instances out that have no public address."""
        self._prefix_lists = self._services_by_prefix_list()
        self._routes_of = {
            table["RouteTableId"]: tuple(map(self._route, self._deciding(table["Routes"])))
            for table in self._tables
        }
        self._routes = [*chain.from_iterable(self._routes_of.values())]
        zones = self._zones()
        self.knows_zones = zones is not None and self._owner == self._account
        """Whether all private hosted zones that are associated with the VPC are known."""
        self.endpoints = [*map(self._as_endpoint, self._used)]
        """The endpoints of the services that are judged."""
        self.vpc = self._as_vpc(zones)
        nats: list[_Described] = []
        if any(route.leads == "nat-gateway" for route in self._routes):
            nats = self._list_in_vpc("DescribeNatGateways", "NatGateways", by="Filter") or []
        self.being_created = self._being_created(nats)
        """The services to which AWS is still creating a path: an endpoint or a NAT gateway."""
        self.network = model.Network(
            vpcs={self.id: self.vpc},
            subnets={one["SubnetId"]: self._as_subnet(one) for one in self._subnets},
            tables={name: model.RouteTable(name, of) for name, of in self._routes_of.items()},
            nat_gateways={one["NatGatewayId"]: self._nat(one) for one in nats},
            groups={one["GroupId"]: self._group(one) for one in self._groups(more_groups)},
        )
        self.judge = Judge(self.network)
        once_available = (_once_available(one, self._routes_of) for one in self.endpoints)
        self.once_available = self._with(endpoints=model.by_service(once_available))
        """Judges the paths as they will be once the VPC's endpoints exist, and private DNS gives
        them the names of their services."""

    def placement(self, instance: _Described) -> model.Placement:
        """Return the placement of an instance that `DescribeInstances` has described."""
        own = instance["SubnetId"]
        address = self._address(instance, self.network.subnets.get(own))
        interfaces = instance.get("NetworkInterfaces", [])  # EFA-only ones have no IP address
        keys = {_path(one, address) for one in interfaces if one.get("InterfaceType") != "efa-only"}
        return model.Placement(
            own,
            groups_of(instance),
            _public_address(instance),
            changed_by=model.OTHER_INTERFACE if len(keys) > 1 else "",
            address=address,
        )

    def _address(self, instance: _Described, subnet: model.Subnet | None) -> IPv4Network | None:
        """Return an instance's address, if a rule is about only some addresses of its subnet."""
        address = instance.get("PrivateIpAddress")
        if address is None or subnet is None or not isinstance(subnet.range, IPv4Network):
            return None
        others = self._ranges_in_rules - {subnet.range}
        return IPv4Network(address) if any(map(subnet.range.supernet_of, others)) else None

    @cached_property
    def _ranges_in_rules(self) -> set[IPv4Network]:
        """Return the ranges in network ACL entries and in the inbound rules of security groups."""
        subnets, groups = self.network.subnets.values(), self.network.groups.values()
        acls = (one.acl for one in subnets if isinstance(one.acl, model.NetworkAcl))
        of_acls = (entry.range for acl in acls for entry in acl.entries)
        peers = (rule.peer for group in groups for rule in group.inbound)
        return {one for one in chain(of_acls, peers) if isinstance(one, IPv4Network)}

    def evidence(self, subnet_id: str, service: str) -> tuple[Evidence, ...]:
        """List what the judge's answer about a service rests on."""
        ids: list[str | None] = [str(one.id) for one in self.vpc.endpoints(ec2.Service(service))]
        endpoints = ids or ([None] if self.vpc.complete is True else [])
        table = self.table_of(subnet_id)
        tables = [table] if isinstance(table, str) else []
        return (
            Evidence("ec2:DescribeInstances", "SubnetId", subnet_id),
            *(Evidence("ec2:DescribeVpcEndpoints", "VpcEndpointId", one) for one in endpoints),
            *(Evidence("ec2:DescribeRouteTables", "RouteTableId", one) for one in tables),
        )

    def table_of(self, subnet_id: str | None) -> object:
        """Return the id of a subnet's route table, or an `Unknown` that says what decides it."""
        subnet = self.network.subnets.get(subnet_id)
        return subnet.table if subnet else self._main_table

    def attribute(self, name: str) -> bool | CannotAsk:
        """Ask whether an attribute is on, such as `enableDnsSupport`."""
        return self._session.tried(
            "ec2:DescribeVpcAttribute",
            lambda found: bool(found[f"{name[0].upper()}{name[1:]}"]["Value"]),
            missing=f"there is no VPC {self.id}",
            VpcId=self.id,
            Attribute=name,
        )

    def _being_created(self, nats: Iterable[_Described]) -> frozenset[str]:
        """Return the services whose paths may open by themselves, as AWS is creating parts."""
        if any(one["State"] not in _SETTLED for one in nats):
            return frozenset(self._services)
        made = (one for one in self._used if one["State"].lower() not in _SETTLED)
        return frozenset(ec2.service_of(one["ServiceName"])[0] for one in made)

    def _groups(self, more: tuple[str, ...]) -> list[_Described]:
        """List the groups of the VPC, and those of its instances and endpoints from other VPCs."""
        groups = self._list_in_vpc("DescribeSecurityGroups", "SecurityGroups") or []
        used = (one["GroupId"] for each in self._used for one in each.get("Groups", ()))
        foreign = {*more, *used} - {one["GroupId"] for one in groups}
        by_id = [{"Name": "group-id", "Values": sorted(foreign)}]
        call = "ec2:DescribeSecurityGroups"
        others = self._listed(call, "SecurityGroups", Filters=by_id) if foreign else None
        return [*groups, *(others or [])]

    def _listed(self, call: str, result: str, **asked: object) -> list[_Described] | None:
        """Return all that a call lists; None if it can't be asked."""
        missing = f"the VPC {self.id} has none"
        ask = partial(self._session.listed, call, result, missing=missing, **asked)
        return self._unless_error(tried(ask))

    def _unless_error(self, found: _Found | CannotAsk) -> _Found | None:
        """Return what is found; if it is an error, add it to `errors`, and return None."""
        if isinstance(found, CannotAsk):
            self.errors.append(found)
            return None
        return found

    def _list_in_vpc(
        self, operation: str, result: str, by: str = "Filters"
    ) -> list[_Described] | None:
        of_vpc = [{"Name": "vpc-id", "Values": [self.id]}]
        return self._listed(f"ec2:{operation}", result, **{by: of_vpc})

    def _has(self, attribute: str) -> Fact:
        found = self._unless_error(self.attribute(attribute))
        doubt = Unknown(f"the attribute {attribute} of the VPC {self.id!r}")
        return doubt if found is None else found

    def _as_vpc(self, found_zones: list[_Described] | None) -> model.Vpc:
        """Put together what is known of the VPC as a whole."""
        zones = found_zones or []
        named = any(not one.gateway and one.private_dns is not False for one in self.endpoints)
        resolver = self._resolver()
        gateways = [one.target for one in self._routes if one.leads == "internet-gateway"]
        complete: Fact = True
        if self._endpoints is None:
            complete = Unknown(f"the endpoints of the VPC {self.id!r}")
        elif self._owner != self._account:  # a shared VPC, whose endpoints only its owner can see
            complete = Unknown(f"the endpoints of the VPC {self.id!r}, which {self._owner} shares")
        asks_hostnames = (named or zones) and resolver is True
        return model.Vpc(
            self.id,
            self._ranges,
            dns_support=self._has("enableDnsSupport"),
            dns_hostnames=self._has("enableDnsHostnames") if asks_hostnames else True,
            resolver=resolver,
            names_pass=Unknown(f"the private hosted zones of the VPC {self.id!r}")
            if found_zones is None
            else self._names_pass(resolver),
            endpoints=model.by_service(self.endpoints),
            zones=model.by_service(
                model.Zone(zone["Name"], ec2.Service(service), Unknown("its records"))
                for zone in zones
                for service in self._services
                if self._is_below(service, zone["Name"])
            ),
            complete=complete,
            # a route to a gateway that is not attached is a blackhole
            internet_gateways=tuple((gateway, True) for gateway in dict.fromkeys(gateways)),
            edge_routes=tuple(self._edge_routes()),
        )

    def _edge_routes(self) -> Iterator[tuple[str, model.Route]]:
        for gateway, table in _associated(self._tables, "GatewayId").items():
            routes = self._routes_of[table["RouteTableId"]]
            yield from ((gateway, route) for route in routes if route.leads != "local")

    def _names_pass(self, resolver: Fact) -> Fact:
        """Tell whether the services' public names resolve to the addresses that AWS gives them.

        DNS servers other than Amazon's, and a DNS firewall, may answer with other addresses.
        """
        if isinstance(resolver, Unknown):
            return resolver
        call = "route53resolver:ListFirewallRuleGroupAssociations"
        found = self._listed(call, "FirewallRuleGroupAssociations", VpcId=self.id)
        firewall = Unknown(f"the DNS firewall of the VPC {self.id!r}")
        return firewall if found is None or found else True

    def forwards(self, service: str) -> bool:
        """Tell whether a rule of Route 53 Resolver may forward queries for the name of a service.

        The most specific rule decides. The name that private DNS gives an endpoint is more specific
        than a rule for a domain above it.
        https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resolver-overview-forward-vpc-to-network-autodefined-rules.html
        """
        if self._dns_rules is None:
            return True
        over = [one for one in self._dns_rules if self._is_below(service, one)]
        if any(resolves(one, self.vpc) is True for one in self.vpc.endpoints(ec2.Service(service))):
            over = [one for one in over if one.startswith(service)]
        # Amazon's own resolver answers what a rule of the type `SYSTEM` is about.
        return bool(over) and self._dns_rules[max(over, key=len)] != "SYSTEM"

    @cached_property
    def forwarded(self) -> Judge:
        """Judges the paths to services whose names another DNS resolver answers."""
        return self._with(resolver=Unknown(f"the DNS rules of the VPC {self.id!r}"))

    def once_made(self, endpoint: model.Endpoint) -> Judge:
        """Return a judge of the paths with an endpoint that a remedy creates, or changes by id."""
        endpoints = {one.id: one for one in (*self.endpoints, endpoint)}
        found = model.by_service(endpoints.values())
        return self._with(endpoints=found, dns_support=True, dns_hostnames=True)

    def _with(self, **changed: Any) -> Judge:  # noqa: ANN401 # as the VPC has it
        return Judge(replace(self.network, vpcs={self.id: self.vpc._replace(**changed)}))

    @cached_property
    def _dns_rules(self) -> dict[str, str] | None:
        """Return the type of each Route 53 Resolver rule of the VPC by its domain.

        The result is None if not all rules are known. A delegation rule has no domain: it is about
        records of private hosted zones.
        """
        if self.vpc.resolver is not True:  # its instances may ask other DNS servers
            return {}
        call = "route53resolver:ListResolverRuleAssociations"
        of_vpc = [{"Name": "VPCId", "Values": [self.id]}]
        used = self._listed(call, "ResolverRuleAssociations", Filters=of_vpc)
        ids = {one["ResolverRuleId"] for one in used or ()} - {_DEFAULT_RESOLVER_RULE}
        rules = self._listed("route53resolver:ListResolverRules", "ResolverRules") if ids else []
        found = [one for one in rules or () if one["Id"] in ids]
        if used is None or len(found) < len(ids):
            return None
        return {one["DomainName"]: one["RuleType"] for one in found if one.get("DomainName")}

    def _zones(self) -> list[_Described] | None:
        """List the VPC's private hosted zones, except those of endpoints; None if not known."""
        call, asked = "route53:ListHostedZonesByVPC", {"VPCId": self.id, "VPCRegion": self._region}
        found = self._listed(call, "HostedZoneSummaries", **asked)
        return found and [
            one for one in found if one.get("Owner", {}).get("OwningService") != _OWNER_OF_ENDPOINTS
        ]

    def _is_below(self, service: str, zone: str) -> bool:
        """Tell whether the public name of a service is in a hosted zone."""
        region = self.bucket_region if service == "s3" and self.bucket_region else self._region
        suffix = self._session.calls.dns_suffix_of(self._session.partition)
        return f".{service}.{region}.{suffix}".endswith(f".{zone}".rstrip("."))

    def _resolver(self) -> Fact:
        """Tell whether the VPC's instances ask Amazon's DNS resolver, by its DHCP options.

        A VPC may have no DHCP options. Then instances on Nitro ask Amazon's resolver, and other
        instances ask none.
        https://docs.aws.amazon.com/vpc/latest/userguide/DHCPOptionSetConcepts.html
        """
        own_servers = Unknown(f"the DNS servers in the DHCP options of the VPC {self.id!r}")
        shared = self._owner != self._account
        options = None if shared else self._listed("ec2:DescribeDhcpOptions", "DhcpOptions")
        own = [vpc.get("DhcpOptionsId") for vpc in self._vpcs]
        used = (one for one in options or [] if one["DhcpOptionsId"] in own)
        block = next(iter(self._ranges), None)
        return any(ec2.names_amazon(_dns_servers(one), block) for one in used) or own_servers

    def _is_used(self, endpoint: _Described) -> bool:
        """Tell whether an endpoint may lead to a service that is judged."""
        # an endpoint for a resource or a service network has no service name
        service, is_fips = ec2.service_of(endpoint.get("ServiceName", ""))
        called = self.bucket_region if service == "s3" else self._region
        of_region = called in (None, endpoint.get("ServiceRegion", self._region))
        if is_fips or service not in self._services or not of_region:
            return False
        kind = one_of(endpoint.get("VpcEndpointType", "Interface"), _KINDS_OF_ENDPOINTS)
        return kind in ("Gateway", "Interface")

    def _as_endpoint(self, found: _Described) -> model.Endpoint:
        """Read a VPC endpoint."""
        name, (service, _) = found["VpcEndpointId"], ec2.service_of(found["ServiceName"])
        state = found["State"].lower()
        gateway = found.get("VpcEndpointType") == "Gateway"
        exists: Fact = state == "available"
        if state not in _SETTLED:
            exists = Unknown(f"the endpoint {name!r}, which is {state}")
        elif exists and service == "s3" and self.bucket_region is None:
            exists = Unknown("which region the log bucket is in, as an endpoint serves only one")
        policy = json.loads(found.get("PolicyDocument") or "null")
        called = EACH_CALL.knowing({"aws:SourceVpc": self.id, "aws:SourceVpce": name})
        context, error = with_organization(self._session, policy, called)
        self._unless_error(error)
        kinds = found.get("IpAddressType"), found.get("DnsOptions", {}).get("DnsRecordIpType")
        only_ipv6 = Unknown(
            f"whether the agent uses IPv6, as the endpoint {name!r} has only IPv6 addresses"
        )
        return model.Endpoint(
            name,
            name,
            ec2.Service(service),
            exists=exists,
            gateway=gateway,
            private_dns=False if gateway else _private_dns(found, service),
            ipv4=only_ipv6 if "ipv6" in kinds else True,
            subnets=tuple(found.get("SubnetIds", ())),
            groups=tuple(group["GroupId"] for group in found.get("Groups", ())),
            tables=tuple(found.get("RouteTableIds", ())),
            policy=policy,
            own_account=self._account,
            region=found.get("ServiceRegion", self._region),
            context=context,
        )

    def _as_subnet(self, found: _Described) -> model.Subnet:
        """Read a subnet."""
        name, block = found["SubnetId"], found.get("CidrBlock")
        table, acl = self._table_of.get(name), self.acls.get(name)
        only_ipv6 = Unknown("whether the agent uses IPv6, as the subnet has no IPv4")
        return model.Subnet(
            name,
            name,
            self.id if block else only_ipv6,
            IPv4Network(block) if block else only_ipv6,
            public_addresses=bool(found.get("MapPublicIpOnLaunch")),
            ipv6=bool(found.get("Ipv6CidrBlockAssociationSet")),
            table=table["RouteTableId"] if table else self._main_table,
            acl=model.NetworkAcl(acl["NetworkAclId"], tuple(_entries(acl)))
            if acl
            else Unknown(f"the network ACL of the subnet {name!r}"),
            blocked=found.get("BlockPublicAccessStates", {}).get("InternetGatewayBlockMode", "off"),
            zones=_zones_of(found),
        )

    def _can_hold_endpoint(self, subnet: _Described) -> bool:
        """Tell whether a subnet can hold an interface endpoint: with IPv4, in an Availability Zone.

        The names of Local Zones and Wavelength Zones are longer than that of an Availability Zone,
        such as `eu-west-1a`. The services have no endpoints in these zones.
        """
        zone = subnet.get("AvailabilityZone", f"{self._region}a").removeprefix(self._region)
        return "CidrBlock" in subnet and "OutpostArn" not in subnet and len(zone) == 1

    def _deciding(self, routes: list[_Described]) -> Iterator[_Described]:
        """Yield the routes of a table that decide where traffic to a service goes.

        A static route for the same addresses has priority over one that a virtual private gateway
        propagates, and so has the local route for all addresses of the VPC.
        https://docs.aws.amazon.com/vpn/latest/s2svpn/vpn-route-priority.html
        """
        propagated = [one for one in routes if one.get("Origin") == "EnableVgwRoutePropagation"]
        static = {one.get(_DESTINATION) for one in routes if one not in propagated}
        for one in routes:
            to = one.get(_DESTINATION) if one in propagated else None
            loses = to and (to in static or is_within(IPv4Network(to), self._ranges))
            if not loses and one.get("GatewayId") != _LATTICE:
                yield one

    def _route(self, route: _Described) -> model.Route:
        """Read a route of a route table."""
        leads, target, name = _target(route)
        if leads == "internet-gateway" and self._barrier:
            leads, name = "elsewhere", f"the {self._barrier} of {name}"
        if (state := route.get("State", "active")) != "active":
            leads = "nowhere" if state == "blackhole" else "elsewhere"
        if _DESTINATION in route:
            return model.Route(IPv4Network(route[_DESTINATION]), leads, target, name)
        if prefix_list := route.get("DestinationPrefixListId"):
            return model.Route(self._prefix_list(prefix_list), leads, target, name)
        return model.Route("ipv6", leads, target, name)

    def _prefix_list(self, prefix_list: str) -> model.PrefixList:
        service = self._prefix_lists.get(prefix_list, "")
        return model.PrefixList(f"the prefix list {prefix_list!r}", service)

    def _services_by_prefix_list(self) -> Mapping[str, str]:
        """Return the service of each prefix list for which a gateway endpoint has added a route."""
        services = {
            one["VpcEndpointId"]: ec2.service_of(one.get("ServiceName", ""))[0]
            for one in self._endpoints or ()
        }
        # The agent calls S3 in the region of the bucket, and not in this region.
        if self.bucket_region not in (None, self._region):
            elsewhere = {"s3": str(ec2.Service("s3", self._region))}
            services = {one: elsewhere.get(of, of) for one, of in services.items()}
        return {
            route["DestinationPrefixListId"]: services.get(route.get("GatewayId", ""), "")
            for table in self._tables
            for route in table["Routes"]
            if "DestinationPrefixListId" in route
        }

    def _nat(self, found: _Described) -> model.NatGateway:
        """Read a NAT gateway."""
        name, state = found["NatGatewayId"], found["State"]
        available: Fact = state == "available"
        # A regional NAT gateway has a route table of its own.
        routes = self._routes_of.get(found.get("RouteTableId", ""), ())
        if state not in _SETTLED:
            available = Unknown(f"the NAT gateway {name!r}, which is {state}")
        elif available and found.get("AttachedAppliances"):
            available = Unknown(f"the appliances of the NAT gateway {name!r}")
        elif available and any(one.leads not in ("local", "internet-gateway") for one in routes):
            available = Unknown(f"the route table of the NAT gateway {name!r}")
        served = [zone for one in found.get("NatGatewayAddresses", ()) for zone in _zones_of(one)]
        return model.NatGateway(
            name,
            found["VpcId"],
            None if found.get("AvailabilityMode") == "regional" else found["SubnetId"],
            public=one_of(found.get("ConnectivityType", "public"), _CONNECTIVITY) == "public",
            available=available,
            zones=(*served,) if found.get("AutoProvisionZones") == "disabled" else None,
        )

    def _group(self, found: _Described) -> model.SecurityGroup:
        """Read a security group."""
        return model.SecurityGroup(
            found["GroupId"],
            tuple(self._rules(found.get("IpPermissions", ()))),
            tuple(self._rules(found.get("IpPermissionsEgress", ()))),
        )

    def _rules(self, permissions: Iterable[_Described]) -> Iterator[model.Rule]:
        """Yield the rules for TCP 443, one for each peer."""
        for found in permissions:
            if ec2.admits_https(found["IpProtocol"], found.get("FromPort"), found.get("ToPort")):
                for cidr in found.get("IpRanges", ()):
                    yield model.Rule(IPv4Network(cidr["CidrIp"], strict=False))
                for _ in found.get("Ipv6Ranges", ()):
                    yield model.Rule("ipv6")
                for pair in found.get("UserIdGroupPairs", ()):
                    yield model.Rule(model.GroupPeer(pair["GroupId"]))
                for listed in found.get("PrefixListIds", ()):
                    named = self._prefix_list(listed["PrefixListId"])
                    is_known = self.bucket_region or "s3" not in self._services
                    yield model.Rule(named if is_known else named._replace(service=""))


def read_vpc(session: Session, asked: Surroundings) -> LiveVpc:
    """Read the resources of a VPC, once for all instances in the same surroundings."""
    return session.once((session.region, asked), lambda: LiveVpc(session, asked))


def _ranges(vpc: _Described) -> Iterator[IPv4Network]:
    """Yield the ranges of a VPC, the primary one first.

    The local routes do not show them all: an appliance may take the place of one.
    """
    yield IPv4Network(vpc["CidrBlock"])
    for one in vpc.get("CidrBlockAssociationSet", ()):
        if one["CidrBlockState"]["State"] == "associated":
            yield IPv4Network(one["CidrBlock"])


def _barrier_of(vpc: _Described) -> str:
    """Name the feature that may drop traffic through a VPC's internet gateway; "" if none does.

    https://docs.aws.amazon.com/vpc/latest/userguide/vpc-encryption-controls.html
    """
    control = vpc.get("EncryptionControl", {})
    excluded = control.get("ResourceExclusions", {}).get("InternetGateway", {}).get("State")
    if control.get("Mode", "monitor") != "monitor" and excluded != "enabled":
        return "encryption control"
    return "firewall" if vpc.get("NetworkFirewallAssociations") else ""


def _associated(listed: Iterable[_Described], by: str) -> dict[Any, _Described]:
    """Return route tables or network ACLs by a field of their associations, such as `SubnetId`."""
    return {
        one[by]: its
        for its in listed
        for one in its.get("Associations", [])
        if by in one and one.get("AssociationState", {}).get("State") not in _NOT_ASSOCIATED
    }


def _once_available(endpoint: model.Endpoint, tables: Iterable[str]) -> model.Endpoint:
    """Return an endpoint as it will be once it exists and has the name of its service."""
    if endpoint.exists is False:
        return endpoint
    named = not endpoint.gateway and endpoint.service != ec2.S3
    return endpoint._replace(exists=True, private_dns=named, tables=(*tables,))


def _target(route: _Described) -> tuple[model.Leads, str, str]:
    """Return where a route leads: the kind, the id, and the name in messages."""
    gateway = route.get("GatewayId", "")
    if gateway == "local":
        return "local", gateway, ""
    if gateway.startswith("igw-"):
        return "internet-gateway", gateway, f"the internet gateway {gateway!r}"
    if nat := route.get("NatGatewayId"):
        return "nat-gateway", nat, f"the NAT gateway {nat!r}"
    for name, what in ec2.ELSEWHERE.items():
        if route.get(name):
            return "elsewhere", route[name], f"the {what} {route[name]!r}"
    what = "the virtual private gateway" if gateway.startswith("vgw-") else "the appliance"
    return "elsewhere", gateway, f"{what} {gateway!r}"


def groups_of(instance: _Described) -> tuple[str, ...]:
    """Return the ids of the security groups of an instance's first network interface."""
    groups = _primary(instance).get("Groups") or instance.get("SecurityGroups", [])
    return tuple(group["GroupId"] for group in groups)


def _primary(instance: _Described) -> _Described:
    """Return the primary network interface of an instance: device 0 of network card 0."""
    interfaces: list[_Described] = instance.get("NetworkInterfaces", [])
    for one in interfaces:
        attached = one.get("Attachment", {})
        if attached.get("DeviceIndex") == attached.get("NetworkCardIndex", 0) == 0:
            return one
    return {}


def _path(interface: _Described, address: IPv4Network | None) -> str:
    """Return a text that is equal for network interfaces whose paths are the same.

    It is equal for all interfaces that Amazon EKS attaches to a node for its Pods.

    Args:
        interface: the network interface.
        address: the address of the instance, if a rule is about some addresses of its subnet.
    """
    groups = sorted(one["GroupId"] for one in interface.get("Groups", ()))
    where = interface if address else interface.get("SubnetId", interface)
    return str((where, groups, "Association" in interface))


def _public_address(instance: _Described) -> Fact:
    """Tell whether the instance has a public IPv4 address, or gets one when it is started.

    The attribute `MapPublicIpOnLaunch` of the subnet counts only at the launch.
    """
    if instance.get("PublicIpAddress") or _primary(instance).get("Association", {}).get("PublicIp"):
        return True
    if instance["State"]["Name"] == "running":
        return False
    return Unknown("whether the start of the instance gives it a public IPv4 address")


def _dns_servers(options: _Described) -> list[str]:
    """List the DNS servers of DHCP options."""
    listed = {one["Key"]: one["Values"] for one in options["DhcpConfigurations"]}
    return [one["Value"] for one in listed.get("domain-name-servers", ())]


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


def is_of_tcp(entry: _Described) -> bool:
    """Tell whether an entry of a network ACL is about TCP over IPv4."""
    return "CidrBlock" in entry and entry["Protocol"] in (_TCP, "-1")


def _entries(acl: _Described) -> Iterator[model.AclEntry]:
    """Yield the entries of a network ACL that are about TCP."""
    for entry in filter(is_of_tcp, acl["Entries"]):
        ports = entry.get("PortRange")
        yield model.AclEntry(
            entry["RuleNumber"],
            entry["Egress"],
            one_of(entry["RuleAction"], ("allow", "deny")) == "allow",
            IPv4Network(entry["CidrBlock"], strict=False),
            (ports["From"], ports["To"]) if ports and entry["Protocol"] == _TCP else ec2.ALL_PORTS,
        )


def _zones_of(found: _Described) -> tuple[str, ...]:
    """List the name and the id of an Availability Zone, as far as they are described."""
    return tuple(found[one] for one in ("AvailabilityZone", "AvailabilityZoneId") if one in found)
