"""Follow TCP 443 from each place where compute may be to each service."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from session_manager_permissions._evaluation import Answer
from session_manager_permissions._memory import Memory, Once

from . import verdicts
from .ec2 import S3, Service
from .endpoint_policy import answers_of, calls_of_service, policy_allows
from .facts import Fact, Unknown, all_of, doubts
from .filters import WHICH_SUBNET, End, acl_to, acls_between, leaves, let_in, let_out
from .model import Endpoint, Network, Placement, Vpc, Zone, by_service
from .place import PUBLIC, SOME_SUBNET, Place
from .routes import by_ipv6, bypassed, elsewhere, in_table, out_of
from .verdicts import OPEN, Path, PathVerdict, Problem, either, in_words, through, unknown, unless

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping


class Judge:
    """Judges network paths, each distinct one once."""

    def __init__(
        self, network: Network, cautious: Network | None = None, memory: Memory | None = None
    ) -> None:
        """Judge paths in a network.

        Args:
            network: the network.
            cautious: the same network, in which an id may stand for any part; None if ids are
                certain. A path is closed only if it is closed in this network too.
            memory: remembers what was judged. Default: - a memory for a network that never changes.
        """
        self._network = network
        self._memory = memory or Once()
        self._cautious = None if cautious is None else Judge(cautious, memory=self._memory)

    def judge(self, placements: Iterable[Placement], services: tuple[Service, ...]) -> PathVerdict:
        """Judge all places that compute may be in.

        The verdict has the problems of the first place that has problems, and the deciders of all
        places.

        Args:
            placements: each place that the compute may be in; at least one.
            services: the services that it has to reach.
        """
        several = [self.paths(placement, services) for placement in dict.fromkeys(placements)]
        closed = [paths for paths in several if any(path.problems for path in paths.values())]
        decides = (name for paths in several for path in paths.values() for name in path.decides)
        return PathVerdict(closed[0] if closed else {}, unknown(*decides).decides)

    def lets_out(self, placement: Placement, *, public: bool) -> bool:
        """Whether the security groups may allow TCP 443 to public addresses, or to the subnet."""
        place = Place(self._network, placement, self._memory)
        return not let_out(place, "", End((PUBLIC if public else place.subnet.range,))).problems

    def shut_by_acls(
        self, placement: Placement, services: tuple[Service, ...], made: Mapping[Service, Hashable]
    ) -> list[verdicts.AclFault]:
        """Return what network ACLs must allow, if everything else on the path is open.

        Args:
            placement: where the compute is.
            services: the services that it has to reach.
            made: the services that get an endpoint, each with the subnet of its endpoint.
        """
        place = Place(self._network, placement, self._memory)
        subnet, vpc, open_ = place.subnet, place.vpc, Unknown("what is open")
        there = (one for service in services for one in vpc.endpoints(service))
        new = (
            Endpoint(one, "", one, gateway=one == S3, subnets=(where,), tables=(subnet.table,))
            for one, where in made.items()
        )
        endpoints = [
            one._replace(private_dns=True, groups=(open_,), policy=None) for one in (*there, *new)
        ]
        vpc = vpc._replace(dns_support=True, dns_hostnames=True, endpoints=by_service(endpoints))
        network = replace(self._network, vpcs={subnet.vpc: vpc})
        problems = Judge(network, memory=self._memory).judge([placement], services).problems
        return [fault for one in problems for part in one.parts for fault in part.acls]

    def paths(self, placement: Placement, services: tuple[Service, ...]) -> Mapping[Service, Path]:
        """Return the path from a place to each service."""
        key = self, placement, services
        return self._memory.once(key, lambda: self._paths(placement, services))

    def _paths(self, placement: Placement, services: tuple[Service, ...]) -> dict[Service, Path]:
        place = Place(self._network, placement, self._memory)
        paths, ways = dict[Service, Path](), dict[Service | None, Path]()
        for service in services:
            own = place.vpc.endpoints(service) or place.vpc.zones(service)
            # All services that are reached by public addresses alone share one path.
            called = service if own or service == S3 else None
            ways[called] = ways.get(called) or _path(place, service)
            paths[service] = ways[called]
        closed = tuple(service for service, path in paths.items() if path.problems)
        if closed and self._cautious is not None:
            paths |= self._cautious.paths(placement, closed)
        return paths


def _path(place: Place, service: Service) -> Path:
    """The path from a place to a service."""
    path = _by_name(place, service)
    if path != OPEN and (none_leaves := leaves(place)).problems:
        path = Path((*none_leaves.problems, *_by_name(place.let_out, service).problems))
    if path.problems and place.placement.changed_by:
        return unknown(place.placement.changed_by)
    if path.problems and by_ipv6(place):
        return unknown("whether the agent uses IPv6")
    if isinstance(place.vpc.names_pass, Unknown):
        return through(path, unknown(place.vpc.names_pass.decides))
    return path


def _by_name(place: Place, service: Service) -> Path:
    """The path to what the service's public name resolves to: an endpoint or public addresses."""
    if place.lacks:
        return unknown(place.lacks)
    *maybe, (_, path) = _candidates(place, service)
    for fact, led in reversed(maybe):
        path = either(fact, led, path)
    vpc = place.vpc
    if isinstance(vpc.resolver, Unknown):  # it may answer with anything
        interfaces = (one for one in vpc.endpoints(service) if not one.gateway)
        ways = [_by_route(place, service), *(_by_endpoint(place, one) for one in interfaces)]
        closed = vpc.complete is True and all(way.problems for way in ways)
        if not closed:
            return unknown(*(one.decides for one in doubts((vpc.complete, vpc.resolver))))
        # The problems of the path that Amazon's resolver leads to are reported first.
        return path if path.problems else ways[-1]
    return path


def _candidates(place: Place, service: Service) -> Iterator[tuple[Fact, Path]]:
    """Yield the paths that the service's name may lead to, each with whether the name leads there.

    The first path that the name leads to counts. The last path yielded is certain.
    """
    vpc = place.vpc
    endpoints = {one.id: one for one in vpc.endpoints(service) if not one.gateway}
    leading: list[Endpoint | Zone] = [*vpc.zones(service), *endpoints.values()]
    for one in leading:
        fact = resolves(one, vpc)
        led_to = endpoints.get(one.endpoint) if isinstance(one, Zone) else one
        open_ = f"where the records of the hosted zone {one.name!r} lead"
        yield fact, _by_endpoint(place, led_to) if led_to else unknown(open_)
        if fact is True:
            return
    path = _by_route(place, service)
    if isinstance(vpc.complete, Unknown):  # an endpoint that can't be seen may decide
        path = unknown(vpc.complete.decides, *path.decides, by_policy=path.by_policy)
    yield True, path


def _by_route(place: Place, service: Service) -> Path:
    """The path to the service's public addresses."""
    vpc = place.vpc
    path = out_of(place, place.placement.subnet, place.public_address)
    shut = path.problems[0] if path.problems else None
    if shut:
        path = _explained(place, shut, service)
    if not shut or shut.acls:  # without a route the security groups do not matter
        path = through(path, _groups_allow_public(place, service))
    for endpoint in vpc.endpoints(service):
        if endpoint.gateway:
            released, by_policy = _groups_allow_public(place, service), _by_policy(place, endpoint)
            by_gateway = through(released, by_policy, acl_to(place, place.subnet))
            path = either(in_table(place, endpoint), by_gateway, path)
    if path.problems and (others := [*elsewhere(place, place.subnet)]):
        return unknown(*others)
    if not path.problems and vpc.dns_support is not True:
        return unknown(f"which DNS server the VPC {vpc.name!r} uses without DNS support")
    return path


def _explained(place: Place, problem: Problem, service: Service) -> Path:
    """Explain a path that no route opens: the endpoint or its private DNS name is missing."""
    vpc = place.vpc
    for one in vpc.endpoints(service):
        if not one.gateway and one.exists is True and resolves(one, vpc) is False:
            fault, why = verdicts.VPC_DNS, f"the VPC {vpc.name!r} lacks the DNS support or the "
            why += f"DNS host names that the endpoint {one.name!r} needs"
            if one.private_dns is False and not vpc.zones(service):
                fault = verdicts.PRIVATE_DNS
                why = f"private DNS of the endpoint {one.name!r} is off"
            why += f", and {problem.why}"
            unnamed = Problem(verdicts.ENDPOINT_UNREACHABLE, why, one.id, fault=fault)
            return Path((unnamed, *_by_endpoint(place, one).problems))
    why = f"{problem.why}, and no VPC endpoint of {verdicts.OF_SERVICES} serves it"
    return Path((problem._replace(why=why),))


def _groups_allow_public(place: Place, service: Service) -> Path:
    """Whether the compute's security groups allow TCP 443 to the service's public addresses."""
    named = service.name if service == S3 else ""
    return let_out(place, "public addresses", End((PUBLIC,), service=named))


def resolves(one: Endpoint | Zone, vpc: Vpc) -> Fact:
    """Whether Amazon's resolver answers a service's public name by an endpoint or a hosted zone."""
    private = True if isinstance(one, Zone) else one.private_dns
    return all_of((one.exists, private, vpc.dns_support, vpc.dns_hostnames))


def _by_endpoint(place: Place, endpoint: Endpoint) -> Path:
    """The path through an interface endpoint, to which the service's name leads."""
    own = place.subnet
    subnets = [place.network.subnets.get(one) for one in endpoint.subnets]
    unknown_subnets = Unknown(f"the subnets of the endpoint {endpoint.name!r}")
    ranges = tuple(one.range if one else unknown_subnets for one in subnets) or (unknown_subnets,)
    # A subnet that is not known may have any network ACL of the VPC. It may also be the subnet of
    # the compute, within which no ACL applies, so the path is never closed.
    anywhere = subnets and all(
        acls_between(place, own, SOME_SUBNET._replace(acl=acl)) == OPEN
        for acl in (() if all(subnets) else (None, *place.vpc.acls))
    )
    return through(
        let_out(place, "VPC endpoint", End(ranges, place.groups_or_default(endpoint.groups))),
        let_in(place, endpoint),
        _by_policy(place, endpoint),
        *(unknown(one.decides) for one in doubts((endpoint.ipv4,))),
        OPEN if anywhere else unknown(unknown_subnets.decides),
        *_any_subnet([acls_between(place, own, one) for one in subnets if one]),
        *(bypassed(place, own, one) for one in ranges),
        *(bypassed(place, one, own.range) for one in subnets if one),
    )


def _any_subnet(paths: list[Path]) -> list[Path]:
    """The paths to the subnets of an endpoint: if not all are closed, one of them may be enough."""
    if all(path.problems for path in paths):
        return paths
    return [unknown(WHICH_SUBNET) if path.problems else path for path in paths]


def _by_policy(place: Place, endpoint: Endpoint) -> Path:
    caller = place.placement

    def problem() -> Problem:
        its = calls_of_service(endpoint.service, caller.calls)
        answers = answers_of(endpoint, its, caller).items()
        closed = [call for call, answer in answers if answer >= Answer.IMPLICIT_DENY]
        denied = tuple(call for call, answer in answers if answer is Answer.EXPLICIT_DENY)
        why = f"the policy of the endpoint {endpoint.name!r} does not allow {in_words(closed)}"
        cause, fault = verdicts.ENDPOINT_UNREACHABLE, verdicts.POLICY
        return Problem(cause, why, endpoint.id, fault=fault, denied=denied)

    return unless(policy_allows(endpoint, caller.calls, caller), problem, by_policy=True)
