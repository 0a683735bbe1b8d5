"""Read the files of an assembly: its templates, its manifest and its assets."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .functions import UNKNOWN, listed, mapping, text
from .loading import CannotRead, load, parsed
from .model import Resource, Stack, Template

if TYPE_CHECKING:
    from collections.abc import Iterable

PRODUCT: Final = "AWS::ServiceCatalog::CloudFormationProduct"

_MOST_NESTED: Final = 50  # nested stacks within nested stacks
_MOST_TEMPLATES: Final = 5_000  # more than an account's quota of stacks, which is 2,000
_ID: Final = re.compile(
    rb"-(?:(?<=\b(?:acl|eni|igw|nat|rtb|vpc)-)|(?<=\b(?:dopt|vpce)-)|(?<=\bsubnet-)|(?<=\bsg-)|(?<=\bi-))"
)
"""The prefixes of ids. To look for the hyphen first takes a fraction of the time."""
_CHOICES: Final = (
    *(b"Fn::FindInMap", b"Fn::ForEach", b"Fn::If", b"Fn::Split", b"Fn::Transform"),
    *(b"AWS::NoValue", b"!"),  # the short form of a function begins with `!` in YAML
)
"""Texts in a template by which a property may have another value in another world."""
_NESTED: Final = {
    "AWS::CloudFormation::Stack": "TemplateURL",
    "AWS::Serverless::Application": "Location",
}
"""The types that deploy another template, with the property that says where it is."""


class Files:
    """The templates of an app or a stage, with those of nested stacks. Each file is read once."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.templates: list[Template] = []
        self.unread: list[tuple[Template, str]] = []
        """The stacks that can't be read: the template that deploys each, and what to call it."""
        self.has_ids = False
        """Whether a text in a template may be the id of a part of a network."""
        self.products_unread: list[Resource] = []
        """The products of AWS Service Catalog with a template that can't be read."""
        self._assets = cache(_assets)
        files = [Path(name) for name in dict.fromkeys(map(str, paths))]
        stacks = {folder: _stacks(folder) for folder in {path.parent for path in files}}
        for path in files:
            stack = stacks[path.parent].get(path.name, Stack())
            template = self._read(path, stack)
            if template is None:
                template = Template(path, {}, stack)
                self.unread.append((template, f"the template {path.name!r}, which can't be read"))
            self._add(template)

    def _add(self, template: Template) -> None:
        """Add a template and those that are nested in it."""
        self.templates.append(template)
        for resource in template.resources.values():
            if resource.type in _NESTED:
                self._add_nested(resource)
            elif resource.type == PRODUCT:
                self._add_products(resource)

    def _add_nested(self, resource: Resource) -> None:
        template = resource.template
        url = resource.written.get(_NESTED[resource.type])
        path = mapping(resource.body.get("Metadata")).get("aws:asset:path")
        asset = path if isinstance(path, str) else self._asset(resource, url)
        file = template.path.parent / asset
        nested = self._read(file, template.stack, resource) if self._has_room(template) else None
        if nested is None:
            what = f"the nested stack {resource.logical_id!r}, whose template can't be read"
            self.unread.append((template, what))
        else:
            template.nested[resource.logical_id] = nested
            self._add(nested)

    def _add_products(self, resource: Resource) -> None:
        """Add the templates of a product of AWS Service Catalog, which may be deployed anywhere."""
        for version in listed(resource.written.get("ProvisioningArtifactParameters")):
            url = mapping(mapping(version).get("Info")).get("LoadTemplateFromURL")
            file = resource.template.path.parent / self._asset(resource, url)
            template = self._read(file, Stack()) if self._has_room(resource.template) else None
            if template is None:
                self.products_unread.append(resource)
            else:
                template.depth = resource.template.depth + 1
                self._add(template)

    def _read(self, path: Path, stack: Stack, nested_as: Resource | None = None) -> Template | None:
        """Read a template; None if the file can't be read."""
        try:
            body, written = load(path)
        except CannotRead:
            return None
        template = Template(path, body, stack, nested_as)
        template.content = written
        template.has_choices = bool(template.lists) or any(one in written for one in _CHOICES)
        self.has_ids = self.has_ids or _ID.search(written) is not None
        return template

    def _has_room(self, template: Template) -> bool:
        return template.depth < _MOST_NESTED and len(self.templates) < _MOST_TEMPLATES

    def _asset(self, resource: Resource, url: object) -> str:
        """Return the file of a nested template, which the hash in its URL identifies as an asset.

        If the CLI runs CDK, the metadata of a nested stack names the file as well. A template that
        is not packaged yet has the path of the file instead of the URL.
        """
        written = text(url)
        if "://" not in written and UNKNOWN not in written:
            return written
        found = re.search(r"[0-9a-f]{64}", written)
        asset = self._assets(resource.template.top.path).get(found[0]) if found else None
        path = mapping(mapping(asset).get("source")).get("path")
        return path if isinstance(path, str) else ""


def _assets(path: Path) -> dict[str, Any]:
    """Return the entries of a stack's assets file, by their hashes."""
    stem = path.name.removesuffix(".template.json")
    return mapping(mapping(parsed(_bytes(path.with_name(f"{stem}.assets.json")))).get("files"))


def _stacks(directory: Path) -> dict[str, Stack]:
    """Return the stack of each template file in the assembly's manifest."""
    found = {}
    artifacts = mapping(mapping(parsed(_bytes(directory / "manifest.json"))).get("artifacts"))
    for name, artifact in artifacts.items():
        match artifact:
            case {
                "type": "aws:cloudformation:stack",
                "environment": str(environment),
                "properties": {"templateFile": str(file), **properties},
            }:
                parts = [*environment.removeprefix("aws://").split("/"), "", ""]
                known = [None if one.startswith("unknown-") else one or None for one in parts]
                named = str(properties.get("stackName", name))
                is_tagged, stage = bool(properties.get("tags")), str(directory)
                found[file] = Stack(named, known[0], known[1], is_tagged, stage)
    return found


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError):
        return b""
