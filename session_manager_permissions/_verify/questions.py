"""Lists the tasks of the agent on an instance, and the permissions that its role needs for each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._conditions import NOT_OF_AGENT, NOT_OF_SESSION
from session_manager_permissions._quoting import in_python

from . import simulator
from .asking import CannotAsk
from .document import LiveDocument
from .keys import LiveKey
from .simulator import SAMPLE_INSTANCE, Call, ConditionKey, Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .live_roles import LiveRole
    from .session import Session

_LACKS: Final = NOT_OF_AGENT | {"aws:multifactorauthpresent"}
"""The prefixes of the condition keys that can't change a denial, in lower case.

No call of the agent has them, or has `aws:MultiFactorAuthPresent` with the value true.
"""
_NO_TAGS: Final = _LACKS | {*map(str.lower, simulator.OF_TAGS)}
_NOT_READ: Final = "the agent can't read how the bucket is encrypted, so it"
_ENCRYPTION_NOT_READ: Final = {
    True: f"{_NOT_READ} refuses each session",
    False: f"{_NOT_READ} uploads the log without an encryption header, which a bucket policy may "
    "refuse",
    None: f"{_NOT_READ} refuses each session if the session preferences enforce encrypted logs",
}
"""The effect of a denied `s3:GetEncryptionConfiguration`, by whether encryption is enforced.

The agent calls it before a session with enforced encryption, and before each upload:
agent/session/shell/shell.go and agent/s3util/s3util.go of amazon-ssm-agent.
"""


_TLS_OF_SERVICE: Final = ConditionKey("aws:SecureTransport", "true", "boolean", is_sample=True)
"""`aws:SecureTransport` is not known for a call from one service to another."""
_LARGE: Final = {"kms:Decrypt": "without kms:Decrypt, a log of more than 5 MiB is lost"}
"""The effect of a denied action that S3 needs only for large logs."""


class Bucket(NamedTuple):
    """The log bucket, and its default encryption."""

    algorithm: str = ""
    region: str | None = None
    """The region of the bucket, if it is known."""
    rule: Mapping[str, Any] = {}
    """The rule of its default encryption."""
    named_key: str | None = None
    """The key as its default encryption names it."""
    key: LiveKey | CannotAsk | None = None
    """The key that the role needs, or why it is not known; None if it needs none."""
    is_foreign: bool = False
    """Whether it belongs to another account than the role."""
    error: CannotAsk | None = None
    """Why the encryption of the bucket could not be read."""


class Uses(NamedTuple):
    """The resources that the session preferences make the agent use."""

    document: LiveDocument = LiveDocument()
    keys: tuple[LiveKey, ...] = ()
    """The keys that encrypt sessions, if IAM can be asked about them."""
    bucket: Bucket = Bucket()
    """The log bucket; without a name if there is none."""


class Question(NamedTuple):
    """A task of the agent, and the permissions that it needs."""

    capability: str
    subject: str | None
    """The key, the bucket or the log group that it is about."""
    calls: tuple[Call, ...]
    """The calls that must be allowed; one request may ask IAM about them and other calls."""
    grant: str
    """The arguments of `SessionManagerPermissions` that grant it."""
    options: tuple[tuple[str, str], ...] = ()
    """The options of the app that grant it, without code."""
    is_either: bool = False
    """Whether one of the calls is enough."""
    apart: tuple[Call, ...] = ()
    """The other calls that must be allowed; they have their own condition keys and requests."""
    notes: Mapping[str, str] = {}
    """The effect of a denial, by action."""
    spared: tuple[str, ...] = ()
    """The actions whose denial alone neither ends a session nor loses a log."""
    in_doubt: tuple[str, ...] = ()
    """The actions in `spared`, and the actions whose denial alone may lose a log."""
    of_another_account: bool = False
    """Whether the subject is in another account, so that its own policy alone is not enough."""
    lacks: frozenset[str] = _LACKS
    """The prefixes of the condition keys that the calls certainly do not have, in lower case."""
    has: tuple[str, ...] = ()
    """The condition keys with a prefix in `lacks` that the calls do have, in lower case."""
    policies_count: bool = False
    """Whether the policies of the resources count even if IAM policies allow the calls."""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """The agent on an instance with a role."""

    session: Session
    """Asks AWS, in the instance's region, if it is known."""
    role: LiveRole
    uses: Uses
    """The resources that the session preferences make it use."""
    spare: Session | None = None
    """Asks about the calls in `apart`, and reads the policies of keys and buckets.

    Default: - `session` asks about those calls, and the policies are not read
    """
    arn: str | None = None
    """The ARN of the instance, or of the managed instance. Default: - a sample in the region"""
    tags: tuple[str, ...] | None = None
    """The keys of all tags of the instance. Default: - they are not known"""
    alike: tuple[str, ...] = ()
    """The ARNs of the nodes about which IAM is asked together, as they share the role."""
    is_hybrid: bool = False
    """Whether the sample may be a hybrid node, as EC2 can't assume the role."""

    @property
    def node_id(self) -> str:
        """The id of the instance."""
        return (self.arn or SAMPLE_INSTANCE).rpartition("/")[2]

    def questions(self) -> list[Question]:
        """List the tasks of the agent.

        Raises:
            CannotAsk: there is a log group, and no region.
        """
        reaches = self._calls(_needs.CHANNELS)
        role = "the role, by role=... or instance_profile=..."
        # A channel is not a resource, so it has no tags.
        asked = [Question("reach", None, reaches, role, lacks=_NO_TAGS), self._registration()]
        of_session = simulator.session_context(self.node_id)
        for key in self.uses.keys:
            own = (*key.context(self.role.account), *of_session)
            decrypts = self._calls(_needs.decrypt(key.arn, sessions_only=True), own=own)
            grant, options = f"encryption_key={key.in_python('Key')}", (("key", key.given),)
            # The agent calls KMS directly, and not through another service.
            lacks = _LACKS | NOT_OF_SESSION
            asked.append(Question("encrypt", key.given, decrypts, grant, options, lacks=lacks))
        bucket, group = self.uses.document.log_bucket, self.uses.document.log_group
        if bucket is not None:
            asked.append(self._logs_in_s3(bucket))
        if group is not None:
            asked.append(self._logs_in_cloudwatch(group))
        return asked

    def _calls(
        self,
        *needs: _needs.NeededStatement,
        own: Context = (),
        region: str | None = None,
        owner: str | None = None,
    ) -> tuple[Call, ...]:
        """List the calls for which permissions are needed.

        Args:
            needs: what the role needs, each on one resource.
            own: the condition keys of these calls alone. They replace the keys of the same name
                that every call has.
            region: the region of resources whose ARNs name none. Default: - the instance's region
            owner: the account of such resources; "" if it is not known. Default: - the role's
        """
        calls = []
        own_names = {key.name for key in own}
        others = self.role.account if owner is None else owner
        for need in needs:
            place, account = ("", "") if need.resource == "*" else need.resource.split(":")[3:5]
            where = place or region or self.session.region
            of_each = simulator.request_context(self.role.arn, where, account or others)
            context = tuple(key for key in of_each if key.name not in own_names)
            calls += [Call(action, need.resource, context, own) for action in need.actions]
        return tuple(calls)

    def _registration(self) -> Question:
        """Ask about registration, which a policy may allow on `*` or only on instances."""
        role, region = self.role, self.session.region
        needs = [_needs.REGISTRATION]
        notes = {}
        if region is None:
            (action,) = _needs.REGISTRATION.actions
            notes[action] = (
                "a policy may allow it only on the instances of a region: not judged, as no region "
                "is known; give --region"
            )
        else:
            place = f"{region}:{role.account}"
            instance = f"arn:{role.partition}:ec2:{place}:instance/{SAMPLE_INSTANCE}"
            hybrid = f"arn:{role.partition}:ssm:{place}:managed-instance/m{SAMPLE_INSTANCE}"
            samples = [hybrid, instance] if self.is_hybrid else [self.arn or instance]
            needs += [_needs.REGISTRATION._replace(resource=one) for one in samples]
        grant = "allow_registration=True"
        if self.arn is None and not self.is_hybrid:  # a check says the same about a known node
            grant += (
                "; if the account has Default Host Management Configuration, that may register the "
                "instance instead, and the role's own policies are then not used"
            )
        return Question(
            "register",
            None,
            self._calls(*needs),
            grant,
            (("allow-registration", "true"),),
            is_either=True,
            notes=notes,
            lacks=_LACKS if self.tags is None else _NO_TAGS,
            has=tuple(f"{of}{tag}".lower() for of in simulator.OF_TAGS for tag in self.tags or ()),
        )

    def _logs_in_s3(self, bucket: str) -> Question:
        """Ask about the upload of a log, and about reading the encryption of the bucket."""
        document, found = self.uses.document, self.uses.bucket
        arn = f"arn:{self.role.partition}:s3:::{bucket}"
        prefix = _needs.joined(document.log_prefix or "")
        encryption = _needs.log_encryption(arn)
        objects = _needs.log_objects(arn, prefix, other_account=False)
        log = objects.resource.removesuffix("*") + f"{simulator.SAMPLE_SESSION}.log"
        headers = [ConditionKey("s3:x-amz-acl", "bucket-owner-full-control")]
        if found.algorithm in _needs.ENCRYPTIONS:
            headers.append(ConditionKey(_needs.ENCRYPTION_KEY, found.algorithm))
            # AWS does not document how S3 treats an alias or a key id in this header.
            if found.named_key and ":key/" in found.named_key:
                headers.append(ConditionKey(_needs.ENCRYPTED_WITH, found.named_key))
        owner = "" if found.is_foreign or found.error else self.role.account
        of_owner = (ConditionKey("s3:ResourceAccount", owner),) if owner else ()
        of_bucket = partial(self._calls, region=found.region, owner=owner)
        reads = of_bucket(encryption, own=of_owner)
        apart = of_bucket(objects._replace(resource=log), own=(*headers, *of_owner))
        grant = f'log_bucket=s3.Bucket.from_bucket_name(scope, "LogBucket", {in_python(bucket)})'
        options = {"log-bucket": bucket, "log-prefix": prefix}
        if isinstance(key := found.key, LiveKey):
            own = (*key.context(self.role.account), *self._via_s3(key))
            apart += self._calls(_needs.log_bucket_key(key.arn), own=own)
            grant = (
                'log_bucket=s3.Bucket.from_bucket_attributes(scope, "LogBucket", '
                f"bucket_name={in_python(bucket)}, encryption_key={key.in_python('LogBucketKey')})"
            )
            options["log-bucket-key"] = key.given
        if prefix:
            grant += f", log_prefix={in_python(prefix)}"
        (action,) = encryption.actions
        spared = (action,) if document.enforces_s3_encryption is False else ()
        return Question(
            "log-to-s3",
            f"{arn}/{prefix}".rstrip("/"),
            reads,
            grant,
            tuple((name, value) for name, value in options.items() if value),
            apart=apart,
            notes={action: _ENCRYPTION_NOT_READ[document.enforces_s3_encryption], **_LARGE},
            spared=spared,
            in_doubt=(*spared, *_LARGE),
            of_another_account=found.is_foreign,
            lacks=_LACKS | {"kms:encryptioncontext:aws:ssm:"},  # S3 sends a context of its own
            policies_count=True,
        )

    def _via_s3(self, key: LiveKey) -> Context:
        """Return the condition keys that say that S3 calls AWS KMS for the agent."""
        suffix = self.session.calls.dns_suffix_of(self.role.partition)
        service = f"s3.{key.arn.split(':')[3]}.{suffix}"
        by_service = ConditionKey("aws:ViaAWSService", "true", "boolean")
        return (by_service, _TLS_OF_SERVICE, ConditionKey("kms:ViaService", service))

    def _logs_in_cloudwatch(self, group: str) -> Question:
        """Ask about writing to the log group, and about listing log groups if the agent does so."""
        role, region = self.role, self.session.region
        if region is None:
            raise CannotAsk("--log-group needs a region, and no region is known: give --region")
        groups = f"arn:{role.partition}:logs:{region}:{role.account}:log-group:"
        arn = f"{groups}{group}"
        describes, *_, writes = _needs.log_group(arn)
        stream = f"{arn}:log-stream:{simulator.SAMPLE_SESSION}"
        needs = [writes._replace(actions=_needs.WRITE_LOG, resource=stream)]
        document = self.uses.document
        if (document.enforces_log_group_encryption, document.streams) != (False, False):
            # CloudWatch Logs authorizes the listing of log groups on a log group without a name.
            needs.insert(0, describes._replace(resource=f"{groups}:log-stream:"))
        # A name without a region means the region that the app is deployed in.
        grant = f'log_group=logs.LogGroup.from_log_group_arn(scope, "LogGroup", {in_python(arn)})'
        return Question("log-to-cloudwatch", arn, self._calls(*needs), grant, (("log-group", arn),))
