"""What all parts of the reading of a network share."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from session_manager_permissions._network.facts import Fact, Unknown
from session_manager_permissions._network.model import Network
from session_manager_permissions._readiness.templates import UNKNOWN, Resource

if TYPE_CHECKING:
    from collections.abc import Hashable

    from session_manager_permissions._network.model import Range
    from session_manager_permissions._readiness.templates import Template
    from session_manager_permissions._readiness.values import Values


INTERNET_GATEWAY: Final = frozenset({"AWS::EC2::InternetGateway"})
TABLE: Final = frozenset({"AWS::EC2::RouteTable"})

RESTRICTED: Final = "Custom::VpcRestrictDefaultSG"
"""What CDK makes for `restrict_default_security_group`: it empties a VPC's default group."""


_KNOWN: Final = ("AWS::", "Custom::AWSCDK-EKS")
"""How types begin that are known to change no other resource's routes, endpoints and rules."""

_HARMLESS_MACRO: Final = "AWS::CodeDeployBlueGreen"
"""A macro that makes no part of a network, though maybe a role."""

_STACKS: Final = (
    "AWS::CloudFormation::Stack",
    "AWS::CloudFormation::StackSet",
    "AWS::ServiceCatalog::CloudFormationProvisionedProduct",
)


class Reading:
    """A network as it is being read, and what of it can't be seen."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.network = Network()
        self._open: dict[tuple[str, str], str] = {}
        for template in values.templates:
            generates = _generates(template)
            if generates:
                for kind in ("endpoints", "routes", "rules"):
                    self.leave_open(kind, template, generates)

    def leave_open(self, kind: str, template: Template, decides: str) -> None:
        """Note that more of a kind may be anywhere in the environment of a template."""
        self._open.setdefault((kind, template.stack.environment), decides)

    def complete(self, kind: str, resource: Resource) -> Fact:
        """Whether all of a kind is seen in the environment of a resource."""
        decides = self._open.get((kind, resource.template.stack.environment))
        return True if decides is None else Unknown(decides)

    def customised(self, types: frozenset[str]) -> dict[Hashable, Unknown]:
        """The resources of these types that a custom resource or an unread stack may change."""
        found = self.given_away(types)
        for type_, resources in self.values.by_type.items():
            is_known = type_.startswith(_KNOWN) or type_ == RESTRICTED
            if not is_known or type_ == "AWS::CloudFormation::CustomResource":
                found.update(_mentioned(resources, types, "the custom resource"))
        return found

    def given_away(self, types: frozenset[str]) -> dict[Hashable, Unknown]:
        """The resources of these types that a stack refers to whose template is not here."""
        found: dict[Hashable, Unknown] = {}
        for type_ in _STACKS:
            stacks = self.values.by_type[type_]
            unread = [one for one in stacks if one.logical_id not in one.template.nested]
            found.update(_mentioned(unread, types, "the template of"))
        return found

    def gathered(
        self, type_: str, by: str, types: frozenset[str], kind: str, noun: str
    ) -> defaultdict[Hashable, list[Resource]]:
        """The resources of a type by what one of their properties refers to.

        If a parent can't be known, the resource may belong to any of its kind.
        """
        gathered: defaultdict[Hashable, list[Resource]] = defaultdict(list)
        for resource in self.values.by_type[type_]:
            value = resource.properties.get(by)
            for reference in self.values.references(resource.template, value, types, noun):
                if isinstance(reference, Unknown):
                    self.leave_open(kind, resource.template, reference.decides)
                else:
                    gathered[reference].append(resource)
        return gathered

    def range(self, resource: Resource, value: object) -> Range:
        """A CIDR block, also where a value refers to a VPC or a subnet for it."""
        found = self.values.range(resource.template, value)
        if not isinstance(found, Resource):
            return found
        if found in self.network.vpcs:
            return self.network.vpcs[found].ranges[0]
        if found in self.network.subnets:
            return self.network.subnets[found].range
        return Unknown(f"the CIDR block of {found.logical_id!r}")


def _generates(template: Template) -> str:
    """What makes resources that are not written in a template; empty where nothing does."""
    modules = (one for one in template.resources.values() if one.type.endswith("::MODULE"))
    for name in (*template.made_later, *(module.logical_id for module in modules)):
        return f"what {name!r} makes"
    for macro in template.transforms:
        if not macro.startswith(_HARMLESS_MACRO):
            return f"the macro {macro.replace(UNKNOWN, '')!r}"
    return ""


def _mentioned(
    resources: list[Resource], types: frozenset[str], what: str
) -> dict[Hashable, Unknown]:
    """Map each resource of these types that others refer to, to the one that refers to it."""
    return {
        mentioned: Unknown(f"{what} {resource.logical_id!r}")
        for resource in resources
        for name in resource.mentions
        if (mentioned := resource.template.resources.get(name)) is not None
        and mentioned.type in types
    }
