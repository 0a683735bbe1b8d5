"""How messages speak of what launches instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from session_manager_permissions._readiness.templates.model import Resource


class Kind(NamedTuple):
    """How messages speak of a resource that launches instances."""

    instances: str
    subnets: str = ""
    """The property that names its subnets."""
    launch: str = ""
    """Where its properties say what to launch."""


SPOT_FLEET: Final = "AWS::EC2::SpotFleet"

_KINDS: Final = {
    "AWS::EC2::Instance": Kind("this instance", "SubnetId"),
    "AWS::AutoScaling::AutoScalingGroup": Kind("instances of this group", "VPCZoneIdentifier"),
    "AWS::EKS::Nodegroup": Kind("nodes of this group", "Subnets"),
    "AWS::EC2::LaunchTemplate": Kind(
        "instances of this launch template",
        launch="LaunchTemplateData.",
    ),
    "AWS::AutoScaling::LaunchConfiguration": Kind("instances of this launch configuration"),
    "AWS::IAM::InstanceProfile": Kind("instances of this profile"),
    "AWS::EC2::EC2Fleet": Kind("instances of this fleet"),
    SPOT_FLEET: Kind(
        "instances of this fleet",
        launch="SpotFleetRequestConfigData.LaunchSpecifications.0.",
    ),
}
_OTHER: Final = Kind("its instances")


def kind_of(resource: Resource) -> Kind:
    """Return how messages speak of a resource that launches instances."""
    return _KINDS.get(resource.type, _OTHER)
