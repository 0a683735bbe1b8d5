"""What the fixes of an assembly share, so that they can be used together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from session_manager_permissions._readiness.templates.functions import is_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from session_manager_permissions._readiness.parts import Parts
    from session_manager_permissions._readiness.templates.model import Resource, Template


class LaunchedBy(NamedTuple):
    """What launches instances in a world, and with what."""

    machine: Resource
    set_in: Resource
    """Where their profile belongs: it, or its launch template."""
    role: Resource | None
    """Their role, or their profile if the role is not in the app; None without one."""


class Writer:
    """Writes the fixes of an assembly, which can be used together."""

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
        self.parts = parts
        self._has = has
        self._launches = launches
        self._launched: list[LaunchedBy] | None = None
        self._taken: set[tuple[Template, str]] = set()
        self._numbers: dict[Resource, list[int]] = {}

    def launched(self) -> list[LaunchedBy]:
        """Return all that launches instances, in any world."""
        if self._launched is None:
            self._launched = self._launches()
        return self._launched

    def numbers(self, acl: Resource, free: Callable[[], list[int]]) -> list[int]:
        """Return the numbers that neither an entry of a network ACL nor another fix takes."""
        if acl not in self._numbers:
            self._numbers[acl] = free()
        return self._numbers[acl]

    def free_id(self, template: Template, wanted: str) -> str:
        """Return an id that no construct and no resource of a stack has, and no other fix gives."""
        wanted = re.sub(r"[^A-Za-z0-9]", "", wanted) or "SessionManager"
        number, found = 1, wanted
        while (
            (template, found) in self._taken
            or found in template.resources
            or self._has(template, found)
        ):
            number += 1
            found = f"{wanted}{number}"
        self._taken.add((template, found))
        return found


class Writing:
    """What writes one fix, whatever it is for."""

    def __init__(self, writer: Writer) -> None:
        self.parts = writer.parts
        self.free_id = writer.free_id
        self.numbers = writer.numbers
        """The numbers that are free for entries of a network ACL; `pop` those you take."""
        self._launches = writer.launched
        self._written: set[object] = set()

    def named(self, resource: Resource, path: str) -> list[Resource | str]:
        """Return what the entries of a property are, of those that are the same in every world."""
        return [*self.parts.in_each_world(resource, written(resource, path))]

    def is_new(self, part: object) -> bool:
        """Tell whether this is the first time that the fix is asked about a part."""
        is_new = part not in self._written
        self._written.add(part)
        return is_new

    def machines(self, template: Template, *, role: Resource) -> list[Resource]:
        """Return what launches instances with a role, and can wait for a policy of the role."""
        found = (one.machine for one in self._launches() if one.role is role)
        return [
            one
            for one in dict.fromkeys(found)
            if one.template is template and one not in role.waits_for
        ]

    def launched_from(self, set_in: Resource) -> list[Resource]:
        """Return what launches instances as a resource says: it, or those that use it."""
        found = (one.machine for one in self._launches() if one.set_in is set_in)
        return [one for one in dict.fromkeys(found) if one.template is set_in.template]


def written(resource: Resource, path: str) -> object:
    """Return a property as the template has it, in no particular world; None without it."""
    found: Any = resource.body.get("Properties")
    for name in path.split("."):
        if not isinstance(found, dict) or is_function(found):
            return None
        found = dict.get(found, name)
    return found
