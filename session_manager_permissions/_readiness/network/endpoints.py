"""Reads VPC endpoints, and hosted zones that lead to them."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._network.ec2 import SERVICES, service_of
from session_manager_permissions._network.facts import Fact, Unknown, all_of
from session_manager_permissions._network.model import Endpoint, Zone
from session_manager_permissions._readiness.templates import UNKNOWN, Resource, present, text
from session_manager_permissions._readiness.values import (
    GROUP,
    SUBNET,
    VPC,
    decider,
    fact,
    mappings,
    may_be_one_region,
)

from .reading import TABLE

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from session_manager_permissions._network.model import Reference

    from .reading import Reading


_ONLY_INBOUND: Final = "PrivateDnsOnlyForInboundResolverEndpoint"
"""Whether the private DNS of an interface endpoint of S3 is only for those who ask from outside the
VPC, by a resolver endpoint.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html#private-dns-s3
"""


def read_endpoints(reading: Reading) -> None:
    """Add to each VPC its endpoints, and after them those that may be its own or another VPC's."""
    vpcs = reading.network.vpcs
    certain: defaultdict[Hashable, list[Endpoint]] = defaultdict(list)
    possible: defaultdict[Hashable, list[Endpoint]] = defaultdict(list)
    for resource in reading.values.by_type["AWS::EC2::VPCEndpoint"]:
        for read in _endpoint(reading, resource):
            endpoint = _in_doubt(read, reading.values.customised.get(resource))
            for id_, meant in _vpcs_of(reading, resource, endpoint):
                if meant is True:
                    certain[id_].append(endpoint)
                else:
                    exists = all_of((endpoint.exists, meant))
                    possible[id_].append(endpoint._replace(exists=exists))
    for id_ in dict.fromkeys((*certain, *possible)):
        vpcs[id_] = vpcs[id_]._replace(endpoints=(*certain[id_], *possible[id_]))


def _in_doubt(endpoint: Endpoint, doubt: Unknown | None) -> Endpoint:
    """Return the endpoint with its groups and its policy in doubt, if something may change them."""
    if doubt is None:
        return endpoint
    policy = None if endpoint.policy is None else doubt
    return endpoint._replace(groups=(*endpoint.groups, doubt), policy=policy)


def _vpcs_of(
    reading: Reading, resource: Resource, endpoint: Endpoint
) -> list[tuple[Hashable, Fact]]:
    """Return the VPC of an endpoint, or each VPC that it may be in.

    If the endpoint does not name its VPC, its subnets, groups and route tables may.
    """
    values, vpcs = reading.values, reading.network.vpcs
    value = resource.properties.get("VpcId")
    vpc = values.reference(resource.template, value, VPC)
    if vpc not in vpcs:
        for part in (*endpoint.subnets, *endpoint.groups, *endpoint.tables):
            of_part = values.vpc_of(part)
            if of_part in vpcs:
                return [(of_part, True)]
    return _meant(reading, vpc, resource)


def _meant(reading: Reading, vpc: Reference, resource: Resource) -> list[tuple[Hashable, Fact]]:
    """The VPC that a resource refers to, or each that may be meant."""
    if not isinstance(vpc, Unknown):
        return [(vpc, True)] if vpc in reading.network.vpcs else []
    stack = resource.template.stack
    return [
        (found, vpc)
        for found in reading.network.vpcs
        if isinstance(found, Resource) and may_be_one_region(found.template.stack, stack)
    ]


def _endpoint(reading: Reading, resource: Resource) -> Iterable[Endpoint]:
    """The endpoint, once for each service that it may be of."""
    values, template, properties = reading.values, resource.template, resource.properties
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
        subnets=values.references(template, properties.get("SubnetIds"), SUBNET),
        groups=values.references(template, properties.get("SecurityGroupIds"), GROUP),
        tables=values.references(template, properties.get("RouteTableIds"), TABLE),
        policy=present(properties, "PolicyDocument"),
        own_account=({"Ref": "AWS::AccountId"}, template.stack.account),
    )
    if kind == UNKNOWN:
        doubt = Unknown(f"the type of the endpoint {resource.logical_id!r}")
        endpoint = endpoint._replace(exists=doubt)
    if UNKNOWN not in service:
        yield endpoint
        return
    doubt = Unknown(f"the service of the endpoint {resource.logical_id!r}")
    for one in SERVICES:
        yield endpoint._replace(service=one, exists=doubt)


def read_zones(reading: Reading) -> None:
    """Read the private hosted zones for public names of services into their VPCs."""
    values = reading.values
    records: defaultdict[Hashable, list[Resource]] = defaultdict(list)
    for type_ in ("AWS::Route53::RecordSet", "AWS::Route53::RecordSetGroup"):
        for record in values.by_type[type_]:
            of = values.behind(record.template, record.properties.get("HostedZoneId"))
            records[of].append(record)
    for resource in values.by_type["AWS::Route53::HostedZone"]:
        for service in _zone_services(text(resource.properties.get("Name"))):
            endpoint = _led_to(reading, records[resource], service)
            exists = values.exists(resource)
            zone = Zone(resource.logical_id, service, endpoint, exists)
            vpcs = resource.properties.get("VPCs")
            for entry, written, certain in mappings(vpcs):
                doubt = certain or Unknown(decider(vpcs, "VPC"))
                value = entry.get("VPCId") if entry else written
                vpc = values.reference(resource.template, value, VPC)
                for id_, meant in _meant(reading, vpc, resource):
                    found = reading.network.vpcs[id_]
                    one = zone._replace(exists=all_of((exists, meant, doubt)))
                    reading.network.vpcs[id_] = found._replace(zones=(*found.zones, one))


def _led_to(reading: Reading, records: list[Resource], service: str) -> Reference:
    """The endpoint that the records of a hosted zone lead to."""
    found = {
        endpoint
        for record in records
        for endpoint in record.mentions
        if endpoint.type == "AWS::EC2::VPCEndpoint"
        and service_of(text(endpoint.properties.get("ServiceName"))) == (service, False)
    }
    certain = all(reading.values.exists(record) is True for record in records)
    return found.pop() if len(found) == 1 and certain else Unknown("the hosted zone's records")


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
    own = resource.template.stack.region
    regions = {text(resource.properties.get("ServiceRegion", own)), *name.split(".")[-2:-1]}
    return own is None or all(UNKNOWN in region or region == own for region in regions)


def _zone_services(name: str) -> list[str]:
    """The services whose public name is in a hosted zone of this name."""
    region, suffix = rf"[a-z0-9{UNKNOWN}-]+", r"amazonaws\.com(?:\.cn)?"
    of_service = rf"({'|'.join(SERVICES)})\.{region}\.(?:{suffix}|{UNKNOWN})"
    of_all = rf"(?:(?:{UNKNOWN}\.)?{region}\.)?{suffix}"
    found = re.fullmatch(rf"(?:{of_service}|{of_all})\.?", name.lower())
    if not found:
        return []
    return [found[1]] if found[1] else [*SERVICES]
