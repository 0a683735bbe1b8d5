"""Evaluate the statements of a policy for a request, as IAM does. Independent of CDK.

A matching `Deny` overrides every `Allow`. A request that no `Allow` matches is denied. The answer
is unknown if it depends on an unknown part of the policy or of the request.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeVar

from ._conditions import NO_CONTEXT, RequestContext, holds
from ._patterns import UNKNOWN, all_hold, any_matches, as_list, has_marks, matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_Statement = TypeVar("_Statement")


class Answer(IntEnum):
    """IAM's answers and "unknown". Each value is stricter than the value before it."""

    ALLOWED = 1
    UNKNOWN = 2
    IMPLICIT_DENY = 3
    EXPLICIT_DENY = 4


@dataclass(frozen=True)
class Decision(Generic[_Statement]):
    """An answer, and the statements that deny the action or that make the answer unknown."""

    answer: Answer
    by: tuple[_Statement, ...] = ()


_ALLOWED: Final = Decision[Any](Answer.ALLOWED)
_DENIED: Final = Decision[Any](Answer.IMPLICIT_DENY)


class Request(NamedTuple):
    """A request to AWS, as far as it is known."""

    action: str
    is_about: Callable[[Mapping[str, Any]], bool | None]
    """Tells whether the `Principal` or `NotPrincipal` of a statement includes the caller."""
    context: RequestContext = NO_CONTEXT
    resource: str | None = None
    """The ARN, or `UNKNOWN`. None for a trust policy, whose statements name no resource."""

    def matched_by(self, statement: Mapping[str, Any]) -> bool | None:
        """Tell whether a statement matches the request."""
        return all_hold(
            _covers(statement, "Action", partial(_is_of, self.action)),
            self.is_about(statement),
            self.resource is None or _covers(statement, "Resource", partial(_is_on, self.resource)),
            holds(statement.get("Condition"), self.context),
        )


def _is_of(action: str, pattern: str) -> bool | None:
    return _fits(pattern.lower(), action.lower())  # IAM ignores the case


def _is_on(resource: str, pattern: str) -> bool | None:
    if pattern == "*":
        return True
    return None if resource == UNKNOWN else _fits(pattern, resource)


def _fits(pattern: str, asked: str) -> bool | None:
    """Tell whether a pattern matches; None if it depends on a part that is not known yet."""
    found = matches(pattern, asked)
    return None if found is False and has_marks(pattern + asked) else found


def evaluate(statements: Iterable[object], request: Request) -> Decision[Mapping[str, Any]]:
    """Decide a request by the statements of a document."""
    return decide(_judged(statements, request))


def _judged(
    statements: Iterable[object], request: Request
) -> Iterator[tuple[Mapping[str, Any], bool, bool | None]]:
    """Yield statements for `decide`. A statement with an unknown effect may allow, and may deny."""
    for written in statements:
        statement = written if isinstance(written, dict) else {}  # of which nothing is known
        applies = request.matched_by(statement)
        effect = statement.get("Effect")
        if effect in ("Allow", "Deny"):
            yield statement, effect == "Allow", applies
        elif applies is not False:
            yield from ((statement, allows, None) for allows in (True, False))


def names_role(principal: object, role: str, account: str = "") -> bool | None:
    """Tell whether a `Principal` includes a role or a user; None if it names only its sessions.

    Args:
        principal: the element.
        role: the ARN of the role or the user; "" if it is not known.
        account: its account, where that stands for everybody in it. Default: - it does not
    """
    session = f":assumed-role/{role.rpartition('/')[2]}/"

    def is_its(named: object) -> bool | None:
        if not isinstance(named, str):
            return None
        if named in {"*", role, account} or named.endswith(f"::{account}:root"):
            return True
        is_open = not role or session in named or has_marks(named + role)
        return None if is_open else False

    return any_matches([*map(is_its, principals(principal, "AWS"))])


def principals(written: object, kind: Literal["AWS", "Service"]) -> list[object]:
    """List the principals of a kind in a `Principal`, with None for an entry that can't be read."""
    if written == "*":
        return ["*"]
    if not isinstance(written, dict) or not {*written} <= {"AWS", "Federated", "Service"}:
        return [None]
    return as_list(written.get(kind, []))


def _covers(
    statement: Mapping[str, Any], element: str, is_meant: Callable[[str], bool | None]
) -> bool | None:
    """Tell whether an element, or its negated form such as `NotAction`, matches the request."""
    negated = f"Not{element}" in statement
    patterns = as_list(statement.get(f"Not{element}" if negated else element))
    answers = [is_meant(one) if isinstance(one, str) else None for one in patterns]
    return any_matches(answers, negated=negated)


def decide(judged: Iterable[tuple[_Statement, bool, bool | None]]) -> Decision[_Statement]:
    """Decide by statements. Each comes with whether it allows, and whether it applies."""
    allowed, denies, undecided = False, [], []
    for statement, allows, applies in judged:
        if applies is None:
            undecided.append((statement, allows))
        elif applies and allows:
            allowed = True
        elif applies:
            denies.append(statement)
    if denies:
        return Decision(Answer.EXPLICIT_DENY, tuple(denies))
    if not allowed and not any(allows for _, allows in undecided):
        return _DENIED
    by = tuple(statement for statement, allows in undecided if not (allowed and allows))
    return Decision(Answer.UNKNOWN, by) if by else _ALLOWED
