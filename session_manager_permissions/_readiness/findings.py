"""What the check reports about the instance profiles of an assembly."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _needs

from . import rules
from .policies import Answer, Decision, Statement, decide, within
from .roles import ATTACHED_BY, NEEDED, Policy, Profiles, Role
from .templates import Order, listed, mapping, shown, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .templates import Assembly, Resource, Template

VERDICTS: Final = ("ready", "not ready", "can't be known")


class Finding(NamedTuple):
    """One cause, with all the resources that it affects."""

    rule: str
    resources: tuple[Resource, ...]
    location: str
    description: str
    fix: str


def check(assembly: Assembly) -> tuple[list[Finding], Counter[str]]:
    """Return the findings and how many profiles have each verdict."""
    profiles = Profiles(assembly)
    found: list[Finding] = []
    verdicts: Counter[str] = Counter()
    asked = {role: _ask(role) for role in profiles.roles}
    for role in profiles.roles:
        of_role = (
            [*_of_refused(role)]
            or [*_of_policies(role, asked[role])]
            or [*_of_what_is_unknown(role, asked[role])]
        )
        verdicts[_verdict(of_role)] += len(role.profiles)
        found += of_role
    for role in profiles.roles:
        found += _of_aws_managed(role)
    policies = (policy for role in profiles.roles for policy, _ in (*role.inline, *role.managed))
    for policy in dict.fromkeys(policies):
        found += _of_keys(policy)
    found += _of_boots(profiles, asked)
    found = list(dict.fromkeys(found))  # a managed policy may be that of several roles
    if not found and verdicts["ready"]:
        description = f"instances of all {verdicts['ready']} profiles are ready"
        found.append(Finding(rules.READY, (), "", description, ""))
    return found, verdicts


def _verdict(found: list[Finding]) -> str:
    if not found:
        return "ready"
    return "not ready" if rules.RULES[found[0].rule].not_ready else "can't be known"


def _on_profiles(rule: str, role: Role, description: str, fix: str) -> Finding:
    """A finding about a role, reported on all of its profiles."""
    return Finding(rule, tuple(role.profiles), "Properties.Roles", description, fix)


def _of_refused(role: Role) -> Iterator[Finding]:
    """Policies that IAM certainly refuses, so that the deployment fails."""
    for policy, certain in role.policies:
        if certain and policy.refused:
            yield _on_profiles(
                rules.REFUSED_POLICY,
                role,
                f"the deployment will fail: IAM refuses {policy.source}, because {policy.refused}",
                "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html",
            )


def _of_policies(role: Role, asked: dict[str, _RoleDecision]) -> Iterator[Finding]:
    """What certainly keeps Session Manager from instances under the role's profiles."""
    its_role = _its_role(role)
    missing = {
        action: one for action, one in asked.items() if one.decision.answer is Answer.IMPLICIT_DENY
    }
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
            f"{', '.join(denied)} by {_deciding(asked, denied)}, and a Deny overrides every Allow",
            "remove these actions from the Deny; if it denies everything but some actions, add "
            f"these to them: not_actions={denied!r}",
        )
    yield from _of_quotas(role)


def _of_quotas(role: Role) -> Iterator[Finding]:
    """Policies beyond IAM's quotas, so that the deployment fails.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    length = sum(policy.length for policy, certain in role.inline if certain)
    if length > _needs.MAX_INLINE_POLICIES:
        yield _on_profiles(
            rules.POLICIES_TOO_LONG,
            role,
            f"the deployment will fail: the inline policies of {_its_role(role)} have at least "
            f"{length} characters, and IAM allows {_needs.MAX_INLINE_POLICIES} for a role",
            "use a managed policy instead of the inline policy: "
            'iam.ManagedPolicy(self, "SessionManager", roles=[role], '
            "statements=session_manager_statements())",
        )
    for policy, certain in role.managed:
        if certain and policy.length > _MAX_MANAGED_POLICY:
            yield Finding(
                rules.MANAGED_POLICY_TOO_LONG,
                (policy.resource,),
                policy.location,
                f"the deployment will fail: the managed policy {policy.resource.logical_id!r} has "
                f"at least {policy.length} characters, and IAM allows {_MAX_MANAGED_POLICY}",
                "move some of its statements to another policy: "
                'iam.ManagedPolicy(self, "More", roles=[role], statements=[...])',
            )
    if role.managed_policies > _MOST_MANAGED_POLICIES:
        yield _on_profiles(
            rules.TOO_MANY_MANAGED_POLICIES,
            role,
            f"the deployment will fail: {_its_role(role)} has at least {role.managed_policies} "
            f"managed policies, and IAM allows at most {_MOST_MANAGED_POLICIES} on a role",
            "merge several of them into one, or use inline policies",
        )


_MAX_MANAGED_POLICY: Final = 6_144  # characters, white space aside
_MANAGED_POLICIES: Final = 10  # on a role, as the quota is where nobody had it raised
_MOST_MANAGED_POLICIES: Final = 25  # on a role, the most that the quota can be raised to


def _of_what_is_unknown(role: Role, asked: dict[str, _RoleDecision]) -> Iterator[Finding]:
    """What decides whether Session Manager reaches instances, and is in no template."""
    unknown = _answered(asked, Answer.UNKNOWN)
    name = role.name if role.name and not role.in_app else "NAME"
    reasons = [_deciding(asked, unknown)] if unknown else []
    fix = f"ask IAM after the deployment: session-manager-permissions verify --role {name}"
    if role.managed_policies > _MANAGED_POLICIES:
        reasons.append(
            f"the account's quota of managed policies on a role, which is {_MANAGED_POLICIES} "
            f"unless it was raised ({_its_role(role)} has {role.managed_policies})"
        )
        fix = fix if unknown else "look up the quota of the account in Service Quotas"
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
    """What IAM decides about one action of a role."""

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
        boundary = Decision(Answer.ALLOWED)
        if role.boundary is not None:
            boundary = decide(role.boundary, action, resource)
        identity = decide(statements, action, resource)
        found[action] = _RoleDecision(identity, boundary, within(identity, boundary))
    return found


def _answered(asked: dict[str, _RoleDecision], answer: Answer) -> list[str]:
    return [action for action, one in asked.items() if one.decision.answer is answer]


def _remedy(missing: dict[str, _RoleDecision]) -> str:
    """The lines of code that allow the missing actions, in a policy or in the boundary."""
    registers = not missing.keys().isdisjoint(_needs.REGISTRATION.actions)
    option = "allow_registration=True" if registers else ""
    lines = []
    if any(one.identity.answer is Answer.IMPLICIT_DENY for one in missing.values()):
        lines.append(f"{_PERMISSIONS}{', ' if option else ''}{option})")
    if any(one.boundary.answer is Answer.IMPLICIT_DENY for one in missing.values()):
        lines.append(f"boundary.add_statements(*session_manager_statements({option}))")
    return "\n".join(lines)


_PERMISSIONS: Final = 'SessionManagerPermissions(self, "SessionManagerPermissions", role=role'


def _deciding(asked: dict[str, _RoleDecision], actions: list[str]) -> str:
    """The statements that decide about the actions, as a message names them."""
    return " and ".join(
        dict.fromkeys(_name(one) for action in actions for one in asked[action].decision.by)
    )


def _name(statement: Statement) -> str:
    return (
        f"statement {statement.sid!r} of {statement.source}" if statement.sid else statement.source
    )


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
    """Statements about KMS keys that grant nothing, or access to every key."""
    fix = f"{_PERMISSIONS}, encryption_key=key)"
    for statement in policy.statements:
        on_kms = tuple(action for action in statement.actions if action.startswith("kms:"))
        named = statement._replace(actions=on_kms)
        if not statement.allows or statement.not_actions or named.covers_action(_DECRYPT) is False:
            continue
        if named.applies(_DECRYPT, _ANY_KEY):
            yield Finding(
                rules.DECRYPT_ON_ALL_KEYS,
                (policy.resource,),
                policy.location,
                f"{_name(statement)} allows kms:Decrypt on every key whose key policy leaves "
                "access to IAM",
                fix,
            )
        for written, _ in listed(statement.entry.get("Resource")):
            if _is_no_key(written, policy.resource):
                yield Finding(
                    rules.KEY_NOT_BY_ARN,
                    (policy.resource,),
                    policy.location,
                    f"{_name(statement)} allows kms:Decrypt on {shown(written)}, which grants "
                    "nothing: a policy names a key by its ARN alone, not by an alias or a key id",
                    f"{fix}, which takes keys and aliases",
                )


_DECRYPT: Final = "kms:decrypt"
_ANY_KEY: Final = "arn:aws:kms:-:-:key/-"  # matches only patterns that name no particular key
_ALIAS_OR_ID: Final = re.compile(
    r"(arn:[^:]*:kms:[^:]*:[^:]*:)?alias/.*"
    r"|(key/)?(mrk-[0-9a-f]{32}|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12})",
    re.DOTALL,
)


def _is_no_key(written: object, resource: Resource) -> bool:
    """Whether a statement's resource is an alias, or the id of a key, in place of its ARN."""
    if isinstance(written, dict) and "Ref" in written:
        referenced = resource.template.resources.get(str(written["Ref"]))
        return referenced is not None and referenced.type in {"AWS::KMS::Key", "AWS::KMS::Alias"}
    return _ALIAS_OR_ID.fullmatch(text(written)) is not None


class _Late(NamedTuple):
    """The policies that may be attached to a role after an instance with it has booted."""

    role: Role
    policies: frozenset[Policy]
    ours: tuple[Policy, ...]
    """Those of them that have the statement of `session_manager_statements`."""


def _of_boots(profiles: Profiles, asked: dict[Role, dict[str, _RoleDecision]]) -> Iterator[Finding]:
    """Policies of this library that CloudFormation may attach after the instance has booted.

    The agent tries to register at boot. Where that is denied it waits 25 to 30 minutes.
    Only policies of the machine's own template count: the order of stacks is another matter.
    """
    late: defaultdict[tuple[_Late, str, bool], list[Resource]] = defaultdict(list)
    orders: dict[Template, Order] = {}
    for machine in profiles.machines:
        if _boots_later(machine):
            continue
        for profile in profiles.of_machine(machine):
            there = machine.template
            if there not in orders:
                orders[there] = Order(one for one in there.resources.values() if _attaches(one))
            found = _late(machine, profiles.role(profile), orders[there])
            if found.ours:
                late[found, machine.type, _is_l1(machine)].append(machine)
    needed = {found for found, _, _ in late if _matters(found, asked[found.role])}
    for (found, kind, is_l1), machines in late.items():
        if found in needed:
            names = " and ".join(repr(policy.resource.logical_id) for policy in found.ours)
            what = "this instance" if kind == "AWS::EC2::Instance" else "instances of this group"
            yield Finding(
                rules.BOOT_ORDER,
                tuple(dict.fromkeys(machines)),
                "DependsOn",
                f"{what} may boot before the role has the policy {names}, without which the agent "
                "is denied, and it tries again after 25 minutes or more",
                _wait(kind, found.ours[0].resource, is_l1=is_l1),
            )


def _attaches(resource: Resource) -> bool:
    return resource.type in ATTACHED_BY


def _late(machine: Resource, role: Role, order: Order) -> _Late:
    late = [
        policy
        for policy, _ in (*role.inline, *role.managed)
        if policy.resource.template is machine.template
        and _attaches(policy.resource)
        and not order.waits_for(machine, policy.resource)
    ]
    ours = [
        policy for policy in late if any(one.sid == _needs.CHANNELS.sid for one in policy.needed)
    ]
    return _Late(role, frozenset(late), tuple(ours))


def _matters(late: _Late, then: dict[str, _RoleDecision]) -> bool:
    """Whether the late policies are needed: the others do not certainly allow everything."""
    order = list(Answer).index
    at_boot = _ask(late.role, late.policies)
    return any(
        order(then[action].decision.answer) < order(at_boot[action].decision.answer)
        for action in NEEDED
    )


def _boots_later(machine: Resource) -> bool:
    """Whether it is a group that starts with no instance."""
    size = machine.properties.get("DesiredCapacity", machine.properties.get("MinSize"))
    return machine.type != "AWS::EC2::Instance" and str(size) == "0"


def _path(resource: Resource) -> str:
    """Its construct's path; empty where the template does not have it."""
    return text(mapping(resource.body.get("Metadata")).get("aws:cdk:path", ""))


def _is_l1(machine: Resource) -> bool:
    """Whether it is known to be an L1 construct that the app made, not part of an L2 construct."""
    return _path(machine).rpartition("/")[2] not in {"", "Resource", "ASG"}


def _wait(kind: str, policy: Resource, *, is_l1: bool) -> str:
    """The lines of code that make the instance or group wait for the policy."""
    variable = "instance" if kind == "AWS::EC2::Instance" else "group"
    inner = {"instance": "instance.instance", "group": "group.node.default_child"}[variable]
    wait = f"{variable if is_l1 else inner}.node.add_dependency(permissions)"
    path = _path(policy)
    if path.endswith("/Policy/Resource"):
        return wait
    own = f"permissions = {_PERMISSIONS.replace('=role', f'={variable}.role')})"
    if path.endswith("/Policy"):
        return f"exclude=[{variable}] in the fleet\n{own}\n{wait}"
    return f"{wait}\nof a fleet, also: exclude=[{variable}] in the fleet\n{own}"
