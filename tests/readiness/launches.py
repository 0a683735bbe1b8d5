"""The resources that launch instances, as templates have them."""

from typing import Any, Final

from .parts import att, ref, resource

Body = dict[str, Any]
ONE: Final = {"MaxSize": "1", "MinSize": "1"}


def template(**data: object) -> Body:
    return resource("AWS::EC2::LaunchTemplate", LaunchTemplateData=data)


def scaling(**launch: object) -> Body:
    return resource("AWS::AutoScaling::AutoScalingGroup", **{**ONE, **launch})


def ec2_fleet(*configs: object, **more: object) -> Body:
    return resource("AWS::EC2::EC2Fleet", LaunchTemplateConfigs=[*configs], **more)


def spot(**data: object) -> Body:
    return resource("AWS::EC2::SpotFleet", SpotFleetRequestConfigData=data)


def nodes(**changes: object) -> Body:
    given = {"ClusterName": ref("Cluster"), "NodeRole": att("Role", "Arn")}
    return resource("AWS::EKS::Nodegroup", **{**given, "Subnets": [ref("Subnet")], **changes})


def batch(**given: object) -> Body:
    resources = {"Type": "EC2", "InstanceRole": "P", **given}
    return resource("AWS::Batch::ComputeEnvironment", ComputeResources=resources)


def by_id(version: object, of: str = "Template") -> Body:
    """A launch template of the app, in this version."""
    return {"LaunchTemplateId": ref(of), "Version": version}
