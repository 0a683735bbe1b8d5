"""The account of `accounts.py` behind the protocols of AWS, with its limits and its latency."""

import json
import time
from collections import Counter
from collections.abc import Collection
from functools import cache
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, quote

from botocore.exceptions import ClientError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.datastructures import MultiDict

from tests.deploy.gateway import Answer, Call, error_of

from .accounts import Account

_KINDS: Final = {"ec2": "text/xml", "iam": "text/xml", "sts": "text/xml"}


class Limit(NamedTuple):
    """A token bucket: how many calls it accepts at once, and how many more each second."""

    burst: float
    rate: float


class Served:
    """Answers calls over HTTP; `tests.deploy.gateway.served` serves it."""

    def __init__(
        self,
        account: Account,
        limits: dict[str, Limit] | None = None,
        latency: float = 0,
        refused_first: Collection[str] = (),
    ) -> None:
        """Take the account, and the limit of each service.

        A service has a bucket for each of its calls in each region. The first of the calls that are
        `refused_first` is throttled whatever the limit is.
        """
        self._refused_first = {*refused_first}
        self._account = account
        self._limits = limits or {}
        self._latency = latency
        self._buckets: dict[Call, tuple[float, float]] = {}
        self._lock = Lock()
        self.calls: Counter[str] = Counter()
        """How often each call was answered."""
        self.throttled: Counter[str] = Counter()

    def answer(
        self,
        call: Call,
        path: str,
        body: bytes,
        request: BaseHTTPRequestHandler,  # noqa: ARG002 # the server gives it
    ) -> Answer:
        """Answer one call."""
        if self._latency:
            time.sleep(self._latency)
        name = f"{call.service}:{call.operation}"
        if name in self._refused_first or not self._takes(call):
            self._refused_first.discard(name)
            self.throttled[name] += 1
            code = "RequestLimitExceeded" if call.service == "ec2" else "ThrottlingException"
            return error_of(call, "Throttling" if call.service == "iam" else code, 503, 400)
        with self._lock:
            self.calls[name] += 1
        model = _model(call.service).operation_model(call.operation)
        protocol = "ec2" if call.service == "ec2" else model.service_model.protocol
        values = MultiDict({key: found[0] for key, found in parse_qs(body.decode()).items()})
        parts: Any = {"body": body, "values": values, "headers": {}, "url_path": path}
        of_path = call.service == "route53"
        asked = {} if of_path else PROTOCOL_PARSERS[protocol](model).parse(parts)
        try:
            found = self._account.answer(call.service, call.region, call.operation, asked)
        except ClientError as error:
            return error_of(call, error.response["Error"]["Code"], 400, 400)
        if call.service == "iam":
            found = _quoted(found)
        response = get_serializer_class(call.service, protocol)(model).serialize(found)
        text = response["body"]
        return Answer(
            200,
            text.encode() if isinstance(text, str) else text,
            _KINDS.get(call.service, "application/x-amz-json-1.1"),
        )

    def _takes(self, call: Call) -> bool:
        limit = self._limits.get(call.service)
        if limit is None:
            return True
        now = time.monotonic()
        with self._lock:
            tokens, then = self._buckets.get(call, (limit.burst, now))
            tokens = min(limit.burst, tokens + (now - then) * limit.rate)
            self._buckets[call] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1


@cache
def _model(service: str) -> Any:  # noqa: ANN401 # moto's
    return get_service_model(service)


def _quoted(found: Any) -> Any:  # noqa: ANN401
    """The answer, with each policy as IAM returns it: as URL-encoded JSON."""
    if isinstance(found, dict):
        return {
            key: quote(json.dumps(value)) if key.endswith("PolicyDocument") else _quoted(value)
            for key, value in found.items()
        }
    return [*map(_quoted, found)] if isinstance(found, list) else found
