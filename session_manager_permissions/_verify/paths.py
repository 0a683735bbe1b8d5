"""Checks whether the network leads from a node to the services that its sessions use.

The judge of `_network` follows each path. What the node's connection proves stands, whatever the
judge finds. If the judge does not find such a path open, what it finds closed counts as unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from session_manager_permissions import _limits
from session_manager_permissions._network.endpoint_policy import policy_allows
from session_manager_permissions._network.verdicts import (
    ALWAYS_NEEDED,
    EGRESS_CLOSED,
    ENDPOINT_UNREACHABLE,
    NETWORK_ACL,
    OF_SERVICES,
    PRIVATE_DNS,
    Problem,
    State,
)
from session_manager_permissions._quoting import in_shell

from .asking import NO_ANSWER, not_from_aws
from .checks import (
    BUCKET_NOT_READ,
    GROUP_NOT_ENCRYPTED,
    HANDSHAKE,
    LATE_PROMPT,
    NOT_CONNECTED,
    PATHS,
    Check,
    failed,
    on_node,
    passed,
    skipped,
    unasked,
    unknown,
    ways_out,
)
from .network import LiveNetwork

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .node import Node
    from .preferences import Preferences
    from .session import AwsSession


def _proven_by(node: Node) -> dict[str, str]:
    """List the services that the node is seen to reach, each with what shows it."""
    proven = {}
    if node.online or (node.connected and node.ping is None):
        proven["ssm"] = "the agent reports in" if node.online else "the agent is connected"
    if node.connected:
        proven["ssmmessages"] = "the agent is connected"
    return proven


def path_checks(session: AwsSession, node: Node, preferences: Preferences) -> list[Check]:
    """Check the path to each service."""
    wanted = (*ALWAYS_NEEDED, *preferences.services)
    proven = _proven_by(node)
    instance = node.instance
    judged: dict[str, Check] = {}
    if any(service not in proven for service in wanted) and instance and "SubnetId" in instance:
        network = LiveNetwork(
            session.client("ec2"), instance, node.account, wanted, preferences.bucket_region
        )
        # Other instances in the same place get the same answer.
        place = (network.vpc, instance["SubnetId"], network.placement, *proven.items())
        of_place = ("paths", *place, preferences.document, preferences.bucket_region)
        if of_place not in session.answers:
            session.answers[of_place] = _judged(node, network, preferences, proven)
        judged = {one.name: one for one in session.answers[of_place]}
    checks = []
    for name in PATHS:
        service = name.removeprefix("path-")
        if service not in wanted:
            checks.append(skipped(name, "sessions do not use it"))
        elif service in proven:
            checks.append(Check(name, service, "proven", (proven[service],)))
        elif name in judged:
            checks.append(judged[name])
        elif instance is None:
            why = "the network of a node outside of EC2 is not known to EC2"
            fix = on_node(f"Connectivity to {service} endpoint", node.platform)
            checks.append(Check(name, service, "skipped", (why,), (fix,)))
        else:
            checks.append(skipped(name, f"the instance is in no VPC: it is {node.state}", service))
    return checks


def _judged(
    node: Node, network: LiveNetwork, preferences: Preferences, proven: dict[str, str]
) -> list[Check]:
    """Judge the paths; if an answer about the network can't be read, none of them is known."""
    try:
        return [*_each_judged(node, network, preferences, proven)]
    except (*NO_ANSWER, ValueError):
        error = not_from_aws("ec2")
        unproven = (service for service in network.services if service not in proven)
        return [unasked(f"path-{service}", service, error) for service in unproven]


def _each_judged(
    node: Node, network: LiveNetwork, preferences: Preferences, proven: dict[str, str]
) -> Iterator[Check]:
    paths = network.judge.judge([network.placement], network.services).paths
    doubted = [service for service in proven if paths[service].state is not State.OPEN]
    for service, path in paths.items():
        if service in proven:
            continue
        name = f"path-{service}"
        evidence = network.evidence(service)
        on_it = on_node(f"Connectivity to {service} endpoint", node.platform)
        if path.state is State.OPEN:
            why = f"the network leads from the instance to {service}"
            yield passed(name, service, why, evidence)
            continue
        if path.state is State.UNKNOWN:
            decides = f"it depends on what can't be seen from here: {'; '.join(path.decides)}"
            denied = network.denied_for(service)
            whys = (decides, *dict.fromkeys(map(str, denied)))
            yield Check(name, service, "unknown", whys, (*ways_out(denied), on_it), evidence)
            continue
        problem = path.problems[0]
        why = problem.why.replace(OF_SERVICES, service)
        if doubted:
            why += f"; but {proven[doubted[0]]}, so the network has a way that EC2 does not show"
            yield unknown(name, service, why, on_it, evidence)
        elif problem.fault == PRIVATE_DNS:
            why += (
                f"; a private hosted zone for the name of {service}, of which EC2 does not know, "
                "may lead to the endpoint"
            )
            zones = (
                f"aws route53 list-hosted-zones-by-vpc --vpc-id {_id(network.vpc, 'VPC')} "
                f"--vpc-region {node.region_word}"
            )
            of_region = f"--region {node.region_word}"
            fix = _fix_of_endpoint(network, str(problem.subject), "", of_region)
            yield Check(name, service, "unknown", (why,), (fix, zones, on_it), evidence)
        else:
            fix = _fix(node, network, problem, service)
            users_see = _users_see(preferences, service)
            yield failed(name, service, why, fix, evidence, users_see=users_see)


def _users_see(preferences: Preferences, service: str) -> str | None:
    """Say what users read if there is no path to a service; None if they can't tell."""
    document = preferences.document
    if document.enforces_log_group_encryption and service == "logs":
        return GROUP_NOT_ENCRYPTED
    if document.enforces_s3_encryption and service == "s3":
        return BUCKET_NOT_READ
    return {
        "ssm": NOT_CONNECTED,
        "ssmmessages": NOT_CONNECTED,
        "kms": HANDSHAKE,
        "logs": LATE_PROMPT,
    }.get(service)


def _fix(node: Node, network: LiveNetwork, problem: Problem, service: str) -> str:
    of_region = f"--region {node.region_word}"
    group = _id(next(iter(network.groups), ""), "GROUP")
    if problem.cause == EGRESS_CLOSED:
        return (
            f"aws ec2 authorize-security-group-egress --group-id {group} {of_region} "
            "--ip-permissions "
            "'IpProtocol=tcp,FromPort=443,ToPort=443,IpRanges=[{CidrIp=0.0.0.0/0}]'"
        )
    if problem.cause == ENDPOINT_UNREACHABLE:
        return _fix_of_endpoint(network, str(problem.subject), group, of_region)
    if problem.fault == NETWORK_ACL:
        return (
            "let TCP 443 out and TCP 1024 to 65535 in: aws ec2 create-network-acl-entry "
            f"--network-acl-id ACL {of_region}"
        )
    if service == "s3" and network.bucket_region not in (None, node.region):
        return (
            f"the log bucket is in {network.bucket_region}, to which no endpoint of {node.region} "
            "leads: add a default route to a NAT gateway, or set s3BucketName of the document to a "
            f"bucket of {node.region}"
        )
    return (
        "SessionManagerEndpoints(scope, id, vpc=...), or aws ec2 create-vpc-endpoint --vpc-id "
        f"{_id(network.vpc, 'VPC')} {of_region} --vpc-endpoint-type Interface "
        f"--private-dns-enabled --service-name com.amazonaws.{node.region_word}.{service} "
        "--subnet-ids SUBNETS --security-group-ids GROUP, or a default route to a NAT gateway"
    )


def _fix_of_endpoint(network: LiveNetwork, endpoint_id: str, group: str, of_region: str) -> str:
    vpc = network.network.vpcs[network.vpc]
    (endpoint,) = (one for one in vpc.endpoints if one.id == endpoint_id)
    if endpoint.private_dns is False:
        return (
            f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {_id(endpoint_id, 'ENDPOINT')} "
            f"{of_region} --private-dns-enabled"
        )
    for attribute, value in (
        ("dns-support", vpc.dns_support),
        ("dns-hostnames", vpc.dns_hostnames),
    ):
        if value is False:
            return (
                f"aws ec2 modify-vpc-attribute --vpc-id {_id(network.vpc, 'VPC')} {of_region} "
                f"--enable-{attribute}"
            )
    if policy_allows(endpoint) is False:
        return f"allow the action in the policy of the endpoint {endpoint_id}"
    of_endpoint = _id(str(next(iter(endpoint.groups), "")), "GROUP")
    return (
        f"aws ec2 authorize-security-group-ingress --group-id {of_endpoint} {of_region} "
        f"--protocol tcp --port 443 --source-group {group}"
    )


def _id(value: str, placeholder: str) -> str:
    """Write the id of a resource of EC2 as a word of a command."""
    return in_shell(value, _limits.EC2_ID.fault, placeholder)
