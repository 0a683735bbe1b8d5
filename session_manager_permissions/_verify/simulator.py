"""What may this role do? Asked of IAM on the live account; nothing of CDK, and nothing printed."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _needs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from types_boto3_iam.client import IAMClient
    from types_boto3_iam.literals import ContextKeyTypeEnumType
    from types_boto3_iam.type_defs import (
        ContextEntryTypeDef,
        EvaluationResultTypeDef,
        StatementTypeDef,
    )
    from types_boto3_kms.client import KMSClient

_SESSION: Final = "session-0123456789abcdef0"
"""A session of no one: what is named after a session is asked of by this one's name."""


class CannotAsk(Exception):  # noqa: N818 # no error of the program: it is what the user is told
    """The question could not be put to AWS, or was not answered; the text says what is needed."""


class Role(NamedTuple):
    """The role that an instance has."""

    arn: str
    boundary: str | None
    """The ARN of its permissions boundary."""

    @property
    def partition(self) -> str:
        """Such as `aws-us-gov`."""
        return self.arn.split(":")[1]

    @property
    def account(self) -> str:
        """The account's id."""
        return self.arn.split(":")[4]


class Key(NamedTuple):
    """A KMS key, as it was given and as IAM knows it."""

    given: str
    arn: str
    alias_name: str | None
    """`alias/NAME` where it was given by an alias."""

    @property
    def in_python(self) -> str:
        """The key as an argument of the construct."""
        return f'kms.Key.from_key_arn(scope, "Key", "{self.given}")'


class Uses(NamedTuple):
    """What the session preferences name, and so the agent uses besides Session Manager itself."""

    keys: tuple[Key, ...] = ()
    log_bucket: str | None = None
    log_prefix: str = ""
    log_bucket_key: Key | None = None
    checks_log_encryption: bool = True
    """Whether the agent asks how the bucket encrypts."""
    log_group: str | None = None


class Question(NamedTuple):
    """Something that the agent does."""

    capability: str
    subject: str | None
    """With which key, bucket or log group."""
    needs: tuple[_needs.Need, ...]
    """What must be allowed, each on one resource."""
    grant: str
    """What `SessionManagerPermissions` is given to grant it."""


class Statement(NamedTuple):
    """A statement that decided, as IAM names it."""

    policy: str
    type: str | None
    line: int | None


class Answer(NamedTuple):
    """What IAM says of one action on one resource."""

    action: str
    resource: str
    decision: str
    """`allowed`, `explicitDeny` or `implicitDeny`."""
    statements: tuple[Statement, ...]
    boundary_allows: bool | None
    """None where the role has no permissions boundary."""
    organization_allows: bool | None
    """None where the account is in no organization."""
    details: Mapping[str, str]
    """By kind of policy, where role and resource are in different accounts."""
    missing_context: tuple[str, ...]
    """The condition keys in the role's policies that IAM was told no value of."""

    @property
    def lacks_resource_policy(self) -> bool:
        """Whether all that denies is a resource's policy, which IAM does not read for a role."""
        denying = [kind for kind, decision in self.details.items() if decision != "allowed"]
        return (
            self.decision == "implicitDeny"
            and bool(denying)
            and all("resource" in kind.lower() for kind in denying)
        )

    @property
    def allowed(self) -> bool:
        """Whether it is, as far as the role's side goes."""
        return self.decision == "allowed" or self.lacks_resource_policy


class Verdict(NamedTuple):
    """Whether the role may do what was asked."""

    question: Question
    role: Role
    answers: tuple[Answer, ...]

    @property
    def allowed(self) -> bool:
        """Whether every action is."""
        return all(answer.allowed for answer in self.answers)

    @property
    def why(self) -> list[str]:
        """What denies, and which actions; empty where it is allowed."""
        denied: dict[str, list[str]] = {}
        for answer in self.answers:
            if not answer.allowed:
                causes = " and ".join(why for why, _ in self._causes(answer))
                denied.setdefault(causes, []).append(answer.action)
        return [f"{', '.join(actions)}: {causes}" for causes, actions in denied.items()]

    @property
    def fix(self) -> list[str]:
        """What would allow it; empty where it is allowed."""
        fixes = [
            fix for answer in self.answers if not answer.allowed for _, fix in self._causes(answer)
        ]
        return list(dict.fromkeys(fixes))

    @property
    def notes(self) -> list[str]:
        """What IAM could not judge."""
        notes = []
        unknown = sorted({key for answer in self.answers for key in answer.missing_context})
        if unknown:
            notes.append(f"the role's policies have conditions on {', '.join(unknown)}: not judged")
        if any(answer.lacks_resource_policy for answer in self.answers):
            notes.append("of another account, whose own policy must allow it too: not judged")
        return notes

    def _causes(self, answer: Answer) -> list[tuple[str, str]]:
        """What denies, and what would mend it."""
        kind = "explicit" if answer.decision == "explicitDeny" else "implicit"
        causes = []
        if kind == "explicit" and answer.statements:
            names = ", ".join(dict.fromkeys(statement.policy for statement in answer.statements))
            causes.append((f"explicit deny in {names}", f"take it out of the Deny in {names}"))
        if answer.organization_allows is False:
            policies = "the organization's service control policies"
            causes.append((f"{kind} deny by {policies}", f"have {policies} allow it"))
        if answer.boundary_allows is False:
            boundary = f"the permissions boundary {self.role.boundary}"
            causes.append((f"{kind} deny by {boundary}", f"have {boundary} allow it"))
        if causes:
            return causes
        if kind == "explicit":
            return [
                (
                    "explicit deny, of which IAM names no policy",
                    "take it out of the Deny in the role's policies",
                )
            ]
        return [
            (
                "implicit deny: no policy of the role allows it",
                f"give SessionManagerPermissions {self.question.grant}",
            )
        ]


_HERE: Final = "in the account of the credentials: give one that is there, or other credentials"


def find_role(iam: IAMClient, role: str) -> Role:
    """The role of this name or ARN.

    Raises:
        CannotAsk: there is none in the account, or IAM may not be asked.
    """
    name = role.rpartition("/")[2]
    with asking("iam", f"the role {name}", f"there is no role {name!r} {_HERE}"):
        found = iam.get_role(RoleName=name)["Role"]
        arn = found["Arn"]
    if role.startswith("arn:") and role != arn:
        raise CannotAsk(
            f"there is no role {role} in the account of the credentials, but {arn}: give that, or "
            "the credentials of the other account"
        )
    boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return Role(arn, boundary)


def role_of_profile(iam: IAMClient, name: str) -> str:
    """The ARN of the role that an instance profile has.

    Raises:
        CannotAsk: there is no such profile, it has no role, or IAM may not be asked.
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
            f"the instance profile {name!r} has no role, and a role alone has permissions: add one "
            "to it"
        )
    return roles[0]


_BY_ARN: Final = "give the key by its own ARN"


def find_key(kms: Callable[[str], KMSClient], arn: str) -> Key:
    """The key of this ARN; which key an alias stands for, only KMS can tell.

    Args:
        kms: makes the client for a region.
        arn: that of a key or an alias.

    Raises:
        CannotAsk: there is no such alias, or KMS may not be asked.
    """
    _, _, _, region, _, resource = arn.split(":", 5)
    if not resource.startswith("alias/"):
        return Key(arn, arn, None)
    with asking(
        "kms",
        f"the key behind {arn}, unless it is given by its own ARN",
        f"there is no {arn}: {_BY_ARN}",
    ):
        key_id = kms(region).describe_key(KeyId=arn)["KeyMetadata"]["KeyId"]
    return Key(arn, f"{arn.removesuffix(resource)}key/{key_id}", resource)


@contextmanager
def asking(service: str, resource: str, missing: str) -> Generator[None, None, None]:
    """Say in the user's terms what AWS refuses, and that an answer is none of AWS.

    What is read of an answer is to be read inside: an entry that is not there is no answer of AWS.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415 # of an extra
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        reason = error.response["Error"].get("Message")
        action = f"{service}:{error.operation_name}"
        if error.operation_name.startswith(("Assume", "GetRoleCredentials")):  # of the profile
            text = f"no credentials: {error.operation_name} failed: {code}: {reason}"
        elif code in {"AccessDenied", "AccessDeniedException"}:
            text = f"the credentials may not ask: they need {action} on {resource}"
        elif code in {"NoSuchEntity", "NotFoundException", "InvalidDocument"}:
            text = missing
        else:
            text = f"{action} failed: {code}: {reason}"
        raise CannotAsk(text) from None
    except (ResponseParserError, KeyError):  # a KeyError of botocore's too, on a page of HTML
        raise CannotAsk(
            f"what answered for {service} is not AWS: look for a proxy, and at AWS_ENDPOINT_URL, "
            "or ask again"
        ) from None


def questions(role: Role, uses: Uses, region: str | None) -> list[Question]:
    """What the agent does on an instance with this role.

    Args:
        role: its role.
        uses: what the session preferences name.
        region: where the instance is, if that is known.

    Raises:
        CannotAsk: there is a log group, and no region.
    """
    asked = [
        Question(
            "reach", None, (_needs.CHANNELS,), "the role, by role=... or instance_profile=..."
        ),
        Question(
            "register",
            None,
            (_needs.REGISTRATION,),
            "allow_registration=True; where the account has Default Host Management "
            "Configuration, that may stand in, and the role's own policies then go unused",
        ),
    ]
    for key in uses.keys:
        # With the condition, as it says what a session has: it holds then where a policy asks it.
        need = _needs.decrypt(key.arn, key.alias_name, sessions_only=True)
        asked.append(Question("encrypt", key.given, (need,), f"encryption_key={key.in_python}"))
    if uses.log_bucket is not None:
        asked.append(_logs_in_s3(role, uses, uses.log_bucket))
    if uses.log_group is not None:
        asked.append(_logs_in_cloudwatch(role, uses.log_group, region))
    return asked


def _logs_in_s3(role: Role, uses: Uses, bucket: str) -> Question:
    arn = f"arn:{role.partition}:s3:::{bucket}"
    prefix = _needs.joined(uses.log_prefix)
    objects = _needs.log_objects(arn, prefix, other_account=False)
    needs = [_needs.log_encryption(arn)] if uses.checks_log_encryption else []
    needs.append(_at_sample(objects, f"{_SESSION}.log"))
    grant = f'log_bucket=s3.Bucket.from_bucket_name(scope, "Logs", "{bucket}")'
    if uses.log_bucket_key is not None:
        key = uses.log_bucket_key
        needs.append(_needs.log_bucket_key(key.arn, key.alias_name))
        grant = (
            f'log_bucket=s3.Bucket.from_bucket_attributes(scope, "Logs", bucket_name="{bucket}", '
            f"encryption_key={key.in_python})"
        )
    if prefix:
        grant += f", log_prefix={json.dumps(prefix, ensure_ascii=False)}"  # which Python reads too
    return Question("log-to-s3", f"{arn}/{prefix}".rstrip("/"), tuple(needs), grant)


def _logs_in_cloudwatch(role: Role, group: str, region: str | None) -> Question:
    if region is None:
        raise CannotAsk("a log group is in a region, and none is known: give --region")
    groups = f"arn:{role.partition}:logs:{region}:{role.account}:log-group:"
    arn = f"{groups}{group}"
    needs = (
        # All groups is what `*` means to CloudWatch Logs, and more than a policy must name.
        need._replace(resource=f"{groups}*")
        if need.resource == "*"
        else _at_sample(need, f"log-stream:{_SESSION}")
        for need in _needs.log_group(arn)
        if need.resource != arn  # its action is asked about on the streams
    )
    grant = f'log_group=logs.LogGroup.from_log_group_name(scope, "Logs", "{group}")'
    return Question("log-to-cloudwatch", arn, tuple(needs), grant)


def _at_sample(need: _needs.Need, sample: str) -> _needs.Need:
    """The need on one of the resources that it means."""
    return need._replace(resource=need.resource.removesuffix("*") + sample)


def ask(iam: IAMClient, role: Role, asked: Iterable[Question], region: str | None) -> list[Verdict]:
    """What IAM's simulator says, of the role's policies, its boundary and the organization's.

    Nothing is done or changed. What it does not look at: the policies of keys and buckets.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html

    Args:
        iam: a boto3 client.
        role: the role of the instance.
        asked: from `questions`.
        region: where the instance is, if that is known.

    Raises:
        CannotAsk: IAM may not be asked, or does not answer.
    """
    return [
        Verdict(
            question,
            role,
            tuple(
                answer for need in question.needs for answer in _simulate(iam, role, need, region)
            ),
        )
        for question in asked
    ]


def _simulate(
    iam: IAMClient, role: Role, need: _needs.Need, region: str | None
) -> Iterator[Answer]:
    paginator = iam.get_paginator("simulate_principal_policy")
    with asking("iam", role.arn, f"there is no role {role.arn} any more: give another"):
        results = {
            result["EvalActionName"].lower(): result
            for page in paginator.paginate(
                PolicySourceArn=role.arn,
                ActionNames=[*need.actions],
                ResourceArns=[need.resource],  # one: IAM reports on organizations once a call
                ContextEntries=_context(need, region),
            )
            for result in page["EvaluationResults"]
        }
        for action in need.actions:
            if action.lower() not in results:
                raise CannotAsk(f"IAM gave no answer on {action}: try again")
            yield _answer(action, need.resource, results[action.lower()])


def _context(need: _needs.Need, region: str | None) -> list[ContextEntryTypeDef]:
    """What a condition may ask of the agent's request and can be known of it beforehand."""
    entries: list[ContextEntryTypeDef] = [
        _entry("aws:SecureTransport", "true", "boolean"),
        *(
            _entry(
                key,
                _SESSION if operator == "Null" else value,
                "stringList" if operator.startswith("ForAnyValue:") else "string",
            )
            for operator, keys in (need.conditions or {}).items()
            for key, value in keys.items()
        ),
    ]
    of_resource = need.resource.split(":")[3] if need.resource.startswith("arn:") else ""
    if of_resource or region:
        entries.append(_entry("aws:RequestedRegion", of_resource or str(region), "string"))
    return entries


def _entry(key: str, value: str, kind: ContextKeyTypeEnumType) -> ContextEntryTypeDef:
    return {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": kind}


def _answer(action: str, resource: str, result: EvaluationResultTypeDef) -> Answer:
    """IAM's answer, of which some parts are said of the one resource and some of the action."""
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
    return Answer(
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


def _statement(found: StatementTypeDef) -> Statement:
    return Statement(
        found.get("SourcePolicyId", "a policy without a name"),
        found.get("SourcePolicyType"),
        found.get("StartPosition", {}).get("Line"),
    )
