"""Find the templates for `check`, and the findings that their app acknowledges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .templates import Assembly
from .templates.functions import mapping
from .templates.loading import CannotRead, load, parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .templates.model import Resource

_CHECK: Final = "SessionManagerReadiness::"
"""The prefix of the name of a rule in an acknowledgment, as CDK's report prints it."""


class App(NamedTuple):
    """Templates that are deployed together."""

    assembly: Assembly
    reasons: dict[str, dict[str, str]]
    """The reasons why findings are acknowledged, by the path of the construct and the rule."""
    paths: dict[tuple[str, str], set[str]]
    """The paths of constructs by the file of the stack and the logical id of their resource."""

    def reason(self, resource: Resource, rule: str) -> str | None:
        """Return why a finding is acknowledged, on the construct of a resource or one above it."""
        several = self.paths.get((str(resource.template.top.path), resource.logical_id), set())
        path = resource.path or (min(several) if len(several) == 1 else "")
        while path:
            found = self.reasons.get(path, {}).get(rule)
            if found is not None:
                return found
            path = path.rpartition("/")[0]
        return None


def apps(paths: Iterable[str]) -> Iterator[App]:
    """Read the apps at the given paths. Each folder is one app, and all files together are one app.

    Raises:
        CannotRead: one of the paths is neither the output of CDK nor a template.
    """
    given = [Path(one) for one in dict.fromkeys(paths)]
    for one in given:
        if not one.exists():
            way_out = "run cdk synth first" if one.name == "cdk.out" else "give one that exists"
            raise CannotRead(f"{one}: no such file or folder: {way_out}")
    yield from map(_synthesized, filter(Path.is_dir, given))
    if files := [str(one) for one in given if not one.is_dir()]:
        yield App(_written(files), {}, {})


def _written(files: list[str]) -> Assembly:
    """Read templates that are given as files, with the templates that they deploy."""
    assembly = Assembly(files)
    nested = {one.path.resolve() for one in assembly.templates if one.nested_as}
    roots = [one for one in files if Path(one).resolve() not in nested]
    for root in roots:
        if not isinstance(_loaded(Path(root)).get("Resources"), dict):
            raise CannotRead(f"{root}: it has no Resources: give a CloudFormation template")
    return assembly if roots == files else Assembly(roots)


def _loaded(file: Path, way_out: str = "") -> dict[str, Any]:
    """Read a file, and say which it is if it can't be read."""
    try:
        body, _ = load(file)
    except CannotRead as error:
        raise CannotRead(f"{file}: {error}{way_out}") from None
    return body


def _synthesized(folder: Path) -> App:
    files: list[str] = []
    reasons: dict[str, dict[str, str]] = {}
    paths: dict[tuple[str, str], set[str]] = {}
    for directory, artifact in _stacks(folder):
        file = str(directory / str(mapping(artifact.get("properties")).get("templateFile")))
        files.append(file)
        for path, entries in _metadata(directory, artifact):
            for entry in entries:
                match entry:
                    case {"type": "aws:cdk:acknowledged-rules", "data": {**rules}}:
                        of = reasons.setdefault(path, {})
                        of.update((str(one).removeprefix(_CHECK), str(rules[one])) for one in rules)
                    case {"type": "aws:cdk:logicalId", "data": str(logical_id)}:
                        paths.setdefault((file, logical_id), set()).add(path)
    if not files:
        raise CannotRead(f"{folder}: the app has no stack")
    assembly = Assembly(files)
    for template, _ in assembly.unread:
        _loaded(template.path)  # fails if the template itself, and not a nested one, can't be read
    return App(assembly, reasons, paths)


def _stacks(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the stacks of the output of an app, and those of its stages, each with its folder."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise CannotRead(
            f"{folder}: it has no manifest.json, which CDK writes: run cdk synth first, or give "
            "the templates"
        )
    body = _loaded(manifest, ": run cdk synth again")
    for artifact in mapping(body.get("artifacts")).values():
        match artifact:
            case {"type": "aws:cloudformation:stack"}:
                yield folder, artifact
            case {"type": "cdk:cloud-assembly", "properties": {"directoryName": str(name)}}:
                yield from _stacks(folder / name)


def _metadata(directory: Path, artifact: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yield the metadata of each construct of a stack; newer CDK writes it to a separate file."""
    found: dict[str, Any] = {**mapping(artifact.get("metadata"))}
    file = artifact.get("additionalMetadataFile")
    if isinstance(file, str):
        try:
            found.update(parsed((directory / file).read_bytes()) or {})
        except OSError as error:
            raise CannotRead(f"{directory / file}: {error.strerror}: run cdk synth again") from None
    for path, entries in found.items():
        if isinstance(entries, list):
            yield path.removeprefix("/"), entries
