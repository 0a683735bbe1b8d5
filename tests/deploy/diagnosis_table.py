"""Each row sets up a node with one cause or several, and says which checks must fail: no other may.

The causes are those between a policy and an open shell: identity, network, keys, logs, Run As, the
operator and the client; then the states that Systems Manager has a node in, and what AWS answers
besides an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from .account import (
    BEHIND_NAT,
    PUBLIC,
    SERVICES,
    Key,
    Machine,
    Network,
    Preferences,
    Role,
)
from .systems_manager import Node

if TYPE_CHECKING:
    from collections.abc import Iterable

READY, NOT_READY, CANNOT_ASK = 0, 1, 2
CONNECTED: Final = Node()
ONLINE: Final = Node(connection="notconnected")
LOST: Final = Node(ping="ConnectionLost", connection="notconnected")
INACTIVE: Final = Node(ping="Inactive", connection="notconnected")
PATHS: Final = tuple(f"path-{service}" for service in SERVICES)
CHANNELS: Final = (
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
REGISTRATION: Final = "ssm:UpdateInstanceInformation"
NO_ENDPOINTS: Final = Network(endpoints=())
MAIN_TO_NAT: Final = Network(endpoints=(), route="nat", by_main_table=True)


def without(*services: str) -> tuple[str, ...]:
    """The endpoints of a VPC that lacks some."""
    return tuple(service for service in SERVICES if service not in services)


@dataclass(frozen=True)
class Operator:
    """Who starts the session; by default one who may."""

    lacks: tuple[str, ...] = ()
    documents: str = "document/*"
    tag: str | None = None
    """The value of `SSMSessionRunAs`."""
    plugin: str | None = "1.2.764.0"
    """The version of the plug-in on PATH; None: there is none."""
    is_role: bool = False


@dataclass(frozen=True)
class Scenario:
    """What is set up, and what must come of it."""

    name: str
    fails: frozenset[str]
    unknown: frozenset[str] | None = frozenset()
    """None: whatever is."""
    status: int = NOT_READY
    node: Node | None = CONNECTED
    """What Systems Manager has of it; None: nothing."""
    machine: Machine | None = field(default_factory=Machine)
    """None: a hybrid node."""
    network: Network = field(default_factory=Network)
    role: Role = field(default_factory=Role)
    tier: str = "advanced"
    host_management: Role | None = None
    """The role of Default Host Management; None: it is off."""
    preferences: Preferences | None = field(default_factory=Preferences)
    """None: the account has no document of its own."""
    operator: Operator | None = None
    arguments: tuple[str, ...] = ()
    throttles: int = 0
    pages: bool = False
    refuses_unknown_nodes: bool = False
    partition: str = "aws"
    bucket_region: str = ""
    """The region of the log bucket; empty: that of the node."""
    message: str = ""
    """A part of what standard error says."""


def row(name: str, *fails: str, unknown: Iterable[str] | None = (), **setup: object) -> Scenario:
    """A scenario of which the node is connected; it is ready if nothing fails."""
    status = setup.pop("status", NOT_READY if fails else READY)
    kept = None if unknown is None else frozenset(unknown)
    return Scenario(name, frozenset(fails), kept, status, **setup)  # type: ignore[arg-type]


def never(name: str, *fails: str, unknown: Iterable[str] | None = (), **setup: object) -> Scenario:
    """A scenario of a node that never registered."""
    found = ("connected", "registered", *fails)
    return row(name, *found, unknown=unknown, **{"node": None, **setup})


def online(name: str, *fails: str, unknown: Iterable[str] | None = (), **setup: object) -> Scenario:
    """A scenario of a node that registered, and has no connection."""
    return row(name, "connected", *fails, unknown=unknown, **{"node": ONLINE, **setup})


STATES: Final = (
    row("connected, and all is well"),
    row("connected, behind a NAT gateway", network=BEHIND_NAT),
    row("connected, in a public subnet", network=PUBLIC),
    row("connected, without a Session document", preferences=None),
    row("connected, with preferences that name nothing", preferences=Preferences(None, None, None)),
    never("never registered, and all is well"),
    never("connection lost, and all is well", node=LOST),
    never("inactive, and all is well", node=INACTIVE),
    online("online and not connected, and all is well"),
    never("stopped", "instance-running", machine=Machine(state="stopped")),
    never(
        "stopped, and was there", "instance-running", machine=Machine(state="stopped"), node=LOST
    ),
    never("terminated", "instance-running", machine=Machine(state="terminated"), unknown=None),
    online(
        "an agent from before Session Manager",
        "agent",
        node=Node(connection="notconnected", agent="2.3.50.0"),
        preferences=None,
    ),
    never("status checks failed", "instance-running", machine=Machine(impaired=True)),
)

IDENTITY: Final = (
    never("no instance profile", "instance-profile", machine=Machine(has_profile=False)),
    never("an empty profile", "instance-profile", machine=Machine(profile_has_role=False)),
    never("EC2 can't assume the role", "role-assumable", role=Role(trusts="lambda.amazonaws.com")),
    never("metadata off", "metadata", machine=Machine(metadata="disabled")),
    never("may not register", "register", role=Role(lacks=(REGISTRATION,))),
    never("may not register, by a deny", "register", role=Role(denies=(REGISTRATION,))),
    never(
        "may register elsewhere",
        "register",
        role=Role(registers_on="arn:aws:ec2:eu-west-3:000000000000:instance/*"),
    ),
    row(
        "may register on instances alone",
        role=Role(registers_on="arn:aws:ec2:us-east-1:000000000000:instance/*"),
    ),
    online("no channels", "reach", role=Role(lacks=CHANNELS)),
    online("no data channels", "reach", role=Role(lacks=CHANNELS[1::2])),
    online("channels, by a deny", "reach", role=Role(denies=CHANNELS[:1])),
    row("connected still, and no channels any more", "reach", role=Role(lacks=CHANNELS)),
    row("connected still, and no registration", "register", role=Role(lacks=(REGISTRATION,))),
)

HOST_ROLE: Final = Role(path="/service-role/", trusts="ssm.amazonaws.com")
HOST_MANAGEMENT: Final = (
    row(
        "no profile, under Default Host Management",
        machine=Machine(has_profile=False),
        host_management=HOST_ROLE,
        unknown=None,
    ),
    row(
        "a role that may not register, under Default Host Management",
        role=Role(lacks=(REGISTRATION,)),
        host_management=HOST_ROLE,
        unknown=None,
    ),
    row(
        "no profile, and the account's role may not decrypt",
        "encrypt",
        machine=Machine(has_profile=False),
        host_management=Role(
            path="/service-role/", trusts="ssm.amazonaws.com", lacks=("kms:Decrypt",)
        ),
        unknown=None,
    ),
    row(
        "the profile's policies go unused, and the account's role may not log",
        "log-to-cloudwatch",
        role=Role(lacks=(REGISTRATION,)),
        host_management=Role(
            path="/service-role/", trusts="ssm.amazonaws.com", lacks=("logs:PutLogEvents",)
        ),
        unknown=None,
    ),
    never(
        "an agent too old for Default Host Management",
        "instance-profile",
        node=Node(ping="ConnectionLost", connection="notconnected", agent="3.2.419.0"),
        machine=Machine(has_profile=False),
        host_management=HOST_ROLE,
    ),
    online(
        "registers by its own role, which has no channels, so that nothing rescues it",
        "reach",
        role=Role(lacks=CHANNELS),
        host_management=HOST_ROLE,
        unknown=None,
    ),
    row(
        "a role that does everything, under Default Host Management",
        host_management=HOST_ROLE,
        unknown=None,
    ),
    never(
        "no profile and metadata off, under Default Host Management",
        "metadata",
        machine=Machine(has_profile=False, metadata="disabled"),
        host_management=HOST_ROLE,
        unknown=None,
    ),
)

NETWORK: Final = (
    never("no way out", *PATHS, network=NO_ENDPOINTS),
    never("no endpoint of ssm", "path-ssm", network=Network(endpoints=without("ssm"))),
    online(
        "no endpoint of ssmmessages",
        "path-ssmmessages",
        network=Network(endpoints=without("ssmmessages")),
    ),
    row("no endpoint of kms", "path-kms", network=Network(endpoints=without("kms"))),
    row("no endpoint of logs", "path-logs", network=Network(endpoints=without("logs"))),
    row("no endpoint of s3", "path-s3", network=Network(endpoints=without("s3"))),
    row("s3 not in the route table", "path-s3", network=Network(s3_in_table=False)),
    row(
        "no endpoint of kms, and no key",
        network=Network(endpoints=without("kms")),
        preferences=Preferences(key=None),
    ),
    never(
        "private DNS off, and no private hosted zone stands in",
        "path-ssm",
        network=Network(without_private_dns=("ssm",)),
    ),
    never(
        "DNS servers of one's own",
        unknown=PATHS,
        network=Network(dns_servers=("10.0.0.53", "AmazonProvidedDNS")),
    ),
    never(
        "DNS servers of one's own, and a NAT gateway",
        unknown=PATHS,
        network=Network(endpoints=(), route="nat", dns_servers=("10.0.0.53",)),
    ),
    row("a log bucket of another region", "path-s3", bucket_region="eu-west-1"),
    row(
        "a log bucket of another region, by a NAT gateway",
        network=Network(route="nat"),
        bucket_region="eu-west-1",
    ),
    never(
        "stopped, in a public subnet",
        "instance-running",
        machine=Machine(state="stopped"),
        network=Network(endpoints=(), route="internet"),
        unknown=PATHS,
    ),
    never("an endpoint that waits", "path-ssm", network=Network(pending=("ssm",))),
    never("an endpoint's group shut", "path-ssm", network=Network(shut=("ssm",))),
    never("an endpoint's policy denies", "path-ssm", network=Network(denied=("ssm",))),
    online("channels' group shut", "path-ssmmessages", network=Network(shut=("ssmmessages",))),
    row("the key's endpoint shut", "path-kms", network=Network(shut=("kms",))),
    row("the logs' endpoint shut", "path-logs", network=Network(shut=("logs",))),
    never(
        "an endpoint shut beside a NAT gateway, which does not help",
        "path-ssm",
        network=Network(endpoints=("ssm",), shut=("ssm",), route="nat"),
    ),
    row(
        "private DNS off beside a NAT gateway, which helps",
        network=Network(endpoints=("ssm",), without_private_dns=("ssm",), route="nat"),
    ),
    never("endpoints that admit the group of the instance", network=Network(by_group=True)),
    never("DNS hostnames off", *PATHS[:4], network=Network(dns_hostnames=False), unknown=None),
    never("DNS support off", *PATHS[:4], network=Network(dns_support=False), unknown=None),
    never("egress closed", *PATHS, network=Network(egress=None)),
    never("egress to the VPC alone", "path-s3", network=Network(egress="10.0.0.0/16")),
    never(
        "egress to the VPC alone, in a public subnet",
        *PATHS,
        network=Network(endpoints=(), route="internet", public_address=True, egress="10.0.0.0/16"),
    ),
    *(
        never(
            f"network ACL denies {what}",
            *PATHS,
            network=Network(endpoints=(), route="internet", public_address=True, acl_denies=what),
        )
        for what in ("requests", "answers")
    ),
    never("no public address", *PATHS, network=Network(endpoints=(), route="internet")),
    never("a NAT gateway that failed", *PATHS, network=Network((), route="nat", nat="failed")),
    never(
        "a NAT gateway without a way out",
        *PATHS,
        network=Network((), route="nat", nat_leads_out=False),
    ),
    never("a route to nowhere", *PATHS, network=Network((), route="blackhole")),
    never("the main table leads nowhere", *PATHS, network=Network((), by_main_table=True)),
    row("the main table leads out", network=MAIN_TO_NAT),
    never(
        "a public subnet by its main table", network=Network((), route="nat", by_main_table=True)
    ),
    never("a route in two halves", network=Network((), route="halves", public_address=True)),
    never("a transit gateway", unknown=PATHS, network=Network((), route="transit")),
    never("a peering", network=Network((), route="peering"), unknown=None),
    row(
        "connected by a way that can't be followed",
        network=Network((), route="transit"),
        unknown=PATHS[2:],
    ),
    row(
        "connected, though the network looks closed",
        network=NO_ENDPOINTS,
        unknown=PATHS[2:],
    ),
)

KEYS: Final = (
    row("may not decrypt", "encrypt", role=Role(lacks=("kms:Decrypt",))),
    row("may not decrypt, by a deny", "encrypt", role=Role(denies=("kms:Decrypt",))),
    row("key disabled", "key-usable", preferences=Preferences(Key(state="Disabled"))),
    row("key to be deleted", "key-usable", preferences=Preferences(Key(state="PendingDeletion"))),
    row("an RSA key", "key-usable", preferences=Preferences(Key(spec="RSA_2048"))),
    row(
        "a signing key",
        "key-usable",
        preferences=Preferences(Key(spec="HMAC_256", usage="GENERATE_VERIFY_MAC")),
    ),
    row(
        "may not decrypt, and forwards a port, which takes no key",
        role=Role(lacks=("kms:Decrypt",)),
        arguments=("--document", "AWS-StartPortForwardingSession"),
    ),
    row(
        "a key of another region",
        "key-usable",
        preferences=Preferences(Key(region="eu-west-1")),
        unknown=None,
    ),
)

LOGS: Final = (
    row("may not put logs in S3", "log-to-s3", role=Role(lacks=("s3:PutObject",))),
    row(
        "may not read the bucket's encryption",
        "log-to-s3",
        role=Role(lacks=("s3:GetEncryptionConfiguration",)),
    ),
    row("a bucket by dsse", "bucket-encryption", preferences=Preferences(bucket="aws:kms:dsse")),
    row(
        "a bucket by dsse, not enforced",
        preferences=Preferences(bucket="aws:kms:dsse", enforces_bucket=False),
        unknown=None,
    ),
    row("a bucket with a key", preferences=Preferences(bucket="aws:kms"), unknown=None),
    row("may not log", "log-to-cloudwatch", role=Role(lacks=("logs:PutLogEvents",))),
    row("may not see groups", "log-to-cloudwatch", role=Role(lacks=("logs:DescribeLogGroups",))),
    row("a group without a key", "log-group-encryption", preferences=Preferences(group="plain")),
    row(
        "a group without a key, not enforced",
        preferences=Preferences(group="plain", enforces_group=False),
    ),
    row("no such group", "log-group-encryption", preferences=Preferences(group="absent")),
)


def run_as(user: str | None) -> Preferences:
    """Preferences with Run As on."""
    return Preferences(run_as_enabled=True, run_as=user)


RUN_AS: Final = (
    row("Run As root", "run-as", preferences=run_as("root"), operator=Operator()),
    row("Run As root, of which a tag may win", preferences=run_as("root"), unknown=["run-as"]),
    row("Run As ssm-user", preferences=run_as("ssm-user"), unknown=["run-as"]),
    row("Run As a user", preferences=run_as("web")),
    row(
        "Run As on Windows",
        node=Node(platform="Windows"),
        preferences=run_as("web"),
        unknown=["run-as"],
    ),
    row("Run As whoever it is", preferences=run_as(None), unknown=["run-as"]),
    row("Run As off, and root named", preferences=Preferences(run_as="root")),
    row(
        "the operator's tag says root",
        "run-as",
        preferences=run_as("web"),
        operator=Operator(tag="root"),
    ),
    row(
        "the operator's tag wins over root",
        preferences=run_as("root"),
        operator=Operator(tag="web"),
    ),
)

OPERATORS: Final = (
    row("an operator who may", operator=Operator()),
    row("an operator who may not", "operator", operator=Operator(lacks=("ssm:StartSession",))),
    row("another document", "operator", operator=Operator(documents="document/Other")),
    row("not with the key", "operator", operator=Operator(lacks=("kms:GenerateDataKey",))),
    row("no data channel", "operator", operator=Operator(lacks=("ssmmessages:OpenDataChannel",))),
    row("no plug-in", "plugin", operator=Operator(plugin=None)),
    row("an old plug-in", "plugin", operator=Operator(plugin="1.2.707.0")),
    row("a newer plug-in", operator=Operator(plugin="1.10.0.0")),
)

HYBRID_ROLE: Final = Role(trusts="ssm.amazonaws.com")
HYBRID: Final = (
    row("hybrid, and all is well", machine=None, role=HYBRID_ROLE),
    row("hybrid, on the standard tier", "tier", machine=None, role=HYBRID_ROLE, tier="standard"),
    never("hybrid, and lost", machine=None, role=HYBRID_ROLE, node=LOST),
    never("hybrid, and EC2 is trusted instead", "role-assumable", machine=None, node=LOST),
    online(
        "hybrid, without channels",
        "reach",
        machine=None,
        role=Role(trusts="ssm.amazonaws.com", lacks=CHANNELS),
    ),
    row(
        "hybrid, and may not decrypt",
        "encrypt",
        machine=None,
        role=Role(trusts="ssm.amazonaws.com", lacks=("kms:Decrypt",)),
    ),
    row(
        "no such hybrid node",
        status=CANNOT_ASK,
        machine=None,
        node=None,
        role=HYBRID_ROLE,
        message="there is no managed node mi-",
    ),
)

CHINA: Final = Network(region="cn-north-1")
GOVERNMENT: Final = Network(region="us-gov-west-1")
PARTITIONS: Final = (
    row("China, and all is well", network=CHINA, partition="aws-cn", preferences=None),
    never(
        "China, without a profile",
        "instance-profile",
        machine=Machine(has_profile=False),
        network=CHINA,
        partition="aws-cn",
        preferences=None,
    ),
    online(
        "GovCloud, without channels",
        "reach",
        role=Role(lacks=CHANNELS),
        network=GOVERNMENT,
        partition="aws-us-gov",
        preferences=None,
    ),
)

SEVERAL: Final = (
    never(
        "no profile, and no endpoint of ssm",
        "instance-profile",
        "path-ssm",
        machine=Machine(has_profile=False),
        network=Network(endpoints=without("ssm")),
    ),
    never(
        "metadata off, EC2 not trusted, may not register",
        "metadata",
        "role-assumable",
        "register",
        machine=Machine(metadata="disabled"),
        role=Role(trusts="lambda.amazonaws.com", lacks=(REGISTRATION,)),
    ),
    never(
        "stopped, and without a profile",
        "instance-running",
        "instance-profile",
        machine=Machine(state="stopped", has_profile=False),
    ),
    row(
        "key disabled, may not decrypt, group without a key, Run As root",
        "key-usable",
        "encrypt",
        "log-group-encryption",
        "run-as",
        operator=Operator(),
        role=Role(lacks=("kms:Decrypt",)),
        preferences=Preferences(
            Key(state="Disabled"), group="plain", run_as="root", run_as_enabled=True
        ),
    ),
    online(
        "no channels, no way to them, and an operator who may not",
        "reach",
        "path-ssmmessages",
        "operator",
        role=Role(lacks=CHANNELS),
        network=Network(endpoints=without("ssmmessages")),
        operator=Operator(lacks=("ssm:StartSession",)),
    ),
)

ANSWERS: Final = (
    never(
        "everything used, by the account's role",
        host_management=HOST_ROLE,
        role=Role(lacks=(REGISTRATION,)),
        network=Network(endpoints=("ssm", "kms"), route="nat"),
        preferences=Preferences(bucket="aws:kms", run_as_enabled=True, run_as="web"),
        operator=Operator(is_role=True, tag="web"),
        node=LOST,
        unknown=["default-host-management"],
    ),
    row("each call throttled once", throttles=1),
    row("pages, the first of each empty", pages=True),
    never(
        "pages, and no endpoint of ssm",
        "path-ssm",
        network=Network(endpoints=without("ssm")),
        pages=True,
    ),
    never("an id that is no managed node's is an error", refuses_unknown_nodes=True),
    row(
        "no such instance",
        status=CANNOT_ASK,
        arguments=("--instance-id", "i-0123456789abcdef0"),
        message="i-0123456789abcdef0",
    ),
    row(
        "another region",
        status=CANNOT_ASK,
        arguments=("--region", "eu-west-1"),
        message="eu-west-1",
    ),
    row(
        "no such document",
        status=CANNOT_ASK,
        arguments=("--document", "Nowhere"),
        message="'Nowhere'",
    ),
)

SCENARIOS: Final = (
    *STATES,
    *IDENTITY,
    *HOST_MANAGEMENT,
    *NETWORK,
    *KEYS,
    *LOGS,
    *RUN_AS,
    *OPERATORS,
    *HYBRID,
    *PARTITIONS,
    *SEVERAL,
    *ANSWERS,
)
assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
