"""The constructs of an app that make the resources of its templates, as code finds them."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from session_manager_permissions._readiness.templates.functions import is_function

from .writer import written

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from session_manager_permissions._readiness.templates.model import Resource, Template


class Made(NamedTuple):
    """The construct that makes a resource."""

    stack: tuple[str, ...]
    """The ids from the app to its stack."""
    ids: tuple[str, ...]
    """The ids from the stack to the L1 construct."""
    l2: str = ""
    """The class of the L2 construct whose default child the L1 construct is; empty without one."""
    is_included: bool = False
    """Whether `CfnInclude` makes it."""
    is_typed: bool = True
    """Whether its L1 construct has the class of its type, and is not just a `CfnResource`."""
    is_in_app: bool = True
    """Whether a construct of the app makes the resource. The resources of a template that a nested
    stack names by its URL have no constructs."""


class Source(Enum):
    """Where a property of a resource comes from."""

    CONSTRUCT = auto()
    """The construct writes it at synthesis, with everything that was added before."""
    APP = auto()
    """The app has passed it to the L1 construct."""
    OVERRIDE = auto()
    """The app overrides the construct's value or a part of it."""


class FleetMade(NamedTuple):
    """A `SessionManagerFleet`, as the app makes it."""

    scope: tuple[str, ...]
    """The ids from the app to its scope."""
    id: str
    arguments: Mapping[str, object] | None
    """Its arguments, each as `Argument`; None if code can't write one of them."""


class ConstructPath(NamedTuple):
    """The ids from the app to a construct that is an argument."""

    ids: tuple[str, ...]


Argument: TypeAlias = "ConstructPath | bool | str | tuple[ConstructPath, ...]"


class Constructs:
    """Tells which construct makes a resource, as far as the templates show it.

    If the app is running, `ConstructTree` reads its construct tree instead.
    """

    def __init__(self) -> None:
        self._ids: dict[Template, set[str]] = {}

    def made(self, resource: Resource) -> Made:
        """Return the construct that makes a resource, as if `CfnInclude` made it."""
        return Made((), ("Template", resource.logical_id), is_included=True)

    def source(self, resource: Resource, path: str) -> Source:
        """Return where a property of a resource, or what contains it, comes from."""
        is_one = is_function(written(resource, path.partition(".")[0]))
        return Source.APP if is_one else Source.CONSTRUCT

    def has(self, template: Template, construct_id: str) -> bool:
        """Tell whether the stack of a template may have a child of this id."""
        if template not in self._ids:
            paths = [one.path for one in template.resources.values()]
            # It is not known which ids are those of the stack: it may be in a stage, or nested.
            self._ids[template] = {*"/".join(paths).split("/")}
        return construct_id in self._ids[template]

    def depends(self, template: Template, other: Template) -> bool:  # noqa: ARG002
        """Tell whether the stack of a template depends on that of another one."""
        return False

    def is_later(self, ids: tuple[str, ...], other: tuple[str, ...]) -> bool:  # noqa: ARG002
        """Tell whether the app makes a construct after another one is made."""
        return False

    def share_class(self, several: Collection[tuple[str, ...]]) -> bool:  # noqa: ARG002
        """Tell whether a class of the app makes one of these constructs, and makes others too."""
        return False

    def permissions(self, role: Resource) -> str:  # noqa: ARG002
        """Return the path, in the stack, of the `SessionManagerPermissions` of one role, or ""."""
        return ""

    def fleet(self, resource: Resource) -> FleetMade | None:  # noqa: ARG002
        """Return the fleet that covers a profile or a node group. Templates do not show fleets."""
        return None

    def is_of_fleet(self, policy: Resource) -> bool:  # noqa: ARG002
        """Tell whether a fleet makes a policy. A fleet does that at the end of the synthesis."""
        return False


DEFAULT_CHILDREN: Final = {"Resource", "Default", "ASG"}
L2: Final = {
    "AWS::AutoScaling::AutoScalingGroup": "AutoScalingGroup",
    "AWS::EC2::Instance": "Instance",
    "AWS::EC2::LaunchTemplate": "LaunchTemplate",
    "AWS::EC2::SecurityGroup": "SecurityGroup",
    "AWS::EC2::VPC": "Vpc",
    "AWS::EC2::VPCEndpoint": "InterfaceVpcEndpoint",
    "AWS::IAM::InstanceProfile": "InstanceProfile",
    "AWS::IAM::ManagedPolicy": "ManagedPolicy",
    "AWS::IAM::Role": "Role",
    "AWS::KMS::Key": "Key",
    "AWS::Logs::LogGroup": "LogGroup",
    "AWS::S3::Bucket": "Bucket",
}
"""The class of the L2 construct of each type, if fixes use one."""
