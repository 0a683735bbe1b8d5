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


def main() -> None:
    """Print a Markdown table."""
    print("| resources | profiles | findings | ms, median | lowest to highest | µs a resource |")
    print("|--:|--:|--:|--:|--:|--:|")
    for size in SIZES:
        resources = {
            logical_id: body
            for number in range(size // 10)
            for logical_id, body in machine(number).items()
        }
        with TemporaryDirectory() as folder:
            path = Path(folder) / "Stack.template.json"
            path.write_text(json.dumps({"Resources": resources}, indent=1), encoding="utf-8")
            context = cast("cdk.IPolicyValidationContext", SimpleNamespace(template_paths=[path]))
            check, times = SessionManagerReadiness(), []
            for _ in range(RUNS):
                start = time.process_time()
                report = check.validate(context)
                times.append(1000 * (time.process_time() - start))
        median = statistics.median(times)
        print(
            f"| {len(resources)} | {size // 10} | {len(report.violations)} | {median:.1f} | "
            f"{min(times):.1f} to {max(times):.1f} | {1000 * median / len(resources):.0f} |"
        )


if __name__ == "__main__":
    main()
