"""What the check says of every cause and how it says it: the texts are in a snapshot.

To reword one: change it, run this with `--snapshot-update`, and read the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from session_manager_permissions._needs import CHANNELS
from session_manager_permissions._readiness.rules import RULES

from .policy_table import ALL, AWS, CHANNELS_ONLY, allow, deny, not_actions
from .reports import NAMED, Check, inline, machine, managed_policy, policy, profile_and_role

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

BOUNDARY = {"PermissionsBoundary": {"Ref": "Boundary"}}
MAYBE = allow("*", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}})
NESTED = {
    "Type": "AWS::CloudFormation::Stack",
    "Properties": {"TemplateURL": "https://s3.amazonaws.com/templates/agent.yaml"},
}


def long(length: int) -> dict[str, Any]:
    return allow("s3:GetObject", on=f"arn:aws:s3:::{'a' * length}")


def arns(number: int) -> dict[str, Any]:
    """A role with the managed policies of other apps."""
    return {"ManagedPolicyArns": [f"arn:aws:iam::1:policy/{one}" for one in range(number)]}


def decrypts(*on: object) -> dict[str, Any]:
    return profile_and_role(inline(ALL, allow("kms:Decrypt", on=list(on), Sid="Key")))


def on_a_condition(body: dict[str, Any]) -> dict[str, Any]:
    body["Resources"]["Role"]["Condition"] = "IsProduction"
    return body


ELEVEN = (
    *("AdministratorAccess", "AmazonS3ReadOnlyAccess", "AmazonS3FullAccess", "PowerUserAccess"),
    *("ReadOnlyAccess", "AmazonEC2FullAccess", "AmazonEC2ReadOnlyAccess", "IAMFullAccess"),
    *("IAMReadOnlyAccess", "SecurityAudit", "job-function/ViewOnlyAccess"),
)
OURS = policy(ALL | {"Sid": CHANNELS.sid})
MACHINE = {"IamInstanceProfile": {"Ref": "Profile"}}
MINIMAL = (
    "{{resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-x86_64}}"
)


def session(**inputs: object) -> dict[str, Any]:
    content = {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs}
    properties = {"DocumentType": "Session", "Content": content}
    return {"Type": "AWS::SSM::Document", "Properties": properties}


SESSION = session(kmsKeyId={"Fn::GetAtt": ["Key", "Arn"]})
AS_ROOT = session(runAsEnabled=True, runAsDefaultUser="root")
LOGGED = session(cloudWatchLogGroupName="sessions")
SERVICE = {
    "Type": "AWS::ECS::Service",
    "Properties": {"EnableExecuteCommand": True, "TaskDefinition": {"Ref": "Task"}},
}
TASK = {
    "Type": "AWS::ECS::TaskDefinition",
    "Properties": {"ContainerDefinitions": [{"Name": "app", "ReadonlyRootFilesystem": True}]},
}
GRANT = policy(
    allow("ssm:StartSession", Condition={"StringEquals": {"ssm:resourceTag/Team": "web"}}),
    roles=["operators"],
)
GROUP: dict[str, Any] = {
    "Type": "AWS::EC2::SecurityGroup",
    "Properties": {"VpcId": {"Ref": "Vpc"}, "GroupDescription": "-"},
}
RDS = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "rds.amazonaws.com"}}


def endpoint(service: str, **more: object) -> dict[str, Any]:
    given = {
        "VpcId": {"Ref": "Vpc"},
        "VpcEndpointType": "Interface",
        "ServiceName": {"Fn::Sub": f"com.amazonaws.${{AWS::Region}}.{service}"},
        "SubnetIds": [{"Ref": "Subnet"}],
        "SecurityGroupIds": [{"Ref": "Open"}],
        "PrivateDnsEnabled": True,
    }
    return {"Type": "AWS::EC2::VPCEndpoint", "Properties": given | more}


def isolated(**more: object) -> dict[str, Any]:
    """A ready profile, and an instance under it in a subnet without a route out."""
    vpc = {"CidrBlock": "10.0.0.0/16", "EnableDnsSupport": True, "EnableDnsHostnames": True}
    in_vpc = {"VpcId": {"Ref": "Vpc"}}
    https = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "10.0.0.0/16"}
    association = {"SubnetId": {"Ref": "Subnet"}, "RouteTableId": {"Ref": "Table"}}
    placed = {"SubnetId": {"Ref": "Subnet"}, "SecurityGroupIds": [{"Ref": "Group"}]}
    resources: dict[str, Any] = {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": vpc},
        "Subnet": {
            "Type": "AWS::EC2::Subnet",
            "Properties": in_vpc | {"CidrBlock": "10.0.0.0/24"},
        },
        "Table": {"Type": "AWS::EC2::RouteTable", "Properties": in_vpc},
        "Association": {
            "Type": "AWS::EC2::SubnetRouteTableAssociation",
            "Properties": association,
        },
        "Group": GROUP,
        "Open": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": GROUP["Properties"] | {"SecurityGroupIngress": [https]},
        },
        "Machine": machine(**MACHINE, **placed),
    }
    return profile_and_role(inline(ALL), **(resources | more))


EXAMPLES: dict[str, tuple[object, ...]] = {
    "all is ready": (profile_and_role(inline(ALL)),),
    "no policy": (profile_and_role(),),
    "the channels alone": (profile_and_role(inline(CHANNELS_ONLY)),),
    "a boundary that allows nothing": (
        profile_and_role(BOUNDARY | inline(ALL), Boundary=managed_policy(allow("s3:*"), roles=[])),
    ),
    "a Deny with a Sid": (profile_and_role(inline(ALL, deny("ssm:*", Sid="NoSsm"))),),
    "a Deny of all else": (profile_and_role(inline(ALL, not_actions("Deny", "s3:*"))),),
    "long inline policies": (profile_and_role(inline(ALL, long(11_000))),),
    "a long managed policy": (profile_and_role(inline(ALL), Policy=managed_policy(long(7_000))),),
    "too many managed policies": (profile_and_role(inline(ALL) | arns(26)),),
    "more managed policies than the quota": (
        profile_and_role({"ManagedPolicyArns": [f"{AWS}{name}" for name in ELEVEN]}),
    ),
    "a condition of a request": (profile_and_role(inline(MAYBE | {"Sid": "Maybe"})),),
    "a role that is not in the app": (profile_and_role(roles=["web"]),),
    "a role that is not known": (profile_and_role(roles=[{"Ref": "Name"}]),),
    "a role on a condition": (on_a_condition(profile_and_role(NAMED, roles=["web"])),),
    "a managed policy of another app": (profile_and_role(arns(1)),),
    "an AWS managed policy that is new": (
        profile_and_role({"ManagedPolicyArns": [f"{AWS}BrandNewPolicy"]}),
    ),
    "a boundary on a condition": (
        profile_and_role(
            inline(ALL)
            | {"PermissionsBoundary": {"Fn::If": ["C", f"{AWS}PowerUserAccess", "other"]}}
        ),
    ),
    "a policy on a role that is not known": (
        profile_and_role(NAMED, Policy=policy(ALL, roles=[{"Ref": "Name"}])),
    ),
    "a nested stack that can't be read": (profile_and_role(NAMED, Nested=NESTED),),
    "a template that can't be read": (profile_and_role(NAMED), []),
    "a macro": (profile_and_role() | {"Transform": "Macro"},),
    "a loop": (profile_and_role(**{"Fn::ForEach::Loop": {}}),),
    "an alias as a key": (decrypts("arn:aws:kms:eu-west-1:1:alias/sessions"),),
    "every key": (decrypts("*"),),
    "the deprecated policy": (
        profile_and_role({"ManagedPolicyArns": [f"{AWS}service-role/AmazonEC2RoleforSSM"]}),
    ),
    "an instance without a profile": (profile_and_role(inline(ALL), Machine=machine()),),
    "a role that RDS assumes": (
        profile_and_role(
            inline(ALL) | {"AssumeRolePolicyDocument": {"Statement": [RDS]}},
            Machine=machine(**MACHINE),
        ),
    ),
    "an instance without metadata": (
        profile_and_role(
            inline(ALL), Machine=machine(**MACHINE, MetadataOptions={"HttpEndpoint": "disabled"})
        ),
    ),
    "an isolated subnet": (isolated(),),
    "an isolated subnet with one endpoint": (isolated(Ssm=endpoint("ssm")),),
    "endpoints without private DNS": (
        isolated(Ssm=endpoint("ssm", PrivateDnsEnabled=False), Messages=endpoint("ssmmessages")),
    ),
    "a security group that lets nothing out": (
        isolated(
            Ssm=endpoint("ssm"),
            Messages=endpoint("ssmmessages"),
            Group=GROUP
            | {
                "Properties": GROUP["Properties"]
                | {
                    "SecurityGroupEgress": [
                        {
                            "IpProtocol": "icmp",
                            "FromPort": 252,
                            "ToPort": 86,
                            "CidrIp": "255.255.255.255/32",
                        }
                    ]
                }
            },
        ),
    ),
    "an image without the agent": (
        profile_and_role(inline(ALL), Machine=machine(**MACHINE, ImageId=MINIMAL)),
    ),
    "a Session document whose key the role may not use": (
        profile_and_role(inline(ALL), Key={"Type": "AWS::KMS::Key"}, Document=SESSION),
    ),
    "a Session document that runs sessions as root": (
        profile_and_role(inline(ALL), Document=AS_ROOT),
    ),
    "a log group that the role may not use": (profile_and_role(inline(ALL), Document=LOGGED),),
    "a service that executes no commands": ({"Resources": {"Service": SERVICE, "Task": TASK}},),
    "a grant by a tag that nothing has": (
        profile_and_role(inline(ALL), Machine=machine(**MACHINE), Grant=GRANT),
    ),
    "an instance that boots early": (profile_and_role(Policy=OURS, Machine=machine(**MACHINE)),),
}


class Text(SingleFileSnapshotExtension):
    """A snapshot that is the text itself."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


def test_what_each_finding_says(check: Check, snapshot: SnapshotAssertion) -> None:
    page, found = [], set()
    for cause, bodies in EXAMPLES.items():
        findings = {
            (one.rule, one.description, one.fix) for one in check(*bodies, a="1", b="1").findings
        }
        found |= {rule for rule, _, _ in findings}
        for rule, description, fix in sorted(findings):
            page.append(f"{cause}: {rule}\n  {description}\n  Fix: {fix}\n")

    assert found == RULES.keys() - {"ready"}
    assert "\n".join(page) == snapshot(extension_class=Text)
