"""Reads route tables, their routes and NAT gateways."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from session_manager_permissions._network.ec2 import ELSEWHERE
from session_manager_permissions._network.facts import Unknown
from session_manager_permissions._network.model import (
    Leads,
    NatGateway,
    PrefixList,
    Route,
    RouteTable,
)
from session_manager_permissions._readiness.templates import Resource, present, shown, text
from session_manager_permissions._readiness.values import SUBNET, VPC, PartKind, decider

from .reading import INTERNET_GATEWAY, TABLE

if TYPE_CHECKING:
    from collections.abc import Hashable

    from session_manager_permissions._network.facts import Fact
    from session_manager_permissions._network.model import Destination, Reference, Vpc
    from session_manager_permissions._readiness.templates import Template

    from .reading import Reading


_ENDPOINT: Final = "AWS::EC2::VPCEndpoint"
_NAT: Final = PartKind("NAT gateway", ("AWS::EC2::NatGateway",))

_PROPAGATIONS: Final = {
    "AWS::EC2::RouteServerPropagation": "RouteTableId",
    "AWS::EC2::VPNGatewayRoutePropagation": "RouteTableIds",
}
"""The resources that put routes into tables by themselves, and the property that names these."""


def read_tables(reading: Reading) -> None:
    """Read the route tables, with what may put routes into them."""
    values = reading.values
    to = partial(_destination, reading)
    routes = reading.gathered("AWS::EC2::Route", "RouteTableId", TABLE, "routes", detail=to)
    propagations = [
        reading.gathered(type_, by, TABLE, "routes") for type_, by in _PROPAGATIONS.items()
    ]
    customised = _customised(reading)
    complete: dict[Hashable, Fact] = {}
    for id_, vpc in reading.network.vpcs.items():
        assert isinstance(id_, Resource)  # noqa: S101 # as all ids of this network
        complete[id_] = customised.get(id_) or reading.complete(
            "routes", id_, partial(_leads_out, vpc)
        )
        name = f"main route table of {id_.logical_id}"
        reading.network.tables[id_] = RouteTable(name, (), complete[id_])
    for resource in values.by_type["AWS::EC2::RouteTable"]:
        read = [_route(reading, route) for route in routes[resource]]
        for by_table in propagations:
            read += [_propagated(reading, propagation) for propagation in by_table[resource]]
        of_vpc = complete.get(values.vpc_of(resource))
        seen = customised.get(resource) or of_vpc or reading.complete("routes", resource)
        reading.network.tables[resource] = RouteTable(resource.logical_id, tuple(read), seen)


def _leads_out(vpc: Vpc, to: Hashable) -> bool:
    """Whether a route may lead out of a VPC, by its destination."""
    if to in vpc.ranges:
        return False
    return not isinstance(to, IPv4Network) or not any(
        isinstance(one, IPv4Network) and to.subnet_of(one) for one in vpc.ranges
    )


def _customised(reading: Reading) -> dict[Hashable, Unknown]:
    """The route tables and VPCs to which something unseen may add a way out.

    It may do so by way of a subnet or of an endpoint too.
    """
    values = reading.values
    found = {**values.customised}
    for resource, doubt in values.customised.items():
        if isinstance(resource, Resource) and resource.type in (*SUBNET.types, _ENDPOINT):
            found[values.vpc_of(resource)] = doubt
    return found


def _propagated(reading: Reading, resource: Resource) -> Route:
    name = f"the propagated routes of {resource.logical_id!r}"
    exists = reading.values.exists(resource)
    return Route(Unknown(name), "elsewhere", name=name, exists=exists)


def _route(reading: Reading, resource: Resource) -> Route:
    leads, target, name = _target(reading, resource)
    exists = reading.values.exists(resource)
    return Route(_destination(reading, resource), leads, target, name, exists)


def _destination(reading: Reading, resource: Resource) -> Destination:
    properties = resource.properties
    block = present(properties, "DestinationCidrBlock")
    if block is not None:
        return reading.range(resource, block)
    if present(properties, "DestinationIpv6CidrBlock") is not None:
        return "ipv6"
    return PrefixList(f"the prefix list {shown(properties.get('DestinationPrefixListId'))}")


def _target(reading: Reading, resource: Resource) -> tuple[Leads, Reference, str]:
    """Where a route leads, its target, and what a message calls that."""
    template, properties = resource.template, resource.properties
    written = {
        name: value
        for name in ("GatewayId", "NatGatewayId", *ELSEWHERE)
        if (value := present(properties, name)) is not None
    }
    if len(written) != 1:
        return "elsewhere", None, f"the target of the route {resource.logical_id!r}"
    ((name, value),) = written.items()
    if name == "NatGatewayId":
        nat = reading.values.reference(template, value, _NAT)
        return "nat-gateway", nat, "the NAT gateway"
    if name != "GatewayId":
        return "elsewhere", None, _named(reading, template, value, ELSEWHERE[name])
    gateway = reading.values.behind(template, value)
    if isinstance(gateway, Resource) and gateway.type in INTERNET_GATEWAY.types:
        return "internet-gateway", gateway, f"the internet gateway {gateway.logical_id!r}"
    if gateway == "local":
        return "local", None, ""
    return "elsewhere", None, _named(reading, template, value, "gateway")


def _named(reading: Reading, template: Template, value: object, noun: str) -> str:
    found = reading.values.behind(template, value)
    if isinstance(found, Resource):
        return f"the {noun} {found.logical_id!r}"
    return decider(value, noun)


def read_nat_gateways(reading: Reading) -> None:
    """Read the NAT gateways."""
    values = reading.values
    for resource in values.by_type["AWS::EC2::NatGateway"]:
        template, properties = resource.template, resource.properties
        regional = text(properties.get("AvailabilityMode")) == "regional"
        kind = properties.get("ConnectivityType", "public")
        public = {"public": True, "private": False}.get(text(kind))
        reading.network.nat_gateways[resource] = NatGateway(
            resource.logical_id,
            values.reference(template, properties.get("VpcId"), VPC),
            None if regional else values.reference(template, properties.get("SubnetId"), SUBNET),
            public=Unknown(decider(kind, "connectivity")) if public is None else public,
            available=values.exists(resource),
        )
