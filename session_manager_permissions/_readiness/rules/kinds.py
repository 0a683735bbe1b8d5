"""How messages name the instances that a resource launches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions._readiness.templates.functions import is_mapping, listed

from .writer import written

if TYPE_CHECKING:
    from session_manager_permissions._readiness.templates.model import Resource


class Kind(NamedTuple):
    """How messages name the instances of a resource, and where it says what to launch."""

    instances: str
    subnets: str = ""
    """The property that names its subnets."""
    launch: str = ""
    """The path of the property that says what to launch."""


_GROUP: Final = "AWS::AutoScaling::AutoScalingGroup"
_SPOT_FLEET: Final = "AWS::EC2::SpotFleet"
_SPECIFICATIONS: Final = {
    _GROUP: "MixedInstancesPolicy.LaunchTemplate.Overrides",
    _SPOT_FLEET: "SpotFleetRequestConfigData.LaunchSpecifications",
}
"""The property that lists several things to launch, by the type of the resource."""

_KINDS: Final = {
    "AWS::Batch::ComputeEnvironment": Kind("its instances", launch="ComputeResources."),
    "AWS::EC2::Instance": Kind("this instance", "SubnetId"),
    _GROUP: Kind("instances of this group", "VPCZoneIdentifier", f"{_SPECIFICATIONS[_GROUP]}.0."),
    "AWS::EKS::Nodegroup": Kind("nodes of this group", "Subnets"),
    "AWS::EC2::LaunchTemplate": Kind(
        "instances of this launch template", launch="LaunchTemplateData."
    ),
    "AWS::AutoScaling::LaunchConfiguration": Kind("instances of this launch configuration"),
    "AWS::IAM::InstanceProfile": Kind("instances of this profile"),
    "AWS::EC2::EC2Fleet": Kind("instances of this fleet"),
    _SPOT_FLEET: Kind("instances of this fleet", launch=f"{_SPECIFICATIONS[_SPOT_FLEET]}.0."),
}


def kind_of(resource: Resource) -> Kind:
    """Return how messages name the instances of a resource."""
    return _KINDS.get(resource.type, Kind("its instances"))


def unreachable(resource: Resource, why: str) -> str:
    """Say why Session Manager can't reach the instances that a resource launches."""
    return f"Session Manager can't reach {kind_of(resource).instances}: {why}"


def launches(resource: Resource) -> list[tuple[str, dict[str, Any]]]:
    """Return the path of each property of a resource that says what to launch.

    If there are several, each path comes with the value there. CloudFormation accepts one object in
    place of a list.
    """
    path = _SPECIFICATIONS.get(resource.type)
    if path is None:
        return [(kind_of(resource).launch, {})]
    return [
        (f"{path}.{number}.", entry)
        for number, entry in enumerate(listed(written(resource, path)))
        if is_mapping(entry)
    ]
