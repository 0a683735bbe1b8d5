"""Reads which resolver answers for the names of services in a VPC, and where hosted zones lead."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._network.ec2 import SERVICES, Service, names_amazon, service_of
from session_manager_permissions._network.facts import Fact, Unknown, all_of
from session_manager_permissions._network.model import Reference, Zone
from session_manager_permissions._partitions import SUFFIXES
from session_manager_permissions._patterns import ARN_PART, any_matches, may_match
from session_manager_permissions._readiness.parts import VPC, PartKind, inner
from session_manager_permissions._readiness.templates.functions import UNKNOWN, entries, listed
from session_manager_permissions._readiness.templates.model import Resource, may_be_equal
from session_manager_permissions._readiness.templates.texts import as_text

from .reading import PartOf, Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._readiness.templates.model import Stack

_DHCP: Final = PartOf("AWS::EC2::VPCDHCPOptionsAssociation", "VpcId", VPC)
_PROFILE: Final = PartOf("AWS::Route53Profiles::ProfileAssociation", "ResourceId", VPC)
_RULE: Final = PartOf("AWS::Route53Resolver::ResolverRuleAssociation", "VPCId", VPC)
_FIREWALL: Final = PartOf("AWS::Route53Resolver::FirewallRuleGroupAssociation", "VpcId", VPC)
_RULES: Final = PartKind("rule group", ("AWS::Route53Resolver::FirewallRuleGroup",))
_FIREWALL_RULE: Final = PartOf("AWS::Route53Resolver::FirewallRule", "FirewallRuleGroupId", _RULES)
_ZONE: Final = PartKind("hosted zone", ("AWS::Route53::HostedZone",))
_RECORDS: Final = (
    PartOf("AWS::Route53::RecordSet", "HostedZoneId", _ZONE),
    PartOf("AWS::Route53::RecordSetGroup", "HostedZoneId", _ZONE),
)
_OF_IPV4: Final = ("A", "TYPE1")
"""The names of the type of query that asks for IPv4 addresses."""

_REGION: Final = re.compile(r"\b[a-z]+(?:-[a-z]+){1,3}-[0-9]+\b")
_UNKNOWN_REGION: Final = "any-region-0"
"""Stands for the region of a stack if that is not known. No pattern names it."""

_SUFFIX: Final = "any.suffix"
_STAND_INS: Final[dict[object, str]] = {"AWS::Region": _UNKNOWN_REGION, "AWS::URLSuffix": _SUFFIX}


class NameReader(Reader):
    """Reads what decides where the names of services lead in a VPC, besides its endpoints."""

    def _text(self, resource: Resource, value: object) -> str:
        """A name as a text, with `UNKNOWN` for what is not known.

        `_UNKNOWN_REGION` and `_SUFFIX` stand for the region of its stack and for the end of names.
        """
        value = resource.template.value(value)
        return "".join(
            _STAND_INS.get(getattr(part, "expression", ""), as_text((part,))) for part in value
        )

    # Resolvers -----------------------------------------------------------------------------------

    def resolver(self, vpc: Resource) -> Fact:
        """Whether the instances of a VPC ask Amazon's resolver alone for the names of services."""
        for one in self._reading.of(vpc, _DHCP):
            if not self._is_of_amazon(one, vpc):
                return Unknown(f"the DNS servers of {one.logical_id!r}")
        for one in self._reading.of(vpc, _PROFILE):
            return Unknown(f"the DNS rules of {one.logical_id!r}")
        unseen = self._reading.unseen
        return (
            self._forwarded(self._reading.of(vpc, _RULE), vpc)
            or unseen(vpc, _DHCP, lambda one: not self._is_of_amazon(one, vpc), vpc)
            or unseen(vpc, _PROFILE)
            or unseen(vpc, _RULE, lambda one: self._forwarded([one], vpc), vpc.template.stack)
            or True
        )

    def _is_of_amazon(self, association: Resource, vpc: Resource) -> bool:
        options = self._parts.behind(association, association.properties.get("DhcpOptionsId"))
        if not isinstance(options, Resource):
            return False
        servers = listed(options.properties.get("DomainNameServers"))
        known = [self._parts.text(options, one) for one in servers]
        return names_amazon(known, self._reading.block(vpc))

    def _forwarded(self, associations: list[Resource], vpc: Resource) -> Unknown | None:
        """The rule that may forward the query for the name of a service to another resolver."""
        found = (self._forwarded_by(associations, name) for name in _all_names(vpc))
        return next(filter(None, found), None)

    def _forwarded_by(self, associations: list[Resource], name: str) -> Unknown | None:
        """The rule that may forward the query for a name elsewhere; the most specific one decides.

        https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resolver-overview-forward-vpc-to-network-domain-name-matches.html
        """
        by_amazon = -1
        elsewhere: list[tuple[float, Unknown]] = []
        for one in associations:
            doubt = Unknown(f"the DNS rules of {one.logical_id!r}")
            rule = self._parts.behind(one, one.properties.get("ResolverRuleId"))
            if not isinstance(rule, Resource) or "DomainName" not in rule.properties:
                return doubt
            domain = self._text(rule, rule.properties["DomainName"]).rstrip(".")
            within = _is_within(domain, name)
            if within is False:
                continue
            if self._parts.text(rule, rule.properties.get("RuleType")) != "SYSTEM":
                elsewhere.append((len(domain) if within else float("inf"), doubt))
            elif within:
                by_amazon = max(by_amazon, len(domain))
        return next((doubt for length, doubt in elsewhere if length > by_amazon), None)

    # Firewalls -----------------------------------------------------------------------------------

    def names_pass(self, vpc: Resource) -> Fact:
        """Whether the DNS firewall of a VPC allows queries for the names of services.

        https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resolver-dns-firewall.html
        """
        stopped = self._stopped(self._reading.of(vpc, _FIREWALL), vpc)
        unseen = self._reading.unseen(
            vpc, _FIREWALL, lambda one: self._stopped([one], vpc), vpc.template.stack
        )
        return stopped or unseen or True

    def _stopped(self, associations: list[Resource], vpc: Resource) -> Unknown | None:
        """The firewall rules that may block the query for the name of a service."""
        rules = [rule for one in associations for rule in self._firewall_rules(one)]
        is_ordered = all(order for order, *_ in rules)
        if is_ordered:
            rules.sort(key=itemgetter(0))
        for name in _all_names(vpc):
            for _, association, domains, blocks in rules:
                matches = any_matches([_matches(domain, name) for domain in domains])
                if blocks and matches is not False:
                    return Unknown(f"the DNS firewall rules of {association.logical_id!r}")
                if matches and is_ordered:  # the first rule that matches decides
                    break
        return None

    def _firewall_rules(
        self, association: Resource
    ) -> Iterator[tuple[tuple[int, ...], Resource, list[str], bool]]:
        """Yield the rules of a group that is associated with a VPC.

        Each has its order, which is empty if it is not known, the association, the domains that it
        matches, and whether it may block them.
        """
        parts, text, properties = self._parts, self._parts.text, association.properties
        group = parts.behind(association, properties.get("FirewallRuleGroupId"))
        rules: list[tuple[Resource, dict[str, Any]]] = [(association, {})]
        if isinstance(group, Resource) and group.type in _RULES.types:
            rules = rules if self._reading.unseen(group, _FIREWALL_RULE) else []
            rules += ((group, one) for one in entries(group.properties.get("FirewallRules")))
            rules += ((one, one.properties) for one in self._reading.of(group, _FIREWALL_RULE))
        for owner, rule in rules:
            priorities = (association, properties), (owner, rule)
            numbers = [text(whose, one.get("Priority")) for whose, one in priorities]
            order = map(int, numbers) if all(map(str.isdecimal, numbers)) else ()
            its = parts.behind(owner, rule.get("FirewallDomainListId"))
            kind, domains = text(owner, rule.get("Qtype", "A")), [UNKNOWN]
            if kind not in _OF_IPV4 and UNKNOWN not in kind:
                domains = []  # the agent queries IPv4 addresses
            elif kind in _OF_IPV4 and isinstance(its, Resource) and "Domains" in its.properties:
                domains = [self._text(its, one) for one in listed(its.properties["Domains"])]
            blocks = text(owner, rule.get("Action")) not in {"ALLOW", "ALERT"}
            yield (*order,), association, domains, blocks

    # Hosted zones --------------------------------------------------------------------------------

    def zones(self, vpc: Resource, service: Service) -> Iterator[Zone]:
        """Read the private hosted zones that a VPC has for the public name of a service."""
        names = _names(service, vpc.template.stack)
        for resource in self._parts.by_type[_ZONE.types[0]]:
            if not resource.exists:
                continue
            domain = self._text(resource, resource.properties.get("Name"))
            within = {_is_within(domain, name) for name in names}
            if within == {False}:
                continue
            doubt = Unknown(f"the name of the hosted zone {resource.logical_id!r}")
            named = True in within or doubt
            for written in listed(resource.properties.get("VPCs")):
                meant = self._names_vpc(vpc, resource, written)
                if meant is not False:
                    led = self._led_to(resource, service, names)
                    yield Zone(resource.logical_id, service, led, all_of((named, meant)))

    def _names_vpc(self, vpc: Resource, zone: Resource, written: object) -> Fact:
        """Whether an entry of a hosted zone's VPCs names a VPC. The zone itself has no region."""
        entry = written if isinstance(written, dict) and "VPCId" in written else {"VPCId": written}
        named = self._parts.reference(zone, entry["VPCId"], VPC)
        region = self._parts.text(zone, entry.get("VPCRegion"))
        there, own = zone.template.stack, vpc.template.stack
        known = None if UNKNOWN in region else region
        if not (may_be_equal(there.account, own.account) and may_be_equal(known, own.region)):
            return False
        return named if isinstance(named, Unknown) else named is vpc

    def _led_to(self, zone: Resource, service: Service, names: list[str]) -> Reference:
        """The endpoint that the records of a hosted zone lead to."""
        found: set[Resource | None] = set()
        for kind in _RECORDS:
            for resource in self._reading.of(zone, kind):
                for record in entries(resource.properties.get("RecordSets", [resource.properties])):
                    found |= self._targets(resource, record, service, names)
        led = found.pop() if len(found) == 1 else None
        return self._parts.changed(zone) or led or Unknown("the hosted zone's records")

    def _targets(
        self, resource: Resource, record: dict[str, Any], service: Service, names: list[str]
    ) -> set[Resource | None]:
        """The endpoints that a record for a service's name leads to; None for an unknown one."""
        text = self._parts.text
        name, kind = self._text(resource, record.get("Name")), text(resource, record.get("Type"))
        is_its_name = any_matches([_matches(name, one) for one in names])
        if is_its_name is False or kind not in {"A", "CNAME", UNKNOWN}:
            return set()
        values = [inner(record, "AliasTarget", "DNSName"), record.get("ResourceRecords")]
        found = {
            one
            for one in resource.template.mentioned_in(values)
            if one.type == "AWS::EC2::VPCEndpoint"
            and service_of(text(one, one.properties.get("ServiceName"))) == (service.name, False)
        }
        # A record with an identifier is one of several: who queries it, or chance, decides.
        is_only = is_its_name and kind != UNKNOWN and "SetIdentifier" not in record
        return {*found} if found and is_only else {None}


def _names(service: Service, stack: Stack) -> list[str]:
    """The public names of a service in the region of a stack, with `*` for what is not known."""
    suffixes = [stack.partition.suffix] if stack.partition else SUFFIXES
    region = service.region or stack.region or "*"
    names = [f"{service.name}.{region}.{suffix}" for suffix in suffixes]
    return [*names, *(f"*.{name}" for name in names)] if service.name == "s3" else names


def _all_names(vpc: Resource) -> list[str]:
    return [name for service in SERVICES for name in _names(Service(service), vpc.template.stack)]


def _is_within(domain: str, name: str) -> bool | None:
    """Whether a name is a domain or below it; None if that is not known."""
    domain = domain.rstrip(".")
    patterns = (domain, f"*.{domain}") if domain else ("*",)
    return any_matches([_matches(one, name) for one in patterns])


def _matches(pattern: str, name: str) -> bool | None:
    """Whether a name matches a pattern, both of which may have unknown parts; None if it may."""
    pattern = pattern.replace(_SUFFIX, next(one for one in SUFFIXES if name.endswith(one)))
    if ".*." not in name:
        pattern = pattern.replace(_UNKNOWN_REGION, UNKNOWN)
    glob = pattern.lower().rstrip(".").replace(UNKNOWN, "*")
    # A region is one label, so it is either one that the pattern names or another.
    regions = {_UNKNOWN_REGION, *_REGION.findall(glob)}
    found = {_matches_in(glob, name.replace(".*.", f".{one}.")) for one in regions}
    if found == {True} and UNKNOWN in pattern:
        return None
    return found.pop() if len(found) == 1 else None


def _matches_in(glob: str, name: str) -> bool | None:
    if fnmatchcase(name, glob):
        return True
    return None if may_match(glob, name.replace("*", ARN_PART)) else False
