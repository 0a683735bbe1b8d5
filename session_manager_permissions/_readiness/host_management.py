"""What an app does to instances that run: gives them credentials, or stops their agent."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

from session_manager_permissions import _needs
from session_manager_permissions._evaluation import Answer

from .asked import Asked
from .parts import NEVER_READ, Parts, may_be_one_region, types_deployed
from .policies import ASSOCIATE, decide
from .scripts import of_written
from .templates.functions import UNKNOWN, mapping, shown
from .templates.model import Resource, may_be_equal

if TYPE_CHECKING:
    from .decisions import Decisions
    from .roles import Role

_SETTING: Final = _needs.HOST_MANAGEMENT_SETTING.rpartition("/")[2]
"""How the id of the service setting ends, of which a template may have the ARN."""

_QUICK_SETUP: Final = "AWS::SSMQuickSetup::ConfigurationManager"
_SERVICE_SETTING: Final = "AWS::SSM::ServiceSetting"
_TURN_ON: Final = {
    "AWS::SSM::DefaultHostManagementConfiguration": "Default Host Management Configuration",
    _SERVICE_SETTING: "service setting",
    _QUICK_SETUP: "Quick Setup configuration",
}
"""The types that turn on Default Host Management, with the noun of each.

https://docs.aws.amazon.com/systems-manager/latest/userguide/quick-setup-host-management.html
"""

_FUNCTIONS: Final = ("AWS::Lambda::Function", "AWS::Serverless::Function")
"""The types whose code may turn it on, such as for a custom resource."""

_RUNS: Final = {
    "AWS::Config::ConformancePack": ("conformance pack", "TemplateBody"),
    "AWS::Config::OrganizationConformancePack": ("conformance pack", "TemplateBody"),
    "AWS::Config::RemediationConfiguration": ("remediation", "TargetId"),
    "AWS::Events::Rule": ("rule", "Targets"),
    "AWS::SSM::Association": ("association", "Name"),
    "AWS::SSM::MaintenanceWindowTask": ("maintenance window task", "TaskArn"),
    "AWS::SSMQuickSetup::LifecycleAutomation": ("automation", "AutomationDocument"),
    _QUICK_SETUP: (_TURN_ON[_QUICK_SETUP], "ConfigurationDefinitions"),
    "AWS::Scheduler::Schedule": ("schedule", "Target"),
    "AWS::Serverless::Function": ("function", "Policies"),
    "AWS::SSM::Document": ("document", "Content"),
}
"""What runs a runbook on instances, or may make the call: its noun, and the property for that."""

_ATTACHES: Final = re.compile(
    r"AttachIAMToInstance|AssociateIamInstanceProfile|IsPolicyAttachAllowed\W+(?!false)\w",
    re.IGNORECASE,
)
"""A part of the names of AWS's runbooks that give an instance a profile, and of the API call.

With `IsPolicyAttachAllowed`, Quick Setup attaches policies to the roles of instances.
"""

_NAMES_IT: Final = re.compile(
    rf"{_SETTING}|AWS::SSMQuickSetup::|(?:default|ssm)[-_]?host[-_]?management|dhmc", re.IGNORECASE
)
"""What shows that code, or a template that is not read, turns on Default Host Management."""

_ANYWHERE: Final = (_QUICK_SETUP, *NEVER_READ)
"""The types that act in any account and region."""

_TO_ASSOCIATE: Final = Asked((ASSOCIATE,))


class HostManagement:
    """Finds what turns on Default Host Management, or gives instances a profile or policies."""

    def __init__(self, parts: Parts, decisions: Decisions) -> None:
        self._parts = parts
        self._decisions = decisions

    @cached_property
    def _turning_on(self) -> list[tuple[str, Resource]]:
        """What turns it on, each with its noun."""
        parts = self._parts
        found = [(noun, one) for type_, noun in _TURN_ON.items() for one in parts.by_type[type_]]
        of_code = {"custom resource": parts.custom, "stack": parts.unread_stacks}
        of_code["function"] = [one for type_ in _FUNCTIONS for one in parts.by_type[type_]]
        for noun, several in of_code.items():
            shows_it = (
                one for one in several if _NAMES_IT.search(f"{one.logical_id} {shown(one.written)}")
            )
            found += ((noun, one) for one in shows_it)
        return found

    def of(self, resource: Resource) -> str:
        """Name what turns on Default Host Management for instances beside a resource, if any."""
        return self._first_beside(self._turning_on, resource)

    def gives_profile(self, resource: Resource) -> str:
        """Name what may give credentials to instances that have no profile; empty if nothing."""
        found = self.of(resource) or self._by_stack()
        return found or self.by_runbook(resource) or self._by_role(resource)

    def stands_in(self, role: Role, profile: Resource, *, registers: bool) -> str:
        """Name what may mend the permissions of a role, or give its instances another one.

        Args:
            role: the role.
            profile: what has the role.
            registers: whether the role may register with Systems Manager, with which an agent never
                turns to Default Host Management.
        """
        changed = self._parts.changed(role.resource) or self._parts.changed(profile)
        if changed is not None:
            return changed.decides
        return ("" if registers else self.of(profile)) or self.by_runbook(profile)

    def _sets(self, setting: Resource) -> bool:
        """Whether a service setting may be the one that turns on Default Host Management."""
        id_ = self._parts.text(setting, setting.properties.get("SettingId"))
        value = self._parts.text(setting, setting.properties.get("SettingValue"))
        return (UNKNOWN in id_ or id_.endswith(_SETTING)) and value != "$None"

    def _by_stack(self) -> str:
        for one in (stack for type_ in NEVER_READ for stack in self._parts.by_type[type_]):
            if one.exists and UNKNOWN in types_deployed(one):
                return f"the template of {one.logical_id!r}"
        return ""

    def by_runbook(self, resource: Resource) -> str:
        """Name what gives instances beside a resource another profile, or policies; "" if none."""
        for noun, found in self._running:
            if _is_beside(found, resource):
                written = found.properties.get(_RUNS[found.type][1])
                known = self._parts.text(found, written)
                is_open = known == UNKNOWN and isinstance(mapping(written).get("Ref"), str)
                is_open = is_open and self._parts.behind(found.template, written) is None
                if is_open or _ATTACHES.search(f"{known} {shown(written)}"):
                    return f"the {noun} {found.logical_id!r}"
        return ""

    def stops_agent(self, resource: Resource) -> str:
        """Name what may stop the agent of instances beside a resource; "" if nothing does."""
        return self._first_beside(self._stopping, resource)

    def _first_beside(self, several: list[tuple[str, Resource]], resource: Resource) -> str:
        for noun, found in several:
            is_setting = found.type == _SERVICE_SETTING
            if _is_beside(found, resource) and (not is_setting or self._sets(found)):
                return f"the {noun} {found.logical_id!r}"
        return ""

    @cached_property
    def _running(self) -> list[tuple[str, Resource]]:
        return [
            (noun, one) for type_, (noun, _) in _RUNS.items() for one in self._parts.by_type[type_]
        ]

    @cached_property
    def _stopping(self) -> list[tuple[str, Resource]]:
        return [(noun, one) for noun, one in self._running if of_written(one.written).agent]

    def _by_role(self, resource: Resource) -> str:
        account = resource.template.stack.account
        once = self._parts.assembly.worlds.once
        return once((_TO_ASSOCIATE, account), lambda: self._associating(account))

    def _associating(self, account: str | None) -> str:
        on_instances = _needs.REGISTRATION_RESOURCES[:1]
        for one in self._parts.by_type["AWS::IAM::Role"]:
            if may_be_equal(account, one.template.stack.account) and one.exists:
                role = self._decisions.roles.of_resource(one)
                statements = self._decisions.readable(role, _TO_ASSOCIATE)
                if decide(statements, ASSOCIATE, on_instances).answer <= Answer.UNKNOWN:
                    return f"the role {one.logical_id!r}, which may give instances a profile"
        return ""


def _is_beside(found: Resource, resource: Resource) -> bool:
    """Tell whether something may be done to instances that are beside a resource.

    Quick Setup and stack sets may do so in any account and region.
    """
    one_region = may_be_one_region(found.template.stack, resource.template.stack)
    return (one_region or found.type in _ANYWHERE) and found.exists
