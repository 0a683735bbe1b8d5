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
        return f"the macro {macro.replace(UNKNOWN, '')!r}"
    return ""
