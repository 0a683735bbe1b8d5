"""What compute an app has: its profile, its metadata options, and every place where it may be."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam

from session_manager_permissions._network.facts import Unknown
from session_manager_permissions._readiness.launch import Written
from session_manager_permissions._readiness.templates.model import Resource
from tests.conftest import synth

from .judging import att, computes, ref, resource, write
from .reports import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._readiness.compute import Compute

MACHINE: dict[str, Any] = {
    "instance_type": ec2.InstanceType("t3.micro"),
    "machine_image": ec2.MachineImage.generic_linux({"eu-west-1": "ami-12345678"}),
}
NO_VALUE = {"Ref": "AWS::NoValue"}
PARAMETER = ref("Given")


def shown(value: object) -> object:
    """A value as the tables below have it."""
    if isinstance(value, Resource):
        return value.logical_id
    if isinstance(value, Unknown):
        return f"? {value.decides}"
    if isinstance(value, Written):
        return value.value
    return value


def places(compute: Compute) -> list[tuple[object, list[object], object]]:
    return [
        (shown(place.subnet), [shown(group) for group in place.groups], shown(place.public_address))
        for place in compute.placements
    ]


def the(compute: Compute) -> dict[str, object]:
    """What is known of a compute, as far as it is not the default."""
    found: dict[str, object] = {
        "by": compute.resource.logical_id,
        "set_in": compute.set_in.logical_id,
        "profile": shown(compute.profile),
        "metadata_off": shown(compute.metadata_off),
        "places": places(compute),
        "role": shown(compute.role),
        "opaque": compute.opaque,
    }
    defaults: dict[str, object] = {"metadata_off": False, "role": None, "opaque": ""}
    return {name: value for name, value in found.items() if value != defaults.get(name, "\0")}


def of(folder: Path, **parts: dict[str, Any]) -> list[dict[str, object]]:
    body = {"Resources": {**NETWORK, **parts}}
    return [the(compute) for compute in computes(write(folder, Stack=body))]


NETWORK = {
    "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
    "Subnet": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.1.0/24"),
    "Other": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.2.0/24"),
    "Group": resource("AWS::EC2::SecurityGroup", VpcId=ref("Vpc")),
    "Profile": resource("AWS::IAM::InstanceProfile", Roles=["Role"]),
}
HERE = [("Subnet", ["Group"], None)]
GROUP = att("Group", "GroupId")


def instance(**properties: object) -> dict[str, Any]:
    given: dict[str, object] = {"SubnetId": ref("Subnet"), "SecurityGroupIds": [GROUP]}
    return resource("AWS::EC2::Instance", **given | properties)


def interface(**properties: object) -> dict[str, object]:
    return {"DeviceIndex": "0", "SubnetId": ref("Subnet"), "GroupSet": [GROUP], **properties}


def with_interfaces(*interfaces: object) -> dict[str, Any]:
    return resource("AWS::EC2::Instance", NetworkInterfaces=[*interfaces])


ENI = resource("AWS::EC2::NetworkInterface", SubnetId=ref("Other"), GroupSet=[GROUP])
DEFAULT_VPC = "? the default VPC of the account"
INTERFACES = "? the network interfaces of 'Instance'"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"Instance": instance()}, {"profile": None, "places": HERE}),
        (
            {"Instance": instance(IamInstanceProfile=ref("Profile"))},
            {"profile": ref("Profile"), "places": HERE},
        ),
        (
            {"Instance": instance(IamInstanceProfile=NO_VALUE)},
            {"profile": None, "places": HERE},
        ),
        (
            {"Instance": instance(MetadataOptions={"HttpEndpoint": "disabled"})},
            {"profile": None, "places": HERE, "metadata_off": True},
        ),
        (
            {"Instance": instance(MetadataOptions={"HttpEndpoint": "enabled"})},
            {"profile": None, "places": HERE},
        ),
        (
            {"Instance": instance(MetadataOptions={"HttpTokens": "required"})},
            {"profile": None, "places": HERE},
        ),
        (
            {"Instance": instance(MetadataOptions={"HttpEndpoint": PARAMETER})},
            {"profile": None, "places": HERE, "metadata_off": "? the parameter 'Given'"},
        ),
        (
            {"Instance": instance(MetadataOptions=PARAMETER)},
            {"profile": None, "places": HERE, "metadata_off": "? the parameter 'Given'"},
        ),
        (
            {"Instance": resource("AWS::EC2::Instance")},
            {"profile": None, "places": [(DEFAULT_VPC, [], None)]},
        ),
        (
            {"Instance": instance(SubnetId="subnet-1", SecurityGroupIds=["sg-1", PARAMETER])},
            {
                "profile": None,
                "places": [("subnet-1", ["sg-1", "? the parameter 'Given'"], None)],
            },
        ),
        (
            {"Instance": instance(SubnetId=ref("Vpc"))},
            {"profile": None, "places": [("? the subnet 'Vpc'", ["Group"], None)]},
        ),
        (
            {"Instance": with_interfaces(interface())},
            {"profile": None, "places": HERE},
        ),
        (
            {"Instance": with_interfaces(interface(AssociatePublicIpAddress=True))},
            {"profile": None, "places": [("Subnet", ["Group"], True)]},
        ),
        (
            {"Instance": with_interfaces(interface(AssociatePublicIpAddress="false"))},
            {"profile": None, "places": [("Subnet", ["Group"], False)]},
        ),
        (
            {"Instance": with_interfaces(interface(AssociatePublicIpAddress=PARAMETER))},
            {"profile": None, "places": [("Subnet", ["Group"], "? the parameter 'Given'")]},
        ),
        (
            {
                "Instance": with_interfaces(
                    interface(DeviceIndex=1, SubnetId=ref("Other")), interface(DeviceIndex=0)
                )
            },
            {
                "profile": None,
                "places": [("Subnet", ["Group"], "? what gives 'Instance' a public IPv4 address")],
            },
        ),
        (
            {"Instance": with_interfaces(interface(DeviceIndex=PARAMETER))},
            {"profile": None, "places": [(INTERFACES, [INTERFACES], INTERFACES)]},
        ),
        (
            {
                "Eni": ENI,
                "Instance": with_interfaces({"DeviceIndex": "0", "NetworkInterfaceId": ref("Eni")}),
            },
            {"profile": None, "places": [("Other", ["Group"], False)]},
        ),
        (
            {
                "Instance": with_interfaces({"DeviceIndex": "0", "NetworkInterfaceId": "eni-1"}),
            },
            {
                "profile": None,
                "places": [
                    (
                        "? the network interface 'eni-1'",
                        ["? the network interface 'eni-1'"],
                        "? the network interface 'eni-1'",
                    )
                ],
            },
        ),
    ],
)
def test_instance(
    tmp_path: Path, parts: dict[str, dict[str, Any]], expected: dict[str, object]
) -> None:
    assert of(tmp_path, **parts) == [{"by": "Instance", "set_in": "Instance", **expected}]


def template(**data: object) -> dict[str, Any]:
    return resource("AWS::EC2::LaunchTemplate", LaunchTemplateData=data)


FULL = template(
    IamInstanceProfile={"Arn": att("Profile", "Arn")},
    SecurityGroupIds=[GROUP],
    MetadataOptions={"HttpEndpoint": "disabled"},
)
LATEST = att("Template", "LatestVersionNumber")
SPEC = {"LaunchTemplateId": ref("Template"), "Version": LATEST}
BY_TEMPLATE = {
    "profile": att("Profile", "Arn"),
    "places": HERE,
    "metadata_off": True,
}


@pytest.mark.parametrize(
    ("properties", "data", "expected"),
    [
        ({}, FULL, BY_TEMPLATE),
        ({"IamInstanceProfile": "Own"}, FULL, BY_TEMPLATE | {"profile": "Own"}),
        (
            {"MetadataOptions": {"HttpEndpoint": "enabled"}},
            FULL,
            {"profile": att("Profile", "Arn"), "places": HERE},
        ),
        (
            {"SecurityGroupIds": ["sg-1"]},
            FULL,
            BY_TEMPLATE | {"places": [("Subnet", ["sg-1"], None)]},
        ),
        ({}, template(IamInstanceProfile={"Name": "Named"}, SecurityGroupIds=[GROUP]),
         {"profile": "Named", "places": HERE}),
        ({}, template(IamInstanceProfile={}, SecurityGroupIds=[GROUP]),
         {"profile": None, "places": HERE}),
        (
            {"SubnetId": NO_VALUE},
            template(
                NetworkInterfaces=[
                    {
                        "DeviceIndex": 0,
                        "SubnetId": ref("Other"),
                        "Groups": [GROUP],
                        "AssociatePublicIpAddress": False,
                    }
                ]
            ),
            {"profile": None, "places": [("Other", ["Group"], False)]},
        ),
    ],
)  # fmt: skip
def test_instance_from_a_template(
    tmp_path: Path,
    properties: dict[str, object],
    data: dict[str, Any],
    expected: dict[str, object],
) -> None:
    given = {"SubnetId": ref("Subnet"), "LaunchTemplate": SPEC, **properties}
    found = of(tmp_path, Template=data, Instance=resource("AWS::EC2::Instance", **given))
    assert found == [{"by": "Instance", "set_in": "Instance", **expected}]


NOT_KNOWN = "? the launch template"
DEFAULT_VERSION = "which version of the launch template 'Template' is its default"


@pytest.mark.parametrize(
    ("spec", "decides"),
    [
        ({"LaunchTemplateName": "Named", "Version": "$Latest"}, None),
        (SPEC, None),
        ({"LaunchTemplateId": ref("Template"), "Version": "$Default"}, DEFAULT_VERSION),
        ({"LaunchTemplateId": ref("Template"), "Version": att("Template", "DefaultVersionNumber")},
         DEFAULT_VERSION),
        ({"LaunchTemplateId": ref("Template")}, DEFAULT_VERSION),
        ({"LaunchTemplateId": ref("Template"), "Version": att("Other", "LatestVersionNumber")},
         "the version of the launch template 'Template'"),
        ({"LaunchTemplateId": ref("Template"), "Version": "1"},
         "the version of the launch template 'Template'"),
        ({"LaunchTemplateId": ref("Template"), "Version": PARAMETER},
         "the version of the launch template 'Template'"),
        ({"LaunchTemplateId": "lt-1"}, 'the launch template {"LaunchTemplateId": "lt-1"}'),
        ({"LaunchTemplateName": "Other"},
         'the launch template {"LaunchTemplateName": "Other"}'),
        ({"LaunchTemplateId": ref("Group")},
         'the launch template {"LaunchTemplateId": {"Ref": "Group"}}'),
        (PARAMETER, "the parameter 'Given'"),
    ],
)  # fmt: skip
def test_which_launch_template(tmp_path: Path, spec: object, decides: str | None) -> None:
    named = template(IamInstanceProfile={"Name": "Profile"}, SecurityGroupIds=[GROUP])
    named["Properties"]["LaunchTemplateName"] = "Named"
    group = resource(
        "AWS::AutoScaling::AutoScalingGroup",
        VPCZoneIdentifier=[ref("Subnet")],
        LaunchTemplate=spec,
    )
    (found, *rest) = of(tmp_path, Template=named, Fleet=group)
    if decides is None:
        assert found == {
            "by": "Fleet", "set_in": "Template", "profile": "Profile", "places": HERE
        }  # fmt: skip
        assert not rest
    else:
        said = f"? {decides}"
        assert found["profile"] == found["metadata_off"] == said
        assert found["places"] == [("Subnet", [said], said)]


def launch_configuration(**changes: object) -> dict[str, Any]:
    given: dict[str, object] = {"SecurityGroups": [GROUP], **changes}
    return resource("AWS::AutoScaling::LaunchConfiguration", **given)


def scaling(**changes: object) -> dict[str, Any]:
    given: dict[str, object] = {"VPCZoneIdentifier": [ref("Subnet"), ref("Other")], **changes}
    return resource("AWS::AutoScaling::AutoScalingGroup", **given)


BOTH = [("Subnet", ["Group"], None), ("Other", ["Group"], None)]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (
            {
                "Launch": launch_configuration(IamInstanceProfile=ref("Profile")),
                "Fleet": scaling(LaunchConfigurationName=ref("Launch")),
            },
            [{"set_in": "Launch", "profile": ref("Profile"), "places": BOTH}],
        ),
        (
            {
                "Launch": launch_configuration(
                    LaunchConfigurationName="Named", AssociatePublicIpAddress=True
                ),
                "Fleet": scaling(LaunchConfigurationName="Named"),
            },
            [
                {
                    "set_in": "Launch",
                    "profile": None,
                    "places": [("Subnet", ["Group"], True), ("Other", ["Group"], True)],
                }
            ],
        ),
        (
            {"Fleet": scaling(LaunchConfigurationName="Other", VPCZoneIdentifier=["subnet-1"])},
            [
                {
                    "set_in": "Fleet",
                    "profile": "? the launch configuration 'Other'",
                    "metadata_off": "? the launch configuration 'Other'",
                    "places": [
                        (
                            "subnet-1",
                            ["? the launch configuration 'Other'"],
                            "? the launch configuration 'Other'",
                        )
                    ],
                }
            ],
        ),
        (
            {
                "Template": template(SecurityGroupIds=[GROUP]),
                "Fleet": scaling(LaunchTemplate=SPEC, VPCZoneIdentifier=PARAMETER),
            },
            [
                {
                    "set_in": "Template",
                    "profile": None,
                    "places": [("? the parameter 'Given'", ["Group"], None)],
                }
            ],
        ),
        (
            {
                "Template": template(SecurityGroupIds=[GROUP]),
                "Fleet": scaling(
                    LaunchTemplate=SPEC,
                    VPCZoneIdentifier=[{"Fn::Join": [",", [ref("Subnet"), ref("Other")]]}],
                ),
            },
            [{"set_in": "Template", "profile": None, "places": BOTH}],
        ),
        (
            {
                "Template": template(SecurityGroupIds=[GROUP]),
                "Fleet": scaling(LaunchTemplate=SPEC, VPCZoneIdentifier=NO_VALUE),
            },
            [
                {
                    "set_in": "Template",
                    "profile": None,
                    "places": [(DEFAULT_VPC, ["Group"], None)],
                }
            ],
        ),
        (
            {
                "Template": template(SecurityGroupIds=[GROUP]),
                "Second": template(IamInstanceProfile={"Name": "Profile"}),
                "Fleet": scaling(
                    MixedInstancesPolicy={
                        "LaunchTemplate": {
                            "LaunchTemplateSpecification": SPEC,
                            "Overrides": [
                                {"InstanceType": "t3.micro"},
                                {"LaunchTemplateSpecification": {
                                    "LaunchTemplateId": ref("Second"), "Version": "$Latest"}},
                                PARAMETER,
                            ],
                        }
                    }
                ),
            },
            [
                {"set_in": "Template", "profile": None, "places": BOTH},
                {
                    "set_in": "Second",
                    "profile": "Profile",
                    "places": [("Subnet", [], None), ("Other", [], None)],
                },
                {
                    "set_in": "Fleet",
                    "profile": "? the parameter 'Given'",
                    "metadata_off": "? the parameter 'Given'",
                    "places": [
                        (name, ["? the parameter 'Given'"], "? the parameter 'Given'")
                        for name in ("Subnet", "Other")
                    ],
                },
            ],
        ),
        (
            {"Fleet": scaling(InstanceId="i-1", VPCZoneIdentifier=[ref("Subnet")])},
            [
                {
                    "set_in": "Fleet",
                    "profile": "? what 'Fleet' launches from",
                    "metadata_off": "? what 'Fleet' launches from",
                    "places": [
                        (
                            "Subnet",
                            ["? what 'Fleet' launches from"],
                            "? what 'Fleet' launches from",
                        )
                    ],
                }
            ],
        ),
        (
            {
                "Fleet": resource(
                    "AWS::EC2::SpotFleet",
                    SpotFleetRequestConfigData={
                        "LaunchSpecifications": [
                            {
                                "SubnetId": ref("Subnet"),
                                "SecurityGroups": [{"GroupId": GROUP}],
                                "IamInstanceProfile": {"Arn": att("Profile", "Arn")},
                            },
                            PARAMETER,
                        ]
                    },
                )
            },
            [
                {"set_in": "Fleet", "profile": att("Profile", "Arn"), "places": HERE},
                {
                    "set_in": "Fleet",
                    "profile": "? the parameter 'Given'",
                    "metadata_off": "? the parameter 'Given'",
                    "places": [
                        (DEFAULT_VPC, ["? the parameter 'Given'"], "? the parameter 'Given'")
                    ],
                },
            ],
        ),
        (
            {
                "Template": template(SecurityGroupIds=[GROUP]),
                "Fleet": resource(
                    "AWS::EC2::SpotFleet",
                    SpotFleetRequestConfigData={
                        "LaunchTemplateConfigs": [
                            {
                                "LaunchTemplateSpecification": SPEC,
                                "Overrides": [
                                    {"SubnetId": {"Fn::Sub": "${Subnet},${Other}"}},
                                    {"InstanceType": "t3.micro"},
                                ],
                            }
                        ]
                    },
                ),
            },
            [
                {
                    "set_in": "Template",
                    "profile": None,
                    "places": [*BOTH, (DEFAULT_VPC, ["Group"], None)],
                }
            ],
        ),
        (
            {
                "Template": template(NetworkInterfaces=[interface(SubnetId=ref("Other"))]),
                "Fleet": resource(
                    "AWS::EC2::EC2Fleet",
                    LaunchTemplateConfigs=[
                        {
                            "LaunchTemplateSpecification": SPEC,
                            "Overrides": [
                                {"SubnetId": ref("Subnet")},
                                {"InstanceType": "t3.micro"},
                            ],
                        }
                    ],
                ),
            },
            [{"set_in": "Template", "profile": None, "places": BOTH}],
        ),
        (
            {
                "Template": template(SecurityGroupIds=[GROUP]),
                "Second": template(
                    SecurityGroupIds=[GROUP], IamInstanceProfile={"Name": "Profile"}
                ),
                "Fleet": scaling(
                    MixedInstancesPolicy={
                        "LaunchTemplate": {
                            "LaunchTemplateSpecification": SPEC,
                            "Overrides": [
                                {
                                    "LaunchTemplateSpecification": {
                                        "LaunchTemplateId": ref("Second"),
                                        "Version": "$Latest",
                                    }
                                }
                            ],
                        }
                    }
                ),
            },
            [{"set_in": "Second", "profile": "Profile", "places": BOTH}],
        ),
        (
            {
                "Template": template(
                    NetworkInterfaces=[
                        {"DeviceIndex": 0, "SubnetId": ref("Other"), "Groups": [GROUP]}
                    ]
                ),
                "Fleet": resource(
                    "AWS::EC2::EC2Fleet",
                    LaunchTemplateConfigs=[{"LaunchTemplateSpecification": SPEC}],
                ),
            },
            [{"set_in": "Template", "profile": None, "places": [BOTH[1]]}],
        ),
        (
            {"Fleet": resource("AWS::EC2::EC2Fleet", LaunchTemplateConfigs=[PARAMETER])},
            [
                {
                    "set_in": "Fleet",
                    "profile": "? the parameter 'Given'",
                    "metadata_off": "? the parameter 'Given'",
                    "places": [
                        (DEFAULT_VPC, ["? the parameter 'Given'"], "? the parameter 'Given'")
                    ],
                }
            ],
        ),
    ],
)  # fmt: skip
def test_fleets(
    tmp_path: Path, parts: dict[str, dict[str, Any]], expected: list[dict[str, object]]
) -> None:
    assert of(tmp_path, **parts) == [{"by": "Fleet", **one} for one in expected]


def nodes(**changes: object) -> dict[str, Any]:
    given: dict[str, object] = {
        "ClusterName": ref("Cluster"),
        "NodeRole": att("Role", "Arn"),
        "Subnets": [ref("Subnet")],
        **changes,
    }
    return resource("AWS::EKS::Nodegroup", **given)


@pytest.mark.parametrize(
    ("parts", "place"),
    [
        ({"Nodes": nodes()}, ("Subnet", ["Cluster"], None)),
        ({"Nodes": nodes(ClusterName="Named")}, ("Subnet", ["Cluster"], None)),
        (
            {"Nodes": nodes(ClusterName="Other")},
            ("Subnet", ["? the security group of the cluster 'Other'"], None),
        ),
        (
            {"Nodes": nodes(ClusterName=PARAMETER)},
            ("Subnet", ["? the security group of the parameter 'Given'"], None),
        ),
        (
            {
                "Nodes": nodes(LaunchTemplate={"Id": ref("Template"), "Version": LATEST}),
                "Template": template(SecurityGroupIds=[GROUP]),
            },
            ("Subnet", ["Group"], None),
        ),
        (
            {"Nodes": nodes(LaunchTemplate={"Name": "t"}), "Template": template()},
            (
                "Subnet",
                ['? the launch template {"Name": "t"}'],
                '? the launch template {"Name": "t"}',
            ),
        ),
        (
            {
                "Nodes": nodes(LaunchTemplate={"Id": ref("Template"), "Version": LATEST}),
                "Template": template(),
            },
            ("Subnet", ["Cluster"], None),
        ),
        (
            {"Nodes": nodes(LaunchTemplate={"Id": ref("Template")}), "Template": template()},
            ("Subnet", [f"? {DEFAULT_VERSION}"], f"? {DEFAULT_VERSION}"),
        ),
    ],
)
def test_nodes_of_eks(
    tmp_path: Path, parts: dict[str, dict[str, Any]], place: tuple[object, ...]
) -> None:
    cluster = resource("AWS::EKS::Cluster", Name="Named")
    (found, *_) = of(tmp_path, Cluster=cluster, **parts)
    assert found["by"] == "Nodes"
    assert found["role"] == att("Role", "Arn")
    assert found["profile"] is None
    assert found["places"] == [place]


def opaque(kind: str, **properties: object) -> dict[str, dict[str, Any]]:
    return {"It": resource(kind, **properties)}


@pytest.mark.parametrize(
    ("parts", "service", "profile"),
    [
        (opaque("AWS::Batch::ComputeEnvironment", ComputeResources={
            "Type": "SPOT", "InstanceRole": att("Profile", "Arn")}),
         "AWS Batch", att("Profile", "Arn")),
        (opaque("AWS::Batch::ComputeEnvironment", ComputeResources={"Type": "EC2"}),
         "AWS Batch", "? AWS Batch"),
        (opaque("AWS::Batch::ComputeEnvironment", ComputeResources={"Type": "FARGATE_SPOT"}),
         "", None),
        (opaque("AWS::Batch::ComputeEnvironment", Type="UNMANAGED"), "", None),
        (opaque("AWS::ECS::CapacityProvider", ManagedInstancesProvider={
            "InstanceLaunchTemplate": {"Ec2InstanceProfileArn": "arn"}}),
         "AWS::ECS::CapacityProvider", "arn"),
        (opaque("AWS::ECS::CapacityProvider", AutoScalingGroupProvider={}), "", None),
        (opaque("AWS::EMR::Cluster", JobFlowRole="Role"), "Amazon EMR", "Role"),
        (opaque("AWS::ImageBuilder::InfrastructureConfiguration", InstanceProfileName="P"),
         "EC2 Image Builder", "P"),
        (opaque("AWS::ElasticBeanstalk::Environment", OptionSettings=[
            {"OptionName": "InstanceType", "Value": "t3.micro"},
            {"OptionName": "IamInstanceProfile", "Value": ref("Profile")}]),
         "AWS Elastic Beanstalk", ref("Profile")),
        (opaque("AWS::ElasticBeanstalk::Environment", OptionSettings=PARAMETER),
         "AWS Elastic Beanstalk", "? AWS Elastic Beanstalk"),
        (opaque("AWS::ElasticBeanstalk::ConfigurationTemplate", OptionSettings=[
            {"OptionName": "IamInstanceProfile", "Value": ref("Profile")}]),
         "AWS::ElasticBeanstalk::ConfigurationTemplate", ref("Profile")),
        (opaque("AWS::Batch::ComputeEnvironment", ComputeResources={
            "Type": "EC2", "ManagedInstancesProvider": {
                "InstanceLaunchTemplate": {"Ec2InstanceProfileArn": "arn"}}}),
         "AWS::Batch::ComputeEnvironment", "arn"),
        (opaque("AWS::PCS::ComputeNodeGroup", IamInstanceProfileArn=att("Profile", "Arn")),
         "AWS::PCS::ComputeNodeGroup", att("Profile", "Arn")),
        (opaque("AWS::New::Fleet", Runs={"As": [{"Who": att("Profile", "Arn")}]}),
         "AWS::New::Fleet", att("Profile", "Arn")),
        (opaque("AWS::New::Fleet", As="arn:aws:iam::111122223333:instance-profile/web"),
         "AWS::New::Fleet", "arn:aws:iam::111122223333:instance-profile/web"),
        (opaque("AWS::New::Fleet", As={"Fn::Sub": "arn:aws:iam::1:instance-profile/${Profile}"}),
         "AWS::New::Fleet", {"Fn::Sub": "arn:aws:iam::1:instance-profile/${Profile}"}),
        (opaque("AWS::New::Fleet", For=PARAMETER, As=ref("Profile")),
         "AWS::New::Fleet", ref("Profile")),
        # What only speaks of a profile launches nothing.
        (opaque("AWS::New::Fleet", Says={"Fn::Sub": "instances under ${Profile}"}), "", None),
        (opaque("AWS::New::Fleet", Tags=[{"Key": "InstanceProfile", "Value": ref("Profile")}]),
         "", None),
        (opaque("AWS::New::Fleet", Description=ref("Profile")), "", None),
        (opaque("AWS::New::Fleet", InstanceProfile=NO_VALUE), "", None),
        (opaque("AWS::SSM::Parameter", Value=ref("Profile")), "", None),
        (opaque("AWS::IAM::Policy", Resource=att("Profile", "Arn")), "", None),
        (opaque("AWS::DMS::MigrationProject", InstanceProfileIdentifier="dms"), "", None),
        (opaque("AWS::ServiceCatalog::CloudFormationProduct", ProvisioningArtifactParameters=[
            {"Info": {"LoadTemplateFromURL": "https://example.com/product.yaml"}}]),
         "its template, which can't be read,", "? its template, which can't be read,"),
        *((opaque(type_, **{by: {"As": ref("Profile")}}),
           "the template that it deploys, which is not read,", ref("Profile"))
          for type_, by in {
              "AWS::CloudFormation::Stack": "Parameters",
              "AWS::CloudFormation::StackSet": "Parameters",
              "AWS::Serverless::Application": "Parameters",
              "AWS::ServiceCatalog::CloudFormationProvisionedProduct": "ProvisioningParameters",
          }.items()),
        (opaque("AWS::CloudFormation::Stack", Parameters={"As": "none"}), "", None),
        (opaque("AWS::CloudFormation::StackSet", Parameters=[{"ParameterValue": ref("Profile")}],
                TemplateBody="Topic: {Type: AWS::SNS::Topic}"), "", None),
    ],
)  # fmt: skip
def test_compute_that_a_service_launches(
    tmp_path: Path, parts: dict[str, dict[str, Any]], service: str, profile: object
) -> None:
    found = of(tmp_path, **parts)
    expected = {
        "by": "It", "set_in": "It", "profile": profile, "metadata_off": f"? {service}",
        "places": [], "opaque": service,
    }  # fmt: skip
    assert found == ([expected] if service else [])


PLACE = {"Subnets": [ref("Subnet")], "SecurityGroupIds": [GROUP]}
EMR = {
    "Ec2SubnetId": ref("Subnet"),
    "EmrManagedMasterSecurityGroup": GROUP,
    "EmrManagedSlaveSecurityGroup": "sg-1",
}
EMR_ADDRESS = "? whether Amazon EMR gives its nodes public addresses"


def options(**given: object) -> dict[str, dict[str, Any]]:
    namespaces = {"Subnets": "aws:ec2:vpc", "AssociatePublicIpAddress": "aws:ec2:vpc"}
    launch = "aws:autoscaling:launchconfiguration"
    settings = [
        {"Namespace": namespaces.get(name, launch), "OptionName": name, "Value": value}
        for name, value in given.items()
    ]
    return opaque("AWS::ElasticBeanstalk::Environment", OptionSettings=settings)


BEANSTALK = "? the security group that AWS Elastic Beanstalk makes"


@pytest.mark.parametrize(
    ("parts", "places_"),
    [
        (opaque("AWS::Batch::ComputeEnvironment", ComputeResources={
            "Type": "EC2", "InstanceRole": "P", **PLACE}), [HERE]),
        (opaque("AWS::Batch::ComputeEnvironment", ComputeResources={
            "Type": "EC2", "InstanceRole": "P", "Subnets": [ref("Subnet")],
            "LaunchTemplate": SPEC}), [HERE]),
        (opaque("AWS::Batch::ComputeEnvironment", ComputeResources={
            "Type": "EC2", "InstanceRole": "P", **PLACE,
            "LaunchTemplate": SPEC | {"Overrides": [{}]}}),
         [[("Subnet", ["Group"], "? its launch templates")]]),
        (opaque("AWS::ImageBuilder::InfrastructureConfiguration", InstanceProfileName="P",
                SubnetId=ref("Subnet"), SecurityGroupIds=[GROUP]), [HERE]),
        (opaque("AWS::EMR::Cluster", JobFlowRole="P", Instances=EMR),
         [[("Subnet", ["Group"], EMR_ADDRESS)], [("Subnet", ["sg-1"], EMR_ADDRESS)]]),
        (options(IamInstanceProfile="P", SecurityGroups=GROUP, AssociatePublicIpAddress="true",
                 InstanceType="t3.micro",
                 Subnets={"Fn::Join": ["", [ref("Subnet"), ",", ref("Other"), ",", PARAMETER]]}),
         [[(name, ["Group", BEANSTALK], True)
           for name in ("Subnet", "Other", "? the subnet '…,…,…'")]]),
    ],
)  # fmt: skip
def test_compute_of_a_service_that_is_judged(
    tmp_path: Path, parts: dict[str, dict[str, Any]], places_: object
) -> None:
    found = of(tmp_path, Template=template(SecurityGroupIds=[GROUP]), **parts)
    assert [one["places"] for one in found if one["by"] == "It"] == places_
    assert {one["profile"] for one in found if one["by"] == "It"} == {"P"}


@pytest.mark.parametrize(
    ("values", "launches"),
    [
        (["FARGATE", "FARGATE_SPOT"], False),
        (["FARGATE", "EC2"], True),
        (None, True),
    ],
)
def test_batch_by_the_types_that_it_may_have(
    tmp_path: Path,
    values: list[str] | None,
    launches: bool,  # noqa: FBT001
) -> None:
    parameter = {"Type": "String"} | ({} if values is None else {"AllowedValues": values})
    environment = resource("AWS::Batch::ComputeEnvironment", ComputeResources={"Type": PARAMETER})
    body = {"Parameters": {"Given": parameter}, "Resources": {"It": environment}}
    assert bool(Report(write(tmp_path, Stack=body), strict=False).rules) is launches


def test_product_is_read(tmp_path: Path) -> None:
    hash_ = "0" * 64
    url = {"Fn::Sub": f"https://s3.${{AWS::Region}}.amazonaws.com/assets/{hash_}.json"}
    product = opaque(
        "AWS::ServiceCatalog::CloudFormationProduct",
        ProvisioningArtifactParameters=[{"Info": {"LoadTemplateFromURL": url}}],
    )
    paths = write(tmp_path, Stack={"Resources": product})
    assets = {"files": {hash_: {"source": {"path": "product.json"}}}}
    (tmp_path / "Stack.assets.json").write_text(json.dumps(assets))
    (tmp_path / "product.json").write_text(json.dumps({"Resources": {"Sold": instance()}}))
    assert [one.resource.logical_id for one in computes(paths)] == ["Sold"]


def batch(spec: object) -> dict[str, Any]:
    resources = {"Type": "EC2", "InstanceRole": "Role", "LaunchTemplate": spec}
    return resource("AWS::Batch::ComputeEnvironment", ComputeResources=resources)


def test_template_that_only_others_use_needs_no_profile(tmp_path: Path) -> None:
    spec = {"LaunchTemplateId": ref("Template")}
    own = instance(IamInstanceProfile="Own", LaunchTemplate=SPEC)
    cluster = resource("AWS::EKS::Cluster")
    for user in (batch(spec), own, nodes(LaunchTemplate={"Id": ref("Template")})):
        found = of(tmp_path, Template=template(), User=user, Cluster=cluster)
        assert [one["by"] for one in found] == ["User"]


def test_template_without_data(tmp_path: Path) -> None:
    bare = resource("AWS::EC2::LaunchTemplate")
    (found,) = of(tmp_path, Template=bare, Fleet=scaling(LaunchTemplate=SPEC))
    assert found["profile"] is None


@pytest.mark.parametrize("named_by", ["LaunchTemplateId", "LaunchTemplateName"])
def test_name_that_only_the_deployment_knows_is_of_none(tmp_path: Path, named_by: str) -> None:
    """The only template of an app need not be the one that a parameter names."""
    fleet = scaling(LaunchTemplate={named_by: PARAMETER, "Version": "$Latest"})
    named = template()
    named["Properties"]["LaunchTemplateName"] = ref("Name")
    (found, *_) = of(tmp_path, Template=named, Fleet=fleet)
    assert str(found["profile"]).startswith("? the launch template {")


def test_cluster_that_only_the_deployment_knows_is_of_none(tmp_path: Path) -> None:
    cluster = resource("AWS::EKS::Cluster")
    (found, *_) = of(tmp_path, Cluster=cluster, Nodes=nodes(ClusterName=PARAMETER))
    assert found["places"] == [("Subnet", ["? the security group of the parameter 'Given'"], None)]


def test_name_that_two_resources_have_is_of_none(tmp_path: Path) -> None:
    one, two = template(), template()
    for part in (one, two):
        part["Properties"]["LaunchTemplateName"] = "Named"
    spec = {"LaunchTemplateName": "Named"}
    (found, *_) = of(tmp_path, One=one, Two=two, Fleet=scaling(LaunchTemplate=spec))
    assert found["profile"] == '? the launch template {"LaunchTemplateName": "Named"}'


@pytest.mark.parametrize(
    ("data", "profile"),
    [
        (template(), "? who launches from the template 'Template'"),
        (template(IamInstanceProfile={"Name": "P"}), "P"),
    ],
)
def test_template_that_nothing_uses(tmp_path: Path, data: dict[str, Any], profile: object) -> None:
    (found,) = of(tmp_path, Template=data, Batch=batch({"LaunchTemplateId": "lt-1"}))[1:]
    assert found == {"by": "Template", "set_in": "Template", "profile": profile, "places": []}


ADDRESS = "AWS::EC2::EIP"
GIVEN = "AWS::EC2::EIPAssociation"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, False),
        ({"Eip": resource(ADDRESS, InstanceId=ref("Instance"))}, True),
        ({"Eip": resource(ADDRESS), "Gives": resource(
            GIVEN, AllocationId=att("Eip", "AllocationId"), InstanceId=ref("Instance"))}, True),
        ({"Eip": resource(ADDRESS), "Gives": resource(
            GIVEN, AllocationId=att("Eip", "AllocationId"), InstanceId=ref("Second")),
          "Second": instance()}, False),
        ({"Eip": resource(ADDRESS), "Gives": resource(
            GIVEN, AllocationId=att("Eip", "AllocationId"), NetworkInterfaceId=PARAMETER)},
         "? what 'Gives' gives its address to"),
        ({"Eip": resource(ADDRESS)}, "? what gets the Elastic IP address 'Eip'"),
        ({"Eip": resource(ADDRESS), "Nat": resource(
            "AWS::EC2::NatGateway", AllocationId=att("Eip", "AllocationId"))}, False),
        ({"Eip": resource(ADDRESS), "Balancer": resource(
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
            SubnetMappings=[{"AllocationId": att("Eip", "AllocationId")}])}, False),
        ({"Eip": resource(ADDRESS), "Server": resource("AWS::Transfer::Server", EndpointDetails={
            "AddressAllocationIds": [att("Eip", "AllocationId")]})}, False),
        ({"Eip": resource(ADDRESS), "Cluster": resource(
            "AWS::Redshift::Cluster", ElasticIp=ref("Eip"))}, False),
        ({"Eip": resource(ADDRESS), "Record": resource(
            "AWS::Route53::RecordSet", ResourceRecords=[ref("Eip")])},
         "? what gets the Elastic IP address 'Eip'"),
        ({"Eip": resource(ADDRESS), "Stack": resource("AWS::CloudFormation::Stack", Parameters={
            "AllocationId": att("Eip", "AllocationId")})},
         "? what gets the Elastic IP address 'Eip'"),
        ({"Eip": resource(ADDRESS), "Custom": resource(
            "Custom::Address", AllocationId=att("Eip", "AllocationId"))},
         "? what gets the Elastic IP address 'Eip'"),
    ],
)  # fmt: skip
def test_elastic_address(
    tmp_path: Path, parts: dict[str, dict[str, Any]], expected: object
) -> None:
    body = {"Resources": {**NETWORK, "Instance": instance(), **parts}}
    found = computes(write(tmp_path, Stack=body))[0]
    assert shown(found.placements[0].elastic_address) == expected


def test_elastic_address_of_an_interface(tmp_path: Path) -> None:
    given = resource(GIVEN, AllocationId="eipalloc-1", NetworkInterfaceId=ref("Eni"))
    machine = with_interfaces({"DeviceIndex": "0", "NetworkInterfaceId": ref("Eni")})
    body = {"Resources": {**NETWORK, "Eni": ENI, "Instance": machine, "Gives": given}}
    (found,) = computes(write(tmp_path, Stack=body))
    assert found.placements[0].elastic_address is True


def test_other_interfaces_are_noted(tmp_path: Path) -> None:
    machine = with_interfaces(interface(), interface(DeviceIndex="1"))
    (found,) = computes(write(tmp_path, Stack={"Resources": {**NETWORK, "Instance": machine}}))
    assert found.placements[0].other_interfaces


def test_compute_of_cdk(stack_here: cdk.Stack) -> None:
    vpc = ec2.Vpc(stack_here, "Vpc", max_azs=2)
    role = iam.Role(stack_here, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    ec2.Instance(stack_here, "Instance", vpc=vpc, role=role, **MACHINE)
    ec2.BastionHostLinux(stack_here, "Bastion", vpc=vpc)
    group = ec2.SecurityGroup(stack_here, "Own", vpc=vpc)
    template_ = ec2.LaunchTemplate(
        stack_here, "Template", role=role, security_group=group, http_endpoint=False, **MACHINE
    )
    autoscaling.AutoScalingGroup(stack_here, "Scaling", vpc=vpc, launch_template=template_)
    ecs.Cluster(stack_here, "Ecs", vpc=vpc).add_capacity(
        "Capacity", instance_type=ec2.InstanceType("t3.micro")
    )
    cluster = eks.Cluster(
        stack_here,
        "Eks",
        vpc=vpc,
        version=eks.KubernetesVersion.V1_32,
        default_capacity_type=eks.DefaultCapacityType.NODEGROUP,
        default_capacity=0,
    )
    cluster.add_nodegroup_capacity("Nodes")
    found = computes([str(synth(stack_here) / stack_here.template_file)])
    kinds = [
        (
            compute.resource.type.rpartition("::")[2],
            compute.set_in.type.rpartition("::")[2],
            compute.profile is not None,
            compute.metadata_off,
            len(compute.placements),
        )
        for compute in found
    ]
    assert kinds == [
        ("Instance", "Instance", True, False, 1),
        ("Instance", "Instance", True, False, 1),
        ("AutoScalingGroup", "LaunchTemplate", True, True, 2),
        ("AutoScalingGroup", "LaunchConfiguration", True, False, 2),
        ("Nodegroup", "Nodegroup", False, False, 2),
    ]
    assert found[-1].role is not None


# Whatever CDK has that names a profile

NO_COMPUTE = {
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
        value: object = att("Profile", "Arn")
        for name in reversed(path):
            value = {name: value}
        found = of(tmp_path, It={"Type": type_, "Properties": value})
        profiles = [profile for one in found for profile in (one["profile"], one.get("role"))]
        assert (att("Profile", "Arn") in profiles) is (type_ not in NO_COMPUTE), type_
