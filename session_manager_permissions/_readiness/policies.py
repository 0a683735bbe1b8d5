"""Evaluate IAM policies as IAM does, as far as their statements are known at synthesis.

The rules are those of "Policy evaluation logic" in the IAM user guide: the statements of all
policies count together, a matching `Deny` overrides every `Allow`, an action without a matching
`Allow` is denied, and a permissions boundary has to allow the action as well.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from enum import Enum
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from session_manager_permissions._needs import ARN_PART

from .grammar import Refusal, is_function, refusal
from .templates import NO_VALUE, UNKNOWN, Condition, intrinsic, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .templates import Template

World: TypeAlias = "frozenset[tuple[Condition, bool]]"
"""One possible deployment: a value for each of some conditions of templates."""

_EVERYWHERE: Final[frozenset[World]] = frozenset({frozenset()})
_MOST_CONDITIONS: Final = 6
"""How many conditions are tried as true and as false; with more, nothing is known."""

_MOST_DEEP: Final = 64
"""How deep in a document `Fn::If` and `Fn::GetAtt` are looked for."""

_SERVICES: Final = (
    *("DynamoDB", "ECR", "IAM", "KMS", "Lambda", "Logs", "S3", "SecretsManager", "SQS"),
)
"""Services whose resources have an attribute `Arn` with the service's name in lower case."""


class Answer(Enum):
    """IAM's answers, as its simulator names them, and "unknown"."""

    ALLOWED = "allowed"
    UNKNOWN = "unknown"
    IMPLICIT_DENY = "implicitDeny"
    EXPLICIT_DENY = "explicitDeny"


_BY_STRICTNESS: Final = [*Answer]


class Decision(NamedTuple):
    """An answer, and the statements that deny the action or that make the answer unknown."""

    answer: Answer
    by: tuple[Statement, ...] = ()


class Statement(NamedTuple):
    """One statement of a policy, as far as it is known."""

    source: str
    """What a message calls its policy."""
    sid: str
    allows: bool
    actions: tuple[str, ...]
    """Patterns in lower case, because IAM ignores the case of an action."""
    not_actions: bool
    resources: tuple[str, ...]
    not_resources: bool
    certain: bool
    """Whether the statement is certainly deployed, and its `Condition` certainly holds."""
    entry: dict[str, Any]
    """The statement in the document."""
    when: frozenset[World] = _EVERYWHERE
    """The deployments that have the statement: it is in each of these worlds."""

    def is_in(self, world: World) -> bool:
        """Whether a deployment with these values of the conditions has the statement."""
        return any(when <= world for when in self.when)

    def covers_action(self, action: str) -> bool | None:
        """Whether it matches `action`, in lower case, whatever the resource; None if not known."""
        return _any_covers(self.actions, action, negated=self.not_actions)

    def applies(self, action: str, resource: str | tuple[str, ...]) -> bool | None:
        """Whether it matches `action`, in lower case, on `resource`, as in `decide`.

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


class Deployment(NamedTuple):
    """A policy document as the deployments of a world have it."""

    world: World
    document: object
    """The document without `Fn::If`."""
    refusal: Refusal | None
    """Why IAM refuses it, or may refuse it."""


def deployments(document: object, template: Template | None = None) -> list[Deployment]:
    """A policy document in each possible deployment of its template."""
    partition = template.stack.partition if template else None
    return [
        Deployment(
            world, resolved, refusal(resolved, partition) if isinstance(resolved, dict) else None
        )
        for world, resolved in _worlds(document, template)
    ]


def statements(
    document: object,
    source: str,
    *,
    certain: bool = True,
    template: Template | None = None,
    known: list[Deployment] | None = None,
) -> list[Statement]:
    """The statements of a policy document in a template.

    The `Condition` of a statement may hold or not, because its keys come from the request. Each
    condition of the template that an `Fn::If` uses is tried as true and as false.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html

    Args:
        document: the document, with intrinsic functions in it.
        source: what a message calls the policy.
        certain: whether the deployment is certain to have it.
        template: the template of the document, whose conditions and resources it refers to.
        known: its deployments, where they are known. Default: - they are found out.
    """
    found: dict[tuple[object, ...], tuple[Statement, set[World]]] = {}
    for deployment in deployments(document, template) if known is None else known:
        for one in _read(deployment, source, certain=certain):
            key = one[: Statement._fields.index("entry")]
            found.setdefault(key, (one, set()))[1].add(deployment.world)
    return [
        one if when == _EVERYWHERE else one._replace(when=_shortened(frozenset(when)))
        for one, when in found.values()
    ]


def refused(found: list[Deployment]) -> str | None:
    """Why IAM refuses a policy document, whatever the values of its template's conditions.

    None if IAM accepts it, if that depends on a condition, or if AWS does not document it.
    """
    reasons = [one.refusal.reason for one in found if one.refusal and one.refusal.certain]
    return reasons[0] if len(reasons) == len(found) else None


def _read(deployment: Deployment, source: str, *, certain: bool) -> Iterator[Statement]:
    """The statements of a document without `Fn::If`.

    A document that IAM refuses makes the deployment fail. It therefore counts as a Deny of
    everything. Its own statements are read as uncertain ones, for the other rules of the check.
    """
    resolved, found = deployment.document, deployment.refusal
    if not isinstance(resolved, dict) or is_function(resolved):
        yield from anything(source)
        return
    if found is not None:
        if not found.certain:
            source = f"{source}, which IAM may refuse: {found.reason}"
        denial = anything(source)[-1]
        yield from [denial._replace(certain=certain)] if found.certain else anything(source)
        certain = False
    written = resolved.get("Statement")
    for entry in written if isinstance(written, list) else [written]:
        if is_function(entry):
            yield from anything(source)
        elif isinstance(entry, dict) and "Effect" in entry:
            yield from _of_entry(entry, source, certain=certain)


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
            entry=entry,
        )


def _patterns(value: object) -> tuple[str, ...]:
    return tuple(text(entry) for entry in (value if isinstance(value, list) else [value]))


def _worlds(document: object, template: Template | None) -> Iterator[tuple[World, object]]:
    """The document in each possible deployment, by the values of its template's conditions.

    With too many conditions, the document is None in the only world.
    """
    conditions = [Condition(template, name) for name in _conditions(document)]
    if len(conditions) > _MOST_CONDITIONS:
        yield frozenset(), None
        return
    for world in _combinations(conditions):
        values = {condition.name: value for condition, value in world}
        yield world, _resolved(document, values, template, _MOST_DEEP)


def _combinations(conditions: Iterable[Condition]) -> Iterator[World]:
    names = [*conditions]
    for values in product((True, False), repeat=len(names)):
        yield frozenset(zip(names, values, strict=True))


def _shortened(worlds: frozenset[World]) -> frozenset[World]:
    """The same worlds, without the conditions that make no difference."""
    for condition in {name for world in worlds for name, _ in world}:
        shorter = frozenset(
            frozenset(one for one in world if one[0] != condition) for world in worlds
        )
        if 2 * len(shorter) == len(worlds):
            worlds = shorter
    return worlds


def _conditions(document: object) -> dict[str, None]:
    """The names of the conditions that an `Fn::If` in a document uses."""
    found: dict[str, None] = {}
    level, depth = [document], 0
    while level and depth <= _MOST_DEEP:
        inner: list[object] = []
        for value in level:
            if isinstance(value, list):
                inner += value
            elif isinstance(value, dict):
                inner += value.values()
                match value.get("Fn::If"):
                    case [str(name), _, _] if len(value) == 1:
                        found[name] = None
        level, depth = inner, depth + 1
    return found


def _resolved(
    value: object, world: dict[str, bool], template: Template | None, depth: int
) -> object:
    """`value` as a deployment has it.

    Each `Fn::If` is replaced by the branch that the deployment takes, each `AWS::NoValue` is
    removed, and each `Fn::GetAtt` of an ARN is replaced by what is known of that ARN.
    """
    if isinstance(value, str) or not depth:
        return value
    match intrinsic(value):
        case "Fn::If", [str(name), then, otherwise]:
            return _resolved(then if world[name] else otherwise, world, template, depth - 1)
        case "Fn::GetAtt", [str(name), "Arn"] if template is not None:
            return _arn(template, name) or value
    if isinstance(value, dict):
        return {
            name: entry
            for name, one in value.items()
            if (entry := _resolved(one, world, template, depth - 1)) != NO_VALUE
        }
    if isinstance(value, list):
        return [
            entry
            for one in value
            if (entry := _resolved(one, world, template, depth - 1)) != NO_VALUE
        ]
    return value


def _arn(template: Template, name: str) -> str | None:
    """The ARN of a resource of the template, as far as the type of the resource tells it."""
    resource = template.resources.get(name)
    found = re.match("AWS::(.*)::", resource.type) if resource else None
    # The partition makes no difference: no ARN that is asked about is of one of these services.
    return f"arn:aws:{found[1].lower()}:{UNKNOWN}" if found and found[1] in _SERVICES else None


def anything(source: str) -> list[Statement]:
    """Statements for a policy that can't be read: it may allow anything, and deny anything."""
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
            entry={},
        )
        for effect in ("Allow", "Deny")
    ]


def decide(found: Iterable[Statement], action: str, resource: str | tuple[str, ...]) -> Decision:
    """Decide about an action by the statements of all of a role's policies.

    Args:
        found: the statements.
        action: the action, `service:Action`.
        resource: an ARN, or `*` for an action without resource types. If it may be any of several
            ARNs, their forms, with `ARN_PART` for a part that varies.
    """
    matched = [
        (one, applies)
        for one in found
        if (applies := one.applies(action.lower(), resource)) is not False
    ]
    conditions = {name for one, _ in matched for world in one.when for name, _ in world}
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
    """The decision in one deployment; a statement with None may apply or not."""
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
    answer = max(identity.answer, boundary.answer, key=_BY_STRICTNESS.index)
    by = [one.by for one in (identity, boundary) if one.answer is answer]
    return Decision(answer, tuple(statement for those in by for statement in those))


def _matches(pattern: str, asked: str) -> bool | None:
    """Whether the pattern matches; None if the deployment or the request decides."""
    if UNKNOWN not in pattern and "${" not in pattern:
        return _fits(pattern, asked)
    return None if _fits(_open(pattern), asked) else False


def _open(pattern: str) -> str:
    """The pattern with a wildcard for each part that the deployment or the request decides."""
    return re.sub(r"\$\{[^}]*\}", "*", pattern.replace(UNKNOWN, "*"))


def _fits(pattern: str, asked: str) -> bool:
    if "*" not in pattern and "?" not in pattern:
        return pattern == asked
    return fnmatchcase(asked, pattern.replace("[", "[[]"))  # IAM has no sets of characters


def _covers(pattern: str, resource: str | tuple[str, ...]) -> bool | None:
    if isinstance(resource, str):
        return _matches(pattern, resource)
    if pattern and not pattern.strip("*"):
        return True
    return None if any(_meet(_open(pattern), arns) for arns in resource) else False


def _meet(pattern: str, arns: str) -> bool:
    """Whether the pattern matches one of the ARNs of the form `arns`.

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


@lru_cache(maxsize=4096)  # the policies of most roles have the same few patterns
def _any_covers(
    patterns: tuple[str, ...], asked: str | tuple[str, ...], *, negated: bool
) -> bool | None:
    """Whether any pattern matches; for `NotAction` and `NotResource`, whether none does."""
    answers = [_covers(pattern, asked) for pattern in patterns]
    if True in answers:
        return not negated
    return None if None in answers else negated
