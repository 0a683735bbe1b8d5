"""The network around a node: what no row of `networks.py` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from .causes import refusing
from .networks import (
    BOTH_ENDPOINTS,
    NO_ROUTE,
    OPEN,
    S3_GATEWAY,
    endpoints,
    groups,
    routes,
)
from .nodes import ACCOUNT, World, both, default_route, diagnosed, endpoint, group, of_verdict, one

if TYPE_CHECKING:
    from collections.abc import Callable

CHANNELS: Final = frozenset({"path-ssm", "path-ssmmessages"})


def test_a_call_that_is_denied_twice_is_said_once() -> None:
    world = World()
    world.never_registered()
    endpoints(*BOTH_ENDPOINTS)(world)
    refusing("ec2:DescribeVpcAttribute", "UnauthorizedOperation")(world)

    why = " ".join(one(diagnosed(world), "path-ssm").why)

    assert why.count("they need ec2:DescribeVpcAttribute") == 1


def test_a_terminated_instance_has_no_network() -> None:
    world = World()
    world.never_registered()
    world.instance.update(State={"Name": "terminated"})
    del world.instance["VpcId"], world.instance["SubnetId"]

    found = one(diagnosed(world), "path-ssm")

    assert (found.verdict, found.why) == (
        "skipped",
        ("the instance is in no VPC: it is terminated",),
    )


S3_LIST: Final = {"DestinationPrefixListId": "pl-s3", "GatewayId": "vpce-s3", "State": "active"}
PLAIN_DNS: Final = {"PrivateDnsOnlyForInboundResolverEndpoint": False}
TO_S3: Final = group(
    "sg-web",
    IpPermissionsEgress=[
        {
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "PrefixListIds": [{"PrefixListId": "pl-s3"}],
        },
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/16"}]},
    ],
)


@pytest.mark.parametrize(
    ("breaks", "verdict"),
    [
        pytest.param(endpoints(S3_GATEWAY), "pass", id="by a gateway"),
        pytest.param(routes(), "fail", id="no gateway"),
        pytest.param(lambda _: None, "unknown", id="a list of a gateway that is not seen"),
        pytest.param(
            both(endpoints(S3_GATEWAY), groups(TO_S3, OPEN)), "pass", id="by its prefix list"
        ),
        pytest.param(
            endpoints(S3_GATEWAY | {"RouteTableIds": ["rtb-public"]}), "fail", id="another table"
        ),
        *(
            pytest.param(
                endpoints(endpoint("s3", DnsOptions=options)), verdict, id=f"interface {options}"
            )
            for options, verdict in [
                ({"PrivateDnsOnlyForInboundResolverEndpoint": False}, "pass"),
                ({"PrivateDnsOnlyForInboundResolverEndpoint": True}, "fail"),
                ({}, "unknown"),
            ]
        ),
    ],
)
def test_the_path_to_s3(breaks: Callable[[World], object], verdict: str) -> None:
    """The node is connected through endpoints, and the judge finds the same."""
    world = World()
    world.uses(kmsKeyId="", cloudWatchLogGroupName="")
    routes(S3_LIST)(world)
    groups(group("sg-web"), OPEN)(world)
    breaks(world)
    found = world.answers["ec2:describe_vpc_endpoints"]["VpcEndpoints"]
    endpoints(*BOTH_ENDPOINTS, *found)(world)

    assert one(diagnosed(world), "path-s3").verdict == verdict


ELSEWHERE: Final = "us-west-2"
TO_NAT: Final = routes(S3_LIST, default_route(NatGatewayId="nat-1"))


@pytest.mark.parametrize(
    ("region", "breaks", "verdict", "says"),
    [
        pytest.param(ELSEWHERE, (), "fail", f"is in {ELSEWHERE}", id="elsewhere, by a gateway"),
        pytest.param(ELSEWHERE, (TO_NAT,), "pass", "", id="elsewhere, by NAT"),
        pytest.param(
            ELSEWHERE, (TO_NAT, groups(TO_S3, OPEN)), "fail", "egress", id="elsewhere, by its list"
        ),
        pytest.param(None, (), "unknown", "which region", id="not known, by a gateway"),
        pytest.param(None, (TO_NAT,), "pass", "", id="not known, by a gateway or NAT"),
        pytest.param(
            None, (TO_NAT, groups(TO_S3, OPEN)), "unknown", "pl-s3", id="not known, by its list"
        ),
        pytest.param(
            ELSEWHERE,
            (endpoints(endpoint("s3", ServiceRegion=ELSEWHERE, DnsOptions=PLAIN_DNS)),),
            "pass",
            "",
            id="elsewhere, by an endpoint of that region",
        ),
    ],
)
def test_a_log_bucket_may_be_in_another_region(
    region: str | None, breaks: tuple[Callable[[World], object], ...], verdict: str, says: str
) -> None:
    world = World()
    world.uses(kmsKeyId="", cloudWatchLogGroupName="")
    world.bucket_region = region
    if region is None:
        world.refuses("s3:GetBucketEncryption", "AccessDenied")
    both(routes(S3_LIST), endpoints(S3_GATEWAY), groups(group("sg-web"), OPEN), *breaks)(world)
    found = world.answers["ec2:describe_vpc_endpoints"]["VpcEndpoints"]
    endpoints(*BOTH_ENDPOINTS, *found)(world)

    check = one(diagnosed(world), "path-s3")

    assert check.verdict == verdict
    assert says in " ".join([*check.why, *check.fix])


def test_a_connected_node_contradicts_what_the_network_looks_like() -> None:
    world = World()
    world.uses()
    NO_ROUTE(world)

    found = diagnosed(world)

    assert found.ready
    assert of_verdict(found, "proven") >= CHANNELS
    assert of_verdict(found, "unknown") == {"path-kms", "path-logs", "path-s3"}
    assert "the network has a way that EC2 does not show" in one(found, "path-kms").why[0]


def test_the_key_s_endpoint_shut_to_a_connected_node() -> None:
    world = World()
    world.uses()
    endpoints(endpoint("kms"))(world)
    groups(group("sg-web"), group("sg-endpoints"))(world)

    found = diagnosed(world)

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
    world = World()
    world.uses(s3EncryptionEnabled=enforced, cloudWatchEncryptionEnabled=enforced)
    options = {"DnsOptions": {"PrivateDnsOnlyForInboundResolverEndpoint": False}}
    endpoints(endpoint(service, **options))(world)
    groups(group("sg-web"), group("sg-endpoints"))(world)

    why = one(diagnosed(world), f"path-{service}").why

    assert len(why) == (1 if says is None else 2)
    assert says is None or says in why[1]


def test_registered_and_not_connected_leaves_the_path_of_the_channels() -> None:
    world = World()
    world.is_online_only()
    endpoints(endpoint("ssmmessages"))(world)
    groups(group("sg-web"), group("sg-endpoints"))(world)

    found = diagnosed(world)

    assert one(found, "path-ssm").verdict == "proven"
    assert of_verdict(found, "fail") == {"connected", "path-ssmmessages"}


def test_evidence_names_the_table_and_the_endpoints() -> None:
    world = World()
    world.never_registered()
    endpoints(endpoint("ssm"))(world)
    groups(group("sg-web"), OPEN)(world)
    found = diagnosed(world)

    assert one(found, "path-ssm").evidence[1:] == (
        ("ec2:DescribeVpcEndpoints", "VpcEndpointId", "vpce-ssm"),
        ("ec2:DescribeRouteTables", "RouteTableId", "rtb-main"),
    )
    assert one(found, "path-ssmmessages").evidence[1].value is None
    assert ACCOUNT not in str(one(found, "path-ssm").evidence)
