"""Writes the code of a fix, so that it runs as it stands in the stack that the finding is in.

A fix takes each construct from the tree by its path, gives ids that are free, and imports what it
uses. What takes a construct is known to `Constructs`, which the plug-in has CDK's tree answer.
"""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from session_manager_permissions._quoting import in_python
from session_manager_permissions._readiness.templates.functions import is_function, text

from .writer import Writing, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from session_manager_permissions._readiness.templates.model import Resource, Template

    from .changes import TemplateChanges
    from .writer import Writer


class Made(NamedTuple):
    """The construct that makes a resource."""

    stack: tuple[str, ...]
    """The ids from the app to its stack."""
    ids: tuple[str, ...]
    """The ids from the stack to the L1 construct."""
    l2: str = ""
    """The class of the L2 construct whose default child it is; empty where there is none."""
    is_included: bool = False
    """Whether `CfnInclude` makes it."""
    is_in_app: bool = True
    """Whether a construct of the app makes it. None makes what is in a template of the user's own,
    which a stack nests by its URL."""


class FleetMade(NamedTuple):
    """A `SessionManagerFleet`, as the app makes it."""

    scope: tuple[str, ...]
    """The ids from the app to its scope."""
    id: str
    arguments: Mapping[str, object] | None
    """Its arguments, each as `Argument`; None where one of them can't be written."""


class ConstructPath(NamedTuple):
    """The ids from the app to a construct that is an argument."""

    ids: tuple[str, ...]


Argument: TypeAlias = "ConstructPath | bool | str | tuple[ConstructPath, ...]"


class Constructs(Protocol):
    """Knows what makes the resources of templates."""

    def made(self, resource: Resource) -> Made:
        """Return the construct that makes a resource."""

    def has(self, template: Template, construct_id: str) -> bool:
        """Tell whether the stack of a template has a child of this id."""

    def fleet(self, resource: Resource) -> FleetMade | None:
        """Return the fleet that covers an instance profile or a node group."""

    def maker(self, policy: Resource) -> tuple[str, ...] | None:
        """Return the ids from the stack to the construct that a policy is a part of."""

    def is_of_fleet(self, policy: Resource) -> bool:
        """Tell whether a fleet makes a policy, which it does at the end of the synthesis."""


class ByTemplate:
    """Tells constructs by what the templates show of them, where there is no app to ask."""

    def __init__(self) -> None:
        self._children: dict[Template, set[str]] = {}

    def made(self, resource: Resource) -> Made:
        """Read the path that CDK writes into the template; without one it is included."""
        stack, *ids = resource.path.split("/")
        if not ids:
            return Made((), ("Template", resource.logical_id), is_included=True)
        is_part = ids[-1] in _DEFAULT_CHILDREN and len(ids) > 1
        return Made((stack,), tuple(ids), _L2.get(resource.type, "") if is_part else "")

    def has(self, template: Template, construct_id: str) -> bool:
        """Look through the first ids of the paths."""
        if template not in self._children:
            paths = [one.path.split("/") for one in template.resources.values()]
            self._children[template] = {first for path in paths for first in path[1:2]}
        return construct_id in self._children[template]

    def fleet(self, resource: Resource) -> None:
        """Nothing in a template tells that a fleet covers it."""

    def maker(self, policy: Resource) -> tuple[str, ...] | None:
        """Tell it by the ids of the L2 policy."""
        ids = self.made(policy).ids
        return ids[:-2] if ids[-2:] == ("Policy", "Resource") and ids[:-2] else None

    def is_of_fleet(self, policy: Resource) -> bool:
        """A fleet makes L1 policies of this id."""
        made = self.made(policy)
        return not made.is_included and made.ids[1:][-1:] == ("Policy",)


_DEFAULT_CHILDREN: Final = {"Resource", "Default", "ASG"}
_L2: Final = {
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
"""The L2 construct of each type that a fix takes as one."""


class Fix(Protocol):
    """What mends a finding."""

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:
        """Write the code; where no code can mend it, return what to do, as a clause."""

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:
        """Say what to change in the template; where that can't be told, return what to do."""


class Advice(NamedTuple):
    """What to do where no code can mend a finding."""

    clause: str
    in_template: str = ""
    """What to do in a template, if that is something else."""

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Return the advice."""
        return self.clause

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Return the advice."""
        return self.in_template or self.clause


class Code(Writing):
    """The code of one fix."""

    def __init__(
        self, writer: Writer, constructs: Constructs, resources: tuple[Resource, ...]
    ) -> None:
        super().__init__(writer)
        self._constructs = constructs
        stacks = {self._constructs.made(one).stack for one in resources}
        self._stack = stacks.pop() if len(stacks) == 1 else None
        """The ids of the stack that `self` is; None where it is any construct of the app."""
        self.is_possible = True
        """Whether the app makes all that the code takes."""
        self._imports: dict[str, set[str]] = {}
        self._lines: list[str] = []
        self._variables: dict[object, str] = {}
        self._names: set[str] = set()

    def text(self) -> str:
        """Return the code; nothing if it has no lines."""
        if not self._lines:
            return ""
        where = "any stack of the app"
        if self._stack is not None:
            where = f"the stack {in_python('/'.join(self._stack))}" if self._stack else "the stack"
        imports = [
            f"from {module} import {', '.join(sorted(names))}"
            for module, names in sorted(self._imports.items())
        ]
        return "\n".join([f"# In {where}:", *imports, *dict.fromkeys(self._lines)])

    def add(self, *lines: str) -> None:
        """Add lines of code."""
        self._lines += lines

    def library(self, name: str) -> str:
        """Return a public name of this library."""
        self._imports.setdefault("session_manager_permissions", set()).add(name)
        return name

    def core(self, name: str) -> str:
        """Return a public name of CDK itself."""
        self._imports.setdefault("aws_cdk", set()).add(name)
        return name

    def cdk(self, module: str) -> str:
        """Return the usual short name of a module of CDK, such as `ec2`."""
        self._imports.setdefault("aws_cdk", set()).add(f"aws_{module} as {module}")
        return module

    def wait(self, machine: Resource, policy: str) -> None:
        """Make what launches instances wait for a policy, or what makes it."""
        self.add(f"{self.l1(machine)}.node.add_dependency({policy})")

    # Constructs

    def made(self, resource: Resource) -> Made:
        """Return the construct that makes a resource."""
        made = self._constructs.made(resource)
        self.is_possible = self.is_possible and made.is_in_app
        return made

    def fleet(self, resource: Resource) -> FleetMade | None:
        """Return the fleet that covers an instance profile or a node group."""
        return self._constructs.fleet(resource)

    def is_l2(self, resource: Resource) -> bool:
        """Tell whether a resource is the default child of the L2 construct for its type."""
        return self.made(resource).l2 == _L2.get(resource.type, "-")

    def l1(self, resource: Resource) -> str:
        """Return a variable with the L1 construct of a resource."""
        made = self.made(resource)
        *above, last = made.ids
        if made.l2:
            name, taken = f"cfn_{snake(above[-1])}", f"{self._found(made, above)}.default_child"
        elif made.is_included:
            include = self._variable(
                (made.stack, *above), f"{snake(above[-1])}_include", self._found(made, above)[:-5]
            )
            name, taken = snake(last), f"{include}.get_resource({in_python(last)})"
        else:
            name = snake("_".join(made.ids[-2:]))
            taken = self._found(made, made.ids).removesuffix(".node")
        return self._variable(("l1", resource), name, taken)

    def l2(self, resource: Resource) -> str:
        """Return a variable with the L2 construct of a resource, which `is_l2`."""
        made = self.made(resource)
        taken = self._found(made, made.ids[:-1]).removesuffix(".node")
        return self._variable(("l2", resource), snake("_".join(made.ids[-3:-1])), taken)

    def construct(self, resource: Resource) -> str:
        """Return a variable with the L2 construct of a resource, or with the L1 one."""
        return self.l2(resource) if self.is_l2(resource) else self.l1(resource)

    def is_of_fleet(self, policy: Resource) -> bool:
        """Tell whether a fleet makes a policy."""
        return self._constructs.is_of_fleet(policy)

    def maker(self, policy: Resource) -> str:
        """Return a variable with the construct that makes a policy."""
        ids = self._constructs.maker(policy)
        if ids is None:
            return self.l1(policy)
        taken = self._found(self.made(policy), ids).removesuffix(".node")
        return self._variable(("maker", policy), snake("_".join(ids[-2:])), taken)

    def stack(self, resource: Resource) -> str:
        """Return `self`, or a variable with the stack of a resource."""
        stack = self.made(resource).stack
        if stack == self._stack or not stack:
            return "self"
        return self._variable(stack, f"{snake(stack[-1])}_stack", self.at(stack))

    def at(self, ids: Iterable[str]) -> str:
        """Return the expression that takes a construct by its ids from the app."""
        found = "self.node.root"
        for one in ids:
            found = f"{found}.node.find_child({in_python(one)})"
        return found

    def new_id(self, resource: Resource, what: str) -> str:
        """Return an id, as a literal, of something new about a resource in its stack."""
        made = self.made(resource)
        ids = [one for one in made.ids if one not in _DEFAULT_CHILDREN]
        if made.is_included:
            ids = ids[-1:]
        return in_python(self.free_id(resource.template, f"{''.join(ids)}{what}"))

    def new(self, name: str, made_by: str) -> str:
        """Add a line that makes something, and return its variable."""
        return self._variable((name, made_by), name, made_by)

    def _found(self, made: Made, ids: Iterable[str]) -> str:
        """Return the expression of the node of a construct in a stack."""
        found = "self"
        if made.stack and made.stack != self._stack:
            found = self.at(made.stack)
        for one in ids:
            found = f"{found}.node.find_child({in_python(one)})"
        return f"{found}.node"

    def _variable(self, key: object, name: str, value: str) -> str:
        if key not in self._variables:
            number, found = 1, name
            while found in self._names or found in _RESERVED or keyword.iskeyword(found):
                number += 1
                found = f"{name}_{number}"
            self._names.add(found)
            self._variables[key] = found
            self._lines.append(f"{found} = {value}")
        return self._variables[key]


_RESERVED: Final = {"self", "cdk", "ec2", "iam", "logs", "app", "scope"}


def snake(id_: str) -> str:
    """Return the name of a variable for a construct of this id."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", id_).strip("_").lower()
    return words if words[:1].isalpha() else f"the_{words}".rstrip("_")


def literal(value: object) -> str:
    """Write a value of a template as Python."""
    if isinstance(value, str):
        return in_python(value)
    if isinstance(value, dict):
        entries = (f"{in_python(name)}: {literal(dict.get(value, name))}" for name in value)
        return f"{{{', '.join(entries)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)


def override(code: Code, resource: Resource, path: str, value: str) -> None:
    """Write a property of a resource."""
    code.add(f"{code.l1(resource)}.add_property_override({in_python(path)}, {value})")


def add_statement(
    code: Code, resource: Resource, path: str, statement: Mapping[str, object]
) -> bool:
    """Add a statement to a policy document of an L1 construct; tell whether there is a way."""
    document = written(resource, path)
    if document is not None and (not isinstance(document, dict) or is_function(document)):
        return False
    statements = written(resource, f"{path}.Statement")
    if isinstance(statements, list):
        override(code, resource, f"{path}.Statement.{len(statements)}", literal(statement))
        return True
    if is_function(statements):
        return False
    both: list[object] = [one for one in (statements, statement) if one is not None]
    override(code, resource, f"{path}.Statement", literal(both))
    return True


def is_true(resource: Resource, path: str) -> bool:
    """Tell whether a property is true in every world."""
    value = written(resource, path)
    return value is True or text(value).lower() == "true"
