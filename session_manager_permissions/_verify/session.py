"""Asks AWS, each question once, whichever thread asks it first."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from .asking import NO_ANSWER, Addressee, CannotAsk, NotReached, answered, asking, read_in, tried
from .text import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

_Found = TypeVar("_Found")
_Described = dict[str, Any]

_RETRIES: Final = {"mode": "standard"}
"""In this mode botocore waits and tries again when AWS throttles, AWS_MAX_ATTEMPTS times."""
_TIMEOUTS: Final[dict[str, Any]] = {"connect_timeout": 5, "read_timeout": 10}
"""How many seconds a service has to accept a connection, and to answer."""
_REPORT_AFTER: Final = 4
"""After how many seconds the command reports that it is waiting."""
_MOST_SIMULATIONS: Final = 4
"""How many requests to IAM's simulator count as calls. IAM may accept only one resource in a
request, so that the same answer needs many requests.
"""
_GLOBAL: Final = ("iam", "organizations", "route53")
"""The services that give the same answers in every region."""


class Calls(Protocol):
    """Makes calls to AWS."""

    def partition_of(self, region: str | None) -> str:
        """Return the partition of a region."""

    def dns_suffix_of(self, partition: str) -> str:
        """Return what the names of its services end in, such as `amazonaws.com`."""

    def pages(
        self, service: str, region: str | None, operation: str, asked: Mapping[str, Any]
    ) -> Iterable[_Described]:
        """Make a call, and return the pages of its answer."""


class Boto:
    """Makes calls by boto3, with a profile and a region, or those of the environment."""

    def __init__(
        self, profile: str | None, region: str | None, *, retries: Mapping[str, object] = _RETRIES
    ) -> None:
        from boto3 import Session as Boto3Session  # noqa: PLC0415 # of an extra
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import get_session  # noqa: PLC0415

        if os.environ.get("AWS_PROFILE") == "":  # botocore looks for a profile with that name
            del os.environ["AWS_PROFILE"]
        # boto3, unlike the other SDKs of AWS, does not read AWS_REGION.
        region = region or os.environ.get("AWS_REGION") or None
        self._core: Any = get_session()
        self._core.register("after-call.s3", _add_bucket_region)
        self._session: Any = Boto3Session(
            botocore_session=self._core, profile_name=profile, region_name=region
        )
        try:
            # Later, the error would look like an answer that is not from AWS.
            self._session.get_credentials()
        except (*NO_ANSWER, json.JSONDecodeError):  # its text may contain the program's output
            raise CannotAsk(
                "no credentials: the credential_process of the profile is empty, or prints none: "
                "run it by itself, and see what it prints"
            ) from None
        self._config = Config(retries={**retries}, user_agent_extra=PROGRAM, **_TIMEOUTS)
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._lock = Lock()
        self.region: str | None = self._session.region_name or None
        """The region, if one is known."""

    def partition_of(self, region: str | None) -> str:
        """Return the partition of a region."""
        return str(self._session.get_partition_for_region(region))

    def dns_suffix_of(self, partition: str) -> str:
        """Return what the names of its services end in, such as `amazonaws.com`."""
        partitions = self._core.get_data("endpoints")["partitions"]
        return str(next(p["dnsSuffix"] for p in partitions if p["partition"] == partition))

    def pages(
        self, service: str, region: str | None, operation: str, asked: Mapping[str, Any]
    ) -> Iterator[_Described]:
        """Make a call, and yield the pages of its answer.

        The answer of S3, or its error, also has `BucketRegion` if the bucket is in another region.
        """
        from botocore import xform_name  # noqa: PLC0415 # of an extra

        client, name = self.client(service, region), xform_name(operation)
        if client.can_paginate(name):
            yield from client.get_paginator(name).paginate(**asked)
            return
        found = getattr(client, name)(**asked)
        yield found
        if more := found.get("NextToken"):  # botocore has no paginator of ListHostedZonesByVPC
            yield from self.pages(service, region, operation, {**asked, "NextToken": more})

    def client(self, service: str, region: str | None) -> Any:  # noqa: ANN401 # as boto3's
        """Return the client of a service in a region, made when it is first used."""
        with self._lock:  # creating a client is not thread-safe, and takes longer than a call
            if (service, region) not in self._clients:
                made = self._session.client(service, region_name=region, config=self._config)
                self._clients[service, region] = made
            return self._clients[service, region]


def _add_bucket_region(parsed: _Described, context: _Described, **_: object) -> None:
    region = context["signing"]["region"]  # that of the last redirect by S3, if any
    if region != context["client_region"]:
        parsed["BucketRegion"] = region


class Waiting:
    """Keeps track of what the program waits for: answers to calls, and credentials."""

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Take the function that is called with the name of each call before it is made."""
        self._tell = tell
        self._since: list[tuple[str, float]] = []

    @contextmanager
    def on(self, call: str) -> Iterator[None]:
        """Note that the program waits for a call while the block runs."""
        self._tell(call)
        entry = call, time.monotonic()
        self._since.append(entry)
        try:
            yield
        finally:
            self._since.remove(entry)

    @contextmanager
    def said(self, say: Callable[[str], None]) -> Iterator[None]:
        """While the block runs, report each service for which the program waits too long."""
        done = Event()
        Thread(target=self._watch, args=(say, done), daemon=True).start()
        try:
            yield
        finally:
            done.set()

    def _watch(self, say: Callable[[str], None], done: Event) -> None:
        """Report each service that takes too long, once, until the wait is over."""
        told: set[str] = set()
        while not done.wait(1):
            for call, since in [*self._since]:
                service = call.partition(":")[0]
                if service not in told and time.monotonic() - since > _REPORT_AFTER:
                    told.add(service)
                    say(f"still waiting for {call}")


@dataclass(eq=False)
class Session:
    """Asks AWS in one region. A session in another region shares the answers."""

    calls: Calls
    region: str | None
    profile: str | None
    """The profile of the AWS configuration that the user named."""
    _waiting: Waiting
    _most: int | None = None
    """The number of questions after which it asks nothing new. Default: - there is none"""
    _lock: Lock = field(default_factory=Lock)
    _answers: dict[Hashable, Future[Any]] = field(default_factory=dict)
    _made: list[str] = field(default_factory=list)
    """The calls that were made."""
    _silent: dict[tuple[str, str | None], CannotAsk] = field(default_factory=dict)
    _turns: dict[Hashable, AbstractContextManager[object]] = field(default_factory=dict)
    """A lock for each call, service and region. Until the first answer, only one thread makes the
    call, as botocore may retry it for long."""

    def anew(self) -> Session:
        """Return a session with the same credentials and region that keeps no answers yet."""
        return Session(self.calls, self.region, self.profile, self._waiting)

    def in_region(self, region: str) -> Session:
        """Return a session with the same credentials in another region."""
        return replace(self, region=region)

    def up_to(self, most: int) -> Session:
        """Return a session that asks nothing new once this many questions have been asked."""
        return replace(self, _most=most)

    @property
    def partition(self) -> str:
        """The partition of the region."""
        return self.calls.partition_of(self.region)

    def ask(
        self,
        call: str,
        read: Callable[[Any], _Found],
        *,
        missing: str = "there is none",
        on: str = "*",
        kept: bool = True,
        **asked: object,
    ) -> _Found:
        """Ask AWS, once for the same parameters, and read the answer, whose pages are joined.

        Args:
            call: the call, as `service:Operation`.
            read: reads the answer, for all who ask the same. If a field is missing, the answer is
                not from AWS.
            missing: what to say if the resource does not exist. Default: - that there is none
            on: what the credentials need the action on. Default: - `*`
            kept: whether to keep the answer, as somebody may ask the same.
            asked: the parameters.

        Raises:
            NotPermitted: the credentials may not make the call.
            NotThere: the resource does not exist.
            CannotAsk: AWS refuses for another reason, or does not answer.
        """
        service = call.partition(":")[0]

        def find() -> _Found:
            self._made.append(call)
            answer = _joined(self.pages(call, missing=missing, on=on, **asked))
            return answered(read_in(service, lambda: read(answer)))

        if not kept:
            return find()
        shared = None if service in _GLOBAL else self.region
        question = call, shared, json.dumps(asked, sort_keys=True)
        if self._most is not None and question not in self._answers:
            simulations = self._made.count("iam:SimulatePrincipalPolicy")
            made = len(self._made) - max(0, simulations - _MOST_SIMULATIONS)
            if made >= self._most:
                raise CannotAsk(f"{call} was not called, as {made} calls were made before it")
        return self.once(question, find)

    def pages(
        self, call: str, *, missing: str = "there is none", on: str = "*", **asked: object
    ) -> Iterator[Any]:
        """Ask AWS, and yield the pages of the answer, which are not kept.

        Raises:
            NotPermitted: the credentials may not make the call.
            NotThere: the resource does not exist.
            CannotAsk: AWS refuses for another reason, or does not answer.
        """
        service, _, operation = call.partition(":")
        place = service, self.region
        addressee = Addressee(*place, on, missing, self.profile)
        found = iter(self.calls.pages(*place, operation, asked))

        def next_page() -> Any:  # noqa: ANN401
            if silent := self._silent.get(place):
                raise silent
            try:
                with asking(addressee):
                    return next(found, None)
            except NotReached as error:  # the next call would be retried for as long
                raise self._silent.setdefault(place, error) from None

        with self._lock:
            turn = self._turns.setdefault((call, place), Lock())
        with self._waiting.on(call):
            with turn:
                try:
                    page = next_page()
                finally:
                    self._turns[call, place] = nullcontext()
            while page is not None:
                yield page
                page = next_page()

    def once(self, key: Hashable, find: Callable[[], _Found]) -> _Found:
        """Return the result of `find`, which the first thread calls, once for each key."""
        with self._lock:
            known = self._answers.get(key)
            answer = self._answers.setdefault(key, Future())
        if known is None:
            try:
                answer.set_result(find())
            except BaseException as error:  # noqa: BLE001 # else other threads wait for ever
                answer.set_exception(error)
        failure = answer.exception()
        if failure is not None:
            raise failure.with_traceback(None)  # else its traceback grows with each raise
        return answer.result()  # type: ignore[no-any-return]

    def tried(self, call: str, read: Callable[[Any], _Found], **more: Any) -> _Found | CannotAsk:  # noqa: ANN401 # as `ask` takes it
        """Ask AWS, and return what it answers, or why it could not be asked."""
        return tried(lambda: self.ask(call, read, **more))

    def listed(self, call: str, name: str, **more: Any) -> list[_Described]:  # noqa: ANN401
        """Ask AWS, and return the list of this name in the answer.

        Raises:
            CannotAsk: AWS could not be asked.
        """
        return self.ask(call, lambda found: [*found[name]], **more)


def _joined(pages: Iterable[_Described]) -> _Described:
    """Join the pages of an answer."""
    whole: _Described = {}
    for page in pages:
        for name, value in page.items():
            more = isinstance(value, list) and name in whole
            whole[name] = whole[name] + value if more else value
    return whole


def aws_session(
    profile: str | None, region: str | None, waiting: Waiting, retries: Mapping[str, Any] = _RETRIES
) -> Session:
    """Return a session that asks AWS by boto3."""
    with waiting.on("credentials"):  # a credential_process may take long
        calls = Boto(profile, region, retries=retries)
    return Session(calls, calls.region, profile, waiting)
