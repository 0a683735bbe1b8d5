"""How messages speak of what launches instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions._readiness.templates.functions import is_mapping, listed

from .writer import written

if TYPE_CHECKING:
    from session_manager_permissions._readiness.templates.model import Resource


class Kind(NamedTuple):
    """How messages speak of a resource that launches instances."""

    instances: str
    subnets: str = ""
    """The property that names its subnets."""
    launch: str = ""
    """Where its properties say what to launch."""


_GROUP: Final = "AWS::AutoScaling::AutoScalingGroup"
_SPOT_FLEET: Final = "AWS::EC2::SpotFleet"
_SPECIFICATIONS: Final = {
    _GROUP: "MixedInstancesPolicy.LaunchTemplate.Overrides",
    _SPOT_FLEET: "SpotFleetRequestConfigData.LaunchSpecifications",
}
"""Where a resource says several times what to launch."""

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
    """Return how messages speak of a resource that launches instances."""
    return _KINDS.get(resource.type, Kind("its instances"))


def unreachable(resource: Resource, why: str) -> str:
    """Say why Session Manager can't reach what a resource launches."""
    return f"Session Manager can't reach {kind_of(resource).instances}: {why}"


def launches(resource: Resource) -> list[tuple[str, dict[str, Any]]]:
    """Return each place where a resource says what to launch, as the first part of a path.

    With it comes what the resource says there if there are several places. One object may stand in
    place of their list.
    """
    path = _SPECIFICATIONS.get(resource.type)
    if path is None:
        return [(kind_of(resource).launch, {})]
    return [
        (f"{path}.{number}.", entry)
        for number, entry in enumerate(listed(written(resource, path)))
        if is_mapping(entry)
    ]
