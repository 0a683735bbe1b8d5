"""Finds the role that the agent works with, and checks what it may do.

By the source of amazon-ssm-agent (`ec2_role_provider`), the agent registers with the role of the
instance profile. Where that is denied, or it has no such role, it falls back to the role of Default
Host Management Configuration, if the account has that on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _limits, _needs
from session_manager_permissions._quoting import in_shell
from session_manager_permissions._trust import EC2, SYSTEMS_MANAGER, Trust, trust

from .asking import CannotAsk, NotThere, asked_once, asking
from .checks import (
    IDENTITY,
    MAY_CONNECT,
    NO_ROLE,
    NOT_CONNECTED,
    Check,
    Evidence,
    by_simulator,
    failed,
    on_node,
    passed,
    skipped,
    unasked,
    unknown,
)
from .node import at_least
from .simulator import (
    LiveRole,
    Uses,
    Verdict,
    ask,
    find_role,
    questions,
    role_in_profile,
)

if TYPE_CHECKING:
    from .node import Node
    from .session import AwsSession

_PROFILE: Final = "iam:GetInstanceProfile"
_ROLE: Final = "iam:GetRole"
_SETTING: Final = _needs.HOST_MANAGEMENT_SETTING
_OFF: Final = "$None"
_TAKES_ACCOUNT_ROLE: Final = "3.2.582.0"
"""The first agent that takes the account's role.

https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-default-host-management-configuration.html
"""


class _Profile(NamedTuple):
    """The instance profile of an instance."""

    name: str | None = None
    role: LiveRole | None = None
    fault: str = ""
    """What is wrong with it, if there is no role to work with."""
    is_empty: bool = False
    """Whether the profile exists, and has no role."""
    error: CannotAsk | None = None


Permissions = Mapping[str, Verdict | CannotAsk]
"""What IAM says of a role, by the capability of each question."""
_AccountRole = LiveRole | CannotAsk | str
"""The role of Default Host Management; why it could not be asked about, or why there is none."""


@dataclass(frozen=True)
class Identity:
    """Whose permissions the agent has."""

    checks: list[Check]
    profile: str | None = None
    """The name of the instance profile."""
    role: LiveRole | None = None
    """The role that does the work; None if it is not known, or there is none."""
    permissions: Permissions = field(default_factory=dict)
    """What that role may do."""
    replaced: bool = False
    """Whether the account's role takes the place of the profile's."""
    in_doubt: bool = False
    """Whether the account's role may take its place, which is not known."""

    @property
    def verdicts(self) -> list[Verdict]:
        """What IAM answered about the role."""
        return [one for one in self.permissions.values() if isinstance(one, Verdict)]


def find_identity(session: AwsSession, node: Node, uses: Uses) -> Identity:
    """Find the role that the agent works with, and ask IAM whether it may do what sessions use."""
    if node.instance is None:
        return _of_hybrid(session, node, uses)
    if node.state == "terminated":
        return Identity([skipped(check, "the instance is terminated") for check in IDENTITY])
    return _of_instance(session, node, uses)


def _of_instance(session: AwsSession, node: Node, uses: Uses) -> Identity:
    profile = _read_profile(session, node)
    own = profile.role
    trusted = Trust("unknown", "") if own is None else trust(own.trust_policy, EC2)
    registers = _does_register(session, node, uses, profile, trusted)
    account = "" if registers else _account_role(session, node)
    worker, replaced = own, False
    if registers is False and isinstance(account, LiveRole):
        worker, replaced = account, True
    permissions = {} if worker is None else _may(session, node, worker, uses)
    worker, permissions = _with_boundary(session, worker, permissions)
    in_doubt = not registers and not replaced and not isinstance(account, str)
    assumable = _assumable(node, own, trusted, EC2, replaced=replaced)
    of_role = [assumable, *_permissions(worker, permissions)]
    checks = [
        _profile(node, profile, account),
        _metadata(node),
        *(map(unless_replaced, of_role) if in_doubt else of_role),
        _host_management(node, profile, permissions, account, registers=registers),
    ]
    return Identity(checks, profile.name, worker, permissions, replaced=replaced, in_doubt=in_doubt)


def unless_replaced(check: Check) -> Check:
    """Make a failed check of the profile's role unknown, as the account's role may do the work."""
    if check.verdict != "fail":
        return check
    why = "whether the account's role does the work in its place is not known"
    return replace(check, verdict="unknown", why=(*check.why, why))


def _read_profile(session: AwsSession, node: Node) -> _Profile:
    if node.profile_arn is None:
        return _Profile(fault="the instance has no instance profile")
    name = node.profile_arn.rpartition("/")[2]
    found = role_in_profile(session, name)
    if isinstance(found, NotThere):
        return _Profile(name, fault=f"the instance profile {name} does not exist any more")
    if isinstance(found, CannotAsk):
        return _Profile(name, error=found)
    if found is None:
        fault = f"the instance profile {name} has no role"
        return _Profile(name, fault=fault, is_empty=True)
    return _Profile(name, found)


def _may(session: AwsSession, node: Node, role: LiveRole, uses: Uses) -> Permissions:
    """Ask IAM whether a role may do what the agent does on a node, by capability."""
    asked = questions(role, uses, node.region, node.arn)
    verdicts = ask(session, role, asked, node.region, node.id)
    return {one.capability: verdict for one, verdict in zip(asked, verdicts, strict=True)}


def _with_boundary(
    session: AwsSession, role: LiveRole | None, permissions: Permissions
) -> tuple[LiveRole | None, Permissions]:
    """Name the permissions boundary of a role, if IAM says that it has one."""
    verdicts = [one for one in permissions.values() if isinstance(one, Verdict)]
    answers = [answer for one in verdicts for answer in one.answers]
    has_one = any(answer["allowed_by_permissions_boundary"] is not None for answer in answers)
    if role is None or role.boundary or not has_one:
        return role, permissions
    found = find_role(session, role.arn.rpartition("/")[2])
    if isinstance(found, CannotAsk):
        return role, permissions
    named = role._replace(boundary=found.boundary)
    return named, {
        capability: one._replace(role=named) if isinstance(one, Verdict) else one
        for capability, one in permissions.items()
    }


def _does_register(
    session: AwsSession, node: Node, uses: Uses, profile: _Profile, trusted: Trust
) -> bool | None:
    """Tell whether the agent registers with the role of the profile; None if that is not known."""
    if profile.error:
        return None
    if profile.role is None or trusted.answer == "denied":
        return False
    register = _may(session, node, profile.role, uses)["register"]
    if isinstance(register, CannotAsk) or register.is_open:
        return None
    return None if register.allowed and trusted.answer == "unknown" else register.allowed


def _account_role(session: AwsSession, node: Node) -> _AccountRole:
    value = _setting(session)
    if isinstance(value, CannotAsk):
        return value
    if value == _OFF:
        return "Default Host Management Configuration is off"
    version = node.recorded("AgentVersion")
    if version and at_least(version, _TAKES_ACCOUNT_ROLE) is False:
        return (
            f"the agent has version {version}, and Default Host Management Configuration takes "
            f"{_TAKES_ACCOUNT_ROLE} or a newer one"
        )
    return LiveRole(f"arn:{node.partition}:iam::{node.account}:role/{value.lstrip('/')}", None)


@asked_once
def _setting(session: AwsSession) -> str:
    try:
        with asking("ssm", f"the service setting {_SETTING}", "there is no such setting"):
            found = session.client("ssm").get_service_setting(SettingId=_SETTING)["ServiceSetting"]
            return found.get("SettingValue") or _OFF
    except NotThere:
        return _OFF


def _profile(node: Node, profile: _Profile, account: _AccountRole) -> Check:
    check, name = "instance-profile", profile.name
    if profile.error:
        return unasked(check, name, profile.error)
    evidence = [Evidence("ec2:DescribeInstances", "IamInstanceProfile", name)]
    if profile.role:
        arn = profile.role.arn
        evidence.append(Evidence(_PROFILE, "Roles[0].Arn", arn))
        why = f"the instance has the profile {name} with the role {arn}"
        return passed(check, name, why, evidence)
    fix = (
        f"aws ec2 associate-iam-instance-profile --instance-id {node.id_word} "
        f"--region {node.region_word} --iam-instance-profile Name=NAME"
    )
    if profile.is_empty:
        named = in_shell(str(name), _limits.INSTANCE_PROFILE.fault, "PROFILE")
        fix = (
            f"aws iam add-role-to-instance-profile --instance-profile-name {named} --role-name ROLE"
        )
    if isinstance(account, LiveRole):
        replaced = (f"{profile.fault}, and the account's role {account.arn} takes its place",)
        return Check(check, name, "skipped", replaced, (), tuple(evidence))
    if isinstance(account, CannotAsk):
        why = f"{profile.fault}, and whether the account's role takes its place is not known"
        return unknown(check, name, why, fix, evidence)
    return failed(check, name, profile.fault, fix, evidence, users_see=NOT_CONNECTED)


def _assumable(
    node: Node, found: LiveRole | None, trusted: Trust, service: str, *, replaced: bool
) -> Check:
    check = "role-assumable"
    if found is None:
        return skipped(check, NO_ROLE)
    arn = found.arn
    name = in_shell(arn.rpartition("/")[2], _limits.ROLE.fault, "ROLE")
    api = _ROLE if node.is_hybrid else _PROFILE
    evidence = (Evidence(api, "AssumeRolePolicyDocument", trusted.answer),)
    statement = (
        f"add to the trust policy of {name}, by aws iam update-assume-role-policy: "
        f'{{"Effect": "Allow", "Principal": {{"Service": "{service}"}}, "Action": '
        '"sts:AssumeRole"}'
    )
    if trusted.answer == "denied" and replaced:
        why = f"{trusted.why}, and the account's role takes its place"
        return unknown(check, arn, why, statement, evidence)
    if trusted.answer == "denied":
        return failed(check, arn, trusted.why, statement, evidence, users_see=NOT_CONNECTED)
    if node.connected and not replaced:
        why = "the agent is connected, and so it has credentials of the role"
        return Check(check, arn, "proven", (why,), (), evidence)
    if trusted.answer == "unknown":
        return unknown(check, arn, trusted.why, f"aws iam get-role --role-name {name}", evidence)
    return passed(check, arn, trusted.why, evidence)


def _metadata(node: Node) -> Check:
    check = "metadata"
    options = (node.instance or {}).get("MetadataOptions", {})
    value = options.get("HttpEndpoint")
    evidence = (Evidence("ec2:DescribeInstances", "MetadataOptions.HttpEndpoint", value),)
    if value == "disabled":
        why = "the metadata endpoint of the instance is off, so that the agent gets no credentials"
        fix = (
            f"aws ec2 modify-instance-metadata-options --instance-id {node.id_word} "
            f"--region {node.region_word} --http-endpoint enabled"
        )
        return failed(check, node.id, why, fix, evidence, users_see=NOT_CONNECTED)
    if node.connected:
        proof = ("the agent is connected, and so it has credentials",)
        return Check(check, node.id, "proven", proof, (), evidence)
    if value is None:
        why = "EC2 does not say whether the metadata endpoint is on"
        return unknown(check, node.id, why, on_node("EC2 IMDS", node.platform), evidence)
    return passed(check, node.id, "the metadata endpoint is on", evidence)


def _permissions(worker: LiveRole | None, permissions: Permissions) -> list[Check]:
    if worker is None:
        return [skipped(name, NO_ROLE) for name in MAY_CONNECT]
    return [
        by_simulator(name, worker.arn, permissions[name], NOT_CONNECTED) for name in MAY_CONNECT
    ]


def _host_management(
    node: Node,
    profile: _Profile,
    permissions: Permissions,
    account: _AccountRole,
    *,
    registers: bool | None,
) -> Check:
    check = "default-host-management"
    if registers and profile.role:
        arn = profile.role.arn
        why = [f"the role {arn} of the profile registers the instance, and does the work"]
        reach = permissions["reach"]
        if isinstance(reach, Verdict) and not reach.allowed:
            why.append("the account's role takes its place only if it may not register")
        return Check(check, arn, "pass", tuple(why))
    if isinstance(account, CannotAsk):
        return unasked(check, None, account)
    if isinstance(account, str):
        return skipped(check, account)
    why = [f"the role {account.arn} of the account does the work, and needs the permissions"]
    if registers is None:
        either = f"the profile's role or the account's role {account.arn}"
        why = [f"whether {either} does the work is not known"]
    elif profile.role:
        why.append(f"the policies of {profile.role.arn} go unused")
    fix = (on_node("AWS Credentials", node.platform),)
    evidence = (Evidence("ssm:GetServiceSetting", _SETTING, account.arn),)
    return Check(check, account.arn, "unknown", tuple(why), fix, evidence)


def _of_hybrid(session: AwsSession, node: Node, uses: Uses) -> Identity:
    """Find the role of a hybrid node's activation, which Systems Manager assumes."""
    outside = "the node is outside of EC2"
    named = node.recorded("IamRole")
    role: LiveRole | None = None
    permissions: Permissions = {}
    if named is None:
        assumable = skipped("role-assumable", "Systems Manager has no role of the node on record")
    else:
        found = find_role(session, named.rpartition("/")[2])
        assumable = _of_activation(node, named, found)
        if not isinstance(found, NotThere):
            role = (
                LiveRole(f"arn:{node.partition}:iam::{node.account}:role/{named}", None)
                if isinstance(found, CannotAsk)
                else found
            )
            permissions = _may(session, node, role, uses)
    checks = [
        skipped("instance-profile", outside),
        assumable,
        skipped("metadata", outside),
        *_permissions(role, permissions),
        skipped("default-host-management", outside),
    ]
    return Identity(checks, None, role, permissions)


def _of_activation(node: Node, named: str, found: LiveRole | CannotAsk) -> Check:
    check = "role-assumable"
    if isinstance(found, NotThere):
        why = f"the role {named} of the node does not exist any more"
        fix = (
            f"aws ssm update-managed-instance-role --instance-id {node.id_word} "
            f"--region {node.region_word} --iam-role ROLE"
        )
        evidence = [Evidence(_ROLE, "Role", None)]
        return failed(check, named, why, fix, evidence, users_see=NOT_CONNECTED)
    if isinstance(found, CannotAsk):
        return unasked(check, named, found)
    trusted = trust(found.trust_policy, SYSTEMS_MANAGER)
    return _assumable(node, found, trusted, SYSTEMS_MANAGER, replaced=False)
