"""A password in the environment is in no error."""

from typing import Final

import pytest

from session_manager_permissions._verify.asking import without_passwords

from .conftest import SIGNED_IN
from .running import over_http

OF_ME: Final = "http://me:Pa55"
URLS: Final = (
    *(f"{OF_ME}w0rd@127.0.0.1:1", "me:Pa55w0rd@127.0.0.1", f"{OF_ME}w0rd/x@127.0.0.1:1"),
    *(f"{OF_ME}w0rd@x@127.0.0.1:1", f"{OF_ME}w0rd@bad host", f"{OF_ME} w0rd@127.0.0.1:1"),
    *(f"{OF_ME}'w0rd@127.0.0.1:1", f"{OF_ME}%40w0rd@127.0.0.1:1", f"{OF_ME}w0rd@127.0.0.1:99999"),
    "http://Pa55w0rd@127.0.0.1:1",
)
VARIABLES: Final = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2")
OF_NODE: Final = ["verify", "--instance-id", "i-0123456789abcdef0"]
COMMANDS: Final = (["verify", "--role", "web"], OF_NODE, ["audit", "--output", "json"])


@pytest.mark.parametrize(("arguments", "variable", "url"), [
    *((OF_NODE, VARIABLES[number % 2], url) for number, url in enumerate(URLS)),
    *((command_, variable, URLS[0]) for command_ in COMMANDS for variable in VARIABLES),
])  # fmt: skip
def test_a_password_of_an_endpoint_is_never_printed(
    arguments: list[str], variable: str, url: str
) -> None:
    once = {"AWS_REGION": "eu-west-1", "AWS_MAX_ATTEMPTS": "1"}
    given = SIGNED_IN | once | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", variable: url}

    status, *printed_on_each = over_http(given, *arguments)

    printed = "".join(printed_on_each)
    assert status == 2
    assert "session-manager-permissions: " in printed
    assert "Pa55" not in printed
    assert "w0rd" not in printed


@pytest.mark.parametrize(("text", "shown"), [
    ("see https://a:b@host/x, and http://c@d", "see https://***@host/x, and http://***@d"),
    ("Invalid endpoint: me:Pa55@host: correct it", "Invalid endpoint: ***@host: correct it"),
    ("mail me@example.org of https://host", "mail me@example.org of https://host"),
    ('"arn:aws:iam::1:user/a@b"', '"arn:aws:iam::1:user/a@b"'),
])  # fmt: skip
def test_what_is_before_the_host_of_a_url_is_not_shown(text: str, shown: str) -> None:
    assert without_passwords(text) == shown
