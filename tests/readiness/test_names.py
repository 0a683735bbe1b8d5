"""Where the names of services lead: who resolves them, and what they lead to by private zones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import botocore.session
import pytest

from session_manager_permissions._network.verdicts import (
    ENDPOINT_MISSING,
    ENDPOINT_UNREACHABLE,
    NO_NETWORK_PATH,
    State,
)
from session_manager_permissions._readiness.templates.model import Stack

from .judging import att, deployed_to, on, ref, resource, said, verdicts, write
from .test_network import CUSTOM, ON, PARAMETER, made, templated, with_endpoints

if TYPE_CHECKING:
    from pathlib import Path

OPEN, UNKNOWN = State.OPEN.value, State.UNKNOWN.value
OTHER: Final = {"Other": resource("AWS::EC2::VPC", CidrBlock="10.1.0.0/16")}
GIVEN: Final = {"Custom": resource(CUSTOM)}
OF_CUSTOM: Final = att("Custom", "Vpc")


def served(*servers: object, vpc: object = ref("Vpc")) -> dict[str, Any]:
    """DHCP options with these DNS servers."""
    by = {"VpcId": vpc, "DhcpOptionsId": ref("Options")}
    return {
        "Options": resource("AWS::EC2::DHCPOptions", DomainNameServers=[*servers]),
        "Servers": resource("AWS::EC2::VPCDHCPOptionsAssociation", **by),
    }


def profile(vpc: object) -> dict[str, Any]:
    kind = "AWS::Route53Profiles::ProfileAssociation"
    return {"Profiled": resource(kind, ResourceId=vpc, ProfileId="rp-1")}


def forwarding(**domains: object) -> dict[str, Any]:
    """Resolver rules for these domains; a tuple has the type of the rule and the domain."""
    kind = "AWS::Route53Resolver::ResolverRule"
    made_ = {}
    for name, written in domains.items():
        type_, domain = written if isinstance(written, tuple) else ("FORWARD", written)
        by = {"VPCId": ref("Vpc"), "ResolverRuleId": att(name, "ResolverRuleId")}
        made_[name] = resource(kind, RuleType=type_, DomainName=domain)
        made_[f"{name}Used"] = resource(f"{kind}Association", **by)
    return made_


def for_vpc(vpc: object, domain: str) -> dict[str, Any]:
    parts = forwarding(Rule=domain)
    parts["RuleUsed"]["Properties"]["VPCId"] = vpc
    return parts


EITHER: Final = {"Fn::If": [ON, "example.com", "example.org"]}

RESOLVER_ROWS: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("own DNS servers", served("10.0.0.5"), UNKNOWN),
    ("own DNS servers and Amazon's", served("10.0.0.5", "AmazonProvidedDNS"), UNKNOWN),
    ("Amazon's DNS servers", served("AmazonProvidedDNS"), OPEN),
    ("Amazon's DNS server by its address", served("169.254.169.253"), OPEN),
    ("DHCP options by id",
     {"Servers": resource("AWS::EC2::VPCDHCPOptionsAssociation", VpcId=ref("Vpc"),
                          DhcpOptionsId="dopt-1")}, UNKNOWN),
    ("own DNS servers of a VPC by parameter", served("10.0.0.5", vpc=PARAMETER), UNKNOWN),
    ("own DNS servers of a VPC by attribute", served("10.0.0.5", vpc=OF_CUSTOM) | GIVEN, UNKNOWN),
    ("Amazon's DNS servers of a VPC by parameter", served("AmazonProvidedDNS", vpc=PARAMETER),
     OPEN),
    ("own DNS servers of another VPC", served("10.0.0.5", vpc=ref("Other")) | OTHER, OPEN),
    ("own DNS servers of a VPC by an `Fn::If` whose branches agree",
     served("10.0.0.5", vpc={"Fn::If": [ON, ref("Other"), ref("Other")]}) | OTHER, OPEN),

    ("profile", profile(ref("Vpc")), UNKNOWN),
    ("profile of a VPC by parameter", profile(PARAMETER), UNKNOWN),
    ("profile of another VPC", profile(ref("Other")) | OTHER, OPEN),

    ("rule for everything", forwarding(Rule="."), UNKNOWN),
    ("rule for AWS", forwarding(Rule="amazonaws.com"), UNKNOWN),
    ("rule for AWS by a pseudo parameter", forwarding(Rule=ref("AWS::URLSuffix")), UNKNOWN),
    ("rule for the region", forwarding(Rule={"Fn::Sub": "${AWS::Region}.amazonaws.com."}),
     UNKNOWN),
    ("rule for the service", forwarding(Rule="SSM.eu-west-1.amazonaws.com"), UNKNOWN),
    ("rule for another region", forwarding(Rule="us-east-1.amazonaws.com"), OPEN),
    ("rule for another service", forwarding(Rule="sqs.eu-west-1.amazonaws.com"), OPEN),
    ("rule for a host of the service", forwarding(Rule="a.ssm.eu-west-1.amazonaws.com"), OPEN),
    ("rule for a domain whose name ends the same", forwarding(Rule="aws.com"), OPEN),
    ("rule for another domain", forwarding(Rule="corp.example.com"), OPEN),
    ("rule for a domain by parameter", forwarding(Rule=PARAMETER), UNKNOWN),
    ("rule for a domain of which the end is known",
     forwarding(Rule={"Fn::Sub": "${Given}.example.com"}), OPEN),
    ("rule for either of two domains", forwarding(Rule=EITHER), OPEN),
    ("rule for AWS in one world", forwarding(Rule={"Fn::If": [ON, "com", "org"]}), UNKNOWN),
    ("rule for everything but AWS", forwarding(Rule=".", But=("SYSTEM", "amazonaws.com")), OPEN),
    ("rule for everything but a domain by parameter",
     forwarding(Rule=".", But=("SYSTEM", PARAMETER)), UNKNOWN),
    ("rule for a part of AWS",
     forwarding(Rule="eu-west-1.amazonaws.com", But=("SYSTEM", "amazonaws.com")), UNKNOWN),
    ("rule for another part of AWS",
     forwarding(Rule="us-east-1.amazonaws.com", But=("SYSTEM", "amazonaws.com")), OPEN),
    ("rule of a type by parameter", forwarding(Rule=(PARAMETER, "amazonaws.com")), UNKNOWN),
    ("rule by id",
     {"Used": resource("AWS::Route53Resolver::ResolverRuleAssociation", VPCId=ref("Vpc"),
                       ResolverRuleId="rslvr-rr-1")}, UNKNOWN),
    ("rule for AWS in a VPC by parameter", for_vpc(PARAMETER, "amazonaws.com"), UNKNOWN),
    ("rule for another domain in a VPC by parameter", for_vpc(PARAMETER, "example.com"), OPEN),
    ("rule for AWS in another VPC", for_vpc(ref("Other"), "amazonaws.com") | OTHER, OPEN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "expected"), [pytest.param(*row[1:], id=row[0]) for row in RESOLVER_ROWS]
)
def test_who_resolves_names(tmp_path: Path, parts: dict[str, Any], expected: str) -> None:
    """It decides beside a NAT gateway and beside endpoints, and opens nothing that is shut."""
    for body in (templated(**parts), with_endpoints(**parts)):
        (found,) = verdicts(write(tmp_path, Stack=body)).values()
        assert said(found) == expected
    (found,) = verdicts(write(tmp_path, Stack=templated(PrivateRoute=None, **parts))).values()
    assert said(found) == NO_NETWORK_PATH


def firewall(*rules: object, vpc: object = ref("Vpc"), **domains: object) -> dict[str, Any]:
    """A DNS firewall of the VPC with these rules, for domains and for those of AWS."""
    kind = "AWS::Route53Resolver::Firewall"
    return {
        "Firewall": resource(
            f"{kind}RuleGroupAssociation", VpcId=vpc, FirewallRuleGroupId=ref("Rules"), Priority=101
        ),
        "Rules": resource(f"{kind}RuleGroup", FirewallRules=[*rules]),
        "Domains": resource(f"{kind}DomainList", **domains),
        "Aws": resource(f"{kind}DomainList", Domains=["*.amazonaws.com"]),
    }


def rule(action: object, domains: object, priority: object = 5, **more: object) -> dict[str, Any]:
    return {"Action": action, "FirewallDomainListId": domains, "Priority": priority, **more}


DOMAINS, AWS = att("Domains", "Id"), att("Aws", "Id")
BLOCKS = rule("BLOCK", DOMAINS)
ALL: Final = {"Domains": ["*"]}


def before(priority: object, *rules: object) -> dict[str, Any]:
    """Another group of firewall rules, beside one that blocks everything."""
    kind = "AWS::Route53Resolver::Firewall"
    return firewall(BLOCKS, **ALL) | {
        "Before": resource(
            f"{kind}RuleGroupAssociation", VpcId=ref("Vpc"), FirewallRuleGroupId=ref("Others"),
            Priority=priority,
        ),
        "Others": resource(f"{kind}RuleGroup", FirewallRules=[*rules]),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (firewall(), OPEN),
        (firewall(BLOCKS, **ALL), UNKNOWN),
        (firewall(BLOCKS, Domains=["ssm.eu-west-1.amazonaws.com."]), UNKNOWN),
        (firewall(BLOCKS, Domains=["*.amazonaws.com"]), UNKNOWN),
        (firewall(BLOCKS, Domains=[{"Fn::Sub": "*.${AWS::URLSuffix}"}]), UNKNOWN),
        (firewall(BLOCKS, Domains=["amazonaws.com"]), OPEN),
        (firewall(BLOCKS, Domains=["*.com.cn"]), OPEN),
        (firewall(BLOCKS, Domains=["*.us-east-1.amazonaws.com", "sqs.eu-west-1.amazonaws.com"]),
         OPEN),
        (firewall(BLOCKS, Domains=[PARAMETER]), UNKNOWN),
        (firewall(BLOCKS, Domains=["example.com", "*.example.com", "amazonaws.example.com"]), OPEN),
        (firewall(BLOCKS, DomainFileUrl="s3://bucket/domains"), UNKNOWN),
        (firewall(rule("BLOCK", "rslvr-fdl-1"), Domains=[]), UNKNOWN),
        (firewall(rule("ALERT", "rslvr-fdl-1"), rule("ALLOW", "rslvr-fdl-2")), OPEN),
        (firewall(rule(PARAMETER, DOMAINS), **ALL), UNKNOWN),
        (firewall(PARAMETER), UNKNOWN),
        (firewall() | {"Rules": resource("AWS::SNS::Topic")} | {"Firewall": resource(
            "AWS::Route53Resolver::FirewallRuleGroupAssociation", VpcId=ref("Vpc"),
            FirewallRuleGroupId="rslvr-frg-1")}, UNKNOWN),
        # The first rule that matches decides, by the priorities.
        (firewall(rule("ALLOW", AWS, 1), BLOCKS, **ALL), OPEN),
        (firewall(BLOCKS, rule("ALERT", AWS, 1), **ALL), OPEN),
        (firewall(rule("ALLOW", AWS, 9), BLOCKS, **ALL), UNKNOWN),
        (firewall(rule("ALLOW", AWS, PARAMETER), BLOCKS, **ALL), UNKNOWN),
        (firewall(rule("ALLOW", "rslvr-fdl-1", 1), BLOCKS, **ALL), UNKNOWN),
        (firewall(rule("ALLOW", AWS, 1), rule("BLOCK", DOMAINS, 2),
                  Domains=["ssm.eu-west-1.amazonaws.com"]), OPEN),
        (before(100, rule("ALLOW", AWS, 9)), OPEN),
        (before(102, rule("ALLOW", AWS, 1)), UNKNOWN),
        (before(PARAMETER, rule("ALLOW", AWS, 1)), UNKNOWN),
        # A rule is of one type of question, or of all.
        (firewall(rule("BLOCK", DOMAINS, Qtype="AAAA"), **ALL), OPEN),
        (firewall(rule("BLOCK", DOMAINS, Qtype="A"), **ALL), UNKNOWN),
        (firewall(rule("BLOCK", DOMAINS, Qtype=PARAMETER), **ALL), UNKNOWN),
        (firewall(rule("ALLOW", AWS, 1, Qtype="AAAA"), BLOCKS, **ALL), UNKNOWN),
        # It may be that of another VPC.
        (firewall(BLOCKS, **ALL, vpc=PARAMETER), UNKNOWN),
        (firewall(BLOCKS, **ALL, vpc=OF_CUSTOM) | GIVEN, UNKNOWN),
        (firewall(BLOCKS, Domains=["example.com"], vpc=PARAMETER), OPEN),
        (firewall(BLOCKS, **ALL, vpc=ref("Other")) | OTHER, OPEN),
    ],
)  # fmt: skip
def test_dns_firewall(tmp_path: Path, parts: dict[str, Any], expected: str) -> None:
    for body in (templated(**parts), with_endpoints(**parts)):
        (found,) = verdicts(write(tmp_path, Stack=body)).values()
        assert said(found) == expected
    (found,) = verdicts(write(tmp_path, Stack=templated(PrivateRoute=None, **parts))).values()
    assert said(found) == NO_NETWORK_PATH  # which no firewall opens


SSM: Final = "ssm.eu-west-1.amazonaws.com"
MESSAGES: Final = "ssmmessages.eu-west-1.amazonaws.com"
OFF: Final = made("ssm", PrivateDnsEnabled=False)


def zone(name: object, **changes: object) -> dict[str, Any]:
    given: dict[str, object] = {"Name": name, "VPCs": [{"VPCId": ref("Vpc")}], **changes}
    return resource("AWS::Route53::HostedZone", **given)


def record(name: object = SSM, endpoint: str = "Ssm", **changes: object) -> dict[str, Any]:
    target = {"DNSName": {"Fn::Select": [0, att(endpoint, "DnsEntries")]}}
    given: dict[str, object] = {
        "HostedZoneId": ref("Zone"), "Name": name, "Type": "A", "AliasTarget": target, **changes
    }  # fmt: skip
    return resource("AWS::Route53::RecordSet", **given)


def records(*several: dict[str, Any]) -> dict[str, Any]:
    entries = [one["Properties"] for one in several]
    return resource("AWS::Route53::RecordSetGroup", HostedZoneId=ref("Zone"), RecordSets=entries)


def by_zone(name: object, leads: object = None, **changes: object) -> dict[str, Any]:
    """A hosted zone in place of the private DNS of the endpoint."""
    return {"Ssm": OFF, "Zone": zone(name, **changes), "Record": leads or record()}


BY_NAME: Final = {"Fn::FindInMap": ["Names", ref("AWS::Region"), "Ssm"]}

ZONE_ROWS: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("the name", by_zone(SSM), OPEN),
    ("the name with a dot, in capitals", by_zone(f"{SSM.upper()}."), OPEN),
    ("by region", by_zone({"Fn::Sub": "ssm.${AWS::Region}.amazonaws.com"}), OPEN),
    ("by region and suffix", by_zone({"Fn::Sub": "ssm.${AWS::Region}.${AWS::URLSuffix}"},
                                     record({"Fn::Sub": "ssm.${AWS::Region}.${AWS::URLSuffix}."})),
     OPEN),
    ("by branches that agree", by_zone({"Fn::If": [ON, SSM, f"{SSM}."]}), OPEN),
    ("by branches that differ", by_zone({"Fn::If": [ON, SSM, "example.com"]}), UNKNOWN),
    ("by parameter", by_zone({"Fn::Sub": "${Given}.${AWS::Region}.amazonaws.com"}), UNKNOWN),
    ("by another name", by_zone("example.com"), ENDPOINT_UNREACHABLE),
    ("by the name of another service", by_zone("kms.eu-west-1.amazonaws.com"),
     ENDPOINT_UNREACHABLE),
    ("by the name in another region", by_zone("ssm.us-east-1.amazonaws.com"),
     ENDPOINT_UNREACHABLE),
    ("by the suffix of another partition", by_zone("ssm.eu-west-1.amazonaws.eu"),
     ENDPOINT_UNREACHABLE),
    ("by a part of AWS's domain", by_zone({"Fn::Sub": "corp.${AWS::URLSuffix}"}),
     ENDPOINT_UNREACHABLE),
    ("of all AWS, with the records",
     by_zone("amazonaws.com", records(record(), record(MESSAGES, "Messages"))), OPEN),
    ("of all AWS, with one record", by_zone("amazonaws.com"), UNKNOWN),
    ("a wildcard", by_zone(SSM, record("*.amazonaws.com")), OPEN),
    ("of all AWS, with another record", by_zone("amazonaws.com", record("kms.amazonaws.com")),
     UNKNOWN),
    ("without records", {"Ssm": OFF, "Zone": zone(SSM)}, UNKNOWN),
    ("a group of records", by_zone(SSM, records(record("a." + SSM), record())), OPEN),
    ("a group of records by parameter",
     by_zone(SSM, resource("AWS::Route53::RecordSetGroup", HostedZoneId=ref("Zone"),
                           RecordSets=PARAMETER)), UNKNOWN),
    ("a group with records that differ",
     by_zone(SSM, records(record(), record(AliasTarget={"DNSName": "example.com"}))), UNKNOWN),
    ("a record of IPv6", by_zone(SSM, record(Type="AAAA")), UNKNOWN),
    ("a record that leads to the endpoint of another service",
     by_zone(SSM, record(endpoint="Messages")), UNKNOWN),
    ("a record by an alias",
     by_zone(SSM, record(AliasTarget=None, Type="CNAME", ResourceRecords=[
         {"Fn::Select": [0, att("Ssm", "DnsEntries")]}])), OPEN),
    ("a record on a condition", by_zone(SSM, on(record())), UNKNOWN),
    ("on a condition", by_zone(SSM) | {"Zone": on(zone(SSM))}, UNKNOWN),
    ("that a custom resource changes", by_zone(SSM) | {"Custom": resource(CUSTOM, Of=ref("Zone"))},
     UNKNOWN),
    ("of a VPC by parameter", by_zone(SSM, VPCs=[{"VPCId": PARAMETER}]), UNKNOWN),
    ("of VPCs by parameter", by_zone(SSM, VPCs=PARAMETER), UNKNOWN),
    ("of a VPC by id", by_zone(SSM, VPCs=[{"VPCId": "vpc-1"}]), UNKNOWN),
    ("of a VPC by parameter in the region",
     by_zone(SSM, VPCs=[{"VPCId": PARAMETER, "VPCRegion": "eu-west-1"}]), UNKNOWN),
    ("of a VPC by parameter in another region",
     by_zone(SSM, VPCs=[{"VPCId": PARAMETER, "VPCRegion": "us-east-1"}]), ENDPOINT_UNREACHABLE),
    ("of another VPC", by_zone(SSM, VPCs=[{"VPCId": ref("Other")}]) | OTHER, ENDPOINT_UNREACHABLE),
    ("that is public", by_zone(SSM, VPCs=None), ENDPOINT_UNREACHABLE),
    ("of a part of the name, beside private DNS",
     {"Zone": zone("eu-west-1.amazonaws.com")}, UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "expected"), [pytest.param(*row[1:], id=row[0]) for row in ZONE_ROWS]
)
def test_hosted_zones(tmp_path: Path, parts: dict[str, Any], expected: str) -> None:
    (found,) = verdicts(write(tmp_path, Stack=with_endpoints(**parts))).values()
    assert said(found) == expected


PARTITIONS: Final = botocore.session.get_session().get_data("partitions")["partitions"]
SUFFIXES: Final = sorted({one["outputs"]["dnsSuffix"] for one in PARTITIONS})


@pytest.mark.parametrize("partition", PARTITIONS, ids=lambda one: one["id"])
def test_partitions_are_those_that_botocore_knows(partition: dict[str, Any]) -> None:
    expected = (partition["id"], partition["outputs"]["dnsSuffix"])
    regions = [one for one in partition["regions"] if not one.endswith("-global")]
    assert {Stack(region=one).partition for one in regions} <= {expected}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("partition", PARTITIONS, ids=lambda one: one["id"])
def test_names_in_each_partition(tmp_path: Path, partition: dict[str, Any], suffix: str) -> None:
    """A hosted zone is of a service's name where it has the suffix of the partition."""
    region = next(one for one in partition["regions"] if not one.endswith("-global"))
    own = partition["outputs"]["dnsSuffix"]
    name = f"ssm.{region}.{suffix}"
    paths = write(tmp_path, Stack=with_endpoints(**by_zone(name, record(name))))
    deployed_to(tmp_path, "Stack", f"111122223333/{region}")
    (found,) = verdicts(paths).values()
    assert said(found) == (OPEN if suffix == own else ENDPOINT_UNREACHABLE)


def optional(**changes: object) -> dict[str, Any]:
    """The endpoint of `ssm` with changes."""
    return with_endpoints(Ssm=made("ssm", **changes))


ADDRESS_ROWS: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("IPv4", optional(IpAddressType="ipv4"), OPEN),
    ("dual-stack", optional(IpAddressType="dualstack"), OPEN),
    ("IPv6", optional(IpAddressType="ipv6"), UNKNOWN),
    ("addresses by parameter", optional(IpAddressType=PARAMETER), UNKNOWN),
    ("IPv4 or dual-stack", optional(IpAddressType={"Fn::If": [ON, "ipv4", "dualstack"]}), OPEN),
    ("records of IPv4", optional(IpAddressType="dualstack", DnsOptions={"DnsRecordIpType": "ipv4"}),
     OPEN),
    ("records of IPv6", optional(IpAddressType="dualstack", DnsOptions={"DnsRecordIpType": "ipv6"}),
     UNKNOWN),
    ("records as the service defines them",
     optional(DnsOptions={"DnsRecordIpType": "service-defined"}), UNKNOWN),
    ("records by parameter", optional(DnsOptions={"DnsRecordIpType": PARAMETER}), UNKNOWN),
    ("options by parameter", optional(DnsOptions=PARAMETER), UNKNOWN),
    ("IPv6 and shut", with_endpoints(Ssm=made("ssm", IpAddressType="ipv6"),
                                     Admits=resource("AWS::EC2::SecurityGroup", VpcId=ref("Vpc"))),
     ENDPOINT_UNREACHABLE),
    ("IPv6 beside a NAT", templated(Ssm=made("ssm", IpAddressType="ipv6", SecurityGroupIds=[
        ref("Group")]), Group=resource("AWS::EC2::SecurityGroup", SecurityGroupIngress=[
            {"IpProtocol": "-1", "CidrIp": "10.0.0.0/16"}])), UNKNOWN),

    ("its own region", optional(ServiceRegion="eu-west-1"), OPEN),
    ("its own region by a pseudo parameter", optional(ServiceRegion=ref("AWS::Region")), OPEN),
    ("another region", optional(ServiceRegion="us-east-1"), ENDPOINT_MISSING),
    ("a region by parameter", optional(ServiceRegion=PARAMETER), UNKNOWN),
    ("its own region or another",
     optional(ServiceRegion={"Fn::If": [ON, "eu-west-1", "us-east-1"]}), UNKNOWN),
    ("another region beside a NAT",
     templated(Ssm=made("ssm", ServiceRegion="us-east-1", SecurityGroupIds=["sg-1"])), OPEN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "expected"), [pytest.param(*row[1:], id=row[0]) for row in ADDRESS_ROWS]
)
def test_what_the_names_of_an_endpoint_lead_to(
    tmp_path: Path, body: dict[str, Any], expected: str
) -> None:
    (found,) = verdicts(write(tmp_path, Stack=body)).values()
    assert said(found) == expected


def here(service: str) -> dict[str, str]:
    """The name of a service in the region of the stack."""
    return {"Fn::Sub": f"{service}.${{AWS::Region}}.amazonaws.com"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (optional(ServiceRegion="eu-west-1"), UNKNOWN),
        (optional(ServiceRegion=ref("AWS::Region")), OPEN),
        (with_endpoints(**by_zone(here("ssm"), record(here("ssm")))), OPEN),
        (with_endpoints(**by_zone({"Fn::Sub": "ssm.${AWS::Region}.${AWS::URLSuffix}"},
                                  record({"Fn::Sub": "ssm.${AWS::Region}.${AWS::URLSuffix}"}))),
         OPEN),
        (with_endpoints(**by_zone(SSM)), UNKNOWN),
        (with_endpoints(**by_zone(here("sqs"))), ENDPOINT_UNREACHABLE),
        (templated(**forwarding(Rule=here("ssm"))), UNKNOWN),
        (templated(**forwarding(Rule="ssm.us-east-1.amazonaws.com")), UNKNOWN),
        (templated(**forwarding(Rule=here("sqs"))), OPEN),
        (templated(**forwarding(Rule="sqs.us-east-1.amazonaws.com")), OPEN),
        (templated(**firewall(BLOCKS, Domains=[here("ssm")])), UNKNOWN),
        (templated(**firewall(BLOCKS, Domains=["sqs.us-east-1.amazonaws.com"])), OPEN),
    ],
)  # fmt: skip
def test_names_in_a_stack_for_any_region(
    tmp_path: Path, body: dict[str, Any], expected: str
) -> None:
    paths = write(tmp_path, Stack=body)
    deployed_to(tmp_path, "Stack", "unknown-account/unknown-region")
    (found,) = verdicts(paths).values()
    assert said(found) == expected
