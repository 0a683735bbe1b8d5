"""Which roles does each policy of a fleet list, and which of them may it be attached to?

Compute names its role in one of three ways. A literal name is listed as it is. A token is listed as
it is too, and what it reads in the template tells two roles apart. Everything else, and each role
that the app also has as an import, is asked whether it takes a policy.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from .roles import (
    Target,
    attach,
    attach_by_name,
    condition_path,
    customizes_roles,
    is_role_name,
    node_group_target,
    profile_target,
    refuse_fixed,
    reports_only,
    role_names,
    role_of_maker,
    role_target,
)
from .tokens import Environment, differ, is_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aws_cdk.aws_eks import CfnNodegroup
    from constructs import Construct

    from .fleet_tree import Found, Imported, Tree

_ROLE: Final = "AWS::IAM::Role"


@dataclass(eq=False)
class FleetPolicy:
    """One policy of a fleet: that of a stack, or of a stack's compute on one condition."""

    stack: cdk.Stack
    environment: Environment
    holder: Construct
    policy_name: str
    statements: list[iam.PolicyStatement]
    condition: cdk.CfnCondition | None = None
    only_if: str = ""
    """The path of the condition; empty without one."""
    compute: list[Found] = field(default_factory=list)
    roles: dict[RoleKey, str] = field(default_factory=dict)
    """What the policy lists each role by: its name, or a token of the name."""
    lost: list[str] = field(default_factory=list)
    """What can't be attached to, and why; one list for all policies of the stack."""

    def make(self) -> None:
        """Make the resource."""
        made = iam.CfnPolicy(
            self.holder,
            "Policy",
            policy_document=iam.PolicyDocument(statements=self.statements),
            policy_name=self.policy_name,
            roles=list(self.roles.values()),
        )
        if self.condition is not None:
            made.cfn_options.condition = self.condition


class RoleKey(NamedTuple):
    """Equal for the same role, on the same condition, whatever the compute names it by."""

    owner: object
    """Of a name the account, or the stack where that is not known; of a token the role's stack."""
    name: str
    """The name, or what the token reads in the template."""
    only_if: str = ""

    @property
    def on_none(self) -> RoleKey:
        """The same role without the condition."""
        return self._replace(only_if="")


class _Use(NamedTuple):
    """A policy that is to list a role, unless another policy does."""

    policy: FleetPolicy
    token: str
    """The name, or a token of it."""
    reads: str
    """The name, or what the token reads in the template, as JSON."""


def find_roles(policies: list[FleetPolicy], tree: Tree, policy_name: str | None) -> None:
    """Fill in the roles that each policy lists, and what can't be attached to.

    Args:
        policies: those of the stacks first, then those on conditions.
        tree: the scope that the compute is in.
        policy_name: the name that the user gave; None where each policy has a default name.
    """
    named = {
        policy: [(found, _name_in(found.resource)) for found in policy.compute]
        for policy in policies
    }
    customized = {policy for policy in policies if customizes_roles(policy.stack)}
    imports = tree.imported_roles(with_owned=bool(customized))
    literal = {name for each in named.values() for _, name in each if is_role_name(name)}
    if not literal <= imports.keys():  # a name of no import that Python sees
        for name, imported in tree.roles_given():
            if name in literal:
                imports.setdefault(name, [imported])
    taken = None
    if policy_name is not None:
        taken = iam.Policy(cdk.Stack(cdk.App(), "Probe"), "Policy", policy_name=policy_name)
    references: list[_Use] = []
    names: dict[RoleKey, list[_Use]] = {}
    for policy in policies:
        probe = _Probe(policy, imports, taken)
        roles = _roles_of(policy, named[policy], probe, is_customized=policy in customized)
        for token, value in roles.items():
            if isinstance(value, str):
                key = RoleKey(policy.environment.account or policy.stack, value)
                names.setdefault(key, []).append(_Use(policy, token, value))
            else:
                references.append(_Use(policy, token, _written(value)))
    _list_references(references)
    if names:
        _list_names(names, policies, tree)


def shared_by_stacks(policies: list[FleetPolicy]) -> Iterator[tuple[cdk.Stack, cdk.Stack]]:
    """Two stacks for each role that the policies of both list."""
    first: dict[RoleKey, cdk.Stack] = {}
    for policy in policies:
        for key in policy.roles:
            stack = first.setdefault(key.on_none, policy.stack)
            if stack is not policy.stack:
                yield stack, policy.stack


def _roles_of(
    policy: FleetPolicy, named: list[tuple[Found, str]], probe: _Probe, *, is_customized: bool
) -> dict[str, object]:
    """The names of the roles of the compute, or tokens of them, each with what it resolves to."""
    tokens = list(dict.fromkeys(name for _, name in named if "${" in name))
    values: dict[str, object] = dict(zip(tokens, policy.stack.resolve(tokens), strict=True))
    doubtful = probe.doubtful(dict.fromkeys(name for _, name in named))
    roles: dict[str, object] = {}
    for found, name in named:
        value = values.get(name)
        is_reference = isinstance(value, dict) and "Fn::GetAtt" not in value and not is_customized
        if name not in doubtful and (is_reference or is_role_name(name)):
            roles[name] = value or name
            continue
        try:
            asked = probe.ask(found, name)
        except (TypeError, ValueError) as error:
            policy.lost.append(f"{found.resource.node.path}: {error}")
            continue
        if asked:
            roles[asked] = policy.stack.resolve(asked)
    return roles


def _name_in(resource: cdk.CfnResource) -> str:
    """What an L1 profile names its one role by; empty of all else, which has to be asked."""
    names = role_names(resource) if isinstance(resource, iam.CfnInstanceProfile) else []
    return names[0] if len(names) == 1 else ""


def _reading(token: str, stack: cdk.Stack) -> str:
    """What a token reads in the template of `stack`."""
    return _written(stack.resolve(token))


def _written(value: object) -> str:
    """What a token resolves to, as text; with a `Ref` for the `Fn::Sub` that means the same."""
    match value:
        case {"Fn::Sub": str(text)} if re.fullmatch(r"\$\{\w+\}", text):
            value = {"Ref": text[2:-1]}
    return json.dumps(value)


class _Probe:
    """Finds out which roles take a policy, by policies in an app that is never synthesized.

    CDK has no property that says so. `attach_inline_policy` raises no error on a role that must not
    change, and only the policy shows that the role was not attached: it does not list it.
    """

    def __init__(
        self,
        policy: FleetPolicy,
        imports: Mapping[str, list[Imported]],
        taken: iam.Policy | None,
    ) -> None:
        """Ask for the roles of one policy.

        Args:
            policy: the policy that is to list the roles.
            imports: the app's imports and views of roles, by name.
            taken: a policy of the name that the user gave; None where the name is a default one.
        """
        self._for = policy
        self._imports = imports
        self._taken = taken
        self._reported: set[str] = set()

    @cached_property
    def _stack(self) -> cdk.Stack:
        """A stack of the same environment: CDK compares the accounts, and resolves names by it."""
        account, region = self._for.environment
        env = cdk.Environment(account=account, region=region)
        return cdk.Stack(cdk.App(), "Probe", env=env)

    @cached_property
    def _policy(self) -> iam.Policy:
        """A policy without statements, which no report of `iam.Role.customize_roles` shows."""
        return iam.Policy(self._stack, "Policy")

    def doubtful(self, names: Iterable[str]) -> set[str]:
        """Those of `names` that have an import which may not take the policy.

        One policy is attached to all imports, and what it lists is read in one call. A name that it
        lists fewer times than there are imports has one that refused, and is asked for by itself.
        """
        imported = [name for name in names if name in self._imports]
        if not imported or self._taken is not None:
            return set(imported)
        fixed = {name for name in imported if any(map(_is_fixed, self._imports[name]))}
        for name in imported:
            for each in self._imports[name]:
                each.role.attach_inline_policy(self._policy)
        cfn_policy = cast("iam.CfnPolicy", self._policy.node.default_child)
        resolved = self._stack.resolve({"names": imported, "roles": cfn_policy.roles})
        listed = Counter(map(json.dumps, resolved.get("roles", [])))
        return fixed | {
            name
            for name, value in zip(imported, resolved["names"], strict=True)
            if listed[json.dumps(value)] < len(self._imports[name])
        }

    def ask(self, found: Found, name: str) -> str:
        """The role's name, or a token of it; empty where CDK only reports what the role needs.

        Raises:
            TypeError: CDK does not know what role the compute has.
            ValueError: the role is not known, or does not take the policy.
        """
        resource = found.resource
        by, given = "role_name", name
        if isinstance(resource, iam.CfnInstanceProfile):
            target = profile_target(self._stack, self._next_id(), resource, found.stack)
        elif hasattr(type(resource), "node_role"):
            node_group = cast("CfnNodegroup", resource)
            by, given = "role_arn", node_group.node_role
            target = node_group_target(self._stack, self._next_id(), node_group, found.stack)
        else:
            raise TypeError(
                "it is a bare CfnResource, whose role CDK does not know: make it by "
                "iam.CfnInstanceProfile or eks.CfnNodegroup"
            )
        self._attach(target)
        name = target.name or target.role.role_name
        others = self._imports_of(by, given, name)
        if others and isinstance(role_of_maker(resource, by, given), (iam.Role, iam.LazyRole)):
            others = []  # what views of an owned role others have is not the compute's concern
        for other in others:
            self._attach(role_target(self._stack, self._next_id(), other, found.stack))
        reporting = [role for role in (target.role, *others) if reports_only(role)]
        for role in reporting:
            self._report(role)
        return "" if reporting else name

    def _attach(self, target: Target) -> None:
        if not target.name:
            return  # an owned role of this account is sure to take it
        if self._taken is not None:
            attach_by_name(self._taken, target.role)
        # A policy of its own, as another import of the role makes a policy list the same name.
        attach(iam.Policy(self._stack, self._next_id()), target, self._stack)

    def _imports_of(self, by: str, given: str, name: str) -> list[iam.IRole]:
        """The imports of a role, and the views of it that take no policies.

        An import of the role of the same name in another account is an import of another role.
        """
        found = list(self._imports.get(name, ()))
        if by == "role_arn":  # an import by a token of the ARN has another token for its name
            every = itertools.chain.from_iterable(self._imports.values())
            found += [each for each in every if each.arn == given and each not in found]
        here = self._for.environment.account
        return [
            role
            for role, _, parts in found
            if parts is None or not differ(Environment.in_arn(parts).account, here)
        ]

    def _report(self, role: iam.IRole) -> None:
        """Add the statements to the report of `iam.Role.customize_roles`, once for each role."""
        path = role.node.path
        if path not in self._reported:
            self._reported.add(path)
            statements = self._for.statements
            whole = iam.Policy(self._stack, self._next_id(), statements=statements)
            role.attach_inline_policy(whole)

    def _next_id(self) -> str:
        return f"Child{len(self._stack.node.children)}"


def _is_fixed(imported: Imported) -> bool:
    """Whether the ARN is that of a role which nobody may change, or of none."""
    _, arn, parts = imported
    if parts is not None:
        try:
            refuse_fixed(arn, parts)
        except ValueError:
            return True
    return False


def _list_references(references: list[_Use]) -> None:
    """List the roles that compute names by tokens.

    A role is listed by each stack that uses it, so that each can be deployed and destroyed without
    the others. The stack that makes the role comes before them: where it lists the role, no other
    does. A policy on a condition leaves out what the stack's own policy lists.
    """
    owners = _owners(references)
    keys = [
        RoleKey(owners.get(use.token, use.policy.stack), use.reads, use.policy.only_if)
        for use in references
    ]
    listed = {(use.policy.stack, key) for use, key in zip(references, keys, strict=True)}
    for use, key in zip(references, keys, strict=True):
        stack = use.policy.stack
        by_owner = key.owner is not stack and (key.owner, key.on_none) in listed
        on_none = key.only_if != "" and (stack, key.on_none) in listed
        if not by_owner and not on_none:
            use.policy.roles.setdefault(key, use.token)


def _owners(references: list[_Use]) -> dict[str, object]:
    """The stack that makes the role, or its path, by the token of the role.

    In a template, a reference to a role of the same stack and one to a role of another stack read
    alike until CDK has made an export of the latter. To ask CDK costs round trips, so only those
    are asked for that may be confused: a token in two policies, and two tokens that read the same.
    """
    policies = Counter(use.token for use in references)
    readings = Counter((use.policy, use.reads) for use in references)
    unclear = [
        use.token
        for use in references
        if (policies[use.token] > 1 or readings[use.policy, use.reads] > 1)
        and use.reads.startswith('{"Ref"')
    ]
    if not unclear:
        return {}
    stacks = {use.policy.stack.node.path: use.policy.stack for use in references}
    owners: dict[str, object] = {}
    tokens = cdk.Tokenization.reverse_string("".join(unclear)).tokens
    for token, found in zip(unclear, tokens, strict=True):
        if token not in owners and isinstance(found, cdk.Reference):
            path = cdk.Stack.of(found.target).node.path
            owners[token] = stacks.get(path, path)
    return owners


def _list_names(names: dict[RoleKey, list[_Use]], policies: list[FleetPolicy], tree: Tree) -> None:
    """List the roles that compute has by their names.

    A role that exists already is listed once in an account. A role that the tree has is listed as
    a reference to it would be, and in its own stack as a reference, so that the policy waits for
    the role.
    """
    listed = {(policy.stack, key) for policy in policies for key in policy.roles}
    owned: dict[RoleKey, list[Found]] = {}
    for key, role in _owned_roles(tree):
        owned.setdefault(key, []).append(role)
    for key, uses in names.items():
        if key in owned:
            _list_owned(key, uses, owned[key], listed)
        else:
            _list_once(key, uses)


def _list_once(key: RoleKey, uses: list[_Use]) -> None:
    """List a role that exists already by the first of its policies, on each condition or none."""
    conditions: list[str] = []
    for policy, token, _ in uses:
        if "" not in conditions and policy.only_if not in conditions:
            conditions.append(policy.only_if)
            policy.roles[key._replace(only_if=policy.only_if)] = token


def _list_owned(
    key: RoleKey, uses: list[_Use], roles: list[Found], listed: set[tuple[cdk.Stack, RoleKey]]
) -> None:
    """List a role of the tree; several have one name where each is on a condition."""
    owners = [stack for _, stack in roles]
    keys = [key, *(RoleKey(stack, _reading(role.ref, stack)) for role, stack in roles)]
    for policy, token, _ in sorted(uses, key=lambda use: use.policy.stack not in owners):
        is_listed = any(
            (stack, same._replace(only_if=only_if)) in listed
            for stack in (*owners, policy.stack)
            for same in keys
            for only_if in ("", policy.only_if)
        )
        if is_listed:
            continue
        here = key._replace(only_if=policy.only_if)
        references = (
            role.ref
            for role, stack in roles
            if stack is policy.stack and condition_path(role) in ("", policy.only_if)
        )
        policy.roles[here] = next(references, token)
        listed.add((policy.stack, here))


def _owned_roles(tree: Tree) -> Iterator[tuple[RoleKey, Found]]:
    """The roles of the tree that have a name, each with its key."""
    for found in tree.resources(_ROLE):
        resource, stack = found
        given = resource.role_name if isinstance(resource, iam.CfnRole) else None
        name = stack.resolve(given) if given and is_token(given) else given
        if isinstance(name, str):
            yield RoleKey(Environment.of(stack).account or stack, name), found
