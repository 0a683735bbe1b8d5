"""A rule of the check, and a finding of a rule."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from session_manager_permissions._readiness.roles import ROLE_IN

from .remedies import Allow, Fix

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from session_manager_permissions._readiness.templates.model import Resource

    from .steps import Step

_NOT_READY: Final = "warning; error if strict"


class ReadinessRule(NamedTuple):
    """A rule of the check."""

    severity: str
    """`warning`, `info`, or `_NOT_READY` for a warning that becomes an error with `strict`."""
    id: str
    finds: str
    reported_on: str = "the profile or node group"

    @property
    def not_ready(self) -> bool:
        """Whether a profile with such a finding is not ready."""
        return self.severity == _NOT_READY

    def severity_if(self, *, strict: bool) -> str:
        """Return the severity of its findings: `error`, `warning` or `info`."""
        if self.not_ready:
            return "error" if strict else "warning"
        return self.severity

    def found(self, on: Resource, location: str, said: str, *fixes: Fix) -> Finding:
        """Return a finding of this rule on a resource."""
        return Finding(self, (on,), location, said, fixes)

    def on_role_of(self, profile: Resource, said: str, *fixes: Fix) -> Finding:
        """Return a finding of this rule about the role of a profile."""
        return Finding(self, (profile,), f"Properties.{ROLE_IN[profile.type]}", said, fixes)


not_ready = partial(ReadinessRule, _NOT_READY)
warning = partial(ReadinessRule, "warning")
info = partial(ReadinessRule, "info")


class Finding(NamedTuple):
    """A finding of a rule, on all the resources that it concerns."""

    rule: ReadinessRule
    resources: tuple[Resource, ...]
    location: str
    description: str
    fixes: tuple[Fix, ...] = ()
    """Its fixes, until they are written."""
    code: str = ""
    """Its fixes, written as code for an app."""
    steps: tuple[Step, ...] = ()
    """Its fixes, written as steps for a template."""

    @property
    def place(self) -> Hashable:
        """The rule, the resources and the property of the finding."""
        return self.rule, self.resources, self.location


def allows_of(found: Iterable[Finding]) -> list[Allow]:
    """Return the fixes of findings that give a role missing permissions."""
    return [fix for one in found for fix in one.fixes if isinstance(fix, Allow)]


def together(findings: Iterable[Finding], cause: Callable[[Finding], Hashable]) -> list[Finding]:
    """Merge the findings with the same cause into one, with all their resources and fixes."""
    several = defaultdict[Any, list[Finding]](list)
    for finding in findings:
        several[cause(finding)].append(finding)
    return [_merged(found) if found[1:] else found[0] for found in several.values()]


def _merged(found: list[Finding]) -> Finding:
    # A role may lack less in one world than in another: the shortest description claims the least.
    shortest = min(found, key=lambda one: (len(one.description), one.description))
    return shortest._replace(
        resources=(*dict.fromkeys(where for each in found for where in each.resources),),
        fixes=(*dict.fromkeys(fix for each in found for fix in each.fixes),),
    )


def with_more(found: list[Finding], more: Allow) -> list[Finding]:
    """Add what else sessions need to each fix that gives a role its permissions."""
    return [one._replace(fixes=tuple(fix.with_more(more) for fix in one.fixes)) for one in found]


Told: TypeAlias = "Finding | Callable[[], Iterable[Finding]] | str"
"""What a rule tells about a world: a finding, or a function that makes findings with slow fixes.

If it can't be known whether something is wrong, it is a noun that names what decides.
"""
