"""From the last release to this tree: nothing differs but what CHANGELOG.md says."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from session_manager_permissions import SessionManagerPermissions, SessionPreferences

from .conftest import HERE, ROOT, MakeStack, existing_role, resources, run_python
from .releases import LAST, RELEASES, unpacked
from .scenarios import SCENARIOS
from .test_packaging import PACKAGE, run

pytestmark = pytest.mark.packaging

APP: Final = str(ROOT / "tests" / "deploy" / "release_app.py")
POLICY: Final = "AWS::IAM::Policy"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last release, installed from a wheel."""
    folder = tmp_path_factory.mktemp("release")
    sources = unpacked(LAST, folder)
    installed = folder / "installed"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps")
    run(*pip, "--target", installed, sources, cwd=folder)
    assert (installed / f"{PACKAGE}-{LAST}.dist-info").is_dir()
    return installed


def synthesized(library: Path, folder: Path, **context: object) -> dict[str, object]:
    """The files that the app comes to, byte for byte, but for the lines of code in metadata."""
    folder.mkdir()
    env = {"PYTHONPATH": str(library), "CDK_CONTEXT_JSON": json.dumps(context)}
    done = run_python(APP, "cdk.out", cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".metadata.json")
    }
    for path in folder.rglob("*.metadata.json"):
        found[str(path.relative_to(folder))] = json.loads(
            path.read_text(encoding="utf-8"), object_hook=without_trace
        )
    return found


def without_trace(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "trace"}


def test_each_version_in_the_changelog_has_its_commit() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    _, unreleased, *released = re.split(r"^## \[", text, flags=re.MULTILINE)
    versions = [section.partition("]")[0] for section in reversed(released)]

    if unreleased.split() == ["Unreleased]"] and versions[-1] not in RELEASES:
        versions.pop()  # of this tree itself, whose commit can't name itself
    assert versions == [*RELEASES]


def test_the_version_of_this_tree_is_the_newest_of_the_changelog() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    versions = re.findall(r"^## \[(\d.*)\] - ", changelog, re.MULTILINE)
    assert re.findall(r'^version = "(.+)"$', project, re.MULTILINE) == versions[:1]


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

    text = Path(APP).read_text(encoding="utf-8")
    assert len(public) >= 12
    assert [name for name in public if not re.search(rf"\b{name}\b", text)] == []


@pytest.mark.parametrize("minimize", [False, True])
def test_all_that_the_release_could_do_is_synthesized_as_it_was(
    release: Path, tmp_path: Path, *, minimize: bool
) -> None:
    context = {"@aws-cdk/aws-iam:minimizePolicies": minimize}
    before = synthesized(release, tmp_path / "before", **context)
    after = synthesized(ROOT, tmp_path / "after", **context)

    assert len([name for name in before if name.endswith(".template.json")]) > 60
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == []


HEAD: Final = """
import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from session_manager_permissions import SessionManagerPermissions

app = cdk.App(outdir="cdk.out")
stack = cdk.Stack(app, "Stack")
ec2 = iam.ServicePrincipal("ec2.amazonaws.com")
name = cdk.CfnParameter(stack, "Name").value_as_string
existing = iam.Role.from_role_name(stack, "Existing", "Existing")
"""
MANY_KEYS: Final = """
permissions = SessionManagerPermissions(stack, "Permissions", role=existing)
for number in range(150):
    arn = f"arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-{number:012}"
    permissions.add_encryption_key(kms.Key.from_key_arn(stack, f"Key{number}", arn))
"""
ROLE_TWICE: Final = """
role = iam.Role(stack, "Role", assumed_by=ec2, role_name=name)
permissions = SessionManagerPermissions(stack, "Permissions", role=role)
permissions.attach_to_role(iam.Role.from_role_name(stack, "Again", name))
"""


def outcome(library: Path, folder: Path, code: str) -> str | dict[str, Any]:
    """The policy that the code makes, or the error that it ends with."""
    folder.mkdir()
    script = f"{HEAD}{code}\napp.synth()"
    done = run_python("-c", script, cwd=folder, env={"PYTHONPATH": str(library)})
    if done.returncode != 0:
        return done.stderr.splitlines()[-1]
    template = json.loads((folder / "cdk.out" / "Stack.template.json").read_text())
    (found,) = (body for body in template["Resources"].values() if body["Type"] == POLICY)
    properties: dict[str, Any] = found["Properties"]
    return properties


def test_keys_longer_than_a_policy_can_be_are_refused_now(release: Path, tmp_path: Path) -> None:
    before = outcome(release, tmp_path / "before", MANY_KEYS)
    after = outcome(ROOT, tmp_path / "after", MANY_KEYS)

    assert isinstance(before, dict)
    assert len(json.dumps(before["PolicyDocument"], separators=(",", ":"))) > 10_240
    assert isinstance(after, str)
    assert after.startswith("ValueError: encryption_key makes the policy ")


def test_a_role_named_by_a_parameter_is_listed_once_now(release: Path, tmp_path: Path) -> None:
    before = outcome(release, tmp_path / "before", ROLE_TWICE)
    after = outcome(ROOT, tmp_path / "after", ROLE_TWICE)

    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert before["Roles"] == [*after["Roles"], {"Ref": "Name"}]
    assert before | {"Roles": after["Roles"]} == after


@pytest.mark.parametrize(
    ("code", "error"),
    [
        pytest.param(
            """
statement = iam.PolicyStatement(actions=["s3:ListBucket"], resources=["*"])
policies = {"Sessions": iam.PolicyDocument(statements=[statement])}
role = iam.Role(stack, "Role", assumed_by=ec2, inline_policies=policies)
SessionManagerPermissions(stack, "Permissions", role=role, policy_name="Sessions")
""",
            "ValueError: policy_name 'Sessions' is that of a policy which the role ",
            id="policy_name of a policy that the role is made with",
        ),
        pytest.param(
            """
class Instance(cdk.Resource):
    role = existing
SessionManagerPermissions(stack, "Permissions", instance_profile=Instance(stack, "Instance"))
""",
            "TypeError: instance_profile must be an IAM instance profile, got the construct ",
            id="as instance_profile what is none but has a role",
        ),
        pytest.param(
            """
key = kms.Alias.from_alias_name(stack, "Key", f"alias/*/{name}")
SessionManagerPermissions(stack, "Permissions", role=existing, encryption_key=key)
""",
            "ValueError: encryption_key 'alias/*/${Token",
            id="a wildcard beside a token",
        ),
        pytest.param(
            """
key = kms.Alias.from_alias_name(stack, "Key", f"alias/aws/{name}")
SessionManagerPermissions(stack, "Permissions", role=existing, encryption_key=key)
""",
            "ValueError: encryption_key is the AWS managed key 'alias/aws/${Token",
            id="an AWS managed key by a token",
        ),
    ],
)
def test_what_could_not_work_is_refused_now(
    release: Path, tmp_path: Path, code: str, error: str
) -> None:
    assert isinstance(outcome(release, tmp_path / "before", code), dict)
    after = outcome(ROOT, tmp_path / "after", code)
    assert isinstance(after, str)
    assert after.startswith(error)


@pytest.fixture(scope="module")
def deployed(release: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The policy, by its logical id, that the last release gave with no option."""
    files = synthesized(release, tmp_path_factory.mktemp("deployed") / "app")
    text = files["cdk.out/NamedHere.template.json"]
    assert isinstance(text, bytes)
    found: dict[str, Any] = json.loads(text)["Resources"]
    return found


@pytest.mark.parametrize("added", [*SCENARIOS, "preferences"])
def test_an_option_added_with_the_upgrade_changes_the_document_of_the_policy_alone(
    deployed: dict[str, Any], make_stack: MakeStack, added: str
) -> None:
    stack = make_stack("NamedHere", env=HERE)
    SessionManagerPermissions(
        stack,
        "Permissions",
        role=existing_role(stack),
        **(
            SCENARIOS[added](stack)
            if added in SCENARIOS
            else {"preferences": SessionPreferences(stack, "Preferences")}
        ),
    )
    after = resources(stack, POLICY)

    ((logical_id, before),) = deployed.items()
    document = after[logical_id]["Properties"]["PolicyDocument"]
    before["Properties"]["PolicyDocument"] = document
    assert after == {logical_id: before}
