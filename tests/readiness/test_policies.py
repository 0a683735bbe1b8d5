"""What policies answer; `test_verdicts` has an evaluator of IAM answer for drawn ones."""

from typing import Any, Final

import pytest

from session_manager_permissions._readiness import policies
from session_manager_permissions._readiness.policies import Statement, decide

from .parts import att, each, ref, resource
from .reports import Body, Check, inline, machine, managed_policy, profile_and_role
from .statements import (
    ALL,
    AWS,
    CHANNELS_ONLY,
    CORE,
    DENIED,
    NEITHER,
    NO_REGISTRATION,
    READY,
    UNKNOWN,
    Found,
    allow,
    deny,
    not_actions,
)

ACTION = "ssm:UpdateInstanceInformation"
MAYBE_ALL = {"Ref": "Parameter"}


def read(*written: object) -> list[Statement]:
    return policies.read({"Statement": list(written)}, "test")


def test_decision_names_the_statements_that_leave_it_open() -> None:
    on: Body = {"Bool": {"aws:SecureTransport": "false"}}
    found = read(allow("*", Sid="Open", Condition=on), deny("*", Sid="Denies", Condition=on))

    assert [one.sid for one in decide(found, ACTION, "*").by] == ["Open", "Denies"]
    assert [one.sid for one in decide([*found, *read(allow("*"))], ACTION, "*").by] == ["Denies"]


def test_sid_with_a_function_is_read_as_far_as_known() -> None:
    (found,) = read(allow("*", Sid={"Fn::Sub": "For${Name}"}))

    assert found.sid == "For"


# Whether a statement allows to register, beside one that allows the channels ---------------------

HERE: Final = "arn:aws:ec2:eu-west-1:111122223333:instance/*"
OF_STACK: Final = "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/"
BUCKET_ARN: Final = att("Bucket", "Arn")
BUT_MAYBE: Final = {"Effect": "Allow", "Action": "*", "NotResource": MAYBE_ALL}
OF_EFFECT: Final = {"Effect": MAYBE_ALL, "Resource": "*"}
RESOURCES: Final[dict[Found, tuple[object, ...]]] = {
    READY: ("*", [MAYBE_ALL, "*"], "arn:aws:ec2:*:*:instance/*", "arn:*:ec2:*:*:instance/i-*", HERE,
        {"Fn::Sub": f"{OF_STACK}*"}, ["arn:aws:s3:::b", {"Fn::Sub": f"{OF_STACK}*"}],
        {"Fn::Sub": "arn:${AWS::Partition}:ec2:*:*:instance/*"}, "arn:aws*:ec2:*:*:instance/*",
        *("arn:aws:ec?:*:*:instance/*", "arn:aws:ec2:eu-west-1:*", "arn:aws:*:*:*:*"),
        "arn:aws:ec2:*:*:instance*/i-*"),
    NO_REGISTRATION: ("arn:aws:ssm:*:*:parameter/*", "arn:aws:ec2:*:*:volume/*",
        "arn:aws:s3:::bucket/*", "arn:aws:ec2:*:*:managed-instance/*", "arn:aws:ssm:*:*:instance/*",
        "arn:aws:ec2:*:*:instance", "arn:aws:ec2:*:*:inst?ance/i-0",
        "arn:aws:ec2:*:*:instance/i-1/x", {"Fn::Sub": "arn:${AWS::Partition}:s3:::b"}, BUCKET_ARN,
        att("Key", "Arn"), {"Fn::Join": ["", [BUCKET_ARN, "/*"]]}, ["arn:aws:s3:::a", BUCKET_ARN],
        {"Fn::Sub": "arn:${AWS::Partition}:s3:::${Name}"},
        {"Fn::Sub": "arn:${AWS::Partition}:sqs:${AWS::Region}:*:a"}),
    UNKNOWN: (
        # of another region, account and partition, short ids, a parameter's and the principal's
        HERE.replace("-1:", "-2:"), HERE.replace("111122", "999922"),
        "arn:aws-cn:ec2:*:*:instance/*", "arn:aws-*:ec2:*:*:instance/*",
        f"arn:aws:ec2:*:*:instance/i-{'?' * 8}",
        {"Fn::Sub": f"{OF_STACK}${{Id}}"}, "arn:aws:ec2:*:*:instance/${aws:PrincipalTag/i}",
        "arn:aws:ssm:*:*:managed-instance/*",
        "arn:aws:ssm:eu-west-1:111122223333:managed-instance/mi-1",
        "arn:aws:ssm:*", "arn:aws:ec2:*:*:inst?nce/i-0", "arn:aws:ec2:*:*:*/i-????????", MAYBE_ALL,
        [], {"Fn::Split": [",", MAYBE_ALL]}, {"Fn::If": ["C", "*"]},
        [BUCKET_ARN, MAYBE_ALL], att("Custom", "Arn"), att("Machine", "Arn"),
        att("Bucket", "DomainName"), att("Missing", "Arn"), {"Fn::GetAtt": ["Bucket", MAYBE_ALL]},
        {"Fn::Sub": "arn:aws:ec2:*:*:${Kind}/*"},
    ),
}  # fmt: skip
STATEMENTS: Final[dict[Found, tuple[object, ...]]] = {
    READY: (allow("*") | {"Effect": {"Fn::Join": ["", ["Al", "low"]]}},),
    NO_REGISTRATION: (allow({"Fn::Sub": "s3:${A}"}), allow("ssm:*${"), "malformed", ["malformed"],
        not_actions("Allow", "ssm:*", MAYBE_ALL), OF_EFFECT | {"Action": "s3:*"}),
    UNKNOWN: (
        allow(MAYBE_ALL), BUT_MAYBE, allow({"Fn::Sub": "ssm:${A}"}),
        not_actions("Allow", MAYBE_ALL), MAYBE_ALL, {"Fn::Transform": {"Name": "Macro"}},
        # what IAM refuses makes the deployment fail, and IAM says so
        {"Effect": "Allow", "Resource": "*"}, {"Effect": "Allow", "Action": "*"},
        {"Effect": "allow", "Action": "*", "Resource": "*"},
        OF_EFFECT | {"Action": "*"}, allow("*", Condition=MAYBE_ALL), allow("*", Action=MAYBE_ALL),
    ),
}  # fmt: skip
KINDS: Final = {
    "Bucket": resource("AWS::S3::Bucket"), "Key": resource("AWS::KMS::Key"),
    "Custom": resource("Custom::Bucket"), "Machine": resource("AWS::EC2::Instance"),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "expected"), [
    *((allow(ACTION, on=written), found) for written, found in each(RESOURCES)),
    *each(STATEMENTS),
])  # fmt: skip
def test_registration_of_instances(check: Check, statement: Body, expected: Found) -> None:
    body = profile_and_role(inline(CHANNELS_ONLY, statement), **KINDS)

    assert check(body, a="111122223333", network=False).rules == expected


def test_a_statement_that_cannot_be_read_does_not_hide_the_next(check: Check) -> None:
    unread: Any = {"Fn::Transform": {"Name": "Macro"}}

    assert check(profile_and_role(inline(unread, deny(ACTION)))).rules == DENIED


IN_ANY_REGION = {
    READY: ("arn:aws:ec2:*:*:instance/*", "arn:aws-cn:ec2:*:*:instance/*", "arn:aws:*",
        "arn:*:ec2:*:*:instance/*", {"Fn::Sub": f"{OF_STACK}*"},
        {"Fn::Sub": f"{OF_STACK.replace('${AWS::Partition}', 'aws')}*"}),
    UNKNOWN: ("arn:aws:ec2:*:*:instance/i-0*", "arn:aws:ec2:eu-west-1:*:instance/*",
        "arn:???:ec2:*:*:instance/*"),
    NO_REGISTRATION: ("arn:",),
}  # fmt: skip


@pytest.mark.parametrize(("on", "expected"), each(IN_ANY_REGION))
def test_registration_of_instances_in_any_region(check: Check, on: object, expected: Found) -> None:
    body = profile_and_role(inline(CHANNELS_ONLY, allow(ACTION, on=on)))

    assert check(body, region="unknown-region").rules == expected


@pytest.mark.parametrize(("on", "expected"), [
    (HERE, UNKNOWN),
    (HERE.replace("eu-west-1", "*"), READY),
    ([HERE, HERE.replace("eu-west-1", "us-east-1")], READY),
])  # fmt: skip
def test_registration_in_an_app_of_two_regions(check: Check, on: object, expected: Found) -> None:
    """A profile is of no region, and an instance of another stack of its account may have it."""
    body = profile_and_role(inline(CHANNELS_ONLY, allow(ACTION, on=on)))
    there = {"b": "unknown-account/us-east-1"}

    found = check(body, {"Resources": {}}, a="111122223333", at=there)

    ends = "an inline policy of 'Role', whose Resource may not be the instance"
    assert found.rules == expected
    assert all(one.description.endswith(ends) for one in found.findings)


def test_each_instance_is_no_resource_of_the_channels(check: Check) -> None:
    body = profile_and_role(inline(allow("*", on="arn:aws:ec2:*:*:instance/*")))

    assert check(body).rules == {"channel-missing"}


# How a role names its policies -------------------------------------------------------------------


def managed(*arns: object) -> Body:
    return {"ManagedPolicyArns": list(arns)}


def of_document(document: object) -> Body:
    return {"Policies": [{"PolicyName": "P", "PolicyDocument": document}]}


def bounded(arn: object) -> Body:
    return inline(ALL) | {"PermissionsBoundary": arn}


def maybe(value: object) -> Body:
    return {"Fn::If": ["Condition", value, {"Ref": "AWS::NoValue"}]}


def sub(text: str, **names: object) -> Body:
    return {"Fn::Sub": [text, names] if names else text}


OF_AWS: Final = "arn:${AWS::Partition}:iam::aws:policy/"
OURS: Final = "arn:aws:iam::${AWS::AccountId}:policy/"
OF_ACCOUNT: Final = "arn:aws:iam::111122223333:policy/"
NAMED: Final = {
    "Policy": ("core", CHANNELS_ONLY),
    "ByParameter": (sub("${Owner}-core"), ALL),
    "Sometimes": (maybe("maybe"), ALL),
}


MAY_DENY = (
    *(sub(f"{AWS}${{Name}}"), sub(f"{AWS}${{Name}}Core"), sub(f"{AWS}${{Name}}/ViewOnlyAccess")),
    *(sub(f"{OF_AWS}${{Name}}"), sub(f"{AWS}${{P}}", P=ref("Name"))),
    *({"Fn::Join": ["", [AWS, ref("Name")]]}, AWS + "{{resolve:ssm:/policy}}"),
)
"""ARNs that are not known, as functions make them."""
BUT_BUCKET: Final = {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::bucket"}
DENIES_BUT: Final = BUT_BUCKET | {"Effect": "Deny"}
BUT_SOME: Final = BUT_BUCKET | {"NotResource": "arn:aws:ec2:*:*:instance/i-1*"}
OF_INSTANCE: Final = {"ArnLike": {"ec2:SourceInstanceARN": HERE}}
OF_NODE: Final = {"ArnLike": {"ssm:SourceInstanceARN": HERE}}  # which no call of a profile has
OF_NO_KEY: Final = {"StringEquals": {"aws:PrincipalTag/of": {"Ref": "AWS::NoValue"}}}
OF_OTHERS: Final = {"ArnNotLike": {"ssm:SourceInstanceARN": HERE}}
OF_A_ROLE = {
    READY: (
        inline(CHANNELS_ONLY, allow(ACTION)), inline(allow("ssmmessages:*", "ssm:?pdateInstance*")),
        managed(ref("Policy")) | inline(allow(ACTION)), inline(allow("*", Condition={})),
        inline(allow("*", on=["arn:aws:s3:::bucket", "*"])), inline(not_actions("Allow", "iam:*")),
        inline(ALL, not_actions("Deny", "ssm:*", "ssmmessages:*")), inline(ALL, deny("iam:*")),
        inline(ALL, deny("*", on="arn:aws:s3:::secret/*")), inline(BUT_BUCKET),
        inline(ALL, deny("ssmmessages:*", on="arn:aws:ssm:*")),
        inline(ALL, deny("*", Condition=OF_NODE)),
        inline(allow("*", Condition={"StringEquals": {"Ref": "AWS::NoValue"}})),
        inline(ALL, DENIES_BUT | {"NotResource": "*"}), bounded(f"{AWS}PowerUserAccess"),
        *(inline(ALL, one | {"Condition": OF_INSTANCE}) for one in (deny("s3:*"), allow("*"))),
        managed(CORE), managed(sub(f"{OF_AWS}PowerUserAccess")), bounded({"Ref": "AWS::NoValue"}),
        managed(sub(f"{AWS}${{P}}", P="AmazonSSMManagedInstanceCore")),
        managed(sub(f"{OURS}${{Owner}}-core"))),
    NEITHER: (managed(f"{AWS}job-function/ViewOnlyAccess"), {}, inline(not_actions("Allow", "*")),
        bounded(f"{AWS}AmazonS3FullAccess"), inline(deny("*", Condition=OF_INSTANCE)),
        inline(allow(ACTION)), inline(allow("ssmmessages:Open*", "ssm:*")),
        inline(allow("*", Condition=OF_NODE)),
        inline(allow("ssmmessages:*", on="arn:aws:ssm:*"), allow(ACTION))),
    DENIED: (managed(f"{AWS}AdministratorAccess", f"{AWS}AWSDenyAll"), bounded(f"{AWS}AWSDenyAll"),
        managed(CORE) | inline(deny("ssmmessages:open*channel")), inline(deny("*")),
        inline(ALL, not_actions("Deny", "ssmmessages:*")), inline(ALL, DENIES_BUT),
        inline(ALL, deny("*", Condition=OF_OTHERS)),
        inline(ALL, deny("ssm:*", Condition=OF_INSTANCE), deny("ssmmessages:*"))),
    DENIED | NO_REGISTRATION: (inline(deny("ssmmessages:*")),),
    NO_REGISTRATION: (inline(not_actions("Allow", "ssm:*")), inline(CHANNELS_ONLY, allow("ssm:?")),
        managed(ref("Policy")), managed(maybe(ref("Policy"))), managed(sub(f"{OURS}core")),
        managed(sub(f"{OURS}path/core")), bounded(f"{OF_ACCOUNT}core"), bounded(ref("Policy"))),
    UNKNOWN: (*(managed(arn) | inline(ALL) for arn in MAY_DENY),
        inline(allow("*", Condition=OF_INSTANCE)), inline(ALL, deny("*", Condition=OF_INSTANCE)),
        inline(allow("*", Condition=OF_NO_KEY)), inline(ALL, deny("*", Condition=OF_NO_KEY)),
        inline(CHANNELS_ONLY, BUT_SOME | {"Action": ACTION}), inline(ALL, deny("ssm:*", on=HERE)),
        managed(f"{AWS}AdministratorAccess", "arn:aws:iam::1:policy/x"),
        managed(CORE.replace("aws:iam", "aws-cn:iam")), managed(f"{AWS}core"),
        managed(f"{OF_ACCOUNT}AmazonSSMManagedInstanceCore"),
        managed(sub("arn:aws:iam::${Account}:policy/AmazonSSMManagedInstanceCore")),
        managed({"Fn::GetAtt": ["Other", "Arn"]}), managed(maybe(f"{AWS}AdministratorAccess")),
        {"ManagedPolicyArns": ref("Arns")}, managed(sub(f"{OURS}maybe")),
        managed(sub(f"{OURS}score")), bounded(ref("Parameter")), bounded(maybe(ref("Policy"))),
        {"Policies": [maybe(inline(ALL)["Policies"][0])]}, {"Policies": ["malformed"]},
        *map(of_document, [None, "text", []]),
        inline(CHANNELS_ONLY, allow("{{resolve:ssm:/actions}}")),
        inline(CHANNELS_ONLY, allow("ssm:{{resolve:ssm:/action}}"))),
}  # fmt: skip


@pytest.mark.parametrize(("role", "found"), each(OF_A_ROLE))
def test_policies_of_a_role(check: Check, role: Body, found: Found) -> None:
    more = {key: managed_policy(one, roles=[]) for key, (_, one) in NAMED.items()}
    for key, (name, _) in NAMED.items():
        more[key]["Properties"]["ManagedPolicyName"] = name

    assert check(profile_and_role(role, **more, Other={"Type": "Other"})).rules == found


def test_policy_of_another_account_is_another_policy(check: Check) -> None:
    named = managed_policy(allow("s3:*"), roles=[])
    named["Properties"]["ManagedPolicyName"] = "core"
    body = profile_and_role(managed(f"{OF_ACCOUNT}core"), Policy=named)

    assert check(body, a="111122223333").rules == NEITHER
    assert check(body, a="444455556666").rules == UNKNOWN


@pytest.mark.parametrize(("arn", "region", "found"), [
    ("arn:aws-cn:iam::aws:policy/AmazonSSMManagedInstanceCore", "cn-north-1", READY),
    ("arn:aws-us-gov:iam::aws:policy/PowerUserAccess", "us-gov-west-1", READY),
    ("arn:aws:iam::aws:policy/PowerUserAccess", "us-gov-west-1", UNKNOWN),
    ("arn:aws-cn:iam::aws:policy/PowerUserAccess", "unknown-region", READY),
])  # fmt: skip
def test_policy_of_aws_in_its_partition(check: Check, arn: str, region: str, found: Found) -> None:
    assert check(profile_and_role(managed(arn)), region=region).rules == found


REGION = {"Ref": "AWS::Region"}
CONDITIONS: list[tuple[Body, Found, Found]] = [
    # where the region is known as eu-west-1, and where it is not
    ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, READY, UNKNOWN),
    ({"StringEquals": {"aws:RequestedRegion": REGION}}, READY, READY),
    ({"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1"]}}, NEITHER, UNKNOWN),
    ({"StringNotEquals": {"aws:RequestedRegion": REGION}}, NEITHER, NEITHER),
    ({"StringEquals": {"aws:RequestedRegion": {"Ref": "Given"}}}, UNKNOWN, UNKNOWN),
    ({"Null": {"aws:RequestedRegion": "false"}}, READY, READY),
    ({"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}, READY, READY),
    ({"StringEquals": {"aws:PrincipalAccount": "111122223333"}}, UNKNOWN, UNKNOWN),
    ({"StringEquals": {"kms:CallerAccount": {"Ref": "AWS::AccountId"}}}, UNKNOWN, UNKNOWN),
    ({"Fn::Transform": {"Name": "Macro"}}, UNKNOWN, UNKNOWN),
    ({"Bool": {"Fn::Transform": {"Name": "Macro"}}}, UNKNOWN, UNKNOWN),
]


@pytest.mark.parametrize(("condition", "known", "unknown"), CONDITIONS)
def test_condition_on_calls(check: Check, condition: Body, known: Found, unknown: Found) -> None:
    body = profile_and_role(inline(allow("*", Condition=condition)))

    assert check(body).rules == known
    assert check(body, region="unknown-region").rules == unknown


NONE: Final[Body] = {"Topic": resource("AWS::SNS::Topic")}
SERVER: Final = {"Server": machine()}
IRELAND, BOTH = ["eu-west-1"], ["eu-west-1", "us-east-1"]


@pytest.mark.parametrize(("launching", "there", "asked", "expected"), [
    ((NONE, NONE), "1/us-east-1", IRELAND, UNKNOWN),
    ((NONE, NONE), "unknown-account/us-east-1", IRELAND, UNKNOWN),
    ((NONE, NONE), "unknown-account/eu-west-1", IRELAND, READY),
    ((NONE, NONE), "2/us-east-1", IRELAND, READY),
    ((SERVER, NONE), "1/us-east-1", IRELAND, READY),
    ((SERVER, SERVER), "1/us-east-1", IRELAND, UNKNOWN),
    ((SERVER, {"Fn::Transform": {"Name": "M"}}), "1/us-east-1", IRELAND, UNKNOWN),
    ((NONE, SERVER), "1/us-east-1", IRELAND, UNKNOWN),
    ((SERVER, SERVER), "1/us-east-1", BOTH, READY),
    ((SERVER, SERVER), "1/unknown-region", BOTH, UNKNOWN),
    ((SERVER, SERVER), "1/us-east-1", ["eu-west-2"], NEITHER),
])  # fmt: skip
def test_regions_of_the_calls(
    check: Check, launching: tuple[Body, Body], there: str, asked: list[str], expected: Found
) -> None:
    """They are those of the stacks that may launch instances, if any may."""
    here, other = launching
    limited = allow("*", Condition={"StringEquals": {"aws:RequestedRegion": asked}})
    bodies = profile_and_role(inline(limited), **here), {"Resources": other}

    assert check(*bodies, a="1", at={"b": there}, network=False).rules == expected
