"""Checks whether the network leads from a node to the services that its sessions use.

The judge of `_network` follows each path. What the node's connection proves stands, whatever the
judge finds. If the judge does not find such a path open, what it finds closed counts as unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _limits
from session_manager_permissions._network.verdicts import (
    ALWAYS_NEEDED,
    EGRESS_CLOSED,
    GROUPS,
    NETWORK_ACL,
    OF_SERVICES,
    POLICY,
    PRIVATE_DNS,
    VPC_DNS,
    Problem,
    State,
    unknown,
)
from session_manager_permissions._quoting import in_shell

from .asking import NO_ANSWER, CannotAsk, not_from_aws
from .checks import LATE_PROMPT, PATHS, Outcome, on_node, ways_out
from .network import groups_of, read_vpc

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
    try:
        return [*judged]
    except (*NO_ANSWER, ValueError):
        error = not_from_aws("ec2")
        return [PATHS[one].unasked(one, error) for one in wanted if one not in proven]


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
        reasons = [problem.why.replace(OF_SERVICES, service) for problem in path.problems]
        remedies = _Remedies(node=node, vpc=vpc, service=service, bucket_region=bucket_region)
        fixes = tuple(dict.fromkeys(remedies.of(problem) for problem in path.problems))
        faults = {problem.fault for problem in path.problems}
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
            yield check.failed(
                service,
                *reasons,
                fix=fixes,
                evidence=evidence,
                is_seen=service != "s3" or bool(preferences.document.enforces_s3_encryption),
                users_see=LATE_PROMPT if is_late else None,
            )


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
    document = preferences.document
    calls = {
        "s3:GetEncryptionConfiguration": document.enforces_s3_encryption,
        "logs:DescribeLogGroups": document.enforces_log_group_encryption,
        **dict.fromkeys(_BY_TOKEN, True if identity.replaced else identity.in_doubt and None),
    }
    certain = tuple(action for action, does in calls.items() if does)
    possible = tuple(action for action, does in calls.items() if does is not False)
    paths, in_case = (
        vpc.judge.judge([vpc.placement(instance, actions)], wanted).paths
        for actions in (certain, possible)
    )
    return {
        service: path
        if path.state is not State.OPEN or in_case[service].state is State.OPEN
        else unknown(*(f"whether that matters: {one.why}" for one in in_case[service].problems))
        for service, path in paths.items()
    }


class _Remedies(NamedTuple):
    """What to do about a path that is closed."""

    node: Node
    vpc: LiveVpc
    service: str
    bucket_region: str | None

    def of(self, problem: Problem) -> str:
        """Return the remedy of one problem."""
        of_region = f"--region {self.node.region_word}"
        group = _id(next(iter(groups_of(self.node.instance or {})), ""), "GROUP")
        if problem.cause == EGRESS_CLOSED:
            return (
                f"aws ec2 authorize-security-group-egress --group-id {group} {of_region} "
                "--ip-permissions "
                "'IpProtocol=tcp,FromPort=443,ToPort=443,IpRanges=[{CidrIp=0.0.0.0/0}]'"
            )
        if problem.fault == NETWORK_ACL:
            return (
                "let TCP 443 out and TCP 1024 to 65535 in: aws ec2 create-network-acl-entry "
                f"--network-acl-id ACL {of_region}"
            )
        is_of_endpoint = problem.fault in (GROUPS, POLICY, VPC_DNS)
        if is_of_endpoint or (problem.fault == PRIVATE_DNS and self.service != "s3"):
            return self._of_endpoint(problem, group, of_region)
        return self._of_route(of_region)

    def _of_endpoint(self, problem: Problem, group: str, of_region: str) -> str:
        """Return the remedy of a problem of an endpoint."""
        name = str(problem.subject)
        vpc = self.vpc.network.vpcs[self.vpc.id]
        if problem.fault == PRIVATE_DNS:
            return (
                f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {_id(name, 'ENDPOINT')} "
                f"{of_region} --private-dns-enabled"
            )
        if problem.fault == VPC_DNS:
            attribute = "dns-support" if vpc.dns_support is False else "dns-hostnames"
            return (
                f"aws ec2 modify-vpc-attribute --vpc-id {_id(self.vpc.id, 'VPC')} {of_region} "
                f"--enable-{attribute}"
            )
        if problem.fault == POLICY:
            return f"allow the action in the policy of the endpoint {name}"
        (endpoint,) = (one for one in vpc.endpoints if one.id == name)
        of_endpoint = _id(str(next(iter(endpoint.groups), "")), "GROUP")
        return (
            f"aws ec2 authorize-security-group-ingress --group-id {of_endpoint} {of_region} "
            f"--protocol tcp --port 443 --source-group {group}"
        )

    def _of_route(self, of_region: str) -> str:
        """Return the remedy where no way leads out."""
        region = self.node.region
        if self.service == "s3" and self.bucket_region not in (None, region):
            return (
                f"the log bucket is in {self.bucket_region}, to which no endpoint of {region} "
                "leads: add a default route to a NAT gateway, or set s3BucketName of the document "
                f"to a bucket of {region}"
            )
        kind = "Interface --private-dns-enabled"
        place = "--subnet-ids SUBNETS --security-group-ids GROUP"
        if self.service == "s3":
            kind, place = "Gateway", "--route-table-ids TABLES"
        return (
            "SessionManagerEndpoints(scope, id, vpc=...), or aws ec2 create-vpc-endpoint --vpc-id "
            f"{_id(self.vpc.id, 'VPC')} {of_region} --vpc-endpoint-type {kind} --service-name "
            f"com.amazonaws.{self.node.region_word}.{self.service} {place}, or a default "
            "route to a NAT gateway"
        )


def _id(value: str, placeholder: str) -> str:
    """Write the id of a resource of EC2 as a word of a command."""
    return in_shell(value, _limits.EC2_ID.fault, placeholder)
