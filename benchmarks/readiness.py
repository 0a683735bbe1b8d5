"""What the check at synthesis costs over growing templates: `python benchmarks/readiness.py`.

Time of the processor, so that what else runs on the machine counts little.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from session_manager_permissions import SessionManagerReadiness
from session_manager_permissions._needs import CHANNELS

if TYPE_CHECKING:
    import aws_cdk as cdk

SIZES = (60, 200, 600, 2000)
RUNS = 15
A_PLACE = 20
EC2 = {"Service": "ec2.amazonaws.com"}
TRUST = {"Statement": [{"Effect": "Allow", "Principal": EC2, "Action": "sts:AssumeRole"}]}
VPC = {"VpcId": {"Ref": "Vpc"}}
OUT = {"CidrIp": "0.0.0.0/0", "IpProtocol": "-1"}
NOTHING = {"Ref": "AWS::NoValue"}


def made(kind: str, **properties: object) -> dict[str, Any]:
    """A resource of a type of AWS."""
    return {"Type": f"AWS::{kind}", "Properties": properties}


def ref(name: str) -> dict[str, str]:
    """A reference to a resource of the template."""
    return {"Ref": name}


def policy(role: str, *actions: str) -> dict[str, Any]:
    """An `AWS::IAM::Policy` on a role of the template."""
    document = {"Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    return made("IAM::Policy", PolicyDocument=document, Roles=[ref(role)])


def route(table: str, **target: object) -> dict[str, Any]:
    """A default route."""
    return made("EC2::Route", RouteTableId=ref(table), DestinationCidrBlock="0.0.0.0/0", **target)


def place(number: int) -> dict[str, Any]:
    """Twenty resources: a machine with its role, two subnets, and what else a stack has."""
    role, profile, group = (f"{kind}{number}" for kind in ("Role", "Profile", "Group"))
    core = {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"}
    found = {
        role: made("IAM::Role", AssumeRolePolicyDocument=TRUST, ManagedPolicyArns=[core]),
        f"Default{number}": policy(role, "s3:GetObject*", "s3:List*", "logs:PutLogEvents"),
        f"Ours{number}": policy(role, *CHANNELS.actions),
        profile: made("IAM::InstanceProfile", Roles=[ref(role)]),
        group: made("EC2::SecurityGroup", **VPC, SecurityGroupEgress=[OUT]),
        f"Machine{number}": made(
            "EC2::Instance",
            IamInstanceProfile=ref(profile),
            SubnetId=ref(f"Subnet{number}A"),
            SecurityGroupIds=[{"Fn::GetAtt": [group, "GroupId"]}],
        ),
        **{f"Other{number}{one}": made("Other::Kind", Of=ref(role)) for one in range(6)},
    }
    for third, letter in enumerate("AB"):
        subnet, table = f"Subnet{number}{letter}", f"Table{number}{letter}"
        association = {"SubnetId": ref(subnet), "RouteTableId": ref(table)}
        found |= {
            subnet: made("EC2::Subnet", **VPC, CidrBlock=f"10.{number % 256}.{third}.0/24"),
            table: made("EC2::RouteTable", **VPC),
            f"Route{number}{letter}": route(table, NatGatewayId=ref("Nat")),
            f"Association{number}{letter}": made("EC2::SubnetRouteTableAssociation", **association),
        }
    return found


def template(size: int) -> dict[str, Any]:
    """A template of about this many resources: places behind the NAT gateway of the first one."""
    places = {name: body for one in range(size // A_PLACE) for name, body in place(one).items()}
    shared = {
        "Route0A": route("Table0A", GatewayId=ref("Gateway")),
        "Vpc": made("EC2::VPC", CidrBlock="10.0.0.0/8"),
        "Gateway": made("EC2::InternetGateway"),
        "Attachment": made("EC2::VPCGatewayAttachment", **VPC, InternetGatewayId=ref("Gateway")),
        "Nat": made("EC2::NatGateway", SubnetId=ref("Subnet0A")),
    }
    return {"Resources": places | shared}


def on_conditions(size: int) -> dict[str, Any]:
    """The same on four conditions, each of a parameter of its own."""
    resources = template(size)["Resources"]
    for name, resource in resources.items():
        properties, kind = resource["Properties"], resource["Type"]
        if name.startswith("Ours") or kind == "AWS::EC2::VPCGatewayAttachment":
            resource["Condition"] = "C0"
        elif kind == "AWS::IAM::Role":
            core = properties["ManagedPolicyArns"]
            properties["ManagedPolicyArns"] = {"Fn::If": ["C1", core, NOTHING]}
        elif kind == "AWS::EC2::SecurityGroup":
            out = {"Fn::If": ["C1", OUT, OUT | {"CidrIp": "10.0.0.0/8"}]}
            properties["SecurityGroupEgress"] = [out]
        elif kind == "AWS::EC2::Instance":
            subnet = properties["SubnetId"]
            other = ref(subnet["Ref"][:-1] + "B")
            properties["SubnetId"] = {"Fn::If": ["C2", subnet, other]}
        elif kind == "AWS::EC2::Route":
            resource["Condition"] = "C3"
    numbers = range(4)
    return {
        "Parameters": {f"P{one}": {"Type": "String"} for one in numbers},
        "Conditions": {f"C{one}": {"Fn::Equals": [ref(f"P{one}"), "yes"]} for one in numbers},
        "Resources": resources,
    }


def cost(body: dict[str, Any]) -> str:
    """The row of a template: what the check finds, and how long it takes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "Stack.template.json"
        path.write_text(json.dumps(body, indent=1), encoding="utf-8")
        context = cast("cdk.IPolicyValidationContext", SimpleNamespace(template_paths=[path]))
        check, times = SessionManagerReadiness(), []
        for _ in range(RUNS):
            start = time.process_time()
            report = check.validate(context)
            times.append(1000 * (time.process_time() - start))
    median, count = statistics.median(times), len(body["Resources"])
    return (
        f"| {count} | {len(report.violations)} | {median:.1f} | {min(times):.1f} to "
        f"{max(times):.1f} | {1000 * median / count:.0f} |"
    )


def main() -> None:
    """Print Markdown tables: of templates without conditions, and with four."""
    for make in (template, on_conditions):
        print(f"\n{make.__doc__}\n")
        print("| resources | findings | ms, median | lowest to highest | µs a resource |")
        print("|--:|--:|--:|--:|--:|")
        for size in SIZES:
            print(cost(make(size)))


if __name__ == "__main__":
    main()
