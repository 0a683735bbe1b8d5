"""Read synthesized templates, and find out what a value in a template refers to.

Nothing here raises, whatever the files of an assembly contain. A value that is malformed or nested
too deep is unknown. CDK itself refuses to synthesize more than 200 levels.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from session_manager_permissions import _patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

UNKNOWN: Final = _patterns.UNKNOWN
"""In a text, stands for a part that is only known at deployment."""

NO_VALUE: Final = {"Ref": "AWS::NoValue"}

_MOST_DEEP: Final = 100  # levels of a template; those below are read as one unknown value
_MOST_NESTED: Final = 50  # nested stacks within nested stacks
_MOST_TEMPLATES: Final = 5_000  # more than an account's quota of stacks, which is 2,000
_MOST_PARTS: Final = 100  # of a text that is put together; a name or an ARN has a few
_MOST_CHARACTERS: Final = 10_000  # of such a text

_DYNAMIC: Final = re.compile(r"(\{\{resolve:(?:(?!\{\{resolve:)[^}])*\}\})")
_PLACEHOLDER: Final = re.compile(r"\$\{(!?)((?:(?!\$\{)[^}])*)\}")


def text(value: object) -> str:
    """Return `value` as a text, with `UNKNOWN` for each part that is only known at deployment.

    Does not follow references; `Assembly.value` does.
    """
    if isinstance(value, str):
        return _DYNAMIC.sub(UNKNOWN, value) if "{{" in value else value
    match intrinsic(value):
        case "Fn::Join", [separator, [*parts]]:
            return text(text(separator).join(map(text, parts)))
        case "Fn::Sub", argument:
            return text({"Fn::Join": ["", _parts_of_sub(argument)]})
    return UNKNOWN


def _parts_of_sub(argument: object) -> list[object] | None:
    """Return the parts of an `Fn::Sub`, as an `Fn::Join` has them; None if it is malformed."""
    pattern, given = [*_patterns.as_list(argument), {}, {}][:2]
    if not isinstance(pattern, str):
        return None
    first, *others = _PLACEHOLDER.split(pattern)
    parts: list[object] = [first]
    for escape, variable, literal in zip(others[::3], others[1::3], others[2::3], strict=True):
        name = variable.strip()
        reference = {"Fn::GetAtt" if "." in name else "Ref": name}
        parts.append(f"${{{variable}}}" if escape else mapping(given).get(name, reference))
        parts.append(literal)
    return parts


def shown(value: object) -> str:
    """Return `value` as a message shows it."""
    known = text(value)
    return json.dumps(value) if known == UNKNOWN else repr(known.replace(UNKNOWN, "…"))


def listed(value: object, *, certain: bool = True) -> Iterator[tuple[Any, bool]]:
    """Yield each entry of a list, and whether the deployment certainly has it.

    A value that is not a list counts as a list with one entry.
    """
    function, argument = intrinsic(value)
    if isinstance(value, list):
        for entry in value:
            yield from listed(entry, certain=certain)
    elif function == "Fn::If" and isinstance(argument, list):
        yield from listed(argument[1:], certain=False)
    elif value is not None and value != NO_VALUE:
        yield value, certain


def shortest(value: object) -> int:
    """Return the least length of `value` as JSON at deployment, without white space."""
    known = rewritten(value, lambda one: text(one).replace(UNKNOWN, ""))
    return len(re.sub(r"\s", "", json.dumps(known, ensure_ascii=False)))


def rewritten(value: object, read: Callable[[dict[str, Any]], object]) -> object:
    """Return `value` with what `read` returns in place of each intrinsic function.

    Entries that are `AWS::NoValue` after that are left out, as CloudFormation removes them.
    """
    if isinstance(value, dict):
        if intrinsic(value)[0]:
            return value if value == NO_VALUE else read(value)
        entries = {name: rewritten(one, read) for name, one in value.items()}
        return {name: one for name, one in entries.items() if one != NO_VALUE}
    if isinstance(value, list):
        return [one for entry in value if (one := rewritten(entry, read)) != NO_VALUE]
    return value


def intrinsic(value: object) -> tuple[str, Any]:
    """Return the name and the argument of an intrinsic function; else an empty name and None."""
    if isinstance(value, dict) and len(value) == 1:
        ((function, argument),) = value.items()
        if function == "Ref":
            return function, argument if isinstance(argument, str) else ""
        if function.startswith("Fn::"):
            return function, argument
    return "", None


def is_function(value: object) -> bool:
    """Tell whether `value` is an intrinsic function, or a mapping that one may add entries to."""
    return isinstance(value, dict) and any(
        name == "Ref" or name.startswith("Fn::") for name in value
    )


def mapping(value: object) -> dict[str, Any]:
    """Return `value` if it is a mapping, else an empty mapping."""
    return value if isinstance(value, dict) else {}


def present(properties: dict[str, Any], name: str) -> object:
    """Return a property; None if it is not written."""
    value = properties.get(name)
    return None if value == NO_VALUE else value


def mappings_in(value: object) -> list[dict[str, Any]]:
    """Return each mapping in `value`, at any depth, in the order in which they are written."""
    found, left = [], [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            found.append(one)
            left += reversed(one.values())
        elif isinstance(one, list):
            left += reversed(one)
    return found


class Template:
    """One synthesized template. That of a nested stack knows its parent and its arguments."""

    def __init__(
        self, path: Path, body: dict[str, Any], stack: Stack, nested_as: Resource | None = None
    ) -> None:
        self.path = path
        self.stack = stack
        """The stack that is deployed; for a nested stack, the top-level stack around it."""
        self.parent = nested_as.template if nested_as else None
        self.depth: int = self.parent.depth + 1 if self.parent else 0
        self.arguments = mapping(nested_as.properties.get("Parameters")) if nested_as else {}
        self.conditions: frozenset[Condition] = nested_as.conditions if nested_as else frozenset()
        """The conditions in its parents that decide whether the nested stack is deployed."""
        self.outputs = mapping(body.get("Outputs"))
        self.mappings = mapping(body.get("Mappings"))
        self.nested: dict[str, Template] = {}
        entries = mapping(body.get("Resources"))
        self.resources = {
            logical_id: Resource(self, logical_id, entry)
            for logical_id, entry in entries.items()
            if isinstance(entry, dict) and not logical_id.startswith("Fn::")
        }
        self.made_later = {
            name: entry for name, entry in entries.items() if name.startswith("Fn::")
        }
        """The entries that CloudFormation makes resources from: `Fn::ForEach`, `Fn::Transform`."""
        macros = [text(mapping(one).get("Name", one)) for one, _ in listed(body.get("Transform"))]
        self.transforms = [name for name in macros if name not in _HARMLESS_TRANSFORMS]
        """The macros that may change the template in any way."""

    @cached_property
    def disclosed(self) -> frozenset[Resource]:
        """The resources whose generated names another template may be able to read.

        A template reads them from an output, from its parameters, or from a resource that stores
        a value, such as an SSM parameter. It can't read them from resources of these services.
        """
        found = self.mentioned_in([self.outputs, self.made_later])
        for resource in self.resources.values():
            if not resource.type.startswith(_NEVER_STORE):
                found += resource.mentions
        return frozenset(found)

    def mentioned_in(self, value: object) -> list[Resource]:
        """Return the resources that a part of the template refers to or depends on."""
        return [
            self.resources[mentioned]
            for one in mappings_in(value)
            for name, entry in one.items()
            if name in _REFERRING
            for mentioned in _mentioned(name, entry)
            if mentioned in self.resources
        ]

    @cached_property
    def assets(self) -> dict[str, Any]:
        """The entries of its stack's assets file, by their hashes."""
        if self.parent:
            return self.parent.assets
        stem = self.path.name.removesuffix(".template.json")
        return mapping(mapping(_read(self.path.with_name(f"{stem}.assets.json"))).get("files"))


_NEVER_STORE: Final = ("AWS::AutoScaling::", "AWS::EC2::", "AWS::IAM::", "AWS::KMS::", "AWS::S3::")
"""Services none of whose resources gives a role's name back by `Ref` or `Fn::GetAtt`."""

_HARMLESS_TRANSFORMS: Final = {
    "AWS::CodeDeployBlueGreen",
    "AWS::LanguageExtensions",
    "AWS::SecretsManager-2020-07-23",
    "AWS::SecretsManager-2024-09-16",
    "AWS::Serverless-2016-10-31",
}
"""Transforms that do not change the resources of IAM and EC2."""


class Resource:
    """One resource of a template."""

    def __init__(self, template: Template, logical_id: str, body: dict[str, Any]) -> None:
        self.template = template
        self.logical_id = logical_id
        self.body = body
        self.type = text(body.get("Type"))
        self.properties = mapping(body.get("Properties"))

    @property
    def conditions(self) -> frozenset[Condition]:
        """The conditions that it is deployed on: its own, and those of nested stacks around it."""
        condition = self.body.get("Condition")
        if condition is None:
            return self.template.conditions
        return self.template.conditions | {Condition(self.template, str(condition))}

    @property
    def path(self) -> str:
        """Its construct's path; empty where the template does not have it."""
        return text(mapping(self.body.get("Metadata")).get("aws:cdk:path", ""))

    @property
    def is_l1(self) -> bool:
        """Whether it is known to be a construct of its own, and not the inside of another."""
        return self.path.rpartition("/")[2] not in {"", "Resource", "ASG"}

    @cached_property
    def mentions(self) -> list[Resource]:
        """The resources of its template that it refers to or depends on."""
        return self.template.mentioned_in(self.body)

    @cached_property
    def waits_for(self) -> set[Resource]:
        """The resources of its template that CloudFormation creates before it."""
        found: set[Resource] = set()
        left = [self]
        while left:
            new = {*left.pop().mentions} - found
            found |= new
            left += new
        return found


_REFERRING: Final = {"DependsOn", "Fn::GetAtt", "Fn::Sub", "Ref"}


def _mentioned(name: str, entry: object) -> list[str]:
    """Return the logical ids in the argument of a function or in `DependsOn`, and other names."""
    match name, entry:
        case "Fn::Sub", str(pattern) | [str(pattern), *_]:
            return re.findall(r"\$\{([^}.!]+)", pattern)
        case _, str(found):
            return [found.partition(".")[0]]
        case _, [*names]:
            return [found for found in names if isinstance(found, str)]
    return []


def may_be_equal(one: str | None, other: str | None) -> bool:
    """Tell whether two accounts, or two regions, may be one, as None stands for any."""
    return one is None or other is None or one == other


class Condition(NamedTuple):
    """A condition of a template. Conditions of two templates are two, even if their names agree."""

    template: Template | None
    """None for that of a policy document that is in no template."""
    name: str


class Stack(NamedTuple):
    """A stack of the app, as the manifest describes it."""

    name: str = ""
    account: str | None = None
    """Its account; None if it is only known at deployment."""
    region: str | None = None
    """Its region; None if it is only known at deployment."""

    @property
    def environment(self) -> tuple[str | None, str | None]:
        """Its account and its region."""
        return self.account, self.region

    @property
    def partition(self) -> str | None:
        """The partition of its region, such as `aws-cn`; None where it is not known."""
        found = re.fullmatch("([a-z]+)(-gov|-iso[bef]?)?(-[a-z]+)+-[0-9]+", self.region or "")
        return _PARTITIONS_BY_REGION.get(found[2] or found[1], "aws") if found else None


_PARTITIONS_BY_REGION: Final = {
    "cn": "aws-cn",
    "eusc": "aws-eusc",
    "-gov": "aws-us-gov",
    "-iso": "aws-iso",
    "-isob": "aws-iso-b",
    "-isoe": "aws-iso-e",
    "-isof": "aws-iso-f",
}
"""The partitions other than `aws`, by the part of a region's name that tells them.

https://docs.aws.amazon.com/general/latest/gr/rande.html
"""

PARTITIONS: Final = {"aws", *_PARTITIONS_BY_REGION.values()}


class ReturnValue(NamedTuple):
    """A value that AWS gives a resource: that of `Ref`, or an attribute of `Fn::GetAtt`."""

    resource: Resource
    attribute: str = ""


class Unresolved(NamedTuple):
    """A value that is only known at deployment. Two that are equal have the same value."""

    scope: Hashable
    """Where `expression` has one value: a template, an environment, or an object of its own."""
    expression: Hashable = ""
    """What the template has in place of the value."""


Value: TypeAlias = "tuple[str | ReturnValue | Unresolved, ...]"
"""A text in parts. No part is empty, and no two strings are next to each other."""


class Assembly:
    """The templates of an app or a stage, with those of nested stacks; each is read once."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.templates: list[Template] = []
        self.unread: list[tuple[Template, str]] = []
        """The stacks that can't be read: the template that deploys each, and what to call it."""
        self.by_type: defaultdict[str, list[Resource]] = defaultdict(list)
        """The resources of each type, in the order of the templates."""
        self._exports: dict[Hashable, list[tuple[Template, object]]] = defaultdict(list)
        self._by_stack_name: dict[str, list[Template]] = defaultdict(list)
        self._values: dict[Hashable, Value] = {}
        self._functions = {
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": self._attribute,
            "Fn::GetStackOutput": self._stack_output,
            "Fn::ImportValue": self._import,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Sub": self._substitute,
            "Ref": self._reference,
        }
        """Each reads a function of a template, and returns None if its value is not known."""
        files = [Path(name) for name in dict.fromkeys(map(str, paths))]
        stacks = {folder: _stacks(folder) for folder in {path.parent for path in files}}
        for path in files:
            body = _read(path)
            template = Template(path, body or {}, stacks[path.parent].get(path.name, Stack()))
            if body is None:
                self.unread.append((template, f"the template {path.name!r}, which can't be read"))
            self._by_stack_name[template.stack.name].append(template)
            self._add(template)
        for template in self.templates:
            for resource in template.resources.values():
                self.by_type[resource.type].append(resource)
            for output in template.outputs.values():
                exported = mapping(mapping(output).get("Export")).get("Name")
                if exported is not None:
                    key = template.stack.environment, self.value(template, exported)
                    self._exports[key].append((template, output.get("Value")))

    def value(self, template: Template, expression: object) -> Value:
        """Return the value of an expression in `template`, as far as it is known.

        Follows references, the parameters and outputs of nested stacks, exports of the same account
        and region, and outputs that are read by the name of a stack.
        """
        if isinstance(expression, str):
            return _literal(template, expression)
        function, argument = intrinsic(expression)
        read = self._functions.get(function)
        try:
            found = read(template, argument) if read else None
        except RecursionError:  # a reference from stack to stack to stack
            found = (Unresolved(object()),)
        if found is not None:
            return found
        return (Unresolved(template, json.dumps(expression, sort_keys=True)),)

    def _once(self, template: Template, key: Hashable, expression: object) -> Value:
        """Return the value of a parameter or an output: read once, following no circle."""
        if (template, key) not in self._values:
            self._values[template, key] = (Unresolved(object()),)
            self._values[template, key] = self.value(template, expression)
        return self._values[template, key]

    def _reference(self, template: Template, name: str) -> Value | None:
        stack = template.stack
        if name.startswith("AWS::"):
            known = {
                "AWS::AccountId": stack.account,
                "AWS::Region": stack.region,
                "AWS::StackName": None if template.parent else stack.name,
            }.get(name)
            if known:
                return (known,)
            return (Unresolved(stack.environment, name),) if name in _OF_ENVIRONMENT else None
        if template.parent and name in template.arguments:
            return self._once(template.parent, (template, name), template.arguments[name])
        resource = template.resources.get(name)
        return (ReturnValue(resource),) if resource else None

    def _attribute(self, template: Template, argument: object) -> Value | None:
        logical_id, _, attribute = ".".join(map(str, _patterns.as_list(argument))).partition(".")
        resource = template.resources.get(logical_id)
        if resource is None:
            return None
        nested = template.nested.get(logical_id)
        if nested is not None:
            return self._output(nested, attribute.removeprefix("Outputs."))
        if resource.type == "AWS::IAM::Role" and attribute == "Arn":
            return self._role_arn(resource)
        return (ReturnValue(resource, attribute),)

    def _output(self, template: Template, name: str) -> Value | None:
        if name not in template.outputs:
            return None
        expression = mapping(template.outputs[name]).get("Value")
        return self._once(template, ("output", name), expression)

    def _role_arn(self, role: Resource) -> Value:
        """Return the ARN of a role, with its path before its name."""
        arn = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role${Path}${Name}"
        given = {"Path": role.properties.get("Path", "/"), "Name": {"Ref": role.logical_id}}
        return self._once(role.template, ("arn", role), {"Fn::Sub": [arn, given]})

    def _import(self, template: Template, name: object) -> Value:
        key = template.stack.environment, self.value(template, name)
        match self._exports.get(key):
            case [(there, expression)]:
                return self._once(there, key, expression)
        return (Unresolved(template.stack.environment, key),)

    def _stack_output(self, template: Template, argument: object) -> Value | None:
        """Return an output of a stack of the same account, by the stack's name and region.

        CDK writes this function for a reference between stacks where
        `@aws-cdk/core:defaultCrossStackReferences` is `weak` or `both`.
        """
        given = {name: self.value(template, entry) for name, entry in mapping(argument).items()}
        region = given.get("Region", self._reference(template, "AWS::Region"))
        match given:
            case {"StackName": (str(stack),), "OutputName": (str(output),)}:
                found = [
                    there
                    for there in self._by_stack_name.get(stack, ())
                    if self._reference(there, "AWS::Region") == region
                    and ("RoleArn" in given or there.stack.account == template.stack.account)
                ]
                if len(found) == 1:
                    return self._output(found[0], output)
        return None

    def _join(self, template: Template, argument: object) -> Value | None:
        match argument:
            case [str(separator), entries]:
                parts = self._list(template, entries)
                return None if parts is None else _joined(parts, separator)
        return None

    def _substitute(self, template: Template, argument: object) -> Value | None:
        return self._join(template, ["", _parts_of_sub(argument)])

    def _select(self, template: Template, argument: object) -> Value | None:
        match argument:
            case [index, entries] if re.fullmatch("[0-9]{1,4}", str(index)):
                parts = self._list(template, entries) or []
                return parts[int(str(index))] if int(str(index)) < len(parts) else None
        return None

    def _list(self, template: Template, expression: object) -> list[Value] | None:
        """Return the entries of a list, or the first entries of a split text that are known."""
        if isinstance(expression, list):
            return [self.value(template, entry) for entry in expression]
        match intrinsic(expression):
            case "Fn::Split", [str(separator), source] if separator:
                return _split(self.value(template, source), separator)
        return None

    def _find_in_map(self, template: Template, argument: object) -> Value | None:
        found: object = template.mappings
        for name in _patterns.as_list(argument):
            match self.value(template, name):
                case (str(key),):
                    found = mapping(found).get(key)
                case _:
                    return None
        return _literal(template, found) if isinstance(found, str) else None

    def _add(self, template: Template) -> None:
        """Add a template and those that are nested in it."""
        self.templates.append(template)
        for resource in template.resources.values():
            if resource.type != "AWS::CloudFormation::Stack":
                continue
            path = template.path.parent / _nested_file(resource)
            room = template.depth < _MOST_NESTED and len(self.templates) < _MOST_TEMPLATES
            body = _read(path) if room else None
            if body is None:
                what = f"the nested stack {resource.logical_id!r}, whose template can't be read"
                self.unread.append((template, what))
            else:
                nested = Template(path, body, template.stack, resource)
                template.nested[resource.logical_id] = nested
                self._add(nested)


_OF_ENVIRONMENT: Final = ("AWS::AccountId", "AWS::Partition", "AWS::Region", "AWS::URLSuffix")
"""Pseudo parameters with one value in all stacks of an account and region."""


def _literal(template: Template, string: str) -> Value:
    """Return a string of a template, with its dynamic references as unknown parts."""
    if "{{" not in string:
        return (string,) if string else ()
    return _joined(
        (Unresolved(template, part) if place % 2 else part,)
        for place, part in enumerate(_DYNAMIC.split(string))
    )


def _joined(values: Iterable[Value], separator: str = "") -> Value:
    parts: list[str | ReturnValue | Unresolved] = []
    for place, value in enumerate(values):
        for part in (separator, *value) if place else value:
            if isinstance(part, str) and parts and isinstance(parts[-1], str):
                parts[-1] += part
            elif part:
                parts.append(part)
    strings = [part for part in parts if isinstance(part, str)]
    if len(parts) > _MOST_PARTS or any(len(one) > _MOST_CHARACTERS for one in strings):
        return (Unresolved(object()),)
    if any("{{resolve" in one for one in strings):
        # CloudFormation resolves the reference after it joins the parts.
        return (Unresolved(tuple(parts)),)
    return tuple(parts)


def _split(value: Value, separator: str) -> list[Value]:
    """Return the entries of a text that is split, up to a part that may contain the separator."""
    entries: list[list[str | ReturnValue | Unresolved]] = [[]]
    for part in value:
        if isinstance(part, str):
            first, *others = part.split(separator)
            entries[-1].append(first)
            entries += [[other] for other in others]
        elif separator in {":", "/"} and _is_plain(part):
            entries[-1].append(part)
        else:
            return [_joined([tuple(entry)]) for entry in entries[:-1]]
    return [_joined([tuple(entry)]) for entry in entries]


def _is_plain(part: ReturnValue | Unresolved) -> bool:
    """Tell whether the value certainly contains neither a colon nor a slash."""
    if isinstance(part, Unresolved):
        return part.expression in _OF_ENVIRONMENT
    return part.resource.type == "AWS::IAM::Role" and not part.attribute


def _nested_file(resource: Resource) -> str:
    """Return the file of a nested stack's template, by its metadata or by the hash in its URL.

    CDK writes the metadata when the CLI runs it. The assets file has the same without the CLI.
    """
    path = mapping(resource.body.get("Metadata")).get("aws:asset:path")
    if path is None:
        found = re.search(r"[0-9a-f]{64}", text(resource.properties.get("TemplateURL")))
        asset = resource.template.assets.get(found[0]) if found else None
        path = mapping(mapping(asset).get("source")).get("path")
    return path if isinstance(path, str) else ""


def _stacks(directory: Path) -> dict[str, Stack]:
    """Return the stack of each template file in the assembly's manifest."""
    found = {}
    artifacts = mapping(mapping(_read(directory / "manifest.json")).get("artifacts"))
    for name, artifact in artifacts.items():
        match artifact:
            case {
                "type": "aws:cloudformation:stack",
                "environment": str(environment),
                "properties": {"templateFile": str(file), **properties},
            }:
                parts = [*environment.removeprefix("aws://").split("/"), "", ""]
                known = [None if one.startswith("unknown-") else one or None for one in parts]
                found[file] = Stack(str(properties.get("stackName", name)), *known[:2])
    return found


def _read(path: Path) -> dict[str, Any] | None:
    """Return the JSON of a file of the assembly; None if it can't be read, such as a YAML asset."""
    try:
        return parsed(path.read_bytes())
    except (OSError, ValueError):
        return None


def parsed(written: str | bytes) -> dict[str, Any] | None:
    """Return the mapping that a JSON text is, cut at a depth; None if it is none."""
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    level: list[Any] = [found]
    for _ in range(_MOST_DEEP):
        entries = [one.values() if isinstance(one, dict) else one for one in level]
        level = [one for several in entries for one in several if isinstance(one, (dict, list))]
    for one in level:
        if isinstance(one, list):
            one[:] = [_TOO_DEEP for _ in one]
        else:
            one.clear()
            one.update(_TOO_DEEP)
    return found


_TOO_DEEP: Final = {"Fn::Transform": "too deep to read"}
