"""The only endpoint of a command under test. It passes each call on, and records it.

EC2 is moto's server, Systems Manager is the account in memory, and all else is MiniStack. What
those do not enforce, the gateway does: who may call EC2 and Systems Manager, by MiniStack's IAM.
Errors have the code and the form that each service documents.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qs, urlsplit

from botocore import xform_name
from botocore.exceptions import ClientError
from serving import serving

if TYPE_CHECKING:
    from .account import Made  # which loads moto

S3_OPERATIONS: Final = {"encryption": "GetBucketEncryption", "policy": "GetBucketPolicy"}
"""The operation by the query of a `GET` on a bucket."""
ACTIONS: Final = {"s3:GetBucketEncryption": "s3:GetEncryptionConfiguration"}
"""The IAM actions whose names differ from those of their API calls."""
_DENIED: Final = {"ec2": "UnauthorizedOperation", "iam": "AccessDenied", "route53": "AccessDenied"}
_SIMULATE: Final = "SimulatePrincipalPolicy"


class Call(NamedTuple):
    """One request, signed by whoever asked."""

    service: str
    region: str
    operation: str

    @property
    def action(self) -> str:
        """The action, as a policy names it."""
        name = f"{self.service}:{self.operation}"
        return ACTIONS.get(name, name)


class Answer(NamedTuple):
    """A response over HTTP."""

    status: int
    body: bytes
    kind: str = "application/x-amz-json-1.1"


_WITHOUT_NAMES: Final = {
    "route53": Answer(
        200,
        b"<ListHostedZonesByVPCResponse><HostedZoneSummaries/><MaxItems>100</MaxItems>"
        b"</ListHostedZonesByVPCResponse>",
        "text/xml",
    ),
    "route53resolver": Answer(
        200, b'{"FirewallRuleGroupAssociations": [], "ResolverRuleAssociations": []}'
    ),
}
"""The answers without hosted zones, DNS firewalls and DNS rules, by service."""


@dataclass
class Gateway:
    """Answers the calls of one command."""

    made: Made | None
    """The account whose Systems Manager answers."""
    ministack: int
    """The port of each server."""
    moto: int
    may_call: Callable[[str], bool] = lambda _: True
    """Whether the credentials may do this action of EC2 or Systems Manager."""
    calls: list[Call] = field(default_factory=list)
    """All calls that were made."""

    def answer(self, call: Call, path: str, body: bytes, request: BaseHTTPRequestHandler) -> Answer:
        """Answer one call, by the server or the world that knows the answer."""
        self.calls.append(call)
        of_names = call.service in {"route53", "route53resolver"}
        enforced_here = of_names or call.service in {"ec2", "ssm"} or call.operation == _SIMULATE
        if enforced_here and not self.may_call(call.action):
            return error_of(call, _DENIED.get(call.service, "AccessDeniedException"), 403, 400)
        if of_names:
            return _WITHOUT_NAMES[call.service]
        if call.service == "ssm":
            return self._of_systems_manager(call, json.loads(body))
        if call.service == "ec2":
            return passed_on(self.moto, path, body, request, {"x-moto-account-id": ACCOUNT})
        if call.operation == _SIMULATE and b"ResourceArns.member.2" in body:
            return error_of(call, "InvalidInput", 400, 400)  # MiniStack looks at the first alone
        return passed_on(self.ministack, path, body, request, {})

    def _of_systems_manager(self, call: Call, asked: dict[str, Any]) -> Answer:
        assert self.made
        try:
            found = self.made.world.call("ssm", xform_name(call.operation), asked)
        except ClientError as error:
            return error_of(call, error.response["Error"]["Code"], 400, 400)
        text = json.dumps(found, default=datetime.timestamp)
        return Answer(200, self.made.renamed(text).encode())


ACCOUNT: Final = "000000000000"
"""MiniStack's."""


def error_of(call: Call, code: str, of_xml: int, of_json: int) -> Answer:
    message = f"{code}: {call.action}"
    if call.service == "ec2":
        error = f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
        return Answer(of_xml, f"<Response>{error}</Response>".encode(), "text/xml")
    if call.service in {"iam", "route53", "sts"}:
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        return Answer(of_xml, f"<ErrorResponse>{error}</ErrorResponse>".encode(), "text/xml")
    return Answer(of_json, json.dumps({"__type": code, "message": message}).encode())


def passed_on(
    port: int, path: str, body: bytes, request: BaseHTTPRequestHandler, headers: Mapping[str, str]
) -> Answer:
    """The answer of the service at this port to the call, which is sent with these headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    dropped = {"connection", "content-length", "expect", "transfer-encoding", *headers}
    kept = {name: of for name, of in request.headers.items() if name.lower() not in dropped}
    try:
        connection.request(request.command, path, body or None, kept | dict(headers))
        response = connection.getresponse()
        kind = response.headers.get("Content-Type", "text/xml")
        return Answer(response.status, response.read(), kind)
    finally:
        connection.close()


class Answers(Protocol):
    """What answers the calls."""

    def answer(self, call: Call, path: str, body: bytes, request: BaseHTTPRequestHandler) -> Answer:
        """Answer one call."""


@contextmanager
def served(gateway: Answers) -> Iterator[str]:
    """Serve on 127.0.0.1 as long as the block lasts; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else the body waits until the headers are acknowledged

        def log_message(self, *_: object) -> None:
            pass

        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = gateway.answer(_call(self, body), self.path, body, self)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 # http.server's

    with serving(Handler) as address:
        yield address


def _call(request: BaseHTTPRequestHandler, body: bytes) -> Call:
    """Read the call. The signature names the service, whose protocol decides where its name is."""
    scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", request.headers["Authorization"])
    assert scope
    region, service = scope.groups()
    target = request.headers.get("X-Amz-Target")
    if target:
        return Call(service, region, target.rpartition(".")[2])
    if service == "s3":
        query = urlsplit(request.path).query.partition("&")[0].rstrip("=")
        found = S3_OPERATIONS.get(query) if request.command == "GET" else None
        return Call(service, region, found or f"{request.command}{query}")
    if service == "route53":  # which has the call in its path
        return Call(service, region, "ListHostedZonesByVPC")
    (operation,) = parse_qs(body.decode())["Action"]
    return Call(service, region, operation)
