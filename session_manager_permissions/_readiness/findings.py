"""Judge the instance profiles of an assembly by the findings on them, their roles and compute."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _limits, _needs
from session_manager_permissions._quoting import in_shell

from . import rules
from .compute import Written, compute_of
from .compute_findings import Computes
from .policies import Answer, Decision, decide, within
from .remedies import inner, kind_of
from .roles import ATTACHED_BY, NEEDED, Policy, Profiles, Role
from .rules import Finding
from .templates import listed, mapping, shown, text
from .values import Values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .compute import Compute
    from .templates import Assembly, Resource

VERDICTS: Final = ("ready", "not ready", "can't be known")


def check(assembly: Assembly, *, network: bool) -> tuple[list[Finding], Counter[str]]:
    """Return the findings and how many profiles have each verdict.

    Args:
        assembly: the templates.
        network: whether to look at compute, its network and the trust policies of its roles. The
            boot order is looked at in any case.
    """
    profiles, values = Profiles(assembly), Values(assembly)
    computes = compute_of(values)
    judged = Computes(values, profiles) if network else None
    of_compute, by_profile = judged.findings(computes) if judged else ([], {})
    found: list[Finding] = []
    verdicts: Counter[str] = Counter()
    asked = {role: _ask(role) for role in profiles.roles}
    for role in profiles.roles:
        of_trust = [*judged.of_trust(role)] if judged else []
        of_role = [*_of_refused(role)] or [*_of_policies(role, asked[role])]
        of_role += [one for one in of_trust if isinstance(one, Finding)]
        reasons = [one for one in of_trust if isinstance(one, str)]
        of_role = of_role or [*_of_what_is_unknown(role, asked[role], reasons)]
        for profile in role.profiles:
            verdicts[_verdict(of_role + by_profile.get(profile, []))] += 1
        found += of_role
    found += of_compute
    for role in profiles.roles:
        found += _of_aws_managed(role)
    policies = (policy for role in profiles.roles for policy, _ in role.attached)
    for policy in dict.fromkeys(policies):
        found += _of_keys(policy)
    found += _of_boots(computes, profiles, asked)
    found = list(dict.fromkeys(found))  # a managed policy may be that of several roles
    if not found and verdicts["ready"]:
        description = f"instances of all {verdicts['ready']} profiles are ready"
        found.append(Finding(rules.READY, (), "", description, ""))
    return found, verdicts


def _verdict(found: list[Finding]) -> str:
    """Return the verdict on a profile: with any finding, it is not ready or can't be known."""
    if not found:
        return "ready"
    is_not_ready = any(rules.RULES[finding.rule].not_ready for finding in found)
    return "not ready" if is_not_ready else "can't be known"


def _on_policy(rule: str, policy: Policy, description: str, fix: str) -> Finding:
    """Return a finding about a policy of the app."""
    return Finding(rule, (policy.resource,), policy.location, description, fix)


def _on_profiles(rule: str, role: Role, description: str, fix: str) -> Finding:
    """Return a finding about a role, reported on all of its profiles."""
    return Finding(rule, tuple(role.profiles), "Properties.Roles", description, fix)


def _of_refused(role: Role) -> Iterator[Finding]:
    """Find policies that IAM certainly refuses, so that the deployment fails."""
    for policy, certain in (*role.attached, *role.boundaries):
        reason = policy.reading.refused
        if certain and reason:
            yield _on_profiles(
                rules.REFUSED_POLICY,
                role,
                f"the deployment will fail: IAM refuses {policy.source}, because {reason}",
                "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html",
            )


def _of_policies(role: Role, asked: dict[str, _RoleDecision]) -> Iterator[Finding]:
    """Find what certainly keeps Session Manager from instances under the role's profiles."""
    its_role = _its_role(role)
    missing = _answered(asked, Answer.IMPLICIT_DENY)
    denied = _answered(asked, Answer.EXPLICIT_DENY)
    channels = sorted(missing.keys() & {*_needs.CHANNELS.actions})
    if channels:
        yield _on_profiles(
            rules.CHANNEL_MISSING,
            role,
            f"Session Manager can't reach instances of this profile: {its_role} is not allowed to "
            f"call {', '.join(channels)}",
            _remedy(missing),
        )
    registration = missing.keys() & {*_needs.REGISTRATION.actions}
    if registration:
        yield _on_profiles(
            rules.REGISTRATION_MISSING,
            role,
            f"instances of this profile can't register with Systems Manager: {its_role} is not "
            f"allowed to call {', '.join(registration)}, so they depend on the account's Default "
            "Host Management Configuration",
            _remedy(missing),
        )
    if denied:
        yield _on_profiles(
            rules.EXPLICIT_DENY,
            role,
            f"Session Manager can't reach instances of this profile: {its_role} is denied "
            f"{', '.join(denied)} by {_deciding(denied)}, and a Deny overrides every Allow",
            "remove these actions from the Deny; if it denies everything but some actions, add "
            f"these to them: not_actions={[*denied]!r}",
        )
    yield from _of_quotas(role)


def _of_quotas(role: Role) -> Iterator[Finding]:
    """Find policies beyond IAM's quotas, so that the deployment fails.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    length = sum(policy.length for policy, certain in role.inline if certain)
    if length > _limits.MAX_INLINE_POLICIES:
        yield _on_profiles(
            rules.POLICIES_TOO_LONG,
            role,
            f"the deployment will fail: the inline policies of {_its_role(role)} have at least "
            f"{length} characters, and IAM allows {_limits.MAX_INLINE_POLICIES} for a role",
            "use a managed policy instead of the inline policy: "
            'iam.ManagedPolicy(self, "SessionManager", roles=[role], '
            "statements=session_manager_statements())",
        )
    for policy, certain in role.managed:
        if certain and policy.length > _limits.MAX_MANAGED_POLICY:
            yield _on_policy(
                rules.MANAGED_POLICY_TOO_LONG,
                policy,
                f"the deployment will fail: the managed policy {policy.resource.logical_id!r} has "
                f"at least {policy.length} characters, and IAM allows {_limits.MAX_MANAGED_POLICY}",
                "move some of its statements to another policy: "
                'iam.ManagedPolicy(self, "More", roles=[role], statements=[...])',
            )
    if role.managed_policies > _limits.MAX_MANAGED_POLICIES:
        yield _on_profiles(
            rules.TOO_MANY_MANAGED_POLICIES,
            role,
            f"the deployment will fail: {_its_role(role)} has at least {role.managed_policies} "
            f"managed policies, and IAM allows at most {_limits.MAX_MANAGED_POLICIES} on a role",
            "merge several of them into one, or use inline policies",
        )


def _of_what_is_unknown(
    role: Role, asked: dict[str, _RoleDecision], more: list[str]
) -> Iterator[Finding]:
    """Find what no template says, but decides whether Session Manager reaches instances."""
    unknown = _answered(asked, Answer.UNKNOWN)
    name = "NAME" if role.in_app else in_shell(role.name or "", _limits.ROLE.fault, "NAME")
    reasons = [*more, *([_deciding(unknown)] if unknown else [])]
    fix = f"ask IAM after the deployment: session-manager-permissions verify --role {name}"
    if role.managed_policies > _limits.MANAGED_POLICIES:
        reasons.append(
            "the account's quota of managed policies on a role, which is "
            f"{_limits.MANAGED_POLICIES} unless it was raised ({_its_role(role)} has "
            f"{role.managed_policies})"
        )
        fix = fix if reasons[1:] else "look up the quota of the account in Service Quotas"
    if reasons:
        yield _on_profiles(
            rules.CANNOT_BE_KNOWN,
            role,
            "it can't be known at synthesis whether Session Manager reaches instances of this "
            f"profile: that depends on {', and on '.join(reasons)}",
            fix,
        )


def _its_role(role: Role) -> str:
    return f"its role {role.name!r}" if role.name else "its role"


class _RoleDecision(NamedTuple):
    """IAM's decision about one action of a role."""

    identity: Decision
    """By the role's policies alone."""
    boundary: Decision
    """By its permissions boundary alone."""
    decision: Decision
    """By both together."""


def _ask(role: Role, without: frozenset[Policy] = frozenset()) -> dict[str, _RoleDecision]:
    """Decide each action that an instance needs, leaving out the policies `without`."""
    statements = role.statements(without)
    found = {}
    for action, resource in NEEDED.items():
        identity = decide(statements, action, resource)
        boundary = Decision(Answer.ALLOWED)
        if role.boundary is not None:
            boundary = decide(role.boundary, action, resource)
        found[action] = _RoleDecision(identity, boundary, within(identity, boundary))
    return found


def _answered(asked: dict[str, _RoleDecision], answer: Answer) -> dict[str, _RoleDecision]:
    return {action: one for action, one in asked.items() if one.decision.answer is answer}


def _remedy(missing: dict[str, _RoleDecision]) -> str:
    """Return the lines of code that allow the missing actions, in a policy or in the boundary."""
    registers = not missing.keys().isdisjoint(_needs.REGISTRATION.actions)
    option = "allow_registration=True" if registers else ""
    lines = []
    if any(one.identity.answer is Answer.IMPLICIT_DENY for one in missing.values()):
        lines.append(f"{_CONSTRUCT}{', ' if option else ''}{option})")
    if any(one.boundary.answer is Answer.IMPLICIT_DENY for one in missing.values()):
        lines.append(f"boundary.add_statements(*session_manager_statements({option}))")
    return "\n".join(lines)


_CONSTRUCT: Final = 'SessionManagerPermissions(self, "SessionManagerPermissions", role=role'
"""How the line of code begins that gives the role of a finding the permissions."""


def _deciding(asked: dict[str, _RoleDecision]) -> str:
    """Return the statements that decide about the actions, as a message names them."""
    names = (statement.name for one in asked.values() for statement in one.decision.by)
    return " and ".join(dict.fromkeys(names))


def _of_aws_managed(role: Role) -> Iterator[Finding]:
    for name in role.aws_managed:
        instead = _needs.AWS_MANAGED_DEPRECATED.get(name)
        if instead is not None:
            yield Finding(
                rules.DEPRECATED_POLICY,
                (role.resource,),
                "Properties.ManagedPolicyArns",
                f"the AWS managed policy {name} is deprecated: it allows more than the agent "
                "needs, such as reading every S3 object",
                f'iam.ManagedPolicy.from_aws_managed_policy_name("{instead}") instead',
            )


def _of_keys(policy: Policy) -> Iterator[Finding]:
    """Find statements about KMS keys that grant nothing, or access to every key."""
    fix = f"{_CONSTRUCT}, encryption_key=key)"
    for statement in policy.reading.statements:
        on_kms = tuple(action for action in statement.actions if action.startswith("kms:"))
        named = statement._replace(actions=on_kms)
        if not statement.allows or statement.not_actions or named.covers_action(_DECRYPT) is False:
            continue
        if named.applies(_DECRYPT, _ANY_KEY):
            yield _on_policy(
                rules.DECRYPT_ON_ALL_KEYS,
                policy,
                f"{statement.name} allows kms:Decrypt on every key whose key policy leaves "
                "access to IAM",
                fix,
            )
        for written, _ in listed(statement.written_resource):
            if _is_no_key(written, policy.resource):
                yield _on_policy(
                    rules.KEY_NOT_BY_ARN,
                    policy,
                    f"{statement.name} allows kms:Decrypt on {shown(written)}, which grants "
                    "nothing: a policy names a key by its ARN alone, not by an alias or a key id",
                    f"{fix}, which takes keys and aliases",
                )


_DECRYPT: Final = "kms:Decrypt"
_ANY_KEY: Final = "arn:aws:kms:-:-:key/-"  # matches only patterns that name no particular key
_ALIAS_OR_ID: Final = re.compile(
    r"(arn:[^:]*:kms:[^:]*:[^:]*:)?alias/.*"
    r"|(key/)?(mrk-[0-9a-f]{32}|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12})",
    re.DOTALL,
)


def _is_no_key(written: object, resource: Resource) -> bool:
    """Tell whether a statement's resource is an alias, or the id of a key, in place of its ARN."""
    if isinstance(written, dict) and "Ref" in written:
        referenced = resource.template.resources.get(str(written["Ref"]))
        return referenced is not None and referenced.type in {"AWS::KMS::Key", "AWS::KMS::Alias"}
    return _ALIAS_OR_ID.fullmatch(text(written)) is not None


def _of_boots(
    computes: list[Compute], profiles: Profiles, asked: dict[Role, dict[str, _RoleDecision]]
) -> Iterator[Finding]:
    """Find policies of this library that may be attached after the instance has booted.

    The agent tries to register at boot. Where that is denied it waits 25 to 30 minutes; where it
    may register and not open a channel, less at first.
    Only policies of the machine's own template count: the order of stacks is another matter.
    """
    late: defaultdict[tuple[Role, frozenset[Policy], str, bool], list[Resource]] = defaultdict(list)
    for compute in computes:
        machine, given = compute.resource, compute.profile
        given = given if isinstance(given, Written) else compute.maybe_profile
        # A launch template that nothing uses, and what a service launches, have no placements.
        if not compute.placements or given is None or _boots_later(machine):
            continue
        profile = profiles.profile_of(given.template, given.value)
        if profile is not None:
            role = profiles.role_behind[profile]
            late[role, _late(machine, role), machine.type, machine.is_l1].append(machine)
    for (role, policies, _, _), machines in late.items():
        ours = [policy for policy, _ in role.attached if policy in policies and _is_ours(policy)]
        if ours and _matters(role, policies, asked[role]):
            names = " and ".join(repr(policy.resource.logical_id) for policy in ours)
            what = kind_of(machines[0]).instances
            yield Finding(
                rules.BOOT_ORDER,
                tuple(dict.fromkeys(machines)),
                "DependsOn",
                f"{what} may boot before the role has the policy {names}, without which the agent "
                "is denied until it tries again, which can take 30 minutes",
                _wait(machines[0], ours[0].resource),
            )


def _late(machine: Resource, role: Role) -> frozenset[Policy]:
    """Return the policies that may be attached to the role after the machine has booted."""
    return frozenset(
        policy
        for policy, _ in role.attached
        if policy.resource.template is machine.template
        and policy.resource.type in ATTACHED_BY
        and policy.resource not in machine.waits_for
    )


def _is_ours(policy: Policy) -> bool:
    """Tell whether the policy has the statement of `session_manager_statements`."""
    return any(one.sid == _needs.CHANNELS.sid for one in policy.needed)


def _matters(role: Role, late: frozenset[Policy], then: dict[str, _RoleDecision]) -> bool:
    """Tell whether the late policies are needed: the others do not certainly allow everything."""
    at_boot = _ask(role, late)
    return any(then[action].decision.answer < at_boot[action].decision.answer for action in NEEDED)


def _boots_later(machine: Resource) -> bool:
    """Tell whether it is a group or a fleet that starts with no instance."""
    properties = machine.properties
    sizes = (
        mapping(properties.get("SpotFleetRequestConfigData")).get("TargetCapacity"),
        mapping(properties.get("TargetCapacitySpecification")).get("TotalTargetCapacity"),
        properties.get("DesiredCapacity", properties.get("MinSize")),
    )
    return "0" in map(str, sizes)


def _wait(machine: Resource, policy: Resource) -> str:
    """Return the lines of code that make the instance, group or fleet wait for the policy."""
    variable = kind_of(machine).variable
    wait = f"{inner(machine)}.node.add_dependency(permissions)"
    if policy.path.endswith("/Policy/Resource"):
        return wait
    own = f"permissions = {_CONSTRUCT.replace('=role', f'={variable}.role')})"
    if policy.path.endswith("/Policy"):
        return f"exclude=[{variable}] in the fleet\n{own}\n{wait}"
    return f"{wait}\nof a fleet, also: exclude=[{variable}] in the fleet\n{own}"
