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
    from collections.abc import Callable

    import aws_cdk as cdk

SIZES = (50, 100, 200, 500, 1000, 2000)
RUNS = 15


def made(kind: str, **properties: object) -> dict[str, Any]:
    """A resource of a type of AWS."""
    return {"Type": f"AWS::{kind}", "Properties": properties}


def ref(name: str) -> dict[str, str]:
    """A reference to a resource of the template."""
    return {"Ref": name}


EC2 = {"Service": "ec2.amazonaws.com"}
TRUST = {"Effect": "Allow", "Principal": EC2, "Action": "sts:AssumeRole"}
VPC = {"VpcId": ref("Vpc")}
OUT = {"CidrIp": "0.0.0.0/0", "IpProtocol": "-1"}


def statement(*actions: str, on: object = "*", **more: object) -> dict[str, Any]:
    """A statement that allows."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def policy(role: str, *statements: dict[str, Any]) -> dict[str, Any]:
    """An `AWS::IAM::Policy` on a role of the template."""
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return made("IAM::Policy", PolicyDocument=document, Roles=[ref(role)])


def machine(number: int) -> dict[str, Any]:
    """Ten resources: a machine, its profile, role and policies, and what else a stack has."""
    role, bucket, profile = f"Role{number}", f"Bucket{number}", f"Profile{number}"
    arn = {"Fn::GetAtt": [bucket, "Arn"]}
    core = ":iam::aws:policy/AmazonSSMManagedInstanceCore"
    managed = [] if number % 2 else [{"Fn::Join": ["", ["arn:", ref("AWS::Partition"), core]]}]
    kinds = ("Group", "Rule", "Queue", "Alarm")
    return {f"{kind}{number}": made(f"Other::{kind}", Of=ref(bucket)) for kind in kinds} | {
        bucket: made("S3::Bucket"),
        role: made(
            "IAM::Role", AssumeRolePolicyDocument={"Statement": [TRUST]}, ManagedPolicyArns=managed
        ),
        f"Default{number}": policy(
            role,
            statement("s3:GetObject*", "s3:GetBucket*", "s3:List*", on=[arn]),
            statement("logs:CreateLogStream", "logs:PutLogEvents", on=arn),
            statement("sqs:SendMessage", "sqs:GetQueueUrl", on=arn),
        ),
        f"Ours{number}": policy(role, statement(*CHANNELS.actions, Sid=CHANNELS.sid)),
        profile: made("IAM::InstanceProfile", Roles=[ref(role)]),
        f"Instance{number}": made("EC2::Instance", IamInstanceProfile=ref(profile))
        | {"DependsOn": [role]},
    }


def route(table: str, **target: object) -> dict[str, Any]:
    """A default route."""
    whole = {"RouteTableId": ref(table), "DestinationCidrBlock": "0.0.0.0/0"}
    return made("EC2::Route", **whole, **target)


def place(number: int) -> dict[str, Any]:
    """Ten resources: two subnets with their routes, a security group, and a machine in both."""
    found: dict[str, Any] = {}
    for letter, third in (("A", 0), ("B", 1)):
        name = f"{number}{letter}"
        subnet, table = f"Subnet{name}", f"Table{name}"
        association = {"SubnetId": ref(subnet), "RouteTableId": ref(table)}
        cidr = f"10.{number % 256}.{third}.0/24"
        found |= {
            subnet: made("EC2::Subnet", **VPC, CidrBlock=cidr),
            table: made("EC2::RouteTable", **VPC),
            f"Route{name}": route(table, NatGatewayId=ref("Nat")),
            f"Association{name}": made("EC2::SubnetRouteTableAssociation", **association),
        }
    group = f"Group{number}"
    found[group] = made("EC2::SecurityGroup", **VPC, SecurityGroupEgress=[OUT])
    found[f"Machine{number}"] = made(
        "EC2::Instance",
        IamInstanceProfile=ref("Profile0"),
        SubnetId=ref(f"Subnet{number}A"),
        SecurityGroupIds=[{"Fn::GetAtt": [group, "GroupId"]}],
    )
    return found


def network() -> dict[str, Any]:
    """What the places of a template share: a VPC, and a NAT gateway in a public subnet."""
    return place(0) | {
        "Route0A": route("Table0A", GatewayId=ref("Gateway")),
        "Vpc": made("EC2::VPC", CidrBlock="10.0.0.0/8"),
        "Gateway": made("EC2::InternetGateway"),
        "Attachment": made("EC2::VPCGatewayAttachment", **VPC, InternetGatewayId=ref("Gateway")),
        "Nat": made("EC2::NatGateway", SubnetId=ref("Subnet0A")),
    }


def of_machines(size: int) -> dict[str, Any]:
    """A template of that many resources, of which a tenth are instances with roles."""
    return {name: body for one in range(size // 10) for name, body in machine(one).items()}


def of_places(size: int) -> dict[str, Any]:
    """A template of about that many resources, of which a fifth are subnets."""
    shared = machine(0) | network()
    return shared | {
        name: body for one in range(1, size // 10 + 1) for name, body in place(one).items()
    }


def on_conditions(resources: dict[str, Any]) -> dict[str, Any]:
    """A template whose profiles and places depend on four conditions, each of its own parameter."""
    for name, resource in resources.items():
        properties, kind = resource.setdefault("Properties", {}), resource["Type"]
        if name.startswith("Ours"):
            resource["Condition"] = "C0"
        elif kind == "AWS::IAM::Role":
            arns = properties["ManagedPolicyArns"]
            properties["ManagedPolicyArns"] = {"Fn::If": ["C1", arns, {"Ref": "AWS::NoValue"}]}
        elif kind == "AWS::EC2::Instance" and "SubnetId" in properties:
            subnet = {"Ref": properties["SubnetId"]["Ref"][:-1] + "B"}
            properties["SubnetId"] = {"Fn::If": ["C2", properties["SubnetId"], subnet]}
        elif kind == "AWS::EC2::Instance":
            off = {"HttpEndpoint": {"Fn::If": ["C2", "enabled", "disabled"]}}
            properties["MetadataOptions"] = off
        elif kind == "AWS::EC2::Route":
            resource["Condition"] = "C3"
        elif kind == "AWS::EC2::SecurityGroup":
            out = {"Fn::If": ["C1", OUT, OUT | {"CidrIp": "10.0.0.0/8"}]}
            properties["SecurityGroupEgress"] = [out]
        elif kind == "AWS::EC2::VPCGatewayAttachment":
            resource["Condition"] = "C0"
    return {
        "Parameters": {f"P{number}": {"Type": "String"} for number in range(4)},
        "Conditions": {
            f"C{number}": {"Fn::Equals": [{"Ref": f"P{number}"}, "yes"]} for number in range(4)
        },
        "Resources": resources,
    }


def main() -> None:
    """Print Markdown tables."""
    measure("profiles", lambda size: {"Resources": of_machines(size)})
    measure("subnets", lambda size: {"Resources": of_places(size)})
    print("With four conditions:\n")
    measure("profiles", lambda size: on_conditions(of_machines(size)))
    measure("subnets", lambda size: on_conditions(of_places(size)))


def measure(kind: str, template_of: Callable[[int], dict[str, Any]]) -> None:
    """Print a Markdown table of growing templates."""
    types = {"profiles": "AWS::IAM::InstanceProfile", "subnets": "AWS::EC2::Subnet"}
    print(f"| resources | {kind} | findings | ms, median | lowest to highest | µs a resource |")
    print("|--:|--:|--:|--:|--:|--:|")
    for size in SIZES:
        template = template_of(size)
        resources = template["Resources"]
        count = [body["Type"] for body in resources.values()].count(types[kind])
        with TemporaryDirectory() as folder:
            path = Path(folder) / "Stack.template.json"
            path.write_text(json.dumps(template, indent=1), encoding="utf-8")
            context = cast("cdk.IPolicyValidationContext", SimpleNamespace(template_paths=[path]))
            check, times = SessionManagerReadiness(), []
            for _ in range(RUNS):
                start = time.process_time()
                report = check.validate(context)
                times.append(1000 * (time.process_time() - start))
        median = statistics.median(times)
        print(
            f"| {len(resources)} | {count} | {len(report.violations)} | {median:.1f} | "
            f"{min(times):.1f} to {max(times):.1f} | {1000 * median / len(resources):.0f} |"
        )
    print()


if __name__ == "__main__":
    main()
