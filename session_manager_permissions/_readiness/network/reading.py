"""What the readers of all parts of a network share."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from session_manager_permissions._network.facts import Fact, Unknown
from session_manager_permissions._network.model import Network
from session_manager_permissions._readiness.templates import UNKNOWN, Resource, Stack, shown
from session_manager_permissions._readiness.values import PartKind, may_be_one_region

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from session_manager_permissions._network.model import Range
    from session_manager_permissions._readiness.templates import Template
    from session_manager_permissions._readiness.values import Values


INTERNET_GATEWAY: Final = PartKind("internet gateway", ("AWS::EC2::InternetGateway",))
TABLE: Final = PartKind("route table", ("AWS::EC2::RouteTable",))

INBOUND, OUTBOUND = "inbound rules", "outbound rules"

_MADE_UNSEEN: Final = ("endpoints", "entries", "routes", INBOUND, OUTBOUND)
"""The kinds of parts that a loop, a macro or a custom resource may make."""

_ID: Final = re.compile(r"\b(?:rtb|sg|subnet|vpc|vpce)-[0-9a-z]")


def given_ids(values: Values) -> list[Resource]:
    """The custom resources and unread stacks that are given literal ids."""
    unseen = (*values.custom(), *values.unread_stacks())
    return [one for one in unseen if _ID.search(shown(one.properties))]


class Reading:
    """A network while it is read, and the parts of it that the templates do not show."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.network = Network()
        self._open: defaultdict[str, dict[tuple[Stack, Hashable], str]] = defaultdict(dict)
        for template in values.assembly.templates:
            generates = _generates(template)
            if generates:
                self._leave_all_open(template, generates)
        for resource in given_ids(values) if values.doubts_ids else ():
            by = f"what {resource.logical_id!r} does by the ids that it is given"
            self._leave_all_open(resource.template, by)

    def _leave_all_open(self, template: Template, decides: str) -> None:
        for kind in _MADE_UNSEEN:
            self.leave_open(kind, template, decides)

    def leave_open(
        self, kind: str, template: Template, decides: str, detail: Hashable = None
    ) -> None:
        """Note that more of a kind may be anywhere in the environment of a template."""
        anywhere = template.stack._replace(name="")
        self._open[kind].setdefault((anywhere, detail), decides)

    def complete(
        self, kind: str, resource: Resource, matters: Callable[[Hashable], bool] | None = None
    ) -> Fact:
        """Whether all of a kind is seen in the environment of a resource.

        Args:
            kind: the kind.
            resource: the resource.
            matters: whether more of the kind matters, by its detail.
        """
        for (anywhere, detail), decides in self._open[kind].items():
            if may_be_one_region(anywhere, resource.template.stack) and (
                matters is None or matters(detail)
            ):
                return Unknown(decides)
        return True

    def gathered(
        self,
        type_: str,
        by: str,
        to: PartKind,
        kind: str,
        *,
        detail: Callable[[Resource], Hashable] = lambda _: True,
    ) -> defaultdict[Hashable, list[Resource]]:
        """The resources of a type by what one of their properties refers to.

        If a parent can't be known, the resource may belong to any of its kind.

        Args:
            type_: the type.
            by: the property.
            to: what the property refers to.
            kind: what the resources are to their parent, as `complete` asks for it.
            detail: what decides whether a resource matters to a parent; False where it does not.
        """
        gathered: defaultdict[Hashable, list[Resource]] = defaultdict(list)
        for resource in self.values.by_type[type_]:
            value = resource.properties.get(by)
            for reference in self.values.references(resource.template, value, to):
                if not isinstance(reference, Unknown):
                    gathered[reference].append(resource)
                elif (of := detail(resource)) is not False:
                    self.leave_open(kind, resource.template, reference.decides, of)
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
