"""Find out the values of expressions in templates, in the world that is judged."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _patterns
from session_manager_permissions._readiness.worlds import Worlds, only_if

from . import functions, texts
from .files import Files
from .loading import as_document, parsed
from .model import (
    ARNS,
    NAMED_BY,
    OF_IAM,
    Resource,
    ReturnValue,
    Template,
    Unresolved,
    Value,
    may_be_equal,
    merged,
    name_in,
    referred,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

_IAM: Final = "AWS::IAM::"

_AS_WRITTEN: Final = {
    "AWS::EC2::SecurityGroup": ("VpcId",),
    "AWS::EC2::Subnet": ("VpcId",),
    "AWS::EC2::VPC": ("CidrBlock",),
}
"""The attributes that return a property of the same name."""


class Assembly(Files):
    """The templates of an app or a stage, with those of nested stacks, and their worlds."""

    def __init__(self, paths: Iterable[str]) -> None:
        super().__init__(paths)
        self.worlds = Worlds()
        self.by_type: defaultdict[str, list[Resource]] = defaultdict(list)
        """The resources of each type, in the order of the templates."""
        self._reading: set[Hashable] = set()
        self._functions: dict[str, Callable[[Template, Any], Value | None]] = {
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": self._attribute,
            "Fn::GetStackOutput": self._stack_output,
            "Fn::If": self._chosen,
            "Fn::ImportValue": self._import,
            "Fn::Join": self._join,
            "Fn::Length": self._length,
            "Fn::Select": self._select,
            "Fn::Sub": lambda template, of: self._join(template, ["", functions.parts_of_sub(of)]),
            "Ref": self._reference,
        }
        """The readers of the intrinsic functions. Each returns None if the value is not known."""
        for template in self.templates:
            template.holds = partial(self.holds, template)
            template.entries = partial(self.entries, template)
            template.value = partial(self.value, template)
            for resource in template.resources.values():
                self.by_type[resource.type].append(resource)

    def value(self, template: Template, expression: object) -> Value:
        """Return the value of an expression in `template`, as far as it is known.

        Follows references, the parameters and outputs of nested stacks, exports of the same account
        and region, and outputs that are read by the name of a stack.
        """
        if isinstance(expression, str):
            return texts.literal(template, expression)
        function, argument = functions.intrinsic(expression)
        read = self._functions.get(function)
        try:
            found = read(template, argument) if read else texts.scalar(expression)
        except RecursionError:  # a long chain of references from stack to stack
            found = (Unresolved((template, id(expression))),)
        if found is not None:
            return found
        return (Unresolved(template, json.dumps(expression, sort_keys=True)),)

    def holds(self, template: Template, name: object) -> bool:
        """Tell whether a condition of a template holds; ask the world if it is not known."""
        called = str(name)
        written = name if isinstance(name, dict) else template.conditions.get(called)
        key = "condition", template, called
        try:
            return self.worlds.once(key, lambda: self._evaluated(template, written, called))
        except RecursionError:  # CloudFormation refuses a condition that refers to itself
            return False

    def _evaluated(self, template: Template, written: object, name: str) -> bool:
        match functions.intrinsic(written):
            case "Fn::And", [*several]:
                return all(self._evaluated(template, one, name) for one in several)
            case "Fn::Or", [*several]:
                return any(self._evaluated(template, one, name) for one in several)
            case "Fn::Not", [one]:
                return not self._evaluated(template, one, name)
            case "Fn::Equals", [one, other]:
                values = self.value(template, one), self.value(template, other)
                return self._are_equal(*values, f"the condition {name!r}")
        match written:
            case {"Condition": str(other)}:
                return self.holds(template, other)
        return self.worlds.is_true(("condition", template, name), f"the condition {name!r}")

    def _are_equal(self, one: Value, other: Value, decider: str) -> bool:
        one, other = texts.without_the_same(one, other)
        if not one and not other:
            return True
        if texts.certainly_differ(one, other):
            return False
        for unknown, known in ((one, other), (other, one)):
            match unknown, known:
                case (Unresolved() as part,), () | (str(),):
                    text = frozenset({"".join(map(str, known))})
                    return self.worlds.is_one_of(part, text, decider, part.allowed)
        return self.worlds.is_true(("equal", frozenset({one, other})), decider)

    def text(self, template: Template, expression: object) -> str:
        """Return the value of an expression as a text, with `UNKNOWN` for each unknown part."""
        if isinstance(expression, str) and "{{" not in expression:
            return expression
        return texts.as_text(self.value(template, expression))

    def document(
        self, template: Template, written: object, known: Callable[[Value], str]
    ) -> object:
        """Return a document without functions; None if it can't be read.

        Args:
            template: the template with the document.
            written: the document, or its JSON, as it is deployed in the world.
            known: writes the value of a text, or of a function, in the document.
        """

        def read(entry: object) -> str:
            return known(self.value(template, entry))

        found = functions.rewritten(as_document(written), read)
        return functions.rewritten(parsed(found), read) if isinstance(found, str) else found

    def settled(self, value: Value) -> Value:
        """Return a value for the world that is judged.

        A parameter in it that has `AllowedValues` is replaced by its value in that world.
        """
        return merged(map(self._settled, value))

    def _settled(self, part: str | ReturnValue | Unresolved) -> str | ReturnValue | Unresolved:
        if isinstance(part, Unresolved):
            decider = f"the parameter {part.expression!r}"
            for one in sorted(part.allowed or ()):
                if self.worlds.is_one_of(part, frozenset({one}), decider, part.allowed):
                    return one
        return part

    def is_text(self, value: Value, known: str) -> bool:
        """Tell whether a value is the text `known`.

        If it is a parameter that has this text as its default or among its `AllowedValues`, the
        world decides.
        """
        match value:
            case (Unresolved() as part,) if known in (part.allowed or {part.default}):
                decider = f"the parameter {part.expression!r}"
                return self.worlds.is_one_of(part, frozenset({known}), decider, part.allowed)
        return value == (known,)

    def possible(self, template: Template, expression: object) -> list[Value]:
        """Return each value that an expression has in any world."""
        worlds, too_many = self.worlds.each(lambda: self.value(template, expression))
        if too_many:
            return [(Unresolved(template, json.dumps(expression, sort_keys=True)),)]
        return [*dict.fromkeys(world.judged for world in worlds)]

    def names(self, template: Template, owner: dict[str, Any], by: str) -> list[Value]:
        """Return the names that a property of `owner` has in any world."""
        given = functions.values_of(owner, by)
        names = (one for value in given for one in self.possible(template, value))
        return [*dict.fromkeys(names)]

    @cached_property
    def _by_name(self) -> dict[Hashable, list[Resource]]:
        found = defaultdict[Any, list[Any]](list)
        for type_, by in NAMED_BY.items():
            for one in self.by_type[type_]:
                for name in self.names(one.template, one.properties, by):
                    found[type_, name].append(one)
        return found

    def name_of(self, resource: Resource) -> Value | None:
        """Return the name that a resource is given; None if CloudFormation generates one."""
        name = resource.properties.get(NAMED_BY[resource.type])
        return None if name is None else self.value(resource.template, name)

    def with_name(self, type_: str, template: Template, name: Value) -> list[Resource]:
        """Return the resources of a type that have a name in any world.

        IAM resources must be in the account of a template, and others in its region as well.
        """
        account, region = template.stack.environment
        where = (account,) if type_.startswith(_IAM) else (account, region)
        found = self._by_name.get((type_, name), ())
        return [one for one in found if one.template.stack.environment[: len(where)] == where]

    def resource(self, type_: str, template: Template, expression: object) -> Resource | None:
        """Return the resource of a type that an expression refers to, or names, or names by ARN."""
        value = self.value(template, expression)
        found = referred(value)
        if found is not None and found.type == type_:
            return found
        return self.named(type_, template, value)

    def named(self, type_: str, template: Template, name: Value) -> Resource | None:
        """Return the only resource of a type that has a name in the world that is judged.

        `with_name` says where the resource may be. An IAM resource may be named by its ARN as well.
        If the account is not known, resources with the same name are in different accounts, and the
        name means the resource of the template's own stack.
        """
        if type_.startswith(_IAM):
            account = re.match("arn:[^:]*:iam::([0-9]+):", texts.as_text(name))
            if account and not may_be_equal(account[1], template.stack.account):
                return None
            name = name_in(name)
        several = self.with_name(type_, template, name)
        found = [one for one in several if one.exists and self.name_of(one) == name]
        if not template.stack.account:
            found = [one for one in found if one.template.top is template.top] or found
        return found[0] if len(found) == 1 else None

    def entries(self, template: Template, expression: object) -> list[Any] | None:
        """Return an expression for each entry of a list that a function makes.

        The last expression may stand for the rest of the list, from the first unknown entry on. An
        entry that only some worlds have is an `Fn::If` with the condition itself instead of a name.
        Returns None for a function that makes no list, and if the worlds differ in the number of
        known entries while the list may have more entries in one of them.
        """
        if not template.may_make_list(expression):
            return None
        key = template, "entries", json.dumps(expression, sort_keys=True)
        return self.worlds.once(key, lambda: self._entries(template, expression))

    def _entries(self, template: Template, expression: object) -> list[Any] | None:
        def number() -> int:
            """Return the number of entries, negated if there may be more than are known."""
            several = self._list(template, expression) or []
            return -len(several) if texts.is_open(several) else len(several)

        worlds, too_many = self.worlds.each(number)
        if too_many:
            return None
        numbers = sorted({one.judged for one in worlds})
        # No entry is known, or the worlds differ, and in one of them the list is open or empty.
        differ = len({*map(abs, numbers)}) > 1
        if numbers in ([], [0], [-1]) or (differ and numbers[0] <= 0):
            return None
        least, most = abs(numbers[0]), abs(numbers[-1])

        def entry(place: int) -> dict[str, Any]:
            found = {"Fn::Select": [place, expression]}
            if place < least:
                return found
            length = {"Fn::Length": expression}
            longer = [{"Fn::Equals": [length, str(one)]} for one in numbers if one > place]
            return {"Fn::If": [{"Fn::Or": longer}, found, functions.NO_VALUE]}

        return [*map(entry, range(most))]

    def _once(self, key: Hashable, read: Callable[[], Value]) -> Value:
        """Return the value of a parameter or an output; read it once, and follow no circle."""
        if key in self._reading:
            return (Unresolved(("a circle", key)),)
        self._reading.add(key)
        try:
            return self.worlds.once(("value", key), read)
        finally:
            self._reading.remove(key)

    def _chosen(self, template: Template, argument: object) -> Value | None:
        match argument:
            case [name, then, otherwise]:
                return self.value(template, then if template.holds(name) else otherwise)
        return None

    def _reference(self, template: Template, name: str) -> Value | None:
        if not name:  # a function makes the name
            return None
        if name in template.resources:
            only_if(template.resources[name].exists)
            return (ReturnValue(template.resources[name]),)
        if name.startswith("AWS::"):
            return _pseudo(template, name)
        if name in template.lists:
            several = self._list(template, {"Ref": name}) or []
            return several[0] if len(several) == 1 and not texts.is_open(several) else None
        return self._passed(template, name)

    def _passed(self, template: Template, name: str) -> Value:
        """Return the value of a parameter. The entries of a list are joined by commas."""
        stack = template.nested_as
        if stack is None or stack.template.transforms:
            return _parameter(template, name)
        return self._once((template, name), lambda: self._argument(template, stack, name))

    def _argument(self, template: Template, stack: Resource, name: str) -> Value:
        """Return the value that a nested stack passes to a parameter, or the default value."""
        parameter = functions.mapping(template.parameters.get(name))
        given = functions.mapping(stack.properties.get("Parameters")).get(name)
        if given is None:
            given = parameter.get("Default")
        if str(parameter.get("Type")).startswith("AWS::SSM::Parameter::Value<"):
            path = self.text(stack.template, given)
            if functions.UNKNOWN in path:
                return _parameter(template, name)
            given = f"{{{{resolve:ssm:{path}}}}}"
        return self.value(stack.template, given)

    def _attribute(self, template: Template, argument: object) -> Value | None:
        logical_id, _, attribute = ".".join(map(str, _patterns.as_list(argument))).partition(".")
        resource = template.resources.get(logical_id)
        if resource is None:
            return None
        nested = template.nested.get(logical_id)
        if nested is not None:
            return self._output(nested, attribute.removeprefix("Outputs."))
        only_if(resource.exists)
        if resource.type in OF_IAM and attribute == "Arn":
            return self._once(("arn", resource), lambda: resource.arn)
        if resource.type.startswith("AWS::KMS::") and attribute == "KeyId":
            return (ReturnValue(resource),)  # as `Ref` returns the id as well
        is_written = attribute in _AS_WRITTEN.get(resource.type, ())
        if is_written or resource.type == "Custom::CrossRegionExportReader":
            key = "written", resource, attribute
            read = self._written if is_written else self._cross_region_value
            return self._once(key, lambda: read(resource, attribute))
        return (ReturnValue(resource, attribute),)

    def _cross_region_value(self, reader: Resource, name: str) -> Value:
        """Return a value that a stack in another region writes, and that CDK reads by its name."""
        environment = reader.template.stack.environment
        for one in self.by_type["Custom::CrossRegionExportWriter"]:
            written = functions.mapping(one.written.get("WriterProps"))
            to = one.template.stack.account, written.get("region")
            if to == environment and name in functions.mapping(written.get("exports")):
                return self.value(one.template, written["exports"][name])
        return (ReturnValue(reader, name),)

    def _written(self, resource: Resource, name: str) -> Value:
        """Return the value of a property; AWS chooses it if the template has none."""
        written = resource.properties.get(name)
        if written is None:
            return (ReturnValue(resource, name),)
        return self.value(resource.template, written)

    def _output(self, template: Template, name: str) -> Value | None:
        output = functions.mapping(template.outputs.get(name))
        if "Value" not in output:
            return None
        only_if(_has_output(template, name))
        return self._once((template, "output", name), lambda: self.value(template, output["Value"]))

    @cached_property
    def _exports(self) -> dict[Hashable, list[tuple[Template, str]]]:
        """The outputs that are exported, by their environment and the name of the export."""
        found = defaultdict[Any, list[Any]](list)
        for template in self.templates:
            for name, output in template.outputs.items():
                exported = functions.mapping(functions.mapping(output).get("Export")).get("Name")
                if exported is not None:
                    for value in self.possible(template, exported):
                        found[template.stack.environment, value].append((template, name))
        return found

    def _import(self, template: Template, name: object) -> Value:
        key = template.stack.environment, self.value(template, name)
        several = self._exports.get(key, [])
        there = [one for one in several if several[1:] and _has_output(*one)] or several
        found = self._output(*there[0]) if len(there) == 1 else None
        return (Unresolved(*key),) if found is None else found

    def _stack_output(self, template: Template, argument: object) -> Value | None:
        """Return an output of a stack of the same account, by the stack's name and region.

        CDK writes this function for a reference between stacks where
        `@aws-cdk/core:defaultCrossStackReferences` is `weak` or `both`.
        """
        entries = functions.mapping(argument).items()
        given = {name: self.value(template, entry) for name, entry in entries}
        region = given.get("Region", _pseudo(template, "AWS::Region"))
        match given:
            case {"StackName": (str(stack),), "OutputName": (str(output),)}:
                found = [
                    there
                    for there in self.templates
                    if there.nested_as is None
                    and there.stack.name == stack
                    and _pseudo(there, "AWS::Region") == region
                    and ("RoleArn" in given or there.stack.account == template.stack.account)
                ]
                if len(found) == 1:
                    return self._output(found[0], output)
        return None

    def _join(self, template: Template, argument: object) -> Value | None:
        match argument:
            case [str(separator), entries]:
                parts = self._list(template, entries)
                return None if parts is None else texts.joined(parts, separator)
        return None

    def _select(self, template: Template, argument: object) -> Value | None:
        match argument:
            case [index, entries]:
                place = texts.as_text(self.settled(self.value(template, index)))
                parts = self._list(template, entries) or []
                if re.fullmatch("[0-9]{1,4}", place) and int(place) < len(parts):
                    return parts[int(place)]
        return None

    def _length(self, template: Template, expression: object) -> Value | None:
        several = self._list(template, expression)
        return None if several is None or texts.is_open(several) else (str(len(several)),)

    def _list(self, template: Template, expression: object) -> list[Value] | None:
        """Return the entries of a list. The last one may stand for the rest, as in `split`."""
        expression = functions.chosen(expression, template.holds)
        if isinstance(expression, list):
            known = (functions.chosen(entry, template.holds) for entry in expression)
            return [self.value(template, entry) for entry in known if entry != functions.NO_VALUE]
        key = template, "list", json.dumps(expression, sort_keys=True)
        return self.worlds.once(key, lambda: self._made_list(template, expression))

    def _made_list(self, template: Template, expression: object) -> list[Value] | None:
        """Return the entries of a list that a function makes, as `_list` does."""
        match functions.intrinsic(expression):
            case "Fn::Split", [str(separator), source] if separator:
                match self.value(template, source):
                    case (ReturnValue(one, "Arn"),) if one.type in ARNS:
                        return texts.split(one.arn, separator)
                    case value:
                        return texts.split(value, separator)
            case "Ref", name if name in template.lists:
                return [*map(texts.stripped, texts.split(self._passed(template, name), ","))]
            case "Fn::FindInMap", of:
                found = self._in_map(template, of)
                return self._list(template, found) if isinstance(found, list) else None
            case "Fn::Cidr", [_, _, _] as argument:
                return texts.blocks(*(texts.as_text(self.value(template, one)) for one in argument))
        return None

    def _find_in_map(self, template: Template, argument: object) -> Value | None:
        found = self._in_map(template, argument)
        return None if found is None else self.value(template, found)

    def _in_map(self, template: Template, argument: object) -> object:
        """Return an entry of a map, or the default if there is none; None if it is not known."""
        if not isinstance(argument, list) or len(argument) not in {3, 4}:
            return None
        found: object = template.mappings
        default = functions.mapping(argument[-1]).get("DefaultValue")
        for key in argument[:3]:
            among = functions.mapping(found)
            match self.value(template, key):
                case (str(known),):
                    found = functions.Deployed(among, template).written(known)
                case (Unresolved() as unknown,) if not functions.maker_in(among):
                    ref = functions.mapping(key).get("Ref")
                    what = f"parameter {ref!r}" if ref else f"value {functions.quoted(key)}"
                    found = self._entry(among, unknown, f"the {what}")
                    only_if(found is not None or default is not None)
                case _:
                    return None
            if found is None:
                return default
        return None if functions.is_function(found) else found  # a macro makes it

    def _entry(self, among: dict[str, Any], unknown: Unresolved, decider: str) -> object:
        """Return the entry of a mapping that the world chooses by the value of a parameter."""
        for keys in self.worlds.once(("alike", id(among)), lambda: _with_equal_entries(among)):
            if self.worlds.is_one_of(unknown, keys, decider, unknown.allowed):
                return among[next(iter(keys))]
        return None


def _has_output(template: Template, name: str) -> bool:
    """Tell whether an output exists in the world, by its condition and those of its stack."""
    return template.has(functions.mapping(template.outputs[name]).get("Condition"))


def _with_equal_entries(among: dict[str, Any]) -> list[frozenset[str]]:
    """Return the keys of a mapping in groups, each with equal entries."""
    by_entry = defaultdict[str, list[str]](list)
    for key, entry in among.items():
        by_entry[json.dumps(entry, sort_keys=True)].append(key)
    return [*map(frozenset, by_entry.values())]


def _pseudo(template: Template, name: str) -> Value | None:
    """Return the value of a pseudo parameter; None if it may differ within an environment."""
    stack, partition = template.stack, template.stack.partition
    known = {
        "AWS::AccountId": stack.account,
        "AWS::Partition": partition and partition.name,
        "AWS::Region": stack.region,
        "AWS::StackName": None if template.nested_as else stack.name,
        "AWS::URLSuffix": partition and partition.suffix,
    }.get(name)
    if known:
        return (known,)
    return (Unresolved(stack.environment, name),) if name in texts.OF_ENVIRONMENT else None


def _parameter(template: Template, name: str) -> Value:
    """Return the value that a parameter has at the deployment.

    It is known if only one value is allowed. The `AllowedValues` of a list are values of its
    entries, and those of an SSM parameter are names of SSM parameters.
    """
    parameter = functions.mapping(template.parameters.get(name))
    allowed, type_ = parameter.get("AllowedValues"), str(parameter.get("Type"))
    if not isinstance(allowed, list) or name in template.lists or type_.startswith("AWS::SSM::"):
        return (Unresolved(template, name),)
    values = frozenset("".join(map(str, texts.scalar(one) or (one,))) for one in allowed)
    match [*values]:
        case [only]:
            return texts.literal(template, only)
    return (Unresolved(template, name, values),)
