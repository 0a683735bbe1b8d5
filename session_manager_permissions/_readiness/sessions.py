"""Which services the sessions of an app use, besides those that every session needs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from session_manager_permissions import _needs
from session_manager_permissions._network.ec2 import Service
from session_manager_permissions._network.facts import Fact, Unknown, all_of, any_of

from .marks import ALIAS, KEYS, marked
from .parts import Parts, decider, may_be_one_region
from .templates.functions import UNKNOWN, as_written, is_mapping, mapping
from .templates.loading import as_document
from .templates.model import Resource, ReturnValue, Stack, Template, Value, may_be_equal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .roles import Role, Roles


class _Inputs(NamedTuple):
    """The inputs of a Session document about a service, and the Sid of the service's statement."""

    given: str
    enforced: str
    sid: str


_BUCKET: Final = "AWS::S3::Bucket"
KEY: Final = "kmsKeyId"
"""The input that names the key."""
STREAMS: Final = "cloudWatchStreamingEnabled"
"""The input that says whether the log is streamed."""
_SERVICES: Final = {
    "kms": _Inputs(KEY, "", _needs.decrypt("*", sessions_only=False).sid),
    "s3": _Inputs(
        "s3BucketName", "s3EncryptionEnabled", _needs.log_objects("*", "", other_account=False).sid
    ),
    "logs": _Inputs(
        "cloudWatchLogGroupName", "cloudWatchEncryptionEnabled", _needs.log_group("*")[-1].sid
    ),
}
_SIDS: Final = tuple(one.sid for one in _SERVICES.values())
_NAMES: Final = {
    KEY: ((ALIAS, ""), *((one, "Arn") for one in (ALIAS, *KEYS))),
    "s3BucketName": ((_BUCKET, ""),),
    "cloudWatchLogGroupName": (("AWS::Logs::LogGroup", ""),),
}
"""The types of resource that an input may name, each with the return value that names it."""
_DEFAULT: Final = re.compile(_needs.DEFAULT_DOCUMENT.lower().encode())
_SESSION: Final = "Session"
_SCHEMA: Final = "1.0"
_WITHOUT_INPUTS: Final = "Port"
"""The type of sessions that use neither a key nor logs."""


class ServiceUse(NamedTuple):
    """Whether sessions use a service, and whether they fail without it."""

    used: Fact
    needed: Fact
    """Whether sessions fail without the service. If not, they only lose their logs."""
    streamed: bool = False
    """Whether sessions certainly stream their logs, for which the agent lists the log groups."""


class Document(NamedTuple):
    """A Session document, as the template has it."""

    resource: Resource
    inputs: dict[str, Any] | None
    """The inputs; None if they can't be read."""

    @property
    def key(self) -> tuple[Resource, str]:
        """A key that differs if the same resource has other inputs in another world."""
        return self.resource, json.dumps(as_written(self.inputs))


class Sessions:
    """Tells which services sessions use, in the world that is judged."""

    def __init__(self, parts: Parts, roles: Roles) -> None:
        self._parts = parts
        self._roles = roles
        self._documents = parts.by_type["AWS::SSM::Document"]
        # The account's default document nearly always exists, and these resources may change it.
        self._changing = [
            one
            for one in parts.naming(_DEFAULT)
            if one not in self._documents or one.written.get("DocumentType") != _SESSION
        ]

    def uses(self, stack: Stack, role: Role | None) -> dict[Service, ServiceUse]:
        """Return how sessions on an instance use each service that not every session needs.

        The documents that sessions are started with tell it. If there are none, the Sids of this
        library's statements on the role tell it. They do not tell whether encrypted logs are
        enforced.
        """
        return self._parts.worlds.once(("uses", stack, role), lambda: self._uses(stack, role))

    def _uses(self, stack: Stack, role: Role | None) -> dict[Service, ServiceUse]:
        documents = self.started_with(stack)
        if documents:
            return self._by_documents(documents)
        sids = [] if role is None else self._roles.sids(role, _SIDS)
        found = {}
        for name, one in _SERVICES.items():
            used = any(sid.startswith(one.sid) for sid in sids)
            found[Service(name)] = ServiceUse(used, used and name == "kms")
        return found

    def started_with(self, stack: Stack) -> list[Document]:
        """The documents that a session may be started with.

        If the app has the account's default document, it is the only one, as sessions use it unless
        they name another document.
        """
        default = self.default(stack)
        return [default] if default else self.documents(stack)

    def default(self, stack: Stack) -> Document | None:
        """The account's default document in a stack's region, or a resource that may change it."""
        for changing in self._changing:
            if changing.exists and may_be_one_region(changing.template.stack, stack):
                return Document(changing, None)
        for one in self._in_region(stack):
            if self._is_default(one.resource):
                return one
        return None

    def _is_default(self, document: Resource) -> bool:
        name = document.template.value(document.properties.get("Name"))
        return self._parts.assembly.is_text(name, _needs.DEFAULT_DOCUMENT)

    def documents(self, stack: Stack) -> list[Document]:
        """The Session documents of a stack; if it has none, of its stage, or else of its region."""
        found = self._in_region(stack)
        beside = [one for one in found if one.resource.template.stack.stage == stack.stage]
        return [one for one in beside if one.resource.template.stack == stack] or beside or found

    def _in_region(self, stack: Stack) -> list[Document]:
        """The Session documents of the region of a stack, those of its stage first.

        A default document that may be in another region comes last, and its inputs are not known.
        """
        return self._parts.worlds.once(("documents", stack), lambda: [*self._find_in_region(stack)])

    def _find_in_region(self, stack: Stack) -> Iterator[Document]:
        def distance(one: Resource) -> tuple[bool, ...]:
            there = one.template.stack
            return (
                there.environment != stack.environment,
                there != stack,
                there.stage != stack.stage,
            )

        for resource in sorted(self._documents, key=distance):
            there = resource.template.stack
            is_here = there.environment == stack.environment
            may_be = is_here or (may_be_one_region(there, stack) and self._is_default(resource))
            if not (may_be and resource.exists and self._may_be_session_document(resource)):
                continue
            content = mapping(_content(resource))
            kind = self._parts.text(resource, content.get("sessionType", ""))
            inputs = {} if kind == _WITHOUT_INPUTS else content.get("inputs", {})
            is_read = (
                is_here
                and "schemaVersion" in content
                and UNKNOWN not in kind
                and is_mapping(inputs)
                and self._type(resource) == _SESSION
            )
            yield Document(resource, inputs if is_read else None)

    def _may_be_session_document(self, resource: Resource) -> bool:
        """Whether a document may be a Session document, which has a schema of its own."""
        schema = mapping(_content(resource)).get("schemaVersion", _SCHEMA)
        kind = self._type(resource)
        may_be = kind == UNKNOWN and self._parts.text(resource, schema) in {_SCHEMA, UNKNOWN}
        return kind == _SESSION or may_be

    def _type(self, resource: Resource) -> str:
        return self._parts.text(resource, resource.properties.get("DocumentType", "Command"))

    def _by_documents(self, documents: list[Document]) -> dict[Service, ServiceUse]:
        """How sessions use each service, by the documents that they may be started with."""
        streams = all(self.is_on(one, STREAMS) is True for one in documents)
        several = [
            {self._called(one, name): self._service_use(one, name) for name in _SERVICES}
            for one in documents
        ]
        found, unused = {}, ServiceUse(used=False, needed=False)
        for service in dict.fromkeys(one for uses in several for one in uses):
            each = [uses.get(service, unused) for uses in several]
            used = _agreed([one.used for one in each])
            found[service] = ServiceUse(used, _agreed([one.needed for one in each]), streams)
        return found

    def _called(self, document: Document, name: str) -> Service:
        """The service that sessions with a document call, with its region if that is another."""
        match self.input(document, _SERVICES[name].given):
            case (ReturnValue(bucket),) if name == "s3" and bucket.type == _BUCKET:
                own, there = (one.template.stack.region for one in (document.resource, bucket))
                return Service(name, "" if may_be_equal(own, there) else str(there))
        return Service(name)

    def _service_use(self, document: Document, service: str) -> ServiceUse:
        """Whether the sessions of a document use a service, and whether they need it."""
        doubt = Unknown(f"the Session document {document.resource.logical_id!r}")
        if self._type(document.resource) == UNKNOWN:
            doubt = Unknown(decider(document.resource.properties.get("DocumentType"), "type"))
        if document.inputs is None:
            return ServiceUse(doubt, doubt if service == "kms" else False)
        names = _SERVICES[service]
        value = self.input(document, names.given)
        used: Fact = bool(value)
        if value and not any(isinstance(part, (str, ReturnValue)) for part in value):
            used = doubt
        enforced = not names.enforced or self.is_on(document, names.enforced)
        return ServiceUse(used, all_of([used, enforced]))

    def input(self, document: Document, name: str) -> Value:
        """The value of an input of a document, as `named` returns it; empty if it is not given."""
        written = (document.inputs or {}).get(name)
        return () if written is None else self.named(document.resource.template, written, name)

    def named(self, template: Template, written: object, name: str) -> Value:
        """The value of an expression that names a resource in the way of a document's input.

        If it is the name of a resource of the app, a reference to the resource is returned.
        """
        value = template.value(written)
        match value:
            case (ReturnValue(one, attribute),) if (one.type, attribute) in _NAMES.get(name, ()):
                return (ReturnValue(one),)
        found = [
            one
            for kind, attribute in _NAMES.get(name, ())
            for one in self._parts.by_type[kind]
            if one.exists
            # The names of buckets are unique in all environments.
            and (kind == _BUCKET or one.template.stack.environment == template.stack.environment)
            and marked((ReturnValue(one, attribute),)) == marked(value)
        ]
        own = [one for one in found if one.template.stack == template.stack]
        match own or found:  # stacks with the same name for it are not deployed to the same place
            case [one]:
                return (ReturnValue(one),)
        return value

    def is_on(self, document: Document, name: str) -> Fact:
        """Whether an input of a document is true."""
        written = (document.inputs or {}).get(name)
        noun = f"input {name!r} of the Session document {document.resource.logical_id!r}"
        return self._parts.fact(document.resource, written, noun, default=False)


def _content(document: Resource) -> object:
    return as_document(document.properties.get("Content"))


def _agreed(facts: list[Fact]) -> Fact:
    """Whether all documents that a session may be started with agree on a fact."""
    used = all_of(facts)
    if used is False and any_of(facts) is not False:
        return Unknown("the Session document that a session is started with")
    return used
