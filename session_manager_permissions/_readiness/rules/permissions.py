"""Whether the policies of a role allow what Session Manager needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from session_manager_permissions import _needs
from session_manager_permissions._evaluation import Answer

from .kinds import kind_of, unreachable
from .remedies import Allow, Fix, leave_out
from .rule import Finding, Told, not_ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._readiness.decisions import Ability
    from session_manager_permissions._readiness.roles import Role
    from session_manager_permissions._readiness.templates.model import Resource

    from .statements import Option, Options

CHANNEL_MISSING: Final = not_ready(
    "channel-missing",
    "a `ssmmessages` channel action that no policy allows, or that the permissions boundary "
    "does not allow; the finding also names a missing registration",
)
REGISTRATION_MISSING: Final = not_ready(
    "registration-missing",
    "that no policy allows `ssm:UpdateInstanceInformation`, or that the permissions boundary "
    "does not allow it; Default Host Management Configuration can register the instance instead",
)
EXPLICIT_DENY: Final = not_ready(
    "explicit-deny", "a `Deny` of a channel action or of `ssm:UpdateInstanceInformation`"
)
RULES: Final = (CHANNEL_MISSING, REGISTRATION_MISSING, EXPLICIT_DENY)


def _its_role(role: Role) -> str:
    """Name the role of a profile in a message."""
    return f"its role {role.name!r}" if role.name else "its role"


def of_abilities(role: Role, profile: Resource, abilities: dict[str, Ability]) -> Iterator[Finding]:
    """Find missing and denied actions that keep Session Manager from the instances of a profile."""
    missing = _with_answer(abilities, Answer.IMPLICIT_DENY)
    denied = _with_answer(abilities, Answer.EXPLICIT_DENY)
    lacking = grant(role, missing)
    may_not_call = f"{_its_role(role)} is not allowed{_by(lacking)} to call"
    if channels := sorted(missing.keys() & {*_needs.CHANNELS.actions}):
        why = f"{may_not_call} {', '.join(channels)}"
        yield CHANNEL_MISSING.on_role_of(profile, unreachable(profile, why), lacking)
    if registration := missing.keys() & {*_needs.REGISTRATION.actions}:
        why = f"{kind_of(profile).instances} can't register with Systems Manager: {may_not_call}"
        why += f" {', '.join(registration)}, so they depend on the account's"
        why += " Default Host Management Configuration"
        yield REGISTRATION_MISSING.on_role_of(profile, why, lacking)
    if denied:
        by = _deciding(denied)
        why = f"{_its_role(role)} is denied {', '.join(denied)} by {by}, and a Deny overrides "
        why += "every Allow"
        fix = leave_out(denied, role.resource, by)
        yield EXPLICIT_DENY.on_role_of(profile, unreachable(profile, why), fix)


def _by(lacking: Allow) -> str:
    """Name what does not allow the missing actions, if the permissions boundary is one reason."""
    if not lacking.by_boundary:
        return ""
    return f" by its {'policies and its ' if lacking.actions else ''}permissions boundary"


def as_one(found: list[Finding]) -> list[Finding]:
    """Merge the findings about the channels and the registration into one, and their fixes."""
    found = [one._replace(fixes=_merged(one.fixes)) for one in found]
    fixes = {one.rule: one.fixes for one in found}
    if fixes.get(CHANNEL_MISSING) != fixes.get(REGISTRATION_MISSING):
        return found
    also = ", ".join(("", *_needs.REGISTRATION.actions))
    return [
        one._replace(description=one.description + also) if one.rule == CHANNEL_MISSING else one
        for one in found
        if one.rule != REGISTRATION_MISSING
    ]


def _merged(fixes: tuple[Fix, ...]) -> tuple[Fix, ...]:
    """Merge the fixes that allow missing actions, which may differ between worlds.

    Fixes with different options are not merged, as an option has one value.
    """
    of_roles: dict[tuple[Resource, Options], Allow] = {}
    for fix in fixes:
        if isinstance(fix, Allow):
            key = fix.role, fix.options
            of_roles[key] = of_roles.get(key, fix).with_more(fix)
    return (*of_roles.values(), *(fix for fix in fixes if not isinstance(fix, Allow)))


def undecided(abilities: dict[str, Ability]) -> Iterator[Told]:
    """Yield the statements that decide about the actions whose answer is not known."""
    by = (one.decision.by for one in _with_answer(abilities, Answer.UNKNOWN).values())
    yield from dict.fromkeys(f"{one.name}{one.doubt}" for several in by for one in several)


def _with_answer(abilities: dict[str, Ability], answer: Answer) -> dict[str, Ability]:
    return {action: one for action, one in abilities.items() if one.decision.answer is answer}


def _deciding(abilities: dict[str, Ability]) -> str:
    """Name the statements that decide the actions, for a message."""
    names = (statement.name for one in abilities.values() for statement in one.decision.by)
    return " and ".join(dict.fromkeys(names))


# Fixes -------------------------------------------------------------------------------------------


def grant(role: Role, missing: dict[str, Ability], *options: Option) -> Allow:
    """Return the fix that allows the missing actions."""
    denied = Answer.IMPLICIT_DENY
    by_policy = tuple(name for name, one in missing.items() if one.identity.answer is denied)
    by_boundary = tuple(name for name, one in missing.items() if one.boundary.answer is denied)
    return Allow(role.resource, by_policy, options, by_boundary)
