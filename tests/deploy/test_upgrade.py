"""An account that the last release's app was deployed to: this one's finds nothing to do there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from local_aws import REGION, ExistingProfile, LocalAws, create_key, existing_profile

from tests.conftest import run_app, run_python
from tests.releases import LAST, unpacked

from . import stacks
from .test_deploy import added_policies

LOGS = {
    "log-bucket": "session-logs",
    "log-prefix": "web",
    "log-group": "/session/logs",
    "check-log-encryption": "false",
    "decrypt-sessions-only": "true",
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app of the last release."""
    return unpacked(LAST, tmp_path_factory.mktemp("release")) / "app.py"


def looked_up(assembly: Path, profile: ExistingProfile) -> dict[str, object]:
    """What the CLI keeps in `cdk.context.json` once it has looked up what the app asks for."""
    manifest = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))
    arn = profile.role_arn.replace(f"role/{profile.role_name}", f"instance-profile/{profile.name}")
    found = {"Identifier": profile.name, "Arn": arn, "Roles": [profile.role_name]}
    return {asked["key"]: [found] for asked in manifest.get("missing", [])}


@pytest.mark.parametrize(
    ("by", "more"),
    [("instance-profile", {}), ("role", {"policy-name": "Sessions", **LOGS})],
    ids=["by-default", "with-a-name-and-logs"],
)
def test_nothing_differs_until_an_option_is_added_and_then_the_same_policy_is_updated(
    aws: LocalAws, release: Path, tmp_path: Path, by: str, more: dict[str, str]
) -> None:
    profile = existing_profile(aws, f"upgrade-{len(more)}")
    here = {"ACCOUNT": profile.role_arn.split(":")[4], "REGION": REGION}
    name = profile.name if by == "instance-profile" else profile.role_name
    given: dict[str, object] = {by: name, "key": create_key(aws), **more}
    before, after, added = (tmp_path / folder for folder in ("before", "after", "added"))

    with pytest.MonkeyPatch.context() as patch:
        run_app(patch, after, given, here)
        given |= looked_up(after, profile)
        run_app(patch, after, given, here)
        run_app(patch, added, {**given, "allow-registration": "true"}, here)
    environment = {f"CDK_DEFAULT_{name}": value for name, value in here.items()}
    environment |= {"CDK_CONTEXT_JSON": json.dumps(given), "CDK_OUTDIR": str(before)}
    done = run_python(str(release), cwd=release.parent, env=environment)
    assert done.returncode == 0, done.stderr

    (template,) = before.glob("*.template.json")
    assert (after / template.name).read_bytes() == template.read_bytes()
    stacks.put(aws, before)
    (policy_name,) = added_policies(profile)
    assert not profile.simulate("ssm:UpdateInstanceInformation")
    stacks.put(aws, added)
    assert profile.simulate("ssm:UpdateInstanceInformation")
    assert added_policies(profile) == [policy_name]
