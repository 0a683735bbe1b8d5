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
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions._needs import ARN_PART

from .grammar import is_function, refusal
from .templates import UNKNOWN, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .templates import Template

Condition = tuple[object, str]
"""A condition of a template, by its name, as templates may have different ones of one name."""

World = frozenset[tuple[Condition, bool]]
"""The values that conditions have in a deployment."""

_EVERYWHERE: Final[frozenset[World]] = frozenset({frozenset()})
_MOST_CONDITIONS: Final = 6
"""How many conditions are tried both ways, in 64 worlds; with more it can't be known."""

_DEEPEST: Final = 64
"""How far into a document `Fn::If` and `Fn::GetAtt` are looked for."""

_SERVICES: Final = {
    "AWS::DynamoDB": "dynamodb",
    "AWS::ECR": "ecr",
    "AWS::IAM": "iam",
    "AWS::KMS": "kms",
    "AWS::Lambda": "lambda",
    "AWS::Logs": "logs",
    "AWS::S3": "s3",
    "AWS::SecretsManager": "secretsmanager",
    "AWS::SQS": "sqs",
}
"""Services of resources in templates, and what the attribute `Arn` of each has as its service."""


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
    when: frozenset[World] = _EVERYWHERE
    """The deployments that have it: those where one of these is so."""

    def is_in(self, world: World) -> bool:
        """Whether a deployment has it in which the conditions have these values."""
        return any(when <= world for when in self.when)

    def covers_action(self, action: str) -> bool | None:
        """Whether it is about `action`, in lower case, on whatever resource."""
        fitting = (_matches(pattern, action) for pattern in self.actions)
        return _any(fitting, negated=self.not_actions)

    def applies(self, action: str, resource: str | tuple[str, ...]) -> bool | None:
        """Whether it matches `action`, in lower case, on `resource`, which is as in `decide`.

        Wildcards: `*` for any characters, `?` for one, also within a part of an ARN.
        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
        """
        actions = self.covers_action(action)
        if actions is False:
            return False
        covering = (_covers(pattern, resource) for pattern in self.resources)
        resources = _any(covering, negated=self.not_resources)
        if resources is False:
            return False
        return True if actions and resources and self.certain else None


def statements(
    document: object, source: str, *, certain: bool = True, template: Template | None = None
) -> list[Statement]:
    """The statements of a policy document as a template has it.

    A condition of a statement is taken as one that may hold: its keys are of the request, which no
    template has. A condition of the template, by which `Fn::If` decides, is tried both ways.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html

    Args:
        document: the document, with intrinsic functions in it.
        source: what a message calls the policy.
        certain: whether the deployment is certain to have it.
        template: where the document is written, whose conditions and resources it refers to.
    """
    found: dict[tuple[object, ...], tuple[Statement, set[World]]] = {}
    for world, resolved in _worlds(document, template):
        for one in _read(resolved, source, _partition(template), certain=certain):
            found.setdefault(one[: Statement._fields.index("written")], (one, set()))[1].add(world)
    return [one._replace(when=_shortened(frozenset(when))) for one, when in found.values()]


def refused(document: object, template: Template | None = None) -> str | None:
    """Why IAM refuses a policy document whatever the conditions of its template come to.

    None where it takes it, where that depends, and where it is not documented.

    Args:
        document: the document, with intrinsic functions in it.
        template: where the document is written.
    """
    found = [
        refusal(resolved, _partition(template)) if isinstance(resolved, dict) else None
        for _, resolved in _worlds(document, template)
    ]
    reasons = [one.reason for one in found if one is not None and one.certain]
    return reasons[0] if len(reasons) == len(found) else None


def _partition(template: Template | None) -> str | None:
    return template.stack.partition if template else None


def _read(
    resolved: object, source: str, partition: str | None, *, certain: bool
) -> Iterator[Statement]:
    """The statements of a document without `Fn::If`.

    Nobody gets anything of a deployment that fails, and so a document that IAM refuses denies
    everything. What it says is read as well, for what else there is to report of it.
    """
    if not isinstance(resolved, dict) or is_function(resolved):
        yield from anything(source)
        return
    found = refusal(resolved, partition)
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
            written=entry,
        )


def _patterns(value: object) -> tuple[str, ...]:
    return tuple(text(entry) for entry in (value if isinstance(value, list) else [value]))


def _worlds(document: object, template: Template | None) -> Iterator[tuple[World, object]]:
    """The document as each value of its template's conditions makes it.

    With too many conditions there is one world, of which nothing is known.
    """
    scope: object = template or object()
    conditions = [(scope, name) for name in dict.fromkeys(_conditions(document, _DEEPEST))]
    if len(conditions) > _MOST_CONDITIONS:
        yield frozenset(), None
        return
    for world in _combinations(conditions):
        values = {name: value for (_, name), value in world}
        yield world, _resolved(document, values, template, _DEEPEST)


def _combinations(conditions: Iterable[Condition]) -> Iterator[World]:
    names = [*conditions]
    for values in product((True, False), repeat=len(names)):
        yield frozenset(zip(names, values, strict=True))


def _shortened(worlds: frozenset[World]) -> frozenset[World]:
    """The same worlds without the conditions that make no difference."""
    for condition in {name for world in worlds for name, _ in world}:
        shorter = frozenset(
            frozenset(one for one in world if one[0] != condition) for world in worlds
        )
        if 2 * len(shorter) == len(worlds):
            worlds = shorter
    return worlds


def _conditions(value: object, depth: int) -> Iterator[str]:
    """The names of the conditions by which it decides."""
    match _function(value):
        case "Fn::If", [str(name), _, _]:
            yield name
    if depth and isinstance(value, (dict, list)):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _conditions(entry, depth - 1)


def _resolved(
    value: object, world: dict[str, bool], template: Template | None, depth: int
) -> object:
    """It with what `Fn::If` comes to, without what is `AWS::NoValue`."""
    match _function(value) if depth else ("", None):
        case "Fn::If", [str(name), then, otherwise]:
            return _resolved(then if world[name] else otherwise, world, template, depth - 1)
        case "Fn::GetAtt", [str(name), "Arn"] if template is not None:
            return _arn(template, name) or value
    if depth and isinstance(value, dict):
        named = {name: _resolved(one, world, template, depth - 1) for name, one in value.items()}
        return {name: entry for name, entry in named.items() if entry != _NO_VALUE}
    if depth and isinstance(value, list):
        entries = [_resolved(one, world, template, depth - 1) for one in value]
        return [entry for entry in entries if entry != _NO_VALUE]
    return value


_NO_VALUE: Final = {"Ref": "AWS::NoValue"}


def _function(value: object) -> tuple[object, object]:
    """The name and the argument of what may be an intrinsic function."""
    return next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else ("", None)


def _arn(template: Template, name: str) -> str | None:
    """The ARN of a resource of the template as far as its type tells it."""
    resource = template.resources.get(name)
    service = _SERVICES.get(resource.type.rpartition("::")[0]) if resource else None
    # Which partition makes no difference, as long as it has no part of another service's ARN.
    return f"arn:aws:{service}:{UNKNOWN}" if service else None


def anything(source: str) -> list[Statement]:
    """What stands for a policy that can't be read: it may allow anything, and deny it."""
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
        for effect in ("Allow", "Deny")
    ]


def decide(found: Iterable[Statement], action: str, resource: str | tuple[str, ...]) -> Decision:
    """What the statements of all of a role's policies answer together.

    Args:
        found: the statements.
        action: the action, `service:Action`.
        resource: an ARN, or `*` for an action without resource types; or the forms of ARNs, with
            `ARN_PART` in them, where it may be any of these, or `*`.
    """
    asked = ((one, one.applies(action.lower(), resource)) for one in found)
    matched = [(one, applies) for one, applies in asked if applies is not False]
    conditions = {name for one, _ in matched for world in one.when for name, _ in world}
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


def _decide(matched: list[tuple[Statement, bool | None]]) -> Decision:
    """What they answer in one deployment; None for a statement that may apply."""
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


def _matches(pattern: str, asked: str) -> bool | None:
    """Whether the pattern fits; None where only the deployment or the request makes it fit."""
    if UNKNOWN not in pattern and "${" not in pattern:
        return _fits(pattern, asked)
    return None if _fits(_open(pattern), asked) else False


def _open(pattern: str) -> str:
    """The pattern with a wildcard for what only the deployment or the request knows."""
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
    """Whether the pattern fits one of the ARNs that `arns` stands for."""
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


def _any(answers: Iterable[bool | None], *, negated: bool) -> bool | None:
    """Whether one of them is yes; negated, as in `NotAction`, whether none is."""
    given = set(answers)
    if True in given:
        return not negated
    return None if None in given else negated
