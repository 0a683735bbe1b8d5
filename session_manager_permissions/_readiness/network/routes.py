"""Reads route tables, their routes and NAT gateways."""

from __future__ import annotations

import re
from functools import cached_property, partial
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from session_manager_permissions._network.ec2 import ELSEWHERE
from session_manager_permissions._network.facts import Fact, Unknown
from session_manager_permissions._network.model import NatGateway, Route, RouteTable
from session_manager_permissions._network.place import is_within
from session_manager_permissions._readiness.parts import SUBNET, VPC, Matters, PartKind, decider
from session_manager_permissions._readiness.templates.functions import entries
from session_manager_permissions._readiness.templates.model import Resource

from .reading import INTERNET_GATEWAY, ROUTE, TABLE, PartOf, Reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from session_manager_permissions._network.model import Destination, Leads, Reference

_NAT: Final = PartKind("NAT gateway", ("AWS::EC2::NatGateway",))

_PROPAGATIONS: Final = (
    PartOf("AWS::EC2::RouteServerPropagation", "RouteTableId", TABLE),
    PartOf("AWS::EC2::VPNGatewayRoutePropagation", "RouteTableIds", TABLE),
)
"""The resources that propagate routes into route tables."""

_NO_CODE: Final = (
    *("AWS::CloudFormation::Stack", "AWS::EC2::SubnetRouteTableAssociation"),
    *("AWS::EC2::VPCEndpoint", ROUTE.type),
)
"""The types that name a route table and are known to run no code."""
_MAKES_ROUTES: Final = re.compile(rb"(?:create|replace|new-ec2|set-ec2)[-_]?route(?![-_]?table|53)")
"""Matches the calls that make routes, in a script, in code or in the policy of its role."""

_IN_VPC: Final = (*SUBNET.types, "AWS::EC2::VPCEndpoint")
"""A custom resource or a stack that refers to one of these may add a route out of its VPC."""


class RouteReader(Reader):
    """Reads route tables and NAT gateways."""

    def read_table(self, resource: Resource) -> RouteTable:
        """Read a route table. A VPC stands for its main one, to which templates add no routes."""
        if resource.type in VPC.types:
            return RouteTable("", (), self._all_known(resource))
        routes = [one for route in self._reading.of(resource, ROUTE) for one in self._routes(route)]
        for kind in _PROPAGATIONS:
            for one in self._reading.of(resource, kind):
                name = f"the propagated routes of {one.logical_id!r}"
                routes.append(Route(Unknown(name), "elsewhere", name=name))
        seen: Fact = self._parts.changed(resource) or True
        for one in self._code_by_table.get(resource, ()):
            seen = Unknown(f"the routes that {one.logical_id!r} may make") if one.exists else seen
        if seen is True:
            vpc = self._parts.vpc_of(resource)
            seen = self._all_known(vpc) if vpc else self._complete(resource)
        return RouteTable(resource.logical_id, tuple(routes), seen)

    @cached_property
    def _code_by_table(self) -> dict[Resource, list[Resource]]:
        """Map each route table to the code that refers to it, if a template names such a call."""
        parts = self._parts
        types = [one for one in parts.by_type if one not in _NO_CODE]
        return parts.by_mentioned(parts.of_types(types) if parts.mention(_MAKES_ROUTES) else [])

    def _all_known(self, vpc: Resource) -> Fact:
        """Whether all routes that lead out of a VPC are known."""
        parts = self._parts

        def judge() -> Fact:
            in_it = (one for one in parts.given if one.type in _IN_VPC and parts.vpc_of(one) is vpc)
            changed = filter(None, map(parts.changed, (vpc, *in_it)))
            return next(changed, None) or self._complete(vpc, partial(self._leads_out, vpc))

        return parts.worlds.once((self, vpc), judge)

    def _complete(self, parent: Resource, matters: Matters = bool) -> Fact:
        fact = self._reading.complete(parent, ROUTE, matters, parent)
        for kind in _PROPAGATIONS if fact is True else ():
            fact = self._reading.unseen(parent, kind) or fact
        return fact

    def _leads_out(self, vpc: Resource, route: Resource) -> bool:
        """Whether a route may lead out of a VPC, by its destination."""
        ranges = self._reading.ranges(vpc)
        others = (to for to in self._destinations(route) if to not in ranges)
        return any(not isinstance(to, IPv4Network) or not is_within(to, ranges) for to in others)

    def _routes(self, resource: Resource) -> list[Route]:
        """The routes of a resource: one, or one for each entry of a prefix list of the app."""
        leads, target, name = self._target(resource)
        return [Route(to, leads, target, name) for to in self._destinations(resource)]

    def _destinations(self, resource: Resource) -> Sequence[Destination]:
        properties = resource.properties
        block = properties.get("DestinationCidrBlock")
        if block is not None:
            return [self._reading.range(resource, block)]
        if properties.get("DestinationIpv6CidrBlock") is not None:
            return ["ipv6"]
        return self._reading.in_prefix_list(resource, properties.get("DestinationPrefixListId"))

    def _target(self, resource: Resource) -> tuple[Leads, Reference, str]:
        """Where a route leads, its target, and what a message calls that."""
        written = {
            name: value
            for name in ("GatewayId", "NatGatewayId", *ELSEWHERE)
            if (value := resource.properties.get(name)) is not None
        }
        if len(written) != 1:
            return "elsewhere", None, f"the target of the route {resource.logical_id!r}"
        ((name, value),) = written.items()
        if name == "NatGatewayId":
            return "nat-gateway", self._parts.reference(resource, value, _NAT), "the NAT gateway"
        found, noun = self._parts.behind(resource, value), ELSEWHERE.get(name, "gateway")
        is_gateway = name == "GatewayId"
        if is_gateway and found == "local":
            return "local", None, ""
        if not isinstance(found, Resource):
            return "elsewhere", None, decider(value, noun)
        if is_gateway and found.type in INTERNET_GATEWAY.types:
            return "internet-gateway", found, f"the internet gateway {found.logical_id!r}"
        return "elsewhere", None, f"the {noun} {found.logical_id!r}"

    def read_nat_gateway(self, resource: Resource) -> NatGateway:
        """Read a NAT gateway."""
        properties, parts = resource.properties, self._parts
        regional = parts.text(resource, properties.get("AvailabilityMode")) == "regional"
        kind, words = properties.get("ConnectivityType"), ("public", "private")
        zones = [
            zone
            for entry in entries(properties.get("AvailabilityZoneAddresses"))
            for zone in self._reading.zones(resource, entry)
        ]
        return NatGateway(
            resource.logical_id,
            parts.reference(resource, properties.get("VpcId"), VPC),
            None if regional else parts.reference(resource, properties.get("SubnetId"), SUBNET),
            public=parts.fact(resource, kind, "connectivity", default=True, words=words),
            zones=(*zones,) if "AvailabilityZoneAddresses" in properties else None,
        )
