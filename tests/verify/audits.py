"""Results of audits: a small realistic one, and one of any size."""

import functools
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from session_manager_permissions._verify.audit.merge import summary
from session_manager_permissions._verify.audit.result import AuditResult, NodeResult, RoleResult

from .causes import LOST, NEVER, ONLINE, Change, denying, instance, refusing, without_profile
from .networks import NO_ROUTE
from .nodes import ACCOUNT, CHANNELS, NODE, REGION, REGISTER, ROLE, World, both, nothing
from .running import run

ASKED_AT: Final = "2026-03-02T06:30:00Z"
STOPPED: Final = both(NEVER, instance(State={"Name": "stopped"}))
NOT_ASKED: Final = refusing("ssm:GetConnectionStatus")


class Kind(NamedTuple):
    """A number of instances with the same name, profile and fault."""

    name: str
    profile: str | None
    fault: Change
    regions: dict[str, int]


KINDS: Final = (
    Kind("web", "web-server", nothing, {"eu-west-1": 9, "us-east-1": 6}),
    Kind("worker", "batch-worker", both(NEVER, denying(REGISTER, *CHANNELS)),
        {"eu-west-1": 5, "us-east-1": 2}),
    Kind("api", "api-server", nothing, {"eu-west-1": 6, "us-east-1": 4}),
    Kind("cache", "cache-node", both(NEVER, NO_ROUTE), {"us-east-1": 4}),
    Kind("report", "reporting", both(ONLINE, denying(*CHANNELS)), {"eu-west-1": 3}),
    Kind("legacy", None, both(NEVER, without_profile), {"eu-west-1": 2}),
    Kind("bastion", "bastion", LOST, {"us-east-1": 1}),
    Kind("nightly", "batch-worker", STOPPED, {"eu-west-1": 3}),
    Kind("vendor", "vendor-appliance", NOT_ASKED, {"eu-west-1": 1}),
)  # fmt: skip


def sample() -> AuditResult:
    """An account with two regions and some faults, with the reasons and fixes of `verify`."""
    nodes: list[NodeResult] = []
    for kind in KINDS:
        for region, number in kind.regions.items():
            nodes += [
                judged(kind, region, f"{kind.name}-{n}", f"i-0{len(nodes) + n:016x}")
                for n in range(1, number + 1)
            ]
    return result(nodes, roles=_roles(nodes), profiles=["batch-worker", "reporting"])


@functools.cache
def audited(fault: Change) -> str:
    """The result of an audit for a single node with this fault."""
    (found,) = run(World(fault), "audit", "--output", "json").json["instances"]
    return json.dumps(found)


def judged(kind: Kind, region: str, name: str, node_id: str) -> NodeResult:
    """The same result for another node."""
    role = kind.profile and f"arn:aws:iam::{ACCOUNT}:role/{kind.profile}"
    said = audited(kind.fault).replace(NODE, node_id).replace(REGION, region)
    found = json.loads(said.replace(ROLE, str(role)).replace("web-server", str(kind.profile)))
    return found | {"name": name, "profile": kind.profile, "role": role}  # type: ignore[no-any-return]


def _roles(nodes: list[NodeResult]) -> list[RoleResult]:
    lacks = {"batch-worker": ["register", "reach"], "reporting": ["reach"]}
    profiles = sorted({node["profile"] for node in nodes if node["profile"]})
    return [
        role(
            f"arn:aws:iam::{ACCOUNT}:role/{name}",
            profiles=[name],
            instances=sum(node["profile"] == name for node in nodes),
            lacks=lacks.get(name, []),
        )
        for name in profiles
    ]


def role(arn: str = ROLE, **fields: Any) -> RoleResult:  # noqa: ANN401
    found = {"role": arn, "profiles": ["web"], "instances": 1, "lacks": [], "unknown": []}
    return found | fields  # type: ignore[return-value]


def node(node_id: str = NODE, **fields: Any) -> NodeResult:  # noqa: ANN401
    """The result of a reachable instance, with some fields changed."""
    found = {
        "id": node_id, "account": ACCOUNT, "region": REGION, "name": "web-1", "state": "running",
        "profile": "web", "role": ROLE, "ping": "Online", "connection": "connected",
        "verdict": "reachable", "causes": [], "why": [], "fix": [],
    }  # fmt: skip
    if fields.get("causes"):
        found |= {
            "verdict": "unreachable", "connection": "notconnected",
            "why": [f"{cause} fails" for cause in fields["causes"]],
            "fix": [f"fix {cause} of {node_id}" for cause in fields["causes"]],
        }  # fmt: skip
    return found | fields  # type: ignore[return-value]


def result(nodes: list[NodeResult], **fields: Any) -> AuditResult:  # noqa: ANN401
    """The result of an audit that found these nodes."""
    places = sorted({(one["region"], one["account"]) for one in nodes} or {(REGION, ACCOUNT)})
    accounts = sorted({account for _, account in places})
    found = {
        "version": 1, "account": accounts[0] if len(accounts) == 1 else None, "accounts": accounts,
        "asked_at": ASKED_AT, "tags": [], "document": None,
        "regions": [{"account": account, "region": region,
            "instances": sum((one["region"], one["account"]) == (region, account) for one in nodes),
            "error": None, "asked_at": ASKED_AT} for region, account in places],
        "summary": summary(nodes),
        "instances": sorted(nodes, key=lambda one: (one["region"], one["id"])), "roles": [],
        "profiles": [],
    }  # fmt: skip
    return found | fields  # type: ignore[return-value]


def large(size: int) -> AuditResult:
    """A number of instances in four regions, of 200 services. One in five has no network path."""
    regions = ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2")
    nodes = []
    for n in range(size):
        cut_off = {"causes": ["path-ssm"], "why": [f"no way out by rtb-{n % 40}"]}
        fault = cut_off if n % 5 == 4 else {}
        of = f"service-{n % 200}"
        name = f"{of}-{n // 200}"
        nodes.append(node(f"i-{n:017x}", region=regions[n % 4], name=name, profile=of, **fault))
    return result(nodes)


def written(folder: Path, name: str, found: object) -> str:
    """Write a result as JSON, and return the path of the file."""
    path = folder / name
    path.write_text(json.dumps(found), encoding="utf-8")
    return str(path)
