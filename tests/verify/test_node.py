"""The diagnosis of one node, in the cases that no row of `causes.py` shows."""

from typing import Any, Final

import pytest

from . import causes, nodes
from .causes import CHANNEL, DENIED_BUCKET, NEVER, NO_BUCKET, NOT_ENFORCED, Change, denying, setting
from .networks import MESSAGES, OPEN, closed, endpoints, groups
from .nodes import ACCOUNT, HYBRID, NODE, USER, World, both, diagnosed, group, of_verdict, one


def test_checks_are_in_their_order_and_each_is_there() -> None:
    found = diagnosed(World(World.uses), operator=USER)

    names = """
        instance-running connected registered instance-profile role-assumable metadata agent tier
        register reach default-host-management path-ssm path-ssmmessages path-kms path-logs path-s3
        encrypt log-to-s3 log-to-cloudwatch key-usable bucket-encryption log-group-encryption run-as
        operator plugin
    """
    assert [check.name for check in found.checks] == names.split()


@pytest.mark.parametrize(("does", "partition", "arn"), [
    (nodes.nothing, "aws", f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/{NODE}"),
    (World.is_hybrid, "aws-cn", f"arn:aws-cn:ssm:eu-west-1:{ACCOUNT}:managed-instance/{HYBRID}"),
])  # fmt: skip
def test_the_node_itself_is_asked_about(does: Change, partition: str, arn: str) -> None:
    world = World(setting(partition=partition), does)

    diagnosed(world, arn.rpartition("/")[2])

    assert {one for asked in world.asked for one in asked.get("ResourceArns", [])} == {"*", arn}


SESSION_ID: Final = "kms:EncryptionContext:aws:ssm:SessionId"


@pytest.mark.parametrize("says_what_misses", [True, False])
@pytest.mark.parametrize("denied_in_a_session", [True, False])
def test_a_key_may_be_for_sessions_alone_or_for_all_but_sessions(
    *, denied_in_a_session: bool, says_what_misses: bool
) -> None:
    def decides(asked: nodes.Question) -> dict[str, Any] | None:
        if asked.action != "kms:Decrypt":
            return None
        in_session = SESSION_ID in asked.told
        told = not in_session and (denied_in_a_session or says_what_misses)
        decision = "implicitDeny" if in_session is denied_in_a_session else "allowed"
        return {"EvalDecision": decision, "MissingContextValues": [SESSION_ID] if told else []}

    world = World(World.uses, setting(decides=decides))

    assert one(diagnosed(world), "encrypt").verdict == ("fail" if denied_in_a_session else "pass")
    contexts = [one.told for one in world.questions if one.action == "kms:Decrypt"]
    assert contexts[-1]["kms:EncryptionContext:aws:ssm:TargetId"] == [NODE]


def test_a_condition_on_another_key_needs_no_request_of_its_own() -> None:
    allowed = {"EvalDecision": "allowed", "MissingContextValues": ["aws:SourceVpc"]}
    world = World(World.uses, setting(decides=lambda _: allowed))

    assert one(diagnosed(world), "encrypt").verdict == "pass"
    assert not any(SESSION_ID in one.told for one in world.questions)


@pytest.mark.parametrize("form", ["each resource", "the first alone", "refused", "organization"])
def test_what_shares_a_request_is_answered_about_each_resource(form: str) -> None:
    world = World(World.uses)
    plain = world.answers["iam:simulate_principal_policy"]

    def simulate(asked: dict[str, Any], _: str) -> dict[str, Any]:
        arns = asked["ResourceArns"]
        if form == "refused" and (arns[1:] or asked["ActionNames"][1:]):
            raise nodes.refusal("SimulatePrincipalPolicy", "InvalidInput")
        found: dict[str, Any] = plain(asked)
        for result in found["EvaluationResults"]:
            of_streams = result["EvalActionName"] == "logs:CreateLogStream"
            if form == "the first alone":
                result.pop("ResourceSpecificResults", None)
                result |= {"EvalResourceName": arns[0], "EvalDecision": "allowed"}
            for specific in result.get("ResourceSpecificResults", []):
                if of_streams and "log-stream" not in specific["EvalResourceName"]:
                    specific["EvalResourceDecision"] = "explicitDeny"
            if form == "organization" and of_streams:
                result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": not arns[1:]}
        return found

    world.has("iam:simulate_principal_policy", simulate)

    found = diagnosed(world)

    assert of_verdict(found, "fail") | of_verdict(found, "unknown") == set()
    assert one(found, "log-to-cloudwatch").verdict == "pass"
    assert len(one(found, "log-to-cloudwatch").evidence) == 3


BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"


@pytest.mark.parametrize("allows", [True, False])
@pytest.mark.parametrize("named_by", ["GetRole", "GetInstanceProfile", "nothing"])
def test_a_permissions_boundary_is_named(named_by: str, *, allows: bool) -> None:
    world = World()
    role = world.role() | {"PermissionsBoundary": {"PermissionsBoundaryArn": BOUNDARY}}
    if named_by == "GetRole":
        world.has("iam:get_role", {"Role": role})
    elif named_by == "GetInstanceProfile":
        world.of_profile = {"Roles": [role]}
    else:
        world.refuses("iam:GetRole")
    world.decides = lambda asked: {
        "EvalDecision": "allowed" if allows or asked.action != CHANNEL else "implicitDeny",
        "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": allows},
    }

    found = diagnosed(world)

    boundary = None if named_by == "nothing" else BOUNDARY
    assert found.identity.role
    assert found.identity.role.boundary == boundary
    assert world.calls.count("iam:get_role") == (named_by != "GetInstanceProfile")
    why = f"implicit deny by the permissions boundary {boundary or 'of the role'}"
    assert allows or why in one(found, "reach").why[0]


def test_a_permissions_boundary_of_the_role_of_the_account_is_named() -> None:
    world = World(World.has_host_management, causes.without_profile)
    limited = {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": True}}
    world.decides = lambda _: {"EvalDecision": "allowed", **limited}
    boundary = {"PermissionsBoundary": {"PermissionsBoundaryArn": BOUNDARY}}
    world.of_role = {"Arn": nodes.ACCOUNT_ROLE, **boundary}

    role = diagnosed(world).identity.role

    assert role
    assert (role.arn, role.boundary) == (nodes.ACCOUNT_ROLE, BOUNDARY)


def test_a_document_that_is_named_may_be_denied() -> None:
    found = diagnosed(World(causes.refusing("ssm:GetDocument")), document="Mine")

    assert "encrypt" in of_verdict(found, "unknown")


def test_evidence_names_what_the_record_has() -> None:
    known = [found.field for found in one(diagnosed(World()), "registered").evidence]
    assert known == ["PingStatus", "LastPingDateTime", "AgentVersion"]


def test_evidence_names_the_table_and_the_endpoints() -> None:
    opened = groups(group("sg-web"), OPEN)
    found = diagnosed(World(NEVER, endpoints(nodes.endpoint("ssm")), opened))

    assert one(found, "path-ssm").evidence[1:] == (
        ("ec2:DescribeVpcEndpoints", "VpcEndpointId", "vpce-ssm"),
        ("ec2:DescribeRouteTables", "RouteTableId", "rtb-main"),
    )
    assert one(found, "path-ssmmessages").evidence[1].value is None
    assert ACCOUNT not in str(one(found, "path-ssm").evidence)


@pytest.mark.parametrize(("cause", "does"), [
    ("operator", both(NOT_ENFORCED, NO_BUCKET, denying(f"{USER} ssm:StartSession"))),
    ("encrypt", both(NOT_ENFORCED, NO_BUCKET, causes.DENIED_KEY)),
    ("bucket-encryption", both(World.uses, causes.DSSE, DENIED_BUCKET)),
    ("bucket-encryption", both(NOT_ENFORCED, NO_BUCKET)),
    ("register", both(NOT_ENFORCED, NO_BUCKET, denying(nodes.REGISTER))),
    ("encrypt", both(World.uses, causes.NO_METADATA, causes.DENIED_KEY)),
    ("path-kms", both(lambda w: w.is_lost("connected"), World.uses, closed(MESSAGES))),
    ("connected", both(causes.LOST, NOT_ENFORCED, NO_BUCKET)),
])  # fmt: skip
def test_the_cause_keeps_a_session_from_opening_if_anything_does(cause: str, does: Change) -> None:
    found = diagnosed(World(does), operator=USER if cause == "operator" else None)

    assert found.cause
    assert found.cause.name == cause
