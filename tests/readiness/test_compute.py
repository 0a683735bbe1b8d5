"""What compute an app has: its profile, its metadata options, and every place where it may be."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import pytest

from session_manager_permissions._network.facts import Unknown
from session_manager_permissions._readiness.compute import Compute
from session_manager_permissions._readiness.launch import Written
from session_manager_permissions._readiness.templates.model import Resource

from .deployments import NO_VALUE
from .judging import att, computes, ref, resource, rows, write
from .networks import PARAMETER
from .reports import Report

Parts = dict[str, dict[str, Any]]
Known = dict[str, object]
Place = tuple[object, list[object], object]

GIVEN: Final = "? the parameter 'Given'"
GROUP: Final = att("Group", "GroupId")
ARN: Final = att("Profile", "Arn")
NETWORK: Final[Parts] = {
    "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
    "Subnet": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.1.0/24"),
    "Other": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.2.0/24"),
    "Group": resource("AWS::EC2::SecurityGroup", VpcId=ref("Vpc")),
    "Profile": resource("AWS::IAM::InstanceProfile", Roles=["Role"]),
}


# What is known of compute ------------------------------------------------------------------------


def shown(value: object) -> object:
    """A value as the tables below have it."""
    if isinstance(value, Resource):
        return value.logical_id
    if isinstance(value, Unknown):
        return f"? {value.decides}"
    if isinstance(value, Written):
        return value.value
    return value


def the(compute: Compute) -> Known:
    return {
        "by": compute.resource.logical_id,
        "set_in": compute.set_in.logical_id,
        "profile": shown(compute.profile),
        "metadata_off": shown(compute.metadata_off),
        "places": [
            at(shown(one.subnet), *map(shown, one.groups), address=shown(one.public_address))
            for one in compute.placements
        ],
        "role": shown(compute.role),
        "opaque": compute.opaque,
    }


def at(subnet: object, *groups: object, address: object = None) -> Place:
    return subnet, [*groups], address


def anywhere(what: str, subnet: object) -> Place:
    """A place of which that what is not known decides all but the subnet."""
    return at(subnet, what, address=what)


HERE: Final = at("Subnet", "Group")
THERE: Final = at("Other", "Group")


def known(by: str, **given: object) -> Known:
    """What is known of an instance without a profile in the subnet, with changes."""
    found = {"set_in": by, "profile": None, "metadata_off": False, "places": [HERE], "role": None}
    return {"by": by, **found, "opaque": "", **given}


def unknown(by: str, what: str, *subnets: object) -> Known:
    """What is known of compute that is launched from what is not known."""
    places = [anywhere(what, one) for one in subnets]
    return known(by, profile=what, metadata_off=what, places=places)


def of(folder: Path, **parts: dict[str, Any]) -> list[Known]:
    body = {"Resources": {**NETWORK, **parts}}
    return [the(compute) for compute in computes(write(folder, Stack=body))]


# Instances ---------------------------------------------------------------------------------------


def instance(**properties: object) -> dict[str, Any]:
    given: Known = {"SubnetId": ref("Subnet"), "SecurityGroupIds": [GROUP]}
    return resource("AWS::EC2::Instance", **given | properties)


def interface(**properties: object) -> Known:
    return {"DeviceIndex": "0", "SubnetId": ref("Subnet"), "GroupSet": [GROUP], **properties}


def with_interfaces(*interfaces: object) -> dict[str, Any]:
    return resource("AWS::EC2::Instance", NetworkInterfaces=[*interfaces])


def options(**given: object) -> dict[str, Any]:
    return instance(MetadataOptions=given)


ENI: Final = resource("AWS::EC2::NetworkInterface", SubnetId=ref("Other"), GroupSet=[GROUP])
BY_ENI: Final = with_interfaces({"DeviceIndex": "0", "NetworkInterfaceId": ref("Eni")})
DEFAULT_VPC: Final = "? the default VPC of the account"
INTERFACES: Final = "? the network interfaces of 'Instance'"
ENI_1: Final = "? the network interface 'eni-1'"
ADDRESS_OF: Final = "? what gives 'Instance' a public IPv4 address"
INSTANCES: Final[list[tuple[str, dict[str, Any], Known]]] = [
    ("no profile", instance(), {}),
    ("a profile", instance(IamInstanceProfile=ref("Profile")), {"profile": ref("Profile")}),
    ("no value for a profile", instance(IamInstanceProfile=NO_VALUE), {}),
    ("metadata off", options(HttpEndpoint="disabled"), {"metadata_off": True}),
    ("metadata on", options(HttpEndpoint="enabled"), {}),
    ("other metadata options", options(HttpTokens="required"), {}),
    ("metadata by a parameter", options(HttpEndpoint=PARAMETER), {"metadata_off": GIVEN}),
    ("options by a parameter", instance(MetadataOptions=PARAMETER), {"metadata_off": GIVEN}),
    ("no subnet", resource("AWS::EC2::Instance"), {"places": [at(DEFAULT_VPC)]}),
    ("ids", instance(SubnetId="subnet-1", SecurityGroupIds=["sg-1", PARAMETER]),
     {"places": [at("subnet-1", "sg-1", GIVEN)]}),
    ("a subnet by a dynamic reference", instance(SubnetId="{{resolve:ssm:/subnet}}"),
     {"places": [at('? the subnet "{{resolve:ssm:/subnet}}"', "Group")]}),
    ("no subnet by its type, in a list", instance(SubnetId={"Fn::Join": [",", [ref("Vpc")]]}),
     {"places": [at("? the subnet 'Vpc'", "Group")]}),
    ("no subnet by its type", instance(SubnetId=ref("Vpc")),
     {"places": [at("? the subnet 'Vpc'", "Group")]}),
    ("an interface", with_interfaces(interface()), {}),
    ("a public address", with_interfaces(interface(AssociatePublicIpAddress=True)),
     {"places": [at("Subnet", "Group", address=True)]}),
    ("no public address", with_interfaces(interface(AssociatePublicIpAddress="false")),
     {"places": [at("Subnet", "Group", address=False)]}),
    ("an address by a parameter", with_interfaces(interface(AssociatePublicIpAddress=PARAMETER)),
     {"places": [at("Subnet", "Group", address=GIVEN)]}),
    ("two interfaces",
     with_interfaces(interface(DeviceIndex=1, SubnetId=ref("Other")), interface(DeviceIndex=0)),
     {"places": [at("Subnet", "Group", address=ADDRESS_OF)]}),
    ("an interface of an index by a parameter", with_interfaces(interface(DeviceIndex=PARAMETER)),
     {"places": [anywhere(INTERFACES, INTERFACES)]}),
    ("an interface of the app", BY_ENI, {"places": [at("Other", "Group", address=False)]}),
    ("an interface by its id", with_interfaces({"DeviceIndex": "0", "NetworkInterfaceId": "eni-1"}),
     {"places": [anywhere(ENI_1, ENI_1)]}),
]  # fmt: skip


@pytest.mark.parametrize(("server", "expected"), rows(INSTANCES))
def test_instance(tmp_path: Path, server: dict[str, Any], expected: Known) -> None:
    assert of(tmp_path, Eni=ENI, Instance=server) == [known("Instance", **expected)]


# Launch templates --------------------------------------------------------------------------------


def template(**data: object) -> dict[str, Any]:
    return resource("AWS::EC2::LaunchTemplate", LaunchTemplateData=data)


def named(name: object, **data: object) -> dict[str, Any]:
    made = template(**data)
    made["Properties"]["LaunchTemplateName"] = name
    return made


OFF: Final = {"HttpEndpoint": "disabled"}
BY_ARN: Final = {"Arn": ARN}
FULL: Final = template(IamInstanceProfile=BY_ARN, SecurityGroupIds=[GROUP], MetadataOptions=OFF)
IN_GROUP: Final = template(SecurityGroupIds=[GROUP])
LATEST: Final = att("Template", "LatestVersionNumber")
SPEC: Final = {"LaunchTemplateId": ref("Template"), "Version": LATEST}
ELSEWHERE: Final = {"DeviceIndex": 0, "SubnetId": ref("Other"), "Groups": [GROUP]}
REPLACED: Final = (
    "? whether the metadata options of 'Instance' replace those of its launch template"
)
FROM_TEMPLATES: Final[list[tuple[str, Known, dict[str, Any], Known]]] = [
    ("all", {}, FULL, {"profile": ARN, "metadata_off": True}),
    ("its own profile", {"IamInstanceProfile": "Own"}, FULL,
     {"profile": "Own", "metadata_off": True}),
    ("its own metadata options", {"MetadataOptions": {"HttpEndpoint": "enabled"}}, FULL,
     {"profile": ARN}),
    ("its own metadata options, but for the endpoint",
     {"MetadataOptions": {"HttpTokens": "required"}}, FULL,
     {"profile": ARN, "metadata_off": REPLACED}),
    ("its own groups", {"SecurityGroupIds": ["sg-1"]}, FULL,
     {"profile": ARN, "metadata_off": True, "places": [at("Subnet", "sg-1")]}),
    ("a profile by its name", {},
     template(IamInstanceProfile={"Name": "Named"}, SecurityGroupIds=[GROUP]),
     {"profile": "Named"}),
    ("an empty profile", {}, template(IamInstanceProfile={}, SecurityGroupIds=[GROUP]), {}),
    ("interfaces", {"SubnetId": NO_VALUE},
     template(NetworkInterfaces=[ELSEWHERE | {"AssociatePublicIpAddress": False}]),
     {"places": [at("Other", "Group", address=False)]}),
]  # fmt: skip


@pytest.mark.parametrize(("properties", "data", "expected"), rows(FROM_TEMPLATES))
def test_instance_from_a_template(
    tmp_path: Path, properties: Known, data: dict[str, Any], expected: Known
) -> None:
    given = {"SubnetId": ref("Subnet"), "LaunchTemplate": SPEC, **properties}
    found = of(tmp_path, Template=data, Instance=resource("AWS::EC2::Instance", **given))
    assert found == [known("Instance", **expected)]


def by_id(version: object) -> Known:
    return {"LaunchTemplateId": ref("Template"), "Version": version}


OTHERS: Final = {"LaunchTemplateId": "lt-1"}
DEFAULT: Final = "which version of the launch template 'Template' is its default"
VERSION: Final = "the version of the launch template 'Template'"


@pytest.mark.parametrize(
    ("spec", "decides"),
    [
        ({"LaunchTemplateName": "Named", "Version": "$Latest"}, None),
        (SPEC, None),
        (by_id("$Default"), DEFAULT),
        (by_id(att("Template", "DefaultVersionNumber")), DEFAULT),
        ({"LaunchTemplateId": ref("Template")}, DEFAULT),
        (by_id({"Fn::Sub": "$Latest"}), None),
        (by_id(att("Other", "LatestVersionNumber")), VERSION),
        (by_id("1"), VERSION),
        (by_id(PARAMETER), VERSION),
        (OTHERS, 'the launch template {"LaunchTemplateId": "lt-1"}'),
        ({"LaunchTemplateName": "Other"}, 'the launch template {"LaunchTemplateName": "Other"}'),
        ({"LaunchTemplateId": ref("Group")},
         'the launch template {"LaunchTemplateId": {"Ref": "Group"}}'),
        (PARAMETER, "the parameter 'Given'"),
    ],
)  # fmt: skip
def test_which_launch_template(tmp_path: Path, spec: object, decides: str | None) -> None:
    data = named("Named", IamInstanceProfile={"Name": "Profile"}, SecurityGroupIds=[GROUP])
    fleet = scaling(VPCZoneIdentifier=[ref("Subnet")], LaunchTemplate=spec)
    found = of(tmp_path, Template=data, Fleet=fleet)
    if decides is None:
        assert found == [known("Fleet", set_in="Template", profile="Profile")]
    else:
        expected = unknown("Fleet", f"? {decides}", "Subnet")
        assert found[0] == expected | {"set_in": found[0]["set_in"]}


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("Named", {"LaunchTemplateName": "Named"}),  # which is that of two templates
        (ref("Name"), {"LaunchTemplateId": PARAMETER, "Version": "$Latest"}),
        (ref("Name"), {"LaunchTemplateName": PARAMETER, "Version": "$Latest"}),
    ],
)
def test_template_whose_name_tells_no_single_one(tmp_path: Path, name: object, spec: Known) -> None:
    """The only template of an app need not be the one that a parameter names."""
    twin = {"Two": named(name)} if name == "Named" else {}
    fleet = scaling(LaunchTemplate=spec)
    found = of(tmp_path, One=named(name), **twin, Fleet=fleet)[0]
    assert found["profile"] == f"? the launch template {json.dumps(spec)}"


def batch(**given: object) -> dict[str, Any]:
    resources = {"Type": "EC2", "InstanceRole": "P", **given}
    return resource("AWS::Batch::ComputeEnvironment", ComputeResources=resources)


def test_template_needs_a_profile_unless_only_others_use_it(tmp_path: Path) -> None:
    by_batch = batch(LaunchTemplate={"LaunchTemplateId": ref("Template")})
    own = instance(IamInstanceProfile="Own", LaunchTemplate=SPEC)
    cluster = resource("AWS::EKS::Cluster")
    for user in (by_batch, own, nodes(LaunchTemplate={"Id": ref("Template")})):
        found = of(tmp_path, Template=template(), User=user, Cluster=cluster)
        assert [one["by"] for one in found] == ["User"]
    nobody = "? who launches from the template 'Template'"
    for given, profile in (({}, nobody), ({"IamInstanceProfile": {"Name": "P"}}, "P")):
        found = of(tmp_path, Template=template(**given), Batch=batch(LaunchTemplate=OTHERS))
        assert found[1:] == [known("Template", profile=profile, places=[])]


# Fleets ------------------------------------------------------------------------------------------


def launch_configuration(**changes: object) -> dict[str, Any]:
    given: Known = {"SecurityGroups": [GROUP], **changes}
    return resource("AWS::AutoScaling::LaunchConfiguration", **given)


def scaling(**changes: object) -> dict[str, Any]:
    given: Known = {"VPCZoneIdentifier": [ref("Subnet"), ref("Other")], **changes}
    return resource("AWS::AutoScaling::AutoScalingGroup", **given)


def mixed(*overrides: object) -> dict[str, Any]:
    launches = {"LaunchTemplateSpecification": SPEC, "Overrides": [*overrides]}
    return scaling(MixedInstancesPolicy={"LaunchTemplate": launches})


def spot(**data: object) -> dict[str, Any]:
    return resource("AWS::EC2::SpotFleet", SpotFleetRequestConfigData=data)


def ec2_fleet(*configs: object) -> dict[str, Any]:
    return resource("AWS::EC2::EC2Fleet", LaunchTemplateConfigs=[*configs])


def config(*subnets: str) -> Known:
    """A config of the template, with an override for each subnet; one that names none is ''."""
    overrides = [{"SubnetId": ref(one)} if one else {"InstanceType": "t3.micro"} for one in subnets]
    return {"LaunchTemplateSpecification": SPEC, **({"Overrides": overrides} if subnets else {})}


BOTH: Final = [HERE, THERE]
SECOND: Final = {
    "LaunchTemplateSpecification": {"LaunchTemplateId": ref("Second"), "Version": "$Latest"}
}
SPOT: Final = {
    "SubnetId": ref("Subnet"), "SecurityGroups": [{"GroupId": GROUP}], "IamInstanceProfile": BY_ARN
}  # fmt: skip
BOTH_JOINED: Final = {"Fn::Join": [",", [ref("Subnet"), ref("Other")]]}
COPIED: Final = "? the instance that 'Launch' is made from"
LAUNCH_OTHER: Final = "? the launch configuration 'Other'"
FLEETS: Final[list[tuple[str, Parts, list[Known]]]] = [
    ("a launch configuration",
     {"Launch": launch_configuration(IamInstanceProfile=ref("Profile")),
      "Fleet": scaling(LaunchConfigurationName=ref("Launch"))},
     [known("Fleet", set_in="Launch", profile=ref("Profile"), places=BOTH)]),
    ("a launch configuration by its name",
     {"Launch": launch_configuration(LaunchConfigurationName="N", AssociatePublicIpAddress=True),
      "Fleet": scaling(LaunchConfigurationName="N")},
     [known("Fleet", set_in="Launch",
            places=[at(one, "Group", address=True) for one in ("Subnet", "Other")])]),
    ("another launch configuration",
     {"Fleet": scaling(LaunchConfigurationName="Other", VPCZoneIdentifier=["subnet-1"])},
     [unknown("Fleet", LAUNCH_OTHER, "subnet-1")]),
    ("a launch configuration that is made from an instance",
     {"Launch": launch_configuration(InstanceId="i-1"),
      "Fleet": scaling(LaunchConfigurationName=ref("Launch"))},
     [known("Fleet", set_in="Launch", profile=COPIED, metadata_off=COPIED, places=BOTH)]),
    ("a launch configuration that replaces what it has of an instance",
     {"Launch": launch_configuration(InstanceId=PARAMETER, IamInstanceProfile=ref("Profile"),
                                     MetadataOptions=OFF),
      "Fleet": scaling(LaunchConfigurationName=ref("Launch"))},
     [known("Fleet", set_in="Launch", profile=ref("Profile"), metadata_off=True, places=BOTH)]),
    ("a template without data",
     {"Template": resource("AWS::EC2::LaunchTemplate"), "Fleet": scaling(LaunchTemplate=SPEC)},
     [known("Fleet", set_in="Template", places=[at("Subnet"), at("Other")])]),
    ("subnets by a parameter",
     {"Template": IN_GROUP, "Fleet": scaling(LaunchTemplate=SPEC, VPCZoneIdentifier=PARAMETER)},
     [known("Fleet", set_in="Template", places=[at(GIVEN, "Group")])]),
    ("subnets that are joined",
     {"Template": IN_GROUP, "Fleet": scaling(LaunchTemplate=SPEC, VPCZoneIdentifier=[BOTH_JOINED])},
     [known("Fleet", set_in="Template", places=BOTH)]),
    ("an override of several subnets",
     {"Template": IN_GROUP, "Fleet": spot(LaunchTemplateConfigs=[
         {"LaunchTemplateSpecification": SPEC, "Overrides": [{"SubnetId": BOTH_JOINED}]}])},
     [known("Fleet", set_in="Template", places=BOTH)]),
    ("no value for subnets",
     {"Template": IN_GROUP, "Fleet": scaling(LaunchTemplate=SPEC, VPCZoneIdentifier=NO_VALUE)},
     [known("Fleet", set_in="Template", places=[at(DEFAULT_VPC, "Group")])]),
    ("a mixed policy, whose template one override leaves",
     {"Template": IN_GROUP, "Second": template(IamInstanceProfile={"Name": "Profile"}),
      "Fleet": mixed({"InstanceType": "t3.micro"}, SECOND, PARAMETER)},
     [known("Fleet", set_in="Template", places=BOTH),
      known("Fleet", set_in="Second", profile="Profile", places=[at("Subnet"), at("Other")]),
      unknown("Fleet", GIVEN, "Subnet", "Other")]),
    ("a mixed policy, whose template all overrides leave",
     {"Template": IN_GROUP,
      "Second": template(SecurityGroupIds=[GROUP], IamInstanceProfile={"Name": "Profile"}),
      "Fleet": mixed(SECOND)},
     [known("Fleet", set_in="Second", profile="Profile", places=BOTH)]),
    ("an instance to copy",
     {"Fleet": scaling(InstanceId="i-1", VPCZoneIdentifier=[ref("Subnet")])},
     [unknown("Fleet", "? what 'Fleet' launches from", "Subnet")]),
    ("a Spot fleet", {"Fleet": spot(LaunchSpecifications=[SPOT, PARAMETER])},
     [known("Fleet", profile=ARN), unknown("Fleet", GIVEN, DEFAULT_VPC)]),
    ("a Spot fleet of a template",
     {"Template": IN_GROUP, "Fleet": spot(LaunchTemplateConfigs=[config("Subnet", "Other", "")])},
     [known("Fleet", set_in="Template", places=[*BOTH, at(DEFAULT_VPC, "Group")])]),
    ("overrides of the subnet of an interface",
     {"Template": template(NetworkInterfaces=[interface(SubnetId=ref("Other"))]),
      "Fleet": ec2_fleet(config("Subnet", ""))},
     [known("Fleet", set_in="Template", places=BOTH)]),
    ("the subnet of an interface",
     {"Template": template(NetworkInterfaces=[ELSEWHERE]), "Fleet": ec2_fleet(config())},
     [known("Fleet", set_in="Template", places=[THERE])]),
    ("a fleet by a parameter", {"Fleet": ec2_fleet(PARAMETER)},
     [unknown("Fleet", GIVEN, DEFAULT_VPC)]),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "expected"), rows(FLEETS))
def test_fleets(tmp_path: Path, parts: Parts, expected: list[Known]) -> None:
    assert of(tmp_path, **parts) == expected


# Nodes of EKS ------------------------------------------------------------------------------------


def nodes(**changes: object) -> dict[str, Any]:
    given = {"ClusterName": ref("Cluster"), "NodeRole": att("Role", "Arn")}
    return resource("AWS::EKS::Nodegroup", **{**given, "Subnets": [ref("Subnet")], **changes})


def launching(**spec: object) -> dict[str, Any]:
    return nodes(LaunchTemplate=spec)


OF_CLUSTER: Final = "? the security group of the"
NAMED_T: Final = '? the launch template {"Name": "t"}'
NODES: Final[list[tuple[str, Parts, Place]]] = [
    ("of a cluster", {"Nodes": nodes()}, at("Subnet", "Cluster")),
    ("of a cluster by its name", {"Nodes": nodes(ClusterName="Named")}, at("Subnet", "Cluster")),
    ("of a cluster by a name that two branches have",
     {"Cluster": resource("AWS::EKS::Cluster", Name={"Fn::If": ["Production", "Named", "Named"]}),
      "Nodes": nodes(ClusterName="Named")}, at("Subnet", "Cluster")),
    ("of another cluster", {"Nodes": nodes(ClusterName="Other")},
     at("Subnet", f"{OF_CLUSTER} cluster 'Other'")),
    ("of a cluster by a parameter", {"Nodes": nodes(ClusterName=PARAMETER)},
     at("Subnet", f"{OF_CLUSTER} parameter 'Given'")),
    ("of a cluster by a parameter, beside one that the deployment names",
     {"Cluster": resource("AWS::EKS::Cluster"), "Nodes": nodes(ClusterName=PARAMETER)},
     at("Subnet", f"{OF_CLUSTER} parameter 'Given'")),
    ("of a template with groups",
     {"Nodes": launching(Id=ref("Template"), Version=LATEST), "Template": IN_GROUP}, HERE),
    ("of a template without groups",
     {"Nodes": launching(Id=ref("Template"), Version=LATEST), "Template": template()},
     at("Subnet", "Cluster")),
    ("of another template", {"Nodes": launching(Name="t"), "Template": template()},
     anywhere(NAMED_T, "Subnet")),
    ("of the default version of a template",
     {"Nodes": launching(Id=ref("Template")), "Template": template()},
     anywhere(f"? {DEFAULT}", "Subnet")),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "place"), rows(NODES))
def test_nodes_of_eks(tmp_path: Path, parts: Parts, place: Place) -> None:
    cluster = {"Cluster": resource("AWS::EKS::Cluster", Name="Named")}
    found = of(tmp_path, **cluster | parts)[0]
    assert (found["by"], found["role"], found["profile"]) == ("Nodes", att("Role", "Arn"), None)
    assert found["places"] == [place]


# What services launch ----------------------------------------------------------------------------


def beanstalk(kind: str = "Environment", **given: object) -> dict[str, Any]:
    in_vpc = {"Subnets": "aws:ec2:vpc", "AssociatePublicIpAddress": "aws:ec2:vpc"}
    launch = "aws:autoscaling:launchconfiguration"
    settings = [
        {"Namespace": in_vpc.get(name, launch), "OptionName": name, "Value": value}
        for name, value in given.items()
    ]
    return resource(f"AWS::ElasticBeanstalk::{kind}", OptionSettings=settings)


def fleet(**properties: object) -> dict[str, Any]:
    """A resource of a type that is not known."""
    return resource("AWS::New::Fleet", **properties)


BATCH: Final = "AWS::Batch::ComputeEnvironment"
ECS: Final = "AWS::ECS::CapacityProvider"
NODE_GROUP: Final = "AWS::PCS::ComputeNodeGroup"
BEANSTALK: Final = "AWS Elastic Beanstalk"
MANAGED: Final = {"InstanceLaunchTemplate": {"Ec2InstanceProfileArn": "arn"}}
IMAGE_BUILDER: Final = "AWS::ImageBuilder::InfrastructureConfiguration"
LITERAL: Final = "arn:aws:iam::111122223333:instance-profile/web"
SUBSTITUTED: Final = {"Fn::Sub": "arn:aws:iam::1:instance-profile/${Profile}"}
PRODUCT: Final = "AWS::ServiceCatalog::CloudFormationProduct"
UNREAD: Final = "its template, which can't be read,"
DEPLOYED: Final = "the template that it deploys, which is not read,"
BY_SERVICES: Final[list[tuple[dict[str, Any], str, object]]] = [
    (batch(Type="SPOT", InstanceRole=ARN), "AWS Batch", ARN),
    (batch(InstanceRole=NO_VALUE), "AWS Batch", "? AWS Batch"),
    (batch(Type="FARGATE_SPOT"), "", None),
    (resource(BATCH, Type="UNMANAGED"), "", None),
    (resource(ECS, ManagedInstancesProvider=MANAGED), ECS, "arn"),
    (resource(ECS, AutoScalingGroupProvider={}), "", None),
    (resource("AWS::EMR::Cluster", JobFlowRole="Role"), "Amazon EMR", "Role"),
    (resource(IMAGE_BUILDER, InstanceProfileName="P"), "EC2 Image Builder", "P"),
    (beanstalk(InstanceType="t3.micro", IamInstanceProfile=ref("Profile")), BEANSTALK,
     ref("Profile")),
    (resource("AWS::ElasticBeanstalk::Environment", OptionSettings=PARAMETER), BEANSTALK,
     f"? {BEANSTALK}"),
    (beanstalk("ConfigurationTemplate", IamInstanceProfile=ref("Profile")),
     "AWS::ElasticBeanstalk::ConfigurationTemplate", ref("Profile")),
    (batch(InstanceRole=NO_VALUE, ManagedInstancesProvider=MANAGED), BATCH, "arn"),
    (resource(NODE_GROUP, IamInstanceProfileArn=ARN), NODE_GROUP, ARN),
    (fleet(Runs={"As": [{"Who": ARN}]}), "AWS::New::Fleet", ARN),
    (fleet(As=LITERAL), "AWS::New::Fleet", LITERAL),
    (fleet(As=SUBSTITUTED), "AWS::New::Fleet", SUBSTITUTED),
    (fleet(For=PARAMETER, As=ref("Profile")), "AWS::New::Fleet", ref("Profile")),
    # What only speaks of a profile launches nothing.
    (fleet(Says={"Fn::Sub": "instances under ${Profile}"}), "", None),
    (fleet(Tags=[{"Key": "InstanceProfile", "Value": ref("Profile")}]), "", None),
    (fleet(Description=ref("Profile")), "", None),
    (fleet(InstanceProfile=NO_VALUE), "", None),
    (resource("AWS::SSM::Parameter", Value=ref("Profile")), "", None),
    (resource("AWS::IAM::Policy", Resource=ARN), "", None),
    (resource("AWS::DMS::MigrationProject", InstanceProfileIdentifier="dms"), "", None),
    (resource(PRODUCT, ProvisioningArtifactParameters=[
        {"Info": {"LoadTemplateFromURL": "https://example.com/product.yaml"}}]),
     UNREAD, f"? {UNREAD}"),
    *((resource(kind, **{by: {"As": ref("Profile")}}), DEPLOYED, ref("Profile")) for kind, by in {
        "AWS::CloudFormation::Stack": "Parameters",
        "AWS::CloudFormation::StackSet": "Parameters",
        "AWS::Serverless::Application": "Parameters",
        "AWS::ServiceCatalog::CloudFormationProvisionedProduct": "ProvisioningParameters",
    }.items()),
    (resource("AWS::CloudFormation::Stack", Parameters={"As": "none"}), "", None),
    (resource("AWS::CloudFormation::StackSet", Parameters=[{"ParameterValue": ref("Profile")}],
              TemplateBody="Topic: {Type: AWS::SNS::Topic}"), "", None),
]  # fmt: skip


@pytest.mark.parametrize(("it", "service", "profile"), BY_SERVICES)
def test_compute_that_a_service_launches(
    tmp_path: Path, it: dict[str, Any], service: str, profile: object
) -> None:
    opaque = known("It", profile=profile, metadata_off=f"? {service}", places=[], opaque=service)
    assert of(tmp_path, It=it) == ([opaque] if service else [])


PLACE: Final = {"Subnets": [ref("Subnet")], "SecurityGroupIds": [GROUP]}
EMR: Final = resource("AWS::EMR::Cluster", JobFlowRole="P", Instances={
    "Ec2SubnetId": ref("Subnet"), "EmrManagedMasterSecurityGroup": GROUP,
    "EmrManagedSlaveSecurityGroup": "sg-1"})  # fmt: skip
OF_EMR: Final = "? whether Amazon EMR gives its nodes public addresses"
OF_BEANSTALK: Final = "? the security group that AWS Elastic Beanstalk makes"
JOINED: Final = {"Fn::Join": ["", [ref("Subnet"), ",", ref("Other"), ",", PARAMETER]]}


@pytest.mark.parametrize(
    ("it", "places"),
    [
        (batch(**PLACE), [[HERE]]),
        (batch(Subnets=[ref("Subnet")], LaunchTemplate=SPEC), [[HERE]]),
        (batch(**PLACE, LaunchTemplate=SPEC | {"Overrides": [{}]}),
         [[at("Subnet", "Group", address="? its launch templates")]]),
        (resource(IMAGE_BUILDER, InstanceProfileName="P", SubnetId=ref("Subnet"),
                  SecurityGroupIds=[GROUP]), [[HERE]]),
        (EMR, [[at("Subnet", one, address=OF_EMR)] for one in ("Group", "sg-1")]),
        (beanstalk(IamInstanceProfile="P", SecurityGroups=GROUP, AssociatePublicIpAddress="true",
                   InstanceType="t3.micro", Subnets=JOINED),
         [[at(one, "Group", OF_BEANSTALK, address=True)
           for one in ("Subnet", "Other", "? the subnet '…,…,…'")]]),
    ],
)  # fmt: skip
def test_compute_of_a_service_that_is_judged(
    tmp_path: Path, it: dict[str, Any], places: list[list[Place]]
) -> None:
    found = [one for one in of(tmp_path, Template=IN_GROUP, It=it) if one["by"] == "It"]
    assert [one["places"] for one in found] == places
    assert {one["profile"] for one in found} == {"P"}


@pytest.mark.parametrize(
    ("allowed", "launches"),
    [
        ({"AllowedValues": ["FARGATE", "FARGATE_SPOT"]}, False),
        ({"AllowedValues": ["FARGATE", "EC2"]}, True),
        ({}, True),
    ],
)
def test_batch_by_the_types_that_it_may_have(
    tmp_path: Path, allowed: Known, *, launches: bool
) -> None:
    environment = resource(BATCH, ComputeResources={"Type": PARAMETER})
    parameters = {"Given": {"Type": "String", **allowed}}
    body = {"Parameters": parameters, "Resources": {"It": environment}}
    assert bool(Report(write(tmp_path, Stack=body), strict=False).rules) is launches


def test_product_is_read(tmp_path: Path) -> None:
    hash_ = "0" * 64
    url = {"Fn::Sub": f"https://s3.${{AWS::Region}}.amazonaws.com/assets/{hash_}.json"}
    sells = [{"Info": {"LoadTemplateFromURL": url}}]
    product = resource(PRODUCT, ProvisioningArtifactParameters=sells)
    paths = write(tmp_path, Stack={"Resources": {"It": product}})
    assets = {"files": {hash_: {"source": {"path": "product.json"}}}}
    (tmp_path / "Stack.assets.json").write_text(json.dumps(assets))
    (tmp_path / "product.json").write_text(json.dumps({"Resources": {"Sold": instance()}}))
    assert [one.resource.logical_id for one in computes(paths)] == ["Sold"]


# Addresses ---------------------------------------------------------------------------------------

ID: Final = att("Eip", "AllocationId")
OPEN: Final = "? what gets the Elastic IP address 'Eip'"


def gives(**properties: object) -> dict[str, Any]:
    return resource("AWS::EC2::EIPAssociation", **properties)


TAKERS: Final[list[tuple[dict[str, Any], object]]] = [
    (gives(AllocationId=ID, InstanceId=ref("Instance")), True),
    (gives(AllocationId=ID, InstanceId=ref("Second")), False),
    (gives(AllocationId=ID, NetworkInterfaceId=PARAMETER), "? what 'Taker' gives its address to"),
    (resource("AWS::SNS::Topic"), OPEN),
    (resource("AWS::EC2::NatGateway", AllocationId=ID), False),
    (resource("AWS::ElasticLoadBalancingV2::LoadBalancer",
              SubnetMappings=[{"AllocationId": ID}]), False),
    (resource("AWS::Transfer::Server", EndpointDetails={"AddressAllocationIds": [ID]}), False),
    (resource("AWS::Redshift::Cluster", ElasticIp=ref("Eip")), False),
    (resource("AWS::Route53::RecordSet", ResourceRecords=[ref("Eip")]), OPEN),
    (resource("AWS::CloudFormation::Stack", Parameters={"AllocationId": ID}), OPEN),
    (resource("Custom::Address", AllocationId=ID), OPEN),
]  # fmt: skip
ADDRESS: Final = resource("AWS::EC2::EIP")
ADDRESSES: Final[list[tuple[Parts, object]]] = [
    ({}, False),
    ({"Eip": resource("AWS::EC2::EIP", InstanceId=ref("Instance"))}, True),
    *(({"Eip": ADDRESS, "Taker": taker, "Second": instance()}, found) for taker, found in TAKERS),
    ({"Eni": ENI, "Instance": BY_ENI,
      "Gives": gives(AllocationId="eipalloc-1", NetworkInterfaceId=ref("Eni"))}, True),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "expected"), ADDRESSES)
def test_elastic_address(tmp_path: Path, parts: Parts, expected: object) -> None:
    body = {"Resources": {**NETWORK, "Instance": instance(), **parts}}
    found = computes(write(tmp_path, Stack=body))[0]
    assert shown(found.placements[0].elastic_address) == expected


def test_other_interfaces_are_noted(tmp_path: Path) -> None:
    machine = with_interfaces(interface(), interface(DeviceIndex="1"))
    (found,) = computes(write(tmp_path, Stack={"Resources": {**NETWORK, "Instance": machine}}))
    assert found.placements[0].other_interfaces


# Whatever CDK has that names a profile -----------------------------------------------------------

NO_COMPUTE: Final = {
    "AWS::AutoScaling::LaunchConfiguration",  # which only groups launch from
    "AWS::DMS::InstanceProfile",  # of another kind
    "AWS::DMS::MigrationProject",
    "AWS::IAM::InstanceProfile",
    "AWS::SecurityHub::Insight",
}


def named_by_cdk() -> set[tuple[str, tuple[str, ...]]]:
    """The type and the path of each property of CDK's L1 constructs that names a profile."""
    (library,) = (Path(cdk.__file__).parent / "_jsii").glob("aws-cdk-lib@*.tgz")
    with tarfile.open(library) as package:
        written = package.extractfile("package/.jsii.gz")
        assert written is not None
        classes: dict[str, Any] = json.loads(gzip.decompress(written.read()))["types"]

    def paths(name: str, seen: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for one in classes[name].get("properties", ()):
            called = one["name"][0].upper() + one["name"][1:]
            is_role = called.endswith("Role") and "instance profile" in json.dumps(one).lower()
            if "nstanceprofile" in called.lower() or is_role:
                yield (called,)
                continue
            for inner in re.findall(r"aws-cdk-lib\.[\w.]+Property(?=\")", json.dumps(one["type"])):
                if inner not in seen:
                    yield from ((called, *path) for path in paths(inner, (*seen, inner)))

    return {
        (of_type, path)
        for name, one in classes.items()
        if (of_type := one.get("docs", {}).get("custom", {}).get("cloudformationResource"))
        and f"{name}Props" in classes
        for path in paths(f"{name}Props", ())
    }


def test_every_type_of_cdk_that_names_a_profile_is_compute(tmp_path: Path) -> None:
    """All are read in one test: the description of CDK's constructs takes seconds to load."""
    named = named_by_cdk()
    assert len(named) >= 20
    for type_, path in sorted(named):
        value: object = ARN
        for name in reversed(path):
            value = {name: value}
        found = of(tmp_path, It={"Type": type_, "Properties": value})
        profiles = [profile for one in found for profile in (one["profile"], one.get("role"))]
        assert (ARN in profiles) is (type_ not in NO_COMPUTE), type_
