"""Compute that may boot before its role has the policy that the agent needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._readiness.launch import Written
from session_manager_permissions._readiness.policies import NEEDED
from session_manager_permissions._readiness.roles import ATTACHED_BY, ROLE_IN
from session_manager_permissions._readiness.templates.functions import mapping

from .kinds import kind_of
from .permissions import give_policy, registers
from .rule import Finding, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._readiness.compute import Compute
    from session_manager_permissions._readiness.roles import Policy, Role, Roles
    from session_manager_permissions._readiness.templates.model import Resource

    from .changes import TemplateChanges
    from .fixes import Code

BOOT_ORDER: Final = "boot-order"
RULES: Final = (
    warning(
        BOOT_ORDER,
        "compute that may boot before the policy of its role that allows what the agent needs",
        "the instance, Auto Scaling group or fleet",
    ),
)


def of_compute(roles: Roles, compute: Compute) -> Iterator[Finding]:
    """Find policies of this library that may be attached after the instance has booted.

    The agent tries to register at boot. Where that is denied it waits 25 to 30 minutes; where it
    may register and not open a channel, less at first.
    Only policies of the machine's own template count: the order of stacks is another matter.
    """
    machine, given = compute.resource, compute.profile
    given = given if isinstance(given, Written) else compute.maybe_profile
    # A launch template that nothing uses, and what a service launches, have no placements.
    if not compute.placements or _boots_later(machine):
        return
    holder = machine if machine.type in ROLE_IN else None
    if given is not None and holder is None:
        holder = roles.profile_of(given.template, given.value)
    if holder is None:
        return
    role = roles.of_holder(holder)
    late = _late(roles, machine, role)
    ours = [policy for policy in roles.attached(role) if policy in late and _is_ours(roles, policy)]
    if ours and _matters(roles, role, late):
        names = " and ".join(repr(policy.resource.logical_id) for policy in ours)
        yield Finding(
            BOOT_ORDER,
            (machine,),
            "DependsOn",
            f"{kind_of(machine).instances} may boot before the role has the policy {names}, "
            "without which the agent is denied until it tries again, which can take 30 minutes",
            (_wait(roles, role, late, ours),),
        )


def _late(roles: Roles, machine: Resource, role: Role) -> frozenset[Policy]:
    """Return the policies that may be attached to the role after the machine has booted."""
    return frozenset(
        policy
        for policy in roles.attached(role)
        if policy.resource.template is machine.template
        and policy.resource.type in ATTACHED_BY
        and policy.resource not in machine.waits_for
    )


def _is_ours(roles: Roles, policy: Policy) -> bool:
    """Tell whether the policy has the statement of `session_manager_statements`."""
    return any(one.sid == _needs.CHANNELS.sid for one in roles.statements(policy))


def _matters(roles: Roles, role: Role, late: frozenset[Policy]) -> bool:
    """Tell whether the late policies are needed: the others do not certainly allow everything."""
    then, at_boot = roles.abilities(role), roles.abilities(role, late)
    return any(then[action].decision.answer < at_boot[action].decision.answer for action in NEEDED)


def _wait(roles: Roles, role: Role, late: frozenset[Policy], ours: list[Policy]) -> Wait:
    then, at_boot = roles.abilities(role), roles.abilities(role, late)
    later = [one for one in NEEDED if then[one].decision.answer < at_boot[one].decision.answer]
    policies = tuple(dict.fromkeys(policy.resource for policy in ours))
    return Wait(role.resource, policies, registers(later))


def _boots_later(machine: Resource) -> bool:
    """Tell whether it is a group or a fleet that starts with no instance."""
    properties = machine.properties
    sizes = (
        mapping(properties.get("SpotFleetRequestConfigData")).get("TargetCapacity"),
        mapping(properties.get("TargetCapacitySpecification")).get("TotalTargetCapacity"),
        properties.get("DesiredCapacity", properties.get("MinSize")),
        mapping(properties.get("ScalingConfig")).get("DesiredSize"),
    )
    return "0" in map(str, sizes)


class Wait(NamedTuple):
    """Makes the instances, groups or fleets wait for the policies of their role."""

    role: Resource
    """The role; a profile of it if it is not in the app."""
    policies: tuple[Resource, ...]
    registers: bool
    """Whether one of them is needed for the registration."""

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:
        """Write the dependencies; in place of a fleet's policy, on one of the role's own.

        A fleet makes its policies when all else is made, so nothing can wait for one.
        """
        if any(code.is_of_fleet(policy) for policy in self.policies):
            give_policy(code, self.role, registers=self.registers)
            return ""
        for machine in resources:
            for policy in self.policies:
                if machine in policy.waits_for:
                    return _waits_already(machine, policy)
                code.wait(machine, code.maker(policy))
        return ""

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:
        """Name the policies in `DependsOn`."""
        for machine in resources:
            for policy in self.policies:
                if machine in policy.waits_for:
                    return _waits_already(machine, policy)
                changes.wait(machine, policy.logical_id)
        return ""


def _waits_already(machine: Resource, policy: Resource) -> str:
    return (
        f"{machine.logical_id!r} can't wait for {policy.logical_id!r}, which itself depends on it: "
        "remove that dependency"
    )
