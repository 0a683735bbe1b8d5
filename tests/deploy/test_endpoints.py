"""The endpoints of a private VPC, deployed on moto and read back by the EC2 API."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from local_aws import REGION

from session_manager_permissions import SessionManagerEndpoints
from tests.conftest import key_arn

from . import stacks

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Moto

pytestmark = pytest.mark.deploy


def put(moto: Moto, folder: Path) -> str:
    """Deploy a private VPC with the endpoints of every option, and return the VPC's id."""
    app = stacks.legacy_app(folder)
    stack = cdk.Stack(app, "Endpoints")
    private = ec2.SubnetConfiguration(
        name="Private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24
    )
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2, subnet_configuration=[private])
    vpc.add_interface_endpoint("Logs", service=ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS)
    SessionManagerEndpoints(
        stack,
        "Endpoints",
        vpc=vpc,
        endpoint_policy="account",
        encryption_key=kms.Key.from_key_arn(stack, "Key", key_arn(REGION)),
        log_bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "session-logs"),
        log_group=logs.LogGroup.from_log_group_name(stack, "Group", "/session/logs"),
    )
    cdk.CfnOutput(stack, "VpcId", value=vpc.vpc_id)
    app.synth()
    stacks.put(moto, folder)
    return stacks.outputs(moto, "Endpoints")["VpcId"]


def test_each_service_has_one_endpoint_in_the_vpc(moto: Moto, tmp_path: Path) -> None:
    vpc_id = put(moto, tmp_path)

    client = moto.client("ec2")
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}]
    listed = client.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
    found = {one["ServiceName"].rpartition(".")[2]: one for one in listed}
    assert len(found) == len(listed)
    assert {*found} == {"ssm", "ssmmessages", "kms", "logs", "s3"}
    (vpc,) = client.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]
    for service, one in found.items():
        assert one["ServiceName"] == f"com.amazonaws.{REGION}.{service}"
        if service == "s3":
            continue
        assert (one["VpcEndpointType"], one["PrivateDnsEnabled"]) == ("Interface", True)
        subnets = client.describe_subnets(SubnetIds=one["SubnetIds"])["Subnets"]
        zones = {subnet["AvailabilityZone"] for subnet in subnets}
        assert len(zones) == len(subnets) == 2
        (group_id,) = (group["GroupId"] for group in one["Groups"])
        (group,) = client.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
        (rule,) = group["IpPermissions"]
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 443, 443)
        assert [found["CidrIp"] for found in rule["IpRanges"]] == [vpc["CidrBlock"]]

    gateway = found["s3"]
    assert gateway["VpcEndpointType"] == "Gateway"
    tables = client.describe_route_tables(Filters=filters)["RouteTables"]
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
