"""Services of Amazon ECS on which `aws ecs execute-command` can't work.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._readiness.parts import mappings
from session_manager_permissions._readiness.policies import Answer
from session_manager_permissions._readiness.templates.functions import listed
from session_manager_permissions._readiness.templates.model import Resource

from .changes import allow_needed
from .fixes import Advice, override
from .permissions import LEAVE_OUT, allow, new_permissions
from .rule import Finding, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._readiness.parts import Parts
    from session_manager_permissions._readiness.roles import Roles

    from .changes import TemplateChanges
    from .fixes import Code, Fix

EXEC_DENIED: Final = "exec-denied"
RULES: Final = (
    warning(
        EXEC_DENIED,
        "`EnableExecuteCommand` with a container whose root file system is read-only or that has "
        "AWS keys in its environment, or with a task role that may not open the channels",
        "the ECS service",
    ),
)

_OPTION: Final = "check_log_encryption=False"
"""The agent of a container does not look at how a log bucket encrypts."""
_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def of_service(parts: Parts, roles: Roles, service: Resource) -> list[Finding] | None:
    """Find what keeps commands from the containers of a service; None if it does not exist."""
    if not service.exists:
        return None
    properties = service.properties
    enabled = parts.fact(service, properties.get("EnableExecuteCommand"), "", default=False)
    task = parts.behind(service.template, properties.get("TaskDefinition"))
    if enabled is not True or not isinstance(task, Resource) or not task.exists:
        return []
    if task.type != "AWS::ECS::TaskDefinition":
        return []
    return [
        Finding(
            EXEC_DENIED,
            (service,),
            "Properties.EnableExecuteCommand",
            f"commands can't be executed in containers of this service: {why}",
            fixes,
        )
        for why, fixes in (*_of_containers(parts, task), *_of_role(parts, roles, service, task))
    ]


def _of_containers(parts: Parts, task: Resource) -> Iterator[tuple[str, tuple[Fix, ...]]]:
    for place, (container, _) in enumerate(mappings(task.properties.get("ContainerDefinitions"))):
        if container is None:
            continue
        name = parts.text(task, container.get("Name"))
        read_only = parts.fact(task, container.get("ReadonlyRootFilesystem"), "", default=False)
        if read_only is True and not _has_volume(parts, task, container):
            why = f"the root file system of the container {name!r} is read-only"
            yield why, (MakeWritable(task, place),)
        given = [
            parts.text(task, entry.get("Name"))
            for by in ("Environment", "Secrets")
            for entry, _ in mappings(container.get(by))
            if entry
        ]
        if any(key in given for key in _KEYS):
            why = f"the agent uses the AWS keys in the environment of the container {name!r}"
            advice = "give the container its permissions by the task role, and no AWS keys"
            yield why, (Advice(advice),)


def _has_volume(parts: Parts, task: Resource, container: dict[str, Any]) -> bool:
    """Tell whether the agent may write to a volume in place of the root file system."""
    return any(
        entry is None or parts.text(task, entry.get("ContainerPath")).startswith(("/var", "\0"))
        for entry, _ in mappings(container.get("MountPoints"))
    )


def _of_role(
    parts: Parts, roles: Roles, service: Resource, task: Resource
) -> Iterator[tuple[str, tuple[Fix, ...]]]:
    written = task.properties.get("TaskRoleArn")
    if written is None:
        needs = [
            parts.text(task, one) for one in listed(task.properties.get("RequiresCompatibilities"))
        ]
        launch = parts.text(service, service.properties.get("LaunchType", ""))
        if launch == "FARGATE" or needs == ["FARGATE"]:
            yield "the task has no role", (GiveTaskRole(task),)
        return
    role = roles.role_of(task.template, written)
    if role is None:
        return
    abilities = roles.abilities(role)
    by_action = {action: abilities[action] for action in _needs.CHANNELS.actions}
    missing = {
        action: ability
        for action, ability in by_action.items()
        if ability.decision.answer >= Answer.IMPLICIT_DENY
    }
    if missing:
        why = f"the task role {role.name!r} is not allowed to call {', '.join(missing)}"
        answers = {ability.decision.answer for ability in missing.values()}
        is_denied = Answer.EXPLICIT_DENY in answers
        yield why, (Advice(LEAVE_OUT),) if is_denied else allow(role, missing, _OPTION)


# Fixes -------------------------------------------------------------------------------------------


class MakeWritable(NamedTuple):
    """Makes the root file system of a container writable, as the agent in it needs."""

    task: Resource
    place: int

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Write the property, by the place of the container."""
        path = f"ContainerDefinitions.{self.place}.ReadonlyRootFilesystem"
        override(code, self.task, path, "False")
        return ""

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Set the property."""
        path = f"Properties.ContainerDefinitions.{self.place}.ReadonlyRootFilesystem"
        changes.set(self.task, path, value=False)
        return ""


class GiveTaskRole(NamedTuple):
    """Gives a task a role that may open the channels."""

    task: Resource

    def write(self, code: Code, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Make the role with its policy."""
        iam, task = code.cdk("iam"), self.task
        role = code.new(
            "task_role",
            f"{iam}.Role({code.stack(task)}, {code.new_id(task, 'Role')}, "
            f'assumed_by={iam}.ServicePrincipal("ecs-tasks.amazonaws.com"))',
        )
        new_permissions(code, task, f"role={role}", registers=False, options=[_OPTION])
        override(code, task, "TaskRoleArn", f"{role}.role_arn")
        return ""

    def change(self, changes: TemplateChanges, resources: tuple[Resource, ...]) -> str:  # noqa: ARG002
        """Make the role with its policy."""
        may = [allow_needed(_needs.CHANNELS)]
        role = changes.make_role(self.task, "ecs-tasks.amazonaws.com", may)
        changes.set(self.task, "Properties.TaskRoleArn", {"Fn::GetAtt": [role, "Arn"]})
        return ""
