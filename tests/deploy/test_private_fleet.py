"""The example of what most apps join, deployed by the real CLI on moto and read back."""

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from local_aws import REGION, ROOT

from .conftest import Moto

EXAMPLE: Final = ROOT / "examples" / "private_fleet"
TEAMS: Final = {"web", "shop"}


def granted(moto: Moto, role_name: str) -> list[dict[str, Any]]:
    """The statements of a role's inline policies."""
    iam = moto.client("iam")
    found: list[dict[str, Any]] = []
    for name in iam.list_role_policies(RoleName=role_name)["PolicyNames"]:
        policy = iam.get_role_policy(RoleName=role_name, PolicyName=name)
        found += policy["PolicyDocument"]["Statement"]
    return found


def launched(moto: Moto) -> list[dict[str, Any]]:
    reservations = moto.client("ec2").describe_instances()["Reservations"]
    return [instance for one in reservations for instance in one["Instances"]]


def test_the_strict_check_passes_and_teams_have_what_they_need(moto: Moto, tmp_path: Path) -> None:
    project = tmp_path / "example"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("cdk.out"))
    app = shlex.join([sys.executable, "app.py"])
    options = ("--method=direct", "--require-approval=never", "--app", app)
    run = moto.cdk("deploy", *options, project=project)
    assert run.exit_code == 0, run.output
    assert "SessionManagerReadiness" not in run.output

    tags = [tag for one in launched(moto) for tag in one["Tags"]]
    assert {tag["Value"] for tag in tags if tag["Key"] == "team"} == TEAMS
    (vpc_id,) = {one["VpcId"] for one in launched(moto)}
    # How each is made is in tests/constructs/test_endpoints.py; the strict check finds them open.
    of_interface = ("kms", "logs", "ssm", "ssmmessages")
    of_vpc = [{"Name": "vpc-id", "Values": [vpc_id]}]
    listed = moto.client("ec2").describe_vpc_endpoints(Filters=of_vpc)["VpcEndpoints"]
    assert sorted(f"{one['VpcEndpointType']} {one['ServiceName']}" for one in listed) == [
        f"Gateway com.amazonaws.{REGION}.s3",
        *(f"Interface com.amazonaws.{REGION}.{service}" for service in of_interface),
    ]

    document = moto.client("ssm").get_document(Name="PrivateFleet-Sessions")
    inputs = json.loads(document["Content"])["inputs"]
    iam = moto.client("iam")
    profiles = iam.list_instance_profiles()["InstanceProfiles"]
    assert len(profiles) == len(TEAMS)
    for profile in profiles:
        (role,) = profile["Roles"]
        agent = {one["Sid"]: one for one in granted(moto, role["RoleName"])}
        assert agent["SessionManagerDecrypt"]["Resource"] == inputs["kmsKeyId"]
        assert inputs["s3BucketName"] in json.dumps(agent)
        assert inputs["cloudWatchLogGroupName"] in json.dumps(agent)
        assert "SessionManagerRegistration" in agent

    operators = [one for one in iam.list_roles()["Roles"] if "Operators" in one["RoleName"]]
    reached = [
        value
        for one in operators
        for value in {
            statement["Condition"]["StringEquals"]["ssm:resourceTag/team"]
            for statement in granted(moto, one["RoleName"])
            if "ssm:resourceTag/team" in json.dumps(statement)
        }
    ]
    assert sorted(reached) == sorted(TEAMS)
