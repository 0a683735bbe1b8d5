"""How messages speak of what launches instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions._readiness.parts import mappings

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


_SPOT_FLEET: Final = "AWS::EC2::SpotFleet"
_SPECIFICATIONS: Final = "SpotFleetRequestConfigData.LaunchSpecifications"
"""Where a Spot fleet says several times what to launch."""

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
    _SPOT_FLEET: Kind("instances of this fleet", launch=f"{_SPECIFICATIONS}.0."),
}
_OTHER: Final = Kind("its instances")


def kind_of(resource: Resource) -> Kind:
    """Return how messages speak of a resource that launches instances."""
    return _KINDS.get(resource.type, _OTHER)


def launches(resource: Resource) -> list[tuple[str, dict[str, Any]]]:
    """Return each place where a resource says what to launch, as the begin of a path.

    With it comes what a Spot fleet says there. One object may stand in place of its list.
    """
    if resource.type != _SPOT_FLEET:
        return [(kind_of(resource).launch, {})]
    entries = mappings(written(resource, _SPECIFICATIONS))
    return [
        (f"{_SPECIFICATIONS}.{number}.", entry)
        for number, (entry, _) in enumerate(entries)
        if entry is not None
    ]
