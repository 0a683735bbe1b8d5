"""Find the compute below the scope of a fleet, each with its stack, and the app's roles.

Each call to CDK is a round trip to its Node.js process, so nothing here visits the constructs one
by one. CDK gives the whole list in one call, and Python looks through that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from .roles import roles_given_to
from .tokens import parse_arn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from constructs import Construct, IConstruct

COMPUTE: Final = ("AWS::IAM::InstanceProfile", "AWS::EKS::Nodegroup")
"""The types of the resources that give a role to instances. A managed node group of EKS names the
role itself, and EKS makes the instance profile."""


class Found(NamedTuple):
    """A resource below the scope."""

    resource: cdk.CfnResource
    stack: cdk.Stack


class Imported(NamedTuple):
    """A role that the app imports, or a view of one that it makes."""

    role: iam.IRole
    arn: str


class Tree:
    """The constructs below a scope, as they are now."""

    def __init__(self, scope: Construct) -> None:
        node = scope.node
        ancestors = node.scopes  # the root first, `scope` last
        self.scope = scope
        self.nodes = node.find_all()
        self.in_app = self.nodes if len(ancestors) == 1 else ancestors[0].node.find_all()
        self.stacks = [node for node in self.nodes if isinstance(node, cdk.Stack)]
        self.has_parameters = any(isinstance(node, cdk.CfnParameter) for node in self.in_app)
        self.has_conditions = any(isinstance(node, cdk.CfnCondition) for node in self.in_app)
        self.home = self.stacks[0] if isinstance(scope, cdk.Stack) else _stack_around(ancestors)
        """The stack that the scope is in, or is; None of an app, and of what groups stacks."""

    def resources(self, *types: str) -> list[Found]:
        """Return the resources of these types, each with its stack.

        CDK selects what is below a stack in one call. That includes what is in stacks below this
        one, which the outer stack then lists as well. Only where that is so, each resource is
        asked for its `ref`, which tells it from others: the innermost stack has the last word.
        """
        selector = cdk.ConstructSelector.resources_of_type(*types)
        scopes: list[tuple[cdk.Stack, IConstruct]] = [(stack, stack) for stack in self.stacks]
        if self.home is not None and not isinstance(self.scope, cdk.Stack):
            scopes.insert(0, (self.home, self.scope))
        found = [
            Found(resource=cast("cdk.CfnResource", resource), stack=stack)
            for stack, below in scopes
            for resource in selector.select(below)
        ]
        if len(scopes) > 1 and len(found) > len(selector.select(self.scope)):
            return list({each.resource.ref: each for each in found}.values())
        return found

    def imported_roles(self, *, with_owned: bool) -> dict[str, list[Imported]]:
        """Return the roles of the whole app that are no `iam.Role`, by their names.

        They are imports, and views whose policies can't change (`without_policy_updates()`). A role
        that the fleet's compute has may be imported in a stack that the fleet does not cover. An
        `iam.LazyRole` is not asked for its ARN, as that would make the role.

        Args:
            with_owned: whether to add every `iam.Role`, which `iam.Role.customize_roles` turns
                into an import.
        """
        left_out = iam.LazyRole if with_owned else (iam.LazyRole, iam.Role)
        by_name: dict[str, list[Imported]] = {}
        for node in self.in_app:
            if hasattr(node, "grant_pass_role") and not isinstance(node, left_out):
                name, imported = _imported(cast("iam.IRole", node))
                by_name.setdefault(name, []).append(imported)
        return by_name

    def roles_given(self) -> Iterator[tuple[str, Imported]]:
        """Yield the roles that the app's constructs were given, each with its name.

        Python does not see that a construct is a role if only code in JavaScript has made it and
        passed it on, as a construct library may do. The construct that has the role says so.
        """
        for node in self.in_app:
            if not isinstance(node, (cdk.CfnElement, iam.LazyRole)):
                for role in roles_given_to(node):
                    if not isinstance(role, iam.LazyRole):
                        yield _imported(role)


def _imported(role: iam.IRole) -> tuple[str, Imported]:
    arn = role.role_arn
    parts = parse_arn(arn)
    name = "" if parts is None else parts.resource.partition("/")[2].rpartition("/")[2]
    return name or role.role_name, Imported(role=role, arn=arn)


def compute_below(scope: IConstruct) -> list[cdk.CfnResource]:
    """Return the resources below `scope` that give a role to instances."""
    selector = cdk.ConstructSelector.resources_of_type(*COMPUTE)
    return cast("list[cdk.CfnResource]", selector.select(scope))


def is_below(path: str, others: Iterable[str]) -> bool:
    """Tell whether a construct's path is one of `others`, or below one of them."""
    return any(other in ("", path) or path.startswith(f"{other}/") for other in others)


def _stack_around(ancestors: list[IConstruct]) -> cdk.Stack | None:
    around = (node for node in reversed(ancestors) if isinstance(node, (cdk.Stack, cdk.Stage)))
    nearest = next(around, None)
    return nearest if isinstance(nearest, cdk.Stack) else None
