"""What is behind a value of a synthesized template: a resource, a text, or what only AWS knows?"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNKNOWN: Final = "\0"
"""Stands, within a text, for what only the deployment knows."""

_HARMLESS_MACROS: Final = (
    "AWS::CodeDeployBlueGreen",
    "AWS::LanguageExtensions",
    "AWS::SecretsManager",
    "AWS::Serverless",
)
"""Macros that make no part of a network, and no compute with an instance profile."""

_MOST_HOPS: Final = 64  # from stack to stack; more is a circle, which no deployment takes


def text(value: object) -> str:
    """`value` as a text, with `UNKNOWN` in place of what only the deployment knows."""
    if isinstance(value, str):
        return value
    match _intrinsic(value):
        case "Fn::Join", [separator, [*parts]]:
            return text(separator).join(text(part) for part in parts)
        case "Fn::Sub", str(written) | [str(written), *_]:
            return re.sub(r"\$\{(!?)([^}]*)\}", _substituted, written)
    return UNKNOWN


def _substituted(found: re.Match[str]) -> str:
    return f"${{{found[2]}}}" if found[1] else UNKNOWN


def shown(value: object) -> str:
    """`value` as a message has it."""
    known = text(value)
    return repr(known.replace(UNKNOWN, "…")) if known != UNKNOWN else json.dumps(value)


def listed(value: object, *, certain: bool = True) -> Iterator[tuple[Any, bool]]:
    """Each entry of a list, or of one alone, and whether the deployment is certain to have it."""
    function, argument = _intrinsic(value)
    if isinstance(value, list):
        for entry in value:
            yield from listed(entry, certain=certain)
    elif function == "Fn::If" and isinstance(argument, list):
        yield from listed(argument[1:], certain=False)
    elif value is not None and value != {"Ref": "AWS::NoValue"}:
        yield value, certain


def shortest(value: object) -> int:
    """The characters of `value` as JSON, white space aside, that it has at least once deployed."""
    written = json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)
    return len(re.sub(r"\s", "", written))


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        if _intrinsic(value)[0]:
            return text(value).replace(UNKNOWN, "")
        return {name: _plain(entry) for name, entry in value.items()}
    return value


def _intrinsic(value: object) -> tuple[str, Any]:
    """The name of an intrinsic function and its argument, an empty name where it is none."""
    if isinstance(value, dict) and len(value) == 1:
        ((function, argument),) = value.items()
        if function == "Ref":
            return function, str(argument)
        if function.startswith("Fn::"):
            return function, argument
    return "", None


def _mapping(value: object) -> dict[str, Any]:
    """`value` where it is a mapping; else an empty one, which is all that can be read of it."""
    return value if isinstance(value, dict) else {}


class Template:
    """One synthesized template; a nested stack's has its parent and what that gives it."""

    def __init__(
        self,
        path: Path,
        body: dict[str, Any],
        environment: str,
        parent: Template | None = None,
        arguments: object = None,
    ) -> None:
        self.path = path
        self.environment = environment
        self.outputs = {name: _mapping(out) for name, out in _mapping(body.get("Outputs")).items()}
        self.parent = parent
        self.arguments = _mapping(arguments)
        self.generates = _generates(body)
        self.nested: dict[str, Template] = {}
        self.resources = {
            logical_id: Resource(self, logical_id, entry)
            for logical_id, entry in _mapping(body.get("Resources")).items()
            if isinstance(entry, dict)  # `Fn::ForEach` is a list
        }

    def is_within(self, path: Path) -> bool:
        """Whether it is the template of this file, or is nested in it."""
        if self.path.resolve() == path.resolve():
            return True
        return self.parent is not None and self.parent.is_within(path)

    @property
    def account(self) -> str | None:
        """Where it is deployed to; None where only the deployment knows."""
        account = self.environment.removeprefix("aws://").partition("/")[0]
        return None if account in {"", "unknown-account"} else account


def _generates(body: dict[str, Any]) -> str:
    """What makes resources that are not written in a template; empty where nothing does."""
    for name, entry in _mapping(body.get("Resources")).items():
        if name.startswith("Fn::") or text(_mapping(entry).get("Type")).endswith("::MODULE"):
            return f"what {name!r} makes"
    for entry, _ in listed(body.get("Transform")):
        macro = text(_mapping(entry).get("Name", entry))
        if not macro.startswith(_HARMLESS_MACROS):
            return f"the macro {macro.replace(UNKNOWN, '')!r}"
    return ""


class Resource:
    """One resource of a template."""

    def __init__(self, template: Template, logical_id: str, body: dict[str, Any]) -> None:
        self.template = template
        self.logical_id = logical_id
        self.body = body
        self.type = text(body.get("Type"))
        self.properties = _mapping(body.get("Properties"))

    @cached_property
    def mentions(self) -> list[str]:
        """The logical ids that it refers to or depends on, and maybe other names."""
        return list(_mentioned(self.body))

    def waits_for(self, other: Resource) -> bool:
        """Whether CloudFormation makes `other` of the same template before this one."""
        found: set[Resource] = set()
        left: list[Resource] = [self]
        while left:
            for logical_id in left.pop().mentions:
                resource = self.template.resources.get(logical_id)
                if resource is not None and resource not in found:
                    found.add(resource)
                    left.append(resource)
        return other in found


def _mentioned(value: object) -> Iterator[str]:
    """The logical ids, and maybe other names, that a part of a resource refers to."""
    if isinstance(value, list):
        for entry in value:
            yield from _mentioned(entry)
    elif isinstance(value, dict):
        for name, entry in value.items():
            match name, entry:
                case "Fn::Sub", str(written) | [str(written), *_]:
                    yield from re.findall(r"\$\{([^}.!]+)", written)
                case "Ref" | "DependsOn" | "Fn::GetAtt", str(found):
                    yield found.partition(".")[0]
                case "DependsOn" | "Fn::GetAtt", [*names]:
                    yield from (found for found in names if isinstance(found, str))
            yield from _mentioned(entry)


class Assembly:
    """The templates of an app or a stage, each read once, nested stacks' too."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.templates: list[Template] = []
        self._exports: dict[tuple[str, str], list[tuple[Template, Any]]] = defaultdict(list)
        environments: dict[Path, dict[str, str]] = {}
        for name in dict.fromkeys(paths):
            path = Path(name)
            if path.parent not in environments:
                environments[path.parent] = _environments(path.parent)
            environment = environments[path.parent].get(path.name, "")
            self._add(Template(path, _read(path), environment))

    def behind(self, template: Template, value: object) -> Resource | str | None:
        """The resource or the text that `value` in `template` comes to, None if it is not known.

        Follows references, parameters and outputs of nested stacks, and the exports of a stack of
        the same account and region.
        """
        for _ in range(_MOST_HOPS):
            function, argument = _intrinsic(value)
            if function == "Ref" and argument in template.arguments and template.parent:
                template, value = template.parent, template.arguments[argument]
            elif function == "Ref":
                return template.resources.get(argument)
            elif function == "Fn::GetAtt":
                names = argument if isinstance(argument, list) else [argument]
                logical_id, _, attribute = ".".join(map(str, names)).partition(".")
                nested = template.nested.get(logical_id)
                if nested is None:
                    return template.resources.get(logical_id)
                output = nested.outputs.get(attribute.removeprefix("Outputs."), {})
                template, value = nested, output.get("Value")
            elif function == "Fn::ImportValue":
                exported = self._exports[template.environment, text(argument)]
                if len(exported) != 1 or UNKNOWN in text(argument):
                    return None
                ((template, value),) = exported
            else:
                known = text(value)
                return None if UNKNOWN in known else known
        return None

    def _add(self, template: Template, assets: dict[str, str] | None = None) -> None:
        self.templates.append(template)
        for output in template.outputs.values():
            name = text(_mapping(output.get("Export")).get("Name"))
            self._exports[template.environment, name].append((template, output.get("Value")))
        for resource in template.resources.values():
            if resource.type != "AWS::CloudFormation::Stack":
                continue
            if assets is None:
                stem = template.path.name.removesuffix(".template.json")
                assets = _assets(template.path.with_name(f"{stem}.assets.json"))
            path = template.path.parent / _nested_file(resource, assets)
            body = _read(path)
            if body and not template.is_within(path):  # as no template is nested in itself
                arguments = resource.properties.get("Parameters")
                nested = Template(path, body, template.environment, template, arguments)
                template.nested[resource.logical_id] = nested
                self._add(nested, assets)


def _nested_file(resource: Resource, assets: dict[str, str]) -> str:
    """The file of a nested stack's template, by its metadata or else by the hash in its URL.

    The CLI has CDK write the metadata; without the CLI the stack's assets file says the same.
    """
    metadata = _mapping(resource.body.get("Metadata"))
    if "aws:asset:path" in metadata:
        return str(metadata["aws:asset:path"])
    found = re.search(r"[0-9a-f]{64}", text(resource.properties.get("TemplateURL")))
    return assets.get(found[0], "") if found else ""


def _assets(path: Path) -> dict[str, str]:
    """The file behind each hash, of a stack's assets file."""
    return {
        key: asset.get("source", {}).get("path", "")
        for key, asset in _read(path).get("files", {}).items()
    }


def _environments(directory: Path) -> dict[str, str]:
    """The `aws://ACCOUNT/REGION` of each template, by file name, of the assembly's manifest."""
    return {
        artifact["properties"]["templateFile"]: artifact.get("environment", "")
        for artifact in _read(directory / "manifest.json").get("artifacts", {}).values()
        if artifact.get("type") == "aws:cloudformation:stack"
    }


def _read(path: Path) -> dict[str, Any]:
    """A file of the assembly; empty where there is none, or it is no JSON as with YAML assets."""
    try:
        return _mapping(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        return {}
