"""Read the IAM policies of templates, as far as they are known at synthesis, and decide by them.

The statements of all policies of a role count together, and its permissions boundary has to allow
an action as well.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from session_manager_permissions import _evaluation, _needs
from session_manager_permissions._conditions import FROM_EC2, NO_CONTEXT, RequestContext, open_keys
from session_manager_permissions._patterns import UNKNOWN, all_hold, any_matches, matches, may_match

from .parts import decider
from .templates.functions import Deployed, candidates, is_function, listed, text, values_of
from .templates.loading import as_document, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ASSOCIATE: Final = "ec2:AssociateIamInstanceProfile"
"""The action that gives a running instance a profile."""

On: TypeAlias = "str | tuple[str, ...]"
"""The resource of a call: an ARN, or `*` for an action without resource types.

If it may be any of several ARNs, their forms, with `ARN_PART` for a part that varies.
"""

NEEDED: Final[dict[str, On]] = {
    **dict.fromkeys(_needs.CHANNELS.actions, _needs.CHANNELS.resource),
    # A policy may allow it on some instances, and it is not known which will have the profile.
    **dict.fromkeys(_needs.REGISTRATION.actions, _needs.REGISTRATION_RESOURCES),
}
"""The actions that an instance needs, each with its resource."""

DECRYPT: Final = "kms:Decrypt"
"""The action on the key of a session."""
ENCRYPT_LOG: Final = "kms:GenerateDataKey"
"""The action on the key of a log bucket, which S3 calls for the agent."""

_OF_SOME_SESSIONS: Final = (
    _needs.decrypt("*", sessions_only=False),
    _needs.log_encryption(),
    _needs.log_objects("*", "", other_account=False),
    _needs.log_bucket_key("*"),
    *_needs.log_group("*"),
)
ASKED: Final = (
    *NEEDED,
    *dict.fromkeys(action for one in _OF_SOME_SESSIONS for action in one.actions),
    ASSOCIATE,
)
"""All actions about which policies are read."""


_ANY: Final = ("*",)


def known_of(actions: tuple[str, ...], account: str) -> RequestContext:
    """Return what is known of an agent's calls of these actions.

    `ENCRYPT_LOG`, which Amazon S3 calls for the agent, has no encryption context of a session.

    Args:
        actions: what the agent calls.
        account: the account of its role.
    """
    if actions == (ENCRYPT_LOG,):
        return NO_CONTEXT._replace(lacks=frozenset({_needs.SESSION_KEY.lower()}))
    by_role = FROM_EC2.knowing({"aws:PrincipalAccount": account})
    if actions == (DECRYPT,):
        of_session = dict.fromkeys((_needs.SESSION_KEY, _needs.TARGET_KEY))
        known = {"kms:CallerAccount": account, "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        among = tuple(("kms:encryptioncontextkeys", one) for one in _needs.SESSION_CONTEXT)
        return by_role.knowing(of_session | known)._replace(among=among)
    return by_role


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
    """Whether it is certainly attached, and its `Condition` certainly holds."""
    written_resource: object = None
    """The element `Resource` or `NotResource` as the template has it."""
    principal: object = None
    """The element `Principal` as the template has it."""
    doubt: str = ""
    """Why it is not certain whether it applies: the words after its name in a message."""

    @property
    def name(self) -> str:
        """What a message calls it."""
        return f"statement {self.sid!r} of {self.source}" if self.sid else self.source

    def covers_action(self, action: str) -> bool | None:
        """Tell whether it matches `action`, whatever the resource."""
        return _any_covers(self.actions, action.lower(), negated=self.not_actions)

    def applies(self, action: str, resource: On) -> bool | None:
        """Tell whether it matches `action` on `resource`, as in `decide`.

        None if that is not known. `*` matches any characters and `?` matches one, also within a
        part of an ARN.
        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
        """
        actions = self.covers_action(action)
        if actions is False:
            return False
        resources = _any_covers(self.resources, resource, negated=self.not_resources)
        return all_hold(actions, resources, self.certain or None)


EVERYTHING: Final = Statement("", allows=True, certain=True)
"""The statement that allows everything."""

Decision = _evaluation.Decision[Statement]


def read(
    document: object,
    source: str,
    known: Callable[[object], str] = text,
    about: tuple[str, ...] = ASKED,
    context: RequestContext = NO_CONTEXT,
) -> list[Statement]:
    """Read the statements of a policy document that may be about some actions.

    A statement whose `Condition` certainly does not hold is left out.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html

    Args:
        document: the document, as the world has it. What IAM refuses is left out.
        source: what a message calls the policy.
        known: reads a value of the document as a text, with `UNKNOWN` for what is not known.
        about: the actions that matter. A statement about others is left out before it asks the
            world for anything. Default: - All that are asked about.
        context: the condition keys that are known of the calls. Default: - None of them.
    """
    document = as_document(document)
    if is_function(document):
        document = parsed(known(document))
    if not isinstance(document, dict):
        return anything(source)
    found: list[Statement] = []
    for candidate in candidates(document, "Statement"):
        entry = candidate.value
        if is_about(entry, about) and candidate.is_there:
            if is_function(entry):
                found += anything(source)
            else:
                found += _read_entry(entry, source, known, context)
    return found


def actions_of(owner: dict[str, Any]) -> tuple[str, ...]:
    """Return the patterns of the actions that a policy may be about, in any world.

    Args:
        owner: the mapping that has the document as its `PolicyDocument`.
    """
    documents = values_of(owner, "PolicyDocument")
    return tuple(one for each in documents for one in _actions_in(each)) if documents else _ANY


def _actions_in(document: object) -> tuple[str, ...]:
    if is_function(document):  # only in a world is its argument known
        return _ANY
    document = as_document(document)
    if not isinstance(document, dict):
        return _ANY
    return tuple(action for one in values_of(document, "Statement") for action in _actions(one))


def _actions(entry: object) -> tuple[str, ...]:
    if not isinstance(entry, dict):
        return ()
    if "Action" not in dict.keys(entry):  # a function, or a statement with `NotAction`
        return _ANY
    actions = values_of(entry, "Action")
    return _ANY if any(isinstance(one, Deployed) for one in actions) else tuple(map(text, actions))


def is_about(entry: object, about: tuple[str, ...]) -> bool:
    """Tell whether a statement may be about one of the actions, in any world."""
    return may_match_any(_actions(entry), about)


@lru_cache(maxsize=4096)  # the policies of most roles have the same few statements
def may_match_any(patterns: tuple[str, ...], about: tuple[str, ...]) -> bool:
    """Tell whether a pattern may match one of the actions."""
    return any(
        matches(pattern.lower(), action.lower()) is not False
        for pattern in patterns
        for action in about
    )


def _read_entry(
    entry: dict[str, Any], source: str, known: Callable[[object], str], context: RequestContext
) -> Iterator[Statement]:
    undecided = open_keys(entry.get("Condition"), context)
    if undecided is None:
        return
    not_actions, not_resources = "NotAction" in entry, "NotResource" in entry
    named = "NotResource" if not_resources else "Resource"
    actions = _patterns(entry, "NotAction" if not_actions else "Action", known)
    effect = known(entry.get("Effect"))
    certain = effect in {"Allow", "Deny"}
    resources = _patterns(entry, named, known)
    is_known = not any(UNKNOWN in one for one in (effect, *actions, *resources))
    for allows in [effect == "Allow"] if certain else [True, False]:
        yield Statement(
            source=source,
            sid=text(entry.get("Sid", "")).replace(UNKNOWN, ""),
            allows=allows,
            actions=tuple(action.lower() for action in actions),
            not_actions=not_actions,
            resources=resources,
            not_resources=not_resources,
            certain=certain and not undecided,
            written_resource=entry.get(named),
            principal=entry.get("Principal"),
            doubt=_doubt(entry, undecided, is_known=is_known),
        )


def _doubt(entry: dict[str, Any], keys: list[str], *, is_known: bool) -> str:
    """Say which element of a statement decides, beyond the template, whether it applies."""
    if keys:
        on = f" on {' and '.join(map(repr, keys))}" if all(keys) else ""
        return f", whose Condition{on} may not hold for the agent's calls"
    elements = ("Effect", "Action", "NotAction", "Resource", "NotResource")
    for name in () if is_known else elements:
        for written in listed(entry.get(name)):
            if UNKNOWN in text(written):
                return f", whose {name} is {decider(written, 'value')}"
    name = "NotResource" if "NotResource" in entry else "Resource"
    return "" if entry.get(name) in ("*", ["*"]) else f", whose {name} may not be the instance"


def _patterns(entry: dict[str, Any], name: str, known: Callable[[object], str]) -> tuple[str, ...]:
    return tuple(map(known, listed(entry.get(name)))) or (UNKNOWN,)


def anything(source: str) -> list[Statement]:
    """Return statements for a policy that can't be read: it may allow and deny anything."""
    return [Statement(source, allows=True), Statement(source, allows=False)]


def decide(found: Iterable[Statement], action: str, resource: On) -> Decision:
    """Decide about an action by the statements of all of a role's policies.

    Args:
        found: the statements.
        action: the action, `service:Action`.
        resource: the resource of the call.
    """
    return _evaluation.decide((one, one.allows, one.applies(action, resource)) for one in found)


def within(identity: Decision, boundary: Decision) -> Decision:
    """Combine the decision of a role's policies with that of its permissions boundary.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    """
    if identity.answer is boundary.answer and boundary.by:
        return Decision(identity.answer, identity.by + boundary.by)
    return max(identity, boundary, key=attrgetter("answer"))  # the first one if both are equal


@lru_cache(maxsize=4096)  # the policies of most roles have the same few patterns
def _any_covers(patterns: tuple[str, ...], asked: On, *, negated: bool) -> bool | None:
    """Tell whether any pattern matches; for `NotAction` and `NotResource`, whether none does."""
    return any_matches([_covers(pattern, asked) for pattern in patterns], negated=negated)


def _covers(pattern: str, resource: On) -> bool | None:
    if isinstance(resource, str):
        return matches(pattern, resource)
    if pattern in resource or (pattern and not pattern.strip("*")):
        return True
    return None if any(may_match(pattern, arns) for arns in resource) else False
