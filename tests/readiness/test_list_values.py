"""Lists that a function makes: by `Fn::Split`, by a parameter of a nested stack, by an export."""

from typing import Final

import pytest

from .deployments import NO_VALUE
from .networks import NO_WAY, ON, OPEN, either, said, templated
from .networks import UNKNOWN as NOT_KNOWN
from .parts import att, nested, ref, resource, rows
from .reports import Body, Check, inline, managed_policy, policy, profile_and_role
from .statements import ALL, CORE, DENIED, NO_CHANNEL, READY, UNKNOWN, Found, deny, may_assume

OTHER: Final = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
GIVEN: Final = ref("Given")
ARNS: Final = {"ManagedPolicyArns": GIVEN}


def allowing(actions: object, effect: str = "Allow") -> Body:
    return inline({"Effect": effect, "Action": actions, "Resource": "*"})


def trusting(services: object) -> Body:
    trust = {"AssumeRolePolicyDocument": {"Statement": [may_assume(services)]}}
    return trust | {"ManagedPolicyArns": [CORE]}


def joined(separator: str, *entries: object) -> Body:
    return {"Fn::Join": [separator, [*entries]]}


def split(separator: str, source: object) -> Body:
    return {"Fn::Split": [separator, source]}


def of_map(key: object) -> Body:
    return {"ManagedPolicyArns": {"Fn::FindInMap": ["Map", key, "arns"]}}


STRING: Final = {"Type": "String"}
LIST: Final = {"Type": "CommaDelimitedList"}


SPLIT: Final = split("|", GIVEN)
OF_A_ROLE: Final = [
    # what the parameter of a nested stack is given, how its role uses it, what is found of it
    ("managed policies", f"{OTHER},{CORE}", ARNS, READY),
    ("and a blank", f"{OTHER}, {CORE}", ARNS, READY),
    ("and a further entry", OTHER, {"ManagedPolicyArns": [GIVEN, CORE]}, READY),
    ("none of which allows", f"{OTHER},{OTHER}", ARNS, NO_CHANNEL),
    ("one of them", f"{CORE},{OTHER}", {"ManagedPolicyArns": [{"Fn::Select": [0, GIVEN]}]}, READY),
    ("another one of them", f"{CORE},{OTHER}",
     {"ManagedPolicyArns": [{"Fn::Select": ["1", GIVEN]}]}, NO_CHANNEL),
    ("split", f"{OTHER}|{CORE}", {"ManagedPolicyArns": SPLIT}, READY),
    ("a parameter of the parent among them", joined(",", CORE, ref("Open")), ARNS, UNKNOWN),
    ("in too many worlds", joined(",", *({"Fn::If": [f"Is{n}", CORE, OTHER]} for n in range(7))),
     ARNS, UNKNOWN),
    ("as many as a condition decides", {"Fn::If": ["Is0", CORE, f"{OTHER},{CORE}"]}, ARNS, READY),
    ("of which a condition decides how many, none of which allows",
     {"Fn::If": ["Is0", OTHER, f"{OTHER},{OTHER}"]}, ARNS, NO_CHANNEL),
    ("of which a condition decides how many are known",
     {"Fn::If": ["Is0", joined(",", CORE, ref("Open")), CORE]}, ARNS, UNKNOWN),
    ("one of the app among them", joined(",", ref("Allows"), OTHER), ARNS, READY),
    ("a part of the ARN of one of the app", joined(",", OTHER, ref("Allows")),
     {"ManagedPolicyArns": split("/", {"Fn::Select": [1, GIVEN]})}, UNKNOWN),
    ("allowed actions", "ssmmessages:*,ssm:*", allowing(GIVEN), READY),
    ("allowed actions, split", "ssmmessages:*|ssm:*", allowing(SPLIT), READY),
    ("allowed actions that do not suffice", "s3:*,ssm:*", allowing(GIVEN), NO_CHANNEL),
    ("denied actions", "s3:*,ssmmessages:*",
     {"ManagedPolicyArns": [CORE]} | allowing(GIVEN, "Deny"), DENIED),
    ("denied actions of another service", "s3:*,ec2:*",
     {"ManagedPolicyArns": [CORE]} | allowing(GIVEN, "Deny"), READY),
    ("of a map", CORE, of_map("both"), READY),
    ("of a map by what is given", "none", of_map(GIVEN), NO_CHANNEL),
    ("of a map by a parameter of the parent", ref("Open"), of_map(GIVEN), UNKNOWN),
    ("services", "ec2.amazonaws.com,ssm.amazonaws.com", trusting(GIVEN), READY),
    ("services, split", "ssm.amazonaws.com|ec2.amazonaws.com", trusting(SPLIT), READY),
]  # fmt: skip


@pytest.mark.parametrize(("given", "role", "expected"), rows(OF_A_ROLE))
def test_lists_of_a_role(check: Check, given: object, role: Body, expected: Found) -> None:
    names = [f"P{number}" for number in range(7)]
    parent = {
        "Parameters": dict.fromkeys(["Open", *names], STRING),
        "Conditions": {f"Is{name[1:]}": {"Fn::Equals": [ref(name), "yes"]} for name in names},
        "Resources": {"Nested": nested("nested", Parameters={"Given": given}),
                      "Allows": managed_policy(ALL, roles=NO_VALUE)},
    }  # fmt: skip
    child = profile_and_role(role) | {
        "Parameters": {"Given": STRING if "|" in str(given) else LIST},
        "Mappings": {"Map": {"both": {"arns": [OTHER, CORE]}, "none": {"arns": [OTHER]}}},
    }
    assert check(Stack=parent, nested=child).rules == expected
    parent["Transform"] = "Macro"  # which may change what is given
    expected = UNKNOWN if "Given" in str(role) else expected
    report = check(Stack=parent, nested=child)

    assert report.rules == expected
    assert not any("Fn::Length" in one.description for one in report.findings)


def test_list_that_is_only_the_default_of_a_map(check: Check) -> None:
    arns = {"Fn::FindInMap": ["Map", "none", "arns", {"DefaultValue": [OTHER, CORE]}]}
    assert check(profile_and_role({"ManagedPolicyArns": arns})).rules == READY


@pytest.mark.parametrize(("name", "allowed", "expected"), [
    ("${Given}", ["AmazonSSMManagedInstanceCore", "AdministratorAccess"], READY),
    ("${Given}", ["AmazonS3ReadOnlyAccess", "AmazonEC2ReadOnlyAccess"], NO_CHANNEL),
    ("${Given}", ["AmazonSSMManagedInstanceCore", "AmazonS3ReadOnlyAccess"], UNKNOWN),
    ("${Given}", None, UNKNOWN),
    ("Amazon${Given}${Free}", ["S3", "EC2"], UNKNOWN),
    *(("${Chosen}", *row) for row in (
        (["0"], READY), (["1"], NO_CHANNEL), (["0", "1"], UNKNOWN), (None, UNKNOWN))),
])  # fmt: skip
def test_policies_by_parameter(check: Check, name: str, allowed: object, expected: Found) -> None:
    given = STRING | ({"AllowedValues": allowed} if allowed else {})
    names = ["AmazonSSMManagedInstanceCore", "AmazonS3ReadOnlyAccess"]
    chosen = {"Chosen": {"Fn::Select": [GIVEN, names]}}
    arn = {"Fn::Sub": [f"arn:${{AWS::Partition}}:iam::aws:policy/{name}", chosen]}
    parameters = {"Parameters": {"Given": given, "Free": STRING}}

    assert check(profile_and_role({"ManagedPolicyArns": [arn]}) | parameters).rules == expected


@pytest.mark.parametrize(("services", "expected"), [
    ("ec2.amazonaws.com ec2.amazonaws.com.cn", READY),
    ("ec2.amazonaws.com rds.amazonaws.com", UNKNOWN), ("ecs.amazonaws.com rds", UNKNOWN),
])  # fmt: skip
def test_trust_in_a_service_of_a_parameter(check: Check, services: str, expected: Found) -> None:
    given = {"Parameters": {"Given": STRING | {"AllowedValues": services.split()}}}
    assert check(profile_and_role(trusting(GIVEN)) | given).rules == expected


@pytest.mark.parametrize(("roles", "expected"), [
    (joined(",", ref("Role"), "Other"), DENIED),
    (joined(",", "Other", {"Fn::Sub": "${Role}"}), DENIED),
    (joined(",", "Other", ref("Open")), UNKNOWN),
    ("Other,Another", READY),
])  # fmt: skip
def test_roles_of_a_policy(check: Check, roles: object, expected: Found) -> None:
    parent = profile_and_role(
        inline(ALL) | {"RoleName": "Web"}, Nested=nested("nested", Parameters={"Given": roles})
    ) | {"Parameters": {"Open": STRING}}
    child = {"Parameters": {"Given": LIST}, "Resources": {"Policy": policy(deny("*"), roles=GIVEN)}}
    assert check(Stack=parent, nested=child).rules == expected


PRIVATE, PUBLIC = ref("Private"), ref("Public")


def fleet(subnets: object, **group: object) -> Body:
    """Instances in these subnets; a public one gives them no address, so it is no way out."""
    by = {"VPCZoneIdentifier": subnets, "LaunchConfigurationName": ref("Launch")}
    return {
        "Launch": resource(
            "AWS::AutoScaling::LaunchConfiguration", IamInstanceProfile=ref("Profile"), **group
        ),
        "Fleet": resource("AWS::AutoScaling::AutoScalingGroup", **by),
    }


@pytest.mark.parametrize(("subnets", "expected"), [
    (split(",", joined(",", PRIVATE, PRIVATE)), OPEN),
    (split("||", joined("||", PRIVATE, PRIVATE)), OPEN),
    (split(",", {"Fn::Sub": "${Private},${Private}"}), OPEN),
    ([{"Fn::Select": [0, split(",", joined(",", PRIVATE, PUBLIC))]}], OPEN),
    ([PRIVATE, split(",", joined(",", PRIVATE))], OPEN),
    (split(",", joined(",", PRIVATE, PUBLIC)), NO_WAY),
    (split("-", joined("-", PRIVATE, PRIVATE)), NOT_KNOWN),  # which an id has
    (split(",", joined(",", PRIVATE, ref("Open"))), NOT_KNOWN),
    (split(",", ref("Open")), NOT_KNOWN),
    (ref("OpenList"), NOT_KNOWN),
    (split("||", {"Fn::ImportValue": "Subnets"}), OPEN),
    (split("||", {"Fn::ImportValue": "Others"}), NOT_KNOWN),
])  # fmt: skip
def test_lists_of_subnets(check: Check, subnets: object, expected: str) -> None:
    body = templated(Instance=None, **fleet(subnets, SecurityGroups=[])) | {
        "Parameters": {"Open": STRING, "OpenList": {"Type": "List<String>"}},
        "Outputs": {"A": {"Value": joined("||", PRIVATE, PRIVATE), "Export": {"Name": "Subnets"}}},
    }
    assert said(check(Stack=body)) == expected


def test_list_that_is_known_in_each_deployment_that_has_the_group(check: Check) -> None:
    parts = fleet(split(",", either(PRIVATE, ref("Open"))), SecurityGroups=[])
    parts["Fleet"]["Condition"] = ON
    body = templated(Instance=None, **parts) | {"Parameters": {"Open": STRING}}
    assert said(check(Stack=body)) == OPEN


@pytest.mark.parametrize(("given", "expected"), [
    (joined(",", PRIVATE, PRIVATE), OPEN),
    (joined(", ", PRIVATE, PUBLIC), NO_WAY),
    (either(joined(",", PRIVATE, PRIVATE), PRIVATE), OPEN),
    (either(joined(",", PRIVATE, PUBLIC), PRIVATE), NOT_KNOWN),
    (either(joined(",", PRIVATE, PUBLIC), joined(",", PUBLIC, PRIVATE)), NO_WAY),
])  # fmt: skip
def test_lists_of_subnets_of_a_nested_stack(check: Check, given: Body, expected: str) -> None:
    parameters = {"Subnets": given, "Group": att("Group", "GroupId"), "Profile": ref("Profile")}
    parent = templated(Instance=None, Nested=nested("nested", Parameters=parameters))
    child = {
        "Parameters": {"Subnets": {"Type": "List<AWS::EC2::Subnet::Id>"}, "Group": {}},
        "Resources": fleet(ref("Subnets"), SecurityGroups=[ref("Group")]),
    }
    assert said(check(Stack=parent, nested=child)) == expected
