"""Policies of a role that exceed IAM's quotas, so that the deployment fails.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from session_manager_permissions import _limits

from .remedies import Advice
from .rule import Told, not_ready
from .writer import role_behind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from session_manager_permissions._readiness.roles import Attachment, Policy, Role, Roles
    from session_manager_permissions._readiness.templates.model import Resource

POLICIES_TOO_LONG: Final = not_ready(
    "inline-policies-too-long",
    f"inline policies of its role with more than {_limits.MAX_INLINE_POLICIES:,} characters, "
    "which IAM refuses",
)
MANAGED_POLICY_TOO_LONG: Final = not_ready(
    "managed-policy-too-long",
    f"a managed policy of the role with more than {_limits.MAX_MANAGED_POLICY:,} characters, "
    "which IAM refuses",
    "the policy",
)
TOO_MANY_MANAGED_POLICIES: Final = not_ready(
    "too-many-managed-policies",
    f"more than {_limits.MAX_MANAGED_POLICIES} managed policies on its role, the most that the "
    "quota can be raised to",
)
RULES: Final = (POLICIES_TOO_LONG, MANAGED_POLICY_TOO_LONG, TOO_MANY_MANAGED_POLICIES)

_FAILS: Final = "the deployment will fail: "


def of_role(roles: Roles, role: Role, profile: Resource) -> Iterator[Told]:
    """Find policies of a role that exceed IAM's quotas."""
    length, its_role = _inline_length(roles, role), role_behind(role.resource)
    if length > _limits.MAX_INLINE_POLICIES:
        why = f"the inline policies of {its_role} have at least {length} characters, and IAM "
        why += f"allows {_limits.MAX_INLINE_POLICIES} for a role"
        fix = Advice(f"turn one of the inline policies of {its_role} into a managed policy")
        yield POLICIES_TOO_LONG.on_role_of(profile, _FAILS + why, fix)
    for policy in _long_managed(roles, role):
        name = f"the managed policy {policy.resource.logical_id!r}"
        why = f"{_FAILS}{name} has at least {policy.length} characters, and IAM allows "
        why += f"{_limits.MAX_MANAGED_POLICY}"
        fix = Advice(f"move some of the statements of {name} to another managed policy")
        yield MANAGED_POLICY_TOO_LONG.found(policy.resource, policy.location, why, fix)
    number = _managed_policies(roles, role)
    if number > _limits.MAX_MANAGED_POLICIES:
        why = f"{its_role} has at least {number} managed policies, and IAM allows at most "
        why += f"{_limits.MAX_MANAGED_POLICIES} on a role"
        merge = f"merge several managed policies of {its_role} into one, or use inline policies"
        yield TOO_MANY_MANAGED_POLICIES.on_role_of(profile, _FAILS + why, Advice(merge))
    elif number > _limits.MANAGED_POLICIES:
        quota = "the account's quota of managed policies for a role (Service Quotas shows it, the "
        quota += f"default is {_limits.MANAGED_POLICIES}"
        yield f"{quota}, and {its_role} has {number})"


# First, the policies of all worlds together are compared with the quota. Only if they exceed it are
# the policies of each world counted.


def _certain(roles: Roles, role: Role, attached: Iterable[Attachment]) -> list[Policy]:
    """Return the policies that a role certainly has."""
    return [
        one.policy
        for one in attached
        if roles.is_in_its_account(role, one.policy) and roles.has(role, one)
    ]


def _inline_length(roles: Roles, role: Role) -> int:
    """Return the minimum length of a role's inline policies; 0 if they can't be too long."""
    if sum(one.policy.longest for one in role.inline) <= _limits.MAX_INLINE_POLICIES:
        return 0
    return sum(policy.length for policy in _certain(roles, role, role.inline))


def _long_managed(roles: Roles, role: Role) -> list[Policy]:
    """Return the managed policies of a role that are certainly too long."""
    most = _limits.MAX_MANAGED_POLICY
    long = [one for one in role.managed if one.policy.longest > most and one.policy.length > most]
    return _certain(roles, role, long)


def _managed_policies(roles: Roles, role: Role) -> int:
    """Return the minimum number of a role's managed policies; 0 if they can't be too many."""
    if len(role.managed) + len(role.others) <= _limits.MANAGED_POLICIES:
        return 0
    there = (one.value for one, _ in role.others if one.is_there)
    known = (roles.known_arn(role.resource, value) for value in there)
    arns = {arn for arn in known if arn.startswith("arn:")}
    # A policy of the app may also be given by its ARN.
    aws = {arn for arn in arns if ":aws:policy/" in arn}
    return len(aws) + max(len({*_certain(roles, role, role.managed)}), len(arns - aws))
