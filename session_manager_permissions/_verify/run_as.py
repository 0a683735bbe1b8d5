"""Checks whether the user that sessions run as can exist on the node.

The tag `SSMSessionRunAs` of the operator wins over the document's user.
https://docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-run-as.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from session_manager_permissions import _limits
from session_manager_permissions._quoting import in_shell

from .asking import CannotAsk
from .checks import RUN_AS, RUN_AS_NOBODY, RUN_AS_ROOT, Evidence, Outcome
from .node import RECORD, Node
from .preferences import Preferences, of_unread

if TYPE_CHECKING:
    from .operators import Operator

_TAG: Final = "SSMSessionRunAs"


def run_as(node: Node, preferences: Preferences, operator: Operator | CannotAsk | None) -> Outcome:
    """Check whether the user that sessions run as can exist."""
    document = preferences.document
    if preferences.error is not None:
        return of_unread(RUN_AS, preferences.name, preferences.error)
    if document.run_as_enabled is False:
        return RUN_AS.skipped("Run As is off, so sessions run as ssm-user")
    evidence = Evidence("ssm:GetDocument", "inputs.runAsDefaultUser", document.run_as_user)
    if document.run_as_enabled is None:
        why = "a parameter of the document decides whether Run As is on"
        return RUN_AS.of(None, evidence).unknown(why, fix="set runAsEnabled of the document")
    if node.platform == "Windows":
        why = "Run As is on, which is for Linux and macOS, and the node runs Windows"
        fix = "start the session with a document in which Run As is off"
        return RUN_AS.of(None, evidence).unknown(why, fix=fix)
    found = _unless_usual_elsewhere(_by_operator(document.run_as_user, operator, evidence), node)
    if found.verdict == "pass" and isinstance(node.record, CannotAsk):
        return found.unknown(*found.why, "what the node runs is not known", errors=[node.record])
    return found


_PLATFORMS_WITH_USER: Final = {
    "admin": ("Debian",),
    "centos": ("CentOS",),
    "ec2-user": (
        *("AlmaLinux", "Amazon Linux", "CentOS", "macOS", "Oracle Linux", "Red Hat", "SLES"),
        *("SUSE", "openSUSE"),
    ),
    "fedora": ("Fedora",),
    "rocky": ("Rocky",),
    "ubuntu": ("Ubuntu",),
}
"""The users that images come with, and the beginnings of the names of those images' platforms."""


def _unless_usual_elsewhere(outcome: Outcome, node: Node) -> Outcome:
    """Make a pass unknown if only the images of another platform come with the user."""
    runs = node.recorded("PlatformName")
    usual = _PLATFORMS_WITH_USER.get(str(outcome.subject), ())
    if outcome.verdict != "pass" or not usual or not runs or runs.startswith(usual):
        return outcome
    why = (
        f"images of {usual[0]} come with the user {outcome.subject}, and the node "
        f"runs {runs}: only the node knows whether somebody has made that user"
    )
    user = RUN_AS.of(outcome.subject, *outcome.evidence, Evidence(RECORD, "PlatformName", runs))
    return user.unknown(why, fix=f"on the node: id {outcome.subject}")


def _by_operator(
    in_document: str | None, operator: Operator | CannotAsk | None, of_document: Evidence
) -> Outcome:
    """Judge the user by the operator's tag, which wins over the document.

    A role's session may have the tag instead of the role, and no call shows that beforehand.
    """
    if isinstance(operator, CannotAsk):
        return RUN_AS.of(in_document).unasked(operator)
    tag = operator.tags.get(_TAG) if operator else None
    is_sure = operator is not None and operator.is_user
    if tag:
        call = "iam:GetUser" if is_sure else "iam:GetRole"
        by_tag = RUN_AS.of(tag, of_document, Evidence(call, _TAG, tag))
        return _by_name(by_tag, tag, f"the tag {_TAG} of the operator", is_sure=is_sure)
    named = RUN_AS.of(in_document, of_document)
    if in_document:
        return _by_name(named, in_document, "the document", is_sure=is_sure)
    why = "Run As is on, and the document names no user"
    fix = f"set runAsDefaultUser of the document, or the tag {_TAG} of the operator"
    if not is_sure:
        open_ = f"{why}: the tag {_TAG} of the operator or of the operator's session decides"
        return named.unknown(open_, fix=fix if operator else "give --operator")
    why = "Run As is on, and neither the document nor the operator's tag names a user"
    return named.failed(why, fix=fix, users_see=RUN_AS_NOBODY)


def _by_name(named: Outcome, user: str, source: str, *, is_sure: bool) -> Outcome:
    """Judge whether a user can exist, by its name."""
    if user == "root":
        why = f"{source} names root, and Session Manager runs no session as root"
        fix = "name another user of the node"
        if is_sure:
            return named.failed(why, fix=fix, users_see=RUN_AS_ROOT)
        wins = f"a tag {_TAG} of the operator or of the operator's session takes precedence"
        return named.unknown(why, wins, fix=fix)
    if user == "ssm-user":
        why = f"{source} names ssm-user, which the agent does not make while Run As is on"
        return named.unknown(why, fix="on the node: id ssm-user")
    look = f"id {in_shell(user, _limits.user_fault, 'USER')}"
    if fault := _limits.user_fault(user):
        why = f"{source} names {user!r}, which {fault}; only the node knows whether it exists"
        fix = f"name a user of the node, or look for this one on the node: {look}"
        return named.unknown(why, fix=fix)
    return named.passed(f"{source} names {user}, and only the node knows whether it exists: {look}")
