"""Checks whether an operator may start a session on the node, and has the plug-in for it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions import _limits, _needs
from session_manager_permissions._conditions import NOT_OF_SESSION
from session_manager_permissions._quoting import in_shell

from . import checks, simulator
from .asking import CannotAsk, answered, read_in, tried, well_formed
from .checks import OPERATOR, PLUGIN, Evidence, Outcome
from .lines import USER_GUIDE, in_json
from .live_roles import LiveRole, find_role, tags_of
from .node import Node, at_least, caller_arn
from .role_verdict import CallVerdict, blocks, by_absent, decided, unless
from .simulator import Call, ConditionKey, Context, is_allowed, missing_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .answers import SimulatorAnswer
    from .preferences import Preferences

CALLER: Final = "caller"
"""Stands for the identity of the credentials."""
_PLUGIN: Final = "session-manager-plugin"
_SAMPLE_NAME: Final = "operator"
"""Stands for a role session name that is not known."""
_USER_ID: Final = "aws:userid"
_USER_NAME: Final = "aws:username"
_OWN_TAG: Final = "aws:PrincipalTag/"
_NOT_OF_USER: Final = (_OWN_TAG, "aws:SourceIdentity", "aws:FederatedProvider")
"""The prefixes of the condition keys that no call of a user has, except for the user's own tags."""
_SIGNS_CHANNEL: Final = "1.2.764.0"
"""The first version of the plug-in that signs the channel, and the oldest that AWS supports.

https://docs.aws.amazon.com/systems-manager/latest/userguide/plugin-version-history.html
"""
_PLUGIN_PAGE: Final = f"install it: {USER_GUIDE}session-manager-working-with-install-plugin.html"


def operator_fault(text: str) -> str | None:
    """Say why a text names no operator; None if it names one."""
    fault = _limits.principal_fault(text)
    return None if text == CALLER or fault is None else f"{fault}, nor {CALLER!r}"


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Who starts the session: a user, or a role session."""

    arn: str
    """The ARN of the user or the role."""
    tags: Mapping[str, str]
    names: tuple[str, str]
    """The name of the user or of the role session, and the `aws:userid` of its calls."""
    context: Context
    """The condition keys that describe the caller."""

    @property
    def is_user(self) -> bool:
        """Tell whether it is a user, whose tags no session can change."""
        return ":user/" in self.arn


def find_operator(node: Node, given: str) -> Operator | CannotAsk:
    """Find the user or the role of an ARN, or the caller. If IAM can't be asked, return the error.

    Args:
        node: the node.
        given: the ARN of a user, a role or an assumed role, or `caller`.
    """
    return tried(lambda: _operator(node, caller_arn(node.session) if given == CALLER else given))


def _operator(node: Node, arn: str) -> Operator:
    """Find the user or the role of an ARN."""
    if arn.split(":")[4] != node.account:  # IAM looks up a name in the account of the node
        raise CannotAsk(
            f"{arn} is not in the account of the node, {node.account}: give the user or the role "
            "of that account that starts the session"
        )
    if ":assumed-role/" in arn:
        _, role_name, session_name = arn.split("/", 2)
        return _role_as_operator(find_role(node.session, role_name), session_name)
    if _limits.principal_fault(arn):
        raise CannotAsk(
            f"IAM's policy simulator accepts only users and roles, and the caller is {arn}: give "
            "the ARN of another operator"
        )
    if ":user/" not in arn:
        return _role_as_operator(find_role(node.session, arn))
    return node.session.ask(
        "iam:GetUser",
        lambda found: _user_as_operator(found["User"]),
        on=arn,
        missing=f"there is no user {arn}: give another",
        UserName=arn.rpartition("/")[2],
    )


def _user_as_operator(found: Mapping[str, Any]) -> Operator:
    """Return the operator for a user. IAM needs the user's path, which the given ARN may lack."""
    arn = well_formed(found["Arn"], _limits.principal_fault)
    name, user_id, tags = arn.rpartition("/")[2], found["UserId"], tags_of(found)
    keys = ConditionKey(_USER_NAME, name), ConditionKey(_USER_ID, user_id), *_own_tags(tags)
    return Operator(arn=arn, tags=tags, names=(name, user_id), context=keys)


def _role_as_operator(role: LiveRole, session_name: str | None = None) -> Operator:
    """Return the operator for a role session. The session may have other tags than the role."""
    name = session_name or _SAMPLE_NAME
    user_id = f"{role.id}:{name}"
    by_id = ConditionKey(_USER_ID, user_id, is_sample=session_name is None)
    keys = by_id, *_own_tags(role.tags, is_sample=True)
    return Operator(arn=role.arn, tags=role.tags, names=(name, user_id), context=keys)


def _own_tags(tags: Mapping[str, str], *, is_sample: bool = False) -> Iterator[ConditionKey]:
    for key, value in tags.items():
        yield ConditionKey(f"{_OWN_TAG}{key}", value, is_sample=is_sample)


def _node_tags(node: Node) -> dict[str, str] | CannotAsk:
    """Read the node's tags, on which an operator's policy may have conditions."""
    if node.instance is not None:
        return read_in("ec2", partial(tags_of, node.instance))
    return node.session.tried(
        "ssm:ListTagsForResource",
        lambda found: tags_of(found, "TagList"),
        on=node.arn,
        missing=f"there is no managed node {node.id}",
        ResourceType="ManagedInstance",
        ResourceId=node.id,
    )


def may_start(node: Node, preferences: Preferences, operator: Operator | CannotAsk) -> Outcome:
    """Check whether the operator may start a session with the document, and use its key."""
    if isinstance(operator, CannotAsk):
        return OPERATOR.of(None).unasked(operator)
    found = tried(lambda: _judged(node, preferences, operator))
    return OPERATOR.of(operator.arn).unasked(found) if isinstance(found, CannotAsk) else found


def _judged(node: Node, preferences: Preferences, operator: Operator) -> Outcome:
    """Judge the calls that start a session.

    Raises:
        CannotAsk: AWS does not say which tags the node has, or what IAM allows the operator.
    """
    arn, tags = operator.arn, answered(_node_tags(node))
    calls, on_own = _calls(node, preferences, operator, tags)
    found = simulator.simulate(node.session, arn, [*calls, *on_own])
    answers = answered(simulator.all_of(found, calls))
    decisions = [
        decided(node.spare, arn, call, answer, _lacks(answer, node, operator))
        for call, answer in zip(calls, answers, strict=True)
    ]
    refused = [one for one in decisions if not one.allowed]
    channels = [one for one in refused if one.call.action == _CHANNEL]
    if len(channels) == 1 and channels[0].answer["decision"] == "implicitDeny":
        refused.remove(channels[0])  # access to one of the two channels is enough
    denied = [*_unless_by_sample(node, arn, refused, found)]
    asked = OPERATOR.of(arn, *checks.simulated(answers))
    missing = sorted({key for one in (*decisions, *denied) for key in one.missing})
    on = f"the operator's policies have conditions on {', '.join(missing)}"
    notes = [f"{on}, whose values are not known"] if missing else []
    notes += _about_own_session(simulator.all_of(found, on_own))
    if not denied:
        return _allowed(asked, arn, preferences, notes)
    why_not = f"{arn} is denied {_in_words(denied)}"
    whys, fix = _explained(node, arn, denied)
    errors = [one.admission.error for one in denied if one.admission.error]
    certain = [one.call for one in denied if not one.is_open]
    if len(channels) == 1 and channels[0] in refused:
        certain = [call for call in certain if call.action != _CHANNEL]
        whys.append("it depends on the session id, which AWS gives only when the session starts")
    on_node, on_document, *_ = calls
    is_default = preferences.name == _needs.DEFAULT_DOCUMENT
    by_name = is_default and on_document in certain and on_node not in certain
    if by_name and _may_name_no_document(node, operator, on_node):
        certain.remove(on_document)
        whys.append(
            f"AWS checks access to {on_document.resource} only if the session names it, or if a "
            f"policy has a condition on {_ACCESS_CHECK}"
        )
    is_start = on_node in certain or on_document in certain
    may_ask = is_default and is_start and _may_ask_for_access(node, arn, on_node)
    if isinstance(may_ask, CannotAsk):
        certain, errors = [], [*errors, may_ask]
    elif may_ask:
        certain, fix = [], (_ASK_FOR_ACCESS, *(fix if whys else ()))
        whys = [*whys, _AFTER_APPROVAL]
    if not certain:
        why_not += unless(dict.fromkeys(key for one in denied for key in one.deciding))
        errors += filter(None, [preferences.error])
        return asked.unknown(why_not, *notes, *whys, fix=fix, errors=errors)
    users_see = _USERS_SEE[certain[0].action]  # in the order in which the client calls
    whys = [*by_absent(denied, "operator"), *whys]
    return asked.failed(why_not, *whys, fix=fix, users_see=users_see, errors=errors)


def _unless_by_sample(
    node: Node, arn: str, denied: Sequence[CallVerdict], known: simulator.Answers
) -> Iterator[CallVerdict]:
    """Make a denial unknown if a policy has a condition on a key with a sample value."""
    samples = {
        one.call: {key.name.lower() for key in one.call.with_own.context if key.is_sample}
        for one in denied
    }
    by_sample = (call.without_samples for call, keys in samples.items() if keys)
    new = [one for one in by_sample if one not in known]
    answers = known | simulator.simulate(node.spare, arn, new)
    for one in denied:
        answer, keys = answers.get(one.call.without_samples, one.answer), samples[one.call]
        told = keys if isinstance(answer, CannotAsk) else answer["missing_context_values"]
        own = sorted(key for key in told if key.lower() in keys)
        yield one._replace(missing=tuple(dict.fromkeys((*one.missing, *own))))


def _explained(
    node: Node, arn: str, denied: Sequence[CallVerdict]
) -> tuple[list[str], tuple[str, ...]]:
    """Say what denies these calls of an operator, and what would allow them."""
    blocked = {
        f"{one.call.action}: {why}": one.unless_open(fix)
        for one in denied
        for why, fix in blocks(one.answer, "operator")
    }
    lacking = [one for one in denied if not (one.by_iam or blocks(one.answer, "operator"))]
    by_key = [one for one in denied if one.by_iam or one.admission.is_shut]
    told = (one for one in denied if one in by_key or one.is_open or one.admission.error)
    of_key = {one.admission.why for one in told}
    fix = (
        *dict.fromkeys(line for lines in blocked.values() for line in lines),
        *dict.fromkeys(line for one in lacking for line in one.unless_open([])),
        *_allow_by_iam(node, arn, [one for one in lacking if not one.deciding]),
        *(fix for one in by_key for fix in one.admission.fix),
    )
    return [*blocked, *sorted(filter(None, of_key))], fix


def _allowed(asked: Outcome, arn: str, preferences: Preferences, notes: Sequence[str]) -> Outcome:
    """Return the outcome if no call is denied: a pass, unless the key of sessions is not known."""
    key_usable = preferences.outcomes[checks.KEY_USABLE]
    if preferences.key is None and key_usable.verdict == "unknown":
        why = f"it is not known whether {arn} may use the key of sessions: {key_usable.why[0]}"
        return asked.unknown(why, *notes, errors=key_usable.errors)
    return asked.passed(f"IAM allows {arn} to start the session", *notes)


def _may_name_no_document(node: Node, operator: Operator, on_node: Call) -> bool:
    """Tell whether the operator may start a session that names no document.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-sessiondocumentaccesscheck.html
    """
    _, *others = on_node.own_context
    call = on_node._replace(own_context=(_WITH_ACCESS_CHECK._replace(value="false"), *others))
    answer = simulator.simulate(node.spare, operator.arn, [call])[call]
    if isinstance(answer, CannotAsk):
        return True
    return is_allowed(answer) or bool(missing_keys([answer], _lacks(answer, node, operator)))


_AFTER_APPROVAL: Final = (
    "IAM allows the operator to request just-in-time node access, which starts sessions with its "
    "own credentials once the request is approved"
)
_ASK_FOR_ACCESS: Final = (
    "request access with aws ssm start-access-request, and start the session with the credentials "
    "that aws ssm get-access-token returns"
)


def _may_ask_for_access(node: Node, arn: str, on_node: Call) -> bool | CannotAsk:
    """Tell whether the operator may start a session by just-in-time node access, once approved.

    It is meant for operators who are not allowed `ssm:StartSession`. Its sessions use the default
    document.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/systems-manager-just-in-time-node-access-setting-up.html
    """
    request = on_node._replace(action="ssm:StartAccessRequest")
    token = Call("ssm:GetAccessToken", "*", on_node.context)
    answers = (simulator.simulate(node.spare, arn, [call])[call] for call in (request, token))
    return tried(lambda: all(is_allowed(answered(one)) for one in answers))


def _in_words(denied: Iterable[CallVerdict]) -> str:
    return ", ".join(one.field for one in checks.simulated(one.answer for one in denied))


def _lacks(answer: SimulatorAnswer, node: Node, operator: Operator) -> set[str]:
    """Return the prefixes of the condition keys that a call certainly lacks, in lower case.

    All tags of the node and of a user are known, so they have no others. A channel is not a
    resource with tags, and nobody can tag a document of AWS.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
    """
    on = answer["resource"]
    no_other_tags = answer["action"] == _CHANNEL or on == node.arn or "::document/" in on
    own = _NOT_OF_USER if operator.is_user else (_USER_NAME,)
    return {*NOT_OF_SESSION, *map(str.lower, (*own, *(simulator.OF_TAGS if no_other_tags else ())))}


def _allow_by_iam(node: Node, arn: str, denied: Sequence[CallVerdict]) -> tuple[str, ...]:
    """Say how to allow an operator the calls that no IAM policy allows.

    The name of the new policy has the id of the node and a digest, so that it does not replace the
    policy of another remedy. AWS does not let you change the roles of IAM Identity Center.
    """
    if not denied:
        return ()
    name = arn.rpartition("/")[2]
    if name.startswith("AWSReservedSSO_"):
        return (f"in the permission set in IAM Identity Center, allow {_in_words(denied)}",)
    written = "or let SessionPreferences.grant_start_session(...) write the policy in a CDK app; "
    sentence = f"{written}{name} needs {_in_words(denied)}"
    resources: dict[str, list[str]] = {}
    for call in (one.call for one in denied):
        # the id of a session is not known yet
        before, of_session, _ = call.resource.partition(":session/")
        found = f"{before}:session/*" if of_session else before
        resources.setdefault(call.action, []).append(found)
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": [*dict.fromkeys(of)]}
        for action, of in resources.items()
    ]
    kind = "user" if ":user/" in arn else "role"
    named = in_shell(name, _limits.ROLE.fault, "OPERATOR")
    policy = in_json({"Version": "2012-10-17", "Statement": statements})
    policy_name = f"SessionManager-{node.id_word}-{_needs.digest(policy)}"
    of_node = f"--policy-name {policy_name} --policy-document {policy}"
    return (node.aws(f"iam put-{kind}-policy --{kind}-name {named}", of_node), sentence)


_ON_OWN_SESSION: Final = {"ssm:ResumeSession": "resume", "ssm:TerminateSession": "end"}
"""What an operator does with their own session, by the action."""
_ACCESS_CHECK: Final = "ssm:SessionDocumentAccessCheck"
_WITH_ACCESS_CHECK: Final = ConditionKey(_ACCESS_CHECK, "true", "boolean")
"""Whether AWS checks access to the document as well."""
_SESSION_TAG: Final = "aws:ssmmessages:session-id"
_CHANNEL: Final = "ssmmessages:OpenDataChannel"


def _about_own_session(answers: tuple[SimulatorAnswer, ...] | CannotAsk) -> Iterator[str]:
    """Say whether the operator may resume and end their own session. It opens in any case."""
    if isinstance(answers, CannotAsk):
        return
    denied = [one["action"] for one in answers if not is_allowed(one)]
    if not denied:
        yield "IAM allows the operator to resume and end their own sessions"
        return
    is_open = unless(missing_keys(one for one in answers if not is_allowed(one)))
    what = " nor ".join(_ON_OWN_SESSION[action] for action in denied)
    can = f"can neither {what}" if denied[1:] else f"can't {what}"
    yield (
        f"IAM denies the operator {', '.join(denied)} on their own session{is_open}: a session "
        f"opens, but they {can} it"
    )


def _tagged(tags: Mapping[str, str]) -> Context:
    """Return the condition keys that a call on a resource with these tags has."""
    return tuple(
        ConditionKey(f"{prefix}{key}", value)
        for key, value in tags.items()
        for prefix in simulator.OF_TAGS
    )


def _calls(
    node: Node, preferences: Preferences, operator: Operator, tags: Mapping[str, str]
) -> tuple[list[Call], list[Call]]:
    """List the calls that start a session, the first on the node, and the calls on an open session.

    The id of a session begins with the name of the user or of the role session. AWS's quick-start
    policies expect the user id there, so IAM is asked about the channel with each of the two.
    Systems Manager gives each session a tag with the user id of the caller who started it.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-quickstart.html
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-examples.html
    """
    start, (name, user_id) = "ssm:StartSession", operator.names

    def context_on(resource: str) -> Context:
        of_owner = simulator.request_context(operator.arn, node.region, resource.split(":")[4])
        return (*of_owner, *operator.context)

    common = context_on(node.arn)
    owner = "" if preferences.name.startswith(_needs.DOCUMENTS_OF_AWS) else node.account
    where = f"arn:{node.partition}:ssm:{node.region}"
    document = f"{where}:{owner}:document/{preferences.name}"
    if preferences.name.startswith("arn:"):
        document = preferences.name
    sessions = f"{where}:{node.account}:session/"
    own, of_session = f"{sessions}{name}-{simulator.SAMPLE_ID}", _tagged({_SESSION_TAG: user_id})
    calls = [
        Call(start, node.arn, common, (_WITH_ACCESS_CHECK, *_tagged(tags))),
        Call(start, document, context_on(document), (_WITH_ACCESS_CHECK,)),
        Call(_CHANNEL, own, common),
        Call(_CHANNEL, f"{sessions}{user_id}-{simulator.SAMPLE_ID}", common),
    ]
    if preferences.key is not None:
        of_key = (*simulator.session_context(node.id), *preferences.key.context(node.account))
        arn = preferences.key.arn
        calls.append(Call("kms:GenerateDataKey", arn, context_on(arn), of_key))
    return calls, [Call(action, own, common, of_session) for action in _ON_OWN_SESSION]


_USERS_SEE: Final = {
    "ssm:StartSession": checks.START_DENIED,
    "ssmmessages:OpenDataChannel": checks.NO_MESSAGE,
    "kms:GenerateDataKey": checks.NO_DATA_KEY,
}
"""What the operator sees, by the first denied call."""


def plugin() -> Outcome:
    """Check whether the plug-in on this machine is new enough."""
    path = shutil.which(_PLUGIN)
    where = Evidence(_PLUGIN, "path", path)
    if path is None:
        return PLUGIN.of(None, where).failed(f"{_PLUGIN} is not on PATH", fix=_PLUGIN_PAGE)
    try:
        run = subprocess.run(  # noqa: S603 # the plug-in that the CLI would run
            [path, "--version"], capture_output=True, text=True, check=False, timeout=10
        )
        version = run.stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        version = str(error)
    found = PLUGIN.of(path, where, Evidence(_PLUGIN, "--version", version))
    new = at_least(version, _SIGNS_CHANNEL)
    if new is None:
        return found.unknown(f"{path} does not say its version", fix=f"{path} --version")
    if new:
        return found.passed(f"the plug-in has version {version}")
    why = f"the plug-in has version {version}, and AWS supports {_SIGNS_CHANNEL} and newer"
    return found.failed(why, fix=_PLUGIN_PAGE, is_seen=False)
