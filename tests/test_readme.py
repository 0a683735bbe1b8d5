"""The README against reality: its snippets run, its commands exist, its tables are complete."""

import itertools
import json
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore import xform_name

import session_manager_permissions
from session_manager_permissions import SessionManagerPermissions, SessionPreferences, _address
from session_manager_permissions._app import CONTEXT, stack_name
from session_manager_permissions._command import parser

from .conftest import PROJECT, ROOT, run_app
from .places import ACCOUNT
from .reading import asked_for

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")

EXISTING: Final = (ROOT / "docs" / "existing-profiles.md").read_text(encoding="utf-8")
PERMISSIONS: Final = (ROOT / "docs" / "permissions.md").read_text(encoding="utf-8")

REGION: Final = "us-west-2"
ROLE: Final = "the-role-looked-up"
ANSWERS: Final = {  # the account's, by what asks
    "availability-zones": [f"{REGION}a", f"{REGION}b"],
    "cc-api-provider": [
        {"Roles": [ROLE], "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/web-server"}
    ],
}
TEMPLATE: Final = {  # what the snippet of `CfnInclude` includes
    "Resources": {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}},
        "InstanceProfile": {
            "Type": "AWS::IAM::InstanceProfile",
            "Properties": {"Roles": [{"Ref": "Role"}]},
        },
    }
}
WARNING_ID: Final = r"session-manager-permissions:[a-z-]+"


def prose(name: str) -> str:
    """A page without its fenced blocks."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def blocks(language: str, page: str = README) -> list[tuple[int, str]]:
    """The line and the text of each fenced block in `language`, also of those within a list."""
    fences = re.finditer(rf"^( *)```{language}\n(.*?)^\1```$", page, re.MULTILINE | re.DOTALL)
    return [(page.count("\n", 0, fence.start()) + 1, textwrap.dedent(fence[2])) for fence in fences]


def table(first_header: str, page: str = README) -> list[list[str]]:
    """The cells of the one table whose first column has this header."""
    (rows,) = re.findall(rf"^\| {first_header} \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    return [row.strip("| ").split(" | ") for row in rows.splitlines()]


def code(cell: str) -> list[str]:
    """The texts between backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def first_column(first_header: str, page: str = README) -> list[str]:
    return [name for row in table(first_header, page) for name in code(row[0])]


def commands() -> Iterator[tuple[str, list[str]]]:
    """The page and the line, and the words, of each command in a shell block."""
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for start, block in blocks("sh", path.read_text(encoding="utf-8")):
            for line, written in enumerate(block.splitlines(), start + 1):
                command = written.removeprefix("npx cdk synth && ").partition(" > ")[0]
                words = shlex.split(command, comments=True)
                if words and words[0] != "cfn-lint":  # which tests/test_cfn_lint.py runs
                    yield f"{path.name}-{line}", words


def context_given(words: list[str]) -> dict[str, str]:
    """The context that a CDK CLI command passes by `-c`."""
    values = [value for option, value in itertools.pairwise(words) if option == "-c"]
    return dict(value.split("=", 1) for value in values)


class Synthesis:
    """Runs a script that is an app as the CLI does, with the account's answers to its look-ups."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch

    def run(self, script: Path, **context: object) -> None:
        missing = self._pass(script, context)
        self.looked_up = [lookup["props"].get("exactIdentifier") for lookup in missing]
        if missing:
            answers = {lookup["key"]: ANSWERS[lookup["provider"]] for lookup in missing}
            assert self._pass(script, context | answers) == []

    def _pass(self, script: Path, context: dict[str, object]) -> list[dict[str, Any]]:
        known = {"ACCOUNT": ACCOUNT, "REGION": REGION}
        run_app(self.monkeypatch, self.folder / "cdk.out", context, known, str(script))
        return asked_for(self.folder / "cdk.out")

    def resources(self, *kinds: str) -> list[dict[str, Any]]:
        return [
            resource["Properties"]
            for template in self.folder.glob("cdk.out/*.template.json")
            for resource in json.loads(template.read_text(encoding="utf-8"))["Resources"].values()
            if resource["Type"] in kinds
        ]

    def policies(self) -> list[dict[str, Any]]:
        return self.resources("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")

    def warnings(self) -> set[str]:
        """The ids of this package's warnings."""
        metadata = [
            path.read_text(encoding="utf-8")
            for name in ("manifest.json", "*.metadata.json")
            for path in self.folder.glob(f"cdk.out/{name}")
        ]
        return set(re.findall(rf"\[ack: ({WARNING_ID})\]", "".join(metadata)))


@pytest.fixture
def synthesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Synthesis:
    monkeypatch.chdir(tmp_path)
    return Synthesis(tmp_path, monkeypatch)


SNIPPETS: Final = [
    pytest.param(page, text, id=f"{page.stem}-{line}")
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    for line, text in blocks("python", page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "snippet"), SNIPPETS)
def test_each_snippet_runs(page: Path, snippet: str, synthesis: Synthesis) -> None:
    template = synthesis.folder / "template.json"
    template.write_text(json.dumps(TEMPLATE), encoding="utf-8")
    script = synthesis.folder / "snippet.py"
    # Node has a working directory of its own, so the name of a file is given in full.
    script.write_text(snippet.replace("template.json", str(template)), encoding="utf-8")

    synthesis.run(script)

    found = synthesis.policies()
    assert ("StartSessionInstances" in json.dumps(found)) == ("grant_start_session(" in snippet)
    assert synthesis.warnings() == set()
    if page.stem in {"README", "permissions"}:
        always = ("SessionManagerChannels", "SessionManagerLogEncryption")
        (policy,) = (one for one in found if all(sid in json.dumps(one) for sid in always))
        assert (policy.get("Roles") == [ROLE]) == ("lookup_instance_profile" in snippet)


def test_every_way_in_has_a_snippet() -> None:
    snippets = "".join(str(each.values[1]) for each in SNIPPETS)
    for name in (
        *(name for name in session_manager_permissions.__all__ if name != "SessionManagerOptions"),
        *("role=", "instance_profile=", "from_role_name", "from_role_arn", "CfnInclude"),
        *("add_encryption_key", "from_alias_name", ".instance.node.add_dependency(permissions)"),
        *("log_bucket=", "log_group=", "decrypt_sessions_only=", "from_document_name("),
        *("preferences=", "PrincipalTag"),
    ):
        assert name in snippets


def test_the_proxy_command_of_the_ssh_configuration_is_one_of_the_cli() -> None:
    ((_, text),) = blocks("text", (ROOT / "docs/recipes.md").read_text(encoding="utf-8"))
    (command,) = re.findall("ProxyCommand (.*)", text)

    refuse_unknown_options(shlex.split(command))


def refuse_outdated(words: list[str]) -> None:
    """See to it that a setting is that of the tests, a version the package's, a script there."""
    match words:
        case ["export", setting]:
            name, _, value = setting.partition("=")
            assert f'"{name}": "{value}"' in (ROOT / "tools/local_aws.py").read_text("utf-8")
        case ["gh", "attestation", "verify", wheel, "--repo", "OWNER/REPOSITORY"]:
            assert f'\nversion = "{wheel.split("-")[1]}"\n' in PROJECT
        case ["python", script, *_]:  # which the test of its page runs
            assert (ROOT / script).is_file()
        case _:
            pytest.fail(shlex.join(words))


def refuse_other_packages(words: list[str]) -> None:
    """Assert that a pip command installs this package, or what this package's command needs."""
    match words[2:]:
        case [*packages, "&&", "pip", "install", "--no-deps", itself]:
            (needed,) = re.findall(r"^verify = \[(.*)\]$", PROJECT, re.MULTILINE)
            assert packages == re.findall(r'"([\w-]+)', needed)
            assert f'\nname = "{itself}"\n' in PROJECT
        case [requirement]:
            requirement, _, version = requirement.partition("==")
            name, _, extra = requirement.removesuffix("]").partition("[")
            # on the README, which runs in a checkout
            assert f'\nname = "{name}"\n' in PROJECT or name == "."
            assert not version or f'\nversion = "{version}"\n' in PROJECT
            assert not extra or f"\n{extra} = [" in PROJECT
        case _:
            pytest.fail(shlex.join(words))


def refuse_unknown_options(words: list[str]) -> None:
    """Assert that the AWS CLI has the command and its options."""
    _, service, operation, *options = words
    client = boto3.client(service, region_name=REGION)
    name = client.meta.method_to_api_mapping[operation.replace("-", "_")]
    members = client.meta.service_model.operation_model(name).input_shape.members
    known = {f"--{xform_name(member, '-')}" for member in members}
    assert {option for option in options if option.startswith("--")} <= known


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in commands()])
def test_each_command_exists(words: list[str], synthesis: Synthesis) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    match words:
        case ["make", target, *variables]:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE)
            assert all(f"$({variable.partition('=')[0]})" in makefile for variable in variables)
        case ["aws", *_]:
            refuse_unknown_options(words)
        case ["pip", "install", *_]:
            refuse_other_packages(words)
        case ["session-manager-permissions", *arguments]:
            assert parser().parse_args(arguments)
        case [".", script]:
            assert script == ".venv/bin/activate"
            assert ".venv" in makefile
        case ["export", *_] | ["gh", *_] | ["python", *_]:
            refuse_outdated(words)
        case ["npx", "--yes", cli, *others] if "@" in cli:
            pinned = json.loads((ROOT / "package.json").read_text("utf-8"))["devDependencies"]
            assert cli == f"aws-cdk@{pinned['aws-cdk']}"
            test_each_command_exists(["npx", "aws-cdk", *others], synthesis)
        case ["npx", "cdk" | "aws-cdk" as cli, "diff" | "deploy" | "destroy", *options]:
            if cli == "aws-cdk":  # without a checkout
                assert options[:2] == ["--app", "python -m session_manager_permissions"]
                options = options[2:]
            context = context_given(options)
            assert options == [word for pair in context.items() for word in ("-c", "=".join(pair))]
            assert set(context) <= {*CONTEXT}
            (synthesis.folder / "profiles.txt").write_text("web-server", encoding="utf-8")
            synthesis.run(ROOT / "app.py", **context)
            (policy,) = synthesis.policies()
            assert ("key" in context) == ("kms:Decrypt" in json.dumps(policy))
            assert context.get("policy-name") in {None, policy["PolicyName"]}
        case _:
            pytest.fail(f"nothing here checks the command {shlex.join(words)!r}")


def test_the_stack_named_on_the_page_is_that_of_the_file() -> None:
    (name,) = {*re.findall(r"SessionManager-InstanceProfiles-\S+\b", EXISTING)}

    assert name == stack_name("InstanceProfiles", "profiles.txt")


def test_the_file_shown_on_the_page_names_three_profiles(synthesis: Synthesis) -> None:
    (text,) = (block for _, block in blocks("text", EXISTING))
    (synthesis.folder / "profiles.txt").write_text(text, encoding="utf-8")

    synthesis.run(ROOT / "app.py", **{"instance-profiles": "profiles.txt"})

    assert synthesis.looked_up == ["web-server", "batch-worker", "db"]


@pytest.mark.parametrize(
    ("construct", "page"),
    [(SessionManagerPermissions, "permissions"), (SessionPreferences, "preferences")],
)
def test_the_public_members_of_the_construct_are_named(construct: type, page: str) -> None:
    members = {name for name in vars(construct) if not name.startswith("_")}

    assert members <= set(code(prose(f"docs/{page}.md")))


def test_the_properties_listed_are_those_of_the_preferences() -> None:
    (listed,) = re.findall(r"has these properties: ([^.]*)", prose("docs/preferences.md"))

    members = vars(SessionPreferences).items()
    assert {*code(listed)} == {name for name, one in members if isinstance(one, property)}


def test_the_warnings_listed_are_the_package_s() -> None:
    sources = (ROOT / "session_manager_permissions").rglob("*.py")
    ids = {found for path in sources for found in re.findall(WARNING_ID, path.read_text("utf-8"))}

    listed = first_column("id", prose("docs/errors.md"))

    assert len(listed) == len(set(listed))
    assert set(listed) == ids


LANGUAGES: Final = {"python", "sh"}  # which are run, wherever they are
READ: Final = {  # the language of a block, and the pages on which a test reads it
    "json": {"docs/audit.md", "docs/security.md", "docs/statements.md"},  # by tests of these pages
    "mermaid": {"README.md", "docs/preferences.md"},  # a picture, which nobody can run
    "py": {"docs/scanners.md"},  # by test_linters.py
    # by tests of these pages
    "text": {
        "README.md",
        "docs/audit.md",
        "docs/existing-profiles.md",
        "docs/readiness.md",
        "docs/recipes.md",
    },
}
DOCS: Final = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", ["README.md", *DOCS])
def test_each_block_is_one_that_a_test_reads(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    fences = [found.strip() for found in re.findall(r"^[ \t>]*(?:```|~~~).*$", text, re.MULTILINE)]

    assert fences[1::2] == ["```"] * len(fences[::2])
    for fence in fences[::2]:
        language = fence.removeprefix("```")
        read = READ.get(language, set())
        assert language in LANGUAGES or page in read or "made by: make tables" in text, fence


def anchors(page: str) -> set[str]:
    """The anchors of a page that a link may target."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


PAGES: Final = [*(path.name for path in ROOT.glob("*.md")), *DOCS, "benchmarks/RESULTS.md"]


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.relative_to(ROOT).as_posix()), target


def test_each_page_is_reached_from_the_readme() -> None:
    assert {page for page in DOCS if "/causes/" not in page} <= {
        target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", README)
    }


def test_the_lowest_python_named_is_that_of_the_package() -> None:
    (lowest,) = re.findall(r'^requires-python = ">=(.*)"$', PROJECT, re.MULTILINE)

    for page in ("README.md", "CONTRIBUTING.md"):
        assert set(re.findall(r"Python (3\.\d+)\s+or newer", prose(page))) == {lowest}


def test_the_site_of_a_repository_is_where_github_serves_it() -> None:
    assert _address.of_pages("https://github.com/Some/name") == "https://some.github.io/name/"


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len(README.splitlines()) <= 200


def test_contributing_names_each_wing_and_no_file_that_is_not_there() -> None:
    words = code(prose("CONTRIBUTING.md"))
    wings = {path.name for path in (ROOT / "session_manager_permissions").glob("_[a-z]*")}

    assert wings <= {Path(word).name for word in words}
    for word in words:
        if re.fullmatch(r"(session_manager_permissions|tests|tools)/[\w./]*", word):
            assert (ROOT / word).exists()
