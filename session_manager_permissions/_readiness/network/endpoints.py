"""Reads VPC endpoints."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from session_manager_permissions._conditions import EACH_CALL
from session_manager_permissions._network.ec2 import SERVICES, Service, service_of
from session_manager_permissions._network.facts import Fact, Unknown, all_of
from session_manager_permissions._network.model import Endpoint
from session_manager_permissions._readiness.marks import marked
from session_manager_permissions._readiness.parts import (
    GROUP,
    SUBNET,
    VPC,
    decider,
    is_vpc,
    may_be_one_region,
)
from session_manager_permissions._readiness.templates import functions
from session_manager_permissions._readiness.templates.texts import as_text

from .reading import TABLE, PartOf, Reader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from session_manager_permissions._readiness.templates.model import Resource

_ENDPOINT: Final = "AWS::EC2::VPCEndpoint"
_ENDPOINT_IN_VPC: Final = PartOf(_ENDPOINT, "VpcId", VPC)
_ASSOCIATED: Final = "AWS::EC2::SecurityGroupVpcAssociation"
_REGION: Final = {"Ref": "AWS::Region"}
_ONLY_INBOUND: Final = "PrivateDnsOnlyForInboundResolverEndpoint"
"""The option by which private DNS of an interface endpoint for S3 serves only queries from outside
the VPC, through an inbound endpoint of Route 53 Resolver.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html#private-dns-s3
"""


class EndpointReader(Reader):
    """Reads the endpoints of VPCs, by their services."""

    def endpoints(self, vpc: Resource, service: Service) -> list[Endpoint]:
        """Read a VPC's endpoints for a service: first the certain ones, then the possible ones."""

        def may_be_of_it(resource: Resource) -> bool:
            return service.name in self._services[resource]

        of_vpc = self._reading.of(vpc, _ENDPOINT_IN_VPC, may_be_of_it)
        certain = [*filter(None, (self._endpoint(one, service) for one in of_vpc))]
        possible: list[Endpoint] = []
        for resource in filter(may_be_of_it, self._in_unknown_vpc):
            endpoint = self._endpoint(resource, service) if resource.exists else None
            meant = self._is_in(vpc, resource, endpoint) if endpoint else False
            if endpoint and meant is not False:
                several = certain if meant is True else possible
                several.append(endpoint._replace(exists=all_of((endpoint.exists, meant))))
        return [*certain, *possible]

    @cached_property
    def _services(self) -> dict[Resource, set[str]]:
        """The services that each endpoint may be for, in any world."""
        return {
            one: {
                service
                for value in functions.values_of(one.properties, "ServiceName")
                for name in self._parts.assembly.possible(one.template, value)
                for service in _services_of(as_text(name))
            }
            for one in self._parts.by_type[_ENDPOINT]
        }

    @cached_property
    def _in_unknown_vpc(self) -> list[Resource]:
        """The endpoints that do not certainly name a VPC of the app."""
        return [
            one
            for one in self._parts.by_type[_ENDPOINT]
            if not any(
                certain and is_vpc(vpc)
                for vpc, certain in self._parts.possible(one, _ENDPOINT_IN_VPC.by, VPC).items()
            )
        ]

    def _endpoint(self, resource: Resource, service: Service) -> Endpoint | None:
        """Read an endpoint; None if it is of another kind, or for another service or region."""
        parts, template, properties = self._parts, resource.template, resource.properties
        kind = parts.text(resource, properties.get("VpcEndpointType", "Gateway"))
        name = parts.text(resource, properties.get("ServiceName"))
        in_region = self._in_region(resource, name, service.region)
        is_its = service.name in _services_of(name) and in_region is not False
        if kind not in {"Interface", "Gateway", functions.UNKNOWN} or not is_its:
            return None
        named, fips = service_of(name)
        exists = in_region
        if functions.UNKNOWN in named:
            exists = Unknown(f"the service of the endpoint {resource.logical_id!r}")
        elif kind == functions.UNKNOWN:
            exists = Unknown(f"the type of the endpoint {resource.logical_id!r}")
        doubt = parts.changed(resource)
        policy: object = properties.get("PolicyDocument")
        if policy is not None:  # a policy that can't be read is not the default one
            policy = doubt or parts.assembly.document(template, policy, marked) or functions.UNKNOWN
        groups = parts.references(resource, properties.get("SecurityGroupIds"), GROUP)
        return Endpoint(
            resource,
            resource.logical_id,
            service,
            exists,
            gateway=kind == "Gateway",
            private_dns=self._private_dns(resource, service.name, fips=fips),
            ipv4=self._ipv4(resource),
            subnets=parts.references(resource, properties.get("SubnetIds"), SUBNET),
            groups=groups if doubt is None else (*groups, doubt),
            tables=parts.references(resource, properties.get("RouteTableIds"), TABLE),
            policy=policy,
            own_account=marked(template.value({"Ref": "AWS::AccountId"})),
            region=marked(template.value(service.region or _REGION)) if in_region is True else None,
            context=EACH_CALL.knowing(
                {"aws:SourceVpc": marked(template.value(properties.get("VpcId")))}
            ),
        )

    def _is_in(self, vpc: Resource, resource: Resource, endpoint: Endpoint) -> Fact:
        """Whether an endpoint is in a VPC.

        If the endpoint does not name its VPC, its subnets, groups and route tables may.
        """
        named = self._parts.reference(resource, resource.properties.get("VpcId"), VPC)
        if is_vpc(named):
            return False  # `endpoints` finds it by the VPC that it names
        # A group may be associated with further VPCs.
        groups = () if self._parts.by_type[_ASSOCIATED] else endpoint.groups
        for part in (*endpoint.subnets, *groups, *endpoint.tables):
            of_part = self._parts.vpc_of(part)
            if of_part:
                return of_part is vpc
        if not isinstance(named, Unknown):
            return named is vpc
        return named if may_be_one_region(vpc.template.stack, resource.template.stack) else False

    def _private_dns(self, resource: Resource, service: str, *, fips: bool) -> Fact:
        """Whether the service's public name leads to an endpoint if the DNS attributes are on."""
        properties, parts = resource.properties, self._parts
        value = properties.get("PrivateDnsEnabled")
        enabled = parts.fact(resource, value, "private DNS", default=False)
        if enabled is not False and fips:
            return Unknown("whether the agent uses the FIPS endpoint")
        if service != "s3":
            return enabled
        inbound = functions.mapping(properties.get("DnsOptions")).get(_ONLY_INBOUND)
        for_vpc = {"AllResolvers": True, "OnlyInboundResolver": False}.get(str(inbound))
        doubt = Unknown("whether the private DNS of the S3 endpoint is for the VPC")
        return all_of((enabled, doubt if for_vpc is None else for_vpc))

    def _ipv4(self, resource: Resource) -> Fact:
        """Whether the names of an endpoint have IPv4 addresses."""
        properties, parts = resource.properties, self._parts
        options = properties.get("DnsOptions", {})
        addresses = parts.text(resource, properties.get("IpAddressType", "ipv4"))
        default = None if functions.is_function(options) else addresses
        of_names = functions.mapping(options).get("DnsRecordIpType", default)
        kinds = {addresses, parts.text(resource, of_names)}
        if "ipv6" in kinds:
            return Unknown("whether the agent uses IPv6")
        known = kinds <= {"ipv4", "dualstack"}
        doubt = f"the type of the addresses of the endpoint {resource.logical_id!r}"
        return known or Unknown(doubt)

    def _in_region(self, resource: Resource, name: str, there: str) -> Fact:
        """Whether an endpoint is for a service in the region `there`, or in its VPC's if empty.

        https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-cross-region-privatelink-support.html
        """
        own = there or resource.template.stack.region
        of_name = name.split(".")[-2:-1]
        if own is not None and any(functions.UNKNOWN not in one and one != own for one in of_name):
            return False
        value, of = resource.properties.get("ServiceRegion", _REGION), there or _REGION
        written, its = (self._parts.text(resource, one) for one in (value, of))
        if written == its != functions.UNKNOWN or value == of:
            return True
        return Unknown(decider(value, "region")) if functions.UNKNOWN in (written, its) else False


def _services_of(name: str) -> Iterable[str]:
    """The services that an endpoint with this service name may be for."""
    service, _ = service_of(name)
    return SERVICES if functions.UNKNOWN in service else [one for one in SERVICES if one == service]
