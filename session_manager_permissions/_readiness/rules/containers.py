"""Services of Amazon ECS on which `aws ecs execute-command` can't work.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from session_manager_permissions import _needs
from session_manager_permissions._evaluation import Answer
from session_manager_permissions._readiness.parts import Parts, inner
from session_manager_permissions._readiness.sessions import KEY, Document
from session_manager_permissions._readiness.templates.functions import entries, listed, mapping
from session_manager_permissions._readiness.worlds import only_if

from .permissions import grant
from .remedies import Advice, Allow, Fix, Set, Writer, leave_out
from .rule import Finding, warning
from .statements import Option, Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._readiness.templates.model import Resource

    from .sessions import SessionRules

EXEC_DENIED: Final = warning(
    "exec-denied",
    "`EnableExecuteCommand` with a container whose root file system is read-only or that has "
    "AWS keys in its environment, or with a task role that may not open the channels, or "
    "may not use the key or the logs of the cluster",
    "the ECS service",
)
RULES: Final = (EXEC_DENIED,)

_NO_BUCKET: Final = Option("check_log_encryption", value=False)
"""Without a log bucket, the agent does not read how one is encrypted."""
_DENIED: Final = "commands can't be executed in containers of this service"
_LOST: Final = "the logs of commands in containers of this service are lost"


def of_service(rules: SessionRules, service: Resource) -> list[Finding]:
    """Find why commands can't be executed in the containers of a service."""
    only_if(service.exists)
    properties, parts = service.properties, rules.parts
    enabled = parts.fact(service, properties.get("EnableExecuteCommand"), "", default=False)
    written = properties.get("TaskDefinition")
    task = parts.assembly.resource("AWS::ECS::TaskDefinition", service.template, written)
    if enabled is not True or task is None or not task.exists:
        return []
    told = (*_container_faults(parts, task), *_role_faults(rules, service, task))
    found = partial(EXEC_DENIED.found, service, "Properties.EnableExecuteCommand")
    return [found(said, *fixes) for said, fixes in told]


_Said: TypeAlias = "tuple[str, tuple[Fix, ...]]"
"""What a finding says, and its fixes."""


def _container_faults(parts: Parts, task: Resource) -> Iterator[_Said]:
    for place, container in enumerate(entries(task.properties.get("ContainerDefinitions"))):
        of = f"the container {parts.text(task, container.get('Name'))!r}"
        denied = f"commands can't be executed in {of} of this service"
        read_only = parts.fact(task, container.get("ReadonlyRootFilesystem"), "", default=False)
        if read_only is True and not _has_volume(parts, task, container):
            path = f"ContainerDefinitions.{place}.ReadonlyRootFilesystem"
            yield f"{denied}: its root file system is read-only", (Set(task, path, value=False),)
        given = [
            parts.text(task, entry.get("Name"))
            for by in ("Environment", "Secrets")
            for entry in entries(container.get(by))
        ]
        if any(key in given for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")):
            advice = f"give {of} its permissions through the task role, without AWS keys"
            yield f"{denied}: the agent uses the AWS keys in its environment", (Advice(advice),)


def _has_volume(parts: Parts, task: Resource, container: dict[str, Any]) -> bool:
    """Tell whether a volume may take the place of the read-only root file system for the agent."""
    in_memory = mapping(container.get("LinuxParameters")).get("Tmpfs")
    return "VolumesFrom" in container or any(
        parts.text(task, entry.get("ContainerPath")).startswith(("/var", "\0"))
        for entry in entries([container.get("MountPoints"), in_memory])
    )


def _role_faults(rules: SessionRules, service: Resource, task: Resource) -> Iterator[_Said]:
    parts, decisions = rules.parts, rules.decisions
    written, asked = task.properties.get("TaskRoleArn"), _exec_configuration(parts, service)
    also = () if asked and mapping(asked.inputs).get("s3BucketName") else (_NO_BUCKET,)
    if written is None:
        required = listed(task.properties.get("RequiresCompatibilities"))
        launch = parts.text(service, service.properties.get("LaunchType", ""))
        if launch == "FARGATE" or [parts.text(task, one) for one in required] == ["FARGATE"]:
            options = (*also, *(rules.options(asked) if asked else ()))
            yield f"{_DENIED}: the task has no role", (GiveTaskRole(task, options),)
        return
    role = decisions.roles.role_of(task.template, written)
    if role is None or parts.changed(role.resource):
        return
    abilities = decisions.abilities(role)
    missing = {
        action: abilities[action]
        for action in _needs.CHANNELS.actions
        if abilities[action].decision.answer >= Answer.IMPLICIT_DENY
    }
    calls = rules.denied(role, asked) if asked else []
    fixes: list[Fix] = [rules.fix(role, asked, calls)] if asked and calls else []
    lacking = [", ".join(missing)] if missing else []
    deny = Answer.EXPLICIT_DENY
    if by_deny := [name for name, one in missing.items() if one.decision.answer is deny]:
        fixes.insert(0, leave_out(by_deny, role.resource))
    elif missing:
        fix = grant(role, missing, *also)
        match fixes:
            case [Allow() as more]:
                fixes = [fix.with_more(more)]
            case _:
                fixes.insert(0, fix)
    if asked and calls:
        actions = ", ".join(dict.fromkeys(call.action for call in calls))
        lacking.append(f"{actions}, as the cluster {asked.resource.logical_id!r} asks for")
    if lacking:
        what = _DENIED if missing or any(call.ends for call in calls) else _LOST
        may_not = f"is not allowed to call {', and '.join(lacking)}"
        yield f"{what}: the task role {role.name!r} {may_not}", tuple(dict.fromkeys(fixes))


def _exec_configuration(parts: Parts, service: Resource) -> Document | None:
    """Return the `ExecuteCommandConfiguration` of a service's cluster, as a Session document."""
    written = service.properties.get("Cluster")
    cluster = parts.assembly.resource("AWS::ECS::Cluster", service.template, written)
    if cluster is None or parts.changed(cluster):
        return None
    executes = inner(cluster.properties, "Configuration", "ExecuteCommandConfiguration") or {}
    inputs = {KEY: executes.get("KmsKeyId")}
    if parts.text(cluster, executes.get("Logging")) == "OVERRIDE":
        logs = mapping(executes.get("LogConfiguration"))
        # The inputs of a Session document have the same names in camel case.
        inputs |= {f"{name[0].lower()}{name[1:]}": value for name, value in logs.items()}
    return Document(cluster, inputs)


# Fixes -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GiveTaskRole(Fix):
    """Gives a task a role that may open the channels and make the calls that ECS Exec needs."""

    task: Resource
    options: Options

    def apply(self, to: Writer) -> None:
        """Make the role with its policy."""
        service, may = "ecs-tasks.amazonaws.com", (_needs.CHANNELS,)
        to.set(self.task, "TaskRoleArn", to.make_role(self.task, service, may, self.options).arn)
