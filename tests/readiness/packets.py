"""Sends packets through the network of each deployment that a template could have.

Each value that the template leaves open (the address of an instance, the address of the service,
the port to which responses return) is tried with several values. A request and its response pass
each hop, or they do not, so nothing here is partly known: if the tries differ, the template does
not decide. This module shares no code with the package.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any, Final, NamedTuple

from .deployments import ACCOUNT, REGION, deployed

Outcome = bool | None
"""Whether a packet and its answer arrive; None where that is not in the template."""
Resource = dict[str, Any]

SERVICES: Final = {
    "ssm": ("ssm:UpdateInstanceInformation",),
    "ssmmessages": tuple(f"ssmmessages:{verb}{kind}Channel"
        for verb in ("Create", "Open") for kind in ("Control", "Data")),
}  # fmt: skip
"""The actions of each service that an agent needs."""

PUBLIC: Final = ("52.94.7.1", "18.200.3.4", "150.222.8.9")
PUBLIC6: Final = "2600:1f18::1"
HTTPS: Final = 443
BY_DEFAULT: Final = (32768, 50000, 65535)
"""Some of the default ephemeral ports of an instance, to which responses return."""
EPHEMERAL: Final = (1024, 32767, *BY_DEFAULT)
HOSTS: Final = (10, 200)
"""The host numbers that an interface may have in its subnet."""
OUT_OF_SIGHT: Final = ("TransitGatewayId", "VpcPeeringConnectionId", "NetworkInterfaceId")


class Interface(NamedTuple):
    """A network interface."""

    subnet: str
    address: str
    groups: tuple[str, ...]
    public: bool


def agreed(outcomes: Iterable[Outcome]) -> Outcome:
    """The common outcome of all tries; None if they differ."""
    found = {*outcomes}
    return found.pop() if len(found) == 1 else None


def worst(*outcomes: Outcome) -> Outcome:
    """The outcome of a path whose parts all have to pass."""
    return False if False in outcomes else None if None in outcomes else True


def outcomes(template: dict[str, Any]) -> Iterator[Outcome]:
    """For each deployment with an instance, whether the agent reaches all services it needs."""
    for resources in deployed(template, {}, {}):
        network = Network(resources)
        if network.places:
            yield worst(*(agreed(map(network.reaches, one)) for one in network.places))


block_of = cache(ip_network)


@cache
def within(address: str, block: str) -> bool:
    """Whether an address is in a block."""
    return ip_address(address) in block_of(block)


@cache
def hosts(block: str) -> tuple[str, ...]:
    """Some addresses of a block."""
    return tuple(str(block_of(block)[host]) for host in HOSTS)


class Network:
    """The network of a deployment."""

    def __init__(self, resources: dict[str, Resource]) -> None:
        self.resources = resources
        self._by_type: defaultdict[str, list[Resource]] = defaultdict(list)
        for one in resources.values():
            self._by_type[one["Type"]].append(one)
        self._acls = {
            one["SubnetId"]: self._entries(one["NetworkAclId"])
            for one in self.of("SubnetNetworkAclAssociation")
        }
        self._tables = {
            one["SubnetId"]: self.of("Route", RouteTableId=one["RouteTableId"])
            for one in self.of("SubnetRouteTableAssociation")
        }
        self.places = [[*self._tries(*place)] for place in self._places()]
        """The interfaces that an agent may have, for each subnet that it may be in."""
        self.to_public = cache(self._to_public)
        """Whether an interface reaches public addresses, asked once for all services."""

    def of(self, kind: str, **given: object) -> list[Resource]:
        """The resources of a type of EC2 that have these properties."""
        return [
            one
            for one in self._by_type[f"AWS::EC2::{kind}"]
            if all(one.get(name) == value for name, value in given.items())
        ]

    # Where the agent is --------------------------------------------------------------------------

    def _places(self) -> Iterator[tuple[str, Resource, bool]]:
        for name, one in self.resources.items():
            if one["Type"] in ("AWS::EC2::Instance", "AWS::AutoScaling::AutoScalingGroup"):
                data = self._launched(one) | one
                data |= (data.get("NetworkInterfaces") or [{}])[0]
                for subnet in data.get("VPCZoneIdentifier") or [data["SubnetId"]]:
                    yield subnet, data, bool(self.of("EIP", InstanceId=name))

    def _launched(self, one: Resource) -> Resource:
        if "LaunchTemplate" in one:
            written = self.resources[one["LaunchTemplate"]["LaunchTemplateId"]]
            return dict(written["LaunchTemplateData"])
        return self.resources.get(one.get("LaunchConfigurationName", ""), {})

    def _tries(self, subnet: str, data: Resource, elastic: bool) -> Iterator[Interface]:  # noqa: FBT001
        of_subnet = self.resources[subnet]
        names = ("SecurityGroupIds", "SecurityGroups", "GroupSet", "Groups")
        groups = [one for name in names for one in data.get(name, ())]
        gives = data.get("AssociatePublicIpAddress", of_subnet.get("MapPublicIpOnLaunch"))
        fixed = data.get("PrivateIpAddress")
        public = gives in (True, "true") or elastic
        for address in [fixed] if fixed else hosts(of_subnet["CidrBlock"]):
            yield self._interface(subnet, address, groups, public=public)

    def _interface(
        self, subnet: str, address: str, groups: Iterable[str], *, public: bool = False
    ) -> Interface:
        default = f"{self.resources[subnet]['VpcId']}.DefaultSecurityGroup"
        return Interface(subnet, address, tuple(groups) or (default,), public)

    # Names ---------------------------------------------------------------------------------------

    def reaches(self, interface: Interface) -> Outcome:
        """Whether an agent at an interface reaches all services."""
        return worst(*(self._to(interface, service) for service in SERVICES))

    def _to(self, start: Interface, service: str) -> Outcome:
        way = self._by_name(start, service)
        if way is False and "Ipv6CidrBlock" in self.resources[start.subnet]:
            return agreed([False, self._out(start, PUBLIC6)])  # of agents that are set to use IPv6
        return way

    def _by_name(self, start: Interface, service: str) -> Outcome:
        vpc = self.resources[start.subnet]["VpcId"]
        supported = self.resources[vpc].get("EnableDnsSupport", True) in (True, "true")
        named = supported and self.resources[vpc].get("EnableDnsHostnames") in (True, "true")
        endpoints = [
            one
            for one in self.of("VPCEndpoint", VpcId=vpc, VpcEndpointType="Interface")
            if one["ServiceName"] == f"com.amazonaws.{REGION}.{service}"
            and one.get("ServiceRegion", REGION) == REGION
        ]
        for association in self.of("VPCDHCPOptionsAssociation", VpcId=vpc):
            servers = self.resources[association["DhcpOptionsId"]]["DomainNameServers"]
            if servers != ["AmazonProvidedDNS"]:  # they answer with anything
                ways = [self._to_endpoint(start, one, service) for one in endpoints]
                return agreed([False, self.to_public(start), *ways])
        if not supported:  # only an image with DNS servers of its own resolves names
            return agreed([False, self.to_public(start)])
        of_zone = [self.resources[name] for name in self._in_zones(vpc, service)]
        private = [one for one in endpoints if one.get("PrivateDnsEnabled") in (True, "true")]
        for one in (*of_zone, *private) if named else ():
            return self._to_endpoint(start, one, service)
        return self.to_public(start)

    def _in_zones(self, vpc: str, service: str) -> Iterator[str]:
        """The endpoints to which private hosted zones of the service's name lead."""
        for id_, zone in self.resources.items():
            if zone.get("Name") == f"{service}.{REGION}.amazonaws.com" and {
                "VPCId": vpc,
                "VPCRegion": REGION,
            } in zone.get("VPCs", ()):
                for record in self.resources.values():
                    if record.get("HostedZoneId") == id_:
                        yield record["AliasTarget"]["DNSName"]

    # Endpoints -----------------------------------------------------------------------------------

    def _to_endpoint(self, start: Interface, endpoint: Resource, service: str) -> Outcome:
        groups = endpoint.get("SecurityGroupIds", ())
        ends = [
            self._interface(subnet, address, groups)
            for subnet in endpoint["SubnetIds"]
            for address in hosts(self.resources[subnet]["CidrBlock"])
        ]
        allows = worst(*(may(endpoint, action) for action in SERVICES[service]))
        return worst(allows, agreed(self._between(start, end) for end in ends))

    def _between(self, start: Interface, end: Interface) -> Outcome:
        near, far = start.subnet, end.subnet
        shut: list[Outcome] = []
        if near != far:
            shut = [
                self._crosses(near, end.address, HTTPS, egress=True),
                self._crosses(far, start.address, HTTPS, egress=False),
                self._answered(far, start.address, egress=True),
                self._answered(near, end.address, egress=False),
            ]
        return worst(
            self._passes(start.groups, "Egress", end.address, end.groups),
            self._passes(end.groups, "Ingress", start.address, start.groups),
            *shut,
            *(None for one in (near, far) if self._route(one, end.address) is not None),
        )

    # Routes --------------------------------------------------------------------------------------

    def _to_public(self, start: Interface) -> Outcome:
        ways = agreed(self._out(start, address) for address in PUBLIC)
        if ways is not False:
            return ways
        # Others may have endpoints there, and share their names.
        elsewhere: list[str] = []
        for route in self._tables.get(start.subnet, ()):
            if any(name in route for name in OUT_OF_SIGHT):
                elsewhere += [
                    hosts(block)[0]
                    for block in ("10.250.0.0/16", *self._blocks(route))
                    if self._route(start.subnet, hosts(block)[0]) is route
                ]
        return agreed([False, *(self._out(start, address) for address in elsewhere)])

    def _out(self, start: Interface, to: str) -> Outcome:
        if to == PUBLIC6:
            block = self.resources[start.subnet]["Ipv6CidrBlock"]
            start = start._replace(address=hosts(block)[0], public=True)
        return worst(self._passes(start.groups, "Egress", to, ()), self._forward(start, to, ()))

    def _forward(self, hop: Interface, to: str, seen: tuple[str, ...]) -> Outcome:
        """Follow a packet out of the subnet of an interface, and its answer back."""
        route = self._route(hop.subnet, to)
        if route is None:
            return False
        shut = worst(
            self._crosses(hop.subnet, to, HTTPS, egress=True),
            self._answered(hop.subnet, to, egress=False, of_nat=bool(seen)),
        )
        vpc = self.resources[hop.subnet]["VpcId"]
        nat = route.get("NatGatewayId")
        if nat:
            return worst(shut, False if nat in seen else self._by_nat(nat, hop, to, seen))
        if route.get("EgressOnlyInternetGatewayId"):
            return shut
        if not route.get("GatewayId"):
            return worst(shut, None)
        attached = self.of("VPCGatewayAttachment", VpcId=vpc, InternetGatewayId=route["GatewayId"])
        blocked = self.of("VPCBlockPublicAccessOptions") and not seen
        # An exclusion that is not in the template may let it out.
        return worst(shut, bool(attached) and hop.public, None if blocked else True)

    def _by_nat(self, name: str, hop: Interface, to: str, seen: tuple[str, ...]) -> Outcome:
        nat = self.resources[name]
        if nat.get("AvailabilityMode") == "regional":
            return True if self.of("VPCGatewayAttachment", VpcId=nat["VpcId"]) else None
        public = nat.get("ConnectivityType", "public") == "public"
        address = hosts(self.resources[nat["SubnetId"]]["CidrBlock"])[0]
        gateway = Interface(nat["SubnetId"], address, (), public)
        shut: list[Outcome] = []
        if gateway.subnet != hop.subnet:
            shut = [
                self._crosses(gateway.subnet, hop.address, HTTPS, egress=False),
                self._answered(gateway.subnet, hop.address, egress=True, of_nat=bool(seen)),
            ]
        return worst(*shut, self._forward(gateway, to, (*seen, name)))

    def _route(self, subnet: str, to: str) -> Resource | None:
        """The route that a packet takes; None where it stays in the VPC or is dropped."""
        local = self.resources[self.resources[subnet]["VpcId"]]["CidrBlock"]
        found, longest = None, block_of(local).prefixlen if within(to, local) else -1
        for route in self._tables.get(subnet, ()):
            for block in self._blocks(route):
                if within(to, block) and block_of(block).prefixlen > longest:
                    found, longest = route, block_of(block).prefixlen
        return found

    def _blocks(self, route: Resource) -> list[str]:
        for name in ("DestinationCidrBlock", "DestinationIpv6CidrBlock"):
            if name in route:
                return [route[name]]
        return self._listed(route["DestinationPrefixListId"])

    def _listed(self, prefix_list: str) -> list[str]:
        return [entry["Cidr"] for entry in self.resources[prefix_list]["Entries"]]

    # Filters -------------------------------------------------------------------------------------

    def _answered(self, subnet: str, peer: str, *, egress: bool, of_nat: bool = False) -> Outcome:
        pass_ = [self._crosses(subnet, peer, port, egress=egress) for port in EPHEMERAL]
        of_default = pass_[-len(BY_DEFAULT) :]
        return agreed(pass_ if of_nat or not all(of_default) else of_default)

    def _entries(self, acl: str) -> list[Resource]:
        """The entries of a network ACL that are of TCP, in their order."""
        entries = self.of("NetworkAclEntry", NetworkAclId=acl)
        of_tcp = [one for one in entries if str(one["Protocol"]) in ("6", "-1")]
        return sorted(of_tcp, key=lambda entry: int(entry["RuleNumber"]))

    def _crosses(self, subnet: str, peer: str, port: int, *, egress: bool) -> bool:
        """Whether the network ACL of a subnet lets a packet cross."""
        if subnet not in self._acls:
            return True
        for entry in self._acls[subnet]:
            ports = entry.get("PortRange", {"From": 0, "To": 65535})
            if (
                entry.get("Egress", False) is egress
                and within(peer, entry["CidrBlock"])
                and ports["From"] <= port <= ports["To"]
            ):
                return bool(entry["RuleAction"] == "allow")
        return False

    def _passes(
        self, groups: tuple[str, ...], side: str, peer: str, peers: tuple[str, ...]
    ) -> Outcome:
        """Whether a rule of one of the security groups allows TCP 443."""
        found = [self._lets(group, side, peer, peers) for group in groups]
        return True if True in found else None if None in found else False

    def _lets(self, group: str, side: str, peer: str, peers: tuple[str, ...]) -> Outcome:
        if group.endswith(".DefaultSecurityGroup"):
            return side == "Egress" or group in peers
        inline = self.resources[group].get(f"SecurityGroup{side}")
        separate = self.of(f"SecurityGroup{side}", GroupId=group)
        if any(self._admits(rule, peer, peers) for rule in (*(inline or ()), *separate)):
            return True
        # Whether rules of their own take the place of the default one is told in two ways.
        if side == "Ingress" or inline:
            return False
        return None if separate or inline is not None else True

    def _admits(self, rule: Resource, peer: str, peers: tuple[str, ...]) -> bool:
        protocol = rule["IpProtocol"]
        has_port = protocol == "tcp" and rule["FromPort"] <= HTTPS <= rule["ToPort"]
        if protocol != "-1" and not has_port:
            return False
        for name in ("CidrIp", "CidrIpv6"):
            if name in rule:
                return within(peer, rule[name])
        for end in ("Source", "Destination"):
            if f"{end}SecurityGroupId" in rule:
                return rule[f"{end}SecurityGroupId"] in peers
            if f"{end}PrefixListId" in rule:
                blocks = self._listed(rule[f"{end}PrefixListId"])
                return any(within(peer, block) for block in blocks)
        raise ValueError(rule)


def may(endpoint: Resource, action: str) -> Outcome:
    """Whether the policy of an endpoint allows an action of the account's roles."""
    if "PolicyDocument" not in endpoint:
        return True
    found: dict[str, set[Outcome]] = {"Allow": set(), "Deny": set()}
    for statement in endpoint["PolicyDocument"]["Statement"]:
        named = statement.get("Action") or statement.get("NotAction")
        several = [named] if isinstance(named, str) else named
        covers = any(fnmatchcase(action.lower(), one.lower()) for one in several)
        if covers is ("Action" in statement):
            of_account = {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}
            holds = statement.get("Condition", of_account) == of_account
            found[statement["Effect"]].add(True if holds else None)
    allowed = True if True in found["Allow"] else None if found["Allow"] else False
    denied = True if True in found["Deny"] else None if found["Deny"] else False
    return worst(allowed, None if denied is None else not denied)
