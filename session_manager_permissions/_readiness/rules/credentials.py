"""What gives the SSM Agent credentials: a profile, a role that EC2 may assume, and the metadata."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from session_manager_permissions import _needs
from session_manager_permissions._network.facts import Unknown
from session_manager_permissions._readiness.roles import ROLE_IN, Role
from session_manager_permissions._readiness.templates.model import Resource, Unresolved, Value
from session_manager_permissions._readiness.templates.texts import as_text
from session_manager_permissions._trust import EC2, Trust, trust

from .kinds import kind_of, launches, unreachable
from .remedies import AddStatement, Advice, Allow, Fix, Set, Writer
from .rule import Told, not_ready
from .statements import Options, trusted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from session_manager_permissions._readiness.compute import Compute
    from session_manager_permissions._readiness.later_changes import LaterChanges
    from session_manager_permissions._readiness.parts import Parts

    from .writer import NewRole

NO_INSTANCE_PROFILE: Final = not_ready(
    "no-instance-profile",
    "compute without an instance profile: the agent has no credentials, unless Default "
    "Host Management Configuration gives it some",
    "the instance, launch template, launch configuration or Spot fleet",
)
ROLE_NOT_ASSUMABLE: Final = not_ready(
    "role-not-assumable", "a trust policy that does not let EC2 assume the role", "the role"
)
METADATA_OFF: Final = not_ready(
    "metadata-off",
    "`HttpEndpoint: disabled`: the agent gets no credentials",
    "the instance, launch template, launch configuration or Spot fleet",
)
RULES: Final = (NO_INSTANCE_PROFILE, ROLE_NOT_ASSUMABLE, METADATA_OFF)


def of_trust(
    parts: Parts, later: LaterChanges, role: Role, places: Iterable[Resource]
) -> Iterator[Told]:
    """Find a role that EC2 may not assume, in each region of its instances."""
    if not role.in_app:
        return
    resource = role.resource
    found = _trust_of(parts, resource)
    if found.answer == "allowed":
        return
    changed_by = parts.changed(resource)
    if found.answer == "unknown":
        yield f"the trust policy of its role {role.name!r}"
    elif changed_by is not None:
        yield f"{changed_by.decides}, as {found.why}"
    elif all(backups := [later.host_management(one) or later.by_runbook(one) for one in places]):
        yield f"{backups[0]}, as {found.why}"
    else:
        path, whose = "AssumeRolePolicyDocument", f"the trust policy of {resource.logical_id!r}"
        let = f"let {EC2} assume the role in {whose}"
        fix: Fix = AddStatement(resource, path, trusted(EC2), let)
        if found.by_deny:
            fix = Advice(f"leave {EC2} out of the Deny of {whose}")
        why = f"the SSM Agent gets no credentials for the role {role.name!r}: {found.why}"
        yield ROLE_NOT_ASSUMABLE.found(resource, f"Properties.{path}", why, fix)


def may_be_assumed(parts: Parts, role: Role) -> bool:
    """Tell whether EC2 may assume a role. A trust policy that is not known may allow it."""
    return not role.in_app or _trust_of(parts, role.resource).answer != "denied"


def _trust_of(parts: Parts, role: Resource) -> Trust:
    def judge() -> Trust:
        written = role.properties.get("AssumeRolePolicyDocument")
        known = partial(_with_suffix, parts.assembly.settled)
        return trust(parts.assembly.document(role.template, written, known), EC2)

    return parts.worlds.once(("trust", role), judge)


def _with_suffix(settled: Callable[[Value], Value], value: Value) -> str:
    """Return a value as a text, in which `${AWS::URLSuffix}` is left if the partition is not known.

    The world decides the value of a parameter that may name EC2.
    """
    match value:
        case (str(known),):  # most values are texts
            return known
        case (Unresolved(allowed=frozenset(several)),) if any("ec2." in one for one in several):
            value = settled(value)
    suffix = "AWS::URLSuffix"
    return "".join(
        f"${{{suffix}}}" if getattr(part, "expression", "") == suffix else as_text((part,))
        for part in value
    )


def of_profile(later: LaterChanges, compute: Compute) -> Iterator[Told]:
    """Find compute that has no instance profile."""
    profile, where = compute.launch.profile, compute.launch.origin
    if isinstance(profile, Unknown) and compute.placements:
        yield profile.decides
    elif profile is None and compute.resource.type not in ROLE_IN:
        name = "IamInstanceProfile"
        lacking = [f"{before}{name}" for before, one in launches(where) if not one.get(name)]
        why = "without an instance profile, the SSM Agent gets credentials only from the account's "
        why += "Default Host Management Configuration"
        fix: Fix = Advice(f"name an instance profile in each specification of {where.logical_id!r}")
        if lacking:
            fix = GiveProfile(where, (*lacking,))
        location = f"Properties.{next(iter(lacking), f'{kind_of(where).launch}{name}')}"
        found = NO_INSTANCE_PROFILE.found(where, location, unreachable(where, why), fix)
        yield later.gives_profile(compute.resource) or found


def of_metadata(compute: Compute) -> Iterator[Told]:
    """Find compute whose metadata endpoint is disabled."""
    off, where = compute.launch.metadata_off, compute.launch.origin
    if isinstance(off, Unknown):
        yield off.decides
    elif off:
        path = f"{kind_of(where).launch}MetadataOptions.HttpEndpoint"
        why = (
            "the instance metadata service, which gives the SSM Agent its credentials, is disabled"
        )
        enable = Set(where, path, "enabled")
        yield METADATA_OFF.found(where, f"Properties.{path}", unreachable(where, why), enable)


# Fixes -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GiveProfile(Fix):
    """Gives instances a profile with a role that has the permissions. Each stack gets one."""

    where: Resource
    """The resource whose property must name the profile."""
    paths: tuple[str, ...]
    options: Options = ()
    """What else sessions need."""

    def with_more(self, more: Allow) -> GiveProfile:
        """Return a fix with what else sessions need."""
        return replace(self, options=more.options)

    def apply(self, to: Writer) -> None:
        """Make the profile, name it in the resource, and make instances depend on its policy."""
        where = self.where
        profile: NewRole = to.once(("profile", where.template), partial(self._make, to))
        given = profile.name if where.type in _BY_NAME else {"Arn": profile.arn}
        for path in self.paths:
            Set(where, path, given).apply(to)
        if profile.policy:
            to.have_wait(where, profile.policy, where)

    def _make(self, to: Writer) -> NewRole:
        needed = (_needs.CHANNELS, _needs.REGISTRATION)
        return to.make_profile(self.where, to.make_role(self.where, EC2, needed, self.options))


_BY_NAME: Final = ("AWS::EC2::Instance", "AWS::AutoScaling::LaunchConfiguration")
"""The types that name a profile by its name alone."""
