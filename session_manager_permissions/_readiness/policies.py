"""What do these IAM policies answer for an action? As IAM evaluates them, of what synthesis knows.

The rules are those of "Policy evaluation logic" in the IAM user guide: all policies are read
together; a matching `Deny` overrides every `Allow`; without a matching `Allow` the answer is no;
and a permissions boundary has to allow it as well.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from .templates import UNKNOWN, listed, text

if TYPE_CHECKING:
    from collections.abc import Iterable


class Answer(Enum):
    """IAM's answers, by the names that its simulator gives them, and that it can't be known."""

    ALLOWED = "allowed"
    UNKNOWN = "unknown"
    IMPLICIT_DENY = "implicitDeny"
    EXPLICIT_DENY = "explicitDeny"


class Decision(NamedTuple):
    """An answer, and the statements that deny it or leave it open."""

    answer: Answer
    by: tuple[Statement, ...] = ()


class Statement(NamedTuple):
    """One statement of a policy: yes, no and None for "can't be known" in each of its parts."""

    source: str
    """What a message calls its policy."""
    sid: str
    allows: bool
    actions: tuple[str, ...]
    """Patterns in lower case, as IAM does not tell the cases of an action apart."""
    not_actions: bool
    resources: tuple[str, ...]
    not_resources: bool
    certain: bool
    """Whether it is known that the statement is deployed and that its condition holds."""
    written: dict[str, Any]

    def applies(self, action: str, resource: str | tuple[str, ...]) -> bool | None:
        """Whether it matches `action`, in lower case, on `resource`, which is as in `decide`.

        Wildcards: `*` for any characters, `?` for one, also within a part of an ARN.
        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
        """
        fitting = (_matches(pattern, action) for pattern in self.actions)
        actions = _any(fitting, negated=self.not_actions)
        if actions is False:
            return False
        covering = (_covers(pattern, resource) for pattern in self.resources)
        resources = _any(covering, negated=self.not_resources)
        if resources is False:
            return False
        return True if actions and resources and self.certain else None


def statements(document: object, source: str, *, certain: bool = True) -> list[Statement]:
    """The statements of a policy document as a template has it.

    A condition is taken as one that may hold: its keys are of the request, which no template has.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html

    Args:
        document: the document, with intrinsic functions in it.
        source: what a message calls the policy.
        certain: whether the deployment is certain to have it.
    """
    if not isinstance(document, dict) or "Statement" not in document:
        return anything(source)
    found = []
    for entry, deployed in listed(document["Statement"], certain=certain):
        if not isinstance(entry, dict) or entry.get("Effect") not in ("Allow", "Deny"):
            found += anything(source)
            continue
        not_actions, not_resources = "NotAction" in entry, "NotResource" in entry
        actions = _patterns(entry.get("NotAction" if not_actions else "Action"))
        resources = _patterns(entry.get("NotResource" if not_resources else "Resource"))
        found.append(
            Statement(
                source=source,
                sid=text(entry.get("Sid", "")).replace(UNKNOWN, ""),
                allows=entry["Effect"] == "Allow",
                actions=tuple(action.lower() for action in actions),
                not_actions=not_actions,
                resources=tuple(resources),
                not_resources=not_resources,
                certain=deployed and not entry.get("Condition"),
                written=entry,
            )
        )
    return found


def anything(source: str, *, may_deny: bool = True) -> list[Statement]:
    """What stands for a policy that can't be read: it may allow anything, and deny it."""
    effects = ("Allow", "Deny") if may_deny else ("Allow",)
    return [
        Statement(
            source=source,
            sid="",
            allows=effect == "Allow",
            actions=("*",),
            not_actions=False,
            resources=("*",),
            not_resources=False,
            certain=False,
            written={},
        )
        for effect in effects
    ]


def decide(found: Iterable[Statement], action: str, resource: str | tuple[str, ...]) -> Decision:
    """What the statements of all of a role's policies answer together.

    Args:
        found: the statements.
        action: the action, `service:Action`.
        resource: an ARN, or `*` for an action without resource types; or services, where it is
            not known which resource of theirs it is.
    """
    matched = [(one, one.applies(action.lower(), resource)) for one in found]
    denies = tuple(one for one, applies in matched if applies and not one.allows)
    if denies:
        return Decision(Answer.EXPLICIT_DENY, denies)
    allowed = any(applies and one.allows for one, applies in matched)
    undecided = tuple(
        one for one, applies in matched if applies is None and not (allowed and one.allows)
    )
    if not allowed and not any(one.allows for one in undecided):
        return Decision(Answer.IMPLICIT_DENY)
    return Decision(Answer.UNKNOWN if undecided else Answer.ALLOWED, undecided)


def within(identity: Decision, boundary: Decision) -> Decision:
    """What is left where a permissions boundary has to allow it as well.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    """
    answer = max(identity.answer, boundary.answer, key=list(Answer).index)
    by = [one.by for one in (identity, boundary) if one.answer is answer]
    return Decision(answer, tuple(statement for those in by for statement in those))


def _patterns(value: object) -> list[str]:
    return [text(entry) + ("" if certain else UNKNOWN) for entry, certain in listed(value)]


def _matches(pattern: str, asked: str) -> bool | None:
    """Whether the pattern fits; None where only the deployment or the request makes it fit."""
    if UNKNOWN not in pattern and "${" not in pattern:
        return _fits(pattern, asked)
    open_pattern = re.sub(r"\$\{[^}]*\}", "*", pattern.replace(UNKNOWN, "*"))
    return None if _fits(open_pattern, asked) else False


def _fits(pattern: str, asked: str) -> bool:
    if "*" not in pattern and "?" not in pattern:
        return pattern == asked
    return fnmatchcase(asked, pattern.replace("[", "[[]"))  # IAM has no sets of characters


def _covers(pattern: str, resource: str | tuple[str, ...]) -> bool | None:
    if isinstance(resource, str):
        return _matches(pattern, resource)
    if pattern and not pattern.strip("*"):
        return True
    arn = re.match(r"[^:]*:[^:]*:([^:]*):", pattern)
    if arn and all(_matches(arn[1], service) is False for service in resource):
        return False
    return None


def _any(answers: Iterable[bool | None], *, negated: bool) -> bool | None:
    """Whether one of them is yes; negated, as in `NotAction`, whether none is."""
    given = set(answers)
    if True in given:
        return not negated
    return None if None in given else negated
