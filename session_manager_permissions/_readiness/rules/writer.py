"""The changes that fixes are made of; `python.py` writes them as code, `steps.py` as steps."""

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
"""What stands between words in JSON and YAML, each read as a space."""


class LaunchedBy(NamedTuple):
    """What launches instances in a world, and with what."""

    launcher: Resource
    set_in: Resource
    """The resource in which to set the profile: the launcher, or its launch template."""
    role: Resource | None
    """Their role, or their profile if the role is not in the app; None without one."""
    lacks_registration: bool
    """Whether the registration is all that the role lacks when they boot."""


class Shared(Once):
    """What the fixes of an assembly share and make once, so that they can be used together."""

    def __init__(
        self,
        parts: Parts,
        has: Callable[[Template, str], bool],
        launches: Callable[[], list[LaunchedBy]],
    ) -> None:
        """Prepare to write.

        Args:
            parts: reads the templates.
            has: tells whether the stack of a template has a child of an id.
            launches: finds all that launches instances, in any world.
        """
        super().__init__()
        self.parts = parts
        self._has = has
        self._launches = launches
        self._taken: set[tuple[Template, str]] = set()

    def launched(self) -> list[LaunchedBy]:
        """Return all that launches instances, in any world."""
        return self.once("launched", self._launches)

    def _words(self) -> frozenset[bytes]:
        """Return all words in the templates that can be an id, such as the name of a policy."""
        contents = b" ".join(one.content for one in self.parts.assembly.templates)
        return frozenset(contents.translate(_SEPARATORS).split())

    def free_id(self, template: Template, wanted: str) -> str:
        """Return an id that nothing in a stack has, and that no other fix gives.

        It is the name of no parameter and of no policy either.
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
    """What its instances wait for; empty if it has its policy from the start or another stack."""


class Writing(ABC, Once):
    """What writes one fix, in the terms of an app or of a template, and makes each part once."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self.shared = shared
        self.parts = shared.parts
        self.conditions: dict[str, Iterable[str]] = {}
        """The conditions of what is made."""

    def named(self, resource: Resource, path: str) -> list[Resource | str]:
        """Return the resources and texts in a property, of those that each world has there."""
        return [*self.parts.in_each_world(resource, written(resource, path))]

    def parts_of(self, whole: Resource, type_: str, by: str) -> list[Resource]:
        """Return the resources of a type of which a property names `whole` in each world."""
        return [one for one in self.parts.by_type[type_] if whole in self.named(one, by)]

    # What the changes below are made of

    @abstractmethod
    def add_entry(self, resource: Resource, path: str, there: object, entry: object) -> None:
        """Add an entry to what a property has: a list, one entry in place of it, or None."""

    @abstractmethod
    def make(self, about: Resource, what: str, type_: str, properties: Mapping[str, object]) -> str:
        """Make a resource in the stack of another, and return what to call it."""

    @abstractmethod
    def ref(self, resource: Resource | str, attribute: str = "") -> object:
        """Return what a property has as a reference to a resource, or to what `make` has made."""

    @abstractmethod
    def reaches(self, resource: Resource, other: Resource) -> bool:
        """Tell whether a resource can refer to another one."""

    @abstractmethod
    def say(self, clause: str) -> None:
        """Say what to do by hand, as no change can be written."""

    def remark(self, text: str) -> None:
        """Say what changes nothing by itself."""
        self.say(text)

    def usable(self, about: Resource, options: Options) -> Options:
        """Return the options of a role, or say what to do if no fix can refer to what they name.

        Args:
            about: the role, or what has one that is not in the app.
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
        """Tell whether a resource waits for the instances of a role.

        They can't wait for a policy that refers to it.
        """
        return not {*self._launching(about)}.isdisjoint(resource.waits_for)

    def _launching(self, by: Resource) -> list[Resource]:
        """Return what launches instances with a role, or by what a resource says."""
        found = (one.launcher for one in self.shared.launched() if by in (one.role, one.set_in))
        return [*dict.fromkeys(found)]

    @abstractmethod
    def depend(self, launcher: Resource, policy: Resource | str, on: Iterable[str]) -> None:
        """Make what launches instances depend on a policy; on conditions, refer to it in metadata.

        CloudFormation deploys nothing that depends on a resource that a condition leaves out.
        """

    # Changes that consist of others

    def wait(self, launcher: Resource, policy: Resource | str) -> None:
        """Make what launches instances wait for a policy, or for what makes it."""
        on = self.conditions[policy] if isinstance(policy, str) else by_condition([policy])
        self.depend(launcher, policy, [one for one in on if one != launcher.condition])

    def have_wait(self, by: Resource, policy: str, about: Resource) -> None:
        """Make what launches instances wait for a new policy of their role.

        Args:
            by: the role, or what says how to launch them.
            policy: the policy.
            about: the policy is made in the stack of this resource, to which it may refer.
        """
        for one in self._launching(by):
            if one.template is about.template and one not in about.waits_for:
                self.wait(one, policy)

    def append(self, resource: Resource, path: str, entry: object) -> bool:
        """Add an entry to the list that a property is; tell whether there is a way.

        CloudFormation takes one entry in place of a list.
        """
        there = written(resource, path)
        if is_function(there):
            return False
        self.add_entry(resource, path, there, entry)
        return True

    def add_statement(self, resource: Resource, path: str, statement: Mapping[str, object]) -> bool:
        """Add a statement to a policy document; tell whether there is a way."""
        document = written(resource, path)
        return is_mapping(document) and self.append(resource, f"{path}.Statement", statement)

    def add_https_rule(self, group: Resource, direction: str, block: object) -> None:
        """Let TCP 443 pass by a rule of a security group, or of a resource's own group."""
        attribute = _OWN_GROUP.get(group.type, "GroupId")
        properties = {"GroupId": self.ref(group, attribute), **HTTPS, "CidrIp": block}
        self.make(group, f"Https{direction}", f"AWS::EC2::SecurityGroup{direction}", properties)


_OWN_GROUP: Final = {
    "AWS::EC2::VPC": "DefaultSecurityGroup",
    "AWS::EKS::Cluster": "ClusterSecurityGroupId",
}
"""The attribute with the id of the security group that AWS makes with a resource."""
HTTPS: Final = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}


def role_behind(resource: Resource) -> str:
    """Name a role, or the role of a profile or a node group, as a step does."""
    return f"the role {'' if resource.type == 'AWS::IAM::Role' else 'of '}{resource.logical_id!r}"


def by_condition(resources: Iterable[Resource]) -> dict[str, Resource]:
    """Return one resource on each condition that some of these are on."""
    return {one.condition: one for one in resources if isinstance(one.condition, str)}


def only_on(conditions: Iterable[str], value: object) -> object:
    """Return an expression for the value if all conditions hold, and for an empty text if not."""
    for one in conditions:
        value = {"Fn::If": [one, value, ""]}
    return value


def written(resource: Resource, path: str) -> object:
    """Return a property as the template has it, in no particular world; None without it."""
    return _found(resource, path)[1]


def made_by_function(resource: Resource, path: str) -> str:
    """Return the path of what contains a property, if a function makes that; otherwise empty."""
    above, _, _ = path.rpartition(".")
    if not above or is_function(written(resource, above)):
        return above
    return made_by_function(resource, above)


def path_written(resource: Resource, path: str) -> str:
    """Return the path of a property without the numbers of entries that have no list."""
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
