"""The way of compute through its network to the services that Session Manager needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from session_manager_permissions._network import endpoint_policy, verdicts
from session_manager_permissions._network.facts import Unknown
from session_manager_permissions._network.verdicts import ALWAYS_NEEDED, in_words
from session_manager_permissions._quoting import in_python
from session_manager_permissions._readiness.parts import GROUP
from session_manager_permissions._readiness.templates.functions import listed, mapping
from session_manager_permissions._readiness.templates.model import Resource

from .changes import allow, ref
from .fixes import add_statement, is_true, literal, override
from .kinds import kind_of
from .rule import Finding, Told, not_ready
from .sessions import LOG_LOST
from .writer import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from session_manager_permissions._network.judge import Judge
    from session_manager_permissions._network.model import Placement
    from session_manager_permissions._network.verdicts import Problem
    from session_manager_permissions._readiness.compute import Compute
    from session_manager_permissions._readiness.parts import Parts
    from session_manager_permissions._readiness.sessions import ServiceUse

    from .changes import TemplateChanges
    from .fixes import Code, Fix
    from .writer import Writing

    _Ports: TypeAlias = tuple[int, int]

# `_network` names the rules, as the command has them too.
RULES: Final = (
    not_ready(
        verdicts.NO_NETWORK_PATH,
        "a subnet without a way out, and without VPC endpoints of `ssm` and `ssmmessages`",
        "the instance, group, fleet or node group",
    ),
    not_ready(
        verdicts.ENDPOINT_MISSING,
        "VPC endpoints as the only way out, of which one that is needed is missing",
        "the instance, group, fleet or node group",
    ),
    not_ready(
        verdicts.ENDPOINT_UNREACHABLE,
        "private DNS that is off, security groups that do not admit TCP 443 from the compute, "
        "or a policy that does not allow the agent's calls",
        "the VPC endpoint",
    ),
    not_ready(
        verdicts.EGRESS_CLOSED,
        "security groups that do not let TCP 443 out",
        "the instance or launch template",
    ),
)

_BY_ENDPOINTS: Final = (verdicts.NO_NETWORK_PATH, verdicts.ENDPOINT_MISSING)
"""The causes that endpoints mend."""


def of_compute(
    parts: Parts, judge: Judge, compute: Compute, uses: dict[str, ServiceUse]
) -> Iterator[Told]:
    """Find what keeps compute from the services that it needs.

    Args:
        parts: reads what the compute refers to.
        judge: judges paths.
        compute: the compute.
        uses: how sessions use each service that not every session needs.
    """
    if not compute.placements:
        yield "what launches from it, and where"
        return
    needed = (*ALWAYS_NEEDED, *(name for name, use in uses.items() if use.needed is True))
    verdict = judge.judge(compute.placements, needed)
    yield from verdict.decides
    for service, use in uses.items():
        if isinstance(use.needed, Unknown) and judge.judge(compute.placements, (service,)).problems:
            yield use.needed.decides
    for problem in verdict.problems:
        yield _of_problem(parts, judge, problem, compute, (*needed, *_of_lost_logs(uses)))


def of_logs(
    parts: Parts, judge: Judge, compute: Compute, uses: dict[str, ServiceUse]
) -> Iterator[Finding]:
    """Find logs that do not arrive, of compute that can otherwise be reached."""
    lost = _of_lost_logs(uses)
    if not lost or judge.judge(compute.placements, ALWAYS_NEEDED).problems:
        return
    for problem in judge.judge(compute.placements, lost).problems:
        found = _of_problem(parts, judge, problem, compute, lost)
        why = f"the logs of sessions on {kind_of(compute.resource).instances} are lost: "
        yield found._replace(
            rule=LOG_LOST,
            resources=(compute.resource,),
            location="Properties",
            description=why + problem.why,
        )


def _of_lost_logs(uses: dict[str, ServiceUse]) -> tuple[str, ...]:
    """Return the services without which sessions lose their logs, and do not fail."""
    return tuple(name for name, use in uses.items() if use.used is True and use.needed is False)


def _of_problem(
    parts: Parts, judge: Judge, problem: Problem, compute: Compute, used: tuple[str, ...]
) -> Finding:
    kind = kind_of(compute.resource)
    place = _closed(judge, compute.placements, problem.services)
    why = f"Session Manager can't reach {kind.instances}: {problem.why}"
    where, location = compute.resource, f"Properties.{kind.subnets}".removesuffix(".")
    if problem.cause == verdicts.EGRESS_CLOSED:
        where, location = compute.set_in, "Properties"
    elif problem.cause == verdicts.ENDPOINT_UNREACHABLE and isinstance(problem.subject, Resource):
        where, location = problem.subject, "Properties"
    if not any(service in ALWAYS_NEEDED for service in problem.services):
        services = in_words(problem.services)
        why = f"sessions on {kind.instances} that use {services} fail: {problem.why}"
    if problem.cause in _BY_ENDPOINTS:
        others = (
            service
            for other in judge.judge(compute.placements, used).problems
            if other.cause in _BY_ENDPOINTS
            for service in other.services
        )
        problem = problem._replace(services=(*dict.fromkeys((*problem.services, *others)),))
    fix = _fix(parts, place, problem)
    if problem.cause == verdicts.EGRESS_CLOSED:
        fix += _behind_closed_groups(parts, judge, compute, used)
    return Finding(problem.cause, (where,), location, why, fix)


# Fixes -------------------------------------------------------------------------------------------


def _closed(judge: Judge, places: Iterable[Placement], services: tuple[str, ...]) -> Placement:
    """Return the place that a problem with services is about: the first that is closed."""
    return next(one for one in places if judge.judge([one], services).problems)


def _fix(parts: Parts, place: Placement, problem: Problem) -> tuple[Fix, ...]:
    """Return what opens the way that a problem closes from a place."""
    if problem.cause == verdicts.EGRESS_CLOSED:
        groups = place.groups or (parts.vpc_of(place.subnet),)
        return (LetOut(_made(groups[0])),)
    subnet, vpc = _made(place.subnet), _made(parts.vpc_of(place.subnet))
    if problem.fault == verdicts.NETWORK_ACL:
        return (LetPass(vpc, subnet),)
    if problem.cause in _BY_ENDPOINTS:
        return (MakeEndpoints(vpc, problem.services, subnet),)
    return (_open_endpoint(parts, problem, vpc),)


def _open_endpoint(parts: Parts, problem: Problem, vpc: Resource) -> Fix:
    """Return what opens an endpoint."""
    endpoint = _made(problem.subject)
    if problem.fault == verdicts.PRIVATE_DNS:
        return NameEndpoint(endpoint, vpc)
    if problem.fault == verdicts.VPC_DNS:
        return NameEndpoint(None, vpc)
    if problem.fault == verdicts.GROUPS:
        given = endpoint.properties.get("SecurityGroupIds")
        groups = parts.references(endpoint.template, given, GROUP) or (vpc,)
        return Admit(_made(groups[0]), vpc)
    return AllowCalls(endpoint, problem.services)


def _behind_closed_groups(
    parts: Parts, judge: Judge, compute: Compute, used: tuple[str, ...]
) -> tuple[Fix, ...]:
    """Return what makes the endpoints that are missing once the security groups let TCP 443 out.

    The default group of the VPC, which lets everything out, stands for the groups as they are then.
    """
    opened = [place._replace(groups=()) for place in compute.placements]
    return tuple(
        fix
        for problem in judge.judge(opened, used).problems
        if problem.cause in _BY_ENDPOINTS
        for fix in _fix(parts, _closed(judge, opened, problem.services), problem)
    )


def _made(part: object) -> Resource:
    assert isinstance(part, Resource)  # noqa: S101 # nothing else certainly closes a way
    return part


_SERVICES: Final = {"kms": "KMS", "logs": "CLOUDWATCH_LOGS"}
"""The services of interface endpoints that not every session needs, as `ec2` calls them."""


@dataclass(frozen=True)
class MakeEndpoints:
    """Makes the VPC endpoints of services, once for all subnets of a VPC."""

    vpc: Resource
    services: tuple[str, ...]
    subnet: Resource = field(compare=False)
    """A subnet of the compute."""

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Write the endpoints, and turn on the DNS of the VPC that leads to them."""
        gateways, interfaces = self._routes(code), [one for one in self.services if one != "s3"]
        if not gateways and "s3" in self.services:
            services = in_words(self.services)
            return f"make VPC endpoints of {services} where the route tables are defined"
        stack = code.stack(self.vpc)
        if interfaces:
            turn_on_dns(code, self.vpc)
            vpc = self._as_l2(code, stack)
            if not {*interfaces}.isdisjoint(ALWAYS_NEEDED):
                new = code.new_id(self.vpc, "SessionManagerEndpoints")
                code.add(f"{code.library('SessionManagerEndpoints')}({stack}, {new}, vpc={vpc})")
            for service in interfaces:
                if service in _SERVICES:
                    self._interface(code, service, vpc)
        if "s3" in self.services:
            code.add(
                f"{code.cdk('ec2')}.CfnVPCEndpoint({stack}, {code.new_id(self.vpc, 'S3')}, "
                f"vpc_id={code.l1(self.vpc)}.ref, "
                f'service_name=f"com.amazonaws.{{{stack}.region}}.s3", '
                f"route_table_ids=[{', '.join(gateways)}])"
            )
        return ""

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Make the endpoints, with a security group that admits each range of the VPC."""
        vpc, subnet, services = self.vpc, self.subnet, in_words(self.services)
        interfaces = [one for one in self.services if one != "s3"]
        tables = self._tables(changes)
        if any(one.template is not vpc.template for one in tables):
            return f"make VPC endpoints of {services} where the VPC is defined"
        if interfaces and subnet.template is not vpc.template:
            return f"make VPC endpoints of {services} where the subnets are defined"
        if not tables and "s3" in self.services:
            return f"make VPC endpoints of {services} where the route tables are defined"
        if interfaces:
            change_dns(changes, vpc)
            blocks = _blocks_in(changes, vpc)
            admits = [{**HTTPS, "CidrIp": block} for block in blocks]
            given: dict[str, object] = {"VpcId": ref(vpc), "GroupDescription": "Session Manager"}
            given |= {"SecurityGroupIngress": admits}
            group = changes.make(vpc, "Endpoints", GROUP.types[0], given)
            for service in interfaces:
                properties = {
                    **_endpoint(vpc, service, "Interface"),
                    "PrivateDnsEnabled": True,
                    "SubnetIds": [ref(subnet)],
                    "SecurityGroupIds": [{"Fn::GetAtt": [group, "GroupId"]}],
                }
                changes.make(vpc, service.title(), _ENDPOINT, properties)
        if "s3" in self.services:
            properties = {
                **_endpoint(vpc, "s3", "Gateway"),
                "RouteTableIds": [ref(one) for one in tables],
            }
            changes.make(vpc, "S3", _ENDPOINT, properties)
        return ""

    def _as_l2(self, code: Code, stack: str) -> str:
        """Return a variable with the VPC as an L2 construct, as only that takes endpoints."""
        if code.is_l2(self.vpc):
            return code.l2(self.vpc)
        vpc, subnet, new = code.l1(self.vpc), code.l1(self.subnet), code.new_id(self.vpc, "Import")
        return code.new(
            f"imported_{vpc}",
            f"{code.cdk('ec2')}.Vpc.from_vpc_attributes({stack}, {new}, vpc_id={vpc}.ref, "
            f"vpc_cidr_block={vpc}.attr_cidr_block, "
            f"availability_zones=[{subnet}.attr_availability_zone], "
            f"private_subnet_ids=[{subnet}.ref])",
        )

    def _interface(self, code: Code, service: str, vpc: str) -> None:
        """Make one interface endpoint, which admits each range of the VPC."""
        ec2, stack, name = code.cdk("ec2"), code.stack(self.vpc), _SERVICES[service]
        endpoint = code.new(
            f"{service}_endpoint",
            f"{ec2}.InterfaceVpcEndpoint({stack}, {code.new_id(self.vpc, service.title())}, "
            f"vpc={vpc}, service={ec2}.InterfaceVpcEndpointAwsService.{name}, open=False)",
        )
        for block in _blocks(code, self.vpc):
            peer = f"{ec2}.Peer.ipv4({block})"
            code.add(f"{endpoint}.connections.allow_default_port_from({peer})")

    def _routes(self, code: Code) -> list[str]:
        """Return the ids of the route tables of the compute's VPC, for a gateway endpoint."""
        return [f"{code.l1(one)}.ref" for one in self._tables(code)]

    def _tables(self, writing: Writing) -> list[Resource]:
        if "s3" not in self.services:
            return []
        return [
            one
            for one in writing.parts.by_type["AWS::EC2::RouteTable"]
            if self.vpc in writing.named(one, "VpcId")
        ]


_ENDPOINT: Final = "AWS::EC2::VPCEndpoint"
HTTPS: Final = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}


def _endpoint(vpc: Resource, service: str, kind: str) -> dict[str, object]:
    name = {"Fn::Sub": f"com.amazonaws.${{AWS::Region}}.{service}"}
    return {"VpcId": ref(vpc), "ServiceName": name, "VpcEndpointType": kind}


class NameEndpoint(NamedTuple):
    """Has the public name of a service lead to its endpoint."""

    endpoint: Resource | None
    """The endpoint whose private DNS is off."""
    vpc: Resource

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Turn on the private DNS of the endpoint, and the DNS of the VPC that it needs."""
        if self.endpoint is not None:
            override(code, self.endpoint, "PrivateDnsEnabled", "True")
        turn_on_dns(code, self.vpc)
        return ""

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Set the properties."""
        if self.endpoint is not None:
            changes.set(self.endpoint, "Properties.PrivateDnsEnabled", value=True)
        change_dns(changes, self.vpc)
        return ""


def turn_on_dns(code: Code, vpc: Resource) -> None:
    """Have names in a VPC lead to private addresses."""
    for name in _dns_off(vpc):
        override(code, vpc, name, "True")


def change_dns(changes: TemplateChanges, vpc: Resource) -> None:
    """Have names in a VPC lead to private addresses."""
    for name in _dns_off(vpc):
        changes.set(vpc, f"Properties.{name}", value=True)


def _dns_off(vpc: Resource) -> Iterator[str]:
    """Yield what is off. Where a VPC does not say it, only the DNS support is on."""
    for name in ("EnableDnsSupport", "EnableDnsHostnames"):
        is_default = name == "EnableDnsSupport" and written(vpc, name) is None
        if not is_default and not is_true(vpc, name):
            yield name


class LetOut(NamedTuple):
    """Lets TCP 443 out of a security group, or a VPC's default one."""

    group: Resource

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Write the rule."""
        add_rule(code, self.group, "Egress", '"0.0.0.0/0"')
        return ""

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Make the rule."""
        _make_rule(changes, self.group, "Egress", "0.0.0.0/0")
        return ""


class Admit(NamedTuple):
    """Admits TCP 443 from a VPC to a security group of an endpoint, or a VPC's default one."""

    group: Resource
    vpc: Resource

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Write a rule for each range of the VPC."""
        for block in _blocks(code, self.vpc):
            add_rule(code, self.group, "Ingress", block)
        return ""

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Make a rule for each range of the VPC."""
        if self.group.template is not self.vpc.template:
            return "admit TCP 443 from the VPC to one of them, where it is defined"
        for block in _blocks_in(changes, self.vpc):
            _make_rule(changes, self.group, "Ingress", block)
        return ""


def _make_rule(changes: TemplateChanges, group: Resource, direction: str, block: object) -> None:
    id_ = ref(group, _GROUP_ATTRIBUTES.get(group.type, "GroupId"))
    properties = {"GroupId": id_, **HTTPS, "CidrIp": block}
    changes.make(group, f"Https{direction}", f"AWS::EC2::SecurityGroup{direction}", properties)


def add_rule(code: Code, group: Resource, direction: str, block: str) -> None:
    """Let TCP 443 pass by a rule of a security group, or of a VPC's default one."""
    ec2 = code.cdk("ec2")
    if code.is_l2(group) and group.type == "AWS::EC2::SecurityGroup":
        rule = f"{ec2}.Peer.ipv4({block}), {ec2}.Port.tcp(443)"
        code.add(f"{code.l2(group)}.add_{direction.lower()}_rule({rule})")
        return
    attribute = _GROUP_IDS.get(group.type, "attr_group_id")
    code.add(
        f"{ec2}.CfnSecurityGroup{direction}({code.stack(group)}, "
        f"{code.new_id(group, f'Https{direction}')}, group_id={code.l1(group)}.{attribute}, "
        f'ip_protocol="tcp", from_port=443, to_port=443, cidr_ip={block})'
    )


_GROUP_ATTRIBUTES: Final = {
    "AWS::EC2::VPC": "DefaultSecurityGroup",
    "AWS::EKS::Cluster": "ClusterSecurityGroupId",
}
_GROUP_IDS: Final = {
    "AWS::EC2::VPC": "attr_default_security_group",
    "AWS::EKS::Cluster": "attr_cluster_security_group_id",
}
"""The attribute with the id of the security group that AWS makes with a resource."""


def _blocks(code: Code, vpc: Resource) -> Iterator[str]:
    """Yield each IPv4 range of a VPC, as the code gives it."""
    yield _block(code, vpc) or f"{code.l1(vpc)}.attr_cidr_block"
    for more in code.parts.by_type["AWS::EC2::VPCCidrBlock"]:
        if vpc in code.named(more, "VpcId") and written(more, "CidrBlock") is not None:
            yield _block(code, more) or f"{code.l1(more)}.cidr_block"


def _blocks_in(changes: TemplateChanges, vpc: Resource) -> Iterator[object]:
    """Yield each IPv4 range of a VPC, as its template gives it."""
    yield ref(vpc, "CidrBlock")
    for more in changes.parts.by_type["AWS::EC2::VPCCidrBlock"]:
        block = written(more, "CidrBlock")
        is_here = more.template is vpc.template and vpc in changes.named(more, "VpcId")
        if is_here and block is not None:
            yield block


def _block(code: Code, resource: Resource) -> str:
    known = [one for one in code.named(resource, "CidrBlock") if isinstance(one, str)]
    return in_python(known[0]) if known else ""


class AllowCalls(NamedTuple):
    """Allows the agent's calls in the policy of an endpoint."""

    endpoint: Resource
    services: tuple[str, ...]

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Add a statement to the policy."""
        clause, actions, to_all = self._needed()
        if clause:
            return clause
        if code.is_l2(self.endpoint):
            iam = code.cdk("iam")
            code.add(
                f"{code.l2(self.endpoint)}.add_to_policy({iam}.PolicyStatement("
                f"principals=[{iam}.AnyPrincipal()], actions={literal(actions)}, "
                'resources=["*"]))'
            )
            return ""
        if add_statement(code, self.endpoint, "PolicyDocument", to_all):
            return ""
        return f"allow {in_words(actions)} in the policy of the endpoint"

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Add a statement to the policy."""
        clause, actions, to_all = self._needed()
        if clause or changes.statement(self.endpoint, "Properties.PolicyDocument", to_all):
            return clause
        return f"allow {in_words(actions)} in the policy of the endpoint"

    def _needed(self) -> tuple[str, list[str], dict[str, object]]:
        """Return what to do about a Deny, the actions, and the statement that allows them."""
        actions = [*endpoint_policy.ACTIONS[self.services[0]]]
        statements = listed(written(self.endpoint, "PolicyDocument.Statement"))
        clause = ""
        if any(mapping(one).get("Effect") == "Deny" for one in statements):
            clause = f"leave {in_words(actions)} out of the Deny of the endpoint's policy"
        return clause, actions, {**allow(actions), "Principal": "*"}


_ACL: Final = "AWS::EC2::NetworkAcl"
_MOST_ENTRIES: Final = 32766  # the highest number of an entry that a network ACL takes
_HTTPS_PORTS: Final = (443, 443)
_ANSWERS: Final = (1024, 65535)


class LetPass(NamedTuple):
    """Lets TCP 443, and the answers to it, pass the network ACLs on the way."""

    vpc: Resource
    subnet: Resource

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Write the entries that the ACLs of the compute, NAT gateways and endpoints need."""
        clause, entries = self._entries(code)
        for acl, number, ports, egress in entries:
            code.add(_entry(code, acl, number, ports, egress=egress))
        return clause

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Make the entries."""
        clause, entries = self._entries(changes)
        for acl, number, (first, last), egress in entries:
            properties = {
                "NetworkAclId": ref(acl),
                "RuleNumber": number,
                "Protocol": 6,
                "RuleAction": "allow",
                "Egress": egress,
                "CidrBlock": "0.0.0.0/0",
                "PortRange": {"From": first, "To": last},
            }
            what = f"{'Out' if egress else 'In'}{first}"
            changes.make(acl, what, "AWS::EC2::NetworkAclEntry", properties)
        return clause

    def _entries(self, code: Writing) -> tuple[str, list[tuple[Resource, int, _Ports, bool]]]:
        """Return what to do, or the entries: the ACL, the number, the ports, and whether out."""
        needed: dict[Resource, dict[tuple[bool, _Ports], None]] = {}
        for subnet, entries in self._subnets(code):
            for acl in _acls(code, subnet):
                needed.setdefault(acl, {}).update(dict.fromkeys(entries))
        if not needed:
            both = "let TCP 443 and the answers to it, TCP 1024 to 65535, pass the network ACLs"
            return both, []
        found: list[tuple[Resource, int, _Ports, bool]] = []
        for acl, passing in needed.items():
            numbers = code.numbers(acl, partial(_free_numbers, code, acl))
            if len(numbers) < len(passing):
                full = (
                    f"let TCP 443 and the answers to it pass, before {acl.logical_id!r} denies it"
                )
                return full, found
            for egress, ports in passing:
                if code.is_new((acl, egress, ports)):
                    found.append((acl, numbers.pop(0), ports, egress))
        return "", found

    def _subnets(self, code: Writing) -> Iterator[tuple[Resource, list[tuple[bool, _Ports]]]]:
        """Yield the subnets on the way, with what has to pass: out or in, and which ports."""
        starts = [(True, _HTTPS_PORTS), (False, _ANSWERS)]
        ends = [(False, _HTTPS_PORTS), (True, _ANSWERS)]
        yield self.subnet, starts
        for type_, by, entries in (
            ("AWS::EC2::NatGateway", "SubnetId", [*ends, *starts]),
            ("AWS::EC2::VPCEndpoint", "SubnetIds", ends),
        ):
            for resource in code.parts.by_type[type_]:
                for one in code.named(resource, by):
                    if isinstance(one, Resource) and self.vpc in code.named(one, "VpcId"):
                        yield one, entries


def _acls(code: Writing, subnet: Resource) -> Iterator[Resource]:
    """Yield the network ACL of a subnet, if the app makes it."""
    for one in code.parts.by_type["AWS::EC2::SubnetNetworkAclAssociation"]:
        if subnet in code.named(one, "SubnetId"):
            for acl in code.named(one, "NetworkAclId"):
                if isinstance(acl, Resource) and acl.type == _ACL:
                    yield acl


def _free_numbers(code: Writing, acl: Resource) -> list[int]:
    """Return the numbers before any Deny that no entry of an ACL has, the lowest first."""
    taken, denied = set[str](), _MOST_ENTRIES
    for entry in code.parts.by_type["AWS::EC2::NetworkAclEntry"]:
        if acl in code.named(entry, "NetworkAclId"):
            numbers = [one for one in map(str, code.named(entry, "RuleNumber")) if one.isdecimal()]
            taken.update(numbers)
            if code.named(entry, "RuleAction") != ["allow"]:
                denied = min([denied, *map(int, numbers)])
    return [one for one in range(1, denied) if str(one) not in taken]


def _entry(code: Code, acl: Resource, number: int, ports: _Ports, *, egress: bool) -> str:
    ec2, (first, last) = code.cdk("ec2"), ports
    new = code.new_id(acl, f"{'Out' if egress else 'In'}{first}")
    port_range = f"{ec2}.CfnNetworkAclEntry.PortRangeProperty(from_={first}, to={last})"
    return (
        f"{ec2}.CfnNetworkAclEntry({code.stack(acl)}, {new}, network_acl_id={code.l1(acl)}.ref, "
        f'rule_number={number}, protocol=6, rule_action="allow", egress={egress}, '
        f'cidr_block="0.0.0.0/0", port_range={port_range})'
    )
