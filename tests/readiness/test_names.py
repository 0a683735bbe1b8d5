"""Where the names of services lead: who resolves them, and what they lead to by private zones."""

from typing import Any, Final

import botocore.session
import pytest

from session_manager_permissions._readiness.templates.model import Stack

from .networks import (
    BLOCK,
    GIVEN,
    MISSING,
    NO_WAY,
    ON,
    OPEN,
    UNKNOWN,
    UNREACHABLE,
    Parts,
    Row,
    custom,
    either,
    group,
    of_ssm,
    part,
    said,
    templated,
    with_endpoints,
)
from .parts import att, on, ref, resource, rows
from .reports import Check

OTHER: Final = {"Other": part("VPC", CidrBlock="10.1.0.0/16")}
CUSTOM: Final = {"Custom": custom()}
OF_CUSTOM: Final = att("Custom", "Vpc")
RESOLVER: Final = "AWS::Route53Resolver::"


def served(*servers: object, vpc: object = ref("Vpc"), options: object = ref("Options")) -> Parts:
    """DHCP options with these DNS servers."""
    return {
        "Options": part("DHCPOptions", DomainNameServers=[*servers]),
        "Servers": part("VPCDHCPOptionsAssociation", VpcId=vpc, DhcpOptionsId=options),
    }


def profile(vpc: object) -> Parts:
    kind = "AWS::Route53Profiles::ProfileAssociation"
    return {"Profiled": resource(kind, ResourceId=vpc, ProfileId="rp-1")}


def forwarding(vpc: object = ref("Vpc"), /, **domains: object) -> Parts:
    """Resolver rules for these domains; a tuple has the type of the rule and the domain."""
    made_ = {}
    for name, written in domains.items():
        type_, domain = written if isinstance(written, tuple) else ("FORWARD", written)
        by = {"VPCId": vpc, "ResolverRuleId": att(name, "ResolverRuleId")}
        made_[name] = resource(f"{RESOLVER}ResolverRule", RuleType=type_, DomainName=domain)
        made_[f"{name}Used"] = resource(f"{RESOLVER}ResolverRuleAssociation", **by)
    return made_


BY_ID: Final = {"VPCId": ref("Vpc"), "ResolverRuleId": "rslvr-rr-1"}
AWS_NAME: Final = "amazonaws.com"
BUT_AWS: Final = "SYSTEM", AWS_NAME
SSM: Final = "ssm.eu-west-1.amazonaws.com"

RESOLVERS: Final[list[Row]] = [
    ("own DNS servers", served("10.0.0.5"), UNKNOWN),
    ("own DNS servers and Amazon's", served("10.0.0.5", "AmazonProvidedDNS"), UNKNOWN),
    ("Amazon's DNS servers", served("AmazonProvidedDNS"), OPEN),
    ("Amazon's DNS server by its addresses", served("169.254.169.253", "fd00:ec2::253"), OPEN),
    ("Amazon's DNS server by its address in the VPC", served("10.0.0.2"), OPEN),
    ("DNS server at the same place in another range", served("10.1.0.2"), UNKNOWN),
    ("DNS server in a VPC of any range", {**served("10.0.0.2"), "Vpc.CidrBlock": GIVEN}, UNKNOWN),
    ("DHCP options without DNS servers", served(), UNKNOWN),
    ("DHCP options by id", served(options="dopt-1"), UNKNOWN),
    ("own DNS servers of a VPC by parameter", served("10.0.0.5", vpc=GIVEN), UNKNOWN),
    ("own DNS servers of a VPC by attribute", served("10.0.0.5", vpc=OF_CUSTOM) | CUSTOM, UNKNOWN),
    ("Amazon's DNS servers of a VPC by parameter", served("AmazonProvidedDNS", vpc=GIVEN), OPEN),
    ("own DNS servers of another VPC", served("10.0.0.5", vpc=ref("Other")) | OTHER, OPEN),
    ("own DNS servers of a VPC by branches that agree",
     served("10.0.0.5", vpc=either(ref("Other"), ref("Other"))) | OTHER, OPEN),

    ("profile", profile(ref("Vpc")), UNKNOWN),
    ("profile of a VPC by parameter", profile(GIVEN), UNKNOWN),

    ("rule for everything", forwarding(Rule="."), UNKNOWN),
    ("rule for AWS", forwarding(Rule="amazonaws.com"), UNKNOWN),
    ("rule for AWS by a pseudo parameter", forwarding(Rule=ref("AWS::URLSuffix")), UNKNOWN),
    ("rule for the region", forwarding(Rule={"Fn::Sub": "${AWS::Region}.amazonaws.com."}), UNKNOWN),
    ("rule for the service", forwarding(Rule="SSM.eu-west-1.amazonaws.com"), UNKNOWN),
    ("rule for another region", forwarding(Rule="us-east-1.amazonaws.com"), OPEN),
    ("rule for another service", forwarding(Rule="sqs.eu-west-1.amazonaws.com"), OPEN),
    ("rule for a domain whose name ends the same", forwarding(Rule="aws.com"), OPEN),
    ("rules for another domain and all", forwarding(Rule="corp.example.com", All="."), UNKNOWN),
    ("rule for a domain by parameter", forwarding(Rule=GIVEN), UNKNOWN),
    ("rule for a domain of known end", forwarding(Rule={"Fn::Sub": "${Given}.example.com"}), OPEN),
    ("rule for either of two domains", forwarding(Rule=either("example.com", "example.org")), OPEN),
    ("rule for AWS in one world", forwarding(Rule=either("com", "org")), UNKNOWN),
    ("rule for everything but AWS", forwarding(Rule=".", But=BUT_AWS), OPEN),
    ("rule for all but one by parameter", forwarding(Rule=".", But=("SYSTEM", GIVEN)), UNKNOWN),
    ("rule for a part of AWS", forwarding(Rule="eu-west-1.amazonaws.com", But=BUT_AWS), UNKNOWN),
    ("rule for other parts of AWS", forwarding(Rule="us-east-1.amazonaws.com", But=BUT_AWS), OPEN),
    ("rule of a type by parameter", forwarding(Rule=(GIVEN, "amazonaws.com")), UNKNOWN),
    ("rule by id", {"Used": resource(f"{RESOLVER}ResolverRuleAssociation", **BY_ID)}, UNKNOWN),
    ("rule for AWS in a VPC by parameter", forwarding(GIVEN, Rule=AWS_NAME), UNKNOWN),
    ("rule for another domain in a VPC by parameter", forwarding(GIVEN, Rule="example.com"), OPEN),
]  # fmt: skip


def firewall(*rules: object, vpc: object = ref("Vpc"), **domains: object) -> Parts:
    """A DNS firewall of the VPC with these rules, for domains and for those of AWS."""
    kind = f"{RESOLVER}Firewall"
    given = {"VpcId": vpc, "FirewallRuleGroupId": ref("Rules"), "Priority": 101}
    return {
        "Firewall": resource(f"{kind}RuleGroupAssociation", **given),
        "Rules": resource(f"{kind}RuleGroup", FirewallRules=[*rules]),
        "Domains": resource(f"{kind}DomainList", **domains),
        "Aws": resource(f"{kind}DomainList", Domains=["*.amazonaws.com"]),
    }


def rule(action: object, domains: object, priority: object = 5, **more: object) -> Parts:
    return {"Action": action, "FirewallDomainListId": domains, "Priority": priority, **more}


DOMAINS, AWS = att("Domains", "Id"), att("Aws", "Id")
BLOCKS = rule("BLOCK", DOMAINS)
ALL: Final[Parts] = {"Domains": ["*"]}


def separately(action: str, domains: object, of: object = ref("Rules")) -> Parts:
    """A rule of a DNS firewall as a resource of its own."""
    return {"Rule": resource(
        f"{RESOLVER}FirewallRule", FirewallRuleGroupId=of, **rule(action, domains, 1))}  # fmt: skip


def before(priority: object, *rules: object) -> Parts:
    """Another group of firewall rules, beside one that blocks everything."""
    kind = f"{RESOLVER}FirewallRuleGroup"
    given = {"VpcId": ref("Vpc"), "FirewallRuleGroupId": ref("Others"), "Priority": priority}
    others = resource(kind, FirewallRules=[*rules])
    return firewall(BLOCKS, **ALL) | {
        "Before": resource(f"{kind}Association", **given), "Others": others
    }  # fmt: skip


def blocking(*domains: object, **more: Any) -> Parts:  # noqa: ANN401
    """A DNS firewall that blocks these domains."""
    return firewall(BLOCKS, Domains=[*domains], **more)


FIREWALLS: Final[list[Row]] = [
    ("firewall without rules", firewall(), OPEN),
    ("against AWS by a pseudo parameter", blocking({"Fn::Sub": "*.${AWS::URLSuffix}"}), UNKNOWN),
    ("against the domain of AWS alone", blocking("amazonaws.com"), OPEN),
    ("against another ending", blocking("*.com.cn"), OPEN),
    ("against a domain by parameter", blocking(GIVEN), UNKNOWN),
    ("against others", blocking("example.com", "*.example.com", "amazonaws.example.com"), OPEN),
    ("against domains in a file", firewall(BLOCKS, DomainFileUrl="s3://bucket/domains"), UNKNOWN),
    ("against domains by id", firewall(rule("BLOCK", "rslvr-fdl-1"), Domains=[]), UNKNOWN),
    ("blocks nothing", firewall(rule("ALERT", "rslvr-fdl-1"), rule("ALLOW", "rslvr-fdl-2")), OPEN),
    ("action by parameter", firewall(rule(GIVEN, DOMAINS), **ALL), UNKNOWN),
    ("rule by parameter", firewall(GIVEN), UNKNOWN),
    ("rules of another resource", firewall() | {"Rules": resource("AWS::SNS::Topic")}, UNKNOWN),
    # The first rule that matches decides, by the priorities.
    ("AWS allowed before", firewall(rule("ALLOW", AWS, 1), BLOCKS, **ALL), OPEN),
    ("AWS allowed before, written after", firewall(BLOCKS, rule("ALERT", AWS, 1), **ALL), OPEN),
    ("AWS allowed after", firewall(rule("ALLOW", AWS, 9), BLOCKS, **ALL), UNKNOWN),
    ("priority by parameter", firewall(rule("ALLOW", AWS, GIVEN), BLOCKS, **ALL), UNKNOWN),
    ("ids allowed before", firewall(rule("ALLOW", "rslvr-fdl-1", 1), BLOCKS, **ALL), UNKNOWN),
    ("AWS allowed before its service is blocked",
     firewall(rule("ALLOW", AWS, 1), rule("BLOCK", DOMAINS, 2), Domains=[SSM]), OPEN),
    ("group before", before(100, rule("ALLOW", AWS, 9)), OPEN),
    ("group after", before(102, rule("ALLOW", AWS, 1)), UNKNOWN),
    ("group by parameter's priority", before(GIVEN, rule("ALLOW", AWS, 1)), UNKNOWN),
    # A rule may be a resource of its own.
    ("AWS blocked separately", firewall() | separately("BLOCK", AWS), UNKNOWN),
    ("others blocked separately", blocking() | separately("BLOCK", DOMAINS), OPEN),
    ("AWS allowed separately", firewall(BLOCKS, **ALL) | separately("ALLOW", AWS), OPEN),
    ("rule of an unknown group", firewall() | separately("BLOCK", AWS, GIVEN), UNKNOWN),
    # A rule is of one type of question, or of all.
    *((f"questions of type {kind}", firewall(rule("BLOCK", DOMAINS, Qtype=kind), **ALL), found)
      for kind, found in (("AAAA", OPEN), ("TYPE28", OPEN), ("A", UNKNOWN), ("TYPE1", UNKNOWN),
                          ({"Fn::Sub": "TYPE${Given}"}, UNKNOWN))),
    ("IPv6 allowed before", firewall(rule("ALLOW", AWS, 1, Qtype="AAAA"), BLOCKS, **ALL), UNKNOWN),
    # It may be that of another VPC.
    ("VPC by parameter", firewall(BLOCKS, **ALL, vpc=GIVEN), UNKNOWN),
    ("another domain in a VPC by parameter", blocking("example.com", vpc=GIVEN), OPEN),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "expected"), rows([*RESOLVERS, *FIREWALLS]))
def test_who_answers_for_names(check: Check, parts: Parts, expected: str) -> None:
    """The DNS resolver decides with a NAT gateway and with endpoints, and opens no closed path."""
    for body in (templated(parts), with_endpoints(parts)):
        assert said(check(body)) == expected
    assert said(check(templated(parts, PrivateRoute=None))) == NO_WAY


MESSAGES: Final = "ssmmessages.eu-west-1.amazonaws.com"


def zone(name: object, **changes: object) -> Parts:
    given: Parts = {"Name": name, "VPCs": [{"VPCId": ref("Vpc")}], **changes}
    return resource("AWS::Route53::HostedZone", **given)


def record(name: object = SSM, endpoint_: str = "Ssm", **changes: object) -> Parts:
    target = {"DNSName": {"Fn::Select": [0, att(endpoint_, "DnsEntries")]}}
    given: Parts = {"HostedZoneId": ref("Zone"), "Name": name, "Type": "A", "AliasTarget": target}
    return resource("AWS::Route53::RecordSet", **given | changes)


def record_group(written: object) -> Parts:
    return resource("AWS::Route53::RecordSetGroup", HostedZoneId=ref("Zone"), RecordSets=written)


def records(*several: Parts) -> Parts:
    return record_group([one["Properties"] for one in several])


def zoned(name: object, leads: Parts | None = None, **changes: object) -> Parts:
    """A hosted zone in place of the private DNS of the endpoint of `ssm`."""
    parts = {"Zone": zone(name, **changes), "Record": leads or record()}
    return {"Ssm.PrivateDnsEnabled": False, **parts}


def in_vpcs(written: object) -> Parts:
    return zoned(SSM, VPCs=written)


BY_REGION: Final = {"Fn::Sub": "ssm.${AWS::Region}.${AWS::URLSuffix}"}
ELSEWHERE: Final[Parts] = {"AliasTarget": {"DNSName": "example.com"}}
BY_CNAME: Final[Parts] = {
    "AliasTarget": None,
    "Type": "CNAME",
    "ResourceRecords": [{"Fn::Select": [0, att("Ssm", "DnsEntries")]}],
}
IN_REGION: Final = {"VPCId": GIVEN, "VPCRegion": "eu-west-1"}
ZONES: Final[list[Row]] = [
    ("the name", {"Another": on(zone("example.com"), ON), **zoned(SSM)}, OPEN),
    ("the name with a dot, in capitals", zoned(f"{SSM.upper()}.", record(f"{SSM}.")), OPEN),
    ("by region and suffix", zoned(BY_REGION, record(BY_REGION)), OPEN),
    ("by branches that agree", zoned(either(SSM, f"{SSM}.")), OPEN),
    ("by branches that differ", zoned(either(SSM, "example.com")), UNKNOWN),
    ("by parameter", zoned({"Fn::Sub": "${Given}.${AWS::Region}.amazonaws.com"}), UNKNOWN),
    *((f"by another name, {name}", zoned(name), UNREACHABLE)
      for name in ("example.com", "kms.eu-west-1.amazonaws.com", "ssm.us-east-1.amazonaws.com",
                   "ssm.eu-west-1.amazonaws.eu")),
    ("by a part of AWS's domain", zoned({"Fn::Sub": "corp.${AWS::URLSuffix}"}), UNREACHABLE),
    ("of AWS, with both", zoned(AWS_NAME, records(record(), record(MESSAGES, "Messages"))), OPEN),
    ("of all AWS, with one record", zoned(AWS_NAME), UNKNOWN),
    ("a wildcard", zoned(SSM, record("*.amazonaws.com")), OPEN),
    ("of all AWS, with another record", zoned(AWS_NAME, record("kms.amazonaws.com")), UNKNOWN),
    ("a group of records", zoned(SSM, records(record("a." + SSM), record())), OPEN),
    ("a group of records by parameter", zoned(SSM, record_group(GIVEN)), UNKNOWN),
    ("a group with records that differ",
     zoned(SSM, records(record(), record(**ELSEWHERE))), UNKNOWN),
    ("a record of IPv6", zoned(SSM, record(Type="AAAA")), UNKNOWN),
    ("a record of another service's endpoint", zoned(SSM, record(endpoint_="Messages")), UNKNOWN),
    ("a record by an alias", zoned(SSM, record(**BY_CNAME)), OPEN),
    ("a record with a comment", zoned(SSM, record(**ELSEWHERE, Comment=ref("Ssm"))), UNKNOWN),
    ("a record for one continent", zoned(SSM, record(SetIdentifier="Asia")), UNKNOWN),
    ("of VPCs, one by a macro", in_vpcs([{"Fn::Transform": {"Name": "M"}}]), UNKNOWN),
    ("of VPCs, one by id", in_vpcs([{"VPCId": "vpc-1"}]), UNKNOWN),
    ("of VPCs, by parameter in the region", in_vpcs([IN_REGION]), UNKNOWN),
    ("of VPCs, in another region", in_vpcs([IN_REGION | {"VPCRegion": "us-east-1"}]), UNREACHABLE),
    ("of another VPC", {**OTHER, **in_vpcs([{"VPCId": ref("Other")}])}, UNREACHABLE),
    ("of a part, beside private DNS", {"Zone": zone("eu-west-1.amazonaws.com")}, UNKNOWN),
]  # fmt: skip


ADDRESSES: Final[list[Row]] = [
    ("IPv4 or dual-stack", of_ssm(IpAddressType=either("ipv4", "dualstack")), OPEN),
    *((f"dual-stack, with records by {kind}",
       of_ssm(IpAddressType="dualstack", DnsOptions={"DnsRecordIpType": kind}), UNKNOWN)
      for kind in ("ipv6", "service-defined", GIVEN)),
    ("IPv6 and shut", {**of_ssm(IpAddressType="ipv6"), "Admits": group()}, UNREACHABLE),
    ("another region", of_ssm(ServiceRegion="us-east-1"), MISSING),
    ("its own region or another", of_ssm(ServiceRegion=either("eu-west-1", "us-east-1")), UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), rows([*ZONES, *ADDRESSES]))
def test_where_names_lead(check: Check, changes: Parts, expected: str) -> None:
    assert said(check(with_endpoints(changes))) == expected


@pytest.mark.parametrize(("changes", "expected"), [
    ({"IpAddressType": "ipv6"}, UNKNOWN), ({"ServiceRegion": "us-east-1"}, OPEN),
    ({"PrivateDnsEnabled": GIVEN}, OPEN),
])  # fmt: skip
def test_endpoint_that_may_be_idle_beside_nat(check: Check, changes: Parts, expected: str) -> None:
    body = templated(of_ssm(**changes), Admits=group({"IpProtocol": "-1", "CidrIp": BLOCK}))
    assert said(check(body)) == expected


PARTITIONS: Final = botocore.session.get_session().get_data("partitions")["partitions"]
SUFFIXES: Final = sorted({one["outputs"]["dnsSuffix"] for one in PARTITIONS})


@pytest.mark.parametrize("partition", PARTITIONS, ids=lambda one: one["id"])
def test_names_in_each_partition(check: Check, partition: dict[str, Any]) -> None:
    """A hosted zone is for a service's name only if it has the suffix of the partition."""
    own = partition["outputs"]["dnsSuffix"]
    regions = [one for one in partition["regions"] if not one.endswith("-global")]
    assert {Stack(region=one).partition for one in regions} <= {(partition["id"], own)}
    another = next(one for one in SUFFIXES if one != own)
    for suffix, expected in ((own, OPEN), (another, UNREACHABLE)):
        name = f"ssm.{regions[0]}.{suffix}"
        report = check(with_endpoints(zoned(name, record(name))), region=regions[0])
        assert said(report) == expected


def here(service: str) -> dict[str, str]:
    """The name of a service in the region of the stack."""
    return {"Fn::Sub": f"{service}.${{AWS::Region}}.amazonaws.com"}


@pytest.mark.parametrize(("body", "expected"), [
    (with_endpoints(of_ssm(ServiceRegion="eu-west-1")), UNKNOWN),
    (with_endpoints(of_ssm(ServiceRegion=ref("AWS::Region"))), OPEN),
    (with_endpoints(zoned(here("ssm"), record(here("ssm")))), OPEN),
    (with_endpoints(zoned(BY_REGION, record(BY_REGION))), OPEN),
    (with_endpoints(zoned(SSM)), UNKNOWN),
    (with_endpoints(zoned(here("sqs"))), UNREACHABLE),
    (templated(forwarding(Rule=here("ssm"))), UNKNOWN),
    (templated(forwarding(Rule="ssm.us-east-1.amazonaws.com")), UNKNOWN),
    (templated(forwarding(Rule=here("sqs"))), OPEN),
    (templated(forwarding(Rule="sqs.us-east-1.amazonaws.com")), OPEN),
    (templated(blocking(here("ssm"))), UNKNOWN),
    (templated(blocking("sqs.us-east-1.amazonaws.com")), OPEN),
])  # fmt: skip
def test_names_in_a_stack_for_any_region(check: Check, body: Parts, expected: str) -> None:
    assert said(check(body, region="unknown-region")) == expected
