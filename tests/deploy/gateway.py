"""The one endpoint that a command under test asks, which passes each call on and keeps a record.

EC2 is moto's server, Systems Manager is the account in memory, and all else is MiniStack. What
those do not enforce, the gateway does: who may call EC2 and Systems Manager (by MiniStack's IAM),
and throttling. Errors have the code and the form that each service documents.
"""

from __future__ import annotations

import http.client
import json
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from botocore import xform_name
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .account import Made

S3_OPERATIONS: Final = {"encryption": "GetBucketEncryption", "policy": "GetBucketPolicy"}
"""By the query of a `GET` on a bucket."""
ACTIONS: Final = {"s3:GetBucketEncryption": "s3:GetEncryptionConfiguration"}
"""Where an action in IAM is not named as the call is."""
_THROTTLED: Final = {"ec2": "RequestLimitExceeded", "iam": "Throttling", "s3": "SlowDown"}
_DENIED: Final = {"ec2": "UnauthorizedOperation", "iam": "AccessDenied", "route53": "AccessDenied"}
_SIMULATE: Final = "SimulatePrincipalPolicy"
_RESOURCES: Final = "ResourceArns.member."
_LISTS: Final = {
    "DescribeInstanceStatus": "instanceStatusSet",
    "DescribeNatGateways": "natGatewaySet",
    "DescribeNetworkAcls": "networkAclSet",
    "DescribeRouteTables": "routeTableSet",
    "DescribeSecurityGroups": "securityGroupInfo",
    "DescribeSubnets": "subnetSet",
    "DescribeVpcEndpoints": "vpcEndpointSet",
}
"""The list in the answer of each call of EC2 that has pages."""


class Call(NamedTuple):
    """One request, signed by whoever asked."""

    service: str
    region: str
    operation: str

    @property
    def action(self) -> str:
        """As a policy names it."""
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
    "route53resolver": Answer(200, b'{"FirewallRuleGroupAssociations": []}'),
}
"""No hosted zone and no DNS firewall, by the service that is asked."""


@dataclass
class Gateway:
    """What one command is answered."""

    made: Made | None
    """The account whose Systems Manager answers."""
    ministack: int
    """The port of each server."""
    moto: int
    may_call: Callable[[str], bool] = lambda _: True
    """Whether the credentials may do this action of EC2 or Systems Manager."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """The code of the error that each of these actions is answered with."""
    throttles: int = 0
    """How often each call is told to come again."""
    pages: bool = False
    """Whether the first page of each list is empty, which AWS allows itself."""
    calls: list[Call] = field(default_factory=list)
    """All that was asked, throttled calls included."""
    questions: list[tuple[Call, str, bytes]] = field(default_factory=list)
    """What was asked, without what was throttled and without the next pages of an answer."""
    seen: Counter[Call] = field(default_factory=Counter)

    def answer(  # noqa: PLR0911 # one for each who knows
        self, call: Call, path: str, body: bytes, request: BaseHTTPRequestHandler
    ) -> Answer:
        """Answer one call, by whoever knows."""
        self.calls.append(call)
        self.seen[call] += 1
        if self.seen[call] <= self.throttles:
            return error_of(call, _THROTTLED.get(call.service, "ThrottlingException"), 503, 400)
        if b"nexttoken" not in body.lower():
            self.questions.append((call, path, body))
        if call.action in self.errors:
            return error_of(call, self.errors[call.action], 500, 500)
        of_names = call.service in {"route53", "route53resolver"}
        enforced_here = of_names or call.service in {"ec2", "ssm"} or call.operation == _SIMULATE
        if enforced_here and not self.may_call(call.action):
            return error_of(call, _DENIED.get(call.service, "AccessDeniedException"), 403, 400)
        if of_names:
            return _WITHOUT_NAMES[call.service]
        if call.service == "ssm":
            return self._of_systems_manager(call, json.loads(body))
        if call.service == "ec2":
            return self._of_moto(call, path, body, request)
        by = self._of_simulator if call.operation == _SIMULATE else self._of_ministack
        return by(call, path, body, request)

    def _of_systems_manager(self, call: Call, asked: dict[str, Any]) -> Answer:
        first = call.operation == "DescribeInstanceInformation" and "NextToken" not in asked
        if self.pages and first:
            empty = {"InstanceInformationList": [], "NextToken": "0"}
            return Answer(200, json.dumps(empty).encode())
        assert self.made
        try:
            found = self.made.world.call("ssm", xform_name(call.operation), asked)
        except ClientError as error:
            return error_of(call, error.response["Error"]["Code"], 400, 400)
        text = json.dumps(found, default=datetime.timestamp)
        return Answer(200, self.made.renamed(text).encode())

    def _of_moto(
        self, call: Call, path: str, body: bytes, request: BaseHTTPRequestHandler
    ) -> Answer:
        kind = "text/xml;charset=UTF-8"
        if self.pages and call.operation in _LISTS and b"NextToken=" not in body:
            found = f"<{_LISTS[call.operation]}/><nextToken>second</nextToken>"
            name = f"{call.operation}Response"
            return Answer(200, f"<{name}>{found}</{name}>".encode(), kind)
        body = body.replace(b"&NextToken=second", b"")
        return passed_on(self.moto, path, body, request, {"x-moto-account-id": ACCOUNT})

    def _of_simulator(
        self, call: Call, path: str, body: bytes, request: BaseHTTPRequestHandler
    ) -> Answer:
        """Answer about each resource, as IAM documents it; MiniStack looks at the first alone."""
        asked = dict(parse_qsl(body.decode()))
        resources = [value for name, value in asked.items() if name.startswith(_RESOURCES)]
        rest = {name: value for name, value in asked.items() if not name.startswith(_RESOURCES)}
        by_action: dict[str, str] = {}
        for resource in resources if resources[1:] else ():
            one = urlencode(rest | {f"{_RESOURCES}1": resource}).encode()
            answer = self._of_ministack(call, path, one, request)
            for action, decision in re.findall(
                r"<EvalActionName>(.*?)</EvalActionName>.*?<EvalDecision>(.*?)</EvalDecision>",
                answer.body.decode(),
                re.DOTALL,
            ):
                by_action[action] = by_action.get(action, "") + (
                    f"<member><EvalResourceName>{resource}</EvalResourceName>"
                    f"<EvalResourceDecision>{decision}</EvalResourceDecision></member>"
                )
        if not by_action:
            return self._of_ministack(call, path, body, request)
        results = "".join(
            f"<member><EvalActionName>{action}</EvalActionName><EvalDecision>implicitDeny"
            f"</EvalDecision><ResourceSpecificResults>{specific}</ResourceSpecificResults></member>"
            for action, specific in by_action.items()
        )
        listed = f"<EvaluationResults>{results}</EvaluationResults>"
        found = f"<{_SIMULATE}Result>{listed}</{_SIMULATE}Result>"
        return Answer(
            200, f"<{_SIMULATE}Response>{found}</{_SIMULATE}Response>".encode(), "text/xml"
        )

    def _of_ministack(
        self, call: Call, path: str, body: bytes, request: BaseHTTPRequestHandler
    ) -> Answer:
        listed = call.operation == "DescribeLogGroups"
        if self.pages and listed and b"nextToken" not in body:
            return Answer(200, b'{"logGroups": [], "nextToken": "second"}')
        asked = body.replace(b', "nextToken": "second"', b"")
        headers = {} if asked == body else _signed(call, self.ministack, path, asked, request)
        return passed_on(self.ministack, path, asked, request, headers)


ACCOUNT: Final = "000000000000"
"""MiniStack's."""


def error_of(call: Call, code: str, of_xml: int, of_json: int) -> Answer:
    message = f"{code}: {call.action}"
    if call.service == "ec2":
        error = f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
        return Answer(of_xml, f"<Response>{error}</Response>".encode(), "text/xml")
    if call.service == "s3":
        error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        return Answer(of_xml, error.encode(), "application/xml")
    if call.service in {"iam", "route53", "sts"}:
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        return Answer(of_xml, f"<ErrorResponse>{error}</ErrorResponse>".encode(), "text/xml")
    return Answer(of_json, json.dumps({"__type": code, "message": message}).encode())


def passed_on(
    port: int, path: str, body: bytes, request: BaseHTTPRequestHandler, headers: Mapping[str, str]
) -> Answer:
    """What the service at this port answers to the call, with these headers in place of its own."""
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


def _signed(
    call: Call, port: int, path: str, body: bytes, request: BaseHTTPRequestHandler
) -> dict[str, str]:
    """The headers of the call with another body, signed by the administrator."""
    names = ("Content-Type", "X-Amz-Target")
    kept = {name: request.headers[name] for name in names if name in request.headers}
    url = f"http://127.0.0.1:{port}{path}"
    changed = AWSRequest(method=request.command, url=url, data=body, headers=kept)
    SigV4Auth(Credentials("test", "test"), call.service, call.region).add_auth(changed)
    return {"host": f"127.0.0.1:{port}"} | {
        name.lower(): value for name, value in changed.headers.items()
    }


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
    """Which call is it? The signature has the service; the protocol decides where the name is."""
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
