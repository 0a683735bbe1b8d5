"""What the policies of a role allow and deny of what Session Manager needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._quoting import in_python
from session_manager_permissions._readiness.policies import Answer
from session_manager_permissions._readiness.roles import ATTACHED_BY, ROLE_IN
from session_manager_permissions._readiness.templates.functions import listed, mapping
from session_manager_permissions._readiness.templates.model import Resource

from .changes import allow as statement_of
from .changes import inline
from .fixes import ConstructPath, add_statement, literal
from .kinds import kind_of
from .rule import Finding, Told, not_ready
from .writer import written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from session_manager_permissions._readiness.policies import Decision
    from session_manager_permissions._readiness.roles import Ability, Role

    from .changes import TemplateChanges
    from .fixes import Code, FleetMade

CHANNEL_MISSING: Final = "channel-missing"
REGISTRATION_MISSING: Final = "registration-missing"
EXPLICIT_DENY: Final = "explicit-deny"
RULES: Final = (
    not_ready(
        CHANNEL_MISSING,
        "a `ssmmessages` channel action that no policy allows, or the permissions boundary "
        "does not; it says as well if the registration is missing",
    ),
    not_ready(
        REGISTRATION_MISSING,
        "that no policy allows `ssm:UpdateInstanceInformation`, or the permissions boundary "
        "does not; Default Host Management Configuration can stand in for it",
    ),
    not_ready(EXPLICIT_DENY, "a `Deny` of a channel action or of `ssm:UpdateInstanceInformation`"),
)


LEAVE_OUT: Final = "leave these actions out of the Deny (of one with `NotAction`, add them to that)"
"""What to do about an explicit Deny, which no code can find where a statement is made."""


def its_role(role: Role) -> str:
    """Name the role of a profile in a message."""
    return f"its role {role.name!r}" if role.name else "its role"


def of_abilities(role: Role, profile: Resource, abilities: dict[str, Ability]) -> Iterator[Finding]:
    """Find what keeps Session Manager from instances under a profile."""
    missing = _answered(abilities, Answer.IMPLICIT_DENY)
    denied = _answered(abilities, Answer.EXPLICIT_DENY)
    channels = sorted(missing.keys() & {*_needs.CHANNELS.actions})
    if channels:
        yield Finding(
            CHANNEL_MISSING,
            (profile,),
            f"Properties.{ROLE_IN[profile.type]}",
            f"Session Manager can't reach {kind_of(profile).instances}: {its_role(role)} is not "
            f"allowed to call {', '.join(channels)}",
            allow(role, missing),
        )
    registration = missing.keys() & {*_needs.REGISTRATION.actions}
    if registration:
        yield Finding(
            REGISTRATION_MISSING,
            (profile,),
            f"Properties.{ROLE_IN[profile.type]}",
            f"{kind_of(profile).instances} can't register with Systems Manager: {its_role(role)} "
            f"is not allowed to call {', '.join(registration)}, so they depend on the account's "
            "Default Host Management Configuration",
            allow(role, missing),
        )
    if denied:
        yield Finding(
            EXPLICIT_DENY,
            (profile,),
            f"Properties.{ROLE_IN[profile.type]}",
            f"Session Manager can't reach {kind_of(profile).instances}: {its_role(role)} is denied "
            f"{', '.join(denied)} by {_deciding(denied)}, and a Deny overrides every Allow: "
            f"{LEAVE_OUT}",
            (),
        )


def together(found: list[Finding]) -> list[Finding]:
    """Have one finding say both where the channels and the registration are missing."""
    if not {CHANNEL_MISSING, REGISTRATION_MISSING} <= {one.rule for one in found}:
        return found
    also = ", ".join(("", *_needs.REGISTRATION.actions))
    return [
        one._replace(description=one.description + also) if one.rule == CHANNEL_MISSING else one
        for one in found
        if one.rule != REGISTRATION_MISSING
    ]


def undecided(abilities: dict[str, Ability]) -> Iterator[Told]:
    """Yield what decides on the actions of which it is not known whether they are allowed."""
    by = (one.decision.by for one in _answered(abilities, Answer.UNKNOWN).values())
    yield from dict.fromkeys(f"{one.name}{one.doubt}" for several in by for one in several)


def _answered(abilities: dict[str, Ability], answer: Answer) -> dict[str, Ability]:
    return {action: one for action, one in abilities.items() if one.decision.answer is answer}


def _deciding(abilities: dict[str, Ability]) -> str:
    """Return the statements that decide about the actions, as a message names them."""
    names = (statement.name for one in abilities.values() for statement in one.decision.by)
    return " and ".join(dict.fromkeys(names))


# Fixes -------------------------------------------------------------------------------------------


class Allow(NamedTuple):
    """Allows a role what it is missing: by a policy, in its permissions boundary, or by both."""

    role: Resource
    by_policy: tuple[str, ...]
    """The actions that no policy allows."""
    by_boundary: tuple[str, ...]
    """The actions that the boundary does not allow."""
    options: tuple[str, ...] = ()
    """Further arguments of the construct that makes the policy."""

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:
        """Write the policy, on which all compute with the role waits, or the fleet's option."""
        if self.by_boundary:
            clause = self._widen_boundary(code)
            if clause:
                return clause
        fleet = None if self._is_waited_for(code) else code.fleet(resources[0])
        only_registers = {*self.by_policy} <= {*_needs.REGISTRATION.actions}
        if fleet is None or self.by_boundary or not only_registers:
            if self.by_policy:
                may_register = registers(self.by_policy)
                give_policy(code, self.role, registers=may_register, options=self.options)
        elif fleet.arguments is None:
            return f"give allow_registration=True to the fleet {fleet.id!r}"
        else:
            _remake(code, fleet)
        return ""

    def _is_waited_for(self, code: Code) -> bool:
        """Tell whether compute with the role waits for a policy that opens the channels.

        Nothing can wait for the policy of a fleet, so the registration would come too late there.
        """
        return any(
            mapping(statement).get("Sid") == _needs.CHANNELS.sid
            for machine in code.machines(self.role.template, role=self.role)
            for before in machine.waits_for
            if before.type in ATTACHED_BY and self.role in before.waits_for
            for statement in listed(written(before, "PolicyDocument.Statement"))
        )

    def _widen_boundary(self, code: Code) -> str:
        allow = {"Effect": "Allow", "Action": [*self.by_boundary], "Resource": "*"}
        boundary = next(iter(code.named(self.role, "PermissionsBoundary")), None)
        if isinstance(boundary, Resource):
            if code.is_l2(boundary):
                option = "allow_registration=True" if registers(self.by_boundary) else ""
                statements = f"{code.library('session_manager_statements')}({option})"
                code.add(f"{code.l2(boundary)}.add_statements(*{statements})")
                return ""
            if add_statement(code, boundary, "PolicyDocument", allow):
                return ""
        return self._of_boundary

    @property
    def _of_boundary(self) -> str:
        return (
            f"allow {', '.join(self.by_boundary)} in the permissions boundary, or give the role "
            "another boundary if that one is not yours to change"
        )

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Add a policy to those of the role, and a statement to its permissions boundary."""
        if self.by_policy:
            may = [statement_of(self.by_policy)]
            name = changes.free_id(self.role.template, f"{self.role.logical_id}Channels")
            policy = inline(name, may)
            if not changes.add(self.role, "Properties.Policies", policy):
                changes.give(self.role, may)
        if self.by_boundary:
            may_too = statement_of(self.by_boundary)
            boundary = next(iter(changes.named(self.role, "PermissionsBoundary")), None)
            if not isinstance(boundary, Resource) or not changes.statement(
                boundary, "Properties.PolicyDocument", may_too
            ):
                return self._of_boundary
        return ""


def registers(actions: Iterable[str]) -> bool:
    """Tell whether the registration is one of the actions."""
    return not {*_needs.REGISTRATION.actions}.isdisjoint(actions)


def give_policy(
    code: Code, role: Resource, *, registers: bool = False, options: Iterable[str] = ()
) -> None:
    """Give a role the permissions, and have the compute with it wait for them.

    Args:
        code: the code.
        role: the role; a profile of it if it is not in the app.
        registers: whether the role may register.
        options: further arguments of the construct.
    """
    taken = code.construct(role)
    by = "role" if role.type == "AWS::IAM::Role" else "instance_profile"
    given = f"{by}={taken}"
    permissions = new_permissions(code, role, given, registers=registers, options=options)
    for machine in code.machines(role.template, role=role):
        code.wait(machine, permissions)


def new_permissions(
    code: Code, about: Resource, given: str, *, registers: bool, options: Iterable[str] = ()
) -> str:
    """Return the variable of new permissions in the stack of a resource."""
    arguments = [code.stack(about), code.new_id(about, "SessionManager"), given]
    arguments += [*(["allow_registration=True"] if registers else []), *options]
    made_by = code.library("SessionManagerPermissions")
    return code.new("permissions", f"{made_by}({', '.join(arguments)})")


def _remake(code: Code, fleet: FleetMade) -> None:
    """Make a fleet again, with the registration."""
    scope = code.new("fleet_scope", code.at(fleet.scope))
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
    return literal(value)


def allow(role: Role, missing: dict[str, Ability], *options: str) -> tuple[Allow, ...]:
    """Return what allows the missing actions."""

    def lacks(decided: Callable[[Ability], Decision]) -> tuple[str, ...]:
        denied = Answer.IMPLICIT_DENY
        return tuple(action for action, one in missing.items() if decided(one).answer is denied)

    by_policy, by_boundary = lacks(lambda one: one.identity), lacks(lambda one: one.boundary)
    return (Allow(role.resource, by_policy, by_boundary, options),)
