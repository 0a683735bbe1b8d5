"""Follow TCP 443 from each place where compute may be to each service."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from .endpoint_policy import ACTIONS, policy_allows
from .facts import Fact, Unknown, all_of, any_of
from .filters import WHICH_SUBNET, End, acls_between, acls_to_public, leaves, let_in, let_out
from .model import Endpoint, Placement
from .place import PUBLIC, Place, decider, found
from .routes import Start, bypassed, in_table, out_of
from .verdicts import (
    ALWAYS_NEEDED,
    ENDPOINT_UNREACHABLE,
    GROUPS,
    OF_SERVICES,
    OPEN,
    POLICY,
    PRIVATE_DNS,
    VPC_DNS,
    Path,
    PathVerdict,
    Problem,
    State,
    either,
    in_words,
    merged,
    through,
    unknown,
    unless,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from .model import Network, Subnet, Vpc


_STATES: Final = [*State]
"""From the best to the worst."""
_NOWHERE: Final = Placement(Unknown("where the compute is"))


class Judge:
    """Judges network paths, each distinct one once."""

    def __init__(
        self, network: Network, in_doubt: Callable[[], Network | None] = lambda: None
    ) -> None:
        """Judge paths in a network.

        Args:
            network: the network.
            in_doubt: reads the same network again, and takes less for granted; None if all is
                certain. A path is closed only if it is closed in that network too.
        """
        self._network = network
        self._read_in_doubt = in_doubt
        self._known: dict[tuple[Placement, tuple[str, ...]], PathVerdict] = {}

    def judge(
        self, placements: Iterable[Placement], services: Iterable[str] = ALWAYS_NEEDED
    ) -> PathVerdict:
        """Judge all places that compute may be in, and return the verdict of the worst.

        Args:
            placements: each place that the compute may be in. Without one, the verdict is unknown.
            services: the services that it has to reach, out of `ssm`, `ssmmessages`, `kms`, `logs`
                and `s3`.
        """
        wanted = tuple(services)
        places = dict.fromkeys(placements) or [_NOWHERE]
        verdicts = [self._of(placement, wanted) for placement in places]
        closed = [verdict for verdict in verdicts if verdict.problems]
        return PathVerdict(
            {
                service: max(
                    (verdict.paths[service] for verdict in verdicts),
                    key=lambda path: _STATES.index(path.state),
                )
                for service in wanted
            },
            closed[0].problems if closed else (),
            unknown(*(name for verdict in verdicts for name in verdict.decides)).decides,
        )

    def _of(self, placement: Placement, services: tuple[str, ...]) -> PathVerdict:
        key = (placement, services)
        if key not in self._known:
            place = Place(self._network, placement)
            paths = {service: _way(place, service) for service in services}
            closed = tuple(service for service, path in paths.items() if path.problems)
            if closed and self._in_doubt is not None:
                paths |= self._in_doubt._of(placement, closed).paths  # noqa: SLF001 # a judge too
            decides = unknown(*(name for path in paths.values() for name in path.decides)).decides
            self._known[key] = PathVerdict(paths, merged(paths), decides)
        return self._known[key]

    @cached_property
    def _in_doubt(self) -> Judge | None:
        network = self._read_in_doubt()
        return None if network is None else Judge(network)


def _way(place: Place, service: str) -> Path:
    shut = leaves(place)
    path = shut if shut.problems else _by_name(place, service)
    if path.problems and place.placement.other_interfaces:
        return unknown("another network interface of the instance")
    if path.problems and place.placement.changed_by:
        return unknown(place.placement.changed_by)
    if place.vpc is not None and isinstance(place.vpc.names_pass, Unknown):
        return through(path, unknown(place.vpc.names_pass.decides))
    return path


def _by_name(place: Place, service: str) -> Path:
    """The way to where the service's public name leads: an endpoint, else public addresses."""
    subnet, vpc = place.subnet, place.vpc
    if subnet is None:
        return unknown(decider(place.placement.subnet, "subnet"))
    if vpc is None:
        return unknown(decider(subnet.vpc, "VPC"))
    endpoints = {
        endpoint.id: endpoint
        for endpoint in vpc.endpoints
        if endpoint.service == service and not endpoint.gateway
    }
    maybe: list[tuple[Fact, Path]] = []
    for fact, endpoint in _leads_to(place, service, vpc, endpoints):
        if fact is False:
            continue
        path = (
            _by_endpoint(place, endpoint, subnet, vpc)
            if isinstance(endpoint, Endpoint)
            else unknown(endpoint)
        )
        if fact is True:
            break
        maybe.append((fact, path))
    else:
        path = _by_route(place, service, subnet, vpc, [*endpoints.values()])
        if isinstance(vpc.complete, Unknown):  # an endpoint that is not seen decides as well
            path = unknown(vpc.complete.decides, *path.decides)
    for fact, led in reversed(maybe):
        path = either(fact, led, path)
    return path


def _leads_to(
    place: Place, service: str, vpc: Vpc, endpoints: dict[Hashable, Endpoint]
) -> Iterator[tuple[Fact, Endpoint | str]]:
    """Yield where the service's name may lead, each with whether it does.

    The first one to which it leads counts. It is an endpoint, or a text that says what is unknown.
    """
    for zone in vpc.zones:
        if zone.service == service:
            led = found(endpoints, zone.endpoint)
            yield place.holds(zone.exists), led or f"where the hosted zone {zone.name!r} leads"
    for endpoint in endpoints.values():
        yield _resolves(place, endpoint, vpc), endpoint


def _resolves(place: Place, endpoint: Endpoint, vpc: Vpc) -> Fact:
    """Whether the public name of the endpoint's service leads to it.

    DNS servers of one's own may answer with anything, whatever the VPC and the endpoint are given.
    """
    by_amazon = (endpoint.private_dns, vpc.dns_support, vpc.dns_hostnames)
    facts = by_amazon if vpc.resolver is True else (vpc.resolver,)
    return all_of(place.holds(fact) for fact in (endpoint.exists, *facts))


def _by_endpoint(place: Place, endpoint: Endpoint, subnet: Subnet, vpc: Vpc) -> Path:
    """The way where the service's name leads to an interface endpoint."""
    subnets = [found(place.network.subnets, one) for one in endpoint.subnets]
    nowhere = Unknown(f"the subnets of the endpoint {endpoint.name!r}")
    ranges = [one.range if one else nowhere for one in subnets] or [nowhere]
    groups = place.groups_or_default(endpoint.groups)
    why = (
        f"no rule of {place.named(groups)} of the endpoint {endpoint.name!r} admits TCP 443 from "
        f"{place.named(place.groups)} or the subnet {subnet.name!r}"
    )
    return through(
        let_out(place, "VPC endpoint", End(ranges, groups)),
        let_in(
            place, groups, subnet, Problem(ENDPOINT_UNREACHABLE, why, endpoint.id, fault=GROUPS)
        ),
        _by_policy(endpoint),
        OPEN if endpoint.subnets else unknown(nowhere.decides),
        *_in_any([acls_between(place, subnet, one) for one in subnets if one]),
        *(bypassed(place, subnet, vpc, one) for one in ranges),
    )


def _in_any(paths: list[Path]) -> list[Path]:
    """The ways to the subnets of an endpoint, of which one that is not closed may be enough."""
    if all(path.problems for path in paths):
        return paths
    return [unknown(WHICH_SUBNET) if path.problems else path for path in paths]


def _by_policy(endpoint: Endpoint) -> Path:
    actions = in_words(ACTIONS[endpoint.service])
    why = f"the policy of the endpoint {endpoint.name!r} does not allow {actions}"
    problem = Problem(ENDPOINT_UNREACHABLE, why, endpoint.id, fault=POLICY)
    return unless(policy_allows(endpoint), problem)


def _by_route(
    place: Place, service: str, subnet: Subnet, vpc: Vpc, unnamed: list[Endpoint]
) -> Path:
    """The way to the service's public addresses."""
    given = place.placement.public_address
    launched_with = subnet.public_addresses if given is None else given
    gets = place.placement.elastic_address
    address = any_of((place.holds(launched_with), place.holds(gets)))
    if place.way_out is None:
        place.way_out = out_of(place, Start(subnet, vpc, address))
    path = place.way_out
    released = let_out(place, "public addresses", End([PUBLIC], service=service))
    if path.problems:  # without a route the security groups do not matter
        path = _explained(place, path.problems[0], vpc, unnamed)
    else:
        path = through(path, released)
    for endpoint in vpc.endpoints:
        if endpoint.service == service and endpoint.gateway:
            by_gateway = through(released, _by_policy(endpoint), acls_to_public(place, subnet))
            path = either(in_table(place, endpoint, subnet, vpc), by_gateway, path)
    if not path.problems and place.holds(vpc.dns_support) is not True:
        return unknown(f"what resolves names in the VPC {vpc.name!r} without DNS support")
    return path


def _explained(place: Place, problem: Problem, vpc: Vpc, unnamed: list[Endpoint]) -> Path:
    """What is missing where no route leads out: an endpoint, or the name of one."""
    for endpoint in unnamed:
        if place.holds(endpoint.exists) is True and _resolves(place, endpoint, vpc) is False:
            unnamed_itself = place.holds(endpoint.private_dns) is False
            off = (
                f"the endpoint {endpoint.name!r} has its private DNS off"
                if unnamed_itself
                else f"the VPC {vpc.name!r} lacks the DNS support or the DNS host names that the "
                f"endpoint {endpoint.name!r} needs"
            )
            why = f"{off}, and {problem.why}"
            fault = PRIVATE_DNS if unnamed_itself else VPC_DNS
            return Path((Problem(ENDPOINT_UNREACHABLE, why, endpoint.id, fault=fault),))
    why = f"{problem.why}, and no VPC endpoint of {OF_SERVICES} serves it"
    return Path((problem._replace(why=why),))
