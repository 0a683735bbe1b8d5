"""A verdict holds in every world that the conditions of templates allow, and in no other."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from session_manager_permissions._readiness.worlds import MAX_WORLDS

from .launches import by_id, template
from .networks import (
    NO_WAY,
    ON,
    STACK,
    TO_NAT,
    compute,
    either,
    endpoint,
    part,
    route,
    subnet,
    templated,
    with_endpoints,
)
from .parts import att, on, ref, resource, rows
from .reports import Body, Check, inline, machine, policy, profile_and_role
from .statements import (
    ALL,
    CHANNELS_ONLY,
    DENIED,
    NEITHER,
    NO_CHANNEL,
    NO_REGISTRATION,
    READY,
    UNKNOWN,
    Found,
    allow,
    deny,
)
from .test_what_findings_say import session


def equals(one: object, other: object) -> Body:
    return {"Fn::Equals": [one, other]}


def neither(*conditions: object) -> Body:
    return {"Fn::Not": [{"Fn::Or": [*conditions]}]}


def named(name: str) -> dict[str, str]:
    return {"Condition": name}


def env(*allowed: object, type_: str = "String") -> Body:
    """A parameter with these values."""
    return {"Env": {"Type": type_, "AllowedValues": [*allowed]}}


ONE, TWO = env("prod"), env("prod", "dev")
FREE: Final = {"Env": {"Type": "String"}}
BY_SSM: Final = "AWS::SSM::Parameter::Value<String>"
PROD, DEV = equals(ref("Env"), "prod"), equals("dev", ref("Env"))


def sized(default: str) -> Body:
    return {"Fn::FindInMap": ["Sizes", ref("Env"), "size", {"DefaultValue": default}]}


LARGE: Final = equals({"Fn::FindInMap": ["Sizes", ref("Env"), "size"]}, "large")
ENV_1: Final = {"Fn::Sub": "${Env}-1"}


def other_than(condition: object) -> Body:
    return {"Fn::Not": [condition]}


ENV, REGION = ref("Env"), ref("AWS::Region")
BOTH: Final = {"Fn::And": [PROD, DEV]}
CONDITIONS: Final[list[tuple[str, Body, object, object, Found]]] = [
    # the parameters; that the role has ALL on the condition A, and on the condition B
    ("of nothing", {}, None, None, UNKNOWN),
    ("of a free parameter", FREE, PROD, DEV, UNKNOWN),
    ("of all allowed values", TWO, PROD, DEV, READY),
    ("of a value that is not allowed", TWO, PROD, equals(ENV, "test"), UNKNOWN),
    ("and the opposite", FREE, PROD, other_than(PROD), READY),
    ("and the opposite by name", FREE, PROD, other_than(named("A")), READY),
    ("and neither", FREE, {"Fn::Or": [PROD, DEV]}, neither(PROD, DEV), READY),
    ("and neither of some", FREE, PROD, neither(PROD, DEV), UNKNOWN),
    ("both at once", FREE, BOTH, BOTH, NEITHER),
    ("always", FREE, equals("a", "a"), PROD, READY),
    ("never", FREE, equals("a", "b"), equals("a", ""), NEITHER),
    ("of the region", {}, equals(REGION, "eu-west-1"), equals(1, 2), READY),
    ("of another region", {}, equals(REGION, "us-east-1"), equals(1, 2), NEITHER),
    ("of another partition", {}, equals(ref("AWS::Partition"), "aws-cn"), equals(1, 2), NEITHER),
    ("of the account, which is not known", {},
     equals(ref("AWS::AccountId"), "1"), other_than(named("A")), READY),
    ("of a map", TWO | {"Map": {}}, LARGE, DEV, READY),
    ("of a map, by any parameter", FREE, LARGE, DEV, READY),
    ("of a map, or the default of any other value", FREE,
     equals(sized("small"), "large"), equals(sized("small"), "small"), READY),
    ("of a map, or a default that is neither", FREE, equals(sized("none"), "large"), DEV, UNKNOWN),
    ("of a boolean", env(*[True, False]), equals(ENV, "true"), equals(ENV, "false"), READY),
    ("of a text with a parameter in it", FREE, equals(ENV_1, "prod-1"), other_than(PROD), READY),
    ("of no such text", FREE, equals(ENV_1, "prod"), equals({"Fn::Sub": "a${Env}"}, ""), NEITHER),
    *((f"of a text that is not empty, of type {type_} and length {least}",
       {"Env": {"Type": type_, "MinLength": least}}, other_than(equals(ENV, "")), BOTH, found)
      for type_, least, found in (
          ("String", 0, UNKNOWN), ("String", "0", UNKNOWN), ("String", 1, READY),
          ("AWS::EC2::VPC::Id", 0, READY), (BY_SSM, 0, READY), ("Number", 0, READY))),
    ("of an empty account", {}, equals(ref("AWS::AccountId"), ""), equals(1, 2), NEITHER),
    ("of two parameters", FREE | {"Other": {"Type": "String"}},
     equals(ENV, ref("Other")), other_than(equals(ref("Other"), ENV)), READY),
    ("of a parameter and itself", FREE, equals(ENV, ENV), PROD, READY),
    ("of the one value that is allowed", ONE, PROD, DEV, READY),
    ("of the one value that is allowed, twice", env(1, 1, type_="Number"),
     equals(ENV, "1"), equals(ENV, "2"), READY),
    ("of a text of that value", ONE, equals(ENV_1, {"Fn::Join": ["-", [ENV, "1"]]}), DEV, READY),
    ("of the one entry of a list", env("prod", type_="CommaDelimitedList"), PROD, DEV, UNKNOWN),
    ("of one of Systems Manager with one value", env("prod", type_=BY_SSM), PROD, DEV, UNKNOWN),
    ("of one of Systems Manager", env("prod", "dev", type_=BY_SSM), PROD, DEV, UNKNOWN),
    ("of the length of a list", {}, equals({"Fn::Length": ["a", "b"]}, 2), equals(1, 2), READY),
    ("of the length of a list that is not known", {"L": {"Type": "CommaDelimitedList"}},
     equals({"Fn::Length": ref("L")}, 2), equals(1, 2), UNKNOWN),
    ("in a circle", {}, named("B"), named("A"), NEITHER),
    ("malformed", {}, {"Fn::Equals": "a"}, other_than(named("A")), READY),
]  # fmt: skip


@pytest.mark.parametrize(("given", "on_a", "on_b", "expected"), rows(CONDITIONS))
def test_condition(check: Check, given: Body, on_a: object, on_b: object, expected: Found) -> None:
    sizes = {"Sizes": {"prod": {"size": "large"}, "dev": {"size": "small"}}}
    body = profile_and_role(OfA=policy(ALL, Condition="A"), OfB=policy(ALL, Condition="B"))
    conditions = {name: one for name, one in (("A", on_a), ("B", on_b)) if one is not None}
    more = {"Parameters": given, "Conditions": conditions, "Mappings": sizes}

    assert check(body | more).rules == expected


def test_worlds_that_lack_one_of_both_each_say_what_they_lack(check: Check) -> None:
    body = profile_and_role(
        OfA=policy(CHANNELS_ONLY, Condition="A"),
        OfB=policy(allow("ssm:UpdateInstanceInformation"), Condition="B"),
    )
    more = {"Parameters": TWO, "Conditions": {"A": PROD, "B": DEV}}

    assert check(body | more).rules == NO_CHANNEL | NO_REGISTRATION


def many(number: int, one: Callable[[int], Any]) -> list[Any]:
    return [either(one(index), condition=f"C{index}") for index in range(number)]


def on_conditions(number: int, one: Callable[[int], Body]) -> Body:
    """That many resources, each on a condition of its own."""
    return {f"Part{index}": on(one(index), f"C{index}") for index in range(number)}


def enters(_: int) -> Body:
    given = {"GroupId": att("Group", "GroupId"), "IpProtocol": "-1", "CidrIp": "10.9.0.0/16"}
    return part("SecurityGroupIngress", **given)


def with_properties(number: int) -> Body:
    several = {f"Property{one}": either(one, condition=f"C{one}") for one in range(number)}
    return compute(**several)


def running(number: int, line: Callable[[int], str] = "yum install -y package-{}\n".format) -> Any:  # noqa: ANN401
    """User data with that many lines."""
    return {"Fn::Base64": {"Fn::Join": ["", ["#!/bin/bash\n", *many(number, line)]]}}


def echoing(number: int) -> dict[str, Any]:
    """User data with that many variables."""
    values = {f"Of{one}": either("a", "b", condition=f"C{one}") for one in range(number)}
    pattern = "".join(f"echo ${{{name}}}\n" for name in values)
    return {"Fn::Base64": {"Fn::Sub": [pattern, values]}}


def of_regions(number: int) -> dict[str, Any]:
    """An instance in one of that many regions, which have an image each."""
    images = {f"r{one}": {"image": f"ami-{one}"} for one in range(number)}
    image = {"Fn::FindInMap": ["Images", ref("Env"), "image"]} if images else "ami-1"
    groups = many(1, lambda _: ref("Group"))
    body = with_endpoints(Instance=compute(ImageId=image, SecurityGroupIds=groups))
    return body | {"Mappings": {"Images": images}, "Parameters": FREE}


def with_managed(number: int, name: str = "AmazonS3ReadOnlyAccess") -> dict[str, Any]:
    """A role with that many policies of AWS."""
    arns = many(number, lambda _: f"arn:aws:iam::aws:policy/{name}")
    return profile_and_role({**inline(ALL), "ManagedPolicyArns": arns})


DECIDES_NOTHING: Final[dict[str, Callable[[int], Body]]] = {
    "statements about something else": lambda n: profile_and_role(
        inline(ALL, *many(n, lambda _: deny("s3:*")))),
    "actions of something else": lambda n: profile_and_role(
        inline(ALL, allow(*many(n, lambda one: f"s3:Get{one}")))),
    "policies about something else": lambda n: profile_and_role(
        inline(ALL), **on_conditions(n, lambda _: policy(deny("s3:*")))),
    "properties that say nothing": lambda n: with_endpoints(Instance=with_properties(n)),
    "lines about something else": lambda n: with_endpoints(Instance=compute(UserData=running(n))),
    "variables of a script": lambda n: with_endpoints(Instance=compute(UserData=echoing(n))),
    "the region of an image": lambda n: of_regions(4 * n),
    "more regions of an image than worlds": lambda n: of_regions(8 * n),
    "policies of AWS about something else": lambda n: with_managed(min(n, 10)),
    "other subnets": lambda n: with_endpoints(on_conditions(n, lambda _: subnet("10.0.1.0/24"))),
    "rules that let something else in": lambda n: with_endpoints(on_conditions(n, enters)),
    "parameters of a stack that is not read": lambda n: {"Resources": {"Nests": resource(
        STACK, Parameters={"InstanceProfile": "web", "Others": many(n, str)})}},
    "other endpoints": lambda n: with_endpoints(on_conditions(n, lambda one: endpoint(f"s{one}"))),
}  # fmt: skip


@pytest.mark.parametrize("kind", DECIDES_NOTHING)
def test_conditions_that_decide_nothing(check: Check, kind: str) -> None:
    made = DECIDES_NOTHING[kind]

    with_them, without = (check(made(number)).findings for number in (12, 0))

    assert [one.description for one in with_them] == [one.description for one in without]


@pytest.mark.parametrize(("number", "expected"), [(6, DENIED), (7, UNKNOWN)])
def test_too_many_worlds(check: Check, number: int, expected: Found) -> None:
    """2**6 are judged, and 2**7 are too many."""
    assert MAX_WORLDS == 2**6
    several = on_conditions(number, lambda _: policy(deny("ssm:*")))

    found = check(profile_and_role(inline(deny("*")), **several))

    assert found.rules == expected
    if expected == UNKNOWN:
        assert "on the condition 'C0', and on the condition 'C1'" in found.findings[0].description


@pytest.mark.parametrize("body", [
    with_endpoints(Instance=compute(SecurityGroupIds=many(7, lambda _: ref("Group")))),
    with_endpoints(Instance=compute(UserData=running(7, "stop amazon-ssm-agent {}\n".format))),
    with_endpoints(Instance=compute(ImageId={"Fn::Join": ["", many(7, "/aws/service/{}".format)]})),
    with_managed(7, "AmazonSSMManagedInstanceCore"),
    profile_and_role(inline(ALL), Machine=machine(
        IamInstanceProfile=ref("Profile"), SecurityGroupIds=many(7, "sg-{}".format))),
    profile_and_role(inline(ALL), Machine=machine(LaunchTemplate=by_id("1")), Template=template(
        IamInstanceProfile={"Name": ref("Profile")}, SecurityGroupIds=many(7, "sg-{}".format))),
])  # fmt: skip
def test_too_many_worlds_of_what_decides(check: Check, body: dict[str, Any]) -> None:
    report = check(body)

    (finding,) = report.findings
    assert "ready" not in report.verdicts
    assert "on the condition 'C0', and on the condition 'C1'" in finding.description


def test_what_decides_in_each_of_too_many_worlds_comes_first(check: Check) -> None:
    groups = many(7, lambda _: ref("Group"))
    body = with_endpoints(Instance=compute(SubnetId="subnet-1", SecurityGroupIds=groups))
    (finding,) = check(body).findings
    assert "depends on the subnet 'subnet-1', and on the condition 'C0'" in finding.description


def test_what_a_document_asks_of_a_new_role_where_one_is_needed(check: Check) -> None:
    """The instance is in one world, and the document has too many."""
    logged = session(cloudWatchLogGroupName={"Fn::Join": ["/", many(7, str)]})
    parts = {"Machine": on(machine(ImageId="ami-1"), "All"), "Document": logged}
    body = profile_and_role(inline(ALL), **parts)
    body["Conditions"] = {"All": {"Fn::And": [named(f"C{one}") for one in range(7)]}}
    assert "0/1/2/3/4/5/6" in check(body).only("no-instance-profile").fix


def test_a_late_policy_in_one_of_too_many_worlds(check: Check) -> None:
    """What was found in the worlds that are judged is told."""
    given = {"IamInstanceProfile": ref("Profile"), "SecurityGroupIds": many(8, "sg-{}".format)}
    late = policy(ALL)
    several = on_conditions(8, lambda _: policy(allow("s3:Get*")))

    found = check(profile_and_role(Machine=machine(**given), Late=late, **several))

    assert "boot-order" in found.rules


def test_profile_that_an_instance_only_mentions_is_none_of_its_own(check: Check) -> None:
    other = resource("AWS::IAM::InstanceProfile", Roles=[ref("Role")])
    mentions = {"Tags": [{"Key": "not", "Value": ref("Other")}], "UserData": ref("Other")}
    server = machine(IamInstanceProfile=ref("Profile"), **mentions)

    report = check(profile_and_role(inline(ALL), Other=other, Machine=server))

    assert report.verdicts == {"ready": 1, "can't be known": 1}


def test_conditions_of_the_instance_and_of_its_way_are_one(check: Check) -> None:
    more = {"Conditions": {"A": PROD, "B": {"Fn::Not": [PROD]}}, "Parameters": FREE}
    on_a = on(route(**TO_NAT), "A")
    for of_instance, is_shut in (("A", False), ("B", True), ("", False)):
        body = templated(PrivateRoute=on_a, Instance=on(compute(), of_instance))
        assert (NO_WAY in check(body | more).rules) is is_shut


def test_a_deployment_that_cloudformation_refuses_is_no_world(check: Check) -> None:
    """CloudFormation refuses to refer to what is not deployed."""
    body = profile_and_role(Policy=policy(ALL, Condition="C"))
    body["Resources"]["Role"]["Condition"] = "C"

    assert check(body).rules == READY

    del body["Resources"]["Policy"]
    body["Resources"]["Role"] |= {"Condition": "Never"}

    assert check(body | {"Conditions": {"Never": equals("a", "b")}}).verdicts == {}


@pytest.mark.parametrize("lacked", [
    resource("Custom::Given", Of=ref("Part")),
    resource("AWS::CloudFormation::Stack", Parameters={"Of": ref("Part")}),
    part("NewKind", SubnetId=ref("Part")),
    part("SecurityGroupEgress", GroupId=ref("Free"), IpProtocol="tcp", FromPort=att("Part", "X")),
    part("VPCDHCPOptionsAssociation", VpcId=ref("Free"), DhcpOptionsId=att("Part", "X")),
    part("VPCBlockPublicAccessOptions", InternetGatewayBlockMode=att("Part", "X")),
    resource("AWS::Route53::HostedZone", Name=att("Part", "X")),
])  # fmt: skip
def test_what_a_world_lacks_may_refer_to_more_that_it_lacks(check: Check, lacked: Body) -> None:
    others = {"Other": part("VPC", ON), "Part": part("Subnet", ON, VpcId=ref("Other"))}
    body = templated(others, PrivateRoute=on(route(**TO_NAT)), Lacked=on(lacked))

    found = check(body).only("cannot-be-known").description
    assert "on the condition 'Production'" in found
