"""`--from`: what is read, what is refused, and how the results of several files come together."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.audit.merge import read
from session_manager_permissions._verify.audit.result import AuditResult, NodeResult

from .audits import ASKED_AT, node, result, role, sample, written
from .nodes import ACCOUNT, OTHER_ACCOUNT, REGION

BUCKET: Final = {"log-bucket": ["a"]}
GROUP, OTHER_GROUP, ELSEWHERE = (
    {"log-group": [f"arn:aws:logs:{place}:{ACCOUNT}:log-group:{name}"]}
    for place, name in ((REGION, "/g"), (REGION, "/h"), ("us-east-1", "/g"))
)
EARLIER: Final = "2026-03-01T06:30:00Z"
OTHER_REGION: Final = "us-east-1"


def asked(at: str | None, *nodes: NodeResult, **fields: Any) -> AuditResult:  # noqa: ANN401
    """The result of an audit at this time, or of one without a time."""
    found = result(list(nodes), asked_at=at, **fields)
    for region in found["regions"]:
        region["asked_at"] = at
    return found


def merged(folder: Path, *results: object) -> AuditResult:
    return read([written(folder, f"{number}.json", one) for number, one in enumerate(results)])


def test_one_file_is_taken_as_it_is(tmp_path: Path) -> None:
    known = role(unknown=["encrypt"], options={})
    found = sample() | {"roles": [known], "profiles": []}

    assert merged(tmp_path, found | {"of-a-newer-version": [[[]]]}) == found


def test_accounts_and_regions_come_together(tmp_path: Path) -> None:
    here = result([node("i-2", causes=["reach"]), node("i-1", region=OTHER_REGION)])
    there = result([node("i-3", account=OTHER_ACCOUNT, profile="db")])

    found = merged(tmp_path, here, there)

    assert (found["account"], found["accounts"]) == (None, [ACCOUNT, OTHER_ACCOUNT])
    assert [(one["region"], one["account"]) for one in found["regions"]] == [
        (REGION, ACCOUNT),
        (REGION, OTHER_ACCOUNT),
        (OTHER_REGION, ACCOUNT),
    ]
    assert [one["id"] for one in found["instances"]] == ["i-2", "i-3", "i-1"]
    figures = {"instances": 3, "reachable": 2, "unreachable": 1, "stopped": 0, "unknown": 0}
    assert found["summary"] == figures | {"causes": {"reach": 1}}
    assert found["asked_at"] == ASKED_AT


def test_what_is_merged_can_be_merged_again(tmp_path: Path) -> None:
    others = [result([node(f"i-{n}", account=f"{n:012}")]) for n in (1, 2, 3)]
    at_once = merged(tmp_path, *others)

    assert merged(tmp_path, merged(tmp_path, *others[:2]), others[2]) == at_once


def test_merge_has_a_time_only_if_all_of_it_has(tmp_path: Path) -> None:
    here, there = node(), node("i-2", region=OTHER_REGION)

    assert merged(tmp_path, asked(EARLIER, here), asked(None, there))["asked_at"] is None
    assert merged(tmp_path, asked(EARLIER, here), asked(ASKED_AT, there))["asked_at"] == EARLIER


def test_figures_are_counted_anew(tmp_path: Path) -> None:
    one = result([node("i-1", verdict="unreachable", causes=["reach"])])
    path = written(tmp_path, "one.json", one | {"summary": result([node("i-1")])["summary"]})

    assert read([path])["summary"] == one["summary"]


def test_a_role_of_two_regions_lacks_what_it_lacks_in_one(tmp_path: Path) -> None:
    here = role(lacks=["reach"], unknown=["encrypt", "log-to-s3"], profiles=["web"], instances=2)
    there = role(role()["role"].upper(), lacks=["encrypt", "of-a-newer-version"], profiles=["db"])

    elsewhere = result([node("i-2", region=OTHER_REGION)], roles=[there])
    found = merged(tmp_path, result([node("i-1")], roles=[here]), elsewhere)

    lacks = ["reach", "encrypt", "of-a-newer-version"]
    assert found["roles"] == [
        role(lacks=lacks, unknown=["log-to-s3"], profiles=["db", "web"], instances=3, options={})
    ]
    assert found["profiles"] == ["db", "web"]


@pytest.mark.parametrize(("field", "first", "second", "kept"), [
    pytest.param("tags", ["a=b"], ["a=b"], ["a=b"], id="tags"),
    pytest.param("tags", ["a=b"], [], "absent", id="other tags"),
    pytest.param("document", None, None, None, id="no document"),
    pytest.param("document", None, "Sessions", "absent", id="another document"),
])  # fmt: skip
def test_what_was_asked_about_is_kept_if_all_have_it(
    tmp_path: Path, field: str, first: object, second: object, kept: object
) -> None:
    elsewhere = result([node("i-2", region=OTHER_REGION)], **{field: second})
    found = merged(tmp_path, result([node("i-1")], **{field: first}), elsewhere)

    assert found.get(field, "absent") == kept


@pytest.mark.parametrize(("first", "second", "kept"), [
    pytest.param({"key": ["b"]}, {"key": ["a"]}, {"key": ["a", "b"]}, id="keys"),
    pytest.param(BUCKET, BUCKET, BUCKET, id="same"),
    pytest.param(BUCKET, {"log-bucket": ["b"]}, {}, id="other bucket"),
    pytest.param(BUCKET | {"log-prefix": ["p"]}, BUCKET, {}, id="other prefix"),
    pytest.param(GROUP, GROUP, GROUP, id="same group"),
    pytest.param(GROUP, ELSEWHERE, {"log-group": ["/g"]}, id="in each region"),
    pytest.param(GROUP, OTHER_GROUP, {}, id="other group"),
    pytest.param(GROUP, {}, {}, id="a group that is not known"),
])  # fmt: skip
def test_options_of_a_role_are_kept_where_the_results_agree(
    tmp_path: Path, first: object, second: object, kept: object
) -> None:
    lacks = ["encrypt", "log-to-s3", "log-to-cloudwatch"]
    parts = (
        result([node(region=region)], roles=[role(lacks=lacks, options=known)])
        for region, known in ((REGION, first), (OTHER_REGION, second))
    )

    assert merged(tmp_path, *parts)["roles"][0]["options"] == kept


def changed(**fields: object) -> str:
    return json.dumps(sample() | fields)


@pytest.mark.parametrize(("text", "says"), [
    ("[" * 100_000, "is not JSON"),
    ("[]", "is not the expected JSON: Expected `object`, got `array`"),
    (changed(account=7), "Expected `str | null`, got `int` - at `$.account`"),
    (changed(instances=[node(verdict="ok")]), "at `$.instances[0].verdict`"),
    (changed(regions=sample()["regions"] * 2), "both have eu-west-1"),
])  # fmt: skip
def test_what_is_no_result_is_refused_by_its_file(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(CannotAsk) as error:
        read([str(path)])

    assert str(error.value).startswith(f"--from {path} ")
    assert says in str(error.value)
    assert "\n" not in str(error.value)
