"""What may an operator do: the statements behind `aws ssm start-session`, and their grant."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from . import _needs
from ._arns import parse_arn, refuse_wildcards
from ._keys import session_key
from ._roles import is_lookup_dummy, reports_only

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ._preferences import SessionPreferences

_SSH: Final = ("AWS-StartSSHSession",)
_PORT_FORWARDING: Final = (
    "AWS-StartPortForwardingSession",
    "AWS-StartPortForwardingSessionToRemoteHost",
)
_CONSOLE: Final = (
    "ssm:DescribeSessions",
    "ssm:GetConnectionStatus",
    "ssm:DescribeInstanceProperties",
    "ec2:DescribeInstances",
)
_CHECK_DOCUMENT: Final = {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}
"""Has Session Manager ask for the document too where a client names none."""


class Access(NamedTuple):
    """On which instances, and by what kinds of session."""

    instance_arns: Sequence[str]
    instance_tags: Mapping[str, str | Sequence[str]]
    all_instances: bool
    allow_ssh: bool
    allow_port_forwarding: bool
    allow_console: bool


class _Statement(NamedTuple):
    actions: list[str]
    resources: list[str]
    conditions: Mapping[str, Mapping[str, object]] | None = None
    sid: str | None = None


def grant(preferences: SessionPreferences, grantee: iam.IGrantable, access: Access) -> iam.Grant:
    """Grant what `access` asks for on the document of `preferences`.

    Raises:
        ValueError: the instances are not chosen, or nothing was granted.
    """
    _refuse_unchosen(access)
    grants = [_grant(grantee, statement) for statement in _statements(preferences, access)]
    granted = functools.reduce(lambda so_far, one: so_far.combine(one), grants)
    _refuse_lost(granted, grantee)
    return granted


def _grant(grantee: iam.IGrantable, statement: _Statement) -> iam.Grant:
    one = iam.Grant.add_to_principal(
        grantee=grantee,
        actions=statement.actions,
        resource_arns=statement.resources,
        conditions=statement.conditions,
    )
    for granted in one.principal_statements:
        granted.sid = statement.sid
    return one


def _statements(preferences: SessionPreferences, access: Access) -> Iterator[_Statement]:
    """Those of "Sample IAM policies for Session Manager" in the Systems Manager user guide.

    Instances and documents stand apart, as a tag condition holds for instances only, and have a Sid
    each, as CDK joins statements without one; it differs for one principal's several grants.
    """
    stack = cdk.Stack.of(preferences)
    document = preferences.document_arn
    arns = [*access.instance_arns]
    tags = {
        f"ssm:resourceTag/{key}": value if isinstance(value, str) else [*value]
        for key, value in access.instance_tags.items()
    }
    kinds = [access.allow_ssh, access.allow_port_forwarding]
    asked = json.dumps(stack.resolve([document, arns, tags, kinds]), sort_keys=True)
    grant_id = hashlib.sha256(asked.encode()).hexdigest()[:8]
    yield _Statement(
        ["ssm:StartSession"],
        arns or [stack.format_arn(service="ec2", resource="instance", resource_name="*")],
        {**_CHECK_DOCUMENT, **({"StringEquals": tags} if tags else {})},
        f"StartSessionInstances{grant_id}",
    )
    aws_documents = (
        *(_SSH if access.allow_ssh else ()),
        *(_PORT_FORWARDING if access.allow_port_forwarding else ()),
    )
    yield _Statement(
        ["ssm:StartSession"],
        [
            document,
            *(
                # AWS's own documents have no account.
                stack.format_arn(service="ssm", account="", resource="document", resource_name=name)
                for name in aws_documents
            ),
        ],
        _CHECK_DOCUMENT,
        f"StartSessionDocument{grant_id}",
    )
    own_sessions = stack.format_arn(
        service="ssm",
        region="*",
        account="*",
        resource="session",
        resource_name="${aws:userid}-*",
    )
    yield _Statement(
        ["ssm:TerminateSession", "ssm:ResumeSession", "ssmmessages:OpenDataChannel"], [own_sessions]
    )
    if access.allow_console:
        yield _Statement([*_CONSOLE], ["*"])
    if preferences.encryption_key is not None:
        found = session_key(preferences.encryption_key)
        conditions = _needs.having_alias(found.alias_name) or None
        yield _Statement(["kms:GenerateDataKey"], [found.resource], conditions)


def _refuse_unchosen(access: Access) -> None:
    chosen = bool(access.instance_arns or access.instance_tags)
    if chosen == access.all_instances:
        raise ValueError(
            "give instance_arns or instance_tags to choose the instances, or all_instances=True "
            f"for every one, got {'both' if chosen else 'none of them'}"
        )
    for arn in access.instance_arns:
        parts = parse_arn(arn)
        if parts is None and "${" in arn:  # a token as a whole
            continue
        kind = parts and (parts.service, parts.resource.partition("/")[0])
        if kind not in (("ec2", "instance"), ("ssm", "managed-instance")):
            raise ValueError(
                f"instance_arns has {arn!r}, which is no instance's ARN: "
                "arn:…:ec2:REGION:ACCOUNT:instance/ID"
            )
        refuse_wildcards("instance_arns", arn)


def _refuse_lost(granted: iam.Grant, grantee: iam.IGrantable) -> None:
    """Refuse a grant that went nowhere; of an immutable role or user CDK calls it a success."""
    principal = grantee.grant_principal
    if granted.success and not hasattr(principal, "attach_inline_policy"):
        return
    if granted.success:
        identity = cast("iam.IRole", principal)
        has_policy = any(isinstance(node, iam.Policy) for node in identity.node.find_all())
        if has_policy or reports_only(identity) or is_lookup_dummy(identity):
            return
    raise ValueError(
        f"grantee {grantee!r} can't be granted anything from here, as its policies are managed "
        "elsewhere: give a user, a group or a role of this account that is not immutable"
    )
