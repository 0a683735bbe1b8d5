"""The changes that fixes consist of. `python.py` writes them as code, and `steps.py` as steps."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions._memory import Once
from session_manager_permissions._network.verdicts import in_words
from session_manager_permissions._readiness.templates.functions import is_function, is_mapping

from .statements import Options, resources_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from session_manager_permissions._readiness.parts import Parts
    from session_manager_permissions._readiness.templates.model import Resource, Template


_SEPARATORS: Final = bytes.maketrans(b"\"'[]{}:,", b" " * 8)
"""Replaces each character that separates words in JSON and YAML by a space."""


class LaunchedBy(NamedTuple):
    """A resource that launches instances in a world, and the role of the instances."""

    launcher: Resource
    set_in: Resource
    """The resource in which to set the profile: the launcher, or its launch template."""
    role: Resource | None
    """The role of the instances; their profile if the role is not in the app; None without one."""
    lacks_registration: bool
    """Whether the role lacks only the registration when the instances boot."""


class Shared(Once):
    """What all fixes of an assembly share, so that they can be applied together."""

    def __init__(
        self,
        parts: Parts,
        has: Callable[[Template, str], bool],
        launches: Callable[[], list[LaunchedBy]],
    ) -> None:
        """Prepare to write.

        Args:
            parts: reads the templates.
            has: tells whether the stack of a template has a child with an id.
            launches: finds all resources that launch instances, in any world.
        """
        super().__init__()
        self.parts = parts
        self._has = has
        self._launches = launches
        self._taken: set[tuple[Template, str]] = set()

    def launched(self) -> list[LaunchedBy]:
        """Return all resources that launch instances, in any world."""
        return self.once("launched", self._launches)

    def _words(self) -> frozenset[bytes]:
        """Return all words of the templates, each of which may be an id or a name."""
        contents = b" ".join(one.content for one in self.parts.assembly.templates)
        return frozenset(contents.translate(_SEPARATORS).split())

    def free_id(self, template: Template, wanted: str) -> str:
        """Return an id that is free in a stack, and that no other fix uses.

        No parameter and no policy has it as a name either.
        """
        wanted = re.sub(r"[^A-Za-z0-9]", "", wanted) or "SessionManager"
        number, found = 1, wanted
        while (
            (template, found) in self._taken
            or found in template.resources
            or found.encode() in self.once("words", self._words)
            or self._has(template, found)
        ):
            number += 1
            found = f"{wanted}{number}"
        self._taken.add((template, found))
        return found


class NewRole(NamedTuple):
    """A role or an instance profile that a fix makes."""

    name: object
    arn: object
    policy: str = ""
    """The policy on which instances must depend; empty if it is inline, or in another stack."""


class Writing(ABC, Once):
    """Writes one fix, as code or as steps, and makes each part once."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self.shared = shared
        self.parts = shared.parts
        self.conditions: dict[str, Iterable[str]] = {}
        """The conditions of each resource that the fix makes."""

    def named(self, resource: Resource, path: str) -> list[Resource | str]:
        """Return the resources and texts that a property names in every world."""
        return [*self.parts.in_each_world(resource, written(resource, path))]

    def parts_of(self, whole: Resource, type_: str, by: str) -> list[Resource]:
        """Return the resources of a type whose property `by` names `whole` in every world."""
        return [one for one in self.parts.by_type[type_] if whole in self.named(one, by)]

    # Basic changes

    @abstractmethod
    def add_entry(self, resource: Resource, path: str, there: object, entry: object) -> None:
        """Add an entry to a property, whose value is a list, a single entry, or None."""

    @abstractmethod
    def make(self, about: Resource, what: str, type_: str, properties: Mapping[str, object]) -> str:
        """Make a resource in the stack of another resource, and return its name in the fix."""

    @abstractmethod
    def ref(self, resource: Resource | str, attribute: str = "") -> object:
        """Return a reference to a resource of the app, or to a resource from `make`."""

    @abstractmethod
    def reaches(self, resource: Resource, other: Resource) -> bool:
        """Tell whether a resource can refer to another one."""

    @abstractmethod
    def say(self, clause: str) -> None:
        """Say what to do by hand, if no change can be written."""

    def remark(self, text: str) -> None:
        """Add a remark, which changes nothing."""
        self.say(text)

    def usable(self, about: Resource, options: Options) -> Options:
        """Return the options of a role. If the fix can't refer to their resources, say what to do.

        Args:
            about: the role, or a resource with a role that is not in the app.
            options: the options.
        """
        made = resources_of(options)
        if all(self.reaches(about, one) and not self._is_after(one, about) for one in made):
            return options
        file, *others = (f"in {one.template.path.name!r}" for one in (about, *made))
        names = [f"{one.logical_id!r} {where}" for one, where in zip(made, others, strict=True)]
        self.say(f"allow {role_behind(about)} {file} to use {in_words(names)}")
        return ()

    def _is_after(self, resource: Resource, about: Resource) -> bool:
        """Tell whether a resource depends on the instances of a role.

        Then the instances can't depend on a policy that refers to the resource.
        """
        return not {*self._launching(about)}.isdisjoint(resource.waits_for)

    def _launching(self, by: Resource) -> list[Resource]:
        """Return the launchers of instances with the role `by`, or with the profile set in `by`."""
        found = (one.launcher for one in self.shared.launched() if by in (one.role, one.set_in))
        return [*dict.fromkeys(found)]

    @abstractmethod
    def depend(self, launcher: Resource, policy: Resource | str, on: Iterable[str]) -> None:
        """Make a launcher depend on a policy. If the policy has conditions, use its metadata.

        CloudFormation does not deploy a resource with a dependency that a condition leaves out.
        """

    # Changes that combine basic changes

    def wait(self, launcher: Resource, policy: Resource | str) -> None:
        """Make a launcher depend on a policy, or on the construct that makes it."""
        on = self.conditions[policy] if isinstance(policy, str) else by_condition([policy])
        self.depend(launcher, policy, [one for one in on if one != launcher.condition])

    def have_wait(self, by: Resource, policy: str, about: Resource) -> None:
        """Make the resources that launch instances depend on a new policy of the role.

        Args:
            by: the role, or the resource that says how to launch the instances.
            policy: the policy.
            about: a resource in the stack of the policy, to which the policy may refer.
        """
        for one in self._launching(by):
            if one.template is about.template and one not in about.waits_for:
                self.wait(one, policy)

    def append(self, resource: Resource, path: str, entry: object) -> bool:
        """Add an entry to a list property; return whether that is possible.

        CloudFormation accepts a single entry in place of a list.
        """
        there = written(resource, path)
        if is_function(there):
            return False
        self.add_entry(resource, path, there, entry)
        return True

    def add_statement(self, resource: Resource, path: str, statement: Mapping[str, object]) -> bool:
        """Add a statement to a policy document; return whether that is possible."""
        document = written(resource, path)
        return is_mapping(document) and self.append(resource, f"{path}.Statement", statement)

    def add_https_rule(self, group: Resource, direction: str, block: object) -> None:
        """Allow TCP 443 by a rule of a security group, or of the group that AWS makes."""
        attribute = _OWN_GROUP.get(group.type, "GroupId")
        properties = {"GroupId": self.ref(group, attribute), **HTTPS, "CidrIp": block}
        self.make(group, f"Https{direction}", f"AWS::EC2::SecurityGroup{direction}", properties)


_OWN_GROUP: Final = {
    "AWS::EC2::VPC": "DefaultSecurityGroup",
    "AWS::EKS::Cluster": "ClusterSecurityGroupId",
}
"""The attribute with the id of the security group that AWS makes for a resource."""
HTTPS: Final = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}


def role_behind(resource: Resource) -> str:
    """Name a role, or the role of a profile or a node group, for a message."""
    return f"the role {'' if resource.type == 'AWS::IAM::Role' else 'of '}{resource.logical_id!r}"


def by_condition(resources: Iterable[Resource]) -> dict[str, Resource]:
    """Return one of the resources for each condition that they have."""
    return {one.condition: one for one in resources if isinstance(one.condition, str)}


def only_on(conditions: Iterable[str], value: object) -> object:
    """Return an `Fn::If` for the value if all conditions are true, and for an empty text if not."""
    for one in conditions:
        value = {"Fn::If": [one, value, ""]}
    return value


def written(resource: Resource, path: str) -> object:
    """Return a property as the template has it, for all worlds; None if it is absent."""
    return _found(resource, path)[1]


def made_by_function(resource: Resource, path: str) -> str:
    """Return the path of a property's parent, if an intrinsic function returns it; else empty."""
    above, _, _ = path.rpartition(".")
    if not above or is_function(written(resource, above)):
        return above
    return made_by_function(resource, above)


def path_written(resource: Resource, path: str) -> str:
    """Return the path of a property without the indexes of single entries in place of lists."""
    return _found(resource, path)[0]


def _found(resource: Resource, path: str) -> tuple[str, object]:
    found: Any = resource.body.get("Properties")
    names: list[str] = []
    for name in path.split("."):
        is_number = name.isdecimal() and not is_function(found)
        if is_number and isinstance(found, list):
            found = dict(enumerate(found)).get(int(name))
        elif is_number and found is not None:
            continue  # the one entry, in place of a list
        else:
            found = dict.get(found, name) if is_mapping(found) else None
        names.append(name)
    return ".".join(names), found
