"""Compute that may boot before its role has the policy that the agent needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from session_manager_permissions import _needs
from session_manager_permissions._evaluation import Answer
from session_manager_permissions._readiness.parts import inner
from session_manager_permissions._readiness.policies import NEEDED

from .kinds import kind_of
from .remedies import Allow, Fix, Writer
from .rule import Finding, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._readiness.compute import Compute
    from session_manager_permissions._readiness.decisions import Decisions
    from session_manager_permissions._readiness.roles import Policy, Role
    from session_manager_permissions._readiness.templates.model import Resource

    from .python import Code
    from .statements import Options

BOOT_ORDER: Final = warning(
    "boot-order",
    "compute that may boot before its role has the policy that allows what the agent needs",
    "the instance, or what launches it",
)
RULES: Final = (BOOT_ORDER,)


def of_compute(decisions: Decisions, compute: Compute, role: Role) -> Iterator[Finding]:
    """Find policies of the role that may be attached after the instance has booted.

    The agent tries to register at boot. If that is denied, it waits 25 to 30 minutes. If it may
    register but not open a channel, it waits less at first.
    Only policies in the template of the compute count, as this rule does not judge the order of
    stacks.
    """
    launcher = compute.resource
    late = _late(decisions, launcher, role)
    if late and _boots_at_once(compute) and (lost := _lost(decisions, role, late)):
        policies = [one.resource for one in late if _may_allow(decisions, one, lost)]
        names = " and ".join(repr(one.logical_id) for one in policies)
        lacking = _lacking(decisions, launcher, role)
        why = f"{kind_of(launcher).instances} may boot before the role has the policy {names}: "
        why += "AWS then denies the agent's calls, and the agent tries again up to 30 minutes later"
        wait = Wait(launcher, role.resource, (*dict.fromkeys(policies),), lacking)
        yield BOOT_ORDER.found(launcher, "DependsOn", why, wait)


def lacks_registration(decisions: Decisions, compute: Compute, role: Role) -> bool:
    """Tell whether compute boots when policies allow everything except the registration."""
    lacking = _lacking(decisions, compute.resource, role) if _boots_at_once(compute) else ()
    return {*lacking} == {*_needs.REGISTRATION.actions}


def _lacking(decisions: Decisions, launcher: Resource, role: Role) -> tuple[str, ...]:
    """Return the actions that no policy certainly allows when the instances boot."""
    at_boot = decisions.abilities(role, frozenset(_late(decisions, launcher, role)))
    return tuple(one for one in NEEDED if at_boot[one].identity.answer is not Answer.ALLOWED)


def _late(decisions: Decisions, launcher: Resource, role: Role) -> list[Policy]:
    """Return the policies that may be attached to the role after the instances have booted.

    CloudFormation creates a policy that the role itself names before the role.
    """
    naming = {one.policy for one in (*role.inline, *role.managed) if one.named}
    return [
        policy
        for policy in decisions.roles.relevant_policies(role, tuple(NEEDED))
        if policy in naming
        and policy.resource.template is launcher.template
        and policy.resource not in launcher.waits_for
    ]


def _may_allow(decisions: Decisions, policy: Policy, actions: tuple[str, ...]) -> bool:
    """Tell whether a policy may allow one of some actions."""
    statements = [one for one in decisions.policies.asked_statements(policy) if one.allows]
    return any(one.covers_action(action) is not False for one in statements for action in actions)


def _lost(decisions: Decisions, role: Role, late: list[Policy]) -> tuple[str, ...]:
    """Return the actions that are less certainly allowed at boot than after all attachments.

    Permissions boundaries are ignored, as another rule reports them.
    """
    then, at_boot = decisions.abilities(role), decisions.abilities(role, frozenset(late))
    return tuple(one for one in NEEDED if then[one].identity.answer < at_boot[one].identity.answer)


def _boots_at_once(compute: Compute) -> bool:
    """Tell whether the deployment of the stack boots instances. A group of size 0 boots none.

    A launch template that nothing uses has no placements.
    """
    within, names = _SIZES.get(compute.resource.type, ((), ()))
    given = inner(compute.resource.properties, *within) or {}
    size = next((given[name] for name in names if name in given), None)
    return bool(compute.placements) and compute.resource.template.value(size) != ("0",)


_SIZES: Final = {
    "AWS::AutoScaling::AutoScalingGroup": ((), ("DesiredCapacity", "MinSize")),
    "AWS::Batch::ComputeEnvironment": (("ComputeResources",), ("DesiredvCpus", "MinvCpus")),
    "AWS::EC2::EC2Fleet": (("TargetCapacitySpecification",), ("TotalTargetCapacity",)),
    "AWS::EC2::SpotFleet": (("SpotFleetRequestConfigData",), ("TargetCapacity",)),
    "AWS::EKS::Nodegroup": (("ScalingConfig",), ("DesiredSize",)),
}
"""The properties of each type that say how many instances boot. The first that is set counts."""


@dataclass(frozen=True)
class Wait(Fix):
    """Makes the resource that launches instances depend on the policies of their role."""

    launcher: Resource
    role: Resource
    """The role; a profile of it if it is not in the app."""
    policies: tuple[Resource, ...]
    lacking: tuple[str, ...]
    """The actions that the role lacks at boot."""
    options: Options = ()
    """What else sessions need."""

    def with_more(self, more: Allow) -> Wait:
        """Return a fix with what else sessions need."""
        return replace(self, options=more.options)

    def in_python(self, code: Code) -> None:
        """Write the dependencies. In place of a fleet's policy, the role gets a policy of its own.

        A fleet makes its policies at the end of the synthesis, so nothing can depend on them.
        """
        if any(map(code.constructs.is_of_fleet, self.policies)):
            instead = Allow(self.role, self.lacking, self.options)
            code.once(instead, partial(instead.give_policy, code))
        else:
            self.apply(code)

    def apply(self, to: Writer) -> None:
        """Make the resource that launches the instances depend on each policy."""
        for policy in self.policies:
            if self.launcher in policy.waits_for:
                late, launcher = repr(policy.logical_id), repr(self.launcher.logical_id)
                depend = f"and have {launcher} depend on {late} instead"
                to.say(f"remove the dependency of {late} on {launcher}, {depend}")
                return
            to.wait(self.launcher, policy)
