"""Checks whether the user that sessions run as can exist on the node.

The tag `SSMSessionRunAs` of the operator wins over the document's user.
https://docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-run-as.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from session_manager_permissions import _limits
from session_manager_permissions._quoting import in_shell

from .asking import CannotAsk
from .checks import (
    RUN_AS_NOBODY,
    RUN_AS_ROOT,
    Check,
    Evidence,
    failed,
    passed,
    skipped,
    unasked,
    unknown,
)

if TYPE_CHECKING:
    from .node import Node
    from .operators import Operator
    from .preferences import Preferences

_NAME: Final = "run-as"
_TAG: Final = "SSMSessionRunAs"


def run_as(node: Node, preferences: Preferences, operator: Operator | None) -> Check:
    """Check whether the user that sessions run as can exist."""
    document = preferences.document
    if preferences.error is not None:
        return unasked(_NAME, preferences.name, preferences.error)
    if document.run_as_enabled is False:
        return skipped(_NAME, "Run As is off, so that sessions run as ssm-user")
    evidence = Evidence("ssm:GetDocument", "inputs.runAsDefaultUser", document.run_as_user)
    if document.run_as_enabled is None:
        why = "a parameter of the document decides whether Run As is on"
        return unknown(_NAME, None, why, "set runAsEnabled of the document", [evidence])
    if node.platform == "Windows":
        why = "Run As is on, which is for Linux and macOS, and the node runs Windows"
        return unknown(
            _NAME, None, why, "start the session with a document in which it is off", [evidence]
        )
    return _of_operator(document.run_as_user, operator, evidence)


def _of_operator(in_document: str | None, operator: Operator | None, evidence: Evidence) -> Check:
    tags = operator.tags if operator else {}
    if isinstance(tags, CannotAsk):
        return unasked(_NAME, in_document, tags)
    tag = tags.get(_TAG)
    if operator and tag:
        of_tag = Evidence("iam:ListUserTags" if operator.is_user else "iam:ListRoleTags", _TAG, tag)
        return _of_user(tag, f"the tag {_TAG} of the operator", [evidence, of_tag])
    if in_document:
        return _of_user(in_document, "the document", [evidence])
    why = "Run As is on, and the document names no user"
    fix = f"set runAsDefaultUser of the document, or the tag {_TAG} of the operator"
    if operator is None or not operator.is_user:
        open_ = f"{why}: the tag {_TAG} of the operator or of the operator's session decides"
        return unknown(_NAME, None, open_, fix if operator else "give --operator", [evidence])
    why += ", nor does the operator's tag"
    return failed(_NAME, None, why, fix, [evidence], users_see=RUN_AS_NOBODY)


def _of_user(user: str, source: str, evidence: list[Evidence]) -> Check:
    if user == "root":
        why = f"{source} names root, and no session runs as root"
        fix = "name another user of the node"
        return failed(_NAME, user, why, fix, evidence, users_see=RUN_AS_ROOT)
    if user == "ssm-user":
        why = f"{source} names ssm-user, which the agent does not make while Run As is on"
        return unknown(_NAME, user, why, "on the node: id ssm-user", evidence)
    look = f"id {in_shell(user, _limits.user_fault, 'USER')}"
    if fault := _limits.user_fault(user):
        why = f"{source} names {user!r}, which {fault}; only the node knows whether it exists"
        fix = f"name a user of the node, or ask for this one on the node: {look}"
        return unknown(_NAME, user, why, fix, evidence)
    why = f"{source} names {user}, and only the node knows whether it exists: {look}"
    return passed(_NAME, user, why, evidence)
