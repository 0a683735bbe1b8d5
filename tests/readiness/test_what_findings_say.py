"""What the check says of every cause and how it says it: the texts are in a snapshot.

To reword one: change it, run this with `--snapshot-update`, and read the difference.
"""

from typing import Any, Final

from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from session_manager_permissions._needs import DEFAULT_DOCUMENT
from session_manager_permissions._readiness.rules import RULES

from .networks import BLOCK, NETWORK, association, group, https, subnet
from .networks import endpoint as endpoint_of
from .parts import att, on, ref, resource
from .reports import NAMED, Body, Check, inline, machine, managed_policy, policy, profile_and_role
from .statements import ALL, AWS, CHANNELS_ONLY, allow, deny, may_assume, not_actions

BOUNDARY = {"PermissionsBoundary": ref("Boundary")}
MAYBE = allow("*", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}})
IN_S3 = "https://s3.amazonaws.com/templates/agent.yaml"
NESTED = resource("AWS::CloudFormation::Stack", TemplateURL=IN_S3)


def long(length: int) -> Body:
    return allow("s3:GetObject", on=f"arn:aws:s3:::{'a' * length}")


def arns(number: int) -> Body:
    """A role with the managed policies of other apps."""
    return {"ManagedPolicyArns": [f"arn:aws:iam::1:policy/{one}" for one in range(number)]}


def decrypts(*on: object) -> Body:
    return profile_and_role(inline(ALL, allow("kms:Decrypt", on=list(on), Sid="Key")))


def on_a_condition(body: dict[str, Any]) -> Body:
    body["Resources"]["Role"]["Condition"] = "IsProduction"
    return body


ELEVEN = (
    *("AdministratorAccess", "AmazonS3ReadOnlyAccess", "AmazonS3FullAccess", "PowerUserAccess"),
    *("ReadOnlyAccess", "AmazonEC2FullAccess", "AmazonEC2ReadOnlyAccess", "IAMFullAccess"),
    *("IAMReadOnlyAccess", "SecurityAudit", "job-function/ViewOnlyAccess"),
)
LATE = policy(ALL)
MACHINE = {"IamInstanceProfile": ref("Profile")}
PATH = "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-x86_64"
MINIMAL = f"{{{{resolve:ssm:{PATH}}}}}"


def session(name: object = "", kind: object = "Standard_Stream", **inputs: object) -> Body:
    """A Session document."""
    content = {"schemaVersion": "1.0", "sessionType": kind, "inputs": inputs}
    named = {"Name": name} if name else {}
    return resource("AWS::SSM::Document", DocumentType="Session", Content=content, **named)


SESSION = session(kmsKeyId=att("Key", "Arn"))
DEFAULT = session(DEFAULT_DOCUMENT, kmsKeyId=att("Key", "Arn"))
AS_ROOT = session(runAsEnabled=True, runAsDefaultUser="root")
LOGGED = session(cloudWatchLogGroupName="sessions")
SERVICE = resource("AWS::ECS::Service", EnableExecuteCommand=True, TaskDefinition=ref("Task"))
WITHOUT_ROLE = resource("AWS::ECS::TaskDefinition", RequiresCompatibilities=["FARGATE"])
TASK = resource(
    "AWS::ECS::TaskDefinition",
    ContainerDefinitions=[{"Name": "app", "ReadonlyRootFilesystem": True}],
)
GRANT = policy(
    allow("ssm:StartSession", Condition={"StringEquals": {"ssm:resourceTag/Team": "web"}}),
    roles=["operators"],
)
RDS = may_assume("rds.amazonaws.com")
BOTH_IN: Final = {"SubnetIds": [ref("Subnet")], "SecurityGroupIds": [ref("Open")]}


def endpoint(service: str, **more: object) -> Body:
    return endpoint_of(service, **BOTH_IN | more)


def isolated(**more: object) -> Body:
    """A ready profile, and an instance under it in a subnet without a route out."""
    resources: dict[str, Any] = {
        "Vpc": NETWORK["Vpc"], "Subnet": subnet("10.0.0.0/24"), "Table": NETWORK["PrivateTable"],
        "Association": association(ref("Subnet"), ref("Table")), "Group": group(),
        "Open": group(https(CidrIp=BLOCK)),
        "Machine": machine(**MACHINE, SubnetId=ref("Subnet"), SecurityGroupIds=[ref("Group")]),
    }  # fmt: skip
    return profile_and_role(inline(ALL), **(resources | more))


def ready(**more: dict[str, Any]) -> tuple[dict[str, Any]]:
    """A role with all permissions, and further resources."""
    return (profile_and_role(inline(ALL), **more),)


def of_role(role: dict[str, Any] | None = None, **more: Any) -> tuple[dict[str, Any]]:  # noqa: ANN401
    return (profile_and_role(role, **more),)


NOWHERE: Final = {
    "IpProtocol": "icmp", "FromPort": 252, "ToPort": 86, "CidrIp": "255.255.255.255/32"
}  # fmt: skip
BOTH: Final = {"Ssm": endpoint("ssm"), "Messages": endpoint("ssmmessages")}
BY_CONDITION: Final = {"PermissionsBoundary": {"Fn::If": ["C", f"{AWS}PowerUserAccess", "other"]}}
OLD: Final = f"{AWS}service-role/AmazonEC2RoleforSSM"
TRUSTS_RDS: Final = {"AssumeRolePolicyDocument": {"Statement": [RDS]}}
OFF: Final = {"HttpEndpoint": "disabled"}

EXAMPLES: dict[str, tuple[object, ...]] = {
    "all is ready": ready(),
    "no policy": of_role(),
    "the channels alone": of_role(inline(CHANNELS_ONLY)),
    "some of the channels": of_role(inline(allow("ssmmessages:Create*", "ssm:*"))),
    "a boundary that allows nothing": of_role(
        BOUNDARY | inline(ALL), Boundary=managed_policy(allow("s3:*"), roles=[])),
    "a Deny with a Sid": of_role(inline(ALL, deny("ssm:*", Sid="NoSsm"))),
    "a Deny in two policies": of_role(inline(ALL),
        Guard=policy(deny("ssmmessages:Open*", Sid="NoSessions")), Rail=policy(deny("ssm:*"))),
    "a Deny of all else": of_role(inline(ALL, not_actions("Deny", "s3:*"))),
    "a Deny of AWS": of_role(inline(ALL) | {"ManagedPolicyArns": [f"{AWS}AWSDenyAll"]}),
    "long inline policies": of_role(inline(ALL, long(11_000))),
    "a long managed policy": ready(Policy=managed_policy(long(7_000))),
    "too many managed policies": of_role(inline(ALL) | arns(26)),
    "more managed policies than the quota": of_role(
        {"ManagedPolicyArns": [f"{AWS}{name}" for name in ELEVEN]}),
    "a condition of a request": of_role(inline(MAYBE | {"Sid": "Maybe"})),
    "a role that is not in the app": of_role(roles=["web"]),
    "a role that is not known": of_role(roles=[ref("Name")]),
    "a profile that names no role": of_role(roles=[]),
    "a role that a custom resource makes": of_role(roles=[ref("Made")], Made=resource("Custom::A")),
    "nodes of an unknown role": ready(Nodes=resource("AWS::EKS::Nodegroup", NodeRole=ref("Name"))),
    "a profile that a custom resource makes": ready(
        Machine=machine(IamInstanceProfile=ref("Made")), Made=resource("Custom::A")),
    "a key whose material is imported": of_role(inline(ALL, allow("kms:Decrypt",
        on=att("Key", "Arn"))), Document=DEFAULT, Key=resource("AWS::KMS::Key", Origin="EXTERNAL")),
    "a role on a condition": (on_a_condition(profile_and_role(NAMED, roles=["web"])),),
    "a managed policy of another app": of_role(arns(1)),
    "managed policies by a parameter": (profile_and_role({"ManagedPolicyArns": ref("Given")}) | {
        "Parameters": {"Given": {"Type": "CommaDelimitedList"}}},),
    "an AWS managed policy that is new": of_role({"ManagedPolicyArns": [f"{AWS}BrandNewPolicy"]}),
    "a boundary on a condition": of_role(inline(ALL) | BY_CONDITION),
    "a policy on a role that is not known": of_role(NAMED, Policy=policy(ALL, roles=[ref("Name")])),
    "a nested stack that can't be read": of_role(NAMED, Nested=NESTED),
    "a template that can't be read": (profile_and_role(NAMED), []),
    "a macro": (profile_and_role() | {"Transform": "Macro"},),
    "a loop": of_role(**{"Fn::ForEach::Loop": {}}),
    "a loop of instances, one of topics, and a macro": ({"Resources": {
        "Fn::ForEach::Machines": ["Zone", ["A", "B"], {"Machine${Zone}": machine(SubnetId="s-1")}],
        "Fn::ForEach::Topics": ["Name", ["A", "B"], {"Topic${Name}": resource("AWS::SNS::Topic")}],
        "Fn::Transform": {"Name": "AWS::Include"},
    }},),
    "an instance of which several things are not known": (isolated(Machine=machine(
        IamInstanceProfile="other", MetadataOptions={"HttpEndpoint": ref("Given")},
        SubnetId="subnet-1")),),
    "an endpoint on a condition": (isolated(**BOTH | {"Ssm": on(BOTH["Ssm"], "HasEndpoint")}),),
    "an alias as a key": (decrypts("arn:aws:kms:eu-west-1:1:alias/sessions"),),
    "every key": (decrypts("*"),),
    "the deprecated policy": of_role({"ManagedPolicyArns": [OLD]}),
    "an instance without a profile": ready(Machine=machine()),
    "launch specifications, the second without a profile": ready(Fleet=resource(
        "AWS::EC2::SpotFleet", SpotFleetRequestConfigData={"LaunchSpecifications": [
            {"IamInstanceProfile": {"Arn": att("Profile", "Arn")}}, {}]})),
    "a role that RDS assumes": of_role(inline(ALL) | TRUSTS_RDS, Machine=machine(**MACHINE)),
    "an instance without metadata": ready(Machine=machine(**MACHINE, MetadataOptions=OFF)),
    "an isolated subnet": (isolated(),),
    "an isolated subnet with one endpoint": (isolated(Ssm=BOTH["Ssm"]),),
    "endpoints without private DNS": (
        isolated(**BOTH | {"Ssm": endpoint("ssm", PrivateDnsEnabled=False)}),),
    "a security group that lets nothing out": (isolated(**BOTH, Group=group(egress=[NOWHERE])),),
    "two security groups that let nothing out": (isolated(
        **BOTH, Group=group(egress=[NOWHERE]), Other=group(egress=[NOWHERE]),
        Machine=machine(**MACHINE, SubnetId=ref("Subnet"),
                        SecurityGroupIds=[ref("Group"), ref("Other")])),),
    "groups by a parameter, and endpoints that admit nothing": (isolated(
        **BOTH, Open=group(), Machine=machine(
            **MACHINE, SubnetId=ref("Subnet"), SecurityGroupIds=[ref("Given")])),),
    "a security group that lets out to other subnets": (
        isolated(**BOTH, Group=group(egress=[https(CidrIp="10.0.9.0/24")])),),
    "an image without the agent": ready(Machine=machine(**MACHINE, ImageId=MINIMAL)),
    "a Session document whose key the role may not use": ready(
        Key=resource("AWS::KMS::Key"), Document=SESSION),
    "a Session document that runs sessions as root": ready(Document=AS_ROOT),
    "a log group that the role may not use": ready(Document=LOGGED),
    "a service that executes no commands": ({"Resources": {"Service": SERVICE, "Task": TASK}},),
    "a task without a role": ({"Resources": {"Service": SERVICE, "Task": WITHOUT_ROLE}},),
    "a grant by a tag that nothing has": ready(Machine=machine(**MACHINE), Grant=GRANT),
    "an instance that boots early": of_role(Policy=LATE, Machine=machine(**MACHINE)),
}  # fmt: skip


class Text(SingleFileSnapshotExtension):
    """A snapshot that is the text itself."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


def test_what_each_finding_says(check: Check, snapshot: SnapshotAssertion) -> None:
    page, found = [], set()
    for cause, bodies in EXAMPLES.items():
        for one in sorted(check(*bodies, a="1", b="1").findings):
            found.add(one.rule)
            where = f"{one.location} of {one.logical_id} in {one.file}"
            says = f"  {where}\n  {one.description}\n  Fix: {one.fix}\n"
            page.append(f"{cause}: {one.rule}, {one.severity}\n{says}")

    assert found == RULES.keys() - {"ready"}
    assert "\n".join(page) == snapshot(extension_class=Text)
