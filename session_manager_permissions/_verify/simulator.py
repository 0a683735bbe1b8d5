"""What may this role do? IAM's policy simulator is asked about the live role."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from session_manager_permissions import _needs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from types_boto3_iam.client import IAMClient
    from types_boto3_iam.literals import ContextKeyTypeEnumType
    from types_boto3_iam.type_defs import (
        ContextEntryTypeDef,
        EvaluationResultTypeDef,
        StatementTypeDef,
    )
    from types_boto3_kms.client import KMSClient

_SESSION: Final = "session-0123456789abcdef0"
_INSTANCE: Final = "i-0123456789abcdef0"
"""Samples: the simulator wants one session and one instance, and neither needs to exist."""


class CannotAsk(Exception):  # noqa: N818 # it is not an error of the program
    """AWS could not be asked, or did not answer; the text tells the user why, and the way out."""


class NotPermitted(CannotAsk):
    """The credentials may not make a call."""

    def __init__(self, permission: str, resource: str) -> None:
        super().__init__(f"the credentials may not ask: they need {permission} on {resource}")
        self.permission = permission


class NotThere(CannotAsk):
    """What was asked about does not exist."""


class LiveRole(NamedTuple):
    """The instance's role, as the account has it."""

    arn: str
    boundary: str | None
    """The ARN of its permissions boundary."""

    @property
    def partition(self) -> str:
        """The partition, such as `aws-us-gov`."""
        return self.arn.split(":")[1]

    @property
    def account(self) -> str:
        """The account's id."""
        return self.arn.split(":")[4]


class LiveKey(NamedTuple):
    """A KMS key, as the user named it and as IAM knows it."""

    given: str
    """The ARN of the key, or of an alias."""
    arn: str
    """The key's own ARN."""
    alias_name: str | None
    """`alias/NAME` if the user named an alias."""

    @property
    def in_python(self) -> str:
        """The key as an argument of the construct."""
        return f'kms.Key.from_key_arn(scope, "Key", "{self.given}")'


class Uses(NamedTuple):
    """What the agent uses besides Session Manager itself, by the session preferences."""

    keys: tuple[LiveKey, ...] = ()
    log_bucket: str | None = None
    log_prefix: str = ""
    log_bucket_key: LiveKey | None = None
    log_group: str | None = None
    enforces_s3_encryption: bool | None = None
    """Whether the agent refuses a session whose log bucket is not encrypted; None: not known."""


class Question(NamedTuple):
    """One thing that the agent does, and what it needs for that."""

    capability: str
    subject: str | None
    """The key, the bucket or the log group that it does it with."""
    needs: tuple[_needs.Need, ...]
    """The actions that must be allowed, each need on one resource."""
    grant: str
    """The arguments of `SessionManagerPermissions` that grant it."""
    is_either: bool = False
    """Whether one of the needs is enough."""
    notes: Mapping[str, str] = {}
    """What a denial leads to, by action."""


class MatchedStatement(NamedTuple):
    """A policy statement that decided, as IAM names it."""

    policy: str
    type: str | None
    line: int | None


class SimulatedAnswer(NamedTuple):
    """IAM's answer about one action on one resource."""

    action: str
    resource: str
    decision: str
    """`allowed`, `explicitDeny` or `implicitDeny`."""
    statements: tuple[MatchedStatement, ...]
    boundary_allows: bool | None
    """None if the role has no permissions boundary."""
    organization_allows: bool | None
    """None if the account is in no organization."""
    details: Mapping[str, str]
    """The decision of each kind of policy, if role and resource are in different accounts."""
    missing_context: tuple[str, ...]
    """The condition keys in the role's policies for which IAM was given no value."""

    @property
    def lacks_resource_policy(self) -> bool:
        """Whether only a resource-based policy denies, which the simulator does not read."""
        denying = [kind for kind, decision in self.details.items() if decision != "allowed"]
        return (
            self.decision == "implicitDeny"
            and bool(denying)
            and all("resource" in kind.lower() for kind in denying)
        )

    @property
    def allowed(self) -> bool:
        """Whether the action is allowed, as far as the role's account decides it."""
        return self.decision == "allowed" or self.lacks_resource_policy


class Verdict(NamedTuple):
    """Whether the role may do what a question asks about."""

    question: Question
    role: LiveRole
    answers: tuple[SimulatedAnswer, ...]

    @property
    def allowed(self) -> bool:
        """Whether every need is allowed, or one of them if one is enough.

        If one is enough, the last is on the instance itself, to which a deny on instances applies
        whatever is allowed on `*`.
        """
        if self.question.is_either:
            *_, of_instance = self.answers
            is_denied = of_instance.decision == "explicitDeny"
            return any(answer.allowed for answer in self.answers) and not is_denied
        return all(answer.allowed for answer in self.answers)

    @property
    def why(self) -> list[str]:
        """Which actions are denied, and by what; empty if the verdict is `allowed`."""
        denied: dict[str, list[str]] = {}
        for answer in self._denied:
            causes = " and ".join(why for why, _ in self._causes(answer))
            denied.setdefault(causes, []).append(answer.action)
        return [f"{', '.join(dict.fromkeys(found))}: {by}" for by, found in denied.items()]

    @property
    def fix(self) -> list[str]:
        """What would allow them; empty if the verdict is `allowed`."""
        fixes = [fix for answer in self._denied for _, fix in self._causes(answer)]
        return list(dict.fromkeys(fixes))

    @property
    def is_open(self) -> bool:
        """Whether condition keys that IAM was told no value of may turn the denial around."""
        open_ = [bool(answer.missing_context) for answer in self._denied]
        return any(open_) if self.question.is_either else any(open_) and all(open_)

    @property
    def notes(self) -> list[str]:
        """What IAM could not judge, and what a denial leads to."""
        notes = []
        unknown = sorted({key for answer in self.answers for key in answer.missing_context})
        if unknown:
            notes.append(
                f"the role's policies have conditions on {', '.join(unknown)}: not judged, as "
                "their values are not known"
            )
        if any(answer.lacks_resource_policy for answer in self.answers):
            notes.append(
                "the resource belongs to another account, whose own policy must allow the action "
                "too: not judged"
            )
        denied = {answer.action for answer in self._denied}
        notes += [note for action, note in self.question.notes.items() if action in denied]
        return notes

    @property
    def _denied(self) -> list[SimulatedAnswer]:
        """The answers that stand in the way."""
        return [] if self.allowed else [answer for answer in self.answers if not answer.allowed]

    def _causes(self, answer: SimulatedAnswer) -> list[tuple[str, str]]:
        """What denies the action, each with what to do about it."""
        kind = "explicit" if answer.decision == "explicitDeny" else "implicit"
        causes = []
        if kind == "explicit" and answer.statements:
            names = ", ".join(dict.fromkeys(statement.policy for statement in answer.statements))
            causes.append(
                (f"explicit deny in {names}", f"remove the action from the Deny in {names}")
            )
        if answer.organization_allows is False:
            policies = "the organization's service control policies"
            causes.append((f"{kind} deny by {policies}", f"allow the action in {policies}"))
        if answer.boundary_allows is False:
            boundary = f"the permissions boundary {self.role.boundary or 'of the role'}"
            causes.append((f"{kind} deny by {boundary}", f"allow the action in {boundary}"))
        if causes:
            return causes
        if kind == "explicit":
            return [
                (
                    "explicit deny in a policy that IAM does not name",
                    "remove the action from the Deny in the role's policies",
                )
            ]
        return [
            (
                "implicit deny: no policy of the role allows it",
                f"give SessionManagerPermissions {self.question.grant}",
            )
        ]


_HERE: Final = (
    "in the account of the credentials: give one that exists there, or use other credentials"
)


def find_role(iam: IAMClient, role: str) -> LiveRole:
    """Find the role with this name or ARN.

    Raises:
        CannotAsk: the account has no such role, or the credentials may not call IAM.
    """
    name = role.rpartition("/")[2]
    with asking("iam", f"the role {name}", f"there is no role {name!r} {_HERE}"):
        found = iam.get_role(RoleName=name)["Role"]
        arn = found["Arn"]
    if role.startswith("arn:") and role != arn:
        raise CannotAsk(
            f"there is no role {role} in the account of the credentials, which has {arn}: give "
            "that one, or use credentials of the other account"
        )
    boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return LiveRole(arn, boundary)


def role_of_profile(iam: IAMClient, name: str) -> str:
    """Find the ARN of the role in an instance profile.

    Raises:
        CannotAsk: the account has no such profile, the profile has no role, or the credentials may
            not call IAM.
    """
    with asking(
        "iam",
        f"the instance profile {name}",
        f"there is no instance profile {name!r} {_HERE}",
    ):
        profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
        roles = [role["Arn"] for role in profile["Roles"]]
    if not roles:
        raise CannotAsk(
            f"the instance profile {name!r} has no role, and only a role has permissions: add a "
            "role to it"
        )
    return roles[0]


def find_key(kms: Callable[[str], KMSClient], arn: str) -> LiveKey:
    """Find the key with this ARN; for an alias, ask KMS which key it points to.

    Args:
        kms: makes a client for a region.
        arn: the ARN of a key or an alias.

    Raises:
        CannotAsk: there is no such alias, or the credentials may not call KMS.
    """
    _, _, _, region, _, resource = arn.split(":", 5)
    if not resource.startswith("alias/"):
        return LiveKey(arn, arn, None)
    with asking(
        "kms",
        f"the key behind {arn}, unless you give the key's own ARN",
        f"there is no {arn}: give the key's own ARN",
    ):
        key_id = kms(region).describe_key(KeyId=arn)["KeyMetadata"]["KeyId"]
    return LiveKey(arn, f"{arn.removesuffix(resource)}key/{key_id}", resource)


_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_MISSING: Final = frozenset(
    {
        "InvalidDocument",
        "InvalidInstanceId",
        "NoSuchBucket",
        "NoSuchEntity",
        "NotFoundException",
        "ServerSideEncryptionConfigurationNotFoundError",
        "ServiceSettingNotFound",
    }
)
_PERMISSIONS: Final = {"s3:GetBucketEncryption": "s3:GetEncryptionConfiguration"}
"""The IAM actions that have another name than the API operation."""


@contextmanager
def asking(service: str, resource: str, missing: str) -> Generator[None, None, None]:
    """Turn what AWS refuses, and an answer that is not AWS's, into a `CannotAsk`.

    Read the answer's fields within: if one is missing, whatever answered is not AWS.

    Args:
        service: the prefix of the actions in IAM.
        resource: what the credentials need the action on.
        missing: what to say if the resource does not exist.

    Raises:
        NotPermitted: the credentials may not make the call.
        NotThere: the resource does not exist.
        CannotAsk: AWS refuses for another reason, or does not answer.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415 # of an extra
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        reason = error.response["Error"].get("Message")
        action = f"{service}:{error.operation_name}"
        if error.operation_name.startswith(("Assume", "GetRoleCredentials")):  # for the profile
            text = f"no credentials: {error.operation_name} failed: {code}: {reason}"
        elif code in _DENIED:
            raise NotPermitted(_PERMISSIONS.get(action, action), resource) from None
        elif code in _MISSING or code.endswith(".NotFound"):
            raise NotThere(missing) from None
        else:
            text = f"{action} failed: {code}: {reason}"
        raise CannotAsk(text) from None
    # botocore raises a KeyError too, for a page of HTML
    except (ResponseParserError, KeyError, IndexError, TypeError, AttributeError):
        raise CannotAsk(
            f"what answered for {service} is not AWS: look for a proxy, check AWS_ENDPOINT_URL, "
            "or try again"
        ) from None


def questions(
    role: LiveRole, uses: Uses, region: str | None, node: str | None = None
) -> list[Question]:
    """List what the agent does on an instance with this role.

    Args:
        role: the instance's role.
        uses: what the session preferences have the agent use.
        region: the instance's region, if it is known.
        node: the ARN of the instance, or of the managed instance. Default: - a sample in the region

    Raises:
        CannotAsk: there is a log group, and no region.
    """
    asked = [
        Question(
            "reach", None, (_needs.CHANNELS,), "the role, by role=... or instance_profile=..."
        ),
        _registration(role, region, node),
    ]
    for key in uses.keys:
        # The condition says what a session's call has, so a policy that asks for it is satisfied.
        need = _needs.decrypt(key.arn, key.alias_name, sessions_only=True)
        asked.append(Question("encrypt", key.given, (need,), f"encryption_key={key.in_python}"))
    if uses.log_bucket is not None:
        asked.append(_logs_in_s3(role, uses, uses.log_bucket))
    if uses.log_group is not None:
        asked.append(_logs_in_cloudwatch(role, uses.log_group, region))
    return asked


def _registration(role: LiveRole, region: str | None, node: str | None) -> Question:
    """A policy may allow it on everything or on instances alone, and either is enough."""
    needs = [_needs.REGISTRATION]
    notes = {}
    if region is None:
        (action,) = _needs.REGISTRATION.actions
        notes[action] = (
            "a policy may allow it on the instances of a region alone: not judged, as no region is "
            "known; give --region"
        )
    else:
        sample = f"arn:{role.partition}:ec2:{region}:{role.account}:instance/{_INSTANCE}"
        needs.append(_needs.REGISTRATION._replace(resource=node or sample))
    return Question(
        "register",
        None,
        tuple(needs),
        "allow_registration=True; if the account has Default Host Management Configuration, that "
        "may register the instance instead, and the role's own policies then go unused",
        is_either=True,
        notes=notes,
    )


def _logs_in_s3(role: LiveRole, uses: Uses, bucket: str) -> Question:
    arn = f"arn:{role.partition}:s3:::{bucket}"
    prefix = _needs.joined(uses.log_prefix)
    objects = _needs.log_objects(arn, prefix, other_account=False)
    encryption = _needs.log_encryption(arn)
    needs = [encryption, _at_sample(objects, f"{_SESSION}.log")]
    grant = f'log_bucket=s3.Bucket.from_bucket_name(scope, "Logs", "{bucket}")'
    if uses.log_bucket_key is not None:
        key = uses.log_bucket_key
        needs.append(_needs.log_bucket_key(key.arn, key.alias_name))
        grant = (
            f'log_bucket=s3.Bucket.from_bucket_attributes(scope, "Logs", bucket_name="{bucket}", '
            f"encryption_key={key.in_python})"
        )
    if prefix:
        grant += f", log_prefix={json.dumps(prefix, ensure_ascii=False)}"  # Python reads it too
    (action,) = encryption.actions
    note = _ENCRYPTION_NOT_READ[uses.enforces_s3_encryption]
    subject = f"{arn}/{prefix}".rstrip("/")
    return Question("log-to-s3", subject, tuple(needs), grant, notes={action: note})


_WITHOUT_HEADER: Final = (
    "the agent can't read how the bucket is encrypted, so it uploads the log without an encryption "
    "header, which a bucket policy may refuse"
)
_REFUSED: Final = "the agent can't read how the bucket is encrypted, so it refuses each session"
_ENCRYPTION_NOT_READ: Final = {
    True: _REFUSED,
    False: _WITHOUT_HEADER,
    None: f"{_REFUSED} if the session preferences enforce encrypted logs",
}
"""What a denied `s3:GetEncryptionConfiguration` leads to, by what the preferences enforce.

The agent calls it before a session that has encryption enforced and at each upload:
agent/session/shell/shell.go and agent/s3util/s3util.go of amazon-ssm-agent.
"""


def _logs_in_cloudwatch(role: LiveRole, group: str, region: str | None) -> Question:
    if region is None:
        raise CannotAsk("a log group is in a region, and no region is known: give --region")
    groups = f"arn:{role.partition}:logs:{region}:{role.account}:log-group:"
    arn = f"{groups}{group}"
    needs = (
        # To CloudWatch Logs `*` means all log groups: a policy that names them is enough.
        need._replace(resource=f"{groups}*")
        if need.resource == "*"
        else _at_sample(need, f"log-stream:{_SESSION}")
        for need in _needs.log_group(arn)
        if need.resource != arn  # its action is asked about on the streams
    )
    grant = f'log_group=logs.LogGroup.from_log_group_name(scope, "Logs", "{group}")'
    return Question("log-to-cloudwatch", arn, tuple(needs), grant)


def _at_sample(need: _needs.Need, sample: str) -> _needs.Need:
    """The need on one of the resources that its pattern stands for."""
    return need._replace(resource=need.resource.removesuffix("*") + sample)


def ask(
    iam: IAMClient, role: LiveRole, asked: Iterable[Question], region: str | None
) -> list[Verdict]:
    """Ask IAM's simulator about the role's policies, its boundary and the organization's policies.

    Nothing is done or changed. The simulator does not read the policies of keys and buckets.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html

    Args:
        iam: a boto3 client.
        role: the instance's role.
        asked: the `questions`.
        region: the instance's region, if it is known.

    Raises:
        CannotAsk: the credentials may not call IAM, or IAM does not answer.
    """
    return [
        Verdict(
            question,
            role,
            tuple(
                answer
                for need in question.needs
                for answer in simulate(
                    iam, role.arn, need.actions, need.resource, _context(need, region)
                ).values()
            ),
        )
        for question in asked
    ]


def ask_together(
    iam: IAMClient,
    role: LiveRole,
    asked: Sequence[Question],
    region: str,
    node_id: str,
    *,
    known: Answered | None = None,
) -> list[Verdict | CannotAsk]:
    """As `ask` does, with one call for all that has the same context, where IAM takes it.

    Args:
        iam: a boto3 client.
        role: the node's role.
        asked: the `questions`.
        region: the node's region.
        node_id: the node's id.
        known: the role's answers so far, to which the new ones are added. Default: - none

    Returns:
        For each question the verdict, or why IAM could not be asked.
    """
    calls: dict[str, _Call] = {}
    for need in (need for question in asked for need in question.needs):
        call = _Call(need.resource, _context(need, region, node_id))
        calls.setdefault(call.key, call).actions.update(dict.fromkeys(need.actions))
    answered = {} if known is None else known
    open_ = [call for key, call in calls.items() if key not in answered]
    answered.update(_answered_together(iam, role, open_))

    def verdict(question: Question) -> Verdict | CannotAsk:
        answers = []
        for need in question.needs:
            found = answered[_Call(need.resource, _context(need, region, node_id)).key]
            if isinstance(found, CannotAsk):
                return found
            answers += [found[action] for action in need.actions]
        return Verdict(question, role, tuple(answers))

    return [verdict(question) for question in asked]


Answered = dict[str, dict[str, SimulatedAnswer] | CannotAsk]
"""The answers to calls of the simulator, by what tells the calls apart."""

_ALONE: Final = "s3:GetEncryptionConfiguration"
"""IAM does not take it with other actions of S3, as its API call has another name."""


def _answered_together(iam: IAMClient, role: LiveRole, calls: Sequence[_Call]) -> Answered:
    """The answer to each call by its key, of those that can share a request by one request.

    A request that IAM refuses, or of which it leaves a part open, is made for each resource.
    """
    answered: Answered = {}
    shared: dict[str, list[_Call]] = {}
    for call in calls:
        if call.resource != "*" and _ALONE not in call.actions:
            shared.setdefault(json.dumps(call.context), []).append(call)
    for group in shared.values():
        if group[1:]:
            found = tried(partial(_simulate_together, iam, role.arn, group))
            if isinstance(found, NotPermitted):
                answered |= dict.fromkeys((call.key for call in group), found)
            elif not isinstance(found, CannotAsk):
                answered |= found
    for call in calls:
        if call.key not in answered:
            answered[call.key] = tried(partial(_simulate_alone, iam, role.arn, call))
    return answered


def _simulate_alone(iam: IAMClient, principal: str, call: _Call) -> dict[str, SimulatedAnswer]:
    """The answers to a call, by one request; by one an action where IAM does not take them so.

    IAM refuses actions that "require different authorization information" in one request.
    """
    actions = [*call.actions]
    try:
        return simulate(iam, principal, actions, call.resource, call.context)
    except CannotAsk as refusal:
        if "InvalidInput" not in str(refusal) or not actions[1:]:
            raise
    return {
        action: answer
        for one in actions
        for action, answer in simulate(iam, principal, [one], call.resource, call.context).items()
    }


def _simulate_together(iam: IAMClient, principal: str, calls: Sequence[_Call]) -> Answered:
    """The answers to the calls that IAM gives for each resource by itself.

    IAM answers about each action on each resource in `ResourceSpecificResults`. It says of the
    action as a whole whether an organization allows it, so such a denial is left open.
    """
    found: dict[tuple[str, str], SimulatedAnswer] = {}
    paginator = iam.get_paginator("simulate_principal_policy")
    with asking("iam", principal, f"there is no role {principal} any more: give another"):
        for page in paginator.paginate(
            PolicySourceArn=principal,
            ActionNames=[*dict.fromkeys(action for call in calls for action in call.actions)],
            ResourceArns=[call.resource for call in calls],
            ContextEntries=calls[0].context,
        ):
            for result in page["EvaluationResults"]:
                specific = result.get("ResourceSpecificResults") or []
                named = [one["EvalResourceName"] for one in specific]
                for resource, one in zip(
                    named or [result.get("EvalResourceName", "")], specific or [None], strict=True
                ):
                    parts = result.copy()
                    parts["ResourceSpecificResults"] = [one] if one else []
                    answer = _answer(result["EvalActionName"], resource, parts)
                    if answer.organization_allows is not False:
                        found[answer.action.lower(), resource] = answer
    return {
        call.key: {
            action: found[action.lower(), call.resource]._replace(action=action)
            for action in call.actions
        }
        for call in calls
        if all((action.lower(), call.resource) in found for action in call.actions)
    }


class _Call:
    """A call of the simulator."""

    def __init__(self, resource: str, context: list[ContextEntryTypeDef]) -> None:
        self.resource = resource
        self.context = context
        self.actions: dict[str, None] = {}

    @property
    def key(self) -> str:
        """What tells it from a call on another resource, or in another context."""
        return json.dumps([self.resource, self.context])


_Found = TypeVar("_Found")


def tried(ask_aws: Callable[[], _Found]) -> _Found | CannotAsk:
    """What AWS answers, or why it could not be asked."""
    from botocore.exceptions import ConnectionError as NoConnection  # noqa: PLC0415 # of an extra
    from botocore.exceptions import HTTPClientError  # noqa: PLC0415

    try:
        return ask_aws()
    except CannotAsk as error:
        return error
    except (NoConnection, HTTPClientError) as error:
        return CannotAsk(str(error))


def simulate(
    iam: IAMClient,
    principal: str,
    actions: Sequence[str],
    resource: str,
    context: list[ContextEntryTypeDef],
) -> dict[str, SimulatedAnswer]:
    """Ask IAM's simulator whether a role or a user may do something to one resource.

    Args:
        iam: a boto3 client.
        principal: the ARN of the role or the user.
        actions: what it does.
        resource: one ARN, as IAM reports on organizations once a call, or `*`.
        context: the condition keys whose values are known.

    Returns:
        The answer about each action.

    Raises:
        CannotAsk: the credentials may not call IAM, or IAM does not answer.
    """
    kind = "user" if ":user/" in principal else "role"
    paginator = iam.get_paginator("simulate_principal_policy")
    with asking("iam", principal, f"there is no {kind} {principal} any more: give another"):
        results = {
            result["EvalActionName"].lower(): result
            for page in paginator.paginate(
                PolicySourceArn=principal,
                ActionNames=[*actions],
                ResourceArns=[resource],
                ContextEntries=context,
            )
            for result in page["EvaluationResults"]
        }
        for action in actions:
            if action.lower() not in results:
                raise CannotAsk(f"IAM gave no answer about {action}: try again")
        return {action: _answer(action, resource, results[action.lower()]) for action in actions}


def _context(
    need: _needs.Need, region: str | None, node_id: str = _INSTANCE
) -> list[ContextEntryTypeDef]:
    """The condition keys of the agent's request whose values are known beforehand."""
    entries = [entry("aws:SecureTransport", "true", "boolean")]
    for operator, keys in (need.conditions or {}).items():
        if operator == "Null":  # a session's call has them, whatever their values
            entries += session_context(node_id)
        else:
            entries += [entry(key, value, "stringList") for key, value in keys.items()]
    of_resource = need.resource.split(":")[3] if need.resource.startswith("arn:") else ""
    if of_resource or region:
        entries.append(entry("aws:RequestedRegion", of_resource or str(region)))
    return entries


def session_context(node_id: str) -> list[ContextEntryTypeDef]:
    """The encryption context of a session: agent/session/crypto/blockcipher.go of the agent."""
    return [
        entry("kms:EncryptionContext:aws:ssm:SessionId", _SESSION),
        entry("kms:EncryptionContext:aws:ssm:TargetId", node_id),
    ]


def entry(key: str, value: str, kind: ContextKeyTypeEnumType = "string") -> ContextEntryTypeDef:
    """A condition key and its value."""
    return {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": kind}


def _answer(action: str, resource: str, result: EvaluationResultTypeDef) -> SimulatedAnswer:
    """IAM says some things of the action, and some of the one resource that it was asked about."""
    for_resource = result.get("ResourceSpecificResults") or []
    specific = for_resource[0] if for_resource else None
    decision: str = result["EvalDecision"]
    boundary = result.get("PermissionsBoundaryDecisionDetail")
    statements = result.get("MatchedStatements", [])
    details = result.get("EvalDecisionDetails", {})
    missing = {*result.get("MissingContextValues", [])}
    if specific is not None:
        decision = specific["EvalResourceDecision"]
        boundary = specific.get("PermissionsBoundaryDecisionDetail", boundary)
        statements = specific.get("MatchedStatements", statements)
        details = specific.get("EvalDecisionDetails", details)
        missing.update(specific.get("MissingContextValues", []))
    return SimulatedAnswer(
        action,
        resource,
        decision,
        statements=tuple(_statement(statement) for statement in statements),
        boundary_allows=(boundary or {}).get("AllowedByPermissionsBoundary"),
        organization_allows=result.get("OrganizationsDecisionDetail", {}).get(
            "AllowedByOrganizations"
        ),
        details=dict(details),
        missing_context=tuple(sorted(missing)),
    )


def _statement(found: StatementTypeDef) -> MatchedStatement:
    return MatchedStatement(
        found.get("SourcePolicyId", "a policy without a name"),
        found.get("SourcePolicyType"),
        found.get("StartPosition", {}).get("Line"),
    )
