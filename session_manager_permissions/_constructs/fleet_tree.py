"""Find the compute below the scope of a fleet, each with its stack, and the app's roles.

Each call to CDK is a round trip to its Node.js process, so this module does not visit constructs
one by one. CDK returns the whole list in one call, and Python searches it.
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
        """The stack of the scope; None for an app, a stage, or a construct that groups stacks."""

    def resources(self, *types: str) -> list[Found]:
        """Return the resources of these types, each with its stack.

        CDK selects the resources below a stack in one call, including those of stacks below it. An
        outer stack then lists the resources of inner stacks as well. Only in this case, each
        resource is identified by its `ref`, and the innermost stack counts.
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
        """Return the roles of the whole app that are not an `iam.Role`, by their names.

        They are imports, and immutable views (`without_policy_updates()`). A role of the fleet's
        compute may be imported in a stack that the fleet does not cover. The ARN of an
        `iam.LazyRole` is not read, as that would make the role.

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
        """Yield the roles that were passed to the app's constructs, each with its name.

        If a construct library in JavaScript makes a role, Python does not see that the construct is
        a role. The construct to which the role was passed shows it.
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
