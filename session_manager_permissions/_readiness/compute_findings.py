"""Find what is wrong with the compute of an assembly: how it is launched, and its network."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from session_manager_permissions import _needs
from session_manager_permissions._network.facts import Fact, Unknown, all_of, any_of
from session_manager_permissions._network.verdicts import (
    ALWAYS_NEEDED,
    EGRESS_CLOSED,
    ENDPOINT_UNREACHABLE,
    Problem,
    in_words,
)
from session_manager_permissions._trust import EC2, trust

from . import remedies, rules
from .compute import Written
from .network import judge_of
from .rules import Finding
from .templates import (
    UNKNOWN,
    Resource,
    ReturnValue,
    Unresolved,
    is_function,
    parsed,
    present,
    rewritten,
    shown,
)
from .values import GROUP, decider, may_be_one_region

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._network.model import Reference

    from .compute import Compute
    from .roles import Profiles, Role
    from .templates import Stack, Template
    from .values import Values

_USES: Final = {
    "kms": ("kmsKeyId", _needs.decrypt("*", sessions_only=False).sid),
    "s3": ("s3BucketName", _needs.log_objects("*", "", other_account=False).sid),
    "logs": ("cloudWatchLogGroupName", _needs.log_group("*")[-1].sid),
}
"""What shows that sessions use a service: an input of a Session document, and how the Sid of a
statement begins."""


_MANAGEMENT_SETTING: Final = _needs.HOST_MANAGEMENT_SETTING.rpartition("/")[2]
"""How the id of the service setting ends, of which a template may have the ARN."""

_QUICK_SETUP: Final = "AWS::SSMQuickSetup::ConfigurationManager"

_ATTACHES: Final = "AttachIAMToInstance"
"""A part of the names of AWS's runbooks that give an instance a profile."""

_RUNBOOKS: Final = {
    "AWS::Config::RemediationConfiguration": "remediation",
    "AWS::SSM::Association": "association",
}
"""The types of resource that may run a runbook on instances, each with its noun."""


class Computes:
    """Judges the compute of an assembly and the roles that it runs as."""

    def __init__(self, values: Values, profiles: Profiles) -> None:
        self._values = values
        self._profiles = profiles
        self._judge = judge_of(values)
        self._management = [*self._managements()]
        self._documents: defaultdict[Stack, list[dict[str, Fact]]] = defaultdict(list)
        for document in values.by_type["AWS::SSM::Document"]:
            if document.properties.get("DocumentType") == "Session":
                self._documents[document.template.stack].append(self._used_by(document))

    # Roles ---------------------------------------------------------------------------------------

    def of_trust(self, role: Role) -> Iterator[Finding | str]:
        """Yield a finding if EC2 may not assume the role; what decides if that can't be known."""
        if not role.in_app or role.may_be_another:
            return
        written = role.resource.properties.get("AssumeRolePolicyDocument")
        found = trust(self._readable(role.resource.template, written), EC2)
        changed_by = self._values.customised.get(role.resource)
        if found.answer == "unknown":
            yield f"the trust policy of its role {role.name!r}"
        elif found.answer == "allowed":
            return
        elif changed_by is not None:
            yield f"{changed_by.decides}, as {found.why}"
        elif management := self._default_host_management(role.resource):
            yield f"{management}, as {found.why}"
        else:
            yield Finding(
                rules.ROLE_NOT_ASSUMABLE,
                (role.resource,),
                "Properties.AssumeRolePolicyDocument",
                f"the SSM Agent gets no credentials of the role {role.name!r}: {found.why}",
                f"leave {EC2} out of the Deny"
                if found.by_deny
                else remedies.let_assume(role.resource, EC2),
            )

    def _readable(self, template: Template, written: object) -> object:
        """A document without functions; a NUL stands for what only the deployment knows."""

        def readable(function: object) -> str:
            return "".join(map(_readable_part, self._values.assembly.value(template, function)))

        return rewritten(written, readable)

    def _default_host_management(self, resource: Resource) -> str:
        """Name what may give instances in the region credentials; empty if nothing does."""
        for noun, found in self._management:
            one_region = may_be_one_region(found.template.stack, resource.template.stack)
            if one_region or found.type == _QUICK_SETUP:
                return f"the {noun} {found.logical_id!r}"
        return ""

    def _managements(self) -> Iterator[tuple[str, Resource]]:
        """Yield what turns on Default Host Management, or gives running instances a profile.

        Quick Setup may do both, and in any account and region.
        https://docs.aws.amazon.com/systems-manager/latest/userguide/quick-setup-host-management.html
        """
        by_type = self._values.by_type
        for one in by_type["AWS::SSM::DefaultHostManagementConfiguration"]:
            yield "Default Host Management Configuration", one
        for one in by_type[_QUICK_SETUP]:
            yield "Quick Setup configuration", one
        for type_, noun in _RUNBOOKS.items():
            for one in by_type[type_]:
                if _ATTACHES in shown(one.properties):
                    yield noun, one
        for one in self._values.custom():
            if _MANAGEMENT_SETTING in shown(one.properties):
                yield "custom resource", one

    # Compute -------------------------------------------------------------------------------------

    def findings(
        self, computes: list[Compute]
    ) -> tuple[list[Finding], dict[Resource, list[Finding]]]:
        """Return all findings, each cause once, and the findings about each instance profile."""
        told: defaultdict[Resource, dict[Finding | str, None]] = defaultdict(dict)
        profiles: defaultdict[Resource, list[Resource]] = defaultdict(list)
        for compute in computes:
            profile, role, unknown = self._identity(compute)
            if profile is not None:
                profiles[compute.resource].append(profile)
            told[compute.resource].update(dict.fromkeys([*unknown, *self._of(compute, role)]))
        by_resource = {resource: _worst(resource, [*several]) for resource, several in told.items()}
        by_profile: defaultdict[Resource, list[Finding]] = defaultdict(list)
        for resource, of_resource in profiles.items():
            for profile in of_resource:
                by_profile[profile] += by_resource[resource]
        return _each_once([one for found in by_resource.values() for one in found]), by_profile

    def _identity(self, compute: Compute) -> tuple[Resource | None, Role | None, list[str]]:
        """Return the profile and the role of compute, and if they are not known, what decides."""
        written = compute.profile
        if compute.role is not None:
            role = self._profiles.role_of(compute.role.template, compute.role.value)
            unknown = [] if role else [decider(compute.role.value, "role")]
            return None, role, unknown
        if not isinstance(written, Written):
            return None, None, []
        profile = self._profiles.profile_of(written.template, written.value)
        if profile is None:
            return None, None, [decider(written.value, "instance profile")]
        return profile, self._profiles.role_behind[profile], []

    def _of(self, compute: Compute, role: Role | None) -> Iterator[Finding | str]:
        """Yield what keeps Session Manager from compute, and what decides on that."""
        if compute.opaque:
            yield f"how {compute.opaque} launches them"
            return
        where, instances = compute.set_in, remedies.kind_of(compute.set_in)
        if isinstance(compute.profile, Unknown) and compute.placements:
            yield compute.profile.decides
        elif compute.profile is None and compute.role is None:
            yield self._default_host_management(compute.resource) or Finding(
                rules.NO_INSTANCE_PROFILE,
                (where,),
                f"Properties.{instances.launch}IamInstanceProfile",
                f"Session Manager can't reach {instances.instances}: no instance profile "
                "gives the SSM Agent credentials, and so they depend on the account's "
                "Default Host Management Configuration",
                remedies.give_profile(where),
            )
        elif role is not None and compute.role is not None:
            yield from self.of_trust(role)
        if compute.metadata_off is True:
            yield Finding(
                rules.METADATA_OFF,
                (where,),
                f"Properties.{instances.launch}MetadataOptions.HttpEndpoint",
                f"Session Manager can't reach {instances.instances}: the instance metadata "
                "service, which gives the SSM Agent its credentials, is disabled",
                remedies.turn_on_metadata(where),
            )
        elif isinstance(compute.metadata_off, Unknown):
            yield compute.metadata_off.decides
        yield from self._of_network(compute, role)

    def _of_network(self, compute: Compute, role: Role | None) -> Iterator[Finding | str]:
        if not compute.placements:
            yield "what launches from it, and where"
            return
        uses = self._uses(compute, role)
        needed = (*ALWAYS_NEEDED, *(name for name, fact in uses.items() if fact is True))
        verdict = self._judge.judge(compute.placements, needed)
        yield from verdict.decides
        for service, fact in uses.items():
            if isinstance(fact, Unknown):
                way = self._judge.judge(compute.placements, (service,))
                if way.problems:
                    yield fact.decides
        for problem in verdict.problems:
            yield _of_problem(problem, compute, self._around(compute, problem))

    def _around(self, compute: Compute, problem: Problem) -> remedies.Around:
        place, values = compute.placements[0], self._values
        vpc = values.vpc_of(place.subnet)
        of_endpoint: tuple[Reference, ...] = ()
        if isinstance(problem.subject, Resource):
            given = problem.subject.properties.get("SecurityGroupIds")
            of_endpoint = values.references(problem.subject.template, given, GROUP)
        parts = (vpc, (*place.groups, vpc)[0], (*of_endpoint, vpc)[0])
        return remedies.Around(*(one if isinstance(one, Resource) else None for one in parts))

    # What sessions use ---------------------------------------------------------------------------

    def _uses(self, compute: Compute, role: Role | None) -> dict[str, Fact]:
        """Whether sessions use each service that not every session needs.

        The Session documents of the stack say so, else those of its region. If there are none, the
        Sids of this library on the role do.
        """
        documents = self._documents.get(compute.resource.template.stack)
        if documents is None:
            documents = [
                used
                for stack, several in self._documents.items()
                if stack.environment == compute.resource.template.stack.environment
                for used in several
            ]
            self._documents[compute.resource.template.stack] = documents
        if documents:
            return {service: _of_all([used[service] for used in documents]) for service in _USES}
        sids = [
            statement.sid
            for policy, certain in (role.attached if role else ())
            if certain
            for statement in policy.reading.statements
        ]
        return {
            service: any(sid.startswith(begin) for sid in sids)
            for service, (_, begin) in _USES.items()
        }

    def _used_by(self, document: Resource) -> dict[str, Fact]:
        """Whether the sessions of a Session document use each of these services."""
        content = document.properties.get("Content")
        if isinstance(content, str):
            content = parsed(content)
        doubt = Unknown(f"the Session document {document.logical_id!r}")
        inputs = None
        if isinstance(content, dict) and "schemaVersion" in content:
            inputs = content.get("inputs", {})
        if not isinstance(inputs, dict) or is_function(inputs):
            return dict.fromkeys(_USES, doubt)
        exists = self._values.exists(document)
        return {
            service: all_of((exists, self._is_given(document, present(inputs, name))))
            for service, (name, _) in _USES.items()
        }

    def _is_given(self, document: Resource, written: object) -> Fact:
        if written is None:
            return False
        value = self._values.assembly.value(document.template, written)
        if any(isinstance(part, (str, ReturnValue)) for part in value):
            return True
        return Unknown(f"the Session document {document.logical_id!r}") if value else False


def _of_all(facts: list[Fact]) -> Fact:
    """Whether sessions use a service, of the documents that they may be started with."""
    used = all_of(facts)
    if used is False and any_of(facts) is not False:
        return Unknown("the Session document that a session is started with")
    return used


def _of_problem(problem: Problem, compute: Compute, around: remedies.Around) -> Finding:
    kind = remedies.kind_of(compute.resource)
    why = f"Session Manager can't reach {kind.instances}: {problem.why}"
    where, location = compute.resource, f"Properties.{kind.subnets}".removesuffix(".")
    if problem.cause == EGRESS_CLOSED:
        where, location = compute.set_in, "Properties"
    elif problem.cause == ENDPOINT_UNREACHABLE and isinstance(problem.subject, Resource):
        where, location = problem.subject, "Properties"
    always = [service for service in problem.services if service in ALWAYS_NEEDED]
    if not always:
        services = in_words(problem.services)
        why = f"sessions on {kind.instances} that use {services} fail: {problem.why}"
    return Finding(
        problem.cause,
        (where,),
        location,
        why,
        remedies.fix(problem, compute.resource, compute.set_in, around),
    )


def _worst(resource: Resource, told: list[Finding | str]) -> list[Finding]:
    """Return what is certain of compute; if nothing is, that it can't be known, if something is."""
    found = [one for one in told if isinstance(one, Finding)]
    decides = [one for one in told if isinstance(one, str)]
    if found or not decides:
        return found
    instances = remedies.kind_of(resource).instances
    finding = Finding(
        rules.CANNOT_BE_KNOWN,
        (resource,),
        "Properties",
        f"it can't be known at synthesis whether Session Manager reaches {instances}: that "
        f"depends on {', and on '.join(decides)}",
        "ask AWS after the deployment: session-manager-permissions verify --instance-id ID",
    )
    return [finding]


def _each_once(findings: list[Finding]) -> list[Finding]:
    """Merge the findings of one cause, list all of its resources, and sort by `RULES`."""
    resources: defaultdict[Finding, dict[Resource, None]] = defaultdict(dict)
    for finding in findings:
        resources[finding._replace(resources=())].update(dict.fromkeys(finding.resources))
    order = [*rules.RULES].index
    found = [one._replace(resources=tuple(where)) for one, where in resources.items()]
    return sorted(found, key=lambda one: order(one.rule))


def _readable_part(part: str | ReturnValue | Unresolved) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Unresolved) and part.expression == "AWS::URLSuffix":
        return "${AWS::URLSuffix}"
    return UNKNOWN
