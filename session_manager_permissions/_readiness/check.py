"""Judge the instance profiles of an assembly by the findings on them, their roles and compute."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cached_property, partial, reduce
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from session_manager_permissions import _limits, _needs
from session_manager_permissions._evaluation import Answer
from session_manager_permissions._quoting import in_shell

from . import rules
from .compute import Compute, Launchers
from .decisions import Decisions
from .fixes import with_fixes
from .judging import in_its_worlds, judged
from .later_changes import LaterChanges
from .launch import TEMPLATE, Written
from .marks import marked
from .network import judge_of
from .parts import Parts, decider
from .policies import DECRYPT
from .roles import ATTACHED_BY, ROLE_IN, Role, Roles
from .rules import CANNOT_BE_KNOWN, Finding, Told
from .rules.constructs import Constructs
from .rules.kinds import kind_of
from .rules.remedies import Allow, Ask
from .rules.rule import allows_of, together, with_more
from .rules.writer import LaunchedBy, Shared, written
from .sessions import Sessions
from .worlds import only_if

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from session_manager_permissions._network.model import Reference

    from .rules.statements import Options
    from .templates import Assembly
    from .templates.model import Resource, Template

_Found = TypeVar("_Found")

_ASK_AWS: Final = Ask(
    "Ask AWS after the deployment: session-manager-permissions verify --instance-id ID"
)

VERDICTS: Final = ("ready", "not ready", "can't be known")


def check(
    assembly: Assembly, *, network: bool, constructs: Constructs | None = None
) -> tuple[list[Finding], Counter[str]]:
    """Return the findings and how many profiles have each verdict.

    Args:
        assembly: the templates.
        network: whether to check compute, its network and the trust policies of its roles. The boot
            order is checked in any case.
        constructs: tells which constructs make the resources, for the code of fixes. Default: -
            findings say what to change in the templates.
    """
    checked = _Checking(assembly, with_compute=network)
    found, verdicts = checked.findings()
    found = checked.written(found, constructs)
    if not found and verdicts["ready"]:
        description = f"instances of all {verdicts['ready']} profiles are ready"
        if unread := unread_stacks(assembly):
            description += f". {not_read(unread)}"
        found.append(Finding(rules.READY, (), "", description))
    return found, verdicts


def unread_stacks(assembly: Assembly) -> list[Resource]:
    """Return the resources that deploy templates which were not read and may launch instances."""
    return Launchers(Parts(assembly)).stacks


def not_read(stacks: list[Resource]) -> str:
    """Name the stacks whose templates were not read."""
    return f"Not read: the templates of {', '.join(one.logical_id for one in stacks)}"


class _Launched(NamedTuple):
    """Compute, with its profile. A node group stands for the profile that EKS makes for it."""

    compute: Compute
    profile: Resource | None = None
    """None if it has no profile, or if that is not known."""
    role: Role | None = None
    """The role of the profile."""
    maybe_profile: Resource | None = None
    """The profile of the app that the compute may have, if that is not certain."""
    decides: tuple[str, ...] = ()
    """What decides which profile it has, if that is not known."""


class _Checking:
    def __init__(self, assembly: Assembly, *, with_compute: bool) -> None:
        self._assembly = assembly
        self._with_compute = with_compute
        self._worlds = assembly.worlds
        self._roles = Roles(assembly)
        self._parts = Parts(assembly)
        self._launchers = Launchers(self._parts)
        self._decisions = Decisions(self._roles, self._launchers)
        self._later = LaterChanges(self._parts, self._decisions)
        self._sessions = Sessions(self._parts, self._roles)
        self._session_rules = rules.sessions.SessionRules(
            self._parts, self._decisions, self._sessions
        )
        self._network_rules = rules.network.NetworkRules(
            self._parts, judge_of(assembly), lambda: self._subnets
        )

    def findings(self) -> tuple[list[Finding], Counter[str]]:
        by_profile: dict[Resource, list[Finding]] = {}
        by_roles: defaultdict[tuple[Role, ...], list[Finding]] = defaultdict(list)
        of_sessions: list[Finding] = []
        for profile in self._parts.of_types(ROLE_IN):
            behind, of_role = self._judge_profile(profile)
            if behind or of_role:
                by_profile[profile] = of_role
                apart = self._on_sessions(profile, of_role)  # with a finding for each cause
                places = {one.place for one in apart}
                by_roles[behind] += [one for one in of_role if one.place not in places]
                of_sessions += apart
        found = [one for several in by_roles.values() for one in together(several, _in_template)]
        found += self._add_findings_on_compute(by_profile) if self._with_compute else []
        found += self._warnings_on_policies({role: None for behind in by_roles for role in behind})
        found += self._warnings_on_compute()
        for service in self._assembly.by_type["AWS::ECS::Service"]:
            of_service = partial(rules.containers.of_service, self._session_rules, service)
            found += in_its_worlds(self._worlds, of_service)
        of_grants = partial(rules.tags.of_grants, self._parts, self._roles, self._launchers)
        found += in_its_worlds(self._worlds, of_grants)
        return [*found, *of_sessions], Counter(map(_verdict, by_profile.values()))

    def written(self, found: list[Finding], constructs: Constructs | None) -> list[Finding]:
        """Return the findings with their fixes as code, or as changes of the templates."""
        shared = Shared(self._parts, (constructs or Constructs()).has, self._ways_to_launch)
        return with_fixes(found, shared, constructs)

    def _ways_to_launch(self) -> list[LaunchedBy]:
        """Return each resource that launches instances in any world, with their role."""

        def of(launched: _Launched) -> Iterator[LaunchedBy]:
            compute, role = launched.compute, self._may_have(launched)
            lacks = role is not None and rules.boot_order.lacks_registration(
                self._decisions, compute, role
            )
            of_role = role.resource if role else None
            yield LaunchedBy(compute.resource, compute.launch.origin, of_role, lacks)

        return self._in_all_compute(of)

    def _in_all_compute(
        self, find: Callable[[_Launched], Iterable[_Found]], *more: Resource
    ) -> list[_Found]:
        """Return the findings in any world on the compute of each launcher and of `more`."""

        def of(resource: Resource) -> Iterator[_Found]:
            for one in self._launched(resource):
                yield from find(one)

        resources = (*self._launchers.resources, *more)
        return [one for each in resources for one in self._worlds.in_any(partial(of, each))]

    # Profiles and their roles --------------------------------------------------------------------

    def _judge_profile(self, profile: Resource) -> tuple[tuple[Role, ...], list[Finding]]:
        """Judge a profile by its possible roles. A profile that no world has is without a role."""
        roles: dict[Role, None] = {}

        def judge() -> list[Told]:
            only_if(profile.exists)
            role = self._roles.of_holder(profile)
            told = self._problems_of_role(role, profile)
            roles[role] = None
            return told

        judgement = judged(self._worlds, judge)
        behind = (*roles,)
        if judgement.decides:
            return behind, [_unknown_profile(profile, behind, judgement.decides)]
        found = rules.permissions.as_one(judgement.found)
        if found and len(behind) == 1:

            def lacking() -> Allow:
                only_if(profile.exists)
                return self._session_rules.lacking(behind[0], profile)

            options = self._worlds.in_all(lambda: lacking().options)
            by_boundary = self._worlds.in_all(lambda: lacking().by_boundary)
            more = Allow(behind[0].resource, (), (*options,), (*by_boundary,))
            found = with_more(found, more)
        return behind, found

    def _problems_of_role(self, role: Role, profile: Resource) -> list[Told]:
        abilities = self._decisions.abilities(role)
        told: list[Told] = [*rules.permissions.of_abilities(role, profile, abilities)]
        rules_of, places = self._session_rules, self._places(profile)
        denied = [one for each in places for one in rules_of.of_default_calls(role, each)]
        backup = self._backup(role, profile) if told or denied else ""
        if backup:
            told, denied = [backup], []
        if self._with_compute:
            told += rules.credentials.of_trust(self._parts, self._later, role, places)
            told += filter(None, [self._launchers.in_code(role.resource, profile)])
        told += rules.permissions.undecided(abilities)
        told += (one for each in places for one in rules_of.of_role(role, each))
        told += denied
        told += rules.quotas.of_role(self._roles, role, profile)
        return told

    def _backup(self, role: Role, profile: Resource) -> str:
        """Name what may replace the permissions of a role for the agent; empty if nothing does.

        It is Default Host Management, a custom resource that may change the role, or a hybrid
        activation.
        """
        answers = (self._decisions.abilities(role)[one] for one in _needs.REGISTRATION.actions)
        registers = all(one.decision.answer is Answer.ALLOWED for one in answers)
        registers = registers and rules.credentials.may_be_assumed(self._parts, role)
        stands_in = partial(self._later.stands_in, role, profile, registers=registers)
        backups = [stands_in(each) for each in self._places(profile)]
        return (all(backups) and backups[0]) or self._activations.get(profile, "")

    def _places(self, profile: Resource) -> list[Resource]:
        """Return the resources that launch instances with a profile, for each stack.

        It is the profile itself if nothing launches any, or if the app has only one region.
        """
        launching = [one for one in self._launching.get(profile, ()) if one.exists]
        return [*{one.template.stack: one for one in launching}.values()] or [profile]

    @cached_property
    def _launching(self) -> dict[Resource, list[Resource]]:
        """The resources that launch instances with each profile, if the app has several regions."""

        def of(launched: _Launched) -> Iterator[tuple[Resource, Resource]]:
            if launched.profile:
                yield launched.profile, launched.compute.resource

        found: dict[Resource, list[Resource]] = {}
        if len({one.stack.environment for one in self._assembly.templates}) > 1:
            for profile, resource in self._in_all_compute(of):
                found.setdefault(profile, []).append(resource)
        return found

    @cached_property
    def _activations(self) -> dict[Resource | None, str]:
        """The hybrid activation that instances of each profile register by in any world."""

        def of(launched: _Launched) -> Iterator[tuple[Resource | None, str]]:
            activation = launched.compute.launch.scripts.activation
            if activation is not None:
                yield launched.profile, activation.decides

        return dict(self._in_all_compute(of, *self._launchers.templates))

    def _warnings_on_policies(self, roles: Iterable[Role]) -> Iterator[Finding]:
        """Find policies of roles that deserve a warning."""
        for role in roles:
            if role.in_app:
                of_role = partial(rules.advice.of_role, self._roles, self._session_rules, role)
                yield from self._worlds.in_any(of_role)
        policies = (one.policy for role in roles for one in (*role.inline, *role.managed))
        for policy in dict.fromkeys(policies):
            if policy.may_be_about((DECRYPT,)):
                of_policy = partial(rules.advice.of_policy, self._decisions.policies, policy)
                yield from self._worlds.in_any(of_policy)

    def _on_sessions(self, profile: Resource, of_role: list[Finding]) -> list[Finding]:
        """Find why sessions on the instances of a profile fail, although they can be reached.

        Args:
            profile: the profile.
            of_role: the findings on its role, whose fixes may allow the calls for a document.
        """
        allows = allows_of(of_role)

        def find() -> Iterator[Finding]:
            only_if(profile.exists)
            role = self._roles.of_holder(profile)
            rules_of, places = self._session_rules, self._places(profile)
            denied = [one for each in places for one in rules_of.of_calls(role, each)]
            # The fix of the role may allow the calls for one of the documents.
            is_allowed = any(fix.includes(one) for fix in allows for one in allows_of(denied))
            yield from (one for each in (profile, *places) for one in rules_of.of_documents(each))
            if denied and not is_allowed and not self._backup(role, profile):
                yield from reduce(with_more, allows, denied)

        is_open = _verdict(of_role) == "can't be known"
        found = in_its_worlds(self._worlds, find)
        return [one for one in found if one.rule == rules.sessions.SESSION_DENIED or not is_open]

    # Compute -------------------------------------------------------------------------------------

    def _add_findings_on_compute(self, by_profile: dict[Resource, list[Finding]]) -> list[Finding]:
        """Add the findings on compute to those on its profile; return them all, each cause once."""
        found: list[Finding] = []
        used: set[Resource] = set()
        not_ready = {one for one, of_role in by_profile.items() if _verdict(of_role) == "not ready"}
        for resource in (*self._launchers.resources, *self._launchers.templates):
            if resource in used:
                continue
            of_resource = self._judge_launcher(resource)
            worlds, too_many = self._worlds.each(partial(self._launched, resource))
            launched = [one for world in worlds for one in world.judged]
            used.update(template for one in launched for template in one.compute.launch.uses)
            for one in {one.maybe_profile for one in launched}:
                if one in by_profile:
                    by_profile[one].append(_unknown_compute(resource, ["its instance profile"]))
            profiles = {one.profile for one in launched}
            is_open = CANNOT_BE_KNOWN in [one.rule for one in of_resource]
            if is_open and too_many:  # not all worlds were judged
                profiles |= self._mentioned(resource) & by_profile.keys()
            if is_open and launched and profiles <= not_ready:
                continue  # the finding on the profile says that it is not ready
            found += of_resource
            for profile in filter(None, profiles):
                by_profile.setdefault(profile, []).extend(of_resource)
        order = [*rules.RULES.values()].index
        return sorted(together(found, _in_template), key=lambda one: order(one.rule))

    def _mentioned(self, resource: Resource) -> set[Resource]:
        """Return the resources that a resource and its launch templates refer to in any world."""
        mentioned = {*self._parts.refers_to(resource, resource.written)}
        for one in [one for one in mentioned if one.type == TEMPLATE]:
            mentioned.update(self._parts.refers_to(one, one.written))
        return mentioned

    def _judge_launcher(self, resource: Resource) -> list[Finding]:
        """Judge the instances that a resource launches."""

        def judge() -> list[Told]:
            launched = self._launched(resource)
            only_if(launched)
            return [told for one in launched for told in self._problems_of_compute(one)]

        judgement = judged(self._worlds, judge)
        if judgement.decides:
            return [_unknown_compute(resource, judgement.decides)]
        found = judgement.found
        if rules.credentials.NO_INSTANCE_PROFILE in [one.rule for one in found]:

            def of_new_role() -> Options:
                only_if(resource.exists)
                return self._session_rules.of_new_role(resource.template.stack)

            options = self._worlds.in_all(of_new_role)
            found = with_more(found, Allow(resource, options=(*options,)))
        return found

    def _launched(self, resource: Resource) -> list[_Launched]:
        """Return the instances that a resource launches, in the world that is judged."""
        return self._worlds.once(
            ("launched", resource), lambda: [*map(self._with_profile, self._launchers.of(resource))]
        )

    def _with_profile(self, compute: Compute) -> _Launched:
        if compute.resource.type in ROLE_IN:
            return _Launched(compute, compute.resource, self._roles.of_holder(compute.resource))
        given, maybe = compute.launch.profile, compute.launch.maybe_profile
        if not isinstance(given, Written):
            maybe_profile = maybe and self._roles.profile_of(maybe.owner.template, maybe.value)
            return _Launched(compute, maybe_profile=maybe_profile)
        profile = self._roles.profile_of(given.owner.template, given.value)
        if profile is None:
            decides = decider(given.value, "instance profile", given.owner.template)
            return _Launched(compute, decides=(decides,))
        return _Launched(compute, profile, self._roles.of_holder(profile))

    def _may_have(self, launched: _Launched) -> Role | None:
        """Return the role that instances have, or may have; None if nothing is known of it."""
        maybe = launched.maybe_profile
        return self._roles.of_holder(maybe) if maybe else launched.role

    @cached_property
    def _subnets(self) -> list[Reference]:
        """The subnets that compute is in, in any world."""

        def of(launched: _Launched) -> list[Reference]:
            return [place.subnet for place in launched.compute.placements]

        return [*dict.fromkeys(self._in_all_compute(of))]

    @cached_property
    def _has_endpoint_policies(self) -> bool:
        """Whether an endpoint of the app has a policy other than the default."""
        endpoints = self._assembly.by_type["AWS::EC2::VPCEndpoint"]
        return any("PolicyDocument" in one.written for one in endpoints)

    def _with_caller(self, launched: _Launched) -> Compute:
        """Add the role of its calls, and their resources, to compute.

        Only endpoint policies depend on them. Without such a policy, the compute stays unchanged,
        so that compute in the same place is judged once, whatever its role.
        """
        compute, profile, role, *_ = launched
        if not self._has_endpoint_policies:
            return compute
        resources = self._session_rules.resources(compute.resource.template.stack)
        # If the endpoint's policy denies the role, the agent uses Default Host Management instead.
        instead = self._later.host_management
        backup = role and profile and (instead(profile) or self._backup(role, profile))
        principal = marked(role.arn) if role and profile and not backup else ""
        return compute.calling(principal=principal, resources=resources)

    def _warnings_on_compute(self) -> list[Finding]:
        """Find warnings about compute that change no verdict: late policies, and lost logs."""
        attaches = any(self._assembly.by_type[one] for one in ATTACHED_BY)

        def found(launched: _Launched) -> Iterator[Finding]:
            compute, profile, role, *_ = launched
            if attaches and (may_have := self._may_have(launched)):
                late = [*rules.boot_order.of_compute(self._decisions, compute, may_have)]
                if late and profile:
                    more = self._session_rules.lacking(may_have, profile)
                    late = with_more(late, more)
                yield from late
            if self._with_compute and compute.placements:
                uses = self._sessions.uses(compute.resource.template.stack, role)
                yield from self._network_rules.of_logs(self._with_caller(launched), uses)

        return together(self._in_all_compute(found), _in_template)

    def _problems_of_compute(self, launched: _Launched) -> Iterator[Told]:
        """Yield why Session Manager can't reach compute, and what decides whether it can."""
        compute = launched.compute
        yield from launched.decides
        if compute.opaque:
            yield f"how {compute.opaque} launches them"
            return
        yield from rules.credentials.of_profile(self._later, compute)
        yield from rules.credentials.of_metadata(compute)
        yield from rules.agent.of_compute(self._parts, self._later, compute)
        uses = self._sessions.uses(compute.resource.template.stack, launched.role)
        yield from self._network_rules.of_compute(self._with_caller(launched), uses)


def _verdict(found: list[Finding]) -> str:
    """Return the verdict on a profile by its findings."""
    if not found:
        return "ready"
    return "not ready" if any(finding.rule.not_ready for finding in found) else "can't be known"


def _unknown_profile(profile: Resource, behind: tuple[Role, ...], decides: list[str]) -> Finding:
    names = [written(one.resource, "RoleName") if one.in_app else one.name for one in behind]
    known = str(names[0] or "") if len(names) == 1 else ""
    role = in_shell(known, _limits.ROLE.fault, "NAME")
    ask = Ask(f"Ask IAM after the deployment: session-manager-permissions verify --role {role}")
    return CANNOT_BE_KNOWN.on_role_of(profile, _depends_on(profile, decides), ask)


def _unknown_compute(resource: Resource, decides: list[str]) -> Finding:
    return CANNOT_BE_KNOWN.found(resource, "Properties", _depends_on(resource, decides), _ASK_AWS)


def _depends_on(resource: Resource, decides: list[str]) -> str:
    return (
        "it can't be known at synthesis whether Session Manager reaches "
        f"{kind_of(resource).instances}: that depends on {', and on '.join(decides)}"
    )


def _in_template(finding: Finding) -> tuple[Finding, Template]:
    """Return the parts that are equal in all findings with the same cause in a template."""
    return finding._replace(resources=(), fixes=()), finding.resources[0].template
