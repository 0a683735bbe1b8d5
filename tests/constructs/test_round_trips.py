"""What the construct costs in requests to CDK's Node process, each a tenth of a millisecond."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.conftest import ON_LOWEST_CDK, run_python

# Each phase begins with a request that names it: markers and requests are in one stream, in order.
SCRIPT = """
import sys
import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from session_manager_permissions import SessionManagerPermissions, SessionPreferences

def phase(name):
    cdk.Token.is_unresolved(f"phase {name}")

app = cdk.App(outdir=sys.argv[1])
env = cdk.Environment(account="111122223333", region="eu-west-1")
stack = cdk.Stack(app, "Stack", env=env)
ec2 = iam.ServicePrincipal("ec2.amazonaws.com")
owned_key = kms.Key(stack, "OwnedKey")
arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
roles = {
    "owned role": lambda n: iam.Role(stack, n, assumed_by=ec2),
    "imported role": lambda n: iam.Role.from_role_name(stack, n, n.replace(" ", "")),
    "L1 role": lambda n: iam.CfnRole(stack, n, assume_role_policy_document={}),
}
keys = {
    "owned key": owned_key,
    "imported key": kms.Key.from_key_arn(stack, "ImportedKey", arn),
    "L1 key": kms.CfnKey(stack, "L1Key"),
    "owned alias": kms.Alias(stack, "OwnedAlias", alias_name="alias/a", target_key=owned_key),
    "imported alias": kms.Alias.from_alias_name(stack, "ImportedAlias", "alias/b"),
}

phase("setup")
for name, make in roles.items():
    role, further = make(name), make(f"further {name}")
    phase(name)
    permissions = SessionManagerPermissions(stack, f"On {name}", role=role)
    phase(f"further {name}")
    permissions.attach_to_role(further)
    phase("setup")
for name, key in keys.items():
    role = iam.Role.from_role_name(stack, f"For {name}", name.replace(" ", ""))
    phase(name)
    SessionManagerPermissions(stack, f"With {name}", role=role, encryption_key=key)
    phase("setup")
preferences = SessionPreferences.from_document_name(stack, "Preferences")
for name, make in {"group": iam.Group, "imported user": iam.User.from_user_name}.items():
    grantee = make(stack, name) if name == "group" else make(stack, name, "operator")
    phase(f"grant to {name}")
    preferences.grant_start_session(grantee, instance_tags={"team": "web"})
    phase("setup")
"""


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The number of requests in each phase of the script."""
    folder = tmp_path_factory.mktemp("round_trips")
    done = run_python("-c", SCRIPT, str(folder), cwd=folder, env={"JSII_DEBUG": "1"})
    assert done.returncode == 0, done.stderr
    found: Counter[str] = Counter()
    phase = "start"
    for line in done.stderr.splitlines():
        if not line.startswith("> {"):
            continue
        argument = str((json.loads(line[2:]).get("args") or [""])[0])
        if argument.startswith("phase "):
            phase = argument.removeprefix("phase ")
        else:
            found[phase] += 1
    assert found.pop("start") > 5
    assert found.pop("setup") > 5
    for name in [name for name in found if name.endswith(("key", "alias"))]:
        found[f"more with an {name}"] = found.pop(name) - found["imported role"]
    return dict(found)


@pytest.mark.parametrize(
    ("what", "bar"),
    [
        ("owned role", 14),
        ("imported role", 20),
        ("L1 role", 20),
        ("further owned role", 8),
        ("further imported role", 8),
        ("further L1 role", 8),
        ("more with an owned key", 6),
        ("more with an imported key", 6),
        ("more with an L1 key", 6),
        ("more with an owned alias", 12),
        ("more with an imported alias", 8),
        ("grant to group", 32),
        ("grant to imported user", 36),
    ],
)
def test_round_trips_are_within_the_bar(counts: dict[str, int], what: str, bar: int) -> None:
    assert counts[what] <= bar


@pytest.mark.skipif(not ON_LOWEST_CDK, reason="counts exactly on the lowest CDK alone")
def test_round_trips_are_as_many_as_they_were(counts: dict[str, int]) -> None:
    assert counts == {
        "owned role": 12,
        "imported role": 14,
        "L1 role": 18,
        "further owned role": 5,
        "further imported role": 7,
        "further L1 role": 8,
        "more with an owned key": 6,
        "more with an imported key": 3,
        "more with an L1 key": 4,
        "more with an owned alias": 10,
        "more with an imported alias": 6,
        "grant to group": 26,
        "grant to imported user": 29,
    }
