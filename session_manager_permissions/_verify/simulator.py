"""Asks IAM's policy simulator whether a user or a role may make calls."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._conditions import principal_keys

from .asking import CannotAsk, NotPermitted, NotThere, answered, one_of, tried

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from types_boto3_iam.literals import ContextKeyTypeEnumType

    from .answers import SimulatorAnswer
    from .session import Session

SAMPLE_ID: Final = "0123456789abcdef0"
SAMPLE_SESSION: Final = f"session-{SAMPLE_ID}"
SAMPLE_INSTANCE: Final = f"i-{SAMPLE_ID}"
"""Samples for the simulator, which needs the ids of a session and an instance. Neither exists."""
OF_TAGS: Final = ("ssm:resourceTag/", "aws:ResourceTag/")
"""The prefixes of the condition keys for the tags of a resource."""
_KEYS_OF_OTHER_CALLS: Final = (
    *("aws:requesttag/", "aws:tagkeys", "kms:grant", "ssm:overwrite", "ssm:recursive"),
    *("s3:delimiter", "s3:existingobjecttag/", "s3:max-keys", "s3:prefix", "s3:versionid"),
)
"""The prefixes, in lower case, of condition keys that none of the simulated calls has."""
OF_ONE_CALL: Final = {
    "ssm:sessiondocumentaccesscheck": "ssm:StartSession",
    **dict.fromkeys(("s3:x-amz-acl", "s3:x-amz-server-side-encryption"), "s3:PutObject"),
}
"""The prefixes, in lower case, of condition keys that only one of the simulated calls has.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""
_ONE_BY_ONE: Final = "InvalidInput"
"""IAM's error if it accepts actions or resources only one by one."""
_ASKED_ALONE: Final = "s3:GetEncryptionConfiguration"
"""IAM accepts this action with no other action of S3, as its API call has another name."""
_CROSS_SERVICE: Final = (
    *("aws:", "credentials-iot:", "saml:", "codebuild:buildarn", "codebuild:projectarn"),
    *("ec2:roledelivery", "ec2:sourceinstancearn", "ssm:sourceinstancearn", "glue:roleassumedby"),
    *("glue:credentialissuingservice", "identitystore:userid", "lambda:sourcefunctionarn"),
)
"""The prefixes, in lower case, of condition keys that calls to any service may have.

The keys of OpenID Connect identity providers, which `_may_have` recognizes, are not among them.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""
NOW: Final = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
"""The time of all calls that IAM is asked about: only calls with equal keys share a request."""
_ERRORS_OF_PRINCIPAL: Final = (NotPermitted, NotThere)
"""The errors that would recur for every question about the same user or role."""


class ConditionKey(NamedTuple):
    """A condition key of a request, and its value."""

    name: str
    value: str
    """A comma separates the values of a `stringList`."""
    type: ContextKeyTypeEnumType = "string"
    is_sample: bool = False
    """Whether the value stands for one that is not known."""


Context = tuple[ConditionKey, ...]


class Call(NamedTuple):
    """A call whose permission IAM is asked about: one action on one resource."""

    action: str
    resource: str
    context: Context
    """The condition keys of the call whose values are known beforehand."""
    own_context: Context = ()
    """The condition keys of this call alone, which are left out of a request with other calls."""

    @property
    def with_own(self) -> Call:
        """Return the call with all its condition keys."""
        return Call(self.action, self.resource, (*self.context, *self.own_context))

    def without(self, *names: str) -> Call:
        """Return the call without some of the condition keys in `own_context`."""
        own = tuple(key for key in self.own_context if key.name not in names)
        return self._replace(own_context=own)

    @property
    def without_own(self) -> Call:
        """Return the call without the condition keys in `own_context`."""
        return self._replace(own_context=())

    @property
    def without_samples(self) -> Call:
        """Return the call with only those keys of `context` whose values are known."""
        known = (key for key in self.context if not key.is_sample)
        return Call(self.action, self.resource, (*known,))


Answers = dict[Call, "SimulatorAnswer | CannotAsk"]


def all_of(answers: Answers, calls: Iterable[Call]) -> tuple[SimulatorAnswer, ...] | CannotAsk:
    """Return the answers about calls, or why IAM could not be asked about one of them."""
    return tried(lambda: tuple(answered(answers[call]) for call in calls))


def simulate(
    session: Session, principal: str, calls: Iterable[Call], alike: Sequence[str] = ()
) -> Answers:
    """Ask IAM's simulator whether a user or a role may make calls.

    First, calls with the same `context` share a request, without their `own_context`. Such an
    answer holds if the call is allowed and no policy has a condition on a key that was left out. It
    does not hold for a call on a resource with tags if the account is in an organization, whose
    policies may depend on the tags. IAM is then asked about each remaining call with its own keys.
    If there are `alike` nodes, their ids are left out at first: one answer is then for all nodes.

    Args:
        session: asks AWS.
        principal: the ARN of the user or the role.
        calls: the calls to ask about.
        alike: the ARNs of the nodes with the same role. A call on one of them shares a request with
            those on the others.

    Returns:
        The answer about each call, or why IAM could not be asked; and IAM's answers about calls
        without their own context.
    """
    known: Answers = {}
    asked = [*dict.fromkeys(calls)]
    for group in _grouped(asked, alike):
        if group[1:]:
            shared = tried(partial(_shared, session, principal, [one.without_own for one in group]))
            if isinstance(shared, _ERRORS_OF_PRINCIPAL):
                return dict.fromkeys(asked, shared)
            if not isinstance(shared, CannotAsk):
                known |= shared
    found = {call: (call.without_own, known.get(call.without_own)) for call in asked}
    for left_out in (_needs.TARGET_KEY, "") if alike else ("",):
        alone: dict[tuple[str, Context], dict[Call, Call]] = {}
        for call in asked:
            if not _is_settled(call, *found[call]):
                full = call.without(left_out).with_own
                alone.setdefault((full.resource, full.context), {})[call] = full
        for same in alone.values():
            answers = _by_themselves(session, principal, [*same.values()])
            found |= {call: (full, answers[full]) for call, full in same.items()}
    return known | {call: answer for call, (_, answer) in found.items() if answer is not None}


def _is_settled(call: Call, asked: Call, answer: SimulatorAnswer | CannotAsk | None) -> bool:
    """Tell whether an answer holds, although the call was asked about with fewer keys."""
    if answer is None:
        return False
    if isinstance(answer, CannotAsk) or asked == call.with_own:
        return True
    missing = {key.lower() for key in answer["missing_context_values"]}
    if asked == call.without_own:  # IAM names no keys of an organization's policies
        own = {key.name.lower() for key in call.own_context}
        is_tagged = any(key.name.startswith(OF_TAGS) for key in call.own_context)
        may_be_by_tag = is_tagged and answer["allowed_by_organizations"] is not None
        return is_allowed(answer) and own.isdisjoint(missing) and not may_be_by_tag
    return _needs.TARGET_KEY.lower() not in missing


def _grouped(calls: Iterable[Call], alike: Sequence[str]) -> Iterable[list[Call]]:
    """Return groups of calls that can share a request.

    A call on one of the `alike` nodes stands for the same call on each of them.
    """
    groups: dict[tuple[Context, bool], list[Call]] = {}
    for call in calls:
        of_s3 = call.action.startswith("s3:") and call.action != _ASKED_ALONE
        same = alike if call.resource in alike else (call.resource,)
        several = [call._replace(resource=arn) for arn in same]
        groups.setdefault((call.context, of_s3), []).extend(several)
    return groups.values()


def _shared(session: Session, principal: str, calls: Sequence[Call]) -> Answers:
    """Ask about calls in one request; return those answers that hold for each call by itself.

    Raises:
        CannotAsk: the credentials may not call IAM, or IAM does not answer.
    """
    found = _requested(session, principal, calls)
    if len({call.resource for call in calls}) == 1:
        return {**found}
    return {call: one for call, one in found.items() if not _may_be_by_organization(one)}


def _may_be_by_organization(answer: SimulatorAnswer) -> bool:
    """Tell whether an organization's policy may be the cause of an answer about several resources.

    IAM says of an action as a whole whether an organization allows it, and names none of its
    policies.
    """
    allowed = answer["allowed_by_organizations"]
    return allowed is False or (allowed is True and answer["decision"] == "explicitDeny")


def _by_themselves(session: Session, principal: str, calls: Sequence[Call]) -> Answers:
    """Ask about actions on one resource, one by one if IAM does not accept them together.

    IAM refuses actions that "require different authorization information" in one request.
    """
    found = tried(lambda: _requested(session, principal, calls))
    if isinstance(found, CannotAsk) and calls[1:] and _ONE_BY_ONE in str(found):
        return {call: _by_themselves(session, principal, [call])[call] for call in calls}
    if isinstance(found, CannotAsk):
        return dict.fromkeys(calls, found)
    none = {call: CannotAsk(f"IAM gave no answer about {call.action}: try again") for call in calls}
    return {**none, **found}


def _requested(
    session: Session, principal: str, calls: Sequence[Call]
) -> dict[Call, SimulatorAnswer]:
    """Make one request about calls with the same context.

    Raises:
        CannotAsk: the credentials may not call IAM, or IAM does not answer.
    """
    kind = "user" if ":user/" in principal else "role"
    resources = [*dict.fromkeys(call.resource for call in calls)]
    actions = {call.action.lower(): call.action for call in calls}
    context = calls[0].context
    wanted = frozenset(calls)  # IAM answers about each action on each resource

    def read(answer: Mapping[str, Any]) -> dict[Call, SimulatorAnswer]:
        found: dict[Call, SimulatorAnswer] = {}
        for result in answer["EvaluationResults"]:
            action = actions.get(result["EvalActionName"].lower(), "")
            for specific in result.get("ResourceSpecificResults") or [{}]:
                told = {**result, **specific}
                resource = told.get("EvalResourceName", "") if resources[1:] else resources[0]
                call = Call(action, resource, context)
                if call in wanted:
                    found[call] = _answer(call, result, told)
        return found

    return session.ask(
        "iam:SimulatePrincipalPolicy",
        read,
        on=principal,
        missing=f"the {kind} {principal} no longer exists: give another one",
        PolicySourceArn=principal,
        ActionNames=[*actions.values()],
        ResourceArns=resources,
        ContextEntries=[
            {"ContextKeyName": name, "ContextKeyValues": values, "ContextKeyType": kind_}
            for name, value, kind_, _ in context
            for values in [value.split(",") if kind_ == "stringList" else [value]]
        ],
    )


def _answer(call: Call, result: Mapping[str, Any], told: Mapping[str, Any]) -> SimulatorAnswer:
    """Read IAM's result for a call; `told` has the details about the call's resource as well."""
    missing = [*result.get("MissingContextValues", []), *told.get("MissingContextValues", [])]
    boundary = told.get("PermissionsBoundaryDecisionDetail") or {}
    organization = result.get("OrganizationsDecisionDetail") or {}
    return {
        "action": call.action,
        "resource": call.resource,
        "decision": one_of(
            told.get("EvalResourceDecision", result["EvalDecision"]),
            ("allowed", "explicitDeny", "implicitDeny"),
        ),
        "matched_statements": [
            {
                "policy": one.get("SourcePolicyId", "a policy without a name"),
                "type": one.get("SourcePolicyType"),
                "line": one.get("StartPosition", {}).get("Line"),
            }
            for one in told.get("MatchedStatements", [])
        ],
        "allowed_by_permissions_boundary": boundary.get("AllowedByPermissionsBoundary"),
        "allowed_by_organizations": organization.get("AllowedByOrganizations"),
        "decision_details": told.get("EvalDecisionDetails", {}),
        "missing_context_values": sorted({*missing}),
    }


def request_context(principal: str, region: str | None, owner: str) -> Context:
    """Return the condition keys that each call of a user or a role to AWS has.

    Args:
        principal: the ARN of the user or the role.
        region: the region, if it is known.
        owner: the account of the resource; "" if it is not known.
    """
    flags = (ConditionKey(*one, "boolean") for one in _needs.REQUEST_KEYS.items())
    values = principal_keys(principal) | {_needs.REGION_KEY: region, "aws:ResourceAccount": owner}
    known = (ConditionKey(name, value) for name, value in values.items() if value)
    return (*flags, ConditionKey("aws:CurrentTime", NOW, "date"), *known)


def session_context(node_id: str) -> Context:
    """Return the encryption context of a session: agent/session/crypto/blockcipher.go."""
    session = ConditionKey(_needs.SESSION_KEY, SAMPLE_SESSION, is_sample=True)
    # The agent may also send a third key, `RandomChallenge`.
    given = ",".join(_needs.SESSION_CONTEXT)
    names = ConditionKey("kms:EncryptionContextKeys", given, "stringList", is_sample=True)
    return (session, ConditionKey(_needs.TARGET_KEY, node_id), names)


def is_allowed(answer: SimulatorAnswer) -> bool:
    """Tell whether the action is allowed, as far as the role's account decides it."""
    return answer["decision"] == "allowed" or lacks_resource_policy(answer)


def lacks_resource_policy(answer: SimulatorAnswer) -> bool:
    """Tell whether only a resource-based policy, which the simulator does not read, is missing."""
    if answer["decision"] != "implicitDeny":
        return False
    decisions = answer["decision_details"].items()
    denying = [kind for kind, decision in decisions if decision != "allowed"]
    return bool(denying) and all("resource" in kind.lower() for kind in denying)


def missing_keys(
    answers: Iterable[SimulatorAnswer], lacks: Collection[str] = (), has: Collection[str] = ()
) -> list[str]:
    """List the condition keys in policies that a call may have, and for which IAM had no value.

    IAM names the keys of all statements, even of those about other actions:
    https://github.com/boto/boto3/issues/3111

    Args:
        answers: IAM's answers.
        lacks: the prefixes of the keys that the calls certainly do not have, in lower case.
        has: the keys with such a prefix that the calls do have, in lower case.
    """
    absent = (*lacks, *_KEYS_OF_OTHER_CALLS)
    found = {(one["action"], key) for one in answers for key in one["missing_context_values"]}
    return sorted({key for action, key in found if _may_have(action, key.lower(), absent, has)})


def _may_have(action: str, key: str, absent: tuple[str, ...], has: Collection[str]) -> bool:
    """Tell whether a call may have a condition key, by its name in lower case.

    The keys of an OpenID Connect identity provider begin with its name, which contains a dot.
    """
    prefix = key.partition(":")[0]
    is_of_any = "." in prefix or key.startswith(_CROSS_SERVICE)
    others = (start for start, call in OF_ONE_CALL.items() if call != action)
    is_absent = key.startswith((*absent, *others)) and key not in has
    return (is_of_any or action.startswith(f"{prefix}:")) and not is_absent
