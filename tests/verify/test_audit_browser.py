"""The page of an audit in a real browser: Chromium, where the machine has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from session_manager_permissions._verify.audit.page import html

from .audits import large, result, sample
from .test_audit_page import HOSTILE, of_all

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

ROOT: Final = Path(__file__).parents[2]
AXE: Final = ROOT / "node_modules/axe-core/axe.min.js"
playwright = pytest.importorskip("playwright.sync_api", reason="no group `browser` is there")

SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
RULES: Final = {"color-contrast", "heading-order", "label", "scrollable-region-focusable"}
"""The rules of axe that the page must have something for."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pages")
    pages = {"sample": sample(), "hostile": of_all(" ".join(HOSTILE))}
    pages |= {"large": large(600), "empty": result([])}
    for name, found in pages.items():
        (made / f"{name}.html").write_text(html(found), encoding="utf-8")
    return made


@pytest.fixture
def opened(browser: Browser, folder: Path) -> Iterator[Callable[..., Page]]:
    """Open a page that loads nothing else; at the end, assert no message, error or dialog."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(name: str = "sample", width: int = 1200, **options: Any) -> Page:  # noqa: ANN401
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto((folder / f"{name}.html").as_uri())
        assert requests == [page.url]
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def column(page: Page, name: str) -> list[str]:
    place = page.locator("#nodes th").evaluate_all(
        "(heads, name) => heads.findIndex((head) => head.dataset.column === name)", name
    )
    return page.locator(f"#nodes tbody td:nth-child({place + 1})").all_inner_texts()


def head(page: Page, name: str) -> Locator:
    return page.locator(f"#nodes th[data-column={name}]")


@pytest.mark.parametrize("name", ["sample", "hostile", "empty"])
def test_page_fits_in_light_and_dark(opened: Callable[..., Page], name: str) -> None:
    page = opened(name)

    for width, scheme in product((400, 1600), SCHEMES):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
        assert (int(ground) < 128) == (scheme == "dark")


@pytest.mark.parametrize(("width", "rows"), [(400, 6), (1600, 1)])
def test_picture_fits(opened: Callable[..., Page], width: int, rows: int) -> None:
    stages = opened(width=width).locator(".path").first.locator(".stage > .box")

    boxes = stages.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().toJSON())")

    assert len(boxes) == 6
    assert all(0 <= box["left"] < box["right"] <= width for box in boxes)
    assert len({box["top"] for box in boxes}) == rows


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed")
def test_page_is_accessible(opened: Callable[..., Page]) -> None:
    """axe's rules cover contrast, headings, labels, and the names of interactive elements."""
    page = opened("hostile")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")

    for scheme, options in ((SCHEMES[0], {}), (SCHEMES[1], {"runOnly": ["color-contrast"]})):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate("(options) => axe.run(options)", options)
        assert [
            (rule["id"], node["html"], node["failureSummary"])
            for rule in found["violations"]
            for node in rule["nodes"]
        ] == []
        passed = {rule["id"] for rule in found["passes"]}
        assert passed >= ({"color-contrast"} if options else RULES)


def test_table_is_sorted_by_the_keyboard(opened: Callable[..., Page]) -> None:
    page = opened()
    names = column(page, "name")
    button = head(page, "name").locator("button")

    button.focus()
    page.keyboard.press("Enter")

    assert head(page, "name").get_attribute("aria-sort") == "ascending"
    up = column(page, "name")
    assert sorted(up) == sorted(names)
    assert up[0].startswith("api-")
    page.keyboard.press("Space")
    assert head(page, "name").get_attribute("aria-sort") == "descending"
    down = column(page, "name")
    assert down[0].startswith("worker-")
    head(page, "profile").locator("button").click()
    assert head(page, "name").get_attribute("aria-sort") is None
    assert column(page, "profile")[-2:] == ["", ""]
    head(page, "profile").locator("button").click()
    assert column(page, "profile")[-2:] == ["", ""]


FILTERED: Final = (
    ("Region", "us-east-1", 17), ("State", "stopped", 3), ("Verdict", "unreachable", 17),
    ("Cause", "register", 7), ("Profile", "cache-node", 4), ("Role", "reporting", 3),
)  # fmt: skip
"""A filter, what is chosen in it, and how many instances are left."""


def test_table_is_filtered(opened: Callable[..., Page]) -> None:
    page = opened()

    for label, choice, number in FILTERED:
        page.get_by_label(label, exact=True).select_option(choice)
        values = column(page, label.lower())
        assert len(values) == number
        assert all(choice in value.split(", ") for value in values)
        assert page.get_by_role("status").inner_text() == f"{number} of 46 instances"
        page.get_by_role("button", name="Clear").click()
        playwright.expect(page.locator("#nodes tbody tr")).to_have_count(46)


def test_filters_and_order_go_together(opened: Callable[..., Page]) -> None:
    page = opened()

    head(page, "name").locator("button").click()
    page.get_by_label("Region", exact=True).select_option("eu-west-1")
    page.get_by_label("Name or id").fill("WORK")

    assert column(page, "name") == [f"worker-{n}" for n in range(1, 6)]
    page.get_by_label("Name or id").fill("nothing")
    assert column(page, "name") == []
    assert page.get_by_role("status").inner_text() == "0 of 46 instances"


def test_accounts_are_a_filter_where_there_are_several(opened: Callable[..., Page]) -> None:
    assert opened().get_by_label("Account").count() == 0
    assert opened("hostile").get_by_label("Account").count() == 1


def test_cause_leads_to_its_instances(opened: Callable[..., Page]) -> None:
    page = opened()

    page.locator("article", has_text="instance-profile").get_by_text("2 instances").first.click()

    assert column(page, "name") == ["legacy-1", "legacy-2"]
    assert page.url.endswith("#instances")
    page.locator("#nodes tbody a").first.click()
    assert "instance-profile" in page.locator(":target h3").inner_text().splitlines()


def test_long_table_is_shown_in_part_until_all_is_asked_for(opened: Callable[..., Page]) -> None:
    page = opened("large")

    assert page.locator("#nodes tbody tr").count() == 500
    assert page.get_by_role("status").inner_text() == "600 of 600 instances, the first 500 shown"
    page.get_by_role("button", name="Show all 600").click()
    assert page.locator("#nodes tbody tr").count() == 600
    assert page.locator("#more").is_hidden()


def test_numbers_in_names_are_sorted_as_numbers(opened: Callable[..., Page]) -> None:
    page = opened("large")

    head(page, "name").locator("button").click()

    names = column(page, "name")
    assert names.index("service-2-0") < names.index("service-10-0")


def test_paper_has_all_instances_and_no_controls(opened: Callable[..., Page]) -> None:
    page = opened("large")

    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert page.locator("details:not(.ids):not([open])").count() == 0
    assert page.locator("details.rest .group").last.is_visible()
    assert page.locator("#nodes tbody tr").count() == 600
    assert page.locator("form").is_hidden()


def test_page_is_complete_without_javascript(opened: Callable[..., Page]) -> None:
    page = opened("large", java_script_enabled=False)

    assert page.locator("#nodes tbody tr").count() == 600
    assert page.locator("button:visible, form:visible").count() == 0
    assert page.locator("#nodes th").first.inner_text() == "Instance"


def test_names_are_text_and_no_script_but_the_pages_own_runs(opened: Callable[..., Page]) -> None:
    page = opened("hostile")

    assert page.locator("script, img, b").count() == 1
    assert "<script>alert(1)</script>" in page.locator("#nodes bdi").first.inner_text()
    assert "\u202e" not in page.content()
