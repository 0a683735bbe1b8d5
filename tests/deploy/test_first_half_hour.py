"""The README from the top, as a newcomer tries it: a clean checkout and an empty home.

The packages are the exception: uv has downloaded them for these tests and jsii has unpacked them,
and both take them again. The demo runs in the environment of the tests, which `make` has set up as
it sets up that of a clone.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from instances import launch, lead_to_the_internet, systems_manager
from local_aws import ADMINISTRATOR, CLI, REGION, ROOT, ExistingProfile, LocalAws, existing_profile

from tests.releases import git
from tests.test_packaging import UV
from tests.test_readme import blocks

from .stacks import made_user
from .test_demo import assert_shows_before_and_after

pytestmark = pytest.mark.packaging

NOT_OF_A_NEWCOMER = re.compile(
    "AWS_|CDK_|COV_|HOME$|JSII_|MAKE|MFLAGS|NODE_|NPM_CONFIG_(CACHE|PREFIX)|PIP_CACHE|"
    "PYTEST|PYTHON|UV_|VIRTUAL_ENV|XDG_"
)


UNPACKED = Path.home() / ".cache/aws/jsii/package-cache"
"""The default folder in which jsii keeps the packages that it has unpacked."""


@cache
def packages() -> str:
    """Where uv keeps what it has downloaded."""
    return subprocess.check_output([UV, "cache", "dir"], text=True).strip()  # noqa: S603


@dataclass(frozen=True)
class Newcomer:
    """A checkout, a home folder, and the wheel, which a package index would have."""

    folder: Path

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    def from_checkout(self, script: str) -> str:
        """The script, changed so that it installs the checkout from any folder."""
        install = rf"(cd {self.checkout} && \1)"
        return re.sub(r"^(pip install .*)$", install, script, flags=re.MULTILINE)

    def run(
        self, script: str, environment: dict[str, str] | None = None, *, cwd: Path | None = None
    ) -> str:
        """Run the script in a shell, line by line, and return its output."""
        kept = {k: v for k, v in os.environ.items() if not NOT_OF_A_NEWCOMER.match(k.upper())}
        found = " ".join(filter(None, [os.environ.get("PIP_FIND_LINKS"), f"{self.folder}/index"]))
        done = subprocess.run(
            ["bash", "-eu"],  # noqa: S607
            input=script,
            cwd=cwd or self.checkout,
            env=kept
            | {"HOME": f"{self.folder}/home", "PIP_FIND_LINKS": found}
            | {"UV_CACHE_DIR": packages(), "UV_FIND_LINKS": f"{self.folder}/index"}
            | {"JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(UNPACKED)}
            # the validator takes most of each synthesis; the first snippet's is enough
            | {"CDK_VALIDATION": "false"}
            | (environment or {}),
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout, but a copy of one")
    one = Newcomer(tmp_path_factory.mktemp("newcomer"))
    # what a clone has, as it is now
    for name in git("ls-files", "-z").rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (one.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, one.checkout / name)
    for name in ("home", "index"):
        (one.folder / name).mkdir()
    for name in (".venv", "node_modules"):
        (one.checkout / name).symlink_to(ROOT / name)
    one.run(f"{UV} build --quiet --system-certs --wheel --out-dir ../index")
    return one


@pytest.fixture(scope="module")
def profile(aws: LocalAws) -> ExistingProfile:
    return existing_profile(aws, "web-server")


@pytest.fixture(scope="module")
def account(aws: LocalAws, profile: ExistingProfile) -> dict[str, str]:
    """The environment of a user whose account has the profile and the role of the README."""
    assert profile.name == "web-server"
    trust = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}
    aws.client("iam").create_role(RoleName="web-server", AssumeRolePolicyDocument=json.dumps(trust))
    return {
        "AWS_ACCESS_KEY_ID": ADMINISTRATOR["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": ADMINISTRATOR["SecretAccessKey"],
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": aws.endpoint,
        # nobody is there to say yes
        "CDK_REQUIRE_APPROVAL": "never",
        "CDK_FORCE": "true",
    }


@pytest.fixture(scope="module")
def made(newcomer: Newcomer) -> Path:
    """The app of `cdk init`, with what it installs: by uv, as CDK takes pip half a minute."""
    folder = newcomer.folder / "my-app"
    folder.mkdir()
    newcomer.run(
        f"{WITH_CLI}cdk init app --language python --generate-only\n"
        f"{UV} venv --quiet --system-certs --seed --python {sys.executable}\n"
        f"{WITH_UV} -r requirements.txt",
        cwd=folder,
    )
    return folder


@pytest.fixture(scope="module")
def app(newcomer: Newcomer, made: Path) -> Path:
    """The app of `cdk init`, with the library: the first of the two commands."""
    install, _ = ON_AWS.splitlines()
    newcomer.run(f". .venv/bin/activate\n{newcomer.from_checkout(install)}", cwd=made)
    return made


WITH_CLI = f"PATH={CLI.parent}:$PATH\n"
WITH_UV = f"{UV} pip install --quiet --system-certs"
TRY_IT, ON_AWS, VERIFY = (text for _, text in blocks("sh"))


def test_the_demo_works_from_a_clone(newcomer: Newcomer, tmp_path: Path) -> None:
    assert "make test " in TRY_IT  # this is it
    script = re.sub("^make test .*$", "", TRY_IT, flags=re.MULTILINE)

    # What is set up already is not to be set up again, whatever its age.
    is_done = {"MAKEFLAGS": "-o .venv/.done -o node_modules/.done"}
    said = newcomer.run(script, is_done | {"TMPDIR": str(tmp_path), "COLUMNS": "100"})

    assert_shows_before_and_after(said)
    assert [*tmp_path.iterdir()] == []


def test_the_two_commands_deploy(
    newcomer: Newcomer, app: Path, aws: LocalAws, account: dict[str, str]
) -> None:
    """The second of them, in an empty folder, where the first has installed the library."""
    folder = newcomer.folder / "empty"
    folder.mkdir()
    _, deploy = ON_AWS.splitlines()
    deploy = deploy.replace("npx aws-cdk", "cdk")  # the one that is there already

    def run(command: str) -> None:
        newcomer.run(f"{WITH_CLI}. {app}/.venv/bin/activate\n{command}", account, cwd=folder)

    iam = aws.client("iam")
    (role,) = iam.get_instance_profile(InstanceProfileName="web-server")["InstanceProfile"]["Roles"]
    before = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]

    run(deploy)
    with_it = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    run(deploy.replace("cdk deploy", "cdk destroy"))

    assert len(with_it) == len(before) + 1
    assert iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"] == before


SHOWN = ("web-server", "AWS::AutoScaling::AutoScalingGroup", "ssm:UpdateInstanceInformation")
SNIPPETS = [text for _, text in blocks("python")]


@pytest.mark.parametrize(
    ("snippet", "validation", "shown"),
    [*zip(SNIPPETS, ("true", "false", "false"), SHOWN, strict=True)],
    ids=["a-role", "a-fleet", "readiness"],
)
def test_each_snippet_works_in_an_app_of_cdk_init(
    newcomer: Newcomer, app: Path, snippet: str, validation: str, shown: str
) -> None:
    """With the recommended flags, and without an account."""
    (app / "app.py").write_text(snippet, encoding="utf-8")

    said = newcomer.run(
        f"{WITH_CLI}. .venv/bin/activate\ncdk synth", {"CDK_VALIDATION": validation}, cwd=app
    )

    assert "ssmmessages:OpenDataChannel" in said
    assert shown in said
    assert "Suggested fix" not in said


def test_the_examples_work_with_their_requirements(newcomer: Newcomer, app: Path) -> None:
    """Called as the CLI calls them: what it adds is shown by the snippets."""
    examples = sorted(path.parent for path in newcomer.checkout.glob("examples/*/app.py"))
    requirements = " ".join(f"-r {example}/requirements.txt" for example in examples)
    newcomer.run(f". {app}/.venv/bin/activate\n{WITH_UV} {requirements}", cwd=app)

    for example in examples:
        context = json.loads((example / "cdk.json").read_text(encoding="utf-8"))["context"]
        kept = example / "cdk.context.json"
        context |= json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        environment = {"CDK_OUTDIR": "cdk.out", "CDK_CONTEXT_JSON": json.dumps(context)}
        newcomer.run(f". {app}/.venv/bin/activate\npython3 app.py", environment, cwd=example)
        assert [*(example / "cdk.out").rglob("*.template.json")]


def test_the_command_answers_who_installs_it(
    newcomer: Newcomer, app: Path, aws: LocalAws, profile: ExistingProfile, account: dict[str, str]
) -> None:
    """Each line of the block ends with the status that the README gives for its answer."""
    everything = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    key = made_user(aws, "operator", json.dumps(everything))
    lead_to_the_internet(profile)
    instance = launch(profile)
    lines = newcomer.from_checkout(VERIFY.replace("i-0123456789abcdef0", instance)).splitlines()

    with systems_manager({instance: profile}) as address:
        said = newcomer.run(
            ". .venv/bin/activate\n"
            + "\n".join(f"{line} && echo status 0 || echo status $?" for line in lines),
            account
            | {
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
                "AWS_ENDPOINT_URL_SSM": address,
            },
            cwd=app,
        )

    assert re.findall(r"^status (\d+)$", said, re.MULTILINE) == ["0", "1", "1", "1"]
    assert "ssm:UpdateInstanceInformation" in said
    assert f"{instance} in {REGION}: not ready" in said
    assert instance in (app / "audit.html").read_text(encoding="utf-8")
