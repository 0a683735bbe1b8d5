"""Asks IAM's policy simulator what a live role or user may do."""

from __future__ import annotations

from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _limits, _needs
from session_manager_permissions._conditions import BY_NO_SERVICE
from session_manager_permissions._quoting import fitting, in_python, in_shell

from .asking import CannotAsk, NotPermitted, NotThere, answered, one_of, tried, well_formed
from .document import LiveDocument
from .lines import deployment
from .resource_policy import Admission, policy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from types_boto3_iam.literals import ContextKeyTypeEnumType

    from .answers import SimulatorAnswer
    from .session import Session

SAMPLE_ID: Final = "0123456789abcdef0"
_SESSION: Final = f"session-{SAMPLE_ID}"
_INSTANCE: Final = f"i-{SAMPLE_ID}"
SESSION_ID: Final = _needs.SESSION_KEY
TARGET: Final = "kms:EncryptionContext:aws:ssm:TargetId"
"""Samples for the simulator, which needs a session and an instance. Neither has to exist."""


class LiveRole(NamedTuple):
    """The instance's role, as the account has it."""

    arn: str
    boundary: str | None = None
    """The ARN of its permissions boundary."""
    created: datetime | None = None
    trust_policy: object = None
    """What says who may assume it; None if it was not read."""
    tags: Mapping[str, str] = {}

    @property
    def partition(self) -> str:
        """The partition, such as `aws-us-gov`."""
        return self.arn.split(":")[1]

    @property
    def account(self) -> str:
        """The account's id."""
        return self.arn.split(":")[4]

    @property
    def name(self) -> str:
        """Its name, without the path."""
        return self.arn.rpartition("/")[2]

    @property
    def word(self) -> str:
        """Its name as a word of a shell command."""
        return in_shell(self.name, _limits.ROLE.fault, "ROLE")


class LiveKey(NamedTuple):
    """A KMS key, as the user named it and as IAM knows it."""

    given: str
    """The ARN of the key, or of an alias."""
    arn: str
    """The key's own ARN."""

    @property
    def alias_name(self) -> str | None:
        """The alias, `alias/NAME`, if the user named one."""
        resource = self.given.split(":", 5)[5]
        return resource if resource.startswith("alias/") else None

    @property
    def is_of_aws(self) -> bool:
        """Whether it is named by the alias of an AWS managed key, which only AWS gives."""
        return (self.alias_name or "").startswith(_needs.AWS_MANAGED_ALIAS)

    @property
    def in_python(self) -> str:
        """The key as an argument of the construct."""
        return f'kms.Key.from_key_arn(scope, "Key", {in_python(self.given)})'


class Uses(NamedTuple):
    """What the agent uses besides Session Manager itself, by the session preferences."""

    document: LiveDocument = LiveDocument()
    keys: tuple[LiveKey, ...] = ()
    """The keys that encrypt sessions, of those that can be asked about."""
    log_bucket_key: LiveKey | None = None
    foreign_bucket: bool = False
    """Whether the log bucket is of another account than the role."""
    bucket_encryption: str | None = None
    """How the log bucket encrypts, as the agent says in a header of each upload, if it is known."""


_LACKS: Final = frozenset(
    {
        *("aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "aws:multifactorauthage"),
        *("aws:multifactorauthpresent", "aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid"),
        *("aws:sourceorgpaths", "kms:grantisforawsresource"),
    }
)
"""The condition keys that no call of the agent has, as no service makes it for the agent, and as
the agent has the credentials of a role that a service assumes."""


_PROFILE_LACKS: Final = frozenset({"ssm:sourceinstancearn"})
"""The condition keys that calls with the role of an instance profile lack as well.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
"""


class Question(NamedTuple):
    """One thing that the agent does, and what it needs for that."""

    capability: str
    subject: str | None
    """The key, the bucket or the log group that it does it with."""
    needs: tuple[_needs.NeededStatement, ...]
    """The actions that must be allowed, each need on one resource."""
    grant: str
    """The arguments of `SessionManagerPermissions` that grant it."""
    options: tuple[tuple[str, str], ...] = ()
    """The options of the app that grant it, without code."""
    is_either: bool = False
    """Whether one of the needs is enough."""
    notes: Mapping[str, str] = {}
    """What a denial leads to, by action."""
    of_another_account: bool = False
    """Whether the subject is of another account, so that no policy of its own is enough."""
    lacks: frozenset[str] = _LACKS
    """The condition keys that the calls certainly do not have, in lower case."""
    headers: tuple[ConditionKey, ...] = ()
    """The condition keys of an upload, which are those of its headers."""
    via: str = ""
    """The service that calls AWS KMS for the agent, if one does."""
    policies_count: bool = False
    """Whether the policies of the resources are judged also where those of IAM allow it."""


def lacks_resource_policy(answer: SimulatorAnswer) -> bool:
    """Tell whether only a resource-based policy denies, which the simulator does not read."""
    decisions = answer["decision_details"].items()
    denying = [kind for kind, decision in decisions if decision != "allowed"]
    return (
        answer["decision"] == "implicitDeny"
        and bool(denying)
        and all("resource" in kind.lower() for kind in denying)
    )


def missing_keys(
    answers: Iterable[SimulatorAnswer], lacks: Collection[str] = frozenset()
) -> list[str]:
    """List the condition keys in the policies that a call may have, and IAM was given no value of.

    Args:
        answers: what IAM said.
        lacks: the keys that the calls certainly do not have, in lower case.
    """
    found = {key for answer in answers for key in answer["missing_context_values"]}
    return sorted(key for key in found if key.lower() not in lacks)


def is_allowed(answer: SimulatorAnswer) -> bool:
    """Tell whether the action is allowed, as far as the role's account decides it."""
    return answer["decision"] == "allowed" or lacks_resource_policy(answer)


class CallVerdict(NamedTuple):
    """What is known of one call: by IAM, and by the policy of the key or the bucket."""

    answer: SimulatorAnswer
    """What IAM says."""
    admission: Admission
    """What the policy of a key or a bucket says, `account` if it was not asked."""
    missing: tuple[str, ...]
    """The condition keys that the call may have, and IAM was given no value of."""

    @property
    def allowed(self) -> bool:
        """Tell whether the call is allowed."""
        by_account = is_allowed(self.answer) and self.admission.answer == "account"
        return by_account or self.admission.answer == "named"

    @property
    def is_open(self) -> bool:
        """Tell whether what is not known may turn a denial around."""
        by_iam = bool(self.missing) and not is_allowed(self.answer)
        by_resource = self.admission.answer
        return by_resource == "unknown" or (by_iam and by_resource != "denied")


def decided(
    session: Session | None,
    principal: str,
    call: Call,
    answer: SimulatorAnswer,
    lacks: Collection[str],
    *,
    if_allowed: bool = True,
) -> CallVerdict:
    """Put together what is known of a call: what IAM's policies say, and the resource's own.

    Args:
        session: reads the policy of the key or the bucket. None: it is not read.
        principal: who makes the call.
        call: the call.
        answer: what IAM says.
        lacks: the condition keys that the call certainly does not have, in lower case.
        if_allowed: whether that policy is read also where IAM's policies allow the call.
    """
    by_iam = is_allowed(answer)
    blocked = False in (
        answer["allowed_by_permissions_boundary"],
        answer["allowed_by_organizations"],
    )
    admission = Admission("account", "")
    if session and (if_allowed if by_iam else answer["decision"] == "implicitDeny" and not blocked):
        action, resource = answer["action"], answer["resource"]
        policy = policy_of(session, resource, principal.split(":")[4], by_iam=by_iam)
        if policy is not None:
            told = {
                key.name: None if key.name in _SAMPLES else key.value
                for key in call.with_own.context
            }
            admission = policy.admits(principal, action, resource, told, by_iam=by_iam)
    return CallVerdict(answer, admission, tuple(missing_keys([answer], lacks)))


class Verdict(NamedTuple):
    """Whether the role may do what a question asks about."""

    question: Question
    role: LiveRole
    decisions: tuple[CallVerdict, ...]
    """What is known of each call."""
    deployment: str = ""
    """The command that deploys all that the role was asked about; "" if no one command can."""

    @property
    def answers(self) -> list[SimulatorAnswer]:
        """What IAM says of each call."""
        return [one.answer for one in self.decisions]

    @property
    def _denied(self) -> list[CallVerdict]:
        """List what denies it; empty if it is allowed."""
        return [] if self.allowed else [one for one in self.decisions if not one.allowed]

    @property
    def allowed(self) -> bool:
        """Tell whether every need is allowed, or one of them if one is enough.

        If one is enough, the last is on the instance itself, to which a deny on instances applies
        whatever is allowed on `*`.
        """
        allowed = [one.allowed for one in self.decisions]
        if self.question.is_either:
            return any(allowed) and self.answers[-1]["decision"] != "explicitDeny"
        return all(allowed)

    @property
    def denied(self) -> set[str]:
        """The actions that are denied."""
        return {one.answer["action"] for one in self._denied}

    @property
    def why(self) -> list[str]:
        """Say which actions are denied, and by what; empty if all are allowed."""
        denied: dict[str, list[str]] = {}
        for one in self._denied:
            causes = " and ".join(why for why, _ in self._causes(one))
            denied.setdefault(causes, []).append(one.answer["action"])
        return [f"{', '.join(dict.fromkeys(found))}: {by}" for by, found in denied.items()]

    @property
    def fix(self) -> list[str]:
        """Say what would allow them; empty if all are allowed."""
        fixes = [fix for one in self._denied for _, fix in self._causes(one)]
        return list(dict.fromkeys(chain.from_iterable(fixes)))

    @property
    def unread(self) -> list[CannotAsk]:
        """Why the policies of keys and buckets, which may allow the call, could not be read."""
        return [one.admission.error for one in self._denied if one.admission.error]

    @property
    def is_open(self) -> bool:
        """Tell whether what is not known may turn the denial around."""
        open_ = [one.is_open for one in self._denied]
        if self.question.is_either and not self.decisions[1:]:  # the other is not asked about
            open_ += [one.answer["decision"] == "implicitDeny" for one in self._denied]
        return any(open_) and (self.question.is_either or all(open_))

    @property
    def notes(self) -> list[str]:
        """Say what IAM could not judge, and what a denial leads to."""
        notes = []
        unknown = sorted({key for one in self.decisions for key in one.missing})
        if unknown:
            notes.append(
                f"the role's policies have conditions on {', '.join(unknown)}: not judged, as "
                "their values are not known"
            )
        absent = {*missing_keys(one.answer for one in self._denied)} - {*unknown}
        if absent:
            notes.append(
                f"the role's policies have conditions on {', '.join(sorted(absent))}, which the "
                "agent's calls do not have"
            )
        if any(map(lacks_resource_policy, self.answers)):
            notes.append(
                "the resource belongs to another account, whose own policy must allow the action "
                "too: not judged"
            )
        told = [one.admission for one in self.decisions if not is_allowed(one.answer)]
        notes += dict.fromkeys(one.why for one in told if one.answer in ("named", "unknown"))
        sure = (one for one in self._denied if not (one.is_open and is_allowed(one.answer)))
        denied = {one.answer["action"] for one in sure}
        notes += [note for action, note in self.question.notes.items() if action in denied]
        return notes

    def _causes(self, denied: CallVerdict) -> list[tuple[str, list[str]]]:
        """List what denies the action, each with what to do about it."""
        of_resource = [(denied.admission.why, [*denied.admission.fix])]
        if is_allowed(denied.answer):
            return of_resource
        of_iam = blocks(denied.answer, "role", self.role.boundary)
        if not of_iam:
            by_construct = f"give SessionManagerPermissions {self.question.grant}"
            granting = [*filter(None, [self.deployment, by_construct])]  # without code first
            of_iam = [("implicit deny: no policy of the role allows it", granting)]
        return [*of_iam, *(of_resource if denied.admission.answer == "denied" else ())]


def blocks(
    answer: SimulatorAnswer, of: str, boundary: str | None = None
) -> list[tuple[str, list[str]]]:
    """List what denies an action whatever is granted, each with what to do about it.

    Args:
        answer: what IAM says.
        of: whose policies these are, such as `role`.
        boundary: the ARN of the permissions boundary, if it is known.
    """
    kind = "explicit" if answer["decision"] == "explicitDeny" else "implicit"
    names = ", ".join(dict.fromkeys(one["policy"] for one in answer["matched_statements"]))
    found = []
    if kind == "explicit" and names:
        found = [(f"explicit deny in {names}", [f"remove the action from the Deny in {names}"])]
    for allows, policies in (
        (answer["allowed_by_organizations"], "the organization's service control policies"),
        (
            answer["allowed_by_permissions_boundary"],
            f"the permissions boundary {boundary or f'of the {of}'}",
        ),
    ):
        if allows is False:
            found.append((f"{kind} deny by {policies}", [f"allow the action in {policies}"]))
    if kind == "explicit" and not found:
        why = "explicit deny in a policy that IAM does not name"
        found = [(why, [f"remove the action from the Deny in the {of}'s policies"])]
    return found


def _deployment(role: LiveRole, asked: Iterable[Question], instance_profile: str | None) -> str:
    """Return the command that gives a role all that it is asked about; "" if no one command can.

    It is one for all, as another deployment without one of the options would take that away.
    """
    options = [option for one in asked for option in one.options]
    if len({name for name, _ in options}) < len(options):  # a key for each region
        return ""
    target = f"role={fitting(role.name, _limits.ROLE.fault, 'ROLE')}"
    if instance_profile is not None:
        name = fitting(instance_profile, _limits.INSTANCE_PROFILE.fault, "PROFILE")
        target = f"instance-profile={name}"
    return deployment(target, options)


_HERE: Final = (
    "in the account of the credentials: give one that exists there, or use other credentials"
)


def find_role(session: Session, role: str) -> LiveRole:
    """Find the role with this name or ARN.

    Raises:
        CannotAsk: the account has no such role, or the credentials may not call IAM.
    """
    name = role.rpartition("/")[2]
    found = session.ask(
        "iam:GetRole",
        lambda found: _live_role(found["Role"]),
        on=f"the role {name}",
        missing=f"there is no role {name!r} {_HERE}",
        RoleName=name,
    )
    # IAM's names are unique regardless of case.
    if role.startswith("arn:") and role.lower() != found.arn.lower():
        raise CannotAsk(
            f"there is no role {role} in the account of the credentials, which has {found.arn}: "
            "give that one, or use credentials of the other account"
        )
    return found


def _live_role(found: Mapping[str, Any]) -> LiveRole:
    boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return LiveRole(
        well_formed(found["Arn"], lambda arn: _limits.role_fault(arn) or _limits.arn_fault(arn)),
        boundary=boundary,
        created=found.get("CreateDate"),
        trust_policy=found.get("AssumeRolePolicyDocument"),
        tags={tag["Key"]: tag["Value"] for tag in found.get("Tags", [])},
    )


class LiveProfile(NamedTuple):
    """An instance profile, as the account has it."""

    id: str | None
    """Its unique id, which a profile that is made again under the same name does not have."""
    role: LiveRole | None


def find_profile(session: Session, name: str) -> LiveProfile:
    """Find the instance profile of this name.

    Raises:
        CannotAsk: the account has no such profile, or the credentials may not call IAM.
    """

    def read(found: Mapping[str, Any]) -> LiveProfile:
        profile = found["InstanceProfile"]
        role = next(map(_live_role, profile["Roles"]), None)
        return LiveProfile(profile.get("InstanceProfileId"), role)

    return session.ask(
        "iam:GetInstanceProfile",
        read,
        on=f"the instance profile {name}",
        missing=f"there is no instance profile {name!r} {_HERE}",
        InstanceProfileName=name,
    )


def role_of_profile(session: Session, name: str) -> str:
    """Find the ARN of the role in an instance profile.

    Raises:
        CannotAsk: the account has no such profile, the profile has no role, or the credentials may
            not call IAM.
    """
    role = find_profile(session, name).role
    if role is None:
        raise CannotAsk(
            f"the instance profile {name!r} has no role, and only a role has permissions: add a "
            "role to it"
        )
    return role.arn


def find_key(session: Session, arn: str) -> LiveKey:
    """Find the key with this ARN; for an alias, ask KMS which key it points to.

    Args:
        session: makes the client.
        arn: the ARN of a key or an alias.

    Raises:
        CannotAsk: there is no such alias, it is of an AWS managed key, or the credentials may not
            call KMS.
    """
    key = LiveKey(arn, arn)
    if key.alias_name is None:
        return key
    if key.is_of_aws:
        raise CannotAsk(
            f"{arn} is an AWS managed key, which only its own service may use: give a customer "
            "managed key"
        )
    found = describe_key(
        session,
        arn,
        on=f"the key behind {arn}, unless you give the key's own ARN",
        missing=f"there is no {arn}: give the key's own ARN",
    )
    return LiveKey(arn, found["Arn"])


def describe_key(
    session: Session, arn: str, *, on: str = "", missing: str = ""
) -> Mapping[str, Any]:
    """Ask KMS about the key with this ARN, or behind this alias.

    Raises:
        CannotAsk: there is no such key, or the credentials may not call KMS.
    """

    def read(found: Mapping[str, Any]) -> Mapping[str, Any]:
        key = found["KeyMetadata"]
        return {
            **key,
            # An answer without one of these is none of AWS.
            "KeyState": key["KeyState"],
            "KeyUsage": key["KeyUsage"],
            "Arn": well_formed(key["Arn"], _limits.key_fault),
            # `CustomerMasterKeySpec` is its old name.
            "KeySpec": key.get("KeySpec") or key["CustomerMasterKeySpec"],
        }

    return session.ask(
        "kms:DescribeKey",
        read,
        on=on or arn,
        missing=missing or f"there is no {arn}",
        region=arn.split(":")[3],
        KeyId=arn,
    )


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
        grant = f"encryption_key={key.in_python}"
        # The agent calls KMS itself.
        options = (("key", key.given),)
        asked.append(
            Question("encrypt", key.given, (need,), grant, options, lacks=_LACKS | BY_NO_SERVICE)
        )
    bucket, group = uses.document.log_bucket, uses.document.log_group
    if bucket is not None:
        asked.append(_logs_in_s3(role, uses, bucket))
    if group is not None:
        asked.append(_logs_in_cloudwatch(role, group, region))
    return asked


def _registration(role: LiveRole, region: str | None, node: str | None) -> Question:
    """Ask about registration, which a policy may allow on everything or on instances alone."""
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
        (("allow-registration", "true"),),
        is_either=True,
        notes=notes,
    )


def _logs_in_s3(role: LiveRole, uses: Uses, bucket: str) -> Question:
    arn = f"arn:{role.partition}:s3:::{bucket}"
    prefix = _needs.joined(uses.document.log_prefix or "")
    objects = _needs.log_objects(arn, prefix, other_account=False)
    encryption = _needs.log_encryption(arn)
    needs = [encryption, _at_sample(objects, f"{_SESSION}.log")]
    grant = f'log_bucket=s3.Bucket.from_bucket_name(scope, "Logs", {in_python(bucket)})'
    options = {"log-bucket": bucket, "log-prefix": prefix}
    if uses.log_bucket_key is not None:
        key = uses.log_bucket_key
        needs.append(_needs.log_bucket_key(key.arn, key.alias_name))
        grant = (
            'log_bucket=s3.Bucket.from_bucket_attributes(scope, "Logs", '
            f"bucket_name={in_python(bucket)}, encryption_key={key.in_python})"
        )
        options["log-bucket-key"] = key.given
    if prefix:
        grant += f", log_prefix={in_python(prefix)}"
    (action,) = encryption.actions
    note = _ENCRYPTION_NOT_READ[uses.document.enforces_s3_encryption]
    subject = f"{arn}/{prefix}".rstrip("/")
    given = tuple((name, value) for name, value in options.items() if value)
    return Question(
        "log-to-s3",
        subject,
        tuple(needs),
        grant,
        given,
        notes={action: note},
        of_another_account=uses.foreign_bucket,
        headers=_headers(uses.bucket_encryption),
        via="s3",
        policies_count=True,
    )


_UPLOAD: Final = ("s3:PutObject",)


def _headers(encryption: str | None) -> tuple[ConditionKey, ...]:
    """Return the condition keys of an upload by its headers: agent/s3util/s3util.go."""
    acl = ConditionKey(_ACL, "bucket-owner-full-control")
    if encryption is None:
        return (acl,)
    return (acl, ConditionKey(_ENCRYPTION, encryption))


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
    grant = f'log_group=logs.LogGroup.from_log_group_name(scope, "Logs", {in_python(group)})'
    return Question("log-to-cloudwatch", arn, tuple(needs), grant, (("log-group", group),))


def _at_sample(need: _needs.NeededStatement, sample: str) -> _needs.NeededStatement:
    """Return the need on one of the resources that its pattern stands for."""
    return need._replace(resource=need.resource.removesuffix("*") + sample)


class ConditionKey(NamedTuple):
    """A condition key of a request, and its value."""

    name: str
    value: str
    type: ContextKeyTypeEnumType = "string"


Context = tuple[ConditionKey, ...]

_VIA_SERVICE: Final = "kms:ViaService"
_ACL, _ENCRYPTION = "s3:x-amz-acl", "s3:x-amz-server-side-encryption"


class Call(NamedTuple):
    """A call whose permission IAM is asked about: one action on one resource."""

    action: str
    resource: str
    context: Context
    """The condition keys of the call whose values are known beforehand."""
    own_context: Context = ()
    """The condition keys of this call alone, which calls in the same request do not have."""

    @property
    def with_own(self) -> Call:
        """Return the call with all its condition keys."""
        return Call(self.action, self.resource, (*self.context, *self.own_context))

    @property
    def without_own(self) -> Call:
        """Return the call without the condition keys that others do not have."""
        return self._replace(own_context=())

    @property
    def for_any_node(self) -> Call:
        """Return the call with all its condition keys, but the id of the node."""
        known = (key for key in self.own_context if key.name != TARGET)
        return Call(self.action, self.resource, (*self.context, *known))


def ask(
    session: Session,
    role: LiveRole,
    asked: Sequence[Question],
    *,
    instance_profile: str | None = None,
    node_id: str = _INSTANCE,
    alike: Sequence[str] = (),
    spare: Session | None = None,
) -> list[Callable[[], Verdict | CannotAsk]]:
    """Ask IAM's simulator about the role's policies, its boundary and the organization's policies.

    Nothing is done or changed. The simulator does not read the policies of keys and buckets. So if
    only the role's policies lack an action on one, or its policies count, they are read as well.
    Uploads and those policies are asked about when a verdict is wanted.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html

    Args:
        session: asks AWS, in the instance's region, if it is known.
        role: the instance's role.
        asked: the `questions`.
        instance_profile: the profile that the role is named by. Default: - its own name
        node_id: the id of the instance. Default: - a sample
        alike: the ARNs of the nodes about which IAM is asked together, as they share the role.
        spare: asks about uploads, and reads the policies of keys and buckets. Default: - they are
            not read

    Returns:
        For each question what returns the verdict, or why IAM could not be asked.
    """
    calls = [_calls(session, question, node_id) for question in asked]
    at_once = [one for one in chain.from_iterable(calls) if one.action not in _UPLOAD]
    answers = simulate(session, role.arn, at_once, alike)
    command = _deployment(role, asked, instance_profile)
    lacks = frozenset() if instance_profile is None else _PROFILE_LACKS

    def verdict(question: Question, calls: list[Call]) -> Verdict | CannotAsk:
        uploads = [one for one in calls if one.action in _UPLOAD]
        found = all_of({**answers, **simulate(spare or session, role.arn, uploads)}, calls)
        if isinstance(found, CannotAsk):
            return found
        reader = None if question.of_another_account else spare
        counts = question.policies_count
        decisions = (
            decided(reader, role.arn, call, answer, question.lacks | lacks, if_allowed=counts)
            for call, answer in zip(calls, found, strict=True)
        )
        return Verdict(question, role, (*decisions,), command)

    return [cache(partial(verdict, *one)) for one in zip(asked, calls, strict=True)]


_SAMPLES: Final = {SESSION_ID, "aws:userid"}
"""The condition keys whose values differ from session to session."""

Answers = dict[Call, "SimulatorAnswer | CannotAsk"]


def all_of(answers: Answers, calls: Iterable[Call]) -> tuple[SimulatorAnswer, ...] | CannotAsk:
    """Return the answers about calls, or why IAM could not be asked about one of them."""
    return tried(lambda: tuple(answered(answers[call]) for call in calls))


_ONE_BY_ONE: Final = "InvalidInput"
"""The error of IAM if it takes actions or resources only one by one."""
_ALONE: Final = "s3:GetEncryptionConfiguration"
"""IAM does not take it with other actions of S3, as its API call has another name."""


_OF_PRINCIPAL: Final = (NotPermitted, NotThere)
"""The refusals that hold for each question about a user or a role."""


def simulate(
    session: Session, principal: str, calls: Iterable[Call], alike: Sequence[str] = ()
) -> Answers:
    """Ask IAM's simulator whether a user or a role may make calls.

    First, calls with the same `context` share a request, without their `own_context`. Such an
    answer holds if the call is allowed and no policy has a condition on a key without a value, as
    then none depends on the keys that were left out. Any other call is asked about with its own
    keys; where nodes are alike, at first without the id of the node, as the answer is then that of
    each of them.

    Args:
        session: asks AWS.
        principal: the ARN of the user or the role.
        calls: what it does.
        alike: the ARNs of the nodes with the same role. A call on one of them shares a request with
            those on the others.

    Returns:
        The answer about each call, or why IAM could not be asked.
    """
    known: Answers = {}
    asked = [*dict.fromkeys(calls)]
    for group in _in_groups(asked, alike if alike[1:] else ()):
        if group[1:]:
            shared = tried(partial(_shared, session, principal, [one.without_own for one in group]))
            if isinstance(shared, _OF_PRINCIPAL):
                return dict.fromkeys(asked, shared)
            if not isinstance(shared, CannotAsk):
                known |= shared
    found = {call: (call.without_own, known.get(call.without_own)) for call in asked}
    for name in ("for_any_node", "with_own") if alike else ("with_own",):
        alone: dict[tuple[str, Context], dict[Call, Call]] = {}
        for call in asked:
            if not _is_settled(call, *found[call]):
                full: Call = getattr(call, name)
                alone.setdefault((full.resource, full.context), {})[call] = full
        for same in alone.values():
            answers = _by_themselves(session, principal, [*same.values()])
            found |= {call: (full, answers[full]) for call, full in same.items()}
    return {call: answer for call, (_, answer) in found.items() if answer is not None}


def _is_settled(call: Call, asked: Call, answer: SimulatorAnswer | CannotAsk | None) -> bool:
    """Tell whether an answer holds, although the call was asked about with fewer keys."""
    if answer is None:
        return False
    if isinstance(answer, CannotAsk) or asked == call.with_own:
        return True
    missing = {key.lower() for key in answer["missing_context_values"]}
    if asked == call.without_own:
        return is_allowed(answer) and not missing
    return TARGET.lower() not in missing


def _in_groups(calls: Iterable[Call], alike: Sequence[str]) -> Iterable[list[Call]]:
    """Group the calls that can share a request; one on a node is made on each that is alike."""
    groups: dict[tuple[Context, bool], list[Call]] = {}
    for call in calls:
        of_s3 = call.action.startswith("s3:") and call.action != _ALONE
        same = alike if call.resource in alike else (call.resource,)
        several = [call._replace(resource=arn) for arn in same]
        groups.setdefault((call.context, of_s3), []).extend(several)
    return groups.values()


def _shared(session: Session, principal: str, calls: Sequence[Call]) -> Answers:
    """Ask about calls in one request; return the answers that it gives about each by itself.

    Raises:
        CannotAsk: the credentials may not call IAM, or IAM does not answer.
    """
    found = _requested(session, principal, calls)
    several = len({call.resource for call in calls}) > 1
    return {
        call: answer
        for call, answer in found.items()
        # IAM says of an action as a whole whether an organization allows it
        if not (several and answer["allowed_by_organizations"] is False)
    }


def _by_themselves(session: Session, principal: str, calls: Sequence[Call]) -> Answers:
    """Ask about actions on one resource, in a request each if IAM does not take them in one.

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
        missing=f"there is no {kind} {principal} any more: give another",
        PolicySourceArn=principal,
        ActionNames=[*actions.values()],
        ResourceArns=resources,
        ContextEntries=[
            {"ContextKeyName": name, "ContextKeyValues": [value], "ContextKeyType": kind_}
            for name, value, kind_ in context
        ],
    )


def _calls(session: Session, question: Question, node_id: str) -> list[Call]:
    """List the agent's calls, each with the condition keys whose values are known beforehand."""
    calls = []
    for need in question.needs:
        own: list[ConditionKey] = []
        for operator, keys in (need.conditions or {}).items():
            if operator == "Null":  # a session's call has them, whatever their values
                own += session_context(node_id)
            else:
                own += [ConditionKey(key, value, "stringList") for key, value in keys.items()]
        of_resource = need.resource.split(":")[3] if need.resource.startswith("arn:") else ""
        context = request_context(of_resource or session.region)
        if need.actions == _UPLOAD:
            own += question.headers
        if question.via and ":kms:" in need.resource and session.region is not None:
            service = f"{question.via}.{of_resource}.{session.dns_suffix}"
            own.append(ConditionKey(_VIA_SERVICE, service))
        calls += [Call(action, need.resource, context, (*own,)) for action in need.actions]
    return calls


def request_context(region: str | None) -> Context:
    """Return the condition keys that each call to AWS has."""
    known = tuple(ConditionKey(*one, "boolean") for one in _needs.REQUEST_KEYS.items())
    return (*known, ConditionKey(_needs.REGION_KEY, region)) if region else known


def session_context(node_id: str) -> Context:
    """Return the encryption context of a session: agent/session/crypto/blockcipher.go."""
    return (ConditionKey(SESSION_ID, _SESSION), ConditionKey(TARGET, node_id))


def _answer(call: Call, result: Mapping[str, Any], told: Mapping[str, Any]) -> SimulatorAnswer:
    """Read what IAM says of a call; `told` has what it says of the resource in particular too."""
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
