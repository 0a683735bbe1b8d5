"""Which policies are a role's, by every form in which a template can name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from session_manager_permissions import SessionManagerPermissions
from session_manager_permissions._readiness.rules import CANNOT_BE_KNOWN
from tests.conftest import owned_role

from .judging import nested, ref
from .policy_table import (
    ALL,
    AWS,
    CHANNELS_ONLY,
    DENIED,
    NEITHER,
    READY,
    UNKNOWN,
    Statement,
    allow,
    deny,
)
from .reports import NAMED, TRUST, Check, check_app, inline, policy, profile_and_role

if TYPE_CHECKING:
    from tests.conftest import MakeApp

NO_VALUE = {"Ref": "AWS::NoValue"}
PARTITION = {"Ref": "AWS::Partition"}
PARAMETER: dict[str, Any] = {"Name": {"Type": "String", "Default": "a-default"}}


def of_arn(arn: object, place: int = 1) -> dict[str, Any]:
    """A role's name out of its ARN, as `iam.Role.from_role_arn` makes it."""
    resource = {"Fn::Select": [5, {"Fn::Split": [":", arn]}]}
    return {"Fn::Select": [place, {"Fn::Split": ["/", resource]}]}


ARN = {"Fn::GetAtt": ["Role", "Arn"]}


# Apps of CDK


@pytest.mark.parametrize("where", ["same", "other", "nested", "outer"])
@pytest.mark.parametrize("denies", [False, True])
def test_role_that_is_imported_by_its_arn_from_the_same_app(
    make_app: MakeApp, references: dict[str, object], where: str, denies: bool  # noqa: FBT001
) -> None:  # fmt: skip
    app = make_app(**references)
    stack = cdk.Stack(app, "Stack")
    inner = cdk.NestedStack(stack, "Inner")
    role = owned_role(inner if where == "outer" else stack)
    iam.InstanceProfile(stack, "Profile", role=role)
    there = {"same": stack, "other": cdk.Stack(app, "Other"), "nested": inner, "outer": stack}
    scope = there[where]
    imported = iam.Role.from_role_arn(scope, "Imported", role.role_arn)
    SessionManagerPermissions(scope, "Permissions", role=imported, allow_registration=True)
    if denies:
        statement = iam.PolicyStatement(
            effect=iam.Effect.DENY, actions=["ssmmessages:*"], resources=["*"]
        )
        imported.add_to_principal_policy(statement)

    assert check_app(app).rules == (DENIED if denies else READY)


def test_role_of_another_stack_by_reference(
    make_app: MakeApp, references: dict[str, object]
) -> None:
    app = make_app(**references)
    roles, nested = (
        cdk.Stack(app, "Roles", stack_name="named-otherwise"),
        cdk.Stack(app, "Profiles"),
    )
    role = owned_role(roles)
    iam.InstanceProfile(cdk.NestedStack(nested, "Nested"), "Profile", role=role)
    SessionManagerPermissions(
        cdk.Stack(app, "Policies"), "Permissions", role=role, allow_registration=True
    )

    report = check_app(app)

    assert report.verdicts == {"ready": 1}
    assert report.rules == READY


def test_strict_passes_what_is_ready_across_stacks_and_fails_what_is_denied(
    make_app: MakeApp, references: dict[str, object]
) -> None:
    app = make_app(**references)
    role = owned_role(cdk.Stack(app, "Roles"), "Role")
    iam.InstanceProfile(cdk.Stack(app, "Profiles"), "Profile", role=role)
    policies = cdk.Stack(app, "Policies")
    SessionManagerPermissions(policies, "Permissions", role=role, allow_registration=True)

    assert check_app(app, strict=True).success

    denial = iam.PolicyStatement(effect=iam.Effect.DENY, actions=["ssm:*"], resources=["*"])
    iam.Policy(policies, "Guard", statements=[denial], roles=[role])

    assert not check_app(app, strict=True).success


def test_references_to_stacks_in_other_regions(make_app: MakeApp) -> None:
    context = {"@aws-cdk/core:defaultCrossStackReferences": "weak"}
    app = make_app(**context)
    ireland = cdk.Environment(account="111122223333", region="eu-west-1")
    ohio = cdk.Environment(account="111122223333", region="us-east-2")
    roles = cdk.Stack(app, "Roles", env=ireland, cross_region_references=True)
    profiles = cdk.Stack(app, "Profiles", env=ohio, cross_region_references=True)
    role = owned_role(roles)
    iam.InstanceProfile(profiles, "Profile", role=role)
    SessionManagerPermissions(roles, "Permissions", role=role, allow_registration=True)

    assert check_app(app).rules <= UNKNOWN


def test_name_whose_branches_agree_is_of_one_role(check: Check) -> None:
    named = {"RoleName": {"Fn::If": ["C", "web", "web"]}}
    body = profile_and_role(inline(ALL) | named, roles=["web"])

    assert check(body | {"Conditions": {"C": {"Fn::Equals": ["a", "b"]}}}).rules == READY


def put(name: object, *statements: Statement, **more: object) -> dict[str, Any]:
    """An inline policy of a name as a resource; those of `inline` are called `Inline`."""
    made = policy(*statements, **more)
    return made | {"Properties": made["Properties"] | {"PolicyName": name}}


@pytest.mark.parametrize(
    ("role", "others", "found"),
    [
        (inline(ALL), {"P": put("Inline", allow("s3:*"))}, UNKNOWN),
        (inline(ALL), {"P": put("Other", allow("s3:*"))}, READY),
        (inline(ALL), {"P": put("Inline", allow("s3:*"), roles=["other"])}, READY),
        (inline(allow("ec2:*")), {"P": put("Inline", allow("s3:*"))}, NEITHER),
        ({}, {"P": put("Same", ALL), "Q": put("Same", deny("*"))}, UNKNOWN),
        ({}, {"P": put("Same", ALL, Condition="C"), "Q": put("Same", allow("s3:*"))}, NEITHER),
        ({}, {"P": put("Same", ALL, Condition="C"), "Q": put(ref("Name"), ALL)}, READY),
    ],
)
def test_policies_of_one_name_overwrite_each_other(
    check: Check, role: dict[str, Any], others: dict[str, Any], found: frozenset[str]
) -> None:
    body = profile_and_role(role, **others)
    body["Conditions"] = {"C": {"Fn::Equals": ["a", "b"]}}
    body["Parameters"] = {"Name": {"Type": "String"}}

    assert check(body).rules == found


# Every form in which a policy can name its role


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (of_arn(ARN), READY),
        (of_arn({"Fn::Sub": "${Role.Arn}"}), READY),
        (of_arn({"Fn::Join": ["", [{"Fn::GetAtt": "Role.Arn"}]]}), READY),
        ({"Fn::Sub": "${Role}"}, READY),
        ({"Fn::Sub": ["${It}", {"It": {"Ref": "Role"}}]}, READY),
        ({"Fn::Sub": ["${Role}"]}, READY),
        ({"Fn::Join": ["", [{"Ref": "Role"}]]}, READY),
        ({"Fn::Select": [0, [{"Ref": "Role"}, "other"]]}, READY),
        ({"Fn::Select": ["1", ["other", {"Ref": "Role"}]]}, READY),
        ({"Fn::Select": [1, {"Fn::Split": ["/", {"Fn::Sub": "role/${Role}"}]}]}, READY),
        # another role, for certain
        ("existing", NEITHER),
        ({"Ref": "Other"}, NEITHER),
        (of_arn({"Fn::GetAtt": ["Other", "Arn"]}), NEITHER),
        ({"Fn::Sub": "${Other}"}, NEITHER),
        (of_arn("arn:aws:iam::111122223333:role/existing"), NEITHER),
        ({"Fn::Sub": "${Prefix}-instance-role"}, NEITHER),
        ({"Fn::FindInMap": ["Names", "eu", "role"]}, NEITHER),
        # one that only the deployment knows
        ({"Ref": "Name"}, UNKNOWN),
        ({"Fn::ImportValue": "another-app"}, UNKNOWN),
        ({"Fn::ImportValue": {"Fn::Sub": "${Network}-role"}}, UNKNOWN),
        ({"Fn::GetStackOutput": {"StackName": "another", "OutputName": "Role"}}, UNKNOWN),
        ({"Fn::GetStackOutput": "malformed"}, UNKNOWN),
        ({"Fn::GetAtt": ["Custom", "RoleName"]}, UNKNOWN),
        ({"Fn::Select": [0, {"Ref": "Names"}]}, UNKNOWN),
        ({"Fn::Select": [7, ["a"]]}, UNKNOWN),
        ({"Fn::Select": ["malformed", ["a"]]}, UNKNOWN),
        (of_arn({"Ref": "Arn"}), UNKNOWN),
        (of_arn({"Fn::GetAtt": ["WithOpenPath", "Arn"]}), UNKNOWN),
        ({"Fn::Select": [0, {"Fn::Split": ["-", {"Fn::Sub": "${Role}-x"}]}]}, UNKNOWN),
        ({"Fn::If": ["Condition", {"Ref": "Role"}, {"Ref": "Other"}]}, UNKNOWN),
        ({"Fn::Sub": "a-${Name}"}, NEITHER),  # the stack is named otherwise
        ({"Fn::Sub": "Stack-${Name}"}, UNKNOWN),
        ({"Fn::FindInMap": ["Names", {"Ref": "AWS::Region"}, "role"]}, UNKNOWN),
        ({"Fn::FindInMap": ["Names", "eu", "none"]}, UNKNOWN),
        ({"Fn::Transform": {"Name": "Macro"}}, UNKNOWN),
        ({"Fn::Join": ["", {"Ref": "Names"}]}, UNKNOWN),
        ({"Fn::Select": [0, {"Fn::Split": [",", {"Ref": "Names"}]}]}, UNKNOWN),
        ({"Fn::GetStackOutput": {"StackName": "Stack", "OutputName": "Role"}}, READY),
        ({"Fn::GetStackOutput": {"StackName": "Stack", "OutputName": "Else"}}, UNKNOWN),
        ("{{resolve:ssm:/role}}", UNKNOWN),
        ({"Fn::Join": ["", ["{{resolve:ssm:", {"Ref": "Name"}, "}}"]]}, UNKNOWN),
        (3, NEITHER),
        (ARN, UNKNOWN),  # IAM takes no ARN, and the deployment fails
        # as CloudFormation names a role
        ("Stack-Role-1A2B3C4D5E6F", UNKNOWN),
        ("Else-Role-1A2B3C4D5E6F", NEITHER),
        ("Stack-Role-web", NEITHER),
        ("", NEITHER),
    ],
)
def test_policy_on_a_role_that_cloudformation_names(
    check: Check, name: object, found: frozenset[str]
) -> None:
    more: dict[str, Any] = {
        "Other": {"Type": "AWS::IAM::Role", "Properties": TRUST},
        "WithOpenPath": {"Type": "AWS::IAM::Role", "Properties": {"Path": {"Ref": "Path"}}},
        "Custom": {"Type": "Custom::Role"},
    }
    body = profile_and_role(Policy=policy(ALL, roles=[name]), **more)
    body["Mappings"] = {"Names": {"eu": {"role": "existing"}}}
    body["Outputs"] = {"Role": {"Value": {"Ref": "Role"}}}

    assert check(body, name="Stack").rules == found

    body["Resources"]["Policy"] = policy(deny("*"), roles=[name])
    body["Resources"]["Role"]["Properties"] |= inline(ALL)

    assert check(body, name="Stack").rules == {READY: DENIED, NEITHER: READY}.get(found, UNKNOWN)


JOINED = {"Fn::Join": ["-", ["web", {"Ref": "Name"}]]}


@pytest.mark.parametrize(
    ("role_name", "name", "found"),
    [
        ({"Ref": "Name"}, {"Ref": "Name"}, READY),
        ({"Ref": "Name"}, {"Fn::Sub": "${Name}"}, READY),
        ({"Ref": "Name"}, {"Ref": "Another"}, UNKNOWN),
        ({"Ref": "Name"}, "web", UNKNOWN),
        ({"Ref": "Name"}, "a-default", UNKNOWN),  # which may be overridden
        (JOINED, JOINED, READY),
        (JOINED, {"Fn::Sub": "web-${Name}"}, READY),
        (JOINED, {"Fn::Sub": "api-${Name}"}, NEITHER),
        (JOINED, {"Fn::Sub": "web-${Name}-api"}, NEITHER),
        (JOINED, {"Fn::Sub": "web-2-${Name}"}, NEITHER),
        (JOINED, {"Fn::Sub": "web-${Name}${Suffix}"}, UNKNOWN),
        (JOINED, "web-eu", UNKNOWN),
        (JOINED, "api-eu", NEITHER),
        ("web", "web", READY),
        ("web", {"Ref": "Role"}, READY),
        ("web", of_arn(ARN), READY),
        ("web", "Web", UNKNOWN),  # IAM has no two roles of these names
        ("web", "api", NEITHER),
        ("web", {"Ref": "Name"}, UNKNOWN),
        ("web", {"Fn::Sub": "${Name}eb"}, UNKNOWN),
        ("web", {"Fn::Sub": "${Name}-api"}, NEITHER),
        ("", "", READY),
        ({"Fn::Sub": "web-${AWS::Region}"}, "web-eu-west-1", READY),
        ({"Fn::Sub": "web-${AWS::Region}"}, "web-eu-west-2", NEITHER),
        ({"Fn::Sub": "web-${AWS::Partition}"}, "web-aws", READY),
        ({"Fn::Sub": "${AWS::StackName}-role"}, "Stack-role", READY),
        (NO_VALUE, NO_VALUE, NEITHER),
        ({"Fn::If": ["Condition", "web", NO_VALUE]}, "web", UNKNOWN),
    ],
)
def test_policy_on_a_role_that_has_a_name(
    check: Check, role_name: object, name: object, found: frozenset[str]
) -> None:
    body = profile_and_role({"RoleName": role_name}, Policy=policy(ALL, roles=[name]))
    body["Parameters"] = PARAMETER

    assert check(body, name="Stack").rules == found


def test_name_of_a_nested_stack_is_not_that_of_its_parent(check: Check) -> None:
    named = profile_and_role({"RoleName": {"Fn::Sub": "${AWS::StackName}-role"}})
    outer = {"Policy": policy(ALL, roles=["Stack-role"]), "Nested": nested("Inner")}
    check.write("Inner.template.json", named)

    assert check({"Resources": outer}, name="Stack").rules == UNKNOWN


@pytest.mark.parametrize("name", [{"Ref": "Name"}, JOINED, "web"])
def test_policy_on_a_role_that_is_sure_to_be_another_leaves_this_one_alone(
    check: Check, name: object
) -> None:
    other = {"Type": "AWS::IAM::Role", "Properties": TRUST | {"RoleName": name}}
    body = profile_and_role(Other=other, Policy=policy(deny("*"), roles=[name]))
    body["Resources"]["Role"]["Properties"] |= inline(ALL)

    assert check(body).rules == READY

    other["Condition"] = "ThenElsewhere"

    assert check(body).rules == (UNKNOWN if name == {"Ref": "Name"} else READY)


@pytest.mark.parametrize("path", ["/", "/app/", "/a/b/"])
def test_name_out_of_the_arn_of_a_role_with_a_path(check: Check, path: str) -> None:
    """CDK takes what follows `role/`, which is the path where there is one."""
    for place in range(1, 4):
        body = profile_and_role(
            {"Path": path}, Policy=policy(ALL, roles=[of_arn(ARN, place=place)])
        )
        is_name = place == path.count("/")
        beyond = place > path.count("/")
        assert check(body).rules == (READY if is_name else UNKNOWN if beyond else NEITHER)


def test_profile_names_its_role_by_the_same_forms(check: Check) -> None:
    for roles in ([of_arn(ARN)], [{"Fn::Sub": "${Role}"}], {"Fn::Split": [",", {"Ref": "Role"}]}):
        assert check(profile_and_role(inline(ALL), roles)).rules == READY
    named = {"RoleName": {"Ref": "Name"}} | inline(ALL)
    assert check(profile_and_role(named, [{"Ref": "Name"}])).rules == READY
    assert check(profile_and_role(named, [{"Ref": "Else"}])).rules == UNKNOWN


def test_what_may_be_attached_and_says_nothing_of_sessions_changes_nothing(check: Check) -> None:
    somewhere = policy(allow("s3:*"), deny("ec2:*"), roles=[{"Ref": "Name"}])

    assert check(profile_and_role(Policy=somewhere)).rules == NEITHER
    assert check(profile_and_role(inline(ALL), Policy=somewhere)).rules == READY


def test_finding_names_the_policy_whose_role_cannot_be_known(check: Check) -> None:
    body = profile_and_role(Somewhere=policy(ALL, roles=[{"Ref": "Name"}]))

    finding = check(body).only(CANNOT_BE_KNOWN)

    assert finding.description.endswith(
        "that depends on the policy 'Somewhere', which may be attached to this role"
    )


def test_policy_somewhere_in_another_account_is_not_the_roles(check: Check) -> None:
    somewhere = {"Resources": {"Policy": policy(ALL, roles=[{"Ref": "Name"}])}}

    assert check(profile_and_role(), somewhere, a="1", b="2").rules == NEITHER
    assert check(profile_and_role(), somewhere, a="1", b="1").rules == UNKNOWN
    assert check(profile_and_role(), somewhere, a="1").rules == UNKNOWN


def test_role_of_another_account_is_another_role(check: Check) -> None:
    """IAM attaches by the name, in the account of the policy or of the profile."""
    output = {"Role": {"Value": {"Ref": "Role"}}}
    got = {
        "Fn::GetStackOutput": {
            "StackName": "a",
            "Region": "eu-west-1",
            "OutputName": "Role",
            "RoleArn": "arn:aws:iam::1:role/reader",
        }
    }
    a = profile_and_role() | {"Outputs": output}
    policies = {"Resources": {"Policy": policy(ALL, roles=[got])}}

    assert check(a, policies, a="1", b="2").rules == NEITHER

    profiles = profile_and_role(roles=[got])
    report = check(profile_and_role(inline(ALL)) | {"Outputs": output}, profiles, a="1", b="2")

    assert report.verdicts == {"ready": 1, "can't be known": 1}


@pytest.mark.parametrize("some", [1, 64, 65, 200])
def test_many_policies_whose_roles_cannot_be_known(check: Check, some: int) -> None:
    loose = {
        f"Loose{number}": policy(allow("s3:*"), roles=[{"Ref": f"Name{number}"}])
        for number in range(some)
    }
    assert check(profile_and_role(**loose)).rules == NEITHER
    loose["Last"] = policy(deny("ssm:*"), roles=[{"Ref": "Name"}])
    assert check(profile_and_role(inline(ALL), **loose)).rules == UNKNOWN


# Nested stacks and conditions


class Nest:
    """A stack with a role and its profile, and a nested stack with a policy."""

    def __init__(self, nested: dict[str, Any], **properties: object) -> None:
        self.nested = {"Resources": nested}
        self.stack: dict[str, Any] = {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": properties,
            "Metadata": {"aws:asset:path": "nested.json"},
        }

    def rules(self, check: Check, body: dict[str, Any], **more: object) -> frozenset[str]:
        check.write("nested.json", self.nested)
        body["Resources"]["Nested"] = self.stack | more
        return check(body).rules


def test_parameter_of_a_nested_stack_is_what_it_is_given(check: Check) -> None:
    nest = Nest({"Policy": policy(ALL, roles=[{"Ref": "Of"}])}, Parameters={"Of": {"Ref": "Role"}})

    assert nest.rules(check, profile_and_role()) == READY

    nest.stack["Properties"]["Parameters"] = {"Of": {"Ref": "Name"}}

    assert nest.rules(check, profile_and_role()) == UNKNOWN
    assert nest.rules(check, profile_and_role({"RoleName": {"Ref": "Name"}})) == READY

    nest.stack["Properties"]["Parameters"] = {"Of": {"Fn::If": ["C", {"Ref": "Role"}, "other"]}}

    assert nest.rules(check, profile_and_role()) == UNKNOWN


def test_list_that_a_nested_stack_is_given(check: Check) -> None:
    several = {"Fn::Join": [",", ["other", {"Ref": "Role"}]]}
    nest = Nest({"Policy": policy(ALL, roles={"Ref": "Of"})}, Parameters={"Of": several})

    assert nest.rules(check, profile_and_role()) == UNKNOWN
    assert nest.rules(check, profile_and_role({"RoleName": "web"})) == UNKNOWN

    nest.stack["Properties"]["Parameters"] = {"Of": {"Ref": "Role"}}

    assert nest.rules(check, profile_and_role()) == READY

    role = profile_and_role({"ManagedPolicyArns": {"Ref": "Of"}})["Resources"]
    arns = f"{AWS}AWSDenyAll,{AWS}AmazonSSMManagedInstanceCore"
    nest = Nest(role, Parameters={"Of": arns})

    assert nest.rules(check, {"Resources": {}}) == UNKNOWN


def test_nested_stack_on_a_condition(check: Check) -> None:
    nest = Nest({"Policy": policy(ALL, roles=[{"Ref": "Of"}])}, Parameters={"Of": {"Ref": "Role"}})

    assert nest.rules(check, profile_and_role(), Condition="Linux") == UNKNOWN

    body = profile_and_role()
    body["Resources"]["Role"]["Condition"] = "Linux"

    assert nest.rules(check, body, Condition="Linux") == READY
    assert nest.rules(check, body, Condition="Windows") == UNKNOWN
    assert nest.rules(check, body, Condition=["malformed"]) == UNKNOWN


def test_what_is_in_a_nested_stack_on_a_condition_is_there_together(check: Check) -> None:
    inner = profile_and_role(Policy=policy(ALL))
    nest = Nest(inner["Resources"])

    assert nest.rules(check, {"Resources": {}}, Condition="Linux") == READY


def test_conditions_of_one_name_in_two_templates_are_two(check: Check) -> None:
    inner = policy(ALL, roles=[{"Ref": "Of"}], Condition="Linux")
    nest = Nest({"Policy": inner}, Parameters={"Of": {"Ref": "Role"}})
    body = profile_and_role()
    body["Resources"]["Role"]["Condition"] = "Linux"

    assert nest.rules(check, body) == UNKNOWN


def test_policy_on_the_condition_of_the_profile(check: Check) -> None:
    """As a fleet makes it: the role may not be there without the profile."""
    body = profile_and_role(Policy=policy(ALL, Condition="Linux"))
    body["Resources"]["Profile"]["Condition"] = "Linux"

    assert check(body).rules == READY

    plain = {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [{"Ref": "Role"}]}}
    body["Resources"]["Plain"] = plain

    assert check(body).verdicts == {"ready": 1, "can't be known": 1}


def test_named_role_on_a_condition_may_be_another(check: Check) -> None:
    body = profile_and_role({"RoleName": "web"} | inline(ALL), ["web"])
    body["Resources"]["Role"]["Condition"] = "New"

    assert check(body).rules == UNKNOWN

    body["Resources"]["Profile"]["Condition"] = "New"

    assert check(body).rules == READY


@pytest.mark.parametrize("file", ["missing.json", "stack.yaml", "nested.json"])
def test_nested_stack_that_cannot_be_read_may_attach_anything(check: Check, file: str) -> None:
    nest = Nest({"Policy": policy(allow("s3:*"), roles=[{"Ref": "Of"}])})
    nest.stack["Metadata"] = {"aws:asset:path": file}
    known = file == "nested.json"

    assert nest.rules(check, profile_and_role(NAMED)) == (NEITHER if known else UNKNOWN)
    assert nest.rules(check, profile_and_role(NAMED | inline(ALL))) == (READY if known else UNKNOWN)
    assert nest.rules(check, profile_and_role(NAMED | inline(deny("*")))) == DENIED


def test_template_that_cannot_be_read_may_attach_anything(check: Check) -> None:
    assert check(profile_and_role(NAMED | inline(ALL)), []).rules == UNKNOWN
    assert check(profile_and_role(NAMED | inline(ALL)), [], a="1", b="2").rules == READY


@pytest.mark.parametrize(
    ("kind", "more", "found"),
    [
        ("AWS::CloudFormation::StackSet", {"TemplateURL": "https://example.com/t"}, UNKNOWN),
        ("AWS::CloudFormation::StackSet", {"TemplateBody": "P: AWS::IAM::RolePolicy"}, UNKNOWN),
        ("AWS::CloudFormation::StackSet", {"TemplateBody": {"Ref": "Body"}}, UNKNOWN),
        ("AWS::CloudFormation::StackSet", {"TemplateBody": "P: AWS::IAM::Role"}, READY),
        ("AWS::ServiceCatalog::CloudFormationProvisionedProduct", {}, UNKNOWN),
        ("AWS::ServiceCatalog::CloudFormationProduct", {}, READY),
    ],
)
def test_template_that_is_never_read_may_attach_anything(
    check: Check, kind: str, more: dict[str, Any], found: frozenset[str]
) -> None:
    deploys = {"Type": kind, "Properties": more}

    assert check(profile_and_role(NAMED | inline(ALL), It=deploys)).rules == found
    assert check(profile_and_role(inline(ALL), It=deploys)).rules == READY


UNREADABLE = {
    "Type": "AWS::CloudFormation::Stack",
    "Properties": {"TemplateURL": "https://s3.amazonaws.com/templates/agent.yaml"},
}
ROLE_NAME = {"Ref": "Role"}
PARAMETER_LOOP: dict[str, Any] = {
    "Fn::ForEach::L": ["X", ["a"], {"${X}": {"Type": "AWS::SSM::Parameter", "Value": ROLE_NAME}}]
}


def stores(kind: str, value: object) -> dict[str, Any]:
    """A template with a resource of this type that has the value."""
    stored = {"Type": kind, "Properties": {"Value": value}}
    return profile_and_role(inline(ALL), Stores=stored)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (profile_and_role(inline(ALL)), READY),
        (profile_and_role(), NEITHER),
        (profile_and_role(NAMED | inline(ALL)), UNKNOWN),
        (profile_and_role(inline(ALL), Policy=policy(allow("s3:*"))), READY),
        (stores("AWS::EC2::Volume", {"Fn::Sub": "${Role}"}), READY),
        (stores("AWS::KMS::Key", {"Fn::GetAtt": ["Role", "Arn"]}), READY),
        (stores("AWS::SSM::Parameter", ROLE_NAME), UNKNOWN),
        (stores("AWS::SSM::Parameter", {"Fn::Sub": "${Role.Arn}"}), UNKNOWN),
        (stores("AWS::SSM::Parameter", {"Ref": "Profile"}), READY),
        (stores("AWS::SSM::Parameter", {"Ref": 7}), READY),
        (stores("Custom::Anything", {"Fn::GetAtt": ["Role", "Arn"]}), UNKNOWN),
        (stores("AWS::CloudFormation::Stack", ROLE_NAME), UNKNOWN),
        (profile_and_role(inline(ALL)) | {"Outputs": {"O": {"Value": ROLE_NAME}}}, UNKNOWN),
        (profile_and_role(inline(ALL)) | {"Outputs": {"Fn::ForEach::O": [ROLE_NAME]}}, UNKNOWN),
        (profile_and_role(inline(ALL), **PARAMETER_LOOP), UNKNOWN),
    ],
)
def test_what_cannot_be_read_reaches_a_generated_name_only_where_it_is_disclosed(
    check: Check, body: dict[str, Any], found: frozenset[str]
) -> None:
    assert check(body, {"Resources": {"Nested": UNREADABLE}}).rules == found
    assert check(body, {"Resources": {}, "Transform": "Macro"}).rules == found

    body["Resources"]["Nested"] = UNREADABLE

    assert check(body).rules == found
    assert check(body | {"Transform": "Macro"}).rules == UNKNOWN


# What a template makes of itself


def loop(kind: object, **properties: object) -> list[Any]:
    return ["Each", ["a", "b"], {"Made${Each}": {"Type": kind, "Properties": properties}}]


@pytest.mark.parametrize(
    ("made", "known"),
    [
        ({"Fn::ForEach::Loop": loop("AWS::S3::Bucket")}, True),
        ({"Fn::ForEach::Loop": ["X", ["a"], {"Fn::ForEach::In": loop("AWS::SNS::Topic")}]}, True),
        ({"Fn::ForEach::Loop": loop("AWS::IAM::Policy", Roles=[{"Ref": "Role"}])}, False),
        ({"Fn::ForEach::Loop": loop("AWS::IAM::RolePolicy")}, False),
        ({"Fn::ForEach::Loop": loop("AWS::IAM::ManagedPolicy")}, False),
        ({"Fn::ForEach::Loop": loop("AWS::CloudFormation::Stack")}, False),
        ({"Fn::ForEach::Loop": loop("AWS::IAM::${Each}")}, False),
        ({"Fn::ForEach::Loop": loop({"Ref": "Each"})}, False),
        ({"Fn::ForEach::Loop": ["X", ["a"], {"Fn::ForEach::In": loop("AWS::IAM::Policy")}]}, False),
        ({"Fn::ForEach::Loop": "malformed"}, False),
        ({"Fn::ForEach::Loop": []}, False),
        ({"Fn::Transform": {"Name": "AWS::Include"}}, False),
    ],
)
def test_resources_that_cloudformation_makes_later(
    check: Check, made: dict[str, Any], known: bool  # noqa: FBT001
) -> None:  # fmt: skip
    assert check(profile_and_role(**made)).rules == (NEITHER if known else UNKNOWN)
    assert check(profile_and_role(inline(ALL), **made)).rules == (READY if known else UNKNOWN)


@pytest.mark.parametrize(
    ("transform", "known"),
    [
        ("AWS::LanguageExtensions", True),
        (["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"], True),
        ("AWS::CodeDeployBlueGreen", True),
        ("MyMacro", False),
        (["AWS::LanguageExtensions", {"Name": "AWS::Include", "Parameters": {}}], False),
        ({"malformed": 1}, False),
    ],
)
def test_transforms(check: Check, transform: object, known: bool) -> None:  # noqa: FBT001
    for role, otherwise in (({}, NEITHER), (inline(ALL), READY)):
        body = profile_and_role(role) | {"Transform": transform}
        assert check(body).rules == (otherwise if known else UNKNOWN)


# AWS managed policies


@pytest.mark.parametrize(
    ("arn", "found"),
    [
        ({"Fn::Sub": "arn:aws:iam::aws:policy/${Name}"}, UNKNOWN),
        ({"Fn::Sub": "arn:aws:iam::aws:policy/${Name}Core"}, UNKNOWN),
        ({"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/${Name}"}, UNKNOWN),
        (
            {"Fn::Sub": ["arn:aws:iam::aws:policy/${P}", {"P": "AmazonSSMManagedInstanceCore"}]},
            READY,
        ),
        ({"Fn::Sub": ["arn:aws:iam::aws:policy/${P}", {"P": {"Ref": "Name"}}]}, UNKNOWN),
        ({"Fn::Join": ["", ["arn:", PARTITION, ":iam::aws:policy/", {"Ref": "Name"}]]}, UNKNOWN),
        ({"Fn::Sub": "arn:aws:iam::${Account}:policy/AmazonSSMManagedInstanceCore"}, UNKNOWN),
        (f"{AWS}" + "{{resolve:ssm:/policy}}", UNKNOWN),
    ],
)
def test_managed_policy_that_is_named_with_a_function(
    check: Check, arn: object, found: frozenset[str]
) -> None:
    assert check(profile_and_role({"ManagedPolicyArns": [arn]})).rules == found

    both = {"ManagedPolicyArns": [arn]} | inline(CHANNELS_ONLY, ALL)

    assert check(profile_and_role(both)).rules == found  # as it may deny


@pytest.mark.parametrize("value", ["{{resolve:ssm:/actions}}", "ssm:{{resolve:ssm:/action}}"])
def test_dynamic_reference_is_known_at_the_deployment(check: Check, value: str) -> None:
    assert check(profile_and_role(inline(CHANNELS_ONLY, allow(value)))).rules == UNKNOWN
