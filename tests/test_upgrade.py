"""From the last release to this tree: nothing differs but what `CHANGED` says."""

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from . import scenarios
from .conftest import PROJECT, ROOT, run_python
from .places import key_arn
from .reading import asked_for
from .releases import LAST, RELEASES, unpacked
from .test_app import KNOWN, answer, build, built, policy
from .test_packaging import PACKAGE, UV, ran

pytestmark = pytest.mark.packaging

APP: Final = str(ROOT / "tests" / "deploy" / "release_app.py")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last release, installed from a wheel."""
    folder = tmp_path_factory.mktemp("release")
    sources = unpacked(LAST, folder)
    installed = folder / "installed"
    install = (UV, "pip", "install", "--quiet", "--system-certs", "--no-deps")
    ran(*install, "--python", sys.executable, "--target", installed, sources, cwd=folder)
    assert (installed / f"{PACKAGE}-{LAST}.dist-info").is_dir()
    return installed


@pytest.fixture(scope="module")
def released(release: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the app came to by the last release."""
    return synthesized(release, tmp_path_factory.mktemp("released") / "app")


def synthesized(library: Path, folder: Path) -> dict[str, object]:
    """All that the app comes to, by a name that begins with the id of its stack.

    The validation report is left out: what the check says of a template is no contract.
    """
    folder.mkdir()
    done = run_python(APP, "cdk.out", cwd=folder, env={"PYTHONPATH": f"{library}:{ROOT}"})
    assert done.returncode == 0, done.stderr
    assembly = folder / "cdk.out"
    paths = [path for path in assembly.rglob("*") if path.is_file()]
    found: dict[str, object] = {}
    for path in paths:
        name = str(path.relative_to(assembly))
        if path.name.endswith(".metadata.json"):
            found[name] = metadata(json.loads(path.read_text(encoding="utf-8")))
        elif path.name.endswith(".assets.json"):
            found[name] = json.loads(without_hashes(path, paths), object_hook=without_ids)
        elif path.name == "manifest.json":
            for key, artifact in json.loads(without_hashes(path, paths))["artifacts"].items():
                found[f"{key} in {name}"] = artifact
        elif path.name == "tree.json":
            tree = json.loads(path.read_text(encoding="utf-8"), object_hook=without_props)["tree"]
            for key, construct in tree["children"].items():
                found[f"{key} in {name}"] = construct
        elif path.name != "validation-report.json":
            found[name] = path.read_bytes()
    return found


def metadata(found: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The entries of a stack's constructs, without lines of code; of a warning, its id alone."""
    return {
        path: [
            {
                "type": entry["type"],
                "data": entry["data"].rpartition(" [ack: ")[2]
                if entry["type"] == "aws:cdk:warning"
                else entry.get("data"),
            }
            for entry in entries
            if entry["type"] != "aws:cdk:creationStack"
        ]
        for path, entries in found.items()
    }


def without_props(found: dict[str, Any]) -> dict[str, Any]:
    """A construct of the tree without its properties, which the templates have."""
    return {name: value for name, value in found.items() if name != "attributes"}


def without_ids(found: dict[str, Any]) -> dict[str, Any]:
    """An asset without the ids of its destinations, which hash what it holds."""
    if "destinations" in found:
        return {**found, "destinations": [*found["destinations"].values()]}
    return found


def without_hashes(path: Path, paths: list[Path]) -> str:
    """The text of a manifest with templates by name, and not by a hash of what they hold."""
    text = path.read_text(encoding="utf-8")
    for template in paths:
        if template.name.endswith(".template.json"):
            text = text.replace(hashlib.sha256(template.read_bytes()).hexdigest(), template.name)
    return text


class Changed(NamedTuple):
    """What differs from the last release on purpose; it says so in CHANGELOG.md."""

    stacks: str
    """The beginning of the ids of the stacks in `release_app.py`."""
    why: str
    actions: frozenset[str] = frozenset()
    """Statements with one of these differ, and nothing else does; without any, all may differ."""


CHANGED: Final[tuple[Changed, ...]] = (
    Changed(
        "Operators", "an operator has no hold on the sessions of one whose id begins like theirs",
        frozenset({"ssm:TerminateSession"})),
    Changed("OperatorsBySsh", "the ports of a host behind the instance are an option of their own",
        frozenset({"ssm:StartSession"})),
)  # fmt: skip


def excused(name: str, content: object, changed: Changed) -> tuple[object, object]:
    """What `changed` excuses of some content, and the rest of it."""
    if not name.startswith(changed.stacks):
        return None, content
    if not changed.actions:
        return content, None
    if not name.endswith(".template.json"):
        return None, content
    template = json.loads(content if isinstance(content, bytes) else json.dumps(content))
    excused_by_id: dict[str, list[object]] = {}
    for logical_id, resource in template["Resources"].items():
        document = resource.get("Properties", {}).get("PolicyDocument", {"Statement": []})
        for statement in [*document["Statement"]]:
            actions = statement["Action"]
            if not changed.actions.isdisjoint([actions] if isinstance(actions, str) else actions):
                excused_by_id.setdefault(logical_id, []).append(statement)
                document["Statement"].remove(statement)
    return excused_by_id, template


def test_each_version_in_the_changelog_has_its_commit() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    _, unreleased, *released = re.split(r"^## \[", text, flags=re.MULTILINE)
    versions = [section.partition("]")[0] for section in reversed(released)]

    if unreleased.split() == ["Unreleased]"] and versions[-1] not in RELEASES:
        versions.pop()  # of this tree itself, whose commit can't name itself
    assert versions == [*RELEASES]


def test_the_version_of_this_tree_is_the_newest_of_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    versions = re.findall(r"^## \[(\d.*)\] - ", changelog, re.MULTILINE)
    assert re.findall(r'^version = "(.+)"$', PROJECT, re.MULTILINE) == versions[:1]


@pytest.mark.parametrize("version", RELEASES)
def test_the_commit_of_a_version_says_that_it_is_that_version(tmp_path: Path, version: str) -> None:
    sources = unpacked(version, tmp_path)
    project = (sources / "pyproject.toml").read_text(encoding="utf-8")
    changelog = (sources / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.findall(r'^version = "(.+)"$', project, re.MULTILINE) == [version]
    # and nothing of what came later
    assert re.search(rf"^## \[Unreleased\]\s+## \[{version}\] - ", changelog, re.MULTILINE)


PUBLIC: Final = """
import inspect, json
import session_manager_permissions as package

found = set()
for name in package.__all__:
    public = getattr(package, name)
    found |= {*getattr(public, "__optional_keys__", [name])}
    found |= {name for name in vars(public) if inspect.isclass(public) and name[0] != "_"}
    for callee in filter(inspect.isfunction, (public, *(getattr(public, n) for n in vars(public)))):
        parameters = inspect.signature(callee).parameters.values()
        found |= {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}
print(json.dumps(sorted(found)))
"""


def test_the_app_uses_all_that_the_release_could_do(release: Path, tmp_path: Path) -> None:
    done = run_python("-c", PUBLIC, cwd=tmp_path, env={"PYTHONPATH": str(release)})
    assert done.returncode == 0, done.stderr
    public = json.loads(done.stdout)

    text = "".join(Path(path).read_text(encoding="utf-8") for path in (APP, scenarios.__file__))
    assert len(public) >= 45
    used = {name for name in public if re.search(rf"\b{name}\b", text)}
    assert {*public} - used == {"rule_ids", "validate"}  # which CDK asks the plug-in for


def test_the_release_is_synthesized_as_it_was(released: dict[str, object], tmp_path: Path) -> None:
    """Of equal statements in the same order CDK makes equal policies, minimized or not."""
    before, after = {**released}, synthesized(ROOT, tmp_path / "after")

    assert len([name for name in before if name.endswith(".template.json")]) > 120
    for changed in CHANGED:
        excuses_any = False
        for name in before.keys() & after.keys():
            was, before[name] = excused(name, before[name], changed)
            now, after[name] = excused(name, after[name], changed)
            excuses_any |= was != now
        assert excuses_any, f"nothing differs any more of {changed}"
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == []


@pytest.mark.parametrize(("by", "more"), [
    ("instance-profile", {}),
    ("role", {"policy-name": "Sessions", "log-bucket": "session-logs", "log-prefix": "web",
        "log-group": "/session/logs", "check-log-encryption": "false",
        "decrypt-sessions-only": "true"}),
], ids=["by-default", "with-a-name-and-logs"])  # fmt: skip
def test_an_option_changes_the_same_policy(tmp_path: Path, by: str, more: dict[str, str]) -> None:
    given: dict[str, object] = {by: "Existing", "key": key_arn(), **more}
    build(tmp_path, given)
    for asked in asked_for(tmp_path / "cdk.out"):
        given |= answer(asked)
    name, after = build(tmp_path, given)
    _, added = build(tmp_path, given | {"allow-registration": "true"})
    app = unpacked(LAST, tmp_path) / "app.py"
    environment = {**KNOWN, "CDK_CONTEXT_JSON": json.dumps(given), "CDK_OUTDIR": "cdk.out"}

    done = run_python(str(app), cwd=app.parent, env=environment)

    assert done.returncode == 0, done.stderr
    assert json.dumps(built(app.parent)) == json.dumps((name, after))
    assert after["Resources"].keys() == added["Resources"].keys()
    assert policy(after)["PolicyName"] == policy(added)["PolicyName"]
    registers = ["ssm:UpdateInstanceInformation" in str(found) for found in (after, added)]
    assert registers == [False, True]
