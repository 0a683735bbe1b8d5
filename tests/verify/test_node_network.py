"""The network around a node: what no row of `networks.py` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from .causes import NEVER, instance, refusing, setting, using
from .networks import (
    BOTH_ENDPOINTS,
    NO_ROUTE,
    OPEN,
    S3_GATEWAY,
    admitting,
    endpoints,
    groups,
    routes,
)
from .nodes import (
    ACCOUNT,
    World,
    both,
    default_route,
    diagnosed,
    endpoint,
    group,
    nothing,
    of_verdict,
    one,
)

if TYPE_CHECKING:
    from session_manager_permissions._verify.checks import Outcome

    from .causes import Change

CHANNELS: Final = frozenset({"path-ssm", "path-ssmmessages"})


def test_a_call_that_is_denied_twice_is_said_once() -> None:
    denied = refusing("ec2:DescribeVpcAttribute", "UnauthorizedOperation")
    found = diagnosed(World(NEVER, endpoints(*BOTH_ENDPOINTS), denied))

    why = " ".join(one(found, "path-ssm").why)

    assert why.count("they need ec2:DescribeVpcAttribute") == 1


def test_a_terminated_instance_has_no_network() -> None:
    world = World(NEVER, instance(State={"Name": "terminated"}))
    del world.instance["VpcId"], world.instance["SubnetId"]

    found = one(diagnosed(world), "path-ssm")

    why = "the instance is in no VPC: it is terminated"
    assert (found.verdict, found.why) == ("skipped", (why,))


S3_LIST: Final = {"DestinationPrefixListId": "pl-s3", "GatewayId": "vpce-s3", "State": "active"}
PLAIN_DNS: Final = {"PrivateDnsOnlyForInboundResolverEndpoint": False}
TO_S3: Final = [
    *admitting({"PrefixListIds": [{"PrefixListId": "pl-s3"}]})["IpPermissions"],
    {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/16"}]},
]
BY_LIST: Final = groups(group("sg-web", IpPermissionsEgress=TO_S3), OPEN)


def of_bucket(*does: Change) -> Outcome:
    """The path to S3 of a node that is connected through endpoints."""
    world = World(
        using(kmsKeyId="", cloudWatchLogGroupName=""),
        *(routes(S3_LIST), groups(group("sg-web"), OPEN), *does),
    )
    found = world.answers["ec2:describe_vpc_endpoints"]["VpcEndpoints"]
    endpoints(*BOTH_ENDPOINTS, *found)(world)
    return one(diagnosed(world), "path-s3")


def interface(**options: bool) -> Change:
    return endpoints(endpoint("s3", DnsOptions=options))


@pytest.mark.parametrize(
    ("breaks", "verdict"),
    [
        pytest.param(endpoints(S3_GATEWAY), "pass", id="by a gateway"),
        pytest.param(routes(), "fail", id="no gateway"),
        pytest.param(nothing, "unknown", id="a list of a gateway that is not seen"),
        pytest.param(both(endpoints(S3_GATEWAY), BY_LIST), "pass", id="by its prefix list"),
        pytest.param(
            endpoints(S3_GATEWAY | {"RouteTableIds": ["rtb-public"]}), "fail", id="another table"
        ),
        pytest.param(interface(**PLAIN_DNS), "pass", id="by an interface"),
        pytest.param(interface(**dict.fromkeys(PLAIN_DNS, True)), "fail", id="for resolvers"),
        pytest.param(interface(), "unknown", id="by an interface, perhaps"),
    ],
)
def test_the_path_to_s3(breaks: Change, verdict: str) -> None:
    assert of_bucket(breaks).verdict == verdict


ELSEWHERE: Final = "us-west-2"
TO_NAT: Final = routes(S3_LIST, default_route(NatGatewayId="nat-1"))
OF_REGION: Final = endpoints(endpoint("s3", ServiceRegion=ELSEWHERE, DnsOptions=PLAIN_DNS))
SHUT: Final = groups(group("sg-web"), group("sg-endpoints"))
"""Lets nobody in to the endpoints."""


@pytest.mark.parametrize(
    ("region", "breaks", "verdict", "says"),
    [
        pytest.param(ELSEWHERE, nothing, "fail", f"is in {ELSEWHERE}", id="there, by a gateway"),
        pytest.param(ELSEWHERE, TO_NAT, "pass", "", id="there, by NAT"),
        pytest.param(ELSEWHERE, both(TO_NAT, BY_LIST), "fail", "egress", id="there, by its list"),
        pytest.param(None, nothing, "unknown", "which region", id="not known, by a gateway"),
        pytest.param(None, TO_NAT, "pass", "", id="not known, by a gateway or NAT"),
        pytest.param(None, both(TO_NAT, BY_LIST), "unknown", "pl-s3", id="not known, by its list"),
        pytest.param(ELSEWHERE, OF_REGION, "pass", "", id="there, by an endpoint of that region"),
    ],
)
def test_a_log_bucket_may_be_in_another_region(
    region: str | None, breaks: Change, verdict: str, says: str
) -> None:
    denied = refusing("s3:GetBucketEncryption", "AccessDenied") if region is None else nothing

    check = of_bucket(setting(bucket_region=region), denied, endpoints(S3_GATEWAY), breaks)

    assert check.verdict == verdict
    assert says in " ".join([*check.why, *check.fix])


def test_a_connected_node_contradicts_what_the_network_looks_like() -> None:
    found = diagnosed(World(World.uses, NO_ROUTE))

    assert found.ready
    assert of_verdict(found, "proven") >= CHANNELS
    assert of_verdict(found, "unknown") == {"path-kms", "path-logs", "path-s3"}
    assert "the network has a way that EC2 does not show" in one(found, "path-kms").why[0]


def test_the_key_s_endpoint_shut_to_a_connected_node() -> None:
    found = diagnosed(World(World.uses, endpoints(endpoint("kms")), SHUT))

    assert of_verdict(found, "fail") == {"path-kms"}
    assert "Handshake timed out" in one(found, "path-kms").why[1]


@pytest.mark.parametrize(
    ("enforced", "service", "says"),
    [
        (True, "s3", "unable to validate encryption on Amazon S3 bucket"),
        (True, "logs", "encryption is not set up on the selected CloudWatch Logs log group"),
        (False, "s3", None),
        (False, "logs", "a prompt after two minutes"),
    ],
)
def test_what_users_see_of_a_closed_path_follows_from_what_is_enforced(
    enforced: bool,  # noqa: FBT001 # a parameter of the table
    service: str,
    says: str | None,
) -> None:
    enforcing = using(s3EncryptionEnabled=enforced, cloudWatchEncryptionEnabled=enforced)
    by_endpoint = endpoints(endpoint(service, DnsOptions=PLAIN_DNS))

    why = one(diagnosed(World(enforcing, by_endpoint, SHUT)), f"path-{service}").why

    assert len(why) == (1 if says is None else 2)
    assert says is None or says in why[1]


def test_registered_and_not_connected_leaves_the_path_of_the_channels() -> None:
    found = diagnosed(World(World.is_online_only, endpoints(endpoint("ssmmessages")), SHUT))

    assert one(found, "path-ssm").verdict == "proven"
    assert of_verdict(found, "fail") == {"connected", "path-ssmmessages"}


def test_evidence_names_the_table_and_the_endpoints() -> None:
    opened = groups(group("sg-web"), OPEN)
    found = diagnosed(World(NEVER, endpoints(endpoint("ssm")), opened))

    assert one(found, "path-ssm").evidence[1:] == (
        ("ec2:DescribeVpcEndpoints", "VpcEndpointId", "vpce-ssm"),
        ("ec2:DescribeRouteTables", "RouteTableId", "rtb-main"),
    )
    assert one(found, "path-ssmmessages").evidence[1].value is None
    assert ACCOUNT not in str(one(found, "path-ssm").evidence)
