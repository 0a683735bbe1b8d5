"""The fixes that several rules share. A fix for one rule alone is in the file of that rule.

Each `Fix` is defined once, and each writer writes it as code or as steps. If a construct of this
library or CDK makes what a template spells out, the fix has a method for each of the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from session_manager_permissions import _needs
from session_manager_permissions._network.verdicts import in_words
from session_manager_permissions._quoting import in_python
from session_manager_permissions._readiness.templates.model import Resource

from .constructs import ConstructPath, FleetMade
from .statements import Options, allow, inline, needed_by, statement_of
from .writer import made_by_function, role_behind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .python import Code
    from .steps import Steps

Writer: TypeAlias = "Code | Steps"
"""Writes one fix: as code for an app, or as steps for a template."""


class Fix:
    """Fixes a finding, or a part of it. A subclass overrides `apply`, or both other methods."""

    def apply(self, to: Writer) -> None:
        """Write the fix by `to`; if that is not possible, say what to do by hand."""

    def in_python(self, code: Code) -> None:
        """Write the fix as code."""
        self.apply(code)

    def in_template(self, steps: Steps) -> None:
        """Write the fix as steps."""
        self.apply(steps)

    def with_more(self, more: Allow) -> Fix:  # noqa: ARG002 # most give a role no permissions
        """Return the fix with additional permissions, if it gives a role permissions."""
        return self


@dataclass(frozen=True)
class Advice(Fix):
    """Says what to do by hand, if no code can fix a finding."""

    clause: str
    for_template: str = ""
    """What to do in a template, if that differs."""

    def in_python(self, code: Code) -> None:
        """Add the advice to the code."""
        code.say(self.clause)

    def in_template(self, steps: Steps) -> None:
        """Add the advice to the steps."""
        steps.say(self.for_template or self.clause)


def leave_out(actions: Iterable[str], role: Resource, by: str = "", of: str = "") -> Advice:
    """Return advice about an explicit Deny, as no code can find what makes its statement.

    Args:
        actions: the actions that are denied.
        role: the role.
        by: the statements that deny them. Default: - none is known to be in an AWS managed policy
        of: the keys and buckets whose own policies deny them. Default: - none is known
    """
    names, how = in_words([*dict.fromkeys(actions)]), "if it has `NotAction`, add them there"
    if "AWS managed" in by:
        how = "an AWS managed policy can't be changed: detach it"
    also = f", also in the policy of {of}" if of else ""
    of_role = f"leave {names} out of each Deny that applies to {role_behind(role)}{also} ({how})"
    return Advice(f"leave these actions out of the Deny{also} ({how})", of_role)


@dataclass(frozen=True)
class Ask(Fix):
    """Says whom to ask about what can't be known."""

    sentence: str

    def apply(self, to: Writer) -> None:
        """Add the sentence; in code, as a comment."""
        to.remark(self.sentence)


@dataclass(frozen=True)
class Set(Fix):
    """Sets a property, such as `MetadataOptions.HttpEndpoint`."""

    resource: Resource
    path: str
    value: object = field(hash=False)

    def apply(self, to: Writer) -> None:
        """Set the property. If an intrinsic function returns its parent, say what to set."""
        above, whose = made_by_function(self.resource, self.path), self.resource.logical_id
        if (self.resource.type, self.path.partition(".")[0]) in _REPLACING:
            to.remark(f"this change replaces {whose!r}: copy the data on its volumes first")
        if not above:
            to.set(self.resource, self.path, self.value)
            return
        name = self.path.removeprefix(f"{above}.")
        where = f"each value that {above} of {whose!r} can have"
        to.say(f"set {name} to {to.literal(self.value)} in {where}")


_REPLACING: Final = {
    ("AWS::EC2::Instance", "ImageId"),
    ("AWS::EC2::SpotFleet", "SpotFleetRequestConfigData"),
}
"""The properties whose change replaces instances."""


@dataclass(frozen=True)
class AddStatement(Fix):
    """Adds a statement to a policy document."""

    resource: Resource
    path: str
    """The property that holds the document."""
    statement: Mapping[str, object] = field(hash=False)
    otherwise: str
    """What to do by hand, if the document has no list of statements to add to."""

    def apply(self, to: Writer) -> None:
        """Add the statement."""
        if not to.add_statement(self.resource, self.path, self.statement):
            to.say(self.otherwise)


@dataclass(frozen=True)
class Allow(Fix):
    """Allows missing actions of a role: by a policy, in its permissions boundary, or by both."""

    role: Resource
    """The role; its profile if the role is not in the app."""
    actions: tuple[str, ...] = ()
    """The actions for every session that no policy allows."""
    options: Options = ()
    """What else sessions need."""
    by_boundary: tuple[str, ...] = ()
    """The actions that the permissions boundary does not allow."""

    def in_python(self, code: Code) -> None:
        """Write the policy, or the option of the fleet, unless a boundary can't be changed."""
        if not self._widen_boundary(code):
            return
        more = {*self.actions} - {*_needs.REGISTRATION.actions} or self.options or self.by_boundary
        # Nothing can depend on the policy of a fleet, so the registration would come too late.
        is_own = more or any(one.lacks_registration for one in code.shared.launched())
        fleet = None if is_own else code.fleet()
        if fleet is None:
            self.give_policy(code)
        elif fleet.arguments is None:
            code.say(f"give allow_registration=True to the fleet {fleet.id!r}")
        else:
            _remake(code, fleet)

    def give_policy(self, code: Code) -> None:
        """Write the construct that makes the policy. The compute that uses it depends on it."""
        code.give_permissions(self.role, self.actions, code.usable(self.role, self.options))

    def in_template(self, steps: Steps) -> None:
        """Add an inline policy for what every session needs, and a policy resource for the rest.

        The policy of a key in the options may refer to the role. If an inline policy of the role
        referred to that key, the role and the key would depend on each other.
        """
        options = steps.usable(self.role, self.options)
        if of_options := [statement_of(one) for one in needed_by(options)]:
            steps.add_policy(self.role, of_options)
        if self.actions:
            may = [allow(self.actions)]
            name = steps.name(self.role, "Channels", may)
            if not steps.append(self.role, "Policies", inline(name, may)):
                steps.add_policy(self.role, may)
        self._widen_boundary(steps)

    def _widen_boundary(self, to: Writer) -> bool:
        """Make the boundary allow the missing actions, if any; return whether that is possible."""
        if not self.by_boundary:
            return True
        boundary = next(iter(to.named(self.role, "PermissionsBoundary")), None)
        is_widened = isinstance(boundary, Resource) and to.add_statement(
            boundary, "PolicyDocument", allow(self.by_boundary)
        )
        if not is_widened:
            of = f"the permissions boundary of {role_behind(self.role)}, or give the role another"
            actions = ", ".join(self.by_boundary)
            to.say(f"allow {actions} in {of} boundary if you can't change this one")
        return is_widened

    def includes(self, fix: Allow) -> bool:
        """Tell whether this fix has the options and boundary actions of another fix."""
        return {*fix.options, *fix.by_boundary} <= {*self.options, *self.by_boundary}

    def with_more(self, more: Allow) -> Allow:
        """Return one fix that allows what this fix and another fix allow."""
        actions = dict.fromkeys((*self.actions, *more.actions))
        options = dict.fromkeys((*self.options, *more.options))
        by_boundary = dict.fromkeys((*self.by_boundary, *more.by_boundary))
        return Allow(self.role, (*actions,), (*options,), (*by_boundary,))


def _remake(code: Code, fleet: FleetMade) -> None:
    """Write code that makes a fleet again, with `allow_registration=True`."""
    scope = code.new("fleet_scope", f"{code.at((*fleet.scope, fleet.id))}.node.scope")
    id_ = in_python(fleet.id)
    arguments = {**(fleet.arguments or {}), "allow_registration": True}
    given = [f"{name}={_argument(code, value)}" for name, value in arguments.items()]
    code.add(
        f"# The same as allow_registration=True where the app makes the fleet {id_}:",
        f"{scope}.node.try_remove_child({id_})",
        f"{code.library('SessionManagerFleet')}({scope}, {id_}, {', '.join(given)})",
    )


def _argument(code: Code, value: object) -> str:
    if isinstance(value, ConstructPath):
        return code.at(value.ids)
    if isinstance(value, tuple):
        return f"[{', '.join(_argument(code, one) for one in value)}]"
    return code.literal(value)
