"""Writes a fix as steps: what to change in a template.

Changes that combine several others are in `writer.py`.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from session_manager_permissions._network.verdicts import in_words

from .statements import Needed, Options, inline, needed_by, policy_of, statement_of, trusted
from .writer import NewRole, Shared, Writing, by_condition, only_on, path_written, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from session_manager_permissions._readiness.templates.model import Resource, Template


class Step(NamedTuple):
    """A part of a fix."""

    text: str
    template: Template | None = None
    """The template to change; None if only the text says what to do."""
    logical_id: str = ""
    path: str = ""
    """The place in the resource, such as `Properties.Tags`; empty for a new resource."""
    value: Any = None
    """The new value of that place, or the entry to add to the list there."""
    adds: bool = False
    """Whether to add the value as an entry to a list, or to a single entry in place of a list."""


class Steps(Writing):
    """The steps of one fix."""

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._steps: dict[object, Step] = {}

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps, each once in a template."""
        return (*self._steps.values(),)

    def say(self, clause: str) -> None:
        """Say what to do by hand, as no change of these templates can do it."""
        self._add(Step(clause))

    def _add(self, step: Step) -> None:
        self._steps.setdefault((step.template, step.text), step)

    def literal(self, value: object) -> str:
        """Write a value as JSON."""
        return json.dumps(value)

    def set(self, resource: Resource, path: str, value: object) -> None:
        """Say what to set a property to."""
        path = f"Properties.{path_written(resource, path) if '.' in path else path}"
        self._set(resource, path, value)

    def _set(self, resource: Resource, path: str, value: object) -> None:
        text = f"set {path} of {resource.logical_id} to {self.literal(value)}"
        self._add(Step(text, resource.template, resource.logical_id, path, value))

    def add_entry(self, resource: Resource, path: str, there: object, entry: object) -> None:
        """Say what to add to a list."""
        self._add_to(resource, f"Properties.{path}", there, entry)

    def _add_to(self, resource: Resource, path: str, there: object, value: object) -> None:
        becomes = "" if there is None or isinstance(there, list) else ", which becomes a list"
        text = f"add to {path} of {resource.logical_id}{becomes}: {json.dumps(value)}"
        self._add(Step(text, resource.template, resource.logical_id, path, value, adds=True))

    def make(self, about: Resource, what: str, type_: str, properties: Mapping[str, object]) -> str:
        """Say which resource to add, and return its logical id.

        The resource gets the conditions of the resources that it refers to.
        """
        template, logical_id = about.template, self.name(about, what, properties)
        body: dict[str, Any] = {"Type": type_}
        conditions = sorted(by_condition(template.mentioned_in(properties)))
        self.conditions[logical_id] = conditions
        if len(conditions) == 1:
            body["Condition"] = conditions[0]
        elif conditions:
            these = in_words([*map(repr, conditions)])
            self.say(f"put {logical_id!r} on a condition that is the Fn::And of {these}")
        body["Properties"] = properties
        text = f"add the resource {logical_id}: {json.dumps(body)}"
        self._add(Step(text, about.template, logical_id, value=body))
        return logical_id

    def name(self, about: Resource, what: str, content: object) -> str:
        """Return a free logical id for a new resource about another one.

        Fixes that add the same content use the same id, so that it is added only once.
        """
        free = partial(self.shared.free_id, about.template, f"{about.logical_id}{what}")
        return self.shared.once((about, what, json.dumps(content)), free)

    def make_role(self, about: Resource, service: str, needed: Needed, options: Options) -> NewRole:
        """Make a role that has its policy from the start."""
        may = (*needed, *needed_by(self.usable(about, options)))
        properties = {
            "AssumeRolePolicyDocument": policy_of([trusted(service)]),
            "Policies": [inline("SessionManager", map(statement_of, may))],
        }
        role = self.make(about, "Role", "AWS::IAM::Role", properties)
        return NewRole(self.ref(role), self.ref(role, "Arn"))

    def make_profile(self, about: Resource, role: NewRole) -> NewRole:
        """Make an instance profile of a new role."""
        profile = self.make(about, "Profile", "AWS::IAM::InstanceProfile", {"Roles": [role.name]})
        return NewRole(self.ref(profile), self.ref(profile, "Arn"))

    def depend(self, launcher: Resource, policy: Resource | str, on: Iterable[str]) -> None:
        """Say what to add to `DependsOn`, or to set in `Metadata`."""
        if on:
            self._set(launcher, f"Metadata.{_id(policy)}", only_on(on, self.ref(policy)))
        else:
            self._add_to(launcher, "DependsOn", launcher.body.get("DependsOn"), _id(policy))

    def add_policy(self, role: Resource, statements: Sequence[Mapping[str, object]]) -> None:
        """Add a policy of a role. The compute that uses the role depends on the policy."""
        new_name = self.name(role, "SessionManager", statements)
        properties = {"RoleName": self.ref(role), **inline(new_name, statements)}
        new = self.make(role, "SessionManager", "AWS::IAM::RolePolicy", properties)
        self.have_wait(role, new, role)

    def ref(self, resource: Resource | str, attribute: str = "") -> object:
        """Refer to a resource of the same template."""
        named = _id(resource)
        return {"Fn::GetAtt": [named, attribute]} if attribute else {"Ref": named}

    def reaches(self, resource: Resource, other: Resource) -> bool:
        """Tell whether two resources are in one template."""
        return resource.template is other.template

    def block(self, resource: Resource) -> object:
        """Return the VPC's attribute, or the property of an additional CIDR block."""
        is_vpc = resource.type == "AWS::EC2::VPC"
        return self.ref(resource, "CidrBlock") if is_vpc else written(resource, "CidrBlock")


def _id(resource: Resource | str) -> str:
    return resource if isinstance(resource, str) else resource.logical_id
