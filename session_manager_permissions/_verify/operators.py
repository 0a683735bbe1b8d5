"""Checks whether an operator may start a session on the node, and has the plug-in for it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _limits

from .asking import CannotAsk, asking, tried, well_formed
from .checks import (
    CHANNEL_DENIED,
    NO_DATA_KEY,
    PLUGIN_MISSING,
    START_DENIED,
    Check,
    Evidence,
    failed,
    passed,
    simulated,
    unasked,
    unknown,
)
from .node import at_least
from .simulator import (
    Call,
    ConditionKey,
    all_of,
    is_allowed,
    missing_keys,
    request_context,
    session_context,
    simulate,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .node import Node
    from .preferences import Preferences
    from .session import AwsSession

CALLER: Final = "caller"
"""Stands for the identity of the credentials."""
_PLUGIN: Final = "session-manager-plugin"
_SIGNS_CHANNEL: Final = "1.2.764.0"
"""The first plug-in that signs the channel with the operator's credentials."""
_PLUGIN_PAGE: Final = (
    "install it: https://docs.aws.amazon.com/systems-manager/latest/userguide/"
    "session-manager-working-with-install-plugin.html"
)


def operator_fault(text: str) -> str | None:
    """Say why a text names no operator; None if it names one."""
    fault = _limits.principal_fault(text)
    return None if text == CALLER or fault is None else f"{fault}, nor {CALLER!r}"


@dataclass(frozen=True)
class Operator:
    """Who starts the session."""

    arn: str | CannotAsk
    """The ARN of the user or the role, or why IAM can't be asked about it."""
    tags: Mapping[str, str] | CannotAsk = field(default_factory=dict)
    """Read only if Run As is on."""

    @property
    def is_user(self) -> bool:
        """Tell whether it is a user, whose tags no session can change."""
        return isinstance(self.arn, str) and ":user/" in self.arn


def find_operator(session: AwsSession, node: Node, given: str, *, with_tags: bool) -> Operator:
    """Find the user or the role behind an ARN, or the caller.

    Args:
        session: makes the clients.
        node: the node.
        given: the ARN of a user, a role or an assumed role, or `caller`.
        with_tags: whether its tags are asked for.
    """
    found = tried(partial(_principal, session, node, given))
    if isinstance(found, CannotAsk):
        return Operator(found)
    arn, tags = found
    if tags is not None:
        return Operator(arn, tags=tags)
    return Operator(arn, tags=tried(partial(_tags, session, arn)) if with_tags else {})


def _principal(session: AwsSession, node: Node, given: str) -> tuple[str, dict[str, str] | None]:
    """Find the ARN of the user or the role, and its tags if they come along."""
    arn = given
    with asking("sts", "*", "there is no such account"):
        if given == CALLER:
            arn = str(session.client("sts").get_caller_identity()["Arn"])
        account = arn.split(":")[4]
    if account != node.account:  # IAM is asked by names, which are those of one account
        raise CannotAsk(
            f"{arn} is in another account than the node, which is in {node.account}: give a user "
            "or a role of that account, which starts the session"
        )
    if ":assumed-role/" in arn:
        role = arn.split("/")[1]
        with asking("iam", f"the role {role}", f"there is no role {role!r}"):
            found = session.client("iam").get_role(RoleName=role)["Role"]
            return well_formed(found["Arn"], _limits.role_fault), _as_dict(found.get("Tags", []))
    if _limits.principal_fault(arn):
        raise CannotAsk(
            f"IAM's policy simulator takes users and roles, and the caller is {arn}: give the ARN "
            "of another operator"
        )
    return arn, None


def _as_dict(tags: Iterable[Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _tags(session: AwsSession, arn: str) -> dict[str, str]:
    name = arn.rpartition("/")[2]
    with asking("iam", arn, f"there is no {arn}"):
        iam = session.client("iam")
        if ":user/" in arn:
            pages = iam.get_paginator("list_user_tags").paginate(UserName=name)
        else:
            pages = iam.get_paginator("list_role_tags").paginate(RoleName=name)
        return _as_dict(tag for page in pages for tag in page["Tags"])


def _node_tags(session: AwsSession, node: Node) -> dict[str, str]:
    """Read the node's tags, which an operator's policy may ask for.

    Raises:
        CannotAsk: the credentials may not list those of a hybrid node.
    """
    if node.instance is not None:
        return _as_dict(node.instance.get("Tags", []))
    with asking("ssm", node.arn, f"there is no {node.id}"):
        ssm = session.client("ssm")
        found = ssm.list_tags_for_resource(ResourceType="ManagedInstance", ResourceId=node.id)
        return _as_dict(found["TagList"])


def may_start(
    session: AwsSession, node: Node, preferences: Preferences, operator: Operator
) -> Check:
    """Check whether the operator may start a session with the document, and use its key."""
    name = "operator"
    arn = operator.arn
    if isinstance(arn, CannotAsk):
        return unasked(name, None, arn)
    tags = tried(partial(_node_tags, session, node))
    if isinstance(tags, CannotAsk):
        return unasked(name, arn, tags)
    calls = _calls(node, preferences, tags)
    answers = all_of(simulate(session, arn, calls), calls)
    if isinstance(answers, CannotAsk):
        return unasked(name, arn, answers)
    evidence = simulated(answers)
    missing = missing_keys(answers)
    note = f"IAM was told no value of the condition keys {', '.join(missing)}"
    denied = [answer for answer in answers if not is_allowed(answer)]
    if not denied:
        why = (f"IAM allows {arn} to start the session", *([note] if missing else []))
        return Check(name, arn, "pass", why, (), evidence)
    whats = ", ".join(one.field for one in simulated(denied))
    fix = (
        "SessionPreferences.grant_start_session(...) writes the policy; by hand, allow "
        f"{arn.rpartition('/')[2]}: {whats}"
    )
    why_not = f"{arn} is denied {whats}"
    if all(answer["missing_context_values"] for answer in denied):
        return Check(name, arn, "unknown", (why_not, note), (fix,), evidence)
    first = denied[0]["action"]  # in the order in which the client calls
    return failed(name, arn, why_not, fix, evidence, users_see=_USERS_SEE[first])


def _calls(node: Node, preferences: Preferences, tags: Mapping[str, str]) -> list[Call]:
    """List the operator's calls."""
    start = "ssm:StartSession"
    common = request_context(node.region)
    checks = (*common, ConditionKey("ssm:SessionDocumentAccessCheck", "true", "boolean"))
    tagged = tuple(
        ConditionKey(f"{prefix}{key}", value)
        for key, value in tags.items()
        for prefix in ("ssm:resourceTag/", "aws:ResourceTag/")
    )
    owner = "" if preferences.name.startswith("AWS-") else node.account
    where = f"arn:{node.partition}:ssm:{node.region}"
    calls = [
        Call(start, node.arn, checks, tagged),
        Call(start, f"{where}:{owner}:document/{preferences.name}", checks),
        Call("ssmmessages:OpenDataChannel", f"{where}:{node.account}:session/{_SESSION}", common),
    ]
    if preferences.key is not None:
        of_key, alias = session_context(node.id), preferences.key.alias_name
        if alias:
            of_key = (*of_key, ConditionKey("kms:ResourceAliases", alias, "stringList"))
        calls.append(Call("kms:GenerateDataKey", preferences.key.arn, common, of_key))
    return calls


_USERS_SEE: Final = {
    "ssm:StartSession": START_DENIED,
    "ssmmessages:OpenDataChannel": CHANNEL_DENIED,
    "kms:GenerateDataKey": NO_DATA_KEY,
}
"""What the operator sees, by the first call that is denied."""

_SESSION: Final = "operator-0123456789abcdef0"
"""A sample of a session, which does not need to exist."""


def plugin() -> Check:
    """Check whether the plug-in on this machine is new enough."""
    name = "plugin"
    path = shutil.which(_PLUGIN)
    evidence = [Evidence(_PLUGIN, "path", path)]
    if path is None:
        why = f"{_PLUGIN} is not on PATH"
        return failed(name, None, why, _PLUGIN_PAGE, evidence, users_see=PLUGIN_MISSING)
    try:
        run = subprocess.run(  # noqa: S603 # the plug-in that the CLI would run
            [path, "--version"], capture_output=True, text=True, check=False, timeout=10
        )
        version = run.stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        version = str(error)
    evidence.append(Evidence(_PLUGIN, "--version", version))
    new = at_least(version, _SIGNS_CHANNEL)
    if new is None:
        why = f"{path} does not say its version"
        return unknown(name, path, why, f"{path} --version", evidence)
    if new:
        return passed(name, path, f"the plug-in has version {version}", evidence)
    why = f"the plug-in has version {version}, and {_SIGNS_CHANNEL} is the oldest that will work"
    return failed(name, path, why, _PLUGIN_PAGE, evidence)
