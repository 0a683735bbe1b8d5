"""Checks the network paths from a node to the services that its sessions use.

The judge of `_network` follows each path. The connection of a node proves some paths. If the judge
does not find such a path open, the other paths that it finds closed are unknown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._network import model, verdicts
from session_manager_permissions._network.ec2 import Service

from .asking import CannotAsk, read_in
from .checks import LATE_PROMPT, PATHS, Check, Outcome
from .network import LiveVpc, Surroundings, groups_of, read_vpc
from .path_remedies import PathRemedies
from .simulator import SAMPLE_SESSION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from session_manager_permissions._network.judge import Judge

    from .identity import Identity
    from .node import Node
    from .preferences import Preferences

_IN_LOG: Final = 'on the node: look for "VPC endpoint policy" in the agent\'s log'
_BY_TOKEN: Final = ("ssm:RequestManagedInstanceRoleToken", "ssm:RegisterManagedInstance")
"""What the agent calls to get credentials of the role of Default Host Management Configuration."""


def _proven_by(node: Node) -> dict[str, str]:
    """List the services that the node certainly reaches, each with the proof."""
    proven = {}
    if node.online or (node.connected and node.ping is None):
        proven["ssm"] = "the agent reports in" if node.online else "the agent is connected"
    if node.connected:
        proven["ssmmessages"] = "the agent is connected"
    return proven


def path_outcomes(
    node: Node, preferences: Preferences, identity: Identity
) -> tuple[list[Outcome], PathRemedies | None]:
    """Check the path to each service. Also return the remedies, which can be found again."""
    wanted = (*(one.name for one in verdicts.ALWAYS_NEEDED), *preferences.services)
    proven = _proven_by(node)
    instance = node.instance
    judged: dict[str, Outcome] | CannotAsk = {}
    remedies = None
    if {*wanted} - {*proven} and instance and "SubnetId" in instance:
        found = read_in("ec2", lambda: _judged(node, preferences, identity, wanted))
        judged, remedies = (found, None) if isinstance(found, CannotAsk) else found

    def of(service: str, check: Check) -> Outcome:
        if service not in wanted:
            unused, error = check.skipped("sessions do not use this service"), preferences.error
            return check.of(service).unasked(error) if error else unused
        if service in proven:
            return check.of(service).passed(proven[service], proven=True)
        if isinstance(judged, CannotAsk):
            return check.of(service).unasked(judged)
        if service in judged:
            return judged[service]
        if instance is None:
            why = "EC2 does not know the network of a hybrid node"
            return check.of(service).skipped(why, fix=node.look_for(check))
        return check.of(service).skipped(f"the instance is in no VPC: it is {node.state}")

    return [of(service, check) for service, check in PATHS.items()], remedies


def _judged(
    node: Node, preferences: Preferences, identity: Identity, wanted: tuple[str, ...]
) -> tuple[dict[str, Outcome], PathRemedies]:
    """Judge the path to each needed service, for all calls of the agent.

    If an endpoint denies a call that the agent may or may not make, the path is unknown.
    """
    instance, bucket_region = node.instance or {}, preferences.uses.bucket.region
    asked = Surroundings(instance["VpcId"], node.account, wanted, bucket_region)
    vpc = read_vpc(node.session, asked)
    foreign = tuple(one for one in groups_of(instance) if one not in vpc.network.groups)
    if foreign:  # such as those that another account shares
        vpc = read_vpc(node.session, asked._replace(more_groups=foreign))
    certain, possible = _calls_to_open(preferences, identity)
    streams = preferences.document.streams
    to_log = model.calls_to_log(streams=streams is True)
    place = vpc.placement(instance)
    # If no endpoint has a policy, instances with different roles can share one placement.
    if any(one.policy is not None for one in vpc.endpoints):
        principal = identity.role.arn if identity.role and identity.replaced is False else ""
        place = place._replace(principal=principal, resources=(*_resources(node, preferences),))
    # If the agent reaches a service, its DNS queries get the right answers.
    forwarded = () if _proven_by(node) else (*filter(vpc.forwards, wanted),)

    def judged(judge: Judge, *calls: str) -> dict[str, verdicts.Path]:
        asked = place._replace(calls=calls)
        ways = judge.paths(asked, (*map(Service, wanted),))
        ways = {**ways, **vpc.forwarded.paths(asked, (*map(Service, forwarded),))}
        return {one.name: path for one, path in ways.items()}

    opening = judged(vpc.judge, *certain)
    paths = judged(vpc.judge, *to_log, *certain)
    in_case = judged(vpc.judge, *model.calls_to_log(streams=streams is not False), *possible)
    served = judged(vpc.once_available, *to_log, *certain)
    for service, path in in_case.items():
        if paths[service].state is verdicts.State.OPEN:
            denied = "whether the agent makes a call that is denied"
            matters = (f"{denied}: {one.why}" for one in path.problems)
            by_policy = path.by_policy or verdicts.POLICY in (one.fault for one in path.problems)
            paths[service] = verdicts.unknown(*matters, *path.decides, by_policy=by_policy)
    opened = {one for one, path in paths.items() if path.state is verdicts.State.OPEN}
    reached = _proven_by(node)
    if isinstance(node.connection, CannotAsk) and node.may_be_connected:
        reached = dict.fromkeys(("ssm", "ssmmessages"), "the agent may be connected") | reached
    doubted = [why for one, why in reached.items() if one not in opened]
    caller = place._replace(calls=(*to_log, *possible))
    paths = {
        service: _as_told(service, path, served[service] if service in vpc.being_created else path)
        for service, path in paths.items()
    }
    shut = [service for service, path in opening.items() if path.problems]
    errors = [error for one in identity.outcomes for error in one.errors]
    problems = {service: path.problems for service, path in paths.items()}
    remedies = PathRemedies(node=node, vpc=vpc, caller=caller, opened=opened, problems=problems)
    by_path = _PathOutcomes(node, vpc, preferences, remedies.found(), shut, doubted, errors)
    return {one: by_path.outcome(one, path) for one, path in paths.items()}, remedies


def _as_told(service: str, path: verdicts.Path, served: verdicts.Path) -> verdicts.Path:
    """Return a closed path with the problems to report. Problems of endpoints come first.

    If AWS is creating an interface endpoint, a missing route does not matter.

    Args:
        service: the service that the path leads to.
        path: the path.
        served: the path once the endpoints that AWS is creating serve the names of their services.
    """
    if not path.problems:
        return path
    seen = (one for one in path.problems if one.subject or service == "s3")
    told = tuple(dict.fromkeys((*seen, *served.problems)))
    return path._replace(problems=told or path.problems)


def _resources(node: Node, preferences: Preferences) -> Iterator[model.CalledOn]:
    """Yield the resources of the agent's calls."""
    yield from (model.CalledOn(action, node.arn) for action in _needs.REGISTRATION.actions)
    document = preferences.document
    if document.log_bucket:
        bucket = f"arn:{node.partition}:s3:::{document.log_bucket}"
        found = preferences.uses.bucket
        owner = None if found.is_foreign or found.error else node.account
        yield model.CalledOn(model.IF_ENFORCED["s3"], bucket, owner)
        prefix = _needs.joined(document.log_prefix or "")
        log = "/".join(filter(None, (bucket, prefix, f"{SAMPLE_SESSION}.log")))
        yield model.CalledOn("s3:PutObject", log, owner)
    if document.log_group:
        logs = f"arn:{node.partition}:logs:{node.region}:{node.account}"
        stream = f"{logs}:log-group:{document.log_group}:log-stream:{SAMPLE_SESSION}"
        yield from (model.CalledOn(one, stream, node.account) for one in _needs.WRITE_LOG)
        # CloudWatch Logs authorizes the listing of log groups on a log group without a name.
        groups = f"{logs}:log-group::log-stream:"
        yield model.CalledOn(model.IF_ENFORCED["logs"], groups, node.account)
    if preferences.key:
        key = preferences.key.arn
        yield model.CalledOn("kms:Decrypt", key, key.split(":")[4])


class _PathOutcomes(NamedTuple):
    """Makes the outcome of each path from the judge's verdict."""

    node: Node
    vpc: LiveVpc
    preferences: Preferences
    fixes: Mapping[str, tuple[str, ...]]
    """What to do about the paths that are closed, by their services."""
    shut: Collection[str]
    """The services whose paths are closed even to the calls that open a session."""
    doubted: list[str]
    """What shows that the network has, or may have, paths that the judge does not find."""
    of_identity: list[CannotAsk]
    """Why the agent's role is not known. The policy of an endpoint may depend on it."""

    def outcome(self, service: str, path: verdicts.Path) -> Outcome:
        """Return the outcome of the path to a service."""
        node, vpc, document = self.node, self.vpc, self.preferences.document
        evidence = vpc.evidence((node.instance or {})["SubnetId"], service)
        check = PATHS[service]
        faults = {one.fault for one in path.problems}
        by_policy = path.by_policy or verdicts.POLICY in faults
        of_path = replace(check.of(service, *evidence), by_policy=by_policy)
        on_it = node.look_for(check)
        if path.state is verdicts.State.OPEN:
            return of_path.passed(f"the network path from the instance to {service} is open")
        if path.state is verdicts.State.UNKNOWN:
            bucket = self.preferences.uses.bucket
            errors = [*vpc.errors, *(self.of_identity if by_policy else ())]
            if service == "s3" and bucket.error and bucket.region is None:
                errors.append(bucket.error)
            decides = f"it depends on what the command can't see: {'; '.join(path.decides)}"
            return of_path.unknown(decides, fix=_IN_LOG if by_policy else on_it, errors=errors)
        first, *others = (one.why.replace(verdicts.OF_SERVICES, service) for one in path.problems)
        if self.doubted:
            first += f"; but {self.doubted[0]} by a path that EC2 does not show"
            return of_path.unknown(first, *others, fix=on_it, errors=vpc.errors)
        fixes = self.fixes[service]
        if verdicts.PRIVATE_DNS in faults and not vpc.knows_zones:
            first += (
                f"; a private hosted zone for the name of {service}, if there is one, "
                "may lead to the endpoint"
            )
            return of_path.unknown(first, *others, fix=(*fixes, on_it), errors=vpc.errors)
        is_late = service == "logs" and not document.enforces_log_group_encryption
        users_see = LATE_PROMPT if is_late else None
        is_needed = service != "s3" or bool(document.enforces_s3_encryption)
        is_seen = is_needed and service in self.shut
        failed = of_path.failed(first, *others, fix=fixes, is_seen=is_seen, users_see=users_see)
        is_now = service != "ssm" or not node.connected
        is_passing = service in vpc.being_created and all(map(_is_of_routes, path.problems))
        return replace(failed, is_passing=is_passing).seen_if(is_now=is_now)


def _is_of_routes(problem: verdicts.Problem) -> bool:
    """Tell whether a route or an endpoint is missing, so that a new one may open the path."""
    return not (problem.fault or problem.acls or problem.cause == verdicts.EGRESS_CLOSED)


def _calls_to_open(
    preferences: Preferences, identity: Identity
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """List the agent's calls to open a session: the certain calls, and the possible ones."""
    document = preferences.document
    calls = {
        model.IF_ENFORCED["s3"]: document.enforces_s3_encryption,
        model.IF_ENFORCED["logs"]: document.enforces_log_group_encryption,
        **dict.fromkeys(_BY_TOKEN, identity.replaced),
    }
    certain = (action for action, does in calls.items() if does)
    possible = (action for action, does in calls.items() if does is not False)
    return (*model.TO_OPEN, *certain), (*model.TO_OPEN, *possible)
