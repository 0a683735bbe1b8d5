"""A list of names and options: what each line is, and what is no line of a list."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_manager_permissions import _limits
from session_manager_permissions._lists import OPTIONS, as_line, parse

from .places import key_arn, role_arn

KEY: Final = key_arn()
OTHER: Final = key_arn(resource="alias/sessions")


@pytest.mark.parametrize(("text", "names", "options"), [
    ("web\ndb", ["web", "db"], {}),
    ("web\r\ndb\rapi\n", ["web", "db", "api"], {}),
    (f" key={KEY} # all\nweb", ["web"], {"key": [KEY]}),
    (f"key =\t{KEY}\nkey = {OTHER}\n", [], {"key": [KEY, OTHER]}),
    ("allow-registration = true\r\nweb#1", ["web"], {"allow-registration": ["true"]}),
    ("log-group = /a#b # c", [], {"log-group": ["/a#b"]}),
    ("log-bucket = log\nlog-prefix = a = b", [], {"log-bucket": ["log"], "log-prefix": ["a = b"]}),
    ("a=b\nx=y#z", ["a=b", "x=y"], {}),
    (role_arn("key=x"), [role_arn("key=x")], {}),
    (f"# key = {KEY}\n#web", [], {}),
])  # fmt: skip
def test_what_a_list_has(text: str, names: list[str], options: dict[str, list[str]]) -> None:
    found = parse(text, "names.txt", _limits.role_fault)

    assert [line.text for line in found.names] == names
    assert {name: [one.text for one in lines] for name, lines in found.options.items()} == options
    assert found.faults == {}


@pytest.mark.parametrize(("line", "says"), [
    ("key =", "key '' has no value"),
    ("log-prefix = # none", "log-prefix '' has no value"),
    ("key = alias/sessions", "key 'alias/sessions' is not the ARN of a KMS key"),
    (f"key = {KEY} {KEY}", "is not the ARN of a KMS key"),
    (f'key = "{KEY}"', "is not the ARN of a KMS key"),
    (f"key == {KEY}", "is not the ARN of a KMS key"),
    (f"Key = {KEY}", "a list has no option Key; its options are key, policy-name"),
    (f"-c key={KEY}", "is not the name of a role"),
    (f"key: {KEY}", "is not the name of a role"),
    ("= true", "'= true' is not the name of a role"),
    ("roles = other.txt", "a list has no option roles"),
    ("allow_registration = true", "a list has no option allow_registration"),
    ("allow-registration = yes", "allow-registration 'yes' is neither true nor false"),
    ("allow-registration = True", "'True' is neither true nor false"),
    ("allow-registration=true", "for the option, write allow-registration = true; for the"),
    ("log-bucket=logs", "can be a name or an option"),
    ("log-bucket = arn:aws:s3:::logs", "is not the name of an S3 bucket"),
    ("policy-name = a b", "policy-name 'a b' is not the name of a policy"),
    ("log-prefix = a/*", "log-prefix 'a/*' has a wildcard"),
    ("log-group = a b", "log-group 'a b' is not the name of a log group"),
    ("web\0", r"'web\x00' is not the name of a role"),
])  # fmt: skip
def test_what_is_no_line_of_a_list(line: str, says: str) -> None:
    found = parse(f"web-1\r\n{line}\r\n", "names.txt", _limits.role_fault)

    assert [*found.faults] == [2]
    assert found.faults[2].startswith("names.txt:2: ")
    assert says in found.faults[2]


@pytest.mark.parametrize("lines", [
    ("allow-registration = true", "allow-registration = true"),
    ("allow-registration = true", "allow-registration = false"),
    (f"key = {KEY}", f"key = {KEY} # again"),
    ("web", "arn:aws:iam::111122223333:role/team/Web"),
])  # fmt: skip
def test_what_is_there_twice(lines: tuple[str, str]) -> None:
    found = parse("\n".join(lines), "names.txt", _limits.role_fault)

    assert [*found.faults] == [2]
    assert found.faults[2].endswith(" is already at names.txt:1")


@given(st.sampled_from([*OPTIONS]), st.text(max_size=20) | st.sampled_from([KEY, OTHER, "true"]))
def test_an_option_is_read_as_it_was_written_or_not_written(name: str, value: str) -> None:
    line = as_line(name, value)
    if line is not None:
        found = parse(f"web\n{line}\nweb-2\n", "", _limits.role_fault)
        assert [one.text for one in found.options[name]] == [value]
        assert [one.text for one in found.names] == ["web", "web-2"]
        assert found.faults == {}


@pytest.mark.parametrize("value", ["a #b", "#a", " a", "a ", "a\nweb", "a\r", ""])
def test_a_value_that_no_line_can_have_is_not_written(value: str) -> None:
    assert as_line("log-prefix", value) is None
    assert as_line("log-prefix", "a#b") == "log-prefix = a#b"
