"""Each command finds each cause: `verify` of a node and of its role, and `audit`."""

import json
from datetime import datetime, timedelta, timezone
from typing import Final

import pytest
from botocore import xform_name

from session_manager_permissions._verify.checks import CHECKS

from . import nodes
from .causes import CAUSES, NEVER, Cause, Change, bucket, denying, having, instance, using
from .models import assert_takes
from .networks import NETWORKS, OF_TWO, dns, endpoints
from .nodes import ACCOUNT, ALIAS, DOCUMENT, HYBRID, NODE, REGISTER, USER, World, both, endpoint
from .running import Run, run

OF_ROLE: Final = ("role-assumable", "reach", "register", "encrypt", "log-to-cloudwatch")
"""The checks that a role is asked about as its node is. Of a bucket a role has no key."""
MOST: Final = 30
"""So many calls are made about one node, whatever its cause."""


@pytest.mark.parametrize("said", [*CAUSES, *NETWORKS], ids=lambda said: said.name)
def test_each_command_finds_it(said: Cause, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # which has no plug-in
    world = said.world()
    operator = ["--operator", said.operator] if said.operator else []

    found = run(world, "verify", "--instance-id", said.node, "--output", "json", *operator)

    assert found.err == ""
    assert found.checks("fail") == said.fails
    assert found.checks("unknown") == said.unknown
    ready = not said.fails and "connected" not in said.unknown
    assert (found.status, found.json["ready"]) == (0 if ready else 1, ready)
    for check in found.json["checks"]:
        assert check["verdict"] != "fail" or (check["why"] and check["fix"] and check["evidence"])
        for api in {one["api"] for one in check["evidence"]} - {"session-manager-plugin"}:
            service, _, operation = api.partition(":")
            assert f"{service}:{xform_name(operation)}" in world.calls
    asks_little(world)
    # An audit makes no request for one node alone, and lists no hidden instance.
    of_one = ("no managed node by an error", "managed by a service, and hidden")
    if said.name not in of_one and not said.operator:
        audit_agrees(said, found)
    if said.node != HYBRID:
        role_agrees(said, found)


def asks_little(world: World) -> None:
    """No question twice, and each as botocore takes it."""
    asked = [*zip(world.calls, world.asked, strict=True)]
    assert len({json.dumps(one) for one in asked}) == len(asked) <= MOST
    for call, parameters in asked:
        of_call = {name: parameters[name] for name in parameters if name != "PaginationConfig"}
        assert_takes(call, json.dumps(of_call))


def audit_agrees(said: Cause, of_verify: Run) -> None:
    """Assert that the verdict of an audit follows from the checks of `verify`."""
    audited = run(said.world(), "audit", "--output", "json").json
    found, roles = audited["instances"], audited["roles"]

    assert not any(one["profiles"] for one in roles if one["role"] == nodes.ACCOUNT_ROLE)
    instance = of_verify.json["instance"]
    if instance["state"] == "terminated":
        assert found == []
        return
    (one,) = (one for one in found if one["id"] == said.node)
    failing = [check["check"] for check in of_verify.json["checks"] if check["verdict"] == "fail"]
    if said.world().record is None:  # that it is not connected says nothing more
        failing = [name for name in failing if name != "connected"]
    causes = [name for name in failing if not CHECKS[name].is_symptom]
    expected: tuple[str, list[str]] = ("unreachable", causes or failing)
    if "instance-running" in failing and instance["state"] != "running":
        expected = ("stopped", [])
    elif of_verify.json["ready"]:
        expected = ("reachable", [])
    elif "connected" in said.unknown and not causes:
        expected = ("unknown", [])
    assert (one["verdict"], one["causes"]) == expected
    told = [check["fix"] for check in of_verify.json["checks"] if check["check"] in one["causes"]]
    lines = [line.replace("permissions verify", "permissions audit") for of in told for line in of]
    # A role that has nodes of both kinds needs the permissions of both.
    assert said.node == HYBRID or not one["causes"] or one["fix"] == [*dict.fromkeys(lines)]
    assert all(one[name] == instance[name] for name in ("profile", "role", "ping"))


def role_agrees(said: Cause, of_verify: Run) -> None:
    """What a role is asked about by itself has the answers that its node has."""
    world = said.world()
    document = ["--document", DOCUMENT] if world.document else []

    found = run(world, "verify", "--instance-profile", "web-server", "--output", "json", *document)

    if found.status == 2:
        assert said.fails & {"instance-profile", "key-usable"} or said.unknown
        return
    of_key = ("kms:get_key_policy", "kms:list_grants")
    other_policy = any(world.answers[call] != World().answers[call] for call in of_key)
    by_tag = "aws:ResourceTag/owner" in world.missing
    # which a role is not asked about
    if "default-host-management" in said.unknown or other_policy or by_tag:
        return
    verdicts = {one["capability"]: one["verdict"] for one in found.json["capabilities"]}
    verdicts["role-assumable"] = found.json["trust"]["verdict"]
    of_node = {one["check"]: one["verdict"] for one in of_verify.json["checks"]}
    for name in OF_ROLE:
        if of_node[name] in ("pass", "fail"):
            assert verdicts[name] == {"pass": "allowed", "fail": "denied"}[of_node[name]]
    assert found.status == (0 if {*verdicts.values()} == {"allowed"} else 1)


CALLER: Final = having(
    "sts:get_caller_identity", {"Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/web-server/alice"}
)
REPLACED: Final = both(World.has_host_management, denying(f"{nodes.ROLE} {REGISTER}"))
"""The account's role does the work, because the profile's role may not register."""
POLICIES: Final = [{"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/{number}"} for number in range(9)]
ALL_CLUES: Final = both(
    instance(LaunchTime=datetime.now(timezone.utc) - timedelta(hours=5), ImageId="ami-1"),
    having("iam:list_attached_role_policies", {"AttachedPolicies": POLICIES}),
)
"""All that may show why an agent is not connected is asked about, and shows nothing."""


@pytest.mark.parametrize(("operator", "left", "breaks"), [
    pytest.param(USER, "agent", NEVER, id="a user"),
    pytest.param(USER, "log-to-s3", both(NEVER, REPLACED), id="by the account's role"),
    pytest.param("caller", "", both(World.is_online_only, CALLER), id="the caller"),
    pytest.param("caller", "log-to-s3", both(NEVER, REPLACED, CALLER), id="by its role"),
    pytest.param("caller", "agent log-to-s3", both(NEVER, ALL_CLUES, CALLER), id="with all clues"),
])  # fmt: skip
def test_it_asks_little_with_everything_used(operator: str, left: str, breaks: Change) -> None:
    """What it can do without is left open and named, however much there is to ask."""
    world = World(
        using(kmsKeyId=ALIAS, runAsEnabled=True, runAsDefaultUser="web"),
        bucket("aws:kms", ALIAS.replace("sessions", "logs")),
        *(endpoints(endpoint("logs", Groups=[{"GroupId": "sg-web"}])), dns(*OF_TWO), breaks),
    )

    found = run(world, "verify", "--instance-id", NODE, "--operator", operator, "--output", "json")

    assert found.status == 1
    asks_little(world)
    not_asked = "was not called, as 30 calls were made before it"
    checks = found.json["checks"]
    named = {one["check"] for one in checks if any(not_asked in why for why in one["why"])}
    assert named == {*left.split()}
    assert all(found.check(one)["verdict"] == "unknown" for one in named)


def test_a_connected_node_that_uses_nothing_has_its_network_left_alone() -> None:
    world = World()

    assert run(world, "verify", "--instance-id", NODE).status == 0
    of_network = [name for name in world.calls if name.startswith("ec2:")]
    assert of_network == ["ec2:describe_instances"]
