"""The rules about network paths: how to detect a closed path, and how to open it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from session_manager_permissions._network import endpoint_policy, verdicts
from session_manager_permissions._network.ec2 import ANSWERS, S3, Service
from session_manager_permissions._network.facts import Unknown
from session_manager_permissions._network.model import IF_ENFORCED, TO_OPEN, Placement, calls_to_log
from session_manager_permissions._network.place import PUBLIC
from session_manager_permissions._network.verdicts import ALWAYS_NEEDED, AclFault, Problem, in_words
from session_manager_permissions._readiness.parts import GROUP, Parts
from session_manager_permissions._readiness.templates.model import Resource
from session_manager_permissions._readiness.templates.texts import as_text

from .kinds import kind_of, unreachable
from .remedies import AddStatement, Advice, Fix, Set, Writer
from .rule import Finding, Told, not_ready
from .sessions import LOG_LOST
from .statements import allow
from .writer import HTTPS, written

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from session_manager_permissions._network.judge import Judge
    from session_manager_permissions._network.model import Range, Reference
    from session_manager_permissions._readiness.compute import Compute
    from session_manager_permissions._readiness.sessions import ServiceUse

    from .python import Code
    from .steps import Steps

# `_network` defines the ids of these rules, as `verify` uses them too.
RULES: Final = (
    not_ready(
        verdicts.NO_NETWORK_PATH,
        "a subnet without internet access and without VPC endpoints of `ssm` and `ssmmessages`",
        "the instance, or what launches it",
    ),
    not_ready(
        verdicts.ENDPOINT_MISSING,
        "a subnet without internet access that has some of the needed VPC endpoints, but not all",
        "the instance, or what launches it",
    ),
    not_ready(
        verdicts.ENDPOINT_UNREACHABLE,
        "private DNS that is off, security groups that do not allow inbound TCP 443 from the "
        "compute, or a policy that does not allow the agent's calls",
        "the VPC endpoint",
    ),
    not_ready(
        verdicts.EGRESS_CLOSED,
        "security groups that do not allow outbound TCP 443",
        "the instance, or what sets its security groups",
    ),
)
_BY_CAUSE: Final = {rule.id: rule for rule in RULES}


class NetworkRules:
    """Judges the network paths of compute."""

    def __init__(
        self, parts: Parts, judge: Judge, subnets: Callable[[], Iterable[Reference]]
    ) -> None:
        self._parts = parts
        self._judge = judge
        self._subnets = subnets
        """Returns the subnets of all compute, in any world."""
        self._homes: dict[Resource, Resource] = {}
        """The subnet of each VPC in which fixes make endpoints."""

    def of_compute(self, compute: Compute, uses: dict[Service, ServiceUse]) -> Iterator[Told]:
        """Find what keeps compute from the services that it needs.

        Args:
            compute: the compute.
            uses: how sessions use each service that not every session needs.
        """
        if not compute.placements:
            yield "which instances are launched from it, and in which subnets"
            return
        needed = (*ALWAYS_NEEDED, *(one for one, use in uses.items() if use.needed is True))
        calls = _calls_to_open(uses)
        opening = compute.calling(calls=calls).placements
        verdict = self._judge.judge(opening, needed)
        yield from verdict.decides
        for service, use in uses.items():
            if isinstance(use.needed, Unknown):
                way = self._judge.judge(opening, (service,))
                if way.problems or not {*way.decides} <= {*verdict.decides}:
                    yield from (use.needed.decides, *way.decides)
        if verdict.closed:
            lost = (one for one, use in uses.items() if use.used is True and use.needed is False)
            whole = compute.calling(calls=(*_calls_to_log(uses), *calls))
            used, told = (*needed, *lost), verdict.problems
            yield lambda: [self._of_problem(one, told, whole, used) for one in told]

    def of_logs(self, compute: Compute, uses: dict[Service, ServiceUse]) -> Iterator[Finding]:
        """Find session logs that are lost, although sessions on the compute can be opened."""
        used = tuple(one for one, use in uses.items() if use.used is True)
        if not used:
            return
        opening = compute.calling(calls=_calls_to_open(uses)).placements
        shut = {one for each in self._judge.judge(opening, used).problems for one in each.services}
        # An endpoint's policy may allow the calls that open a session, and not those that log it.
        lost = tuple(one for one in used if uses[one].needed is False or one not in shut)
        problems = self._judge.judge(opening, ALWAYS_NEEDED).problems
        # The fixes of the other causes fix everything but the faults of an endpoint that exists.
        is_mended = any(one.cause != verdicts.ENDPOINT_UNREACHABLE for one in problems)
        whole = compute.calling(calls=(*TO_OPEN, *_calls_to_log(uses)))
        told = self._judge.judge(whole.placements, lost).problems
        for problem in told:
            if is_mended and problem.cause != verdicts.ENDPOINT_UNREACHABLE:
                continue
            fixes = self._of_problem(problem, told, whole, lost).fixes
            why = f"the logs of sessions on {kind_of(compute.resource).instances} are lost: "
            yield LOG_LOST.found(compute.resource, "Properties", why + problem.why, *fixes)

    def _of_problem(
        self, problem: Problem, told: Iterable[Problem], compute: Compute, used: tuple[Service, ...]
    ) -> Finding:
        kind = kind_of(compute.resource)
        why = unreachable(compute.resource, problem.why)
        where, location = compute.resource, f"Properties.{kind.subnets}".removesuffix(".")
        others = frozenset(map(_key, told)) - {_key(problem)}
        if problem.cause == verdicts.EGRESS_CLOSED:
            where, location = compute.launch.origin, "Properties"
            # What the security groups hide has no finding where only some worlds have it.
            others = frozenset()
        elif isinstance(problem.subject, Resource):
            where, location = problem.subject, "Properties"
        if not any(service in ALWAYS_NEEDED for service in problem.services):
            services = in_words(problem.services)
            why = f"sessions on {kind.instances} fail if they use {services}: {problem.why}"
        fix = (*self._fixes(others, compute, used),)
        fix += (*self._through_acls(problem, compute, used, fix),)
        return _BY_CAUSE[problem.cause].found(where, location, why, *fix)

    # Fixes

    def _fixes(
        self, others: frozenset[Hashable], compute: Compute, used: tuple[Service, ...]
    ) -> Iterator[Fix]:
        """Yield the fixes of a problem, and of the problems that it hides.

        A verdict has the problems of only one place. The problems whose keys are in `others` have
        findings of their own.
        """
        for place in compute.placements:
            for one in self._judge.judge([place], used).problems:
                if _key(one) not in others:
                    yield from self._fix(place, one)

    def _fix(self, place: Placement, problem: Problem) -> Iterator[Fix]:
        """Yield the fixes of a problem for one place."""
        if problem.cause == verdicts.EGRESS_CLOSED:
            yield self._let_out(place)
            return
        subnet = _as_resource(place.subnet)
        vpc = _as_resource(self._parts.vpc_of(subnet))
        if problem.cause == verdicts.ENDPOINT_UNREACHABLE:
            yield from self._open_endpoint(place, problem, vpc)
            return
        # `_through_acls` finds the fixes for network ACLs.
        needed = dict.fromkeys(one.services[0] for one in problem.parts if not one.acls)
        missing = [one for one in needed if not one.region]
        for elsewhere in (one for one in needed if one.region):
            clause = f"log to a bucket of the region of {vpc.logical_id!r}, or give the subnet"
            yield Advice(f"{clause} a route to {elsewhere}, such as through a NAT gateway")
        public = any(fault.peer == PUBLIC for one in problem.parts for fault in one.acls)
        public |= S3 in missing  # a gateway endpoint leads to public addresses
        if (missing or public) and not self._judge.lets_out(place, public=public):
            yield self._let_out(place)
        if missing:
            home = self._homes.setdefault(vpc, subnet)
            yield MakeEndpoints(vpc, (*missing,), subnet, home if home.exists else subnet)

    def _let_out(self, place: Placement) -> Fix:
        """Return the fix that makes a security group of a place allow outbound TCP 443."""
        groups = place.groups or (self._parts.vpc_of(place.subnet),)
        return LetOut(_as_resource(groups[0]))

    def _open_endpoint(self, place: Placement, problem: Problem, vpc: Resource) -> Iterator[Fix]:
        """Yield the fixes of an endpoint that exists."""
        endpoint = _as_resource(problem.subject)
        faults = {one.fault for one in problem.parts}
        if verdicts.PRIVATE_DNS in faults:
            yield Set(endpoint, "PrivateDnsEnabled", value=True)
        if not faults.isdisjoint((verdicts.PRIVATE_DNS, verdicts.VPC_DNS)):
            yield from turn_on_dns(vpc)
        if verdicts.GROUPS in faults:
            given = endpoint.properties.get("SecurityGroupIds")
            groups = self._parts.references(endpoint, given, GROUP) or (vpc,)
            apart = self._ranges_without(_as_resource(place.subnet), vpc)
            yield Admit(_as_resource(groups[0]), vpc, (*apart,))
        if verdicts.POLICY in faults:
            (service,) = problem.services
            denied = [call for one in problem.parts for call in one.denied]
            calls = endpoint_policy.calls_of_service(service, place.calls)
            yield _allow_calls(endpoint, calls, denied)

    def _ranges_without(self, subnet: Resource, vpc: Resource) -> Iterator[Resource]:
        """Yield the resources that give a VPC a CIDR block that does not contain a subnet."""

        def range_of(one: Resource) -> Range | Resource:
            return self._parts.cidr(one, one.properties.get("CidrBlock"))

        for one in (vpc, *self._parts.by_type[_BLOCK]):
            match range_of(subnet), one.exists and range_of(one):
                case IPv4Network() as own, IPv4Network() as range_ if not own.overlaps(range_):
                    yield one

    def _through_acls(
        self, problem: Problem, compute: Compute, used: tuple[Service, ...], fixes: Iterable[Fix]
    ) -> Iterator[Fix]:
        """Yield the fixes for network ACLs that still close a path after all other fixes.

        If a fix makes a service's name lead to an endpoint, it does so for all compute of the VPC.
        """
        makes = [one for one in fixes if isinstance(one, MakeEndpoints)]
        made = {service: one.home for one in makes for service in one.services}
        for place in compute.placements:
            yield from map(LetPass, self._judge.shut_by_acls(place, used, made))
        turned_on = problem.services if any(isinstance(one, Set) for one in fixes) else ()
        named = tuple(one for one in dict.fromkeys((*made, *turned_on)) if one != S3)
        vpcs = {self._parts.vpc_of(place.subnet) for place in compute.placements} - {None}
        for subnet in self._subnets() if named and self._parts.of_types(_OF_ACLS) else ():
            if self._parts.vpc_of(subnet) in vpcs:
                place = Placement(subnet, (Unknown("which security groups the compute has"),))
                yield from map(LetPass, self._judge.shut_by_acls(place, named, made))


def _calls_to_open(uses: dict[Service, ServiceUse]) -> tuple[str, ...]:
    """Return the actions that the agent calls, or may call, to open a session."""
    needed = (one.name for one, use in uses.items() if use.needed is not False)
    return (*TO_OPEN, *(IF_ENFORCED[name] for name in needed if name in IF_ENFORCED))


def _calls_to_log(uses: dict[Service, ServiceUse]) -> tuple[str, ...]:
    return calls_to_log(streams=uses[Service("logs")].streamed)


def _key(problem: Problem) -> tuple[str, Hashable]:
    return problem.cause, problem.subject


def _as_resource(part: object) -> Resource:
    assert isinstance(part, Resource)  # noqa: S101 # nothing else certainly closes a path
    return part


# Fixes -------------------------------------------------------------------------------------------


_ENDPOINT: Final = "AWS::EC2::VPCEndpoint"
_OF_ACLS: Final = ("AWS::EC2::NetworkAcl", "AWS::EC2::NetworkAclEntry")
_BLOCK: Final = "AWS::EC2::VPCCidrBlock"


@dataclass(frozen=True)
class MakeEndpoints(Fix):
    """Makes the VPC endpoints of services, once for all subnets of a VPC."""

    vpc: Resource
    services: tuple[Service, ...]
    subnet: Resource = field(compare=False)
    """A subnet of the compute."""
    home: Resource = field(compare=False)
    """The subnet in which the endpoints are made."""

    def in_python(self, code: Code) -> None:
        """Write `SessionManagerEndpoints` if the VPC is an L2 construct that all deployments have.

        `SessionManagerEndpoints` does not see an endpoint that is a `CfnResource`, or private DNS
        that another fix turns on. It also uses other subnets, from which network ACLs may block the
        compute.
        """
        tables, interfaces = self._needed(code)
        there = (one for service in ALWAYS_NEEDED for one in self._endpoints_of(code, service))
        sees = (code.made(one).is_typed and written(one, "PrivateDnsEnabled") for one in there)
        is_l2 = code.is_l2(self.vpc) and self.vpc.condition is None
        is_l2 &= not code.parts_of(self.vpc, "AWS::EC2::NetworkAcl", "VpcId")
        made = ALWAYS_NEEDED if is_l2 and all(sees) else ()
        if not {*interfaces}.isdisjoint(made):
            stack, made_by = code.stack(self.vpc), code.library("SessionManagerEndpoints")
            new = code.once((made_by, self.vpc), partial(code.new_id, self.vpc, made_by))
            code.add(f"{made_by}({stack}, {new}, vpc={code.l2(self.vpc)})")
        self._make(code, tables, [one for one in interfaces if one not in made])

    def in_template(self, steps: Steps) -> None:
        """Make the endpoints one by one."""
        self._make(steps, *self._needed(steps))

    def _make(self, to: Writer, tables: list[Resource], interfaces: list[Service]) -> None:
        """Make endpoints, with a security group that allows inbound TCP 443 from the whole VPC."""

        def make(service: Service, **given: object) -> None:
            name = {"Fn::Sub": f"com.amazonaws.${{AWS::Region}}.{service}"}
            of_service = {"VpcId": to.ref(self.vpc), "ServiceName": name}
            to.make(self.vpc, service.name.title(), _ENDPOINT, of_service | given)

        if interfaces:
            admits = [{**HTTPS, "CidrIp": block} for block in _blocks(to, self.vpc)]
            of_group = {"VpcId": to.ref(self.vpc), "GroupDescription": "Session Manager"}
            of_group |= {"SecurityGroupIngress": admits}
            group = to.make(self.vpc, "Endpoints", GROUP.types[0], of_group)
            there = {"PrivateDnsEnabled": True, "SubnetIds": [to.ref(self.home)]}
            there |= {"SecurityGroupIds": [to.ref(group, "GroupId")]}
            for service in interfaces:
                make(service, VpcEndpointType="Interface", **there)
        if tables:
            make(S3, VpcEndpointType="Gateway", RouteTableIds=[*map(to.ref, tables)])

    def _needed(self, to: Writer) -> tuple[list[Resource], list[Service]]:
        """Return the route tables for S3, and the services that get interface endpoints.

        Say what to do by hand about the others.
        """
        interfaces = [one for one in self.services if one != S3]
        sometimes = {
            service: one
            for service in interfaces
            for one in self._endpoints_of(to, service)
            if one.condition is not None
        }
        for one in sometimes.values():
            to.say(f"also make the VPC endpoint {one.logical_id!r} where its condition is false")
        interfaces = [one for one in interfaces if one not in sometimes]
        tables = self._without_s3(to) if S3 in self.services else []
        make, vpc = "make VPC endpoints of", repr(self.vpc.logical_id)
        if S3 in self.services and not tables:
            to.say(f"{make} s3 for {vpc} where the route tables are defined")
        elif not all(to.reaches(self.vpc, one) for one in tables):
            to.say(f"{make} s3 for {vpc} where the VPC is defined")
            tables = []
        if interfaces and not to.reaches(self.vpc, self.home):
            to.say(f"{make} {in_words(interfaces)} for {vpc} where the subnets are defined")
            interfaces = []
        for off in turn_on_dns(self.vpc) if interfaces else ():
            off.apply(to)
        return tables, interfaces

    def _without_s3(self, to: Writer) -> list[Resource]:
        """Return the route tables of the VPC that have no gateway endpoint of S3.

        A route table takes only one. If the subnet uses the main route table, which no template
        names, return none.
        """
        if not to.parts_of(self.subnet, "AWS::EC2::SubnetRouteTableAssociation", "SubnetId"):
            return []
        there = self._endpoints_of(to, S3)
        served = {table for one in there for table in to.named(one, "RouteTableIds")}
        tables = to.parts_of(self.vpc, "AWS::EC2::RouteTable", "VpcId")
        on = None, self.vpc.condition, self.subnet.condition
        return [one for one in tables if one not in served and one.condition in on]

    def _endpoints_of(self, to: Writer, service: Service) -> Iterator[Resource]:
        """Yield the VPC's endpoints of a service, also those that only some deployments have."""
        for one in to.parts_of(self.vpc, _ENDPOINT, "VpcId"):
            names = to.parts.assembly.possible(one.template, written(one, "ServiceName"))
            if any(as_text(name).endswith(f".{service}") for name in names):
                yield one


def turn_on_dns(vpc: Resource) -> Iterator[Set]:
    """Turn on the two DNS attributes of a VPC that private DNS needs.

    By default, CloudFormation turns DNS support on, and DNS host names off.
    """
    for name, default in (("EnableDnsSupport", True), ("EnableDnsHostnames", False)):
        is_on = written(vpc, name)
        if str(default if is_on is None else is_on).lower() != "true":
            yield Set(vpc, name, value=True)


@dataclass(frozen=True)
class LetOut(Fix):
    """Allows outbound TCP 443 in a security group, or in a VPC's default security group."""

    group: Resource

    def apply(self, to: Writer) -> None:
        """Make the rule."""
        to.add_https_rule(self.group, "Egress", "0.0.0.0/0")


@dataclass(frozen=True)
class Admit(Fix):
    """Allows inbound TCP 443 from the VPC in a security group of an endpoint."""

    group: Resource
    vpc: Resource
    without: tuple[Resource, ...]
    """The resources with the CIDR blocks of the VPC that need no rule. EC2 refuses equal rules."""

    def apply(self, to: Writer) -> None:
        """Make a rule for each other range of the VPC."""
        if not to.reaches(self.group, self.vpc):
            vpc, group = self.vpc.logical_id, self.group.logical_id
            rule = f"an inbound rule for TCP 443 from the CIDR block of the VPC {vpc!r}"
            to.say(f"add {rule} to {group!r}")
            return
        for block in _blocks(to, self.vpc, self.without):
            to.add_https_rule(self.group, "Ingress", block)


def _blocks(to: Writer, vpc: Resource, without: tuple[Resource, ...] = ()) -> Iterator[object]:
    """Yield each IPv4 CIDR block of a VPC, except the blocks of the resources in `without`."""
    more = (one for one in to.parts_of(vpc, _BLOCK, "VpcId") if to.reaches(vpc, one))
    of_ipv4 = (one for one in more if written(one, "CidrBlock") is not None)
    yield from (to.block(one) for one in (vpc, *of_ipv4) if one not in without)


def _allow_calls(endpoint: Resource, actions: tuple[str, ...], denied: list[str]) -> Fix:
    """Return the fix that makes the policy of an endpoint allow the agent's calls.

    `denied` are the calls that the policy denies explicitly.
    """
    whose = f"the policy of the endpoint {endpoint.logical_id!r}"
    if denied:
        leave = f"leave {in_words(denied)} out of each Deny of {whose}"
        allowed = "the same" if {*denied} == {*actions} else in_words(actions)
        return Advice(f"{leave}, and have another statement allow {allowed}")
    otherwise = f"allow {in_words(actions)} in {whose}"
    return AddStatement(endpoint, "PolicyDocument", {**allow(actions), "Principal": "*"}, otherwise)


@dataclass(frozen=True)
class LetPass(Fix):
    """Allows TCP 443 and the return traffic in the network ACL that blocks them."""

    fault: AclFault

    def apply(self, to: Writer) -> None:
        """Make the entries that the ACL of the subnet needs."""
        subnet = _as_resource(self.fault.subnet)
        acls = _acls(to, subnet)
        if not acls:
            ports, whose = "{} to {}".format(*ANSWERS), repr(subnet.logical_id)
            traffic = f"TCP 443 and the return traffic, TCP {ports},"
            to.say(f"allow {traffic} in the network ACL of {whose}")
        for acl in acls:
            for way in self.fault.ways:
                free = partial(_free_number, to, acl, way)
                number = to.shared.once((acl, self.fault.peer, way), free)
                if number is None:
                    entries = f"renumber the entries of {acl.logical_id!r}, so that it allows"
                    to.say(f"{entries} TCP 443 and the return traffic before it denies them")
                    return
                self._make(to, acl, way, number)

    def _make(self, to: Writer, acl: Resource, way: verdicts.AclWay, number: int) -> None:
        """Make an entry of a network ACL."""
        peer, (first, last) = self.fault.peer, way.ports
        properties = {
            "NetworkAclId": to.ref(acl),
            "RuleNumber": number,
            "Protocol": 6,
            "RuleAction": "allow",
            "Egress": way.egress,
            "CidrBlock": str(peer) if isinstance(peer, IPv4Network) else "0.0.0.0/0",
            "PortRange": {"From": first, "To": last},
        }
        what = f"{'Out' if way.egress else 'In'}{first}"
        to.make(acl, what, "AWS::EC2::NetworkAclEntry", properties)


def _acls(to: Writer, subnet: Resource) -> list[Resource]:
    """Return each network ACL of the app that a subnet has, or may have."""
    associations = to.parts_of(subnet, "AWS::EC2::SubnetNetworkAclAssociation", "SubnetId")
    named = [acl for one in associations for acl in to.named(one, "NetworkAclId")]
    made = [acl for acl in named if isinstance(acl, Resource)]
    return [acl for acl in made if acl.type == "AWS::EC2::NetworkAcl"]


def _free_number(to: Writer, acl: Resource, way: verdicts.AclWay) -> int | None:
    """Return a free number for an entry that opens a direction; None if no number is free."""
    entries = to.parts_of(acl, "AWS::EC2::NetworkAclEntry", "NetworkAclId")
    taken = to.shared.once(("numbers", acl), set[str])
    taken.update(str(one) for entry in entries for one in to.named(entry, "RuleNumber"))
    after, before = way.between
    numbers = (*range(after + 1, before), *range(after, 0, -1))
    number = next((one for one in numbers if str(one) not in taken), None)
    taken.add(str(number))
    return number
