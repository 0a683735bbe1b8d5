"""What the check reports of compute: each cause once, and the line that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3

from session_manager_permissions import (
    SessionManagerEndpoints,
    SessionManagerPermissions,
    SessionPreferences,
)
from session_manager_permissions._network.verdicts import (
    EGRESS_CLOSED,
    ENDPOINT_MISSING,
    ENDPOINT_UNREACHABLE,
    NO_NETWORK_PATH,
)
from session_manager_permissions._readiness.rules import (
    METADATA_OFF,
    NO_INSTANCE_PROFILE,
    ROLE_NOT_ASSUMABLE,
)

from .reports import check_app
from .test_network import (
    ISOLATED,
    MACHINE,
    PUBLIC,
    SSM,
    a_shut_network_acl,
    endpoints,
    instance,
    isolated,
    vpc,
)

if TYPE_CHECKING:
    from collections.abc import Callable

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
]


@pytest.mark.parametrize(
    ("build", "rule", "construct"), [pytest.param(*row, id=row[0].__name__) for row in BROKEN]
)
def test_remedy_mends(
    stack_here: cdk.Stack, build: Callable[[cdk.Stack], Names], rule: str, construct: str
) -> None:
    stack_here.node.set_context("aws:cdk:enable-path-metadata", True)  # noqa: FBT003
    names = build(stack_here)

    report = check_app(stack_here, strict=True)

    assert not report.success
    found = [one for one in report.findings if one.rule == rule]
    assert {one.severity for one in found} == {"error"}
    assert found[0].logical_id.startswith(construct)
    given = {
        "self": stack_here,
        "ec2": ec2,
        "iam": iam,
        "SessionManagerEndpoints": SessionManagerEndpoints,
        "SessionManagerPermissions": SessionManagerPermissions,
    }
    for line in dict.fromkeys(one.fix for one in found):
        exec(line, given | names)  # noqa: S102 # the line that the report shows
    assert rule not in check_app(stack_here).rules
