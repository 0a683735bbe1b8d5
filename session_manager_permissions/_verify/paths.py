"""Checks whether the network leads from a node to the services that its sessions use.

The judge of `_network` follows each path. What the node's connection proves stands, whatever the
judge finds. If the judge does not find such a path open, what it finds closed counts as unknown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._network.verdicts import (
    ALWAYS_NEEDED,
    OF_SERVICES,
    PRIVATE_DNS,
    State,
    unknown,
)

from .asking import CannotAsk, read_in
from .checks import LATE_PROMPT, PATHS, Outcome, on_node, ways_out
from .network import groups_of, read_vpc
from .path_remedies import PathRemedies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._network.verdicts import Path

    from .identity import Identity
    from .network import LiveVpc
    from .node import Node
    from .preferences import Preferences
    from .session import Session

_BY_TOKEN: Final = ("ssm:RequestManagedInstanceRoleToken", "ssm:RegisterManagedInstance")
"""What the agent calls to work with the role of Default Host Management."""


def _proven_by(node: Node) -> dict[str, str]:
    """List the services that the node is seen to reach, each with what shows it."""
    proven = {}
    if node.online or (node.connected and node.ping is None):
        proven["ssm"] = "the agent reports in" if node.online else "the agent is connected"
    if node.connected:
        proven["ssmmessages"] = "the agent is connected"
    return proven


def path_outcomes(
    session: Session, node: Node, preferences: Preferences, identity: Identity
) -> list[Outcome]:
    """Check the path to each service."""
    wanted = (*ALWAYS_NEEDED, *preferences.services)
    proven = _proven_by(node)
    instance = node.instance
    judged: dict[str, Outcome] = {}
    if any(service not in proven for service in wanted) and instance and "SubnetId" in instance:
        judged = {
            one.name: one
            for one in _judged(session, node, preferences, identity, wanted=wanted, proven=proven)
        }
    outcomes = []
    for service, check in PATHS.items():
        if service not in wanted:
            outcomes.append(check.skipped("sessions do not use it"))
        elif service in proven:
            outcomes.append(check.passed(service, proven[service], proven=True))
        elif check.name in judged:
            outcomes.append(judged[check.name])
        elif instance is None:
            why = "the network of a node outside of EC2 is not known to EC2"
            fix = on_node(f"Connectivity to {service} endpoint", node.platform)
            outcomes.append(check.skipped(why, service, fix=fix))
        else:
            why = f"the instance is in no VPC: it is {node.state}"
            outcomes.append(check.skipped(why, service))
    return outcomes


def _judged(
    session: Session,
    node: Node,
    preferences: Preferences,
    identity: Identity,
    *,
    wanted: tuple[str, ...],
    proven: dict[str, str],
) -> list[Outcome]:
    """Judge the paths; if an answer about the network can't be read, none of them is known."""
    judged = _each_judged(session, node, preferences, identity, wanted=wanted, proven=proven)
    found = read_in("ec2", lambda: [*judged])
    if isinstance(found, CannotAsk):
        return [PATHS[one].unasked(one, found) for one in wanted if one not in proven]
    return found


def _each_judged(
    session: Session,
    node: Node,
    preferences: Preferences,
    identity: Identity,
    *,
    wanted: tuple[str, ...],
    proven: dict[str, str],
) -> Iterator[Outcome]:
    instance = node.instance or {}
    region = preferences.bucket_region
    bucket_region = region if isinstance(region, str) else None
    vpc = read_vpc(session, instance["VpcId"], node.account, wanted, bucket_region)
    foreign = tuple(one for one in groups_of(instance) if one not in vpc.network.groups)
    if foreign:  # such as those that another account shares
        vpc = read_vpc(
            session, instance["VpcId"], node.account, wanted, bucket_region, groups=foreign
        )
    paths = _paths(vpc, instance, preferences, identity, wanted)
    certain, possible = _more_actions(preferences, identity)
    served = vpc.once_served.judge([vpc.placement(instance, certain)], wanted).paths
    doubted = [service for service in proven if paths[service].state is not State.OPEN]
    for service, path in paths.items():
        if service in proven:
            continue
        check = PATHS[service]
        evidence = vpc.evidence(instance["SubnetId"], service)
        on_it = on_node(f"Connectivity to {service} endpoint", node.platform)
        if path.state is State.OPEN:
            why = f"the network leads from the instance to {service}"
            yield check.passed(service, why, evidence=evidence)
            continue
        if path.state is State.UNKNOWN:
            decides = f"it depends on what can't be seen from here: {'; '.join(path.decides)}"
            of_bucket = [region] if service == "s3" and isinstance(region, CannotAsk) else []
            errors = [*vpc.errors, *of_bucket]
            whys = (decides, *dict.fromkeys(map(str, errors)))
            yield Outcome(check, service, "unknown", whys, (*ways_out(errors), on_it), evidence)
            continue
        # Where there is an interface endpoint, it does not matter that no route leads out.
        seen = [one for one in path.problems if one.subject or service == "s3"]
        problems = [*dict.fromkeys((*seen, *served[service].problems))] or [*path.problems]
        reasons = [problem.why.replace(OF_SERVICES, service) for problem in problems]
        remedies = PathRemedies(
            session=session,
            node=node,
            vpc=vpc,
            service=service,
            bucket_region=bucket_region,
            more_actions=possible,
            opened={one for one, other in paths.items() if other.state is State.OPEN},
        )
        lines = (line for problem in problems for line in remedies.of(problem))
        fixes = tuple(dict.fromkeys(lines))
        faults = {problem.fault for problem in problems}
        if doubted:
            reasons[0] += (
                f"; but {proven[doubted[0]]}, so the network has a way that EC2 does not show"
            )
            yield check.unknown(service, *reasons, fix=on_it, evidence=evidence)
        elif PRIVATE_DNS in faults and not vpc.knows_zones:
            reasons[0] += (
                f"; a private hosted zone for the name of {service}, if there is one, "
                "may lead to the endpoint"
            )
            fixes = (*fixes, *ways_out(vpc.errors), on_it)
            yield Outcome(check, service, "unknown", tuple(reasons), fixes, evidence)
        else:
            is_late = service == "logs" and not preferences.document.enforces_log_group_encryption
            failed = check.failed(
                service,
                *reasons,
                fix=fixes,
                evidence=evidence,
                is_seen=service != "s3" or bool(preferences.document.enforces_s3_encryption),
                users_see=LATE_PROMPT if is_late else None,
            )
            yield replace(failed, is_passing=service in vpc.arriving)


def _more_actions(
    preferences: Preferences, identity: Identity
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """List what the agent calls besides what every agent does: for certain, and possibly."""
    document = preferences.document
    calls = {
        "s3:GetEncryptionConfiguration": document.enforces_s3_encryption,
        "logs:DescribeLogGroups": document.enforces_log_group_encryption,
        **dict.fromkeys(_BY_TOKEN, True if identity.replaced else identity.in_doubt and None),
    }
    certain = tuple(action for action, does in calls.items() if does)
    return certain, tuple(action for action, does in calls.items() if does is not False)


def _paths(
    vpc: LiveVpc,
    instance: dict[str, Any],
    preferences: Preferences,
    identity: Identity,
    wanted: tuple[str, ...],
) -> dict[str, Path]:
    """Judge the paths, with all that the agent calls by the preferences and by its identity.

    What it only may call makes a path unknown if its endpoint does not let that pass.
    """
    paths, in_case = (
        vpc.judge.judge([vpc.placement(instance, actions)], wanted).paths
        for actions in _more_actions(preferences, identity)
    )
    return {
        service: path
        if path.state is not State.OPEN or in_case[service].state is State.OPEN
        else unknown(*(f"whether that matters: {one.why}" for one in in_case[service].problems))
        for service, path in paths.items()
    }
