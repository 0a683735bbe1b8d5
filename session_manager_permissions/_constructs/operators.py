"""Grant an operator the permissions to start sessions."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from session_manager_permissions import _limits, _needs

from . import tokens
from .checks import described, refuse_no_sequence, refuse_wrong_text, refuse_wrong_type
from .keys import session_key
from .roles import is_lookup_dummy, known_path, refuse_by_arn, reports_only

if TYPE_CHECKING:
    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from constructs import IConstruct

_AWS_DOCUMENTS: Final = {
    "allow_ssh": ["AWS-StartSSHSession"],
    "allow_port_forwarding": ["AWS-StartPortForwardingSession"],
    "allow_remote_port_forwarding": ["AWS-StartPortForwardingSessionToRemoteHost"],
    "allow_interactive_commands": ["AWS-StartInteractiveCommand", "AWS-StartNonInteractiveCommand"],
    "allow_remote_desktop": ["AWS-StartPortForwardingSession"],
}
"""AWS's own documents that each option allows."""
_CONSOLE: Final = (
    *("ssm:DescribeSessions", "ssm:GetConnectionStatus", "ssm:DescribeInstanceProperties"),
    "ssm:DescribeInstanceInformation",  # the Connect button of the EC2 console
    "ec2:DescribeInstances",
)
_CONNECT_TO_DESKTOP: Final = (
    *("ssm-guiconnect:StartConnection", "ssm-guiconnect:GetConnection"),
    "ssm-guiconnect:CancelConnection",
)
_OWN_SESSIONS: Final = {
    "StringLike": {
        "ssm:resourceTag/aws:ssmmessages:session-id": ["${aws:userid}", "${aws:userid}-*"]
    }
}
"""The condition that the operator has started the session.

Session Manager tags each session with the `aws:userid` of the principal that starts it: `AIDA…` for
a user, `AROA…:SESSION-NAME` for a role. AWS documents the id as the whole value of the tag, and has
examples in which more text follows. The two patterns match the id alone, and the id followed by a
`-`. `${aws:userid}*` would let `ana` resume, and so take over, the sessions of `anabel`. The ARN of
a session has the name of the user or of the role session instead, so `session/${aws:userid}-*`
matches no session.
https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-examples.html
"""
_INSTANCES: Final = (("ec2", "instance"), ("ssm", "managed-instance"))
_CHECK_DOCUMENT: Final = {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}
"""Makes Session Manager check access to the document even if the client names no document."""


class Access(NamedTuple):
    """The instances that an operator may reach, the Session document, and the kinds of sessions."""

    document_arn: str
    encryption_key: IKeyRef | IAliasRef | None
    """The key that encrypts sessions with the document."""
    instance_arns: Sequence[str]
    instance_tags: Mapping[str, str | Sequence[str]]
    all_instances: bool
    allow_ssh: bool
    allow_port_forwarding: bool
    allow_remote_port_forwarding: bool
    allow_interactive_commands: bool
    allow_remote_desktop: bool
    allow_console: bool
    decrypt_sessions_only: bool


class _Permission(NamedTuple):
    """One statement of the operator's policy."""

    actions: list[str]
    resources: list[str]
    conditions: Mapping[str, Mapping[str, object]] | None = None
    sid: str | None = None


def grant(grantee: iam.IGrantable, access: Access, stack: cdk.Stack) -> iam.Grant:
    """Grant what `access` asks for.

    Args:
        grantee: the principal that gets the permissions.
        access: the instances, the document and the kinds of sessions.
        stack: the stack of the document.

    Raises:
        TypeError: the grantee or a part of `access` has the wrong type.
        ValueError: no instances are chosen, this app can't grant anything to the grantee, or the
            grantee has conditions.
    """
    _refuse_wrong_types(grantee, access)
    _refuse_wrong_choice(access)
    principal = grantee.grant_principal
    _refuse_path(principal)
    _refuse_conditions(principal)
    grants = []
    if not _is_of_other_account(grantee, principal, stack):
        grants = [_grant(grantee, permission) for permission in _permissions(access, stack)]
    # For some principals, CDK reports success although it has granted nothing.
    if not (grants and grants[0].success and _has_statements(principal)):
        node = getattr(grantee, "node", None)
        name = f"of the type {type(grantee).__name__}" if node is None else repr(node.path)
        raise ValueError(
            f"grantee {name} can't be granted anything from here, as its policies are managed "
            "elsewhere or in another account: give a user, a group or a role of this account that "
            "CDK may change"
        )
    return functools.reduce(lambda so_far, one: so_far.combine(one), grants)


def _grant(grantee: iam.IGrantable, permission: _Permission) -> iam.Grant:
    one = iam.Grant.add_to_principal(
        grantee=grantee,
        actions=permission.actions,
        resource_arns=permission.resources,
        conditions=permission.conditions,
    )
    if permission.sid is not None:
        for statement in one.principal_statements:
            statement.sid = permission.sid
    return one


def _permissions(access: Access, stack: cdk.Stack) -> Iterator[_Permission]:
    """Yield the permissions of "Sample IAM policies for Session Manager" in the user guide.

    Instances and documents are in separate statements, as only instances have the tags of the
    condition. Each of the two statements has a Sid, because CDK merges statements without one. The
    Sid differs from grant to grant, so that one principal can have several.
    """
    arns = [*access.instance_arns]
    tags = {
        # By `+`, as an f-string has the name of a member of a `str` enum and not its text.
        "ssm:resourceTag/" + key: value if isinstance(value, str) else [*value]
        for key, value in sorted(access.instance_tags.items())
    }
    kinds: list[bool | str] = [access.allow_ssh, access.allow_port_forwarding]
    # Added only if they are allowed, so that the Sids of all other grants stay as in 0.2.0.
    kinds += ["interactive commands"] if access.allow_interactive_commands else []
    kinds += ["remote desktop"] if access.allow_remote_desktop else []
    kinds += ["remote port forwarding"] if access.allow_remote_port_forwarding else []
    # The references of two stacks to their own documents can look the same.
    asked = json.dumps([stack.node.path, stack.resolve([access.document_arn, arns, tags, kinds])])
    grant_id = _needs.digest(asked)
    yield _Permission(
        actions=["ssm:StartSession"],
        resources=arns or [stack.format_arn(service="ec2", resource="instance", resource_name="*")],
        conditions={**_CHECK_DOCUMENT, **({"StringEquals": tags} if tags else {})},
        sid=f"StartSessionInstances{grant_id}",
    )
    aws_documents = [_AWS_DOCUMENTS[option] for option in _AWS_DOCUMENTS if getattr(access, option)]
    arns_of_aws = [  # which have no account
        stack.format_arn(service="ssm", account="", resource="document", resource_name=name)
        for name in dict.fromkeys(chain(*aws_documents))
    ]
    yield _Permission(
        actions=["ssm:StartSession"],
        resources=[access.document_arn, *arns_of_aws],
        conditions=_CHECK_DOCUMENT,
        sid=f"StartSessionDocument{grant_id}",
    )
    sessions = stack.format_arn(
        service="ssm", region="*", account="*", resource="session", resource_name="*"
    )
    yield _Permission(
        actions=["ssm:TerminateSession", "ssm:ResumeSession"],
        resources=[sessions],
        conditions=_OWN_SESSIONS,
    )
    # The action has no condition key. It gives nobody access to the session of another operator, as
    # a channel also needs the token that Session Manager gives to the caller of `StartSession`.
    yield _Permission(actions=["ssmmessages:OpenDataChannel"], resources=[sessions])
    if access.allow_remote_desktop:
        yield _Permission(actions=[*_CONNECT_TO_DESKTOP], resources=["*"])
    if access.allow_console:
        yield _Permission(actions=[*_CONSOLE], resources=["*"])
    if access.encryption_key is not None:
        found = session_key(access.encryption_key).reached
        conditions = _needs.of_session_key(
            found.alias_name, sessions_only=access.decrypt_sessions_only
        )
        yield _Permission(
            actions=["kms:GenerateDataKey"],
            resources=[found.resource],
            conditions=conditions or None,
        )


def _refuse_wrong_choice(access: Access) -> None:
    """Refuse a choice of no instances, and an ARN or a tag that no instance can have."""
    chosen = bool(access.instance_arns or access.instance_tags)
    if chosen == access.all_instances:
        raise ValueError(
            "give instance_arns or instance_tags to choose the instances, or all_instances=True "
            f"for every one, got {'both' if chosen else 'none of them'}"
        )
    for arn in access.instance_arns:
        refuse_wrong_text("each of instance_arns", arn)
        if not _may_be_instance(arn):
            raise ValueError(
                f"instance_arns has {arn!r}, which is not an instance's ARN: give "
                "arn:…:ec2:REGION:ACCOUNT:instance/ID, or all_instances=True for every one"
            )
    for key, values in access.instance_tags.items():
        refuse_wrong_text("each key of instance_tags", key)
        argument = f"instance_tags[{key!r}]"
        several = [values] if isinstance(values, str) else values
        refuse_no_sequence(argument, several, "a str or a sequence of them")
        if not several:
            raise ValueError(
                f"{argument} has no value, so no instance can have it: give at least one"
            )
        for value in several:
            refuse_wrong_text(f"each of {argument}", value)
            if found := _limits.IN_NO_POLICY.search(f"{key}{value}"):
                raise ValueError(
                    f"{argument} {value!r} has {found[0]!r}, and IAM accepts no character above "
                    "U+00FF in a policy: choose the instances by another tag"
                )


def _may_be_instance(arn: str) -> bool:
    parts = tokens.parse_arn(arn)
    if parts is None:  # known at deployment, where CDK holds a list as one text
        return tokens.TOKEN.match(arn) is not None or arn.startswith("#{Token[")
    kind, _, instance_id = parts.resource.partition("/")
    is_kind = parts.is_placed and (parts.service, kind) in _INSTANCES
    return is_kind and tokens.is_name(instance_id, _limits.INSTANCE_ID)


def _refuse_wrong_types(grantee: iam.IGrantable, access: Access) -> None:
    if getattr(grantee, "grant_principal", None) is None:
        raise TypeError(
            "grantee must be a user, a group, a role or another principal that CDK grants to, got "
            f"{described(grantee)}: for a role that exists give "
            "iam.Role.from_role_name(scope, id, name), and for a permission set an "
            "iam.ManagedPolicy that it names"
        )
    refuse_no_sequence("instance_arns", access.instance_arns, "a sequence of ARNs")
    refuse_wrong_type("instance_tags", access.instance_tags, Mapping)
    for option in ("all_instances", *_AWS_DOCUMENTS, "allow_console", "decrypt_sessions_only"):
        refuse_wrong_type(option, getattr(access, option), bool)


def _refuse_path(principal: iam.IPrincipal) -> None:
    """Refuse an imported group or user if CDK takes a part of its path for its name.

    aws-cdk-lib/aws-iam/lib/group.ts and user.ts, `fromGroupArn` and `fromUserArn`.
    """
    kind = "group" if hasattr(principal, "group_arn") else "user"
    arn: str | None = getattr(principal, f"{kind}_arn", None)
    if arn is None or isinstance(principal, (iam.Group, iam.User)):
        return
    imported = cast("IConstruct", principal)
    made = tokens.resource_by_arn(arn, imported, iam.CfnGroup, iam.CfnUser)
    if known_path(made) or "/" in tokens.without_tokens(getattr(principal, f"{kind}_name")):
        raise ValueError(
            f"grantee {imported.node.path!r} is imported with a path, and CDK takes a part of that "
            f"path for the name: give iam.{kind.title()}.from_{kind}_name(scope, id, name), with "
            "the name alone"
        )


def _refuse_conditions(principal: iam.IPrincipal) -> None:
    """Refuse a principal with conditions, as CDK writes these only into trust policies.

    aws-cdk-lib/aws-iam/lib/principals.ts, `PrincipalWithConditions.addToPrincipalPolicy`.
    """
    if not isinstance(principal, (iam.PrincipalWithConditions, iam.SessionTagsPrincipal)):
        return
    if conditions := principal.policy_fragment.conditions:
        raise ValueError(
            f"grantee has the conditions {conditions}, which CDK leaves out of grants: give the "
            "principal without them, and require them in the trust policy of its role, or by a "
            "Deny in one of its policies"
        )


def _has_statements(principal: iam.IPrincipal) -> bool:
    """Tell whether a policy now has the statements, or CDK deliberately leaves them out.

    Raises:
        ValueError: `principal` is a role whose policies only AWS can change.
    """
    if isinstance(principal, iam.UnknownPrincipal):  # CDK warns, and adds the statements nowhere
        return False
    # A lazy role keeps the statements until something needs the role. To read its ARN creates it.
    if isinstance(principal, (iam.Role, iam.LazyRole)):
        return True
    role_arn: str | None = getattr(principal, "role_arn", None)
    if role_arn is None:
        return True
    role = cast("iam.IRole", principal)
    refuse_by_arn(role_arn, role)
    has_policy = any(isinstance(node, iam.Policy) for node in role.node.find_all())
    return has_policy or reports_only(role) or is_lookup_dummy(role)


def _is_of_other_account(
    grantee: iam.IGrantable, principal: iam.IPrincipal, stack: cdk.Stack
) -> bool:
    """Tell whether the grantee is known to be in another account than the document.

    CDK would attach the grant to it, or to a user or a group of the same name in this account, but
    no other account may use the document. A permission set is not a user, group, role or policy,
    and works in accounts other than the one in which it is defined.
    """
    is_policy = isinstance(grantee, (iam.Policy, iam.ManagedPolicy))
    arn: str | None = getattr(principal, "user_arn", None) or getattr(principal, "group_arn", None)
    # These are in the stack of the role. To read the ARN of a lazy role creates it.
    is_owned = isinstance(principal, (iam.Role, iam.LazyRole))
    role_arn: str | None = None if is_owned else getattr(principal, "role_arn", None)
    if not (is_policy or is_owned or role_arn or arn):
        return False
    named = tokens.referenced_by_arn(role_arn or arn or "")
    owner = cast("IConstruct", grantee) if is_policy else named or cast("IConstruct", principal)
    account = tokens.Environment.of(cdk.Stack.of(owner)).account
    in_arn = tokens.Environment.in_arn(arn or "").account
    here = tokens.Environment.of(stack).account
    return tokens.differ(account, here) or tokens.differ(in_arn, account)
