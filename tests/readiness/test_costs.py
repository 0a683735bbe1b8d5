"""The cost of the check, in calls of functions, whose number is the same on every machine."""

import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest

from session_manager_permissions._readiness.check import check as judge_all
from session_manager_permissions._readiness.templates import Assembly
from tests.conftest import ROOT, run_python

from .networks import IDENTITY, VPC_ID, association, compute, group, part, subnet, with_endpoints
from .parts import att, ref
from .reports import NAMED, Body, Check, inline, machine, policy, profile_and_role, write
from .statements import ALL, allow
from .test_worlds import of_regions


def calls(folder: Path, body: Body, *, network: bool = True) -> int:
    """The number of function calls for the check of a template."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    paths = write(folder, {"Stack": body})
    sys.setprofile(note)
    try:
        judge_all(Assembly(paths), network=network)
    finally:
        sys.setprofile(None)
    return count


def of_instances(number: int) -> Body:
    """A template with five resources for each instance: a fifth of them subnets."""
    parts: Body = dict.fromkeys(IDENTITY)
    for index in range(number):
        named = {"SubnetId": ref(f"Subnet{index}"), "SecurityGroupIds": [ref(f"Group{index}")]}
        parts[f"Subnet{index}"] = subnet(f"10.0.{index % 256}.0/24")
        parts[f"Table{index}"] = part("RouteTable", **VPC_ID)
        parts[f"Association{index}"] = association(ref(f"Subnet{index}"), ref(f"Table{index}"))
        parts[f"Group{index}"] = group()
        parts[f"Instance{index}"] = compute(**named, IamInstanceProfile=None)
    return with_endpoints(parts)


def waiting(number: int) -> Body:
    """Instances that depend on each other."""
    given = {"IamInstanceProfile": ref("Profile")}
    late = policy(ALL | {"Sid": "SessionManagerChannels"})
    parts = {f"Late{one}": late for one in range(3)} | {"Machine0": machine(**given)}
    for one in range(1, number):
        parts[f"Machine{one}"] = machine(**given) | {"DependsOn": f"Machine{one - 1}"}
    return profile_and_role(**parts)


def of_one_role(number: int) -> Body:
    profile = profile_and_role()["Resources"]["Profile"]
    return profile_and_role(**{f"Profile{one}": profile for one in range(number)})


def of_roles_and_policies(number: int) -> Body:
    """Roles with their profiles and policies, and policies whose roles are not known."""
    more: Body = {}
    for one in range(number):
        of_role = profile_and_role(roles=[ref(f"Role{one}")])["Resources"]
        more |= {f"Role{one}": of_role["Role"], f"Profile{one}": of_role["Profile"]}
        more[f"Own{one}"] = policy(ALL, roles=[ref(f"Role{one}")])
        more[f"Loose{one}"] = policy(allow("s3:*"), roles=[ref(f"Name{one}")])
        more[f"Shared{one}"] = policy(allow("ssm:*"))
    return profile_and_role(**more)


def of_names(number: int) -> Body:
    number_0 = {"Fn::Select": [0, {"Fn::Split": [",", ",".join(map(str, range(number)))]}]}
    names = [att("Role", "Arn"), ref("Role"), ref("Name"), number_0]
    return profile_and_role(**{f"Policy{one}": policy(ALL, roles=names) for one in range(number)})


def without_profiles(number: int) -> Body:
    """Each role might be one that may give each instance a profile."""
    role = profile_and_role()["Resources"]["Role"]
    roles = {f"Role{one}": role for one in range(number)}
    return profile_and_role(**roles, **{f"Machine{one}": machine() for one in range(number)})


def with_a_script(number: int) -> Body:
    """A script that reads a map with `number` rows again and again."""
    body = of_regions(number)
    given = body["Resources"]["Instance"]["Properties"]
    given["UserData"] = {"Fn::Base64": {"Fn::Join": ["", [given["ImageId"]] * 20]}}
    return body


def with_a_script_on_conditions(number: int) -> Body:
    """A script that names the agent over and over, on an instance whose groups depend on these."""
    body = of_instances(2)
    instance = body["Resources"]["Instance0"]
    groups = [{"Fn::If": [f"Is{one}", ref("Group0"), ref("Group1")]} for one in range(number)]
    instance["Properties"]["SecurityGroupIds"] = groups
    instance["Metadata"] = {"AWS::CloudFormation::Init": "yum install amazon-ssm-agent\n" * 10_000}
    asked = {f"Is{one}": {"Fn::Equals": [ref(f"Asked{one}"), "yes"]} for one in range(number)}
    asking = {f"Asked{one}": {"Type": "String"} for one in range(number)}
    return body | {"Conditions": asked, "Parameters": asking}


def of_the_benchmark(made: str) -> Body:
    body: Body = runpy.run_path(str(ROOT / "benchmarks" / "readiness.py"))[made](400)
    return body


COSTS: Final[dict[str, tuple[Callable[[Any], Body], object, object, float]]] = {
    # what makes a template of so many, few and many, and how often the calls of few
    "instances": (of_instances, 40, 400, 11),
    # What each waits for is all that those before it wait for.
    "instances that wait for each other": (waiting, 100, 400, 5.5),
    "profiles of one role": (of_one_role, 100, 400, 4.4),
    "roles and policies": (of_roles_and_policies, 100, 400, 4.4),
    "policies that name several roles": (of_names, 100, 400, 4.4),
    "instances without profiles": (without_profiles, 100, 400, 4.4),
    "rows of a map that a script reads": (with_a_script, 2, 32, 20),
    "conditions beside a script": (with_a_script_on_conditions, 1, 5, 6),
    # Of four conditions each part of a path tells two apart, or three, and not all 16 worlds.
    "conditions that are independent": (of_the_benchmark, "template", "on_conditions", 3),
}


@pytest.mark.parametrize("of", COSTS)
def test_cost_grows_with_the_size_and_no_faster(tmp_path: Path, of: str) -> None:
    make, few, many, factor = COSTS[of]

    of_few, of_many = (calls(tmp_path, make(number)) for number in (few, many))

    assert of_many < factor * of_few


def test_cost_of_a_resource_and_of_a_profile(tmp_path: Path) -> None:
    large = of_instances(400)
    whole, without = (calls(tmp_path, large, network=one) for one in (True, False))

    assert whole < 220 * len(large["Resources"])  # of 2,000 resources, 400 of them subnets
    assert without < whole / 2  # the network is what costs here
    one, several = (calls(tmp_path, make(100)) for make in (of_one_role, of_roles_and_policies))
    assert one < several / 3  # profiles of one role are judged once


UNREADY: Final = """
import sys
import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from session_manager_permissions import SessionManagerReadiness

app = cdk.App(outdir="cdk.out")
vpc = ec2.Vpc(cdk.Stack(app, "Stack"), "Vpc")
size, image = ec2.InstanceType("t3.micro"), ec2.MachineImage.latest_amazon_linux2023()
for number in range(int(sys.argv[1])):
    ec2.Instance(vpc, f"Server{number}", vpc=vpc, instance_type=size, machine_image=image)
cdk.Validations.of(app).add_plugins(SessionManagerReadiness())
cdk.Token.is_unresolved("synthesis")
app.synth()
"""


def test_requests_for_a_fix_as_code(tmp_path: Path) -> None:
    """A fix costs the same number of requests to Node.js, however many constructs are beside it."""

    def requests(number: int) -> int:
        done = run_python("-c", UNREADY, str(number), cwd=tmp_path, env={"JSII_DEBUG": "1"})
        (report,) = (tmp_path / "cdk.out").glob("*validation-report.json")
        assert report.read_text().count("def fix_session_manager") == number
        return done.stderr.partition('["synthesis"]')[2].count('> {"')

    assert requests(11) - requests(1) <= 10 * 36


OPENED: Final[dict[str, Callable[[int], Body]]] = {
    "Fn::Sub": lambda times: policy(ALL, roles=[{"Fn::Sub": "${" * times}]),
    "Fn::Sub that closes": lambda times: policy(ALL, roles=[{"Fn::Sub": "${a}-" * times}]),
    "dynamic reference": lambda times: policy(ALL, roles=["{{resolve:" * times]),
    "dynamic reference that closes": lambda times: policy(ALL, roles=["{{resolve:a}}" * times]),
    "action": lambda times: policy(allow("${" * times)),
    "action that closes": lambda times: policy(allow("${a}" * times)),
    "resource": lambda times: policy(allow("ssm:*", on="${" * times)),
    "script": lambda times: machine(UserData="ssm -register " * (times // 10)),
}


@pytest.mark.untraced
@pytest.mark.parametrize("kind", OPENED)
def test_cost_of_a_text_that_opens_over_and_over(check: Check, kind: str) -> None:
    """Ten times as long a text takes about ten times as long, and not a hundred times."""

    def took(times: int) -> float:
        body = profile_and_role(NAMED | inline(ALL), Policy=OPENED[kind](times))
        start = time.process_time()
        check(body)
        return time.process_time() - start

    few, many = (min(took(times) for _ in range(3)) for times in (5_000, 50_000))

    assert many < 40 * few
