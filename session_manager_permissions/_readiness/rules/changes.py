"""Says what to change in a template: a property, an entry of a list, or a resource more.

A fix says it for those who write templates, as it writes code for those who write an app.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from session_manager_permissions._readiness.templates.functions import is_function

from .writer import Writing, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from session_manager_permissions._needs import NeededStatement
    from session_manager_permissions._readiness.templates.model import Resource, Template

    from .writer import Writer


class Step(NamedTuple):
    """A part of a fix."""

    text: str
    template: Template | None = None
    """The template to change; None where the text alone says what to do."""
    logical_id: str = ""
    path: str = ""
    """The place in the resource, such as `Properties.Tags`; empty for a new resource."""
    value: Any = None
    """What is there then, or one more entry of what is there."""
    adds: bool = False
    """Whether the value is one more entry of a list."""


class TemplateChanges(Writing):
    """The steps of one fix."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer)
        self._steps: dict[str, Step] = {}

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps, each once."""
        return (*self._steps.values(),)

    def say(self, clause: str) -> None:
        """Say what to do, where no template that is here can be changed so."""
        self._add(Step(clause))

    def _add(self, step: Step) -> None:
        self._steps.setdefault(step.text, step)

    def set(self, resource: Resource, path: str, value: object) -> None:
        """Set a property, such as `Properties.ImageId`."""
        text = f"set {path} of {resource.logical_id} to {json.dumps(value)}"
        self._add(Step(text, resource.template, resource.logical_id, path, value))

    def add(self, resource: Resource, path: str, value: object) -> bool:
        """Add an entry to the list that a property is; tell whether it is one, or absent."""
        there = resource.body.get(path) if path == "DependsOn" else _there(resource, path)
        if is_function(there):
            return False
        if there is None or isinstance(there, list):
            text = f"add to {path} of {resource.logical_id}: {json.dumps(value)}"
            self._add(Step(text, resource.template, resource.logical_id, path, value, adds=True))
        else:
            self.set(resource, path, [there, value])
        return True

    def wait(self, machine: Resource, policy: str) -> None:
        """Make what launches instances wait for a policy, by its logical id."""
        self.add(machine, "DependsOn", policy)

    def make(self, about: Resource, what: str, type_: str, properties: Mapping[str, object]) -> str:
        """Make a resource in the template of another, and return its logical id."""
        logical_id = self.free_id(about.template, f"{about.logical_id}{what}")
        body = {"Type": type_, "Properties": properties}
        text = f"add the resource {logical_id}: {json.dumps(body)}"
        self._add(Step(text, about.template, logical_id, value=body))
        return logical_id

    def make_role(
        self, about: Resource, service: str, statements: Sequence[Mapping[str, object]]
    ) -> str:
        """Make a role that a service assumes, and return its logical id."""
        properties = {
            "AssumeRolePolicyDocument": policy_of([trusted(service)]),
            "Policies": [inline("SessionManager", statements)],
        }
        return self.make(about, "Role", "AWS::IAM::Role", properties)

    def statement(self, resource: Resource, path: str, allow: Mapping[str, object]) -> bool:
        """Add a statement to a policy document; tell whether there is a way."""
        document = _there(resource, path)
        has_statements = isinstance(document, dict) and not is_function(document)
        return has_statements and self.add(resource, f"{path}.Statement", allow)

    def give(self, role: Resource, statements: Sequence[Mapping[str, object]]) -> None:
        """Give a role a policy, on which the compute with it waits."""
        new_name = self.free_id(role.template, f"{role.logical_id}SessionManager")
        properties = {"RoleName": ref(role), **inline(new_name, statements)}
        new = self.make(role, "SessionManager", "AWS::IAM::RolePolicy", properties)
        for machine in self.machines(role.template, role=role):
            self.wait(machine, new)


def _there(resource: Resource, path: str) -> object:
    """Return what the template has at a place of a resource, in no particular world."""
    return written(resource, path.removeprefix("Properties."))


def ref(resource: Resource, attribute: str = "") -> dict[str, Any]:
    """Return what refers to a resource in its own template."""
    if attribute:
        return {"Fn::GetAtt": [resource.logical_id, attribute]}
    return {"Ref": resource.logical_id}


def policy_of(statements: Iterable[object]) -> dict[str, object]:
    """Return a policy document."""
    return {"Version": "2012-10-17", "Statement": [*statements]}


def inline(name: str, statements: Iterable[object]) -> dict[str, object]:
    """Return an inline policy. One of the same name would take its place on the role."""
    return {"PolicyName": name, "PolicyDocument": policy_of(statements)}


def allow(actions: Iterable[str], resource: object = "*") -> dict[str, object]:
    """Return a statement that allows actions."""
    return {"Effect": "Allow", "Action": [*actions], "Resource": resource}


def allow_needed(needed: NeededStatement) -> dict[str, object]:
    """Return a statement of `_needs`, in whose resource `${...}` refers to a template."""
    resource = {"Fn::Sub": needed.resource} if "${" in needed.resource else needed.resource
    return {"Sid": needed.sid, **allow(needed.actions, resource)}


def trusted(service: str) -> dict[str, object]:
    """Return a statement that lets a service assume a role."""
    return {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
