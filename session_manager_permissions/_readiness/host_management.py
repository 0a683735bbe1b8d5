"""What gives instances credentials that have no instance profile, or give them a profile later."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

from session_manager_permissions import _needs

from .parts import may_be_one_region
from .policies import may_be_about
from .templates.functions import UNKNOWN, candidates, mapping, shown, text
from .templates.model import may_be_equal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .parts import Parts
    from .roles import Policy, Role, Roles
    from .templates.model import Resource

_SETTING: Final = _needs.HOST_MANAGEMENT_SETTING.rpartition("/")[2]
"""How the id of the service setting ends, of which a template may have the ARN."""

_QUICK_SETUP: Final = "AWS::SSMQuickSetup::ConfigurationManager"
_SERVICE_SETTING: Final = "AWS::SSM::ServiceSetting"

_RUNS: Final = {
    "AWS::Config::RemediationConfiguration": ("remediation", "TargetId"),
    "AWS::Events::Rule": ("rule", "Targets"),
    "AWS::SSM::Association": ("association", "Name"),
    "AWS::SSM::MaintenanceWindowTask": ("maintenance window task", "TaskArn"),
    "AWS::SSMQuickSetup::LifecycleAutomation": ("automation", "AutomationDocument"),
    "AWS::Scheduler::Schedule": ("schedule", "Target"),
    "AWS::SSM::Document": ("document", "Content"),
}
"""What runs a runbook on instances: its noun, and the property that says which one."""

_ATTACHES: Final = re.compile("AttachIAMToInstance|AssociateIamInstanceProfile", re.IGNORECASE)
"""A part of the names of AWS's runbooks that give an instance a profile, and of the API call."""

_ASSOCIATE: Final = "ec2:AssociateIamInstanceProfile"
_OF_AWS: Final = ":aws:policy/"
"""What is in the ARN of a policy that AWS manages, before its path and its name."""
_MAY_ASSOCIATE: Final = frozenset(
    {
        "AdministratorAccess",
        "AmazonEC2FullAccess",
        "PowerUserAccess",
        "job-function/SystemAdministrator",
    }
)
"""The policies that AWS manages, and that allow this for roles of customers."""


class HostManagement:
    """Finds what turns on Default Host Management, or gives running instances a profile."""

    def __init__(self, parts: Parts, roles: Roles) -> None:
        self._parts = parts
        self._roles = roles
        self._found = [*_turning_on(parts)]

    def of(self, resource: Resource) -> str:
        """Name what turns on Default Host Management for instances beside a resource, if it does.

        Quick Setup may do so in any account and region.
        """
        for noun, found in self._found:
            one_region = may_be_one_region(found.template.stack, resource.template.stack)
            may_be_it = (one_region or found.type == _QUICK_SETUP) and found.exists
            if may_be_it and (found.type != _SERVICE_SETTING or self._sets(found)):
                return f"the {noun} {found.logical_id!r}"
        return ""

    def gives_profile(self, resource: Resource) -> str:
        """Name what may give credentials to instances that have no profile; empty if nothing."""
        return self.of(resource) or self._by_runbook(resource) or self._by_role(resource)

    def stands_in(self, role: Role, profile: Resource, *, registers: bool) -> str:
        """Name what may mend the permissions of a role.

        Args:
            role: the role.
            profile: what has the role.
            registers: whether the role may register with Systems Manager, with which an agent never
                turns to Default Host Management.
        """
        for one in (role.resource, profile):
            changed = self._parts.changed(one)
            if changed is not None:
                return changed.decides
        return "" if registers else self.of(profile)

    def _sets(self, setting: Resource) -> bool:
        """Whether a service setting may be the one that turns on Default Host Management."""
        id_ = self._parts.text(setting, setting.properties.get("SettingId"))
        value = self._parts.text(setting, setting.properties.get("SettingValue"))
        return (UNKNOWN in id_ or id_.endswith(_SETTING)) and value != "$None"

    def _by_runbook(self, resource: Resource) -> str:
        for noun, by, found in self._runbooks:
            if may_be_one_region(found.template.stack, resource.template.stack) and found.exists:
                written = found.properties.get(by)
                known = self._parts.text(found, written)
                is_open = known == UNKNOWN and isinstance(mapping(written).get("Ref"), str)
                is_open = is_open and self._parts.behind(found.template, written) is None
                if is_open or _ATTACHES.search(f"{known} {shown(written)}"):
                    return f"the {noun} {found.logical_id!r}"
        return ""

    @cached_property
    def _runbooks(self) -> list[tuple[str, str, Resource]]:
        return [
            (noun, by, one)
            for type_, (noun, by) in _RUNS.items()
            for one in self._parts.by_type[type_]
        ]

    def _by_role(self, resource: Resource) -> str:
        account = resource.template.stack.account
        for one in self._associating:
            same = may_be_equal(account, one.template.stack.account)
            if same and one.exists and self._may_associate(self._roles.of_resource(one)):
                return f"the role {one.logical_id!r}, which may give instances a profile"
        return ""

    @cached_property
    def _associating(self) -> list[Resource]:
        """The roles that may be allowed to give an instance a profile in any world."""
        return [
            one
            for one in self._parts.by_type["AWS::IAM::Role"]
            if self._has_one(self._roles.of_resource(one))
        ]

    def _has_one(self, role: Role) -> bool:
        policies = (one.policy for one in (*role.inline, *role.managed))
        by_arn = (text(one.value).partition(_OF_AWS) for one in role.others)
        return any(not of_aws or name in _MAY_ASSOCIATE for _, of_aws, name in by_arn) or any(
            map(_is_about, policies)
        )

    def _may_associate(self, role: Role) -> bool:
        statements = [
            statement
            for policy in self._roles.policies(role, _is_about)
            for statement in self._roles.statements(policy, (_ASSOCIATE,))
            if statement.covers_action(_ASSOCIATE) is not False
        ]
        if any(
            one.certain
            and not one.allows
            and one.covers_action(_ASSOCIATE)
            and "*" in one.resources
            for one in statements
        ):
            return False
        broad = any(one.is_there and _is_broad(one.value) for one in role.others)
        return broad or any(one.allows for one in statements)


def _is_broad(arn: object) -> bool:
    return text(arn).partition(_OF_AWS)[2] in _MAY_ASSOCIATE


def _is_about(policy: Policy) -> bool:
    documents = candidates(policy.owner, "PolicyDocument")
    return any(may_be_about(one.value, (_ASSOCIATE,)) for one in documents)


def _turning_on(parts: Parts) -> Iterator[tuple[str, Resource]]:
    """Yield each with its noun.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/quick-setup-host-management.html
    """
    for one in parts.by_type["AWS::SSM::DefaultHostManagementConfiguration"]:
        yield "Default Host Management Configuration", one
    for one in parts.by_type[_SERVICE_SETTING]:
        yield "service setting", one
    for one in parts.by_type[_QUICK_SETUP]:
        yield "Quick Setup configuration", one
    for one in parts.custom:
        if _SETTING in shown(one.body.get("Properties")):
            yield "custom resource", one
