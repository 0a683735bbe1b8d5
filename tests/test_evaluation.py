"""What the statements of a policy say of a request, as far as both are known."""

from typing import Any, Final

import pytest

from session_manager_permissions._evaluation import Answer, Request, evaluate, names_role
from session_manager_permissions._patterns import UNKNOWN

from .readiness.parts import each

REQUEST = Request("ssm:UpdateInstanceInformation", lambda _: True)
ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "*"}
DENY: dict[str, Any] = {"Effect": "Deny", "Action": "*"}
OF_EC2: Final = {"Effect": "Deny", "Action": "ec2:*"}
IF: Final = {"Fn::If": ["Production", ALLOW, DENY]}
TAGGED: Final = {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "web"}}}

STATEMENTS: Final[dict[Answer, tuple[list[object], ...]]] = {
    Answer.ALLOWED: ([ALLOW], [ALLOW | TAGGED, ALLOW], [OF_EC2, ALLOW],
        [ALLOW, OF_EC2 | {"Effect": {"Ref": "Effect"}}]),
    Answer.UNKNOWN: ([ALLOW | TAGGED], [ALLOW, DENY | TAGGED], [ALLOW, IF], [IF], ["unreadable"],
        [None], [ALLOW, ALLOW | {"Effect": {"Ref": "Effect"}}]),
    Answer.IMPLICIT_DENY: ([], [OF_EC2], [DENY | TAGGED], [ALLOW | {"Action": "ec2:*"}]),
    Answer.EXPLICIT_DENY: ([DENY], [ALLOW, DENY], [DENY, DENY | TAGGED], [IF, "unreadable", DENY]),
}  # fmt: skip


@pytest.mark.parametrize(("statements", "answer"), each(STATEMENTS))
def test_answer(statements: list[object], answer: Answer) -> None:
    assert evaluate(statements, REQUEST).answer is answer


EACH: Final[dict[bool | None, Answer]] = {
    True: Answer.ALLOWED,
    None: Answer.UNKNOWN,
    False: Answer.IMPLICIT_DENY,
}
"""What an `Allow` leads to that applies, may apply, and does not."""
ACTIONS: Final[dict[bool | None, tuple[dict[str, Any], ...]]] = {
    True: ({"Action": "SSM:UpdateInstanceInformation"}, {"Action": ["s3:*", "ssm:*"]},
           {"Action": ["ssm:*", {"Ref": "Action"}]}, {"NotAction": ["s3:*"]}, {"NotAction": []}),
    False: ({"Action": ["s3:*"]}, {"NotAction": "ssm:*"}, {"Action": []}),
    None: ({"Action": ["s3:*", {"Ref": "Action"}]}, {"NotAction": ["s3:*", 3]}, {}),
}  # fmt: skip


@pytest.mark.parametrize(("written", "applies"), each(ACTIONS))
def test_action(written: dict[str, Any], applies: bool | None) -> None:  # noqa: FBT001
    assert evaluate([{"Effect": "Allow", **written}], REQUEST).answer is EACH[applies]


OBJECT: Final = "arn:aws:s3:::logs/i-1"
RESOURCES: Final[dict[bool | None, tuple[tuple[str, dict[str, Any]], ...]]] = {
    True: ((OBJECT, {"Resource": "*"}), (OBJECT, {"NotResource": "arn:aws:s3:::other/*"}),
        (OBJECT, {"Resource": ["arn:aws:s3:::other", "arn:aws:s3:::logs/*"]}),
        (UNKNOWN, {"Resource": ["arn:aws:s3:::logs", "*"]})),
    False: ((OBJECT, {"Resource": "arn:aws:s3:::LOGS/*"}), (UNKNOWN, {"NotResource": "*"}),
        (OBJECT, {"NotResource": ["arn:aws:s3:::logs/*"]})),
    None: ((OBJECT, {}), (OBJECT, {"Resource": {"Ref": "Bucket"}}),
        (OBJECT, {"Resource": f"arn:aws:s3:::{UNKNOWN}"}),
        (UNKNOWN, {"Resource": "arn:aws:s3:::logs/*"}),
        (UNKNOWN, {"NotResource": "arn:aws:s3:::logs/*"})),
}  # fmt: skip


@pytest.mark.parametrize(("row", "applies"), each(RESOURCES))
def test_resource(row: tuple[str, dict[str, Any]], applies: bool | None) -> None:  # noqa: FBT001
    resource, written = row
    assert evaluate([ALLOW | written], REQUEST._replace(resource=resource)).answer is EACH[applies]


ACCOUNT: Final = "111122223333"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/team/web"
SESSION: Final = f"arn:aws:sts::{ACCOUNT}:assumed-role"
PRINCIPALS: Final[dict[bool | None, tuple[tuple[object, str, str], ...]]] = {
    True: (("*", "", ""), ({"AWS": "*"}, "", ""), ({"AWS": ["444455556666", ROLE]}, ROLE, ""),
        ({"AWS": ACCOUNT}, ROLE, ACCOUNT), ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "", ACCOUNT)),
    False: (({"AWS": "444455556666"}, ROLE, ACCOUNT), ({"AWS": ACCOUNT}, ROLE, ""),
        ({"AWS": f"{SESSION}/db/i-1"}, ROLE, ""),
        ({"Service": "ssm.amazonaws.com", "Federated": "www.example.com"}, "", ACCOUNT)),
    None: (({"AWS": f"{SESSION}/web/i-1"}, ROLE, ""), ({"AWS": "444455556666"}, "", ACCOUNT),
        ({"AWS": {"Ref": "Role"}}, ROLE, ""), (None, ROLE, ACCOUNT), ("unreadable", ROLE, ACCOUNT),
        ({"CanonicalUser": "79a59df900b949e5"}, ROLE, ACCOUNT),
        ({"Fn::If": ["Production", "*", "*"]}, ROLE, ACCOUNT)),
}  # fmt: skip


@pytest.mark.parametrize(("row", "expected"), each(PRINCIPALS))
def test_principal(row: tuple[object, str, str], expected: bool | None) -> None:  # noqa: FBT001
    assert names_role(*row) is expected
