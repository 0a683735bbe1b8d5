"""What the check reports of compute: each cause once, and the line that fixes it."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from gzip import compress
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from session_manager_permissions import (
    SessionManagerPermissions,
    SessionManagerReadiness,
    SessionPreferences,
)
from session_manager_permissions._network.verdicts import (
    EGRESS_CLOSED,
    ENDPOINT_MISSING,
    ENDPOINT_UNREACHABLE,
    NO_NETWORK_PATH,
)
from session_manager_permissions._readiness.check import check as judge_all
from session_manager_permissions._readiness.rules import (
    AGENT_MISSING,
    CANNOT_BE_KNOWN,
    CHANNEL_MISSING,
    LOG_LOST,
    METADATA_OFF,
    NO_INSTANCE_PROFILE,
    REGISTRATION_MISSING,
    ROLE_NOT_ASSUMABLE,
)
from session_manager_permissions._readiness.templates import Assembly
from tests.conftest import HERE

from .judging import att, deployed_to, on, ref, resource, write
from .policy_table import ALL, AWS, CHANNELS_ONLY, allow
from .reports import TRUST, Report, check_app, inline, machine, policy, profile_and_role
from .test_network import (
    ANYTHING,
    APP_VERDICTS,
    BY_ID_ROWS,
    EGRESS,
    ENDPOINT_ROWS,
    ISOLATED,
    MACHINE,
    OPEN,
    PUBLIC,
    ROUTE_ROWS,
    SHAPES,
    SSM,
    a_shut_network_acl,
    big,
    endpoints,
    instance,
    instance_on,
    isolated,
    mutated,
    templated,
    vpc,
    with_endpoints,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from tests.conftest import MakeApp, MakeStack

    from .reports import Check

READY: Final[frozenset[str]] = frozenset()
NEITHER: Final = frozenset({CHANNEL_MISSING})
UNKNOWN: Final = frozenset({CANNOT_BE_KNOWN})
Names = dict[str, Any]
"""The variables that a remedy may use."""


# Broken apps, each with the variables that its remedy names


def l1_instance(stack: cdk.Stack) -> Names:
    network = vpc(stack)
    (subnet,) = network.private_subnets
    return {
        "instance": ec2.CfnInstance(
            stack, "Instance", image_id="ami-12345678", subnet_id=subnet.subnet_id
        )
    }


def group_of(stack: cdk.Stack, network: ec2.Vpc, template: ec2.ILaunchTemplate) -> None:
    autoscaling.AutoScalingGroup(stack, "Group", vpc=network, launch_template=template)


def template_without_a_role(stack: cdk.Stack) -> Names:
    network = vpc(stack)
    template = ec2.LaunchTemplate(
        stack,
        "Template",
        security_group=ec2.SecurityGroup(stack, "Given", vpc=network),
        **MACHINE,
    )
    group_of(stack, network, template)
    return {"launch_template": template}


def l1_template(stack: cdk.Stack) -> Names:
    network = vpc(stack)
    template = ec2.CfnLaunchTemplate(
        stack,
        "Template",
        launch_template_data={"imageId": "ami-12345678", "instanceType": "t3.micro"},
    )
    autoscaling.CfnAutoScalingGroup(
        stack,
        "Group",
        max_size="1",
        min_size="1",
        vpc_zone_identifier=[subnet.subnet_id for subnet in network.private_subnets],
        launch_template=autoscaling.CfnAutoScalingGroup.LaunchTemplateSpecificationProperty(
            launch_template_id=template.ref, version=template.attr_latest_version_number
        ),
    )
    return {"launch_template": template}


def l1_configuration(stack: cdk.Stack) -> Names:
    network = vpc(stack)
    configuration = autoscaling.CfnLaunchConfiguration(
        stack, "Configuration", image_id="ami-12345678", instance_type="t3.micro"
    )
    autoscaling.CfnAutoScalingGroup(
        stack,
        "Group",
        max_size="1",
        min_size="1",
        vpc_zone_identifier=[subnet.subnet_id for subnet in network.private_subnets],
        launch_configuration_name=configuration.ref,
    )
    return {"launch_configuration": configuration}


def spot_fleet(stack: cdk.Stack) -> Names:
    (subnet,) = vpc(stack).private_subnets
    specification = ec2.CfnSpotFleet.SpotFleetLaunchSpecificationProperty(
        image_id="ami-12345678", instance_type="t3.micro", subnet_id=subnet.subnet_id
    )
    data = ec2.CfnSpotFleet.SpotFleetRequestConfigDataProperty(
        iam_fleet_role="arn:aws:iam::111122223333:role/fleet",
        target_capacity=1,
        launch_specifications=[specification],
    )
    return {"fleet": ec2.CfnSpotFleet(stack, "Fleet", spot_fleet_request_config_data=data)}


def trusted_by_rds(stack: cdk.Stack) -> Names:
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("rds.amazonaws.com"))
    instance(stack, vpc(stack), role=role)
    return {"role": role}


def metadata_off(stack: cdk.Stack) -> Names:
    machine = instance(stack, vpc(stack))
    machine.instance.add_property_override("MetadataOptions.HttpEndpoint", "disabled")
    return {"instance": machine}


def metadata_off_in_l1(stack: cdk.Stack) -> Names:
    found = l1_instance(stack)
    found["instance"].add_property_override("MetadataOptions.HttpEndpoint", "disabled")
    return found


def metadata_off_in_a_template(stack: cdk.Stack) -> Names:
    network = vpc(stack)
    template = ec2.LaunchTemplate(
        stack,
        "Template",
        http_endpoint=False,
        role=iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com")),
        security_group=ec2.SecurityGroup(stack, "Given", vpc=network),
        **MACHINE,
    )
    group_of(stack, network, template)
    return {"launch_template": template}


def isolated_instance(stack: cdk.Stack) -> Names:
    network = isolated(stack)
    machine = instance(stack, network, vpc_subnets=ISOLATED)
    return {"vpc": network, "instance": machine}


def without_an_address(stack: cdk.Stack) -> Names:
    network = vpc(stack)
    instance(stack, network, vpc_subnets=PUBLIC, associate_public_ip_address=False)
    return {"vpc": network}


def with_preferences(stack: cdk.Stack, names: Names) -> Names:
    """Sessions with a key, a log group and a log bucket."""
    used: Names = {
        "key": kms.Key(stack, "Key"),
        "log_group": logs.LogGroup(stack, "LogGroup"),
        "log_bucket": s3.Bucket(stack, "Bucket"),
    }
    SessionPreferences(
        stack,
        "Preferences",
        encryption_key=used["key"],
        log_group=used["log_group"],
        log_bucket=used["log_bucket"],
        enforce_cloudwatch_encryption=False,
    )
    return names | used


def isolated_with_preferences(stack: cdk.Stack) -> Names:
    return with_preferences(stack, isolated_instance(stack))


def without_an_endpoint_of_messages(stack: cdk.Stack) -> Names:
    found = isolated_instance(stack)
    found["vpc"].add_interface_endpoint("Ssm", service=SSM)
    return found


def without_endpoints_of_the_preferences(stack: cdk.Stack) -> Names:
    found = isolated_instance(stack)
    endpoints(found["vpc"])
    return with_preferences(stack, found)


def without_endpoints_of_the_permissions(stack: cdk.Stack) -> Names:
    found = isolated_instance(stack)
    endpoints(found["vpc"])
    SessionManagerPermissions(
        stack,
        "Permissions",
        role=found["instance"].role,
        allow_registration=True,
        encryption_key=kms.Key(stack, "Key"),
        log_group=logs.LogGroup(stack, "LogGroup"),
        log_bucket=s3.Bucket(stack, "Bucket"),
    )
    return found


def by_endpoints(stack: cdk.Stack, **more: Any) -> Names:  # noqa: ANN401
    """In an isolated subnet, with the endpoint of `ssm` as it is given."""
    found = isolated_instance(stack)
    found["vpc"].add_interface_endpoint(
        "Messages", service=ec2.InterfaceVpcEndpointAwsService.SSM_MESSAGES
    )
    return found | {"endpoint": found["vpc"].add_interface_endpoint("Ssm", service=SSM, **more)}


def private_dns_off(stack: cdk.Stack) -> Names:
    return by_endpoints(stack, private_dns_enabled=False)


def no_dns_host_names(stack: cdk.Stack) -> Names:
    network = isolated(stack, enable_dns_hostnames=False)
    instance(stack, network, vpc_subnets=ISOLATED)
    endpoints(network)
    return {"vpc": network}


def shut_endpoint(stack: cdk.Stack) -> Names:
    return by_endpoints(stack, open=False)


def endpoint_that_allows_others(stack: cdk.Stack) -> Names:
    found = by_endpoints(stack)
    found["endpoint"].add_to_policy(
        iam.PolicyStatement(
            principals=[iam.AnyPrincipal()], actions=["ssm:GetParameter"], resources=["*"]
        )
    )
    return found


def nothing_let_out(stack: cdk.Stack) -> Names:
    return {"instance": instance(stack, vpc(stack), allow_all_outbound=False)}


def nothing_let_out_of_a_group(stack: cdk.Stack) -> Names:
    group = autoscaling.AutoScalingGroup(
        stack, "Group", vpc=vpc(stack), allow_all_outbound=False, **MACHINE
    )
    return {"group": group}


def nothing_let_out_of_a_template(stack: cdk.Stack) -> Names:
    network = vpc(stack)
    template = ec2.LaunchTemplate(
        stack,
        "Template",
        role=iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com")),
        security_group=ec2.SecurityGroup(stack, "Given", vpc=network, allow_all_outbound=False),
        **MACHINE,
    )
    group_of(stack, network, template)
    return {"launch_template": template}


def nothing_let_out_of_l1(stack: cdk.Stack) -> Names:
    network = vpc(stack)
    group = ec2.SecurityGroup(stack, "Given", vpc=network, allow_all_outbound=False)
    ec2.CfnInstance(
        stack,
        "Instance",
        image_id="ami-12345678",
        subnet_id=network.private_subnets[0].subnet_id,
        security_group_ids=[group.security_group_id],
    )
    return {"security_group": group}


def shut_network_acl(stack: cdk.Stack) -> Names:
    a_shut_network_acl(stack)
    return {"network_acl": stack.node.find_child("Acl")}


# The same of L1 constructs

OUT_TO_NOTHING: Final = [{"ipProtocol": "udp", "cidrIp": "0.0.0.0/0"}]
FROM_ALL: Final = [{"ipProtocol": "-1", "cidrIp": "0.0.0.0/0"}]


def l1_isolated(stack: cdk.Stack, *, dns: bool = True, **group: object) -> Names:
    network = ec2.CfnVPC(
        stack, "Vpc", cidr_block="10.0.0.0/16", enable_dns_support=True, enable_dns_hostnames=dns
    )
    subnet = ec2.CfnSubnet(stack, "Subnet", vpc_id=network.ref, cidr_block="10.0.1.0/24")
    given: Names = {"security_group_egress": FROM_ALL, **group}
    security_group = ec2.CfnSecurityGroup(
        stack, "Group", group_description="-", vpc_id=network.ref, **given
    )
    machine = ec2.CfnInstance(
        stack,
        "Instance",
        image_id="ami-12345678",
        subnet_id=subnet.ref,
        security_group_ids=[security_group.attr_group_id],
    )
    return {
        "cfn_vpc": network, "vpc": network, "cfn_subnet": subnet, "instance": machine,
        "security_group": security_group,
    }  # fmt: skip


def l1_isolated_with_logs(stack: cdk.Stack) -> Names:
    found = l1_isolated(stack)
    table = ec2.CfnRouteTable(stack, "Table", vpc_id=found["vpc"].ref)
    ec2.CfnSubnetRouteTableAssociation(
        stack, "Uses", route_table_id=table.ref, subnet_id=found["cfn_subnet"].ref
    )
    return with_preferences(stack, found | {"cfn_route_table": table})


def l1_endpoint(stack: cdk.Stack, found: Names, service: str, **more: object) -> None:
    given: Names = {
        "private_dns_enabled": True,
        "security_group_ids": [found["security_group"].attr_group_id],
        **more,
    }
    found["endpoint"] = ec2.CfnVPCEndpoint(
        stack,
        f"Endpoint{service}",
        vpc_id=found["vpc"].ref,
        service_name=f"com.amazonaws.{stack.region}.{service}",
        vpc_endpoint_type="Interface",
        subnet_ids=[found["cfn_subnet"].ref],
        **given,
    )


def l1_without_messages(stack: cdk.Stack) -> Names:
    found = l1_isolated(stack, security_group_ingress=FROM_ALL)
    l1_endpoint(stack, found, "ssm")
    return found


def l1_by_endpoints(stack: cdk.Stack, *, dns: bool = True, **more: object) -> Names:
    """In an isolated subnet, with the endpoint of `ssm` as it is given."""
    found = l1_isolated(stack, dns=dns, security_group_ingress=FROM_ALL)
    l1_endpoint(stack, found, "ssmmessages")
    l1_endpoint(stack, found, "ssm", **more)
    return found


def l1_private_dns_off(stack: cdk.Stack) -> Names:
    return l1_by_endpoints(stack, private_dns_enabled=False)


def l1_no_dns_host_names(stack: cdk.Stack) -> Names:
    return l1_by_endpoints(stack, dns=False)


def l1_shut_endpoint(stack: cdk.Stack) -> Names:
    found = l1_isolated(stack)
    shut = ec2.CfnSecurityGroup(stack, "Shut", group_description="-", vpc_id=found["vpc"].ref)
    for service in ("ssm", "ssmmessages"):
        l1_endpoint(stack, found, service, security_group_ids=[shut.attr_group_id])
    return found | {"security_group": shut}


def l1_endpoint_in_the_default_group(stack: cdk.Stack) -> Names:
    return l1_by_endpoints(stack, security_group_ids=None)


def l1_endpoint_in_the_default_group_of_l2(stack: cdk.Stack) -> Names:
    found = isolated_instance(stack)
    for service in ("ssm", "ssmmessages"):
        ec2.CfnVPCEndpoint(
            stack,
            f"Vpc{service.title()}",
            vpc_id=found["vpc"].vpc_id,
            service_name=f"com.amazonaws.{stack.region}.{service}",
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=[found["vpc"].isolated_subnets[0].subnet_id],
        )
    return found


def l1_endpoint_in_a_group_of_l2(stack: cdk.Stack) -> Names:
    found = l1_isolated(stack)
    imported = ec2.Vpc.from_vpc_attributes(
        stack, "Imported", vpc_id=found["vpc"].ref, availability_zones=["a"]
    )
    shut = ec2.SecurityGroup(stack, "Shut", vpc=imported)
    for service in ("ssm", "ssmmessages"):
        l1_endpoint(stack, found, service, security_group_ids=[shut.security_group_id])
    return found | {"security_group": shut}


def l1_endpoint_that_allows_others(stack: cdk.Stack) -> Names:
    statement = {
        "Effect": "Allow", "Principal": "*", "Action": "ssm:GetParameter", "Resource": "*"
    }  # fmt: skip
    return l1_by_endpoints(stack, policy_document={"Statement": [statement]})


def l1_nothing_let_out(stack: cdk.Stack) -> Names:
    return l1_isolated(stack, security_group_egress=OUT_TO_NOTHING)


def l1_in_the_default_group_that_cdk_empties(stack: cdk.Stack) -> Names:
    network = vpc(stack, restrict_default_security_group=True)
    (subnet,) = network.private_subnets
    ec2.CfnInstance(stack, "Instance", image_id="ami-12345678", subnet_id=subnet.subnet_id)
    return {"vpc": network}


def l1_role_trusted_by_rds(stack: cdk.Stack) -> Names:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "rds.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    role = iam.CfnRole(stack, "Role", assume_role_policy_document={"Statement": [statement]})
    iam.CfnInstanceProfile(stack, "Profile", roles=[role.ref])
    return {"role": role}


BROKEN: Final[list[tuple[Callable[[cdk.Stack], Names], str, str]]] = [
    (l1_instance, NO_INSTANCE_PROFILE, "Instance"),
    (template_without_a_role, NO_INSTANCE_PROFILE, "Template"),
    (l1_template, NO_INSTANCE_PROFILE, "Template"),
    (l1_configuration, NO_INSTANCE_PROFILE, "Configuration"),
    (spot_fleet, NO_INSTANCE_PROFILE, "Fleet"),
    (trusted_by_rds, ROLE_NOT_ASSUMABLE, "Role"),
    (metadata_off, METADATA_OFF, "Instance"),
    (metadata_off_in_l1, METADATA_OFF, "Instance"),
    (metadata_off_in_a_template, METADATA_OFF, "Template"),
    (isolated_instance, NO_NETWORK_PATH, "Instance"),
    (isolated_with_preferences, NO_NETWORK_PATH, "Instance"),
    (without_an_address, NO_NETWORK_PATH, "Instance"),
    (shut_network_acl, NO_NETWORK_PATH, "Instance"),
    (without_an_endpoint_of_messages, ENDPOINT_MISSING, "Instance"),
    (without_endpoints_of_the_preferences, ENDPOINT_MISSING, "Instance"),
    (without_endpoints_of_the_permissions, ENDPOINT_MISSING, "Instance"),
    (private_dns_off, ENDPOINT_UNREACHABLE, "VpcSsm"),
    (no_dns_host_names, ENDPOINT_UNREACHABLE, "VpcSsm"),
    (shut_endpoint, ENDPOINT_UNREACHABLE, "VpcSsm"),
    (endpoint_that_allows_others, ENDPOINT_UNREACHABLE, "VpcSsm"),
    (nothing_let_out, EGRESS_CLOSED, "Instance"),
    (nothing_let_out_of_a_group, EGRESS_CLOSED, "Group"),
    (nothing_let_out_of_a_template, EGRESS_CLOSED, "Template"),
    (nothing_let_out_of_l1, EGRESS_CLOSED, "Instance"),
    (l1_isolated, NO_NETWORK_PATH, "Instance"),
    (l1_isolated_with_logs, NO_NETWORK_PATH, "Instance"),
    (l1_without_messages, ENDPOINT_MISSING, "Instance"),
    (l1_private_dns_off, ENDPOINT_UNREACHABLE, "Endpointssm"),
    (l1_no_dns_host_names, ENDPOINT_UNREACHABLE, "Endpointssm"),
    (l1_shut_endpoint, ENDPOINT_UNREACHABLE, "Endpointssm"),
    (l1_endpoint_in_the_default_group, ENDPOINT_UNREACHABLE, "Endpointssm"),
    (l1_endpoint_in_the_default_group_of_l2, ENDPOINT_UNREACHABLE, "VpcSsm"),
    (l1_endpoint_in_a_group_of_l2, ENDPOINT_UNREACHABLE, "Endpointssm"),
    (l1_endpoint_that_allows_others, ENDPOINT_UNREACHABLE, "Endpointssm"),
    (l1_nothing_let_out, EGRESS_CLOSED, "Instance"),
    (l1_in_the_default_group_that_cdk_empties, EGRESS_CLOSED, "Instance"),
    (l1_role_trusted_by_rds, ROLE_NOT_ASSUMABLE, "Role"),
]


def test_several_causes_are_several_findings(stack_here: cdk.Stack) -> None:
    names = without_an_endpoint_of_messages(stack_here)
    names["instance"].instance.add_property_override("MetadataOptions.HttpEndpoint", "disabled")
    names["instance"].role.assume_role_policy.add_statements(
        iam.PolicyStatement(
            effect=iam.Effect.DENY,
            actions=["sts:AssumeRole"],
            principals=[iam.ServicePrincipal("ec2.amazonaws.com")],
        )
    )

    report = check_app(stack_here)

    assert report.rules >= {ENDPOINT_MISSING, METADATA_OFF, ROLE_NOT_ASSUMABLE}
    only = report.only(ROLE_NOT_ASSUMABLE)
    assert only.description.endswith("; leave ec2.amazonaws.com out of the Deny")
    assert only.fix == ""
    assert report.verdicts == {"not ready": 1}


def test_deny_of_an_endpoint_is_to_be_narrowed(stack_here: cdk.Stack) -> None:
    names = by_endpoints(stack_here)
    for effect, actions in ((iam.Effect.ALLOW, ["*"]), (iam.Effect.DENY, ["ssm:Update*"])):
        names["endpoint"].add_to_policy(
            iam.PolicyStatement(
                effect=effect, principals=[iam.AnyPrincipal()], actions=actions, resources=["*"]
            )
        )

    only = check_app(stack_here).only(ENDPOINT_UNREACHABLE)
    assert only.description.endswith(
        "; leave ssm:UpdateInstanceInformation out of the Deny of the endpoint's policy"
    )
    assert only.fix == ""


def test_permissions_alone(stack_here: cdk.Stack) -> None:
    trusted_by_rds(stack_here)
    ec2.CfnInstance(stack_here, "Other", image_id="ami-12345678")

    assert check_app(stack_here, network=False).rules == NEITHER
    assert check_app(stack_here).rules == NEITHER | {
        ROLE_NOT_ASSUMABLE,
        NO_INSTANCE_PROFILE,
    }


@pytest.mark.parametrize(("strict", "network"), [("yes", True), (True, None)])
def test_arguments_are_bools(strict: Any, network: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match="must be a bool, got"):
        SessionManagerReadiness(strict=strict, network=network)


def test_one_cause_of_many_instances_is_one_finding(check: Check) -> None:
    parts = {f"Instance{number}": BODY["Instance"] for number in range(3)}
    body = with_role(PrivateRoute=None, Instance=None, **parts)

    report = check(body)

    assert report.violations == [NO_NETWORK_PATH]
    assert [finding.logical_id for finding in report.findings] == [*parts]
    assert report.verdicts == {"not ready": 1}


# Who the compute is

CORE: Final = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
ROLE: Final = resource("AWS::IAM::Role", ManagedPolicyArns=[CORE], **TRUST)
PARAMETER: Final = ref("Given")
MINIMAL: Final = (
    "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-x86_64"
)
IF: Final = {"Fn::If": ["Production", PARAMETER, "other"]}


def with_role(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A template whose instance can be reached: behind a NAT gateway, with a profile and a role."""
    profile = {"IamInstanceProfile": ref("Profile")}
    given = {
        "Role": ROLE,
        "Profile": resource("AWS::IAM::InstanceProfile", Roles=[ref("Role")]),
        "Instance": instance_on() | {"Properties": instance_on()["Properties"] | profile},
    }
    return templated(**given | changes)


BODY: Final = with_role()["Resources"]


def launched(**properties: object) -> dict[str, Any]:
    """The instance, with other properties."""
    given = {**BODY["Instance"]["Properties"], **properties}
    return {"Instance": {"Type": "AWS::EC2::Instance", "Properties": given}}


def trusting(*statements: object) -> dict[str, Any]:
    document = {"Statement": [*statements]}
    properties = {"ManagedPolicyArns": [CORE], "AssumeRolePolicyDocument": document}
    return {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}}


def may_assume(service: object, effect: str = "Allow", **more: object) -> dict[str, object]:
    principal = {"Service": service}
    return {"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole", **more}


def registering(*parts: str) -> dict[str, Any]:
    """User data with the code and the id of an activation between its parts."""
    code, id_, rest = parts
    return {"Fn::Base64": {"Fn::Join": ["", [code, ref("Code"), id_, ref("Id"), rest]]}}


EC2 = may_assume("ec2.amazonaws.com")
NO_VALUE = {"Ref": "AWS::NoValue"}
SUFFIX = {"Fn::Join": ["", ["ec2.", {"Ref": "AWS::URLSuffix"}]]}
HOST_MANAGEMENT = {"Management": resource("AWS::SSM::DefaultHostManagementConfiguration")}
NO_PROFILE = launched(IamInstanceProfile={"Ref": "AWS::NoValue"})
DISABLED = launched(MetadataOptions={"HttpEndpoint": "disabled"})

SETTING: Final = "/ssm/managed-instance/default-ec2-instance-management-role"


def setting(id_: object, value: str = "Role") -> dict[str, Any]:
    return resource("AWS::SSM::ServiceSetting", SettingId=id_, SettingValue=value)


def may(effect: str, *actions: str) -> dict[str, object]:
    return {"Effect": effect, "Action": [*actions], "Resource": "*"}


def associating(action: str | None = "ec2:AssociateIamInstanceProfile", **more: Any) -> Any:  # noqa: ANN401
    """A role of the app, by default one that may give an instance a profile."""
    statements = [may("Allow", action)] if action else []
    policies = [{"PolicyName": "p", "PolicyDocument": {"Statement": statements}}]
    return resource("AWS::IAM::Role", **{"Policies": policies, **more})


def with_init(parts: dict[str, Any], command: str) -> dict[str, Any]:
    init = {"config": {"commands": {"a": {"command": command}}}}
    return {"Instance": parts["Instance"] | {"Metadata": {"AWS::CloudFormation::Init": init}}}


def script(*lines: str) -> dict[str, Any]:
    return {"Fn::Base64": "\n".join(("#!/bin/bash", *lines, ""))}


def with_policy(written: object) -> dict[str, Any]:
    """A role whose inline policy is written so."""
    policies = [{"PolicyName": "Inline", "PolicyDocument": written}]
    return {"Role": {"Type": "AWS::IAM::Role", "Properties": TRUST | {"Policies": policies}}}


def trusts(written: object) -> dict[str, Any]:
    properties = {"ManagedPolicyArns": [CORE], "AssumeRolePolicyDocument": written}
    return {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}}


def document(content: object, kind: object = "Session") -> dict[str, Any]:
    return resource("AWS::SSM::Document", DocumentType=kind, Content=content)


BARE: Final = {"Role": resource("AWS::IAM::Role", **TRUST)}
MAY_REGISTER: Final = {"Statement": [may("Allow", "ssm:UpdateInstanceInformation")]}
REGISTERS_ONLY: Final = {
    "Role": resource("AWS::IAM::Role", **TRUST, Policies=[{"PolicyDocument": MAY_REGISTER}])
}

IDENTITIES: Final[list[tuple[str, dict[str, Any], frozenset[str]]]] = [
    ("ready", {}, READY),
    ("no profile", NO_PROFILE, frozenset({NO_INSTANCE_PROFILE})),
    ("no profile, Default Host Management", NO_PROFILE | HOST_MANAGEMENT, UNKNOWN),
    ("no profile, custom resource with the instance",
     NO_PROFILE | {"Custom": resource("Custom::Attach", Instance=ref("Instance"))}, UNKNOWN),
    ("no profile, custom resource with something else",
     NO_PROFILE | {"Custom": resource("Custom::Attach", Instance=ref("Nat"))},
     frozenset({NO_INSTANCE_PROFILE})),
    ("no profile, custom resource for Default Host Management",
     NO_PROFILE | {"Custom": resource("Custom::AWS", Create=json.dumps({
         "SettingId": "/ssm/managed-instance/default-ec2-instance-management-role"}))}, UNKNOWN),
    ("no profile, Quick Setup",
     NO_PROFILE | {"Setup": resource("AWS::SSMQuickSetup::ConfigurationManager")}, UNKNOWN),
    ("no profile, association that attaches one",
     NO_PROFILE | {"Attach": resource("AWS::SSM::Association", Name="AWS-AttachIAMToInstance")},
     UNKNOWN),
    ("no profile, association on a condition that attaches one",
     NO_PROFILE | {"Attach": on(resource("AWS::SSM::Association", Name="AWS-AttachIAMToInstance"))},
     UNKNOWN),
    ("no profile, another association",
     NO_PROFILE | {"Attach": resource("AWS::SSM::Association", Name="AWS-RunPatchBaseline")},
     frozenset({NO_INSTANCE_PROFILE})),
    *[(f"no profile, {what}", NO_PROFILE | {"Other": other}, UNKNOWN) for what, other in {
        "service setting by its id": setting(SETTING),
        "service setting by its ARN": setting(
            {"Fn::Sub": f"arn:aws:ssm:${{AWS::Region}}:1:servicesetting{SETTING}"}),
        "service setting by a parameter": setting(PARAMETER),
        "rule that attaches one": resource("AWS::Events::Rule", Targets=[{"Arn": {"Fn::Sub":
            "arn:aws:ssm:${AWS::Region}::automation-definition/AWS-AttachIAMToInstance"}}]),
        "schedule that attaches one": resource("AWS::Scheduler::Schedule", Target={
            "Arn": "arn:aws:scheduler:::aws-sdk:ec2:associateIamInstanceProfile"}),
        "maintenance window that attaches one": resource("AWS::SSM::MaintenanceWindowTask",
            TaskType="AUTOMATION", TaskArn="AWS-AttachIAMToInstance"),
        "association by a parameter": resource("AWS::SSM::Association", Name=PARAMETER),
        "runbook of the app that attaches one": document(
            {"mainSteps": [{"inputs": {"Api": "AssociateIamInstanceProfile"}}]}, "Automation"),
        "role that may give one": associating(),
        "role that may do anything": associating("*"),
        "administrator": associating(None, ManagedPolicyArns=[
            {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess"}]),
        "role whose policy can't be read": associating(Policies=[
            {"PolicyName": "p", "PolicyDocument": PARAMETER}]),
    }.items()],
    *[(f"no profile, {what}", NO_PROFILE | {"Other": other}, frozenset({NO_INSTANCE_PROFILE}))
      for what, other in {
        "another service setting": setting("/ssm/managed-instance/activation-tier"),
        "service setting that turns it off": setting(SETTING, "$None"),
        "rule that listens": resource("AWS::Events::Rule", EventPattern={
            "detail": {"eventName": ["AssociateIamInstanceProfile"]}}, Targets=[{"Arn": "a"}]),
        "maintenance window of a function": resource("AWS::SSM::MaintenanceWindowTask",
            TaskArn=att("Function", "Arn")),
        "role that may not give one": associating("ec2:DescribeInstances"),
        "role that is denied it": associating(Policies=[{"PolicyDocument": {"Statement": [
            may("Allow", "ec2:*"), may("Deny", "ec2:Associate*")]}}]),
        "parameter that names a runbook": resource(
            "AWS::SSM::Parameter", Value="AWS-AttachIAMToInstance"),
    }.items()],
    *[(f"no profile, role with the policy of a name, which allows {action}", NO_PROFILE | {
        "Other": associating(None, ManagedPolicyArns=["arn:aws:iam::111122223333:policy/named"]),
        "Policy": resource("AWS::IAM::ManagedPolicy", ManagedPolicyName="named",
                           PolicyDocument={"Statement": [may("Allow", action)]})}, found)
      for action, found in {
          "ec2:*": UNKNOWN, "s3:*": frozenset({NO_INSTANCE_PROFILE})}.items()],
    ("profile, role that may give one", {"Other": associating()}, READY),
    ("no profile, encoded activation", launched(IamInstanceProfile=NO_VALUE, UserData=
        b64encode(b"amazon-ssm-agent -register -code 1 -id 2").decode()), UNKNOWN),
    ("no profile, encoded script", launched(IamInstanceProfile=NO_VALUE, UserData=
        b64encode(b"yum update").decode()), frozenset({NO_INSTANCE_PROFILE})),
    ("no profile, compressed script", launched(IamInstanceProfile=NO_VALUE, UserData=
        b64encode(compress(b"yum update")).decode()), UNKNOWN),
    ("no profile, script by a parameter",
     launched(IamInstanceProfile=NO_VALUE, UserData={"Fn::Base64": PARAMETER}), UNKNOWN),
    ("no profile, activation by cfn-init", with_init(
        launched(IamInstanceProfile=NO_VALUE), "amazon-ssm-agent -register -code 1 -id 2"),
     UNKNOWN),
    ("no profile, other cfn-init", with_init(launched(IamInstanceProfile=NO_VALUE), "yum update"),
     frozenset({NO_INSTANCE_PROFILE})),
    ("no way out, proxy by cfn-init",
     {"PrivateRoute": None} | with_init(launched(), "export https_proxy=1"), UNKNOWN),
    ("no way out, encoded proxy", {"PrivateRoute": None} | launched(
        UserData=b64encode(b"export https_proxy=1").decode()), UNKNOWN),
    ("no way out, encoded script", {"PrivateRoute": None} | launched(
        UserData=b64encode(b"yum update").decode()), frozenset({NO_NETWORK_PATH})),
    ("bare role, activation", BARE | launched(UserData=registering(
        "amazon-ssm-agent -register -code ", " -id ", "")), UNKNOWN),
    ("bare role, activation under another profile", BARE | launched(
        IamInstanceProfile=ref("Other"),
        UserData=registering("amazon-ssm-agent -register -code ", " -id ", "")) | {
            "Other": resource("AWS::IAM::InstanceProfile", Roles=[ref("OtherRole")]),
            "OtherRole": trusting(EC2)["Role"]}, frozenset({CHANNEL_MISSING})),
    ("bare role", BARE, frozenset({CHANNEL_MISSING})),
    ("bare role, policy in JSON", BARE | {"Policy": resource(
        "AWS::IAM::Policy", Roles=[ref("Role")], PolicyDocument=json.dumps(
            {"Statement": [may("Allow", "ssm:*", "ssmmessages:*")]}))}, READY),
    ("policy of AWS that has the name of a deprecated one", {"Role": resource(
        "AWS::IAM::Role", **TRUST, ManagedPolicyArns=[CORE, f"{AWS}AmazonEC2RoleforSSM"])},
     UNKNOWN),
    ("image without the agent", launched(ImageId=MINIMAL), frozenset({AGENT_MISSING})),
    ("image without the agent, custom resource with the instance",
     launched(ImageId=MINIMAL) | {"Custom": resource("Custom::Image", Instance=ref("Instance"))},
     UNKNOWN),
    ("bare role, Default Host Management", BARE | HOST_MANAGEMENT, UNKNOWN),
    ("bare role, role that may give a profile", BARE | {"Other": associating()},
     frozenset({CHANNEL_MISSING})),
    ("role without channels, Default Host Management", REGISTERS_ONLY | HOST_MANAGEMENT,
     frozenset({CHANNEL_MISSING})),
    ("bare role, custom resource with the role",
     BARE | {"Custom": resource("Custom::Attach", Role=ref("Role"))}, UNKNOWN),
    ("bare role, AwsCustomResource with the role", BARE | {"Custom": resource("Custom::AWS",
        Create={"Fn::Join": ["", ['{"RoleName":"', ref("Role"), '"}']]})}, UNKNOWN),
    ("bare role, custom resource with the profile",
     BARE | {"Custom": resource("Custom::Attach", Profile=ref("Profile"))}, UNKNOWN),
    ("bare role, custom resource with something else",
     BARE | {"Custom": resource("Custom::Attach", Role=ref("Nat"))},
     frozenset({CHANNEL_MISSING})),
    ("trust in JSON", trusts(json.dumps({"Statement": [EC2]})), READY),
    ("trust by a function that makes JSON", trusts({"Fn::ToJsonString": {"Statement": [EC2]}}),
     READY),
    ("trust of RDS in JSON", trusts(json.dumps({"Statement": [may_assume("rds.amazonaws.com")]})),
     frozenset({ROLE_NOT_ASSUMABLE})),
    ("policy in JSON that Fn::Sub makes", with_policy({"Fn::Sub": json.dumps(
        {"Statement": [ALL | {"Sid": "${AWS::StackName}"}]})}), READY),
    ("policy by a function that makes JSON",
     with_policy({"Fn::ToJsonString": {"Statement": [CHANNELS_ONLY]}}),
     frozenset({REGISTRATION_MISSING})),
    ("policy in a text by a parameter", with_policy(PARAMETER), UNKNOWN),
    ("trust by a dynamic reference", trusting(may_assume("{{resolve:ssm:service}}")), UNKNOWN),
    ("denied trust by a dynamic reference",
     trusting(EC2, may_assume("{{resolve:ssm:service}}", "Deny")), UNKNOWN),
    ("trust of a macro", trusts({"Fn::Transform": {"Name": "M"}, "Statement": []}), UNKNOWN),
    ("properties of a macro", launched(**{"Fn::Transform": {"Name": "M"}}), UNKNOWN),
    ("no profile, included properties", launched(
        IamInstanceProfile=NO_VALUE, **{"Fn::Transform": {"Name": "AWS::Include"}}), UNKNOWN),
    ("no profile, loop in its tags", launched(IamInstanceProfile=NO_VALUE, Tags={
        "Fn::ForEach::Tags": ["T", ["a"], {}]}), frozenset({NO_INSTANCE_PROFILE})),
    ("loop in its tags", launched(Tags={"Fn::ForEach::Tags": ["T", ["a"], {}]}), READY),
    ("no profile, macro beside its properties", {"Instance": {"Type": "AWS::EC2::Instance",
        "Properties": {}, "Fn::Transform": {"Name": "M"}}}, UNKNOWN),
    ("loop of topics", {"Fn::ForEach::Topics": ["T", ["A"], {
        "T${T}": resource("AWS::SNS::Topic"), "F${T}": resource("AWS::Lambda::Function")}]}, READY),
    ("no profile, registered by the agent with an activation",
     launched(IamInstanceProfile=NO_VALUE, UserData=registering(
         "sudo amazon-ssm-agent -register -code ", " -id ", " -region eu-west-1")), UNKNOWN),
    ("no profile, registered by ssm-setup-cli with an activation",
     launched(IamInstanceProfile=NO_VALUE, UserData=registering(
         "ssm-setup-cli -register -activation-code=", " -activation-id=", "")), UNKNOWN),
    ("agent removed", launched(UserData=script("yum remove -y amazon-ssm-agent")), UNKNOWN),
    ("agent switched off", launched(UserData=script("systemctl disable --now amazon-ssm-agent")),
     UNKNOWN),
    ("agent stopped as a service", launched(UserData=script("service amazon-ssm-agent stop")),
     UNKNOWN),
    ("agent of Windows stopped", launched(UserData=script("Stop-Service AmazonSSMAgent")), UNKNOWN),
    ("agent stopped in encoded user data", launched(UserData=b64encode(
        b"#!/bin/sh\nsnap stop amazon-ssm-agent\n").decode()), UNKNOWN),
    ("agent stopped and started", launched(UserData=script(
        "systemctl stop amazon-ssm-agent", "systemctl start amazon-ssm-agent")), READY),
    ("agent restarted", launched(UserData=script("service amazon-ssm-agent restart")), READY),
    ("something else stopped", launched(UserData=script(
        "systemctl stop nginx", "echo amazon-ssm-agent")), READY),
    ("no profile, registered elsewhere",
     launched(IamInstanceProfile=NO_VALUE, UserData={
         "Fn::Base64": "runner.sh --register --id 1"}),
     frozenset({NO_INSTANCE_PROFILE})),
    ("metadata off, registered with an activation",
     launched(MetadataOptions={"HttpEndpoint": "disabled"}, UserData=registering(
         "amazon-ssm-agent -register -code ", " -id ", "")), UNKNOWN),
    ("profile, and registered with an activation",
     launched(UserData=registering("amazon-ssm-agent -register -code ", " -id ", "")), READY),
    ("no profile, remediation that attaches one",
     NO_PROFILE | {"Attach": resource("AWS::Config::RemediationConfiguration",
                                      TargetId="AWSSupport-AttachIAMToInstance")}, UNKNOWN),
    ("metadata off, custom resource with the instance",
     DISABLED | {"Custom": resource("Custom::Metadata", Instance=ref("Instance"))}, UNKNOWN),
    ("metadata on, custom resource with the instance",
     {"Custom": resource("Custom::Metadata", Instance=ref("Instance"))}, READY),
    ("trust of RDS, custom resource with the role",
     trusting(may_assume("rds.amazonaws.com"))
     | {"Custom": resource("Custom::Trust", Role=ref("Role"))}, UNKNOWN),
    ("profile of another app", launched(IamInstanceProfile="other"), UNKNOWN),
    ("profile by a parameter", launched(IamInstanceProfile=PARAMETER), UNKNOWN),
    ("profile on a condition", launched(IamInstanceProfile=IF), UNKNOWN),
    ("metadata off", DISABLED, frozenset({METADATA_OFF})),
    ("metadata off, Default Host Management", DISABLED | HOST_MANAGEMENT,
     frozenset({METADATA_OFF})),
    ("metadata by a parameter", launched(MetadataOptions={"HttpEndpoint": PARAMETER}), UNKNOWN),
    ("metadata on", launched(MetadataOptions={"HttpEndpoint": "enabled"}), READY),
    ("trust of RDS", trusting(may_assume("rds.amazonaws.com")), frozenset({ROLE_NOT_ASSUMABLE})),
    ("trust of RDS, Default Host Management",
     trusting(may_assume("rds.amazonaws.com")) | HOST_MANAGEMENT, UNKNOWN),
    ("trust of Systems Manager alone", trusting(may_assume("ssm.amazonaws.com")),
     frozenset({ROLE_NOT_ASSUMABLE})),
    ("trust of nobody", trusting(), frozenset({ROLE_NOT_ASSUMABLE})),
    ("trust of a list", trusting(may_assume(["rds.amazonaws.com", "ec2.amazonaws.com"])), READY),
    ("trust with the URL suffix", trusting(may_assume(SUFFIX)), READY),
    ("trust by Fn::Sub", trusting(may_assume({"Fn::Sub": "ec2.${AWS::URLSuffix}"})), READY),
    ("trust in China", trusting(may_assume("ec2.amazonaws.com.cn")), READY),
    ("trust of a parameter", trusting(may_assume(PARAMETER)), UNKNOWN),
    ("trust on a condition", trusting(may_assume(IF)), UNKNOWN),
    ("trust with a condition", trusting(may_assume("ec2.amazonaws.com", Condition={"Bool": {}})),
     UNKNOWN),
    ("trust of a statement that is not there", trusting(EC2, {"Ref": "AWS::NoValue"}), READY),
    ("trust of a statement on a condition", trusting({"Fn::If": ["Production", EC2, EC2]}),
     READY),
    ("denied trust", trusting(EC2, may_assume("ec2.amazonaws.com", "Deny")),
     frozenset({ROLE_NOT_ASSUMABLE})),
    ("trust that can't be read", {"Role": resource("AWS::IAM::Role", ManagedPolicyArns=[CORE],
                                                   AssumeRolePolicyDocument=PARAMETER)}, UNKNOWN),
    ("role by name, on a condition",
     {"Role": on(resource("AWS::IAM::Role", RoleName="web", AssumeRolePolicyDocument={
         "Statement": []}, ManagedPolicyArns=[CORE])),
      "Profile": resource("AWS::IAM::InstanceProfile", Roles=["web"])}, UNKNOWN),
    ("unknown subnet", launched(SubnetId="subnet-1"), UNKNOWN),
    ("unknown subnet, and no profile",
     launched(SubnetId="subnet-1", IamInstanceProfile={"Ref": "AWS::NoValue"}),
     frozenset({NO_INSTANCE_PROFILE})),
    ("unused launch template", {"Launch": resource("AWS::EC2::LaunchTemplate")}, UNKNOWN),
    ("Batch", {"Batch": resource("AWS::Batch::ComputeEnvironment", ComputeResources={
        "Type": "EC2", "InstanceRole": "arn:aws:iam::111122223333:role/batch"})}, UNKNOWN),
    ("Fargate", {"Batch": resource("AWS::Batch::ComputeEnvironment", ComputeResources={
        "Type": "FARGATE"})}, READY),
    ("EMR", {"Emr": resource("AWS::EMR::Cluster", JobFlowRole=ref("Profile"))}, UNKNOWN),
    ("Image Builder", {"Builder": resource("AWS::ImageBuilder::InfrastructureConfiguration",
                                           InstanceProfileName=ref("Profile"))}, UNKNOWN),
    ("Beanstalk", {"Beanstalk": resource("AWS::ElasticBeanstalk::Environment", OptionSettings=[
        {"OptionName": "IamInstanceProfile", "Value": "other"}])}, UNKNOWN),
    ("ECS", {"Capacity": resource("AWS::ECS::CapacityProvider", ManagedInstancesProvider={
        "InstanceLaunchTemplate": {"Ec2InstanceProfileArn": "arn"}})}, UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"), [pytest.param(*row[1:], id=row[0]) for row in IDENTITIES]
)
def test_identity(check: Check, changes: dict[str, Any], expected: frozenset[str]) -> None:
    report = check(with_role(**changes))

    assert report.rules == expected
    assert report.violations.count(CANNOT_BE_KNOWN) <= 1


def test_what_a_loop_launches_is_not_silent(check: Check) -> None:
    machines = {"Machine${Zone}": resource("AWS::EC2::Instance", SubnetId="subnet-1")}
    topics = {"Topic${Name}": resource("AWS::SNS::Topic")}
    loops = {
        "Fn::ForEach::Machines": ["Zone", ["A", "B"], machines],
        "Fn::ForEach::Topics": ["Name", ["A", "B"], topics],
    }

    found = check({"Resources": loops}).only(CANNOT_BE_KNOWN)

    assert found.logical_id == "Fn::ForEach::Machines"
    assert found.description == (
        "it can't be known at synthesis whether Session Manager reaches its instances: that "
        "depends on how the loop 'Fn::ForEach::Machines' launches them"
    )


@pytest.mark.parametrize(
    ("there", "expected"), [("Here", UNKNOWN), ("There", {NO_INSTANCE_PROFILE})]
)
def test_macro_is_of_its_template(tmp_path: Path, there: str, expected: frozenset[str]) -> None:
    """A macro may change each resource of its own template, and none of another one."""
    bodies = {"Here": with_role(**NO_PROFILE), "There": {"Resources": {}}}
    bodies[there]["Transform"] = "Macro"
    found = Report(write(tmp_path, **bodies), strict=False)

    assert found.rules == expected


def nodes(**properties: object) -> dict[str, Any]:
    given = {"ClusterName": "cluster", "Subnets": [ref("Private")], **properties}
    return resource("AWS::EKS::Nodegroup", **given)


@pytest.mark.parametrize(
    ("role", "given", "expected"),
    [
        (trusting(EC2), att("Role", "Arn"), READY),
        (
            trusting(may_assume("eks.amazonaws.com")),
            att("Role", "Arn"),
            frozenset({ROLE_NOT_ASSUMABLE}),
        ),
        (BARE, att("Role", "Arn"), NEITHER),
        (trusting(may_assume(PARAMETER)), att("Role", "Arn"), UNKNOWN),
        (trusting(EC2), "arn:aws:iam::111122223333:role/other", UNKNOWN),
        (trusting(EC2), PARAMETER, UNKNOWN),
    ],
)
def test_role_of_nodes(
    check: Check, role: dict[str, Any], given: object, expected: frozenset[str]
) -> None:
    cluster = resource("AWS::EKS::Cluster", Name="cluster")
    changes = {
        "Instance": None,
        "Profile": None,
        "Cluster": cluster,
        "Nodes": nodes(NodeRole=given),
    }

    report = check(with_role(**changes, **role))

    assert report.rules == expected
    verdict = {READY: "ready", UNKNOWN: "can't be known"}.get(expected, "not ready")
    assert report.verdicts == {verdict: 1}


def test_unknown_is_said_once_and_names_all_that_decides(check: Check) -> None:
    body = with_role(
        **launched(
            SubnetId="subnet-1",
            MetadataOptions={"HttpEndpoint": PARAMETER},
            IamInstanceProfile="other",
        )
    )

    finding = check(body).only(CANNOT_BE_KNOWN)

    assert finding.description == (
        "it can't be known at synthesis whether Session Manager reaches this instance: that "
        "depends on the instance profile 'other', and on the parameter 'Given', and on the subnet "
        "'subnet-1'"
    )
    assert finding.logical_id == "Instance"
    assert finding.severity == "info"


@pytest.mark.parametrize(
    ("account", "region", "expected"),
    [
        ("111122223333", "eu-west-1", UNKNOWN),
        ("unknown-account", "unknown-region", UNKNOWN),
        ("111122223333", "us-east-1", {NO_INSTANCE_PROFILE}),
        ("444455556666", "eu-west-1", {NO_INSTANCE_PROFILE}),
    ],
)
def test_default_host_management_is_of_one_region(
    tmp_path: Path, account: str, region: str, expected: frozenset[str]
) -> None:
    elsewhere = {"Resources": HOST_MANAGEMENT}
    paths = write(tmp_path, Here=with_role(**NO_PROFILE), There=elsewhere)
    deployed_to(tmp_path, "There", f"{account}/{region}")

    assert Report(paths, strict=False).rules == expected


def test_quick_setup_may_be_of_any_region(tmp_path: Path) -> None:
    setup = {"Setup": resource("AWS::SSMQuickSetup::ConfigurationManager")}
    paths = write(tmp_path, Here=with_role(**NO_PROFILE), There={"Resources": setup})
    deployed_to(tmp_path, "There", "444455556666/us-east-1")

    assert Report(paths, strict=False).rules == UNKNOWN


def test_half_of_the_templates_and_apps_must_not_have_a_definite_finding() -> None:
    """All of them are checked: those of the network by `judging.verdicts`."""
    network = [
        *(expected for _, expected in SHAPES),
        *(expected for *_, expected in (*ROUTE_ROWS, *ENDPOINT_ROWS, *BY_ID_ROWS)),
        *(" ".join(by.values()) for _, by in APP_VERDICTS),
    ]
    identities = [expected for _, _, expected in IDENTITIES]
    definite = [one for one in network if one not in {OPEN, "unknown"} and "-" in one]
    definite += [" ".join(one) for one in identities if one not in (READY, UNKNOWN)]
    definite += [rule for _, rule, _ in BROKEN]
    count = len(network) + len(identities) + len(BROKEN)

    assert count >= 150
    assert 2 * len(definite) <= count


# What sessions use

OF_KEY = {"kmsKeyId": "arn:aws:kms:eu-west-1:111122223333:key/1234abcd"}


def of(inputs: object) -> dict[str, Any]:
    return {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs}


ENFORCED = {"cloudWatchLogGroupName": "sessions", "cloudWatchEncryptionEnabled": True}
MISSING: Final = frozenset({ENDPOINT_MISSING})
LOST: Final = frozenset({LOG_LOST})


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ({}, READY),
        ({"Document": document(of(OF_KEY))}, MISSING),
        ({"Document": document(of({"kmsKeyId": att("Key", "Arn")}))}, MISSING),
        ({"Document": document(json.dumps(of(OF_KEY)))}, MISSING),
        ({"Document": document(of({"s3BucketName": ref("Bucket")}))}, LOST),
        ({"Document": document(of({"cloudWatchLogGroupName": "sessions"}))}, LOST),
        ({"Document": document(of(ENFORCED))}, MISSING),
        ({"Document": document(of({**ENFORCED, "cloudWatchEncryptionEnabled": False}))}, LOST),
        ({"Document": document(of(OF_KEY), PARAMETER)}, UNKNOWN),
        ({"Document": document(of({"kmsKeyId": ""}))}, READY),
        ({"Document": document(of({"kmsKeyId": {"Ref": "AWS::NoValue"}}))}, READY),
        ({"Document": document(of({"kmsKeyId": PARAMETER}))}, UNKNOWN),
        ({"Document": document(of({"Fn::If": ["Other", OF_KEY, {}]}))}, UNKNOWN),
        ({"Document": document({"Fn::If": ["Other", of(OF_KEY), of({})]})}, UNKNOWN),
        ({"Document": document("schemaVersion: '1.0'")}, UNKNOWN),
        ({"Document": document("[" * 100_000)}, UNKNOWN),
        ({"Document": document("[]")}, UNKNOWN),
        ({"Document": on(document(of(OF_KEY)), "Other")}, UNKNOWN),
        ({"Document": on(document(of(OF_KEY)))}, MISSING),  # as the instance is
        ({"Document": document(of(OF_KEY)), "Other": document(of({}))}, UNKNOWN),
        ({"Document": document(of(OF_KEY)), "Other": document(of(OF_KEY))}, MISSING),
        ({"Document": document({"schemaVersion": "1.0", "sessionType": "Port"})}, READY),
        ({"Document": document(of(OF_KEY), "Command")}, READY),
        ({"Document": document(PARAMETER, PARAMETER)}, UNKNOWN),
        ({"Document": document({"schemaVersion": "2.2"}, PARAMETER)}, READY),
    ],
)
def test_services_that_sessions_use(
    check: Check, documents: dict[str, Any], expected: frozenset[str]
) -> None:
    added = {
        **with_endpoints()["Resources"],
        **{name: BODY[name] for name in ("Role", "Profile", "Instance")},
        "Key": resource("AWS::KMS::Key"),
        "Bucket": resource("AWS::S3::Bucket"),
    }
    on_keys = allow("kms:*", on="arn:aws:kms:*:111122223333:key/*")
    documents["Grants"] = policy(on_keys, allow("s3:*", "logs:*"))

    assert check({"Resources": added | documents}).rules == expected
    assert check(with_role(**documents)).rules == READY  # behind a NAT gateway


TO_BUCKET: Final = {"s3BucketName": ref("Bucket")}
MAY_PUT: Final = may("Allow", "s3:PutObject") | {"Principal": "*"}
MAY_READ: Final = may("Allow", "s3:GetEncryptionConfiguration") | {"Principal": "*"}


@pytest.mark.parametrize(
    ("inputs", "statements", "expected"),
    [
        (TO_BUCKET, [MAY_PUT], READY),
        (TO_BUCKET | {"s3EncryptionEnabled": True}, [MAY_PUT], frozenset({ENDPOINT_UNREACHABLE})),
        (TO_BUCKET | {"s3EncryptionEnabled": True}, [MAY_PUT, MAY_READ], READY),
    ],
)
def test_what_an_endpoint_has_to_allow_if_logs_are_enforced(
    check: Check,
    inputs: dict[str, Any],
    statements: list[dict[str, Any]],
    expected: frozenset[str],
) -> None:
    by_gateway = {
        "ServiceName": {"Fn::Sub": "com.amazonaws.${AWS::Region}.s3"},
        "RouteTableIds": [ref("PrivateTable")],
        "PolicyDocument": {"Statement": statements},
    }
    added = {
        **with_endpoints()["Resources"],
        **{name: BODY[name] for name in ("Role", "Profile", "Instance")},
        "Bucket": resource("AWS::S3::Bucket"),
        "Document": document(of(inputs)),
        "Grants": policy(allow("s3:*")),
        "Gateway": resource("AWS::EC2::VPCEndpoint", VpcId=ref("Vpc"), **by_gateway),
    }

    assert check({"Resources": added}).rules == expected


def test_document_of_another_region_says_nothing(tmp_path: Path) -> None:
    here = {
        **with_endpoints()["Resources"],
        **{name: BODY[name] for name in ("Role", "Profile", "Instance")},
    }
    there = {"Resources": {"Document": document(of(OF_KEY))}}
    paths = write(tmp_path, Here={"Resources": here}, There=there)

    assert Report(paths, strict=False).rules == MISSING
    deployed_to(tmp_path, "There", "111122223333/us-east-1")
    assert Report(paths, strict=False).rules == READY


# Whatever the templates say


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture],
          deadline=None)  # fmt: skip
@given(
    changes=st.sampled_from([row[1] for row in IDENTITIES]),
    path=st.lists(st.integers(0, 20), min_size=2, max_size=6),
    value=ANYTHING,
)
def test_whatever_a_template_says_there_is_a_report(
    tmp_path: Path, changes: dict[str, Any], path: list[int], value: object
) -> None:
    body = mutated(with_role(**changes, Document=document(of(OF_KEY))), path, value)

    report = Report(write(tmp_path, Stack=body), strict=False)

    assert report.violations.count(CANNOT_BE_KNOWN) <= len(body["Resources"])


# What it costs


def calls(paths: list[str], *, network: bool) -> int:
    """How many functions the check calls: the same on every machine."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        judge_all(Assembly(paths), network=network)
    finally:
        sys.setprofile(None)
    return count


def test_cost_grows_with_the_resources_and_no_faster(tmp_path: Path) -> None:
    def for_each(machines: int, *, network: bool) -> float:
        body = big(machines)
        paths = write(tmp_path, Stack=body)
        return calls(paths, network=network) / len(body["Resources"])

    small, large = for_each(40, network=True), for_each(400, network=True)

    assert large < 1.1 * small
    assert large < 220  # of 2,000 resources, 400 of them subnets
    assert for_each(400, network=False) < large / 2  # the network is what costs here


# Across stacks

REFERENCES: Final = "@aws-cdk/core:defaultCrossStackReferences"


@pytest.mark.parametrize("references", [None, "weak", "both"])
@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (by_endpoints, READY),
        (isolated_instance, {NO_NETWORK_PATH}),
        (without_an_endpoint_of_messages, MISSING),
        (shut_endpoint, {ENDPOINT_UNREACHABLE}),
        (trusted_by_rds, {ROLE_NOT_ASSUMABLE}),
    ],
)
def test_across_stacks(
    make_app: MakeApp,
    make_stack: MakeStack,
    references: str | None,
    build: Callable[[cdk.Stack], Names],
    expected: frozenset[str],
) -> None:
    """The network and the role are in a stack, the instance in the nested stack of another."""
    app = make_app(**({} if references is None else {REFERENCES: references}))
    network = make_stack("Network", scope=app, env=HERE)
    names = build(network)
    here = network.node.find_child("Instance")
    assert isinstance(here, ec2.Instance)
    role = here.role
    assert isinstance(role, iam.Role)
    role.add_managed_policy(
        iam.ManagedPolicy.from_aws_managed_policy_name("AmazonSSMManagedInstanceCore")
    )
    vpc_ = network.node.find_child("Vpc")
    assert isinstance(vpc_, ec2.Vpc)
    inner = cdk.NestedStack(make_stack("Compute", scope=app, env=HERE), "Nested")
    subnets = ISOLATED if "vpc" in names else EGRESS
    ec2.Instance(inner, "Web", vpc=vpc_, vpc_subnets=subnets, role=role, **MACHINE)

    report = check_app(network)

    assert report.rules == expected
    found = {finding.logical_id.rstrip("0123456789ABCDEF") for finding in report.findings}
    if expected in ({NO_NETWORK_PATH}, MISSING):
        assert found == {"Instance", "Web"}


GIVEN: Final = {"IamInstanceProfile": {"Arn": {"Fn::GetAtt": ["Profile", "Arn"]}}}
MACRO: Final = {"Fn::Transform": {"Name": "M"}}
LAUNCH: Final = resource("AWS::EC2::LaunchTemplate", LaunchTemplateData=GIVEN)


def launches_version(version: object) -> dict[str, Any]:
    template = {"LaunchTemplateId": ref("Launch"), "Version": version}
    return {"Launch": LAUNCH, "Server": machine(LaunchTemplate=template)}


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({}, "ready"),
        ({"Server": machine(**MACRO)}, "ready"),
        ({"Server": machine(IamInstanceProfile=ref("Profile"), **MACRO)}, "can't be known"),
        (
            {"Launch": resource("AWS::EC2::LaunchTemplate", LaunchTemplateData=GIVEN | MACRO)},
            "can't be known",
        ),
        (launches_version("1"), "can't be known"),
        (launches_version(ref("Given")), "can't be known"),
    ],
)
def test_profile_that_compute_may_have_is_not_ready_for_certain(
    check: Check, more: dict[str, Any], verdict: str
) -> None:
    assert check(profile_and_role(inline(ALL), **more)).verdicts == {verdict: 1}


def test_stack_that_is_not_read_is_named_beside_what_is_ready(tmp_path: Path) -> None:
    nests = resource("AWS::CloudFormation::Stack", TemplateURL="https://example.com/t.json")
    paths = write(tmp_path, Web=profile_and_role(inline(ALL), Nests=nests))

    ((ready,), verdicts) = judge_all(Assembly(paths), network=True)

    assert (ready.rule, verdicts) == ("ready", {"ready": 1})
    assert ready.description.endswith("are ready. Not read: the templates of Nests")
