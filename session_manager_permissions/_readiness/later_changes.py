"""Finds what an app may do to running instances: give them credentials, or stop their agent."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

from session_manager_permissions import _needs
from session_manager_permissions._evaluation import Answer

from .asked import Asked
from .compute import RUN_CODE
from .parts import NEVER_READ, Matters, Parts, in_bytes, may_be_one_region, types_deployed
from .policies import ASSOCIATE, decide
from .scripts import of_written
from .templates.functions import UNKNOWN, is_function, quoted
from .templates.model import Resource, may_be_equal

if TYPE_CHECKING:
    from .decisions import Decisions
    from .roles import Role

_SETTING: Final = _needs.HOST_MANAGEMENT_SETTING.rpartition("/")[2]
"""The end of the service setting's id, and of its ARN, which a template may have instead."""

_QUICK_SETUP: Final = "AWS::SSMQuickSetup::ConfigurationManager"
_SERVICE_SETTING: Final = "AWS::SSM::ServiceSetting"
_TURN_ON: Final = "AWS::SSM::DefaultHostManagementConfiguration", _QUICK_SETUP, _SERVICE_SETTING
"""The types that turn on Default Host Management.

https://docs.aws.amazon.com/systems-manager/latest/userguide/quick-setup-host-management.html
"""

_MAY_RUN_RUNBOOK: Final = {
    "AWS::Config::ConformancePack": "TemplateBody",
    "AWS::Config::OrganizationConformancePack": "TemplateBody",
    "AWS::Config::RemediationConfiguration": "TargetId",
    "AWS::Events::Rule": "Targets",
    "AWS::FIS::ExperimentTemplate": "Actions",
    "AWS::SSM::Association": "Name",
    "AWS::SSM::MaintenanceWindowTask": "TaskArn",
    "AWS::SSMIncidents::ResponsePlan": "Actions",
    "AWS::SSMQuickSetup::LifecycleAutomation": "AutomationDocument",
    _QUICK_SETUP: "ConfigurationDefinitions",
    "AWS::Scheduler::Schedule": "Target",
    "AWS::SSM::Document": "Content",
}
"""The types that run a runbook or may call the API, each with the property that says what runs."""

_REPLACES: Final = re.compile(
    rb"attachiamtoinstance|setupmanaged(?:roleonec2)?instance|"
    rb"(?:ispolicyattachallowed|attachmissingpermission)\W+(?!false)\w|"
    rb"replace[-_]?iam[-_]?instance[-_]?profile|set-ec2iaminstanceprofile"
)
"""Matches, in lower case, the names of AWS's runbooks that give an instance a profile, and those of
the call that replaces its profile in code, in the AWS CLI and in PowerShell.

With `IsPolicyAttachAllowed`, Quick Setup attaches policies to the roles of instances. CloudWatch
Application Insights does so with `AttachMissingPermission`.
"""
_ATTACHES: Final = re.compile(
    _REPLACES.pattern
    + rb"|r(?<!unr)egister-ec2iaminstance|a(?<!disa)ssociate[-_]?iam[-_]?instance[-_]?profile"
)
"""Matches these, and the names of the call that gives a profile to an instance that has none.

The lookbehinds come after the first letters, as a pattern that begins with one takes much longer.
"""

_DHMC: Final = re.compile(
    rb"aws::ssmquicksetup::|default[-_]?host[-_]?management|ssm[-_]?host[-_]?management|dhmc|"
    + _SETTING.encode()
)
"""Matches, in lower case, the names that Default Host Management and its setting have in code, or
in what deploys a stack that is not read.
"""

_ANYWHERE: Final = ("AWS::Config::OrganizationConformancePack", _QUICK_SETUP, *NEVER_READ)
"""The types that act in any account and region."""

_TO_ASSOCIATE: Final = Asked((ASSOCIATE,))
_GIVES_PROFILE: Final = "give instances a profile"


class LaterChanges:
    """Finds what gives instances credentials, a profile or policies, or stops their agent."""

    def __init__(self, parts: Parts, decisions: Decisions) -> None:
        self._parts = parts
        self._decisions = decisions

    @cached_property
    def _turning_on(self) -> list[Resource]:
        """The resources that may turn on Default Host Management, by their type or content."""
        return [*self._parts.of_types(_TURN_ON), *self._parts.naming(_DHMC)]

    def host_management(self, resource: Resource) -> str:
        """Name what turns on Default Host Management where a resource is deployed, if any."""
        does = "turn on Default Host Management"
        return _first(self._turning_on, resource, does, self._may_turn_on)

    def gives_profile(self, resource: Resource) -> str:
        """Name what may give credentials to instances that have no profile; empty if nothing."""
        found = self.host_management(resource) or _first(self._givers, resource, _GIVES_PROFILE)
        return found or self.by_runbook(resource) or self._by_role(resource)

    def stands_in(self, role: Role, profile: Resource, where: Resource, *, registers: bool) -> str:
        """Name what may add permissions to a role, or give its instances another role.

        Args:
            role: the role.
            profile: the profile, or the node group, that has the role.
            where: the resource that launches the instances, or the profile.
            registers: whether the role may register with Systems Manager. An agent that registers
                with its role never uses Default Host Management.
        """
        changed = self._parts.changed(role.resource) or self._parts.changed(profile)
        if changed is not None:
            return changed.decides
        return ("" if registers else self.host_management(where)) or self.by_runbook(where)

    def _may_turn_on(self, found: Resource) -> bool:
        """Whether `found` may turn it on: all but another service setting, or one that is off."""
        if found.type != _SERVICE_SETTING:
            return True
        id_ = self._parts.text(found, found.properties.get("SettingId"))
        value = self._parts.text(found, found.properties.get("SettingValue"))
        return (UNKNOWN in id_ or id_.endswith(_SETTING)) and value != "$None"

    @cached_property
    def _givers(self) -> list[Resource]:
        """The code that gives instances a profile, and the stacks that may have any resource.

        The templates of these stacks are never read.
        """
        never_read = self._parts.of_types(NEVER_READ)
        stacks = (one for one in never_read if UNKNOWN in types_deployed(one))
        return [*stacks, *self._parts.naming(_ATTACHES)]

    def by_runbook(self, resource: Resource) -> str:
        """Name what may give a profile or policies to instances where a resource is deployed."""
        does = f"{_GIVES_PROFILE} or policies"
        return _first(self._running_runbooks, resource, does, self._attaches)

    @cached_property
    def _running_runbooks(self) -> list[Resource]:
        """The resources that may run a runbook, and code that names one or replaces a profile."""
        return [*self._parts.of_types(_MAY_RUN_RUNBOOK), *self._parts.naming(_REPLACES)]

    def _attaches(self, found: Resource) -> bool:
        written = found.properties.get(_MAY_RUN_RUNBOOK.get(found.type, ""))
        known = self._parts.text(found, written)
        is_open = known == UNKNOWN and self._parts.behind(found, written) is None
        # A conformance pack may be in a file. The texts of lists and maps are searched.
        if is_open and (is_function(written) or found.type.endswith("ConformancePack")):
            return True
        return bool(_ATTACHES.search(in_bytes(f"{known} {quoted(found.acting)}")))

    def stops_agent(self, resource: Resource) -> str:
        """Name what may stop the agent of instances where a resource is deployed; "" if nothing."""
        return _first(self._stopping_agent, resource, "keep the SSM Agent from working")

    @cached_property
    def _stopping_agent(self) -> list[Resource]:
        several = *self._parts.of_types((*_MAY_RUN_RUNBOOK, *RUN_CODE)), *self._parts.custom
        return [one for one in several if of_written(one.acting).agent]

    def _by_role(self, resource: Resource) -> str:
        account = resource.template.stack.account
        return self._parts.worlds.once((_TO_ASSOCIATE, account), lambda: self._associating(account))

    def _associating(self, account: str | None) -> str:
        on_instances = _needs.REGISTRATION_RESOURCES[:1]
        for one in self._parts.by_type["AWS::IAM::Role"]:
            if may_be_equal(account, one.template.stack.account) and one.exists:
                role = self._decisions.roles.of_resource(one)
                statements = self._decisions.readable(role, _TO_ASSOCIATE)
                if decide(statements, ASSOCIATE, on_instances).answer <= Answer.UNKNOWN:
                    return f"the role {one.logical_id!r}, which may {_GIVES_PROFILE}"
        return ""


def _first(several: list[Resource], resource: Resource, does: str, matters: Matters = bool) -> str:
    """Name the first resource that matters and may act where another resource is deployed."""
    for one in several:
        one_region = may_be_one_region(one.template.stack, resource.template.stack)
        if (one_region or one.type in _ANYWHERE) and one.exists and matters(one):
            type_ = one.type if one.type.startswith("AWS::") else "CustomResource"
            words = re.sub("(?<=[a-z])(?=[A-Z])", " ", type_.rpartition("::")[2]).lower()
            return f"the {words} {one.logical_id!r}, which may {does}"
    return ""
