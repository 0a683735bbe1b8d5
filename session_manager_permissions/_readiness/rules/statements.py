"""Permissions as policy statements of a template, and as options of `SessionManagerPermissions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from session_manager_permissions import _needs
from session_manager_permissions._readiness.templates.model import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AWS_MANAGED: Final = "arn:${AWS::Partition}:iam::aws:policy/"
"""The beginning of the ARN of an AWS managed policy."""
BUCKET_KEY: Final = "log_bucket_key"
"""The option that stands for the key of the log bucket."""
_LOG_GROUPS: Final = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:"

Needed: TypeAlias = "Iterable[_needs.NeededStatement]"
"""Statements of `_needs`, which templates and code write differently."""


def policy_of(statements: Iterable[object]) -> dict[str, object]:
    """Return a policy document."""
    return {"Version": "2012-10-17", "Statement": [*statements]}


def inline(name: str, statements: Iterable[object]) -> dict[str, object]:
    """Return an inline policy. Another policy of the same name would replace it on the role."""
    return {"PolicyName": name, "PolicyDocument": policy_of(statements)}


def allow(actions: Iterable[str], resource: object = "*") -> dict[str, object]:
    """Return a statement that allows actions."""
    return {"Effect": "Allow", "Action": [*actions], "Resource": resource}


def statement_of(needed: _needs.NeededStatement) -> dict[str, object]:
    """Return a statement of `_needs`. In its resource, `${...}` refers to the template."""
    resource = {"Fn::Sub": needed.resource} if "${" in needed.resource else needed.resource
    return {"Sid": needed.sid, **allow(needed.actions, resource)}


def trusted(service: str) -> dict[str, object]:
    """Return a statement that lets a service assume a role."""
    return {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}


class Option(NamedTuple):
    """An argument of `SessionManagerPermissions`."""

    name: str
    value: Resource | str | bool
    """A resource of the app, or a literal value."""


Options: TypeAlias = tuple[Option, ...]


def resources_of(options: Iterable[Option]) -> list[Resource]:
    """Return the resources that options name."""
    return [one for _, one in options if isinstance(one, Resource)]


def needed_by(options: Iterable[Option]) -> Iterator[_needs.NeededStatement]:
    """Yield the statements that options stand for."""
    given = dict(options)
    key, bucket, group = map(given.get, ("encryption_key", "log_bucket", "log_group"))
    of_bucket = given.get(BUCKET_KEY)
    if isinstance(key, Resource):
        yield _needs.decrypt(f"${{{key.logical_id}.Arn}}", sessions_only=False)
    name = f"${{{group.logical_id}}}" if isinstance(group, Resource) else group
    needed = _needs.needed(
        bucket_arn=f"${{{bucket.logical_id}.Arn}}" if isinstance(bucket, Resource) else None,
        bucket_key=(f"${{{of_bucket.logical_id}.Arn}}", None)
        if isinstance(of_bucket, Resource)
        else None,
        prefix=_needs.joined(str(given.get("log_prefix", ""))),
        group_arn=f"{_LOG_GROUPS}{name}" if name else None,
        allow_registration=False,
        check_log_encryption=bucket is not None,
    )
    yield from (one for one in needed if one is not _needs.CHANNELS)
