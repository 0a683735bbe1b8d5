"""Lists what the agent does on an instance, and what its role needs for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._conditions import BY_NO_SERVICE
from session_manager_permissions._quoting import in_python

from .asking import CannotAsk
from .document import LiveDocument
from .keys import LiveKey
from .simulator import SAMPLE_INSTANCE, SAMPLE_SESSION, ConditionKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .live_roles import LiveRole

UPLOAD: Final = ("s3:PutObject",)
_ACL, _ENCRYPTION = "s3:x-amz-acl", "s3:x-amz-server-side-encryption"
_LACKS: Final = frozenset(
    {
        *("aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "aws:multifactorauthage"),
        *("aws:multifactorauthpresent", "aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid"),
        *("aws:sourceorgpaths", "kms:grantisforawsresource"),
    }
)
"""The condition keys that no call of the agent has, as no service makes it for the agent, and as
the agent has the credentials of a role that a service assumes."""
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


TAKEN: Final = ("AES256", "aws:kms")
"""What the agent takes for an encrypted bucket: agent/s3util/s3util.go of amazon-ssm-agent."""


class Bucket(NamedTuple):
    """The log bucket, and how it encrypts."""

    algorithm: str = ""
    region: str | None = None
    """Its region, if it is known."""
    named_key: str | None = None
    """The key as its default encryption names it."""
    key: LiveKey | CannotAsk | None = None
    """The key that the role needs, or why it is not known; None if it needs none."""
    is_foreign: bool = False
    """Whether it is of another account than the role."""
    error: CannotAsk | None = None
    """Why it could not be read."""


class Uses(NamedTuple):
    """What the agent uses besides Session Manager itself, by the session preferences."""

    document: LiveDocument = LiveDocument()
    keys: tuple[LiveKey, ...] = ()
    """The keys that encrypt sessions, of those that can be asked about."""
    bucket: Bucket = Bucket()
    """The log bucket, of which nothing is known if there is none."""


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
    region: str | None = None
    """The region of resources whose ARNs name none. Default: - the instance's region"""
    policies_count: bool = False
    """Whether the policies of the resources are judged also where those of IAM allow it."""


def questions(
    role: LiveRole,
    uses: Uses,
    region: str | None,
    node: str | None = None,
    *,
    is_hybrid: bool = False,
) -> list[Question]:
    """List what the agent does on an instance with this role.

    Args:
        role: the instance's role.
        uses: what the session preferences have the agent use.
        region: the instance's region, if it is known.
        node: the ARN of the instance, or of the managed instance. Default: - a sample in the region
        is_hybrid: whether the sample may be a hybrid node, as EC2 can't assume the role.

    Raises:
        CannotAsk: there is a log group, and no region.
    """
    asked = [
        Question(
            "reach", None, (_needs.CHANNELS,), "the role, by role=... or instance_profile=..."
        ),
        _registration(role, region, node, is_hybrid=is_hybrid),
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


def _registration(
    role: LiveRole, region: str | None, node: str | None, *, is_hybrid: bool
) -> Question:
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
        place = f"{region}:{role.account}"
        instance = f"arn:{role.partition}:ec2:{place}:instance/{SAMPLE_INSTANCE}"
        hybrid = f"arn:{role.partition}:ssm:{place}:managed-instance/m{SAMPLE_INSTANCE}"
        samples = [hybrid, instance] if is_hybrid else [node or instance]
        needs += [_needs.REGISTRATION._replace(resource=one) for one in samples]
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
    needs = [encryption, _at_sample(objects, f"{SAMPLE_SESSION}.log")]
    grant = f'log_bucket=s3.Bucket.from_bucket_name(scope, "Logs", {in_python(bucket)})'
    options = {"log-bucket": bucket, "log-prefix": prefix}
    key = uses.bucket.key
    if isinstance(key, LiveKey):
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
        of_another_account=uses.bucket.is_foreign,
        headers=_headers(uses.bucket.algorithm),
        via="s3",
        region=uses.bucket.region,
        policies_count=True,
    )


def _headers(algorithm: str) -> tuple[ConditionKey, ...]:
    """Return the condition keys of an upload by its headers: agent/s3util/s3util.go."""
    acl = ConditionKey(_ACL, "bucket-owner-full-control")
    return (acl, ConditionKey(_ENCRYPTION, algorithm)) if algorithm in TAKEN else (acl,)


def _logs_in_cloudwatch(role: LiveRole, group: str, region: str | None) -> Question:
    if region is None:
        raise CannotAsk("a log group is in a region, and no region is known: give --region")
    groups = f"arn:{role.partition}:logs:{region}:{role.account}:log-group:"
    arn = f"{groups}{group}"
    needs = (
        # CloudWatch Logs asks whether the caller may list on a group without a name.
        need._replace(resource=f"{groups}:log-stream:")
        if need.resource == "*"
        else _at_sample(need, f"log-stream:{SAMPLE_SESSION}")
        for need in _needs.log_group(arn)
        if need.resource != arn  # its action is asked about on the streams
    )
    grant = f'log_group=logs.LogGroup.from_log_group_name(scope, "Logs", {in_python(group)})'
    return Question("log-to-cloudwatch", arn, tuple(needs), grant, (("log-group", group),))


def _at_sample(need: _needs.NeededStatement, sample: str) -> _needs.NeededStatement:
    """Return the need on one of the resources that its pattern stands for."""
    return need._replace(resource=need.resource.removesuffix("*") + sample)
