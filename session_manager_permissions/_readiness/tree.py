"""Tells which constructs make the resources of the templates, by the app's construct tree.

CDK is asked only about resources that a fix names, as each property is a request to its Node.js.
"""

from __future__ import annotations

import json
from functools import cache, cached_property
from operator import attrgetter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk

from .rules.constructs import Argument, ConstructPath, Constructs, FleetMade, Made, Source
from .rules.python import snake
from .rules.writer import written

if TYPE_CHECKING:
    from collections.abc import Collection

    from constructs import IConstruct

    from .templates.model import Resource, Template


class ConstructTree(Constructs):
    """The construct tree of an app that has been synthesized."""

    def __init__(self, app: IConstruct) -> None:
        """Prepare to answer.

        Args:
            app: the app, or the stage, that is validated.
        """
        super().__init__()
        self._app = app
        self._resources = cache(self._find_resources)
        self._found = cache(self._find)
        self._before = cache(self._find_before)
        self._path = cache(attrgetter("node.path"))
        self._at = cache(self._find_at)

    @cached_property
    def _nodes(self) -> list[IConstruct]:
        """All constructs, even those of other stages, which the same classes may make."""
        return self._app.node.root.node.find_all()

    @cached_property
    def _stacks(self) -> dict[str, cdk.Stack]:
        """The stacks, including nested ones, by the names of their template files."""
        stacks = (one for one in self._nodes if isinstance(one, cdk.Stack))
        return {PurePath(stack.template_file).name: stack for stack in stacks}

    def made(self, resource: Resource) -> Made:
        """Return the construct that makes a resource."""
        return self._found(resource)

    def _find(self, resource: Resource) -> Made:
        stack, construct = self._stack(resource.template), self._construct(resource)
        if stack is None or construct is None:
            return Made((), (resource.logical_id,), is_in_app=False)
        node, stack_path = construct.node, self._path(stack)
        path, parent = node.path, node.scope
        names = _classes(parent)
        l2, is_included = "", "CfnInclude" in names
        if parent is not None and not is_included and not isinstance(parent, cdk.Stack):
            child = parent.node.default_child
            if child is not None and child.node.path == path:
                l2 = next(iter(names), "")
        is_typed = _classes(construct)[:1] != ["CfnResource"]
        ids = path.removeprefix(f"{stack_path}/").split("/")
        return Made(tuple(stack_path.split("/")), tuple(ids), l2, is_included, is_typed)

    def _stack(self, template: Template) -> cdk.Stack | None:
        """Return the stack that a template is of; None for a product of AWS Service Catalog."""
        return self._stacks.get(template.path.name)

    def _construct(self, resource: Resource) -> Any:  # noqa: ANN401
        stack = self._stack(resource.template)
        resources = {} if stack is None else self._resources(stack, resource.type)
        return resources.get(resource.logical_id)

    def source(self, resource: Resource, path: str) -> Source:
        """Return where a property of a resource, or what contains it, comes from."""
        construct, name = self._construct(resource), path.partition(".")[0]
        if construct is not None and name == "DependsOn":
            ids = [one.logical_id for one in construct.obtain_dependencies()]
            is_own = {*resource.body.get(name, ())} <= {*construct.stack.resolve(ids)}
            return Source.CONSTRUCT if is_own else Source.OVERRIDE
        if not hasattr(construct, snake(name)):
            return Source.APP
        given = getattr(construct, snake(name))
        given = getattr(given, "rendered_tags", given)
        both = construct.stack.resolve(given), written(resource, name)
        # In an L1 construct, the keys of properties are in camel case.
        made, there = (json.dumps(one, sort_keys=True).lower() for one in both)
        if made != there:
            return Source.OVERRIDE
        return super().source(resource, path) if cdk.Token.is_unresolved(given) else Source.APP

    @staticmethod
    def _find_resources(stack: cdk.Stack, type_: str) -> dict[str, IConstruct]:
        """Find the resources of a type. CDK returns their logical ids in one request."""
        found: list[Any] = cdk.ConstructSelector.resources_of_type(type_).select(stack)
        ids = stack.resolve([one.logical_id for one in found])
        pairs = [*zip(ids, found, strict=True)]
        if len({*ids}) < len(ids):  # a nested stack has logical ids of its own
            pairs = [(one, it) for one, it in pairs if it.stack is stack]
        return dict(pairs)

    def has(self, template: Template, construct_id: str) -> bool:
        """Tell whether the stack of a template has a child of this id."""
        stack = self._stack(template)
        if stack is None:
            return super().has(template, construct_id)
        return stack.node.try_find_child(construct_id) is not None

    def depends(self, template: Template, other: Template) -> bool:
        """Tell whether the stack of a template depends on that of another one."""
        return other.top.path.name in self._before(template.top.path.name)

    def _find_before(self, file: str) -> frozenset[str]:
        """Return the template files of all stacks that a stack depends on, by its own file."""
        stack = self._stacks.get(file)  # None for a product of Service Catalog
        files = [one.template_file for one in stack.dependencies] if stack else []
        return frozenset(files).union(*map(self._before, files))

    def is_later(self, ids: tuple[str, ...], other: tuple[str, ...]) -> bool:
        """Tell whether the app makes a construct after another one is made.

        A fleet, or the policy of a mixin, is often added to a stack once all stacks are made.
        """
        for number, (one, beside) in enumerate(zip(ids, other, strict=False)):
            if one != beside:
                order = (child.node.id for child in self._at(ids[:number]).node.children)
                first: str = next(id_ for id_ in order if id_ in {one, beside})
                return first == beside
        makers = {*_classes(self._at(ids)), *_classes(self._at(ids[:-1]))}
        is_added = "SessionManagerFleet" in makers or "_StackAccess" in makers
        return is_added and not isinstance(self._at(other), cdk.Stage)

    def share_class(self, several: Collection[tuple[str, ...]]) -> bool:
        """Tell whether a class of the app that makes one of these constructs makes others too."""
        these = [self._at(ids) for ids in several]
        every = {one for each in these for one in type(each).__mro__}
        own = {one for one in every if one.__module__.partition(".")[0] not in _LIBRARIES}
        return any(own.intersection(type(one).__mro__) for one in self._nodes if one not in these)

    def _find_at(self, ids: tuple[str, ...]) -> Any:  # noqa: ANN401
        return self._at(ids[:-1]).node.find_child(ids[-1]) if ids else self._app.node.root

    def is_of_fleet(self, policy: Resource) -> bool:
        """Tell whether a fleet makes a policy, in itself or in its construct in another stack."""
        made = self.made(policy)
        path = "/".join((*made.stack, *made.ids))
        return any(
            _is_below(path, one.node.path) or made.ids[0] == one._holder_id  # noqa: SLF001
            for _, one in self._fleets
        )

    def permissions(self, role: Resource) -> str:
        """Return the path, in the stack, of the `SessionManagerPermissions` of one role, or ""."""
        made = self.made(role)
        found = self._permissions.get("/".join((*made.stack, *made.ids[:-1])), "")
        return found.removeprefix(f"{'/'.join(made.stack)}/")

    @cached_property
    def _permissions(self) -> dict[str, str]:
        """The paths of the `SessionManagerPermissions` with one role, by the path of the role."""
        every: Any = [one for one in self._nodes if "SessionManagerPermissions" in _classes(one)]
        return {one.roles[0].node.path: one.node.path for one in every if len(one.roles) == 1}

    @cached_property
    def _fleets(self) -> list[tuple[str, Any]]:
        """The fleets, each with the path of its scope."""
        fleets: list[Any] = [one for one in self._nodes if "SessionManagerFleet" in _classes(one)]
        return [(one.node.path.rpartition("/")[0], one) for one in fleets]

    def fleet(self, resource: Resource) -> FleetMade | None:
        """Return the nearest fleet above an instance profile or a node group that covers it."""
        made = self.made(resource)
        path = "/".join((*made.stack, *made.ids))
        above = [one for one in self._fleets if _is_below(path, one[0])]
        for scope, fleet in sorted(above, key=lambda one: -len(one[0])):
            if not any(_is_below(path, one) for one in fleet._excluded_paths):  # noqa: SLF001
                ids = tuple(scope.split("/")) if scope else ()
                return FleetMade(ids, fleet.node.id, _written(fleet._arguments))  # noqa: SLF001
            if not [other for other, _ in above if other == scope][1:]:
                return None  # the only fleet in this scope excludes it
        return None


_LIBRARIES: Final = {"abc", "aws_cdk", "builtins", "constructs", "jsii", "typing"}
"""The packages whose classes are not the app's own."""


def _classes(construct: object) -> list[str]:
    """Return the names of the classes of a construct that CDK or this library defines."""
    known = ("aws_cdk", "session_manager_permissions")
    return [one.__name__ for one in type(construct).__mro__ if one.__module__.startswith(known)]


def _is_below(path: str, other: str) -> bool:
    return other in ("", path) or path.startswith(f"{other}/")


def _written(arguments: dict[str, object]) -> dict[str, Argument] | None:
    """Return arguments as code can write them; None if code can't write one of them."""
    found = {name: _argument(value) for name, value in arguments.items()}
    known = {name: value for name, value in found.items() if value is not None}
    return known if len(known) == len(found) else None


def _argument(value: object) -> Argument | None:
    if isinstance(value, (bool, str)):
        return None if cdk.Token.is_unresolved(value) else value
    if isinstance(value, (list, tuple)):
        several = [_argument(one) for one in value]
        paths = tuple(one for one in several if isinstance(one, ConstructPath))
        return paths if len(paths) == len(several) else None
    node = getattr(value, "node", None)
    return None if node is None else ConstructPath(tuple(node.path.split("/")))
