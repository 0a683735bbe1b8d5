"""Says what to do about a closed network path, in commands with all known values filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _limits
from session_manager_permissions._network import verdicts
from session_manager_permissions._network.ec2 import LAST_ENTRY, S3, Service
from session_manager_permissions._network.endpoint_policy import calls_of_service, policy_allows
from session_manager_permissions._network.judge import resolves
from session_manager_permissions._network.model import Endpoint, Placement
from session_manager_permissions._patterns import as_list
from session_manager_permissions._quoting import fitting, word

from .lines import in_json, region_word, with_statement
from .network import LiveVpc, groups_of, is_of_tcp

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence

    from session_manager_permissions._network.model import Reference

    from .node import Node

    _Side = tuple[str, bool]
    """The id of a network ACL, and whether its outbound entries are meant."""

_DNS: Final = {"enableDnsSupport": "dns-support", "enableDnsHostnames": "dns-hostnames"}
"""The attributes of a VPC that private DNS needs, and how the AWS CLI names them."""
_NEW: Final = "NEW"
"""The id of an endpoint that a remedy makes."""
_FOR_OTHER_INSTANCES: Final = (
    "private DNS applies to the whole VPC: also allow inbound TCP 443 to the endpoint from the "
    "security groups of other instances"
)
"""What else to do if private DNS of an endpoint is turned on."""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What the remedies of one node, or of all nodes of an audit, change in networks."""

    entries: dict[_Side, dict[int, dict[str, Any]]] = field(default_factory=dict)
    """The entries of the network ACLs by their numbers, with those that remedies add."""
    added: dict[_Side, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    """The lines that add an entry, by its network ACL and direction, then by its options."""
    endpoints: dict[tuple[str, str], Endpoint] = field(default_factory=dict)
    """The endpoints that remedies make, or turn private DNS on for, by VPC and service."""
    for_others: dict[tuple[str, str], dict[str, None]] = field(default_factory=dict)
    """The lines that open these endpoints to nodes that reach the service without them."""
    policies: dict[Hashable, dict[str, Any]] = field(default_factory=dict)
    """The new policies of endpoints, by the ids of the endpoints."""


@dataclass(frozen=True, kw_only=True)
class PathRemedies:
    """What to do about the paths from a node to services."""

    node: Node
    vpc: LiveVpc
    caller: Placement
    """The agent, with the calls that it may make."""
    opened: Collection[str]
    """The services whose paths are open."""
    problems: Mapping[str, Sequence[verdicts.Problem]]
    """The problems that close each path, by the service of the path."""
    changes: Changes = field(default_factory=Changes)
    """What these remedies change, and those of other nodes that can be run together with them."""

    def found(self) -> dict[str, tuple[str, ...]]:
        """Return the remedies of each path, by the service that it leads to.

        A line is a command, or says what else to do. All commands can be run together.
        """
        return {
            service: (*dict.fromkeys(self._of_path(several, service)),)
            for service, several in self.problems.items()
        }

    def _of_path(self, problems: Sequence[verdicts.Problem], service: str) -> Iterable[str]:
        """Return the remedies of a path.

        If a remedy gives an interface endpoint the name of the service, the path leads to it.
        """
        of_vpc = self.vpc.id, service
        endpoint = self.changes.endpoints.get(of_vpc)
        if endpoint is None or endpoint.gateway:
            return self._of_several(problems, service)
        if not problems:
            lines = dict.fromkeys(self._once_made(endpoint))
            self.changes.for_others.setdefault(of_vpc, {}).update(lines)
            return ()
        return self._by_interface(service)

    def _of_several(self, problems: Iterable[verdicts.Problem], service: str) -> Iterator[str]:
        """Yield the remedies of several problems. Egress rules come last: they depend on others."""
        for one in sorted(problems, key=lambda one: one.cause == verdicts.EGRESS_CLOSED):
            if one.acls:
                yield from chain.from_iterable(map(self._of_acl, one.acls))
            else:
                yield from self._of_one(one, service)

    def _of_one(self, problem: verdicts.Problem, service: str) -> Iterable[str]:
        """Return the remedy of a problem that no network ACL causes."""
        if problem.cause == verdicts.EGRESS_CLOSED:
            return (self._authorize("egress", self._own_groups[0], self._group_of(service)),)
        if problem.fault == verdicts.VPC_DNS:
            return tuple(self._with_dns())
        if problem.fault == verdicts.GROUPS:
            group = _id(self._endpoint(problem, service).groups[0], "ENDPOINT_GROUP")
            return (self._authorize("ingress", group, self._own_groups[0]),)
        if problem.fault == verdicts.POLICY:
            return self._of_policy(self._endpoint(problem, service))
        if problem.fault == verdicts.PRIVATE_DNS and service != "s3":
            return self._by_interface(service, self._endpoint(problem, service))
        return self._of_route(service)

    @property
    def _vpc_word(self) -> str:
        return word(_id(self.vpc.id, "VPC"))

    @property
    def _subnet(self) -> str:
        return str((self.node.instance or {})["SubnetId"])

    @property
    def _own_groups(self) -> list[str]:
        return [_id(one, "GROUP") for one in groups_of(self.node.instance or {})] or ["GROUP"]

    def _endpoint(self, problem: verdicts.Problem, service: str) -> Endpoint:
        """Return the endpoint of a problem, which is in the VPC, or which a remedy makes."""
        found = [one for one in self.vpc.endpoints if one.id == problem.subject]
        return found[0] if found else self.changes.endpoints[self.vpc.id, service]

    def _ec2(self, command: str) -> str:
        return self.node.aws(f"ec2 {command}")

    def _modify(self, endpoint: object) -> str:
        return self._ec2(f"modify-vpc-endpoint --vpc-endpoint-id {word(_id(endpoint, 'ENDPOINT'))}")

    def _group_of(self, service: str) -> str:
        """Return a security group of the endpoint that serves a service's name; "" without one."""
        vpc = self.vpc.vpc
        leading = [one for one in vpc.endpoints(Service(service)) if resolves(one, vpc) is True]
        made = self.changes.endpoints.get((self.vpc.id, service))
        leading += [made] if made else []
        return next((_id(one.groups[0], "ENDPOINT_GROUP") for one in leading if one.groups), "")

    def _authorize(self, side: str, group: str, peer: str) -> str:
        """Return the command that allows TCP 443 between a group and a peer; "" is any address."""
        to = f"UserIdGroupPairs=[{{GroupId={peer}}}]" if peer else "IpRanges=[{CidrIp=0.0.0.0/0}]"
        allowed = word(f"IpProtocol=tcp,FromPort=443,ToPort=443,{to}")
        command = self._ec2(f"authorize-security-group-{side} --group-id {word(group)}")
        return f"{command} --ip-permissions {allowed}"

    def _of_acl(self, fault: verdicts.AclFault) -> Iterator[str]:
        """Yield commands that add entries which allow TCP before the entries that deny it."""
        acl = self.vpc.acls[str(fault.subnet)]
        block = f"--cidr-block {fault.peer if isinstance(fault.peer, IPv4Network) else 'CIDR'}"
        for egress, ports, (_, before) in fault.ways:
            side = acl["NetworkAclId"], egress
            allowing = f"--protocol 6 {_range(*ports)} --rule-action allow {block}"
            own = {one["RuleNumber"]: one for one in acl["Entries"] if one["Egress"] is egress}
            self.changes.entries.setdefault(side, own)
            added = self.changes.added.setdefault(side, {})
            if allowing not in added:
                added[allowing] = self._by_entry(side, before, allowing)
            yield from added[allowing]

    def _by_entry(self, side: _Side, before: int, allowing: str) -> tuple[str, ...]:
        """Return commands that add an entry before the first Deny that closes the path.

        If no number before the Deny is free, the entry takes the number of the Deny. Entries that
        did so earlier are to be there first.
        """
        entries = self.changes.entries[side]
        earlier = dict.fromkeys(chain(*self.changes.added[side].values()))
        denials = [n for n, of in entries.items() if of["RuleAction"] == "deny" and is_of_tcp(of)]
        first = min((n for n in denials if n >= before), default=LAST_ENTRY + 1)
        free = (number for number in range(first - 1, 0, -1) if number not in entries)
        behind = (number for number in range(first + 1, LAST_ENTRY) if number not in entries)
        acl, egress = side
        of_side = f"--network-acl-id {word(_id(acl, 'ACL'))} --{'egress' if egress else 'ingress'}"
        create = self._ec2(f"create-network-acl-entry {of_side}")
        added = {"RuleAction": "allow", "Protocol": "6"}
        if number := next(free, None):
            entries[number] = added
            return (f"{create} --rule-number {number} {allowing}",)
        moved = next(behind, LAST_ENTRY)
        if any(entries[number]["RuleAction"] != "deny" for number in range(first + 1, moved)):
            return (f"before entry {first}, which denies this, add an entry with: {allowing}",)
        replace = self._ec2(f"replace-network-acl-entry {of_side}")
        denial, entries[first] = entries[first], added
        entries[moved] = denial
        copy = f"{create} --rule-number {moved} {_same_denial(denial)}"
        return (*earlier, copy, f"{replace} --rule-number {first} {allowing}")

    def _of_policy(self, endpoint: Endpoint) -> tuple[str, ...]:
        """Return a command that allows the agent's calls for the account, unless a Deny remains."""
        actions = calls_of_service(endpoint.service, self.caller.calls)
        allows = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": [*actions],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:PrincipalAccount": self.node.account}},
        }
        which = f"the action in the policy of the endpoint {_id(endpoint.id, 'ENDPOINT')}"
        written = endpoint.policy if isinstance(endpoint.policy, dict) else {}
        policy = self.changes.policies.get(endpoint.id, written)
        if allows not in as_list(policy.get("Statement", [])):
            policy = with_statement(policy, allows)
        if policy_allows(endpoint._replace(policy=policy), actions, self.caller) is not True:
            return (f"allow {which}, and remove the Deny",)
        self.changes.policies[endpoint.id] = policy
        put = f"{self._modify(endpoint.id)} --policy-document {in_json(policy)}"
        return (put, f"the command allows {which}")

    def _with_dns(self) -> Iterator[str]:
        """Yield commands that turn on the VPC's DNS attributes, unless they are known to be on."""
        for attribute, option in _DNS.items():
            if self.vpc.attribute(attribute) is not True:
                modify = self._ec2(f"modify-vpc-attribute --vpc-id {self._vpc_word}")
                yield f"{modify} --enable-{option} Value=true"

    def _of_route(self, service: str) -> Iterable[str]:
        """Return the remedy for a subnet without a route to the service."""
        here, there = self.node.region, self.vpc.bucket_region
        if service == "s3" and there not in (None, here):
            sentence = (
                f"the log bucket is in {there}, and no endpoint in {here} reaches it: "
                f"{self._way_out}, or set s3BucketName of the document to a bucket in {here}"
            )
            return (sentence,)
        if service == "s3":
            return (*self._by_gateway(), *self._instead)
        return self._by_interface(service)

    @property
    def _instead(self) -> tuple[str, ...]:
        """Say what to do in place of making an endpoint by a command."""
        in_app = "SessionManagerEndpoints(scope, id, vpc=...) makes the endpoints in a CDK app"
        return (in_app, f"or {self._way_out}")

    @property
    def _way_out(self) -> str:
        """Say how to get internet access. Other hosts need the routes of a public subnet."""
        table = self.vpc.network.tables[self.vpc.table_of(self._subnet)]
        if any(route.leads == "internet-gateway" for route in table.routes):
            return "give the instance a public IPv4 address, such as an Elastic IP address"
        return "point a default route at a NAT gateway that has internet access"

    def _create(self, kind: str, service: str) -> str:
        name = f"com.amazonaws.{region_word(self.node.region)}.{service}"
        create = self._ec2(f"create-vpc-endpoint --vpc-id {self._vpc_word}")
        return f"{create} --vpc-endpoint-type {kind} --service-name {name}"

    def _by_gateway(self) -> Iterator[str]:
        """Add a gateway endpoint of S3 to the route table of the subnet.

        By default, private DNS of an interface endpoint of S3 serves only resolvers outside of the
        VPC. AWS creates such an endpoint only if there is a gateway endpoint.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html
        """
        table = self.vpc.table_of(self._subnet)
        found = self.vpc.vpc.endpoints(S3)
        there = [one for one in found if one.gateway and one.exists is not False]
        if not there:
            named = self.vpc.id, "s3"
            new = Endpoint(_NEW, "", S3, gateway=True)
            so_far = self.changes.endpoints.get(named, new).tables
            one = new._replace(tables=(*dict.fromkeys((*so_far, table)),))
            self.changes.endpoints[named] = one
            tables = (word(_id(each, "TABLE")) for each in one.tables)
            yield f"{self._create('Gateway', 's3')} --route-table-ids {' '.join(tables)}"
        else:
            leading = [each for each in there if table in each.tables]
            one = (*leading, *there)[0]
            if not leading:
                yield f"{self._modify(one.id)} --add-route-table-ids {word(_id(table, 'TABLE'))}"
        yield from self._once_made(one._replace(exists=True, tables=(table,)))

    def _once_made(self, endpoint: Endpoint) -> Iterator[str]:
        """Yield the remedies of problems that remain once an endpoint is made."""
        service = endpoint.service
        path = self.vpc.once_made(endpoint).paths(self.caller, (service,))[service]
        yield from self._of_several(path.problems, service.name)

    def _by_interface(self, service: str, unnamed: Endpoint | None = None) -> Iterator[str]:
        """Make an interface endpoint with private DNS, unless there is one, or turn its DNS on.

        Args:
            service: the service.
            unnamed: an endpoint without private DNS. Default: - there is none
        """
        yield from self._with_dns()
        named = [one for one in self.vpc.vpc.endpoints(Service(service)) if one.private_dns is True]
        there = next((one for one in named if one.exists is not False), unnamed)
        found = (there or self._new(service))._replace(exists=True, private_dns=True)
        one = self.changes.endpoints.setdefault((self.vpc.id, service), found)
        if one.id == _NEW:
            for failed in named:  # no other endpoint can have its private DNS name
                its = word(_id(failed.id, "ENDPOINT"))
                yield self._ec2(f"delete-vpc-endpoints --vpc-endpoint-ids {its}")
            groups = (word(_id(each, "GROUP")) for each in one.groups or ("",))
            yield (
                f"{self._create('Interface', service)} --private-dns-enabled --subnet-ids "
                f"{word(_id(one.subnets[0], 'SUBNET'))} --security-group-ids {' '.join(groups)}"
            )
        elif one.id not in [each.id for each in named]:
            yield f"{self._modify(one.id)} --private-dns-enabled"
        yield from self._once_made(one)
        yield from self.changes.for_others.get((self.vpc.id, service), ())
        yield _FOR_OTHER_INSTANCES
        yield from self._instead if one.id == _NEW else ()

    def _new(self, service: str) -> Endpoint:
        """Return a new interface endpoint, in the subnet of the instance if it can be there."""
        groups = self._groups_of_others() or groups_of(self.node.instance or {})[:1]
        own, possible = self._subnet, self.vpc.endpoint_subnets
        subnet = own if own in possible else next(iter(possible), "")
        return Endpoint(_NEW, "", Service(service), subnets=(subnet,), groups=(*groups,))

    def _groups_of_others(self) -> Sequence[Reference]:
        """Return the security groups of an endpoint in the VPC that the instance can reach."""
        for one in self.vpc.endpoints:
            if not one.gateway and one.private_dns is True and one.service.name in self.opened:
                return one.groups
        return ()


def _same_denial(entry: dict[str, Any]) -> str:
    """Return the options that create a copy of a Deny entry of a network ACL."""
    ports = entry.get("PortRange")
    of_ports = f" {_range(ports['From'], ports['To'])}" if ports else ""
    cidr = IPv4Network(entry["CidrBlock"], strict=False)
    return f"--protocol {entry['Protocol']}{of_ports} --rule-action deny --cidr-block {cidr}"


def _range(first: int, last: int) -> str:
    return f"--port-range {word(f'From={first},To={last}')}"


def _id(value: object, placeholder: str) -> str:
    """Return the id of a resource of EC2, or a placeholder if it is not one."""
    return fitting(str(value), _limits.EC2_ID.fault, placeholder)
