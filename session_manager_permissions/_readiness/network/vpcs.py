"""Reads VPCs, their internet gateways and their subnets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from session_manager_permissions._network.facts import Fact, Unknown, all_of, doubts
from session_manager_permissions._network.model import Subnet, Vpc
from session_manager_permissions._readiness.templates import UNKNOWN, Resource, listed, text
from session_manager_permissions._readiness.values import SUBNET, VPC, fact, mappings

from .acls import ACL, acls_of
from .reading import INTERNET_GATEWAY, TABLE

if TYPE_CHECKING:
    from collections.abc import Hashable

    from session_manager_permissions._network.model import Reference

    from .reading import Reading


_RESOLVERS: Final = {
    "AWS::Route53Profiles::ProfileAssociation": "ResourceId",
    "AWS::Route53Resolver::ResolverRuleAssociation": "VPCId",
}
"""The resources that may have the names of a VPC resolved in another way."""


def _note_what_blocks_public_access(reading: Reading) -> None:
    """Note what may shut the internet gateways of an account and region.

    https://docs.aws.amazon.com/vpc/latest/userguide/security-vpc-bpa.html
    """
    for resource in reading.values.by_type["AWS::EC2::VPCBlockPublicAccessOptions"]:
        if text(resource.properties.get("InternetGatewayBlockMode")) != "off":
            by = f"the VPC Block Public Access of {resource.logical_id!r}"
            reading.leave_open("public access", resource.template, by)


def read_vpcs(reading: Reading) -> None:
    """Read the VPCs, with the internet gateways that are attached to them."""
    _note_what_blocks_public_access(reading)
    values = reading.values
    ranges = reading.gathered("AWS::EC2::VPCCidrBlock", "VpcId", VPC, "ranges")
    attachments = reading.gathered("AWS::EC2::VPCGatewayAttachment", "VpcId", VPC, "attachments")
    resolvers = _resolvers(reading)
    firewalls = _firewalls(reading)
    for resource in values.by_type["AWS::EC2::VPC"]:
        properties = resource.properties
        own = values.range(resource.template, properties.get("CidrBlock"))
        name = resource.logical_id
        reading.network.vpcs[resource] = Vpc(
            name,
            (
                own if not isinstance(own, Resource) else Unknown(f"the CIDR of {name!r}"),
                *(
                    reading.range(more, more.properties.get("CidrBlock"))
                    for more in ranges[resource]
                    if not any("pv6" in name for name in more.properties)
                ),
                *doubts([reading.complete("ranges", resource)]),
            ),
            dns_support=fact(properties.get("EnableDnsSupport"), "DNS support", default=True),
            dns_hostnames=fact(
                properties.get("EnableDnsHostnames"), "DNS host names", default=False
            ),
            resolver=resolvers.get(resource, reading.complete("resolvers", resource)),
            names_pass=firewalls.get(resource, True),
            complete=values.given_away.get(resource, reading.complete("endpoints", resource)),
            internet_gateways=(
                *(
                    _attached(reading, attachment)
                    for attachment in attachments[resource]
                    if "InternetGatewayId" in attachment.properties
                ),
                *((one, True) for one in doubts([reading.complete("attachments", resource)])),
            ),
            main_table=resource,
            default_group=resource,
        )


def _attached(reading: Reading, attachment: Resource) -> tuple[Reference, Fact]:
    """The internet gateway of an attachment, and whether that is deployed."""
    value = attachment.properties["InternetGatewayId"]
    reference = reading.values.reference(attachment.template, value, INTERNET_GATEWAY)
    blocks = reading.complete("public access", attachment)
    return reference, all_of((reading.values.exists(attachment), blocks))


def _resolvers(reading: Reading) -> dict[Hashable, Unknown]:
    """The VPCs whose instances may not ask Amazon's DNS resolver alone."""
    values = reading.values
    found: dict[Hashable, Unknown] = {}
    for resource in values.by_type["AWS::EC2::VPCDHCPOptionsAssociation"]:
        properties = resource.properties
        options = values.behind(resource.template, properties.get("DhcpOptionsId"))
        if isinstance(options, Resource):
            servers = options.properties.get("DomainNameServers", ["AmazonProvidedDNS"])
            if servers == ["AmazonProvidedDNS"]:
                continue
        _note(reading, found, resource, "VpcId", f"the DNS servers of {resource.logical_id!r}")
    for type_, by in _RESOLVERS.items():
        for resource in values.by_type[type_]:
            _note(reading, found, resource, by, f"the DNS rules of {resource.logical_id!r}")
    return found


def _note(
    reading: Reading, found: dict[Hashable, Unknown], resource: Resource, by: str, decides: str
) -> None:
    """Note what decides how names are resolved in the VPC that a property refers to."""
    value = resource.properties.get(by)
    vpc = reading.values.reference(resource.template, value, VPC)
    if not isinstance(vpc, Unknown):
        found[vpc] = Unknown(decides)
    elif reading.values.doubts_ids:
        reading.leave_open("resolvers", resource.template, decides)


def _firewalls(reading: Reading) -> dict[Hashable, Unknown]:
    """The VPCs whose DNS firewall may block the names of services.

    https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resolver-dns-firewall.html
    """
    values = reading.values
    found: dict[Hashable, Unknown] = {}
    for resource in values.by_type["AWS::Route53Resolver::FirewallRuleGroupAssociation"]:
        template, properties = resource.template, resource.properties
        group = values.behind(template, properties.get("FirewallRuleGroupId"))
        if not isinstance(group, Resource) or not _is_of_other_names(reading, group):
            vpc = values.behind(template, properties.get("VpcId"))
            found[vpc] = Unknown(f"the DNS firewall rules of {resource.logical_id!r}")
    return found


def _is_of_other_names(reading: Reading, group: Resource) -> bool:
    """Whether a group of firewall rules certainly blocks no name of a service."""
    for rule, _, _ in mappings(group.properties.get("FirewallRules")):
        if rule is None:
            return False
        if text(rule.get("Action")) in {"ALLOW", "ALERT"}:
            continue
        domains = reading.values.behind(group.template, rule.get("FirewallDomainListId"))
        if not isinstance(domains, Resource) or "Domains" not in domains.properties:
            return False
        for domain, _ in listed(domains.properties["Domains"]):
            if _may_be_of_service(text(domain).rstrip(".")):
                return False
    return True


def _may_be_of_service(domain: str) -> bool:
    """Whether a domain, which may begin with `*`, covers the public name of a service."""
    rest = domain.removeprefix("*").removeprefix(".")
    return UNKNOWN in domain or any(
        rest.endswith(suffix) or (domain.startswith("*") and suffix.endswith(rest))
        for suffix in ("amazonaws.com", "amazonaws.com.cn")
    )


def read_subnets(reading: Reading) -> None:
    """Read the subnets, with their route tables and network ACLs."""
    values = reading.values
    associated = "AWS::EC2::SubnetRouteTableAssociation"
    associations = reading.gathered(associated, "SubnetId", SUBNET, "associations")
    blocks = reading.gathered("AWS::EC2::SubnetCidrBlock", "SubnetId", SUBNET, "ipv6")
    entries = reading.gathered("AWS::EC2::NetworkAclEntry", "NetworkAclId", ACL, "entries")
    acls = acls_of(reading, entries)
    for resource in values.by_type["AWS::EC2::Subnet"]:
        properties = resource.properties
        tables = [
            (
                values.reference(one.template, one.properties.get("RouteTableId"), TABLE),
                values.exists(one),
            )
            for one in associations[resource]
        ]
        somewhere = reading.complete("associations", resource)
        # A subnet takes one association.
        if isinstance(somewhere, Unknown) and not any(exists is True for _, exists in tables):
            tables.append((somewhere, somewhere))
        vpc = values.reference(resource.template, properties.get("VpcId"), VPC)
        acl = acls.get(resource)
        if acl is not None and isinstance(other := reading.complete("acls", resource), Unknown):
            acl = other
        if acl is None and isinstance(vpc, Resource) and vpc in entries:
            acl = Unknown(f"the default network ACL of {vpc.logical_id!r}")
        if fact(properties.get("Ipv6Native"), "IPv6", default=False) is not False:
            vpc = Unknown("whether the agent uses IPv6")
        reading.network.subnets[resource] = Subnet(
            resource.logical_id,
            vpc,
            reading.range(resource, properties.get("CidrBlock")),
            public_addresses=fact(
                properties.get("MapPublicIpOnLaunch"), "public address", default=False
            ),
            ipv6=bool(blocks[resource]) or any("Ipv6" in name for name in properties),
            tables=tuple(tables),
            acl=acl,
        )
