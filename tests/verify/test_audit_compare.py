"""`--compare`: what counts as a change, and what only looks like one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from rich.console import Console

from session_manager_permissions._verify.asking import CannotAsk
from session_manager_permissions._verify.audit.compare import (
    by_kind,
    changes,
    compared,
)
from session_manager_permissions._verify.audit.merge import read_file
from session_manager_permissions._verify.audit.table import print_audit

from .audits import ASKED_AT, node, result, role, written
from .nodes import ACCOUNT, OTHER_ACCOUNT, REGION

if TYPE_CHECKING:
    from pathlib import Path

    from session_manager_permissions._verify.audit.result import AuditResult, NodeResult

OTHER_REGION: Final = "us-east-1"
REACHABLE: Final = node()
UNREACHABLE: Final = node(causes=["reach"])
STOPPED: Final = node(verdict="stopped", state="stopped")
UNKNOWN: Final = node(verdict="unknown")


def in_error(found: AuditResult) -> AuditResult:
    """The same result, with a region that was not read to its end."""
    for region in found["regions"]:
        region["error"] = "it was denied"
    return found


@pytest.mark.parametrize(
    ("was", "now", "kind"),
    [
        pytest.param(REACHABLE, UNREACHABLE, "unreachable", id="lost"),
        pytest.param(STOPPED, UNREACHABLE, "unreachable", id="started, and unreachable"),
        pytest.param(UNREACHABLE, REACHABLE, "reachable", id="fixed"),
        pytest.param(UNREACHABLE, STOPPED, "stopped", id="stopped"),
        pytest.param(REACHABLE, UNKNOWN, "unknown", id="no longer known"),
        pytest.param(UNREACHABLE, node(causes=["path-ssm"]), "causes", id="another cause"),
        pytest.param(None, UNREACHABLE, "new", id="new"),
        pytest.param(UNREACHABLE, None, "gone", id="gone"),
        pytest.param(UNREACHABLE, UNREACHABLE, None, id="the same"),
        pytest.param(None, None, None, id="neither"),
        pytest.param(
            node(causes=["register", "reach"]),
            node(causes=["reach", "register"]),
            None,
            id="the same causes in another order",
        ),
        pytest.param(REACHABLE, node(name="web-2"), None, id="another name"),
        pytest.param(UNREACHABLE, UNREACHABLE | {"why": ["so"]}, None, id="in other words"),
    ],
)
def test_change_of_a_node(was: NodeResult | None, now: NodeResult | None, kind: str | None) -> None:
    other = node("i-other")
    found = changes(*(result([one, other] if one else [other]) for one in (was, now)))

    assert [*by_kind(found)] == ([kind] if kind else [])
    for change in found["instances"]:
        assert change["was"] == (was and {"verdict": was["verdict"], "causes": was["causes"]})
        assert change["now"] == (now and {"verdict": now["verdict"], "causes": now["causes"]})


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        pytest.param(in_error(result([])), result([REACHABLE]), [], id="not new"),
        pytest.param(result([REACHABLE]), in_error(result([])), [], id="not gone"),
        pytest.param(
            in_error(result([REACHABLE])), result([UNREACHABLE]), ["unreachable"], id="in both"
        ),
    ],
)
def test_region_that_was_not_read_to_its_end(
    old: AuditResult, new: AuditResult, kinds: list[str]
) -> None:
    found = changes(old, new)

    assert [*by_kind(found)] == kinds
    assert found["causes"] == []
    assert [left["region"] for left in found["not_compared"]] == [REGION]
    assert "is not complete: it was denied" in found["not_compared"][0]["why"]


def test_region_of_one_audit_alone_is_listed_and_its_nodes_are_neither_new_nor_gone() -> None:
    here = node(causes=["reach"])
    old = result([here, node("i-2", region="eu-north-1", causes=["reach"])])
    new = result([here, node("i-3", region=OTHER_REGION, causes=["reach"])])

    found = changes(old, new)

    assert (found["instances"], found["causes"]) == ([], [])
    assert [(one["region"], one["why"]) for one in found["not_compared"]] == [
        ("eu-north-1", "this audit did not ask about it"),
        (OTHER_REGION, "the earlier audit did not ask about it"),
    ]


@pytest.mark.parametrize(
    ("was", "now", "lost", "gained"),
    [
        pytest.param({}, {"lacks": ["reach"]}, ["reach"], [], id="lost"),
        pytest.param({"lacks": ["reach"]}, {}, [], ["reach"], id="gained"),
        pytest.param(
            {"lacks": ["reach"]}, {"lacks": ["encrypt"]}, ["encrypt"], ["reach"], id="both"
        ),
        pytest.param({"unknown": ["reach"]}, {"lacks": ["reach"]}, [], [], id="was not known"),
        pytest.param({"lacks": ["reach"]}, {"unknown": ["reach"]}, [], [], id="is not known"),
        pytest.param({"instances": 1}, {"instances": 9}, [], [], id="more instances"),
    ],
)
def test_change_of_a_role(
    was: dict[str, Any], now: dict[str, Any], lost: list[str], gained: list[str]
) -> None:
    other = role("arn:aws:iam::111122223333:role/new", lacks=["reach"])
    found = changes(
        result([node()], roles=[role(**was)]), result([node()], roles=[role(**now), other])
    )

    changed = [(one["lost"], one["gained"]) for one in found["roles"]]
    assert changed == ([(lost, gained)] if lost or gained else [])


@pytest.mark.parametrize(
    ("others", "changed"),
    [
        pytest.param([], [], id="not asked"),
        pytest.param(None, [], id="denied"),
        pytest.param([node("i-2", region=OTHER_REGION, role=None)], [], id="not judged"),
        pytest.param(
            [node("i-2", region=OTHER_REGION)], [["encrypt"]], id="judged, and not complete"
        ),
    ],
)
def test_a_role_of_nodes_that_one_audit_does_not_know_is_no_change(
    others: list[NodeResult] | None, changed: list[list[str]]
) -> None:
    there = node("i-2", region=OTHER_REGION)
    whole = result([node(), there], roles=[role(lacks=["encrypt"])])
    part = result([node(), *(others or [])], roles=[role()])
    if others != []:
        place = {"account": ACCOUNT, "region": OTHER_REGION, "instances": 0, "error": "denied"}
        part["regions"] = [part["regions"][0], place]  # type: ignore[list-item]

    assert [one["lost"] for one in changes(part, whole)["roles"]] == changed
    assert [one["gained"] for one in changes(whole, part)["roles"]] == changed


def test_causes_are_counted() -> None:
    old = result([node("i-1", causes=["reach"]), node("i-2", causes=["metadata"])])
    new = result([node("i-1", causes=["reach"]), node("i-2", causes=["reach", "path-ssm"])])

    assert changes(old, new)["causes"] == [
        {"check": "metadata", "was": 1, "now": 0},
        {"check": "path-ssm", "was": 0, "now": 1},
        {"check": "reach", "was": 1, "now": 2},
    ]


def compared_to(path: str, new: AuditResult) -> AuditResult:
    return compared(new, read_file(path, "--compare"), path)


def test_result_gets_the_changes_and_nothing_else(tmp_path: Path) -> None:
    new = result([UNREACHABLE])

    found = compared_to(written(tmp_path, "old.json", result([REACHABLE])), new)

    assert found["changes"]["since"] == ASKED_AT
    assert [*by_kind(found["changes"])] == ["unreachable"]
    assert found | {"changes": None} == new | {"changes": None}


@pytest.mark.parametrize(
    ("old", "says"),
    [
        ({"tags": ["env=prod"]}, "another --tag: give the result of an audit with the same --tag"),
        ({"document": "Sessions"}, "another --document"),
        ({"version": 3}, "has the version 3"),
    ],
)
def test_result_of_other_questions_is_refused(
    tmp_path: Path, old: dict[str, Any], says: str
) -> None:
    path = written(tmp_path, "old.json", result([REACHABLE], **old))

    with pytest.raises(CannotAsk) as error:
        compared_to(path, result([REACHABLE]))

    assert f"--compare {path}" in str(error.value)
    assert says in str(error.value)


@pytest.mark.parametrize("part", [{"account": OTHER_ACCOUNT}, {"region": OTHER_REGION}])
def test_result_of_other_places_is_refused(tmp_path: Path, part: dict[str, str]) -> None:
    path = written(tmp_path, "old.json", result([node(**part)]))

    with pytest.raises(CannotAsk, match="has no region of this audit"):
        compared_to(path, result([REACHABLE]))


def printed(old: AuditResult, new: AuditResult) -> str:
    console = Console(width=200, highlight=False, markup=False, emoji=False, soft_wrap=True)
    with console.capture() as shown:
        print_audit(new | {"changes": changes(old, new)}, console)
    text = shown.get()
    return text[text.index("Changes") :]


def test_worst_is_printed_first() -> None:
    old = [
        node("i-1"),
        node("i-2", causes=["reach"]),
        node("i-3"),
        node("i-9", region=OTHER_REGION),
    ]
    new = [node("i-1", causes=["reach", "register"]), node("i-2"), node("i-4", name="\x1b[31mred")]

    text = printed(
        result(old, roles=[role()]), result(new, roles=[role(lacks=["reach", "register"])])
    )

    assert text == (
        "Changes since 2026-03-02 06:30 UTC\n"
        "  1 became unreachable\n"
        "    i-1  eu-west-1  web-1  reach, register\n"
        "  1 became reachable\n"
        "    i-2  eu-west-1  web-1\n"
        "  1 new\n"
        "    i-4  eu-west-1  \\u001b[31mred\n"
        "  1 gone\n"
        "    i-3  eu-west-1  web-1\n"
        "  arn:aws:iam::111122223333:role/team/web-server lost reach, register\n"
        "  causes that no instance had: register\n"
        f"  not compared: us-east-1 of {ACCOUNT}: this audit did not ask about it\n"
    )


def test_no_change_is_said() -> None:
    assert printed(result([], asked_at=None), result([])) == "Changes\n  none\n"


def test_long_list_says_how_many_it_leaves_out() -> None:
    text = printed(result([]), result([node(f"i-{n:02}") for n in range(23)]))

    assert "  23 new\n" in text
    assert "i-19" in text
    assert "i-20" not in text
    assert text.endswith("    and 3 more: --output json lists them all\n")
