"""How EC2 writes services, ports and routes, in templates and in the answers of its API."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

HTTPS: Final = 443

ALL_PORTS: Final = (0, 65535)
REQUESTS: Final = (HTTPS, HTTPS)
"""The first and the last destination port of requests."""
ANSWERS: Final = (1024, 65535)
"""The first and the last port of return traffic: a NAT gateway uses all of these."""
ANSWERS_BY_DEFAULT: Final = (32768, 65535)
"""The first and the last ephemeral port that Linux and Windows use by default.

https://docs.aws.amazon.com/vpc/latest/userguide/custom-network-acl.html#nacl-ephemeral-ports
"""

LAST_ENTRY: Final = 32766
"""The largest number of an entry of a network ACL.

https://docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html
"""

SERVICES: Final = ("ssm", "ssmmessages", "kms", "logs", "s3")
"""The names of the services that a session may need."""


class Service(NamedTuple):
    """A service that the compute calls."""

    name: str
    region: str = ""
    """Its region, if it differs from the region of the compute."""

    def __str__(self) -> str:
        """Return what a message calls it."""
        return f"{self.name} in {self.region}" if self.region else self.name


S3: Final = Service("s3")
"""The service with an AWS managed prefix list of its addresses, which rules and routes can name."""

ELSEWHERE: Final = {
    "CarrierGatewayId": "carrier gateway",
    "CoreNetworkArn": "core network",
    "EgressOnlyInternetGatewayId": "egress-only internet gateway",
    "InstanceId": "instance",
    "LocalGatewayId": "local gateway",
    "NetworkInterfaceId": "network interface",
    "OdbNetworkArn": "ODB network",
    "TransitGatewayId": "transit gateway",
    "VpcEndpointId": "VPC endpoint",
    "VpcPeeringConnectionId": "VPC peering connection",
}
"""The targets of a route that the judge can't follow, by the field that names them."""


def service_of(name: str) -> tuple[str, bool]:
    """The service behind the service name of an endpoint, and whether it is the FIPS variant.

    Args:
        name: `com.amazonaws.REGION.SERVICE`, or the same after `cn.`.
    """
    service = name.rpartition(".")[2]
    return service.removesuffix("-fips"), service.endswith("-fips")


def names_amazon(servers: Collection[str], block: object) -> bool:
    """Tell whether the DNS servers of DHCP options are certainly Amazon's resolver alone.

    https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html

    Args:
        servers: the servers. If there are none, CloudFormation's reference says that the resolver
            is the default. But instances are reported to have no server then:
            https://github.com/hashicorp/terraform-provider-aws/issues/2031
        block: the primary range of the VPC, if it is known. The resolver is at its third address.
    """
    third = islice(block, 2, 3) if isinstance(block, IPv4Network) else ()
    resolver = {"AmazonProvidedDNS", "169.254.169.253", "fd00:ec2::253", *map(str, third)}
    return bool(servers) and resolver.issuperset(servers)


def admits_https(protocol: object, low: object, high: object) -> bool | None:
    """Whether a security group rule allows TCP 443; None if its port numbers can't be read."""
    if str(protocol) == "-1":
        return True
    if str(protocol).lower() not in {"tcp", "6"}:
        is_named = re.fullmatch("udp|icmp(v?6)?", str(protocol).lower())
        return False if is_named or number(protocol) is not None else None
    first, last = number(low), number(high)
    if first is None or last is None:
        known = (first is not None and first > HTTPS) or (last is not None and last < HTTPS)
        return False if known else None
    return first <= HTTPS <= last


def number(value: object) -> int | None:
    """Return a number; None if it begins with 0, as YAML may read it as an octal number."""
    return int(str(value)) if re.fullmatch("0|[1-9][0-9]{0,8}", str(value)) else None
