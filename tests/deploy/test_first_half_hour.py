"""The README from the top, as a newcomer tries it: a clean checkout, an empty home, no caches."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from local_aws import ADMINISTRATOR, CLI, REGION, ROOT, existing_profile

from tests.releases import git
from tests.test_readme import blocks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local_aws import LocalAws

pytestmark = [pytest.mark.deploy, pytest.mark.packaging]

NOT_OF_A_NEWCOMER = re.compile(
    "AWS_|CDK_|COV_|HOME$|JSII_|MAKE|MFLAGS|NODE_|NPM_CONFIG_(CACHE|PREFIX)|PIP_CACHE|"
    "PYTEST|PYTHON|UV_|VIRTUAL_ENV|XDG_"
)


@dataclass(frozen=True)
class Newcomer:
    """A checkout, a home, and what the index would have: the wheel."""

    folder: Path

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    def run(
        self,
        script: str,
        environment: Mapping[str, str] = MappingProxyType({}),
        *,
        cwd: Path | None = None,
        exit_code: int = 0,
    ) -> str:
        """What a shell says to the script, line by line as it stands."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not NOT_OF_A_NEWCOMER.match(name.upper())
        }
        found = " ".join(filter(None, [os.environ.get("PIP_FIND_LINKS"), f"{self.folder}/index"]))
        done = subprocess.run(
            ["bash", "-eu"],  # noqa: S607
            input=script,
            cwd=cwd or self.checkout,
            env=kept | {"HOME": f"{self.folder}/home", "PIP_FIND_LINKS": found, **environment},
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == exit_code, f"{script}\n{done.stdout}"
        return done.stdout


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout, but a copy of one")
    one = Newcomer(tmp_path)
    # what a clone has, as it is now
    for name in git("ls-files", "-z").rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (one.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, one.checkout / name)
    (tmp_path / "home").mkdir()
    one.run(f"{sys.executable} -m pip wheel --quiet --no-deps --wheel-dir ../index .")
    return one


def test_each_command_works_in_order(newcomer: Newcomer, aws: LocalAws) -> None:
    existing_profile(aws, "web-server")
    trust = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}
    iam = aws.client("iam")
    iam.create_role(RoleName="web-server", AssumeRolePolicyDocument=json.dumps(trust))
    account = {
        "AWS_ACCESS_KEY_ID": ADMINISTRATOR["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": ADMINISTRATOR["SecretAccessKey"],
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": aws.endpoint,
        # nobody is there to say yes
        "CDK_REQUIRE_APPROVAL": "never",
        "CDK_FORCE": "true",
    }
    try_it, install, deploy, verify = (text for _, text in blocks("sh"))
    assert "make test " in try_it  # this is it

    said = newcomer.run(re.sub("^make test .*$", "", try_it, flags=re.MULTILINE))
    assert "SessionManagerPermissions" in said
    newcomer.run(f"python3 -m venv ../user\n. ../user/bin/activate\n{install}")
    said = newcomer.run(deploy, account)
    assert said.count("✅") == 4
    assert iam.list_role_policies(RoleName="web-server")["PolicyNames"] == []  # taken back
    said = newcomer.run(f". ../user/bin/activate\n{verify}", account, exit_code=1)
    assert "ssm:UpdateInstanceInformation" in said


def test_the_first_snippet_works_in_an_app_of_cdk_init_and_so_does_each_example(
    newcomer: Newcomer,
) -> None:
    app = newcomer.folder / "my-app"
    app.mkdir()
    (_, install), *_ = [block for block in blocks("sh") if "pip install" in block[1]]
    (_, snippet), *_ = blocks("python")
    cli = f"PATH={CLI.parent}:$PATH\n"

    newcomer.run(f"{cli}cdk init app --language python", cwd=app)
    (app / "app.py").write_text(snippet, encoding="utf-8")
    said = newcomer.run(f"{cli}. .venv/bin/activate\n{install}\ncdk synth", cwd=app)

    assert "ssmmessages:OpenDataChannel" in said
    assert "web-server" in said
    for example in (newcomer.checkout / "examples").iterdir():
        newcomer.run(
            f"{cli}. {app}/.venv/bin/activate\npip install -r requirements.txt\ncdk synth --quiet",
            cwd=example,
        )
        assert [*(example / "cdk.out").rglob("*.template.json")]
