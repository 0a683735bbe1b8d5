"""Find out whether a role can get a fleet's policy, by trial in an app that is not synthesized."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from . import roles
from .tokens import Environment, differ

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_cdk.aws_eks import CfnNodegroup

    from .fleet_tree import Found, Imported


@dataclass
class Probe:
    """Finds out which roles CDK attaches a policy to, by the same steps as `attach_or_refuse`."""

    environment: Environment
    """The account and the region of the policy's stack."""
    statements: list[iam.PolicyStatement]
    """What the policy allows."""
    imports: Mapping[str, list[Imported]]
    """The app's imports of roles, and its immutable views of roles, by name."""
    _reported: set[str] = field(default_factory=set, init=False)

    @cached_property
    def _stack(self) -> cdk.Stack:
        """A stack of the same environment, as CDK attaches to no role of another account."""
        env = cdk.Environment(account=self.environment.account, region=self.environment.region)
        # Without `auto_synth=False`, an app is synthesized when the process ends if `CDK_OUTDIR` is
        # set, as the CLI sets it, and would overwrite there what the user's app has written.
        return cdk.Stack(cdk.App(auto_synth=False), "Probe", env=env)

    def to_try(self, names: Iterable[str]) -> set[str]:
        """Return the names of the roles that `try_role_of` must try one by one.

        CDK might not attach the policy to an import of such a role. One policy is attached to all
        imports, and its list of roles is read in one request. If it lists a name fewer times than
        there are imports, CDK can't attach the policy to one of the imports.
        """
        imported = [name for name in names if name in self.imports]
        if not imported:
            return set(imported)
        # The report of `iam.Role.customize_roles` omits a policy without statements.
        policy = iam.Policy(self._stack, "Policy")
        for name in imported:
            for each in self.imports[name]:
                each.role.attach_inline_policy(policy)
        cfn_policy = cast("iam.CfnPolicy", policy.node.default_child)
        resolved = self._stack.resolve({"names": imported, "roles": cfn_policy.roles})
        listed = Counter(map(json.dumps, resolved.get("roles", [])))
        return {
            name
            for name, value in zip(imported, resolved["names"], strict=True)
            if listed[json.dumps(value)] < len(self.imports[name])
            or any(map(_is_refused_by_arn, self.imports[name]))
        }

    def try_role_of(self, found: Found, name: str) -> str:
        """Return the name of the compute's role, or a token of it; empty if CDK only reports on it.

        Raises:
            TypeError: CDK does not know the role of the compute.
            ValueError: the role is not known, or can't get the policy.
        """
        resource, name_or_arn = found.resource, name
        if roles.is_node_group(resource):
            name_or_arn = cast("CfnNodegroup", resource).node_role
        target = roles.compute_target(self._stack, self._next_id(), resource, found.stack)
        self._attach(target)
        name = target.name or target.role.role_name
        others = self._imports_of(name, name_or_arn)
        if others and isinstance(
            roles.role_of_maker(resource, name_or_arn), (iam.Role, iam.LazyRole)
        ):
            others = []  # the compute has the role itself, and immutable views of it do not matter
        for other in others:
            self._attach(roles.role_target(self._stack, self._next_id(), other, found.stack))
        reporting = [role for role in (target.role, *others) if roles.reports_only(role)]
        for role in reporting:
            self._report(role)
        return "" if reporting else name

    def _attach(self, target: roles.Target) -> None:
        if not target.name:
            return  # CDK always attaches a policy to an owned role of the account
        # Each try needs a new policy, as another import may have put the same name on the last one.
        roles.attach_or_refuse(iam.Policy(self._stack, self._next_id()), target, self._stack)

    def _imports_of(self, name: str, name_or_arn: str) -> list[iam.IRole]:
        """Return the imports of the role, and the immutable views of it.

        An import of the role of the same name in another account is an import of another role.
        """
        found = list(self.imports.get(name, ()))
        # An import by a token of the ARN has another token as its name.
        every = itertools.chain.from_iterable(self.imports.values())
        found += [each for each in every if each.arn == name_or_arn and each not in found]
        here = self.environment.account
        return [role for role, arn in found if not differ(Environment.in_arn(arn).account, here)]

    def _report(self, role: iam.IRole) -> None:
        """Add the statements to the report of `iam.Role.customize_roles`, once for each role."""
        path = role.node.path
        if path not in self._reported:
            self._reported.add(path)
            whole = iam.Policy(self._stack, self._next_id(), statements=self.statements)
            role.attach_inline_policy(whole)

    def _next_id(self) -> str:
        return f"Child{len(self._stack.node.children)}"


def _is_refused_by_arn(imported: Imported) -> bool:
    """Tell whether the ARN is not a role's, or belongs to a role that nobody may change."""
    try:
        roles.refuse_by_arn(imported.arn, imported.role)
    except ValueError:
        return True
    return False
