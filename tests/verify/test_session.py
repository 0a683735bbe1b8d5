"""What a session sees on the way to an answer: the region of a bucket, and a long wait."""

from collections.abc import Iterator
from threading import Event
from unittest.mock import Mock

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from session_manager_permissions._verify import command, session
from session_manager_permissions._verify.audit import answering as audits
from session_manager_permissions._verify.session import Boto, Waiting

from .conftest import SIGNED_IN
from .nodes import NODE

HERE, ELSEWHERE = "eu-west-1", "us-west-2"
MALFORMED = f"<Error><Code>AuthorizationHeaderMalformed</Code><Region>{ELSEWHERE}</Region></Error>"
THERE = {"x-amz-bucket-region": ELSEWHERE}
REDIRECT = "<Error><Code>PermanentRedirect</Code></Error>"
FOUND = "<ServerSideEncryptionConfiguration/>"
Answer = tuple[int, str, dict[str, str]]
"""The status, the body and the headers."""


@pytest.fixture(autouse=True)
def signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SIGNED_IN.items():
        monkeypatch.setenv(name, value)


def answering(service: str, answers: list[Answer]) -> tuple[Boto, Iterator[Answer]]:
    """Clients whose calls of a service get these answers in turn, and the answers left over."""
    calls = Boto(None, HERE)
    left = iter(answers)

    def send(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        status, text, headers = next(left)
        raw = Mock(stream=lambda **_: iter([text.encode()]))  # as urllib3 gives a body
        return AWSResponse(request.url, status, headers, raw)

    calls.client(service, HERE).meta.events.register(f"before-send.{service}", send)
    return calls, left


def page(zone: str, more: str = "") -> str:
    """The XML of a page that lists one private hosted zone."""
    summary = f"<HostedZoneSummary><Name>{zone}</Name></HostedZoneSummary>"
    listed = f"<HostedZoneSummaries>{summary}</HostedZoneSummaries>{more}"
    return f"<ListHostedZonesByVPCResponse>{listed}</ListHostedZonesByVPCResponse>"


@pytest.mark.parametrize(("answers", "region"), [
    pytest.param([(200, FOUND, {})], None, id="here"),
    pytest.param([(301, REDIRECT, THERE), (200, FOUND, {})], ELSEWHERE, id="a redirect"),
    pytest.param([(400, MALFORMED, {}), (200, FOUND, {})], ELSEWHERE, id="another signature"),
])  # fmt: skip
def test_s3_names_another_region(answers: list[Answer], region: str | None) -> None:
    # botocore remembers where a bucket is
    calls, left = answering("s3", [*answers, (200, FOUND, {})])

    for _ in range(2):
        (found,) = calls.pages("s3", HERE, "GetBucketEncryption", {"Bucket": "session-logs"})
        assert found.get("BucketRegion") == region

    assert [*left] == []


def test_each_page_is_asked_for() -> None:
    pages = (page("one.", "<NextToken>more</NextToken>"), page("two."))
    calls, left = answering("route53", [(200, one, {}) for one in pages])

    asked = {"VPCId": "vpc-1", "VPCRegion": HERE}
    found = [*calls.pages("route53", HERE, "ListHostedZonesByVPC", asked)]

    assert [*left] == []
    names = [[zone["Name"] for zone in one["HostedZoneSummaries"]] for one in found]
    assert names == [["one."], ["two."]]


class Told(list[str]):
    """Records the lines that are reported, and sets an event at the first."""

    def __init__(self) -> None:
        self.once = Event()

    def say(self, line: str) -> None:
        self.append(line)
        self.once.set()


def test_a_long_wait_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_REPORT_AFTER", 0)
    told, waiting = Told(), Waiting()

    with waiting.said(told.say), waiting.on("ssm:GetDocument"), waiting.on("ssm:GetServiceSetting"):
        assert told.once.wait(60)

    assert told == ["still waiting for ssm:GetDocument"]


@pytest.mark.parametrize("asked", [("verify", "--instance-id", NODE), ("audit",)])
def test_a_slow_program_is_told(asked: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    monkeypatch.setattr(session, "_REPORT_AFTER", 0)
    monkeypatch.setattr(session, "Boto", lambda *_, **__: told.once.wait(60) and 1 / 0)
    for module in (command, audits):
        monkeypatch.setattr(module, "say", told.say)

    assert command.main(asked) == 2
    assert told[0] == "still waiting for credentials"
