"""The judge's verdict on a path: open, closed with the reason, or unknown with what decides."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from .ec2 import LAST_ENTRY, Service
from .facts import Fact, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

NO_NETWORK_PATH: Final = "no-network-path"
ENDPOINT_MISSING: Final = "endpoint-missing"
ENDPOINT_UNREACHABLE: Final = "endpoint-unreachable"
EGRESS_CLOSED: Final = "egress-closed"

ALWAYS_NEEDED: Final = (Service("ssm"), Service("ssmmessages"))
"""The services that every session needs."""

PRIVATE_DNS: Final = "private DNS"
VPC_DNS: Final = "VPC DNS"
GROUPS: Final = "security groups"
POLICY: Final = "policy"

OF_SERVICES: Final = "\0"
"""The placeholder in a problem's clause for the names of the services that it concerns."""


class State(Enum):
    """What is known of a path."""

    OPEN = "open"
    UNKNOWN = "unknown"
    CLOSED = "closed"


class AclWay(NamedTuple):
    """A direction of traffic that a network ACL must allow."""

    egress: bool
    ports: tuple[int, int]
    between: tuple[int, int] = (0, LAST_ENTRY + 1)
    """The numbers between which a new entry opens it. An earlier `Deny` stays in force."""


class AclFault(NamedTuple):
    """A network ACL that blocks a connection."""

    subnet: Hashable
    """The id of the subnet of the network ACL."""
    peer: Hashable
    """The range of the other end of the connection."""
    ways: tuple[AclWay, ...]
    """The directions that are blocked."""


class Problem(NamedTuple):
    """Why a path is closed."""

    cause: str
    """One of the rule ids at the top of this module."""
    why: str
    """A clause, without a full stop."""
    subject: Hashable = None
    """The id of the endpoint that is at fault; None if the compute or its subnet is."""
    services: tuple[Service, ...] = ()
    fault: str = ""
    """What to change, if the cause does not say it: one of the constants above."""
    parts: tuple[Problem, ...] = ()
    """The problems of single services that this problem sums up."""
    acls: tuple[AclFault, ...] = ()
    """What network ACLs must allow, if they alone are at fault."""
    denied: tuple[str, ...] = ()
    """The calls that the endpoint's policy denies explicitly."""


class Path(NamedTuple):
    """The path to one service, or a part of that path. It is open if all fields are empty."""

    problems: tuple[Problem, ...] = ()
    """What closes the path."""
    decides: tuple[str, ...] = ()
    """What decides whether the path is open, if it is not known."""
    by_policy: bool = False
    """Whether the path is unknown because of an endpoint policy."""

    @property
    def state(self) -> State:
        """Whether it is open."""
        if self.problems:
            return State.CLOSED
        return State.UNKNOWN if self.decides else State.OPEN


OPEN: Final = Path()


class PathVerdict(NamedTuple):
    """The paths to all services from all places where compute may be."""

    closed: Mapping[Service, Path]
    """The paths from the first place from which one is closed; none if no path is closed."""
    decides: tuple[str, ...]
    """What decides on the paths that are not known."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Each cause once, with the services that it concerns.

        If no service in `ALWAYS_NEEDED` can be reached, the problem is `no-network-path`. If one of
        them can be reached, each service without a path lacks its endpoint.
        """
        found: dict[tuple[str, Hashable], list[Problem]] = {}
        for service, path in self.closed.items():
            for problem in path.problems:
                entry = problem._replace(services=(service,))
                found.setdefault((problem.cause, problem.subject), []).append(entry)
        return tuple(_as_one(problems, [*self.closed]) for problems in found.values())


def unknown(*deciders: str, by_policy: bool = False) -> Path:
    """A path whose state is unknown for these reasons; an open path if there is none."""
    return Path((), tuple(dict.fromkeys(deciders)), by_policy) if deciders else OPEN


def through(*paths: Path) -> Path:
    """Combine the parts of a path: it is closed if one part is closed, and open if all are open."""
    problems = [problem for path in paths for problem in path.problems]
    if problems:
        return Path(tuple(dict.fromkeys(problems)))
    in_doubt = [path for path in paths if path.decides]
    if not in_doubt:
        return OPEN
    deciders = (decider for path in in_doubt for decider in path.decides)
    return unknown(*deciders, by_policy=any(path.by_policy for path in in_doubt))


def either(fact: Fact, yes: Path, no: Path) -> Path:
    """Choose one of two paths by a fact; combine them if the fact is unknown."""
    if not isinstance(fact, Unknown):
        return yes if fact else no
    if yes.state is no.state is not State.UNKNOWN:
        return through(yes, no)
    return unknown(fact.decides, *yes.decides, *no.decides, by_policy=yes.by_policy or no.by_policy)


def as_first(path: Path) -> Path:
    """Keep only the first problem of a path. If ACLs cause all of them, it gets all faults."""
    if not path.problems[1:]:
        return path
    faults = tuple(fault for one in path.problems for fault in one.acls)
    are_all = all(one.acls for one in path.problems)
    return Path((path.problems[0]._replace(acls=faults if are_all else ()),))


def unless(fact: Fact, problem: Callable[[], Problem], *, by_policy: bool = False) -> Path:
    """A path that is open if the fact is yes, and closed if it is no.

    `problem` says why it is closed. It is called only then, as most paths are open.
    """
    if isinstance(fact, Unknown):
        return unknown(fact.decides, by_policy=by_policy)
    return OPEN if fact else Path((problem(),))


def in_words(names: Iterable[object], joined_by: str = "and") -> str:
    """Join names as in a sentence: "a, b and c"."""
    *first, last = map(str, names)
    return f"{', '.join(first)} {joined_by} {last}" if first else last


def _as_one(problems: list[Problem], wanted: list[Service]) -> Problem:
    cause = problems[0].cause
    services = tuple(dict.fromkeys(problem.services[0] for problem in problems))
    always = [service for service in ALWAYS_NEEDED if service in wanted]
    if cause == NO_NETWORK_PATH and not (always and {*always} <= {*services}):
        cause = ENDPOINT_MISSING
    by_why: dict[str, list[str]] = {}
    for one in problems:
        by_why.setdefault(one.why, []).append(f"`{one.services[0]}`")
    whys = [one.replace(OF_SERVICES, in_words(names, "or")) for one, names in by_why.items()]
    return problems[0]._replace(
        cause=cause, why=", and ".join(whys), services=services, parts=(*problems,)
    )
