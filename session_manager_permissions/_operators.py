"""What may an operator do: the statements behind `aws ssm start-session`, and their grant."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from . import _needs
from ._arns import Environment, differ, is_token, parse_arn, refuse_wildcards
from ._keys import session_key
from ._roles import is_lookup_dummy, refuse_fixed, reports_only
from ._types import refuse_wrong_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constructs import IConstruct

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
_INSTANCES: Final = (("ec2", "instance"), ("ssm", "managed-instance"))
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
        TypeError: the grantee or something in `access` has the wrong type.
        ValueError: the instances are not chosen, or nothing was granted.
    """
    _refuse_wrong_types(grantee, access)
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
        for key, value in sorted(access.instance_tags.items())
    }
    kinds = [access.allow_ssh, access.allow_port_forwarding]
    # Two stacks may refer to a document of each by the same words.
    asked = json.dumps([stack.node.path, stack.resolve([document, arns, tags, kinds])])
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
        if parts is None and (is_token(arn) or cdk.Token.is_unresolved([arn])):  # one, or a list
            continue
        kind, _, instance_id = (parts.resource if parts else "").partition("/")
        if not (parts and instance_id and (parts.service, kind) in _INSTANCES):
            raise ValueError(
                f"instance_arns has {arn!r}, which is no instance's ARN: "
                "arn:…:ec2:REGION:ACCOUNT:instance/ID"
            )
        refuse_wildcards("instance_arns", arn)
    for key, values in access.instance_tags.items():
        if not values and not isinstance(values, str):
            raise ValueError(
                f"instance_tags[{key!r}] has no value, so that no instance can have it: give one "
                "or several"
            )


def _refuse_wrong_types(grantee: iam.IGrantable, access: Access) -> None:
    if getattr(grantee, "grant_principal", None) is None:
        raise TypeError(
            "grantee must be a user, a group, a role or what else CDK grants to, got "
            f"{type(grantee).__name__} {grantee!r}: for a role that exists give "
            "iam.Role.from_role_name(scope, id, name)"
        )
    arns, tags = access.instance_arns, access.instance_tags
    if isinstance(arns, str):
        raise TypeError(
            f"instance_arns must be a sequence of ARNs, got str {arns!r}: give it in a list"
        )
    for arn in arns:
        refuse_wrong_type("each of instance_arns", arn, str)
    refuse_wrong_type("instance_tags", tags, Mapping)
    for key, value in tags.items():
        is_several = isinstance(value, Sequence) and not isinstance(value, str)
        for each in value if is_several else [value]:
            refuse_wrong_type(f"instance_tags[{key!r}]", each, str)
    for flag in ("all_instances", "allow_ssh", "allow_port_forwarding", "allow_console"):
        refuse_wrong_type(flag, getattr(access, flag), bool)


def _refuse_lost(granted: iam.Grant, grantee: iam.IGrantable) -> None:
    """Refuse a grant that went nowhere; CDK calls some of those a success."""
    if granted.success and _takes_policies(grantee.grant_principal):
        return
    node = getattr(grantee, "node", None)
    name = f"of the type {type(grantee).__name__}" if node is None else repr(node.path)
    raise ValueError(
        f"grantee {name} can't be granted anything from here, as its policies are managed "
        "elsewhere: give a user, a group or a role of this account that is not immutable"
    )


def _takes_policies(principal: iam.IPrincipal) -> bool:
    """Whether what was granted is in a policy, or CDK leaves it out on purpose.

    Raises:
        ValueError: it is a role whose policies nobody but AWS can change.
    """
    if isinstance(principal, iam.UnknownPrincipal):  # it warns, and no more
        return False
    # A lazy role keeps the statements until someone needs the role: asking would make it.
    if isinstance(principal, (iam.Role, iam.LazyRole)):
        return True
    role_arn: str | None = getattr(principal, "role_arn", None)
    if role_arn is None:
        return not _is_of_other_account(principal)
    parts = parse_arn(role_arn)
    if parts is not None:
        refuse_fixed(role_arn, parts)
    role = cast("iam.IRole", principal)
    has_policy = any(isinstance(node, iam.Policy) for node in role.node.find_all())
    return has_policy or reports_only(role) or is_lookup_dummy(role)


def _is_of_other_account(principal: iam.IPrincipal) -> bool:
    """Whether this is a user or a group imported from there: CDK grants to the one of its name."""
    arn: str | None = getattr(principal, "user_arn", None) or getattr(principal, "group_arn", None)
    parts = None if arn is None else parse_arn(arn)
    if parts is None:
        return False
    here = Environment.of(cdk.Stack.of(cast("IConstruct", principal))).account
    return differ(Environment.in_arn(parts).account, here)
