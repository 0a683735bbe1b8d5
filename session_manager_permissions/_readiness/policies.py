"""Evaluate IAM policies as IAM does, as far as their statements are known at synthesis.

The rules are those of "Policy evaluation logic" in the IAM user guide: the statements of all
policies count together, a matching `Deny` overrides every `Allow`, an action without a matching
`Allow` is denied, and a permissions boundary has to allow the action as well.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from session_manager_permissions._needs import ARN_PART
from session_manager_permissions._patterns import UNKNOWN, any_matches, as_list, matches, widest

from .grammar import Refusal, refusal
from .templates import Condition, intrinsic, is_function, mappings_in, rewritten, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .templates import Template

World: TypeAlias = "frozenset[tuple[Condition, bool]]"
"""One possible deployment: a value for each of some conditions of templates."""

_EVERYWHERE: Final[frozenset[World]] = frozenset({frozenset()})
_MOST_CONDITIONS: Final = 6
"""How many conditions are tried as true and as false; with more, nothing is known."""

_HAVING_ARN: Final = re.compile("AWS::(DynamoDB|ECR|IAM|KMS|Lambda|Logs|S3|SecretsManager|SQS)::")
"""Services whose resources have an attribute `Arn` with the service's name in lower case."""


class Answer(IntEnum):
    """IAM's answers and "unknown", each stricter than the one before."""

    ALLOWED = 1
    UNKNOWN = 2
    IMPLICIT_DENY = 3
    EXPLICIT_DENY = 4


class Decision(NamedTuple):
    """An answer, and the statements that deny the action or that make the answer unknown."""

    answer: Answer
    by: tuple[Statement, ...] = ()


class Statement(NamedTuple):
    """One statement of a policy, as far as it is known: by default it may apply to anything."""

    source: str
    """What a message calls its policy."""
    allows: bool
    sid: str = ""
    actions: tuple[str, ...] = ("*",)
    """Patterns in lower case, because IAM ignores the case of an action."""
    not_actions: bool = False
    resources: tuple[str, ...] = ("*",)
    not_resources: bool = False
    certain: bool = False
    """Whether the statement is certainly deployed, and its `Condition` certainly holds."""
    written_resource: object = None
    """The element `Resource` as the template has it."""
    when: frozenset[World] = _EVERYWHERE
    """The deployments that have the statement: it is in each of these worlds."""

    @property
    def name(self) -> str:
        """What a message calls it."""
        return f"statement {self.sid!r} of {self.source}" if self.sid else self.source

    def is_in(self, world: World) -> bool:
        """Tell whether a deployment with these values of the conditions has the statement."""
        return any(when <= world for when in self.when)

    def covers_action(self, action: str) -> bool | None:
        """Tell whether it matches `action`, whatever the resource."""
        return _any_covers(self.actions, action.lower(), negated=self.not_actions)

    def applies(self, action: str, resource: str | tuple[str, ...]) -> bool | None:
        """Tell whether it matches `action` on `resource`, as in `decide`.

        None if that is not known. `*` matches any characters and `?` matches one, also within a
        part of an ARN.
        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
        """
        actions = self.covers_action(action)
        if actions is False:
            return False
        resources = _any_covers(self.resources, resource, negated=self.not_resources)
        if resources is False:
            return False
        return True if actions and resources and self.certain else None


class PolicyReading(NamedTuple):
    """A policy document of a template, as it was read."""

    statements: list[Statement]
    refused: str | None
    """Why IAM refuses the document, whatever the values of its template's conditions. None if IAM
    accepts it, if that depends on a condition, or if AWS does not document it."""


def read(document: object, source: str, template: Template | None = None) -> PolicyReading:
    """Read a policy document, with the intrinsic functions in it.

    The `Condition` of a statement may hold or not, because its keys come from the request. Each
    condition of the template that an `Fn::If` uses is tried as true and as false.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html

    Args:
        document: the document.
        source: what a message calls the policy.
        template: the template of the document, whose conditions and resources it refers to.
    """
    partition = template.stack.partition if template else None
    found: dict[Statement, tuple[Statement, set[World]]] = {}
    reasons: list[str | None] = []
    conditions = [*dict.fromkeys(_conditions(document, template))]
    if len(conditions) > _MOST_CONDITIONS:
        return PolicyReading(anything(source), None)
    for world in _combinations(conditions):
        resolved = _resolved(document, world, template)
        fault = refusal(resolved, partition) if isinstance(resolved, dict) else None
        reasons.append(fault.reason if fault and fault.certain else None)
        for one in _statements(resolved, source, fault):
            found.setdefault(one._replace(written_resource=None), (one, set()))[1].add(world)
    statements = [
        one if when == _EVERYWHERE else one._replace(when=_shortened(frozenset(when)))
        for one, when in found.values()
    ]
    return PolicyReading(statements, reasons[0] if all(reasons) else None)


def _statements(resolved: object, source: str, fault: Refusal | None) -> Iterator[Statement]:
    """Yield the statements of a document without `Fn::If`.

    A document that IAM refuses makes the deployment fail. It therefore counts as a Deny of
    everything. Its own statements are read as uncertain ones, for the other rules of the check.
    """
    if not isinstance(resolved, dict) or is_function(resolved):
        yield from anything(source)
        return
    if fault and fault.certain:
        yield Statement(source, allows=False, certain=True)
    elif fault:
        source = f"{source}, which IAM may refuse: {fault.reason}"
        yield from anything(source)
    for entry in as_list(resolved.get("Statement")):
        if is_function(entry):
            yield from anything(source)
        elif isinstance(entry, dict) and "Effect" in entry:
            yield from _of_entry(entry, source, certain=fault is None)


def _of_entry(entry: dict[str, Any], source: str, *, certain: bool) -> Iterator[Statement]:
    not_actions, not_resources = "NotAction" in entry, "NotResource" in entry
    actions = _patterns(entry.get("NotAction" if not_actions else "Action"))
    written = text(entry["Effect"])
    known = UNKNOWN not in written
    for effect in [written] if known else ["Allow", "Deny"]:
        yield Statement(
            source=source,
            sid=text(entry.get("Sid", "")).replace(UNKNOWN, ""),
            allows=effect == "Allow",
            actions=tuple(action.lower() for action in actions),
            not_actions=not_actions,
            resources=_patterns(entry.get("NotResource" if not_resources else "Resource")),
            not_resources=not_resources,
            certain=certain and known and not entry.get("Condition"),
            written_resource=entry.get("Resource"),
        )


def _patterns(value: object) -> tuple[str, ...]:
    return tuple(map(text, as_list(value)))


def _combinations(conditions: Sequence[Condition]) -> Iterator[World]:
    """Yield each possible deployment, by the values of these conditions."""
    for values in product((True, False), repeat=len(conditions)):
        yield frozenset(zip(conditions, values, strict=True))


def _shortened(worlds: frozenset[World]) -> frozenset[World]:
    """Return the same worlds, without the conditions that make no difference."""
    for condition in {name for world in worlds for name, _ in world}:
        shorter = frozenset(
            frozenset(one for one in world if one[0] != condition) for world in worlds
        )
        if 2 * len(shorter) == len(worlds):
            worlds = shorter
    return worlds


def _conditions(document: object, template: Template | None) -> Iterator[Condition]:
    """Yield the conditions that an `Fn::If` in the document uses."""
    for one in mappings_in(document):
        match intrinsic(one):
            case "Fn::If", [str(name), _, _]:
                yield Condition(template, name)


def _resolved(value: object, world: World, template: Template | None) -> object:
    """Return `value` as a deployment has it.

    Each `Fn::If` is replaced by the branch that the deployment takes, each `AWS::NoValue` is
    removed, and each `Fn::GetAtt` of an ARN is replaced by what is known of that ARN.
    """

    def known(function: dict[str, Any]) -> object:
        match intrinsic(function):
            case "Fn::If", [str(name), then, otherwise]:
                holds = (Condition(template, name), True) in world
                return rewritten(then if holds else otherwise, known)
            case "Fn::GetAtt", [str(name), "Arn"] if template is not None:
                return _arn(template, name) or function
        return {name: rewritten(argument, known) for name, argument in function.items()}

    return rewritten(value, known)


def _arn(template: Template, name: str) -> str | None:
    """Return the ARN of a resource of the template, as far as the type of the resource tells it."""
    resource = template.resources.get(name)
    found = _HAVING_ARN.match(resource.type) if resource else None
    # The partition makes no difference: no ARN that is asked about is of one of these services.
    return f"arn:aws:{found[1].lower()}:{UNKNOWN}" if found else None


def anything(source: str) -> list[Statement]:
    """Return statements for a policy that can't be read: it may allow and deny anything."""
    return [Statement(source, allows=True), Statement(source, allows=False)]


def decide(found: Iterable[Statement], action: str, resource: str | tuple[str, ...]) -> Decision:
    """Decide about an action by the statements of all of a role's policies.

    Args:
        found: the statements.
        action: the action, `service:Action`.
        resource: an ARN, or `*` for an action without resource types. If it may be any of several
            ARNs, their forms, with `ARN_PART` for a part that varies.
    """
    matched = [
        (one, applies) for one in found if (applies := one.applies(action, resource)) is not False
    ]
    conditions = [*{name for one, _ in matched for world in one.when for name, _ in world}]
    if not conditions:
        return _decide(matched)
    if len(conditions) > _MOST_CONDITIONS:
        return _decide(
            [(one, applies if one.when == _EVERYWHERE else None) for one, applies in matched]
        )
    decisions = [
        _decide([(one, applies) for one, applies in matched if one.is_in(world)])
        for world in _combinations(conditions)
    ]
    answers = {one.answer for one in decisions}
    named = {id(statement) for one in decisions for statement in one.by}
    if answers == {Answer.IMPLICIT_DENY, Answer.EXPLICIT_DENY}:
        return Decision(Answer.IMPLICIT_DENY)
    if len(answers) > 1:
        named |= {id(one) for one, _ in matched if one.when != _EVERYWHERE}
    answer = answers.pop() if len(answers) == 1 else Answer.UNKNOWN
    return Decision(answer, tuple(one for one, _ in matched if id(one) in named))


def _decide(matched: Sequence[tuple[Statement, bool | None]]) -> Decision:
    """Return the decision in one deployment; a statement with None may apply or not."""
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
    """Combine the decision of a role's policies with that of its permissions boundary.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    """
    answer = max(identity.answer, boundary.answer)
    by = [one.by for one in (identity, boundary) if one.answer is answer]
    return Decision(answer, tuple(statement for those in by for statement in those))


@lru_cache(maxsize=4096)  # the policies of most roles have the same few patterns
def _any_covers(
    patterns: tuple[str, ...], asked: str | tuple[str, ...], *, negated: bool
) -> bool | None:
    """Tell whether any pattern matches; for `NotAction` and `NotResource`, whether none does."""
    return any_matches([_covers(pattern, asked) for pattern in patterns], negated=negated)


def _covers(pattern: str, resource: str | tuple[str, ...]) -> bool | None:
    if isinstance(resource, str):
        return matches(pattern, resource)
    if pattern and not pattern.strip("*"):
        return True
    return None if any(_meet(widest(pattern), arns) for arns in resource) else False


def _meet(pattern: str, arns: str) -> bool:
    """Tell whether the pattern matches one of the ARNs of the form `arns`.

    Walks through both texts at once; `*` and `ARN_PART` may each match any number of characters.
    """
    done, left = set(), [(0, 0)]
    while left:
        here = left.pop()
        if here in done:
            continue
        done.add(here)
        at, of = here
        if here == (len(pattern), len(arns)):
            return True
        one, other = pattern[at : at + 1], arns[of : of + 1]
        if one == "*":
            left.append((at + 1, of))
        if other == ARN_PART:
            left.append((at, of + 1))
        part = other == ARN_PART
        if one and other and (one in {"*", "?", other} or (part and one not in ":/")):
            left.append((at + (one != "*"), of + (not part)))
    return False
