"""The HTML page of an audit: it is complete, and no text of the account is more than text."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any, Final

import pytest

from session_manager_permissions._quoting import shown
from session_manager_permissions._verify.audit.causes import grouped
from session_manager_permissions._verify.audit.page import html, picture
from session_manager_permissions._verify.audit.result import AuditResult
from session_manager_permissions._verify.checks import ORDER

from .audits import node, result, role, sample
from .nodes import ACCOUNT, OTHER_ACCOUNT, REGION

HOSTILE: Final = (
    "<script>alert(1)</script>", "</title></style></script><img src=x onerror=alert(1)>",
    '"\' onmouseover=\'alert(1)" autofocus x="', "javascript:alert(1)", "&lt;b&gt; &amp;",
    "{{ 7 * 7 }}{% raw %}", "<!-- -->]]>", "\u202egnp.exe\u2066", "\0\x1b[31m\x85\ud800",
    "\u540d\u524d \u0627\u0644\u062e\u0627\u062f\u0645 \U0001f680",
)  # fmt: skip


class Page(HTMLParser):
    """The elements of a page, with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text = ""
        self.raw: dict[str, str] = {}
        self._open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open in ("script", "style"):
            self.raw[self._open] = data
            self._open = ""
        else:
            self.text += data

    @property
    def flat(self) -> str:
        """The text, with one space for each run of white space."""
        return " ".join(self.text.split())


def of_all(text: str = "text of the account") -> AuditResult:
    """A result for each part of the page, with `text` wherever the account chooses the text."""
    said: Any = {"name": text, "profile": text, "why": [text], "fix": [text]}
    said["role"] = f"arn:aws:iam::{ACCOUNT}:role/{text.replace('/', '')}"
    nodes = [
        node("i-1", causes=["reach", text], **said),
        node("i-3", verdict="unknown", state=text, ping=text, **said),
        node("i-4", account=OTHER_ACCOUNT, region=text, **said),
    ]
    roles = [role(text, lacks=["reach"], unknown=[text], profiles=[text, "web"])]
    found = result(nodes, tags=[text], document=text, roles=roles, profiles=[text, "web"])
    found["regions"][0]["error"] = text
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_the_account_is_text(text: str) -> None:
    text = f"text {text}"  # so that all stands in the same order
    harmless, hostile = Page(html(of_all())), Page(html(of_all(text)))

    assert hostile.elements == harmless.elements
    assert hostile.raw == harmless.raw
    assert hostile.text.count(shown(text)) > 25
    assert hostile.text.count("text ") == harmless.text.count("text ")


def test_page_has_the_list_and_the_command_that_deploys_it() -> None:
    lacking = [role("web", lacks=["register", "encrypt"], profiles=["web"])]
    found = result([node("i-1", causes=["register"])], roles=lacking, profiles=["web"])

    text = Page(html(found, list_path="my list.txt", profile="a b")).flat

    assert "Add to the list my list.txt the lines below that it lacks, and key = KEY_ARN." in text
    assert "--profile 'a b' -c 'instance-profiles=my list.txt' allow-registration = true" in text


def test_page_is_ascii_in_any_language() -> None:
    assert html(of_all(HOSTILE[-1])).isascii()


def test_page_of_the_sample_has_each_fact() -> None:
    found = sample()
    page = Page(html(found))

    for one in found["instances"]:
        for field in ("id", "name", "region", "profile", "state", "ping"):
            assert str(one[field] or "") in page.text
    for group in grouped(one for one in found["instances"] if one["verdict"] == "unreachable"):
        for line in (*group.why, *group.fix):
            assert line in page.text
    for name in found["profiles"]:
        assert name in page.text
    for one_role in found["roles"]:
        assert (one_role["role"] in page.text) == bool(one_role["lacks"])
    assert "the credentials lack" in page.text


def test_nothing_but_the_page_is_loaded() -> None:
    """No link leaves the page, and its policy would let nothing in."""
    page = Page(html(of_all()))
    attributes = [pair for _, attrs in page.elements for pair in attrs]
    (policy,) = (v or "" for n, v in attributes if n == "content" and "src" in str(v))

    assert {name for name, _ in attributes} & {"src", "srcset", "style", "action", "data"} == set()
    assert all(str(value).startswith("#") for name, value in attributes if name == "href")
    assert [name for name, _ in attributes if name.startswith("on")] == []
    assert not re.search(r"https?://|url\(|@import", page.raw["style"] + page.raw["script"])
    assert policy == (
        f"default-src 'none'; style-src '{hashed(page.raw['style'])}'; "
        f"script-src '{hashed(page.raw['script'])}'; base-uri 'none'; form-action 'none'"
    )


def hashed(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def test_ids_are_unique_and_each_link_has_its_end() -> None:
    page = Page(html(of_all()))
    ids = [value for _, attrs in page.elements for name, value in attrs if name == "id"]
    ends = {
        str(value).removeprefix("#")
        for _, attrs in page.elements
        for name, value in attrs
        if name in ("href", "aria-labelledby")
    }

    assert len(ids) == len({*ids})
    assert ends <= {*ids}


def with_region(found: AuditResult, number: int = 0, **fields: Any) -> AuditResult:  # noqa: ANN401
    """The result with these fields of one region changed."""
    found["regions"][number].update(fields)  # type: ignore[typeddict-item]
    return found


def of_two(fix: str) -> AuditResult:
    """A result with two instances that fail the same check, each with its own fix."""
    nodes = (("i-1", "web-1"), ("i-2", "web-2"))
    return result([node(i, name=name, causes=["reach"], fix=[fix.format(i)]) for i, name in nodes])


def of_causes(*causes: str) -> AuditResult:
    return result([node("i-1", verdict="unreachable", causes=[*causes])])


STOPPED: Final = node("i-9", verdict="stopped")
LACKS: Final = node("i-2", causes=["reach"])
TWO: Final = [node("i-1"), node("i-2", account=OTHER_ACCOUNT)]
MANY: Final = [node(f"i-{n}", account=f"{n:012}") for n in range(40)]
LACKING: Final = result(TWO, roles=[role("web", lacks=["reach"])], profiles=["web"])
IN_TWO_REGIONS: Final = [node("i-1"), node("i-2", region="eu-west-2")]


@pytest.mark.parametrize(("found", "says"), [
    # the heading is the answer
    (result([]), "No instance was found"),
    (result([STOPPED]), "No instance is running"),
    (result([node(), STOPPED]), "1 running instance can be reached"),
    (result([node("i-1"), node("i-2")]), "All 2 running instances can be reached"),
    (with_region(result([node()]), error="denied"),
     "All running instances that were found can be reached"),
    (result([node("i-1"), node("i-2", verdict="unknown")]), "1 could not be judged"),
    (result([LACKS]), "1 of 1 running instance can\u2019t be reached"),
    (result([node("i-1"), LACKS, STOPPED]), "1 of 2 running instances can\u2019t be reached"),
    # what was asked
    (result([node()]), f"Account {ACCOUNT} \u00b7 asked 2026-03-02 06:30 UTC"),
    (result(TWO), f"Accounts {ACCOUNT}, {OTHER_ACCOUNT}"),
    (result([node()], tags=["a=b", "c=d"]), "only with a=b, c=d"),
    (result([node()], document="Sessions"), "sessions of Sessions"),
    (result(MANY), "Session Manager audit: 40 accounts"),
    (result(MANY), "40 regions with instances"),
    (result(MANY), f"{REGION} of 000000000039: 1 instance"),
    (LACKING, "A list is for one account"),
    (with_region(result(TWO), 1, error="it was denied"),
     f"{REGION} of {OTHER_ACCOUNT}: it was denied"),
    (with_region(result(IN_TWO_REGIONS), 1, instances=0),
     f"{REGION}: 1 instance 1 region without instances"),
    (with_region(result(IN_TWO_REGIONS), 1, instances=0, error="denied"), ": denied"),
    # what a group of instances says
    (of_two("reboot {}"), "The instances, each INSTANCE_ID abovei-1 web-1 i-2 web-2"),
    (of_two("fix the role"), "The instancesi-1 web-1 i-2 web-2"),
    (of_causes("path-ssm"),
     "can\u2019t be reached No network path to Systems Manager path-ssm 1 instance"),
    (of_causes("register", "metadata"),
     "the instance metadata service is off register, metadata 1 instance"),
    (of_causes("of-a-newer-version"), "of-a-newer-version of-a-newer-version 1 instance"),
    (of_causes(), "The cause is not known 1 instance"),
])  # fmt: skip
def test_page_says(found: AuditResult, says: str) -> None:
    page = Page(html(found)).flat

    assert says in page
    assert "npx" not in page
    assert ("This answer is not complete" in page) == any(one["error"] for one in found["regions"])
    without_any = [one for one in found["regions"] if not one["instances"] and not one["error"]]
    assert ("without instances" in page) == bool(without_any)


def test_group_beyond_the_largest_is_folded_and_there() -> None:
    nodes = [node(f"i-{n}", causes=["reach"], why=[f"because of {n}"]) for n in range(8)]

    page = Page(html(result(nodes))).flat

    assert "3 smaller groups" in page
    assert all(f"because of {n} " in page for n in range(8))


def test_each_check_has_one_place_in_the_picture() -> None:
    places = [check for stage in picture(ORDER).stages for check in (*stage.checks, *stage.link)]

    assert sorted(places) == sorted(ORDER)


@pytest.mark.parametrize(("causes", "says"), [
    (["register", "reach"], "It is broken at Profile, role by register, reach."),
    (["path-ssm"], "It is broken from Network to Endpoint by path-ssm."),
    (["metadata", "path-kms"], "by metadata; from Network to Endpoint by path-kms."),
    (["connected"], "It is broken from Endpoint to Session Manager by connected."),
    (["a-check-of-a-newer-version"], "Where it is broken is not known."),
])  # fmt: skip
def test_picture_has_a_text(causes: list[str], says: str) -> None:
    assert picture(causes).text.endswith(says)


def test_nodes_with_one_fault_are_one_group() -> None:
    late = "it last reported in at 2026-01-01 00:00:0{}+00:00: PingStatus is ConnectionLost"
    nodes = [node(f"i-{n}", causes=["registered"], why=[late.format(n)]) for n in (1, 2)]

    (group,) = grouped(nodes)

    assert group.why == ("it last reported in at TIME: PingStatus is ConnectionLost",)
    assert group.fix == ("fix registered of INSTANCE_ID",)
    assert group.profiles == ["web"]
    (alone,) = grouped(nodes[:1])
    assert (alone.why, alone.fix) == ((late.format(1),), ("fix registered of i-1",))


def test_groups_come_by_their_size_and_then_by_what_they_say() -> None:
    one, other = (node(f"i-{why}", causes=["reach"], why=[why]) for why in "ab")
    nodes = [other, one, *(node(f"i-{n}", causes=["register"], why=["c"]) for n in (2, 3))]

    assert [(*one.why, len(one.nodes)) for one in grouped(nodes)] == [("c", 2), ("a", 1), ("b", 1)]


def test_nodes_of_several_profiles_with_one_remedy_are_one_group() -> None:
    def lacking(number: int, role: str, said: str) -> Any:  # noqa: ANN401
        command = f"npx aws-cdk deploy -c {said} -c allow-registration=true"
        fields: Any = {"causes": ["register"], "why": ["it lacks it"], "fix": [command]}
        return node(f"i-{number}", profile=f"web-{number}", role=role, **fields)

    several = [lacking(n, f"arn:{n}/r", f"instance-profile=web-{n}") for n in (1, 2)]
    by_role = [lacking(n, f"arn:{n}/r{n}", f"role=r{n}") for n in (1, 2)]
    same = [lacking(1, "arn:1/r", "instance-profile=web-1")] * 2

    said = [
        group.fix[0].partition(" -c ")[2].partition(" ")[0]
        for nodes in (several, by_role, same)
        for group in grouped(nodes)
    ]

    assert said == ["instance-profile=INSTANCE_PROFILE", "role=ROLE", "instance-profile=web-1"]
    assert "Profiles: web-1, web-2" in Page(html(result(several))).flat
