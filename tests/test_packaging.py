"""A release: what it holds, that it is the same each time, and that the wheel is all one needs."""

import email.policy
import io
import json
import os
import re
import shutil
import tarfile
import venv
from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml
from local_aws import ExistingProfile, existing_profile, local_aws
from readme_renderer import markdown

from .conftest import PROJECT, ROOT, run, run_python

PACKAGE = "session_manager_permissions"
UV = ROOT / ".venv-uv/bin/uv"
SOURCES = (".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "hatch_build.py", "pyproject.toml")
"""What a build reads besides the package."""
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
pytestmark = pytest.mark.packaging


def workflow_of(name: str) -> Any:  # noqa: ANN401 - what YAML has
    return yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8"))


def ran(*command: str | Path, cwd: Path) -> str:
    """The standard output of a command, which must succeed."""
    done = run(*command, cwd=cwd, env=os.environ | {"CDK_OUTDIR": str(cwd / "cdk.out")})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dist` makes: the sdist, the wheel built from it, the bill of materials."""
    folder = tmp_path_factory.mktemp("release")
    made = folder / "dist"
    ran("make", "-C", ROOT, "dist", f"RELEASE={folder / 'venv'}", f"DIST={made}", cwd=folder)
    return made


PACKED = ("*.py", "py.typed", "aws_managed_policies.json", "page.css", "page.html.jinja", "page.js")


def modules() -> set[str]:
    found = (path for pattern in PACKED for path in (ROOT / PACKAGE).rglob(pattern))
    return {path.relative_to(ROOT).as_posix() for path in found}


def test_wheel_holds_the_package_and_the_licence(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    (dist_info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    metadata = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")

    assert f"{PACKAGE}/py.typed" in names
    assert names == modules() | {f"{dist_info}/{name}" for name in metadata}


def test_sdist_holds_what_the_wheel_is_built_of(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names == modules() | {*SOURCES, "PKG-INFO"}


def copied_sources(folder: Path) -> Path:
    """A copy of the files that a build reads, in a folder of its own."""
    sources = folder / "sources"
    shutil.copytree(ROOT / PACKAGE, sources / PACKAGE, copy_function=shutil.copyfile)
    for name in SOURCES:
        shutil.copyfile(ROOT / name, sources / name)
    return sources


def test_each_build_gives_the_same_bytes(distributions: Path, tmp_path: Path) -> None:
    """From the sdist, from the sources, of another age, in another folder, with notes in it."""
    sources = copied_sources(tmp_path)
    for name in ("notes.txt", "notes.json"):
        (sources / PACKAGE / name).write_text("not for the wheel", encoding="utf-8")
    build = distributions.parent / "venv/bin/python", "-m", "build", "--no-isolation"

    ran(*build, "--sdist", "--wheel", "--outdir", tmp_path / "again", sources, cwd=tmp_path)

    for built in (*distributions.glob("*.whl"), *distributions.glob("*.tar.gz")):
        assert built.read_bytes() == (tmp_path / "again" / built.name).read_bytes()


REPOSITORY = "https://github.com/Owner/session-manager-permissions"
SITE = "https://owner.github.io/session-manager-permissions/"


@pytest.fixture(scope="module")
def public(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel of a project whose repository has an address."""
    folder = tmp_path_factory.mktemp("public")
    sources = copied_sources(folder)
    address = sources / PACKAGE / "_address.py"
    text = address.read_text(encoding="utf-8")
    assert text.count('REPOSITORY: Final[str] = ""') == 1
    text = text.replace('Final[str] = ""', f'Final[str] = "{REPOSITORY}"')
    address.write_text(text, encoding="utf-8")
    build = distributions.parent / "venv/bin/python", "-m", "build", "--no-isolation"
    ran(*build, "--wheel", "--outdir", folder, sources, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    shutil.unpack_archive(wheel, folder / "wheel", "zip")
    return folder / "wheel"


def metadata(text: str) -> Message:
    """The metadata of a wheel; its payload is the README."""
    return message_from_string(text, policy=email.policy.HTTP)


def rendered(readme: str) -> str:
    """The HTML that PyPI renders from the README."""
    warnings = io.StringIO()
    page = markdown.render(readme, stream=warnings)
    assert page is not None, warnings.getvalue()
    assert warnings.getvalue() == ""
    return page


def test_without_an_address_the_metadata_has_the_readme_as_it_is(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        found = metadata(archive.read(name).decode())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert {"Project-URL", "Dynamic"}.isdisjoint(found.keys())
    assert found["Description-Content-Type"] == "text/markdown"
    assert found.get_payload() == readme
    assert re.search("<h1[^>]*>session-manager-permissions<", rendered(readme))


def test_with_an_address_each_link_of_readme_and_metadata_is_absolute(public: Path) -> None:
    (dist_info,) = public.glob("*.dist-info")
    found = metadata((dist_info / "METADATA").read_text(encoding="utf-8"))
    readme = str(found.get_payload())
    release = f"v{found['Version']}"
    at_release = f"{REPOSITORY}/blob/{release}/", f"{REPOSITORY}/raw/{release}/"

    assert found.get_all("Project-URL") == [
        f"Documentation, {SITE}",
        f"Repository, {REPOSITORY}",
        f"Issues, {REPOSITORY}/issues",
        f"Changelog, {at_release[0]}CHANGELOG.md",
    ]
    assert "Dynamic" not in found
    page = rendered(readme)
    links = re.findall(r'href="([^#].*?)"', page)
    pictures = re.findall(r'src="(.*?)"', page)
    assert len(links) > 20
    assert len(pictures) == 2
    for link in links:
        path = link.removeprefix(at_release[0])
        assert path.startswith("https://") or (ROOT / path.partition("#")[0]).is_file(), link
    for picture in pictures:
        assert (ROOT / picture.removeprefix(at_release[1])).is_file(), picture
    # and nothing else of it differs
    for added in at_release:
        readme = readme.replace(f"]({added}", "](")
    assert readme == (ROOT / "README.md").read_text(encoding="utf-8")


def test_with_an_address_messages_and_json_have_its_pages(public: Path, tmp_path: Path) -> None:
    script = "from session_manager_permissions._causes import *; print(page('x'), more('x'))"
    done = run_python("-c", script, cwd=tmp_path, env={"PYTHONPATH": str(public)})

    assert done.stdout == f"{SITE}causes/x/ More: {SITE}causes/x/\n"


def test_bill_of_materials_lists_what_a_user_installs(distributions: Path) -> None:
    (bill,) = distributions.glob("*.cdx.json")
    text = bill.read_text(encoding="utf-8")
    listed = json.loads(text)
    project = listed["metadata"]["component"]

    assert listed["bomFormat"] == "CycloneDX"
    assert (project["name"], project["type"]) == ("session-manager-permissions", "library")
    assert {"aws-cdk-lib", "boto3", "constructs", "jinja2", "jsii", "msgspec", "rich"} <= {
        component["name"].lower() for component in listed["components"]
    }
    assert str(distributions.parent) not in text


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_take_each_action_by_its_commit(workflow: Path) -> None:
    used = re.findall(r"uses: (.*)", workflow.read_text(encoding="utf-8"))

    assert used
    for action in used:
        pinned = re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[0-9.]+", action)
        assert pinned or action.startswith("./.github/workflows/"), action


def test_workflows_run_what_the_makefile_has() -> None:
    texts = [workflow.read_text(encoding="utf-8") for workflow in WORKFLOWS]

    targets = {target for text in texts for target in re.findall(r"run: make (\w+)", text)}

    assert targets == {"audit", "dist", "docs"}
    assert all(re.search(rf"^{target}:", MAKEFILE, re.MULTILINE) for target in targets)
    assert any("run: .ci/run\n" in text for text in texts)


def test_release_goes_to_the_index_from_a_tag_of_its_version_that_the_ci_passed() -> None:
    release = workflow_of("release")
    jobs = release["jobs"]
    (version,) = re.findall(r'^version = "(.*)"$', PROJECT, re.MULTILINE)
    (check,) = (step["run"] for step in jobs["build"]["steps"] if "REF_NAME" in step.get("run", ""))

    assert release[True] == {"push": {"tags": ["v*"]}}  # YAML reads `on` as True
    assert jobs["ci"] == {"uses": "./.github/workflows/ci.yml"}
    assert jobs["publish"]["needs"] == ["ci", "build"]
    assert jobs["publish"]["environment"] == "pypi"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    for tag, status in ((f"v{version}", 0), (f"v{version}.1", 1)):
        tagged = os.environ | {"GITHUB_REF_NAME": tag}
        assert run("bash", "-c", check, cwd=ROOT, env=tagged).returncode == status


def test_audit_asks_about_each_environment_and_about_the_cli() -> None:
    test, audit = (ran("make", "-nB", target, cwd=ROOT) for target in ("test", "audit"))
    tested, made = ({*re.findall(r"-m venv (?:--\S+ )*(\S+)", plan)} for plan in (test, audit))
    (asked,) = re.findall(r"^for venv in (.*); do", audit, re.MULTILINE)

    assert {*asked.split()} == made >= tested > {".venv"}
    assert re.search(r"/pip-audit .*-r \$venv/frozen.txt", audit)
    assert "&& npm audit\n" in audit


def test_every_tool_is_pinned() -> None:
    (groups,) = re.findall(r"^\[dependency-groups\]\n(.*?)^\[", PROJECT, re.MULTILINE | re.DOTALL)
    tools = re.findall(r'"([^"]+)"', re.sub("include-group = .*", "", groups))
    (backend,) = re.findall(r"^requires = \[(.*)\]$", PROJECT, re.MULTILINE)
    backends = re.findall(r'"(.*?)"', backend)
    installers = re.findall(r" ((?:pip|uv)\b[=<>~!]\S*)", MAKEFILE)
    matrix = re.findall(r"^  \w+: (.*)$", (ROOT / "tox.ini").read_text("utf-8"), re.MULTILINE)
    npm = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]

    assert {re.split("[=<>~!]", tool)[0] for tool in installers} == {"pip", "uv"}
    assert matrix
    for tool in (*tools, *backends, *installers, *matrix):
        assert re.fullmatch(r"[\w-]+(\[[\w,]+\])?==[\w.]+(; .*)?", tool), tool
    for version in npm.values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)


def test_what_makes_a_release_is_locked_with_hashes_and_nothing_else_is_installed() -> None:
    (group,) = re.findall(r"^release = \[(.*?)^\]", PROJECT, re.MULTILINE | re.DOTALL)
    (backend,) = re.findall(r"^requires = \[(.*)\]$", PROJECT, re.MULTILINE)
    lock = (ROOT / ".ci/release.txt").read_text(encoding="utf-8")
    made = ran("make", "-nB", "dist", cwd=ROOT)

    locked = re.split(r"\n(?=\S)", lock.strip())
    for one in locked:
        assert re.fullmatch(
            r"[\w.-]+==\S+( ; [^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", one
        ), one
    assert {*re.findall(r'"(.*?)"', group)} <= {one.split()[0] for one in locked}
    assert {*re.findall(r'".*?"', backend)} <= {*re.findall(r'".*?"', group)}
    assert "://" not in lock
    assert re.search(r"--require-hashes --requirement \.ci/release\.txt$", made, re.MULTILINE)
    assert "-m build --no-isolation " in made
    assert ".venv-uv" not in made


def test_what_the_release_page_holds_is_attested() -> None:
    attach = workflow_of("release")["jobs"]["attach"]
    (attest,) = (step for step in attach["steps"] if "attest" in step.get("uses", ""))
    (create,) = (step["run"] for step in attach["steps"] if "gh release create" in str(step))

    assert attach["steps"].index(attest) == len(attach["steps"]) - 2
    assert create.split()[-1] == attest["with"]["subject-path"] == "dist/*"
    assert attach["permissions"] == dict.fromkeys(("attestations", "contents", "id-token"), "write")


def test_updates_are_offered_for_all_that_is_pinned() -> None:
    text = (ROOT / ".github/dependabot.yml").read_text(encoding="utf-8")
    updates = {one["package-ecosystem"]: one for one in yaml.safe_load(text)["updates"]}

    assert updates.keys() == {"github-actions", "npm", "pip"}
    folders = updates["pip"]["directories"]
    locks = [*ROOT.glob("examples/*/requirements.txt"), ROOT / ".ci/release.txt"]
    for path in (ROOT / "pyproject.toml", *locks):
        folder = f"/{path.parent.relative_to(ROOT).as_posix()}".removesuffix("/.")
        assert any(fnmatch(folder or "/", pattern) for pattern in folders), path


@pytest.fixture(scope="module")
def python(distributions: Path) -> Path:
    """The Python of an environment that has the wheel and nothing else."""
    (wheel,) = distributions.glob("*.whl")
    folder = distributions.parent / "installed"
    venv.create(folder)
    install = (UV, "pip", "install", "--quiet", "--system-certs", "--python", folder)
    ran(*install, wheel, cwd=distributions.parent)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def profile() -> Iterator[ExistingProfile]:
    """A profile that is there before anything is installed."""
    with local_aws() as aws:
        yield existing_profile(aws, "web-server")


def test_size_without_cdk(distributions: Path, profile: ExistingProfile, tmp_path: Path) -> None:
    page = (ROOT / "docs/verify.md").read_text(encoding="utf-8")
    (size,) = re.findall(r"It takes some (\d+) MB", page)
    (packages,) = re.findall(r"^pip install ([\w ]+) && pip install --no-deps", page, re.MULTILINE)
    (wheel,) = distributions.glob("*.whl")
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    install = (UV, "pip", "install", "--quiet", "--system-certs", "--python", python)
    ran(*install, *packages.split(), cwd=tmp_path)
    ran(*install, "--no-deps", wheel, cwd=tmp_path)

    (command,) = (tmp_path / "venv/bin").glob("session-manager-permissions")
    ran(command, "--version", cwd=tmp_path)
    ran(command, "verify", "--print-permissions", cwd=tmp_path)
    told = profile.aws.verify("--instance-profile", profile.name, command=command)
    assert told.returncode == 1, told.stderr
    assert "not ready" in told.stdout

    files = [path for path in (tmp_path / "venv/lib").rglob("*") if path.is_file()]
    assert [path for path in files if path.parent.name in {"aws_cdk", "jsii"}] == []
    # pip compiles the modules too, which makes them larger by a third
    modules = sum(path.stat().st_size for path in files if path.suffix != ".pyc")
    assert 0.6 * int(size) < modules / 1e6 < int(size)


def test_readme_starts_on_the_wheel_alone(python: Path, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.search(r"^```python\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    assert first, "README.md has no Python snippet"
    (tmp_path / "app.py").write_text(first[1], encoding="utf-8")
    ran(python, "app.py", cwd=tmp_path)

    (template,) = (tmp_path / "cdk.out").glob("*.template.json")
    assert "ssmmessages:OpenDataChannel" in template.read_text(encoding="utf-8")
