"""A password in the environment is in no error."""

from __future__ import annotations

import pytest

from session_manager_permissions._verify import command
from session_manager_permissions._verify.asking import without_passwords


@pytest.mark.parametrize(
    "url",
    [
        "http://me:Pa55w0rd@127.0.0.1:1",
        "me:Pa55w0rd@127.0.0.1",
        "http://me:Pa55w0rd/x@127.0.0.1:1",
        "http://me:Pa55w0rd@x@127.0.0.1:1",
        "http://me:Pa55w0rd@bad host",
        "http://me:Pa55 w0rd@127.0.0.1:1",
        "http://me:Pa55'w0rd@127.0.0.1:1",
        "http://me:Pa55%40w0rd@127.0.0.1:1",
        "http://me:Pa55w0rd@127.0.0.1:99999",
        "http://Pa55w0rd@127.0.0.1:1",
    ],
)
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "--role", "web"],
        ["verify", "--instance-id", "i-0123456789abcdef0"],
        ["audit", "--output", "json"],
    ],
    ids=lambda arguments: arguments[0] + arguments[1],
)
def test_a_password_of_an_endpoint_is_never_printed(
    arguments: list[str],
    variable: str,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    given = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "eu-west-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        variable: url,
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert command.main(arguments) == 2

    printed = "".join(capfd.readouterr())
    assert "session-manager-permissions: " in printed
    assert "Pa55" not in printed
    assert "w0rd" not in printed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://a:b@host/x, and http://c@d", "see https://***@host/x, and http://***@d"),
        ("Invalid endpoint: me:Pa55@host: correct it", "Invalid endpoint: ***@host: correct it"),
        ("mail me@example.org of https://host", "mail me@example.org of https://host"),
        ('"arn:aws:iam::1:user/a@b"', '"arn:aws:iam::1:user/a@b"'),
    ],
)
def test_what_is_before_the_host_of_a_url_is_not_shown(text: str, shown: str) -> None:
    assert without_passwords(text) == shown
