"""Which policies are a role's, by every form in which a template can name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from session_manager_permissions import SessionManagerPermissions
from tests.conftest import owned_role

from .judging import nested, ref, resource
from .policy_table import (
    ALL,
    AWS,
    DENIED,
    NEITHER,
    READY,
    UNKNOWN,
    allow,
    deny,
    document,
)
from .reports import NAMED, TRUST, Check, check_app, inline, policy, profile_and_role

if TYPE_CHECKING:
    from tests.conftest import MakeApp

Found = frozenset[str]

NO_VALUE: Final = {"Ref": "AWS::NoValue"}
ARN: Final = {"Fn::GetAtt": ["Role", "Arn"]}
PARAMETER: Final = {"Name": {"Type": "String", "Default": "a-default"}}
ROLE: Final = {"RoleName": "role"}


def of_arn(arn: object, place: int = 1) -> dict[str, Any]:
    """A role's name out of its ARN, as `iam.Role.from_role_arn` makes it."""
    parts = {"Fn::Select": [5, {"Fn::Split": [":", arn]}]}
    return {"Fn::Select": [place, {"Fn::Split": ["/", parts]}]}


def on_role(name: object, **more: object) -> dict[str, Any]:
    """A policy that makes ready whichever role it is attached to."""
    return policy(ALL, roles=[name], **more)


# Apps of CDK -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "denies"), [("same", False), ("other", True), ("nested", False), ("outer", True)]
)
def test_role_that_is_imported_by_its_arn_from_the_same_app(
    make_app: MakeApp, references: dict[str, object], where: str, *, denies: bool
) -> None:
    stack = cdk.Stack(make_app(**references), "Stack")
    inner = cdk.NestedStack(stack, "Inner")
    role = owned_role(inner if where == "outer" else stack)
    iam.InstanceProfile(stack, "Profile", role=role)
    there = {"same": stack, "other": cdk.Stack(stack.node.root, "Other"), "nested": inner}
    scope = there.get(where, stack)
    imported = iam.Role.from_role_arn(scope, "Imported", role.role_arn)
    SessionManagerPermissions(scope, "Permissions", role=imported, allow_registration=True)
    if denies:
        deny_ = {"effect": iam.Effect.DENY, "actions": ["ssmmessages:*"], "resources": ["*"]}
        imported.add_to_principal_policy(iam.PolicyStatement(**deny_))

    assert check_app(stack).rules == (DENIED if denies else READY)


def test_role_of_another_stack_by_reference(
    make_app: MakeApp, references: dict[str, object]
) -> None:
    app = make_app(**references)
    role = owned_role(cdk.Stack(app, "Roles", stack_name="named-otherwise"))
    profiles, policies = cdk.Stack(app, "Profiles"), cdk.Stack(app, "Policies")
    iam.InstanceProfile(cdk.NestedStack(profiles, "Nested"), "Profile", role=role)
    SessionManagerPermissions(policies, "Permissions", role=role, allow_registration=True)

    report = check_app(app, strict=True)

    assert report.success
    assert report.verdicts == {"ready": 1}
    assert report.rules == READY

    denial = iam.PolicyStatement(effect=iam.Effect.DENY, actions=["ssm:*"], resources=["*"])
    iam.Policy(policies, "Guard", statements=[denial], roles=[role])

    assert not check_app(app, strict=True).success


def test_references_to_stacks_in_other_regions(make_app: MakeApp) -> None:
    app = make_app(**{"@aws-cdk/core:defaultCrossStackReferences": "weak"})
    roles, profiles = (
        cdk.Stack(
            app,
            name,
            env=cdk.Environment(account="111122223333", region=region),
            cross_region_references=True,
        )
        for name, region in (("Roles", "eu-west-1"), ("Profiles", "us-east-2"))
    )
    role = owned_role(roles)
    iam.InstanceProfile(profiles, "Profile", role=role)
    SessionManagerPermissions(roles, "Permissions", role=role, allow_registration=True)

    assert check_app(app).rules <= UNKNOWN


# The role of a profile ---------------------------------------------------------------------------


def maybe(value: object) -> dict[str, Any]:
    return {"Fn::If": ["Condition", value, NO_VALUE]}


def attached(of_role: str = "", of_profile: str = "", **more: object) -> dict[str, Any]:
    """A role with a policy that is attached to it, on conditions."""
    body = profile_and_role(Policy=policy(ALL, **more))
    for name, condition in (("Role", of_role), ("Profile", of_profile)):
        if condition:
            body["Resources"][name]["Condition"] = condition
    return body


def naming_its_role(kind: str, **roles: object) -> dict[str, Any]:
    return profile_and_role(Policy=resource(kind, PolicyDocument=document([ALL]), **roles))


JOINED_NAME: Final = {"Fn::Join": ["-", ["my", "role"]]}
BY_NAME: Final = {"RoleName": ref("Name")}


@pytest.mark.parametrize(
    ("role", "roles", "found"),
    [
        ({}, [], UNKNOWN),
        ({}, [ref("Role"), ref("Role")], UNKNOWN),
        ({}, [ref("RoleName")], UNKNOWN),
        ({}, ref("RoleNames"), UNKNOWN),
        ({}, [{"Fn::If": ["Condition", ref("Role"), "other"]}], UNKNOWN),
        ({}, [maybe(ref("Role"))], UNKNOWN),
        ({}, [{"Fn::ImportValue": "role"}], UNKNOWN),
        ({}, [{"Fn::GetAtt": ["Custom", "RoleName"]}], UNKNOWN),
        ({}, ["other"], UNKNOWN),
        ({}, [of_arn(ARN)], READY),
        ({}, [{"Fn::Sub": "${Role}"}], READY),
        ({}, {"Fn::Split": [",", ref("Role")]}, READY),
        (ROLE, ["role"], READY),
        ({"RoleName": JOINED_NAME}, ["my-role"], READY),
        (BY_NAME, [ref("Name")], READY),
        (BY_NAME, [ref("Else")], UNKNOWN),
    ],
)
def test_the_role_behind_a_profile(
    check: Check, role: dict[str, Any], roles: object, found: Found
) -> None:
    custom = resource("Custom::Role")

    assert check(profile_and_role(role | inline(ALL), roles, Custom=custom)).rules == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (profile_and_role(roles=["other"], Policy=policy(deny("*"), roles=["other"])), DENIED),
        (attached(), READY),
        (attached(Condition="Linux"), UNKNOWN),
        (attached("Linux", Condition="Linux"), READY),
        (attached("Windows", Condition="Linux"), UNKNOWN),
        (attached("Linux"), READY),
        # as a fleet makes it: the role may not be there without the profile
        (attached(of_profile="Linux", Condition="Linux"), READY),
        (naming_its_role("AWS::IAM::ManagedPolicy", Roles=[ref("Role")]), READY),
        (naming_its_role("AWS::IAM::RolePolicy", RoleName=ref("Role")), READY),
    ],
)
def test_the_policies_behind_a_profile(check: Check, body: dict[str, Any], found: Found) -> None:
    assert check(body).rules == found


def test_each_profile_has_a_condition_of_its_own(check: Check) -> None:
    body = attached(of_profile="Linux", Condition="Linux")
    body["Resources"]["Plain"] = resource("AWS::IAM::InstanceProfile", Roles=[ref("Role")])

    assert check(body).verdicts == {"ready": 1, "can't be known": 1}


def test_named_role_on_a_condition_may_be_another(check: Check) -> None:
    body = profile_and_role(NAMED | inline(ALL), ["web"])
    body["Resources"]["Role"]["Condition"] = "New"

    assert check(body).rules == UNKNOWN

    body["Resources"]["Profile"]["Condition"] = "New"

    assert check(body).rules == READY


# Accounts ----------------------------------------------------------------------------------------


def test_role_by_its_name_is_that_of_the_account(check: Check) -> None:
    named, bare = profile_and_role(ROLE | inline(ALL), ["role"]), profile_and_role(ROLE, ["role"])

    assert check(named, bare, a="1", b="2").verdicts == {"ready": 1, "not ready": 1}
    assert check(named, bare, a="1", b="1").verdicts == {"can't be known": 2}


SOMEWHERE: Final = {"Resources": {"Policy": on_role(ref("Name"))}}
ELSEWHERE: Final = {"Resources": {"Policy": on_role("role")}}


@pytest.mark.parametrize(
    ("role", "elsewhere", "accounts", "found"),
    [
        (profile_and_role(ROLE), ELSEWHERE, {"a": "1", "b": "1"}, READY),
        (profile_and_role(ROLE), ELSEWHERE, {}, READY),
        # the other's is known at deployment only
        (profile_and_role(ROLE), ELSEWHERE, {"a": "1"}, UNKNOWN),
        (profile_and_role(ROLE), ELSEWHERE, {"a": "1", "b": "2"}, NEITHER),
        # the policy of another account does not hide the next
        (profile_and_role(ROLE, Policy=on_role("role")), ELSEWHERE, {"a": "1", "b": "2"}, READY),
        (profile_and_role(), SOMEWHERE, {"a": "1", "b": "2"}, NEITHER),
        (profile_and_role(), SOMEWHERE, {"a": "1", "b": "1"}, UNKNOWN),
        (profile_and_role(), SOMEWHERE, {"a": "1"}, UNKNOWN),
    ],
)
def test_policy_of_another_account(
    check: Check,
    role: dict[str, Any],
    elsewhere: dict[str, Any],
    accounts: dict[str, Any],
    found: Found,
) -> None:
    assert check(role, elsewhere, **accounts).rules == found


def test_role_of_another_account_is_another_role(check: Check) -> None:
    """IAM attaches by the name, in the account of the policy or of the profile."""
    output = {"Role": {"Value": ref("Role")}}
    of_output = {"StackName": "a", "Region": "eu-west-1", "OutputName": "Role"}
    got = {"Fn::GetStackOutput": of_output | {"RoleArn": "arn:aws:iam::1:role/reader"}}
    policies = {"Resources": {"Policy": on_role(got)}}

    assert check(profile_and_role() | {"Outputs": output}, policies, a="1", b="2").rules == NEITHER

    profiles = profile_and_role(roles=[got])
    report = check(profile_and_role(inline(ALL)) | {"Outputs": output}, profiles, a="1", b="2")

    assert report.verdicts == {"ready": 1, "can't be known": 1}


# Every form in which a policy can name its role --------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (of_arn(ARN), READY),
        (of_arn({"Fn::Sub": "${Role.Arn}"}), READY),
        (of_arn({"Fn::Join": ["", [{"Fn::GetAtt": "Role.Arn"}]]}), READY),
        ({"Fn::Sub": "${Role}"}, READY),
        ({"Fn::Sub": ["${It}", {"It": ref("Role")}]}, READY),
        ({"Fn::Sub": ["${Role}"]}, READY),
        ({"Fn::Join": ["", [ref("Role")]]}, READY),
        ({"Fn::Select": ["1", ["other", ref("Role")]]}, READY),
        ({"Fn::Select": [1, {"Fn::Split": ["/", {"Fn::Sub": "role/${Role}"}]}]}, READY),
        ({"Fn::GetStackOutput": {"StackName": "Stack", "OutputName": "Role"}}, READY),
        # another role, for certain
        ("existing", NEITHER),
        (ref("Other"), NEITHER),
        (of_arn({"Fn::GetAtt": ["Other", "Arn"]}), NEITHER),
        ({"Fn::Sub": "${Other}"}, NEITHER),
        (of_arn("arn:aws:iam::111122223333:role/existing"), NEITHER),
        ({"Fn::Sub": "${Prefix}-instance-role"}, NEITHER),
        ({"Fn::FindInMap": ["Names", "eu", "role"]}, NEITHER),
        ({"Fn::Sub": "a-${Name}"}, NEITHER),  # the stack is named otherwise
        (3, NEITHER),
        # one that only the deployment knows
        (ref("Name"), UNKNOWN),
        ({"Fn::ImportValue": "another-app"}, UNKNOWN),
        ({"Fn::GetStackOutput": {"StackName": "another", "OutputName": "Role"}}, UNKNOWN),
        ({"Fn::GetStackOutput": {"StackName": "Stack", "OutputName": "Else"}}, UNKNOWN),
        ({"Fn::GetStackOutput": "malformed"}, UNKNOWN),
        ({"Fn::GetAtt": ["Custom", "RoleName"]}, UNKNOWN),
        ({"Fn::Select": [0, ref("Names")]}, UNKNOWN),
        ({"Fn::Select": [7, ["a"]]}, UNKNOWN),
        ({"Fn::Select": ["malformed", ["a"]]}, UNKNOWN),
        (of_arn(ref("Arn")), UNKNOWN),
        (of_arn({"Fn::GetAtt": ["WithOpenPath", "Arn"]}), UNKNOWN),
        ({"Fn::Select": [0, {"Fn::Split": ["-", {"Fn::Sub": "${Role}-x"}]}]}, UNKNOWN),
        ({"Fn::Select": [0, {"Fn::Split": [",", ref("Names")]}]}, UNKNOWN),
        ({"Fn::If": ["Condition", ref("Role"), ref("Other")]}, UNKNOWN),
        ({"Fn::Sub": "Stack-${Name}"}, UNKNOWN),
        ({"Fn::FindInMap": ["Names", ref("AWS::Region"), "role"]}, UNKNOWN),
        ({"Fn::Transform": {"Name": "Macro"}}, UNKNOWN),
        ("{{resolve:ssm:/role}}", UNKNOWN),
        ({"Fn::Join": ["", ["{{resolve:ssm:", ref("Name"), "}}"]]}, UNKNOWN),
        (ARN, UNKNOWN),  # IAM takes no ARN, and the deployment fails
        # as CloudFormation names a role
        ("Stack-Role-1A2B3C4D5E6F", UNKNOWN),
        ("Else-Role-1A2B3C4D5E6F", NEITHER),
        ("Stack-Role-web", NEITHER),
        ("", NEITHER),
    ],
)
def test_policy_on_a_role_that_cloudformation_names(
    check: Check, name: object, found: Found
) -> None:
    more = {
        "Other": resource("AWS::IAM::Role", **TRUST),
        "WithOpenPath": resource("AWS::IAM::Role", Path=ref("Path")),
        "Custom": resource("Custom::Role"),
    }
    names = {"Mappings": {"Names": {"eu": {"role": "existing"}}}}
    names["Outputs"] = {"Role": {"Value": ref("Role")}}

    assert (
        check(profile_and_role(Policy=on_role(name), **more) | names, name="Stack").rules == found
    )

    denies = profile_and_role(inline(ALL), Policy=policy(deny("*"), roles=[name]), **more)
    of_denial = {READY: DENIED, NEITHER: READY}.get(found, UNKNOWN)

    assert check(denies | names, name="Stack").rules == of_denial


JOINED: Final = {"Fn::Join": ["-", ["web", ref("Name")]]}


@pytest.mark.parametrize(
    ("role_name", "name", "found"),
    [
        (ref("Name"), ref("Name"), READY),
        (ref("Name"), {"Fn::Sub": "${Name}"}, READY),
        (ref("Name"), ref("Another"), UNKNOWN),
        (ref("Name"), "web", UNKNOWN),
        (ref("Name"), "a-default", UNKNOWN),  # which may be overridden
        (JOINED, JOINED, READY),
        (JOINED, {"Fn::Sub": "web-${Name}"}, READY),
        (JOINED, {"Fn::Sub": "api-${Name}"}, NEITHER),
        (JOINED, {"Fn::Sub": "web-${Name}-api"}, NEITHER),
        (JOINED, {"Fn::Sub": "web-2-${Name}"}, NEITHER),
        (JOINED, {"Fn::Sub": "web-${Name}${Suffix}"}, UNKNOWN),
        (JOINED, "web-eu", UNKNOWN),
        (JOINED, "api-eu", NEITHER),
        ("web", "web", READY),
        ("web", ref("Role"), READY),
        ("web", of_arn(ARN), READY),
        ("web", "Web", UNKNOWN),  # IAM has no two roles of these names
        ("web", "api", NEITHER),
        ("web", ref("Name"), UNKNOWN),
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
    check: Check, role_name: object, name: object, found: Found
) -> None:
    body = profile_and_role({"RoleName": role_name}, Policy=on_role(name))

    assert check(body | {"Parameters": PARAMETER}, name="Stack").rules == found


def test_name_of_a_nested_stack_is_not_that_of_its_parent(check: Check) -> None:
    named = profile_and_role({"RoleName": {"Fn::Sub": "${AWS::StackName}-role"}})
    outer = {"Policy": on_role("Stack-role"), "Nested": nested("Inner")}
    check.write("Inner.template.json", named)

    assert check({"Resources": outer}, name="Stack").rules == UNKNOWN


@pytest.mark.parametrize(
    ("name", "found"), [(ref("Name"), UNKNOWN), (JOINED, READY), ("web", READY)]
)
def test_policy_on_a_role_that_is_sure_to_be_another_leaves_this_one_alone(
    check: Check, name: object, found: Found
) -> None:
    other = resource("AWS::IAM::Role", **TRUST, RoleName=name)
    body = profile_and_role(inline(ALL), Other=other, Policy=policy(deny("*"), roles=[name]))

    assert check(body).rules == READY

    other["Condition"] = "ThenElsewhere"

    assert check(body).rules == found


@pytest.mark.parametrize("path", ["/", "/app/", "/a/b/"])
def test_name_out_of_the_arn_of_a_role_with_a_path(check: Check, path: str) -> None:
    """CDK takes what follows `role/`, which is the path where there is one."""
    for place in range(1, 4):
        body = profile_and_role({"Path": path}, Policy=on_role(of_arn(ARN, place=place)))
        is_name = place == path.count("/")
        beyond = place > path.count("/")
        assert check(body).rules == (READY if is_name else UNKNOWN if beyond else NEITHER)


@pytest.mark.parametrize("some", [1, 64, 65, 200])
def test_many_policies_whose_roles_cannot_be_known(check: Check, some: int) -> None:
    """What says nothing of sessions changes nothing, whichever role it is attached to."""
    of_others = allow("s3:*"), deny("ec2:*")
    loose = {f"Loose{one}": policy(*of_others, roles=[ref(f"Name{one}")]) for one in range(some)}
    assert check(profile_and_role(**loose)).rules == NEITHER
    assert check(profile_and_role(inline(ALL), **loose)).rules == READY
    loose["Last"] = policy(deny("ssm:*"), roles=[ref("Name")])
    assert check(profile_and_role(inline(ALL), **loose)).rules == UNKNOWN


# Nested stacks and conditions --------------------------------------------------------------------

OF: Final = {"Policy": on_role(ref("Of"))}
LIST: Final = {"Policy": policy(ALL, roles=ref("Of"))}
SEVERAL: Final = {"Fn::Join": [",", ["other", ref("Role")]]}
ARNS: Final = profile_and_role({"ManagedPolicyArns": ref("Of")})["Resources"]


def nests(
    check: Check, inner: dict[str, Any], body: dict[str, Any], of: object = None, **more: object
) -> Found:
    """What is found where a template nests a stack, which is given `of`."""
    check.write("nested.json", {"Resources": inner})
    stack = resource("AWS::CloudFormation::Stack", **({"Parameters": {"Of": of}} if of else {}))
    metadata = {"Metadata": {"aws:asset:path": "nested.json"}}
    body["Resources"]["Nested"] = stack | metadata | more
    return check(body).rules


@pytest.mark.parametrize(
    ("inner", "role", "of", "found"),
    [
        (OF, {}, ref("Role"), READY),
        (OF, {}, ref("Name"), UNKNOWN),
        (OF, BY_NAME, ref("Name"), READY),
        (OF, {}, {"Fn::If": ["C", ref("Role"), "other"]}, UNKNOWN),
        (LIST, {}, SEVERAL, UNKNOWN),
        (LIST, NAMED, SEVERAL, UNKNOWN),
        (LIST, {}, ref("Role"), READY),
        (ARNS, {}, f"{AWS}AWSDenyAll,{AWS}AmazonSSMManagedInstanceCore", UNKNOWN),
    ],
)
def test_parameter_of_a_nested_stack_is_what_it_is_given(
    check: Check, inner: dict[str, Any], role: dict[str, Any], of: object, found: Found
) -> None:
    body: dict[str, Any] = {"Resources": {}} if inner is ARNS else profile_and_role(role)

    assert nests(check, inner, body, of) == found


@pytest.mark.parametrize(
    ("of_role", "of_policy", "of_stack", "found"),
    [
        (None, None, "Linux", UNKNOWN),
        ("Linux", None, "Linux", READY),
        ("Linux", None, "Windows", UNKNOWN),
        ("Linux", None, ["malformed"], UNKNOWN),
        ("Linux", "Linux", None, UNKNOWN),  # two conditions of one name in two templates
    ],
)
def test_nested_stack_on_a_condition(
    check: Check, of_role: object, of_policy: object, of_stack: object, found: Found
) -> None:
    def on(condition: object) -> dict[str, object]:
        return {"Condition": condition} if condition else {}

    body = profile_and_role()
    body["Resources"]["Role"] |= on(of_role)
    inner = {"Policy": on_role(ref("Of"), **on(of_policy))}

    assert nests(check, inner, body, ref("Role"), **on(of_stack)) == found


def test_what_is_in_a_nested_stack_on_a_condition_is_there_together(check: Check) -> None:
    inner = profile_and_role(Policy=policy(ALL))["Resources"]

    assert nests(check, inner, {"Resources": {}}, Condition="Linux") == READY


@pytest.mark.parametrize("file", ["missing.json", "stack.yaml", "nested.json"])
def test_nested_stack_that_cannot_be_read_may_attach_anything(check: Check, file: str) -> None:
    inner, known = {"Policy": policy(allow("s3:*"), roles=[ref("Of")])}, file == "nested.json"
    for role, found in ((ROLE, NEITHER), (ROLE | inline(ALL), READY)):
        rules = nests(
            check, inner, profile_and_role(role), Metadata={"aws:asset:path": file}
        )  # fmt: skip
        assert rules == (found if known else UNKNOWN)
    denied = profile_and_role(ROLE | inline(deny("*")))
    assert nests(check, inner, denied, Metadata={"aws:asset:path": file}) == DENIED


def test_template_that_cannot_be_read_may_attach_anything(check: Check) -> None:
    assert check(profile_and_role(ROLE | inline(ALL)), []).rules == UNKNOWN
    assert check(profile_and_role(ROLE | inline(ALL)), [], a="1", b="2").rules == READY


STACK_SET: Final = "AWS::CloudFormation::StackSet"


@pytest.mark.parametrize(
    ("kind", "more", "found"),
    [
        (STACK_SET, {"TemplateURL": "https://example.com/t"}, UNKNOWN),
        (STACK_SET, {"TemplateBody": "P: AWS::IAM::RolePolicy"}, UNKNOWN),
        (STACK_SET, {"TemplateBody": ref("Body")}, UNKNOWN),
        (STACK_SET, {"TemplateBody": "P: AWS::IAM::Role"}, READY),
        ("AWS::ServiceCatalog::CloudFormationProvisionedProduct", {}, UNKNOWN),
        ("AWS::ServiceCatalog::CloudFormationProduct", {}, READY),
    ],
)
def test_template_that_is_never_read_may_attach_anything(
    check: Check, kind: str, more: dict[str, Any], found: Found
) -> None:
    deploys = resource(kind, **more)

    assert check(profile_and_role(ROLE | inline(ALL), It=deploys)).rules == found
    assert check(profile_and_role(inline(ALL), It=deploys)).rules == READY


UNREADABLE: Final = resource("AWS::CloudFormation::Stack", TemplateURL="https://b.example/t.yaml")
PARAMETERS: Final = {"${X}": {"Type": "AWS::SSM::Parameter", "Value": ref("Role")}}


def stores(kind: str, value: object) -> dict[str, Any]:
    """A template with a resource of this type that has the value."""
    return profile_and_role(inline(ALL), Stores=resource(kind, Value=value))


def with_outputs(outputs: object) -> dict[str, Any]:
    return profile_and_role(inline(ALL)) | {"Outputs": outputs}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (profile_and_role(inline(ALL)), READY),
        (profile_and_role(), NEITHER),
        (profile_and_role(ROLE | inline(ALL)), UNKNOWN),
        (profile_and_role(inline(ALL), Policy=policy(allow("s3:*"))), READY),
        (stores("AWS::EC2::Volume", {"Fn::Sub": "${Role}"}), READY),
        (stores("AWS::KMS::Key", ARN), READY),
        (stores("AWS::SSM::Parameter", ref("Role")), UNKNOWN),
        (stores("AWS::SSM::Parameter", {"Fn::Sub": "${Role.Arn}"}), UNKNOWN),
        (stores("AWS::SSM::Parameter", ref("Profile")), READY),
        (stores("AWS::SSM::Parameter", {"Ref": 7}), READY),
        (stores("Custom::Anything", ARN), UNKNOWN),
        (stores("AWS::CloudFormation::Stack", ref("Role")), UNKNOWN),
        (with_outputs({"O": {"Value": ref("Role")}}), UNKNOWN),
        (with_outputs({"Fn::ForEach::O": [ref("Role")]}), UNKNOWN),
        (profile_and_role(inline(ALL), **{"Fn::ForEach::L": ["X", ["a"], PARAMETERS]}), UNKNOWN),
    ],
)
def test_what_cannot_be_read_reaches_a_generated_name_only_where_it_is_disclosed(
    check: Check, body: dict[str, Any], found: Found
) -> None:
    assert check(body, {"Resources": {"Nested": UNREADABLE}}).rules == found
    assert check(body, {"Resources": {}, "Transform": "Macro"}).rules == found

    body["Resources"]["Nested"] = UNREADABLE

    assert check(body).rules == found
    assert check(body | {"Transform": "Macro"}).rules == UNKNOWN


# What a template makes of itself -----------------------------------------------------------------


def loop(kind: object, **properties: object) -> list[Any]:
    return ["Each", ["a", "b"], {"Made${Each}": {"Type": kind, "Properties": properties}}]


def within_loop(kind: str) -> list[Any]:
    return ["X", ["a"], {"Fn::ForEach::In": loop(kind)}]


OF_LOOPS: Final[list[tuple[object, bool]]] = [
    (loop("AWS::S3::Bucket"), True),
    (within_loop("AWS::SNS::Topic"), True),
    (loop("AWS::IAM::Policy", Roles=[ref("Role")]), False),
    (loop("AWS::IAM::RolePolicy"), False),
    (loop("AWS::IAM::ManagedPolicy"), False),
    (loop("AWS::CloudFormation::Stack"), False),
    (loop("AWS::IAM::${Each}"), False),
    (loop(ref("Each")), False),
    (within_loop("AWS::IAM::Policy"), False),
    ("malformed", False),
    ([], False),
]
TRANSFORMS: Final[list[tuple[object, bool]]] = [
    ("AWS::LanguageExtensions", True),
    (["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"], True),
    ("AWS::CodeDeployBlueGreen", True),
    ("MyMacro", False),
    (["AWS::LanguageExtensions", {"Name": "AWS::Include", "Parameters": {}}], False),
    ({"malformed": 1}, False),
]


@pytest.mark.parametrize(
    ("resources", "transform", "known"),
    [
        *(({"Fn::ForEach::Loop": written}, [], known) for written, known in OF_LOOPS),
        ({"Fn::Transform": {"Name": "AWS::Include"}}, [], False),
        *(({}, written, known) for written, known in TRANSFORMS),
    ],
)
def test_resources_that_cloudformation_makes_later(
    check: Check, resources: dict[str, Any], transform: object, *, known: bool
) -> None:
    for role, found in (({}, NEITHER), (inline(ALL), READY)):
        body = profile_and_role(role, **resources) | {"Transform": transform}
        assert check(body).rules == (found if known else UNKNOWN)
