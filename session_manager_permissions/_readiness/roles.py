"""Which role is behind an instance profile of a template, and what policies does it have?"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _needs

from .policies import Statement, anything, refused, statements
from .templates import UNKNOWN, Resource, listed, shortest, shown, text

if TYPE_CHECKING:
    from .templates import Assembly, Template

_ATTACHED_BY: Final = {
    "AWS::IAM::Policy": "Roles",
    "AWS::IAM::RolePolicy": "RoleName",
    "AWS::IAM::ManagedPolicy": "Roles",
}
"""The policies that are resources, and the property that names their roles."""


class Policy:
    """A policy document, and where it is written."""

    def __init__(self, resource: Resource, location: str, document: object) -> None:
        self.resource = resource
        self.location = location
        self._document = document

    @cached_property
    def statements(self) -> list[Statement]:
        """Its statements, made once, whatever the number of its roles."""
        source = f"the policy {self.resource.logical_id!r}"
        return statements(self._document, source, template=self.resource.template)

    @cached_property
    def refused(self) -> str | None:
        """Why IAM refuses it for certain, else None."""
        return refused(self._document, self.resource.template)

    @cached_property
    def length(self) -> int:
        """What IAM counts of it, at the least."""
        return shortest(self._document)


class Attached(NamedTuple):
    """A policy of a role."""

    policy: Policy
    certain: bool
    """Whether the deployment is certain to attach it."""


class Role:
    """What the app says of the role behind a profile."""

    def __init__(self, name: str, resource: Resource) -> None:
        self.name = name
        self.resource = resource
        """What to report on: the role, or the profile where the role is not in the app."""
        self.inline: list[Attached] = []
        self.managed: list[Attached] = []
        """The managed policies that are in the app."""
        self.aws_managed: list[str] = []
        self.others: list[Statement] = []
        """What AWS managed policies say, and what stands for all that can't be read."""
        self.boundary: list[Statement] | None = None
        self.boundary_policy: Policy | None = None
        """The permissions boundary where it is in the app."""

    @property
    def policies(self) -> list[Attached]:
        """All that are in the app, the permissions boundary too."""
        boundary = (
            [] if self.boundary_policy is None else [Attached(self.boundary_policy, certain=True)]
        )
        return [*self.inline, *self.managed, *boundary]

    @property
    def statements(self) -> list[Statement]:
        """Those of all its policies."""
        found = [*self.others]
        for policy, certain in (*self.inline, *self.managed):
            found += policy.statements if certain else _uncertain(policy.statements)
        return found


class Profiles:
    """The instance profiles of an assembly and what hangs on them: an index, made in one pass."""

    def __init__(self, assembly: Assembly) -> None:
        self.profiles: list[Resource] = []
        self.instances: list[Resource] = []
        self._assembly = assembly
        self._named: defaultdict[str, list[Resource]] = defaultdict(list)
        self._managed: dict[Resource, Policy] = {}
        self._attached: defaultdict[Resource | str, list[Attached]] = defaultdict(list)
        self._roles: dict[Resource, Role] = {}
        for template in assembly.templates:
            for resource in template.resources.values():
                self._index(resource)

    def _index(self, resource: Resource) -> None:
        kind, properties = resource.type, resource.properties
        if kind == "AWS::IAM::InstanceProfile":
            self.profiles.append(resource)
        elif kind == "AWS::EC2::Instance":
            self.instances.append(resource)
        elif kind == "AWS::IAM::Role":
            self._named[text(properties.get("RoleName"))].append(resource)
        elif kind in _ATTACHED_BY:
            document = properties.get("PolicyDocument")
            policy = Policy(resource, "Properties.PolicyDocument", document)
            if kind == "AWS::IAM::ManagedPolicy":
                self._managed[resource] = policy
            for value, certain in listed(properties.get(_ATTACHED_BY[kind])):
                role = self._assembly.behind(resource.template, value)
                if role is not None:
                    self._attached[role].append(Attached(policy, certain))

    def of_instance(self, instance: Resource) -> Resource | None:
        """The profile of an instance, None where it is not in the app."""
        given = instance.properties.get("IamInstanceProfile")
        profile = self._assembly.behind(instance.template, given)
        if isinstance(profile, Resource) and profile.type == "AWS::IAM::InstanceProfile":
            return profile
        return None

    def role(self, profile: Resource) -> Role:
        """The role behind a profile; one object for each role."""
        given = list(listed(profile.properties.get("Roles")))
        found: Resource | str | None = None
        if len(given) == 1 and given[0][1]:
            found = self._assembly.behind(profile.template, given[0][0])
        if isinstance(found, str):
            account = profile.template.account
            named = [role for role in self._named[found] if role.template.account == account]
            found = named[0] if len(named) == 1 else found
        if isinstance(found, Resource) and found.type == "AWS::IAM::Role":
            if found not in self._roles:
                self._roles[found] = self._in_app(found)
            return self._roles[found]
        return self._elsewhere(profile, found if isinstance(found, str) else "")

    def _elsewhere(self, profile: Resource, name: str) -> Role:
        role = Role(name, profile)
        if name:
            self._take_attached(role, name, None)
        role.others = anything(
            f"the role {name!r}, which is not in this app" if name else "the role behind it"
        )
        return role

    def _in_app(self, resource: Resource) -> Role:
        properties = resource.properties
        name = text(properties.get("RoleName"))
        role = Role(resource.logical_id, resource)
        for entry, certain in listed(properties.get("Policies")):
            document = entry.get("PolicyDocument") if isinstance(entry, dict) else None
            policy = Policy(resource, "Properties.Policies", document)
            role.inline.append(Attached(policy, certain))
        self._take_attached(role, resource, resource.body.get("Condition"))
        if UNKNOWN not in name:
            self._take_attached(role, name, resource.body.get("Condition"))
        for value, certain in listed(properties.get("ManagedPolicyArns")):
            self._take_managed(role, value, certain=certain)
        for arn, certain in listed(properties.get("PermissionsBoundary")):
            role.boundary = self._boundary(resource.template, arn, certain=certain)
            boundary = self._managed_behind(resource.template, arn)
            if certain and isinstance(boundary, Policy):
                role.boundary_policy = boundary
        return role

    def _take_attached(self, role: Role, to: Resource | str, condition: object) -> None:
        """Take the policies attached to a role as a resource, or by its name in its account."""
        account = role.resource.template.account
        for policy, certain in self._attached.get(to, ()):
            there = policy.resource.template.account
            if isinstance(to, str) and None not in {account, there} and account != there:
                continue
            same = isinstance(to, Resource) or account == there
            deployed = policy.resource.body.get("Condition") in (None, condition)
            policies = role.managed if policy.resource in self._managed else role.inline
            policies.append(Attached(policy, certain and same and deployed))

    def _take_managed(self, role: Role, arn: object, *, certain: bool) -> None:
        found = self._managed_behind(role.resource.template, arn)
        if isinstance(found, Policy):
            role.managed.append(Attached(found, certain))
            return
        if isinstance(found, str):
            role.aws_managed.append(found)
        others = _not_in_app(found, arn)
        role.others += others if certain else _uncertain(others)

    def _boundary(self, template: Template, arn: object, *, certain: bool) -> list[Statement]:
        if not certain:
            return anything("a permissions boundary that it has on a condition")
        found = self._managed_behind(template, arn)
        return found.statements if isinstance(found, Policy) else _not_in_app(found, arn)

    def _managed_behind(self, template: Template, arn: object) -> Policy | str | None:
        """The managed policy of this ARN if it is in the app, or its name if it is AWS's."""
        found = self._assembly.behind(template, arn)
        if isinstance(found, Resource):
            return self._managed.get(found)
        known = text(arn) if found is None else found
        aws_managed = re.fullmatch(r"arn:[^:]*:iam::aws:policy/(?:.*/)?(.+)", known)
        return aws_managed[1] if aws_managed else None


def _not_in_app(aws_managed: str | None, arn: object) -> list[Statement]:
    """What a managed policy says that is AWS's, or else could say."""
    if aws_managed is None:
        return anything(f"the managed policy {shown(arn)}")
    source = f"the AWS managed policy {aws_managed!r}"
    if aws_managed == _needs.AWS_MANAGED_DENY_ALL:
        return statements({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}, source)
    needs = _needs.AWS_MANAGED.get(aws_managed)
    if needs is None:
        return anything(source, may_deny=False)
    allowed = [
        {"Effect": "Allow", "Action": [*need.actions], "Resource": need.resource} for need in needs
    ]
    return statements({"Statement": allowed}, source) if allowed else []


def _uncertain(found: list[Statement]) -> list[Statement]:
    return [statement._replace(certain=False) for statement in found]
