"""Which policies are a role's, by every form in which a template can name it."""

from typing import Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from session_manager_permissions import SessionManagerPermissions
from tests.conftest import MakeApp
from tests.roles import owned_role

from .deployments import NO_VALUE
from .networks import STACK, either
from .parts import att, each, nested, on, ref, resource
from .reports import NAMED, TRUST, Body, Check, check_app, inline, policy, profile_and_role
from .statements import (
    ALL,
    DENIED,
    NEITHER,
    READY,
    UNKNOWN,
    Found,
    Statement,
    allow,
    deny,
    document,
)

ARN: Final = {"Fn::GetAtt": ["Role", "Arn"]}
PARAMETER: Final = {"Name": {"Type": "String", "Default": "a-default"}}
ROLE: Final = {"RoleName": "role"}
CUSTOM: Final = resource("Custom::Role")


def of_arn(arn: object, place: int = 1) -> Body:
    """A role's name, taken from its ARN as `iam.Role.from_role_arn` does."""
    parts = {"Fn::Select": [5, {"Fn::Split": [":", arn]}]}
    return {"Fn::Select": [place, {"Fn::Split": ["/", parts]}]}


def on_role(name: object, **more: object) -> Body:
    """A policy that makes any role ready to which it is attached."""
    return policy(ALL, roles=[name], **more)


# Apps of CDK -------------------------------------------------------------------------------------


def denial(action: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(effect=iam.Effect.DENY, actions=[action], resources=["*"])


@pytest.mark.parametrize(
    ("where", "denies"), [("same", False), ("other", True), ("nested", False), ("outer", True)]
)
def test_role_that_is_imported_by_its_arn_from_the_same_app(
    make_app: MakeApp, references: dict[str, object], where: str, *, denies: bool
) -> None:
    app = make_app(**references)
    stack = cdk.Stack(app, "Stack")
    inner = cdk.NestedStack(stack, "Inner")
    role = owned_role(inner if where == "outer" else stack)
    iam.InstanceProfile(stack, "Profile", role=role)
    there = {"same": stack, "other": cdk.Stack(app, "Other"), "nested": inner}
    scope = there.get(where, stack)
    imported = iam.Role.from_role_arn(scope, "Imported", role.role_arn)
    SessionManagerPermissions(scope, "Permissions", role=imported, allow_registration=True)
    if denies:
        imported.add_to_principal_policy(denial("ssmmessages:*"))

    assert check_app(stack).rules == (DENIED if denies else READY)


def test_role_of_another_stack_by_ref(make_app: MakeApp, references: dict[str, object]) -> None:
    app = make_app(**references)
    role = owned_role(cdk.Stack(app, "Roles", stack_name="named-otherwise"))
    profiles, policies = cdk.Stack(app, "Profiles"), cdk.Stack(app, "Policies")
    iam.InstanceProfile(cdk.NestedStack(profiles, "Nested"), "Profile", role=role)
    SessionManagerPermissions(policies, "Permissions", role=role, allow_registration=True)

    report = check_app(app, strict=True)

    assert report.success
    assert report.verdicts == {"ready": 1}
    assert report.rules == READY

    iam.Policy(policies, "Guard", statements=[denial("ssm:*")], roles=[role])

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

JOINED_NAME: Final = {"Fn::Join": ["-", ["my", "role"]]}
BY_NAME: Final = {"RoleName": ref("Name")}
AGREEING: Final = {"RoleName": either("web", "web", "C")}
PARTLY: Final = {"Fn::Join": ["-", [either("blue", "green", "C"), "web"]]}
FREELY: Final = {
    "Parameters": {"Name": {"Type": "String"}},
    "Conditions": {"C": {"Fn::Equals": [ref("Name"), "b"]}},
}
NEVER: Final = {"Conditions": {"C": {"Fn::Equals": ["a", "b"]}}}


def behind(roles: object, role: Body | None = None) -> Body:
    """A ready role, and a profile with these `Roles`."""
    return profile_and_role((role or {}) | inline(ALL), roles, Custom=CUSTOM)


def attached(
    of_role: str = "", of_profile: str = "", role: Body | None = None, **more: object
) -> Body:
    """A role with a policy that is attached to it, on conditions."""
    body = profile_and_role(role, ["web"] if role else None, Policy=policy(ALL, **more))
    for name, condition in (("Role", of_role), ("Profile", of_profile)):
        body["Resources"][name] = on(body["Resources"][name], condition)
    return body


def naming_its_role(kind: str, **roles: object) -> Body:
    return profile_and_role(Policy=resource(kind, PolicyDocument=document([ALL]), **roles))


def put(name: object, *statements: Statement, **more: object) -> Body:
    """An inline policy of a name as a resource; those of `inline` are called `Inline`."""
    made = policy(*statements, **more)
    return made | {"Properties": made["Properties"] | {"PolicyName": name}}


def two(first: Body, second: Body, role: Body | None = None) -> Body:
    """A role with two policies, where the condition C does not hold."""
    return profile_and_role(role, P=first, Q=second) | NEVER


def denied_another(name: object, **condition: str) -> Body:
    """A ready role, and a policy that denies another one everything."""
    other = resource("AWS::IAM::Role", **TRUST, RoleName=name) | condition
    return profile_and_role(inline(ALL), Other=other, Policy=policy(deny("*"), roles=[name]))


def denied_twice(name: object, role: Body | None = None, **more: object) -> Body:
    """A role, beside one called `web`, that the second of two policies may deny everything."""
    first, second = policy(deny("*"), roles=[name], **more), policy(deny("*"), roles=[ref("Else")])
    body = two(first, second, (role or {}) | inline(ALL))
    body["Resources"]["Other"] = resource("AWS::IAM::Role", **TRUST, RoleName="web")
    for one in ("Role", "Profile", "Other"):
        body["Resources"][one] = on(body["Resources"][one], "Linux")
    return body


S3: Final = allow("s3:*")
JOINED: Final = {"Fn::Join": ["-", ["web", ref("Name")]]}
ELSEWHERE: Final = {"Condition": "ThenElsewhere"}
BEHIND: Final[dict[Found, tuple[Body, ...]]] = {
    READY: (
        behind([of_arn(ARN)]), behind([{"Fn::Sub": "${Role}"}]), behind(["role"], ROLE),
        behind({"Fn::Split": [",", ref("Role")]}), behind(["my-role"], {"RoleName": JOINED_NAME}),
        behind([ref("Name")], BY_NAME), behind(["web"], AGREEING) | NEVER,
        behind([PARTLY], {"RoleName": PARTLY}) | FREELY,
        attached(), attached("Linux", Condition="Linux"), attached("Linux"),
        # as a fleet makes it: the role may not be there without the profile
        attached(of_profile="Linux", Condition="Linux"), attached("New", "New", NAMED),
        naming_its_role("AWS::IAM::ManagedPolicy", Roles=[ref("Role")]),
        naming_its_role("AWS::IAM::RolePolicy", RoleName=ref("Role")),
        # policies of one name overwrite each other
        two(put("Other", S3), CUSTOM, inline(ALL)),
        two(put("Inline", S3, roles=["other"]), CUSTOM, inline(ALL)),
        two(put("Same", ALL, Condition="C"), put(ref("Name"), ALL)),
        two(put("Same", S3, Condition="C"), put("Same", ALL)),
        two(put(JOINED, ALL), put(ref("Name"), S3)), two(put(either("A", "B"), ALL), put("C", S3)),
        denied_another(ref("Name")), denied_another(JOINED), denied_another("web"),
        denied_another(JOINED, **ELSEWHERE), denied_another("web", **ELSEWHERE),
    ),
    UNKNOWN: (
        # the first of two policies, whose role is not known, is another role's or is not there
        denied_twice("web", BY_NAME), denied_twice(ref("Name"), Condition="C"),
        behind([]), behind([ref("Role"), ref("Role")]), behind([ref("RoleName")]),
        behind(ref("RoleNames")), behind([either(ref("Role"), "other")]),
        behind([either(ref("Role"))]), behind([{"Fn::ImportValue": "role"}]),
        behind([att("Custom", "RoleName")]), behind(["other"]), behind([ref("Else")], BY_NAME),
        attached(Condition="Linux"), attached("Windows", Condition="Linux"),
        attached("New", "", NAMED), two(put("Inline", S3), CUSTOM, inline(ALL)),
        behind([{"Fn::Select": [0, {"Fn::Split": [",", ref("Role")]}]}], {"RoleName": "a,b"}),
        two(put("Same", ALL), put("Same", deny("*"))), two(put(JOINED, ALL), put(JOINED, S3)),
        two(put(either("A", "B"), ALL), put("B", S3)), denied_another(ref("Name"), **ELSEWHERE),
        # of whichever has the name where the other one has not
        profile_and_role({"RoleName": ref("Else")} | inline(ALL), Policy=policy(deny("*"), roles=[
            "web"]), Other=resource("AWS::IAM::Role", **TRUST, RoleName=either("web", "db", "C")))),
    NEITHER: (two(put("Inline", S3), CUSTOM, inline(allow("ec2:*"))),
        two(put("Same", ALL, Condition="C"), put("Same", S3))),
    DENIED: (profile_and_role(roles=["other"], Policy=policy(deny("*"), roles=["other"])),),
}  # fmt: skip


@pytest.mark.parametrize(("body", "found"), each(BEHIND))
def test_role_and_policies_behind_a_profile(check: Check, body: Body, found: Found) -> None:
    assert check(body).rules == found


def test_each_profile_has_a_condition_of_its_own(check: Check) -> None:
    body = attached(of_profile="Linux", Condition="Linux")
    body["Resources"]["Plain"] = resource("AWS::IAM::InstanceProfile", Roles=[ref("Role")])

    assert check(body).verdicts == {"ready": 1, "can't be known": 1}


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
    loose = {f"Loose{n}": policy(S3, deny("ec2:*"), roles=[ref(f"Name{n}")]) for n in range(some)}
    assert check(profile_and_role(**loose)).rules == NEITHER
    assert check(profile_and_role(inline(ALL), **loose)).rules == READY
    loose["Last"] = policy(deny("ssm:*"), roles=[ref("Name")])
    assert check(profile_and_role(inline(ALL), **loose)).rules == UNKNOWN
    named = {f"Role{n}": resource("AWS::IAM::Role", RoleName=f"of-{n}") for n in range(some)}
    named |= {f"Policy{n}": policy(deny("ssm:*"), roles=[f"of-{n}"]) for n in range(some + 1)}
    assert check(profile_and_role(ROLE | inline(ALL), **named)).rules == READY


# Accounts ----------------------------------------------------------------------------------------

NAMED_SO, UNNAMED = profile_and_role(ROLE), profile_and_role()
WITH_POLICY: Final = profile_and_role(ROLE, Policy=on_role("role"))
READY_AND_NAMED: Final = profile_and_role(ROLE | inline(ALL))
SOMEWHERE, THERE = ({"Resources": {"Policy": on_role(one)}} for one in (ref("Name"), "role"))
OF_ONE: Final[Body] = {"a": "1", "b": "1"}
OF_TWO: Final[Body] = {"a": "1", "b": "2"}


@pytest.mark.parametrize(("role", "elsewhere", "accounts", "found"), [
    (NAMED_SO, THERE, OF_ONE, READY),
    (NAMED_SO, THERE, {}, READY),
    (NAMED_SO, THERE, {"a": "1"}, UNKNOWN),  # the other's is known at deployment only
    (NAMED_SO, THERE, OF_TWO, NEITHER),
    (WITH_POLICY, THERE, OF_TWO, READY),  # another account's does not hide the next
    (UNNAMED, SOMEWHERE, OF_TWO, NEITHER),
    (UNNAMED, SOMEWHERE, OF_ONE, UNKNOWN),
    (UNNAMED, SOMEWHERE, {"a": "1"}, UNKNOWN),
    (SOMEWHERE, profile_and_role(Policy=on_role(ref("Name"))), OF_TWO, UNKNOWN),
    # a template that can't be read may attach anything
    (READY_AND_NAMED, [], {}, UNKNOWN),
    (READY_AND_NAMED, [], OF_TWO, READY),
])  # fmt: skip
def test_policy_of_another_account(
    check: Check, role: Body, elsewhere: object, accounts: Body, found: Found
) -> None:
    report = check(role, elsewhere, **accounts)

    assert report.rules == found
    assert not any("and on the policy" in one.description for one in report.findings)


def test_role_of_another_account_is_another_role(check: Check) -> None:
    """IAM attaches by the name, in the account of the policy or of the profile."""
    named, bare = behind(["role"], ROLE), profile_and_role(ROLE, ["role"])
    assert check(named, bare, **OF_TWO).verdicts == {"ready": 1, "not ready": 1}
    assert check(named, bare, **OF_ONE).verdicts == {"can't be known": 2}

    output = {"Role": {"Value": ref("Role")}}
    of_output = {"StackName": "a", "Region": "eu-west-1", "OutputName": "Role"}
    got = {"Fn::GetStackOutput": of_output | {"RoleArn": "arn:aws:iam::1:role/reader"}}
    policies = {"Resources": {"Policy": on_role(got)}}
    assert check(UNNAMED | {"Outputs": output}, policies, **OF_TWO).rules == NEITHER

    ready, profiles = profile_and_role(inline(ALL)), profile_and_role(roles=[got])
    report = check(ready | {"Outputs": output}, profiles, **OF_TWO)
    assert report.verdicts == {"ready": 1, "can't be known": 1}


def test_roles_of_one_name_are_in_several_accounts(check: Check) -> None:
    assert check(NAMED_SO, WITH_POLICY).verdicts == {"not ready": 1, "ready": 1}
    check.write("nested.template.json", NAMED_SO)
    around = {"Resources": {"Nested": nested("nested"), "Policy": on_role("role")}}
    assert check(NAMED_SO, around).verdicts == {"not ready": 1, "ready": 1}
    assert check(NAMED_SO, WITH_POLICY, **OF_ONE).verdicts == {"can't be known": 2}


# Every form in which a policy can name its role --------------------------------------------------


OUTPUT = {"StackName": "Stack", "OutputName": "Role"}
ROUND: Final = {"Fn::GetStackOutput": OUTPUT | {"OutputName": "Round"}}
IT: Final = {"Value": ref("Role"), "Export": {"Name": "it"}}
OPPOSITE: Final = {"Not": {"Fn::Not": [{"Condition": "C"}]}}
OUTPUTS: Final = {
    "Role": {"Value": ref("Role")},
    **{name: {"Value": ref("Role"), "Export": {"Name": "twice"}} for name in ("One", "Other")},
    **{name: IT | {"Condition": name} for name in ("C", "Not")},
    "Circle": {"Value": {"Fn::ImportValue": "circle"}, "Export": {"Name": "circle"}},
    "Round": {"Value": ROUND},
}
INNER: Final = {
    "Resources": {"Role": resource("AWS::IAM::Role", **TRUST)},
    "Parameters": {"Stored": {"Type": "AWS::SSM::Parameter::Value<String>"}},
    "Conditions": {"Always": {"Fn::Equals": [1, 1]}, "Never": {"Fn::Equals": [1, 2]}},
    "Outputs": {"Given": {"Value": ref("Of")}, "Other": {"Value": ref("Role")},
        "Chosen": {"Value": {"Fn::If": ["Always", ref("Of"), "other"]}}, "Absent": {"Value": ref(
            "Of"), "Condition": "Never"}, "Malformed": "value", "Stored": {"Value": ref("Stored")}},
}  # fmt: skip
INCLUDE: Final = {"Name": "AWS::Include", "Parameters": {"Location": "s3://bucket/key"}}
GENERATED = {
    READY: (of_arn(ARN), of_arn({"Fn::Sub": "${Role.Arn}"}),
        of_arn({"Fn::Join": ["", [{"Fn::GetAtt": "Role.Arn"}]]}), {"Fn::Join": ["", [ref("Role")]]},
        {"Fn::Sub": "${Role}"}, {"Fn::Sub": ["${Role}"]}, {"Fn::GetStackOutput": OUTPUT},
        {"Fn::Sub": ["${It}", {"It": ref("Role")}]}, {"Fn::Select": ["1", ["other", ref("Role")]]},
        {"Fn::Select": [1, {"Fn::Split": ["/", {"Fn::Sub": "role/${Role}"}]}]},
        {"Fn::Select": [1, {"Fn::Split": [":role/", att("Role", "Arn")]}]},
        att("Nested", "Outputs.Given"), att("Nested", "Outputs.Chosen"), {"Fn::ImportValue": "it"},
        {"Fn::FindInMap": ["Names", "z", "role", {"DefaultValue": ref("Role")}]}),
    # another role, for certain
    NEITHER: (
        "existing", ref("Other"), of_arn({"Fn::GetAtt": ["Other", "Arn"]}), {"Fn::Sub": "${Other}"},
        of_arn("arn:aws:iam::111122223333:role/existing"), {"Fn::Sub": "${Prefix}-instance-role"},
        {"Fn::FindInMap": ["Names", "eu", "role"]}, 3, "", att("Nested", "Outputs.Other"),
        {"Fn::FindInMap": ["Names", "eu", "role", {"DefaultValue": ref("Role")}]},
        {"Fn::FindInMap": ["Names", ref("Name"), "role"]},  # the only entry
        {"Fn::FindInMap": [{"Fn::Sub": "Names"}, "eu", "role"]},
        {"Fn::FindInMap": ["Included", "us", "role"]},  # beside what is included
        att("Nested", "Outputs.Absent"),
        {"Fn::Sub": "a-${Name}"},  # the stack is named otherwise
        # not as CloudFormation names a role of the stack
        "Else-Role-1A2B3C4D5E6F", "Stack-Role-web",
    ),
    # one that only the deployment knows
    UNKNOWN: (
        ref("Name"), {"Fn::ImportValue": "another-app"}, {"Fn::Sub": "Stack-${Name}"},
        {"Fn::GetStackOutput": OUTPUT | {"StackName": "another"}},
        {"Fn::GetStackOutput": OUTPUT | {"OutputName": "Else"}}, {"Fn::GetStackOutput": "odd"},
        {"Fn::GetAtt": ["Custom", "RoleName"]}, {"Fn::Select": [0, ref("Names")]},
        {"Fn::Select": [7, ["a"]]}, {"Fn::Select": ["malformed", ["a"]]}, of_arn(ref("Arn")),
        {"Fn::Select": "odd"},
        of_arn({"Fn::GetAtt": ["WithOpenPath", "Arn"]}), {"Fn::Transform": {"Name": "Macro"}},
        {"Fn::Select": [0, {"Fn::Split": ["-", {"Fn::Sub": "${Role}-x"}]}]},
        {"Fn::Select": [0, {"Fn::Split": [",", ref("Names")]}]}, "{{resolve:ssm:/role}}",
        {"Fn::If": ["Condition", ref("Role"), ref("Other")]},
        {"Fn::Join": ["", [either(ref("Name"), ref("Else"), "C")]]},
        {"Fn::FindInMap": ["Names", ref("AWS::Region"), "role"]}, {"Fn::FindInMap": ["Names", "z"]},
        {"Fn::FindInMap": ["Names", "z", "role"]}, {"Fn::ImportValue": "twice"},
        {"Fn::FindInMap": ["Included", "eu", "role"]},
        {"Fn::FindInMap": ["Included", ref("Name"), "role"]},
        {"Fn::FindInMap": ["Names", {"Fn::Sub": "${Name}-x"}, "role"]},
        {"Fn::ImportValue": {"Ref": "Name"}}, att("Nested", "Outputs.Nothing"),
        att("Nested", "Outputs.Stored"),
        {"Ref": ["malformed"]}, {"Ref": 7}, {"Fn::Join": "Role"}, {"Fn::If": ["C", ref("Role")]},
        {"Fn::Join": ["", ["{{resolve:ssm:", ref("Name"), "}}"]]}, {"Fn::ImportValue": "circle"},
        ROUND, ARN,  # IAM takes no ARN, and the deployment fails
        "Stack-Role-1A2B3C4D5E6F",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "found"), each(GENERATED))
def test_policy_on_a_role_cloudformation_names(check: Check, name: object, found: Found) -> None:
    more = {
        "Other": resource("AWS::IAM::Role", **TRUST),
        "WithOpenPath": resource("AWS::IAM::Role", Path=ref("Path")),
        "Custom": CUSTOM,
        "Nested": nested("nested", Parameters={"Of": ref("Role"), "Stored": ref("Role")}),
    }
    check.write("nested.template.json", INNER)
    existing = {"role": "existing"}
    maps = {"Names": {"eu": existing}, "Included": {"us": existing, "Fn::Transform": INCLUDE}}
    names = {"Mappings": maps, "Outputs": OUTPUTS, "Conditions": OPPOSITE}
    allows = profile_and_role(Policy=on_role(name), **more)

    assert check(allows | names, name="Stack").rules == found

    denies = profile_and_role(inline(ALL), Policy=policy(deny("*"), roles=[name]), **more)
    of_denial = {READY: DENIED, NEITHER: READY}.get(found, UNKNOWN)

    assert check(denies | names, name="Stack").rules == of_denial


NAME_OF_A: Final = {"StackName": "a", "OutputName": "Name"}
NAME_OF_B: Final = {"StackName": "b", "OutputName": "Name"}


@pytest.mark.parametrize(("asked", "found"), [
    (NAME_OF_A, "of_a"),
    (NAME_OF_A | {"Region": ref("AWS::Region")}, "of_a"),
    (NAME_OF_A | {"Region": "eu-west-1"}, "of_a"),
    (NAME_OF_A | {"Region": "eu-west-2"}, "of_the_other_region"),
    (NAME_OF_A | {"Region": "us-east-1"}, None),
    (NAME_OF_A | {"Region": ref("Where")}, None),
    (NAME_OF_A | {"OutputName": "Nothing"}, None),
    (NAME_OF_A | {"StackName": ref("Name")}, None),
    (NAME_OF_B, None),
    (NAME_OF_B | {"RoleArn": "arn:"}, "of_the_other_account"),
    ({"StackName": "twice", "OutputName": "Name"}, None),
    ({"OutputName": "Name"}, None),
    ([], None),
])  # fmt: skip
def test_outputs_of_a_stack_by_its_name(check: Check, asked: object, found: str | None) -> None:
    stacks = {
        "of_a": "1/eu-west-1/a", "of_the_other_region": "1/eu-west-2/a",
        "of_the_other_account": "2/eu-west-1/b", "twice": "1/eu-west-1/twice",
        "twice_again": "1/eu-west-1/twice",
    }  # fmt: skip
    bodies: Body = {key: {"Outputs": {"Name": {"Value": key}}} for key in stacks}
    bodies["here"] = behind([{"Fn::GetStackOutput": asked}], {"RoleName": found or "none"})

    report = check(**bodies, at=stacks | {"here": "1/eu-west-1"})

    assert report.rules == (READY if found else UNKNOWN)


def exported(value: object, name: object) -> Body:
    return {"Value": value, "Export": {"Name": name}}


def test_exports_are_those_of_the_account_and_region(check: Check) -> None:
    exports = {"Outputs": {"O": exported("role", "shared")}}
    where = {"One": "1/eu-west-1", "Two": "1/eu-west-2", "Here": "1/eu-west-1"}
    here = behind([{"Fn::ImportValue": "shared"}], ROLE)

    assert check(One=exports, Two=exports, Here=here, at=where).rules == READY


@pytest.mark.parametrize(("exports", "found"), [(50, READY), (2_000, UNKNOWN)])
def test_exports_in_a_line(check: Check, exports: int, found: Found) -> None:
    outputs = {
        f"O{number}": exported({"Fn::ImportValue": f"o{number + 1}"}, f"o{number}")
        for number in range(exports)
    } | {"Last": exported("role", f"o{exports}")}

    assert check(behind([{"Fn::ImportValue": "o0"}], ROLE) | {"Outputs": outputs}).rules == found


OF_REGION = {"Fn::Sub": "web-${AWS::Region}"}
GIVEN = {
    READY: (
        (ref("Name"), ref("Name")), (ref("Name"), {"Fn::Sub": "${Name}"}), (JOINED, JOINED),
        (JOINED, {"Fn::Sub": "web-${Name}"}), ("web", "web"), ("web", ref("Role")),
        ("web", of_arn(ARN)), ("", ""), (OF_REGION, "web-eu-west-1"),
        ({"Fn::Sub": "web-${AWS::Partition}"}, "web-aws"),
        ({"Fn::Sub": "${AWS::StackName}-role"}, "Stack-role"),
    ),
    NEITHER: (
        (JOINED, {"Fn::Sub": "api-${Name}"}), (JOINED, {"Fn::Sub": "web-${Name}-api"}),
        (JOINED, {"Fn::Sub": "web-2-${Name}"}), (JOINED, "api-eu"), ("web", "api"),
        ("web", {"Fn::Sub": "${Name}-api"}), ("web", {"Fn::Sub": "${!Name}-api"}),
        (OF_REGION, "web-eu-west-2"), (NO_VALUE, NO_VALUE),
    ),
    UNKNOWN: (
        ({"Ref": {"Fn::Sub": "${Name}A"}}, {"Ref": {"Fn::Sub": "${Name}B"}}),
        (ref("Name"), ref("Another")), (ref("Name"), "web"), (JOINED, "web-eu"),
        (ref("Name"), "a-default"),  # which may be overridden
        ("web", "Web"),  # IAM has no two roles of these names
        (JOINED, {"Fn::Sub": "web-${Name}${Suffix}"}), ("web", ref("Name")),
        ("web", {"Fn::Sub": "${Name}eb"}), ({"Fn::If": ["Condition", "web", NO_VALUE]}, "web"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("names", "found"), each(GIVEN))
def test_policy_on_a_named_role(check: Check, names: tuple[object, object], found: Found) -> None:
    of_role, of_policy = names
    body = profile_and_role({"RoleName": of_role}, Policy=on_role(of_policy))

    assert check(body | {"Parameters": PARAMETER}, name="Stack").rules == found


# Nested stacks -----------------------------------------------------------------------------------


def nesting(of: object = None, role: Body | None = None, **more: object) -> Body:
    """A role, and a nested stack to which `of` is passed."""
    given = {"Parameters": {"Of": of}} if of else {}
    return profile_and_role(role, Nested=nested("nested", **given) | more)


def of_conditions(of_role: str, of_stack: object = None) -> Body:
    condition: Body = {"Condition": of_stack} if of_stack else {}
    body = nesting(ref("Role"), **condition)
    body["Resources"]["Role"] = on(body["Resources"]["Role"], of_role)
    return body


TO_PARAMETER, ON_LINUX = on_role(ref("Of")), on_role(ref("Of"), Condition="Linux")
OF_STACK: Final = {"RoleName": {"Fn::Sub": "${AWS::StackName}-role"}}
NESTED: Final[dict[Found, tuple[tuple[Body, Body], ...]]] = {
    READY: (
        (nesting(ref("Role")), {"Policy": TO_PARAMETER}),
        (nesting(ref("Name"), BY_NAME), {"Policy": TO_PARAMETER}),
        (of_conditions("Linux", "Linux"), {"Policy": TO_PARAMETER}),
        # what is in a nested stack on a condition is there together
        ({"Resources": {"Nested": nesting(Condition="Linux")["Resources"]["Nested"]}},
         profile_and_role(Policy=policy(ALL))["Resources"]),
    ),
    UNKNOWN: (
        (nesting(ref("Name")), {"Policy": TO_PARAMETER}),
        (nesting(either(ref("Role"), "other")), {"Policy": TO_PARAMETER}),
        (of_conditions("", "Linux"), {"Policy": TO_PARAMETER}),
        (of_conditions("Linux", "Windows"), {"Policy": TO_PARAMETER}),
        (of_conditions("Linux", ["malformed"]), {"Policy": TO_PARAMETER}),
        (of_conditions("Linux"), {"Policy": ON_LINUX}),  # two conditions of one name
        # the name of a nested stack is not that of its parent
        ({"Resources": {"Policy": on_role("Stack-role"),
            "Nested": nesting()["Resources"]["Nested"]}}, profile_and_role(OF_STACK)["Resources"]),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("bodies", "found"), each(NESTED))
def test_nested_stack(check: Check, bodies: tuple[Body, Body], found: Found) -> None:
    outer, inner = bodies

    assert check(outer, name="Stack", nested={"Resources": inner}).rules == found


UNREADABLE: Final = resource(STACK, TemplateURL="https://b.example/t.yaml")
STACK_SET: Final = "AWS::CloudFormation::StackSet"
UNREAD: Final[dict[bool, tuple[Body, ...]]] = {
    False: (
        *(resource(STACK) | {"Metadata": {"aws:asset:path": file}}
          for file in ("missing.json", "../folder/missing.json", "stack.yaml", "\0")),
        resource(STACK_SET, TemplateURL="https://example.com/t"), UNREADABLE,
        resource(STACK_SET, TemplateBody="P: AWS::IAM::RolePolicy"),
        resource(STACK_SET, TemplateBody=ref("Body")),
        resource("AWS::ServiceCatalog::CloudFormationProvisionedProduct")),
    True: (nesting()["Resources"]["Nested"], resource(STACK_SET, TemplateBody="P: AWS::IAM::Role"),
        resource("AWS::ServiceCatalog::CloudFormationProduct")),
}  # fmt: skip


@pytest.mark.parametrize(("it", "known"), each(UNREAD))
def test_template_that_is_not_read_may_attach_all(check: Check, it: Body, *, known: bool) -> None:
    inner = {"Resources": {"Policy": policy(S3, roles=[ref("Of")])}}
    check.write("nested.template.json", inner)
    for policies, found in (({}, NEITHER), (inline(ALL), READY)):
        named = profile_and_role(ROLE | policies, It=it)
        assert check(named).rules == (found if known else UNKNOWN)
    assert check(profile_and_role(ROLE | inline(deny("*")), It=it)).rules == DENIED
    assert check(profile_and_role(inline(ALL), It=it)).rules == READY


PARAMETER_OF_LOOP: Final = {"${X}": {"Type": "AWS::SSM::Parameter", "Value": ref("Role")}}
PARAMETERS: Final[Body] = {"Fn::ForEach::L": ["X", ["a"], PARAMETER_OF_LOOP]}


def stores(kind: str, value: object) -> Body:
    """A template with a resource of this type that has the value."""
    return profile_and_role(inline(ALL), Stores=resource(kind, Value=value))


def with_outputs(outputs: object) -> Body:
    return profile_and_role(inline(ALL)) | {"Outputs": outputs}


DISCLOSED = {
    READY: (
        profile_and_role(inline(ALL)), profile_and_role(inline(ALL), Policy=policy(allow("s3:*"))),
        stores("AWS::EC2::Volume", {"Fn::Sub": "${Role}"}), stores("AWS::KMS::Key", ARN),
        stores("AWS::ECS::TaskDefinition", ARN), stores("AWS::EKS::Cluster", ARN),
        stores("AWS::SSM::Parameter", ref("Profile")), stores("AWS::SSM::Parameter", {"Ref": 7})),
    NEITHER: (profile_and_role(),),
    UNKNOWN: (profile_and_role(ROLE | inline(ALL)), stores("AWS::SSM::Parameter", ref("Role")),
        stores("AWS::SSM::Parameter", {"Fn::Sub": "${Role.Arn}"}), stores("Custom::Anything", ARN),
        stores("AWS::CloudFormation::Stack", ref("Role")),
        with_outputs({"O": {"Value": ref("Role")}}), with_outputs({"Fn::ForEach::O": ref("Role")}),
        profile_and_role(inline(ALL), **PARAMETERS)),
}  # fmt: skip


@pytest.mark.parametrize(("body", "found"), each(DISCLOSED))
def test_what_reaches_a_generated_name(check: Check, body: Body, found: Found) -> None:
    assert check(body, {"Resources": {"Nested": UNREADABLE}}).rules == found
    assert check(body, {"Resources": {}, "Transform": "Macro"}).rules == found

    body["Resources"]["Nested"] = UNREADABLE

    assert check(body).rules == found
    assert check(body | {"Transform": "Macro"}).rules == UNKNOWN


# What a template makes of itself -----------------------------------------------------------------


def loop(kind: object, **properties: object) -> list[Any]:
    return ["Each", ["a", "b"], {"Made${Each}": {"Type": kind, "Properties": properties}}]


def within_loop(kind: str, **beside: object) -> list[Any]:
    return ["X", ["a"], {"Fn::ForEach::In": loop(kind), **beside}]


MADE_LATER: Final[dict[bool, tuple[Body, ...]]] = {
    True: ({"Fn::ForEach::L": loop("AWS::S3::Bucket")}, {"Fn::ForEach::L": within_loop(
        "AWS::SNS::Topic")}, {"Fn::ForEach::L": within_loop("AWS::SNS::Topic", Beside=None)}),
    False: ({"Fn::ForEach::L": loop("AWS::IAM::Policy", Roles=[ref("Role")])},
        {"Fn::ForEach::L": loop("AWS::IAM::RolePolicy")},
        {"Fn::ForEach::L": loop("AWS::IAM::ManagedPolicy")},
        {"Fn::ForEach::L": loop("AWS::CloudFormation::Stack")},
        {"Fn::ForEach::L": loop("AWS::IAM::${Each}")}, {"Fn::ForEach::L": loop(ref("Each"))},
        {"Fn::ForEach::L": within_loop("AWS::IAM::Policy")}, {"Fn::ForEach::L": "malformed"},
        {"Fn::ForEach::L": within_loop("AWS::SNS::Topic", Beside={})},
        {"Fn::ForEach::L": ["X", ["a"], {"${X}": None}]},
        {"Fn::ForEach::L": []}, {"Fn::Transform": {"Name": "AWS::Include"}}),
}  # fmt: skip
TRANSFORMS = {
    True: ("AWS::LanguageExtensions", "AWS::CodeDeployBlueGreen",
        ["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"]),
    False: ("MyMacro", {"malformed": 1},
        ["AWS::LanguageExtensions", {"Name": "AWS::Include", "Parameters": {}}]),
}  # fmt: skip


@pytest.mark.parametrize(("resources", "transform", "known"), [
    *((written, [], known) for written, known in each(MADE_LATER)),
    *(({}, written, known) for written, known in each(TRANSFORMS)),
])  # fmt: skip
def test_resources_that_cloudformation_makes_later(
    check: Check, resources: Body, transform: object, *, known: bool
) -> None:
    for role, found in (({}, NEITHER), (inline(ALL), READY)):
        body = profile_and_role(role, **resources) | {"Transform": transform}
        assert check(body).rules == (found if known else UNKNOWN)
