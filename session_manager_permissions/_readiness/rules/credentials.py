"""What gives the SSM Agent credentials: a profile, a role that EC2 may assume, and metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._network.facts import Unknown
from session_manager_permissions._readiness.templates.functions import mapping
from session_manager_permissions._trust import EC2, trust

from .changes import allow_needed, trusted
from .fixes import Advice, add_statement, override
from .kinds import SPOT_FLEET, kind_of
from .permissions import new_permissions
from .rule import Finding, Told, not_ready
from .writer import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._readiness.compute import Compute
    from session_manager_permissions._readiness.host_management import HostManagement
    from session_manager_permissions._readiness.parts import Parts
    from session_manager_permissions._readiness.roles import Role
    from session_manager_permissions._readiness.templates.model import Resource, Template

    from .changes import TemplateChanges
    from .fixes import Code

NO_INSTANCE_PROFILE: Final = "no-instance-profile"
ROLE_NOT_ASSUMABLE: Final = "role-not-assumable"
METADATA_OFF: Final = "metadata-off"
RULES: Final = (
    not_ready(
        NO_INSTANCE_PROFILE,
        "compute without an instance profile: the agent has no credentials, unless Default "
        "Host Management Configuration gives it some",
        "the instance, launch template or launch configuration",
    ),
    not_ready(
        ROLE_NOT_ASSUMABLE, "a trust policy that does not let EC2 assume the role", "the role"
    ),
    not_ready(
        METADATA_OFF,
        "`HttpEndpoint: disabled`: the agent gets no credentials",
        "the instance, launch template or launch configuration",
    ),
)


def of_trust(parts: Parts, management: HostManagement, role: Role) -> Iterator[Told]:
    """Find a role that EC2 may not assume."""
    if not role.in_app:
        return
    resource = role.resource
    written = resource.properties.get("AssumeRolePolicyDocument")
    found = trust(parts.assembly.document(resource.template, written), EC2)
    if found.answer == "allowed":
        return
    changed_by = parts.changed(resource)
    if found.answer == "unknown":
        yield f"the trust policy of its role {role.name!r}"
    elif changed_by is not None:
        yield f"{changed_by.decides}, as {found.why}"
    elif stands_in := management.of(resource):
        yield f"{stands_in}, as {found.why}"
    else:
        yield Finding(
            ROLE_NOT_ASSUMABLE,
            (resource,),
            "Properties.AssumeRolePolicyDocument",
            f"the SSM Agent gets no credentials of the role {role.name!r}: {found.why}",
            (Advice(f"leave {EC2} out of the Deny") if found.by_deny else LetAssume(),),
        )


def of_profile(management: HostManagement, compute: Compute) -> Iterator[Told]:
    """Find compute that has no instance profile."""
    if isinstance(compute.profile, Unknown) and compute.placements:
        yield compute.profile.decides
    elif compute.profile is None and compute.role is None:
        where, instances = compute.set_in, kind_of(compute.set_in)
        yield management.gives_profile(compute.resource) or Finding(
            NO_INSTANCE_PROFILE,
            (where,),
            f"Properties.{instances.launch}IamInstanceProfile",
            f"Session Manager can't reach {instances.instances}: no instance profile "
            "gives the SSM Agent credentials, and so they depend on the account's "
            "Default Host Management Configuration",
            (GiveProfile(),),
        )


def of_metadata(compute: Compute) -> Iterator[Told]:
    """Find compute whose metadata endpoint is disabled."""
    if isinstance(compute.metadata_off, Unknown):
        yield compute.metadata_off.decides
    elif compute.metadata_off:
        where, instances = compute.set_in, kind_of(compute.set_in)
        yield Finding(
            METADATA_OFF,
            (where,),
            f"Properties.{instances.launch}MetadataOptions.HttpEndpoint",
            f"Session Manager can't reach {instances.instances}: the instance metadata "
            "service, which gives the SSM Agent its credentials, is disabled",
            (EnableMetadata(),),
        )


# Fixes -------------------------------------------------------------------------------------------


class LetAssume(NamedTuple):
    """Lets EC2 assume a role."""

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:
        """Add a statement to the trust policy."""
        (role,) = resources
        if code.is_l2(role):
            iam = code.cdk("iam")
            code.add(
                f"{code.l2(role)}.assume_role_policy.add_statements({iam}.PolicyStatement("
                f'actions=["sts:AssumeRole"], principals=[{iam}.ServicePrincipal("{EC2}")]))'
            )
            return ""
        if add_statement(code, role, "AssumeRolePolicyDocument", trusted(EC2)):
            return ""
        return f"let {EC2} assume the role in its trust policy"

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:
        """Add a statement to the trust policy."""
        (role,) = resources
        if changes.statement(role, "Properties.AssumeRolePolicyDocument", trusted(EC2)):
            return ""
        return f"let {EC2} assume the role in its trust policy"


class EnableMetadata(NamedTuple):
    """Turns the metadata endpoint on."""

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:
        """Write the property."""
        for resource in resources:
            path = f"{kind_of(resource).launch}MetadataOptions.HttpEndpoint"
            override(code, resource, path, '"enabled"')
        return ""

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:
        """Set the property."""
        for resource in resources:
            path = f"Properties.{kind_of(resource).launch}MetadataOptions.HttpEndpoint"
            changes.set(resource, path, "enabled")
        return ""


class GiveProfile(NamedTuple):
    """Gives instances a profile with a role that has the permissions."""

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:
        """Make one profile in each stack, and have the instances wait for its policy."""
        for several in _by_template(resources):
            profile, permissions = _new_profile(code, several[0])
            for one in several:
                for path in _without_profile(one):
                    override(code, one, path, _as_given(one, profile))
                for machine in code.launched_from(one):
                    code.wait(machine, permissions)
        return ""

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:
        """Make one profile in each template, with a role that has its policy from the start."""
        may = [allow_needed(one) for one in (_needs.CHANNELS, _needs.REGISTRATION)]
        for several in _by_template(resources):
            role = {"Ref": changes.make_role(several[0], EC2, may)}
            made = {"Roles": [role]}
            profile = changes.make(several[0], "Profile", "AWS::IAM::InstanceProfile", made)
            for one in several:
                arn = {"Arn": {"Fn::GetAtt": [profile, "Arn"]}}
                for path in _without_profile(one):
                    given = {"Ref": profile} if one.type in _BY_NAME else arn
                    changes.set(one, f"Properties.{path}", given)
        return ""


def _by_template(resources: tuple[Resource, ...]) -> list[list[Resource]]:
    found: dict[Template, list[Resource]] = {}
    for resource in resources:
        found.setdefault(resource.template, []).append(resource)
    return [*found.values()]


def _new_profile(code: Code, about: Resource) -> tuple[str, str]:
    """Return the variables of a new profile and of its permissions."""
    iam, stack = code.cdk("iam"), code.stack(about)
    role = code.new(
        "session_manager_role",
        f"{iam}.Role({stack}, {code.new_id(about, 'Role')}, "
        f'assumed_by={iam}.ServicePrincipal("{EC2}"))',
    )
    made_by = f"{iam}.InstanceProfile({stack}, {code.new_id(about, 'Profile')}, role={role})"
    profile = code.new("session_manager_profile", made_by)
    given = f"instance_profile={profile}"
    return profile, new_permissions(code, about, given, registers=True)


def _without_profile(resource: Resource) -> Iterator[str]:
    """Yield where a resource has to name a profile."""
    kind = kind_of(resource)
    if resource.type != SPOT_FLEET:
        yield f"{kind.launch}IamInstanceProfile"
        return
    several = "SpotFleetRequestConfigData.LaunchSpecifications"
    specifications = written(resource, several)
    for number, one in enumerate(specifications if isinstance(specifications, list) else ()):
        if not mapping(one).get("IamInstanceProfile"):
            yield f"{several}.{number}.IamInstanceProfile"


def _as_given(resource: Resource, profile: str) -> str:
    """Return how a property of the resource names a profile."""
    arn = f'{{"Arn": {profile}.instance_profile_arn}}'
    return f"{profile}.instance_profile_name" if resource.type in _BY_NAME else arn


_BY_NAME: Final = ("AWS::EC2::Instance", "AWS::AutoScaling::LaunchConfiguration")
"""The types that name a profile by its name alone."""
