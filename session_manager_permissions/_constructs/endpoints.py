"""`SessionManagerEndpoints`: the VPC endpoints for subnets without internet access."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, TypeVar, cast

import aws_cdk as cdk
import jsii
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from .at_synthesis import AtSynthesis
from .checks import described, refuse_no_sequence, refuse_wrong_text
from .roles import condition_path
from .statements import read_options, statements_by_sid
from .tokens import DYNAMIC_REFERENCE, is_token, referenced, resolved, without_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_cdk import aws_ec2 as ec2
    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from aws_cdk.interfaces.aws_logs import ILogGroupRef
    from aws_cdk.interfaces.aws_s3 import IBucketRef

    from .preferences import SessionPreferences

_Part = TypeVar("_Part", "ec2.CfnVPCEndpoint", "ec2.CfnVPCCidrBlock")
_IDS: Final = {"ssm": "Ssm", "ssmmessages": "SsmMessages", "kms": "Kms", "logs": "Logs"}
"""The construct id of each interface endpoint, by its service."""


class _Connectable(Protocol):
    """`aws_ec2.IConnectable` as far as jsii reads it, without loading `aws_ec2`."""

    __jsii_type__: str = "aws-cdk-lib.aws_ec2.IConnectable"

    @property
    @jsii.member(jsii_name="connections")
    def connections(self) -> ec2.Connections:
        """The network connections."""


@jsii.implements(_Connectable)
class SessionManagerEndpoints(Construct):
    """The VPC endpoints that Session Manager needs for a subnet without internet access.

    | endpoint | type | made | what the agent uses it for |
    |---|---|---|---|
    | `ssm` | interface | always | registering with Systems Manager |
    | `ssmmessages` | interface | always | the channels of the sessions |
    | `kms` | interface | with `encryption_key` | decrypting session data |
    | `logs` | interface | with `log_group` | sending session logs to CloudWatch Logs |
    | `s3` | gateway | with `log_bucket` | writing session logs to the bucket |

    The options are those of `SessionManagerPermissions`, so that one dictionary of options serves
    both. Four of them change nothing here: `allow_registration`, `log_prefix`,
    `check_log_encryption` and `decrypt_sessions_only`. The key of a log bucket or a log group needs
    no endpoint, as S3 and CloudWatch Logs call KMS themselves.

    Each interface endpoint has private DNS, and so serves every subnet of the VPC. AWS bills it by
    the hour for each Availability Zone, and for the data that it processes. A gateway endpoint is
    free of charge.

    If the app has already defined such an endpoint for the VPC, this construct uses it and makes no
    second one. It can't see endpoints that are not in the app.

    Other constructs can depend on this one: `instance.instance.node.add_dependency(endpoints)`
    keeps an `ec2.Instance` from booting before it can reach Session Manager.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-create-vpc.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc | ec2.Vpc,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup | ec2.SecurityGroup] | None = None,
        endpoint_policy: Literal["account"] | None = None,
        encryption_key: IKeyRef | IAliasRef | None = None,
        allow_registration: bool = False,
        log_bucket: IBucketRef | None = None,
        log_prefix: str | None = None,
        log_group: ILogGroupRef | None = None,
        check_log_encryption: bool | None = None,
        preferences: SessionPreferences | None = None,
        decrypt_sessions_only: bool = False,
    ) -> None:
        """Make the endpoints that the options need and that the VPC does not have yet.

        Args:
            scope: the construct that this one is defined in.
            construct_id: the construct's id, unique in `scope`.
            vpc: the VPC: owned, looked up or imported. Its DNS support and its DNS hostnames must
                be on. A VPC of `from_vpc_attributes` needs its `vpc_cidr_block`, unless
                `security_groups` are given, and with a log bucket the ids of its route tables.
            subnets: the subnets of the interface endpoints, one in each Availability Zone. The
                gateway endpoint is in each route table of the VPC.
                Default: - the private subnets; if there are none, the isolated subnets; else the
                public subnets.
            security_groups: the security groups of the interface endpoints. No rule is added.
                Default: - a new one that allows inbound TCP 443 from the CIDR ranges that the app
                has given the VPC so far.
            endpoint_policy: with `"account"`, the endpoints that this construct makes allow only
                principals of the stack's account.
                Default: - no policy: the default endpoint policy allows all principals.
            encryption_key: the KMS key that encrypts session data, or an alias of it.
                Default: - none: no endpoint of `kms`.
            allow_registration: as in `SessionManagerPermissions`; it changes nothing here.
                Default: - False.
            log_bucket: the S3 bucket for session logs.
                Default: - none: no endpoint of `s3`.
            log_prefix: as in `SessionManagerPermissions`; it changes nothing here.
                Default: - the top of the bucket.
            log_group: the CloudWatch log group for session logs.
                Default: - none: no endpoint of `logs`.
            check_log_encryption: as in `SessionManagerPermissions`; it changes nothing here.
                Default: - as there.
            preferences: the Session document that sessions are started with, which decides the key,
                the bucket and the log group. Default: - none: each option is given separately.
            decrypt_sessions_only: as in `SessionManagerPermissions`; it changes nothing here.
                Default: - False.

        Raises:
            TypeError: an argument of the wrong type.
            ValueError: another `endpoint_policy`; options that `session_manager_statements`
                refuses.
        """
        options, key = read_options(
            encryption_key=encryption_key,
            allow_registration=allow_registration,
            log_bucket=log_bucket,
            log_prefix=log_prefix,
            log_group=log_group,
            check_log_encryption=check_log_encryption,
            preferences=preferences,
            decrypt_sessions_only=decrypt_sessions_only,
        )
        statements_by_sid(options, key, None)  # for the errors of the options
        _refuse_wrong(vpc, security_groups, endpoint_policy)
        refuse_wrong_text("construct_id", construct_id)
        super().__init__(scope, construct_id)
        self._vpc = vpc
        used = {"kms": key, "logs": options["log_group"]}
        services = ["ssm", "ssmmessages", *(one for one, of in used.items() if of is not None)]
        nodes = self.node.root.node.find_all()
        defined = [*_endpoints_of(vpc, self, nodes)]
        serving = [one for one in defined if one.service in services and one.may_serve_names]
        missing = [name for name in services if name not in {one.service for one in serving}]
        groups = [*(security_groups or ())]
        if missing and not groups:
            groups.append(_group_for_vpc(self, vpc, nodes))
        self._interface_endpoints = [
            cdk.aws_ec2.InterfaceVpcEndpoint(
                self,
                _IDS[service],
                vpc=vpc,
                service=cdk.aws_ec2.InterfaceVpcEndpointAwsService(service),
                subnets=subnets,
                security_groups=groups,
                open=False,
                private_dns_enabled=True,
            )
            for service in missing
        ]
        self._gateway_endpoint: ec2.GatewayVpcEndpoint | None = None
        if options["log_bucket"] is not None:
            gateways = [one for one in defined if one.service == "s3" and one.routes]
            self._gateway_endpoint = self._make_gateway(gateways)
            serving += gateways
        self._made = [*self._interface_endpoints, *filter(None, [self._gateway_endpoint])]
        if endpoint_policy is not None:
            for endpoint in self._made:
                endpoint.add_to_policy(_of_account(cdk.Stack.of(self).account))
        for one in serving:
            self._warn_if_uncertain(one)
        each = {group.node.path: group for group in (*groups, *_groups_of(serving))}
        self._connections = cdk.aws_ec2.Connections(
            security_groups=[*each.values()], default_port=cdk.aws_ec2.Port.tcp(443)
        )
        self.node.add_validation(AtSynthesis(self._find_clashes))

    @property
    def connections(self) -> ec2.Connections:
        """The network connections of the interface endpoints. The default port is TCP 443.

        They include the security groups of endpoints that the app defined before, unless these are
        L1.
        """
        return self._connections

    @property
    def interface_endpoints(self) -> list[ec2.InterfaceVpcEndpoint]:
        """The interface endpoints that this construct has made, without those that it found."""
        return [*self._interface_endpoints]

    @property
    def gateway_endpoint(self) -> ec2.GatewayVpcEndpoint | None:
        """The gateway endpoint of S3; None if no log bucket or route table needs it."""
        return self._gateway_endpoint

    def _make_gateway(self, gateways: list[_DefinedEndpoint]) -> ec2.GatewayVpcEndpoint | None:
        """Make the gateway endpoint of S3 for the route tables that are not in `gateways`."""
        selections = None
        if gateways:
            routed = {table for gateway in gateways for table in gateway.routes}
            vpc = self._vpc
            left = [
                subnet
                for subnet in (*vpc.private_subnets, *vpc.public_subnets, *vpc.isolated_subnets)
                if _UNKNOWN_TABLES not in routed and _route_table(subnet) not in {None, *routed}
            ]
            if not left:
                return None
            selections = [cdk.aws_ec2.SubnetSelection(subnets=left)]
        service = cdk.aws_ec2.GatewayVpcEndpointAwsService.S3
        return cdk.aws_ec2.GatewayVpcEndpoint(
            self, "S3", vpc=self._vpc, service=service, subnets=selections
        )

    def _warn_if_uncertain(self, endpoint: _DefinedEndpoint) -> None:
        if not endpoint.is_certain:
            cdk.Annotations.of(self).add_warning_v2(
                "session-manager-permissions:endpoint-not-certain",
                f"it is known only at deployment whether the endpoint "
                f"{endpoint.resource.node.path!r} of {endpoint.service} exists and has private "
                "DNS, and SessionManagerEndpoints makes no second one: define it without a "
                "condition and with private DNS, or instances may not reach Session Manager",
            )

    def _find_clashes(self) -> list[str]:
        """Find endpoints that the app defined later, as a VPC can have only one of each service."""
        found = [*_endpoints_of(self._vpc, self, self.node.root.node.find_all())]
        paths = {f"{endpoint.node.path}/Resource" for endpoint in self._made}
        own = {one.service: one for one in found if one.resource.node.path in paths}
        later = [one for one in found if one.resource.node.path not in paths]
        clashes = [one for one in later if one.service in own and one.clashes(own[one.service])]
        if clashes and self._vpc.select_subnets().is_pending_lookup:
            return []  # until the CLI has looked them up, all VPCs look the same
        return [
            f"the endpoint {one.resource.node.path!r} of {one.service} is defined after this "
            "SessionManagerEndpoints, which has already made another one, so the deployment would "
            "fail: make SessionManagerEndpoints after this endpoint, which it then uses"
            for one in clashes
        ]


def _refuse_wrong(vpc: object, security_groups: object, endpoint_policy: object) -> None:
    """Refuse arguments that are not a VPC or security groups, and policies other than `"account"`.

    Raises:
        TypeError: `vpc` is not a VPC, or `security_groups` is not a sequence of security groups.
        ValueError: `endpoint_policy` is not `"account"`.
    """
    if not hasattr(vpc, "select_subnets"):
        raise TypeError(
            f"vpc must be a VPC, got {described(vpc)}: give a construct (for a VPC that "
            "exists, ec2.Vpc.from_lookup(scope, id, vpc_id=…); for an L1, "
            "ec2.Vpc.from_vpc_attributes(scope, id, vpc_id=cfn_vpc.ref, …))"
        )
    if security_groups is not None:
        refuse_no_sequence("security_groups", security_groups, "a sequence of security groups")
        for group in cast("Sequence[object]", security_groups):
            if not hasattr(group, "security_group_id"):  # for an L1, CDK would give none
                raise TypeError(
                    f"security_groups must be security groups, got {described(group)} in it: give "
                    "ec2.SecurityGroup.from_security_group_id(scope, id, group_id)"
                )
    if endpoint_policy not in (None, "account"):
        raise ValueError(
            f"endpoint_policy is {described(endpoint_policy)}: give 'account' to allow only "
            "principals of the stack's account, or None; for a policy of your own, make the "
            "endpoint first, with vpc.add_interface_endpoint()"
        )


_UNKNOWN_TABLES: Final = "*"
"""Stands for route tables that are known only at deployment."""


class _DefinedEndpoint(NamedTuple):
    """An endpoint of the VPC, as far as the app defines it."""

    resource: ec2.CfnVPCEndpoint
    service: str
    """The last part of its service's name, such as `ssm`."""
    may_serve_names: bool
    """Whether it is an interface endpoint whose private DNS is not known to be off."""
    is_certain: bool
    """Whether it certainly exists, with private DNS or in known route tables."""
    routes: frozenset[str]
    """The route tables of a gateway endpoint."""

    def clashes(self, other: _DefinedEndpoint) -> bool:
        """Tell whether it is certain that the two can't be deployed together."""
        shares_names = self.may_serve_names and other.may_serve_names
        shares_routes = not self.routes.isdisjoint(other.routes)
        return self.is_certain and other.is_certain and (shares_names or shares_routes)


def _endpoints_of(
    vpc: ec2.IVpc, construct: Construct, nodes: list[IConstruct]
) -> Iterator[_DefinedEndpoint]:
    """Yield the endpoints that the app has defined for the VPC."""
    for node in _parts_of(vpc, construct, nodes, cdk.aws_ec2.CfnVPCEndpoint):
        name = resolved(node.service_name or "", node.stack)
        service = "" if node.service_region else without_tokens(name).rpartition(".")[2]
        is_interface = node.vpc_endpoint_type == "Interface"
        private_dns = node.private_dns_enabled
        routes = frozenset[str]() if is_interface else _routes(node)
        knows = private_dns is True if is_interface else _UNKNOWN_TABLES not in routes
        yield _DefinedEndpoint(
            resource=node,
            service=service,
            may_serve_names=is_interface and private_dns not in (None, False),
            is_certain=knows and not condition_path(node),
            routes=routes,
        )


def _parts_of(
    vpc: ec2.IVpc, construct: Construct, nodes: list[IConstruct], type_: type[_Part]
) -> Iterator[_Part]:
    """Yield the constructs of an L1 type that belong to the VPC."""
    vpc_id = _identity(vpc.vpc_id, construct)
    for node in nodes:
        if isinstance(node, type_) and _identity(node.vpc_id, node) == vpc_id:
            yield node


def _routes(gateway: ec2.CfnVPCEndpoint) -> frozenset[str]:
    """Return the identities of the route tables of a gateway endpoint."""
    try:
        tables = gateway.route_table_ids or ()
    except RuntimeError:  # `CfnInclude` does not turn a `Ref` to a list parameter into a list
        return frozenset([_UNKNOWN_TABLES])
    return frozenset(
        _UNKNOWN_TABLES if table.startswith("#{") else _identity(table, gateway) for table in tables
    )


def _groups_of(endpoints: list[_DefinedEndpoint]) -> Iterator[ec2.ISecurityGroup]:
    """Yield the security groups of L2 endpoints, as CDK does not know those of an L1."""
    for endpoint in endpoints:
        holder = endpoint.resource.node.scope
        if isinstance(holder, cdk.aws_ec2.InterfaceVpcEndpoint):
            yield from holder.connections.security_groups


def _identity(resource_id: str, construct: IConstruct) -> str:
    """Return a text that is equal for two ids of the same VPC or route table.

    An id may be a literal, a reference, or a logical id in another construct. A value that only the
    deployment knows, such as an export, differs from environment to environment.
    """
    if not is_token(resource_id) and not resource_id.startswith(DYNAMIC_REFERENCE):
        return resource_id
    stack = cdk.Stack.of(referenced(resource_id) or construct)
    match stack.resolve(resource_id):
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), "VpcId" | "RouteTableId"]}:
            return f"{stack.node.path}:{name}"
        case resolved:
            return f"{stack.environment}:{json.dumps(resolved, sort_keys=True)}"


def _route_table(subnet: ec2.ISubnet) -> str | None:
    """Return the identity of a subnet's route table; None if an imported subnet has none."""
    try:
        return _identity(subnet.route_table.route_table_id, subnet)
    except RuntimeError:
        return None


def _group_for_vpc(scope: Construct, vpc: ec2.IVpc, nodes: list[IConstruct]) -> ec2.SecurityGroup:
    """Return a security group that allows inbound TCP 443 from the VPC, and no outbound traffic.

    CDK's own VPC constructs know only the first CIDR range of a VPC. The others are in `nodes`.
    """
    group = cdk.aws_ec2.SecurityGroup(
        scope,
        "SecurityGroup",
        vpc=vpc,
        description="VPC endpoints of Session Manager",
        allow_all_outbound=False,
    )
    cfn_vpc = referenced(vpc.vpc_id)
    cidr = vpc.vpc_cidr_block
    if isinstance(cfn_vpc, cdk.aws_ec2.CfnVPC):
        literal = cfn_vpc.cidr_block  # unlike a reference, linters can read it
        cidr = cidr if literal is None or is_token(literal) else literal
    blocks = _parts_of(vpc, scope, nodes, cdk.aws_ec2.CfnVPCCidrBlock)
    more = (one.cidr_block for one in blocks if one.cidr_block is not None)
    for block in dict.fromkeys((cidr, *more)):
        group.add_ingress_rule(
            cdk.aws_ec2.Peer.ipv4(block), cdk.aws_ec2.Port.tcp(443), "HTTPS from the VPC"
        )
    return group


def _of_account(account: str) -> iam.PolicyStatement:
    """Return a statement that allows all actions to the principals of the account.

    The account is in a condition, as the policy of a gateway endpoint must have the principal `*`.
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
    """
    return iam.PolicyStatement(
        principals=[iam.StarPrincipal()],
        actions=["*"],
        resources=["*"],
        conditions={"StringEquals": {"aws:PrincipalAccount": account}},
    )
