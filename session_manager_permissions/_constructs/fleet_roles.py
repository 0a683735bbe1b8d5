"""Find the roles that each policy of a fleet lists.

Compute names its role by a literal name, by a reference, or in another way. A policy lists a name
or a reference as it is. Any other role, and each role that the app also imports, is tried first:
see `fleet_probe`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from session_manager_permissions import _limits

from .fleet_probe import Probe
from .names import default_policy_name
from .roles import condition_path, customizes_roles, role_names
from .tokens import Environment, is_token

if TYPE_CHECKING:
    from .fleet_tree import Found, Tree


@dataclass(eq=False)
class FleetPolicy:
    """One policy of a fleet: for a stack, or for the stack's compute on one condition."""

    stack: cdk.Stack
    environment: Environment
    holder: Construct
    """The construct that the policy is made in."""
    statements: list[iam.PolicyStatement]
    condition: cdk.CfnCondition | None = None
    condition_path: str = ""
    """Empty without a condition."""
    compute: list[Found] = field(default_factory=list)
    roles: dict[RoleKey, str] = field(default_factory=dict)
    """Each role with its name, or a token of its name."""
    not_attached: list[str] = field(default_factory=list)
    """The compute whose role can't get the policy, and why. All policies of a stack share it."""

    def on(self, condition: cdk.CfnCondition, path: str) -> FleetPolicy:
        """Return a policy for compute on this condition, as its roles may depend on it too."""
        return replace(
            self,
            holder=Construct(self.holder, f"If{self.stack.resolve(condition.logical_id)}"),
            condition=condition,
            condition_path=path,
            compute=[],
            roles={},
        )

    def make(self) -> None:
        """Make the resource."""
        made = iam.CfnPolicy(
            self.holder,
            "Policy",
            policy_document=iam.PolicyDocument(statements=self.statements),
            policy_name=default_policy_name(self.holder, self.environment),
            roles=list(self.roles.values()),
        )
        if self.condition is not None:
            made.cfn_options.condition = self.condition


class RoleKey(NamedTuple):
    """The identity of a role in the app."""

    owner: object
    """For a role by its name, the account, or the stack where the account is not known. For a
    reference, the stack that makes the role, or the stack that refers to it where CDK does not
    know."""
    name: str
    """The role's name, or the reference or the function that gives it, as JSON."""


@dataclass
class _Use:
    """A role that the compute of a policy has."""

    policy: FleetPolicy
    token: str
    """The role's name, or a token of it."""
    key: RoleKey


def list_roles(policies: list[FleetPolicy], tree: Tree) -> None:
    """List the roles in each policy, and note the compute whose role can't get it.

    Each stack lists the roles that its compute has, so that it can be deployed and destroyed
    without the others. There are two exceptions. The stack that makes a role is deployed first and
    destroyed last, so if it lists the role, no other stack does. And a role that the stack's own
    policy lists is left out of the policies on a condition.

    Args:
        policies: those of the stacks first, then those on conditions.
        tree: the scope that the compute is in.
    """
    # First what refers to a role, so that CloudFormation waits for the stack that makes it.
    uses = sorted(_uses(policies, tree), key=lambda use: not use.key.name.startswith("{"))
    by_ref = [use for use in uses if use.key.name.startswith('{"Ref"')]
    may_be_by_name = tree.has_parameters or len(by_ref) < len(uses)
    owned = _owned_by_name(tree) if may_be_by_name else {}
    _find_owners(by_ref, [key for use in uses for key in owned.get(use.key, ())])
    by_reference = {reference: key for key, roles in owned.items() for reference in roles}
    for use in uses:
        use.key = by_reference.get(use.key, use.key)
        use.token = _reference_here(use.policy, owned.get(use.key, {})) or use.token
    used = {(use.policy.stack, use.policy.condition_path, use.key) for use in uses}
    for use in uses:
        stack = use.policy.stack
        owners = [reference.owner for reference in owned.get(use.key, [use.key])]
        by_owner = any(owner is not stack and (owner, "", use.key) in used for owner in owners)
        by_stack = use.policy.condition is not None and (stack, "", use.key) in used
        if not by_owner and not by_stack:
            use.policy.roles.setdefault(use.key, use.token)


def _uses(policies: list[FleetPolicy], tree: Tree) -> list[_Use]:
    """Return the roles of the compute."""
    named = {
        policy: [(found, _name_in(found.resource)) for found in policy.compute]
        for policy in policies
    }
    customized = {policy for policy in policies if customizes_roles(policy.stack)}
    imports = tree.imported_roles(with_owned=bool(customized))
    literal = {name for each in named.values() for _, name in each if _limits.ROLE.fits(name)}
    if not literal <= imports.keys():  # perhaps imported by code in JavaScript
        for name, imported in tree.roles_given():
            if name in literal:
                imports.setdefault(name, [imported])
    uses: list[_Use] = []
    for policy in policies:
        probe = Probe(policy.environment, policy.statements, imports)
        roles = _roles_of(policy, named[policy], probe, is_customized=policy in customized)
        for token, value in roles.items():
            key = _key(value, policy.stack, policy.environment)
            uses.append(_Use(policy=policy, token=token, key=key))
    return uses


def _key(name: object, stack: cdk.Stack, environment: Environment) -> RoleKey:
    """Return the key of a role by its resolved name, which may be a reference."""
    if isinstance(name, str):
        return RoleKey(owner=environment.account or stack, name=name)
    return RoleKey(owner=stack, name=_as_json(name))


def _roles_of(
    policy: FleetPolicy, named: list[tuple[Found, str]], probe: Probe, *, is_customized: bool
) -> dict[str, object]:
    """Return the roles of the compute: each name, or a token of it, with its resolved value."""
    tokens = list(dict.fromkeys(name for _, name in named if "${" in name))
    values: dict[str, object] = dict(zip(tokens, policy.stack.resolve(tokens), strict=True))
    to_try = probe.to_try(dict.fromkeys(name for _, name in named))
    roles: dict[str, object] = {}
    for found, name in named:
        value = values.get(name)
        is_reference = isinstance(value, dict) and "Fn::GetAtt" not in value and not is_customized
        if name not in to_try and (is_reference or _limits.ROLE.fits(name)):
            roles[name] = value or name
            continue
        try:
            role = probe.try_role_of(found, name)
        except (TypeError, ValueError) as error:
            policy.not_attached.append(f"{found.resource.node.path}: {error}")
            continue
        if role:
            roles[role] = policy.stack.resolve(role)
    return roles


def _name_in(resource: cdk.CfnResource) -> str:
    """Return the name of an L1 profile's one role, or a token of it; else an empty text."""
    names = role_names(resource) if isinstance(resource, iam.CfnInstanceProfile) else []
    return names[0] if len(names) == 1 else ""


def _as_json(value: object) -> str:
    """Return a resolved token as text, the same for a `Ref` and for an `Fn::Sub` of it alone."""
    match value:
        case {"Fn::Sub": str(text)} if re.fullmatch(r"\$\{\w+\}", text):
            value = {"Ref": text[2:-1]}
    return json.dumps(value)


def _find_owners(references: list[_Use], by_name: list[RoleKey]) -> None:
    """Correct the keys of references whose role another stack makes.

    Until CDK has made an export of it, a reference to a role of another stack resolves to the same
    as one to a role of this stack with the same logical id. To ask CDK which stack makes the role
    costs requests, so that is done only where two roles may be taken for one, or one for two: for a
    token that two policies use, for two tokens of one policy that resolve to the same, and for all
    if compute gives a role of the tree by its name.

    Args:
        references: the uses of roles by a reference.
        by_name: the keys, as references, of the roles that compute gives by their names.
    """
    policies = Counter(use.token for use in references)
    twins = Counter((use.policy, use.key) for use in references)
    unclear = [
        use
        for use in references
        if by_name or policies[use.token] > 1 or twins[use.policy, use.key] > 1
    ]
    if not unclear:
        return
    makers = {use.policy.stack for use in references} | {key.owner for key in by_name}
    stacks = {cast("cdk.Stack", stack).node.path: stack for stack in makers}
    tokens = cdk.Tokenization.reverse_string("".join(use.token for use in unclear)).tokens
    owners: dict[str, object] = {}
    for use, found in zip(unclear, tokens, strict=True):
        if use.token not in owners and isinstance(found, cdk.Reference):
            path = cdk.Stack.of(found.target).node.path
            owners[use.token] = stacks.get(path, path)
        use.key = use.key._replace(owner=owners.get(use.token, use.key.owner))


def _owned_by_name(tree: Tree) -> dict[RoleKey, dict[RoleKey, cdk.CfnResource]]:
    """Return the roles of the tree that have a name: by that, and by their key as references.

    Several may have one name, each on a condition.
    """
    owned: dict[RoleKey, dict[RoleKey, cdk.CfnResource]] = {}
    for role, stack in tree.resources("AWS::IAM::Role"):
        given = role.role_name if isinstance(role, iam.CfnRole) else None
        name = stack.resolve(given) if given and is_token(given) else given
        if name is not None:
            reference = RoleKey(owner=stack, name=_as_json(stack.resolve(role.ref)))
            owned.setdefault(_key(name, stack, Environment.of(stack)), {})[reference] = role
    return owned


def _reference_here(policy: FleetPolicy, roles: dict[RoleKey, cdk.CfnResource]) -> str:
    """Return the reference to a role in the policy's stack, so that the policy waits for it."""
    references = (
        role.ref
        for key, role in roles.items()
        if key.owner is policy.stack and condition_path(role) in ("", policy.condition_path)
    )
    return next(references, "")
