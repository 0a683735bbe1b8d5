"""The lines that fix what is wrong with compute and its network, as a CDK app has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions._network import endpoint_policy, verdicts

from .templates import Resource, listed, mapping

if TYPE_CHECKING:
    from session_manager_permissions._network.verdicts import Problem


class Kind(NamedTuple):
    """How messages and remedies speak of a resource that launches instances."""

    instances: str
    variable: str
    inner: str
    """Its L1 construct, where the variable is an L2 construct."""
    subnets: str = ""
    """The property that names its subnets."""
    launch: str = ""
    """Where its properties say what to launch."""


_KINDS: Final = {
    "AWS::EC2::Instance": Kind("this instance", "instance", "instance.instance", "SubnetId"),
    "AWS::AutoScaling::AutoScalingGroup": Kind(
        "instances of this group", "group", "group.node.default_child", "VPCZoneIdentifier"
    ),
    "AWS::EKS::Nodegroup": Kind(
        "nodes of this group", "node_group", "node_group.node.default_child", "Subnets"
    ),
    "AWS::EC2::LaunchTemplate": Kind(
        "instances of this launch template",
        "launch_template",
        "launch_template.node.default_child",
        launch="LaunchTemplateData.",
    ),
    "AWS::AutoScaling::LaunchConfiguration": Kind(
        "instances of this launch configuration", "launch_configuration", "launch_configuration"
    ),
    "AWS::EC2::EC2Fleet": Kind("instances of this fleet", "fleet", "fleet"),
    "AWS::EC2::SpotFleet": Kind(
        "instances of this fleet",
        "fleet",
        "fleet",
        launch="SpotFleetRequestConfigData.LaunchSpecifications.0.",
    ),
}
_OTHER: Final = Kind("its instances", "resource", "resource")

_ENDPOINTS: Final = {
    "ssm": 'interface_endpoint("Ssm", service=ec2.InterfaceVpcEndpointAwsService.SSM)',
    "ssmmessages": 'interface_endpoint("SsmMessages", '
    "service=ec2.InterfaceVpcEndpointAwsService.SSM_MESSAGES)",
    "kms": 'interface_endpoint("Kms", service=ec2.InterfaceVpcEndpointAwsService.KMS)',
    "logs": 'interface_endpoint("Logs", '
    "service=ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS)",
    "s3": 'gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)',
}
"""What makes the endpoint of each service, after `vpc.add_`."""

_OPTIONS: Final = {
    "kms": "encryption_key=key",
    "logs": "log_group=log_group",
    "s3": "log_bucket=log_bucket",
}
"""The options of `SessionManagerEndpoints` for a service."""


def kind_of(resource: Resource) -> Kind:
    """Return how messages and remedies speak of a resource that launches instances."""
    return _KINDS.get(resource.type, _OTHER)


def inner(resource: Resource) -> str:
    """The L1 construct of a resource that launches instances."""
    kind = kind_of(resource)
    return kind.variable if resource.is_l1 else kind.inner


def give_profile(resource: Resource) -> str:
    """Give instances a profile with a role."""
    by_name = resource.type in {"AWS::EC2::Instance", "AWS::AutoScaling::LaunchConfiguration"}
    value = "profile.instance_profile_name" if by_name else '{"Arn": profile.instance_profile_arn}'
    return (
        'profile = iam.InstanceProfile(self, "InstanceProfile")\n'
        'SessionManagerPermissions(self, "SessionManagerPermissions", instance_profile=profile, '
        f"allow_registration=True)\n{_override(resource, 'IamInstanceProfile', value)}"
    )


def turn_on_metadata(resource: Resource) -> str:
    """Turn the instance metadata service on."""
    return _override(resource, "MetadataOptions.HttpEndpoint", '"enabled"')


def _override(resource: Resource, path: str, value: str) -> str:
    """Write a property of what is launched."""
    path = f"{kind_of(resource).launch}{path}"
    return f'{inner(resource)}.add_property_override("{path}", {value})'


def let_assume(role: Resource, service: str) -> str:
    """Let a service assume a role."""
    statement = f'"Principal": {{"Service": "{service}"}}, "Action": "sts:AssumeRole"'
    return _add_statement(role, "role", "AssumeRolePolicyDocument", statement) or (
        "role.assume_role_policy.add_statements(iam.PolicyStatement("
        f'actions=["sts:AssumeRole"], principals=[iam.ServicePrincipal("{service}")]))'
    )


def _add_statement(resource: Resource, variable: str, path: str, statement: str) -> str:
    """Add an `Allow` to the statements of a policy document; return nothing for an L2 construct."""
    statements = mapping(resource.properties.get(path)).get("Statement")
    if not resource.is_l1 or not isinstance(statements, list):
        return ""
    place = f"{path}.Statement.{len(statements)}"
    return f'{variable}.add_property_override("{place}", {{"Effect": "Allow", {statement}}})'


class Around(NamedTuple):
    """The parts of the app that compute depends on. A VPC also stands for its default group."""

    vpc: Resource | None
    group: Resource | None
    """A security group of the instances."""
    of_endpoint: Resource | None
    """A security group of the endpoint that is at fault."""


def fix(problem: Problem, resource: Resource, launch: Resource, around: Around) -> str:
    """Open the way that a problem closes for what a resource launches.

    Args:
        problem: the problem.
        resource: the resource.
        launch: the resource that says how, such as a launch template, or the same one.
        around: what the instances are in.
    """
    if problem.fault == verdicts.NETWORK_ACL:
        return (
            'network_acl.add_entry("Https", rule_number=1, cidr=ec2.AclCidr.any_ipv4(), '
            "traffic=ec2.AclTraffic.tcp_port(443), direction=ec2.TrafficDirection.EGRESS)\n"
            'network_acl.add_entry("Answers", rule_number=1, cidr=ec2.AclCidr.any_ipv4(), '
            "traffic=ec2.AclTraffic.tcp_port_range(1024, 65535))"
        )
    if problem.cause == verdicts.NO_NETWORK_PATH:
        options = [_OPTIONS[service] for service in problem.services if service in _OPTIONS]
        arguments = ", ".join(['self, "Endpoints", vpc=vpc', *options])
        return f"{_as_l2(problem, around)}SessionManagerEndpoints({arguments})"
    if problem.cause == verdicts.ENDPOINT_MISSING:
        lines = (f"vpc.add_{_ENDPOINTS[service]}" for service in problem.services)
        return _as_l2(problem, around) + "\n".join(lines)
    if problem.cause == verdicts.EGRESS_CLOSED:
        is_its_own = launch.path.startswith(resource.path.rpartition("/")[0] + "/")
        return _let_out(resource if launch.type == _PART or is_its_own else launch, around)
    return _open_endpoint(problem, around)  # `verdicts.ENDPOINT_UNREACHABLE`


def _as_l2(problem: Problem, around: Around) -> str:
    """Make an L2 construct of an L1 VPC, as only that takes endpoints."""
    if not _is_l1(around.vpc):
        return ""
    tables = ", private_subnet_route_table_ids=[cfn_route_table.ref]"
    return (
        'vpc = ec2.Vpc.from_vpc_attributes(self, "ImportedVpc", vpc_id=cfn_vpc.ref, '
        "vpc_cidr_block=cfn_vpc.attr_cidr_block, "
        "availability_zones=[cfn_subnet.attr_availability_zone], "
        f"private_subnet_ids=[cfn_subnet.ref]{tables if 's3' in problem.services else ''})\n"
    )


_PART: Final = "AWS::AutoScaling::LaunchConfiguration"
"""CDK has no L2 construct for it, but makes it as a part of an Auto Scaling group."""


def _let_out(owner: Resource, around: Around) -> str:
    """Let TCP 443 out of the security groups of an owner."""
    kind = kind_of(owner)
    if not owner.is_l1 and kind.variable in {"instance", "group", "launch_template"}:
        return f"{kind.variable}.connections.allow_to_any_ipv4(ec2.Port.tcp(443))"
    if around.group is not None and _needs_l1_rule(around.group):
        return _add_rule("Egress", around.group, '"0.0.0.0/0"')
    return "security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443))"


def _is_l1(resource: Resource | None) -> bool:
    return resource is not None and resource.is_l1


def _needs_l1_rule(group: Resource) -> bool:
    """Whether no L2 construct stands for a security group, such as the default one of a VPC."""
    return group.is_l1 or group.type == "AWS::EC2::VPC"


def _add_rule(direction: str, group: Resource, block: str) -> str:
    """Add a rule for TCP 443 by an L1 construct."""
    id_ = "security_group.attr_group_id"
    if group.type == "AWS::EC2::VPC":
        id_ = "vpc.attr_default_security_group" if group.is_l1 else "vpc.vpc_default_security_group"
    return (
        f'ec2.CfnSecurityGroup{direction}(self, "Https{direction}", group_id={id_}, '
        f'ip_protocol="tcp", from_port=443, to_port=443, cidr_ip={block})'
    )


def _open_endpoint(problem: Problem, around: Around) -> str:
    """Open an endpoint to compute."""
    endpoint = problem.subject
    assert isinstance(endpoint, Resource)  # noqa: S101 # as all subjects of templates
    inner_vpc = "vpc" if _is_l1(around.vpc) else "vpc.node.default_child"
    if problem.fault == verdicts.PRIVATE_DNS:
        inner_endpoint = "endpoint" if endpoint.is_l1 else "endpoint.node.default_child"
        return f"{inner_endpoint}.private_dns_enabled = True"
    if problem.fault == verdicts.VPC_DNS:
        return f"{inner_vpc}.enable_dns_support = True\n{inner_vpc}.enable_dns_hostnames = True"
    if problem.fault == verdicts.GROUPS:
        return _admit(endpoint, around)
    actions = ", ".join(f'"{one}"' for one in endpoint_policy.ACTIONS[problem.services[0]])
    document = mapping(endpoint.properties.get("PolicyDocument"))
    if any(mapping(one).get("Effect") == "Deny" for one, _ in listed(document.get("Statement"))):
        return f"leave {actions} out of the Deny of the endpoint's policy"
    statement = f'"Principal": "*", "Action": [{actions}], "Resource": "*"'
    return _add_statement(endpoint, "endpoint", "PolicyDocument", statement) or (
        "endpoint.add_to_policy(iam.PolicyStatement(principals=[iam.AnyPrincipal()], "
        f'actions=[{actions}], resources=["*"]))'
    )


def _admit(endpoint: Resource, around: Around) -> str:
    """Admit the VPC to an endpoint."""
    block = "vpc.attr_cidr_block" if _is_l1(around.vpc) else "vpc.vpc_cidr_block"
    if not endpoint.is_l1:
        return f"endpoint.connections.allow_default_port_from(ec2.Peer.ipv4({block}))"
    if around.of_endpoint is not None and _needs_l1_rule(around.of_endpoint):
        return _add_rule("Ingress", around.of_endpoint, block)
    return f"security_group.add_ingress_rule(ec2.Peer.ipv4({block}), ec2.Port.tcp(443))"
