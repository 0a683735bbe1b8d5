"""Where the names of services lead: who resolves them, and what they lead to by private zones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import botocore.session
import pytest

from session_manager_permissions._network.verdicts import (
    ENDPOINT_MISSING,
    ENDPOINT_UNREACHABLE,
    NO_NETWORK_PATH,
)
from session_manager_permissions._readiness.templates.model import Stack

from .judging import att, deployed_to, on, ref, resource, said, said_of, verdicts, write
from .test_network import (
    ON,
    OPEN,
    PARAMETER,
    UNKNOWN,
    Row,
    by_endpoints,
    custom,
    each_row,
    either,
    group,
    made,
    of_ssm,
    part,
    templated,
    with_endpoints,
)

if TYPE_CHECKING:
    from pathlib import Path

OTHER: Final = {"Other": part("VPC", CidrBlock="10.1.0.0/16")}
GIVEN: Final = {"Custom": custom()}
OF_CUSTOM: Final = att("Custom", "Vpc")
RESOLVER: Final = "AWS::Route53Resolver::"


def served(*servers: object, vpc: object = ref("Vpc"), options: object = ref("Options")) -> Any:  # noqa: ANN401
    """DHCP options with these DNS servers."""
    return {
        "Options": part("DHCPOptions", DomainNameServers=[*servers]),
        "Servers": part("VPCDHCPOptionsAssociation", VpcId=vpc, DhcpOptionsId=options),
    }


def profile(vpc: object) -> dict[str, Any]:
    kind = "AWS::Route53Profiles::ProfileAssociation"
    return {"Profiled": resource(kind, ResourceId=vpc, ProfileId="rp-1")}


def forwarding(vpc: object = ref("Vpc"), /, **domains: object) -> dict[str, Any]:
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
SSM: Final = "ssm.eu-west-1.amazonaws.com"

RESOLVER_ROWS: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("own DNS servers", served("10.0.0.5"), UNKNOWN),
    ("own DNS servers and Amazon's", served("10.0.0.5", "AmazonProvidedDNS"), UNKNOWN),
    ("Amazon's DNS servers", served("AmazonProvidedDNS"), OPEN),
    ("Amazon's DNS server by its address", served("169.254.169.253"), OPEN),
    ("DHCP options by id", served(options="dopt-1"), UNKNOWN),
    ("own DNS servers of a VPC by parameter", served("10.0.0.5", vpc=PARAMETER), UNKNOWN),
    ("own DNS servers of a VPC by attribute", served("10.0.0.5", vpc=OF_CUSTOM) | GIVEN, UNKNOWN),
    ("Amazon's DNS servers of a VPC by parameter", served("AmazonProvidedDNS", vpc=PARAMETER),
     OPEN),
    ("own DNS servers of another VPC", served("10.0.0.5", vpc=ref("Other")) | OTHER, OPEN),
    ("own DNS servers of a VPC by branches that agree",
     served("10.0.0.5", vpc=either(ref("Other"), ref("Other"))) | OTHER, OPEN),

    ("profile", profile(ref("Vpc")), UNKNOWN),
    ("profile of a VPC by parameter", profile(PARAMETER), UNKNOWN),
    ("profile of another VPC", profile(ref("Other")) | OTHER, OPEN),

    ("rule for everything", forwarding(Rule="."), UNKNOWN),
    ("rule for AWS", forwarding(Rule="amazonaws.com"), UNKNOWN),
    ("rule for AWS by a pseudo parameter", forwarding(Rule=ref("AWS::URLSuffix")), UNKNOWN),
    ("rule for the region", forwarding(Rule={"Fn::Sub": "${AWS::Region}.amazonaws.com."}), UNKNOWN),
    ("rule for the service", forwarding(Rule="SSM.eu-west-1.amazonaws.com"), UNKNOWN),
    ("rule for another region", forwarding(Rule="us-east-1.amazonaws.com"), OPEN),
    ("rule for another service", forwarding(Rule="sqs.eu-west-1.amazonaws.com"), OPEN),
    ("rule for a host of the service", forwarding(Rule="a.ssm.eu-west-1.amazonaws.com"), OPEN),
    ("rule for a domain whose name ends the same", forwarding(Rule="aws.com"), OPEN),
    ("rule for another domain", forwarding(Rule="corp.example.com"), OPEN),
    ("rule for a domain by parameter", forwarding(Rule=PARAMETER), UNKNOWN),
    ("rule for a domain of which the end is known",
     forwarding(Rule={"Fn::Sub": "${Given}.example.com"}), OPEN),
    ("rule for either of two domains", forwarding(Rule=either("example.com", "example.org")), OPEN),
    ("rule for AWS in one world", forwarding(Rule=either("com", "org")), UNKNOWN),
    ("rule for everything but AWS", forwarding(Rule=".", But=("SYSTEM", "amazonaws.com")), OPEN),
    ("rule for everything but a domain by parameter",
     forwarding(Rule=".", But=("SYSTEM", PARAMETER)), UNKNOWN),
    ("rule for a part of AWS",
     forwarding(Rule="eu-west-1.amazonaws.com", But=("SYSTEM", "amazonaws.com")), UNKNOWN),
    ("rule for another part of AWS",
     forwarding(Rule="us-east-1.amazonaws.com", But=("SYSTEM", "amazonaws.com")), OPEN),
    ("rule of a type by parameter", forwarding(Rule=(PARAMETER, "amazonaws.com")), UNKNOWN),
    ("rule by id", {"Used": resource(f"{RESOLVER}ResolverRuleAssociation", **BY_ID)}, UNKNOWN),
    ("rule for AWS in a VPC by parameter", forwarding(PARAMETER, Rule=AWS_NAME), UNKNOWN),
    ("rule for another domain in a VPC by parameter", forwarding(PARAMETER, Rule="example.com"),
     OPEN),
    ("rule for AWS in another VPC", forwarding(ref("Other"), Rule=AWS_NAME) | OTHER, OPEN),
]  # fmt: skip


def firewall(*rules: object, vpc: object = ref("Vpc"), **domains: object) -> dict[str, Any]:
    """A DNS firewall of the VPC with these rules, for domains and for those of AWS."""
    kind = f"{RESOLVER}Firewall"
    given = {"VpcId": vpc, "FirewallRuleGroupId": ref("Rules"), "Priority": 101}
    return {
        "Firewall": resource(f"{kind}RuleGroupAssociation", **given),
        "Rules": resource(f"{kind}RuleGroup", FirewallRules=[*rules]),
        "Domains": resource(f"{kind}DomainList", **domains),
        "Aws": resource(f"{kind}DomainList", Domains=["*.amazonaws.com"]),
    }


def rule(action: object, domains: object, priority: object = 5, **more: object) -> dict[str, Any]:
    return {"Action": action, "FirewallDomainListId": domains, "Priority": priority, **more}


DOMAINS, AWS = att("Domains", "Id"), att("Aws", "Id")
BLOCKS = rule("BLOCK", DOMAINS)
ALL: Final[dict[str, Any]] = {"Domains": ["*"]}


def before(priority: object, *rules: object) -> dict[str, Any]:
    """Another group of firewall rules, beside one that blocks everything."""
    kind = f"{RESOLVER}FirewallRuleGroup"
    given = {"VpcId": ref("Vpc"), "FirewallRuleGroupId": ref("Others"), "Priority": priority}
    others = resource(kind, FirewallRules=[*rules])
    return firewall(BLOCKS, **ALL) | {
        "Before": resource(f"{kind}Association", **given), "Others": others
    }  # fmt: skip


def blocking(*domains: object, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """A DNS firewall that blocks these domains."""
    return firewall(BLOCKS, Domains=[*domains], **more)


FIREWALL_ROWS: Final[list[Row]] = [
    ("firewall without rules", firewall(), OPEN),
    ("firewall against all", firewall(BLOCKS, **ALL), UNKNOWN),
    ("against the name", blocking("ssm.eu-west-1.amazonaws.com."), UNKNOWN),
    ("against AWS", blocking("*.amazonaws.com"), UNKNOWN),
    ("against AWS by a pseudo parameter", blocking({"Fn::Sub": "*.${AWS::URLSuffix}"}), UNKNOWN),
    ("against the domain of AWS alone", blocking("amazonaws.com"), OPEN),
    ("against another ending", blocking("*.com.cn"), OPEN),
    ("against another region and service",
     blocking("*.us-east-1.amazonaws.com", "sqs.eu-west-1.amazonaws.com"), OPEN),
    ("against a domain by parameter", blocking(PARAMETER), UNKNOWN),
    ("against others", blocking("example.com", "*.example.com", "amazonaws.example.com"), OPEN),
    ("against domains in a file", firewall(BLOCKS, DomainFileUrl="s3://bucket/domains"), UNKNOWN),
    ("against domains by id", firewall(rule("BLOCK", "rslvr-fdl-1"), Domains=[]), UNKNOWN),
    ("firewall that blocks nothing",
     firewall(rule("ALERT", "rslvr-fdl-1"), rule("ALLOW", "rslvr-fdl-2")), OPEN),
    ("action by parameter", firewall(rule(PARAMETER, DOMAINS), **ALL), UNKNOWN),
    ("rule by parameter", firewall(PARAMETER), UNKNOWN),
    ("rules of another resource", firewall() | {"Rules": resource("AWS::SNS::Topic")}, UNKNOWN),
    # The first rule that matches decides, by the priorities.
    ("AWS allowed before", firewall(rule("ALLOW", AWS, 1), BLOCKS, **ALL), OPEN),
    ("AWS allowed before, written after", firewall(BLOCKS, rule("ALERT", AWS, 1), **ALL), OPEN),
    ("AWS allowed after", firewall(rule("ALLOW", AWS, 9), BLOCKS, **ALL), UNKNOWN),
    ("priority by parameter", firewall(rule("ALLOW", AWS, PARAMETER), BLOCKS, **ALL), UNKNOWN),
    ("domains by id allowed before", firewall(rule("ALLOW", "rslvr-fdl-1", 1), BLOCKS, **ALL),
     UNKNOWN),
    ("AWS allowed before its service is blocked",
     firewall(rule("ALLOW", AWS, 1), rule("BLOCK", DOMAINS, 2), Domains=[SSM]), OPEN),
    ("group before", before(100, rule("ALLOW", AWS, 9)), OPEN),
    ("group after", before(102, rule("ALLOW", AWS, 1)), UNKNOWN),
    ("group by parameter's priority", before(PARAMETER, rule("ALLOW", AWS, 1)), UNKNOWN),
    # A rule is of one type of question, or of all.
    ("questions of IPv6", firewall(rule("BLOCK", DOMAINS, Qtype="AAAA"), **ALL), OPEN),
    ("questions of IPv4", firewall(rule("BLOCK", DOMAINS, Qtype="A"), **ALL), UNKNOWN),
    ("questions by parameter", firewall(rule("BLOCK", DOMAINS, Qtype=PARAMETER), **ALL), UNKNOWN),
    ("questions of IPv6 allowed before",
     firewall(rule("ALLOW", AWS, 1, Qtype="AAAA"), BLOCKS, **ALL), UNKNOWN),
    # It may be that of another VPC.
    ("VPC by parameter", firewall(BLOCKS, **ALL, vpc=PARAMETER), UNKNOWN),
    ("VPC by attribute", firewall(BLOCKS, **ALL, vpc=OF_CUSTOM) | GIVEN, UNKNOWN),
    ("another domain in a VPC by parameter", blocking("example.com", vpc=PARAMETER), OPEN),
    ("another VPC", firewall(BLOCKS, **ALL, vpc=ref("Other")) | OTHER, OPEN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "expected"),
    [pytest.param(*row[1:], id=row[0]) for row in (*RESOLVER_ROWS, *FIREWALL_ROWS)],
)
def test_who_answers_for_names(tmp_path: Path, parts: dict[str, Any], expected: str) -> None:
    """It decides beside a NAT gateway and beside endpoints, and opens nothing that is shut."""
    assert said_of(tmp_path, Stack=templated(**parts)) == expected
    assert said_of(tmp_path, Stack=with_endpoints(**parts)) == expected
    assert said_of(tmp_path, Stack=templated(PrivateRoute=None, **parts)) == NO_NETWORK_PATH


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


def record_group(written: object) -> dict[str, Any]:
    return resource("AWS::Route53::RecordSetGroup", HostedZoneId=ref("Zone"), RecordSets=written)


def records(*several: dict[str, Any]) -> dict[str, Any]:
    return record_group([one["Properties"] for one in several])


def by_zone(name: object, leads: object = None, **changes: object) -> dict[str, Any]:
    """A hosted zone in place of the private DNS of the endpoint."""
    return {"Ssm": OFF, "Zone": zone(name, **changes), "Record": leads or record()}


def zoned(name: str, expected: str, of: object, /, *leads: dict[str, Any], **changes: Any) -> Row:  # noqa: ANN401
    return name, with_endpoints(**by_zone(of, *leads, **changes)), expected


BY_REGION: Final = "ssm.${AWS::Region}.${AWS::URLSuffix}"
DIFFERS: Final = record(AliasTarget={"DNSName": "example.com"})
BY_CNAME: Final[dict[str, Any]] = {
    "AliasTarget": None,
    "Type": "CNAME",
    "ResourceRecords": [{"Fn::Select": [0, att("Ssm", "DnsEntries")]}],
}
ZONE_ROWS: Final[list[Row]] = [
    zoned("the name", OPEN, SSM),
    zoned("the name with a dot, in capitals", OPEN, f"{SSM.upper()}.", record(f"{SSM}.")),
    zoned("by region", OPEN, {"Fn::Sub": "ssm.${AWS::Region}.amazonaws.com"}),
    zoned("by region and suffix", OPEN, {"Fn::Sub": BY_REGION}, record({"Fn::Sub": BY_REGION})),
    zoned("by branches that agree", OPEN, either(SSM, f"{SSM}.")),
    zoned("by branches that differ", UNKNOWN, either(SSM, "example.com")),
    zoned("by parameter", UNKNOWN, {"Fn::Sub": "${Given}.${AWS::Region}.amazonaws.com"}),
    *(zoned(f"by another name, {name}", ENDPOINT_UNREACHABLE, name)
      for name in ("example.com", "kms.eu-west-1.amazonaws.com", "ssm.us-east-1.amazonaws.com",
                   "ssm.eu-west-1.amazonaws.eu")),
    zoned("by a part of AWS's domain", ENDPOINT_UNREACHABLE, {"Fn::Sub": "corp.${AWS::URLSuffix}"}),
    zoned("of all AWS, with the records", OPEN, AWS_NAME,
          records(record(), record(MESSAGES, "Messages"))),
    zoned("of all AWS, with one record", UNKNOWN, AWS_NAME),
    zoned("a wildcard", OPEN, SSM, record("*.amazonaws.com")),
    zoned("of all AWS, with another record", UNKNOWN, AWS_NAME, record("kms.amazonaws.com")),
    by_endpoints("without records", UNKNOWN, Ssm=OFF, Zone=zone(SSM)),
    zoned("a group of records", OPEN, SSM, records(record("a." + SSM), record())),
    zoned("a group of records by parameter", UNKNOWN, SSM, record_group(PARAMETER)),
    zoned("a group with records that differ", UNKNOWN, SSM, records(record(), DIFFERS)),
    zoned("a record of IPv6", UNKNOWN, SSM, record(Type="AAAA")),
    zoned("a record of the endpoint of another service", UNKNOWN, SSM, record(endpoint="Messages")),
    zoned("a record by an alias", OPEN, SSM, record(**BY_CNAME)),
    zoned("a record on a condition", UNKNOWN, SSM, on(record(), ON)),
    by_endpoints("on a condition", UNKNOWN, **by_zone(SSM) | {"Zone": on(zone(SSM), ON)}),
    by_endpoints("that a custom resource changes", UNKNOWN, **by_zone(SSM),
                 Custom=custom(Of=ref("Zone"))),
    *(zoned(f"of VPCs, {name}", expected, SSM, VPCs=vpcs) for name, vpcs, expected in (
        ("one by parameter", [{"VPCId": PARAMETER}], UNKNOWN),
        ("all by parameter", PARAMETER, UNKNOWN),
        ("one by id", [{"VPCId": "vpc-1"}], UNKNOWN),
        ("by parameter in the region", [{"VPCId": PARAMETER, "VPCRegion": "eu-west-1"}], UNKNOWN),
        ("by parameter in another region", [{"VPCId": PARAMETER, "VPCRegion": "us-east-1"}],
         ENDPOINT_UNREACHABLE),
        ("none, as it is public", None, ENDPOINT_UNREACHABLE))),
    by_endpoints("of another VPC", ENDPOINT_UNREACHABLE, **OTHER,
                 **by_zone(SSM, VPCs=[{"VPCId": ref("Other")}])),
    by_endpoints("of a part of the name, beside private DNS", UNKNOWN,
                 Zone=zone("eu-west-1.amazonaws.com")),
]  # fmt: skip


PARTITIONS: Final = botocore.session.get_session().get_data("partitions")["partitions"]
SUFFIXES: Final = sorted({one["outputs"]["dnsSuffix"] for one in PARTITIONS})


@pytest.mark.parametrize("partition", PARTITIONS, ids=lambda one: one["id"])
def test_partitions_are_those_that_botocore_knows(partition: dict[str, Any]) -> None:
    expected = (partition["id"], partition["outputs"]["dnsSuffix"])
    regions = [one for one in partition["regions"] if not one.endswith("-global")]
    assert {Stack(region=one).partition for one in regions} <= {expected}


@pytest.mark.parametrize("partition", PARTITIONS, ids=lambda one: one["id"])
def test_names_in_each_partition(tmp_path: Path, partition: dict[str, Any]) -> None:
    """A hosted zone is of a service's name where it has the suffix of the partition."""
    region = next(one for one in partition["regions"] if not one.endswith("-global"))
    own = partition["outputs"]["dnsSuffix"]
    another = next(one for one in SUFFIXES if one != own)
    for suffix, expected in ((own, OPEN), (another, ENDPOINT_UNREACHABLE)):
        name = f"ssm.{region}.{suffix}"
        paths = write(tmp_path, Stack=with_endpoints(**by_zone(name, record(name))))
        deployed_to(tmp_path, "Stack", f"111122223333/{region}")
        (found,) = verdicts(paths).values()
        assert said(found) == expected


ENTERS: Final = {"SecurityGroupIngress": [{"IpProtocol": "-1", "CidrIp": "10.0.0.0/16"}]}


@each_row(
    *ZONE_ROWS,
    of_ssm("dual-stack", OPEN, IpAddressType="dualstack"),
    of_ssm("IPv6", UNKNOWN, IpAddressType="ipv6"),
    of_ssm("addresses by parameter", UNKNOWN, IpAddressType=PARAMETER),
    of_ssm("IPv4 or dual-stack", OPEN, IpAddressType=either("ipv4", "dualstack")),
    *(of_ssm(f"records of {kind}", expected, IpAddressType="dualstack",
             DnsOptions={"DnsRecordIpType": kind})
      for kind, expected in (("ipv4", OPEN), ("ipv6", UNKNOWN))),
    of_ssm("records as the service defines them", UNKNOWN,
           DnsOptions={"DnsRecordIpType": "service-defined"}),
    of_ssm("records by parameter", UNKNOWN, DnsOptions={"DnsRecordIpType": PARAMETER}),
    of_ssm("options by parameter", UNKNOWN, DnsOptions=PARAMETER),
    by_endpoints("IPv6 and shut", ENDPOINT_UNREACHABLE, Ssm=made("ssm", IpAddressType="ipv6"),
                 Admits=group()),
    ("IPv6 beside a NAT",
     templated(Ssm=made("ssm", IpAddressType="ipv6", SecurityGroupIds=[ref("Group")]),
               Group=group(**ENTERS)), UNKNOWN),
    of_ssm("its own region", OPEN, ServiceRegion="eu-west-1"),
    of_ssm("another region", ENDPOINT_MISSING, ServiceRegion="us-east-1"),
    of_ssm("a region by parameter", UNKNOWN, ServiceRegion=PARAMETER),
    of_ssm("its own region or another", UNKNOWN, ServiceRegion=either("eu-west-1", "us-east-1")),
    ("another region beside a NAT",
     templated(Ssm=made("ssm", ServiceRegion="us-east-1", SecurityGroupIds=["sg-1"])), OPEN),
)  # fmt: skip
def test_where_names_lead(tmp_path: Path, body: dict[str, Any], expected: str) -> None:
    assert said_of(tmp_path, Stack=body) == expected


def here(service: str) -> dict[str, str]:
    """The name of a service in the region of the stack."""
    return {"Fn::Sub": f"{service}.${{AWS::Region}}.amazonaws.com"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (with_endpoints(Ssm=made("ssm", ServiceRegion="eu-west-1")), UNKNOWN),
        (with_endpoints(Ssm=made("ssm", ServiceRegion=ref("AWS::Region"))), OPEN),
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
        (templated(**blocking(here("ssm"))), UNKNOWN),
        (templated(**blocking("sqs.us-east-1.amazonaws.com")), OPEN),
    ],
)  # fmt: skip
def test_names_in_a_stack_for_any_region(
    tmp_path: Path, body: dict[str, Any], expected: str
) -> None:
    paths = write(tmp_path, Stack=body)
    deployed_to(tmp_path, "Stack", "unknown-account/unknown-region")
    (found,) = verdicts(paths).values()
    assert said(found) == expected
