"""Decide what the policies of a role allow, in the world that is judged."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions._evaluation import Answer

from .asked import EACH_SESSION, Asked, PolicyReader
from .managed_policies import aws_managed
from .parts import NEVER_READ, STACKS, decider, types_deployed
from .policies import EVERYTHING, NEEDED, Decision, Statement, anything, decide, within
from .roles import ATTACHED_BY, ROLE_IN, Attachment, Policy, Role, Roles, may_be_named
from .templates.functions import UNKNOWN, listed
from .templates.model import Template, may_be_equal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .compute import Launchers
    from .templates import Assembly

_Policies = frozenset[Policy]
_NONE: Final = _Policies()
_UNLIMITED: Final = Decision(Answer.ALLOWED)
"""What the permissions boundary decides for a role that has none."""
_MOST_COMPARED: Final = 64
"""How many unknown names are compared with a role's. If there are more, each may be the role's."""


class Ability(NamedTuple):
    """IAM's decision about one action of a role."""

    identity: Decision
    """By the role's policies alone."""
    boundary: Decision
    """By its permissions boundary alone."""
    decision: Decision
    """By both together."""


class Decisions:
    """Decides by all policies that a role has, and by its permissions boundary."""

    def __init__(self, roles: Roles, launchers: Launchers) -> None:
        self.roles = roles
        self.policies = PolicyReader(roles.assembly, launchers)
        self._assembly = roles.assembly
        self._once = roles.assembly.worlds.once
        self._unread = [*_unread(roles.assembly)]

    def abilities(self, role: Role, without: _Policies = _NONE) -> dict[str, Ability]:
        """Decide about each action that an instance needs, leaving out the policies `without`."""
        return self._once((role, without), lambda: self._decide(role, EACH_SESSION, without))

    def ability(self, role: Role, asked: Asked) -> Ability:
        """Decide about an action that only some sessions need."""
        (action,) = asked.actions
        return self._once((role, asked), lambda: self._decide(role, asked)[action])

    def may_deny(self, role: Role, asked: Asked) -> bool:
        """Tell whether a policy of a role may deny an action that another policy allows."""
        (action,) = asked.actions
        found = decide([EVERYTHING, *self._statements_of(role, asked)], action, "*")
        return found.answer is not Answer.ALLOWED

    def _statements_of(
        self, role: Role, asked: Asked, without: _Policies = _NONE
    ) -> list[Statement]:
        others = self._once((role, "others", asked), lambda: [*self._from_outside(role, asked)])
        return [*others, *self.readable(role, asked, without)]

    def _decide(self, role: Role, asked: Asked, without: _Policies = _NONE) -> dict[str, Ability]:
        statements = self._statements_of(role, asked, without)
        boundary = self._boundary(role, asked)
        found = {}
        for action in asked.actions:
            on = NEEDED.get(action, "*")
            identity = decide(statements, action, on)
            limit = _UNLIMITED if boundary is None else decide(boundary, action, on)
            found[action] = Ability(identity, limit, within(identity, limit))
        return found

    def readable(self, role: Role, asked: Asked, without: _Policies = _NONE) -> Iterator[Statement]:
        """Yield the statements of a role's policies that the app makes or AWS manages."""
        for name, _ in self.roles.not_of_app(role, asked.actions):
            yield from self._aws_managed_statements(role, name, asked) if name else ()
        overwritten = self._overwritten(role)
        for policy in self.roles.relevant_policies(role, asked.actions):
            if policy not in without:
                found = self.policies.asked_statements(policy, asked)
                if policy in overwritten:
                    found = _uncertain(found, ", as another policy of the role has its name")
                is_certain = self.roles.is_in_its_account(role, policy)
                yield from found if is_certain else _uncertain(found)

    def _overwritten(self, role: Role) -> set[Policy]:
        """Return the inline policies with the same name, of which a role keeps only the last."""
        return {
            one.policy
            for several in self._once((role, "of one name"), lambda: self._with_same_name(role))
            if len({other.policy for other in several if self.roles.has(role, other)}) > 1
            for one in several
        }

    def _with_same_name(self, role: Role) -> list[list[Attachment]]:
        """Return groups of inline policies that may have the same name."""
        by_name = defaultdict[object, list[Attachment]](list)
        for one in role.inline:
            owner, template = one.policy.owner, one.policy.resource.template
            for name in self._assembly.names(template, owner, "PolicyName"):
                by_name[name].append(one)
        return [several for several in by_name.values() if several[1:]]

    def _from_outside(self, role: Role, asked: Asked) -> Iterator[Statement]:
        """Yield statements for policies that are not in the app, or for a role that is not."""
        if not role.in_app:
            known = f"the role {role.name!r}, which is not in this app"
            holder = role.resource
            named = next(iter(listed(holder.properties.get(ROLE_IN[holder.type]))), None)
            unknown = decider(named, "instance role", holder.template)
            yield from anything(known if role.name else unknown)
            return
        for name, arn in self.roles.not_of_app(role, asked.actions):
            yield from () if name else _policy_from_outside(arn)
        yield from self._perhaps_attached(role, asked)

    def _boundary(self, role: Role, asked: Asked) -> list[Statement] | None:
        """Return the statements of a role's permissions boundary; None without one."""
        arn = role.resource.properties.get("PermissionsBoundary") if role.in_app else None
        if arn is None:
            return None
        match self.roles.managed_behind(role.resource, arn):
            case Policy() as policy:
                return self.policies.asked_statements(policy, asked)
            case "":
                return _policy_from_outside(arn)
            case name:
                return self._aws_managed_statements(role, name, asked)

    def _aws_managed_statements(self, role: Role, name: str, asked: Asked) -> list[Statement]:
        return self.policies.on(role.resource.template, aws_managed(name, asked.actions), asked)

    def _perhaps_attached(self, role: Role, asked: Asked) -> Iterator[Statement]:
        """Yield statements for the policies that may be attached to the role.

        Such policies are in a part of the app that can't be read, or they name a role that may be
        this one. A role without a `RoleName` has a generated name, which another template knows
        only if the template of the role discloses it.
        """
        there, name = role.resource.template, self._assembly.name_of(role.resource)
        for template, source, sees_all in self._unread:
            disclosed = name is not None or role.resource in there.disclosed
            sees_it = disclosed or (sees_all and template is there)
            if sees_it and may_be_equal(there.stack.account, template.stack.account):
                yield from anything(source)
        account = there.stack.account
        perhaps = self._once(
            ("perhaps", asked.actions),
            lambda: [one for one in self.roles.by_name if one.policy.may_be_about(asked.actions)],
        )
        if len(perhaps) <= _MOST_COMPARED:
            its = [
                one
                for one in perhaps
                if one.named != name and may_be_named(role.resource, name, one.named)
            ]
            yield from self._merged(account, its, asked)
        else:
            key = "unmatched", account, asked
            yield from self._once(key, lambda: self._merged(account, perhaps, asked))

    def _merged(
        self, account: str | None, several: list[Attachment], asked: Asked
    ) -> list[Statement]:
        """Return uncertain statements for an account's policies, one for each action and effect."""
        found: dict[tuple[str, bool], Statement] = {}
        for attached in several:
            policy = attached.policy
            template = policy.resource.template
            if not may_be_equal(account, template.stack.account):
                continue
            beside = self._assembly.with_name("AWS::IAM::Role", template, attached.named)
            if any(one.exists and self._assembly.name_of(one) == attached.named for one in beside):
                continue
            if not self.roles.is_there(attached):
                continue
            source = f"{policy.source}, which may be attached to this role"
            for statement in self.policies.asked_statements(policy, asked):
                for action in asked.actions:
                    if statement.applies(action, NEEDED.get(action, "*")) is not False:
                        shared = statement._replace(source=source, certain=False)
                        found.setdefault((action, statement.allows), shared)
        return [*found.values()]


def _unread(assembly: Assembly) -> Iterator[tuple[Template, str, bool]]:
    """Yield the parts of an app that can't be read, and may attach policies to roles.

    Each comes as its template, its name for a message, and whether it can refer to every resource
    of that template.
    """
    yield from ((template, source, False) for template, source in assembly.unread)
    for stack in (one for type_ in NEVER_READ for one in assembly.by_type[type_]):
        if types_deployed(stack) & _MAY_ATTACH:
            source = f"the template that {stack.logical_id!r} deploys, which is not read"
            yield stack.template, source, False
    for template in assembly.templates:
        of = f"of the template {template.path.name!r}"
        for name in template.transforms:
            yield template, f"the transform {name!r} {of}", True
        for name, types in template.types_made.items():
            if types & _MAY_ATTACH:
                yield template, f"{name!r} {of}", True


_MAY_ATTACH: Final = frozenset({*ATTACHED_BY, *STACKS, UNKNOWN})


def _policy_from_outside(arn: object) -> list[Statement]:
    by = decider(arn, "managed policy")
    is_named = by.startswith("the managed policy")
    return anything(f"{by}, which is not in this app" if is_named else by)


def _uncertain(found: list[Statement], doubt: str = "") -> list[Statement]:
    return [one._replace(certain=False, doubt=doubt or one.doubt) for one in found]
