"""What is known of AWS managed policies: as much as their whole documents say, when asked for."""

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest
from aws_managed_policies import DATA, made, policies
from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import evaluate, parse_policy_document
from syrupy.assertion import SnapshotAssertion

from session_manager_permissions._evaluation import Answer
from session_manager_permissions._needs import REGISTRATION, REGISTRATION_RESOURCES
from session_manager_permissions._readiness.managed_policies import aws_managed
from session_manager_permissions._readiness.policies import ASKED, anything, decide, read
from tests.conftest import ROOT, run_python

from .reports import Check, profile_and_role
from .statements import ACTIONS, AWS
from .test_what_findings_say import Text
from .worlds import Request, asks

pytestmark = pytest.mark.untraced

INSTANCE: Final = "arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0"
MANAGED_NODE: Final = "arn:aws:ssm:eu-west-1:111122223333:managed-instance/mi-0123456789abcdef0"
SESSION: Final = "arn:aws:ssm:eu-west-1:111122223333:session/admin-0123456789abcdef0"
RESOURCES: Final = ("*", INSTANCE, MANAGED_NODE, SESSION)
MINISTACK: Final = {
    "Allow": Answer.ALLOWED,
    "Deny": Answer.EXPLICIT_DENY,
    "ImplicitDeny": Answer.IMPLICIT_DENY,
}
KNOWN: Final = json.loads(DATA.read_text(encoding="utf-8"))

moto = cache(policies)


def test_the_file_is_what_the_script_makes_of_the_pinned_moto() -> None:
    assert DATA.read_text(encoding="utf-8") == made(), "run `make managed-policies`"


def test_it_has_every_policy_once() -> None:
    assert len(moto()) > 1500
    assert sorted([*KNOWN["relevant"], *KNOWN["others"]]) == sorted(moto())


def test_the_page_says_of_when_it_is() -> None:
    page = (ROOT / "docs/readiness.md").read_text(encoding="utf-8")

    assert f"known as of {KNOWN['newest']}, for {len(moto()):,} policies" in page
    assert f"[moto](https://docs.getmoto.org) {KNOWN['source'].removeprefix('moto ')} " in page


def test_it_names_its_source_and_the_licence_of_that() -> None:
    licence = metadata.distribution("moto").read_text("licenses/LICENSE") or ""
    holder = re.findall(r"^Copyright \d.*$", licence, re.MULTILINE)

    assert KNOWN["source_url"] == "https://github.com/getmoto/moto"
    assert KNOWN["license"] == f"Apache-2.0, {holder[0]}"
    assert "Apache License" in licence
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def questions() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    for action in ASKED:
        for resource in RESOURCES:
            yield action, resource
    for action in REGISTRATION.actions:
        yield action, REGISTRATION_RESOURCES


def test_it_answers_as_the_whole_documents_do() -> None:
    for name, document in moto().items():
        known, whole = aws_managed(name), read(document, name)
        for action, resource in questions():
            found, expected = (decide(these, action, resource) for these in (known, whole))
            assert found.answer is expected.answer, (name, action, resource)
            assert [one.sid for one in found.by] == [one.sid for one in expected.by], name


def test_ministack_agrees_where_no_condition_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    # it keeps 4,096 compiled patterns, and of more than that none
    monkeypatch.setattr(iam_evaluator, "_fnmatch_compile", cache(iam_evaluator._fnmatch_compile))  # noqa: SLF001
    decided = 0
    for name, document in moto().items():
        policy, known = parse_policy_document(document), aws_managed(name)
        for action in ACTIONS:
            for resource in RESOURCES:
                found = decide(known, action, resource).answer
                if found is not Answer.UNKNOWN:
                    decided += 1
                    asked = asks(action, resource, Request("192.0.2.1", {}))
                    simulated = MINISTACK[evaluate(asked, [policy]).decision]
                    assert found is simulated, (name, action, resource)

    assert decided > len(moto()) * len(ACTIONS) * len(RESOURCES) - 50


def test_which_policies_allow_and_deny_what_the_agent_asks_of_all_resources(
    snapshot: SnapshotAssertion,
) -> None:
    """A person has read this list. If a newer moto changes it, somebody has to read it again."""
    found = [
        f"{answer.name} of {action}: {name}\n"
        for name in sorted(moto())
        for action in ACTIONS
        if (answer := decide(aws_managed(name), action, "*").answer) is not Answer.IMPLICIT_DENY
    ]

    assert "".join(found) == snapshot(extension_class=Text)


@pytest.mark.parametrize("name", [
    pytest.param("AWSNewerThanTheData", id="newer"),
    pytest.param("AmazonEC2RoleforSSM", id="without its path"),
    pytest.param("service-role/AmazonSSMManagedInstanceCore", id="of a path that it has not"),
    pytest.param("amazonssmmanagedinstancecore", id="in other cases"),
])  # fmt: skip
def test_policy_that_the_data_does_not_have_may_say_anything(name: str, check: Check) -> None:
    says = f"the AWS managed policy {name!r}, which AWS did not list on {KNOWN['newest']}"

    assert aws_managed(name) == anything(says)

    (finding,) = check(profile_and_role({"ManagedPolicyArns": [f"{AWS}{name}"]})).findings
    assert finding.rule == "cannot-be-known"
    assert finding.description.endswith(says)


# When the file is read ---------------------------------------------------------------------------

READ = """
import sys
opened = []
sys.addaudithook(lambda event, args: event == "open" and opened.append(str(args[0])))
from session_manager_permissions import *
import session_manager_permissions._verify.command
from session_manager_permissions._command import main
main(["check", "--output", "json", sys.argv[1]])
print(sum(path.endswith("aws_managed_policies.json") for path in opened), file=sys.stderr)
"""


@pytest.mark.parametrize(("arns", "times"), [
    (["arn:aws:iam::111122223333:policy/Ours"], 0),
    ([f"{AWS}{name}" for name in ("ReadOnlyAccess", "AWSDenyAll", "AWSNewerThanTheData")], 1),
])  # fmt: skip
def test_file_is_read_once_if_it_is_needed(tmp_path: Path, arns: list[str], times: int) -> None:
    file = tmp_path / "template.json"
    file.write_text(json.dumps(profile_and_role({"ManagedPolicyArns": arns})))

    done = run_python("-c", READ, str(file), cwd=tmp_path)

    assert done.stderr.splitlines() == [str(times)]
