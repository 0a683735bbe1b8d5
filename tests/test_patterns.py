"""What the patterns of IAM policies match, as far as they are known."""

from typing import Final

import pytest

from session_manager_permissions._patterns import UNKNOWN, any_matches, matches

from .readiness.parts import each

ACTION = "ssm:updateinstanceinformation"


MATCHES: Final = {
    True: (ACTION, "*", "ssm:*", "ssm:update?nstance*"),
    # IAM has no sets of characters, and a variable that does not end is none
    False: ("ssm:update", "ssm:?", "[s]sm:*", f"s3:{UNKNOWN}", "s3:${aws:userid}*",
            "ssm:${", "*${", f"{UNKNOWN}${{"),
    None: (UNKNOWN, f"ssm:{UNKNOWN}", "ssm:${aws:userid}*", "ssm:${aws:PrincipalTag/team, 'a{b'}*"),
}  # fmt: skip


@pytest.mark.parametrize(("pattern", "expected"), each(MATCHES))
def test_matches(pattern: str, expected: bool | None) -> None:  # noqa: FBT001
    assert matches(pattern, ACTION) is expected


@pytest.mark.parametrize(("answers", "of_any", "of_none"), [
    *(([], False, True), ([False], False, True)),
    *(([False, None], None, None), ([None, True], True, False)),
])  # fmt: skip
def test_any_matches(answers: list[bool | None], of_any: object, of_none: object) -> None:
    assert any_matches(answers) is of_any
    assert any_matches(answers, negated=True) is of_none
