"""Read synthesized templates, and find out what a value in a template refers to.

Nothing here raises, whatever the files of an assembly contain. A value that is malformed or nested
too deep is unknown.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

UNKNOWN: Final = "\0"
"""In a text, stands for a part that is only known at deployment."""

NO_VALUE: Final = {"Ref": "AWS::NoValue"}

_MOST_DEEP: Final = 100  # nested functions, and references from stack to stack
_MOST_NESTED: Final = 50  # nested stacks within nested stacks
_MOST_TEMPLATES: Final = 5_000  # more than an account's quota of stacks, which is 2,000
_MOST_PARTS: Final = 100  # of a text that is put together; a name or an ARN has a few
_MOST_CHARACTERS: Final = 10_000  # of such a text

_DYNAMIC: Final = re.compile(r"\{\{resolve:[^}]*\}\}")


def text(value: object, depth: int = 0) -> str:
    """`value` as a text, with `UNKNOWN` for each part that is only known at deployment.

    Does not follow references; `Assembly.value` does.
    """
    if isinstance(value, str):
        return _DYNAMIC.sub(UNKNOWN, value) if "{{" in value else value
    if depth == _MOST_DEEP:
        return UNKNOWN
    match intrinsic(value):
        case "Fn::Join", [separator, [*parts]]:
            joined = text(separator, depth + 1).join(text(part, depth + 1) for part in parts)
            return text(joined)
        case "Fn::Sub", str(written) | [str(written), *_]:
            return text(_PLACEHOLDER.sub(_substituted, written))
    return UNKNOWN


_PLACEHOLDER: Final = re.compile(r"\$\{(!?)([^}]*)\}")


def _substituted(found: re.Match[str]) -> str:
    return f"${{{found[2]}}}" if found[1] else UNKNOWN


def shown(value: object) -> str:
    """`value` as a message shows it."""
    known = text(value)
    if known != UNKNOWN:
        return repr(known.replace(UNKNOWN, "…"))
    try:
        return json.dumps(value)
    except RecursionError:
        return "…"


def listed(value: object, *, certain: bool = True, depth: int = 0) -> Iterator[tuple[Any, bool]]:
    """Each entry of a list, and whether the deployment certainly has it.

    A value that is not a list counts as a list with one entry.
    """
    if isinstance(value, str):
        yield value, certain
        return
    function, argument = intrinsic(value)
    if depth == _MOST_DEEP:
        yield _TOO_DEEP, False
    elif isinstance(value, list):
        for entry in value:
            yield from listed(entry, certain=certain, depth=depth + 1)
    elif function == "Fn::If" and isinstance(argument, list):
        yield from listed(argument[1:], certain=False, depth=depth + 1)
    elif value is not None and value != NO_VALUE:
        yield value, certain


def shortest(value: object) -> int:
    """The least number of characters of `value` as JSON at deployment, without white space."""
    try:
        written = json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)
    except RecursionError:
        return 0
    return len(re.sub(r"\s", "", written))


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        if intrinsic(value)[0]:
            return text(value).replace(UNKNOWN, "")
        return {name: _plain(entry) for name, entry in value.items()}
    return value


def intrinsic(value: object) -> tuple[str, Any]:
    """The name and the argument of an intrinsic function; an empty name for any other value."""
    if isinstance(value, dict) and len(value) == 1:
        ((function, argument),) = value.items()
        if function == "Ref":
            return function, argument if isinstance(argument, str) else ""
        if function.startswith("Fn::"):
            return function, argument
    return "", None


def mapping(value: object) -> dict[str, Any]:
    """`value` if it is a mapping, else an empty mapping."""
    return value if isinstance(value, dict) else {}


class Template:
    """One synthesized template. That of a nested stack knows its parent and its arguments."""

    def __init__(
        self,
        path: Path,
        body: dict[str, Any],
        stack: Stack,
        nested_as: Resource | None = None,
    ) -> None:
        self.path = path
        self.stack = stack
        """The stack that is deployed; for a nested stack, the top-level stack around it."""
        self.nested_as = nested_as
        """The `AWS::CloudFormation::Stack` in its parent; None if it is not nested."""
        self.parent = nested_as.template if nested_as else None
        self.depth: int = self.parent.depth + 1 if self.parent else 0
        self.arguments = mapping(nested_as.properties.get("Parameters")) if nested_as else {}
        self.conditions: frozenset[Condition] = nested_as.conditions if nested_as else frozenset()
        """The conditions in its parents that decide whether the nested stack is deployed."""
        self._body = body
        self.outputs = {name: mapping(out) for name, out in mapping(body.get("Outputs")).items()}
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
        self.transforms = [
            name
            for name in map(_transform, _as_list(body.get("Transform")))
            if name not in _HARMLESS_TRANSFORMS
        ]
        """The macros that may change the template in any way."""

    @property
    def account(self) -> str | None:
        """The account that it is deployed to; None if it is only known at deployment."""
        return self.stack.account

    @cached_property
    def disclosed(self) -> frozenset[str]:
        """The logical ids of resources whose generated names another template may be able to read.

        A template reads them from an output, from its parameters, or from a resource that stores
        a value, such as an SSM parameter. It can't read them from resources of these services.
        """
        found = _mentioned_in([self._body.get("Outputs"), *self.made_later.values()])
        for resource in self.resources.values():
            if not resource.type.startswith(_STORE_NOTHING):
                found += resource.mentions
        return frozenset(found)


_STORE_NOTHING: Final = (
    *("AWS::AutoScaling::", "AWS::EC2::", "AWS::IAM::", "AWS::KMS::", "AWS::S3::"),
)
"""Services none of whose resources gives a role's name back by `Ref` or `Fn::GetAtt`."""

_HARMLESS_TRANSFORMS: Final = {
    "AWS::CodeDeployBlueGreen",
    "AWS::LanguageExtensions",
    "AWS::SecretsManager-2020-07-23",
    "AWS::SecretsManager-2024-09-16",
    "AWS::Serverless-2016-10-31",
}
"""Transforms that do not change the resources of IAM and EC2."""


def _transform(entry: object) -> str:
    """The name of a transform, which may be given with parameters."""
    return text(mapping(entry).get("Name", entry))


def _as_list(value: object) -> list[object]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


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
        written = self.body.get("Condition")
        if written is None:
            return self.template.conditions
        own = written if isinstance(written, str) else self.logical_id
        return self.template.conditions | {Condition(self.template, own)}

    @property
    def path(self) -> str:
        """Its construct's path; empty where the template does not have it."""
        return text(mapping(self.body.get("Metadata")).get("aws:cdk:path", ""))

    @property
    def is_l1(self) -> bool:
        """Whether it is known to be a construct of its own, and not the inside of another."""
        return self.path.rpartition("/")[2] not in {"", "Resource", "ASG"}

    @cached_property
    def mentions(self) -> list[str]:
        """The logical ids that it refers to or depends on, and possibly other names."""
        return _mentioned_in([self.body])


def _mentioned_in(left: list[object]) -> list[str]:
    found = []
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            for name, entry in value.items():
                found += _mentioned(name, entry)
                left.append(entry)
    return found


def _mentioned(name: str, entry: object) -> list[str]:
    match name, entry:
        case "Fn::Sub", str(written) | [str(written), *_]:
            return re.findall(r"\$\{([^}.!]+)", written)
        case "Ref" | "DependsOn" | "Fn::GetAtt", str(found):
            return [found.partition(".")[0]]
        case "DependsOn" | "Fn::GetAtt", [*names]:
            return [found for found in names if isinstance(found, str)]
    return []


class Condition(NamedTuple):
    """A condition of a template. Conditions of two templates are two, even if their names agree."""

    template: Template | None
    """None for that of a policy document that is in no template."""
    name: str


class CreationOrder:
    """Tells which of the `targets` CloudFormation creates before another resource."""

    def __init__(self, targets: Iterable[Resource]) -> None:
        self._bits = {target: 1 << place for place, target in enumerate(targets)}
        self._before: dict[Resource, int] = {}
        """The targets that each resource waits for, as bits."""

    def waits_for(self, resource: Resource, target: Resource) -> bool:
        """Whether CloudFormation creates `target` before `resource`."""
        if resource not in self._before:
            self._follow(resource)
        return bool(self._before[resource] & self._bits[target])

    def _follow(self, start: Resource) -> None:
        """Walk from `start` along its dependencies, visiting each resource once.

        A circular dependency, which CloudFormation refuses, is not followed to its end.
        """
        self._before[start] = 0
        path = [(start, iter(_mentioned_resources(start)))]
        while path:
            resource, others = path[-1]
            other = next(others, None)
            if other is None:
                path.pop()
                if path:
                    self._before[path[-1][0]] |= self._before[resource]
            elif other in self._before:
                self._before[resource] |= self._before[other] | self._bits.get(other, 0)
            else:
                self._before[resource] |= self._bits.get(other, 0)
                self._before[other] = 0
                path.append((other, iter(_mentioned_resources(other))))


def _mentioned_resources(resource: Resource) -> list[Resource]:
    there = resource.template.resources
    return [there[name] for name in dict.fromkeys(resource.mentions) if name in there]


class Stack(NamedTuple):
    """A stack of the app, as the manifest describes it."""

    name: str = ""
    environment: str = ""
    """`aws://ACCOUNT/REGION`."""

    @property
    def account(self) -> str | None:
        """Its account; None if it is only known at deployment."""
        return self._known(0, "unknown-account")

    @property
    def region(self) -> str | None:
        """Its region; None if it is only known at deployment."""
        return self._known(1, "unknown-region")

    @property
    def partition(self) -> str | None:
        """The partition of its region, such as `aws-cn`; None where it is not known."""
        found = re.fullmatch("([a-z]+)(-gov|-iso[bef]?)?(-[a-z]+)+-[0-9]+", self.region or "")
        return _PARTITIONS.get(found[2] or found[1], "aws") if found else None

    def _known(self, place: int, unknown: str) -> str | None:
        parts = self.environment.removeprefix("aws://").split("/")
        return None if len(parts) <= place or parts[place] in {"", unknown} else parts[place]


_PARTITIONS: Final = {
    "cn": "aws-cn",
    "eusc": "aws-eusc",
    "-gov": "aws-us-gov",
    "-iso": "aws-iso",
    "-isob": "aws-iso-b",
    "-isoe": "aws-iso-e",
    "-isof": "aws-iso-f",
}
"""The partitions other than `aws`, by what tells them in the name of a region.

https://docs.aws.amazon.com/general/latest/gr/rande.html
"""


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
        """What is deployed and can't be read: the template that it is in, and what to call it."""
        self._exports: dict[tuple[str, Value], list[tuple[Template, object]]] = defaultdict(list)
        self._by_stack_name: dict[str, list[Template]] = defaultdict(list)
        self._made: dict[Hashable, Value] = {}
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
        stacks: dict[Path, dict[str, Stack]] = {}
        for name in dict.fromkeys(map(str, paths)):
            path = Path(name)
            if path.parent not in stacks:
                stacks[path.parent] = _stacks(path.parent)
            body = _read(path)
            template = Template(path, body or {}, stacks[path.parent].get(path.name, Stack()))
            if body is None:
                self.unread.append((template, f"the template {path.name!r}, which can't be read"))
            self._by_stack_name[template.stack.name].append(template)
            self._add(template)
        for template in self.templates:
            for output in template.outputs.values():
                exported = mapping(output.get("Export")).get("Name")
                if exported is not None:
                    key = template.stack.environment, self.value(template, exported)
                    self._exports[key].append((template, output.get("Value")))

    def value(self, template: Template, written: object, depth: int = 0) -> Value:
        """The value of `written` in `template`, as far as it is known.

        Follows references, the parameters and outputs of nested stacks, exports of the same account
        and region, and outputs that are read by the name of a stack.
        """
        if isinstance(written, str):
            return _literal(template, written)
        function, argument = intrinsic(written)
        read = self._functions.get(function)
        found = read(template, argument, depth) if read and depth < _MOST_DEEP else None
        if found is not None:
            return found
        try:
            return (Unresolved(template, json.dumps(written, sort_keys=True)),)
        except RecursionError:
            return (Unresolved(object()),)

    def _once(self, template: Template, key: Hashable, there: Template, written: object,
              depth: int) -> Value:  # fmt: skip
        """The value of a parameter or an output: found out once, and no circle is followed."""
        if (template, key) not in self._made:
            self._made[template, key] = (Unresolved(object()),)
            self._made[template, key] = self.value(there, written, depth + 1)
        return self._made[template, key]

    def _reference(self, template: Template, name: str, depth: int) -> Value | None:
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
            return self._once(template, name, template.parent, template.arguments[name], depth)
        resource = template.resources.get(name)
        return (ReturnValue(resource),) if resource else None

    def _attribute(self, template: Template, argument: object, depth: int) -> Value | None:
        logical_id, _, attribute = ".".join(map(str, _as_list(argument))).partition(".")
        resource = template.resources.get(logical_id)
        if resource is None:
            return None
        nested = template.nested.get(logical_id)
        if nested is not None:
            return self._output(nested, attribute.removeprefix("Outputs."), depth)
        if resource.type == "AWS::IAM::Role" and attribute == "Arn":
            return self._role_arn(resource, depth)
        return (ReturnValue(resource, attribute),)

    def _output(self, template: Template, name: str, depth: int) -> Value | None:
        if name not in template.outputs:
            return None
        written = template.outputs[name].get("Value")
        return self._once(template, ("output", name), template, written, depth)

    def _role_arn(self, role: Resource, depth: int) -> Value:
        """The ARN of a role, with its path before its name."""
        template = role.template
        path = self._once(
            template, ("path", role), template, role.properties.get("Path", "/"), depth
        )
        parts: list[Value] = [
            ("arn:",),
            (Unresolved(template.stack.environment, "AWS::Partition"),),
            (":iam::",),
            self.value(template, {"Ref": "AWS::AccountId"}),
            (":role",),
            path,
            (ReturnValue(role),),
        ]
        return _joined(parts)

    def _import(self, template: Template, name: object, depth: int) -> Value:
        environment = template.stack.environment
        key = environment, self.value(template, name, depth + 1)
        exported = self._exports.get(key, ())
        if len(exported) != 1:
            return (Unresolved(environment, key),)
        ((there, written),) = exported
        return self._once(there, key, there, written, depth)

    def _stack_output(self, template: Template, argument: object, depth: int) -> Value | None:
        """An output of a stack of the same account, by the stack's name and region.

        CDK writes this function for a reference between stacks where
        `@aws-cdk/core:defaultCrossStackReferences` is `weak` or `both`.
        """
        given = {
            name: self.value(template, entry, depth + 1)
            for name, entry in mapping(argument).items()
        }
        region = given.get("Region", self.value(template, _REGION))
        match given:
            case {"StackName": (str(stack),), "OutputName": (str(output),)}:
                found = [
                    there
                    for there in self._by_stack_name.get(stack, ())
                    if self.value(there, _REGION) == region
                    and ("RoleArn" in given or there.account == template.account)
                ]
                if len(found) == 1:
                    return self._output(found[0], output, depth)
        return None

    def _join(self, template: Template, argument: object, depth: int) -> Value | None:
        match argument:
            case [str(separator), entries]:
                parts = self._list(template, entries, depth)
                return None if parts is None else _joined(parts, separator)
        return None

    def _substitute(self, template: Template, argument: object, depth: int) -> Value | None:
        pattern, *variables = _as_list(argument) or [None]
        if not isinstance(pattern, str):
            return None
        given = mapping(variables[0]) if variables else {}
        parts: list[Value] = []
        end = 0
        for match in _PLACEHOLDER.finditer(pattern):
            parts.append(_literal(template, pattern[end : match.start()]))
            end = match.end()
            literal, name = match[1], match[2].strip()
            if literal:
                parts.append((f"${{{match[2]}}}",))
            elif name in given:
                parts.append(self.value(template, given[name], depth + 1))
            else:
                function = "Fn::GetAtt" if "." in name else "Ref"
                parts.append(self.value(template, {function: name}, depth + 1))
        return _joined([*parts, _literal(template, pattern[end:])])

    def _select(self, template: Template, argument: object, depth: int) -> Value | None:
        match argument:
            case [index, entries] if re.fullmatch("[0-9]{1,4}", str(index)):
                parts = self._list(template, entries, depth) or []
                return parts[int(str(index))] if int(str(index)) < len(parts) else None
        return None

    def _list(self, template: Template, written: object, depth: int) -> list[Value] | None:
        """The entries of a list; if it is a text that is split, the first ones that are known."""
        if isinstance(written, list):
            return [self.value(template, entry, depth + 1) for entry in written]
        match intrinsic(written):
            case "Fn::Split", [str(separator), source] if separator:
                return _split(self.value(template, source, depth + 1), separator)
        return None

    def _find_in_map(self, template: Template, argument: object, depth: int) -> Value | None:
        found: object = template.mappings
        for name in _as_list(argument):
            match self.value(template, name, depth + 1):
                case (str(key),):
                    found = mapping(found).get(key)
                case _:
                    return None
        return _literal(template, found) if isinstance(found, str) else None

    def _add(self, first: Template) -> None:
        """Add a template and those that are nested in it."""
        left = [first]
        assets: dict[str, str] | None = None
        while left:
            template = left.pop()
            self.templates.append(template)
            inner = []
            for resource in template.resources.values():
                if resource.type != "AWS::CloudFormation::Stack":
                    continue
                if assets is None:
                    stem = first.path.name.removesuffix(".template.json")
                    assets = _assets(first.path.with_name(f"{stem}.assets.json"))
                file = _nested_file(resource, assets)
                path = template.path.parent / file
                room = template.depth < _MOST_NESTED and len(self.templates) < _MOST_TEMPLATES
                body = _read(path) if file and room else None
                if body is None:
                    what = f"the nested stack {resource.logical_id!r}, whose template can't be read"
                    self.unread.append((template, what))
                    continue
                nested = Template(path, body, template.stack, resource)
                template.nested[resource.logical_id] = nested
                inner.append(nested)
            left += reversed(inner)


_REGION: Final = {"Ref": "AWS::Region"}
_OF_ENVIRONMENT: Final = ("AWS::AccountId", "AWS::Partition", "AWS::Region", "AWS::URLSuffix")
"""Pseudo parameters with one value in all stacks of an account and region."""


def _literal(template: Template, written: str) -> Value:
    """A string of a template, with its dynamic references as unknown parts."""
    if "{{" not in written:
        return (written,) if written else ()
    parts: list[Value] = []
    end = 0
    for match in _DYNAMIC.finditer(written):
        parts += [(written[end : match.start()],), (Unresolved(template, match[0]),)]
        end = match.end()
    return _joined([*parts, (written[end:],)])


def _joined(values: Iterable[Value], separator: str = "") -> Value:
    parts: list[str | ReturnValue | Unresolved] = []
    for place, value in enumerate(values):
        for part in (separator, *value) if place else value:
            if isinstance(part, str) and parts and isinstance(parts[-1], str):
                parts[-1] += part
            elif part:
                parts.append(part)
    if len(parts) > _MOST_PARTS or any(
        isinstance(part, str) and len(part) > _MOST_CHARACTERS for part in parts
    ):
        return (Unresolved(object()),)
    if any(isinstance(part, str) and "{{resolve" in part for part in parts):
        return (
            Unresolved(tuple(parts)),
        )  # CloudFormation resolves the reference after it joins the parts
    return tuple(parts)


def _split(value: Value, separator: str) -> list[Value]:
    """The entries of a text that is split, up to a part that may contain the separator."""
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
    """Whether the value certainly contains neither a colon nor a slash."""
    if isinstance(part, Unresolved):
        return part.expression in _OF_ENVIRONMENT
    return part.resource.type == "AWS::IAM::Role" and not part.attribute


def _nested_file(resource: Resource, assets: dict[str, str]) -> str:
    """The file of a nested stack's template, from its metadata or from the hash in its URL.

    CDK writes the metadata when the CLI runs it. The assets file has the same without the CLI.
    """
    path = mapping(resource.body.get("Metadata")).get("aws:asset:path")
    if isinstance(path, str):
        return path
    found = re.search(r"[0-9a-f]{64}", text(resource.properties.get("TemplateURL")))
    return assets.get(found[0], "") if found else ""


def _assets(path: Path) -> dict[str, str]:
    """The file of each hash in a stack's assets file."""
    found = {}
    for key, asset in mapping(mapping(_read(path)).get("files")).items():
        file = mapping(mapping(asset).get("source")).get("path")
        if isinstance(file, str):
            found[key] = file
    return found


def _stacks(directory: Path) -> dict[str, Stack]:
    """The stack of each template file in the assembly's manifest."""
    found = {}
    artifacts = mapping(mapping(_read(directory / "manifest.json")).get("artifacts"))
    for name, artifact in artifacts.items():
        match artifact:
            case {"type": "aws:cloudformation:stack", "properties": {"templateFile": str(file)}}:
                stack_name = artifact["properties"].get("stackName", name)
                names = (stack_name, artifact.get("environment"))
                found[file] = Stack(*(name if isinstance(name, str) else "" for name in names))
    return found


def _read(path: Path) -> dict[str, Any] | None:
    """The JSON of a file of the assembly; None if it can't be read, such as a YAML asset."""
    try:
        found = _parsed(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _parsed(written: bytes) -> object:
    try:
        return json.loads(written)
    except RecursionError:
        return json.loads(_cut(written.decode()))


def _cut(written: str) -> str:
    """JSON in which an unknown function replaces everything that is nested too deep."""
    parts, depth, end = [], 0, 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[][{}]', written):
        if token[0] in {"[", "{"}:
            depth += 1
            if depth == _MOST_DEEP:
                parts += [written[end : token.start()], json.dumps(_TOO_DEEP)]
        elif token[0] in {"]", "}"}:
            if depth == _MOST_DEEP:
                end = token.end()
            depth -= 1
    return "".join([*parts, written[end:]])


_TOO_DEEP: Final = {"Fn::Transform": "too deep to read"}
