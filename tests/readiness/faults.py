"""Apps and templates with faults, a row each, for the tests of fixes in code and in templates."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from session_manager_permissions import (
    SessionManagerPermissions,
    SessionPreferences,
    session_manager_statements,
)

from .launches import by_id, scaling, spot, template
from .networks import (
    BLOCK,
    NETWORK,
    TO_NAT,
    VPC_ID,
    acl,
    association,
    entry,
    group,
    https,
    part,
    route,
    subnet,
)
from .parts import att, ref, resource
from .reports import TRUST, Body, inline, machine, profile_and_role
from .statements import ALL, AWS, CORE, allow, deny
from .test_what_findings_say import BOTH, DEFAULT, GRANT, LATE, MINIMAL, OLD, RDS, endpoint, session
from .test_what_findings_say import MACHINE as PROFILE
from .test_what_findings_say import isolated as isolated_in_l1

Build = Callable[[cdk.Stack], object]

KINDS: Final = ec2.SubnetType
PUBLIC: Final = ec2.SubnetSelection(subnet_type=KINDS.PUBLIC)
EGRESS: Final = ec2.SubnetSelection(subnet_type=KINDS.PRIVATE_WITH_EGRESS)
ISOLATED: Final = ec2.SubnetSelection(subnet_type=KINDS.PRIVATE_ISOLATED)
MACHINE: Final[dict[str, Any]] = {
    "instance_type": ec2.InstanceType("t3.micro"),
    "machine_image": ec2.MachineImage.generic_linux({"eu-west-1": "ami-12345678"}),
}
SSM: Final = ec2.InterfaceVpcEndpointAwsService.SSM
MESSAGES: Final = ec2.InterfaceVpcEndpointAwsService.SSM_MESSAGES
NO_WAY_OUT: Final[dict[str, Any]] = {"allow_all_outbound": False}
UDP: Final = [{"IpProtocol": "udp", "CidrIp": "0.0.0.0/0"}]
OFF: Final = "MetadataOptions.HttpEndpoint", "disabled"


def vpc(stack: cdk.Stack, *kinds: ec2.SubnetType, **more: Any) -> ec2.Vpc:  # noqa: ANN401
    """A VPC with a subnet of each kind; of CDK's own default kinds where none is given."""
    subnets = [ec2.SubnetConfiguration(name=one.name.title(), subnet_type=one) for one in kinds]
    given: dict[str, Any] = {"subnet_configuration": subnets} if kinds else {}
    return ec2.Vpc(stack, "Vpc", max_azs=1, **given, **more)


def isolated(stack: cdk.Stack, **more: Any) -> ec2.Vpc:  # noqa: ANN401
    return vpc(stack, KINDS.PRIVATE_ISOLATED, **more)


def instance(stack: cdk.Stack, network: ec2.IVpc, **more: Any) -> ec2.Instance:  # noqa: ANN401
    return ec2.Instance(stack, "Instance", vpc=network, **MACHINE, **more)


def endpoints(network: ec2.Vpc, **more: Any) -> None:  # noqa: ANN401
    network.add_interface_endpoint("Ssm", service=SSM, **more)
    network.add_interface_endpoint("Messages", service=MESSAGES, **more)


# Roles and what launches under them --------------------------------------------------------------


def one_instance(stack: cdk.Stack, **given: Any) -> ec2.Instance:  # noqa: ANN401
    return instance(stack, vpc(stack), **given)


def l1_instance(stack: cdk.Stack, network: ec2.Vpc | None = None, **given: Any) -> ec2.CfnInstance:  # noqa: ANN401
    (subnet,) = (network or vpc(stack)).private_subnets
    given |= {"image_id": "ami-12345678", "subnet_id": subnet.subnet_id}
    return ec2.CfnInstance(stack, "Instance", **given)


def a_group(stack: cdk.Stack, **given: Any) -> autoscaling.AutoScalingGroup:  # noqa: ANN401
    return autoscaling.AutoScalingGroup(stack, "Group", vpc=vpc(stack), **given, **MACHINE)


def a_template(stack: cdk.Stack, *, egress: bool = True, **given: Any) -> None:  # noqa: ANN401
    """An Auto Scaling group with a launch template."""
    network = vpc(stack)
    group = ec2.SecurityGroup(stack, "Given", vpc=network, allow_all_outbound=egress)
    launch = {**MACHINE, **given}
    template = ec2.LaunchTemplate(stack, "Template", security_group=group, **launch)
    autoscaling.AutoScalingGroup(stack, "Group", vpc=network, launch_template=template)


def a_role(stack: cdk.Stack, service: str = "ec2.amazonaws.com", **given: Any) -> iam.Role:  # noqa: ANN401
    return iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal(service), **given)


def reaching(stack: cdk.Stack, *, registers: bool = True) -> iam.Role:
    """A role with all that the SSM Agent needs, or with the channels alone."""
    statements = session_manager_statements(allow_registration=registers)
    return a_role(stack, inline_policies={"Reach": iam.PolicyDocument(statements=statements)})


def permits(stack: cdk.Stack, role: iam.IRole, **given: Any) -> SessionManagerPermissions:  # noqa: ANN401
    return SessionManagerPermissions(stack, "SessionManagerPermissions", role=role, **given)


def two_of_one_role(stack: cdk.Stack) -> None:
    role, network = a_role(stack), vpc(stack)
    for construct_id in ("A", "B"):
        ec2.Instance(stack, construct_id, vpc=network, role=role, **MACHINE)


def below_a_construct(stack: cdk.Stack) -> None:
    service = Construct(stack, "class service\n")
    ec2.Instance(service, "Instance", vpc=vpc(stack), **MACHINE)


def id_taken(stack: cdk.Stack, build: Build = one_instance, id_: str = "InstanceRole") -> None:
    build(stack)
    s3.Bucket(stack, id_)


def late(stack: cdk.Stack, **given: Any) -> None:  # noqa: ANN401
    permits(stack, one_instance(stack).role, **given)


def late_beside_an_override(stack: cdk.Stack) -> None:
    late(stack, allow_registration=True)
    server: Any = stack.node.find_child("Instance").node.default_child
    server.add_override("DependsOn", [s3.CfnBucket(stack, "Other").node.id])


def waits_without_registration(stack: cdk.Stack) -> None:
    server = one_instance(stack)
    server.node.add_dependency(permits(stack, server.role))


def opens_by_the_role_alone(stack: cdk.Stack) -> None:
    one_instance(stack, role=reaching(stack, registers=False))


def group_that_starts_empty(stack: cdk.Stack) -> None:
    a_group(stack, role=reaching(stack, registers=False), min_capacity=0)


def beside_one_that_opens_alone(stack: cdk.Stack, build: Build = opens_by_the_role_alone) -> None:
    build(cdk.NestedStack(stack, "Beside"))
    group_that_starts_empty(stack)


def late_by_a_policy(stack: cdk.Stack) -> None:
    statements = session_manager_statements(allow_registration=True)
    iam.Policy(stack, "Policy", roles=[one_instance(stack).role], statements=statements)


def late_in_l1(stack: cdk.Stack) -> None:
    role = a_role(stack)
    profile = iam.InstanceProfile(stack, "Profile", role=role)
    l1_instance(stack, iam_instance_profile=profile.instance_profile_name)
    permits(stack, role, allow_registration=True)


def bounded(stack: cdk.Stack, *statements: iam.PolicyStatement) -> None:
    """Give the roles a permissions boundary that the app makes."""
    boundary = iam.ManagedPolicy(stack, "Boundary", statements=[*statements])
    iam.PermissionsBoundary.of(stack).apply(boundary)


def boundary_of_the_app(stack: cdk.Stack, build: Build = one_instance) -> None:
    build(stack)
    bounded(stack, iam.PolicyStatement(actions=["s3:*"], resources=["*"]))


def deprecated(stack: cdk.Stack) -> None:
    policy = iam.ManagedPolicy.from_aws_managed_policy_name("service-role/AmazonEC2RoleforSSM")
    iam.InstanceProfile(stack, "Profile", role=a_role(stack, managed_policies=[policy]))


def nodes_without_permissions(stack: cdk.Stack) -> None:
    subnets = [one.subnet_id for one in vpc(stack).private_subnets]
    role = a_role(stack).role_arn
    eks.CfnNodegroup(stack, "Nodes", cluster_name="cluster", node_role=role, subnets=subnets)


def metadata_off(stack: cdk.Stack) -> None:
    one_instance(stack).instance.add_property_override(*OFF)


def minimal_image(
    stack: cdk.Stack, cpu: ec2.AmazonLinuxCpuType = ec2.AmazonLinuxCpuType.X86_64
) -> None:
    minimal = ec2.AmazonLinuxEdition.MINIMAL
    image = ec2.MachineImage.latest_amazon_linux2023(edition=minimal, cpu_type=cpu)
    small = ec2.InstanceType("t3.micro" if cpu.name == "X86_64" else "t4g.micro")
    ec2.Instance(stack, "Instance", vpc=vpc(stack), machine_image=image, instance_type=small)


def minimal_image_of_a_template(stack: cdk.Stack) -> None:
    image = ec2.MachineImage.latest_amazon_linux2(edition=ec2.AmazonLinuxEdition.MINIMAL)
    of_a_template(stack, machine_image=image)


# Networks ----------------------------------------------------------------------------------------


def isolated_instance(stack: cdk.Stack, **given: Any) -> tuple[ec2.Vpc, ec2.Instance]:  # noqa: ANN401
    network = isolated(stack, **given)
    return network, instance(stack, network, vpc_subnets=ISOLATED)


def without_an_address(stack: cdk.Stack) -> None:
    one_instance(stack, vpc_subnets=PUBLIC, associate_public_ip_address=False)


def used(stack: cdk.Stack) -> dict[str, Any]:
    """A key, a log group and a log bucket."""
    key, group = kms.Key(stack, "Key"), logs.LogGroup(stack, "LogGroup")
    return {"encryption_key": key, "log_group": group, "log_bucket": s3.Bucket(stack, "Bucket")}


def with_preferences(stack: cdk.Stack, build: Build) -> None:
    build(stack)
    SessionPreferences(stack, "Preferences", enforce_cloudwatch_encryption=False, **used(stack))


def without_an_endpoint_of_messages(stack: cdk.Stack, *, named: bool = True) -> ec2.Instance:
    network, server = isolated_instance(stack)
    network.add_interface_endpoint("Ssm", service=SSM, private_dns_enabled=named)
    return server


def with_endpoints(stack: cdk.Stack, **given: Any) -> ec2.Instance:  # noqa: ANN401
    network, server = isolated_instance(stack, **given)
    endpoints(network)
    return server


def without_endpoints_of_the_permissions(stack: cdk.Stack) -> None:
    permits(stack, with_endpoints(stack).role, allow_registration=True, **used(stack))


def by_endpoints(stack: cdk.Stack, **given: Any) -> ec2.InterfaceVpcEndpoint:  # noqa: ANN401
    """An instance in an isolated subnet, with the endpoint of `ssm` as it is given."""
    network, _ = isolated_instance(stack)
    network.add_interface_endpoint("Messages", service=MESSAGES)
    return network.add_interface_endpoint("Ssm", service=SSM, **given)


def group_with_a_gateway_of_one_subnet(stack: cdk.Stack) -> None:
    network = vpc(stack, KINDS.PUBLIC, KINDS.PRIVATE_ISOLATED)
    to_s3 = ec2.GatewayVpcEndpointAwsService.S3
    network.add_gateway_endpoint("S3", service=to_s3, subnets=[ISOLATED])
    both = ec2.SubnetSelection(subnets=[*network.public_subnets, *network.isolated_subnets])
    given: Any = {"vpc": network, "vpc_subnets": both, "associate_public_ip_address": False}
    autoscaling.AutoScalingGroup(stack, "Group", **given, **MACHINE)


def endpoint_that_allows_others(stack: cdk.Stack) -> None:
    given: Body = {"principals": [iam.AnyPrincipal()], "resources": ["*"]}
    statement = iam.PolicyStatement(actions=["ssm:GetParameter"], **given)
    by_endpoints(stack).add_to_policy(statement)


def in_the_default_group_that_cdk_empties(stack: cdk.Stack) -> None:
    l1_instance(stack, vpc(stack, restrict_default_security_group=True))


def template_without_a_group(stack: cdk.Stack) -> None:
    network = vpc(stack, restrict_default_security_group=True)
    made = ec2.LaunchTemplate(stack, "Template", role=a_role(stack), **MACHINE)
    by: Any = {"launchTemplateId": made.launch_template_id, "version": made.latest_version_number}
    subnets = [one.subnet_id for one in network.private_subnets]
    sizes: Body = {"max_size": "1", "min_size": "1", "vpc_zone_identifier": subnets}
    autoscaling.CfnAutoScalingGroup(stack, "Group", launch_template=by, **sizes)


def group_that_is_imported(stack: cdk.Stack) -> None:
    network = vpc(stack)
    own = ec2.SecurityGroup(stack, "Own", vpc=network, **NO_WAY_OUT)
    imported = ec2.SecurityGroup.from_security_group_id(
        stack, "Imported", own.security_group_id, mutable=False
    )
    instance(stack, network, security_group=imported)


def l1_endpoints_in_the_default_group(stack: cdk.Stack) -> None:
    network, _ = isolated_instance(stack)
    given: Body = {"vpc_endpoint_type": "Interface", "private_dns_enabled": True}
    given |= {"vpc_id": network.vpc_id, "subnet_ids": [network.isolated_subnets[0].subnet_id]}
    for service in ("ssm", "ssmmessages"):
        name = f"com.amazonaws.{stack.region}.{service}"
        ec2.CfnVPCEndpoint(stack, f"Endpoint{service}", service_name=name, **given)


def shut_acl(stack: cdk.Stack, network: ec2.Vpc, *subnets: ec2.ISubnet) -> None:
    """A network ACL of subnets, whose entry number 1 allows outbound SSH."""
    shut = ec2.CfnNetworkAcl(stack, "Acl", vpc_id=network.vpc_id)
    for number, one in enumerate(subnets):
        ec2.CfnSubnetNetworkAclAssociation(
            stack, f"Uses{number}", network_acl_id=shut.ref, subnet_id=one.subnet_id
        )
    entry = {"Protocol": 6, "RuleAction": "allow", "Egress": True, "CidrBlock": "10.0.0.0/16"}
    entry |= {"NetworkAclId": shut.ref, "RuleNumber": 1, "PortRange": {"From": 22, "To": 22}}
    cdk.CfnResource(stack, "Ssh", type="AWS::EC2::NetworkAclEntry", properties=entry)


def a_shut_acl(stack: cdk.Stack, *kinds: ec2.SubnetType, of: ec2.SubnetSelection = EGRESS) -> None:
    network = vpc(stack, *kinds)
    instance(stack, network, vpc_subnets=of)
    ec2.NetworkAcl(stack, "Acl", vpc=network, subnet_selection=of)


def a_shut_acl_of_some(stack: cdk.Stack) -> None:
    kinds = KINDS.PUBLIC, KINDS.PRIVATE_WITH_EGRESS, KINDS.PRIVATE_ISOLATED
    a_shut_acl(stack, *kinds, of=ISOLATED)


def acl_of_the_nat_gateway(stack: cdk.Stack, *, and_all: bool = False) -> None:
    network = vpc(stack)
    instance(stack, network)
    private = network.private_subnets if and_all else []
    shut_acl(stack, network, *network.public_subnets, *private)


def acl_of_endpoints(stack: cdk.Stack) -> None:
    private = ec2.SubnetType.PRIVATE_ISOLATED
    kinds = [ec2.SubnetConfiguration(name=one, subnet_type=private) for one in ("Own", "Endpoints")]
    network = ec2.Vpc(stack, "Vpc", max_azs=1, nat_gateways=0, subnet_configuration=kinds)
    instance(stack, network, vpc_subnets=ec2.SubnetSelection(subnet_group_name="Own"))
    there = ec2.SubnetSelection(subnet_group_name="Endpoints")
    endpoints(network, subnets=there)
    shut_acl(stack, network, *network.select_subnets(subnet_group_name="Endpoints").subnets)


# Sessions and commands in containers -------------------------------------------------------------


def session_document(stack: cdk.Stack, **inputs: object) -> iam.Role:
    """A Session document, and an instance whose role is ready except for the document."""
    role = reaching(stack)
    instance_and_document(stack, role, **inputs)
    return role


def instance_and_document(stack: cdk.Stack, role: iam.Role, **inputs: object) -> None:
    one_instance(stack, role=role)
    properties = session(**inputs)["Properties"]
    cdk.CfnResource(stack, "Document", type="AWS::SSM::Document", properties=properties)


def key_that_is_not_granted(stack: cdk.Stack) -> iam.Role:
    return session_document(stack, kmsKeyId=kms.Key(stack, "Key").key_arn)


def key_beyond_the_boundary(stack: cdk.Stack) -> None:
    key_that_is_not_granted(stack)
    bounded(stack, *session_manager_statements(allow_registration=True))


def bucket_that_is_not_granted(stack: cdk.Stack) -> None:
    bucket = s3.Bucket(stack, "Bucket")
    session_document(stack, s3BucketName=bucket.bucket_name, s3KeyPrefix="sessions")


def key_and_bucket_that_are_not_granted(stack: cdk.Stack) -> None:
    key, bucket = kms.Key(stack, "Key").key_arn, s3.Bucket(stack, "Bucket").bucket_name
    session_document(stack, kmsKeyId=key, s3BucketName=bucket)


def enforced_group_that_is_not_granted(stack: cdk.Stack) -> None:
    name = logs.LogGroup(stack, "Logs", encryption_key=kms.Key(stack, "Key")).log_group_name
    session_document(stack, cloudWatchLogGroupName=name, cloudWatchEncryptionEnabled=True)


def service_of(stack: cdk.Stack, task: str) -> ecs.CfnService:
    given: Any = {"enable_execute_command": True, "launch_type": "FARGATE"}
    return ecs.CfnService(stack, "Service", task_definition=task, **given)


def containers(stack: cdk.Stack, *, channels: bool = True, **more: Any) -> ecs.CfnService:  # noqa: ANN401
    """An ECS service that may execute commands in a container, with `more` arguments of that.

    The task role may open the channels unless `channels` is false.
    """
    task = ecs.FargateTaskDefinition(stack, "Task")
    task.add_container("App", image=ecs.ContainerImage.from_registry("nginx"), **more)
    for statement in session_manager_statements() if channels else ():
        task.add_to_task_role_policy(statement)
    return service_of(stack, task.task_definition_arn)


def cluster_that_asks_for_more(
    stack: cdk.Stack, build: Callable[[cdk.Stack], ecs.CfnService] = containers
) -> None:
    asked = used(stack)
    logged = {
        "s3BucketName": asked["log_bucket"].bucket_name,
        "s3EncryptionEnabled": True,
        "cloudWatchLogGroupName": asked["log_group"].log_group_name,
    }
    key = asked["encryption_key"].key_arn
    executes: Any = {"kmsKeyId": key, "logging": "OVERRIDE", "logConfiguration": logged}
    configuration: Any = {"executeCommandConfiguration": executes}
    cluster = ecs.CfnCluster(stack, "Cluster", configuration=configuration)
    build(stack).cluster = cluster.ref


def bounded_task_that_is_asked_for_more(stack: cdk.Stack) -> None:
    of_task = partial(containers, channels=False)
    boundary_of_the_app(stack, partial(cluster_that_asks_for_more, build=of_task))


def task_without_a_role(stack: cdk.Stack) -> ecs.CfnService:
    given: Any = [{"name": "app", "image": "nginx"}]
    return service_of(stack, ecs.CfnTaskDefinition(stack, "Task", container_definitions=given).ref)


def without_the_tag(stack: cdk.Stack, build: Build) -> None:
    """Operators who may start sessions by a tag that nothing has."""
    build(stack)
    operators = iam.Role(stack, "Operators", assumed_by=iam.AccountRootPrincipal())
    preferences = SessionPreferences(stack, "Preferences")
    preferences.grant_start_session(operators, instance_tags={"Team": "web"})


def trusted_by_rds(stack: cdk.Stack) -> None:
    one_instance(stack, role=a_role(stack, "rds.amazonaws.com"))


def overridden(stack: cdk.Stack, of: str, path: str, value: object) -> None:
    """An instance, with an overridden property in a construct below it."""
    one_instance(stack, role=a_role(stack))
    construct = stack.node
    for name in of.split("/"):
        construct = construct.find_child(name).node
    made: Any = construct.default_child
    made.add_property_override(path, value)


trusted_by_an_override = partial(
    overridden,
    of="Role",
    path="AssumeRolePolicyDocument.Statement.0.Principal.Service",
    value="rds.amazonaws.com",
)
rules_of_an_override = partial(
    overridden, of="Instance/InstanceSecurityGroup", path="SecurityGroupEgress", value=UDP
)
tags_of_an_override = partial(overridden, of="Instance", path="Tags", value=[])


def of_a_template(stack: cdk.Stack, **given: Any) -> None:  # noqa: ANN401
    a_template(stack, role=a_role(stack), **given)


FAULTS_OF: Final[dict[str, list[tuple[str, Build, str]]]] = {
    "channel-missing": [("one instance", one_instance, "Instance"),
        ("two of one role", two_of_one_role, ""),
        ("a group", a_group, "Group"),
        ("below a construct", below_a_construct, ""),
        ("in a nested stack", lambda s: one_instance(cdk.NestedStack(s, "Nested")), ""),
        ("an id that is taken", partial(id_taken, id_="InstanceInstanceRoleSessionManager"), ""),
        ("a boundary of the app", boundary_of_the_app, ""),
        ("and a late policy", partial(boundary_of_the_app, build=late_by_a_policy), ""),
        ("and preferences", partial(boundary_of_the_app, build=key_that_is_not_granted), ""),
        ("nodes without permissions", nodes_without_permissions, "Nodes"),
        ("a group with preferences", partial(with_preferences, build=a_group), "Group")],
    "boot-order": [("late", partial(late, allow_registration=True), "Instance"),
        ("late, with an override", late_beside_an_override, ""),
        ("late by a policy", late_by_a_policy, ""), ("late in L1", late_in_l1, "Instance"),
        ("a late group", lambda s: permits(s, a_group(s).role, allow_registration=True), "Group")],
    "registration-missing": [("late without registration", late, ""),
        ("waits without registration", waits_without_registration, ""),
        ("opens by the role alone", opens_by_the_role_alone, ""),
        ("a group that starts empty", group_that_starts_empty, "")],
    "deprecated-policy": [("the deprecated policy", deprecated, "Role")],
    "no-instance-profile": [("an L1 instance", l1_instance, "Instance"),
        ("and an id taken", lambda s: id_taken(cdk.NestedStack(s, "Nested"), l1_instance), ""),
        ("a template without a role", a_template, "Template"),
        ("with preferences", partial(with_preferences, build=l1_instance), "Instance")],
    "role-not-assumable": [("trusted by RDS", trusted_by_rds, "Role"),
        ("trusted by an override", trusted_by_an_override, "Role")],
    "metadata-off": [("metadata off", metadata_off, "Instance"),
        ("metadata off in a template", partial(of_a_template, http_endpoint=False), "Template")],
    "agent-missing": [("a minimal image", minimal_image, ""),
        ("a minimal image for ARM", partial(minimal_image, cpu=ec2.AmazonLinuxCpuType.ARM_64), ""),
        ("a minimal image of a template", minimal_image_of_a_template, "")],
    "no-network-path": [("isolated", isolated_instance, "Instance"),
        ("without an address", without_an_address, "Instance"),
        ("a shut network ACL", a_shut_acl, "Instance"),
        ("a shut network ACL of some subnets", a_shut_acl_of_some, ""),
        ("in two subnets", partial(with_preferences, build=group_with_a_gateway_of_one_subnet), ""),
        ("a network ACL of the NAT gateway", acl_of_the_nat_gateway, ""),
        ("a network ACL of all", partial(acl_of_the_nat_gateway, and_all=True), ""),
        ("a network ACL of endpoints", acl_of_endpoints, "")],
    "endpoint-missing": [
        ("without an endpoint of messages", without_an_endpoint_of_messages, "Instance"),
        ("without those of preferences", partial(with_preferences, build=with_endpoints), ""),
        ("without those of the permissions", without_endpoints_of_the_permissions, "Instance")],
    "endpoint-unreachable": [
        ("private DNS off", partial(by_endpoints, private_dns_enabled=False), "VpcSsm"),
        ("no DNS host names", partial(with_endpoints, enable_dns_hostnames=False), "VpcSsm"),
        ("a shut endpoint", partial(by_endpoints, open=False), "VpcSsm"),
        ("an endpoint that allows others", endpoint_that_allows_others, "VpcSsm"),
        ("L1 endpoints in no group", l1_endpoints_in_the_default_group, "Endpointssm")],
    "egress-closed": [("nothing let out", partial(one_instance, **NO_WAY_OUT), "Instance"),
        ("nothing let out of a template", partial(of_a_template, egress=False), "Template"),
        ("in a group that CDK empties", in_the_default_group_that_cdk_empties, "Instance"),
        ("a template without a group", template_without_a_group, ""),
        ("a group that is imported", group_that_is_imported, ""),
        ("rules of an override", rules_of_an_override, "")],
    "session-denied": [("a key that is not granted", key_that_is_not_granted, ""),
        ("an enforced group that is not granted", enforced_group_that_is_not_granted, ""),
        ("a key and a bucket that are not granted", key_and_bucket_that_are_not_granted, ""),
        ("a key beyond the boundary", key_beyond_the_boundary, "")],
    "log-lost": [("a bucket that is not granted", bucket_that_is_not_granted, ""),
        ("a group by its name", partial(session_document, cloudWatchLogGroupName="sessions"), "")],
    "exec-denied": [
        ("a read-only container", partial(containers, readonly_root_filesystem=True), ""),
        ("a task without a role", task_without_a_role, ""),
        ("a task whose role lacks the channels", partial(containers, channels=False), ""),
        ("a cluster that asks for more", cluster_that_asks_for_more, ""),
        ("of no role", partial(cluster_that_asks_for_more, build=task_without_a_role), ""),
        ("and for the channels", bounded_task_that_is_asked_for_more, "")],
    "tags-match-nothing": [
        ("an instance without the tag", partial(without_the_tag, build=one_instance), ""),
        ("a group without the tag", partial(without_the_tag, build=a_group), ""),
        ("tags of an override", partial(without_the_tag, build=tags_of_an_override), "")],
}  # fmt: skip
"""Apps with a fault, by the rule that finds it, each with the prefix of the id of the resource."""
FAULTS: Final = [(name, does, rule, at) for rule, of in FAULTS_OF.items() for name, does, at in of]
BY_NAME: Final = {name: (build, rule) for name, build, rule, _ in FAULTS}
SHOWN: Final = (
    *("one instance", "late without registration", "an L1 instance", "trusted by RDS"),
    *("metadata off", "isolated", "without an endpoint of messages", "a shut endpoint"),
    *("nothing let out", "the deprecated policy", "late", "a minimal image"),
    *("a key that is not granted", "a bucket that is not granted", "a read-only container"),
    "an instance without the tag",
)
"""The faults whose fixes the pages about the rules show, one for each rule."""


# Templates ---------------------------------------------------------------------------------------


def launched(**parts: object) -> Body:
    """A launch template or configuration `Template`, and a resource that launches from it."""
    return {"Resources": dict(parts)}


def denies(acl_: str) -> Body:
    """The entry of a network ACL that denies all outbound traffic, before any other entry."""
    return entry(1, RuleAction="deny", NetworkAclId=ref(acl_))


def behind_an_acl(of_subnet: object = ref("Subnet"), **more: object) -> Body:
    """An instance with a NAT gateway in its own subnet, whose network ACL has no entry."""
    names = ("Gateway", "Attachment", "Public", "PublicTable", "PublicAssociation", "PublicRoute")
    parts = {name: NETWORK[name] for name in (*names, "Nat")}
    parts["Route"] = route(ref("Table"), **TO_NAT)
    return isolated_in_l1(**parts | acl(of_subnet) | more)


def in_public(service: str) -> Body:
    return endpoint(service, SubnetIds=[ref("Public")])


def endpoints_of_two_subnets() -> Body:
    """Instances in two subnets, one with an ACL of another app, and endpoints behind an ACL.

    Another VPC has a NAT gateway.
    """
    in_second = {"SubnetId": ref("Second")}
    others = part("SubnetNetworkAclAssociation", **in_second, NetworkAclId="acl-12345678")
    second = machine(**PROFILE, **in_second, SecurityGroupIds=[ref("Group")])
    return behind_an_acl(
        ref("Public"), Ssm=in_public("ssm"), Messages=in_public("ssmmessages"),
        Second=subnet("10.0.1.0/24"), SecondAssociation=association(ref("Second"), ref("Table")),
        UsesOther=others, SecondMachine=second, OtherVpc=part("VPC", CidrBlock="10.9.0.0/16"),
        OtherSubnet=part("Subnet", VpcId=ref("OtherVpc"), CidrBlock="10.9.0.0/24"),
        OtherNat=part("NatGateway", SubnetId=ref("OtherSubnet")),
        OtherAcl=part("NetworkAcl", VpcId=ref("OtherVpc")), OtherEntry=denies("OtherAcl"),
    )  # fmt: skip


def by_l1_endpoints(**of_ssm: object) -> Body:
    """An isolated instance with endpoints, that of `ssm` as it is given."""
    return isolated_in_l1(**BOTH | {"Ssm": endpoint("ssm", **of_ssm)})


def in_either(body: Body) -> Body:
    """A template with the condition C, without the resources that are None."""
    made = {key: one for key, one in body["Resources"].items() if one is not None}
    return {
        "Parameters": {"P": {"Type": "String"}},
        "Conditions": {"C": {"Fn::Equals": [ref("P"), "yes"]}},
        "Resources": made,
    }


def on_c(body: Body, *names: str) -> Body:
    """A template with these resources on the condition C."""
    there = {name: body["Resources"][name] | {"Condition": "C"} for name in names}
    return in_either({"Resources": body["Resources"] | there})


def within(boundary: object, *statements: object, **more: Body) -> Body:
    """A ready role within a boundary; the one of the app has these statements, or one alone."""
    written = statements[0] if len(statements) == 1 else [*statements]
    made = resource("AWS::IAM::ManagedPolicy", PolicyDocument={"Statement": written})
    role = inline(ALL) | {"PermissionsBoundary": boundary}
    return profile_and_role(role, Boundary=made, **more)


def trusting(statements: object, **more: Body) -> Body:
    trust = {"AssumeRolePolicyDocument": {"Statement": statements}}
    return profile_and_role(inline(ALL) | trust, **more)


RUNNING: Final = machine(**PROFILE)
IN_TEMPLATE: Final = by_id(att("Template", "LatestVersionNumber"))
ONE_SPECIFICATION: Final = {"ImageId": "ami-12345678", "InstanceType": "t3.micro"}
OF_PROFILE: Final = ONE_SPECIFICATION | {"IamInstanceProfile": {"Arn": att("Profile", "Arn")}}
WITH_PROFILE: Final = template(**OF_PROFILE)
LAUNCHES_MINIMAL: Final = ONE_SPECIFICATION | {"ImageId": MINIMAL}
BEHIND: Final = {"SecurityGroupIds": [ref("Shut")]}
ELSEWHERE: Final = [{"IpProtocol": "-1", "CidrIp": "10.9.0.0/16"}]
WITH_BUCKET: Final = {
    "Bucket": resource("AWS::S3::Bucket"),
    "Document": session(s3BucketName=ref("Bucket"), s3EncryptionEnabled=True),
    "Role": resource("AWS::IAM::Role", **TRUST, **inline(allow("*"))),
}
LOGS: Final = {"cloudWatchLogGroupName": "sessions"}
WITH_LOGS: Final = WITH_BUCKET | {"Document": session(**LOGS)}
EITHER_POLICIES: Final = {
    "Fn::If": ["C", inline(allow("ssm:Update*"))["Policies"], inline(allow("s3:*"))["Policies"]]
}
OTHERS: Final = allow("ssm:GetParameter", Principal="*")
OF_OTHERS: Final = {"Statement": [OTHERS]}


def in_arn(place: int, separator: str, arn: Body) -> Body:
    """A part of an ARN, as CDK writes the name of what is imported by its ARN."""
    return {"Fn::Select": [place, {"Fn::Split": [separator, arn]}]}


NAMED_GRANT: Final = GRANT | {"Properties": GRANT["Properties"] | {"PolicyName": "Grant"}}
NAMED_LATE: Final = LATE | {"Properties": LATE["Properties"] | {"PolicyName": "Late"}}
KEYED: Final = {"Key": resource("AWS::KMS::Key"), "Document": session(kmsKeyId=att("Key", "Arn"))}
BY_DEFAULT: Final = KEYED | {"Document": DEFAULT}
OF_CONSTRUCTS: Final[dict[str, tuple[str, Body]]] = {
    "a launch template without a profile": ("no-instance-profile", launched(
        Template=template(**ONE_SPECIFICATION), Group=scaling(LaunchTemplate=IN_TEMPLATE))),
    "a launch configuration without a profile": ("no-instance-profile", launched(
        Template=resource("AWS::AutoScaling::LaunchConfiguration", **ONE_SPECIFICATION),
        Group=scaling(LaunchConfigurationName=ref("Template")))),
    "a second launch specification without a profile": ("no-instance-profile", profile_and_role(
        inline(ALL), Fleet=spot(LaunchSpecifications=[OF_PROFILE, LAUNCHES_MINIMAL]))),
    "one object in place of a list": ("no-instance-profile", launched(
        Fleet=spot(LaunchSpecifications=LAUNCHES_MINIMAL))),
    "a minimal image of an override": ("agent-missing", profile_and_role(
        inline(ALL), Template=WITH_PROFILE, Group=scaling(MixedInstancesPolicy={"LaunchTemplate": {
            "LaunchTemplateSpecification": IN_TEMPLATE,
            "Overrides": [{"InstanceType": "t3.nano"}, {"ImageId": MINIMAL}]}}))),
    "a minimal image of AWS Batch": ("agent-missing", profile_and_role(
        inline(ALL), Batch=resource("AWS::Batch::ComputeEnvironment", ComputeResources={
            "Type": "EC2", "InstanceRole": ref("Profile"), "MaxvCpus": 1, "InstanceTypes": ["m5"],
            "Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"], "Ec2Configuration": [
                {"ImageType": "ECS_AL2023", "ImageIdOverride": MINIMAL}]}, Type="MANAGED"))),
    "two shut groups of a fleet": ("egress-closed", isolated_in_l1(
        **BOTH, **{name: group(egress=UDP) for name in ("Group", "Shut")},
        Machine=spot(LaunchSpecifications=[
            OF_PROFILE | {"SubnetId": ref("Subnet"), "SecurityGroups": [{"GroupId": ref(name)}]}
            for name in ("Group", "Shut")]))),
    "endpoints of all but S3": ("endpoint-missing", isolated_in_l1(
        **BOTH, **WITH_BUCKET, Group=group(egress=[https(CidrIp=BLOCK)]))),
    "an endpoint of S3 for another table": ("endpoint-missing", isolated_in_l1(
        **BOTH, Second=part("RouteTable", **VPC_ID),
        **{name: part("VPCEndpoint", **VPC_ID, ServiceName=f"com.amazonaws.eu-west-1.{name}",
                      RouteTableIds=[ref(of)])
           for name, of in (("s3", "Second"), ("dynamodb", "Table"))}, **WITH_BUCKET)),
    "no endpoints, and a shut group": (
        "no-network-path", isolated_in_l1(Group=group(egress=ELSEWHERE))),
    "no DNS host names, and no endpoint of logs": ("endpoint-unreachable", isolated_in_l1(
        Vpc=part("VPC", CidrBlock=BLOCK, EnableDnsHostnames=False), **BOTH | WITH_LOGS | {
            "Ssm": endpoint("ssm", PrivateDnsEnabled=False)}, Zone=resource(
            "AWS::Route53::HostedZone", VPCs=[VPC_ID],
            Name={"Fn::Sub": "ssm.${AWS::Region}.amazonaws.com"}))),
    "a policy of one statement": ("endpoint-unreachable", by_l1_endpoints(
        PolicyDocument={"Statement": OTHERS})),
    "an endpoint that denies others": ("endpoint-unreachable", by_l1_endpoints(
        PolicyDocument={"Statement": [OTHERS, deny("ssm:Delete*", Principal="*")]})),
    "an endpoint that allows others": ("endpoint-unreachable", by_l1_endpoints(
        PolicyDocument=OF_OTHERS, PrivateDnsEnabled=False)),
}  # fmt: skip
"""Templates whose resources are L1 constructs of an app."""
INCLUDED: Final[dict[str, tuple[str, Body]]] = {
    "a bucket with a key": ("log-lost", profile_and_role(
        inline(ALL, allow("s3:PutObject")), Document=session(s3BucketName=ref("Bucket")),
        Key=resource("AWS::KMS::Key"), Bucket=resource("AWS::S3::Bucket", BucketEncryption={
            "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": att("Key", "Arn")}}]}))),
    "a bucket that takes no upload without encryption": ("log-lost", profile_and_role(
        inline(ALL, allow("s3:PutObject")), Document=session(s3BucketName=ref("Bucket")),
        Bucket=resource("AWS::S3::Bucket"), Policy=resource(
            "AWS::S3::BucketPolicy", Bucket=ref("Bucket"), PolicyDocument={"Statement": [
                deny("s3:PutObject", Principal="*", Condition={"Null": {
                    "s3:x-amz-server-side-encryption": "true"}})]}))),
    "a key that a condition chooses": ("session-denied", in_either(profile_and_role(
        inline(ALL), **KEYED | {"Second": KEYED["Key"], "Document": session(
            "SSM-SessionManagerRunShell",
            kmsKeyId={"Fn::If": ["C", att("Key", "Arn"), att("Second", "Arn")]})}))),
    "a trust policy of one statement": ("role-not-assumable", trusting(RDS)),
    "a trust policy of several": ("role-not-assumable", trusting([RDS], **KEYED)),
    "a boundary of one": ("channel-missing", within(ref("Boundary"), allow("s3:*"), **BY_DEFAULT)),
    "a boundary of several": (
        "channel-missing", within(ref("Boundary"), allow("s3:*"), allow("ec2:*"), **BY_DEFAULT)),
    "the deprecated policy, second": ("deprecated-policy", profile_and_role(
        {"ManagedPolicyArns": [f"{AWS}AmazonS3FullAccess", OLD]}, Document=WITH_LOGS["Document"])),
    "both policies of AWS": ("deprecated-policy", profile_and_role(
        {"ManagedPolicyArns": [CORE, OLD]})),
    "an instance that has no profile": ("no-instance-profile", profile_and_role(
        inline(ALL), Machine=machine(ImageId="ami-12345678"))
        | {"Parameters": {"MachineProfile": {"Type": "String"}}}),
    "an instance with a bare role": ("channel-missing", profile_and_role(Machine=RUNNING)),
    "metadata off": ("metadata-off", profile_and_role(inline(ALL), Machine=machine(
        **PROFILE, MetadataOptions={"HttpEndpoint": "disabled"}))),
    "instances of two versions of a launch template": ("channel-missing", profile_and_role(
        Template=WITH_PROFILE, Machine=machine(LaunchTemplate=IN_TEMPLATE),
        Other=machine(LaunchTemplate=IN_TEMPLATE | {"Version": "1"}))),
    "an instance that waits for something else": ("boot-order", profile_and_role(
        Policy=NAMED_LATE, **KEYED, Machine=RUNNING | {"DependsOn": "Role"})),
    "a role whose policies a condition chooses": ("channel-missing", in_either(
        profile_and_role({"Policies": EITHER_POLICIES}))),
    "roles that a condition chooses": ("channel-missing", in_either(profile_and_role(
        roles=[{"Fn::If": ["C", ref("Role"), ref("Other")]}],
        Other=resource("AWS::IAM::Role", **TRUST)))),
    "a role with a policy of another fix": ("channel-missing", profile_and_role(
        {"Policies": [inline(allow("s3:*"))["Policies"][0] | {"PolicyName": "RoleChannels"}]})),
    "no way out": ("no-network-path", isolated_in_l1(**WITH_LOGS)),
    "no way out of two subnets": ("no-network-path", isolated_in_l1(
        Second=subnet("10.0.1.0/24"), Group=group(egress=ELSEWHERE), SecondMachine=machine(
            **PROFILE, SubnetId=ref("Second"), SecurityGroupIds=[ref("Group")]))),
    "two subnets of a group, one with a network ACL": ("no-network-path",
        isolated_in_l1(
            **acl(ref("Subnet")), **WITH_BUCKET, Second=subnet("10.0.1.0/24"), Machine=scaling(
                LaunchTemplate=IN_TEMPLATE, VPCZoneIdentifier=[ref("Subnet"), ref("Second")]),
            SecondAssociation=association(ref("Second"), ref("Table")), Template=WITH_PROFILE)),
    "two subnets of a group, one without an endpoint, one shut out by another": ("endpoint-missing",
        isolated_in_l1(
            Ssm=endpoint("ssm", **BEHIND), Shut=group(https(CidrIp="10.0.0.0/24")),
            Second=subnet("10.0.1.0/24"), Template=WITH_PROFILE, Machine=scaling(
                LaunchTemplate=IN_TEMPLATE, VPCZoneIdentifier=[ref("Subnet"), ref("Second")]))),
    "endpoints in the default group": ("endpoint-unreachable", isolated_in_l1(
        Ssm=endpoint("ssm", SecurityGroupIds=ref("AWS::NoValue"), PrivateDnsEnabled=False),
        Messages=endpoint("ssmmessages", SecurityGroupIds=None, PolicyDocument=OF_OTHERS))),
    "a shut endpoint, in a VPC of two ranges": ("endpoint-unreachable", isolated_in_l1(
        Ssm=endpoint("ssm", **BEHIND), Messages=endpoint("ssmmessages", **BEHIND), Shut=group(),
        Rule=part("SecurityGroupIngress", GroupId=att("Shut", "GroupId"),
                  **https(CidrIp=att("Vpc", "CidrBlock"))),
        Subnet=subnet("10.1.1.0/24"), More=part("VPCCidrBlock", **VPC_ID, CidrBlock="10.1.0.0/16"),
        Of=part("VPCCidrBlock", VpcId=ref("OtherVpc"), CidrBlock="10.3.0.0/16"),
        OtherVpc=part("VPC", CidrBlock="10.2.0.0/16"),
        Six=part("VPCCidrBlock", **VPC_ID, AmazonProvidedIpv6CidrBlock=True),
    )),
    "a shut group, and a shut endpoint": ("egress-closed", isolated_in_l1(
        Ssm=endpoint("ssm", **BEHIND), Messages=endpoint("ssmmessages", SecurityGroupIds=None),
        Shut=group(), Group=group(egress=UDP))),
    **{f"{what} an endpoint that keeps streamed logs back": (rule, isolated_in_l1(
        **BOTH | WITH_LOGS | {"Document": session(**LOGS, cloudWatchStreamingEnabled=True)},
        Logs=endpoint("logs", PolicyDocument={
            "Statement": [allow("logs:Create*", "logs:Put*", Principal="*")]}), **more))
       for what, rule, more in (
           ("only", "log-lost", {}),
           ("a shut group, and", "egress-closed", {"Group": group(egress=UDP)}))},
    "a shut group, in a subnet of another app": ("egress-closed", isolated_in_l1(
        Group=group(egress=UDP), Machine=machine(
            **PROFILE, SubnetId="subnet-12345678", SecurityGroupIds=[ref("Group")]))),
    "endpoints behind a network ACL": ("no-network-path", endpoints_of_two_subnets()),
    **{f"a network ACL of endpoints that {name}, to which the names lead others": (
        rule, behind_an_acl(
            Second=subnet("10.0.1.0/24"), SecondTable=part("RouteTable", **VPC_ID), **more,
            SecondAssociation=association(ref("Second"), ref("SecondTable")),
            OfOthers=machine(**PROFILE, SubnetId="subnet-12345678"),
            Route=route(ref("SecondTable"), **TO_NAT), SecondMachine=machine(
                **PROFILE, SubnetId=ref("Second"), SecurityGroupIds=[ref("Group")])))
       for name, rule, more in (
           ("are made", "no-network-path", {}),
           ("get private DNS", "endpoint-unreachable", {
               name: endpoint(name.lower(), PrivateDnsEnabled=False)
               for name in ("Ssm", "SsmMessages")}))},
    "one endpoint behind a network ACL": ("no-network-path", isolated_in_l1(
        Second=subnet("10.0.1.0/24"), Ssm=endpoint("ssm", SubnetIds=[ref("Second")]),
        **acl(ref("Subnet")), OpenAcl=part("NetworkAcl", **VPC_ID), UsesOpen=part(
            "SubnetNetworkAclAssociation", SubnetId=ref("Second"), NetworkAclId=ref("OpenAcl")),
        OpenIn=entry(egress=False, NetworkAclId=ref("OpenAcl")),
        OpenOut=entry(NetworkAclId=ref("OpenAcl")))),
    "two subnets without a way out, each with a network ACL": ("no-network-path", isolated_in_l1(
        Second=subnet("10.0.1.0/24"), **acl(ref("Subnet")), SecondAcl=part("NetworkAcl", **VPC_ID),
        SecondUses=part("SubnetNetworkAclAssociation", SubnetId=ref("Second"),
                        NetworkAclId=ref("SecondAcl")),
        SecondMachine=machine(**PROFILE, SubnetId=ref("Second"), SecurityGroupIds=[ref("Group")]))),
    "a network ACL, and a shut group": (
        "no-network-path", behind_an_acl(Group=group(egress=ELSEWHERE))),
    "a network ACL, and a group that lets nothing out to others": (
        "no-network-path", behind_an_acl(
            Group=group(egress=[https(CidrIp=BLOCK), https(CidrIp="128.0.0.0/1")]),
            Way=route(ref("Table"), DestinationCidrBlock="10.9.0.0/16", TransitGatewayId="tgw-1"))),
    "a shut group, and logs behind a network ACL": ("egress-closed",
        isolated_in_l1(**BOTH, Group=group(egress=ELSEWHERE), **acl(ref("Subnet")), **WITH_BUCKET
                       | {"Document": session(s3BucketName=ref("Bucket"))})),
    "no endpoint of S3, and a table that not all deployments have": ("endpoint-missing", on_c(
        isolated_in_l1(**BOTH, **WITH_BUCKET, Other=part("RouteTable", **VPC_ID)), "Other")),
    "preferences on a condition, which not all deployments have": ("channel-missing", on_c(
        profile_and_role(Machine=RUNNING, **KEYED), "Document", "Key")),
    "a role with a document, and an instance that waits for something else": (
        "channel-missing", in_either(profile_and_role({"Policies": EITHER_POLICIES},
            **KEYED, Machine=RUNNING | {"DependsOn": "Role"}))),
    "a role on a condition": ("channel-missing", on_c(profile_and_role(
        {"Policies": EITHER_POLICIES}, Machine=RUNNING), "Role", "Profile", "Machine")),
    "a role, an instance and their document on a condition": ("channel-missing", on_c(
        profile_and_role(Machine=RUNNING, **KEYED),
        "Role", "Profile", "Machine", "Key", "Document")),
    "a role that not all deployments of an instance have": ("channel-missing", on_c(
        profile_and_role({"Policies": EITHER_POLICIES}, Machine=machine(
            **PROFILE | {"IamInstanceProfile": {"Fn::If": ["C", ref("Profile"), "Other"]}})),
        "Role", "Profile")),
    "a late policy that not all deployments have": ("boot-order", on_c(
        profile_and_role(Policy=NAMED_LATE, Machine=RUNNING), "Policy")),
    "no way out of a network on a condition": ("no-network-path", on_c(
        isolated_in_l1(), *isolated_in_l1()["Resources"].keys() - {"Role", "Profile"})),
    "a key on a condition, and no policy": ("session-denied", on_c(profile_and_role(inline(ALL),
        Machine=RUNNING, **KEYED), "Profile", "Machine", "Key", "Document")),
    "a key that waits for an instance of another role": ("session-denied", profile_and_role(
        inline(ALL), Machine=RUNNING, Other=machine(IamInstanceProfile="Other"),
        **KEYED | {"Key": resource("AWS::KMS::Key", Description=ref("Other"))})),
    "a document whose key is named by a part of its ARN": ("session-denied", profile_and_role(
        inline(ALL), **KEYED | {"Document": session("SSM-SessionManagerRunShell",
            kmsKeyId=in_arn(1, "/", in_arn(5, ":", att("Key", "Arn"))),
            cloudWatchLogGroupName=in_arn(6, ":", att("Group", "Arn")),
            s3BucketName=in_arn(0, "/", in_arn(5, ":", att("Bucket", "Arn"))))},
        Bucket=resource("AWS::S3::Bucket"), Group=resource("AWS::Logs::LogGroup"))),
    "a document whose key a condition chooses": ("session-denied", in_either(profile_and_role(
        Machine=RUNNING, Bucket=WITH_BUCKET["Bucket"], Key=KEYED["Key"], Other=KEYED["Key"],
        Document=session(s3BucketName=ref("Bucket"), kmsKeyId={
            "Fn::If": ["C", att("Key", "Arn"), att("Other", "Arn")]})))),
    "a group on a condition": ("egress-closed", on_c(
        isolated_in_l1(**BOTH, Group=group(egress=UDP)), "Group", "Machine")),
}  # fmt: skip
"""Templates that an app includes."""
ON_CONDITIONS: Final = [name for name in INCLUDED if name.endswith("on a condition")]
CHOSEN: Final = {"Fn::If": ["C", ref("Acl"), ref("Second")]}
ONLY_S3: Final = {"Fn::If": ["C", allow("s3:*"), [allow("s3:Get*")]]}
EITHER_STATEMENT: Final = {"Fn::If": ["C", allow("ssm:GetParameter"), [allow("ssm:Get*")]]}
EITHER_DOCUMENT: Final = {"Fn::If": ["C", {"Statement": OTHERS}, OF_OTHERS]}
ENDPOINTS_OF_LOGS: Final = {
    "Role": WITH_BUCKET["Role"], **BOTH,
    "Logs": endpoint("logs",
        PolicyDocument={"Statement": [allow("*", Principal="*"), deny("logs:*", Principal="*")]}),
}  # fmt: skip
EITHER_OFF: Final = {
    "Fn::If": ["C", {"HttpEndpoint": "disabled"}, {"HttpEndpoint": "disabled", "HttpTokens": "-"}]
}
EITHER_TAG: Final = {"Fn::If": ["C", [{"Key": "A", "Value": "a"}], [{"Key": "B", "Value": "b"}]]}
BOTH_OF_S3: Final = {
    "Second": resource("AWS::IAM::ManagedPolicy", PolicyDocument={"Statement": [allow("s3:*")]})
}
OF_KEY: Final = KEYED | {"Key": resource("AWS::KMS::Key", KeyPolicy={"Statement": []})}
IN_WORDS: Final[dict[str, Body]] = {
    "a trust policy whose statements a condition chooses": trusting(
        {"Fn::If": ["C", RDS, [RDS]]}, Machine=RUNNING),
    "an endpoint that denies": by_l1_endpoints(PolicyDocument={"Statement": [
        allow("*", Principal="*"), deny("ssm:Update*", Principal="*")]}),
    "an endpoint whose denial a condition chooses": by_l1_endpoints(PolicyDocument={"Statement": [
        OTHERS, {"Fn::If": ["C", deny("*", Principal="*"), deny("ssm:*", Principal="*")]}]}),
    "an endpoint that denies one of several calls": isolated_in_l1(**BOTH | {
        "Messages": endpoint("ssmmessages", PolicyDocument={"Statement": [
            allow("ssmmessages:*Data*", Principal="*"),
            deny("ssmmessages:CreateDataChannel", Principal="*")]})}),
    "an endpoint that denies calls for logs": isolated_in_l1(
        **ENDPOINTS_OF_LOGS, Document=session(**LOGS)),
    "an endpoint that denies calls for enforced logs": isolated_in_l1(
        **ENDPOINTS_OF_LOGS, Document=session(**LOGS, cloudWatchEncryptionEnabled=True)),
    "an endpoint on a condition": on_c(isolated_in_l1(Ssm=endpoint("ssm")), "Ssm"),
    "policies of AWS that a condition chooses": profile_and_role(
        {"ManagedPolicyArns": {"Fn::If": ["C", [OLD], [CORE, OLD]]}}),
    "a policy that waits for the instance": profile_and_role(
        Policy=NAMED_LATE | {"DependsOn": "Machine"}, Machine=RUNNING),
    "a boundary whose statements a condition chooses": within(ref("Boundary"), ONLY_S3),
    "a boundary that a condition chooses": within(
        {"Fn::If": ["C", ref("Boundary"), ref("Second")]}, allow("s3:*"), **BOTH_OF_S3),
    "a key whose policy leaves IAM out": profile_and_role(
        inline(ALL, allow("kms:Decrypt", on=att("Key", "Arn"))), **OF_KEY),
    "a key whose policy leaves IAM out, and a role without a grant": profile_and_role(
        inline(ALL), **OF_KEY),
    "a key whose policy denies": profile_and_role(inline(ALL), **KEYED | {"Key": resource(
        "AWS::KMS::Key", KeyPolicy={"Statement": deny("kms:*", Principal="*")})}),
    "a key that waits for the instance": profile_and_role(inline(ALL), Machine=RUNNING,
        **KEYED | {"Key": resource("AWS::KMS::Key", Description=ref("Machine"))}),
    "a bucket, and no route table": isolated_in_l1(
        **BOTH, Table=None, Association=None, **WITH_BUCKET),
    "a bucket, and the main route table": isolated_in_l1(**BOTH, Association=None, **WITH_BUCKET),
    "an endpoint whose statements a condition chooses": by_l1_endpoints(
        PolicyDocument={"Statement": EITHER_STATEMENT}),
    "an endpoint whose policy a condition chooses": by_l1_endpoints(PolicyDocument=EITHER_DOCUMENT),
    "a network ACL that a condition chooses": behind_an_acl(Second=part("NetworkAcl", **VPC_ID),
        Uses=part("SubnetNetworkAclAssociation", SubnetId=ref("Subnet"), NetworkAclId=CHOSEN)),
    "what a condition chooses of an instance": profile_and_role(inline(ALL), Machine=machine(
        **PROFILE, MetadataOptions=EITHER_OFF,
        ImageId={"Fn::Sub": [MINIMAL.replace("x86_64", "${Cpu}"), {
            "Cpu": {"Fn::If": ["C", "x86_64", "arm64"]}}]})),
    "tags that a condition chooses": profile_and_role(
        inline(ALL), Machine=machine(**PROFILE, Tags=EITHER_TAG), Grant=NAMED_GRANT),
    "a tag that does not reach the instances": profile_and_role(inline(ALL), Template=WITH_PROFILE,
        Group=scaling(LaunchTemplate=IN_TEMPLATE, Tags=[
            {"Key": "Team", "Value": "web", "PropagateAtLaunch": False}]), Grant=NAMED_GRANT),
    "network ACLs that deny at first": behind_an_acl(
        Entry=denies("Acl"), Ssm=in_public("ssm"), Messages=in_public("ssmmessages"),
        Second=part("NetworkAcl", **VPC_ID), SecondEntry=denies("Second"), SecondUses=part(
            "SubnetNetworkAclAssociation", SubnetId=ref("Public"), NetworkAclId=ref("Second"))),
}  # fmt: skip
"""Templates whose faults neither code nor a step can fix."""
