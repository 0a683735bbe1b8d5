"""Clients that ask AWS once for what many nodes have in common: a role, a VPC, a key.

The checks of a node make the same calls as in `verify`. Here a call with the same parameters is
made once, whichever thread makes it, and each further check gets the same answer.
"""

from __future__ import annotations

import json
from concurrent.futures import Future
from threading import Lock
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from session_manager_permissions._verify.asking import CannotAsk, NotThere, asking, tried

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from session_manager_permissions._verify.session import AwsSession

_Parameters = dict[str, Any]
_Page = dict[str, Any]

_TARGET: Final = "kms:EncryptionContext:aws:ssm:TargetId"
_OF_ONE_NODE: Final = ("get_connection_status",)
"""Calls that no two nodes have in common."""
_SEVERAL: Final = ("ActionNames", "ResourceArns")
"""What IAM's simulator is asked about in one request."""
_LARGEST_PAGE: Final = 1000
_TOGETHER: Final = 50
"""How many nodes one request to IAM's simulator names."""


class Answers:
    """The answers to calls, each made once, whichever thread asks first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._answers: dict[tuple[str, ...], Future[Any]] = {}

    def client(self, service: str, region: str | None, make: Callable[[], Any]) -> Any:  # noqa: ANN401
        """Return the client of a service in a region; to make one is not safe in threads."""
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = make()
            return self._clients[service, region]

    def once(self, key: tuple[str, ...], ask: Callable[[], Any]) -> Future[Any]:
        """Return the answer to a call; ask only if nobody has."""
        with self._lock:
            known = self._answers.get(key)
            answer = self._answers.setdefault(key, Future())
        if known is None:
            fill(answer, ask)
        return answer


def fill(answer: Future[Any], ask: Callable[[], Any]) -> Future[Any]:
    """Ask, and keep the answer or the error for whoever wants it."""
    try:
        answer.set_result(ask())
    except BaseException as error:  # noqa: BLE001 # else the others wait for ever
        answer.set_exception(error)
    return answer


class SharingSession:
    """A session in one region, whose clients share their answers.

    It stands in for an `AwsSession` in the checks of a node.
    """

    def __init__(self, session: AwsSession, answers: Answers) -> None:
        self._session = session
        self._answers = answers
        self.region = session.region
        self.partition = session.partition
        self.answers = session.answers
        self.alike = session.alike
        self.unanswered: dict[str, CannotAsk] = {}
        """Why calls were not answered, each reason once."""

    @property
    def bucket_region(self) -> str | None:
        """The region that S3 last said a bucket is in."""
        return self._session.bucket_region

    def share_requests_about(self, arns: Sequence[str]) -> None:
        """Have IAM asked about several of these nodes in one request, as they share a role."""
        for start in range(0, len(arns), _TOGETHER):
            some = tuple(arns[start : start + _TOGETHER])
            self.alike.update(dict.fromkeys(some, some))

    def client(self, service: str, region: str | None = None) -> SharingClient:
        """Return a client of a service, in the region of the session or in another."""
        region = region or self.region
        of = None if service == "iam" else region  # all regions have IAM in common
        client = self._answers.client(service, of, lambda: self._session.client(service, region))
        kind = {"ec2": _SharingEc2, "iam": _SharingIam}.get(service, SharingClient)
        return kind(client, service, of, self._answers, self.unanswered)


class SharingClient:
    """A boto3 client that makes a call with the same parameters once."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401
        service: str,
        region: str | None,
        answers: Answers,
        unanswered: dict[str, CannotAsk],
    ) -> None:
        self.client = client
        """The boto3 client, for what no other node has in common."""
        self.meta = client.meta
        self._service = service
        self._region = region
        self._answers = answers
        self._unanswered = unanswered

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        call = getattr(self.client, operation)
        if operation in _OF_ONE_NODE:
            return lambda **asked: self._result(fill(Future(), lambda: call(**asked)), asked)
        return lambda **asked: self._once(operation, asked, lambda: call(**asked))

    def get_paginator(self, operation: str) -> SimpleNamespace:
        """Return what makes the calls for all pages."""
        return SimpleNamespace(paginate=lambda **asked: self.pages(operation, asked))

    def pages(self, operation: str, asked: _Parameters) -> list[_Page]:
        """Return all pages of the answer to a call."""
        paginator = self.client.get_paginator(operation)
        return self._once(operation, asked, lambda: [*paginator.paginate(**asked)])  # type: ignore[no-any-return]

    def _once(self, operation: str, asked: _Parameters, ask: Callable[[], Any]) -> Any:  # noqa: ANN401
        said = json.dumps(asked, sort_keys=True, default=str)
        key = (self._service, str(self._region), operation, said)
        return self._result(self._answers.once(key, ask), asked)

    def _result(self, answer: Future[Any], asked: _Parameters) -> Any:  # noqa: ANN401
        """Return the answer, and remember why there is none."""
        failure = answer.exception()
        if failure is not None:
            failure.__traceback__ = None  # else it grows with each node
            reason = tried(lambda: self._asking(answer))
            is_answer = isinstance(reason, NotThere)
            # If IAM takes actions and resources only one by one, it is asked again.
            is_of_several = any(len(asked.get(name, ())) > 1 for name in _SEVERAL)
            is_asked_again = is_of_several and "InvalidInput" in str(reason)
            if isinstance(reason, CannotAsk) and not is_answer and not is_asked_again:
                self._unanswered[str(reason)] = reason
        return answer.result()

    def _asking(self, answer: Future[Any]) -> None:
        with asking(self._service, "*", "it does not exist"):
            answer.result()


class _SharingEc2(SharingClient):
    """A client of EC2, which is asked once about all status checks and security groups."""

    def describe_instance_status(self, *, InstanceIds: list[str]) -> _Page:  # noqa: N803 # boto3's
        """Return the status checks of instances."""
        found = self._by_id("describe_instance_status", "InstanceStatuses", "InstanceId")
        return {"InstanceStatuses": [found[name] for name in InstanceIds if name in found]}

    def pages(self, operation: str, asked: _Parameters) -> list[_Page]:
        """Return all pages of the answer to a call."""
        if operation != "describe_security_groups":
            return super().pages(operation, asked)
        (wanted,) = asked["Filters"]
        found = self._by_id(operation, "SecurityGroups", "GroupId")
        if not found.keys() >= {*wanted["Values"]}:  # another account shares it
            return super().pages(operation, asked)
        return [{"SecurityGroups": [found[name] for name in wanted["Values"]]}]

    def _by_id(self, operation: str, result: str, key: str) -> dict[str, Any]:
        """Return all that the region has, by their ids."""
        asked = {"PaginationConfig": {"PageSize": _LARGEST_PAGE}}

        def by_id() -> dict[str, Any]:
            pages = SharingClient.pages(self, operation, asked)
            return {one[key]: one for page in pages for one in page[result]}

        return self._once(f"{operation} by id", {}, by_id)  # type: ignore[no-any-return]


class _SharingIam(SharingClient):
    """A client of IAM, whose simulator is told the node of a session only if a policy asks for it.

    The node's id is in the encryption context of its sessions, and all else is the same for each
    node of a role.
    """

    def pages(self, operation: str, asked: _Parameters) -> list[_Page]:
        """Return all pages of the answer to a call."""
        context = asked.get("ContextEntries", ())
        of_any = [entry for entry in context if entry["ContextKeyName"] != _TARGET]
        if len(of_any) == len(context):
            return super().pages(operation, asked)
        pages = super().pages(operation, asked | {"ContextEntries": of_any})
        return super().pages(operation, asked) if _depends_on_target(pages) else pages


def _depends_on_target(pages: list[_Page]) -> bool:
    """Tell whether a policy has a condition on the node of a session."""
    missing = (
        name
        for page in pages
        for result in page["EvaluationResults"]
        for part in (result, *(result.get("ResourceSpecificResults") or ()))
        for name in part.get("MissingContextValues") or ()
    )
    return any(name.lower() == _TARGET.lower() for name in missing)
