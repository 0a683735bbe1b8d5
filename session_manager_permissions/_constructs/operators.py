"""What may an operator do: the statements behind `aws ssm start-session`, and their grant."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from session_manager_permissions import _limits, _needs

from .checks import (
    described,
    refuse_no_sequence,
    refuse_wrong_text,
    refuse_wrong_type,
)
from .keys import session_key
from .roles import is_lookup_dummy, refuse_fixed, reports_only
from .tokens import (
    TOKEN,
    Arn,
    Environment,
    differ,
    is_name,
    parse_arn,
    refuse_unwritable,
    refuse_wildcards,
    without_tokens,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_cdk.interfaces.aws_kms import IAliasRef, IKeyRef
    from constructs import IConstruct


_SSH: Final = ("AWS-StartSSHSession",)
_PORT_FORWARDING: Final = (
    "AWS-StartPortForwardingSession",
    "AWS-StartPortForwardingSessionToRemoteHost",
)
_INTERACTIVE_COMMANDS: Final = ("AWS-StartInteractiveCommand", "AWS-StartNonInteractiveCommand")
_REMOTE_DESKTOP: Final = ("AWS-StartPortForwardingSession",)
_CONSOLE: Final = (
    "ssm:DescribeSessions",
    "ssm:GetConnectionStatus",
    "ssm:DescribeInstanceProperties",
    "ssm:DescribeInstanceInformation",  # the Connect button of the EC2 console
    "ec2:DescribeInstances",
)
_CONNECT_TO_DESKTOP: Final = (
    "ssm-guiconnect:StartConnection",
    "ssm-guiconnect:GetConnection",
    "ssm-guiconnect:CancelConnection",
)
_OWN_SESSIONS: Final = {
    "StringLike": {"ssm:resourceTag/aws:ssmmessages:session-id": "${aws:userid}*"}
}
"""Holds for the sessions that the operator has started.

Session Manager tags each session with the `aws:userid` of whoever starts it: `AIDA…` of a user,
`AROA…:SESSION-NAME` of a role. The session's ARN begins with the user's name or the role's session
name, so `session/${aws:userid}-*` matches no session.
https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-examples.html
"""
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
    allow_interactive_commands: bool
    allow_remote_desktop: bool
    allow_console: bool


class _Statement(NamedTuple):
    actions: list[str]
    resources: list[str]
    conditions: Mapping[str, Mapping[str, object]] | None = None
    sid: str | None = None


def grant(
    document_arn: str,
    encryption_key: IKeyRef | IAliasRef | None,
    grantee: iam.IGrantable,
    access: Access,
    stack: cdk.Stack,
) -> iam.Grant:
    """Grant what `access` asks for on a Session document and the key that it names.

    Args:
        document_arn: the document's ARN.
        encryption_key: the key that encrypts sessions with the document.
        grantee: who gets it.
        access: what is asked for.
        stack: the stack of the document.

    Raises:
        TypeError: the grantee or something in `access` has the wrong type.
        ValueError: the instances are not chosen, or nothing was granted.
    """
    _refuse_wrong_types(grantee, access)
    _refuse_unchosen(access)
    _refuse_wrong_tags(access, stack)
    principal = grantee.grant_principal
    named = _user_or_group(principal)
    if named is not None:
        _refuse_misnamed(named)
    if _is_of_other_account(grantee, principal, named, stack):
        raise _lost(grantee)
    statements = _statements(document_arn, encryption_key, access, stack)
    grants = [_grant(grantee, statement) for statement in statements]
    granted = functools.reduce(lambda so_far, one: so_far.combine(one), grants)
    # CDK calls some of those that went nowhere a success.
    if not (granted.success and _takes_policies(principal)):
        raise _lost(grantee)
    return granted


def _grant(grantee: iam.IGrantable, statement: _Statement) -> iam.Grant:
    one = iam.Grant.add_to_principal(
        grantee=grantee,
        actions=statement.actions,
        resource_arns=statement.resources,
        conditions=statement.conditions,
    )
    if statement.sid is not None:
        for granted in one.principal_statements:
            granted.sid = statement.sid
    return one


def _statements(
    document: str, encryption_key: IKeyRef | IAliasRef | None, access: Access, stack: cdk.Stack
) -> Iterator[_Statement]:
    """Those of "Sample IAM policies for Session Manager" in the Systems Manager user guide.

    Instances and documents stand apart, as a tag condition holds for instances only, and have a Sid
    each, as CDK joins statements without one; it differs for one principal's several grants.
    """
    arns = [*access.instance_arns]
    tags = {
        # By `+`, as an f-string has the name of a member of a `str` enum and not its text.
        "ssm:resourceTag/" + key: value if isinstance(value, str) else [*value]
        for key, value in sorted(access.instance_tags.items())
    }
    kinds: list[bool | str] = [access.allow_ssh, access.allow_port_forwarding]
    # Only where they are allowed, so that the Sids of all other grants are those of 0.2.0.
    kinds += ["interactive commands"] if access.allow_interactive_commands else []
    kinds += ["remote desktop"] if access.allow_remote_desktop else []
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
        *(_INTERACTIVE_COMMANDS if access.allow_interactive_commands else ()),
        *(_REMOTE_DESKTOP if access.allow_remote_desktop else ()),
    )
    yield _Statement(
        ["ssm:StartSession"],
        [
            document,
            *(
                # AWS's own documents have no account.
                stack.format_arn(service="ssm", account="", resource="document", resource_name=name)
                for name in dict.fromkeys(aws_documents)
            ),
        ],
        _CHECK_DOCUMENT,
        f"StartSessionDocument{grant_id}",
    )
    sessions = stack.format_arn(
        service="ssm", region="*", account="*", resource="session", resource_name="*"
    )
    yield _Statement(["ssm:TerminateSession", "ssm:ResumeSession"], [sessions], _OWN_SESSIONS)
    # The action has no condition key. The token that opens a channel goes to the session's starter.
    yield _Statement(["ssmmessages:OpenDataChannel"], [sessions])
    if access.allow_remote_desktop:
        yield _Statement([*_CONNECT_TO_DESKTOP], ["*"])
    if access.allow_console:
        yield _Statement([*_CONSOLE], ["*"])
    if encryption_key is not None:
        found = session_key(encryption_key)
        conditions = _needs.having_alias(found.alias_name) or None
        yield _Statement(["kms:GenerateDataKey"], [found.resource], conditions)


def _refuse_unchosen(access: Access) -> None:
    chosen = bool(access.instance_arns or access.instance_tags)
    if chosen == access.all_instances:
        raise ValueError(
            "give instance_arns or instance_tags to choose the instances, or all_instances=True "
            f"for every one, got {'both' if chosen else 'none of them'}"
        )
    if _is_listed_later("instance_arns", access.instance_arns):
        return
    for arn in access.instance_arns:
        refuse_wrong_text("each of instance_arns", arn)
        refuse_wildcards("instance_arns", arn)
        parts = parse_arn(arn)
        if parts is None and TOKEN.match(arn):  # known at deployment
            continue
        if parts is None or not parts.is_placed or not _is_instance(parts):
            raise ValueError(
                f"instance_arns has {arn!r}, which is no instance's ARN: "
                "arn:…:ec2:REGION:ACCOUNT:instance/ID"
            )


def _is_instance(arn: Arn) -> bool:
    kind, _, instance_id = arn.resource.partition("/")
    return (arn.service, kind) in _INSTANCES and is_name(instance_id, _limits.INSTANCE_ID)


def _refuse_wrong_tags(access: Access, stack: cdk.Stack) -> None:
    for key, values in access.instance_tags.items():
        refuse_wrong_text("each key of instance_tags", key)
        if not key:
            raise ValueError("instance_tags has an empty key, which no tag has: give the key")
        if without_tokens(key) != key and not isinstance(stack.resolve(key), str):
            raise ValueError(
                f"instance_tags has the key {key!r}, which only the deployment knows, and a "
                "condition of a policy can't: give the key itself; its values may be tokens"
            )
        refuse_unwritable("the key of instance_tags", key, _BY_ANOTHER)
        argument = f"instance_tags[{key!r}]"
        if isinstance(values, str):
            refuse_wrong_text(argument, values)
            refuse_unwritable(argument, values, _BY_ANOTHER)
            continue
        refuse_no_sequence(argument, values, "a str or a sequence of them")
        if not values:
            raise ValueError(
                f"{argument} has no value, so that no instance can have it: give one or several"
            )
        if not _is_listed_later(argument, values):
            for value in values:
                refuse_wrong_text(f"each of {argument}", value)
                refuse_unwritable(argument, value, _BY_ANOTHER)


_BY_ANOTHER: Final = "choose the instances by another tag, or by instance_arns"


def _is_listed_later(argument: str, values: Sequence[str]) -> bool:
    """Whether `values` is a list that only the deployment knows, which CDK has as one text."""
    tokens = [value for value in values if isinstance(value, str) and "#{Token[" in value]
    if not tokens:
        return False
    try:
        found = cdk.Tokenization.reverse_list([*values]) if len(values) == 1 else None
    except RuntimeError:  # CDK has made no such token
        found = None
    if found is None:
        raise ValueError(
            f"{argument} has {tokens[0]!r}, of a list that only the deployment knows, and CDK "
            "can't add to such a list: give the list alone, or cdk.Fn.select(index, list) of it"
        )
    return True


def _refuse_wrong_types(grantee: iam.IGrantable, access: Access) -> None:
    if getattr(grantee, "grant_principal", None) is None:
        raise TypeError(
            "grantee must be a user, a group, a role or what else CDK grants to, got "
            f"{described(grantee)}: for a role that exists give "
            "iam.Role.from_role_name(scope, id, name)"
        )
    refuse_no_sequence("instance_arns", access.instance_arns, "a sequence of ARNs")
    refuse_wrong_type("instance_tags", access.instance_tags, Mapping)
    for flag in _FLAGS:
        refuse_wrong_type(flag, getattr(access, flag), bool)


_FLAGS: Final = (
    "all_instances",
    "allow_ssh",
    "allow_port_forwarding",
    "allow_interactive_commands",
    "allow_remote_desktop",
    "allow_console",
)


class _Named(NamedTuple):
    """A user or a group."""

    kind: str
    name: _limits.Name
    """What its name can be."""
    arn: str


def _user_or_group(principal: iam.IPrincipal) -> _Named | None:
    for kind, name in (("user", _limits.USER), ("group", _limits.GROUP)):
        arn: str | None = getattr(principal, f"{kind}_arn", None)
        if arn is not None:
            return _Named(kind, name, arn)
    return None


def _refuse_misnamed(named: _Named) -> None:
    """Refuse a user or a group imported by a name that none can have."""
    kind, limits, arn = named
    parts = parse_arn(arn)
    if parts is None:
        return
    name = parts.resource.removeprefix(f"{kind}/")
    # CDK drops the path of a user, and has that of a group for a part of its name.
    if kind == "user" and not name.startswith("arn:"):
        name = name.rpartition("/")[2]
    if not is_name(name, limits):
        raise ValueError(
            f"grantee {arn!r} has the name {name!r}, which no {kind} can have: give "
            f"iam.{kind.title()}.from_{kind}_name(scope, id, name), with a name of {limits.rule}"
        )


def _lost(grantee: iam.IGrantable) -> ValueError:
    """What is said of a grant that goes nowhere."""
    node = getattr(grantee, "node", None)
    name = f"of the type {type(grantee).__name__}" if node is None else repr(node.path)
    return ValueError(
        f"grantee {name} can't be granted anything from here, as its policies are managed "
        "elsewhere or in another account: give a user, a group or a role of this account that is "
        "not immutable"
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
        return True
    parts = parse_arn(role_arn)
    if parts is not None:
        refuse_fixed(role_arn, parts)
    role = cast("iam.IRole", principal)
    has_policy = any(isinstance(node, iam.Policy) for node in role.node.find_all())
    return has_policy or reports_only(role) or is_lookup_dummy(role)


def _is_of_other_account(
    grantee: iam.IGrantable, principal: iam.IPrincipal, named: _Named | None, stack: cdk.Stack
) -> bool:
    """Whether it is a user, a group, a role or a policy of another account than the document.

    CDK grants to it, or to the one of its name here, and no document lets another account in. A
    permission set, which is none of these, works in other accounts than the one it is made in.
    """
    # To ask a lazy role for its ARN would make it.
    is_role = isinstance(principal, iam.LazyRole) or hasattr(principal, "role_arn")
    is_policy = isinstance(grantee, (iam.Policy, iam.ManagedPolicy))
    if named is None and not is_role and not is_policy:
        return False
    owner = cast("IConstruct", grantee if is_policy else principal)
    account = Environment.of(cdk.Stack.of(owner)).account
    parts = None if named is None else parse_arn(named.arn)
    return differ(account, Environment.of(stack).account) or (
        parts is not None and differ(Environment.in_arn(parts).account, account)
    )
