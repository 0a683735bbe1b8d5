"""The endpoints of a private VPC, deployed by the real CLI on moto and read back by the EC2 API."""

from __future__ import annotations

import ast
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from local_aws import REGION

from .test_preferences import running_moto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .test_preferences import Moto

pytestmark = pytest.mark.deploy

APP: Final = shlex.join([sys.executable, str(Path(__file__).with_name("endpoints_app.py"))])


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    with running_moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


def endpoints(moto: Moto) -> dict[str, dict[str, Any]]:
    """The endpoints of the account, by the last part of their service's name."""
    found = moto.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    by_service = {one["ServiceName"].rpartition(".")[2]: one for one in found}
    assert len(by_service) == len(found)
    return by_service


def test_each_service_has_one_endpoint_in_the_account(moto: Moto) -> None:
    run = moto.cdk("deploy", "--method=direct", "--app", APP)
    assert run.exit_code == 0, run.output

    ec2 = moto.client("ec2")
    found = endpoints(moto)
    assert {*found} == {"ssm", "ssmmessages", "kms", "logs", "s3"}
    (vpc_id,) = {one["VpcId"] for one in found.values()}
    (vpc,) = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]
    for service, one in found.items():
        assert one["ServiceName"] == f"com.amazonaws.{REGION}.{service}"
        if service == "s3":
            continue
        assert one["VpcEndpointType"] == "Interface"
        assert one["PrivateDnsEnabled"] is True
        subnets = ec2.describe_subnets(SubnetIds=one["SubnetIds"])["Subnets"]
        zones = {subnet["AvailabilityZone"] for subnet in subnets}
        assert len(zones) == len(subnets) == 2
        (group_id,) = (group["GroupId"] for group in one["Groups"])
        (group,) = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
        (rule,) = group["IpPermissions"]
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 443, 443)
        assert [found["CidrIp"] for found in rule["IpRanges"]] == [vpc["CidrBlock"]]

    gateway = found["s3"]
    assert gateway["VpcEndpointType"] == "Gateway"
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}]
    tables = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    of_subnets = {
        table["RouteTableId"]
        for table in tables
        if not any(association.get("Main") for association in table["Associations"])
    }
    assert {*gateway["RouteTableIds"]} == of_subnets
    for service in ("ssm", "ssmmessages", "kms", "s3"):
        # moto keeps a policy of CloudFormation as Python writes it
        (statement,) = ast.literal_eval(found[service]["PolicyDocument"])["Statement"]
        assert statement["Principal"] == "*"
        (account,) = statement["Condition"]["StringEquals"].values()
        assert account == moto.client("sts").get_caller_identity()["Account"]
