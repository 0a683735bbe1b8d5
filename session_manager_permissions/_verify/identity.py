"""Finds the role whose credentials the agent uses, and checks what the role may do.

By the source of amazon-ssm-agent (`ec2_role_provider`), the agent registers with the role of the
instance profile. If AWS denies the registration, or the instance has no such role, the agent falls
back to the role of Default Host Management Configuration, if the account has turned that on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from session_manager_permissions import _limits, _needs
from session_manager_permissions._conditions import NO_CONTEXT
from session_manager_permissions._quoting import fitting, word
from session_manager_permissions._trust import SYSTEMS_MANAGER, Trust, ec2_in, trust

from . import checks
from .asking import CannotAsk, NotThere, tried
from .checks import CHECKS, Evidence, Outcome
from .lines import aws, in_json, with_statement
from .live_roles import LiveRole, find_profile, find_role
from .node import Node, at_least, service_setting
from .questions import Agent, Uses
from .role_verdict import Verdict, ask

if TYPE_CHECKING:
    from .session import Session

_PROFILE: Final = "iam:GetInstanceProfile"
_ROLE: Final = "iam:GetRole"
_SETTING: Final = _needs.HOST_MANAGEMENT_SETTING
_ACCOUNT_ROLE: Final = "the role of Default Host Management Configuration"
_UNIQUE_ID: Final = "AIPA"
"""How the unique id of an instance profile begins.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
"""
_FIRST_WITH_ACCOUNT_ROLE: Final = "3.2.582.0"
"""The first version of the agent that supports Default Host Management Configuration.

https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-default-host-management-configuration.html
"""


_CALLS_OF_EACH_SESSION: Final = {"ssmmessages:CreateDataChannel", "ssmmessages:OpenDataChannel"}
"""The actions that the agent calls at the start of each session."""


Permissions = Mapping[str, Callable[[], Verdict | CannotAsk]]
"""Functions that return IAM's verdict on a role, by the capability of each question."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The role that the agent works with, and the checks of it."""

    outcomes: list[Outcome]
    profile: str | None = None
    """The name of the instance profile."""
    role: LiveRole | None = None
    """The role that the agent uses; None if it is not known, or there is none."""
    error: CannotAsk | None = None
    """Why the role is not known."""
    permissions: Permissions = field(default_factory=dict)
    """What that role may do."""
    replaced: bool | None = False
    """Whether the agent uses the role of Default Host Management Configuration; None: not known."""

    @property
    def verdicts(self) -> list[Verdict]:
        """What IAM answered about the role."""
        found = [one() for one in self.permissions.values()]
        return [one for one in found if isinstance(one, Verdict)]


def find_identity(node: Node, uses: Uses) -> Identity:
    """Find the role that the agent uses, and ask IAM whether it may do what sessions need."""
    if node.instance is None:
        return _identity_of_hybrid(node, uses)
    if node.state == "terminated":
        why = "the instance is terminated"
        skipped = [check.skipped(why) for check in CHECKS.values() if check.group == "its identity"]
        return Identity(outcomes=skipped)
    return _identity_of_instance(node, uses)


def _identity_of_instance(node: Node, uses: Uses) -> Identity:
    """Find the role of an instance: of its profile, or of Default Host Management Configuration."""
    profile, own = _own_role(node)
    error = next(iter(profile.errors), None)
    permissions: Permissions = {}
    registers = None if error else False
    if own is not None:
        permissions = _permissions_of(node, own, uses)
        registers = _does_register(node, own, permissions)
    if own and registers:
        management, account = _by_profile(own, permissions), None
    else:
        management, account = _account_role(node)
        registers = None if own and management.errors else registers
    worker, replaced = own, None if account or management.errors else False
    if account and registers is False:
        by_account = _permissions_of(node, account, uses)
        found = by_account[checks.REGISTER.name]()
        if isinstance(found, NotThere):
            management, account, replaced = _no_account_role(node, account, found), None, False
        else:
            worker, permissions, replaced = account, by_account, True
    if account:
        management = _by_account(node, management, own, registers=registers)
    if worker is not None:
        worker = _with_boundary(node.session, worker, permissions)
        permissions = _permissions_of(node, worker, uses)
    if own is None:
        assumable = checks.ASSUMABLE.of(None).without_role(error)
    else:
        assumable = _assumable(node, own, replaced=bool(replaced))
    if worker is None:
        error = next(iter((*profile.errors, *management.errors)), None)
    outcomes = [
        _unless_by_account(node, profile, management),
        assumable,
        _metadata(node),
        *_register_and_reach(node, worker, permissions, error),
        management,
    ]
    return Identity(
        outcomes=outcomes,
        profile=profile.subject,
        role=worker,
        error=error,
        permissions=permissions,
        replaced=replaced,
    )


def unless_replaced(outcome: Outcome, errors: Iterable[CannotAsk]) -> Outcome:
    """Make a failed check of the profile's role unknown, as the agent may use another role.

    Args:
        outcome: the check.
        errors: why it is not known which role the agent uses.
    """
    if outcome.verdict != "fail" or not outcome.check.of_role:
        return outcome
    why = f"it is not known whether the agent uses {_ACCOUNT_ROLE} instead"
    return outcome.unknown(*outcome.why, why, fix=outcome.fix, errors=(*outcome.errors, *errors))


def _own_role(node: Node) -> tuple[Outcome, LiveRole | None]:
    """Check whether the instance has a profile with a role, and return the role as well."""
    arn = node.profile_arn
    name = arn and arn.rpartition("/")[2]
    of_node = Evidence("ec2:DescribeInstances", "IamInstanceProfile", name)
    profile = checks.PROFILE.of(name, of_node)
    if name is None:
        named = "--iam-instance-profile Name=NAME"
        add = node.aws_on_it("ec2 associate-iam-instance-profile", named)
        why = "the instance has no instance profile"
        return profile.failed(why, fix=node.to_change(add)), None
    found = tried(lambda: find_profile(node.session, name))
    if isinstance(found, NotThere):
        why = f"the instance profile {name} no longer exists"
        return profile.failed(why, fix=_replacing_profile(node, "NAME")), None
    if isinstance(found, CannotAsk):
        return checks.PROFILE.of(name).unasked(found), None
    named = fitting(name, _limits.INSTANCE_PROFILE.fault, "PROFILE")
    own = (node.instance or {})["IamInstanceProfile"].get("Id")
    ids = {own or "", found.id or ""}
    if all(one.startswith(_UNIQUE_ID) for one in ids) and len(ids) > 1:
        why = (
            f"the instance profile {name} was deleted and created again, and the instance still "
            "has the deleted one"
        )
        another = Evidence(_PROFILE, "InstanceProfileId", "another one")
        profile = checks.PROFILE.of(name, of_node, another)
        return profile.failed(why, fix=_replacing_profile(node, named)), None
    if found.role is None:
        add = f"iam add-role-to-instance-profile --instance-profile-name {word(named)}"
        fix = node.aws(add, "--role-name ROLE")
        return profile.failed(f"the instance profile {name} has no role", fix=fix), None
    of_role = Evidence(_PROFILE, "Roles[0].Arn", found.role.arn)
    why = f"the instance has the profile {name} with the role {found.role.arn}"
    return checks.PROFILE.of(name, of_node, of_role).passed(why), found.role


def _replacing_profile(node: Node, name: str) -> tuple[str, ...]:
    """Say how to replace a deleted profile that is still associated with an instance."""
    of_node = fitting(node.id, _limits.INSTANCE_ID.fault, "ID")
    filters = f"--filters {word(f'Name=instance-id,Values={of_node}')}"
    named = word("Name=" + name.replace(",", r"\,"))  # else the CLI reads a list of names
    put = f"--iam-instance-profile {named} --association-id ASSOCIATION"
    return node.to_change(
        node.aws("ec2 describe-iam-instance-profile-associations", filters),
        node.aws("ec2 replace-iam-instance-profile-association", put),
        "ASSOCIATION is the AssociationId that the first command prints",
    )


def _permissions_of(node: Node, role: LiveRole, uses: Uses) -> Permissions:
    """Ask IAM whether a role may do what the agent does on a node, by capability."""
    agent = Agent(
        session=node.session, role=role, uses=uses, spare=node.spare, arn=node.arn, alike=node.alike
    )
    if node.instance is not None:
        agent = replace(agent, tags=tuple(one.get("Key") for one in node.instance.get("Tags", ())))
    return dict(ask(agent))


def _with_boundary(session: Session, role: LiveRole, permissions: Permissions) -> LiveRole:
    """Return a role with the ARN of its permissions boundary, if IAM says that it has one."""
    found = [permissions[check.name]() for check in (checks.REGISTER, checks.REACH)]
    answers = [answer for one in found if isinstance(one, Verdict) for answer in one.answers]
    has_one = any(answer["allowed_by_permissions_boundary"] is not None for answer in answers)
    if role.boundary or not has_one:
        return role
    described = tried(lambda: find_role(session, role.name))
    return role._replace(boundary=None if isinstance(described, CannotAsk) else described.boundary)


def _does_register(node: Node, own: LiveRole, permissions: Permissions) -> bool | None:
    """Tell whether the agent registers with the role of the profile; None if that is not known."""
    trusted = _trusted(node, own)
    if trusted.answer == "denied":
        return False
    register = permissions[checks.REGISTER.name]()
    if isinstance(register, CannotAsk) or register.is_open:
        return None
    return None if register.allowed and trusted.answer == "unknown" else register.allowed


def _account_role(node: Node) -> tuple[Outcome, LiveRole | None]:
    """Find the role of Default Host Management Configuration."""
    version = node.recorded("AgentVersion")
    if version and at_least(version, _FIRST_WITH_ACCOUNT_ROLE) is False:
        why = (
            f"the agent has version {version}, and Default Host Management Configuration needs "
            f"{_FIRST_WITH_ACCOUNT_ROLE} or newer"
        )
        return checks.HOST_MANAGEMENT.skipped(why), None
    value = service_setting(node.session, _SETTING)
    if isinstance(value, CannotAsk):
        return checks.HOST_MANAGEMENT.of(None).unasked(value), None
    if not value or value == "$None":
        return checks.HOST_MANAGEMENT.skipped("Default Host Management Configuration is off"), None
    role = LiveRole(f"arn:{node.partition}:iam::{node.account}:role/{value.lstrip('/')}")
    evidence = Evidence("ssm:GetServiceSetting", _SETTING, role.arn)
    # Without a record, the version of the agent is not known, and it may be too old.
    unread = [node.record] if isinstance(node.record, CannotAsk) else []
    return checks.HOST_MANAGEMENT.of(role.arn, evidence).unknown(errors=unread), role


def _unless_by_account(node: Node, profile: Outcome, management: Outcome) -> Outcome:
    """Return the check of the profile. It may lack a role if the agent uses the account's."""
    if profile.verdict != "fail":
        return profile
    fault, account = profile.why[0], management.subject
    if account:
        return profile.skipped(f"{fault}, and {_ACCOUNT_ROLE}, {account}, takes its place")
    if management.errors:
        why = f"{fault}, and it is not known whether {_ACCOUNT_ROLE} takes its place"
        return profile.unknown(why, fix=profile.fix, errors=management.errors)
    return profile.seen_if(is_now=not node.connected)


def _trusted(node: Node, role: LiveRole) -> Trust:
    """Tell whether EC2 or, for a hybrid node, Systems Manager may assume the role.

    AWS's example of a trust policy for a hybrid activation has conditions on the account, and on an
    ARN of the region.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/hybrid-multicloud-service-role.html
    """
    if not node.is_hybrid:
        return trust(role.trust_policy, ec2_in(node.partition))
    by_activation = partial(trust, role.trust_policy, SYSTEMS_MANAGER)
    source = f"arn:{node.partition}:ssm:{node.region}:{node.account}:"
    of_account = NO_CONTEXT.knowing({"aws:SourceAccount": node.account})
    # It is not known which ARN Systems Manager sends as `aws:SourceArn`.
    itself, other = (
        by_activation(of_account.knowing({"aws:SourceArn": arn}))
        for arn in (f"{source}managed-instance/{node.id}", source)
    )
    return itself if itself == other else by_activation(of_account)


def _assumable(node: Node, found: LiveRole, *, replaced: bool = False) -> Outcome:
    """Check whether EC2, or Systems Manager for a hybrid node, may assume the role."""
    trusted = _trusted(node, found)
    api = _ROLE if node.is_hybrid else _PROFILE
    service = SYSTEMS_MANAGER if node.is_hybrid else ec2_in(node.partition)
    role = checks.ASSUMABLE.of(found.arn, Evidence(api, "AssumeRolePolicyDocument", trusted.answer))
    fix = let_assume(found, trusted, service, node.region)
    if trusted.answer == "denied" and replaced:
        return role.unknown(f"{trusted.why}, and {_ACCOUNT_ROLE} takes its place", fix=fix)
    if trusted.answer == "denied":
        return role.failed(trusted.why, fix=fix).seen_if(is_now=not node.connected)
    if node.connected and not replaced:
        why = "the agent is connected, so it has credentials of the role"
        return role.passed(why, proven=True)
    if trusted.answer == "unknown":
        return role.unknown(trusted.why, fix=node.aws(f"iam get-role --role-name {found.word}"))
    return role.passed(trusted.why)


def let_assume(role: LiveRole, trusted: Trust, service: str, region: str) -> tuple[str, ...]:
    """Say how to let a service assume the role, besides the principals that may already.

    Args:
        role: the role.
        trusted: the verdict on its trust policy.
        service: the service.
        region: a region of its partition.
    """
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if trusted.by_deny or trusted.answer != "denied":
        sentence = f"in the trust policy of {role.word}, let {service} assume the role"
        return (f"{sentence}, without a Deny or a condition: {json.dumps(statement)}",)
    policy = with_statement(role.trust_policy, statement)
    update = f"iam update-assume-role-policy --role-name {role.word}"
    return (aws(update, region, f"--policy-document {in_json(policy)}"),)


def _metadata(node: Node) -> Outcome:
    """Check whether the instance metadata service is on."""
    value = (node.instance or {}).get("MetadataOptions", {}).get("HttpEndpoint")
    evidence = Evidence("ec2:DescribeInstances", "MetadataOptions.HttpEndpoint", value)
    instance = checks.METADATA.of(node.id, evidence)
    if value == "disabled":
        why = "the metadata endpoint of the instance is off, so the agent gets no credentials"
        on = node.aws_on_it("ec2 modify-instance-metadata-options", "--http-endpoint enabled")
        return instance.failed(why, fix=node.to_change(on)).seen_if(is_now=not node.connected)
    if node.connected:
        return instance.passed("the agent is connected, so it has credentials", proven=True)
    if value != "enabled":
        why = "EC2 does not say whether the metadata endpoint is on"
        return instance.unknown(why, fix=node.look_for(checks.METADATA))
    return instance.passed("the metadata endpoint is on")


def _register_and_reach(
    node: Node, worker: LiveRole | None, permissions: Permissions, error: CannotAsk | None = None
) -> list[Outcome]:
    """Check whether the role that the agent uses may register the node and connect."""
    both = checks.REGISTER, checks.REACH
    if worker is None:
        return [check.of(None).without_role(error) for check in both]
    registers, reaches = (permissions[check.name]() for check in both)
    register, reach = (check.of(worker.arn) for check in both)
    opens = isinstance(reaches, CannotAsk) or not reaches.denied & _CALLS_OF_EACH_SESSION
    users_see = checks.NO_DATA_CHANNEL if node.connected and not opens else None
    is_seen = not (node.connected and opens)
    return [
        register.simulated(registers).seen_if(is_now=not node.connected),
        reach.simulated(reaches, users_see=users_see).seen_if(is_now=is_seen),
    ]


def _by_profile(own: LiveRole, permissions: Permissions) -> Outcome:
    """Say that the agent uses the role of the instance profile."""
    why = [f"the agent uses the role {own.arn} of the instance profile for all its calls"]
    reach = permissions[checks.REACH.name]()
    if isinstance(reach, Verdict) and not reach.allowed:
        why.append(f"the agent uses {_ACCOUNT_ROLE} only if this role may not register")
    return checks.HOST_MANAGEMENT.of(own.arn).passed(*why)


def _no_account_role(node: Node, account: LiveRole, refusal: NotThere) -> Outcome:
    """Fail, as the role that Default Host Management Configuration names does not exist."""
    fix = (
        node.aws(f"ssm update-service-setting --setting-id {_SETTING}", "--setting-value ROLE"),
        f"ROLE is the path and the name of a role that {SYSTEMS_MANAGER} may assume",
    )
    why = (
        f"Default Host Management Configuration names the role {account.arn}, which does not "
        "exist, so it registers no node"
    )
    evidence = Evidence("iam:SimulatePrincipalPolicy", "Error.Code", refusal.code)
    return checks.HOST_MANAGEMENT.of(None, evidence).failed(why, fix=fix)


def _by_account(
    node: Node, management: Outcome, own: LiveRole | None, *, registers: bool | None
) -> Outcome:
    """Say that the agent uses the role of Default Host Management Configuration, or may use it."""
    account = management.subject
    why = [f"the agent uses {_ACCOUNT_ROLE}, {account}, so that role needs the permissions"]
    if registers is None:
        either = f"the role of the instance profile or {_ACCOUNT_ROLE}, {account}"
        why = [f"it is not known whether the agent uses {either}"]
    elif own:
        why.append(f"the policies of {own.arn} are not used")
    fix = node.look_for(checks.HOST_MANAGEMENT)
    return management.unknown(*why, fix=fix, errors=management.errors)


def _identity_of_hybrid(node: Node, uses: Uses) -> Identity:
    """Find the role of a hybrid node's activation, which Systems Manager assumes."""
    outside = "the node is not an EC2 instance"
    assumable, role = _role_of_activation(node)
    permissions = _permissions_of(node, role, uses) if role else {}
    outcomes = [
        checks.PROFILE.skipped(outside),
        assumable,
        checks.METADATA.skipped(outside),
        *_register_and_reach(node, role, permissions),
        checks.HOST_MANAGEMENT.skipped(outside),
    ]
    return Identity(outcomes=outcomes, role=role, permissions=permissions)


def _role_of_activation(node: Node) -> tuple[Outcome, LiveRole | None]:
    """Check whether Systems Manager can assume the role, and return the role as well."""
    named = node.recorded("IamRole")
    if named is None:
        return checks.ASSUMABLE.skipped("Systems Manager's record of the node has no role"), None
    found = tried(partial(find_role, node.session, named))
    if isinstance(found, NotThere):
        why = f"the role {named} of the node no longer exists"
        role = checks.ASSUMABLE.of(named, Evidence(_ROLE, "Role", None))
        fix = node.aws_on_it("ssm update-managed-instance-role", "--iam-role ROLE")
        return role.failed(why, fix=fix), None
    if isinstance(found, CannotAsk):
        itself = LiveRole(f"arn:{node.partition}:iam::{node.account}:role/{named}")
        return checks.ASSUMABLE.of(named).unasked(found), itself
    return _assumable(node, found), found
