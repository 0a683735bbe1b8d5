"""The parts of a network that decide whether TCP 443 reaches a service."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Final, Literal, NamedTuple, TypeVar

from session_manager_permissions import _needs
from session_manager_permissions._conditions import EACH_CALL, RequestContext

from .ec2 import ALL_PORTS, Service
from .facts import Fact, Unknown

TO_OPEN: Final = (
    *_needs.REGISTRATION.actions,
    *_needs.CHANNELS.actions,
    *_needs.decrypt("*", sessions_only=False).actions,
)
"""The actions that the agent calls to open a session."""
TO_LOG: Final = (*_needs.WRITE_LOG, *_needs.log_objects("*", "", other_account=False).actions)
"""The actions that the agent calls to log a session. If one is denied, only the log is lost."""

IF_ENFORCED: Final = {"s3": "s3:GetEncryptionConfiguration", "logs": "logs:DescribeLogGroups"}
"""The action that the agent also calls to open a session if encryption is enforced, by service."""


def calls_to_log(*, streams: bool) -> tuple[str, ...]:
    """Return the actions that the agent calls to log a session. To stream, it lists log groups."""
    return (*TO_LOG, IF_ENFORCED["logs"]) if streams else TO_LOG


OTHER_INTERFACE: Final = "another network interface of the instance"
"""Names what may give compute another path, if it has more than one network interface."""

Range = IPv4Network | Unknown
Reference = Hashable | Unknown
"""The id of another part of the network, or an `Unknown` that says what decides it."""


class PrefixList(NamedTuple):
    """A prefix list as the peer of a rule or the destination of a route."""

    name: str
    service: str = ""
    """The service whose addresses it holds, where AWS manages it."""


class GroupPeer(NamedTuple):
    """A security group as the peer of a rule."""

    group: Reference


Peer = IPv4Network | PrefixList | GroupPeer | Unknown | Literal["ipv6"]


class Rule(NamedTuple):
    """One rule of a security group that lets TCP 443 pass."""

    peer: Peer
    exists: Fact = True


class SecurityGroup(NamedTuple):
    """The rules of a security group that allow TCP 443."""

    name: str
    inbound: Iterable[Rule] = ()
    outbound: Iterable[Rule] = ()
    complete: Fact = True
    """Whether all of its rules are known."""


class AclEntry(NamedTuple):
    """One entry of a network ACL that is about TCP."""

    number: int
    egress: bool
    allows: bool
    range: Range
    ports: tuple[int, int] = ALL_PORTS


class NetworkAcl(NamedTuple):
    """A network ACL. It denies what no entry allows."""

    name: str
    entries: tuple[AclEntry, ...]


class Endpoint(NamedTuple):
    """A VPC endpoint."""

    id: Hashable
    name: str
    service: Service
    exists: Fact = True
    """Whether it is there, and its state is `available`."""
    gateway: bool = False
    """True for a gateway endpoint, which is in route tables; False for an interface endpoint."""
    private_dns: Fact = False
    """Whether the service's public name leads to it, if the DNS attributes of the VPC are on."""
    ipv4: Fact = True
    """Whether its names have IPv4 addresses, which agents use by default."""
    subnets: tuple[Reference, ...] = ()
    groups: tuple[Reference, ...] = ()
    """Its security groups; none stands for the VPC's default group."""
    tables: tuple[Reference, ...] = ()
    policy: object = None
    """Its policy document as read from JSON; None for the default one, which allows all."""
    own_account: str = ""
    """The account of the compute, as the policy writes it."""
    region: str | None = None
    """The region of the service, as the policy writes it; None if it is not known."""
    context: RequestContext = EACH_CALL
    """The other condition keys that are known of a role's calls through it."""


class Zone(NamedTuple):
    """A private hosted zone, associated with the VPC, for the public name of a service."""

    name: str
    service: Service
    endpoint: Reference
    """The endpoint that its record leads to."""
    exists: Fact = True


_OfService = TypeVar("_OfService", bound=Endpoint | Zone)

OfService = Callable[[Service], Sequence[_OfService]]
"""A function that returns the endpoints, or the hosted zones, that a VPC has for a service."""


def by_service(several: Iterable[_OfService] = ()) -> OfService[_OfService]:
    """Return a function that finds endpoints, or hosted zones, by their service."""
    known = (*several,)
    return lambda service: [one for one in known if one.service == service]


class Vpc(NamedTuple):
    """A VPC."""

    name: str
    ranges: tuple[Range, ...]
    dns_support: Fact = True
    dns_hostnames: Fact = True
    resolver: Fact = True
    """Whether its instances ask Amazon's DNS resolver."""
    names_pass: Fact = True
    """Whether its DNS firewall lets them ask for the names of the services."""
    endpoints: OfService[Endpoint] = by_service()
    zones: OfService[Zone] = by_service()
    complete: Fact = True
    """Whether all of its endpoints are known."""
    acls: Iterable[NetworkAcl | Unknown] = ()
    """The network ACLs that its subnets may have, besides the unchanged default ACL."""
    internet_gateways: Iterable[tuple[Reference, Fact]] = ()
    """Its internet gateways, each with whether it is attached."""
    edge_routes: tuple[tuple[Reference, Route], ...] = ()
    """The routes of the internet gateways' route tables that divert inbound traffic."""
    default_group: Hashable = None


class Subnet(NamedTuple):
    """A subnet."""

    id: Hashable
    name: str
    vpc: Reference
    range: Range
    public_addresses: Fact = False
    """Whether it gives interfaces a public IPv4 address (`MapPublicIpOnLaunch`)."""
    ipv6: Fact = False
    table: Reference = None
    """Its route table, which is the VPC's main one if it has none of its own."""
    acl: NetworkAcl | Unknown | None = None
    """Its network ACL; None if it allows everything, as the default network ACL does."""
    blocked: str = "off"
    """The mode of VPC Block Public Access: `off`, `block-ingress`, which lets NAT gateways work, or
    `block-bidirectional`."""
    zones: tuple[Hashable, ...] = ()
    """The name and the id of its Availability Zone, as far as they are known."""


Destination = IPv4Network | PrefixList | Unknown | Literal["ipv6"]
Leads = Literal["local", "internet-gateway", "nat-gateway", "nowhere", "elsewhere"]


class Route(NamedTuple):
    """A route."""

    destination: Destination
    leads: Leads
    """`nowhere` is a blackhole; `elsewhere` is a target whose further path is not known."""
    target: Reference = None
    name: str = ""
    """The target as a noun of a message: "the transit gateway 'tgw-1'"."""


class RouteTable(NamedTuple):
    """A route table."""

    name: str
    """Empty for the main route table of a VPC, which no template names."""
    routes: tuple[Route, ...] = ()
    complete: Fact = True
    """Whether all of its routes are known."""


class NatGateway(NamedTuple):
    """A NAT gateway."""

    name: str
    vpc: Reference
    subnet: Reference | None
    """None for a regional NAT gateway, which is in no subnet."""
    public: Fact = True
    available: Fact = True
    zones: tuple[Hashable, ...] | None = None
    """The names and ids of the Availability Zones that a regional NAT gateway serves; None: all."""


@dataclass(eq=False)
class Network:
    """The parts of a network, each by its id."""

    vpcs: dict[Hashable, Vpc] = field(default_factory=dict)
    subnets: dict[Hashable, Subnet] = field(default_factory=dict)
    tables: dict[Hashable, RouteTable] = field(default_factory=dict)
    nat_gateways: dict[Hashable, NatGateway] = field(default_factory=dict)
    groups: dict[Hashable, SecurityGroup] = field(default_factory=dict)


class CalledOn(NamedTuple):
    """The resource of a call."""

    action: str
    arn: str
    account: str | None = None
    """The account that owns it, as policies write it; None if it is not known."""


class Placement(NamedTuple):
    """Where the primary network interface of compute is."""

    subnet: Reference
    groups: tuple[Reference, ...] = ()
    """Its security groups; none stands for the VPC's default group."""
    public_address: Fact | None = None
    """Whether it gets a public IPv4 address at launch; None if the subnet decides."""
    elastic_address: Fact = False
    """Whether it gets an Elastic IP address."""
    changed_by: str = ""
    """What may give the compute a second path, which is not judged, as a noun of a message."""
    address: IPv4Network | None = None
    """Its private address, if it is known and a rule covers only a part of the subnet."""
    principal: str = ""
    """The ARN of the role that makes its calls, if it is known."""
    resources: tuple[CalledOn, ...] = ()
    """The resources of its calls, as far as they are known, such as that of `s3:PutObject`."""
    calls: tuple[str, ...] = (*TO_OPEN, *TO_LOG)
    """The actions that the agent calls, such as `logs:DescribeLogGroups`."""
