"""Writes a fix as code, which runs as it stands in the stack of the finding, or above it.

The code looks up each construct in the construct tree by its path, uses new ids that are free, and
imports what it uses. `Constructs` says how to find each construct.
"""

from __future__ import annotations

import json
import keyword
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from session_manager_permissions import _needs
from session_manager_permissions._quoting import in_python
from session_manager_permissions._readiness.templates.functions import is_mapping, listed
from session_manager_permissions._readiness.templates.model import Resource

from .constructs import DEFAULT_CHILDREN, L2, Constructs, FleetMade, Made, Source
from .statements import AWS_MANAGED, BUCKET_KEY, Needed, Option, Options, resources_of
from .writer import NewRole, Shared, Writing, by_condition, only_on, path_written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Expression:
    """A value that is a Python expression in the code."""

    text: str
    of: tuple[Resource | None, str] = (None, "")
    """The resource and the attribute that the expression refers to."""


class Code(Writing):
    """The code of one fix."""

    def __init__(
        self, shared: Shared, constructs: Constructs, resources: tuple[Resource, ...]
    ) -> None:
        super().__init__(shared)
        self.constructs = constructs
        self._resources = resources
        self._stacks = {self.constructs.made(one).stack for one in resources}
        """The ids of each stack that the finding is in."""
        self._places: dict[tuple[str, ...], str] = {}
        """The marks in the lines, each for an expression that looks up a construct, by its ids."""
        self.finds_all = True
        """Whether every construct that the code looks up is in the app, and can be used."""
        self._imports: dict[str, set[str]] = {}
        self._lines: list[str] = []
        self.clauses: list[str] = []
        """What to do by hand, as no code can do it."""
        self._variables: dict[object, str] = {}
        self._names: set[str] = set()

    def text(self) -> str:
        """Return the code. A comment says so if it must run at the end of the app.

        The code is a function because an assignment or import in a constructor makes the name local
        there. The lines above it could then no longer use a module of that name, such as `iam`.
        """
        if all(one.startswith("#") for one in self._lines):
            return "\n".join(self._lines)
        imports = [
            f"from {module} import {', '.join(sorted(names))}"
            for module, names in sorted(self._imports.items())
        ]
        body = [f"    {one}" for one in dict.fromkeys([*imports, *self._lines])]
        given, header = "self", ""
        if not self.scope and any(self._stacks):
            given, header = "app", "# Before app.synth():\n"
        code = "\n".join([f"{header}def {_FUNCTION}({given}):", *body, f"{_FUNCTION}({given})"])
        for ids, mark in self._places.items():
            code = code.replace(mark, _path_from(given, self.scope, ids))
        return code

    @cached_property
    def scope(self) -> tuple[str, ...]:
        """The ids of the construct in whose constructor the code runs: the stack of the finding.

        If the finding is in several stacks, or needs later constructs, it is a scope above them.
        """
        scope, is_later = min(self._stacks), self.constructs.is_later
        while any(one[: len(scope)] != scope for one in self._stacks) or any(
            is_later(one, scope) for one in self._places
        ):
            scope = scope[:-1]
        return scope

    @property
    def where(self) -> str:
        """The name of `scope` in a comment."""
        name = f" {in_python('/'.join(self.scope))}" if self.scope else ""
        return f"the {'stack' if self.scope in self._stacks else 'construct'}{name}"

    def add(self, *lines: str) -> None:
        """Add lines of code."""
        self._lines += lines

    def say(self, clause: str) -> None:
        """Say what to do by hand, as no code can do it."""
        self.clauses.append(clause)

    def remark(self, text: str) -> None:
        """Add a comment."""
        self.add(f"# {text}")

    # Changes

    def set(self, resource: Resource, path: str, value: object) -> None:
        """Override a property of the L1 construct."""
        given = f"{in_python(path_written(resource, path))}, {self.literal(value)}"
        self.add(f"{self.l1(resource)}.add_property_override({given})")

    def add_entry(self, resource: Resource, path: str, there: object, entry: object) -> None:
        """Override the entries after the last one, or the whole property if it has no list to keep.

        The code writes the entries of other fixes as well, as a list can't have gaps. If the app
        overrides the list, the code writes all of it, as CDK then drops the other entries.
        """
        added: dict[str, object] = self.shared.once(("added", resource, path), dict)
        added[self.literal(entry)] = entry
        is_override = self.constructs.source(resource, path) == Source.OVERRIDE
        if there and isinstance(there, list) and not is_override:
            for number, one in enumerate(added.values(), len(there)):
                self.set(resource, f"{path}.{number}", one)
        else:
            self.set(resource, path, [*listed(there or []), *added.values()])

    def add_statement(self, resource: Resource, path: str, statement: Mapping[str, object]) -> bool:
        """Add a statement by the L2 construct, if there is one that takes statements."""
        adds = _ADDS_STATEMENTS.get(resource.type)
        if adds is None or not self.is_l2(resource, path):
            return super().add_statement(resource, path, statement)
        made = f"{self.cdk('iam')}.PolicyStatement.from_json({self.literal(statement)})"
        self.add(f"{self.l2(resource)}.{adds}({made})")
        return True

    def add_https_rule(self, group: Resource, direction: str, block: object) -> None:
        """Add a rule by the L2 construct of a security group, if there is one.

        The group that AWS makes with a VPC or a cluster has no construct.
        """
        if not self.is_l2(group, f"SecurityGroup{direction}"):
            super().add_https_rule(group, direction, block)
            return
        ec2 = self.cdk("ec2")
        rule = f"{ec2}.Peer.ipv4({self.literal(block)}), {ec2}.Port.tcp(443)"
        self.add(f"{self.l2(group)}.add_{direction.lower()}_rule({rule})")

    def make(self, about: Resource, what: str, type_: str, properties: Mapping[str, object]) -> str:
        """Make an L1 construct, and return the code that makes it."""
        _, module, name = type_.split("::")
        given = (
            f"{snake(name)}={self.literal(_in_camel_case(value))}"
            for name, value in properties.items()
        )
        made_by = f"{self.cdk(module.lower())}.Cfn{name}"
        refers_to: list[Resource] = []

        def noted(one: Expression) -> str:
            resource, _ = one.of
            if resource is not None:
                refers_to.append(resource)
            return str(one.of)

        raw = json.dumps(properties, default=noted)
        made = self._made_once(about, what, made_by, ", ".join(given), raw)
        self._deploy_with(about, made, refers_to)
        return made

    def _made_once(self, about: Resource, what: str, made_by: str, given: str, key: str) -> str:
        """Return a variable with a construct, which only the first of several fixes makes.

        CloudFormation can't deploy two equal rules of a security group, or two endpoints of a
        service in one VPC.
        """
        stack = self.stack(about)
        id_ = self.shared.once((about, what, key), lambda: self.new_id(about, what))
        there = f"{stack}.node.try_find_child({id_})"
        return self.new(snake(what), f"{there} or {made_by}({stack}, {id_}, {given})")

    def _deploy_with(
        self, about: Resource, made: str, refers_to: Iterable[Resource]
    ) -> Iterable[str]:
        """Give an L1 construct the conditions of the resources that it refers to.

        It is in the stack of a resource, and only conditions of this stack count. Return them.
        """
        on = by_condition(one for one in refers_to if one.template is about.template)
        each = [f"{self.l1(one)}.cfn_options.condition" for one in on.values()]
        if each[1:]:
            all_of = f"expression={self.core('Fn')}.condition_and({', '.join(each)})"
            condition = self.core("CfnCondition")
            each = [self._made_once(about, "Condition", condition, all_of, str([*on]))]
        for one in each:
            self.add(f"{made}.cfn_options.condition = {one}")
        return on

    def make_role(self, about: Resource, service: str, needed: Needed, options: Options) -> NewRole:
        """Make a role with `SessionManagerPermissions`."""
        iam = self.cdk("iam")
        role = self.new(
            "session_manager_role",
            f"{iam}.Role({self.stack(about)}, {self.new_id(about, 'Role')}, "
            f"assumed_by={iam}.ServicePrincipal({in_python(service)}))",
        )
        registers = [_REGISTERS] if _needs.REGISTRATION in needed else []
        usable = self.usable(about, options)
        given = [f"role={role}", *registers, *self.arguments(about, usable)]
        refers_to = resources_of(usable)
        after = self._after(about, refers_to)
        policy = self.new_permissions(after, given, refers_to)
        arn = Expression(f"{role}.role_arn")
        return NewRole(Expression(role), arn, policy if after is about else "")

    def make_profile(self, about: Resource, role: NewRole) -> NewRole:
        """Make an instance profile of a new role."""
        given = f"{self.stack(about)}, {self.new_id(about, 'Profile')}"
        made_by = f"{self.cdk('iam')}.InstanceProfile({given}, role={self.literal(role.name)})"
        profile = self.new("session_manager_profile", made_by)
        name, arn = f"{profile}.instance_profile_name", f"{profile}.instance_profile_arn"
        return NewRole(Expression(name), Expression(arn), role.policy)

    def arguments(self, about: Resource, options: Iterable[Option]) -> list[str]:
        """Write options as arguments of `SessionManagerPermissions`."""
        return [
            f"{option.name}={self._argument_value(about, option)}"
            for option in options
            if option.name != BUCKET_KEY  # the construct finds the key by the bucket
        ]

    def _argument_value(self, about: Resource, option: Option) -> str:
        name, value = option
        if isinstance(value, Resource):
            return self.construct(value)
        if name != "log_group":
            return self.literal(value)
        stack, new = self.stack(about), self.new_id(about, "LogGroup")
        made_by = f"{self.cdk('logs')}.LogGroup.from_log_group_name"
        return self.new("log_group", f"{made_by}({stack}, {new}, {self.literal(value)})")

    def new_permissions(
        self, about: Resource, arguments: Iterable[str], refers_to: Iterable[Resource]
    ) -> str:
        """Make `SessionManagerPermissions` in the stack of a resource, and return its variable."""
        given = [self.stack(about), self.new_id(about, "SessionManager"), *arguments]
        made_by = self.library("SessionManagerPermissions")
        permissions = self.new("permissions", f"{made_by}({', '.join(given)})")
        self.conditions[permissions] = self._deploy_with(about, _policy_of(permissions), refers_to)
        return permissions

    def give_permissions(self, role: Resource, actions: tuple[str, ...], options: Options) -> None:
        """Give a role the permissions, and make the compute that uses it depend on them.

        The permissions are in the stack of the role, or in the stack of an option if that stack
        depends on the role's. Only compute in the same stack depends on them.

        Args:
            role: the role; its profile if the role is not in the app.
            actions: the actions for every session that the role lacks.
            options: what else sessions need.
        """
        given = self.arguments(role, options)
        if not actions and not given:
            return
        by = "role" if role.type == "AWS::IAM::Role" else "instance_profile"
        registers = [_REGISTERS] if {*_needs.REGISTRATION.actions} & {*actions} else []
        refers_to = [role, *resources_of(options)]
        after = self._after(role, refers_to)
        whose = f"{by}={self.construct(role)}"
        is_only = registers and not (actions[1:] or given)
        if is_only and (there := self.constructs.permissions(role)):
            where = f"where the app makes the construct {in_python(there)}"
            self.remark(f"The same as {_REGISTERS} {where}:")
        permissions = self.new_permissions(after, [whose, *registers, *given], refers_to)
        self.have_wait(role, permissions, after)

    def _after(self, resource: Resource, options: Iterable[Resource]) -> Resource:
        """Return the resource whose stack is deployed last."""
        last = resource
        for one in options:
            if self.constructs.depends(one.template, last.template):
                last = one
        return last

    def depend(self, launcher: Resource, policy: Resource | str, on: Iterable[str]) -> None:
        """Write a dependency between constructs, or metadata of the L1 construct.

        If the app overrides the dependencies of a construct, CDK writes no others.
        """
        waits_for = policy if isinstance(policy, str) else self.l1(policy)
        depends = f"node.add_dependency({waits_for})"
        if on or self.constructs.source(launcher, "DependsOn") == Source.OVERRIDE:
            made = _policy_of(policy) if isinstance(policy, str) else waits_for
            value = self.literal(only_on(on, Expression(f"{made}.ref")))
            depends = f"add_metadata({made}.logical_id, {value})"
        self.add(f"{self.l1(launcher)}.{depends}")

    # Names

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

    def new(self, name: str, made_by: str) -> str:
        """Add a line that makes something, and return its variable."""
        return self._variable((name, made_by), name, made_by)

    def new_id(self, resource: Resource, what: str) -> str:
        """Return a literal with a free id, for a new construct in the stack of a resource."""
        made = self.made(resource)
        ids = [one for one in made.ids if one not in DEFAULT_CHILDREN]
        if made.is_included:
            ids = ids[-1:]
        return in_python(self.shared.free_id(resource.template, f"{''.join(ids)}{what}"))

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

    # Constructs

    def made(self, resource: Resource) -> Made:
        """Return the construct that makes a resource."""
        made = self.constructs.made(resource)
        self.finds_all &= made.is_in_app
        return made

    def fleet(self) -> FleetMade | None:
        """Return the fleet that covers the instance profile or node group of the finding."""
        return self.constructs.fleet(self._resources[0])

    def is_l2(self, resource: Resource, path: str = "") -> bool:
        """Tell whether an L2 construct of the expected class makes a resource and its property."""
        is_child = self.made(resource).l2 == L2.get(resource.type, "-")
        return is_child and (not path or self.constructs.source(resource, path) == Source.CONSTRUCT)

    def l1(self, resource: Resource) -> str:
        """Return a variable with the L1 construct of a resource."""
        made = self.made(resource)
        *above, last = made.ids
        if made.l2:
            name = f"cfn_{snake(above[-1])}"
            taken = f"{self.at((*made.stack, *above))}.node.default_child"
        elif made.is_included:
            found = self.at((*made.stack, *above))
            include = self._variable((made.stack, *above), f"{snake(above[-1])}_include", found)
            name, taken = snake(last), f"{include}.get_resource({in_python(last)})"
        else:
            name, taken = snake("_".join(made.ids[-2:])), self.at((*made.stack, *made.ids))
        return self._variable(("l1", resource), name, taken)

    def l2(self, resource: Resource) -> str:
        """Return a variable with the L2 construct of a resource for which `is_l2` is true."""
        made = self.made(resource)
        taken = self.at((*made.stack, *made.ids[:-1]))
        return self._variable(("l2", resource), snake("_".join(made.ids[-3:-1])), taken)

    def construct(self, resource: Resource) -> str:
        """Return a variable with the L2 construct of a resource, or with the L1 one.

        This library and CDK accept no `CfnResource` as a role, a key or a bucket.
        """
        self.finds_all &= self.made(resource).is_typed
        return self.l2(resource) if self.is_l2(resource) else self.l1(resource)

    def stack(self, resource: Resource) -> str:
        """Return the expression that looks up the stack of a resource."""
        return self.at(self.made(resource).stack)

    def at(self, ids: tuple[str, ...]) -> str:
        """Return a mark for the expression that looks up a construct by its ids from the app."""
        return self._places.setdefault(ids, f"\0{len(self._places)}\0")

    # Values

    def ref(self, resource: Resource | str, attribute: str = "") -> Expression:
        """Return an attribute of the L1 construct."""
        name = f"attr_{snake(attribute)}" if attribute else "ref"
        if isinstance(resource, str):
            return Expression(f"{resource}.{name}", (None, attribute))
        if attribute and not self.made(resource).is_typed:
            name = f"get_att({in_python(attribute)}).to_string()"
        return Expression(f"{self.l1(resource)}.{name}", (resource, attribute))

    def reaches(self, resource: Resource, other: Resource) -> bool:
        """Tell whether two resources are in one stage. CDK resolves references between its stacks.

        The templates of another stage are in another folder.
        """
        return resource.template.path.parent == other.template.path.parent

    def block(self, resource: Resource) -> object:
        """Return the CIDR block itself if it is known, as it needs no reference between stacks."""
        known = [one for one in self.named(resource, "CidrBlock") if isinstance(one, str)]
        if known:
            return known[0]
        if resource.type == "AWS::EC2::VPC":
            return self.ref(resource, "CidrBlock")
        self.finds_all &= self.made(resource).is_typed
        return Expression(f"{self.l1(resource)}.cidr_block", (resource, "CidrBlock"))

    def literal(self, value: object) -> str:
        """Write a value of a template as Python."""
        match value:
            case Expression(text=written):
                return written
            case str():
                return in_python(value)
            case {"Fn::Sub": str(pattern)}:
                return self._of_sub(pattern)
            case dict():
                entries = (
                    f"{in_python(name)}: {self.literal(dict.get(value, name))}" for name in value
                )
                return f"{{{', '.join(entries)}}}"
            case list():
                return f"[{', '.join(map(self.literal, value))}]"
        return repr(value)

    def _of_sub(self, pattern: str) -> str:
        if not pattern.startswith(AWS_MANAGED):
            return f"{self.core('Fn')}.sub({in_python(pattern)})"
        name = in_python(pattern.removeprefix(AWS_MANAGED))
        policy = f"{self.cdk('iam')}.ManagedPolicy.from_aws_managed_policy_name({name})"
        return f"{policy}.managed_policy_arn"


_FUNCTION: Final = "fix_session_manager"
_REGISTERS: Final = "allow_registration=True"
_RESERVED: Final = {"self", "app", "ec2", "iam", "logs"}
_ADDS_STATEMENTS: Final = {
    "AWS::EC2::VPCEndpoint": "add_to_policy",
    "AWS::IAM::ManagedPolicy": "add_statements",
    "AWS::IAM::Role": "assume_role_policy.add_statements",
}
"""The method of each L2 construct that adds a statement to its document."""


def _path_from(given: str, scope: tuple[str, ...], ids: tuple[str, ...]) -> str:
    """Return the expression that looks up a construct by its ids, starting at another construct.

    The path goes through the nearest scope that both share, as the same code may make several
    stages.
    """
    found, above = given, scope
    while ids[: len(above)] != above:
        found, above = f"{found}.node.scope", above[:-1]
    for one in ids[len(above) :]:
        found = f"{found}.node.find_child({in_python(one)})"
    return found


def _policy_of(permissions: str) -> str:
    """Return the expression for the L1 policy of a `SessionManagerPermissions`."""
    return f"{permissions}.policy.node.default_child"


def _in_camel_case(value: object) -> object:
    """Return a nested value with its keys in camel case, as L1 constructs expect them."""
    if is_mapping(value):
        return {f"{name[0].lower()}{name[1:]}": one for name, one in value.items()}
    return [*map(_in_camel_case, value)] if isinstance(value, list) else value


def snake(id_: str) -> str:
    """Return the name of a variable for a construct of this id."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", id_).strip("_").lower()
    return words if words[:1].isalpha() else f"the_{words}".rstrip("_")
