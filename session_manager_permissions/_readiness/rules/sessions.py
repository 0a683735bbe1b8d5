"""The rules about the Session documents of the app, and about the permissions that they need."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._evaluation import Answer, Decision
from session_manager_permissions._network.facts import Fact, Unknown, all_of
from session_manager_permissions._network.model import CalledOn
from session_manager_permissions._network.verdicts import in_words
from session_manager_permissions._patterns import ARN_PART
from session_manager_permissions._readiness.asked import Asked
from session_manager_permissions._readiness.decisions import Ability, Decisions
from session_manager_permissions._readiness.marks import ALIAS, KEYS, marked
from session_manager_permissions._readiness.own_policies import OwnPolicies
from session_manager_permissions._readiness.parts import Parts, decider
from session_manager_permissions._readiness.policies import DECRYPT, ENCRYPT_LOG
from session_manager_permissions._readiness.sessions import KEY, STREAMS, Document, Sessions
from session_manager_permissions._readiness.templates import functions
from session_manager_permissions._readiness.templates.model import (
    Resource,
    ReturnValue,
    Unresolved,
    merged,
    reference_to,
)
from session_manager_permissions._readiness.templates.texts import as_text

from .remedies import Advice, Allow, Fix, Set, leave_out
from .rule import Finding, Told, allows_of, not_ready, warning
from .statements import BUCKET_KEY, Option, Options
from .writer import role_behind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from session_manager_permissions._readiness.roles import Role
    from session_manager_permissions._readiness.templates.model import Stack, Value

SESSION_DENIED: Final = not_ready(
    "session-denied",
    "a Session document with which no session opens: a role of the app is not allowed to use the "
    "document's key or enforced logs, the key can't encrypt sessions, the document enforces "
    "encrypted logs and its log group has no key, `cloudWatchStreamingEnabled` is not a boolean, "
    "or sessions run as `root`; the profile is not ready only if the document is the account's "
    "default, `SSM-SessionManagerRunShell`",
    "the Session document",
)
LOG_LOST: Final = warning(
    "log-lost",
    "session logs that are lost, because the role is not allowed to write them, or the network "
    "has no path to the service",
    "the Session document or the compute",
)
RULES: Final = (SESSION_DENIED, LOG_LOST)

_INPUTS: Final = "Properties.Content"
_TEXTS: Final = ("Ref", "Fn::FindInMap", "Fn::GetAtt", "Fn::ImportValue", "Fn::Join", "Fn::Sub")
"""Intrinsic functions that return a string and, unlike `Fn::If`, never a boolean."""
(_ENCRYPTION,) = _needs.log_encryption().actions
_ALLOWED: Final = Decision[Any](Answer.ALLOWED)
_NOUNS: Final = {"kms": "key", "logs": "log group", "s3": "bucket"}
_IN_TWO_LAYERS: Final = "aws:kms:dsse"
"""The encryption of buckets that older agents do not recognize as encryption."""
_NEEDED: Final = {"Enabled": "true", "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT"}
"""The properties that a key needs to encrypt sessions. Each value is also the default."""
_ORIGIN_KMS: Final = "AWS_KMS"
"""The `Origin` of a key whose key material AWS KMS makes."""
_AWS_MANAGED_ALIAS: Final = re.compile(f"(^|:){_needs.AWS_MANAGED_ALIAS}")
"""Matches the alias of an AWS managed key, alone or in an ARN."""


class AgentCall(NamedTuple):
    """A call that the agent makes for a session with a document."""

    action: str
    on: Value
    options: Options
    """The options of `SessionManagerPermissions` that allow it; none where they are not known."""
    ends: Fact
    """Whether the session is refused if the call is denied; if not, only its log is lost."""
    resource: Resource | None = None
    """The key or the bucket whose own policy may allow the call."""
    encryption: str | None = None
    """The encryption that an upload requests from Amazon S3; None if it is not known."""
    reads: AgentCall | None = None
    """The call that reads how the bucket is encrypted; if it is denied, uploads request none."""

    @property
    def called_on(self) -> CalledOn:
        """Its resource, with the account of the stack that makes it."""
        template = self.resource and self.resource.template
        owner = marked(template.value({"Ref": "AWS::AccountId"})) if template else None
        return CalledOn(self.action, marked(self.on), owner)


class SessionRules:
    """Judges the Session documents of the app by the roles of its instances."""

    def __init__(self, parts: Parts, decisions: Decisions, sessions: Sessions) -> None:
        self.parts = parts
        self.decisions = decisions
        self._sessions = sessions
        self._own = OwnPolicies(parts, decisions)

    def of_role(self, role: Role, where: Resource) -> Iterator[Told]:
        """Find why sessions that name no document are refused on instances with a role.

        `of_default_calls` finds the calls that the role is not allowed.

        Args:
            role: the role.
            where: its profile; in another region, the resource that launches the instances.
        """
        document = self._sessions.default(where.template.stack)
        if document is None:
            return
        if document.inputs is None:
            yield f"the session preferences, which {document.resource.logical_id!r} may change"
        yield from self._faults(document)
        for call in self._calls(document):
            answer = self._answer(role, call) if call.ends else Answer.ALLOWED
            if isinstance(call.ends, Unknown) and answer is not Answer.ALLOWED:
                yield call.ends.decides
            elif answer is Answer.UNKNOWN:
                name = document.resource.logical_id
                yield f"whether the role may call {call.action}, which {name!r} requires"

    def of_default_calls(self, role: Role, where: Resource) -> Iterator[Finding]:
        """Find calls that the role is not allowed, for sessions that name no document."""
        if self._sessions.default(where.template.stack):
            yield from (one for one in self.of_calls(role, where) if one.rule == SESSION_DENIED)

    def of_documents(self, where: Resource) -> Iterator[Finding]:
        """Find why sessions are refused on instances, whatever their role."""
        for document in self._sessions.documents(where.template.stack):
            yield from (one for one in self._faults(document) if isinstance(one, Finding))

    def of_calls(self, role: Role, where: Resource) -> Iterator[Finding]:
        """Find calls that a role is not allowed, so that sessions are refused or logs are lost.

        An operator may start a session with any of the documents, so one that works is enough.
        """
        documents = self._sessions.started_with(where.template.stack)
        denied = [(one, self.denied(role, one)) for one in documents]
        for ends in (True, False):
            those = [(one, [call for call in calls if call.ends is ends]) for one, calls in denied]
            if those and all(calls for _, calls in those):
                yield from (self._about_denied(role, one, calls, ends=ends) for one, calls in those)
                return  # a session that is refused has no log

    def _about_denied(
        self, role: Role, document: Document, calls: list[AgentCall], *, ends: bool
    ) -> Finding:
        where = document.resource
        sessions = f"sessions with the Session document {where.logical_id!r} on instances of the "
        sessions += f"role {role.name!r}"
        actions = ", ".join(dict.fromkeys(call.action for call in calls))
        what = f"{sessions} are refused" if ends else f"the logs of {sessions} are lost"
        why = f"{what}: the role is not allowed to call {actions}"
        of_all = self.fix(role, document, self.denied(role, document))
        fix = of_all if isinstance(of_all, Allow) else self.fix(role, document, calls)
        return (SESSION_DENIED if ends else LOG_LOST).found(where, _INPUTS, why, fix)

    def lacking(self, role: Role, profile: Resource) -> Allow:
        """Return the fix that lets the role of a profile use one of the documents.

        The fix is empty if the role may already use one. The account's default document has a
        finding of its own.
        """
        is_default = self._sessions.default(profile.template.stack)
        found = [] if is_default else self.of_calls(role, profile)
        return next(iter(allows_of(found)), Allow(role.resource))

    def resources(self, stack: Stack) -> tuple[CalledOn, ...]:
        """Return the resources of the agent's calls, as far as all documents agree on them."""
        documents = self._sessions.started_with(stack)
        found = {one.called_on for each in documents for one in self._calls(each)}
        several = Counter(one.action for one in found)
        return tuple(sorted(one for one in found if several[one.action] == 1))

    def of_new_role(self, stack: Stack) -> Options:
        """Return the options that let a new role of a stack use one of the documents.

        It is the document that needs the fewest options.
        """
        return min(map(self.options, self._sessions.started_with(stack)), key=len, default=())

    def options(self, document: Document) -> Options:
        """Return the options that allow all calls for a document."""
        options = (option for call in self._calls(document) for option in call.options)
        return (*dict.fromkeys(options),)

    def fix(self, role: Role, document: Document, calls: list[AgentCall]) -> Fix:
        """Return the fix that allows a role the calls for a document."""
        whose, deny = role_behind(role.resource), Answer.EXPLICIT_DENY
        if by_deny := [one for one in calls if self._answer(role, one) is deny]:
            owners = dict.fromkeys(self._closed_by(role, one) for one in by_deny)
            of = ", ".join(repr(one) for one in owners if one)
            return leave_out([one.action for one in by_deny], role.resource, of=of)
        by_boundary, lacking = list[str](), list[AgentCall]()
        for call in calls:
            ability = self.decisions.ability(role, self._question(role, call))
            if ability.boundary.answer is not Answer.ALLOWED:
                by_boundary.append(call.action)
            if ability.identity.answer is not Answer.ALLOWED:
                lacking.append(call)
            if owner := self._closed_by(role, call):
                said = f"in the policy of {owner!r}, enable IAM policies of the role's account"
                if ability.decision.answer is not Answer.ALLOWED:
                    said += f", and allow {whose} to call {call.action} in an IAM policy"
                return Advice(said)
        if not all(call.options for call in lacking):
            actions = in_words([*dict.fromkeys(call.action for call in lacking)])
            where = ", and in its permissions boundary" if by_boundary else ""
            noun = _NOUNS[lacking[0].action.partition(":")[0]]
            name = document.resource.logical_id
            return Advice(f"allow {whose} to call {actions} on the {noun} of {name!r}{where}")
        options = dict.fromkeys(one for call in lacking for one in call.options)
        return Allow(role.resource, (), (*options,), (*dict.fromkeys(by_boundary),))

    def _closed_by(self, role: Role, call: AgentCall) -> str:
        """Name the key or bucket whose own policy denies a call, whatever IAM policies allow."""
        if call.resource is None:
            return ""
        allowed = Ability(_ALLOWED, _ALLOWED, _ALLOWED)
        answer = self._own.answer(call.resource, role, self._question(role, call), allowed)
        return "" if answer < Answer.IMPLICIT_DENY else call.resource.logical_id

    def denied(self, role: Role, document: Document) -> list[AgentCall]:
        """Return the calls that a role is not allowed; first those without which sessions fail."""
        calls = (one for one in self._calls(document) if not isinstance(one.ends, Unknown))
        denied = [one for one in calls if self._answer(role, one) >= Answer.IMPLICIT_DENY]
        causes = dict.fromkeys(self._cause(role, one) for one in denied)
        return sorted(causes, key=lambda one: not one.ends)

    def _cause(self, role: Role, call: AgentCall) -> AgentCall:
        """Return the cause of a denied call: the call itself, or another denied call.

        An upload may be denied only because it has no encryption header. Then the cause is the call
        that reads how the bucket is encrypted.
        """
        asks_for_encryption = call._replace(reads=None)
        if call.reads and self._answer(role, asks_for_encryption) is Answer.ALLOWED:
            return call.reads
        return call

    def _question(self, role: Role, call: AgentCall) -> Asked:
        """Return the question about a call. The encryption of an upload depends on the role."""
        encryption = call.encryption
        if call.reads:
            answer = self._answer(role, call.reads)
            encryption = {Answer.ALLOWED: encryption, Answer.UNKNOWN: None}.get(answer, "")
        return Asked((call.action,), call.on, encryption)

    def _answer(self, role: Role, call: AgentCall) -> Answer:
        return self.parts.worlds.once(("answer", role, call), lambda: self._decide(role, call))

    def _decide(self, role: Role, call: AgentCall) -> Answer:
        asked = self._question(role, call)
        ability = self.decisions.ability(role, asked)
        by_iam = ability.decision.answer
        if call.action.startswith("logs:"):
            return by_iam
        if call.resource is None:  # the policy of the key or the bucket is not in the app
            own, other = role.resource.template.stack.account, _in_arn(call.on, 4)
            if own and other and own != other:  # both accounts have to allow it
                return max(by_iam, Answer.UNKNOWN)
            return by_iam if by_iam is Answer.EXPLICIT_DENY else min(by_iam, Answer.UNKNOWN)
        return self._own.answer(call.resource, role, asked, ability)

    def _faults(self, document: Document) -> list[Told]:
        """Return why sessions with a document are refused, whatever the role may do."""
        return self.parts.worlds.once(("faults", document.key), lambda: [*self._found_in(document)])

    def _found_in(self, document: Document) -> Iterator[Told]:
        read, is_on = self._sessions.input, self._sessions.is_on
        user, is_text = read(document, "runAsDefaultUser"), self.parts.assembly.is_text
        if is_on(document, "runAsEnabled") and is_text(user, "ssm-user"):
            yield "whether the user 'ssm-user' exists, which the agent does not make for Run As"
        if is_text(user, "root"):
            why = "they run as 'root', which Session Manager does not allow"
            fix = "set runAsDefaultUser to a user who may use sudo"
            yield from _refused_if(is_on(document, "runAsEnabled"), document, why, fix)
        streams = functions.mapping(document.inputs).get(STREAMS)
        if type(streams) in (str, int, float) or functions.intrinsic(streams)[0] in _TEXTS:
            why = f"the agent drops each session, as {STREAMS} is not a boolean"
            fix = f"set {STREAMS} to true or false, without quotation marks, or to Fn::If of both"
            yield _refused(document, why, fix)
        key = self._key(read(document, KEY))
        if key is not None:
            yield from self._faults_of_key(document, key)
        if _AWS_MANAGED_ALIAS.search(as_text(read(document, KEY))):
            why = "their key is an AWS managed key, which only its own service may use"
            yield _refused(document, why, "name a customer managed key")
        yield from _faults_of_region(document, read(document, KEY))
        yield from self._faults_of_group(document)
        named = read(document, "s3BucketName")
        bucket = reference_to(named, "AWS::S3::Bucket")
        enforced = is_on(document, "s3EncryptionEnabled")
        if enforced and as_text(named).startswith("arn:"):
            yield f"whether S3 accepts an ARN as the bucket of {document.resource.logical_id!r}"
        if bucket and enforced:
            algorithm = bucket.template.value(_encryption(bucket).get("SSEAlgorithm"))
            if is_text(algorithm, _IN_TWO_LAYERS):
                yield f"whether the agent accepts {_IN_TWO_LAYERS} of {bucket.logical_id!r}"

    def _faults_of_group(self, document: Document) -> Iterator[Told]:
        name = self._sessions.input(document, "cloudWatchLogGroupName")
        enforced = self._sessions.is_on(document, "cloudWatchEncryptionEnabled")
        group = _own_group(document, name)
        if group is None and name and enforced:
            written = functions.mapping(document.inputs).get("cloudWatchLogGroupName")
            yield f"whether the log group {functions.quoted(written)} has a key"
        elif group is not None and "KmsKeyId" not in group.properties:
            why = f"they enforce encrypted logs, and the log group {group.logical_id!r} has no key"
            fix = Advice(f"give the log group {group.logical_id!r} a KMS key")
            lacks_key = all_of([enforced, self.parts.changed(group) or True])
            yield from _refused_if(lacks_key, document, why, fix)

    def _faults_of_key(self, document: Document, key: Resource) -> Iterator[Told]:
        if self.parts.text(key, key.properties.get("Origin", _ORIGIN_KMS)) != _ORIGIN_KMS:
            yield f"whether key material has been imported into the key {key.logical_id!r}"
        for name, needed in _NEEDED.items():
            written = key.properties.get(name, needed)
            known = self.parts.text(key, written)
            if functions.UNKNOWN in known:
                yield decider(written, f"{name} of the key {key.logical_id!r}")
            elif known.lower() != needed.lower():
                why = f"{name} of their key {key.logical_id!r} is {known}, and must be {needed}"
                another = "name a symmetric key that encrypts and decrypts"
                enable = Set(key, name, value=True)
                yield _refused(document, why, enable if name == "Enabled" else another)

    def _calls(self, document: Document) -> list[AgentCall]:
        return self.parts.worlds.once(("calls", document.key), lambda: [*self._calls_of(document)])

    def _calls_of(self, document: Document) -> Iterator[AgentCall]:
        read, is_on = self._sessions.input, self._sessions.is_on
        named = self._behind_alias(read(document, KEY))
        key, own = reference_to(named, *KEYS), document.resource.template.stack
        if key is not None and key.template.stack.region == own.region:
            options: Options = (Option("encryption_key", key),)
            arn: Value = (ReturnValue(key, "Arn"),)
            yield AgentCall(DECRYPT, arn, options, ends=True, resource=key)
        elif named:
            yield AgentCall(DECRYPT, _arn_of_key(document, named), (), ends=True)
        yield from self._calls_to_bucket(document)
        if name := read(document, "cloudWatchLogGroupName"):
            options = _log_group(document, name)
            value = document.resource.template.value
            groups = value({"Fn::Sub": "arn::logs:${AWS::Region}:${AWS::AccountId}:log-group:"})
            each = merged((*groups, ":log-stream:"))
            enforced = is_on(document, "cloudWatchEncryptionEnabled")
            if enforced:
                yield AgentCall("logs:DescribeLogGroups", each, options, ends=enforced)
            if enforced is not True and is_on(document, STREAMS) is True:
                yield AgentCall("logs:DescribeLogGroups", each, options, ends=False)
            stream = merged((*groups, *name, f":log-stream:{ARN_PART}"))
            for action in _needs.WRITE_LOG:
                yield AgentCall(action, stream, options, ends=False)

    def _calls_to_bucket(self, document: Document) -> Iterator[AgentCall]:
        read = self._sessions.input
        name, prefix = read(document, "s3BucketName"), read(document, "s3KeyPrefix")
        enforced = self._sessions.is_on(document, "s3EncryptionEnabled")
        bucket = reference_to(name, "AWS::S3::Bucket")
        if bucket is None:
            if name and enforced and not as_text(name).startswith("arn:"):
                yield AgentCall(_ENCRYPTION, merged(("arn:aws:s3:::", *name)), (), ends=enforced)
            return
        arn: Value = (ReturnValue(bucket, "Arn"),)
        options: Options = (Option("log_bucket", bucket),)
        match prefix:
            case (str(known),) if known:
                options = (*options, Option("log_prefix", known))
        written = _encryption(bucket).get("KMSMasterKeyID")
        key = self._key(self._sessions.named(bucket.template, written, KEY))
        if key is not None:
            options = (*options, Option(BUCKET_KEY, key))
            of_key: Value = (ReturnValue(key, "Arn"),)
            yield AgentCall(ENCRYPT_LOG, of_key, options, ends=False, resource=key)
        reads = AgentCall(_ENCRYPTION, arn, options, ends=False, resource=bucket)
        if enforced:
            yield reads._replace(ends=enforced)
        named = merged((*arn, "/", *prefix, f"/{ARN_PART}.log"))
        # The agent joins the parts with one slash between them.
        log = tuple(re.sub("/+", "/", one) if isinstance(one, str) else one for one in named)
        algorithm = self.parts.text(bucket, _encryption(bucket).get("SSEAlgorithm", "AES256"))
        encryption = algorithm if algorithm in _needs.ENCRYPTIONS else None
        uploads = AgentCall("s3:PutObject", log, options, ends=False, resource=bucket)
        yield uploads._replace(encryption=encryption, reads=reads)

    def _key(self, value: Value) -> Resource | None:
        """Return the key of the app that an input names, directly or by an alias."""
        return reference_to(self._behind_alias(value), *KEYS)

    def _behind_alias(self, value: Value) -> Value:
        """Return the target key of an alias of the app; return any other value as it is."""
        alias = reference_to(value, ALIAS)
        if alias is None:
            return value
        return self._sessions.named(alias.template, alias.properties.get("TargetKeyId"), KEY)


def _arn_of_key(document: Document, named: Value) -> Value:
    """Return the ARN of the key that an input names, as IAM identifies a key by its ARN.

    A key id means a key in the account and the region of the document. The ARN of an alias does not
    contain the id of its key.
    """
    template, of_account = document.resource.template, "arn::kms:${AWS::Region}:${AWS::AccountId}"
    match named:
        case (str(known), *rest) if known.startswith(_needs.ALIAS) or not (rest or "arn:" in known):
            of_it = template.value({"Fn::Sub": f"{of_account}:{_needs.key_in_arn(known)}"})
            named = merged((*of_it, *rest))
    for number, part in enumerate(named):
        if isinstance(part, str) and f":{_needs.ALIAS}" in part:
            before = part.partition(_needs.ALIAS)[0]
            return merged((*named[:number], f"{before}key/", Unresolved(template, named)))
    return named


def _encryption(bucket: Resource) -> dict[str, Any]:
    """Return the default encryption of a bucket."""
    of_bucket = functions.mapping(bucket.properties.get("BucketEncryption"))
    rule = next(iter(functions.listed(of_bucket.get("ServerSideEncryptionConfiguration"))), None)
    return functions.mapping(functions.mapping(rule).get("ServerSideEncryptionByDefault"))


def _in_arn(value: Value, place: int) -> str:
    """Return a part of an ARN; an empty text if the value is not an ARN."""
    match value:
        case (str(arn), *_) if re.match("arn(:[^:]*){5}", arn):
            return arn.split(":")[place]
    return ""


def _faults_of_region(document: Document, named: Value) -> Iterator[Told]:
    own, of_key, is_shared = document.resource.template.stack.region, _in_arn(named, 3), False
    match named:
        case (ReturnValue(key, _),) if key.type in (*KEYS, ALIAS):
            of_key = key.template.stack.region or ""
            # A multi-Region key has replicas with its id, and any key may have the same alias.
            is_shared = key.type != KEYS[0] or key.properties.get("MultiRegion", False) is not False
    if own and of_key and own != of_key:
        why = f"their key is of {of_key}, and instances of {own} can't use it"
        refused = _refused(document, why, "name a key of the region of the instances")
        is_there = f"whether {own} has the key that {document.resource.logical_id!r} names"
        yield is_there if is_shared else refused


def _own_group(document: Document, name: Value) -> Resource | None:
    """Return the log group that an input names. The agent looks for it in its own region."""
    group = reference_to(name, "AWS::Logs::LogGroup")
    own = document.resource.template.stack.environment
    return group if group and group.template.stack.environment == own else None


def _log_group(document: Document, name: Value) -> Options:
    match _own_group(document, name), name:
        case (Resource() as group, _) | (None, (str(group),)):
            return (Option("log_group", group),)
    return ()


def _refused_if(fact: Fact, document: Document, why: str, fix: Fix | str) -> Iterator[Told]:
    if isinstance(fact, Unknown):
        yield fact.decides
    elif fact:
        yield _refused(document, why, fix)


def _refused(document: Document, why: str, fix: Fix | str) -> Finding:
    name = document.resource.logical_id
    said = f"sessions with the Session document {name!r} are refused: {why}"
    fix = Advice(f"in {name!r}, {fix}") if isinstance(fix, str) else fix
    return SESSION_DENIED.found(document.resource, _INPUTS, said, fix)
