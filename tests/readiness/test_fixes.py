"""Each fix runs as it stands: the finding that shows it is gone then, and there is no new one."""

from __future__ import annotations

import ast
import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk.cloudformation_include import CfnInclude
from constructs import Construct

from session_manager_permissions import (
    SessionManagerAccess,
    SessionManagerFleet,
    SessionManagerPermissions,
    SessionPreferences,
    session_manager_statements,
)
from session_manager_permissions._network.verdicts import (
    EGRESS_CLOSED,
    ENDPOINT_MISSING,
    ENDPOINT_UNREACHABLE,
    NO_NETWORK_PATH,
)
from session_manager_permissions._readiness.rules import (
    AGENT_MISSING,
    BOOT_ORDER,
    CHANNEL_MISSING,
    DECRYPT_ON_ALL_KEYS,
    DEPRECATED_POLICY,
    EXEC_DENIED,
    EXPLICIT_DENY,
    KEY_NOT_BY_ARN,
    LOG_LOST,
    METADATA_OFF,
    NO_INSTANCE_PROFILE,
    REGISTRATION_MISSING,
    ROLE_NOT_ASSUMABLE,
    SESSION_DENIED,
    TAGS_MATCH_NOTHING,
)
from session_manager_permissions._readiness.rules.statements import trusted
from session_manager_permissions._trust import EC2 as EC2_SERVICE
from tests.conftest import HERE, ROOT

from .judging import att, ref, resource
from .policy_table import ALL, AWS, allow
from .reports import TRUST, Report, inline, machine, managed_policy, profile_and_role
from .test_compute_findings import (
    BROKEN,
    isolated_instance,
    l1_by_endpoints,
    l1_endpoint,
    l1_instance,
    l1_isolated,
    metadata_off,
    nothing_let_out,
    shut_endpoint,
    trusted_by_rds,
    without_an_endpoint_of_messages,
)
from .test_network import ISOLATED, MACHINE, instance, isolated, vpc
from .test_what_findings_say import MACHINE as PROFILE
from .test_what_findings_say import OURS, Text, endpoint, session
from .test_what_findings_say import isolated as isolated_in_l1

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from .reports import Check, Finding

EC2: Final = iam.ServicePrincipal("ec2.amazonaws.com")
TEMPLATES: Final = sorted(
    path
    for path in (ROOT / "tests/data").glob("*/*.json")
    # What is left of these is no template that CDK includes.
    if path.stem not in {"build_runners", "code_server", "containers_in_public_subnets"}
)


# What is built, used and judged ------------------------------------------------------------------


class Judged:
    """An app that is synthesized, with what the check says of it."""

    def __init__(self, app: cdk.App) -> None:
        stacks = app.synth(force=True).stacks_recursively
        paths = [one.template_full_path for one in stacks]
        report = Report(paths, strict=False, app=app)
        self.findings = [one for one in report.findings if one.severity != "info"]
        self.wrong = {(one.rule, one.file, one.logical_id) for one in self.findings}
        self.verdicts = report.verdicts

    @property
    def rules(self) -> set[str]:
        return {one.rule for one in self.findings}


def is_code(fix: str) -> bool:
    """Tell whether a fix has code; all of it is Python in any case."""
    return bool(ast.parse(fix).body)


def use(app: cdk.App, finding: Finding) -> None:
    """Run a fix in the stack that its finding is in, where no name is defined but `self`."""
    stacks = (one for one in app.node.find_all() if isinstance(one, cdk.Stack))
    (here,) = (one for one in stacks if one.template_file == finding.file)
    exec(finding.fix, {"self": here})  # noqa: S102 # as it is shown


def assert_each_fix_mends(build: Callable[[], cdk.App]) -> Judged:
    """Use each fix on its own, in an app of its own."""
    before = Judged(build())
    for finding in before.findings:
        if is_code(finding.fix):
            app = build()
            use(app, finding)
            after = Judged(app).wrong
            assert (finding.rule, finding.file, finding.logical_id) not in after, finding
            assert not after - before.wrong, finding
    return before


def mended(build: Callable[[], cdk.App], passes: int = 2) -> Judged:
    """Use all fixes, and all of what is found then."""
    used: dict[str, Finding] = {}
    judged = Judged(build())
    for _ in range(passes):
        used |= {one.fix: one for one in judged.findings if is_code(one.fix)}
        app = build()
        for finding in used.values():
            use(app, finding)
        judged = Judged(app)
    return judged


def in_app(build: Callable[[cdk.Stack], object], *, fleet: bool = False) -> cdk.App:
    """An app with one stack; with a fleet, in a stage that it covers, and with path metadata."""
    app = cdk.App(context={"aws:cdk:enable-path-metadata": fleet})
    scope = cdk.Stage(app, "Prod") if fleet else app
    stack = cdk.Stack(scope, "Web", env=HERE)
    build(stack)
    if fleet:
        SessionManagerFleet(scope, "Fleet")
    return app


def including(stack: cdk.Stack, folder: Path, body: object) -> None:
    file = folder / "template.json"
    file.write_text(json.dumps(body))
    CfnInclude(stack, "Included", template_file=str(file))


FLEET_ROLE: Final = "arn:aws:iam::111122223333:role/fleet"
MINIMAL: Final = "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-x86_64"

# Apps with faults --------------------------------------------------------------------------------


def two_of_one_role(stack: cdk.Stack) -> None:
    role, network = iam.Role(stack, "Role", assumed_by=EC2), vpc(stack)
    for construct_id in ("A", "B"):
        ec2.Instance(stack, construct_id, vpc=network, role=role, **MACHINE)


def a_group(stack: cdk.Stack) -> None:
    autoscaling.AutoScalingGroup(stack, "Group", vpc=vpc(stack), **MACHINE)


def below_a_construct(stack: cdk.Stack) -> None:
    service = Construct(stack, "class service\n")
    ec2.Instance(service, "Instance", vpc=vpc(stack), **MACHINE)


def in_a_nested_stack(stack: cdk.Stack) -> None:
    nested = cdk.NestedStack(stack, "Nested")
    instance(nested, vpc(nested))


def id_that_is_taken(stack: cdk.Stack) -> None:
    instance(stack, vpc(stack))
    cdk.CfnResource(stack, "InstanceInstanceRoleSessionManager", type="AWS::S3::Bucket")


def late(stack: cdk.Stack) -> None:
    role = instance(stack, vpc(stack)).role
    SessionManagerPermissions(
        stack, "SessionManagerPermissions", role=role, allow_registration=True
    )


def late_without_registration(stack: cdk.Stack) -> None:
    role = instance(stack, vpc(stack)).role
    SessionManagerPermissions(stack, "SessionManagerPermissions", role=role)


def waits_without_registration(stack: cdk.Stack) -> None:
    machine = instance(stack, vpc(stack))
    permissions = SessionManagerPermissions(stack, "Permissions", role=machine.role)
    machine.node.add_dependency(permissions)


def opens_by_a_policy_of_its_own(stack: cdk.Stack) -> None:
    machine = instance(stack, vpc(stack))
    channels = session_manager_statements()[0].to_statement_json()
    channels.pop("Sid")
    statements = [iam.PolicyStatement.from_json(channels)]
    machine.node.add_dependency(
        iam.Policy(stack, "Own", roles=[machine.role], statements=statements)
    )


def with_channels(stack: cdk.Stack) -> iam.Role:
    channels = iam.PolicyDocument(statements=session_manager_statements())
    return iam.Role(stack, "Role", assumed_by=EC2, inline_policies={"Channels": channels})


def opens_by_the_role_alone(stack: cdk.Stack) -> None:
    instance(stack, vpc(stack), role=with_channels(stack))


def group_that_starts_empty(stack: cdk.Stack) -> None:
    given: dict[str, Any] = {"role": with_channels(stack), "min_capacity": 0}
    autoscaling.AutoScalingGroup(stack, "Group", vpc=vpc(stack), **given, **MACHINE)


def late_by_the_mixin(stack: cdk.Stack) -> None:
    profile: Any = instance(stack, vpc(stack)).node.find_child("InstanceProfile")
    profile.with_(SessionManagerAccess(allow_registration=True))


def late_by_a_policy(stack: cdk.Stack) -> None:
    role = instance(stack, vpc(stack)).role
    statements = session_manager_statements(allow_registration=True)
    iam.Policy(stack, "Policy", roles=[role], statements=statements)


def boundary_of_the_app(stack: cdk.Stack) -> None:
    reads = iam.PolicyStatement(actions=["s3:*"], resources=["*"])
    boundary = iam.ManagedPolicy(stack, "Boundary", statements=[reads])
    iam.PermissionsBoundary.of(instance(stack, vpc(stack)).role).apply(boundary)


def deprecated(stack: cdk.Stack) -> None:
    policy = iam.ManagedPolicy.from_aws_managed_policy_name("service-role/AmazonEC2RoleforSSM")
    role = iam.Role(stack, "Role", assumed_by=EC2, managed_policies=[policy])
    iam.InstanceProfile(stack, "Profile", role=role)


def second_specification(stack: cdk.Stack) -> None:
    (subnet,) = vpc(stack).private_subnets
    statements = session_manager_statements(allow_registration=True)
    role = iam.Role(
        stack,
        "Role",
        assumed_by=EC2,
        inline_policies={"Reach": iam.PolicyDocument(statements=statements)},
    )
    profile = iam.CfnInstanceProfile(stack, "Profile", roles=[role.role_name])
    one = {"imageId": "ami-12345678", "instanceType": "t3.micro", "subnetId": subnet.subnet_id}
    minimal = one | {"imageId": f"{{{{resolve:ssm:{MINIMAL}}}}}"}
    data: Any = {
        "iamFleetRole": FLEET_ROLE,
        "targetCapacity": 1,
        "launchSpecifications": [one | {"iamInstanceProfile": {"arn": profile.attr_arn}}, minimal],
    }
    ec2.CfnSpotFleet(stack, "Fleet", spot_fleet_request_config_data=data)


def one_object_in_place_of_a_list(stack: cdk.Stack) -> None:
    """A Spot fleet with one launch specification, as CloudFormation takes it as well."""
    (subnet,) = vpc(stack).private_subnets
    image = f"{{{{resolve:ssm:{MINIMAL}}}}}"
    one = {"ImageId": image, "InstanceType": "t3.micro", "SubnetId": subnet.subnet_id}
    data = {"IamFleetRole": FLEET_ROLE, "TargetCapacity": 1, "LaunchSpecifications": one}
    properties = {"SpotFleetRequestConfigData": data}
    cdk.CfnResource(stack, "Fleet", type="AWS::EC2::SpotFleet", properties=properties)


def template_without_a_group(stack: cdk.Stack) -> None:
    network = vpc(stack, restrict_default_security_group=True)
    role = iam.Role(stack, "Role", assumed_by=EC2)
    template = ec2.LaunchTemplate(stack, "Template", role=role, **MACHINE)
    launch: Any = {
        "launchTemplateId": template.launch_template_id,
        "version": template.latest_version_number,
    }
    autoscaling.CfnAutoScalingGroup(
        stack,
        "Group",
        max_size="1",
        min_size="1",
        vpc_zone_identifier=[one.subnet_id for one in network.private_subnets],
        launch_template=launch,
    )


def second_range(stack: cdk.Stack) -> None:
    found = l1_isolated(stack)
    other = ec2.CfnVPC(stack, "Other", cidr_block="10.2.0.0/16")
    for name, of, block in (("More", found["vpc"], "10.1.0.0/16"), ("Of", other, "10.3.0.0/16")):
        ec2.CfnVPCCidrBlock(stack, name, vpc_id=of.ref, cidr_block=block)
    ec2.CfnVPCCidrBlock(stack, "Six", vpc_id=found["vpc"].ref, amazon_provided_ipv6_cidr_block=True)
    found["cfn_subnet"].cidr_block = "10.1.1.0/24"
    shut = ec2.CfnSecurityGroup(stack, "Shut", group_description="-", vpc_id=found["vpc"].ref)
    for service in ("ssm", "ssmmessages"):
        l1_endpoint(stack, found, service, security_group_ids=[shut.attr_group_id])


def group_that_is_imported(stack: cdk.Stack) -> None:
    network = vpc(stack)
    own = ec2.SecurityGroup(stack, "Own", vpc=network, allow_all_outbound=False)
    imported = ec2.SecurityGroup.from_security_group_id(
        stack, "Imported", own.security_group_id, mutable=False
    )
    instance(stack, network, security_group=imported)


def acl(stack: cdk.Stack, network: ec2.Vpc, *subnets: ec2.ISubnet) -> None:
    """A network ACL of subnets, which lets SSH out by the entry of number 1."""
    shut = ec2.CfnNetworkAcl(stack, "Acl", vpc_id=network.vpc_id)
    for number, subnet in enumerate(subnets):
        ec2.CfnSubnetNetworkAclAssociation(
            stack, f"Uses{number}", network_acl_id=shut.ref, subnet_id=subnet.subnet_id
        )
    ec2.CfnNetworkAclEntry(
        stack,
        "Ssh",
        network_acl_id=shut.ref,
        rule_number=1,
        protocol=6,
        rule_action="allow",
        egress=True,
        cidr_block="10.0.0.0/16",
        port_range=ec2.CfnNetworkAclEntry.PortRangeProperty(from_=22, to=22),
    )


def acl_of_the_nat_gateway(stack: cdk.Stack) -> None:
    network = vpc(stack)
    instance(stack, network)
    acl(stack, network, *network.public_subnets)


def acl_of_all(stack: cdk.Stack) -> None:
    network = vpc(stack)
    instance(stack, network)
    acl(stack, network, *network.public_subnets, *network.private_subnets)


def acl_of_endpoints(stack: cdk.Stack) -> None:
    private = ec2.SubnetType.PRIVATE_ISOLATED
    configurations = [
        ec2.SubnetConfiguration(name=name, subnet_type=private) for name in ("Own", "Endpoints")
    ]
    network = ec2.Vpc(stack, "Vpc", max_azs=1, nat_gateways=0, subnet_configuration=configurations)
    instance(stack, network, vpc_subnets=ec2.SubnetSelection(subnet_group_name="Own"))
    there = ec2.SubnetSelection(subnet_group_name="Endpoints")
    for name in ("ssm", "ssmmessages"):
        service = ec2.InterfaceVpcEndpointAwsService(name)
        network.add_interface_endpoint(name, service=service, subnets=there)
    acl(stack, network, *network.select_subnets(subnet_group_name="Endpoints").subnets)


def endpoint_whose_policy_is_one_statement(stack: cdk.Stack) -> None:
    l1_by_endpoints(stack, policy_document={"Statement": allow("ssm:GetParameter")})


def nodes(stack: cdk.Stack, role: iam.IRole) -> None:
    subnets = [one.subnet_id for one in vpc(stack).private_subnets]
    eks.CfnNodegroup(
        stack, "Nodes", cluster_name="cluster", node_role=role.role_arn, subnets=subnets
    )


def nodes_without_permissions(stack: cdk.Stack) -> None:
    nodes(stack, iam.Role(stack, "Role", assumed_by=EC2))


def without_the_agent(cpu: ec2.AmazonLinuxCpuType, stack: cdk.Stack) -> None:
    image = ec2.MachineImage.latest_amazon_linux2023(
        edition=ec2.AmazonLinuxEdition.MINIMAL, cpu_type=cpu
    )
    small = ec2.InstanceType("t3.micro" if cpu.name == "X86_64" else "t4g.micro")
    ec2.Instance(stack, "Instance", vpc=vpc(stack), machine_image=image, instance_type=small)


def minimal_image(stack: cdk.Stack) -> None:
    without_the_agent(ec2.AmazonLinuxCpuType.X86_64, stack)


def minimal_image_for_arm(stack: cdk.Stack) -> None:
    without_the_agent(ec2.AmazonLinuxCpuType.ARM_64, stack)


def minimal_image_of_a_template(stack: cdk.Stack) -> None:
    image = ec2.MachineImage.latest_amazon_linux2(edition=ec2.AmazonLinuxEdition.MINIMAL)
    template = ec2.LaunchTemplate(
        stack,
        "Template",
        machine_image=image,
        instance_type=ec2.InstanceType("t3.micro"),
        role=iam.Role(stack, "Role", assumed_by=EC2),
        security_group=ec2.SecurityGroup(stack, "Group", vpc=(network := vpc(stack))),
    )
    autoscaling.AutoScalingGroup(stack, "Fleet", vpc=network, launch_template=template)


def session_document(stack: cdk.Stack, **inputs: object) -> None:
    """A Session document, and an instance whose role is ready but for that."""
    statements = session_manager_statements(allow_registration=True)
    reach = {"Reach": iam.PolicyDocument(statements=statements)}
    role = iam.Role(stack, "Role", assumed_by=EC2, inline_policies=reach)
    instance(stack, vpc(stack), role=role)
    content = {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs}
    properties = {"DocumentType": "Session", "Content": content}
    cdk.CfnResource(stack, "Document", type="AWS::SSM::Document", properties=properties)


def key_that_is_not_granted(stack: cdk.Stack) -> None:
    session_document(stack, kmsKeyId=kms.Key(stack, "Key").key_arn)


def bucket_that_is_not_granted(stack: cdk.Stack) -> None:
    bucket = s3.Bucket(stack, "Bucket")
    session_document(stack, s3BucketName=bucket.bucket_name, s3KeyPrefix="sessions")


def enforced_group_that_is_not_granted(stack: cdk.Stack) -> None:
    group = logs.LogGroup(stack, "Logs")
    session_document(
        stack, cloudWatchLogGroupName=group.log_group_name, cloudWatchEncryptionEnabled=True
    )


def group_by_its_name(stack: cdk.Stack) -> None:
    session_document(stack, cloudWatchLogGroupName="sessions")


def service_of(stack: cdk.Stack, task: ecs.CfnTaskDefinition) -> None:
    ecs.CfnService(
        stack,
        "Service",
        enable_execute_command=True,
        launch_type="FARGATE",
        task_definition=task.ref,
    )


def containers(stack: cdk.Stack, **more: Any) -> ecs.FargateTaskDefinition:  # noqa: ANN401
    """A service that may execute commands in a container, whose role is ready but for that."""
    task = ecs.FargateTaskDefinition(stack, "Task")
    task.add_container("App", image=ecs.ContainerImage.from_registry("nginx"), **more)
    for statement in session_manager_statements():
        task.add_to_task_role_policy(statement)
    inner: Any = task.node.default_child
    service_of(stack, inner)
    return task


def task_whose_role_lacks_the_channels(stack: cdk.Stack) -> None:
    task: Any = ecs.FargateTaskDefinition(stack, "Task")
    task.add_container("App", image=ecs.ContainerImage.from_registry("nginx"))
    service_of(stack, task.node.default_child)


def cluster_that_asks_for_more(stack: cdk.Stack) -> None:
    key, bucket = kms.Key(stack, "Key"), s3.Bucket(stack, "Bucket")
    group = logs.LogGroup(stack, "Logs")
    configuration: Any = {
        "executeCommandConfiguration": {
            "kmsKeyId": key.key_arn,
            "logging": "OVERRIDE",
            "logConfiguration": {
                "s3BucketName": bucket.bucket_name,
                "cloudWatchLogGroupName": group.log_group_name,
            },
        }
    }
    cluster = ecs.CfnCluster(stack, "Cluster", configuration=configuration)
    containers(stack)
    made: Any = stack.node.find_child("Service")
    made.cluster = cluster.ref


def cluster_that_asks_for_more_than_the_channels(stack: cdk.Stack) -> None:
    cluster_that_asks_for_more(stack)
    stack.node.find_child("Task").node.find_child("TaskRole").node.try_remove_child("DefaultPolicy")


def read_only_container(stack: cdk.Stack) -> None:
    containers(stack, readonly_root_filesystem=True)


def task_without_a_role(stack: cdk.Stack) -> None:
    given: Any = [{"name": "app", "image": "nginx"}]
    service_of(stack, ecs.CfnTaskDefinition(stack, "Task", container_definitions=given))


def instance_without_the_tag(stack: cdk.Stack) -> None:
    instance(stack, vpc(stack))
    grant_by_a_tag(stack)


def group_without_the_tag(stack: cdk.Stack) -> None:
    a_group(stack)
    grant_by_a_tag(stack)


def grant_by_a_tag(stack: cdk.Stack) -> None:
    operators = iam.Role(stack, "Operators", assumed_by=iam.AccountRootPrincipal())
    preferences = SessionPreferences(stack, "Preferences")
    preferences.grant_start_session(operators, instance_tags={"Team": "web"})


RDS: Final = {
    "Effect": "Allow",
    "Action": "sts:AssumeRole",
    "Principal": {"Service": "rds.amazonaws.com"},
}


def uses_acl(subnet: str, acl: object) -> dict[str, Any]:
    return resource("AWS::EC2::SubnetNetworkAclAssociation", SubnetId=ref(subnet), NetworkAclId=acl)


def behind_an_acl(**more: object) -> dict[str, Any]:
    """An instance with a NAT gateway in its own subnet, whose network ACL has no entry."""
    route = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": ref("Nat")}
    parts: dict[str, Any] = {
        "Acl": resource("AWS::EC2::NetworkAcl", VpcId=ref("Vpc")),
        "Uses": uses_acl("Subnet", ref("Acl")),
        "Route": resource("AWS::EC2::Route", RouteTableId=ref("Table"), **route),
        "Nat": resource("AWS::EC2::NatGateway", SubnetId=ref("Public")),
        "Public": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.9.0/24"),
        "PublicTable": resource("AWS::EC2::RouteTable", VpcId=ref("Vpc")),
        "PublicAssociation": resource(
            "AWS::EC2::SubnetRouteTableAssociation",
            SubnetId=ref("Public"),
            RouteTableId=ref("PublicTable"),
        ),
        "Gateway": resource("AWS::EC2::InternetGateway"),
        "Attachment": resource(
            "AWS::EC2::VPCGatewayAttachment", VpcId=ref("Vpc"), InternetGatewayId=ref("Gateway")
        ),
        "PublicRoute": resource(
            "AWS::EC2::Route",
            RouteTableId=ref("PublicTable"),
            DestinationCidrBlock="0.0.0.0/0",
            GatewayId=ref("Gateway"),
        ),
    }
    return isolated_in_l1(**(parts | more))


def endpoints_of_two_subnets() -> dict[str, Any]:
    """Instances in two subnets, one with an ACL of another app, and endpoints behind an ACL.

    Another VPC has a NAT gateway.
    """
    second = {"SubnetId": ref("Second"), "SecurityGroupIds": [ref("Group")]}
    return behind_an_acl(
        Ssm=endpoint("ssm", SubnetIds=[ref("Public")]),
        Messages=endpoint("ssmmessages", SubnetIds=[ref("Public")]),
        Uses=uses_acl("Public", ref("Acl")),
        Second=resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.1.0/24"),
        SecondAssociation=resource(
            "AWS::EC2::SubnetRouteTableAssociation",
            SubnetId=ref("Second"),
            RouteTableId=ref("Table"),
        ),
        UsesOther=uses_acl("Second", "acl-12345678"),
        SecondMachine=machine(IamInstanceProfile=ref("Profile"), **second),
        OtherVpc=resource("AWS::EC2::VPC", CidrBlock="10.9.0.0/16"),
        OtherSubnet=resource("AWS::EC2::Subnet", VpcId=ref("OtherVpc"), CidrBlock="10.9.0.0/24"),
        OtherNat=resource("AWS::EC2::NatGateway", SubnetId=ref("OtherSubnet")),
        OtherAcl=resource("AWS::EC2::NetworkAcl", VpcId=ref("OtherVpc")),
        OtherEntry=resource(
            "AWS::EC2::NetworkAclEntry",
            NetworkAclId=ref("OtherAcl"),
            RuleNumber=1,
            Protocol=-1,
            RuleAction="deny",
            CidrBlock="0.0.0.0/0",
        ),
    )


def in_either(body: dict[str, Any]) -> dict[str, Any]:
    """A template with the condition C, without the resources that are None."""
    made = {key: one for key, one in body["Resources"].items() if one is not None}
    return {
        "Parameters": {"P": {"Type": "String"}},
        "Conditions": {"C": {"Fn::Equals": [ref("P"), "yes"]}},
        "Resources": made,
    }


WITH_BUCKET: Final = {
    "Bucket": resource("AWS::S3::Bucket"),
    "Document": session(s3BucketName=ref("Bucket"), s3EncryptionEnabled=True),
    "Role": resource("AWS::IAM::Role", **TRUST, **inline(allow("*"))),
}
EITHER_POLICIES: Final = {
    "Fn::If": ["C", inline(allow("s3:*"))["Policies"], inline(allow("s3:Get*"))["Policies"]]
}
INCLUDED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "a trust policy of one statement": (
        ROLE_NOT_ASSUMABLE,
        profile_and_role(inline(ALL) | {"AssumeRolePolicyDocument": {"Statement": RDS}}),
    ),
    "a boundary of one statement": (
        CHANNEL_MISSING,
        profile_and_role(
            inline(ALL) | {"PermissionsBoundary": {"Ref": "Boundary"}},
            Boundary={
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {"PolicyDocument": {"Statement": allow("s3:*")}},
            },
        ),
    ),
    "a boundary of several": (
        CHANNEL_MISSING,
        profile_and_role(
            inline(ALL) | {"PermissionsBoundary": {"Ref": "Boundary"}},
            Boundary={
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {"PolicyDocument": {"Statement": [allow("s3:*")]}},
            },
        ),
    ),
    "the deprecated policy, second": (
        DEPRECATED_POLICY,
        profile_and_role(
            {
                "ManagedPolicyArns": [
                    f"{AWS}AmazonS3FullAccess",
                    f"{AWS}service-role/AmazonEC2RoleforSSM",
                ]
            }
        ),
    ),
    "an instance that has no profile": (
        NO_INSTANCE_PROFILE,
        profile_and_role(inline(ALL), Machine=machine(ImageId="ami-12345678")),
    ),
    "an instance whose role has no policy": (
        CHANNEL_MISSING,
        profile_and_role(Machine=machine(IamInstanceProfile={"Ref": "Profile"})),
    ),
    "metadata off": (
        METADATA_OFF,
        profile_and_role(
            inline(ALL),
            Machine=machine(
                IamInstanceProfile={"Ref": "Profile"}, MetadataOptions={"HttpEndpoint": "disabled"}
            ),
        ),
    ),
    "an instance that waits for something else": (
        BOOT_ORDER,
        profile_and_role(
            Policy=OURS | {"Properties": OURS["Properties"] | {"PolicyName": "Ours"}},
            Machine=machine(**PROFILE) | {"DependsOn": "Role"},
        ),
    ),
    "a role whose policies a condition chooses": (
        CHANNEL_MISSING,
        in_either(profile_and_role({"Policies": EITHER_POLICIES})),
    ),
    "endpoints of all but S3": (
        ENDPOINT_MISSING,
        isolated_in_l1(Ssm=endpoint("ssm"), Messages=endpoint("ssmmessages"), **WITH_BUCKET),
    ),
    "endpoints behind a network ACL, of two subnets": (
        NO_NETWORK_PATH,
        endpoints_of_two_subnets(),
    ),
}
FAULTS: Final[list[tuple[Callable[[cdk.Stack], object], str]]] = [
    *((build, rule) for build, rule, _ in BROKEN),
    (two_of_one_role, CHANNEL_MISSING),
    (a_group, CHANNEL_MISSING),
    (below_a_construct, CHANNEL_MISSING),
    (in_a_nested_stack, CHANNEL_MISSING),
    (id_that_is_taken, CHANNEL_MISSING),
    (late, BOOT_ORDER),
    (late_without_registration, REGISTRATION_MISSING),
    (waits_without_registration, REGISTRATION_MISSING),
    (opens_by_a_policy_of_its_own, REGISTRATION_MISSING),
    (opens_by_the_role_alone, REGISTRATION_MISSING),
    (group_that_starts_empty, REGISTRATION_MISSING),
    (late_by_the_mixin, BOOT_ORDER),
    (late_by_a_policy, BOOT_ORDER),
    (boundary_of_the_app, CHANNEL_MISSING),
    (deprecated, DEPRECATED_POLICY),
    (second_specification, NO_INSTANCE_PROFILE),
    (second_specification, AGENT_MISSING),
    (one_object_in_place_of_a_list, NO_INSTANCE_PROFILE),
    (template_without_a_group, EGRESS_CLOSED),
    (second_range, ENDPOINT_UNREACHABLE),
    (group_that_is_imported, EGRESS_CLOSED),
    (acl_of_the_nat_gateway, NO_NETWORK_PATH),
    (acl_of_all, NO_NETWORK_PATH),
    (acl_of_endpoints, NO_NETWORK_PATH),
    (endpoint_whose_policy_is_one_statement, ENDPOINT_UNREACHABLE),
    (nodes_without_permissions, CHANNEL_MISSING),
    (minimal_image, AGENT_MISSING),
    (minimal_image_for_arm, AGENT_MISSING),
    (minimal_image_of_a_template, AGENT_MISSING),
    (key_that_is_not_granted, SESSION_DENIED),
    (bucket_that_is_not_granted, LOG_LOST),
    (enforced_group_that_is_not_granted, SESSION_DENIED),
    (group_by_its_name, LOG_LOST),
    (read_only_container, EXEC_DENIED),
    (task_without_a_role, EXEC_DENIED),
    (cluster_that_asks_for_more, EXEC_DENIED),
    (cluster_that_asks_for_more_than_the_channels, EXEC_DENIED),
    (task_whose_role_lacks_the_channels, EXEC_DENIED),
    (instance_without_the_tag, TAGS_MATCH_NOTHING),
    (group_without_the_tag, TAGS_MATCH_NOTHING),
]


WHERE: Final = {build.__name__: construct for build, _, construct in BROKEN}
DENIES_EC2: Final = {"Statement": [trusted(EC2_SERVICE) | {"Effect": "Deny"}]}

# Tests -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "rule"), [pytest.param(*row, id=row[0].__name__) for row in FAULTS]
)
def test_each_fix_mends_what_shows_it(build: Callable[[cdk.Stack], object], rule: str) -> None:
    found = assert_each_fix_mends(partial(in_app, build))

    one = next(one for one in found.findings if one.rule == rule)
    assert one.logical_id.startswith(WHERE.get(build.__name__, ""))
    assert all(is_code(one.fix) for one in found.findings)


@pytest.mark.parametrize("build", [acl_of_all, acl_of_endpoints, isolated_instance])
def test_what_fixes_have_opened_is_known_to_be_open(build: Callable[[cdk.Stack], object]) -> None:
    assert mended(partial(in_app, build)).verdicts == {"ready": 1}


@pytest.mark.untraced
@pytest.mark.parametrize("build", [pytest.param(row[0], id=row[0].__name__) for row in FAULTS])
def test_each_fix_mends_what_shows_it_in_a_stage_with_a_fleet(
    build: Callable[[cdk.Stack], object],
) -> None:
    assert_each_fix_mends(partial(in_app, build, fleet=True))


@pytest.mark.parametrize("name", INCLUDED)
def test_each_fix_mends_a_template_that_is_included(name: str, tmp_path: Path) -> None:
    rule, body = INCLUDED[name]

    found = assert_each_fix_mends(partial(in_app, partial(including, folder=tmp_path, body=body)))

    assert rule in found.rules
    assert all(is_code(one.fix) for one in found.findings)


@pytest.mark.untraced
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_each_fix_mends_a_template_of_others(path: Path) -> None:
    def build(stack: cdk.Stack) -> None:
        CfnInclude(stack, "Included", template_file=str(path))

    found = assert_each_fix_mends(partial(in_app, build))

    assert all(is_code(one.fix) for one in found.findings)
    assert not mended(partial(in_app, build)).wrong


def test_fix_takes_the_role_of_another_stack() -> None:
    def build() -> cdk.App:
        app = cdk.App()
        base, web = (cdk.Stack(app, name, env=HERE) for name in ("Base", "Web"))
        role = iam.Role(base, "Role", assumed_by=EC2)
        iam.CfnInstanceProfile(base, "Profile", roles=[role.role_name])
        instance(web, vpc(web), role=role)
        return app

    assert CHANNEL_MISSING in assert_each_fix_mends(build).rules
    assert not mended(build).wrong


def test_fix_takes_the_network_of_another_stack() -> None:
    def build() -> cdk.App:
        app = cdk.App()
        base, web = (cdk.Stack(app, name, env=HERE) for name in ("Base", "Web"))
        instance(web, isolated(base), vpc_subnets=ISOLATED)
        return app

    assert NO_NETWORK_PATH in assert_each_fix_mends(build).rules
    assert not mended(build).wrong


def test_fix_is_the_option_of_the_fleet_that_covers_the_role() -> None:
    def build() -> cdk.App:
        app = cdk.App()
        base, web = (cdk.Stack(app, name, env=HERE) for name in ("Base", "Web"))
        left_alone = instance(base, vpc(base))
        reads = iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"])
        # CDK has the instance wait for the role's default policy, which is of no interest here.
        instance(web, vpc(web)).add_to_role_policy(reads)
        key = kms.Key(base, "Key")
        SessionManagerFleet(app, "Fleet", exclude=[left_alone], encryption_key=key, log_prefix=None)
        return app

    found = assert_each_fix_mends(build)
    (of_fleet,) = (
        one for one in found.findings if one.rule == REGISTRATION_MISSING and "Web" in one.file
    )

    assert "SessionManagerPermissions" not in of_fleet.fix
    assert of_fleet.fix.splitlines()[-1] == (
        'SessionManagerFleet(fleet_scope, "Fleet", '
        'exclude=[self.node.root.node.find_child("Base").node.find_child("Instance")], '
        'encryption_key=self.node.root.node.find_child("Base").node.find_child("Key"), '
        "allow_registration=True)"
    )
    assert not mended(build).wrong


@pytest.mark.parametrize(
    ("build", "is_option"), [(opens_by_the_role_alone, False), (group_that_starts_empty, True)]
)
def test_fix_is_the_option_of_the_fleet_if_no_compute_opens_at_boot(
    build: Callable[[cdk.Stack], object],
    is_option: bool,  # noqa: FBT001 # a row
) -> None:
    found = Judged(in_app(build, fleet=True)).findings

    (of_registration,) = (one for one in found if one.rule == REGISTRATION_MISSING)
    assert ("SessionManagerFleet(" in of_registration.fix) is is_option


def test_fix_is_the_option_of_the_one_fleet_of_a_scope_that_covers_the_role() -> None:
    app = cdk.App()
    stack = cdk.Stack(app, "Web", env=HERE)
    network = vpc(stack)
    one, other = (ec2.Instance(stack, name, vpc=network, **MACHINE) for name in ("One", "Other"))
    SessionManagerFleet(stack, "OfOne", exclude=[other])
    SessionManagerFleet(stack, "OfOther", exclude=[one])

    fixes = [one.fix for one in Judged(app).findings if one.rule == REGISTRATION_MISSING]

    assert [name in "".join(fixes) for name in ('scope, "OfOne", ', 'scope, "OfOther", ')] == [
        True
    ] * 2


def test_fix_is_no_option_of_a_fleet_that_leaves_the_role_alone() -> None:
    app = cdk.App()
    stack = cdk.Stack(app, "Web", env=HERE)
    group_that_starts_empty(stack)
    SessionManagerFleet(stack, "Fleet", exclude=[stack.node.find_child("Group")])

    (found,) = (one for one in Judged(app).findings if one.rule == REGISTRATION_MISSING)

    assert "SessionManagerFleet" not in found.fix


def test_five_faults_are_silent_after_two_passes() -> None:
    def build(stack: cdk.Stack) -> None:
        role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("rds.amazonaws.com"))
        network = isolated(stack, enable_dns_hostnames=False)
        given: dict[str, Any] = {"vpc_subnets": ISOLATED, "allow_all_outbound": False}
        made = instance(stack, network, role=role, **given)
        made.instance.add_property_override("MetadataOptions.HttpEndpoint", "disabled")
        ec2.CfnInstance(
            stack,
            "Other",
            image_id="ami-12345678",
            subnet_id=network.isolated_subnets[0].subnet_id,
        )

    found = Judged(in_app(build))

    assert found.rules >= {
        CHANNEL_MISSING,
        EGRESS_CLOSED,
        METADATA_OFF,
        NO_INSTANCE_PROFILE,
        ROLE_NOT_ASSUMABLE,
    }
    assert not mended(partial(in_app, build)).wrong


def one_instance(stack: cdk.Stack) -> None:
    instance(stack, vpc(stack))


SHOWN: Final[dict[str, Callable[[cdk.Stack], object]]] = {
    CHANNEL_MISSING: one_instance,
    REGISTRATION_MISSING: late_without_registration,
    NO_INSTANCE_PROFILE: l1_instance,
    ROLE_NOT_ASSUMABLE: trusted_by_rds,
    METADATA_OFF: metadata_off,
    NO_NETWORK_PATH: isolated_instance,
    ENDPOINT_MISSING: without_an_endpoint_of_messages,
    ENDPOINT_UNREACHABLE: shut_endpoint,
    EGRESS_CLOSED: nothing_let_out,
    DEPRECATED_POLICY: deprecated,
    BOOT_ORDER: late,
    AGENT_MISSING: minimal_image,
    SESSION_DENIED: key_that_is_not_granted,
    LOG_LOST: bucket_that_is_not_granted,
    EXEC_DENIED: read_only_container,
    TAGS_MATCH_NOTHING: instance_without_the_tag,
}
"""What the page about each rule shows."""


def test_what_the_pages_show(snapshot: SnapshotAssertion) -> None:
    page = []
    for rule, build in SHOWN.items():
        found = assert_each_fix_mends(partial(in_app, build)).findings
        one = next(one for one in found if one.rule == rule)
        page.append(f"{build.__name__}: {rule}\n  {one.description}\n  Fix: {one.fix}\n")

    assert "\n".join(page) == snapshot(extension_class=Text)


def denied(stack: cdk.Stack) -> None:
    deny = iam.PolicyStatement(effect=iam.Effect.DENY, actions=["ssm:*"], resources=["*"])
    instance(stack, vpc(stack)).role.add_to_principal_policy(deny)


def boundary_of_aws(stack: cdk.Stack) -> None:
    boundary = iam.ManagedPolicy.from_aws_managed_policy_name("AmazonS3FullAccess")
    iam.PermissionsBoundary.of(instance(stack, vpc(stack)).role).apply(boundary)


def decrypts(on: str, stack: cdk.Stack) -> None:
    role = iam.Role(stack, "Role", assumed_by=EC2)
    role.add_to_policy(iam.PolicyStatement(actions=["kms:Decrypt"], resources=[on]))
    iam.InstanceProfile(stack, "Profile", role=role)


def keys_in_a_container(stack: cdk.Stack) -> None:
    containers(stack, environment={"AWS_ACCESS_KEY_ID": "AKIA"})


def denied_task(stack: cdk.Stack) -> None:
    deny = iam.PolicyStatement(effect=iam.Effect.DENY, actions=["ssmmessages:*"], resources=["*"])
    containers(stack).add_to_task_role_policy(deny)


def runs_as_root(stack: cdk.Stack) -> None:
    session_document(stack, runAsEnabled=True, runAsDefaultUser="root")


def key_that_is_denied(stack: cdk.Stack) -> None:
    key_that_is_not_granted(stack)
    role: Any = stack.node.find_child("Role")
    role.add_to_policy(
        iam.PolicyStatement(effect=iam.Effect.DENY, actions=["kms:*"], resources=["*"])
    )


def key_beyond_the_boundary(stack: cdk.Stack) -> None:
    key_that_is_not_granted(stack)
    statements = session_manager_statements(allow_registration=True)
    boundary = iam.ManagedPolicy(stack, "Boundary", statements=statements)
    iam.PermissionsBoundary.of(stack.node.find_child("Role")).apply(boundary)


def group_by_a_part_of_its_name(stack: cdk.Stack) -> None:
    group = logs.LogGroup(stack, "Logs")
    session_document(stack, cloudWatchLogGroupName=f"a-{group.log_group_name}")


def covered_by_a_fleet_of_a_parameter(stack: cdk.Stack) -> None:
    instance(stack, vpc(stack))
    prefix = cdk.CfnParameter(stack, "Prefix").value_as_string
    SessionManagerFleet(stack, "Fleet", log_bucket=s3.Bucket(stack, "Bucket"), log_prefix=prefix)


def two_without_the_tag(stack: cdk.Stack) -> None:
    instance_without_the_tag(stack)
    l1_instance(stack)


@pytest.mark.parametrize(
    ("build", "rule", "says"),
    [
        (covered_by_a_fleet_of_a_parameter, REGISTRATION_MISSING, "to the fleet 'Fleet'"),
        (keys_in_a_container, EXEC_DENIED, "no AWS keys"),
        (denied_task, EXEC_DENIED, "leave these actions out of the Deny"),
        (runs_as_root, SESSION_DENIED, "set runAsDefaultUser"),
        (key_that_is_denied, SESSION_DENIED, "leave these actions out of the Deny"),
        (key_beyond_the_boundary, SESSION_DENIED, "in the permissions boundary"),
        (group_by_a_part_of_its_name, LOG_LOST, "on the log group"),
        (denied, EXPLICIT_DENY, "leave these actions out of the Deny"),
        (boundary_of_aws, CHANNEL_MISSING, "or give the role another boundary"),
        (partial(decrypts, "*"), DECRYPT_ON_ALL_KEYS, "name the keys"),
        (partial(decrypts, "alias/sessions"), KEY_NOT_BY_ARN, "give the key or its alias"),
    ],
)
def test_what_code_cannot_mend_is_said_in_words(
    build: Callable[[cdk.Stack], object], rule: str, says: str
) -> None:
    found = [one for one in Judged(in_app(build)).findings if one.rule == rule]

    assert found
    assert all(says in one.description and not is_code(one.fix) for one in found)


CHOSEN: Final = {"Fn::If": ["C", {"Ref": "Acl"}, {"Ref": "Second"}]}
ONLY_S3: Final = {"Fn::If": ["C", allow("s3:*"), [allow("s3:Get*")]]}
EITHER_BOUNDARY: Final = {"Fn::If": ["C", ref("Boundary"), ref("Second")]}
GETS_PARAMETERS: Final = {"Fn::If": ["C", allow("ssm:GetParameter"), [allow("ssm:Get*")]]}
EITHER_DOCUMENT: Final = {
    "Fn::If": ["C", {"Statement": allow("s3:*")}, {"Statement": [allow("s3:Get*")]}]
}
EITHER_TRUST: Final = {"Fn::If": ["C", RDS, [RDS]]}
BOTH_DEPRECATED: Final = [
    f"{AWS}AmazonSSMManagedInstanceCore",
    f"{AWS}service-role/AmazonEC2RoleforSSM",
]
IN_WORDS: Final[dict[str, tuple[str, dict[str, Any], str]]] = {
    "a trust policy whose statements a condition chooses": (
        ROLE_NOT_ASSUMABLE,
        profile_and_role(
            inline(ALL) | {"AssumeRolePolicyDocument": {"Statement": EITHER_TRUST}},
            Machine=machine(**PROFILE),
        ),
        "let ec2.amazonaws.com assume the role",
    ),
    "both policies of AWS": (
        DEPRECATED_POLICY,
        profile_and_role({"ManagedPolicyArns": BOTH_DEPRECATED}),
        "take service-role/AmazonEC2RoleforSSM from the role",
    ),
    "a policy that waits for the instance": (
        BOOT_ORDER,
        profile_and_role(Policy=OURS | {"DependsOn": "Machine"}, Machine=machine(**PROFILE)),
        "'Machine' can't wait for 'Policy'",
    ),
    "a boundary whose statements a condition chooses": (
        CHANNEL_MISSING,
        profile_and_role(
            inline(ALL) | {"PermissionsBoundary": ref("Boundary")},
            Boundary=resource("AWS::IAM::ManagedPolicy", PolicyDocument={"Statement": ONLY_S3}),
        ),
        "or give the role another boundary",
    ),
    "a boundary that a condition chooses": (
        CHANNEL_MISSING,
        profile_and_role(
            inline(ALL) | {"PermissionsBoundary": EITHER_BOUNDARY},
            Boundary=managed_policy(allow("s3:*"), roles=[]),
            Second=managed_policy(allow("s3:*"), roles=[]),
        ),
        "or give the role another boundary",
    ),
    "a key whose policy leaves IAM out": (
        SESSION_DENIED,
        profile_and_role(
            inline(ALL, allow("kms:Decrypt", on=att("Key", "Arn"))),
            Key=resource("AWS::KMS::Key", KeyPolicy={"Statement": []}),
            Document=session(kmsKeyId=att("Key", "Arn")),
        ),
        "let the account's policies of IAM decide in the policy of 'Key'",
    ),
    "a bucket, and no route table": (
        ENDPOINT_MISSING,
        isolated_in_l1(
            Ssm=endpoint("ssm"),
            Messages=endpoint("ssmmessages"),
            Table=None,
            Association=None,
            **WITH_BUCKET,
        ),
        "where the route tables are defined",
    ),
    "an endpoint whose statements a condition chooses": (
        ENDPOINT_UNREACHABLE,
        isolated_in_l1(
            Ssm=endpoint("ssm", PolicyDocument={"Statement": GETS_PARAMETERS}),
            Messages=endpoint("ssmmessages"),
        ),
        "in the policy of the endpoint",
    ),
    "an endpoint whose policy a condition chooses": (
        ENDPOINT_UNREACHABLE,
        isolated_in_l1(
            Ssm=endpoint("ssm", PolicyDocument=EITHER_DOCUMENT), Messages=endpoint("ssmmessages")
        ),
        "in the policy of the endpoint",
    ),
    "a network ACL that a condition chooses": (
        NO_NETWORK_PATH,
        behind_an_acl(
            Uses=uses_acl("Subnet", CHOSEN),
            Second=resource("AWS::EC2::NetworkAcl", VpcId=ref("Vpc")),
        ),
        "TCP 1024 to 65535, pass the network ACLs",
    ),
    "a network ACL that denies at first": (
        NO_NETWORK_PATH,
        behind_an_acl(
            Entry=resource(
                "AWS::EC2::NetworkAclEntry",
                NetworkAclId=ref("Acl"),
                RuleNumber=1,
                Protocol=-1,
                RuleAction="deny",
                Egress=True,
                CidrBlock="0.0.0.0/0",
            )
        ),
        "before 'Acl' denies it",
    ),
}


@pytest.mark.parametrize("name", IN_WORDS)
def test_what_code_cannot_mend_of_a_template_is_said_in_words(name: str, check: Check) -> None:
    rule, body, says = IN_WORDS[name]

    found = [one for one in check(in_either(body), a="1").findings if one.rule == rule]

    assert found
    assert all(says in one.description and not is_code(one.fix) for one in found)


def test_fix_of_a_template_alone_takes_constructs_by_their_paths(check: Check) -> None:
    body = profile_and_role()
    for name in ("Profile", "Role"):
        body["Resources"][name]["Metadata"] = {"aws:cdk:path": f"Web/{name}/Resource"}

    (finding,) = check(body, a="1").findings

    assert finding.fix.splitlines()[0] == '# In the stack "Web":'
    assert 'role = self.node.find_child("Role")' in finding.fix.splitlines()


@pytest.mark.parametrize(
    ("body", "rule", "says"),
    [
        (
            profile_and_role(),
            CHANNEL_MISSING,
            "in 'inner.json', add to Properties.Policies of Role: {",
        ),
        (
            profile_and_role(inline(ALL), Machine=machine(ImageId="ami-12345678")),
            NO_INSTANCE_PROFILE,
            "in 'inner.json', set Properties.IamInstanceProfile of Machine to ",
        ),
        (
            profile_and_role(inline(ALL) | {"AssumeRolePolicyDocument": DENIES_EC2}),
            ROLE_NOT_ASSUMABLE,
            "; leave ec2.amazonaws.com out of the Deny",
        ),
    ],
)
def test_fix_of_a_nested_template_that_is_a_file_says_what_to_change_in_it(
    body: dict[str, Any], rule: str, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "inner.json"
    file.write_text(json.dumps(body))

    def build(stack: cdk.Stack) -> None:
        url = "https://example.com/inner.json"
        cdk.CfnStack(stack, "Nested", template_url=url).add_metadata("aws:asset:path", str(file))

    (finding,) = Judged(in_app(build)).findings

    assert (finding.rule, finding.file) == (rule, file.name)
    assert says in finding.description
    assert not is_code(finding.fix)


def test_fix_takes_what_is_in_several_stacks_from_the_app(tmp_path: Path) -> None:
    def build() -> cdk.App:
        app = cdk.App()
        included, own = (cdk.Stack(app, name, env=HERE) for name in ("Included", "Own"))
        including(included, tmp_path, INCLUDED["metadata off"][1])
        metadata_off(own)
        return app

    found = [one for one in assert_each_fix_mends(build).findings if one.rule == METADATA_OFF]

    assert [one.fix.splitlines() for one in found] == [
        [
            "# In any stack of the app:",
            (
                'included_include = self.node.root.node.find_child("Included").node'
                '.find_child("Included")'
            ),
            'machine = included_include.get_resource("Machine")',
            'machine.add_property_override("MetadataOptions.HttpEndpoint", "enabled")',
            (
                'cfn_instance = self.node.root.node.find_child("Own").node.find_child("Instance")'
                ".node.default_child"
            ),
            'cfn_instance.add_property_override("MetadataOptions.HttpEndpoint", "enabled")',
        ]
    ] * 2
