"""Lists that a function makes: by `Fn::Split`, by a parameter of a nested stack, by an export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from session_manager_permissions._network.verdicts import NO_NETWORK_PATH, State

from .judging import att, nested, ref, resource, said, verdicts, write
from .policy_table import ALL, DENIED, EC2_TRUST, NO_CHANNEL, READY, UNKNOWN, deny
from .reports import Report, inline, policy, profile_and_role
from .test_network import templated

if TYPE_CHECKING:
    from pathlib import Path

    from .reports import Check

CORE: Final = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
OTHER: Final = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
GIVEN: Final = ref("Given")
SPLIT: Final = {"Fn::Split": ["|", GIVEN]}


def allowing(actions: object, effect: str = "Allow") -> dict[str, Any]:
    return inline({"Effect": effect, "Action": actions, "Resource": "*"})


def trusting(services: object) -> dict[str, Any]:
    statement = EC2_TRUST["Statement"][0] | {"Principal": {"Service": services}}
    trust = {"AssumeRolePolicyDocument": {"Statement": [statement]}}
    return trust | {"ManagedPolicyArns": [CORE]}


def joined(separator: str, *entries: object) -> dict[str, Any]:
    return {"Fn::Join": [separator, [*entries]]}


OF_A_ROLE: Final = [
    # what the parameter of a nested stack is given, how its role uses it, what is found of it
    ("managed policies", f"{OTHER},{CORE}", {"ManagedPolicyArns": GIVEN}, READY),
    ("and a blank", f"{OTHER}, {CORE}", {"ManagedPolicyArns": GIVEN}, READY),
    ("and a further entry", OTHER, {"ManagedPolicyArns": [GIVEN, CORE]}, READY),
    ("none of which allows", f"{OTHER},{OTHER}", {"ManagedPolicyArns": GIVEN}, NO_CHANNEL),
    ("one of them", f"{CORE},{OTHER}", {"ManagedPolicyArns": [{"Fn::Select": [0, GIVEN]}]}, READY),
    ("another one of them", f"{CORE},{OTHER}",
     {"ManagedPolicyArns": [{"Fn::Select": ["1", GIVEN]}]}, NO_CHANNEL),
    ("split", f"{OTHER}|{CORE}", {"ManagedPolicyArns": SPLIT}, READY),
    ("a parameter of the parent among them", joined(",", CORE, ref("Open")),
     {"ManagedPolicyArns": GIVEN}, UNKNOWN),
    ("in too many worlds", joined(",", *({"Fn::If": [f"Is{n}", CORE, OTHER]} for n in range(7))),
     {"ManagedPolicyArns": GIVEN}, UNKNOWN),
    ("allowed actions", "ssmmessages:*,ssm:*", allowing(GIVEN), READY),
    ("allowed actions, split", "ssmmessages:*|ssm:*", allowing(SPLIT), READY),
    ("allowed actions that do not suffice", "s3:*,ssm:*", allowing(GIVEN), NO_CHANNEL),
    ("denied actions", "s3:*,ssmmessages:*",
     {"ManagedPolicyArns": [CORE]} | allowing(GIVEN, "Deny"), DENIED),
    ("denied actions of another service", "s3:*,ec2:*",
     {"ManagedPolicyArns": [CORE]} | allowing(GIVEN, "Deny"), READY),
    ("of a map", CORE, {"ManagedPolicyArns": {"Fn::FindInMap": ["Map", "both", "arns"]}}, READY),
    ("of a map by what is given", "none",
     {"ManagedPolicyArns": {"Fn::FindInMap": ["Map", GIVEN, "arns"]}}, NO_CHANNEL),
    ("of a map by a parameter of the parent", ref("Open"),
     {"ManagedPolicyArns": {"Fn::FindInMap": ["Map", GIVEN, "arns"]}}, UNKNOWN),
    ("services", "ec2.amazonaws.com,ssm.amazonaws.com", trusting(GIVEN), READY),
    ("services, split", "ssm.amazonaws.com|ec2.amazonaws.com", trusting(SPLIT), READY),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "role", "expected"), [pytest.param(*row[1:], id=row[0]) for row in OF_A_ROLE]
)
def test_lists_of_a_role(
    tmp_path: Path, given: object, role: dict[str, Any], expected: frozenset[str]
) -> None:
    parent = {
        "Parameters": {name: {"Type": "String"} for name in ("Open", *(f"P{n}" for n in range(7)))},
        "Conditions": {f"Is{n}": {"Fn::Equals": [ref(f"P{n}"), "yes"]} for n in range(7)},
        "Resources": {"Nested": nested("nested", Parameters={"Given": given})},
    }
    kind = "String" if "|" in str(given) else "CommaDelimitedList"
    child = profile_and_role(role) | {
        "Parameters": {"Given": {"Type": kind}},
        "Mappings": {"Map": {"both": {"arns": [OTHER, CORE]}, "none": {"arns": [OTHER]}}},
    }
    assert Report(write(tmp_path, Stack=parent, nested=child), strict=False).rules == expected


OF_AWS: Final = {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/${Given}"}


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (["AmazonSSMManagedInstanceCore", "AdministratorAccess"], READY),
        (["AmazonS3ReadOnlyAccess", "AmazonEC2ReadOnlyAccess"], NO_CHANNEL),
        (["AmazonSSMManagedInstanceCore", "AmazonS3ReadOnlyAccess"], UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_managed_policies_of_which_a_parameter_chooses_one(
    check: Check, allowed: object, expected: frozenset[str]
) -> None:
    given = {"Type": "String"} | ({"AllowedValues": allowed} if allowed else {})
    body = profile_and_role({"ManagedPolicyArns": [OF_AWS]}) | {"Parameters": {"Given": given}}

    assert check(body).rules == expected


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        (joined(",", ref("Role"), "Other"), DENIED),
        (joined(",", "Other", {"Fn::Sub": "${Role}"}), DENIED),
        (joined(",", "Other", ref("Open")), UNKNOWN),
        ("Other,Another", READY),
    ],
)  # fmt: skip
def test_roles_of_a_policy(tmp_path: Path, roles: object, expected: frozenset[str]) -> None:
    parent = profile_and_role(
        inline(ALL) | {"RoleName": "Web"}, Nested=nested("nested", Parameters={"Given": roles})
    ) | {"Parameters": {"Open": {"Type": "String"}}}
    child = {
        "Parameters": {"Given": {"Type": "CommaDelimitedList"}},
        "Resources": {"Policy": policy(deny("*"), roles=GIVEN)},
    }
    assert Report(write(tmp_path, Stack=parent, nested=child), strict=False).rules == expected


PRIVATE, PUBLIC = ref("Private"), ref("Public")
OPEN_, UNKNOWN_ = State.OPEN.value, State.UNKNOWN.value


def split(separator: str, source: object) -> dict[str, Any]:
    return {"Fn::Split": [separator, source]}


SUBNETS: Final = [
    ("joined and split", split(",", joined(",", PRIVATE, PRIVATE)), OPEN_),
    ("by two characters", split("||", joined("||", PRIVATE, PRIVATE)), OPEN_),
    ("of a text", split(",", {"Fn::Sub": "${Private},${Private}"}), OPEN_),
    ("one of them", [{"Fn::Select": [0, split(",", joined(",", PRIVATE, PUBLIC))]}], OPEN_),
    ("among others", [PRIVATE, split(",", joined(",", PRIVATE))], OPEN_),
    ("and one without a way out", split(",", joined(",", PRIVATE, PUBLIC)), NO_NETWORK_PATH),
    ("by a character that an id has", split("-", joined("-", PRIVATE, PRIVATE)), UNKNOWN_),
    ("and a parameter", split(",", joined(",", PRIVATE, ref("Open"))), UNKNOWN_),
    ("of a parameter", split(",", ref("Open")), UNKNOWN_),
    ("of a parameter that is a list", ref("OpenList"), UNKNOWN_),
    ("by an export", split("||", {"Fn::ImportValue": "Subnets"}), OPEN_),
    ("by an export that is not here", split("||", {"Fn::ImportValue": "Others"}), UNKNOWN_),
]


@pytest.mark.parametrize(
    ("subnets", "expected"), [pytest.param(*row[1:], id=row[0]) for row in SUBNETS]
)
def test_lists_of_subnets(tmp_path: Path, subnets: object, expected: str) -> None:
    """A public subnet gives the instances no address, so it is no way out."""
    launcher = resource("AWS::AutoScaling::LaunchConfiguration", SecurityGroups=[])
    by = {"VPCZoneIdentifier": subnets, "LaunchConfigurationName": ref("Launch")}
    body = templated(
        Instance=None, Launch=launcher, Fleet=resource("AWS::AutoScaling::AutoScalingGroup", **by)
    )
    exported = {"Value": joined("||", PRIVATE, PRIVATE), "Export": {"Name": "Subnets"}}
    body["Parameters"] = {"Open": {"Type": "String"}, "OpenList": {"Type": "List<String>"}}
    body["Outputs"] = {"Subnets": exported}
    (found,) = verdicts(write(tmp_path, Stack=body)).values()
    assert said(found) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (joined(",", PRIVATE, PRIVATE), OPEN_),
        (joined(", ", PRIVATE, PUBLIC), NO_NETWORK_PATH),
        ({"Fn::If": ["Both", joined(",", PRIVATE, PRIVATE), PRIVATE]}, UNKNOWN_),
        ({"Fn::If": ["Both", joined(",", PRIVATE, PUBLIC), joined(",", PUBLIC, PRIVATE)]},
         NO_NETWORK_PATH),
    ],
    ids=["two", "with blanks", "one or two", "in two orders"],
)  # fmt: skip
def test_lists_of_subnets_of_a_nested_stack(
    tmp_path: Path, given: dict[str, Any], expected: str
) -> None:
    parameters = {"Subnets": given, "Group": att("Group", "GroupId")}
    parent = templated(Instance=None, Nested=nested("nested", Parameters=parameters))
    parent["Conditions"] = {"Both": {"Fn::Equals": [ref("Open"), "yes"]}}
    parent["Parameters"] = {"Open": {"Type": "String"}}
    launcher = resource("AWS::AutoScaling::LaunchConfiguration", SecurityGroups=[ref("Group")])
    by = {"VPCZoneIdentifier": ref("Subnets"), "LaunchConfigurationName": ref("Launch")}
    child = {
        "Parameters": {"Subnets": {"Type": "List<AWS::EC2::Subnet::Id>"}, "Group": {}},
        "Resources": {
            "Launch": launcher,
            "Fleet": resource("AWS::AutoScaling::AutoScalingGroup", **by),
        },
    }
    (found,) = verdicts(write(tmp_path, Stack=parent, nested=child)).values()
    assert said(found) == expected
