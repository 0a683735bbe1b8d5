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


TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "ec2.amazonaws.com"},
    "Action": "sts:AssumeRole",
}


def statement(*actions: str, on: object = "*", **more: object) -> dict[str, Any]:
    """A statement that allows."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def policy(role: str, *statements: dict[str, Any]) -> dict[str, Any]:
    """An `AWS::IAM::Policy` on a role of the template."""
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return {
        "Type": "AWS::IAM::Policy",
        "Properties": {"PolicyDocument": document, "Roles": [{"Ref": role}]},
    }


def machine(number: int) -> dict[str, Any]:
    """Ten resources: a machine, its profile, role and policies, and what else a stack has."""
    role, bucket = f"Role{number}", f"Bucket{number}"
    arn = {"Fn::GetAtt": [bucket, "Arn"]}
    core = "iam::aws:policy/AmazonSSMManagedInstanceCore"
    managed = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, f":{core}"]]}
    others = {
        f"{kind}{number}": {"Type": f"AWS::Other::{kind}", "Properties": {"Of": {"Ref": bucket}}}
        for kind in ("Group", "Rule", "Queue", "Alarm")
    }
    return others | {
        bucket: {"Type": "AWS::S3::Bucket"},
        role: {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {"Statement": [TRUST]},
                "ManagedPolicyArns": [] if number % 2 else [managed],
            },
        },
        f"Default{number}": policy(
            role,
            statement("s3:GetObject*", "s3:GetBucket*", "s3:List*", on=[arn]),
            statement("logs:CreateLogStream", "logs:PutLogEvents", on=arn),
            statement("sqs:SendMessage", "sqs:GetQueueUrl", on=arn),
        ),
        f"Ours{number}": policy(role, statement(*CHANNELS.actions, Sid=CHANNELS.sid)),
        f"Profile{number}": {
            "Type": "AWS::IAM::InstanceProfile",
            "Properties": {"Roles": [{"Ref": role}]},
        },
        f"Instance{number}": {
            "Type": "AWS::EC2::Instance",
            "Properties": {"IamInstanceProfile": {"Ref": f"Profile{number}"}},
            "DependsOn": [role],
        },
    }


def place(number: int) -> dict[str, Any]:
    """Ten resources: two subnets with their routes, a security group, and a machine in both."""
    subnets: dict[str, Any] = {}
    for letter in "AB":
        name = f"{number}{letter}"
        table = {"Ref": f"Table{name}"}
        subnets |= {
            f"Subnet{name}": {
                "Type": "AWS::EC2::Subnet",
                "Properties": {
                    "VpcId": {"Ref": "Vpc"},
                    "CidrBlock": f"10.{number % 256}.{'AB'.index(letter)}.0/24",
                },
            },
            f"Table{name}": {
                "Type": "AWS::EC2::RouteTable",
                "Properties": {"VpcId": {"Ref": "Vpc"}},
            },
            f"Route{name}": {
                "Type": "AWS::EC2::Route",
                "Properties": {
                    "RouteTableId": table,
                    "DestinationCidrBlock": "0.0.0.0/0",
                    "NatGatewayId": {"Ref": "Nat"},
                },
            },
            f"Association{name}": {
                "Type": "AWS::EC2::SubnetRouteTableAssociation",
                "Properties": {"SubnetId": {"Ref": f"Subnet{name}"}, "RouteTableId": table},
            },
        }
    return subnets | {
        f"Group{number}": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {"VpcId": {"Ref": "Vpc"}, "SecurityGroupEgress": [OUT]},
        },
        f"Machine{number}": {
            "Type": "AWS::EC2::Instance",
            "Properties": {
                "IamInstanceProfile": {"Ref": "Profile0"},
                "SubnetId": {"Ref": f"Subnet{number}A"},
                "SecurityGroupIds": [{"Fn::GetAtt": [f"Group{number}", "GroupId"]}],
            },
        },
    }


OUT = {"CidrIp": "0.0.0.0/0", "IpProtocol": "-1"}


def network() -> dict[str, Any]:
    """What the places of a template share: a VPC, and a NAT gateway in a public subnet."""
    vpc = {"VpcId": {"Ref": "Vpc"}}
    public: dict[str, Any] = place(0)
    public["Route0A"]["Properties"] = {
        "RouteTableId": {"Ref": "Table0A"},
        "DestinationCidrBlock": "0.0.0.0/0",
        "GatewayId": {"Ref": "Gateway"},
    }
    return public | {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/8"}},
        "Gateway": {"Type": "AWS::EC2::InternetGateway"},
        "Attachment": {
            "Type": "AWS::EC2::VPCGatewayAttachment",
            "Properties": vpc | {"InternetGatewayId": {"Ref": "Gateway"}},
        },
        "Nat": {
            "Type": "AWS::EC2::NatGateway",
            "Properties": {"SubnetId": {"Ref": "Subnet0A"}},
        },
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


def measure(kind: str, made: Callable[[int], dict[str, Any]]) -> None:
    """Print a Markdown table of growing templates."""
    types = {"profiles": "AWS::IAM::InstanceProfile", "subnets": "AWS::EC2::Subnet"}
    print(f"| resources | {kind} | findings | ms, median | lowest to highest | µs a resource |")
    print("|--:|--:|--:|--:|--:|--:|")
    for size in SIZES:
        template = made(size)
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
